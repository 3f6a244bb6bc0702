/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fuzzer of live TCP connections: an input is a list of steps, each a byte and its arguments: segments whose numbers
 * are relative to those of a real connection (so that most of them mean something), calls of the API, time, ICMP
 * errors, bad days of the port and the pool. The fuzzer is the peer. Every byte of either stream is a function of its
 * sequence number, so both sides prove what they get; the tables are checked after each step, and at the end everything
 * must be home.
 *
 * ZF_FUZZ_FRESH=1 in the environment makes a new stack for each input, to find out whether an input fails alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zf/zf.h>

#include "core/ctx.h"
#include "core/pool.h"
#include "fuzz/fuzz.h"
#include "mem/mem.h"
#include "sim/room_check.h"
#include "tcp/tcp.h"
#include "zf_testing.h"

#define N_CONN     4
#define STEPS_MAX  400
#define INPUTS_MAX 5000 /* of one stack */
#define LINGER_NS  (400ull * 1000000000u) /* longest that an abandoned connection goes on */
#define IOVS       6

#define US       0xc0000201u
#define PEER     0xc0000242u
#define PORT     1000 /* of the listener, and of connections of ours: + slot + 1 */
#define PEERPORT 2000 /* + slot */

enum step {
	STEP_SEG,     /* slot, see step_seg() */
	STEP_GOOD,    /* slot, length: what an honest peer would send now */
	STEP_POLL,
	STEP_TIME,    /* 1 << n microseconds */
	STEP_CONNECT, /* slot */
	STEP_LISTEN,  /* listen, or free the listener */
	STEP_ACCEPT,
	STEP_SEND,    /* slot and flags, length (2) */
	STEP_RECV,    /* slot and how, length (2) */
	STEP_SHUT,    /* slot */
	STEP_FREE,    /* slot */
	STEP_ICMP,    /* slot, type and code, mtu (2), sequence number */
	STEP_PORT,    /* which trouble, how much */
	STEP_POOL,    /* the n-th buffer fails */
	STEPS
};

struct input {
	const uint8_t *p;
	size_t left;
};

/* What the peer knows of a connection: from the frames it saw. */
struct slot {
	struct zft *ts;
	uint16_t port;      /* ours */
	uint32_t nxt;       /* the peer's next number */
	uint32_t una;       /* the last acknowledgement seen: what the stack expects */
	uint32_t edge;      /* and the right edge it offered */
	uint32_t s_first;   /* the oldest number of the stack that was not acknowledged by us, as far as we did */
	uint32_t s_end;     /* behind the highest that it sent */
	uint32_t tsval;
	uint8_t wscale;
	bool syn_seen;      /* it sent a SYN */
	uint32_t rx_off;    /* bytes the application has read */
	bool held;
	struct {
		struct zft_msg msg;
		struct iovec iov[IOVS];
	} rd;
};

static struct zt *zt;
static struct zf_attr *attr;
static struct zftl *tl;
static struct slot slots[N_CONN];
static uint8_t bytes[65536];

static uint32_t
take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static uint32_t
take2(struct input *in)
{
	uint32_t hi = take(in);

	return hi << 8 | take(in);
}

static uint8_t
byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 2654435761u >> 24);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
sum16(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	return len & 1 ? sum + ((uint32_t)b[len - 1] << 8) : sum;
}

static uint32_t
folded(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum & 0xffff) + (sum >> 16)) & 0xffff;
}

/* ---- what the stack sends ---- */

static void
learn(struct slot *s, const uint8_t *t, uint32_t hdr, uint32_t len)
{
	uint32_t seq = get32(t + 4), end = seq + len + ((t[13] & 3) != 0);

	if (t[13] & 4)
		return;
	if (t[13] & 2) {
		s->syn_seen = true;
		s->s_first = seq;
		s->s_end = end;
		s->wscale = 0;
		for (uint32_t i = 20; i + 2 < hdr && t[i] != 0; i += t[i] == 1 ? 1u : (uint32_t)ZF_MAX(t[i + 1], 1))
			if (t[i] == 3)
				s->wscale = t[i + 2];
	}
	if ((int32_t)(end - s->s_end) > 0)
		s->s_end = end;
	if (t[13] & 16) {
		uint32_t wnd = (uint32_t)t[14] << 8 | t[15];

		s->una = get32(t + 8);
		s->edge = s->una + (t[13] & 2 ? wnd : wnd << s->wscale);
	}
	if (hdr >= 32 && get32(t + 20) == 0x0101080au)
		s->tsval = get32(t + 24);
}

static void
on_tx(void *arg, const uint8_t *b, uint32_t len)
{
	uint8_t reply[60] = {0};
	const uint8_t *t = b + 34;
	uint32_t total, hdr, slot;

	(void)arg;
	if (len >= 42 && b[12] == 8 && b[13] == 6 && b[21] == 1 && b[41] == 0x42) {
		memcpy(reply, b, 42);
		memcpy(reply, b + 6, 6);
		memcpy(reply + 6, "\x02\x01\xc0\x00\x02\x42", 6);
		reply[21] = 2;
		memcpy(reply + 22, reply + 6, 6);
		memcpy(reply + 28, b + 38, 4);
		memcpy(reply + 32, b + 22, 10);
		mem_push(zt_port(zt), 0, reply, 60, 0);
		return;
	}
	if (len < 54 || b[12] != 8 || b[13] != 0 || b[23] != 6)
		return;
	total = (uint32_t)b[16] << 8 | b[17];
	hdr = (uint32_t)(t[12] >> 4) * 4;
	FUZZ_CHECK(total + 14 == len && b[14] == 0x45 && hdr >= 20 && hdr + 20 <= total);
	FUZZ_CHECK(folded(sum16(b + 14, 20, 0)) == 0xffff);
	FUZZ_CHECK(folded(sum16(t, total - 20, sum16(b + 26, 8, 6 + total - 20))) == 0xffff);
	for (uint32_t i = hdr; i < total - 20; i++)
		FUZZ_CHECK(t[i] == byte_at(get32(t + 4) + i - hdr));
	slot = ((uint32_t)t[2] << 8 | t[3]) - PEERPORT;
	if (slot < N_CONN)
		learn(&slots[slot], t, hdr, total - 20 - hdr);
}

static void
on_fault(void *arg, const char *what)
{
	(void)arg;
	check_failed(what, __FILE__, __LINE__);
}

/* ---- what the peer sends ---- */

struct seg_out {
	uint32_t seq, ack, len, wnd;
	uint8_t flags, tos, opts_len;
	uint8_t opts[40];
};

static void
push_seg(const struct slot *s, const struct seg_out *o, bool poll)
{
	uint8_t b[14 + 20 + 60 + 1460] = {0}, *ip = b + 14, *t = ip + 20;
	uint32_t hdr = 20 + o->opts_len, len = ZF_MIN(o->len, 1460u - o->opts_len), total = 20 + hdr + len;

	memcpy(b, "\x02\x00\x00\x00\x00\x01\x02\x01\xc0\x00\x02\x42\x08\x00", 14);
	ip[0] = 0x45;
	ip[1] = o->tos;
	put16(ip + 2, total);
	ip[8] = 64;
	ip[9] = 6;
	put32(ip + 12, PEER);
	put32(ip + 16, US);
	put16(ip + 10, ~folded(sum16(ip, 20, 0)));
	put16(t, PEERPORT + (uint32_t)(s - slots));
	put16(t + 2, s->port);
	put32(t + 4, o->seq);
	put32(t + 8, o->ack);
	t[12] = (uint8_t)(hdr / 4 << 4);
	t[13] = o->flags;
	put16(t + 14, o->wnd);
	memcpy(t + 20, o->opts, o->opts_len);
	for (uint32_t i = 0; i < len; i++)
		t[hdr + i] = byte_at(o->seq + ((o->flags & 2) != 0) + i);
	put16(t + 16, ~folded(sum16(t, hdr + len, sum16(ip + 12, 8, 6 + hdr + len))));
	zt_push(zt, b, 14 + total, poll);
}

static void
add_opt(struct seg_out *o, const uint8_t *p, uint32_t len)
{
	if (o->opts_len + len > sizeof(o->opts))
		return;
	memcpy(o->opts + o->opts_len, p, len);
	o->opts_len = (uint8_t)(o->opts_len + len);
}

/* Options from a byte: which ones, with arguments that mostly make sense. */
static void
draw_opts(struct input *in, const struct slot *s, struct seg_out *o)
{
	uint32_t which = take(in);
	uint8_t p[34];

	if (which & 1) {
		memcpy(p, "\x02\x04", 2);
		put16(p + 2, which & 128 ? take2(in) : 1460);
		add_opt(o, p, 4);
	}
	if (which & 2) {
		memcpy(p, "\x01\x03\x03", 3);
		p[3] = (uint8_t)(which & 128 ? take(in) : 3);
		add_opt(o, p, 4);
	}
	if (which & 4)
		add_opt(o, (const uint8_t *)"\x01\x01\x04\x02", 4);
	if (which & 8) {
		memcpy(p, "\x01\x01\x08\x0a", 4);
		put32(p + 4, (uint32_t)(zt_clock() / 1000000) - (which & 128 ? take(in) << 4 : 0));
		put32(p + 8, s->tsval - (which & 64 ? take(in) : 0));
		add_opt(o, p, 12);
	}
	if (which & 16) {
		uint32_t n = take(in) % 5;

		p[0] = p[1] = 1;
		p[2] = 5;
		p[3] = (uint8_t)(2 + 8 * n);
		for (uint32_t i = 0; i < n && i < 3; i++) {
			uint32_t left = s->s_first + take(in) * 100;

			if (which & 128)
				left = s->s_first + (uint32_t)(int8_t)take(in);
			put32(p + 4 + 8 * i, left);
			put32(p + 8 + 8 * i, left + take(in) * 64);
		}
		if (n <= 3)
			add_opt(o, p, 4 + 8 * n);
	}
	if (which & 32) {
		for (uint32_t i = 0; i < 4; i++)
			p[i] = (uint8_t)take(in);
		add_opt(o, p, 4);
	}
}

/* Slot and poll, flags, where it begins, what it acknowledges, length, window, options. */
static void
step_seg(struct input *in)
{
	uint32_t a = take(in), at = take(in), l;
	struct slot *s = &slots[a % N_CONN];
	struct seg_out o = {.flags = (uint8_t)take(in), .tos = a & 32 ? 3 : a & 16 ? 2 : 0};
	uint32_t bases[8] = {s->nxt, s->una, s->edge, s->una - 1, s->edge - 1, s->nxt + take(in), s->una + take2(in),
			     (uint32_t)(int8_t)take(in) + s->una};
	uint32_t acks[8] = {s->s_end, s->s_first, s->s_end + 1, s->s_first - 1, s->s_first + 1,
			    s->s_first + take(in) * 16, s->s_end - take(in), take2(in) << 16};

	l = take(in);
	o.seq = bases[at & 7];
	o.ack = acks[at >> 3 & 7];
	o.len = l < 4 ? 0 : l < 128 ? l : (l - 127) * 12;
	o.wnd = at & 64 ? take2(in) : at & 128 ? 0 : 65535;
	if (a & 64)
		draw_opts(in, s, &o);
	if (a & 4)
		s->port = (uint16_t)(a & 8 ? PORT : PORT + 1 + a % N_CONN);
	if ((o.flags & 22) == 18 && (at >> 3 & 7) == 0 && s->nxt == o.seq)
		s->nxt = o.seq + 1; /* an honest SYN-ACK */
	push_seg(s, &o, (a & 128) == 0);
}

/* What moves things on: a SYN, a SYN-ACK, an acknowledgement of everything with the next bytes, perhaps a FIN. */
static void
step_good(struct input *in)
{
	uint32_t a = take(in), l = take(in);
	struct slot *s = &slots[a % N_CONN];
	struct seg_out o = {.seq = s->nxt, .ack = s->s_end, .wnd = 65535, .flags = 16};

	if (s->ts == NULL && !s->syn_seen) {
		s->port = PORT;
		s->nxt += 100000;
		o = (struct seg_out){.seq = s->nxt, .wnd = 65535, .flags = 2};
		draw_opts(in, s, &o);
		s->nxt++;
	} else if (s->ts != NULL && zft_state(s->ts) == TCP_SYN_SENT) {
		o.flags = 18;
		draw_opts(in, s, &o);
		s->nxt++;
	} else {
		s->nxt = o.seq = (int32_t)(s->nxt - s->una) > 0 && (a & 4) ? s->nxt : s->una;
		o.len = a & 8 ? l * 5 : 0;
		o.flags |= a & 16 ? 1 : 0;
		if (a & 64)
			draw_opts(in, s, &o);
		s->nxt += ZF_MIN(o.len, 1460u - o.opts_len) + (a & 16 ? 1 : 0);
		s->s_first = s->s_end;
	}
	push_seg(s, &o, (a & 128) == 0);
}

static void
step_icmp(struct input *in)
{
	uint32_t a = take(in), code = take(in), mtu = take2(in), back = take(in);
	const struct slot *s = &slots[a % N_CONN];
	uint8_t b[14 + 20 + 8 + 28] = {0}, *ip = b + 14, *ic = ip + 20, *q = ic + 8;

	memcpy(b, "\x02\x00\x00\x00\x00\x01\x02\x01\xc0\x00\x02\x42\x08\x00", 14);
	ip[0] = q[0] = 0x45;
	put16(ip + 2, sizeof(b) - 14);
	ip[8] = q[8] = 64;
	ip[9] = 1;
	put32(ip + 12, PEER);
	put32(ip + 16, US);
	put16(ip + 10, ~folded(sum16(ip, 20, 0)));
	ic[0] = a & 4 ? 11 : 3;
	ic[1] = (uint8_t)(code % 16);
	put16(ic + 6, mtu);
	put16(q + 2, 40);
	q[9] = 6;
	put32(q + 12, US);
	put32(q + 16, PEER);
	put16(q + 20, s->port);
	put16(q + 22, PEERPORT + a % N_CONN);
	put32(q + 24, s->s_end - back);
	put16(ic + 2, ~folded(sum16(ic, 36, 0)));
	zt_push(zt, b, sizeof(b), (a & 128) == 0);
}

/* ---- the application ---- */

static struct sockaddr_in
address(uint32_t ip, uint32_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons((uint16_t)port)};
}

static void
own(struct slot *s, struct zft *ts)
{
	s->ts = ts;
	s->rx_off = 0;
	s->held = false;
}

static void
step_connect(struct input *in)
{
	uint32_t i = take(in) % N_CONN;
	struct sockaddr_in l = address(US, PORT + 1 + i), r = address(PEER, PEERPORT + i);
	struct slot *s = &slots[i];
	struct zft_handle *h;
	struct zft *ts;

	if (s->ts != NULL || zft_alloc(zt_stack(zt), attr, &h) < 0)
		return;
	s->port = (uint16_t)(PORT + 1 + i);
	s->rx_off = 0;
	if (zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0) < 0 ||
	    zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts) < 0) {
		FUZZ_CHECK(zft_handle_free(h) == 0);
		return;
	}
	own(s, ts);
}

static void
step_listen(void)
{
	struct sockaddr_in l = address(US, PORT);

	if (tl != NULL) {
		FUZZ_CHECK(zftl_free(tl) == 0);
		tl = NULL;
	} else if (zftl_listen(zt_stack(zt), (struct sockaddr *)&l, sizeof(l), attr, &tl) < 0) {
		tl = NULL;
	}
}

static void
step_accept(void)
{
	struct sockaddr_in r;
	socklen_t len = sizeof(r);
	struct zft *ts;
	uint32_t i;

	if (tl == NULL || zftl_accept(tl, &ts) < 0)
		return;
	zft_getname(ts, NULL, NULL, (struct sockaddr *)&r, &len);
	i = ntohs(r.sin_port) - (uint32_t)PEERPORT;
	if (i >= N_CONN || slots[i].ts != NULL)
		zft_free(ts);
	else
		own(&slots[i], ts);
}

static void
step_send(struct input *in)
{
	uint32_t a = take(in), len = take2(in);
	struct slot *s = &slots[a % N_CONN];
	int flags = a & 4 ? MSG_MORE : 0;
	struct iovec iov[2];
	ssize_t rc;
	size_t space;

	if (s->ts == NULL)
		return;
	if (a & 8)
		len >>= 6;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = byte_at(s->ts->snd_end.n + i);
	iov[0] = (struct iovec){bytes, len / 3};
	iov[1] = (struct iovec){bytes + len / 3, len - len / 3};
	if (a & 16)
		(void)zft_send_space(s->ts, &space);
	rc = a & 32 ? zft_send(s->ts, iov, 2, flags) : zft_send_single(s->ts, bytes, len, flags);
	FUZZ_CHECK(rc <= (ssize_t)len && (rc > 0 || len == 0 || rc == -EAGAIN || rc == -ENOMEM || rc == -ENOTCONN));
}

static void
check_bytes(struct slot *s, const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(((const uint8_t *)p)[i] == byte_at(s->ts->irs.n + 1 + s->rx_off + (uint32_t)i));
	s->rx_off += (uint32_t)len;
}

/* The bytes of a message that was kept are what they were. */
static void
done(struct slot *s, uint32_t how, uint32_t len)
{
	uint32_t left = how & 8 ? len : UINT32_MAX;

	s->held = false;
	for (int i = 0; i < s->rd.msg.iovcnt && left > 0; i++) {
		size_t part = ZF_MIN(s->rd.iov[i].iov_len, (size_t)left);

		check_bytes(s, s->rd.iov[i].iov_base, part);
		left -= (uint32_t)part;
	}
	if (how & 8)
		(void)zft_zc_recv_done_some(s->ts, &s->rd.msg, len);
	else
		(void)zft_zc_recv_done(s->ts, &s->rd.msg);
}

static void
step_recv(struct input *in)
{
	uint32_t a = take(in), len = take2(in);
	struct slot *s = &slots[a % N_CONN];

	if (s->ts == NULL)
		return;
	if (s->held) {
		done(s, a, len);
	} else if (a & 4) {
		struct iovec iov[2] = {{bytes, len / 2}, {bytes + len / 2, len - len / 2}};
		int rc = zft_recv(s->ts, iov, 2, 0);

		if (rc > 0)
			check_bytes(s, bytes, (size_t)rc);
	} else {
		s->rd.msg.iovcnt = 1 + (int)(a >> 4) % IOVS;
		zft_zc_recv(s->ts, &s->rd.msg, 0);
		s->held = s->rd.msg.iovcnt > 0;
		if (s->held && (a & 128))
			done(s, a, len);
	}
}

static void
free_slot(struct slot *s)
{
	if (s->ts == NULL)
		return;
	FUZZ_CHECK(zft_free(s->ts) == 0);
	s->ts = NULL;
	s->held = false;
	s->syn_seen = false;
}

static void
step_port(struct input *in)
{
	struct mem_cfg *c = mem_cfg(zt_port(zt));
	uint32_t what = take(in), n = take(in);

	switch (what % 7) {
	case 0:
		c->credit = n & 1 ? MEM_ALL : n >> 1;
		break;
	case 1:
		c->accept = n > 8 ? MEM_ALL : n;
		break;
	case 2:
		c->split_at[0] = (uint16_t)n;
		break;
	case 3:
		c->hold = n & 1 ? n & 15 : 0;
		break;
	case 4:
		mem_set_link(zt_port(zt), n & 1 ? PORT_LINK_UP : PORT_LINK_DOWN);
		break;
	case 5:
		mem_ask_reset(zt_port(zt));
		break;
	default:
		mem_release(zt_port(zt), n);
		break;
	}
}

/* A round trip of 0 makes timers as short as the wheel's tick; while the port takes nothing they go on at that pace. */
static uint32_t
longest(void)
{
	const struct mem_cfg *c = mem_cfg(zt_port(zt));

	return c->credit != MEM_ALL || c->accept != MEM_ALL ? 14 : 24;
}

static void
one_step(struct input *in)
{
	struct slot *s;
	uint32_t n;

	switch (take(in) % STEPS) {
	case STEP_SEG:
		step_seg(in);
		break;
	case STEP_GOOD:
		step_good(in);
		break;
	case STEP_POLL:
		zf_reactor_perform(zt_stack(zt));
		break;
	case STEP_TIME:
		n = take(in) % 25;
		FUZZ_CHECK(zt_advance(1000ull << ZF_MIN(n, longest())) >= 0);
		break;
	case STEP_CONNECT:
		step_connect(in);
		break;
	case STEP_LISTEN:
		step_listen();
		break;
	case STEP_ACCEPT:
		step_accept();
		break;
	case STEP_SEND:
		step_send(in);
		break;
	case STEP_RECV:
		step_recv(in);
		break;
	case STEP_SHUT:
		s = &slots[take(in) % N_CONN];
		if (s->ts != NULL)
			(void)zft_shutdown_tx(s->ts);
		break;
	case STEP_FREE:
		free_slot(&slots[take(in) % N_CONN]);
		break;
	case STEP_ICMP:
		step_icmp(in);
		break;
	case STEP_PORT:
		step_port(in);
		break;
	default:
		pool_fail_after = take(in);
		pool_fail_every = take(in);
		break;
	}
}

/* The first byte chooses among some ways to set a stack up; each is opened once. */
static const char *const setups[] = {
	"tcp_timestamps=1", "tcp_timestamps=2;tcp_ecn=1", "tcp_fast_path=0;tcp_cc=newreno;tcp_ecn=1",
	"tcp_syn_cookies=2;tcp_keepalive=1;tcp_keepalive_time_ms=2000;tcp_keepalive_intvl_ms=500;tcp_keepalive_probes=3",
};
static struct zt *stacks[ZF_ARRAY_SIZE(setups)];

static void
open_stack(uint32_t which)
{
	char text[600];
	struct mem_port *p = zt_next_port();

	FUZZ_CHECK(p != NULL);
	mem_cfg(p)->scribble = true;
	mem_on_fault(p, on_fault, NULL);
	snprintf(text, sizeof(text),
		 "ipv4=192.0.2.1/24;n_bufs=256;reactor_spin_count=1;log_level=0;max_udp_rx_endpoints=1;"
		 "max_udp_tx_endpoints=1;max_tcp_endpoints=6;max_tcp_listen_endpoints=1;max_tcp_syn_backlog=3;"
		 "tcp_retries=3;tcp_syn_retries=2;tcp_synack_retries=2;tcp_rto_initial_ms=500;tcp_rto_max_ms=2000;"
		 "tcp_rx_window=65536;tcp_timewait_ms=1000;tcp_finwait_ms=1000;%s",
		 setups[which]);
	FUZZ_CHECK(zt_open(&stacks[which], text) == 0);
	mem_on_tx(p, on_tx, NULL);
	zt = stacks[which];
	zt_advance(3000000000u);
}

/* The port behaves again, the zockets go, time passes: nothing may be left. */
static void
settle(void)
{
	struct mem_port *p = zt_port(zt);
	struct mem_cfg *c = mem_cfg(p);
	struct zt_leaks leaks;

	pool_fail_after = pool_fail_every = 0;
	c->credit = c->accept = MEM_ALL;
	c->split_at[0] = 0;
	c->hold = 0;
	mem_set_link(p, PORT_LINK_UP);
	for (int i = 0; i < N_CONN; i++)
		free_slot(&slots[i]);
	if (tl != NULL)
		step_listen();
	FUZZ_CHECK(zt_advance(LINGER_NS) >= 0);
	room_check(zt_ctx(zt));
	FUZZ_CHECK(room_is_empty(zt_ctx(zt)));
	FUZZ_CHECK(zf_stack_is_quiescent(zt_stack(zt)) == 1);
	FUZZ_CHECK(!zt_leaks(zt, &leaks));
	mem_flush(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	struct input in = {data, size};
	uint32_t which = take(&in) % ZF_ARRAY_SIZE(setups);

	zt = stacks[which];
	if (zt == NULL)
		open_stack(which);
	if (attr == NULL)
		FUZZ_CHECK(zf_attr_alloc(&attr) == 0);
	zt_seed(zt, 1);
	memset(slots, 0, sizeof(slots));
	for (uint32_t i = 0; i < N_CONN; i++)
		slots[i].nxt = take(&in) << 24;
	for (int i = 0; i < STEPS_MAX && in.left > 0; i++) {
		one_step(&in);
		room_check(zt_ctx(zt));
	}
	settle();
	if (++inputs % INPUTS_MAX == 0 || getenv("ZF_FUZZ_FRESH") != NULL) {
		FUZZ_CHECK(zt_close(zt, NULL) == 0);
		stacks[which] = NULL;
	}
	return 0;
}
