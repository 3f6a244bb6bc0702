/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stacks over drivers/mem for unit tests that need more than one of them on a port, or ports that packet scripts do
 * not have; and the few frames that such tests push, built by hand.
 */
#ifndef ZF_TEST_MEM_HELP_H
#define ZF_TEST_MEM_HELP_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include <zf/zf.h>

#include "core/attr.h"
#include "ip/csum.h"
#include "mem/mem.h"
#include "stack/stack.h"
#include "unit.h"

static const uint8_t help_us[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t help_peer[6] = {2, 0, 0, 0, 0, 0x99};

static inline be32_t
help_ip(const char *text)
{
	be32_t ip;

	CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET, text, &ip), 1);
	return ip;
}

static inline struct sockaddr_in
help_addr(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	a.sin_addr.s_addr = help_ip(ip).raw;
	return a;
}

/* @attrs as in ZF_ATTR, `interface` among them. */
static inline int
help_try(const char *attrs, struct zf_stack **st)
{
	struct zf_attr *attr;
	int rc;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(attr_apply_text(attr, attrs, NULL), 0);
	rc = zf_stack_alloc(attr, st);
	zf_attr_free(attr);
	return rc;
}

static inline struct zf_stack *
help_stack(const char *attrs)
{
	struct zf_stack *st = NULL;

	CU_ASSERT_EQUAL_FATAL(help_try(attrs, &st), 0);
	return st;
}

static inline int
help_bind(struct zfur *ur, const char *lip, int port, const char *rip)
{
	struct sockaddr_in l = help_addr(lip, port), r;

	if (rip == NULL)
		return zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0);
	r = help_addr(rip, 0);
	return zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0);
}

static inline struct zfur *
help_zfur(struct zf_stack *st, const char *lip, int port)
{
	struct zfur *ur = NULL;

	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(help_bind(ur, lip, port, NULL), 0);
	return ur;
}

static inline struct zfut *
help_zfut(struct zf_stack *st, const char *lip, const char *rip, int port)
{
	struct sockaddr_in l = help_addr(lip, port), r = help_addr(rip, port);
	struct zfut *ut = NULL;

	CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r,
					 sizeof(r), 0, NULL),
			      0);
	return ut;
}

/* From the peer to us: an IPv4 packet of @len bytes of payload that @p holds; returns the frame's length. */
static inline uint32_t
help_ip4(uint8_t *f, const char *src, const char *dst, uint8_t proto, uint16_t frag, const void *p, uint32_t len)
{
	struct hdr_eth *eth = (struct hdr_eth *)f;
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(eth + 1);

	memcpy(&eth->dst, help_us, 6);
	memcpy(&eth->src, help_peer, 6);
	eth->type = BE16_C(ETH_TYPE_IPV4);
	*ip = (struct hdr_ip4){.ver_ihl = IP4_VER_IHL,
			       .total_len = be16_from((uint16_t)(sizeof(*ip) + len)),
			       .id = BE16_C(7),
			       .frag = be16_from(frag),
			       .ttl = 64,
			       .proto = proto,
			       .src = help_ip(src),
			       .dst = help_ip(dst)};
	ip->csum = csum_finish(csum_ip4_hdr(ip, 5));
	memcpy(ip + 1, p, len);
	return (uint32_t)(sizeof(*eth) + sizeof(*ip)) + len;
}

/* A datagram without checksum. */
static inline uint32_t
help_udp(uint8_t *f, const char *src, const char *dst, uint16_t port, const void *p, uint32_t len)
{
	uint8_t l4[2048];
	struct hdr_udp udp = {.src = be16_from(port), .dst = be16_from(port),
			      .len = be16_from((uint16_t)(sizeof(udp) + len))};

	memcpy(l4, &udp, sizeof(udp));
	memcpy(l4 + sizeof(udp), p, len);
	return help_ip4(f, src, dst, IP_PROTO_UDP, 0, l4, (uint32_t)sizeof(udp) + len);
}

/* The peer @ip tells where it is. */
static inline uint32_t
help_arp_reply(uint8_t *f, const char *ip, const char *to)
{
	struct hdr_eth *eth = (struct hdr_eth *)f;
	struct hdr_arp arp = {.hw_type = BE16_C(ARP_HW_ETHER),
			      .proto_type = BE16_C(ETH_TYPE_IPV4),
			      .hw_len = 6,
			      .proto_len = 4,
			      .op = BE16_C(ARP_OP_REPLY),
			      .sender_ip = help_ip(ip),
			      .target_ip = help_ip(to)};

	memcpy(&arp.sender_mac, help_peer, 6);
	memcpy(&arp.target_mac, help_us, 6);
	memcpy(&eth->dst, help_us, 6);
	memcpy(&eth->src, help_peer, 6);
	eth->type = BE16_C(ETH_TYPE_ARP);
	memcpy(eth + 1, &arp, sizeof(arp));
	return (uint32_t)(sizeof(*eth) + sizeof(arp));
}

/* Payload of the next UDP frame that @p sent: its first byte, -1 when there is none. */
static inline int
help_pop_udp(struct mem_port *p)
{
	uint8_t f[16384];
	int n;

	while ((n = mem_pop(p, f, sizeof(f), NULL)) > 0)
		if (n > 42 && f[12] == 8 && f[13] == 0 && f[23] == IP_PROTO_UDP)
			return f[42];
	return -1;
}

/* Frames of IP protocol @proto among those that were sent and not looked at. */
static inline uint32_t
help_count_sent(struct mem_port *p, uint8_t proto, uint32_t *longest)
{
	uint8_t f[16384];
	uint32_t k = 0;
	int n;

	if (longest != NULL)
		*longest = 0;
	while ((n = mem_pop(p, f, sizeof(f), NULL)) > 0) {
		if (longest != NULL)
			*longest = ZF_MAX(*longest, (uint32_t)n);
		k += n > 34 && f[12] == 8 && f[13] == 0 && f[23] == proto;
	}
	return k;
}

#endif
