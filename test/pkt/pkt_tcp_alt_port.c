/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives in the port: what only a port that has them can do to the stack. That everything else is the same the other
 * scripts show, which are played in mode alt-port too.
 */
#include <errno.h>

#include "pkt/ps_alt.h"

PKT_TEST_IN(alt_port_drains_late, "driver line: queueing has to wait for every frame", PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);

	for (int i = 0; i < 5; i++)
		PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	for (int i = 0; i < 4; i++) {
		(void)ps_poll(s);
		PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
		PS_EQ(s, ps_alt_send(s, a), -EBUSY);
		PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)), 1);
	}
	(void)ps_poll(s);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	for (int i = 0; i < 5; i++)
		ps_out(s, "+0 P. %d:%d(10) ack 1", 1 + 10 * i, 11 + 10 * i);
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	ps_in(s, "+.01 . 1:1(0) ack 51");
}

PKT_TEST_IN(alt_port_ring_is_full, "doc/alternatives.md: EBUSY, and nothing of it stays", PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1");
	zf_althandle a = ps_alt(s);
	uint32_t space = ps_alt_space(s, a);

	mem_cfg(ps_port(s))->alt_refuses = 1;
	PS_EQ(s, ps_alt_queue(s, a, 3000), -EBUSY);
	PS_EQ(s, ps_alt_space(s, a), space);
	PS_EQ(s, ps_alt_queue(s, a, 3000), 0);
	mem_cfg(ps_port(s))->alt_refuses = 1;
	PS_EQ(s, ps_alt_queue(s, a, 10), -EBUSY);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 . 1:1461(1460) ack 1");
	ps_out(s, "+0 . 1461:2921(1460) ack 1");
	ps_out(s, "+0 P. 2921:3001(80) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 3001");
}

PKT_TEST_IN(alt_port_takes_rebuilt_frames_later, "doc/alternatives.md: the ring is full when they come back",
	    PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1;tcp_alt_ack_rewind=10");
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 100), 0);
	mem_cfg(ps_port(s))->alt_refuses = 3;
	ps_queue(s, "+0 P. 1:11(10) ack 1");
	for (int i = 0; mem_cfg(ps_port(s))->alt_refuses > 0 && i < 20; i++) {
		(void)ps_poll(s);
		PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	}
	PS_EQ(s, mem_cfg(ps_port(s))->alt_refuses, 0);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:101(100) ack 11");
	ps_tcp_recv(s, 10);
	ps_in(s, "+.01 . 11:11(0) ack 101");
}

PKT_TEST_IN(alt_port_is_reset, "driver line: what was in it is gone, and queued anew", PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	zf_althandle a = ps_alt(s), b = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	PS_EQ(s, ps_alt_cancel(s, b), 0); /* drains when it happens */
	mem_ask_reset(ps_port(s));
	PS_EQ(s, ps_alt_send(s, a), -EBUSY);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_queue(s, b, 20), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 11");
	ps_count(s, ALT_REBUILT, 1);
}

PKT_TEST_IN(alt_port_drops_what_goes_another_way, "doc/alternatives.md: sent the ordinary way", PS_MODE(PS_ALT_PORT))
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_win = 1000);
	zf_althandle a = ps_alt(s);

	PS_EQ(s, ps_alt_queue(s, a, 600), 0);
	PS_EQ(s, ps_alt_queue(s, a, 400), 0);
	ps_in(s, "+.01 P. 1:11(10) ack 1 win 700");
	ps_tcp_recv(s, 10);
	PS_EQ(s, ps_alt_send(s, a), 0); /* the port holds two frames, one is sent, once */
	ps_out(s, "+0 P. 1:601(600) ack 11");
	ps_alt_run(s);
	ps_in(s, "+.01 . 11:11(0) ack 601 win 1000");
	ps_out(s, "+0 P. 601:1001(400) ack 11");
	ps_in(s, "+.01 . 11:11(0) ack 1001");
}
