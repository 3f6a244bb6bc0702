/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Segments of a connection on their way into frames. Between output.c, which knows what to send, and the port.
 */
#ifndef ZF_TCP_FRAME_H
#define ZF_TCP_FRAME_H

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

#endif
