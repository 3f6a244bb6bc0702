/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memberships, and their merger into the state of the interface (RFC 3376 3.2). See igmp.h; what is
 * said on the wire is igmp_talk.c.
 *
 * The merger needs no look at the memberships themselves: with one EXCLUDE among them the interface
 * excludes those sources that every EXCLUDE membership excludes and no INCLUDE one includes; else
 * it includes what any includes.
 */
#include "ip/igmp.h"

#include <errno.h>

#include "base/check.h"
#include "base/hash.h"
#include "ip/igmp_state.h"

static int32_t *
hash_head(const struct igmp *g, be32_t ip)
{
	return (int32_t *)(void *)&igmp_sources(g)[g->max_sources] +
	       (hash_fold(ip.raw, 0, g->secret) & g->hash_mask);
}

void
igmp_write_begin(struct igmp *g)
{
	__atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void
igmp_write_end(struct igmp *g)
{
	__atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_RELEASE);
}

/* ---- groups and sources ---- */

struct igmp_group *
igmp_group_find(const struct igmp *g, be32_t ip)
{
	for (int32_t i = *hash_head(g, ip); i >= 0; i = g->groups[i].hash_next) {
		if (be32_eq(g->groups[i].ip, ip))
			return (struct igmp_group *)(uintptr_t)&g->groups[i];
	}
	return NULL;
}

static void
group_free(struct igmp *g, struct igmp_group *gr)
{
	int32_t i = (int32_t)(gr - g->groups);
	int32_t *link = hash_head(g, gr->ip);

	while (*link != i)
		link = &g->groups[*link].hash_next;
	*link = gr->hash_next;
	wheel_cancel(&g->wheel, &gr->change);
	wheel_cancel(&g->wheel, &gr->reply);
	gr->ip = IP4_ANY;
	gr->hash_next = g->free_group;
	g->free_group = i;
	g->n_groups--;
}

void
igmp_group_clean(struct igmp *g, struct igmp_group *gr)
{
	struct igmp_source *all = igmp_sources(g);
	int32_t *link = &gr->sources;

	while (*link >= 0) {
		int32_t i = *link;

		if ((all[i].n_inc | all[i].n_exc | all[i].tx) != 0) {
			link = &all[i].next;
			continue;
		}
		*link = all[i].next;
		all[i].next = g->free_source;
		g->free_source = i;
		g->n_free_sources++;
		gr->n_sources--;
	}
	if (!igmp_group_has_members(gr) && gr->n_sources == 0 && gr->mode_tx == 0 &&
	    gr->legacy_tx == 0)
		group_free(g, gr);
}

/* Nothing more is told about what has left: the routers find out by their timeouts. */
static void
group_hush(struct igmp *g, struct igmp_group *gr)
{
	gr->mode_tx = 0;
	gr->legacy_tx = 0;
	for (int32_t i = gr->sources; i >= 0; i = igmp_sources(g)[i].next)
		igmp_sources(g)[i].tx = 0;
	wheel_cancel(&g->wheel, &gr->change);
	igmp_group_clean(g, gr);
}

/* All that is kept only to say goodbye, given up for somebody who wants to stay. */
static void
forget_farewells(struct igmp *g)
{
	struct igmp_source *all = igmp_sources(g);

	for (uint32_t i = 0; i < g->max_groups; i++) {
		struct igmp_group *gr = &g->groups[i];

		if (be32_is_zero(gr->ip))
			continue;
		if (!igmp_group_has_members(gr)) {
			group_hush(g, gr);
			continue;
		}
		for (int32_t k = gr->sources; k >= 0; k = all[k].next) {
			if ((all[k].n_inc | all[k].n_exc) == 0)
				all[k].tx = 0;
		}
		igmp_group_clean(g, gr);
	}
}

static struct igmp_group *
group_new(struct igmp *g, be32_t ip)
{
	int32_t *head = hash_head(g, ip);
	int32_t i = g->free_group;
	struct igmp_group *gr = &g->groups[i];

	g->free_group = gr->hash_next;
	*gr = (struct igmp_group){
		.ip = ip,
		.sources = -1,
		.hash_next = *head,
		.mode = IGMP_INCLUDE,
		.change.kind = IGMP_TIMER_CHANGE,
		.reply.kind = IGMP_TIMER_REPLY,
	};
	*head = i;
	g->n_groups++;
	return gr;
}

static struct igmp_source *
source_find(const struct igmp *g, const struct igmp_group *gr, be32_t ip)
{
	for (int32_t i = gr->sources; i >= 0; i = igmp_sources(g)[i].next) {
		if (be32_eq(igmp_sources(g)[i].ip, ip))
			return &igmp_sources(g)[i];
	}
	return NULL;
}

static struct igmp_source *
source_new(struct igmp *g, struct igmp_group *gr, be32_t ip)
{
	int32_t i = g->free_source;
	struct igmp_source *s = &igmp_sources(g)[i];

	g->free_source = s->next;
	g->n_free_sources--;
	*s = (struct igmp_source){.ip = ip, .next = gr->sources};
	gr->sources = i;
	gr->n_sources++;
	return s;
}

/* ---- the state of the interface ---- */

static bool
source_is_listed(const struct igmp_group *gr, const struct igmp_source *s)
{
	if (gr->n_exclude == 0)
		return s->n_inc != 0;
	return s->n_exc == gr->n_exclude && s->n_inc == 0;
}

/* After any change of memberships: what is new, and who must hear of it? */
static void
group_merge(struct igmp *g, struct igmp_group *gr, bool had_members)
{
	struct igmp_source *all = igmp_sources(g);
	enum igmp_mode mode = gr->n_exclude != 0 ? IGMP_EXCLUDE : IGMP_INCLUDE;
	bool mode_changed = mode != gr->mode;
	bool has_members = igmp_group_has_members(gr);
	bool tell = mode_changed;

	for (int32_t i = gr->sources; i >= 0; i = all[i].next) {
		bool listed = source_is_listed(gr, &all[i]);

		/* A change of mode carries the whole list; changes of the list before it are old
		 * news. */
		if (mode_changed) {
			all[i].tx = 0;
		} else if (listed != all[i].listed) {
			all[i].tx = (uint8_t)g->robustness;
			tell = true;
		}
		all[i].listed = listed;
	}
	gr->mode = (uint8_t)mode;
	if (mode_changed)
		gr->mode_tx = (uint8_t)g->robustness;
	if (g->version < 3) {
		/* Old routers know nothing but member or not. */
		gr->mode_tx = 0;
		for (int32_t i = gr->sources; i >= 0; i = all[i].next)
			all[i].tx = 0;
		tell = had_members != has_members;
		if (has_members && !had_members)
			gr->legacy_tx = (uint8_t)g->robustness;
		else if (!has_members)
			gr->legacy_tx = g->version == 2 && gr->last_reporter && had_members;
	}
	if (!has_members)
		wheel_cancel(&g->wheel, &gr->reply);
	/* Deadline 0 is past: the very next run. */
	if (tell)
		wheel_arm(&g->wheel, &gr->change, 0);
	igmp_group_clean(g, gr);
}

/* ---- memberships ---- */

static int
membership_check(be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n)
{
	if (!ip_is_mcast(group) || (mode != IGMP_INCLUDE && mode != IGMP_EXCLUDE) ||
	    (mode == IGMP_INCLUDE && n == 0))
		return -EINVAL;
	if (n > IGMP_GROUP_SOURCES_MAX)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; i++) {
		if (!ip_is_unicast(sources[i]))
			return -EINVAL;
		for (unsigned k = 0; k < i; k++) {
			if (be32_eq(sources[i], sources[k]))
				return -EINVAL;
		}
	}
	return 0;
}

static bool
fits(const struct igmp *g, const struct igmp_group *gr, const be32_t *sources, unsigned n)
{
	uint32_t missing = 0;

	for (unsigned i = 0; i < n; i++)
		missing += gr == NULL || source_find(g, gr, sources[i]) == NULL;
	if (missing > g->n_free_sources)
		return false;
	if (gr == NULL)
		return g->free_group >= 0;
	return gr->n_sources + missing <= IGMP_GROUP_SOURCES_MAX;
}

static int
join(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n)
{
	struct igmp_group *gr = igmp_group_find(g, group);
	bool had_members;

	if (!fits(g, gr, sources, n)) {
		forget_farewells(g);
		gr = igmp_group_find(g, group);
		if (!fits(g, gr, sources, n))
			return -ENOBUFS;
	}
	if (gr == NULL)
		gr = group_new(g, group);
	had_members = igmp_group_has_members(gr);
	for (unsigned i = 0; i < n; i++) {
		struct igmp_source *s = source_find(g, gr, sources[i]);

		if (s == NULL)
			s = source_new(g, gr, sources[i]);
		if (mode == IGMP_INCLUDE)
			s->n_inc++;
		else
			s->n_exc++;
	}
	if (mode == IGMP_INCLUDE)
		gr->n_include++;
	else
		gr->n_exclude++;
	group_merge(g, gr, had_members);
	return 0;
}

static int
leave(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n)
{
	struct igmp_group *gr = igmp_group_find(g, group);

	if (gr == NULL || (mode == IGMP_INCLUDE ? gr->n_include : gr->n_exclude) == 0)
		return -ENOENT;
	for (unsigned i = 0; i < n; i++) {
		const struct igmp_source *s = source_find(g, gr, sources[i]);

		if (s == NULL || (mode == IGMP_INCLUDE ? s->n_inc : s->n_exc) == 0)
			return -ENOENT;
	}
	for (unsigned i = 0; i < n; i++) {
		struct igmp_source *s = source_find(g, gr, sources[i]);

		if (mode == IGMP_INCLUDE)
			s->n_inc--;
		else
			s->n_exc--;
	}
	if (mode == IGMP_INCLUDE)
		gr->n_include--;
	else
		gr->n_exclude--;
	group_merge(g, gr, true);
	return 0;
}

static int
change(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n,
       uint64_t now, bool is_join)
{
	int rc = membership_check(group, mode, sources, n);

	/* All systems belong to 224.0.0.1 always, and never say so. */
	if (rc != 0 || be32_eq(group, IP4_ALL_HOSTS))
		return rc;
	igmp_write_begin(g);
	igmp_version_refresh(g, now);
	rc = is_join ? join(g, group, mode, sources, n) : leave(g, group, mode, sources, n);
	igmp_write_end(g);
	return rc;
}

int
igmp_join(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n,
	  uint64_t now)
{
	return change(g, group, mode, sources, n, now, true);
}

int
igmp_leave(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n,
	   uint64_t now)
{
	return change(g, group, mode, sources, n, now, false);
}

void
igmp_version_refresh(struct igmp *g, uint64_t now)
{
	uint32_t version = igmp_version(g, now);

	if (version == g->version)
		return;
	g->version = version;
	wheel_cancel(&g->wheel, &g->general);
	for (uint32_t i = 0; i < g->max_groups; i++) {
		struct igmp_group *gr = &g->groups[i];

		if (be32_is_zero(gr->ip))
			continue;
		wheel_cancel(&g->wheel, &gr->reply);
		gr->last_reporter = false;
		group_hush(g, gr);
	}
}

void
igmp_link_up(struct igmp *g, uint64_t now)
{
	struct igmp_source *all = igmp_sources(g);

	igmp_write_begin(g);
	igmp_version_refresh(g, now);
	for (uint32_t i = 0; i < g->max_groups; i++) {
		struct igmp_group *gr = &g->groups[i];

		if (be32_is_zero(gr->ip) || !igmp_group_has_members(gr))
			continue;
		if (g->version < 3)
			gr->legacy_tx = (uint8_t)g->robustness;
		else if (gr->mode == IGMP_EXCLUDE)
			gr->mode_tx = (uint8_t)g->robustness;
		for (int32_t k = gr->sources; k >= 0; k = all[k].next) {
			if (g->version == 3 && all[k].listed)
				all[k].tx = (uint8_t)g->robustness;
		}
		wheel_arm(&g->wheel, &gr->change, 0);
	}
	igmp_write_end(g);
}

/* ---- lock-free readers ---- */

/* An index that a writer may be changing: bounded, so that it can be followed whatever it is. */
static int32_t
load_index(const int32_t *p, uint32_t bound)
{
	int32_t i = __atomic_load_n(p, __ATOMIC_RELAXED);

	return i >= 0 && (uint32_t)i < bound ? i : -1;
}

/* What the interface lets through, as far as one can tell while it may be changing. */
static bool
wants_now(const struct igmp *g, be32_t group, be32_t source, bool any_source)
{
	const struct igmp_source *all = igmp_sources(g);
	int32_t i = load_index(hash_head(g, group), g->max_groups);
	const struct igmp_group *gr;

	for (uint32_t steps = 0; i >= 0 && steps < g->max_groups; steps++) {
		if (__atomic_load_n(&g->groups[i].ip.raw, __ATOMIC_RELAXED) == group.raw)
			break;
		i = load_index(&g->groups[i].hash_next, g->max_groups);
	}
	if (i < 0 || !igmp_group_has_members(&g->groups[i]))
		return false;
	if (any_source)
		return true;
	gr = &g->groups[i];
	i = load_index(&gr->sources, g->max_sources);
	for (uint32_t steps = 0; i >= 0 && steps < IGMP_GROUP_SOURCES_MAX; steps++) {
		if (__atomic_load_n(&all[i].ip.raw, __ATOMIC_RELAXED) == source.raw)
			return all[i].listed == (gr->mode == IGMP_INCLUDE);
		i = load_index(&all[i].next, g->max_sources);
	}
	return gr->mode == IGMP_EXCLUDE;
}

static bool
wants(const struct igmp *g, be32_t group, be32_t source, bool any_source)
{
	if (be32_eq(group, IP4_ALL_HOSTS))
		return true;
	for (int tries = 0; tries < 4; tries++) {
		uint32_t seq = __atomic_load_n(&g->seq, __ATOMIC_ACQUIRE);
		bool yes = wants_now(g, group, source, any_source);

		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if ((seq & 1) == 0 && __atomic_load_n(&g->seq, __ATOMIC_RELAXED) == seq)
			return yes;
	}
	return true;
}

bool
igmp_wants(const struct igmp *g, be32_t group, be32_t source)
{
	return wants(g, group, source, false);
}

bool
igmp_has_group(const struct igmp *g, be32_t group)
{
	return wants(g, group, IP4_ANY, true);
}

uint64_t
igmp_next_due(const struct igmp *g)
{
	return __atomic_load_n(&g->wheel.next_due, __ATOMIC_RELAXED);
}

unsigned
igmp_version(const struct igmp *g, uint64_t now)
{
	if (now < g->v1_until)
		return 1;
	return now < g->v2_until ? 2 : 3;
}

/* ---- set-up ---- */

size_t
igmp_bytes(uint32_t max_groups, uint32_t max_sources)
{
	return sizeof(struct igmp) + max_groups * sizeof(struct igmp_group) +
	       max_sources * sizeof(struct igmp_source) +
	       zf_roundup_pow2(max_groups) * sizeof(int32_t);
}

struct igmp *
igmp_init(void *mem, uint32_t max_groups, uint32_t max_sources, uint32_t max_payload, uint64_t hz,
	  struct rng *rng, uint64_t now)
{
	struct igmp *g = mem;
	int32_t *heads;

	memset(mem, 0, igmp_bytes(max_groups, max_sources));
	wheel_init(&g->wheel, now);
	g->max_groups = max_groups;
	g->max_sources = max_sources;
	g->max_payload = ZF_MIN(ZF_MAX(max_payload, IGMP_PAYLOAD_MIN), IGMP_PAYLOAD_MAX);
	g->hash_mask = (uint32_t)zf_roundup_pow2(max_groups) - 1;
	g->free_group = max_groups != 0 ? 0 : -1;
	g->free_source = max_sources != 0 ? 0 : -1;
	g->n_free_sources = max_sources;
	g->version = 3;
	g->robustness = IGMP_ROBUSTNESS;
	g->hz = hz;
	g->secret[0] = rng_next64(rng);
	g->secret[1] = rng_next64(rng);
	g->query_interval = hz * IGMP_QUERY_INTERVAL_S;
	g->general.kind = IGMP_TIMER_GENERAL;
	g->rng = rng;
	for (uint32_t i = 0; i < max_groups; i++)
		g->groups[i].hash_next = i + 1 < max_groups ? (int32_t)i + 1 : -1;
	for (uint32_t i = 0; i < max_sources; i++)
		igmp_sources(g)[i].next = i + 1 < max_sources ? (int32_t)i + 1 : -1;
	heads = (int32_t *)(void *)&igmp_sources(g)[max_sources];
	for (uint32_t i = 0; i <= g->hash_mask; i++)
		heads[i] = -1;
	return g;
}
