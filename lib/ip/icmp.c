/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See icmp.h.
 */
#include "ip/icmp.h"

#include <string.h>

#include "ip/csum.h"

/* RFC 792 asks for the header and 8 bytes; RFC 1812 for as much as 576 bytes hold. */
#define ICMP_ERROR_MAX 576u

static enum icmp_verdict
drop(struct zf_ctx *ctx, struct rte_mbuf *m, enum counter why)
{
	ctx_count(ctx, why);
	pkt_put(ctx->pool, m);
	return ICMP_TAKEN;
}

/* Turn the request around in its own buffer: same id, sequence and data (RFC 1122 3.2.2.6). */
static enum icmp_verdict
echo(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct hdr_eth *eth = (struct hdr_eth *)frame;
	struct hdr_icmp *ic = (struct hdr_icmp *)(frame + s->l4_off);
	struct eth_addr from = eth->src;
	uint32_t l2, len = s->pay_len;
	struct hdr_ip4 *ip;

	/* RFC 1122 3.2.2.6: to a broadcast or multicast address it may be ignored, and is. */
	if (s->cast != CAST_UNICAST || eth_addr_is_mcast(&from))
		return drop(ctx, m, CNT_RX_DROP_ICMP_OTHER);
	if (!output_limit_take(ctx, &ctx->ip->icmp_echo))
		return drop(ctx, m, CNT_RX_DROP_ICMP_LIMIT);
	ctx_count(ctx, CNT_RX_ICMP_ECHO);
	l2 = output_eth_header(ctx->netif, eth, &from, ETH_TYPE_IPV4);
	ip = (struct hdr_ip4 *)(frame + l2);
	/* Options of the request are not sent back, nor is a priority tag: the message moves up. */
	memmove(ip + 1, ic, len);
	ic = (struct hdr_icmp *)(ip + 1);
	ic->type = ICMP_MSG_ECHO_REPLY;
	ic->code = 0;
	ic->csum = (be16_t){0};
	ic->csum = csum_finish(csum_partial(ic, len, 0));
	output_ip_header(ip, s->dst, s->src, IP_PROTO_ICMP, 64, 0, (uint16_t)(sizeof(*ip) + len),
			 output_next_id(ctx), 0);
	m->data_len = (uint16_t)(l2 + sizeof(*ip) + len);
	m->pkt_len = m->data_len;
	m->ol_flags = 0;
	output_gather(ctx, m);
	return ICMP_TAKEN;
}

/* RFC 1191 7.1: a router that does not say how much it takes gets the next lower usual size. */
static uint16_t
plateau(uint16_t total_len)
{
	static const uint16_t sizes[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(sizes); i++)
		if (sizes[i] < total_len)
			return sizes[i];
	return 68;
}

/* The quoted packet must be one that we can have sent: our address, a protocol of ours, ports within the quote. */
static bool
quote_parse(struct zf_ctx *ctx, const struct hdr_icmp *ic, uint32_t len, struct icmp_quote *q)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(ic + 1);
	uint32_t room = len - (uint32_t)sizeof(*ic);
	uint32_t hlen;
	const uint8_t *l4;
	be32_t seq;

	if (room < sizeof(*ip))
		return false;
	hlen = ip4_hdr_len(ip);
	if (ip->ver_ihl >> 4 != 4 || hlen < sizeof(*ip) || hlen + 8 > room ||
	    (be16_host(ip->frag) & IP4_OFF_MASK) != 0 || !parse_is_own(&ctx->ip->env, ip->src))
		return false;
	if (ip->proto != IP_PROTO_UDP && ip->proto != IP_PROTO_TCP)
		return false;
	l4 = (const uint8_t *)ip + hlen;
	memcpy(&q->sport, l4, 2);
	memcpy(&q->dport, l4 + 2, 2);
	memcpy(&seq, l4 + 4, 4);
	q->seq = be32_host(seq);
	q->src = ip->src;
	q->dst = ip->dst;
	q->proto = ip->proto;
	q->type = ic->type;
	q->code = ic->code;
	q->mtu = 0;
	if (ic->type == ICMP_MSG_UNREACH && ic->code == ICMP_UNREACH_CODE_FRAG) {
		q->mtu = be16_host(ic->frag.mtu);
		if (q->mtu == 0)
			q->mtu = plateau(be16_host(ip->total_len));
	}
	return true;
}

enum icmp_verdict
icmp_input(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s, struct icmp_quote *q)
{
	const struct hdr_icmp *ic = rte_pktmbuf_mtod_offset(m, const struct hdr_icmp *, s->l4_off);

	switch (ic->type) {
	case ICMP_MSG_ECHO:
		return echo(ctx, m, s);
	case ICMP_MSG_UNREACH:
	case ICMP_MSG_TIME_EXCEEDED:
	case ICMP_MSG_PARAM:
		if (s->cast == CAST_UNICAST && quote_parse(ctx, ic, s->pay_len, q))
			return ICMP_IS_ERROR;
		return drop(ctx, m, CNT_RX_DROP_ICMP_OTHER);
	default:
		/* Source quench is dead (RFC 6633), redirects are ignored: a router on the wire must not be able to
		 * turn our traffic around. Replies are nobody's: this stack sends no requests.
		 */
		return drop(ctx, m, CNT_RX_DROP_ICMP_OTHER);
	}
}

void
icmp_echo_chain(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s, const struct eth_addr *from)
{
	struct rte_mbuf *out[OUTPUT_FRAGS_MAX];
	struct iovec iov[REASS_FRAGS_MAX + 1];
	uint8_t hdr[sizeof(struct hdr_eth) + sizeof(struct hdr_vlan) + sizeof(struct hdr_ip4)];
	struct hdr_icmp ic;
	uint64_t sum = 0, out_sum = 0;
	uint32_t l2, total = 0;
	int n = 1, frags;

	for (struct rte_mbuf *p = m; p != NULL && n <= REASS_FRAGS_MAX; p = p->next, n++) {
		iov[n] = (struct iovec){rte_pktmbuf_mtod(p, void *), p->data_len};
		/* All but the last are multiples of 8 bytes: no odd offsets. */
		sum = csum_partial(iov[n].iov_base, iov[n].iov_len, sum);
		total += p->data_len;
	}
	if (m->data_len < sizeof(ic) || (!ctx->ip->env.trust_csum && !csum_ok(sum))) {
		(void)drop(ctx, m, CNT_RX_DROP_ICMP_BAD);
		return;
	}
	memcpy(&ic, iov[1].iov_base, sizeof(ic));
	if (ic.type != ICMP_MSG_ECHO || s->cast != CAST_UNICAST || eth_addr_is_mcast(from)) {
		(void)drop(ctx, m, CNT_RX_DROP_ICMP_OTHER);
		return;
	}
	if (!output_limit_take(ctx, &ctx->ip->icmp_echo)) {
		(void)drop(ctx, m, CNT_RX_DROP_ICMP_LIMIT);
		return;
	}
	ic.type = ICMP_MSG_ECHO_REPLY;
	ic.code = 0;
	ic.csum = (be16_t){0};
	iov[0] = (struct iovec){&ic, sizeof(ic)};
	iov[1].iov_base = (char *)iov[1].iov_base + sizeof(ic);
	iov[1].iov_len -= sizeof(ic);
	for (int i = 0; i < n; i++)
		out_sum = csum_partial(iov[i].iov_base, iov[i].iov_len, out_sum);
	ic.csum = csum_finish(out_sum);
	l2 = output_eth_header(ctx->netif, hdr, from, ETH_TYPE_IPV4);
	output_ip_header((struct hdr_ip4 *)(hdr + l2), s->dst, s->src, IP_PROTO_ICMP, 64, 0, 0, 0, 0);
	frags = output_fragments(ctx, hdr, l2 + (uint32_t)sizeof(struct hdr_ip4), iov, n, total,
				 ctx->netif->mtu, output_next_id(ctx), out);
	ctx_count(ctx, CNT_RX_ICMP_ECHO);
	if (frags < 0)
		ctx_count(ctx, CNT_TX_DROP_NOMEM);
	for (int i = 0; i < frags; i++)
		output_gather(ctx, out[i]);
	pkt_put(ctx->pool, m);
}

void
icmp_send_error(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s, uint8_t type, uint8_t code)
{
	const uint8_t *frame;
	const struct hdr_eth *in;
	const struct hdr_ip4 *quoted;
	uint32_t quote, total;
	struct rte_mbuf *r;
	struct hdr_icmp *ic;
	struct hdr_ip4 *ip;
	void *l3;

	/* RFC 1122 3.2.2: nothing about broadcasts, multicasts, fragments but the first, senders that are no host, and
	 * errors; the last is sure, since only UDP, TCP and unknown protocols come here. Chains have lost their frame.
	 */
	if (s->cast != CAST_UNICAST || s->mac_cast != CAST_UNICAST || m->nb_segs > 1)
		return;
	frame = rte_pktmbuf_mtod(m, const uint8_t *);
	in = (const struct hdr_eth *)frame;
	if (eth_addr_is_mcast(&in->src))
		return;
	if (!output_limit_take(ctx, &ctx->ip->icmp_errors)) {
		ctx_count(ctx, CNT_TX_ICMP_LIMIT);
		return;
	}
	quoted = (const struct hdr_ip4 *)(frame + s->l3_off);
	total = (uint32_t)(sizeof(*ip) + sizeof(*ic));
	quote = ZF_MIN((uint32_t)s->ip_len, ZF_MIN(ICMP_ERROR_MAX, (uint32_t)ctx->netif->mtu) - total);
	total += quote;
	r = output_frame(ctx, &in->src, ETH_TYPE_IPV4, total, &l3);
	if (r == NULL)
		return;
	ip = l3;
	output_ip_header(ip, s->dst, s->src, IP_PROTO_ICMP, 64, 0xc0, (uint16_t)total, output_next_id(ctx), 0);
	ic = (struct hdr_icmp *)(ip + 1);
	*ic = (struct hdr_icmp){.type = type, .code = code};
	memcpy(ic + 1, quoted, quote);
	ic->csum = csum_finish(csum_partial(ic, sizeof(*ic) + quote, 0));
	ctx_count(ctx, CNT_TX_ICMP);
	output_gather(ctx, r);
}
