/* usrsctp over UDP encapsulation (RFC 6951): an association on a UDP port of
 * 127.0.0.1, which is the first line it prints. As "server" it waits for the
 * peer, as "client PORT" it connects to one. It sends each message back on its
 * stream, with its PPID and order, and resets a stream of its own when the peer
 * has reset that. "idata" as last argument turns RFC 8260 on. The lossy path is
 * here, too: a packet in "loss" is dropped each way, by a fixed seed. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#ifndef SCTP_INTERLEAVING_SUPPORTED
#define SCTP_INTERLEAVING_SUPPORTED 0x1206 /* not in every usrsctp.h, but in the library */
#endif

enum { PORT = 5000, MAX_MESSAGE = 11 << 20 };

static int udp, loss;
static struct sockaddr_in peer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned seed = 1;

static int lose(void) {
	pthread_mutex_lock(&lock);
	seed = seed * 1103515245 + 12345;
	int yes = loss > 0 && (int)(seed >> 16 & 0x7fff) % loss == 0;
	pthread_mutex_unlock(&lock);
	return yes;
}

static void must(int ok, const char *what) {
	if (ok) return;
	fprintf(stderr, "usrsctp: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int output(void *addr, void *buf, size_t n, uint8_t tos, uint8_t df) {
	(void)addr, (void)tos, (void)df;
	if (!lose()) (void)!sendto(udp, buf, n, 0, (struct sockaddr *)&peer, sizeof peer);
	return 0;
}

static void *input(void *unused) {
	(void)unused;
	static char buf[1 << 16];
	for (;;) { /* never ends */
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(udp, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
		if (n <= 0) continue;
		peer = from;
		if (!lose()) usrsctp_conninput(&udp, buf, n, 0);
	}
	return NULL;
}

static void option(struct socket *s, int name, const void *v, socklen_t n, const char *what) {
	must(usrsctp_setsockopt(s, IPPROTO_SCTP, name, v, n) == 0, what);
}

static struct sockaddr_conn address(void) {
	struct sockaddr_conn a;
	memset(&a, 0, sizeof a);
	a.sconn_family = AF_CONN;
	a.sconn_port = htons(PORT);
	a.sconn_addr = &udp;
	return a;
}

static struct socket *open_socket(int idata) {
	struct socket *s = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	must(s != NULL, "socket");
	int on = 1, size = 1 << 24;
	option(s, SCTP_NODELAY, &on, sizeof on, "SCTP_NODELAY");
	option(s, SCTP_RECVRCVINFO, &on, sizeof on, "SCTP_RECVRCVINFO");
	must(usrsctp_setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0, "SO_SNDBUF");
	must(usrsctp_setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0, "SO_RCVBUF");
	struct sctp_assoc_value v = {.assoc_id = SCTP_ALL_ASSOC,
		.assoc_value = SCTP_ENABLE_RESET_STREAM_REQ | SCTP_ENABLE_CHANGE_ASSOC_REQ};
	option(s, SCTP_ENABLE_STREAM_RESET, &v, sizeof v, "SCTP_ENABLE_STREAM_RESET");
	if (idata) {
		int level = 2;
		option(s, SCTP_FRAGMENT_INTERLEAVE, &level, sizeof level, "SCTP_FRAGMENT_INTERLEAVE");
		v.assoc_value = 1;
		option(s, SCTP_INTERLEAVING_SUPPORTED, &v, sizeof v, "SCTP_INTERLEAVING_SUPPORTED");
	}
	struct sctp_event e = {.se_assoc_id = SCTP_ALL_ASSOC, .se_type = SCTP_STREAM_RESET_EVENT, .se_on = 1};
	option(s, SCTP_EVENT, &e, sizeof e, "SCTP_EVENT");
	struct sctp_initmsg init = {.sinit_num_ostreams = 100, .sinit_max_instreams = 100};
	option(s, SCTP_INITMSG, &init, sizeof init, "SCTP_INITMSG");
	struct sctp_paddrparams p;
	memset(&p, 0, sizeof p);
	p.spp_address.ss_family = AF_CONN;
	p.spp_flags = SPP_PMTUD_DISABLE;
	p.spp_pathmtu = 1200;
	option(s, SCTP_PEER_ADDR_PARAMS, &p, sizeof p, "SCTP_PEER_ADDR_PARAMS");
	struct sockaddr_conn a = address();
	must(usrsctp_bind(s, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	return s;
}

/* Messages of several streams come interleaved, each in parts. */
static struct { char *b; size_t n; } parts[200];

static void notified(struct socket *s, const char *buf) {
	const struct sctp_stream_reset_event *e = (const void *)buf;
	if (e->strreset_type != SCTP_STREAM_RESET_EVENT || !(e->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN)) return;
	int n = (e->strreset_length - sizeof *e) / 2;
	struct sctp_reset_streams *r = calloc(1, sizeof *r + 2 * n);
	r->srs_assoc_id = SCTP_ALL_ASSOC;
	r->srs_flags = SCTP_STREAM_RESET_OUTGOING;
	r->srs_number_streams = n;
	memcpy(r->srs_stream_list, e->strreset_stream_list, 2 * n);
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RESET_STREAMS, r, sizeof *r + 2 * n)) perror("reset");
	free(r);
}

static void serve(struct socket *s) {
	static char buf[1 << 18];
	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		struct sctp_rcvinfo info;
		socklen_t info_len = sizeof info;
		unsigned kind;
		int flags = 0;
		ssize_t n = usrsctp_recvv(s, buf, sizeof buf, (struct sockaddr *)&from, &len, &info, &info_len, &kind, &flags);
		if (n <= 0) return;
		if (flags & MSG_NOTIFICATION) {
			notified(s, buf);
			continue;
		}
		size_t at = info.rcv_sid * 2 + !!(info.rcv_flags & SCTP_UNORDERED);
		must(at < sizeof parts / sizeof *parts, "stream");
		if (parts[at].b == NULL) parts[at].b = malloc(MAX_MESSAGE);
		must(parts[at].b != NULL && parts[at].n + n <= MAX_MESSAGE, "message too large");
		memcpy(parts[at].b + parts[at].n, buf, n);
		parts[at].n += n;
		if (!(flags & MSG_EOR)) continue;
		struct sctp_sndinfo out;
		memset(&out, 0, sizeof out);
		out.snd_sid = info.rcv_sid;
		out.snd_ppid = info.rcv_ppid;
		out.snd_flags = info.rcv_flags & SCTP_UNORDERED;
		n = parts[at].n;
		parts[at].n = 0;
		if (usrsctp_sendv(s, parts[at].b, n, NULL, 0, &out, sizeof out, SCTP_SENDV_SNDINFO, 0) != n) return;
	}
}

int main(int argc, char **argv) {
	int idata = argc > 1 && strcmp(argv[argc - 1], "idata") == 0;
	if (getenv("LOSS")) loss = atoi(getenv("LOSS"));
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int size = 1 << 22;
	setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	must(bind(udp, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	socklen_t len = sizeof a;
	must(getsockname(udp, (struct sockaddr *)&a, &len) == 0, "getsockname");
	peer = a;
	usrsctp_init(0, output, NULL);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_max_chunks_on_queue(1 << 20);
	usrsctp_register_address(&udp);
	struct socket *s = open_socket(idata);
	int client = argc > 2 && strcmp(argv[1], "client") == 0;
	if (client) peer.sin_port = htons(atoi(argv[2]));
	pthread_t t;
	must(pthread_create(&t, NULL, input, NULL) == 0, "thread");
	if (client) {
		struct sockaddr_conn to = address();
		must(usrsctp_connect(s, (struct sockaddr *)&to, sizeof to) == 0, "connect");
		printf("%d\n", ntohs(a.sin_port));
		fflush(stdout);
		serve(s);
	} else {
		must(usrsctp_listen(s, 1) == 0, "listen");
		printf("%d\n", ntohs(a.sin_port));
		fflush(stdout);
		struct socket *c = usrsctp_accept(s, NULL, NULL);
		must(c != NULL, "accept");
		serve(c);
	}
	/* Until the last SHUTDOWN COMPLETE has been seen. */
	for (;;) pause();
}
