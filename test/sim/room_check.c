/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See room_check.h. Knows the data structures of lib/tcp, and nothing of who uses them.
 */
#include "sim/room_check.h"

#include <stdio.h>

#include "tcp/conn.h"
#include "tcp/loss.h"
#include "tcp/ooo.h"
#include "tcp/sendq.h"

/* The zocket that is looked at, for the debugger. */
static const struct zft *volatile looked_at;

#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c))                                                                          \
			check_failed(#c, __FILE__, __LINE__);                                      \
	} while (0)

struct sums {
	uint32_t used, busy, app, pending, owed, segs, seg_bufs, rx, recs;
};

static bool
is_open(const struct zft *ts)
{
	return ts->state != TCP_CLOSE && ts->state != TCP_TIME_WAIT;
}

static bool
is_synchronized(const struct zft *ts)
{
	return is_open(ts) && ts->state != TCP_SYN_SENT && ts->state != TCP_SYN_RECV;
}

static void
check_queue_in(const struct zft *ts)
{
	uint32_t bytes = 0, bufs = 0;

	for (struct rte_mbuf *m = ts->rxq_head; m != NULL; m = pkt_meta(m)->next) {
		CHECK(pkt_meta(m)->len > 0);
		CHECK(pkt_meta(m)->next != NULL || m == ts->rxq_tail);
		bytes += pkt_meta(m)->len;
		bufs++;
	}
	CHECK(bufs == ts->rxq_pkts);
	CHECK(ts->handed_pkts <= bufs);
	CHECK(ts->rxq_head != NULL || ts->handed_off == 0);
	CHECK(ts->rxq_head == NULL || ts->handed_off < pkt_meta(ts->rxq_head)->len);
	CHECK(bytes - ts->handed_off == ts->rxq_bytes);
}

/* The wheel's timer may still be armed, for nothing. */
static bool
nothing_due(const struct zft *ts)
{
	return (ts->due[TCP_DUE_RTX] | ts->due[TCP_DUE_ACK] | ts->due[TCP_DUE_LONG]) == 0;
}

/* Something will happen: nothing that was sent or is to be sent waits without a timer or a place in a list. */
static void
check_alive(const struct zf_ctx *ctx, const struct zft *ts)
{
	const uint64_t tick = 1ull << WHEEL_TICK_SHIFT;
	uint64_t first = UINT64_MAX;

	for (int i = 0; i < TCP_DUE__N; i++)
		if (ts->due[i] != 0)
			first = ZF_MIN(first, ts->due[i]);
	/* The wheel rounds up to its tick, no more; what was due before it was set comes with the next one. */
	if (first != UINT64_MAX)
		CHECK(wheel_is_armed(&ts->timer) && wheel_expires(&ts->timer) <= ZF_MAX(first, ctx->now) + 2 * tick);
	if (ts->flags & (TF_PENDING | TF_OWED))
		return;
	if (ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV) {
		CHECK(ts->due[TCP_DUE_RTX] != 0);
		return;
	}
	CHECK(!(ts->flags & TF_ACK_NOW));
	if (!seq_eq(ts->snd_una, ts->snd_nxt))
		CHECK(ts->due[TCP_DUE_RTX] != 0 && ts->rtx_mode != RTX_IDLE && ts->rtx_mode != RTX_PERSIST);
	else if (ts->sq_unsent != TCP_NONE && !(ts->flags & TF_MORE))
		CHECK(ts->due[TCP_DUE_RTX] != 0 && ts->rtx_mode == RTX_PERSIST);
	if (ts->flags & TF_ACK_DELAYED)
		CHECK(ts->due[TCP_DUE_ACK] != 0);
}

static void
check_conn(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_room *r = ctx->tcp;

	check_queue_in(ts);
	CHECK(((ts->flags & TF_BUSY) != 0) == is_open(ts));
	CHECK(is_open(ts) || (ts->sq_head == TCP_NONE && ts->ooo_head == TCP_NONE && nothing_due(ts)));
	CHECK(is_open(ts) == ((ts->flags & TF_HASHED) != 0));
	CHECK(ts->fast_send_bytes == 0 || ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT);
	CHECK(ts->fast_recv == TCP_FAST_NONE || ts->state == TCP_ESTABLISHED);
	if (!is_open(ts))
		return;
	CHECK(tcp_find(ctx, r, &ts->key) == ts->index);
	CHECK(seq_leq(ts->snd_una, ts->snd_nxt) && seq_leq(ts->snd_nxt, ts->snd_end));
	CHECK(seq_leq(ts->rcv_nxt, ts->rcv_adv));
	check_alive(ctx, ts);
	if (!is_synchronized(ts))
		return;
	tcp_loss_check(r, ts);
	tcp_ooo_check(r->ooo, ts->ooo_head, ts->rcv_nxt);
	CHECK(ts->mss >= 1 && ts->sq_segs <= TCP_SNDQ_SEGS);
	CHECK(((ts->flags & TF_FIN_QUEUED) != 0) ==
	      (ts->state != TCP_ESTABLISHED && ts->state != TCP_CLOSE_WAIT));
}

static void
check_zft(struct zf_ctx *ctx, struct zft *ts, struct sums *s)
{
	const struct tcp_room *r = ctx->tcp;

	looked_at = ts;
	if (ts->w.kind == WAITABLE_NONE) {
		CHECK(ts->flags == 0 && ts->state == TCP_CLOSE && nothing_due(ts));
		return;
	}
	s->used++;
	s->busy += (ts->flags & TF_BUSY) != 0;
	s->app += (ts->flags & TF_APP) != 0;
	s->pending += (ts->flags & TF_PENDING) != 0;
	s->owed += (ts->flags & TF_OWED) != 0;
	s->rx += ts->rxq_pkts + (ts->ooo_head != TCP_NONE ? tcp_ooo_bufs(r->ooo, ts->ooo_head) : 0);
	s->segs += ts->sq_segs;
	if (ts->state != TCP_TIME_WAIT && ts->rec != TCP_NONE) {
		CHECK(ts->rec < r->max_rec && r->recs[ts->rec].owner == ts->index && is_synchronized(ts));
		s->recs++;
	}
	for (uint32_t i = ts->sq_head; i != TCP_NONE; i = r->segs[i].next)
		s->seg_bufs += r->segs[i].m != NULL;
	if (!(ts->flags & TF_HANDLE))
		check_conn(ctx, ts);
}

static uint32_t
listed(const struct tcp_room *r, uint32_t head, uint32_t flag, bool owed)
{
	uint32_t n = 0;

	for (uint32_t i = head; i != TCP_NONE; i = owed ? r->zfts[i].owed_next : r->zfts[i].pend_next) {
		CHECK(i < r->max_zft && ++n <= r->max_zft);
		CHECK(r->zfts[i].flags & flag);
	}
	return n;
}

void
room_check(struct zf_ctx *ctx)
{
	const struct tcp_room *r = ctx->tcp;
	struct sums s = {0};
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->max_zft; i++)
		check_zft(ctx, &r->zfts[i], &s);
	CHECK(s.used == r->open_zft && s.busy == r->busy_zft && s.app == r->app_zft);
	CHECK(s.pending == listed(r, r->pend_head, TF_PENDING, false));
	CHECK(s.owed == listed(r, r->owed_head, TF_OWED, true));
	CHECK(s.pending == 0 || (ctx->owed & CTX_OWED_TCP_OUT));
	CHECK(s.owed == 0 || (ctx->owed & CTX_OWED_TCP));
	CHECK(s.segs + r->prep_segs + r->n_free_seg == r->max_segs);
	CHECK(s.seg_bufs + r->prep_held == r->tx_held);
	CHECK(r->tx_held_max >= r->tx_held_own && r->tx_held_max <= r->tx_held_top);
	CHECK(ctx->rx_held <= ctx->rx_hold_max);
	CHECK(ctx->rx_held >= s.rx);
	CHECK(r->n_out == 0);
	for (uint32_t i = r->free_seg; i != TCP_NONE; i = r->segs[i].next)
		CHECK(++n <= r->n_free_seg && r->segs[i].m == NULL);
	CHECK(n == r->n_free_seg);
	CHECK(s.recs + r->n_free_rec == r->max_rec);
	n = 0;
	for (uint32_t i = r->free_rec; i != TCP_NONE; i = r->recs[i].next)
		CHECK(++n <= r->n_free_rec && r->recs[i].owner == TCP_NONE);
	CHECK(n == r->n_free_rec);
	CHECK(check_bug_count == 0);
}

void
room_show(const struct zf_ctx *ctx)
{
	const struct tcp_room *r = ctx->tcp;

	for (uint32_t i = 0; i < r->max_zft; i++) {
		const struct zft *ts = &r->zfts[i];

		if (ts->w.kind == WAITABLE_NONE || (ts->sq_segs == 0 && ts->rxq_pkts == 0 && ts->ooo_head == TCP_NONE))
			continue;
		fprintf(stderr,
			"    zocket %u port %u: state %u flags %#x, %u runs, unacked %u, unsent %u, wnd %u, cwnd %u, "
			"phase %u, mode %u due in %.6f, retries %u, unread %u in %u, beyond %u, mss %u%s\n",
			i, be16_host(ts->key.rport), ts->state, ts->flags, ts->sq_segs,
			seq_sub(ts->snd_nxt, ts->snd_una), seq_sub(ts->snd_end, ts->snd_nxt), ts->snd_wnd, ts->cc.cwnd,
			ts->loss.phase, ts->rtx_mode, ((double)ts->due[TCP_DUE_RTX] - (double)ctx->now) / 1e9,
			ts->retries, ts->rxq_bytes, ts->rxq_pkts,
			ts->ooo_head != TCP_NONE ? tcp_ooo_bufs(r->ooo, ts->ooo_head) : 0, ts->mss,
			ts->path.resolved ? "" : ", neighbour unknown");
	}
}

bool
room_is_empty(const struct zf_ctx *ctx)
{
	const struct tcp_room *r = ctx->tcp;
	uint32_t syn = tcp_syn_count(ctx);

	if (r->open_zft == 0 && r->busy_zft == 0 && r->app_zft == 0 && r->n_free_seg == r->max_segs &&
	    r->tx_held == 0 && r->tw->n == 0 && syn == 0 && r->pend_head == TCP_NONE && r->owed_head == TCP_NONE &&
	    r->n_free_rec == r->max_rec &&
	    ctx->rx_held == 0)
		return true;
	fprintf(stderr,
		"TCP is not empty: %u zockets (%u busy, %u held), %u runs, %u buffers sent, %u received, %u TIME-WAIT, "
		"%u half-open\n",
		r->open_zft, r->busy_zft, r->app_zft, r->max_segs - r->n_free_seg, r->tx_held, ctx->rx_held, r->tw->n,
		syn);
	for (uint32_t i = 0; i < r->max_zft; i++)
		if (r->zfts[i].w.kind != WAITABLE_NONE)
			fprintf(stderr, "  zocket %u: state %u, flags %#x, listener %u, unread %u\n", i,
				r->zfts[i].state, r->zfts[i].flags, r->zfts[i].listener, r->zfts[i].rxq_bytes);
	return false;
}
