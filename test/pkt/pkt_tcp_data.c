/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP data: order, windows of both sides, and what sending calls say when there is no room (RFC 9293 3.8, guide 11.10).
 */
#include <errno.h>
#include <string.h>

#include "mem/mem.h"
#include "pkt/ps_zft.h"

PKT_TEST(tcp_out_of_order_is_put_in_order, "RFC 9293 3.10.7.4, RFC 5681 4.2")
{
	struct ps *s = ps_established(.peer_sack = true);

	ps_in(s, "+.01 . 1001:2001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 1001:2001>");
	ps_in(s, "+.01 . 3001:4001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 3001:4001 1001:2001>");
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 . 1:1001(1000) ack 1"); /* fills one hole: acknowledged at once */
	ps_out(s, "+0 . 1:1(0) ack 2001 <nop,nop,sack 3001:4001>");
	ps_tcp_recv(s, 2000);
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 P. 2001:3001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 4001");
	ps_tcp_recv(s, 2000);
}

PKT_TEST(tcp_out_of_order_without_sack, "RFC 5681 4.2")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 . 1001:2001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+.01 . 2001:3001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 3001");
	ps_tcp_recv(s, 3000);
}

PKT_TEST(tcp_fin_out_of_order, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 F. 101:101(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 102");
	ps_state(s, TCP_CLOSE_WAIT);
	ps_tcp_recv(s, 100);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_received_before, "RFC 9293 3.10.7.4, RFC 2883")
{
	struct ps *s = ps_established(.peer_sack = true);

	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_in(s, "+.05 P. 1:101(100) ack 1"); /* our ACK was lost */
	ps_out(s, "+0 . 1:1(0) ack 101 <nop,nop,sack 1:101>");
	ps_in(s, "+.01 P. 51:151(100) ack 1"); /* half of it is new */
	ps_out(s, "+0 . 1:1(0) ack 151 <*>");
	ps_tcp_recv(s, 150);
	ps_tcp_recv_none(s);
}

PKT_TEST(tcp_two_full_segments_are_acknowledged_at_once, "RFC 5681 4.2")
{
	struct ps *s = ps_established();

	for (unsigned i = 0; i < 20; i += 2) {
		unsigned at = 1 + i * 1460;

		ps_in(s, "+.001 . %u:%u(1460) ack 1", at, at + 1460);
		if (i == 0)
			ps_ignore(s, .05);
		ps_in(s, "+.001 P. %u:%u(1460) ack 1", at + 1460, at + 2920);
		if (i == 0)
			ps_ignore(s, .05);
		else
			ps_out(s, "+0 . 1:1(0) ack %u", at + 2920);
		ps_tcp_recv(s, 2920);
	}
}

PKT_TEST(tcp_delayed_ack, "RFC 5681 4.2, attribute tcp_delack_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_delack_ms=100");

	for (unsigned i = 0; i < 40; i++) { /* past whatever the start acknowledges quickly */
		ps_in(s, "+.2 P. %u:%u(10) ack 1", 1 + 10 * i, 11 + 10 * i);
		if (i < 39)
			ps_ignore(s, .15);
	}
	ps_out(s, "+.1 . 1:1(0) ack 401");
	ps_tcp_recv(s, 400);
}

PKT_TEST(tcp_no_delayed_ack, "attribute tcp_delayed_ack")
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");

	for (unsigned i = 0; i < 40; i++) {
		ps_in(s, "+.2 P. %u:%u(10) ack 1", 1 + 10 * i, 11 + 10 * i);
		ps_out(s, "+0 . 1:1(0) ack %u", 11 + 10 * i);
	}
	ps_tcp_recv(s, 400);
}

PKT_TEST(tcp_window_closes_and_opens, "RFC 9293 3.8.6")
{
	struct ps *s = ps_established(.rcv_wnd = 5840);

	for (unsigned i = 0; i < 4; i++)
		ps_in(s, "+.001 P. %u:%u(1460) ack 1", 1 + 1460 * i, 1461 + 1460 * i), ps_ignore(s, .05);
	PS_EQ(s, ps_probe(s)->rcv_wnd, 0);
	ps_in(s, "+1 . 5841:5842(1) ack 1"); /* a probe of the peer's */
	ps_out(s, "+0 . 1:1(0) ack 5841 win 0");
	ps_tcp_recv(s, 1000); /* less than a segment: too silly to tell */
	ps_silence(s, 1);
	ps_tcp_recv(s, 4840);
	ps_out(s, "+0 . 1:1(0) ack 5841 win 5840");
}

PKT_TEST(tcp_zero_window_is_probed_for_ever, "RFC 9293 3.8.6.1")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=2", .rtt = .1, .peer_win = PS_WIN_0);
	unsigned n = 0;

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	for (int i = 0; i < 20; i++) { /* answered each time, far beyond tcp_retries */
		while (ps_ignore(s, 1) == 0)
			PS_OK(s, ++n < 5000);
		ps_in(s, "+0 . 1:1(0) ack 1 win 0");
	}
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 . 1:1(0) ack 1 win 1000");
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 101 win 1000");
}

PKT_TEST(tcp_sends_up_to_the_peers_window, "RFC 9293 3.8.6")
{
	struct ps *s = ps_established(.peer_win = 3000, .peer_mss = 1000);

	PS_EQ(s, ps_tcp_send(s, 5000), 5000);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1001:2001(1000) ack 1");
	ps_out(s, "+0 . 2001:3001(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1001 win 3000");
	ps_out(s, "+0 . 3001:4001(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 3001 win 3000");
	ps_out(s, "+0 P. 4001:5001(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 5001 win 3000");
}

PKT_TEST(tcp_initial_window, "RFC 6928, attribute tcp_initial_cwnd")
{
	struct ps *s = ps_established(.attrs = "tcp_initial_cwnd=2000", .peer_mss = 1000);

	PS_EQ(s, ps_tcp_send(s, 10000), 10000);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1001:2001(1000) ack 1");
	PS_EQ(s, ps_probe(s)->flight, 2000);
	ps_in(s, "+.01 . 1:1(0) ack 2001");
	for (unsigned i = 2; i < 6; i++) /* slow start: two more */
		ps_out(s, "+0 . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
}

PKT_TEST(tcp_msg_more_holds_a_tail_back, "guide 11.10.2.12")
{
	struct ps *s = ps_established(.peer_mss = 1000);

	PS_EQ(s, ps_tcp_send(s, 300, MSG_MORE), 300);
	ps_silence(s, .1);
	PS_EQ(s, ps_tcp_send(s, 900, MSG_MORE), 900); /* a full segment goes */
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_silence(s, .1);
	PS_EQ(s, ps_tcp_send(s, 50), 50);             /* and the rest with this */
	ps_out(s, "+0 P. 1001:1251(250) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1251");
	PS_EQ(s, ps_tcp_send_single(s, 300, MSG_MORE), 300);
	ps_shutdown(s);
	ps_out(s, "+0 FP. 1251:1551(300) ack 1");
}

/* A port that holds every frame has no room after a ring of them. */
PKT_TEST_IN(tcp_sends_without_polling_end_in_eagain, "issue 3.2", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.peer_win = 65535, .peer_wscale = 7);
	long sent = 0, rc, n = 0;
	size_t space = 0;

	while ((rc = ps_tcp_send(s, 20000)) > 0) {
		sent += rc;
		PS_OK(s, ++n < 10000);
	}
	PS_OK(s, rc == -EAGAIN || rc == -ENOMEM);
	PS_OK(s, sent > 14600);
	if (rc == -EAGAIN) {
		PS_EQ(s, zft_send_space(ps_zft(s), &space), 0);
		PS_EQ(s, space, 0);
	}
	for (n = 0; ps_probe(s)->snd_una + 1460 <= 1 + (unsigned)sent; n++) {
		PS_OK(s, n < 5000);
		ps_ignore(s, .001);
		ps_in(s, "+0 . 1:1(0)"); /* acknowledges all that was sent */
	}
	PS_EQ(s, ps_tcp_send(s, 1000), 1000); /* takes the tail of the partial send along */
	ps_ignore(s, .001);
	ps_in(s, "+0 . 1:1(0)");
	PS_EQ(s, ps_probe(s)->snd_una, 1 + sent + 1000);
	PS_EQ(s, ps_probe(s)->flight, 0);
}

PKT_TEST(tcp_acknowledgement_of_what_was_not_sent, "RFC 9293 3.10.7.4, RFC 5961 5")
{
	struct ps *s = ps_established();

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 P. 1:11(10) ack 102");
	ps_out(s, "+0 . 101:101(0) ack 1");
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 . 1:1(0) ack 101");
	PS_EQ(s, ps_probe(s)->flight, 0);
}

PKT_TEST(tcp_data_beyond_the_window, "RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established(.rcv_wnd = 1000);

	ps_in(s, "+.01 . 1001:1101(100) ack 1"); /* wholly outside: answered, not kept */
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+.01 P. 1:1101(1100) ack 1");  /* the part inside is taken */
	ps_out(s, "+0~+.041 . 1:1(0) ack 1001");
	ps_tcp_recv(s, 1000);
	ps_ignore(s, 1);
}

PKT_TEST(tcp_keepalive, "RFC 1122 4.2.3.6, attributes tcp_keepalive...")
{
	struct ps *s = ps_established(.attrs = "tcp_keepalive=1;tcp_keepalive_time_ms=10000;tcp_keepalive_intvl_ms=2000;"
					       "tcp_keepalive_probes=3");

	ps_out(s, "+10 . 0:0(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_out(s, "+10 . 0:0(0) ack 1");
	ps_out(s, "+2 . 0:0(0) ack 1");
	ps_out(s, "+2 . 0:0(0) ack 1");
	ps_out(s, "+2 R. 1:1(0) ack 1"); /* no RFC asks for it: a peer that is there after all knows */
	ps_state(s, TCP_CLOSE);
	ps_error(s, ETIMEDOUT);
}

/* A port that copies whole segments, as a wire does. */
static void
copies_all(struct mem_cfg *c)
{
	c->tx_copy_max = 2048;
}

PKT_TEST_IN(tcp_long_send_leaves_in_full_segments, "guide 11.10.2.12", PS_MODE(PS_TX_COPY))
{
	struct ps *s = ps_established(.open = {.port = copies_all}, .rtt = .01);
	uint64_t by_copy = mem_stats(ps_port(s))->tx_by_copy;

	PS_EQ(s, ps_tcp_send(s, 5000), 5000);
	PS_EQ(s, mem_stats(ps_port(s))->tx_by_copy - by_copy, 4);
	ps_out(s, "+0 . 1:1461(1460) ack 1");
	ps_out(s, "+0 . 1461:2921(1460) ack 1");
	ps_out(s, "+0 . 2921:4381(1460) ack 1");
	ps_out(s, "+0 P. 4381:5001(620) ack 1"); /* pushed, the end of the send */
	ps_in(s, "+.01 . 1:1(0) ack 1461");
	ps_out(s, "+.2 . 1461:2921(1460) ack 1"); /* the timer knows of them */
	ps_in(s, "+.001 . 1:1(0) ack 5001");
	PS_EQ(s, ps_probe(s)->flight, 0);
}

PKT_TEST_IN(tcp_long_send_overtakes_nothing, "design: when something runs out", PS_MODE(PS_TX_COPY))
{
	struct ps *s = ps_established(.open = {.port = copies_all});
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct mem_cfg *c = mem_cfg(ps_port(s));

	c->credit = 2;
	PS_EQ(s, ps_send(s, ut, 8000), 8000); /* six fragments: four wait */
	c->credit = 4;
	PS_EQ(s, ps_tcp_send(s, 3000), 3000);
	c->credit = MEM_ALL;
	for (unsigned off = 0; off < 8008; off += 1480)
		ps_out(s, "+0 frag %u:%u udp 2000 > 1000 (8000)", off, off + 1480 < 8008 ? off + 1480 : 8008);
	ps_out(s, "+* . 1:1461(1460) ack 1");
	ps_out(s, "+0 . 1461:2921(1460) ack 1");
	ps_out(s, "+0 P. 2921:3001(80) ack 1");
}
