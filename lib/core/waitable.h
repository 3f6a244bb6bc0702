/* SPDX-License-Identifier: BSD-3-Clause
 *
 * First member of every zocket, and of a stack: what makes it known to a muxer, and the one line that raises an event.
 *
 * An event is raised by whoever makes it true (input, timers, the reactor's retries); a waitable that a set wants it of
 * goes onto that set's list (mux.c). Whether it is still true is asked when it is reported, of the zocket itself
 * (lib/stack/muxer.c), so nothing is kept here that could become stale.
 */
#ifndef ZF_CORE_WAITABLE_H
#define ZF_CORE_WAITABLE_H

#include "core/ctx.h"

enum waitable_kind {
	WAITABLE_NONE,
	WAITABLE_UDP_RX,
	WAITABLE_UDP_TX,
	WAITABLE_TCP,
	WAITABLE_TCP_LISTEN,
	WAITABLE_STACK,
};

/* zf_waitable.flags */
enum waitable_flags {
	WAITABLE_LISTED = 1,   /* in the list of its set */
	WAITABLE_WANTING = 2,  /* in the list of those that wait for the stack, see mux_want() */
	WAITABLE_WANT_TX = 4,  /* a send found the port full: no EPOLLOUT until the reactor sees room */
	WAITABLE_WANT_BUF = 8, /* a send found no buffer: likewise */
};

/* Eight bytes, since it is in the first cache line of a connection. */
struct zf_waitable {
	uint8_t kind;    /* enum waitable_kind */
	uint8_t flags;   /* enum waitable_flags */
	uint16_t wanted; /* EPOLL* bits that its set wants to hear of; 0: none, or no member */
	uint32_t member; /* 1 + index of its record, 0: in no set */
};
ZF_STATIC_ASSERT(sizeof(struct zf_waitable) == 8, "part of the first line of struct zft");

/* mux.c: onto the list of its set, unless it is there. */
void mux_list(struct zf_ctx *ctx, struct zf_waitable *w);
/* The zocket goes: it leaves its set. */
void mux_forget(struct zf_ctx *ctx, struct zf_waitable *w);
/* A send failed for want of what @flag says (WAITABLE_WANT_*): EPOLLOUT is raised when the reactor says so. */
void mux_want(struct zf_ctx *ctx, struct zf_waitable *w, uint8_t flag);
/* What @flag stands for is there again. */
void mux_wake(struct zf_ctx *ctx, uint8_t flag);

/* Something happened to @w that an application can see: EPOLL* @events. */
static ZF_ALWAYS_INLINE void
waitable_raise(struct zf_ctx *ctx, struct zf_waitable *w, uint16_t events)
{
	ctx->visible = 1;
	if (zf_unlikely((w->wanted & events) != 0))
		mux_list(ctx, w);
}

#endif
