/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See neigh.h. The table: entries, their holders, our addresses. What is said on the wire is
 * neigh_talk.c.
 */
#include "ip/neigh.h"

#include <errno.h>

#include "base/check.h"
#include "base/hash.h"
#include "ip/neigh_state.h"

static int32_t *
hash_heads(struct neigh_table *t)
{
	return (int32_t *)(void *)&t->entries[t->n_entries];
}

static int32_t *
hash_head(struct neigh_table *t, be32_t ip)
{
	return &hash_heads(t)[hash_fold(ip.raw, 0, t->secret) & t->hash_mask];
}

/* ---- the published word ---- */

/* The generation moves behind the word, so that who sees the new one sees the
 * word too. */
bool
neigh_entry_publish(struct neigh_table *t, struct neigh_entry *e, enum neigh_state state,
		    const struct eth_addr *mac)
{
	enum neigh_state was = neigh_entry_state(e);
	bool news = (was >= NEIGH_RESOLVED) != (state >= NEIGH_RESOLVED);
	uint8_t b[8];
	uint64_t word;

	memcpy(b, &e->word, sizeof(b));
	if (mac != NULL) {
		news |= memcmp(b, mac, sizeof(*mac)) != 0;
		memcpy(b, mac, sizeof(*mac));
	}
	b[6] = (uint8_t)state;
	memcpy(&word, b, sizeof(word));
	__atomic_store_n(&e->word, word, __ATOMIC_RELEASE);
	news |= state == NEIGH_FAILED && was != NEIGH_FAILED;
	if (!news || e->refs == 0)
		return false;
	__atomic_store_n(&t->gen, t->gen + 1, __ATOMIC_RELEASE);
	return true;
}

/* ---- entries: free list, hash, and the list of those without holders ---- */

void
neigh_lru_append(struct neigh_table *t, struct neigh_entry *e)
{
	int32_t i = neigh_index(t, e);

	e->lru_prev = t->lru_tail;
	e->lru_next = -1;
	if (t->lru_tail >= 0)
		t->entries[t->lru_tail].lru_next = i;
	else
		t->lru_head = i;
	t->lru_tail = i;
}

void
neigh_lru_remove(struct neigh_table *t, struct neigh_entry *e)
{
	if (e->lru_prev >= 0)
		t->entries[e->lru_prev].lru_next = e->lru_next;
	else
		t->lru_head = e->lru_next;
	if (e->lru_next >= 0)
		t->entries[e->lru_next].lru_prev = e->lru_prev;
	else
		t->lru_tail = e->lru_prev;
}

struct neigh_entry *
neigh_entry_find(struct neigh_table *t, be32_t ip)
{
	for (int32_t i = *hash_head(t, ip); i >= 0; i = t->entries[i].hash_next) {
		if (be32_eq(t->entries[i].ip, ip))
			return &t->entries[i];
	}
	return NULL;
}

void
neigh_entry_free(struct neigh_table *t, struct neigh_entry *e)
{
	int32_t i = neigh_index(t, e);
	int32_t *link = hash_head(t, e->ip);

	ZF_ASSERT(e->refs == 0);
	while (*link != i)
		link = &t->entries[*link].hash_next;
	*link = e->hash_next;
	neigh_lru_remove(t, e);
	wheel_cancel(&t->wheel, &e->timer);
	__atomic_store_n(&e->word, 0, __ATOMIC_RELEASE);
	e->hash_next = t->free_head;
	t->free_head = i;
	t->n_used--;
}

/* A new entry without holders, at the cost of the oldest such if need be; NULL when all are held.
 */
struct neigh_entry *
neigh_entry_new(struct neigh_table *t, be32_t ip)
{
	struct neigh_entry *e;
	int32_t *head = hash_head(t, ip);

	if (t->free_head < 0) {
		if (t->lru_head < 0)
			return NULL;
		neigh_entry_free(t, &t->entries[t->lru_head]);
		t->evictions++;
	}
	e = &t->entries[t->free_head];
	t->free_head = e->hash_next;
	*e = (struct neigh_entry){.ip = ip, .hash_next = *head};
	e->timer.kind = NEIGH_TIMER_ENTRY;
	*head = neigh_index(t, e);
	neigh_lru_append(t, e);
	t->n_used++;
	return e;
}

/* ---- our addresses ---- */

static be32_t
prefix_mask(unsigned len)
{
	return be32_from(len == 0 ? 0 : UINT32_MAX << (32 - len));
}

static bool
addr_covers(const struct neigh_addr *a, be32_t ip)
{
	return ((a->ip.raw ^ ip.raw) & prefix_mask(a->prefix_len).raw) == 0;
}

struct neigh_addr *
neigh_addr_find(struct neigh_table *t, be32_t ip)
{
	for (uint32_t i = 0; i < t->n_addrs && !be32_is_zero(ip); i++) {
		if (be32_eq(t->addrs[i].ip, ip))
			return &t->addrs[i];
	}
	return NULL;
}

const struct neigh_addr *
neigh_addr_towards(const struct neigh_table *t, be32_t ip, bool *on_link)
{
	const struct neigh_addr *best = NULL;

	*on_link = false;
	for (uint32_t i = 0; i < t->n_addrs; i++) {
		const struct neigh_addr *a = &t->addrs[i];

		if (be32_is_zero(a->ip))
			continue;
		if (addr_covers(a, ip) && (!*on_link || a->prefix_len > best->prefix_len)) {
			best = a;
			*on_link = true;
		} else if (best == NULL) {
			best = a;
		}
	}
	return best;
}

bool
neigh_addr_is_edge(const struct neigh_table *t, be32_t ip)
{
	for (uint32_t i = 0; i < t->n_addrs; i++) {
		const struct neigh_addr *a = &t->addrs[i];
		uint32_t host = ip.raw & ~prefix_mask(a->prefix_len).raw;

		if (!be32_is_zero(a->ip) && a->prefix_len < 31 && addr_covers(a, ip) &&
		    (host == 0 || host == ~prefix_mask(a->prefix_len).raw))
			return true;
	}
	return false;
}

/* ---- timers ---- */

/* Deadline 0 is past: the very next run, without the wait for the end of a tick. */
void
neigh_entry_arm_ask(struct neigh_table *t, struct neigh_entry *e, uint64_t now)
{
	wheel_arm(&t->wheel, &e->timer, e->next_ask <= now ? 0 : e->next_ask);
}

/* Nobody holds it: until when is it worth remembering? Its last request counts too, else who holds
 * and drops in turn would ask without limit.
 */
void
neigh_entry_arm_forget(struct neigh_table *t, struct neigh_entry *e)
{
	uint64_t until = e->next_ask;

	if (neigh_entry_state(e) >= NEIGH_RESOLVED)
		until = ZF_MAX(until, e->confirmed + neigh_cycles(t, NEIGH_FRESH_MS));
	wheel_arm(&t->wheel, &e->timer, until);
}

/* ---- holders ---- */

int
neigh_hold(struct neigh_table *t, be32_t ip, uint64_t now)
{
	struct neigh_entry *e;

	if (!ip_is_unicast(ip) || ip_is_loopback(ip) || neigh_addr_find(t, ip) != NULL)
		return -EINVAL;
	e = neigh_entry_find(t, ip);
	if (e == NULL)
		e = neigh_entry_new(t, ip);
	if (e == NULL)
		return -ENOBUFS;
	if (e->refs++ != 0)
		return neigh_index(t, e);
	neigh_lru_remove(t, e);
	if (neigh_entry_state(e) < NEIGH_RESOLVED) {
		e->tries = 0;
		neigh_entry_publish(t, e, NEIGH_INCOMPLETE, NULL);
	}
	/* A resolved one may have aged: its timer decides. */
	neigh_entry_arm_ask(t, e, now);
	return neigh_index(t, e);
}

void
neigh_drop(struct neigh_table *t, int index, uint64_t now ZF_UNUSED)
{
	struct neigh_entry *e = &t->entries[index];

	if (zf_bug(index < 0 || (uint32_t)index >= t->n_entries || e->refs == 0))
		return;
	if (--e->refs != 0)
		return;
	neigh_lru_append(t, e);
	neigh_entry_arm_forget(t, e);
}

void
neigh_want(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (neigh_entry_state(e) != NEIGH_FAILED || zf_bug(e->refs == 0))
		return;
	e->tries = 0;
	neigh_entry_publish(t, e, NEIGH_INCOMPLETE, NULL);
	neigh_entry_arm_ask(t, e, now);
}

void
neigh_force_probe(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (neigh_entry_state(e) == NEIGH_RESOLVED) {
		e->tries = 0;
		neigh_entry_publish(t, e, NEIGH_PROBING, NULL);
		neigh_entry_arm_ask(t, e, now);
	} else {
		neigh_want(t, index, now);
	}
}

void
neigh_confirm(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (neigh_entry_state(e) < NEIGH_RESOLVED)
		return;
	e->confirmed = now;
	if (neigh_entry_state(e) == NEIGH_PROBING) {
		neigh_entry_publish(t, e, NEIGH_RESOLVED, NULL);
		wheel_arm(&t->wheel, &e->timer, now + neigh_cycles(t, NEIGH_FRESH_MS));
	}
}

/* ---- set-up ---- */

size_t
neigh_bytes(uint32_t n_entries)
{
	return sizeof(struct neigh_table) + n_entries * sizeof(struct neigh_entry) +
	       zf_roundup_pow2(n_entries) * sizeof(int32_t);
}

void
neigh_init(struct neigh_table *t, uint32_t n_entries, const struct eth_addr *mac, uint64_t hz,
	   const uint64_t secret[2], uint64_t now)
{
	memset(t, 0, neigh_bytes(n_entries));
	wheel_init(&t->wheel, now);
	t->n_entries = n_entries;
	t->hash_mask = (uint32_t)zf_roundup_pow2(n_entries) - 1;
	t->free_head = n_entries != 0 ? 0 : -1;
	t->lru_head = t->lru_tail = -1;
	t->hz = hz;
	t->secret[0] = secret[0];
	t->secret[1] = secret[1];
	t->mac = *mac;
	for (uint32_t i = 0; i < n_entries; i++)
		t->entries[i].hash_next = i + 1 < n_entries ? (int32_t)i + 1 : -1;
	for (uint32_t i = 0; i <= t->hash_mask; i++)
		hash_heads(t)[i] = -1;
}

int
neigh_addr_add(struct neigh_table *t, be32_t ip, unsigned prefix_len, bool silent,
	       uint64_t now ZF_UNUSED)
{
	struct neigh_entry *e;
	uint32_t i;

	if (!ip_is_unicast(ip) || prefix_len > 32)
		return -EINVAL;
	if (neigh_addr_find(t, ip) != NULL)
		return -EEXIST;
	for (i = 0; i < NEIGH_ADDRS_MAX && !be32_is_zero(t->addrs[i].ip); i++)
		continue;
	if (i == NEIGH_ADDRS_MAX)
		return -ENOSPC;
	t->n_addrs = ZF_MAX(t->n_addrs, i + 1);
	t->addrs[i] = (struct neigh_addr){
		.ip = ip,
		.prefix_len = (uint8_t)prefix_len,
		.silent = silent,
		.announces_left = silent ? 0 : NEIGH_ANNOUNCES,
		.timer.kind = NEIGH_TIMER_ADDR,
	};
	if (!silent)
		wheel_arm(&t->wheel, &t->addrs[i].timer, 0);
	/* Whoever had it until now is remembered no longer, unless a zocket talks to it. */
	e = neigh_entry_find(t, ip);
	if (e != NULL && e->refs == 0)
		neigh_entry_free(t, e);
	return 0;
}

int
neigh_addr_del(struct neigh_table *t, be32_t ip)
{
	struct neigh_addr *a = neigh_addr_find(t, ip);

	if (a == NULL)
		return -ENOENT;
	wheel_cancel(&t->wheel, &a->timer);
	*a = (struct neigh_addr){0};
	return 0;
}

void
neigh_link_up(struct neigh_table *t, uint64_t now)
{
	for (uint32_t i = 0; i < t->n_addrs; i++) {
		struct neigh_addr *a = &t->addrs[i];

		if (be32_is_zero(a->ip) || a->silent)
			continue;
		a->announces_left = NEIGH_ANNOUNCES;
		wheel_arm(&t->wheel, &a->timer, 0);
	}
	for (uint32_t i = 0; i < t->n_entries; i++) {
		struct neigh_entry *e = &t->entries[i];

		/* Whoever is out there now may be another: the first claim is believed again. */
		e->lock_until = 0;
		e->disputed = 0;
		if (e->refs == 0)
			continue;
		e->tries = 0;
		if (neigh_entry_state(e) == NEIGH_INCOMPLETE)
			neigh_entry_arm_ask(t, e, now);
		else
			neigh_force_probe(t, (int)i, now);
	}
}
