/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections of listeners until their handshake is complete, see syn.h. A flood of SYNs costs entries that are there
 * anyway, and then a hash for each cookie; it never costs a zocket, a buffer that stays, or more than one frame for a
 * frame (beside the retransmissions of as many entries as there are).
 */
#include "tcp/syn.h"

#include "tcp/conn.h"
#include "tcp/cookie.h"
#include "tcp/isn.h"
#include "tcp/listen.h"
#include "tcp/output.h"

/* SYN-ACKs sent again by one run of the timer; the others follow a tick later. */
#define SYN_TIMER_BURST 64u
/* Wrong cookies looked at in a second. One of 2^20 guesses is right: a forged connection in three hours. */
#define COOKIE_BAD_PER_S 100u

struct tcp_syn_table *
tcp_syn_take(struct arena *a, uint32_t max)
{
	struct tcp_syn_table *t = arena_take(a, sizeof(*t), ZF_CACHE_LINE);
	struct tcp_syn *entries = arena_take(a, (uint64_t)max * sizeof(*entries), ZF_CACHE_LINE);

	if (t == NULL)
		return NULL;
	t->entries_off = (char *)entries - (char *)t;
	t->max = max;
	return t;
}

void
tcp_syn_init(struct zf_ctx *ctx)
{
	struct tcp_syn_table *t = ctx->tcp->syn;

	for (uint32_t i = 0; i < t->max; i++)
		tcp_syn_at(t, i)->next = i + 1 < t->max ? i + 1 : TCP_NONE;
	t->free = t->max > 0 ? 0 : TCP_NONE;
	t->n = 0;
	for (uint32_t k = 0; k < TCP_SYN_LISTS; k++)
		t->heads[k] = t->tails[k] = TCP_NONE;
	t->cookies_out = false;
	t->bad = (struct output_limit){.last = ctx->now, .tokens = COOKIE_BAD_PER_S, .burst = COOKIE_BAD_PER_S,
				       .per_s = COOKIE_BAD_PER_S};
	ctx->tcp->syn_timer.kind = TIMER_TCP_SYN;
}

/* ---- lists and timer ---- */

static uint32_t
list_of(const struct tcp_syn *e)
{
	return ZF_MIN(e->retries, TCP_SYN_LISTS - 1);
}

/* How long an entry waits that was sent again @k times. rto_max is less than 2^31 ms: the last list's delay is that. */
static uint64_t
delay_of(const struct tcp_conf *c, uint32_t k)
{
	if (c->rtt.rto_initial > c->rtt.rto_max >> k)
		return c->rtt.rto_max;
	return c->rtt.rto_initial << k;
}

static void
list_add(struct zf_ctx *ctx, uint32_t i)
{
	struct tcp_syn_table *t = ctx->tcp->syn;
	struct tcp_syn *e = tcp_syn_at(t, i);
	uint32_t k = list_of(e);
	uint64_t due = ctx->now + delay_of(&ctx->tcp->conf, k);

	e->sent = ctx->now;
	e->next = TCP_NONE;
	e->prev = t->tails[k];
	if (e->prev == TCP_NONE)
		t->heads[k] = i;
	else
		tcp_syn_at(t, e->prev)->next = i;
	t->tails[k] = i;
	if (!wheel_is_armed(&ctx->tcp->syn_timer) || due < wheel_expires(&ctx->tcp->syn_timer))
		wheel_arm(ctx->wheel, &ctx->tcp->syn_timer, due);
}

static void
list_remove(struct tcp_syn_table *t, uint32_t i)
{
	struct tcp_syn *e = tcp_syn_at(t, i);
	uint32_t k = list_of(e);

	if (e->prev == TCP_NONE)
		t->heads[k] = e->next;
	else
		tcp_syn_at(t, e->prev)->next = e->next;
	if (e->next == TCP_NONE)
		t->tails[k] = e->prev;
	else
		tcp_syn_at(t, e->next)->prev = e->prev;
}

static uint32_t
index_of(const struct tcp_room *r, uint32_t i)
{
	return r->max_zft + r->max_tw + i;
}

/* Room for @k: entry made, counted and in the demux table; NULL if there is none. */
static struct tcp_syn *
entry_take(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_key *k)
{
	struct tcp_syn_table *t = ctx->tcp->syn;
	uint32_t tag = tcp_key_tag(ctx->secret, k), i = t->free;
	struct tcp_syn *e;

	if (i == TCP_NONE || !htab_insert(&ctx->tcp->conns, tag, index_of(ctx->tcp, i)))
		return NULL;
	e = tcp_syn_at(t, i);
	t->free = e->next;
	t->n++;
	ctx->restless = true;
	*e = (struct tcp_syn){.key = *k, .tag = tag, .listener = tl->index, .flags = SYN_USED};
	tl->refs++;
	list_add(ctx, i);
	return e;
}

/* One that is out of the demux table. The timer stays as it is: it finds out that there is nothing to do, which costs less
 * than to set it for each connection.
 */
static void
entry_free(struct zf_ctx *ctx, uint32_t i)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_syn_table *t = r->syn;
	struct tcp_syn *e = tcp_syn_at(t, i);
	uint32_t listener = e->listener;

	list_remove(t, i);
	*e = (struct tcp_syn){.next = t->free};
	t->free = i;
	t->n--;
	tcp_listener_put(ctx, &r->zftls[listener]);
}

static void
entry_put(struct zf_ctx *ctx, uint32_t i)
{
	struct tcp_room *r = ctx->tcp;

	(void)zf_bug(!htab_remove(&r->conns, tcp_syn_at(r->syn, i)->tag, index_of(r, i)));
	entry_free(ctx, i);
}

/* ---- what is sent ---- */

static uint16_t
window(const struct tcp_conf *c)
{
	return (uint16_t)ZF_MIN(c->rx_window, 65535u);
}

static bool
send_synack(struct zf_ctx *ctx, const struct tcp_syn *e)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	struct tcp_reply rp = {.key = e->key,
			       .seq = e->iss,
			       .ack = seq_add(e->irs, 1),
			       .wnd = window(c),
			       .flags = TCP_FLAG_SYN | TCP_FLAG_ACK | (e->flags & SYN_ECN ? TCP_FLAG_ECE : 0),
			       .mac = e->mac};

	rp.opts_len = (uint8_t)tcp_opts_put_syn(rp.opts, ctx->tcp->mss, (e->flags & SYN_SACK) != 0,
						(e->flags & SYN_TS) != 0, tcp_ts_now(ctx, e->ts_offset),
						e->ts_recent, e->wscale >= 0 ? c->rcv_shift : -1);
	return tcp_reply_send(ctx, &rp);
}

/* One budget with connections, of a size that nobody outside can know (RFC 5961 7), see tcp_challenge_ack(). */
static bool
challenge_take(struct zf_ctx *ctx)
{
	struct output_limit *l = &ctx->tcp->challenge_limit;

	if (ctx->now - l->last >= ctx->hz) {
		l->last = ctx->now;
		l->tokens = 500 + (uint32_t)rng_below(&ctx->rng, 500);
	}
	if (l->tokens == 0)
		return false;
	l->tokens--;
	return true;
}

/* <SEQ=SND.NXT><ACK=RCV.NXT>, for what lies outside of the window or might be forged. */
static void
send_ack(struct zf_ctx *ctx, const struct tcp_syn *e)
{
	const struct tcp_conf *c = &ctx->tcp->conf;
	struct tcp_reply rp = {.key = e->key,
			       .seq = seq_add(e->iss, 1),
			       .ack = seq_add(e->irs, 1),
			       .wnd = (uint16_t)(window(c) >> (e->wscale >= 0 ? c->rcv_shift : 0)),
			       .flags = TCP_FLAG_ACK,
			       .mac = e->mac};

	if (!challenge_take(ctx)) {
		ctx_count(ctx, CNT_TCP_CHALLENGE_LIMIT);
		return;
	}
	if (e->flags & SYN_TS)
		rp.opts_len = (uint8_t)tcp_opts_put_ts(rp.opts, tcp_ts_now(ctx, e->ts_offset), e->ts_recent);
	if (tcp_reply_send(ctx, &rp))
		ctx_count(ctx, CNT_TCP_CHALLENGE_ACK);
}

/* To a peer that may think the connection established, or wait for a SYN-ACK that got lost. */
static void
send_rst(struct zf_ctx *ctx, const struct tcp_syn *e)
{
	struct tcp_reply rp = {.key = e->key,
			       .seq = seq_add(e->iss, 1),
			       .ack = seq_add(e->irs, 1),
			       .flags = TCP_FLAG_RST | TCP_FLAG_ACK,
			       .mac = e->mac};

	if (tcp_reply_send(ctx, &rp))
		ctx_count(ctx, CNT_TCP_RST_SENT);
}

/* ---- LISTEN ---- */

static bool
wants_ecn(const struct tcp_in *in)
{
	return (in->flags & (TCP_FLAG_ECE | TCP_FLAG_CWR)) == (TCP_FLAG_ECE | TCP_FLAG_CWR);
}

static void
take_options(struct zf_ctx *ctx, struct tcp_syn *e, const struct tcp_in *in)
{
	const struct tcp_conf *c = &ctx->tcp->conf;

	e->mss = in->o.have & TCP_OPT_MSS ? in->o.mss : TCP_MSS_DEFAULT;
	e->wscale = in->o.have & TCP_OPT_WSCALE ? (int8_t)in->o.wscale : -1;
	if (in->o.have & TCP_OPT_SACK_OK)
		e->flags |= SYN_SACK;
	if ((in->o.have & TCP_OPT_TS) && c->timestamps > 0) {
		e->flags |= SYN_TS;
		e->ts_recent = in->o.ts_val;
	}
	if (c->ecn && wants_ecn(in))
		e->flags |= SYN_ECN;
}

/* Nothing is kept: all that the answer must tell us is in the sequence number. */
static void
send_cookie(struct zf_ctx *ctx, const struct tcp_in *in)
{
	struct tcp_room *r = ctx->tcp;
	const struct tcp_key *k = &in->key;
	struct tcp_syn e = {.key = *k, .irs = in->seq, .mac = in->mac};
	struct tcp_cookie c;

	take_options(ctx, &e, in);
	e.flags &= SYN_SACK;
	c = (struct tcp_cookie){.mss = e.mss, .sack_ok = (e.flags & SYN_SACK) != 0, .wscale = e.wscale};
	e.iss = seq_of(tcp_cookie_make(&r->key, k->lip, k->lport, k->rip, k->rport, in->seq, &c, ctx->now, ctx->hz));
	r->syn->cookies_out = true;
	r->syn->cookie_at = ctx->now;
	if (send_synack(ctx, &e))
		ctx_count(ctx, CNT_TCP_COOKIES_SENT);
}

/* Which entry must go is not for the peers to choose: at a full cache an honest one stays with the probability of any
 * other.
 */
static struct tcp_syn *
evict(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_key *k)
{
	struct tcp_syn_table *t = ctx->tcp->syn;

	if (t->n < t->max || t->max == 0)
		return NULL; /* no place in the demux table is no matter of room here */
	entry_put(ctx, (uint32_t)rng_below(&ctx->rng, t->max));
	ctx_count(ctx, CNT_TCP_SYN_EVICTED);
	return entry_take(ctx, tl, k);
}

void
tcp_syn_listen(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_in *in)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_syn *e = NULL;

	if (r->conf.cookies < 2) {
		e = entry_take(ctx, tl, &in->key);
		if (e == NULL)
			ctx_count(ctx, CNT_TCP_SYN_CACHE_FULL);
		if (e == NULL && r->conf.cookies == 0)
			e = evict(ctx, tl, &in->key);
	}
	if (e == NULL) {
		r->tw_iss_set = false;
		if (r->conf.cookies > 0)
			send_cookie(ctx, in);
		return;
	}
	e->iss = tcp_choose_isn(ctx, &in->key);
	e->irs = in->seq;
	e->mac = in->mac;
	take_options(ctx, e, in);
	if (e->flags & SYN_TS)
		e->ts_offset = tcp_ts_offset(&r->key, e->key.lip, e->key.lport, e->key.rip, e->key.rport);
	(void)send_synack(ctx, e);
}

/* ---- SYN-RECEIVED ---- */

/* RFC 9293 3.10.7.4, first: does it begin or end within the window that the SYN-ACK told? */
static bool
is_acceptable(const struct zf_ctx *ctx, const struct tcp_syn *e, const struct tcp_in *in)
{
	uint32_t wnd = window(&ctx->tcp->conf), span = in_span(in);
	uint32_t first = seq_sub(in->seq, seq_add(e->irs, 1));

	return first < wnd || (span > 0 && first + span - 1 < wnd);
}

/* The SYN again: the SYN-ACK was lost, or is late. */
static void
again(struct zf_ctx *ctx, struct tcp_syn *e, const struct tcp_in *in)
{
	/* RFC 3168 6.1.1.1: a peer that asks without ECN gets a connection without. */
	if (!wants_ecn(in))
		e->flags &= (uint8_t)~SYN_ECN;
	if ((e->flags & SYN_TS) && (in->o.have & TCP_OPT_TS) && (int32_t)(in->o.ts_val - e->ts_recent) > 0)
		e->ts_recent = in->o.ts_val;
	e->flags |= SYN_RESENT;
	(void)send_synack(ctx, e);
}

static void
promote(struct zf_ctx *ctx, uint32_t i, const struct tcp_in *in, struct zft **promoted)
{
	const struct tcp_syn *e = tcp_syn_at(ctx->tcp->syn, i);
	struct tcp_handshake h = {
		.key = e->key,
		.iss = e->iss,
		.irs = e->irs,
		.mss = e->mss,
		.wscale = e->wscale,
		.sack_ok = (e->flags & SYN_SACK) != 0,
		.ts_ok = (e->flags & SYN_TS) != 0,
		.ecn = (e->flags & SYN_ECN) != 0,
		.ts_recent = e->ts_recent,
		.ts_offset = e->ts_offset,
		.listener = e->listener,
		.tag = e->tag,
		.entry = index_of(ctx->tcp, i),
		.synack_sent = e->flags & SYN_RESENT ? 0 : e->sent,
		.resent = e->retries > 0,
	};

	*promoted = tcp_conn_accept(ctx, &h, in);
	if (*promoted == NULL)
		ctx_count(ctx, CNT_TCP_ACCEPT_FULL); /* the SYN-ACK goes again and asks for another ACK */
	else
		entry_free(ctx, i);
}

/* Timestamps that were agreed on are in every segment but resets, and do not go back (RFC 7323 3.2, 5.3). */
static bool
is_timely(struct zf_ctx *ctx, const struct tcp_syn *e, const struct tcp_in *in)
{
	if (!(e->flags & SYN_TS) || (in->flags & TCP_FLAG_RST))
		return true;
	if (!(in->o.have & TCP_OPT_TS))
		return false;
	if ((int32_t)(in->o.ts_val - e->ts_recent) >= 0)
		return true;
	send_ack(ctx, e);
	return false;
}

void
tcp_syn_segment(struct zf_ctx *ctx, uint32_t entry, const struct tcp_in *in, struct zft **promoted)
{
	struct tcp_syn *e = tcp_syn_at(ctx->tcp->syn, entry);
	struct zftl *tl = &ctx->tcp->zftls[e->listener];
	bool rst = (in->flags & TCP_FLAG_RST) != 0, syn = (in->flags & TCP_FLAG_SYN) != 0;

	*promoted = NULL;
	ZF_ASSERT(e->flags & SYN_USED);
	/* It lies left of the window; but an ACK would tell the peer nothing in SYN-SENT. */
	if (syn && !(in->flags & (TCP_FLAG_ACK | TCP_FLAG_RST)) && seq_eq(in->seq, e->irs)) {
		again(ctx, e, in);
		return;
	}
	if (!is_timely(ctx, e, in))
		return;
	/* First: the sequence number. Second: a reset at its very edge is believed (RFC 5961 3.2); back to LISTEN. */
	if (!is_acceptable(ctx, e, in)) {
		if (!rst)
			send_ack(ctx, e);
		return;
	}
	if (rst) {
		if (seq_eq(in->seq, seq_add(e->irs, 1)))
			entry_put(ctx, entry);
		else
			send_ack(ctx, e);
		return;
	}
	/* Fourth: a SYN in the window, which is the peer's next try: back to LISTEN, which answers it now and not only when
	 * it comes again. One with an ACK is nobody's next try: RFC 5961 4.2.
	 */
	if (syn && !(in->flags & TCP_FLAG_ACK)) {
		if (in->flags & TCP_FLAG_FIN)
			return; /* LISTEN would not have it */
		entry_put(ctx, entry);
		tcp_syn_listen(ctx, tl, in); /* open, or its entries would be gone */
		return;
	}
	if (syn) {
		send_ack(ctx, e);
		return;
	}
	/* Fifth: the ACK. */
	if (!(in->flags & TCP_FLAG_ACK))
		return;
	if (!seq_eq(in->ack, seq_add(e->iss, 1))) {
		tcp_reply_reset(ctx, in);
		return;
	}
	e->mac = in->mac;
	promote(ctx, entry, in, promoted);
}

void
tcp_syn_cookie_ack(struct zf_ctx *ctx, struct zftl *tl, const struct tcp_in *in, struct zft **promoted)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_syn_table *t = r->syn;
	const struct tcp_key *k = &in->key;
	uint64_t life = (uint64_t)TCP_COOKIE_UNITS * TCP_COOKIE_UNIT_S * ctx->hz;
	struct tcp_handshake h = {.key = *k,
				  .iss = seq_less(in->ack, 1),
				  .irs = seq_less(in->seq, 1),
				  .listener = tl->index,
				  .entry = TCP_NONE};
	struct tcp_cookie c;

	*promoted = NULL;
	if ((in->flags & (TCP_FLAG_ACK | TCP_FLAG_SYN | TCP_FLAG_RST)) != TCP_FLAG_ACK || !t->cookies_out ||
	    ctx->now - t->cookie_at > life) {
		tcp_reply_reset(ctx, in);
		return;
	}
	/* Guesses above the limit are not even answered: whoever has a good one sends again. */
	if (!output_limit_take(ctx, &t->bad)) {
		ctx_count(ctx, CNT_TCP_COOKIES_BAD);
		return;
	}
	if (!tcp_cookie_check(&r->key, k->lip, k->lport, k->rip, k->rport, h.irs, h.iss.n, ctx->now, ctx->hz, &c)) {
		ctx_count(ctx, CNT_TCP_COOKIES_BAD);
		tcp_reply_reset(ctx, in);
		return;
	}
	t->bad.tokens++; /* only failures count */
	h.mss = c.mss;
	h.sack_ok = c.sack_ok;
	h.wscale = c.wscale;
	*promoted = tcp_conn_accept(ctx, &h, in);
	ctx_count(ctx, *promoted != NULL ? CNT_TCP_COOKIES_OK : CNT_TCP_ACCEPT_FULL);
}

/* ---- time, ends ---- */

/* Send the entry's SYN-ACK again, or give the entry up. */
static void
retransmit(struct zf_ctx *ctx, uint32_t i)
{
	struct tcp_syn_table *t = ctx->tcp->syn;
	struct tcp_syn *e = tcp_syn_at(t, i);

	if (e->retries >= ctx->tcp->conf.synack_retries) {
		entry_put(ctx, i);
		ctx_count(ctx, CNT_TCP_SYN_TIMEOUT);
		return;
	}
	list_remove(t, i);
	e->retries++;
	e->flags |= SYN_RESENT;
	list_add(ctx, i);
	if (send_synack(ctx, e))
		ctx_count(ctx, CNT_TCP_SYNACK_RETRANS);
}

void
tcp_syn_timer(struct zf_ctx *ctx)
{
	struct tcp_syn_table *t = ctx->tcp->syn;
	uint32_t left = SYN_TIMER_BURST;
	uint64_t next = UINT64_MAX;

	for (uint32_t k = 0; k < TCP_SYN_LISTS; k++) {
		uint64_t delay = delay_of(&ctx->tcp->conf, k);

		for (; left > 0 && t->heads[k] != TCP_NONE; left--) {
			if (ctx->now - tcp_syn_at(t, t->heads[k])->sent < delay)
				break;
			retransmit(ctx, t->heads[k]);
		}
	}
	for (uint32_t k = 0; k < TCP_SYN_LISTS; k++)
		if (t->heads[k] != TCP_NONE)
			next = ZF_MIN(next, tcp_syn_at(t, t->heads[k])->sent + delay_of(&ctx->tcp->conf, k));
	if (next != UINT64_MAX)
		wheel_arm(ctx->wheel, &ctx->tcp->syn_timer, ZF_MAX(next, ctx->now + (1u << WHEEL_TICK_SHIFT)));
}

void
tcp_syn_drop_listener(struct zf_ctx *ctx, uint32_t listener)
{
	struct tcp_syn_table *t = ctx->tcp->syn;

	for (uint32_t k = 0; k < TCP_SYN_LISTS; k++) {
		for (uint32_t i = t->heads[k], next; i != TCP_NONE; i = next) {
			next = tcp_syn_at(t, i)->next;
			if (tcp_syn_at(t, i)->listener != listener)
				continue;
			send_rst(ctx, tcp_syn_at(t, i));
			entry_put(ctx, i);
		}
	}
	if (t->n == 0)
		wheel_cancel(ctx->wheel, &ctx->tcp->syn_timer);
}

void
tcp_syn_icmp(struct zf_ctx *ctx, uint32_t entry)
{
	entry_put(ctx, entry);
}
