/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Numbers that a peer sees and nobody else may guess: initial sequence numbers (RFC 6528) and where a connection's
 * timestamps start (RFC 7323 5.4). Functions of the addresses, the clock and a key that the caller keeps secret;
 * nothing is stored.
 */
#ifndef ZF_TCP_ISN_H
#define ZF_TCP_ISN_H

#include "base/be.h"
#include "base/siphash.h"

/* A clock of 4 us plus a keyed hash of the tuple: a new connection of the same tuple starts above the old one. @lip and
 * @lport are ours; @now and @hz in cycles.
 */
uint32_t tcp_isn(const struct siphash_key *key, be32_t lip, be16_t lport, be32_t rip, be16_t rport, uint64_t now,
		 uint64_t hz);

/* To be added to the timestamp clock of a connection: it tells nothing of our uptime, and stays the same for a tuple,
 * so that TIME-WAIT can be reused by timestamp (RFC 6191). Independent of tcp_isn() under the same key.
 */
uint32_t tcp_ts_offset(const struct siphash_key *key, be32_t lip, be16_t lport, be32_t rip, be16_t rport);

#endif
