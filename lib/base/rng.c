/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See rng.h. The generator is Blackman and Vigna's xoshiro256** 1.0, seeded as its authors advise
 * by splitmix64.
 */
#include "base/rng.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t
rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static uint64_t
splitmix64(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void
rng_seed(struct rng *r, uint64_t seed)
{
	/* splitmix64 is a bijection of a counter, so at most one of four outputs is 0: the state is
	 * valid. */
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix64(&seed);
}

bool
rng_seed_random(struct rng *r)
{
	struct timespec mono = {0};
	struct timespec real = {0};

	if (getrandom(r->s, sizeof(r->s), GRND_NONBLOCK) == (ssize_t)sizeof(r->s) &&
	    (r->s[0] | r->s[1] | r->s[2] | r->s[3]) != 0)
		return true;
	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_REALTIME, &real);
	rng_seed(r, (uint64_t)mono.tv_nsec << 32 ^ (uint64_t)real.tv_nsec ^
			    (uint64_t)real.tv_sec << 20 ^ (uint64_t)getpid() << 48 ^
			    (uint64_t)(uintptr_t)r);
	return false;
}

uint64_t
rng_next64(struct rng *r)
{
	uint64_t *s = r->s;
	uint64_t out = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return out;
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
	unsigned __int128 m;
	uint64_t reject;

	if (n == 0)
		return 0;
	/* Lemire: the upper half of x * n is uniform once the few x that would land in a short
	 * bucket are redrawn. The chance of one more round is below 1/2, below 2^-32 for any n that
	 * fits 32 bits.
	 */
	m = (unsigned __int128)rng_next64(r) * n;
	if (zf_unlikely((uint64_t)m < n)) {
		reject = -n % n;
		while ((uint64_t)m < reject)
			m = (unsigned __int128)rng_next64(r) * n;
	}
	return (uint64_t)(m >> 64);
}
