/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TIME-WAIT: what is left of a connection for 2 MSL after both sides have closed it, 64 bytes each, outside the limit of
 * zockets. All of them last equally long, so one list is sorted by expiry as it is, and one timer serves it. When no
 * entry is free the oldest makes room: the protection ends earlier, nothing fails.
 *
 * The table lies in the stack's arena and is linked by index. It knows neither zockets nor the demux table nor the netif:
 * whoever takes an entry out of it (expired, recycled, reused) unhashes and unbinds what its fields say. tw_input() only
 * judges a segment; the caller sends.
 */
#ifndef ZF_TCP_TW_H
#define ZF_TCP_TW_H

#include "tcp/key.h"
#include "tcp/seq.h"

enum tw_flag {
	TW_USED = 1u << 0,  /* in the list; set and cleared by the table */
	TW_TS = 1u << 1,    /* the connection used timestamps: ts_recent and ts_off are valid */
	TW_BOUND = 1u << 2, /* the 4-tuple is registered with the netif */
};

struct tcp_tw {
	/* R: what a segment for this connection is compared with. */
	struct tcp_key key;
	tcpseq_t snd_nxt;   /* behind our FIN */
	tcpseq_t rcv_nxt;   /* behind the peer's */
	uint32_t rcv_wnd;   /* bytes, from rcv_nxt */
	uint32_t ts_recent; /* newest TSval of the peer */
	uint32_t ts_off;    /* added to our clock to make a TSval */
	/* T: the table's own. */
	uint64_t expires;   /* cycles */
	uint32_t next;      /* the younger one, or the next free one; TW_NONE */
	uint32_t prev;
	/* S: the caller's. */
	uint32_t tag;       /* the key's hash */
	uint32_t listener1; /* index + 1 of the listener it was accepted from; 0: none */
	uint32_t zft1;      /* index + 1 of the zocket, while the application holds it; 0: freed */
	uint8_t flags;      /* enum tw_flag */
	uint8_t rcv_wscale; /* shift of the window that we announce */
	uint16_t generation; /* one more at each use of this place */
};
ZF_STATIC_ASSERT(sizeof(struct tcp_tw) == 64, "one cache line each");

#define TW_NONE UINT32_MAX

struct tcp_tw_table {
	int64_t entries_off; /* from this struct, in bytes: the arena may be mapped elsewhere too */
	uint32_t max;
	uint32_t n;
	uint32_t oldest;
	uint32_t youngest;
	uint32_t free;
	uint32_t pad;
	uint64_t life;     /* 2 MSL, in cycles */
	uint64_t recycled; /* how many ended early for want of room */
};

/* @entries: @max zeroed ones. @life in cycles. */
void tw_init(struct tcp_tw_table *t, struct tcp_tw *entries, uint32_t max, uint64_t life);

static ZF_ALWAYS_INLINE struct tcp_tw *
tw_at(const struct tcp_tw_table *t, uint32_t i)
{
	return (struct tcp_tw *)((char *)(uintptr_t)t + t->entries_off) + i;
}

static ZF_ALWAYS_INLINE uint32_t
tw_index(const struct tcp_tw_table *t, const struct tcp_tw *e)
{
	return (uint32_t)(e - tw_at(t, 0));
}

/* An entry that expires @now + life, with all of the caller's fields 0. If the oldest had to go for it, @was is what that
 * one held (TW_USED set in its flags; it had the same index), else @was->flags is 0. NULL if the table has no entries
 * at all.
 */
struct tcp_tw *tw_take(struct tcp_tw_table *t, uint64_t now, struct tcp_tw *was);

/* Give it back, expired or not. */
void tw_put(struct tcp_tw_table *t, struct tcp_tw *e);

/* The oldest entry if its time is over, else NULL. It stays in the table until the caller, done with it, calls tw_put(). */
struct tcp_tw *tw_expire(struct tcp_tw_table *t, uint64_t now);

/* When tw_expire() will have something: cycles; UINT64_MAX if never. */
static inline uint64_t
tw_next_due(const struct tcp_tw_table *t)
{
	return t->oldest == TW_NONE ? UINT64_MAX : tw_at(t, t->oldest)->expires;
}

/* The 2 MSL begin again. */
void tw_restart(struct tcp_tw_table *t, struct tcp_tw *e, uint64_t now);

enum tw_action {
	TW_DROP,
	TW_ACK,         /* answer <SEQ=snd_nxt><ACK=rcv_nxt>, within the limit on challenge ACKs */
	TW_ACK_RESTART, /* the peer's FIN again: the same, and tw_restart() */
	TW_NEW_SYN,     /* a new connection may take the place: see tw_iss() */
};

/* What tw_input() must know of a segment. */
struct tw_seg {
	tcpseq_t seq;
	tcpseq_t ack;   /* valid with TCP_FLAG_ACK */
	uint32_t len;   /* of the payload */
	uint32_t tsval; /* valid with @ts */
	uint8_t flags;  /* TCP_FLAG_ */
	bool ts;        /* has timestamps; in a SYN: has them, and the new connection would use them */
};

/* RFC 9293 3.10.7.4 and 3.6.1 for TIME-WAIT, RFC 1337, RFC 6191, RFC 7323 5.3. */
enum tw_action tw_input(const struct tcp_tw *e, const struct tw_seg *s);

/* Initial sequence number of the connection that follows: @iss, what the generator gives (RFC 6528), unless that is not
 * clearly above all that the old connection used (RFC 9293 3.6.1).
 */
tcpseq_t tw_iss(const struct tcp_tw *e, tcpseq_t iss);

#endif
