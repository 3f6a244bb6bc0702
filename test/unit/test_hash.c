/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SipHash against published vectors; the table hash against what an attacker or an ordinary client
 * population would do to it.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/siphash.h"

/* From the authors' list for key 00..0f and message 00..(i-1): i = 0..15, then 63. */
static void
siphash_published_vectors(void)
{
	static const uint64_t want[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	};
	struct siphash_key key = {.k = {0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t msg[64];

	for (int i = 0; i < 64; i++)
		msg[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CU_ASSERT_EQUAL(siphash(msg, i, &key), want[i]);
	CU_ASSERT_EQUAL(siphash(msg, 63, &key), 0x958a324ceb064572);
	/* Bytes 0 to 15, which the list goes on with. */
	CU_ASSERT_EQUAL(siphash_15(0x0706050403020100, 0x000e0d0c0b0a0908, &key), siphash(msg, 15, &key));
	CU_ASSERT_EQUAL(siphash_15(0x0706050403020100, 0x000e0d0c0b0a0908, &key), 0xa129ca6149be45e5);
}

static void
siphash_any_alignment(void)
{
	struct siphash_key key = {.k = {1, 2}};
	uint8_t buf[96];
	uint64_t want;

	for (size_t len = 0; len <= 64; len++) {
		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)(i * 7);
		want = siphash(buf, len, &key);
		for (size_t off = 1; off < 8; off++) {
			for (size_t i = 0; i < len; i++)
				buf[off + i] = (uint8_t)(i * 7);
			CU_ASSERT_EQUAL(siphash(buf + off, len, &key), want);
		}
	}
}

/* The worst bucket of @n keys in 2^16 of them, made by @make. */
static uint32_t
worst_bucket(const uint64_t secret[2], uint32_t n,
	     void (*make)(uint32_t i, uint64_t *a, uint64_t *b))
{
	uint16_t *low = calloc(1 << 16, sizeof(*low));
	uint16_t *high = calloc(1 << 16, sizeof(*high));
	uint32_t worst = 0;

	for (uint32_t i = 0; low != NULL && high != NULL && i < n; i++) {
		uint64_t a;
		uint64_t b;
		uint64_t h;

		make(i, &a, &b);
		h = hash_fold(a, b, secret);
		low[h & 0xffff]++;
		high[hash_reduce(h, 1 << 16)]++;
		worst = ZF_MAX(worst, low[h & 0xffff]);
		worst = ZF_MAX(worst, high[hash_reduce(h, 1 << 16)]);
	}
	free(low);
	free(high);
	return worst;
}

static void
many_ports(uint32_t i, uint64_t *a, uint64_t *b)
{
	*a = 0x0a0000010a000002;
	*b = (uint64_t)(i & 0xffff) << 16 | 80;
}

static void
many_hosts(uint32_t i, uint64_t *a, uint64_t *b)
{
	*a = 0x0a00000000000000 | (uint64_t)i << 32 | 0x0a000002;
	*b = 0x12345678;
}

static void
many_of_both(uint32_t i, uint64_t *a, uint64_t *b)
{
	*a = (uint64_t)(i & 0xff) << 56 | (i >> 8 & 0xff);
	*b = (uint64_t)(i & 0xff) << 16 | (uint64_t)(i >> 8) << 48;
}

static void
fold_spreads_regular_keys(void)
{
	struct rng r;

	rng_seed(&r, 99);
	/* 65536 keys in as many buckets: random throws put about 9 in the fullest. */
	for (int i = 0; i < 20; i++) {
		uint64_t secret[2] = {rng_next64(&r), rng_next64(&r)};

		CU_ASSERT(worst_bucket(secret, 1 << 16, many_ports) <= 24);
		CU_ASSERT(worst_bucket(secret, 1 << 16, many_hosts) <= 24);
		CU_ASSERT(worst_bucket(secret, 1 << 16, many_of_both) <= 24);
	}
}

/* Keys that collide under one secret must not do so under another: this is what sinks a keyed CRC.
 */
static void
collisions_depend_on_the_secret(void)
{
	uint64_t known[2] = {0x1234567890abcdef, 0xfedcba0987654321};
	uint64_t secret[2] = {0x0f1e2d3c4b5a6978, 0x8796a5b4c3d2e1f0};
	uint32_t hits[256] = {0};
	uint32_t found = 0;
	uint32_t worst = 0;

	for (uint64_t i = 0; found < 4096 && i < 1u << 22; i++) {
		if ((hash_fold(0x0a0000010a000002, i, known) & 0xff) != 0)
			continue;
		found++;
		hits[hash_fold(0x0a0000010a000002, i, secret) & 0xff]++;
	}
	CU_ASSERT_EQUAL(found, 4096);
	for (int i = 0; i < 256; i++)
		worst = ZF_MAX(worst, hits[i]);
	CU_ASSERT(worst < 64);
}

static void
reduce_stays_below(void)
{
	CU_ASSERT_EQUAL(hash_reduce(UINT64_MAX, 1000), 999);
	CU_ASSERT_EQUAL(hash_reduce(0, 1000), 0);
	CU_ASSERT_EQUAL(hash_reduce(UINT64_MAX, 1), 0);
	CU_ASSERT_EQUAL(hash_reduce(UINT64_MAX, UINT32_MAX), UINT32_MAX - 1);
}

static const struct unit_test tests[] = {
	UNIT(siphash_published_vectors), UNIT(siphash_any_alignment),
	UNIT(fold_spreads_regular_keys), UNIT(collisions_depend_on_the_secret),
	UNIT(reduce_stays_below),
};

UNIT_MAIN("hash", tests)
