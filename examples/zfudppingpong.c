/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round-trip latency of UDP: one process sends (ping), the other sends everything back (pong).
 *
 * Either side may be started first, and a side that was restarted is taken back: ping repeats a datagram that is not
 * answered in time and counts it as lost; the number in its first 8 bytes tells a late answer from the right one.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#include "common.h"

static struct {
	bool ping;
	bool full;
	bool json;
	bool read;
	size_t size;
	long iterations;
	long warmup;
	long wait_s;
	double percentile; /* 0: the usual ones only */
	const char *raw;
	struct sockaddr_in laddr, raddr;
} cfg = {.size = 12, .iterations = 1000000, .warmup = 10000, .wait_s = 60};

/* How long ping waits before it repeats a datagram. */
#define RESEND_NS 100000000ull
/* How long pong goes on after it has answered as many as it was told to. */
#define LINGER_NS 500000000ull

static const char usage[] =
	"usage: zfudppingpong [options] ping|pong LOCALHOST:PORT REMOTEHOST:PORT\n"
	"\n"
	"Measures UDP round trips between two processes. Attributes come from ZF_ATTR, at least\n"
	"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
	"  zfudppingpong pong 10.0.0.1:8000 10.0.0.2:8000\n"
	"  zfudppingpong ping 10.0.0.2:8000 10.0.0.1:8000\n"
	"\n"
	"  -s BYTES   payload, 0 to 65507 (12)\n"
	"  -i N       measured round trips (1000000)\n"
	"  -r N       round trips before measuring begins (10000)\n"
	"  -p PCT     report this percentile too\n"
	"  -w FILE    write every measured value to FILE, in ns, one a line\n"
	"  -f         report full round trips; default is half of each\n"
	"  -R         read every byte of the received data\n"
	"  -t SECONDS give up after this time without an answer (60)\n"
	"  --json     report as one JSON object\n"
	"  -h         this text\n"
	"\n"
	"Exit status: 0 done, 1 a call failed, 2 wrong command line, 3 no answer.\n";

static void
parse_args(int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "s:i:r:p:w:fRt:h", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			cfg.size = (size_t)ex_number("-s", optarg, 0, 65507);
			break;
		case 'i':
			cfg.iterations = ex_number("-i", optarg, 1, 1000000000);
			break;
		case 'r':
			cfg.warmup = ex_number("-r", optarg, 0, 1000000000);
			break;
		case 'p':
			cfg.percentile = atof(optarg);
			if (cfg.percentile <= 0 || cfg.percentile > 100) {
				fprintf(stderr, "-p \"%s\" is not a percentile above 0, up to 100\n", optarg);
				exit(EX_USAGE);
			}
			break;
		case 'w':
			cfg.raw = optarg;
			break;
		case 'f':
			cfg.full = true;
			break;
		case 'R':
			cfg.read = true;
			break;
		case 't':
			cfg.wait_s = ex_number("-t", optarg, 1, 86400);
			break;
		case 'j':
			cfg.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EX_OK);
		default:
			fputs(usage, stderr);
			exit(EX_USAGE);
		}
	}
	if (argc - optind != 3 || (strcmp(argv[optind], "ping") != 0 && strcmp(argv[optind], "pong") != 0)) {
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
	cfg.ping = strcmp(argv[optind], "ping") == 0;
	cfg.laddr = ex_addr(argv[optind + 1]);
	cfg.raddr = ex_addr(argv[optind + 2]);
}

struct message {
	struct zfur_msg msg;
	struct iovec iov[64];
};

/* What -R asks for: every byte passes through a register. */
static void
read_all(const struct message *m)
{
	static volatile unsigned sink;
	unsigned sum = 0;

	for (int i = 0; i < m->msg.iovcnt; i++)
		for (size_t k = 0; k < m->iov[i].iov_len; k++)
			sum += ((const unsigned char *)m->iov[i].iov_base)[k];
	sink = sum;
	(void)sink;
}

/* The number that ping put into the datagram, or what it expects where there is no room for one. */
static uint64_t
serial_of(const struct message *m, uint64_t expected)
{
	uint64_t serial;

	if (m->msg.iovcnt == 0 || m->iov[0].iov_len < sizeof(serial))
		return expected;
	memcpy(&serial, m->iov[0].iov_base, sizeof(serial));
	return serial;
}

/* A full port or an empty pool: poll until a send can succeed, and send again, as the guide says. */
static void
send_all(struct zf_stack *stack, struct zfut *ut, const struct iovec *iov, int n)
{
	int rc;

	while ((rc = zfut_send(ut, iov, n, 0)) == -EAGAIN || rc == -ENOBUFS)
		while (zf_reactor_perform(stack) == 0)
			;
	ex_try("zfut_send", rc);
}

/* Datagrams that the last receive left in the queue. One poll may bring several, so the reactor's return value alone
 * does not say that there is nothing to read.
 */
static int left;

/* One datagram answered with its number: true; false after RESEND_NS. */
static bool
await(struct zf_stack *stack, struct zfur *ur, uint64_t serial, uint64_t since, uint64_t *when)
{
	struct message rd;

	for (;;) {
		while (left == 0 && zf_reactor_perform(stack) == 0) {
			*when = ex_now_ns();
			if (*when - since > RESEND_NS)
				return false;
		}
		rd.msg.iovcnt = 64;
		zfur_zc_recv(ur, &rd.msg, 0);
		left = rd.msg.dgrams_left;
		if (rd.msg.iovcnt == 0)
			continue;
		*when = ex_now_ns();
		if (cfg.read)
			read_all(&rd);
		bool mine = serial_of(&rd, serial) == serial;

		zfur_zc_recv_done(ur, &rd.msg);
		if (mine)
			return true;
	}
}

static int
ping(struct zf_stack *stack, struct zfut *ut, struct zfur *ur, uint64_t *ns, long *lost)
{
	unsigned char *data = calloc(1, cfg.size + 1);
	struct iovec iov = {data, cfg.size};
	uint64_t last_answer = ex_now_ns(), sent, when = 0;
	/* Numbers of another run of ping must not be taken for ours. */
	uint64_t serial = last_answer << 20;

	if (data == NULL)
		return EX_FAILED;
	for (long it = -cfg.warmup; it < cfg.iterations;) {
		serial++;
		if (cfg.size >= sizeof(serial))
			memcpy(data, &serial, sizeof(serial));
		sent = ex_now_ns();
		send_all(stack, ut, &iov, 1);
		if (await(stack, ur, serial, sent, &when)) {
			if (it >= 0)
				ns[it] = cfg.full ? when - sent : (when - sent) / 2;
			it++;
			last_answer = when;
			continue;
		}
		if (it > -cfg.warmup)
			(*lost)++;
		if (when - last_answer > (uint64_t)cfg.wait_s * 1000000000u) {
			fprintf(stderr,
				"no answer for %ld s: is the other side running, with the same wire or network and the "
				"addresses swapped?\n",
				cfg.wait_s);
			free(data);
			return EX_SILENCE;
		}
	}
	free(data);
	return EX_OK;
}

static int
pong(struct zf_stack *stack, struct zfut *ut, struct zfur *ur)
{
	uint64_t last = ex_now_ns(), now;
	long served = 0, enough = cfg.warmup + cfg.iterations;
	bool heard = false; /* since last: the clock is read while there is nothing to do */
	struct message rd;

	for (;;) {
		if (left == 0 && zf_reactor_perform(stack) == 0) {
			now = ex_now_ns();
			if (heard)
				last = now;
			heard = false;
			if (now - last > (served >= enough ? LINGER_NS : (uint64_t)cfg.wait_s * 1000000000u))
				break;
			continue;
		}
		rd.msg.iovcnt = 64;
		zfur_zc_recv(ur, &rd.msg, 0);
		left = rd.msg.dgrams_left;
		if (rd.msg.iovcnt == 0)
			continue;
		if (cfg.read)
			read_all(&rd);
		send_all(stack, ut, rd.iov, rd.msg.iovcnt);
		zfur_zc_recv_done(ur, &rd.msg);
		served++;
		heard = true;
	}
	if (served == 0) {
		fprintf(stderr, "nothing arrived within %ld s\n", cfg.wait_s);
		return EX_SILENCE;
	}
	return EX_OK;
}

static void
report(uint64_t *ns, long lost)
{
	static const double pcts[] = {50, 90, 99, 99.9};
	size_t n = (size_t)cfg.iterations;
	char a[32];

	ex_sort(ns, n);
	if (cfg.json) {
		printf("{\"proto\":\"udp\",\"size\":%zu,\"iterations\":%zu,\"lost\":%ld,\"round_trip\":\"%s\",\"rtt_ns\":{"
		       "\"min\":%llu",
		       cfg.size, n, lost, cfg.full ? "full" : "half", (unsigned long long)ns[0]);
		for (size_t i = 0; i < sizeof(pcts) / sizeof(pcts[0]); i++)
			printf(",\"p%g\":%llu", pcts[i], (unsigned long long)ex_percentile(ns, n, pcts[i]));
		if (cfg.percentile > 0)
			printf(",\"p%g\":%llu", cfg.percentile,
			       (unsigned long long)ex_percentile(ns, n, cfg.percentile));
		printf(",\"max\":%llu}}\n", (unsigned long long)ns[n - 1]);
		return;
	}
	printf("UDP %s round trip, %zu bytes, %zu times, %ld lost\n", cfg.full ? "full" : "half", cfg.size, n, lost);
	printf("  %-8s %12s\n", "min", ex_time(ns[0], a));
	for (size_t i = 0; i < sizeof(pcts) / sizeof(pcts[0]); i++)
		printf("  p%-7g %12s\n", pcts[i], ex_time(ex_percentile(ns, n, pcts[i]), a));
	if (cfg.percentile > 0)
		printf("  p%-7g %12s\n", cfg.percentile, ex_time(ex_percentile(ns, n, cfg.percentile), a));
	printf("  %-8s %12s\n\n", "max", ex_time(ns[n - 1], a));
	ex_histogram(ns, n, 16);
}

int
main(int argc, char **argv)
{
	uint64_t *ns = NULL;
	struct zf_attr *attr;
	struct zf_stack *stack;
	struct zfur *ur;
	struct zfut *ut;
	long lost = 0;
	int rc;

	parse_args(argc, argv);
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &stack));
	EX_TRY(zfur_alloc(&ur, stack, attr));
	EX_TRY(zfur_addr_bind(ur, (struct sockaddr *)&cfg.laddr, sizeof(cfg.laddr),
			      (struct sockaddr *)&cfg.raddr, sizeof(cfg.raddr), 0));
	EX_TRY(zfut_alloc(&ut, stack, (struct sockaddr *)&cfg.laddr, sizeof(cfg.laddr),
			  (struct sockaddr *)&cfg.raddr, sizeof(cfg.raddr), 0, attr));
	if (cfg.ping) {
		ns = calloc((size_t)cfg.iterations, sizeof(*ns));
		if (ns == NULL) {
			fprintf(stderr, "no memory for %ld values\n", cfg.iterations);
			return EX_FAILED;
		}
		rc = ping(stack, ut, ur, ns, &lost);
		if (rc == EX_OK && cfg.raw != NULL && !ex_write_raw(cfg.raw, ns, (size_t)cfg.iterations))
			rc = EX_FAILED;
		if (rc == EX_OK)
			report(ns, lost);
		free(ns);
	} else {
		rc = pong(stack, ut, ur);
	}
	EX_TRY(zfut_free(ut));
	EX_TRY(zfur_free(ur));
	EX_TRY(zf_stack_free(stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
