/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What neigh.c (the table) and neigh_talk.c (ARP) share; nobody else includes this.
 */
#ifndef ZF_IP_NEIGH_STATE_H
#define ZF_IP_NEIGH_STATE_H

#include "ip/neigh.h"

/* One timer per entry and one per address of ours. */
enum neigh_timer {
	NEIGH_TIMER_ENTRY = 1,
	NEIGH_TIMER_ADDR = 2,
};

static inline uint64_t
neigh_cycles(const struct neigh_table *t, uint64_t ms)
{
	return t->hz * ms / 1000;
}

static inline int32_t
neigh_index(const struct neigh_table *t, const struct neigh_entry *e)
{
	return (int32_t)(e - t->entries);
}

static inline enum neigh_state
neigh_entry_state(const struct neigh_entry *e)
{
	uint8_t b[8];

	memcpy(b, &e->word, sizeof(b));
	return (enum neigh_state)b[6];
}

static inline struct eth_addr
neigh_entry_mac(const struct neigh_entry *e)
{
	struct eth_addr mac;

	memcpy(&mac, &e->word, sizeof(mac));
	return mac;
}

/* Writes the word that others read without a lock; @mac NULL: as it is. Returns whether holders
 * must know. */
bool neigh_entry_publish(struct neigh_table *t, struct neigh_entry *e, enum neigh_state state,
			 const struct eth_addr *mac);
struct neigh_entry *neigh_entry_find(struct neigh_table *t, be32_t ip);
/* A new entry without holders, at the cost of the oldest such if need be; NULL when all are held.
 */
struct neigh_entry *neigh_entry_new(struct neigh_table *t, be32_t ip);
/* Only one without holders. */
void neigh_entry_free(struct neigh_table *t, struct neigh_entry *e);
void neigh_entry_arm_ask(struct neigh_table *t, struct neigh_entry *e, uint64_t now);
void neigh_entry_arm_forget(struct neigh_table *t, struct neigh_entry *e);
void neigh_lru_append(struct neigh_table *t, struct neigh_entry *e);
void neigh_lru_remove(struct neigh_table *t, struct neigh_entry *e);
struct neigh_addr *neigh_addr_find(struct neigh_table *t, be32_t ip);
/* Ours with the longest prefix that covers @ip, else any, else NULL. */
const struct neigh_addr *neigh_addr_towards(const struct neigh_table *t, be32_t ip, bool *on_link);
/* The network's or the broadcast address of one of our subnets. */
bool neigh_addr_is_edge(const struct neigh_table *t, be32_t ip);

#endif
