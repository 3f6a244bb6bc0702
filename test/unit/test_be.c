/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Typed big-endian integers, and the small arithmetic of compiler.h.
 */
#include "unit.h"

#include "base/be.h"
#include "base/check.h"

static const be32_t constant = BE32_C(0x01020304);

static void
be_bytes_are_in_wire_order(void)
{
	be16_t a = be16_from(0x0102);
	be32_t b = be32_from(0xdeadbeef);

	CU_ASSERT(memcmp(&a, "\x01\x02", 2) == 0);
	CU_ASSERT(memcmp(&b, "\xde\xad\xbe\xef", 4) == 0);
	CU_ASSERT(memcmp(&constant, "\x01\x02\x03\x04", 4) == 0);
	CU_ASSERT_EQUAL(sizeof(be16_t), 2);
	CU_ASSERT_EQUAL(sizeof(be32_t), 4);
}

static void
be_round_trips(void)
{
	for (uint32_t v = 0; v <= 0xffff; v++) {
		if (be16_host(be16_from(v)) != v ||
		    be32_host(be32_from(v << 13 | v)) != (v << 13 | v))
			CU_FAIL("round trip");
	}
	CU_ASSERT(be16_eq(be16_from(7), BE16_C(7)));
	CU_ASSERT(!be16_eq(be16_from(7), be16_from(0x0700)));
	CU_ASSERT(be32_eq(be32_from(7), BE32_C(7)));
	CU_ASSERT(!be32_eq(be32_from(7), be32_from(8)));
	CU_ASSERT(be16_is_zero(be16_from(0)) && !be16_is_zero(be16_from(0x100)));
	CU_ASSERT(be32_is_zero(be32_from(0)) && !be32_is_zero(be32_from(1u << 31)));
}

static void
powers_and_alignment(void)
{
	CU_ASSERT_EQUAL(zf_roundup_pow2(0), 1);
	CU_ASSERT_EQUAL(zf_roundup_pow2(1), 1);
	CU_ASSERT_EQUAL(zf_roundup_pow2(3), 4);
	CU_ASSERT_EQUAL(zf_roundup_pow2(4096), 4096);
	CU_ASSERT_EQUAL(zf_roundup_pow2(4097), 8192);
	CU_ASSERT_EQUAL(zf_roundup_pow2(1ull << 63), 1ull << 63);
	CU_ASSERT(!zf_is_pow2(0));
	CU_ASSERT(zf_is_pow2(1));
	CU_ASSERT(!zf_is_pow2(6));
	CU_ASSERT_EQUAL(zf_align_up(0, 64), 0);
	CU_ASSERT_EQUAL(zf_align_up(65, 64), 128);
}

static void
bug_counts_and_goes_on(void)
{
	uint64_t before = check_bug_count;
	int calls = 0;

	CU_ASSERT_FALSE(zf_bug(calls != 0));
	CU_ASSERT_EQUAL(check_bug_count, before);
	CU_ASSERT_TRUE(zf_bug(calls == 0));
	CU_ASSERT_TRUE(zf_bug(++calls == 1));
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(check_bug_count, before + 2);
}

static const struct unit_test tests[] = {
	UNIT(be_bytes_are_in_wire_order),
	UNIT(be_round_trips),
	UNIT(powers_and_alignment),
	UNIT(bug_counts_and_goes_on),
};

UNIT_MAIN("be", tests)
