/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rendezvous of drivers/wire with both ends in this process and time as the test wants it: meeting, parting,
 * meeting again, and what lies in the way. Peers that say what no peer should are in test_wire_hostile.c, processes
 * that are stopped or killed in test_wire_meet.c.
 */
#include <errno.h>

#include "wire_help.h"

static uint64_t now;

static void
two_ends_meet(void)
{
	struct rdv *a, *b;

	help_begin();
	a = help_open();
	CU_ASSERT(!help_up(a));
	CU_ASSERT(rdv_step(a, now) == now + 1000 * MS);
	b = help_open();
	CU_ASSERT(help_run(a, b, &now, 0, 8, true));
	check_both(a, b);
	CU_ASSERT(rdv_step(a, now) == UINT64_MAX);
	CU_ASSERT(rdv_step(b, now) == UINT64_MAX);
	CU_ASSERT(help_logged("link up") == 2);
	rdv_close(a);
	rdv_close(b);
	CU_ASSERT(help_files() == 0);
	help_end();
}

static void
files_are_private_and_fds_close_on_exec(void)
{
	struct rdv *a, *b;
	char name[320];
	struct stat st;
	bool before[64];
	mode_t old;

	help_begin();
	for (int fd = 0; fd < 64; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	for (int i = 0; i < 2; i++) {
		/* Whatever the umask gives or takes away. */
		old = umask(i == 0 ? 0 : 0277);
		a = help_open();
		(void)rdv_step(a, now);
		umask(old);
		b = help_open();
		CU_ASSERT(help_run(a, b, &now, 0, 8, true));
		CU_ASSERT(stat(help_path, &st) == 0 && S_ISSOCK(st.st_mode));
		CU_ASSERT((st.st_mode & 0777 & ~0600u) == 0);
		(void)snprintf(name, sizeof(name), "%s.lock", help_path);
		CU_ASSERT(stat(name, &st) == 0 && (st.st_mode & 0777) == 0600);
		for (int fd = 3; fd < 64; fd++) {
			int f = fcntl(fd, F_GETFD);

			CU_ASSERT(before[fd] || f < 0 || (f & FD_CLOEXEC) != 0);
		}
		rdv_close(a);
		rdv_close(b);
	}
	help_end();
}

static void
nothing_leaks(void)
{
	int fds;

	help_begin();
	fds = help_count_fds();
	for (int i = 0; i < 20; i++) {
		struct rdv *a = help_open(), *b = help_open();

		CU_ASSERT(help_run(a, b, &now, 1, 20, true));
		rdv_close(i & 1 ? a : b);
		CU_ASSERT(help_run(i & 1 ? b : a, NULL, &now, 1, 20, false));
		rdv_close(i & 1 ? b : a);
		CU_ASSERT(help_files() == 0);
	}
	CU_ASSERT(help_count_fds() == fds);
	help_end();
}

/* The survivor keeps its seat and meets whoever comes; every epoch has fresh memory. */
static void
either_survivor_meets_the_next(void)
{
	struct rdv *keep, *other;
	uint32_t epoch = 0;

	help_begin();
	for (int server = 0; server < 2; server++) {
		keep = other = NULL;
		if (server) {
			keep = help_open();
			(void)rdv_step(keep, now);
		}
		other = help_open();
		(void)rdv_step(other, now);
		if (!server)
			keep = help_open();
		for (int i = 0; i < 10; i++) {
			CU_ASSERT_FATAL(help_run(keep, other, &now, 1, 100, true));
			CU_ASSERT(rdv_link(keep)->role == !(server || i > 0));
			CU_ASSERT(rdv_link(keep)->epoch != epoch);
			epoch = rdv_link(keep)->epoch;
			check_both(keep, other);
			rdv_close(other);
			(void)rdv_step(keep, now);
			CU_ASSERT(!help_up(keep));
			(void)help_run(keep, NULL, &now, 1, 3, true);
			other = help_open();
		}
		CU_ASSERT_FATAL(help_run(keep, other, &now, 1, 100, true));
		rdv_close(other);
		rdv_close(keep);
	}
	CU_ASSERT(help_files() == 0);
	help_end();
}

/* A driver drains the old ring while the new epoch is set up. */
static void
old_memory_stays_until_the_next_link(void)
{
	struct rdv *a, *b;
	struct shm_head *old;

	help_begin();
	a = help_open();
	b = help_open();
	CU_ASSERT_FATAL(help_run(a, b, &now, 1, 20, true));
	old = rdv_link(a)->shm;
	shm_ring(old, 1)[100] = 77;
	rdv_close(b);
	b = help_open();
	CU_ASSERT_FATAL(help_run(a, b, &now, 1, 100, true));
	CU_ASSERT(rdv_link(a)->shm != old);
	CU_ASSERT(shm_ring(old, 1)[100] == 77);
	CU_ASSERT(shm_ring(rdv_link(a)->shm, 1)[100] == 0);
	rdv_close(a);
	rdv_close(b);
	help_end();
}

static void
third_is_refused(void)
{
	struct rdv *a, *b, *c = NULL;
	struct rdv_msg m;
	char want[100];
	int fd;

	help_begin();
	a = help_open();
	b = help_open();
	/* By the seats: whether or not the two have met. */
	CU_ASSERT(rdv_open(help_path, &help_log, &c) == -EBUSY && c == NULL);
	(void)snprintf(want, sizeof(want), "already has two ends: pids %d and %d", (int)getpid(), (int)getpid());
	CU_ASSERT(help_logged(want) == 1);
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	CU_ASSERT(rdv_open(help_path, &help_log, &c) == -EBUSY && c == NULL);
	CU_ASSERT(help_logged(want) == 2);
	/* By the listening end, if somebody does not care about seats: told once, and the link does not mind. */
	for (int i = 0; i < 30; i++) {
		fd = raw_connect();
		CU_ASSERT(rdv_msg_send(fd, RDV_HELLO, 0, 0, NULL) == 0);
		(void)help_run(a, b, &now, 1, 2, true);
		CU_ASSERT(raw_answer(fd, &m) == RDV_REFUSE && m.reason == RDV_BUSY);
		close(fd);
	}
	CU_ASSERT(help_logged("refused") == 1);
	CU_ASSERT(help_up(a) && help_up(b));
	rdv_close(a);
	c = help_open();
	CU_ASSERT(help_run(b, c, &now, 1, 50, true));
	rdv_close(b);
	rdv_close(c);
	help_end();
}

static void
leftovers_of_the_dead(void)
{
	struct rdv *a, *b;
	char name[320];
	int fd;

	help_begin();
	close(raw_listen()); /* a socket nobody listens at */
	(void)snprintf(name, sizeof(name), "%s.lock", help_path);
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	CU_ASSERT(write(fd, "nonsense that is longer than two seats", 38) == 38);
	close(fd);
	a = help_open();
	b = help_open();
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	rdv_close(a);
	rdv_close(b);
	CU_ASSERT(help_files() == 0);
	help_end();
}

static void
files_removed_under_us(void)
{
	struct rdv *a, *b;
	char name[320];

	help_begin();
	(void)snprintf(name, sizeof(name), "%s.lock", help_path);
	for (int which = 1; which <= 3; which++) {
		a = help_open();
		(void)rdv_step(a, now);
		if (which & 1)
			CU_ASSERT(unlink(help_path) == 0);
		if (which & 2)
			CU_ASSERT(unlink(name) == 0);
		b = help_open();
		/* The first one looks at its files each second. */
		CU_ASSERT(help_run(a, b, &now, 100, 60, true));
		check_both(a, b);
		rdv_close(a);
		rdv_close(b);
		CU_ASSERT(help_files() == 0);
	}
	help_end();
}

static void
something_else_at_the_path(void)
{
	struct rdv *r = NULL;
	struct stat st;
	char name[320];
	int fd;

	help_begin();
	fd = open(help_path, O_CREAT | O_WRONLY, 0600);
	CU_ASSERT(write(fd, "mine", 4) == 4);
	close(fd);
	CU_ASSERT(rdv_open(help_path, &help_log, &r) == -EEXIST);
	CU_ASSERT(stat(help_path, &st) == 0 && st.st_size == 4);
	CU_ASSERT(help_logged("is no socket: remove it") == 1);
	CU_ASSERT(help_files() == 1);
	unlink(help_path);
	/* It appears later: never removed, the link stays down. */
	r = help_open();
	fd = open(help_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	CU_ASSERT(!help_run(r, NULL, &now, 100, 50, true));
	CU_ASSERT(stat(help_path, &st) == 0 && S_ISREG(st.st_mode));
	CU_ASSERT(help_logged("the link stays down") == 1);
	rdv_close(r);
	CU_ASSERT(stat(help_path, &st) == 0);
	unlink(help_path);
	/* A lock file that is a link or a FIFO is not opened, and opening it does not wait. */
	(void)snprintf(name, sizeof(name), "%s.lock", help_path);
	CU_ASSERT(symlink("/etc/passwd", name) == 0);
	CU_ASSERT(rdv_open(help_path, &help_log, &r) == -ELOOP);
	unlink(name);
	CU_ASSERT(mkfifo(name, 0600) == 0);
	CU_ASSERT(rdv_open(help_path, &help_log, &r) == -EACCES);
	unlink(name);
	help_end();
}

static void
bad_paths_say_what_to_do(void)
{
	struct rdv *r = NULL;
	char path[600];
	int fds, n = 0;

	help_begin();
	fds = help_count_fds();
	(void)snprintf(path, sizeof(path), "%s/none/w", help_dir);
	CU_ASSERT(rdv_open(path, &help_log, &r) == -ENOENT);
	CU_ASSERT(help_logged("make the folder first") == ++n);
	(void)snprintf(path, sizeof(path), "%s/", help_dir);
	CU_ASSERT(rdv_open(path, &help_log, &r) == -EISDIR);
	CU_ASSERT(rdv_open("/", &help_log, &r) == -EISDIR);
	CU_ASSERT(rdv_open("./..", &help_log, &r) == -EISDIR);
	CU_ASSERT(help_logged("names a folder") == 3);
	(void)snprintf(path, sizeof(path), "%s/%0260d", help_dir, 1);
	CU_ASSERT(rdv_open(path, &help_log, &r) == -ENAMETOOLONG);
	(void)snprintf(path, sizeof(path), "%s/%0120d", help_dir, 1);
	CU_ASSERT(rdv_open(path, &help_log, &r) == -ENAMETOOLONG);
	CU_ASSERT(help_logged("too long") == 2);
	CU_ASSERT(help_files() == 0);
	CU_ASSERT(help_count_fds() == fds);
	help_end();
}

/* Longer than a socket address, and relative with a change of folder in between. */
static void
long_and_relative_paths(void)
{
	char path[600], cwd[PATH_MAX], sub[400];
	struct rdv *a = NULL, *b = NULL;
	int len;

	help_begin();
	(void)snprintf(sub, sizeof(sub), "%s/%0100d", help_dir, 7);
	CU_ASSERT_FATAL(mkdir(sub, 0700) == 0);
	len = snprintf(path, sizeof(path), "%s/long", sub);
	CU_ASSERT(len > 108);
	CU_ASSERT_FATAL(rdv_open(path, &help_log, &a) == 0);
	CU_ASSERT_FATAL(rdv_open(path, &help_log, &b) == 0);
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	check_both(a, b);
	rdv_close(b);
	CU_ASSERT_FATAL(getcwd(cwd, sizeof(cwd)) != NULL);
	CU_ASSERT(chdir(sub) == 0);
	CU_ASSERT_FATAL(rdv_open("./long", &help_log, &b) == 0);
	CU_ASSERT(chdir(cwd) == 0);
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	rdv_close(a);
	/* The end with the relative path listens now, from another folder. */
	CU_ASSERT(help_run(b, NULL, &now, 1, 5, false));
	CU_ASSERT_FATAL(rdv_open(path, &help_log, &a) == 0);
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	rdv_close(a);
	rdv_close(b);
	CU_ASSERT(rmdir(sub) == 0);
	help_end();
}

static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* What keeps a level-triggered watcher from spinning while the owner is busy elsewhere. */
static void
watcher_hears_each_event_once(void)
{
	struct rdv *a, *b;

	help_begin();
	a = help_open();
	(void)rdv_step(a, now);
	CU_ASSERT(!readable(rdv_fd(a)));
	b = help_open();
	(void)rdv_step(b, now); /* connects, says HELLO */
	CU_ASSERT(readable(rdv_fd(a)));
	rdv_fd_clear(rdv_fd(a));
	CU_ASSERT(!readable(rdv_fd(a)));
	(void)rdv_step(a, now); /* accepts, answers */
	CU_ASSERT(readable(rdv_fd(b)));
	rdv_fd_clear(rdv_fd(b));
	CU_ASSERT(!readable(rdv_fd(b)));
	rdv_fd_clear(rdv_fd(a));
	(void)rdv_step(b, now); /* READY */
	CU_ASSERT(help_up(b) && readable(rdv_fd(a)));
	rdv_fd_clear(rdv_fd(a));
	(void)rdv_step(a, now);
	CU_ASSERT(help_up(a));
	rdv_fd_clear(rdv_fd(a));
	CU_ASSERT(!readable(rdv_fd(a)) && !readable(rdv_fd(b)));
	rdv_close(a);
	CU_ASSERT(readable(rdv_fd(b)));
	rdv_fd_clear(rdv_fd(b));
	CU_ASSERT(!readable(rdv_fd(b)));
	(void)rdv_step(b, now);
	CU_ASSERT(!help_up(b));
	rdv_close(b);
	help_end();
}

static void
gate_held_by_another(void)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	struct rdv *a, *b;
	char name[320];
	int fd;

	help_begin();
	a = help_open();
	(void)snprintf(name, sizeof(name), "%s.lock", help_path);
	fd = open(name, O_RDWR);
	CU_ASSERT_FATAL(fcntl(fd, F_OFD_SETLK, &fl) == 0);
	/* Opening does not care; going on is tried again, less and less often. */
	b = help_open();
	CU_ASSERT(!help_run(a, b, &now, 10, 300, true));
	CU_ASSERT(help_logged("does not go on") == 2);
	CU_ASSERT(rdv_step(a, now) <= now + 50 * MS);
	close(fd);
	CU_ASSERT(help_run(a, b, &now, 10, 20, true));
	/* Closing does not wait for it either. */
	fd = open(name, O_RDWR);
	CU_ASSERT_FATAL(fcntl(fd, F_OFD_SETLK, &fl) == 0);
	rdv_close(a);
	rdv_close(b);
	close(fd);
	CU_ASSERT(help_files() == 2);
	a = help_open();
	b = help_open();
	CU_ASSERT(help_run(a, b, &now, 10, 20, true));
	rdv_close(a);
	rdv_close(b);
	CU_ASSERT(help_files() == 0);
	help_end();
}

static const struct unit_test tests[] = {
	UNIT(two_ends_meet),
	UNIT(files_are_private_and_fds_close_on_exec),
	UNIT(nothing_leaks),
	UNIT(either_survivor_meets_the_next),
	UNIT(old_memory_stays_until_the_next_link),
	UNIT(third_is_refused),
	UNIT(leftovers_of_the_dead),
	UNIT(files_removed_under_us),
	UNIT(something_else_at_the_path),
	UNIT(bad_paths_say_what_to_do),
	UNIT(long_and_relative_paths),
	UNIT(watcher_hears_each_event_once),
	UNIT(gate_held_by_another),
};

UNIT_MAIN("wire_rdv", tests)
