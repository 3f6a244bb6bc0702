/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What holds for every TCP segment that a stack sends, whatever the script is about: header, options, sequence numbers
 * against what was sent before, acknowledgements and windows against what the peer sent and allowed. Each sent segment
 * is also noted, for the comparison of runs. Independent of lib/tcp.
 */
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	ACK = 16,
};

static bool
after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint32_t
hash_bytes(uint32_t h, const uint8_t *b, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x01000193u;
	return h;
}

static void
note_sent(struct ps *s, const struct ps_conn *c, const uint8_t *p, uint32_t len, uint32_t hlen)
{
	struct ps_sent t = {0};
	uint8_t opts[40];

	if (s->trace_closed)
		return;
	if (s->n_trace == s->max_trace) {
		uint32_t max = ZF_MAX(64u, s->max_trace * 2);
		struct ps_sent *more = realloc(s->trace, max * sizeof(*more));

		if (more == NULL)
			return;
		s->trace = more;
		s->max_trace = max;
	}
	memcpy(opts, p + 20, hlen - 20);
	for (uint32_t i = 0; i + 10 <= hlen - 20; i++) {
		if (opts[i] == 8 && opts[i + 1] == 10)
			memset(opts + i + 2, 0, 8);
	}
	t.us = (uint16_t)ps_get16(p);
	t.peer = (uint16_t)ps_get16(p + 2);
	t.win = (uint16_t)ps_get16(p + 14);
	t.len = (uint16_t)(len - hlen);
	t.flags = p[13];
	t.opt_len = (uint8_t)(hlen - 20);
	t.seq = ps_get32(p + 4) - (c != NULL ? c->us_isn : 0);
	t.ack = (p[13] & ACK) ? ps_get32(p + 8) - (c != NULL ? c->peer_isn : 0) : 0;
	/* SACK blocks are absolute: within one pair of runs the numbers are the same. */
	t.hash = hash_bytes(hash_bytes(0x811c9dc5u, opts, hlen - 20), p + hlen, len - hlen);
	s->trace[s->n_trace++] = t;
}

static const char *
check_header(const uint8_t *p)
{
	uint8_t f = p[13];

	if ((p[12] & 15) != 0)
		return "TCP: reserved bits";
	if ((f & SYN) && (f & (FIN | RST)))
		return "TCP: SYN with FIN or RST";
	if ((f & FIN) && (f & RST))
		return "TCP: FIN with RST";
	if ((f & (SYN | RST | ACK)) == 0)
		return "TCP: no ACK";
	if ((f & ACK) == 0 && ps_get32(p + 8) != 0)
		return "TCP: an acknowledgement number without ACK";
	if ((f & 32) != 0 || ps_get16(p + 18) != 0)
		return "TCP: urgent data";
	return NULL;
}

/* Our SYN, maybe of another connection between the same ends than the one so far. */
static void
learn_syn(struct ps_conn *c, const uint8_t *p, const struct ps_opts_seen *o)
{
	uint32_t isn = ps_get32(p + 4), ack = ps_get32(p + 8) - c->peer_isn;
	bool acks = p[13] & ACK;
	bool other = c->us_syn.seen && isn != c->us_isn;

	if (acks && c->peer_syn2.seen && ack - 1 == c->peer_syn2.seq) {
		c->peer_syn = c->peer_syn2;
		c->peer_syn2.seen = false;
		other = true;
	}
	if (c->us_syn.seen && !other)
		return;
	if (other) {
		c->us_acked = false;
		c->us_fin = c->peer_fin = 0;
		c->peer_opened = acks; /* its SYN came before ours */
		c->peer_edge = 65536;
		if (!acks)
			c->peer_syn.seen = c->peer_ts_seen = false;
	}
	c->us_isn = isn;
	c->us_syn = o->syn;
	c->us_syn.seen = true;
	c->us_max = 1;
}

static const char *
check_options(struct ps_conn *c, const uint8_t *p, uint32_t hlen, uint32_t data, const struct ps_opts_seen *o)
{
	bool syn = p[13] & SYN, acks = p[13] & ACK;

	if (syn && !o->has_mss)
		return "TCP: SYN without MSS";
	if (!syn && (o->has_mss || o->syn.wscale >= 0 || o->syn.sack))
		return "TCP: an option that belongs into a SYN";
	if (syn && o->syn.wscale > 14)
		return "TCP: window scale above 14";
	if (syn && acks && c->peer_syn.seen &&
	    ((o->syn.wscale >= 0 && c->peer_syn.wscale < 0) || (o->syn.sack && !c->peer_syn.sack) ||
	     (o->syn.ts && !c->peer_syn.ts)))
		return "TCP: an option in the SYN-ACK that the peer did not offer";
	if (o->has_ts)
		c->us_tsval = o->tsval;
	if (syn || (p[13] & RST) || !c->us_syn.seen || !c->peer_syn.seen)
		return NULL;
	if (ps_conn_has_ts(c) != o->has_ts)
		return o->has_ts ? "TCP: timestamps that were not agreed on" : "TCP: timestamps are missing (RFC 7323 3.2)";
	if (o->has_ts && c->peer_ts_seen && (after(c->peer_ts_min, o->tsecr) || after(o->tsecr, c->peer_ts_max)))
		return "TCP: echoes a timestamp that the peer did not send";
	if (o->sacks > 0 && (!c->us_syn.sack || !c->peer_syn.sack))
		return "TCP: SACK that was not agreed on";
	if (data > 0 && hlen != (o->has_ts ? 32u : 20u))
		return "TCP: a data segment with options that are not constant";
	return NULL;
}

static bool
has_got(const struct ps_conn *c, uint32_t from, uint32_t to)
{
	if (c->lost_track)
		return true;
	for (uint32_t i = 0; i < c->n_got; i++)
		if (!after(c->got[i].from, from) && !after(to, c->got[i].to))
			return true;
	return false;
}

static const char *
check_sacks(const struct ps_conn *c, const struct ps_opts_seen *o)
{
	for (uint32_t i = 0; i < o->sacks; i++) {
		uint32_t l = o->sack[2 * i] - c->peer_isn, r = o->sack[2 * i + 1] - c->peer_isn;

		if (!after(r, l))
			return "TCP: an empty SACK block";
		if (!has_got(c, l, r))
			return "TCP: SACK for what the peer has not sent";
	}
	return NULL;
}

/* The last number in a row that the peer has sent. */
static bool
peer_in_order(const struct ps_conn *c, uint32_t *end)
{
	for (uint32_t i = 0; i < c->n_got; i++) {
		if (!after(c->got[i].from, c->peer_syn.seq) && after(c->got[i].to, c->peer_syn.seq)) {
			*end = c->got[i].to;
			return true;
		}
	}
	return false;
}

static const char *
check_ack(struct ps_conn *c, const uint8_t *p)
{
	uint32_t ack = ps_get32(p + 8) - c->peer_isn, win = ps_get16(p + 14), end, edge, unit = 1;
	bool syn = p[13] & SYN;

	if (!c->peer_syn.seen || c->lost_track)
		return NULL;
	if (!peer_in_order(c, &end) || after(ack, end))
		return "TCP: acknowledges what the peer has not sent";
	if (c->us_acked && after(c->us_ack, ack))
		return "TCP: the acknowledgement went back";
	if (!syn && c->us_syn.wscale > 0 && c->peer_syn.wscale >= 0)
		unit = 1u << c->us_syn.wscale;
	edge = ack + win * unit;
	if (c->peer_fin != 0 && after(ack, c->peer_fin))
		edge = c->us_edge; /* nothing more is to come */
	if (c->us_acked && after(c->us_edge, edge) && c->us_edge - edge >= unit)
		return "TCP: the window shrank";
	if (!c->us_acked || after(edge, c->us_edge))
		c->us_edge = edge;
	c->us_ack = ack;
	c->us_acked = true;
	return NULL;
}

static const char *
check_seq(struct ps *s, struct ps_conn *c, const uint8_t *p, uint32_t hlen, uint32_t data)
{
	uint32_t seq = ps_get32(p + 4) - c->us_isn, end = seq + data;
	bool fin = p[13] & FIN;

	if (after(seq, c->us_max))
		return "TCP: a gap in the sequence numbers sent";
	if (data > 0 && (!c->peer_opened || (after(end, c->peer_edge) && data > 1)))
		return "TCP: beyond the peer's window";
	if (data == 1 && after(seq, c->peer_edge))
		return "TCP: a window probe beyond the first byte";
	if (c->us_fin != 0 && ((data > 0 && after(end, c->us_fin)) || (fin && end != c->us_fin)))
		return "TCP: data behind the FIN, or another FIN";
	if (fin)
		c->us_fin = end;
	if (data > 0 && c->peer_syn.seen && data + hlen - 20 > (c->peer_syn.mss != 0 ? ZF_MAX(c->peer_syn.mss, 64u) : 536))
		return "TCP: longer than the peer's MSS";
	for (uint32_t i = 0; i < data && !s->any_payload; i++)
		if (seq + i != 0 && p[hlen + i] != ps_pattern(seq + i))
			return "TCP: a byte that is not the stream's";
	if (after(end + fin, c->us_max))
		c->us_max = end + fin;
	return NULL;
}

/* zft_get_header_size() is exact. */
static bool
header_size_is_told(struct ps *s, const struct ps_conn *c, const uint8_t *ip, uint32_t hlen)
{
	uint32_t size = 14 + (s->opts.vlan != 0 ? 4 : 0) + (ip[0] & 15) * 4u + hlen;

	return c->ts == NULL || s->header_size == NULL || s->header_size(c->ts) == size;
}

const char *
ps_conn_sent(struct ps *s, const uint8_t *ip, const uint8_t *p, uint32_t len)
{
	uint32_t hlen = (p[12] >> 4) * 4u, data = len - hlen;
	struct ps_conn *c = ps_conn_of(s, ps_get32(ip + 12), ps_get32(ip + 16), (uint16_t)ps_get16(p),
				       (uint16_t)ps_get16(p + 2));
	struct ps_opts_seen o;
	const char *wrong = ps_tcp_opts(p + 20, hlen - 20, &o);

	if (wrong == NULL)
		wrong = check_header(p);
	if (wrong == NULL && (p[13] & RST) && data > 0)
		wrong = "TCP: RST with data";
	if (c == NULL || wrong != NULL)
		return wrong;
	if (p[13] & SYN)
		learn_syn(c, p, &o);
	note_sent(s, c, p, len, hlen);
	if (s->no_tcp_check)
		return NULL;
	wrong = check_options(c, p, hlen, data, &o);
	if (wrong != NULL || (p[13] & RST) || !c->us_syn.seen)
		return wrong;
	wrong = check_seq(s, c, p, hlen, data);
	if (wrong == NULL && (p[13] & ACK))
		wrong = check_ack(c, p);
	if (wrong == NULL)
		wrong = check_sacks(c, &o);
	if (wrong == NULL && data > 0 && !header_size_is_told(s, c, ip, hlen))
		wrong = "TCP: frame is not zft_get_header_size() + payload";
	return wrong;
}
