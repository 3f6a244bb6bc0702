/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The generator against the values its authors' reference code prints, and the fairness of
 * rng_below().
 */
#include "unit.h"

#include "base/rng.h"

static void
xoshiro_reference_values(void)
{
	static const uint64_t want[] = {11520,
					0,
					1509978240,
					1215971899390074240,
					1216172134540287360,
					607988272756665600,
					16172922978634559625ull,
					8476171486693032832,
					10595114339597558777ull,
					2904607092377533576};
	struct rng r = {.s = {1, 2, 3, 4}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		CU_ASSERT_EQUAL(rng_next64(&r), want[i]);
}

static void
seed_is_splitmix64(void)
{
	struct rng r;

	rng_seed(&r, 0);
	CU_ASSERT_EQUAL(r.s[0], 0xe220a8397b1dcdaf);
	CU_ASSERT_EQUAL(r.s[1], 0x6e789e6aa1b965f4);
	CU_ASSERT_EQUAL(r.s[2], 0x06c45d188009454f);
	CU_ASSERT_EQUAL(r.s[3], 0xf88bb8a8724c81ec);
}

static void
same_seed_same_run(void)
{
	struct rng a;
	struct rng b;
	struct rng c;
	int differ = 0;

	rng_seed(&a, 42);
	rng_seed(&b, 42);
	rng_seed(&c, 43);
	for (int i = 0; i < 1000; i++) {
		uint64_t v = rng_next64(&a);

		CU_ASSERT_EQUAL(v, rng_next64(&b));
		differ += v != rng_next64(&c);
	}
	CU_ASSERT_EQUAL(differ, 1000);
}

static void
random_seeds_differ(void)
{
	struct rng a;
	struct rng b;

	CU_ASSERT_TRUE(rng_seed_random(&a));
	CU_ASSERT_TRUE(rng_seed_random(&b));
	CU_ASSERT(memcmp(&a, &b, sizeof(a)) != 0);
}

static void
below_stays_below_and_is_even(void)
{
	static const uint64_t bounds[] = {1,         2, 3, 7, 1000, 1ull << 32, (1ull << 63) + 1,
					  UINT64_MAX};
	uint32_t hits[7] = {0};
	struct rng r;
	uint32_t thirds = 0;

	rng_seed(&r, 1);
	CU_ASSERT_EQUAL(rng_below(&r, 0), 0);
	for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
		for (int i = 0; i < 1000; i++) {
			if (rng_below(&r, bounds[b]) >= bounds[b])
				CU_FAIL("out of range");
		}
	}
	for (int i = 0; i < 70000; i++)
		hits[rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		CU_ASSERT(hits[i] > 9500 && hits[i] < 10500);
	/* Of 3/4 of the range, a plain multiplication would hit every third number twice as often.
	 */
	for (int i = 0; i < 30000; i++)
		thirds += rng_below(&r, 3ull << 62) % 3 == 0;
	CU_ASSERT(thirds > 9600 && thirds < 10400);
}

static const struct unit_test tests[] = {
	UNIT(xoshiro_reference_values),
	UNIT(seed_is_splitmix64),
	UNIT(same_seed_same_run),
	UNIT(random_seeds_differ),
	UNIT(below_stays_below_and_is_even),
};

UNIT_MAIN("rng", tests)
