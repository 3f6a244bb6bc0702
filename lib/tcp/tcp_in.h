/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A received segment as the TCP room looks at it, and segments that belong to no connection. Between input.c and those
 * who keep connections that are no struct zft yet or any more.
 */
#ifndef ZF_TCP_TCP_IN_H
#define ZF_TCP_TCP_IN_H

#include "tcp/tcp.h"

struct tcp_in {
	struct rte_mbuf *m;
	struct tcp_key key;  /* lip: ours */
	tcpseq_t seq;
	tcpseq_t ack;
	uint32_t len;        /* payload bytes */
	uint16_t off;        /* of the payload, from rte_pktmbuf_mtod() */
	uint16_t wnd;        /* as the header has it */
	uint8_t flags;       /* TCP_FLAG_* */
	uint8_t ecn;         /* the IP header's two bits */
	struct eth_addr mac; /* whose frame it was: where an answer without a connection goes */
	struct tcp_opts o;
};

/* Sequence numbers it takes (SEG.LEN). */
static inline uint32_t
in_span(const struct tcp_in *in)
{
	return in->len + (in->flags & TCP_FLAG_SYN ? 1u : 0u) + (in->flags & TCP_FLAG_FIN ? 1u : 0u);
}

/* A segment of no connection: a reset, a SYN-ACK, an ACK from TIME-WAIT. */
struct tcp_reply {
	struct tcp_key key;
	tcpseq_t seq;
	tcpseq_t ack;
	uint16_t wnd; /* as the header has it */
	uint8_t flags;
	uint8_t opts_len;
	uint8_t opts[40];
	struct eth_addr mac;
};
/* output.c: gathered, leaves at the end of the poll. False and counted when there is no buffer. */
bool tcp_reply_send(struct zf_ctx *ctx, const struct tcp_reply *r);
/* The reset that answers @in (RFC 9293 3.10.7.1), within the limit for strangers; none to a reset. */
void tcp_reply_reset(struct zf_ctx *ctx, const struct tcp_in *in);

/* What a handshake agreed on, from the SYN cache or from a cookie. */
struct tcp_handshake {
	struct tcp_key key;
	tcpseq_t iss;     /* ours */
	tcpseq_t irs;     /* the peer's */
	uint16_t mss;     /* the peer's option, TCP_MSS_DEFAULT without one */
	int8_t wscale;    /* the peer's, -1: none was agreed */
	bool sack_ok;
	bool ts_ok;
	bool ecn;
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint32_t listener;
	uint32_t tag;     /* of the key */
	uint32_t entry;   /* what is in the demux table under it and gives way, or TCP_NONE */
	uint64_t synack_sent; /* cycles; 0: unknown, or sent more than once: no RTT sample */
	bool resent;          /* the SYN-ACK had to be: RFC 5681 3.1, RFC 6298 5.7 */
};
/* conn.c: a connection in ESTABLISHED, in its listener's queue, demux entry set; NULL when there is no zft or no path.
 * @in, the segment that completed it, is handled by the caller afterwards as any segment of the connection.
 */
struct zft *tcp_conn_accept(struct zf_ctx *ctx, const struct tcp_handshake *h, const struct tcp_in *in);

#endif
