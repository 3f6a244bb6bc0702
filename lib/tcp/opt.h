/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The options of a TCP header: the one bounded walk over received ones, and the three rows of options that we send.
 * Input and the SYN cache read what it finds, output calls the writers. It knows neither a connection nor a window:
 * whether an option is allowed, wanted or believable is decided by its callers.
 */
#ifndef ZF_TCP_OPT_H
#define ZF_TCP_OPT_H

#include <string.h>

#include "base/be.h"
#include "tcp/seq.h"

#define TCP_OPTS_MAX     40 /* what the data offset leaves */
#define TCP_WSCALE_MAX   14 /* RFC 7323 2.3 */
#define TCP_SACK_MAX     4  /* blocks in one header; 3 beside timestamps */
#define TCP_OPTS_TS_LEN  12 /* NOP NOP TS */
#define TCP_OPTS_SYN_MAX 20 /* the longest of tcp_opts_put_syn() */

enum tcp_opt_bits {
	TCP_OPT_MSS = 1,
	TCP_OPT_WSCALE = 2,
	TCP_OPT_SACK_OK = 4,
	TCP_OPT_TS = 8,
	TCP_OPT_SACK = 16,
};

struct tcp_sack_block {
	tcpseq_t left, right; /* right: the first number behind the block */
};

/* What a header carried. A value means something only if its bit is in @have; the others are 0. */
struct tcp_opts {
	uint8_t have;   /* tcp_opt_bits */
	uint8_t wscale; /* 0..14: more is taken as 14 (RFC 7323 2.3) */
	uint8_t n_sack;
	uint8_t hole;
	uint16_t mss; /* as received, 0 and 65535 included */
	uint16_t hole2;
	uint32_t ts_val, ts_ecr;
	struct tcp_sack_block sack[TCP_SACK_MAX]; /* as received: in any order, with left beyond right */
};

/**
 * Read the options of one header.
 *
 * Reads nothing outside of the @p len bytes and ends after at most that many steps. Kinds that we do not know are
 * skipped by their length; a known kind with a length that it cannot have is skipped too; of two options of one
 * kind the first counts.
 *
 * @param p    the first byte behind the 20 of the fixed header, at any alignment
 * @param len  bytes up to the data
 * @param syn  the segment is a SYN: MSS, window scale and SACK-permitted count in no other
 * @param o    filled in any case, with what stood before the fault if there is one
 *
 * @return false if an option has no length byte, or a length of 0 or 1 or beyond the end: nothing behind it can be
 *         found. Such a segment may still be used, as RFC 9293 3.1 (MUST-68) asks of unknown ones.
 */
bool tcp_opts_parse(const uint8_t *p, uint32_t len, bool syn, struct tcp_opts *o);

/* True for the row that nearly every segment of a connection with timestamps carries: NOP NOP TS and nothing else,
 * recognised by one comparison (RFC 7323 appendix A).
 */
static ZF_ALWAYS_INLINE bool
tcp_opts_is_plain_ts(const uint8_t *p, uint32_t len, uint32_t *val, uint32_t *ecr)
{
	be32_t w[3];

	if (len != TCP_OPTS_TS_LEN)
		return false;
	memcpy(w, p, sizeof(w));
	if (!be32_eq(w[0], BE32_C(0x0101080a)))
		return false;
	*val = be32_host(w[1]);
	*ecr = be32_host(w[2]);
	return true;
}

/* The writers return the bytes written, always a multiple of 4. */

/* The options of a SYN or SYN-ACK, in the order in which Linux sends them: at most TCP_OPTS_SYN_MAX bytes. @wscale
 * below 0 leaves window scaling out, above 14 counts as 14.
 */
uint32_t tcp_opts_put_syn(uint8_t *p, uint16_t mss, bool sack_ok, bool ts, uint32_t ts_val, uint32_t ts_ecr,
			  int wscale);

/* NOP NOP TS: TCP_OPTS_TS_LEN bytes. */
uint32_t tcp_opts_put_ts(uint8_t *p, uint32_t val, uint32_t ecr);

/* NOP NOP SACK: 4 + 8 @n bytes; nothing for no blocks, the first TCP_SACK_MAX of more. */
uint32_t tcp_opts_put_sack(uint8_t *p, const struct tcp_sack_block *b, uint32_t n);

#endif
