/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rendezvous of drivers/wire between processes: started at once a thousand times, stopped and killed at each step
 * of the protocol, by another user, one too many. The clocks of the ends run fast; only the scheduler is waited for.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "wire_help.h"

#define ROUNDS    1000
#define PATIENCE  10000 /* ms for anything that must happen */

static uint64_t
real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
nap(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	(void)poll(&p, 1, 1);
	if (fd >= 0)
		rdv_fd_clear(fd);
}

/* ---- a thousand times at once ---- */

struct meeting {
	_Atomic uint32_t phase[2];
};

/* Both have come this far, or false after PATIENCE. */
static bool
meet_phase(struct meeting *m, int me, uint32_t phase)
{
	uint64_t end = real_ns() + PATIENCE * MS;

	atomic_store(&m->phase[me], phase);
	while (atomic_load(&m->phase[!me]) < phase) {
		sched_yield();
		if (real_ns() > end)
			return false;
	}
	return true;
}

/* A frame of this round to the other end, and its one back. */
static bool
swap_frames(const struct rdv_link *l, uint32_t round)
{
	uint64_t end = real_ns() + PATIENCE * MS;
	struct ring_tx tx;
	struct ring_rx rx;
	uint8_t *slot;

	ring_tx_init(&tx, shm_ring(l->shm, l->role), l->epoch);
	ring_rx_init(&rx, shm_ring(l->shm, !l->role), l->epoch);
	if (ring_tx_refill(&tx) == 0)
		return false;
	slot = ring_tx_slot(&tx);
	memset(slot + RING_DATA, (int)round, 106);
	ring_tx_commit(&tx, slot, 106);
	slot = ring_rx_slot(&rx);
	while (ring_rx_len(&rx, slot) != 106) {
		sched_yield();
		if (real_ns() > end)
			return false;
	}
	return slot[RING_DATA] == (uint8_t)round && slot[RING_DATA + 105] == (uint8_t)round;
}

static int
meet_once(struct meeting *m, int me, uint32_t round)
{
	uint64_t end = real_ns() + PATIENCE * MS;
	struct rdv *r;

	if (!meet_phase(m, me, 3 * round + 1))
		return 3;
	if (rdv_open(help_path, &help_log, &r) != 0)
		return 4;
	while (!help_up(r)) {
		uint64_t now = real_ns();
		uint64_t next = rdv_step(r, now);

		if (now > end)
			return 5;
		if (!help_up(r) && next > now + MS)
			nap(rdv_fd(r));
	}
	if (!swap_frames(rdv_link(r), round))
		return 6;
	if (!meet_phase(m, me, 3 * round + 2))
		return 7;
	rdv_close(r);
	return meet_phase(m, me, 3 * round + 3) ? 0 : 8;
}

static pid_t
meet_worker(struct meeting *m, int me, uint32_t rounds)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t i = 0; i < rounds; i++) {
		int rc = meet_once(m, me, i);

		if (rc != 0) {
			dprintf(2, "end %d, round %u: failed at point %d\n", me, i, rc);
			_exit(rc);
		}
	}
	_exit(0);
}

static void
started_at_once(void)
{
	struct meeting *m;
	pid_t pid[2];

	help_begin();
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(m != MAP_FAILED);
	for (int i = 0; i < 2; i++)
		pid[i] = meet_worker(m, i, ROUNDS);
	for (int i = 0; i < 2; i++) {
		int status = -1;

		CU_ASSERT(waitpid(pid[i], &status, 0) == pid[i]);
		CU_ASSERT(status == 0);
	}
	CU_ASSERT(help_files() == 0);
	munmap(m, sizeof(*m));
	help_end();
}

/* ---- stopped and killed ---- */

struct peer {
	pid_t pid;
	int cmd;      /* a byte tells it to close */
	int said;     /* what it reports */
	bool stopped; /* at its point */
	bool dead;
	bool opened;
	bool up;
	uint32_t epoch;
};

static enum rdv_point hook_at;
static int hook_signal;

static void
hook(enum rdv_point at)
{
	if (at != hook_at || hook_signal == 0)
		return;
	int sig = hook_signal;

	hook_signal = 0;
	raise(sig);
}

struct report {
	char what;
	uint32_t epoch;
};

static void
report(int fd, char what, uint32_t epoch)
{
	struct report r = {what, epoch};

	(void)!write(fd, &r, sizeof(r));
}

static void
peer_main(int cmd, int said)
{
	struct rdv *r;
	uint64_t now = 1;
	bool up = false;
	char c;

	if (rdv_open(help_path, &help_log, &r) != 0)
		_exit(9);
	for (int i = 0; i < 60000; i++) {
		(void)rdv_step(r, now);
		now += 10 * MS;
		if (i == 0)
			report(said, 'o', 0);
		if (help_up(r) != up) {
			up = help_up(r);
			report(said, up ? 'u' : 'd', rdv_link(r)->epoch);
		}
		if (read(cmd, &c, 1) == 1) {
			rdv_close(r);
			_exit(0);
		}
		nap(rdv_fd(r));
	}
	_exit(10);
}

/* A process with one end, that sends itself @sig when it comes to @at (0: never). */
static struct peer
peer_start(enum rdv_point at, int sig)
{
	int cmd[2], said[2];
	struct peer p = {0};

	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, cmd) == 0);
	CU_ASSERT_FATAL(pipe2(said, O_CLOEXEC | O_NONBLOCK) == 0);
	p.pid = fork();
	CU_ASSERT_FATAL(p.pid >= 0);
	if (p.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(cmd[1]);
		close(said[0]);
		/* A copy of the test's own end would keep its seat and its connection alive. */
		for (int fd = 3; fd < 256; fd++)
			if (fd != cmd[0] && fd != said[1] && fd != help_log_fd)
				close(fd);
		hook_at = at;
		hook_signal = sig;
		rdv_test_hook = hook;
		peer_main(cmd[0], said[1]);
	}
	close(cmd[0]);
	close(said[1]);
	p.cmd = cmd[1];
	p.said = said[0];
	return p;
}

static void
peer_look(struct peer *p)
{
	struct report r;
	int status;

	while (read(p->said, &r, sizeof(r)) == sizeof(r)) {
		p->opened = true;
		if (r.what != 'o')
			p->up = r.what == 'u';
		p->epoch = r.epoch;
	}
	if (!p->dead && waitpid(p->pid, &status, WNOHANG | WUNTRACED) == p->pid) {
		if (WIFSTOPPED(status))
			p->stopped = true;
		else
			p->dead = true;
	}
}

static void
peer_end(struct peer *p)
{
	if (!p->dead) {
		kill(p->pid, SIGKILL);
		CU_ASSERT(waitpid(p->pid, NULL, 0) == p->pid);
	}
	close(p->cmd);
	close(p->said);
	*p = (struct peer){.dead = true, .pid = -1, .cmd = -1, .said = -1};
}

/* Step the test's own end (or none) while looking at @p, for at most @ms rounds of about 1 ms. */
static void
both(struct rdv *r, struct peer *p, uint64_t *now)
{
	if (r != NULL)
		(void)rdv_step(r, *now);
	*now += 10 * MS;
	peer_look(p);
	nap(r != NULL ? rdv_fd(r) : -1);
}

static bool
meet(struct rdv *r, struct peer *p, uint64_t *now)
{
	for (int i = 0; i < PATIENCE; i++) {
		both(r, p, now);
		if (help_up(r) && p->up && rdv_link(r)->epoch == p->epoch)
			return true;
	}
	return false;
}

static const char *const point_names[RDV_AT_N] = {
	"seat",   "gate",    "unlink", "bind",  "listen", "connect", "hello", "accept",
	"memory", "welcome", "mapped", "ready", "up",     "down",    "close",
};

/* Where an end that was started first, or second, passes; the first one listens. */
static bool
on_the_way(enum rdv_point at, bool first)
{
	switch (at) {
	case RDV_AT_UNLINK:
	case RDV_AT_BIND:
	case RDV_AT_LISTEN:
	case RDV_AT_ACCEPT:
	case RDV_AT_MEMORY:
	case RDV_AT_WELCOME:
	case RDV_AT_UP:
		return first;
	case RDV_AT_CONNECT:
	case RDV_AT_HELLO:
	case RDV_AT_MAPPED:
	case RDV_AT_READY:
		return !first;
	default:
		return true;
	}
}

/* Come to the point, from either side of the meeting. */
static bool
reach(struct rdv **r, struct peer *p, enum rdv_point at, uint64_t *now)
{
	for (int i = 0; i < PATIENCE && !p->stopped && !p->dead; i++) {
		both(*r, p, now);
		if (*r == NULL && (p->opened || p->stopped || p->dead))
			*r = help_open();
		if (p->up && at == RDV_AT_CLOSE)
			(void)send(p->cmd, "q", 1, MSG_NOSIGNAL);
		if (p->up && at == RDV_AT_DOWN && *r != NULL && help_up(*r)) {
			rdv_close(*r);
			*r = help_open();
		}
	}
	if (*r == NULL)
		*r = help_open();
	return p->stopped || p->dead;
}

static bool
scenario(enum rdv_point at, bool first, int sig)
{
	struct rdv *r = NULL;
	struct peer p;
	uint64_t now = 1, start;
	bool ok = true;

	if (!first) {
		r = help_open();
		(void)rdv_step(r, now);
	}
	p = peer_start(at, sig);
	ok &= reach(&r, &p, at, &now);
	ok &= p.dead == (sig == SIGKILL);
	/* A minute of the clock passes; nothing we do waits for the other one. */
	start = real_ns();
	for (int i = 0; i < 3000; i++) {
		(void)rdv_step(r, now);
		now += 20 * MS;
	}
	ok &= real_ns() - start < 3000 * MS;
	if (sig == SIGKILL) {
		ok &= !help_up(r);
		peer_end(&p);
		p = peer_start(RDV_AT_N, 0);
	} else if (at == RDV_AT_CLOSE) {
		/* It goes on closing. */
		kill(p.pid, SIGCONT);
		for (int i = 0; i < PATIENCE && !p.dead; i++)
			both(r, &p, &now);
		ok &= p.dead;
		peer_end(&p);
		p = peer_start(RDV_AT_N, 0);
	} else {
		kill(p.pid, SIGCONT);
	}
	ok &= meet(r, &p, &now);
	peer_end(&p);
	for (int i = 0; i < PATIENCE && help_up(r); i++)
		both(r, &p, &now);
	rdv_close(r);
	ok &= help_files() == 0;
	if (!ok)
		printf("  failed: %s at %s, %s end\n", sig == SIGKILL ? "killed" : "stopped", point_names[at],
		       first ? "first" : "second");
	return ok;
}

static void
all_scenarios(int sig)
{
	help_begin();
	for (int at = 0; at < RDV_AT_N; at++) {
		for (int first = 0; first < 2; first++) {
			if (on_the_way((enum rdv_point)at, first))
				CU_ASSERT(scenario((enum rdv_point)at, first, sig));
		}
	}
	help_end();
}

static void
stopped_at_each_step(void)
{
	all_scenarios(SIGSTOP);
}

static void
killed_at_each_step(void)
{
	all_scenarios(SIGKILL);
}

/* ---- processes, one too many, other users ---- */

static void
either_process_restarted(void)
{
	struct peer p[2];
	uint32_t epoch = 0;

	help_begin();
	p[0] = peer_start(RDV_AT_N, 0);
	p[1] = peer_start(RDV_AT_N, 0);
	for (int i = 0; i < 20; i++) {
		uint64_t now = 0;
		bool met = false;

		for (int k = 0; k < PATIENCE && !met; k++) {
			both(NULL, &p[0], &now);
			peer_look(&p[1]);
			met = p[0].up && p[1].up && p[0].epoch == p[1].epoch && p[0].epoch != epoch;
		}
		CU_ASSERT(met);
		epoch = p[0].epoch;
		peer_end(&p[i & 1]);
		p[i & 1] = peer_start(RDV_AT_N, 0);
	}
	peer_end(&p[0]);
	peer_end(&p[1]);
	rdv_close(help_open()); /* sweeps up behind the killed */
	CU_ASSERT(help_files() == 0);
	help_end();
}

/* At once and without help from the two, who are stopped. */
static void
third_process_is_refused(void)
{
	struct peer p;
	struct rdv *a, *c = NULL;
	uint64_t now = 1;
	char want[400];

	help_begin();
	a = help_open();
	(void)rdv_step(a, now);
	p = peer_start(RDV_AT_N, 0);
	CU_ASSERT(meet(a, &p, &now));
	kill(p.pid, SIGSTOP);
	CU_ASSERT(rdv_open(help_path, &help_log, &c) == -EBUSY);
	(void)snprintf(want, sizeof(want), "wire:%s already has two ends: pids %d and %d", help_path, (int)getpid(),
		       (int)p.pid);
	CU_ASSERT(help_logged(want) == 1);
	peer_end(&p);
	CU_ASSERT(rdv_open(help_path, &help_log, &c) == 0);
	CU_ASSERT(help_run(a, c, &now, 1, 50, true));
	rdv_close(a);
	rdv_close(c);
	help_end();
}

/* Exit code of what a child of another user finds. */
static int
as_other_user(const char *path)
{
	struct rdv *r;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
			_exit(100);
		_exit(-rdv_open(path, &help_log, &r));
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
another_users_path(void)
{
	char name[350], own[330];
	struct rdv *r = NULL;

	if (geteuid() != 0) {
		unit_skip("needs root to become another user");
		return;
	}
	help_begin();
	(void)snprintf(name, sizeof(name), "%s.lock", help_path);
	(void)snprintf(own, sizeof(own), "%s/o", help_dir);
	CU_ASSERT(as_other_user(help_path) == EACCES); /* the folder is 0700 */
	CU_ASSERT(chmod(help_dir, 0711) == 0);
	CU_ASSERT(as_other_user(help_path) == EACCES); /* cannot make files in it */
	CU_ASSERT(chmod(help_dir, 0777) == 0);
	r = help_open();
	CU_ASSERT(as_other_user(help_path) == EACCES); /* the lock file is 0600 */
	(void)rdv_step(r, 1);
	CU_ASSERT(as_other_user(help_path) == EACCES); /* the socket is another's */
	CU_ASSERT(help_logged("as one user") == 4);
	CU_ASSERT(help_logged("wire:") == 4);
	/* Even if the files were opened to everybody. */
	CU_ASSERT(chmod(name, 0666) == 0 && chmod(help_path, 0666) == 0);
	CU_ASSERT(as_other_user(help_path) == EACCES);
	rdv_close(r);
	/* The other way round: root does not use what another user laid out for it. */
	CU_ASSERT(as_other_user(own) == 0); /* leaves its lock file behind */
	CU_ASSERT(rdv_open(own, &help_log, &r) == -EACCES);
	(void)snprintf(name, sizeof(name), "%s.lock", own);
	CU_ASSERT(unlink(name) == 0);
	help_end();
}

/* A connection of another user, should one ever come through. */
static void
another_users_connection(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct rdv *r;
	int status = -1;
	pid_t pid;

	if (geteuid() != 0) {
		unit_skip("needs root to become another user");
		return;
	}
	help_begin();
	r = help_open();
	(void)rdv_step(r, 1);
	CU_ASSERT(chmod(help_dir, 0777) == 0 && chmod(help_path, 0666) == 0);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", help_path);
	pid = fork();
	if (pid == 0) {
		struct rdv_msg m;
		int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
			_exit(100);
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
			_exit(101);
		(void)rdv_msg_send(fd, RDV_HELLO, 0, 0, NULL); /* may come too late already */
		if (poll(&p, 1, PATIENCE) != 1 || rdv_msg_recv(fd, &m, NULL) != 1)
			_exit(103);
		_exit(m.type == RDV_REFUSE && m.reason == RDV_USER ? 0 : 104);
	}
	for (int i = 0; i < PATIENCE && waitpid(pid, &status, WNOHANG) != pid; i++) {
		(void)rdv_step(r, 1);
		nap(rdv_fd(r));
	}
	CU_ASSERT(status == 0);
	CU_ASSERT(help_logged("refused: run both ends as one user") == 1);
	CU_ASSERT(!help_up(r));
	rdv_close(r);
	help_end();
}

static const struct unit_test tests[] = {
	UNIT(started_at_once),
	UNIT(stopped_at_each_step),
	UNIT(killed_at_each_step),
	UNIT(either_process_restarted),
	UNIT(third_process_is_refused),
	UNIT(another_users_path),
	UNIT(another_users_connection),
};

UNIT_MAIN("wire_meet", tests)
