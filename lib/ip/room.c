/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The IP state of a stack: made, refreshed after the interface changed, released.
 */
#include <string.h>

#include "base/rng.h"
#include "ip/frag.h"

/* Strangers can make us send errors and echo replies: this many a second, after a burst. */
#define ROOM_ICMP_ERRORS_PER_S 100
#define ROOM_ICMP_ERRORS_BURST 50
#define ROOM_ICMP_ECHO_PER_S   10000
#define ROOM_ICMP_ECHO_BURST   1000

/* Errors received: finding the zocket that one is about is a walk. */
#define ROOM_ICMP_HEARD_PER_S 1000
#define ROOM_ICMP_HEARD_BURST 1000

#define ROOM_REASS_DATAGRAMS 64
#define ROOM_REASS_TIMEOUT_S 60

/* Reassembly holds at most a quarter of the stack's buffers. */
static uint32_t
reass_frags(uint32_t n_bufs)
{
	return ZF_MAX(ZF_MIN(n_bufs / 4, 4096u), 1u);
}

struct ip_room *
ip_room_take(struct arena *a, uint32_t n_bufs)
{
	struct ip_room *r = arena_take(a, sizeof(*r), ZF_CACHE_LINE);
	void *mem = arena_take(a, reass_bytes(ROOM_REASS_DATAGRAMS, reass_frags(n_bufs)), ZF_CACHE_LINE);

	if (r != NULL)
		r->reass_mem = mem;
	return r;
}

static void
reass_drop(void *arg, void *handle, enum reass_result why, bool is_first)
{
	struct zf_ctx *ctx = arg;

	frag_dropped(ctx, handle, why == REASS_TIMEOUT, is_first);
}

void
ip_room_init(struct zf_ctx *ctx, uint32_t n_bufs)
{
	struct ip_room *r = ctx->ip;
	uint64_t secret[2] = {rng_next64(&ctx->rng), rng_next64(&ctx->rng)};

	r->ip_id = (uint16_t)rng_next64(&ctx->rng);
	r->icmp_errors = (struct output_limit){ctx->now, ROOM_ICMP_ERRORS_BURST, ROOM_ICMP_ERRORS_BURST,
					       ROOM_ICMP_ERRORS_PER_S};
	r->icmp_heard = (struct output_limit){ctx->now, ROOM_ICMP_HEARD_BURST, ROOM_ICMP_HEARD_BURST,
					      ROOM_ICMP_HEARD_PER_S};
	r->icmp_echo = (struct output_limit){ctx->now, ROOM_ICMP_ECHO_BURST, ROOM_ICMP_ECHO_BURST,
					     ROOM_ICMP_ECHO_PER_S};
	r->netif_timer.kind = TIMER_NETIF;
	r->reass_timer.kind = TIMER_REASS;
	r->held_timer.kind = TIMER_HELD;
	r->reass = reass_init(r->reass_mem, ROOM_REASS_DATAGRAMS, reass_frags(n_bufs),
			      reass_frags(n_bufs) * 1500u, ROOM_REASS_TIMEOUT_S * ctx->hz, secret, reass_drop,
			      ctx);
	ctx->backlog = r->backlog;
	ctx->backlog_max = OUTPUT_BACKLOG;
	ip_room_refresh(ctx);
}

void
ip_room_refresh(struct zf_ctx *ctx)
{
	struct ip_room *r = ctx->ip;

	/* Before the reads: a change in between is seen next time. */
	__atomic_store_n(&r->env_gen, netif_gen(ctx->netif), __ATOMIC_RELAXED);
	netif_parse_env(ctx->netif, ctx->slot, &r->env);
	ctx->path_gen = ctx->backlog_n > 0 ? 0 : r->env_gen;
	if (ctx->alt_queued > 0)
		ctx->owed |= CTX_OWED_ALT; /* whose headers may be wrong now */
	if (r->n_held > 0) {
		output_held_run(ctx);
		output_flush(ctx); /* a send may be what came here: they go first, and need no poll */
	}
}

void
ip_room_fini(struct zf_ctx *ctx)
{
	struct ip_room *r = ctx->ip;

	reass_flush(r->reass);
	ip_paths_sweep(ctx);
	for (uint32_t i = 0; i < r->n_held; i++) {
		netif_neigh_drop(ctx->netif, r->held[i].neigh, ctx->now);
		pkt_put(ctx->pool, r->held[i].m);
	}
	for (uint32_t i = 0; i < r->n_gather; i++)
		pkt_put(ctx->pool, r->gather[i]);
	for (uint32_t i = 0; i < ctx->backlog_n; i++)
		pkt_put(ctx->pool, ctx->backlog[i]);
	r->n_held = r->n_gather = ctx->backlog_n = 0;
}
