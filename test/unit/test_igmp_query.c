/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What queriers of three versions may ask of a host, and what a hostile link can send in their
 * place.
 */
#include "igmp_link.h"

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

static const struct unit_test tests[] = {
	UNIT(general_query_is_answered_in_time),
	UNIT(group_query_is_answered_for_that_group),
	UNIT(source_query_is_answered_for_those_sources),
	UNIT(max_resp_codes),
	UNIT(many_groups_in_few_packets),
	UNIT(query_flood_is_bounded),
	UNIT(refused_messages),
	UNIT(version_2_querier),
	UNIT(version_1_querier),
};

UNIT_MAIN("igmp_query", tests)
