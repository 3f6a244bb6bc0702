/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See loss.h: what an ACK means. The marks of runs are loss_mark.c's, what leaves and when is loss_send.c's.
 */
#include "tcp/loss_mark.h"

void
tcp_loss_init(struct zft *ts)
{
	ts->loss = (struct tcp_loss){
		.rack_end = ts->snd_una,
		.fack = ts->snd_una,
		.reo_mult = 1,
	};
}

/* RFC 6298 5.3; what the peer answers is not given up. */
static ZF_ALWAYS_INLINE void
una_moved(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack, struct tcp_delivery *d)
{
	d->acked = seq_sub(ack, ts->snd_una);
	ts->snd_una = ack;
	ts->loss.rto_base = ctx->now;
	ts->backoff = 0;
	ts->retries = 0;
}

/* The head of the queue was acknowledged up to @ack, inside of it. A FIN stays. */
static ZF_ALWAYS_INLINE uint32_t
trim_head(struct tcp_txseg *g, tcpseq_t ack)
{
	uint32_t n = seq_sub(ack, g->seq);

	g->seq = ack;
	g->off = (uint16_t)(g->off + n);
	g->len = (uint16_t)(g->len - n);
	return n;
}

/* The newest of the runs that an ACK took away. */
struct popped {
	uint64_t sent;
	tcpseq_t end;
	uint32_t n;
	uint8_t flags;
};

static ZF_ALWAYS_INLINE struct popped
pop_head(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = ts->sq_head;
	const struct tcp_txseg *g = sq_seg(r, i);
	struct popped p = {.sent = g->sent, .end = sq_end(g), .n = 1, .flags = g->flags};

	ts->sq_head = g->next;
	sq_put(ctx, r, i);
	return p;
}

static ZF_NOINLINE struct popped
pop_many(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack)
{
	struct popped p = {0};

	while (ts->sq_head != TCP_NONE) {
		struct tcp_txseg *g = sq_seg(ctx->tcp, ts->sq_head);
		uint32_t n;

		if (seq_lt(ack, sq_end(g))) {
			if (seq_gt(ack, g->seq))
				trim_head(g, ack);
			break;
		}
		n = p.n;
		p = pop_head(ctx, ts);
		p.n += n;
	}
	return p;
}

/* Good times: nothing is marked, so the runs go without a look at their marks, and the last of them is the newest. */
static ZF_ALWAYS_INLINE void
ack_plain(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack, struct tcp_delivery *d)
{
	struct tcp_loss *l = &ts->loss;
	struct popped p;

	if (zf_likely(ts->sq_head != TCP_NONE && seq_eq(ack, sq_end(sq_seg(ctx->tcp, ts->sq_head)))))
		p = pop_head(ctx, ts);
	else
		p = pop_many(ctx, ts, ack);
	una_moved(ctx, ts, ack, d);
	if (zf_unlikely(p.n == 0))
		return;
	ts->sq_segs -= p.n;
	if (ts->sq_head == TCP_NONE)
		ts->sq_tail = TCP_NONE;
	d->acked_segs = p.n;
	d->fin_acked = (p.flags & TXSEG_FIN) != 0;
	l->fack = ack;
	l->rack_end = p.end;
	l->rack_xmit = p.sent;
	l->rack_rtt = ctx->now - p.sent;
	if (zf_likely(!(p.flags & TXSEG_EVER_RETRANS))) {
		d->rtt = ZF_MAX(l->rack_rtt, 1u);
		tcp_rtt_sample(&ts->rtt, d->rtt, &ctx->tcp->conf.rtt);
	}
}

/* Run @g leaves the queue, or its first @n sequence numbers do. */
static void
unmark_part(struct loss_ack *w, const struct tcp_txseg *g, uint32_t n)
{
	struct tcp_loss *l = &w->ts->loss;

	if (g->flags & TXSEG_SACKED)
		l->sacked -= n;
	else
		w->delivered += n;
	if (g->flags & TXSEG_LOST)
		l->lost -= n;
	if (g->flags & TXSEG_RETRANS)
		l->retrans -= n;
}

static void
ack_runs(struct loss_ack *w, tcpseq_t ack)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	struct tcp_room *r = w->ctx->tcp;
	struct tcp_rec *p = tcp_rec_of(r, ts);
	uint32_t i = ts->sq_head;

	while (i != ts->sq_unsent) {
		struct tcp_txseg *g = sq_seg(r, i);
		uint32_t next = g->next;

		if (seq_lt(ack, sq_end(g))) {
			if (seq_gt(ack, g->seq)) {
				unmark_part(w, g, seq_sub(ack, g->seq));
				trim_head(g, ack);
			}
			break;
		}
		unmark_part(w, g, sq_span(g));
		if (g->flags & TXSEG_SACKED)
			l->n_sacked--;
		else
			loss_delivered(w, g);
		if (p != NULL && p->hint == i)
			p->hint = next;
		w->d->fin_acked |= (g->flags & TXSEG_FIN) != 0;
		w->d->acked_segs++;
		sq_put(w->ctx, r, i);
		i = next;
	}
	ts->sq_head = i;
	ts->sq_segs -= w->d->acked_segs;
	if (i == TCP_NONE)
		ts->sq_tail = TCP_NONE;
	una_moved(w->ctx, ts, ack, w->d);
}

static void
take_sack(struct loss_ack *w, const struct tcp_opts *o)
{
	const struct zft *ts = w->ts;
	struct tcp_sack_block b[TCP_SACK_MAX];
	uint32_t first = loss_is_dsack(o, ts->snd_una) ? 1 : 0, n = 0;

	for (uint32_t i = first; i < o->n_sack && i < TCP_SACK_MAX; i++) {
		b[n] = o->sack[i];
		if (seq_lt(b[n].left, b[n].right) && seq_gt(b[n].left, ts->snd_una) &&
		    seq_leq(b[n].right, ts->snd_nxt))
			n++;
	}
	if (n != 0)
		loss_mark_sacked(w, b, n);
	if (first == 1 && seq_leq(o->sack[0].right, ts->snd_nxt))
		loss_take_dsack(w, &o->sack[0]);
}

/* Without SACK: an ACK for new data took a hole away, and the segments behind it that duplicates had announced. */
static void
reno_advance(struct loss_ack *w)
{
	struct tcp_loss *l = &w->ts->loss;
	uint32_t eaten = 0;

	if (l->phase == LOSS_RECOVERY)
		eaten = ZF_MIN(l->dupacks, w->d->acked_segs == 0 ? 0 : w->d->acked_segs - 1);
	l->dupacks = (uint16_t)(l->phase == LOSS_RECOVERY ? l->dupacks - eaten : 0);
	w->delivered -= ZF_MIN(w->delivered, eaten * w->ts->mss);
}

/* Without SACK: RFC 5681 3.2, RFC 6582 3.2. */
static void
reno_detect(struct loss_ack *w, bool dup)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	struct tcp_room *r = w->ctx->tcp;
	bool blocked = (l->flags & LF_REENTRY) != 0;

	if (dup && l->phase != LOSS_RTO && (uint32_t)l->dupacks * ts->mss < seq_sub(ts->snd_nxt, ts->snd_una) &&
	    !(blocked && l->phase < LOSS_RECOVERY && l->dupacks == TCP_DUPTHRESH - 1)) {
		l->dupacks++;
		w->delivered += ts->mss;
	}
	if (ts->sq_head == ts->sq_unsent || sq_seg(r, ts->sq_head)->flags & TXSEG_LOST)
		return;
	if (l->phase == LOSS_RECOVERY ? w->d->acked != 0 : l->dupacks >= TCP_DUPTHRESH) {
		loss_mark_lost(r, ts, ts->sq_head);
		w->new_lost++;
	}
}

void
loss_enter_recovery(struct zf_ctx *ctx, struct zft *ts, const struct loss_ack *w)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_cc_env e;
	struct tcp_rec *p;

	loss_begin_undo(ctx, ts);
	p = tcp_rec_of(ctx->tcp, ts);
	e = loss_env(ctx, ts);
	tcp_cc_on_loss(&ts->cc, &e, loss_flight(ts));
	l->recover = ts->snd_nxt;
	l->flags = (uint16_t)((l->flags & ~(LF_TLP | LF_RESCUED)) | LF_REENTRY | LF_TROUBLE);
	l->phase = LOSS_RECOVERY;
	if (p == NULL)
		return;
	p->prr_delivered = 0;
	p->prr_out = 0;
	/* What is known to have arrived will not be delivered in this recovery, what this ACK reports counts. */
	p->prr_flight = seq_sub(ts->snd_nxt, ts->snd_una) + (w != NULL ? w->delivered : 0);
	p->prr_flight -= ZF_MIN(p->prr_flight, l->sacked + (uint32_t)l->dupacks * ts->mss);
}

void
loss_prr(struct zf_ctx *ctx, struct zft *ts, uint32_t delivered, bool advanced, bool more_lost)
{
	struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);
	uint32_t pipe = tcp_loss_pipe(ts), ssthresh = ts->cc.ssthresh;
	int64_t out;

	if (p == NULL) {
		/* RFC 6675 5: half the window, and what was just found lost leaves at once (4.3). */
		ts->cc.cwnd = ZF_MIN(ZF_MAX(ssthresh, more_lost ? pipe + ts->mss : 1u), TCP_CWND_MAX);
		return;
	}
	p->prr_delivered = ZF_MIN(p->prr_delivered + delivered, TCP_CWND_MAX);
	if (pipe > ssthresh) {
		uint64_t flight = ZF_MAX(p->prr_flight, 1u);

		out = (int64_t)(((uint64_t)p->prr_delivered * ssthresh + flight - 1) / flight) - p->prr_out;
	} else {
		out = ZF_MAX((int64_t)p->prr_delivered - p->prr_out, (int64_t)delivered);
		if (advanced && !more_lost)
			out += ts->mss;
		out = ZF_MIN(out, (int64_t)ssthresh - pipe);
	}
	/* The fast retransmission leaves in any case; without SACK also that for a partial ACK (RFC 6582 3.2). */
	if (p->prr_out == 0 || (!(ts->flags & TF_SACK) && advanced))
		out = ZF_MAX(out, (int64_t)ts->mss);
	ts->cc.cwnd = (uint32_t)ZF_MIN(ZF_MAX(pipe + ZF_MAX(out, 0), 1), (int64_t)TCP_CWND_MAX);
}

/* Outside of fast recovery. CUBIC needs its record only when it is CUBIC that grows the window. */
static ZF_ALWAYS_INLINE void
grow(struct zf_ctx *ctx, struct zft *ts, uint32_t acked)
{
	static const struct tcp_cc_env unread;

	if (zf_unlikely(ts->loss.flags & LF_LIMITED)) {
		struct tcp_cc_env e;

		if (ts->cc.kind == TCP_CC_CUBIC && !tcp_cc_in_slow_start(&ts->cc))
			(void)tcp_rec_take(ctx, ts);
		e = loss_env(ctx, ts);
		tcp_cc_on_ack(&ts->cc, &e, acked, true);
	} else {
		tcp_cc_on_ack(&ts->cc, &unread, acked, false);
	}
}

/* snd_una moved: rounds that end, and recovery. */
static void
leave(struct loss_ack *w)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p = tcp_rec_of(w->ctx->tcp, ts);

	if (l->flags & LF_DSACK_ROUND && seq_geq(ts->snd_una, p->dsack_round))
		l->flags &= (uint16_t)~LF_DSACK_ROUND;
	/* CWR is in what begins at ecn_end: an ACK of just that much still echoes the old mark. */
	if (l->flags & LF_ECN_ROUND && seq_gt(ts->snd_una, p->ecn_end))
		l->flags &= (uint16_t)~LF_ECN_ROUND;
	if (l->phase < LOSS_RECOVERY) {
		if (l->flags & LF_UNDO && seq_gt(ts->snd_una, p->undo_end))
			l->flags &= (uint16_t)~(LF_UNDO | LF_EIFEL);
		if (l->flags & LF_REENTRY && seq_gt(ts->snd_una, l->recover))
			l->flags &= (uint16_t)~LF_REENTRY;
		return;
	}
	if (seq_lt(ts->snd_una, l->recover))
		return;
	if (l->phase == LOSS_RECOVERY) {
		struct tcp_cc_env e = loss_env(w->ctx, ts);

		tcp_cc_on_recovered(&ts->cc, &e);
	} else { /* the last ACK of a slow start counts like those before it */
		grow(w->ctx, ts, w->d->acked);
	}
	l->phase = LOSS_OPEN;
	l->dupacks = 0;
	p = tcp_rec_of(w->ctx->tcp, ts);
	if (p != NULL) {
		p->undo_end = ts->snd_nxt;
		if (p->reo_persist != 0 && --p->reo_persist == 0)
			l->reo_mult = 1;
	}
	/* What RACK gave up behind the point of recovery is the next one's beginning. */
	w->new_lost += l->lost != 0;
	w->d->recovered = true;
}

static void
adjust_cwnd(struct loss_ack *w)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;

	if (l->phase < LOSS_RECOVERY && w->new_lost != 0) {
		loss_enter_recovery(w->ctx, ts, w);
		w->d->entered = true;
	}
	if (l->phase == LOSS_RECOVERY) {
		if (w->delivered != 0 || w->new_lost != 0)
			loss_prr(w->ctx, ts, w->delivered, w->d->acked != 0, w->new_lost != 0);
	} else if (w->d->acked != 0 && !w->d->recovered) {
		grow(w->ctx, ts, w->d->acked);
	}
	if (l->phase < LOSS_RECOVERY)
		l->phase = l->n_sacked != 0 || l->dupacks != 0 ? LOSS_DISORDER : LOSS_OPEN;
}

/* Good times again: what the record holds of recovery is done with. */
static void
rec_unneeded(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);

	if (p != NULL && p->reo_persist == 0 &&
	    (ts->cc.kind != TCP_CC_CUBIC || (!ts->cc.epoch_on && (p->cubic.w_max | p->cubic.w_prior) == 0)))
		tcp_rec_put(ctx, ts);
}

static void
still_trouble(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	const uint16_t busy = LF_PENDING | LF_UNDO | LF_DSACK_ROUND | LF_TLP | LF_ECN_ROUND | LF_REENTRY;

	l->flags &= (uint16_t)~LF_TROUBLE;
	if (l->phase != LOSS_OPEN || (l->lost | l->retrans) != 0 || l->flags & busy)
		l->flags |= LF_TROUBLE;
	else
		rec_unneeded(ctx, ts);
}

static ZF_NOINLINE void
ack_slow(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack, const struct tcp_opts *o, bool dup, struct tcp_delivery *d)
{
	struct tcp_loss *l = &ts->loss;
	struct loss_ack w = {.ctx = ctx, .ts = ts, .d = d};

	l->flags &= (uint16_t)~LF_TLP_DUE;
	if (!seq_eq(ack, ts->snd_una)) {
		ack_runs(&w, ack);
		if (!(ts->flags & TF_SACK))
			reno_advance(&w);
		loss_take_eifel(&w, o);
	}
	if (o != NULL && o->n_sack != 0 && ts->flags & TF_SACK)
		take_sack(&w, o);
	if (d->rtt != 0)
		tcp_rtt_sample(&ts->rtt, d->rtt, &ctx->tcp->conf.rtt);
	loss_take_tlp(&w, ack, dup);
	if (d->acked != 0)
		leave(&w);
	if (!(ts->flags & TF_SACK))
		reno_detect(&w, dup);
	else if (ts->sq_head != ts->sq_unsent)
		/* Also with nothing SACKed: a retransmission that arrived proves older segments behind it lost. */
		w.new_lost += loss_detect(ctx, ts);
	else
		l->flags &= (uint16_t)~LF_REORDER;
	adjust_cwnd(&w);
	still_trouble(ctx, ts);
}

void
tcp_loss_ack(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack, const struct tcp_opts *o, bool dup,
	     struct tcp_delivery *d)
{
	*d = (struct tcp_delivery){0};
	if (zf_likely(!(ts->loss.flags & LF_TROUBLE) && !dup && (o == NULL || o->n_sack == 0))) {
		if (zf_unlikely(seq_eq(ack, ts->snd_una)))
			return;
		ack_plain(ctx, ts, ack, d);
		grow(ctx, ts, d->acked);
	} else {
		ack_slow(ctx, ts, ack, o, dup, d);
	}
}

/* Not while fast recovery or a timeout has just lowered it, and once per round trip. */
bool
tcp_loss_ecn(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_cc_env e;
	struct tcp_rec *p;

	if (l->phase >= LOSS_RECOVERY || l->flags & LF_ECN_ROUND)
		return false;
	p = tcp_rec_take(ctx, ts);
	e = loss_env(ctx, ts);
	tcp_cc_on_ecn(&ts->cc, &e, loss_flight(ts));
	if (p != NULL) {
		p->ecn_end = ts->snd_nxt;
		l->flags |= LF_ECN_ROUND | LF_TROUBLE;
	}
	return true;
}
