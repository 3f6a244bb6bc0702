/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections from birth to release: tables, addresses, states.
 */
#ifndef ZF_TCP_CONN_H
#define ZF_TCP_CONN_H

#include "tcp/syn.h"
#include "tcp/tcp_in.h"
#include "tcp/tw.h"

/* Whose key is that? Of any index of the demux table. */
static ZF_ALWAYS_INLINE const struct tcp_key *
tcp_key_of(const struct tcp_room *r, uint32_t i)
{
	if (zf_likely(i < r->max_zft))
		return &r->zfts[i].key;
	i -= r->max_zft;
	if (i < r->max_tw)
		return &tw_at(r->tw, i)->key;
	return tcp_syn_key(r->syn, i - r->max_tw);
}

/* The index of @k in the demux table, or TCP_NONE. Ends at the first empty slot: at most half of them are taken. */
static ZF_ALWAYS_INLINE uint32_t
tcp_find(const struct zf_ctx *ctx, const struct tcp_room *r, const struct tcp_key *k)
{
	const struct htab_entry *e = htab_entries(&r->conns);
	uint32_t tag = tcp_key_tag(ctx->secret, k);

	for (uint32_t s = tag;; s++) {
		const struct htab_entry *at = &e[s & r->conns.mask];

		if (zf_unlikely(at->index1 == 0))
			return TCP_NONE;
		if (zf_likely(at->tag == tag && tcp_key_eq(tcp_key_of(r, at->index1 - 1), k)))
			return at->index1 - 1;
	}
}

/* A zocket from the table, reset, or NULL. */
struct zft *tcp_zft_take(struct zf_ctx *ctx);
void tcp_zft_give_back(struct zf_ctx *ctx, struct zft *ts);
/* RFC 6528, above the connection whose place it takes. */
tcpseq_t tcp_choose_isn(struct zf_ctx *ctx, const struct tcp_key *k);
/* Put an index under a key; false if the table is full. */
bool tcp_hash(struct zf_ctx *ctx, const struct tcp_key *k, uint32_t index);
void tcp_unhash(struct zf_ctx *ctx, const struct tcp_key *k, uint32_t index);

void tcp_set_state(struct zf_ctx *ctx, struct zft *ts, uint8_t state);
/* ESTABLISHED: options are agreed, sequence numbers set. */
void tcp_established(struct zf_ctx *ctx, struct zft *ts);
/* The connection is over: no segment will be sent or taken any more. @error: positive errno, 0 for a normal end. The
 * application, if it still holds the zocket, learns it; else the zocket is free.
 */
void tcp_end(struct zf_ctx *ctx, struct zft *ts, int error);
/* Both FINs are acknowledged: a TIME-WAIT entry takes the connection over (RFC 9293 3.6.1). */
void tcp_time_wait(struct zf_ctx *ctx, struct zft *ts);
/* Whether cut-through may be used, after anything that decides it changed. */
void tcp_fast_recv_update(struct zf_ctx *ctx, struct zft *ts);
/* Give the zocket back to the table if nobody needs it any more. */
void tcp_release(struct zf_ctx *ctx, struct zft *ts);
/* Cut-through work of this connection: before anything looks at its state. */
void tcp_flush_owed(struct zf_ctx *ctx, struct zft *ts);
static ZF_ALWAYS_INLINE void
tcp_flush(struct zf_ctx *ctx, struct zft *ts)
{
	if (ts->flags & TF_OWED)
		tcp_flush_owed(ctx, ts);
}
void tcp_owed_remove(struct zf_ctx *ctx, struct zft *ts);
/* Options of a handshake into the connection; @o what the peer's SYN had. */
void tcp_negotiate(struct zf_ctx *ctx, struct zft *ts, const struct tcp_handshake *h);
/* Remove a TIME-WAIT entry that left its table or is about to. */
void tcp_tw_forget(struct zf_ctx *ctx, const struct tcp_tw *e, uint32_t index);
void tcp_tw_timer(struct zf_ctx *ctx);
void tcp_tw_segment(struct zf_ctx *ctx, uint32_t index, const struct tcp_in *in, bool *again);

/* Around calls that may use the port. */
static inline void
tcp_enter(struct zf_ctx *ctx)
{
	ctx_enter(ctx);
	ctx->now = ctx_read_clock(ctx);
	if (ctx_has_events(ctx))
		ctx->take_events(ctx);
	if (netif_gen(ctx->netif) != ctx->ip->env_gen)
		ip_room_refresh(ctx);
}

/* And behind them: what was gathered leaves. */
void tcp_leave(struct zf_ctx *ctx);

/* For calls that look at a state which cut-through may have left behind. */
static inline void
tcp_flush_call(struct zft *ts)
{
	struct zf_ctx *ctx = zft_ctx(ts);

	if (zf_likely(!(ts->flags & TF_OWED)))
		return;
	tcp_enter(ctx);
	tcp_flush(ctx, ts);
	tcp_leave(ctx);
}

/* CLOSE: what zft_free() does to a connection. */
void tcp_close(struct zf_ctx *ctx, struct zft *ts);
/* ABORT: a reset leaves, and the zocket, which nobody holds, is free. */
void tcp_abort(struct zf_ctx *ctx, struct zft *ts);
/* The FIN behind what is queued. */
bool tcp_queue_fin(struct zf_ctx *ctx, struct zft *ts);

#endif
