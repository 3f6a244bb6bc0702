/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The host side of IGMP, with a model of a version 3 router that believes the reports, a list of
 * memberships as the oracle of the source filters, and everything a hostile link can send. One
 * cycle is one nanosecond.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ip/csum.h"
#include "ip/igmp.h"

#define HZ       1000000000ull
#define MS       1000000ull
#define SEC      HZ
#define G1       IP4_C(239, 1, 1, 1)
#define G2       IP4_C(239, 1, 1, 2)
#define S1       IP4_C(10, 1, 0, 1)
#define S2       IP4_C(10, 1, 0, 2)
#define S3       IP4_C(10, 1, 0, 3)
#define QUERIER  IP4_C(10, 0, 0, 254)
#define SENT_MAX 4096

struct sent {
	uint64_t at;
	be32_t dst;
	size_t len;
	uint8_t p[IGMP_PAYLOAD_MAX];
};

static struct igmp *g;
static struct rng rng;
static uint64_t now;
static struct sent sent[SENT_MAX];
static uint32_t n_sent;
static uint32_t max_payload = IGMP_PAYLOAD_MAX;

static void
capture(void *arg, be32_t dst, const void *p, size_t len)
{
	CU_ASSERT_PTR_EQUAL_FATAL(arg, sent);
	CU_ASSERT_FATAL(len <= max_payload);
	if (!csum_ok(csum_partial(p, len, 0)))
		CU_FAIL("checksum");
	if (n_sent < SENT_MAX) {
		sent[n_sent].at = now;
		sent[n_sent].dst = dst;
		sent[n_sent].len = len;
		memcpy(sent[n_sent].p, p, len);
	}
	n_sent++;
}

static void
setup(uint32_t groups, uint32_t sources)
{
	free(g);
	g = malloc(igmp_bytes(groups, sources));
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	now = 3 * SEC;
	rng_seed(&rng, 42);
	CU_ASSERT_PTR_EQUAL(igmp_init(g, groups, sources, max_payload, HZ, &rng, now), g);
	n_sent = 0;
}

static void
run_until(uint64_t until)
{
	uint32_t rounds = 0;

	while (igmp_next_due(g) <= until) {
		now = ZF_MAX(now, igmp_next_due(g));
		(void)igmp_run(g, now, capture, sent);
		if (++rounds > 1000000)
			CU_FAIL_FATAL("does not come to rest");
	}
	now = until;
}

static void
run_for(uint64_t ns)
{
	run_until(now + ns);
}

/* ---- what was sent ---- */

struct record {
	unsigned type;
	be32_t group;
	unsigned n;
	be32_t sources[IGMP_GROUP_SOURCES_MAX];
};

/* The @k-th record of a version 3 report; fails on anything malformed. */
static struct record
record_of(const struct sent *s, unsigned k)
{
	struct hdr_igmp3_report h;
	struct record out = {0};
	size_t at = sizeof(h);

	memcpy(&h, s->p, sizeof(h));
	CU_ASSERT_FATAL(s->len >= sizeof(h) && h.type == IGMP_MSG_REPORT_V3);
	CU_ASSERT(be32_eq(s->dst, IP4_IGMPV3));
	CU_ASSERT_FATAL(k < be16_host(h.n_records));
	for (unsigned i = 0; i < be16_host(h.n_records); i++) {
		struct hdr_igmp3_record r;
		size_t n;

		CU_ASSERT_FATAL(at + sizeof(r) <= s->len);
		memcpy(&r, s->p + at, sizeof(r));
		at += sizeof(r);
		n = be16_host(r.n_sources);
		CU_ASSERT_FATAL(r.aux_words == 0 && n <= IGMP_GROUP_SOURCES_MAX &&
				at + 4 * n <= s->len);
		if (i == k) {
			out.type = r.type;
			out.group = r.group;
			out.n = (unsigned)n;
			memcpy(out.sources, s->p + at, 4 * n);
		}
		at += 4 * n;
	}
	CU_ASSERT_EQUAL(at, s->len);
	return out;
}

static unsigned
n_records(const struct sent *s)
{
	struct hdr_igmp3_report h;

	memcpy(&h, s->p, sizeof(h));
	return s->p[0] == IGMP_MSG_REPORT_V3 ? be16_host(h.n_records) : 0;
}

static bool
has_source(const struct record *r, be32_t s)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (be32_eq(r->sources[i], s))
			return true;
	}
	return false;
}

/* The report @i is a single record of this type about @group, with @n sources. */
static bool
is_single(uint32_t i, unsigned type, be32_t group, unsigned n)
{
	struct record r;

	CU_ASSERT_FATAL(i < n_sent);
	r = record_of(&sent[i], 0);
	return n_records(&sent[i]) == 1 && r.type == type && be32_eq(r.group, group) && r.n == n;
}

static bool
is_legacy(uint32_t i, uint8_t type, be32_t group, be32_t dst)
{
	struct hdr_igmp h;

	CU_ASSERT_FATAL(i < n_sent);
	memcpy(&h, sent[i].p, sizeof(h));
	return sent[i].len == sizeof(h) && h.type == type && h.code == 0 &&
	       be32_eq(h.group, group) && be32_eq(sent[i].dst, dst);
}

/* ---- what arrives ---- */

static enum igmp_result
receive(const struct igmp_ip *ip, void *p, size_t len, bool good_csum)
{
	be16_t c = {0};

	if (good_csum && len >= 4) {
		memcpy((uint8_t *)p + 2, &c, 2);
		c = csum_finish(csum_partial(p, len, 0));
		memcpy((uint8_t *)p + 2, &c, 2);
	}
	return igmp_input(g, ip, p, len, now);
}

static struct igmp_ip
from_querier(be32_t dst)
{
	return (struct igmp_ip){
		.src = QUERIER, .dst = dst, .ttl = 1, .router_alert = true, .src_on_link = true};
}

static enum igmp_result
query3(be32_t group, uint8_t code, const be32_t *sources, unsigned n)
{
	struct igmp_ip ip = from_querier(be32_is_zero(group) ? IP4_ALL_HOSTS : group);
	uint8_t p[12 + 4 * 64] = {IGMP_MSG_QUERY, code};

	memcpy(p + 4, &group, 4);
	p[8] = 2;
	p[9] = 125;
	p[11] = (uint8_t)n;
	if (n != 0)
		memcpy(p + 12, sources, 4 * n);
	return receive(&ip, p, 12 + 4 * n, true);
}

static enum igmp_result
query_old(be32_t group, uint8_t code)
{
	struct igmp_ip ip = from_querier(be32_is_zero(group) ? IP4_ALL_HOSTS : group);
	uint8_t p[8] = {IGMP_MSG_QUERY, code};

	ip.router_alert = code != 0;
	memcpy(p + 4, &group, 4);
	return receive(&ip, p, sizeof(p), true);
}

static int
join(be32_t group)
{
	return igmp_join(g, group, IGMP_EXCLUDE, NULL, 0, now);
}

static int
leave(be32_t group)
{
	return igmp_leave(g, group, IGMP_EXCLUDE, NULL, 0, now);
}

static int
join_source(be32_t group, be32_t s)
{
	return igmp_join(g, group, IGMP_INCLUDE, &s, 1, now);
}

static int
leave_source(be32_t group, be32_t s)
{
	return igmp_leave(g, group, IGMP_INCLUDE, &s, 1, now);
}

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

/* ---- queries ---- */

static void
general_query_is_answered_in_time(void)
{
	uint64_t first = 0;
	bool same = true;

	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S1), 0);
	run_for(5 * SEC);
	for (int i = 0; i < 50; i++) {
		uint64_t asked = now;
		struct record r0, r1;

		n_sent = 0;
		CU_ASSERT_EQUAL(query3(IP4_ANY, 100, NULL, 0), IGMP_IN_HANDLED);
		run_for(20 * SEC);
		CU_ASSERT_EQUAL_FATAL(n_sent, 1);
		CU_ASSERT(sent[0].at - asked <= 10 * SEC + MS);
		CU_ASSERT_EQUAL(n_records(&sent[0]), 2);
		r0 = record_of(&sent[0], 0);
		r1 = record_of(&sent[0], 1);
		CU_ASSERT((r0.type == IGMP_REC_IS_EX && r0.n == 0 && r1.type == IGMP_REC_IS_IN &&
			   r1.n == 1) ||
			  (r1.type == IGMP_REC_IS_EX && r1.n == 0 && r0.type == IGMP_REC_IS_IN &&
			   r0.n == 1));
		if (i == 0)
			first = sent[0].at - asked;
		same &= sent[0].at - asked == first;
	}
	CU_ASSERT_FALSE(same);
	/* A hurried query is not put off by a patient one, and the other way round. */
	for (int i = 0; i < 20; i++) {
		uint64_t asked = now;

		n_sent = 0;
		CU_ASSERT_EQUAL(query3(IP4_ANY, i & 1 ? 1 : 127, NULL, 0), IGMP_IN_HANDLED);
		CU_ASSERT_EQUAL(query3(IP4_ANY, i & 1 ? 127 : 1, NULL, 0), IGMP_IN_HANDLED);
		run_for(20 * SEC);
		CU_ASSERT_EQUAL_FATAL(n_sent, 1);
		CU_ASSERT(sent[0].at - asked <= 100 * MS + MS);
	}
}

static void
group_query_is_answered_for_that_group(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join(G2), 0);
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(query3(IP4_C(239, 9, 9, 9), 10, NULL, 0), IGMP_IN_OTHER);
	CU_ASSERT_EQUAL(query3(G2, 10, NULL, 0), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(query3(G2, 10, NULL, 0), IGMP_IN_HANDLED);
	run_for(SEC + MS);
	CU_ASSERT_EQUAL(n_sent, 1);
	CU_ASSERT(is_single(0, IGMP_REC_IS_EX, G2, 0));
	CU_ASSERT_EQUAL(leave(G2), 0);
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(query3(G2, 10, NULL, 0), IGMP_IN_OTHER);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 0);
}

static void
source_query_is_answered_for_those_sources(void)
{
	be32_t many[40];
	struct record r;

	setup(8, 80);
	CU_ASSERT_EQUAL(igmp_join(g, G1, IGMP_INCLUDE, (be32_t[]){S1, S2}, 2, now), 0);
	CU_ASSERT_EQUAL(igmp_join(g, G2, IGMP_EXCLUDE, (be32_t[]){S1}, 1, now), 0);
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S1, S3}, 2), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT(is_single(0, IGMP_REC_IS_IN, G1, 1));
	r = record_of(&sent[0], 0);
	CU_ASSERT(has_source(&r, S1));
	CU_ASSERT_EQUAL(query3(G2, 10, (be32_t[]){S1, S3}, 2), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT(is_single(1, IGMP_REC_IS_IN, G2, 1));
	r = record_of(&sent[1], 0);
	CU_ASSERT(has_source(&r, S3));
	/* Nothing to say: nothing is said. */
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S3}, 1), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	/* Two queries at once are joined; one about the whole group takes over. */
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S1}, 1), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S2}, 1), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(n_sent, 3);
	CU_ASSERT(is_single(2, IGMP_REC_IS_IN, G1, 2));
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S1}, 1), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(query3(G1, 10, NULL, 0), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(query3(G1, 10, (be32_t[]){S1}, 1), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(n_sent, 4);
	CU_ASSERT(is_single(3, IGMP_REC_IS_IN, G1, 2));
	/* More than is remembered: answered for the group. */
	for (unsigned i = 0; i < 40; i++)
		many[i] = be32_from(0x0a090000 + i);
	CU_ASSERT_EQUAL(query3(G1, 10, many, 40), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT(is_single(4, IGMP_REC_IS_IN, G1, 2));
}

static void
max_resp_codes(void)
{
	static const struct {
		uint8_t code;
		uint32_t tenths;
	} codes[] = {{0, 1},      {1, 1},        {127, 127},  {128, 128},
		     {0x8f, 248}, {0xf0, 16384}, {255, 31744}};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(codes); i++) {
		uint64_t latest = 0;

		setup(8, 8);
		CU_ASSERT_EQUAL(join(G1), 0);
		run_for(5 * SEC);
		for (int k = 0; k < 200; k++) {
			uint64_t asked = now;

			n_sent = 0;
			CU_ASSERT_EQUAL(query3(IP4_ANY, codes[i].code, NULL, 0), IGMP_IN_HANDLED);
			run_for(4000 * SEC);
			CU_ASSERT_EQUAL_FATAL(n_sent, 1);
			latest = ZF_MAX(latest, sent[0].at - asked);
		}
		CU_ASSERT(latest <= codes[i].tenths * 100 * MS + MS);
		CU_ASSERT(codes[i].code == 0 || latest > codes[i].tenths * 80 * MS);
	}
}

static void
many_groups_in_few_packets(void)
{
	uint32_t seen[200] = {0};
	uint32_t wrong = 0;

	max_payload = IGMP_PAYLOAD_MIN;
	setup(200, 200 * 5);
	for (uint32_t i = 0; i < 200; i++) {
		be32_t s[5] = {S1, S2, S3, QUERIER, be32_from(0x0a000000 + i)};

		CU_ASSERT_EQUAL(
			igmp_join(g, be32_from(0xef010000 + i), IGMP_INCLUDE, s, i % 5 + 1, now),
			0);
	}
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(query3(IP4_ANY, 100, NULL, 0), IGMP_IN_HANDLED);
	run_for(20 * SEC);
	CU_ASSERT(n_sent >= 7 && n_sent <= 10);
	for (uint32_t p = 0; p < n_sent; p++) {
		for (unsigned k = 0; k < n_records(&sent[p]); k++) {
			struct record r = record_of(&sent[p], k);
			uint32_t i = be32_host(r.group) - 0xef010000;

			CU_ASSERT_FATAL(i < 200);
			seen[i]++;
			wrong += r.type != IGMP_REC_IS_IN || r.n != i % 5 + 1;
		}
	}
	for (uint32_t i = 0; i < 200; i++)
		wrong += seen[i] != 1;
	CU_ASSERT_EQUAL(wrong, 0);
	max_payload = IGMP_PAYLOAD_MAX;
}

static void
query_flood_is_bounded(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S1), 0);
	run_for(5 * SEC);
	n_sent = 0;
	for (int i = 0; i < 100000; i++) {
		(void)query3(IP4_ANY, (uint8_t)(i & 1), NULL, 0);
		(void)query3(G1, 0, NULL, 0);
		(void)query3(G2, 0, (be32_t[]){S1}, 1);
		run_for(MS / 10);
	}
	CU_ASSERT(n_sent >= 20);
	CU_ASSERT(n_sent <= 3 * 101);
}

static void
refused_messages(void)
{
	uint8_t good[20] = {
		IGMP_MSG_QUERY, 10, 0, 0, 239, 1, 1, 1, 2, 125, 0, 2, 10, 1, 0, 1, 10, 1, 0, 2};
	struct igmp_ip from = from_querier(G1);
	struct igmp_ip ip;
	uint8_t p[20];

	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	run_for(5 * SEC);
	n_sent = 0;
#define REFUSE(len, good_csum, ...)                                                                \
	do {                                                                                       \
		memcpy(p, good, sizeof(p));                                                        \
		ip = from;                                                                         \
		__VA_ARGS__;                                                                       \
		CU_ASSERT_EQUAL(receive(&ip, p, len, good_csum), IGMP_IN_BAD);                     \
	} while (0)
	for (size_t len = 0; len < 8; len++)
		REFUSE(len, true);
	for (size_t len = 9; len < 20; len++)
		REFUSE(len, true); /* between the versions, or more sources than payload */
	REFUSE(20, true, p[11] = 3);
	REFUSE(20, true, p[10] = 0xff);
	REFUSE(20, false);
	REFUSE(20, true, ip.ttl = 2);
	REFUSE(20, true, ip.ttl = 0);
	REFUSE(20, true, ip.ttl = 255);
	REFUSE(20, true, ip.router_alert = false);
	REFUSE(8, true, ip.router_alert = false);
	REFUSE(20, true, ip.src_on_link = false);
	REFUSE(20, true, ip.src = G2);
	REFUSE(20, true, ip.dst = G2);
	REFUSE(20, true, p[4] = 10);                      /* no group */
	REFUSE(20, true, memset(p + 4, 0, 4));            /* sources of no group */
	REFUSE(12, true, memset(p + 4, 0, 4), p[11] = 0); /* general, but not to all hosts */
	REFUSE(8, true, p[1] = 0);                        /* version 1, likewise */
	REFUSE(8, true, p[0] = IGMP_MSG_REPORT_V2, p[4] = 10);
	REFUSE(8, true, p[0] = IGMP_MSG_REPORT_V2, ip.dst = G2);
#undef REFUSE
	run_for(60 * SEC);
	CU_ASSERT_EQUAL(n_sent, 0);
	CU_ASSERT_EQUAL(igmp_version(g, now), 3);
	/* And the same once as it should be; from 0.0.0.0, as a switch asks, and to our own
	 * address. */
	memcpy(p, good, sizeof(p));
	ip = from;
	ip.src = IP4_ANY;
	ip.src_on_link = false;
	ip.dst = IP4_C(10, 0, 0, 1);
	ip.dst_is_ours = true;
	CU_ASSERT_EQUAL(receive(&ip, p, 20, true), IGMP_IN_HANDLED);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 1);
	for (unsigned type = 0; type < 256; type++) {
		enum igmp_result r;

		memcpy(p, good, sizeof(p));
		p[0] = (uint8_t)type;
		r = receive(&from, p, 20, true);
		CU_ASSERT(type == IGMP_MSG_QUERY ? r == IGMP_IN_HANDLED : r == IGMP_IN_OTHER);
	}
}

/* ---- older queriers ---- */

static void
version_2_querier(void)
{
	struct igmp_ip from = from_querier(G1);
	uint8_t report[8] = {IGMP_MSG_REPORT_V2, 0, 0, 0, 239, 1, 1, 1};

	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S1), 0);
	run_for(5 * SEC);
	n_sent = 0;
	CU_ASSERT_EQUAL(query_old(IP4_ANY, 100), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(igmp_version(g, now), 2);
	run_for(11 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 2);
	CU_ASSERT(is_legacy(0, IGMP_MSG_REPORT_V2, G1, G1) ||
		  is_legacy(0, IGMP_MSG_REPORT_V2, G2, G2));
	CU_ASSERT(is_legacy(1, IGMP_MSG_REPORT_V2, G1, G1) ||
		  is_legacy(1, IGMP_MSG_REPORT_V2, G2, G2));
	CU_ASSERT_NOT_EQUAL(sent[0].at, sent[1].at);

	/* A group's query, in the old form and in the new. */
	n_sent = 0;
	CU_ASSERT_EQUAL(query_old(G1, 10), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(query3(G1, 10, NULL, 0), IGMP_IN_HANDLED);
	run_for(2 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	CU_ASSERT(is_legacy(1, IGMP_MSG_REPORT_V2, G1, G1));

	/* Another host answers first: then it is also the one that says goodbye. */
	CU_ASSERT_EQUAL(query_old(G1, 100), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(receive(&from, report, sizeof(report), true), IGMP_IN_HANDLED);
	run_for(20 * SEC);
	CU_ASSERT_EQUAL(leave(G1), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	CU_ASSERT_EQUAL(leave_source(G2, S1), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 3);
	CU_ASSERT(is_legacy(2, IGMP_MSG_LEAVE_V2, G2, IP4_ALL_ROUTERS));

	n_sent = 0;
	CU_ASSERT_EQUAL(join(G1), 0);
	run_for(5 * SEC);
	CU_ASSERT_EQUAL(n_sent, 2);
	CU_ASSERT(is_legacy(0, IGMP_MSG_REPORT_V2, G1, G1));
	CU_ASSERT(is_legacy(1, IGMP_MSG_REPORT_V2, G1, G1));

	/* It has gone: 2 * 125 s and its response time later the new version is spoken again. */
	run_for(261 * SEC);
	CU_ASSERT_EQUAL(igmp_version(g, now), 3);
	n_sent = 0;
	CU_ASSERT_EQUAL(join(G2), 0);
	run_for(5 * SEC);
	CU_ASSERT(is_single(0, IGMP_REC_TO_EX, G2, 0));
}

static void
version_1_querier(void)
{
	setup(8, 8);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(query_old(IP4_ANY, 0), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(igmp_version(g, now), 1);
	run_for(11 * SEC);
	CU_ASSERT_EQUAL_FATAL(n_sent, 1); /* the reports of the new version were cancelled */
	CU_ASSERT(is_legacy(0, IGMP_MSG_REPORT_V1, G1, G1));
	CU_ASSERT_EQUAL(query_old(IP4_ANY, 100), IGMP_IN_HANDLED);
	CU_ASSERT_EQUAL(igmp_version(g, now), 1);
	CU_ASSERT_EQUAL(leave(G1), 0);
	run_for(20 * SEC);
	CU_ASSERT_EQUAL(n_sent, 1); /* which knows no leave */
	run_for(600 * SEC);
	CU_ASSERT_EQUAL(igmp_version(g, now), 3);
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

static atomic_bool reader_stop;
static atomic_uint reader_wrong;

static void *
reader(void *arg)
{
	(void)arg;
	while (!atomic_load(&reader_stop)) {
		if (!igmp_wants(g, G1, S1) || !igmp_wants(g, G2, S2))
			atomic_fetch_add(&reader_wrong, 1);
	}
	return NULL;
}

static void
readers_never_miss_a_member(void)
{
	pthread_t thread;

	setup(16, 16);
	CU_ASSERT_EQUAL(join(G1), 0);
	CU_ASSERT_EQUAL(join_source(G2, S2), 0);
	atomic_store(&reader_stop, false);
	atomic_store(&reader_wrong, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, NULL), 0);
	for (int i = 0; i < 200000; i++) {
		be32_t group = be32_from(0xef010102 + (uint32_t)i % 12);

		(void)join(group);
		(void)join_source(G2, S1);
		(void)leave_source(G2, S1);
		(void)leave(group);
	}
	atomic_store(&reader_stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(atomic_load(&reader_wrong), 0);
	free(g);
	g = NULL;
}

static const struct unit_test tests[] = {
	UNIT(join_is_told_twice),
	UNIT(only_first_and_last_member_speak),
	UNIT(sources_come_and_go),
	UNIT(wrong_arguments),
	UNIT(all_hosts_is_never_told),
	UNIT(full_tables),
	UNIT(link_up_tells_again),
	UNIT(random_memberships_match_oracle_and_router),
	UNIT(general_query_is_answered_in_time),
	UNIT(group_query_is_answered_for_that_group),
	UNIT(source_query_is_answered_for_those_sources),
	UNIT(max_resp_codes),
	UNIT(many_groups_in_few_packets),
	UNIT(query_flood_is_bounded),
	UNIT(refused_messages),
	UNIT(version_2_querier),
	UNIT(version_1_querier),
	UNIT(random_messages),
	UNIT(readers_never_miss_a_member),
};

UNIT_MAIN("igmp", tests)
