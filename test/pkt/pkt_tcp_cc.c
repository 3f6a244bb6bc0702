/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the two algorithms of congestion control differ on the wire, and explicit congestion notification (RFC 9438,
 * 3168). What they have in common is in pkt_tcp_loss.c; the arithmetic alone in test/unit/test_tcp_cc.c.
 */
#include "pkt/pkt_tcp_segs.h"

/* Plateau and shape of the curve: below it three seconds after a loss, back at it after K, beyond it soon after. */
PKT_TEST_IN(tcp_cubic_curve, "RFC 9438 4.2, 4.3, 4.4, attribute tcp_cc", PS_TCP_NORMAL)
{
	struct ps *s = EST(.attrs = "tcp_cc=cubic;tcp_initial_cwnd=100000;tcp_rx_window=60000", .peer_wscale = 7,
			   .peer_sack = true);
	unsigned at[80], n = 0;

	ack(s, 0, 0); /* the window, scaled */
	PS_EQ(s, ps_tcp_send(s, 110000, MSG_MORE), 110000);
	segs(s, 0, 100);
	sack(s, .1, 0, 1, 4);
	ps_ignore(s, 0);
	ack(s, .1, (ps_probe(s)->snd_nxt - 1) / 1000);
	PS_EQ(s, ps_probe(s)->ssthresh, 70000);
	PS_EQ(s, ps_probe(s)->cwnd, 70000);
	/* K = cbrt(100 * .3 / .4) = 4.2 s. A round trip is .1 s, with ACKs for two segments each. */
	for (n = 0; n < 80; n++) {
		unsigned una = ps_probe(s)->snd_una, end;

		(void)ps_tcp_send(s, 300000, MSG_MORE);
		ps_ignore(s, .1);
		end = ps_probe(s)->snd_nxt;
		for (una += 2000; una <= end; una += 2000)
			ps_queue(s, "+0 . 1:1(0) ack %u", una);
		ps_queue(s, "+0 . 1:1(0) ack %u", end);
		ps_ignore(s, 0);
		at[n] = ps_probe(s)->cwnd;
	}
	ps_note(s, "cwnd after 1 s: %u, 2 s: %u, 4 s: %u, 5 s: %u, 7 s: %u", at[9], at[19], at[39], at[49], at[69]);
	PS_OK(s, at[9] > 83000 && at[9] < 90500);   /* 100 - .4 * 3.2^3 = 87 */
	PS_OK(s, at[19] > 92000 && at[19] < 97500); /* 95.7 */
	PS_OK(s, at[39] > 97000 && at[39] < 101500); /* 100 */
	/* 108.8; but Reno, having been back at 100 after 57 round trips, would have 113 by now: not less than that (4.3). */
	PS_OK(s, at[69] > 110000 && at[69] < 114000);
}

/* One that loses again before it is back at its plateau makes room for others: W_max is 70 * .85 = 59.5 segments, not 70,
 * K = cbrt(10.5 / .4) = 3 s, not 3.7.
 */
PKT_TEST_IN(tcp_cubic_fast_convergence, "RFC 9438 4.7, attribute tcp_cc", PS_TCP_NORMAL)
{
	struct ps *s = ps_established(.attrs = "tcp_cc=cubic;tcp_initial_cwnd=100000;tcp_rx_window=60000",
				      .peer_mss = 1000, .peer_sack = true, .peer_wscale = 7, .rtt = .5);

	ps_in(s, "+0 . 1:1(0) ack 1"); /* the window, scaled */
	PS_EQ(s, ps_tcp_send(s, 100000, MSG_MORE), 100000);
	segs(s, 0, 100);
	ps_in(s, "+.5 . 1:1(0) ack 1 <nop,nop,sack 1001:4001>");
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_in(s, "+.5 . 1:1(0) ack 100001");
	PS_EQ(s, ps_probe(s)->cwnd, 70000);
	PS_EQ(s, ps_tcp_send(s, 70000, MSG_MORE), 70000);
	segs(s, 100, 170);
	ps_in(s, "+.5 . 1:1(0) ack 100001 <nop,nop,sack 101001:104001>");
	ps_out(s, "+0 . 100001:101001(1000) ack 1");
	ps_in(s, "+.5 . 1:1(0) ack 170001");
	PS_EQ(s, ps_probe(s)->cwnd, 49000);
	for (unsigned i = 0; i < 7; i++) {
		unsigned una = ps_probe(s)->snd_una, end;

		(void)ps_tcp_send(s, 200000, MSG_MORE);
		ps_ignore(s, .5);
		for (end = ps_probe(s)->snd_nxt; una < end; una += ZF_MIN(2000u, end - una))
			ps_queue(s, "+0 . 1:1(0) ack %u", una + ZF_MIN(2000u, end - una));
		ps_ignore(s, 0);
		ps_note(s, "after %u ms: %u", 500 * (i + 1), ps_probe(s)->cwnd);
	}
	PS_OK(s, ps_probe(s)->cwnd >= 58000 && ps_probe(s)->cwnd <= 62000);
}

/* Time in which the application sends nothing is no time of the epoch: no leap along the curve. */
PKT_TEST(tcp_cubic_stands_still_while_idle, "RFC 9438 4.2, 5.8, attribute tcp_cc")
{
	struct ps *s = ps_established(.attrs = "tcp_cc=cubic;tcp_initial_cwnd=20000", .peer_mss = 1000, .peer_sack = true,
				      .rtt = .1);
	unsigned before;

	PS_EQ(s, ps_tcp_send(s, 20000, MSG_MORE), 20000);
	segs(s, 0, 20);
	ps_in(s, "+.1 . 1:1(0) ack 1 <nop,nop,sack 1001:4001>");
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 20001");
	before = ps_probe(s)->cwnd;
	for (unsigned i = 0; i < 100; i++) { /* ten minutes, a segment at a time */
		PS_EQ(s, ps_tcp_send(s, 1000, MSG_MORE), 1000);
		ps_ignore(s, .1);
		ps_in(s, "+0 . 1:1(0) ack %u", ps_probe(s)->snd_nxt);
		ps_silence(s, 6);
	}
	PS_OK(s, ps_probe(s)->cwnd <= 20000);
	PS_OK(s, ps_probe(s)->cwnd <= before || before == 14000);
	(void)ps_tcp_send(s, 60000, MSG_MORE);
	ps_ignore(s, .1);
	ps_queue(s, "+0 . 1:1(0) ack %u", ps_probe(s)->snd_nxt);
	ps_ignore(s, 0);
	PS_OK(s, ps_probe(s)->cwnd <= before + 2000);
}

PKT_TEST(tcp_cubic_and_newreno_reduce_differently, "RFC 9438 4.6, RFC 5681 3.1, attribute tcp_cc")
{
	struct ps *s = EST(.attrs = "tcp_cc=cubic", .peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 4);
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->ssthresh, 7000); /* newreno: 5000, see tcp_sack_recovery */
	ack(s, .1, 10);
	PS_EQ(s, ps_probe(s)->cwnd, 7000);
}

static struct ps *
ecn_established(void)
{
	struct ps *s = ps_open(.attrs = RENO "tcp_ecn=1");

	ps_connect(s);
	ps_out(s, "+0 [ip tos 0] SEW 0:0(0) <mss 1460,*>");
	ps_in(s, "+.1 SE. 0:0(0) ack 1 <mss 1000>");
	ps_out(s, "+0 [ip tos 0] . 1:1(0) ack 1");
	PS_OK(s, ps_probe(s)->ecn);
	return s;
}

PKT_TEST(tcp_ecn_echo_lowers_the_window_once, "RFC 3168 6.1.2, attribute tcp_ecn")
{
	struct ps *s = ecn_established();

	send_segs(s, 40);
	for (unsigned i = 0; i < 10; i++)
		ps_out(s, "+0 [ip tos 2] . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	ps_in(s, "+.1 E. 1:1(0) ack 1001");
	PS_EQ(s, ps_probe(s)->cwnd, 4500); /* half of what is in flight, as after a loss */
	PS_EQ(s, ps_probe(s)->retrans, 0);
	ps_in(s, "+0 E. 1:1(0) ack 4001"); /* within the same round trip */
	ps_in(s, "+0 E. 1:1(0) ack 5001");
	PS_EQ(s, ps_probe(s)->ssthresh, 4500);
	ps_in(s, "+0 E. 1:1(0) ack 7001");
	ps_out(s, "+0 [ip tos 2] W. 10001:11001(1000) ack 1");
	ps_out(s, "+0 [ip tos 2] . 11001:12001(1000) ack 1"); /* CWR once */
	ps_in(s, "+.1 E. 1:1(0) ack 12001"); /* marks again, after what was sent behind the reduction */
	PS_EQ(s, ps_probe(s)->cwnd, 2000);
	ps_out(s, "+0 [ip tos 2] W. 12001:13001(1000) ack 1");
	ps_ignore(s, .1);
}

PKT_TEST(tcp_ecn_echo_before_cwr_is_the_old_one, "RFC 3168 6.1.2")
{
	struct ps *s = ecn_established();

	send_segs(s, 10);
	for (unsigned i = 0; i < 10; i++)
		ps_out(s, "+0 [ip tos 2] . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	ps_in(s, "+.1 E. 1:1(0) ack 1001");
	PS_EQ(s, ps_probe(s)->ssthresh, 4500);
	ps_in(s, "+0 E. 1:1(0) ack 10001"); /* all there was: the peer cannot have seen CWR */
	PS_EQ(s, ps_probe(s)->ssthresh, 4500);
	send_segs(s, 1);
	ps_out(s, "+0 [ip tos 2] W. 10001:11001(1000) ack 1");
}

PKT_TEST(tcp_ecn_marks_are_echoed, "RFC 3168 6.1.3, attribute tcp_ecn")
{
	struct ps *s = ecn_established();

	ps_in(s, "+0 [ip tos 3] P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 [ip tos 0] E. 1:1(0) ack 101");
	ps_in(s, "+0 [ip tos 2] P. 101:201(100) ack 1");
	ps_out(s, "+0~+.041 E. 1:1(0) ack 201"); /* until the peer says that it knows */
	ps_in(s, "+0 [ip tos 2] PW. 201:301(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 301");
	ps_tcp_recv(s, 300);
}

PKT_TEST(tcp_ecn_not_for_what_is_sent_again, "RFC 3168 6.1.5")
{
	struct ps *s = ecn_established();

	send_segs(s, 1);
	ps_out(s, "+0 [ip tos 2] . 1:1001(1000) ack 1");
	ps_out(s, "+.3 [ip tos 0] . 1:1001(1000) ack 1");
	ack(s, .1, 1);
}

PKT_TEST(tcp_ecn_refused_by_the_peer, "RFC 3168 6.1.1")
{
	struct ps *s = ps_open(.attrs = "tcp_ecn=1");

	ps_connect(s);
	ps_out(s, "+0 SEW 0:0(0) <mss 1460,*>");
	ps_in(s, "+.1 SEW. 0:0(0) ack 1 <mss 1000>"); /* a host that mirrors the reserved bits */
	ps_out(s, "+0 . 1:1(0) ack 1");
	PS_OK(s, !ps_probe(s)->ecn);
	send_segs(s, 1);
	ps_out(s, "+0 [ip tos 0] . 1:1001(1000) ack 1");
	ack(s, .1, 1);
}
