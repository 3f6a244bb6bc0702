/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Deadlines of a connection. It has several and one wheel timer, armed for the earliest or earlier: moving a deadline
 * away or switching it off is a store, and the wheel wakes up for nothing once per period at most.
 */
#ifndef ZF_TCP_TIMER_H
#define ZF_TCP_TIMER_H

#include "tcp/tcp.h"

/* @when in cycles; 0 switches it off. */
static ZF_ALWAYS_INLINE void
tcp_timer_set(struct zf_ctx *ctx, struct zft *ts, enum tcp_due which, uint64_t when)
{
	ts->due[which] = when;
	if (when != 0 && (!wheel_is_armed(&ts->timer) || when + ((1u << WHEEL_TICK_SHIFT) - 1) <
								 wheel_expires(&ts->timer))) {
		wheel_arm(ctx->wheel, &ts->timer, when);
		/* A fast send ends without ctx_publish(), and whoever sleeps behind it must wake up for this. */
		atomic_store_explicit(&ctx->pub_due, ctx->wheel->next_due, memory_order_relaxed);
	}
}

static inline void
tcp_timer_off(struct zft *ts, enum tcp_due which)
{
	ts->due[which] = 0;
}

#endif
