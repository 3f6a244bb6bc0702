/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The answer to our SYN: RFC 9293 3.10.7.3, SYN-SENT, simultaneous open included.
 */
#include <errno.h>

#include "tcp/conn.h"
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/timer.h"

/* What we offered and the peer has, too. */
static void
agree(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	const struct tcp_opts *o = &in->o;
	struct tcp_handshake h = {
		.mss = o->have & TCP_OPT_MSS ? o->mss : TCP_MSS_DEFAULT,
		.wscale = o->have & TCP_OPT_WSCALE ? (int8_t)o->wscale : -1,
		.sack_ok = (o->have & TCP_OPT_SACK_OK) != 0,
		.ts_ok = (o->have & TCP_OPT_TS) != 0 && c->timestamps == 2,
		.ts_recent = o->ts_val,
		/* RFC 3168 6.1.1: a SYN-ACK has ECE alone, a SYN both. */
		.ecn = (in->flags & (TCP_FLAG_ECE | TCP_FLAG_CWR)) ==
		       (in->flags & TCP_FLAG_ACK ? TCP_FLAG_ECE : TCP_FLAG_ECE | TCP_FLAG_CWR),
	};

	tcp_path_check(ctx, ts); /* the neighbour may be known since the SYN was held for it */
	tcp_negotiate(ctx, ts, &h);
}

/* Fourth step: SYN, and ACK if there is one is that of ours. */
static enum counter
input_syn(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	ts->irs = in->seq;
	ts->rcv_nxt = ts->last_ack_sent = seq_add(in->seq, 1);
	ts->rcv_adv = ts->rcv_nxt;
	agree(ctx, ts, in);
	ts->snd_wnd = in->wnd; /* never scaled in a SYN */
	ts->max_snd_wnd = ts->snd_wnd;
	ts->snd_wl1 = in->seq;
	ts->snd_wl2 = in->ack;
	if (!(in->flags & TCP_FLAG_ACK)) {
		/* Both at once. Our SYN goes again, with their ACK. */
		ts->snd_wl2 = ts->iss;
		tcp_set_state(ctx, ts, TCP_SYN_RECV);
		ts->last_rcvd = ctx->now;
		tcp_send_syn(ctx, ts);
		return CNT_RX_TCP;
	}
	if (ts->retries == 0)
		tcp_rtt_sample(&ts->rtt, ctx->now - ts->last_rcvd, &ctx->tcp->conf.rtt);
	ts->snd_una = in->ack;
	tcp_established(ctx, ts);
	ts->flags |= TF_ACK_NOW;
	if (zf_likely(in->len == 0 && !(in->flags & TCP_FLAG_FIN))) {
		tcp_output(ctx, ts); /* the peer's application waits for it */
		return CNT_RX_TCP;
	}
	tcp_pend(ctx, ts);
	in->flags &= (uint8_t)~TCP_FLAG_SYN;
	in->seq = seq_add(in->seq, 1);
	return tcp_input_data(ctx, ts, in);
}

enum counter
tcp_input_syn_sent(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	bool ack = (in->flags & TCP_FLAG_ACK) != 0;

	if (ack && !seq_eq(in->ack, ts->snd_nxt)) {
		tcp_reply_reset(ctx, in);
		return CNT_RX_DROP_TCP_ACK;
	}
	if (in->flags & TCP_FLAG_RST) {
		if (!ack)
			return CNT_RX_DROP_TCP_RST;
		tcp_end(ctx, ts, ECONNREFUSED);
		return CNT_RX_TCP;
	}
	if (!(in->flags & TCP_FLAG_SYN))
		return CNT_RX_DROP_TCP_STATE;
	return input_syn(ctx, ts, in);
}
