/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See neigh.h. Every entry and every address of ours has one timer in the table's wheel; what it
 * means follows from the state. An entry without holders is only remembered: its timer forgets it.
 */
#include "ip/neigh.h"

#include <errno.h>

#include "base/check.h"
#include "base/hash.h"

#define RUN_MAX 32

enum timer_kind {
	TIMER_ENTRY = 1,
	TIMER_ADDR = 2,
};

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

static uint64_t
cycles(const struct neigh_table *t, uint64_t ms)
{
	return t->hz * ms / 1000;
}

static int32_t
index_of(const struct neigh_table *t, const struct neigh_entry *e)
{
	return (int32_t)(e - t->entries);
}

/* ---- the published word ---- */

static enum neigh_state
entry_state(const struct neigh_entry *e)
{
	uint8_t b[8];

	memcpy(b, &e->word, sizeof(b));
	return (enum neigh_state)b[6];
}

static struct eth_addr
entry_mac(const struct neigh_entry *e)
{
	struct eth_addr mac;

	memcpy(&mac, &e->word, sizeof(mac));
	return mac;
}

/* @mac NULL: as it is. The generation moves behind the word, so that who sees the new one sees the
 * word too. */
static bool
entry_publish(struct neigh_table *t, struct neigh_entry *e, enum neigh_state state,
	      const struct eth_addr *mac)
{
	enum neigh_state was = entry_state(e);
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

static void
lru_append(struct neigh_table *t, struct neigh_entry *e)
{
	int32_t i = index_of(t, e);

	e->lru_prev = t->lru_tail;
	e->lru_next = -1;
	if (t->lru_tail >= 0)
		t->entries[t->lru_tail].lru_next = i;
	else
		t->lru_head = i;
	t->lru_tail = i;
}

static void
lru_remove(struct neigh_table *t, struct neigh_entry *e)
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

static struct neigh_entry *
entry_find(struct neigh_table *t, be32_t ip)
{
	for (int32_t i = *hash_head(t, ip); i >= 0; i = t->entries[i].hash_next) {
		if (be32_eq(t->entries[i].ip, ip))
			return &t->entries[i];
	}
	return NULL;
}

/* Only one without holders. */
static void
entry_free(struct neigh_table *t, struct neigh_entry *e)
{
	int32_t i = index_of(t, e);
	int32_t *link = hash_head(t, e->ip);

	ZF_ASSERT(e->refs == 0);
	while (*link != i)
		link = &t->entries[*link].hash_next;
	*link = e->hash_next;
	lru_remove(t, e);
	wheel_cancel(&t->wheel, &e->timer);
	__atomic_store_n(&e->word, 0, __ATOMIC_RELEASE);
	e->hash_next = t->free_head;
	t->free_head = i;
	t->n_used--;
}

/* A new entry without holders, at the cost of the oldest such if need be; NULL when all are held.
 */
static struct neigh_entry *
entry_new(struct neigh_table *t, be32_t ip)
{
	struct neigh_entry *e;
	int32_t *head = hash_head(t, ip);

	if (t->free_head < 0) {
		if (t->lru_head < 0)
			return NULL;
		entry_free(t, &t->entries[t->lru_head]);
		t->evictions++;
	}
	e = &t->entries[t->free_head];
	t->free_head = e->hash_next;
	*e = (struct neigh_entry){.ip = ip, .hash_next = *head};
	e->timer.kind = TIMER_ENTRY;
	*head = index_of(t, e);
	lru_append(t, e);
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

static struct neigh_addr *
addr_find(struct neigh_table *t, be32_t ip)
{
	for (uint32_t i = 0; i < t->n_addrs && !be32_is_zero(ip); i++) {
		if (be32_eq(t->addrs[i].ip, ip))
			return &t->addrs[i];
	}
	return NULL;
}

/* Ours with the longest prefix that covers @ip, else any, else NULL. */
static const struct neigh_addr *
addr_towards(const struct neigh_table *t, be32_t ip, bool *on_link)
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

/* The network's or the broadcast address of one of our subnets. */
static bool
addr_is_edge(const struct neigh_table *t, be32_t ip)
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

/* ---- packets ---- */

static void
arp_fill(const struct neigh_table *t, struct hdr_arp *arp, uint16_t op, be32_t sender,
	 be32_t target, struct eth_addr target_mac)
{
	*arp = (struct hdr_arp){
		.hw_type = BE16_C(ARP_HW_ETHER),
		.proto_type = BE16_C(ETH_TYPE_IPV4),
		.hw_len = sizeof(struct eth_addr),
		.proto_len = sizeof(be32_t),
		.op = be16_from(op),
		.sender_mac = t->mac,
		.sender_ip = sender,
		.target_mac = target_mac,
		.target_ip = target,
	};
}

/* RFC 5227 2.3: a request for the address itself. */
static void
arp_announce(const struct neigh_table *t, struct hdr_arp *arp, be32_t ip)
{
	arp_fill(t, arp, ARP_OP_REQUEST, ip, ip, ETH_ADDR_ZERO);
}

static void
entry_ask(struct neigh_table *t, struct neigh_entry *e, bool unicast, uint64_t now,
	  neigh_emit_fn emit, void *arg)
{
	struct eth_addr dst = unicast ? entry_mac(e) : ETH_ADDR_BCAST;
	const struct neigh_addr *from;
	struct hdr_arp arp;
	bool on_link;

	e->tries++;
	e->next_ask = now + cycles(t, NEIGH_PAUSE_MS);
	wheel_arm(&t->wheel, &e->timer, e->next_ask);
	from = addr_towards(t, e->ip, &on_link);
	if (from == NULL)
		return; /* nothing to ask with; a request from 0.0.0.0 would be a probe for the
			   address */
	arp_fill(t, &arp, ARP_OP_REQUEST, from->ip, e->ip, ETH_ADDR_ZERO);
	t->requests++;
	emit(arg, &dst, &arp);
}

/* ---- time ---- */

/* Deadline 0 is past: the very next run, without the wait for the end of a tick. */
static void
entry_arm_ask(struct neigh_table *t, struct neigh_entry *e, uint64_t now)
{
	wheel_arm(&t->wheel, &e->timer, e->next_ask <= now ? 0 : e->next_ask);
}

/* Nobody holds it: until when is it worth remembering? Its last request counts too, else who holds
 * and drops in turn would ask without limit.
 */
static void
entry_arm_forget(struct neigh_table *t, struct neigh_entry *e)
{
	uint64_t until = e->next_ask;

	if (entry_state(e) >= NEIGH_RESOLVED)
		until = ZF_MAX(until, e->confirmed + cycles(t, NEIGH_FRESH_MS));
	wheel_arm(&t->wheel, &e->timer, until);
}

static void
entry_timer(struct neigh_table *t, struct neigh_entry *e, uint64_t now, neigh_emit_fn emit,
	    void *arg)
{
	uint64_t stale = e->confirmed + cycles(t, NEIGH_FRESH_MS);

	if (e->refs == 0) {
		if (now < e->next_ask || (entry_state(e) >= NEIGH_RESOLVED && now < stale))
			entry_arm_forget(t, e);
		else
			entry_free(t, e);
		return;
	}
	switch (entry_state(e)) {
	case NEIGH_INCOMPLETE:
		if (e->tries < NEIGH_TRIES)
			entry_ask(t, e, false, now, emit, arg);
		else
			entry_publish(t, e, NEIGH_FAILED, NULL);
		break;
	case NEIGH_RESOLVED:
		if (now < stale) {
			wheel_arm(&t->wheel, &e->timer, stale);
			break;
		}
		e->tries = 0;
		e->disputed = false;
		entry_publish(t, e, NEIGH_PROBING, NULL);
		/* fall through */
	case NEIGH_PROBING:
		/* Who it was first, then whoever has the address now. */
		if (now < e->next_ask)
			entry_arm_ask(t, e, now);
		else if (e->tries < 2 * NEIGH_TRIES)
			entry_ask(t, e, e->tries < NEIGH_TRIES, now, emit, arg);
		else
			entry_publish(t, e, NEIGH_FAILED, NULL);
		break;
	case NEIGH_FREE:
	case NEIGH_FAILED:
		break;
	}
}

static void
addr_timer(struct neigh_table *t, struct neigh_addr *a, uint64_t now, neigh_emit_fn emit, void *arg)
{
	struct eth_addr dst = ETH_ADDR_BCAST;
	struct hdr_arp arp;

	if (a->announces_left == 0)
		return;
	a->announces_left--;
	if (a->announces_left != 0)
		wheel_arm(&t->wheel, &a->timer, now + cycles(t, NEIGH_ANNOUNCE_MS));
	arp_announce(t, &arp, a->ip);
	emit(arg, &dst, &arp);
}

uint64_t
neigh_run(struct neigh_table *t, uint64_t now, neigh_emit_fn emit, void *arg)
{
	struct wheel_timer *timer;

	for (int i = 0; i < RUN_MAX && (timer = wheel_pop(&t->wheel, now)) != NULL; i++) {
		if (timer->kind == TIMER_ENTRY)
			entry_timer(t, zf_container_of(timer, struct neigh_entry, timer), now, emit,
				    arg);
		else
			addr_timer(t, zf_container_of(timer, struct neigh_addr, timer), now, emit,
				   arg);
	}
	return t->wheel.next_due;
}

/* ---- input ---- */

static bool
arp_is_sane(const struct neigh_table *t, const struct hdr_arp *arp)
{
	uint16_t op = be16_host(arp->op);

	if (be16_host(arp->hw_type) != ARP_HW_ETHER ||
	    be16_host(arp->proto_type) != ETH_TYPE_IPV4 || arp->hw_len != sizeof(struct eth_addr) ||
	    arp->proto_len != sizeof(be32_t))
		return false;
	if (op != ARP_OP_REQUEST && op != ARP_OP_REPLY)
		return false;
	if (eth_addr_is_mcast(&arp->sender_mac) || eth_addr_is_zero(&arp->sender_mac))
		return false;
	if (be32_is_zero(arp->sender_ip))
		return op == ARP_OP_REQUEST; /* a probe, RFC 5227 2.1.1 */
	return ip_is_unicast(arp->sender_ip) && !ip_is_loopback(arp->sender_ip) &&
	       !addr_is_edge(t, arp->sender_ip);
}

/* The sender says that it is at @mac. RFC 826 has us believe that at any time, and a router that
 * took over needs it; but only one MAC per second, so that two claimants cannot make every zocket
 * rebuild its header per packet. Of claims within that second the last is forgotten, and the
 * question put again. Returns whether holders must know.
 */
static bool
entry_learn(struct neigh_table *t, struct neigh_entry *e, const struct eth_addr *mac, uint64_t now)
{
	enum neigh_state was = entry_state(e);
	struct eth_addr old = entry_mac(e);
	bool same = was >= NEIGH_RESOLVED && eth_addr_eq(&old, mac);
	bool news;

	if (was >= NEIGH_RESOLVED && !same && now < e->lock_until) {
		if (!e->disputed && e->refs != 0) {
			e->disputed = true;
			e->tries = NEIGH_TRIES; /* all of them are asked, not the one we know */
			entry_publish(t, e, NEIGH_PROBING, NULL);
			wheel_arm(&t->wheel, &e->timer, ZF_MAX(e->lock_until, e->next_ask));
		}
		return false;
	}
	e->confirmed = now;
	if (e->refs == 0) {
		lru_remove(t, e);
		lru_append(t, e);
	}
	if (same && was == NEIGH_RESOLVED)
		return false; /* its timer looks at `confirmed` when it fires */
	e->lock_until = now + cycles(t, NEIGH_LOCK_MS);
	e->tries = 0;
	news = entry_publish(t, e, NEIGH_RESOLVED, mac);
	wheel_arm(&t->wheel, &e->timer, now + cycles(t, NEIGH_FRESH_MS));
	return news;
}

static void
input_conflict(struct neigh_table *t, struct neigh_addr *a, uint64_t now, struct neigh_result *out)
{
	t->conflicts++;
	out->conflict = true;
	out->verdict = NEIGH_IN_HANDLED;
	if (now < a->next_defence)
		return;
	a->next_defence = now + cycles(t, NEIGH_DEFEND_MS);
	out->send = true;
	out->dst = ETH_ADDR_BCAST;
	arp_announce(t, &out->arp, a->ip);
}

static void
input_request(struct neigh_table *t, const struct hdr_arp *arp, struct neigh_entry *known,
	      uint64_t now, struct neigh_result *out)
{
	struct neigh_entry *e;
	bool on_link;

	out->verdict = NEIGH_IN_HANDLED;
	out->send = true;
	out->dst = arp->sender_mac;
	arp_fill(t, &out->arp, ARP_OP_REPLY, arp->target_ip, arp->sender_ip, arp->sender_mac);
	if (known != NULL || be32_is_zero(arp->sender_ip))
		return;
	/* It will hear from us soon. But who is not of our subnets is not talked to directly. */
	(void)addr_towards(t, arp->sender_ip, &on_link);
	e = on_link ? entry_new(t, arp->sender_ip) : NULL;
	if (e != NULL)
		(void)entry_learn(t, e, &arp->sender_mac, now);
}

void
neigh_input(struct neigh_table *t, const struct hdr_arp *arp, uint64_t now,
	    struct neigh_result *out)
{
	struct neigh_entry *e;
	struct neigh_addr *ours;

	*out = (struct neigh_result){.verdict = NEIGH_IN_BAD, .changed = -1};
	if (!arp_is_sane(t, arp))
		return;
	if (eth_addr_eq(&arp->sender_mac, &t->mac)) {
		out->verdict = NEIGH_IN_OWN;
		return;
	}
	out->verdict = NEIGH_IN_OTHER;
	ours = addr_find(t, arp->sender_ip);
	if (ours != NULL) {
		if (!ours->silent)
			input_conflict(t, ours, now, out);
		return;
	}
	e = entry_find(t, arp->sender_ip);
	if (e != NULL) {
		out->verdict = NEIGH_IN_HANDLED;
		if (entry_learn(t, e, &arp->sender_mac, now))
			out->changed = index_of(t, e);
	}
	ours = addr_find(t, arp->target_ip);
	if (ours != NULL && !ours->silent && be16_host(arp->op) == ARP_OP_REQUEST)
		input_request(t, arp, e, now, out);
}

/* ---- holders ---- */

int
neigh_hold(struct neigh_table *t, be32_t ip, uint64_t now)
{
	struct neigh_entry *e;

	if (!ip_is_unicast(ip) || ip_is_loopback(ip) || addr_find(t, ip) != NULL)
		return -EINVAL;
	e = entry_find(t, ip);
	if (e == NULL)
		e = entry_new(t, ip);
	if (e == NULL)
		return -ENOBUFS;
	if (e->refs++ != 0)
		return index_of(t, e);
	lru_remove(t, e);
	if (entry_state(e) < NEIGH_RESOLVED) {
		e->tries = 0;
		entry_publish(t, e, NEIGH_INCOMPLETE, NULL);
	}
	/* A resolved one may have aged: its timer decides. */
	entry_arm_ask(t, e, now);
	return index_of(t, e);
}

void
neigh_drop(struct neigh_table *t, int index, uint64_t now ZF_UNUSED)
{
	struct neigh_entry *e = &t->entries[index];

	if (zf_bug(index < 0 || (uint32_t)index >= t->n_entries || e->refs == 0))
		return;
	if (--e->refs != 0)
		return;
	lru_append(t, e);
	entry_arm_forget(t, e);
}

void
neigh_want(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (entry_state(e) != NEIGH_FAILED || zf_bug(e->refs == 0))
		return;
	e->tries = 0;
	entry_publish(t, e, NEIGH_INCOMPLETE, NULL);
	entry_arm_ask(t, e, now);
}

void
neigh_force_probe(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (entry_state(e) == NEIGH_RESOLVED) {
		e->tries = 0;
		entry_publish(t, e, NEIGH_PROBING, NULL);
		entry_arm_ask(t, e, now);
	} else {
		neigh_want(t, index, now);
	}
}

void
neigh_confirm(struct neigh_table *t, int index, uint64_t now)
{
	struct neigh_entry *e = &t->entries[index];

	if (entry_state(e) < NEIGH_RESOLVED)
		return;
	e->confirmed = now;
	if (entry_state(e) == NEIGH_PROBING) {
		entry_publish(t, e, NEIGH_RESOLVED, NULL);
		wheel_arm(&t->wheel, &e->timer, now + cycles(t, NEIGH_FRESH_MS));
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
	if (addr_find(t, ip) != NULL)
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
		.timer.kind = TIMER_ADDR,
	};
	if (!silent)
		wheel_arm(&t->wheel, &t->addrs[i].timer, 0);
	/* Whoever had it until now is remembered no longer, unless a zocket talks to it. */
	e = entry_find(t, ip);
	if (e != NULL && e->refs == 0)
		entry_free(t, e);
	return 0;
}

int
neigh_addr_del(struct neigh_table *t, be32_t ip)
{
	struct neigh_addr *a = addr_find(t, ip);

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

		if (e->refs == 0)
			continue;
		e->tries = 0;
		if (entry_state(e) == NEIGH_INCOMPLETE)
			entry_arm_ask(t, e, now);
		else
			neigh_force_probe(t, (int)i, now);
	}
}
