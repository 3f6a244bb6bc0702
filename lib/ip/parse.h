/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From the bytes of a frame to a parsed segment, in one bounded walk. Every length test of a received frame is
 * here: whoever gets a struct seg may read what it describes, and nothing else. Pure: no stack, no mbuf, no clock;
 * fuzzed by test/fuzz/fuzz_parse.c.
 *
 * Neighbours: lib/stack/reactor.c calls it; drop reasons are counters of core/counter.def.
 */
#ifndef ZF_IP_PARSE_H
#define ZF_IP_PARSE_H

#include "base/be.h"
#include "core/ctx.h"
#include "ip/wire.h"

/* What a frame is. Everything from PARSE_DROP on is PARSE_DROP + the counter it ends in. */
enum parse_kind {
	PARSE_UDP,
	PARSE_TCP,
	PARSE_ICMP,
	PARSE_IGMP,
	PARSE_ARP,
	PARSE_FRAG,      /* a fragment of any protocol; ports are not looked at */
	PARSE_NO_PROTO,  /* a protocol that is not handled: an ICMP error may be due */
	PARSE_DROP,
};
#define PARSE_DROPPED(cnt)  (PARSE_DROP + (int)(cnt))
#define PARSE_COUNTER(kind) ((enum counter)((kind) - PARSE_DROP))

/* Who a frame was sent to. */
enum parse_cast {
	CAST_UNICAST,
	CAST_MULTICAST,
	CAST_BROADCAST,
};

#define PARSE_ADDRS 16

/* What the parser must know of the interface; made by netif_parse_env() whenever an address changes. */
struct parse_env {
	uint64_t mac_key;      /* first 8 bytes of a frame to us, shifted so that only the MAC is left */
	be32_t fast_ip;        /* the own address if there is exactly one and no VLAN, else 0.0.0.0 */
	be32_t ip;             /* first own address; 0.0.0.0 when there is none */
	uint32_t n_addrs;
	uint16_t vlan;         /* 0: untagged */
	bool loop;             /* wire:loop: all of 127/8 is ours, own frames are welcome */
	bool trust_csum;       /* the port cannot damage frames: nothing is verified */
	struct eth_addr mac;
	be32_t ips[PARSE_ADDRS];
	be32_t bcasts[PARSE_ADDRS]; /* directed broadcast of each, or 0 */
};

/* Checksum verdict of the port. */
enum parse_csum {
	CSUM_UNKNOWN = 0,
	CSUM_IP_GOOD = 1,
	CSUM_L4_GOOD = 2,
	CSUM_IP_BAD = 4,
	CSUM_L4_BAD = 8,
};

/* Offsets count from the start of the frame. Valid: frame[l3_off .. l3_off + ip_len) and all between. */
struct seg {
	be32_t src;
	be32_t dst;
	be16_t sport; /* UDP and TCP */
	be16_t dport;
	uint16_t l3_off;
	uint16_t l4_off;
	uint16_t pay_off; /* payload of UDP, TCP; message of ICMP, IGMP; data of a fragment */
	uint16_t pay_len;
	uint16_t ip_len;  /* total length of the IP packet, padding cut off */
	uint8_t proto;
	uint8_t ttl;
	uint8_t cast;         /* enum parse_cast, by the IP destination */
	uint8_t mac_cast;     /* likewise, by the MAC destination */
	uint8_t router_alert; /* the option was there */
	uint8_t frag_more;
	uint16_t frag_off;    /* bytes */
	be16_t ip_id;
};

/* Classify and check @frame of @len bytes, of which all are readable. @csum: enum parse_csum. Fills @s for every kind
 * but PARSE_DROP; of PARSE_ARP only pay_off and pay_len (28 or more).
 */
int parse_frame(const uint8_t *frame, uint32_t len, uint32_t csum, const struct parse_env *env,
		struct seg *s);

/* The same without looking for the frequent frame first. */
int parse_slow(const uint8_t *frame, uint32_t len, uint32_t csum, const struct parse_env *env,
	       struct seg *s);

/* The rest of the way for a datagram whose fragments have been put together: UDP header in front of @l4_len bytes that
 * may lie in several pieces; the caller sums them up (@l4_sum: RFC 1071 sum of all of the UDP datagram).
 */
int parse_reassembled_udp(const struct hdr_udp *udp, uint32_t l4_len, uint64_t l4_sum,
			  const struct parse_env *env, struct seg *s);

/* Is @a an address of this interface? */
bool parse_is_own(const struct parse_env *env, be32_t a);

static ZF_ALWAYS_INLINE uint64_t
parse_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Ethernet type IPv4, version 4 with 5 header words, as the 32 bits at offset 12 of an untagged frame hold them
 * (type of service masked out).
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PARSE_FAST_TYPE      0x00450008u
#define PARSE_FAST_TYPE_MASK 0x00ffffffu
#else
#error "mac_key and the fast type are written for little-endian machines"
#endif

/* The frequent frame: untagged IPv4 without options, whole, from one host to our one address, checksums good. A subset
 * of what parse_slow() accepts. Returns the length of the IP packet, which lies within the frame; 0: anything else.
 * Inline, so that the reactor keeps what it finds in registers: as a function it cost 60 instructions more a datagram.
 */
static ZF_ALWAYS_INLINE uint32_t
parse_fast_ip(const uint8_t *frame, uint32_t len, bool csums_good, const struct parse_env *env)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(frame + sizeof(struct hdr_eth));
	uint32_t type, total, src;

	/* UDP's header is the shorter one. */
	if (zf_unlikely(len < sizeof(struct hdr_eth) + sizeof(*ip) + sizeof(struct hdr_udp)))
		return 0;
	memcpy(&type, frame + 12, sizeof(type));
	total = be16_host(ip->total_len);
	src = be32_host(ip->src);
	if (zf_unlikely(parse_load64(frame) << 16 != env->mac_key))    /* to our MAC, so unicast */
		return 0;
	if (zf_unlikely(parse_load64(frame + 6) << 16 == env->mac_key)) /* not our own frame */
		return 0;
	if (zf_unlikely((type & PARSE_FAST_TYPE_MASK) != PARSE_FAST_TYPE)) /* untagged IPv4 without options */
		return 0;
	if (zf_unlikely((ip->frag.raw & BE16_C(IP4_FLAG_MF | IP4_OFF_MASK).raw) != 0)) /* whole */
		return 0;
	/* To our one address; with several the slow way compares them all. fast_ip is 0 then, which is nobody's. */
	if (zf_unlikely(!be32_eq(ip->dst, env->fast_ip)))
		return 0;
	/* From 1.0.0.0 to 223.255.255.255, but not from 127/8, ourselves or a broadcast address. */
	if (zf_unlikely(src - 0x01000000u >= 0xdf000000u || src >> 24 == 127 ||
			be32_eq(ip->src, env->fast_ip) || be32_eq(ip->src, env->bcasts[0])))
		return 0;
	if (zf_unlikely(!csums_good))
		return 0;
	if (zf_unlikely(total > len - sizeof(struct hdr_eth))) /* nothing cut off */
		return 0;
	return total;
}

/* A datagram in what parse_fast_ip() found to be @total bytes long, into @s. */
static ZF_ALWAYS_INLINE bool
parse_fast_udp(const uint8_t *frame, uint32_t total, struct seg *s)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(frame + sizeof(struct hdr_eth));
	const struct hdr_udp *udp = (const struct hdr_udp *)(ip + 1);
	uint32_t ulen = be16_host(udp->len);

	if (zf_unlikely(ulen < sizeof(*udp) || ulen + sizeof(*ip) > total)) /* within the IP packet */
		return false;
	s->src = ip->src;
	s->dst = ip->dst;
	s->sport = udp->src;
	s->dport = udp->dst;
	s->l3_off = sizeof(struct hdr_eth);
	s->l4_off = sizeof(struct hdr_eth) + sizeof(*ip);
	s->pay_off = sizeof(struct hdr_eth) + sizeof(*ip) + sizeof(*udp);
	s->pay_len = (uint16_t)(ulen - sizeof(*udp));
	s->ip_len = (uint16_t)total;
	s->proto = IP_PROTO_UDP;
	s->ttl = ip->ttl;
	s->cast = CAST_UNICAST;
	s->mac_cast = CAST_UNICAST;
	s->router_alert = 0;
	return true;
}

#endif
