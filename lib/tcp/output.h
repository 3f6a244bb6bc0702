/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a connection has to send, and how its segments are made. Gathered frames leave by tcp_out_flush(): at the end of
 * a poll, or of an API call.
 */
#ifndef ZF_TCP_OUTPUT_H
#define ZF_TCP_OUTPUT_H

#include "tcp/sendq.h"
#include "tcp/tcp_in.h"

#define TCP_TTL 64
/* Bytes of Ethernet, IP and TCP header, with timestamps and tag: what is left free before every payload. */
#define TCP_HDR_MAX (18u + 20u + 32u)
/* Where the payload of a send buffer begins, from buf_addr: the header of its segment fits before it, and behind it the
 * copy is aligned.
 */
#define TCP_PAYLOAD_OFF RTE_PKTMBUF_HEADROOM

/* Make the header template, and what depends on it, after the path or what it leads through changed. */
void tcp_path_refresh(struct zf_ctx *ctx, struct zft *ts);
/* The same with the path as it is: it was just opened. */
void tcp_template(struct zf_ctx *ctx, struct zft *ts);
/* The same after options were agreed on, TF_TS and TF_ECN at most set where they were not: only what they change is
 * written into a template that is up to date.
 */
void tcp_template_options(struct zf_ctx *ctx, struct zft *ts);
/* The same if need be. */
static inline void
tcp_path_check(struct zf_ctx *ctx, struct zft *ts)
{
	if (zf_unlikely(ts->path_gen != ctx->ip->env_gen))
		tcp_path_refresh(ctx, ts);
}

/* Send what may be sent now: what was lost, new data, else an ACK if one is due. Gathers. Sets the timers and
 * fast_send_bytes, so every event of a connection ends here or in tcp_pend().
 */
void tcp_output(struct zf_ctx *ctx, struct zft *ts);
/* The same, with what was held back by MSG_MORE or against silly windows. */
void tcp_output_forced(struct zf_ctx *ctx, struct zft *ts);
/* A tail-loss probe first, whatever congestion control says. */
void tcp_output_probe(struct zf_ctx *ctx, struct zft *ts);
/* Have tcp_output() called at the end of this poll. */
void tcp_pend(struct zf_ctx *ctx, struct zft *ts);
void tcp_unpend(struct zf_ctx *ctx, struct zft *ts);
/* What has been gathered leaves; what the port refuses is put back and pends. False: it refused something. */
bool tcp_out_flush_some(struct zf_ctx *ctx);
static ZF_ALWAYS_INLINE bool
tcp_out_flush(struct zf_ctx *ctx)
{
	return ctx->tcp->n_out == 0 || tcp_out_flush_some(ctx);
}

/* One ACK now (RFC 5681 4.2: out-of-order arrivals are acknowledged one by one). */
void tcp_send_ack(struct zf_ctx *ctx, struct zft *ts);
/* SYN, or SYN-ACK in SYN-RECEIVED. */
void tcp_send_syn(struct zf_ctx *ctx, struct zft *ts);
/* RST <SEQ=SND.NXT><ACK=RCV.NXT>. */
void tcp_send_rst(struct zf_ctx *ctx, struct zft *ts);
/* <SEQ=SND.UNA-1> without data: what a peer must answer. Keepalive, and the probe of a zero window. */
void tcp_send_keepalive(struct zf_ctx *ctx, struct zft *ts);
/* Nothing is in flight: the congestion window restarts if it stays so for a timeout (RFC 5681 4.1). */
void tcp_arm_idle(struct zf_ctx *ctx, struct zft *ts);

/* The ACK that RFC 5961 wants, if its limits allow. */
void tcp_challenge_ack(struct zf_ctx *ctx, struct zft *ts);

/* How large a payload the next fast send may have at most; 0 unless the plain case. Sets snd_room. */
void tcp_fast_update(struct zf_ctx *ctx, struct zft *ts);

/* The same where nothing is queued, in flight or wrong. */
static ZF_ALWAYS_INLINE void
tcp_fast_reset(const struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t limit = ts->mss;

	ts->snd_room = ZF_MIN(ZF_MIN(ts->cc.cwnd, ts->snd_wnd), TCP_SNDQ_BYTES);
	if (ctx->tx_copy != NULL && ts->sum_mode == TCP_SUM_NONE)
		limit = ZF_MIN(limit, ctx->tx_copy_max - ts->hdr_len);
	ts->fast_send_bytes = ctx->tcp->conf.fast_path ? ZF_MIN(limit, ts->snd_room) : 0;
}

#if defined(ZF_CHECKS) && ZF_CHECKS
/* The oracle of send_is_fast(): whatever happened, fast_send_bytes is not more than would be found now. */
bool tcp_fast_is_right(struct zf_ctx *ctx, struct zft *ts, uint32_t len);
#else
static inline bool
tcp_fast_is_right(struct zf_ctx *ctx, struct zft *ts, uint32_t len)
{
	(void)ctx;
	(void)ts;
	(void)len;
	return true;
}
#endif

/* Right edge to tell the peer, by what the reader and the buffers have room for. Never left of rcv_adv. */
static ZF_ALWAYS_INLINE uint32_t
tcp_window(const struct zf_ctx *ctx, const struct zft *ts)
{
	uint32_t told = seq_sub(ts->rcv_adv, ts->rcv_nxt);
	uint32_t room = ts->rcv_buf > ts->rxq_bytes ? ts->rcv_buf - ts->rxq_bytes : 0;
	uint32_t bufs = ctx->rx_held < ctx->rx_hold_max ? ctx->rx_hold_max - ctx->rx_held : 0;

	/* A peer that sends full segments fills a buffer with each; one that sends less is coalesced. */
	room = (uint32_t)ZF_MIN((uint64_t)room, (uint64_t)bufs * TCP_MSS_DEFAULT);
	/* Silly window avoidance of RFC 9293 3.8.6.2.2: the edge stays until it may move by a segment or half of all. */
	if (room < told + ZF_MIN(ts->rcv_buf / 2, (uint32_t)ctx->tcp->mss))
		return told;
	return room;
}
/* The reader took bytes: does the window deserve to be told (RFC 9293 3.8.6.2.2)? */
void tcp_window_opened(struct zf_ctx *ctx, struct zft *ts);

/* Milliseconds of our timestamp clock. */
static ZF_ALWAYS_INLINE uint32_t
tcp_ts_now(const struct zf_ctx *ctx, uint32_t offset)
{
	return (uint32_t)(((unsigned __int128)ctx->now * ctx->tcp->conf.ms_mult) >> 64) + offset;
}

/* An acknowledgement of all that arrived in order is on its way. */
static ZF_ALWAYS_INLINE void
tcp_acked_all(struct zft *ts)
{
	ts->flags &= ~(uint32_t)(TF_ACK_NOW | TF_ACK_DELAYED);
	ts->ack_bytes = 0;
	ts->last_ack_sent = ts->rcv_nxt;
	ts->due[TCP_DUE_ACK] = 0;
}

#endif
