/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a parsed datagram to the queue of a zocket, and from there to the application. Binding is in udp_bind.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "ip/icmp.h"
#include "udp/udp_fast.h"

/* Another buffer with the same bytes, for one more zocket. Chains are copied segment by segment. */
static struct rte_mbuf *
udp_copy(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	struct rte_mbuf *first = NULL, **link = &first, *c;

	for (struct rte_mbuf *s = m; s != NULL; s = s->next) {
		c = pkt_take(ctx->pool);
		if (c == NULL) {
			if (first != NULL)
				pkt_put(ctx->pool, first);
			return NULL;
		}
		pkt_reset(c, s->data_len);
		/* Headers of a first fragment lie before its data: keep the head room's contents. */
		c->data_off = s->data_off;
		memcpy(c->buf_addr, s->buf_addr, (size_t)s->data_off + s->data_len);
		*pkt_meta(c) = *pkt_meta(s);
		*link = c;
		link = &c->next;
		if (c != first) {
			first->nb_segs++;
			first->pkt_len += c->data_len;
		}
	}
	return first;
}

/* Multicast and broadcast: to every zocket with a matching binding, once each. The first one found gets the buffer
 * itself, at the end, since copies are made of it.
 */
static ZF_NOINLINE void
udp_input_many(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	struct udp_room *r = ctx->udp;
	uint64_t serial = ++r->many_serial;
	struct zfur *first = NULL;

	udp_note(m, s);
	for (uint32_t i = udp_find_many(ctx, r, s->dst, s->dport); i != UDP_NONE; i = r->binds[i].next_many) {
		const struct udp_bind *b = &r->binds[i];
		struct zfur *us = &r->zfurs[b->zfur];
		struct rte_mbuf *copy;

		if (!udp_match_many(b, s) || us->many_serial == serial)
			continue;
		us->many_serial = serial;
		if (first == NULL) {
			first = us;
			continue;
		}
		copy = udp_copy(ctx, m);
		if (copy != NULL && udp_has_room(ctx, us)) {
			udp_enqueue(ctx, us, copy);
			ctx_count(ctx, CNT_UDP_COPIES);
			continue;
		}
		us->rx_drops++;
		ctx_count(ctx, CNT_UDP_COPY_FAILED);
		if (copy != NULL)
			pkt_put(ctx->pool, copy);
	}
	if (first == NULL) {
		ctx_count(ctx, CNT_RX_DROP_BROADCAST);
		pkt_put(ctx->pool, m);
		return;
	}
	udp_deliver(ctx, first, m);
}

void
udp_input_slow(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	if (s->cast != CAST_UNICAST) {
		udp_input_many(ctx, m, s);
		return;
	}
	ctx_count(ctx, CNT_RX_DROP_UDP_NO_PORT);
	/* On a shared queue the port may be another stack's, which put the datagram together from the same fragments. */
	if (netif_bind_owners(ctx->netif, IP_PROTO_UDP, s->dst, s->dport, s->src, s->sport, false) == 0)
		icmp_port_unreachable(ctx, m, s);
	pkt_put(ctx->pool, m);
}

void
udp_input_full(struct zf_ctx *ctx, struct zfur *us, struct rte_mbuf *m)
{
	us->rx_drops++;
	ctx_count(ctx, CNT_RX_DROP_UDP_QUEUE);
	pkt_put(ctx->pool, m);
}

bool
udp_wants(struct zf_ctx *ctx, const struct seg *s)
{
	struct udp_room *r = ctx->udp;

	if (s->cast == CAST_UNICAST)
		return udp_find(ctx, r, s) != UDP_NONE;
	for (uint32_t i = udp_find_many(ctx, r, s->dst, s->dport); i != UDP_NONE; i = r->binds[i].next_many)
		if (udp_match_many(&r->binds[i], s))
			return true;
	return false;
}

/* msg->reserved: the mbuf handed out, in the first 8 bytes. */
static ZF_ALWAYS_INLINE void
msg_set_mbuf(struct zfur_msg *msg, struct rte_mbuf *m)
{
	memcpy(msg->reserved, &m, sizeof(m));
}

static ZF_ALWAYS_INLINE struct rte_mbuf *
msg_mbuf(const struct zfur_msg *msg)
{
	struct rte_mbuf *m;

	memcpy(&m, msg->reserved, sizeof(m));
	return m;
}

static ZF_NOINLINE void
recv_chain(struct zf_ctx *ctx, struct rte_mbuf *m, struct zfur_msg *msg)
{
	int room = msg->iovcnt;
	int n = 0;

	for (; m != NULL && n < room; m = m->next, n++) {
		msg->iov[n].iov_base = rte_pktmbuf_mtod(m, void *);
		msg->iov[n].iov_len = m->data_len;
	}
	msg->iovcnt = n;
	if (m != NULL)
		ctx_count(ctx, CNT_UDP_PARTIAL);
}

ZF_EXPORT void
zfur_zc_recv(struct zfur *us, struct zfur_msg *msg, int flags)
{
	struct rte_mbuf *m = us->head;

	(void)flags; /* enum zf_zc_flags: a message is complete when it is reported, there is nothing to wait for */
	if (m == NULL || zf_unlikely(msg->iovcnt <= 0)) {
		msg->iovcnt = 0;
		msg->dgrams_left = (int)us->count;
		return;
	}
	msg_set_mbuf(msg, m);
	msg->dgrams_left = (int)us->count - 1;
	if (zf_unlikely(m->nb_segs > 1)) {
		recv_chain(zfur_ctx(us), m, msg);
		return;
	}
	msg->iovcnt = 1;
	msg->iov[0].iov_base = rte_pktmbuf_mtod_offset(m, void *, pkt_meta(m)->off);
	msg->iov[0].iov_len = pkt_meta(m)->len;
}

ZF_EXPORT void
zfur_zc_recv_done(struct zfur *us, struct zfur_msg *msg)
{
	struct rte_mbuf *m = us->head;
	struct zf_ctx *ctx = zfur_ctx(us);

	/* A message that was done before, or another zocket's: nothing may be given back twice. */
	if (zf_unlikely(m == NULL || m != msg_mbuf(msg)))
		return;
	us->head = pkt_meta(m)->next;
	us->count--;
	ctx->rx_held -= m->nb_segs;
	pkt_put(ctx->pool, m);
}

ZF_EXPORT int
zfur_pkt_get_header(struct zfur *us, const struct zfur_msg *msg, const struct iphdr **iphdr,
		    const struct udphdr **udphdr, int pktind)
{
	struct rte_mbuf *m = msg_mbuf(msg);
	const struct pkt_meta *meta;

	if (pktind < 0 || pktind >= msg->iovcnt || m == NULL || m != us->head)
		return -EINVAL;
	meta = pkt_meta(m);
	if (zf_unlikely(m->nb_segs > 1)) {
		/* The frame's start is gone, cut off by reassembly: offsets count from the buffer's. */
		*iphdr = (const struct iphdr *)((char *)m->buf_addr + meta->l3_off);
		*udphdr = (const struct udphdr *)((char *)m->buf_addr + meta->l4_off);
		return 0;
	}
	*iphdr = rte_pktmbuf_mtod_offset(m, const struct iphdr *, meta->l3_off);
	*udphdr = rte_pktmbuf_mtod_offset(m, const struct udphdr *, meta->l4_off);
	return 0;
}
