/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an adapter with receive checksum offload would say of a frame, and what one with transmit offload would do. Written without lib/ip, so that the two can
 * disagree; knows Ethernet, one VLAN tag, IPv4, UDP and TCP, and says "unknown" of everything else.
 */
#include "mem/mem_priv.h"

static uint32_t
sum16(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	if (len & 1)
		sum += (uint32_t)b[len - 1] << 8;
	return sum;
}

static bool
sum_ok(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static uint32_t
get16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static void
put16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static uint32_t
finish(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

bool
mem_fill(uint8_t *frame, uint32_t len, const struct rte_mbuf *m)
{
	uint32_t l3 = m->l2_len, l4 = l3 + m->l3_len, at, sum;

	if ((m->ol_flags & RTE_MBUF_F_TX_IPV4) == 0 || m->l2_len < 14 || m->l3_len < 20 || l4 + 8 > len ||
	    frame[l3] != (0x40 | m->l3_len / 4))
		return false;
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		put16(frame + l3 + 10, 0);
		put16(frame + l3 + 10, finish(sum16(frame + l3, m->l3_len, 0)));
	}
	switch (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
	case 0:
		return true;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		at = l4 + 6;
		break;
	case RTE_MBUF_F_TX_TCP_CKSUM:
		at = l4 + 16;
		break;
	default:
		return false;
	}
	if (at + 2 > len)
		return false;
	/* The field holds the sum of the pseudo header, as rte_ipv4_phdr_cksum() would have it. */
	sum = finish(sum16(frame + l4, len - l4, 0));
	put16(frame + at, sum == 0 && at == l4 + 6 ? 0xffff : sum);
	return true;
}

uint64_t
mem_judge(const uint8_t *frame, uint32_t len)
{
	uint32_t off = 14;
	uint64_t flags;
	uint32_t ihl, total, l4;

	if (len >= 18 && get16(frame + 12) == 0x8100)
		off = 18;
	if (len < off + 20 || get16(frame + off - 2) != 0x0800 || frame[off] >> 4 != 4)
		return 0;
	ihl = (frame[off] & 15) * 4u;
	total = get16(frame + off + 2);
	if (ihl < 20 || total < ihl || off + total > len)
		return 0;
	flags = sum_ok(sum16(frame + off, ihl, 0)) ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
	if ((get16(frame + off + 6) & 0x3fff) != 0)
		return flags; /* a fragment: layer 4 unknown */
	l4 = total - ihl;
	if (frame[off + 9] == 17) {
		uint32_t ulen;

		if (l4 < 8)
			return flags;
		ulen = get16(frame + off + ihl + 4);
		if (ulen < 8 || ulen > l4)
			return flags;
		l4 = ulen;
		if (get16(frame + off + ihl + 6) == 0)
			return flags | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	} else if (frame[off + 9] != 6 || l4 < 20) {
		return flags;
	}
	if (sum_ok(sum16(frame + off + ihl, l4, sum16(frame + off + 12, 8, frame[off + 9] + l4))))
		return flags | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return flags | RTE_MBUF_F_RX_L4_CKSUM_BAD;
}
