/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For the tests of the rendezvous: a folder of one's own, a log that can be read, and ends that are stepped by a clock
 * of the test's. Included by one program each.
 */
#ifndef ZF_TEST_WIRE_HELP_H
#define ZF_TEST_WIRE_HELP_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "wire/rdv_int.h"
#include "wire/rendezvous.h"

#define MS 1000000ull

static char help_dir[256];  /* of this test */
static char help_path[300]; /* of its wire */
static struct zf_log help_log;
static int help_log_fd = -1;

static inline void
help_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(help_dir, sizeof(help_dir), "%.200s/zfwireXXXXXX", tmp != NULL ? tmp : "/tmp");
	CU_ASSERT_FATAL(mkdtemp(help_dir) != NULL);
	(void)snprintf(help_path, sizeof(help_path), "%s/w", help_dir);
	help_log_fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CU_ASSERT_FATAL(help_log_fd >= 0);
	/* Appending, so that forked ends write behind each other. */
	(void)fcntl(help_log_fd, F_SETFL, O_APPEND);
	help_log = (struct zf_log){.level_mask = 0x7777777777777ull, .fd = help_log_fd};
}

/* Files left in the folder. */
static inline int
help_files(void)
{
	DIR *d = opendir(help_dir);
	struct dirent *e;
	int n = 0;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static inline void
help_end(void)
{
	char name[300];

	(void)snprintf(name, sizeof(name), "%s/w", help_dir);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s/w.lock", help_dir);
	(void)unlink(name);
	CU_ASSERT(rmdir(help_dir) == 0);
	close(help_log_fd);
}

/* How often @text stands in the log. */
static inline int
help_logged(const char *text)
{
	static char buf[65536];
	ssize_t len = pread(help_log_fd, buf, sizeof(buf) - 1, 0);
	int n = 0;

	if (len < 0)
		return -1;
	buf[len] = '\0';
	for (char *p = buf; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static inline void
help_log_clear(void)
{
	CU_ASSERT(ftruncate(help_log_fd, 0) == 0);
}

static inline struct rdv *
help_open(void)
{
	struct rdv *r = NULL;

	CU_ASSERT_FATAL(rdv_open(help_path, &help_log, &r) == 0);
	return r;
}

static inline bool
help_up(const struct rdv *r)
{
	return rdv_link(r)->up;
}

/* Step both ends (either may be NULL) by a clock that jumps @ms each round, until @want or @rounds are over. */
static inline bool
help_run(struct rdv *a, struct rdv *b, uint64_t *now, uint32_t ms, int rounds, bool want)
{
	for (int i = 0; i < rounds; i++) {
		if (a != NULL)
			(void)rdv_step(a, *now);
		if (b != NULL)
			(void)rdv_step(b, *now);
		*now += ms * MS;
		if ((a == NULL || help_up(a) == want) && (b == NULL || help_up(b) == want))
			return true;
	}
	return false;
}

static inline int
help_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* What a raw connection gets told, or 0. */
static inline uint32_t
raw_answer(int fd, struct rdv_msg *m)
{
	return rdv_msg_recv(fd, m, NULL) == 1 ? m->type : 0;
}

static inline int
raw_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", help_path);
	CU_ASSERT_FATAL(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

static inline int
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

/* One frame each way through the rings of two links. */
static inline bool
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

static inline void
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

#endif
