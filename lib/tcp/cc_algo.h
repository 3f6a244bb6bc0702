/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What one congestion control algorithm does by itself, for cc.c alone: it calls through the table after slow start
 * and before the bounds of the window, which are the same for all.
 */
#ifndef ZF_TCP_CC_ALGO_H
#define ZF_TCP_CC_ALGO_H

#include "tcp/cc.h"

struct tcp_cc_algo {
	/* In congestion avoidance and limited by cwnd: @acked more bytes arrived; cwnd may leave its bounds. */
	void (*avoid)(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked);
	/* Before the window is reduced because the network is full: remember what there is to remember. @timeout: the
	 * retransmission timer says so.
	 */
	void (*reduce)(struct tcp_cc *cc, const struct tcp_cc_env *e, bool timeout);
	/* The share of the flight that may stay, in tenths. */
	uint32_t keep_tenths;
};

extern const struct tcp_cc_algo tcp_cc_newreno;
extern const struct tcp_cc_algo tcp_cc_cubic;

/* One segment more for each @per bytes, counted in cc->acked: true if there was growth, of one segment at a call. What
 * is carried over is bounded, so that a @per that falls suddenly does not pay out the past.
 */
static inline bool
tcp_cc_grow(struct tcp_cc *cc, uint32_t mss, uint32_t acked, uint32_t per)
{
	uint64_t sum = (uint64_t)cc->acked + acked;
	bool more = sum >= per;

	if (more) {
		sum -= per;
		cc->cwnd += mss;
	}
	cc->acked = (uint32_t)ZF_MIN(sum, per);
	return more;
}

#endif
