/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The TCP part of zf_testing.h: a connection's variables by the names of the RFCs, and what TCP still holds.
 */
#include <errno.h>
#include <string.h>

#include <zf/zf.h>
#include <zf/zf_tcp.h>

#include "tcp/tcp.h"
#include "zf_testing.h"
#include "zf_testing_priv.h"

bool
zt_tcp_timer_is_owed(const struct wheel_timer *t)
{
	const struct zft *ts = zf_container_of(t, const struct zft, timer);

	if (t->kind != TIMER_TCP)
		return t->kind > TIMER_TCP;
	return (ts->due[TCP_DUE_RTX] | ts->due[TCP_DUE_ACK] | ts->due[TCP_DUE_LONG]) != 0;
}

static uint32_t
timers_of(const struct zft *ts)
{
	static const uint32_t rtx[] = {
		[RTX_RTO] = ZT_TCP_RTO,
		[RTX_TLP] = ZT_TCP_TLP,
		[RTX_REORDER] = ZT_TCP_REORDER,
		[RTX_PERSIST] = ZT_TCP_PERSIST,
		[RTX_IDLE] = ZT_TCP_IDLE,
	};
	uint32_t t = 0;

	if (ts->due[TCP_DUE_RTX] != 0 && ts->rtx_mode < ZF_ARRAY_SIZE(rtx))
		t |= rtx[ts->rtx_mode];
	if (ts->due[TCP_DUE_ACK] != 0)
		t |= ZT_TCP_DELACK;
	if (ts->due[TCP_DUE_LONG] != 0)
		t |= ZT_TCP_LONG;
	return t;
}

static int
recovery_of(const struct zft *ts)
{
	switch (ts->loss.phase) {
	case LOSS_OPEN:
		return ZT_TCP_OPEN;
	case LOSS_DISORDER:
		return ZT_TCP_DISORDER;
	case LOSS_RECOVERY:
		return ZT_TCP_RECOVERY;
	default:
		return ZT_TCP_LOSS;
	}
}

int
zt_tcp_probe(struct zft *ts, struct zt_tcp *out)
{
	const struct zf_ctx *ctx;

	if (ts == NULL || out == NULL)
		return -EINVAL;
	*out = (struct zt_tcp){.state = zft_state(ts)}; /* which flushes */
	ctx = zft_ctx(ts);
	out->error = ts->error;
	out->iss = ts->iss.n;
	out->irs = ts->irs.n;
	out->snd_una = ts->snd_una.n;
	out->snd_nxt = ts->snd_nxt.n;
	out->snd_end = ts->snd_end.n;
	out->snd_wnd = ts->snd_wnd;
	out->rcv_nxt = ts->rcv_nxt.n;
	out->rcv_wnd = seq_sub(ts->rcv_adv, ts->rcv_nxt);
	out->rcv_queued = ts->rxq_bytes;
	out->mss = ts->mss;
	out->cwnd = ts->cc.cwnd;
	out->ssthresh = ts->cc.ssthresh == TCP_CWND_MAX ? UINT32_MAX : ts->cc.ssthresh;
	out->flight = seq_sub(ts->snd_nxt, ts->snd_una);
	out->sacked = ts->loss.sacked;
	out->lost = ts->loss.lost;
	out->retrans = ts->loss.retrans;
	out->dup_acks = ts->loss.dupacks;
	out->srtt_ns = ctx_cycles_to_ns(ctx, ts->rtt.srtt);
	out->rttvar_ns = ctx_cycles_to_ns(ctx, ts->rtt.rttvar);
	out->rto_ns = ctx_cycles_to_ns(ctx, ts->rtt.rto);
	out->backoff = ts->backoff;
	out->recovery = recovery_of(ts);
	out->timers = timers_of(ts);
	out->sack = ts->flags & TF_SACK;
	out->ts = ts->flags & TF_TS;
	out->wscale = ts->flags & TF_WSCALE;
	out->ecn = ts->flags & TF_ECN;
	out->snd_shift = ts->snd_shift;
	out->rcv_shift = ts->rcv_shift;
	out->fast_send = ts->fast_send_bytes > 0;
	out->fast_recv = ts->fast_recv != TCP_FAST_NONE;
	return 0;
}

void
zt_tcp_leaks(const struct zf_ctx *ctx, struct zt_leaks *l)
{
	const struct tcp_room *r = ctx->tcp;

	l->zockets += r->open_zft + r->open_zftl;
	l->other += r->max_segs - r->n_free_seg;
	l->other += r->max_rec - r->n_free_rec;
	l->other += r->n_out + (r->owed_head != TCP_NONE) + (r->pend_head != TCP_NONE);
}
