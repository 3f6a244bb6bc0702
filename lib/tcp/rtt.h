/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The round-trip estimator of RFC 6298: samples in, retransmission timeout out. Which segments may be sampled (Karn:
 * none that was sent twice, unless timestamps tell which one was answered) and when the timer runs is the business of
 * input and timers; so is the timeout of at least 3 s that follows a lost SYN (RFC 6298 5.7). Knows no clock: all
 * times are cycles, and differences only.
 */
#ifndef ZF_TCP_RTT_H
#define ZF_TCP_RTT_H

#include "base/compiler.h"

struct tcp_rtt {
	uint64_t srtt;    /* 0: no sample yet */
	uint64_t rttvar;
	uint64_t rto;     /* without backoff; rto_min..rto_max */
	uint64_t min_rtt; /* the least of this connection since its start; 0: no sample yet */
};

struct tcp_rtt_limits {
	uint64_t rto_initial; /* before the first sample */
	uint64_t rto_min, rto_max;
	uint64_t granularity; /* G: how late our timers may be */
};

void tcp_rtt_init(struct tcp_rtt *r, const struct tcp_rtt_limits *lim);

/* One measured round trip. 0 counts as 1, so that srtt says whether there was any. */
void tcp_rtt_sample(struct tcp_rtt *r, uint64_t rtt, const struct tcp_rtt_limits *lim);

/* The timeout after @n expiries in a row: rto doubled @n times, rto_max at most. */
uint64_t tcp_rtt_backoff(const struct tcp_rtt *r, unsigned n, const struct tcp_rtt_limits *lim);

#endif
