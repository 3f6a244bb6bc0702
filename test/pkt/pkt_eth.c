/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Below IP: Ethernet, tags, padding, frames in pieces, and what a port may do to a stack (link, reset, no buffers).
 */
#include <errno.h>
#include <string.h>

#include "core/pool.h"
#include "pkt/ps.h"

PKT_TEST(eth_padding_is_not_payload, "RFC 1042, requirement 119")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned pad = 60; pad < 200; pad += 17) {
		ps_in(s, "+0 [eth pad %u] udp 1000 > 2000 (3)", pad);
		ps_recv(s, ur, "peer:1000", 3);
	}
	ps_in(s, "+0 [eth nopad] udp 1000 > 2000 (3)"); /* shorter than Ethernet allows: harmless */
	ps_recv(s, ur, "peer:1000", 3);
}

PKT_TEST(eth_runts, "hostile 29")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	uint8_t b[64];
	uint32_t n = ps_build(s, b, sizeof(b), "udp 1000 > 2000 (3)");

	PS_OK(s, n >= 45);
	for (uint32_t len = 0; len < 34; len++)
		ps_in_frame(s, b, len);
	ps_count(s, RX_DROP_RUNT, 34);
	for (uint32_t len = 34; len < 45; len++) /* the IP header is there, the packet not */
		ps_in_frame(s, b, len);
	ps_count(s, RX_DROP_IP_BAD, 11);
	ps_in_frame(s, b, 45);
	ps_recv(s, ur, "peer:1000", 3);
}

PKT_TEST(eth_runts_with_a_tag, "hostile 29")
{
	struct ps *s = ps_open(.vlan = 5);
	uint8_t b[64];

	ps_build(s, b, sizeof(b), "udp 1000 > 2000 (3)");
	for (uint32_t len = 0; len < 38; len++)
		ps_in_frame(s, b, len);
	ps_count(s, RX_DROP_RUNT, 38);
	ps_build(s, b, sizeof(b), "arp who-has us tell peer");
	for (uint32_t len = 18; len < 46; len++)
		ps_in_frame(s, b, len);
	ps_count(s, RX_DROP_ARP_BAD, 28);
}

PKT_TEST(eth_for_somebody_else, "RFC 1122 2.3")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 [eth dst other-mac] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth dst 01:00:5e:00:00:fb] arp who-has other tell peer");
	ps_count(s, RX_DROP_MAC, 1);
	ps_count(s, RX_DROP_ARP_OTHER, 1);
	ps_in(s, "+0 [eth dst 33:33:00:00:00:01] other 0x86dd (60)"); /* IPv6 passes by */
	ps_count(s, RX_DROP_ETHERTYPE, 1);
}

PKT_TEST(eth_own_frames_are_ignored, "RFC 1122 2.3, requirement 148")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 [eth src us-mac] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth src us-mac] arp announce us");
	ps_count(s, RX_DROP_OWN, 2);
}

PKT_TEST(eth_types, "RFC 894, hostile 29")
{
	struct ps *s = ps_open();
	static const unsigned types[] = {0, 1, 46, 1500, 0x5ff, 0x600, 0x801, 0x86dd, 0x88a8, 0x88cc, 0xffff};

	ps_zfur(s, "us:2000");
	for (size_t i = 0; i < ZF_ARRAY_SIZE(types); i++)
		ps_in(s, "+0 [eth type 0x%x] udp 1000 > 2000 (12)", types[i]);
	ps_count(s, RX_DROP_ETHERTYPE, ZF_ARRAY_SIZE(types));
}

PKT_TEST(vlan_id_must_match, "802.1Q, requirement 147")
{
	struct ps *s = ps_open(.vlan = 5);
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_in(s, "+0 [eth vlan 5 prio 7] udp 1000 > 2000 (13)");
	ps_recv(s, ur, "peer:1000", 13);
	ps_in(s, "+0 [eth vlan 6] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth vlan 0] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth vlan 4095] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth notag] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth vlan 5 vlan 5] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth qinq 5] udp 1000 > 2000 (12)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_VLAN, 6);
	ps_in(s, "+0 icmp echo request id 1 seq 1 (10)");
	ps_out(s, "+0 icmp echo reply id 1 seq 1 (10)");
	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
}

PKT_TEST(vlan_tag_on_an_untagged_port, "802.1Q, hostile 29")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 [eth vlan 5] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth vlan 0 vlan 0] udp 1000 > 2000 (12)");
	ps_in(s, "+0 [eth qinq 0 vlan 0] udp 1000 > 2000 (12)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_VLAN, 2);
	ps_count(s, RX_DROP_ETHERTYPE, 1);
	/* A priority tag is no VLAN. */
	ps_in(s, "+0 [eth vlan 0 prio 6] udp 1000 > 2000 (12)");
	ps_recv(s, ur, "peer:1000", 12);
	ps_in(s, "+0 [eth vlan 0] icmp echo request id 1 seq 1 (99)");
	ps_out(s, "+0 icmp echo reply id 1 seq 1 (99)");
}

/* Every cut through the headers, one script instead of a mode for each byte. */
PKT_TEST_IN(eth_frame_split_at_every_byte, "hostile 29", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct mem_cfg *c = mem_cfg(ps_port(s));

	for (uint16_t at = 1; at < 80; at++) {
		c->split_at[0] = at;
		c->split_at[1] = (uint16_t)(at + 1);
		ps_in(s, "+0 udp 1000 > 2000 (30@%u)", at);
		ps_recv_off(s, ur, "peer:1000", 30, at);
		ps_in(s, "+0 icmp echo request id 1 seq %u (50)", at);
		ps_out(s, "+0 icmp echo reply id 1 seq %u (50)", at);
	}
}

PKT_TEST_IN(eth_frame_too_long_to_be_flat, "hostile 29", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	mem_cfg(ps_port(s))->rx_max = 9018; /* as if an adapter received jumbo frames that nobody asked for */
	ps_in(s, "+0 udp 1000 > 2000 (8000)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_SEGMENTED, 1);
	ps_in(s, "+0 udp 1000 > 2000 (8)");
	ps_recv(s, ur, "peer:1000", 8);
}

PKT_TEST_IN(eth_no_buffer_to_flatten, "hostile 29", PS_MODE(PS_RX_SPLIT_L3))
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	pool_fail_after = 1;
	ps_in(s, "+0 udp 1000 > 2000 (8)");
	ps_recv_none(s, ur);
	ps_count(s, RX_DROP_SEGMENTED, 1);
	pool_fail_after = 0;
	ps_in(s, "+0 udp 1000 > 2000 (8)");
	ps_recv(s, ur, "peer:1000", 8);
}

PKT_TEST_IN(port_no_buffer_for_answers, "guide-decisions: buffers", PS_ALONE)
{
	struct ps *s = ps_open();

	pool_fail_after = pool_fail_every = ps_mode_now() >= PS_RX_SPLIT_1 && ps_mode_now() <= PS_RX_SPLIT_L4 ? 2 : 1;
	ps_in(s, "+0 udp 1000 > 2000 (8)"); /* no port unreachable */
	ps_in(s, "+0 arp who-has us tell peer");
	pool_fail_after = pool_fail_every = 0;
	ps_count(s, TX_DROP_NOMEM, 2);
	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
}

/* Answers of the stack's own do not wait for a full port: their askers ask again. */
PKT_TEST_IN(port_full_loses_answers_only, "design: when something runs out", PS_ALL_MODES)
{
	struct ps *s = ps_open();

	mem_cfg(ps_port(s))->credit = 0;
	ps_in(s, "+0 icmp echo request id 1 seq 1 (10)");
	ps_count(s, TX_DROP_FULL, 1);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	ps_silence(s, 1);
	ps_in(s, "+0 icmp echo request id 1 seq 2 (10)");
	ps_out(s, "+0 icmp echo reply id 1 seq 2 (10)");
}

PKT_TEST_IN(port_link_flap, "design: when something breaks", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfur *ur = ps_zfur(s, "us:2000");

	mem_set_link(ps_port(s), PORT_LINK_DOWN);
	PS_OK(s, zf_stack_has_pending_work(ps_stack(s)) != 0);
	ps_silence(s, 5);
	mem_set_link(ps_port(s), PORT_LINK_UP);
	ps_out(s, "+0 arp announce us"); /* the switch may have another port for us now */
	ps_out(s, "+2 arp announce us");
	ps_count(s, LINK_CHANGES, 2);
	ps_in(s, "+0 udp 1000 > 2000 (8)");
	ps_recv(s, ur, "peer:1000", 8);
}

PKT_TEST_IN(port_link_down_while_sending, "design: when something breaks", PS_ALONE)
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	mem_set_link(ps_port(s), PORT_LINK_DOWN);
	for (int i = 0; i < 5; i++)
		PS_EQ(s, ps_send_single(s, ut, 12), 12); /* as on every Ethernet: sent and lost */
	ps_silence(s, 1);
	mem_set_link(ps_port(s), PORT_LINK_UP);
	ps_out(s, "+0 arp announce us");
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	ps_out(s, "+2 arp announce us");
}

PKT_TEST(port_reset, "design: port objects")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	mem_ask_reset(ps_port(s));
	ps_run(s);
	PS_EQ(s, mem_held(ps_port(s)), 0);
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (12)");
	ps_in(s, "+0 udp 1000 > 2000 (8)");
	ps_recv(s, ur, "peer:1000", 8);
}

PKT_TEST(port_removed, "design: when something breaks")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	mem_set_link(ps_port(s), PORT_LINK_GONE);
	for (int i = 0; i < 5; i++) {
		int rc = ps_send_single(s, ut, 12);

		PS_OK(s, rc == 12 || rc == -EAGAIN);
		ps_silence(s, 1);
	}
}

PKT_TEST(ring_of_arrivals_is_drained, "hostile 29")
{
	struct ps *s = ps_open(.attrs = "rx_ring_max=2048", .n_bufs = 4096);
	struct zfur *ur = ps_zfur(s, "us:2000");

	for (unsigned i = 0; i < 1500; i++)
		ps_queue(s, "+0 udp 1000 > 2000 (8@%u)", i & 255);
	ps_run(s);
	for (unsigned i = 0; i < 1400; i++)
		ps_recv_off(s, ur, "peer:1000", 8, i & 255);
}
