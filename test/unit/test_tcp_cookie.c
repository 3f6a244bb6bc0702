/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SYN cookies: what comes back of every combination, what is refused, and for how long one is good.
 */
#include "tcp/cookie.h"

#include "base/rng.h"
#include "unit.h"

#define HZ   1000000000ull
#define UNIT_CYCLES (TCP_COOKIE_UNIT_S * HZ)

static const struct siphash_key key = {.k = {0x1234567890abcdef, 0xfedcba0987654321}};
static const struct tcp_cookie usual = {.mss = 1460, .sack_ok = true, .wscale = 7};

struct peer {
	be32_t lip, rip;
	be16_t lport, rport;
	tcpseq_t isn;
};

static struct peer
some_peer(struct rng *r)
{
	return (struct peer){
		{rng_next32(r)}, {rng_next32(r)}, {(uint16_t)rng_next32(r)}, {(uint16_t)rng_next32(r)},
		seq_of(rng_next32(r)),
	};
}

static uint32_t
make(const struct peer *p, const struct tcp_cookie *c, uint64_t now)
{
	return tcp_cookie_make(&key, p->lip, p->lport, p->rip, p->rport, p->isn, c, now, HZ);
}

static bool
check(const struct peer *p, uint32_t cookie, uint64_t now, struct tcp_cookie *out)
{
	return tcp_cookie_check(&key, p->lip, p->lport, p->rip, p->rport, p->isn, cookie, now, HZ, out);
}

static bool
same(const struct tcp_cookie *a, const struct tcp_cookie *b)
{
	return a->mss == b->mss && a->sack_ok == b->sack_ok && a->wscale == b->wscale;
}

static void
every_combination_survives(void)
{
	static const uint16_t mss[][2] = {
		{0, 48}, {47, 48}, {48, 48}, {535, 48}, {536, 536}, {1219, 536}, {1220, 1220}, {1359, 1220},
		{1360, 1360}, {1399, 1360}, {1400, 1400}, {1439, 1400}, {1440, 1440}, {1459, 1440}, {1460, 1460},
		{8959, 1460}, {8960, 8960}, {65535, 8960},
	};
	static const int8_t scale[][2] = {
		{-1, -1}, {0, 0}, {1, 0}, {2, 0}, {3, 3}, {4, 3}, {5, 5}, {6, 6},
		{7, 7}, {8, 8}, {9, 8}, {10, 10}, {11, 10}, {13, 10}, {14, 10},
	};
	struct rng r;

	rng_seed(&r, 1);
	for (size_t m = 0; m < ZF_ARRAY_SIZE(mss); m++) {
		for (size_t w = 0; w < ZF_ARRAY_SIZE(scale); w++) {
			for (int sack = 0; sack < 2; sack++) {
				struct tcp_cookie in = {mss[m][0], sack != 0, scale[w][0]};
				struct tcp_cookie want = {mss[m][1], sack != 0, scale[w][1]};
				struct tcp_cookie out = {1, false, 1}, rounded = tcp_cookie_rounded(&in);
				struct peer p = some_peer(&r);
				uint64_t now = rng_next64(&r) >> 2;

				CU_ASSERT_TRUE(check(&p, make(&p, &in, now), now, &out));
				CU_ASSERT_TRUE(same(&out, &want));
				CU_ASSERT_TRUE(same(&rounded, &want));
			}
		}
	}
}

static void
good_for_this_unit_and_the_next(void)
{
	struct tcp_cookie out;
	struct rng r;
	struct peer p;
	uint32_t c;

	rng_seed(&r, 2);
	p = some_peer(&r);
	for (uint64_t unit = 0; unit < 200; unit++) {
		uint64_t start = unit * UNIT_CYCLES, end = (unit + TCP_COOKIE_UNITS) * UNIT_CYCLES;
		uint64_t made = start + rng_below(&r, UNIT_CYCLES);

		c = make(&p, &usual, made);
		CU_ASSERT_EQUAL(c, make(&p, &usual, start));
		CU_ASSERT_TRUE(check(&p, c, made, &out));
		/* At least 64 s, at most 128 s. */
		CU_ASSERT_TRUE(check(&p, c, made + UNIT_CYCLES, &out));
		CU_ASSERT_TRUE(check(&p, c, end - 1, &out));
		CU_ASSERT_FALSE(check(&p, c, end, &out));
		CU_ASSERT_FALSE(check(&p, c, made + 2 * UNIT_CYCLES, &out));
		/* From the future: the clock of another boot. */
		if (unit > 0)
			CU_ASSERT_FALSE(check(&p, c, start - 1, &out));
	}
}

/* Its 5 bits of time come again after 32 units, 34 minutes; the MAC knows better. */
static void
refused_when_its_time_bits_come_again(void)
{
	uint32_t wrong = 0;
	struct rng r;

	rng_seed(&r, 3);
	for (uint64_t i = 0; i < 20000; i++) {
		struct peer p = some_peer(&r);
		uint64_t made = rng_below(&r, 100) * UNIT_CYCLES, later = made + (i % 8 + 1) * 32 * UNIT_CYCLES;
		uint32_t c = make(&p, &usual, made);
		struct tcp_cookie out;

		CU_ASSERT_EQUAL(c >> 20, make(&p, &usual, later) >> 20);
		wrong += check(&p, c, later, &out);
		wrong += check(&p, c, later + UNIT_CYCLES, &out);
	}
	CU_ASSERT_TRUE(wrong <= 2); /* 40000 tries at 2^-20 */
}

/* Any change of bits, address, port or peer's sequence number is a guess at 20 bits. */
static void
forgeries_succeed_once_in_a_million(void)
{
	uint64_t tries = 0, wrong = 0;
	struct tcp_cookie out = {1, true, 2};
	struct rng r;

	rng_seed(&r, 4);
	for (int i = 0; i < 60000; i++) {
		struct peer p = some_peer(&r), q;
		uint64_t now = rng_next64(&r) >> 2;
		uint32_t c = make(&p, &usual, now);

		for (int bit = 0; bit < 32; bit++, tries++)
			wrong += check(&p, c ^ 1u << bit, now, &out);
		q = p, q.lip.raw ^= 1u << i % 32, wrong += check(&q, c, now, &out);
		q = p, q.rip.raw ^= 1u << i % 32, wrong += check(&q, c, now, &out);
		q = p, q.lport.raw ^= (uint16_t)(1u << i % 16), wrong += check(&q, c, now, &out);
		q = p, q.rport.raw ^= (uint16_t)(1u << i % 16), wrong += check(&q, c, now, &out);
		q = p, q.isn.n ^= 1u << i % 32, wrong += check(&q, c, now, &out);
		tries += 5;
	}
	/* A flipped MAC bit is never right; of the other 17 a try is, with probability 2^-20: 1.0 in all (Poisson). */
	printf("%llu of %llu forgeries passed\n", (unsigned long long)wrong, (unsigned long long)tries);
	CU_ASSERT_TRUE(wrong <= 8);
}

/* The rate itself: all MACs of one cookie, of which exactly one is right. */
static void
one_mac_of_all_is_right(void)
{
	struct tcp_cookie out;
	uint32_t right = 0, c;
	struct rng r;
	struct peer p;

	rng_seed(&r, 5);
	p = some_peer(&r);
	c = make(&p, &usual, 77 * UNIT_CYCLES);
	for (uint32_t i = 0; i < 1u << TCP_COOKIE_MAC_BITS; i++) {
		uint32_t guess = (c & ~((1u << TCP_COOKIE_MAC_BITS) - 1)) | i;

		if (!check(&p, guess, 78 * UNIT_CYCLES, &out))
			continue;
		right++;
		CU_ASSERT_EQUAL(guess, c);
	}
	CU_ASSERT_EQUAL(right, 1);
}

static void
other_keys_make_other_cookies(void)
{
	struct siphash_key other = key;
	struct tcp_cookie out = {1, true, 2};
	struct rng r;
	struct peer p;
	uint32_t c;

	rng_seed(&r, 6);
	p = some_peer(&r);
	c = make(&p, &usual, HZ);
	other.k[1] ^= 1;
	CU_ASSERT_FALSE(tcp_cookie_check(&other, p.lip, p.lport, p.rip, p.rport, p.isn, c, HZ, HZ, &out));
	/* Refused: the out parameter is untouched. */
	CU_ASSERT_TRUE(out.mss == 1 && out.sack_ok && out.wscale == 2);
}

static const struct unit_test tests[] = {
	UNIT(every_combination_survives),
	UNIT(good_for_this_unit_and_the_next),
	UNIT(refused_when_its_time_bits_come_again),
	UNIT(forgeries_succeed_once_in_a_million),
	UNIT(one_mac_of_all_is_right),
	UNIT(other_keys_make_other_cookies),
};

UNIT_MAIN("tcp_cookie", tests)
