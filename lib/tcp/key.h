/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The four numbers that name a connection, in the wire's own byte order, and their hash. Whoever keeps connections in a
 * table (zockets, the SYN cache, TIME-WAIT) holds one of these and hashes it here, so that one tag serves all of them.
 * Knows neither the tables nor the stack.
 */
#ifndef ZF_TCP_KEY_H
#define ZF_TCP_KEY_H

#include <string.h>

#include "base/be.h"
#include "base/hash.h"

struct tcp_key {
	be32_t lip;
	be32_t rip;
	be16_t lport;
	be16_t rport;
};
ZF_STATIC_ASSERT(sizeof(struct tcp_key) == 12, "compared as 8 + 4 bytes");

/* The upper half counts as much as the lower: tables take what they need of it. */
static ZF_ALWAYS_INLINE uint32_t
tcp_key_tag(const uint64_t secret[2], const struct tcp_key *k)
{
	return (uint32_t)hash_fold((uint64_t)k->lip.raw << 16 | k->lport.raw,
				   (uint64_t)k->rip.raw << 16 | k->rport.raw, secret);
}

/* Of a listener, which any remote may reach. */
static ZF_ALWAYS_INLINE uint32_t
tcp_key_tag_local(const uint64_t secret[2], be32_t lip, be16_t lport)
{
	return (uint32_t)hash_fold((uint64_t)lip.raw << 16 | lport.raw, 0, secret);
}

static ZF_ALWAYS_INLINE bool
tcp_key_eq(const struct tcp_key *a, const struct tcp_key *b)
{
	uint64_t ips_a, ips_b;
	uint32_t ports_a, ports_b;

	memcpy(&ips_a, &a->lip, sizeof(ips_a));
	memcpy(&ips_b, &b->lip, sizeof(ips_b));
	memcpy(&ports_a, &a->lport, sizeof(ports_a));
	memcpy(&ports_b, &b->lport, sizeof(ports_b));
	return ((ips_a ^ ips_b) | (ports_a ^ ports_b)) == 0;
}

#endif
