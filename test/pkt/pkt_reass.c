/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reassembly: RFC 791, RFC 815, RFC 1122 3.3.2, RFC 5722's rule for overlaps; requirements 125, 126, hostile 3 to 5.
 */
#include <errno.h>
#include <string.h>

#include "pkt/ps.h"

PKT_TEST(frag_in_order, "RFC 791 3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (3000)");
	ps_in(s, "+0 frag 1480:2960 id 7 udp 1000 > 2000 (3000)");
	ps_recv_none(s, ur);
	ps_count(s, RX_FRAGMENT, 2);
	ps_in(s, "+0 frag 2960:3008 id 7 udp 1000 > 2000 (3000)");
	ps_count(s, RX_UDP, 1);
	ps_recv(s, ur, "peer:1000", 3000);
	ps_recv_none(s, ur);
}

PKT_TEST(frag_in_every_order, "RFC 815")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned o = 0; o < 6; o++) {
		for (unsigned k = 0; k < 3; k++) {
			unsigned i = orders[o][k];

			ps_in(s, "+0 frag %u:%u id %u udp 1000 > 2000 (100)", i * 40, i == 2 ? 108 : i * 40 + 40, o);
		}
		ps_recv(s, ur, "peer:1000", 100);
	}
}

PKT_TEST(frag_of_two_datagrams_interleaved, "RFC 791 3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 0:48 id 8 udp 1001 > 2000 (101)");
	ps_in(s, "+0 frag 40:108 id 7 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_in(s, "+0 frag 48:109 id 8 udp 1001 > 2000 (101)");
	ps_recv(s, ur, "peer:1001", 101);
	/* The same id from others is another datagram. */
	ps_in(s, "+0 frag 0:40 id 9 udp 1000 > 2000 (100)");
	ps_in(s, "+0 [ip src other] frag 40:108 id 9 udp 1000 > 2000 (100)");
	ps_recv_none(s, ur);
	ps_in(s, "+0 [ip proto 1] frag 40:108 id 9 udp 1000 > 2000 (100)");
	ps_recv_none(s, ur);
	ps_in(s, "+0 frag 40:108 id 9 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
}

PKT_TEST(frag_largest_datagram, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned off = 0; off < 65515; off += 1480)
		ps_in(s, "+0 frag %u:%u id 7 udp 1000 > 2000 (65507)", off, off + 1480 < 65515 ? off + 1480 : 65515);
	ps_recv(s, ur, "peer:1000", 65507);
}

PKT_TEST(frag_only_the_last_is_small, "RFC 1122 3.3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned last = 1; last <= 9; last++) {
		ps_in(s, "+0 frag 0:1480 id %u udp 1000 > 2000 (%u)", last, 1472 + last);
		ps_in(s, "+0 frag 1480:%u id %u udp 1000 > 2000 (%u)", 1480 + last, last, 1472 + last);
		ps_recv(s, ur, "peer:1000", 1472 + last);
	}
}

/* The UDP header alone in the first fragment. */
PKT_TEST(frag_first_holds_only_the_header, "RFC 791 3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:8 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 8:108 id 7 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_in(s, "+0 frag 8:108 id 8 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 0:8 id 8 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
}

PKT_TEST(frag_with_options, "RFC 791 3.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 [ip opts 94040000] frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:108 id 7 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_in(s, "+0 frag 40:108 id 8 udp 1000 > 2000 (100)");
	ps_in(s, "+0 [ip opts 0101010101010100] frag 0:40 id 8 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
}

PKT_TEST(frag_that_is_whole, "RFC 791 3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	/* More fragments to come, but none with data: never complete. */
	ps_in(s, "+0 [ip mf] udp 1000 > 2000 (100)");
	ps_count(s, RX_DROP_FRAG_BAD, 1); /* 108 is no multiple of 8 */
	ps_in(s, "+0 [ip mf id 9] udp 1000 > 2000 (96)");
	ps_recv_none(s, ur);
	ps_count(s, RX_FRAGMENT, 1);
	ps_out(s, "+60 icmp exceeded reass [[ip mf] udp 1000 > 2000 (96)]");
}

PKT_TEST(frag_with_vlan, "802.1Q")
{
	struct ps *s = ps_open(.vlan = 5);
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000)");
	ps_in(s, "+0 frag 1480:2008 id 7 udp 1000 > 2000 (2000)");
	ps_recv(s, ur, "peer:1000", 2000);
}

PKT_TEST_IN(frag_checksum_of_the_whole, "RFC 1122 4.1.3.4", PS_VERIFYING)
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000) csum bad");
	ps_in(s, "+0 frag 1480:2008 id 7 udp 1000 > 2000 (2000) csum bad");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_UDP_CSUM, 1);
}

PKT_TEST(frag_checksum_zero, "RFC 768")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000) csum 0");
	ps_in(s, "+0 frag 1480:2008 id 7 udp 1000 > 2000 (2000) csum 0");
	ps_recv(s, ur, "peer:1000", 2000);
}

PKT_TEST(frag_udp_length_that_lies, "hostile 25")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000) len 2009 csum 0");
	ps_in(s, "+0 frag 1480:2008 id 7 udp 1000 > 2000 (2000) len 2009 csum 0");
	ps_in(s, "+0 frag 0:1480 id 8 udp 1000 > 2000 (2000) len 7 csum 0");
	ps_in(s, "+0 frag 1480:2008 id 8 udp 1000 > 2000 (2000) len 7 csum 0");
	ps_in(s, "+0 frag 0:1480 id 9 udp 1000 > 2000 (2000) len 65535 csum 0");
	ps_in(s, "+0 frag 1480:2008 id 9 udp 1000 > 2000 (2000) len 65535 csum 0");
	ps_count(s, RX_DROP_UDP_BAD, 3);
}

PKT_TEST(frag_without_a_zocket, "RFC 1122 3.2.2")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000)");
	ps_in(s, "+0 frag 1480:2008 id 7 udp 1000 > 2000 (2000)");
	ps_count(s, RX_DROP_UDP_NO_PORT, 1);
	ps_ignore(s, 0); /* an error may or may not quote it */
	ps_in(s, "+0 frag 0:40 id 8 raw 47 (100)");
	ps_in(s, "+0 frag 40:100 id 8 raw 47 (100)");
	ps_in(s, "+0 frag 0:40 id 9 igmp query v3 any max 10 (10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"
		 " 10.0.0.7 10.0.0.8)");
	ps_in(s, "+0 frag 40:44 id 9 igmp query v3 any max 10 (10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"
		 " 10.0.0.6 10.0.0.7 10.0.0.8)");
	ps_count(s, RX_DROP_IP_PROTO, 2); /* hostile 28: IGMP in fragments */
	ps_in(s, "+0 frag 0:24 id 10 S 0:100(100) win 1000");
	ps_in(s, "+0 frag 24:120 id 10 S 0:100(100) win 1000");
	ps_count(s, RX_DROP_TCP_BAD, 1); /* hostile 5 */
	ps_ignore(s, 0);
}

PKT_TEST(frag_times_out, "RFC 1122 3.3.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:1480 id 7 udp 1000 > 2000 (2000)");
	ps_out(s, "+60 icmp exceeded reass [frag 0:1480 id 7 udp 1000 > 2000 (2000)]");
	ps_count(s, REASS_TIMEOUT, 1);
	/* Too late: the rest starts anew, and ends without a word, since the first fragment is missing. */
	ps_in(s, "+1 frag 1480:2008 id 7 udp 1000 > 2000 (2000)");
	ps_recv_none(s, ur);
	ps_silence(s, 100);
}

PKT_TEST(frag_twice_the_same, "RFC 5722")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:80 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:80 id 7 udp 1000 > 2000 (100)");
	ps_count(s, RX_DROP_FRAG_DUP, 2);
	ps_in(s, "+0 frag 80:108 id 7 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_recv_none(s, ur);
}

PKT_TEST(frag_overlaps, "RFC 1858, RFC 5722, hostile 3")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	static const unsigned cuts[][2] = {{0, 48}, {8, 16}, {32, 48}, {32, 40}, {8, 48}, {0, 16}};

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(cuts); i++) {
		ps_note(s, "cut %u:%u", cuts[i][0], cuts[i][1]);
		ps_in(s, "+0 frag 0:40 id %u udp 1000 > 2000 (100)", i);
		ps_in(s, "+0 frag %u:%u id %u udp 1000 > 2000 (100)", cuts[i][0], cuts[i][1], i);
		ps_in(s, "+0 frag 40:108 id %u udp 1000 > 2000 (100)", i);
		ps_recv_none(s, ur);
	}
	ps_count(s, RX_DROP_FRAG_OVERLAP, ZF_ARRAY_SIZE(cuts));
	ps_count(s, REASS_EVICTED, ZF_ARRAY_SIZE(cuts));
	/* Afterwards a good one gets through. */
	ps_in(s, "+0 frag 0:40 id 99 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:108 id 99 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
}

PKT_TEST(frag_two_ends, "hostile 3")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 frag 40:108 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:109 id 7 udp 1000 > 2000 (101)");
	ps_in(s, "+0 frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_recv_none(s, ur);
	ps_in(s, "+0 frag 40:108 id 8 udp 1000 > 2000 (100)");
	ps_in(s, "+0 [ip off 112 mf id 8] raw 17 (16)"); /* beyond the end */
	ps_in(s, "+0 frag 0:40 id 8 udp 1000 > 2000 (100)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_FRAG_OVERLAP, 2);
}

PKT_TEST(frag_beyond_65535, "hostile 3")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 [ip off 65528 id 7] raw 17 (8)");
	ps_in(s, "+0 [ip off 65512 id 8] raw 1 (1000)");
	ps_in(s, "+0 [ip off 65528 mf id 9] raw 17 (800)");
	ps_count(s, RX_DROP_FRAG_BAD, 3);
	ps_in(s, "+0 [ip off 8 mf id 10] raw 17 (0)");
	ps_in(s, "+0 [ip off 0 mf id 11] raw 17 (0)");
	ps_in(s, "+0 [ip off 8 id 12] raw 17 (0)");
	ps_count(s, RX_DROP_FRAG_BAD, 3); /* without data */
	ps_in(s, "+0 [ip off 0 mf id 13] raw 17 (12)");
	ps_count(s, RX_DROP_FRAG_BAD, 1); /* no multiple of 8 */
}

/* Headers of 60 bytes on the first fragment push a datagram over the limit that without them fits. */
PKT_TEST(frag_repaired_length_overflows, "hostile 3")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 [ip off 8 id 7 mf] raw 17 (1400)");
	ps_in(s, "+0 [ip off 65472 id 7] raw 17 (40)");
	ps_in(s, "+0 [ip off 0 id 7 mf opts 01010101010101010101010101010101010101010101010101010101010101010101010101010100]"
		 " raw 17 (8)");
	ps_count(s, RX_DROP_FRAG_BAD, 1);
}

PKT_TEST(frag_tiny_first, "RFC 1858, RFC 3128, hostile 5")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 [ip off 0 mf id 7] raw 6 (8)"); /* cuts the TCP header */
	ps_in(s, "+0 [ip off 8 id 7] raw 6 (100)"); /* would write over its flags */
	ps_count(s, RX_DROP_FRAG_BAD, 2);
}

PKT_TEST(frag_to_many, "RFC 1122 3.2.2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	ps_ignore(s, 5);
	ps_in(s, "+0 [ip dst 239.1.1.1] frag 0:40 id 7 udp 1000 > 2000 (100)");
	ps_in(s, "+0 [ip dst 239.1.1.1] frag 40:108 id 7 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_in(s, "+0 [ip dst bcast] frag 0:40 id 8 udp 1000 > 2000 (100)");
	ps_silence(s, 70); /* no Time Exceeded about it */
}

/* A million fragments of datagrams that never end cost no more memory than a few. */
PKT_TEST(frag_flood_of_beginnings, "FragmentSmack, hostile 4")
{
	struct ps *s = ps_open(.n_bufs = 512);
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	for (unsigned i = 0; i < 2000; i++)
		ps_in(s, "+0 [ip src 10.%u.%u.1] frag 8:16 id %u udp 1000 > 2000 (100)", i / 250, i % 250, i);
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 udp 2000 > 1000 (12)");
	ps_in(s, "+0 frag 0:40 id 99 udp 1000 > 2000 (100)");
	ps_in(s, "+0 frag 40:108 id 99 udp 1000 > 2000 (100)");
	ps_recv(s, ur, "peer:1000", 100);
	ps_ignore(s, 70);
}

PKT_TEST_IN(frag_of_eight_bytes_each, "FragmentSmack, hostile 4", PS_MODE(PS_NORMAL) | PS_MODE(PS_SCRIBBLE))
{
	struct ps *s = ps_open(.n_bufs = 512);
	struct zfur *ur = ps_zfur(s, "us:2000");
	unsigned n = 0;

	for (unsigned off = 0; off < 65512; off += 8, n++)
		ps_in(s, "+0 frag %u:%u id 7 udp 1000 > 2000 (65507)", off, off + 8);
	ps_count_min(s, RX_DROP_FRAG_LIMIT, 1);
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_ignore(s, 70);
}

/* Arrivals that fill the stack's budget do not stop what is whole. */
PKT_TEST(frag_flood_of_first_fragments, "hostile 4")
{
	struct ps *s = ps_open(.n_bufs = 256);
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned i = 0; i < 600; i++)
		ps_in(s, "+0 frag 0:1480 id %u udp 1000 > 2000 (2000)", i);
	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_ignore(s, 70);
}

PKT_TEST(frag_partial_iovecs, "guide 11.11.2.7")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfur_msg *m;
	char room[sizeof(*m) + 2 * sizeof(struct iovec)] __attribute__((aligned(16)));
	size_t got;

	m = (struct zfur_msg *)room;
	for (unsigned off = 0; off < 4008; off += 1480)
		ps_in(s, "+0 frag %u:%u id 7 udp 1000 > 2000 (4000)", off, off + 1480 < 4008 ? off + 1480 : 4008);
	ps_in(s, "+0 udp 1000 > 2000 (5)");
	m->iovcnt = 2;
	zfur_zc_recv(ur, m, 0);
	PS_EQ(s, m->iovcnt, 2);
	PS_EQ(s, m->dgrams_left, 1);
	got = m->iov[0].iov_len + m->iov[1].iov_len;
	PS_EQ(s, got, 2952);
	PS_EQ(s, memcmp(m->iov[0].iov_base, ps_payload(1472, 0), 1472), 0);
	PS_EQ(s, memcmp(m->iov[1].iov_base, ps_payload(1480, 1472), 1480), 0);
	zfur_zc_recv_done(ur, m);
	ps_count(s, UDP_PARTIAL, 1); /* the rest is gone */
	ps_recv(s, ur, "peer:1000", 5);
}
