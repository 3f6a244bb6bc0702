/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What igmp.c (memberships) and igmp_talk.c (queries and reports) share; nobody else includes this.
 *
 * Sources and groups are links by index in one block of memory, -1 ends. Writers, of whom the
 * caller's lock admits one, keep `seq` odd while they change what igmp_wants() reads.
 */
#ifndef ZF_IP_IGMP_STATE_H
#define ZF_IP_IGMP_STATE_H

#include "ip/igmp.h"

#define IGMP_ROBUSTNESS          2     /* until a querier says otherwise */
#define IGMP_UNSOLICITED_MS      1000  /* at most between two reports of one change */
#define IGMP_QUERY_INTERVAL_S    125   /* until a querier says otherwise */
#define IGMP_V1_RESPONSE_MS      10000 /* a version 1 query does not say */
#define IGMP_RESPONSE_SPACING_MS 100   /* at least between two answers about the same */

struct igmp_source {
	be32_t ip;
	uint32_t n_inc; /* memberships that include it */
	uint32_t n_exc; /* memberships that exclude it */
	int32_t next;   /* of its group, or free list */
	uint8_t tx;     /* reports that still have to tell its last change */
	bool listed;    /* part of the interface's list */
	uint8_t _hole[2];
};

/* In use while it has members or something to tell. */
struct igmp_group {
	struct wheel_timer change; /* next report of a change */
	struct wheel_timer reply;  /* answer to a query */
	uint64_t reply_not_before; /* cycles */
	be32_t ip;                 /* 0.0.0.0: free */
	uint32_t n_include;        /* memberships by mode */
	uint32_t n_exclude;
	int32_t sources;
	int32_t hash_next; /* or free list */
	uint16_t n_sources;
	uint8_t mode;       /* enum igmp_mode of the interface (RFC 3376 3.2) */
	uint8_t mode_tx;    /* reports that still have to tell that the mode changed */
	uint8_t legacy_tx;  /* versions 1 and 2: unsolicited reports left, or 1 with no members: a
			       leave */
	bool last_reporter; /* versions 1 and 2: the router heard of this group from us */
	uint8_t n_asked;    /* sources the pending answer is about; 0: all */
	uint8_t _hole;
	be32_t asked[IGMP_ASKED_SOURCES_MAX];
};

struct igmp {
	struct wheel wheel;
	uint32_t seq;
	uint32_t max_groups;
	uint32_t max_sources;
	uint32_t max_payload;
	uint32_t hash_mask;
	uint32_t n_groups;
	int32_t free_group;
	int32_t free_source;
	uint32_t n_free_sources;
	uint32_t version; /* in which what is pending was scheduled */
	uint32_t robustness;
	uint32_t _hole;
	uint64_t hz;
	uint64_t secret[2];
	uint64_t query_interval; /* cycles */
	uint64_t v1_until;       /* cycles; an old querier is taken to be there until then */
	uint64_t v2_until;
	uint64_t general_not_before;
	struct wheel_timer general; /* answer to a general query, version 3 */
	struct rng *rng;
	uint8_t buf[IGMP_PAYLOAD_MAX] __attribute__((aligned(8)));
	uint32_t _hole2;
	struct igmp_group groups[]; /* then sources, then hash heads */
};

enum igmp_timer {
	IGMP_TIMER_CHANGE = 1,
	IGMP_TIMER_REPLY = 2,
	IGMP_TIMER_GENERAL = 3,
};

static inline struct igmp_source *
igmp_sources(const struct igmp *g)
{
	return (struct igmp_source *)(uintptr_t)&g->groups[g->max_groups];
}

static inline uint64_t
igmp_cycles(const struct igmp *g, uint64_t ms)
{
	return g->hz * ms / 1000;
}

static inline bool
igmp_group_has_members(const struct igmp_group *gr)
{
	return (gr->n_include | gr->n_exclude) != 0;
}

struct igmp_group *igmp_group_find(const struct igmp *g, be32_t ip);
/* Gives back sources, and the group itself, that have neither members nor anything left to tell. */
void igmp_group_clean(struct igmp *g, struct igmp_group *gr);
/* Notices that an old querier came or went: what was pending is cancelled (RFC 3376 7.2.1). */
void igmp_version_refresh(struct igmp *g, uint64_t now);
void igmp_write_begin(struct igmp *g);
void igmp_write_end(struct igmp *g);

#endif
