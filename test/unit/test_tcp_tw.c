/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TIME-WAIT: the table against a list, and what each kind of segment gets for an answer.
 */
#include "tcp/tw.h"

#include <stdlib.h>

#include "base/rng.h"
#include "ip/wire.h"
#include "unit.h"

#define LIFE 1000u
#define MAX  40u

struct table {
	struct tcp_tw_table t;
	struct tcp_tw entries[MAX] ZF_CACHE_ALIGNED;
};
static struct table tab;

/* The model: index and expiry in the order of expiry. */
static struct model {
	uint32_t index[MAX];
	uint64_t expires[MAX];
	uint32_t serial[MAX];
	uint32_t n;
} model;

static void
model_drop(uint32_t at)
{
	model.n--;
	for (uint32_t i = at; i < model.n; i++) {
		model.index[i] = model.index[i + 1];
		model.expires[i] = model.expires[i + 1];
		model.serial[i] = model.serial[i + 1];
	}
}

static void
model_add(uint32_t index, uint64_t expires, uint32_t serial)
{
	model.index[model.n] = index;
	model.expires[model.n] = expires;
	model.serial[model.n++] = serial;
}

static void
take_one(uint64_t now, uint32_t serial)
{
	struct tcp_tw was, *e;
	bool full = model.n == MAX;
	uint16_t generation[MAX];

	for (uint32_t i = 0; i < MAX; i++)
		generation[i] = tab.entries[i].generation;
	e = tw_take(&tab.t, now, &was);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL((was.flags & TW_USED) != 0, full);
	if (full) {
		CU_ASSERT_EQUAL(tw_index(&tab.t, e), model.index[0]);
		CU_ASSERT_EQUAL(was.tag, model.serial[0]);
		CU_ASSERT_EQUAL(was.expires, model.expires[0]);
		model_drop(0);
	}
	for (uint32_t i = 0; i < model.n; i++)
		CU_ASSERT_NOT_EQUAL(tw_index(&tab.t, e), model.index[i]);
	CU_ASSERT_EQUAL(e->flags, TW_USED);
	CU_ASSERT_TRUE(e->tag == 0 && e->zft1 == 0 && e->listener1 == 0 && e->rcv_wnd == 0);
	CU_ASSERT_EQUAL(e->generation, (uint16_t)(generation[tw_index(&tab.t, e)] + 1));
	e->tag = serial;
	model_add(tw_index(&tab.t, e), now + LIFE, serial);
}

static void
expire_all(uint64_t now)
{
	struct tcp_tw *e;

	while ((e = tw_expire(&tab.t, now)) != NULL) {
		CU_ASSERT_FATAL(model.n > 0);
		CU_ASSERT_EQUAL(tw_index(&tab.t, e), model.index[0]);
		CU_ASSERT_TRUE(model.expires[0] <= now);
		CU_ASSERT_EQUAL(e->tag, model.serial[0]);
		model_drop(0);
		tw_put(&tab.t, e);
	}
	CU_ASSERT_TRUE(model.n == 0 || model.expires[0] > now);
}

static void
the_table_does_what_a_list_does(void)
{
	uint64_t now = 5, recycled = 0;
	struct rng r;

	rng_seed(&r, 1);
	memset(&tab, 0, sizeof(tab));
	model.n = 0;
	tw_init(&tab.t, tab.entries, MAX, LIFE);
	for (uint32_t step = 0; step < 300000; step++) {
		/* Phases with few and with many deaths, so that it runs both empty and full. */
		uint32_t what = (uint32_t)rng_below(&r, 100), pick;
		bool busy = (step / 5000) % 2 != 0;

		now += rng_below(&r, busy ? 20 : 120);
		pick = model.n > 0 ? (uint32_t)rng_below(&r, model.n) : 0;
		if (what < 60) {
			recycled += model.n == MAX;
			take_one(now, step);
		} else if (what < 70 && model.n > 0) {
			tw_put(&tab.t, tw_at(&tab.t, model.index[pick]));
			model_drop(pick);
		} else if (what < 85 && model.n > 0) {
			uint32_t i = model.index[pick], serial = model.serial[pick];

			tw_restart(&tab.t, tw_at(&tab.t, i), now);
			model_drop(pick);
			model_add(i, now + LIFE, serial);
		} else {
			expire_all(now);
		}
		CU_ASSERT_EQUAL(tab.t.n, model.n);
		CU_ASSERT_EQUAL(tw_next_due(&tab.t), model.n > 0 ? model.expires[0] : UINT64_MAX);
	}
	CU_ASSERT_EQUAL(tab.t.recycled, recycled);
	CU_ASSERT_TRUE(recycled > 1000);
	expire_all(now + LIFE);
	CU_ASSERT_EQUAL(tab.t.n, 0);
	CU_ASSERT_EQUAL(tab.t.oldest, TW_NONE);
	CU_ASSERT_EQUAL(tab.t.youngest, TW_NONE);
}

static void
a_table_without_entries(void)
{
	struct tcp_tw was;

	memset(&tab, 0, sizeof(tab));
	tw_init(&tab.t, tab.entries, 0, LIFE);
	CU_ASSERT_PTR_NULL(tw_take(&tab.t, 1, &was));
	CU_ASSERT_EQUAL(was.flags, 0);
	CU_ASSERT_PTR_NULL(tw_expire(&tab.t, UINT64_MAX));
	CU_ASSERT_EQUAL(tw_next_due(&tab.t), UINT64_MAX);
}

static void
an_endless_life_does_not_wrap(void)
{
	struct tcp_tw was, *e;

	memset(&tab, 0, sizeof(tab));
	tw_init(&tab.t, tab.entries, MAX, UINT64_MAX - 10);
	e = tw_take(&tab.t, 5, &was);
	CU_ASSERT_EQUAL(e->expires, UINT64_MAX - 5);
	e = tw_take(&tab.t, 50, &was);
	CU_ASSERT_EQUAL(e->expires, UINT64_MAX);
	CU_ASSERT_PTR_NULL(tw_expire(&tab.t, 1ull << 62));
}

static void
the_table_may_be_mapped_elsewhere(void)
{
	static struct table moved;
	struct tcp_tw was, *e;

	memset(&tab, 0, sizeof(tab));
	tw_init(&tab.t, tab.entries, MAX, LIFE);
	e = tw_take(&tab.t, 7, &was);
	e->tag = 4711;
	memcpy(&moved, &tab, sizeof(tab));
	memset(&tab, 0xff, sizeof(tab));
	CU_ASSERT_PTR_NULL(tw_expire(&moved.t, 7 + LIFE - 1));
	e = tw_expire(&moved.t, 7 + LIFE);
	CU_ASSERT_PTR_EQUAL(e, &moved.entries[0]);
	CU_ASSERT_EQUAL(e->tag, 4711);
}

#define SND_NXT 5000u
#define RCV_NXT 9000u
#define WND     1000u

/* Relative to an entry, with the numbers shifted by @base so that everything also happens around a wrap. */
static uint32_t base;

static struct tcp_tw
entry(bool ts)
{
	return (struct tcp_tw){
		.snd_nxt = seq_of(base + SND_NXT), .rcv_nxt = seq_of(base + RCV_NXT), .rcv_wnd = WND,
		.ts_recent = base + 100, .flags = TW_USED | (ts ? TW_TS : 0),
	};
}

#define NO_TS INT32_MIN

/* @tsval: how much newer than ts_recent; NO_TS: no option. */
static enum tw_action
input_to(bool entry_ts, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack, int32_t tsval)
{
	struct tcp_tw e = entry(entry_ts);
	struct tw_seg s = {
		.seq = seq_of(base + seq), .ack = seq_of(base + ack), .len = len, .flags = flags,
		.ts = tsval != NO_TS,
		.tsval = tsval != NO_TS ? base + 100 + (uint32_t)tsval : 12345,
	};

	return tw_input(&e, &s);
}

#define FIN TCP_FLAG_FIN
#define SYN TCP_FLAG_SYN
#define RST TCP_FLAG_RST
#define ACK TCP_FLAG_ACK

static const uint32_t bases[] = {0, 0u - RCV_NXT, 0u - SND_NXT, 1u - RCV_NXT, 0u - RCV_NXT - 1, 0u - RCV_NXT - WND,
				 0x80000000u - RCV_NXT, 0x7fffffffu - SND_NXT};

/* RFC 1337: neither exact nor in the window nor with anything else does a reset do a thing. */
static void
resets_are_ignored(void)
{
	static const uint32_t at[] = {0, RCV_NXT - 1, RCV_NXT, RCV_NXT + 1, RCV_NXT + WND - 1, RCV_NXT + WND};

	for (size_t b = 0; b < ZF_ARRAY_SIZE(bases); b++) {
		base = bases[b];
		for (size_t i = 0; i < ZF_ARRAY_SIZE(at); i++)
			for (unsigned more = 0; more < 64; more++)
				CU_ASSERT_EQUAL(input_to(more & 1, (uint8_t)(RST | more), at[i], more & 3, SND_NXT, 1),
						TW_DROP);
	}
}

static void
the_peers_fin_restarts(void)
{
	for (size_t b = 0; b < ZF_ARRAY_SIZE(bases); b++) {
		base = bases[b];
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT - 1, 0, SND_NXT, NO_TS), TW_ACK_RESTART);
		/* Sent before our FIN reached the peer: simultaneous close. */
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT - 1, 0, SND_NXT - 1, NO_TS), TW_ACK_RESTART);
		/* With its last data. */
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT - 101, 100, SND_NXT, NO_TS), TW_ACK_RESTART);
		CU_ASSERT_EQUAL(input_to(true, FIN | ACK, RCV_NXT - 1, 0, SND_NXT, 0), TW_ACK_RESTART);
		CU_ASSERT_EQUAL(input_to(true, FIN | ACK, RCV_NXT - 1, 0, SND_NXT, 5), TW_ACK_RESTART);
		/* An old duplicate of it, or one that lost its timestamps: not a sign of life. */
		CU_ASSERT_EQUAL(input_to(true, FIN | ACK, RCV_NXT - 1, 0, SND_NXT, -1), TW_ACK);
		CU_ASSERT_EQUAL(input_to(true, FIN | ACK, RCV_NXT - 1, 0, SND_NXT, NO_TS), TW_DROP);
		/* A FIN elsewhere, or with an ACK of what was never sent, or with none. */
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT, 0, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT - 2, 0, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT + WND + 5, 0, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, FIN | ACK, RCV_NXT - 1, 0, SND_NXT + 1, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, FIN, RCV_NXT - 1, 0, SND_NXT, NO_TS), TW_ACK);
	}
}

static void
other_segments(void)
{
	for (size_t b = 0; b < ZF_ARRAY_SIZE(bases); b++) {
		base = bases[b];
		/* The ACK that is as it should be ends the talk, old acknowledgements too. */
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT, 0, SND_NXT, NO_TS), TW_DROP);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT, 0, SND_NXT - 3, NO_TS), TW_DROP);
		CU_ASSERT_EQUAL(input_to(true, ACK, RCV_NXT, 0, SND_NXT, 0), TW_DROP);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT + WND - 1, 0, SND_NXT, NO_TS), TW_DROP);
		/* Left and right of the window. */
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT - 1, 0, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT + WND, 0, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT, 0, SND_NXT + 1, NO_TS), TW_ACK);
		/* Data: old, behind the FIN, straddling both edges. */
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT - 10, 10, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT, 10, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, ACK, RCV_NXT - 5, WND + 10, SND_NXT, NO_TS), TW_ACK);
		/* Without ACK: unacceptable ones are answered, the others dropped (first and fifth step). */
		CU_ASSERT_EQUAL(input_to(false, 0, RCV_NXT, 0, SND_NXT, NO_TS), TW_DROP);
		CU_ASSERT_EQUAL(input_to(false, 0, RCV_NXT, 10, SND_NXT, NO_TS), TW_DROP);
		CU_ASSERT_EQUAL(input_to(false, 0, RCV_NXT - 10, 10, SND_NXT, NO_TS), TW_ACK);
		CU_ASSERT_EQUAL(input_to(false, 0, RCV_NXT - 9, 10, SND_NXT, NO_TS), TW_DROP);
		/* PAWS comes first. */
		CU_ASSERT_EQUAL(input_to(true, ACK, RCV_NXT, 0, SND_NXT, -1), TW_ACK);
		CU_ASSERT_EQUAL(input_to(true, ACK, RCV_NXT, 0, SND_NXT, NO_TS), TW_DROP);
	}
}

static void
a_closed_window_takes_only_its_edge(void)
{
	struct tcp_tw e;
	struct tw_seg s = {.flags = ACK};

	base = 0;
	e = entry(false);
	e.rcv_wnd = 0;
	s.ack = e.snd_nxt;
	s.seq = e.rcv_nxt;
	CU_ASSERT_EQUAL(tw_input(&e, &s), TW_DROP);
	s.seq = seq_add(e.rcv_nxt, 1);
	CU_ASSERT_EQUAL(tw_input(&e, &s), TW_ACK);
	s.seq = e.rcv_nxt;
	s.len = 1;
	CU_ASSERT_EQUAL(tw_input(&e, &s), TW_ACK);
}

/* RFC 6191 2, and by sequence number alone as RFC 9293 3.6.1 allows. */
static void
a_syn_may_take_the_place(void)
{
	static const struct {
		bool old_ts;
		int32_t tsval;
		int32_t seq; /* from RCV_NXT */
		enum tw_action want;
	} row[] = {
		{true, 1, -5000, TW_NEW_SYN}, /* newer timestamp: whatever the number */
		{true, 1, 1, TW_NEW_SYN},
		{true, 0, 1, TW_NEW_SYN}, /* the same one: the number decides */
		{true, 0, 0, TW_ACK},
		{true, 0, -1, TW_ACK},
		{true, -1, 1, TW_ACK}, /* older: an old duplicate */
		{true, -1, 100000, TW_ACK},
		{true, NO_TS, 1, TW_NEW_SYN}, /* the new one would have none: the number decides */
		{true, NO_TS, 0, TW_ACK},
		{true, NO_TS, -1, TW_ACK},
		{false, 0, -5000, TW_NEW_SYN}, /* only the new one has: old segments are told by lacking them */
		{false, -50, 1, TW_NEW_SYN},
		{false, NO_TS, 1, TW_NEW_SYN},
		{false, NO_TS, 100000, TW_NEW_SYN},
		{false, NO_TS, INT32_MAX, TW_NEW_SYN},
		{false, NO_TS, 0, TW_ACK},
		{false, NO_TS, -1, TW_ACK},
		{false, NO_TS, INT32_MIN + 1, TW_ACK},
	};

	for (size_t b = 0; b < ZF_ARRAY_SIZE(bases); b++) {
		base = bases[b];
		for (size_t i = 0; i < ZF_ARRAY_SIZE(row); i++) {
			uint32_t seq = RCV_NXT + (uint32_t)row[i].seq;

			CU_ASSERT_EQUAL(input_to(row[i].old_ts, SYN, seq, 0, 0, row[i].tsval), row[i].want);
			/* With ECN's flags and data (TFO) too. */
			CU_ASSERT_EQUAL(input_to(row[i].old_ts, SYN | TCP_FLAG_ECE | TCP_FLAG_CWR, seq, 9, 0,
						 row[i].tsval),
					row[i].want);
			/* Not a request for a connection. */
			CU_ASSERT_EQUAL(input_to(row[i].old_ts, SYN | ACK, seq, 0, SND_NXT, row[i].tsval), TW_ACK);
			CU_ASSERT_EQUAL(input_to(row[i].old_ts, SYN | FIN, seq, 0, SND_NXT, row[i].tsval), TW_ACK);
		}
	}
}

static void
the_next_connection_starts_above(void)
{
	struct rng r;

	rng_seed(&r, 9);
	for (int i = 0; i < 100000; i++) {
		struct tcp_tw e = {.snd_nxt = seq_of(rng_next32(&r))};
		tcpseq_t iss = seq_of(rng_next32(&r)), got = tw_iss(&e, iss);

		CU_ASSERT_TRUE(seq_gt(got, seq_add(e.snd_nxt, 65535)));
		CU_ASSERT_EQUAL(got.n, seq_gt(iss, seq_add(e.snd_nxt, 65538)) ? iss.n : e.snd_nxt.n + 65538);
	}
}

static void
keys_and_their_tags(void)
{
	const uint64_t secret[2] = {0x0123456789abcdef, 0xfedcba9876543210};
	struct rng r;

	rng_seed(&r, 10);
	for (int i = 0; i < 20000; i++) {
		struct tcp_key a = {{rng_next32(&r)}, {rng_next32(&r)}, {(uint16_t)rng_next32(&r)},
				    {(uint16_t)rng_next32(&r)}};
		struct tcp_key b = a;
		uint8_t *bytes = (uint8_t *)&b;

		CU_ASSERT_TRUE(tcp_key_eq(&a, &b));
		CU_ASSERT_EQUAL(tcp_key_tag(secret, &a), tcp_key_tag(secret, &b));
		bytes[(unsigned)i % sizeof(b)] ^= (uint8_t)(1u << i % 8);
		CU_ASSERT_FALSE(tcp_key_eq(&a, &b));
		a.rip.raw = 0;
		a.rport.raw = 0;
		CU_ASSERT_EQUAL(tcp_key_tag(secret, &a), tcp_key_tag_local(secret, a.lip, a.lport));
	}
}

static const struct unit_test tests[] = {
	UNIT(the_table_does_what_a_list_does),
	UNIT(a_table_without_entries),
	UNIT(an_endless_life_does_not_wrap),
	UNIT(the_table_may_be_mapped_elsewhere),
	UNIT(resets_are_ignored),
	UNIT(the_peers_fin_restarts),
	UNIT(other_segments),
	UNIT(a_closed_window_takes_only_its_edge),
	UNIT(a_syn_may_take_the_place),
	UNIT(the_next_connection_starts_above),
	UNIT(keys_and_their_tags),
};

UNIT_MAIN("tcp_tw", tests)
