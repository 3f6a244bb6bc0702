/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls that send. The fast send is one predicate, a header patched, the port's doorbell, and only then the books; it
 * does a subset of what queue and output() do together, which is what everything else takes.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ip/csum.h"
#include "tcp/conn.h"
#include "tcp/frame.h"
#include "tcp/loss.h"
#include "tcp/output.h"
#include "tcp/timer.h"

static ZF_ALWAYS_INLINE bool
can_send(const struct zft *ts)
{
	return (ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT) && !(ts->flags & TF_FIN_QUEUED);
}

/* One clause a line:
 *   not empty, and room for it as one segment: established, nothing unsent before it, no recovery, no FIN, no ACK that
 *   needs options of its own, both windows open, path resolved (fast_send_bytes is 0 otherwise)
 *   nothing changed on the path since the header was made, and nothing waits to be sent before us (path_gen)
 *   nothing happened to the port that must be acted on before it is used
 *   room for what may have to be sent again: there are more records than buffers and FINs
 */
static ZF_ALWAYS_INLINE bool
send_is_fast(const struct zf_ctx *ctx, const struct tcp_room *r, const struct zft *ts, size_t len)
{
	return len - 1 < ts->fast_send_bytes && ts->path_gen == ctx->path_gen && !ctx_has_events(ctx) &&
	       r->tx_held < r->tx_held_max;
}

/* Frame in @m, which the queue keeps: false if the port is full. */
static bool
fast_lend(struct zf_ctx *ctx, struct zft *ts, struct rte_mbuf *m, const void *buf, uint32_t len)
{
	struct tcp_txseg g = {.m = m, .off = TCP_PAYLOAD_OFF, .len = (uint16_t)len};

	memcpy((uint8_t *)m->buf_addr + TCP_PAYLOAD_OFF, buf, len);
	return tcp_frame_now(ctx, ts, ts->hdr, &g);
}

static ZF_NOINLINE ssize_t send_slow_single(struct zf_ctx *ctx, struct zft *ts, const void *buf, size_t len, int flags);

/* A queue that takes nothing more is an event to come, whether or not another send finds out. */
static ZF_NOINLINE void
note_full(struct zft *ts)
{
	if (ts->sq_segs >= TCP_SNDQ_SEGS - 1 || seq_sub(ts->snd_end, ts->snd_una) >= TCP_SNDQ_BYTES)
		ts->flags |= TF_WANT_OUT;
}

/* One segment with @len bytes of the caller's leaves, and a copy of them is kept in @m: false if the port is full. */
static ZF_ALWAYS_INLINE bool
fast_ring(struct zf_ctx *ctx, struct zft *ts, struct rte_mbuf *m, const void *buf, uint32_t len, bool push)
{
	ZF_ASSERT(tcp_fast_is_right(ctx, ts, len));
	tcp_header_here(ctx, ts, len, push ? TCP_FLAG_ACK | TCP_FLAG_PSH : TCP_FLAG_ACK);
	if (zf_unlikely(ctx->tx_copy == NULL || ts->sum_mode != TCP_SUM_NONE))
		return fast_lend(ctx, ts, m, buf, len);
	if (zf_unlikely(ctx->tx_copy(ctx->txq, ts->hdr, ts->hdr_len, buf, len) == 0))
		return false;
	memcpy((uint8_t *)m->buf_addr + TCP_PAYLOAD_OFF, buf, len);
	return true;
}

/* The books of a segment that is on its way, all of which but its place in the queue are in record @i. Returns what the
 * next fast send may have.
 */
static ZF_ALWAYS_INLINE uint32_t
fast_books(struct tcp_room *r, struct zft *ts, uint32_t i, uint32_t len)
{
	uint32_t left = ts->snd_room - len;

	if (ts->sq_tail == TCP_NONE)
		ts->sq_head = i;
	else
		r->segs[ts->sq_tail].next = i;
	ts->sq_tail = i;
	ts->snd_nxt = ts->snd_end = seq_add(ts->snd_nxt, len);
	ts->snd_room = left;
	left = ++ts->sq_segs >= TCP_SNDQ_SEGS - 1 ? 0 : ZF_MIN(ts->fast_send_bytes, left);
	ts->fast_send_bytes = left;
	return left;
}

static ZF_ALWAYS_INLINE ssize_t
send_fast(struct zf_ctx *ctx, struct zft *ts, const void *buf, uint32_t len)
{
	struct tcp_room *r = ctx->tcp;
	struct rte_mbuf *m = pkt_take(ctx->pool);
	struct tcp_txseg *g;
	uint32_t i;

	if (zf_unlikely(m == NULL))
		goto slow;
	ZF_ASSERT(r->n_free_seg > r->max_zft);
	if (zf_unlikely(!fast_ring(ctx, ts, m, buf, len, true))) {
		pkt_put(ctx->pool, m);
		goto slow;
	}
	ctx->now = ctx_read_clock(ctx);
	i = sq_take(r);
	g = sq_seg(r, i);
	g->m = m;
	g->sent = ctx->now;
	g->seq = ts->snd_nxt;
	g->next = TCP_NONE;
	g->len = (uint16_t)len;
	g->off = TCP_PAYLOAD_OFF;
	g->flags = TXSEG_PSH;
	g->n_sent = 1;
	r->tx_held++;
	if (zf_unlikely(fast_books(r, ts, i, len) == 0))
		note_full(ts);
	ts->loss.sent_at = ctx->now;
	tcp_acked_all(ts);
	if (ts->sq_head == i && zf_likely((ts->backoff | (ts->loss.flags & LF_TROUBLE)) == 0))
		tcp_loss_arm_first(ctx, ts);
	else if (ts->rtx_mode == RTX_IDLE || ts->due[TCP_DUE_RTX] == 0 ||
		 (ts->sq_segs == 2 && !(ts->flags & TF_OWED))) /* the probe is due earlier; owed work sets it anyway */
		tcp_loss_arm(ctx, ts);
	ctx_count(ctx, CNT_TX_TCP);
	ctx_leave(ctx);
	return len;
slow:
	return send_slow_single(ctx, ts, buf, len, 0);
}

struct source {
	const struct iovec *iov;
	size_t off; /* in *iov */
};

/* @len bytes, within the present iovec, were taken. */
static ZF_ALWAYS_INLINE void
source_skip(struct source *s, uint32_t len)
{
	s->off += len;
	if (s->off == s->iov->iov_len) {
		s->iov++;
		s->off = 0;
	}
}

static void
copy_from(struct source *s, uint8_t *to, uint32_t len)
{
	while (len > 0) {
		size_t part = ZF_MIN(s->iov->iov_len - s->off, (size_t)len);

		if (part > 0)
			memcpy(to, (const uint8_t *)s->iov->iov_base + s->off, part);
		to += part;
		len -= (uint32_t)part;
		source_skip(s, (uint32_t)part);
	}
}

/* Bytes that still fit the last run, which has not been sent. */
static uint32_t
tail_room(const struct tcp_room *r, const struct zft *ts)
{
	const struct tcp_txseg *g;
	uint32_t room;

	if (ts->sq_unsent == TCP_NONE)
		return 0;
	g = sq_seg(r, ts->sq_tail);
	if (g->m == NULL || (g->flags & (TXSEG_SHARED | TXSEG_FIN)) != 0 || g->len >= ts->mss ||
	    rte_mbuf_refcnt_read(g->m) != 1)
		return 0;
	room = (uint32_t)g->m->buf_len - g->off - g->len;
	return ZF_MIN(room, (uint32_t)ts->mss - g->len);
}

/* Bytes that one more call may queue: the queue's limits, and the stack's buffers. */
static uint32_t
queue_room(const struct zf_ctx *ctx, const struct zft *ts, bool *no_bufs)
{
	const struct tcp_room *r = ctx->tcp;
	uint32_t queued = seq_sub(ts->snd_end, ts->snd_una);
	uint32_t bytes = queued < TCP_SNDQ_BYTES ? TCP_SNDQ_BYTES - queued : 0;
	uint32_t segs = ts->sq_segs < TCP_SNDQ_SEGS - 1 ? TCP_SNDQ_SEGS - 1 - ts->sq_segs : 0;
	uint32_t bufs = sq_bufs_left(ctx);
	uint32_t tail = tail_room(r, ts);

	bufs = ZF_MIN(bufs, r->n_free_seg > r->max_zft ? r->n_free_seg - r->max_zft : 0);
	bytes = ZF_MIN((uint64_t)bytes, (uint64_t)segs * ts->mss + tail);
	*no_bufs = (uint64_t)bufs * ts->mss + tail < bytes;
	return (uint32_t)ZF_MIN((uint64_t)bytes, (uint64_t)bufs * ts->mss + tail);
}

/* Records and buffers for @len bytes from @seq on, linked: false, and none, if the pool is empty. */
static bool
take_runs(struct zf_ctx *ctx, const struct zft *ts, tcpseq_t seq, uint32_t len, uint32_t *first)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t *link = first, part;

	for (*first = TCP_NONE; len > 0; len -= part) {
		struct rte_mbuf *m = pkt_take(ctx->pool);
		uint32_t i;

		if (m == NULL) {
			while ((i = *first) != TCP_NONE) {
				*first = sq_seg(r, i)->next;
				sq_put(ctx, r, i);
			}
			return false;
		}
		part = ZF_MIN((uint32_t)ts->mss, len);
		part = ZF_MIN(part, (uint32_t)m->buf_len - TCP_PAYLOAD_OFF);
		i = sq_take(r);
		*sq_seg(r, i) = (struct tcp_txseg){
			.m = m, .seq = seq, .next = TCP_NONE, .len = (uint16_t)part, .off = TCP_PAYLOAD_OFF};
		sq_borrow(ctx);
		r->tx_held++;
		seq = seq_add(seq, part);
		*link = i;
		link = &sq_seg(r, i)->next;
	}
	return true;
}

/* Of the runs from @i on, full ones that are not the last leave as fast sends do, straight from the caller's memory and
 * without a round of output for each, as long as that is allowed. Returns the first that did not go; that one is the
 * queue's, which sets timers and marks. A stream over a wire goes at 0.63 of the bare wire's rate so, at 0.52 without
 * (few rounds, see doc/performance.md).
 * A port that does not copy had better get them as one burst.
 */
static uint32_t
send_train(struct zf_ctx *ctx, struct zft *ts, struct source *s, uint32_t i)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t mss = ts->mss, left;

	if (sq_seg(r, i)->next == TCP_NONE || ctx->tx_copy == NULL || ts->sum_mode != TCP_SUM_NONE)
		return i;
	tcp_fast_update(ctx, ts); /* owed work was done since */
	if (ts->fast_send_bytes < mss || ts->path_gen != ctx->path_gen)
		return i;
	ctx->now = ctx_read_clock(ctx);
	do {
		struct tcp_txseg *g = sq_seg(r, i);
		uint32_t next = g->next;

		if (next == TCP_NONE || g->len != mss || s->iov->iov_len - s->off < mss ||
		    !fast_ring(ctx, ts, g->m, (const uint8_t *)s->iov->iov_base + s->off, mss, false))
			break;
		source_skip(s, mss);
		g->sent = ctx->now;
		g->n_sent = 1;
		g->next = TCP_NONE;
		left = fast_books(r, ts, i, mss);
		ts->loss.sent_at = ctx->now;
		tcp_acked_all(ts);
		ctx_count(ctx, CNT_TX_TCP);
		i = next;
	} while (left >= mss);
	return i;
}

/* @len bytes of @s behind what is queued: all of them, or none if the pool is empty. */
static bool
enqueue(struct zf_ctx *ctx, struct zft *ts, struct source *s, uint32_t len)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t part = ZF_MIN(tail_room(r, ts), len), i, next;
	tcpseq_t end = seq_add(ts->snd_end, len);

	if (!take_runs(ctx, ts, seq_add(ts->snd_end, part), len - part, &i))
		return false;
	if (part > 0) {
		struct tcp_txseg *g = sq_seg(r, ts->sq_tail);

		copy_from(s, (uint8_t *)g->m->buf_addr + g->off + g->len, part);
		g->len = (uint16_t)(g->len + part);
	}
	if (i != TCP_NONE)
		i = send_train(ctx, ts, s, i);
	for (; i != TCP_NONE; i = next) {
		struct tcp_txseg *g = sq_seg(r, i);

		next = g->next;
		copy_from(s, (uint8_t *)g->m->buf_addr + g->off, g->len);
		sq_append(r, ts, i);
	}
	ts->snd_end = end;
	return true;
}

static ssize_t
no_room(struct zf_ctx *ctx, struct zft *ts, bool bufs)
{
	if (bufs) {
		ctx->owed |= CTX_OWED_BUF_RETRY;
		mux_want(ctx, &ts->w, WAITABLE_WANT_BUF);
		ctx_count(ctx, CNT_TX_NOBUFS);
		return -ENOMEM;
	}
	ts->flags |= TF_WANT_OUT;
	ctx_count(ctx, CNT_TX_EAGAIN);
	return -EAGAIN;
}

/* Before something is queued: what owed acknowledgements let go leaves first, as it would have at the end of a poll, and
 * nothing joins its last segment.
 */
static void
flush_sends(struct zf_ctx *ctx, struct zft *ts)
{
	if (!(ts->flags & TF_OWED))
		return;
	tcp_flush(ctx, ts);
	if (ts->sq_unsent != TCP_NONE) {
		tcp_output(ctx, ts);
		(void)tcp_out_flush(ctx);
	}
}

static ssize_t
send_queued(struct zf_ctx *ctx, struct zft *ts, const struct iovec *iov, size_t len, int flags)
{
	struct source s = {iov, 0};
	uint32_t room, take;
	bool no_bufs;

	flush_sends(ctx, ts);
	if (!can_send(ts))
		return -ENOTCONN;
	tcp_path_check(ctx, ts);
	room = queue_room(ctx, ts, &no_bufs);
	if (len > room && no_bufs)
		return no_room(ctx, ts, true); /* the guide: all of it, or nothing */
	if (room == 0)
		return no_room(ctx, ts, false);
	take = (uint32_t)ZF_MIN(len, (size_t)room);
	if (!enqueue(ctx, ts, &s, take))
		return no_room(ctx, ts, true);
	if (take < len || (flags & MSG_MORE)) {
		ts->flags |= TF_MORE;
	} else {
		ts->flags &= ~(uint32_t)TF_MORE;
		sq_seg(ctx->tcp, ts->sq_tail)->flags |= TXSEG_PSH;
	}
	if (take < len)
		ts->flags |= TF_WANT_OUT;
	note_full(ts);
	tcp_output(ctx, ts);
	return take;
}

static ZF_NOINLINE ssize_t
send_slow(struct zf_ctx *ctx, struct zft *ts, const struct iovec *iov, int iov_cnt, int flags)
{
	size_t len = 0;
	ssize_t rc;

	if (zf_unlikely(ctx->warming)) {
		ctx_leave(ctx);
		return -EAGAIN;
	}
	for (int i = 0; i < iov_cnt; i++)
		len += iov[i].iov_len;
	if (iov_cnt <= 0 || (flags & ~MSG_MORE) != 0)
		rc = -EINVAL;
	else if (!can_send(ts))
		rc = -ENOTCONN;
	else
		rc = 0;
	if (rc < 0 || len == 0) {
		ctx_leave(ctx);
		return rc;
	}
	tcp_enter(ctx);
	rc = send_queued(ctx, ts, iov, len, flags);
	tcp_leave(ctx);
	return rc;
}

/* Apart, so that the fast send makes no iovec. */
static ZF_NOINLINE ssize_t
send_slow_single(struct zf_ctx *ctx, struct zft *ts, const void *buf, size_t len, int flags)
{
	return send_slow(ctx, ts, &(struct iovec){(void *)(uintptr_t)buf, len}, 1, flags);
}

ZF_EXPORT ssize_t
zft_send_single(struct zft *ts, const void *buf, size_t buflen, int flags)
{
	struct zf_ctx *ctx = zft_ctx(ts);

	ctx_enter(ctx);
	if (zf_likely(flags == 0 && send_is_fast(ctx, ctx->tcp, ts, buflen)))
		return send_fast(ctx, ts, buf, (uint32_t)buflen);
	return send_slow_single(ctx, ts, buf, buflen, flags);
}

/* A send for practice, up to the port's doorbell. */
ZF_EXPORT int
zft_send_single_warm(struct zft *ts, const void *buf, size_t buflen)
{
	struct zf_ctx *ctx = zft_ctx(ts);
	tcpseq_t adv = ts->rcv_adv;
	struct ctx_warm was;
	bool fast;

	if (!can_send(ts))
		return -ENOTCONN;
	if (buflen > ts->mss)
		return -EMSGSIZE;
	if (buflen == 0)
		return 0;
	if (ctx->path_gen != 0 && ts->path_gen != ctx->path_gen) {
		tcp_path_check(ctx, ts);
		tcp_fast_update(ctx, ts);
	}
	if (ctx->tcp->tx_held >= ctx->tcp->tx_held_max || pool_free_count(ctx->pool) == 0)
		return -ENOMEM;
	ctx_enter(ctx); /* tx_room() belongs to the port, too */
	fast = send_is_fast(ctx, ctx->tcp, ts, buflen) && (ctx->tx_room == NULL || ctx->tx_room(ctx->txq) > 0);
	ctx_leave(ctx);
	if (!fast)
		return -EAGAIN;
	ctx_warm_begin(ctx, &was);
	(void)zft_send_single(ts, buf, buflen, 0);
	ctx_warm_end(ctx, &was);
	ts->rcv_adv = adv; /* a window that was not told */
	return (int)buflen;
}

ZF_EXPORT ssize_t
zft_send(struct zft *ts, const struct iovec *iov, int iov_cnt, int flags)
{
	struct zf_ctx *ctx = zft_ctx(ts);

	ctx_enter(ctx);
	if (zf_likely(iov_cnt == 1 && flags == 0 && send_is_fast(ctx, ctx->tcp, ts, iov->iov_len)))
		return send_fast(ctx, ts, iov->iov_base, (uint32_t)iov->iov_len);
	return send_slow(ctx, ts, iov, iov_cnt, flags);
}

ZF_EXPORT int
zft_send_space(struct zft *ts, size_t *space)
{
	bool no_bufs;

	tcp_flush_call(ts);
	if (!can_send(ts))
		return -ENOTCONN;
	*space = queue_room(zft_ctx(ts), ts, &no_bufs);
	return 0;
}

bool
tcp_queue_fin(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i;

	if (ts->sq_unsent != TCP_NONE) {
		sq_seg(r, ts->sq_tail)->flags |= TXSEG_FIN | TXSEG_PSH;
	} else {
		i = sq_take(r);
		if (zf_bug(i == TCP_NONE)) /* as many are kept back as there are zockets */
			return false;
		*sq_seg(r, i) = (struct tcp_txseg){.seq = ts->snd_end, .flags = TXSEG_FIN};
		sq_append(r, ts, i);
	}
	ts->snd_end = seq_add(ts->snd_end, 1);
	ts->flags = (ts->flags | TF_FIN_QUEUED) & ~(uint32_t)TF_MORE;
	tcp_set_state(ctx, ts, ts->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT1);
	return true;
}

ZF_EXPORT int
zft_shutdown_tx(struct zft *ts)
{
	struct zf_ctx *ctx = zft_ctx(ts);
	int rc = 0;

	tcp_enter(ctx);
	flush_sends(ctx, ts);
	if (!can_send(ts))
		rc = -ENOTCONN;
	else if (!tcp_queue_fin(ctx, ts))
		rc = -ENOMEM;
	else
		tcp_output(ctx, ts);
	tcp_leave(ctx);
	return rc;
}

ZF_EXPORT int
zft_get_mss(struct zft *ts)
{
	return can_send(ts) ? (int)ts->mss : -ENOTCONN;
}

ZF_EXPORT unsigned
zft_get_header_size(struct zft *ts)
{
	return ts->hdr_len;
}
