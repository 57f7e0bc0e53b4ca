// A DTLS 1.2 endpoint of wolfSSL: "server PORT CERT KEY" answers one message with
// itself, "client PORT CERT KEY" sends one and prints the answer.
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Self-signed certificates are right here: the other side knows ours by its hash.
static int accept_any(int ok, WOLFSSL_X509_STORE_CTX *store) {
	(void)ok;
	(void)store;
	return 1;
}

static int fail(const char *what, WOLFSSL *ssl, int ret) {
	char text[128] = "";
	if (ssl) wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(ssl, ret), text);
	fprintf(stderr, "%s: %s\n", what, text);
	return 1;
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	int server = strcmp(argv[1], "server") == 0, ret;
	wolfSSL_Init();
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(server ? wolfDTLSv1_2_server_method() : wolfDTLSv1_2_client_method());
	if (!ctx) return fail("context", NULL, 0);
	if (wolfSSL_CTX_use_certificate_file(ctx, argv[3], SSL_FILETYPE_PEM) != SSL_SUCCESS ||
		wolfSSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != SSL_SUCCESS)
		return fail("certificate", NULL, 0);
	wolfSSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (server) {
		char peek;
		struct sockaddr_in from;
		socklen_t n = sizeof from;
		if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) return fail("bind", NULL, 0);
		if (recvfrom(fd, &peek, 1, MSG_PEEK, (struct sockaddr *)&from, &n) < 0) return fail("receive", NULL, 0);
		a = from;
	}
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) return fail("connect", NULL, 0);
	WOLFSSL *ssl = wolfSSL_new(ctx);
	wolfSSL_dtls_set_peer(ssl, &a, sizeof a);
	wolfSSL_set_fd(ssl, fd);
	ret = server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);
	if (ret != SSL_SUCCESS) return fail("handshake", ssl, ret);
	printf("%s %s\n", wolfSSL_get_version(ssl), wolfSSL_get_cipher(ssl));
	char b[256];
	if (!server && (ret = wolfSSL_write(ssl, "hello", 5)) != 5) return fail("write", ssl, ret);
	ret = wolfSSL_read(ssl, b, sizeof b);
	if (ret <= 0) return fail("read", ssl, ret);
	if (server && wolfSSL_write(ssl, b, ret) != ret) return fail("write", ssl, ret);
	printf("got %.*s\n", ret, b);
	fflush(stdout);
	if (server) wolfSSL_read(ssl, b, sizeof b); // its close_notify
	wolfSSL_shutdown(ssl);
	return 0;
}
