/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The marks of the send queue's runs, between loss.c (what an ACK means), loss_undo.c (what it means for us),
 * loss_send.c (what leaves) and loss_mark.c, which alone walks the queue. Every change of a mark keeps the sums of struct tcp_loss.
 */
#ifndef ZF_TCP_LOSS_MARK_H
#define ZF_TCP_LOSS_MARK_H

#include "tcp/loss.h"

/* RFC 5681, RFC 6675: as many segments behind a hole mean a loss. */
#define TCP_DUPTHRESH 3

static inline struct tcp_cc_env
loss_env(const struct zf_ctx *ctx, const struct zft *ts)
{
	struct tcp_rec *p = tcp_rec_of(ctx->tcp, ts);

	return (struct tcp_cc_env){.now = ctx->now,
				   .hz = ctx->hz,
				   .srtt = ts->rtt.srtt,
				   .mss = ts->mss,
				   .cubic = p != NULL ? &p->cubic : NULL};
}

/* FlightSize of RFC 5681: what limited transmit added does not count. */
static inline uint32_t
loss_flight(const struct zft *ts)
{
	return ZF_MIN(seq_sub(ts->snd_nxt, ts->snd_una), ts->cc.cwnd);
}

/* One ACK on its way through loss.c. */
struct loss_ack {
	struct zf_ctx *ctx;
	struct zft *ts;
	struct tcp_delivery *d;
	uint64_t sampled;   /* when the run that gave d->rtt was sent */
	uint32_t delivered; /* sequence numbers that this ACK is the first to report */
	uint32_t new_lost;  /* runs */
};

/* Run @g arrived: RACK's notes, the RTT sample (RFC 8985 6.2 steps 2 and 3). */
void loss_delivered(struct loss_ack *w, const struct tcp_txseg *g);
/* Mark the runs that lie in a block as SACKed. @b: @n valid blocks in any order; will be sorted. */
void loss_mark_sacked(struct loss_ack *w, struct tcp_sack_block *b, uint32_t n);
/* Run @i, not SACKED, has to be sent again. */
void loss_mark_lost(struct tcp_room *r, struct zft *ts, uint32_t i);
/* RFC 8985 6.2 steps 4 and 5: runs newly given up. Notes in due[] and LF_REORDER when to look again. */
uint32_t loss_detect(struct zf_ctx *ctx, struct zft *ts);
/* Everything sent is lost, and the peer has nothing of it. */
void loss_mark_all(struct tcp_room *r, struct zft *ts);
/* Nothing is lost. */
void loss_unmark(struct tcp_room *r, struct zft *ts);
/* How much later than the newest delivered run one may arrive. */
uint64_t loss_reo_wnd(const struct zft *ts);

/* loss.c: fast recovery begins. @w: NULL if a timer found the loss. */
void loss_enter_recovery(struct zf_ctx *ctx, struct zft *ts, const struct loss_ack *w);
/* RFC 9937: set cwnd after @delivered more bytes arrived. @advanced: snd_una moved. */
void loss_prr(struct zf_ctx *ctx, struct zft *ts, uint32_t delivered, bool advanced, bool more_lost);

/* loss_undo.c. cwnd is about to be lowered: keep it. */
void loss_begin_undo(struct zf_ctx *ctx, struct zft *ts);
/* Is the first SACK block (there is one) the report of a duplicate? */
bool loss_is_dsack(const struct tcp_opts *o, tcpseq_t ack);
void loss_take_dsack(struct loss_ack *w, const struct tcp_sack_block *b);
/* snd_una moved. */
void loss_take_eifel(struct loss_ack *w, const struct tcp_opts *o);
/* SACK blocks are marked. */
void loss_take_tlp(struct loss_ack *w, tcpseq_t ack, bool dup);

#endif
