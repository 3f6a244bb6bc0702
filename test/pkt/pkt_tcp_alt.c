/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives: the results of the calls, in the order of the table in doc/alternatives.md. How much fits is in
 * pkt_tcp_alt_space.c, what happens to prepared frames while the world moves in pkt_tcp_alt_live.c.
 */
#include <errno.h>

#include "core/pool.h"
#include "pkt/ps_alt.h"

PKT_TEST(alt_is_sent, "guide 5.10: queue, send")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 100), 0);
	ps_silence(s, 1);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:101(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 101");
	ps_silence(s, 1);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 101:111(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 111");
	ps_count(s, ALT_SENT, 1);
}

PKT_TEST(alt_one_of_three, "guide 5.10: the example of A, B, or both")
{
	struct ps *s = ps_established(.attrs = "alt_count=3");
	zf_althandle a = ps_alt(s), b = ps_alt(s), ab = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	PS_EQ(s, ps_alt_queue(s, ab, 10), 0);
	PS_EQ(s, ps_alt_queue(s, ab, 20), 0);
	PS_EQ(s, ps_alt_send(s, ab), 0);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_alt_cancel(s, b), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+0 P. 11:31(20) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 31");
	PS_EQ(s, zf_alternatives_release(ps_stack(s), a), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), b), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), ab), 0);
}

/* alloc, release, cancel. */

PKT_TEST(alt_alloc_gives_the_lowest, "guide 11.6.2.1: ENOMEM")
{
	struct ps *s = ps_open(.attrs = "alt_count=3");
	zf_althandle h = 77;

	for (uint32_t i = 0; i < 3; i++)
		PS_EQ(s, ps_alt(s), i);
	PS_EQ(s, zf_alternatives_alloc(ps_stack(s), NULL, &h), -ENOMEM);
	PS_EQ(s, h, 77);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), 2), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), 1), 0);
	PS_EQ(s, ps_alt(s), 1);
	PS_EQ(s, ps_alt(s), 2);
}

PKT_TEST(alt_alloc_without, "guide 11.6.2.1: alt_count defaults to 0")
{
	struct ps *s = ps_open();
	zf_althandle h;

	PS_EQ(s, zf_alternatives_alloc(ps_stack(s), NULL, &h), -ENOMEM);
	PS_EQ(s, zf_alternatives_free_space(ps_stack(s), 0), 0);
	PS_EQ(s, zf_alternatives_cancel(ps_stack(s), 0), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), 0), 0);
	PS_EQ(s, zf_alternatives_send(ps_stack(s), 0), -EINVAL);
}

PKT_TEST(alt_release_and_cancel_of_anything, "guide 11.6.2.2, 11.6.2.5: 0")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, zf_alternatives_cancel(ps_stack(s), a), 0); /* empty */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);                 /* which is done at once */
	PS_EQ(s, zf_alternatives_cancel(ps_stack(s), 1), 0); /* not allocated */
	PS_EQ(s, zf_alternatives_release(ps_stack(s), 1), 0);
	PS_EQ(s, zf_alternatives_cancel(ps_stack(s), 2), 0); /* none */
	PS_EQ(s, zf_alternatives_release(ps_stack(s), UINT64_MAX), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	PS_EQ(s, ps_alt_cancel(s, a), 0); /* sent is sent */
	ps_in(s, "+.01 . 1:1(0) ack 11");
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), a), 0);
	ps_silence(s, 1);
}

PKT_TEST(alt_release_drops_and_drains, "guide 11.6.2.5")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, zf_alternatives_release(ps_stack(s), a), 0);
	PS_EQ(s, zf_alternatives_send(ps_stack(s), a), -EINVAL); /* not ours any more */
	a = ps_alt(s);
	(void)ps_alt_cancel(s, a);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

/* queue. */

PKT_TEST(alt_queue_einval, "guide 11.6.2.7: EINVAL")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	struct zft *first = ps_zft(s), *second;
	struct iovec iov[2] = {{"abc", 3}, {"def", 3}};
	zf_althandle a = ps_alt(s);

	PS_EQ(s, zft_alternatives_queue(first, 1, iov, 1, 0), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, UINT64_MAX, iov, 1, 0), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, a, iov, 0, 0), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, a, iov, 2, 0), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, a, iov, -1, 0), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, a, iov, 1, MSG_MORE), -EINVAL);
	PS_EQ(s, zft_alternatives_queue(first, a, iov, 1, 1), -EINVAL);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	second = ps_connect_to(s, "us:1001", "peer:2001");
	ps_handshake(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EINVAL);
	ps_use(s, first);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+0 P. 11:21(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 21");
	/* Sent, it is free for the other one. */
	ps_use(s, second);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(alt_queue_einval_of_another_stack, "guide 11.6.2.1: only for zockets of the stack")
{
	struct ps *s = ps_established();
	struct iovec iov = {"abc", 3};

	PS_EQ(s, zft_alternatives_queue(ps_zft(s), 0, &iov, 1, 0), -EINVAL);
}

PKT_TEST(alt_queue_busy_until_a_poll, "guide 11.6.2.7: EBUSY")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	for (int i = 0; i < 3; i++)
		PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)), 1); /* that poll */
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_alt_run(s);
	PS_EQ(s, ps_alt_send(s, a), 0); /* nothing queued */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	for (int i = 0; i < 3; i++)
		PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_send(s, a), 0);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(alt_queue_behind_unsent_data, "guide 11.6.2.7: EAGAIN")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_tcp_send(s, 10, MSG_MORE), 10);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EAGAIN);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:21(20) ack 1");
	PS_EQ(s, ps_alt_queue(s, a, 10), 0); /* what is in flight does not matter */
	ps_in(s, "+.01 . 1:1(0) ack 21");
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 21:31(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 31");
}

PKT_TEST(alt_queue_while_connecting, "doc/alternatives.md: EAGAIN")
{
	struct ps *s = ps_open(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	ps_connect(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EAGAIN);
	ps_handshake(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
}

PKT_TEST(alt_queue_after_the_end, "doc/alternatives.md: ENOTCONN")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	PS_EQ(s, ps_alt_queue(s, a, 10), -ENOTCONN);
	ps_in(s, "+.01 R. 1:1(0) ack 2");
	PS_EQ(s, ps_alt_queue(s, a, 10), -ENOTCONN);
}

PKT_TEST(alt_queue_after_the_peers_fin, "RFC 9293 3.6: CLOSE-WAIT sends")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	ps_in(s, "+0 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 2");
	ps_in(s, "+.01 . 2:2(0) ack 11");
}

PKT_TEST_IN(alt_queue_without_buffers, "guide 11.6.2.7: ENOMEM", PS_ALONE)
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_alt_queue(s, a, 10), -ENOMEM);
	pool_fail_after = 3; /* all or nothing */
	pool_fail_every = 0;
	PS_EQ(s, ps_alt_queue(s, a, 4 * 1460), -ENOMEM);
	pool_fail_after = 0;
	PS_EQ(s, ps_alt_queue(s, a, 1460 + 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_out(s, "+0 . 11:1471(1460) ack 1");
	ps_out(s, "+0 P. 1471:1481(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1481");
}

PKT_TEST(alt_queue_64_segments, "guide 11.6.2.7: ENOBUFS")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	for (int i = 0; i < 63; i++)
		PS_EQ(s, ps_alt_queue(s, a, 1), 0);
	PS_EQ(s, ps_alt_queue(s, a, 1461), -ENOBUFS);
	PS_EQ(s, ps_alt_queue(s, a, 1), 0);
	PS_EQ(s, ps_alt_queue(s, a, 1), -ENOBUFS);
	PS_EQ(s, ps_alt_send(s, a), 0);
	for (int i = 0; i < 64; i++)
		ps_out(s, "+0 P. %d:%d(1) ack 1", 1 + i, 2 + i);
	ps_in(s, "+.01 . 1:1(0) ack 65");
	/* That comes before the windows. */
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 64 * 1460 + 1), -ENOBUFS);
	PS_EQ(s, ps_alt_queue(s, a, 64 * 1460), -EMSGSIZE);
}

PKT_TEST(alt_queue_beyond_cwnd, "guide 11.6.2.7: EMSGSIZE")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_win = 14599);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_probe(s)->cwnd, 14600);
	PS_EQ(s, ps_alt_queue(s, a, 14601), -EMSGSIZE); /* before the peer's window */
	PS_EQ(s, ps_alt_queue(s, a, 14600), -EAGAIN);
	PS_EQ(s, ps_alt_queue(s, a, 10000), 0);
	PS_EQ(s, ps_alt_queue(s, a, 4601), -EMSGSIZE);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
}

PKT_TEST(alt_queue_beyond_the_window, "guide 11.6.2.7: EAGAIN")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_win = 1000);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 1001), -EAGAIN);
	PS_EQ(s, ps_tcp_send(s, 300), 300);
	ps_out(s, "+0 P. 1:301(300) ack 1");
	PS_EQ(s, ps_alt_queue(s, a, 701), -EAGAIN);
	PS_EQ(s, ps_alt_queue(s, a, 600), 0);
	PS_EQ(s, ps_alt_queue(s, a, 101), -EAGAIN);
	PS_EQ(s, ps_alt_queue(s, a, 100), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 301:901(600) ack 1");
	ps_out(s, "+0 P. 901:1001(100) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1001");
}

PKT_TEST_IN(alt_queue_on_a_full_port, "doc/alternatives.md: EBUSY", PS_ALL_MODES & ~(PS_MODE(PS_BLIND) | PS_MODE(PS_SHARED)))
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	mem_cfg(ps_port(s))->credit = 0;
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	ps_silence(s, .1);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(alt_queue_splits_at_the_mss, "guide 11.6.2.7")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_mss = 1000);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 2500), 0);
	PS_EQ(s, ps_alt_queue(s, a, 1000), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1001:2001(1000) ack 1");
	ps_out(s, "+0 P. 2001:2501(500) ack 1");
	ps_out(s, "+0 P. 2501:3501(1000) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 3501");
}

PKT_TEST(alt_queue_of_nothing_ties, "doc/alternatives.md: tied but empty")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	struct zft *first = ps_zft(s);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 0), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_silence(s, 1);
	ps_connect_to(s, "us:1001", "peer:2001");
	ps_handshake(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EINVAL);
	ps_use(s, first);
	PS_EQ(s, ps_tcp_send(s, 10), 10); /* spoils nothing */
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 11:21(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 21");
}

/* send. */

PKT_TEST(alt_send_after_a_normal_send, "guide 11.6.2.6: EINVAL")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_probe(s)->fast_send, false);
	PS_EQ(s, ps_tcp_send(s, 20), 20);
	ps_out(s, "+0 P. 1:21(20) ack 1");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_in(s, "+.01 . 1:1(0) ack 21");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_silence(s, 1);
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_probe(s)->fast_send, !ps_mode_is_slow());
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 21:31(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 31");
}

PKT_TEST(alt_send_after_a_held_send, "guide 11.6.2.6: EINVAL; the tail has not left")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_tcp_send(s, 20, MSG_MORE), 20);
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	PS_EQ(s, ps_tcp_send(s, 20), 20);
	ps_out(s, "+0 P. 1:41(40) ack 1");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_in(s, "+.01 . 1:1(0) ack 41");
}

PKT_TEST(alt_send_after_its_sibling, "guide 11.6.2.6: EINVAL")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, b, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	PS_EQ(s, ps_alt_send(s, b), -EINVAL);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	PS_EQ(s, ps_alt_send(s, b), -EINVAL);
	PS_EQ(s, ps_probe(s)->fast_send, false);
	/* The first is free, and of use, although the second one is not. */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 11:21(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 21");
	PS_EQ(s, ps_alt_cancel(s, b), 0);
	PS_EQ(s, ps_probe(s)->fast_send, !ps_mode_is_slow());
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, b, 10), 0);
	PS_EQ(s, ps_alt_send(s, b), 0);
	ps_out(s, "+0 P. 21:31(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 31");
}

PKT_TEST(alt_send_after_shutdown, "guide 11.6.2.6: EINVAL")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	ps_in(s, "+.01 . 1:1(0) ack 2");
	PS_EQ(s, ps_alt_send(s, a), -EINVAL);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_send(s, a), 0);
}

PKT_TEST(alt_of_a_freed_zocket, "doc/alternatives.md: cancelled")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	struct zft *first = ps_zft(s), *second;

	second = ps_connect_to(s, "us:1001", "peer:2001");
	ps_handshake(s);
	ps_use(s, first);
	PS_EQ(s, ps_alt_queue(s, a, 3000), 0);
	PS_EQ(s, ps_alt_queue(s, b, 0), 0);
	ps_tcp_free(s);
	ps_use(s, second);
	(void)ps_alt_cancel(s, a);
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	PS_EQ(s, ps_alt_queue(s, b, 10), 0); /* tied no more */
	ps_out(s, "+0 F. 1:1(0) ack 1 sport 1000 dport 2000");
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(alt_of_a_reset_zocket, "doc/alternatives.md: cancelled")
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 100), 0);
	ps_in(s, "+.01 R. 1:1(0) ack 1");
	ps_error(s, ECONNRESET);
	ps_alt_run(s);
	PS_EQ(s, zf_alternatives_send(ps_stack(s), a), 0);
	PS_EQ(s, zft_alternatives_queue(ps_zft(s), a, &(struct iovec){"x", 1}, 1, 0), -ENOTCONN);
	(void)ps_alt_cancel(s, a);
	ps_tcp_free(s);
	ps_connect_to(s, "us:1001", "peer:2001");
	ps_handshake(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST_IN(alt_and_quiescence, "doc/alternatives.md: not while one drains", PS_ALL_MODES & ~PS_MODE(PS_SHARED))
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_wait_for_time_wait=0");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_in(s, "+0 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 2");
	ps_in(s, "+.01 . 2:2(0) ack 2");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_tcp_free(s);
	ps_connect_to(s, "us:1001", "peer:2001");
	ps_handshake(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	ps_queue(s, "+0 R. 1:1(0) ack 1");
	(void)zf_reactor_perform(ps_stack(s));
	ps_alt_run(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}
