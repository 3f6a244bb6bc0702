/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving datagrams: bindings, queues, zero copy (guide 11.11, RFC 768, RFC 1122 4.1).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "pkt/ps.h"

PKT_TEST(udp_is_received, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_count(s, RX_UDP, 1);
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv_none(s, ur);
}

PKT_TEST(udp_of_every_small_size_is_received, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned n = 0; n <= 70; n++) {
		ps_in(s, "+0 udp 1000 > 2000 (%u@%u)", n, n);
		ps_recv_off(s, ur, "peer:1000", n, n);
	}
}

PKT_TEST(udp_of_a_full_frame_is_received, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (1472)");
	ps_recv(s, ur, "peer:1000", 1472);
	ps_in(s, "+0 udp 1000 > 2000 (1471)");
	ps_recv(s, ur, "peer:1000", 1471);
}

PKT_TEST(udp_order_is_kept_and_counted, "guide 10.10.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg *m;
	char room[sizeof(*m) + 2 * sizeof(struct iovec)] __attribute__((aligned(16)));

	m = (struct zfur_msg *)room;
	for (unsigned i = 0; i < 40; i++)
		ps_queue(s, "+0 udp 1000 > 2000 (20@%u)", i);
	PS_OK(s, ps_run(s) > 0);
	for (unsigned i = 0; i < 40; i++) {
		m->iovcnt = 2;
		zfur_zc_recv(ur, m, 0);
		PS_EQ(s, m->iovcnt, 1);
		PS_EQ(s, m->dgrams_left, 39 - (int)i);
		PS_EQ(s, *(uint8_t *)m->iov[0].iov_base, ps_pattern(i));
		zfur_zc_recv_done(ur, m);
	}
	ps_recv_none(s, ur);
}

PKT_TEST(udp_reactor_reports_a_datagram, "guide 11.8.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	PS_EQ(s, ps_poll(s), 0);
	ps_queue(s, "+0 udp 1000 > 2000 (1)");
	PS_OK(s, zf_stack_has_pending_work(ps_stack(s)) != 0);
	PS_OK(s, ps_poll(s) > 0);
	PS_EQ(s, ps_poll(s), 0);
	ps_recv(s, ur, "peer:1000", 1);
}

/* A port that can be looked at says "nothing" truly; a blind one always says "perhaps". */
PKT_TEST(pending_work_is_never_wrongly_denied, "guide 11.8.2.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	bool blind = ps_mode_is_blind();

	ps_run(s);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)) != 0, blind);
	ps_queue(s, "+.5 udp 1000 > 2000 (1)");
	PS_OK(s, ps_poll(s) >= 0);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)) != 0, blind);
	ps_silence(s, .499);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)) != 0, blind);
	zt_set_clock(zt_clock() + 1000000);
	PS_OK(s, zf_stack_has_pending_work(ps_stack(s)) != 0);
	ps_run(s);
	ps_recv(s, ur, "peer:1000", 1);
}

PKT_TEST(udp_wildcard_takes_every_sender, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_in(s, "+0 udp 1001 > 2000 (13)");
	ps_in(s, "+0 [ip src other] udp 1000 > 2000 (14)");
	ps_in(s, "+0 [ip src far] udp 1 > 2000 (15)");
	ps_in(s, "+0 udp 0 > 2000 (16)"); /* RFC 768: no reply wanted */
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv(s, ur, "peer:1001", 13);
	ps_recv(s, ur, "other:1000", 14);
	ps_recv(s, ur, "far:1", 15);
	ps_recv(s, ur, "peer:0", 16);
}

PKT_TEST(udp_connected_takes_one_sender, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_from(s, "us:2000", "peer:1000");

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_in(s, "+0 udp 1001 > 2000 (13)");
	ps_out(s, "+0 icmp unreachable port [udp 1001 > 2000 (13)]");
	ps_in(s, "+0 [ip src other] udp 1000 > 2000 (14)");
	ps_out(s, "+0 [ip dst other] icmp unreachable port [[ip src other] udp 1000 > 2000 (14)]");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_UDP_NO_PORT, 2);
	ps_count(s, TX_ICMP, 2);
}

PKT_TEST(udp_connected_wins_over_wildcard, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *any = ps_zfur(s, "us:2000");
	struct zfur *one = ps_zfur_from(s, "us:2000", "peer:1000");

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_in(s, "+0 udp 1001 > 2000 (13)");
	ps_recv(s, one, "peer:1000", 12);
	ps_recv(s, any, "peer:1001", 13);
	ps_recv_none(s, one);
	ps_recv_none(s, any);
	ps_zfur_free(s, one);
	ps_in(s, "+0 udp 1000 > 2000 (14)");
	ps_recv(s, any, "peer:1000", 14);
}

PKT_TEST(udp_zocket_has_several_bindings, "guide 11.11.2.1")
{
	struct ps *s = ps_open(.ipv4 = "192.0.2.1/24,192.0.2.2/24");
	struct zfur *ur = ps_zfur(s, "us:2000");

	PS_EQ(s, ps_bind(s, ur, "us:2001", NULL), 0);
	PS_EQ(s, ps_bind(s, ur, "us2:2000", "peer:7"), 0);
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_in(s, "+0 udp 1000 > 2001 (13)");
	ps_in(s, "+0 [ip dst us2] udp 7 > 2000 (14)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv(s, ur, "peer:1000", 13);
	ps_recv(s, ur, "peer:7", 14);
	ps_in(s, "+0 [ip dst us2] udp 8 > 2000 (14)");
	ps_out(s, "+0 [ip src us2] icmp unreachable port [[ip dst us2] udp 8 > 2000 (14)]");
}

PKT_TEST(udp_binding_is_taken, "guide 11.11.2.1")
{
	struct ps *s = ps_open(.ipv4 = "192.0.2.1/24,192.0.2.2/24");
	struct zfur *a = ps_zfur(s, "us:2000");
	struct zfur *b = ps_zfur_new(s);

	PS_EQ(s, ps_bind(s, b, "us:2000", NULL), -EADDRINUSE);
	PS_EQ(s, ps_bind(s, a, "us:2000", NULL), -EADDRINUSE);
	PS_EQ(s, ps_bind(s, b, "us:2000", "peer:1000"), 0);
	PS_EQ(s, ps_bind(s, a, "us:2000", "peer:1000"), -EADDRINUSE);
	PS_EQ(s, ps_bind(s, a, "us:2000", "peer:1001"), 0);
	PS_EQ(s, ps_bind(s, b, "us2:2000", NULL), 0);
}

PKT_TEST(udp_bind_refuses, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_new(s);
	struct sockaddr_in l = ps_addr(s, "us:2000"), r = ps_addr(s, "peer:1000");
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};

	PS_EQ(s, zfur_addr_bind(ur, NULL, sizeof(l), NULL, 0, 0), -EFAULT);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&l, 7, NULL, 0, 0), -EINVAL);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, 7, 0), -EINVAL);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 1), -EINVAL);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&six, sizeof(six), NULL, 0, 0), -EAFNOSUPPORT);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&six, sizeof(six), 0),
	      -EAFNOSUPPORT);
	/* The order of the checks: NULL, length, family, flags. */
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&six, 7, NULL, 0, 1), -EINVAL);
	PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&six, sizeof(six), NULL, 0, 1), -EAFNOSUPPORT);
	PS_EQ(s, ps_bind(s, ur, "any:2000", NULL), -EINVAL);
	PS_EQ(s, ps_bind(s, ur, "other:2000", NULL), -EADDRNOTAVAIL);
	PS_EQ(s, ps_bind(s, ur, "us:2000", "peer:0"), -EINVAL);
	PS_EQ(s, ps_bind(s, ur, "us:2000", "any:7"), -EINVAL);
	PS_EQ(s, ps_bind(s, ur, "us:2000", "any:0"), 0); /* "wildcard" may be written out */
	ps_in(s, "+0 udp 1 > 2000 (3)");
	ps_recv(s, ur, "peer:1", 3);
}

PKT_TEST(udp_unbind, "guide 11.11.2.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	PS_EQ(s, ps_bind(s, ur, "us:2001", "peer:1000"), 0);
	PS_EQ(s, ps_bind(s, ur, "us:2002", NULL), 0);
	PS_EQ(s, ps_unbind(s, ur, "us:2001", NULL), 0); /* NULL matches any remote */
	PS_EQ(s, ps_unbind(s, ur, "us:2001", NULL), -EINVAL);
	PS_EQ(s, ps_unbind(s, ur, "us:2000", "peer:1000"), -EINVAL);
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	PS_EQ(s, ps_unbind(s, ur, "us:2000", "any:0"), 0);
	ps_recv(s, ur, "peer:1000", 3); /* what waited stays */
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	ps_out(s, "+0 icmp unreachable port [udp 1000 > 2000 (3)]");
	PS_EQ(s, ps_unbind(s, ur, NULL, NULL), 0);
	ps_in(s, "+0 udp 1000 > 2002 (3)");
	ps_out(s, "+0 icmp unreachable port [udp 1000 > 2002 (3)]");
	PS_EQ(s, ps_unbind(s, ur, NULL, NULL), -EINVAL);
	PS_EQ(s, ps_bind(s, ur, "us:2000", NULL), 0);
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	ps_recv(s, ur, "peer:1000", 3);
}

PKT_TEST(udp_ephemeral_ports_differ, "RFC 6056")
{
	struct ps *s = ps_open();
	bool seen[65536] = {false};

	for (int i = 0; i < 50; i++) {
		struct zfur *ur = ps_zfur_new(s);
		struct sockaddr_in l = ps_addr(s, "us:0");
		unsigned port;

		PS_EQ(s, zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
		port = ntohs(l.sin_port);
		PS_OK(s, port >= 32768);
		PS_OK(s, !seen[port]);
		seen[port] = true;
		ps_in(s, "+0 udp 1000 > %u (12)", port);
		ps_recv(s, ur, "peer:1000", 12);
	}
}

PKT_TEST(udp_too_many_receive_zockets, "guide 11.11.2.3")
{
	struct ps *s = ps_open(.attrs = "max_udp_rx_endpoints=3");
	struct zfur *a = ps_zfur(s, "us:2000"), *more = NULL;
	struct zf_attr *attr;

	ps_zfur(s, "us:2001");
	ps_zfur(s, "us:2002");
	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zfur_alloc(&more, ps_stack(s), attr), -ENOBUFS);
	PS_OK(s, more == NULL);
	zf_attr_free(attr);
	ps_zfur_free(s, a);
	a = ps_zfur(s, "us:2000");
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, a, "peer:1000", 12);
}

PKT_TEST(udp_queue_is_bounded, "guide 11.11.2.7")
{
	struct ps *s = ps_open(.n_bufs = 256);
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	uint64_t got;

	/* Whoever does not read loses datagrams, not the stack its buffers. */
	for (unsigned i = 0; i < 400; i++)
		ps_in(s, "+0 udp 1000 > 2000 (20@%u)", i);
	PS_EQ(s, zt_counter(NULL, "NO_SUCH", &got), -ENOENT);
	got = ps_ctx(s)->counters[CNT_RX_UDP];
	PS_OK(s, got > 50 && got < 256);
	ps_count(s, RX_DROP_UDP_QUEUE, 400 - got);
	PS_EQ(s, ps_send(s, ut, 5), 5);
	ps_out(s, "+0 udp 2000 > 1000 (5)");
	ps_in(s, "+0 icmp echo request id 1 seq 1 (10)");
	ps_out(s, "+0 icmp echo reply id 1 seq 1 (10)");
	for (unsigned i = 0; i < got; i++)
		ps_recv_off(s, ur, "peer:1000", 20, i);
	ps_recv_none(s, ur);
	ps_in(s, "+0 udp 1000 > 2000 (21)");
	ps_recv(s, ur, "peer:1000", 21);
}

PKT_TEST(udp_zocket_freed_with_a_full_queue, "guide 11.11.2.4")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned i = 0; i < 100; i++)
		ps_in(s, "+0 udp 1000 > 2000 (20@%u)", i);
	ps_zfur_free(s, ur);
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	ps_out(s, "+0 icmp unreachable port [udp 1000 > 2000 (3)]");
}

PKT_TEST(udp_zocket_freed_with_a_datagram_in_hand, "guide 11.11.2.4")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg *m;
	char room[sizeof(*m) + 2 * sizeof(struct iovec)] __attribute__((aligned(16)));

	m = (struct zfur_msg *)room;
	ps_in(s, "+0 udp 1000 > 2000 (20)");
	m->iovcnt = 2;
	zfur_zc_recv(ur, m, 0);
	PS_EQ(s, m->iovcnt, 1);
	ps_zfur_free(s, ur);
}

PKT_TEST(udp_payload_stays_until_done, "guide 11.11.2.7")
{
	struct ps *s = ps_open(.n_bufs = 128);
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg *m;
	char room[sizeof(*m) + 2 * sizeof(struct iovec)] __attribute__((aligned(16)));

	m = (struct zfur_msg *)room;
	ps_in(s, "+0 udp 1000 > 2000 (300)");
	m->iovcnt = 1;
	zfur_zc_recv(ur, m, 0);
	PS_EQ(s, m->iovcnt, 1);
	for (unsigned i = 0; i < 300; i++)
		ps_in(s, "+0 udp 1000 > 2000 (300@7)");
	PS_EQ(s, memcmp(m->iov[0].iov_base, ps_payload(300, 0), 300), 0);
	zfur_zc_recv_done(ur, m);
	ps_recv_off(s, ur, "peer:1000", 300, 7);
}

PKT_TEST(udp_recv_without_room_takes_nothing, "guide 11.11.2.7")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg m = {.iovcnt = 0};

	ps_in(s, "+0 udp 1000 > 2000 (20)");
	zfur_zc_recv(ur, &m, 0);
	PS_EQ(s, m.iovcnt, 0);
	ps_recv(s, ur, "peer:1000", 20);
}

PKT_TEST_IN(udp_checksum_is_verified, "RFC 1122 4.1.3.4", PS_VERIFYING)
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12) csum bad");
	ps_in(s, "+0 udp 1000 > 2000 (1472) csum bad");
	ps_in(s, "+0 udp 1000 > 2000 (13) csum bad");
	ps_in(s, "+0 udp 1000 > 2000 (0) csum bad");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_UDP_CSUM, 4);
}

PKT_TEST(udp_checksum_zero_is_none, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12) csum 0");
	ps_recv(s, ur, "peer:1000", 12);
}

PKT_TEST(udp_checksum_ffff, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	/* 0xfc54 makes the sum come out as zero, which is sent as ffff. */
	for (unsigned i = 0, hit = 0; i < 65536 && hit == 0; i++) {
		uint8_t b[128];
		uint32_t n = ps_build(s, b, sizeof(b), "udp 1000 > 2000 (x%04x)", i);

		if (b[40] != 0xff || b[41] != 0xff)
			continue;
		hit = 1;
		ps_in_frame(s, b, n);
	}
	ps_count(s, RX_UDP, 1);
	ps_zfur_free(s, ur);
}

PKT_TEST(udp_lengths_that_lie, "RFC 768, hostile 25")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned n = 0; n < 8; n++)
		ps_in(s, "+0 udp 1000 > 2000 (12) len %u", n);
	ps_in(s, "+0 udp 1000 > 2000 (12) len 21");
	ps_in(s, "+0 udp 1000 > 2000 (12) len 65535");
	ps_in(s, "+0 [ip len 27] udp 1000 > 2000 (12)"); /* IP ends within the UDP header */
	ps_in(s, "+0 [ip len 20] udp 1000 > 2000 (12)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_UDP_BAD, 12);
	/* Shorter than the IP payload is allowed and trims. */
	ps_in(s, "+0 udp 1000 > 2000 (12) len 15 csum 0");
	ps_recv(s, ur, "peer:1000", 7);
}

PKT_TEST(udp_without_a_zocket, "RFC 1122 4.1.3.1")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_out(s, "+0 icmp unreachable port [udp 1000 > 2000 (12)]");
	ps_count(s, RX_DROP_UDP_NO_PORT, 1);
	ps_in(s, "+0 [ip dst bcast] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip dst ones] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_count(s, RX_DROP_BROADCAST, 3);
}

PKT_TEST(udp_broadcast_goes_to_its_listeners, "RFC 1122 3.3.6")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur *all = ps_zfur(s, "ones:2000");
	struct zfur *net = ps_zfur(s, "bcast:2000");
	struct zfur *net2 = ps_zfur(s, "bcast:2000");

	ps_in(s, "+0 [ip dst ones] udp 1000 > 2000 (12)");
	ps_recv(s, all, "peer:1000", 12);
	ps_in(s, "+0 [ip dst bcast] udp 1000 > 2000 (13)");
	ps_recv(s, net, "peer:1000", 13);
	ps_recv(s, net2, "peer:1000", 13);
	ps_recv_none(s, all);
	ps_recv_none(s, ur);
	/* A unicast address in a broadcast frame was not meant for us. */
	ps_in(s, "+0 [eth dst bcast-mac] udp 1000 > 2000 (12)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_IP_DST, 1);
}

PKT_TEST(udp_port_says_bad_of_a_good_checksum, "hostile 26")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	/* RTE_MBUF_F_RX_L4_CKSUM_BAD and _IP_CKSUM_BAD: checked again in software, for some adapters lie. */
	mem_cfg(ps_port(s))->rx_flags = (1ull << 3) | (1ull << 4);
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
}

PKT_TEST(udp_twice_done_is_harmless, "guide 11.11.2.8")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg *m;
	char room[sizeof(*m) + sizeof(struct iovec)] __attribute__((aligned(16)));

	m = (struct zfur_msg *)room;
	ps_in(s, "+0 udp 1000 > 2000 (1)");
	ps_in(s, "+0 udp 1000 > 2000 (2)");
	m->iovcnt = 1;
	zfur_zc_recv(ur, m, 0);
	zfur_zc_recv_done(ur, m);
	zfur_zc_recv_done(ur, m);
	ps_recv(s, ur, "peer:1000", 2);
}
