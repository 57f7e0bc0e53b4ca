/* libsrtp's side of the scenario srtp. It reads a line and answers with one:
 * "load protect|unprotect gcm128|gcm256|cm80 SIZEB[-ext] one|batch16|fan64"
 * prepares the case and gives the last packet of its first run, "run NS" works
 * for that long and gives nanoseconds per packet.
 *
 * Counted is srtp_protect or srtp_unprotect in place and, where a packet is for
 * several receivers, the copy which that needs. libsrtp has no batches. */
#include <srtp2/srtp.h>

#include "turn.h"

/* srtpExtensions of bench. */
static const uint8_t extensions[] = {0xbe, 0xde, 0, 5, 0x10, 0x8a, 0x22, 0x12, 0x34, 0x56, 0x31, 0, 7, 0x40, '0', 0x50, 1, 0x61, 'h', 'i', 0x72, 0, 1, 2};

enum { RUN = 64, FIXED = 12, ROOM = 1200 + FIXED + sizeof extensions + SRTP_MAX_TRAILER_LEN + 160 };

static srtp_t contexts[RUN], senders[RUN];
static int count, opening, length; /* of keys; of a packet */
static uint16_t seq;
static uint8_t plain[ROOM] __attribute__((aligned(64)));
static uint8_t bufs[RUN][ROOM] __attribute__((aligned(64)));
static int lens[RUN];

static void check(srtp_err_status_t s, const char *what) {
	if (s != srtp_err_status_ok) die("libsrtp: %s: status %d", what, s);
}

/* The keys of receiver i, as bench's srtpKeys makes them. */
static void make(srtp_t *ctx, int i, int profile, int inbound) {
	static const int key_len[] = {16, 32, 16}, salt_len[] = {12, 12, 14};
	uint8_t key[64];
	for (int k = 0; k < key_len[profile]; k++) key[k] = k * 7 + i;
	for (int k = 0; k < salt_len[profile]; k++) key[key_len[profile] + k] = k * 11 + i + 1;
	srtp_policy_t p;
	memset(&p, 0, sizeof p);
	switch (profile) {
	case 0: srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtp), srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtcp); break;
	case 1: srtp_crypto_policy_set_aes_gcm_256_16_auth(&p.rtp), srtp_crypto_policy_set_aes_gcm_256_16_auth(&p.rtcp); break;
	default: srtp_crypto_policy_set_rtp_default(&p.rtp), srtp_crypto_policy_set_rtcp_default(&p.rtcp);
	}
	p.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
	p.key = key;
	p.window_size = 128;
	check(srtp_create(ctx, &p), "create");
}

static void put_seq(uint8_t *b) { b[2] = seq >> 8, b[3] = seq; }

static void prepare(void) {
	if (!opening) return;
	for (int i = 0; i < RUN; i++) {
		if (i % count == 0) seq++;
		put_seq(plain);
		memcpy(bufs[i], plain, length);
		lens[i] = length;
		check(srtp_protect(senders[i % count], bufs[i], &lens[i]), "protect");
	}
}

static void run(void) {
	if (opening) {
		for (int i = 0; i < RUN; i++) check(srtp_unprotect(contexts[i % count], bufs[i], &lens[i]), "unprotect");
		return;
	}
	for (int i = 0; i < RUN; i++) {
		if (i % count == 0) {
			seq++;
			put_seq(plain);
		}
		if (count > 1)
			memcpy(bufs[i], plain, length);
		else
			put_seq(bufs[i]);
		lens[i] = length;
		check(srtp_protect(contexts[i % count], bufs[i], &lens[i]), "protect");
	}
}

static void load(char *words[]) {
	for (int i = 0; i < count; i++) {
		srtp_dealloc(contexts[i]);
		if (opening) srtp_dealloc(senders[i]);
	}
	opening = !strcmp(words[1], "unprotect");
	int profile = !strcmp(words[2], "gcm128") ? 0 : !strcmp(words[2], "gcm256") ? 1 : 2;
	int size = atoi(words[3]), header = FIXED;
	if (size < 1 || size > 1200) die("libsrtp: %d bytes are no case", size);
	count = !strcmp(words[4], "fan64") ? 64 : !strcmp(words[4], "batch16") ? 16 : 1;
	seq = 0;
	memset(plain, 0, sizeof plain);
	memcpy(plain, (uint8_t[FIXED]){0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7}, FIXED);
	if (strstr(words[3], "-ext")) {
		plain[0] |= 0x10;
		memcpy(plain + FIXED, extensions, sizeof extensions);
		header += sizeof extensions;
	}
	length = header + size;
	for (int i = 0; i < size; i++) plain[header + i] = FIXED + i;
	for (int i = 0; i < RUN; i++) memcpy(bufs[i], plain, sizeof plain);
	for (int i = 0; i < count; i++) {
		make(&contexts[i], i, profile, opening);
		if (opening) make(&senders[i], i, profile, 0);
	}
	prepare();
	run();
	answer_hex(bufs[RUN - 1], lens[RUN - 1]);
}

/* Turns begin cold, behind another process's: one run warms up. */
static double work(double target) {
	double cost = clock_cost(CLOCK_MONOTONIC), spent = 0;
	long n = 0;
	prepare();
	run();
	while (spent < target) {
		prepare();
		double t = clock_ns(CLOCK_MONOTONIC);
		run();
		double d = clock_ns(CLOCK_MONOTONIC) - t - cost;
		spent += d > 1 ? d : 1;
		n += RUN;
	}
	return spent / n;
}

/* Which library does libsrtp's AES: it cannot be asked. */
static const char *backend(void) {
	static char line[4096];
	const char *found = "its own AES";
	FILE *f = fopen("/proc/self/maps", "r");
	if (!f) return "backend unknown";
	while (fgets(line, sizeof line, f)) {
		if (strstr(line, "libnss3")) found = "NSS";
		if (strstr(line, "libcrypto")) found = "OpenSSL";
		if (strstr(line, "libmbedcrypto")) found = "Mbed TLS";
	}
	fclose(f);
	return found;
}

int main(int argc, char **argv) {
	check(srtp_init(), "init");
	if (argc > 1 && !strcmp(argv[1], "version")) {
		const char *v = srtp_get_version_string();
		const char *number = strrchr(v, ' ');
		printf("%s (%s)\n", number ? number + 1 : v, backend());
		return 0;
	}
	char line[256], *words[MAX_WORDS];
	for (int n; (n = next_line(line, sizeof line, words)) >= 0;) {
		if (n == 5 && !strcmp(words[0], "load"))
			load(words);
		else if (n == 2 && !strcmp(words[0], "run"))
			answer("{\"ns\":%.4f}", work(atof(words[1])));
		else
			die("libsrtp: what?");
	}
	return 0;
}
