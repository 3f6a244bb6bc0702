/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sleeping on a DPDK port: a receiver over net_vhost and a sender over net_virtio_user, joined by a socket, in one process.
 * What a thread waits for is a descriptor, bounded by PATIENCE_MS. A stack that slept by the clock, for want of an
 * interrupt, would show: its timer is then a periodic one.
 */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "mem_help.h"

#define PATIENCE_MS 10000
#define ROUNDS      5000

static struct {
	struct zf_stack *rx_st, *tx_st;
	struct zfur *ur;
	struct zfut *ut;
	int fd;
} e;

static bool
readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN) != 0;
}

/* Datagrams that are there now. */
static uint32_t
take(void)
{
	struct {
		struct zfur_msg m;
		struct iovec iov[2];
	} rd;
	uint32_t n = 0;

	for (;;) {
		rd.m.iovcnt = 2;
		zfur_zc_recv(e.ur, &rd.m, 0);
		if (rd.m.iovcnt == 0)
			return n;
		zfur_zc_recv_done(e.ur, &rd.m);
		n++;
	}
}

static uint32_t
poll_and_take(void)
{
	uint32_t n = 0;

	for (int i = 0; i < 4; i++) {
		(void)zf_reactor_perform(e.rx_st);
		n += take();
	}
	return n;
}

/* Both ends up, the neighbour known, a datagram seen. */
static void
ends_meet(void)
{
	uint32_t got = 0;

	e.ur = help_zfur(e.rx_st, "10.9.0.1", 1000);
	e.ut = help_zfut(e.tx_st, "10.9.0.2", "10.9.0.1", 1000);
	for (int i = 0; i < 2000000 && got == 0; i++) {
		if (i % 1000 == 0)
			(void)zfut_send_single(e.ut, "x", 1);
		(void)zf_reactor_perform(e.tx_st);
		got = poll_and_take();
	}
	CU_ASSERT_FATAL(got > 0);
	for (int i = 0; i < 1000; i++) {
		(void)zf_reactor_perform(e.tx_st);
		(void)poll_and_take();
	}
	CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_get(e.rx_st, &e.fd), 0);
}

static void
settle(void)
{
	for (int i = 0; i < 100000; i++) {
		(void)poll_and_take();
		CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(e.rx_st), 0);
		if (!readable(e.fd, 0))
			return;
	}
	CU_FAIL_FATAL("the descriptor never becomes quiet");
}

/* The sender: a datagram for each byte that the receiver writes. */
static void *
sender(void *arg)
{
	int from = *(int *)arg;
	char c;

	while (read(from, &c, 1) == 1) {
		while (zfut_send_single(e.ut, "y", 1) != 1)
			(void)zf_reactor_perform(e.tx_st);
		(void)zf_reactor_perform(e.tx_st);
	}
	return NULL;
}

/* In each round the receiver goes to sleep while the datagram is on its way: before it, behind it, or just then. */
static void
rounds(void)
{
	pthread_t t;
	int go[2];

	settle();
	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, sender, &go[0]), 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t got = 0;

		if (i % 2 == 0) {
			settle();
			CU_ASSERT_EQUAL_FATAL(write(go[1], "g", 1), 1);
		} else {
			CU_ASSERT_EQUAL_FATAL(write(go[1], "g", 1), 1);
			for (int k = 0; k < i % 50; k++)
				got += poll_and_take();
		}
		while (got == 0) {
			CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(e.rx_st), 0);
			got += take(); /* a port that nobody can look into is polled there */
			if (got == 0)
				CU_ASSERT_TRUE_FATAL(readable(e.fd, PATIENCE_MS));
			got += poll_and_take();
			CU_ASSERT_FALSE(e.rx_st->waitfd.periodic);
		}
		CU_ASSERT_EQUAL(got, 1);
	}
	close(go[1]);
	pthread_join(t, NULL);
	close(go[0]);
}

/* It sleeps by interrupt and not by the clock, and the interrupt is off while the stack is awake. */
static void
sleeps_by_interrupt(void)
{
	settle();
	CU_ASSERT_FALSE(e.rx_st->waitfd.periodic);
	CU_ASSERT_TRUE(e.rx_st->ctx.events & CTX_EV_AWAKE);
	CU_ASSERT_FALSE(zf_stack_has_pending_work(e.rx_st) == 0); /* nobody can look: it may have */
	(void)poll_and_take();
	CU_ASSERT_FALSE(e.rx_st->ctx.events & CTX_EV_AWAKE);
}

/* @rx_is_vhost: which end receives. The vhost end makes the socket, so it is opened first. */
static void
pair(bool rx_is_vhost)
{
	char dir[] = "/tmp/zf-intr-XXXXXX", vhost[256], virtio[256];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(vhost, sizeof(vhost),
		 "interface=net_vhost%d,iface=%s/s;ipv4=10.9.0.%d/24;n_bufs=2048;arp_reply_timeout=0;"
		 "fd_poll_interval_us=1000000",
		 rx_is_vhost, dir, rx_is_vhost ? 1 : 2);
	snprintf(virtio, sizeof(virtio),
		 "interface=net_virtio_user%d,path=%s/s;ipv4=10.9.0.%d/24;n_bufs=2048;arp_reply_timeout=0;"
		 "fd_poll_interval_us=1000000",
		 rx_is_vhost, dir, rx_is_vhost ? 2 : 1);
	CU_ASSERT_EQUAL_FATAL(help_try(vhost, rx_is_vhost ? &e.rx_st : &e.tx_st), 0);
	CU_ASSERT_EQUAL_FATAL(help_try(virtio, rx_is_vhost ? &e.tx_st : &e.rx_st), 0);
	ends_meet();
	sleeps_by_interrupt();
	rounds();
	CU_ASSERT_EQUAL(zf_stack_free(rx_is_vhost ? e.tx_st : e.rx_st), 0);
	CU_ASSERT_EQUAL(zf_stack_free(rx_is_vhost ? e.rx_st : e.tx_st), 0);
	snprintf(vhost, sizeof(vhost), "%s/s", dir);
	(void)unlink(vhost);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
frames_wake_a_sleeper_on_vhost(void)
{
	pair(true);
}

static void
frames_wake_a_sleeper_on_virtio_user(void)
{
	pair(false);
}

/* Two stacks share the one queue: the interrupt that one of them disarms could be the other's, so both look by the clock. */
static void
two_stacks_do_not_share_an_interrupt(void)
{
	struct zf_stack *st[2];
	int fd;

	st[0] = help_stack("interface=net_null7,no-rx=1;ipv4=10.9.0.1/24;n_bufs=1024");
	st[1] = help_stack("interface=net_null7,no-rx=1;ipv4=10.9.0.2/24;n_bufs=1024");
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_get(st[i], &fd), 0);
		(void)zf_reactor_perform(st[i]);
		CU_ASSERT_EQUAL(zf_waitable_fd_prime(st[i]), 0);
		CU_ASSERT_TRUE(st[i]->waitfd.periodic);
		CU_ASSERT_TRUE(readable(fd, PATIENCE_MS));
	}
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
}

static const struct unit_test tests[] = {
	UNIT(frames_wake_a_sleeper_on_vhost),
	UNIT(frames_wake_a_sleeper_on_virtio_user),
	UNIT(two_stacks_do_not_share_an_interrupt),
};

int
main(int argc, char **argv)
{
	return unit_main("test_ethdev_intr", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
