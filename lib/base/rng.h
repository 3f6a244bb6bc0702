/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The one generator of a stack, xoshiro256**: fast, seedable, so that a test runs the same way
 * twice. Not for secrets that must stay secret after a peer has seen outputs: those are keys drawn
 * once, used through siphash.h.
 */
#ifndef ZF_BASE_RNG_H
#define ZF_BASE_RNG_H

#include "base/compiler.h"

struct rng {
	uint64_t s[4]; /* never all zero */
};

/* Any seed, 0 too; the state is drawn from it by splitmix64. */
void rng_seed(struct rng *r, uint64_t seed);

/* From the kernel. Where that fails (before its pool is ready) from clocks and addresses, and false
 * is returned. */
bool rng_seed_random(struct rng *r);

uint64_t rng_next64(struct rng *r);

static inline uint32_t
rng_next32(struct rng *r)
{
	return (uint32_t)(rng_next64(r) >> 32);
}

/* Uniform in 0..n-1, without the bias of a remainder; 0 for n == 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

#endif
