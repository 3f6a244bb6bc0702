/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See cc.h: slow start, and what happens to the window around congestion avoidance.
 */
#include "tcp/cc_algo.h"

static const struct tcp_cc_algo *const algos[] = {
	[TCP_CC_CUBIC] = &tcp_cc_cubic,
	[TCP_CC_NEWRENO] = &tcp_cc_newreno,
};

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
		cc->last = 0;
		return;
	}
	if (tcp_cc_in_slow_start(cc)) {
		slow_start(cc, e, acked_bytes);
		return;
	}
	algos[cc->kind]->avoid(cc, e, acked_bytes);
	cc->cwnd = ZF_MIN(cc->cwnd, TCP_CWND_MAX);
}

/* The network is full. Congestion avoidance starts anew from here. */
static void
reduce(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight, bool timeout)
{
	const struct tcp_cc_algo *a = algos[cc->kind];
	uint32_t keep = (uint32_t)((uint64_t)flight * a->keep_tenths / 10);

	a->reduce(cc, timeout);
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
	cc->last = 0;
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
tcp_cc_save(const struct tcp_cc *cc, struct tcp_cc_saved *s)
{
	*s = (struct tcp_cc_saved){
		.cwnd = cc->cwnd,
		.ssthresh = cc->ssthresh,
		.w_max = cc->w_max,
		.w_prior = cc->w_prior,
		.w_est = cc->w_est,
		.k = cc->k,
		.elapsed = cc->elapsed,
		.epoch_on = cc->epoch_on,
	};
}

void
tcp_cc_undo(struct tcp_cc *cc, const struct tcp_cc_env *e, const struct tcp_cc_saved *s)
{
	(void)e;
	cc->cwnd = ZF_MAX(cc->cwnd, s->cwnd);
	cc->ssthresh = s->ssthresh;
	cc->w_max = s->w_max;
	cc->w_prior = s->w_prior;
	cc->w_est = s->w_est;
	cc->k = s->k;
	cc->elapsed = s->elapsed;
	cc->epoch_on = s->epoch_on;
	/* The time of the mistake does not count, and nothing computed in it. */
	cc->last = 0;
	cc->per_mss = 0;
	cc->acked = 0;
	cc->est_acked = 0;
	cc->after_rto = false;
}
