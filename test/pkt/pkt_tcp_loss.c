/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What TCP does when segments get lost, and how fast it sends: congestion control, fast recovery, timeouts, probes, undo
 * (RFC 5681, 6298, 6582, 6675, 8985, 9438, 9937). Arithmetic of cwnd and timeouts alone is in test/unit; here it is on
 * the wire. The algorithms apart, and marks of congestion: pkt_tcp_cc.c.
 */
#include <errno.h>

#include "pkt/pkt_tcp_segs.h"

PKT_TEST(tcp_initial_window_is_ten_segments, "RFC 6928 2")
{
	struct ps *s = EST();

	send_segs(s, 20);
	segs(s, 0, 10);
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	PS_EQ(s, ps_probe(s)->flight, 10000);
}

PKT_TEST(tcp_lost_syn_makes_a_cautious_start, "RFC 6928 2, RFC 6298 5.7")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+1 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.1 S. 0:0(0) ack 1 <mss 1000>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	PS_EQ(s, ps_probe(s)->srtt_ns, 0); /* Karn */
	send_segs(s, 5);
	segs(s, 0, 1);
	seg_after(s, 3., 0);
	ack(s, .1, 1);
	segs(s, 1, 3);
}

PKT_TEST(tcp_slow_start, "RFC 5681 3.1")
{
	struct ps *s = EST();

	send_segs(s, 40);
	segs(s, 0, 10);
	for (unsigned i = 0; i < 5; i++) { /* a segment more for each that arrived */
		ack(s, i == 0 ? .1 : 0, i + 1);
		segs(s, 10 + 2 * i, 12 + 2 * i);
		PS_EQ(s, ps_probe(s)->cwnd, 11000 + 1000 * i);
	}
}

PKT_TEST(tcp_slow_start_by_an_ack_for_many, "RFC 3465 2.3")
{
	struct ps *s = EST();

	send_segs(s, 40);
	segs(s, 0, 10);
	ack(s, .1, 8); /* a stretch ACK: two segments more, not eight */
	PS_EQ(s, ps_probe(s)->cwnd, 12000);
	segs(s, 10, 20);
}

/* The attack by many ACKs for parts of a segment. */
PKT_TEST(tcp_slow_start_counts_bytes, "RFC 3465 2, RFC 5681 3.1")
{
	struct ps *s = EST();

	send_segs(s, 30);
	segs(s, 0, 10);
	for (unsigned i = 1; i <= 10; i++) {
		ps_in(s, "+%f . 1:1(0) ack %u", i == 1 ? .1 : 0., 1 + 100 * i);
		PS_EQ(s, ps_probe(s)->cwnd, 10000 + 100 * i);
		if (i % 5 == 0) /* as much has arrived, and cwnd has grown by as much, as a segment takes */
			segs(s, 9 + i / 5, 10 + i / 5);
	}
}

PKT_TEST(tcp_window_that_is_not_used_does_not_grow, "RFC 7661 4.3")
{
	struct ps *s = EST();

	for (unsigned i = 0; i < 10; i++) {
		send_segs(s, 1);
		segs(s, i, i + 1);
		ack(s, .1, i + 1);
	}
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
}

PKT_TEST(tcp_congestion_avoidance, "RFC 5681 3.1")
{
	struct ps *s = EST(.attrs = RENO, .peer_wscale = 7);
	unsigned at, sent;

	ack(s, 0, 0); /* the window, scaled */
	send_segs(s, 100);
	segs(s, 0, 10);
	for (unsigned i = 0; i < 3; i++) {
		ack(s, i == 0 ? .1 : 0, 0);
		if (i < 2)
			segs(s, 10 + i, 11 + i);
	}
	segs(s, 0, 1);
	ack(s, .1, 12); /* recovery is over */
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	PS_EQ(s, ps_probe(s)->cwnd, 5000);
	segs(s, 12, 17);
	sent = 17;
	for (unsigned rtt = 0; rtt < 4; rtt++) { /* one more for each round trip */
		unsigned end = sent;

		for (at = end - 5 - rtt; at < end; at++) {
			ack(s, at == end - 5 - rtt ? .1 : 0, at + 1);
			sent += ps_ignore(s, 0);
		}
		PS_EQ(s, ps_probe(s)->cwnd, 6000 + 1000 * rtt);
	}
}

PKT_TEST(tcp_fast_retransmit, "RFC 5681 3.2, RFC 3042")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 30);
	segs(s, 0, 10);
	ack(s, .1, 0);
	segs(s, 10, 11); /* limited transmit: a new one for each of the first two */
	ack(s, 0, 0);
	segs(s, 11, 12);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_DISORDER);
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	ack(s, 0, 0);
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000); /* of ten: limited transmit does not count */
	ps_count(s, TCP_RETRANS, 1);
}

PKT_TEST(tcp_limited_transmit_obeys_the_window, "RFC 3042 2")
{
	struct ps *s = EST(.attrs = RENO, .peer_win = 10000);

	send_segs(s, 30);
	segs(s, 0, 10);
	for (unsigned i = 0; i < 2; i++)
		ps_in(s, "+%f . 1:1(0) ack 1 win 10000", i == 0 ? .1 : 0.);
	ps_in(s, "+0 . 1:1(0) ack 1 win 10000");
	segs(s, 0, 1);
}

/* Each of these would be the third. */
PKT_TEST(tcp_what_is_no_duplicate_ack, "RFC 5681 2")
{
	struct ps *s = EST(.attrs = RENO, .peer_win = 10000);

	send_segs(s, 10);
	segs(s, 0, 10);
	ps_in(s, "+.1 . 1:1(0) ack 1 win 10000");
	ps_in(s, "+0 . 1:1(0) ack 1 win 10000");
	ps_in(s, "+0 . 1:1(0) ack 1 win 10001"); /* an update of the window */
	ps_in(s, "+0 P. 1:2(1) ack 1 win 10001"); /* carries data */
	PS_EQ(s, ps_probe(s)->retrans, 0);
	PS_EQ(s, ps_probe(s)->dup_acks, 2);
	ps_ignore(s, .05);
	ps_in(s, "+0 . 2:2(0) ack 1 win 10001");
	ps_out(s, "+0 . 1:1001(1000) ack 2");
	ps_tcp_recv(s, 1);
}

PKT_TEST(tcp_nothing_in_flight_no_duplicate_ack, "RFC 5681 2")
{
	struct ps *s = EST(.attrs = RENO);

	for (unsigned i = 0; i < 5; i++)
		ack(s, .01, 0);
	PS_EQ(s, ps_probe(s)->dup_acks, 0);
	send_segs(s, 1);
	segs(s, 0, 1);
	ack(s, .01, 1);
}

PKT_TEST(tcp_partial_acks, "RFC 6582 3.2")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 10);
	segs(s, 0, 10); /* 0, 3 and 6 are lost */
	for (unsigned i = 0; i < 7; i++) {
		ack(s, i == 0 ? .1 : 0, 0);
		if (i == 2)
			segs(s, 0, 1);
	}
	ack(s, .1, 3);
	segs(s, 3, 4); /* at once, without three duplicates of its own */
	ack(s, .1, 6);
	segs(s, 6, 7);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000); /* one loss event, one reduction */
	ack(s, .1, 10);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	PS_EQ(s, ps_probe(s)->cwnd, 5000);
}

PKT_TEST(tcp_no_fast_retransmit_twice, "RFC 6582 3.2")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 10);
	segs(s, 0, 10);
	seg_after(s, .3, 0); /* a timeout, of an RTT that is longer now: everything arrives twice */
	ack(s, .01, 1);
	segs(s, 1, 3);
	for (unsigned i = 0; i < 5; i++)
		ack(s, .001, 1);
	ack(s, .001, 2);
	segs(s, 3, 5);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_LOSS);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	ack(s, .1, 10); /* up to recover: duplicates of it say nothing yet */
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	send_segs(s, 3);
	segs(s, 10, 13);
	for (unsigned i = 0; i < 3; i++)
		ack(s, .001, 10);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_DISORDER);
	ack(s, .1, 13);
}

PKT_TEST(tcp_timeout, "RFC 5681 3.1, RFC 6298 5")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 20);
	segs(s, 0, 10);
	seg_after(s, .3, 0); /* srtt .1 + 4 * .05 */
	PS_EQ(s, ps_probe(s)->cwnd, 1000);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	seg_after(s, .6, 0); /* again: twice as long, ssthresh stays */
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	PS_EQ(s, ps_probe(s)->backoff, 2);
	PS_EQ(s, ps_probe(s)->srtt_ns / 1000000, 100);
	ack(s, .1, 1); /* slow start begins, by one segment for each ACK */
	PS_EQ(s, ps_probe(s)->backoff, 0);
	PS_EQ(s, ps_probe(s)->srtt_ns / 1000000, 100); /* Karn */
	segs(s, 1, 3);
	ack(s, .1, 3);
	PS_EQ(s, ps_probe(s)->cwnd, 3000);
	segs(s, 3, 6);
}

PKT_TEST(tcp_timeout_with_little_in_flight, "RFC 5681 3.1")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 2);
	segs(s, 0, 2);
	seg_after(s, .3, 0);
	PS_EQ(s, ps_probe(s)->ssthresh, 2000); /* never less than two segments */
}

PKT_TEST(tcp_round_trip_times, "RFC 6298 2")
{
	struct ps *s = ps_established(.peer_mss = 1000, .rtt = .4);

	PS_EQ(s, ps_probe(s)->srtt_ns / 100000, 4000);
	PS_EQ(s, ps_probe(s)->rttvar_ns / 100000, 2000);
	PS_EQ(s, ps_probe(s)->rto_ns / 100000, 12000);
	send_segs(s, 1);
	segs(s, 0, 1);
	ack(s, .8, 1); /* var = 3/4 * .2 + 1/4 * .4, srtt = 7/8 * .4 + 1/8 * .8 */
	PS_EQ(s, ps_probe(s)->rttvar_ns / 100000, 2500);
	PS_EQ(s, ps_probe(s)->srtt_ns / 100000, 4500);
	PS_EQ(s, ps_probe(s)->rto_ns / 100000, 14500);
	send_segs(s, 1);
	segs(s, 1, 2);
	seg_after(s, 1.45, 1);
}

PKT_TEST(tcp_timer_starts_anew_with_each_ack, "RFC 6298 5.3")
{
	struct ps *s = EST();

	send_segs(s, 3);
	segs(s, 0, 3);
	ack(s, .1, 1); /* .25 from here: srtt .1, var .0375 */
	ack(s, .1, 2); /* srtt .1125, var .053 */
	PS_OK(s, ps_probe(s)->rto_ns > 320000000 && ps_probe(s)->rto_ns < 330000000);
	ps_silence(s, .32);
	ps_out(s, "+0~+.01 . 2001:3001(1000) ack 1");
}

PKT_TEST(tcp_timer_is_off_with_nothing_in_flight, "RFC 6298 5.2")
{
	struct ps *s = EST();

	send_segs(s, 1);
	segs(s, 0, 1);
	ack(s, .1, 1);
	PS_EQ(s, ps_probe(s)->timers & (ZT_TCP_RTO | ZT_TCP_TLP), 0);
	ps_silence(s, 1000);
}

PKT_TEST(tcp_idle_connection_restarts_slowly, "RFC 5681 4.1, RFC 7661 4.4")
{
	struct ps *s = EST(.attrs = RENO);

	send_segs(s, 20);
	segs(s, 0, 10);
	for (unsigned i = 0; i < 10; i++) {
		ack(s, i == 0 ? .1 : 0, i + 1);
		if (i < 5)
			segs(s, 10 + 2 * i, 12 + 2 * i);
	}
	ack(s, .1, 20);
	PS_EQ(s, ps_probe(s)->cwnd, 15000);
	ps_silence(s, .1); /* less than the timeout: no pause */
	PS_EQ(s, ps_probe(s)->cwnd, 15000);
	ps_silence(s, 1);
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	PS_OK(s, ps_probe(s)->ssthresh >= 11250); /* three quarters of what it was */
	send_segs(s, 15);
	segs(s, 20, 30);
}

PKT_TEST(tcp_sack_recovery, "RFC 6675 5, RFC 9937")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 40);
	segs(s, 0, 10); /* 0 is lost */
	sack(s, .1, 0, 1, 2);
	segs(s, 10, 11);
	sack(s, 0, 0, 1, 3);
	segs(s, 11, 12);
	sack(s, 0, 0, 1, 4); /* three segments above it */
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	PS_EQ(s, ps_probe(s)->sacked, 3000);
	/* From ten in flight to five, half a segment for each that arrives. */
	sack(s, .001, 0, 1, 5);
	sack(s, .001, 0, 1, 6);
	sack(s, .001, 0, 1, 7);
	segs(s, 12, 13);
	sack(s, .001, 0, 1, 8);
	sack(s, .001, 0, 1, 9);
	sack(s, .001, 0, 1, 10); /* as many as ssthresh: one for one from here */
	segs(s, 13, 14);
	ack(s, .094, 12);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	PS_EQ(s, ps_probe(s)->cwnd, 5000);
	segs(s, 14, 17);
	ps_count(s, TCP_RETRANS, 1);
}

/* The same where the records for losses have run out: half the window at once instead of proportionally, and nothing is
 * missing in the end.
 */
PKT_TEST(tcp_sack_recovery_without_a_record, "RFC 6675 5, attribute tcp_loss_records")
{
	struct ps *s = EST(.attrs = "tcp_loss_records=0;" RENO, .peer_sack = true);

	send_segs(s, 40);
	segs(s, 0, 10); /* 0 is lost */
	sack(s, .1, 0, 1, 2);
	segs(s, 10, 11);
	sack(s, 0, 0, 1, 3);
	segs(s, 11, 12);
	ps_count(s, TCP_LOSS_NO_RECORD, 0);
	sack(s, 0, 0, 1, 4); /* three segments above it */
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	ps_count(s, TCP_LOSS_NO_RECORD, 1);
	/* From nine in flight to five: nothing leaves before. */
	sack(s, .001, 0, 1, 5);
	sack(s, .001, 0, 1, 6);
	sack(s, .001, 0, 1, 7);
	sack(s, .001, 0, 1, 8);
	sack(s, .001, 0, 1, 9);
	segs(s, 12, 13);
	sack(s, .001, 0, 1, 10);
	segs(s, 13, 14);
	ack(s, .094, 12);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	PS_EQ(s, ps_probe(s)->cwnd, 5000);
	segs(s, 14, 17);
	ps_count(s, TCP_RETRANS, 1);
	ps_count(s, TCP_LOSS_NO_RECORD, 0); /* no more than once */
}

/* CUBIC keeps its record from a loss on; without one it grows as NewReno does, and falls to half. */
PKT_TEST(tcp_cubic_without_a_record, "RFC 9438, attribute tcp_loss_records")
{
	struct ps *s = EST(.attrs = "tcp_loss_records=0", .peer_sack = true);

	send_segs(s, 40);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 4);
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	ps_count(s, TCP_LOSS_NO_RECORD, 1);
}

PKT_TEST(tcp_sacked_segments_are_not_sent_again, "RFC 6675 5, RFC 2018 5")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10); /* 0, 2, 4 are lost */
	ps_in(s, "+.1 . 1:1(0) ack 1 <nop,nop,sack 1001:2001>");
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 3001:4001 1001:2001>");
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 5001:6001 3001:4001 1001:2001>");
	segs(s, 0, 1);
	ps_in(s, "+.001 . 1:1(0) ack 1 <nop,nop,sack 5001:7001 3001:4001 1001:2001>");
	segs(s, 2, 3);
	ps_in(s, "+.001 . 1:1(0) ack 1 <nop,nop,sack 5001:8001 3001:4001 1001:2001>");
	segs(s, 4, 5);
	ps_in(s, "+.001 . 1:1(0) ack 1 <nop,nop,sack 5001:9001 3001:4001 1001:2001>");
	ps_in(s, "+.001 . 1:1(0) ack 1 <nop,nop,sack 5001:10001 3001:4001 1001:2001>");
	ack(s, .1, 10);
	ps_count(s, TCP_RETRANS, 3);
	ps_silence(s, 10);
}

PKT_TEST(tcp_sack_blocks_that_lie, "hostile-inputs 9")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10);
	ps_in(s, "+.01 . 1:1(0) ack 1 <nop,nop,sack 3001:2001>");   /* backwards */
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 2001:2001>");     /* empty */
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 2001:10002>");    /* beyond what was sent */
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 2001:2147485649>");
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 1:2001>");        /* at what is not acknowledged */
	ps_in(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 1501:2500>");     /* no whole segment */
	PS_EQ(s, ps_probe(s)->sacked, 0);
	PS_EQ(s, ps_probe(s)->retrans, 0);
	ack(s, .1, 10);
}

PKT_TEST(tcp_sack_that_was_not_agreed_on, "RFC 2018 4")
{
	struct ps *s = EST();

	send_segs(s, 10);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 5);
	PS_EQ(s, ps_probe(s)->sacked, 0);
	ack(s, .01, 10);
}

PKT_TEST(tcp_reneging_peer, "RFC 2018 8")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 4);
	segs(s, 0, 4);
	sack(s, .1, 0, 1, 3);
	ps_ignore(s, 0);
	/* Nothing more is heard: behind the timeout the marks count no more. */
	ps_ignore(s, .6);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_LOSS);
	PS_EQ(s, ps_probe(s)->sacked, 0);
	ack(s, .001, 1);
	segs(s, 1, 3);
	ack(s, .1, 4);
}

PKT_TEST(tcp_rescue_retransmission, "RFC 6675 5 (4)")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10); /* 0 and 9 are lost */
	for (unsigned i = 2; i <= 9; i++) {
		sack(s, i == 2 ? .1 : .001, 0, 1, i);
		if (i == 4)
			segs(s, 0, 1);
	}
	ack(s, .1, 9); /* nothing new, and no SACK can speak for the last one: it goes without waiting for the timeout */
	ps_out(s, "+0~+.03 . 9001:10001(1000) ack 1");
	ack(s, .1, 10);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	ps_count(s, TCP_RETRANS, 2);
}

PKT_TEST(tcp_reordering_is_waited_for, "RFC 8985 6.2")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 3);
	PS_EQ(s, ps_probe(s)->timers & (ZT_TCP_REORDER | ZT_TCP_RTO | ZT_TCP_TLP), ZT_TCP_REORDER);
	ack(s, .02, 3); /* a quarter of the round trip had not passed */
	ps_count(s, TCP_RETRANS, 0);
	sack(s, .001, 3, 4, 5); /* the path is known to reorder now: three segments are no proof any more */
	sack(s, 0, 3, 4, 6);
	sack(s, 0, 3, 4, 7);
	sack(s, 0, 3, 4, 8);
	ps_silence(s, .003);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_DISORDER);
	ps_out(s, "+0~+.025 . 3001:4001(1000) ack 1");
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	ack(s, .1, 10);
}

PKT_TEST(tcp_reorder_timer, "RFC 8985 6.3")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 2);
	segs(s, 0, 2);
	sack(s, .1, 0, 1, 2);
	seg_after(s, .025, 0); /* one duplicate would never have been three */
	ack(s, .1, 2);
}

/* Each round with a D-SACK widens the wait by a quarter of the round trip. */
PKT_TEST(tcp_dsack_widens_the_reordering_window, "RFC 8985 6.2 step 4, RFC 2883")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 2);
	segs(s, 0, 2);
	sack(s, .1, 0, 1, 2);
	seg_after(s, .025, 0);
	ps_in(s, "+.001 . 1:1(0) ack 2001");
	ps_in(s, "+.1 . 1:1(0) ack 2001 <nop,nop,sack 1:1001>"); /* it had not been lost */
	send_segs(s, 2);
	segs(s, 2, 4);
	sack(s, .1, 2, 3, 4);
	seg_after(s, .05, 2);
	ack(s, .1, 4);
}

PKT_TEST(tcp_dsack_takes_a_reduction_back, "RFC 2883, RFC 4015")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 10);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 4); /* 0 is late only */
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->ssthresh, 5000);
	ack(s, .001, 10);
	PS_EQ(s, ps_probe(s)->cwnd, 5000);
	ps_in(s, "+.1 . 1:1(0) ack 10001 <nop,nop,sack 1:1001>");
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	PS_EQ(s, ps_probe(s)->ssthresh, ps_probe(s)->ssthresh);
	PS_OK(s, ps_probe(s)->ssthresh > 10000);
}

PKT_TEST(tcp_timestamps_take_a_timeout_back, "RFC 3522, RFC 4015")
{
	struct ps *s = EST(.attrs = RENO, .peer_ts = true);
	unsigned long long old;

	PS_EQ(s, ps_tcp_send(s, 3 * 988), 3 * 988);
	ps_out(s, "+0 . 1:989(988) ack 1 <*>");
	ps_out(s, "+0 . 989:1977(988) ack 1 <*>");
	ps_out(s, "+0 P. 1977:2965(988) ack 1 <*>");
	old = zt_clock() / 1000000;
	(void)old;
	ps_queue(s, "+.301 . 1:1(0) ack 2965"); /* late: built now, it echoes the first transmission */
	ps_out(s, "+.3 . 1:989(988) ack 1 <*>");
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_LOSS);
	PS_EQ(s, ps_probe(s)->cwnd, 988);
	ps_silence(s, .01);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	PS_OK(s, ps_probe(s)->cwnd >= 9880);
}

PKT_TEST(tcp_tail_loss_probe, "RFC 8985 7.2, 7.3")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 3);
	segs(s, 0, 3);
	PS_OK(s, ps_probe(s)->timers & ZT_TCP_TLP);
	seg_after(s, .2, 2); /* twice the round trip: the last one again */
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	sack(s, .1, 0, 2, 3); /* its SACK finds the others */
	segs(s, 0, 1);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
	ack(s, .1, 1);
	segs(s, 1, 2);
	ack(s, .1, 3);
	ps_silence(s, 5);
}

PKT_TEST(tcp_tail_loss_probe_of_new_data, "RFC 8985 7.3")
{
	struct ps *s = EST(.peer_sack = true);

	send_segs(s, 11);
	segs(s, 0, 10);
	seg_after(s, .2, 10);
	PS_EQ(s, ps_probe(s)->flight, 11000);
	ack(s, .1, 11);
}

PKT_TEST(tcp_tail_loss_probe_of_one_segment, "RFC 8985 7.2")
{
	struct ps *s = EST(.peer_sack = true, .attrs = "tcp_rto_min_ms=1000");

	send_segs(s, 1);
	segs(s, 0, 1);
	seg_after(s, .4, 0); /* its ACK may be delayed by .2 */
	seg_after(s, 1., 0); /* the timeout begins anew behind it, one probe is all there is */
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_LOSS);
	ack(s, .1, 1);
}

PKT_TEST(tcp_probe_that_repaired_a_loss, "RFC 8985 7.4.2")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 3);
	segs(s, 0, 3);
	ack(s, .1, 2);
	ps_out(s, "+.2~+.4 . 2001:3001(1000) ack 1");
	ack(s, .1, 3);
	PS_EQ(s, ps_probe(s)->cwnd, 10000); /* whether it was needed is not known yet */
	send_segs(s, 1);
	segs(s, 3, 4);
	ack(s, .1, 4); /* no D-SACK came: the congestion was real */
	PS_OK(s, ps_probe(s)->cwnd < 10000);
	PS_OK(s, ps_probe(s)->ssthresh < 10000);
}

PKT_TEST(tcp_probe_that_was_needless, "RFC 8985 7.4.2")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 3);
	segs(s, 0, 3);
	ack(s, .1, 2);
	ps_out(s, "+.2~+.4 . 2001:3001(1000) ack 1");
	ack(s, .001, 3);
	ps_in(s, "+.1 . 1:1(0) ack 3001 <nop,nop,sack 2001:3001>");
	send_segs(s, 1);
	segs(s, 3, 4);
	ack(s, .1, 4);
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
}

PKT_TEST(tcp_retransmission_that_gets_lost, "RFC 8985 3.3")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 40);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 4);
	ps_ignore(s, 0); /* 0 again, lost again, and new ones */
	PS_EQ(s, ps_probe(s)->retrans, 1000);
	for (unsigned i = 5; i <= 10; i++) {
		sack(s, .001, 0, 1, i);
		ps_ignore(s, 0);
	}
	PS_OK(s, ps_probe(s)->snd_nxt > 11001);
	sack(s, .1, 0, 1, (ps_probe(s)->snd_nxt - 1) / 1000); /* those were sent after it */
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_ignore(s, 0);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_RECOVERY);
}

PKT_TEST(tcp_losses_behind_a_retransmission, "RFC 8985 6.2")
{
	struct ps *s = EST(.attrs = RENO, .peer_sack = true);

	send_segs(s, 40);
	segs(s, 0, 10);
	sack(s, .1, 0, 1, 5);
	segs(s, 0, 1);
	ack(s, .1, 5); /* 0 was sent again after 5 to 9, so these are lost: no timeout is waited for */
	segs(s, 5, 6);
	ps_ignore(s, 0);
}

PKT_TEST(tcp_gives_up_after_tcp_retries, "RFC 9293 3.8.3, attribute tcp_retries")
{
	struct ps *s = EST(.attrs = "tcp_retries=4");

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	for (unsigned i = 0; i < 4; i++)
		ps_out(s, "+%f P. 1:11(10) ack 1", .3 * (1 << i));
	ps_silence(s, 4.7);
	ps_state(s, TCP_ESTABLISHED);
	ps_out(s, "+.1 R. 11:11(0) ack 1");
	ps_error(s, ETIMEDOUT);
	ps_tcp_end(s, -ETIMEDOUT);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	ps_count(s, TCP_TIMEOUT, 1);
}

/* By default a connection bears more than the hundred seconds that RFC 9293 asks for at least. */
PKT_TEST_IN(tcp_gives_up_late_by_default, "RFC 9293 SHLD-11", PS_TCP_NORMAL)
{
	struct ps *s = EST(.attrs = "tcp_retries=15");

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	PS_OK(s, ps_ignore(s, 800) > 10);
	ps_state(s, TCP_ESTABLISHED);
	PS_OK(s, ps_ignore(s, 600) >= 2); /* the last retransmissions, and the reset */
	ps_error(s, ETIMEDOUT);
}
