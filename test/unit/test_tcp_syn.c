/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The SYN cache alone, in virtual time: what it answers, when, and that entries, references, table and timer are always
 * of one mind. What it sends and whom it makes connections with is replaced here, so its source is part of this file.
 */
#include "unit.h"

#include <stdlib.h>

#define tcp_reply_send    fake_reply_send
#define tcp_reply_reset   fake_reply_reset
#define tcp_conn_accept   fake_conn_accept
#define tcp_listener_put  fake_listener_put
#define tcp_choose_isn    fake_choose_isn
#include "tcp/syn.c"

#define HZ      1000000000ull
#define SEC     HZ
#define MS      (HZ / 1000)
#define MAX_ZFT 3u
#define MAX_TW  5u
#define MAX_SYN 2048u
#define LAST    65536u

static struct {
	struct zf_ctx ctx;
	struct tcp_room room;
	struct wheel wheel;
	uint64_t counters[CNT__N];
	struct zftl zftls[2];
	struct zft zfts[1];
} w;
static void *syn_mem, *htab_mem;
static struct tcp_reply sent[LAST];
static uint32_t n_sent, n_resets;
static bool no_zft, no_buf;
static struct tcp_handshake made;
static uint32_t n_made;
static uint32_t isn = 1000;

bool
fake_reply_send(struct zf_ctx *ctx, const struct tcp_reply *r)
{
	CU_ASSERT_PTR_EQUAL(ctx, &w.ctx);
	if (no_buf)
		return false;
	if (n_sent < LAST)
		sent[n_sent++] = *r;
	return true;
}

void
fake_reply_reset(struct zf_ctx *ctx, const struct tcp_in *in)
{
	(void)ctx;
	n_resets += !(in->flags & TCP_FLAG_RST);
}

struct zft *
fake_conn_accept(struct zf_ctx *ctx, const struct tcp_handshake *h, const struct tcp_in *in)
{
	(void)in;
	if (no_zft)
		return NULL;
	/* The connection's place in the demux table is the entry's; a cookie had none. */
	if (h->entry != TCP_NONE)
		CU_ASSERT(htab_remove(&ctx->tcp->conns, h->tag, h->entry));
	made = *h;
	n_made++;
	return &w.zfts[0];
}

void
fake_listener_put(struct zf_ctx *ctx, struct zftl *tl)
{
	(void)ctx;
	CU_ASSERT_FATAL(tl->refs > 1); /* the application still holds it */
	tl->refs--;
}

tcpseq_t
fake_choose_isn(struct zf_ctx *ctx, const struct tcp_key *k)
{
	(void)k;
	ctx->tcp->tw_iss_set = false;
	return seq_of(isn);
}

static void
start(uint32_t max)
{
	struct arena dry, real;

	free(syn_mem);
	free(htab_mem);
	memset(&w, 0, sizeof(w));
	n_sent = n_resets = n_made = 0;
	no_zft = no_buf = false;
	arena_dry(&dry);
	CU_ASSERT_PTR_NULL(tcp_syn_take(&dry, max));
	syn_mem = aligned_alloc(ZF_CACHE_LINE, zf_align_up(dry.used, ZF_CACHE_LINE));
	htab_mem = calloc(htab_slots(MAX_SYN), sizeof(struct htab_entry));
	CU_ASSERT_FATAL(syn_mem != NULL && htab_mem != NULL);
	memset(syn_mem, 0, zf_align_up(dry.used, ZF_CACHE_LINE));
	real = (struct arena){.base = syn_mem, .bytes = dry.used, .fd = -1};
	w.ctx = (struct zf_ctx){.tcp = &w.room, .wheel = &w.wheel, .counters = w.counters, .hz = HZ, .now = 5 * SEC,
				.secret = {11, 13}};
	rng_seed(&w.ctx.rng, 7);
	wheel_init(&w.wheel, w.ctx.now);
	w.room = (struct tcp_room){
		.zftls = w.zftls,
		.max_zft = MAX_ZFT,
		.max_tw = MAX_TW,
		.max_syn = max,
		.mss = 1460,
		.key = {{3, 4}},
		.conf = {.rtt = {.rto_initial = SEC, .rto_min = 200 * MS, .rto_max = 120 * SEC},
			 .ms_mult = UINT64_MAX / MS + 1,
			 .rx_window = 262144,
			 .rcv_shift = 3,
			 .synack_retries = 5,
			 .cookies = 1},
		.challenge_limit = {.last = 4 * SEC}, /* as the room makes it: due to be filled */
	};
	htab_init(&w.room.conns, htab_mem, htab_slots(MAX_SYN));
	w.room.syn = tcp_syn_take(&real, max);
	for (uint32_t i = 0; i < 2; i++)
		w.zftls[i] = (struct zftl){.lport = be16_from((uint16_t)(80 + i)), .index = i, .refs = 1, .open = true};
	tcp_syn_init(&w.ctx);
}

static uint32_t
find(const struct tcp_key *k)
{
	struct htab_iter it = htab_iter(&w.room.conns, tcp_key_tag(w.ctx.secret, k));
	uint32_t i;

	while ((i = htab_next(&it)) != HTAB_NONE)
		if (tcp_key_eq(tcp_syn_key(w.room.syn, i - MAX_ZFT - MAX_TW), k))
			return i - MAX_ZFT - MAX_TW;
	return TCP_NONE;
}

/* Entries, lists, references, demux table and timer say the same. */
static void
check(void)
{
	struct tcp_syn_table *t = w.room.syn;
	uint32_t n = 0, refs[2] = {1, 1}, used = 0, free_n = 0;
	uint64_t first = UINT64_MAX;

	for (uint32_t k = 0; k < TCP_SYN_LISTS; k++) {
		uint64_t at = 0;
		uint32_t prev = TCP_NONE;

		for (uint32_t i = t->heads[k]; i != TCP_NONE; i = tcp_syn_at(t, i)->next) {
			const struct tcp_syn *e = tcp_syn_at(t, i);

			CU_ASSERT_FATAL(++n <= t->max);
			CU_ASSERT_FATAL(e->flags & SYN_USED);
			CU_ASSERT_FATAL(e->prev == prev && ZF_MIN(e->retries, 31) == k && e->sent >= at);
			CU_ASSERT_EQUAL_FATAL(find(&e->key), i);
			refs[e->listener]++;
			at = e->sent;
			prev = i;
			first = ZF_MIN(first, e->sent + delay_of(&w.room.conf, k));
		}
		CU_ASSERT_EQUAL_FATAL(t->tails[k], prev);
	}
	for (uint32_t i = 0; i < t->max; i++)
		used += (tcp_syn_at(t, i)->flags & SYN_USED) != 0;
	for (uint32_t i = t->free; i != TCP_NONE; i = tcp_syn_at(t, i)->next)
		CU_ASSERT_FATAL(++free_n <= t->max);
	CU_ASSERT(n == t->n && n == used && n == w.room.conns.n && n + free_n == t->max);
	CU_ASSERT(refs[0] == w.zftls[0].refs && refs[1] == w.zftls[1].refs);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), n);
	/* Without entries it may still be armed, and finds that out. */
	CU_ASSERT(n == 0 || wheel_is_armed(&w.room.syn_timer));
	if (n > 0)
		CU_ASSERT(wheel_expires(&w.room.syn_timer) <= ZF_MAX(first, w.ctx.now) + (2u << WHEEL_TICK_SHIFT));
}

static struct tcp_in
segment(uint32_t peer, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_in){
		.key = {.lip = IP4_C(10, 0, 0, 1), .rip = be32_from(0x0a010000 + peer), .lport = BE16_C(80),
			.rport = be16_from((uint16_t)(40000 + peer))},
		.seq = seq_of(seq),
		.ack = seq_of(ack),
		.flags = flags,
		.wnd = 1000,
		.mac = {{2, 0, 0, 0, 1, (uint8_t)peer}},
	};
}

/* As input.c does it. */
static struct zft *
input(const struct tcp_in *in)
{
	struct zftl *tl = &w.zftls[in->key.lport.raw == w.zftls[1].lport.raw];
	uint32_t i = find(&in->key);
	struct zft *ts = NULL;

	if (i != TCP_NONE)
		tcp_syn_segment(&w.ctx, i, in, &ts);
	else if (in->flags & TCP_FLAG_ACK)
		tcp_syn_cookie_ack(&w.ctx, tl, in, &ts);
	else if (in->flags & TCP_FLAG_SYN)
		tcp_syn_listen(&w.ctx, tl, in);
	check();
	return ts;
}

static struct zft *
give(uint32_t peer, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_in in = segment(peer, flags, seq, ack);

	return input(&in);
}

static void
run_until(uint64_t t)
{
	struct wheel_timer *tm;

	while (w.wheel.next_due <= t) {
		w.ctx.now = ZF_MAX(w.ctx.now, w.wheel.next_due);
		while ((tm = wheel_pop(&w.wheel, w.ctx.now)) != NULL) {
			CU_ASSERT_EQUAL(tm->kind, TIMER_TCP_SYN);
			tcp_syn_timer(&w.ctx);
		}
		check();
	}
	w.ctx.now = t;
}

#define SYN TCP_FLAG_SYN
#define ACK TCP_FLAG_ACK
#define RST TCP_FLAG_RST
#define FIN TCP_FLAG_FIN

/* The frame sent last is <SEQ><ACK><CTL>, and the only one since the last look. */
static void
is_sent(uint8_t flags, uint32_t seq, uint32_t ack)
{
	CU_ASSERT_EQUAL(n_sent, 1);
	CU_ASSERT_EQUAL(sent[0].flags, flags);
	CU_ASSERT_EQUAL(sent[0].seq.n, seq);
	CU_ASSERT_EQUAL(sent[0].ack.n, ack);
	n_sent = 0;
}

/* ---- the handshake ---- */

static void
handshake(void)
{
	struct tcp_in in = segment(1, SYN, 500, 0);
	struct tcp_opts o;

	start(8);
	in.o = (struct tcp_opts){.have = TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK | TCP_OPT_TS, .mss = 1400,
				 .wscale = 7, .ts_val = 99};
	CU_ASSERT_PTR_NULL(input(&in));
	CU_ASSERT_EQUAL(sent[0].wnd, 65535);
	CU_ASSERT_EQUAL(sent[0].mac.b[5], 1);
	CU_ASSERT(tcp_key_eq(&sent[0].key, &in.key));
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, true, &o));
	/* Timestamps are off. */
	CU_ASSERT_EQUAL(o.have, TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK);
	CU_ASSERT(o.mss == 1460 && o.wscale == 3);
	is_sent(SYN | ACK, 1000, 501);
	CU_ASSERT_EQUAL(tcp_syn_iss(w.room.syn, find(&in.key)).n, 1000);
	w.ctx.now += 3 * MS;
	CU_ASSERT_PTR_EQUAL(give(1, ACK, 501, 1001), &w.zfts[0]);
	CU_ASSERT(made.mss == 1400 && made.wscale == 7 && made.sack_ok && !made.ts_ok && !made.ecn);
	CU_ASSERT(made.iss.n == 1000 && made.irs.n == 500 && made.listener == 0);
	CU_ASSERT_EQUAL(made.synack_sent, w.ctx.now - 3 * MS);
	CU_ASSERT(tcp_key_eq(&made.key, &in.key));
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
	CU_ASSERT_EQUAL(n_sent + n_resets, 0);

	/* Nothing offered, nothing agreed; a wider window than ours is not told. */
	w.room.conf.rx_window = 4000;
	give(2, SYN, 0xffffffff, 0);
	CU_ASSERT_EQUAL(sent[0].wnd, 4000);
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, true, &o));
	CU_ASSERT_EQUAL(o.have, TCP_OPT_MSS);
	is_sent(SYN | ACK, 1000, 0);
	CU_ASSERT_PTR_NOT_NULL(give(2, ACK | FIN, 0, 1001));
	CU_ASSERT(made.mss == 536 && made.wscale == -1 && !made.sack_ok && !made.ts_ok);
}

static void
timestamps(void)
{
	struct tcp_in in = segment(1, SYN, 500, 0);
	struct tcp_opts o;
	uint32_t off;

	start(8);
	w.room.conf.timestamps = 1;
	in.o = (struct tcp_opts){.have = TCP_OPT_TS, .ts_val = 0xfffffff0};
	input(&in);
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, true, &o));
	CU_ASSERT_EQUAL(o.have, TCP_OPT_MSS | TCP_OPT_TS);
	CU_ASSERT_EQUAL(o.ts_ecr, 0xfffffff0);
	off = tcp_ts_offset(&w.room.key, in.key.lip, in.key.lport, in.key.rip, in.key.rport);
	CU_ASSERT_EQUAL(o.ts_val, 5000 + off);
	is_sent(SYN | ACK, 1000, 501);
	/* The SYN again echoes the newer one. */
	in.o.ts_val = 5;
	input(&in);
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, true, &o));
	CU_ASSERT_EQUAL(o.ts_ecr, 5);
	is_sent(SYN | ACK, 1000, 501);
	/* Without: silence. Older: an ACK with ours. */
	give(1, ACK, 501, 1001);
	CU_ASSERT_EQUAL(n_sent + n_made, 0);
	in = segment(1, ACK, 501, 1001);
	in.o = (struct tcp_opts){.have = TCP_OPT_TS, .ts_val = 4};
	CU_ASSERT_PTR_NULL(input(&in));
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, false, &o));
	CU_ASSERT(o.have == TCP_OPT_TS && o.ts_ecr == 5);
	is_sent(ACK, 1001, 501);
	in.o.ts_val = 5;
	CU_ASSERT_PTR_NOT_NULL(input(&in));
	CU_ASSERT(made.ts_ok && made.ts_recent == 5 && made.ts_offset == off && made.synack_sent == 0);
	/* A reset needs none. */
	in = segment(2, SYN, 500, 0);
	in.o = (struct tcp_opts){.have = TCP_OPT_TS, .ts_val = 7};
	input(&in);
	give(2, RST, 501, 0);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
}

static void
ecn(void)
{
	start(8);
	give(1, SYN | TCP_FLAG_ECE | TCP_FLAG_CWR, 500, 0);
	is_sent(SYN | ACK, 1000, 501); /* the attribute is off */
	w.room.conf.ecn = 1;
	give(2, SYN | TCP_FLAG_ECE | TCP_FLAG_CWR, 500, 0);
	is_sent(SYN | ACK | TCP_FLAG_ECE, 1000, 501);
	CU_ASSERT_PTR_NOT_NULL(give(2, ACK, 501, 1001));
	CU_ASSERT_TRUE(made.ecn);
	give(3, SYN | TCP_FLAG_ECE, 500, 0);
	is_sent(SYN | ACK, 1000, 501);
	/* The second SYN comes without. */
	give(4, SYN | TCP_FLAG_ECE | TCP_FLAG_CWR, 500, 0);
	is_sent(SYN | ACK | TCP_FLAG_ECE, 1000, 501);
	give(4, SYN, 500, 0);
	is_sent(SYN | ACK, 1000, 501);
	CU_ASSERT_PTR_NOT_NULL(give(4, ACK, 501, 1001));
	CU_ASSERT_FALSE(made.ecn);
}

/* RFC 9293 3.10.7.4 in SYN-RECEIVED, with RFC 5961. */
static void
other_segments(void)
{
	start(8);
	give(1, SYN, 500, 0);
	is_sent(SYN | ACK, 1000, 501);
	isn = 77777; /* not to be used: the entry has its number */
	give(1, SYN, 500, 0);
	is_sent(SYN | ACK, 1000, 501);
	isn = 1000;
	/* Outside of the window, on either side. */
	give(1, ACK, 500, 1001);
	is_sent(ACK, 1001, 501);
	give(1, ACK, 501 + 65535, 1001);
	is_sent(ACK, 1001, 501);
	give(1, SYN, 499, 0);
	is_sent(ACK, 1001, 501);
	give(1, RST, 500, 0);
	give(1, RST, 501 + 65535, 0);
	give(1, RST | ACK, 500, 1001);
	CU_ASSERT_EQUAL(n_sent, 0);
	/* Inside. */
	give(1, RST, 502, 0);
	is_sent(ACK, 1001, 501);
	give(1, RST, 501 + 65534, 0);
	is_sent(ACK, 1001, 501);
	give(1, SYN | ACK, 501, 1001);
	is_sent(ACK, 1001, 501);
	give(1, 0, 501, 0);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_EQUAL(n_resets, 0);
	give(1, ACK, 501, 1000);
	CU_ASSERT_EQUAL(n_resets, 1);
	give(1, ACK, 501, 1002);
	CU_ASSERT_EQUAL(n_resets, 2);
	CU_ASSERT_EQUAL(n_sent + n_made, 0);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 1);
	/* The challenge is limited. */
	w.room.challenge_limit = (struct output_limit){.last = w.ctx.now};
	give(1, ACK, 500, 1001);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_CHALLENGE_LIMIT], 1);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_CHALLENGE_ACK], 6);
	/* The next try of the peer. */
	isn = 2000;
	give(1, SYN, 600, 0);
	is_sent(SYN | ACK, 2000, 601);
	isn = 1000;
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 1);
	give(1, ACK, 501, 1001); /* of the old one */
	CU_ASSERT_EQUAL(n_sent + n_made, 0);
	/* The reset at the very edge. */
	give(1, RST, 601, 0);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
	CU_ASSERT_EQUAL(n_sent, 0);
	/* Data before the ACK is lost: it completes as well. */
	give(2, SYN, 500, 0);
	n_sent = 0;
	struct tcp_in in = segment(2, ACK, 501 + 1000, 1001);
	in.len = 1000;
	CU_ASSERT_PTR_NOT_NULL(input(&in));
	/* And what begins left of the window and ends in it. */
	give(3, SYN, 500, 0);
	in = segment(3, ACK, 500, 1001);
	in.len = 1;
	CU_ASSERT_PTR_NULL(input(&in));
	in.len = 2;
	CU_ASSERT_PTR_NOT_NULL(input(&in));
}

static void
hard_errors(void)
{
	struct tcp_in in = segment(1, SYN, 500, 0);

	start(8);
	input(&in);
	tcp_syn_icmp(&w.ctx, find(&in.key));
	check();
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
}

/* ---- time ---- */

static void
synack_is_sent_again_with_backoff(void)
{
	static const uint64_t at[] = {1, 3, 7, 15, 31};
	uint64_t t0;

	start(8);
	t0 = w.ctx.now;
	give(1, SYN, 500, 0);
	is_sent(SYN | ACK, 1000, 501);
	for (uint32_t i = 0; i < 5; i++) {
		run_until(t0 + at[i] * SEC - 1);
		CU_ASSERT_EQUAL(n_sent, 0);
		run_until(t0 + at[i] * SEC + MS);
		is_sent(SYN | ACK, 1000, 501);
		/* A SYN in between changes nothing of that. */
		give(1, SYN, 500, 0);
		is_sent(SYN | ACK, 1000, 501);
	}
	run_until(t0 + 63 * SEC - 1);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 1);
	run_until(t0 + 63 * SEC + MS);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
	CU_ASSERT_EQUAL(n_sent + n_resets, 0); /* silently */
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_SYNACK_RETRANS], 5);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_SYN_TIMEOUT], 1);

	/* The attributes: no retry at all; many, at most rto_max apart. */
	w.room.conf.synack_retries = 0;
	t0 = w.ctx.now;
	give(1, SYN, 500, 0);
	n_sent = 0;
	run_until(t0 + SEC + MS);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
	w.room.conf.synack_retries = 255;
	w.room.conf.rtt.rto_initial = MS;
	w.room.conf.rtt.rto_max = 2 * SEC;
	t0 = w.ctx.now;
	give(1, SYN, 500, 0);
	n_sent = 0;
	run_until(t0 + 2047 * MS + 244 * 2 * SEC + 50 * MS);
	CU_ASSERT_EQUAL(n_sent, 255);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 1);
	run_until(w.ctx.now + 2 * SEC);
	CU_ASSERT_EQUAL(n_sent, 255);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
}

static void
timer_works_in_bounds(void)
{
	uint64_t t0;

	start(MAX_SYN);
	t0 = w.ctx.now;
	for (uint32_t i = 0; i < 1000; i++)
		give(i, SYN, 500 + i, 0);
	n_sent = 0;
	w.ctx.now = t0 + 2 * SEC; /* no poll for so long */
	CU_ASSERT_PTR_NOT_NULL(wheel_pop(&w.wheel, w.ctx.now));
	tcp_syn_timer(&w.ctx);
	CU_ASSERT_EQUAL(n_sent, 64);
	CU_ASSERT_PTR_NULL(wheel_pop(&w.wheel, w.ctx.now));
	check();
	run_until(t0 + 2 * SEC + MS);
	CU_ASSERT_EQUAL(n_sent, 1000);
	/* No buffer for the answer: the next one tries again. */
	n_sent = 0;
	no_buf = true;
	run_until(t0 + 5 * SEC);
	no_buf = false;
	run_until(t0 + 10 * SEC);
	CU_ASSERT_EQUAL(n_sent, 1000);
}

/* ---- room ---- */

static void
no_zocket_puts_off(void)
{
	uint64_t t0;

	start(8);
	t0 = w.ctx.now;
	give(1, SYN, 500, 0);
	n_sent = 0;
	no_zft = true;
	CU_ASSERT_PTR_NULL(give(1, ACK, 501, 1001));
	CU_ASSERT_PTR_NULL(give(1, ACK, 501, 1001));
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_ACCEPT_FULL], 2);
	CU_ASSERT_EQUAL(n_sent + n_resets, 0);
	run_until(t0 + SEC + MS);
	is_sent(SYN | ACK, 1000, 501);
	no_zft = false;
	CU_ASSERT_PTR_NOT_NULL(give(1, ACK, 501, 1001));
	CU_ASSERT_EQUAL(made.synack_sent, 0);
}

static void
full_cache_evicts_at_random(void)
{
	uint32_t stayed = 0;

	for (uint32_t round = 0; round < 50; round++) {
		start(32);
		rng_seed(&w.ctx.rng, round);
		w.room.conf.cookies = 0;
		for (uint32_t i = 0; i < 32 + 32; i++) {
			struct tcp_in in = segment(i, SYN, i, 0);

			w.room.tw_iss_set = true;
			input(&in);
			CU_ASSERT_NOT_EQUAL(find(&in.key), TCP_NONE);
			CU_ASSERT_FALSE(w.room.tw_iss_set);
		}
		CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 32);
		CU_ASSERT_EQUAL(w.counters[CNT_TCP_SYN_EVICTED], 32);
		CU_ASSERT_EQUAL(w.counters[CNT_TCP_SYN_CACHE_FULL], 32);
		for (uint32_t i = 0; i < 32; i++) {
			struct tcp_in in = segment(i, SYN, i, 0);

			stayed += find(&in.key) != TCP_NONE;
		}
	}
	/* (31/32)^32 of them: 0.362 of 1600 */
	CU_ASSERT(stayed > 500 && stayed < 660);
	/* No cache at all, and no cookies: nothing. */
	start(0);
	w.room.conf.cookies = 0;
	give(1, SYN, 1, 0);
	CU_ASSERT_EQUAL(n_sent, 0);
}

static void
full_cache_gives_cookies(void)
{
	struct tcp_in in = segment(9, SYN, 500, 0);
	struct tcp_opts o;
	uint32_t cookie;

	start(4);
	w.room.conf.timestamps = 2;
	w.room.conf.ecn = 1;
	for (uint32_t i = 0; i < 4; i++)
		give(i, SYN, i, 0);
	n_sent = 0;
	in.flags |= TCP_FLAG_ECE | TCP_FLAG_CWR;
	in.o = (struct tcp_opts){.have = TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK | TCP_OPT_TS, .mss = 1459,
				 .wscale = 9, .ts_val = 99};
	w.room.tw_iss_set = true;
	input(&in);
	CU_ASSERT_FALSE(w.room.tw_iss_set);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 4);
	CU_ASSERT_EQUAL(find(&in.key), TCP_NONE);
	CU_ASSERT_TRUE(tcp_opts_parse(sent[0].opts, sent[0].opts_len, true, &o));
	CU_ASSERT_EQUAL(o.have, TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK);
	CU_ASSERT(o.mss == 1460 && o.wscale == 3);
	cookie = sent[0].seq.n;
	is_sent(SYN | ACK, cookie, 501);
	/* With data, 60 s later, from the place where the SYN came from. */
	w.ctx.now += 60 * SEC;
	CU_ASSERT_PTR_NULL(give(8, ACK, 501, cookie + 1));
	CU_ASSERT_PTR_NULL(give(9, ACK, 502, cookie + 1));
	CU_ASSERT_PTR_NULL(give(9, ACK, 501, cookie + 2));
	CU_ASSERT_EQUAL(n_resets, 3);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_BAD], 3);
	CU_ASSERT_PTR_NULL(give(9, RST | ACK, 501, cookie + 1));
	CU_ASSERT_PTR_NOT_NULL(give(9, ACK | TCP_FLAG_PSH, 501, cookie + 1));
	CU_ASSERT(made.iss.n == cookie && made.irs.n == 500 && made.mss == 1440 && made.wscale == 8);
	CU_ASSERT(made.sack_ok && !made.ts_ok && !made.ecn && made.synack_sent == 0 && made.listener == 0);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_OK], 1);
	/* No zocket: ignored, its data comes again. */
	no_zft = true;
	CU_ASSERT_PTR_NULL(give(9, ACK, 501, cookie + 1));
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_ACCEPT_FULL], 1);
	CU_ASSERT_EQUAL(n_resets, 3);
	no_zft = false;
	/* Too old. */
	w.ctx.now += 70 * SEC;
	CU_ASSERT_PTR_NULL(give(9, ACK, 501, cookie + 1));
	CU_ASSERT_EQUAL(n_resets, 4);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_BAD], 3); /* not even looked at */
	/* An entry is free again: no cookie. */
	give(0, RST, 1, 0);
	n_sent = 0;
	input(&in);
	is_sent(SYN | ACK | TCP_FLAG_ECE, 1000, 501);
}

static void
cookies_always_or_never(void)
{
	struct tcp_in in = segment(1, SYN, 500, 0);

	start(4);
	CU_ASSERT_PTR_NULL(give(1, ACK, 501, 1001));
	CU_ASSERT(n_resets == 1 && w.counters[CNT_TCP_COOKIES_BAD] == 0); /* none was ever sent: not looked at */
	w.room.conf.cookies = 2;
	input(&in);
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_SYN_CACHE_FULL], 0);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_SENT], 1);
	CU_ASSERT_PTR_NOT_NULL(give(1, ACK, 501, sent[0].seq.n + 1));
	start(0);
	give(1, SYN, 500, 0);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_SENT], 1);
}

static void
guesses_are_limited(void)
{
	struct tcp_in in = segment(1, SYN, 500, 0);
	uint32_t cookie;

	start(4);
	w.room.conf.cookies = 2;
	input(&in);
	cookie = sent[0].seq.n;
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_PTR_NULL(give(2, ACK, i, 12345 + i));
	CU_ASSERT_EQUAL(n_resets, 100);
	CU_ASSERT_EQUAL(w.counters[CNT_TCP_COOKIES_BAD], 1000);
	/* A good one waits with them, and gets its turn; good ones do not use the limit up. */
	CU_ASSERT_PTR_NULL(give(1, ACK, 501, cookie + 1));
	w.ctx.now += SEC / 100;
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_PTR_NOT_NULL(give(1, ACK, 501, cookie + 1));
}

/* ---- the listener ends ---- */

static void
freed_listener_takes_its_entries_along(void)
{
	start(64);
	for (uint32_t i = 0; i < 20; i++) {
		struct tcp_in in = segment(i, SYN, 500 + i, 0);

		in.key.lport = w.zftls[i % 2].lport;
		input(&in);
		if (i == 9)
			run_until(w.ctx.now + 2 * SEC);
	}
	n_sent = 0;
	tcp_syn_drop_listener(&w.ctx, 1);
	check();
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 10);
	CU_ASSERT_EQUAL(w.zftls[1].refs, 1);
	CU_ASSERT_EQUAL(n_sent, 10);
	for (uint32_t i = 0; i < n_sent; i++) {
		CU_ASSERT_EQUAL(sent[i].flags, RST | ACK);
		CU_ASSERT_EQUAL(sent[i].seq.n, 1001);
		CU_ASSERT(be16_eq(sent[i].key.lport, w.zftls[1].lport));
		CU_ASSERT_EQUAL(sent[i].ack.n, 501u + be16_host(sent[i].key.rport) - 40000u);
	}
	tcp_syn_drop_listener(&w.ctx, 0);
	check();
	CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
}

/* ---- random ---- */

static void
random_peers(void)
{
	uint32_t total = 0;
	struct rng rng;

	for (uint32_t round = 0; round < 12; round++) {
		start(1 + round * 5);
		rng_seed(&rng, round);
		w.room.conf.cookies = (uint8_t)(round % 2);
		w.room.conf.timestamps = round % 3 == 0;
		for (uint32_t i = 0; i < 3000; i++) {
			uint32_t peer = (uint32_t)rng_below(&rng, 80);
			uint32_t pick = (uint32_t)rng_below(&rng, 100);
			struct tcp_in in = segment(peer, SYN, 500, 0);

			n_sent = 0;
			no_zft = pick % 7 == 0;
			in.key.lport = w.zftls[peer % 2].lport;
			if (pick >= 50) {
				static const uint8_t flags[] = {ACK, ACK, RST, SYN, SYN | ACK, 0, FIN | ACK};

				in.flags = flags[rng_below(&rng, 7)];
				in.seq.n = (uint32_t)(499 + rng_below(&rng, 4));
				in.ack.n = (uint32_t)(1000 + rng_below(&rng, 3));
				in.len = (uint32_t)rng_below(&rng, 3);
			}
			if (pick % 3 == 0)
				in.o = (struct tcp_opts){.have = TCP_OPT_TS, .ts_val = pick};
			(void)input(&in);
			CU_ASSERT_FATAL(n_sent <= 1); /* a frame for a frame */
			if (pick % 20 == 0)
				run_until(w.ctx.now + rng_below(&rng, 3 * SEC));
			if (pick == 1 && rng_below(&rng, 10) == 0)
				tcp_syn_drop_listener(&w.ctx, peer % 2);
			check();
		}
		run_until(w.ctx.now + 100 * SEC);
		CU_ASSERT_EQUAL(tcp_syn_count(&w.ctx), 0);
		total += n_made;
	}
	CU_ASSERT(total > 200);
}

static const struct unit_test tests[] = {
	UNIT(handshake),
	UNIT(timestamps),
	UNIT(ecn),
	UNIT(other_segments),
	UNIT(hard_errors),
	UNIT(synack_is_sent_again_with_backoff),
	UNIT(timer_works_in_bounds),
	UNIT(no_zocket_puts_off),
	UNIT(full_cache_evicts_at_random),
	UNIT(full_cache_gives_cookies),
	UNIT(cookies_always_or_never),
	UNIT(guesses_are_limited),
	UNIT(freed_listener_takes_its_entries_along),
	UNIT(random_peers),
};

UNIT_MAIN("tcp_syn", tests)
