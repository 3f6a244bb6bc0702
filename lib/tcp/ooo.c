/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Ranges of received data beyond rcv_nxt, see ooo.h. Between two ranges there is always a gap: what touches is joined
 * at once, so a duplicate can overlap at most one range at either end, and everything between those two is covered by
 * it completely.
 */
#include <string.h>

#include "tcp/ooo.h"

struct ooo_range {
	tcpseq_t start;
	tcpseq_t end;      /* behind the last byte, or behind the FIN */
	struct rte_mbuf *head; /* NULL only of a FIN alone */
	struct rte_mbuf *tail;
	uint64_t stamp;    /* of the last segment that was put into it or repeated a part of it */
	uint32_t next;     /* range behind it, or next free record */
	uint16_t bufs;
	bool fin;
	uint8_t hole;
};
ZF_STATIC_ASSERT(sizeof(struct ooo_range) == 40, "no holes");

struct tcp_ooo_table {
	uint32_t max;
	uint32_t n_free;
	uint32_t free;
	uint32_t hole;
	uint64_t stamp;
	struct ooo_range ranges[];
};

/* A segment on its way in: [seq, end) is what is new of it. */
struct ooo_new {
	struct rte_mbuf *m;
	tcpseq_t first; /* number of its first byte, as it came */
	tcpseq_t seq;
	tcpseq_t end;
	tcpseq_t fin_at;
	bool fin;
	uint32_t prev;    /* last range that begins at or before it */
	uint32_t back;    /* range that ends it, or first one behind it */
	uint32_t covered; /* ranges between those, which it contains */
	uint32_t n_ranges, n_bufs; /* of the connection */
};

struct tcp_ooo_table *
tcp_ooo_take(struct arena *a, uint32_t n_ranges)
{
	struct tcp_ooo_table *t =
		arena_take(a, sizeof(*t) + (uint64_t)n_ranges * sizeof(t->ranges[0]), ZF_CACHE_LINE);

	if (t != NULL)
		t->max = n_ranges;
	return t;
}

void
tcp_ooo_init(struct tcp_ooo_table *t)
{
	t->n_free = t->max;
	t->free = t->max > 0 ? 0 : TCP_OOO_NONE;
	t->stamp = 0;
	for (uint32_t i = 0; i < t->max; i++)
		t->ranges[i].next = i + 1 < t->max ? i + 1 : TCP_OOO_NONE;
}

static uint32_t
range_take(struct tcp_ooo_table *t)
{
	uint32_t i = t->free;

	t->free = t->ranges[i].next;
	t->n_free--;
	t->ranges[i] = (struct ooo_range){.next = TCP_OOO_NONE};
	return i;
}

static void
range_put(struct tcp_ooo_table *t, uint32_t i)
{
	t->ranges[i].next = t->free;
	t->free = i;
	t->n_free++;
}

/* Behind the last byte. */
static tcpseq_t
range_data_end(const struct ooo_range *r)
{
	return seq_less(r->end, r->fin ? 1 : 0);
}

static uint8_t *
payload(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *) + pkt_meta(m)->off;
}

static void
drop_buf(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	ZF_ASSERT(ctx->rx_held > 0);
	ctx->rx_held--;
	pkt_put(ctx->pool, m);
}

static void
drop_bufs(struct zf_ctx *ctx, struct ooo_range *r)
{
	for (struct rte_mbuf *m = r->head, *next; m != NULL; m = next) {
		next = pkt_meta(m)->next;
		drop_buf(ctx, m);
	}
	r->head = r->tail = NULL;
	r->bufs = 0;
}

/* Only a buffer that nobody else refers to may be written. */
static bool
is_writable(const struct rte_mbuf *m)
{
	return rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

/* Bytes that may be written behind the payload of @len bytes. */
static uint32_t
tail_room(struct rte_mbuf *m, uint32_t len)
{
	uint32_t used = (uint32_t)m->data_off + pkt_meta(m)->off + len;

	return is_writable(m) && used < m->buf_len ? m->buf_len - used : 0;
}

/* Where the segment lies among the ranges, and how many there are. */
static void
find_place(const struct tcp_ooo_table *t, uint32_t head, struct ooo_new *n, const struct ooo_range **last)
{
	*last = NULL;
	n->prev = TCP_OOO_NONE;
	n->n_ranges = n->n_bufs = 0;
	for (uint32_t i = head; i != TCP_OOO_NONE; i = t->ranges[i].next) {
		const struct ooo_range *r = &t->ranges[i];

		n->n_ranges++;
		n->n_bufs += r->bufs;
		*last = r;
		if (seq_leq(r->start, n->seq))
			n->prev = i;
	}
}

/* Only one FIN is believed: the first, if no data came behind it. @dup_fin: it has the FIN that is here. */
static void
judge_fin(const struct ooo_range *last, struct ooo_new *n, bool *dup_fin)
{
	*dup_fin = false;
	if (last == NULL)
		return;
	if (last->fin) {
		tcpseq_t at = range_data_end(last);

		*dup_fin = n->fin && seq_eq(n->end, at);
		n->fin = false;
		if (seq_gt(n->end, at))
			n->end = seq_max(at, n->seq);
	} else if (n->fin && seq_gt(last->end, n->end)) {
		n->fin = false;
	}
}

static void
note_dup(struct tcp_sack_block *dsack, tcpseq_t left, tcpseq_t right)
{
	if (seq_eq(dsack->left, dsack->right) && seq_lt(left, right))
		*dsack = (struct tcp_sack_block){left, right};
}

/* Cut off what is here already: at the front that of prev, at the back that of the range it ends in. */
static void
trim(const struct tcp_ooo_table *t, uint32_t head, struct ooo_new *n, struct tcp_sack_block *dsack)
{
	uint32_t i = head;

	n->covered = 0;
	if (n->prev != TCP_OOO_NONE) {
		const struct ooo_range *r = &t->ranges[n->prev];
		tcpseq_t to = seq_min(r->end, n->end);

		note_dup(dsack, n->seq, to);
		n->seq = seq_max(n->seq, to);
		i = r->next;
	}
	for (; i != TCP_OOO_NONE && seq_lt(t->ranges[i].start, n->end); i = t->ranges[i].next) {
		const struct ooo_range *r = &t->ranges[i];

		note_dup(dsack, r->start, seq_min(r->end, n->end));
		if (seq_geq(r->end, n->end)) {
			n->end = r->start;
			break;
		}
		n->covered++;
	}
	n->back = i;
}

/* The ranges that it contains: their bytes go into its buffer, since they came first, and their buffers home. */
static void
swallow(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, struct ooo_new *n)
{
	uint32_t *link = n->prev == TCP_OOO_NONE ? head : &t->ranges[n->prev].next;

	for (; n->covered > 0; n->covered--) {
		uint32_t i = *link;
		struct ooo_range *r = &t->ranges[i];
		uint8_t *to = payload(n->m) + seq_sub(r->start, n->first);

		for (struct rte_mbuf *m = r->head; m != NULL && is_writable(n->m); m = pkt_meta(m)->next) {
			memcpy(to, payload(m), pkt_meta(m)->len);
			to += pkt_meta(m)->len;
		}
		drop_bufs(ctx, r);
		*link = r->next;
		range_put(t, i);
	}
}

/* Behind the last bytes of @r, if its last buffer has room for them. */
static bool
merge_behind(struct ooo_range *r, struct ooo_new *n)
{
	uint32_t len = seq_sub(n->end, n->seq);
	struct pkt_meta *pm;

	if (!seq_eq(r->end, n->seq) || r->tail == NULL)
		return false;
	pm = pkt_meta(r->tail);
	if (tail_room(r->tail, pm->len) < len)
		return false;
	memcpy(payload(r->tail) + pm->len, payload(n->m) + seq_sub(n->seq, n->first), len);
	pm->len = (uint16_t)(pm->len + len);
	r->end = n->end;
	return true;
}

/* In front of the first bytes of @r, where the headers of that frame were. */
static bool
merge_before(struct ooo_range *r, struct ooo_new *n)
{
	uint32_t len = seq_sub(n->end, n->seq);
	struct pkt_meta *pm;

	if (!seq_eq(r->start, n->end) || r->head == NULL)
		return false;
	pm = pkt_meta(r->head);
	if (pm->off < len || !is_writable(r->head))
		return false;
	pm->off = (uint16_t)(pm->off - len);
	pm->len = (uint16_t)(pm->len + len);
	memcpy(payload(r->head), payload(n->m) + seq_sub(n->seq, n->first), len);
	r->start = n->seq;
	return true;
}

static void
join(struct tcp_ooo_table *t, uint32_t prev, uint32_t back)
{
	struct ooo_range *r = &t->ranges[prev], *b = &t->ranges[back];

	if (b->head != NULL) {
		pkt_meta(r->tail)->next = b->head;
		r->tail = b->tail;
	}
	r->bufs = (uint16_t)(r->bufs + b->bufs);
	r->end = b->end;
	r->fin = b->fin;
	r->next = b->next;
	range_put(t, back);
}

static uint32_t
try_merge(struct tcp_ooo_table *t, struct ooo_new *n)
{
	if (n->prev != TCP_OOO_NONE && merge_behind(&t->ranges[n->prev], n))
		return n->prev;
	if (n->back != TCP_OOO_NONE && merge_before(&t->ranges[n->back], n))
		return n->back;
	return TCP_OOO_NONE;
}

static bool
may_add(const struct zf_ctx *ctx, const struct tcp_ooo_table *t, const struct ooo_new *n)
{
	bool touches = (n->prev != TCP_OOO_NONE && seq_eq(t->ranges[n->prev].end, n->seq)) ||
		       (n->back != TCP_OOO_NONE && seq_eq(t->ranges[n->back].start, n->end));

	if (!touches && (n->n_ranges >= TCP_OOO_RANGES || t->free == TCP_OOO_NONE))
		return false;
	if (seq_eq(n->seq, n->end)) /* a FIN alone: no buffer */
		return true;
	/* Out-of-order data is what is given up first: a quarter of the hold budget is kept from it. */
	return n->n_bufs < TCP_OOO_BUFS && ctx->rx_held < ctx->rx_hold_max - ctx->rx_hold_max / 4;
}

/* A record of its own, in front of back. */
static uint32_t
add_range(struct tcp_ooo_table *t, uint32_t *head, const struct ooo_new *n)
{
	uint32_t *link = n->prev == TCP_OOO_NONE ? head : &t->ranges[n->prev].next;
	uint32_t i = range_take(t);

	t->ranges[i].start = n->seq;
	t->ranges[i].end = n->end;
	t->ranges[i].next = *link;
	*link = i;
	return i;
}

/* In front of @r. Tiny segments that come backwards would each hold a buffer: where the first bytes of @r have room
 * behind these, they move.
 */
static void
prepend_buf(struct zf_ctx *ctx, struct ooo_range *r, const struct ooo_new *n)
{
	struct pkt_meta *pm = pkt_meta(n->m);
	struct rte_mbuf *was = r->head;

	r->head = n->m;
	r->start = n->seq;
	if (was == NULL || tail_room(n->m, pm->len) < pkt_meta(was)->len) {
		pm->next = was;
		r->bufs++;
	} else {
		memcpy(payload(n->m) + pm->len, payload(was), pkt_meta(was)->len);
		pm->len = (uint16_t)(pm->len + pkt_meta(was)->len);
		pm->next = pkt_meta(was)->next;
		drop_buf(ctx, was);
	}
	if (pm->next == NULL)
		r->tail = n->m;
}

/* The buffer, behind prev, in front of back, or on its own. Returns where. */
static uint32_t
add_buf(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, const struct ooo_new *n)
{
	struct pkt_meta *pm = pkt_meta(n->m);
	struct ooo_range *r;
	uint32_t i;

	pm->off = (uint16_t)(pm->off + seq_sub(n->seq, n->first));
	pm->len = (uint16_t)seq_sub(n->end, n->seq);
	pm->next = NULL;
	ctx->rx_held++;
	if (n->prev != TCP_OOO_NONE && seq_eq(t->ranges[n->prev].end, n->seq)) {
		r = &t->ranges[n->prev];
		pkt_meta(r->tail)->next = n->m;
		r->tail = n->m;
		r->end = n->end;
		r->bufs++;
		return n->prev;
	}
	if (n->back != TCP_OOO_NONE && seq_eq(t->ranges[n->back].start, n->end)) {
		prepend_buf(ctx, &t->ranges[n->back], n);
		return n->back;
	}
	i = add_range(t, head, n);
	t->ranges[i].head = t->ranges[i].tail = n->m;
	t->ranges[i].bufs = 1;
	return i;
}

/* All of its payload is here. */
static enum tcp_ooo_verdict
insert_nothing(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, const struct ooo_new *n,
	       const struct tcp_sack_block *dsack)
{
	uint32_t i = n->prev;

	if (n->fin) {
		if (!may_add(ctx, t, n))
			return OOO_LIMIT;
		if (i == TCP_OOO_NONE || !seq_eq(t->ranges[i].end, n->fin_at))
			i = add_range(t, head, n);
		t->ranges[i].end = seq_add(n->fin_at, 1);
		t->ranges[i].fin = true;
		t->ranges[i].stamp = ++t->stamp;
		return OOO_MERGED;
	}
	if (i != TCP_OOO_NONE && !seq_eq(dsack->left, dsack->right))
		t->ranges[i].stamp = ++t->stamp;
	return OOO_DUP;
}

/* New bytes went into range @i: join what touches now, and put the FIN behind the last byte. */
static void
settle(struct tcp_ooo_table *t, const struct ooo_new *n, uint32_t i)
{
	struct ooo_range *r = t->ranges;

	if (i == n->back && n->prev != TCP_OOO_NONE && seq_eq(r[n->prev].end, r[i].start)) {
		i = n->prev;
		join(t, i, n->back);
	} else if (i != n->back && n->back != TCP_OOO_NONE && seq_eq(r[i].end, r[n->back].start)) {
		join(t, i, n->back);
	}
	r[i].stamp = ++t->stamp;
	if (!n->fin)
		return;
	while (r[i].next != TCP_OOO_NONE)
		i = r[i].next;
	ZF_ASSERT(seq_eq(r[i].end, n->fin_at));
	r[i].end = seq_add(n->fin_at, 1);
	r[i].fin = true;
}

enum tcp_ooo_verdict
tcp_ooo_insert(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, struct rte_mbuf *m, tcpseq_t seq,
	       uint32_t len, bool fin, struct tcp_sack_block *dsack)
{
	struct ooo_new n = {.m = m, .first = seq, .seq = seq, .end = seq_add(seq, len), .fin = fin,
			    .fin_at = seq_add(seq, len)};
	enum tcp_ooo_verdict v = OOO_QUEUED;
	const struct ooo_range *last;
	bool dup_fin;
	uint32_t i;

	*dsack = (struct tcp_sack_block){seq, seq};
	find_place(t, *head, &n, &last);
	judge_fin(last, &n, &dup_fin);
	trim(t, *head, &n, dsack);
	if (dup_fin && (len == 0 || (!seq_eq(dsack->left, dsack->right) && seq_eq(dsack->right, n.fin_at))))
		dsack->right = seq_add(n.fin_at, 1);
	if (seq_eq(n.seq, n.end))
		return insert_nothing(ctx, t, head, &n, dsack);
	if (n.covered > 0) {
		swallow(ctx, t, head, &n);
		i = add_buf(ctx, t, head, &n);
	} else if ((i = try_merge(t, &n)) != TCP_OOO_NONE) {
		v = OOO_MERGED;
	} else {
		if (!may_add(ctx, t, &n))
			return OOO_LIMIT;
		i = add_buf(ctx, t, head, &n);
	}
	settle(t, &n, i);
	return v;
}

/* Forget the bytes of @r before @to, which lies within it. */
static void
trim_front(struct zf_ctx *ctx, struct ooo_range *r, tcpseq_t to)
{
	while (r->head != NULL && seq_lt(r->start, to)) {
		struct pkt_meta *pm = pkt_meta(r->head);
		uint32_t skip = seq_sub(to, r->start);

		if (skip < pm->len) {
			pm->off = (uint16_t)(pm->off + skip);
			pm->len = (uint16_t)(pm->len - skip);
			r->start = to;
		} else {
			struct rte_mbuf *m = r->head;

			r->start = seq_add(r->start, pm->len);
			r->head = pm->next;
			r->bufs--;
			drop_buf(ctx, m);
		}
	}
	if (r->head == NULL)
		r->tail = NULL;
}

bool
tcp_ooo_take_next(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head, tcpseq_t rcv_nxt,
		  struct rte_mbuf **first, struct rte_mbuf **last, uint32_t *bytes, uint32_t *bufs, bool *fin)
{
	while (*head != TCP_OOO_NONE) {
		uint32_t i = *head;
		struct ooo_range *r = &t->ranges[i];
		bool good = seq_gt(r->end, rcv_nxt);

		if (seq_gt(r->start, rcv_nxt))
			return false;
		*head = r->next;
		if (good) {
			trim_front(ctx, r, rcv_nxt);
			*first = r->head;
			*last = r->tail;
			*bytes = seq_sub(range_data_end(r), rcv_nxt);
			*bufs = r->bufs;
			*fin = r->fin;
		} else {
			drop_bufs(ctx, r);
		}
		range_put(t, i);
		if (good)
			return true;
	}
	return false;
}

uint32_t
tcp_ooo_blocks(const struct tcp_ooo_table *t, uint32_t head, struct tcp_sack_block *out, uint32_t max)
{
	uint64_t below = UINT64_MAX;
	uint32_t n;

	for (n = 0; n < max; n++) {
		const struct ooo_range *best = NULL;

		for (uint32_t i = head; i != TCP_OOO_NONE; i = t->ranges[i].next) {
			const struct ooo_range *r = &t->ranges[i];

			if (r->stamp < below && (best == NULL || r->stamp > best->stamp))
				best = r;
		}
		if (best == NULL)
			break;
		out[n] = (struct tcp_sack_block){best->start, best->end};
		below = best->stamp;
	}
	return n;
}

uint32_t
tcp_ooo_drop(struct zf_ctx *ctx, struct tcp_ooo_table *t, uint32_t *head)
{
	uint32_t n = 0;

	while (*head != TCP_OOO_NONE) {
		uint32_t i = *head;

		*head = t->ranges[i].next;
		n += t->ranges[i].bufs;
		drop_bufs(ctx, &t->ranges[i]);
		range_put(t, i);
	}
	return n;
}

uint32_t
tcp_ooo_bufs(const struct tcp_ooo_table *t, uint32_t head)
{
	uint32_t n = 0;

	for (uint32_t i = head; i != TCP_OOO_NONE; i = t->ranges[i].next)
		n += t->ranges[i].bufs;
	return n;
}

uint32_t
tcp_ooo_ranges(const struct tcp_ooo_table *t, uint32_t head)
{
	uint32_t n = 0;

	for (uint32_t i = head; i != TCP_OOO_NONE; i = t->ranges[i].next)
		n++;
	return n;
}

uint32_t
tcp_ooo_free(const struct tcp_ooo_table *t)
{
	return t->n_free;
}

#if defined(ZF_CHECKS) && ZF_CHECKS
static void
check_range(const struct ooo_range *r)
{
	struct rte_mbuf *tail = NULL;
	uint32_t bytes = 0, bufs = 0;

	for (struct rte_mbuf *m = r->head; m != NULL; m = pkt_meta(m)->next) {
		ZF_ASSERT(bufs < TCP_OOO_BUFS);
		ZF_ASSERT(pkt_meta(m)->len > 0);
		ZF_ASSERT((uint32_t)m->data_off + pkt_meta(m)->off + pkt_meta(m)->len <= m->buf_len);
		bytes += pkt_meta(m)->len;
		bufs++;
		tail = m;
	}
	ZF_ASSERT(tail == r->tail);
	ZF_ASSERT(bufs == r->bufs);
	ZF_ASSERT(seq_eq(seq_add(r->start, bytes), range_data_end(r)));
	ZF_ASSERT(bytes > 0 || r->fin);
}

void
tcp_ooo_check(const struct tcp_ooo_table *t, uint32_t head, tcpseq_t rcv_nxt)
{
	tcpseq_t before = rcv_nxt;
	uint32_t n = 0;

	for (uint32_t i = head; i != TCP_OOO_NONE; i = t->ranges[i].next) {
		const struct ooo_range *r = &t->ranges[i];

		ZF_ASSERT(i < t->max);
		n++;
		ZF_ASSERT(n <= TCP_OOO_RANGES);
		ZF_ASSERT(seq_gt(r->start, before));
		ZF_ASSERT(r->stamp <= t->stamp);
		ZF_ASSERT(!r->fin || r->next == TCP_OOO_NONE);
		check_range(r);
		before = r->end;
	}
	ZF_ASSERT(tcp_ooo_bufs(t, head) <= TCP_OOO_BUFS);
}
#endif
