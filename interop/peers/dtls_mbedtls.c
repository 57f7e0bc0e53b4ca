// A DTLS 1.2 endpoint of mbedTLS: "server PORT CERT KEY" answers one message with
// itself, "client PORT CERT KEY" sends one and prints the answer.
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdio.h>
#include <string.h>

static int check(const char *what, int ret) {
	if (ret < 0) {
		fprintf(stderr, "%s: -0x%04x\n", what, (unsigned)-ret);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	int server = strcmp(argv[1], "server") == 0, ret;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	mbedtls_net_context listener, peer;
	mbedtls_timing_delay_context timer;
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&drbg);
	mbedtls_ssl_config_init(&conf);
	mbedtls_ssl_init(&ssl);
	mbedtls_x509_crt_init(&cert);
	mbedtls_pk_init(&key);
	mbedtls_net_init(&listener);
	mbedtls_net_init(&peer);
	if (check("seed", mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0)) ||
		check("certificate", mbedtls_x509_crt_parse_file(&cert, argv[3])) ||
		check("key", mbedtls_pk_parse_keyfile(&key, argv[4], NULL)) ||
		check("config", mbedtls_ssl_config_defaults(&conf, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
			MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT)) ||
		check("own certificate", mbedtls_ssl_conf_own_cert(&conf, &cert, &key)))
		return 1;
	mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &drbg);
	mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
	mbedtls_ssl_conf_ca_chain(&conf, &cert, NULL);
	mbedtls_ssl_conf_read_timeout(&conf, 20000);
	if (server) mbedtls_ssl_conf_dtls_cookies(&conf, NULL, NULL, NULL);
	if (check("setup", mbedtls_ssl_setup(&ssl, &conf))) return 1;
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
	if (server) {
		if (check("bind", mbedtls_net_bind(&listener, "127.0.0.1", argv[2], MBEDTLS_NET_PROTO_UDP)) ||
			check("accept", mbedtls_net_accept(&listener, &peer, NULL, 0, NULL)))
			return 1;
	} else if (check("connect", mbedtls_net_connect(&peer, "127.0.0.1", argv[2], MBEDTLS_NET_PROTO_UDP))) {
		return 1;
	}
	mbedtls_ssl_set_bio(&ssl, &peer, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
	do {
		ret = mbedtls_ssl_handshake(&ssl);
	} while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE);
	if (check("handshake", ret)) return 1;
	printf("%s %s\n", mbedtls_ssl_get_version(&ssl), mbedtls_ssl_get_ciphersuite(&ssl));
	unsigned char b[256];
	if (!server && check("write", mbedtls_ssl_write(&ssl, (const unsigned char *)"hello", 5))) return 1;
	do {
		ret = mbedtls_ssl_read(&ssl, b, sizeof b);
	} while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE);
	if (check("read", ret)) return 1;
	if (server && check("write", mbedtls_ssl_write(&ssl, b, (size_t)ret))) return 1;
	printf("got %.*s\n", ret, b);
	if (server) mbedtls_ssl_read(&ssl, b, sizeof b); // its close_notify
	mbedtls_ssl_close_notify(&ssl);
	return 0;
}
