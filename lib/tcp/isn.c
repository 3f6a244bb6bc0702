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
	const struct {
		be32_t lip, rip;
		be16_t lport, rport;
		uint32_t label;
	} in = {lip, rip, lport, rport, label};

	ZF_STATIC_ASSERT(sizeof(in) == 16, "no padding in what is hashed");
	return (uint32_t)siphash(&in, sizeof(in), key);
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
