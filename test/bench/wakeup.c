/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How long a thread that sleeps takes to answer: round trips between two processes over a wire, the far one asleep in
 * poll(2) on its stack's descriptor each time, or spinning; and the same with blocking and spinning sockets of the kernel
 * over the loopback interface. The near end always spins. Taken in turns; medians.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <signal.h>

#include <zf/zf.h>

#define SIZE      32
#define GAP_NS    100000u /* between two round trips: long enough for the other side to fall asleep */
#define PATIENCE_NS 5000000000ull
#define MAX_ITER  1000000

enum way { WIRE_SPIN, WIRE_SLEEP, KERNEL_SPIN, KERNEL_SLEEP, WAYS };
static const char *const names[WAYS] = {"wire, spinning", "wire, asleep", "kernel socket, spinning",
					"kernel socket, blocking"};
static const char *const keys[WAYS] = {"wire_spin", "wire_sleep", "kernel_spin", "kernel_block"};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "wakeup: %s: %s\n", what, strerror(-rc));
	exit(1);
}

struct end {
	struct zf_stack *st;
	struct zfur *rx;
	struct zfut *tx;
	int fd;   /* the stack's */
	int sock; /* the kernel's */
};

static struct sockaddr_in
addr(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static void
open_wire(struct end *e, const char *path, bool far)
{
	struct sockaddr_in own = addr(far ? "10.0.0.2" : "10.0.0.1", 9), peer = addr(far ? "10.0.0.1" : "10.0.0.2", 9);
	char spec[256];
	struct zf_attr *attr;

	check(zf_init(), "zf_init");
	check(zf_attr_alloc(&attr), "zf_attr_alloc");
	snprintf(spec, sizeof(spec), "wire:%s", path);
	check(zf_attr_set_str(attr, "interface", spec), "interface");
	check(zf_attr_set_str(attr, "ipv4", far ? "10.0.0.2/24" : "10.0.0.1/24"), "ipv4");
	check(zf_stack_alloc(attr, &e->st), "zf_stack_alloc");
	check(zfur_alloc(&e->rx, e->st, attr), "zfur_alloc");
	check(zfur_addr_bind(e->rx, (struct sockaddr *)&own, sizeof(own), NULL, 0, 0), "zfur_addr_bind");
	check(zfut_alloc(&e->tx, e->st, (struct sockaddr *)&own, sizeof(own), (struct sockaddr *)&peer, sizeof(peer), 0,
			 attr),
	      "zfut_alloc");
	check(zf_waitable_fd_get(e->st, &e->fd), "zf_waitable_fd_get");
	zf_attr_free(attr);
}

static void
open_socket(struct end *e, int port, int to, int flags)
{
	struct sockaddr_in own = addr("127.0.0.1", port), peer = addr("127.0.0.1", to);

	e->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0);
	if (e->sock < 0 || bind(e->sock, (struct sockaddr *)&own, sizeof(own)) < 0 ||
	    connect(e->sock, (struct sockaddr *)&peer, sizeof(peer)) < 0)
		check(-errno, "kernel socket");
}

static bool
take(struct end *e, char *way)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[1];
	} rd = {.msg.iovcnt = 1};

	zfur_zc_recv(e->rx, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return false;
	*way = *(const char *)rd.iov[0].iov_base;
	zfur_zc_recv_done(e->rx, &rd.msg);
	return true;
}

static void
answer(struct end *e)
{
	char buf[SIZE] = {0};

	while (zfut_send_single(e->tx, buf, sizeof(buf)) == -EAGAIN)
		(void)zf_reactor_perform(e->st);
}

/* The far end of a wire. The first byte of a request says how to wait for the next one. */
static void
far_wire(const char *path)
{
	struct end e;
	struct pollfd p;
	char way = WIRE_SPIN;

	open_wire(&e, path, true);
	p = (struct pollfd){.fd = e.fd, .events = POLLIN};
	for (;;) {
		(void)zf_reactor_perform(e.st);
		if (take(&e, &way)) {
			answer(&e);
			continue;
		}
		if (way != WIRE_SLEEP)
			continue;
		check(zf_waitable_fd_prime(e.st), "zf_waitable_fd_prime");
		(void)poll(&p, 1, -1);
	}
}

static void
far_kernel(int port)
{
	struct end e;
	char buf[SIZE], way = KERNEL_SLEEP;

	open_socket(&e, port + 1, port, 0);
	for (;;)
		if (recv(e.sock, buf, sizeof(buf), way == KERNEL_SLEEP ? 0 : MSG_DONTWAIT) > 0) {
			way = buf[0];
			(void)!send(e.sock, buf, sizeof(buf), 0);
		}
}

static uint64_t
round_trip(struct end *e, enum way way)
{
	char buf[SIZE] = {(char)way}, got;
	uint64_t start = now_ns(), end = start + PATIENCE_NS;

	if (way <= WIRE_SLEEP) {
		while (zfut_send_single(e->tx, buf, sizeof(buf)) == -EAGAIN)
			(void)zf_reactor_perform(e->st);
		while (!take(e, &got)) {
			(void)zf_reactor_perform(e->st);
			if (now_ns() > end)
				check(-ETIMEDOUT, "answer over the wire");
		}
	} else {
		(void)!send(e->sock, buf, sizeof(buf), 0);
		while (recv(e->sock, buf, sizeof(buf), MSG_DONTWAIT) < 0)
			if (now_ns() > end)
				check(-ETIMEDOUT, "answer of the kernel's socket");
	}
	return now_ns() - start;
}

static bool
answered(struct end *e, enum way way)
{
	char buf[SIZE], got;

	if (way >= KERNEL_SPIN)
		return recv(e->sock, buf, sizeof(buf), MSG_DONTWAIT) > 0;
	(void)zf_reactor_perform(e->st);
	return take(e, &got);
}

/* Either process may be the first to be there: ask now and then until the other answers, and drop what else it says. */
static void
meet(struct end *e, enum way way)
{
	const char buf[SIZE] = {(char)way};
	uint64_t end = now_ns() + PATIENCE_NS, next = 0;

	for (uint64_t now = now_ns(); !answered(e, way); now = now_ns()) {
		if (now > end)
			check(-ETIMEDOUT, "the other process");
		if (now < next)
			continue;
		next = now + 50 * GAP_NS;
		if (way >= KERNEL_SPIN)
			(void)!send(e->sock, buf, sizeof(buf), 0);
		else
			(void)zfut_send_single(e->tx, buf, sizeof(buf));
	}
	for (end = now_ns() + 1000 * GAP_NS; now_ns() < end;)
		(void)answered(e, way);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
pin(int i)
{
	cpu_set_t all, one;
	int n = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	CPU_ZERO(&one);
	for (int c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(c, &all) && n++ == i % CPU_COUNT(&all))
			CPU_SET(c, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static void
start(void (*run)(const void *), const void *arg)
{
	pid_t pid = fork();

	if (pid < 0)
		check(-errno, "fork");
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(1);
	run(arg);
}

static void
run_wire(const void *arg)
{
	far_wire(arg);
}

static void
run_kernel(const void *arg)
{
	far_kernel(*(const int *)arg);
}

static void
measure(struct end *e, uint32_t iter, uint64_t *ns[WAYS])
{
	/* The way of a request is how the other end waits for the next one: so each is sent twice, the first not counted. */
	for (uint32_t i = 0; i < iter; i++)
		for (int w = 0; w < WAYS; w++)
			for (int twice = 0; twice < 2; twice++) {
				uint64_t until = now_ns() + GAP_NS;

				while (now_ns() < until)
					(void)zf_reactor_perform(e->st);
				ns[w][i] = round_trip(e, (enum way)w);
			}
	for (int w = 0; w < WAYS; w++)
		qsort(ns[w], iter, sizeof(*ns[w]), by_value);
}

static int
usage(FILE *f, int rc)
{
	fputs("usage: wakeup --path PATH [--iter N] [--port N] [--json]\n\n"
	      "Round trips to a process that sleeps, beside one that spins, over a wire and over kernel sockets.\n\n"
	      "  --path PATH   of the wire, in a folder of your own\n"
	      "  --iter N      round trips of each kind (1000)\n"
	      "  --port N      first of two UDP ports on 127.0.0.1 (34567)\n"
	      "  --json        figures as an object\n",
	      f);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {{"path", 1, NULL, 'p'}, {"iter", 1, NULL, 'i'}, {"port", 1, NULL, 'o'},
					      {"json", 0, NULL, 'j'}, {"help", 0, NULL, 'h'}, {0}};
	const char *path = NULL;
	uint64_t *ns[WAYS];
	struct end e;
	long iter = 1000;
	int c, port = 34567;
	bool json = false;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'p')
			path = optarg;
		else if (c == 'i')
			iter = atol(optarg);
		else if (c == 'o')
			port = atoi(optarg);
		else if (c == 'j')
			json = true;
		else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
	}
	if (path == NULL || iter < 1 || iter > MAX_ITER || port < 1024 || port > 65534)
		return usage(stderr, 2);
	start(run_wire, path);
	start(run_kernel, &port);
	pin(0);
	open_wire(&e, path, false);
	open_socket(&e, port, port + 1, SOCK_NONBLOCK);
	for (int w = 0; w < WAYS; w++)
		ns[w] = calloc((size_t)iter, sizeof(*ns[w]));
	meet(&e, WIRE_SPIN);
	meet(&e, KERNEL_SPIN);
	measure(&e, (uint32_t)iter, ns);
	if (json)
		printf("{");
	for (int w = 0; w < WAYS; w++) {
		uint64_t p50 = ns[w][iter / 2], p99 = ns[w][iter * 99 / 100];

		if (json)
			printf("%s\"%s\": {\"p50_ns\": %llu, \"p99_ns\": %llu}", w > 0 ? ", " : "", keys[w],
			       (unsigned long long)p50, (unsigned long long)p99);
		else
			printf("%-24s p50 %8.2f us   p99 %8.2f us\n", names[w], (double)p50 / 1e3, (double)p99 / 1e3);
	}
	if (json)
		puts("}");
	puts("wakeup: 1 passed, 0 failed, 0 skipped");
	return 0;
}
