/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The neighbour table on a clock of its own (one cycle is one nanosecond), with a list in place of
 * a network.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/rng.h"
#include "ip/neigh.h"

#define HZ       1000000000ull
#define MS       1000000ull
#define SEC      HZ
#define OURS     IP4_C(10, 0, 0, 1)
#define PEER     IP4_C(10, 0, 0, 2)
#define OTHER    IP4_C(10, 0, 0, 3)
#define OFF_LINK IP4_C(192, 168, 9, 9)
#define SENT_MAX 256

static const struct eth_addr mac_ours = {{2, 0, 0, 0, 0, 1}};
static const struct eth_addr mac_a = {{2, 0, 0, 0, 0, 0xaa}};
static const struct eth_addr mac_b = {{2, 0, 0, 0, 0, 0xbb}};
static const uint64_t secret[2] = {0x123456789abcdef, 0xfedcba987654321};

struct sent {
	uint64_t at;
	struct eth_addr dst;
	struct hdr_arp arp;
};

static struct neigh_table *tbl;
static uint64_t now;
static struct sent sent[SENT_MAX];
static uint32_t n_sent;

static void
capture(void *arg, const struct eth_addr *dst, const struct hdr_arp *arp)
{
	CU_ASSERT_PTR_EQUAL_FATAL(arg, sent);
	if (n_sent < SENT_MAX)
		sent[n_sent] = (struct sent){.at = now, .dst = *dst, .arp = *arp};
	n_sent++;
}

static void
setup(uint32_t n_entries)
{
	free(tbl);
	tbl = malloc(neigh_bytes(n_entries));
	CU_ASSERT_PTR_NOT_NULL_FATAL(tbl);
	now = 5 * SEC;
	neigh_init(tbl, n_entries, &mac_ours, HZ, secret, now);
	n_sent = 0;
}

/* The clock goes to @until, stopping wherever the table wants to run. */
static void
run_until(uint64_t until)
{
	uint32_t rounds = 0;

	while (neigh_next_due(tbl) <= until) {
		now = ZF_MAX(now, neigh_next_due(tbl));
		(void)neigh_run(tbl, now, capture, sent);
		if (++rounds > 5000000) {
			CU_FAIL_FATAL("does not come to rest");
		}
	}
	now = until;
}

static void
run_for(uint64_t ns)
{
	run_until(now + ns);
}

/* With an address, announced and silent again. */
static void
setup_with_address(uint32_t n_entries)
{
	setup(n_entries);
	CU_ASSERT_EQUAL_FATAL(neigh_addr_add(tbl, OURS, 24, false, now), 0);
	run_for(10 * SEC);
	n_sent = 0;
}

static struct hdr_arp
packet(uint16_t op, be32_t sender, const struct eth_addr *mac, be32_t target)
{
	return (struct hdr_arp){
		.hw_type = be16_from(1),
		.proto_type = be16_from(0x0800),
		.hw_len = 6,
		.proto_len = 4,
		.op = be16_from(op),
		.sender_mac = *mac,
		.sender_ip = sender,
		.target_ip = target,
	};
}

static struct neigh_result
input(uint16_t op, be32_t sender, const struct eth_addr *mac, be32_t target)
{
	struct hdr_arp arp = packet(op, sender, mac, target);
	struct neigh_result r;

	neigh_input(tbl, &arp, now, &r);
	return r;
}

static enum neigh_state
state_of(int i)
{
	struct eth_addr mac;

	return neigh_get(tbl, i, &mac);
}

static bool
resolved_to(int i, const struct eth_addr *want)
{
	struct eth_addr mac = ETH_ADDR_ZERO;

	return neigh_get(tbl, i, &mac) >= NEIGH_RESOLVED && eth_addr_eq(&mac, want);
}

static bool
is_request(const struct sent *s, const struct eth_addr *dst, be32_t target)
{
	return eth_addr_eq(&s->dst, dst) && be16_host(s->arp.op) == ARP_OP_REQUEST &&
	       be16_host(s->arp.hw_type) == 1 && be16_host(s->arp.proto_type) == 0x0800 &&
	       s->arp.hw_len == 6 && s->arp.proto_len == 4 &&
	       eth_addr_eq(&s->arp.sender_mac, &mac_ours) && be32_eq(s->arp.sender_ip, OURS) &&
	       be32_eq(s->arp.target_ip, target) && eth_addr_is_zero(&s->arp.target_mac);
}

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

static int
resolved_peer(void)
{
	int i = neigh_hold(tbl, PEER, now);

	run_for(MS);
	(void)input(ARP_OP_REPLY, PEER, &mac_a, OURS);
	CU_ASSERT_FATAL(resolved_to(i, &mac_a));
	n_sent = 0;
	return i;
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

/* Free list, hash and age list each hold exactly what they should. */
static void
check_structure(void)
{
	uint32_t n_free = 0, n_lru = 0, n_unheld = 0, n_hashed = 0;
	const int32_t *heads = (const void *)&tbl->entries[tbl->n_entries];

	for (int32_t i = tbl->free_head; i >= 0 && n_free <= tbl->n_entries; n_free++)
		i = tbl->entries[i].hash_next;
	for (int32_t i = tbl->lru_head; i >= 0 && n_lru <= tbl->n_entries; n_lru++) {
		CU_ASSERT_EQUAL(tbl->entries[i].refs, 0);
		i = tbl->entries[i].lru_next;
	}
	for (uint32_t h = 0; h <= tbl->hash_mask; h++) {
		for (int32_t i = heads[h]; i >= 0 && n_hashed <= tbl->n_entries; n_hashed++) {
			n_unheld += tbl->entries[i].refs == 0;
			i = tbl->entries[i].hash_next;
		}
	}
	CU_ASSERT_EQUAL(n_free + tbl->n_used, tbl->n_entries);
	CU_ASSERT_EQUAL(n_hashed, tbl->n_used);
	CU_ASSERT_EQUAL(n_lru, n_unheld);
}

#define HOSTS 24

/* Anything in any order. What holders were told stays true until the generation moves. */
static void
random_operations(void)
{
	struct rng r;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		int index[HOSTS];
		uint32_t refs[HOSTS] = {0};
		struct eth_addr seen[HOSTS];
		enum neigh_state told[HOSTS];
		uint64_t asked[HOSTS] = {0};
		uint32_t gen = 0;

		rng_seed(&r, seed);
		setup_with_address(16);
		for (int step = 0; step < 5000; step++) {
			uint32_t h = (uint32_t)rng_below(&r, HOSTS);
			be32_t ip = be32_from(0x0a000010 + h);
			struct eth_addr mac = {{2, 0, 0, 0, (uint8_t)rng_below(&r, 3), (uint8_t)h}};

			switch (rng_below(&r, 8)) {
			case 0:
			case 1: {
				int i = neigh_hold(tbl, ip, now);

				if (i < 0)
					break;
				CU_ASSERT(refs[h] == 0 || index[h] == i);
				index[h] = i;
				refs[h]++;
				told[h] = neigh_get(tbl, i, &seen[h]);
				break;
			}
			case 2:
				if (refs[h] != 0 && refs[h]-- != 0)
					neigh_drop(tbl, index[h], now);
				break;
			case 3:
				(void)input(ARP_OP_REPLY, ip, &mac, OURS);
				break;
			case 4:
				(void)input(ARP_OP_REQUEST, ip, &mac,
					    rng_below(&r, 2) ? OURS : OTHER);
				break;
			case 5:
				if (refs[h] == 0)
					break;
				if (rng_below(&r, 2) != 0)
					neigh_want(tbl, index[h], now);
				else
					neigh_force_probe(tbl, index[h], now);
				break;
			case 6:
				if (step % 400 == 0)
					neigh_link_up(tbl, now);
				break;
			default:
				run_for(rng_below(&r, rng_below(&r, 10) == 0 ? 70 * SEC : SEC));
			}
			for (uint32_t k = 0; k < n_sent && k < SENT_MAX; k++) {
				uint32_t to = be32_host(sent[k].arp.target_ip) - 0x0a000010;

				if (to >= HOSTS)
					continue;
				/* Eviction forgets the limit too: only held ones are certain. */
				if (refs[to] != 0 && asked[to] != 0 &&
				    sent[k].at - asked[to] < SEC && tbl->evictions == 0)
					CU_FAIL("asked too often");
				asked[to] = sent[k].at;
			}
			n_sent = 0;
			for (h = 0; h < HOSTS; h++) {
				struct eth_addr m;
				enum neigh_state s;

				if (refs[h] == 0)
					continue;
				s = neigh_get(tbl, index[h], &m);
				if (neigh_gen(tbl) == gen &&
				    ((s >= NEIGH_RESOLVED) != (told[h] >= NEIGH_RESOLVED) ||
				     (s >= NEIGH_RESOLVED && !eth_addr_eq(&m, &seen[h]))))
					CU_FAIL("changed behind the generation");
				told[h] = s;
				seen[h] = m;
			}
			gen = neigh_gen(tbl);
			if (step % 100 == 0)
				check_structure();
		}
		check_structure();
	}
}

static atomic_bool reader_stop;
static atomic_uint reader_wrong;
static int reader_index;

static void *
reader(void *arg)
{
	uint32_t reads = 0;

	(void)arg;
	while (!atomic_load(&reader_stop)) {
		struct eth_addr mac = ETH_ADDR_ZERO;

		if (neigh_get(tbl, reader_index, &mac) < NEIGH_RESOLVED ||
		    (!eth_addr_eq(&mac, &mac_a) && !eth_addr_eq(&mac, &mac_b)))
			atomic_fetch_add(&reader_wrong, 1);
		reads++;
	}
	return (void *)(uintptr_t)(reads != 0);
}

static void
readers_never_see_half_a_mac(void)
{
	pthread_t thread;
	void *read_any = NULL;

	setup_with_address(8);
	reader_index = resolved_peer();
	atomic_store(&reader_stop, false);
	atomic_store(&reader_wrong, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, NULL), 0);
	for (int k = 0; k < 200000; k++) {
		now += 2 * SEC;
		(void)input(ARP_OP_REPLY, PEER, k & 1 ? &mac_a : &mac_b, OURS);
	}
	atomic_store(&reader_stop, true);
	pthread_join(thread, &read_any);
	CU_ASSERT_EQUAL(atomic_load(&reader_wrong), 0);
	CU_ASSERT_PTR_NOT_NULL(read_any);
	free(tbl);
	tbl = NULL;
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
	UNIT(random_operations),
	UNIT(readers_never_see_half_a_mac),
};

UNIT_MAIN("neigh", tests)
