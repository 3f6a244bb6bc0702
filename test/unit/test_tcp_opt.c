/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The option parser beside the end of readable memory: every malformed option, random bytes against a second parser
 * written for the purpose, and all that the writers can write.
 */
#include "unit.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "tcp/opt.h"

#define ALL_SYN (TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK | TCP_OPT_TS | TCP_OPT_SACK)

/* Parses a copy that ends where memory ends, and one of exactly its size on the heap, for the sanitizers. */
static bool
parse_at_edge(const uint8_t *p, uint32_t len, bool syn, struct tcp_opts *o)
{
	static uint8_t *edge;
	struct tcp_opts again;
	uint8_t *heap = malloc(len > 0 ? len : 1);
	bool ok;

	if (edge == NULL) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);

		edge = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CU_ASSERT_FATAL(edge != MAP_FAILED && mprotect(edge + page, page, PROT_NONE) == 0);
		edge += page;
	}
	CU_ASSERT_FATAL(heap != NULL);
	memcpy(edge - len, p, len);
	memcpy(heap, p, len);
	memset(o, 0x5a, sizeof(*o));
	memset(&again, 0xa5, sizeof(again));
	ok = tcp_opts_parse(edge - len, len, syn, o);
	CU_ASSERT_EQUAL(tcp_opts_parse(heap, len, syn, &again), ok);
	/* All of it is written, the holes too. */
	CU_ASSERT(memcmp(o, &again, sizeof(again)) == 0);
	free(heap);
	return ok;
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void
syn_row(const uint8_t *want, uint32_t len, bool sack, bool ts, int wscale)
{
	uint8_t got[TCP_OPTS_MAX + 1];

	memset(got, 0x5a, sizeof(got));
	CU_ASSERT_EQUAL(tcp_opts_put_syn(got, 1460, sack, ts, 0x11223344, 0x55667788, wscale), len);
	CU_ASSERT(memcmp(got, want, len) == 0);
	CU_ASSERT_EQUAL(got[len], 0x5a);
	CU_ASSERT(len <= TCP_OPTS_SYN_MAX && len % 4 == 0);
}

#define MSS1460 2, 4, 0x05, 0xb4
#define TS_BODY 8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88

static void
syn_is_written_as_linux_does(void)
{
	syn_row(BYTES(MSS1460, 4, 2, TS_BODY, 1, 3, 3, 7), true, true, 7);
	syn_row(BYTES(MSS1460, 4, 2, TS_BODY), true, true, -1);
	syn_row(BYTES(MSS1460, 1, 1, TS_BODY, 1, 3, 3, 0), false, true, 0);
	syn_row(BYTES(MSS1460, 1, 1, TS_BODY), false, true, -1);
	syn_row(BYTES(MSS1460, 1, 1, 4, 2, 1, 3, 3, 14), true, false, 14);
	syn_row(BYTES(MSS1460, 1, 1, 4, 2), true, false, -1);
	syn_row(BYTES(MSS1460, 1, 3, 3, 14), false, false, 15);
	syn_row(BYTES(MSS1460), false, false, -5);
}

static void
data_rows_are_written(void)
{
	static const uint8_t ts[] = {1, 1, TS_BODY};
	static const uint8_t sack[] = {1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 1, 0, 0xff, 0, 0, 0, 0, 0, 0, 1};
	struct tcp_sack_block b[6] = {{{9}, {256}}, {{0xff000000}, {1}}};
	uint8_t got[64];

	CU_ASSERT_EQUAL(tcp_opts_put_ts(got, 0x11223344, 0x55667788), TCP_OPTS_TS_LEN);
	CU_ASSERT(memcmp(got, ts, sizeof(ts)) == 0);
	memset(got, 0x5a, sizeof(got));
	CU_ASSERT_EQUAL(tcp_opts_put_sack(got, b, 0), 0);
	CU_ASSERT_EQUAL(got[0], 0x5a);
	CU_ASSERT_EQUAL(tcp_opts_put_sack(got, b, 2), sizeof(sack));
	CU_ASSERT(memcmp(got, sack, sizeof(sack)) == 0);
	CU_ASSERT_EQUAL(got[sizeof(sack)], 0x5a);
	CU_ASSERT_EQUAL(tcp_opts_put_sack(got, b, 4), 36);
	memset(got, 0x5a, sizeof(got));
	CU_ASSERT_EQUAL(tcp_opts_put_sack(got, b, 6), 36);
	CU_ASSERT(got[3] == 34 && got[36] == 0x5a);
}

static void
what_was_written_is_read(void)
{
	struct rng r;
	uint8_t buf[64];
	struct tcp_opts o;

	rng_seed(&r, 1);
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = rng_next64(&r);
		bool sack_ok = bits & 1, ts = bits & 2;
		uint16_t mss = (uint16_t)(bits >> 8);
		int wscale = (int)(bits >> 24 & 31) - 8;
		uint32_t val = (uint32_t)rng_next64(&r), ecr = (uint32_t)rng_next64(&r);
		uint32_t n = (uint32_t)(bits >> 32) % 4, len, v = 0, c = 0;
		struct tcp_sack_block b[4];

		len = tcp_opts_put_syn(buf, mss, sack_ok, ts, val, ecr, wscale);
		CU_ASSERT(parse_at_edge(buf, len, true, &o));
		CU_ASSERT_EQUAL(o.have, TCP_OPT_MSS | (sack_ok ? TCP_OPT_SACK_OK : 0) | (ts ? TCP_OPT_TS : 0) |
						(wscale >= 0 ? TCP_OPT_WSCALE : 0));
		CU_ASSERT(o.mss == mss && o.wscale == (wscale < 0 ? 0 : wscale > 14 ? 14 : wscale));
		CU_ASSERT(o.ts_val == (ts ? val : 0) && o.ts_ecr == (ts ? ecr : 0));

		for (uint32_t k = 0; k < 4; k++)
			b[k] = (struct tcp_sack_block){{(uint32_t)rng_next64(&r)}, {(uint32_t)rng_next64(&r)}};
		len = tcp_opts_put_ts(buf, val, ecr);
		len += tcp_opts_put_sack(buf + len, b, n);
		CU_ASSERT(len <= TCP_OPTS_MAX && parse_at_edge(buf, len, false, &o));
		CU_ASSERT(o.have == (TCP_OPT_TS | (n > 0 ? TCP_OPT_SACK : 0)) && o.n_sack == n);
		CU_ASSERT(o.ts_val == val && o.ts_ecr == ecr && memcmp(o.sack, b, n * sizeof(b[0])) == 0);
		CU_ASSERT_EQUAL(tcp_opts_is_plain_ts(buf, len, &v, &c), n == 0);
		CU_ASSERT(n > 0 || (v == val && c == ecr));
	}
}

static void
plain_timestamps_are_nothing_else(void)
{
	uint8_t row[13];
	struct tcp_opts o;
	uint32_t val = 0, ecr = 0;

	for (uint32_t i = 0; i < 12; i++) {
		bool head = i < 4;

		tcp_opts_put_ts(row, 5, 6);
		row[i] ^= 1;
		CU_ASSERT_EQUAL(tcp_opts_is_plain_ts(row, 12, &val, &ecr), !head);
		CU_ASSERT(head || (parse_at_edge(row, 12, false, &o) && o.ts_val == val && o.ts_ecr == ecr));
	}
	tcp_opts_put_ts(row, 5, 6);
	for (uint32_t len = 0; len <= 13; len++)
		CU_ASSERT_EQUAL(tcp_opts_is_plain_ts(row, len, &val, &ecr), len == 12);
}

/* hostile-inputs.md rows 7, 8 and 12, and what surrounds them. */
static void
malformed_options_end_or_are_skipped(void)
{
	static const struct {
		const char *name;
		uint8_t p[40];
		uint8_t len;
		bool ok;
		uint8_t have;
	} rows[] = {
		{"nothing at all", {0}, 0, true, 0},
		{"end, then rubbish", {0, 2, 4, 5, 5}, 5, true, 0},
		{"NOPs", {1, 1, 1, 1, 1, 1, 1}, 7, true, 0},
		{"kind without a length", {2}, 1, false, 0},
		{"unknown kind without a length", {254}, 1, false, 0},
		{"NOP, then a kind without a length", {1, 8}, 2, false, 0},
		{"unknown kind, length 0", {254, 0}, 2, false, 0},
		{"unknown kind, length 1", {254, 1, 2, 4, 5, 5}, 6, false, 0},
		{"MSS, length 0", {2, 0, 5, 0xb4}, 4, false, 0},
		{"MSS, length 1", {2, 1, 5, 0xb4}, 4, false, 0},
		{"MSS, length 3, then window scale", {2, 3, 5, 3, 3, 7}, 6, true, TCP_OPT_WSCALE},
		{"MSS, length 2", {2, 2, 1, 1}, 4, true, 0},
		{"MSS, length 5", {2, 5, 1, 1, 1}, 5, true, 0},
		{"MSS cut off", {2, 4, 5}, 3, false, 0},
		{"MSS, length 255", {2, 255, 5, 0xb4}, 4, false, 0},
		{"window scale, length 2", {3, 2, 1, 1}, 4, true, 0},
		{"window scale, length 4", {3, 4, 7, 7}, 4, true, 0},
		{"window scale, length 0", {3, 0, 7}, 3, false, 0},
		{"window scale cut off", {3, 3}, 2, false, 0},
		{"SACK permitted, length 3", {4, 3, 1, 2, 4, 5, 5}, 7, true, TCP_OPT_MSS},
		{"SACK permitted, length 0", {4, 0}, 2, false, 0},
		{"timestamps, length 9", {8, 9, 1, 2, 3, 4, 5, 6, 7, 4, 2}, 11, true, TCP_OPT_SACK_OK},
		{"timestamps, length 11", {8, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0}, 12, true, 0},
		{"timestamps, length 0", {1, 1, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 12, false, 0},
		{"timestamps cut off", {8, 10, 1, 2, 3, 4, 5, 6, 7}, 9, false, 0},
		{"SACK, length 2", {5, 2, 4, 2}, 4, true, TCP_OPT_SACK_OK},
		{"SACK, length 9", {5, 9, 1, 2, 3, 4, 5, 6, 7, 4, 2}, 11, true, TCP_OPT_SACK_OK},
		{"SACK, length 11", {5, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4, 2}, 13, true, TCP_OPT_SACK_OK},
		{"SACK, length 0", {5, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 10, false, 0},
		{"SACK cut off", {5, 18, 1, 2, 3, 4, 5, 6, 7, 8}, 10, false, 0},
		{"found before the fault", {2, 4, 5, 0xb4, 3, 3, 7, 4, 2, 8, 1}, 11, false,
		 TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK},
		{"nothing behind the fault", {254, 0, 2, 4, 5, 0xb4}, 6, false, 0},
		{"unknown kinds are skipped", {254, 4, 2, 4, 30, 2, 3, 3, 7, 255, 5, 0, 0, 0}, 14, true, TCP_OPT_WSCALE},
	};
	struct tcp_opts o;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(rows); i++) {
		bool ok = parse_at_edge(rows[i].p, rows[i].len, true, &o);

		if (ok != rows[i].ok || o.have != rows[i].have)
			printf("  %s: %d, have %#x\n", rows[i].name, ok, o.have);
		CU_ASSERT(ok == rows[i].ok && o.have == rows[i].have);
	}
}

static void
extreme_values_are_kept(void)
{
	static const uint16_t mss[] = {0, 1, 7, 8, 47, 48, 65535};
	struct tcp_opts o;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(mss); i++) {
		uint8_t p[20];

		tcp_opts_put_syn(p, mss[i], true, true, 1, 2, 3);
		CU_ASSERT(parse_at_edge(p, 20, true, &o) && o.mss == mss[i] && (o.have & TCP_OPT_MSS));
	}
	for (uint32_t i = 0; i < 256; i++) {
		CU_ASSERT(parse_at_edge(BYTES(3, 3, (uint8_t)i), true, &o));
		CU_ASSERT(o.have == TCP_OPT_WSCALE && o.wscale == ZF_MIN(i, 14u));
	}
}

static void
handshake_options_count_in_a_syn_only(void)
{
	struct tcp_opts o;
	uint8_t p[20];

	tcp_opts_put_syn(p, 1460, true, true, 5, 6, 7);
	CU_ASSERT(parse_at_edge(p, 20, false, &o));
	CU_ASSERT(o.have == TCP_OPT_TS && o.mss == 0 && o.wscale == 0 && o.ts_val == 5 && o.ts_ecr == 6);
}

static void
first_of_two_counts(void)
{
	struct tcp_opts o;

	CU_ASSERT(parse_at_edge(BYTES(3, 3, 2, 3, 3, 9, 2, 4, 1, 0, 2, 4, 2, 0), true, &o));
	CU_ASSERT(o.wscale == 2 && o.mss == 256);
	CU_ASSERT(parse_at_edge(BYTES(8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4), false, &o));
	CU_ASSERT(o.ts_val == 1 && o.ts_ecr == 2);
	CU_ASSERT(parse_at_edge(BYTES(5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 18, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0,
				      0, 6),
				false, &o));
	CU_ASSERT(o.n_sack == 1 && o.sack[0].left.n == 1 && o.sack[0].right.n == 2);
	/* One that was skipped is not the first. */
	CU_ASSERT(parse_at_edge(BYTES(3, 2, 3, 3, 9), true, &o));
	CU_ASSERT(o.wscale == 9);
}

/* Written from RFC 9293 3.1 as a table of positions, not as a walk. */
static bool
second_opinion(const uint8_t *p, uint32_t len, bool syn, struct tcp_opts *o)
{
	static const uint8_t lens[9] = {0, 0, 4, 3, 2, 0, 0, 0, 10}, bits[9] = {0, 0, 1, 2, 4, 16, 0, 0, 8};
	uint32_t at = 0;

	memset(o, 0, sizeof(*o));
	for (; at < len && p[at] != 0; at += p[at] == 1 ? 1 : p[at + 1]) {
		uint32_t kind = p[at], n, bit;
		const uint8_t *v = p + at + 2;

		if (kind == 1)
			continue;
		if (at + 1 >= len || p[at + 1] < 2 || at + p[at + 1] > len)
			return false;
		n = p[at + 1];
		bit = kind < 9 ? bits[kind] : 0;
		if (bit == 0 || (o->have & bit) || (!syn && bit < 8) || (kind != 5 && n != lens[kind]) ||
		    (kind == 5 && n != 10 && n != 18 && n != 26 && n != 34))
			continue;
		o->have |= (uint8_t)bit;
		if (kind == 2)
			o->mss = (uint16_t)(v[0] * 256 + v[1]);
		else if (kind == 3)
			o->wscale = v[0] < 14 ? v[0] : 14;
		else if (kind == 5)
			for (uint32_t i = 0; i < (n - 2) / 4; i++) {
				tcpseq_t q = {(uint32_t)v[4 * i] << 24 | (uint32_t)v[4 * i + 1] << 16 |
					      (uint32_t)v[4 * i + 2] << 8 | v[4 * i + 3]};

				*(i % 2 ? &o->sack[i / 2].right : &o->sack[i / 2].left) = q;
				o->n_sack = (uint8_t)(i / 2 + 1);
			}
		else if (kind == 8)
			for (uint32_t i = 0; i < 4; i++) {
				o->ts_val = o->ts_val << 8 | v[i];
				o->ts_ecr = o->ts_ecr << 8 | v[4 + i];
			}
	}
	return true;
}

/* Random memory, half of it with bytes that look like options; lengths beyond what a header can hold, too. */
static void
random_memory_is_read_alike(void)
{
	static const uint8_t likely[] = {0, 1, 1, 2, 3, 4, 5, 8, 2, 3, 4, 10, 10, 18, 26, 34};
	uint32_t wrong = 0, parsed[2] = {0, 0};
	uint8_t seen = 0;
	struct rng r;

	rng_seed(&r, 2);
	for (int i = 0; i < 200000; i++) {
		uint64_t bits = rng_next64(&r);
		uint32_t len = (uint32_t)(bits & 15 ? bits >> 8 & 0xff : bits >> 8 & 0x3ff) % (bits & 15 ? 41 : 1024);
		struct tcp_opts a, b;
		uint8_t p[1024];
		bool ok;

		for (uint32_t k = 0; k < len; k++) {
			uint64_t v = rng_next64(&r);

			p[k] = (bits & 16) && (v & 0x300) ? likely[v & 15] : (uint8_t)v;
		}
		ok = parse_at_edge(p, len, bits & 32, &a);
		wrong += ok != second_opinion(p, len, bits & 32, &b) || memcmp(&a, &b, sizeof(a)) != 0;
		parsed[ok]++;
		seen |= a.have;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(parsed[0] > 1000 && parsed[1] > 1000 && seen == ALL_SYN);
}

static const struct unit_test tests[] = {
	UNIT(syn_is_written_as_linux_does),
	UNIT(data_rows_are_written),
	UNIT(what_was_written_is_read),
	UNIT(plain_timestamps_are_nothing_else),
	UNIT(malformed_options_end_or_are_skipped),
	UNIT(extreme_values_are_kept),
	UNIT(handshake_options_count_in_a_syn_only),
	UNIT(first_of_two_counts),
	UNIT(random_memory_is_read_alike),
};

UNIT_MAIN("tcp_opt", tests)
