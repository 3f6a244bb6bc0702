/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rendezvous of drivers/wire with both ends in this process and time as the test wants it: meeting, parting,
 * meeting again, what lies in the way, and peers that say what no peer should. Processes that are stopped or killed
 * are in test_wire_meet.c.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "wire_help.h"

static uint64_t now;

/* One frame each way through the rings of two links. */
static bool
frames_pass(const struct rdv_link *a, const struct rdv_link *b)
{
	const struct rdv_link *l[2] = {a, b};
	bool ok = true;

	for (int i = 0; i < 2; i++) {
		const struct rdv_link *from = l[i], *to = l[!i];
		struct ring_tx tx;
		struct ring_rx rx;
		uint8_t *slot;

		ring_tx_init(&tx, shm_ring(from->shm, from->role), from->epoch);
		ring_rx_init(&rx, shm_ring(to->shm, !to->role), to->epoch);
		ok &= !ring_rx_peek(&rx) && ring_tx_refill(&tx) != 0;
		slot = ring_tx_slot(&tx);
		memset(slot + RING_DATA, 0x40 + i, 60);
		ring_tx_commit(&tx, slot, 60);
		slot = ring_rx_slot(&rx);
		ok &= ring_rx_len(&rx, slot) == 60 && slot[RING_DATA + 59] == 0x40 + i;
	}
	return ok;
}

static void
check_both(const struct rdv *a, const struct rdv *b)
{
	const struct rdv_link *la = rdv_link(a), *lb = rdv_link(b);

	CU_ASSERT_FATAL(la->up && lb->up);
	CU_ASSERT(la->role + lb->role == 1);
	CU_ASSERT(la->epoch == lb->epoch);
	CU_ASSERT(la->peer_pid == getpid() && lb->peer_pid == getpid());
	CU_ASSERT(la->shm->pid[0] == getpid() && la->shm->pid[1] == getpid());
	for (int i = 0; i < 2; i++) {
		uint64_t v = 1;

		CU_ASSERT(write(la->wake_fd[i], &v, 8) == 8);
		CU_ASSERT(read(lb->wake_fd[i], &v, 8) == 8);
	}
	CU_ASSERT(frames_pass(la, lb));
}

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

/* What a raw connection gets told, or 0. */
static uint32_t
raw_answer(int fd, struct rdv_msg *m)
{
	return rdv_msg_recv(fd, m, NULL) == 1 ? m->type : 0;
}

static int
raw_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", help_path);
	CU_ASSERT_FATAL(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

static int
raw_listen(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", help_path);
	(void)unlink(help_path);
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CU_ASSERT_FATAL(listen(fd, 16) == 0);
	return fd;
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

static struct rdv_msg
own_msg(uint32_t type)
{
	return (struct rdv_msg){
		.magic = SHM_MAGIC,
		.version = SHM_VERSION,
		.type = type,
		.layout = SHM_LAYOUT,
		.pid = getpid(),
	};
}

static void
messages_are_checked(void)
{
	struct rdv_msg m = own_msg(RDV_HELLO);

	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == 0);
	for (size_t len = 0; len < sizeof(m); len++)
		CU_ASSERT(rdv_msg_check(&m, len) == -EPROTO);
	m.type = 0;
	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == -EPROTO);
	m.type = RDV_REFUSE + 1;
	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == -EPROTO);
	m = own_msg(RDV_HELLO);
	m.layout.stride++;
	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == -EPROTONOSUPPORT);
	m = own_msg(RDV_HELLO);
	m.version++;
	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == -EPROTONOSUPPORT);
	CU_ASSERT(rdv_msg_check(&m, 16) == -EPROTONOSUPPORT);
	m.magic++;
	CU_ASSERT(rdv_msg_check(&m, sizeof(m)) == -EPROTO);
}

static void
another_version_is_told_so(void)
{
	struct rdv_msg hello = own_msg(RDV_HELLO), m;
	struct rdv *a, *b;
	int fd, l;

	help_begin();
	a = help_open();
	(void)rdv_step(a, now);
	/* As the connecting end, of a later and longer, and of a shorter version. */
	for (int i = 0; i < 3; i++) {
		char text[100] = {0};

		hello.version = SHM_VERSION + 1;
		memcpy(text, &hello, sizeof(hello));
		fd = raw_connect();
		CU_ASSERT(send(fd, text, i == 0 ? 100 : i == 1 ? 16 : sizeof(hello), 0) > 0);
		(void)help_run(a, NULL, &now, 1, 3, true);
		CU_ASSERT(raw_answer(fd, &m) == RDV_REFUSE && m.reason == RDV_VERSION);
		close(fd);
	}
	CU_ASSERT(help_logged("use the same release at both ends") == 1);
	/* One that fits is welcome all the same. */
	b = help_open();
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	rdv_close(a);
	rdv_close(b);
	help_log_clear();

	/* As the listening end: one line, a try each second. */
	l = raw_listen();
	a = help_open();
	for (int i = 0; i < 50; i++) {
		(void)rdv_step(a, now);
		fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			m = own_msg(RDV_REFUSE);
			m.version = SHM_VERSION + 7;
			m.reason = RDV_VERSION;
			CU_ASSERT(send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
			(void)rdv_step(a, now);
			close(fd);
		}
		CU_ASSERT(fd >= 0 || i % 10 != 0);
		CU_ASSERT(fd < 0 || i % 10 == 0);
		now += 100 * MS;
	}
	CU_ASSERT(!help_up(a));
	CU_ASSERT(help_logged("use the same release at both ends") == 1);
	close(l);
	rdv_close(a);
	help_end();
}

static void
nonsense_at_the_listening_end(void)
{
	struct rdv *a, *b;
	char junk[300];
	int fds;

	help_begin();
	a = help_open();
	(void)rdv_step(a, now);
	fds = help_count_fds();
	for (uint32_t i = 0; i < 2000; i++) {
		struct rdv_msg m = own_msg(1 + i % 5);
		int fd = raw_connect();
		size_t len = (i * 7919) % sizeof(junk);

		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (char)(i * 31 + k * k);
		if (i % 3 == 0)
			memcpy(junk, &m, sizeof(m));
		if (i % 7 == 0) {
			/* With descriptors nobody asked for. */
			CU_ASSERT(rdv_msg_send(fd, RDV_HELLO, 3, 0, (int[]){0, 1, 2}) == 0);
		}
		if (i % 5 != 0)
			CU_ASSERT(send(fd, junk, len, MSG_NOSIGNAL) == (ssize_t)len);
		if (i % 11 != 0)
			(void)help_run(a, NULL, &now, 1, 2, true);
		CU_ASSERT(!help_up(a));
		close(fd);
		(void)help_run(a, NULL, &now, 1, 4, true);
	}
	(void)help_run(a, NULL, &now, 1, 40, true);
	CU_ASSERT(help_count_fds() <= fds + 3); /* the wake-up descriptors of the last attempt */
	CU_ASSERT(help_logged("says what no wire says") == 1);
	b = help_open();
	CU_ASSERT(help_run(a, b, &now, 1, 20, true));
	check_both(a, b);
	rdv_close(a);
	rdv_close(b);
	help_end();
}

static int
memory(size_t size, unsigned int flags, int seals)
{
	int fd = memfd_create("t", MFD_CLOEXEC | flags);

	if (fd < 0)
		return -1;
	CU_ASSERT(ftruncate(fd, (off_t)size) == 0);
	if (seals != 0)
		CU_ASSERT(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void
memory_is_checked_before_it_is_mapped(void)
{
	const int both = F_SEAL_SHRINK | F_SEAL_GROW;
	int fd;

	help_begin();
	fd = shm_create();
	CU_ASSERT(shm_check(fd) == 0);
	CU_ASSERT(ftruncate(fd, 0) != 0 && ftruncate(fd, 1 << 30) != 0);
	close(fd);
	fd = memory(SHM_BYTES, MFD_ALLOW_SEALING, both);
	CU_ASSERT(shm_check(fd) == 0);
	close(fd);
	fd = memory(SHM_BYTES, MFD_ALLOW_SEALING, 0);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	close(fd);
	fd = memory(SHM_BYTES, MFD_ALLOW_SEALING, F_SEAL_GROW);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	close(fd);
	fd = memory(SHM_BYTES - 4096, MFD_ALLOW_SEALING, both);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	close(fd);
	fd = memory(2 * SHM_BYTES, MFD_ALLOW_SEALING, both);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	close(fd);
	fd = memory(SHM_BYTES, MFD_ALLOW_SEALING | MFD_HUGETLB, both);
	CU_ASSERT(fd < 0 || shm_check(fd) == -EINVAL);
	if (fd >= 0)
		close(fd);
	fd = open(help_path, O_CREAT | O_RDWR, 0600);
	CU_ASSERT(ftruncate(fd, SHM_BYTES) == 0);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	close(fd);
	fd = eventfd(0, 0);
	CU_ASSERT(shm_check(fd) == -EINVAL);
	CU_ASSERT(rdv_msg_eventfd(fd) == fd);
	close(fd);
	CU_ASSERT(shm_check(-1) == -EINVAL);
	/* Not an eventfd: closed. */
	fd = dup(help_log_fd);
	CU_ASSERT(rdv_msg_eventfd(fd) == -1);
	CU_ASSERT(fcntl(fd, F_GETFD) == -1);
	help_end();
}

/* A listening end that sends something else than memory, in every way there is. */
static void
hostile_listening_end(void)
{
	struct rdv *a;
	int l, fds;

	help_begin();
	l = raw_listen();
	a = help_open();
	fds = help_count_fds();
	for (int kind = 0; kind < 9; kind++) {
		const int both = F_SEAL_SHRINK | F_SEAL_GROW;
		int ev = eventfd(0, 0), mem = -1, fd = -1, next;
		struct rdv_msg m;

		now += 3000 * MS;
		(void)rdv_step(a, now);
		/* The newest; the others were given up. */
		while ((next = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
			close(fd);
			fd = next;
		}
		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT(raw_answer(fd, &m) == RDV_HELLO);
		if (kind == 0)
			mem = memory(SHM_BYTES, MFD_ALLOW_SEALING, 0);
		if (kind == 1)
			mem = memory(4096, MFD_ALLOW_SEALING, both);
		if (kind == 2) /* right kind, no head */
			mem = memory(SHM_BYTES, MFD_ALLOW_SEALING, both);
		if (kind == 3) /* cannot be mapped for writing */
			mem = memory(SHM_BYTES, MFD_ALLOW_SEALING, both | F_SEAL_WRITE);
		if (kind == 4)
			mem = eventfd(0, 0);
		if (kind <= 4)
			CU_ASSERT(rdv_msg_send(fd, RDV_WELCOME, 9, 0, (int[]){mem, ev, ev}) == 0);
		if (kind == 5) /* no descriptors */
			CU_ASSERT(rdv_msg_send(fd, RDV_WELCOME, 9, 0, NULL) == 0);
		if (kind == 6) /* the wrong message, with descriptors */
			CU_ASSERT(rdv_msg_send(fd, RDV_READY, 9, 0, (int[]){ev, ev, ev}) == 0);
		if (kind == 7) /* nothing at all: it is waited for, and then not */
			(void)help_run(a, NULL, &now, 500, 10, true);
		if (kind == 8)
			CU_ASSERT(send(fd, "", 0, MSG_NOSIGNAL) == 0);
		(void)help_run(a, NULL, &now, 1, 4, true);
		CU_ASSERT(!help_up(a));
		close(fd);
		close(ev);
		if (mem >= 0)
			close(mem);
		(void)rdv_step(a, now);
		/* Whatever it connected meanwhile. */
		while ((fd = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
			close(fd);
		(void)help_run(a, NULL, &now, 1, 2, true);
	}
	close(l);
	(void)help_run(a, NULL, &now, 1000, 4, true);
	CU_ASSERT(help_count_fds() <= fds + 1); /* it listens now, and the raw listener is gone */
	CU_ASSERT(help_logged("does not answer") == 1);
	rdv_close(a);
	help_end();
}

/* Once up, a message means nothing, and a flood of them ends the link. */
static void
chatter_while_up(void)
{
	struct rdv_msg m;
	struct rdv *a;
	int fd, fds[3];

	help_begin();
	a = help_open();
	(void)rdv_step(a, now);
	fd = raw_connect();
	CU_ASSERT(rdv_msg_send(fd, RDV_HELLO, 0xfffffffe, 0, NULL) == 0);
	(void)rdv_step(a, now);
	CU_ASSERT(rdv_msg_recv(fd, &m, fds) == 1 && m.type == RDV_WELCOME && m.epoch == 0xffffffff);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	/* READY of an epoch that is not this one is no answer. */
	CU_ASSERT(rdv_msg_send(fd, RDV_READY, 0xffffffff, 0, NULL) == 0);
	(void)rdv_step(a, now);
	CU_ASSERT(help_up(a));
	for (int i = 0; i < 10; i++)
		CU_ASSERT(rdv_msg_send(fd, RDV_READY, 1, 0, NULL) == 0);
	CU_ASSERT(rdv_step(a, now) == UINT64_MAX && help_up(a));
	for (int i = 0; i < 40; i++)
		(void)rdv_msg_send(fd, RDV_READY, 1, 0, NULL);
	(void)rdv_step(a, now);
	CU_ASSERT(!help_up(a));
	close(fd);
	rdv_close(a);
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
	UNIT(messages_are_checked),
	UNIT(another_version_is_told_so),
	UNIT(nonsense_at_the_listening_end),
	UNIT(memory_is_checked_before_it_is_mapped),
	UNIT(hostile_listening_end),
	UNIT(chatter_while_up),
};

UNIT_MAIN("wire_rdv", tests)
