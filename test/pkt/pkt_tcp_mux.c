/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Events of TCP zockets and listeners, phase by phase: the cells of the tables in doc/muxer.md that are about TCP. Each
 * script looks at two sets of one connection's life in turn: one that asks for everything, and whatever asks for nothing.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "pkt/ps_mux.h"

#define ALL  (EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR | EPOLLRDHUP)
#define OVER (EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP)

struct watch {
	struct ps *s;
	struct zf_muxer_set *set;
	struct zf_waitable *w;
};

/* The current zocket in a set that is asked for all events. */
static struct watch
watch(struct ps *s)
{
	struct watch m = {s, ps_mux(s), zft_to_waitable(ps_zft(s))};

	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), 0);
	return m;
}

/* The edge: @events come once, with nothing beside them, and not again. */
static void
edge(const struct watch *m, uint32_t events)
{
	PS_EQ(m->s, ps_mux_one(m->s, m->set, NULL), events);
	PS_EQ(m->s, ps_mux_one(m->s, m->set, NULL), 0);
}

/* The level: what is true now, asked for together and one by one; what is false is never said. */
static void
level(const struct watch *m, uint32_t events)
{
	static const uint32_t bits[] = {EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP};

	PS_EQ(m->s, ps_mux_mod(m->w, ALL, 1), 0);
	edge(m, events);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(bits); i++) {
		PS_EQ(m->s, ps_mux_mod(m->w, bits[i], 1), 0);
		edge(m, events & bits[i]);
	}
	PS_EQ(m->s, ps_mux_mod(m->w, 0, 1), 0);
	edge(m, 0);
	PS_EQ(m->s, ps_mux_mod(m->w, ALL, 1), 0);
	edge(m, events);
}

/* From here on only @events are asked for; what is true already is past. */
static void
ask(const struct watch *m, uint32_t events)
{
	PS_EQ(m->s, ps_mux_mod(m->w, events, 1), 0);
	(void)ps_mux_one(m->s, m->set, NULL);
	edge(m, 0);
}

static void
leave(const struct watch *m)
{
	PS_EQ(m->s, zf_muxer_del(m->w), 0);
	zf_muxer_free(m->set);
}

PKT_TEST(tcp_mux_connecting, "doc/muxer.md, zft connecting")
{
	struct ps *s = ps_open();
	struct watch m;

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <*>");
	m = watch(s);
	level(&m, 0);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	edge(&m, EPOLLOUT);
	level(&m, EPOLLOUT);
	leave(&m);
}

PKT_TEST(tcp_mux_connecting_unasked, "doc/muxer.md, zft connecting")
{
	struct ps *s = ps_open();
	struct watch m;

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <*>");
	m = watch(s);
	ask(&m, ALL & ~(uint32_t)EPOLLOUT);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	edge(&m, 0);
	leave(&m);
}

PKT_TEST(tcp_mux_refused, "doc/muxer.md, zft over by an error")
{
	struct ps *s = ps_open();
	struct watch m;

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <*>");
	m = watch(s);
	ps_in(s, "+.01 R. 0:0(0) ack 1");
	ps_error(s, ECONNREFUSED);
	edge(&m, OVER | EPOLLERR);
	level(&m, OVER | EPOLLERR);
	leave(&m);
}

PKT_TEST(tcp_mux_data, "doc/muxer.md, zft established, EPOLLIN")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	edge(&m, EPOLLOUT); /* by joining */
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_ignore(s, .1);
	edge(&m, EPOLLIN | EPOLLOUT);
	ps_in(s, "+.01 P. 101:201(100) ack 1"); /* any arrival is an edge */
	ps_ignore(s, .1);
	edge(&m, EPOLLIN | EPOLLOUT);
	level(&m, EPOLLIN | EPOLLOUT);
	ps_tcp_recv(s, 150);
	level(&m, EPOLLIN | EPOLLOUT); /* a part is left */
	ps_tcp_recv(s, 50);
	level(&m, EPOLLOUT);
	ps_in(s, "+.01 P. 201:301(100) ack 1");
	ps_ignore(s, .1);
	ps_tcp_recv(s, 100); /* read before anybody asked */
	ask(&m, EPOLLIN);
	ask(&m, ALL & ~(uint32_t)EPOLLIN);
	ps_in(s, "+.01 P. 301:401(100) ack 1");
	ps_ignore(s, .1);
	edge(&m, 0);
	ps_tcp_recv(s, 100);
	leave(&m);
}

PKT_TEST(tcp_mux_data_beyond_a_hole, "doc/muxer.md, zft established, EPOLLIN")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, EPOLLIN);
	ps_in(s, "+.01 . 101:201(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	edge(&m, 0);
	ps_in(s, "+.01 . 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 201");
	edge(&m, EPOLLIN);
	ps_tcp_recv(s, 200);
	level(&m, EPOLLOUT);
	ps_in(s, "+.01 . 1:101(100) ack 1"); /* received before: no news */
	ps_ignore(s, .1);
	edge(&m, 0);
	leave(&m);
}

PKT_TEST(tcp_mux_closed_by_peer, "doc/muxer.md, zft half-closed by the peer")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	edge(&m, EPOLLOUT);
	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	edge(&m, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	level(&m, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	ps_tcp_eof(s); /* the end stays readable, but having read it is no event */
	edge(&m, 0);
	ps_tcp_eof(s);
	edge(&m, 0);
	level(&m, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 2");
	level(&m, EPOLLIN | EPOLLRDHUP); /* LAST-ACK */
	ps_in(s, "+.01 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSE);
	edge(&m, OVER);
	level(&m, OVER);
	leave(&m);
}

PKT_TEST(tcp_mux_closed_by_peer_unasked, "doc/muxer.md, zft half-closed by the peer")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, EPOLLHUP | EPOLLERR);
	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	edge(&m, 0);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 2");
	edge(&m, 0);
	ask(&m, EPOLLERR);
	ps_in(s, "+.01 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSE);
	edge(&m, 0); /* over without an error */
	leave(&m);
}

/* A message an event: the FIN came with the second one, and is told of when that has been read. */
PKT_TEST(tcp_mux_end_behind_data, "doc/muxer.md, zft half-closed by the peer, EPOLLIN")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, EPOLLIN);
	ps_in(s, "+.01 FP. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 102");
	edge(&m, EPOLLIN);
	for (int copy = 0; copy < 2; copy++) { /* the last by copying, so that the end is not among it */
		ps_tcp_recv(s, 50);
		edge(&m, EPOLLIN);
	}
	ps_tcp_eof(s);
	edge(&m, 0);
	ps_tcp_eof(s);
	edge(&m, 0);
	leave(&m);
}

PKT_TEST(tcp_mux_closed_by_us, "doc/muxer.md, zft half-closed by us, TIME-WAIT")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");
	struct watch m = watch(s);

	edge(&m, EPOLLOUT);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	level(&m, 0); /* FIN-WAIT-1 */
	ps_in(s, "+.01 . 1:1(0) ack 2");
	level(&m, 0); /* FIN-WAIT-2 */
	ps_in(s, "+.01 P. 1:11(10) ack 2");
	ps_ignore(s, .1);
	edge(&m, EPOLLIN);
	ps_tcp_recv(s, 10);
	level(&m, 0);
	ps_in(s, "+.01 F. 11:11(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 12");
	ps_state(s, TCP_TIME_WAIT);
	edge(&m, OVER);
	level(&m, OVER);
	ps_silence(s, 6);
	ps_state(s, TCP_CLOSE);
	edge(&m, 0); /* what was true stays true */
	level(&m, OVER);
	leave(&m);
}

PKT_TEST(tcp_mux_closing, "doc/muxer.md, zft half-closed by both")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");
	struct watch m = watch(s);

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ask(&m, ALL);
	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSING);
	edge(&m, EPOLLIN | EPOLLRDHUP);
	level(&m, EPOLLIN | EPOLLRDHUP);
	ask(&m, EPOLLERR);
	ps_in(s, "+.01 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	edge(&m, 0);
	level(&m, OVER);
	leave(&m);
}

PKT_TEST(tcp_mux_reset, "doc/muxer.md, zft over by an error")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	edge(&m, EPOLLOUT);
	ps_in(s, "+.01 R 1:1(0)");
	ps_error(s, ECONNRESET);
	edge(&m, OVER | EPOLLERR);
	level(&m, OVER | EPOLLERR);
	ps_tcp_end(s, -ECONNRESET);
	edge(&m, 0);
	level(&m, OVER | EPOLLERR); /* unlike Linux', an error stays */
	leave(&m);
}

PKT_TEST(tcp_mux_reset_unasked, "doc/muxer.md, zft over by an error")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, 0);
	ps_in(s, "+.01 R 1:1(0)");
	ps_error(s, ECONNRESET);
	edge(&m, 0);
	leave(&m);
}

PKT_TEST(tcp_mux_reset_behind_data, "doc/muxer.md, zft over by an error, EPOLLIN")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, EPOLLIN);
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_in(s, "+0 R 101:101(0)");
	ps_ignore(s, .1);
	edge(&m, EPOLLIN);
	for (int copy = 0; copy < 2; copy++) { /* the last by copying, so that the end is not among it */
		ps_tcp_recv(s, 50);
		edge(&m, EPOLLIN);
	}
	ps_tcp_end(s, -ECONNRESET);
	edge(&m, 0);
	leave(&m);
}

/* By the clock alone, in a wait that has no end. */
PKT_TEST_IN(tcp_mux_times_out, "doc/muxer.md, zft over by an error; guide 11.2.2.6", PS_ALONE)
{
	struct ps *s = ps_established(.attrs = "tcp_retries=2");
	struct watch m = watch(s);
	struct epoll_event ev;
	uint64_t before;

	ask(&m, EPOLLHUP | EPOLLERR);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	before = zt_clock();
	PS_EQ(s, zf_muxer_wait(m.set, &ev, 1, -1), 1);
	PS_EQ(s, ev.events, EPOLLHUP | EPOLLERR);
	ps_error(s, ETIMEDOUT);
	PS_OK(s, zt_clock() - before >= 600000000u && zt_clock() - before <= 60000000000u);
	PS_OK(s, ps_ignore(s, 0) >= 4); /* the data, twice more, and a reset */
	edge(&m, 0);
	leave(&m);
}

PKT_TEST(tcp_mux_queue_full_by_eagain, "doc/muxer.md, zft established, EPOLLOUT")
{
	struct ps *s = ps_established(.peer_win = 10000);
	struct watch m = watch(s);
	bool woken = false;
	long rc;

	edge(&m, EPOLLOUT);
	do
		rc = ps_tcp_send(s, 50000);
	while (rc > 0);
	PS_OK(s, rc == -EAGAIN || rc == -ENOMEM);
	level(&m, 0);
	for (unsigned n = 0; !woken && n < 2000; n++) {
		struct epoll_event ev;
		size_t space;

		ps_ignore(s, 0);
		ps_in(s, "+.001 . 1:1(0) ack %u win 10000", ps_probe(s)->snd_nxt);
		woken = zf_muxer_wait(m.set, &ev, 1, 0) == 1;
		PS_EQ(s, zft_send_space(ps_zft(s), &space), 0);
		if (woken) {
			PS_EQ(s, ev.events, EPOLLOUT);
			PS_OK(s, space > 0);
		} else if (rc == -EAGAIN) {
			PS_OK(s, space <= (1u << 20) / 4 + 10000);
		}
	}
	PS_OK(s, woken);
	PS_OK(s, ps_tcp_send(s, 1000) > 0);
	ps_ignore(s, 1);
	leave(&m);
	ps_in(s, "+.01 R 1:1(0)");
	ps_ignore(s, 1);
}

/* Filled to the last byte, and nobody was told: not writable all the same. */
PKT_TEST_IN(tcp_mux_queue_full_to_the_brim, "doc/muxer.md, zft established, EPOLLOUT", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.peer_win = PS_WIN_0, .open = {.n_bufs = 4096});
	struct watch m = watch(s);
	long sent = 0, rc = 1;
	size_t space = 1;

	edge(&m, EPOLLOUT);
	while (rc > 0 && sent < 1 << 20) {
		rc = ps_tcp_send(s, (uint32_t)ZF_MIN(16384l, (1l << 20) - sent));
		sent += rc;
	}
	PS_EQ(s, sent, 1 << 20);
	PS_EQ(s, zft_send_space(ps_zft(s), &space), 0);
	PS_EQ(s, space, 0);
	ps_count(s, TX_EAGAIN, 0);
	level(&m, 0);
	ps_in(s, "+.01 R 1:1(0)");
	ps_ignore(s, .01);
	edge(&m, OVER | EPOLLERR);
	leave(&m);
}

/* Small segments: as many as a queue has records for, all by the fast send. */
PKT_TEST_IN(tcp_mux_queue_full_of_segments, "doc/muxer.md, zft established, EPOLLOUT", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.attrs = "tcp_initial_cwnd=1000000", .open = {.n_bufs = 8192}, .peer_win = 65535);
	struct watch m = watch(s);
	unsigned n = 0;
	bool woken = false;

	edge(&m, EPOLLOUT);
	while (n < 2000 && ps_probe(s)->snd_end != 0 && ps_tcp_send_single(s, 10) == 10) {
		n++;
		PS_EQ(s, ps_mux_mod(m.w, EPOLLOUT, 1), 0);
		if (ps_mux_one(s, m.set, NULL) == 0)
			break;
	}
	PS_OK(s, n >= 100 && n < 2000); /* it was noticed without an -EAGAIN or -ENOMEM */
	ps_count(s, TX_EAGAIN, 0);
	ps_ignore(s, .001);
	for (unsigned i = 0; !woken && i < 100; i++) {
		ps_in(s, "+.001 . 1:1(0) ack %u", ps_probe(s)->snd_nxt);
		ps_ignore(s, .001);
		woken = ps_mux_one(s, m.set, NULL) == EPOLLOUT;
	}
	PS_OK(s, woken);
	leave(&m);
}

PKT_TEST_IN(tcp_mux_no_buffer, "doc/muxer.md, zft established, EPOLLOUT; guide 11.10.2.12",
	    PS_ALONE & ~(PS_MODE(PS_RX_SPLIT_1) | PS_MODE(PS_RX_SPLIT_L3) | PS_MODE(PS_RX_SPLIT_L4)))
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	ask(&m, EPOLLOUT);
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_tcp_send(s, 100), -ENOMEM);
	pool_fail_after = pool_fail_every = 0;
	edge(&m, EPOLLOUT);
	ask(&m, ALL & ~(uint32_t)EPOLLOUT);
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_tcp_send(s, 100), -ENOMEM);
	pool_fail_after = pool_fail_every = 0;
	edge(&m, 0);
	level(&m, EPOLLOUT);
	leave(&m);
}

PKT_TEST(tcp_mux_listener, "doc/muxer.md, zftl")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");
	struct watch m = {s, ps_mux(s), zftl_to_waitable(tl)};

	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), 0);
	level(&m, 0);
	ps_in(s, "+0 S 0:0(0) sport 2000 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2000 <*>");
	level(&m, 0); /* half open */
	ps_in(s, "+.01 . 1:1(0) ack 1 sport 2000");
	edge(&m, EPOLLIN);
	level(&m, EPOLLIN);
	ps_in(s, "+0 S 0:0(0) sport 2001 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2001 <*>");
	edge(&m, 0);
	ps_in(s, "+.01 . 1:1(0) ack 1 sport 2001");
	edge(&m, EPOLLIN); /* one more */
	ps_accept(s, tl);
	edge(&m, 0);
	level(&m, EPOLLIN);
	ps_accept(s, tl);
	level(&m, 0);
	leave(&m);
}

/* Whoever waits to be accepted and goes is no event any more; and one that is accepted says what it has at once. */
PKT_TEST(tcp_mux_accept_queue, "doc/muxer.md, zftl")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");
	struct watch m = {s, ps_mux(s), zftl_to_waitable(tl)}, c;

	PS_EQ(s, ps_mux_add(m.set, m.w, EPOLLIN, 1), 0);
	ps_in(s, "+0 S 0:0(0) sport 2000 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2000 <*>");
	ps_in(s, "+.01 . 1:1(0) ack 1 sport 2000");
	ps_in(s, "+.01 R 1:1(0) sport 2000");
	edge(&m, 0);
	ps_in(s, "+0 S 0:0(0) sport 2001 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2001 <*>");
	ps_in(s, "+.01 . 1:1(0) ack 1 sport 2001");
	ps_in(s, "+.01 FP. 1:11(10) ack 1 sport 2001");
	ps_out(s, "+0 . 1:1(0) ack 12 dport 2001");
	edge(&m, EPOLLIN);
	ps_accept(s, tl);
	c = watch(s);
	edge(&c, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	ps_tcp_recv(s, 10);
	ps_listen_free(s, tl);
	PS_EQ(s, zf_muxer_del(m.w), -EINVAL);
	leave(&c);
	zf_muxer_free(m.set);
}

/* A zocket that was freed closes in the background, as nobody's: its waitable joins nothing, whatever its phase. */
PKT_TEST(tcp_mux_freed, "doc/muxer.md, zft freed")
{
	struct ps *s = ps_established();
	struct watch m = watch(s);

	edge(&m, EPOLLOUT);
	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	edge(&m, 0);
	PS_EQ(s, zf_muxer_del(m.w), -EINVAL);
	PS_EQ(s, ps_mux_mod(m.w, ALL, 1), -EINVAL);
	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), -EINVAL);
	PS_OK(s, zf_waitable_event(m.w) == NULL);
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	edge(&m, 0);
	zf_muxer_free(m.set);
}

PKT_TEST(tcp_mux_freed_while_listed, "doc/muxer.md, zft freed")
{
	struct ps *s = ps_established(.attrs = "max_tcp_endpoints=1;tcp_timewait_ms=0");
	struct watch m = watch(s);
	struct zft *was = ps_zft(s);

	ps_in(s, "+.01 R 1:1(0)"); /* and nobody has looked */
	ps_tcp_free(s);
	edge(&m, 0);
	ps_connect_to(s, "us:1001", "peer:2001"); /* in the same place */
	ps_out(s, "+0 S 0:0(0) <*>");
	PS_OK(s, ps_zft(s) == was);
	edge(&m, 0);
	PS_EQ(s, zf_muxer_del(m.w), -EINVAL);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	edge(&m, 0); /* not a member */
	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), 0);
	edge(&m, EPOLLOUT);
	leave(&m);
}

PKT_TEST(tcp_mux_freed_in_time_wait, "doc/muxer.md, zft freed")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");
	struct watch m = watch(s);

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	edge(&m, OVER);
	ps_tcp_free(s);
	ps_silence(s, 6);
	edge(&m, 0);
	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), -EINVAL);
	zf_muxer_free(m.set);
}

/* The stack: whatever broke its quiescence, and whoever called the reactor meanwhile. */
PKT_TEST(tcp_mux_quiescence, "doc/muxer.md, stack; guide 11.9.3.6")
{
	struct ps *s = ps_open(.attrs = "tcp_timewait_ms=5000");
	struct watch m = {s, ps_mux(s), zf_stack_to_waitable(ps_stack(s))};

	PS_EQ(s, ps_mux_add(m.set, m.w, ALL, 1), 0);
	level(&m, EPOLLSTACKHUP); /* nothing to wait for */
	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <*>");
	level(&m, 0);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	level(&m, 0);
	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	edge(&m, 0);
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	edge(&m, EPOLLSTACKHUP);
	level(&m, EPOLLSTACKHUP);
	leave(&m);
}

PKT_TEST(tcp_mux_quiescence_came_and_went_unseen, "doc/muxer.md, stack")
{
	struct ps *s = ps_open();
	struct watch m = {s, ps_mux(s), zf_stack_to_waitable(ps_stack(s))};

	PS_EQ(s, ps_mux_add(m.set, m.w, EPOLLSTACKHUP, 1), 0);
	edge(&m, EPOLLSTACKHUP);
	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <*>");
	ps_in(s, "+.01 R. 0:0(0) ack 1"); /* all this without a zf_muxer_wait() */
	ps_error(s, ECONNREFUSED);
	edge(&m, EPOLLSTACKHUP);
	PS_EQ(s, ps_mux_mod(m.w, EPOLLIN, 1), 0);
	ps_tcp_free(s);
	ps_connect(s);
	ps_out(s, "+* S 0:0(0) <*>");
	ps_in(s, "+.01 R. 0:0(0) ack 1");
	edge(&m, 0); /* not asked for */
	leave(&m);
}

PKT_TEST_IN(tcp_mux_quiescence_waits_for_time_wait, "attribute tcp_wait_for_time_wait; guide 11.2.2.6", PS_ALONE)
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000;tcp_wait_for_time_wait=1");
	struct watch m = {s, ps_mux(s), zf_stack_to_waitable(ps_stack(s))};
	struct epoll_event ev;
	uint64_t before;

	PS_EQ(s, ps_mux_add(m.set, m.w, EPOLLSTACKHUP, 7), 0);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	edge(&m, 0);
	ps_tcp_free(s);
	edge(&m, 0);
	before = zt_clock();
	PS_EQ(s, zf_muxer_wait(m.set, &ev, 1, -1), 1); /* nothing but the clock ends it */
	PS_EQ(s, ev.events, EPOLLSTACKHUP);
	PS_EQ(s, ev.data.u64, 7);
	PS_OK(s, zt_clock() - before >= 4900000000u && zt_clock() - before <= 5100000000u);
	edge(&m, 0);
	leave(&m);
}
