/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Tables and lists of muxer sets.
 */
#include "core/mux.h"

/* The bits that can be raised; EPOLLSTACKHUP is EPOLLRDHUP. */
#define MUX_EVENTS (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP)
/* ZF_EPOLLIN_OVERLAPPED of <zf/muxer.h>, which this room does not see: EPOLLIN stands in for it. */
#define MUX_IN_OVERLAPPED 0x10000u

struct mux_room *
mux_room_take(struct arena *a, uint32_t waitables)
{
	struct mux_room *r = arena_take(a, sizeof(*r), ZF_CACHE_LINE);
	uint32_t n_sets = waitables + MUX_SETS_MORE;
	struct mux_member *members = arena_take(a, sizeof(*members) * waitables, ZF_CACHE_LINE);
	struct zf_muxer_set *sets = arena_take(a, sizeof(*sets) * n_sets, ZF_CACHE_LINE);

	if (r == NULL)
		return NULL;
	r->members = members;
	r->sets = sets;
	r->n_members = waitables;
	r->n_sets = n_sets;
	return r;
}

void
mux_room_init(struct zf_ctx *ctx)
{
	struct mux_room *r = ctx->mux;

	for (uint32_t i = 0; i < r->n_members; i++)
		r->members[i].next = i + 1 < r->n_members ? i + 1 : MUX_NONE;
	r->free_member = 0;
	for (uint32_t i = 0; i < r->n_sets; i++) {
		r->sets[i].index = i;
		r->sets[i].ctx_off = (char *)ctx - (char *)&r->sets[i];
		r->sets[i].next_free = i + 1 < r->n_sets ? i + 1 : MUX_NONE;
	}
	r->free_set = 0;
	r->want_head = MUX_NONE;
}

struct zf_muxer_set *
mux_set_take(struct mux_room *r)
{
	struct zf_muxer_set *set;

	if (r->free_set == MUX_NONE)
		return NULL;
	set = &r->sets[r->free_set];
	r->free_set = set->next_free;
	set->head = set->tail = MUX_NONE;
	set->members = 0;
	set->open = true;
	set->has_stack = false;
	return set;
}

static void
set_put(struct mux_room *r, struct zf_muxer_set *set)
{
	if (set->open || set->members > 0)
		return;
	set->next_free = r->free_set;
	r->free_set = set->index;
}

void
mux_set_drop(struct mux_room *r, struct zf_muxer_set *set)
{
	set->open = false;
	set_put(r, set);
}

void
mux_list(struct zf_ctx *ctx, struct zf_waitable *w)
{
	struct mux_room *r = ctx->mux;
	struct mux_member *m = mux_member_of(r, w);
	struct zf_muxer_set *set = &r->sets[m->set];
	uint32_t i = w->member - 1;

	if (w->flags & WAITABLE_LISTED)
		return;
	w->flags |= WAITABLE_LISTED;
	m->next = MUX_NONE;
	m->prev = set->tail;
	if (set->tail == MUX_NONE)
		set->head = i;
	else
		r->members[set->tail].next = i;
	set->tail = i;
}

static void
unlist(struct mux_room *r, struct zf_waitable *w)
{
	struct mux_member *m = mux_member_of(r, w);
	struct zf_muxer_set *set = &r->sets[m->set];

	w->flags &= (uint8_t)~WAITABLE_LISTED;
	if (m->prev == MUX_NONE)
		set->head = m->next;
	else
		r->members[m->prev].next = m->next;
	if (m->next == MUX_NONE)
		set->tail = m->prev;
	else
		r->members[m->next].prev = m->prev;
}

struct zf_waitable *
mux_pop(struct mux_room *r, struct zf_muxer_set *set)
{
	struct zf_waitable *w;

	if (set->head == MUX_NONE)
		return NULL;
	w = mux_waitable(r, &r->members[set->head]);
	unlist(r, w);
	return w;
}

static void
want_link(struct mux_room *r, struct zf_waitable *w)
{
	mux_member_of(r, w)->next_want = r->want_head;
	r->want_head = w->member - 1;
	w->flags |= WAITABLE_WANTING;
}

/* Behind shortages only. */
static void
want_unlink(struct mux_room *r, struct zf_waitable *w)
{
	uint32_t *link = &r->want_head;

	while (*link != w->member - 1)
		link = &r->members[*link].next_want;
	*link = mux_member_of(r, w)->next_want;
	w->flags &= (uint8_t)~WAITABLE_WANTING;
}

void
mux_join(struct zf_ctx *ctx, struct zf_muxer_set *set, struct zf_waitable *w)
{
	struct mux_room *r = ctx->mux;
	struct mux_member *m;

	/* There are as many records as waitables. */
	if (zf_bug(r->free_member == MUX_NONE))
		return;
	w->member = r->free_member + 1;
	m = mux_member_of(r, w);
	r->free_member = m->next;
	m->set = set->index;
	m->at = (int32_t)(((char *)w - (char *)r) / 8);
	set->members++;
	/* What it noted of shortages while it was in no set may be long over. */
	if (!(ctx->owed & CTX_OWED_TX_RETRY))
		w->flags &= (uint8_t)~WAITABLE_WANT_TX;
	if (!(ctx->owed & CTX_OWED_BUF_RETRY))
		w->flags &= (uint8_t)~WAITABLE_WANT_BUF;
	if (w->flags & (WAITABLE_WANT_TX | WAITABLE_WANT_BUF))
		want_link(r, w);
}

void
mux_tell(struct mux_room *r, struct zf_waitable *w, const struct epoll_event *ev)
{
	uint32_t events = ev->events;

	if (events & MUX_IN_OVERLAPPED)
		events |= EPOLLIN;
	/* mod(w, event(w)) is how a waitable is armed again. */
	if (ev != &mux_member_of(r, w)->ev)
		mux_member_of(r, w)->ev = *ev;
	w->wanted = (uint16_t)(events & MUX_EVENTS);
}

void
mux_leave(struct zf_ctx *ctx, struct zf_waitable *w)
{
	struct mux_room *r = ctx->mux;
	struct mux_member *m = mux_member_of(r, w);
	struct zf_muxer_set *set = &r->sets[m->set];

	if (w->flags & WAITABLE_LISTED)
		unlist(r, w);
	if (w->flags & WAITABLE_WANTING)
		want_unlink(r, w);
	if (w->kind == WAITABLE_STACK)
		set->has_stack = false;
	set->members--;
	set_put(r, set);
	m->next = r->free_member;
	r->free_member = w->member - 1;
	w->member = 0;
	w->wanted = 0;
}

void
mux_forget(struct zf_ctx *ctx, struct zf_waitable *w)
{
	if (w->member != 0)
		mux_leave(ctx, w);
}

void
mux_want(struct zf_ctx *ctx, struct zf_waitable *w, uint8_t flag)
{
	w->flags |= flag;
	if (w->member != 0 && !(w->flags & WAITABLE_WANTING))
		want_link(ctx->mux, w);
}

void
mux_wake(struct zf_ctx *ctx, uint8_t flag)
{
	struct mux_room *r = ctx->mux;
	uint32_t *link = &r->want_head;

	while (*link != MUX_NONE) {
		struct mux_member *m = &r->members[*link];
		struct zf_waitable *w = mux_waitable(r, m);

		w->flags &= (uint8_t)~flag;
		if (w->flags & (WAITABLE_WANT_TX | WAITABLE_WANT_BUF)) {
			link = &m->next_want;
			continue;
		}
		*link = m->next_want;
		w->flags &= (uint8_t)~WAITABLE_WANTING;
		waitable_raise(ctx, w, EPOLLOUT);
	}
}
