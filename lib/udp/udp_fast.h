/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The way of a datagram into its zocket's queue, inline for the reactor.
 */
#ifndef ZF_UDP_UDP_FAST_H
#define ZF_UDP_UDP_FAST_H

#include <sys/epoll.h>

#include "udp/udp_tab.h"

/* Append one datagram to a zocket's queue. */
static ZF_ALWAYS_INLINE void
udp_enqueue(struct zf_ctx *ctx, struct zfur *us, struct rte_mbuf *m)
{
	pkt_meta(m)->next = NULL;
	if (us->head == NULL)
		us->head = m;
	else
		pkt_meta(us->tail)->next = m;
	us->tail = m;
	us->count++;
	us->rx_dgrams++;
	ctx->rx_held += m->nb_segs;
	waitable_raise(ctx, &us->w, EPOLLIN);
}

static ZF_ALWAYS_INLINE void
udp_note(struct rte_mbuf *m, const struct seg *s)
{
	struct pkt_meta *meta = pkt_meta(m);

	if (zf_unlikely(m->nb_segs > 1))
		return; /* reassembled: the offsets are set, and each segment is all payload */
	meta->off = s->pay_off;
	meta->len = s->pay_len;
	meta->l3_off = s->l3_off;
	meta->l4_off = s->l4_off;
}

static ZF_ALWAYS_INLINE bool
udp_has_room(const struct zf_ctx *ctx, const struct zfur *us)
{
	return us->count < us->limit && ctx->rx_held < ctx->rx_hold_max;
}

/* Queue @m, or drop it where there is no room. */
static ZF_ALWAYS_INLINE void
udp_deliver(struct zf_ctx *ctx, struct zfur *us, struct rte_mbuf *m)
{
	if (zf_unlikely(!udp_has_room(ctx, us))) {
		udp_input_full(ctx, us, m);
		return;
	}
	udp_enqueue(ctx, us, m);
	ctx_count(ctx, CNT_RX_UDP);
}

/* A checked datagram in @m, described by @s; takes @m over. @m may be a chain (reassembled): then every segment's
 * data is exactly its part of the payload, and pkt_meta of the first has l3_off and l4_off set, from buf_addr.
 */
static ZF_ALWAYS_INLINE void
udp_input(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	struct udp_room *r = ctx->udp;
	uint32_t i = UDP_NONE;

	if (zf_likely(s->cast == CAST_UNICAST))
		i = udp_find(ctx, r, s);
	if (zf_unlikely(i == UDP_NONE)) {
		udp_input_slow(ctx, m, s);
		return;
	}
	udp_note(m, s);
	udp_deliver(ctx, &r->zfurs[r->binds[i].zfur], m);
}

#endif
