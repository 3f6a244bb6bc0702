/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel as peer: ARP, ping, and UDP of every size, to groups, in numbers, and on two stacks. `--long` sends a million
 * datagrams instead of a hundred thousand.
 */
#include "peer.h"

#include "core/pool.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <unistd.h>

#define GROUP "239.99.1.2"

/* Neither side knows the other: the first datagram of each makes it ask. */
static void
arp_is_asked_and_answered(void)
{
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	int fd;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	CU_ASSERT_TRUE(fd_send(st, fd, OUR_ADDR, OUR_PORT, "kernel first", 12));
	CU_ASSERT_EQUAL(ur_recv(st, ur, 3000), 12);
	CU_ASSERT_EQUAL(memcmp(in_buf, "kernel first", 12), 0);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT);
	CU_ASSERT_TRUE(ut_send(st, ut, "hello", 5));
	CU_ASSERT_EQUAL(fd_recv(st, fd, 3000), 5);
	zfut_free(ut);
	zfur_free(ur);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);

	/* A fresh stack with another address: it asks first. */
	st = stack_up("interface=" NETNS_OURS ";ipv4=10.99.0.9/24");
	ut = ut_to(st, "10.99.0.9", OUR_PORT, PEER_ADDR, PEER_PORT);
	CU_ASSERT_TRUE(ut_send(st, ut, "stack first", 11));
	CU_ASSERT_EQUAL(fd_recv(st, fd, 3000), 11);
	zfut_free(ut);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	close(fd);
}

static void
ping_is_answered(void)
{
	static const size_t sizes[] = {0, 1, 56, 1464, 1472, 1473, 5000};
	struct zf_stack *st;
	int fd;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_RAW, IPPROTO_ICMP, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t end = peer_now_ms() + 3000;
		struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.id = 77, .sequence = htons((uint16_t)i)}};
		size_t len = sizeof(h) + sizes[i];
		bool answered = false;

		peer_fill(out_buf + sizeof(h), sizes[i], (uint32_t)i);
		memcpy(out_buf, &h, sizeof(h));
		h.checksum = peer_checksum(out_buf, len);
		memcpy(out_buf, &h, sizeof(h));
		CU_ASSERT_TRUE(fd_send(st, fd, OUR_ADDR, 0, out_buf, len));
		while (!answered && peer_now_ms() < end) {
			int n = fd_recv(st, fd, 100); /* with IP header */
			struct icmphdr *r = (struct icmphdr *)(in_buf + 20);

			answered = n == (int)(20 + len) && r->type == ICMP_ECHOREPLY && r->un.echo.id == 77 &&
				   r->un.echo.sequence == htons((uint16_t)i) &&
				   memcmp(in_buf + 20 + sizeof(h), out_buf + sizeof(h), sizes[i]) == 0;
		}
		if (!answered)
			show_counters(st);
		if (!answered)
			printf("  echo of %zu bytes is not answered\n", sizes[i]);
		CU_ASSERT_TRUE(answered);
	}
	close(fd);
	zf_stack_free(st);
}

/* From 1 to the largest: every size around each multiple of a fragment, and steps between. */
static size_t
next_size(size_t n)
{
	size_t edge = 1480 - 8; /* payload of a datagram of one frame; each further fragment carries 1480 */

	while (edge + 3 <= n)
		edge += 1480;
	if (n == MAX_PAYLOAD)
		return 0;
	if (n < 64 || n + 3 >= edge)
		n++;
	else
		n = n + 301 < edge - 3 ? n + 301 : edge - 3;
	return n < MAX_PAYLOAD ? n : MAX_PAYLOAD;
}

static void
every_size_to_the_kernel(void)
{
	struct zf_stack *st;
	struct zfut *ut;
	int fd, bad = 0, count = 0;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT);
	for (size_t n = 1; n != 0 && bad < 5; n = next_size(n), count++) {
		int got;

		peer_fill(out_buf, n, (uint32_t)n);
		got = ut_send(st, ut, out_buf, n) ? fd_recv(st, fd, 3000) : -3;
		if (got == (int)n && memcmp(in_buf, out_buf, n) == 0)
			continue;
		printf("  %zu bytes: %d\n", n, got);
		bad++;
		show_counters(st);
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_TRUE(count > 400);
	zfut_free(ut);
	close(fd);
	zf_stack_free(st);
}

static void
every_size_from_the_kernel(void)
{
	struct zf_stack *st;
	struct zfur *ur;
	int fd, bad = 0, count = 0;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	for (size_t n = 1; n != 0 && bad < 5; n = next_size(n), count++) {
		int got;

		peer_fill(out_buf, n, (uint32_t)n);
		got = fd_send(st, fd, OUR_ADDR, OUR_PORT, out_buf, n) ? ur_recv(st, ur, 3000) : -3;
		if (got == (int)n && memcmp(in_buf, out_buf, n) == 0)
			continue;
		printf("  %zu bytes: %d\n", n, got);
		bad++;
		show_counters(st);
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_TRUE(count > 400);
	zfur_free(ur);
	close(fd);
	zf_stack_free(st);
}

static void
multicast_both_ways(void)
{
	struct sockaddr_in l = peer_addr(GROUP, OUR_PORT);
	struct in_addr via = {inet_addr(PEER_ADDR)};
	struct ip_mreq mreq = {.imr_multiaddr.s_addr = inet_addr(GROUP), .imr_interface = via};
	struct zf_stack *st;
	struct zfur *ur = NULL;
	struct zfut *ut;
	int fd, any, on = 1;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);

	/* The kernel sends. */
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, plain_attr()), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)), 0);
	CU_ASSERT_TRUE(fd_send(st, fd, GROUP, OUR_PORT, "to the group", 12));
	CU_ASSERT_EQUAL(ur_recv(st, ur, 3000), 12);
	CU_ASSERT_EQUAL(memcmp(in_buf, "to the group", 12), 0);
	CU_ASSERT_TRUE(fd_send(st, fd, "239.99.1.3", OUR_PORT, "another", 7)); /* nobody joined that */
	CU_ASSERT_EQUAL(ur_recv(st, ur, 50), -1);
	CU_ASSERT_EQUAL(zfur_addr_unbind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	zfur_free(ur);

	/* The stack sends. */
	netns_enter_peer();
	any = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	netns_leave();
	setsockopt(any, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	l.sin_port = htons(PEER_PORT + 1);
	CU_ASSERT_EQUAL(bind(any, (struct sockaddr *)&l, sizeof(l)), 0);
	CU_ASSERT_EQUAL(setsockopt(any, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)), 0);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, GROUP, PEER_PORT + 1);
	peer_fill(out_buf, 4000, 1);
	CU_ASSERT_TRUE(ut_send(st, ut, out_buf, 4000)); /* in fragments */
	CU_ASSERT_EQUAL(fd_recv(st, any, 3000), 4000);
	CU_ASSERT_EQUAL(memcmp(in_buf, out_buf, 4000), 0);
	zfut_free(ut);
	close(any);
	close(fd);
	zf_stack_free(st);
}

/* @n datagrams each way on one stack, a window of them on the way at a time; returns how many were wrong or lost. */
static uint64_t
exchange(struct zf_stack *st, const char *ip, uint16_t port, int fd, uint32_t n)
{
	const uint32_t window = 32;
	struct zfur *ur = ur_bound(st, ip, port);
	struct zfut *ut = ut_to(st, ip, port, PEER_ADDR, PEER_PORT);
	uint64_t bad = 0;

	for (uint32_t at = 0; at < n && bad < 5; at += window) {
		uint32_t k = n - at < window ? n - at : window;

		for (uint32_t i = 0; i < k; i++) {
			size_t len = 1 + (at + i) * 7919u % 1472u;

			peer_fill(out_buf, len, at + i);
			bad += !ut_send(st, ut, out_buf, len);
			bad += !fd_send(st, fd, ip, port, out_buf, len);
		}
		for (uint32_t i = 0; i < k; i++) {
			size_t len = 1 + (at + i) * 7919u % 1472u;

			peer_fill(out_buf, len, at + i);
			bad += fd_recv(st, fd, 3000) != (int)len || memcmp(in_buf, out_buf, len) != 0;
			bad += ur_recv(st, ur, 3000) != (int)len || memcmp(in_buf, out_buf, len) != 0;
		}
	}
	zfut_free(ut);
	zfur_free(ur);
	return bad;
}

static void
many_datagrams_byte_for_byte(void)
{
	struct zf_stack *st;
	int fd;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	CU_ASSERT_EQUAL(exchange(st, OUR_ADDR, OUR_PORT, fd, long_run ? 1000000 : 100000), 0);
	close(fd);
	zf_stack_free(st);
}

/* Everywhere else the kernel leaves checksums to the adapter that is none, as a veth does by default. */
static void
checksums_of_the_kernel_are_verified(void)
{
	struct zf_stack *st;
	int fd;

	NEEDS_NET();
	netns_enter_peer();
	CU_ASSERT_EQUAL(netns_no_offloads(NETNS_PEER), 0);
	netns_leave();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	CU_ASSERT_EQUAL(exchange(st, OUR_ADDR, OUR_PORT, fd, 10000), 0);
	close(fd);
	zf_stack_free(st);
}

/* Two stacks of different pools, one port with one queue; whichever is freed first, the other goes on, and every buffer
 * comes home: a pool with one missing would wait to be reaped.
 */
static void
two_stacks_share_the_port(void)
{
	const uint32_t n = long_run ? 100000 : 17000; /* six times */

	NEEDS_NET();
	for (int first = 0; first < 2; first++) {
		struct zf_stack *a = stack_up(BASIC ";n_bufs=3000");
		struct zf_stack *b = stack_up("interface=" NETNS_OURS ";ipv4=" SECOND_ADDR "/24;n_bufs=5000");
		int fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);

		CU_ASSERT_EQUAL(exchange(a, OUR_ADDR, OUR_PORT, fd, n), 0);
		CU_ASSERT_EQUAL(exchange(b, SECOND_ADDR, OUR_PORT, fd, n), 0);
		CU_ASSERT_EQUAL(zf_stack_free(first == 0 ? a : b), 0);
		CU_ASSERT_EQUAL(exchange(first == 0 ? b : a, first == 0 ? SECOND_ADDR : OUR_ADDR, OUR_PORT, fd, n), 0);
		CU_ASSERT_EQUAL(zf_stack_free(first == 0 ? b : a), 0);
		CU_ASSERT_EQUAL(pool_reap(), 0);
		close(fd);
	}
}

static const struct unit_test tests[] = {
	UNIT(arp_is_asked_and_answered),
	UNIT(ping_is_answered),
	UNIT(every_size_to_the_kernel),
	UNIT(every_size_from_the_kernel),
	UNIT(multicast_both_ways),
	UNIT(many_datagrams_byte_for_byte),
	UNIT(two_stacks_share_the_port),
	UNIT(checksums_of_the_kernel_are_verified),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_udp", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
