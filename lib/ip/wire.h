/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The formats on the wire, up to TCP's fixed header, as packed structs: may be laid over any byte
 * address. Our own and prefixed hdr_, so that they live beside <netinet/...> and rte_ether.h.
 * Layout only: who has checked a length and who has not is told in parse.h.
 */
#ifndef ZF_IP_WIRE_H
#define ZF_IP_WIRE_H

#include <string.h>

#include "base/be.h"
#include "base/compiler.h"

/* Ethernet II, 802.1Q */

struct eth_addr {
	uint8_t b[6];
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct eth_addr) == 6, "wire format");

struct hdr_eth {
	struct eth_addr dst;
	struct eth_addr src;
	be16_t type;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_eth) == 14, "wire format");

/* What follows the type ETH_TYPE_VLAN. */
struct hdr_vlan {
	be16_t tci;
	be16_t type;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_vlan) == 4, "wire format");

#define ETH_TYPE_MIN  0x0600 /* below it the field is an 802.3 length */
#define ETH_TYPE_IPV4 0x0800
#define ETH_TYPE_ARP  0x0806
#define ETH_TYPE_VLAN 0x8100
#define ETH_TYPE_QINQ 0x88a8
#define ETH_TYPE_IPV6 0x86dd
#define ETH_MIN_BYTES 60 /* shortest frame, without its check sequence */
#define VLAN_ID_MASK  0x0fff

#define ETH_ADDR_BCAST ((struct eth_addr){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
#define ETH_ADDR_ZERO  ((struct eth_addr){{0, 0, 0, 0, 0, 0}})

static inline bool
eth_addr_eq(const struct eth_addr *a, const struct eth_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Group address: multicast or broadcast. */
static inline bool
eth_addr_is_mcast(const struct eth_addr *a)
{
	return (a->b[0] & 1) != 0;
}

static inline bool
eth_addr_is_bcast(const struct eth_addr *a)
{
	return (a->b[0] & a->b[1] & a->b[2] & a->b[3] & a->b[4] & a->b[5]) == 0xff;
}

static inline bool
eth_addr_is_zero(const struct eth_addr *a)
{
	return (a->b[0] | a->b[1] | a->b[2] | a->b[3] | a->b[4] | a->b[5]) == 0;
}

/* ARP for IPv4 over Ethernet */

struct hdr_arp {
	be16_t hw_type;
	be16_t proto_type;
	uint8_t hw_len;
	uint8_t proto_len;
	be16_t op;
	struct eth_addr sender_mac;
	be32_t sender_ip;
	struct eth_addr target_mac;
	be32_t target_ip;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_arp) == 28, "wire format");

#define ARP_HW_ETHER   1
#define ARP_OP_REQUEST 1
#define ARP_OP_REPLY   2

/* IPv4 */

struct hdr_ip4 {
	uint8_t ver_ihl;
	uint8_t tos;
	be16_t total_len;
	be16_t id;
	be16_t frag; /* flags and offset */
	uint8_t ttl;
	uint8_t proto;
	be16_t csum;
	be32_t src;
	be32_t dst;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_ip4) == 20, "wire format");

#define IP4_VER_IHL    0x45 /* version 4, no options */
#define IP4_FLAG_DF    0x4000
#define IP4_FLAG_MF    0x2000
#define IP4_OFF_MASK   0x1fff /* in units of 8 bytes */
#define IP4_HDR_MAX    60
#define IP4_PACKET_MAX 65535
#define IP4_OPT_END    0
#define IP4_OPT_NOP    1
#define IP4_OPT_RA     148 /* router alert, RFC 2113: 4 bytes, value 0 */
#define IP4_OPT_LSRR   131
#define IP4_OPT_SSRR   137
#define IP4_ECN_MASK   0x03
#define IP4_ECN_ECT0   0x02
#define IP4_ECN_CE     0x03
#define IP_PROTO_ICMP  1
#define IP_PROTO_IGMP  2
#define IP_PROTO_TCP   6
#define IP_PROTO_UDP   17

/* Dotted quad to the wire's order, in constant expressions too. */
#define IP4_C(a, b, c, d)                                                                          \
	BE32_C((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define IP4_ANY         IP4_C(0, 0, 0, 0)
#define IP4_BCAST       IP4_C(255, 255, 255, 255)
#define IP4_ALL_HOSTS   IP4_C(224, 0, 0, 1)
#define IP4_ALL_ROUTERS IP4_C(224, 0, 0, 2)
#define IP4_IGMPV3      IP4_C(224, 0, 0, 22) /* where v3 reports go */

static inline unsigned
ip4_hdr_len(const struct hdr_ip4 *ip)
{
	return (ip->ver_ihl & 0x0f) * 4u;
}

/* 224.0.0.0/4 */
static inline bool
ip_is_mcast(be32_t a)
{
	return be32_host(a) >> 28 == 0xe;
}

/* 224.0.0.0/24, never forwarded */
static inline bool
ip_is_mcast_link(be32_t a)
{
	return be32_host(a) >> 8 == 0xe00000;
}

/* The limited broadcast; a subnet's own needs its prefix. */
static inline bool
ip_is_bcast(be32_t a)
{
	return be32_host(a) == 0xffffffff;
}

/* 127.0.0.0/8 */
static inline bool
ip_is_loopback(be32_t a)
{
	return be32_host(a) >> 24 == 127;
}

/* 0.0.0.0/8 */
static inline bool
ip_is_zeronet(be32_t a)
{
	return be32_host(a) >> 24 == 0;
}

/* 240.0.0.0/4, the limited broadcast included */
static inline bool
ip_is_class_e(be32_t a)
{
	return be32_host(a) >> 28 == 0xf;
}

/* Could be one host's address somewhere. */
static inline bool
ip_is_unicast(be32_t a)
{
	return !ip_is_zeronet(a) && be32_host(a) >> 28 < 0xe;
}

/* RFC 1112 6.4: the low 23 bits, so 32 groups share each address. */
static inline struct eth_addr
eth_addr_of_group(be32_t group)
{
	uint32_t g = be32_host(group);

	return (struct eth_addr){{0x01, 0x00, 0x5e, (g >> 16) & 0x7f, (g >> 8) & 0xff, g & 0xff}};
}

/* UDP */

struct hdr_udp {
	be16_t src;
	be16_t dst;
	be16_t len;
	be16_t csum;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_udp) == 8, "wire format");

/* TCP */

struct hdr_tcp {
	be16_t src;
	be16_t dst;
	be32_t seq;
	be32_t ack;
	uint8_t data_off; /* upper 4 bits, in words */
	uint8_t flags;
	be16_t wnd;
	be16_t csum;
	be16_t urg;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_tcp) == 20, "wire format");

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_URG 0x20
#define TCP_FLAG_ECE 0x40
#define TCP_FLAG_CWR 0x80

static inline unsigned
tcp_hdr_len(const struct hdr_tcp *tcp)
{
	return (tcp->data_off >> 4) * 4u;
}

/* What the checksum of UDP and TCP covers before their header. */
struct hdr_pseudo {
	be32_t src;
	be32_t dst;
	uint8_t zero;
	uint8_t proto;
	be16_t len;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_pseudo) == 12, "wire format");

/* ICMP */

struct hdr_icmp {
	uint8_t type;
	uint8_t code;
	be16_t csum;
	union {
		struct {
			be16_t id;
			be16_t seq;
		} ZF_PACKED echo;
		struct {
			be16_t unused;
			be16_t mtu; /* RFC 1191; 0 from routers older than that */
		} ZF_PACKED frag;
		be32_t gateway;
		be32_t rest;
	} ZF_PACKED;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_icmp) == 8, "wire format");

/* Types and codes are named MSG_ and UNREACH_, because <netinet/ip_icmp.h> has the short names as
 * macros. */
#define ICMP_MSG_ECHO_REPLY     0
#define ICMP_MSG_UNREACH        3
#define ICMP_MSG_QUENCH         4
#define ICMP_MSG_REDIRECT       5
#define ICMP_MSG_ECHO           8
#define ICMP_MSG_TIME_EXCEEDED  11
#define ICMP_MSG_PARAM          12
#define ICMP_UNREACH_CODE_NET   0
#define ICMP_UNREACH_CODE_HOST  1
#define ICMP_UNREACH_CODE_PROTO 2
#define ICMP_UNREACH_CODE_PORT  3
#define ICMP_UNREACH_CODE_FRAG  4
#define ICMP_TIME_CODE_TTL      0
#define ICMP_TIME_CODE_REASS    1

/* IGMP */

/* The whole message of versions 1 and 2, and the start of a version 3 query. */
struct hdr_igmp {
	uint8_t type;
	uint8_t code; /* Max Resp: 0 in version 1, tenths of a second in 2, a small float in 3 */
	be16_t csum;
	be32_t group;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_igmp) == 8, "wire format");

struct hdr_igmp3_query {
	struct hdr_igmp h;
	uint8_t s_qrv; /* bit 3: suppress router side processing; bits 0-2: querier's robustness */
	uint8_t qqic;
	be16_t n_sources;
	be32_t sources[];
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_igmp3_query) == 12, "wire format");

struct hdr_igmp3_report {
	uint8_t type;
	uint8_t reserved1;
	be16_t csum;
	be16_t reserved2;
	be16_t n_records;
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_igmp3_report) == 8, "wire format");

struct hdr_igmp3_record {
	uint8_t type;
	uint8_t aux_words;
	be16_t n_sources;
	be32_t group;
	be32_t sources[];
} ZF_PACKED;
ZF_STATIC_ASSERT(sizeof(struct hdr_igmp3_record) == 8, "wire format");

#define IGMP_MSG_QUERY     0x11
#define IGMP_MSG_REPORT_V1 0x12
#define IGMP_MSG_REPORT_V2 0x16
#define IGMP_MSG_LEAVE_V2  0x17
#define IGMP_MSG_REPORT_V3 0x22

enum igmp_record_type {
	IGMP_REC_IS_IN = 1,
	IGMP_REC_IS_EX = 2,
	IGMP_REC_TO_IN = 3,
	IGMP_REC_TO_EX = 4,
	IGMP_REC_ALLOW = 5,
	IGMP_REC_BLOCK = 6,
};

#endif
