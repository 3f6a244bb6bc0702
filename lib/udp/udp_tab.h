/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which binding a datagram belongs to. A unicast binding is hashed over the addresses that it fixes, so that at most
 * two look-ups (pair, then local alone) find it; the counts of bindings by kind save the one that cannot succeed.
 */
#ifndef ZF_UDP_UDP_TAB_H
#define ZF_UDP_UDP_TAB_H

#include "base/hash.h"
#include "udp/udp.h"

/* Keys are the wire's own byte order: nothing is swapped on the way. */
static ZF_ALWAYS_INLINE uint32_t
udp_tag_local(const struct zf_ctx *ctx, be32_t lip, be16_t lport)
{
	return (uint32_t)hash_fold((uint64_t)lip.raw << 16 | lport.raw, 0, ctx->secret);
}

static ZF_ALWAYS_INLINE uint32_t
udp_tag_pair(const struct zf_ctx *ctx, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return (uint32_t)hash_fold((uint64_t)lip.raw << 16 | lport.raw,
				   (uint64_t)rip.raw << 16 | rport.raw, ctx->secret);
}

/* Unicast: all four are equal; a binding to any remote has 0 there. */
static ZF_ALWAYS_INLINE bool
udp_bind_eq(const struct udp_bind *b, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return be32_eq(b->lip, lip) && be16_eq(b->lport, lport) && be32_eq(b->rip, rip) &&
	       be16_eq(b->rport, rport) && !b->many;
}

/* Multicast, broadcast: the sender is restricted only as far as the binding does. */
static inline bool
udp_match_many(const struct udp_bind *b, const struct seg *s)
{
	return b->many && be32_eq(b->lip, s->dst) && be16_eq(b->lport, s->dport) &&
	       (be32_is_zero(b->rip) || be32_eq(b->rip, s->src)) &&
	       (be16_is_zero(b->rport) || be16_eq(b->rport, s->sport));
}

/* The first of all multicast or broadcast bindings to this local address and port, or UDP_NONE; see next_many. */
static inline uint32_t
udp_find_many(const struct zf_ctx *ctx, const struct udp_room *r, be32_t lip, be16_t lport)
{
	struct htab_iter it = htab_iter(&r->binds_tab, udp_tag_local(ctx, lip, lport));
	uint32_t i;

	while ((i = htab_next(&it)) != UDP_NONE)
		if (r->binds[i].many && be32_eq(r->binds[i].lip, lip) && be16_eq(r->binds[i].lport, lport))
			return i;
	return UDP_NONE;
}

/* Ends at the first empty slot; there is one, since the table is at most half full. */
static ZF_ALWAYS_INLINE uint32_t
udp_find_bind(const struct udp_room *r, uint32_t tag, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	const struct htab_entry *e = htab_entries(&r->binds_tab);

	for (uint32_t s = tag;; s++) {
		const struct htab_entry *at = &e[s & r->binds_tab.mask];

		if (zf_unlikely(at->index1 == 0))
			return UDP_NONE;
		if (zf_likely(at->tag == tag &&
			      udp_bind_eq(&r->binds[at->index1 - 1], lip, lport, rip, rport)))
			return at->index1 - 1;
	}
}

/* The binding of a unicast datagram: one with its sender wins over one for all. */
static ZF_ALWAYS_INLINE uint32_t
udp_find(const struct zf_ctx *ctx, const struct udp_room *r, const struct seg *s)
{
	uint32_t i;

	if (r->n_pair > 0) {
		i = udp_find_bind(r, udp_tag_pair(ctx, s->dst, s->dport, s->src, s->sport), s->dst,
				  s->dport, s->src, s->sport);
		if (i != UDP_NONE)
			return i;
	}
	if (r->n_wild > 0)
		return udp_find_bind(r, udp_tag_local(ctx, s->dst, s->dport), s->dst, s->dport,
				     IP4_ANY, (be16_t){0});
	return UDP_NONE;
}

#endif
