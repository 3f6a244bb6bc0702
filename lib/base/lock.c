/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See lock.h. The three states are those of U. Drepper, "Futexes are tricky".
 */
#include "base/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 100

void
lock_take_slow(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t is_free = 0;

		if (atomic_compare_exchange_weak_explicit(&l->word, &is_free, 1, memory_order_acquire,
							  memory_order_relaxed))
			return;
		zf_cpu_relax();
	}
	/* From here on it is taken as 2, perhaps with nobody else asleep: one needless wake-up. Ends when the holder gives it
	 * back.
	 */
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		(void)syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void
lock_give_slow(struct lock *l)
{
	(void)syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
