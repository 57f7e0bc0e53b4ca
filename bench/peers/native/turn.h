/* What the peers written in C share: clocks, and the lines in which bench asks
 * and they answer. bench compiles them on demand; see native.go. */
#ifndef TURN_H
#define TURN_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double clock_ns(clockid_t id) {
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* What reading a clock twice adds to an interval, in nanoseconds. */
static inline double clock_cost(clockid_t id) {
	double least = 1e9;
	for (int i = 0; i < 200; i++) {
		double t = clock_ns(id);
		double d = clock_ns(id) - t;
		if (d < least) least = d;
	}
	return least;
}

static inline void answer(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static inline void answer_hex(const uint8_t *b, int n) {
	printf("{\"result\":\"");
	for (int i = 0; i < n; i++) printf("%02x", b[i]);
	answer("\"}");
}

/* Ends the program: bench shows its last words. */
static inline void die(const char *format, ...) {
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

enum { MAX_WORDS = 16 };

/* Reads a line and cuts it into words; returns how many, or -1 at the end. */
static inline int next_line(char *line, int size, char *words[MAX_WORDS]) {
	if (!fgets(line, size, stdin)) return -1;
	int n = 0;
	for (char *w = strtok(line, " \n"); w && n < MAX_WORDS; w = strtok(NULL, " \n")) words[n++] = w;
	return n;
}

#endif
