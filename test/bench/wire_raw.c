/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a wire costs without a stack: round trips, or one-way rate, between two processes over the rings of
 * drivers/wire. Everything a stack does to a frame is left out, all that the driver does is in: look, copy in from a
 * header and a payload, copy out into a buffer of one's own. The figures of the stack are read against these.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire/copy.h"
#include "wire/rendezvous.h"

#define HEADERS   42u /* Ethernet, IPv4, UDP */
#define SIZE_MAX_ 1472u
#define WARM_UP   20000u
#define LOOK_EACH 16384u /* idle polls between looks at the rendezvous */

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

struct opts {
	const char *path;
	char role; /* a, b, or 2 for both */
	long iter;
	uint32_t size;
	int cpu[2];
	bool json;
	bool rate;
	double wait_s;
};

/* Both sides of one end, and private memory that stands for mbufs. */
struct end {
	struct rdv *rdv;
	struct ring_tx tx;
	struct ring_rx rx;
	uint8_t hdr[64] ZF_CACHE_ALIGNED;
	uint8_t payload[SIZE_MAX_ + 64] ZF_CACHE_ALIGNED;
	uint8_t in[RING_FRAME_MAX] ZF_CACHE_ALIGNED;
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* As wire_tx_copy(). */
static ZF_ALWAYS_INLINE bool
put(struct end *e, uint32_t len)
{
	uint8_t *slot;

	if (zf_unlikely(e->tx.room == 0) && ring_tx_refill(&e->tx) == 0)
		return false;
	slot = ring_tx_slot(&e->tx);
	ring_tx_claim(slot, HEADERS + len);
	copy_exact(slot + RING_DATA, e->hdr, HEADERS);
	copy_exact(slot + RING_DATA + HEADERS, e->payload, len);
	ring_tx_commit(&e->tx, slot, HEADERS + len);
	return true;
}

/* As wire_rx() of one frame. */
static ZF_ALWAYS_INLINE bool
get(struct end *e)
{
	uint8_t *slot = ring_rx_slot(&e->rx);
	uint32_t len = ring_rx_len(&e->rx, slot);

	if (len > RING_FRAME_MAX)
		return false;
	copy_over(e->in, slot + RING_DATA, len);
	ring_rx_next(&e->rx, slot);
	return true;
}

/* Idle for long: is the other end there still? On one core it must get the core, too. */
static ZF_NOINLINE bool
peer_is_there(struct end *e)
{
	(void)sched_yield();
	(void)rdv_step(e->rdv, now_ns());
	return rdv_link(e->rdv)->up;
}

static bool
get_wait(struct end *e)
{
	for (uint32_t spins = 1; !get(e); spins++) {
		zf_cpu_relax();
		if (spins % LOOK_EACH == 0 && !peer_is_there(e))
			return get(e);
	}
	return true;
}

static bool
put_wait(struct end *e, uint32_t len)
{
	for (uint32_t spins = 1; !put(e, len); spins++) {
		zf_cpu_relax();
		if (spins % LOOK_EACH == 0 && !peer_is_there(e))
			return false;
	}
	return true;
}

static bool
join(struct end *e, const struct opts *o)
{
	uint64_t end = now_ns() + (uint64_t)(o->wait_s * 1e9);
	const struct rdv_link *l;

	if (rdv_open(o->path, NULL, &e->rdv) != 0)
		return false; /* it said why */
	l = rdv_link(e->rdv);
	while (!l->up) {
		uint64_t now = now_ns();

		if (now > end) {
			fprintf(stderr, "wire_raw: nobody came to %s within %g s\n", o->path, o->wait_s);
			return false;
		}
		(void)rdv_step(e->rdv, now);
		if (!l->up)
			(void)sched_yield();
	}
	ring_tx_init(&e->tx, shm_ring(l->shm, l->role), l->epoch);
	ring_rx_init(&e->rx, shm_ring(l->shm, !l->role), l->epoch);
	return true;
}

/* Role b: send back what comes, or count it and answer the last. Until the other end leaves. */
static int
echo(struct end *e, const struct opts *o)
{
	for (long n = 1; get_wait(e); n++)
		if (!o->rate || n == o->iter)
			if (!put_wait(e, o->size))
				break;
	return EXIT_OK;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
percentile(const uint32_t *sorted, long n, double p)
{
	long rank = (long)((double)n * p / 100.0 + 0.999999);

	return sorted[rank < 1 ? 0 : rank > n ? n - 1 : rank - 1];
}

static void
report_rtt(const struct opts *o, uint32_t *ns)
{
	static const char *const names[] = {"p50", "p90", "p99", "p99.9"};
	static const double at[] = {50, 90, 99, 99.9};

	qsort(ns, (size_t)o->iter, sizeof(*ns), by_value);
	if (!o->json) {
		printf("raw wire, frames of %u + %u bytes, %ld round trips, ns:\n", HEADERS, o->size, o->iter);
		printf("%8s %8s %8s %8s %8s\n%8u", "min", names[0], names[1], names[2], names[3], ns[0]);
		for (size_t i = 0; i < ZF_ARRAY_SIZE(at); i++)
			printf(" %8u", percentile(ns, o->iter, at[i]));
		printf("\n");
		return;
	}
	printf("{\"rtt_ns\":{\"min\":%u", ns[0]);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(at); i++)
		printf(",\"%s\":%u", names[i], percentile(ns, o->iter, at[i]));
	printf("},\"iter\":%ld,\"size\":%u}\n", o->iter, o->size);
}

static int
lost(void)
{
	fprintf(stderr, "wire_raw: the other end left before the end\n");
	return EXIT_FAILED;
}

static int
measure_rtt(struct end *e, const struct opts *o)
{
	uint32_t *ns = calloc((size_t)o->iter, sizeof(*ns));

	if (ns == NULL) {
		fprintf(stderr, "wire_raw: no memory for %ld values\n", o->iter);
		return EXIT_FAILED;
	}
	memset(ns, 1, (size_t)o->iter * sizeof(*ns)); /* page faults now */
	for (long i = -(long)WARM_UP; i < o->iter; i++) {
		uint64_t t0 = now_ns();

		if (!put_wait(e, o->size) || !get_wait(e)) {
			free(ns);
			return lost();
		}
		if (i >= 0)
			ns[i] = (uint32_t)(now_ns() - t0);
	}
	report_rtt(o, ns);
	free(ns);
	return EXIT_OK;
}

static int
measure_rate(struct end *e, const struct opts *o)
{
	uint64_t t0 = now_ns(), ns;

	for (long i = 0; i < o->iter; i++)
		if (!put_wait(e, o->size))
			return lost();
	if (!get_wait(e))
		return lost();
	ns = now_ns() - t0;
	if (o->json)
		printf("{\"rate_pps\":%.0f,\"iter\":%ld,\"size\":%u}\n", (double)o->iter * 1e9 / (double)ns, o->iter,
		       o->size);
	else
		printf("raw wire, frames of %u + %u bytes, %ld one way, one at a time: %.3f million a second\n", HEADERS,
		       o->size, o->iter, (double)o->iter * 1e3 / (double)ns);
	return EXIT_OK;
}

static int
run(const struct opts *o, char role)
{
	static struct end e;
	int cpu = o->cpu[role == 'b'];
	cpu_set_t set;
	int rc;

	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) != 0) {
			fprintf(stderr, "wire_raw: cannot run on CPU %d: %s\n", cpu, strerror(errno));
			return EXIT_FAILED;
		}
	}
	memset(e.hdr, 0x11, sizeof(e.hdr));
	memset(e.payload, 0x22, sizeof(e.payload));
	memset(e.in, 0, sizeof(e.in));
	if (!join(&e, o))
		return EXIT_FAILED;
	rc = role == 'b' ? echo(&e, o) : o->rate ? measure_rate(&e, o) : measure_rtt(&e, o);
	rdv_close(e.rdv);
	return rc;
}

static int
run_both(const struct opts *o)
{
	int status = -1;
	int rc;
	pid_t pid = fork();

	if (pid < 0) {
		fprintf(stderr, "wire_raw: fork: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(o, 'b'));
	}
	rc = run(o, 'a');
	if (rc != EXIT_OK)
		kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		rc = EXIT_FAILED;
	return rc;
}

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: wire_raw --path PATH [options]\n"
		"  --path PATH       where the two ends meet (a socket is made there)\n"
		"  --role a|b|both   measure, send back, or fork and do both (both)\n"
		"  --iter N          round trips, or frames one way (1000000); the same at both ends with --oneway-rate\n"
		"  --size S          payload, 0 to %u; frames have %u bytes more (64)\n"
		"  --cpu A[,B]       pin: of one role its CPU, of both the one of a and of b (not pinned)\n"
		"  --oneway-rate     frames a second instead of round trips\n"
		"  --wait SECONDS    for the other end to come (60)\n"
		"  --json            one object instead of a table\n"
		"Exit status: 0 measured, 1 failed, 2 usage.\n",
		SIZE_MAX_, HEADERS);
}

static bool
number(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

static bool
cpus(const char *text, struct opts *o)
{
	char buf[32];
	char *comma;
	long v;

	if (strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	comma = strchr(buf, ',');
	if (comma != NULL)
		*comma = '\0';
	if (!number(buf, 0, CPU_SETSIZE - 1, &v))
		return false;
	o->cpu[0] = o->cpu[1] = (int)v;
	if (comma == NULL)
		return true;
	if (!number(comma + 1, 0, CPU_SETSIZE - 1, &v))
		return false;
	o->cpu[1] = (int)v;
	return true;
}

static bool
parse_one(struct opts *o, int c, const char *arg)
{
	long v;

	switch (c) {
	case 'p':
		o->path = arg;
		return arg[0] != '\0';
	case 'r':
		o->role = strcmp(arg, "both") == 0 ? '2' : strcmp(arg, "a") == 0 ? 'a' : strcmp(arg, "b") == 0 ? 'b' : 0;
		return o->role != 0;
	case 'i':
		return number(arg, 1, 500000000, &o->iter);
	case 's':
		if (!number(arg, 0, SIZE_MAX_, &v))
			return false;
		o->size = (uint32_t)v;
		return true;
	case 'c':
		return cpus(arg, o);
	case 'w':
		if (!number(arg, 0, 1000000, &v))
			return false;
		o->wait_s = (double)v;
		return true;
	case 'o':
		o->rate = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	default:
		return false;
	}
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"path", required_argument, NULL, 'p'},       {"role", required_argument, NULL, 'r'},
		{"iter", required_argument, NULL, 'i'},       {"size", required_argument, NULL, 's'},
		{"cpu", required_argument, NULL, 'c'},        {"wait", required_argument, NULL, 'w'},
		{"oneway-rate", no_argument, NULL, 'o'},      {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},             {0},
	};
	struct opts o = {.role = '2', .iter = 1000000, .size = 64, .cpu = {-1, -1}, .wait_s = 60};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_OK;
		}
		if (c == '?' || !parse_one(&o, c, optarg)) {
			if (c != '?')
				fprintf(stderr, "wire_raw: bad value: %s\n", optarg);
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (o.path == NULL || optind != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return o.role == '2' ? run_both(&o) : run(&o, o.role);
}
