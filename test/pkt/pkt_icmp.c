/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP: RFC 792, RFC 1122 3.2.2, path MTU RFC 1191; requirements 127 to 137, hostile inputs 21 to 23.
 */
#include <errno.h>
#include <string.h>

#include "pkt/ps.h"

PKT_TEST(icmp_echo_is_answered, "RFC 1122 3.2.2.6")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (56)");
	ps_in(s, "+0 [ip src far] icmp echo request id 65535 seq 65535 (0)");
	ps_out(s, "+0 [ip dst far] icmp echo reply id 65535 seq 65535 (0)");
	ps_in(s, "+0 [ip ttl 1 df] icmp echo request id 0 seq 0 (1)");
	ps_out(s, "+0 icmp echo reply id 0 seq 0 (1)");
	ps_count(s, RX_ICMP_ECHO, 3);
}

PKT_TEST(icmp_echo_of_every_length, "RFC 792, hostile 21")
{
	struct ps *s = ps_open();

	for (unsigned n = 0; n <= 1472; n += n < 70 ? 1 : 67) {
		ps_in(s, "+0 icmp echo request id 7 seq %u (%u)", n, n);
		ps_out(s, "+0 icmp echo reply id 7 seq %u (%u)", n, n);
	}
	ps_in(s, "+0 icmp echo request id 7 seq 1 (1472)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (1472)");
}

PKT_TEST(icmp_echo_in_fragments, "RFC 1122 3.3.2, hostile 21")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 frag 0:1480 id 5 icmp echo request id 7 seq 1 (3000)");
	ps_in(s, "+0 frag 1480:2960 id 5 icmp echo request id 7 seq 1 (3000)");
	ps_in(s, "+0 frag 2960:3008 id 5 icmp echo request id 7 seq 1 (3000)");
	ps_out(s, "+0 frag 0:1480 icmp echo reply id 7 seq 1 (3000)");
	ps_out(s, "+0 frag 1480:2960 icmp echo reply id 7 seq 1 (3000)");
	ps_out(s, "+0 frag 2960:3008 icmp echo reply id 7 seq 1 (3000)");
}

PKT_TEST_IN(icmp_echo_in_fragments_checksum, "RFC 1122 3.3.2", PS_VERIFYING)
{
	struct ps *s = ps_open();

	ps_in(s, "+0 frag 0:1480 id 6 icmp echo request id 7 seq 1 (3000) csum bad");
	ps_in(s, "+0 frag 1480:2960 id 6 icmp echo request id 7 seq 1 (3000) csum bad");
	ps_in(s, "+0 frag 2960:3008 id 6 icmp echo request id 7 seq 1 (3000) csum bad");
	ps_count(s, RX_DROP_ICMP_BAD, 1);
}

PKT_TEST_IN(icmp_largest_echo, "hostile 21", PS_ALL_MODES & ~PS_MODE(PS_TX_ONE))
{
	struct ps *s = ps_open();

	for (unsigned off = 0; off < 65515; off += 1480)
		ps_in(s, "+0 frag %u:%u id 5 icmp echo request id 7 seq 1 (65507)", off,
		      off + 1480 < 65515 ? off + 1480 : 65515);
	for (unsigned off = 0; off < 65515; off += 1480)
		ps_out(s, "+0 frag %u:%u icmp echo reply id 7 seq 1 (65507)", off,
		       off + 1480 < 65515 ? off + 1480 : 65515);
}

PKT_TEST(icmp_echo_to_many_is_not_answered, "RFC 1122 3.2.2.6, hostile 21")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 [ip dst bcast] icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 [ip dst ones] icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 [ip dst 224.0.0.1] icmp echo request id 7 seq 1 (56)");
	ps_count(s, RX_DROP_ICMP_OTHER, 3);
	ps_in(s, "+0 [eth src ff:ff:ff:ff:ff:ff] icmp echo request id 7 seq 1 (56)");
	ps_count(s, RX_DROP_ICMP_OTHER, 1);
	ps_in(s, "+0 [eth dst bcast-mac] icmp echo request id 7 seq 1 (56)");
	ps_count(s, RX_DROP_IP_DST, 1);
}

/* No byte beyond the packet leaves the stack, whatever the lengths claim. */
PKT_TEST(icmp_echo_that_lies, "hostile 21")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 [eth nopad] [ip len +8] icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 [ip len 65535] icmp echo request id 7 seq 1 (56)");
	ps_count(s, RX_DROP_IP_BAD, 2);
	ps_in(s, "+0 [ip len 27] icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 [ip len 20] icmp echo request id 7 seq 1 (56)");
	ps_count(s, RX_DROP_ICMP_BAD, 2);
	/* A sum that is right for the shorter message. */
	ps_in(s, "+0 [eth pad 400] icmp echo request id 7 seq 1 (8)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (8)");
}

PKT_TEST_IN(icmp_checksum, "RFC 792", PS_VERIFYING)
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56) csum bad");
	ps_in(s, "+0 [ip len -4] icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 icmp echo request id 7 seq 1 (57) csum bad");
	ps_count(s, RX_DROP_ICMP_BAD, 3);
}

PKT_TEST(icmp_messages_that_need_no_answer, "RFC 1122 3.2.2")
{
	struct ps *s = ps_open();
	unsigned n = 0;

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 icmp echo reply id 7 seq 1 (56)");
	ps_in(s, "+0 icmp redirect host gw other [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp redirect net gw other [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp quench now [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp timestamp request id 1 (12)");
	ps_in(s, "+0 icmp mask request id 1 (4)");
	for (unsigned t = 0; t < 256; t++) {
		if (t == 8)
			continue;
		ps_in(s, "+0 icmp type %u code 0 (40)", t);
		n++;
	}
	ps_count(s, RX_DROP_ICMP_OTHER, 6 + n);
}

PKT_TEST(icmp_error_reaches_its_zocket, "RFC 1122 4.1.3.4")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 udp 2000 > 1000 (12)");
	ps_in(s, "+0 icmp unreachable port [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 [ip src gw] icmp unreachable host [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 [ip src gw] icmp exceeded ttl [udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp param problem ptr 1 [udp 2000 > 1000 (12)]");
	ps_count(s, RX_ICMP_ERROR, 4);
	PS_EQ(s, ps_send(s, ut, 12), 12); /* an error is news, not the end */
	ps_out(s, "+0 udp 2000 > 1000 (12)");
}

/* Who cannot quote what we sent has not seen it (RFC 5927). */
PKT_TEST(icmp_error_about_nothing_of_ours, "hostile 22, 23")
{
	struct ps *s = ps_open();

	ps_zfut(s, "us:2000", "peer:1000");
	ps_in(s, "+0 icmp unreachable port [udp 2001 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [udp 2000 > 1001 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip dst other] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip src other] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip proto 6] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip proto 47] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip off 8] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [[ip ver 6] udp 2000 > 1000 (12)]");
	ps_in(s, "+0 icmp unreachable port [icmp unreachable port [udp 1000 > 2000 (1)]]");
	ps_count(s, RX_DROP_ICMP_OTHER, 9);
}

PKT_TEST(icmp_quotes_that_lie, "hostile 22")
{
	struct ps *s = ps_open();
	uint8_t b[256];
	uint32_t n;

	ps_zfut(s, "us:2000", "peer:1000");
	for (unsigned q = 0; q < 8; q++) /* less than the 8 bytes behind the IP header */
		ps_in(s, "+0 icmp unreachable port quote %u [udp 2000 > 1000 (12)]", q);
	ps_count(s, RX_DROP_ICMP_OTHER, 8);
	for (unsigned len = 0; len < 20; len++)
		ps_in(s, "+0 icmp type 3 code 3 (%u)", len);
	ps_count(s, RX_DROP_ICMP_OTHER, 20);
	for (unsigned ihl = 0; ihl < 16; ihl++)
		if (ihl != 5)
			ps_in(s, "+0 icmp unreachable port [[ip ihl %u] udp 2000 > 1000 (12)]", ihl);
	ps_count(s, RX_DROP_ICMP_OTHER, 15);
	n = ps_build(s, b, sizeof(b), "icmp unreachable frag mtu 1400 [udp 2000 > 1000 (12)]");
	for (uint32_t cut = 34; cut < n; cut++)
		ps_in_frame(s, b, cut);
	ps_count(s, RX_DROP_IP_BAD, n - 34);
}

PKT_TEST(icmp_to_many_is_no_error, "RFC 1122 3.2.2")
{
	struct ps *s = ps_open();

	ps_zfut(s, "us:2000", "peer:1000");
	ps_in(s, "+0 [ip dst bcast] icmp unreachable port [udp 2000 > 1000 (12)]");
	ps_count(s, RX_DROP_ICMP_OTHER, 1);
}

PKT_TEST(icmp_quotes_as_much_as_576_bytes_hold, "RFC 1812 4.3.2.3")
{
	struct ps *s = ps_open();
	uint8_t b[700];

	ps_in(s, "+0 udp 1000 > 2000 (1400)");
	PS_EQ(s, ps_take(s, b, sizeof(b)), 14 + 576);
	ps_in(s, "+0 [ip opts 01010100] udp 1000 > 2000 (100)");
	PS_EQ(s, ps_take(s, b, sizeof(b)), 14 + 20 + 8 + 24 + 108);
}

PKT_TEST(icmp_errors_have_a_rate, "RFC 1122 3.2.2, requirement 131")
{
	struct ps *s = ps_open();
	uint8_t b[700];
	unsigned sent = 0;

	for (int i = 0; i < 10000; i++) {
		ps_queue(s, "+0 udp 1000 > 2000 (10)");
		if (i % 256 == 255) {
			ps_run(s);
			while (ps_take(s, b, sizeof(b)) > 0)
				sent++;
		}
	}
	ps_run(s);
	while (ps_take(s, b, sizeof(b)) > 0)
		sent++;
	PS_OK(s, sent > 0 && sent <= 100);
	ps_count(s, TX_ICMP, sent);
	ps_count(s, TX_ICMP_LIMIT, 10000 - sent);
	ps_silence(s, 1);
	ps_in(s, "+0 udp 1000 > 2000 (10)"); /* and they come back */
	ps_out(s, "+0 icmp unreachable port [udp 1000 > 2000 (10)]");
}

PKT_TEST_IN(icmp_echo_has_a_rate, "requirement 131", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open(.attrs = "rx_ring_max=4096");

	for (int i = 0; i < 3000; i++)
		ps_queue(s, "+0 icmp echo request id 1 seq %d (10)", i);
	PS_OK(s, ps_ignore(s, 0) <= 1100);
	ps_count_min(s, RX_DROP_ICMP_LIMIT, 1900);
	ps_in(s, "+1 icmp echo request id 1 seq 7 (10)");
	ps_out(s, "+0 icmp echo reply id 1 seq 7 (10)");
}

PKT_TEST(pmtu_is_lowered, "RFC 1191")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");

	PS_EQ(s, ps_send(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (1472)");
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 1000 [[ip dst far] udp 2000 > 1000 (1472)]");
	ps_count(s, PMTU_LOWERED, 1);
	ps_count(s, RX_ICMP_ERROR, 1);
	PS_EQ(s, ps_send(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far] frag 0:976 udp 2000 > 1000 (1472)");
	ps_out(s, "+0 [ip dst far] frag 976:1480 udp 2000 > 1000 (1472)");
	PS_EQ(s, ps_send(s, ut, 972), 972);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (972)");
	PS_EQ(s, ps_send(s, ut, 973), 973);
	ps_out(s, "+0 [ip dst far] frag 0:976 udp 2000 > 1000 (973)");
	ps_out(s, "+0 [ip dst far] frag 976:981 udp 2000 > 1000 (973)");
	/* The MSS is a constant of the zocket, and with DF the router may speak again. */
	PS_EQ(s, zfut_get_mss(ut), 1472);
	PS_EQ(s, ps_send_single(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far df] udp 2000 > 1000 (1472)");
	/* Ten minutes later the old size is tried again. */
	ps_ignore(s, 601);
	PS_EQ(s, ps_send(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (1472)");
}

PKT_TEST(pmtu_is_not_raised, "RFC 1191 6.3")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");

	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 1000 [[ip dst far] udp 2000 > 1000 (1472)]");
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 1400 [[ip dst far] udp 2000 > 1000 (1472)]");
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 65535 [[ip dst far] udp 2000 > 1000 (1472)]");
	ps_count(s, PMTU_LOWERED, 1);
	PS_EQ(s, ps_send(s, ut, 1300), 1300);
	ps_out(s, "+0 [ip dst far] frag 0:976 udp 2000 > 1000 (1300)");
	ps_out(s, "+0 [ip dst far] frag 976:1308 udp 2000 > 1000 (1300)");
}

PKT_TEST(pmtu_absurd_values, "RFC 1191, requirement 137, hostile 22")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");
	static const unsigned mtus[] = {1, 8, 20, 28, 67, 68, 100, 551};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(mtus); i++)
		ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu %u [[ip dst far] udp 2000 > 1000 (1472)]", mtus[i]);
	PS_EQ(s, ps_send(s, ut, 1000), 1000); /* clamped: 552 is the least that is believed */
	ps_out(s, "+0 [ip dst far] frag 0:528 udp 2000 > 1000 (1000)");
	ps_out(s, "+0 [ip dst far] frag 528:1008 udp 2000 > 1000 (1000)");
}

PKT_TEST(pmtu_of_an_old_router, "RFC 1191 7.1")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");

	/* MTU 0: the next plateau below what was sent, 1492. */
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 0 [[ip dst far] udp 2000 > 1000 (1472)]");
	ps_count(s, PMTU_LOWERED, 1);
	PS_EQ(s, ps_send(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far] frag 0:1472 udp 2000 > 1000 (1472)");
	ps_out(s, "+0 [ip dst far] frag 1472:1480 udp 2000 > 1000 (1472)");
}

PKT_TEST(pmtu_of_strangers, "RFC 5927")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");

	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 600 [[ip dst far] udp 2000 > 1001 (1472)]");
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 600 [[ip dst far2] udp 2000 > 1000 (1472)]");
	ps_count(s, PMTU_LOWERED, 0);
	PS_EQ(s, ps_send(s, ut, 1472), 1472);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (1472)");
}

PKT_TEST(pmtu_storm, "hostile 23")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "far:1000");

	for (int i = 0; i < 2000; i++)
		ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu %d [[ip dst far] udp 2000 > 1000 (1472)]",
		      1400 - i % 700);
	PS_EQ(s, ps_send(s, ut, 100), 100);
	ps_out(s, "+0 [ip dst far] udp 2000 > 1000 (100)");
}
