/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The demux hash table: open addressing over 8-byte entries of a 32-bit tag (the keyed hash itself) and a 32-bit
 * index + 1. The key is not here: the caller compares it in the object of that index, so that a lookup touches one
 * line of the table and the object it needs anyway. A probe is never longer than HTAB_PROBE entries; an insertion
 * that would need more fails, which at the load factors used here does not happen with a secret hash.
 *
 * Deletion shifts entries back, so that there are no tombstones and lookups do not decay.
 */
#ifndef ZF_CORE_HTAB_H
#define ZF_CORE_HTAB_H

#include "base/check.h"
#include "base/compiler.h"

#define HTAB_PROBE 64u

struct htab_entry {
	uint32_t tag;
	uint32_t index1; /* index + 1; 0 = empty */
};

struct htab {
	uint32_t mask;
	uint32_t n;
	int64_t entries_off; /* from this struct, in bytes: the table may be mapped elsewhere too */
};

static ZF_ALWAYS_INLINE struct htab_entry *
htab_entries(const struct htab *t)
{
	return (struct htab_entry *)((char *)(uintptr_t)t + t->entries_off);
}

/* Slots for @n objects at a load of at most one half. */
static inline uint32_t
htab_slots(uint32_t n)
{
	return (uint32_t)zf_roundup_pow2(2ull * ZF_MAX(n, 8u));
}

/* @entries: htab_slots(n) zeroed entries within 2^63 bytes of @t. */
static inline void
htab_init(struct htab *t, struct htab_entry *entries, uint32_t slots)
{
	ZF_ASSERT(zf_is_pow2(slots));
	t->mask = slots - 1;
	t->n = 0;
	t->entries_off = (char *)entries - (char *)t;
}

/* Walk all indexes stored under a tag:
 *     for (struct htab_iter it = htab_iter(t, tag); (i = htab_next(&it)) != HTAB_NONE;)
 * The table must not change meanwhile.
 */
struct htab_iter {
	const struct htab_entry *e;
	uint32_t mask, tag, slot, probe;
};

static inline struct htab_iter
htab_iter(const struct htab *t, uint32_t tag)
{
	return (struct htab_iter){htab_entries(t), t->mask, tag, tag & t->mask, 0};
}

static inline uint32_t
htab_next(struct htab_iter *it)
{
	while (it->probe++ < HTAB_PROBE) {
		const struct htab_entry *e = &it->e[it->slot];

		if (e->index1 == 0)
			break;
		it->slot = (it->slot + 1) & it->mask;
		if (e->tag == it->tag)
			return e->index1 - 1;
	}
	return UINT32_MAX;
}

#define HTAB_NONE UINT32_MAX

/* The first index whose tag is @tag and for which @match(index, @arg) holds, or HTAB_NONE. */
static ZF_ALWAYS_INLINE uint32_t
htab_find(const struct htab *t, uint32_t tag, bool (*match)(uint32_t index, const void *arg),
	  const void *arg)
{
	const struct htab_entry *e = htab_entries(t);
	uint32_t s = tag & t->mask;

	for (uint32_t probe = 0; probe < HTAB_PROBE; probe++, s = (s + 1) & t->mask) {
		if (e[s].index1 == 0)
			return HTAB_NONE;
		if (e[s].tag == tag && match(e[s].index1 - 1, arg))
			return e[s].index1 - 1;
	}
	return HTAB_NONE;
}

/* False when no slot is left within the probe length. */
static inline bool
htab_insert(struct htab *t, uint32_t tag, uint32_t index)
{
	struct htab_entry *e = htab_entries(t);
	uint32_t s = tag & t->mask;

	for (uint32_t probe = 0; probe < HTAB_PROBE; probe++, s = (s + 1) & t->mask) {
		if (e[s].index1 != 0)
			continue;
		e[s].tag = tag;
		e[s].index1 = index + 1;
		t->n++;
		return true;
	}
	return false;
}

/* The entry (@tag, @was) stands for @is from now on; false if it is not there. */
static inline bool
htab_replace(struct htab *t, uint32_t tag, uint32_t was, uint32_t is)
{
	struct htab_entry *e = htab_entries(t);
	uint32_t s = tag & t->mask;

	for (uint32_t probe = 0; probe < HTAB_PROBE && e[s].index1 != 0; probe++, s = (s + 1) & t->mask) {
		if (e[s].tag != tag || e[s].index1 != was + 1)
			continue;
		e[s].index1 = is + 1;
		return true;
	}
	return false;
}

/* Remove the entry (@tag, @index); false if it is not there. */
static inline bool
htab_remove(struct htab *t, uint32_t tag, uint32_t index)
{
	struct htab_entry *e = htab_entries(t);
	uint32_t hole = tag & t->mask;
	uint32_t probe;

	for (probe = 0; probe < HTAB_PROBE; probe++, hole = (hole + 1) & t->mask) {
		if (e[hole].index1 == 0)
			return false;
		if (e[hole].tag == tag && e[hole].index1 == index + 1)
			break;
	}
	if (probe == HTAB_PROBE)
		return false;
	for (uint32_t s = (hole + 1) & t->mask; e[s].index1 != 0; s = (s + 1) & t->mask) {
		/* An entry may move into the hole unless its home lies cyclically behind the hole. */
		uint32_t home = e[s].tag & t->mask;

		if (((s - home) & t->mask) >= ((s - hole) & t->mask)) {
			e[hole] = e[s];
			hole = s;
		}
	}
	e[hole].index1 = 0;
	e[hole].tag = 0;
	t->n--;
	return true;
}

#endif
