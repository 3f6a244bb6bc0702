/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel as peer: a stack over AF_PACKET on one end of a veth pair, ordinary sockets on the other end, in a network
 * namespace of their own. One thread drives both sides, so nothing here depends on timing; waits are bounded by a
 * deadline far beyond what is needed.
 *
 * Options: a part of a test's name; --long for a million datagrams instead of a hundred thousand.
 */
#include <zf/zf.h>

#include "core/ctx.h"
#include "netns.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OUR_ADDR    "10.99.0.1"
#define SECOND_ADDR "10.99.0.3"
#define PEER_ADDR   "10.99.0.2"
#define GROUP       "239.99.1.2"
#define OUR_PORT    5001
#define PEER_PORT   5002
#define MAX_PAYLOAD 65507

static bool have_net;
static bool long_run;
static uint8_t out_buf[MAX_PAYLOAD], in_buf[MAX_PAYLOAD + 1];

struct msg {
	struct zfur_msg m;
	struct iovec iov[64];
};

/* ---- time and bytes ---- */

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Bytes that differ for every datagram and every position in it. */
static void
fill(uint8_t *buf, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + (uint32_t)len;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		buf[i] = (uint8_t)(x >> 24);
	}
}

static struct sockaddr_in
addr(const char *ip, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
				    .sin_addr.s_addr = inet_addr(ip)};
}

/* ---- the two sides ---- */

static struct zf_stack *
stack_with(const char *text, int *rc)
{
	struct zf_stack *st = NULL;
	struct zf_attr *a;

	setenv("ZF_ATTR", text, 1);
	*rc = zf_attr_alloc(&a);
	unsetenv("ZF_ATTR");
	CU_ASSERT_EQUAL_FATAL(*rc, 0);
	*rc = zf_stack_alloc(a, &st);
	zf_attr_free(a);
	return st;
}

static struct zf_stack *
stack_up(const char *text)
{
	int rc;
	struct zf_stack *st = stack_with(text, &rc);

	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(st);
	return st;
}

static struct zf_attr *
plain_attr(void)
{
	static struct zf_attr *a;

	if (a == NULL)
		CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&a), 0);
	return a;
}

static struct zfur *
ur_bound(struct zf_stack *st, const char *ip, uint16_t port)
{
	struct sockaddr_in l = addr(ip, port);
	struct zfur *ur = NULL;

	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, plain_attr()), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	return ur;
}

static struct zfut *
ut_to(struct zf_stack *st, const char *from, uint16_t from_port, const char *to, uint16_t to_port)
{
	struct sockaddr_in l = addr(from, from_port), r = addr(to, to_port);
	struct zfut *ut = NULL;

	CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
					 plain_attr()), 0);
	return ut;
}

/* A kernel socket in the peer's namespace, non-blocking. */
static int
peer_socket(int type, int proto, uint16_t port)
{
	struct sockaddr_in l = addr(PEER_ADDR, port);
	int size = 8 << 20;
	int fd;

	netns_enter_peer();
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	netns_leave();
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (port != 0)
		CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&l, sizeof(l)), 0);
	return fd;
}

/* Sends by the zf API, with the guide's loop where there is no room. */
static bool
ut_send(struct zf_stack *st, struct zfut *ut, const void *buf, size_t len)
{
	const struct iovec iov = {(void *)(uintptr_t)buf, len};
	uint64_t end = now_ms() + 10000;
	int rc;

	do {
		rc = zfut_send(ut, &iov, 1, 0);
		if (rc == -EAGAIN || rc == -ENOMEM)
			zf_reactor_perform(st);
	} while ((rc == -EAGAIN || rc == -ENOMEM) && now_ms() < end);
	if (rc != (int)len)
		printf("  zfut_send of %zu: %d\n", len, rc);
	return rc == (int)len;
}

/* One datagram of the stack into in_buf: its length, or -1 when none comes for @ms. */
static int
ur_recv(struct zf_stack *st, struct zfur *ur, unsigned int ms)
{
	uint64_t end = now_ms() + ms;
	struct msg msg;
	size_t len = 0;

	for (;;) {
		msg.m.iovcnt = 64;
		zfur_zc_recv(ur, &msg.m, 0);
		if (msg.m.iovcnt > 0)
			break;
		zf_reactor_perform(st);
		if (now_ms() >= end)
			return -1;
	}
	for (int i = 0; i < msg.m.iovcnt; i++) {
		if (len + msg.iov[i].iov_len > sizeof(in_buf))
			return -2;
		memcpy(in_buf + len, msg.iov[i].iov_base, msg.iov[i].iov_len);
		len += msg.iov[i].iov_len;
	}
	zfur_zc_recv_done(ur, &msg.m);
	return (int)len;
}

/* One datagram of the kernel, the stack polled meanwhile (ARP, reassembly timers); -1 after @ms. */
static int
fd_recv(struct zf_stack *st, int fd, unsigned int ms)
{
	uint64_t end = now_ms() + ms;

	for (;;) {
		ssize_t n = recv(fd, in_buf, sizeof(in_buf), 0);

		if (n >= 0)
			return (int)n;
		zf_reactor_perform(st);
		if (now_ms() >= end)
			return -1;
	}
}

static bool
fd_send(struct zf_stack *st, int fd, const char *ip, uint16_t port, const void *buf, size_t len)
{
	struct sockaddr_in r = addr(ip, port);
	uint64_t end = now_ms() + 10000;
	ssize_t n;

	do {
		n = sendto(fd, buf, len, 0, (struct sockaddr *)&r, sizeof(r));
		if (n < 0)
			zf_reactor_perform(st);
	} while (n < 0 && (errno == EAGAIN || errno == ENOBUFS) && now_ms() < end);
	return n == (ssize_t)len;
}

/* What became of every frame, beside a failure. */
static void
show_counters(struct zf_stack *st)
{
	static const char *const names[] = {
#define COUNTER(id, text) #id,
#include "core/counter.def"
#undef COUNTER
	};
	const struct zf_ctx *ctx = (const struct zf_ctx *)st; /* a stack starts with its ctx */

	for (int i = 0; i < CNT__N; i++)
		if (ctx->counters[i] != 0)
			printf("    %-24s %llu\n", names[i], (unsigned long long)ctx->counters[i]);
}

#define NEEDS_NET()                                                                                \
	do {                                                                                       \
		if (!have_net) {                                                                   \
			unit_skip("no network namespaces here");                                   \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define BASIC "interface=" NETNS_OURS ";ipv4=" OUR_ADDR "/24"

/* ---- tests ---- */

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

static uint16_t
icmp_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
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
		uint64_t end = now_ms() + 3000;
		struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.id = 77, .sequence = htons((uint16_t)i)}};
		size_t len = sizeof(h) + sizes[i];
		bool answered = false;

		fill(out_buf + sizeof(h), sizes[i], (uint32_t)i);
		memcpy(out_buf, &h, sizeof(h));
		h.checksum = icmp_sum(out_buf, len);
		memcpy(out_buf, &h, sizeof(h));
		CU_ASSERT_TRUE(fd_send(st, fd, OUR_ADDR, 0, out_buf, len));
		while (!answered && now_ms() < end) {
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

		fill(out_buf, n, (uint32_t)n);
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

		fill(out_buf, n, (uint32_t)n);
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
	struct sockaddr_in l = addr(GROUP, OUR_PORT);
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
	fill(out_buf, 4000, 1);
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

			fill(out_buf, len, at + i);
			bad += !ut_send(st, ut, out_buf, len);
			bad += !fd_send(st, fd, ip, port, out_buf, len);
		}
		for (uint32_t i = 0; i < k; i++) {
			size_t len = 1 + (at + i) * 7919u % 1472u;

			fill(out_buf, len, at + i);
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

/* Two stacks, two addresses, one port with one queue; whichever is freed first, the other goes on. */
static void
two_stacks_share_the_port(void)
{
	NEEDS_NET();
	for (int first = 0; first < 2; first++) {
		struct zf_stack *a = stack_up(BASIC ";n_bufs=3000");
		struct zf_stack *b = stack_up("interface=" NETNS_OURS ";ipv4=" SECOND_ADDR "/24;n_bufs=5000");
		int fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);

		CU_ASSERT_EQUAL(exchange(a, OUR_ADDR, OUR_PORT, fd, 2000), 0);
		CU_ASSERT_EQUAL(exchange(b, SECOND_ADDR, OUR_PORT, fd, 2000), 0);
		CU_ASSERT_EQUAL(zf_stack_free(first == 0 ? a : b), 0);
		CU_ASSERT_EQUAL(exchange(first == 0 ? b : a, first == 0 ? SECOND_ADDR : OUR_ADDR, OUR_PORT, fd, 2000), 0);
		CU_ASSERT_EQUAL(zf_stack_free(first == 0 ? b : a), 0);
		close(fd);
	}
}

/* ---- VLAN: the kernel may have no VLAN devices, so frames are made and taken apart here ---- */

#define TAG 5

static int
raw_socket(void)
{
	struct sockaddr_ll l = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd, on = 1;

	netns_enter_peer();
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	l.sll_ifindex = (int)if_nametoindex(NETNS_PEER);
	netns_leave();
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&l, sizeof(l)), 0);
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	return fd;
}

/* A frame that arrived at the peer with its tag put back, or -1. */
static int
raw_recv(int fd, uint8_t *frame, size_t room)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct sockaddr_ll from;
	struct iovec iov = {frame, room - 4};
	struct msghdr mh = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &mh, 0);
	struct tpacket_auxdata aux;

	if (n < 12 || from.sll_pkttype == PACKET_OUTGOING)
		return n < 0 ? -1 : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID) {
			memmove(frame + 16, frame + 12, (size_t)n - 12);
			frame[12] = 0x81;
			frame[13] = 0;
			frame[14] = (uint8_t)(aux.tp_vlan_tci >> 8);
			frame[15] = (uint8_t)aux.tp_vlan_tci;
			n += 4;
		}
	}
	return (int)n;
}

/* Ethernet with tag @tci (0: none) and the type; returns the length. */
static size_t
eth(uint8_t *f, const uint8_t *dst, uint16_t tci, uint16_t type)
{
	static const uint8_t src[6] = {2, 0, 0, 0, 0, 0x55};
	size_t at = 12;

	memcpy(f, dst, 6);
	memcpy(f + 6, src, 6);
	if (tci != 0) {
		f[at++] = 0x81;
		f[at++] = 0;
		f[at++] = (uint8_t)(tci >> 8);
		f[at++] = (uint8_t)tci;
	}
	f[at++] = (uint8_t)(type >> 8);
	f[at++] = (uint8_t)type;
	return at;
}

static size_t
arp_request(uint8_t *f, uint16_t tci, uint32_t from, uint32_t to)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1};
	size_t at = eth(f, all, tci, ETH_P_ARP);

	memcpy(f + at, head, 8);
	memcpy(f + at + 8, f + 6, 6);
	memcpy(f + at + 14, &from, 4);
	memset(f + at + 18, 0, 6);
	memcpy(f + at + 24, &to, 4);
	return at + 28;
}

/* UDP without checksum, which is legal. */
static size_t
udp_frame(uint8_t *f, const uint8_t *dst, uint16_t tci, uint32_t from, uint32_t to, const char *text)
{
	size_t at = eth(f, dst, tci, ETH_P_IP), len = strlen(text);
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP, .saddr = from, .daddr = to,
			   .tot_len = htons((uint16_t)(28 + len))};
	uint16_t ports[4] = {htons(PEER_PORT), htons(OUR_PORT), htons((uint16_t)(8 + len)), 0};

	ip.check = icmp_sum(&ip, sizeof(ip));
	memcpy(f + at, &ip, sizeof(ip));
	memcpy(f + at + 20, ports, 8);
	memcpy(f + at + 28, text, len);
	return at + 28 + len;
}

/* The next frame of @type with our generator's MAC as destination, or -1 after a second. */
static int
raw_wait(struct zf_stack *st, int fd, uint8_t *frame, size_t room, uint16_t type)
{
	uint64_t end = now_ms() + 1000;

	while (now_ms() < end) {
		int n = raw_recv(fd, frame, room);
		size_t at = n > 18 && frame[12] == 0x81 ? 16 : 12;

		if (n > 18 && frame[5] == 0x55 && frame[at] == type >> 8 && frame[at + 1] == (type & 0xff))
			return n;
		zf_reactor_perform(st);
	}
	return -1;
}

static void
vlan_frames_from_a_generator(void)
{
	const uint32_t from = inet_addr("10.99.5.2"), to = inet_addr("10.99.5.1");
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	uint8_t f[2048], mac[6];
	size_t len;
	int fd, n;

	NEEDS_NET();
	st = stack_up("interface=" NETNS_OURS ";vlan=5;ipv4=10.99.5.1/24");
	fd = raw_socket();
	ur = ur_bound(st, "10.99.5.1", OUR_PORT);

	/* ARP is answered with the tag, in the tag only. */
	len = arp_request(f, TAG, from, to);
	CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
	n = raw_wait(st, fd, f, sizeof(f), ETH_P_ARP);
	CU_ASSERT_TRUE_FATAL(n >= 46);
	CU_ASSERT_TRUE(f[12] == 0x81 && f[13] == 0 && (f[14] & 0xf) == 0 && f[15] == TAG);
	memcpy(mac, f + 6, 6);
	for (uint16_t tci = 0; tci <= 6; tci += 6) { /* untagged, another tag */
		len = arp_request(f, tci, from, to);
		CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
		CU_ASSERT_EQUAL(raw_wait(st, fd, f, sizeof(f), ETH_P_ARP), -1);
	}

	/* So is UDP. */
	len = udp_frame(f, mac, TAG, from, to, "tagged");
	CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
	CU_ASSERT_EQUAL(ur_recv(st, ur, 3000), 6);
	CU_ASSERT_EQUAL(memcmp(in_buf, "tagged", 6), 0);
	len = udp_frame(f, mac, TAG | 0xe000, from, to, "priority"); /* other bits of the tag do not matter */
	CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
	CU_ASSERT_EQUAL(ur_recv(st, ur, 3000), 8);
	len = udp_frame(f, mac, 0, from, to, "untagged");
	CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
	len = udp_frame(f, mac, TAG + 1, from, to, "another");
	CU_ASSERT_EQUAL(send(fd, f, len, 0), (ssize_t)len);
	CU_ASSERT_EQUAL(ur_recv(st, ur, 100), -1);

	/* And what the stack sends. */
	ut = ut_to(st, "10.99.5.1", OUR_PORT, "10.99.5.2", PEER_PORT);
	CU_ASSERT_TRUE(ut_send(st, ut, "from the stack", 14));
	n = raw_wait(st, fd, f, sizeof(f), ETH_P_IP);
	CU_ASSERT_TRUE_FATAL(n >= 18 + 28 + 14);
	CU_ASSERT_TRUE(f[12] == 0x81 && f[15] == TAG);
	CU_ASSERT_EQUAL(memcmp(f + 18 + 28, "from the stack", 14), 0);
	zfut_free(ut);
	zfur_free(ur);
	close(fd);
	zf_stack_free(st);
}

/* ---- refusals, and what happens to a live port ---- */

static char lines[4096];
static int stderr_was;

static void
lines_begin(void)
{
	int fd = memfd_create("lines", 0);

	fflush(stderr);
	stderr_was = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static int
lines_end(void)
{
	ssize_t n = pread(STDERR_FILENO, lines, sizeof(lines) - 1, 0);
	int count = 0;

	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	lines[n > 0 ? n : 0] = '\0';
	for (const char *p = lines; (p = strchr(p, '\n')) != NULL; p++)
		count++;
	return count;
}

static void
refused(const char *text, int want, const char *named)
{
	int rc;

	lines_begin();
	stack_with(text, &rc);
	CU_ASSERT_EQUAL(lines_end(), 1);
	if (rc != want || strstr(lines, named) == NULL)
		printf("  %s: %d %s", text, rc, lines);
	CU_ASSERT_EQUAL(rc, want);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines, named));
}

static void
addresses_of_the_kernel_are_refused(void)
{
	struct zf_stack *st;

	NEEDS_NET();
	CU_ASSERT_EQUAL(netns_addr(true, NETNS_OURS, inet_addr("10.99.0.7"), 24), 0);
	refused("interface=" NETNS_OURS ";ipv4=10.99.0.7/24", -EINVAL, "ipv4=");
	refused("interface=" NETNS_OURS ";ipv4=" OUR_ADDR "/24,10.99.0.7/24", -EINVAL, "ipv4=");
	refused("interface=" NETNS_OURS, -EINVAL, "ipv4=");
	st = stack_up(BASIC); /* beside the kernel, with an address of its own */
	zf_stack_free(st);
	CU_ASSERT_EQUAL(netns_addr(false, NETNS_OURS, inet_addr("10.99.0.7"), 24), 0);
	refused("interface=" NETNS_OURS, -EINVAL, "ipv4=");
	refused("interface=nosuch0;ipv4=" OUR_ADDR "/24", -ENODEV, "nosuch0");
	refused("interface=" NETNS_OURS ";ipv4=" OUR_ADDR "/24;rx_ring_max=100000", -EINVAL, "rx_ring_max=100000");
}

static bool
round_trip(struct zf_stack *st, struct zfur *ur, int fd)
{
	return fd_send(st, fd, OUR_ADDR, OUR_PORT, "x", 1) && ur_recv(st, ur, 3000) == 1;
}

static void
link_down_and_up_again(void)
{
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	int fd;

	NEEDS_NET();
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT);
	CU_ASSERT_TRUE(round_trip(st, ur, fd));
	CU_ASSERT_EQUAL(netns_up(NETNS_OURS, false), 0);
	for (int i = 0; i < 2000; i++) { /* lost, or refused for want of room; never fatal */
		const struct iovec iov = {out_buf, 100};
		int rc = zfut_send(ut, &iov, 1, 0);

		CU_ASSERT_TRUE(rc == 100 || rc == -EAGAIN || rc == -ENOMEM);
		zf_reactor_perform(st);
	}
	CU_ASSERT_EQUAL(netns_up(NETNS_OURS, true), 0);
	while (fd_recv(st, fd, 100) >= 0) /* what was held back may come now */
		;
	CU_ASSERT_TRUE(round_trip(st, ur, fd));
	CU_ASSERT_TRUE(ut_send(st, ut, "y", 1));
	CU_ASSERT_EQUAL(fd_recv(st, fd, 3000), 1);
	zfut_free(ut);
	zfur_free(ur);
	close(fd);
	zf_stack_free(st);
}

/* The interface goes away under a running stack; a new one of the same name serves a new stack. */
static void
the_interface_is_deleted(void)
{
	struct zf_stack *st;
	struct zfut *ut;
	uint64_t end;

	NEEDS_NET();
	st = stack_up(BASIC);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT);
	CU_ASSERT_TRUE(ut_send(st, ut, "x", 1));
	CU_ASSERT_EQUAL(netns_delete(NETNS_OURS), 0);
	end = now_ms() + 1200; /* two looks at the link */
	while (now_ms() < end) {
		const struct iovec iov = {out_buf, 100};

		(void)zfut_send(ut, &iov, 1, 0);
		CU_ASSERT_TRUE(zf_reactor_perform(st) >= 0);
	}
	zfut_free(ut);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

static int
net_up(const char **step)
{
	int rc;

	*step = "interfaces";
	rc = netns_up(NETNS_OURS, true);
	netns_enter_peer();
	netns_sysctl("ipv4/conf/" NETNS_PEER "/rp_filter", "0");
	if (rc == 0)
		rc = netns_addr(true, NETNS_PEER, inet_addr(PEER_ADDR), 24);
	if (rc == 0)
		rc = netns_up(NETNS_PEER, true);
	if (rc == 0)
		rc = netns_route(NETNS_PEER, inet_addr("239.0.0.0"), 8);
	netns_leave();
	netns_sysctl("ipv4/conf/" NETNS_OURS "/forwarding", "0");
	return rc;
}

/* Last of the tests: afterwards there is a fresh pair. */
static void
a_fresh_interface_of_the_same_name(void)
{
	const char *step = "";
	struct zf_stack *st;
	struct zfur *ur;
	int fd;

	NEEDS_NET();
	CU_ASSERT_EQUAL_FATAL(netns_make_veth(), 0);
	CU_ASSERT_EQUAL_FATAL(net_up(&step), 0);
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	CU_ASSERT_TRUE(round_trip(st, ur, fd));
	zfur_free(ur);
	close(fd);
	zf_stack_free(st);
}

static const struct unit_test tests[] = {
	UNIT(arp_is_asked_and_answered),
	UNIT(ping_is_answered),
	UNIT(every_size_to_the_kernel),
	UNIT(every_size_from_the_kernel),
	UNIT(multicast_both_ways),
	UNIT(many_datagrams_byte_for_byte),
	UNIT(two_stacks_share_the_port),
	UNIT(vlan_frames_from_a_generator),
	UNIT(addresses_of_the_kernel_are_refused),
	UNIT(link_down_and_up_again),
	UNIT(checksums_of_the_kernel_are_verified),
	UNIT(the_interface_is_deleted),
	UNIT(a_fresh_interface_of_the_same_name),
};

int
main(int argc, char **argv)
{
	const char *step = "";
	int rc;

	if (argc > 1 && strcmp(argv[1], "--long") == 0) {
		long_run = true;
		argc--;
		argv++;
	}
	rc = netns_setup(&step);
	if (rc == 0)
		rc = net_up(&step);
	have_net = rc == 0;
	if (rc < 0)
		printf("no network of our own: %s: %s\n", step, strerror(-rc));
	rc = zf_init();
	if (rc < 0) {
		printf("zf_init: %d\n", rc);
		return 2;
	}
	return unit_main("interop_udp", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
