/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends for practice: zft_send_single_warm() and zfut_send_single_warm() send nothing and change nothing.
 */
#include <errno.h>
#include <string.h>

#include "core/pool.h"
#include "pkt/ps_zft.h"

static void
same_counters(struct ps *s, const uint64_t *was)
{
	for (int i = 0; i < CNT__N; i++)
		PS_EQ(s, ps_ctx(s)->counters[i], was[i]);
}

PKT_TEST(warm_tcp_changes_nothing, "API since 2018")
{
	struct ps *s = ps_established(.rcv_wnd = 65535);
	struct zt_tcp was = *ps_probe(s);
	uint64_t counters[CNT__N];
	uint32_t bufs = pool_free_count(ps_ctx(s)->pool);

	memcpy(counters, ps_ctx(s)->counters, sizeof(counters));
	for (int i = 0; i < 100; i++)
		PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(100, 0), 100), 100);
	PS_EQ(s, zft_send_single_warm(ps_zft(s), NULL, 0), 0);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)) && !ps_mode_is_blind(), 0);
	ps_silence(s, .001);
	same_counters(s, counters);
	PS_EQ(s, memcmp(&was, ps_probe(s), sizeof(was)), 0);
	PS_EQ(s, pool_free_count(ps_ctx(s)->pool), bufs);
	/* The bytes were forgotten: the next real ones are the stream's first. */
	PS_EQ(s, ps_tcp_send_single(s, 60), 60);
	ps_out(s, "+0 P. 1:61(60) ack 1");
	ps_in(s, "+.01 P. 1:101(100) ack 61");
	/* A window that practice computed is not promised. */
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(100, 0), 100), 100);
	ps_tcp_recv(s, 100);
	PS_EQ(s, ps_tcp_send_single(s, 60), 60);
	ps_out(s, "+0 P. 61:121(60) ack 101");
	ps_in(s, "+.01 . 101:101(0) ack 121");
}

PKT_TEST(warm_tcp_codes, "API since 2018: EAGAIN, EMSGSIZE, ENOTCONN")
{
	struct ps *s = ps_established(.peer_win = 200);

	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1500, 0), 1461), -EMSGSIZE);
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1500, 0), 201), -EAGAIN); /* the peer's window */
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(200, 0), 200), 200);
	PS_EQ(s, ps_tcp_send_single(s, 200), 200);
	ps_out(s, "+0 P. 1:201(200) ack 1");
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1, 0), 1), -EAGAIN);
	ps_in(s, "+.01 . 1:1(0) ack 201");
	ps_shutdown(s);
	ps_out(s, "+0 F. 201:201(0) ack 1");
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1, 0), 1), -ENOTCONN);
	ps_in(s, "+.01 . 1:1(0) ack 202");
}

PKT_TEST_IN(warm_tcp_without_buffers, "API since 2018: ENOMEM", PS_NORMAL_ONLY)
{
	struct ps *s = ps_established(.open.n_bufs = 64);
	struct rte_mbuf *taken[64];
	uint32_t n = 0;

	while (n < 64 && (taken[n] = pkt_take(ps_ctx(s)->pool)) != NULL)
		n++;
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1, 0), 1), -ENOMEM);
	while (n > 0)
		pkt_put(ps_ctx(s)->pool, taken[--n]);
	PS_EQ(s, zft_send_single_warm(ps_zft(s), ps_payload(1, 0), 1), 1);
}

PKT_TEST(warm_udp_changes_nothing, "API since 2018")
{
	struct ps *s = ps_open();
	struct zfut *us = ps_zfut(s, "us:1000", "peer:2000");
	uint64_t counters[CNT__N];
	uint32_t bufs = pool_free_count(ps_ctx(s)->pool);

	memcpy(counters, ps_ctx(s)->counters, sizeof(counters));
	for (int i = 0; i < 100; i++)
		PS_EQ(s, zfut_send_single_warm(us, ps_payload(100, 0), 100), 100);
	PS_EQ(s, zfut_send_single_warm(us, NULL, 0), 0);
	PS_EQ(s, zf_stack_has_pending_work(ps_stack(s)) && !ps_mode_is_blind(), 0);
	ps_silence(s, .001);
	same_counters(s, counters);
	PS_EQ(s, pool_free_count(ps_ctx(s)->pool), bufs);
	PS_EQ(s, ps_send_single(s, us, 60), 60);
	ps_out(s, "+0 udp 1000 > 2000 (60)");
	PS_EQ(s, ps_send_single(s, us, 100), 100);
	ps_out(s, "+0 udp 1000 > 2000 (100)");
}

/* Another thread's event comes between the look for it and the send: as if practice had begun just before. Taking it would
 * give the real port back, and the datagram would leave.
 */
PKT_TEST_IN(warm_udp_meets_an_event, "API since 2018", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open();
	struct zfut *us = ps_zfut(s, "us:1000", "peer:2000");
	uint64_t counters[CNT__N];

	memcpy(counters, ps_ctx(s)->counters, sizeof(counters));
	ps_ctx(s)->warming = true;
	atomic_fetch_or(&ps_ctx(s)->events, PORT_EV_LINK);
	PS_EQ(s, zfut_send_single(us, ps_payload(100, 0), 100), -EAGAIN);
	PS_EQ(s, atomic_load(&ps_ctx(s)->events), PORT_EV_LINK); /* it waits for the next poll */
	PS_EQ(s, atomic_load(&ps_ctx(s)->busy), 0);
	ps_ctx(s)->warming = false;
	same_counters(s, counters);
	PS_EQ(s, zfut_send_single_warm(us, ps_payload(100, 0), 100), -EAGAIN);
	PS_EQ(s, atomic_load(&ps_ctx(s)->busy), 0);
	ps_silence(s, .001);
	PS_EQ(s, ps_send_single(s, us, 60), 60);
	ps_out(s, "+0 udp 1000 > 2000 (60)");
}

PKT_TEST(warm_udp_codes, "API since 2018: EAGAIN, EMSGSIZE")
{
	struct ps *s = ps_open();
	struct zfut *us = ps_zfut(s, "us:1000", "peer:2000"), *far;

	PS_EQ(s, zfut_send_single_warm(us, ps_payload(1500, 0), 1473), -EMSGSIZE);
	PS_EQ(s, zfut_send_single_warm(us, ps_payload(60, 0), 60), 60);
	far = ps_zfut(s, "us:1001", "192.0.2.99:2000"); /* who does not answer ARP */
	ps_ignore(s, 0);
	PS_EQ(s, zfut_send_single_warm(far, ps_payload(1, 0), 1), -EAGAIN);
	ps_ignore(s, 5);
}

PKT_TEST_IN(warm_udp_without_buffers, "API since 2018: ENOBUFS", PS_NORMAL_ONLY)
{
	struct ps *s = ps_open(.n_bufs = 64);
	struct zfut *us = ps_zfut(s, "us:1000", "peer:2000");
	struct rte_mbuf *taken[64];
	uint32_t n = 0;

	while (n < 64 && (taken[n] = pkt_take(ps_ctx(s)->pool)) != NULL)
		n++;
	PS_EQ(s, zfut_send_single_warm(us, ps_payload(1, 0), 1), -ENOBUFS);
	while (n > 0)
		pkt_put(ps_ctx(s)->pool, taken[--n]);
	PS_EQ(s, zfut_send_single_warm(us, ps_payload(1, 0), 1), 1);
}
