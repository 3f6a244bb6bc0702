/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Very few buffers, very small ports, and calls at the edge of what they allow: everything ends, nothing hangs.
 */
#include "mem_help.h"

static const char base[] = "arp_reply_timeout=0;ipv4=192.0.2.1/24";

static struct zf_stack *
small(const char *port, int n_bufs)
{
	char attrs[256];

	snprintf(attrs, sizeof(attrs), "interface=mem:%s;n_bufs=%d;%s", port, n_bufs, base);
	return help_stack(attrs);
}

/* The peer's address becomes known. */
static void
learn(struct zf_stack *st, struct mem_port *p)
{
	uint8_t f[128];

	CU_ASSERT_EQUAL(mem_push(p, 0, f, help_arp_reply(f, "192.0.2.9", "192.0.2.1"), 0), 0);
	for (int i = 0; i < 4; i++)
		(void)zf_reactor_perform(st);
}

/* What the stack says on its own keeps to the port's MTU. */
static void
icmp_errors_fit_the_mtu(void)
{
	static const uint16_t mtus[] = {68, 100, 200, 575, 576, 1500, 9000};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(mtus); i++) {
		char name[32];
		struct mem_port *p;
		struct zf_stack *st;
		uint8_t f[2048] = {0}, data[1024] = {0};
		uint32_t longest;

		snprintf(name, sizeof(name), "rvmtu%u", mtus[i]);
		p = mem_port(name);
		mem_cfg(p)->mtu = mtus[i];
		st = small(name, 256);
		(void)zf_reactor_perform(st);
		mem_flush(p);
		mem_push(p, 0, f,
			 help_udp(f, "192.0.2.9", "192.0.2.1", 1000, data, ZF_MIN(mtus[i] - 28u, 1000u)), 0);
		(void)zf_reactor_perform(st);
		CU_ASSERT_EQUAL(help_count_sent(p, IP_PROTO_ICMP, &longest), 1);
		CU_ASSERT(longest <= 14u + mtus[i]);
		CU_ASSERT_EQUAL(mem_stats(p)->faults, 0);
		CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	}
}

/* A datagram that can never be sent is refused for good: the guide's loop on -ENOBUFS would not end. */
static void
hopeless_datagrams_are_too_long(void)
{
	static char data[65507];
	struct iovec iov = {data, sizeof(data)};
	struct mem_port *p = mem_port("rvhope");
	struct zf_stack *st;
	struct zfut *ut;

	mem_cfg(p)->mtu = 68;
	st = small("rvhope", 2048);
	ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 1000);
	learn(st, p);
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), -EMSGSIZE);
	iov.iov_len = 128 * 48 - 8;
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), (int)iov.iov_len);
	iov.iov_len++;
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	st = small("rvfew", 8);
	ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 1000);
	learn(st, mem_port("rvfew"));
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), (int)iov.iov_len);
	iov.iov_len = 20000;
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* Datagrams that wait for a neighbour leave buffers for its answer. */
static void
held_frames_leave_buffers(void)
{
	static const int sizes[] = {1, 2, 3, 4, 8, 64};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(sizes); i++) {
		char name[32];
		struct mem_port *p;
		struct zf_stack *st;
		struct zfut *ut;
		int rc = 0;

		snprintf(name, sizeof(name), "rvfew%d", sizes[i]);
		p = mem_port(name);
		st = small(name, sizes[i]);
		ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 1000);
		for (int k = 0; k < 200; k++) {
			rc = zfut_send_single(ut, "h", 1);
			CU_ASSERT(rc == 1 || rc == -ENOBUFS);
		}
		mem_flush(p);
		learn(st, p);
		(void)help_count_sent(p, IP_PROTO_UDP, NULL);
		CU_ASSERT_EQUAL(zfut_send_single(ut, "s", 1), 1);
		CU_ASSERT_EQUAL(help_pop_udp(p), 's');
		CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	}
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* Nothing to send needs no buffer to be at. */
static void
empty_datagram_from_nowhere(void)
{
	struct mem_port *p = mem_port("rvnull");
	struct zf_stack *st = small("rvnull", 64);
	struct zfut *ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 1000);
	struct iovec iov = {NULL, 0};

	CU_ASSERT_EQUAL(zfut_send_single(ut, NULL, 0), 0);
	learn(st, p);
	mem_flush(p);
	CU_ASSERT_EQUAL(zfut_send_single(ut, NULL, 0), 0);
	CU_ASSERT_EQUAL(zfut_send(ut, &iov, 1, 0), 0);
	CU_ASSERT_EQUAL(zfut_send(ut, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(help_count_sent(p, IP_PROTO_UDP, NULL), 3);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

static void
empty_address_list(void)
{
	struct zf_stack *st = NULL;

	CU_ASSERT_EQUAL(help_try("interface=mem:rvaddr;ipv4=", &st), -EINVAL);
	CU_ASSERT_EQUAL(help_try("interface=mem:rvaddr;ipv4=,", &st), -EINVAL);
}

/* No zockets, or more room than anyone needs. */
static void
extreme_tables(void)
{
	struct zfur *ur = NULL;
	struct zfut *ut = NULL;
	struct sockaddr_in l = help_addr("192.0.2.1", 9), r = help_addr("192.0.2.9", 9);
	struct zf_stack *st = help_stack("interface=mem:rvzero;ipv4=192.0.2.1/24;n_bufs=64;max_udp_rx_endpoints=0;"
					 "max_udp_tx_endpoints=0;reactor_spin_count=2147483647");

	CU_ASSERT_EQUAL(zfur_alloc(&ur, st, NULL), -ENOBUFS);
	CU_ASSERT_EQUAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
				   NULL),
			-ENOBUFS);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	st = help_stack("interface=mem:rvzero;ipv4=192.0.2.1/24;n_bufs=64;max_udp_rx_endpoints=100000;"
			"max_udp_tx_endpoints=100000");
	CU_ASSERT_EQUAL(zfur_alloc(&ur, st, NULL), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

static const struct unit_test tests[] = {
	UNIT(icmp_errors_fit_the_mtu),
	UNIT(hopeless_datagrams_are_too_long),
	UNIT(held_frames_leave_buffers),
	UNIT(empty_datagram_from_nowhere),
	UNIT(empty_address_list),
	UNIT(extreme_tables),
};

UNIT_MAIN("review_small", tests)
