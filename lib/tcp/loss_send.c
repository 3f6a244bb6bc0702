/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See loss.h: how much may leave, what leaves again, and the timers that find losses when no ACK comes.
 */
#include "tcp/loss_mark.h"
#include "tcp/output.h"
#include "tcp/timer.h"

uint32_t
tcp_loss_next(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	const struct tcp_room *r = ctx->tcp;
	const struct tcp_txseg *tail;

	if (l->flags & LF_PENDING) {
		struct tcp_rec *p = tcp_rec_of(r, ts);

		for (uint32_t i = p != NULL ? p->hint : ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next) {
			if ((sq_seg(r, i)->flags & (TXSEG_LOST | TXSEG_RETRANS)) == TXSEG_LOST) {
				if (p != NULL)
					p->hint = i;
				return i;
			}
		}
		l->flags &= (uint16_t)~LF_PENDING;
	}
	/* The rescue of RFC 6675 4 NextSeg (4): once in a recovery, with nothing else to send, the tail that no SACK
	 * can speak for; when its answer is overdue, since it may have just left.
	 */
	if (l->phase != LOSS_RECOVERY || l->flags & LF_RESCUED || !(ts->flags & TF_SACK) ||
	    ts->sq_unsent != TCP_NONE || ts->sq_tail == TCP_NONE)
		return TCP_NONE;
	tail = sq_seg(r, ts->sq_tail);
	if (tail->flags & (TXSEG_SACKED | TXSEG_LOST | TXSEG_RETRANS) ||
	    ctx->now - tail->sent <= ts->rtt.srtt + ts->rtt.srtt / 4)
		return TCP_NONE;
	return ts->sq_tail;
}

/* Nothing has left in this recovery: the fast retransmission does in any case. */
static bool
first_in_recovery(const struct zf_ctx *ctx, const struct zft *ts)
{
	const struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);

	return ts->loss.phase == LOSS_RECOVERY && p != NULL && p->prr_out == 0;
}

uint32_t
tcp_loss_quota(struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t pipe = tcp_loss_pipe(ts), cwnd = ts->cc.cwnd;
	uint32_t quota = cwnd > pipe ? cwnd - pipe : 0;

	/* A FIN makes a run longer than the MSS. */
	if (zf_unlikely(quota <= ts->mss && (pipe == 0 || first_in_recovery(ctx, ts)))) {
		uint32_t i = tcp_loss_next(ctx, ts);

		if (i == TCP_NONE)
			i = ts->sq_unsent;
		if (i != TCP_NONE)
			quota = ZF_MAX(quota, sq_span(sq_seg(ctx->tcp, i)));
	}
	return quota;
}

static void
sent_again(struct zf_ctx *ctx, struct zft *ts, struct tcp_txseg *g)
{
	struct tcp_loss *l = &ts->loss;

	if (!(g->flags & TXSEG_RETRANS))
		l->retrans += sq_span(g);
	if (l->phase == LOSS_RECOVERY && !(g->flags & TXSEG_LOST))
		l->flags |= LF_RESCUED;
	g->flags |= TXSEG_RETRANS | TXSEG_EVER_RETRANS;
	if (l->phase >= LOSS_RECOVERY && l->flags & LF_UNDO) {
		struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);

		if (p->undo_bytes == 0 && ts->flags & TF_TS) {
			p->first_ts = tcp_ts_now(ctx, ts->ts_offset);
			l->flags |= LF_EIFEL;
		}
		p->undo_bytes += ZF_MAX(g->len, 1u);
	}
	l->flags |= LF_TROUBLE;
	ctx_count(ctx, CNT_TCP_RETRANS);
}

void
tcp_loss_sent(struct zf_ctx *ctx, struct zft *ts, uint32_t i)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_txseg *g = sq_seg(ctx->tcp, i);
	bool again = g->n_sent != 0;

	g->sent = ctx->now;
	g->n_sent = (uint8_t)ZF_MIN(g->n_sent + 1, UINT8_MAX);
	if (zf_unlikely(again)) {
		sent_again(ctx, ts, g);
		g->flags &= (uint8_t)~TXSEG_PROBE;
	} else {
		l->sent_at = ctx->now;
	}
	if (zf_unlikely(l->phase == LOSS_RECOVERY && ts->rec != TCP_NONE))
		tcp_rec_of(ctx->tcp, ts)->prr_out += sq_span(g);
	if (zf_unlikely(l->flags & LF_TLP_DUE)) {
		/* Only SACK has probes, and only without it does the end of a past recovery matter. */
		l->flags = (uint16_t)((l->flags & ~(LF_TLP_DUE | LF_TLP_AGAIN | LF_REENTRY)) | LF_TLP | LF_TROUBLE);
		l->flags |= again ? LF_TLP_AGAIN : 0;
		l->recover = seq_max(ts->snd_nxt, sq_end(g));
		g->flags |= TXSEG_PROBE;
	}
}

void
tcp_loss_taken_back(struct zf_ctx *ctx, struct zft *ts, uint32_t i, bool was_new)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);
	struct tcp_txseg *g = sq_seg(ctx->tcp, i);

	if (g->flags & TXSEG_PROBE)
		l->flags &= (uint16_t)~LF_TLP;
	g->flags &= (uint8_t)~TXSEG_PROBE;
	if (l->phase == LOSS_RECOVERY && p != NULL)
		p->prr_out -= ZF_MIN(p->prr_out, sq_span(g));
	if (was_new) {
		g->n_sent = 0;
		return;
	}
	if (g->n_sent > 1) {
		g->n_sent--;
		ctx->counters[CNT_TCP_RETRANS]--;
	}
	/* An ACK may have come in between. EVER_RETRANS stays: when it was sent before is not known any more. */
	if (!(g->flags & TXSEG_RETRANS))
		return;
	g->flags &= (uint8_t)~TXSEG_RETRANS;
	l->retrans -= sq_span(g);
	if (l->phase >= LOSS_RECOVERY && p != NULL)
		p->undo_bytes -= ZF_MIN(p->undo_bytes, ZF_MAX(g->len, 1u));
	if (g->flags & TXSEG_LOST)
		loss_mark_lost(ctx->tcp, ts, i);
}

/* RFC 6298 5.1 to 5.3; a retransmission of the first run starts it too. */
static uint64_t
timeout_due(const struct zf_ctx *ctx, const struct zft *ts)
{
	return ZF_MAX(ts->loss.rto_base, sq_seg(ctx->tcp, ts->sq_head)->sent) +
	       tcp_rtt_backoff(&ts->rtt, ts->backoff, &ctx->tcp->conf.rtt);
}

/* RFC 8985 7.2: never later than the timeout. */
static uint64_t
probe_due(const struct zf_ctx *ctx, const struct zft *ts, uint64_t rto_due)
{
	const struct tcp_loss *l = &ts->loss;
	const struct tcp_txseg *head = sq_seg(ctx->tcp, ts->sq_head);
	uint64_t pto = 2 * ts->rtt.srtt;

	if (pto == 0)
		return rto_due;
	pto = ZF_MAX(pto, ctx->hz / TCP_LOSS_PROBE_DIV);
	if (head->next == ts->sq_unsent)
		pto += ctx->hz / TCP_LOSS_DELACK_DIV;
	return ZF_MIN(ZF_MAX(l->rto_base, l->sent_at) + pto, rto_due);
}

void
tcp_loss_arm(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	uint64_t rto_due;

	if (ts->sq_head == ts->sq_unsent) {
		if (ts->rtx_mode != RTX_PERSIST)
			tcp_timer_set(ctx, ts, TCP_DUE_RTX, 0);
		return;
	}
	rto_due = timeout_due(ctx, ts);
	if (zf_unlikely(l->flags & LF_REORDER && ts->due[TCP_DUE_RTX] != 0 && ts->due[TCP_DUE_RTX] < rto_due)) {
		ts->rtx_mode = RTX_REORDER;
		tcp_timer_set(ctx, ts, TCP_DUE_RTX, ts->due[TCP_DUE_RTX]);
		return;
	}
	ts->rtx_mode = RTX_RTO;
	if (zf_likely(tcp_loss_can_fast(ts) && ts->flags & TF_SACK && !(l->flags & (LF_TLP | LF_TLP_DUE)) &&
		      ts->backoff == 0)) {
		ts->rtx_mode = RTX_TLP;
		rto_due = probe_due(ctx, ts, rto_due);
	}
	tcp_timer_set(ctx, ts, TCP_DUE_RTX, rto_due);
}

/* RFC 6298 5.4 to 5.6, RFC 5681 3.1. SACKs may have been reneged (RFC 2018 8), so they are forgotten. */
static enum tcp_loss_verdict
timeout(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_cc_env e;

	if (ts->retries >= ctx->tcp->conf.retries)
		return LOSS_GIVE_UP;
	if (l->phase < LOSS_RECOVERY)
		loss_begin_undo(ctx, ts);
	e = loss_env(ctx, ts);
	tcp_cc_on_rto(&ts->cc, &e, loss_flight(ts), ts->backoff == 0);
	loss_mark_all(ctx->tcp, ts);
	l->phase = LOSS_RTO;
	l->recover = ts->snd_nxt;
	l->flags = (uint16_t)((l->flags & ~(LF_TLP | LF_TLP_DUE | LF_REORDER)) | LF_REENTRY);
	l->rto_base = ctx->now;
	ts->backoff = (uint8_t)ZF_MIN(ts->backoff + 1, UINT8_MAX);
	ts->retries = (uint8_t)ZF_MIN(ts->retries + 1, UINT8_MAX);
	return LOSS_SEND;
}

/* RFC 8985 6.3: what was waited for did not come. */
static enum tcp_loss_verdict
reorder_timeout(struct zf_ctx *ctx, struct zft *ts)
{
	if (loss_detect(ctx, ts) == 0)
		return LOSS_NOTHING;
	if (ts->loss.phase < LOSS_RECOVERY)
		loss_enter_recovery(ctx, ts, NULL);
	if (ts->loss.phase == LOSS_RECOVERY) {
		loss_prr(ctx, ts, 0, false, true);
		/* There may be no further ACK to ask for it. */
		ts->cc.cwnd = ZF_MAX(ts->cc.cwnd, tcp_loss_pipe(ts) + ts->mss);
	}
	return LOSS_SEND;
}

enum tcp_loss_verdict
tcp_loss_timer(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;

	if (ts->sq_head == ts->sq_unsent)
		return LOSS_NOTHING;
	l->flags &= (uint16_t)~LF_TLP_DUE;
	switch (ts->rtx_mode) {
	case RTX_REORDER:
		return reorder_timeout(ctx, ts);
	case RTX_TLP:
		/* Sends since then have moved it, without the cost of arming it anew. */
		if (probe_due(ctx, ts, timeout_due(ctx, ts)) > ctx->now)
			return LOSS_NOTHING;
		/* The timeout starts again behind the probe, even if that cannot be sent (7.3). */
		l->rto_base = ctx->now;
		l->flags |= LF_TLP_DUE | LF_TROUBLE;
		return LOSS_PROBE;
	default:
		if (timeout_due(ctx, ts) > ctx->now)
			return LOSS_NOTHING;
		return timeout(ctx, ts);
	}
}

uint32_t
tcp_loss_probe_run(struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t i = ts->sq_head;

	if (i == ts->sq_unsent)
		return TCP_NONE;
	if (ts->sq_unsent == TCP_NONE)
		return ts->sq_tail;
	while (sq_seg(ctx->tcp, i)->next != ts->sq_unsent)
		i = sq_seg(ctx->tcp, i)->next;
	return i;
}
