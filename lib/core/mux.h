/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Muxer sets from the inside: who is in which set, and who is to be looked at. A member has a record of 32 bytes in a
 * table of the arena; a set is the head of a list of those that something happened to. No list is walked but by
 * zf_muxer_wait(), which takes from the front what it reports.
 *
 * Knows waitables, not zockets: what is ready is lib/stack/muxer.c's business.
 */
#ifndef ZF_CORE_MUX_H
#define ZF_CORE_MUX_H

#include <sys/epoll.h>

#include "core/arena.h"
#include "core/waitable.h"

#define MUX_NONE UINT32_MAX
/* Sets beyond one for each waitable. */
#define MUX_SETS_MORE 64u

struct mux_member {
	struct epoll_event ev; /* as the application gave it; zf_waitable_event() hands it out */
	uint32_t set;
	uint32_t next, prev;   /* list of the set, while WAITABLE_LISTED; next: free list */
	uint32_t next_want;    /* while WAITABLE_WANTING */
	int32_t at;            /* the waitable, in units of 8 bytes from the room */
};
ZF_STATIC_ASSERT(sizeof(struct mux_member) == 32, "two to a cache line");

struct zf_muxer_set {
	int64_t ctx_off;
	uint32_t head, tail; /* records that something happened to */
	uint32_t members;
	uint32_t index;
	uint32_t next_free;
	bool open;           /* the application's */
	bool has_stack;      /* the stack's own waitable is in it */
};

struct mux_room {
	struct mux_member *members;
	struct zf_muxer_set *sets;
	uint32_t n_members, n_sets;
	uint32_t free_member, free_set;
	uint32_t want_head;
};

/* From the arena, twice, see arena.h. @waitables: as many as the stack may have. NULL in the dry run. */
struct mux_room *mux_room_take(struct arena *a, uint32_t waitables);
void mux_room_init(struct zf_ctx *ctx);

static inline struct mux_member *
mux_member_of(const struct mux_room *r, const struct zf_waitable *w)
{
	return &r->members[w->member - 1];
}

static inline struct zf_waitable *
mux_waitable(struct mux_room *r, const struct mux_member *m)
{
	return (struct zf_waitable *)((char *)r + (int64_t)m->at * 8);
}

static inline struct zf_ctx *
mux_ctx(const struct zf_muxer_set *set)
{
	return (struct zf_ctx *)((char *)(uintptr_t)set + set->ctx_off);
}

/* A set, or NULL. */
struct zf_muxer_set *mux_set_take(struct mux_room *r);
/* The application gave it up; its record is free once nobody is in it. */
void mux_set_drop(struct mux_room *r, struct zf_muxer_set *set);
/* @w, in no set yet, becomes a member of @set. */
void mux_join(struct zf_ctx *ctx, struct zf_muxer_set *set, struct zf_waitable *w);
/* And is told what is wanted of it. */
void mux_tell(struct mux_room *r, struct zf_waitable *w, const struct epoll_event *ev);
void mux_leave(struct zf_ctx *ctx, struct zf_waitable *w);
/* The first of the list, taken from it, or NULL. */
struct zf_waitable *mux_pop(struct mux_room *r, struct zf_muxer_set *set);

#endif
