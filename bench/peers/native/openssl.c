/* OpenSSL's side of the scenario handshake: DTLS 1.2 between two ends over
 * memory. It reads a line and answers with one: "load
 * pair|server|client x25519|p256" prepares the case and does one handshake,
 * whose group is the result; "run COUNT" does that many and gives nanoseconds
 * of this thread's processor time per handshake, of the side or of both.
 *
 * Both sides have certificates (ECDSA P-256), which both compare with a
 * fingerprint, and want extended master secrets and AES-128-GCM for SRTP; no
 * cookies, tickets or cached sessions. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "turn.h"

static EVP_PKEY *key;
static X509 *cert;
static unsigned char print[32];
static SSL_CTX *contexts[2]; /* client, server */
static int counted;          /* 0 client, 1 server, 2 both */
static double clock_adds;

static void must(int ok, const char *what) {
	if (ok == 1) return;
	ERR_print_errors_fp(stderr);
	die("openssl: %s failed", what);
}

static void make_certificate(void) {
	key = EVP_EC_gen("P-256");
	must(key != NULL, "key");
	cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME *name = X509_get_subject_name(cert);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0), "name");
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	must(X509_sign(cert, key, EVP_sha256()) > 0, "sign");
	must(X509_digest(cert, EVP_sha256(), print, NULL), "digest");
}

/* Instead of a chain, as in WebRTC, the fingerprint is what is trusted. */
static int verify(X509_STORE_CTX *ctx, void *unused) {
	(void)unused;
	unsigned char got[32];
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	return leaf && X509_digest(leaf, EVP_sha256(), got, NULL) && !memcmp(got, print, sizeof got);
}

static SSL_CTX *context(const SSL_METHOD *method, const char *group) {
	SSL_CTX *c = SSL_CTX_new(method);
	must(c != NULL, "context");
	must(SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION), "version");
	must(SSL_CTX_use_certificate(c, cert), "certificate");
	must(SSL_CTX_use_PrivateKey(c, key), "private key");
	must(SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-GCM-SHA256"), "cipher");
	must(SSL_CTX_set1_groups_list(c, group), "group");
	must(SSL_CTX_set_tlsext_use_srtp(c, "SRTP_AEAD_AES_128_GCM") == 0, "use_srtp");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, verify, NULL);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
	return c;
}

/* Does one handshake and returns what the counted sides used. */
static double handshake(int *group) {
	double used[2] = {0, 0};
	SSL *ends[2];
	BIO *wires[2]; /* wires[i] is read by ends[i] */
	for (int i = 0; i < 2; i++) {
		wires[i] = BIO_new(BIO_s_mem());
		BIO_set_mem_eof_return(wires[i], -1);
	}
	for (int i = 0; i < 2; i++) {
		double t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		ends[i] = SSL_new(contexts[i]);
		must(ends[i] != NULL, "connection");
		SSL_set_mtu(ends[i], 1200);
		BIO_up_ref(wires[0]);
		BIO_up_ref(wires[1]);
		SSL_set_bio(ends[i], wires[i], wires[1 - i]);
		if (i == 0)
			SSL_set_connect_state(ends[i]);
		else
			SSL_set_accept_state(ends[i]);
		used[i] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - t - clock_adds;
	}
	for (int turn = 0, up[2] = {0, 0}; !up[0] || !up[1]; turn++) {
		if (turn > 40) die("openssl: the handshake does not end");
		int i = turn % 2;
		double t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		int r = SSL_do_handshake(ends[i]);
		used[i] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - t - clock_adds;
		up[i] = r == 1;
		if (r != 1 && SSL_get_error(ends[i], r) != SSL_ERROR_WANT_READ) must(0, "handshake");
	}
	if (group) {
		*group = SSL_get_negotiated_group(ends[0]);
		must(SSL_get_extms_support(ends[1]), "extended master secret");
		must(SSL_get_selected_srtp_profile(ends[1]) != NULL, "SRTP profile");
		must(SSL_version(ends[1]) == DTLS1_2_VERSION, "DTLS 1.2");
	}
	for (int i = 0; i < 2; i++) {
		SSL_free(ends[i]); /* not counted: neither is what collects Go's garbage */
		BIO_free(wires[i]);
	}
	return counted == 2 ? used[0] + used[1] : used[counted];
}

static void load(const char *side, const char *curve) {
	counted = !strcmp(side, "client") ? 0 : !strcmp(side, "server") ? 1 : 2;
	/* The certificates' curve has to be among the groups (RFC 8422 §5.1.1). */
	const char *group = !strcmp(curve, "p256") ? "P-256" : "X25519:P-256";
	for (int i = 0; i < 2; i++) SSL_CTX_free(contexts[i]);
	contexts[0] = context(DTLS_client_method(), group);
	contexts[1] = context(DTLS_server_method(), group);
	int agreed = 0;
	handshake(&agreed);
	answer("{\"result\":\"%s\"}", agreed == NID_X25519 ? "x25519" : agreed == NID_X9_62_prime256v1 ? "p256" : "another group");
}

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "version")) {
		puts(OpenSSL_version(OPENSSL_VERSION_STRING));
		return 0;
	}
	make_certificate();
	clock_adds = clock_cost(CLOCK_THREAD_CPUTIME_ID);
	char line[256], *words[MAX_WORDS];
	for (int n; (n = next_line(line, sizeof line, words)) >= 0;) {
		if (n == 3 && !strcmp(words[0], "load")) {
			load(words[1], words[2]);
		} else if (n == 2 && !strcmp(words[0], "run") && atoi(words[1]) > 0) {
			double used = 0;
			for (int k = atoi(words[1]); k > 0; k--) used += handshake(NULL);
			answer("{\"ns\":%.1f}", used / atoi(words[1]));
		} else {
			die("openssl: what?");
		}
	}
	return 0;
}
