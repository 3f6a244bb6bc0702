/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See cookie.h.
 */
#include "tcp/cookie.h"

#define MAC_MASK    ((1u << TCP_COOKIE_MAC_BITS) - 1)
#define SACK_BIT    (1u << 20)
#define WSCALE_AT   21
#define MSS_AT      24
#define TIME_AT     27
#define TIME_MASK   31u
#define TABLE       8

/* What paths of Ethernet, tunnels, DSL and jumbo frames make of it; 48 for those who ask for less than is sensible. */
static const uint16_t mss_table[TABLE] = {48, 536, 1220, 1360, 1400, 1440, 1460, 8960};

/* The scales that systems in use choose. One too small tells less window than there is, which costs speed; one too large
 * would overrun the peer.
 */
static const int8_t wscale_table[TABLE] = {-1, 0, 3, 5, 6, 7, 8, 10};

static uint32_t
mss_index(uint16_t mss)
{
	uint32_t i = TABLE - 1;

	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

static uint32_t
wscale_index(int8_t wscale)
{
	uint32_t i = TABLE - 1;

	while (i > 0 && wscale_table[i] > wscale)
		i--;
	return i;
}

/* @fields: the cookie's upper 12 bits. The last word is no message of isn.c's, which may share the key. */
static uint32_t
mac(const struct siphash_key *k, be32_t lip, be16_t lport, be32_t rip, be16_t rport, tcpseq_t peer_isn,
    uint32_t fields, uint64_t time)
{
	uint64_t msg[4] = {
		(uint64_t)lip.raw << 32 | rip.raw,
		(uint64_t)peer_isn.n << 32 | (uint32_t)lport.raw << 16 | rport.raw,
		time,
		(uint64_t)0x636f6f6b << 32 | fields,
	};

	return (uint32_t)siphash(msg, sizeof(msg), k) & MAC_MASK;
}

static uint64_t
unit_of(uint64_t now, uint64_t hz)
{
	return now / (hz * TCP_COOKIE_UNIT_S);
}

uint32_t
tcp_cookie_make(const struct siphash_key *k, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
		tcpseq_t peer_isn, const struct tcp_cookie *c, uint64_t now, uint64_t hz)
{
	uint64_t time = unit_of(now, hz);
	uint32_t fields = (uint32_t)(time & TIME_MASK) << TIME_AT | mss_index(c->mss) << MSS_AT |
			  wscale_index(c->wscale) << WSCALE_AT | (c->sack_ok ? SACK_BIT : 0);

	return fields | mac(k, lip, lport, rip, rport, peer_isn, fields, time);
}

bool
tcp_cookie_check(const struct siphash_key *k, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
		 tcpseq_t peer_isn, uint32_t cookie, uint64_t now, uint64_t hz, struct tcp_cookie *out)
{
	uint64_t time = unit_of(now, hz);
	uint32_t age = (uint32_t)(time - (cookie >> TIME_AT)) & TIME_MASK;
	uint32_t fields = cookie & ~MAC_MASK;

	if (age >= TCP_COOKIE_UNITS || age > time)
		return false;
	/* The MAC covers the whole time: a cookie of 32 units ago has other bits below. */
	if (mac(k, lip, lport, rip, rport, peer_isn, fields, time - age) != (cookie & MAC_MASK))
		return false;
	out->mss = mss_table[cookie >> MSS_AT & (TABLE - 1)];
	out->wscale = wscale_table[cookie >> WSCALE_AT & (TABLE - 1)];
	out->sack_ok = (cookie & SACK_BIT) != 0;
	return true;
}

struct tcp_cookie
tcp_cookie_rounded(const struct tcp_cookie *c)
{
	return (struct tcp_cookie){
		.mss = mss_table[mss_index(c->mss)],
		.sack_ok = c->sack_ok,
		.wscale = wscale_table[wscale_index(c->wscale)],
	};
}
