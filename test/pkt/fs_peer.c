/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The peer of fastslow: it says whatever a peer may say, in an order that no honest one would keep to. It looks at the
 * slow stack to know what would be in order, and treats both alike. See fs.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "ip/csum.h"
#include "pkt/fs.h"
#include "tcp/sendq.h"

static const uint8_t us_mac[6] = {2, 0, 0, 0, 0, 1};

void
fs_seg_push(struct fs *f, const struct fs_seg *g)
{
	uint8_t b[2048] = {0};
	struct hdr_eth *eth = (struct hdr_eth *)b;
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(eth + 1);
	struct hdr_tcp *tcp = (struct hdr_tcp *)(ip + 1);
	uint32_t hl = 20u + g->opt_len, len = 20u + hl + g->len - g->cut;

	memcpy(&eth->dst, us_mac, 6);
	memcpy(&eth->src, "\x02\x01\x01\x01\x01\x01", 6);
	b[11] = f->mac;
	eth->type = be16_from(ETH_TYPE_IPV4);
	*ip = (struct hdr_ip4){.ver_ihl = IP4_VER_IHL,
			       .tos = g->tos,
			       .total_len = be16_from((uint16_t)len),
			       .ttl = 64,
			       .proto = IP_PROTO_TCP,
			       .src = be32_from(FS_PEER),
			       .dst = be32_from(FS_US)};
	ip->csum = csum_finish(csum_ip4_hdr(ip, 5));
	*tcp = (struct hdr_tcp){.src = be16_from(FS_SPORT),
				.dst = be16_from(g->dport != 0 ? g->dport : FS_DPORT),
				.seq = be32_from(g->seq),
				.ack = be32_from(g->ack),
				.data_off = (uint8_t)(hl / 4 << 4),
				.flags = g->flags,
				.wnd = be16_from(g->wnd)};
	memcpy(tcp + 1, g->opt, g->opt_len);
	for (uint32_t i = 0; i < g->len; i++)
		((uint8_t *)tcp)[hl + i] = fs_pattern(g->seq - f->c.irs - 1 + i);
	tcp->csum = csum_finish(csum_partial(tcp, len - 20, csum_pseudo(ip->src, ip->dst, IP_PROTO_TCP,
									 (uint16_t)(len - 20))));
	fs_push(f, b, len + 14 < 60 ? 60 : len + 14);
	fs_say(f, "segment %u:%u(%u) ack %u win %u flags %02x opt %u tos %u cut %u port %u", g->seq - f->c.irs,
	       g->seq - f->c.irs + g->len, g->len, g->ack - f->c.iss, g->wnd, g->flags, g->opt_len, g->tos, g->cut,
	       g->dport);
}

/* From now on the peer has another MAC. */
void
fs_arp_push(struct fs *f)
{
	uint8_t b[60] = {0};

	f->mac = (uint8_t)(f->mac + 1);
	memcpy(b, us_mac, 6);
	memcpy(b + 6, "\x02\x01\x01\x01\x01\x01", 6);
	memcpy(b + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02\x02\x01\x01\x01\x01\x01", 16);
	b[11] = b[27] = f->mac;
	memcpy(b + 28, "\xc0\x00\x02\x42", 4);
	memcpy(b + 32, us_mac, 6);
	memcpy(b + 38, "\xc0\x00\x02\x01", 4);
	fs_push(f, b, sizeof(b));
	fs_say(f, "ARP: the peer is at ..:%02x", f->mac);
}

/* One of the stack's segments does not fit some link, or there is no way for it. */
static void
refuse(struct fs *f, const struct zft *ts, bool big)
{
	uint8_t b[128] = {0};
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(b + 14), *q = (struct hdr_ip4 *)(b + 42);
	uint16_t mtu = (uint16_t)(600 + fs_below(f, 900));

	memcpy(b, us_mac, 6);
	memcpy(b + 6, "\x02\x01\x01\x01\x01\x01\x08\x00", 8);
	*ip = (struct hdr_ip4){.ver_ihl = IP4_VER_IHL,
			       .total_len = be16_from(20 + 8 + 28),
			       .ttl = 64,
			       .proto = IP_PROTO_ICMP,
			       .src = be32_from(FS_PEER),
			       .dst = be32_from(FS_US)};
	ip->csum = csum_finish(csum_ip4_hdr(ip, 5));
	b[34] = 3;
	b[35] = big ? 4 : 1;
	if (big) {
		b[40] = (uint8_t)(mtu >> 8);
		b[41] = (uint8_t)mtu;
	}
	*q = (struct hdr_ip4){.ver_ihl = IP4_VER_IHL,
			      .total_len = be16_from(1500),
			      .frag = be16_from(IP4_FLAG_DF),
			      .ttl = 64,
			      .proto = IP_PROTO_TCP,
			      .src = be32_from(FS_US),
			      .dst = be32_from(FS_PEER)};
	q->csum = csum_finish(csum_ip4_hdr(q, 5));
	*(struct hdr_tcp *)(q + 1) = (struct hdr_tcp){
		.src = be16_from(FS_DPORT), .dst = be16_from(FS_SPORT), .seq = be32_from(ts->snd_una.n)};
	{
		be16_t sum = csum_finish(csum_partial(b + 34, 36, 0));

		memcpy(b + 36, &sum, 2);
	}
	fs_push(f, b, 70);
	fs_say(f, "ICMP: %s, MTU %u", big ? "too big" : "unreachable", mtu);
}

/* Both stacks have one, and this is the one that decides. */
static const struct zft *
ref(const struct fs *f)
{
	return f->s[SLOW].ts;
}

static uint32_t
put_ts(struct fs *f, uint8_t *p, uint32_t val)
{
	const struct zft *ts = ref(f);
	uint32_t now = (uint32_t)(((unsigned __int128)zt_clock() * zt_ctx(f->s[SLOW].t)->tcp->conf.ms_mult) >> 64);

	return tcp_opts_put_ts(p, val, now + (ts != NULL ? ts->ts_offset : 0) - fs_below(f, 30));
}

static void
syn_opts(struct fs *f, struct fs_seg *g)
{
	g->opt_len = (uint8_t)tcp_opts_put_syn(g->opt, f->c.mss, f->c.sack, f->c.ts, f->tsval, 0, f->c.wscale);
	if (f->c.ts && !f->c.passive) { /* the echo is not looked at */
		g->opt_len = (uint8_t)tcp_opts_put_syn(g->opt, f->c.mss, f->c.sack, true, f->tsval, 1, f->c.wscale);
	}
}

static void
connect_both(struct fs *f)
{
	struct sockaddr_in l = {.sin_family = AF_INET, .sin_port = htons(FS_DPORT),
				.sin_addr.s_addr = htonl(FS_US)};
	struct sockaddr_in r = {.sin_family = AF_INET, .sin_port = htons(FS_SPORT),
				.sin_addr.s_addr = htonl(FS_PEER)};

	for (int i = 0; i < SIDES; i++) {
		struct fs_side *s = &f->s[i];
		const struct zf_attr *attr = zt_ctx(s->t)->attr;
		struct zft_handle *h;
		int rc;

		if (f->c.passive) {
			rc = zftl_listen(zt_stack(s->t), (struct sockaddr *)&l, sizeof(l), attr, &s->tl);
		} else {
			rc = zft_alloc(zt_stack(s->t), attr, &h);
			if (rc == 0)
				rc = zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0);
			if (rc == 0)
				rc = zft_connect(h, (struct sockaddr *)&r, sizeof(r), &s->ts);
		}
		if (rc != 0)
			fs_fail(f, "to connect: %d", rc);
	}
}

void
fs_handshake(struct fs *f)
{
	struct fs_seg g = {.seq = f->c.irs, .ack = f->c.iss + 1, .wnd = 65535};

	f->mac = 1;
	f->tsval = rng_next32(&f->rng);
	for (int i = 0; i < SIDES; i++)
		f->s[i].right = f->s[i].acked = f->c.irs + 1;
	connect_both(f);
	fs_flush(f);
	syn_opts(f, &g);
	g.flags = f->c.passive ? TCP_FLAG_SYN : TCP_FLAG_SYN | TCP_FLAG_ACK;
	if (f->c.ecn)
		g.flags |= f->c.passive ? TCP_FLAG_ECE | TCP_FLAG_CWR : TCP_FLAG_ECE;
	if (f->c.passive)
		g.ack = 0;
	(void)zt_advance(1000000 + fs_below(f, 30000000));
	fs_seg_push(f, &g);
	fs_flush(f);
	if (!f->c.passive)
		return;
	(void)zt_advance(1000000 + fs_below(f, 30000000));
	g = (struct fs_seg){.seq = f->c.irs + 1, .ack = f->c.iss + 1, .wnd = 65535, .flags = TCP_FLAG_ACK};
	if (f->c.ts)
		g.opt_len = (uint8_t)put_ts(f, g.opt, f->tsval);
	fs_seg_push(f, &g);
	fs_flush(f);
}

static uint16_t
any_window(struct fs *f)
{
	uint32_t k = f->c.calm ? 19 : fs_below(f, 20);

	if (k == 0)
		return 0;
	if (k == 1)
		return (uint16_t)fs_below(f, 40);
	if (k < 5)
		return (uint16_t)fs_below(f, 4000);
	return (uint16_t)(k < 8 ? 30000 + fs_below(f, 30000) : 65535);
}

/* An acknowledgement that may have been on its way. */
static uint32_t
any_ack(struct fs *f, const struct zft *ts)
{
	uint32_t flight = ts->snd_nxt.n - ts->snd_una.n, k = f->c.calm ? 2 + fs_below(f, 4) : fs_below(f, 16);

	if (k < 3 || flight == 0)
		return ts->snd_una.n;
	if (k < 10)
		return ts->snd_nxt.n;
	if (k < 13) { /* the end of some segment */
		const struct tcp_room *r = zt_ctx(f->s[SLOW].t)->tcp;
		uint32_t i = ts->sq_head, n = fs_below(f, 6);

		while (n-- > 0 && i != TCP_NONE && r->segs[i].next != ts->sq_unsent)
			i = r->segs[i].next;
		return i != TCP_NONE && i != ts->sq_unsent ? sq_end(&r->segs[i]).n : ts->snd_nxt.n;
	}
	return ts->snd_una.n + fs_below(f, flight + 1);
}

/* One that was not, or was long ago. */
static uint32_t
odd_ack(struct fs *f, const struct zft *ts)
{
	switch (fs_below(f, 5)) {
	case 0:
		return ts->snd_una.n - 1 - fs_below(f, 3000);
	case 1:
		return ts->snd_una.n - ts->max_snd_wnd;
	case 2:
		return ts->snd_una.n - ts->max_snd_wnd - 1 - fs_below(f, 10);
	case 3:
		return ts->snd_nxt.n + 1 + fs_below(f, 10);
	default:
		return rng_next32(&f->rng);
	}
}

static void
add_sack(struct fs *f, const struct zft *ts, struct fs_seg *g)
{
	uint32_t flight = ts->snd_nxt.n - g->ack, n = 1 + fs_below(f, 3);
	struct tcp_sack_block b[3];

	for (uint32_t i = 0; i < n; i++) {
		const struct tcp_room *r = zt_ctx(f->s[SLOW].t)->tcp;
		uint32_t k = ts->sq_head, skip = 1 + fs_below(f, 8);

		b[i].left = seq_of(g->ack + fs_below(f, flight + 1));
		b[i].right = seq_of(b[i].left.n + fs_below(f, flight + 1));
		if (fs_one_in(f, 4))
			continue;
		while (skip-- > 0 && k != TCP_NONE && r->segs[k].next != ts->sq_unsent)
			k = r->segs[k].next;
		if (k != TCP_NONE && k != ts->sq_unsent) {
			b[i].left = r->segs[k].seq;
			b[i].right = sq_end(&r->segs[k]);
		}
	}
	if (fs_one_in(f, 6)) /* it came twice */
		b[0] = (struct tcp_sack_block){seq_of(ts->snd_una.n - 1 - fs_below(f, 2000)), ts->snd_una};
	g->opt_len = (uint8_t)(g->opt_len + tcp_opts_put_sack(g->opt + g->opt_len, b, n));
}

static void
add_options(struct fs *f, const struct zft *ts, struct fs_seg *g)
{
	if (f->c.ts) {
		uint32_t k = fs_below(f, 24), val = f->tsval;

		if (k == 0)
			val -= 1 + fs_below(f, 5);
		else if (k < 12)
			val = f->tsval += fs_below(f, 20);
		if (k == 1) {
			; /* none */
		} else if (k == 2) { /* in an unusual row */
			memcpy(g->opt, "\x08\x0a", 2);
			(void)put_ts(f, g->opt + 20, val);
			memcpy(g->opt + 2, g->opt + 24, 8);
			memcpy(g->opt + 10, "\x01\x01", 2);
			memset(g->opt + 12, 0, 28);
			g->opt_len = 12;
		} else {
			g->opt_len = (uint8_t)put_ts(f, g->opt, val);
		}
	}
	if (!f->c.calm && f->c.sack && ts->snd_nxt.n != g->ack && (int32_t)(ts->snd_nxt.n - g->ack) > 0 &&
	    fs_one_in(f, g->len == 0 ? 2 : 12))
		add_sack(f, ts, g);
	else if (fs_one_in(f, 40))
		memset(g->opt + g->opt_len, 1, 4), g->opt_len = (uint8_t)(g->opt_len + 4);
}

/* Bytes from rcv_nxt that both stacks would take. */
static uint32_t
window_of(const struct fs *f, bool most)
{
	uint32_t a = f->s[FAST].ts->rcv_adv.n - f->s[FAST].ts->rcv_nxt.n;
	uint32_t b = f->s[SLOW].ts->rcv_adv.n - f->s[SLOW].ts->rcv_nxt.n;

	return most ? ZF_MAX(a, b) : ZF_MIN(a, b);
}

static uint16_t
any_len(struct fs *f, uint32_t most)
{
	uint32_t n;

	if (f->c.lazy)
		n = 1 + fs_below(f, 30);
	else
		n = fs_one_in(f, 3) ? 1400 : fs_one_in(f, 2) ? 100 + fs_below(f, 400) : 1 + fs_below(f, 100);

	return (uint16_t)ZF_MIN(n, most);
}

/* Text at @next, the first byte that has not been sent, or near it. */
static void
place_text(struct fs *f, const struct zft *ts, struct fs_seg *g, uint32_t next)
{
	uint32_t room = window_of(f, false) - ZF_MIN(window_of(f, false), next - ts->rcv_nxt.n), back;

	g->seq = next;
	g->len = any_len(f, ZF_MIN(room, 1400u));
	switch (f->c.calm ? 39 : fs_below(f, 40)) {
	case 0: /* behind a hole */
	case 1:
		if (room > 3) {
			g->seq = next + 1 + fs_below(f, ZF_MIN(room - 2, 3000u));
			g->len = any_len(f, room - (g->seq - next));
		}
		break;
	case 2: /* again, or with something new behind it */
	case 3:
		back = 1 + fs_below(f, 1000);
		g->seq = next - ZF_MIN(back, next - f->c.irs - 1);
		break;
	case 4: /* beyond every window */
		g->seq = ts->rcv_nxt.n + window_of(f, true) + fs_below(f, 3);
		if (f->c.level == FS_READ)
			g->seq += f->c.rx_window; /* an earlier one of the burst may move one window, not both */
		g->len = 1;
		break;
	case 5: /* across its edge, where both have the same */
		if (window_of(f, true) == window_of(f, false) && room < 1300)
			g->len = (uint16_t)(room + 1 + fs_below(f, 100));
		break;
	case 6: /* the probe of a zero window */
		g->seq = next - 1;
		g->len = fs_one_in(f, 2);
		break;
	case 7:
		g->seq = rng_next32(&f->rng);
		break;
	default:
		break;
	}
}

static void
odd_flags(struct fs *f, struct fs_seg *g)
{
	switch (fs_below(f, 10)) {
	case 0:
		g->flags = 0;
		break;
	case 1:
		g->flags |= TCP_FLAG_SYN;
		break;
	case 2:
		g->flags |= TCP_FLAG_RST;
		if (!fs_one_in(f, 6))
			g->seq += 1 + fs_below(f, 100);
		break;
	case 3:
		if (fs_one_in(f, 3))
			g->flags |= TCP_FLAG_FIN;
		break;
	case 4:
		g->flags |= TCP_FLAG_ECE;
		break;
	case 5:
		g->flags |= TCP_FLAG_CWR;
		break;
	case 6:
		g->dport = 999;
		break;
	case 7: /* the header ends before its options do */
		g->len = 0;
		if (g->opt_len >= 4)
			g->cut = (uint8_t)(4 + 4 * fs_below(f, g->opt_len / 4));
		break;
	case 8:
		g->tos = 3;
		break;
	default:
		g->flags |= TCP_FLAG_URG;
		break;
	}
}

/* What the fast stack takes in order in one poll is one record of owed work: one step of congestion control and one
 * round trip for several acknowledgements of new data, the window of the last alone, and two full segments are as long
 * as its longest. So one of a burst acknowledges new data here, all tell the same window, and none is longer than all
 * before. And a send goes by the window that was known before: a peer that takes
 * some of it back (which RFC 9293 3.8.6 says it should not) may find that it crossed with data, so calls that send wait
 * for the flush then.
 */
void
fs_arrive(struct fs *f)
{
	const struct zft *ts = ref(f);
	uint32_t n = f->c.lazy ? 1 + fs_below(f, 12) : fs_one_in(f, 3) ? 1 + fs_below(f, 5) : 1;
	uint32_t next = ts->rcv_nxt.n, fresh = ts->snd_una.n;
	uint16_t wnd = any_window(f);

	for (uint32_t i = 0; i < n; i++) {
		struct fs_seg g = {.flags = TCP_FLAG_ACK, .wnd = wnd};

		if (fs_one_in(f, 2))
			g.flags |= TCP_FLAG_PSH;
		if (f->c.ecn && fs_one_in(f, 3))
			g.tos = fs_one_in(f, 6) ? 3 : 2;
		place_text(f, ts, &g, next);
		if (n > 1)
			g.len = ZF_MIN(g.len, ts->rcv_mss);
		if (fs_one_in(f, 5))
			g.len = 0;
		if (fresh == ts->snd_una.n)
			g.ack = any_ack(f, ts);
		else
			g.ack = fs_one_in(f, 2) ? fresh : ts->snd_una.n; /* overtaken */
		if (!f->c.calm && fs_one_in(f, 30))
			g.ack = odd_ack(f, ts);
		else if ((int32_t)(g.ack - fresh) > 0)
			fresh = g.ack;
		add_options(f, ts, &g);
		if (!f->c.calm && fs_one_in(f, 30))
			odd_flags(f, &g);
		if ((int32_t)(g.ack + ((uint32_t)wnd << ts->snd_shift) - ts->snd_una.n - ts->snd_wnd) < 0)
			f->shrunk = true;
		fs_seg_push(f, &g);
		if (g.seq == next)
			next += g.len;
	}
}

void
fs_surround(struct fs *f)
{
	/* With few buffers it depends on the number of ACKs which frames can wait for an address. */
	switch (fs_below(f, f->c.n_bufs == 64 ? 3 : 4)) {
	case 0:
		fs_arp_push(f);
		break;
	case 1:
		if (ref(f) != NULL)
			refuse(f, ref(f), fs_one_in(f, 2));
		break;
	case 2:
		for (int i = 0; i < SIDES; i++)
			mem_ask_reset(zt_port(f->s[i].t));
		fs_say(f, "the port asks for a reset");
		break;
	default:
		for (int i = 0; i < SIDES; i++)
			f->s[i].mute = !f->s[i].mute;
		fs_say(f, "ARP %s", f->s[0].mute ? "unanswered" : "answered");
		break;
	}
}
