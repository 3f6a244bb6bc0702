/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a connection sends now: runs that were lost, new ones as far as both windows reach, else an ACK if one is due.
 * Whoever changed something calls tcp_output() or, to have it done once for many changes, tcp_pend().
 */
#include <string.h>

#include "core/attr.h"
#include "tcp/conn.h"
#include "tcp/frame.h"
#include "tcp/loss.h"
#include "tcp/ooo.h"
#include "tcp/prep.h"
#include "tcp/timer.h"

void
tcp_pend(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	ctx->owed |= CTX_OWED_TCP_OUT;
	ctx->unsent = 1;
	if (ts->flags & TF_PENDING)
		return;
	ts->flags |= TF_PENDING;
	ts->pend_next = TCP_NONE;
	if (r->pend_head == TCP_NONE)
		r->pend_head = ts->index;
	else
		r->zfts[r->pend_tail].pend_next = ts->index;
	r->pend_tail = ts->index;
}

void
tcp_unpend(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t *link = &r->pend_head, prev = TCP_NONE;

	if (!(ts->flags & TF_PENDING))
		return;
	/* Short: connections wait here until the end of a poll only, or while the port is full. */
	while (*link != ts->index) {
		prev = *link;
		link = &r->zfts[prev].pend_next;
	}
	*link = ts->pend_next;
	if (r->pend_tail == ts->index)
		r->pend_tail = prev;
	ts->flags &= ~(uint32_t)TF_PENDING;
}

void
tcp_run_pending(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = r->pend_head;

	r->pend_head = r->pend_tail = TCP_NONE;
	while (i != TCP_NONE) {
		struct zft *ts = &r->zfts[i];

		i = ts->pend_next;
		tcp_flush(ctx, ts); /* the last segments of the burst were cut through: what they say counts */
		ts->flags &= ~(uint32_t)TF_PENDING;
		tcp_output(ctx, ts);
	}
	if (r->pend_head == TCP_NONE)
		ctx->owed &= ~(uint32_t)CTX_OWED_TCP_OUT;
	(void)tcp_out_flush(ctx);
	sq_return(ctx);
}

void
tcp_window_opened(struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t told = seq_sub(ts->rcv_adv, ts->rcv_nxt);

	/* Who still has half of the window learns the rest by the next ACK. */
	if (told >= ts->rcv_buf / 2 || tcp_window(ctx, ts) == told)
		return;
	ts->flags |= TF_ACK_NOW;
	tcp_pend(ctx, ts);
}

static ZF_NOINLINE uint32_t
put_sack(struct zf_ctx *ctx, struct zft *ts, uint8_t *p)
{
	struct tcp_sack_block b[4];
	uint32_t max = ts->flags & TF_TS ? 3 : 4, n = 0;

	if (ts->flags & TF_DSACK)
		b[n++] = ts->dsack;
	ts->flags &= ~(uint32_t)TF_DSACK;
	if (ts->ooo_head != TCP_NONE)
		n += tcp_ooo_blocks(ctx->tcp->ooo, ts->ooo_head, b + n, max - n);
	return n > 0 ? tcp_opts_put_sack(p, b, n) : 0;
}

static ZF_ALWAYS_INLINE bool
has_sack(const struct zft *ts)
{
	return (ts->flags & TF_SACK) != 0 && ((ts->flags & TF_DSACK) != 0 || ts->ooo_head != TCP_NONE);
}

static ZF_ALWAYS_INLINE uint32_t
sack_opts(struct zf_ctx *ctx, struct zft *ts, uint8_t *p)
{
	return zf_unlikely(has_sack(ts)) ? put_sack(ctx, ts, p) : 0;
}

static bool
ack_with_more(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_frame f = {.seq = ts->snd_nxt, .flags = TCP_FLAG_ACK, .owner = true, .wnd = -1};
	uint8_t opts[40];
	uint32_t len = sack_opts(ctx, ts, opts);

	if (ts->flags & TF_ECE)
		f.flags |= TCP_FLAG_ECE;
	return tcp_frame_ctl(ctx, ts, &f, opts, len);
}

void
tcp_send_ack(struct zf_ctx *ctx, struct zft *ts)
{
	bool sent;

	tcp_path_check(ctx, ts);
	tcp_acked_all(ts);
	if (zf_likely(!has_sack(ts) && tcp_may_go_bare(ctx, ts)))
		sent = tcp_frame_bare(ctx, ts, TCP_FLAG_ACK);
	else
		sent = ack_with_more(ctx, ts);
	if (!sent) {
		ts->flags |= TF_ACK_NOW;
		tcp_pend(ctx, ts);
	}
}

void
tcp_send_syn(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	bool answer = ts->state == TCP_SYN_RECV;
	/* RFC 7323 2.2: the window of a SYN is never scaled. */
	struct tcp_frame f = {.seq = ts->iss,
			      .flags = (uint8_t)(TCP_FLAG_SYN | (answer ? TCP_FLAG_ACK : 0)),
			      .bare_opts = true,
			      .wnd = (int32_t)ZF_MIN(ts->rcv_buf, 65535u)};
	bool stamps = answer ? (ts->flags & TF_TS) != 0 : c->timestamps == 2;
	int wscale = answer && !(ts->flags & TF_WSCALE) ? -1 : c->rcv_shift;
	uint8_t opts[40];
	uint32_t len;

	len = tcp_opts_put_syn(opts, ctx->tcp->mss, !answer || (ts->flags & TF_SACK) != 0, stamps,
			       stamps ? tcp_ts_now(ctx, ts->ts_offset) : 0, answer ? ts->ts_recent : 0, wscale);
	if (!answer && c->ecn && ts->retries == 0)
		f.flags |= TCP_FLAG_ECE | TCP_FLAG_CWR; /* RFC 3168 6.1.1.1: not again, somebody may drop it */
	else if (answer && (ts->flags & TF_ECN))
		f.flags |= TCP_FLAG_ECE;
	tcp_path_check(ctx, ts);
	if (answer)
		tcp_acked_all(ts);
	(void)tcp_frame_ctl(ctx, ts, &f, opts, len); /* what is lost here the timer repeats */
	ts->rcv_adv = seq_max(ts->rcv_adv, seq_add(ts->rcv_nxt, (uint32_t)f.wnd));
}

void
tcp_send_rst(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_frame f = {.seq = ts->snd_nxt, .flags = TCP_FLAG_RST | TCP_FLAG_ACK, .wnd = 0};

	tcp_path_check(ctx, ts);
	if (tcp_frame_ctl(ctx, ts, &f, NULL, 0))
		ctx_count(ctx, CNT_TCP_RST_SENT);
}

void
tcp_send_keepalive(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_frame f = {.seq = seq_less(ts->snd_una, 1), .flags = TCP_FLAG_ACK, .wnd = -1};

	tcp_path_check(ctx, ts);
	(void)tcp_frame_ctl(ctx, ts, &f, NULL, 0);
}

/* RFC 5961 7. A connection has a limit of its own, which tells a stranger nothing about the others; the stack's is drawn
 * anew each second, so that its end cannot be counted from outside (the side channel of 2016).
 */
void
tcp_challenge_ack(struct zf_ctx *ctx, struct zft *ts)
{
	struct output_limit *l = &ctx->tcp->challenge_limit;
	uint32_t ms = tcp_ts_now(ctx, 0);

	if (ctx->now - l->last >= ctx->hz) {
		l->last = ctx->now;
		l->tokens = 500 + (uint32_t)rng_below(&ctx->rng, 500);
	}
	if (l->tokens == 0 || ms - ts->challenge_ms < 10) {
		ctx_count(ctx, CNT_TCP_CHALLENGE_LIMIT);
		return;
	}
	l->tokens--;
	ts->challenge_ms = ms;
	ctx_count(ctx, CNT_TCP_CHALLENGE_ACK);
	tcp_send_ack(ctx, ts);
}

/* Bytes of the peer's window from snd_nxt on. */
static uint32_t
usable(const struct zft *ts)
{
	int32_t n = seq_diff(seq_add(ts->snd_una, ts->snd_wnd), ts->snd_nxt);

	return n > 0 ? (uint32_t)n : 0;
}

/* Before run @g is booked as sent, a burst that it does not join leaves: what comes back of it is not overtaken. */
static bool
may_join_burst(struct zf_ctx *ctx, const struct zft *ts, const struct tcp_txseg *g)
{
	uint32_t n = ctx->tcp->n_out;

	if (n == 0 || (n < TCP_OUT_BURST && (ctx->tx_copy == NULL || (uint32_t)ts->hdr_len + g->len > ctx->tx_copy_max)))
		return true;
	return tcp_out_flush(ctx);
}

static bool
send_run(struct zf_ctx *ctx, struct zft *ts, uint32_t i, bool again)
{
	struct tcp_txseg *g = sq_seg(ctx->tcp, i);
	struct tcp_frame f = {.seq = g->seq, .flags = TCP_FLAG_ACK, .owner = true, .wnd = -1, .ect = !again};
	bool keep_ack = (ts->flags & TF_ACK_NOW) && (ts->ooo_head != TCP_NONE || (ts->flags & TF_DSACK));

	if (!may_join_burst(ctx, ts, g))
		return false;
	if (g->flags & TXSEG_FIN)
		f.flags |= TCP_FLAG_FIN;
	if (g->flags & TXSEG_PSH)
		f.flags |= TCP_FLAG_PSH;
	if (ts->flags & TF_ECE)
		f.flags |= TCP_FLAG_ECE;
	if (!again && (ts->flags & TF_CWR)) {
		f.flags |= TCP_FLAG_CWR;
		ts->flags &= ~(uint32_t)TF_CWR;
	}
	/* First the books, since the frame may leave, or come back, at once. */
	tcp_loss_sent(ctx, ts, i);
	if (!again) {
		ts->sq_unsent = g->next;
		ts->snd_nxt = sq_end(g);
	}
	if (!tcp_frame_data(ctx, ts, &f, i)) {
		tcp_loss_taken_back(ctx, ts, i, !again);
		if (!again) {
			ts->sq_unsent = i;
			ts->snd_nxt = g->seq;
		}
		return false;
	}
	tcp_acked_all(ts);
	if (keep_ack)
		ts->flags |= TF_ACK_NOW; /* the blocks go by themselves */
	return true;
}

enum round_end {
	ROUND_EMPTY,  /* nothing left */
	ROUND_CWND,   /* congestion control */
	ROUND_WINDOW, /* the peer's window */
	ROUND_MORE,   /* a tail held back */
	ROUND_PORT,   /* port full, no buffer */
};

static bool
may_send_new(const struct zft *ts)
{
	const uint32_t may = 1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT | 1u << TCP_FIN_WAIT1 | 1u << TCP_CLOSING |
			     1u << TCP_LAST_ACK;

	return (may >> ts->state & 1) != 0;
}

/* The first unsent run fits the peer's window, whole or by half of the largest there ever was (SWS, RFC 9293
 * 3.8.6.2.1); in the latter case it is cut. @force: the override timer says so.
 */
static bool
fit_window(struct zf_ctx *ctx, struct zft *ts, uint32_t i, bool force)
{
	struct tcp_txseg *g = sq_seg(ctx->tcp, i);
	uint32_t room = usable(ts);

	if (sq_span(g) <= room)
		return true;
	if (room == 0 || (g->len > room && !force && room < ts->max_snd_wnd / 2))
		return false;
	return sq_split(ctx->tcp, ts, i, (uint16_t)ZF_MIN(room, (uint32_t)g->len));
}

static enum round_end
send_new(struct zf_ctx *ctx, struct zft *ts, bool force)
{
	while (ts->sq_unsent != TCP_NONE) {
		struct tcp_txseg *g;
		uint32_t i, pipe;

		i = ts->sq_unsent;
		g = sq_seg(ctx->tcp, i);
		pipe = tcp_loss_pipe(ts);
		if ((ts->flags & TF_MORE) && i == ts->sq_tail && g->len < ts->mss && !(g->flags & TXSEG_FIN) && !force)
			return ROUND_MORE;
		if (!fit_window(ctx, ts, i, force))
			return ROUND_WINDOW;
		if (pipe > 0 && tcp_loss_quota(ctx, ts) < sq_span(g))
			return ROUND_CWND;
		if (!send_run(ctx, ts, i, false))
			return ROUND_PORT;
	}
	return ROUND_EMPTY;
}

static enum round_end
send_lost(struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t i;

	while ((i = tcp_loss_next(ctx, ts)) != TCP_NONE) {
		if (tcp_loss_pipe(ts) > 0 && tcp_loss_quota(ctx, ts) < sq_span(sq_seg(ctx->tcp, i)))
			return ROUND_CWND;
		if (!send_run(ctx, ts, i, true))
			return ROUND_PORT;
	}
	return ROUND_EMPTY;
}

void
tcp_arm_idle(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	uint32_t restart = c->initial_cwnd != 0 ? c->initial_cwnd : 10u * ts->mss;

	if (ts->rtx_mode == RTX_IDLE && ts->due[TCP_DUE_RTX] != 0)
		return; /* what is received and acknowledged is no sending */
	ts->rtx_mode = RTX_IDLE;
	/* A window that is no larger than the restart window has nothing to lose. */
	if (ts->cc.cwnd > restart && (ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT))
		tcp_timer_set(ctx, ts, TCP_DUE_RTX, ctx->now + ts->rtt.rto);
	else
		tcp_timer_off(ts, TCP_DUE_RTX);
}

/* Which timer watches over what was sent, or over what could not be. */
static void
arm(struct zf_ctx *ctx, struct zft *ts, enum round_end end)
{
	if (!seq_eq(ts->snd_una, ts->snd_nxt)) {
		tcp_loss_arm(ctx, ts);
		return;
	}
	if (end == ROUND_WINDOW) {
		if (ts->rtx_mode == RTX_PERSIST && ts->due[TCP_DUE_RTX] != 0)
			return;
		ts->rtx_mode = RTX_PERSIST;
		tcp_timer_set(ctx, ts, TCP_DUE_RTX,
			      ctx->now + tcp_rtt_backoff(&ts->rtt, ts->backoff, &ctx->tcp->conf.rtt));
		return;
	}
	tcp_arm_idle(ctx, ts);
}

static ZF_NOINLINE void
output_queue(struct zf_ctx *ctx, struct zft *ts, bool force)
{
	enum round_end end = send_lost(ctx, ts);

	if (end == ROUND_EMPTY)
		end = send_new(ctx, ts, force);
	tcp_loss_limited(ts, end == ROUND_CWND);
	if (end == ROUND_PORT) {
		ctx->owed |= CTX_OWED_TX_RETRY;
		tcp_pend(ctx, ts);
	}
	arm(ctx, ts, end);
	if (ts->flags & TF_ACK_NOW)
		tcp_send_ack(ctx, ts);
	tcp_fast_update(ctx, ts);
}

/* A FIN and nothing else, in good times. */
static ZF_ALWAYS_INLINE bool
is_lone_fin(const struct zf_ctx *ctx, const struct zft *ts)
{
	uint32_t i = ts->sq_unsent;
	const struct tcp_txseg *g;

	if (i == TCP_NONE || ts->sq_head != i || ts->sq_tail != i || ts->loss.phase != LOSS_OPEN ||
	    (ts->loss.flags & LF_PENDING) != 0 || usable(ts) == 0)
		return false;
	g = sq_seg(ctx->tcp, i);
	return g->len == 0 && g->n_sent == 0;
}

/* It leaves as fast sends do. False: it did not, and nothing happened. */
static ZF_ALWAYS_INLINE bool
fin_goes_bare(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_txseg *g = sq_seg(ctx->tcp, ts->sq_unsent);

	if (has_sack(ts) || !tcp_may_go_bare(ctx, ts) || ctx->tcp->n_out > 0 || ts->backoff != 0 ||
	    (ts->loss.flags & LF_TROUBLE) != 0)
		return false;
	if (!tcp_frame_bare(ctx, ts, g->flags & TXSEG_PSH ? TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_ACK
							  : TCP_FLAG_FIN | TCP_FLAG_ACK))
		return false;
	g->sent = ts->loss.sent_at = ctx->now;
	g->n_sent = 1;
	ts->sq_unsent = TCP_NONE;
	ts->snd_nxt = seq_add(ts->snd_nxt, 1);
	tcp_acked_all(ts);
	tcp_loss_arm_first(ctx, ts);
	return true;
}

/* All that output_queue() does for it: no window but the peer's holds a FIN back that is alone. */
static void
output_fin(struct zf_ctx *ctx, struct zft *ts)
{
	ts->fast_send_bytes = 0;
	tcp_loss_limited(ts, false);
	if (zf_likely(fin_goes_bare(ctx, ts)))
		return;
	if (!send_run(ctx, ts, ts->sq_unsent, false)) {
		ctx->owed |= CTX_OWED_TX_RETRY;
		tcp_pend(ctx, ts);
	}
	arm(ctx, ts, ROUND_EMPTY);
	if (ts->flags & TF_ACK_NOW)
		tcp_send_ack(ctx, ts);
}

/* The same where nothing is queued, so that nothing is in flight. */
static ZF_ALWAYS_INLINE void
output_ack(struct zf_ctx *ctx, struct zft *ts)
{
	ZF_ASSERT(seq_eq(ts->snd_una, ts->snd_nxt) && ts->sq_unsent == TCP_NONE && ts->sq_segs == 0);
	tcp_loss_limited(ts, false);
	tcp_arm_idle(ctx, ts);
	if (ts->flags & TF_ACK_NOW)
		tcp_send_ack(ctx, ts);
	if ((ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT) && ts->path.resolved &&
	    tcp_loss_can_fast(ts) && (ts->flags & (TF_CWR | TF_ECE | TF_ACK_NOW | TF_ALT)) == 0) {
		tcp_fast_reset(ctx, ts);
	} else {
		ts->fast_send_bytes = 0;
		tcp_prep_note(ctx, ts);
	}
}

static ZF_ALWAYS_INLINE void
output(struct zf_ctx *ctx, struct zft *ts, bool force)
{
	if (!may_send_new(ts) && ts->state != TCP_FIN_WAIT2) {
		if ((ts->flags & TF_ACK_NOW) && ts->state != TCP_CLOSE && ts->state != TCP_SYN_SENT)
			tcp_send_ack(ctx, ts);
		return;
	}
	tcp_path_check(ctx, ts);
	/* What was pending when the last run went must not outlive it. */
	if (ts->sq_head == TCP_NONE && (ts->loss.flags & LF_PENDING) == 0)
		output_ack(ctx, ts);
	else if (is_lone_fin(ctx, ts))
		output_fin(ctx, ts);
	else
		output_queue(ctx, ts, force);
}

void
tcp_output(struct zf_ctx *ctx, struct zft *ts)
{
	output(ctx, ts, false);
}

void
tcp_output_forced(struct zf_ctx *ctx, struct zft *ts)
{
	output(ctx, ts, true);
}

/* RFC 8985 7.3: one run that the peer must answer, new if there is one, else the last. */
void
tcp_output_probe(struct zf_ctx *ctx, struct zft *ts)
{
	uint32_t i = ts->sq_unsent;
	bool again = i == TCP_NONE || !fit_window(ctx, ts, i, false);

	tcp_path_check(ctx, ts);
	if (again)
		i = tcp_loss_probe_run(ctx, ts);
	if (i != TCP_NONE && !send_run(ctx, ts, i, again))
		tcp_pend(ctx, ts);
	tcp_output(ctx, ts);
}

#if defined(ZF_CHECKS) && ZF_CHECKS
bool
tcp_fast_is_right(struct zf_ctx *ctx, struct zft *ts, uint32_t len)
{
	uint32_t was = ts->fast_send_bytes, room = ts->snd_room, is;

	tcp_fast_update(ctx, ts);
	is = ts->fast_send_bytes;
	ts->fast_send_bytes = was;
	ts->snd_room = room;
	return len <= is;
}
#endif

void
tcp_fast_update(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_room *r = ctx->tcp;
	uint32_t queued = seq_sub(ts->snd_end, ts->snd_una), pipe, room, limit;

	ts->fast_send_bytes = 0;
	if (ts->state != TCP_ESTABLISHED && ts->state != TCP_CLOSE_WAIT)
		return;
	if (ts->sq_unsent != TCP_NONE || !ts->path.resolved || !tcp_loss_can_fast(ts) ||
	    ts->sq_segs >= TCP_SNDQ_SEGS - 1)
		return;
	if ((ts->flags & (TF_CWR | TF_ECE | TF_ACK_NOW | TF_ALT)) != 0 || !r->conf.fast_path) {
		tcp_prep_note(ctx, ts);
		return;
	}
	pipe = tcp_loss_pipe(ts);
	room = ts->cc.cwnd > pipe ? ts->cc.cwnd - pipe : 0;
	room = ZF_MIN(room, usable(ts));
	ZF_ASSERT(queued <= TCP_SNDQ_BYTES && !(ts->flags & TF_FIN_QUEUED));
	room = ZF_MIN(room, TCP_SNDQ_BYTES - queued);
	limit = ts->mss;
	if (ctx->tx_copy != NULL && ts->sum_mode == TCP_SUM_NONE)
		limit = ZF_MIN(limit, ctx->tx_copy_max - ts->hdr_len);
	ts->snd_room = room;
	ts->fast_send_bytes = ZF_MIN(limit, room);
}
