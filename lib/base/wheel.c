/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See wheel.h. The invariant everything rests on: a timer at level l, slot s agrees with `cur` in
 * all digits above l, and its digit l is s; at level 0 s >= cur's digit, above it s > cur's digit.
 * Hence the lowest occupied level and in it the lowest slot hold the earliest timers, no slot is
 * ever wrapped around, and `cur` may jump to any tick up to the start of that slot without touching
 * a timer.
 */
#include "base/wheel.h"

#include "base/check.h"

static ZF_ALWAYS_INLINE struct wheel_link *
link_at(const struct wheel *w, int32_t off)
{
	return (struct wheel_link *)((char *)(uintptr_t)w + (ptrdiff_t)off * 8);
}

static ZF_ALWAYS_INLINE int32_t
link_off(const struct wheel *w, const struct wheel_link *l)
{
	ptrdiff_t d = (const char *)l - (const char *)w;

	ZF_ASSERT((d & 7) == 0 && d / 8 == (int32_t)(d / 8));
	return (int32_t)(d >> 3);
}

static ZF_ALWAYS_INLINE struct wheel_timer *
timer_of(struct wheel_link *l)
{
	return zf_container_of(l, struct wheel_timer, link);
}

/* Rounded up, so that a timer never fires early. */
static ZF_ALWAYS_INLINE uint64_t
tick_of(uint64_t deadline)
{
	uint64_t tick = deadline >> WHEEL_TICK_SHIFT;

	tick += (deadline & ((1u << WHEEL_TICK_SHIFT) - 1)) != 0;
	return ZF_MIN(tick, WHEEL_TICK_MAX);
}

static ZF_ALWAYS_INLINE uint64_t
slot_start(const struct wheel *w, unsigned level, unsigned slot)
{
	unsigned shift = level * WHEEL_LEVEL_BITS;

	return (w->cur >> (shift + WHEEL_LEVEL_BITS) << (shift + WHEEL_LEVEL_BITS)) |
	       (uint64_t)slot << shift;
}

/* The slot, of all levels, for a tick that is not before `cur`. */
static ZF_ALWAYS_INLINE unsigned
place_of(const struct wheel *w, uint64_t tick)
{
	unsigned high = 63 - __builtin_clzll((tick ^ w->cur) | (WHEEL_LEVEL_SLOTS - 1));
	unsigned level = high / WHEEL_LEVEL_BITS;
	unsigned slot = (tick >> (level * WHEEL_LEVEL_BITS)) & (WHEEL_LEVEL_SLOTS - 1);

	ZF_ASSERT(tick >= w->cur && level < WHEEL_LEVELS);
	return level * WHEEL_LEVEL_SLOTS + slot;
}

static ZF_ALWAYS_INLINE void
timer_link(struct wheel *w, struct wheel_timer *t, unsigned place)
{
	struct wheel_link *head = &w->heads[place];
	int32_t off = link_off(w, &t->link);

	t->link.next = link_off(w, head);
	t->link.prev = head->prev;
	link_at(w, head->prev)->next = off;
	head->prev = off;
	t->place = (uint16_t)(place + 1);
	w->slots[place / WHEEL_LEVEL_SLOTS] |= 1ull << (place % WHEEL_LEVEL_SLOTS);
	w->levels |= 1u << (place / WHEEL_LEVEL_SLOTS);
}

static ZF_ALWAYS_INLINE void
timer_unlink(struct wheel *w, struct wheel_timer *t)
{
	int32_t next = t->link.next;
	int32_t prev = t->link.prev;

	link_at(w, prev)->next = next;
	link_at(w, next)->prev = prev;
	/* Both neighbours are one link: that is the head, now alone. */
	if (next == prev) {
		unsigned level = (t->place - 1u) / WHEEL_LEVEL_SLOTS;

		w->slots[level] &= ~(1ull << ((t->place - 1u) % WHEEL_LEVEL_SLOTS));
		if (w->slots[level] == 0)
			w->levels &= ~(1u << level);
	}
	t->place = 0;
}

/* The earliest deadline as far as it is known without walking a list. */
static uint64_t
next_due(const struct wheel *w)
{
	unsigned level;
	unsigned slot;
	const struct wheel_link *head;

	if (w->levels == 0)
		return UINT64_MAX;
	level = __builtin_ctz(w->levels);
	slot = __builtin_ctzll(w->slots[level]);
	head = &w->heads[level * WHEEL_LEVEL_SLOTS + slot];
	if (level != 0 && head->next == head->prev)
		return wheel_expires(timer_of(link_at(w, head->next)));
	return slot_start(w, level, slot) << WHEEL_TICK_SHIFT;
}

/* Spreads the earliest slot, which `cur` has just reached, over the levels below. */
static void
cascade(struct wheel *w, unsigned level, unsigned slot)
{
	struct wheel_link *head = &w->heads[level * WHEEL_LEVEL_SLOTS + slot];
	int32_t end = link_off(w, head);
	int32_t off = head->next;

	head->next = head->prev = end;
	w->slots[level] &= ~(1ull << slot);
	if (w->slots[level] == 0)
		w->levels &= ~(1u << level);
	while (off != end) {
		struct wheel_timer *t = timer_of(link_at(w, off));

		off = t->link.next;
		timer_link(w, t, place_of(w, t->expires_tick));
	}
}

void
wheel_init(struct wheel *w, uint64_t now)
{
	*w = (struct wheel){.next_due = UINT64_MAX, .cur = now >> WHEEL_TICK_SHIFT};
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(w->heads); i++)
		w->heads[i].next = w->heads[i].prev = link_off(w, &w->heads[i]);
}

/* A retransmission timer moves by microseconds with every packet and seldom leaves its slot. */
static ZF_ALWAYS_INLINE void
rearm_in_place(struct wheel *w, struct wheel_timer *t, uint64_t tick)
{
	bool was_next = wheel_expires(t) <= w->next_due;

	t->expires_tick = tick;
	/* Alone in the earliest slot it stays the earliest. In company next_due stays as it was:
	 * early at worst. */
	if (wheel_expires(t) < w->next_due || (was_next && t->link.next == t->link.prev))
		w->next_due = wheel_expires(t);
}

static ZF_NOINLINE void
rearm_elsewhere(struct wheel *w, struct wheel_timer *t, uint64_t tick, unsigned place)
{
	bool was_next = wheel_expires(t) <= w->next_due;

	timer_unlink(w, t);
	t->expires_tick = tick;
	timer_link(w, t, place);
	if (wheel_expires(t) < w->next_due)
		w->next_due = wheel_expires(t);
	else if (was_next)
		w->next_due = next_due(w);
}

void
wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
	uint64_t tick = ZF_MAX(tick_of(deadline), w->cur);
	unsigned place = place_of(w, tick);

	if (t->place == place + 1) {
		rearm_in_place(w, t, tick);
		return;
	}
	if (wheel_is_armed(t)) {
		rearm_elsewhere(w, t, tick, place);
		return;
	}
	w->n_armed++;
	t->expires_tick = tick;
	timer_link(w, t, place);
	if (wheel_expires(t) < w->next_due)
		w->next_due = wheel_expires(t);
}

void
wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
	if (!wheel_is_armed(t))
		return;
	timer_unlink(w, t);
	/* Else the reactor would be woken for a timer that no longer exists. */
	if (--w->n_armed == 0)
		w->next_due = UINT64_MAX;
	else if (wheel_expires(t) <= w->next_due)
		w->next_due = next_due(w);
}

struct wheel_timer *
wheel_pop(struct wheel *w, uint64_t now)
{
	uint64_t target = now >> WHEEL_TICK_SHIFT;

	/* Bounded: each round takes a timer or empties a slot into lower levels. */
	while (w->levels != 0) {
		unsigned level = __builtin_ctz(w->levels);
		unsigned slot = __builtin_ctzll(w->slots[level]);
		uint64_t start = slot_start(w, level, slot);
		struct wheel_timer *t;

		if (start > target)
			break;
		w->cur = start;
		if (level != 0) {
			cascade(w, level, slot);
			continue;
		}
		t = timer_of(link_at(w, w->heads[slot].next));
		timer_unlink(w, t);
		w->n_armed--;
		w->next_due = next_due(w);
		return t;
	}
	w->cur = ZF_MAX(w->cur, target);
	w->next_due = next_due(w);
	return NULL;
}

uint64_t
wheel_next_expiry(const struct wheel *w)
{
	unsigned level;
	unsigned slot;
	const struct wheel_link *head;
	uint64_t min = UINT64_MAX;

	if (w->levels == 0)
		return UINT64_MAX;
	level = __builtin_ctz(w->levels);
	slot = __builtin_ctzll(w->slots[level]);
	if (level == 0)
		return slot_start(w, level, slot) << WHEEL_TICK_SHIFT;
	head = &w->heads[level * WHEEL_LEVEL_SLOTS + slot];
	for (int32_t off = head->next; off != link_off(w, head); off = link_at(w, off)->next)
		min = ZF_MIN(min, wheel_expires(timer_of(link_at(w, off))));
	return min;
}
