/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP for a host: echo answered, errors sent within their rate and only where RFC 1122 3.2.2 allows, errors received
 * handed up. What an error means for a zocket is decided by the reactor, which knows UDP and TCP.
 */
#ifndef ZF_IP_ICMP_H
#define ZF_IP_ICMP_H

#include "ip/output.h"

enum icmp_verdict {
	ICMP_TAKEN,   /* the buffer is used up or given back, the frame is counted */
	ICMP_IS_ERROR, /* an error about a packet of ours: see the quote; buffer and counting stay with the caller */
};

/* The packet that an error quotes: addresses as we sent them. */
struct icmp_quote {
	be32_t src; /* ours */
	be32_t dst;
	be16_t sport;
	be16_t dport;
	uint32_t seq; /* TCP's, host order */
	uint16_t mtu; /* of a "fragmentation needed": believed as far as RFC 1191 goes, else 0 */
	uint8_t proto;
	uint8_t type;
	uint8_t code;
};

/* A message in @m as parsed into @s: one segment, checksum right. */
enum icmp_verdict icmp_input(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s,
			     struct icmp_quote *q);

/* An echo request put together from fragments: @m is a chain of its ICMP message, each segment all data. The sum is
 * verified here. Takes @m over and counts it.
 */
void icmp_echo_chain(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s, const struct eth_addr *from);

/* Tell the sender of the packet in @m that it did not arrive, if that may be told. @m stays the caller's. */
void icmp_send_error(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s, uint8_t type, uint8_t code);

static inline void
icmp_port_unreachable(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	icmp_send_error(ctx, m, s, ICMP_MSG_UNREACH, ICMP_UNREACH_CODE_PORT);
}

#endif
