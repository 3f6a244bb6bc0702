/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames of a connection that are made now to be sent later, if at all: what the alternatives of lib/stack hold. Their
 * payload lies in records and buffers of the send queue's kind, which join the queue when they are sent, so that they are
 * retransmitted like anything else.
 *
 * What they were made for must still be true then: the predicate is tcp_prep_is_plain(). Where it is not, the payload
 * takes the way of every other send. This file knows neither alternatives nor who keeps them.
 */
#ifndef ZF_TCP_PREP_H
#define ZF_TCP_PREP_H

#include "tcp/loss.h"
#include "tcp/sendq.h"

/* Frames in one set. */
#define TCP_PREP_MAX 64u

/* How a prepared frame gets to the port. */
enum tcp_prep_way {
	PREP_COPY, /* by tx_copy, out of the buffer that keeps its payload */
	PREP_LEND, /* that buffer itself, by a second reference */
	PREP_TWIN, /* a copy of it, for ports that do not take shared buffers */
	PREP_PORT, /* as PREP_LEND, and the port has the reference already (struct port_alt_ops) */
};

struct tcp_prep {
	/* What a send looks at. */
	uint32_t n;         /* frames */
	uint32_t bytes;     /* payload in them */
	tcpseq_t seq;       /* of the first byte */
	uint32_t path_gen;  /* ctx->path_gen that the headers were made for; 0: they are wrong */
	uint8_t way;        /* enum tcp_prep_way */
	uint8_t hdr_len;
	uint16_t longest;   /* payload of a frame */
	uint32_t head;      /* records of the payload, in order */
	uint32_t tail;
	tcpseq_t ack;       /* acknowledged by the first frame, the oldest of them, */
	tcpseq_t last_ack;  /* and by the last one, */
	tcpseq_t last_edge; /* and the right edge of the window that it tells */
	tcpseq_t kept_ack;  /* the same two of the frame that is last if the latest tcp_prep_add() is undone */
	tcpseq_t kept_edge;
	struct rte_mbuf *frames[TCP_PREP_MAX];
};

void tcp_prep_init(struct tcp_prep *p);

/* May @len more bytes of @ts be prepared behind what @p has? 0, or in this order
 *   -EAGAIN    data of an ordinary send has not left yet, or no connection yet
 *   -ENOTCONN  none any more, or shut down
 *   -ENOMEM    no buffer at all
 *   -ENOBUFS   more than TCP_PREP_MAX frames
 *   -EMSGSIZE  beyond the congestion window
 *   -EAGAIN    beyond the peer's window, or what a send queue holds
 */
int tcp_prep_check(struct zf_ctx *ctx, struct zft *ts, const struct tcp_prep *p, size_t len);
/* Frames for @len bytes, cut at the MSS, behind those that are there: all, or none and false if buffers are short. */
bool tcp_prep_add(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, const void *buf, uint32_t len);
/* Drop all frames, @n 0, or those of the latest tcp_prep_add(), @n what there was before. */
void tcp_prep_cut(struct zf_ctx *ctx, struct tcp_prep *p, uint32_t n);
/* Could the frames leave with new headers, on the path as it is now? Else only tcp_prep_queue() can send their payload: the
 * path became narrower, its neighbour is unknown, the port takes frames in another way.
 */
bool tcp_prep_fits(struct zf_ctx *ctx, struct zft *ts, const struct tcp_prep *p);
/* Headers for the connection as it is now; false if they would not fit. */
bool tcp_prep_refresh(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p);
/* After tcp_prep_fits(): are the addresses in the headers still right? If so they are good for the path as it is now. */
bool tcp_prep_still_good(const struct zf_ctx *ctx, const struct zft *ts, struct tcp_prep *p);
/* The port has taken the first @k frames: the books. What is left is sent as soon as the port has room. Empties @p. */
void tcp_prep_sent(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p, uint32_t k);
/* None of the frames: the payload is sent by the ordinary way, as far as it may leave now. Empties @p. */
void tcp_prep_queue(struct zf_ctx *ctx, struct zft *ts, struct tcp_prep *p);

/* Nothing was sent or queued otherwise since the first frame was made. */
static ZF_ALWAYS_INLINE bool
tcp_prep_is_next(const struct zft *ts, const struct tcp_prep *p)
{
	return seq_eq(ts->snd_end, p->seq) && seq_eq(ts->snd_nxt, p->seq);
}

/* One clause a line:
 *   nothing was sent or queued since, so nothing is unsent, and there is no FIN
 *   no header is older than tcp_alt_ack_rewind and timestamps allow
 *   addresses are right, and nothing waits in front of the port
 *   nothing happened to the port that must be acted on before it is used
 *   nothing is lost or SACKed, no congestion mark is to be answered
 *   both windows have room for all of it
 */
static ZF_ALWAYS_INLINE bool
tcp_prep_is_plain(const struct zf_ctx *ctx, const struct zft *ts, const struct tcp_prep *p)
{
	return tcp_prep_is_next(ts, p) &&
	       seq_lt(ts->rcv_nxt, ts->alt_due) &&
	       p->path_gen == ctx->path_gen &&
	       !ctx_has_events(ctx) &&
	       tcp_loss_can_fast(ts) && (ts->flags & (TF_CWR | TF_ECE)) == 0 &&
	       seq_sub(ts->snd_nxt, ts->snd_una) + p->bytes <= ZF_MIN(ts->cc.cwnd, ts->snd_wnd);
}

/* Something happened to a connection: if prepared headers are too old by now, the end of a poll sees to them. Not inline,
 * so that those who have none test their flags without keeping them.
 */
void tcp_prep_note(struct zf_ctx *ctx, const struct zft *ts);

/* A timestamp of now leaves. A peer that has seen it drops older ones (RFC 7323 5.3): prepared headers are too old. */
static ZF_ALWAYS_INLINE void
tcp_prep_stamped(struct zf_ctx *ctx, struct zft *ts)
{
	if (zf_unlikely(ts->flags & TF_ALT)) {
		ts->alt_due = ts->rcv_nxt;
		ctx->owed |= CTX_OWED_ALT;
	}
}

#endif
