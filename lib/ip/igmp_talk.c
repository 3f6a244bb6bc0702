/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Queries in, reports out (RFC 3376 4, 5, 7). See igmp.h; who is a member of what is igmp.c.
 */
#include <string.h>

#include "base/check.h"
#include "ip/csum.h"
#include "ip/igmp.h"
#include "ip/igmp_state.h"

/* Timers that one igmp_run() serves. */
#define RUN_MAX 32

/* ---- input ---- */

/* Max Resp Code and QQIC of version 3: from 128 on a small float (RFC 3376 4.1.1). */
static uint32_t
float_code(uint8_t code)
{
	if (code < 128)
		return code;
	return ((code & 0x0fu) | 0x10u) << ((code >> 4 & 7) + 3);
}

/* Somewhere in (0, @max], but not sooner than @not_before. */
static uint64_t
random_time(struct igmp *g, uint64_t now, uint64_t max, uint64_t not_before)
{
	uint64_t at = now + 1 + rng_below(g->rng, ZF_MAX(max, 1));

	return ZF_MAX(at, not_before);
}

/* An answer is due at @at at the latest. */
static void
arm_sooner(struct igmp *g, struct wheel_timer *t, uint64_t at)
{
	if (!wheel_is_armed(t) || at < wheel_expires(t))
		wheel_arm(&g->wheel, t, at);
}

/* Versions 1 and 2 answer for each group apart, after delays of their own. */
static enum igmp_result
query_general(struct igmp *g, uint64_t max, uint64_t now)
{
	enum igmp_result res = IGMP_IN_OTHER;

	for (uint32_t i = 0; i < g->max_groups; i++) {
		struct igmp_group *gr = &g->groups[i];

		if (be32_is_zero(gr->ip) || !igmp_group_has_members(gr))
			continue;
		res = IGMP_IN_HANDLED;
		if (g->version == 3)
			break;
		gr->n_asked = 0;
		arm_sooner(g, &gr->reply, random_time(g, now, max, gr->reply_not_before));
	}
	if (res == IGMP_IN_HANDLED && g->version == 3)
		arm_sooner(g, &g->general, random_time(g, now, max, g->general_not_before));
	return res;
}

/* RFC 3376 5.2, rules 3 to 5. @n 0: about the group as a whole. */
static enum igmp_result
query_group(struct igmp *g, be32_t group, const uint8_t *sources, unsigned n, uint64_t max,
	    uint64_t now)
{
	struct igmp_group *gr = igmp_group_find(g, group);
	bool pending;
	uint64_t at;

	if (gr == NULL || !igmp_group_has_members(gr))
		return IGMP_IN_OTHER;
	at = random_time(g, now, max, gr->reply_not_before);
	/* Rule 1: a general answer that comes sooner says it all. */
	if (wheel_is_armed(&g->general) && wheel_expires(&g->general) <= at)
		return IGMP_IN_HANDLED;
	pending = wheel_is_armed(&gr->reply);
	if (!pending)
		gr->n_asked = 0;
	if (n == 0 || (pending && gr->n_asked == 0) || gr->n_asked + n > IGMP_ASKED_SOURCES_MAX) {
		gr->n_asked = 0;
	} else {
		/* One named twice is answered twice: harmless, and bounded. */
		memcpy(&gr->asked[gr->n_asked], sources, n * sizeof(be32_t));
		gr->n_asked = (uint8_t)(gr->n_asked + n);
	}
	arm_sooner(g, &gr->reply, at);
	return IGMP_IN_HANDLED;
}

/* An older querier is there: speak as it does until it has been silent for long (RFC
 * 3376 7.2.1, 8.12). */
static void
note_old_querier(struct igmp *g, unsigned version, uint64_t max, uint64_t now)
{
	uint64_t until = now + g->robustness * g->query_interval + max;

	if (version == 1)
		g->v1_until = until;
	else
		g->v2_until = until;
	igmp_version_refresh(g, now);
}

static enum igmp_result
input_query(struct igmp *g, const struct igmp_ip *ip, const uint8_t *p, size_t len, uint64_t now)
{
	struct hdr_igmp h;
	struct hdr_igmp3_query q;
	uint64_t max;

	memcpy(&h, p, sizeof(h));
	if (!be32_is_zero(h.group) && !ip_is_mcast(h.group))
		return IGMP_IN_BAD;
	if (len == sizeof(h) && h.code == 0) {
		/* Version 1: always about everything, whatever the group field holds. */
		if (!be32_eq(ip->dst, IP4_ALL_HOSTS))
			return IGMP_IN_BAD;
		max = igmp_cycles(g, IGMP_V1_RESPONSE_MS);
		note_old_querier(g, 1, max, now);
		return query_general(g, max, now);
	}
	/* RFC 3376 9.1: a query must be able to prove that it did not come from afar. */
	if (!ip->router_alert)
		return IGMP_IN_BAD;
	/* The all-hosts address is accepted for groups too: switches that ask for routers send
	 * that. */
	if (!be32_eq(ip->dst, IP4_ALL_HOSTS) && !ip->dst_is_ours &&
	    (be32_is_zero(h.group) || !be32_eq(ip->dst, h.group)))
		return IGMP_IN_BAD;
	if (len == sizeof(h)) {
		max = igmp_cycles(g, h.code * 100u);
		note_old_querier(g, 2, max, now);
		return be32_is_zero(h.group) ? query_general(g, max, now)
					     : query_group(g, h.group, NULL, 0, max, now);
	}
	if (len < sizeof(q))
		return IGMP_IN_BAD;
	memcpy(&q, p, sizeof(q));
	if (be16_host(q.n_sources) > (len - sizeof(q)) / sizeof(be32_t) ||
	    (be32_is_zero(h.group) && !be16_is_zero(q.n_sources)))
		return IGMP_IN_BAD;
	g->robustness = (q.s_qrv & 7) != 0 ? q.s_qrv & 7 : IGMP_ROBUSTNESS;
	if (q.qqic != 0)
		g->query_interval = g->hz * float_code(q.qqic);
	max = igmp_cycles(g, float_code(h.code) * 100ull);
	if (be32_is_zero(h.group))
		return query_general(g, max, now);
	return query_group(g, h.group, p + sizeof(q), be16_host(q.n_sources), max, now);
}

/* Somebody else told the router about a group: with versions 1 and 2 once is enough. */
static enum igmp_result
input_report(struct igmp *g, const struct igmp_ip *ip, const uint8_t *p)
{
	struct igmp_group *gr;
	struct hdr_igmp h;

	memcpy(&h, p, sizeof(h));
	if (!ip_is_mcast(h.group) || !be32_eq(ip->dst, h.group))
		return IGMP_IN_BAD;
	gr = igmp_group_find(g, h.group);
	if (g->version == 3 || gr == NULL || !igmp_group_has_members(gr))
		return IGMP_IN_OTHER;
	wheel_cancel(&g->wheel, &gr->reply);
	wheel_cancel(&g->wheel, &gr->change);
	gr->legacy_tx = 0;
	gr->last_reporter = false;
	return IGMP_IN_HANDLED;
}

enum igmp_result
igmp_input(struct igmp *g, const struct igmp_ip *ip, const void *p, size_t len, uint64_t now)
{
	enum igmp_result res = IGMP_IN_OTHER;
	uint8_t type;

	if (len < sizeof(struct hdr_igmp) || ip->ttl != 1)
		return IGMP_IN_BAD;
	if (!be32_is_zero(ip->src) && !(ip->src_on_link && ip_is_unicast(ip->src)))
		return IGMP_IN_BAD;
	if (!csum_ok(csum_partial(p, len, 0)))
		return IGMP_IN_BAD;
	memcpy(&type, p, 1);
	igmp_write_begin(g);
	igmp_version_refresh(g, now);
	if (type == IGMP_MSG_QUERY)
		res = input_query(g, ip, p, len, now);
	else if (type == IGMP_MSG_REPORT_V1 || type == IGMP_MSG_REPORT_V2)
		res = input_report(g, ip, p);
	igmp_write_end(g);
	return res;
}

/* ---- output ---- */

struct writer {
	struct igmp *g;
	igmp_emit_fn emit;
	void *arg;
	size_t len; /* of the report being written, 0: none */
	uint16_t n_records;
};

static void
writer_flush(struct writer *w)
{
	struct hdr_igmp3_report h = {
		.type = IGMP_MSG_REPORT_V3,
		.n_records = be16_from(w->n_records),
	};

	if (w->n_records == 0)
		return;
	memcpy(w->g->buf, &h, sizeof(h));
	h.csum = csum_finish(csum_partial(w->g->buf, w->len, 0));
	memcpy(w->g->buf, &h, sizeof(h));
	w->emit(w->arg, IP4_IGMPV3, w->g->buf, w->len);
	w->n_records = 0;
}

static void
writer_record(struct writer *w, enum igmp_record_type type, be32_t group, const be32_t *sources,
	      unsigned n)
{
	struct hdr_igmp3_record r = {
		.type = (uint8_t)type, .n_sources = be16_from((uint16_t)n), .group = group};
	size_t bytes = sizeof(r) + n * sizeof(be32_t);

	/* A record of IGMP_GROUP_SOURCES_MAX sources fits the smallest payload, so one fits always.
	 */
	if (w->n_records != 0 && w->len + bytes > w->g->max_payload)
		writer_flush(w);
	if (w->n_records == 0)
		w->len = sizeof(struct hdr_igmp3_report);
	ZF_ASSERT(w->len + bytes <= w->g->max_payload);
	memcpy(w->g->buf + w->len, &r, sizeof(r));
	if (n != 0)
		memcpy(w->g->buf + w->len + sizeof(r), sources, n * sizeof(be32_t));
	w->len += bytes;
	w->n_records++;
}

ZF_STATIC_ASSERT(sizeof(struct hdr_igmp3_report) + sizeof(struct hdr_igmp3_record) +
				 IGMP_GROUP_SOURCES_MAX * sizeof(be32_t) <=
			 IGMP_PAYLOAD_MIN,
		 "a record must fit one packet");

/* A message of version 1 or 2. */
static void
emit_legacy(uint8_t type, be32_t group, be32_t dst, igmp_emit_fn emit, void *arg)
{
	struct hdr_igmp h = {.type = type, .group = group};

	h.csum = csum_finish(csum_partial(&h, sizeof(h), 0));
	emit(arg, dst, &h, sizeof(h));
}

static void
emit_legacy_report(struct igmp *g, struct igmp_group *gr, igmp_emit_fn emit, void *arg)
{
	gr->last_reporter = true;
	emit_legacy(g->version == 1 ? IGMP_MSG_REPORT_V1 : IGMP_MSG_REPORT_V2, gr->ip, gr->ip, emit,
		    arg);
}

static unsigned
list_sources(const struct igmp *g, const struct igmp_group *gr, be32_t *out)
{
	unsigned n = 0;

	for (int32_t i = gr->sources; i >= 0; i = igmp_sources(g)[i].next) {
		if (igmp_sources(g)[i].listed)
			out[n++] = igmp_sources(g)[i].ip;
	}
	return n;
}

/* The whole state of a group, as an answer or as a change of mode. */
static void
record_state(struct writer *w, const struct igmp_group *gr, enum igmp_record_type in,
	     enum igmp_record_type ex)
{
	be32_t list[IGMP_GROUP_SOURCES_MAX];
	unsigned n = list_sources(w->g, gr, list);

	writer_record(w, gr->mode == IGMP_EXCLUDE ? ex : in, gr->ip, list, n);
}

/* RFC 3376 5.2: of the sources asked about, those that this group lets through. */
static void
record_asked(struct writer *w, const struct igmp_group *gr)
{
	be32_t list[IGMP_ASKED_SOURCES_MAX];
	unsigned n = 0;

	for (unsigned k = 0; k < gr->n_asked; k++) {
		bool listed = false;

		for (int32_t i = gr->sources; i >= 0; i = igmp_sources(w->g)[i].next) {
			const struct igmp_source *s = &igmp_sources(w->g)[i];

			listed |= s->listed && be32_eq(s->ip, gr->asked[k]);
		}
		if (listed == (gr->mode == IGMP_INCLUDE))
			list[n++] = gr->asked[k];
	}
	if (n != 0)
		writer_record(w, IGMP_REC_IS_IN, gr->ip, list, n);
}

/* Sources added to the list or taken from it: which of them the router is to let through, or to
 * stop. */
static void
record_differences(struct writer *w, struct igmp_group *gr, bool allow)
{
	be32_t list[IGMP_GROUP_SOURCES_MAX];
	unsigned n = 0;

	for (int32_t i = gr->sources; i >= 0; i = igmp_sources(w->g)[i].next) {
		const struct igmp_source *s = &igmp_sources(w->g)[i];

		if (s->tx != 0 && (s->listed == (gr->mode == IGMP_INCLUDE)) == allow)
			list[n++] = s->ip;
	}
	if (n != 0)
		writer_record(w, allow ? IGMP_REC_ALLOW : IGMP_REC_BLOCK, gr->ip, list, n);
}

/* Returns whether the change must be told again. */
static bool
tell_change(struct writer *w, struct igmp_group *gr)
{
	bool more = false;

	if (gr->mode_tx != 0) {
		record_state(w, gr, IGMP_REC_TO_IN, IGMP_REC_TO_EX);
		more = --gr->mode_tx != 0;
	} else {
		record_differences(w, gr, true);
		record_differences(w, gr, false);
	}
	for (int32_t i = gr->sources; i >= 0; i = igmp_sources(w->g)[i].next) {
		struct igmp_source *s = &igmp_sources(w->g)[i];

		if (s->tx != 0)
			more |= --s->tx != 0;
	}
	writer_flush(w);
	return more;
}

static bool
tell_change_legacy(struct writer *w, struct igmp_group *gr)
{
	if (gr->legacy_tx == 0)
		return false;
	gr->legacy_tx--;
	if (igmp_group_has_members(gr))
		emit_legacy_report(w->g, gr, w->emit, w->arg);
	else
		emit_legacy(IGMP_MSG_LEAVE_V2, gr->ip, IP4_ALL_ROUTERS, w->emit, w->arg);
	return gr->legacy_tx != 0;
}

static void
timer_change(struct writer *w, struct igmp_group *gr, uint64_t now)
{
	struct igmp *g = w->g;
	bool more = g->version == 3 ? tell_change(w, gr) : tell_change_legacy(w, gr);

	if (more)
		wheel_arm(&g->wheel, &gr->change,
			  random_time(g, now, igmp_cycles(g, IGMP_UNSOLICITED_MS), 0));
	else
		igmp_group_clean(g, gr);
}

static void
timer_reply(struct writer *w, struct igmp_group *gr, uint64_t now)
{
	gr->reply_not_before = now + igmp_cycles(w->g, IGMP_RESPONSE_SPACING_MS);
	if (w->g->version < 3)
		emit_legacy_report(w->g, gr, w->emit, w->arg);
	else if (gr->n_asked != 0)
		record_asked(w, gr);
	else
		record_state(w, gr, IGMP_REC_IS_IN, IGMP_REC_IS_EX);
	gr->n_asked = 0;
	writer_flush(w);
}

static void
timer_general(struct writer *w, uint64_t now)
{
	struct igmp *g = w->g;

	g->general_not_before = now + igmp_cycles(g, IGMP_RESPONSE_SPACING_MS);
	for (uint32_t i = 0; i < g->max_groups; i++) {
		if (!be32_is_zero(g->groups[i].ip) && igmp_group_has_members(&g->groups[i]))
			record_state(w, &g->groups[i], IGMP_REC_IS_IN, IGMP_REC_IS_EX);
	}
	writer_flush(w);
}

uint64_t
igmp_run(struct igmp *g, uint64_t now, igmp_emit_fn emit, void *arg)
{
	struct writer w = {.g = g, .emit = emit, .arg = arg};
	struct wheel_timer *t;

	if (now < g->wheel.next_due)
		return g->wheel.next_due;
	igmp_write_begin(g);
	igmp_version_refresh(g, now);
	for (int i = 0; i < RUN_MAX && (t = wheel_pop(&g->wheel, now)) != NULL; i++) {
		if (t->kind == IGMP_TIMER_GENERAL)
			timer_general(&w, now);
		else if (t->kind == IGMP_TIMER_REPLY)
			timer_reply(&w, zf_container_of(t, struct igmp_group, reply), now);
		else
			timer_change(&w, zf_container_of(t, struct igmp_group, change), now);
	}
	igmp_write_end(g);
	return g->wheel.next_due;
}
