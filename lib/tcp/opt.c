/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See opt.h.
 */
#include "tcp/opt.h"

enum kind {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_OK = 4,
	KIND_SACK = 5,
	KIND_TS = 8,
};

/* Lengths with the two bytes of kind and length. */
#define LEN_MSS     4
#define LEN_WSCALE  3
#define LEN_SACK_OK 2
#define LEN_TS      10
#define LEN_SACK(n) (2 + 8 * (n))

static uint32_t
get32(const uint8_t *p)
{
	be32_t v;

	memcpy(&v, p, sizeof(v));
	return be32_host(v);
}

static void
put32(uint8_t *p, uint32_t n)
{
	be32_t v = be32_from(n);

	memcpy(p, &v, sizeof(v));
}

static void
take_sack(const uint8_t *p, uint32_t len, struct tcp_opts *o)
{
	uint32_t n = (len - 2) / 8;

	if (n == 0 || n > TCP_SACK_MAX || len != LEN_SACK(n))
		return;
	o->have |= TCP_OPT_SACK;
	o->n_sack = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++) {
		o->sack[i].left = seq_of(get32(p + 2 + 8 * i));
		o->sack[i].right = seq_of(get32(p + 6 + 8 * i));
	}
}

/* One option of @len bytes at @p, 2 or more of them and all within the header. */
static void
take_one(const uint8_t *p, uint32_t len, bool syn, struct tcp_opts *o)
{
	uint32_t open = (syn ? TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK : 0) | TCP_OPT_TS | TCP_OPT_SACK;

	open &= ~(uint32_t)o->have;
	switch (p[0]) {
	case KIND_MSS:
		if (len == LEN_MSS && (open & TCP_OPT_MSS)) {
			o->have |= TCP_OPT_MSS;
			o->mss = (uint16_t)(p[2] << 8 | p[3]);
		}
		break;
	case KIND_WSCALE:
		if (len == LEN_WSCALE && (open & TCP_OPT_WSCALE)) {
			o->have |= TCP_OPT_WSCALE;
			o->wscale = ZF_MIN(p[2], TCP_WSCALE_MAX);
		}
		break;
	case KIND_SACK_OK:
		if (len == LEN_SACK_OK && (open & TCP_OPT_SACK_OK))
			o->have |= TCP_OPT_SACK_OK;
		break;
	case KIND_SACK:
		if (open & TCP_OPT_SACK)
			take_sack(p, len, o);
		break;
	case KIND_TS:
		if (len == LEN_TS && (open & TCP_OPT_TS)) {
			o->have |= TCP_OPT_TS;
			o->ts_val = get32(p + 2);
			o->ts_ecr = get32(p + 6);
		}
		break;
	default:
		break;
	}
}

#define PAIR(kind, len) ((uint32_t)(kind) << 8 | (len))
#define NOPS            PAIR(KIND_NOP, KIND_NOP)

/* The options of a SYN as we and most others lay them out, word by word: MSS, SACK permitted, window scale; or with
 * timestamps, as Linux does. The walk below would find the same.
 */
static ZF_ALWAYS_INLINE bool
parse_usual_syn(const uint8_t *p, uint32_t len, struct tcp_opts *o)
{
	const uint32_t permitted = PAIR(KIND_SACK_OK, LEN_SACK_OK);
	uint32_t second, last;
	bool ts = len == 20;

	if (len != 12 && !ts)
		return false;
	second = ts ? permitted << 16 | PAIR(KIND_TS, LEN_TS) : NOPS << 16 | permitted;
	last = get32(p + len - 4);
	if (get32(p) >> 16 != PAIR(KIND_MSS, LEN_MSS) || get32(p + 4) != second ||
	    last >> 8 != ((uint32_t)KIND_NOP << 16 | PAIR(KIND_WSCALE, LEN_WSCALE)))
		return false;
	o->have = TCP_OPT_MSS | TCP_OPT_SACK_OK | TCP_OPT_WSCALE;
	o->mss = (uint16_t)get32(p);
	o->wscale = (uint8_t)ZF_MIN(last & 0xff, TCP_WSCALE_MAX);
	if (ts) {
		o->have |= TCP_OPT_TS;
		o->ts_val = get32(p + 8);
		o->ts_ecr = get32(p + 12);
	}
	return true;
}

bool
tcp_opts_parse(const uint8_t *p, uint32_t len, bool syn, struct tcp_opts *o)
{
	memset(o, 0, sizeof(*o));
	if (syn && parse_usual_syn(p, len, o))
		return true;
	while (len > 0 && p[0] != KIND_END) {
		uint32_t n = 1;

		if (p[0] != KIND_NOP) {
			if (len < 2)
				return false;
			n = p[1];
			/* Below 2 the walk would stand still. */
			if (n < 2 || n > len)
				return false;
			take_one(p, n, syn, o);
		}
		p += n;
		len -= n;
	}
	return true;
}

/* @head: the first four bytes, in the order of the wire from the left. */
static uint8_t *
put_ts(uint8_t *p, uint32_t head, uint32_t val, uint32_t ecr)
{
	put32(p, head);
	put32(p + 4, val);
	put32(p + 8, ecr);
	return p + TCP_OPTS_TS_LEN;
}

uint32_t
tcp_opts_put_syn(uint8_t *p, uint16_t mss, bool sack_ok, bool ts, uint32_t ts_val, uint32_t ts_ecr, int wscale)
{
	const uint32_t permitted = PAIR(KIND_SACK_OK, LEN_SACK_OK);
	uint8_t *at = p;

	put32(at, PAIR(KIND_MSS, LEN_MSS) << 16 | mss);
	at += 4;
	if (ts) {
		at = put_ts(at, (sack_ok ? permitted : NOPS) << 16 | PAIR(KIND_TS, LEN_TS), ts_val, ts_ecr);
	} else if (sack_ok) {
		put32(at, NOPS << 16 | permitted);
		at += 4;
	}
	if (wscale >= 0) {
		put32(at, (uint32_t)KIND_NOP << 24 | PAIR(KIND_WSCALE, LEN_WSCALE) << 8 |
				  (uint32_t)ZF_MIN(wscale, TCP_WSCALE_MAX));
		at += 4;
	}
	return (uint32_t)(at - p);
}

uint32_t
tcp_opts_put_ts(uint8_t *p, uint32_t val, uint32_t ecr)
{
	return (uint32_t)(put_ts(p, NOPS << 16 | PAIR(KIND_TS, LEN_TS), val, ecr) - p);
}

uint32_t
tcp_opts_put_sack(uint8_t *p, const struct tcp_sack_block *b, uint32_t n)
{
	if (n == 0)
		return 0;
	n = ZF_MIN(n, TCP_SACK_MAX);
	put32(p, NOPS << 16 | PAIR(KIND_SACK, LEN_SACK(n)));
	for (uint32_t i = 0; i < n; i++) {
		put32(p + 4 + 8 * i, b[i].left.n);
		put32(p + 8 + 8 * i, b[i].right.n);
	}
	return 4 + 8 * n;
}
