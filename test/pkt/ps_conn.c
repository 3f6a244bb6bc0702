/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP connections of a script, as far as the wire shows them: initial sequence numbers, so that lines can count from
 * them, and what the peer has sent and allowed, for the checks of ps_conn_check.c. Independent of lib/tcp.
 */
#include <string.h>

#include "pkt/ps_priv.h"

#define CONNS 16384u /* a power of two */

static struct ps_conn conns[CONNS];
static uint32_t in_use;
static uint64_t in_use_of;

static uint32_t
hash_of(uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer)
{
	uint64_t h = ((uint64_t)us_ip << 32 | peer_ip) ^ ((uint64_t)us << 48 | (uint64_t)peer << 16);

	h *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 40) & (CONNS - 1);
}

/* The entry, or the free one where it would go. */
static struct ps_conn *
slot_of(struct ps *s, uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer)
{
	uint32_t i = hash_of(us_ip, peer_ip, us, peer);

	while (conns[i].script == s->script &&
	       (conns[i].us_ip != us_ip || conns[i].peer_ip != peer_ip || conns[i].us != us || conns[i].peer != peer))
		i = (i + 1) & (CONNS - 1);
	return &conns[i];
}

struct ps_conn *
ps_conn_find(struct ps *s, uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer)
{
	struct ps_conn *c = slot_of(s, us_ip, peer_ip, us, peer);

	return c->script == s->script ? c : NULL;
}

struct ps_conn *
ps_conn_of(struct ps *s, uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer)
{
	struct ps_conn *c = slot_of(s, us_ip, peer_ip, us, peer);

	if (c->script == s->script)
		return c;
	if (in_use_of != s->script)
		in_use = 0;
	in_use_of = s->script;
	if (in_use >= CONNS / 2)
		return NULL;
	in_use++;
	memset(c, 0, sizeof(*c));
	c->script = s->script;
	c->us_ip = us_ip;
	c->peer_ip = peer_ip;
	c->us = us;
	c->peer = peer;
	c->us_isn = s->tcp_us_isn;
	c->peer_isn = s->tcp_peer_isn;
	return c;
}

struct ps_conn *
ps_conn_next(struct ps *s, struct ps_conn *c)
{
	for (c = c == NULL ? conns : c + 1; c < conns + CONNS; c++)
		if (c->script == s->script)
			return c;
	return NULL;
}

bool
ps_conn_has_ts(const struct ps_conn *c)
{
	return c->us_syn.seen && c->peer_syn.seen && c->us_syn.ts && c->peer_syn.ts;
}

const char *
ps_tcp_opts(const uint8_t *b, uint32_t len, struct ps_opts_seen *o)
{
	uint32_t i = 0;

	memset(o, 0, sizeof(*o));
	o->syn.wscale = -1;
	while (i < len && b[i] != 0) {
		uint32_t n;

		if (b[i] == 1) {
			i++;
			continue;
		}
		n = i + 1 < len ? b[i + 1] : 0;
		if (n < 2 || i + n > len)
			return "TCP option with an impossible length";
		if (b[i] == 2 && n == 4) {
			o->has_mss = true;
			o->syn.mss = ps_get16(b + i + 2);
		} else if (b[i] == 3 && n == 3) {
			o->syn.wscale = b[i + 2];
		} else if (b[i] == 4 && n == 2) {
			o->syn.sack = true;
		} else if (b[i] == 5 && n >= 10 && (n - 2) % 8 == 0 && o->sacks == 0) {
			o->sacks = (n - 2) / 8;
			for (uint32_t k = 0; k < o->sacks * 2; k++)
				o->sack[k] = ps_get32(b + i + 2 + 4 * k);
		} else if (b[i] == 8 && n == 10) {
			o->has_ts = o->syn.ts = true;
			o->tsval = ps_get32(b + i + 2);
			o->tsecr = ps_get32(b + i + 6);
		} else {
			return "TCP option that is unknown or has a wrong length";
		}
		i += n;
	}
	for (; i < len; i++)
		if (b[i] != 0)
			return "TCP options behind their end";
	return NULL;
}

/* [@from, @to) has arrived. */
static void
got_range(struct ps_conn *c, uint32_t from, uint32_t to)
{
	struct ps_range r[PS_RANGES + 1];
	uint32_t n = 0;
	bool put = false;

	for (uint32_t i = 0; i < c->n_got; i++) {
		struct ps_range g = c->got[i];

		if ((int32_t)(g.to - from) < 0) {
			r[n++] = g;
		} else if ((int32_t)(to - g.from) < 0) {
			if (!put)
				r[n++] = (struct ps_range){from, to};
			put = true;
			r[n++] = g;
		} else {
			from = (int32_t)(g.from - from) < 0 ? g.from : from;
			to = (int32_t)(g.to - to) > 0 ? g.to : to;
		}
	}
	if (!put)
		r[n++] = (struct ps_range){from, to};
	if (n > PS_RANGES) {
		c->lost_track = true;
		return;
	}
	memcpy(c->got, r, n * sizeof(r[0]));
	c->n_got = n;
}

static void
syn_in(struct ps_conn *c, uint32_t seq, uint32_t ack, bool acks, const struct ps_opts_seen *o)
{
	struct ps_syn syn = o->syn;

	if (acks && c->us_syn.seen && ack != c->us_max) /* answers something else */
		return;
	syn.seen = true;
	syn.seq = seq;
	if (!c->peer_syn.seen)
		c->peer_syn = syn;
	else if (seq != c->peer_syn.seq)
		c->peer_syn2 = syn;
}

static void
window_in(struct ps_conn *c, const uint8_t *p, uint32_t ack, bool syn, bool acks)
{
	uint32_t win = ps_get16(p + 14), edge;

	if (!syn && c->us_syn.wscale >= 0 && c->peer_syn.wscale >= 0)
		win <<= ZF_MIN(c->peer_syn.wscale, 14);
	edge = (acks ? ack : 1) + win;
	if (acks && (int32_t)(ack - c->us_max) > 0)
		return;
	if (!c->peer_opened || (int32_t)(edge - c->peer_edge) > 0)
		c->peer_edge = edge;
	c->peer_opened = true;
}

static void
segment_in(struct ps_conn *c, const uint8_t *p, uint32_t len)
{
	uint32_t hlen = (p[12] >> 4) * 4u, seq = ps_get32(p + 4) - c->peer_isn, ack = ps_get32(p + 8) - c->us_isn;
	uint32_t end = seq + len - hlen;
	bool syn = p[13] & 2, fin = p[13] & 1, rst = p[13] & 4, acks = p[13] & 16;
	struct ps_opts_seen o;

	(void)ps_tcp_opts(p + 20, hlen - 20, &o); /* damaged ones: as far as they go */
	if (rst)
		return;
	if (syn) {
		syn_in(c, seq, ack, acks, &o);
		end++;
	}
	if (fin) {
		c->peer_fin = end;
		end++;
	}
	window_in(c, p, ack, syn, acks);
	if (o.has_ts) {
		if (!c->peer_ts_seen || (int32_t)(o.tsval - c->peer_ts_min) < 0)
			c->peer_ts_min = o.tsval;
		if (!c->peer_ts_seen || (int32_t)(o.tsval - c->peer_ts_max) > 0)
			c->peer_ts_max = o.tsval;
		c->peer_ts_seen = true;
	}
	if (end == seq)
		return;
	got_range(c, seq, end);
	if ((int32_t)(end - c->peer_max) > 0)
		c->peer_max = end;
}

void
ps_conn_in(struct ps *s, const uint8_t *frame, uint32_t len)
{
	uint32_t off = 12, hlen, total;
	const uint8_t *ip, *p;
	struct ps_conn *c;

	while (off + 6 < len && (ps_get16(frame + off) == 0x8100 || ps_get16(frame + off) == 0x88a8))
		off += 4;
	if (off + 2 + 20 > len || ps_get16(frame + off) != 0x0800)
		return;
	ip = frame + off + 2;
	hlen = (ip[0] & 15) * 4u;
	total = ps_get16(ip + 2);
	if (ip[9] != 6 || hlen < 20 || total < hlen + 20 || off + 2 + total > len)
		return;
	if ((ps_get16(ip + 6) & 0x3fff) != 0) {
		s->no_tcp_check = true; /* what it will become we do not know */
		return;
	}
	p = ip + hlen;
	if ((p[12] >> 4) < 5 || (p[12] >> 4) * 4u > total - hlen)
		return;
	c = ps_conn_of(s, ps_get32(ip + 16), ps_get32(ip + 12), (uint16_t)ps_get16(p + 2), (uint16_t)ps_get16(p));
	if (c != NULL)
		segment_in(c, p, total - hlen);
}
