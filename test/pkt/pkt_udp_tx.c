/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sending datagrams (guide 11.11): headers, limits, fragments, a full port, an empty pool.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/pool.h"
#include "pkt/ps.h"

PKT_TEST(udp_is_sent, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send_off(s, ut, 12, 5, ZFUT_FLAG_DONT_FRAGMENT), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12@5)");
	ps_count(s, TX_UDP, 3);
}

PKT_TEST(udp_of_every_small_size_is_sent, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	for (unsigned n = 0; n <= 70; n++) {
		PS_EQ(s, ps_send(s, ut, n), (int)n);
		ps_out(s, "+0 [ip nodf] udp 2000 > 1000 (%u)", n);
		PS_EQ(s, ps_send_single(s, ut, n), (int)n);
		ps_out(s, "+0 [ip df] udp 2000 > 1000 (%u)", n);
	}
}

PKT_TEST(udp_frame_is_header_size_and_payload, "guide 11.11.2.11")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	uint8_t b[2000];

	PS_EQ(s, zfut_get_header_size(ut), 42);
	PS_EQ(s, ps_send_single(s, ut, 100), 100);
	PS_EQ(s, ps_take(s, b, sizeof(b)), 142);
}

PKT_TEST(udp_header_size_with_vlan, "guide 11.11.2.11")
{
	struct ps *s = ps_open(.vlan = 5);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	uint8_t b[2000];

	PS_EQ(s, zfut_get_header_size(ut), 46);
	PS_EQ(s, zfut_get_mss(ut), 1472);
	PS_EQ(s, ps_send_single(s, ut, 100), 100);
	PS_EQ(s, ps_take(s, b, sizeof(b)), 146);
	PS_EQ(s, ps_send_single(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (1472)");
}

PKT_TEST(udp_mss, "guide 11.11.2.12")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, zfut_get_mss(ut), 1472);
	PS_EQ(s, ps_send_single(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (1472)");
	PS_EQ(s, ps_send_single(s, ut, 1473), -EMSGSIZE);
	PS_EQ(s, ps_send_off(s, ut, 1473, 0, ZFUT_FLAG_DONT_FRAGMENT), -EMSGSIZE);
	PS_EQ(s, ps_send_single(s, ut, 65508), -EMSGSIZE);
	PS_EQ(s, ps_send_off(s, ut, 1472, 0, ZFUT_FLAG_DONT_FRAGMENT), 1472);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (1472)");
}

PKT_TEST(udp_mss_follows_the_mtu, "guide 11.11.2.12")
{
	struct ps *s = ps_open(.mtu = 576);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, zfut_get_mss(ut), 548);
	PS_EQ(s, ps_send_single(s, ut, 548), 548);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (548)");
	PS_EQ(s, ps_send_single(s, ut, 549), -EMSGSIZE);
}

PKT_TEST_IN(udp_jumbo_frames, "guide 11.11.2.12", PS_NO_VI) /* ef_vi's buffers are shorter */
{
	struct ps *s = ps_open(.mtu = 9000, .n_bufs = 512);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct zfur *ur = ps_zfur(s, "us:2000");

	PS_EQ(s, zfut_get_mss(ut), 8972);
	PS_EQ(s, ps_send_single(s, ut, 8972), 8972);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (8972)");
	ps_in(s, "+0 udp 1000 > 2000 (8972)");
	ps_recv(s, ur, "peer:1000", 8972);
}

PKT_TEST(udp_send_flags_and_counts, "guide 11.11.2.13")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct iovec iov[3] = {{(void *)(uintptr_t)ps_payload(3, 0), 3}, {NULL, 0}, {NULL, 0}};

	PS_EQ(s, zfut_send(ut, iov, 1, 1), -EINVAL);
	PS_EQ(s, zfut_send(ut, iov, -1, 0), -EINVAL);
	PS_EQ(s, zfut_send(ut, iov, 3, 0), 3);
	ps_out(s, "+0 udp 2000 > 1000 (3)");
	PS_EQ(s, zfut_send(ut, NULL, 0, 0), 0);
	ps_out(s, "+0 udp 2000 > 1000 (0)");
}

PKT_TEST(udp_many_small_buffers, "guide 11.11.2.13")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	const uint8_t *b = ps_payload(3000, 0);
	struct iovec iov[1000];

	for (int i = 0; i < 1000; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)(b + i), 1};
	PS_EQ(s, zfut_send(ut, iov, 1000, 0), 1000);
	ps_out(s, "+0 udp 2000 > 1000 (1000)");
	for (int i = 0; i < 1000; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)(b + 3 * i), 3};
	PS_EQ(s, zfut_send(ut, iov, 1000, 0), 3000);
	ps_out(s, "+0 frag 0:1480 udp 2000 > 1000 (3000)");
	ps_out(s, "+0 frag 1480:2960 udp 2000 > 1000 (3000)");
	ps_out(s, "+0 frag 2960:3008 udp 2000 > 1000 (3000)");
}

PKT_TEST(udp_total_length_beyond_every_limit, "guide 11.11.2.13")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct iovec iov[2] = {{(void *)(uintptr_t)ps_payload(65507, 0), 65507}, {(void *)(uintptr_t)"x", 1}};

	PS_EQ(s, zfut_send(ut, iov, 2, 0), -EMSGSIZE);
	iov[0].iov_len = SIZE_MAX;
	PS_EQ(s, zfut_send(ut, iov, 1, 0), -EMSGSIZE);
	PS_EQ(s, zfut_send(ut, iov, 2, 0), -EMSGSIZE);
	PS_EQ(s, ps_send_off(s, ut, 65508, 0, 0), -EMSGSIZE);
}

PKT_TEST(udp_is_sent_in_fragments, "RFC 791 3.2")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send(s, ut, 1473), 1473);
	ps_out(s, "+0 [ip nodf] frag 0:1480 udp 2000 > 1000 (1473)");
	ps_out(s, "+0 [ip nodf] frag 1480:1481 udp 2000 > 1000 (1473)");
	ps_count(s, TX_UDP, 1);
	ps_count(s, TX_UDP_FRAGMENTS, 2);
	PS_EQ(s, ps_send(s, ut, 4000), 4000);
	ps_out(s, "+0 frag 0:1480 udp 2000 > 1000 (4000)");
	ps_out(s, "+0 frag 1480:2960 udp 2000 > 1000 (4000)");
	ps_out(s, "+0 frag 2960:4008 udp 2000 > 1000 (4000)");
}

PKT_TEST(udp_largest_datagram_is_sent, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send(s, ut, 65507), 65507);
	for (unsigned off = 0; off < 65515; off += 1480)
		ps_out(s, "+0 frag %u:%u udp 2000 > 1000 (65507)", off, off + 1480 < 65515 ? off + 1480 : 65515);
}

PKT_TEST(udp_datagrams_have_different_ids, "RFC 6864")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	uint8_t b[2000];
	unsigned id[8];

	for (int i = 0; i < 8; i++) {
		PS_EQ(s, ps_send(s, ut, 2000), 2000);
		PS_OK(s, ps_take(s, b, sizeof(b)) > 0);
		id[i] = (unsigned)b[18] << 8 | b[19];
		PS_OK(s, ps_take(s, b, sizeof(b)) > 0);
		PS_EQ(s, (unsigned)b[18] << 8 | b[19], id[i]);
		for (int k = 0; k < i; k++)
			PS_OK(s, id[k] != id[i]);
	}
}

PKT_TEST(udp_ttl, "RFC 1122 3.2.1.7")
{
	struct ps *s = ps_open(.attrs = "udp_ttl=3");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct zfut *group = ps_zfut(s, "us:2000", "239.1.1.1:1000");

	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 [ip ttl 3] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send(s, group, 12), 12);
	ps_out(s, "+0 [ip ttl 3 dst 239.1.1.1] udp 2000 > 1000 (12)");
}

PKT_TEST(udp_dscp, "RFC 2474")
{
	struct ps *s = ps_open(.attrs = "udp_dscp=46");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 [ip tos 0xb8] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send(s, ut, 1473), 1473);
	ps_out(s, "+0 [ip tos 0xb8] frag 0:1480 udp 2000 > 1000 (1473)");
	ps_out(s, "+0 [ip tos 0xb8] frag 1480:1481 udp 2000 > 1000 (1473)");
}

PKT_TEST(udp_through_the_gateway, "RFC 1122 3.3.1")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");
	struct zfut *any = ps_zfut(s, "any:2001", "far2:1000"); /* source by route */

	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (12)"); /* to the gateway's MAC */
	PS_EQ(s, ps_send(s, any, 12), 12);
	ps_out(s, "+0 [ip dst far2] udp 2001 > 1000 (12)");
}

PKT_TEST(udp_broadcast_and_multicast_are_sent, "RFC 1112 6.4")
{
	struct ps *s = ps_open();
	struct zfut *a = ps_zfut(s, "us:2000", "bcast:1000");
	struct zfut *b = ps_zfut(s, "us:2000", "ones:1000");
	struct zfut *c = ps_zfut(s, "us:2000", "239.129.2.3:1000");

	PS_EQ(s, ps_send(s, a, 12), 12);
	ps_out(s, "+0 [ip dst bcast] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send(s, b, 12), 12);
	ps_out(s, "+0 [ip dst ones] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_send(s, c, 12), 12);
	ps_out(s, "+0 [ip dst 239.129.2.3] udp 2000 > 1000 (12)"); /* MAC 01:00:5e:01:02:03 */
}

PKT_TEST(udp_alloc_refuses, "guide 11.11.2.9")
{
	struct ps *s = ps_open(.gateway = "");
	struct sockaddr_in l = ps_addr(s, "us:2000"), r = ps_addr(s, "peer:1000"), x;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct zfut *ut = NULL;
	struct zf_attr *attr;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
#define TRY(la, ll, ra, rl, fl)                                                                    \
	zfut_alloc(&ut, ps_stack(s), (struct sockaddr *)(la), ll, (struct sockaddr *)(ra), rl, fl, attr)
	PS_EQ(s, TRY(NULL, sizeof(l), &r, sizeof(r), 0), -EFAULT);
	PS_EQ(s, TRY(&l, sizeof(l), NULL, sizeof(r), 0), -EFAULT);
	PS_EQ(s, TRY(&l, 3, &r, sizeof(r), 0), -EINVAL);
	PS_EQ(s, TRY(&l, sizeof(l), &r, 3, 0), -EINVAL);
	PS_EQ(s, TRY(&six, sizeof(six), &r, sizeof(r), 0), -EAFNOSUPPORT);
	PS_EQ(s, TRY(&l, sizeof(l), &six, sizeof(six), 0), -EAFNOSUPPORT);
	PS_EQ(s, TRY(&l, sizeof(l), &r, sizeof(r), 1), -EINVAL);
	x = ps_addr(s, "peer:0");
	PS_EQ(s, TRY(&l, sizeof(l), &x, sizeof(x), 0), -EINVAL);
	x = ps_addr(s, "any:1000");
	PS_EQ(s, TRY(&l, sizeof(l), &x, sizeof(x), 0), -EINVAL);
	x = ps_addr(s, "any:0");
	PS_EQ(s, TRY(&x, sizeof(x), &r, sizeof(r), 0), -EINVAL);
	x = ps_addr(s, "other:2000");
	PS_EQ(s, TRY(&x, sizeof(x), &r, sizeof(r), 0), -EADDRNOTAVAIL);
	x = ps_addr(s, "far:1000");
	PS_EQ(s, TRY(&l, sizeof(l), &x, sizeof(x), 0), -EHOSTUNREACH);
#undef TRY
	PS_OK(s, ut == NULL);
	zf_attr_free(attr);
}

PKT_TEST(udp_too_many_transmit_zockets, "guide 11.11.2.9")
{
	struct ps *s = ps_open(.attrs = "max_udp_tx_endpoints=2");
	struct sockaddr_in l = ps_addr(s, "us:2000"), r = ps_addr(s, "peer:1000");
	struct zfut *a = ps_zfut(s, "us:2000", "peer:1000"), *ut = NULL;
	struct zf_attr *attr;

	ps_zfut(s, "us:2000", "peer:1000"); /* sharing an address pair is allowed */
	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zfut_alloc(&ut, ps_stack(s), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
			    attr),
	      -ENOBUFS);
	zf_attr_free(attr);
	ps_zfut_free(s, a);
	a = ps_zfut(s, "us:2000", "peer:1000");
	PS_EQ(s, ps_send(s, a, 3), 3);
	ps_out(s, "+0 udp 2000 > 1000 (3)");
}

PKT_TEST(udp_ephemeral_source, "guide 11.11.2.9")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:0", "peer:1000");
	uint8_t b[200];

	PS_EQ(s, ps_send(s, ut, 3), 3);
	PS_OK(s, ps_take(s, b, sizeof(b)) > 0);
	PS_OK(s, ((unsigned)b[34] << 8 | b[35]) >= 32768);
}

PKT_TEST(udp_one_way_stacks, "guide-decisions: ring sizes 0")
{
	struct ps *s = ps_open(.attrs = "tx_ring_max=0");
	struct sockaddr_in l = ps_addr(s, "us:2000"), r = ps_addr(s, "peer:1000");
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfut *ut = NULL;
	struct zf_attr *attr;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zfut_alloc(&ut, ps_stack(s), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
			    attr),
	      -EINVAL);
	zf_attr_free(attr);
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	ps_recv(s, ur, "peer:1000", 3);
}

PKT_TEST(udp_send_only_stack, "guide-decisions: ring sizes 0")
{
	struct ps *s = ps_open(.attrs = "rx_ring_max=0", .strangers = true);
	struct zfur *ur = NULL;
	struct zf_attr *attr;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zfur_alloc(&ur, ps_stack(s), attr), -EINVAL);
	zf_attr_free(attr);
}

/* The loop of the guide: full, then zf_reactor_perform() until it returns non-zero, then send again. */
PKT_TEST_IN(udp_full_port, "guide 11.11.2.14", PS_ALONE & ~PS_MODE(PS_BLIND))
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct mem_cfg *c = mem_cfg(ps_port(s));

	c->credit = 0;
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	PS_EQ(s, ps_send(s, ut, 12), -EAGAIN);
	PS_EQ(s, ps_send(s, ut, 3000), -EAGAIN);
	ps_count(s, TX_EAGAIN, 3);
	for (int i = 0; i < 10; i++)
		PS_EQ(s, ps_poll(s), 0);
	PS_OK(s, zf_stack_has_pending_work(ps_stack(s)) != 0);
	c->credit = MEM_ALL;
	PS_OK(s, ps_poll(s) > 0);
	PS_EQ(s, ps_poll(s), 0);
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
}

/* A port that does not tell its room: the reactor says "perhaps" and the loop still ends. */
PKT_TEST(udp_full_port_loop_ends, "guide 11.11.2.14")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct mem_cfg *c = mem_cfg(ps_port(s));
	int rc, tries = 0;

	c->credit = 0;
	while ((rc = ps_send(s, ut, 12)) == -EAGAIN && tries < 100) {
		int polls = 0;

		if (++tries == 5)
			c->credit = 1;
		while (ps_poll(s) == 0 && polls++ < 20)
			if (polls == 10)
				c->credit = 1;
		PS_OK(s, polls < 20);
	}
	PS_EQ(s, rc, 12);
	c->credit = MEM_ALL;
	ps_out(s, "+0 udp 2000 > 1000 (12)");
}

PKT_TEST_IN(udp_fragments_into_a_port_with_little_room, "RFC 791 3.2", PS_ALL_MODES & ~PS_MODE(PS_BLIND))
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct mem_cfg *c = mem_cfg(ps_port(s));

	c->credit = 2;
	PS_EQ(s, ps_send(s, ut, 8000), 8000); /* six fragments: four wait */
	PS_EQ(s, ps_send(s, ut, 12), -EAGAIN); /* and nothing overtakes them */
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	c->credit = 1;
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	c->credit = MEM_ALL;
	PS_OK(s, ps_poll(s) > 0 || ps_poll(s) > 0 || ps_poll(s) > 0 || ps_poll(s) > 0);
	for (unsigned off = 0; off < 8008; off += 1480)
		ps_out(s, "+0 frag %u:%u udp 2000 > 1000 (8000)", off, off + 1480 < 8008 ? off + 1480 : 8008);
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
}

PKT_TEST(udp_no_buffer_to_send, "guide 11.11.2.14")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	if (ps_mode_now() == PS_TX_COPY || ps_mode_now() == PS_VI_PIO)
		return; /* needs no buffer */
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_send_single(s, ut, 12), -ENOBUFS);
	PS_EQ(s, ps_send(s, ut, 3000), -ENOBUFS);
	ps_count(s, TX_NOBUFS, 2);
	pool_fail_after = pool_fail_every = 0;
	PS_OK(s, ps_poll(s) > 0);
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
}

/* All or nothing: whichever buffer is missing, no fragment has left. */
PKT_TEST(udp_no_buffer_for_the_nth_fragment, "guide 11.11.2.13")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	for (unsigned n = 1; n <= 6; n++) {
		pool_fail_after = n;
		PS_EQ(s, ps_send(s, ut, 8000), -ENOBUFS);
		pool_fail_after = 0;
		ps_silence(s, .01);
	}
	pool_fail_after = 7;
	PS_EQ(s, ps_send(s, ut, 8000), 8000);
	pool_fail_after = 0;
	for (unsigned off = 0; off < 8008; off += 1480)
		ps_out(s, "+0 frag %u:%u udp 2000 > 1000 (8000)", off, off + 1480 < 8008 ? off + 1480 : 8008);
}

/* A port that keeps what it sent until the pool is empty: the error of the guide, and recovery. */
PKT_TEST_IN(udp_port_holds_every_buffer, "guide 11.11.2.14", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open(.n_bufs = 128, .attrs = "tx_ring_max=512;rx_ring_max=32");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	int n, rc;

	mem_cfg(ps_port(s))->hold = MEM_ALL;
	for (n = 0; (rc = ps_send_single(s, ut, 12)) == 12; n++)
		ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	PS_EQ(s, rc, -ENOBUFS);
	PS_OK(s, n > 64);
	PS_EQ(s, ps_poll(s), 0);
	mem_release(ps_port(s), 10);
	PS_OK(s, ps_poll(s) > 0);
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	mem_cfg(ps_port(s))->hold = 0;
}

PKT_TEST(udp_ping_pong, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_from(s, "us:2000", "peer:1000");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	for (unsigned i = 0; i < 300; i++) {
		ps_in(s, "+.00001 udp 1000 > 2000 (%u)", i);
		ps_recv(s, ur, "peer:1000", i);
		PS_EQ(s, ps_send_single(s, ut, i), (int)i);
		ps_out(s, "+0 [ip df] udp 2000 > 1000 (%u)", i);
	}
}
