/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reassembly against a naive model, and against everything that has broken other stacks. A handle
 * is a number here; each one must end exactly once.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/rng.h"
#include "ip/reass.h"
#include "ip/wire.h"

#define TIMEOUT 60000ull
#define HANDLES 400000

/* Where handle n has ended. */
enum fate {
	FATE_NONE, /* not given yet, or held */
	FATE_REFUSED,
	FATE_DONE,
	FATE_DROPPED,
};

static uint8_t fate[HANDLES];
static uint8_t drop_why[HANDLES];
static bool drop_first[HANDLES];
static uint32_t n_given;
static uint32_t n_ended;
static struct reass *ra;
static uint64_t now;

static void
end_handle(void *handle, enum fate how)
{
	uintptr_t n = (uintptr_t)handle;

	CU_ASSERT_FATAL(n < HANDLES);
	if (fate[n] != FATE_NONE)
		CU_FAIL("a handle ended twice");
	fate[n] = how;
	n_ended++;
}

static void
drop(void *arg, void *handle, enum reass_result why, bool is_first)
{
	CU_ASSERT_PTR_EQUAL_FATAL(arg, fate);
	end_handle(handle, FATE_DROPPED);
	drop_why[(uintptr_t)handle] = why;
	drop_first[(uintptr_t)handle] = is_first;
}

static void
setup(uint32_t dgrams, uint32_t frags, uint32_t bytes)
{
	static const uint64_t secret[2] = {77, 88};

	free(ra);
	ra = malloc(reass_bytes(dgrams, frags));
	CU_ASSERT_PTR_NOT_NULL_FATAL(ra);
	CU_ASSERT_PTR_EQUAL(reass_init(ra, dgrams, frags, bytes, TIMEOUT, secret, drop, fate), ra);
	memset(fate, 0, sizeof(fate));
	n_given = n_ended = 0;
	now = 1000;
}

/* Nothing held, nothing lost. */
static void
check_empty(void)
{
	CU_ASSERT_EQUAL(n_given, n_ended);
	CU_ASSERT_EQUAL(reass_held_frags(ra), 0);
	CU_ASSERT_EQUAL(reass_held_bytes(ra), 0);
	CU_ASSERT_EQUAL(reass_held_datagrams(ra), 0);
	CU_ASSERT_EQUAL(reass_next_due(ra), UINT64_MAX);
}

static struct reass_datagram out;

static enum reass_result
give(uint32_t src, uint16_t id, uint8_t proto, uint32_t offset, uint32_t len, bool more,
     uint16_t hdr_len)
{
	struct reass_frag f = {
		.src = be32_from(src),
		.dst = IP4_C(10, 0, 0, 1),
		.id = be16_from(id),
		.proto = proto,
		.more = more,
		.hdr_len = hdr_len,
		.offset = (uint16_t)offset,
		.len = (uint16_t)len,
		.handle = (void *)(uintptr_t)n_given,
	};
	enum reass_result r;

	CU_ASSERT_FATAL(n_given < HANDLES);
	n_given++;
	r = reass_input(ra, &f, now, &out);
	if (r == REASS_DONE) {
		for (uint32_t i = 0; i < out.n; i++)
			end_handle(out.frag[i], FATE_DONE);
	} else if (r != REASS_HELD) {
		end_handle(f.handle, FATE_REFUSED);
	}
	return r;
}

static enum reass_result
udp(uint32_t offset, uint32_t len, bool more)
{
	return give(0x0a000002, 1, IP_PROTO_UDP, offset, len, more, 20);
}

static void
in_order_and_reversed(void)
{
	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(udp(0, 1480, true), REASS_HELD);
	CU_ASSERT_EQUAL(udp(1480, 1480, true), REASS_HELD);
	CU_ASSERT_EQUAL(udp(2960, 41, false), REASS_DONE);
	CU_ASSERT_EQUAL(out.n, 3);
	CU_ASSERT_EQUAL(out.len, 3001);
	for (uintptr_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(out.frag[i], (void *)i);
	check_empty();

	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(udp(2960, 41, false), REASS_HELD);
	CU_ASSERT_EQUAL(udp(1480, 1480, true), REASS_HELD);
	CU_ASSERT_EQUAL(udp(0, 1480, true), REASS_DONE);
	for (uintptr_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(out.frag[i], (void *)(2 - i));
	check_empty();
}

static void
keys_are_kept_apart(void)
{
	setup(8, 64, 100000);
	CU_ASSERT_EQUAL(give(1 << 24, 1, IP_PROTO_UDP, 0, 64, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(2 << 24, 1, IP_PROTO_UDP, 64, 64, false, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1 << 24, 2, IP_PROTO_UDP, 64, 64, false, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1 << 24, 1, IP_PROTO_ICMP, 64, 64, false, 20), REASS_HELD);
	CU_ASSERT_EQUAL(reass_held_datagrams(ra), 4);
	CU_ASSERT_EQUAL(give(1 << 24, 1, IP_PROTO_UDP, 64, 64, false, 20), REASS_DONE);
	CU_ASSERT_EQUAL(out.n, 2);
	CU_ASSERT_EQUAL(reass_held_datagrams(ra), 3);
	reass_flush(ra);
	check_empty();
}

static void
impossible_fragments(void)
{
	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(udp(0, 0, true), REASS_BAD);
	CU_ASSERT_EQUAL(udp(64, 0, false), REASS_BAD);
	CU_ASSERT_EQUAL(udp(0, 63, true), REASS_BAD);
	CU_ASSERT_EQUAL(udp(3, 64, true), REASS_BAD);
	CU_ASSERT_EQUAL(udp(0, 64, false), REASS_BAD);
	CU_ASSERT_EQUAL(udp(65528, 8, false), REASS_BAD);
	CU_ASSERT_EQUAL(udp(65528, 1480, false), REASS_BAD);
	CU_ASSERT_EQUAL(udp(65512, 4, false), REASS_BAD);
	/* Too short a start to hold the L4 header, and a piece that begins within it. */
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_TCP, 0, 16, true, 20), REASS_BAD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_TCP, 8, 64, true, 20), REASS_BAD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_TCP, 16, 64, false, 20), REASS_BAD);
	check_empty();
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_TCP, 0, 24, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_TCP, 24, 1, false, 20), REASS_DONE);
	check_empty();
}

static void
largest_datagram(void)
{
	uint32_t at = 0;

	setup(4, 64, 100000);
	for (; at + 1480 < 65515; at += 1480)
		CU_ASSERT_EQUAL(udp(at, 1480, true), REASS_HELD);
	CU_ASSERT_EQUAL(udp(at, 65515 - at, false), REASS_DONE);
	CU_ASSERT_EQUAL(out.len, 65515);
	check_empty();

	/* With options in the first header only, the repaired length would not fit 16 bits. */
	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 0, 1024, true, 60), REASS_HELD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64512, 1000, false, 20), REASS_BAD);
	check_empty();
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64512, 1000, false, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 0, 1024, true, 60), REASS_BAD);
	check_empty();
}

static void
duplicates_are_ignored(void)
{
	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(udp(0, 64, true), REASS_HELD);
	CU_ASSERT_EQUAL(udp(0, 64, true), REASS_DUP);
	CU_ASSERT_EQUAL(udp(128, 64, false), REASS_HELD);
	CU_ASSERT_EQUAL(udp(128, 64, false), REASS_DUP);
	CU_ASSERT_EQUAL(udp(0, 64, true), REASS_DUP);
	CU_ASSERT_EQUAL(reass_held_frags(ra), 2);
	CU_ASSERT_EQUAL(udp(64, 64, true), REASS_DONE);
	CU_ASSERT_EQUAL(out.n, 3);
	check_empty();
}

static void
overlap_discards_the_datagram(void)
{
	static const struct {
		uint32_t offset, len;
		bool more;
	} bad[] = {
		{0, 56, true},  {0, 72, true},    {8, 8, true},   {56, 16, true},  {120, 16, true},
		{184, 8, true}, {128, 64, false}, {0, 256, true}, {64, 128, true}, {200, 8, false},
		{192, 8, true}, {256, 8, true},   {64, 8, false}, {0, 64, false},  {120, 80, false},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		enum reass_result r;

		setup(4, 64, 100000);
		/* 0..64 and 128..192 are held, 192 begins the last 8. */
		CU_ASSERT_EQUAL(udp(0, 64, true), REASS_HELD);
		CU_ASSERT_EQUAL(udp(128, 64, true), REASS_HELD);
		CU_ASSERT_EQUAL(udp(192, 8, false), REASS_HELD);
		r = udp(bad[i].offset, bad[i].len, bad[i].more);
		if (bad[i].offset == 0 && !bad[i].more) {
			CU_ASSERT_EQUAL(
				r,
				REASS_BAD); /* no fragment at all, and no reason to discard one */
			reass_flush(ra);
		} else {
			CU_ASSERT_EQUAL(r, REASS_OVERLAP);
			CU_ASSERT_EQUAL(drop_why[0], REASS_OVERLAP);
		}
		check_empty();
	}
}

static void
timeout_names_the_first_fragment(void)
{
	setup(4, 64, 100000);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64, 64, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 0, 64, true, 20), REASS_HELD);
	now += 10;
	CU_ASSERT_EQUAL(give(2, 1, IP_PROTO_UDP, 64, 64, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(reass_next_due(ra), 1000 + TIMEOUT);
	CU_ASSERT_EQUAL(reass_run(ra, 1000 + TIMEOUT - 1), 1000 + TIMEOUT);
	CU_ASSERT_EQUAL(n_ended, 0);
	CU_ASSERT_EQUAL(reass_run(ra, 1000 + TIMEOUT), 1010 + TIMEOUT);
	CU_ASSERT_EQUAL(n_ended, 2);
	CU_ASSERT(drop_first[1] && !drop_first[0]);
	CU_ASSERT(drop_why[0] == REASS_TIMEOUT && drop_why[1] == REASS_TIMEOUT);
	/* A late fragment does not join what has timed out, even if nobody ran the clock. */
	now = 1010 + TIMEOUT;
	CU_ASSERT_EQUAL(give(2, 1, IP_PROTO_UDP, 0, 64, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(drop_why[2], REASS_TIMEOUT);
	CU_ASSERT_FALSE(drop_first[2]);
	CU_ASSERT_EQUAL(reass_held_frags(ra), 1);
	reass_flush(ra);
	CU_ASSERT_EQUAL(drop_why[3], REASS_FLUSHED);
	check_empty();
}

static void
oldest_makes_room(void)
{
	setup(4, 6, 100000);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(give(i, 1, IP_PROTO_UDP, 0, 64, true, 20), REASS_HELD);
	CU_ASSERT(fate[0] == FATE_DROPPED && drop_why[0] == REASS_LIMIT);
	CU_ASSERT_EQUAL(reass_held_datagrams(ra), 4);
	/* Fragments run out next: the sixth and seventh of one datagram cost the others theirs. */
	for (uint32_t k = 1; k < 5; k++)
		CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64 * k, 64, true, 20), REASS_HELD);
	CU_ASSERT(fate[1] == FATE_NONE && fate[2] == FATE_DROPPED && fate[3] == FATE_DROPPED);
	/* One that fills everything alone is given up itself. */
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64 * 5, 64, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 64 * 6, 64, true, 20), REASS_LIMIT);
	check_empty();

	setup(4, 64, 200);
	CU_ASSERT_EQUAL(give(1, 1, IP_PROTO_UDP, 0, 128, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(give(2, 1, IP_PROTO_UDP, 0, 256, true, 20), REASS_LIMIT);
	CU_ASSERT_EQUAL(fate[0], FATE_NONE);
	CU_ASSERT_EQUAL(give(2, 1, IP_PROTO_UDP, 0, 128, true, 20), REASS_HELD);
	CU_ASSERT_EQUAL(fate[0], FATE_DROPPED);
	reass_flush(ra);
	check_empty();
}

/* FragmentSmack: a datagram cut into the smallest pieces, in the worst order. */
static void
tiny_pieces_are_bounded(void)
{
	setup(4, 4096, 1 << 20);
	for (uint32_t at = 65504; at >= 8; at -= 8) {
		(void)udp(at, 8, true);
		CU_ASSERT(reass_held_frags(ra) <= REASS_FRAGS_MAX);
	}
	reass_flush(ra);
	check_empty();
}

static void
many_sources_are_bounded(void)
{
	setup(64, 128, 1 << 20);
	for (uint32_t i = 0; i < 100000; i++) {
		(void)give(i * 2654435761u, (uint16_t)i, IP_PROTO_UDP, (i & 1) * 64, 64, true, 20);
		now++;
		if (reass_held_datagrams(ra) > 64 || reass_held_frags(ra) > 128)
			CU_FAIL("over the limit");
	}
	CU_ASSERT_EQUAL(reass_held_datagrams(ra), 64);
	now += 2 * TIMEOUT;
	while (reass_run(ra, now) <= now)
		continue;
	check_empty();
}

/* Real datagrams of many senders, cut and shuffled: all arrive whole. */
static void
shuffled_datagrams_arrive_whole(void)
{
	struct rng r;

	rng_seed(&r, 4);
	setup(32, 2048, 8 << 20);
	for (int round = 0; round < 200; round++) {
		struct {
			uint32_t src, offset, len;
			bool more;
		} f[16 * 64];
		uint32_t n = 0;
		uint32_t done = 0;
		uint32_t total[16];

		for (uint32_t s = 0; s < 16; s++) {
			uint32_t mtu = 8 * (uint32_t)(20 + rng_below(&r, 150));

			total[s] = mtu + 1 + (uint32_t)rng_below(&r, ZF_MIN(40 * mtu, 65515 - mtu));
			for (uint32_t at = 0; at < total[s]; at += mtu) {
				f[n].src = s;
				f[n].offset = at;
				f[n].len = ZF_MIN(mtu, total[s] - at);
				f[n].more = at + mtu < total[s];
				n++;
			}
		}
		for (uint32_t i = n; i > 1; i--) {
			uint32_t k = (uint32_t)rng_below(&r, i);
			__typeof__(f[0]) tmp = f[k];

			f[k] = f[i - 1];
			f[i - 1] = tmp;
		}
		for (uint32_t i = 0; i < n; i++) {
			uintptr_t base = n_given - i;
			uint32_t at = 0;

			if (give(f[i].src, (uint16_t)round, IP_PROTO_UDP, f[i].offset, f[i].len,
				 f[i].more, 20) != REASS_DONE)
				continue;
			done++;
			if (out.len != total[f[i].src])
				CU_FAIL("length");
			for (uint32_t k = 0; k < out.n; k++) {
				uintptr_t h = (uintptr_t)out.frag[k] - base;

				if (h >= n || f[h].src != f[i].src || f[h].offset != at)
					CU_FAIL_FATAL("order");
				at += f[h].len;
			}
			if (at != out.len)
				CU_FAIL("gap");
		}
		CU_ASSERT_EQUAL(done, 16);
		if (n_given + ZF_ARRAY_SIZE(f) > HANDLES) {
			check_empty();
			setup(32, 2048, 8 << 20);
		}
	}
	check_empty();
}

/* The model: a byte map of one datagram. */
struct model {
	uint8_t owner[512]; /* 1 + index of the fragment that holds the byte */
	struct {
		uint32_t offset, len;
		bool more;
	} f[64];
	uint32_t n;
	uint32_t total;
	uint32_t max_end;
};

static enum reass_result
model_give(struct model *m, uint32_t offset, uint32_t len, bool more)
{
	uint32_t end = offset + len;
	uint32_t have = 0;

	if (len == 0 || (more && len % 8 != 0) || (offset == 0 && (!more || len < 8)))
		return REASS_BAD;
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->f[i].offset == offset && m->f[i].len == len && m->f[i].more == more)
			return REASS_DUP;
	}
	for (uint32_t i = offset; i < end; i++) {
		if (m->owner[i] != 0)
			goto overlap;
	}
	if (!more && (m->total != 0 || m->max_end > offset))
		goto overlap;
	if (more && m->total != 0 && end >= m->total)
		goto overlap;
	m->f[m->n].offset = offset;
	m->f[m->n].len = len;
	m->f[m->n].more = more;
	m->n++;
	memset(m->owner + offset, (int)m->n, len);
	m->max_end = ZF_MAX(m->max_end, end);
	if (!more)
		m->total = end;
	for (uint32_t i = 0; i < sizeof(m->owner); i++)
		have += m->owner[i] != 0;
	if (m->total == 0 || have != m->total)
		return REASS_HELD;
	memset(m, 0, sizeof(*m));
	return REASS_DONE;
overlap:
	memset(m, 0, sizeof(*m));
	return REASS_OVERLAP;
}

static void
random_fragments_match_the_model(void)
{
	static struct model model[4];
	uint32_t seen[REASS_FLUSHED + 1] = {0};
	struct rng r;

	rng_seed(&r, 12);
	memset(model, 0, sizeof(model));
	setup(8, 256, 1 << 20);
	for (int step = 0; step < 300000; step++) {
		uint32_t s = (uint32_t)rng_below(&r, 4);
		uint32_t offset = 8 * (uint32_t)rng_below(&r, 5 + s);
		uint32_t len = rng_below(&r, 8) == 0 ? (uint32_t)rng_below(&r, 64)
						     : 8u << rng_below(&r, 2);
		bool more = rng_below(&r, 4) != 0;
		uint32_t held = model[s].n;
		enum reass_result want = model_give(&model[s], offset, len, more);
		enum reass_result got = give(s, 7, IP_PROTO_UDP, offset, len, more, 20);

		if (got != want || (got == REASS_DONE && out.n != held + 1))
			CU_FAIL_FATAL("differs from the model");
		seen[got]++;
	}
	for (int i = REASS_HELD; i <= REASS_OVERLAP; i++)
		CU_ASSERT(seen[i] > 1000);
	reass_flush(ra);
	check_empty();
}

/* Everything at random with small limits: nothing leaks, no limit breaks. */
static void
random_with_small_limits(void)
{
	struct rng r;

	for (uint64_t seed = 0; seed < 20; seed++) {
		uint32_t dgrams;
		uint32_t frags;
		uint32_t bytes;

		rng_seed(&r, seed);
		dgrams = 1 + (uint32_t)rng_below(&r, 6);
		frags = 1 + (uint32_t)rng_below(&r, 20);
		bytes = 64 + (uint32_t)rng_below(&r, 4000);
		setup(dgrams, frags, bytes);
		for (int step = 0; step < 15000; step++) {
			uint32_t src = (uint32_t)rng_below(&r, 9);
			uint16_t id = (uint16_t)rng_below(&r, 2);
			uint8_t proto = rng_below(&r, 2) ? IP_PROTO_UDP : IP_PROTO_TCP;
			uint32_t reach = rng_below(&r, 9) == 0 ? 8192 : 12;
			uint32_t offset = 8 * (uint32_t)rng_below(&r, reach);
			uint32_t len = 8 * (uint32_t)rng_below(&r, 6);
			bool more = rng_below(&r, 3) != 0;
			uint16_t hdr_len = (uint16_t)(20 + 4 * rng_below(&r, 11));

			(void)give(src, id, proto, offset, len + (rng_below(&r, 9) == 0), more,
				   hdr_len);
			now += rng_below(&r, 100);
			if (rng_below(&r, 10) == 0)
				(void)reass_run(ra, now);
			if (reass_held_datagrams(ra) > dgrams || reass_held_frags(ra) > frags ||
			    reass_held_bytes(ra) > bytes ||
			    n_given - n_ended != reass_held_frags(ra))
				CU_FAIL_FATAL("limit or leak");
		}
		reass_flush(ra);
		check_empty();
	}
	free(ra);
	ra = NULL;
}

static const struct unit_test tests[] = {
	UNIT(in_order_and_reversed),
	UNIT(keys_are_kept_apart),
	UNIT(impossible_fragments),
	UNIT(largest_datagram),
	UNIT(duplicates_are_ignored),
	UNIT(overlap_discards_the_datagram),
	UNIT(timeout_names_the_first_fragment),
	UNIT(oldest_makes_room),
	UNIT(tiny_pieces_are_bounded),
	UNIT(many_sources_are_bounded),
	UNIT(shuffled_datagrams_arrive_whole),
	UNIT(random_fragments_match_the_model),
	UNIT(random_with_small_limits),
};

UNIT_MAIN("reass", tests)
