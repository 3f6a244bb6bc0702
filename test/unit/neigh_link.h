/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The world of the neighbour suites: a clock where one cycle is one nanosecond, a list in place of
 * a link. Each suite includes it once.
 */
#ifndef ZF_TEST_NEIGH_LINK_H
#define ZF_TEST_NEIGH_LINK_H

#include "unit.h"

#include <errno.h>
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

static ZF_UNUSED const struct eth_addr mac_ours = {{2, 0, 0, 0, 0, 1}};
static ZF_UNUSED const struct eth_addr mac_a = {{2, 0, 0, 0, 0, 0xaa}};
static ZF_UNUSED const struct eth_addr mac_b = {{2, 0, 0, 0, 0, 0xbb}};
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

static ZF_UNUSED void
capture(void *arg, const struct eth_addr *dst, const struct hdr_arp *arp)
{
	CU_ASSERT_PTR_EQUAL_FATAL(arg, sent);
	if (n_sent < SENT_MAX)
		sent[n_sent] = (struct sent){.at = now, .dst = *dst, .arp = *arp};
	n_sent++;
}

static ZF_UNUSED void
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
static ZF_UNUSED void
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

static ZF_UNUSED void
run_for(uint64_t ns)
{
	run_until(now + ns);
}

/* With an address, announced and silent again. */
static ZF_UNUSED void
setup_with_address(uint32_t n_entries)
{
	setup(n_entries);
	CU_ASSERT_EQUAL_FATAL(neigh_addr_add(tbl, OURS, 24, false, now), 0);
	run_for(10 * SEC);
	n_sent = 0;
}

static ZF_UNUSED struct hdr_arp
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

static ZF_UNUSED struct neigh_result
input(uint16_t op, be32_t sender, const struct eth_addr *mac, be32_t target)
{
	struct hdr_arp arp = packet(op, sender, mac, target);
	struct neigh_result r;

	neigh_input(tbl, &arp, now, &r);
	return r;
}

static ZF_UNUSED enum neigh_state
state_of(int i)
{
	struct eth_addr mac;

	return neigh_get(tbl, i, &mac);
}

static ZF_UNUSED bool
resolved_to(int i, const struct eth_addr *want)
{
	struct eth_addr mac = ETH_ADDR_ZERO;

	return neigh_get(tbl, i, &mac) >= NEIGH_RESOLVED && eth_addr_eq(&mac, want);
}

static ZF_UNUSED bool
is_request(const struct sent *s, const struct eth_addr *dst, be32_t target)
{
	return eth_addr_eq(&s->dst, dst) && be16_host(s->arp.op) == ARP_OP_REQUEST &&
	       be16_host(s->arp.hw_type) == 1 && be16_host(s->arp.proto_type) == 0x0800 &&
	       s->arp.hw_len == 6 && s->arp.proto_len == 4 &&
	       eth_addr_eq(&s->arp.sender_mac, &mac_ours) && be32_eq(s->arp.sender_ip, OURS) &&
	       be32_eq(s->arp.target_ip, target) && eth_addr_is_zero(&s->arp.target_mac);
}

static ZF_UNUSED int
resolved_peer(void)
{
	int i = neigh_hold(tbl, PEER, now);

	run_for(MS);
	(void)input(ARP_OP_REPLY, PEER, &mac_a, OURS);
	CU_ASSERT_FATAL(resolved_to(i, &mac_a));
	n_sent = 0;
	return i;
}

#endif
