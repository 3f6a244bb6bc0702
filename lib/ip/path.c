/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See path.h.
 */
#include "ip/path.h"

#include "base/check.h"
#include "ip/output.h"

ZF_STATIC_ASSERT(IP_PATHS == 1u << 4, "four bits choose one");

static ZF_ALWAYS_INLINE struct ip_path_slot *
slot_of(struct ip_paths *t, be32_t dst)
{
	return &t->slots[(dst.raw * 0x9e3779b1u) >> 28];
}

static ZF_ALWAYS_INLINE uint64_t
bit_of(int32_t neigh)
{
	return 1ull << ((uint32_t)neigh % 64);
}

static ZF_ALWAYS_INLINE void
add_ref(struct ip_paths *t, int32_t neigh)
{
	if (t->refs[neigh]++ == 0)
		t->n_idle--;
}

static void
let_go(struct zf_ctx *ctx, int32_t neigh)
{
	struct ip_paths *t = &ctx->ip->paths;

	for (uint32_t i = 0; i < IP_PATHS; i++)
		if (t->slots[i].path.neigh == neigh)
			t->slots[i].gen = 0;
	t->held[(uint32_t)neigh / 64] &= ~bit_of(neigh);
	t->n_idle--;
	netif_neigh_drop(ctx->netif, neigh, ctx->now);
}

/* A path that netif_path_open() has just made, with a reference to its neighbour. */
static void
remember(struct zf_ctx *ctx, const struct ip_path *p, bool any_src)
{
	struct ip_paths *t = &ctx->ip->paths;

	if (t->held[(uint32_t)p->neigh / 64] & bit_of(p->neigh)) {
		netif_neigh_drop(ctx->netif, p->neigh, ctx->now);
	} else {
		t->held[(uint32_t)p->neigh / 64] |= bit_of(p->neigh);
		t->n_idle++;
	}
	add_ref(t, p->neigh);
	/* One that is not resolved yet will be another one soon. */
	if (p->resolved)
		*slot_of(t, p->dst) = (struct ip_path_slot){ctx->ip->env_gen, any_src, *p};
}

int
ip_path_open(struct zf_ctx *ctx, be32_t src, be32_t dst, struct ip_path *p)
{
	struct ip_paths *t = &ctx->ip->paths;
	const struct ip_path_slot *s = slot_of(t, dst);
	bool any = be32_is_zero(src);
	int rc;

	if (zf_likely(s->gen == ctx->ip->env_gen && be32_eq(s->path.dst, dst) &&
		      (any ? s->any_src : be32_eq(s->path.src, src)))) {
		*p = s->path;
		add_ref(t, p->neigh);
		return 0;
	}
	rc = netif_path_open(ctx->netif, ctx->slot, src, dst, ctx->now, p);
	if (rc == 0 && p->neigh != NETIF_NO_NEIGH)
		remember(ctx, p, any);
	return rc;
}

void
ip_path_close(struct zf_ctx *ctx, struct ip_path *p)
{
	struct ip_paths *t = &ctx->ip->paths;
	int32_t neigh = p->neigh;
	struct eth_addr mac;

	p->neigh = NETIF_NO_NEIGH;
	if (neigh == NETIF_NO_NEIGH || zf_bug(t->refs[neigh] == 0) || --t->refs[neigh] != 0)
		return;
	t->n_idle++;
	if (t->n_idle > IP_PATHS_IDLE || neigh_get(ctx->netif->neigh, neigh, &mac) < NEIGH_RESOLVED)
		let_go(ctx, neigh);
}

void
ip_paths_sweep(struct zf_ctx *ctx)
{
	struct ip_paths *t = &ctx->ip->paths;

	for (uint32_t w = 0; t->n_idle != 0 && w < ZF_ARRAY_SIZE(t->held); w++) {
		for (uint64_t bits = t->held[w]; bits != 0; bits &= bits - 1) {
			int32_t neigh = (int32_t)(64 * w) + __builtin_ctzll(bits);

			if (t->refs[neigh] == 0)
				let_go(ctx, neigh);
		}
	}
}
