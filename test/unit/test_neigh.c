/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The neighbour table, one behaviour at a time; the random part is test_neigh_random.c.
 */
#include "neigh_link.h"

static void
hold_asks_and_resolves(void)
{
	uint32_t gen;
	struct neigh_result r;
	int i;

	setup_with_address(8);
	gen = neigh_gen(tbl);
	i = neigh_hold(tbl, PEER, now);
	CU_ASSERT_FATAL(i >= 0);
	CU_ASSERT_EQUAL(neigh_hold(tbl, PEER, now), i);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_INCOMPLETE);
	CU_ASSERT(neigh_next_due(tbl) <= now);
	run_for(100 * MS);
	CU_ASSERT_EQUAL_FATAL(n_sent, 1);
	CU_ASSERT(is_request(&sent[0], &ETH_ADDR_BCAST, PEER));
	r = input(ARP_OP_REPLY, PEER, &mac_a, OURS);
	CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_HANDLED);
	CU_ASSERT_EQUAL(r.changed, i);
	CU_ASSERT_FALSE(r.send || r.conflict);
	CU_ASSERT(resolved_to(i, &mac_a));
	CU_ASSERT_NOT_EQUAL(neigh_gen(tbl), gen);
	run_for(30 * SEC);
	CU_ASSERT_EQUAL(n_sent, 1);
	neigh_drop(tbl, i, now);
	CU_ASSERT(resolved_to(i, &mac_a));
}

static void
unanswered_fails_and_is_asked_again_when_used(void)
{
	uint32_t gen;
	uint64_t start;
	int i;

	setup_with_address(8);
	i = neigh_hold(tbl, PEER, now);
	gen = neigh_gen(tbl);
	start = now;
	run_for(20 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, NEIGH_TRIES);
	for (uint32_t k = 0; k < n_sent; k++) {
		CU_ASSERT(is_request(&sent[k], &ETH_ADDR_BCAST, PEER));
		CU_ASSERT(k == 0 || sent[k].at - sent[k - 1].at >= SEC);
	}
	CU_ASSERT(sent[2].at - start < 2 * SEC + 100 * MS);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_FAILED);
	CU_ASSERT_NOT_EQUAL(neigh_gen(tbl), gen);

	neigh_want(tbl, i, now);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_INCOMPLETE);
	run_for(10 * MS);
	CU_ASSERT_EQUAL(n_sent, NEIGH_TRIES + 1);
	(void)input(ARP_OP_REPLY, PEER, &mac_a, OURS);
	CU_ASSERT(resolved_to(i, &mac_a));
	neigh_want(tbl, i, now);
	run_for(10 * SEC);
	CU_ASSERT_EQUAL(n_sent, NEIGH_TRIES + 1);
}

/* RFC 1122 2.3.2.1: no more than one request per second and destination, whatever the sender does.
 */
static void
flood_of_sends_asks_once_per_second(void)
{
	uint64_t end;
	int i;

	setup_with_address(8);
	i = neigh_hold(tbl, PEER, now);
	end = now + 60 * SEC;
	while (now < end) {
		run_for(3 * MS);
		neigh_want(tbl, i, now);
		neigh_force_probe(tbl, i, now);
	}
	CU_ASSERT(n_sent >= 40 && n_sent <= 61);
	for (uint32_t k = 1; k < n_sent; k++)
		CU_ASSERT(sent[k].at - sent[k - 1].at >= SEC);
}

static void
holding_and_dropping_in_turn_asks_once_per_second(void)
{
	uint64_t end;

	setup_with_address(8);
	end = now + 30 * SEC;
	while (now < end) {
		int i = neigh_hold(tbl, PEER, now);

		run_for(2 * MS);
		neigh_drop(tbl, i, now);
		run_for(1 * MS);
	}
	CU_ASSERT(n_sent >= 25 && n_sent <= 31);
	for (uint32_t k = 1; k < n_sent; k++)
		CU_ASSERT(sent[k].at - sent[k - 1].at >= SEC);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(tbl->n_used, 0);
}

static void
aged_entry_is_verified_by_unicast(void)
{
	uint32_t gen;
	uint64_t start;
	int i;

	setup_with_address(8);
	i = resolved_peer();
	gen = neigh_gen(tbl);
	start = now;
	run_for(60 * SEC + 500 * MS);
	CU_ASSERT_EQUAL_FATAL(n_sent, 1);
	CU_ASSERT(is_request(&sent[0], &mac_a, PEER));
	CU_ASSERT(sent[0].at >= start + 60 * SEC);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_PROBING);
	CU_ASSERT(resolved_to(i, &mac_a));
	CU_ASSERT_EQUAL(input(ARP_OP_REPLY, PEER, &mac_a, OURS).changed, -1);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_RESOLVED);
	CU_ASSERT_EQUAL(neigh_gen(tbl), gen);
	run_for(59 * SEC);
	CU_ASSERT_EQUAL(n_sent, 1);
}

static void
silent_neighbour_ends_failed(void)
{
	uint32_t gen;
	int i;

	setup_with_address(8);
	i = resolved_peer();
	gen = neigh_gen(tbl);
	run_for(90 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 2 * NEIGH_TRIES);
	for (uint32_t k = 0; k < n_sent; k++)
		CU_ASSERT(is_request(&sent[k], k < NEIGH_TRIES ? &mac_a : &ETH_ADDR_BCAST, PEER));
	CU_ASSERT_EQUAL(state_of(i), NEIGH_FAILED);
	CU_ASSERT_NOT_EQUAL(neigh_gen(tbl), gen);
	run_for(3600 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2 * NEIGH_TRIES);
}

static void
signs_of_life_save_the_verification(void)
{
	int i;

	setup_with_address(8);
	i = resolved_peer();
	for (int k = 0; k < 20; k++) {
		run_for(30 * SEC);
		if (k & 1)
			neigh_confirm(tbl, i, now);
		else
			(void)input(ARP_OP_REQUEST, PEER, &mac_a, OTHER);
	}
	CU_ASSERT_EQUAL(n_sent, 0);
	neigh_force_probe(tbl, i, now);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_PROBING);
	neigh_confirm(tbl, i, now);
	CU_ASSERT_EQUAL(state_of(i), NEIGH_RESOLVED);
	run_for(30 * SEC);
	CU_ASSERT_EQUAL(n_sent, 0);
}

static void
entry_without_holder_is_forgotten(void)
{
	int i;

	setup_with_address(8);
	i = resolved_peer();
	neigh_drop(tbl, i, now);
	run_for(59 * SEC);
	CU_ASSERT_EQUAL(tbl->n_used, 1);
	CU_ASSERT_EQUAL(neigh_hold(tbl, PEER, now), i);
	CU_ASSERT(resolved_to(i, &mac_a));
	neigh_drop(tbl, i, now);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(tbl->n_used, 0);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_EQUAL(neigh_next_due(tbl), UINT64_MAX);
}

/* RFC 826: a request for our address is answered and remembered; nobody else's is. */
static void
requests_for_us_only(void)
{
	struct neigh_result r;
	int i;

	setup_with_address(8);
	r = input(ARP_OP_REQUEST, PEER, &mac_a, OTHER);
	CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_OTHER);
	CU_ASSERT_FALSE(r.send);
	CU_ASSERT_EQUAL(tbl->n_used, 0);

	r = input(ARP_OP_REQUEST, PEER, &mac_a, OURS);
	CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_HANDLED);
	CU_ASSERT_FATAL(r.send);
	CU_ASSERT(eth_addr_eq(&r.dst, &mac_a));
	CU_ASSERT_EQUAL(be16_host(r.arp.op), ARP_OP_REPLY);
	CU_ASSERT(be32_eq(r.arp.sender_ip, OURS) && eth_addr_eq(&r.arp.sender_mac, &mac_ours));
	CU_ASSERT(be32_eq(r.arp.target_ip, PEER) && eth_addr_eq(&r.arp.target_mac, &mac_a));
	CU_ASSERT_EQUAL(tbl->n_used, 1);
	i = neigh_hold(tbl, PEER, now);
	CU_ASSERT(resolved_to(i, &mac_a));
	run_for(SEC);
	CU_ASSERT_EQUAL(n_sent, 0);

	/* From another network: answered, not remembered. */
	r = input(ARP_OP_REQUEST, OFF_LINK, &mac_b, OURS);
	CU_ASSERT_TRUE(r.send);
	CU_ASSERT_EQUAL(tbl->n_used, 1);

	/* RFC 5227: a probe for our address. */
	r = input(ARP_OP_REQUEST, IP4_ANY, &mac_b, OURS);
	CU_ASSERT_TRUE(r.send);
	CU_ASSERT(eth_addr_eq(&r.dst, &mac_b) && be32_is_zero(r.arp.target_ip));
	CU_ASSERT_FALSE(r.conflict);
	CU_ASSERT_EQUAL(tbl->n_used, 1);
}

static void
unasked_replies_create_nothing(void)
{
	setup_with_address(8);
	CU_ASSERT_EQUAL(input(ARP_OP_REPLY, PEER, &mac_a, OURS).verdict, NEIGH_IN_OTHER);
	CU_ASSERT_EQUAL(input(ARP_OP_REPLY, PEER, &mac_a, PEER).verdict, NEIGH_IN_OTHER);
	CU_ASSERT_EQUAL(input(ARP_OP_REQUEST, PEER, &mac_a, PEER).verdict, NEIGH_IN_OTHER);
	CU_ASSERT_EQUAL(tbl->n_used, 0);
}

static void
malformed_packets(void)
{
	static const struct eth_addr mcast = {{0x01, 0, 0x5e, 0, 0, 1}};
	const struct hdr_arp good = packet(ARP_OP_REQUEST, PEER, &mac_a, OURS);
	struct hdr_arp bad[20];
	struct neigh_result r;
	size_t n = 0;
	int i;

	setup_with_address(8);
	i = neigh_hold(tbl, PEER, now);
#define BAD(field, value) (bad[n] = good, bad[n++].field = (value))
	BAD(hw_type, be16_from(6));
	BAD(proto_type, be16_from(0x86dd));
	BAD(hw_len, 0);
	BAD(hw_len, 5);
	BAD(hw_len, 255);
	BAD(proto_len, 0);
	BAD(proto_len, 16);
	BAD(op, be16_from(0));
	BAD(op, be16_from(3));
	BAD(op, be16_from(65535));
	BAD(sender_mac, ETH_ADDR_BCAST);
	BAD(sender_mac, ETH_ADDR_ZERO);
	BAD(sender_mac, mcast);
	BAD(sender_ip, IP4_BCAST);
	BAD(sender_ip, IP4_C(224, 0, 0, 1));
	BAD(sender_ip, IP4_C(127, 0, 0, 1));
	BAD(sender_ip, IP4_C(10, 0, 0, 255));
	BAD(sender_ip, IP4_C(10, 0, 0, 0));
	BAD(sender_ip, IP4_C(0, 1, 2, 3));
	bad[n] = good;
	bad[n].op = be16_from(ARP_OP_REPLY);
	bad[n++].sender_ip = IP4_ANY;
#undef BAD
	for (size_t k = 0; k < n; k++) {
		neigh_input(tbl, &bad[k], now, &r);
		CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_BAD);
		CU_ASSERT_FALSE(r.send || r.conflict);
	}
	CU_ASSERT_EQUAL(state_of(i), NEIGH_INCOMPLETE);
	CU_ASSERT_EQUAL(tbl->n_used, 1);
	neigh_input(tbl, &good, now, &r);
	CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_HANDLED);
}

static void
own_packets_are_known(void)
{
	setup_with_address(8);
	CU_ASSERT_EQUAL(input(ARP_OP_REQUEST, OURS, &mac_ours, OURS).verdict, NEIGH_IN_OWN);
	CU_ASSERT_EQUAL(input(ARP_OP_REQUEST, OURS, &mac_ours, PEER).verdict, NEIGH_IN_OWN);
	CU_ASSERT_EQUAL(tbl->conflicts, 0);
}

static void
conflict_is_defended_once_in_ten_seconds(void)
{
	uint32_t defences = 0;
	uint64_t last = 0;
	struct neigh_result r;

	setup_with_address(8);
	for (int k = 0; k < 1000; k++) {
		r = input(k & 1 ? ARP_OP_REPLY : ARP_OP_REQUEST, OURS, &mac_b,
			  k & 2 ? OURS : OTHER);
		CU_ASSERT_TRUE(r.conflict);
		CU_ASSERT_EQUAL(r.verdict, NEIGH_IN_HANDLED);
		if (r.send) {
			struct sent s = {.dst = r.dst, .arp = r.arp};

			CU_ASSERT(is_request(&s, &ETH_ADDR_BCAST, OURS));
			CU_ASSERT(defences == 0 || now - last >= 10 * SEC);
			last = now;
			defences++;
		}
		run_for(50 * MS);
	}
	CU_ASSERT_EQUAL(defences, 5);
	CU_ASSERT_EQUAL(tbl->conflicts, 1000);
	CU_ASSERT_EQUAL(tbl->n_used, 0);
	CU_ASSERT_EQUAL(n_sent, 0);
}

static void
addresses_are_announced(void)
{
	setup(8);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, OURS, 24, false, now), 0);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, OURS, 24, false, now), -EEXIST);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(224, 0, 0, 1), 24, false, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_ANY, 24, false, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, PEER, 33, false, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(10, 9, 9, 9), 24, true, now), 0);
	run_for(60 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 2);
	CU_ASSERT(is_request(&sent[0], &ETH_ADDR_BCAST, OURS));
	CU_ASSERT(is_request(&sent[1], &ETH_ADDR_BCAST, OURS));
	CU_ASSERT(sent[1].at - sent[0].at >= 2 * SEC && sent[1].at - sent[0].at < 2 * SEC + MS);

	neigh_link_up(tbl, now);
	run_for(10 * SEC);
	CU_ASSERT_EQUAL(n_sent, 4);
	neigh_link_up(tbl, now);
	CU_ASSERT_EQUAL(neigh_addr_del(tbl, OURS), 0);
	CU_ASSERT_EQUAL(neigh_addr_del(tbl, OURS), -ENOENT);
	run_for(10 * SEC);
	CU_ASSERT_EQUAL(n_sent, 4);
	CU_ASSERT_EQUAL(input(ARP_OP_REQUEST, PEER, &mac_a, OURS).verdict, NEIGH_IN_OTHER);
}

/* An address that the kernel answers for. */
static void
silent_address(void)
{
	struct neigh_result r;
	int i;

	setup(8);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, OURS, 24, true, now), 0);
	CU_ASSERT_FALSE(input(ARP_OP_REQUEST, PEER, &mac_a, OURS).send);
	r = input(ARP_OP_REQUEST, OURS, &mac_b, OURS);
	CU_ASSERT_FALSE(r.send || r.conflict);
	i = neigh_hold(tbl, PEER, now);
	run_for(10 * MS);
	CU_ASSERT_EQUAL(n_sent, 1);
	CU_ASSERT(is_request(&sent[0], &ETH_ADDR_BCAST, PEER));
	(void)input(ARP_OP_REPLY, PEER, &mac_a, OURS);
	CU_ASSERT(resolved_to(i, &mac_a));
}

static void
asks_from_the_nearest_address(void)
{
	setup(8);
	CU_ASSERT_EQUAL(neigh_hold(tbl, PEER, now), 0);
	run_for(10 * MS);
	CU_ASSERT_EQUAL(n_sent, 0); /* with what? */
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(172, 16, 0, 1), 12, true, now), 0);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(10, 200, 0, 1), 8, true, now), 0);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, OURS, 24, true, now), 0);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(10, 0, 0, 77), 16, true, now), 0);
	run_for(2 * SEC);
	CU_ASSERT_FATAL(n_sent >= 1);
	CU_ASSERT(be32_eq(sent[0].arp.sender_ip, OURS));
	n_sent = 0;
	CU_ASSERT(neigh_hold(tbl, IP4_C(10, 1, 1, 1), now) >= 0);
	CU_ASSERT(neigh_hold(tbl, OFF_LINK, now) >= 0);
	run_for(10 * MS);
	CU_ASSERT_EQUAL_FATAL(n_sent, 2);
	CU_ASSERT(be32_eq(sent[0].arp.sender_ip, IP4_C(10, 200, 0, 1)));
	CU_ASSERT(be32_eq(sent[1].arp.sender_ip, IP4_C(172, 16, 0, 1)));
}

/* A router that fails over is followed at once; two that fight do not drag us along. */
static void
takeover_is_followed_flapping_is_not(void)
{
	struct neigh_result r;
	uint32_t gen;
	uint32_t changes = 0;
	int i;

	setup_with_address(8);
	i = resolved_peer();
	run_for(2 * SEC);
	gen = neigh_gen(tbl);
	r = input(ARP_OP_REQUEST, PEER, &mac_b, PEER);
	CU_ASSERT_EQUAL(r.changed, i);
	CU_ASSERT(resolved_to(i, &mac_b));
	CU_ASSERT_NOT_EQUAL(neigh_gen(tbl), gen);

	/* Back within the second: not believed, but asked by broadcast as soon as it may be. */
	run_for(300 * MS);
	gen = neigh_gen(tbl);
	CU_ASSERT_EQUAL(input(ARP_OP_REQUEST, PEER, &mac_a, PEER).changed, -1);
	CU_ASSERT(resolved_to(i, &mac_b));
	CU_ASSERT_EQUAL(neigh_gen(tbl), gen);
	run_for(SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 1);
	CU_ASSERT(is_request(&sent[0], &ETH_ADDR_BCAST, PEER));
	CU_ASSERT_EQUAL(input(ARP_OP_REPLY, PEER, &mac_a, OURS).changed, i);
	CU_ASSERT(resolved_to(i, &mac_a));

	for (int k = 0; k < 100000; k++) {
		run_for(MS / 10);
		changes += input(ARP_OP_REQUEST, PEER, k & 1 ? &mac_a : &mac_b, PEER).changed == i;
	}
	CU_ASSERT(changes >= 1 && changes <= 11);
	CU_ASSERT(n_sent < 20);
}

static void
held_entries_are_never_evicted(void)
{
	int held[4];

	setup_with_address(4);
	for (int k = 0; k < 4; k++) {
		held[k] = neigh_hold(tbl, be32_from(0x0a000010 + k), now);
		CU_ASSERT(held[k] >= 0);
	}
	CU_ASSERT_EQUAL(neigh_hold(tbl, PEER, now), -ENOBUFS);
	CU_ASSERT_TRUE(input(ARP_OP_REQUEST, PEER, &mac_a, OURS).send);
	CU_ASSERT_EQUAL(tbl->n_used, 4);
	neigh_drop(tbl, held[2], now);
	neigh_drop(tbl, held[1], now);
	CU_ASSERT_EQUAL(neigh_hold(tbl, PEER, now),
			held[2]); /* the one without a holder for longest */
	CU_ASSERT_EQUAL(neigh_hold(tbl, be32_from(0x0a000010), now), held[0]);
	CU_ASSERT_EQUAL(neigh_hold(tbl, be32_from(0x0a000011), now), held[1]);
	CU_ASSERT_EQUAL(tbl->evictions, 1);
}

static void
nobodys_address_is_refused(void)
{
	setup_with_address(8);
	CU_ASSERT_EQUAL(neigh_hold(tbl, OURS, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_hold(tbl, IP4_ANY, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_hold(tbl, IP4_BCAST, now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_hold(tbl, IP4_C(239, 1, 1, 1), now), -EINVAL);
	CU_ASSERT_EQUAL(neigh_hold(tbl, IP4_C(127, 0, 0, 1), now), -EINVAL);
	CU_ASSERT_EQUAL(tbl->n_used, 0);
}

static void
million_sources(void)
{
	struct eth_addr mac = mac_a;
	uint32_t gen;
	int i;

	setup(64);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, OURS, 8, true, now), 0);
	CU_ASSERT_EQUAL(neigh_addr_add(tbl, IP4_C(10, 0, 0, 9), 8, false, now), 0);
	i = resolved_peer();
	gen = neigh_gen(tbl);
	for (uint32_t k = 0; k < 1000000; k++) {
		mac.b[3] = k >> 16;
		mac.b[4] = k >> 8;
		mac.b[5] = k;
		(void)input(k & 1 ? ARP_OP_REQUEST : ARP_OP_REPLY, be32_from(0x0a100000 + k), &mac,
			    IP4_C(10, 0, 0, 9));
		now += 1000;
		if (k % 64 == 0)
			(void)neigh_run(tbl, now, capture, sent);
	}
	CU_ASSERT_EQUAL(tbl->n_used, 64);
	CU_ASSERT(resolved_to(i, &mac_a));
	CU_ASSERT_EQUAL(neigh_gen(tbl), gen);
}

static const struct unit_test tests[] = {
	UNIT(hold_asks_and_resolves),
	UNIT(unanswered_fails_and_is_asked_again_when_used),
	UNIT(flood_of_sends_asks_once_per_second),
	UNIT(holding_and_dropping_in_turn_asks_once_per_second),
	UNIT(aged_entry_is_verified_by_unicast),
	UNIT(silent_neighbour_ends_failed),
	UNIT(signs_of_life_save_the_verification),
	UNIT(entry_without_holder_is_forgotten),
	UNIT(requests_for_us_only),
	UNIT(unasked_replies_create_nothing),
	UNIT(malformed_packets),
	UNIT(own_packets_are_known),
	UNIT(conflict_is_defended_once_in_ten_seconds),
	UNIT(addresses_are_announced),
	UNIT(silent_address),
	UNIT(asks_from_the_nearest_address),
	UNIT(takeover_is_followed_flapping_is_not),
	UNIT(held_entries_are_never_evicted),
	UNIT(nobodys_address_is_refused),
	UNIT(million_sources),
};

UNIT_MAIN("neigh", tests)
