/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an acknowledgement means for its connection: the peer's window, the queue (by loss.c), our FIN; when we
 * acknowledge in turn; and the work that cut-through puts off.
 */
#include <sys/epoll.h>

#include "tcp/conn.h"
#include "tcp/input.h"
#include "tcp/loss.h"
#include "tcp/output.h"
#include "tcp/sendq.h"
#include "tcp/timer.h"

void
tcp_ack_due(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	if (ts->ack_bytes == 0)
		return;
	/* RFC 5681 4.2: every second full segment at least, within half a second. */
	if (!c->delayed_ack || ts->ack_bytes >= 2u * ts->rcv_mss) {
		ts->flags |= TF_ACK_NOW;
	} else if (!(ts->flags & TF_ACK_DELAYED)) {
		ts->flags |= TF_ACK_DELAYED;
		tcp_timer_set(ctx, ts, TCP_DUE_ACK, ctx->now + c->delack);
	}
}

void
tcp_wake_writer(struct zf_ctx *ctx, struct zft *ts)
{
	if (!(ts->flags & TF_WANT_OUT) || seq_sub(ts->snd_end, ts->snd_una) >= TCP_SNDQ_BYTES / 4 * 3 ||
	    ts->sq_segs >= TCP_SNDQ_SEGS / 4 * 3)
		return;
	ts->flags &= ~(uint32_t)TF_WANT_OUT;
	waitable_raise(ctx, &ts->w, EPOLLOUT);
}

/* RFC 9293 3.10.7.4, fifth step: only news moves the window. */
static ZF_ALWAYS_INLINE void
update_window(struct zft *ts, tcpseq_t seq, tcpseq_t ack, uint16_t wnd)
{
	if (!seq_lt(ts->snd_wl1, seq) && !(seq_eq(ts->snd_wl1, seq) && seq_leq(ts->snd_wl2, ack)))
		return;
	ts->snd_wnd = (uint32_t)wnd << ts->snd_shift;
	ts->max_snd_wnd = ZF_MAX(ts->max_snd_wnd, ts->snd_wnd);
	ts->snd_wl1 = seq;
	ts->snd_wl2 = ack;
}

/* Any answer keeps a connection that probes a closed window alive (RFC 9293 3.8.6.1); so if the peer closed it over what
 * was under way, and retransmissions are the probes (MUST-34).
 */
static void
after_probe(struct zft *ts)
{
	if (ts->snd_wnd == 0)
		ts->retries = 0;
	if (ts->rtx_mode != RTX_PERSIST)
		return;
	ts->retries = 0;
	if (ts->snd_wnd > 0) {
		ts->backoff = 0;
		tcp_timer_off(ts, TCP_DUE_RTX);
	}
}

/* Our FIN has arrived. False: the connection is over. */
static bool
fin_acked(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	switch (ts->state) {
	case TCP_FIN_WAIT1:
		tcp_set_state(ctx, ts, TCP_FIN_WAIT2);
		if (!(ts->flags & TF_APP) && c->finwait != 0)
			tcp_timer_set(ctx, ts, TCP_DUE_LONG, ctx->now + c->finwait);
		return true;
	case TCP_CLOSING:
		tcp_time_wait(ctx, ts);
		return false;
	case TCP_LAST_ACK:
		tcp_end(ctx, ts, 0);
		return false;
	default:
		return true;
	}
}

/* @in acknowledges our FIN, which was all that was under way, sent once and in good times: nothing more will be sent that
 * the round trip or congestion could matter to.
 */
static ZF_ALWAYS_INLINE bool
acks_lone_fin(const struct tcp_room *r, const struct zft *ts, const struct tcp_in *in)
{
	const struct tcp_txseg *g;

	if (!(ts->flags & TF_FIN_QUEUED) || !seq_eq(in->ack, ts->snd_end) || ts->sq_head != ts->sq_tail ||
	    ts->sq_head == TCP_NONE || (ts->loss.flags & LF_TROUBLE) != 0 || !tcp_loss_can_fast(ts) ||
	    (in->flags & (TCP_FLAG_ECE | TCP_FLAG_CWR)) != 0)
		return false;
	g = sq_seg(r, ts->sq_head);
	return g->len == 0 && g->n_sent == 1;
}

static bool
lone_fin_acked(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	sq_put(ctx, ctx->tcp, ts->sq_head);
	ts->sq_head = ts->sq_tail = TCP_NONE;
	ts->sq_segs = 0;
	ts->snd_una = in->ack;
	ts->retries = 0;
	ts->backoff = 0;
	tcp_timer_off(ts, TCP_DUE_RTX);
	return fin_acked(ctx, ts);
}

bool
tcp_input_ack(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	uint32_t wnd = (uint32_t)in->wnd << ts->snd_shift;
	struct tcp_delivery d;
	bool dup;

	if (acks_lone_fin(ctx->tcp, ts, in))
		return lone_fin_acked(ctx, ts, in);
	if (seq_lt(in->ack, ts->snd_una))
		return true; /* an old one: its text is good */
	/* RFC 5681 2. */
	dup = seq_eq(in->ack, ts->snd_una) && in_span(in) == 0 && wnd == ts->snd_wnd &&
	      !seq_eq(ts->snd_una, ts->snd_nxt);
	update_window(ts, in->seq, in->ack, in->wnd);
	after_probe(ts);
	if ((ts->flags & TF_ECN) && (in->flags & TCP_FLAG_CWR)) {
		ts->flags &= ~(uint32_t)TF_ECE;
		tcp_fast_recv_update(ctx, ts);
	}
	if (dup || !seq_eq(in->ack, ts->snd_una) || (in->o.have & TCP_OPT_SACK)) {
		tcp_loss_ack(ctx, ts, in->ack, ts->flags & (TF_SACK | TF_TS) ? &in->o : NULL, dup, &d);
		tcp_loss_check(ctx->tcp, ts);
		tcp_fast_recv_update(ctx, ts);
	}
	if ((ts->flags & TF_ECN) && (in->flags & TCP_FLAG_ECE) && tcp_loss_ecn(ctx, ts))
		ts->flags |= TF_CWR;
	tcp_wake_writer(ctx, ts);
	if ((ts->flags & TF_FIN_QUEUED) && seq_eq(ts->snd_una, ts->snd_end))
		return fin_acked(ctx, ts);
	return true;
}

/* What cut-through put off. */
static void
work_off(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_delivery d;

	ts->last_rcvd = ctx->now;
	ts->probes = 0;
	if (ts->flags & TF_TS)
		ts->ts_recent_at = tcp_paws_clock(ctx->now);
	/* The last of them: nothing it carried was older than what the others did. */
	if (seq_leq(ts->snd_una, ts->owed_ack)) {
		update_window(ts, ts->owed_seq, ts->owed_ack, ts->owed_wnd);
		after_probe(ts);
		if (!seq_eq(ts->snd_una, ts->owed_ack)) {
			tcp_loss_ack(ctx, ts, ts->owed_ack, NULL, false, &d);
			tcp_loss_check(ctx->tcp, ts);
		}
	}
	if (ts->owed_max > ts->rcv_mss)
		ts->rcv_mss = ts->owed_max;
	ts->owed_max = 0;
	tcp_ack_due(ctx, ts);
	tcp_wake_writer(ctx, ts);
}

void
tcp_flush_owed(struct zf_ctx *ctx, struct zft *ts)
{
	tcp_owed_remove(ctx, ts);
	work_off(ctx, ts);
	tcp_pend(ctx, ts);
}

/* Nothing to send, nothing wrong, no ACK due at once: request and response between two messages. What owes work is
 * ESTABLISHED, without ECN, has no FIN queued and nothing lost or SACKed: whatever changes that works it off first.
 */
static ZF_ALWAYS_INLINE bool
is_quiet(const struct zf_ctx *ctx, const struct zft *ts)
{
	ZF_ASSERT(ts->state == TCP_ESTABLISHED && !(ts->flags & (TF_CWR | TF_ECE | TF_FIN_QUEUED)) &&
		  tcp_loss_can_fast(ts));
	return ts->sq_unsent == TCP_NONE && !(ts->flags & (TF_ACK_NOW | TF_ALT)) && ts->path_gen == ctx->ip->env_gen &&
	       ts->path.resolved;
}

/* What output() does then if everything is acknowledged. */
static ZF_ALWAYS_INLINE void
settle(struct zf_ctx *ctx, struct zft *ts)
{
	tcp_loss_limited(ts, false);
	tcp_arm_idle(ctx, ts);
	tcp_fast_reset(ctx, ts);
}

void
tcp_run_owed(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = r->owed_head;
	tcpseq_t una;

	r->owed_head = TCP_NONE;
	ctx->owed &= ~(uint32_t)CTX_OWED_TCP;
	while (i != TCP_NONE) {
		struct zft *ts = &r->zfts[i];

		i = ts->owed_next;
		ts->flags &= ~(uint32_t)TF_OWED;
		una = ts->snd_una;
		work_off(ctx, ts);
		if (zf_unlikely(!is_quiet(ctx, ts))) {
			if (!(ts->flags & TF_PENDING))
				tcp_output(ctx, ts);
		} else if (ts->sq_head == TCP_NONE) {
			settle(ctx, ts);
		} else {
			tcp_loss_limited(ts, false);
			/* Else its timer runs since it was sent, but for what a second run in flight changes. */
			if (!seq_eq(una, ts->snd_una) || ts->sq_segs >= 2)
				tcp_loss_arm(ctx, ts);
			tcp_fast_update(ctx, ts);
		}
	}
	sq_return(ctx);
}
