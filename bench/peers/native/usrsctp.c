/* usrsctp's side of the scenario sctp: one association between two ends in this
 * process, whose packets travel as datagrams through the descriptors 3 (of the
 * sender) and 4, behind which bench emulates the link. It reads the line
 * "run SECONDS BYTES", sends messages of that size for that long, connecting
 * and slow start included, and answers with the bytes that arrived whole and the
 * seconds of processor time of the process. "alone SECONDS BYTES" is the same
 * over queues in memory.
 *
 * Unlike usrsctp's defaults: packets of 1200 bytes without discovery, no Nagle,
 * buffers of 1 MiB, an initial window and bursts of 10 packets, no ECN. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#include "turn.h"

enum { PORT = 5000, PACKET = 1200, HEADER = 12, MAX_MESSAGE = 1 << 18 };

static int wires[2] = {3, 4}; /* where they are is the ends' addresses */

/* A queue of packets towards an end: usrsctp may not be called from its own
 * output. */
static struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	unsigned head, tail;
	struct { uint16_t n; uint8_t b[2048]; } packets[4096];
} queues[2] = {{.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER},
	{.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER}};

enum { QUEUED = sizeof queues[0].packets / sizeof queues[0].packets[0] };

static int alone;

static void push(struct queue *q, const void *b, size_t n) {
	pthread_mutex_lock(&q->lock);
	if (q->tail - q->head < QUEUED && n <= sizeof q->packets[0].b) {
		memcpy(q->packets[q->tail % QUEUED].b, b, n);
		q->packets[q->tail++ % QUEUED].n = n;
		pthread_cond_signal(&q->filled);
	}
	pthread_mutex_unlock(&q->lock);
}

static size_t pop(struct queue *q, void *b) {
	pthread_mutex_lock(&q->lock);
	while (q->head == q->tail) pthread_cond_wait(&q->filled, &q->lock);
	size_t n = q->packets[q->head % QUEUED].n;
	memcpy(b, q->packets[q->head++ % QUEUED].b, n);
	pthread_mutex_unlock(&q->lock);
	return n;
}

static int output(void *addr, void *buf, size_t n, uint8_t tos, uint8_t df) {
	(void)tos, (void)df;
	if (alone) {
		push(&queues[addr == &wires[0]], buf, n); /* to the other end */
		return 0;
	}
	/* What the link does not take at once is lost, as on any link. */
	(void)!send(*(int *)addr, buf, n, MSG_DONTWAIT);
	return 0;
}

static void *input(void *addr) {
	static __thread char buf[1 << 16];
	ssize_t n;
	while (alone) {
		n = pop(&queues[addr == &wires[1]], buf);
		usrsctp_conninput(addr, buf, n, 0);
	}
	while ((n = recv(*(int *)addr, buf, sizeof buf, 0)) > 0) usrsctp_conninput(addr, buf, n, 0);
	return NULL;
}

static struct sockaddr_conn address(int end) {
	struct sockaddr_conn a;
	memset(&a, 0, sizeof a);
	a.sconn_family = AF_CONN;
	a.sconn_port = htons(PORT);
	a.sconn_addr = &wires[end];
	return a;
}

static void must(int ok, const char *what) {
	if (!ok) die("usrsctp: %s: %s", what, strerror(errno));
}

static struct socket *open_end(int end) {
	struct socket *s = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	must(s != NULL, "socket");
	int on = 1;
	must(usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on) == 0, "SCTP_NODELAY");
	struct sctp_paddrparams p;
	memset(&p, 0, sizeof p);
	p.spp_address.ss_family = AF_CONN;
	p.spp_flags = SPP_PMTUD_DISABLE;
	p.spp_pathmtu = PACKET - HEADER; /* it does not count the common header here */
	must(usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &p, sizeof p) == 0, "SCTP_PEER_ADDR_PARAMS");
	struct sockaddr_conn a = address(end);
	must(usrsctp_bind(s, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	return s;
}

static int message;

static void *sender(void *unused) {
	(void)unused;
	static char data[MAX_MESSAGE];
	struct socket *s = open_end(0);
	struct sockaddr_conn peer = address(0); /* an address is that of the wire, not of who holds it */
	must(usrsctp_connect(s, (struct sockaddr *)&peer, sizeof peer) == 0, "connect");
	struct sctp_sndinfo info;
	memset(&info, 0, sizeof info);
	info.snd_sid = 1;
	info.snd_ppid = htonl(53);
	for (;;) must(usrsctp_sendv(s, data, message, NULL, 0, &info, sizeof info, SCTP_SENDV_SNDINFO, 0) == message, "send");
	return NULL;
}

static _Atomic long long arrived;

static void *receiver(void *listening) {
	static char buf[MAX_MESSAGE];
	struct socket *s = usrsctp_accept(listening, NULL, NULL);
	must(s != NULL, "accept");
	long long whole = 0;
	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		struct sctp_rcvinfo info;
		socklen_t info_len = sizeof info;
		unsigned kind;
		int flags = 0;
		ssize_t n = usrsctp_recvv(s, buf, sizeof buf, (struct sockaddr *)&from, &len, &info, &info_len, &kind, &flags);
		must(n > 0, "receive");
		if (flags & MSG_NOTIFICATION) continue;
		whole += n; /* parts of a message count when it ends */
		if (flags & MSG_EOR) {
			arrived += whole;
			whole = 0;
		}
	}
	return NULL;
}

static void run(double seconds) {
	pthread_t t;
	double start = clock_ns(CLOCK_MONOTONIC);
	struct socket *l = open_end(1);
	must(usrsctp_listen(l, 1) == 0, "listen");
	must(pthread_create(&t, NULL, receiver, l) == 0, "thread");
	must(pthread_create(&t, NULL, sender, NULL) == 0, "thread");
	double left = seconds - (clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
	struct timespec wait = {(time_t)left, (long)((left - (time_t)left) * 1e9)};
	nanosleep(&wait, NULL);
	answer("{\"bytes\":%lld,\"cpu\":%.6f}", (long long)arrived, clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
}

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "version")) {
		puts("unknown"); /* it has none to ask for; pkg-config knows the package's */
		return 0;
	}
	usrsctp_init(0, output, NULL);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_sendspace(1 << 20);
	usrsctp_sysctl_set_sctp_recvspace(1 << 20);
	usrsctp_sysctl_set_sctp_initial_cwnd(10);
	usrsctp_sysctl_set_sctp_max_burst_default(10);
	usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(16);
	char line[256], *words[MAX_WORDS];
	int n = next_line(line, sizeof line, words);
	if (n != 3 || atof(words[1]) <= 0 || atoi(words[2]) < 1 || atoi(words[2]) > MAX_MESSAGE) die("usrsctp: what?");
	alone = !strcmp(words[0], "alone");
	for (int i = 0; i < 2; i++) {
		pthread_t t;
		usrsctp_register_address(&wires[i]);
		must(pthread_create(&t, NULL, input, &wires[i]) == 0, "thread");
	}
	message = atoi(words[2]);
	run(atof(words[1]));
	fflush(stdout);
	_exit(0); /* the threads go with it */
}
