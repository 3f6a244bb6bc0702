/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv4 headers that are received: RFC 791, RFC 1122 3.2; requirements 117 to 124, hostile inputs 1, 2, 24.
 */
#include "pkt/ps.h"

PKT_TEST(ip_version, "RFC 1122 3.2.1.1")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	for (unsigned v = 0; v < 16; v++)
		if (v != 4)
			ps_in(s, "+0 [ip ver %u] udp 1000 > 2000 (12)", v);
	ps_count(s, RX_DROP_IP_BAD, 15);
}

PKT_TEST_IN(ip_checksum, "RFC 1122 3.2.1.2", PS_VERIFYING)
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 [ip csum bad] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip csum bad] udp 1000 > 2001 (12)"); /* silently: no ICMP */
	ps_in(s, "+0 [ip csum bad] icmp echo request id 1 seq 1 (10)");
	ps_count(s, RX_DROP_IP_CSUM, 3);
}

PKT_TEST(ip_lengths_that_lie, "RFC 791, hostile 2")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned ihl = 0; ihl < 5; ihl++)
		ps_in(s, "+0 [ip ihl %u] udp 1000 > 2000 (12)", ihl);
	ps_count(s, RX_DROP_IP_BAD, 5);
	ps_in(s, "+0 [ip ihl 15 len 40] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip len 19] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip len 0] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth nopad] [ip len +1] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip len 65535] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip len 1501] udp 1000 > 2000 (1472)");
	ps_count(s, RX_DROP_IP_BAD, 6);
	ps_recv_none(s, ur);
	/* Longer than the packet, but within the padding: what the header says counts. */
	ps_in(s, "+0 [ip len +1] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
}

PKT_TEST(ip_sources_that_cannot_be, "RFC 1122 3.2.1.3")
{
	struct ps *s = ps_open(.ipv4 = "192.0.2.1/24,192.0.2.2/24");
	static const char *const liars[] = {
		"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "192.0.2.1", "192.0.2.2", "192.0.2.255",
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	};

	ps_zfur(s, "us:2000");
	for (size_t i = 0; i < ZF_ARRAY_SIZE(liars); i++) {
		ps_in(s, "+0 [ip src %s] udp 1000 > 2000 (12)", liars[i]);
		ps_in(s, "+0 [ip src %s] udp 1000 > 2001 (12)", liars[i]);
		ps_in(s, "+0 [ip src %s] icmp echo request id 1 seq 1 (12)", liars[i]);
	}
	ps_count(s, RX_DROP_IP_SRC, 3 * ZF_ARRAY_SIZE(liars));
}

PKT_TEST(ip_destinations_that_are_not_ours, "RFC 1122 3.2.1.3")
{
	struct ps *s = ps_open();
	static const char *const others[] = {
		"192.0.2.3", "192.0.2.67", "198.51.100.1", "127.0.0.1", "0.0.0.0", "240.0.0.1", "198.51.100.255",
	};

	ps_zfur(s, "us:2000");
	for (size_t i = 0; i < ZF_ARRAY_SIZE(others); i++) /* we do not forward, and say nothing */
		ps_in(s, "+0 [ip dst %s] udp 1000 > 2000 (12)", others[i]);
	ps_count(s, RX_DROP_IP_DST, ZF_ARRAY_SIZE(others));
}

PKT_TEST(ip_second_address, "RFC 1122 3.3.4")
{
	struct ps *s = ps_open(.ipv4 = "192.0.2.1/24,192.0.2.2/24");
	struct zfur *ur = ps_zfur(s, "us2:2000");
	struct zfut *ut = ps_zfut(s, "us2:2000", "peer:1000");

	ps_in(s, "+0 [ip dst us2] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_in(s, "+0 [ip dst us2] icmp echo request id 1 seq 1 (10)");
	ps_out(s, "+0 [ip src us2] icmp echo reply id 1 seq 1 (10)");
	PS_EQ(s, ps_send(s, ut, 5), 5);
	ps_out(s, "+0 [ip src us2] udp 2000 > 1000 (5)");
	ps_in(s, "+0 arp who-has us2 tell peer");
	ps_out(s, "+0 arp reply us2 is-at us-mac to peer");
}

PKT_TEST(ip_ttl_is_not_checked, "RFC 1122 3.2.1.7")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 [ip ttl 1] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_in(s, "+0 [ip ttl 0] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
}

PKT_TEST(ip_tos_and_df_are_not_checked, "RFC 1122 3.2.1.6")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned tos = 0; tos < 256; tos += 15) {
		ps_in(s, "+0 [ip tos %u df] udp 1000 > 2000 (12)", tos);
		ps_recv(s, ur, "peer:1000", 12);
	}
}

/* Unknown ones are passed over by their length; the payload begins where the header says. */
PKT_TEST(ip_options_are_skipped, "RFC 1122 3.2.1.8, requirement 124")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	static const char *const opts[] = {
		"01010100",                         /* no operation, end */
		"00ffffff",                         /* after the end anything may be */
		"94040000",                         /* router alert */
		"0703040000000000",                 /* record route, no room */
		"07270400000000000000000000000000000000000000000000000000000000000000000000000000",
		"440c0501000000000000000000000000", /* time stamps */
		"880400000000",                     /* stream id, padding */
		"fd06aabbccdd0100",                 /* nobody knows it */
		"9e02",                             /* a length of 2 is the least */
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(opts); i++) {
		ps_in(s, "+0 [ip opts %s] udp 1000 > 2000 (%zu)", opts[i], 10 + i);
		ps_recv(s, ur, "peer:1000", (uint32_t)(10 + i));
		ps_in(s, "+0 [ip opts %s] icmp echo request id 1 seq %zu (40)", opts[i], i);
		ps_out(s, "+0 icmp echo reply id 1 seq %zu (40)", i);
	}
}

PKT_TEST(ip_options_that_lie, "hostile 1")
{
	struct ps *s = ps_open();
	static const char *const lies[] = {
		"fe00",     "fe01",     "fe000000", "fe010000", "010101fe", "0101fe02fe", "fe0300fe",
		"9404009405", "fe28",     "07ff0400", "fdff",     "44",       "0101010144",
	};

	ps_zfur(s, "us:2000");
	for (size_t i = 0; i < ZF_ARRAY_SIZE(lies); i++) {
		ps_in(s, "+0 [ip opts %s] udp 1000 > 2000 (12)", lies[i]);
		ps_in(s, "+0 [ip opts %s] udp 1000 > 2001 (12)", lies[i]);
	}
	ps_count(s, RX_DROP_IP_OPTION, 2 * ZF_ARRAY_SIZE(lies));
}

PKT_TEST(ip_source_routes_are_declined, "RFC 1122 3.2.1.8, hostile 1")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 [ip opts 830704c0000207] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip opts 890704c0000207] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip opts 8303040100] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip opts 832704c0000207c0000207c0000207c0000207c0000207c0000207c0000207c0000207c000020701]"
		 " udp 1000 > 2001 (12)");
	ps_in(s, "+0 [ip opts 830704c0000207] icmp echo request id 1 seq 1 (10)");
	ps_in(s, "+0 [ip opts 830704c0000207] S 0:0(0) win 1000 <mss 1460>");
	ps_count(s, RX_DROP_IP_OPTION, 6);
}

PKT_TEST(ip_protocols_that_we_do_not_speak, "RFC 1122 3.2.2.1, hostile 24")
{
	struct ps *s = ps_open();
	static const unsigned protos[] = {0, 3, 4, 41, 47, 50, 89, 132, 136, 255};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(protos); i++) {
		ps_in(s, "+1 raw %u (60)", protos[i]);
		ps_out(s, "+0 icmp unreachable proto [raw %u (60)]", protos[i]);
		ps_in(s, "+0 [ip dst bcast] raw %u (60)", protos[i]);
		ps_in(s, "+0 raw %u (0)", protos[i]);
		ps_out(s, "+0 icmp unreachable proto [raw %u (0)]", protos[i]);
	}
	ps_count(s, RX_DROP_IP_PROTO, 3 * ZF_ARRAY_SIZE(protos));
}

PKT_TEST(ip_land, "hostile 30")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 [ip src us] udp 2000 > 2000 (12)");
	ps_in(s, "+0 [ip src us] S 0:0(0) win 1000");
	ps_count(s, RX_DROP_IP_SRC, 2);
}
