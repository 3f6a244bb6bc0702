/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP's cost in one thread: two stacks of this process on wire:NAME, so that nothing but our own code and the wire's
 * copies is measured.
 *
 *   rtt    cycles of a request and its response, for UDP and TCP
 *   conn   connections a second: connect, one byte, close, 64 in flight, the client closing first
 *   many   cycles of a message when N connections are open, in bursts of 32 over all of them
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include <zf/zf.h>

#define BURST     32
#define IN_FLIGHT 64
/* A client has 32768 ephemeral ports for each port of a server. */
#define PORTS     8

struct side {
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	struct zftl *tl[PORTS];
};

struct message {
	struct zft_msg msg;
	struct iovec iov[2];
};

struct udp_message {
	struct zfur_msg msg;
	struct iovec iov[2];
};

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static struct zf_attr *attr;
static bool json;

static void
must(const char *what, long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "tcp_load: %s: %s\n", what, strerror((int)-rc));
	exit(1);
}

static void
open_side(struct side *s, const char *wire, const char *ipv4, long endpoints)
{
	must("interface", zf_attr_set_str(attr, "interface", wire));
	must("ipv4", zf_attr_set_str(attr, "ipv4", ipv4));
	must("max_tcp_endpoints", zf_attr_set_int(attr, "max_tcp_endpoints", endpoints));
	must("zf_stack_alloc (see the log line)", zf_stack_alloc(attr, &s->st));
}

static struct sockaddr_in
addr(const char *ip, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static void
open_pair(struct side *a, struct side *b, long endpoints)
{
	must("zf_attr_alloc", zf_attr_alloc(&attr));
	/* Messages go one way: a late ACK would keep every one of them in the sender's queue. */
	must("attr", zf_attr_set_int(attr, "tcp_delayed_ack", 0));
	must("attr", zf_attr_set_int(attr, "reactor_spin_count", 1));
	must("attr", zf_attr_set_int(attr, "tcp_timewait_ms", 1));
	must("attr", zf_attr_set_int(attr, "max_tcp_syn_backlog", 1024));
	open_side(a, "wire:load/a", "10.0.0.1/16", endpoints);
	open_side(b, "wire:load/b", "10.0.0.2/16", endpoints);
	for (uint16_t i = 0; i < PORTS; i++) {
		struct sockaddr_in l = addr("10.0.0.2", (uint16_t)(20000 + i));

		must("zftl_listen", zftl_listen(b->st, (struct sockaddr *)&l, sizeof(l), attr, &b->tl[i]));
	}
}

static void
close_pair(struct side *a, struct side *b)
{
	must("zf_stack_free", zf_stack_free(a->st));
	must("zf_stack_free", zf_stack_free(b->st));
	zf_attr_free(attr);
}

static void
poll_both(struct side *a, struct side *b)
{
	zf_reactor_perform(a->st);
	zf_reactor_perform(b->st);
}

static struct zft *
open_one(struct side *a, long i)
{
	struct sockaddr_in to = addr("10.0.0.2", (uint16_t)(20000 + i % PORTS));
	struct zft_handle *h;
	struct zft *ts;

	must("zft_alloc", zft_alloc(a->st, attr, &h));
	must("zft_connect", zft_connect(h, (struct sockaddr *)&to, sizeof(to), &ts));
	return ts;
}

static struct zft *
accept_one(struct side *a, struct side *b, long k)
{
	struct zft *ts;

	for (int i = 0; i < 100000; i++) {
		if (zftl_accept(b->tl[k % PORTS], &ts) == 0)
			return ts;
		poll_both(a, b);
	}
	must("zftl_accept: nothing came", -ETIMEDOUT);
	return NULL;
}

static bool
receive(struct zft *ts)
{
	struct message m;

	m.msg.iovcnt = 2;
	zft_zc_recv(ts, &m.msg, 0);
	if (m.msg.iovcnt == 0)
		return false;
	(void)zft_zc_recv_done(ts, &m.msg);
	return true;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t
median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static uint64_t
tcp_rtt(struct side *a, struct side *b, struct zft *ca, struct zft *cb)
{
	char buf[12] = {0};
	uint64_t t = __rdtsc();

	must("send", zft_send_single(ca, buf, sizeof(buf), 0));
	do
		zf_reactor_perform(b->st);
	while (!receive(cb));
	must("send", zft_send_single(cb, buf, sizeof(buf), 0));
	do
		zf_reactor_perform(a->st);
	while (!receive(ca));
	return __rdtsc() - t;
}

static uint64_t
udp_rtt(struct side *from, struct side *to)
{
	struct side *s[2] = {from, to};
	char buf[12] = {0};
	uint64_t t = __rdtsc();

	for (int i = 0; i < 2; i++) {
		struct udp_message m;

		must("send", zfut_send_single(s[i]->ut, buf, sizeof(buf)));
		do {
			zf_reactor_perform(s[1 - i]->st);
			m.msg.iovcnt = 2;
			zfur_zc_recv(s[1 - i]->ur, &m.msg, 0);
		} while (m.msg.iovcnt == 0);
		zfur_zc_recv_done(s[1 - i]->ur, &m.msg);
	}
	return __rdtsc() - t;
}

static void
open_udp(struct side *s, const char *own, const char *other)
{
	struct sockaddr_in l = addr(own, 20001), r = addr(other, 20001);

	must("zfur_alloc", zfur_alloc(&s->ur, s->st, attr));
	must("zfur_addr_bind", zfur_addr_bind(s->ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0));
	must("zfut_alloc", zfut_alloc(&s->ut, s->st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r),
				      0, attr));
}

static void
run_rtt(long n)
{
	uint64_t *udp = calloc((size_t)n, sizeof(*udp)), *tcp = calloc((size_t)n, sizeof(*tcp));
	struct side a, b;
	struct zft *ca, *cb;

	if (udp == NULL || tcp == NULL)
		must("memory", -ENOMEM);
	open_pair(&a, &b, 64);
	open_udp(&a, "10.0.0.1", "10.0.0.2");
	open_udp(&b, "10.0.0.2", "10.0.0.1");
	ca = open_one(&a, 0);
	cb = accept_one(&a, &b, 0);
	for (long i = 0; i < n / 10 + 1000; i++) {
		(void)udp_rtt(&a, &b);
		(void)tcp_rtt(&a, &b, ca, cb);
	}
	for (long i = 0; i < n; i++) {
		udp[i] = udp_rtt(&a, &b);
		tcp[i] = tcp_rtt(&a, &b, ca, cb);
	}
	if (json)
		printf("{\"udp_cycles\": %llu, \"tcp_cycles\": %llu}\n", (unsigned long long)median(udp, (size_t)n),
		       (unsigned long long)median(tcp, (size_t)n));
	else
		printf("round trip in one thread, median of %ld: UDP %llu cycles, TCP %llu cycles\n", n,
		       (unsigned long long)median(udp, (size_t)n), (unsigned long long)median(tcp, (size_t)n));
	close_pair(&a, &b);
	free(udp);
	free(tcp);
}

struct flight {
	struct zft *ts;
	bool sent;
};

/* One turn of a client's connection; true when it is done. */
static bool
client_turn(struct flight *f)
{
	if (!f->sent) {
		if (zft_send_single(f->ts, "x", 1, 0) != 1)
			return false;
		f->sent = true;
		must("zft_free", zft_free(f->ts));
		return true;
	}
	return true;
}

static void
server_turn(struct side *b, struct zft **open, uint32_t *n)
{
	struct zft *ts;

	for (int i = 0; i < PORTS; i++)
		while (*n < 4 * IN_FLIGHT && zftl_accept(b->tl[i], &ts) == 0)
			open[(*n)++] = ts;
	for (uint32_t i = 0; i < *n;) {
		struct message m;
		int rc = 1;

		m.msg.iovcnt = 2;
		zft_zc_recv(open[i], &m.msg, 0);
		if (m.msg.iovcnt > 0)
			rc = zft_zc_recv_done(open[i], &m.msg);
		if (rc > 0) {
			i++;
			continue;
		}
		must("zft_free", zft_free(open[i]));
		open[i] = open[--*n];
	}
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
run_conn(long n)
{
	struct flight f[IN_FLIGHT] = {{NULL, false}};
	struct zft *open[4 * IN_FLIGHT];
	uint32_t n_open = 0;
	long started = 0, ended = 0;
	struct side a, b;
	double t;

	open_pair(&a, &b, 1024);
	t = seconds();
	while (ended < n) {
		for (int i = 0; i < IN_FLIGHT; i++) {
			if (f[i].ts == NULL && started < n) {
				f[i] = (struct flight){open_one(&a, started), false};
				started++;
			} else if (f[i].ts != NULL && client_turn(&f[i])) {
				f[i].ts = NULL;
				ended++;
			}
		}
		zf_reactor_perform(b.st);
		server_turn(&b, open, &n_open);
		zf_reactor_perform(a.st);
		if (seconds() - t > 60)
			must("connections: no progress in a minute", -ETIMEDOUT);
	}
	t = seconds() - t;
	if (json)
		printf("{\"connections_per_s\": %.0f}\n", (double)n / t);
	else
		printf("%ld connections (connect, 1 byte, close), %d in flight: %.0f a second\n", n, IN_FLIGHT,
		       (double)n / t);
	close_pair(&a, &b);
}

static void
run_many(long n_conns, long rounds)
{
	struct zft **ca = calloc((size_t)n_conns, sizeof(*ca)), **cb = calloc((size_t)n_conns, sizeof(*cb));
	uint64_t *cycles = calloc((size_t)rounds, sizeof(*cycles));
	uint64_t seed = 88172645463325252ull;
	struct side a, b;

	if (ca == NULL || cb == NULL || cycles == NULL)
		must("memory", -ENOMEM);
	open_pair(&a, &b, n_conns);
	for (long i = 0; i < n_conns; i++) {
		ca[i] = open_one(&a, i);
		cb[i] = accept_one(&a, &b, i);
		poll_both(&a, &b);
	}
	for (long r = 0; r < rounds; r++) {
		uint64_t t = __rdtsc();
		long at[BURST];
		int got = 0;

		for (int i = 0; i < BURST; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			at[i] = (long)(seed % (uint64_t)n_conns);
			must("send", zft_send_single(ca[at[i]], "0123456789ab", 12, 0));
		}
		while (got < BURST) {
			zf_reactor_perform(b.st);
			for (int i = 0; i < BURST; i++) {
				if (at[i] >= 0 && receive(cb[at[i]])) {
					long same = at[i];

					for (int k = 0; k < BURST; k++) {
						if (at[k] == same) {
							at[k] = -1;
							got++;
						}
					}
				}
			}
		}
		zf_reactor_perform(b.st);
		zf_reactor_perform(a.st);
		cycles[r] = (__rdtsc() - t) / BURST;
	}
	if (json)
		printf("{\"connections\": %ld, \"cycles\": %llu}\n", n_conns,
		       (unsigned long long)median(cycles, (size_t)rounds));
	else
		printf("%7ld open: %llu cycles a message (sent, received, acknowledged), bursts of %d\n", n_conns,
		       (unsigned long long)median(cycles, (size_t)rounds), BURST);
	close_pair(&a, &b);
	free(ca);
	free(cb);
	free(cycles);
}

static int
usage(FILE *f, int rc)
{
	fprintf(f, "usage: tcp_load [--json] rtt [COUNT] | conn [COUNT] | many CONNECTIONS [ROUNDS]\n"
		   "Two stacks of one thread on a wire in memory.\n"
		   "  rtt   median cycles of a UDP and of a TCP round trip (default 100000 of each)\n"
		   "  conn  connections a second (default 200000)\n"
		   "  many  cycles of a message with so many connections open (default 2000 rounds of 32)\n"
		   "Exit status: 0 fine, 1 a call failed, 2 usage.\n");
	return rc;
}

int
main(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
	}
	argv += optind;
	argc -= optind;
	if (argc < 1)
		return usage(stderr, 2);
	must("zf_init", zf_init());
	if (strcmp(argv[0], "rtt") == 0)
		run_rtt(argc > 1 ? atol(argv[1]) : 100000);
	else if (strcmp(argv[0], "conn") == 0)
		run_conn(argc > 1 ? atol(argv[1]) : 200000);
	else if (strcmp(argv[0], "many") == 0 && argc > 1 && atol(argv[1]) > 0)
		run_many(atol(argv[1]), argc > 2 ? atol(argv[2]) : 2000);
	else
		return usage(stderr, 2);
	return 0;
}
