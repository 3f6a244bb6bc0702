/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stacks and processes (doc/threads.md): a child goes on with what its parent left alone, daemons, forks while other
 * threads are busy, and processes without privileges side by side. The program's own process has no stack: everything
 * happens in children, which say how it went by their exit status. Waiting is bounded by PATIENCE_MS.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem_help.h"

#define PATIENCE_MS 60000
#define POLLS       20000000L
#define DGRAMS      1000u

static char folder[64];

/* Processes are waited for by the descriptor, so that one that hangs fails the test and not its runner. */
static int
status_of(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status = -1;

	CU_ASSERT_FATAL(p.fd >= 0);
	if (poll(&p, 1, PATIENCE_MS) != 1)
		(void)kill(pid, SIGKILL);
	(void)close(p.fd);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Processes end here with stacks in use, or leave them to a child: what a stack's arena points at, which the leak checker
 * does not look into, and what only EAL's thread could give back.
 */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:pool_adopt\nleak:rte_intr_instance_alloc\n";
}

/* @run in a child: its result is the exit status, by way of exit(), with all that this runs. */
static pid_t
child(int (*run)(void *arg), void *arg)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		exit(run(arg));
	return pid;
}

static struct zf_stack *
open_end(const char *wire, int own)
{
	struct zf_stack *st = NULL;
	char attrs[256];

	snprintf(attrs, sizeof(attrs), "interface=wire:%s/%s;ipv4=10.4.0.%d/24;n_bufs=512;arp_reply_timeout=0", folder,
		 wire, own);
	return help_try(attrs, &st) == 0 ? st : NULL;
}

struct end {
	struct zf_stack *st;
	struct zfur *rx;
	struct zfut *tx;
	struct zf_muxer_set *set;
	int fd;
};

static bool
end_open(struct end *e, const char *wire, int own)
{
	struct epoll_event ev = {.events = EPOLLIN};
	char a[32], b[32];

	snprintf(a, sizeof(a), "10.4.0.%d", own);
	snprintf(b, sizeof(b), "10.4.0.%d", 3 - own);
	e->st = open_end(wire, own);
	if (e->st == NULL)
		return false;
	e->rx = help_zfur(e->st, a, 1000);
	e->tx = help_zfut(e->st, a, b, 1000);
	return zf_muxer_alloc(e->st, &e->set) == 0 && zf_muxer_add(e->set, zfur_to_waitable(e->rx), &ev) == 0 &&
	       zf_waitable_fd_get(e->st, &e->fd) == 0;
}

/* The next datagram's number, or -1; sleeps on the descriptor until there is one. */
static int64_t
end_take(struct end *e)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[1];
	} rd;
	struct pollfd p = {.fd = e->fd, .events = POLLIN};
	struct epoll_event ev;
	uint32_t v;

	for (long i = 0; i < 100000; i++) {
		rd.msg.iovcnt = 1;
		zfur_zc_recv(e->rx, &rd.msg, 0);
		if (rd.msg.iovcnt > 0) {
			memcpy(&v, rd.iov[0].iov_base, sizeof(v));
			zfur_zc_recv_done(e->rx, &rd.msg);
			return v;
		}
		if (zf_muxer_wait(e->set, &ev, 1, 0) > 0)
			continue;
		if (zf_waitable_fd_prime(e->st) < 0 || poll(&p, 1, PATIENCE_MS) != 1)
			return -1;
	}
	return -1;
}

static bool
end_send(struct end *e, uint32_t v)
{
	for (long i = 0; i < POLLS; i++) {
		int rc = zfut_send_single(e->tx, &v, sizeof(v));

		if (rc == sizeof(v))
			return true;
		if (rc != -EAGAIN)
			return false;
		(void)zf_reactor_perform(e->st);
	}
	return false;
}

/* Sends numbers until its peer, which may begin late, has sent back the last. The first ones may go nowhere. */
static int
asks(void *arg)
{
	struct end e;

	if (!end_open(&e, arg, 1))
		return 2;
	for (uint32_t i = 0; i < DGRAMS; i++)
		if (!end_send(&e, i) || end_take(&e) != i)
			return 3;
	return zf_stack_free(e.st) == 0 && zf_deinit() == 0 ? 0 : 4;
}

static int
answers(struct end *e)
{
	int64_t v;

	do {
		v = end_take(e);
		if (v < 0 || !end_send(e, (uint32_t)v))
			return 5;
	} while (v < DGRAMS - 1);
	return zf_stack_free(e->st) == 0 && zf_deinit() == 0 ? 0 : 6;
}

/* ---- what a child may do ---- */

struct inherit {
	const char *wire;
	int report; /* the grandchild's result, a byte */
	bool parent_first;
};

/* The parent has opened everything, descriptor included, and the child uses it. */
static int
inherits(void *arg)
{
	struct inherit *in = arg;
	struct end e;
	pid_t pid;
	char rc;

	if (!end_open(&e, in->wire, 2))
		return 2;
	pid = fork();
	if (pid < 0)
		return 3;
	if (pid == 0) {
		rc = (char)answers(&e);
		(void)!write(in->report, &rc, 1);
		exit(rc);
	}
	if (in->parent_first)
		return 0; /* through exit(), while the child goes on */
	return status_of(pid) == 0 ? 0 : 4;
}

static void
child_goes_on_with_the_stack(void)
{
	for (int first = 0; first < 2; first++) {
		int ends[2];
		struct inherit in = {.wire = first ? "first" : "last", .parent_first = first};
		struct pollfd p;
		pid_t peer, parent;
		char rc = 77;

		CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
		in.report = ends[1];
		parent = child(inherits, &in);
		peer = child(asks, (void *)(uintptr_t)in.wire);
		CU_ASSERT_EQUAL(status_of(parent), 0);
		(void)close(ends[1]);
		p = (struct pollfd){.fd = ends[0], .events = POLLIN};
		CU_ASSERT_EQUAL(poll(&p, 1, PATIENCE_MS), 1);
		CU_ASSERT_EQUAL(read(ends[0], &rc, 1), 1);
		CU_ASSERT_EQUAL(rc, 0);
		(void)close(ends[0]);
		CU_ASSERT_EQUAL(status_of(peer), 0);
	}
}

/* As many programs begin: zf_init(), then into the background, then the rest. */
static int
becomes_a_daemon(void *arg)
{
	struct inherit *in = arg;
	struct end e;
	char rc;

	if (zf_init() < 0)
		return 2;
	if (daemon(1, 1) < 0)
		return 3;
	rc = end_open(&e, in->wire, 2) ? (char)answers(&e) : 7;
	(void)!write(in->report, &rc, 1);
	return rc;
}

static void
daemon_behind_init(void)
{
	struct inherit in = {.wire = "daemon"};
	struct pollfd p;
	int ends[2];
	pid_t peer, parent;
	char rc = 77;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	in.report = ends[1];
	parent = child(becomes_a_daemon, &in);
	peer = child(asks, (void *)(uintptr_t)in.wire);
	CU_ASSERT_EQUAL(status_of(parent), 0);
	(void)close(ends[1]);
	p = (struct pollfd){.fd = ends[0], .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&p, 1, PATIENCE_MS), 1);
	CU_ASSERT_EQUAL(read(ends[0], &rc, 1), 1);
	CU_ASSERT_EQUAL(rc, 0);
	(void)close(ends[0]);
	CU_ASSERT_EQUAL(status_of(peer), 0);
}

/* ---- fork while others are busy ---- */

struct busy {
	_Atomic bool stop;
	_Atomic uint32_t rounds;
	bool ok;
};

/* Joins and leaves a port and moves its neighbours: all that takes the lock for events. */
static void *
join_and_leave(void *arg)
{
	struct busy *b = arg;

	while (b->ok && !atomic_load(&b->stop)) {
		struct zf_stack *st = open_end("busy", 3);

		b->ok = st != NULL;
		if (b->ok) {
			(void)zf_reactor_perform(st);
			b->ok = zf_stack_free(st) == 0;
		}
		atomic_fetch_add(&b->rounds, 1);
	}
	return NULL;
}

static int
forks_meanwhile(void *arg)
{
	struct busy b = {.ok = true};
	struct end e;
	pthread_t th;
	int rc = 0;

	(void)arg;
	if (!end_open(&e, "busy", 1) || pthread_create(&th, NULL, join_and_leave, &b) != 0)
		return 2;
	for (uint32_t i = 0; i < 100 && rc == 0; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0); /* having come through the handlers of fork() */
		rc = pid > 0 && status_of(pid) == 0 ? 0 : 3;
		(void)zf_reactor_perform(e.st);
	}
	atomic_store(&b.stop, true);
	(void)pthread_join(th, NULL);
	if (rc == 0 && (!b.ok || atomic_load(&b.rounds) == 0))
		rc = 4;
	return zf_stack_free(e.st) == 0 ? rc : 5;
}

static void
fork_while_others_are_busy(void)
{
	CU_ASSERT_EQUAL(status_of(child(forks_meanwhile, NULL)), 0);
}

/* ---- many ---- */

#define NOBODY 65534
#define PAIRS  4

static int
answers_alone(void *arg)
{
	struct end e;

	return end_open(&e, arg, 2) ? answers(&e) : 8;
}

struct lowly {
	int (*run)(void *arg);
	char wire[16];
};

static int
without_privileges(void *arg)
{
	struct lowly *l = arg;

	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return 9;
	return geteuid() != 0 ? l->run(l->wire) : 10;
}

static void
unprivileged_side_by_side(void)
{
	struct lowly l[2 * PAIRS];
	pid_t pid[2 * PAIRS];

	if (geteuid() == 0)
		CU_ASSERT_EQUAL(chown(folder, NOBODY, NOBODY), 0);
	for (int i = 0; i < 2 * PAIRS; i++) {
		l[i].run = i % 2 ? answers_alone : asks;
		snprintf(l[i].wire, sizeof(l[i].wire), "low%d", i / 2);
		pid[i] = child(without_privileges, &l[i]);
	}
	for (int i = 0; i < 2 * PAIRS; i++)
		CU_ASSERT_EQUAL(status_of(pid[i]), 0);
	if (geteuid() == 0)
		CU_ASSERT_EQUAL(chown(folder, 0, 0), 0);
}

/* A wire whose ends close at the same moment on a busy machine may leave its lock file for the next one. */
static void
empty_folder(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
}

static const struct unit_test tests[] = {
	UNIT(child_goes_on_with_the_stack),
	UNIT(daemon_behind_init),
	UNIT(fork_while_others_are_busy),
	UNIT(unprivileged_side_by_side),
};

int
main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	int rc;

	snprintf(folder, sizeof(folder), "%.40s/zfprocXXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		return 1;
	rc = unit_main("process", tests, ZF_ARRAY_SIZE(tests), argc, argv);
	empty_folder();
	return rmdir(folder) == 0 ? rc : 1;
}
