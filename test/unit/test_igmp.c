/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memberships, with a list of them as the oracle of the source filters and a model of a version 3
 * router that believes the reports; everything at random. Queries have test_igmp_query.c.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "igmp_link.h"

/* ---- memberships and unsolicited reports ---- */

static void
join_is_told_twice(void)
{
	static const uint8_t want[] = {0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1};
	uint8_t got[16];

	setup(8, 8);
	CU_ASSERT_FALSE(igmp_wants(g, G1, S1));
	CU_ASSERT_FALSE(igmp_has_group(g, G1));
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_TRUE(igmp_wants(g, G1, S1));
	CU_ASSERT_TRUE(igmp_has_group(g, G1));
	CU_ASSERT_FALSE(igmp_wants(g, G2, S1));
	CU_ASSERT(igmp_next_due(g) <= now);
	run_for(0);
	CU_ASSERT_EQUAL(n_sent, 1);
	run_for(10 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 2);
	CU_ASSERT_EQUAL(sent[0].len, sizeof(want));
	memcpy(got, sent[0].p, sizeof(got));
	got[2] = got[3] = 0;
	CU_ASSERT(memcmp(got, want, sizeof(want)) == 0);
	CU_ASSERT(memcmp(sent[0].p, sent[1].p, sizeof(want)) == 0);
	CU_ASSERT(be32_eq(sent[0].dst, IP4_IGMPV3));
	CU_ASSERT(sent[1].at > sent[0].at && sent[1].at - sent[0].at <= SEC + MS);
	CU_ASSERT_EQUAL(igmp_next_due(g), UINT64_MAX);
}

static void
only_first_and_last_member_speak(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(leave(G1), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_TRUE(igmp_wants(g, G1, S1));
	CU_ASSERT_EQUAL(leave(G1), 0);
	CU_ASSERT_FALSE(igmp_wants(g, G1, S1));
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	CU_ASSERT(is_single(0, IGMP_REC_TO_IN, G1, 0));
	CU_ASSERT(is_single(1, IGMP_REC_TO_IN, G1, 0));
	CU_ASSERT_EQUAL(leave(G1), -ENOENT);
	CU_ASSERT_EQUAL(igmp_next_due(g), UINT64_MAX);
}

static void
sources_come_and_go(void)
{
	struct record r;

	setup(8, 8);
	CU_ASSERT_EQUAL(join_source(G1, S1), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	CU_ASSERT(is_single(0, IGMP_REC_ALLOW, G1, 1));
	CU_ASSERT_TRUE(igmp_wants(g, G1, S1));
	CU_ASSERT_FALSE(igmp_wants(g, G1, S2));
	CU_ASSERT_EQUAL(join_source(G1, S2), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 4);
	CU_ASSERT(is_single(2, IGMP_REC_ALLOW, G1, 1));
	r = record_of(&sent[2], 0);
	CU_ASSERT(has_source(&r, S2));

	/* Somebody wants everything but S3: the list is what none of the others wants either. */
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_EXCLUDE, (be32_t[]){S1, S3}, 2, now), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 6);
	CU_ASSERT(is_single(4, IGMP_REC_TO_EX, G1, 1));
	r = record_of(&sent[4], 0);
	CU_ASSERT(has_source(&r, S3));
	CU_ASSERT_TRUE(igmp_wants(g, G1, S1));
	CU_ASSERT_FALSE(igmp_wants(g, G1, S3));

	/* The one member of S1 goes: now nobody wants it. */
	CU_ASSERT_EQUAL(leave_source(G1, S1), 0);
	CU_ASSERT_FALSE(igmp_wants(g, G1, S1));
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 8);
	CU_ASSERT(is_single(6, IGMP_REC_BLOCK, G1, 1));

	CU_ASSERT_EQUAL(igmp_leave(g, G1, IGMP_EXCLUDE, (be32_t[]){S3, S1}, 2, now), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 10);
	CU_ASSERT(is_single(8, IGMP_REC_TO_IN, G1, 1));
	CU_ASSERT_EQUAL(leave_source(G1, S2), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 12);
	CU_ASSERT(is_single(10, IGMP_REC_BLOCK, G1, 1));
	CU_ASSERT_FALSE(igmp_has_group(g, G1));
}

static void
wrong_arguments(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(S1), -EINVAL);
	CU_ASSERT_EQUAL(join(IP4_ANY), -EINVAL);
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_INCLUDE, NULL, 0, now), -EINVAL);
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_INCLUDE, (be32_t[]){S1, S1}, 2, now), -EINVAL);
	CU_ASSERT_EQUAL(join_source(G1, G2), -EINVAL);
	CU_ASSERT_EQUAL(leave(G1), -ENOENT);
	CU_ASSERT_EQUAL(join_source(G1, S1), 0);
	CU_ASSERT_EQUAL(leave(G1), -ENOENT);
	CU_ASSERT_EQUAL(leave_source(G1, S2), -ENOENT);
	CU_ASSERT_EQUAL(igmp_leave(g, G1, IGMP_INCLUDE, (be32_t[]){S1, S2}, 2, now), -ENOENT);
	CU_ASSERT_TRUE(igmp_wants(g, G1, S1));
}

static void
all_hosts_is_never_told(void)
{
	setup(8, 8);
	CU_ASSERT_TRUE(igmp_wants(g, IP4_ALL_HOSTS, S1));
	CU_ASSERT_EQUAL(join(IP4_ALL_HOSTS), 0);
	CU_ASSERT_EQUAL(query3(IP4_ANY, 10, NULL, 0), IGMP_IN_OTHER);
	CU_ASSERT_EQUAL(leave(IP4_ALL_HOSTS), 0);
	run_for(60 * SEC);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_TRUE(igmp_has_group(g, IP4_ALL_HOSTS));
}

static void
full_tables(void)
{
	be32_t many[IGMP_GROUP_SOURCES_MAX + 1];

	setup(2, 3);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join(G2), 0);
	CU_ASSERT_EQUAL(join(IP4_C(239, 1, 1, 3)), -ENOBUFS);
	run_for(5 * SEC);
	/* A farewell still to be told does not keep the room. */
	CU_ASSERT_EQUAL(leave(G1), 0);
	CU_ASSERT_EQUAL(join(IP4_C(239, 1, 1, 3)), 0);
	CU_ASSERT_EQUAL(igmp_join(g, G2, IGMP_INCLUDE, (be32_t[]){S1, S2, S3, QUERIER}, 4, now),
			-ENOBUFS);
	CU_ASSERT_EQUAL(igmp_join(g, G2, IGMP_INCLUDE, (be32_t[]){S1, S2, S3}, 3, now), 0);
	CU_ASSERT_EQUAL(join_source(G2, QUERIER), -ENOBUFS);
	CU_ASSERT_EQUAL(leave(G2), 0); /* now the sources are listed */
	CU_ASSERT_EQUAL(igmp_leave(g, G2, IGMP_INCLUDE, (be32_t[]){S1, S2, S3}, 3, now), 0);
	CU_ASSERT_EQUAL(join_source(G2, QUERIER), 0);
	CU_ASSERT_TRUE(igmp_wants(g, G2, QUERIER));
	CU_ASSERT_FALSE(igmp_wants(g, G2, S1));

	setup(2, 200);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(many); i++)
		many[i] = be32_from(0x0a020000 + i);
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_INCLUDE, many, ZF_ARRAY_SIZE(many), now), -ENOBUFS);
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_INCLUDE, many, IGMP_GROUP_SOURCES_MAX, now), 0);
	CU_ASSERT_EQUAL(join_source(G1, many[IGMP_GROUP_SOURCES_MAX]), -ENOBUFS);
	CU_ASSERT_EQUAL(join_source(G1, many[3]), 0);
	run_for(5 * SEC);
	CU_ASSERT(is_single(0, IGMP_REC_ALLOW, G1, IGMP_GROUP_SOURCES_MAX));
}

static void
link_up_tells_again(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S1), 0);
	run_for(5 * SEC);
	n_sent = 0;
	igmp_link_up(g, now);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 4);
	for (uint32_t i = 0; i < n_sent; i++)
		CU_ASSERT(is_single(i, IGMP_REC_TO_EX, G1, 0) ||
			  is_single(i, IGMP_REC_ALLOW, G2, 1));
}

/* ---- a router that believes everything, and loses one report of two ---- */

#define UNIVERSE 6

struct router {
	bool exclude;
	bool listed[UNIVERSE];
};

static unsigned
universe_of(be32_t s)
{
	return be32_host(s) - 0x0a010000;
}

static void
router_hears(struct router *r, const struct record *rec)
{
	switch (rec->type) {
	case IGMP_REC_TO_IN:
	case IGMP_REC_IS_IN:
	case IGMP_REC_TO_EX:
	case IGMP_REC_IS_EX:
		r->exclude = rec->type == IGMP_REC_TO_EX || rec->type == IGMP_REC_IS_EX;
		memset(r->listed, 0, sizeof(r->listed));
		for (unsigned i = 0; i < rec->n; i++)
			r->listed[universe_of(rec->sources[i])] = true;
		break;
	case IGMP_REC_ALLOW:
	case IGMP_REC_BLOCK:
		for (unsigned i = 0; i < rec->n; i++)
			r->listed[universe_of(rec->sources[i])] =
				(rec->type == IGMP_REC_ALLOW) != r->exclude;
		break;
	default:
		CU_FAIL("record type");
	}
}

struct membership {
	bool used;
	enum igmp_mode mode;
	unsigned n;
	be32_t sources[UNIVERSE];
};

static bool
membership_wants(const struct membership *m, be32_t s)
{
	for (unsigned i = 0; i < m->n; i++) {
		if (be32_eq(m->sources[i], s))
			return m->mode == IGMP_INCLUDE;
	}
	return m->mode == IGMP_EXCLUDE;
}

static void
random_memberships_match_oracle_and_router(void)
{
	struct rng r;
	uint32_t wrong = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct membership m[8] = {0};
		struct router router = {0};
		uint32_t heard = 0;
		bool lost_last = false;

		rng_seed(&r, seed);
		setup(4, 16);
		for (int step = 0; step < 400; step++) {
			struct membership *one = &m[rng_below(&r, ZF_ARRAY_SIZE(m))];

			if (one->used) {
				CU_ASSERT_EQUAL(
					igmp_leave(g, G1, one->mode, one->sources, one->n, now), 0);
				one->used = false;
			} else {
				one->used = true;
				one->mode = rng_below(&r, 3) == 0 ? IGMP_EXCLUDE : IGMP_INCLUDE;
				one->n = 0;
				for (uint32_t s = 0; s < UNIVERSE; s++) {
					if (rng_below(&r, 3) == 0)
						one->sources[one->n++] = be32_from(0x0a010000 + s);
				}
				if (one->n == 0)
					one->mode = IGMP_EXCLUDE;
				CU_ASSERT_EQUAL(
					igmp_join(g, G1, one->mode, one->sources, one->n, now), 0);
			}
			for (uint32_t s = 0; s < UNIVERSE; s++) {
				be32_t src = be32_from(0x0a010000 + s);
				bool want = false;

				for (unsigned k = 0; k < ZF_ARRAY_SIZE(m); k++)
					want |= m[k].used && membership_wants(&m[k], src);
				wrong += igmp_wants(g, G1, src) != want;
			}
			run_for(rng_below(&r, 5) == 0 ? 10 * SEC : rng_below(&r, SEC));
			for (; heard < n_sent; heard++) {
				/* Robustness 2: one of any two may get lost. */
				if (!lost_last && rng_below(&r, 3) == 0) {
					lost_last = true;
					continue;
				}
				lost_last = false;
				for (unsigned k = 0; k < n_records(&sent[heard]); k++) {
					struct record rec = record_of(&sent[heard], k);

					router_hears(&router, &rec);
				}
			}
			if (igmp_next_due(g) != UINT64_MAX)
				continue;
			heard = n_sent = 0;
			for (uint32_t s = 0; s < UNIVERSE; s++)
				wrong += igmp_wants(g, G1, be32_from(0x0a010000 + s)) !=
					 (router.listed[s] != router.exclude);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* ---- everything at once ---- */

static void
random_messages(void)
{
	struct rng r;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		uint32_t joined[8] = {0};

		rng_seed(&r, seed);
		setup(4, 12);
		for (int step = 0; step < 20000; step++) {
			static const uint8_t types[] = {0x11, 0x11, 0x11, 0x12,
							0x16, 0x17, 0x22, 0};
			uint32_t i = (uint32_t)rng_below(&r, 8);
			be32_t group = be32_from(0xef010100 + i);
			struct igmp_ip ip = from_querier(rng_below(&r, 2) ? group : IP4_ALL_HOSTS);
			uint8_t p[64];
			size_t len = rng_below(&r, sizeof(p) + 1);

			for (size_t k = 0; k < sizeof(p); k++)
				p[k] = (uint8_t)rng_next64(&r);
			p[0] = types[rng_below(&r, 8)];
			if (rng_below(&r, 2))
				memcpy(p + 4, &group, 4);
			if (rng_below(&r, 2))
				memset(p + 4, 0, 4);
			if (rng_below(&r, 4) != 0)
				p[10] = 0;
			ip.router_alert = rng_below(&r, 8) != 0;
			if (rng_below(&r, 3) == 0)
				len = 8;
			(void)receive(&ip, p, len, rng_below(&r, 8) != 0);
			if (rng_below(&r, 4) == 0 && joined[i] < 3) {
				joined[i] +=
					igmp_join(g, group, i & 1 ? IGMP_INCLUDE : IGMP_EXCLUDE,
						  (be32_t[]){S1, S2}, 1 + (i & 1), now) == 0;
			} else if (rng_below(&r, 4) == 0 && joined[i] != 0) {
				joined[i]--;
				CU_ASSERT_EQUAL(igmp_leave(g, group,
							   i & 1 ? IGMP_INCLUDE : IGMP_EXCLUDE,
							   (be32_t[]){S1, S2}, 1 + (i & 1), now),
						0);
			}
			CU_ASSERT_EQUAL(igmp_has_group(g, group), joined[i] != 0);
			if (rng_below(&r, 100) == 0)
				igmp_link_up(g, now);
			run_for(rng_below(&r, rng_below(&r, 50) == 0 ? 400 * SEC : 200 * MS));
		}
		for (uint32_t i = 0; i < 8; i++) {
			while (joined[i] != 0) {
				joined[i]--;
				(void)igmp_leave(g, be32_from(0xef010100 + i),
						 i & 1 ? IGMP_INCLUDE : IGMP_EXCLUDE,
						 (be32_t[]){S1, S2}, 1 + (i & 1), now);
			}
		}
		run_for(40000 * SEC);
		CU_ASSERT_EQUAL(igmp_next_due(g), UINT64_MAX);
	}
}

#define READS 100000

static atomic_bool reader_done;
static atomic_uint reader_wrong;

static void *
reader(void *arg)
{
	(void)arg;
	for (int k = 0; k < READS; k++) {
		if (!igmp_wants(g, G1, S1) || !igmp_wants(g, G2, S2))
			atomic_fetch_add(&reader_wrong, 1);
	}
	atomic_store(&reader_done, true);
	return NULL;
}

static void
readers_never_miss_a_member(void)
{
	pthread_t thread;

	setup(16, 16);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S2), 0);
	atomic_store(&reader_done, false);
	atomic_store(&reader_wrong, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, NULL), 0);
	/* The reader sets the pace; the bound is some ten seconds. */
	for (uint32_t i = 0; i < 20000000 && !atomic_load(&reader_done); i++) {
		be32_t group = be32_from(0xef010102 + i % 12);

		(void)join(group);
		(void)join_source(G2, S1);
		(void)leave_source(G2, S1);
		(void)leave(group);
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(atomic_load(&reader_wrong), 0);
	free(g);
	g = NULL;
}

static const struct unit_test tests[] = {
	UNIT(join_is_told_twice),      UNIT(only_first_and_last_member_speak),
	UNIT(sources_come_and_go),     UNIT(wrong_arguments),
	UNIT(all_hosts_is_never_told), UNIT(full_tables),
	UNIT(link_up_tells_again),     UNIT(random_memberships_match_oracle_and_router),
	UNIT(random_messages),         UNIT(readers_never_miss_a_member),
};

UNIT_MAIN("igmp", tests)
