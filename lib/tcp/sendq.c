/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See sendq.h: what is too rare to be inlined.
 */
#include "tcp/sendq.h"

bool
sq_split(struct tcp_room *r, struct zft *ts, uint32_t i, uint16_t len)
{
	struct tcp_txseg *g = &r->segs[i], *h;
	uint32_t k;

	ZF_ASSERT(len > 0 && (len < g->len || (len == g->len && (g->flags & TXSEG_FIN) != 0)));
	if (r->n_free_seg <= r->max_zft) /* those are for FINs */
		return false;
	k = sq_take(r);
	h = &r->segs[k];
	*h = *g;
	h->seq = seq_add(g->seq, len);
	h->off = (uint16_t)(g->off + len);
	h->len = (uint16_t)(g->len - len);
	g->next = k;
	g->len = len;
	g->flags &= (uint8_t)~TXSEG_FIN;
	if (h->len == 0) { /* the FIN alone */
		h->m = NULL;
		h->flags &= (uint8_t)~(TXSEG_PSH | TXSEG_SHARED);
	} else if (g->m != NULL) {
		g->flags &= (uint8_t)~TXSEG_PSH;
		g->flags |= TXSEG_SHARED;
		h->flags |= TXSEG_SHARED;
		/* sq_put() gives one reference back for each. */
		rte_mbuf_refcnt_update(g->m, 1);
		r->tx_held++;
	}
	if (ts->sq_tail == i)
		ts->sq_tail = k;
	ts->sq_segs++;
	if (g->flags & TXSEG_SACKED)
		ts->loss.n_sacked++;
	return true;
}

void
sq_clear(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_loss *l = &ts->loss;

	for (uint32_t i = ts->sq_head; i != TCP_NONE;) {
		uint32_t next = r->segs[i].next;

		sq_put(ctx, r, i);
		i = next;
	}
	ts->sq_head = TCP_NONE;
	ts->sq_unsent = TCP_NONE;
	ts->sq_tail = TCP_NONE;
	ts->sq_segs = 0;
	l->sacked = 0;
	l->lost = 0;
	l->retrans = 0;
	l->n_sacked = 0;
	l->dupacks = 0;
	l->flags &= (uint16_t)~(LF_PENDING | LF_REORDER);
}
