/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Out-of-order data against a byte map: the first arrival of each byte counts, buffers and records are all accounted
 * for, and no pattern of segments holds more of them than the limits say.
 */
#include "unit.h"

#include <stdlib.h>
#include <zf/zf.h>

#include "base/rng.h"
#include "tcp/ooo.h"

#define N_BUFS 2048u
#define OFF    54u
#define MAP    16384u

static const struct zf_log quiet;
static struct zf_pool *pool, *own;
static struct zf_ctx ctx;
static struct tcp_ooo_table *table;
static struct rng rng;

/* What one connection should hold: bytes by distance from base. */
static struct {
	uint32_t base;
	uint32_t nxt; /* rcv_nxt */
	bool have[MAP + 2];
	uint8_t val[MAP];
	uint32_t stamp[MAP + 2];
	uint32_t clock;
	uint32_t fin; /* UINT32_MAX: none */
	uint32_t head;
} mo;

static void
start(uint32_t n_ranges)
{
	struct arena dry;
	void *p;

	if (pool == NULL) {
		CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
		CU_ASSERT_EQUAL_FATAL(pool_create(N_BUFS, 0, -1, &quiet, &pool), 0);
		CU_ASSERT_EQUAL_FATAL(pool_adopt(pool, &own), 0);
	}
	free(table);
	arena_dry(&dry);
	CU_ASSERT_PTR_NULL(tcp_ooo_take(&dry, n_ranges));
	p = aligned_alloc(ZF_CACHE_LINE, zf_align_up(dry.bytes + dry.used, ZF_CACHE_LINE));
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memset(p, 0, zf_align_up(dry.bytes + dry.used, ZF_CACHE_LINE));
	struct arena a = {.base = p, .bytes = zf_align_up(dry.bytes + dry.used, ZF_CACHE_LINE), .fd = -1};
	table = tcp_ooo_take(&a, n_ranges);
	CU_ASSERT_PTR_EQUAL_FATAL(table, p);
	tcp_ooo_init(table);
	ctx = (struct zf_ctx){.pool = own, .rx_hold_max = N_BUFS};
}

static void
model_reset(uint32_t base)
{
	memset(&mo, 0, sizeof(mo));
	mo.base = base;
	mo.fin = UINT32_MAX;
	mo.head = TCP_OOO_NONE;
}

/* Everything is home. */
static void
check_home(void)
{
	CU_ASSERT_EQUAL(ctx.rx_held, 0);
	CU_ASSERT_EQUAL(pool_free_count(own), N_BUFS);
}

static struct rte_mbuf *
make(const uint8_t *bytes, uint32_t len)
{
	struct rte_mbuf *m = pkt_take(own);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pkt_reset(m, OFF + len);
	*pkt_meta(m) = (struct pkt_meta){.off = OFF, .len = (uint16_t)len};
	memcpy(rte_pktmbuf_mtod(m, uint8_t *) + OFF, bytes, len);
	return m;
}

static enum tcp_ooo_verdict
give(uint32_t at, const uint8_t *bytes, uint32_t len, bool fin, struct tcp_sack_block *dsack)
{
	struct rte_mbuf *m = make(bytes, len);
	enum tcp_ooo_verdict v =
		tcp_ooo_insert(&ctx, table, &mo.head, m, seq_of(mo.base + at), len, fin, dsack);

	if (v != OOO_QUEUED)
		pkt_put(own, m);
	tcp_ooo_check(table, mo.head, seq_of(mo.base + mo.nxt));
	return v;
}

/* @len bytes of the stream in which byte i is i. */
static enum tcp_ooo_verdict
put(uint32_t at, uint32_t len, bool fin)
{
	struct tcp_sack_block d;
	uint8_t b[2048];

	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)(at + i);
	return give(at, b, len, fin, &d);
}

/* Takes what follows rcv_nxt @nxt; it must be @len bytes of that stream. */
static void
take(uint32_t nxt, uint32_t len, uint32_t n_bufs, bool want_fin)
{
	struct rte_mbuf *first = NULL, *last = NULL;
	uint32_t bytes = 0, bufs = 0, seen = 0;
	bool fin = false;

	CU_ASSERT_TRUE_FATAL(tcp_ooo_take_next(&ctx, table, &mo.head, seq_of(mo.base + nxt), &first, &last, &bytes,
					       &bufs, &fin));
	CU_ASSERT_EQUAL(bytes, len);
	CU_ASSERT_EQUAL(bufs, n_bufs);
	CU_ASSERT_EQUAL(fin, want_fin);
	while (first != NULL) {
		struct rte_mbuf *next = pkt_meta(first)->next;
		const uint8_t *p = rte_pktmbuf_mtod(first, uint8_t *) + pkt_meta(first)->off;

		CU_ASSERT(next != NULL || first == last);
		for (uint32_t i = 0; i < pkt_meta(first)->len; i++, seen++)
			if (p[i] != (uint8_t)(nxt + seen))
				CU_FAIL_FATAL("wrong byte");
		ctx.rx_held--;
		pkt_put(own, first);
		first = next;
	}
	CU_ASSERT_EQUAL(seen, bytes);
	mo.nxt = nxt + bytes + fin;
	tcp_ooo_check(table, mo.head, seq_of(mo.base + mo.nxt));
}

/* ---- single cases ---- */

static void
fills_gaps(void)
{
	start(64);
	model_reset(0xffffff00u); /* 256 before the wrap */
	CU_ASSERT_EQUAL(put(1100, 1000, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(3100, 1000, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), 2);
	CU_ASSERT_EQUAL(put(2100, 1000, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), 1);
	CU_ASSERT_EQUAL(tcp_ooo_bufs(table, mo.head), 3);
	CU_ASSERT_EQUAL(put(100, 1500, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(tcp_ooo_bufs(table, mo.head), 4);
	CU_ASSERT_EQUAL(ctx.rx_held, 4);
	/* In order up to the middle of the first buffer; and a range wholly below is nobody's. */
	take(700, 3400, 4, false);
	CU_ASSERT_EQUAL(mo.head, TCP_OOO_NONE);
	CU_ASSERT_EQUAL(tcp_ooo_free(table), 64);
	check_home();
}

static void
spans_keep_what_came_first(void)
{
	struct tcp_sack_block d;
	uint8_t wrong[2048];

	memset(wrong, 0xee, sizeof(wrong));
	start(64);
	model_reset(5);
	CU_ASSERT_EQUAL(put(1000, 100, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(1200, 100, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(1400, 100, false), OOO_QUEUED);
	/* [1050, 1450): cut at both ends, closes two gaps; what was here stays. Only the gaps are taken from it. */
	CU_ASSERT_EQUAL(give(1050, wrong, 0, false, &d), OOO_DUP);
	CU_ASSERT(seq_eq(d.left, d.right));
	CU_ASSERT_EQUAL(give(1050, wrong, 50, false, &d), OOO_DUP);
	CU_ASSERT(d.left.n == mo.base + 1050 && d.right.n == mo.base + 1100);
	for (uint32_t i = 0; i < 50 + 100; i++)
		wrong[50 + i] = (uint8_t)(1100 + i);
	for (uint32_t i = 300 - 50; i < 350; i++)
		wrong[i] = (uint8_t)(1050 + i);
	CU_ASSERT_EQUAL(give(1050, wrong, 400, false, &d), OOO_QUEUED);
	CU_ASSERT(d.left.n == mo.base + 1050 && d.right.n == mo.base + 1100);
	CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), 1);
	take(1000, 500, 3, false);
	check_home();
}

static void
fin_takes_a_number(void)
{
	struct tcp_sack_block d, b[4];
	uint8_t x[300] = {0};

	start(64);
	model_reset(0xfffffff0u);
	/* Alone: no buffer. */
	CU_ASSERT_EQUAL(put(500, 0, true), OOO_MERGED);
	CU_ASSERT_EQUAL(tcp_ooo_blocks(table, mo.head, b, 4), 1);
	CU_ASSERT(b[0].left.n == mo.base + 500 && b[0].right.n == mo.base + 501);
	CU_ASSERT_EQUAL(give(500, x, 0, true, &d), OOO_DUP);
	CU_ASSERT(d.left.n == mo.base + 500 && d.right.n == mo.base + 501);
	/* Bytes at and behind it are lies, so is another FIN. */
	CU_ASSERT_EQUAL(give(500, x, 10, false, &d), OOO_DUP);
	CU_ASSERT(seq_eq(d.left, d.right));
	CU_ASSERT_EQUAL(give(501, x, 10, true, &d), OOO_DUP);
	CU_ASSERT_EQUAL(put(400, 200, true), OOO_QUEUED);
	CU_ASSERT_EQUAL(tcp_ooo_blocks(table, mo.head, b, 4), 1);
	CU_ASSERT(b[0].left.n == mo.base + 400 && b[0].right.n == mo.base + 501);
	CU_ASSERT_EQUAL(put(300, 50, true), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(350, 50, false), OOO_MERGED);
	/* All of its bytes and its FIN again: one duplicate part with the FIN. */
	CU_ASSERT_EQUAL(give(450, x, 50, true, &d), OOO_DUP);
	CU_ASSERT(d.left.n == mo.base + 450 && d.right.n == mo.base + 501);
	take(300, 200, 2, true);
	CU_ASSERT_EQUAL(mo.head, TCP_OOO_NONE);

	/* In front of data that is here: no FIN. Behind data that is here, with nothing new: one. */
	model_reset(7);
	CU_ASSERT_EQUAL(put(100, 10, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(50, 10, true), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(70, 0, true), OOO_DUP);
	CU_ASSERT_EQUAL(put(105, 5, true), OOO_MERGED);
	take(50, 10, 1, false);
	take(105, 5, 1, true);

	/* All data came in order, then only the FIN is left of the range. */
	model_reset(9);
	CU_ASSERT_EQUAL(put(10, 10, true), OOO_QUEUED);
	take(20, 0, 0, true);
	model_reset(9);
	CU_ASSERT_EQUAL(put(10, 10, true), OOO_QUEUED);
	CU_ASSERT_FALSE(tcp_ooo_take_next(&ctx, table, &mo.head, seq_of(9 + 21), NULL, NULL, NULL, NULL, NULL));
	CU_ASSERT_EQUAL(mo.head, TCP_OOO_NONE);
	check_home();
}

static void
blocks_by_recency(void)
{
	struct tcp_sack_block b[4];

	start(64);
	model_reset(1);
	put(1000, 10, false); /* A */
	put(2000, 10, false); /* B */
	put(3000, 10, false); /* C */
	put(4000, 10, false); /* D */
	put(5000, 10, false); /* E */
	CU_ASSERT_EQUAL(tcp_ooo_blocks(table, mo.head, b, 3), 3);
	CU_ASSERT(b[0].left.n == 5001 && b[1].left.n == 4001 && b[2].left.n == 3001);
	put(1010, 10, false); /* A grows */
	put(2002, 3, false);  /* a duplicate in B */
	CU_ASSERT_EQUAL(tcp_ooo_blocks(table, mo.head, b, 4), 4);
	CU_ASSERT(b[0].left.n == 2001 && b[1].left.n == 1001 && b[1].right.n == 1021);
	CU_ASSERT(b[2].left.n == 5001 && b[3].left.n == 4001);
	CU_ASSERT_EQUAL(tcp_ooo_blocks(table, TCP_OOO_NONE, b, 4), 0);
	CU_ASSERT_EQUAL(tcp_ooo_drop(&ctx, table, &mo.head), 5);
	CU_ASSERT_EQUAL(mo.head, TCP_OOO_NONE);
	CU_ASSERT_EQUAL(tcp_ooo_free(table), 64);
	check_home();
}

/* ---- limits ---- */

/* Hostile-inputs row 11: single bytes, forwards, backwards, and every other one. */
static void
tiny_segments_share_buffers(void)
{
	uint32_t limited = 0;

	start(64);
	model_reset(0xfffff000u);
	for (uint32_t i = 0; i < 8000; i++)
		CU_ASSERT_NOT_EQUAL(put(100 + i, 1, false), OOO_LIMIT);
	CU_ASSERT(tcp_ooo_bufs(table, mo.head) <= 8000 / 1900 + 1);
	take(100, 8000, tcp_ooo_bufs(table, mo.head), false);

	model_reset(0xfffff000u);
	for (uint32_t i = 8000; i > 0; i--)
		CU_ASSERT_NOT_EQUAL(put(99 + i, 1, false), OOO_LIMIT);
	CU_ASSERT(tcp_ooo_bufs(table, mo.head) <= 8000 / 1800 + 1);
	take(100, 8000, tcp_ooo_bufs(table, mo.head), false);

	model_reset(0xfffff000u);
	for (uint32_t i = 0; i < 8000; i += 2)
		limited += put(100 + i, 1, false) == OOO_LIMIT;
	CU_ASSERT_EQUAL(limited, 4000 - TCP_OOO_RANGES);
	CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), TCP_OOO_RANGES);
	CU_ASSERT_EQUAL(ctx.rx_held, TCP_OOO_RANGES);
	/* What touches a range is still taken, and ranges become fewer by it. */
	CU_ASSERT_EQUAL(put(101, 1, false), OOO_MERGED);
	CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), TCP_OOO_RANGES - 1);
	/* A segment over all of it: one range, one buffer. */
	CU_ASSERT_EQUAL(put(99, 1000, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(tcp_ooo_bufs(table, mo.head), 1);
	take(99, 1000, 1, false);
	check_home();
}

static void
limits_hold(void)
{
	start(TCP_OOO_RANGES + 1);
	model_reset(0);
	/* Buffers of one connection: large segments that cannot share. */
	for (uint32_t i = 0; i < TCP_OOO_BUFS; i++)
		CU_ASSERT_EQUAL(put(100000 + i * 1400, 1400, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(100000 + TCP_OOO_BUFS * 1400, 1400, false), OOO_LIMIT);
	CU_ASSERT_EQUAL(put(10, 1400, false), OOO_LIMIT);
	CU_ASSERT_EQUAL(put(100000 + TCP_OOO_BUFS * 1400, 0, true), OOO_MERGED);
	take(100000, TCP_OOO_BUFS * 1400, TCP_OOO_BUFS, true);

	/* Records of the stack: a second connection finds only one left. */
	model_reset(0);
	for (uint32_t i = 0; i < TCP_OOO_RANGES; i++)
		CU_ASSERT_EQUAL(put(100 + 4 * i, 1, false), OOO_QUEUED);
	uint32_t other = mo.head;
	mo.head = TCP_OOO_NONE;
	CU_ASSERT_EQUAL(put(100, 1, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(200, 1, false), OOO_LIMIT);
	CU_ASSERT_EQUAL(put(200, 0, true), OOO_LIMIT);
	CU_ASSERT_EQUAL(put(101, 10, false), OOO_MERGED);
	CU_ASSERT_EQUAL(tcp_ooo_drop(&ctx, table, &mo.head), 1);
	CU_ASSERT_EQUAL(tcp_ooo_drop(&ctx, table, &other), TCP_OOO_RANGES);

	/* The stack's hold budget: the last quarter is for others. */
	ctx.rx_hold_max = 8;
	ctx.rx_held = 5;
	CU_ASSERT_EQUAL(put(1000, 1000, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(4000, 1000, false), OOO_LIMIT);
	CU_ASSERT_EQUAL(put(2000, 100, false), OOO_MERGED);
	CU_ASSERT_EQUAL(put(900, 1300, false), OOO_QUEUED); /* instead of the one it covers */
	CU_ASSERT_EQUAL(ctx.rx_held, 6);
	CU_ASSERT_EQUAL(tcp_ooo_drop(&ctx, table, &mo.head), 1);
	ctx.rx_held = 0;
	check_home();
}

/* Others may be reading it: its room is not ours. */
static void
shared_buffers_are_not_written(void)
{
	struct tcp_sack_block d;
	struct rte_mbuf *m;
	uint8_t b[16], *p;

	start(64);
	model_reset(0);
	for (uint32_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(100 + i);
	m = make(b, sizeof(b));
	p = rte_pktmbuf_mtod(m, uint8_t *) + OFF;
	p[-1] = p[sizeof(b)] = 0x5a;
	rte_mbuf_refcnt_update(m, 1);
	CU_ASSERT_EQUAL(tcp_ooo_insert(&ctx, table, &mo.head, m, seq_of(100), sizeof(b), false, &d), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(116, 1, false), OOO_QUEUED);
	CU_ASSERT_EQUAL(put(99, 1, false), OOO_QUEUED);
	CU_ASSERT(p[-1] == 0x5a && p[sizeof(b)] == 0x5a);
	/* The first one moved into the buffer before it, which is ours. */
	take(99, 18, 2, false);
	pkt_put(own, m);
	check_home();
}

/* ---- random ---- */

static bool
at(uint32_t i)
{
	return i < MAP + 1 && mo.have[i];
}

/* The run of held numbers around @i gets a new stamp. */
static void
touch(uint32_t i)
{
	uint32_t lo = i, hi = i;

	while (lo > 0 && at(lo - 1))
		lo--;
	while (at(hi + 1))
		hi++;
	mo.clock++;
	for (uint32_t k = lo; k <= hi; k++)
		mo.stamp[k] = mo.clock;
}

static uint32_t
model_last(void)
{
	for (uint32_t i = MAP + 1; i > mo.nxt; i--)
		if (mo.have[i])
			return i;
	return 0;
}

static void
check_blocks(void)
{
	struct tcp_sack_block got[TCP_OOO_RANGES + 1];
	uint32_t n = tcp_ooo_blocks(table, mo.head, got, TCP_OOO_RANGES + 1), want = 0;
	uint32_t before = UINT32_MAX;

	for (uint32_t i = mo.nxt; i < MAP + 1; i++)
		want += at(i) && !at(i - 1);
	CU_ASSERT_EQUAL_FATAL(n, want);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t l = got[k].left.n - mo.base, r = got[k].right.n - mo.base;

		CU_ASSERT_FATAL(l < r && r <= MAP + 1);
		CU_ASSERT_FATAL(at(l) && !at(l - 1) && at(r - 1) && !at(r));
		CU_ASSERT_FATAL(mo.stamp[l] < before);
		before = mo.stamp[l];
	}
}

/* The first part of [s, e) that is held; e excludes a FIN. */
static void
model_dsack(uint32_t s, uint32_t e, bool dup_fin, uint32_t *l, uint32_t *r)
{
	*l = *r = s;
	while (*l < e && !at(*l))
		++*l;
	if (*l >= e) {
		*l = *r = dup_fin && s == e ? e : s;
		*r += dup_fin && s == e;
		return;
	}
	for (*r = *l; *r < e && at(*r);)
		++*r;
	*r += dup_fin && *r == e;
}

static void
random_insert(uint32_t n_lens)
{
	static const uint32_t lens[] = {1, 1, 2, 7, 60, 536, 1448};
	uint32_t k = (uint32_t)rng_below(&rng, n_lens);
	uint32_t len = (uint32_t)rng_below(&rng, lens[k] + 1), spread = 200u << rng_below(&rng, 7);
	uint32_t s = mo.nxt + 1 + (uint32_t)rng_below(&rng, spread), e, l, r, fresh = 0, last = model_last();
	bool fin = rng_below(&rng, 60) == 0, dup_fin, new_fin;
	uint32_t bufs = tcp_ooo_bufs(table, mo.head), ranges = tcp_ooo_ranges(table, mo.head);
	struct tcp_sack_block d;
	enum tcp_ooo_verdict v;
	uint8_t b[1500];

	if (s + len >= MAP)
		return;
	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)rng_next32(&rng);
	e = s + len;
	dup_fin = fin && mo.fin == e;
	new_fin = fin && mo.fin == UINT32_MAX && (last == 0 || last < e);
	if (mo.fin != UINT32_MAX)
		e = ZF_MAX(s, ZF_MIN(e, mo.fin));
	if (len > 0 && s + len != e)
		dup_fin = false;
	model_dsack(s, e, dup_fin, &l, &r);
	for (uint32_t i = s; i < e; i++)
		fresh += !at(i);
	v = give(s, b, len, fin, &d);
	CU_ASSERT_EQUAL_FATAL(d.right.n - d.left.n, r - l);
	if (l != r)
		CU_ASSERT_EQUAL_FATAL(d.left.n, mo.base + l);
	CU_ASSERT_EQUAL_FATAL(v == OOO_DUP, fresh == 0 && !new_fin);
	if (v == OOO_LIMIT) {
		CU_ASSERT_FATAL(ranges == TCP_OOO_RANGES || bufs == TCP_OOO_BUFS);
		CU_ASSERT_EQUAL(tcp_ooo_bufs(table, mo.head), bufs);
		CU_ASSERT_EQUAL(tcp_ooo_ranges(table, mo.head), ranges);
		return;
	}
	CU_ASSERT(tcp_ooo_bufs(table, mo.head) <= bufs + (v == OOO_QUEUED));
	for (uint32_t i = s; i < e; i++)
		if (!at(i)) {
			mo.have[i] = true;
			mo.val[i] = b[i - s];
		}
	if (new_fin) {
		mo.fin = s + len;
		mo.have[mo.fin] = true;
	}
	if (fresh > 0 || new_fin || l != r)
		touch(fresh == 0 && !new_fin ? l : s < e ? s : mo.fin);
}

/* In-order bytes advance rcv_nxt, then the range behind them. */
static void
random_advance(void)
{
	struct rte_mbuf *m = NULL, *last = NULL, *next;
	uint32_t bytes = 0, bufs = 0, seen = 0, end;
	bool fin = false, some;

	mo.nxt += 1 + (uint32_t)rng_below(&rng, 300);
	mo.nxt = ZF_MIN(mo.nxt, ZF_MIN(mo.fin, MAP - 1));
	for (end = mo.nxt; at(end) && end != mo.fin;)
		end++;
	some = tcp_ooo_take_next(&ctx, table, &mo.head, seq_of(mo.base + mo.nxt), &m, &last, &bytes, &bufs, &fin);
	CU_ASSERT_EQUAL_FATAL(some, at(mo.nxt));
	if (!some)
		return;
	CU_ASSERT_EQUAL_FATAL(bytes, end - mo.nxt);
	CU_ASSERT_EQUAL_FATAL(fin, end == mo.fin);
	for (; m != NULL; m = next) {
		const uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *) + pkt_meta(m)->off;

		next = pkt_meta(m)->next;
		CU_ASSERT(next != NULL || m == last);
		CU_ASSERT_EQUAL_FATAL(memcmp(p, &mo.val[mo.nxt + seen], pkt_meta(m)->len), 0);
		seen += pkt_meta(m)->len;
		bufs--;
		ctx.rx_held--;
		pkt_put(own, m);
	}
	CU_ASSERT_EQUAL_FATAL(seen, bytes);
	CU_ASSERT_EQUAL_FATAL(bufs, 0);
	mo.nxt = end + fin;
}

static void
random_against_a_byte_map(void)
{
	uint32_t limits = 0, fins = 0;

	start(256);
	rng_seed(&rng, 20240611);
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t advance = 2 + (uint32_t)rng_below(&rng, 120);
		uint32_t n_lens = 1 + (uint32_t)rng_below(&rng, 7);

		model_reset(0u - (uint32_t)rng_below(&rng, MAP));
		for (uint32_t i = 0; i < 1500 && mo.nxt < MAP - 1 && mo.nxt <= mo.fin; i++) {
			if (rng_below(&rng, advance) == 0)
				random_advance();
			else
				random_insert(n_lens);
			if (i % 16 == 0)
				check_blocks();
			limits += tcp_ooo_ranges(table, mo.head) == TCP_OOO_RANGES;
			tcp_ooo_check(table, mo.head, seq_of(mo.base + mo.nxt));
		}
		fins += mo.nxt > mo.fin;
		CU_ASSERT_EQUAL_FATAL(tcp_ooo_bufs(table, mo.head), ctx.rx_held);
		tcp_ooo_drop(&ctx, table, &mo.head);
		CU_ASSERT_EQUAL_FATAL(tcp_ooo_free(table), 256);
	}
	/* It went where it is interesting. */
	CU_ASSERT(limits > 1000);
	CU_ASSERT(fins > 20);
	check_home();
}

static const struct unit_test tests[] = {
	UNIT(fills_gaps),
	UNIT(spans_keep_what_came_first),
	UNIT(fin_takes_a_number),
	UNIT(blocks_by_recency),
	UNIT(tiny_segments_share_buffers),
	UNIT(limits_hold),
	UNIT(shared_buffers_are_not_written),
	UNIT(random_against_a_byte_map),
};

UNIT_MAIN("tcp_ooo", tests)
