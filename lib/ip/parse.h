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

/* The rest of the way for a datagram whose fragments have been put together: UDP header in front of @l4_len bytes that
 * may lie in several pieces; the caller sums them up (@l4_sum: RFC 1071 sum of all of the UDP datagram).
 */
int parse_reassembled_udp(const struct hdr_udp *udp, uint32_t l4_len, uint64_t l4_sum,
			  const struct parse_env *env, struct seg *s);

/* Is @a an address of this interface? */
bool parse_is_own(const struct parse_env *env, be32_t a);

#endif
