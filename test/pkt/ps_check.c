/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What holds for every frame that a stack sends, whatever the script is about. Independent of lib/ip.
 */
#include <string.h>

#include "pkt/ps_priv.h"

/* On a port that cannot damage frames nobody computes them. */
static bool
no_checksums(void)
{
	return ps_mode_now() == PS_TX_COPY;
}

static const char *
check_l4(struct ps *s, const uint8_t *ip, const uint8_t *p, uint32_t len)
{
	uint8_t pseudo[12];
	uint32_t sum;

	switch (ip[9]) {
	case 1:
		if (len < 8 || ps_fold(ps_sum16(p, len, 0)) != 0)
			return "ICMP: short or wrong checksum";
		return NULL;
	case 2:
		if (len < 8 || ps_fold(ps_sum16(p, len, 0)) != 0)
			return "IGMP: short or wrong checksum";
		return NULL;
	case 17:
		if (len < 8 || ps_get16(p + 4) != len)
			return "UDP: wrong length";
		if (no_checksums())
			return NULL;
		if (ps_get16(p + 6) == 0)
			return "UDP: no checksum";
		break;
	case 6:
		if (len < 20 || (p[12] >> 4) * 4u < 20 || (p[12] >> 4) * 4u > len)
			return "TCP: wrong lengths";
		break;
	default:
		return "IP: a protocol that we do not speak";
	}
	memcpy(pseudo, ip + 12, 8);
	ps_put16(pseudo + 8, ip[9]);
	ps_put16(pseudo + 10, len);
	sum = ps_sum16(p, len, ps_sum16(pseudo, 12, 0));
	if (!no_checksums() && ps_fold(sum) != 0)
		return "layer 4: wrong checksum";
	return ip[9] == 6 ? ps_conn_sent(s, ip, p, len) : NULL;
}

static const char *
check_ip(struct ps *s, const uint8_t *b, uint32_t len)
{
	uint32_t hlen, total, src, frag;
	uint8_t mac[6];

	if (len < 20 || b[0] >> 4 != 4)
		return "IP: short, or not version 4";
	hlen = (b[0] & 15) * 4u;
	total = ps_get16(b + 2);
	frag = ps_get16(b + 6);
	src = ps_get32(b + 12);
	if (hlen < 20 || total < hlen || total > len)
		return "IP: impossible lengths";
	if (len > total && len > 46)
		return "IP: bytes behind the packet";
	for (uint32_t i = total; i < len; i++)
		if (b[i] != 0)
			return "padding that is not zero";
	if (total > mem_cfg(ps_port(s))->mtu)
		return "IP: longer than the MTU";
	if (!no_checksums() && ps_fold(ps_sum16(b, hlen, 0)) != 0)
		return "IP: wrong checksum";
	if (b[8] == 0)
		return "IP: TTL 0";
	if (frag & 0x8000)
		return "IP: reserved flag";
	ps_mac_of(s, src, mac);
	if (memcmp(mac, s->us_mac, 6) != 0 && !(b[9] == 2 && src == 0))
		return "IP: source address is not ours";
	if ((frag & 0x3fff) != 0) {
		if ((frag & 0x2000) && (total - hlen) % 8 != 0)
			return "IP: fragment that is no multiple of 8";
		return NULL;
	}
	return check_l4(s, b, b + hlen, total - hlen);
}

const char *
ps_check_sent(struct ps *s, const uint8_t *b, uint32_t len)
{
	uint32_t off = 12;

	if (len < 14)
		return "runt";
	if (memcmp(b + 6, s->us_mac, 6) != 0)
		return "Ethernet source is not ours";
	if (memcmp(b, "\0\0\0\0\0\0", 6) == 0)
		return "Ethernet destination is zero";
	if (s->opts.vlan != 0) {
		if (len < 18 || ps_get32(b + 12) != (0x81000000u | s->opts.vlan))
			return "VLAN tag missing or wrong";
		off = 16;
	}
	if (ps_get16(b + off) == 0x0800)
		return check_ip(s, b + off + 2, len - off - 2);
	if (ps_get16(b + off) != 0x0806)
		return "Ethernet type that we do not speak";
	return len < off + 2 + 28 ? "ARP: short" : NULL;
}
