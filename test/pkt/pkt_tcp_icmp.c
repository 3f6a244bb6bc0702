/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP errors about TCP segments: which are believed, what they end, what they only tell, and what they do to the size of
 * segments (RFC 9293 3.9.2.2, RFC 5927, RFC 1191; hostile-inputs 22, 23). ICMP itself is in pkt_icmp.c.
 */
#include <errno.h>

#include "pkt/ps_zft.h"

PKT_TEST(tcp_icmp_port_unreachable_refuses, "RFC 9293 SHLD-26")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 icmp unreachable port [S 0:0(0)]");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ECONNREFUSED);
	ps_tcp_end(s, -ECONNREFUSED);
	ps_silence(s, 10);
	ps_count(s, TCP_ICMP, 1);
	/* A router's word counts as well. */
	ps_connect_to(s, "us:1001", "peer:2000");
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 [ip src gw] icmp unreachable proto [S 0:0(0)]");
	ps_error(s, ECONNREFUSED);
}

PKT_TEST(tcp_icmp_ends_a_simultaneous_open, "RFC 9293 SHLD-26")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+.01 icmp unreachable port [S. 0:0(0) ack 1]");
	ps_error(s, ECONNREFUSED);
}

PKT_TEST(tcp_icmp_is_only_told_while_connecting, "RFC 9293 MUST-47, MUST-56, SHLD-25")
{
	static const struct {
		const char *what;
		int error;
	} soft[] = {
		{"unreachable net", ENETUNREACH},      {"unreachable host", EHOSTUNREACH}, {"unreachable srcroute", EHOSTUNREACH},
		{"exceeded ttl", EHOSTUNREACH},        {"exceeded reass", EHOSTUNREACH},   {"param problem ptr 0", EHOSTUNREACH},
		{"unreachable admin", EHOSTUNREACH},
	};
	struct ps *s = ps_open();

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(soft); i++) {
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 1100 + i);
		ps_connect_to(s, local, "peer:2000");
		ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
		ps_error(s, 0);
		ps_in(s, "+.01 [ip src gw] icmp %s [S 0:0(0)]", soft[i].what);
		ps_state(s, TCP_SYN_SENT);
		ps_error(s, soft[i].error);
		ps_tcp_recv_none(s);
		ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
		ps_out(s, "+0 . 1:1(0) ack 1");
		ps_state(s, TCP_ESTABLISHED);
		ps_error(s, 0); /* it was not true for long */
	}
}

PKT_TEST(tcp_icmp_tells_why_nobody_answers, "RFC 9293 MUST-47")
{
	struct ps *s = ps_open(.attrs = "tcp_syn_retries=1");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 [ip src gw] icmp unreachable host [S 0:0(0)]");
	ps_out(s, "+.99 S 0:0(0) <mss 1460,*>");
	ps_silence(s, 2.1);
	ps_state(s, TCP_CLOSE);
	ps_error(s, EHOSTUNREACH);
	ps_tcp_end(s, -EHOSTUNREACH);
}

/* An established connection outlives all of them (RFC 5927 5.2); those that would be hard too. */
PKT_TEST(tcp_icmp_ends_no_connection, "RFC 9293 MUST-56, SHLD-25, RFC 5927 5.2")
{
	static const char *const all[] = {"unreachable net",   "unreachable host", "unreachable proto", "unreachable port",
					  "unreachable srcroute", "unreachable admin", "exceeded ttl",  "exceeded reass",
					  "param problem ptr 5"};
	struct ps *s = ps_established(.rtt = .1);
	unsigned at = 1;

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(all); i++) {
		PS_EQ(s, ps_tcp_send(s, 100), 100);
		ps_out(s, "+0 P. %u:%u(100) ack 1", at, at + 100);
		ps_in(s, "+.001 [ip src gw] icmp %s [P. %u:%u(100) ack 1]", all[i], at, at + 100);
		ps_state(s, TCP_ESTABLISHED);
		PS_OK(s, zft_error(ps_zft(s)) != 0); /* the application may ask */
		at += 100;
		ps_in(s, "+.01 . 1:1(0) ack %u", at);
		ps_error(s, 0); /* and the network has recovered */
	}
	ps_count(s, TCP_ICMP, ZF_ARRAY_SIZE(all));
	PS_EQ(s, ps_probe(s)->lost, 0);
	ps_in(s, "+.01 P. 1:101(100) ack %u", at);
	ps_out(s, "+0~+.041 . %u:%u(0) ack 101", at, at);
	ps_tcp_recv(s, 100);
}

/* The application learns of a normal end as of a normal end, whatever was told on the way. */
PKT_TEST(tcp_icmp_leaves_no_error_behind, "RFC 9293 MUST-12")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.001 [ip src gw] icmp unreachable host [P. 1:101(100) ack 1]");
	ps_error(s, EHOSTUNREACH);
	ps_in(s, "+.001 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 101:101(0) ack 2");
	ps_shutdown(s);
	ps_out(s, "+0 F. 101:101(0) ack 2");
	ps_in(s, "+.01 . 2:2(0) ack 102");
	ps_state(s, TCP_CLOSE);
	ps_error(s, 0);
}

PKT_TEST(tcp_icmp_of_a_dead_path, "RFC 9293 MUST-47, RFC 5927")
{
	struct ps *s = ps_established(.rtt = .1, .attrs = "tcp_retries=1");

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.001 [ip src gw] icmp unreachable host [P. 1:101(100) ack 1]");
	ps_ignore(s, 5);
	ps_state(s, TCP_CLOSE);
	ps_error(s, ETIMEDOUT);
}

PKT_TEST(tcp_blind_icmp_has_no_effect, "RFC 5927 4, 114, MUST-54, hostile-inputs 23")
{
	static const uint32_t seqs[] = {0, 101, 102, 5000, 0x7fffffff, 0x80000001, 0xffffffff};
	static const char *const kinds[] = {"unreachable port", "unreachable host", "exceeded ttl", "unreachable frag mtu 600"};
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	for (unsigned k = 0; k < ZF_ARRAY_SIZE(kinds); k++)
		for (unsigned i = 0; i < ZF_ARRAY_SIZE(seqs); i++)
			ps_in(s, "+.001 [ip src gw] icmp %s [P. %u:%u(1460) ack 1]", kinds[k], seqs[i], seqs[i] + 1460);
	ps_count(s, TCP_ICMP, 0);
	ps_error(s, 0);
	ps_in(s, "+.01 . 1:1(0) ack 101");
	/* Nothing is in flight: nothing can have gone wrong. */
	for (unsigned k = 0; k < ZF_ARRAY_SIZE(kinds); k++) {
		ps_in(s, "+.001 [ip src gw] icmp %s [P. 1:101(100) ack 1]", kinds[k]);
		ps_in(s, "+.001 [ip src gw] icmp %s [P. 101:201(100) ack 1]", kinds[k]);
	}
	ps_count(s, TCP_ICMP, 0);
	ps_error(s, 0);
	PS_EQ(s, zft_get_mss(ps_zft(s)), 1460);
}

PKT_TEST(tcp_blind_icmp_does_not_stop_a_connect, "RFC 5927 4, MUST-54")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 icmp unreachable port [S 1:1(0)]");
	ps_in(s, "+.01 icmp unreachable port [S 4294967295:4294967295(0)]");
	ps_in(s, "+.01 icmp unreachable port [S 0:0(0) dport 2001]");
	ps_in(s, "+.01 icmp unreachable port [S 0:0(0) sport 1001]");
	ps_state(s, TCP_SYN_SENT);
	ps_error(s, 0);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
}

PKT_TEST(tcp_icmp_in_the_syn_cache, "RFC 5927 4, RFC 9293 SHLD-26")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+.01 icmp unreachable port [S. 5:5(0) ack 1]"); /* a guess */
	ps_in(s, "+.01 icmp unreachable host [S. 0:0(0) ack 1]");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_in(s, "+.01 icmp unreachable port [S. 0:0(0) ack 1]");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_silence(s, 5);
	ps_accept_none(s, ps_zftl(s));
}

PKT_TEST(tcp_icmp_after_the_end, "RFC 5927, hostile-inputs 22")
{
	struct ps *s = ps_established(.passive = true);

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	ps_state(s, TCP_TIME_WAIT);
	ps_in(s, "+.01 icmp unreachable port [F. 1:1(0) ack 1]");
	ps_in(s, "+.01 icmp unreachable frag mtu 600 [. 2:2(0) ack 2]");
	ps_state(s, TCP_TIME_WAIT);
	ps_in(s, "+.01 icmp unreachable port [. 2:2(0) ack 2 sport 1500]");
	ps_count(s, TCP_ICMP, 0);
}

PKT_TEST(tcp_source_quench_is_ignored, "RFC 9293 MUST-55, RFC 6633")
{
	struct ps *s = ps_established(.rtt = .1);
	uint32_t cwnd = ps_probe(s)->cwnd;

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 icmp quench now [P. 1:101(100) ack 1]");
	PS_EQ(s, ps_probe(s)->cwnd, cwnd);
	ps_error(s, 0);
	ps_in(s, "+.01 . 1:1(0) ack 101");
}

/* ---- path MTU ---- */

PKT_TEST(tcp_path_mtu_makes_segments_smaller, "RFC 1191, 136")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 2920), 2920);
	ps_out(s, "+0 . 1:1461(1460) ack 1");
	ps_out(s, "+0 P. 1461:2921(1460) ack 1");
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 1000 [. 1:1461(1460) ack 1]");
	ps_out(s, "+0 . 1:961(960) ack 1"); /* at once, not by its timer */
	ps_out(s, "+0 . 961:1461(500) ack 1");
	ps_out(s, "+0 . 1461:2421(960) ack 1");
	ps_out(s, "+0 P. 2421:2921(500) ack 1");
	PS_EQ(s, zft_get_mss(ps_zft(s)), 960);
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 1000 [. 1461:2921(1460) ack 1]"); /* the second one's */
	ps_silence(s, .01);
	ps_in(s, "+.1 . 1:1(0) ack 2921");
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 . 2921:3881(960) ack 1");
	ps_out(s, "+0 P. 3881:3921(40) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 3921");
	ps_error(s, 0); /* that is no error */
}

/* It is no congestion (RFC 1191 6.5). */
PKT_TEST(tcp_path_mtu_is_no_congestion, "RFC 1191 6.5")
{
	struct ps *s = ps_established(.rtt = .1);
	uint32_t cwnd = ps_probe(s)->cwnd;

	PS_EQ(s, ps_tcp_send(s, 2920), 2920);
	PS_EQ(s, ps_ignore(s, 0), 2);
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 1000 [. 1:1461(1460) ack 1]");
	PS_EQ(s, ps_ignore(s, 0), 4);
	PS_OK(s, ps_probe(s)->cwnd + 2 * 1460 >= cwnd);
	PS_EQ(s, ps_probe(s)->backoff, 0);
	ps_in(s, "+.05 . 1:1(0) ack 2921");
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
}

PKT_TEST(tcp_path_mtu_with_timestamps_and_sack, "RFC 1191, 136")
{
	struct ps *s = ps_established(.rtt = .1, .peer_ts = true, .peer_sack = true);

	PS_EQ(s, ps_tcp_send(s, 4344), 4344);
	PS_EQ(s, ps_ignore(s, 0), 3);
	/* The last one has arrived: it stays as it is. */
	ps_in(s, "+.01 . 1:1(0) ack 1 <nop,nop,TS val * ecr *,nop,nop,sack 2897:4345>");
	ps_in(s, "+.001 [ip src gw] icmp unreachable frag mtu 1000 [. 1:1449(1448) ack 1 <nop,nop,TS val 1 ecr 1>]");
	ps_out(s, "+0 . 1:949(948) ack 1");
	ps_out(s, "+0 . 949:1449(500) ack 1");
	ps_out(s, "+0 . 1449:2397(948) ack 1");
	ps_out(s, "+0 . 2397:2897(500) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 4345");
	PS_EQ(s, zft_get_mss(ps_zft(s)), 948);
}

PKT_TEST(tcp_path_mtu_of_absurd_size, "RFC 1191, 137, hostile-inputs 22")
{
	static const unsigned mtus[] = {1, 40, 41, 67, 68, 296, 551};
	struct ps *s = ps_established(.rtt = .1);

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(mtus); i++) {
		unsigned at = ps_probe(s)->snd_una, n;

		PS_EQ(s, ps_tcp_send(s, 3000), 3000);
		n = ps_ignore(s, 0);
		ps_in(s, "+.001 [ip src gw] icmp unreachable frag mtu %u [. %u:%u(1460) ack 1]", mtus[i], at, at + 1460);
		n += ps_ignore(s, 0);
		PS_OK(s, n <= 12); /* 512 bytes at least: nobody makes us send a byte in each frame */
		PS_OK(s, zft_get_mss(ps_zft(s)) >= 512);
		ps_in(s, "+.01 . 1:1(0) ack %u", at + 3000);
	}
	ps_in(s, "+0 [ip src gw] icmp unreachable frag mtu 65535 [. 1:1461(1460) ack 1]");
	PS_OK(s, zft_get_mss(ps_zft(s)) <= 1460);
}

PKT_TEST(tcp_path_mtu_that_a_router_does_not_tell, "RFC 1191 7.1, 137")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 1460), 1460);
	ps_out(s, "+0 P. 1:1461(1460) ack 1");
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 0 [P. 1:1461(1460) ack 1]");
	ps_out(s, "+0 . 1:1453(1452) ack 1"); /* 1492: the next lower plateau */
	ps_out(s, "+0 P. 1453:1461(8) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 1461");
}

PKT_TEST(tcp_path_mtu_is_forgotten, "RFC 1191 6.3, 136")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 1460), 1460);
	ps_out(s, "+0 P. 1:1461(1460) ack 1");
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 1000 [P. 1:1461(1460) ack 1]");
	PS_EQ(s, ps_ignore(s, 0), 2);
	ps_in(s, "+.01 . 1:1(0) ack 1461");
	ps_silence(s, 590);
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 . 1461:2421(960) ack 1"); /* not raised within ten minutes */
	ps_out(s, "+0 P. 2421:2461(40) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2461");
	ps_silence(s, 30);
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 P. 2461:3461(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 3461");
}

/* Data, FIN and what was never sent yet. */
PKT_TEST(tcp_path_mtu_while_closing, "RFC 1191")
{
	struct ps *s = ps_established(.rtt = .1, .peer_win = 2000);

	PS_EQ(s, ps_tcp_send(s, 4000), 4000);
	ps_shutdown(s);
	ps_out(s, "+0 . 1:1461(1460) ack 1");
	ps_ignore(s, 0);
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 800 [. 1:1461(1460) ack 1]");
	ps_ignore(s, 0);
	ps_tcp_free(s);
	for (unsigned at = 0; at < 4000; at = ZF_MIN(at + 1000, 4000u)) {
		ps_in(s, "+.05 . 1:1(0) ack %u win 65535", 1 + at);
		ps_ignore(s, .01);
	}
	ps_in(s, "+.01 . 1:1(0) ack 4001 win 65535");
	ps_ignore(s, 2);
	ps_in(s, "+.01 F. 1:1(0) ack 4002");
	ps_out(s, "+0 . 4002:4002(0) ack 2");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST_IN(tcp_icmp_storm, "hostile-inputs 23, RFC 1812", PS_TCP_NORMAL)
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	for (unsigned i = 0; i < 5000; i++)
		ps_queue(s, "+0 [ip src gw] icmp unreachable port [P. %u:%u(100) ack 1]", i * 1000, i * 1000 + 100);
	ps_run(s);
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 . 1:1(0) ack 101");
	PS_EQ(s, ps_probe(s)->flight, 0);
}
