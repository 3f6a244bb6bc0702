/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP, every event in every state: each kind of segment at each place of both sequence spaces, against an oracle of its
 * own, written from RFC 9293 3.10.7 with RFC 5961 3 to 5 and RFC 1337. It knows nothing of lib/tcp. One connection for
 * each cell; its last word is a reset at the very number that the oracle says must be next.
 */
#include <errno.h>

#include "pkt/ps_zft.h"

#define WND   8000u  /* ours */
#define MAXWND 65535u /* the peer's, the largest it ever told */
#define EDGE  (1u + WND)
#define PORT  3000u
#define OWED  10u    /* bytes of ESTAB_OWED */

enum {
	F = 1,
	S = 2,
	R = 4,
	P = 8,
	A = 16,
	U = 32,
};

enum st {
	SYN_SENT,
	SYN_RCVD,  /* both opened at once */
	SYN_CACHE, /* SYN-RECEIVED behind a listener */
	ESTAB,
	ESTAB_OWED, /* and data came right before, in the same poll */
	FIN_WAIT_1,
	FIN_WAIT_2,
	CLOSE_WAIT,
	CLOSING,
	LAST_ACK,
	TIME_WAIT,
	TIME_WAIT_L, /* and somebody listens */
	LISTENING,
	CLOSED,
};

/* Where both sides stand in each state; see enter(). */
static const struct model {
	int state;
	uint32_t una, nxt, rcv;
} models[] = {
	[SYN_SENT] = {TCP_SYN_SENT, 0, 1, 0},
	[SYN_RCVD] = {TCP_SYN_RECV, 0, 1, 1},
	[SYN_CACHE] = {TCP_SYN_RECV, 0, 1, 1},
	[ESTAB] = {TCP_ESTABLISHED, 1, 101, 1},
	[ESTAB_OWED] = {TCP_ESTABLISHED, 1, 101, 1 + OWED},
	[FIN_WAIT_1] = {TCP_FIN_WAIT1, 1, 102, 1},
	[FIN_WAIT_2] = {TCP_FIN_WAIT2, 102, 102, 1},
	[CLOSE_WAIT] = {TCP_CLOSE_WAIT, 1, 101, 2},
	[CLOSING] = {TCP_CLOSING, 1, 102, 2},
	[LAST_ACK] = {TCP_LAST_ACK, 1, 102, 2},
	[TIME_WAIT] = {TCP_TIME_WAIT, 102, 102, 2},
	[TIME_WAIT_L] = {TCP_TIME_WAIT, 102, 102, 2},
	[LISTENING] = {TCP_LISTEN, 0, 1, 1},
	[CLOSED] = {TCP_CLOSE, 0, 1, 1},
};

static const struct kind {
	const char *text;
	uint8_t flags;
	uint32_t len;
} kinds[] = {
	{"P", P, 0}, /* the line grammar has no word for no flag at all: null_segments_mean_nothing */
	{"P", P, 10},
	{"S", S, 0},
	{"S", S, 10},
	{"SF", S | F, 0},
	{"F", F, 0},
	{"F", F, 10},
	{"R", R, 0},
	{"R", R, 10},
	{"SR", S | R, 0},
	{"FPU", F | P | U, 0},
	{".", A, 0},
	{"P.", A | P, 10},
	{"S.", S | A, 0},
	{"SF.", S | F | A, 0},
	{"F.", F | A, 0},
	{"FP.", F | P | A, 10},
	{"R.", R | A, 0},
	{"FSRPU.", F | S | R | P | U | A, 0},
	{"FSRPU.", F | S | R | P | U | A, 10},
};

struct cell {
	enum st st;
	uint8_t flags;
	uint32_t seq, len, ack;
};

enum answer {
	NONE,
	ACK,     /* <SEQ=SND.NXT><ACK=RCV.NXT> */
	RST_SEQ, /* <SEQ=SEG.ACK> */
	RST_ACK, /* <SEQ=0><ACK=SEG.SEQ+SEG.LEN> */
	SYN_ACK,
};

struct outcome {
	enum answer answer;
	int state;     /* TCP_LISTEN: no connection that the application could see */
	uint32_t rcv;  /* RCV.NXT then */
	uint32_t got;  /* bytes to read */
	int error;
};

static bool
after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint32_t
span_of(const struct cell *c)
{
	return c->len + ((c->flags & S) != 0) + ((c->flags & F) != 0);
}

/* Table 6. */
static bool
is_acceptable(uint32_t seq, uint32_t span, uint32_t rcv, uint32_t wnd)
{
	if (span == 0 && wnd == 0)
		return seq == rcv;
	if (wnd == 0)
		return false;
	if (seq - rcv < wnd)
		return true;
	return span > 0 && seq + span - 1 - rcv < wnd;
}

/* 3.10.7.1 */
static void
in_closed(const struct cell *c, struct outcome *o)
{
	if (c->flags & R)
		return;
	o->answer = c->flags & A ? RST_SEQ : RST_ACK;
}

/* 3.10.7.2. A SYN with a FIN begins nothing: whoever sends it looks for holes in filters. */
static void
in_listen(const struct cell *c, struct outcome *o)
{
	if (c->flags & R)
		return;
	if (c->flags & A) {
		o->answer = RST_SEQ;
	} else if ((c->flags & (S | F)) == S) {
		o->answer = SYN_ACK;
		o->rcv = c->seq + 1;
	}
}

/* Seventh and eighth: text and FIN, where they may still come. */
static void
text(const struct cell *c, struct outcome *o)
{
	uint32_t end = c->seq + c->len, last = after(end, EDGE) ? EDGE : end;
	bool fin = (c->flags & F) && !after(end, EDGE - 1);

	if (c->len == 0 && !(c->flags & F))
		return;
	o->answer = ACK;
	if (o->state != TCP_ESTABLISHED && o->state != TCP_FIN_WAIT1 && o->state != TCP_FIN_WAIT2)
		return; /* behind the FIN; to be ignored, and told so */
	if (after(c->seq, o->rcv))
		return; /* beyond a hole */
	o->got = after(last, o->rcv) ? last - o->rcv : 0;
	o->rcv += o->got;
	if (!fin || end != o->rcv)
		return;
	o->rcv++;
	o->state = o->state == TCP_ESTABLISHED ? TCP_CLOSE_WAIT : o->state == TCP_FIN_WAIT1 ? TCP_CLOSING : TCP_TIME_WAIT;
}

/* 3.10.7.3 */
static void
in_syn_sent(const struct cell *c, struct outcome *o)
{
	bool good = c->ack == 1;
	struct cell rest = *c;

	if ((c->flags & A) && !good) {
		o->answer = c->flags & R ? NONE : RST_SEQ;
		return;
	}
	if (c->flags & R) {
		if (c->flags & A)
			*o = (struct outcome){NONE, TCP_CLOSE, 0, 0, ECONNREFUSED};
		return;
	}
	if (!(c->flags & S))
		return;
	o->rcv = c->seq + 1;
	if (!(c->flags & A)) {
		o->state = TCP_SYN_RECV; /* text and FIN come again */
		o->answer = SYN_ACK;
		return;
	}
	o->state = TCP_ESTABLISHED;
	rest.seq++;
	if (c->flags & F) {
		o->state = TCP_CLOSE_WAIT;
		o->rcv++;
	}
	o->answer = ACK;
}

static int
error_of_reset(enum st st)
{
	return st == SYN_RCVD ? ECONNREFUSED : st >= CLOSE_WAIT && st <= LAST_ACK ? EPIPE : ECONNRESET;
}

/* 3.10.7.4, fourth step; true: it ends there. */
static bool
syn_bit(const struct cell *c, struct outcome *o)
{
	if (!(c->flags & S))
		return false;
	if (c->st == SYN_CACHE && !(c->flags & A)) {
		/* Back to LISTEN, which takes it for the peer's next try; with a FIN it is nobody's. */
		if (!(c->flags & F)) {
			o->answer = SYN_ACK;
			o->rcv = c->seq + 1;
		}
		return true;
	}
	o->answer = ACK; /* RFC 5961 4.2 */
	return true;
}

/* Fifth step; true: go on with the text. */
static bool
ack_field(const struct cell *c, struct outcome *o)
{
	const struct model *m = &models[c->st];

	if (!(c->flags & A))
		return false;
	if (c->st == SYN_RCVD || c->st == SYN_CACHE) {
		if (c->ack != m->nxt) {
			o->answer = RST_SEQ;
			return false;
		}
		o->state = TCP_ESTABLISHED;
		return true;
	}
	if (c->ack - (m->una - MAXWND) > m->nxt - m->una + MAXWND) {
		o->answer = ACK; /* RFC 5961 5.2 */
		return false;
	}
	if (c->ack != m->nxt)
		return true;
	if (c->st == LAST_ACK)
		o->state = TCP_CLOSE;
	else if (c->st == CLOSING)
		o->state = TCP_TIME_WAIT;
	else if (c->st == FIN_WAIT_1)
		o->state = TCP_FIN_WAIT2;
	return c->st != LAST_ACK && c->st != CLOSING;
}

/* 3.10.7.4 */
static void
in_synchronized(const struct cell *seg, struct outcome *o)
{
	struct cell c = *seg;

	/* The SYN once more: its answer once more. */
	if (c.st == SYN_CACHE && (c.flags & (S | A | R)) == S && c.seq == 0) {
		o->answer = SYN_ACK;
		return;
	}
	/* Figure 7: the SYN-ACK of a simultaneous open has nothing new but its ACK. */
	if (c.st == SYN_RCVD && (c.flags & (S | A | R)) == (S | A) && c.seq == 0 &&
	    !is_acceptable(0, span_of(&c), 1, WND)) {
		c.flags &= (uint8_t)~S;
		c.seq = 1;
	}
	if (!is_acceptable(c.seq, span_of(&c), o->rcv, EDGE - o->rcv)) {
		o->answer = c.flags & R ? NONE : ACK;
		return;
	}
	if (c.flags & R) {
		if (c.seq != o->rcv)
			o->answer = ACK; /* RFC 5961 3.2 */
		else
			*o = (struct outcome){NONE, c.st == SYN_CACHE ? TCP_LISTEN : TCP_CLOSE, 0, 0, error_of_reset(c.st)};
		return;
	}
	if (!syn_bit(&c, o) && ack_field(&c, o))
		text(&c, o);
}

/* The same, as far as it means anything in TIME-WAIT; RFC 1337, RFC 9293 3.6.1 (MAY-2). */
static void
in_time_wait(const struct cell *c, struct outcome *o)
{
	const struct model *m = &models[c->st];

	if (c->flags & R)
		return;
	o->answer = ACK;
	if ((c->flags & (S | A | F)) == S) {
		if (c->st == TIME_WAIT_L && after(c->seq, m->rcv))
			*o = (struct outcome){SYN_ACK, TCP_CLOSE, c->seq + 1, 0, 0};
		return;
	}
	if ((c->flags & S) || !is_acceptable(c->seq, span_of(c), m->rcv, EDGE - m->rcv))
		return;
	/* No window of the peer's is kept, so no ACK is too old. */
	if (!(c->flags & A) || (span_of(c) == 0 && !after(c->ack, m->nxt)))
		o->answer = NONE;
}

static struct outcome
predict(const struct cell *c)
{
	struct outcome o = {.state = models[c->st].state, .rcv = models[c->st].rcv};

	if (c->st == CLOSED)
		in_closed(c, &o);
	else if (c->st == LISTENING)
		in_listen(c, &o);
	else if (c->st == SYN_SENT)
		in_syn_sent(c, &o);
	else if (c->st == TIME_WAIT || c->st == TIME_WAIT_L)
		in_time_wait(c, &o);
	else
		in_synchronized(c, &o);
	if (c->st == ESTAB_OWED) {
		o.got += OWED; /* which are not lost, and acknowledged with whatever is sent */
		if (o.state != TCP_CLOSE)
			o.answer = ACK;
	}
	return o;
}

/* ---- playing ---- */

static void
open_one(struct ps *s, enum st st, unsigned port)
{
	char remote[32];

	if (st == SYN_CACHE || st == TIME_WAIT_L) {
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", port);
		ps_out(s, "+0 S. 0:0(0) ack 1 win %u dport %u <mss 1460>", WND, port);
		if (st == SYN_CACHE)
			return;
		ps_in(s, "+.05 . 1:1(0) ack 1 sport %u", port);
		ps_accept(s, ps_zftl(s));
		return;
	}
	snprintf(remote, sizeof(remote), "peer:%u", port);
	ps_connect_to(s, "us:1000", remote);
	if (st == SYN_SENT || st == SYN_RCVD) {
		ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
		if (st == SYN_SENT)
			return;
		ps_in(s, "+.001 S 0:0(0) <mss 1460>");
		ps_out(s, "+0 S. 0:0(0) ack 1 win %u <mss 1460,*>", WND);
		return;
	}
	ps_handshake(s, .rtt = .05);
}

/* A connection to the peer's @port in state @st, or whatever @st is about. */
static void
enter(struct ps *s, enum st st, unsigned port)
{
	if (st == LISTENING || st == CLOSED)
		return;
	open_one(s, st, port);
	if (st < ESTAB)
		return;
	if (st == CLOSE_WAIT || st == LAST_ACK) {
		ps_in(s, "+0 F. 1:1(0) ack 1");
		ps_out(s, "+0 . 1:1(0) ack 2 win %u", WND - 1);
	}
	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack %u", st == CLOSE_WAIT || st == LAST_ACK ? 2 : 1);
	if (st == ESTAB || st == ESTAB_OWED || st == CLOSE_WAIT)
		return;
	ps_shutdown(s);
	ps_out(s, "+0 F. 101:101(0) ack %u", st == LAST_ACK ? 2 : 1);
	if (st == FIN_WAIT_2 || st == TIME_WAIT || st == TIME_WAIT_L)
		ps_in(s, "+0 . 1:1(0) ack 102");
	if (st == CLOSING || st == TIME_WAIT || st == TIME_WAIT_L) {
		ps_in(s, "+0 F. 1:1(0) ack %u", st == CLOSING ? 1 : 102);
		ps_out(s, "+0 . 102:102(0) ack 2");
	}
	ps_state(s, models[st].state);
}

static void
expect(struct ps *s, const struct cell *c, const struct outcome *o, unsigned port)
{
	switch (o->answer) {
	case NONE:
		break;
	case ACK:
		ps_out(s, "+0 . %u:%u(0) ack %u dport %u", models[c->st].nxt, models[c->st].nxt, o->rcv, port);
		break;
	case RST_SEQ:
		ps_out(s, "+0 R %u:%u(0) dport %u", c->ack, c->ack, port);
		break;
	case RST_ACK:
		ps_out(s, "+0 R. =0:0(0) ack %u dport %u", c->seq + span_of(c), port);
		break;
	case SYN_ACK:
		ps_out(s, "+0 S. 0:0(0) ack %u dport %u <*>", o->rcv, port);
		break;
	}
}

/* What became of it; then a reset ends it, which tells that RCV.NXT is what it should be. */
static void
leave(struct ps *s, const struct cell *c, const struct outcome *o, unsigned port)
{
	if (c->st == SYN_CACHE && o->state == TCP_SYN_RECV) {
		ps_accept_none(s, ps_zftl(s));
		ps_in(s, "+0 R %u:%u(0) sport %u", o->rcv, o->rcv, port);
		ps_accept_none(s, ps_zftl(s));
		return;
	}
	if (c->st == CLOSED || c->st == LISTENING || o->state == TCP_LISTEN) {
		if (o->answer == SYN_ACK)
			ps_in(s, "+0 R %u:%u(0) sport %u", o->rcv, o->rcv, port);
		return;
	}
	if (c->st == SYN_CACHE)
		ps_accept(s, ps_zftl(s));
	ps_state(s, o->state);
	ps_error(s, o->error);
	if (o->got > 0)
		ps_tcp_recv(s, o->got);
	if (o->state == TCP_CLOSE && o->answer == SYN_ACK) {
		ps_in(s, "+0 R %u:%u(0) sport %u", o->rcv, o->rcv, port);
	} else if (o->state == TCP_SYN_SENT) {
		ps_in(s, "+0 R. 0:0(0) ack 1");
		ps_error(s, ECONNREFUSED);
	} else if (o->state != TCP_CLOSE && o->state != TCP_TIME_WAIT) {
		ps_in(s, "+0 R %u:%u(0)", o->rcv, o->rcv);
		ps_state(s, TCP_CLOSE);
	}
	ps_tcp_free(s);
}

static void
play(struct ps *s, const struct kind *k, const struct cell *c, unsigned port)
{
	struct outcome o = predict(c);
	uint32_t end = c->seq + c->len;

	enter(s, c->st, port);
	ps_silence(s, .001);
	if (c->st == ESTAB_OWED)
		ps_queue(s, "+0 P. 1:%u(%u) ack 1", 1 + OWED, OWED);
	if (c->flags & A)
		ps_queue(s, "+0 %s %u:%u(%u) ack %u sport %u", k->text, c->seq, end, c->len, c->ack, port);
	else
		ps_queue(s, "+0 %s %u:%u(%u) sport %u", k->text, c->seq, end, c->len, port);
	ps_run(s);
	expect(s, c, &o, port);
	leave(s, c, &o, port);
	ps_silence(s, .003); /* within the limit of resets to strangers */
}

static void
grid(enum st st)
{
	const struct model *m = &models[st];
	const uint32_t seqs[] = {m->rcv - 0x7fffff00u, m->rcv - 2, m->rcv - 1, m->rcv, m->rcv + 1, m->rcv + 1000, EDGE - 1,
				 EDGE, EDGE + 1, m->rcv + 0x7fffff00u};
	const uint32_t acks[] = {m->una - MAXWND - 1, m->una - MAXWND, m->una - 1, m->una, (m->una + m->nxt) / 2, m->nxt,
				 m->nxt + 1, m->nxt + 0x7fffffffu};
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0;tcp_syn_cookies=0;tcp_rx_window=8000");
	unsigned port = PORT;

	ps_no_tcp_check(s); /* the oracle knows better than what can be told from the wire alone */
	if (st == SYN_CACHE || st == TIME_WAIT_L || st == LISTENING)
		ps_listen(s, "us:1000");
	for (unsigned k = 0; k < ZF_ARRAY_SIZE(kinds); k++) {
		unsigned n_acks = kinds[k].flags & A ? ZF_ARRAY_SIZE(acks) : 1;

		for (unsigned i = 0; i < ZF_ARRAY_SIZE(seqs); i++) {
			for (unsigned j = 0; j < n_acks; j++) {
				struct cell c = {st, kinds[k].flags, seqs[i], kinds[k].len, n_acks > 1 ? acks[j] : 0};

				play(s, &kinds[k], &c, port++);
			}
		}
	}
	if (st == ESTAB_OWED && (ps_mode_now() == PS_WRAP || ps_mode_now() == PS_RX_JUDGED))
		ps_count_min(s, TCP_CUT_THROUGH, port - PORT);
}

/* The port that judges checksums is the one whose segments are cut through, with numbers that wrap and without. */
#define GRID(name_, rfc_, st_)                                                                     \
	PKT_TEST_IN(name_, rfc_, PS_TCP_NORMAL | PS_MODE(PS_RX_JUDGED))                            \
	{                                                                                          \
		grid(st_);                                                                         \
	}

GRID(tcp_grid_syn_sent, "RFC 9293 3.10.7.3", SYN_SENT)
GRID(tcp_grid_syn_received, "RFC 9293 3.10.7.4, RFC 5961", SYN_RCVD)
GRID(tcp_grid_syn_cache, "RFC 9293 3.10.7.4, RFC 5961", SYN_CACHE)
GRID(tcp_grid_established, "RFC 9293 3.10.7.4, RFC 5961", ESTAB)
GRID(tcp_grid_established_with_work_owed, "RFC 9293 3.10.7.4, RFC 5961, design: cut-through", ESTAB_OWED)
GRID(tcp_grid_fin_wait_1, "RFC 9293 3.10.7.4, RFC 5961", FIN_WAIT_1)
GRID(tcp_grid_fin_wait_2, "RFC 9293 3.10.7.4, RFC 5961", FIN_WAIT_2)
GRID(tcp_grid_close_wait, "RFC 9293 3.10.7.4, RFC 5961", CLOSE_WAIT)
GRID(tcp_grid_closing, "RFC 9293 3.10.7.4, RFC 5961", CLOSING)
GRID(tcp_grid_last_ack, "RFC 9293 3.10.7.4, RFC 5961", LAST_ACK)
GRID(tcp_grid_time_wait, "RFC 9293 3.10.7.4, RFC 1337", TIME_WAIT)
GRID(tcp_grid_time_wait_with_listener, "RFC 9293 3.10.7.4 MAY-2, RFC 1337", TIME_WAIT_L)
GRID(tcp_grid_listen, "RFC 9293 3.10.7.2", LISTENING)
GRID(tcp_grid_closed, "RFC 9293 3.10.7.1", CLOSED)

/* ---- Table 6 alone: every place and length against a window of every kind ---- */

#define SIX_BUF 4000u

/* A connection whose window is @wnd, the rest being full of bytes that nobody reads. What comes next is @rcv. */
static uint32_t
fill(struct ps *s, unsigned port, uint32_t wnd)
{
	uint32_t rcv = 1;
	char remote[32];

	snprintf(remote, sizeof(remote), "peer:%u", port);
	ps_connect_to(s, "us:1000", remote);
	ps_handshake(s, .rtt = .01);
	while (rcv < 1 + SIX_BUF - wnd) {
		uint32_t n = ZF_MIN(1000u, 1 + SIX_BUF - wnd - rcv);

		ps_in(s, "+0 P. %u:%u(%u) ack 1", rcv, rcv + n, n);
		rcv += n;
		ps_out(s, "+0 . 1:1(0) ack %u win %u", rcv, 1 + SIX_BUF - rcv);
	}
	return rcv;
}

static void
six(struct ps *s, unsigned port, uint32_t wnd, int32_t at, uint32_t len)
{
	uint32_t rcv = fill(s, port, wnd), seq = rcv + (uint32_t)at, end = seq + len, edge = rcv + wnd, got = 0;
	bool good = is_acceptable(seq, len, rcv, wnd);

	ps_count(s, RX_DROP_TCP_SEQ, 0);
	ps_in(s, "+.001 . %u:%u(%u) ack 1", seq, end, len);
	if (good && len > 0 && !after(seq, rcv))
		got = (after(end, edge) ? edge : end) - rcv;
	if (len > 0 || !good)
		ps_out(s, "+0 . 1:1(0) ack %u win %u", rcv + got, wnd - got);
	/* At a closed window's edge the text is refused, and the acknowledgement taken (RFC 9293 3.10.7.4). */
	ps_count(s, RX_DROP_TCP_SEQ, !good && !(wnd == 0 && seq == rcv));
	ps_in(s, "+0 R %u:%u(0)", rcv + got, rcv + got);
	ps_error(s, ECONNRESET);
	ps_tcp_recv(s, rcv + got - 1);
	ps_tcp_end(s, -ECONNRESET);
	ps_tcp_free(s);
	ps_count(s, RX_DROP_TCP_SEQ, 0);
}

PKT_TEST_IN(tcp_table_six, "RFC 9293 table 6", PS_TCP_NORMAL | PS_MODE(PS_RX_JUDGED))
{
	const uint32_t wnds[] = {0, 1, 2, 100, 1459, SIX_BUF};
	const uint32_t lens[] = {0, 1, 2, 100, 1460};
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0;tcp_rx_window=4000");
	unsigned port = PORT;

	for (unsigned w = 0; w < ZF_ARRAY_SIZE(wnds); w++) {
		const int32_t wnd = (int32_t)wnds[w];
		const int32_t ats[] = {-1460, -1459, -101, -100, -99, -2, -1, 0, 1, wnd - 1, wnd, wnd + 1, 100000};

		for (unsigned i = 0; i < ZF_ARRAY_SIZE(ats); i++)
			for (unsigned k = 0; k < ZF_ARRAY_SIZE(lens); k++)
				six(s, port++, wnds[w], ats[i], lens[k]);
	}
}
