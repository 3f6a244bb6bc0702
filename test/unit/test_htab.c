/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The demux table against a list, with tags that collide on purpose: everything inserted is found until it is removed,
 * whatever entries deletion moved meanwhile.
 */
#include "core/htab.h"

#include "base/rng.h"
#include "unit.h"

#define SLOTS 64u
#define MAX   32u /* half full, as the table is used */

struct table {
	struct htab t;
	struct htab_entry entries[SLOTS];
};

static struct table tab;
static uint32_t tag_of[1000];
static bool in[1000];

static bool
is(uint32_t index, const void *arg)
{
	return index == *(const uint32_t *)arg;
}

static bool
walk_finds(uint32_t tag, uint32_t index)
{
	struct htab_iter it = htab_iter(&tab.t, tag);
	unsigned times = 0;
	uint32_t i;

	while ((i = htab_next(&it)) != HTAB_NONE)
		times += i == index;
	CU_ASSERT(times <= 1);
	return times == 1;
}

static void
everything_inserted_is_found(void)
{
	/* Few homes, close together and at the end of the table, so that runs grow together and wrap around. */
	static const uint32_t homes[] = {0, 1, 62, 63, 63 + SLOTS, 62 + 2 * SLOTS, 31};
	uint32_t n = 0;
	struct rng r;

	rng_seed(&r, 1);
	memset(&tab, 0, sizeof(tab));
	memset(in, 0, sizeof(in));
	htab_init(&tab.t, tab.entries, SLOTS);
	for (int step = 0; step < 200000; step++) {
		uint32_t i = (uint32_t)rng_below(&r, 100);

		if (in[i]) {
			CU_ASSERT_TRUE(htab_remove(&tab.t, tag_of[i], i));
			CU_ASSERT_FALSE(htab_remove(&tab.t, tag_of[i], i));
			in[i] = false;
			n--;
		} else if (n < MAX) {
			tag_of[i] = homes[rng_below(&r, ZF_ARRAY_SIZE(homes))];
			CU_ASSERT_TRUE(htab_insert(&tab.t, tag_of[i], i));
			in[i] = true;
			n++;
		}
		CU_ASSERT_EQUAL(tab.t.n, n);
		for (uint32_t k = (uint32_t)step % 100; k < 100; k += 17) {
			CU_ASSERT_EQUAL(htab_find(&tab.t, tag_of[k], is, &k), in[k] ? k : HTAB_NONE);
			CU_ASSERT_EQUAL(walk_finds(tag_of[k], k), in[k]);
		}
	}
	for (uint32_t i = 0; i < 100; i++)
		if (in[i])
			CU_ASSERT_TRUE(htab_remove(&tab.t, tag_of[i], i));
	for (uint32_t s = 0; s < SLOTS; s++)
		CU_ASSERT_EQUAL(tab.entries[s].index1, 0);
}

/* At the load that htab_slots() gives, no insertion fails. */
static void
slots_for_a_load_of_one_half(void)
{
	CU_ASSERT_EQUAL(htab_slots(0), 16);
	CU_ASSERT_EQUAL(htab_slots(8), 16);
	CU_ASSERT_EQUAL(htab_slots(9), 32);
	CU_ASSERT_EQUAL(htab_slots(1024), 2048);
	CU_ASSERT_EQUAL(htab_slots(1000000), 1u << 21);
}

static void
the_table_may_be_mapped_elsewhere(void)
{
	static struct table moved;
	uint32_t i = 7;

	memset(&tab, 0, sizeof(tab));
	htab_init(&tab.t, tab.entries, SLOTS);
	CU_ASSERT_TRUE(htab_insert(&tab.t, 1234, 7));
	memcpy(&moved, &tab, sizeof(tab));
	memset(&tab, 0, sizeof(tab));
	CU_ASSERT_EQUAL(htab_find(&moved.t, 1234, is, &i), 7);
}

static const struct unit_test tests[] = {
	UNIT(everything_inserted_is_found),
	UNIT(slots_for_a_load_of_one_half),
	UNIT(the_table_may_be_mapped_elsewhere),
};

UNIT_MAIN("htab", tests)
