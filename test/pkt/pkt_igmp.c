/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multicast: membership by IGMP (RFC 1112, 2236, 3376) and who gets which datagram; requirements 143 to 146, hostile
 * input 28.
 */
#include <errno.h>

#include "core/pool.h"
#include "pkt/ps.h"

PKT_TEST(igmp_join_is_reported_twice, "RFC 3376 5.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	ps_out(s, "+0 igmp v3 report to_ex 239.1.1.1 ()"); /* TTL 1, router alert, to 224.0.0.22 */
	ps_out(s, "+0~+1 igmp v3 report to_ex 239.1.1.1 ()");
	ps_silence(s, 100);
	ps_count(s, TX_IGMP, 2);
	ps_zfur_free(s, ur);
	ps_out(s, "+0 igmp v3 report to_in 239.1.1.1 ()");
	ps_out(s, "+0~+1 igmp v3 report to_in 239.1.1.1 ()");
	ps_silence(s, 100);
}

PKT_TEST(igmp_datagrams_reach_the_joined, "RFC 1112 7.2")
{
	struct ps *s = ps_open();
	struct zfur *a = ps_zfur(s, "239.1.1.1:2000"), *b = ps_zfur(s, "239.1.1.1:2000");
	struct zfur *c = ps_zfur(s, "239.1.1.1:2001"), *d = ps_zfur(s, "239.1.1.2:2000");
	struct zfur *e = ps_zfur(s, "us:2000");

	ps_ignore(s, 3);
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_recv(s, a, "peer:1000", 12);
	ps_recv(s, b, "peer:1000", 12);
	ps_recv_none(s, a);
	ps_recv_none(s, b);
	ps_recv_none(s, c);
	ps_recv_none(s, d);
	ps_recv_none(s, e);
	ps_count(s, RX_UDP, 1);
	ps_count(s, UDP_COPIES, 1);
	ps_in(s, "+0 [ip dst 239.1.1.2] udp 1000 > 2000 (13)");
	ps_recv(s, d, "peer:1000", 13);
	/* Copies are independent of each other. */
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (14)");
	ps_zfur_free(s, a);
	ps_recv(s, b, "peer:1000", 14);
	ps_ignore(s, 3);
}

/* 32 groups share one Ethernet address: the IP address decides. */
PKT_TEST(igmp_groups_with_the_same_mac, "RFC 1112 6.4, requirement 146")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	ps_ignore(s, 3);
	ps_in(s, "+0 [ip dst 239.129.1.1] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip dst 224.1.1.1] udp 1000 > 2000 (12)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_BROADCAST, 2);
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
}

PKT_TEST(igmp_port_is_told_its_groups, "RFC 1112 6.4")
{
	struct ps *s = ps_open();
	static const uint8_t mac[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
	struct zfur *a = ps_zfur(s, "239.129.2.3:2000"), *b = ps_zfur(s, "239.129.2.3:2001");

	PS_OK(s, mem_mc_has(ps_port(s), mac));
	mem_cfg(ps_port(s))->mc_filter = true;
	ps_ignore(s, 3);
	ps_in(s, "+0 [ip dst 239.129.2.3] udp 1000 > 2000 (12)");
	ps_recv(s, a, "peer:1000", 12);
	ps_in(s, "+0 igmp query v3 any max 10 ()"); /* all hosts, without which queries were lost */
	ps_out(s, "+0~+1 igmp v3 report is_ex 239.129.2.3 ()");
	ps_zfur_free(s, a);
	PS_OK(s, mem_mc_has(ps_port(s), mac));
	ps_zfur_free(s, b);
	PS_OK(s, !mem_mc_has(ps_port(s), mac));
	ps_ignore(s, 3);
}

PKT_TEST(igmp_second_join_changes_nothing, "RFC 3376 5.1")
{
	struct ps *s = ps_open();
	struct zfur *a = ps_zfur(s, "239.1.1.1:2000"), *b;

	ps_ignore(s, 3);
	b = ps_zfur(s, "239.1.1.1:2001");
	ps_silence(s, 3);
	ps_zfur_free(s, a);
	ps_silence(s, 3);
	PS_EQ(s, ps_unbind(s, b, "239.1.1.1:2001", NULL), 0);
	ps_out(s, "+0 igmp v3 report to_in 239.1.1.1 ()");
	ps_ignore(s, 3);
}

PKT_TEST(igmp_one_source, "RFC 3376 5.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_from(s, "239.1.1.1:2000", "peer:0");

	ps_out(s, "+0 igmp v3 report allow 239.1.1.1 (peer)");
	ps_out(s, "+0~+1 igmp v3 report allow 239.1.1.1 (peer)");
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1001 > 2000 (13)");
	ps_in(s, "+0 [ip dst 239.1.1.1 src other] udp 1000 > 2000 (14)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv(s, ur, "peer:1001", 13);
	ps_recv_none(s, ur);
	ps_zfur_free(s, ur);
	ps_out(s, "+0 igmp v3 report block 239.1.1.1 (peer)");
	ps_ignore(s, 3);
}

PKT_TEST(igmp_one_source_and_port, "guide-later: zfur_addr_bind")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_from(s, "239.1.1.1:2000", "peer:1000");

	ps_ignore(s, 3);
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1001 > 2000 (13)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv_none(s, ur);
}

PKT_TEST(igmp_general_query, "RFC 3376 5.2")
{
	struct ps *s = ps_open();

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	for (int i = 0; i < 5; i++) {
		ps_in(s, "+0 igmp query v3 any max 50 ()");
		ps_out(s, "+0~+5 igmp v3 report is_ex 239.1.1.1 ()");
		ps_silence(s, 10);
	}
	ps_count(s, RX_IGMP, 5);
}

PKT_TEST(igmp_group_query, "RFC 3376 5.2")
{
	struct ps *s = ps_open();

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	ps_in(s, "+0 igmp query v3 239.1.1.1 max 10 ()");
	ps_out(s, "+0~+1 igmp v3 report is_ex 239.1.1.1 ()");
	ps_in(s, "+0 igmp query v3 239.1.1.2 max 10 ()");
	ps_silence(s, 5);
	ps_count(s, RX_IGMP, 1);
	ps_count(s, RX_DROP_IGMP_OTHER, 1);
}

PKT_TEST(igmp_query_without_members, "RFC 3376 5.2")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 igmp query v3 any max 10 ()");
	ps_silence(s, 5);
	ps_count(s, RX_DROP_IGMP_OTHER, 1);
}

PKT_TEST(igmp_querier_of_version_2, "RFC 3376 7.2, requirement 144")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	ps_ignore(s, 3);
	ps_in(s, "+0 igmp query v2 any max 10");
	ps_out(s, "+0~+1 igmp v2 report 239.1.1.1");
	ps_silence(s, 5);
	ps_zfur_free(s, ur);
	ps_out(s, "+0 igmp v2 leave 239.1.1.1");
	ps_ignore(s, 3);
}

PKT_TEST(igmp_querier_of_version_1, "RFC 3376 7.2, requirement 144")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	ps_ignore(s, 3);
	ps_in(s, "+0 igmp query v1 any");
	ps_out(s, "+0~+10 igmp v1 report 239.1.1.1");
	ps_silence(s, 5);
	ps_zfur_free(s, ur);
	ps_silence(s, 5); /* version 1 knows no leave */
}

PKT_TEST(igmp_v2_report_of_another_spares_ours, "RFC 2236 3")
{
	struct ps *s = ps_open();

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	ps_in(s, "+0 igmp query v2 any max 100");
	ps_in(s, "+0 igmp v2 report 239.1.1.1");
	ps_silence(s, 11);
}

PKT_TEST(igmp_malformed, "RFC 3376 9.1, hostile 28")
{
	struct ps *s = ps_open();

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	ps_in(s, "+0 igmp query v3 any max 10 () csum bad");
	ps_in(s, "+0 [ip ttl 2] igmp query v3 any max 10 ()");
	ps_in(s, "+0 [ip src far] igmp query v3 any max 10 ()");
	ps_in(s, "+0 [ip opts none] igmp query v3 any max 10 ()");
	ps_in(s, "+0 igmp query v3 us max 10 ()");
	ps_in(s, "+0 igmp query v3 any max 10 () nsrc 1");
	ps_in(s, "+0 igmp query v3 239.1.1.1 max 10 (peer) nsrc 65535");
	ps_in(s, "+0 [ip len 28] igmp query v3 any max 10 ()");
	ps_in(s, "+0 igmp type 0x11 (x640000)");
	ps_in(s, "+0 igmp type 0x11 (x6400000000000000)");
	ps_silence(s, 30);
	ps_count(s, RX_DROP_IGMP_BAD, 10);
	ps_count(s, RX_IGMP, 0);
	ps_in(s, "+0 igmp query v3 any max 0 ()"); /* 0 and 255 are times as well */
	ps_out(s, "+0~+.2 igmp v3 report is_ex 239.1.1.1 ()");
	ps_in(s, "+1 igmp query v3 any max 255 ()");
	ps_out(s, "+* igmp v3 report is_ex 239.1.1.1 ()");
}

PKT_TEST(igmp_types_that_are_not_for_hosts, "RFC 3376 4")
{
	struct ps *s = ps_open();

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	ps_in(s, "+0 igmp v3 report to_ex 239.1.1.1 ()");
	ps_in(s, "+0 igmp v2 leave 239.1.1.1");
	for (unsigned t = 0; t < 256; t += 5)
		if (t < 0x11 || t > 0x22)
			ps_in(s, "+0 igmp type %u (x00000000000000)", t);
	ps_silence(s, 30);
	ps_count(s, RX_IGMP, 0);
}

PKT_TEST(igmp_query_flood, "hostile 28")
{
	struct ps *s = ps_open();
	uint32_t sent;

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	for (int i = 0; i < 3000; i++)
		ps_queue(s, "+%f igmp query v3 any max 1 ()", i * .001);
	sent = ps_ignore(s, 10);
	PS_OK(s, sent >= 1 && sent <= 40); /* answers keep a distance */
}

PKT_TEST(igmp_own_multicast_is_not_looped_back, "guide-decisions: UDP")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");
	struct zfut *ut = ps_zfut(s, "us:2000", "239.1.1.1:2000");

	ps_ignore(s, 3);
	PS_EQ(s, ps_send(s, ut, 12), 12);
	ps_out(s, "+0 [ip dst 239.1.1.1] udp 2000 > 2000 (12)");
	ps_recv_none(s, ur);
}

PKT_TEST_IN(igmp_link_came_back, "RFC 3376 5.1", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);

	ps_zfur(s, "239.1.1.1:2000");
	ps_ignore(s, 3);
	mem_set_link(ps_port(s), PORT_LINK_DOWN);
	ps_silence(s, 1);
	mem_set_link(ps_port(s), PORT_LINK_UP);
	ps_out(s, "+0 arp announce us");
	ps_out(s, "+0~+1 igmp v3 report to_ex 239.1.1.1 ()");
	ps_ignore(s, 5);
}

PKT_TEST_IN(mcast_copy_without_a_buffer, "guide-decisions: UDP", PS_ALONE)
{
	struct ps *s = ps_open();
	struct zfur *a = ps_zfur(s, "239.1.1.1:2000"), *b = ps_zfur(s, "239.1.1.1:2000");
	int n = 0;

	ps_ignore(s, 3);
	pool_fail_after = ps_mode_now() >= PS_RX_SPLIT_1 && ps_mode_now() <= PS_RX_SPLIT_L4 ? 2 : 1;
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	pool_fail_after = 0;
	ps_count(s, UDP_COPY_FAILED, 1);
	ps_count(s, RX_UDP, 1);
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (13)");
	for (int i = 0; i < 2; i++) { /* one of them missed the first */
		struct zfur *ur = i == 0 ? a : b;
		struct zfur_msg m = {.iovcnt = 0};

		zfur_zc_recv(ur, &m, 0);
		n += m.dgrams_left;
	}
	PS_EQ(s, n, 3);
}

PKT_TEST(mcast_bindings_that_overlap, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "239.1.1.1:2000");

	PS_EQ(s, ps_bind(s, ur, "239.1.1.1:2000", "peer:1000"), 0);
	PS_EQ(s, ps_bind(s, ur, "239.1.1.1:2000", "peer:0"), 0);
	ps_ignore(s, 3);
	ps_in(s, "+0 [ip dst 239.1.1.1] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_recv_none(s, ur); /* once */
}

PKT_TEST(mcast_many_groups, "guide 11.11.2.1")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur_new(s);
	int joined = 0, rc = 0;

	for (int i = 0; i < 600 && rc == 0; i++) {
		char g[32];

		snprintf(g, sizeof(g), "239.2.%d.%d:2000", i / 200, i % 200 + 1);
		rc = ps_bind(s, ur, g, NULL);
		joined += rc == 0;
	}
	PS_EQ(s, rc, -ENOMEM);
	PS_OK(s, joined >= 16);
	ps_ignore(s, 5);
	ps_in(s, "+0 [ip dst 239.2.0.1] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_zfur_free(s, ur);
	ps_ignore(s, 5);
	ur = ps_zfur(s, "239.2.0.1:2000");
	ps_ignore(s, 5);
}
