/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SYN cookies: the state of a half-open connection folded into the sequence number of our SYN-ACK, for when there is no
 * room to keep it (RFC 4987 3.6). What 32 bits cannot hold is rounded down, never up, so that a connection made from a
 * cookie is slower at worst; timestamps are not held at all: the SYN-ACK must not offer them.
 *
 *   31..27  time, in units of 64 s, modulo 32
 *   26..24  index of the MSS
 *   23..21  index of the window scale
 *   20      SACK permitted
 *   19..0   MAC over all of the above, the whole time, the addresses and the peer's sequence number
 *
 * Pure: key and clock are the caller's, and so is the limit on how many wrong ones may be tried (each is right with
 * probability 2^-20).
 */
#ifndef ZF_TCP_COOKIE_H
#define ZF_TCP_COOKIE_H

#include "base/be.h"
#include "base/siphash.h"
#include "tcp/seq.h"

#define TCP_COOKIE_UNIT_S    64
#define TCP_COOKIE_MAC_BITS  20
/* A cookie is good in the unit it was made in and in the next one: for 64 s at least and 128 s at most, since it may be
 * made anywhere in its unit. That is longer than SYN-ACKs are sent again for.
 */
#define TCP_COOKIE_UNITS 2

struct tcp_cookie {
	uint16_t mss;
	bool sack_ok;
	int8_t wscale; /* 0 to 14; -1: the peer does not scale windows */
};

/* The sequence number to answer with. @now in cycles, @hz of them a second. */
uint32_t tcp_cookie_make(const struct siphash_key *k, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
			 tcpseq_t peer_isn, const struct tcp_cookie *c, uint64_t now, uint64_t hz);

/* @cookie: the ACK's acknowledgement number less 1; @peer_isn: its sequence number less 1. True and @out filled if we
 * made it for this peer at most TCP_COOKIE_UNITS ago; else @out stays as it is.
 */
bool tcp_cookie_check(const struct siphash_key *k, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
		      tcpseq_t peer_isn, uint32_t cookie, uint64_t now, uint64_t hz, struct tcp_cookie *out);

/* What comes back of @c: MSS and window scale as the tables have them. */
struct tcp_cookie tcp_cookie_rounded(const struct tcp_cookie *c);

#endif
