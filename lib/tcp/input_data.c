/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Seventh and eighth step of RFC 9293 3.10.7.4: text and FIN. In order, it joins the receive queue; beyond a hole, it
 * waits in ooo.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "tcp/conn.h"
#include "tcp/input.h"
#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/timer.h"

/* Cut off what was received before and what lies beyond the window. */
static void
trim(struct zft *ts, struct tcp_in *in)
{
	int32_t old = seq_diff(ts->rcv_nxt, in->seq), beyond;

	if (old > 0) {
		uint32_t cut = ZF_MIN((uint32_t)old, in->len);

		if ((ts->flags & TF_SACK) && cut > 0) {
			ts->dsack = (struct tcp_sack_block){in->seq, seq_add(in->seq, cut)};
			ts->flags |= TF_DSACK | TF_ACK_NOW;
		}
		in->seq = seq_add(in->seq, cut);
		in->off = (uint16_t)(in->off + cut);
		in->len -= cut;
		if (seq_lt(in->seq, ts->rcv_nxt))
			in->flags &= (uint8_t)~TCP_FLAG_FIN; /* an old FIN */
	}
	beyond = seq_diff(seq_add(in->seq, in->len), ts->rcv_adv);
	if (beyond > 0) {
		in->len -= ZF_MIN((uint32_t)beyond, in->len);
		in->flags &= (uint8_t)~TCP_FLAG_FIN;
	}
}

/* A small segment behind many others shares their buffer: a buffer each would let a peer hold the pool with a byte in
 * every one. What the application holds is not touched.
 */
static bool
coalesce(const struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	struct rte_mbuf *tail = ts->rxq_tail;
	struct pkt_meta *meta;

	if (ts->rxq_head == NULL || ts->handed_pkts >= ts->rxq_pkts ||
	    (ts->rxq_pkts < TCP_COALESCE_FROM && ctx->rx_held < ctx->rx_hold_max))
		return false;
	meta = pkt_meta(tail);
	if (in->len > (uint32_t)tail->buf_len - tail->data_off - meta->off - meta->len)
		return false;
	memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, meta->off + meta->len),
	       rte_pktmbuf_mtod_offset(in->m, const uint8_t *, in->off), in->len);
	meta->len = (uint16_t)(meta->len + in->len);
	return true;
}

static void
append(struct zf_ctx *ctx, struct zft *ts, struct rte_mbuf *first, struct rte_mbuf *last, uint32_t bufs)
{
	if (ts->rxq_head == NULL)
		ts->rxq_head = first;
	else
		pkt_meta(ts->rxq_tail)->next = first;
	ts->rxq_tail = last;
	ts->rxq_pkts += bufs;
	waitable_raise(ctx, &ts->w, EPOLLIN);
}

/* rcv_nxt advances over @bytes more that are in the queue. */
static void
advance(struct zft *ts, uint32_t bytes)
{
	ts->rcv_nxt = seq_add(ts->rcv_nxt, bytes);
	ts->rcv_adv = seq_max(ts->rcv_adv, ts->rcv_nxt);
	ts->rxq_bytes += bytes;
	ts->ack_bytes += bytes;
}

/* What had waited for this segment. True if there was a FIN at its end. */
static bool
close_hole(struct zf_ctx *ctx, struct zft *ts)
{
	struct rte_mbuf *first, *last;
	uint32_t bytes, bufs;
	bool fin = false;

	if (ts->ooo_head == TCP_NONE)
		return false;
	ts->flags |= TF_ACK_NOW; /* RFC 5681 4.2: all or part of a gap was filled */
	if (tcp_ooo_take_next(ctx, ctx->tcp->ooo, &ts->ooo_head, ts->rcv_nxt, &first, &last, &bytes, &bufs, &fin)) {
		if (bufs > 0)
			append(ctx, ts, first, last, bufs);
		advance(ts, bytes);
	}
	tcp_fast_recv_update(ctx, ts);
	return fin;
}

static enum counter
in_order(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	struct pkt_meta *meta = pkt_meta(in->m);

	if (in->len > ts->rcv_mss)
		ts->rcv_mss = (uint16_t)in->len;
	if (!coalesce(ctx, ts, in)) {
		if (ctx->rx_held >= ctx->rx_hold_max) {
			in->flags &= (uint8_t)~TCP_FLAG_FIN;
			ts->flags |= TF_ACK_NOW;
			return CNT_RX_DROP_TCP_QUEUE;
		}
		meta->next = NULL;
		meta->off = in->off;
		meta->len = (uint16_t)in->len;
		append(ctx, ts, in->m, in->m, 1);
		ctx->rx_held++;
		in->m = NULL;
	} else {
		waitable_raise(ctx, &ts->w, EPOLLIN);
	}
	advance(ts, in->len);
	return CNT_RX_TCP;
}

/* Beyond a hole: kept if there is room, and acknowledged at once, each (RFC 5681 4.2). */
static enum counter
out_of_order(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	struct pkt_meta *meta = pkt_meta(in->m);
	struct tcp_sack_block dup = {{0}, {0}};
	enum counter end = CNT_RX_TCP;

	meta->off = in->off;
	meta->len = (uint16_t)in->len;
	switch (tcp_ooo_insert(ctx, ctx->tcp->ooo, &ts->ooo_head, in->m, in->seq, in->len,
			       (in->flags & TCP_FLAG_FIN) != 0, &dup)) {
	case OOO_QUEUED:
		in->m = NULL;
		break;
	case OOO_MERGED:
		break;
	case OOO_DUP:
		end = CNT_RX_DROP_TCP_SEQ;
		break;
	case OOO_LIMIT:
		end = CNT_RX_DROP_TCP_OOO;
		break;
	}
	if (!seq_eq(dup.left, dup.right) && (ts->flags & TF_SACK)) {
		ts->dsack = dup;
		ts->flags |= TF_DSACK;
	}
	tcp_fast_recv_update(ctx, ts);
	tcp_send_ack(ctx, ts);
	return end;
}

/* Eighth step: everything up to the FIN has been taken. */
static void
input_fin(struct zf_ctx *ctx, struct zft *ts)
{
	ts->rcv_nxt = seq_add(ts->rcv_nxt, 1);
	ts->rcv_adv = seq_max(ts->rcv_adv, ts->rcv_nxt);
	ts->flags |= TF_FIN_RCVD | TF_ACK_NOW;
	waitable_raise(ctx, &ts->w, EPOLLIN | EPOLLRDHUP);
	switch (ts->state) {
	case TCP_ESTABLISHED:
		tcp_set_state(ctx, ts, TCP_CLOSE_WAIT);
		break;
	case TCP_FIN_WAIT1: /* our FIN is not acknowledged, or step five had moved on */
		tcp_set_state(ctx, ts, TCP_CLOSING);
		break;
	case TCP_FIN_WAIT2:
		tcp_time_wait(ctx, ts);
		break;
	default:
		break;
	}
}

static bool
may_receive(const struct zft *ts)
{
	return ts->state == TCP_ESTABLISHED || ts->state == TCP_FIN_WAIT1 || ts->state == TCP_FIN_WAIT2;
}

enum counter
tcp_input_data(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	enum counter end = CNT_RX_TCP;
	bool fin;

	if (in->len == 0 && !(in->flags & TCP_FLAG_FIN))
		return end;
	if (!may_receive(ts)) {
		ts->flags |= TF_ACK_NOW;
		return end;
	}
	if (in->len == 0 && seq_eq(in->seq, ts->rcv_nxt) && ts->ooo_head == TCP_NONE && !(ts->flags & TF_ECN)) {
		input_fin(ctx, ts); /* nothing to trim, nothing to take */
		return end;
	}
	trim(ts, in);
	if (in->len > 0 && !(ts->flags & (TF_APP | TF_ACCEPT))) {
		/* The application is gone and this would be lost: RFC 9293 3.6.1, RFC 2525 2.17. */
		tcp_send_rst(ctx, ts);
		tcp_end(ctx, ts, ECONNRESET);
		return end;
	}
	if (in->len == 0 && !(in->flags & TCP_FLAG_FIN)) {
		ts->flags |= TF_ACK_NOW;
		return CNT_RX_DROP_TCP_SEQ;
	}
	if ((ts->flags & TF_ECN) && in->ecn == IP4_ECN_CE) {
		ts->flags |= TF_ECE;
		tcp_fast_recv_update(ctx, ts);
	}
	if (!seq_eq(in->seq, ts->rcv_nxt))
		return out_of_order(ctx, ts, in);
	if (in->len > 0)
		end = in_order(ctx, ts, in);
	fin = (in->flags & TCP_FLAG_FIN) != 0;
	if (end == CNT_RX_TCP && !fin)
		fin = close_hole(ctx, ts);
	else if (fin && ts->ooo_head != TCP_NONE)
		(void)tcp_ooo_drop(ctx, ctx->tcp->ooo, &ts->ooo_head); /* beyond the end: lies */
	if (fin)
		input_fin(ctx, ts);
	else
		tcp_ack_due(ctx, ts);
	return end;
}
