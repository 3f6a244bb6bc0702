/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See output.h. Everything here is off the fast path.
 */
#include "ip/output.h"

#include <errno.h>
#include <string.h>

#include "ip/csum.h"

uint32_t
output_eth_header(const struct netif *n, void *p, const struct eth_addr *dst, uint16_t type)
{
	struct hdr_eth *eth = p;
	struct hdr_vlan *v = (struct hdr_vlan *)(eth + 1);

	eth->dst = *dst;
	eth->src = n->mac;
	if (n->vlan == 0) {
		eth->type = be16_from(type);
		return sizeof(*eth);
	}
	eth->type = BE16_C(ETH_TYPE_VLAN);
	v->tci = be16_from(n->vlan);
	v->type = be16_from(type);
	return sizeof(*eth) + sizeof(*v);
}

void
output_ip_header(struct hdr_ip4 *ip, be32_t src, be32_t dst, uint8_t proto, uint8_t ttl, uint8_t tos,
		 uint16_t total_len, uint16_t id, uint16_t frag)
{
	*ip = (struct hdr_ip4){
		.ver_ihl = IP4_VER_IHL,
		.tos = tos,
		.total_len = be16_from(total_len),
		.id = be16_from(id),
		.frag = be16_from(frag),
		.ttl = ttl,
		.proto = proto,
		.src = src,
		.dst = dst,
	};
	ip->csum = csum_finish(csum_ip4_hdr(ip, 5));
}

struct rte_mbuf *
output_frame(struct zf_ctx *ctx, const struct eth_addr *dst, uint16_t type, uint32_t l3_len, void **l3)
{
	struct rte_mbuf *m = pkt_take(ctx->pool);
	uint32_t l2;

	if (m == NULL) {
		ctx_count(ctx, CNT_TX_DROP_NOMEM);
		return NULL;
	}
	pkt_reset(m, 0);
	l2 = output_eth_header(ctx->netif, rte_pktmbuf_mtod(m, void *), dst, type);
	if (zf_bug(l2 + l3_len > rte_pktmbuf_tailroom(m))) {
		pkt_put(ctx->pool, m);
		return NULL;
	}
	pkt_reset(m, l2 + l3_len);
	*l3 = rte_pktmbuf_mtod_offset(m, void *, l2);
	return m;
}

void
output_gather(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	struct ip_room *r = ctx->ip;

	if (r->n_gather == OUTPUT_GATHER)
		output_flush(ctx);
	r->gather[r->n_gather++] = m;
	ctx->unsent = 1;
}

void
output_flush_some(struct zf_ctx *ctx)
{
	struct ip_room *r = ctx->ip;
	uint32_t n = r->n_gather, sent = 0;

	r->n_gather = 0;
	/* Not every port takes a whole burst at once: as long as it takes some, it is not full. */
	for (uint32_t k = output_backlog(ctx) ? n : 0; k > 0 && sent < n; sent += k)
		k = ctx->tx(ctx->txq, r->gather + sent, (uint16_t)(n - sent));
	ctx->counters[CNT_TX_FRAMES] += sent;
	/* ARP, ICMP and IGMP are repeated by whoever misses them: no second try here. */
	for (uint32_t i = sent; i < n; i++) {
		ctx_count(ctx, CNT_TX_DROP_FULL);
		pkt_put(ctx->pool, r->gather[i]);
	}
}

bool
output_backlog_some(struct zf_ctx *ctx)
{
	uint32_t sent = ctx->tx(ctx->txq, ctx->backlog, (uint16_t)ctx->backlog_n);
	ctx->backlog_n -= sent;
	memmove(ctx->backlog, ctx->backlog + sent, ctx->backlog_n * sizeof(ctx->backlog[0]));
	if (ctx->backlog_n > 0)
		return false;
	ctx->owed &= ~(uint32_t)CTX_OWED_BACKLOG;
	ctx->path_gen = ctx->ip->env_gen;
	return true;
}

bool
output_burst(struct zf_ctx *ctx, struct rte_mbuf **pkts, uint32_t n)
{
	uint32_t sent;

	ZF_ASSERT(n <= ctx->backlog_max);
	if (!output_backlog(ctx))
		return false;
	sent = ctx->tx(ctx->txq, pkts, (uint16_t)n);
	if (sent == n)
		return true;
	if (sent == 0)
		return false;
	/* Some have left: the rest follows, before anything else. */
	ctx->backlog_n = n - sent;
	ctx->restless = true;
	memcpy(ctx->backlog, pkts + sent, ctx->backlog_n * sizeof(pkts[0]));
	ctx->owed |= CTX_OWED_BACKLOG;
	ctx->path_gen = 0; /* no zocket's: the fast sends stop */
	return true;
}

struct iov_cursor {
	const struct iovec *iov;
	int left;
	size_t off;
};

static void
iov_copy(struct iov_cursor *c, uint8_t *to, uint32_t len)
{
	while (len > 0 && c->left > 0) {
		size_t k = ZF_MIN(c->iov->iov_len - c->off, (size_t)len);

		if (k > 0)
			memcpy(to, (const char *)c->iov->iov_base + c->off, k);
		to += k;
		len -= (uint32_t)k;
		c->off += k;
		if (c->off == c->iov->iov_len) {
			c->iov++;
			c->left--;
			c->off = 0;
		}
	}
}

int
output_fragments(struct zf_ctx *ctx, const uint8_t *hdr, uint32_t hdr_len, const struct iovec *iov,
		 int iov_cnt, uint32_t total, uint32_t mtu, uint16_t id, struct rte_mbuf *out[OUTPUT_FRAGS_MAX])
{
	uint32_t room = mtu - (uint32_t)sizeof(struct hdr_ip4);
	struct iov_cursor cur = {iov, iov_cnt, 0};
	uint32_t off = 0;
	int n = 0;

	if (total > room)
		room &= ~7u;
	/* More than there will ever be: whoever tried again would try for ever. */
	if ((total + room - 1) / room > ZF_MIN((uint32_t)OUTPUT_FRAGS_MAX, ctx->pool->n_bufs))
		return -EMSGSIZE;
	do {
		uint32_t len = ZF_MIN(total - off, room);
		bool more = off + len < total;
		struct rte_mbuf *m = pkt_take(ctx->pool);
		struct hdr_ip4 *ip;
		uint8_t *p;

		if (m == NULL) {
			while (n > 0)
				pkt_put(ctx->pool, out[--n]);
			return -ENOBUFS;
		}
		pkt_reset(m, hdr_len + len);
		p = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(p, hdr, hdr_len);
		ip = (struct hdr_ip4 *)(p + hdr_len) - 1;
		output_ip_header(ip, ip->src, ip->dst, ip->proto, ip->ttl, ip->tos,
				 (uint16_t)(sizeof(*ip) + len), id,
				 (uint16_t)((more ? IP4_FLAG_MF : 0) | off / 8));
		iov_copy(&cur, p + hdr_len, len);
		out[n++] = m;
		off += len;
	} while (off < total);
	return n;
}

static void
held_drop(struct zf_ctx *ctx, uint32_t i, enum counter why)
{
	struct ip_room *r = ctx->ip;

	ctx_count(ctx, why);
	netif_neigh_drop(ctx->netif, r->held[i].neigh, ctx->now);
	pkt_put(ctx->pool, r->held[i].m);
}

static void
held_arm(struct zf_ctx *ctx)
{
	struct ip_room *r = ctx->ip;

	/* In order of age: the first one is due first. */
	if (r->n_held > 0)
		wheel_arm(ctx->wheel, &r->held_timer, r->held[0].deadline);
	else
		wheel_cancel(ctx->wheel, &r->held_timer);
}

void
output_hold(struct zf_ctx *ctx, const struct ip_path *path, struct rte_mbuf **pkts, uint32_t n)
{
	struct ip_room *r = ctx->ip;
	/* The answer needs buffers too. */
	uint32_t max = ZF_MIN((uint32_t)OUTPUT_HELD, ctx->pool->n_bufs / 4);
	uint32_t over = r->n_held + n > max ? r->n_held + n - max : 0;

	if (n > max) {
		for (uint32_t i = 0; i < n; i++)
			pkt_put(ctx->pool, pkts[i]);
		ctx->counters[CNT_TX_DROP_HELD] += n;
		return;
	}
	/* RFC 1122 2.3.2.2: the newest are worth most. */
	for (uint32_t i = 0; i < over; i++)
		held_drop(ctx, i, CNT_TX_DROP_HELD);
	r->n_held -= over;
	memmove(r->held, r->held + over, r->n_held * sizeof(r->held[0]));
	for (uint32_t i = 0; i < n; i++) {
		int neigh = netif_neigh_hold(ctx->netif, path->next_hop, ctx->now);

		if (neigh < 0) {
			ctx_count(ctx, CNT_TX_DROP_HELD);
			pkt_put(ctx->pool, pkts[i]);
			continue;
		}
		ctx_count(ctx, CNT_TX_HELD);
		r->held[r->n_held++] = (struct output_held){
			pkts[i], path->next_hop, neigh,
			ctx->now + ctx_us_to_cycles(ctx, OUTPUT_HELD_MS * 1000ull)};
	}
	held_arm(ctx);
}

void
output_held_run(struct zf_ctx *ctx)
{
	struct ip_room *r = ctx->ip;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->n_held; i++) {
		struct output_held *h = &r->held[i];
		struct eth_addr mac;
		enum neigh_state st = neigh_get(ctx->netif->neigh, h->neigh, &mac);

		if (st >= NEIGH_RESOLVED) {
			rte_pktmbuf_mtod(h->m, struct hdr_eth *)->dst = mac;
			netif_neigh_drop(ctx->netif, h->neigh, ctx->now);
			output_gather(ctx, h->m);
		} else if (st == NEIGH_FAILED || ctx->now >= h->deadline) {
			held_drop(ctx, i, CNT_TX_DROP_UNREACHABLE);
		} else {
			r->held[kept++] = *h;
		}
	}
	r->n_held = kept;
	held_arm(ctx);
}

static void
emit_arp(void *arg, const struct eth_addr *dst, const struct hdr_arp *arp)
{
	struct zf_ctx *ctx = arg;
	void *l3;
	struct rte_mbuf *m = output_frame(ctx, dst, ETH_TYPE_ARP, sizeof(*arp), &l3);

	if (m == NULL)
		return;
	memcpy(l3, arp, sizeof(*arp));
	output_gather(ctx, m);
}

/* RFC 3376 4: TTL 1, router alert, precedence of Internetwork Control. */
static void
emit_igmp(void *arg, be32_t dst, const void *payload, size_t len)
{
	static const uint8_t alert[4] = {IP4_OPT_RA, 4, 0, 0};
	struct zf_ctx *ctx = arg;
	struct eth_addr mac = eth_addr_of_group(dst);
	uint32_t total = (uint32_t)(sizeof(struct hdr_ip4) + sizeof(alert) + len);
	struct hdr_ip4 *ip;
	void *l3;
	struct rte_mbuf *m = output_frame(ctx, &mac, ETH_TYPE_IPV4, total, &l3);

	if (m == NULL)
		return;
	ip = l3;
	output_ip_header(ip, ctx->ip->env.ip, dst, IP_PROTO_IGMP, 1, 0xc0, (uint16_t)total,
			 output_next_id(ctx), 0);
	ip->ver_ihl = 0x46;
	memcpy(ip + 1, alert, sizeof(alert));
	ip->csum = (be16_t){0};
	ip->csum = csum_finish(csum_ip4_hdr(ip, 6));
	memcpy((uint8_t *)(ip + 1) + sizeof(alert), payload, len);
	ctx_count(ctx, CNT_TX_IGMP);
	output_gather(ctx, m);
}

void
output_netif_run(struct zf_ctx *ctx)
{
	uint64_t next;

	/* Nobody is asked for on behalf of nobody. */
	ip_paths_sweep(ctx);
	next = netif_run(ctx->netif, ctx->now, emit_arp, emit_igmp, ctx);

	if (next != UINT64_MAX)
		wheel_arm(ctx->wheel, &ctx->ip->netif_timer, next);
	else
		wheel_cancel(ctx->wheel, &ctx->ip->netif_timer);
}

bool
output_limit_take(struct zf_ctx *ctx, struct output_limit *l)
{
	uint64_t step = ctx->hz / l->per_s;
	uint64_t back = (ctx->now - l->last) / step;

	if (back > 0) {
		l->last += back * step;
		l->tokens = (uint32_t)ZF_MIN(l->tokens + back, (uint64_t)l->burst);
	}
	if (l->tokens == 0)
		return false;
	l->tokens--;
	return true;
}
