/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The UDP room from the inside: zockets, bindings and their tables. Everything lives in the stack's arena and is
 * linked by index.
 *
 * Neighbours: the reactor calls udp_input() for a parsed datagram; udp_tx.c sends through the ctx. This room knows
 * nothing of stacks, TCP, or who polls.
 */
#ifndef ZF_UDP_UDP_H
#define ZF_UDP_UDP_H

#include <zf/zf.h>

#include "core/arena.h"
#include "core/ctx.h"
#include "core/htab.h"
#include "core/mux.h"
#include "ip/netif.h"
#include "ip/parse.h"

#define UDP_NONE UINT32_MAX

/* Largest payload of a datagram: 65535 less IP and UDP header. */
#define UDP_PAYLOAD_MAX 65507u

/* Buffers of one zfut_send() that are gathered without another copy. */
#define UDP_IOV_MAX 64

struct zfur {
	/* R: every datagram. */
	struct zf_waitable w;
	uint32_t count;     /* datagrams queued, the one handed out included */
	uint32_t limit;     /* datagrams that may be queued */
	struct rte_mbuf *head;
	struct rte_mbuf *tail;
	int64_t ctx_off;    /* from this zocket to its ctx */
	uint64_t rx_dgrams;
	uint64_t rx_drops;  /* beyond limit or hold budget */
	/* S */
	uint32_t index;
	uint32_t first_bind; /* chain by udp_bind.next_of_zfur */
	uint32_t next_free;
	uint32_t generation; /* odd while in use */
	uint64_t icmp_errors;
	uint64_t many_serial; /* of the last multicast datagram it got, so that it gets none twice */
} ZF_CACHE_ALIGNED;
ZF_STATIC_ASSERT(offsetof(struct zfur, index) <= 64, "what a datagram needs is one cache line");

/* One address pair that a zfur receives. Unicast pairs hash over what they fix: (local), or (local, remote).
 * Multicast and broadcast ones over the local address and port alone, since several may want one datagram: the first
 * is in the table, the others hang on it.
 */
struct udp_bind {
	be32_t lip;
	be32_t rip;   /* 0: any */
	be16_t lport;
	be16_t rport; /* 0: any */
	uint32_t zfur;
	uint32_t tag;
	uint32_t next_of_zfur; /* also the free list */
	uint32_t next_many;    /* with the same local address and port */
	uint8_t used;
	uint8_t many; /* multicast or broadcast */
	uint8_t joined;
};

struct zfut {
	/* T: every send. */
	struct zf_waitable w;
	uint32_t fast_bytes; /* payloads up to here may go the fast way; 0 while the path is unresolved */
	uint32_t path_gen;   /* ctx->path_gen that the header below was made for */
	uint32_t last_len;   /* payload length that the header is set for, UINT32_MAX: none */
	uint16_t hdr_len;    /* 42, 46 with a tag */
	uint8_t sum_mode;    /* enum udp_sum_mode */
	uint8_t last_df;
	uint32_t ip_sum;     /* RFC 1071 sum of the IP header with length, id and flags 0 */
	uint32_t mss;
	int64_t ctx_off;
	uint64_t tx_dgrams;
	uint64_t l4_sum;     /* RFC 1071 sum of pseudo header and UDP header with the lengths 0 */

	uint8_t hdr[64] ZF_CACHE_ALIGNED; /* Ethernet, tag, IP and UDP header, ready to be copied */

	/* S */
	struct ip_path path;
	be16_t sport;
	be16_t dport;
	uint8_t ttl;
	uint8_t tos;
	bool bound; /* sport is registered with the netif (ephemeral port) */
	uint32_t index;
	uint32_t next_free;
	uint32_t generation;
	uint64_t icmp_errors;
} ZF_CACHE_ALIGNED;
ZF_STATIC_ASSERT(offsetof(struct zfut, hdr) == 64, "state and header of a send are two cache lines");

enum udp_sum_mode {
	UDP_SUM_NONE,    /* the port cannot damage frames, or sums every one up by itself */
	UDP_SUM_OFFLOAD, /* the port fills both checksums in */
	UDP_SUM_SOFT,
};

struct udp_room {
	struct htab binds_tab;
	struct htab_entry *binds_entries;
	struct zfur *zfurs;
	struct zfut *zfuts;
	struct udp_bind *binds;
	uint32_t n_wild, n_pair, n_many; /* bindings by kind: which look-ups can succeed at all */
	uint32_t max_zfur, max_zfut, max_binds;
	uint32_t free_zfur, free_zfut, free_bind;
	uint32_t open_zfur, open_zfut;
	uint32_t queue_limit; /* of a new zfur */
	uint64_t many_serial;
	bool can_rx, can_tx;
};

static ZF_ALWAYS_INLINE struct zf_ctx *
zfur_ctx(const struct zfur *us)
{
	return (struct zf_ctx *)((char *)(uintptr_t)us + us->ctx_off);
}

static ZF_ALWAYS_INLINE struct zf_ctx *
zfut_ctx(const struct zfut *us)
{
	return (struct zf_ctx *)((char *)(uintptr_t)us + us->ctx_off);
}

/* What is true of a zocket now, of EPOLL*. */
static inline uint16_t
zfur_events(const struct zfur *us)
{
	return us->head != NULL ? EPOLLIN : 0;
}

/* A send that found the port full or no buffer is told by the reactor when that is over. */
static inline uint16_t
zfut_events(const struct zfut *us)
{
	return us->w.flags & (WAITABLE_WANT_TX | WAITABLE_WANT_BUF) ? 0 : EPOLLOUT;
}

/* Room and tables from the arena; called twice, see arena.h. NULL in the dry run. */
struct udp_room *udp_room_take(struct arena *a, uint32_t max_zfur, uint32_t max_zfut);
void udp_room_init(struct udp_room *r, struct zf_ctx *ctx);
/* Release every zocket that is still open: their buffers go home, their addresses are free again. */
void udp_room_fini(struct zf_ctx *ctx);

/* Ends of udp_input() (udp_fast.h): no zocket, or several may want it; and no room in the zocket's queue. */
void udp_input_slow(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s);
void udp_input_full(struct zf_ctx *ctx, struct zfur *us, struct rte_mbuf *m);

/* A valid ICMP error that quotes a datagram of ours. True if it found its zocket. */
bool udp_icmp_error(struct zf_ctx *ctx, be32_t src, be16_t sport, be32_t dst, be16_t dport, uint8_t type,
		    uint8_t code);

/* Does a zocket of this stack want this datagram? For queues that several stacks share. */
bool udp_wants(struct zf_ctx *ctx, const struct seg *s);

/* Resets the zocket's header after its path or ctx->path_gen changed. */
void udp_tx_refresh(struct zfut *us);

#endif
