/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP listeners under pressure and under attack: the SYN cache, cookies, and what a half-open connection takes to end
 * (RFC 9293 3.10.7.4, RFC 5961, RFC 4987; hostile-inputs 30). The cache alone is in test/unit/test_tcp_syn.c.
 */
#include "pkt/ps_zft.h"

#define OPTS "<mss 1460,nop,nop,sackOK,nop,wscale 7>"

PKT_TEST(tcp_syn_again_gets_the_same_answer, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) " OPTS);
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_in(s, "+.3 S 0:0(0) " OPTS);
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	/* The timer goes on as if nothing had been. */
	ps_out(s, "+.7 S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_half_open_reset_at_the_edge, "RFC 5961 3.2")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 R 2:2(0)");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 R 70000:70000(0)");
	ps_silence(s, .1);
	ps_in(s, "+0 R 1:1(0)");
	ps_silence(s, 10);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_accept_none(s, ps_zftl(s));
}

PKT_TEST(tcp_half_open_refuses_what_is_not_its_own, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 70000:70000(0) ack 1"); /* outside of the window */
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 S. 5:5(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 2"); /* acknowledges what was never sent */
	ps_out(s, "+0 R 2:2(0)");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
}

PKT_TEST(tcp_synack_timeout_is_silent, "attribute tcp_synack_retries")
{
	struct ps *s = ps_open(.attrs = "tcp_synack_retries=1;tcp_rto_initial_ms=300");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+.3 S. 0:0(0) ack 1 <mss 1460>");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, .7);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_count(s, TCP_SYNACK_RETRANS, 1);
	ps_count(s, TCP_SYN_TIMEOUT, 1);
	/* Whoever answers now is a stranger. */
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_out(s, "+0 R 1:1(0)");
}

PKT_TEST(tcp_full_cache_evicts, "attribute tcp_syn_cookies=0")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=0;max_tcp_syn_backlog=1");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) sport 2001 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2001 <mss 1460>");
	ps_in(s, "+0 S 0:0(0) sport 2002 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2002 <mss 1460>");
	ps_count(s, TCP_SYN_CACHE_FULL, 1);
	ps_count(s, TCP_SYN_EVICTED, 1);
	ps_in(s, "+0 . 1:1(0) ack 1 sport 2001");
	ps_out(s, "+0 R 1:1(0) dport 2001");
	ps_in(s, "+0 . 1:1(0) ack 1 sport 2002");
	ps_accept(s, ps_zftl(s));
}

PKT_TEST(tcp_cookie_makes_a_connection, "RFC 4987 3.6")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=2;tcp_timestamps=2");

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>");
	/* No timestamps: there is no room for them in a cookie. */
	ps_out(s, "+0 S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	/* Nothing is kept: no timer, and the stack may sleep. */
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_silence(s, 5);
	ps_in(s, "+0 P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_count(s, TCP_COOKIES_SENT, 1);
	ps_count(s, TCP_COOKIES_OK, 1);
	ps_accept(s, ps_zftl(s));
	ps_tcp_recv(s, 100);
	PS_EQ(s, zft_get_mss(ps_zft(s)), 1460);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 101");
	ps_in(s, "+0 . 101:101(0) ack 11");
}

PKT_TEST(tcp_wrong_cookie_is_reset, "RFC 4987 3.6")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=2");

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	ps_in(s, "+0 . 1:1(0) ack 1 sport 2001");
	ps_out(s, "+0 R 1:1(0) dport 2001");
	ps_count(s, TCP_COOKIES_BAD, 0); /* none was given: none is looked at */
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 2");
	ps_out(s, "+0 R 2:2(0)");
	ps_count(s, TCP_COOKIES_BAD, 1);
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
}

PKT_TEST(tcp_no_zocket_puts_the_handshake_off, "issue 3.1: limits recover")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=1");
	struct zft_handle *h = ps_handle(s); /* the only one */

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept_none(s, ps_zftl(s));
	ps_count(s, TCP_ACCEPT_FULL, 1);
	ps_out(s, "+1 S. 0:0(0) ack 1 <mss 1460>");
	ps_handle_free(s, h);
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
}

PKT_TEST(tcp_listener_freed_under_half_open, "RFC 9293 3.10.4")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_listen_free(s, tl);
	ps_out(s, "+0 R. 1:1(0) ack 1");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	/* The address is free at once. */
	tl = ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, tl);
}

PKT_TEST(tcp_ecn_is_agreed_on_by_a_listener, "RFC 3168 6.1.1")
{
	struct ps *s = ps_open(.attrs = "tcp_ecn=1");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 SEW 0:0(0) <mss 1460>");
	ps_out(s, "+0 SE. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+.2 S 0:0(0) <mss 1460>"); /* the peer has lost its faith */
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
}
