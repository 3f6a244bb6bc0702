/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listeners. Half-open connections are in the SYN cache; completed ones wait here in the order of their completion.
 */
#include "tcp/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "tcp/addr.h"
#include "tcp/conn.h"
#include "tcp/output.h"

struct zftl *
tcp_listener_find(const struct zf_ctx *ctx, be32_t lip, be16_t lport)
{
	const struct tcp_room *r = ctx->tcp;
	struct htab_iter it = htab_iter(&r->listens, tcp_key_tag_local(ctx->secret, lip, lport));
	uint32_t i;

	while ((i = htab_next(&it)) != HTAB_NONE)
		if (be32_eq(r->zftls[i].lip, lip) && be16_eq(r->zftls[i].lport, lport))
			return &r->zftls[i];
	return NULL;
}

/* One that was freed, whose port its connections still keep: a new listener of ours takes it over. */
static struct zftl *
find_left(const struct zf_ctx *ctx, be32_t lip, be16_t lport)
{
	struct tcp_room *r = ctx->tcp;

	for (uint32_t i = 0; i < r->max_zftl; i++)
		if (!r->zftls[i].open && r->zftls[i].refs > 0 && be32_eq(r->zftls[i].lip, lip) &&
		    be16_eq(r->zftls[i].lport, lport))
			return &r->zftls[i];
	return NULL;
}

void
tcp_listener_put(struct zf_ctx *ctx, struct zftl *tl)
{
	struct tcp_room *r = ctx->tcp;

	if (--tl->refs > 0)
		return;
	netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, tl->lip, tl->lport, IP4_ANY, BE16_C(0));
	tl->next_free = r->free_zftl;
	r->free_zftl = tl->index;
}

void
tcp_listener_queue(struct zf_ctx *ctx, struct zftl *tl, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	ts->next = TCP_NONE;
	if (tl->q_head == TCP_NONE)
		tl->q_head = ts->index;
	else
		r->zfts[tl->q_tail].next = ts->index;
	tl->q_tail = ts->index;
	tl->q_len++;
	ts->flags |= TF_ACCEPT;
	waitable_raise(ctx, &tl->w, EPOLLIN);
}

void
tcp_listener_unqueue(struct zf_ctx *ctx, struct zftl *tl, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t *link = &tl->q_head, prev = TCP_NONE;

	while (*link != ts->index) {
		prev = *link;
		link = &r->zfts[prev].next;
	}
	*link = ts->next;
	if (tl->q_tail == ts->index)
		tl->q_tail = prev;
	ts->next = TCP_NONE;
	ts->flags &= ~(uint32_t)TF_ACCEPT;
	tl->q_len--;
}

/* A record for the address, its port registered: a free one, or that of a listener whose connections live on. */
static int
take_record(struct zf_ctx *ctx, const struct tcp_addr *l, struct zftl **out)
{
	struct tcp_room *r = ctx->tcp;
	struct zftl *tl = be16_is_zero(l->port) ? NULL : find_left(ctx, l->ip, l->port);
	be16_t port = l->port;
	int rc;

	if (tl != NULL) {
		tl->refs++;
		*out = tl;
		return 0;
	}
	if (r->free_zftl == TCP_NONE)
		return -ENOBUFS;
	rc = netif_bind(ctx->netif, ctx->slot, IP_PROTO_TCP, l->ip, &port, IP4_ANY, BE16_C(0), false);
	if (rc < 0)
		return rc;
	tl = &r->zftls[r->free_zftl];
	r->free_zftl = tl->next_free;
	tl->lip = l->ip;
	tl->lport = port;
	tl->refs = 1;
	*out = tl;
	return 0;
}

ZF_EXPORT int
zftl_listen(struct zf_stack *st, const struct sockaddr *laddr, socklen_t laddrlen, const struct zf_attr *attr,
	    struct zftl **tl_out)
{
	struct zf_ctx *ctx = (struct zf_ctx *)st;
	struct tcp_room *r = ctx->tcp;
	struct tcp_addr l;
	struct zftl *tl;
	int rc = tcp_addr_get(laddr, laddrlen, &l);

	(void)attr;
	if (rc < 0)
		return rc;
	if (be32_is_zero(l.ip))
		return -EOPNOTSUPP;
	if (!netif_addr_is_own(ctx->netif, ctx->slot, l.ip))
		return -EADDRNOTAVAIL;
	if (!r->can_rx || !r->can_tx)
		return -EINVAL;
	if (r->open_zftl == r->n_zftl)
		return -ENOBUFS;
	rc = take_record(ctx, &l, &tl);
	if (rc < 0)
		return rc;
	if (!htab_insert(&r->listens, tcp_key_tag_local(ctx->secret, tl->lip, tl->lport), tl->index)) {
		tcp_listener_put(ctx, tl);
		return -ENOMEM;
	}
	tl->w = (struct zf_waitable){.kind = WAITABLE_TCP_LISTEN};
	tl->q_head = tl->q_tail = TCP_NONE;
	tl->q_len = 0;
	tl->open = true;
	r->open_zftl++;
	*tl_out = tl;
	return 0;
}

ZF_EXPORT int
zftl_free(struct zftl *tl)
{
	struct zf_ctx *ctx = zftl_ctx(tl);
	struct tcp_room *r = ctx->tcp;

	tcp_enter(ctx);
	(void)zf_bug(!htab_remove(&r->listens, tcp_key_tag_local(ctx->secret, tl->lip, tl->lport), tl->index));
	tl->open = false;
	mux_forget(ctx, &tl->w);
	tl->w.kind = WAITABLE_NONE;
	r->open_zftl--;
	tcp_syn_drop_listener(ctx, tl->index);
	while (tl->q_head != TCP_NONE) {
		struct zft *ts = &r->zfts[tl->q_head];

		tcp_listener_unqueue(ctx, tl, ts);
		tcp_abort(ctx, ts);
	}
	tcp_listener_put(ctx, tl);
	tcp_leave(ctx);
	return 0;
}

uint16_t
tcp_listen_events(const struct zftl *tl)
{
	return tl->q_head != TCP_NONE ? EPOLLIN : 0;
}

ZF_EXPORT void
zftl_getname(struct zftl *tl, struct sockaddr *laddr_out, socklen_t *laddrlen)
{
	tcp_addr_put(tl->lip, tl->lport, laddr_out, laddrlen);
}

ZF_EXPORT struct zf_waitable *
zftl_to_waitable(struct zftl *tl)
{
	return &tl->w;
}
