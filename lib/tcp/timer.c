/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is due on a connection: handshake, retransmission, tail-loss probe, closed window, delayed ACK, keepalive,
 * FIN-WAIT-2.
 */
#include "tcp/timer.h"

#include <errno.h>

#include "tcp/conn.h"
#include "tcp/loss.h"
#include "tcp/output.h"

static void
give_up(struct zf_ctx *ctx, struct zft *ts)
{
	bool opening = ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV;

	ctx_count(ctx, CNT_TCP_TIMEOUT);
	if (ts->state != TCP_SYN_SENT)
		tcp_send_rst(ctx, ts);
	/* Nobody ever answered, and somebody said why. */
	if (opening && (ts->soft_error != 0 || !ts->path.resolved))
		tcp_end(ctx, ts, EHOSTUNREACH);
	else
		tcp_end(ctx, ts, ETIMEDOUT);
}

static void
handshake_due(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	uint32_t most = ts->state == TCP_SYN_SENT ? c->syn_retries : c->synack_retries;

	if (ts->retries >= most) {
		give_up(ctx, ts);
		return;
	}
	ts->retries++;
	ts->backoff++;
	tcp_send_syn(ctx, ts);
	ctx_count(ctx, CNT_TCP_RETRANS);
	tcp_timer_set(ctx, ts, TCP_DUE_RTX, ctx->now + tcp_rtt_backoff(&ts->rtt, ts->backoff, &c->rtt));
}

/* RFC 9293 3.8.6.1: probes for as long as they are answered. */
static void
persist_due(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	if (ts->sq_unsent == TCP_NONE || !seq_eq(ts->snd_una, ts->snd_nxt)) {
		tcp_output(ctx, ts);
		return;
	}
	if (ts->retries >= c->retries) {
		give_up(ctx, ts);
		return;
	}
	if (ts->snd_wnd > 0) {
		tcp_output_forced(ctx, ts); /* what fits, small as it is */
		return;
	}
	ts->retries++;
	if (ts->backoff < UINT8_MAX)
		ts->backoff++;
	tcp_send_keepalive(ctx, ts);
	tcp_timer_set(ctx, ts, TCP_DUE_RTX, ctx->now + tcp_rtt_backoff(&ts->rtt, ts->backoff, &c->rtt));
}

/* RFC 5681 4.1: after a pause the network is no longer known. */
static void
idle_due(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	struct tcp_cc_env e = {.now = ctx->now, .hz = ctx->hz, .srtt = ts->rtt.srtt, .mss = ts->mss};
	uint32_t iw = c->initial_cwnd != 0 ? c->initial_cwnd : 10u * ts->mss;

	if (seq_eq(ts->snd_una, ts->snd_nxt))
		tcp_cc_on_idle(&ts->cc, &e, iw, ts->rtt.rto + 1, ts->rtt.rto);
	tcp_fast_update(ctx, ts);
}

static void
rtx_due(struct zf_ctx *ctx, struct zft *ts)
{
	if (ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV) {
		handshake_due(ctx, ts);
		return;
	}
	if (ts->rtx_mode == RTX_PERSIST) {
		persist_due(ctx, ts);
		return;
	}
	if (ts->rtx_mode == RTX_IDLE) {
		idle_due(ctx, ts);
		return;
	}
	switch (tcp_loss_timer(ctx, ts)) {
	case LOSS_GIVE_UP:
		give_up(ctx, ts);
		return;
	case LOSS_PROBE:
		tcp_output_probe(ctx, ts);
		break;
	case LOSS_SEND:
		tcp_output(ctx, ts);
		break;
	case LOSS_NOTHING:
		tcp_loss_arm(ctx, ts);
		break;
	}
	tcp_fast_recv_update(ctx, ts);
}

/* RFC 9293 3.8.4: when nothing was heard for long. Or FIN-WAIT-2 of a zocket that nobody holds any more. */
static void
long_due(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	uint64_t idle = ctx->now - ts->last_rcvd, next;

	if (ts->state == TCP_FIN_WAIT2 && !(ts->flags & TF_APP) && c->finwait != 0) {
		tcp_end(ctx, ts, 0);
		return;
	}
	if (!c->keepalive)
		return;
	next = ts->last_rcvd + c->keep_time;
	if (idle >= c->keep_time && seq_eq(ts->snd_una, ts->snd_nxt) && ts->sq_unsent == TCP_NONE) {
		if (ts->probes >= c->keep_probes) {
			give_up(ctx, ts);
			return;
		}
		ts->probes++;
		tcp_send_keepalive(ctx, ts);
		next = ctx->now + c->keep_intvl;
	} else if (idle >= c->keep_time) {
		next = ctx->now + c->keep_intvl; /* retransmissions watch over it meanwhile */
	}
	tcp_timer_set(ctx, ts, TCP_DUE_LONG, next);
}

static void
ack_due(struct zf_ctx *ctx, struct zft *ts)
{
	if (!(ts->flags & TF_ACK_DELAYED))
		return;
	ts->flags |= TF_ACK_NOW;
	tcp_output(ctx, ts);
}

static bool
take_due(struct zf_ctx *ctx, struct zft *ts, enum tcp_due which)
{
	if (ts->due[which] == 0 || ts->due[which] > ctx->now)
		return false;
	ts->due[which] = 0;
	return true;
}

static void
rearm(struct zf_ctx *ctx, struct zft *ts)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < TCP_DUE__N; i++)
		if (ts->due[i] != 0)
			next = ZF_MIN(next, ts->due[i]);
	if (next != UINT64_MAX && (!wheel_is_armed(&ts->timer) || next < wheel_expires(&ts->timer)))
		wheel_arm(ctx->wheel, &ts->timer, next);
}

void
tcp_timer(struct zf_ctx *ctx, struct wheel_timer *t)
{
	struct zft *ts;

	if (t->kind == TIMER_TCP_TW) {
		tcp_tw_timer(ctx);
		return;
	}
	if (t->kind == TIMER_TCP_SYN) {
		tcp_syn_timer(ctx);
		return;
	}
	ts = zf_container_of(t, struct zft, timer);
	tcp_flush(ctx, ts);
	if (take_due(ctx, ts, TCP_DUE_ACK))
		ack_due(ctx, ts);
	if (take_due(ctx, ts, TCP_DUE_RTX))
		rtx_due(ctx, ts);
	if (take_due(ctx, ts, TCP_DUE_LONG))
		long_due(ctx, ts);
	if (ts->state != TCP_CLOSE && ts->state != TCP_TIME_WAIT)
		rearm(ctx, ts);
}
