/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP connections: how they begin, how they end, and what refuses to become one (RFC 9293 3.5, 3.6, 3.10; guide 11.10).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "pkt/ps_zft.h"

PKT_TEST(tcp_active_open, "RFC 9293 3.5")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_state(s, TCP_SYN_SENT);
	ps_out(s, "+0 S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_tcp_recv_none(s);
	PS_EQ(s, ps_tcp_send(s, 5), -ENOTCONN);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 7>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 32768");
	ps_state(s, TCP_ESTABLISHED);
	ps_error(s, 0);
	ps_tcp_recv_none(s);
	PS_EQ(s, zft_get_mss(ps_zft(s)), 1460);
	PS_EQ(s, zft_get_header_size(ps_zft(s)), 54);
}

PKT_TEST(tcp_active_open_with_timestamps, "RFC 7323 3.2")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=2");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,nop,wscale 3>");
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 700 ecr *,nop,wscale 7>");
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,TS val * ecr 700>");
	PS_EQ(s, zft_get_mss(ps_zft(s)), 1448);
	PS_EQ(s, zft_get_header_size(ps_zft(s)), 66);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1 <nop,nop,TS val * ecr 700>");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(tcp_passive_open, "RFC 9293 3.5")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");
	struct sockaddr_in l = {0}, r = {0};
	socklen_t ll = sizeof(l), rl = sizeof(r);

	ps_in(s, "+0 S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 7>");
	ps_out(s, "+0 S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_accept_none(s, tl);
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_accept(s, tl);
	ps_accept_none(s, tl);
	ps_state(s, TCP_ESTABLISHED);
	zft_getname(ps_zft(s), (struct sockaddr *)&l, &ll, (struct sockaddr *)&r, &rl);
	PS_EQ(s, ntohs(l.sin_port), 1000);
	PS_EQ(s, ntohl(l.sin_addr.s_addr), 0xc0000201);
	PS_EQ(s, ntohs(r.sin_port), 2000);
	PS_EQ(s, ntohl(r.sin_addr.s_addr), 0xc0000242);
}

/* An option that the peer does not offer is not answered with. */
PKT_TEST(tcp_passive_open_of_an_old_host, "RFC 7323 2.2")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=2");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) win 1000");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 1 win 1000");
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, zft_get_mss(ps_zft(s)), 536);
}

PKT_TEST(tcp_data_with_the_handshakes_last_ack, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+0 P. 1:101(100) ack 1"); /* the bare ACK before it was lost */
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_accept(s, ps_zftl(s));
	ps_tcp_recv(s, 100);
	ps_tcp_recv_none(s);
}

PKT_TEST(tcp_accepts_in_the_order_of_completion, "issue 3.2")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");
	static const unsigned order[] = {2001, 2003, 2002};

	for (unsigned p = 2001; p <= 2003; p++) {
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", p);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", p);
	}
	for (unsigned i = 0; i < 3; i++)
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u", order[i]);
	for (unsigned i = 0; i < 3; i++) {
		struct sockaddr_in r;
		socklen_t rl = sizeof(r);

		ps_accept(s, tl);
		zft_getname(ps_zft(s), NULL, NULL, (struct sockaddr *)&r, &rl);
		PS_EQ(s, ntohs(r.sin_port), order[i]);
	}
	ps_accept_none(s, tl);
}

static void
data_both_ways(struct ps *s)
{
	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 101");
	ps_in(s, "+.01 P. 1:201(200) ack 101");
	ps_out(s, "+0~+.041 . 101:101(0) ack 201");
	ps_tcp_recv(s, 200);
	ps_tcp_recv_none(s);
	PS_EQ(s, ps_tcp_send_single(s, 1), 1);
	ps_out(s, "+0 P. 101:102(1) ack 201");
	ps_in(s, "+.01 P. 201:202(1) ack 102");
	PS_EQ(s, ps_tcp_send(s, 1), 1); /* takes the acknowledgement along, if it has not left */
	if (ps_probe(s)->timers & ZT_TCP_DELACK)
		ps_fail(s, __LINE__, "a delayed acknowledgement is owed although a segment has left");
	ps_ignore(s, .001);
	ps_in(s, "+0 . 202:202(0) ack 103");
	ps_tcp_recv(s, 1);
}

PKT_TEST(tcp_data_both_ways, "RFC 9293 3.8")
{
	data_both_ways(ps_established());
}

PKT_TEST(tcp_data_both_ways_passive, "RFC 9293 3.8")
{
	data_both_ways(ps_established(.passive = true, .peer_sack = true, .peer_wscale = 7));
}

PKT_TEST(tcp_data_both_ways_with_timestamps, "RFC 7323 3")
{
	data_both_ways(ps_established(.peer_sack = true, .peer_wscale = 7, .peer_ts = true));
}

PKT_TEST(tcp_sends_of_nothing, "guide-decisions, TCP")
{
	struct ps *s = ps_established();
	struct iovec iov = {NULL, 0};

	PS_EQ(s, zft_send(ps_zft(s), &iov, 1, 0), 0);
	PS_EQ(s, zft_send(ps_zft(s), &iov, 0, 0), -EINVAL);
	PS_EQ(s, zft_send(ps_zft(s), &iov, -1, 0), -EINVAL);
	PS_EQ(s, zft_send(ps_zft(s), &iov, 1, MSG_PEEK), -EINVAL);
	PS_EQ(s, zft_send_single(ps_zft(s), NULL, 0, 0), 0);
	PS_EQ(s, zft_send_single(ps_zft(s), NULL, 0, MSG_OOB), -EINVAL);
	ps_silence(s, 1);
}

PKT_TEST(tcp_we_close_first, "RFC 9293 3.6")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_state(s, TCP_FIN_WAIT1);
	PS_EQ(s, ps_shutdown_rc(s), -ENOTCONN);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_state(s, TCP_FIN_WAIT2);
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	ps_tcp_eof(s);
	ps_error(s, 0);
	ps_in(s, "+1 F. 1:1(0) ack 2"); /* our ACK was lost: it is sent again, and the wait starts anew */
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_silence(s, 4.9);
	ps_state(s, TCP_TIME_WAIT);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_peer_closes_first, "RFC 9293 3.6")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	ps_state(s, TCP_CLOSE_WAIT);
	ps_tcp_eof(s);
	PS_EQ(s, ps_tcp_send(s, 10), 10); /* the other half is still open */
	ps_out(s, "+0 P. 1:11(10) ack 2");
	ps_in(s, "+.01 . 2:2(0) ack 11");
	ps_shutdown(s);
	ps_out(s, "+0 F. 11:11(0) ack 2");
	ps_state(s, TCP_LAST_ACK);
	ps_in(s, "+.01 . 2:2(0) ack 12");
	ps_state(s, TCP_CLOSE);
	ps_tcp_eof(s);
	ps_error(s, 0);
}

PKT_TEST(tcp_half_closed_still_receives, "RFC 9293 3.6, RFC 1122 4.2.2.13")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=1000");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 100); /* the application holds the zocket: FIN-WAIT-2 has no end */
	ps_in(s, "+0 P. 1:501(500) ack 2");
	ps_out(s, "+0~+.041 . 2:2(0) ack 501");
	ps_tcp_recv(s, 500);
	ps_in(s, "+.05 FP. 501:511(10) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 512");
	ps_tcp_recv(s, 10);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_simultaneous_close, "RFC 9293 figure 13")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSING);
	ps_tcp_eof(s);
	ps_in(s, "+.01 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	ps_silence(s, 5.1);
	ps_state(s, TCP_CLOSE);
	ps_error(s, 0);
}

PKT_TEST(tcp_free_closes_in_the_background, "guide 11.10.2.5")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=5000");
	struct zf_stack *st = ps_stack(s);

	PS_EQ(s, zf_stack_is_quiescent(st), 0);
	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_tcp_free(s);
	ps_out(s, "+0 F. 101:101(0) ack 1");
	PS_EQ(s, zf_stack_is_quiescent(st), 0);
	ps_in(s, "+.01 . 1:1(0) ack 102");
	ps_in(s, "+.01 F. 1:1(0) ack 102");
	ps_out(s, "+0 . 102:102(0) ack 2");
	PS_OK(s, zf_stack_is_quiescent(st) != 0); /* but for TIME-WAIT, which does not count */
}

PKT_TEST(tcp_free_with_unread_data_resets, "RFC 1122 4.2.2.13")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_tcp_free(s);
	ps_out(s, "+0 R. 1:1(0) ack 101");
	PS_OK(s, zf_stack_is_quiescent(ps_stack(s)) != 0);
}

PKT_TEST(tcp_data_after_free_is_reset, "RFC 1122 4.2.2.13")
{
	struct ps *s = ps_established();

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 P. 1:101(100) ack 2");
	ps_out(s, "+0 R. 2:2(0) ack 1");
	PS_OK(s, zf_stack_is_quiescent(ps_stack(s)) != 0);
}

PKT_TEST(tcp_finwait2_of_a_freed_zocket_ends, "attribute tcp_finwait_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=3000");

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 2.9);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, .2);
	PS_OK(s, zf_stack_is_quiescent(ps_stack(s)) != 0);
}

PKT_TEST(tcp_simultaneous_open, "RFC 9293 figure 7")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460,*>");
	ps_state(s, TCP_SYN_RECV);
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

/* The peer's SYN-ACK crosses ours, as the figure has it. */
PKT_TEST(tcp_simultaneous_open_by_syn_acks, "RFC 9293 figure 7")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460,*>");
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_state(s, TCP_ESTABLISHED);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
}

PKT_TEST(tcp_refused, "RFC 9293 3.10.7.3")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 R. 0:0(0) ack 1");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ECONNREFUSED);
	ps_tcp_end(s, -ECONNREFUSED);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	PS_EQ(s, ps_shutdown_rc(s), -ENOTCONN);
	ps_silence(s, 10);
	PS_OK(s, zf_stack_is_quiescent(ps_stack(s)) != 0);
}

PKT_TEST(tcp_syn_sent_ignores_forgeries, "RFC 9293 3.10.7.3")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+0 R 0:0(0)");         /* no acknowledgement */
	ps_in(s, "+0 R. 0:0(0) ack 2");  /* of what we have not sent */
	ps_in(s, "+0 R. 0:0(0) ack 0");
	ps_silence(s, .01);
	ps_in(s, "+0 S. 0:0(0) ack 2 <mss 1460>");
	ps_out(s, "+0 R 2:2(0)");
	ps_in(s, "+0 . 1:1(0) ack 0");
	ps_out(s, "+0 R 0:0(0)");
	ps_in(s, "+0 F 0:0(0)");         /* neither SYN nor RST */
	ps_silence(s, .01);
	ps_state(s, TCP_SYN_SENT);
	ps_in(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_syn_is_repeated_until_it_times_out, "RFC 6298 5, attribute tcp_syn_retries")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_retries=3");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+1 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+2 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+4 S 0:0(0) <mss 1460,*>");
	ps_silence(s, 7.9);
	ps_state(s, TCP_SYN_SENT);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
	ps_error(s, ETIMEDOUT);
	ps_tcp_end(s, -ETIMEDOUT);
}

PKT_TEST(tcp_syn_is_repeated_and_answered, "RFC 6298 5.7")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+1 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.5 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+3 P. 1:11(10) ack 1"); /* not 1 s: the timer knows that it was wrong once */
}

PKT_TEST(tcp_syn_ack_is_repeated, "attribute tcp_synack_retries")
{
	struct ps *s = ps_open(.attrs = "tcp_synack_retries=2");
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_out(s, "+1 S. 0:0(0) ack 1 <*>");
	ps_out(s, "+2 S. 0:0(0) ack 1 <*>");
	ps_silence(s, 10);
	ps_accept_none(s, tl);
	PS_OK(s, zf_stack_is_quiescent(ps_stack(s)) != 0);
}

PKT_TEST(tcp_syn_again_gets_the_same_answer, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+.3 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+.1 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_reset_of_a_half_open_connection, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+.1 R 1:1(0)");
	ps_silence(s, 5);
	ps_accept_none(s, tl);
}

PKT_TEST(tcp_reset_at_rcv_nxt, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_in(s, "+.05 R 101:101(0)");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ECONNRESET);
	ps_tcp_recv(s, 100); /* what came before is not lost */
	ps_tcp_end(s, -ECONNRESET);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	PS_EQ(s, zft_get_mss(ps_zft(s)), -ENOTCONN);
}

PKT_TEST(tcp_rst_in_window_is_challenged, "RFC 5961 3.2")
{
	struct ps *s = ps_established(.rcv_wnd = 65535);

	ps_in(s, "+.01 R  1001:1001(0)");       /* inside the window, not at its edge */
	ps_out(s, "+0  .  1:1(0) ack 1");       /* challenge ACK, nothing else */
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 R  1:1(0)");             /* exactly rcv_nxt */
	ps_error(s, ECONNRESET);
}

PKT_TEST(tcp_rst_outside_the_window_is_ignored, "RFC 5961 3.2")
{
	struct ps *s = ps_established(.rcv_wnd = 10000);

	ps_in(s, "+.01 R 0:0(0)");
	ps_in(s, "+0 R 10001:10001(0)");
	ps_in(s, "+0 R 1000000:1000000(0)");
	ps_silence(s, 1);
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+0 R. 1:1(0) ack 1");
	ps_error(s, ECONNRESET);
}

PKT_TEST(tcp_syn_in_window_is_challenged, "RFC 5961 4.2")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 S 1001:1001(0) <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_strangers_are_reset, "RFC 9293 3.10.7.1")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 R. =0:0(0) ack 1");
	ps_in(s, "+0 S 0:10(10) sport 2001");
	ps_out(s, "+0 R. =0:0(0) ack 11 dport 2001");
	ps_in(s, "+0 . 1:1(0) ack 5 sport 2002");
	ps_out(s, "+0 R 5:5(0) dport 2002");
	ps_in(s, "+0 P. 1:101(100) ack 7 sport 2003");
	ps_out(s, "+0 R 7:7(0) dport 2003");
	ps_in(s, "+0 F 1:1(0) sport 2004");
	ps_out(s, "+0 R. =0:0(0) ack 2 dport 2004");
	ps_in(s, "+0 R 1:1(0) sport 2005");
	ps_in(s, "+0 R. 1:1(0) ack 5 sport 2006");
	ps_count(s, RX_DROP_TCP_NO_PORT, 7);
	ps_count(s, TCP_RST_SENT, 5);
}

PKT_TEST(tcp_listener_resets_acknowledgements, "RFC 9293 3.10.7.2")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=0");
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 . 1:1(0) ack 5");
	ps_out(s, "+0 R 5:5(0)");
	ps_in(s, "+0 S. 0:0(0) ack 5 <mss 1460>");
	ps_out(s, "+0 R 5:5(0)");
	ps_in(s, "+0 R 0:0(0)");
	ps_in(s, "+0 F 0:0(0)");
	ps_silence(s, 1);
	ps_accept_none(s, tl);
}

PKT_TEST(tcp_listener_freed_resets_who_waits, "guide 11.10.2.22")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_in(s, "+0 S 0:0(0) sport 2001 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2001 <*>");
	ps_listen_free(s, tl);
	ps_out(s, "+0 R. 1:1(0) ack 1 dport 2001"); /* the half-open one */
	ps_out(s, "+0 R. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1 sport 2001");
	ps_out(s, "+0 R 1:1(0) dport 2001");
	ps_silence(s, 10);
	ps_listen(s, "us:1000"); /* at once, guide-decisions */
	ps_in(s, "+0 S 0:0(0) sport 2002 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2002 <*>");
}

PKT_TEST(tcp_accepted_outlives_its_listener, "guide 11.10.2.22")
{
	struct ps *s = ps_established(.passive = true);

	ps_listen_free(s, ps_zftl(s));
	ps_silence(s, 1);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_data_is_retransmitted_until_it_times_out, "RFC 6298 5, attribute tcp_retries")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=2", .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_out(s, "+.3 P. 1:101(100) ack 1"); /* 0.1 + 4 * 0.05 */
	ps_out(s, "+.6 P. 1:101(100) ack 1");
	ps_silence(s, 1.1);
	ps_state(s, TCP_ESTABLISHED);
	ps_out(s, "+.1 R. 101:101(0) ack 1");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ETIMEDOUT);
	ps_tcp_end(s, -ETIMEDOUT);
}

PKT_TEST(tcp_fin_is_retransmitted, "RFC 9293 3.6")
{
	struct ps *s = ps_established(.rtt = .1);

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_out(s, "+.3 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 10);
	ps_state(s, TCP_FIN_WAIT2);
}

PKT_TEST(tcp_listen_errors, "guide 11.10.2.24")
{
	struct ps *s = ps_open(.attrs = "max_tcp_listen_endpoints=2");
	struct sockaddr_in a = ps_addr(s, "us:1000");
	struct zf_attr *attr;
	struct zftl *tl = NULL;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zftl_listen(ps_stack(s), NULL, sizeof(a), attr, &tl), -EFAULT);
	PS_EQ(s, zftl_listen(ps_stack(s), (struct sockaddr *)&a, sizeof(a) - 1, attr, &tl), -EINVAL);
	a.sin_family = AF_INET6;
	PS_EQ(s, zftl_listen(ps_stack(s), (struct sockaddr *)&a, sizeof(a), attr, &tl), -EAFNOSUPPORT);
	PS_OK(s, tl == NULL);
	zf_attr_free(attr);
	PS_EQ(s, ps_listen_rc(s, "any:1000", NULL), -EOPNOTSUPP);
	PS_EQ(s, ps_listen_rc(s, "peer:1000", NULL), -EADDRNOTAVAIL);
	PS_EQ(s, ps_listen_rc(s, "us:1000", NULL), 0);
	PS_EQ(s, ps_listen_rc(s, "us:1000", NULL), -EADDRINUSE);
	PS_EQ(s, ps_listen_rc(s, "us:1001", &tl), 0);
	PS_EQ(s, ps_listen_rc(s, "us:1002", NULL), -ENOBUFS);
	ps_listen_free(s, tl);
	PS_EQ(s, ps_listen_rc(s, "us:1001", NULL), 0);
}

PKT_TEST(tcp_listener_of_an_ephemeral_port, "guide 11.10.2.23")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:0");
	struct sockaddr_in a = {0};
	socklen_t n = sizeof(a), small = 4;

	zftl_getname(tl, (struct sockaddr *)&a, &n);
	PS_EQ(s, n, sizeof(a));
	PS_OK(s, ntohs(a.sin_port) != 0);
	PS_EQ(s, ntohl(a.sin_addr.s_addr), 0xc0000201);
	memset(&a, 0x5a, sizeof(a));
	zftl_getname(tl, (struct sockaddr *)&a, &small);
	PS_EQ(s, small, sizeof(a));
	PS_EQ(s, a.sin_family, AF_INET);
	PS_EQ(s, a.sin_addr.s_addr, 0x5a5a5a5a);
}

PKT_TEST(tcp_bind_errors, "guide 11.10.2.1")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=2");
	struct sockaddr_in a = ps_addr(s, "us:1000");
	struct zft_handle *h = ps_handle(s), *g = ps_handle(s), *none = NULL;
	struct zf_attr *attr;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zft_alloc(ps_stack(s), attr, &none), -ENOBUFS);
	zf_attr_free(attr);
	PS_OK(s, none == NULL);
	PS_EQ(s, zft_addr_bind(h, NULL, sizeof(a), 0), -EFAULT);
	PS_EQ(s, zft_addr_bind(h, (struct sockaddr *)&a, sizeof(a) - 1, 0), -EINVAL);
	PS_EQ(s, zft_addr_bind(h, (struct sockaddr *)&a, sizeof(a), 1), -EINVAL);
	a.sin_family = AF_UNIX;
	PS_EQ(s, zft_addr_bind(h, (struct sockaddr *)&a, sizeof(a), 0), -EAFNOSUPPORT);
	PS_EQ(s, ps_tcp_bind(s, h, "any:1000"), -EINVAL);
	PS_EQ(s, ps_tcp_bind(s, h, "peer:1000"), -EADDRNOTAVAIL);
	PS_EQ(s, ps_tcp_bind(s, h, "us:1000"), 0);
	PS_EQ(s, ps_tcp_bind(s, h, "us:1001"), -EINVAL);
	PS_EQ(s, ps_tcp_bind(s, g, "us:1000"), -EADDRINUSE);
	PS_EQ(s, ps_listen_rc(s, "us:1000", NULL), -EADDRINUSE);
	ps_handle_free(s, h);
	PS_EQ(s, ps_tcp_bind(s, g, "us:1000"), 0);
}

PKT_TEST(tcp_connect_errors, "guide 11.10.2.3")
{
	struct ps *s = ps_open(.gateway = "");
	struct zft_handle *h = ps_handle(s);
	struct sockaddr_in a = ps_addr(s, "peer:2000");
	struct zft *ts = NULL;

	PS_EQ(s, zft_connect(h, NULL, sizeof(a), &ts), -EFAULT);
	PS_EQ(s, zft_connect(h, (struct sockaddr *)&a, sizeof(a) - 1, &ts), -EINVAL);
	a.sin_family = AF_INET6;
	PS_EQ(s, zft_connect(h, (struct sockaddr *)&a, sizeof(a), &ts), -EAFNOSUPPORT);
	PS_EQ(s, ps_connect_rc(s, h, "any:2000"), -EINVAL);
	PS_EQ(s, ps_connect_rc(s, h, "peer:0"), -EINVAL);
	PS_EQ(s, ps_connect_rc(s, h, "239.1.1.1:2000"), -EINVAL);
	PS_EQ(s, ps_connect_rc(s, h, "ones:2000"), -EINVAL);
	PS_EQ(s, ps_connect_rc(s, h, "bcast:2000"), -EINVAL);
	PS_EQ(s, ps_connect_rc(s, h, "far:2000"), -EHOSTUNREACH);
	PS_OK(s, ts == NULL);
	PS_EQ(s, ps_tcp_bind(s, h, "us:1000"), 0); /* the handle is as it was */
	PS_EQ(s, ps_connect_rc(s, h, "peer:2000"), 0);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_state(s, TCP_SYN_SENT);
}
