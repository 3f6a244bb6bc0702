/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See frag.h. A held fragment is an untouched received frame; pkt_meta keeps where its parts begin.
 */
#include "ip/frag.h"

#include "ip/csum.h"
#include "ip/icmp.h"

static const enum counter frag_counters[] = {
	[REASS_HELD] = CNT_RX_FRAGMENT,
	[REASS_DUP] = CNT_RX_DROP_FRAG_DUP,
	[REASS_BAD] = CNT_RX_DROP_FRAG_BAD,
	[REASS_OVERLAP] = CNT_RX_DROP_FRAG_OVERLAP,
	[REASS_LIMIT] = CNT_RX_DROP_FRAG_LIMIT,
};

void
frag_dropped(struct zf_ctx *ctx, struct rte_mbuf *m, bool timeout, bool is_first)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct hdr_eth *eth = rte_pktmbuf_mtod(m, const struct hdr_eth *);
	const struct hdr_ip4 *ip = rte_pktmbuf_mtod_offset(m, const struct hdr_ip4 *, meta->l3_off);

	if (is_first)
		ctx_count(ctx, timeout ? CNT_REASS_TIMEOUT : CNT_REASS_EVICTED);
	if (timeout && is_first) {
		struct seg s = {.src = ip->src,
				.dst = ip->dst,
				.l3_off = meta->l3_off,
				.ip_len = be16_host(ip->total_len),
				.proto = ip->proto,
				.mac_cast = eth_addr_is_mcast(&eth->dst) ? CAST_MULTICAST : CAST_UNICAST};

		s.cast = parse_is_own(&ctx->ip->env, ip->dst) ? CAST_UNICAST : CAST_MULTICAST;
		icmp_send_error(ctx, m, &s, ICMP_MSG_TIME_EXCEEDED, ICMP_TIME_CODE_REASS);
	}
	ctx->rx_held--;
	pkt_put(ctx->pool, m);
}

uint64_t
frag_sum(const struct rte_mbuf *m)
{
	uint64_t sum = 0;

	for (; m != NULL; m = m->next)
		sum = csum_partial(rte_pktmbuf_mtod(m, const void *), m->data_len, sum);
	return sum;
}

/* Cut a held frame down to its payload. */
static void
trim(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);

	m->data_off = (uint16_t)(m->data_off + meta->off);
	m->data_len = meta->len;
	m->pkt_len = meta->len;
}

static struct rte_mbuf *
chain(struct zf_ctx *ctx, const struct reass_datagram *d, struct seg *s, struct eth_addr *from)
{
	struct rte_mbuf *first = d->frag[0], *last = first;
	struct pkt_meta *meta = pkt_meta(first);
	struct hdr_ip4 *ip = rte_pktmbuf_mtod_offset(first, struct hdr_ip4 *, meta->l3_off);

	*from = rte_pktmbuf_mtod(first, const struct hdr_eth *)->src;
	s->ip_len = (uint16_t)(ip4_hdr_len(ip) + d->len);
	ip->total_len = be16_from(s->ip_len);
	ip->frag = BE16_C(0);
	ip->csum = BE16_C(0);
	ip->csum = csum_finish(csum_ip4_hdr(ip, ip4_hdr_len(ip) / 4));
	s->pay_len = d->len;
	meta->l3_off = (uint16_t)(first->data_off + meta->l3_off);
	meta->l4_off = (uint16_t)(first->data_off + meta->off);
	trim(first);
	for (uint16_t i = 1; i < d->n; i++) {
		struct rte_mbuf *m = d->frag[i];

		trim(m);
		last->next = m;
		last = m;
		first->nb_segs++;
		first->pkt_len += m->data_len;
	}
	ctx->rx_held -= d->n;
	return first;
}

struct rte_mbuf *
frag_input(struct zf_ctx *ctx, struct rte_mbuf *m, struct seg *s, struct eth_addr *from)
{
	struct pkt_meta *meta = pkt_meta(m);
	struct reass_frag f = {
		.src = s->src,
		.dst = s->dst,
		.id = s->ip_id,
		.proto = s->proto,
		.more = s->frag_more != 0,
		.hdr_len = (uint16_t)(s->l4_off - s->l3_off),
		.offset = s->frag_off,
		.len = s->pay_len,
		.handle = m,
	};
	struct reass_datagram d;
	enum reass_result r;

	meta->off = s->pay_off;
	meta->len = s->pay_len;
	meta->l3_off = s->l3_off;
	meta->l4_off = s->l4_off;
	if (ctx->rx_held >= ctx->rx_hold_max) {
		ctx_count(ctx, CNT_RX_DROP_FRAG_LIMIT);
		pkt_put(ctx->pool, m);
		return NULL;
	}
	ctx->rx_held++;
	r = reass_input(ctx->ip->reass, &f, ctx->now, &d);
	if (r == REASS_DONE)
		return chain(ctx, &d, s, from);
	ctx_count(ctx, frag_counters[r]);
	if (r != REASS_HELD) {
		ctx->rx_held--;
		pkt_put(ctx->pool, m);
		return NULL;
	}
	wheel_arm(ctx->wheel, &ctx->ip->reass_timer, reass_next_due(ctx->ip->reass));
	return NULL;
}
