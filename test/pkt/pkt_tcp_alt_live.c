/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives: what becomes of prepared frames while data arrives, windows and paths change and the port is full, and
 * of what was sent. The results of the calls are in pkt_tcp_alt.c.
 */
#include <errno.h>

#include "core/pool.h"
#include "pkt/ps_alt.h"

/* Data that arrives. */

PKT_TEST(alt_keeps_an_older_ack, "attribute tcp_alt_ack_rewind: one byte less")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s);

	ps_no_tcp_check(s); /* the acknowledgement goes back */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.01 P. 1:100(99) ack 1");
	ps_out(s, "+.04 . 1:1(0) ack 100");
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_tcp_recv(s, 99);
	ps_in(s, "+.01 R 100:100(0)");
	ps_count(s, ALT_REBUILT, 0);
}

PKT_TEST(alt_is_rebuilt, "attribute tcp_alt_ack_rewind")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, a, 20), 0);
	ps_queue(s, "+0 P. 1:101(100) ack 1");
	PS_EQ(s, ps_poll(s), 1);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)), 1);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)), 1);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 30), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 101");
	ps_out(s, "+0 P. 11:31(20) ack 101");
	ps_out(s, "+0 P. 31:61(30) ack 101");
	ps_tcp_recv(s, 100);
	ps_in(s, "+.01 . 101:101(0) ack 61");
	ps_count(s, ALT_REBUILT, 1);
}

PKT_TEST(alt_is_rebuilt_by_polls_alone, "doc/alternatives.md: nobody has to send for it")
{
	struct ps *s = ps_established(.attrs = "alt_count=2;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.01 P. 1:61(60) ack 1");
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	ps_tcp_recv(s, 60);
	ps_in(s, "+.01 P. 61:121(60) ack 1");
	ps_tcp_recv(s, 60);
	ps_silence(s, .001);
	ps_count(s, ALT_REBUILT, 1); /* the other one is young enough */
	if (!ps_mode_is_blind())
		PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 121");
	PS_EQ(s, ps_alt_cancel(s, b), 0);
	ps_in(s, "+.01 . 121:121(0) ack 11");
}

PKT_TEST(alt_is_rebuilt_at_any_byte, "attribute tcp_alt_ack_rewind=0")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=0");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_silence(s, 1);
	ps_in(s, "+0 P. 1:2(1) ack 1");
	PS_EQ(s, ps_poll(s), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 2");
	ps_tcp_recv(s, 1);
	ps_in(s, "+.01 . 2:2(0) ack 11");
}

PKT_TEST(alt_rebuild_is_cancelled, "doc/alternatives.md: cancel in each state")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_queue(s, "+0 P. 1:101(100) ack 1");
	(void)ps_poll(s);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	ps_alt_run(s);
	ps_tcp_recv(s, 100);
	PS_EQ(s, ps_alt_send(s, a), 0); /* nothing queued */
	PS_EQ(s, ps_alt_queue(s, a, 20), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:21(20) ack 101");
	ps_in(s, "+.01 . 101:101(0) ack 21");
	ps_count(s, ALT_REBUILT, 0);
}

PKT_TEST(alt_rebuild_and_a_normal_send, "doc/alternatives.md: EINVAL comes before EBUSY")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_queue(s, "+0 P. 1:101(100) ack 1");
	(void)ps_poll(s);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	PS_EQ(s, ps_tcp_send(s, 20), 20);
	ps_out(s, "+0 P. 1:21(20) ack 101");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_tcp_recv(s, 100);
	ps_in(s, "+.01 . 101:101(0) ack 21");
}

PKT_TEST(alt_rebuild_and_the_end, "doc/alternatives.md: a zocket ends while its alternative is being rebuilt")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=100");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_queue(s, "+0 P. 1:101(100) ack 1");
	(void)ps_poll(s);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	ps_in(s, "+0 R. 101:101(0) ack 1");
	ps_alt_run(s);
	PS_EQ(s, zf_alternatives_send(ps_stack(s), a), 0);
}

/* What was sent. */

PKT_TEST(alt_is_retransmitted, "doc/alternatives.md: like any other data")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .rtt = .01);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 1470), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 . 1:1461(1460) ack 1");
	ps_out(s, "+0 P. 1461:1471(10) ack 1");
	ps_out(s, "+.2 . 1:1461(1460) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1461");
	ps_out(s, "+0 P. 1461:1471(10) ack 1");
	/* Fresh headers, of course. */
	ps_in(s, "+.01 P. 1:51(50) ack 1461");
	ps_tcp_recv(s, 50);
	ps_out(s, "+.04 . 1471:1471(0) ack 51");
	ps_out(s, "+* P. 1461:1471(10) ack 51");
	ps_in(s, "+.01 . 51:51(0) ack 1471");
	/* And the buffers are free for the next one. */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1471:1481(10) ack 51");
	ps_in(s, "+.01 . 51:51(0) ack 1481");
}

PKT_TEST(alt_refused_message_acknowledges_nothing, "RFC 1122 4.2.3.2: what is not told is still owed")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;alt_buf_size=512");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.01 P. 1:51(50) ack 1");
	ps_tcp_recv(s, 50);
	PS_EQ(s, ps_alt_queue(s, a, 1460), -ENOBUFS); /* it would have told */
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+0 . 11:11(0) ack 51");
	ps_in(s, "+.01 . 51:51(0) ack 11");
}

PKT_TEST(alt_carries_the_ack, "RFC 9293 3.8.6.3: what is owed is told by it")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	ps_in(s, "+.01 P. 1:51(50) ack 1");
	ps_tcp_recv(s, 50);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 51");
	ps_silence(s, .1); /* no delayed one */
	ps_in(s, "+0 . 51:51(0) ack 11");
}

PKT_TEST(alt_owes_the_ack_that_it_lacks, "RFC 9293 3.8.6.3")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	ps_no_tcp_check(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.01 P. 1:51(50) ack 1");
	ps_tcp_recv(s, 50);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+0 . 11:11(0) ack 51"); /* not delayed: the peer may be waiting for it */
	ps_in(s, "+.01 R 51:51(0)");
}

PKT_TEST(alt_does_not_shut_the_window, "RFC 9293 3.8.6: the peer hears what has opened since")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .rcv_wnd = 2000);
	zf_althandle a = ps_alt(s);

	ps_no_tcp_check(s); /* it goes back for a moment */
	ps_in(s, "+0 . 1:1461(1460) ack 1");
	ps_in(s, "+0 P. 1461:2001(540) ack 1");
	ps_out(s, "+.04 . 1:1(0) ack 2001 win 0");
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_tcp_recv(s, 2000);
	ps_out(s, "+0 . 1:1(0) ack 2001 win 2000");
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 2001 win 0");
	ps_out(s, "+0 . 11:11(0) ack 2001 win 2000");
	ps_in(s, "+.01 R 2001:2001(0)");
}

PKT_TEST(alt_tells_a_scaled_window, "RFC 7323 2.3: what the field's unit hides is no shrinking")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_wscale = 2);
	zf_althandle a = ps_alt(s);

	ps_in(s, "+0 P. 1:4(3) ack 1"); /* the edge is 3 bytes off the unit of 8 */
	ps_tcp_recv(s, 3);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 4");
	ps_silence(s, .1);
	ps_in(s, "+.01 . 4:4(0) ack 11");
}

PKT_TEST(alt_promises_nothing, "RFC 9293 3.8.6: a window in a frame that never leaves was not told")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .rcv_wnd = 2000);
	zf_althandle a = ps_alt(s);

	ps_in(s, "+0 P. 1:1001(1000) ack 1");
	ps_tcp_recv(s, 1000);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	ps_out(s, "+.04 . 1:1(0) ack 1001 win 2000");
}

/* Windows. */

PKT_TEST(alt_beyond_what_may_leave, "RFC 5681 3.1: what is in flight counts when it is sent")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_tcp_send(s, 13140), 13140);
	for (int i = 0; i < 9; i++)
		ps_out(s, i == 8 ? "+0 P. %d:%d(1460) ack 1" : "+0 . %d:%d(1460) ack 1", 1 + 1460 * i, 1461 + 1460 * i);
	PS_EQ(s, ps_alt_queue(s, a, 2920), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_count(s, ALT_SENT_SLOW, 1);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY); /* it drains all the same */
	ps_out(s, "+0 . 13141:14601(1460) ack 1");
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EAGAIN);
	ps_in(s, "+.01 . 1:1(0) ack 2921");
	ps_out(s, "+0 P. 14601:16061(1460) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 16061");
}

PKT_TEST(alt_when_the_window_shrinks, "RFC 9293 3.8.6: robust against it")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_win = 1000);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 600), 0);
	PS_EQ(s, ps_alt_queue(s, a, 400), 0);
	ps_in(s, "+.01 P. 1:11(10) ack 1 win 700");
	ps_tcp_recv(s, 10);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:601(600) ack 11");
	ps_in(s, "+.01 . 11:11(0) ack 601 win 1000");
	ps_out(s, "+0 P. 601:1001(400) ack 11");
	ps_in(s, "+.01 . 11:11(0) ack 1001");
}

PKT_TEST(alt_in_recovery, "RFC 5681: what is lost goes first")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .rtt = .01);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_tcp_send(s, 100), 100);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_out(s, "+.2 P. 1:101(100) ack 1");
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 101:111(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 111");
	ps_count(s, ALT_SENT_SLOW, 1);
}

/* The path. */

PKT_TEST(alt_on_a_vlan, "guide 11.6.2.4: VLAN tags count")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .open.vlan = 5);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	ps_count(s, ALT_SENT, 1);
}

PKT_TEST_IN(alt_follows_the_neighbour, "doc/alternatives.md: the next hop moved to another MAC", PS_ALONE)
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+1 arp who-has other tell peer sha 02:aa:00:00:00:07");
	ps_count_min(s, ALT_REBUILT, 1);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 [eth dst 02:aa:00:00:00:07] P. 1:11(10) ack 1");
	ps_in(s, "+.01 [eth src 02:aa:00:00:00:07] . 1:1(0) ack 11");
}

PKT_TEST(alt_on_a_narrower_path, "RFC 1191: longer frames than the path takes are not sent")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_tcp_send(s, 1460), 1460);
	ps_out(s, "+0 P. 1:1461(1460) ack 1");
	PS_EQ(s, ps_alt_queue(s, a, 1460), 0);
	ps_in(s, "+.01 [ip src gw] icmp unreachable frag mtu 1000 [. 1:1461(1460) ack 1]");
	ps_out(s, "+0 . 1:961(960) ack 1");
	ps_out(s, "+0 P. 961:1461(500) ack 1");
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 . 1461:2421(960) ack 1");
	ps_out(s, "+0 P. 2421:2921(500) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2921");
}

PKT_TEST(alt_with_timestamps, "RFC 7323 5.3: none that is older than what the peer has seen")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_ts = true);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.5 P. 1:11(10) ack 1");
	ps_out(s, "+.04 . 1:1(0) ack 11");
	ps_alt_run(s);
	ps_count(s, ALT_REBUILT, 1);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 11");
	ps_tcp_recv(s, 10);
	ps_in(s, "+.01 . 11:11(0) ack 11");
	ps_count(s, ALT_SENT, 1);
}

PKT_TEST(alt_with_timestamps_and_siblings, "RFC 7323 5.3: whichever of them is sent")
{
	struct ps *s = ps_established(.attrs = "alt_count=3", .peer_ts = true);
	zf_althandle a = ps_alt(s), b = ps_alt(s), c = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	ps_in(s, "+.5 P. 1:11(10) ack 1");
	ps_out(s, "+.04 . 1:1(0) ack 11");
	ps_alt_run(s);
	ps_count(s, ALT_REBUILT, 2);
	ps_tcp_recv(s, 10);
	/* The same again, and a third that is of now. */
	ps_in(s, "+.5 P. 11:31(20) ack 1");
	ps_out(s, "+.04 . 1:1(0) ack 31");
	PS_EQ(s, ps_alt_queue(s, c, 30), 0);
	ps_alt_run(s);
	ps_count(s, ALT_REBUILT, 2);
	PS_EQ(s, ps_alt_send(s, b), 0);
	ps_out(s, "+0 P. 1:21(20) ack 31");
	ps_tcp_recv(s, 20);
	ps_in(s, "+.01 . 31:31(0) ack 21");
	ps_count(s, ALT_SENT, 1);
}

PKT_TEST(alt_with_timestamps_and_a_spoiled_one, "RFC 7323 5.3: what can only be cancelled hides nothing")
{
	struct ps *s = ps_established(.attrs = "alt_count=2", .peer_ts = true);
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	ps_in(s, "+.5 P. 1:11(10) ack 11");
	ps_out(s, "+.04 . 11:11(0) ack 11");
	ps_alt_run(s);
	ps_count(s, ALT_REBUILT, 1);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_alt_send(s, b), 0);
	ps_out(s, "+0 P. 11:31(20) ack 11");
	ps_tcp_recv(s, 10);
	ps_in(s, "+.01 . 11:11(0) ack 31");
	ps_count(s, ALT_SENT, 1);
}

/* The port. */

PKT_TEST_IN(alt_at_a_port_that_fills_up, "design: when something runs out",
	    PS_NO_TX_MODES & PS_NO_VI & ~PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_mss = 100);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 500), 0);
	mem_cfg(ps_port(s))->credit = 2;
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 . 1:101(100) ack 1");
	ps_out(s, "+0 . 101:201(100) ack 1");
	ps_silence(s, .01);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EAGAIN); /* the rest is unsent data */
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	ps_out(s, "+* . 201:301(100) ack 1");
	ps_out(s, "+0 . 301:401(100) ack 1");
	ps_out(s, "+0 P. 401:501(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 501");
}

PKT_TEST_IN(alt_at_a_full_port, "design: when something runs out", PS_NO_VI & ~PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 500), 0);
	mem_cfg(ps_port(s))->credit = 0;
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_silence(s, .1);
	PS_EQ(s, ps_probe(s)->flight, 0);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	ps_out(s, "+* P. 1:501(500) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 501");
}

PKT_TEST(alt_while_the_link_is_down, "design: when something breaks; lost frames are sent again")
{
	struct ps *s = ps_established(.attrs = "alt_count=2", .rtt = .01);
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, b, 10), 0);
	mem_set_link(ps_port(s), PORT_LINK_DOWN);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_cancel(s, b), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, b, 10), 0);
	mem_set_link(ps_port(s), PORT_LINK_UP);
	(void)ps_ignore(s, 3);
	PS_EQ(s, ps_probe(s)->flight, 10);
	ps_in(s, "+0 . 1:1(0) ack 11");
}

/* Many of them, one after another, on two zockets: nothing is left over. */
PKT_TEST(alt_again_and_again, "design: nothing leaks")
{
	struct ps *s = ps_established(.attrs = "alt_count=3");
	zf_althandle a[3] = {ps_alt(s), ps_alt(s), ps_alt(s)};
	uint32_t seq = 1, bufs = ps_bufs_free(s);

	for (uint32_t i = 0; i < 200; i++) {
		uint32_t len = 1 + i * 7;

		for (int k = 0; k < 3; k++)
			PS_EQ(s, ps_alt_queue(s, a[k], len), 0);
		PS_EQ(s, ps_alt_send(s, a[i % 3]), 0);
		PS_EQ(s, ps_alt_cancel(s, a[(i + 1) % 3]), 0);
		PS_EQ(s, ps_alt_cancel(s, a[(i + 2) % 3]), 0);
		ps_out(s, "+0 P. %u:%u(%u) ack 1", seq, seq + len, len);
		seq += len;
		ps_in(s, "+.001 . 1:1(0) ack %u", seq);
	}
	if (mem_cfg(ps_port(s))->hold == 0 && ps_mode_now() != PS_SHARED)
		PS_EQ(s, ps_bufs_free(s), bufs);
	ps_count(s, ALT_SENT, 200);
}
