/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See parse.h. One function per layer, each returns a kind or a drop; nothing is read before its length was tested.
 */
#include "ip/parse.h"

#include "ip/csum.h"

bool
parse_is_own(const struct parse_env *env, be32_t a)
{
	if (env->loop && ip_is_loopback(a))
		return true;
	for (uint32_t i = 0; i < env->n_addrs; i++)
		if (be32_eq(env->ips[i], a))
			return true;
	return false;
}

static bool
is_directed_bcast(const struct parse_env *env, be32_t a)
{
	for (uint32_t i = 0; i < env->n_addrs; i++)
		if (be32_eq(env->bcasts[i], a) && !be32_is_zero(a))
			return true;
	return false;
}

/* RFC 1122 3.2.1.3: who can never be a sender. Own addresses: a forged or looped frame (LAND). */
static bool
src_is_bad(const struct parse_env *env, be32_t src)
{
	if (!ip_is_unicast(src) || is_directed_bcast(env, src))
		return true;
	if (env->loop)
		return false;
	return ip_is_loopback(src) || parse_is_own(env, src);
}

/* Which of the three casts, or -1 when the packet is for somebody else. */
static int
dst_cast(const struct parse_env *env, be32_t dst)
{
	if (parse_is_own(env, dst))
		return CAST_UNICAST;
	if (ip_is_mcast(dst))
		return CAST_MULTICAST;
	if (ip_is_bcast(dst) || is_directed_bcast(env, dst))
		return CAST_BROADCAST;
	return -1;
}

/* IP options (RFC 791, RFC 1122 3.2.1.8): walked only to find malformed ones, source routes (declined: the packet is
 * dropped) and the router alert. The rest is passed over.
 */
static bool
options_ok(const uint8_t *o, uint32_t len, struct seg *s)
{
	uint32_t i = 0;

	while (i < len) {
		uint32_t olen;

		if (o[i] == IP4_OPT_END)
			return true;
		if (o[i] == IP4_OPT_NOP) {
			i++;
			continue;
		}
		if (i + 2 > len)
			return false;
		olen = o[i + 1];
		if (olen < 2 || olen > len - i)
			return false;
		if (o[i] == IP4_OPT_LSRR || o[i] == IP4_OPT_SSRR)
			return false;
		if (o[i] == IP4_OPT_RA && olen == 4)
			s->router_alert = 1;
		i += olen;
	}
	return true;
}

static int
check_udp_len(const struct hdr_udp *udp, uint32_t l4_len, struct seg *s)
{
	uint32_t ulen;

	if (l4_len < sizeof(*udp))
		return PARSE_DROPPED(CNT_RX_DROP_UDP_BAD);
	ulen = be16_host(udp->len);
	/* A shorter UDP length trims, a longer one lies (RFC 768). */
	if (ulen < sizeof(*udp) || ulen > l4_len)
		return PARSE_DROPPED(CNT_RX_DROP_UDP_BAD);
	s->sport = udp->src;
	s->dport = udp->dst;
	s->pay_len = (uint16_t)(ulen - sizeof(*udp));
	return PARSE_UDP;
}

static int
parse_udp(const uint8_t *frame, uint32_t l4_len, uint32_t csum, const struct parse_env *env,
	  struct seg *s)
{
	const struct hdr_udp *udp = (const struct hdr_udp *)(frame + s->l4_off);
	int kind = check_udp_len(udp, l4_len, s);
	uint32_t ulen;

	if (kind != PARSE_UDP)
		return kind;
	s->pay_off = (uint16_t)(s->l4_off + sizeof(*udp));
	if (env->trust_csum || (csum & CSUM_L4_GOOD) || be16_is_zero(udp->csum))
		return PARSE_UDP;
	ulen = s->pay_len + (uint32_t)sizeof(*udp);
	/* A "bad" of the port is checked again: some report it for lengths or paddings that they do not know. */
	if (csum_fold(csum_pseudo(s->src, s->dst, IP_PROTO_UDP, ulen) + csum_partial(udp, ulen, 0)) != 0xffff)
		return PARSE_DROPPED(CNT_RX_DROP_UDP_CSUM);
	return PARSE_UDP;
}

int
parse_reassembled_udp(const struct hdr_udp *udp, uint32_t l4_len, uint64_t l4_sum,
		      const struct parse_env *env, struct seg *s)
{
	int kind = check_udp_len(udp, l4_len, s);

	if (kind != PARSE_UDP)
		return kind;
	/* A UDP length below what the fragments carried would need a sum over a part of them: nobody sends that. */
	if (s->pay_len + sizeof(*udp) != l4_len)
		return PARSE_DROPPED(CNT_RX_DROP_UDP_BAD);
	if (env->trust_csum || be16_is_zero(udp->csum))
		return PARSE_UDP;
	if (csum_fold(csum_pseudo(s->src, s->dst, IP_PROTO_UDP, l4_len) + l4_sum) != 0xffff)
		return PARSE_DROPPED(CNT_RX_DROP_UDP_CSUM);
	return PARSE_UDP;
}

static int
parse_tcp(const uint8_t *frame, uint32_t l4_len, uint32_t csum, const struct parse_env *env, struct seg *s)
{
	const struct hdr_tcp *tcp = (const struct hdr_tcp *)(frame + s->l4_off);
	uint32_t hdr_len;

	if (l4_len < sizeof(*tcp))
		return PARSE_DROPPED(CNT_RX_DROP_TCP_BAD);
	hdr_len = tcp_hdr_len(tcp);
	if (hdr_len < sizeof(*tcp) || hdr_len > l4_len)
		return PARSE_DROPPED(CNT_RX_DROP_TCP_BAD);
	s->sport = tcp->src;
	s->dport = tcp->dst;
	s->pay_off = (uint16_t)(s->l4_off + hdr_len);
	s->pay_len = (uint16_t)(l4_len - hdr_len);
	if (env->trust_csum || (csum & CSUM_L4_GOOD))
		return PARSE_TCP;
	if (csum_fold(csum_pseudo(s->src, s->dst, IP_PROTO_TCP, (uint16_t)l4_len) + csum_partial(tcp, l4_len, 0)) !=
	    0xffff)
		return PARSE_DROPPED(CNT_RX_DROP_TCP_CSUM);
	return PARSE_TCP;
}

/* The payload behind the IP header is complete and @l4_len bytes long. */
static int
parse_l4(const uint8_t *frame, uint32_t l4_len, uint32_t csum, const struct parse_env *env,
	 struct seg *s)
{
	s->pay_off = s->l4_off;
	s->pay_len = (uint16_t)l4_len;
	switch (s->proto) {
	case IP_PROTO_UDP:
		return parse_udp(frame, l4_len, csum, env, s);
	case IP_PROTO_TCP:
		return parse_tcp(frame, l4_len, csum, env, s);
	case IP_PROTO_ICMP:
		if (l4_len < sizeof(struct hdr_icmp))
			return PARSE_DROPPED(CNT_RX_DROP_ICMP_BAD);
		if (!env->trust_csum && csum_fold(csum_partial(frame + s->l4_off, l4_len, 0)) != 0xffff)
			return PARSE_DROPPED(CNT_RX_DROP_ICMP_BAD);
		return PARSE_ICMP;
	case IP_PROTO_IGMP:
		return PARSE_IGMP;
	default:
		return PARSE_NO_PROTO;
	}
}

static int
parse_ip(const uint8_t *frame, uint32_t len, uint32_t csum, const struct parse_env *env,
	 struct seg *s)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(frame + s->l3_off);
	uint32_t room = len - s->l3_off;
	uint32_t hlen, total, frag;
	int cast;

	if (room < sizeof(*ip))
		return PARSE_DROPPED(CNT_RX_DROP_RUNT);
	hlen = ip4_hdr_len(ip);
	total = be16_host(ip->total_len);
	if (ip->ver_ihl >> 4 != 4 || hlen < sizeof(*ip) || hlen > room || total < hlen || total > room)
		return PARSE_DROPPED(CNT_RX_DROP_IP_BAD);
	if (!env->trust_csum && !(csum & CSUM_IP_GOOD) && csum_fold(csum_partial(ip, hlen, 0)) != 0xffff)
		return PARSE_DROPPED(CNT_RX_DROP_IP_CSUM);
	s->src = ip->src;
	s->dst = ip->dst;
	s->ip_len = (uint16_t)total;
	s->proto = ip->proto;
	s->ttl = ip->ttl;
	s->router_alert = 0;
	s->l4_off = (uint16_t)(s->l3_off + hlen);
	if (src_is_bad(env, s->src) &&
	    !(ip->proto == IP_PROTO_IGMP && be32_is_zero(s->src))) /* RFC 3376 4.2.13: 0.0.0.0 may report */
		return PARSE_DROPPED(CNT_RX_DROP_IP_SRC);
	cast = dst_cast(env, s->dst);
	if (cast < 0)
		return PARSE_DROPPED(CNT_RX_DROP_IP_DST);
	/* RFC 1122 3.3.6: a unicast packet in a link-layer broadcast was not sent to us. */
	if (cast == CAST_UNICAST && s->mac_cast != CAST_UNICAST)
		return PARSE_DROPPED(CNT_RX_DROP_IP_DST);
	s->cast = (uint8_t)cast;
	if (hlen > sizeof(*ip) && !options_ok((const uint8_t *)(ip + 1), hlen - sizeof(*ip), s))
		return PARSE_DROPPED(CNT_RX_DROP_IP_OPTION);
	frag = be16_host(ip->frag);
	if (zf_unlikely((frag & (IP4_FLAG_MF | IP4_OFF_MASK)) != 0)) {
		s->frag_more = (frag & IP4_FLAG_MF) != 0;
		s->frag_off = (uint16_t)((frag & IP4_OFF_MASK) * 8u);
		s->ip_id = ip->id;
		s->pay_off = s->l4_off;
		s->pay_len = (uint16_t)(total - hlen);
		return PARSE_FRAG;
	}
	return parse_l4(frame, total - hlen, csum, env, s);
}

int
parse_slow(const uint8_t *frame, uint32_t len, uint32_t csum, const struct parse_env *env,
	   struct seg *s)
{
	const struct hdr_eth *eth = (const struct hdr_eth *)frame;
	uint32_t off = sizeof(*eth);
	uint16_t type, tag = 0;

	if (len < sizeof(*eth))
		return PARSE_DROPPED(CNT_RX_DROP_RUNT);
	if (!env->loop && eth_addr_eq(&eth->src, &env->mac))
		return PARSE_DROPPED(CNT_RX_DROP_OWN);
	if (eth_addr_eq(&eth->dst, &env->mac))
		s->mac_cast = CAST_UNICAST;
	else if (eth_addr_is_bcast(&eth->dst))
		s->mac_cast = CAST_BROADCAST;
	else if (eth_addr_is_mcast(&eth->dst))
		s->mac_cast = CAST_MULTICAST;
	else
		return PARSE_DROPPED(CNT_RX_DROP_MAC);
	type = be16_host(eth->type);
	if (type == ETH_TYPE_VLAN) {
		const struct hdr_vlan *v = (const struct hdr_vlan *)(frame + off);

		if (len < off + sizeof(*v))
			return PARSE_DROPPED(CNT_RX_DROP_RUNT);
		tag = be16_host(v->tci) & VLAN_ID_MASK;
		type = be16_host(v->type);
		off += sizeof(*v);
		if (type == ETH_TYPE_VLAN || type == ETH_TYPE_QINQ)
			return PARSE_DROPPED(CNT_RX_DROP_VLAN);
	}
	/* Tag 0 carries a priority only: the frame is untagged (802.1Q). */
	if (tag != env->vlan)
		return PARSE_DROPPED(CNT_RX_DROP_VLAN);
	s->l3_off = (uint16_t)off;
	switch (type) {
	case ETH_TYPE_IPV4:
		return parse_ip(frame, len, csum, env, s);
	case ETH_TYPE_ARP:
		if (len - off < sizeof(struct hdr_arp))
			return PARSE_DROPPED(CNT_RX_DROP_ARP_BAD);
		s->pay_off = (uint16_t)off;
		s->pay_len = (uint16_t)(len - off);
		return PARSE_ARP;
	default:
		return PARSE_DROPPED(CNT_RX_DROP_ETHERTYPE);
	}
}

int
parse_frame(const uint8_t *frame, uint32_t len, uint32_t csum, const struct parse_env *env,
	    struct seg *s)
{
	uint32_t good = CSUM_IP_GOOD | CSUM_L4_GOOD;
	uint32_t total = parse_fast_ip(frame, len, (csum & good) == good, env);

	if (total != 0 && ((const struct hdr_ip4 *)(frame + sizeof(struct hdr_eth)))->proto == IP_PROTO_UDP &&
	    parse_fast_udp(frame, total, s))
		return PARSE_UDP;
	return parse_slow(frame, len, csum, env, s);
}
