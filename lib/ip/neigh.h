/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The neighbours of one interface and its own addresses, by ARP (RFC 826, RFC 1122 2.3.2, RFC
 * 5227). Pure: input fills in what to send, run emits what time has made due; who sends is not
 * known here. Several stacks share a table: every call is made under the caller's lock, except
 * those marked lock-free.
 *
 * A zocket holds its entry; held entries are never evicted and keep being verified, the others are
 * a cache. What a stack copied into headers is valid while neigh_gen() stands still.
 *
 * RFC 5227 as far as start-up must not wait: addresses are announced, not probed first; a conflict
 * is counted and the address defended, at most once per 10 s, and never given up.
 */
#ifndef ZF_IP_NEIGH_H
#define ZF_IP_NEIGH_H

#include "base/be.h"
#include "base/compiler.h"
#include "base/wheel.h"
#include "ip/wire.h"

#define NEIGH_ENTRIES_DEFAULT 1024
#define NEIGH_ADDRS_MAX       32
/* Requests before an entry fails; the pause between two, which also bounds the rate per address. */
#define NEIGH_TRIES    3
#define NEIGH_PAUSE_MS 1000
/* Age at which a held entry is asked for again, by unicast first, and another is forgotten. */
#define NEIGH_FRESH_MS    60000
#define NEIGH_ANNOUNCES   2
#define NEIGH_ANNOUNCE_MS 2000
#define NEIGH_DEFEND_MS   10000
/* How long a MAC is kept against another claim. */
#define NEIGH_LOCK_MS 1000

enum neigh_state {
	NEIGH_FREE,       /* never seen by holders */
	NEIGH_INCOMPLETE, /* asked, no answer yet */
	NEIGH_FAILED,     /* NEIGH_TRIES without an answer; neigh_want() asks again */
	NEIGH_RESOLVED,   /* from here on the MAC is valid */
	NEIGH_PROBING,    /* being verified; the MAC may be used meanwhile */
};

enum neigh_verdict {
	NEIGH_IN_HANDLED, /* answered a request, or told us something about a neighbour */
	NEIGH_IN_OTHER,   /* does not concern us */
	NEIGH_IN_OWN,     /* sent by ourselves */
	NEIGH_IN_BAD,     /* not ARP for IPv4 over Ethernet, or impossible addresses */
};

/* What to do about a received packet. */
struct neigh_result {
	enum neigh_verdict verdict;
	bool conflict;   /* somebody claims an address of ours */
	bool send;       /* send @arp to @dst */
	int32_t changed; /* held entry that has just been resolved or has another MAC, or -1 */
	struct eth_addr dst;
	struct hdr_arp arp;
};

struct neigh_entry {
	/* Lock-free: bytes 0-5 the MAC, byte 6 enum neigh_state. One word, so that a reader never
	 * sees half. */
	uint64_t word;
	struct wheel_timer timer;
	/* All in cycles. */
	uint64_t next_ask;   /* no request before this: the rate limit */
	uint64_t confirmed;  /* last sign of life */
	uint64_t lock_until; /* until then another MAC is not believed: who answers first, or
				changes, has 1 s */
	be32_t ip;
	uint32_t refs;
	int32_t hash_next; /* or free list; -1 ends */
	int32_t lru_prev;  /* entries without holders, oldest first */
	int32_t lru_next;
	uint8_t tries;
	bool disputed; /* a MAC was not believed, and the question was put again, once per
			  NEIGH_FRESH_MS */
	uint8_t _hole[2];
};

struct neigh_addr {
	be32_t ip; /* 0.0.0.0: unused */
	uint8_t prefix_len;
	bool silent; /* the kernel answers for it: no reply, no announcement, no defence */
	uint8_t announces_left;
	uint8_t _hole;
	uint64_t next_defence; /* cycles */
	struct wheel_timer timer;
};

struct neigh_table {
	struct wheel wheel;
	uint32_t gen; /* lock-free by neigh_gen() */
	uint32_t n_entries;
	uint32_t n_used;
	uint32_t n_addrs; /* slots of addrs ever used */
	uint32_t hash_mask;
	int32_t free_head;
	int32_t lru_head;
	int32_t lru_tail;
	uint64_t hz;
	uint64_t secret[2];
	struct eth_addr mac;
	uint8_t _hole[2];
	uint32_t conflicts;
	uint32_t evictions;
	uint32_t requests;
	struct neigh_addr addrs[NEIGH_ADDRS_MAX];
	struct neigh_entry entries[]; /* then the hash heads */
};

/* Called by neigh_run() for each packet to send; must not call neigh_*. */
typedef void (*neigh_emit_fn)(void *arg, const struct eth_addr *dst, const struct hdr_arp *arp);

/* Bytes that a table of @n_entries takes, 8-byte aligned. */
size_t neigh_bytes(uint32_t n_entries);

/* @mac ours; @now and all times in cycles of @hz per second. */
void neigh_init(struct neigh_table *t, uint32_t n_entries, const struct eth_addr *mac, uint64_t hz,
		const uint64_t secret[2], uint64_t now);

/* An address of ours; neigh_run() then announces it. -EEXIST, -EINVAL (not a unicast address),
 * -ENOSPC. */
int neigh_addr_add(struct neigh_table *t, be32_t ip, unsigned prefix_len, bool silent,
		   uint64_t now);
int neigh_addr_del(struct neigh_table *t, be32_t ip); /* -ENOENT */

/* The link came back: announce again, verify every held entry. */
void neigh_link_up(struct neigh_table *t, uint64_t now);

/* Index of the entry for @ip, with one reference; a new one is asked for by the next neigh_run().
 * -EINVAL: nobody's unicast address, or one of ours. -ENOBUFS: every entry is held.
 */
int neigh_hold(struct neigh_table *t, be32_t ip, uint64_t now);
void neigh_drop(struct neigh_table *t, int index, uint64_t now);

/* Lock-free, for holders. Writes @mac when the state is NEIGH_RESOLVED or NEIGH_PROBING. */
static inline enum neigh_state
neigh_get(const struct neigh_table *t, int index, struct eth_addr *mac)
{
	uint64_t word = __atomic_load_n(&t->entries[index].word, __ATOMIC_ACQUIRE);

	uint8_t b[8];

	memcpy(b, &word, sizeof(b));
	if (b[6] >= NEIGH_RESOLVED)
		memcpy(mac->b, b, sizeof(mac->b));
	return (enum neigh_state)b[6];
}

/* Lock-free. Moves whenever a held entry's MAC or its being resolved or failed changes. */
static inline uint32_t
neigh_gen(const struct neigh_table *t)
{
	return __atomic_load_n(&t->gen, __ATOMIC_ACQUIRE);
}

/* Lock-free. When neigh_run() has something to do, in cycles; UINT64_MAX: never. */
static inline uint64_t
neigh_next_due(const struct neigh_table *t)
{
	return __atomic_load_n(&t->wheel.next_due, __ATOMIC_RELAXED);
}

/* A frame waits for this entry: a failed one is asked for again, within the rate limit. */
void neigh_want(struct neigh_table *t, int index, uint64_t now);

/* The neighbour seems dead (retransmissions): verify now, within the rate limit. */
void neigh_force_probe(struct neigh_table *t, int index, uint64_t now);

/* The neighbour is alive (its acknowledgements arrive): saves a verification. */
void neigh_confirm(struct neigh_table *t, int index, uint64_t now);

/* @arp: sizeof(struct hdr_arp) bytes that arrived; their contents are checked here. */
void neigh_input(struct neigh_table *t, const struct hdr_arp *arp, uint64_t now,
		 struct neigh_result *out);

/* Emits what is due, at most 32 packets at a time. Returns when to call again. */
uint64_t neigh_run(struct neigh_table *t, uint64_t now, neigh_emit_fn emit, void *arg);

#endif
