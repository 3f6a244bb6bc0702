/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Received data beyond rcv_nxt: ranges of a connection in the order of the sequence space, each with the buffers that
 * hold it. Input puts segments in and takes the first range out when the gap before it is closed; output asks which
 * blocks to report.
 *
 * Records come from one pool of the stack and are linked by index from the connection's ooo_head. Memory and work are
 * bounded per connection: TCP_OOO_RANGES, TCP_OOO_BUFS, and one segment costs at most a walk over the ranges, plus
 * copying at most one buffer's worth of bytes. What does not fit is refused; the peer sends it again. Knows no
 * connection and no window: the caller has cut a segment to the window, so that everything here lies within 2^30 of
 * each other.
 */
#ifndef ZF_TCP_OOO_H
#define ZF_TCP_OOO_H

#include "core/arena.h"
#include "core/ctx.h"
#include "tcp/opt.h"
#include "tcp/seq.h"

#define TCP_OOO_NONE   UINT32_MAX /* TCP_NONE */
#define TCP_OOO_RANGES 32u
#define TCP_OOO_BUFS   256u

struct tcp_ooo_table;

/* From the arena, twice (arena.h); @n_ranges for all connections together. NULL in the dry run. */
struct tcp_ooo_table *tcp_ooo_take(struct arena *a, uint32_t n_ranges);
void tcp_ooo_init(struct tcp_ooo_table *t);

enum tcp_ooo_verdict {
	OOO_QUEUED, /* the buffer is taken over */
	OOO_MERGED, /* its bytes were copied into a neighbour's buffer; it is still the caller's */
	OOO_DUP,    /* nothing new in it; still the caller's */
	OOO_LIMIT,  /* no range or no buffer may be added; still the caller's */
};

/**
 * Keep a segment that begins beyond rcv_nxt.
 *
 * What is there already stays as it came first, also where the new bytes differ. A segment that reaches across ranges
 * closes the gaps between them. A FIN takes the number behind the payload; bytes behind a FIN that is here, and a FIN in
 * front of bytes that are here, are lies and left out. Bytes of a buffer in front of the payload may be overwritten.
 *
 * @param head   the connection's first range, TCP_OOO_NONE: none
 * @param m      one segment, pkt_meta(m)->off and ->len set; off and len are changed if it is taken over
 * @param seq    of its first byte
 * @param len    bytes of payload; 0 only of a FIN alone
 * @param dsack  out: the first part of it that was here before (RFC 2883); left == right if there is none
 */
enum tcp_ooo_verdict tcp_ooo_insert(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head,
				    struct rte_mbuf *m, tcpseq_t seq, uint32_t len, bool fin,
				    struct tcp_sack_block *dsack);

/* If the first range begins at or before @rcv_nxt: its buffers (chained by pkt_meta()->next, the last one's NULL), less
 * what lies before @rcv_nxt; ranges wholly before it are dropped. @bytes of payload in @bufs buffers; a FIN alone gives
 * NULL and 0. Buffers handed over stay counted in ctx->rx_held. To be called once whenever rcv_nxt has advanced: it
 * leaves no range behind that begins at or before the new rcv_nxt.
 */
bool tcp_ooo_take_next(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, tcpseq_t rcv_nxt,
		       struct rte_mbuf **first, struct rte_mbuf **last, uint32_t *bytes, uint32_t *bufs,
		       bool *fin);

/* What to report, at most @max blocks: the range that changed last (or was hit by a duplicate) first, then those before
 * it (RFC 2018 4). Returns their number.
 */
uint32_t tcp_ooo_blocks(const struct tcp_ooo_table *t, uint32_t head, struct tcp_sack_block *out, uint32_t max);

/* Everything goes; returns how many buffers went home. */
uint32_t tcp_ooo_drop(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head);

/* Buffers and ranges of one connection; records not in use by any. */
uint32_t tcp_ooo_bufs(const struct tcp_ooo_table *t, uint32_t head);
uint32_t tcp_ooo_ranges(const struct tcp_ooo_table *t, uint32_t head);
uint32_t tcp_ooo_free(const struct tcp_ooo_table *t);

#if defined(ZF_CHECKS) && ZF_CHECKS
/* Stops where an invariant of this connection's ranges does not hold; all of them lie beyond @rcv_nxt. */
void tcp_ooo_check(const struct tcp_ooo_table *t, uint32_t head, tcpseq_t rcv_nxt);
#else
static inline void
tcp_ooo_check(const struct tcp_ooo_table *t, uint32_t head, tcpseq_t rcv_nxt)
{
	(void)t;
	(void)head;
	(void)rcv_nxt;
}
#endif

#endif
