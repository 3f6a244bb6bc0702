/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/wire as a port between processes: wire:PATH with EAL's watcher, forks, and a peer that is killed. Started
 * with "--peer PATH" the program is the other process: it sends back whatever comes.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "wire_port_help.h"

static char path_dir[100];
static char path_name[130];

static void
path_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(path_dir, sizeof(path_dir), "%.60s/zfwireXXXXXX", tmp != NULL ? tmp : "/tmp");
	CU_ASSERT_FATAL(mkdtemp(path_dir) != NULL);
	(void)snprintf(path_name, sizeof(path_name), "wire:%s/w", path_dir);
}

static void
path_end(void)
{
	CU_ASSERT(rmdir(path_dir) == 0);
}

static void
path_both_ends_here(void)
{
	struct port a, b, c;

	path_begin();
	port_open(&a, path_name);
	CU_ASSERT(!is_up(&a) && idle(&a));
	CU_ASSERT(send_frame(&a, 100, 1));
	port_open(&b, path_name);
	CU_ASSERT(turn_until(&a, &b, true));
	CU_ASSERT(idle(&a) && idle(&b));
	(void)port_turn(&a);
	(void)port_turn(&b);
	CU_ASSERT_EQUAL(a.due, UINT64_MAX);
	CU_ASSERT_EQUAL(b.due, UINT64_MAX);
	for (uint32_t i = 0; i < 3 * RING_SLOTS; i++) {
		CU_ASSERT(send_frame(&a, 60 + i % 1400, i) && send_frame(&b, 60 + i % 1399, i + 1));
		CU_ASSERT(recv_frame(&b, 60 + i % 1400, i) && recv_frame(&a, 60 + i % 1399, i + 1));
	}
	log_clear();
	CU_ASSERT_EQUAL(port_try(&c, path_name), -EBUSY);
	CU_ASSERT_EQUAL(logged("already has two ends"), 1);
	for (uint32_t round = 0; round < 10; round++) {
		struct port *stay = round & 1 ? &a : &b, *go = round & 1 ? &b : &a;

		CU_ASSERT(send_frame(go, 80, round));
		port_close(go);
		CU_ASSERT(turn_until(stay, NULL, false));
		CU_ASSERT(recv_frame(stay, 80, round));
		port_open(go, path_name);
		CU_ASSERT(turn_until(stay, go, true));
		CU_ASSERT(idle(stay) && idle(go));
		CU_ASSERT(send_frame(stay, 90, round) && recv_frame(go, 90, round));
	}
	port_close(&a);
	port_close(&b);
	path_end();
}

/* Clock ticks of EAL's interrupt thread so far. */
static long
interrupt_thread_ticks(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	long sum = -1;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char file[300], line[512] = {0};
		unsigned long u, s;
		char *paren;
		int fd;

		(void)snprintf(file, sizeof(file), "/proc/self/task/%s/stat", e->d_name);
		fd = open(file, O_RDONLY);
		if (fd >= 0 && read(fd, line, sizeof(line) - 1) > 0 && strstr(line, "(eal-intr") != NULL &&
		    (paren = strrchr(line, ')')) != NULL &&
		    sscanf(paren + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) == 2)
			sum = (long)(u + s);
		if (fd >= 0)
			close(fd);
	}
	if (d != NULL)
		closedir(d);
	return sum;
}

/* Nobody calls service() although there is something to do: the watcher says so once and rests. */
static void
watcher_does_not_spin(void)
{
	struct port a, b;
	long ticks;
	uint64_t end;

	path_begin();
	port_open(&a, path_name);
	(void)port_turn(&a);
	(void)port_turn(&a);
	port_open(&b, path_name);
	end = now_ns() + PATIENCE * MS;
	while ((atomic_load(&a.events) & PORT_EV_SERVICE) == 0 && now_ns() < end)
		sched_yield();
	CU_ASSERT(atomic_load(&a.events) & PORT_EV_SERVICE);
	ticks = interrupt_thread_ticks();
	CU_ASSERT(ticks >= 0);
	(void)poll(NULL, 0, 300);
	/* A spinning thread would have used some 30. */
	CU_ASSERT(interrupt_thread_ticks() <= ticks + 5);
	CU_ASSERT(turn_until(&a, &b, true));
	port_close(&a);
	port_close(&b);
	path_end();
}

/* Everything but write(2) and exit is deadly from here on. */
static void
forbid_system_calls(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = ZF_ARRAY_SIZE(f), .filter = f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(50);
}

/* In a forked child: both ends go on, and the data path makes no system call. */
static void
data_flows_after_fork_without_system_calls(void)
{
	struct port a, b;
	int status = -1;
	pid_t pid;

	path_begin();
	port_open(&a, path_name);
	port_open(&b, path_name);
	CU_ASSERT(turn_until(&a, &b, true));
	pid = fork();
	if (pid == 0) {
		bool ok = true;

		/* There is no watcher here: the port asks to be looked after by the clock. */
		ok &= (port_turn(&a) & PORT_EV_SERVICE) != 0 && a.due <= now_ns() + 10 * MS;
		forbid_system_calls();
		for (uint32_t i = 0; i < 2000 && ok; i++) {
			ok &= send_frame(&a, 106, i) && recv_frame(&b, 106, i);
			ok &= send_frame(&b, 60, i) && recv_frame(&a, 60, i);
			ok &= idle(&a) && idle(&b) && is_up(&a);
		}
		syscall(SYS_exit_group, ok ? 0 : 51); /* a sanitizer's own _exit() does more than exit */
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	CU_ASSERT_EQUAL(status, 0);
	/* Here nothing was touched meanwhile; a wire does not go down because a copy of its process ended. */
	(void)port_turn(&a);
	CU_ASSERT(is_up(&a) && is_up(&b));
	port_close_uncounted(&a);
	port_close_uncounted(&b);
	path_end();
}

static void
pair_goes_on_after_fork(void)
{
	struct port a, b;
	int status = -1;
	pid_t pid;
	uint64_t end;
	bool got = false;

	port_open(&a, "wire:t/a");
	port_open(&b, "wire:t/b");
	(void)port_turn(&a);
	pid = fork();
	if (pid == 0)
		_exit(send_frame(&a, 106, 42) ? 0 : 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	/* One end there, one here. */
	end = now_ns() + PATIENCE * MS;
	while (!got && now_ns() < end)
		got = recv_frame(&b, 106, 42);
	CU_ASSERT(got);
	port_close_uncounted(&a);
	port_close_uncounted(&b);
}

/* ---- two whole processes ---- */

static int
peer_main(const char *name)
{
	static struct port p;
	uint64_t end = now_ns() + 120000 * MS;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!help_start("peer") || !port_set_up(&p, name, 1024))
		return 2;
	while (now_ns() < end) {
		for (int i = 0; i < 1000; i++) {
			struct rte_mbuf *m[32];
			uint16_t n = p.q.rx(p.q.rxq, m, 32), sent = 0;

			if (n == 0 && i % 100 == 0)
				sched_yield();
			while (sent < n)
				sent += p.q.tx(p.q.txq, m + sent, n - sent);
			if (atomic_load(&p.events) != 0)
				(void)port_turn(&p);
		}
		(void)port_turn(&p);
	}
	return 3;
}

static pid_t
peer_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "test_wire_path", "--peer", path_name, (char *)NULL);
		_exit(127);
	}
	CU_ASSERT_FATAL(pid > 0);
	return pid;
}

/* @n frames there and back. */
static uint32_t
ping(struct port *p, uint32_t n)
{
	uint32_t back = 0;
	uint64_t end = now_ns() + PATIENCE * MS;

	for (uint32_t i = 0; i < n; i++) {
		bool got = false;

		if (!send_frame(p, 106, i))
			break;
		for (uint64_t spins = 0; !got && (spins % 1024 != 0 || now_ns() < end); spins++) {
			got = recv_frame(p, 106, i);
			if (!got && spins % 256 == 255)
				sched_yield();
		}
		if (!got)
			break;
		back++;
	}
	return back;
}

static void
two_processes(void)
{
	struct port p;
	pid_t pid;

	path_begin();
	port_open(&p, path_name);
	for (int round = 0; round < 3; round++) {
		pid = peer_start();
		CU_ASSERT_FATAL(turn_until(&p, NULL, true));
		CU_ASSERT_EQUAL(ping(&p, 20000), 20000);
		if (round == 1) {
			/* Stopped, it is not gone: the ring fills up and says so. */
			kill(pid, SIGSTOP);
			for (uint32_t i = 0; i < RING_SLOTS && send_frame(&p, 60, i); i++)
				;
			CU_ASSERT(!send_frame(&p, 60, 0));
			CU_ASSERT(is_up(&p));
		}
		kill(pid, SIGKILL);
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
		CU_ASSERT(turn_until(&p, NULL, false));
		while (!idle(&p)) {
			struct rte_mbuf *m;

			if (p.q.rx(p.q.rxq, &m, 1) == 1)
				pkt_put(p.pool, m);
		}
		CU_ASSERT(send_frame(&p, 106, 0)); /* dropped */
	}
	port_close(&p);
	path_end();
}

/* The child uses the wire, the parent leaves it alone; without a watcher the child sees a dead peer by itself. */
static void
forked_child_sees_the_peer_die(void)
{
	struct port p;
	int status = -1;
	pid_t peer, child;

	path_begin();
	port_open(&p, path_name);
	peer = peer_start();
	CU_ASSERT_FATAL(turn_until(&p, NULL, true));
	child = fork();
	if (child == 0) {
		if (ping(&p, 1000) != 1000)
			_exit(60);
		kill(peer, SIGKILL);
		if (!turn_until(&p, NULL, false))
			_exit(61);
		_exit(0);
	}
	CU_ASSERT(waitpid(child, &status, 0) == child);
	CU_ASSERT_EQUAL(status, 0);
	kill(peer, SIGKILL);
	CU_ASSERT(waitpid(peer, NULL, 0) == peer);
	port_close_uncounted(&p);
	path_end();
}

static const struct unit_test tests[] = {
	UNIT(path_both_ends_here),
	UNIT(watcher_does_not_spin),
	UNIT(data_flows_after_fork_without_system_calls),
	UNIT(pair_goes_on_after_fork),
	UNIT(two_processes),
	UNIT(forked_child_sees_the_peer_die),
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--peer") == 0)
		return peer_main(argv[2]);
	if (!help_start("test_wire_path"))
		return 2;
	return unit_main("wire_path", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
