/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The timing wheel of a stack: arm and cancel in constant time, exact to one tick, whatever the
 * distance. Nine levels of 64 slots; a timer lies at the level of the highest 6-bit digit in which
 * its tick differs from the wheel's, so everything at a lower level expires before anything at a
 * higher one.
 *
 * Timers and wheel lie in one mapping and are linked by offsets, because zf_stackdump reads that
 * mapping at another address. The wheel knows cycles and ticks, neither seconds nor what a timer is
 * for: `kind` is the owner's.
 */
#ifndef ZF_BASE_WHEEL_H
#define ZF_BASE_WHEEL_H

#include "base/compiler.h"

/* One tick is 2^15 cycles: 14 us at 2.4 GHz. */
#define WHEEL_TICK_SHIFT  15
#define WHEEL_LEVEL_BITS  6
#define WHEEL_LEVEL_SLOTS (1 << WHEEL_LEVEL_BITS)
#define WHEEL_LEVELS      9
/* A deadline beyond this tick (2^64 cycles, minus one tick) counts as this tick. */
#define WHEEL_TICK_MAX ((1ull << (64 - WHEEL_TICK_SHIFT)) - 1)

/* A place in a circular list: offsets from the struct wheel, in units of 8 bytes. */
struct wheel_link {
	int32_t next;
	int32_t prev;
};

/* All zero is a timer that is not armed. Must be 8-byte aligned and within 16 GiB of its wheel. */
struct wheel_timer {
	struct wheel_link link;
	uint64_t expires_tick; /* the first tick at which it may fire */
	uint16_t place;        /* 1 + the slot it hangs in, of all levels; 0: not armed */
	uint8_t kind;          /* the owner's dispatch byte; never touched here */
	uint8_t user;          /* the owner's too */
	uint32_t user_id;      /* the owner's too */
};
ZF_STATIC_ASSERT(sizeof(struct wheel_timer) == 24, "three words, so that a pcb can afford several");

struct wheel {
	/* Read at each poll. No timer expires before this clock value (cycles), UINT64_MAX when
	 * none is armed. Exact when the earliest timer is less than 64 ticks ahead, alone in its
	 * slot, or was armed as the earliest and not moved since; otherwise perhaps too early, by
	 * one wake-up per level and slot.
	 */
	uint64_t next_due;
	/* Ticks. Every armed timer has expires_tick >= cur; never ahead of the clock. */
	uint64_t cur;
	uint32_t n_armed;
	uint32_t levels; /* bit l: level l holds a timer */
	uint64_t slots[WHEEL_LEVELS];
	struct wheel_link heads[WHEEL_LEVELS * WHEEL_LEVEL_SLOTS];
};

/* @now in cycles. The wheel must be 8-byte aligned. */
void wheel_init(struct wheel *w, uint64_t now);

/* Arm, or move if armed. Fires at the first wheel_pop() whose clock has reached @deadline rounded
 * up to a tick, so never early and at most one tick late; a deadline that has passed fires at the
 * next wheel_pop(), of the same loop too: who re-arms without end while popping, pops without end.
 */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline);

/* No-op when not armed. */
void wheel_cancel(struct wheel *w, struct wheel_timer *t);

/* The next expired timer, disarmed, in the order of ticks; NULL when none is left. Arming and
 * cancelling between two calls is allowed. Each armed timer is touched at most once per level in
 * its life, however far the clock jumps.
 */
struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now);

/* The earliest deadline in cycles, exact (a multiple of the tick); UINT64_MAX if none. Walks one
 * slot, so its cost grows with the timers there: sleepers and virtual clocks that do not mind an
 * early wake-up use next_due.
 */
uint64_t wheel_next_expiry(const struct wheel *w);

static inline bool
wheel_is_armed(const struct wheel_timer *t)
{
	return t->place != 0;
}

/* When an armed timer fires, in cycles. */
static inline uint64_t
wheel_expires(const struct wheel_timer *t)
{
	return t->expires_tick << WHEEL_TICK_SHIFT;
}

#endif
