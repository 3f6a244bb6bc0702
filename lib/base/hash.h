/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The keyed hash of every table a peer can fill: one 64x64 -> 128 bit multiplication, both halves
 * folded together. Without the secret nobody can choose keys that collide (a keyed CRC would be
 * linear: colliding once is colliding under every key). Not for values a peer gets to see: those
 * come from siphash.h.
 */
#ifndef ZF_BASE_HASH_H
#define ZF_BASE_HASH_H

#include "base/compiler.h"

/* Words are added to the secret, not xored: for sums, two different pairs give equal products with
 * probability 2^-64 over the secrets (the NH argument).
 */
static ZF_ALWAYS_INLINE uint64_t
hash_fold(uint64_t a, uint64_t b, const uint64_t secret[2])
{
	unsigned __int128 m = (unsigned __int128)(a + secret[0]) * (b + secret[1]);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* A table index below @n for any n < 2^32, from the upper half of the hash: no division. */
static ZF_ALWAYS_INLINE uint32_t
hash_reduce(uint64_t h, uint32_t n)
{
	return (uint32_t)(((h >> 32) * n) >> 32);
}

#endif
