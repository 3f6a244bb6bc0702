/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See common.h.
 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
ex_try(const char *call, long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %ld (%s)\n", call, rc, strerror((int)-rc));
	exit(EX_FAILED);
}

struct sockaddr_in
ex_addr(const char *text)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *res;
	struct sockaddr_in in;
	const char *colon = strrchr(text, ':');
	char host[256];
	long port;
	int rc;

	if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(host)) {
		fprintf(stderr, "\"%s\" is not HOST:PORT\n", text);
		exit(EX_USAGE);
	}
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	port = ex_number("port", colon + 1, 0, 65535);
	rc = getaddrinfo(host, NULL, &hints, &res);
	if (rc != 0) {
		fprintf(stderr, "host \"%s\": %s\n", host, gai_strerror(rc));
		exit(EX_USAGE);
	}
	memcpy(&in, res->ai_addr, sizeof(in));
	freeaddrinfo(res);
	in.sin_port = htons((uint16_t)port);
	return in;
}

long
ex_number(const char *what, const char *text, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max) {
		fprintf(stderr, "%s \"%s\" is not a number from %ld to %ld\n", what, text, min, max);
		exit(EX_USAGE);
	}
	return v;
}

uint64_t
ex_bytes(const char *what, const char *text, uint64_t min)
{
	static const char units[] = "KMG";
	const char *unit;
	int shift = 0;
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	unit = *end == '\0' ? NULL : strchr(units, *end);
	if (unit != NULL) {
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (errno != 0 || end == text || *end != '\0' || v < 0 || v > (INT64_MAX >> shift) ||
	    ((uint64_t)v << shift) < min) {
		fprintf(stderr, "%s \"%s\" is not a number of bytes from %llu on, such as 1000000, 64K, 20M or 1G\n", what,
			text, (unsigned long long)min);
		exit(EX_USAGE);
	}
	return (uint64_t)v << shift;
}

const char *
ex_host(const struct sockaddr_in *in, char buf[32])
{
	char name[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &in->sin_addr, name, sizeof(name));
	snprintf(buf, 32, "%s:%u", name, ntohs(in->sin_port));
	return buf;
}

/* Atomic rather than volatile: more threads than the one that the signal interrupts ask. */
static atomic_bool stopped;

static void
on_signal(int sig)
{
	(void)sig;
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
}

void
ex_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	/* No SA_RESTART: a sleep is to end. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool
ex_stopped(void)
{
	return atomic_load_explicit(&stopped, memory_order_relaxed);
}

bool ex_quiet;

void
ex_trace(const char *fmt, ...)
{
	va_list ap;

	if (ex_quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

uint64_t
ex_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int
cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void
ex_sort(uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), cmp_u64);
}

uint64_t
ex_percentile(const uint64_t *sorted, size_t n, double percent)
{
	size_t i = (size_t)(percent / 100.0 * (double)n);

	if (n == 0)
		return 0;
	return sorted[i < n ? i : n - 1];
}

const char *
ex_time(uint64_t ns, char buf[32])
{
	if (ns < 10000)
		snprintf(buf, 32, "%llu ns", (unsigned long long)ns);
	else if (ns < 10000000)
		snprintf(buf, 32, "%.1f us", (double)ns / 1e3);
	else
		snprintf(buf, 32, "%.1f ms", (double)ns / 1e6);
	return buf;
}

const char *
ex_rate(uint64_t n, uint64_t ns, const char *unit, int width, char buf[48])
{
	static const char prefix[] = " kMG";
	double rate = ns == 0 ? 0 : (double)n * 1e9 / (double)ns;
	int i = 0;

	for (; rate >= 1000 && i < 3; i++)
		rate /= 1000;
	snprintf(buf, 48, "%*.3f %.*s%s/s", width, rate, i > 0, prefix + i, unit);
	return buf;
}

void
ex_histogram(const uint64_t *sorted, size_t n, int lines)
{
	uint64_t low = ex_percentile(sorted, n, 0), high = ex_percentile(sorted, n, 99.9);
	uint64_t step = (high - low) / (uint64_t)lines + 1;
	size_t counts[64] = {0}, most = 1, beyond = 0;
	char a[32];

	if (n == 0 || lines < 1 || lines > 64)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t bin = (sorted[i] - low) / step;

		if (bin >= (uint64_t)lines)
			beyond++;
		else if (++counts[bin] > most)
			most = counts[bin];
	}
	for (int b = 0; b < lines; b++) {
		int bar = (int)(counts[b] * 50 / most);

		printf("  %10s |%-50.*s %zu\n", ex_time(low + (uint64_t)b * step, a), bar,
		       "##################################################", counts[b]);
	}
	printf("  %10s |%-50s %zu\n", "beyond", "", beyond);
}

bool
ex_write_raw(const char *file, const uint64_t *ns, size_t n)
{
	FILE *f = fopen(file, "w");
	bool ok = f != NULL;

	for (size_t i = 0; ok && i < n; i++)
		ok = fprintf(f, "%llu\n", (unsigned long long)ns[i]) > 0;
	if (f != NULL && fclose(f) != 0)
		ok = false;
	if (!ok)
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
	return ok;
}
