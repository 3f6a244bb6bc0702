/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Checksums as the adapter sees them: Ethernet, one VLAN tag, IPv4, and UDP or TCP if the packet is no fragment. What is
 * anything else passes untouched. Apart from lib/ip, so that the two can disagree.
 */
#include "softvi/priv.h"

static uint32_t
sum16(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	if (len & 1)
		sum += (uint32_t)b[len - 1] << 8;
	return sum;
}

static uint32_t
fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
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

/* Where a frame's sums are. */
struct where {
	uint32_t l3, hlen;
	uint32_t l4, l4_len; /* l4_len 0: none that the adapter looks at */
	uint32_t at;         /* of the checksum in layer 4 */
	uint8_t proto;
};

static bool
find(const uint8_t *b, uint32_t len, struct where *w)
{
	uint32_t total;

	*w = (struct where){.l3 = 14};
	if (len >= 18 && get16(b + 12) == 0x8100)
		w->l3 = 18;
	if (len < w->l3 + 20 || get16(b + w->l3 - 2) != 0x0800 || b[w->l3] >> 4 != 4)
		return false;
	w->hlen = (b[w->l3] & 15) * 4u;
	total = get16(b + w->l3 + 2);
	if (w->hlen < 20 || total < w->hlen || w->l3 + total > len)
		return false;
	w->proto = b[w->l3 + 9];
	if ((get16(b + w->l3 + 6) & 0x3fff) != 0)
		return true;
	w->l4 = w->l3 + w->hlen;
	w->at = w->proto == 17 ? 6 : 16;
	if ((w->proto == 17 && total - w->hlen >= 8) || (w->proto == 6 && total - w->hlen >= 20))
		w->l4_len = total - w->hlen;
	/* A datagram may be shorter than its packet; one that claims more is the stack's to refuse. */
	if (w->proto == 17 && w->l4_len != 0) {
		uint32_t ulen = get16(b + w->l4 + 4);

		w->l4_len = ulen >= 8 && ulen <= w->l4_len ? ulen : 0;
	}
	return true;
}

static uint32_t
l4_sum(const uint8_t *b, const struct where *w)
{
	return fold(sum16(b + w->l4, w->l4_len, sum16(b + w->l3 + 12, 8, w->proto + w->l4_len)));
}

void
softvi_csum_fill(uint8_t *frame, uint32_t len)
{
	struct where w;
	uint32_t sum;

	if (!find(frame, len, &w))
		return;
	put16(frame + w.l3 + 10, 0);
	put16(frame + w.l3 + 10, ~fold(sum16(frame + w.l3, w.hlen, 0)));
	if (w.l4_len == 0)
		return;
	put16(frame + w.l4 + w.at, 0);
	sum = ~l4_sum(frame, &w) & 0xffff;
	put16(frame + w.l4 + w.at, sum == 0 && w.proto == 17 ? 0xffff : sum);
}

bool
softvi_csum_ok(const uint8_t *frame, uint32_t len)
{
	struct where w;

	if (!find(frame, len, &w))
		return true;
	if (fold(sum16(frame + w.l3, w.hlen, 0)) != 0xffff)
		return false;
	if (w.l4_len == 0 || (w.proto == 17 && get16(frame + w.l4 + 6) == 0))
		return true;
	return l4_sum(frame, &w) == 0xffff;
}
