/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Windows, from both sides, and what stands behind ours: probes of a closed one, silly windows, acknowledgements and
 * when they leave, what is kept out of order, buffers that run out (RFC 9293 3.8.6, RFC 5681 4, RFC 7323 2; guide 5.9).
 */
#include <errno.h>

#include <sys/epoll.h>

#include "core/pool.h"
#include "pkt/ps_zft.h"

/* A port that gives nothing back has no room, and no buffers, after a ring of frames. */
#define NO_HOLD (PS_ALL_MODES & ~PS_MODE(PS_TX_HOLD))
/* The buffers that are made to fail are those of what the script is about: received frames need no flattening. */
#define NO_SPLIT (PS_ALONE & ~(PS_MODE(PS_RX_SPLIT_1) | PS_MODE(PS_RX_SPLIT_L3) | PS_MODE(PS_RX_SPLIT_L4)))

PKT_TEST_IN(tcp_zero_window_for_ten_hours, "RFC 9293 MUST-36, MUST-37", NO_HOLD)
{
	struct ps *s = ps_established(.attrs = "tcp_retries=3;tcp_rto_max_ms=600000", .rtt = .1, .peer_win = PS_WIN_0);
	double all = 0, when = .3;

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	while (all < 36000) { /* the first after the timeout, then each time twice as long; far more than tcp_retries */
		ps_out(s, "+%f . 0:0(0) ack 1", when);
		ps_in(s, "+0 . 1:1(0) ack 1 win 0");
		all += when;
		when = ZF_MIN(when * 2, 600);
	}
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 . 1:1(0) ack 1 win 1000");
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 101 win 1000");
}

PKT_TEST(tcp_zero_window_without_an_answer, "RFC 9293 3.8.6.1, attribute tcp_retries")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=3", .rtt = .1, .peer_win = PS_WIN_0);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+.3 . 0:0(0) ack 1");
	ps_out(s, "+.6 . 0:0(0) ack 1");
	ps_out(s, "+1.2 . 0:0(0) ack 1");
	ps_out(s, "+2.4 R. 1:1(0) ack 1");
	ps_error(s, ETIMEDOUT);
}

PKT_TEST(tcp_fin_waits_for_the_window, "RFC 9293 3.8.6.1")
{
	struct ps *s = ps_established(.peer_win = 1000, .peer_mss = 1000, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 1500, MSG_MORE), 1500);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_shutdown(s);
	ps_in(s, "+.1 . 1:1(0) ack 1001 win 500"); /* room for the bytes, not for the FIN */
	ps_out(s, "+0 P. 1001:1501(500) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 1501 win 0");
	ps_out(s, "+.2~+.4 . 1500:1500(0) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 1501 win 1");
	ps_out(s, "+0 F. 1501:1501(0) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 1502 win 1");
	ps_state(s, TCP_FIN_WAIT2);
}

/* A peer that takes back what it offered (RFC 9293 MUST-34): nothing new goes, what went is repeated, and as long as the
 * peer answers the connection lives.
 */
PKT_TEST(tcp_peer_shrinks_its_window, "RFC 9293 MUST-34, SHLD-15..17")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=3", .peer_win = 5000, .peer_mss = 1000, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 6000, MSG_MORE), 6000);
	for (unsigned i = 0; i < 5; i++)
		ps_out(s, "+0 . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	ps_in(s, "+.1 . 1:1(0) ack 1001 win 0");
	for (unsigned i = 0; i < 12; i++) { /* more often than tcp_retries */
		ps_out(s, "+*  . 1001:2001(1000) ack 1");
		ps_in(s, "+.1 . 1:1(0) ack 1001 win 0");
	}
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.1 . 1:1(0) ack 1001 win 5000");
	ps_ignore(s, 300);
	ps_in(s, "+.1 . 1:1(0) ack 5001 win 5000");
	ps_ignore(s, .1);
	PS_OK(s, ps_probe(s)->snd_nxt == 6001);
	ps_in(s, "+.1 . 1:1(0) ack 6001 win 5000");
}

PKT_TEST(tcp_no_silly_segments, "RFC 9293 3.8.6.2.1")
{
	struct ps *s = ps_established(.peer_win = 4000, .peer_mss = 1000, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 6000), 6000);
	for (unsigned i = 0; i < 4; i++)
		ps_out(s, "+0 . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	ps_in(s, "+.1 . 1:1(0) ack 2001 win 2200"); /* 200 bytes more: not worth a segment */
	ps_in(s, "+0 . 1:1(0) ack 4001 win 400");
	ps_silence(s, .15);
	ps_out(s, "+0~+.3 . 4001:4401(400) ack 1"); /* unless nothing better comes (the override) */
	ps_in(s, "+.1 . 1:1(0) ack 4401 win 4000");
	ps_out(s, "+0 . 4401:5001(600) ack 1");
	ps_out(s, "+0 P. 5001:6001(1000) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 6001 win 4000");
}

PKT_TEST(tcp_half_of_a_small_window_is_not_silly, "RFC 9293 3.8.6.2.1 (3)")
{
	struct ps *s = ps_established(.peer_win = 800, .peer_mss = 1000, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 . 1:801(800) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 801 win 800");
	ps_out(s, "+0 P. 801:1001(200) ack 1");
	ps_in(s, "+.1 . 1:1(0) ack 1001 win 800");
}

/* Sizes above 2^16 with and above 2^31 against sequence numbers that wrap in all ways. */
PKT_TEST(tcp_largest_window_of_a_peer, "RFC 9293 MUST-1, RFC 7323 2.3")
{
	struct ps *s = ps_established(.peer_wscale = 14, .peer_mss = 1000, .rtt = .01);

	ps_in(s, "+0 . 1:1(0) ack 1 win 65535");
	PS_EQ(s, ps_probe(s)->snd_wnd, 65535u << 14);
	PS_EQ(s, ps_tcp_send(s, 20000, MSG_MORE), 20000);
	PS_EQ(s, ps_ignore(s, 0), 10);
	ps_in(s, "+.01 . 1:1(0) ack 10001 win 65535");
	PS_EQ(s, ps_ignore(s, 0), 10);
	ps_in(s, "+.01 . 1:1(0) ack 20001 win 0");
	PS_EQ(s, ps_probe(s)->snd_wnd, 0);
}

PKT_TEST(tcp_window_scale_of_ours, "RFC 7323 2.2, attribute tcp_rx_window")
{
	struct ps *s = ps_open(.attrs = "tcp_rx_window=1000000", .n_bufs = 8192);

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 4>");
	ps_in(s, "+.1 S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 2>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 62500");
	PS_EQ(s, ps_probe(s)->snd_wnd, 65535); /* a SYN's is never scaled */
	PS_EQ(s, ps_probe(s)->rcv_wnd, 1000000);
}

PKT_TEST(tcp_window_without_scale, "RFC 7323 2.2, attribute tcp_rx_window")
{
	struct ps *s = ps_open(.attrs = "tcp_rx_window=1000000", .n_bufs = 8192);

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 4>");
	ps_in(s, "+.1 S. 0:0(0) ack 1 win 1000 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 65535");
	PS_EQ(s, ps_probe(s)->rcv_wnd, 65535);
	PS_EQ(s, ps_probe(s)->snd_wnd, 1000);
}

PKT_TEST(tcp_small_window_needs_no_scale, "attribute tcp_rx_window")
{
	struct ps *s = ps_open(.attrs = "tcp_rx_window=8192");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) win 8192 <mss 1460,nop,nop,sackOK,nop,wscale 0>");
	ps_in(s, "+.1 S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 3>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 8192");
}

/* A reader of single bytes: the window moves by segments, not by bytes. */
PKT_TEST(tcp_reads_of_a_byte_are_not_told, "RFC 9293 MUST-39, 3.8.6.2.2")
{
	struct ps *s = ps_established(.rcv_wnd = 4380);

	for (unsigned i = 0; i < 3; i++)
		ps_in(s, "+.01 . %u:%u(1460) ack 1", 1 + 1460 * i, 1461 + 1460 * i), ps_ignore(s, .05);
	PS_EQ(s, ps_probe(s)->rcv_wnd, 0);
	for (unsigned i = 0; i < 1459; i++)
		ps_tcp_recv(s, 1);
	ps_silence(s, .1);
	ps_tcp_recv(s, 1);
	ps_out(s, "+0 . 1:1(0) ack 4381 win 1460");
	ps_tcp_recv(s, 1000);
	ps_silence(s, .1);
	ps_tcp_recv(s, 1920);
	ps_ignore(s, 0);
	PS_EQ(s, ps_probe(s)->rcv_wnd >= 4380 - 1460, 1);
}

PKT_TEST(tcp_half_a_window_is_news, "RFC 9293 3.8.6.2.2")
{
	struct ps *s = ps_established(.rcv_wnd = 1000); /* smaller than a segment */

	ps_in(s, "+.01 . 1:1001(1000) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 1001 win 0");
	ps_tcp_recv(s, 499);
	ps_silence(s, .1);
	ps_tcp_recv(s, 1);
	ps_out(s, "+0 . 1:1(0) ack 1001 win 500");
	ps_tcp_recv(s, 500);
}

/* Data beyond the window told is never needed to learn about room: the update goes by itself. */
PKT_TEST(tcp_window_update_in_mid_stream, "RFC 9293 3.8.6.2.2")
{
	struct ps *s = ps_established(.rcv_wnd = 14600);

	for (unsigned i = 0; i < 9; i++)
		ps_in(s, "+.01 . %u:%u(1460) ack 1", 1 + 1460 * i, 1461 + 1460 * i), ps_ignore(s, .05);
	PS_EQ(s, ps_probe(s)->rcv_wnd, 1460);
	ps_tcp_recv(s, 9 * 1460);
	ps_out(s, "+0 . 1:1(0) ack 13141 win 14600");
}

PKT_TEST(tcp_one_ack_for_a_burst, "RFC 9293 MUST-58, MUST-59")
{
	struct ps *s = ps_established();

	for (unsigned i = 0; i < 8; i++)
		ps_queue(s, "+.01 . %u:%u(1000) ack 1", 1 + 1000 * i, 1001 + 1000 * i);
	PS_OK(s, ps_ignore(s, .011) <= 2);
	PS_EQ(s, ps_probe(s)->rcv_nxt, 8001);
	ps_tcp_recv(s, 8000);
	ps_ignore(s, .1);
}

PKT_TEST(tcp_hole_filled_in_part, "RFC 5681 4.2")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 . 2001:3001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:501(500) ack 1"); /* the edge moves, the hole stays: at once too */
	ps_out(s, "+0 . 1:1(0) ack 501");
	ps_in(s, "+.01 . 501:1501(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1501");
	ps_in(s, "+.01 . 1501:2001(500) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 3001");
	ps_tcp_recv(s, 3000);
}

PKT_TEST(tcp_overlapping_segments, "RFC 9293 3.10.7.4 (seventh)")
{
	struct ps *s = ps_established(.peer_sack = true);

	ps_in(s, "+.01 . 101:201(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 101:201>");
	ps_in(s, "+.01 . 151:301(150) ack 1"); /* its first half is here: D-SACK, and the union */
	ps_out(s, "+0 . 1:1(0) ack 1 <*>");
	ps_in(s, "+.01 . 401:501(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1 <*>");
	ps_in(s, "+.01 . 51:451(400) ack 1"); /* over all of it */
	ps_out(s, "+0 . 1:1(0) ack 1 <*>");
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 501 <*>");
	ps_tcp_recv(s, 500);
	ps_tcp_recv_none(s);
}

PKT_TEST(tcp_sack_blocks_newest_first, "RFC 2018 4, RFC 2883")
{
	struct ps *s = ps_established(.peer_sack = true);

	for (unsigned i = 0; i < 6; i++) {
		ps_in(s, "+.01 . %u:%u(100) ack 1", 1001 + 1000 * i, 1101 + 1000 * i);
		if (i < 5)
			ps_out(s, "+0 . 1:1(0) ack 1 <*>");
	}
	/* Four fit; the newest, then those told before it. */
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 6001:6101 5001:5101 4001:4101 3001:3101>");
	ps_in(s, "+.01 . 2001:2101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,sack 2001:2101 2001:2101 6001:6101 5001:5101>");
	ps_in(s, "+.01 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1101 <*>");
	ps_tcp_recv(s, 1100);
}

PKT_TEST(tcp_sack_blocks_beside_timestamps, "RFC 2018 3")
{
	struct ps *s = ps_established(.peer_sack = true, .peer_ts = true);

	for (unsigned i = 0; i < 5; i++) {
		ps_in(s, "+.01 . %u:%u(100) ack 1", 1001 + 1000 * i, 1101 + 1000 * i);
		if (i < 4)
			ps_out(s, "+0 . 1:1(0) ack 1 <*>");
	}
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,TS val * ecr *,nop,nop,sack 5001:5101 4001:4101 3001:3101>");
}

PKT_TEST(tcp_out_of_order_shreds, "hostile-inputs 11, issue 3.2: bounded memory and work")
{
	struct ps *s = ps_established();
	unsigned acked;

	for (unsigned i = 0; i < 100; i++) /* every other byte, backwards */
		ps_in(s, "+.0001 . %u:%u(1) ack 1", 402 - 2 * i, 403 - 2 * i), ps_ignore(s, 0);
	ps_count(s, RX_DROP_TCP_OOO, 100 - 32);
	PS_EQ(s, ps_probe(s)->rcv_nxt, 1);
	/* What was refused comes again. */
	ps_in(s, "+.1 P. 1:501(500) ack 1");
	acked = ps_ignore(s, .1);
	PS_OK(s, acked >= 1);
	PS_EQ(s, ps_probe(s)->rcv_nxt, 501);
	ps_tcp_recv(s, 500);
	ps_tcp_recv_none(s);
	ps_in(s, "+0 R 501:501(0)");
}

/* A byte in each of many buffers would hold them all. */
PKT_TEST(tcp_tiny_segments_share_buffers, "design: buffers, hostile-inputs 30 (slow read)")
{
	struct ps *s = ps_established(.open = {.n_bufs = 256});
	unsigned n = 5000;

	for (unsigned i = 0; i < n; i++) {
		ps_queue(s, "+.0001 P. %u:%u(1) ack 1", 1 + i, 2 + i);
		ps_ignore(s, .0001);
	}
	ps_ignore(s, .1);
	PS_EQ(s, ps_probe(s)->rcv_nxt, 1 + n);
	ps_count(s, RX_DROP_TCP_QUEUE, 0);
	ps_tcp_recv(s, n);
}

/* Nobody reads: more full segments than there are buffers to hold them. The window closes before they run out, and opens
 * when they are given back.
 */
PKT_TEST_IN(tcp_recv_done_is_never_called, "issue 3.2, design: when something runs out", NO_HOLD)
{
	struct ps *s = ps_established(.open = {.n_bufs = 128}, .peer_wscale = 7);
	unsigned at = 1, n = 0;
	struct {
		struct zft_msg msg;
		struct iovec iov[8];
	} rd;

	while (ps_probe(s)->rcv_wnd > 0) {
		unsigned len = ZF_MIN(1460u, ps_probe(s)->rcv_wnd);

		PS_OK(s, ++n < ps_ctx(s)->pool->n_bufs + 22);
		ps_in(s, "+.001 P. %u:%u(%u) ack 1", at, at + len, len);
		ps_ignore(s, .05);
		at += len;
		PS_EQ(s, ps_probe(s)->rcv_nxt, at);
		if (n == 4) {
			rd.msg.iovcnt = 8;
			zft_zc_recv(ps_zft(s), &rd.msg, 0); /* looked at, not given back */
			PS_EQ(s, rd.msg.iovcnt, 4);
		}
	}
	PS_OK(s, n > 10);
	ps_count(s, RX_DROP_TCP_QUEUE, 0);
	ps_in(s, "+1 P. %u:%u(1460) ack 1", at, at + 1460); /* the peer probes with what it has */
	ps_out(s, "+0 . 1:1(0) ack %u", at);
	ps_tcp_recv(s, at - 1);
	PS_OK(s, ps_ignore(s, 0) > 0); /* room again, told by itself */
	PS_OK(s, ps_probe(s)->rcv_wnd > 10000);
	ps_in(s, "+.001 P. %u:%u(1460) ack 1", at, at + 1460);
	ps_tcp_recv(s, 1460);
	ps_ignore(s, .1);
}

/* A peer that takes the SYN's window at its word, before it can know of the buffers: what finds none comes again. */
PKT_TEST_IN(tcp_more_than_there_are_buffers, "design: when something runs out", NO_HOLD)
{
	struct ps *s = ps_established(.open = {.n_bufs = 64}, .peer_sack = true);
	unsigned at = 1, kept;

	for (unsigned i = 0; i < 44; i++, at += 1460) {
		ps_queue(s, "+.0001 . %u:%u(1460) ack 1", at, at + 1460);
		ps_ignore(s, .0001);
	}
	ps_ignore(s, .1);
	kept = ps_probe(s)->rcv_nxt;
	ps_note(s, "kept up to %u", kept);
	ps_tcp_recv(s, kept - 1);
	ps_ignore(s, .1);
	for (; kept < at; kept = ps_probe(s)->rcv_nxt) {
		unsigned len = ZF_MIN(1460u, at - kept);

		ps_in(s, "+.3 . %u:%u(%u) ack 1", kept, kept + len, len);
		ps_ignore(s, .05);
		ps_tcp_recv(s, ps_probe(s)->rcv_queued);
		ps_ignore(s, 0);
		PS_OK(s, ps_probe(s)->rcv_nxt > kept);
	}
	PS_OK(s, ps_probe(s)->rcv_nxt == at);
}

/* Datagrams that nobody reads hold what there is to hold. Acknowledgements and FINs of TCP are still taken. */
PKT_TEST_IN(tcp_buffers_held_by_others, "design: when something runs out", NO_HOLD & PS_ALONE)
{
	struct ps *s = ps_established(.open = {.n_bufs = 128});
	struct zfur *ur = ps_zfur(s, "us:5000");
	unsigned n = 0;

	while (ps_ctx(s)->rx_held < ps_ctx(s)->rx_hold_max) {
		PS_OK(s, ++n < 200);
		ps_in(s, "+0 udp 5000 > 5000 (100)");
	}
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.1 P. 1:1001(1000) ack 11");
	ps_out(s, "+0 . 11:11(0) ack 1");
	ps_count(s, RX_DROP_TCP_QUEUE, 1);
	PS_EQ(s, ps_probe(s)->flight, 0);
	ps_in(s, "+.1 F. 1001:1001(0) ack 11"); /* beyond a hole */
	ps_out(s, "+0 . 11:11(0) ack 1");
	for (; n > 0; n--)
		ps_recv(s, ur, NULL, 100);
	ps_in(s, "+.1 P. 1:1001(1000) ack 11");
	ps_ignore(s, .05);
	ps_tcp_recv(s, 1000);
	if (ps_probe(s)->rcv_nxt == 1001) { /* the FIN may have been forgotten */
		ps_in(s, "+.1 F. 1001:1001(0) ack 11");
		ps_ignore(s, 0);
	}
	ps_tcp_eof(s);
}

static void
fails_to_receive(struct mem_cfg *c)
{
	c->rx_alloc_fails = true;
}

/* The driver finds no buffer for what arrives: that is a loss like any other. */
PKT_TEST_IN(tcp_nothing_to_receive_into, "design: when something runs out", NO_SPLIT & PS_NO_VI)
{
	struct ps *s = ps_established(.open = {.port = fails_to_receive}, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	pool_fail_after = pool_fail_every = 1;
	ps_in(s, "+.1 P. 1:101(100) ack 11");
	pool_fail_after = pool_fail_every = 0;
	ps_tcp_recv_none(s);
	ps_out(s, "+.2 P. 1:11(10) ack 1"); /* it never came */
	ps_in(s, "+.1 P. 1:101(100) ack 11");
	ps_out(s, "+0~+.041 . 11:11(0) ack 101");
	ps_tcp_recv(s, 100);
}

PKT_TEST_IN(tcp_acks_without_a_buffer_wait, "design: when something runs out", NO_SPLIT & ~PS_COPYING)
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");

	pool_fail_after = pool_fail_every = 1;
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_silence(s, .01);
	pool_fail_after = pool_fail_every = 0;
	ps_out(s, "+*  . 1:1(0) ack 101");
	ps_tcp_recv(s, 100);
}

PKT_TEST_IN(tcp_retransmissions_without_a_buffer_wait, "design: when something runs out", PS_ALONE)
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	pool_fail_after = pool_fail_every = 1;
	ps_ignore(s, .31);
	pool_fail_after = pool_fail_every = 0;
	ps_ignore(s, 1);
	ps_in(s, "+0 . 1:1(0) ack 101");
	PS_EQ(s, ps_probe(s)->flight, 0);
	PS_EQ(s, ps_probe(s)->cwnd > 0, 1);
}

PKT_TEST_IN(tcp_connects_without_a_buffer, "design: when something runs out", PS_ALONE)
{
	struct ps *s = ps_open();

	pool_fail_after = pool_fail_every = 1;
	ps_connect(s);
	ps_ignore(s, .5);
	pool_fail_after = pool_fail_every = 0;
	ps_out(s, "+*  S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
}

/* Either all of it or nothing, and the reactor says when to try again. */
PKT_TEST_IN(tcp_send_without_a_buffer, "guide 11.10.2.12", NO_SPLIT)
{
	struct ps *s = ps_established(.peer_mss = 1000);

	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_tcp_send(s, 100), -ENOMEM);
	PS_EQ(s, ps_tcp_send_single(s, 2500), -ENOMEM);
	pool_fail_after = 3; /* in the midst of it */
	PS_EQ(s, ps_tcp_send(s, 5000), -ENOMEM);
	pool_fail_after = pool_fail_every = 0;
	PS_EQ(s, ps_probe(s)->snd_end, 1);
	PS_OK(s, ps_poll(s) > 0);
	PS_EQ(s, ps_tcp_send(s, 300, MSG_MORE), 300);
	pool_fail_after = 2;
	PS_EQ(s, ps_tcp_send(s, 5000), -ENOMEM); /* a tail that has room is not filled either */
	pool_fail_after = 0;
	PS_EQ(s, ps_probe(s)->snd_end, 301);
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_out(s, "+0 P. 1001:1301(300) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1301");
	ps_count(s, TX_NOBUFS, 4);
}

/* All buffers in send queues: the peer acknowledges, and the reactor says so. */
PKT_TEST_IN(tcp_send_until_all_buffers_are_used, "guide 11.10.2.12", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.open = {.n_bufs = 128}, .peer_mss = 1000);
	long sent = 0, rc;
	size_t space = 1;
	unsigned n = 0;

	while ((rc = ps_tcp_send(s, 1000)) > 0)
		sent += rc;
	PS_EQ(s, rc, -ENOMEM);
	PS_OK(s, sent >= 32000);
	PS_EQ(s, zft_send_space(ps_zft(s), &space), 0);
	PS_EQ(s, space, 0);
	ps_ignore(s, .01);
	for (n = 0; ps_probe(s)->snd_una < 1 + (unsigned)sent && n < 100; n++) {
		ps_in(s, "+.01 . 1:1(0)");
		ps_ignore(s, .001);
	}
	PS_EQ(s, ps_probe(s)->flight, 0);
	PS_EQ(s, zft_send_space(ps_zft(s), &space), 0);
	PS_OK(s, space >= 32000);
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_ignore(s, .01);
	ps_in(s, "+.01 . 1:1(0)");
}

PKT_TEST_IN(tcp_eagain_is_taken_back_by_the_reactor, "guide 11.10.2.12, issue 3.2", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.peer_win = 10000);
	long sent = 0, rc;
	int woken = 0;

	while ((rc = ps_tcp_send(s, 50000)) > 0)
		sent += rc;
	PS_EQ(s, rc, -EAGAIN);
	PS_EQ(s, sent, 1 << 20);
	PS_EQ(s, ps_tcp_send_single(s, 1), -EAGAIN);
	ps_count(s, TX_EAGAIN, 2);
	PS_EQ(s, ps_poll(s), 0);
	for (unsigned n = 0; !woken && n < 2000; n++) {
		ps_ignore(s, 0);
		ps_queue(s, "+.001 . 1:1(0) ack %u win 10000", ps_probe(s)->snd_nxt);
		PS_EQ(s, zt_set_clock(zt_clock() + 2000000), 0);
		woken = ps_poll(s) > 0;
	}
	PS_OK(s, woken);
	PS_OK(s, ps_tcp_send(s, 1000) > 0);
	for (unsigned n = 0; ps_probe(s)->snd_una != ps_probe(s)->snd_end && n < 2000; n++) {
		ps_ignore(s, .001);
		ps_in(s, "+.001 . 1:1(0) ack %u win 10000", ps_probe(s)->snd_nxt);
	}
	PS_OK(s, ps_probe(s)->snd_una == ps_probe(s)->snd_end);
}

PKT_TEST(tcp_ten_seconds_between_polls, "design: timers run after receive is drained")
{
	struct ps *s = ps_established(.peer_sack = true, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_queue(s, "+.1 . 1:1(0) ack 101"); /* the answer waits while we are elsewhere */
	PS_EQ(s, zt_set_clock(zt_clock() + 10000000000ull), 0);
	ps_silence(s, 0);
	ps_count(s, TCP_RETRANS, 0);
	PS_EQ(s, ps_probe(s)->flight, 0);
	/* Received data, and nobody looks for ten seconds. */
	ps_queue(s, "+0 P. 1:101(100) ack 101");
	PS_EQ(s, zt_set_clock(zt_clock() + 10000000000ull), 0);
	ps_out(s, "+0~+11 . 101:101(0) ack 101");
	ps_tcp_recv(s, 100);
}

PKT_TEST(tcp_sends_without_polls_for_ten_seconds, "design: a send is stamped by its own clock")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, zt_set_clock(zt_clock() + 10000000000ull), 0);
	PS_EQ(s, ps_tcp_send(s, 100), 100); /* before any poll */
	ps_out(s, "+10 P. 1:101(100) ack 1");
	ps_silence(s, .29);
	ps_out(s, "+.01 P. 1:101(100) ack 1"); /* .3 from when it left */
	ps_in(s, "+.1 . 1:1(0) ack 101");
}

PKT_TEST(tcp_half_of_the_sequence_space, "RFC 9293 3.4: comparisons modulo 2^32")
{
	struct ps *s = ps_open();

	ps_isn(s, 0x7ffffff0);
	ps_peer_isn(s, 0x7fffffff);
	ps_connect(s);
	ps_handshake(s, .peer_sack = true);
	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 P. 1:101(100) ack 101");
	ps_out(s, "+0~+.041 . 101:101(0) ack 101");
	ps_tcp_recv(s, 100);
}

PKT_TEST(tcp_push_marks_the_end_of_a_send, "RFC 9293 MUST-60, MUST-61")
{
	struct ps *s = ps_established(.peer_mss = 1000);

	PS_EQ(s, ps_tcp_send(s, 2500), 2500);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1001:2001(1000) ack 1");
	ps_out(s, "+0 P. 2001:2501(500) ack 1");
	PS_EQ(s, ps_tcp_send(s, 1000, MSG_MORE), 1000); /* full, but not the end */
	ps_out(s, "+0 . 2501:3501(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 3501");
}

PKT_TEST(tcp_msg_more_and_an_ack, "guide 11.10.2.12 note 3")
{
	struct ps *s = ps_established(.peer_mss = 1000, .attrs = "tcp_delayed_ack=0");

	PS_EQ(s, ps_tcp_send_single(s, 300, MSG_MORE), 300);
	ps_silence(s, 1);
	ps_in(s, "+0 P. 1:11(10) ack 1"); /* the ACK may take the tail along, and need not */
	PS_OK(s, ps_ignore(s, .01) >= 1);
	PS_EQ(s, ps_tcp_send(s, 200), 200);
	ps_ignore(s, .01);
	PS_EQ(s, ps_probe(s)->snd_nxt, 501);
	ps_in(s, "+.01 . 11:11(0) ack 501");
	ps_tcp_recv(s, 10);
}

/* The tail of a send that found no room for all of it waits for the rest. */
PKT_TEST_IN(tcp_tail_of_a_partial_send_is_held, "guide 11.10.2.12 note 2", PS_NO_TX_MODES)
{
	struct ps *s = ps_established(.peer_mss = 1000, .peer_wscale = 7);
	long rc = ps_tcp_send(s, 1100000);
	unsigned n;

	PS_EQ(s, rc, 1023000); /* as many records as a queue has: whole segments */
	for (n = 0; ps_probe(s)->snd_una < 1 + (unsigned)rc / 1000 * 1000 && n < 2000; n++) {
		ps_ignore(s, .001);
		ps_in(s, "+.001 . 1:1(0) ack %u", ps_probe(s)->snd_nxt);
	}
	PS_EQ(s, ps_probe(s)->snd_una, 1 + rc);
}
