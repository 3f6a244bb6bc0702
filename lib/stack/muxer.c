/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls of the multiplexer. core/mux.c knows who is to be looked at; here a waitable is asked what is true of it.
 */
#include <errno.h>

#include "stack/stack.h"

static struct zf_stack *
stack_of_waitable(struct zf_waitable *w)
{
	return (struct zf_stack *)((char *)w - offsetof(struct zf_stack, w));
}

/* NULL: its zocket was freed. A waitable is the first member of its zocket. */
static struct zf_ctx *
waitable_ctx(struct zf_waitable *w)
{
	switch (w->kind) {
	case WAITABLE_UDP_RX:
		return zfur_ctx((struct zfur *)w);
	case WAITABLE_UDP_TX:
		return zfut_ctx((struct zfut *)w);
	case WAITABLE_TCP: /* a freed connection may live on for a while, as nobody's */
		return ((struct zft *)w)->flags & TF_APP ? zft_ctx((struct zft *)w) : NULL;
	case WAITABLE_TCP_LISTEN:
		return zftl_ctx((struct zftl *)w);
	case WAITABLE_STACK:
		return &stack_of_waitable(w)->ctx;
	default:
		return NULL;
	}
}
ZF_STATIC_ASSERT(offsetof(struct zfur, w) == 0 && offsetof(struct zfut, w) == 0, "cast from its waitable");
ZF_STATIC_ASSERT(offsetof(struct zft, w) == 0 && offsetof(struct zftl, w) == 0, "cast from its waitable");

static uint16_t
waitable_events(struct zf_waitable *w)
{
	switch (w->kind) {
	case WAITABLE_UDP_RX:
		return zfur_events((struct zfur *)w);
	case WAITABLE_UDP_TX:
		return zfut_events((struct zfut *)w);
	case WAITABLE_TCP:
		return tcp_events((struct zft *)w);
	case WAITABLE_TCP_LISTEN:
		return tcp_listen_events((struct zftl *)w);
	case WAITABLE_STACK:
		return zf_stack_is_quiescent(stack_of_waitable(w)) ? EPOLLSTACKHUP : 0;
	default:
		return 0;
	}
}

ZF_EXPORT int
zf_muxer_alloc(struct zf_stack *stack, struct zf_muxer_set **muxer_out)
{
	struct zf_muxer_set *set = mux_set_take(stack->ctx.mux);

	if (set == NULL)
		return -ENOMEM;
	*muxer_out = set;
	return 0;
}

ZF_EXPORT void
zf_muxer_free(struct zf_muxer_set *muxer)
{
	if (muxer != NULL && muxer->open)
		mux_set_drop(mux_ctx(muxer)->mux, muxer);
}

/* What is wanted is known: it is reported if it is true already. */
static void
arm(struct zf_ctx *ctx, struct zf_waitable *w)
{
	uint16_t events = waitable_events(w);

	if (w->kind == WAITABLE_STACK)
		ctx->restless = events == 0;
	if (w->wanted & events)
		mux_list(ctx, w);
}

ZF_EXPORT int
zf_muxer_add(struct zf_muxer_set *muxer, struct zf_waitable *w, const struct epoll_event *event)
{
	struct zf_ctx *ctx = mux_ctx(muxer);
	const struct zf_ctx *of = waitable_ctx(w);

	if (of == NULL)
		return -EINVAL;
	if (of != ctx)
		return -EXDEV;
	if (w->member != 0)
		return mux_member_of(ctx->mux, w)->set == muxer->index ? -EALREADY : -EBUSY;
	mux_join(ctx, muxer, w);
	if (w->kind == WAITABLE_STACK)
		muxer->has_stack = true;
	mux_tell(ctx->mux, w, event);
	arm(ctx, w);
	return 0;
}

ZF_EXPORT int
zf_muxer_mod(struct zf_waitable *w, const struct epoll_event *event)
{
	struct zf_ctx *ctx = waitable_ctx(w);

	if (ctx == NULL || w->member == 0)
		return -EINVAL;
	mux_tell(ctx->mux, w, event);
	arm(ctx, w);
	return 0;
}

ZF_EXPORT int
zf_muxer_del(struct zf_waitable *w)
{
	struct zf_ctx *ctx = waitable_ctx(w);

	if (ctx == NULL || w->member == 0)
		return -EINVAL;
	mux_leave(ctx, w);
	return 0;
}

ZF_EXPORT struct epoll_event *
zf_waitable_event(struct zf_waitable *w)
{
	struct zf_ctx *ctx = waitable_ctx(w);

	if (ctx == NULL || w->member == 0)
		return NULL;
	return &mux_member_of(ctx->mux, w)->ev;
}

/* Nobody raises quiescence: it is the absence of everything else. What breaks it leaves a note, so that the edge is seen
 * even if it came and went while only zf_reactor_perform() was called.
 */
static ZF_NOINLINE void
look_at_stack(struct zf_ctx *ctx)
{
	struct zf_stack *st = stack_of(ctx);

	if (!zf_stack_is_quiescent(st)) {
		ctx->restless = true;
	} else if (ctx->restless) {
		ctx->restless = false;
		if (st->w.wanted & EPOLLSTACKHUP)
			mux_list(ctx, &st->w);
	}
}

/* Those that something happened to, as far as it is still true. What is left over stays in the list. */
static ZF_ALWAYS_INLINE int
report(struct zf_ctx *ctx, struct zf_muxer_set *set, struct epoll_event *events, int max)
{
	struct mux_room *r = ctx->mux;
	struct zf_waitable *w;
	int n = 0;

	if (zf_unlikely(set->has_stack))
		look_at_stack(ctx);
	while (n < max && (w = mux_pop(r, set)) != NULL) {
		uint16_t true_now = waitable_events(w) & w->wanted;

		if (true_now == 0)
			continue;
		events[n].events = true_now;
		events[n].data = mux_member_of(r, w)->ev.data;
		n++;
	}
	return n;
}

/* Centuries hence is never: neither the product nor the sum may wrap. */
static uint64_t
deadline(const struct zf_ctx *ctx, uint64_t ns)
{
	unsigned __int128 cycles = (unsigned __int128)ns * ctx->hz / 1000000000u + ctx_read_clock(ctx);

	return cycles < UINT64_MAX ? (uint64_t)cycles : UINT64_MAX;
}

struct wait {
	struct zf_ctx *ctx;
	struct zf_muxer_set *set;
	struct epoll_event *events;
	int max, n;
};

static bool
found(void *arg)
{
	struct wait *w = arg;

	w->n = report(w->ctx, w->set, w->events, w->max);
	return w->n > 0;
}

static ZF_NOINLINE int
wait_more(struct wait *w, int64_t timeout_ns)
{
	struct zf_ctx *ctx = w->ctx;

	ctx->wait_until = timeout_ns > 0 ? deadline(ctx, (uint64_t)timeout_ns) : UINT64_MAX;
	(void)stack_wait(ctx, found, w);
	ctx->wait_until = 0;
	return w->n;
}

ZF_EXPORT int
zf_muxer_wait(struct zf_muxer_set *muxer, struct epoll_event *events, int maxevents, int64_t timeout_ns)
{
	struct zf_ctx *ctx = mux_ctx(muxer);
	int n;

	/* Somebody is to be looked at already: news of the port is welcome, waiting for it is not. */
	(void)stack_perform(ctx, muxer->head == MUX_NONE ? ctx->spin_count : 1);
	n = report(ctx, muxer, events, maxevents);
	if (zf_likely(n > 0) || timeout_ns == 0 || maxevents <= 0)
		return n;
	return wait_more(&(struct wait){ctx, muxer, events, maxevents, 0}, timeout_ns);
}
