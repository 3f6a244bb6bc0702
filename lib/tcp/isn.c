/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See isn.h.
 */
#include "tcp/isn.h"

#define TICKS_PER_S 250000u /* 4 us, RFC 6528 3 */

/* One key serves several purposes; the label keeps their values independent of each other. */
enum label {
	LABEL_ISN = 1,
	LABEL_TS = 2,
};

static uint32_t
tuple_hash(const struct siphash_key *key, enum label label, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return (uint32_t)siphash_15((uint64_t)rip.raw << 32 | lip.raw,
				    (uint64_t)label << 32 | (uint32_t)rport.raw << 16 | lport.raw, key);
}

uint32_t
tcp_isn(const struct siphash_key *key, be32_t lip, be16_t lport, be32_t rip, be16_t rport, uint64_t now, uint64_t hz)
{
	/* In two parts, since now * 250000 overflows within hours. */
	uint64_t ticks = now / hz * TICKS_PER_S + now % hz * TICKS_PER_S / hz;

	return (uint32_t)ticks + tuple_hash(key, LABEL_ISN, lip, lport, rip, rport);
}

uint32_t
tcp_ts_offset(const struct siphash_key *key, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return tuple_hash(key, LABEL_TS, lip, lport, rip, rport);
}
