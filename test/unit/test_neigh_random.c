/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The neighbour table under anything in any order, and under readers in other threads.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "neigh_link.h"

#define HOSTS 24

/* Free list, hash and age list each hold exactly what they should. */
static void
check_structure(void)
{
	uint32_t n_free = 0, n_lru = 0, n_unheld = 0, n_hashed = 0;
	const int32_t *heads = (const void *)&tbl->entries[tbl->n_entries];

	for (int32_t i = tbl->free_head; i >= 0 && n_free <= tbl->n_entries; n_free++)
		i = tbl->entries[i].hash_next;
	for (int32_t i = tbl->lru_head; i >= 0 && n_lru <= tbl->n_entries; n_lru++) {
		CU_ASSERT_EQUAL(tbl->entries[i].refs, 0);
		i = tbl->entries[i].lru_next;
	}
	for (uint32_t h = 0; h <= tbl->hash_mask; h++) {
		for (int32_t i = heads[h]; i >= 0 && n_hashed <= tbl->n_entries; n_hashed++) {
			n_unheld += tbl->entries[i].refs == 0;
			i = tbl->entries[i].hash_next;
		}
	}
	CU_ASSERT_EQUAL(n_free + tbl->n_used, tbl->n_entries);
	CU_ASSERT_EQUAL(n_hashed, tbl->n_used);
	CU_ASSERT_EQUAL(n_lru, n_unheld);
}

/* What the world knows of each host. */
struct host {
	be32_t ip;
	int index;
	uint32_t refs;
	struct eth_addr seen;
	enum neigh_state told;
	uint64_t asked;
};

static struct host hosts[HOSTS];

static void
random_hold(struct host *h)
{
	int i = neigh_hold(tbl, h->ip, now);

	if (i < 0)
		return;
	CU_ASSERT(h->refs == 0 || h->index == i);
	h->index = i;
	h->refs++;
	h->told = neigh_get(tbl, i, &h->seen);
}

static void
random_step(struct rng *r, int step)
{
	struct host *h = &hosts[rng_below(r, HOSTS)];
	struct eth_addr mac = {{2, 0, 0, 0, (uint8_t)rng_below(r, 3), (uint8_t)(h - hosts)}};
	bool coin = rng_below(r, 2) != 0;

	switch (rng_below(r, 8)) {
	case 0:
	case 1:
		random_hold(h);
		break;
	case 2:
		if (h->refs != 0 && h->refs-- != 0)
			neigh_drop(tbl, h->index, now);
		break;
	case 3:
		(void)input(ARP_OP_REPLY, h->ip, &mac, OURS);
		break;
	case 4:
		(void)input(ARP_OP_REQUEST, h->ip, &mac, coin ? OURS : OTHER);
		break;
	case 5:
		if (h->refs != 0 && coin)
			neigh_want(tbl, h->index, now);
		else if (h->refs != 0)
			neigh_force_probe(tbl, h->index, now);
		break;
	case 6:
		if (step % 400 == 0)
			neigh_link_up(tbl, now);
		break;
	default:
		run_for(rng_below(r, rng_below(r, 10) == 0 ? 70 * SEC : SEC));
	}
}

/* At most one request per second and address. An eviction forgets that too: only without one is it
 * certain. */
static void
check_rate(void)
{
	for (uint32_t k = 0; k < n_sent && k < SENT_MAX; k++) {
		uint32_t to = be32_host(sent[k].arp.target_ip) - 0x0a000010;

		if (to >= HOSTS)
			continue;
		if (hosts[to].asked != 0 && sent[k].at - hosts[to].asked < SEC &&
		    tbl->evictions == 0)
			CU_FAIL("asked too often");
		hosts[to].asked = sent[k].at;
	}
	n_sent = 0;
}

/* What holders were told stays true until the generation moves. */
static void
check_generation(bool moved)
{
	for (struct host *h = hosts; h < hosts + HOSTS; h++) {
		struct eth_addr mac;
		enum neigh_state s;

		if (h->refs == 0)
			continue;
		s = neigh_get(tbl, h->index, &mac);
		if (!moved && ((s >= NEIGH_RESOLVED) != (h->told >= NEIGH_RESOLVED) ||
			       (s >= NEIGH_RESOLVED && !eth_addr_eq(&mac, &h->seen))))
			CU_FAIL("changed behind the generation");
		h->told = s;
		h->seen = mac;
	}
}

static void
anything_in_any_order(uint32_t n_entries, uint64_t seeds)
{
	struct rng r;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		uint32_t gen;

		rng_seed(&r, seed);
		setup_with_address(n_entries);
		memset(hosts, 0, sizeof(hosts));
		for (uint32_t k = 0; k < HOSTS; k++)
			hosts[k].ip = be32_from(0x0a000010 + k);
		gen = neigh_gen(tbl);
		for (int step = 0; step < 5000; step++) {
			random_step(&r, step);
			check_rate();
			check_generation(neigh_gen(tbl) != gen);
			gen = neigh_gen(tbl);
			if (step % 100 == 0)
				check_structure();
		}
		check_structure();
	}
}

static void
random_operations(void)
{
	anything_in_any_order(2 * HOSTS, 10);
}

static void
random_operations_in_a_small_table(void)
{
	anything_in_any_order(HOSTS / 2, 10);
}

#define READS 200000

static atomic_bool reader_done;
static atomic_uint reader_wrong;
static int reader_index;

static void *
reader(void *arg)
{
	(void)arg;
	for (int k = 0; k < READS; k++) {
		struct eth_addr mac = ETH_ADDR_ZERO;

		if (neigh_get(tbl, reader_index, &mac) < NEIGH_RESOLVED ||
		    (!eth_addr_eq(&mac, &mac_a) && !eth_addr_eq(&mac, &mac_b)))
			atomic_fetch_add(&reader_wrong, 1);
	}
	atomic_store(&reader_done, true);
	return NULL;
}

static void
readers_never_see_half_a_mac(void)
{
	uint32_t gen;
	pthread_t thread;

	setup_with_address(8);
	reader_index = resolved_peer();
	gen = neigh_gen(tbl);
	atomic_store(&reader_done, false);
	atomic_store(&reader_wrong, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, NULL), 0);
	/* The reader sets the pace; the bound is some ten seconds. */
	for (uint32_t k = 0; k < 2 || (k < 100000000 && !atomic_load(&reader_done)); k++) {
		now += 2 * SEC;
		(void)input(ARP_OP_REPLY, PEER, k & 1 ? &mac_a : &mac_b, OURS);
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(atomic_load(&reader_wrong), 0);
	CU_ASSERT_NOT_EQUAL(neigh_gen(tbl), gen);
	free(tbl);
	tbl = NULL;
}

static const struct unit_test tests[] = {
	UNIT(random_operations),
	UNIT(random_operations_in_a_small_table),
	UNIT(readers_never_see_half_a_mac),
};

UNIT_MAIN("neigh_random", tests)
