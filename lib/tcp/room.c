/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tables of the TCP room: made in the arena, set up from the attributes, emptied when the stack goes.
 */
#include <string.h>

#include "core/attr.h"
#include "ip/csum.h"
#include "tcp/conn.h"
#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/sendq.h"

/* TIME-WAIT entries for each zocket, within bounds: many are 64 bytes each. */
#define TW_PER_ZFT 64u
#define TW_MAX     (1u << 20)
#define SYN_MAX    (1u << 20)
#define REC_MIN    1024u
/* Listeners that may be gone while connections of theirs live on, each on a port of its own. */
#define LISTEN_LEFT 1024u

static uint32_t
tw_count(const struct zf_attr *attr)
{
	if (attr->max_tcp_endpoints == 0)
		return 0;
	return (uint32_t)ZF_MIN((uint64_t)attr->max_tcp_endpoints * TW_PER_ZFT, (uint64_t)TW_MAX);
}

/* Records for connections that lost something: one for each, as long as they are few; of many, not all lose something at
 * once, and memory of an idle one is what counts.
 */
static uint32_t
rec_count(const struct zf_attr *attr)
{
	uint32_t n = (uint32_t)attr->max_tcp_endpoints;

	if (attr->tcp_loss_records >= 0)
		return (uint32_t)ZF_MIN((int64_t)n, attr->tcp_loss_records);
	return ZF_MIN(n, REC_MIN + n / 16);
}

struct tcp_room *
tcp_room_take(struct arena *a, const struct zf_attr *attr, uint32_t n_bufs)
{
	uint32_t n = (uint32_t)attr->max_tcp_endpoints, n_l = (uint32_t)attr->max_tcp_listen_endpoints;
	uint32_t n_tw = tw_count(attr), n_syn = (uint32_t)ZF_MIN((uint32_t)attr->max_tcp_syn_backlog, SYN_MAX);
	/* Two more for each: FINs have no buffer, and a run may be split. */
	uint32_t n_segs = (uint32_t)ZF_MIN((uint64_t)n_bufs, (uint64_t)n * TCP_SNDQ_SEGS) + 2 * n;
	/* A listener that was freed keeps its record while connections of it live. */
	uint32_t left = n_l > 0 ? n_l + ZF_MAX(n_l, ZF_MIN(n, LISTEN_LEFT)) : 0;
	uint32_t n_recs = rec_count(attr);
	uint32_t slots = htab_slots(n + n_tw + n_syn), l_slots = htab_slots(left);
	struct tcp_room *r = arena_take(a, sizeof(*r), ZF_CACHE_LINE);
	struct zft *zfts = arena_take(a, sizeof(*zfts) * n, ZF_CACHE_LINE);
	struct zftl *zftls = arena_take(a, sizeof(*zftls) * left, ZF_CACHE_LINE);
	struct tcp_txseg *segs = arena_take(a, sizeof(*segs) * n_segs, ZF_CACHE_LINE);
	struct tcp_rec *recs = arena_take(a, sizeof(*recs) * n_recs, ZF_CACHE_LINE);
	struct htab_entry *conns = arena_take(a, sizeof(*conns) * slots, ZF_CACHE_LINE);
	struct htab_entry *listens = arena_take(a, sizeof(*listens) * l_slots, ZF_CACHE_LINE);
	struct tcp_tw_table *tw = arena_take(a, sizeof(*tw), ZF_CACHE_LINE);
	struct tcp_tw *entries = arena_take(a, sizeof(*entries) * n_tw, ZF_CACHE_LINE);
	struct tcp_ooo_table *ooo = tcp_ooo_take(a, ZF_MIN(n * TCP_OOO_RANGES, n_bufs));
	struct tcp_syn_table *syn = tcp_syn_take(a, n_syn);

	if (r == NULL)
		return NULL;
	r->zfts = zfts;
	r->zftls = zftls;
	r->segs = segs;
	r->recs = recs;
	r->tw = tw;
	r->ooo = ooo;
	r->syn = syn;
	r->max_zft = n;
	r->n_zftl = n_l;
	r->max_zftl = left;
	r->max_segs = n_segs;
	r->max_tw = n_tw;
	r->max_rec = n_recs;
	r->max_syn = n_syn;
	htab_init(&r->conns, conns, slots);
	htab_init(&r->listens, listens, l_slots);
	tw_init(tw, entries, n_tw, 0);
	return r;
}

static uint64_t
cycles_of_ms(const struct zf_ctx *ctx, int64_t ms)
{
	return (uint64_t)((unsigned __int128)(uint64_t)ms * ctx->hz / 1000u);
}

/* The least shift whose largest window reaches @bytes. */
static uint8_t
shift_for(uint32_t bytes)
{
	uint8_t s = 0;

	while (s < 14 && (bytes >> s) > 65535u)
		s++;
	return s;
}

static void
configure(struct zf_ctx *ctx, struct tcp_conf *c)
{
	const struct zf_attr *a = ctx->attr;

	c->rtt.rto_initial = cycles_of_ms(ctx, a->tcp_rto_initial_ms);
	c->rtt.rto_max = cycles_of_ms(ctx, a->tcp_rto_max_ms);
	c->rtt.rto_min = ZF_MIN(cycles_of_ms(ctx, a->tcp_rto_min_ms), c->rtt.rto_max);
	c->rtt.rto_initial = ZF_MIN(c->rtt.rto_initial, c->rtt.rto_max);
	c->rtt.granularity = 1ull << WHEEL_TICK_SHIFT;
	c->delack = cycles_of_ms(ctx, a->tcp_delack_ms);
	c->timewait = cycles_of_ms(ctx, a->tcp_timewait_ms);
	c->finwait = cycles_of_ms(ctx, a->tcp_finwait_ms);
	c->keep_time = cycles_of_ms(ctx, a->tcp_keepalive_time_ms);
	c->keep_intvl = cycles_of_ms(ctx, a->tcp_keepalive_intvl_ms);
	c->ms_mult = (uint64_t)(((unsigned __int128)1000u << 64) / ctx->hz);
	c->rx_window = (uint32_t)a->tcp_rx_window;
	c->rcv_shift = shift_for(c->rx_window);
	c->initial_cwnd = (uint32_t)a->tcp_initial_cwnd;
	c->delayed_ack = a->tcp_delayed_ack != 0;
	c->retries = (uint8_t)a->tcp_retries;
	c->syn_retries = (uint8_t)a->tcp_syn_retries;
	c->synack_retries = (uint8_t)a->tcp_synack_retries;
	c->keepalive = a->tcp_keepalive != 0;
	c->keep_probes = (uint8_t)a->tcp_keepalive_probes;
	c->timestamps = (uint8_t)a->tcp_timestamps;
	c->ecn = a->tcp_ecn != 0;
	c->cookies = (uint8_t)a->tcp_syn_cookies;
	c->cc = a->tcp_cc != NULL && strcmp(a->tcp_cc, "newreno") == 0 ? TCP_CC_NEWRENO : TCP_CC_CUBIC;
	c->tos = (uint8_t)(a->tcp_dscp << 2);
	c->fast_path = a->tcp_fast_path != 0;
	c->wait_for_tw = a->tcp_wait_for_time_wait != 0;
}

static void
make_lists(struct zf_ctx *ctx, struct tcp_room *r)
{
	r->free_zft = r->max_zft > 0 ? 0 : TCP_NONE;
	for (uint32_t i = 0; i < r->max_zft; i++) {
		r->zfts[i].index = i;
		r->zfts[i].ctx_off = (char *)ctx - (char *)&r->zfts[i];
		r->zfts[i].next = i + 1 < r->max_zft ? i + 1 : TCP_NONE;
		r->zfts[i].state = TCP_CLOSE;
	}
	r->free_zftl = r->max_zftl > 0 ? 0 : TCP_NONE;
	for (uint32_t i = 0; i < r->max_zftl; i++) {
		r->zftls[i].index = i;
		r->zftls[i].ctx_off = (char *)ctx - (char *)&r->zftls[i];
		r->zftls[i].next_free = i + 1 < r->max_zftl ? i + 1 : TCP_NONE;
	}
	r->free_seg = r->max_segs > 0 ? 0 : TCP_NONE;
	for (uint32_t i = 0; i < r->max_segs; i++)
		r->segs[i].next = i + 1 < r->max_segs ? i + 1 : TCP_NONE;
	r->n_free_seg = r->max_segs;
	r->free_rec = r->max_rec > 0 ? 0 : TCP_NONE;
	for (uint32_t i = 0; i < r->max_rec; i++) {
		r->recs[i].owner = TCP_NONE;
		r->recs[i].next = i + 1 < r->max_rec ? i + 1 : TCP_NONE;
	}
	r->n_free_rec = r->max_rec;
}

void
tcp_room_init(struct zf_ctx *ctx, uint32_t tx_own, uint32_t tx_top)
{
	struct tcp_room *r = ctx->tcp;

	configure(ctx, &r->conf);
	make_lists(ctx, r);
	r->tw->life = r->conf.timewait;
	tcp_ooo_init(r->ooo);
	tcp_syn_init(ctx);
	r->owed_head = r->pend_head = r->pend_tail = TCP_NONE;
	/* A buffer that may be taken has a record: fast sends look at the buffers alone. */
	r->tx_held_own = r->tx_held_max = ZF_MAX(ZF_MIN(tx_own, r->max_segs - 2 * r->max_zft), 1u);
	r->tx_held_top = ZF_MAX(ZF_MIN(tx_top, r->max_segs - 2 * r->max_zft), r->tx_held_own);
	r->key.k[0] = rng_next64(&ctx->rng);
	r->key.k[1] = rng_next64(&ctx->rng);
	r->rst_limit = (struct output_limit){.last = ctx->now, .tokens = 200, .burst = 200, .per_s = 1000};
	r->challenge_limit = (struct output_limit){.last = ctx->now - ctx->hz};
	r->tw_timer.kind = TIMER_TCP_TW;
	r->syn_timer.kind = TIMER_TCP_SYN;
	r->mss = (uint16_t)(ctx->netif->mtu - TCP_IP_BYTES);
	(void)netif_bind_reserve(ctx->netif, r->max_zft + r->max_tw); /* without it the table grows when it must */
	r->can_rx = ctx->attr->rx_ring_max > 0;
	r->can_tx = ctx->attr->tx_ring_max > 0;
}

void
tcp_room_fini(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_tw *e, was;

	for (uint32_t i = 0; i < r->max_zftl; i++)
		if (r->zftls[i].open)
			(void)zftl_free(&r->zftls[i]);
	tcp_enter(ctx);
	for (uint32_t i = 0; i < r->max_zft; i++) {
		struct zft *ts = &r->zfts[i];

		if (ts->flags & TF_HANDLE) {
			(void)zft_handle_free((struct zft_handle *)ts);
		} else if (ts->w.kind != WAITABLE_NONE) {
			ts->flags &= ~(uint32_t)TF_APP;
			tcp_abort(ctx, ts);
		}
	}
	tcp_leave(ctx);
	while (r->tw->oldest != TW_NONE) {
		e = tw_at(r->tw, r->tw->oldest);
		was = *e;
		tcp_tw_forget(ctx, &was, tw_index(r->tw, e));
		tw_put(r->tw, e);
	}
	for (uint32_t i = 0; i < r->max_zft; i++)
		wheel_cancel(ctx->wheel, &r->zfts[i].timer);
	wheel_cancel(ctx->wheel, &r->tw_timer);
	wheel_cancel(ctx->wheel, &r->syn_timer);
}

bool
tcp_is_quiescent(struct zf_ctx *ctx)
{
	const struct tcp_room *r = ctx->tcp;

	return r->busy_zft == 0 && tcp_syn_count(ctx) == 0 && (!r->conf.wait_for_tw || r->tw->n == 0);
}
