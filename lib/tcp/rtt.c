/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See rtt.h. The gains of RFC 6298, 1/8 and 1/4, are shifts; what they cut off is below 8 cycles.
 */
#include "tcp/rtt.h"

/* More than any clock can measure, small enough for four of them to be added. */
#define RTT_MAX (1ull << 60)

static uint64_t
rto_bound(uint64_t rto, const struct tcp_rtt_limits *lim)
{
	return ZF_MIN(ZF_MAX(rto, lim->rto_min), lim->rto_max);
}

void
tcp_rtt_init(struct tcp_rtt *r, const struct tcp_rtt_limits *lim)
{
	r->srtt = 0;
	r->rttvar = 0;
	r->min_rtt = 0;
	r->rto = rto_bound(lim->rto_initial, lim);
}

void
tcp_rtt_sample(struct tcp_rtt *r, uint64_t rtt, const struct tcp_rtt_limits *lim)
{
	rtt = ZF_MIN(ZF_MAX(rtt, 1u), RTT_MAX);
	if (r->srtt == 0) {
		/* 2.2 */
		r->srtt = rtt;
		r->rttvar = rtt / 2;
		r->min_rtt = rtt;
	} else {
		/* 2.3: the variation first, it wants the old mean. */
		uint64_t off = rtt > r->srtt ? rtt - r->srtt : r->srtt - rtt;

		r->rttvar = r->rttvar - r->rttvar / 4 + off / 4;
		r->srtt = r->srtt - r->srtt / 8 + rtt / 8;
		r->min_rtt = ZF_MIN(r->min_rtt, rtt);
	}
	r->rto = rto_bound(r->srtt + ZF_MAX(lim->granularity, 4 * r->rttvar), lim);
}

uint64_t
tcp_rtt_backoff(const struct tcp_rtt *r, unsigned n, const struct tcp_rtt_limits *lim)
{
	if (n >= 64 || r->rto > lim->rto_max >> n)
		return lim->rto_max;
	return r->rto << n;
}
