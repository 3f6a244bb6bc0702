/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sequence numbers: a type of their own, so that the compiler refuses to compare them with < or to mix them with
 * lengths. All arithmetic is modulo 2^32 (RFC 9293 3.4); an order between two of them has a meaning only while they lie
 * within 2^31 of each other.
 */
#ifndef ZF_TCP_SEQ_H
#define ZF_TCP_SEQ_H

#include "base/compiler.h"

typedef struct {
	uint32_t n;
} tcpseq_t;

static ZF_ALWAYS_INLINE tcpseq_t
seq_of(uint32_t n)
{
	return (tcpseq_t){n};
}

static ZF_ALWAYS_INLINE tcpseq_t
seq_add(tcpseq_t a, uint32_t n)
{
	return (tcpseq_t){a.n + n};
}

static ZF_ALWAYS_INLINE tcpseq_t
seq_less(tcpseq_t a, uint32_t n)
{
	return (tcpseq_t){a.n - n};
}

/* How far @a lies ahead of @b: meaningful where it is known to. */
static ZF_ALWAYS_INLINE uint32_t
seq_sub(tcpseq_t a, tcpseq_t b)
{
	return a.n - b.n;
}

/* The same with a sign. */
static ZF_ALWAYS_INLINE int32_t
seq_diff(tcpseq_t a, tcpseq_t b)
{
	return (int32_t)(a.n - b.n);
}

static ZF_ALWAYS_INLINE bool
seq_eq(tcpseq_t a, tcpseq_t b)
{
	return a.n == b.n;
}

static ZF_ALWAYS_INLINE bool
seq_lt(tcpseq_t a, tcpseq_t b)
{
	return (int32_t)(a.n - b.n) < 0;
}

static ZF_ALWAYS_INLINE bool
seq_leq(tcpseq_t a, tcpseq_t b)
{
	return (int32_t)(a.n - b.n) <= 0;
}

static ZF_ALWAYS_INLINE bool
seq_gt(tcpseq_t a, tcpseq_t b)
{
	return seq_lt(b, a);
}

static ZF_ALWAYS_INLINE bool
seq_geq(tcpseq_t a, tcpseq_t b)
{
	return seq_leq(b, a);
}

static ZF_ALWAYS_INLINE tcpseq_t
seq_max(tcpseq_t a, tcpseq_t b)
{
	return seq_lt(a, b) ? b : a;
}

static ZF_ALWAYS_INLINE tcpseq_t
seq_min(tcpseq_t a, tcpseq_t b)
{
	return seq_lt(a, b) ? a : b;
}

#endif
