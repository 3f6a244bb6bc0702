/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See prep.h.
 */
#include "tcp/prep.h"

#include <errno.h>
#include <string.h>

#include "tcp/conn.h"
#include "tcp/frame.h"
#include "tcp/output.h"

void
tcp_prep_init(struct tcp_prep *p)
{
	p->n = p->bytes = 0;
	p->path_gen = 0;
	p->longest = 0;
	p->head = p->tail = TCP_NONE;
}

void
tcp_prep_note(struct zf_ctx *ctx, const struct zft *ts)
{
	if ((ts->flags & TF_ALT) && seq_geq(ts->rcv_nxt, ts->alt_due))
		ctx->owed |= CTX_OWED_ALT;
}

static bool
may_send(const struct zft *ts)
{
	return (ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT) && !(ts->flags & TF_FIN_QUEUED);
}

static uint32_t
frames_for(const struct zft *ts, size_t len)
{
	return (uint32_t)((len + ts->mss - 1) / ts->mss);
}

int
tcp_prep_check(struct zf_ctx *ctx, struct zft *ts, const struct tcp_prep *p, size_t len)
{
	uint64_t all = (uint64_t)p->bytes + len;
	int32_t wnd = seq_diff(seq_add(ts->snd_una, ts->snd_wnd), ts->snd_nxt);

	if (ts->sq_unsent != TCP_NONE) {
		ts->flags |= TF_WANT_OUT;
		return -EAGAIN;
	}
	if (!may_send(ts))
		return ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV ? -EAGAIN : -ENOTCONN;
	if (pool_free_count(ctx->pool) == 0)
		return -ENOMEM;
	if (len > (size_t)TCP_PREP_MAX * ts->mss || p->n + frames_for(ts, len) > TCP_PREP_MAX)
		return -ENOBUFS;
	if (all > ts->cc.cwnd)
		return -EMSGSIZE;
	if (wnd < 0 || all > (uint32_t)wnd || seq_sub(ts->snd_end, ts->snd_una) + all > TCP_SNDQ_BYTES ||
	    ts->sq_segs + p->n + frames_for(ts, len) >= TCP_SNDQ_SEGS) {
		ts->flags |= TF_WANT_OUT;
		return -EAGAIN;
	}
	return 0;
}

/* The way of frames with up to @longest bytes of payload. Where frames need a twin once they cannot be copied, all of them
 * must fit: one set goes one way.
 */
static enum tcp_prep_way
way_for(const struct zf_ctx *ctx, const struct zft *ts, uint32_t longest)
{
	bool lend = (ctx->caps & (PORT_TX_REF_OK | PORT_TX_PASSES_MBUF)) == PORT_TX_REF_OK;

	if (ctx->alt != NULL)
		return PREP_PORT;
	if (tcp_frame_may_copy(ctx, ts, ts->hdr_len + (lend ? longest : ts->mss)))
		return PREP_COPY;
	return lend ? PREP_LEND : PREP_TWIN;
}

/* The way, with frames of @len bytes to come. */
static void
choose_way(const struct zf_ctx *ctx, const struct zft *ts, struct tcp_prep *p, uint32_t len)
{
	enum tcp_prep_way way = way_for(ctx, ts, ZF_MAX((uint32_t)p->longest, ZF_MIN(len, (uint32_t)ts->mss)));

	if (p->n > 0 && (p->way != PREP_COPY || way != PREP_LEND))
		return; /* if it is another by now, they are sent otherwise */
	for (uint32_t k = 0; k < p->n; k++)
		rte_mbuf_refcnt_set(p->frames[k], 2);
	p->way = (uint8_t)way;
}

/* The reference that the port is to be given goes. */
static void
unframe(struct zf_ctx *ctx, struct tcp_prep *p, uint32_t k)
{
	if (p->way == PREP_LEND) {
		pkt_put(ctx->pool, p->frames[k]);
	} else if (p->way == PREP_TWIN) {
		pkt_put(ctx->pool, p->frames[k]);
		ctx->tcp->tx_held--;
		ctx->tcp->prep_held--;
	}
}

/* Header of run @g, and what goes to the port. @k: its place. */
static void
frame(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, struct tcp_txseg *g, uint32_t k)
{
	struct rte_mbuf *m = g->m, *twin;

	tcp_frame_prepare(ctx, ts, g, &p->last_edge);
	p->last_ack = ts->rcv_nxt;
	if (k == 0)
		p->ack = ts->rcv_nxt;
	if (p->way != PREP_TWIN) {
		p->frames[k] = m;
		return;
	}
	twin = p->frames[k];
	pkt_reset(twin, m->data_len);
	twin->ol_flags = m->ol_flags;
	twin->tx_offload = m->tx_offload;
	memcpy(rte_pktmbuf_mtod(twin, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
}

/* One run of @len bytes with all the buffers that it needs, its place the @k-th; false if they are not there. */
static bool
take_run(struct zf_ctx *ctx, struct tcp_prep *p, uint32_t k, uint32_t *i)
{
	struct tcp_room *r = ctx->tcp;
	struct rte_mbuf *m, *twin = NULL;

	if (sq_bufs_left(ctx) < (p->way == PREP_TWIN ? 2u : 1u) || r->n_free_seg <= r->max_zft)
		return false;
	m = pkt_take(ctx->pool);
	if (m == NULL)
		return false;
	if (p->way == PREP_TWIN) {
		twin = pkt_take(ctx->pool);
		if (twin == NULL) {
			pkt_put(ctx->pool, m);
			return false;
		}
		sq_borrow(ctx);
		r->tx_held++;
		r->prep_held++;
		p->frames[k] = twin;
	}
	sq_borrow(ctx);
	r->tx_held++;
	r->prep_held++;
	r->prep_segs++;
	*i = sq_take(r);
	*sq_seg(r, *i) = (struct tcp_txseg){.m = m, .next = TCP_NONE, .off = TCP_PAYLOAD_OFF};
	return true;
}

bool
tcp_prep_add(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, const void *buf, uint32_t len)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t was = p->n, part, i;

	tcp_path_check(ctx, ts);
	if (was == 0) {
		p->seq = ts->snd_nxt;
		p->hdr_len = ts->hdr_len;
		p->path_gen = ts->path.resolved ? ts->path_gen : 0;
	}
	p->kept_ack = p->last_ack;
	p->kept_edge = p->last_edge;
	choose_way(ctx, ts, p, len);
	for (uint32_t off = 0; off < len; off += part) {
		struct tcp_txseg *g;

		if (!take_run(ctx, p, p->n, &i)) {
			tcp_prep_cut(ctx, p, was);
			return false;
		}
		g = sq_seg(r, i);
		part = ZF_MIN((uint32_t)ts->mss, len - off);
		part = ZF_MIN(part, (uint32_t)g->m->buf_len - TCP_PAYLOAD_OFF);
		g->len = (uint16_t)part;
		g->seq = seq_add(p->seq, p->bytes);
		g->flags = off + part == len ? TXSEG_PSH : 0;
		memcpy((uint8_t *)g->m->buf_addr + g->off, (const uint8_t *)buf + off, part);
		frame(ctx, ts, p, g, p->n);
		if (p->way == PREP_LEND)
			rte_mbuf_refcnt_set(g->m, 2);
		if (p->tail == TCP_NONE)
			p->head = i;
		else
			sq_seg(r, p->tail)->next = i;
		p->tail = i;
		p->n++;
		p->bytes += part;
		p->longest = (uint16_t)ZF_MAX(part, (uint32_t)p->longest);
	}
	return true;
}

void
tcp_prep_cut(struct zf_ctx *ctx, struct tcp_prep *p, uint32_t n)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = p->head, k = 0, next, tail = TCP_NONE;

	for (; k < n; k++) {
		tail = i;
		i = sq_seg(r, i)->next;
	}
	for (; i != TCP_NONE; i = next, k++) {
		next = sq_seg(r, i)->next;
		p->bytes -= sq_seg(r, i)->len;
		unframe(ctx, p, k);
		sq_put(ctx, r, i);
		r->prep_segs--;
		r->prep_held--;
	}
	if (n == 0) {
		tcp_prep_init(p);
		return;
	}
	p->n = n;
	p->tail = tail;
	p->last_ack = p->kept_ack;
	p->last_edge = p->kept_edge;
	sq_seg(r, tail)->next = TCP_NONE;
}

bool
tcp_prep_fits(struct zf_ctx *ctx, struct zft *ts, const struct tcp_prep *p)
{
	tcp_path_check(ctx, ts);
	return ts->path.resolved && p->longest <= ts->mss && p->hdr_len == ts->hdr_len && 
	       p->way == way_for(ctx, ts, p->longest);
}

bool
tcp_prep_refresh(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t k = 0;

	p->path_gen = 0;
	if (!tcp_prep_fits(ctx, ts, p))
		return false;
	for (uint32_t i = p->head; i != TCP_NONE; i = sq_seg(r, i)->next)
		frame(ctx, ts, p, sq_seg(r, i), k++);
	p->path_gen = ts->path_gen;
	return true;
}

bool
tcp_prep_still_good(const struct zf_ctx *ctx, const struct zft *ts, struct tcp_prep *p)
{
	const struct tcp_txseg *g = sq_seg(ctx->tcp, p->head);
	const struct rte_mbuf *m = g->m;

	if (p->path_gen == ts->path_gen)
		return true;
	if (p->path_gen == 0 || memcmp((const uint8_t *)m->buf_addr + g->off - ts->hdr_len, ts->hdr, ts->l3_off) != 0)
		return false;
	p->path_gen = ts->path_gen;
	return true;
}

/* Runs from @p, the first @k of them sent, join the send queue. */
static void
join(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, uint32_t k)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = p->head;

	if (ts->sq_tail == TCP_NONE)
		ts->sq_head = p->head;
	else
		sq_seg(r, ts->sq_tail)->next = p->head;
	ts->sq_tail = p->tail;
	ts->sq_segs += p->n;
	for (uint32_t s = 0; s < k; s++) {
		struct tcp_txseg *g = sq_seg(r, i);

		g->sent = ctx->now;
		g->n_sent = 1;
		i = g->next;
		if (p->way == PREP_TWIN) {
			r->tx_held--;
			r->prep_held--;
		}
	}
	r->prep_segs -= p->n;
	r->prep_held -= p->n;
	ts->sq_unsent = i;
	ts->snd_nxt = i == TCP_NONE ? seq_add(p->seq, p->bytes) : sq_seg(r, i)->seq;
	ts->snd_end = seq_add(p->seq, p->bytes);
	ts->flags &= ~(uint32_t)TF_MORE;
	for (; k < p->n; k++)
		unframe(ctx, p, k);
}

/* What the last frame that left says to the peer. Where that is less than the truth, an ACK follows by the end of the next
 * poll: a window may seem to have shrunk, or shut, and a peer that waits for its acknowledgement before it sends more
 * (Nagle) would wait for the delayed one.
 */
static void
told(struct zf_ctx *ctx, struct zft *ts, const struct tcp_prep *p)
{
	/* The field's unit hides some bytes of an edge that has not moved. */
	tcpseq_t edge = seq_add(p->last_edge, (1u << ts->rcv_shift) - 1);
	bool old = !seq_eq(p->last_ack, ts->rcv_nxt);

	if (seq_lt(edge, ts->rcv_adv) || (old && !seq_eq(ts->last_ack_sent, ts->rcv_nxt))) {
		ts->flags |= TF_ACK_NOW;
		tcp_pend(ctx, ts);
	} else if (!old && !(ts->flags & TF_ACK_NOW)) { /* which may be due for its options */
		tcp_acked_all(ts);
	}
	ts->rcv_adv = seq_max(ts->rcv_adv, p->last_edge);
}

void
tcp_prep_sent(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, uint32_t k)
{
	bool first = ts->sq_head == TCP_NONE && p->n == 1 && (ts->backoff | (ts->loss.flags & LF_TROUBLE)) == 0;

	ctx->now = ctx_read_clock(ctx);
	join(ctx, ts, p, k);
	ctx->counters[CNT_TX_TCP] += k;
	if (k > 0) {
		ts->loss.sent_at = ctx->now;
		told(ctx, ts, p);
	}
	if (zf_unlikely(k < p->n)) {
		ctx->owed |= CTX_OWED_TX_RETRY;
		tcp_pend(ctx, ts);
	}
	if (k > 0 && first)
		tcp_loss_arm_first(ctx, ts);
	else if (k > 0)
		tcp_loss_arm(ctx, ts);
	tcp_prep_init(p);
}

void
tcp_prep_queue(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p)
{
	join(ctx, ts, p, 0);
	tcp_prep_init(p);
	tcp_path_check(ctx, ts);
	tcp_loss_mtu(ctx, ts); /* for those that were made before the path became narrower */
	tcp_output(ctx, ts);
}
