/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A lock between threads of one process for sections of a few dozen instructions, inlined where it is free: taking and
 * giving it costs a fifth of the instructions of a pthread mutex. Whoever does not get it soon sleeps in the kernel, so a
 * holder that was preempted, by a polling thread of higher priority too, is not waited for in vain. All zero is free.
 */
#ifndef ZF_BASE_LOCK_H
#define ZF_BASE_LOCK_H

#include <stdatomic.h>

#include "base/compiler.h"

struct lock {
	_Atomic uint32_t word; /* 0 free, 1 taken, 2 taken and somebody may sleep */
};

void lock_take_slow(struct lock *l) __attribute__((cold));
void lock_give_slow(struct lock *l) __attribute__((cold));

static ZF_ALWAYS_INLINE void
lock_take(struct lock *l)
{
	uint32_t is_free = 0;

	if (zf_unlikely(!atomic_compare_exchange_strong_explicit(&l->word, &is_free, 1, memory_order_acquire,
								 memory_order_relaxed)))
		lock_take_slow(l);
}

static ZF_ALWAYS_INLINE void
lock_give(struct lock *l)
{
	if (zf_unlikely(atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2))
		lock_give_slow(l);
}

#endif
