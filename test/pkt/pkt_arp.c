/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ARP: RFC 826, RFC 1122 2.3.2, RFC 5227; requirements 139 to 142, hostile inputs 27.
 */
#include <errno.h>

#include "pkt/ps.h"

PKT_TEST_IN(arp_announces_its_address, "RFC 5227 2.3", PS_ALONE)
{
	struct ps *s = ps_open(.noisy_start = true, .strangers = true);

	ps_out(s, "+0 arp announce us");
	ps_out(s, "+2 arp announce us");
	ps_silence(s, 100);
}

PKT_TEST_IN(arp_announces_each_address, "RFC 5227 2.3", PS_ALONE)
{
	struct ps *s = ps_open(.noisy_start = true, .strangers = true, .ipv4 = "192.0.2.1/24,192.0.2.2/24");

	ps_out(s, "+0 arp announce us");
	ps_out(s, "+0 arp announce us2");
	ps_out(s, "+2 arp announce us");
	ps_out(s, "+0 arp announce us2");
	ps_silence(s, 100);
}

PKT_TEST(arp_request_is_answered, "RFC 826")
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ps_count(s, RX_ARP, 1);
	ps_in(s, "+0 [eth dst us-mac] arp who-has us tell peer"); /* asked by unicast: it verifies us */
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
}

PKT_TEST(arp_request_for_others_is_not, "RFC 826")
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp who-has other tell peer");
	ps_in(s, "+0 arp who-has us2 tell peer");
	ps_in(s, "+0 arp who-has far tell peer");
	ps_in(s, "+0 arp who-has bcast tell peer");
	ps_in(s, "+0 arp announce peer");
	ps_count(s, RX_DROP_ARP_OTHER, 5);
}

PKT_TEST(arp_probe_is_answered, "RFC 5227 2.1.1")
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp probe us");
	ps_out(s, "+0 arp reply us is-at us-mac to any tha peer-mac");
}

/* A request to us makes its sender known: no question when we send. */
PKT_TEST(arp_request_teaches, "RFC 826")
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut;

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ut = ps_zfut(s, "us:2000", "peer:1000");
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_out(s, "+0 udp 2000 > 1000 (3)");
}

/* A reply that nobody asked for does not. */
PKT_TEST_IN(arp_unasked_reply_teaches_nothing, "RFC 826, hostile 27", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp reply peer is-at peer-mac");
	ps_count(s, RX_DROP_ARP_OTHER, 1);
	ps_zfut(s, "us:2000", "peer:1000");
	ps_out(s, "+0 arp who-has peer tell us");
	ps_in(s, "+0 arp reply peer is-at peer-mac");
}

PKT_TEST_IN(arp_alloc_waits_for_the_answer, "guide-decisions: addresses", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true, .attrs = "arp_reply_timeout=800000");
	uint64_t t0 = zt_clock();
	struct zfut *ut;

	ps_queue(s, "+.3 arp reply peer is-at peer-mac");
	ut = ps_zfut(s, "us:2000", "peer:1000");
	PS_OK(s, zt_clock() - t0 >= 300000000 && zt_clock() - t0 < 300200000);
	ps_out(s, "+0 arp who-has peer tell us");
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_out(s, "+.3 udp 2000 > 1000 (3)");
	ps_count(s, RX_ARP, 1);
}

PKT_TEST_IN(arp_alloc_without_an_answer, "guide-decisions: addresses", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true, .attrs = "arp_reply_timeout=400000");
	uint64_t t0 = zt_clock();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	PS_OK(s, zt_clock() - t0 >= 400000000 && zt_clock() - t0 < 400200000);
	ps_out(s, "+0 arp who-has peer tell us");
	PS_EQ(s, ps_send(s, ut, 3), 3); /* held */
	ps_count(s, TX_HELD, 1);
	ps_out(s, "+1 arp who-has peer tell us");
	ps_in(s, "+.1 arp reply peer is-at peer-mac");
	ps_out(s, "+0 udp 2000 > 1000 (3)");
	PS_EQ(s, ps_send(s, ut, 4), 4);
	ps_out(s, "+0 udp 2000 > 1000 (4)");
}

PKT_TEST_IN(arp_empty_datagram_waits_too, "RFC 1122 2.3.2.2", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	ps_out(s, "+0 arp who-has peer tell us");
	PS_EQ(s, ps_send_single(s, ut, 0), 0);
	PS_EQ(s, ps_send(s, ut, 0), 0);
	ps_in(s, "+.5 arp reply peer is-at peer-mac");
	ps_out(s, "+0 [ip df] udp 2000 > 1000 (0)");
	ps_out(s, "+0 udp 2000 > 1000 (0)");
}

PKT_TEST_IN(arp_gives_up, "RFC 1122 2.3.2", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	ps_out(s, "+0 arp who-has peer tell us");
	PS_EQ(s, ps_send(s, ut, 3), 3);
	PS_EQ(s, ps_send(s, ut, 2000), 2000);
	ps_count(s, TX_HELD, 3);
	ps_out(s, "+1 arp who-has peer tell us");
	ps_out(s, "+1 arp who-has peer tell us");
	ps_silence(s, 20);
	ps_count(s, TX_DROP_UNREACHABLE, 3);
	/* Whoever sends again asks again. */
	PS_EQ(s, ps_send(s, ut, 4), 4);
	ps_out(s, "+0 arp who-has peer tell us");
	ps_in(s, "+.2 arp reply peer is-at peer-mac");
	ps_out(s, "+0 udp 2000 > 1000 (4)");
}

/* The newest are worth most; a flood of sends makes one question a second. */
PKT_TEST_IN(arp_holds_the_newest, "RFC 1122 2.3.2.2, requirement 140", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	ps_out(s, "+0 arp who-has peer tell us");
	for (unsigned i = 0; i < 1000; i++)
		PS_EQ(s, ps_send_off(s, ut, 10, i & 255, 0), 10);
	ps_count(s, TX_HELD, 1000);
	ps_count(s, TX_DROP_HELD, 1000 - 128);
	ps_in(s, "+.5 arp reply peer is-at peer-mac");
	for (unsigned i = 1000 - 128; i < 1000; i++)
		ps_out(s, "+0 udp 2000 > 1000 (10@%u)", i & 255);
}

PKT_TEST_IN(arp_held_frames_of_a_freed_zocket, "RFC 1122 2.3.2.2", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");

	ps_out(s, "+0 arp who-has peer tell us");
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_zfut_free(s, ut);
	ps_in(s, "+.5 arp reply peer is-at peer-mac");
	ps_out(s, "+0 udp 2000 > 1000 (3)");
}

PKT_TEST_IN(arp_entry_in_use_is_verified, "RFC 1122 2.3.2.1, requirement 140", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ps_zfut(s, "us:2000", "peer:1000");
	ps_out(s, "+60 arp who-has peer tell us unicast");
	ps_in(s, "+.01 arp reply peer is-at peer-mac");
	ps_out(s, "+60 arp who-has peer tell us unicast");
	ps_in(s, "+.01 arp reply peer is-at peer-mac");
}

PKT_TEST_IN(arp_neighbour_that_died, "RFC 1122 2.3.2.1", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut;

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ut = ps_zfut(s, "us:2000", "peer:1000");
	ps_out(s, "+60 arp who-has peer tell us unicast");
	PS_EQ(s, ps_send(s, ut, 3), 3); /* the old address serves while it is verified */
	ps_out(s, "+0 udp 2000 > 1000 (3)");
	ps_out(s, "+1 arp who-has peer tell us unicast");
	ps_out(s, "+1 arp who-has peer tell us unicast");
	ps_out(s, "+1 arp who-has peer tell us");
	ps_out(s, "+1 arp who-has peer tell us");
	ps_out(s, "+1 arp who-has peer tell us");
	ps_silence(s, 5);
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_out(s, "+0 arp who-has peer tell us");
	ps_in(s, "+.1 arp reply peer is-at 02:00:00:00:00:77");
	ps_out(s, "+0 [eth dst 02:00:00:00:00:77] udp 2000 > 1000 (3)");
}

PKT_TEST(arp_neighbour_that_moved, "RFC 826")
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut;

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ut = ps_zfut(s, "us:2000", "peer:1000");
	ps_in(s, "+5 [eth src 02:00:00:00:00:77] arp announce peer sha 02:00:00:00:00:77");
	ps_count(s, RX_ARP, 2);
	PS_EQ(s, ps_send_single(s, ut, 3), 3);
	ps_out(s, "+0 [eth dst 02:00:00:00:00:77 ] [ip df] udp 2000 > 1000 (3)");
}

PKT_TEST_IN(arp_gateway_is_asked_for_the_far, "RFC 1122 3.3.1", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);
	struct zfut *ut;

	ps_queue(s, "+.0005 arp reply gw is-at gw-mac");
	ut = ps_zfut(s, "us:2000", "far:1000");
	ps_out(s, "+0 arp who-has gw tell us");
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_out(s, "+.0005 [ip dst far] udp 2000 > 1000 (3)");
}

PKT_TEST(arp_conflict_is_defended_once, "RFC 5227 2.4")
{
	struct ps *s = ps_open(.strangers = true);

	ps_in(s, "+0 arp announce us sha other-mac");
	ps_out(s, "+0 arp announce us");
	ps_in(s, "+1 [eth src other-mac] arp reply us is-at other-mac");
	ps_in(s, "+1 [eth src other-mac] arp who-has peer tell us sha other-mac");
	ps_count(s, ARP_CONFLICT, 3);
	ps_in(s, "+10 arp announce us sha other-mac");
	ps_out(s, "+0 arp announce us");
}

PKT_TEST(arp_malformed, "RFC 826, requirement 142")
{
	struct ps *s = ps_open(.strangers = true);
	static const char *const lies[] = {
		"hln 5", "hln 0", "hln 255", "pln 3", "pln 16", "pln 0", "hrd 0", "hrd 6", "hrd 65535",
		"pro 0x86dd", "op 0", "op 3", "op 9", "op 65535", "sha ff:ff:ff:ff:ff:ff", "sha 01:00:5e:00:00:01",
		"sha 00:00:00:00:00:00",
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(lies); i++)
		ps_in(s, "+0 arp who-has us tell peer %s", lies[i]);
	ps_in(s, "+0 arp who-has us tell bcast sha peer-mac");
	ps_in(s, "+0 arp who-has us tell 239.1.1.1 sha peer-mac");
	ps_in(s, "+0 arp who-has us tell ones sha peer-mac");
	ps_in(s, "+0 arp who-has us tell 127.0.0.1 sha peer-mac");
	ps_in(s, "+0 arp who-has us tell 192.0.2.0 sha peer-mac");
	ps_in(s, "+0 arp reply any is-at peer-mac");
	ps_count(s, RX_DROP_ARP_BAD, ZF_ARRAY_SIZE(lies) + 6);
	ps_in(s, "+0 [eth cut 41] arp who-has us tell peer");
	ps_count(s, RX_DROP_ARP_BAD, 1);
}

/* The table is bounded, and who is talked to stays in it. */
PKT_TEST_IN(arp_flood_of_strangers, "hostile 27", PS_NO_TX_MODES)
{
	struct ps *s = ps_open(.strangers = true, .ipv4 = "192.0.2.1/8", .gateway = "");
	struct zfut *ut;
	uint8_t reply[64];

	ps_in(s, "+0 arp who-has us tell peer");
	ps_out(s, "+0 arp reply us is-at us-mac to peer");
	ut = ps_zfut(s, "us:2000", "peer:1000");
	for (unsigned i = 0; i < 5000; i++) {
		ps_in(s, "+0 arp who-has us tell 192.%u.%u.9 sha peer-mac", 1 + i / 250, i % 250);
		PS_OK(s, ps_take(s, reply, sizeof(reply)) >= 42);
	}
	PS_EQ(s, ps_send(s, ut, 3), 3);
	ps_out(s, "+0 udp 2000 > 1000 (3)");
}
