/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See reass.h. One block of memory: datagrams being put together, fragments, hash heads; all links
 * are indices, -1 ends. A datagram's fragments are sorted and never overlap, so it is complete when
 * their bytes add up to its length. All datagrams live equally long, so the list by age is also the
 * list by timeout.
 */
#include "ip/reass.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "ip/wire.h"

/* Datagrams that one reass_run() ends. */
#define RUN_MAX 64

struct frag {
	void *handle;
	uint16_t offset;
	uint16_t len;
	int32_t next; /* or free list */
	int32_t prev;
	uint32_t _hole;
};

struct dgram {
	uint64_t expires;
	be32_t src;
	be32_t dst;
	be16_t id;
	uint8_t proto;
	uint8_t _hole;
	uint16_t n;
	uint16_t first_hdr_len; /* of the fragment at offset 0, once it is here */
	uint32_t bytes;
	uint32_t total; /* payload of the whole, 0 until the last fragment is here */
	int32_t head;
	int32_t tail;
	int32_t hash_next; /* or free list */
	int32_t older;
	int32_t younger;
};

struct reass {
	uint64_t timeout;
	uint64_t secret[2];
	reass_drop_fn drop;
	void *arg;
	uint32_t max_dgrams;
	uint32_t max_frags;
	uint32_t max_bytes;
	uint32_t hash_mask;
	uint32_t n_dgrams;
	uint32_t n_frags;
	uint32_t bytes;
	int32_t free_dgram;
	int32_t free_frag;
	int32_t oldest;
	int32_t youngest;
	uint32_t _hole;
	struct dgram dgrams[]; /* then fragments, then hash heads */
};

static struct frag *
frags(const struct reass *r)
{
	return (struct frag *)(uintptr_t)&r->dgrams[r->max_dgrams];
}

static int32_t *
hash_head(const struct reass *r, const struct reass_frag *f)
{
	uint64_t h = hash_fold((uint64_t)f->src.raw << 32 | f->dst.raw,
			       (uint64_t)f->id.raw << 8 | f->proto, r->secret);

	return (int32_t *)(void *)&frags(r)[r->max_frags] + (h & r->hash_mask);
}

static bool
dgram_matches(const struct dgram *d, const struct reass_frag *f)
{
	return be32_eq(d->src, f->src) && be32_eq(d->dst, f->dst) && be16_eq(d->id, f->id) &&
	       d->proto == f->proto;
}

static struct dgram *
dgram_find(struct reass *r, const struct reass_frag *f)
{
	for (int32_t i = *hash_head(r, f); i >= 0; i = r->dgrams[i].hash_next) {
		if (dgram_matches(&r->dgrams[i], f))
			return &r->dgrams[i];
	}
	return NULL;
}

static struct dgram *
dgram_new(struct reass *r, const struct reass_frag *f, uint64_t now)
{
	int32_t *head = hash_head(r, f);
	int32_t i = r->free_dgram;
	struct dgram *d = &r->dgrams[i];

	r->free_dgram = d->hash_next;
	*d = (struct dgram){
		.expires = now + r->timeout,
		.src = f->src,
		.dst = f->dst,
		.id = f->id,
		.proto = f->proto,
		.head = -1,
		.tail = -1,
		.hash_next = *head,
		.older = r->youngest,
		.younger = -1,
	};
	*head = i;
	if (r->youngest >= 0)
		r->dgrams[r->youngest].younger = i;
	else
		r->oldest = i;
	r->youngest = i;
	r->n_dgrams++;
	return d;
}

/* Its fragments have been dealt with. */
static void
dgram_free(struct reass *r, struct dgram *d)
{
	const struct reass_frag key = {
		.src = d->src, .dst = d->dst, .id = d->id, .proto = d->proto};
	int32_t i = (int32_t)(d - r->dgrams);
	int32_t *link = hash_head(r, &key);

	while (*link != i)
		link = &r->dgrams[*link].hash_next;
	*link = d->hash_next;
	if (d->older >= 0)
		r->dgrams[d->older].younger = d->younger;
	else
		r->oldest = d->younger;
	if (d->younger >= 0)
		r->dgrams[d->younger].older = d->older;
	else
		r->youngest = d->older;
	/* The whole chain of fragments goes back in one piece. */
	if (d->tail >= 0) {
		frags(r)[d->tail].next = r->free_frag;
		r->free_frag = d->head;
	}
	r->n_frags -= d->n;
	r->bytes -= d->bytes;
	d->hash_next = r->free_dgram;
	r->free_dgram = i;
	r->n_dgrams--;
}

static void
dgram_discard(struct reass *r, struct dgram *d, enum reass_result why)
{
	for (int32_t i = d->head; i >= 0; i = frags(r)[i].next)
		r->drop(r->arg, frags(r)[i].handle, why, frags(r)[i].offset == 0);
	dgram_free(r, d);
}

/* ---- input ---- */

/* What the first fragment must hold, so that nobody decides on half an L4 header (RFC 1858). */
static uint16_t
l4_min(uint8_t proto)
{
	return proto == IP_PROTO_TCP ? sizeof(struct hdr_tcp) : 8;
}

static bool
frag_is_sane(const struct reass_frag *f)
{
	if (f->len == 0 || f->offset % 8 != 0 || (f->more && f->len % 8 != 0))
		return false;
	if ((uint32_t)f->hdr_len + f->offset + f->len > IP4_PACKET_MAX)
		return false;
	if (f->offset == 0)
		return f->more && f->len >= l4_min(f->proto);
	/* RFC 3128: a piece that begins inside the L4 header could only rewrite it. */
	return f->offset >= l4_min(f->proto);
}

/* Between which two neighbours of @d does @f belong, and may it be there? */
static enum reass_result
place_find(const struct reass *r, const struct dgram *d, const struct reass_frag *f, int32_t *prev,
	   int32_t *next)
{
	const struct frag *all = frags(r);
	uint32_t end = (uint32_t)f->offset + f->len;

	*next = -1;
	*prev = d->tail; /* most arrive in order */
	while (*prev >= 0 && all[*prev].offset > f->offset) {
		*next = *prev;
		*prev = all[*prev].prev;
	}
	if (*prev >= 0 && all[*prev].offset == f->offset && all[*prev].len == f->len &&
	    f->more == (end != d->total))
		return REASS_DUP;
	if (*prev >= 0 && (uint32_t)all[*prev].offset + all[*prev].len > f->offset)
		return REASS_OVERLAP;
	if (*next >= 0 && end > all[*next].offset)
		return REASS_OVERLAP;
	/* Two ends, or something at or beyond the end. */
	if (!f->more && (d->total != 0 || *next >= 0))
		return REASS_OVERLAP;
	if (f->more && d->total != 0 && end >= d->total)
		return REASS_OVERLAP;
	return d->n < REASS_FRAGS_MAX ? REASS_HELD : REASS_LIMIT;
}

/* Discards the oldest until one more fragment fits; false when only @spare is left and it still
 * does not. */
static bool
make_room(struct reass *r, const struct dgram *spare, uint32_t len)
{
	if (len > r->max_bytes)
		return false;
	while (r->n_frags == r->max_frags || r->bytes + len > r->max_bytes ||
	       (spare == NULL && r->n_dgrams == r->max_dgrams)) {
		int32_t i = r->oldest;

		if (i >= 0 && &r->dgrams[i] == spare)
			i = spare->younger;
		if (i < 0)
			return false;
		dgram_discard(r, &r->dgrams[i], REASS_LIMIT);
	}
	return true;
}

static void
frag_insert(struct reass *r, struct dgram *d, const struct reass_frag *f, int32_t prev,
	    int32_t next)
{
	struct frag *all = frags(r);
	int32_t i = r->free_frag;

	r->free_frag = all[i].next;
	all[i] = (struct frag){
		.handle = f->handle,
		.offset = f->offset,
		.len = f->len,
		.next = next,
		.prev = prev,
	};
	if (prev >= 0)
		all[prev].next = i;
	else
		d->head = i;
	if (next >= 0)
		all[next].prev = i;
	else
		d->tail = i;
	d->n++;
	d->bytes += f->len;
	r->n_frags++;
	r->bytes += f->len;
	if (f->offset == 0)
		d->first_hdr_len = f->hdr_len;
	if (!f->more)
		d->total = (uint32_t)f->offset + f->len;
}

static void
dgram_finish(struct reass *r, struct dgram *d, struct reass_datagram *out)
{
	out->n = 0;
	out->len = (uint16_t)d->total;
	for (int32_t i = d->head; i >= 0; i = frags(r)[i].next)
		out->frag[out->n++] = frags(r)[i].handle;
	dgram_free(r, d);
}

enum reass_result
reass_input(struct reass *r, const struct reass_frag *f, uint64_t now, struct reass_datagram *out)
{
	enum reass_result res = REASS_HELD;
	int32_t prev = -1;
	int32_t next = -1;
	struct dgram *d;

	if (!frag_is_sane(f))
		return REASS_BAD;
	d = dgram_find(r, f);
	if (d != NULL && d->expires <= now) {
		dgram_discard(r, d, REASS_TIMEOUT);
		d = NULL;
	}
	if (d != NULL)
		res = place_find(r, d, f, &prev, &next);
	if (res == REASS_DUP)
		return res;
	if (res == REASS_HELD && !make_room(r, d, f->len))
		res = REASS_LIMIT;
	/* Two first fragments with different headers: see that the repaired length still fits its
	 * field. */
	if (res == REASS_HELD && d != NULL) {
		uint32_t hdr = f->offset == 0 ? f->hdr_len : d->first_hdr_len;
		uint32_t len = f->more ? d->total : (uint32_t)f->offset + f->len;

		if (hdr + len > IP4_PACKET_MAX)
			res = REASS_BAD;
	}
	if (res != REASS_HELD) {
		if (d != NULL)
			dgram_discard(r, d, res);
		return res;
	}
	if (d == NULL)
		d = dgram_new(r, f, now);
	frag_insert(r, d, f, prev, next);
	if (d->bytes != d->total)
		return REASS_HELD;
	dgram_finish(r, d, out);
	return REASS_DONE;
}

uint64_t
reass_next_due(const struct reass *r)
{
	return r->oldest >= 0 ? r->dgrams[r->oldest].expires : UINT64_MAX;
}

uint64_t
reass_run(struct reass *r, uint64_t now)
{
	for (int i = 0; i < RUN_MAX && reass_next_due(r) <= now; i++)
		dgram_discard(r, &r->dgrams[r->oldest], REASS_TIMEOUT);
	return reass_next_due(r);
}

void
reass_flush(struct reass *r)
{
	while (r->oldest >= 0)
		dgram_discard(r, &r->dgrams[r->oldest], REASS_FLUSHED);
}

/* ---- set-up ---- */

size_t
reass_bytes(uint32_t max_datagrams, uint32_t max_frags)
{
	return sizeof(struct reass) + max_datagrams * sizeof(struct dgram) +
	       max_frags * sizeof(struct frag) + zf_roundup_pow2(max_datagrams) * sizeof(int32_t);
}

struct reass *
reass_init(void *mem, uint32_t max_datagrams, uint32_t max_frags, uint32_t max_bytes,
	   uint64_t timeout, const uint64_t secret[2], reass_drop_fn drop, void *arg)
{
	struct reass *r = mem;
	int32_t *heads;

	memset(mem, 0, reass_bytes(max_datagrams, max_frags));
	r->timeout = timeout;
	r->secret[0] = secret[0];
	r->secret[1] = secret[1];
	r->drop = drop;
	r->arg = arg;
	r->max_dgrams = max_datagrams;
	r->max_frags = max_frags;
	r->max_bytes = max_bytes;
	r->hash_mask = (uint32_t)zf_roundup_pow2(max_datagrams) - 1;
	r->oldest = r->youngest = -1;
	for (uint32_t i = 0; i < max_datagrams; i++)
		r->dgrams[i].hash_next = i + 1 < max_datagrams ? (int32_t)i + 1 : -1;
	for (uint32_t i = 0; i < max_frags; i++)
		frags(r)[i].next = i + 1 < max_frags ? (int32_t)i + 1 : -1;
	heads = (int32_t *)(void *)&frags(r)[max_frags];
	for (uint32_t i = 0; i <= r->hash_mask; i++)
		heads[i] = -1;
	return r;
}

uint32_t
reass_held_frags(const struct reass *r)
{
	return r->n_frags;
}

uint32_t
reass_held_bytes(const struct reass *r)
{
	return r->bytes;
}

uint32_t
reass_held_datagrams(const struct reass *r)
{
	return r->n_dgrams;
}
