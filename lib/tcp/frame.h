/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Segments of a connection on their way into frames. Between output.c, which knows what to send, and the port.
 */
#ifndef ZF_TCP_FRAME_H
#define ZF_TCP_FRAME_H

#include "tcp/opt.h"
#include "tcp/output.h"

struct tcp_frame {
	tcpseq_t seq;
	uint8_t flags;  /* TCP_FLAG_* */
	bool ect;       /* data that may be marked (RFC 3168 6.1.5: not when sent again, not ACKs) */
	bool owner;     /* the connection is told (TF_ACK_NOW) when the port refuses the frame later */
	bool bare_opts; /* the options given are all there are: no timestamps of the template's */
	int32_t wnd;    /* < 0: what tcp_window() says; else the header's field */
};

/* A segment without payload. False: not sent, no room or no buffer. */
bool tcp_frame_ctl(struct zf_ctx *ctx, struct zft *ts, const struct tcp_frame *f, const uint8_t *opts,
		   uint32_t opts_len);
/* Run @i. False likewise. */
bool tcp_frame_data(struct zf_ctx *ctx, struct zft *ts, const struct tcp_frame *f, uint32_t i);

/* The frame of run @g, new data whose buffer nobody else has, made to be sent later: header and checksum into the buffer,
 * in front of the payload. *@edge: what window it tells, which is no promise yet.
 */
void tcp_frame_prepare(struct zf_ctx *ctx, struct zft *ts, struct tcp_txseg *g, tcpseq_t *edge);
/* May frames of @len bytes go by the port's own copy? */
bool tcp_frame_may_copy(const struct zf_ctx *ctx, const struct zft *ts, uint32_t len);

/* The header @hdr, complete but for the checksum, before run @g's payload, in its buffer or a copy, to the port at once:
 * the fast send of ports that take buffers. False: port full, no buffer.
 */
bool tcp_frame_now(struct zf_ctx *ctx, struct zft *ts, const uint8_t *hdr, struct tcp_txseg *g);

/* The IP header's checksum: the template's sum, which is folded, and a length, so one carry at most. */
static ZF_ALWAYS_INLINE be16_t
tcp_ip_csum(const struct zft *ts, be16_t total_len)
{
	uint32_t sum = ts->ip_sum + total_len.raw;

	ZF_ASSERT(ts->ip_sum <= 0xffff);
	return (be16_t){(uint16_t)~(sum + (sum >> 16))};
}

/* The window field of a header sent now; what it promises is kept (rcv_adv). */
static ZF_ALWAYS_INLINE uint16_t
tcp_window_field(const struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t wnd = tcp_window(ctx, ts) >> ts->rcv_shift;

	wnd = ZF_MIN(wnd, 65535u);
	ts->rcv_adv = seq_max(ts->rcv_adv, seq_add(ts->rcv_nxt, wnd << ts->rcv_shift));
	return (uint16_t)wnd;
}

/* The template becomes the header of a segment at snd_nxt with @len bytes: no copy of it, for what leaves at once. */
static ZF_ALWAYS_INLINE void
tcp_header_here(struct zf_ctx *ctx, struct zft *ts, uint32_t len, uint8_t flags)
{
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(ts->hdr + ts->l3_off);
	struct hdr_tcp *tcp = (struct hdr_tcp *)(ip + 1);

	ip->total_len = be16_from((uint16_t)(ts->hdr_len - ts->l3_off + len));
	if (ts->sum_mode != TCP_SUM_OFFLOAD)
		ip->csum = tcp_ip_csum(ts, ip->total_len);
	tcp->seq = be32_from(ts->snd_nxt.n);
	tcp->ack = be32_from(ts->rcv_nxt.n);
	tcp->flags = flags;
	tcp->wnd = be16_from(tcp_window_field(ctx, ts));
	if (ts->flags & TF_TS)
		(void)tcp_opts_put_ts((uint8_t *)(tcp + 1), tcp_ts_now(ctx, ts->ts_offset), ts->ts_recent);
}

/* May a header alone leave by the port's own copy, at once: no mark of congestion in it, no alternative to be told of it? */
static ZF_ALWAYS_INLINE bool
tcp_may_go_bare(const struct zf_ctx *ctx, const struct zft *ts)
{
	return ctx->tx_copy != NULL && ts->sum_mode == TCP_SUM_NONE && ts->path.resolved &&
	       ts->hdr_len <= ctx->tx_copy_max && (ts->flags & (TF_ECN | TF_ECE | TF_CWR | TF_ALT)) == 0;
}

/* It leaves, with the template's options, at snd_nxt. False: no room. */
bool tcp_frame_bare(struct zf_ctx *ctx, struct zft *ts, uint8_t flags);

#endif
