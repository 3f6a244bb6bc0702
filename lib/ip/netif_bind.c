/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The register of bound ports of an interface, over all its stacks: who may bind what, which ephemeral port is free,
 * and, on a queue that stacks share, whose a frame is. A connection each binds and unbinds here, so both take constant
 * time, whatever number of others there is, and allocate nothing but a larger table now and then.
 *
 * One hash table by the whole binding, open addressing, at most half full. UDP ports are exclusive, so beside its
 * bindings there is one entry for each local address and port in use, which counts them. A TCP port is shared by
 * connections to different remotes, which only a binding to any remote excludes: two look-ups tell.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "ip/netif.h"

/* netif_bind.ips: remote address above the local one. netif_bind.rest, upwards: local port, remote port, protocol, who
 * (the stack's slot, and WHO_MANY for what multicast and broadcast allow more than once), how many bindings it stands
 * for. Addresses and ports as the wire has them; up to the protocol it is the key.
 */
#define RPORT_AT  16
#define PROTO_AT  32
#define WHO_AT    40
#define COUNT_AT  48
#define KEY_MASK  ((1ull << WHO_AT) - 1)
#define COUNT_ONE (1ull << COUNT_AT)
#define COUNT_MAX 0xffffu
#define WHO_MASK  0xffull
#define WHO_SLOT  0x3fu
#define WHO_MANY  0x80u
/* What of the two words is the remote's. */
#define RIP_MASK   0xffffffff00000000ull
#define RPORT_MASK 0xffff0000ull
/* Or-ed into the protocol: the entry counts the bindings to its local address and port. */
#define PORT_COUNT 0x40u

#define PLACES_MIN 256u
#define PLACES_MAX (1u << 30)

/* Random draws before the search for a free port goes on in order. */
#define DRAWS         16
#define EPHEMERAL     (65536u - NETIF_EPHEMERAL_MIN)
#define DRAW_BITS     15
#define DRAWS_PER_KEY 4

ZF_STATIC_ASSERT(EPHEMERAL == 1u << DRAW_BITS, "so many bits are one port");
ZF_STATIC_ASSERT(NETIF_MEMBERS - 1 == WHO_SLOT, "every slot fits");

static ZF_ALWAYS_INLINE struct netif_bind
key_of(uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return (struct netif_bind){
		.ips = (uint64_t)rip.raw << 32 | lip.raw,
		.rest = (uint64_t)proto << PROTO_AT | (uint64_t)rport.raw << RPORT_AT | lport.raw,
	};
}

static ZF_ALWAYS_INLINE unsigned
who_of(struct netif_bind b)
{
	return (unsigned)(b.rest >> WHO_AT & WHO_MASK);
}

static ZF_ALWAYS_INLINE unsigned
slot_of(struct netif_bind b)
{
	return who_of(b) & WHO_SLOT;
}

static ZF_ALWAYS_INLINE uint32_t
count_of(struct netif_bind b)
{
	return (uint32_t)(b.rest >> COUNT_AT);
}

static ZF_ALWAYS_INLINE bool
is_port_count(struct netif_bind b)
{
	return (b.rest >> PROTO_AT & PORT_COUNT) != 0;
}

static ZF_ALWAYS_INLINE bool
is_tcp(struct netif_bind b)
{
	return (b.rest >> PROTO_AT & 0xffu & ~NETIF_TX_ONLY) == IP_PROTO_TCP;
}

/* Fixes the remote's address or its port, but not both. */
static ZF_ALWAYS_INLINE bool
is_half(struct netif_bind b)
{
	return (who_of(b) & WHO_MANY) != 0 && ((b.ips & RIP_MASK) == 0) != ((b.rest & RPORT_MASK) == 0);
}

/* The same binding to any remote. */
static ZF_ALWAYS_INLINE struct netif_bind
any_remote(struct netif_bind k)
{
	return (struct netif_bind){k.ips & ~RIP_MASK, k.rest & ~RPORT_MASK};
}

/* The entry that counts @k's port. */
static struct netif_bind
port_of(struct netif_bind k)
{
	k = any_remote(k);
	k.rest &= KEY_MASK & ~((uint64_t)NETIF_TX_ONLY << PROTO_AT);
	k.rest |= (uint64_t)PORT_COUNT << PROTO_AT | (uint64_t)WHO_MANY << WHO_AT | COUNT_ONE;
	return k;
}

static ZF_ALWAYS_INLINE uint32_t
home_of(const struct netif_binds *t, struct netif_bind k)
{
	return (uint32_t)hash_fold(k.ips, k.rest & KEY_MASK, t->secret) & t->mask;
}

/* The place of the next entry with @k's key from *@at on, or NULL: *@at is then the free place that ends the run. There
 * always is one.
 */
static ZF_ALWAYS_INLINE struct netif_bind *
find_from(const struct netif_binds *t, struct netif_bind k, uint32_t *at)
{
	for (;; *at = (*at + 1) & t->mask) {
		struct netif_bind *b = &t->tab[*at];

		if (b->rest == 0)
			return NULL;
		if (((b->ips ^ k.ips) | ((b->rest ^ k.rest) & KEY_MASK)) == 0)
			return b;
	}
}

/* *@at as find_from() leaves it. */
static ZF_ALWAYS_INLINE bool
has(const struct netif_binds *t, struct netif_bind k, uint32_t *at)
{
	*at = home_of(t, k);
	return find_from(t, k, at) != NULL;
}

static ZF_ALWAYS_INLINE void
put_at(struct netif_binds *t, uint32_t at, struct netif_bind k)
{
	t->tab[at] = k;
	t->n++;
	t->n_half += is_half(k);
}

/* Entries behind @hole move up, so that nothing is left to skip: only those between @hole and the next free place, and none
 * to a place in front of @hole.
 */
static ZF_ALWAYS_INLINE void
remove_at(struct netif_binds *t, uint32_t hole)
{
	t->n--;
	t->n_half -= is_half(t->tab[hole]);
	for (uint32_t s = (hole + 1) & t->mask; t->tab[s].rest != 0; s = (s + 1) & t->mask) {
		uint32_t home = home_of(t, t->tab[s]);

		if (((s - home) & t->mask) < ((s - hole) & t->mask))
			continue;
		t->tab[hole] = t->tab[s];
		hole = s;
	}
	t->tab[hole] = (struct netif_bind){0, 0};
}

#if defined(ZF_TEST) && ZF_TEST
bool netif_bind_no_memory;
#else
#define netif_bind_no_memory false
#endif

static int
resize(struct netif_binds *t, uint64_t places)
{
	struct netif_bind *old = t->tab;
	uint32_t n_old = old != NULL ? t->mask + 1 : 0;
	struct netif_bind *tab = places <= PLACES_MAX && !netif_bind_no_memory ? calloc(places, sizeof(*tab)) : NULL;

	if (tab == NULL)
		return -ENOMEM;
	t->tab = tab;
	t->mask = (uint32_t)places - 1;
	t->limit = (uint32_t)(places / 2);
	for (uint32_t i = 0; i < n_old; i++) {
		uint32_t at;

		if (old[i].rest == 0)
			continue;
		for (at = home_of(t, old[i]); tab[at].rest != 0; at = (at + 1) & t->mask)
			;
		tab[at] = old[i];
	}
	free(old);
	return 0;
}

/* Keys are drawn when they are first needed. */
static void
draw_keys(struct netif *n)
{
	pthread_mutex_lock(&n->lock);
	for (int i = 0; i < 2; i++) {
		n->binds.secret[i] = rng_next64(&n->rng);
		n->binds.port_key.k[i] = rng_next64(&n->rng);
	}
	pthread_mutex_unlock(&n->lock);
}

static ZF_COLD int
grow(struct netif *n, uint64_t want)
{
	struct netif_binds *t = &n->binds;

	if (t->tab == NULL && t->secret[0] == 0)
		draw_keys(n);
	if (resize(t, zf_roundup_pow2(ZF_MAX(2 * want, PLACES_MIN))) == 0)
		return 0;
	/* No memory for a load of one half: slower, as long as a few places are free. */
	return t->tab != NULL && want <= t->mask / 8u * 7u ? 0 : -ENOMEM;
}

/* Room for @more entries. */
static ZF_ALWAYS_INLINE int
make_room(struct netif *n, uint32_t more)
{
	uint64_t want = (uint64_t)n->binds.n + more;

	return zf_likely(want <= n->binds.limit) ? 0 : grow(n, want);
}

int
netif_bind_reserve(struct netif *n, uint32_t more)
{
	int rc;

	lock_take(&n->binds.lock);
	rc = make_room(n, more);
	lock_give(&n->binds.lock);
	return rc;
}

/* Enter @k. Groups count themselves, all else is the only one of its kind. */
static int
enter(struct netif_binds *t, struct netif_bind k)
{
	uint32_t at = home_of(t, k);
	struct netif_bind *b;

	for (; (b = find_from(t, k, &at)) != NULL; at = (at + 1) & t->mask) {
		if (((who_of(*b) | who_of(k)) & WHO_MANY) == 0)
			return -EADDRINUSE;
		if (who_of(*b) == who_of(k) && count_of(*b) < COUNT_MAX) {
			b->rest += COUNT_ONE;
			return 0;
		}
	}
	put_at(t, at, k);
	return 0;
}

/* Undo one enter() by @slot. */
static ZF_ALWAYS_INLINE bool
leave(struct netif_binds *t, struct netif_bind k, unsigned slot)
{
	uint32_t at = home_of(t, k);
	struct netif_bind *b;

	for (; (b = find_from(t, k, &at)) != NULL; at = (at + 1) & t->mask) {
		if (slot_of(*b) != slot)
			continue;
		if (count_of(*b) > 1)
			b->rest -= COUNT_ONE;
		else
			remove_at(t, at);
		return true;
	}
	return false;
}

/* May an ephemeral @k have its port? Then *@at is its place. */
static ZF_ALWAYS_INLINE bool
port_is_free(const struct netif_binds *t, struct netif_bind k, uint32_t *at)
{
	struct netif_bind other = is_tcp(k) ? any_remote(k) : port_of(k);

	return !has(t, other, at) && !has(t, k, at);
}

/* Peers see ports, and nobody may guess the next one from them, so they do not come from the common generator. */
static ZF_ALWAYS_INLINE uint16_t
draw_port(struct netif_binds *t)
{
	uint32_t bits;

	if (t->draws_left == 0) {
		t->n_draws++;
		t->draws = siphash(&t->n_draws, sizeof(t->n_draws), &t->port_key);
		t->draws_left = DRAWS_PER_KEY;
	}
	t->draws_left--;
	bits = t->draws & (EPHEMERAL - 1);
	t->draws >>= DRAW_BITS;
	return (uint16_t)(NETIF_EPHEMERAL_MIN + bits);
}

/* All ports there are, from a random one on (RFC 6056 3.3.1). */
static ZF_COLD bool
pick_in_order(const struct netif_binds *t, struct netif_bind *k, uint32_t start, uint32_t *at)
{
	for (uint32_t i = 0; i < EPHEMERAL; i++) {
		uint32_t p = NETIF_EPHEMERAL_MIN + ((start + i) & (EPHEMERAL - 1));

		k->rest = (k->rest & ~0xffffull) | be16_from((uint16_t)p).raw;
		if (port_is_free(t, *k, at))
			return true;
	}
	return false;
}

/* Give @k an ephemeral port and find its place: random ports first (3.3.2), which are random while most are taken too. */
static ZF_ALWAYS_INLINE bool
pick_port(struct netif_binds *t, struct netif_bind *k, uint32_t *at)
{
	for (int i = 0; i < DRAWS; i++) {
		k->rest = (k->rest & ~0xffffull) | be16_from(draw_port(t)).raw;
		if (zf_likely(port_is_free(t, *k, at)))
			return true;
	}
	return pick_in_order(t, k, draw_port(t), at);
}

static ZF_ALWAYS_INLINE int
bind_locked(struct netif *n, struct netif_bind *k)
{
	struct netif_binds *t = &n->binds;
	uint32_t at;
	int rc = make_room(n, 2);

	if (zf_unlikely(rc < 0))
		return rc;
	if ((k->rest & 0xffff) == 0) {
		if (zf_unlikely(!pick_port(t, k, &at)))
			return -EADDRINUSE;
		put_at(t, at, *k);
	} else {
		rc = enter(t, *k);
	}
	/* A UDP port belongs to whoever bound it first in any way, where it was not asked for by number. */
	if (rc == 0 && !is_tcp(*k))
		(void)enter(t, port_of(*k));
	return rc;
}

int
netif_bind_plain(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip,
		 be16_t rport, bool many)
{
	struct netif_bind k = key_of(proto, lip, *lport, rip, rport);
	int rc;

	ZF_ASSERT(proto != 0 && (proto & PORT_COUNT) == 0 && slot < NETIF_MEMBERS);
	ZF_ASSERT(many || be32_is_zero(rip) == be16_is_zero(rport));
	k.rest |= (uint64_t)(slot | (many ? WHO_MANY : 0)) << WHO_AT | COUNT_ONE;
	lock_take(&n->binds.lock);
	rc = bind_locked(n, &k);
	lock_give(&n->binds.lock);
	if (rc == 0)
		lport->raw = (uint16_t)k.rest;
	return rc;
}

void
netif_unbind_plain(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport, be32_t rip,
		   be16_t rport)
{
	struct netif_bind k = key_of(proto, lip, lport, rip, rport);

	lock_take(&n->binds.lock);
	if (n->binds.tab != NULL && leave(&n->binds, k, slot) && !is_tcp(k))
		(void)leave(&n->binds, port_of(k), 0);
	lock_give(&n->binds.lock);
}

/* The ports' counts of what @slot has bound go down; all stay where they are, those that reach 0 too. */
static void
uncount_slot(struct netif_binds *t, unsigned slot)
{
	for (uint32_t i = 0; i <= t->mask; i++) {
		struct netif_bind b = t->tab[i], port = port_of(b), *p;
		uint32_t left = count_of(b), at = home_of(t, port);

		if (b.rest == 0 || is_port_count(b) || slot_of(b) != slot || is_tcp(b))
			continue;
		for (; left > 0 && (p = find_from(t, port, &at)) != NULL; at = (at + 1) & t->mask) {
			uint32_t part = ZF_MIN(left, count_of(*p));

			p->rest -= part * COUNT_ONE;
			left -= part;
		}
	}
}

void
netif_unbind_slot(struct netif *n, unsigned slot)
{
	struct netif_binds *t = &n->binds;

	lock_take(&n->binds.lock);
	if (t->tab != NULL) {
		uncount_slot(t, slot);
		for (uint32_t i = 0; i <= t->mask; i++) {
			const struct netif_bind *b = &t->tab[i];

			/* What moves to @i has not been looked at yet, or was found to stay. */
			while (b->rest != 0 && (is_port_count(*b) ? count_of(*b) == 0 : slot_of(*b) == slot))
				remove_at(t, i);
		}
		if (t->n == 0) {
			free(t->tab);
			t->tab = NULL;
			t->limit = 0;
		}
	}
	lock_give(&n->binds.lock);
}

void
netif_bind_fini(struct netif *n)
{
	free(n->binds.tab);
	n->binds.tab = NULL;
	n->binds.n = 0;
	n->binds.limit = 0;
}

/* Slots with a binding of exactly this key. */
static uint64_t
owners_of(const struct netif_binds *t, struct netif_bind k)
{
	const struct netif_bind *b;
	uint64_t owners = 0;

	for (uint32_t at = home_of(t, k); (b = find_from(t, k, &at)) != NULL; at = (at + 1) & t->mask)
		owners |= 1ull << slot_of(*b);
	return owners;
}

uint64_t
netif_bind_owners(struct netif *n, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
		  bool many)
{
	const struct netif_binds *t = &n->binds;
	const be16_t any_port = {0};
	uint64_t owners = 0;

	lock_take(&n->binds.lock);
	if (t->tab != NULL) {
		owners = owners_of(t, key_of(proto, lip, lport, rip, rport));
		if (t->n_half > 0 && !be32_is_zero(rip) && !be16_is_zero(rport))
			owners |= owners_of(t, key_of(proto, lip, lport, rip, any_port)) |
				  owners_of(t, key_of(proto, lip, lport, IP4_ANY, rport));
		if (many || owners == 0)
			owners |= owners_of(t, key_of(proto, lip, lport, IP4_ANY, any_port));
	}
	lock_give(&n->binds.lock);
	return owners;
}
