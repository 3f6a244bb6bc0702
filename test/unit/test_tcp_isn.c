/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Initial sequence numbers grow with the clock for one tuple, and look like chance from one tuple to the next.
 */
#include "unit.h"

#include <stdlib.h>

#include "tcp/isn.h"

#define N  (1u << 14)
#define HZ 2600000000ull

static const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

struct tuple {
	be32_t lip, rip;
	be16_t lport, rport;
};

static const struct tuple base = {BE32_C(0xc0000201), BE32_C(0xc0000242), BE16_C(40000), BE16_C(80)};

static uint32_t
isn(const struct tuple *t, uint64_t now)
{
	return tcp_isn(&key, t->lip, t->lport, t->rip, t->rport, now, HZ);
}

static uint32_t
offset(const struct tuple *t)
{
	return tcp_ts_offset(&key, t->lip, t->lport, t->rip, t->rport);
}

/* The @i-th neighbour: a scan over remote ports, then over remote addresses. */
static struct tuple
neighbour(uint32_t i)
{
	struct tuple t = base;

	t.rport = be16_from((uint16_t)(1024 + i % 4096));
	t.rip = be32_from(0xc0000242 + i / 4096);
	return t;
}

static void
one_tuple_grows_with_the_clock(void)
{
	uint32_t first = isn(&base, 0), wrong = 0;

	/* Each number is exactly the clock above the first one, over a wrap of the numbers and two weeks. */
	for (uint32_t i = 0; i < N; i++) {
		uint64_t us = (uint64_t)i * i * 4499 + i;
		uint64_t now = us / 1000000 * HZ + us % 1000000 * HZ / 1000000 + 1;

		wrong += isn(&base, now) - first != (uint32_t)(us / 4);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* Where now * 250000 overflows many times over. */
	CU_ASSERT_EQUAL(isn(&base, UINT64_MAX) - first,
			(uint32_t)((unsigned __int128)UINT64_MAX * 250000 / HZ));
}

static void
same_tuple_never_falls(void)
{
	uint32_t last = isn(&base, 12345), wrong = 0;

	for (uint32_t i = 1; i < N; i++) {
		uint32_t n = isn(&base, 12345 + (uint64_t)i * (HZ / 1000));

		wrong += n - last != 250;
		last = n;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Is the series that a scan sees like one of chance? Bits, differences, and both halves of pairs of neighbours. */
static void
check_chance(const uint32_t *v, const char *what)
{
	static uint32_t cells[256];
	uint32_t same = 0, small = 0;
	double chi = 0, limit = 255 + 6 * 22.6; /* six standard deviations */

	for (int bit = 0; bit < 32; bit++) {
		int ones = 0, flips = 0;

		for (uint32_t i = 0; i < N; i++) {
			ones += v[i] >> bit & 1;
			flips += i > 0 && ((v[i] ^ v[i - 1]) >> bit & 1);
		}
		/* N/2 with a deviation of 64. */
		CU_ASSERT(abs(ones - (int)N / 2) < 6 * 64 && abs(flips - (int)N / 2) < 6 * 64);
	}
	for (int part = 0; part < 3; part++) {
		memset(cells, 0, sizeof(cells));
		for (uint32_t i = 1; i < N; i++) {
			uint32_t d = v[i] - v[i - 1];

			cells[part == 0 ? d >> 24 : part == 1 ? d & 255 : (v[i] >> 28) << 4 | v[i - 1] >> 28]++;
			same += d == v[1] - v[0] && i > 1;
			small += d < 1u << 20 || -d < 1u << 20;
		}
		chi = 0;
		for (int c = 0; c < 256; c++)
			chi += (cells[c] - (N - 1) / 256.0) * (cells[c] - (N - 1) / 256.0) / ((N - 1) / 256.0);
		if (chi > limit)
			printf("  %s: part %d: chi squared %.0f\n", what, part, chi);
		CU_ASSERT(chi < limit);
	}
	CU_ASSERT(same == 0 && small < 60);
}

static void
tuples_look_like_chance(void)
{
	static uint32_t numbers[N], offsets[N], cross[N];

	for (uint32_t i = 0; i < N; i++) {
		struct tuple t = neighbour(i);

		numbers[i] = isn(&t, 77);
		offsets[i] = offset(&t);
		/* One must not tell the other. */
		cross[i] = numbers[i] - offsets[i];
	}
	check_chance(numbers, "sequence numbers");
	check_chance(offsets, "timestamp offsets");
	check_chance(cross, "their difference");
}

static void
every_part_of_the_tuple_and_the_key_count(void)
{
	struct siphash_key other = key;
	struct tuple t[5] = {base, base, base, base, base};

	t[1].lip.raw ^= 1;
	t[2].rip.raw ^= 1;
	t[3].lport.raw ^= 1;
	t[4].rport.raw ^= 1;
	for (int a = 0; a < 5; a++)
		for (int b = 0; b < a; b++) {
			CU_ASSERT_NOT_EQUAL(isn(&t[a], 0), isn(&t[b], 0));
			CU_ASSERT_NOT_EQUAL(offset(&t[a]), offset(&t[b]));
		}
	/* Not the same seen from the other end, and not the same after a restart. */
	t[1] = (struct tuple){base.rip, base.lip, base.rport, base.lport};
	CU_ASSERT_NOT_EQUAL(isn(&t[1], 0), isn(&base, 0));
	other.k[1] ^= 1ull << 63;
	CU_ASSERT_NOT_EQUAL(tcp_isn(&other, base.lip, base.lport, base.rip, base.rport, 0, HZ), isn(&base, 0));
	CU_ASSERT_NOT_EQUAL(tcp_ts_offset(&other, base.lip, base.lport, base.rip, base.rport), offset(&base));
	CU_ASSERT_EQUAL(offset(&base), offset(&t[0]));
}

static const struct unit_test tests[] = {
	UNIT(one_tuple_grows_with_the_clock),
	UNIT(same_tuple_never_falls),
	UNIT(tuples_look_like_chance),
	UNIT(every_part_of_the_tuple_and_the_key_count),
};

UNIT_MAIN("tcp_isn", tests)
