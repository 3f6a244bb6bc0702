/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The SYN cache: connections of listeners in SYN-RECEIVED, 64 bytes each, before they deserve a struct zft. Entries are
 * in the demux table ctx->tcp->conns under the indexes behind those of TIME-WAIT. When there is no room for one more:
 * SYN cookies (cookie.h), or another entry, chosen at random, goes; by the attribute tcp_syn_cookies.
 *
 * A SYN-ACK is sent again with backoff; entries of one retry count wait equally long, so a list for each count is sorted
 * by itself, and one timer serves all. Between input.c, which finds listener or entry, and tcp_conn_accept(), which makes
 * the connection. Data that comes in a SYN is left to the peer to send again.
 */
#ifndef ZF_TCP_SYN_H
#define ZF_TCP_SYN_H

#include "tcp/tcp_in.h"

struct tcp_syn {
	struct tcp_key key;   /* first: looked at by every lookup that meets it */
	tcpseq_t iss;         /* ours */
	tcpseq_t irs;         /* the peer's */
	uint32_t ts_recent;   /* with SYN_TS */
	uint64_t sent;        /* cycles: when the last SYN-ACK was due */
	uint32_t tag;         /* the key's hash */
	uint32_t listener;
	uint32_t next;        /* in the list of its retry count, or the free list */
	uint32_t prev;
	uint32_t ts_offset;   /* of our timestamps */
	struct eth_addr mac;  /* where the SYN came from */
	uint16_t mss;         /* the peer's */
	int8_t wscale;        /* the peer's, -1: none */
	uint8_t flags;        /* enum tcp_syn_flags */
	uint8_t retries;      /* times the timer sent the SYN-ACK again */
	uint8_t hole;
};
ZF_STATIC_ASSERT(sizeof(struct tcp_syn) == 64, "one cache line each");

enum tcp_syn_flags {
	SYN_USED = 1,
	SYN_SACK = 2,
	SYN_TS = 4,
	SYN_ECN = 8,
	SYN_RESENT = 16, /* the SYN-ACK left more than once: its answer is no RTT sample */
};

/* Beyond this many retries the delay does not grow any more. */
#define TCP_SYN_LISTS 32u

struct tcp_syn_table {
	int64_t entries_off; /* from this struct, in bytes: the arena may be mapped elsewhere too */
	uint32_t max;
	uint32_t n;
	uint32_t free;
	uint32_t heads[TCP_SYN_LISTS]; /* the longest waiting one */
	uint32_t tails[TCP_SYN_LISTS];
	bool cookies_out;         /* a cookie was sent, */
	uint64_t cookie_at;       /* the last one then */
	struct output_limit bad;  /* wrong cookies that may still be looked at */
};

static ZF_ALWAYS_INLINE struct tcp_syn *
tcp_syn_at(const struct tcp_syn_table *t, uint32_t i)
{
	return (struct tcp_syn *)((char *)(uintptr_t)t + t->entries_off) + i;
}

static ZF_ALWAYS_INLINE const struct tcp_key *
tcp_syn_key(const struct tcp_syn_table *t, uint32_t i)
{
	return &tcp_syn_at(t, i)->key;
}

/* From the arena, twice (arena.h). NULL in the dry run. */
struct tcp_syn_table *tcp_syn_take(struct arena *a, uint32_t max);
/* ctx->tcp and its table are there, conf is set. */
void tcp_syn_init(struct zf_ctx *ctx);

/* A SYN without ACK and RST for a listener, of no connection and no entry (RFC 9293 3.10.7.2, third): answered by a
 * SYN-ACK, from an entry or with a cookie, or dropped and counted.
 */
void tcp_syn_listen(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_in *in);

/* A segment for entry @entry (its index in the cache): RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive OPEN. If it
 * completes the handshake *@promoted is the connection, which the caller gives @in to next; else NULL, and @in is done
 * with.
 */
void tcp_syn_segment(struct zf_ctx *ctx, uint32_t entry, const struct tcp_in *in, struct zft **promoted);

/* A segment with ACK for a listener, of no connection and no entry: the answer to a cookie, or reset. *@promoted as
 * above.
 */
void tcp_syn_cookie_ack(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_in *in, struct zft **promoted);

/* TIMER_TCP_SYN. */
void tcp_syn_timer(struct zf_ctx *ctx);

/* The listener is freed: its entries go, their peers get a reset. */
void tcp_syn_drop_listener(struct zf_ctx *ctx, uint32_t listener);

/* A hard ICMP error that quotes our SYN-ACK (the caller compared the sequence number with tcp_syn_iss()): the entry
 * goes.
 */
void tcp_syn_icmp(struct zf_ctx *ctx, uint32_t entry);

static inline tcpseq_t
tcp_syn_iss(const struct tcp_syn_table *t, uint32_t i)
{
	return tcp_syn_at(t, i)->iss;
}

static inline uint32_t
tcp_syn_count(const struct zf_ctx *ctx)
{
	return ctx->tcp->syn->n;
}

#endif
