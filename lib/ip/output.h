/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames on their way out: those that the stack itself owes (ARP, ICMP, IGMP; gathered, sent in one burst at the end of
 * a poll), fragments, frames that wait for their neighbour, and what a full port left over.
 *
 * Data that zockets send directly goes through ctx->tx and ctx->tx_copy without a detour here.
 */
#ifndef ZF_IP_OUTPUT_H
#define ZF_IP_OUTPUT_H

#include <sys/uio.h>

#include "core/arena.h"
#include "core/ctx.h"
#include "ip/netif.h"
#include "ip/path.h"
#include "ip/reass.h"

#define OUTPUT_GATHER  64
#define OUTPUT_HELD    128 /* one datagram of 64 KiB in 45 fragments, and more */
#define OUTPUT_BACKLOG 256
/* 65,515 bytes over the least path MTU (528 bytes a fragment) are 125. */
#define OUTPUT_FRAGS_MAX 128
#define OUTPUT_HELD_MS   3000

struct output_held {
	struct rte_mbuf *m;
	be32_t next_hop;
	int32_t neigh; /* a reference of its own: the zocket may be gone before the answer comes */
	uint64_t deadline;
};

/* Tokens that come back with time; for what strangers can make us send. */
struct output_limit {
	uint64_t last;   /* cycles */
	uint32_t tokens;
	uint32_t burst;
	uint32_t per_s;
};

/* The IP state of one stack. */
struct ip_room {
	struct parse_env env;
	uint32_t env_gen; /* netif_gen() that env was made for */
	uint16_t ip_id;
	uint32_t n_gather;
	uint32_t n_held;
	struct rte_mbuf *gather[OUTPUT_GATHER];
	struct rte_mbuf *backlog[OUTPUT_BACKLOG];
	struct output_held held[OUTPUT_HELD];
	struct output_limit icmp_errors;
	struct output_limit icmp_echo;
	struct output_limit icmp_heard; /* errors from routers: each makes us look for its zocket */
	struct reass *reass;
	void *reass_mem;
	struct wheel_timer netif_timer;
	struct wheel_timer reass_timer;
	struct wheel_timer held_timer;
	struct ip_paths paths;
};

/* From the arena, twice; see arena.h. @n_bufs bounds what reassembly may hold. */
struct ip_room *ip_room_take(struct arena *a, uint32_t n_bufs);
void ip_room_init(struct zf_ctx *ctx, uint32_t n_bufs);
void ip_room_fini(struct zf_ctx *ctx);
/* After netif_gen() moved: addresses, neighbours, path MTUs may have changed. */
void ip_room_refresh(struct zf_ctx *ctx);

/* An mbuf with Ethernet header (and tag) for @type and room for @l3_len bytes at *@l3; NULL and counted when there is
 * no buffer.
 */
struct rte_mbuf *output_frame(struct zf_ctx *ctx, const struct eth_addr *dst, uint16_t type,
			      uint32_t l3_len, void **l3);
/* Ethernet header at @p, returns its length: 14, or 18 with the interface's tag. */
uint32_t output_eth_header(const struct netif *n, void *p, const struct eth_addr *dst, uint16_t type);
/* IPv4 header of 20 bytes with its checksum. */
void output_ip_header(struct hdr_ip4 *ip, be32_t src, be32_t dst, uint8_t proto, uint8_t ttl, uint8_t tos,
		      uint16_t total_len, uint16_t id, uint16_t frag);
static inline uint16_t
output_next_id(struct zf_ctx *ctx)
{
	return ctx->ip->ip_id++;
}

/* Put a frame of the stack's own into the burst that leaves at the end of the poll. Takes it over. */
void output_gather(struct zf_ctx *ctx, struct rte_mbuf *m);
void output_flush_some(struct zf_ctx *ctx);
static ZF_ALWAYS_INLINE void
output_flush(struct zf_ctx *ctx)
{
	if (ctx->ip->n_gather != 0)
		output_flush_some(ctx);
}

/* Send @n frames in order, all or none: false when the port is full, the frames are still the caller's then. What a
 * port takes only in part goes into the backlog.
 */
bool output_burst(struct zf_ctx *ctx, struct rte_mbuf **pkts, uint32_t n);
/* Try the backlog again; true when it is empty. */
bool output_backlog_some(struct zf_ctx *ctx);
static ZF_ALWAYS_INLINE bool
output_backlog(struct zf_ctx *ctx)
{
	return zf_likely(ctx->backlog_n == 0) || output_backlog_some(ctx);
}

/* IP packets that carry @total bytes of @iov from offset @skip on, none longer than @mtu. @hdr: Ethernet and IP header,
 * @hdr_len in all, the IP one its last 20 bytes; lengths, id, fragment fields and checksum are set here. Returns
 * their number, or -ENOBUFS, -EMSGSIZE if no number of tries will do (none is left over).
 */
int output_fragments(struct zf_ctx *ctx, const uint8_t *hdr, uint32_t hdr_len, const struct iovec *iov,
		     int iov_cnt, uint32_t total, uint32_t mtu, uint16_t id,
		     struct rte_mbuf *out[OUTPUT_FRAGS_MAX]);

/* Keep frames whose neighbour is not known yet; the oldest give way. Takes them over. */
void output_hold(struct zf_ctx *ctx, const struct ip_path *path, struct rte_mbuf **pkts, uint32_t n);
/* Send or give up held frames, after the generation moved or time passed. */
void output_held_run(struct zf_ctx *ctx);

/* Emit what ARP and IGMP have due and set the timer for the rest. */
void output_netif_run(struct zf_ctx *ctx);

bool output_limit_take(struct zf_ctx *ctx, struct output_limit *l);

#endif
