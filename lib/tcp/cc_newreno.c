/* SPDX-License-Identifier: BSD-3-Clause
 *
 * NewReno's congestion avoidance: one segment more per window (RFC 5681 3.1, bytes counted as in RFC 3465 2.1), half of
 * the flight after a loss. It has no memory, so nothing to remember.
 */
#include "tcp/cc_algo.h"

static void
avoid(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked)
{
	(void)tcp_cc_grow(cc, e->mss, acked, cc->cwnd);
}

static void
reduce(struct tcp_cc *cc, const struct tcp_cc_env *e, bool timeout)
{
	(void)cc;
	(void)e;
	(void)timeout;
}

const struct tcp_cc_algo tcp_cc_newreno = {
	.avoid = avoid,
	.reduce = reduce,
	.keep_tenths = 5,
};
