/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an ACK says about our own guesses: that retransmissions were needless (D-SACK, RFC 2883; timestamps, RFC 3522),
 * that a probe repaired a loss. See loss_mark.h.
 */
#include "tcp/loss_mark.h"

/* Longer D-SACK blocks than any window are no reports of duplicates. */
#define DSACK_MAX_AGE TCP_CWND_MAX
/* RFC 8985 6.2 step 4 */
#define REO_PERSIST 16

void
loss_begin_undo(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p = tcp_rec_take(ctx, ts);
	struct tcp_cc_env e = loss_env(ctx, ts);

	if (p == NULL)
		return;
	tcp_cc_save(&ts->cc, &e, &p->saved);
	p->undo_from = ts->snd_una;
	p->undo_bytes = l->retrans;
	l->flags = (uint16_t)((l->flags & ~LF_EIFEL) | LF_UNDO);
}

static void
undo(struct loss_ack *w)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	struct tcp_cc_env e = loss_env(w->ctx, ts);

	/* What arrived after all was late: RACK may not know, having seen no run twice. From now on it waits. */
	if (l->phase != LOSS_RTO)
		l->flags |= LF_REORDERING;
	tcp_cc_undo(&ts->cc, &e, &tcp_rec_of(w->ctx->tcp, ts)->saved);
	loss_unmark(w->ctx->tcp, ts);
	l->flags &= (uint16_t)~(LF_UNDO | LF_EIFEL);
	l->dupacks = 0;
	l->phase = LOSS_OPEN;
	w->d->undone = true;
}

/* RFC 2883 4: the first block reports a duplicate if it lies below the ACK or inside the second block. */
bool
loss_is_dsack(const struct tcp_opts *o, tcpseq_t ack)
{
	const struct tcp_sack_block *b = o->sack;

	if (!seq_lt(b[0].left, b[0].right))
		return false;
	if (seq_leq(b[0].right, ack))
		return seq_sub(ack, b[0].left) <= DSACK_MAX_AGE;
	return o->n_sack > 1 && seq_lt(b[1].left, b[1].right) && seq_leq(b[1].left, b[0].left) &&
	       seq_leq(b[0].right, b[1].right);
}

/* RFC 8985 6.2 step 4: reordering reaches further than thought; and a recovery whose every retransmission was a
 * duplicate was none.
 */
void
loss_take_dsack(struct loss_ack *w, const struct tcp_sack_block *b)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;
	struct tcp_rec *p;
	tcpseq_t left;

	w->d->dsack = true;
	if ((l->flags & (LF_TLP | LF_TLP_AGAIN)) == (LF_TLP | LF_TLP_AGAIN) && seq_eq(b->right, l->recover)) {
		/* The probe's own (7.4.2): nothing was lost. */
		l->flags &= (uint16_t)~LF_TLP;
		return;
	}
	/* What a recovery began without a record it ends without. */
	p = l->phase < LOSS_RECOVERY ? tcp_rec_take(w->ctx, ts) : tcp_rec_of(w->ctx->tcp, ts);
	if (p == NULL)
		return;
	if (!(l->flags & LF_DSACK_ROUND) || (w->d->acked != 0 && seq_geq(ts->snd_una, p->dsack_round))) {
		l->flags |= LF_DSACK_ROUND;
		p->dsack_round = ts->snd_nxt;
		l->reo_mult = (uint8_t)ZF_MIN(l->reo_mult + 1, UINT8_MAX);
		p->reo_persist = REO_PERSIST;
	}
	if (!(l->flags & LF_UNDO) || p->undo_bytes == 0)
		return;
	left = seq_max(b->left, p->undo_from);
	if (seq_lt(left, b->right))
		p->undo_bytes -= ZF_MIN(p->undo_bytes, seq_sub(b->right, left));
	if (p->undo_bytes == 0)
		undo(w);
}

/* RFC 8985 7.4.2: did the probe repair a loss that nobody else noticed? */
void
loss_take_tlp(struct loss_ack *w, tcpseq_t ack, bool dup)
{
	struct zft *ts = w->ts;
	struct tcp_loss *l = &ts->loss;

	if (!(l->flags & LF_TLP) || seq_lt(ack, l->recover))
		return;
	if (l->flags & LF_TLP_AGAIN && seq_gt(ack, l->recover)) {
		uint32_t flight = seq_sub(ts->snd_nxt, ts->snd_una) + w->d->acked;
		struct tcp_cc_env e;

		if (ts->cc.kind == TCP_CC_CUBIC)
			(void)tcp_rec_take(w->ctx, ts);
		e = loss_env(w->ctx, ts);
		tcp_cc_on_loss(&ts->cc, &e, ZF_MIN(flight, ts->cc.cwnd));
		tcp_cc_on_recovered(&ts->cc, &e);
	} else if (l->flags & LF_TLP_AGAIN && !(dup && w->d->acked == 0 && w->d->sacked == 0)) {
		return; /* not known yet */
	}
	l->flags &= (uint16_t)~LF_TLP;
}

/* RFC 3522: the first ACK after a retransmission answers something older. */
void
loss_take_eifel(struct loss_ack *w, const struct tcp_opts *o)
{
	struct tcp_loss *l = &w->ts->loss;
	const struct tcp_rec *p = tcp_rec_of(w->ctx->tcp, w->ts);

	if (!(l->flags & LF_EIFEL))
		return;
	l->flags &= (uint16_t)~LF_EIFEL;
	if (l->flags & LF_UNDO && o != NULL && o->have & TCP_OPT_TS && (int32_t)(o->ts_ecr - p->first_ts) < 0)
		undo(w);
}
