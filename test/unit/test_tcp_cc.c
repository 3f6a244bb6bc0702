/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Congestion control under virtual ACKs: NewReno by hand, CUBIC against RFC 9438 computed in real numbers, and any
 * order of events for the bounds.
 */
#include "unit.h"

#include <math.h>

#include "base/rng.h"
#include "tcp/cc.h"

#define MSS 1448u
#define HZ  2600000000ull

/* Congestion control of a connection that has its record. */
struct conn {
	struct tcp_cc c;
	struct tcp_cubic q;
};
#define WITH(x, e) ((e)->cubic = &(x)->q, &(x)->c)

static void
init(struct conn *cc, int kind, uint32_t iw_bytes)
{
	*cc = (struct conn){0};
	tcp_cc_init(&cc->c, (enum tcp_cc_kind)kind, iw_bytes);
}

static struct tcp_cc_env
env_of(uint64_t hz, double rtt_s, uint32_t mss)
{
	return (struct tcp_cc_env){.now = 12345 * hz, .hz = hz, .srtt = (uint64_t)(rtt_s * (double)hz), .mss = mss};
}

/* A path that is full all the time, for @s seconds: an ACK for each segment, a window of them in each round trip. */
static void
acks_for(struct conn *cc, struct tcp_cc_env *e, double s)
{
	uint64_t end = e->now + (uint64_t)(s * (double)e->hz);
	double part = 0;

	while (e->now < end) {
		part += (double)e->srtt * e->mss / cc->c.cwnd;
		e->now += (uint64_t)part;
		part -= floor(part);
		tcp_cc_on_ack(WITH(cc, e), e, e->mss, true);
	}
}

/* A loss with everything in flight, @wmax bytes of it, and the recovery. */
static void
lose_at(struct conn *cc, struct tcp_cc_env *e, uint32_t wmax)
{
	cc->c.cwnd = wmax;
	tcp_cc_on_loss(WITH(cc, e), e, wmax);
	tcp_cc_on_recovered(WITH(cc, e), e);
}

static bool
close_to(double got, double want, double tolerance)
{
	bool ok = fabs(got - want) <= fabs(want) * tolerance;

	if (!ok)
		printf("  got %.0f, want %.0f\n", got, want);
	return ok;
}

static void
slow_start_counts_bytes(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	struct conn cc;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		init(&cc, kind, 10 * MSS);
		CU_ASSERT(cc.c.cwnd == 10 * MSS && cc.c.ssthresh == TCP_CWND_MAX && tcp_cc_in_slow_start(&cc.c));
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, 11 * MSS);
		tcp_cc_on_ack(WITH(&cc, &e), &e, 2 * MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, 13 * MSS);
		/* RFC 3465 2.2: split ACKs gain nothing, stretched ones two segments. */
		tcp_cc_on_ack(WITH(&cc, &e), &e, 100, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, 13 * MSS + 100);
		tcp_cc_on_ack(WITH(&cc, &e), &e, 9 * MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, 15 * MSS + 100);
		tcp_cc_on_ack(WITH(&cc, &e), &e, 2 * MSS, false);
		CU_ASSERT_EQUAL(cc.c.cwnd, 15 * MSS + 100);
		/* Not beyond ssthresh. */
		cc.c.ssthresh = cc.c.cwnd + 10;
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
		CU_ASSERT(cc.c.cwnd == cc.c.ssthresh && !tcp_cc_in_slow_start(&cc.c));
	}
}

static void
newreno_grows_a_segment_per_window(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	struct conn cc;

	init(&cc, TCP_CC_NEWRENO, 10 * MSS);
	cc.c.ssthresh = 10 * MSS;
	for (int i = 1; i <= 9; i++)
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 10 * MSS);
	tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 11 * MSS);
	/* The same in bytes, whatever the ACKs look like. */
	for (int i = 0; i < 11; i++)
		for (int k = 0; k < 8; k++)
			tcp_cc_on_ack(WITH(&cc, &e), &e, MSS / 8, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 12 * MSS);
	tcp_cc_on_ack(WITH(&cc, &e), &e, 12 * MSS, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 13 * MSS);
	/* Nothing while something else is the limit, and nothing saved up in that time. */
	for (int i = 0; i < 100; i++)
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, false);
	CU_ASSERT_EQUAL(cc.c.cwnd, 13 * MSS);
	acks_for(&cc, &e, 100 * .05);
	CU_ASSERT(close_to(cc.c.cwnd, 113.0 * MSS, .02));
	/* One ACK for many windows is worth one segment, and one window for later. */
	cc.c.cwnd = 10 * MSS;
	cc.c.acked = 0;
	tcp_cc_on_ack(WITH(&cc, &e), &e, 100 * MSS, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 11 * MSS);
	for (int i = 0; i < 12; i++)
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
	CU_ASSERT_EQUAL(cc.c.cwnd, 12 * MSS);
}

static void
losses_set_the_threshold(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	static const uint32_t keep[] = {[TCP_CC_CUBIC] = 70 * MSS, [TCP_CC_NEWRENO] = 50 * MSS};
	struct conn cc;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		init(&cc, kind, 120 * MSS);
		tcp_cc_on_loss(WITH(&cc, &e), &e, 100 * MSS);
		CU_ASSERT(cc.c.cwnd == 120 * MSS && cc.c.ssthresh == keep[kind]);
		cc.c.cwnd = 3; /* recovery may do that */
		tcp_cc_on_recovered(WITH(&cc, &e), &e);
		CU_ASSERT(cc.c.cwnd == keep[kind] && !tcp_cc_in_slow_start(&cc.c));
		tcp_cc_on_loss(WITH(&cc, &e), &e, MSS);
		CU_ASSERT_EQUAL(cc.c.ssthresh, 2 * MSS);
		tcp_cc_on_recovered(WITH(&cc, &e), &e);
		CU_ASSERT_EQUAL(cc.c.cwnd, 2 * MSS);
		/* A mark acts at once. */
		init(&cc, kind, 100 * MSS);
		tcp_cc_on_ecn(WITH(&cc, &e), &e, 100 * MSS);
		CU_ASSERT(cc.c.cwnd == keep[kind] && cc.c.ssthresh == keep[kind]);
	}
}

static void
timeouts_start_over(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	static const uint32_t keep[] = {[TCP_CC_CUBIC] = 70 * MSS, [TCP_CC_NEWRENO] = 50 * MSS};
	struct conn cc;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		init(&cc, kind, 100 * MSS);
		tcp_cc_on_rto(WITH(&cc, &e), &e, 100 * MSS, true);
		CU_ASSERT(cc.c.cwnd == MSS && cc.c.ssthresh == keep[kind]);
		/* RFC 5681 3.1: held for further ones of the same data, of which one segment is in flight by now. */
		tcp_cc_on_rto(WITH(&cc, &e), &e, MSS, false);
		CU_ASSERT(cc.c.cwnd == MSS && cc.c.ssthresh == keep[kind]);
		/* RFC 3465 2.3: one segment per ACK until this slow start ends. */
		tcp_cc_on_ack(WITH(&cc, &e), &e, 2 * MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, 2 * MSS);
		while (tcp_cc_in_slow_start(&cc.c))
			tcp_cc_on_ack(WITH(&cc, &e), &e, 2 * MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, keep[kind]);
		cc.c.ssthresh = TCP_CWND_MAX;
		tcp_cc_on_ack(WITH(&cc, &e), &e, 2 * MSS, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, keep[kind] + 2 * MSS);
	}
}

static void
idleness_restarts(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	struct conn cc;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		init(&cc, kind, 100 * MSS);
		cc.c.ssthresh = 20 * MSS;
		tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, HZ / 5, HZ / 5);
		CU_ASSERT(cc.c.cwnd == 100 * MSS && cc.c.ssthresh == 20 * MSS);
		tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, HZ / 5 + 1, HZ / 5);
		CU_ASSERT(cc.c.cwnd == 10 * MSS && cc.c.ssthresh == 75 * MSS);
		/* Never upwards. */
		cc.c.cwnd = 4 * MSS;
		tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, HZ, HZ / 5);
		CU_ASSERT(cc.c.cwnd == 4 * MSS && cc.c.ssthresh == 75 * MSS);
		init(&cc, kind, 100 * MSS);
		tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, HZ, HZ / 5);
		CU_ASSERT_EQUAL(cc.c.ssthresh, TCP_CWND_MAX);
	}
}

/* RFC 9438 figure 1 and 2, in segments and seconds. */
static double
plateau_after(double wmax, double cwnd)
{
	return wmax > cwnd ? cbrt((wmax - cwnd) / .4) : 0;
}

static double
w_cubic(double t, double wmax, double k)
{
	return .4 * (t - k) * (t - k) * (t - k) + fmax(wmax, 0);
}

/* Where the curve is above Reno, cwnd is the curve. */
static void
cubic_follows_its_curve(void)
{
	static const struct {
		uint64_t hz;
		double rtt;
		uint32_t wmax, mss;
	} rows[] = {
		{HZ, .1, 1000, 1448}, {HZ, .05, 2000, 1448},	     {1000000000, .2, 400, 1448},
		{HZ, .1, 5000, 536},  {3700000000, .02, 8000, 8948}, {1000000000, .3, 1000, 65535 / 2},
		{HZ, .1, 3000, 100},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(rows); i++) {
		struct tcp_cc_env e = env_of(rows[i].hz, rows[i].rtt, rows[i].mss);
		double wmax = rows[i].wmax, k = plateau_after(wmax, wmax * .7), t, worst = 0;
		uint64_t start;
		struct conn cc;

		init(&cc, TCP_CC_CUBIC, 10 * e.mss);
		lose_at(&cc, &e, rows[i].wmax * e.mss);
		start = e.now;
		acks_for(&cc, &e, rows[i].rtt);
		CU_ASSERT(fabs(cc.q.k / 1024.0 - k) < 2 / 1024.0);
		do {
			t = (double)(e.now - start) / (double)e.hz;
			worst = fmax(worst, fabs((double)cc.c.cwnd / e.mss / w_cubic(t, wmax, k) - 1));
			acks_for(&cc, &e, rows[i].rtt);
		} while (t < 1.8 * k);
		if (worst > .02)
			printf("  row %zu: off by %.2f %%\n", i, worst * 100);
		CU_ASSERT(worst <= .02);
	}
}

/* On a short path Reno would be faster, so CUBIC is Reno: 9/17 of a segment a round trip up to where it fell from, one
 * beyond.
 */
static void
cubic_is_no_slower_than_reno(void)
{
	struct tcp_cc_env e = env_of(HZ, .001, MSS);
	struct conn cc;
	double worst = 0;

	init(&cc, TCP_CC_CUBIC, 10 * MSS);
	lose_at(&cc, &e, 60 * MSS);
	for (int n = 0; n < 80; n++) {
		double want = 42 + n * 9 / 17., up = (60 - 42) * 17 / 9.;

		if (n > up)
			want = 60 + (n - up);
		worst = fmax(worst, fabs(cc.c.cwnd / (double)MSS / want - 1));
		acks_for(&cc, &e, .001);
	}
	CU_ASSERT(worst <= .02);
}

/* RFC 9438 4.2 to 4.5 word for word, per ACK and in real numbers, in segments. */
struct model {
	double cwnd, w_max, w_est, prior, k, t;
	bool on;
};

static void
model_ack(struct model *m, double dt, double rtt, double segs)
{
	double target;

	if (!m->on) {
		m->on = true;
		m->t = 0;
		m->w_est = m->cwnd;
		m->w_max = fmax(m->w_max, m->cwnd);
		m->k = plateau_after(m->w_max, m->cwnd);
	} else {
		m->t += dt;
	}
	target = fmin(fmax(w_cubic(m->t + rtt, m->w_max, m->k), m->cwnd), 1.5 * m->cwnd);
	m->w_est += (m->w_est < m->prior ? 9 / 17. : 1) * segs / m->cwnd;
	if (w_cubic(m->t, m->w_max, m->k) < m->w_est)
		m->cwnd = fmax(m->cwnd, m->w_est);
	else
		m->cwnd += (target - m->cwnd) / m->cwnd * segs;
}

static void
model_loss(struct model *m, bool timeout)
{
	m->prior = m->cwnd;
	m->w_max = timeout ? 0 : m->cwnd < m->w_max ? m->cwnd * .85 : m->cwnd;
	m->cwnd *= .7;
	m->on = false;
}

/* Sawtooths of random lengths on random paths, with stretched ACKs. */
static void
cubic_agrees_with_the_model(void)
{
	struct rng r;

	rng_seed(&r, 4);
	for (int path = 0; path < 12; path++) {
		struct tcp_cc_env e = env_of(HZ, .002 * pow(1.6, path), MSS);
		double rtt = .002 * pow(1.6, path), worst = 0, seen = 0;
		struct model m = {.cwnd = 500};
		struct conn cc;

		init(&cc, TCP_CC_CUBIC, 500 * MSS);
		for (int tooth = 0; tooth < 12; tooth++) {
			double len = rtt * 20 + (double)(rng_next64(&r) % 1000) / 100, t = 0;

			/* The model and we start each tooth alike: no sum of errors. */
			m.cwnd = fmin(cc.c.cwnd / (double)MSS, 3000);
			cc.c.cwnd = (uint32_t)lround(m.cwnd * MSS);
			m.w_max = cc.q.w_max / (double)MSS;
			model_loss(&m, tooth % 5 == 4);
			if (tooth % 5 == 4) {
				tcp_cc_on_rto(WITH(&cc, &e), &e, cc.c.cwnd, true);
				while (tcp_cc_in_slow_start(&cc.c))
					tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
			} else {
				lose_at(&cc, &e, cc.c.cwnd);
			}
			while (t < len && m.cwnd < 20000) {
				double segs = (double)(1 + rng_next64(&r) % 3), dt = rtt * segs / m.cwnd;

				e.now += (uint64_t)(dt * (double)HZ);
				t += dt;
				tcp_cc_on_ack(WITH(&cc, &e), &e, (uint32_t)segs * MSS, true);
				model_ack(&m, dt, rtt, segs);
				worst = fmax(worst, fabs(cc.c.cwnd / (double)MSS / m.cwnd - 1));
				seen++;
			}
		}
		if (worst > .02)
			printf("  rtt %.3f: off by %.2f %%\n", rtt, worst * 100);
		CU_ASSERT(worst <= .02 && seen > 1000);
	}
}

/* 4.4: by half a window for each window at most, however far the curve is above; and 4.2 at the other end of time. */
static void
cubic_aims_within_bounds(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, MSS);
	struct conn cc;
	uint32_t before;

	init(&cc, TCP_CC_CUBIC, 1000 * MSS);
	tcp_cc_on_loss(WITH(&cc, &e), &e, 20 * MSS);
	tcp_cc_on_recovered(WITH(&cc, &e), &e);
	acks_for(&cc, &e, .1);
	for (int n = 0; n < 5; n++) {
		before = cc.c.cwnd;
		for (uint32_t acked = 0; acked < before; acked += MSS) {
			e.now += HZ / 200;
			tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
		}
		CU_ASSERT(cc.c.cwnd > before + before / 4 && cc.c.cwnd <= before + before / 2 + MSS);
	}
	/* An epoch of years. */
	lose_at(&cc, &e, 1000 * MSS);
	acks_for(&cc, &e, 1);
	cc.q.elapsed = 1ull << 60;
	before = cc.c.cwnd;
	acks_for(&cc, &e, .1);
	CU_ASSERT(cc.c.cwnd > before + before / 4);
}

static void
cubic_converges_fast(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, MSS);
	struct conn cc;

	init(&cc, TCP_CC_CUBIC, 10 * MSS);
	lose_at(&cc, &e, 1000 * MSS);
	CU_ASSERT_EQUAL(cc.q.w_max, 1000 * MSS);
	acks_for(&cc, &e, 3);
	/* 4.7: it did not get back, so it leaves room: the next plateau is below. */
	CU_ASSERT(cc.c.cwnd > 900 * MSS && cc.c.cwnd < 1000 * MSS);
	lose_at(&cc, &e, 900 * MSS);
	CU_ASSERT(close_to(cc.q.w_max, .85 * 900 * MSS, .001));
	acks_for(&cc, &e, plateau_after(.85 * 900, .7 * 900));
	CU_ASSERT(close_to(cc.c.cwnd, .85 * 900 * MSS, .01));
	/* Beyond it, the full height counts. */
	acks_for(&cc, &e, 10);
	lose_at(&cc, &e, cc.c.cwnd);
	CU_ASSERT_EQUAL(cc.q.w_max, cc.q.w_prior);
}

/* 4.8: from a plateau at the window where slow start ended. */
static void
cubic_after_a_timeout_starts_on_a_plateau(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, MSS);
	struct conn cc;
	uint64_t start;

	init(&cc, TCP_CC_CUBIC, 1000 * MSS);
	tcp_cc_on_rto(WITH(&cc, &e), &e, 1000 * MSS, true);
	while (tcp_cc_in_slow_start(&cc.c))
		tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
	start = e.now;
	for (double t = 0; t < 12; t = (double)(e.now - start) / HZ) {
		CU_ASSERT(close_to(cc.c.cwnd, w_cubic(t, 700, 0) * MSS, .02));
		acks_for(&cc, &e, .1);
	}
}

/* 4.2, 5.8: time in which somebody else was the limit is no part of the epoch. */
static void
cubic_does_not_count_pauses(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, MSS);
	struct conn cc, other;
	uint64_t now;

	for (int how = 0; how < 5; how++) {
		init(&cc, TCP_CC_CUBIC, 10 * MSS);
		lose_at(&cc, &e, 1000 * MSS);
		acks_for(&cc, &e, 4);
		other = cc;
		now = e.now;
		acks_for(&other, &e, 4);
		e.now = now;
		if (how == 0) { /* little to send */
			for (int i = 0; i < 1000; i++) {
				e.now += HZ / 10;
				tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, false);
			}
		} else if (how == 1) { /* nothing to send, for less than the timeout */
			e.now += 100 * HZ;
			tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, 100 * HZ, 200 * HZ);
		} else if (how == 2) { /* nobody polled */
			e.now += 100 * HZ;
		} else { /* many short pauses */
			for (int i = 0; i < 100; i++) {
				e.now += HZ / 10;
				if (how == 3)
					tcp_cc_on_ack(WITH(&cc, &e), &e, 1, false);
				else
					tcp_cc_on_idle(WITH(&cc, &e), &e, 10 * MSS, HZ / 10, HZ / 5);
				tcp_cc_on_ack(WITH(&cc, &e), &e, 1, true);
			}
		}
		CU_ASSERT(close_to(cc.c.cwnd, w_cubic(4, 1000, plateau_after(1000, 700)) * MSS, .02));
		acks_for(&cc, &e, 4);
		CU_ASSERT(close_to(cc.c.cwnd, other.c.cwnd, .01));
	}
}

static void
undo_restores(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, MSS);
	struct conn cc, other;
	struct tcp_cc_saved s;
	uint64_t now;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		for (int how = 0; how < 4; how++) {
			init(&cc, kind, 10 * MSS);
			lose_at(&cc, &e, 1000 * MSS);
			/* Before the plateau and behind it. */
			acks_for(&cc, &e, how & 1 ? 12 : 3);
			other = cc;
			other.c.clock_on = false; /* the mistake takes no time of its epoch, either */
			tcp_cc_save(WITH(&cc, &e), &e, &s);
			if (how < 2) {
				lose_at(&cc, &e, cc.c.cwnd / 2);
				acks_for(&cc, &e, .5);
			} else {
				tcp_cc_on_rto(WITH(&cc, &e), &e, cc.c.cwnd, true);
				tcp_cc_on_rto(WITH(&cc, &e), &e, MSS, false);
				tcp_cc_on_ack(WITH(&cc, &e), &e, MSS, true);
			}
			CU_ASSERT(cc.c.cwnd < other.c.cwnd && cc.c.ssthresh < other.c.cwnd);
			tcp_cc_undo(WITH(&cc, &e), &e, &s);
			CU_ASSERT(cc.c.cwnd == other.c.cwnd && cc.c.ssthresh == other.c.ssthresh);
			/* And goes on where it was, not from a new epoch. */
			now = e.now;
			acks_for(&other, &e, 8);
			e.now = now;
			acks_for(&cc, &e, 8);
			CU_ASSERT(close_to(cc.c.cwnd, other.c.cwnd, .01));
		}
		/* More than before is not taken away. */
		tcp_cc_save(WITH(&cc, &e), &e, &s);
		s.cwnd = cc.c.cwnd / 2;
		now = cc.c.cwnd;
		tcp_cc_undo(WITH(&cc, &e), &e, &s);
		CU_ASSERT_EQUAL(cc.c.cwnd, now);
	}
}

static uint32_t
some(struct rng *r, uint32_t max)
{
	return (uint32_t)(rng_next64(r) % ((uint64_t)max + 1)) >> rng_next64(r) % 32;
}

/* Any order of events with any numbers: the window stays in its bounds, and the arithmetic in its types. */
static void
nothing_overflows(void)
{
	struct rng r;
	uint32_t wrong = 0;

	rng_seed(&r, 5);
	for (int run = 0; run < 2000; run++) {
		struct tcp_cc_env e = {.hz = 1ull << (20 + run % 14), .now = rng_next64(&r) >> run % 64};
		struct tcp_cc_saved s;
		struct conn cc;

		init(&cc, run & 1, some(&r, UINT32_MAX));
		tcp_cc_save(WITH(&cc, &e), &e, &s);
		for (int i = 0; i < 500; i++) {
			uint64_t bits = rng_next64(&r);
			uint32_t flight = some(&r, UINT32_MAX), acked = some(&r, UINT32_MAX);

			e.mss = run & 2 ? MSS : 1 + some(&r, 65534);
			e.srtt = rng_next64(&r) >> (bits >> 32) % 64;
			e.now += rng_next64(&r) >> (bits >> 40) % 64;
			switch (bits % 16) {
			case 0:
				tcp_cc_save(WITH(&cc, &e), &e, &s);
				tcp_cc_on_loss(WITH(&cc, &e), &e, flight);
				wrong += cc.c.ssthresh < 2 * e.mss;
				break;
			case 1:
				tcp_cc_on_recovered(WITH(&cc, &e), &e);
				break;
			case 2:
				tcp_cc_on_rto(WITH(&cc, &e), &e, flight, bits >> 16 & 1);
				break;
			case 3:
				tcp_cc_on_idle(WITH(&cc, &e), &e, flight, acked, e.srtt);
				break;
			case 4:
				tcp_cc_on_ecn(WITH(&cc, &e), &e, flight);
				break;
			case 5:
				tcp_cc_undo(WITH(&cc, &e), &e, &s);
				break;
			default:
				tcp_cc_on_ack(WITH(&cc, &e), &e, acked, bits % 16 > 6);
				break;
			}
			wrong += cc.c.cwnd == 0 || cc.c.cwnd > TCP_CWND_MAX || cc.c.ssthresh > TCP_CWND_MAX || cc.c.ssthresh == 0;
			wrong += cc.q.w_max > TCP_CWND_MAX || cc.q.w_est > TCP_CWND_MAX;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* CUBIC without a record of its own is NewReno, to the byte; and with one again, an epoch begins at the window there is. */
static void
cubic_without_a_record_is_newreno(void)
{
	struct tcp_cc_env e = env_of(HZ, .05, MSS);
	struct tcp_cc cc[2];
	struct conn with;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		tcp_cc_init(&cc[kind], (enum tcp_cc_kind)kind, 10 * MSS);
		for (int i = 0; i < 1000; i++) {
			if (i % 300 == 100) {
				tcp_cc_on_loss(&cc[kind], &e, cc[kind].cwnd);
				tcp_cc_on_recovered(&cc[kind], &e);
			} else if (i == 650) {
				tcp_cc_on_rto(&cc[kind], &e, cc[kind].cwnd, true);
			}
			e.now += HZ / 1000;
			tcp_cc_on_ack(&cc[kind], &e, MSS, true);
		}
	}
	CU_ASSERT(cc[TCP_CC_CUBIC].cwnd == cc[TCP_CC_NEWRENO].cwnd && cc[TCP_CC_CUBIC].cwnd > 2 * MSS);
	CU_ASSERT_EQUAL(cc[TCP_CC_CUBIC].ssthresh, cc[TCP_CC_NEWRENO].ssthresh);
	CU_ASSERT(!cc[TCP_CC_CUBIC].epoch_on);
	with = (struct conn){.c = cc[TCP_CC_CUBIC]};
	tcp_cc_on_ack(WITH(&with, &e), &e, MSS, true);
	CU_ASSERT(with.c.epoch_on && with.q.w_max == cc[TCP_CC_CUBIC].cwnd && with.q.k == 0);
}

/* The whole way up: to the largest window, and no further. */
static void
growth_ends_at_the_maximum(void)
{
	struct tcp_cc_env e = env_of(HZ, .1, 65535);
	struct conn cc;

	for (int kind = TCP_CC_CUBIC; kind <= TCP_CC_NEWRENO; kind++) {
		init(&cc, kind, 10 * e.mss);
		for (int i = 0; i < 20000; i++)
			tcp_cc_on_ack(WITH(&cc, &e), &e, UINT32_MAX, true);
		CU_ASSERT_EQUAL(cc.c.cwnd, TCP_CWND_MAX);
		lose_at(&cc, &e, TCP_CWND_MAX);
		CU_ASSERT(cc.c.cwnd <= TCP_CWND_MAX * 7ull / 10);
		for (int i = 0; i < 100000; i++) {
			e.now += HZ / 100;
			tcp_cc_on_ack(WITH(&cc, &e), &e, UINT32_MAX, true);
		}
		CU_ASSERT_EQUAL(cc.c.cwnd, TCP_CWND_MAX);
	}
}

static const struct unit_test tests[] = {
	UNIT(slow_start_counts_bytes),
	UNIT(newreno_grows_a_segment_per_window),
	UNIT(losses_set_the_threshold),
	UNIT(timeouts_start_over),
	UNIT(idleness_restarts),
	UNIT(cubic_follows_its_curve),
	UNIT(cubic_is_no_slower_than_reno),
	UNIT(cubic_agrees_with_the_model),
	UNIT(cubic_aims_within_bounds),
	UNIT(cubic_converges_fast),
	UNIT(cubic_after_a_timeout_starts_on_a_plateau),
	UNIT(cubic_does_not_count_pauses),
	UNIT(undo_restores),
	UNIT(nothing_overflows),
	UNIT(cubic_without_a_record_is_newreno),
	UNIT(growth_ends_at_the_maximum),
};

UNIT_MAIN("tcp_cc", tests)
