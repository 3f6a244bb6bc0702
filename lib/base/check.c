/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See check.h. Writes to descriptor 2 directly: whatever went wrong may have been the log.
 */
#include "base/check.h"

#include <stdio.h>

uint64_t check_bug_count;

void
check_failed(const char *what, const char *file, int line)
{
	(void)dprintf(2, "zf: assertion failed: %s (%s:%d)\n", what, file, line);
	__builtin_trap();
}

void
check_bug(const char *what, const char *file, int line)
{
	/* Only the first one speaks: a fault that repeats at packet rate must not fill a disk. */
	if (__atomic_fetch_add(&check_bug_count, 1, __ATOMIC_RELAXED) == 0)
		(void)dprintf(2, "zf: bug: %s (%s:%d); later ones are only counted\n", what, file,
			      line);
}
