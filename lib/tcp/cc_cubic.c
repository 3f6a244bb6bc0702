/* SPDX-License-Identifier: BSD-3-Clause
 *
 * CUBIC's congestion avoidance (RFC 9438 4), in integers. The curve is looked at once a millisecond, or when cwnd has
 * moved; between that an ACK costs an addition and two comparisons, no division.
 *
 * Time is that of the epoch: it stands still while the application or the peer, not cwnd, is the limit (4.2, 5.8).
 */
#include "tcp/cc_algo.h"

#define TICKS_SHIFT 10 /* ticks of 1/1024 s: K is a matter of seconds */
/* 1024 s. Before that, C * mss * t^3 is beyond TCP_CWND_MAX for any mss above 2. */
#define TICKS_MAX (1u << 20)

#define GROWTH_NONE UINT32_MAX

/* The largest y with y^3 <= x, a bit of it per round. */
static uint32_t
cube_root(uint64_t x)
{
	uint64_t y = 0;

	for (int shift = 63; shift >= 0; shift -= 3) {
		uint64_t b;

		y *= 2;
		b = 3 * y * (y + 1) + 1;
		if (x >> shift >= b) {
			x -= b << shift;
			y++;
		}
	}
	return (uint32_t)y;
}

static uint32_t
to_ticks(uint64_t cycles, uint64_t hz)
{
	if (cycles >> TICKS_SHIFT >= hz)
		return TICKS_MAX;
	return (uint32_t)((cycles << TICKS_SHIFT) / hz);
}

/* W_cubic(t) = C (t - K)^3 + W_max, C = 0.4 segments per s^3 (figure 1). */
static uint64_t
curve(const struct tcp_cubic *q, uint32_t mss, uint32_t t)
{
	uint64_t d = t > q->k ? t - q->k : q->k - t;
	/* In ticks, d^3 is 2^30 times too large. Half of that goes before the factor, and nothing overflows: after K, d
	 * is TICKS_MAX at most; before it, d^3 * mss is what K came from, 2^62.
	 */
	uint64_t delta = ((d * d * d >> 16) * (4ull * mss) / 10) >> 14;

	if (t > q->k)
		return q->w_max + delta;
	return q->w_max > delta ? q->w_max - delta : 0;
}

/* K = cbrt((W_max - cwnd) / C) (figure 2); without a plateau above us the epoch starts on one (4.8, 4.10). */
static void
begin(struct tcp_cc *cc, const struct tcp_cc_env *e)
{
	struct tcp_cubic *q = e->cubic;

	cc->epoch_on = true;
	q->elapsed = 0;
	cc->clock_on = false;
	cc->acked = 0;
	q->est_acked = 0;
	q->per_mss = 0;
	q->w_est = cc->cwnd;
	if (q->w_max <= cc->cwnd) {
		q->w_max = cc->cwnd;
		q->k = 0;
	} else {
		q->k = cube_root(((uint64_t)(q->w_max - cc->cwnd) << 3 * TICKS_SHIFT) / e->mss * 5 / 2);
	}
}

/* While cwnd is the limit, ACKs are never much more than a round trip apart: what is beyond was a pause of the
 * application, or of the one who polls.
 */
static void
count_time(struct tcp_cc *cc, const struct tcp_cc_env *e)
{
	struct tcp_cubic *q = e->cubic;
	uint64_t most = e->srtt > 0 && e->srtt < e->hz ? 2 * e->srtt : 2 * e->hz;

	if (cc->clock_on)
		q->elapsed += ZF_MIN(e->now - q->last, most);
	q->last = e->now;
	cc->clock_on = true;
}

/* How fast to grow, so as to be on the curve one round trip from now (4.4, 4.5); by half in that time at most. */
static void
aim(const struct tcp_cc *cc, const struct tcp_cc_env *e)
{
	struct tcp_cubic *q = e->cubic;
	uint64_t target = curve(q, e->mss, to_ticks(q->elapsed + e->srtt, e->hz));
	uint64_t per;

	target = ZF_MIN(target, (uint64_t)cc->cwnd + cc->cwnd / 2);
	q->aimed = q->elapsed;
	q->per_mss = GROWTH_NONE;
	if (target <= cc->cwnd)
		return;
	per = (uint64_t)cc->cwnd * e->mss / (target - cc->cwnd);
	if (per < GROWTH_NONE)
		q->per_mss = (uint32_t)ZF_MAX(per, 1u);
}

/* The window that Reno would have (4.3). It decreases to 0.7, not 0.5, so it grows by 3 * (1 - 0.7) / (1 + 0.7) = 9/17
 * of a segment per window only, until it is where it fell from.
 */
static void
follow_reno(const struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked)
{
	struct tcp_cubic *q = e->cubic;
	uint64_t sum = (uint64_t)q->est_acked + acked;

	if (sum >= cc->cwnd) {
		sum -= cc->cwnd;
		q->w_est += q->w_est < q->w_prior ? e->mss * 9 / 17 : e->mss;
		q->w_est = ZF_MIN(q->w_est, TCP_CWND_MAX);
	}
	q->est_acked = (uint32_t)ZF_MIN(sum, cc->cwnd);
}

static void
avoid(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked)
{
	struct tcp_cubic *q = e->cubic;

	if (!cc->epoch_on)
		begin(cc, e);
	count_time(cc, e);
	if (q->per_mss == 0 || q->elapsed - q->aimed >= e->hz >> TICKS_SHIFT)
		aim(cc, e);
	follow_reno(cc, e, acked);
	if (q->per_mss != GROWTH_NONE && tcp_cc_grow(cc, e->mss, acked, q->per_mss))
		q->per_mss = 0;
	if (q->w_est > cc->cwnd) {
		cc->cwnd = q->w_est;
		q->per_mss = 0;
	}
}

/* 4.6, 4.7: one that did not get back to its plateau makes room for newcomers by lowering it (fast convergence). After
 * a timeout there is none (4.8).
 */
static void
reduce(struct tcp_cc *cc, const struct tcp_cc_env *e, bool timeout)
{
	struct tcp_cubic *q = e->cubic;

	if (timeout)
		q->w_max = 0;
	else if (cc->cwnd < q->w_max)
		q->w_max = (uint32_t)((uint64_t)cc->cwnd * 17 / 20);
	else
		q->w_max = cc->cwnd;
	q->w_prior = cc->cwnd;
}

const struct tcp_cc_algo tcp_cc_cubic = {
	.avoid = avoid,
	.reduce = reduce,
	.keep_tenths = 7,
};
