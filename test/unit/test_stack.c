/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stacks as an application sees them, over wires: what zf_init() leaves behind, errors, memory over many rounds, and
 * two stacks on one queue. Unprivileged, without huge pages.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zf/zf.h>

#include "stack/stack.h"
#include "unit.h"

static struct sockaddr_in
addr(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static struct zf_stack *
stack_on(const char *interface, const char *ipv4, int64_t n_bufs)
{
	struct zf_attr *attr;
	struct zf_stack *st = NULL;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", interface), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "ipv4", ipv4), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(attr, "n_bufs", n_bufs), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(attr, &st), 0);
	zf_attr_free(attr);
	return st;
}

static struct zfut *
sender(struct zf_stack *st, const char *lip, const char *rip, int port)
{
	struct sockaddr_in l = addr(lip, port), r = addr(rip, port);
	struct zfut *ut = NULL;

	CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r,
					 sizeof(r), 0, NULL),
			      0);
	return ut;
}

static struct zfur *
receiver(struct zf_stack *st, const char *lip, int port)
{
	struct sockaddr_in l = addr(lip, port);
	struct zfur *ur = NULL;

	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	return ur;
}

/* -1: nothing there; else the 32-bit number at the start of the datagram. */
static int64_t
take(struct zfur *ur)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[2];
	} rd;
	uint32_t v;

	rd.msg.iovcnt = 2;
	zfur_zc_recv(ur, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return -1;
	memcpy(&v, rd.iov[0].iov_base, sizeof(v));
	zfur_zc_recv_done(ur, &rd.msg);
	return v;
}

static int
count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
alloc_before_init(void)
{
	struct zf_stack *st = (struct zf_stack *)&st, *was = st;
	struct zf_attr *attr;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_stack_alloc(attr, &st), -ENOENT);
	CU_ASSERT_PTR_EQUAL(st, was);
	zf_attr_free(attr);
}

static void
init_with_malformed_attributes(void)
{
	setenv("ZF_ATTR", "no_such_attribute=1", 1);
	CU_ASSERT_EQUAL(zf_init(), -EINVAL);
	unsetenv("ZF_ATTR");
}

/* What an application must find as it left it. EAL keeps one thread; whatever it keeps open does not survive exec. */
static void
init_leaves_no_trace(void)
{
	cpu_set_t cpus, cpus2;
	sigset_t mask, mask2, some;
	char cwd[512], cwd2[512];
	int threads, fds_before[256], opt = optind = 7;

	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &some, NULL);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CU_ASSERT_PTR_NOT_NULL(getcwd(cwd, sizeof(cwd)));
	for (int fd = 0; fd < 256; fd++)
		fds_before[fd] = fcntl(fd, F_GETFD);
	threads = count_dir("/proc/self/task");

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);

	sched_getaffinity(0, sizeof(cpus2), &cpus2);
	pthread_sigmask(SIG_SETMASK, NULL, &mask2);
	CU_ASSERT(CPU_EQUAL(&cpus, &cpus2));
	for (int sig = 1; sig < 32; sig++)
		CU_ASSERT_EQUAL(sigismember(&mask, sig), sigismember(&mask2, sig));
	CU_ASSERT_PTR_NOT_NULL(getcwd(cwd2, sizeof(cwd2)));
	CU_ASSERT_STRING_EQUAL(cwd, cwd2);
	CU_ASSERT_EQUAL(optind, opt);
	for (int fd = 0; fd < 256; fd++) {
		int now = fcntl(fd, F_GETFD);

		if (fds_before[fd] >= 0)
			CU_ASSERT_EQUAL(now, fds_before[fd])
		else
			CU_ASSERT(now < 0 || (now & FD_CLOEXEC) != 0);
	}
	CU_ASSERT(count_dir("/proc/self/task") <= threads + 1);
	CU_ASSERT_EQUAL(zf_init(), 0);
	CU_ASSERT_EQUAL(zf_deinit(), 0);
	CU_ASSERT_EQUAL(zf_init(), 0);
	pthread_sigmask(SIG_UNBLOCK, &some, NULL);
}

/* Two processes, each on a CPU of its own: the library leaves them there. Run before this process has an EAL. */
static void
processes_keep_their_cpus(void)
{
	cpu_set_t all;
	int n = 0;

	sched_getaffinity(0, sizeof(all), &all);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++) {
		cpu_set_t one, now;
		pid_t pid;
		int status;

		if (!CPU_ISSET(cpu, &all))
			continue;
		n++;
		pid = fork();
		if (pid == 0) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			if (zf_init() != 0)
				_exit(1);
			sched_getaffinity(0, sizeof(now), &now);
			_exit(CPU_EQUAL(&one, &now) ? 0 : 2);
		}
		CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT(WIFEXITED(status));
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	}
	CU_ASSERT(n >= 1);
}

static void
try_alloc(const char *name, const char *value, int expected)
{
	struct zf_stack *st = (struct zf_stack *)&st, *was = st;
	struct zf_attr *attr;
	int rc;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", "wire:errors/a"), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "ipv4", "10.0.0.1/24"), 0);
	CU_ASSERT_EQUAL(zf_attr_set_from_str(attr, name, value), 0);
	rc = zf_stack_alloc(attr, &st);
	if (rc != expected)
		printf("  %s=%s gives %d, not %d\n", name, value, rc, expected);
	CU_ASSERT_EQUAL(rc, expected);
	CU_ASSERT_PTR_EQUAL(st, was);
	zf_attr_free(attr);
}

static void
alloc_errors(void)
{
	struct zf_attr *attr;
	struct zf_stack *st = NULL;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_stack_alloc(attr, &st), -ENODEV); /* no interface */
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", "wire:errors/a"), 0);
	CU_ASSERT_EQUAL(zf_stack_alloc(attr, &st), -EINVAL); /* no address */
	zf_attr_free(attr);
	try_alloc("interface", "no_such_interface0", -ENODEV);
	try_alloc("interface", "wire:errors/c", -ENODEV);
	try_alloc("ipv4", "10.0.0.300/24", -EINVAL);
	try_alloc("ipv4", "10.0.0.1/33", -EINVAL);
	try_alloc("ipv4", "10.0.0.255/24", -EINVAL);
	try_alloc("ipv4", "224.0.0.1/24", -EINVAL);
	try_alloc("gateway", "10.1.0.1", -EINVAL);
	try_alloc("reactor_spin_count", "0", -EINVAL);
	try_alloc("n_bufs", "-1", -EINVAL);
	try_alloc("n_bufs", "2000000000", -ENOMEM);
	try_alloc("rx_ring_refill_batch_size", "12", -EINVAL);
	try_alloc("max_udp_rx_endpoints", "-5", -EINVAL);
}

static void
one_way_stacks(void)
{
	struct sockaddr_in l = addr("10.0.0.1", 9), r = addr("10.0.0.2", 9);
	struct zf_attr *attr;
	struct zf_stack *st;
	struct zfur *ur = NULL;
	struct zfut *ut = NULL;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", "wire:oneway/a"), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "ipv4", "10.0.0.1/24"), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(attr, "rx_ring_max", 0), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(attr, &st), 0);
	CU_ASSERT_EQUAL(zfur_alloc(&ur, st, attr), -EINVAL);
	CU_ASSERT_EQUAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
				   attr),
			0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(attr, "rx_ring_max", 512), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(attr, "tx_ring_max", 0), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(attr, &st), 0);
	CU_ASSERT_EQUAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
				   attr),
			-EINVAL);
	CU_ASSERT_EQUAL(zfur_alloc(&ur, st, attr), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	zf_attr_free(attr);
}

/* Resident memory of this process, in KiB. */
static long
rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long total, resident = 0;

	if (f != NULL && fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Two stacks with default attributes, datagrams both ways, both released. */
static void
one_round(int round)
{
	char a[64], b[64];
	struct zf_stack *sa, *sb;
	struct zfut *ut;
	struct zfur *ur;
	uint32_t v = (uint32_t)round;
	int64_t got = -1;

	snprintf(a, sizeof(a), "wire:round%d/a", round);
	snprintf(b, sizeof(b), "wire:round%d/b", round);
	sa = stack_on(a, "10.0.0.1/24", 0);
	sb = stack_on(b, "10.0.0.2/24", 0);
	ur = receiver(sb, "10.0.0.2", 1000);
	ut = sender(sa, "10.0.0.1", "10.0.0.2", 1000);
	CU_ASSERT_EQUAL(zfut_send_single(ut, &v, sizeof(v)), sizeof(v));
	for (int i = 0; i < 1000 && got < 0; i++) {
		zf_reactor_perform(sa);
		zf_reactor_perform(sb);
		got = take(ur);
	}
	CU_ASSERT_EQUAL(got, round);
	/* In either order, with zockets open. */
	CU_ASSERT_EQUAL(zf_stack_free(round & 1 ? sa : sb), 0);
	CU_ASSERT_EQUAL(zf_stack_free(round & 1 ? sb : sa), 0);
}

static void
memory_stays_flat(void)
{
	long early = 0, late;
	int fds = 0;

	for (int round = 0; round < 200; round++) {
		one_round(round);
		if (round == 20) {
			early = rss_kib();
			fds = count_dir("/proc/self/fd");
		}
	}
	late = rss_kib();
	printf("  resident after 20 rounds %ld KiB, after 200 %ld KiB\n", early, late);
#if !POOL_POISONS /* the sanitizer keeps freed memory for a while */
	CU_ASSERT(late < early + 8192);
#endif
	CU_ASSERT_EQUAL(count_dir("/proc/self/fd"), fds);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

static unsigned looks;

static uint16_t
count_looks(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	looks++;
	return 0;
}

/* Attributes n_bufs and reactor_spin_count: buffers of the pool, and looks at the port in a poll that finds nothing. */
static void
buffers_and_spins_as_asked(void)
{
	static const int64_t spins[] = {1, 2, 128};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(spins); i++) {
		struct zf_attr *attr;
		struct zf_stack *st;
		port_burst_fn rx;

		CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
		CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
		CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", "wire:spin/a"), 0);
		CU_ASSERT_EQUAL(zf_attr_set_str(attr, "ipv4", "10.0.0.1/24"), 0);
		CU_ASSERT_EQUAL(zf_attr_set_int(attr, "n_bufs", 100 + (int64_t)i), 0);
		CU_ASSERT_EQUAL(zf_attr_set_int(attr, "reactor_spin_count", spins[i]), 0);
		CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(attr, &st), 0);
		zf_attr_free(attr);
		CU_ASSERT_EQUAL(st->ctx.pool->n_bufs, 100 + i);
		CU_ASSERT_EQUAL(pool_free_count(st->ctx.pool), 100 + i);
		rx = st->ctx.rx;
		st->ctx.rx = count_looks;
		looks = 0;
		CU_ASSERT_EQUAL(zf_reactor_perform(st), 0);
		CU_ASSERT_EQUAL(looks, spins[i]);
		st->ctx.rx = rx;
		CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	}
}

static void
four_default_stacks(void)
{
	struct zf_stack *st[4];
	char name[64];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "wire:four%d/a", i);
		st[i] = stack_on(name, "10.0.0.1/24", 0);
	}
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(zf_stack_free(st[i]), 0);
}

/* A wire that hears itself, with no address configured: all of 127/8 is its own. */
static void
loop_hears_itself(void)
{
	struct zf_attr *attr;
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	uint32_t v = 4711;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(attr, "interface", "wire:loop"), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(attr, &st), 0);
	ur = receiver(st, "127.0.0.1", 5000);
	ut = sender(st, "127.0.0.9", "127.0.0.1", 5000);
	CU_ASSERT_EQUAL(zfut_send_single(ut, &v, sizeof(v)), sizeof(v));
	CU_ASSERT(zf_reactor_perform(st) > 0);
	CU_ASSERT_EQUAL(take(ur), 4711);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	zf_attr_free(attr);
}

static void
pending_work_is_never_wrongly_zero(void)
{
	struct zf_stack *a = stack_on("wire:pending/a", "10.0.0.1/24", 1024);
	struct zf_stack *b = stack_on("wire:pending/b", "10.0.0.2/24", 1024);
	struct zfur *ur = receiver(b, "10.0.0.2", 1000);
	struct zfut *ut = sender(a, "10.0.0.1", "10.0.0.2", 1000);
	uint32_t v = 1;
	int idle = 0;

	for (int i = 0; i < 100; i++) {
		zf_reactor_perform(a);
		zf_reactor_perform(b);
	}
	/* Timers of ARP may be due at any moment; but not always. */
	for (int i = 0; i < 1000; i++)
		idle += zf_stack_has_pending_work(b) == 0;
	CU_ASSERT(idle > 0);
	(void)take(ur);
	CU_ASSERT_EQUAL(zfut_send_single(ut, &v, sizeof(v)), sizeof(v));
	CU_ASSERT(zf_stack_has_pending_work(b) > 0);
	CU_ASSERT(zf_reactor_perform(b) > 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
}

/* Two stacks on one end of a wire, so on one queue, each with a thread of its own; the other end sends to both. */
#define SHARED_DGRAMS 10000u

struct shared_rx {
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	uint32_t next;
	bool in_order;
	uint32_t echoed;
};

static _Atomic int shared_stop;

static void *
shared_thread(void *arg)
{
	struct shared_rx *r = arg;

	while (!atomic_load(&shared_stop) && r->next < SHARED_DGRAMS) {
		int64_t v;

		if (zf_reactor_perform(r->st) == 0)
			sched_yield(); /* three threads, perhaps two CPUs */
		while ((v = take(r->ur)) >= 0) {
			uint32_t n = (uint32_t)v;

			if (v != r->next)
				r->in_order = false;
			r->next = n + 1;
			if (zfut_send_single(r->ut, &n, sizeof(n)) == sizeof(n))
				r->echoed++;
		}
	}
	return NULL;
}

/* Send number @i to both and wait for both echoes, bounded: nothing is lost, so nothing is repeated. */
static bool
shared_exchange(struct zf_stack *c, struct zfut *ut[2], struct zfur *ur[2], uint32_t i)
{
	int got[2] = {0, 0};

	for (int k = 0; k < 2; k++)
		while (zfut_send_single(ut[k], &i, sizeof(i)) == -EAGAIN)
			zf_reactor_perform(c);
	for (long spin = 0; spin < 20000000 && !(got[0] && got[1]); spin++) {
		zf_reactor_perform(c);
		for (int k = 0; k < 2; k++)
			while (take(ur[k]) == i)
				got[k]++;
		if ((spin & 7) == 7)
			sched_yield();
	}
	return got[0] == 1 && got[1] == 1;
}

static void
shared_run(const char *wire, bool first_freed_first)
{
	char end_a[64], end_b[64];
	struct shared_rx rx[2];
	struct zf_stack *c;
	struct zfut *ut[2];
	struct zfur *ur[2];
	pthread_t th[2];
	bool ok = true;
	uint32_t i;

	snprintf(end_a, sizeof(end_a), "wire:%s/a", wire);
	snprintf(end_b, sizeof(end_b), "wire:%s/b", wire);
	memset(rx, 0, sizeof(rx));
	rx[0].st = stack_on(end_a, "10.0.0.1/24", 2048);
	c = stack_on(end_b, "10.0.0.9/24", 4096);
	rx[1].st = stack_on(end_a, "10.0.0.2/24", 512);
	rx[0].ur = receiver(rx[0].st, "10.0.0.1", 1000);
	rx[1].ur = receiver(rx[1].st, "10.0.0.2", 1000);
	ur[0] = receiver(c, "10.0.0.9", 1001);
	ur[1] = receiver(c, "10.0.0.9", 1002);
	/* Nobody polls the other end yet: the first datagrams wait for ARP. */
	{
		struct sockaddr_in l = addr("10.0.0.9", 1), r0 = addr("10.0.0.1", 1000), r1 = addr("10.0.0.2", 1000);
		struct sockaddr_in l0 = addr("10.0.0.1", 1000), r9 = addr("10.0.0.9", 1001);

		CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut[0], c, (struct sockaddr *)&l, sizeof(l),
						 (struct sockaddr *)&r0, sizeof(r0), 0, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut[1], c, (struct sockaddr *)&l, sizeof(l),
						 (struct sockaddr *)&r1, sizeof(r1), 0, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(zfut_alloc(&rx[0].ut, rx[0].st, (struct sockaddr *)&l0, sizeof(l0),
						 (struct sockaddr *)&r9, sizeof(r9), 0, NULL), 0);
		l0 = addr("10.0.0.2", 1000);
		r9 = addr("10.0.0.9", 1002);
		CU_ASSERT_EQUAL_FATAL(zfut_alloc(&rx[1].ut, rx[1].st, (struct sockaddr *)&l0, sizeof(l0),
						 (struct sockaddr *)&r9, sizeof(r9), 0, NULL), 0);
	}
	atomic_store(&shared_stop, 0);
	for (int k = 0; k < 2; k++) {
		rx[k].in_order = true;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&th[k], NULL, shared_thread, &rx[k]), 0);
	}
	for (i = 0; i < SHARED_DGRAMS && ok; i++)
		ok = shared_exchange(c, ut, ur, i);
	atomic_store(&shared_stop, 1);
	for (int k = 0; k < 2; k++)
		pthread_join(th[k], NULL);
	CU_ASSERT(ok);
	for (int k = 0; k < 2; k++) {
		CU_ASSERT(rx[k].in_order);
		CU_ASSERT_EQUAL(rx[k].next, SHARED_DGRAMS);
		CU_ASSERT_EQUAL(rx[k].echoed, SHARED_DGRAMS);
		CU_ASSERT_EQUAL(rx[k].st->counters[CNT_RX_DROP_INBOX], 0);
		/* Every buffer is home, whoever received the frames. */
		CU_ASSERT_EQUAL(pool_free_count(rx[k].st->ctx.pool), rx[k].st->ctx.pool->n_bufs);
	}
	CU_ASSERT_EQUAL(zf_stack_free(rx[first_freed_first ? 0 : 1].st), 0);
	/* The one that is left goes on. */
	{
		struct shared_rx *left = &rx[first_freed_first ? 1 : 0];
		uint32_t v = 77;
		int64_t got = -1;

		CU_ASSERT_EQUAL(zfut_send_single(ut[first_freed_first ? 1 : 0], &v, sizeof(v)), sizeof(v));
		for (int n = 0; n < 1000 && got < 0; n++) {
			zf_reactor_perform(left->st);
			got = take(left->ur);
		}
		CU_ASSERT_EQUAL(got, 77);
		CU_ASSERT_EQUAL(zf_stack_free(left->st), 0);
	}
	CU_ASSERT_EQUAL(zf_stack_free(c), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

static void
two_stacks_share_a_queue(void)
{
	shared_run("shared1", true);
	shared_run("shared2", false);
}

/* The second stack arrives while the first one's thread polls and sends: nothing of the first one's is lost. */
static void
queue_becomes_shared_under_load(void)
{
	for (int round = 0; round < 20; round++) {
		char end_a[64], end_b[64];
		struct shared_rx rx = {.in_order = true};
		struct zf_stack *c, *late = NULL;
		struct zfut *ut;
		struct zfur *ur;
		pthread_t th;
		bool ok = true;

		snprintf(end_a, sizeof(end_a), "wire:late%d/a", round);
		snprintf(end_b, sizeof(end_b), "wire:late%d/b", round);
		rx.st = stack_on(end_a, "10.0.0.1/24", 1024);
		c = stack_on(end_b, "10.0.0.9/24", 1024);
		rx.ur = receiver(rx.st, "10.0.0.1", 1000);
		ur = receiver(c, "10.0.0.9", 1000);
		ut = sender(c, "10.0.0.9", "10.0.0.1", 1000);
		rx.ut = sender(rx.st, "10.0.0.1", "10.0.0.9", 1000);
		atomic_store(&shared_stop, 0);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&th, NULL, shared_thread, &rx), 0);
		for (uint32_t i = 0; i < 400 && ok; i++) {
			int64_t got = -1;

			if (i == 200)
				late = stack_on(end_a, "10.0.0.2/24", 256);
			while (zfut_send_single(ut, &i, sizeof(i)) == -EAGAIN)
				zf_reactor_perform(c);
			for (long spin = 0; spin < 20000000 && got < 0; spin++) {
				zf_reactor_perform(c);
				got = take(ur);
				if ((spin & 7) == 7)
					sched_yield();
			}
			ok = got == i;
		}
		atomic_store(&shared_stop, 1);
		pthread_join(th, NULL);
		CU_ASSERT(ok);
		CU_ASSERT(rx.in_order);
		if (late != NULL)
			CU_ASSERT_EQUAL(zf_stack_free(late), 0);
		CU_ASSERT_EQUAL(zf_stack_free(rx.st), 0);
		CU_ASSERT_EQUAL(zf_stack_free(c), 0);
	}
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

static void
versions_are_text(void)
{
	CU_ASSERT_PTR_NOT_NULL(strstr(zf_version(), "zf-dpdk"));
	CU_ASSERT_PTR_NOT_NULL(strstr(zf_version(), zf_version_short()));
	CU_ASSERT_STRING_EQUAL(zf_version_short(), onload_version_short());
	{
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			zf_print_version();
			_exit(9);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT(WIFEXITED(status));
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	}
}

/* The first three run before this process has an EAL. */
static const struct unit_test tests[] = {
	UNIT(alloc_before_init),
	UNIT(init_with_malformed_attributes),
	UNIT(processes_keep_their_cpus),
	UNIT(init_leaves_no_trace),
	UNIT(alloc_errors),
	UNIT(one_way_stacks),
	UNIT(loop_hears_itself),
	UNIT(pending_work_is_never_wrongly_zero),
	UNIT(buffers_and_spins_as_asked),
	UNIT(four_default_stacks),
	UNIT(two_stacks_share_a_queue),
	UNIT(queue_becomes_shared_under_load),
	UNIT(memory_stays_flat),
	UNIT(versions_are_text),
};

UNIT_MAIN("stack", tests)
