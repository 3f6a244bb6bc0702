/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections from birth to release: the demux table, states, what a handshake agreed on, the end. The calls of the API
 * that make and free them are in connect.c.
 */
#include "tcp/conn.h"

#include <string.h>
#include <sys/epoll.h>

#include "tcp/isn.h"
#include "tcp/listen.h"
#include "tcp/loss.h"
#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/timer.h"
#include "tcp/tw.h"

bool
tcp_hash(struct zf_ctx *ctx, const struct tcp_key *k, uint32_t index)
{
	return htab_insert(&ctx->tcp->conns, tcp_key_tag(ctx->secret, k), index);
}

void
tcp_unhash(struct zf_ctx *ctx, const struct tcp_key *k, uint32_t index)
{
	(void)zf_bug(!htab_remove(&ctx->tcp->conns, tcp_key_tag(ctx->secret, k), index));
}

#if defined(ZF_TEST) && ZF_TEST
bool tcp_isn_forced;
uint32_t tcp_isn_value;
#endif

tcpseq_t
tcp_choose_isn(struct zf_ctx *ctx, const struct tcp_key *k)
{
	struct tcp_room *r = ctx->tcp;
	tcpseq_t isn = seq_of(tcp_isn(&r->key, k->lip, k->lport, k->rip, k->rport, ctx->now, ctx->hz));

	/* The clock of RFC 6528 is slower than our connections: one that follows another begins behind it. */
	if (r->tw_iss_set)
		isn = seq_max(isn, r->tw_iss_floor);
	r->tw_iss_set = false;
#if defined(ZF_TEST) && ZF_TEST
	if (tcp_isn_forced)
		isn = seq_of(tcp_isn_value);
#endif
	return isn;
}

/* The application waits for the end of these, and so does quiescence. */
static bool
state_is_busy(uint8_t state)
{
	return state != TCP_CLOSE && state != TCP_TIME_WAIT;
}

void
tcp_set_state(struct zf_ctx *ctx, struct zft *ts, uint8_t state)
{
	bool was = (ts->flags & TF_BUSY) != 0, is = state_is_busy(state);

	if (is && !was) {
		ctx->tcp->busy_zft++;
		ctx->restless = true;
	} else if (was && !is) {
		ctx->tcp->busy_zft--;
	}
	ts->flags = is ? ts->flags | TF_BUSY : ts->flags & ~(uint32_t)TF_BUSY;
	ts->state = state;
	if (state == TCP_ESTABLISHED)
		tcp_fast_recv_update(ctx, ts);
	else
		ts->fast_recv = TCP_FAST_NONE;
}

void
tcp_fast_recv_update(struct zf_ctx *ctx, struct zft *ts)
{
	uint8_t words = ts->flags & TF_TS ? 8 : 5;
	uint8_t bytes[2] = {(uint8_t)(words << 4), TCP_FLAG_ACK};

	ts->fast_recv = TCP_FAST_NONE;
	/* In recovery, and while a probe is out, every acknowledgement counts at once; beyond a hole the next segment may
	 * close it; congestion marks are answered. States with a FIN, either way, are others.
	 */
	if (ts->state != TCP_ESTABLISHED || !ctx->tcp->conf.fast_path || ts->ooo_head != TCP_NONE ||
	    (ts->flags & TF_ECN) != 0 || !tcp_loss_can_fast(ts) || (ts->loss.flags & LF_TLP) != 0 ||
	    ts->soft_error != 0)
		return;
	memcpy(&ts->fast_recv, bytes, sizeof(bytes));
}

void
tcp_negotiate(struct zf_ctx *ctx, struct zft *ts, const struct tcp_handshake *h)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	ts->flags &= ~(uint32_t)(TF_SACK | TF_TS | TF_WSCALE | TF_ECN);
	ts->peer_mss = (uint16_t)ZF_MAX((uint32_t)h->mss, TCP_MSS_MIN);
	if (h->sack_ok)
		ts->flags |= TF_SACK;
	if (h->ts_ok) {
		ts->flags |= TF_TS;
		ts->ts_recent = h->ts_recent;
		ts->ts_recent_at = tcp_paws_clock(ctx->now);
	}
	if (h->ecn && c->ecn)
		ts->flags |= TF_ECN;
	if (h->wscale >= 0) {
		ts->flags |= TF_WSCALE;
		ts->snd_shift = (uint8_t)h->wscale;
		ts->rcv_shift = c->rcv_shift;
	} else {
		ts->snd_shift = ts->rcv_shift = 0;
		ts->rcv_buf = ZF_MIN(ts->rcv_buf, 65535u);
	}
	tcp_template_options(ctx, ts);
}

/* RFC 6928, or what the attribute says; one segment where the SYN was lost (RFC 5681 3.1). */
static uint32_t
initial_window(const struct tcp_conf *c, const struct zft *ts)
{
	if (ts->retries > 0)
		return ts->mss;
	return c->initial_cwnd != 0 ? c->initial_cwnd : 10u * ts->mss;
}

void
tcp_established(struct zf_ctx *ctx, struct zft *ts)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	tcp_cc_init(&ts->cc, (enum tcp_cc_kind)c->cc, initial_window(c, ts));
	/* RFC 6298 5.7: a SYN was lost, and the timeout was a guess. */
	if (ts->retries > 0 && ts->rtt.srtt == 0)
		ts->rtt.rto = ZF_MIN(ZF_MAX(ts->rtt.rto, 3 * ctx->hz), c->rtt.rto_max);
	ts->backoff = ts->retries = 0;
	ts->rtx_mode = RTX_IDLE;
	tcp_timer_off(ts, TCP_DUE_RTX);
	ts->snd_end = ts->snd_nxt;
	tcp_loss_init(ts);
	ts->last_rcvd = ctx->now;
	ts->soft_error = 0;
	ts->rcv_mss = TCP_MSS_DEFAULT;
	tcp_set_state(ctx, ts, TCP_ESTABLISHED);
	if (c->keepalive)
		tcp_timer_set(ctx, ts, TCP_DUE_LONG, ctx->now + c->keep_time);
	waitable_raise(ctx, &ts->w, EPOLLOUT);
	ts->fast_send_bytes = 0; /* the round of output that follows the handshake says more */
}

/* Addresses and everything that came from elsewhere. */
static void
unregister(struct zf_ctx *ctx, struct zft *ts)
{
	if (!(ts->flags & (TF_REGISTERED | TF_BOUND)))
		return;
	if (ts->flags & TF_REGISTERED)
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, ts->key.rip,
			     ts->key.rport);
	if (ts->flags & TF_BOUND)
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, IP4_ANY, BE16_C(0));
	ts->flags &= ~(uint32_t)(TF_REGISTERED | TF_BOUND);
}

static void
unlisten(struct zf_ctx *ctx, struct zft *ts)
{
	struct zftl *tl;

	if (ts->listener == TCP_NONE)
		return;
	tl = &ctx->tcp->zftls[ts->listener];
	if (ts->flags & TF_ACCEPT)
		tcp_listener_unqueue(ctx, tl, ts);
	ts->listener = TCP_NONE;
	tcp_listener_put(ctx, tl);
}

static void
drop_rxq(struct zf_ctx *ctx, struct zft *ts)
{
	while (ts->rxq_head != NULL) {
		struct rte_mbuf *m = ts->rxq_head;

		ts->rxq_head = pkt_meta(m)->next;
		ctx->rx_held--;
		pkt_put(ctx->pool, m);
	}
	ts->rxq_tail = NULL;
	ts->rxq_pkts = ts->rxq_bytes = ts->handed_pkts = 0;
}

/* No segment belongs to it any more: send queue, holes, timers, addresses and path go. What was received stays. */
static void
detach(struct zf_ctx *ctx, struct zft *ts)
{
	if (ts->flags & (TF_OWED | TF_PENDING | TF_ALT)) {
		tcp_owed_remove(ctx, ts);
		tcp_unpend(ctx, ts);
		if (ts->flags & TF_ALT)
			ctx->zft_gone(ctx, ts->index);
	}
	if (ts->sq_head != TCP_NONE)
		sq_clear(ctx, ts);
	if (ts->ooo_head != TCP_NONE)
		(void)tcp_ooo_drop(ctx, ctx->tcp->ooo, &ts->ooo_head);
	if (ts->flags & TF_HASHED)
		tcp_unhash(ctx, &ts->key, ts->index);
	ts->flags &= ~(uint32_t)(TF_HASHED | TF_ACK_NOW | TF_ACK_DELAYED);
	unregister(ctx, ts);
	if (ts->state != TCP_TIME_WAIT) /* there it is ts->tw */
		tcp_rec_put(ctx, ts);
	/* The wheel's timer stays armed, also for the zocket's next connection: it finds out that there is nothing to do, which
	 * costs less than to set it for each connection.
	 */
	memset(ts->due, 0, sizeof(ts->due));
	ts->fast_send_bytes = 0;
	if (ts->path_gen != 0)
		ip_path_close(ctx, &ts->path);
	ts->path_gen = 0;
}

void
tcp_release(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	if ((ts->flags & (TF_APP | TF_HANDLE | TF_HASHED | TF_ACCEPT)) != 0 || ts->state != TCP_CLOSE)
		return;
	drop_rxq(ctx, ts);
	unlisten(ctx, ts);
	ts->w.kind = WAITABLE_NONE;
	ts->flags = 0;
	ts->next = r->free_zft;
	r->free_zft = ts->index;
	r->open_zft--;
}

void
tcp_end(struct zf_ctx *ctx, struct zft *ts, int error)
{
	detach(ctx, ts);
	if (error != 0 && ts->error == 0)
		ts->error = (uint8_t)error;
	ts->soft_error = 0;
	tcp_set_state(ctx, ts, TCP_CLOSE);
	if (!(ts->flags & TF_APP) && (ts->flags & TF_ACCEPT) && error != 0 && ts->rxq_bytes == 0) {
		/* Ended before it was accepted, and nothing to read in it: nobody misses it. */
		unlisten(ctx, ts);
		ts->flags &= ~(uint32_t)TF_ACCEPT;
	}
	if (ts->flags & (TF_APP | TF_ACCEPT))
		waitable_raise(ctx, &ts->w, TCP_OVER_EVENTS);
	tcp_release(ctx, ts);
}

void
tcp_owed_remove(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t *link = &r->owed_head;

	if (!(ts->flags & TF_OWED))
		return;
	while (*link != ts->index)
		link = &r->zfts[*link].owed_next;
	*link = ts->owed_next;
	ts->flags &= ~(uint32_t)TF_OWED;
}

struct zft *
tcp_conn_accept(struct zf_ctx *ctx, const struct tcp_handshake *h, const struct tcp_in *in)
{
	struct tcp_room *r = ctx->tcp;
	struct zftl *tl = &r->zftls[h->listener];
	struct zft *ts = tcp_zft_take(ctx);

	if (ts == NULL)
		return NULL;
	ts->key = h->key;
	if (ip_path_open(ctx, h->key.lip, h->key.rip, &ts->path) < 0) {
		tcp_zft_give_back(ctx, ts);
		return NULL;
	}
	ts->flags = TF_PASSIVE;
	if (h->entry != TCP_NONE) {
		(void)zf_bug(!htab_replace(&r->conns, h->tag, h->entry, ts->index));
	} else if (!tcp_hash(ctx, &ts->key, ts->index)) {
		ip_path_close(ctx, &ts->path);
		tcp_zft_give_back(ctx, ts);
		return NULL;
	}
	ts->flags |= TF_HASHED;
	ts->listener = h->listener;
	tl->refs++;
	ts->iss = h->iss;
	ts->irs = h->irs;
	ts->rcv_nxt = ts->last_ack_sent = seq_add(h->irs, 1);
	ts->snd_una = ts->snd_nxt = seq_add(h->iss, 1);
	ts->rcv_adv = seq_add(ts->rcv_nxt, ZF_MIN(ts->rcv_buf, 65535u)); /* as the SYN-ACK had it */
	ts->ts_offset = h->ts_offset;
	tcp_negotiate(ctx, ts, h);
	ts->snd_wnd = (uint32_t)in->wnd << ts->snd_shift;
	ts->max_snd_wnd = ts->snd_wnd;
	ts->snd_wl1 = in->seq;
	ts->snd_wl2 = in->ack;
	if (h->synack_sent != 0)
		tcp_rtt_sample(&ts->rtt, ctx->now - h->synack_sent, &r->conf.rtt);
	ts->retries = h->resent;
	tcp_established(ctx, ts);
	tcp_listener_queue(ctx, tl, ts);
	return ts;
}

void
tcp_time_wait(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_tw was, *e;
	uint32_t tag = tcp_key_tag(ctx->secret, &ts->key);

	if (ts->flags & TF_ACK_NOW)
		tcp_send_ack(ctx, ts); /* while it has a header */
	e = r->conf.timewait != 0 ? tw_take(r->tw, ctx->now, &was) : NULL;
	if (e == NULL) {
		tcp_end(ctx, ts, 0);
		return;
	}
	if (was.flags != 0) {
		ctx_count(ctx, CNT_TCP_TW_RECYCLED);
		tcp_tw_forget(ctx, &was, tw_index(r->tw, e));
	}
	e->key = ts->key;
	e->tag = tag;
	e->snd_nxt = ts->snd_nxt;
	e->rcv_nxt = ts->rcv_nxt;
	e->rcv_wnd = seq_sub(ts->rcv_adv, ts->rcv_nxt);
	e->rcv_wscale = ts->rcv_shift;
	e->ts_recent = ts->ts_recent;
	e->ts_off = ts->ts_offset;
	if (ts->flags & TF_TS)
		e->flags |= TW_TS;
	if (ts->flags & TF_REGISTERED)
		e->flags |= TW_BOUND;
	ts->flags &= ~(uint32_t)TF_REGISTERED;
	if (ts->listener != TCP_NONE && !(ts->flags & TF_ACCEPT)) {
		e->listener1 = ts->listener + 1; /* its reference goes along */
		ts->listener = TCP_NONE;
	}
	(void)zf_bug(!htab_replace(&r->conns, tag, ts->index, r->max_zft + tw_index(r->tw, e)));
	ts->flags &= ~(uint32_t)TF_HASHED;
	if (!wheel_is_armed(&r->tw_timer))
		wheel_arm(ctx->wheel, &r->tw_timer, tw_next_due(r->tw));
	if (ts->flags & (TF_APP | TF_ACCEPT)) {
		detach(ctx, ts);
		e->zft1 = ts->index + 1;
		ts->tw = tw_index(r->tw, e);
		tcp_set_state(ctx, ts, TCP_TIME_WAIT);
		waitable_raise(ctx, &ts->w, TCP_OVER_EVENTS);
	} else {
		tcp_end(ctx, ts, 0);
	}
}

void
tcp_tw_forget(struct zf_ctx *ctx, const struct tcp_tw *e, uint32_t index)
{
	struct tcp_room *r = ctx->tcp;

	(void)zf_bug(!htab_remove(&r->conns, e->tag, r->max_zft + index));
	if (e->flags & TW_BOUND)
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, e->key.lip, e->key.lport, e->key.rip, e->key.rport);
	if (e->listener1 != 0)
		tcp_listener_put(ctx, &r->zftls[e->listener1 - 1]);
	if (e->zft1 != 0) {
		struct zft *ts = &r->zfts[e->zft1 - 1];

		ts->tw = TCP_NONE;
		tcp_set_state(ctx, ts, TCP_CLOSE);
		tcp_release(ctx, ts);
	}
}

void
tcp_tw_timer(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_tw *e, was;

	while ((e = tw_expire(r->tw, ctx->now)) != NULL) {
		was = *e;
		tcp_tw_forget(ctx, &was, tw_index(r->tw, e));
		tw_put(r->tw, e);
	}
	if (tw_next_due(r->tw) != UINT64_MAX)
		wheel_arm(ctx->wheel, &r->tw_timer, tw_next_due(r->tw));
}

static void
tw_ack(struct zf_ctx *ctx, const struct tcp_tw *e, const struct tcp_in *in)
{
	struct tcp_reply rp = {.key = e->key,
			       .seq = e->snd_nxt,
			       .ack = e->rcv_nxt,
			       .wnd = (uint16_t)ZF_MIN(e->rcv_wnd >> e->rcv_wscale, 65535u),
			       .flags = TCP_FLAG_ACK,
			       .mac = in->mac};

	if (e->flags & TW_TS)
		rp.opts_len = (uint8_t)tcp_opts_put_ts(rp.opts, tcp_ts_now(ctx, e->ts_off), e->ts_recent);
	(void)tcp_reply_send(ctx, &rp);
}

/* @again: the entry is gone, the segment is for whoever listens there. */
void
tcp_tw_segment(struct zf_ctx *ctx, uint32_t index, const struct tcp_in *in, bool *again)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_tw *e = tw_at(r->tw, index), was;
	bool ts = (in->o.have & TCP_OPT_TS) != 0;
	struct tw_seg s = {.seq = in->seq,
			   .ack = in->ack,
			   .len = in->len,
			   .tsval = in->o.ts_val,
			   .flags = in->flags,
			   .ts = ts && (!(in->flags & TCP_FLAG_SYN) || r->conf.timestamps > 0)};

	*again = false;
	switch (tw_input(e, &s)) {
	case TW_DROP:
		break;
	case TW_ACK_RESTART:
		tw_restart(r->tw, e, ctx->now);
		tw_ack(ctx, e, in);
		break;
	case TW_ACK:
		if (output_limit_take(ctx, &r->rst_limit))
			tw_ack(ctx, e, in);
		break;
	case TW_NEW_SYN:
		/* Only somebody who listens may take the place; else it is a SYN like any other (RFC 9293 3.10.7.4). */
		if (tcp_listener_find(ctx, in->key.lip, in->key.lport) == NULL) {
			if (output_limit_take(ctx, &r->rst_limit))
				tw_ack(ctx, e, in);
			break;
		}
		was = *e;
		r->tw_iss_floor = tw_iss(e, e->snd_nxt);
		r->tw_iss_set = true;
		tcp_tw_forget(ctx, &was, index);
		tw_put(r->tw, e);
		*again = true;
		break;
	}
}

void
tcp_leave(struct zf_ctx *ctx)
{
	if (ctx->tcp->n_out > 0 || ctx->tcp->pend_head != TCP_NONE)
		tcp_run_pending(ctx);
	output_flush(ctx);
	ctx->unsent = 0;
	ctx_publish(ctx);
	ctx_leave(ctx);
}
