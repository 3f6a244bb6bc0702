/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Three strengths of "this cannot happen". None of them may ever depend on bytes that came from the wire, the
 * adapter or the application: those are errors or drops, and have names.
 *
 *   ZF_ASSERT  our own invariant; checked in debug, test and fuzz builds, nothing in release
 *   ZF_ASSUME  the same, and a promise to the optimiser; only for facts established in the same function
 *   zf_bug     impossible and dangerous; checked in release too: counts, logs once, and the caller backs out
 */
#ifndef ZF_BASE_CHECK_H
#define ZF_BASE_CHECK_H

#include "compiler.h"

#if defined(ZF_CHECKS) && ZF_CHECKS
/* Test and fuzz builds only: stop where it hurts, so that a debugger or a sanitizer shows the place. */
#define ZF_ASSERT(c)                                                                               \
	do {                                                                                       \
		if (zf_unlikely(!(c)))                                                             \
			check_failed(#c, __FILE__, __LINE__);                                      \
	} while (0)
#define ZF_ASSUME(c) ZF_ASSERT(c)
#else
#define ZF_ASSERT(c) ((void)sizeof(!(c)))
#define ZF_ASSUME(c)                                                                               \
	do {                                                                                       \
		if (!(c))                                                                          \
			__builtin_unreachable();                                                   \
	} while (0)
#endif

/* Writes one line to stderr and traps; exists in every build, is called in builds with ZF_CHECKS only. */
void check_failed(const char *what, const char *file, int line) __attribute__((noreturn, cold));

/* How many impossible things happened in this process (see zf_bug). */
extern uint64_t check_bug_count;
void check_bug(const char *what, const char *file, int line) __attribute__((cold));

/* True when the impossible condition @c holds: the caller must then give up on the one object concerned. */
#define zf_bug(c) (zf_unlikely(c) ? (check_bug(#c, __FILE__, __LINE__), true) : false)

#endif
