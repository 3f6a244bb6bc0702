/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Faults of TCP that the simulation (test/sim) and the fuzzer (fuzz_tcp) found, made small.
 */
#include <sys/epoll.h>

#include "mem/mem.h"
#include "ps_zft.h"
#include "tcp/tcp.h"

/* The SYN was held for its neighbour; the header of what follows has to know the address that came since. */
PKT_TEST_IN(tcp_path_is_fresh_behind_the_handshake, "RFC 1122 2.3.2.2", PS_ALONE)
{
	struct ps *s = ps_open(.strangers = true);

	ps_connect(s);
	ps_out(s, "+0 arp who-has peer tell us");
	ps_in (s, "+.01 arp reply peer is-at peer-mac");
	ps_out(s, "+0 S 0:0(0) <*>");
	ps_in (s, "+.01 S. 0:0(0) ack 1 win 65535 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
	ps_tcp_send(s, 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in (s, "+.01 . 1:1(0) ack 101");
}

/* A fast send leaves its IP checksum in the header template; frames without ECT count theirs anew, without it. */
PKT_TEST(tcp_checksum_without_ect_behind_a_fast_send, "RFC 3168 6.1.5")
{
	struct ps *s = ps_open(.attrs = "tcp_ecn=1");

	ps_connect(s);
	ps_out(s, "+0 SEW 0:0(0) <*>");
	ps_in (s, "+.01 SE. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_tcp_send(s, 100);
	ps_out(s, "+0 [ip tos 2] P. 1:101(100) ack 1");
	ps_in (s, "+.01 . 1:1(0) ack 101");
	ps_tcp_send(s, 50);
	ps_out(s, "+0 [ip tos 2] P. 101:151(50) ack 1");
	ps_in (s, "+.01 P. 1:101(100) ack 151");
	ps_out(s, "+.04 [ip tos 0] . 151:151(0) ack 101");
	ps_tcp_recv(s, 100);
	ps_tcp_send(s, 70);
	ps_out(s, "+0 [ip tos 2] P. 151:221(70) ack 101");
	ps_out(s, "+.1~+1 [ip tos 0] P. 151:221(70) ack 101");
	ps_in (s, "+.01 . 101:101(0) ack 221");
}

/* Unread bytes and bytes not acknowledged together must leave buffers to receive acknowledgements with. */
PKT_TEST_IN(tcp_queues_leave_buffers_to_receive_with, "design: buffers", PS_NORMAL_ONLY)
{
	struct ps *s = ps_established(.open = {.n_bufs = 64}, .attrs = "tcp_initial_cwnd=400000", .peer_wscale = 7);
	unsigned sent = 0, at = 1;

	while (ps_tcp_send(s, 1) == 1)
		PS_OK(s, ++sent < 200);
	ps_ignore(s, 0);
	for (unsigned i = 0; i < 44; i++, at += 1400) {
		ps_queue(s, "+.0001 . %u:%u(1400) ack 1", at, at + 1400);
		ps_ignore(s, .0001);
	}
	ps_ignore(s, .01);
	at = ps_probe(s)->rcv_nxt;
	ps_in(s, "+.01 . %u:%u(0) ack %u", at, at, 1 + sent);
	PS_EQ(s, ps_probe(s)->snd_una, 1 + sent);
	ps_tcp_recv(s, ps_probe(s)->rcv_queued);
	ps_ignore(s, .1);
}

/* More than a burst at a port that takes nothing: none of it counts as sent. */
PKT_TEST_IN(tcp_full_port_takes_back_more_than_a_burst, "design: when something runs out", PS_TCP_NORMAL)
{
	struct ps *s = ps_established(.attrs = "tcp_initial_cwnd=100000", .peer_mss = 1000);

	mem_cfg(ps_port(s))->credit = 0;
	PS_EQ(s, ps_tcp_send(s, 60000), 60000);
	PS_EQ(s, ps_probe(s)->flight, 0);
	ps_silence(s, 2);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	for (unsigned i = 0; i < 60; i++)
		ps_out(s, i == 59 ? "+* P. %u:%u(1000) ack 1" : "+* . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	ps_in(s, "+.01 . 1:1(0) ack 60001");
}

/* A retransmission that the port refuses is none, however often it is tried. */
PKT_TEST_IN(tcp_refused_retransmission_does_not_count, "design: when something runs out", PS_TCP_NORMAL)
{
	struct ps *s = ps_established();

	ps_tcp_send(s, 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	mem_cfg(ps_port(s))->credit = 0;
	ps_silence(s, 2);
	ps_count(s, TCP_RETRANS, 0);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	ps_out(s, "+* P. 1:101(100) ack 1");
	ps_count(s, TCP_RETRANS, 1);
	ps_in (s, "+.01 . 1:1(0) ack 101");
}

/* Runs split for a smaller path MTU leave each zocket the record for its FIN. */
PKT_TEST_IN(tcp_split_runs_leave_a_record_for_the_fin, "design: when something runs out", PS_NORMAL_ONLY)
{
	struct ps *s = ps_established(.open = {.n_bufs = 128}, .attrs = "max_tcp_endpoints=1;tcp_initial_cwnd=400000",
				      .peer_wscale = 7);

	ps_in(s, "+.01 . 1:1(0) ack 1"); /* windows of SYNs are not scaled */
	while (ps_tcp_send(s, 1460) == 1460)
		;
	ps_ignore(s, 0);
	PS_EQ(s, ps_probe(s)->snd_end, ps_probe(s)->snd_nxt);
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 576 [. 1:1461(1460) ack 1]");
	ps_ignore(s, .01);
	ps_shutdown(s);
	ps_ignore(s, .01);
}

/* An end that comes while the last bytes are handed out stays readable behind them. */
PKT_TEST(tcp_end_behind_handed_bytes_is_readable, "RFC 9293 3.10.3")
{
	struct ps *s = ps_established();
	struct {
		struct zft_msg msg;
		struct iovec iov[4];
	} rd;

	ps_in (s, "+.01 P. 1:101(100) ack 1");
	rd.msg.iovcnt = 4;
	zft_zc_recv(ps_zft(s), &rd.msg, 0);
	PS_EQ(s, rd.msg.iovcnt, 1);
	ps_in (s, "+.01 F. 101:101(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 102");
	PS_EQ(s, zft_zc_recv_done(ps_zft(s), &rd.msg), 1);
	PS_EQ(s, tcp_events(ps_zft(s)) & EPOLLIN, EPOLLIN);
	ps_tcp_eof(s);
}

/* FIN-WAIT-2 without a limit: keepalive asks the peer, and does not end it by itself. */
PKT_TEST(tcp_keepalive_is_no_limit_of_fin_wait_2, "RFC 9293 3.8.4")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=0;tcp_keepalive=1;tcp_keepalive_time_ms=5000");

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in (s, "+.01 . 1:1(0) ack 2");
	ps_out(s, "+5 . 1:1(0) ack 1");
	ps_in (s, "+.01 . 1:1(0) ack 2");
	ps_in (s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
}
