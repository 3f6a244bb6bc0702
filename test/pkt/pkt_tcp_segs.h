/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For scripts about congestion and loss, which speak of segments rather than of bytes: each has 1000, and segment i is
 * bytes 1 + 1000 i on. Lines can be had by all other calls of ps_zft.h too.
 */
#ifndef ZF_TEST_PKT_TCP_SEGS_H
#define ZF_TEST_PKT_TCP_SEGS_H

#include "pkt/ps_zft.h"

#define RENO "tcp_cc=newreno;"
#define EST(...) ps_established(.peer_mss = 1000, .rtt = .1, __VA_ARGS__)

/* @n full segments more, without a word about where a message ends. */
static inline void
send_segs(struct ps *s, unsigned n)
{
	PS_EQ(s, ps_tcp_send(s, n * 1000, MSG_MORE), (long)n * 1000);
}

/* Segments @from to @to - 1 leave, now. */
static inline void
expect_segs(struct ps *s, int line, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		ps_out_at(s, line, "+0 . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
}
#define segs(s, from, to) expect_segs(s, __LINE__, from, to)

/* Segment @i leaves, after @when. */
#define seg_after(s, when, i)                                                                      \
	ps_out_at(s, __LINE__, "+%f . %u:%u(1000) ack 1", (double)(when), 1 + 1000 * (i), 1001 + 1000 * (i))

/* The peer has segments up to @ack, and of what follows @from to @to - 1. */
#define sack(s, when, ack_, from, to)                                                              \
	ps_in_at(s, __LINE__, "+%f . 1:1(0) ack %u <nop,nop,sack %u:%u>", (double)(when), 1 + 1000 * (ack_),  \
		 1 + 1000 * (from), 1 + 1000 * (to))
#define ack(s, when, upto) ps_in_at(s, __LINE__, "+%f . 1:1(0) ack %u", (double)(when), 1 + 1000 * (upto))

#endif
