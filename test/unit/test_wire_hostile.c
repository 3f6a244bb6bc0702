/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rendezvous of drivers/wire with a peer that is not what it should be: another version, nonsense, memory that is
 * none, silence, chatter. Each must leave the end down, whole, and ready for an honest one.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "wire/burst.h"
#include "wire_help.h"

static uint64_t now;

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

/* Somebody made the eventfd blocking and filled it up: who watches it is woken all the same, and nobody hangs. */
static void
full_eventfd_wakes(void)
{
	struct shm_sleep sleep[2] = {0};
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
	static uint8_t rings[2][RING_BYTES] ZF_CACHE_ALIGNED;
	const uint64_t most = UINT64_MAX - 1;
	uint8_t frame[64] = {0};
	struct wire_queue q;

	wire_queue_init(&q, NULL);
	wire_queue_attach(&q, rings[0], rings[1], 1);
	wire_queue_sleep_by(&q, &sleep[0], &sleep[1], fd);
	CU_ASSERT_EQUAL(write(fd, &most, sizeof(most)), sizeof(most));
	CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 1);
	CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	for (int i = 0; i < 3; i++) {
		atomic_store(&sleep[1].sleeping, 1);
		CU_ASSERT_EQUAL(wire_tx_copy(&q, frame, 34, frame, 30), 1);
		CU_ASSERT_EQUAL(atomic_load(&sleep[1].sleeping), 0);
		CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 1);
		CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	}
	CU_ASSERT_EQUAL(q.wake_failed, 0);
	close(ep);
	close(fd);
}

static const struct unit_test tests[] = {
	UNIT(full_eventfd_wakes),
	UNIT(messages_are_checked),
	UNIT(another_version_is_told_so),
	UNIT(nonsense_at_the_listening_end),
	UNIT(memory_is_checked_before_it_is_mapped),
	UNIT(hostile_listening_end),
	UNIT(chatter_while_up),
};

UNIT_MAIN("wire_hostile", tests)
