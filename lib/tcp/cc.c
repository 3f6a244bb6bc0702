/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See cc.h: slow start, and what happens to the window around congestion avoidance.
 */
#include "tcp/cc_algo.h"

static const struct tcp_cc_algo *const algos[] = {
	[TCP_CC_CUBIC] = &tcp_cc_cubic,
	[TCP_CC_NEWRENO] = &tcp_cc_newreno,
};

static const struct tcp_cc_algo *
algo_of(const struct tcp_cc *cc, const struct tcp_cc_env *e)
{
	return algos[e->cubic == NULL ? TCP_CC_NEWRENO : cc->kind];
}

void
tcp_cc_init(struct tcp_cc *cc, enum tcp_cc_kind kind, uint32_t iw_bytes)
{
	*cc = (struct tcp_cc){
		.cwnd = ZF_MIN(ZF_MAX(iw_bytes, 1u), TCP_CWND_MAX),
		.ssthresh = TCP_CWND_MAX,
		.kind = (uint8_t)kind,
	};
}

/* RFC 5681 3.1, with RFC 3465's bytes: by what was acknowledged, but by two segments per ACK at most, so that one ACK
 * for much does not become a burst; by one after a timeout, when an ACK may be for what left the network long ago.
 */
static void
slow_start(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked)
{
	uint32_t more = ZF_MIN(acked, cc->after_rto ? e->mss : 2 * e->mss);

	cc->cwnd = ZF_MIN(cc->cwnd + more, cc->ssthresh);
	cc->acked = 0;
	if (cc->cwnd == cc->ssthresh)
		cc->after_rto = false;
}

void
tcp_cc_on_ack(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked_bytes, bool cwnd_limited)
{
	if (!cwnd_limited) {
		cc->clock_on = false;
		return;
	}
	if (tcp_cc_in_slow_start(cc)) {
		slow_start(cc, e, acked_bytes);
		return;
	}
	algo_of(cc, e)->avoid(cc, e, acked_bytes);
	cc->cwnd = ZF_MIN(cc->cwnd, TCP_CWND_MAX);
}

/* The network is full. Congestion avoidance starts anew from here. */
static void
reduce(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight, bool timeout)
{
	const struct tcp_cc_algo *a = algo_of(cc, e);
	uint32_t keep = (uint32_t)((uint64_t)flight * a->keep_tenths / 10);

	a->reduce(cc, e, timeout);
	cc->ssthresh = ZF_MIN(ZF_MAX(keep, 2 * e->mss), TCP_CWND_MAX);
	cc->epoch_on = false;
	cc->acked = 0;
}

void
tcp_cc_on_loss(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight)
{
	reduce(cc, e, flight, false);
}

void
tcp_cc_on_recovered(struct tcp_cc *cc, const struct tcp_cc_env *e)
{
	cc->cwnd = ZF_MAX(cc->ssthresh, e->mss);
	cc->acked = 0;
}

void
tcp_cc_on_rto(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight, bool first)
{
	if (first)
		reduce(cc, e, flight, true);
	cc->cwnd = e->mss;
	cc->acked = 0;
	cc->epoch_on = false;
	cc->after_rto = true;
}

void
tcp_cc_on_idle(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t iw, uint64_t idle, uint64_t rto)
{
	(void)e;
	cc->clock_on = false;
	if (idle <= rto || cc->cwnd <= iw)
		return;
	/* What the path bore is a good guess, but no reason for a burst. */
	cc->ssthresh = ZF_MAX(cc->ssthresh, cc->cwnd - cc->cwnd / 4);
	cc->cwnd = ZF_MAX(iw, 1u);
	cc->acked = 0;
	cc->epoch_on = false;
}

void
tcp_cc_on_ecn(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight)
{
	reduce(cc, e, flight, false);
	tcp_cc_on_recovered(cc, e);
}

void
tcp_cc_save(const struct tcp_cc *cc, const struct tcp_cc_env *e, struct tcp_cc_saved *s)
{
	const struct tcp_cubic *q = e->cubic;

	*s = (struct tcp_cc_saved){.cwnd = cc->cwnd, .ssthresh = cc->ssthresh, .epoch_on = cc->epoch_on};
	if (q == NULL)
		return;
	s->w_max = q->w_max;
	s->w_prior = q->w_prior;
	s->w_est = q->w_est;
	s->k = q->k;
	s->elapsed = q->elapsed;
}

void
tcp_cc_undo(struct tcp_cc *cc, const struct tcp_cc_env *e, const struct tcp_cc_saved *s)
{
	struct tcp_cubic *q = e->cubic;

	cc->cwnd = ZF_MAX(cc->cwnd, s->cwnd);
	cc->ssthresh = s->ssthresh;
	cc->epoch_on = s->epoch_on && q != NULL;
	/* The time of the mistake does not count, and nothing computed in it. */
	cc->clock_on = false;
	cc->acked = 0;
	cc->after_rto = false;
	if (q == NULL)
		return;
	q->w_max = s->w_max;
	q->w_prior = s->w_prior;
	q->w_est = s->w_est;
	q->k = s->k;
	q->elapsed = s->elapsed;
	q->per_mss = 0;
	q->est_acked = 0;
}
