/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The world of the IGMP suites: a clock where one cycle is one nanosecond, a list in place of a
 * link, and a querier. Each suite includes it once.
 */
#ifndef ZF_TEST_IGMP_LINK_H
#define ZF_TEST_IGMP_LINK_H

#include "unit.h"

#include <errno.h>
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

static ZF_UNUSED void
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

static ZF_UNUSED void
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

static ZF_UNUSED void
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

static ZF_UNUSED void
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
static ZF_UNUSED struct record
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

static ZF_UNUSED unsigned
n_records(const struct sent *s)
{
	struct hdr_igmp3_report h;

	memcpy(&h, s->p, sizeof(h));
	return s->p[0] == IGMP_MSG_REPORT_V3 ? be16_host(h.n_records) : 0;
}

static ZF_UNUSED bool
has_source(const struct record *r, be32_t s)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (be32_eq(r->sources[i], s))
			return true;
	}
	return false;
}

/* The report @i is a single record of this type about @group, with @n sources. */
static ZF_UNUSED bool
is_single(uint32_t i, unsigned type, be32_t group, unsigned n)
{
	struct record r;

	CU_ASSERT_FATAL(i < n_sent);
	r = record_of(&sent[i], 0);
	return n_records(&sent[i]) == 1 && r.type == type && be32_eq(r.group, group) && r.n == n;
}

static ZF_UNUSED bool
is_legacy(uint32_t i, uint8_t type, be32_t group, be32_t dst)
{
	struct hdr_igmp h;

	CU_ASSERT_FATAL(i < n_sent);
	memcpy(&h, sent[i].p, sizeof(h));
	return sent[i].len == sizeof(h) && h.type == type && h.code == 0 &&
	       be32_eq(h.group, group) && be32_eq(sent[i].dst, dst);
}

/* ---- what arrives ---- */

static ZF_UNUSED enum igmp_result
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

static ZF_UNUSED struct igmp_ip
from_querier(be32_t dst)
{
	return (struct igmp_ip){
		.src = QUERIER, .dst = dst, .ttl = 1, .router_alert = true, .src_on_link = true};
}

static ZF_UNUSED enum igmp_result
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

static ZF_UNUSED enum igmp_result
query_old(be32_t group, uint8_t code)
{
	struct igmp_ip ip = from_querier(be32_is_zero(group) ? IP4_ALL_HOSTS : group);
	uint8_t p[8] = {IGMP_MSG_QUERY, code};

	ip.router_alert = code != 0;
	memcpy(p + 4, &group, 4);
	return receive(&ip, p, sizeof(p), true);
}

static ZF_UNUSED int
join(be32_t group)
{
	return igmp_join(g, group, IGMP_EXCLUDE, NULL, 0, now);
}

static ZF_UNUSED int
leave(be32_t group)
{
	return igmp_leave(g, group, IGMP_EXCLUDE, NULL, 0, now);
}

static ZF_UNUSED int
join_source(be32_t group, be32_t s)
{
	return igmp_join(g, group, IGMP_INCLUDE, &s, 1, now);
}

static ZF_UNUSED int
leave_source(be32_t group, be32_t s)
{
	return igmp_leave(g, group, IGMP_INCLUDE, &s, 1, now);
}

#endif
