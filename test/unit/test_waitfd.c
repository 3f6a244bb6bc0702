/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sleeping on a stack: zf_waitable_fd_get() and _prime() over wires of one process and over drivers/mem. Two processes and
 * the kernel's interfaces are in test/pair and test/interop. What a thread waits for here is a descriptor, bounded by
 * PATIENCE_MS; nothing else takes time.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if HAVE_LIBEVENT
#include <event2/event.h>
#endif

#include "mem_help.h"

#define PATIENCE_MS 10000
#define ROUNDS      100000

static int
fd_of(struct zf_stack *st)
{
	int fd = -1;

	CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_get(st, &fd), 0);
	return fd;
}

static bool
readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN) != 0;
}

/* Handle what there is until the descriptor stays quiet behind a prime. */
static void
settle(struct zf_stack *st, int fd)
{
	for (int i = 0; i < 100000; i++) {
		while (zf_reactor_perform(st) > 0)
			;
		CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(st), 0);
		if (!readable(fd, 0))
			return;
	}
	CU_FAIL_FATAL("the descriptor never becomes quiet");
}

/* The two ends of a wire, with a datagram's way from b to a, neighbours known. */
struct ends {
	struct zf_stack *a, *b;
	struct zfur *rx;
	struct zfut *tx;
	int fd;
};

static struct zfut *
sender(struct zf_stack *st, const char *from, const char *to, struct zf_stack *other)
{
	struct sockaddr_in l = help_addr(from, 2000), r = help_addr(to, 1000);
	struct zf_attr *attr;
	struct zfut *us;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(
		zfut_alloc(&us, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0, attr), 0);
	zf_attr_free(attr);
	for (int i = 0; i < 1000; i++) {
		(void)zf_reactor_perform(other);
		(void)zf_reactor_perform(st);
	}
	return us;
}

static struct zfur *
receiver(struct zf_stack *st, const char *at)
{
	struct sockaddr_in l = help_addr(at, 1000);
	struct zf_attr *attr;
	struct zfur *us;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&us, st, attr), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(us, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	zf_attr_free(attr);
	return us;
}

static void
ends_open(struct ends *e, const char *name)
{
	char attrs[256];

	snprintf(attrs, sizeof(attrs), "interface=wire:%s/a;ipv4=10.9.0.1/24;n_bufs=512;arp_reply_timeout=0", name);
	e->a = help_stack(attrs);
	snprintf(attrs, sizeof(attrs), "interface=wire:%s/b;ipv4=10.9.0.2/24;n_bufs=512;arp_reply_timeout=0", name);
	e->b = help_stack(attrs);
	e->rx = receiver(e->a, "10.9.0.1");
	e->tx = sender(e->b, "10.9.0.2", "10.9.0.1", e->a);
	e->fd = fd_of(e->a);
}

static void
ends_close(struct ends *e)
{
	CU_ASSERT_EQUAL(zf_stack_free(e->a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(e->b), 0);
}

static uint32_t
take(struct zfur *us)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[1];
	} rd;
	uint32_t n = 0;

	for (;;) {
		rd.msg.iovcnt = 1;
		zfur_zc_recv(us, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			return n;
		zfur_zc_recv_done(us, &rd.msg);
		n++;
	}
}

static void
codes(void)
{
	struct zf_stack *st = help_stack("interface=wire:loop;n_bufs=256");
	struct rlimit was, none;
	int fd = -1, again = -1, free_fd;

	CU_ASSERT_EQUAL(zf_waitable_fd_prime(st), -EINVAL);
	free_fd = dup(0);
	close(free_fd);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (rlim_t more = 0; more < 3; more++) { /* the first, the second, the third of the descriptors is missing */
		none = (struct rlimit){(rlim_t)free_fd + more, was.rlim_max};
		CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
		CU_ASSERT_EQUAL(zf_waitable_fd_get(st, &fd), -EMFILE);
		CU_ASSERT_EQUAL(fd, -1);
		CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &was), 0);
	}
	CU_ASSERT_EQUAL(zf_waitable_fd_prime(st), -EINVAL);
	CU_ASSERT_EQUAL(zf_waitable_fd_get(st, &fd), 0);
	CU_ASSERT_EQUAL(fd, free_fd); /* nothing was left open */
	CU_ASSERT_EQUAL(zf_waitable_fd_get(st, &again), 0);
	CU_ASSERT_EQUAL(again, fd);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CU_ASSERT(readable(fd, 0)); /* until it is primed */
	settle(st, fd);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
}

static void
frame_wakes(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct timeval patience = {PATIENCE_MS / 1000, 0};
	struct ends e;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	fd_set set;

	ends_open(&e, "wfframe");
	CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, e.fd, &ev), 0);
	settle(e.a, e.fd);
	CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	CU_ASSERT_EQUAL(zfut_send_single(e.tx, "x", 1), 1);
	CU_ASSERT(readable(e.fd, PATIENCE_MS));
	CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, PATIENCE_MS), 1);
	FD_ZERO(&set);
	FD_SET(e.fd, &set);
	CU_ASSERT_EQUAL(select(e.fd + 1, &set, NULL, NULL, &patience), 1);
	CU_ASSERT(zf_reactor_perform(e.a) > 0);
	CU_ASSERT_EQUAL(take(e.rx), 1);
	settle(e.a, e.fd);
	CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	/* What came before the prime counts too. */
	CU_ASSERT_EQUAL(zfut_send_single(e.tx, "x", 1), 1);
	CU_ASSERT_EQUAL(zf_waitable_fd_prime(e.a), 0);
	CU_ASSERT(readable(e.fd, 0));
	close(ep);
	ends_close(&e);
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A connection attempt that nobody answers ends by the stack's timers alone, slept through in few turns. */
static void
timer_wakes(void)
{
	struct zf_stack *st = help_stack("interface=wire:wftimer/a;ipv4=10.9.0.1/24;n_bufs=256;arp_reply_timeout=0;"
					 "tcp_syn_retries=1;tcp_rto_initial_ms=100;tcp_rto_min_ms=100");
	struct sockaddr_in r = help_addr("10.9.0.2", 1000);
	uint64_t end = now_ms() + PATIENCE_MS;
	struct zft_handle *h;
	struct zf_attr *attr;
	struct zft *ts;
	int fd = fd_of(st), turns = 0;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(zft_alloc(st, attr, &h), 0);
	CU_ASSERT_EQUAL_FATAL(zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts), 0);
	while (zft_error(ts) == 0 && now_ms() < end) {
		settle(st, fd);
		CU_ASSERT(readable(fd, PATIENCE_MS));
		turns++;
	}
	CU_ASSERT(zft_error(ts) == ETIMEDOUT || zft_error(ts) == EHOSTUNREACH);
	CU_ASSERT(turns < 100); /* timers of TCP, ARP and IGMP, a handful each */
	zf_attr_free(attr);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* The descriptor itself may be waited on by epoll_wait(), which makes it quiet. If the kernel's clock is ahead of the
 * stack's, far ahead here, the timer goes off before it is due: it is set again, also if nobody sees that it did.
 */
static void
timer_too_early_is_set_again(void)
{
	struct zf_stack *st = help_stack("interface=wire:wfearly/a;ipv4=10.9.0.1/24;n_bufs=256;arp_reply_timeout=0;"
					 "tcp_syn_retries=1;tcp_rto_initial_ms=100;tcp_rto_min_ms=100");
	struct sockaddr_in r = help_addr("10.9.0.2", 1000);
	struct epoll_event ev[4];
	struct zft_handle *h;
	struct zf_attr *attr;
	struct zft *ts;
	int fd = fd_of(st);

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(zft_alloc(st, attr, &h), 0);
	CU_ASSERT_EQUAL_FATAL(zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts), 0);
	settle(st, fd);
	st->ctx.hz *= 4; /* of what is set from now on the kernel makes a quarter */
	st->waitfd.due = 0;
	for (int i = 0; i < 1000 && zft_error(ts) == 0; i++) {
		while (zf_reactor_perform(st) > 0)
			;
		CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(st), 0);
		CU_ASSERT_FATAL(epoll_wait(fd, ev, 4, PATIENCE_MS) > 0);
	}
	CU_ASSERT_NOT_EQUAL(zft_error(ts), 0);
	zf_attr_free(attr);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

static uint64_t
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Nothing happens for a while: the thread takes next to no time. */
static void
sleep_is_free(void)
{
	struct ends e;
	uint64_t end, cpu;
	int turns = 0;

	ends_open(&e, "wffree");
	settle(e.a, e.fd);
	end = now_ms() + 500;
	cpu = cpu_us();
	for (uint64_t now = now_ms(); now < end; now = now_ms()) {
		if (readable(e.fd, (int)(end - now)))
			turns++;
		settle(e.a, e.fd);
	}
	CU_ASSERT(cpu_us() - cpu < 50000);
	CU_ASSERT(turns < 50);
	ends_close(&e);
}

/* A thread that sends while the other one goes to sleep: each datagram is met by somebody awake. */
struct round {
	struct ends e;
	_Atomic uint32_t wanted; /* datagrams that may have been sent */
	_Atomic uint32_t stop;
};

static void *
send_when_told(void *arg)
{
	struct round *r = arg;
	uint32_t sent = 0, seed = 1;

	while (atomic_load_explicit(&r->stop, memory_order_relaxed) == 0) {
		if (sent == atomic_load_explicit(&r->wanted, memory_order_acquire)) {
			if ((sent & 0xff) == 0)
				(void)zf_reactor_perform(r->e.b);
			continue;
		}
		/* Anywhere around the other's prime: some nanoseconds to some microseconds later. */
		seed = seed * 1664525u + 1013904223u;
		for (volatile uint32_t i = seed >> 21; i > 0; i--)
			;
		while (zfut_send_single(r->e.tx, &sent, sizeof(sent)) == -EAGAIN)
			(void)zf_reactor_perform(r->e.b);
		sent++;
	}
	return NULL;
}

static void
no_wakeup_is_lost(void)
{
	struct round r = {0};
	uint32_t got = 0, slept = 0;
	pthread_t t;

	ends_open(&r.e, "wfrounds");
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, send_when_told, &r), 0);
	while (got < ROUNDS) {
		atomic_store_explicit(&r.wanted, got + 1, memory_order_release);
		for (;;) {
			(void)zf_reactor_perform_attr(r.e.a, &(struct zf_attr){.reactor_spin_count = 1});
			if (take(r.e.rx) == 1)
				break;
			CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(r.e.a), 0);
			if (!readable(r.e.fd, 0)) {
				slept++;
				if (!readable(r.e.fd, PATIENCE_MS)) {
					CU_FAIL("a wake-up was lost");
					goto out;
				}
			}
		}
		got++;
	}
	CU_ASSERT(slept > 0);
out:
	CU_ASSERT_EQUAL(got, ROUNDS);
	atomic_store(&r.stop, 1);
	CU_ASSERT_EQUAL(pthread_join(t, NULL), 0);
	ends_close(&r.e);
}

/* Two stacks on one end: the one that is awake receives for the one that sleeps, and wakes it. */
static void
awake_stack_wakes_the_sleeping_one(void)
{
	struct zf_stack *a1, *a2, *b;
	struct zfur *rx;
	struct zfut *tx;
	int fd;

	a1 = help_stack("interface=wire:wfshare/a;ipv4=10.9.0.1/24;n_bufs=512;arp_reply_timeout=0");
	a2 = help_stack("interface=wire:wfshare/a;ipv4=10.9.0.3/24;n_bufs=512;arp_reply_timeout=0");
	b = help_stack("interface=wire:wfshare/b;ipv4=10.9.0.2/24;n_bufs=512;arp_reply_timeout=0");
	for (int i = 0; i < 1000; i++) {
		(void)zf_reactor_perform(a1);
		(void)zf_reactor_perform(a2);
		(void)zf_reactor_perform(b);
	}
	rx = receiver(a1, "10.9.0.1");
	tx = sender(b, "10.9.0.2", "10.9.0.1", a1);
	fd = fd_of(a1);
	for (int i = 0; i < 200; i++) {
		settle(a1, fd);
		CU_ASSERT_EQUAL(zfut_send_single(tx, "x", 1), 1);
		if (i % 2 == 0)
			(void)zf_reactor_perform(a2); /* takes the frame from the queue */
		CU_ASSERT(readable(fd, PATIENCE_MS));
		(void)zf_reactor_perform(a1);
		CU_ASSERT_EQUAL(take(rx), 1);
	}
	CU_ASSERT_EQUAL(zf_stack_free(a1), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a2), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
}

/* The other end comes, goes, and comes back: each is an event. */
static void
link_wakes(void)
{
	struct zf_stack *a = help_stack("interface=wire:wflink/a;ipv4=10.9.0.1/24;n_bufs=256");
	struct zf_stack *b;
	int fd = fd_of(a);

	for (int i = 0; i < 20; i++) {
		settle(a, fd);
		b = help_stack("interface=wire:wflink/b;ipv4=10.9.0.2/24;n_bufs=256");
		CU_ASSERT(readable(fd, PATIENCE_MS));
		settle(a, fd);
		CU_ASSERT_EQUAL(zf_stack_free(b), 0);
		CU_ASSERT(readable(fd, PATIENCE_MS));
	}
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
}

/* A port that cannot interrupt is looked at now and then, as often as the attribute says. */
static void
ports_without_interrupt_are_looked_at(void)
{
	struct zf_stack *st = help_stack("interface=mem:wfmem;ipv4=192.0.2.1/24;n_bufs=256;fd_poll_interval_us=20000");
	int fd = fd_of(st);
	uint64_t start;

	for (int i = 0; i < 3; i++) {
		settle(st, fd);
		start = now_ms();
		CU_ASSERT(readable(fd, PATIENCE_MS));
		CU_ASSERT(now_ms() - start >= 10);
	}
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* The same where nobody can say whether a frame waits, as on DPDK's adapters: alone on the port and with another stack. */
static void
ports_without_peek_become_quiet(void)
{
	static const char attrs[] = "interface=mem:wfblind;ipv4=192.0.2.%d/24;n_bufs=256;fd_poll_interval_us=20000";
	struct mem_port *p = mem_port("wfblind");
	struct zf_stack *st[2];
	char text[128];

	mem_cfg(p)->caps &= ~(uint32_t)PORT_RX_PEEK;
	for (int n = 0; n < 2; n++) {
		snprintf(text, sizeof(text), attrs, n + 1);
		st[n] = help_stack(text);
		for (int i = 0; i <= n; i++) {
			settle(st[i], fd_of(st[i]));
			CU_ASSERT(readable(fd_of(st[i]), PATIENCE_MS)); /* by the timer */
		}
	}
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
}

/* A send that found the port full, and one that found no buffer: the loop must not sleep over them. */
static void
owed_work_keeps_it_readable(void)
{
	struct ends e;
	int rc;

	ends_open(&e, "wfowed");
	settle(e.b, fd_of(e.b));
	do
		rc = zfut_send_single(e.tx, "x", 1);
	while (rc == 1);
	CU_ASSERT_EQUAL(rc, -EAGAIN);
	CU_ASSERT_EQUAL(zf_waitable_fd_prime(e.b), 0);
	CU_ASSERT(readable(fd_of(e.b), 0));
	while (zf_reactor_perform(e.a) > 0)
		(void)take(e.rx);
	CU_ASSERT(zf_reactor_perform(e.b) > 0);
	settle(e.b, fd_of(e.b));
	ends_close(&e);
}

/* The child has the stack from here on: 100 datagrams, each slept for; a byte to @told says that it is about to. Its exit
 * code: 0, or the step that failed.
 */
static int
child_sleeps(struct ends *e, int told)
{
	struct pollfd p = {.fd = e->fd, .events = POLLIN};
	uint32_t got = 0;

	while (got < 100) {
		while (zf_reactor_perform(e->a) > 0)
			;
		got += take(e->rx);
		if (got == 100)
			break;
		if (zf_waitable_fd_prime(e->a) != 0)
			return 1;
		if (write(told, "", 1) != 1 || poll(&p, 1, PATIENCE_MS) != 1)
			return 2;
	}
	return 0;
}

/* After fork() the child may use a stack that the parent leaves alone, its descriptor too. */
static void
child_sleeps_on_the_stack_it_got(void)
{
	int status = -1, told[2];
	struct ends e;
	pid_t pid;
	char c;

	ends_open(&e, "wffork");
	settle(e.a, e.fd);
	CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
	pid = fork();
	if (pid == 0)
		_exit(child_sleeps(&e, told[1]));
	close(told[1]);
	CU_ASSERT_FATAL(pid > 0);
	/* One datagram for each time that it goes to sleep; a spurious turn asks for one more, which nobody counts on. */
	while (readable(told[0], PATIENCE_MS) && read(told[0], &c, 1) == 1) {
		while (zfut_send_single(e.tx, "x", 1) == -EAGAIN)
			(void)zf_reactor_perform(e.b);
		(void)zf_reactor_perform(e.b);
	}
	close(told[0]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	ends_close(&e);
}

#if HAVE_LIBEVENT
struct loop {
	struct ends e;
	struct event_base *base;
	int pipe[2];
	uint32_t datagrams, bytes, asked;
};

static void
on_stack(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	while (zf_reactor_perform(l->e.a) > 0)
		;
	l->datagrams += take(l->e.rx);
	if (l->datagrams == 100)
		event_base_loopexit(l->base, NULL);
	else if (l->asked == l->datagrams) /* the kernel's turn: a byte through the pipe asks for the next datagram */
		l->asked += (uint32_t)write(l->pipe[1], "", 1);
	CU_ASSERT_EQUAL(zf_waitable_fd_prime(l->e.a), 0);
}

static void
on_pipe(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	char c;

	(void)what;
	CU_ASSERT_EQUAL(read(fd, &c, 1), 1);
	l->bytes++;
	CU_ASSERT_EQUAL(zfut_send_single(l->e.tx, "x", 1), 1);
}

/* libevent's loop, level-triggered, with a pipe of the kernel's in it. */
static void
works_in_libevent(void)
{
	const struct timeval patience = {PATIENCE_MS / 1000, 0};
	struct loop l = {0};
	struct event *stack_ev, *pipe_ev;

	ends_open(&l.e, "wfevent");
	CU_ASSERT_EQUAL_FATAL(pipe(l.pipe), 0);
	l.base = event_base_new();
	stack_ev = event_new(l.base, l.e.fd, EV_READ | EV_PERSIST, on_stack, &l);
	pipe_ev = event_new(l.base, l.pipe[0], EV_READ | EV_PERSIST, on_pipe, &l);
	event_add(stack_ev, NULL);
	event_add(pipe_ev, NULL);
	settle(l.e.a, l.e.fd);
	l.asked = (uint32_t)write(l.pipe[1], "", 1);
	event_base_loopexit(l.base, &patience);
	event_base_dispatch(l.base);
	CU_ASSERT_EQUAL(l.datagrams, 100);
	CU_ASSERT_EQUAL(l.bytes, 100);
	event_free(stack_ev);
	event_free(pipe_ev);
	event_base_free(l.base);
	close(l.pipe[0]);
	close(l.pipe[1]);
	ends_close(&l.e);
}
#else
static void
works_in_libevent(void)
{
	unit_skip("libevent is not installed (libevent-dev)");
}
#endif

static const struct unit_test tests[] = {
	UNIT(codes),
	UNIT(frame_wakes),
	UNIT(timer_wakes),
	UNIT(timer_too_early_is_set_again),
	UNIT(sleep_is_free),
	UNIT(no_wakeup_is_lost),
	UNIT(awake_stack_wakes_the_sleeping_one),
	UNIT(link_wakes),
	UNIT(ports_without_interrupt_are_looked_at),
	UNIT(ports_without_peek_become_quiet),
	UNIT(owed_work_keeps_it_readable),
	UNIT(child_sleeps_on_the_stack_it_got),
	UNIT(works_in_libevent),
};

UNIT_MAIN("waitfd", tests)
