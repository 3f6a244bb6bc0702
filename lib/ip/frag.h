/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between received fragments (mbufs) and reassembly, which knows only handles.
 */
#ifndef ZF_IP_FRAG_H
#define ZF_IP_FRAG_H

#include "ip/output.h"

/* A fragment in @m as parsed into @s. Takes @m over. When it completes its datagram: the chain, each segment cut to its
 * part of the payload behind the IP header, with l3_off and l4_off of the first one's pkt_meta set (from buf_addr),
 * the first fragment's IP header repaired to the whole length, and @s describing the whole; @from is the sender's MAC.
 * Else NULL, and the frame is counted.
 */
struct rte_mbuf *frag_input(struct zf_ctx *ctx, struct rte_mbuf *m, struct seg *s, struct eth_addr *from);

/* Time Exceeded about a first fragment whose datagram was given up, and the end of any fragment's wait. */
void frag_dropped(struct zf_ctx *ctx, struct rte_mbuf *m, bool timeout, bool is_first);

/* Sum over the payload of a chain from frag_input(). */
uint64_t frag_sum(const struct rte_mbuf *m);

#endif
