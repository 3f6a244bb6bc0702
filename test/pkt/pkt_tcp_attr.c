/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The attributes of TCP, each by what it changes on the wire. Some have their script elsewhere: tcp_cc and tcp_ecn in
 * pkt_tcp_cc.c, tcp_syn_cookies in pkt_tcp_syn.c, tcp_rx_window in pkt_tcp_wnd.c. lib/core/attr.def names them all.
 */
#include <errno.h>

#include "pkt/pkt_tcp_segs.h"

PKT_TEST(tcp_dscp_of_all_segments, "RFC 9293 MUST-48, attribute tcp_dscp")
{
	struct ps *s = ps_open(.attrs = "tcp_dscp=46");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 [ip tos 0xb8] S. 0:0(0) ack 1 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 [ip tos 0xb8] P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	ps_in(s, "+0 . 1:1(0) ack 11 sport 7");
	ps_out(s, "+0 [ip tos 0xb8] R 11:11(0) dport 7"); /* to strangers too */
	ps_connect_to(s, "us:1001", "peer:2001");
	ps_out(s, "+0 [ip tos 0xb8] S 0:0(0) <mss 1460,*>");
}

PKT_TEST(tcp_dscp_and_ecn, "RFC 3168 5, attributes tcp_dscp, tcp_ecn")
{
	struct ps *s = ps_open(.attrs = "tcp_dscp=46;tcp_ecn=1");

	ps_connect(s);
	ps_out(s, "+0 [ip tos 0xb8] SEW 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 SE. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 [ip tos 0xb8] . 1:1(0) ack 1");
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 [ip tos 0xba] P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(tcp_initial_timeout, "RFC 6298 2.1, attribute tcp_rto_initial_ms")
{
	struct ps *s = ps_open(.attrs = "tcp_rto_initial_ms=2500;tcp_syn_retries=2");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+2.5 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+5 S 0:0(0) <mss 1460,*>");
	ps_silence(s, 9.9);
	ps_state(s, TCP_SYN_SENT);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
	ps_error(s, ETIMEDOUT);
	ps_tcp_end(s, -ETIMEDOUT);
}

PKT_TEST(tcp_initial_timeout_by_default, "RFC 6298 2.1")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+1 S 0:0(0) <mss 1460,*>");
	ps_out(s, "+2 S 0:0(0) <mss 1460,*>");
}

PKT_TEST(tcp_least_timeout, "RFC 6298 2.4, attribute tcp_rto_min_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_rto_min_ms=700", .rtt = .001);

	PS_EQ(s, ps_probe(s)->rto_ns, 700000000);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+.7 P. 1:11(10) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 11");
}

/* Decided: 200 ms, as Linux has it, not RFC 6298's second. */
PKT_TEST(tcp_least_timeout_by_default, "RFC 6298 2.4, guide-decisions: RTO floor")
{
	struct ps *s = ps_established(.rtt = .0001);

	PS_EQ(s, ps_probe(s)->rto_ns, 200000000);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+.2 P. 1:11(10) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 11");
}

PKT_TEST(tcp_greatest_timeout, "RFC 6298 2.5, 5.5, attribute tcp_rto_max_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_rto_max_ms=1000;tcp_retries=6", .rtt = .1);
	static const double at[] = {.3, .6, 1, 1, 1, 1};

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	for (unsigned i = 0; i < 6; i++)
		ps_out(s, "+%f P. 1:11(10) ack 1", at[i]);
	ps_out(s, "+1 R. 11:11(0) ack 1");
	ps_error(s, ETIMEDOUT);
}

PKT_TEST(tcp_greatest_timeout_by_default, "RFC 6298 2.5")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=15", .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	PS_EQ(s, ps_ignore(s, 154), 10); /* .3, .6, ... 76.8 */
	ps_out(s, "+* P. 1:11(10) ack 1");
	ps_out(s, "+120 P. 1:11(10) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 11");
}

PKT_TEST(tcp_no_syn_retries, "attribute tcp_syn_retries")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_retries=0");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_silence(s, 1.1);
	ps_error(s, ETIMEDOUT);
}

PKT_TEST(tcp_no_synack_retries, "attribute tcp_synack_retries")
{
	struct ps *s = ps_open(.attrs = "tcp_synack_retries=0");

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_silence(s, 1.1);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_no_retries, "attribute tcp_retries")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=0", .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+.3 R. 11:11(0) ack 1");
	ps_error(s, ETIMEDOUT);
}

static void
offers(const char *attrs, const char *syn)
{
	struct ps *s = ps_open(.attrs = attrs);

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) %s", syn);
}

PKT_TEST(tcp_options_of_a_syn, "issue 3.2, attribute tcp_timestamps=0")
{
	offers("tcp_timestamps=0", "<mss 1460,nop,nop,sackOK,nop,wscale 3>");
}

PKT_TEST(tcp_options_of_a_syn_if_the_peer_asks, "attribute tcp_timestamps=1")
{
	offers("tcp_timestamps=1", "<mss 1460,nop,nop,sackOK,nop,wscale 3>");
}

PKT_TEST(tcp_options_of_a_syn_with_timestamps, "issue 3.2, attribute tcp_timestamps=2")
{
	offers("tcp_timestamps=2", "<mss 1460,sackOK,TS val * ecr 0,nop,wscale 3>");
}

static void
answers(const char *attrs, const char *syn, const char *syn_ack)
{
	struct ps *s = ps_open(.attrs = attrs);

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) %s", syn);
	ps_out(s, "+0 S. 0:0(0) ack 1 %s", syn_ack);
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
}

#define ALL "<mss 1460,sackOK,TS val 9 ecr 0,nop,wscale 7>"

PKT_TEST(tcp_options_of_a_syn_ack, "issue 3.2, attribute tcp_timestamps=0")
{
	answers("tcp_timestamps=0", ALL, "<mss 1460,nop,nop,sackOK,nop,wscale 3>");
}

PKT_TEST(tcp_options_of_a_syn_ack_if_the_peer_asks, "attribute tcp_timestamps=1")
{
	answers("tcp_timestamps=1", ALL, "<mss 1460,sackOK,TS val * ecr 9,nop,wscale 3>");
}

PKT_TEST(tcp_options_of_a_syn_ack_with_timestamps, "attribute tcp_timestamps=2")
{
	answers("tcp_timestamps=2", ALL, "<mss 1460,sackOK,TS val * ecr 9,nop,wscale 3>");
}

PKT_TEST(tcp_options_one_by_one, "RFC 7323 2.2, 3.2, RFC 2018 2")
{
	answers("tcp_timestamps=1", "<mss 1460,nop,wscale 7>", "<mss 1460,nop,wscale 3>");
}

PKT_TEST(tcp_keepalive_is_off, "RFC 9293 MUST-24, attribute tcp_keepalive=0")
{
	struct ps *s = ps_established();

	ps_silence(s, 4 * 7200);
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_keepalive_after_two_hours, "RFC 9293 MUST-28, attributes tcp_keepalive, tcp_keepalive_time_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_keepalive=1");

	ps_in(s, "+3600 P. 1:11(10) ack 1"); /* idle begins here */
	ps_out(s, "+0~+.041 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
	ps_silence(s, 7199.9);
	ps_out(s, "+0~+.2 . 0:0(0) ack 11");
	ps_in(s, "+.1 . 11:11(0) ack 1");
	ps_silence(s, 7199.9);
	ps_out(s, "+0~+.2 . 0:0(0) ack 11");
	ps_out(s, "+75 . 0:0(0) ack 11");
	ps_in(s, "+.1 . 11:11(0) ack 1");
}

PKT_TEST(tcp_keepalive_probe_that_gets_lost, "RFC 9293 MUST-29, attributes tcp_keepalive_probes, ..._intvl_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_keepalive=1;tcp_keepalive_time_ms=60000;tcp_keepalive_intvl_ms=1000;"
					       "tcp_keepalive_probes=3");

	for (unsigned i = 0; i < 3; i++) {
		ps_out(s, "+60 . 0:0(0) ack 1");
		ps_out(s, "+1 . 0:0(0) ack 1");
		ps_out(s, "+1 . 0:0(0) ack 1");
		ps_in(s, "+.5 . 1:1(0) ack 1"); /* the last one is answered */
		ps_state(s, TCP_ESTABLISHED);
	}
}

PKT_TEST(tcp_keepalive_waits_for_retransmissions, "RFC 9293 MUST-27, attribute tcp_keepalive")
{
	struct ps *s = ps_established(.attrs = "tcp_keepalive=1;tcp_keepalive_time_ms=1000;tcp_keepalive_intvl_ms=1000;"
					       "tcp_keepalive_probes=2;tcp_retries=6", .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	for (unsigned i = 0; i < 6; i++)
		ps_out(s, "+%f P. 1:11(10) ack 1", .3 * (1 << i));
	ps_in(s, "+.1 . 1:1(0) ack 11");
	ps_out(s, "+.5~+1.5 . 10:10(0) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 11");
}

PKT_TEST(tcp_timewait_counts_if_asked, "attribute tcp_wait_for_time_wait")
{
	struct ps *s = ps_established(.attrs = "tcp_wait_for_time_wait=1;tcp_timewait_ms=5000");

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_silence(s, 4.9);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, .2);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_timewait_by_default, "attribute tcp_timewait_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=60000");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_silence(s, 59.9);
	ps_state(s, TCP_TIME_WAIT);
	ps_silence(s, .2);
	ps_state(s, TCP_CLOSE);
}

PKT_TEST(tcp_no_timewait, "attribute tcp_timewait_ms=0")
{
	struct ps *s = ps_established(.attrs = "tcp_timewait_ms=0");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_CLOSE);
	ps_tcp_eof(s);
	ps_error(s, 0);
}

PKT_TEST(tcp_finwait_without_end, "attribute tcp_finwait_ms=0")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=0");

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 100000);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_in(s, "+.01 R 1:1(0)");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_longest_delay_of_an_ack, "RFC 9293 MUST-40, attribute tcp_delack_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_delack_ms=500");

	ps_in(s, "+.1 P. 1:11(10) ack 1");
	ps_silence(s, .49);
	ps_out(s, "+0~+.02 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
}

PKT_TEST(tcp_delay_of_an_ack_by_default, "RFC 5681 4.2, attribute tcp_delayed_ack=1")
{
	struct ps *s = ps_established();

	ps_in(s, "+.1 P. 1:11(10) ack 1");
	ps_silence(s, .039);
	ps_out(s, "+0~+.002 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
}

/* The same frames, see the modes `slow`; here, that there is a fast path and that it can be switched off. */
PKT_TEST_IN(tcp_fast_path_is_taken, "issue 3.3, attribute tcp_fast_path",
	    PS_MODE(PS_RX_JUDGED) | PS_MODE(PS_WRAP))
{
	struct ps *s = ps_established();

	PS_OK(s, ps_probe(s)->fast_send && ps_probe(s)->fast_recv);
	ps_in(s, "+.1 P. 1:11(10) ack 1");
	ps_count(s, TCP_CUT_THROUGH, 1);
	ps_out(s, "+0~+.041 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
}

PKT_TEST(tcp_fast_path_switched_off, "issue 3.3, attribute tcp_fast_path=0")
{
	struct ps *s = ps_established(.attrs = "tcp_fast_path=0");

	PS_OK(s, !ps_probe(s)->fast_send && !ps_probe(s)->fast_recv);
	ps_in(s, "+.1 P. 1:11(10) ack 1");
	ps_count(s, TCP_CUT_THROUGH, 0);
	ps_out(s, "+0~+.041 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
}

/* All zockets in use: who connects now is not lost, nor is a listener's half-open connection. */
PKT_TEST(tcp_zockets_run_out, "issue 3.1, attribute max_tcp_endpoints")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=2");
	struct zft_handle *h = ps_handle(s), *none = NULL;
	struct zf_attr *attr;

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zft_alloc(ps_stack(s), attr, &none), -ENOBUFS);
	ps_handle_free(s, h);
	PS_EQ(s, zft_alloc(ps_stack(s), attr, &none), 0);
	PS_EQ(s, zft_handle_free(none), 0);
	ps_tcp_free(s);
	ps_ignore(s, 0);
	h = ps_handle(s);
	none = NULL;
	PS_EQ(s, zft_alloc(ps_stack(s), attr, &none), -ENOBUFS); /* it still closes */
	zf_attr_free(attr);
	PS_OK(s, none == NULL);
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_ignore(s, 0);
	(void)ps_handle(s); /* TIME-WAIT takes none */
}

PKT_TEST(tcp_listeners_run_out, "attribute max_tcp_listen_endpoints")
{
	struct ps *s = ps_open(.attrs = "max_tcp_listen_endpoints=1");
	struct zftl *tl = ps_listen(s, "us:1000");

	PS_EQ(s, ps_listen_rc(s, "us:1001", NULL), -ENOBUFS);
	ps_listen_free(s, tl);
	PS_EQ(s, ps_listen_rc(s, "us:1001", NULL), 0);
}

PKT_TEST(tcp_attribute_values_out_of_range, "guide-decisions: attributes")
{
	static const char *const bad[] = {"tcp_timestamps=3", "tcp_dscp=64", "tcp_delack_ms=501", "tcp_delack_ms=0",
					  "tcp_retries=256", "tcp_keepalive_probes=0", "tcp_rx_window=535",
					  "tcp_rto_min_ms=0", "max_tcp_endpoints=-1", "tcp_cc=vegas"};
	struct ps *s = ps_open();

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct zt *t = NULL;
		char attrs[128];

		ps_note(s, "%s", bad[i]);
		snprintf(attrs, sizeof(attrs), "interface=mem:bad/a;ipv4=198.51.100.1/24;n_bufs=64;%s", bad[i]);
		PS_EQ(s, zt_open(&t, attrs), -EINVAL);
	}
}

/* Without timestamps: what was sent again by a timeout arrived twice. */
PKT_TEST(tcp_dsack_takes_a_timeout_back, "RFC 2883, RFC 4015 (F-RTO of RFC 5682 is not done)")
{
	struct ps *s = ps_established(.attrs = "tcp_cc=newreno", .peer_mss = 1000, .peer_sack = true, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 10000, MSG_MORE), 10000);
	segs(s, 0, 10);
	ps_out(s, "+.2 . 9001:10001(1000) ack 1"); /* probe */
	ps_out(s, "+* . 1:1001(1000) ack 1");      /* and timeout */
	PS_EQ(s, ps_probe(s)->cwnd, 1000);
	ps_in(s, "+.001 . 1:1(0) ack 10001");      /* everything was on its way */
	ps_in(s, "+.1 . 1:1(0) ack 10001 <nop,nop,sack 9001:10001>");
	ps_in(s, "+.1 . 1:1(0) ack 10001 <nop,nop,sack 1:1001>");
	PS_EQ(s, ps_probe(s)->cwnd, 10000);
	PS_OK(s, ps_probe(s)->ssthresh > 10000);
}

/* 50 days: the milliseconds of timestamps wrap, and what the peer said last is too old to judge by. */
PKT_TEST_IN(tcp_clock_of_timestamps_wraps, "RFC 7323 5.4, 5.5", PS_TCP_NORMAL)
{
	struct ps *s = ps_established(.peer_ts = true, .peer_sack = true);

	for (unsigned day = 0; day < 52; day += 13) {
		ps_in(s, "+.01 P. %u:%u(10) ack %u", 1 + 10 * (day / 13), 11 + 10 * (day / 13), 1 + 10 * (day / 13));
		ps_ignore(s, .05);
		ps_tcp_recv(s, 10);
		PS_EQ(s, ps_tcp_send(s, 10), 10);
		ps_ignore(s, 0);
		ps_in(s, "+.01 . %u:%u(0) ack %u", 11 + 10 * (day / 13), 11 + 10 * (day / 13), 11 + 10 * (day / 13));
		PS_EQ(s, ps_probe(s)->flight, 0);
		ps_silence(s, 13 * 86400.);
	}
}
