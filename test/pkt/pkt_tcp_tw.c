/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP's TIME-WAIT: what it ignores, what it answers, who may take its place, how long it lasts and how many there may be
 * (RFC 9293 3.6.1, RFC 1337, RFC 6191; tcp-ip-requirements MUST-13, 109, 110). Every segment in it: pkt_tcp_grid.c.
 */
#include <errno.h>
#include <string.h>

#include "pkt/ps_zft.h"

/* We close first: TIME-WAIT with SND.NXT 2 and RCV.NXT 2. */
static void
close_both(struct ps *s)
{
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
}

/* The sequence number of the segment that is sent now. */
static uint32_t
take_seq(struct ps *s)
{
	uint8_t f[128];

	PS_OK(s, ps_take(s, f, sizeof(f)) >= 54);
	return (uint32_t)f[38] << 24 | (uint32_t)f[39] << 16 | (uint32_t)f[40] << 8 | f[41];
}

PKT_TEST(tcp_time_wait_lasts_its_time, "RFC 9293 MUST-13, attribute tcp_timewait_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	close_both(s);
	ps_tcp_eof(s);
	ps_silence(s, 4.9);
	ps_state(s, TCP_TIME_WAIT);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
	ps_error(s, 0);
	/* Whoever comes now is a stranger. */
	ps_in(s, "+0 F. 1:1(0) ack 2");
	ps_out(s, "+0 R 2:2(0)");
}

PKT_TEST(tcp_time_wait_ignores_resets, "RFC 1337")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	close_both(s);
	ps_in(s, "+1 R 2:2(0)");
	ps_in(s, "+0 R. 2:2(0) ack 2");
	ps_in(s, "+0 R 1000:1000(0)");
	ps_in(s, "+0 R 2000000:2000000(0)");
	ps_silence(s, 3.9);
	ps_state(s, TCP_TIME_WAIT);
	ps_silence(s, .2); /* nor did they prolong it */
	ps_state(s, TCP_CLOSE);
}

PKT_TEST(tcp_time_wait_begins_anew_with_the_fin_alone, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	close_both(s);
	ps_in(s, "+3 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+3 . 1:1(0) ack 2"); /* an old one: answered, and that is all */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 P. 2:102(100) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 F. 102:102(0) ack 2"); /* not the FIN it was */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_silence(s, 1.7);
	ps_state(s, TCP_TIME_WAIT);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
}

PKT_TEST(tcp_time_wait_of_no_time, "attribute tcp_timewait_ms=0")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=0;tcp_wait_for_time_wait=1");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSE);
	ps_tcp_eof(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_time_wait_keeps_what_was_received, "RFC 9293 3.6")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=1000");

	ps_in(s, "+.01 P. 1:501(500) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 501");
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 501");
	ps_in(s, "+.01 FP. 501:601(100) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 602");
	ps_state(s, TCP_TIME_WAIT);
	ps_tcp_recv(s, 300);
	ps_silence(s, 1.1);
	ps_state(s, TCP_CLOSE);
	ps_tcp_recv(s, 300);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_wait_for_time_wait, "guide, attribute tcp_wait_for_time_wait")
{
	struct ps *s = ps_established(.attrs = "tcp_wait_for_time_wait=1;tcp_timewait_ms=5000");

	close_both(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_tcp_free(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, 4.9);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, .2);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_time_wait_counts_not_for_quiescence, "guide, attribute tcp_wait_for_time_wait")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	close_both(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_time_wait_gives_way_by_sequence_number, "RFC 9293 MAY-2, RFC 6191")
{
	struct ps *s = ps_established(.passive = true);
	struct zft *old = ps_zft(s);

	close_both(s);
	ps_in(s, "+.1 S 2:2(0) <mss 1460>"); /* the number behind the FIN, and what is left of it: not new */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	ps_in(s, "+.1 S 3:3(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 4 <mss 1460>");
	ps_state(s, TCP_CLOSE); /* the old one */
	ps_in(s, "+.1 . 4:4(0) ack 1");
	ps_accept(s, ps_zftl(s));
	PS_OK(s, ps_zft(s) != old);
	ps_in(s, "+.1 P. 4:104(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 104");
	ps_use(s, old);
	ps_tcp_eof(s);
}

/* Far ahead, and across the half of the number space: still ahead. */
PKT_TEST(tcp_time_wait_gives_way_far_ahead, "RFC 9293 MAY-2")
{
	struct ps *s = ps_established(.passive = true);

	close_both(s);
	ps_in(s, "+.1 S 2147483655:2147483655(0) <mss 1460>"); /* behind, by 2^31 - 5 */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 S 2147483640:2147483640(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 2147483641 <mss 1460>");
}

PKT_TEST(tcp_time_wait_gives_way_by_timestamp, "RFC 6191, 110")
{
	struct ps *s = ps_established(.passive = true, .peer_ts = true);

	close_both(s);
	/* The clock of the peer's timestamps said 6020 or so. */
	ps_in(s, "+.1 S 4000000000:4000000000(0) <mss 1460,nop,nop,TS val 3 ecr 0>");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 S 3:3(0) <mss 1460,nop,nop,TS val 3 ecr 0>"); /* ahead, but older */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	ps_in(s, "+.1 S 4000000000:4000000000(0) <mss 1460,nop,nop,TS val * ecr 0>"); /* behind, but newer */
	ps_out(s, "+0 S. 0:0(0) ack 4000000001 <mss 1460,nop,nop,TS val * ecr *>");
	ps_state(s, TCP_CLOSE);
}

PKT_TEST(tcp_time_wait_without_timestamps_gives_way_to_them, "RFC 6191 2")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=1");

	ps_listen(s, "us:1000");
	ps_handshake(s, .passive = true);
	close_both(s);
	ps_in(s, "+.1 S 4000000000:4000000000(0) <mss 1460,nop,nop,TS val 3 ecr 0>");
	ps_out(s, "+0 S. 0:0(0) ack 4000000001 <mss 1460,nop,nop,TS val * ecr 3>");
}

/* We do not use them: they tell nothing. */
PKT_TEST(tcp_time_wait_timestamps_that_are_off, "RFC 6191, attribute tcp_timestamps=0")
{
	struct ps *s = ps_established(.passive = true);

	close_both(s);
	ps_in(s, "+.1 S 4000000000:4000000000(0) <mss 1460,nop,nop,TS val 3 ecr 0>");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+.1 S 3:3(0) <mss 1460,nop,nop,TS val 3 ecr 0>");
	ps_out(s, "+0 S. 0:0(0) ack 4 <mss 1460>");
}

PKT_TEST(tcp_time_wait_needs_a_listener_to_give_way, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established();

	close_both(s);
	ps_in(s, "+.1 S 3:3(0) <mss 1460>");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
}

PKT_TEST(tcp_time_wait_is_timely, "RFC 7323 3.2, 5.3")
{
	struct ps *s = ps_established(.peer_ts = true);

	close_both(s);
	ps_in(s, "+.1 F. 1:1(0) ack 2 <>"); /* none: not of this connection */
	ps_in(s, "+0 F. 1:1(0) ack 2 <nop,nop,TS val 3 ecr 0>");
	ps_out(s, "+0 . 2:2(0) ack 2 <nop,nop,TS val * ecr *>");
	ps_in(s, "+0 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2 <nop,nop,TS val * ecr *>");
}

/* The next one begins above what the last one used, wherever the clock of RFC 6528 stands. */
PKT_TEST(tcp_time_wait_successor_begins_above, "RFC 9293 MAY-2, RFC 6528")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t isn = i * 0x10000000u + 5;

		ps_isn(s, isn);
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", 2000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u", 2000 + i);
		ps_accept(s, ps_zftl(s));
		close_both(s);
		ps_isn_any(s);
		ps_in(s, "+0 S 10:10(0) <mss 1460>");
		/* 64 KiB away: a window probe that is still on its way cannot be its own. */
		PS_OK(s, take_seq(s) - (isn + 2 + 65538) < 1u << 31);
		ps_tcp_free(s);
	}
	ps_ignore(s, 1);
}

PKT_TEST(tcp_connect_takes_the_place_of_its_own_time_wait, "RFC 9293 3.6.1, MUST-41")
{
	struct ps *s = ps_open();

	for (uint32_t i = 0; i < 8; i++) {
		uint32_t isn = i * 0x20000000u + 5;

		ps_isn(s, isn);
		ps_connect(s);
		ps_handshake(s, .rtt = .01);
		close_both(s);
		ps_tcp_free(s);
		ps_isn_any(s);
		ps_connect(s);
		PS_OK(s, take_seq(s) - (isn + 2 + 65538) < 1u << 31);
		ps_state(s, TCP_SYN_SENT);
		/* What is left of the old one does not hurt. */
		ps_in(s, "+.01 F. 1:1(0) ack 2");
		PS_OK(s, ps_ignore(s, 0) <= 1);
		ps_state(s, TCP_SYN_SENT);
		ps_tcp_free(s);
	}
}

PKT_TEST(tcp_time_wait_is_outside_of_the_limit, "design, attribute max_tcp_endpoints")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=1");

	for (unsigned i = 0; i < 64; i++) {
		char remote[32];

		snprintf(remote, sizeof(remote), "peer:%u", 2000 + i);
		ps_connect_to(s, "us:1000", remote);
		ps_handshake(s, .rtt = .01);
		close_both(s);
		ps_tcp_free(s);
	}
	ps_count(s, TCP_TW_RECYCLED, 0);
	ps_in(s, "+0 F. 1:1(0) ack 2 sport 2000"); /* it is still there */
	ps_out(s, "+0 . 2:2(0) ack 2 dport 2000");
	/* One too many: the oldest, which now is the second, ends early. */
	ps_connect_to(s, "us:1000", "peer:2064");
	ps_handshake(s, .rtt = .01);
	close_both(s);
	ps_tcp_free(s);
	ps_count(s, TCP_TW_RECYCLED, 1);
	ps_in(s, "+0 F. 1:1(0) ack 2 sport 2001");
	ps_out(s, "+0 R 2:2(0) dport 2001");
	ps_in(s, "+0 F. 1:1(0) ack 2 sport 2000");
	ps_out(s, "+0 . 2:2(0) ack 2 dport 2000");
	ps_in(s, "+0 F. 1:1(0) ack 2 sport 2002");
	ps_out(s, "+0 . 2:2(0) ack 2 dport 2002");
}

/* The zocket of an entry that ends early is closed, not forgotten. */
PKT_TEST_IN(tcp_time_wait_recycled_under_its_zocket, "issue 3.2, TCP_TW_RECYCLED",
	    PS_ALL_MODES & ~PS_MODE(PS_TX_HOLD)) /* which has no room for so many frames */
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=2");
	struct zft *first;

	ps_connect_to(s, "us:1000", "peer:2000");
	ps_handshake(s, .rtt = .01);
	close_both(s);
	first = ps_zft(s);
	for (unsigned i = 1; i <= 128; i++) {
		char remote[32];

		snprintf(remote, sizeof(remote), "peer:%u", 2000 + i);
		ps_connect_to(s, "us:1000", remote);
		ps_handshake(s, .rtt = .01);
		close_both(s);
		ps_tcp_free(s);
	}
	ps_count(s, TCP_TW_RECYCLED, 1);
	ps_use(s, first);
	ps_state(s, TCP_CLOSE);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_time_wait_outlives_its_listener, "guide 11.10.2.22")
{
	struct ps *s = ps_established(.passive = true);
	struct zftl *tl = ps_zftl(s);

	close_both(s);
	ps_tcp_free(s);
	ps_listen_free(s, tl);
	ps_in(s, "+.1 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	tl = ps_listen(s, "us:1000"); /* at once */
	ps_in(s, "+.1 S 3:3(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 4 <mss 1460>");
	ps_in(s, "+.1 . 4:4(0) ack 1");
	ps_accept(s, tl);
	ps_state(s, TCP_ESTABLISHED);
}

/* A SYN of the peer's takes the place before the application has accepted the one that ended. */
PKT_TEST(tcp_time_wait_before_accept, "RFC 9293 MAY-2")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 FP. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 102");
	ps_accept(s, tl);
	ps_state(s, TCP_CLOSE_WAIT);
	ps_tcp_recv(s, 100);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 102");
	ps_in(s, "+0 . 102:102(0) ack 2");
	ps_state(s, TCP_CLOSE);
	/* LAST-ACK leaves nothing behind: any number may begin the next one. */
	ps_in(s, "+0 S 50:50(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 51 <*>");
}

/* Both sides have closed at once, and their last ACKs cross: no storm. */
PKT_TEST(tcp_time_wait_is_silent_towards_another, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established();

	close_both(s);
	ps_in(s, "+0 . 2:2(0) ack 2");
	ps_in(s, "+0 . 2:2(0) ack 1");
	ps_silence(s, 1);
	/* Answers to what is wrong are limited, however much comes. */
	for (unsigned i = 0; i < 1000; i++)
		ps_queue(s, "+0 . 1:1(0) ack 2");
	PS_OK(s, ps_ignore(s, .0001) <= 250);
}
