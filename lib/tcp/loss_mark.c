/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See loss_mark.h. Each walk is bounded by TCP_SNDQ_SEGS; an ACK makes two at most.
 */
#include "tcp/loss_mark.h"

/* RFC 8985 RACK_sent_after: what left in one burst has one time, the sequence number decides. */
static inline bool
sent_after(uint64_t t1, tcpseq_t end1, uint64_t t2, tcpseq_t end2)
{
	return t1 > t2 || (t1 == t2 && seq_gt(end1, end2));
}

void
loss_delivered(struct loss_ack *w, const struct tcp_txseg *g)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	bool again = (g->flags & TXSEG_EVER_RETRANS) != 0;
	uint64_t rtt = w->ctx->now - g->sent;
	tcpseq_t end = sq_end(g);

	if (!again && g->sent >= w->sampled) {
		w->sampled = g->sent;
		w->d->rtt = ZF_MAX(rtt, 1u);
	}
	/* Step 2: an answer to a retransmission faster than any before is the answer to an earlier transmission. */
	if (!(again && rtt < ts->rtt.min_rtt) && sent_after(g->sent, end, l->rack_xmit, l->rack_end)) {
		l->rack_xmit = g->sent;
		l->rack_end = end;
		l->rack_rtt = rtt;
	}
	/* Step 3 */
	if (seq_gt(end, l->fack))
		l->fack = end;
	else if (seq_lt(end, l->fack) && !again)
		l->flags |= LF_REORDERING;
}

/* In order of their left edges, overlaps joined. */
static uint32_t
sort_blocks(struct tcp_sack_block *b, uint32_t n)
{
	uint32_t out = 0;

	for (uint32_t i = 1; i < n; i++) {
		struct tcp_sack_block x = b[i];
		uint32_t k = i;

		for (; k > 0 && seq_lt(x.left, b[k - 1].left); k--)
			b[k] = b[k - 1];
		b[k] = x;
	}
	for (uint32_t i = 1; i < n; i++) {
		if (seq_leq(b[i].left, b[out].right))
			b[out].right = seq_max(b[out].right, b[i].right);
		else
			b[++out] = b[i];
	}
	return n == 0 ? 0 : out + 1;
}

static void
mark_sacked(struct loss_ack *w, struct tcp_txseg *g)
{
	struct tcp_loss *l = &w->ts->loss;
	uint32_t span = sq_span(g);

	if (g->flags & TXSEG_LOST)
		l->lost -= span;
	if (g->flags & TXSEG_RETRANS)
		l->retrans -= span;
	g->flags = (uint8_t)((g->flags & ~(TXSEG_LOST | TXSEG_RETRANS)) | TXSEG_SACKED);
	l->sacked += span;
	l->n_sacked++;
	w->d->sacked += span;
	w->delivered += span;
	loss_delivered(w, g);
}

/* Of a run that is covered in part nothing is marked: blocks cannot cut runs into pieces (CVE-2019-11478). */
void
loss_mark_sacked(struct loss_ack *w, struct tcp_sack_block *b, uint32_t n)
{
	struct tcp_room *r = w->ctx->tcp;
	const struct zft *ts = w->ts;
	uint32_t k = 0;

	n = sort_blocks(b, n);
	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next) {
		struct tcp_txseg *g = sq_seg(r, i);

		while (k < n && seq_leq(b[k].right, g->seq))
			k++;
		if (k == n)
			return;
		if (!(g->flags & TXSEG_SACKED) && seq_geq(g->seq, b[k].left) && seq_leq(sq_end(g), b[k].right))
			mark_sacked(w, g);
	}
}

void
loss_mark_lost(struct tcp_room *r, struct zft *ts, uint32_t i)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p = tcp_rec_of(r, ts);
	struct tcp_txseg *g = sq_seg(r, i);

	ZF_ASSERT(!(g->flags & TXSEG_SACKED));
	if (!(g->flags & TXSEG_LOST))
		l->lost += sq_span(g);
	if (g->flags & TXSEG_RETRANS)
		l->retrans -= sq_span(g);
	g->flags = (uint8_t)((g->flags & ~TXSEG_RETRANS) | TXSEG_LOST);
	if (p != NULL && (!(l->flags & LF_PENDING) || seq_lt(g->seq, sq_seg(r, p->hint)->seq)))
		p->hint = i;
	l->flags |= LF_PENDING | LF_TROUBLE;
}

uint64_t
loss_reo_wnd(const struct zft *ts)
{
	const struct tcp_loss *l = &ts->loss;

	/* While no reordering was seen, DupThresh segments are proof enough; this is RFC 6675's detection too, since
	 * runs are at most SMSS long.
	 */
	if (!(l->flags & LF_REORDERING) && (l->phase >= LOSS_RECOVERY || l->n_sacked >= TCP_DUPTHRESH))
		return 0;
	return ZF_MIN(ts->rtt.min_rtt / 4 * l->reo_mult, ts->rtt.srtt);
}

uint32_t
loss_detect(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_room *r = ctx->tcp;
	uint64_t wait = l->rack_rtt + loss_reo_wnd(ts), again = 0;
	uint32_t n = 0;

	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next) {
		struct tcp_txseg *g = sq_seg(r, i);

		if (!sent_after(l->rack_xmit, l->rack_end, g->sent, sq_end(g))) {
			/* What follows a run that was sent only once was sent later still. */
			if (!(g->flags & TXSEG_EVER_RETRANS))
				break;
			continue;
		}
		if (g->flags & TXSEG_SACKED || (g->flags & (TXSEG_LOST | TXSEG_RETRANS)) == TXSEG_LOST)
			continue;
		if (g->sent + wait <= ctx->now) {
			loss_mark_lost(r, ts, i);
			n++;
		} else {
			again = ZF_MAX(again, g->sent + wait);
		}
	}
	l->flags &= (uint16_t)~LF_REORDER;
	if (again != 0) {
		l->flags |= LF_REORDER;
		ts->rtx_mode = RTX_REORDER;
		ts->due[TCP_DUE_RTX] = again;
	}
	return n;
}

void
loss_mark_all(struct tcp_room *r, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p = tcp_rec_of(r, ts);

	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next) {
		struct tcp_txseg *g = sq_seg(r, i);

		g->flags = (uint8_t)((g->flags & ~(TXSEG_SACKED | TXSEG_RETRANS)) | TXSEG_LOST);
	}
	l->sacked = 0;
	l->n_sacked = 0;
	l->retrans = 0;
	l->dupacks = 0;
	l->lost = seq_sub(ts->snd_nxt, ts->snd_una);
	if (p != NULL)
		p->hint = ts->sq_head;
	l->flags |= LF_PENDING | LF_TROUBLE;
}

void
loss_unmark(struct tcp_room *r, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;

	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next)
		sq_seg(r, i)->flags &= (uint8_t)~TXSEG_LOST;
	l->lost = 0;
	l->flags &= (uint16_t)~LF_PENDING;
}

void
tcp_loss_mtu(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	bool sent = true;

	/* Pieces come up again as the next run, until they fit: the queue is bounded by the room's records. */
	for (uint32_t i = ts->sq_head; i != TCP_NONE; i = sq_seg(r, i)->next) {
		struct tcp_txseg *g = sq_seg(r, i);
		uint32_t end = i;

		sent = sent && i != ts->sq_unsent;
		if (g->len <= ts->mss)
			continue;
		while (sq_seg(r, end)->len > ts->mss && sq_split(r, ts, end, ts->mss))
			end = sq_seg(r, end)->next;
		for (;; i = sq_seg(r, i)->next) {
			if (sent && !(sq_seg(r, i)->flags & TXSEG_SACKED))
				loss_mark_lost(r, ts, i);
			if (i == end)
				break;
		}
	}
}

#if defined(ZF_CHECKS) && ZF_CHECKS
struct sums {
	uint32_t sacked, lost, retrans, n_sacked, n;
	bool hint;
};

static tcpseq_t
check_sent(const struct tcp_room *r, const struct zft *ts, struct sums *s)
{
	const struct tcp_loss *l = &ts->loss;
	uint32_t hint = ts->rec != TCP_NONE ? r->recs[ts->rec].hint : ts->sq_head;
	tcpseq_t at = ts->snd_una;

	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = r->segs[i].next) {
		const struct tcp_txseg *g = &r->segs[i];
		uint32_t span = sq_span(g);

		ZF_ASSERT(++s->n <= r->max_segs && seq_eq(g->seq, at) && span != 0 && g->n_sent != 0);
		at = sq_end(g);
		s->hint |= hint == i;
		if (g->flags & TXSEG_SACKED) {
			ZF_ASSERT(!(g->flags & (TXSEG_LOST | TXSEG_RETRANS)));
			s->sacked += span;
			s->n_sacked++;
		}
		s->lost += g->flags & TXSEG_LOST ? span : 0;
		s->retrans += g->flags & TXSEG_RETRANS ? span : 0;
		ZF_ASSERT(!(g->flags & TXSEG_RETRANS) || g->flags & TXSEG_EVER_RETRANS);
		if ((g->flags & (TXSEG_LOST | TXSEG_RETRANS)) == TXSEG_LOST)
			ZF_ASSERT(l->flags & LF_PENDING && s->hint);
	}
	return at;
}

void
tcp_loss_check(const struct tcp_room *r, const struct zft *ts)
{
	const struct tcp_loss *l = &ts->loss;
	struct sums s = {0};
	tcpseq_t at = check_sent(r, ts, &s);
	uint32_t last = TCP_NONE;

	ZF_ASSERT(seq_eq(at, ts->snd_nxt));
	ZF_ASSERT(s.sacked == l->sacked && s.n_sacked == l->n_sacked);
	ZF_ASSERT(s.lost == l->lost && s.retrans == l->retrans);
	for (uint32_t i = ts->sq_unsent; i != TCP_NONE; i = r->segs[i].next) {
		ZF_ASSERT(++s.n <= r->max_segs && seq_eq(r->segs[i].seq, at) && r->segs[i].n_sent == 0);
		at = sq_end(&r->segs[i]);
		last = i;
	}
	ZF_ASSERT(s.n == ts->sq_segs && seq_eq(at, ts->snd_end));
	ZF_ASSERT(last == TCP_NONE || last == ts->sq_tail);
	ZF_ASSERT(ts->sq_tail == TCP_NONE ? ts->sq_head == TCP_NONE : r->segs[ts->sq_tail].next == TCP_NONE);
	ZF_ASSERT(l->flags & LF_TROUBLE ||
		  (l->phase == LOSS_OPEN && (l->sacked | l->lost | l->retrans | l->dupacks) == 0));
	ZF_ASSERT(l->reo_mult != 0 && ts->cc.cwnd != 0 && ts->cc.cwnd <= TCP_CWND_MAX);
	ZF_ASSERT(ts->rec == TCP_NONE || (ts->rec < r->max_rec && r->recs[ts->rec].owner == ts->index));
	ZF_ASSERT(ts->rec != TCP_NONE || (l->flags & (LF_UNDO | LF_DSACK_ROUND | LF_ECN_ROUND)) == 0);
	ZF_ASSERT(ts->flags & TF_SACK || (l->sacked == 0 && !(l->flags & LF_REORDER)));
}
#endif
