/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The estimator against RFC 6298 computed in real numbers, its bounds, and its backoff.
 */
#include "unit.h"

#include <math.h>

#include "base/rng.h"
#include "tcp/rtt.h"

#define MS 1000000ull /* of a clock in nanoseconds */

static const struct tcp_rtt_limits lim = {
	.rto_initial = 1000 * MS,
	.rto_min = 200 * MS,
	.rto_max = 120000 * MS,
	.granularity = 1 * MS,
};

static void
starts_with_the_initial_timeout(void)
{
	struct tcp_rtt_limits odd = lim;
	struct tcp_rtt r;

	memset(&r, 0x5a, sizeof(r));
	tcp_rtt_init(&r, &lim);
	CU_ASSERT(r.srtt == 0 && r.rttvar == 0 && r.min_rtt == 0 && r.rto == 1000 * MS);
	odd.rto_max = 500 * MS;
	tcp_rtt_init(&r, &odd);
	CU_ASSERT_EQUAL(r.rto, 500 * MS);
	odd = lim;
	odd.rto_min = 3000 * MS;
	tcp_rtt_init(&r, &odd);
	CU_ASSERT_EQUAL(r.rto, 3000 * MS);
}

/* By hand: R = 400 ms; then 600: var 3/4*200 + 1/4*200, srtt 7/8*400 + 1/8*600; then 425: no deviation. */
static void
follows_the_formulas(void)
{
	struct tcp_rtt r;

	tcp_rtt_init(&r, &lim);
	tcp_rtt_sample(&r, 400 * MS, &lim);
	CU_ASSERT(r.srtt == 400 * MS && r.rttvar == 200 * MS && r.rto == 1200 * MS && r.min_rtt == 400 * MS);
	tcp_rtt_sample(&r, 600 * MS, &lim);
	CU_ASSERT(r.srtt == 425 * MS && r.rttvar == 200 * MS && r.rto == 1225 * MS && r.min_rtt == 400 * MS);
	tcp_rtt_sample(&r, 425 * MS, &lim);
	CU_ASSERT(r.srtt == 425 * MS && r.rttvar == 150 * MS && r.rto == 1025 * MS);
	tcp_rtt_sample(&r, 225 * MS, &lim);
	CU_ASSERT(r.srtt == 400 * MS && r.rttvar == 162500000 && r.rto == 1050 * MS && r.min_rtt == 225 * MS);
}

static void
agrees_with_real_numbers(void)
{
	double srtt = 0, var = 0, worst = 0;
	struct tcp_rtt r;
	struct rng g;

	rng_seed(&g, 3);
	tcp_rtt_init(&r, &lim);
	for (int i = 0; i < 100000; i++) {
		uint64_t rtt = 300 * MS + rng_next64(&g) % (uint64_t)(i % 1000 < 500 ? 100 * MS : 2000 * MS);
		double rto;

		if (i == 0) {
			srtt = (double)rtt;
			var = srtt / 2;
		} else {
			var = 0.75 * var + 0.25 * fabs(srtt - (double)rtt);
			srtt = 0.875 * srtt + 0.125 * (double)rtt;
		}
		rto = srtt + fmax((double)lim.granularity, 4 * var);
		tcp_rtt_sample(&r, rtt, &lim);
		worst = fmax(worst, fabs(rto - (double)r.rto));
		worst = fmax(worst, fabs(srtt - (double)r.srtt));
	}
	/* Cycles. */
	CU_ASSERT(worst < 100);
}

static void
timeout_stays_in_bounds(void)
{
	struct tcp_rtt_limits low = lim;
	struct tcp_rtt r;

	tcp_rtt_init(&r, &lim);
	for (int i = 0; i < 100; i++)
		tcp_rtt_sample(&r, 20000, &lim);
	CU_ASSERT_EQUAL(r.rto, lim.rto_min);
	/* 2.3: the variation of a steady path goes to 0, the timers' own coarseness stays. */
	low.rto_min = 1;
	for (int i = 0; i < 100; i++)
		tcp_rtt_sample(&r, 20000, &low);
	CU_ASSERT(r.rttvar < 16 && r.rto >= low.granularity + 19990 && r.rto <= low.granularity + 20010);
	for (int i = 0; i < 100; i++)
		tcp_rtt_sample(&r, 1000000 * MS, &lim);
	CU_ASSERT_EQUAL(r.rto, lim.rto_max);
	CU_ASSERT_EQUAL(r.min_rtt, 20000);
}

static void
absurd_samples_do_no_harm(void)
{
	struct tcp_rtt r;

	tcp_rtt_init(&r, &lim);
	tcp_rtt_sample(&r, 0, &lim);
	CU_ASSERT(r.srtt == 1 && r.min_rtt == 1 && r.rto == lim.rto_min);
	tcp_rtt_init(&r, &lim);
	/* R + 4 * R / 2 is beyond 2^64. */
	tcp_rtt_sample(&r, UINT64_MAX / 3 + 1, &lim);
	CU_ASSERT_EQUAL(r.rto, lim.rto_max);
	for (int i = 0; i < 1000; i++) {
		tcp_rtt_sample(&r, i & 1 ? 0 : UINT64_MAX, &lim);
		CU_ASSERT(r.srtt > 0 && r.rto >= lim.rto_min && r.rto <= lim.rto_max);
	}
	CU_ASSERT_EQUAL(r.rto, lim.rto_max);
	for (int i = 0; i < 1000; i++)
		tcp_rtt_sample(&r, 0, &lim);
	CU_ASSERT(r.srtt > 0 && r.srtt < 16 && r.rto == lim.rto_min);
}

static void
backoff_doubles_up_to_the_maximum(void)
{
	static const uint64_t want_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 120000, 120000};
	struct tcp_rtt_limits huge = lim;
	struct tcp_rtt r;

	tcp_rtt_init(&r, &lim);
	for (unsigned n = 0; n < ZF_ARRAY_SIZE(want_ms); n++)
		CU_ASSERT_EQUAL(tcp_rtt_backoff(&r, n, &lim), want_ms[n] * MS);
	for (unsigned n = 9; n < 300; n++)
		CU_ASSERT_EQUAL(tcp_rtt_backoff(&r, n, &lim), lim.rto_max);
	CU_ASSERT_EQUAL(tcp_rtt_backoff(&r, UINT32_MAX, &lim), lim.rto_max);
	huge.rto_max = UINT64_MAX;
	r.rto = 1ull << 40;
	CU_ASSERT_EQUAL(tcp_rtt_backoff(&r, 23, &huge), 1ull << 63);
	CU_ASSERT_EQUAL(tcp_rtt_backoff(&r, 24, &huge), UINT64_MAX);
}

static const struct unit_test tests[] = {
	UNIT(starts_with_the_initial_timeout), UNIT(follows_the_formulas),  UNIT(agrees_with_real_numbers),
	UNIT(timeout_stays_in_bounds),	       UNIT(absurd_samples_do_no_harm), UNIT(backoff_doubles_up_to_the_maximum),
};

UNIT_MAIN("tcp_rtt", tests)
