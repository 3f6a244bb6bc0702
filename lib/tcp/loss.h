/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Acknowledgements and losses: what has arrived, what is given up for lost, how much may be sent. Input calls
 * tcp_loss_ack(), output asks quota and next and reports what it gave to the port, the timer comes to
 * tcp_loss_timer(), and each of them ends with tcp_loss_arm().
 *
 * Detection is RACK-TLP (RFC 8985) with SACK and RFC 6582 without; fast recovery is paced by PRR (RFC 9937). The
 * send queue is walked only when there are SACK blocks or losses; an ACK in good times touches what it acknowledges.
 *
 * It sends nothing, and it knows neither the peer's window (but for the rescue rule) nor the state machine.
 */
#ifndef ZF_TCP_LOSS_H
#define ZF_TCP_LOSS_H

#include "tcp/sendq.h"
#include "tcp/tcp.h"
#include "tcp/timer.h"

/* At establishment: snd_una and snd_nxt are set. */
void tcp_loss_init(struct zft *ts);

/* loss_rec.c. The record of @ts, which it gets if it has none; NULL and counted if there is none to be had. When none is
 * free, one is taken from a connection that has nothing in flight, if a look at a few of them finds such a one.
 */
struct tcp_rec *tcp_rec_take(struct zf_ctx *ctx, struct zft *ts);
void tcp_rec_put(struct zf_ctx *ctx, struct zft *ts);
/* The record it has, or NULL. */
static ZF_ALWAYS_INLINE struct tcp_rec *
tcp_rec_of(const struct tcp_room *r, const struct zft *ts)
{
	return ts->rec != TCP_NONE ? &r->recs[ts->rec] : NULL;
}

/* What an ACK delivered. */
struct tcp_delivery {
	uint32_t acked;      /* sequence numbers newly acknowledged cumulatively */
	uint32_t acked_segs; /* runs that are gone */
	uint32_t sacked;     /* sequence numbers newly SACKed */
	uint64_t rtt;        /* cycles; 0: no sample (Karn) */
	bool dsack;          /* it reported a duplicate */
	bool fin_acked;
	bool entered;        /* fast recovery began */
	bool recovered;      /* recovery, fast or after a timeout, ended */
	bool undone;         /* the reduction was wrong and is taken back */
};

/* An ACK with snd_una <= @ack <= snd_nxt. @o: NULL if it had no SACK blocks and no timestamps (those prove a
 * retransmission unnecessary, RFC 3522). @dup: a duplicate by RFC 5681 2. Acknowledged runs leave the queue, snd_una
 * moves, backoff and retries start over, cwnd follows. Run output afterwards.
 */
void tcp_loss_ack(struct zf_ctx *ctx, struct zft *ts, tcpseq_t ack, const struct tcp_opts *o, bool dup,
		  struct tcp_delivery *d);

/* Sequence numbers in flight, as far as is known (RFC 6675's pipe). */
static ZF_ALWAYS_INLINE uint32_t
tcp_loss_pipe(const struct zft *ts)
{
	const struct tcp_loss *l = &ts->loss;
	uint32_t out = seq_sub(ts->snd_nxt, ts->snd_una) + l->retrans;
	uint32_t gone = l->sacked + l->lost + (uint32_t)l->dupacks * ts->mss;

	return out > gone ? out - gone : 0;
}

/* Bytes that congestion control lets leave now, new or again. A run longer than it waits; if nothing is in flight, it is
 * as long as the next run at least.
 */
uint32_t tcp_loss_quota(struct zf_ctx *ctx, struct zft *ts);

/* The run to send again next (a rescue retransmission included), or TCP_NONE. It comes before new data. */
uint32_t tcp_loss_next(struct zf_ctx *ctx, struct zft *ts);

/* Run @i was given to the port, for the first time or again. Output itself moves sq_unsent and snd_nxt. */
void tcp_loss_sent(struct zf_ctx *ctx, struct zft *ts, uint32_t i);

/* The port was full after all: as if @i had not been sent. @was_new: it was sent for the first time; output moves
 * sq_unsent and snd_nxt back.
 */
void tcp_loss_taken_back(struct zf_ctx *ctx, struct zft *ts, uint32_t i, bool was_new);

/* Output's last word of a round: cwnd was what stopped it. */
static ZF_ALWAYS_INLINE void
tcp_loss_limited(struct zft *ts, bool by_cwnd)
{
	uint16_t rest = ts->loss.flags & (uint16_t)~LF_LIMITED;

	ts->loss.flags = by_cwnd ? rest | LF_LIMITED : rest;
}

/* After input or output: which of its timers TCP_DUE_RTX is now, and until when; off when nothing is in flight, except
 * that a persist timer is left alone then.
 */
void tcp_loss_arm(struct zf_ctx *ctx, struct zft *ts);

/* RFC 8985 7.2: how long a peer may delay its ACK for a single segment, as a part of a second. */
#define TCP_LOSS_DELACK_DIV 5u
/* No probe sooner than that, as a part of a second: with a round trip of next to nothing and a port that takes nothing the
 * timer would fire with every tick of the wheel.
 */
#define TCP_LOSS_PROBE_DIV  1000u

/* The same where nothing was in flight, backed off or wrong before this run, sent at ctx->now. */
static ZF_ALWAYS_INLINE void
tcp_loss_arm_first(struct zf_ctx *ctx, struct zft *ts)
{
	uint64_t wait = ts->rtt.rto;

	ts->rtx_mode = RTX_RTO;
	if (zf_likely((ts->flags & TF_SACK) != 0 && ts->rtt.srtt != 0)) {
		ts->rtx_mode = RTX_TLP;
		wait = ZF_MIN(2 * ts->rtt.srtt + ctx->hz / TCP_LOSS_DELACK_DIV, wait);
	}
	tcp_timer_set(ctx, ts, TCP_DUE_RTX, ctx->now + wait);
}

enum tcp_loss_verdict {
	LOSS_NOTHING,
	LOSS_SEND,    /* something was marked: run output */
	LOSS_PROBE,   /* send a tail-loss probe, whatever quota says: new data if there is and may be, else
		       * tcp_loss_probe_run() */
	LOSS_GIVE_UP, /* tcp_retries retransmissions without an answer */
};

/* TCP_DUE_RTX fired in mode RTO, TLP or REORDER. */
enum tcp_loss_verdict tcp_loss_timer(struct zf_ctx *ctx, struct zft *ts);
uint32_t tcp_loss_probe_run(struct zf_ctx *ctx, struct zft *ts);

/* The path MTU fell and ts->mss is the new one: longer runs are split, and sent again without a congestion response
 * (RFC 1191 6.5). A run stays long if there is no record for its second half.
 */
void tcp_loss_mtu(struct zf_ctx *ctx, struct zft *ts);

/* The peer echoes congestion marks (RFC 3168 6.1.2): true if cwnd was lowered for it, and CWR is to be sent. */
bool tcp_loss_ecn(struct zf_ctx *ctx, struct zft *ts);

/* Nothing SACKed, lost or retransmitted: sending need not ask quota() and next(), only cwnd. */
static ZF_ALWAYS_INLINE bool
tcp_loss_can_fast(const struct zft *ts)
{
	return ts->loss.phase == LOSS_OPEN && (ts->loss.sacked | ts->loss.lost | ts->loss.retrans) == 0;
}

/* The queue and its sums agree: in builds with ZF_CHECKS, nothing otherwise. */
#if defined(ZF_CHECKS) && ZF_CHECKS
void tcp_loss_check(const struct tcp_room *r, const struct zft *ts);
#else
static inline void
tcp_loss_check(const struct tcp_room *r, const struct zft *ts)
{
	(void)r;
	(void)ts;
}
#endif

#endif
