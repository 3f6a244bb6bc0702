/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Paths that a stack remembers (ip/path.h): how often the interface's neighbour is held for them, when it is let go,
 * and that a remembered path is the one that the interface would give.
 */
#include <errno.h>
#include <stdlib.h>

#include "ip/output.h"
#include "unit.h"

#define HZ 1000000000ull

static struct netif n;
static struct zf_ctx *ctx;

static be32_t
ip(uint32_t last)
{
	return be32_from(0x0a000000 | last);
}

static void
set_up(void)
{
	struct eth_addr mac = {{2, 0, 0, 0, 0, 1}};
	int slot;

	CU_ASSERT_EQUAL_FATAL(netif_init(&n, &mac, 1500, 0, 0, HZ, 1, HZ), 0);
	slot = netif_join_stack(&n);
	CU_ASSERT_FATAL(slot >= 0);
	CU_ASSERT_EQUAL(netif_addr_add(&n, (unsigned)slot, ip(1), 24, HZ), 0);
	ctx = calloc(1, sizeof(*ctx));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	ctx->ip = calloc(1, sizeof(*ctx->ip));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx->ip);
	ctx->netif = &n;
	ctx->slot = (uint8_t)slot;
	ctx->now = HZ;
	ctx->ip->env_gen = netif_gen(&n);
}

static void
tear_down(void)
{
	free(ctx->ip);
	free(ctx);
	netif_fini(&n);
}

/* References to the neighbour @p leads to. */
static uint32_t
refs(const struct ip_path *p)
{
	return n.neigh->entries[p->neigh].refs;
}

/* The neighbour answers. */
static void
answer(uint32_t last)
{
	struct hdr_arp arp = {
		.hw_type = BE16_C(ARP_HW_ETHER),
		.proto_type = BE16_C(ETH_TYPE_IPV4),
		.hw_len = sizeof(struct eth_addr),
		.proto_len = sizeof(be32_t),
		.op = BE16_C(ARP_OP_REPLY),
		.sender_mac = {{2, 0, 0, 0, 1, (uint8_t)last}},
		.sender_ip = ip(last),
		.target_mac = n.mac,
		.target_ip = ip(1),
	};
	struct neigh_result out;

	netif_arp_input(&n, &arp, ctx->now, &out);
	ctx->ip->env_gen = netif_gen(&n);
}

/* A path to a host that has answered. */
static struct ip_path
open_known(uint32_t last)
{
	struct ip_path p, q;

	CU_ASSERT_EQUAL_FATAL(ip_path_open(ctx, IP4_ANY, ip(last), &p), 0);
	answer(last);
	CU_ASSERT_EQUAL_FATAL(ip_path_open(ctx, IP4_ANY, ip(last), &q), 0);
	ip_path_close(ctx, &p);
	CU_ASSERT(q.resolved);
	return q;
}

static void
many_paths_hold_once(void)
{
	struct ip_path p, q, none = {.neigh = NETIF_NO_NEIGH};

	set_up();
	p = open_known(2);
	CU_ASSERT_EQUAL(refs(&p), 1);
	CU_ASSERT_EQUAL(ip_path_open(ctx, IP4_ANY, ip(2), &q), 0);
	CU_ASSERT_EQUAL(memcmp(&p, &q, sizeof(p)), 0);
	CU_ASSERT_EQUAL(refs(&p), 1);
	ip_paths_sweep(ctx);
	ip_path_close(ctx, &q);
	CU_ASSERT_EQUAL(q.neigh, NETIF_NO_NEIGH);
	ip_path_close(ctx, &q);
	ip_path_close(ctx, &none);
	CU_ASSERT_EQUAL(refs(&p), 1);
	q = p;
	ip_path_close(ctx, &p);
	CU_ASSERT_EQUAL(refs(&q), 1); /* kept, but only until somebody tidies up */
	CU_ASSERT_EQUAL(ip_path_open(ctx, IP4_ANY, ip(2), &p), 0);
	ip_paths_sweep(ctx);
	CU_ASSERT_EQUAL(refs(&p), 1);
	ip_path_close(ctx, &p);
	ip_paths_sweep(ctx);
	CU_ASSERT_EQUAL(refs(&q), 0);
	CU_ASSERT_EQUAL(ctx->ip->paths.n_idle, 0);
	/* What was remembered went along. */
	CU_ASSERT_EQUAL(ip_path_open(ctx, IP4_ANY, ip(2), &p), 0);
	CU_ASSERT_EQUAL(refs(&p), 1);
	ip_path_close(ctx, &p);
	ip_paths_sweep(ctx);
	tear_down();
}

static void
silent_neighbour_is_let_go(void)
{
	struct ip_path p, q;

	set_up();
	CU_ASSERT_EQUAL(ip_path_open(ctx, IP4_ANY, ip(3), &p), 0);
	CU_ASSERT(!p.resolved);
	CU_ASSERT_EQUAL(refs(&p), 1);
	q = p;
	ip_path_close(ctx, &p);
	CU_ASSERT_EQUAL(refs(&q), 0);
	CU_ASSERT_EQUAL(ctx->ip->paths.n_idle, 0);
	tear_down();
}

static void
few_are_kept_for_nobody(void)
{
	uint32_t held = 0;

	set_up();
	for (uint32_t i = 0; i < 3 * IP_PATHS_IDLE; i++) {
		struct ip_path p = open_known(10 + i);

		ip_path_close(ctx, &p);
		CU_ASSERT(ctx->ip->paths.n_idle <= IP_PATHS_IDLE);
	}
	for (uint32_t i = 0; i < n.neigh->n_entries; i++)
		held += n.neigh->entries[i].refs;
	CU_ASSERT_EQUAL(held, IP_PATHS_IDLE);
	ip_paths_sweep(ctx);
	for (uint32_t i = 0; i < n.neigh->n_entries; i++)
		CU_ASSERT_EQUAL(n.neigh->entries[i].refs, 0);
	tear_down();
}

/* More hosts than there are places: each path is its own host's. */
static void
paths_are_told_apart(void)
{
	struct ip_path p[4 * IP_PATHS];

	set_up();
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < ZF_ARRAY_SIZE(p); i++) {
			p[i] = open_known(10 + i);
			CU_ASSERT(be32_eq(p[i].dst, ip(10 + i)));
			CU_ASSERT_EQUAL(p[i].mac.b[5], 10 + i);
			CU_ASSERT_EQUAL(refs(&p[i]), 1);
		}
		for (uint32_t i = 0; i < ZF_ARRAY_SIZE(p); i++)
			ip_path_close(ctx, &p[i]);
	}
	ip_paths_sweep(ctx);
	tear_down();
}

static void
source_and_generation_count(void)
{
	struct ip_path p, q;

	set_up();
	p = open_known(2);
	CU_ASSERT_EQUAL(p.mtu, 1500);
	/* A source that is not ours is refused, whatever was remembered; ours by name is the same path. */
	CU_ASSERT_EQUAL(ip_path_open(ctx, ip(9), ip(2), &q), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(ip_path_open(ctx, ip(1), ip(2), &q), 0);
	CU_ASSERT_EQUAL(memcmp(&p, &q, sizeof(p)), 0);
	ip_path_close(ctx, &q);
	CU_ASSERT(netif_pmtu_lower(&n, ip(2), 1000, ctx->now));
	ctx->ip->env_gen = netif_gen(&n);
	CU_ASSERT_EQUAL(ip_path_open(ctx, IP4_ANY, ip(2), &q), 0);
	CU_ASSERT_EQUAL(q.mtu, 1000);
	ip_path_close(ctx, &q);
	ip_path_close(ctx, &p);
	ip_paths_sweep(ctx);
	tear_down();
}

static const struct unit_test tests[] = {
	UNIT(many_paths_hold_once), UNIT(silent_neighbour_is_let_go),    UNIT(few_are_kept_for_nobody),
	UNIT(paths_are_told_apart), UNIT(source_and_generation_count),
};

UNIT_MAIN("ip_path", tests)
