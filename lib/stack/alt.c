/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See alt.h: the calls of zf_alts.h, the states of an alternative, and what polls do for them.
 *
 * What may be queued and sent as far as TCP is concerned, and the frames themselves, are lib/tcp/prep.c's; how much fits
 * is alt_space.h's; frames inside a port are the driver's.
 */
#define ZF_ALTS_OWN_OVERHEAD 1 /* the structure, whether or not Onload's headers are there */

#include <errno.h>

#include "stack/alt.h"

#include "core/attr.h"
#include "stack/stack.h"
#include "tcp/conn.h"
#include "tcp/output.h"

struct alt_room *
alt_room_take(struct arena *a, const struct zf_attr *attr)
{
	uint32_t n = (uint32_t)attr->alt_count;
	struct alt_room *r;

	if (n == 0)
		return NULL;
	r = arena_take(a, sizeof(*r) + n * sizeof(r->alts[0]), ZF_CACHE_LINE);
	if (r != NULL)
		r->n = n;
	return r;
}

void
alt_room_init(struct alt_room *r, const struct zf_attr *attr, uint32_t buf_bytes)
{
	r->rewind = (uint32_t)ZF_MAX(attr->tcp_alt_ack_rewind, 1);
	space_init(&r->space, r->n, (uint32_t)attr->alt_buf_size, buf_bytes != 0 ? buf_bytes : SPACE_BUF_BYTES);
	for (uint32_t i = 0; i < r->n; i++) {
		r->alts[i].zft = TCP_NONE;
		space_hold(&r->space, &r->alts[i].space);
		tcp_prep_init(&r->alts[i].prep);
	}
}

static ZF_ALWAYS_INLINE struct alt_room *
room_of(struct zf_ctx *ctx)
{
	return stack_of(ctx)->alt;
}

/* The application's alternative, or NULL: it has none of that name. */
static ZF_ALWAYS_INLINE struct alt *
find(const struct zf_stack *st, zf_althandle h)
{
	struct alt_room *r = st->alt;

	if (zf_unlikely(r == NULL || h >= r->n || !r->alts[h].taken))
		return NULL;
	return &r->alts[h];
}

static ZF_ALWAYS_INLINE uint32_t
id_of(struct zf_ctx *ctx, const struct alt *a)
{
	return (uint32_t)(a - room_of(ctx)->alts);
}

static struct zft *
zft_of(struct zf_ctx *ctx, const struct alt *a)
{
	return &ctx->tcp->zfts[a->zft];
}

/* What the port has of it is dropped there. */
static void
discard_in_port(struct zf_ctx *ctx, const struct alt *a)
{
	if (a->prep.way == PREP_PORT && a->state == ALT_READY)
		ctx->alt->discard(ctx->txq, id_of(ctx, a));
}

/* Which alternatives a zocket is tied to has changed, or what they hold. */
static void
retie(struct zf_ctx *ctx, uint32_t zft)
{
	const struct alt_room *r = room_of(ctx);
	struct zft *ts = &ctx->tcp->zfts[zft];
	tcpseq_t due = seq_add(ts->rcv_nxt, INT32_MAX);
	uint32_t tied = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct alt *a = &r->alts[i];

		if (a->zft != zft)
			continue;
		tied = TF_ALT;
		if (a->state == ALT_READY && tcp_prep_is_next(ts, &a->prep))
			due = seq_min(due, seq_add(a->prep.ack, r->rewind));
	}
	ts->flags = (ts->flags & ~(uint32_t)TF_ALT) | tied;
	ts->alt_due = due;
}

/* Are headers of @a, which is what would be sent next, too old to be sent? */
static bool
is_due(const struct alt_room *r, const struct zft *ts, const struct alt *a)
{
	if (seq_lt(ts->rcv_nxt, ts->alt_due))
		return false;
	return (ts->flags & TF_TS) != 0 || seq_sub(ts->rcv_nxt, a->prep.ack) >= r->rewind;
}

static void
start_drain(struct zf_ctx *ctx, struct alt *a, enum alt_state state)
{
	a->state = (uint8_t)state;
	ctx->owed |= CTX_OWED_ALT;
	ctx->restless = true;
}

/* A timestamp that has left makes the headers of all alternatives of a zocket too old, which nothing but alt_due knows:
 * they are told before that is computed anew, and before one with headers of now joins them.
 */
static void
spread_stamp(struct zf_ctx *ctx, struct zft *ts)
{
	struct alt_room *r = room_of(ctx);

	if ((ts->flags & (TF_ALT | TF_TS)) != (TF_ALT | TF_TS) || seq_lt(ts->rcv_nxt, ts->alt_due))
		return;
	for (uint32_t i = 0; i < r->n; i++) {
		struct alt *a = &r->alts[i];

		if (a->zft != ts->index || a->state != ALT_READY || !tcp_prep_is_next(ts, &a->prep))
			continue;
		if (tcp_prep_fits(ctx, ts, &a->prep)) {
			discard_in_port(ctx, a);
			start_drain(ctx, a, ALT_REBUILD);
		} else {
			a->prep.path_gen = 0; /* sent otherwise, with headers of then */
		}
	}
	retie(ctx, ts->index);
}

/* Its frames leave the port unsent, to come back with new headers. */
static void
start_rebuild(struct zf_ctx *ctx, struct alt *a)
{
	discard_in_port(ctx, a);
	start_drain(ctx, a, ALT_REBUILD);
	spread_stamp(ctx, zft_of(ctx, a));
	retie(ctx, a->zft);
}

/* Frames from the @from-th on into the port: false if it has no room. */
static bool
give_to_port(struct zf_ctx *ctx, struct alt *a, uint32_t from)
{
	struct tcp_prep *p = &a->prep;
	uint16_t n = (uint16_t)(p->n - from);

	for (uint32_t k = from; k < p->n; k++)
		rte_mbuf_refcnt_set(p->frames[k], 2);
	if (ctx->alt->queue(ctx->txq, id_of(ctx, a), p->frames + from, n) == n)
		return true;
	for (uint32_t k = from; k < p->n; k++)
		rte_mbuf_refcnt_set(p->frames[k], 1);
	return false;
}

/* Nothing of it is sent. What was queued goes; queueing is possible again when the port is done with it. */
static void
drop(struct zf_ctx *ctx, struct alt *a)
{
	uint32_t zft = a->zft;

	if (a->prep.n > 0) {
		discard_in_port(ctx, a);
		tcp_prep_cut(ctx, &a->prep, 0);
		ctx->alt_queued--;
		start_drain(ctx, a, ALT_DRAINING);
	}
	a->zft = TCP_NONE;
	if (zft != TCP_NONE)
		retie(ctx, zft);
}

void
alt_zft_gone(struct zf_ctx *ctx, uint32_t zft)
{
	struct alt_room *r = room_of(ctx);

	for (uint32_t i = 0; i < r->n; i++)
		if (r->alts[i].zft == zft)
			drop(ctx, &r->alts[i]);
}

static void
finish_rebuild(struct zf_ctx *ctx, struct alt *a)
{
	struct zft *ts = zft_of(ctx, a);
	struct tcp_prep *p = &a->prep;

	if (!tcp_prep_refresh(ctx, ts, p)) {
		/* They no longer fit the path. What a send will do with the payload needs no frames. */
		if (p->way == PREP_PORT)
			p->way = PREP_COPY;
	} else if (p->way == PREP_PORT && !give_to_port(ctx, a, 0)) {
		ctx->owed |= CTX_OWED_ALT;
		return;
	}
	spread_stamp(ctx, ts);
	a->state = ALT_READY;
	ctx_count(ctx, CNT_ALT_REBUILT);
	retie(ctx, a->zft);
}

/* An alternative whose frames have left the port, or are still on their way. */
static void
run_busy(struct zf_ctx *ctx, struct alt_room *r, struct alt *a)
{
	if (ctx->alt != NULL && ctx->alt->busy(ctx->txq, id_of(ctx, a)) > 0) {
		ctx->owed |= CTX_OWED_ALT;
		return;
	}
	if (a->state == ALT_REBUILD) {
		finish_rebuild(ctx, a);
		return;
	}
	space_put(&r->space, &a->space);
	a->state = ALT_EMPTY;
}

/* A queued one: does what has happened since concern its headers? */
static void
run_ready(struct zf_ctx *ctx, struct alt_room *r, struct alt *a)
{
	struct zft *ts = zft_of(ctx, a);

	if (!tcp_prep_is_next(ts, &a->prep)) {
		spread_stamp(ctx, ts);
		retie(ctx, a->zft); /* it can only be cancelled: never due */
		return;
	}
	if (!tcp_prep_fits(ctx, ts, &a->prep))
		a->prep.path_gen = 0;
	else if (is_due(r, ts, a) || !tcp_prep_still_good(ctx, ts, &a->prep))
		start_rebuild(ctx, a);
}

void
alt_run(struct zf_ctx *ctx)
{
	struct alt_room *r = room_of(ctx);

	ctx->owed &= ~(uint32_t)CTX_OWED_ALT;
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->n; i++) {
		struct alt *a = &r->alts[i];

		if (a->state == ALT_READY)
			run_ready(ctx, r, a);
		else if (a->state != ALT_EMPTY)
			run_busy(ctx, r, a);
	}
}

void
alt_port_reset(struct zf_ctx *ctx)
{
	struct alt_room *r = room_of(ctx);

	for (uint32_t i = 0; r != NULL && i < r->n; i++) {
		struct alt *a = &r->alts[i];

		if (a->prep.n == 0 || a->prep.way != PREP_PORT)
			continue;
		if (ctx->alt == NULL) { /* nor will it take others */
			a->prep.way = PREP_COPY;
			a->prep.path_gen = 0;
		} else if (a->state == ALT_READY) {
			start_drain(ctx, a, ALT_REBUILD);
			retie(ctx, a->zft);
		}
	}
}

bool
alt_is_quiet(const struct zf_ctx *ctx)
{
	return (ctx->owed & CTX_OWED_ALT) == 0;
}

ZF_EXPORT int
zf_alternatives_alloc(struct zf_stack *st, const struct zf_attr *attr ZF_UNUSED, zf_althandle *alt_out)
{
	struct alt_room *r = st->alt;

	for (uint32_t i = 0; r != NULL && i < r->n; i++)
		if (!r->alts[i].taken) {
			r->alts[i].taken = true;
			*alt_out = i;
			return 0;
		}
	return -ENOMEM;
}

ZF_EXPORT int
zf_alternatives_cancel(struct zf_stack *st, zf_althandle h)
{
	struct zf_ctx *ctx = &st->ctx;
	struct alt *a = find(st, h);
	uint32_t zft;

	if (a == NULL || a->zft == TCP_NONE)
		return 0;
	tcp_enter(ctx);
	zft = a->zft;
	if (zft != TCP_NONE) { /* events may have ended it */
		spread_stamp(ctx, &ctx->tcp->zfts[zft]);
		drop(ctx, a);
		tcp_fast_update(ctx, &ctx->tcp->zfts[zft]);
	}
	tcp_leave(ctx);
	return 0;
}

ZF_EXPORT int
zf_alternatives_release(struct zf_stack *st, zf_althandle h)
{
	struct alt *a = find(st, h);

	(void)zf_alternatives_cancel(st, h);
	if (a != NULL)
		a->taken = false;
	return 0;
}

ZF_EXPORT unsigned
zf_alternatives_free_space(struct zf_stack *st, zf_althandle h)
{
	const struct alt *a = find(st, h);

	return a != NULL ? space_free(&st->alt->space, &a->space) : 0;
}

ZF_EXPORT int
zf_alternatives_query_overhead_tcp(struct zft *ts, struct ef_vi_transmit_alt_overhead *out)
{
	if (room_of(zft_ctx(ts)) == NULL)
		return -EINVAL;
	out->pre_round = ts->hdr_len + SPACE_WORD - 1;
	out->mask = ~(SPACE_WORD - 1);
	out->post_round = SPACE_WORD;
	return 0;
}

/* Frames from the @was-th on take their space: all, or none. */
static bool
take_space(struct alt_room *r, struct alt *a, uint32_t was)
{
	struct alt_space s = r->space;
	struct alt_held h = a->space;

	for (uint32_t k = was; k < a->prep.n; k++)
		if (!space_take(&s, &h, a->prep.frames[k]->data_len))
			return false;
	r->space = s;
	a->space = h;
	return true;
}

static int
queue_frames(struct zf_ctx *ctx, struct zft *ts, struct alt *a, const struct iovec *iov)
{
	struct alt_room *r = room_of(ctx);
	struct tcp_prep *p = &a->prep;
	struct alt_space space = r->space;
	struct alt_held held = a->space;
	uint32_t was = p->n;

	if (!tcp_prep_add(ctx, ts, p, iov->iov_base, (uint32_t)iov->iov_len)) {
		ctx->owed |= CTX_OWED_BUF_RETRY;
		return -ENOMEM;
	}
	/* A port that takes frames one by one is none that is full. */
	if (ctx->backlog_n > 0 || (ctx->tx_room != NULL && ctx->tx_room(ctx->txq) == 0)) {
		tcp_prep_cut(ctx, p, was);
		ctx->owed |= CTX_OWED_TX_RETRY;
		return -EBUSY;
	}
	if (!take_space(r, a, was)) {
		tcp_prep_cut(ctx, p, was);
		return -ENOBUFS;
	}
	if (p->way == PREP_PORT && p->n > was && !give_to_port(ctx, a, was)) {
		r->space = space;
		a->space = held;
		tcp_prep_cut(ctx, p, was);
		ctx->owed |= CTX_OWED_TX_RETRY;
		return -EBUSY;
	}
	if (p->n > 0) {
		ctx->alt_queued += was == 0;
		a->state = ALT_READY;
	}
	a->zft = ts->index;
	ts->fast_send_bytes = 0;
	retie(ctx, ts->index);
	return 0;
}

static int
queue(struct zf_ctx *ctx, struct zft *ts, struct alt *a, const struct iovec *iov)
{
	int rc;

	if (a->zft != TCP_NONE && a->zft != ts->index)
		return -EINVAL;
	if (a->state == ALT_READY && tcp_prep_is_next(ts, &a->prep) && is_due(room_of(ctx), ts, a) &&
	    tcp_prep_fits(ctx, ts, &a->prep))
		start_rebuild(ctx, a);
	spread_stamp(ctx, ts);
	if (a->state == ALT_DRAINING || a->state == ALT_REBUILD)
		return -EBUSY;
	rc = tcp_prep_check(ctx, ts, &a->prep, iov->iov_len);
	if (rc == -ENOMEM)
		ctx->owed |= CTX_OWED_BUF_RETRY;
	return rc < 0 ? rc : queue_frames(ctx, ts, a, iov);
}

ZF_EXPORT int
zft_alternatives_queue(struct zft *ts, zf_althandle h, const struct iovec *iov, int iov_cnt, int flags)
{
	struct zf_ctx *ctx = zft_ctx(ts);
	struct alt *a = find(stack_of(ctx), h);
	int rc;

	if (a == NULL || iov_cnt != 1 || flags != 0)
		return -EINVAL;
	tcp_enter(ctx);
	/* What owed acknowledgements let go leaves first, and an ACK that is due: what is made now is to be the next frame. */
	tcp_flush(ctx, ts);
	if (ctx->tcp->pend_head != TCP_NONE)
		tcp_run_pending(ctx);
	rc = queue(ctx, ts, a, iov);
	tcp_leave(ctx);
	return rc;
}

/* The port gets the frames of a plain alternative: how many it takes. */
static ZF_ALWAYS_INLINE uint32_t
ring(struct zf_ctx *ctx, struct alt *a)
{
	struct tcp_prep *p = &a->prep;
	uint32_t k = 0;

	if (p->way == PREP_COPY) {
		if (zf_unlikely(ctx->tx_copy == NULL)) /* the queue has just become a shared one */
			return 0;
		do {
			const struct rte_mbuf *m = p->frames[k];
			const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

			if (zf_unlikely(ctx->tx_copy(ctx->txq, at, p->hdr_len, at + p->hdr_len,
						     (uint32_t)m->data_len - p->hdr_len) == 0))
				break;
		} while (++k < p->n);
		return k;
	}
	if (p->way != PREP_PORT)
		return ctx->tx(ctx->txq, p->frames, (uint16_t)p->n);
	ctx->alt->go(ctx->txq, id_of(ctx, a));
	return p->n;
}

/* Its frames have left, or are about to. */
static ZF_ALWAYS_INLINE void
untie_sent(struct zf_ctx *ctx, struct alt *a)
{
	uint32_t zft = a->zft;

	a->zft = TCP_NONE;
	ctx->alt_queued--;
	start_drain(ctx, a, ALT_DRAINING);
	retie(ctx, zft);
}

/* What tcp_prep_is_plain() says leaves at once; the books follow. */
static ZF_ALWAYS_INLINE void
send_plain(struct zf_ctx *ctx, struct zft *ts, struct alt *a)
{
	uint32_t k = ring(ctx, a);

	untie_sent(ctx, a);
	tcp_prep_sent(ctx, ts, &a->prep, k);
	tcp_fast_update(ctx, ts);
	ctx_count(ctx, CNT_ALT_SENT);
}

/* The ordinary way sends it, as far as may be. What lies in the port is dropped. */
static void
send_queued(struct zf_ctx *ctx, struct zft *ts, struct alt *a)
{
	discard_in_port(ctx, a);
	untie_sent(ctx, a);
	tcp_prep_queue(ctx, ts, &a->prep);
	ctx_count(ctx, CNT_ALT_SENT_SLOW);
}

static int
send_checked(struct zf_ctx *ctx, struct alt *a)
{
	struct zft *ts;

	if (a->state == ALT_DRAINING)
		return -EBUSY;
	if (a->prep.n == 0)
		return 0;
	ts = zft_of(ctx, a);
	tcp_flush(ctx, ts);
	if (a->zft == TCP_NONE) /* that was its end */
		return -EINVAL;
	if (!tcp_prep_is_next(ts, &a->prep))
		return -EINVAL;
	if (a->state == ALT_READY && is_due(room_of(ctx), ts, a) && tcp_prep_fits(ctx, ts, &a->prep))
		start_rebuild(ctx, a);
	if (a->state == ALT_REBUILD)
		return -EBUSY;
	if (tcp_prep_is_plain(ctx, ts, &a->prep))
		send_plain(ctx, ts, a);
	else
		send_queued(ctx, ts, a);
	return 0;
}

static ZF_NOINLINE int
send_slow(struct zf_ctx *ctx, struct alt *a)
{
	int rc;

	tcp_enter(ctx);
	rc = send_checked(ctx, a);
	tcp_leave(ctx);
	return rc;
}

ZF_EXPORT int
zf_alternatives_send(struct zf_stack *st, zf_althandle h)
{
	struct zf_ctx *ctx = &st->ctx;
	struct alt *a = find(st, h);
	struct zft *ts;

	if (zf_unlikely(a == NULL))
		return -EINVAL;
	ctx_enter(ctx);
	if (zf_unlikely(a->state != ALT_READY))
		return send_slow(ctx, a);
	ts = zft_of(ctx, a);
	if (zf_unlikely(!tcp_prep_is_plain(ctx, ts, &a->prep)))
		return send_slow(ctx, a);
	send_plain(ctx, ts, a);
	ctx_publish(ctx);
	ctx_leave(ctx);
	return 0;
}
