/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive zockets from birth to release: allocation, binding, multicast groups. Cold.
 */
#include "ip/output.h"
#include "udp/udp_int.h"
#include "udp/udp_tab.h"

ZF_EXPORT int
zfur_alloc(struct zfur **us_out, struct zf_stack *st, const struct zf_attr *attr)
{
	struct zf_ctx *ctx = udp_stack_ctx(st);
	struct udp_room *r = ctx->udp;
	struct zfur *us;

	(void)attr;
	if (!r->can_rx)
		return -EINVAL;
	if (r->free_zfur == UDP_NONE)
		return -ENOBUFS;
	us = &r->zfurs[r->free_zfur];
	r->free_zfur = us->next_free;
	r->open_zfur++;
	us->w = (struct zf_waitable){.kind = WAITABLE_UDP_RX};
	us->count = 0;
	us->limit = r->queue_limit;
	us->head = NULL;
	us->rx_dgrams = us->rx_drops = us->icmp_errors = us->many_serial = 0;
	us->first_bind = UDP_NONE;
	us->generation++;
	*us_out = us;
	return 0;
}

/* Every unicast binding is counted by what it fixes, see udp_find(). */
static uint32_t *
kind_count(struct udp_room *r, const struct udp_bind *b)
{
	if (b->many)
		return &r->n_many;
	return be32_is_zero(b->rip) ? &r->n_wild : &r->n_pair;
}

static uint32_t
bind_tag(const struct zf_ctx *ctx, const struct udp_bind *b)
{
	if (b->many || be32_is_zero(b->rip))
		return udp_tag_local(ctx, b->lip, b->lport);
	return udp_tag_pair(ctx, b->lip, b->lport, b->rip, b->rport);
}

/* Binding @i, filled in, into the demux table; false when it is full. */
static bool
tab_insert(struct zf_ctx *ctx, uint32_t i)
{
	struct udp_room *r = ctx->udp;
	struct udp_bind *b = &r->binds[i];
	uint32_t head = b->many ? udp_find_many(ctx, r, b->lip, b->lport) : UDP_NONE;

	b->next_many = UDP_NONE;
	if (head == UDP_NONE)
		return htab_insert(&r->binds_tab, b->tag, i);
	b->next_many = r->binds[head].next_many;
	r->binds[head].next_many = i;
	return true;
}

static void
tab_remove(struct zf_ctx *ctx, uint32_t i)
{
	struct udp_room *r = ctx->udp;
	struct udp_bind *b = &r->binds[i];
	uint32_t head = b->many ? udp_find_many(ctx, r, b->lip, b->lport) : i;

	if (head == i) {
		if (b->next_many == UDP_NONE)
			(void)htab_remove(&r->binds_tab, b->tag, i);
		else
			(void)htab_replace(&r->binds_tab, b->tag, i, b->next_many);
		return;
	}
	while (head != UDP_NONE && r->binds[head].next_many != i)
		head = r->binds[head].next_many;
	if (!zf_bug(head == UDP_NONE))
		r->binds[head].next_many = b->next_many;
}

/* Take the binding out of every table; @b stays readable. */
static void
bind_drop(struct zf_ctx *ctx, uint32_t i)
{
	struct udp_room *r = ctx->udp;
	struct udp_bind *b = &r->binds[i];

	tab_remove(ctx, i);
	(*kind_count(r, b))--;
	netif_unbind(ctx->netif, ctx->slot, IP_PROTO_UDP, b->lip, b->lport, b->rip, b->rport);
	if (b->joined) {
		netif_group_leave(ctx->netif, b->lip, b->rip, ctx->now);
		output_netif_run(ctx);
		output_flush(ctx);
	}
	b->used = 0;
	b->next_of_zfur = r->free_bind;
	r->free_bind = i;
}

/* Enter @want into the tables, its port chosen and its group joined. */
static int
bind_add(struct zfur *us, struct zf_ctx *ctx, struct udp_bind *want)
{
	struct udp_room *r = ctx->udp;
	uint32_t i = r->free_bind, next_free;
	int rc;

	if (i == UDP_NONE)
		return -ENOMEM;
	rc = netif_bind(ctx->netif, ctx->slot, IP_PROTO_UDP, want->lip, &want->lport, want->rip, want->rport,
			want->many);
	if (rc < 0)
		return rc;
	want->tag = bind_tag(ctx, want);
	want->used = 1;
	want->joined = ip_is_mcast(want->lip);
	want->next_of_zfur = us->first_bind;
	next_free = r->binds[i].next_of_zfur;
	r->binds[i] = *want;
	if (!tab_insert(ctx, i)) {
		rc = -ENOMEM;
		goto unbind;
	}
	if (want->joined) {
		rc = netif_group_join(ctx->netif, want->lip, want->rip, ctx->now);
		if (rc < 0)
			goto remove;
		output_netif_run(ctx);
		output_flush(ctx);
	}
	r->free_bind = next_free;
	us->first_bind = i;
	(*kind_count(r, want))++;
	return 0;
remove:
	tab_remove(ctx, i);
unbind:
	r->binds[i] = (struct udp_bind){.next_of_zfur = next_free};
	netif_unbind(ctx->netif, ctx->slot, IP_PROTO_UDP, want->lip, want->lport, want->rip, want->rport);
	return rc;
}

ZF_EXPORT int
zfur_addr_bind(struct zfur *us, struct sockaddr *laddr, socklen_t laddrlen, const struct sockaddr *raddr,
	       socklen_t raddrlen, int flags)
{
	struct zf_ctx *ctx = zfur_ctx(us);
	struct udp_addr l, r = {{0}, {0}};
	struct udp_bind want;
	bool mcast;
	int rc = udp_addr_get(laddr, laddrlen, &l);

	if (rc < 0)
		return rc;
	if (raddr != NULL) {
		rc = udp_addr_get(raddr, raddrlen, &r);
		if (rc < 0)
			return rc;
	}
	if (flags != 0 || be32_is_zero(l.ip))
		return -EINVAL;
	mcast = ip_is_mcast(l.ip);
	want = (struct udp_bind){.lip = l.ip, .rip = r.ip, .lport = l.port, .rport = r.port, .zfur = us->index};
	want.many = mcast || netif_addr_is_bcast(ctx->netif, l.ip);
	/* A remote address restricts the sender; its port may be left open for groups only. */
	if (be32_is_zero(r.ip) != be16_is_zero(r.port) && !(want.many && be16_is_zero(r.port)))
		return -EINVAL;
	if (!be32_is_zero(r.ip) && !ip_is_unicast(r.ip))
		return -EINVAL;
	if (!want.many && !netif_addr_is_own(ctx->netif, ctx->slot, l.ip))
		return -EADDRNOTAVAIL;
	udp_enter(ctx);
	rc = bind_add(us, ctx, &want);
	udp_leave(ctx);
	if (rc == 0 && be16_is_zero(l.port))
		memcpy((char *)laddr + offsetof(struct sockaddr_in, sin_port), &want.lport, sizeof(want.lport));
	return rc;
}

static int
unbind_matching(struct zfur *us, const struct udp_addr *l, const struct udp_addr *r)
{
	struct zf_ctx *ctx = zfur_ctx(us);
	struct udp_room *room = ctx->udp;
	uint32_t *link = &us->first_bind;
	int n = 0;

	while (*link != UDP_NONE) {
		uint32_t i = *link;
		struct udp_bind *b = &room->binds[i];

		if ((l != NULL && (!be32_eq(l->ip, b->lip) || !be16_eq(l->port, b->lport))) ||
		    (r != NULL && (!be32_eq(r->ip, b->rip) || !be16_eq(r->port, b->rport)))) {
			link = &b->next_of_zfur;
			continue;
		}
		*link = b->next_of_zfur;
		bind_drop(ctx, i);
		n++;
	}
	return n;
}

ZF_EXPORT int
zfur_addr_unbind(struct zfur *us, const struct sockaddr *laddr, socklen_t laddrlen,
		 const struct sockaddr *raddr, socklen_t raddrlen, int flags)
{
	struct zf_ctx *ctx = zfur_ctx(us);
	struct udp_addr l, r;
	int n;

	if (laddr != NULL && udp_addr_get(laddr, laddrlen, &l) < 0)
		return -EINVAL;
	if (raddr != NULL && udp_addr_get(raddr, raddrlen, &r) < 0)
		return -EINVAL;
	if (flags != 0)
		return -EINVAL;
	udp_enter(ctx);
	n = unbind_matching(us, laddr != NULL ? &l : NULL, raddr != NULL ? &r : NULL);
	udp_leave(ctx);
	return n > 0 ? 0 : -EINVAL;
}

ZF_EXPORT int
zfur_free(struct zfur *us)
{
	struct zf_ctx *ctx = zfur_ctx(us);
	struct udp_room *r = ctx->udp;

	udp_enter(ctx);
	(void)unbind_matching(us, NULL, NULL);
	while (us->head != NULL) {
		struct rte_mbuf *m = us->head;

		us->head = pkt_meta(m)->next;
		ctx->rx_held -= m->nb_segs;
		pkt_put(ctx->pool, m);
	}
	udp_leave(ctx);
	us->count = 0;
	mux_forget(ctx, &us->w);
	us->w.kind = WAITABLE_NONE;
	us->generation++;
	us->next_free = r->free_zfur;
	r->free_zfur = us->index;
	r->open_zfur--;
	return 0;
}

ZF_EXPORT struct zf_waitable *
zfur_to_waitable(struct zfur *us)
{
	return &us->w;
}
