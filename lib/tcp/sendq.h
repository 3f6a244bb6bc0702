/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The send queue of a connection: a list of runs of bytes (struct tcp_txseg) in the order of sequence numbers, each with
 * the buffer that holds its payload until it is acknowledged.
 *
 *   sq_head ... (sent, not acknowledged) ... sq_unsent ... (not sent yet) ... sq_tail
 *
 * Taking and giving back; what a run's flags mean for recovery is loss.c's.
 */
#ifndef ZF_TCP_SENDQ_H
#define ZF_TCP_SENDQ_H

#include "tcp/tcp.h"

static ZF_ALWAYS_INLINE struct tcp_txseg *
sq_seg(const struct tcp_room *r, uint32_t i)
{
	return &r->segs[i];
}

/* Index of a free record, or TCP_NONE. */
static ZF_ALWAYS_INLINE uint32_t
sq_take(struct tcp_room *r)
{
	uint32_t i = r->free_seg;

	if (zf_likely(i != TCP_NONE)) {
		r->free_seg = r->segs[i].next;
		r->n_free_seg--;
	}
	return i;
}

/* The record and its buffer, if it has one, go home. */
static ZF_ALWAYS_INLINE void
sq_put(struct zf_ctx *ctx, struct tcp_room *r, uint32_t i)
{
	struct tcp_txseg *g = &r->segs[i];

	if (zf_likely(g->m != NULL)) {
		pkt_put(ctx->pool, g->m);
		g->m = NULL;
		r->tx_held--;
	}
	g->next = r->free_seg;
	r->free_seg = i;
	r->n_free_seg++;
}

/* Sequence numbers a run takes: its FIN counts. */
static ZF_ALWAYS_INLINE uint32_t
sq_span(const struct tcp_txseg *g)
{
	return g->len + (g->flags & TXSEG_FIN ? 1u : 0u);
}

static ZF_ALWAYS_INLINE tcpseq_t
sq_end(const struct tcp_txseg *g)
{
	return seq_add(g->seq, sq_span(g));
}

/* Append record @i, all set but `next`, to the queue's end as unsent. */
static ZF_ALWAYS_INLINE void
sq_append(struct tcp_room *r, struct zft *ts, uint32_t i)
{
	r->segs[i].next = TCP_NONE;
	if (ts->sq_tail == TCP_NONE)
		ts->sq_head = i;
	else
		r->segs[ts->sq_tail].next = i;
	ts->sq_tail = i;
	if (ts->sq_unsent == TCP_NONE)
		ts->sq_unsent = i;
	ts->sq_segs++;
}

/* Split run @i behind its first @len bytes (0 < len < its payload; the whole payload if a FIN follows, which then stands
 * alone, without a buffer): false when there is no record. The second half, which
 * follows it, shares the buffer and keeps FIN and PSH; every other flag and time is the first one's too.
 */
bool sq_split(struct tcp_room *r, struct zft *ts, uint32_t i, uint16_t len);

/* How many more buffers there may be in send queues. */
static inline uint32_t
sq_bufs_left(const struct zf_ctx *ctx)
{
	const struct tcp_room *r = ctx->tcp;
	uint32_t most = r->tx_held_max + ctx->rx_hold_max - ZF_MIN(ctx->rx_held + 1, ctx->rx_hold_max);

	most = ZF_MIN(most, r->tx_held_top);
	return most > r->tx_held ? most - r->tx_held : 0;
}

/* One more is going to be taken: of what received data may hold, if there is none of our own. */
static inline void
sq_borrow(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;

	if (r->tx_held >= r->tx_held_max && sq_bufs_left(ctx) > 0) {
		r->tx_held_max++;
		ctx->rx_hold_max--;
	}
}

/* What was borrowed and is not needed any more goes back; every now and then. */
static inline void
sq_return(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t need;

	if (zf_likely(r->tx_held_max == r->tx_held_own))
		return;
	need = ZF_MAX(r->tx_held, r->tx_held_own);
	if (r->tx_held_max > need) {
		ctx->rx_hold_max += r->tx_held_max - need;
		r->tx_held_max = need;
	}
}

/* Drop everything that is queued. */
void sq_clear(struct zf_ctx *ctx, struct zft *ts);

#endif
