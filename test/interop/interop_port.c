/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel as peer: what concerns the port. VLAN tags (frames are made and taken apart here, as the kernel may have no
 * VLAN devices), refused addresses, links that go down, interfaces that go away.
 */
#include "peer.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

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

	ip.check = peer_checksum(&ip, sizeof(ip));
	memcpy(f + at, &ip, sizeof(ip));
	memcpy(f + at + 20, ports, 8);
	memcpy(f + at + 28, text, len);
	return at + 28 + len;
}

/* The next frame of @type with our generator's MAC as destination, or -1 after a second. */
static int
raw_wait(struct zf_stack *st, int fd, uint8_t *frame, size_t room, uint16_t type)
{
	uint64_t end = peer_now_ms() + 1000;

	while (peer_now_ms() < end) {
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
	end = peer_now_ms() + 1200; /* two looks at the link */
	while (peer_now_ms() < end) {
		const struct iovec iov = {out_buf, 100};

		(void)zfut_send(ut, &iov, 1, 0);
		CU_ASSERT_TRUE(zf_reactor_perform(st) >= 0);
	}
	zfut_free(ut);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
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
	CU_ASSERT_EQUAL_FATAL(peer_net_up(&step), 0);
	st = stack_up(BASIC);
	fd = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	CU_ASSERT_TRUE(round_trip(st, ur, fd));
	zfur_free(ur);
	close(fd);
	zf_stack_free(st);
}

/* Handles what there is until the descriptor stays quiet behind a prime. */
static void
settle(struct zf_stack *st, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int i = 0; i < 100000; i++) {
		while (zf_reactor_perform(st) > 0)
			;
		CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_prime(st), 0);
		if (poll(&p, 1, 0) == 0)
			return;
	}
	CU_FAIL_FATAL("the descriptor never becomes quiet");
}

/* Turns of a loop that sleeps on @fd, in @ms. */
static int
turns(struct zf_stack *st, int fd, unsigned int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t now = peer_now_ms(), end = now + ms;
	int n = 0;

	for (; now < end; now = peer_now_ms()) {
		settle(st, fd);
		n += poll(&p, 1, (int)(end - now));
	}
	return n;
}

/* One epoll set over the stack and a socket of the kernel's: a frame wakes the one, a datagram the other. */
static void
sleeps_beside_a_kernel_socket(void)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 1};
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	int fd = -1, k, ep;

	NEEDS_NET();
	st = stack_up(BASIC);
	ur = ur_bound(st, OUR_ADDR, OUR_PORT);
	k = peer_socket(SOCK_DGRAM, 0, PEER_PORT);
	ut = ut_to(st, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT);
	ep = epoll_create1(EPOLL_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_get(st, &fd), 0);
	CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	ev.data.u32 = 2;
	CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, k, &ev), 0);
	for (int i = 0; i < 1000; i++) {
		settle(st, fd);
		CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
		CU_ASSERT(fd_send(st, k, OUR_ADDR, OUR_PORT, "ping", 4));
		CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
		CU_ASSERT_EQUAL(ev.data.u32, 1);
		CU_ASSERT_EQUAL(ur_recv(st, ur, 10000), 4);
		settle(st, fd);
		CU_ASSERT(ut_send(st, ut, "pong", 4));
		CU_ASSERT_EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
		CU_ASSERT_EQUAL(ev.data.u32, 2);
		CU_ASSERT_EQUAL(fd_recv(st, k, 10000), 4);
	}
	close(ep);
	close(k);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* An idle interface, and one that is down, leave the thread asleep: what wakes it are the looks at the link. */
static void
idle_and_down_interfaces_let_it_sleep(void)
{
	struct zf_stack *st;
	int fd = -1;

	NEEDS_NET();
	st = stack_up(BASIC);
	CU_ASSERT_EQUAL_FATAL(zf_waitable_fd_get(st, &fd), 0);
	CU_ASSERT(turns(st, fd, 400) < 40);
	CU_ASSERT_EQUAL(netns_up(NETNS_OURS, false), 0);
	CU_ASSERT(turns(st, fd, 400) < 40);
	CU_ASSERT_EQUAL(netns_up(NETNS_OURS, true), 0);
	CU_ASSERT(turns(st, fd, 700) < 40);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

static const struct unit_test tests[] = {
	UNIT(sleeps_beside_a_kernel_socket),
	UNIT(idle_and_down_interfaces_let_it_sleep),
	UNIT(vlan_frames_from_a_generator),
	UNIT(addresses_of_the_kernel_are_refused),
	UNIT(link_down_and_up_again),
	UNIT(the_interface_is_deleted),
	UNIT(a_fresh_interface_of_the_same_name),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_port", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
