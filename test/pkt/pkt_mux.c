/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The multiplexer (guide 3.3, 5.11, 11.2): sets and their members, documented codes, what is reported and when. The table
 * of doc/muxer.md, every kind of zocket by every event, is in pkt_mux_events.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "pkt/ps_mux.h"

struct zf_muxer_set *
ps_mux(struct ps *s)
{
	struct zf_muxer_set *set = NULL;

	PS_EQ(s, zf_muxer_alloc(ps_stack(s), &set), 0);
	return set;
}

int
ps_mux_add(struct zf_muxer_set *set, struct zf_waitable *w, uint32_t events, uint64_t data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	return zf_muxer_add(set, w, &ev);
}

int
ps_mux_mod(struct zf_waitable *w, uint32_t events, uint64_t data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	return zf_muxer_mod(w, &ev);
}

uint32_t
ps_mux_one(struct ps *s, struct zf_muxer_set *set, uint64_t *data)
{
	struct epoll_event ev[4];
	int n = zf_muxer_wait(set, ev, 4, 0);

	PS_OK(s, n == 0 || n == 1);
	if (n == 0)
		return 0;
	if (data != NULL)
		*data = ev[0].data.u64;
	return ev[0].events;
}

PKT_TEST(mux_codes_of_members, "guide 11.2.2: EALREADY, EBUSY, EINVAL, EXDEV")
{
	struct ps *s = ps_open();
	struct zf_muxer_set *a = ps_mux(s), *b = ps_mux(s);
	struct zfur *us = ps_zfur(s, "us:1000");
	struct zf_waitable *w = zfur_to_waitable(us);
	struct zt *t;

	PS_EQ(s, ps_mux_mod(w, EPOLLIN, 0), -EINVAL);
	PS_EQ(s, zf_muxer_del(w), -EINVAL);
	PS_OK(s, zf_waitable_event(w) == NULL);
	PS_EQ(s, ps_mux_add(a, w, EPOLLIN, 7), 0);
	PS_EQ(s, ps_mux_add(a, w, EPOLLIN, 8), -EALREADY);
	PS_EQ(s, ps_mux_add(b, w, EPOLLIN, 9), -EBUSY);
	PS_EQ(s, zf_waitable_event(w)->data.u64, 7);
	PS_EQ(s, zf_waitable_event(w)->events, EPOLLIN);
	PS_EQ(s, ps_mux_mod(w, EPOLLIN | EPOLLHUP, 10), 0);
	PS_EQ(s, zf_waitable_event(w)->data.u64, 10);
	PS_EQ(s, zf_muxer_del(w), 0);
	PS_EQ(s, zf_muxer_del(w), -EINVAL);
	PS_EQ(s, ps_mux_add(b, w, EPOLLIN, 9), 0);
	ps_zfur_free(s, us);
	PS_EQ(s, zf_muxer_del(w), -EINVAL);
	PS_EQ(s, ps_mux_add(b, w, EPOLLIN, 9), -EINVAL);

	PS_EQ(s, zt_open(&t, "ipv4=192.0.2.9/24;n_bufs=256"), 0);
	PS_EQ(s, ps_mux_add(a, zf_stack_to_waitable(zt_stack(t)), EPOLLSTACKHUP, 0), -EXDEV);
	PS_EQ(s, zt_close(t, NULL), 0);
	zf_muxer_free(a);
	zf_muxer_free(b);
	zf_muxer_free(NULL);
}

PKT_TEST(mux_sets_run_out, "guide 11.2.2.2: ENOMEM")
{
	struct ps *s = ps_open(.attrs = "max_udp_rx_endpoints=2;max_udp_tx_endpoints=1;max_tcp_endpoints=1;"
					"max_tcp_listen_endpoints=1");
	struct zf_muxer_set *sets[128], *one = NULL;
	int n = 0;

	while (n < 128 && zf_muxer_alloc(ps_stack(s), &sets[n]) == 0)
		n++;
	PS_EQ(s, n, 2 + 1 + 1 + 1 + 1 + 64); /* a set for each waitable, and 64 */
	PS_EQ(s, zf_muxer_alloc(ps_stack(s), &one), -ENOMEM);
	PS_OK(s, one == NULL);
	zf_muxer_free(sets[3]);
	PS_EQ(s, zf_muxer_alloc(ps_stack(s), &sets[3]), 0);
	while (n > 0)
		zf_muxer_free(sets[--n]);
}

PKT_TEST(mux_edge_by_edge, "guide 11.2.2.6")
{
	struct ps *s = ps_open();
	struct zf_muxer_set *set = ps_mux(s);
	struct zfur *us = ps_zfur(s, "us:1000");
	struct zf_waitable *w = zfur_to_waitable(us);
	uint64_t data = 0;

	PS_EQ(s, ps_mux_add(set, w, EPOLLIN, 77), 0);
	PS_EQ(s, ps_mux_one(s, set, NULL), 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	PS_EQ(s, ps_mux_one(s, set, &data), EPOLLIN);
	PS_EQ(s, data, 77);
	PS_EQ(s, ps_mux_one(s, set, NULL), 0); /* still there, but no news */
	ps_in(s, "+0 udp 2000 > 1000 (12)");   /* any arrival is an edge */
	PS_EQ(s, ps_mux_one(s, set, NULL), EPOLLIN);
	PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0); /* armed again */
	PS_EQ(s, ps_mux_one(s, set, &data), EPOLLIN);
	PS_EQ(s, data, 77);
	ps_recv(s, us, "peer:2000", 12);
	ps_recv(s, us, "peer:2000", 12);
	PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
	PS_EQ(s, ps_mux_one(s, set, NULL), 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	ps_recv(s, us, "peer:2000", 12); /* read before anybody asked: nothing to report */
	PS_EQ(s, ps_mux_one(s, set, NULL), 0);
	zf_muxer_free(set);
	PS_EQ(s, zf_muxer_del(w), 0);
}

/* Overlapped receiving may be asked for; what comes is a whole message and plain EPOLLIN (api since 2020). */
PKT_TEST(mux_overlapped_is_plain, "API since 2020")
{
	struct ps *s = ps_open();
	struct zf_muxer_set *set = ps_mux(s);
	struct zfur *us = ps_zfur(s, "us:1000");
	struct {
		struct zfur_msg msg;
		struct iovec iov[1];
	} rd = {.msg.iovcnt = 1, .iov[0].iov_len = 12};

	PS_EQ(s, ps_mux_add(set, zfur_to_waitable(us), ZF_EPOLLIN_OVERLAPPED, 1), 0);
	zfur_zc_recv(us, &rd.msg, ZF_OVERLAPPED_WAIT);
	PS_EQ(s, rd.msg.iovcnt, 0); /* back to the muxer */
	ps_in(s, "+0 udp 2000 > 1000 (40)");
	PS_EQ(s, ps_mux_one(s, set, NULL), EPOLLIN);
	rd.msg.iovcnt = 1;
	zfur_zc_recv(us, &rd.msg, ZF_OVERLAPPED_COMPLETE);
	PS_EQ(s, rd.msg.iovcnt, 1);
	PS_EQ(s, rd.iov[0].iov_len, 40);
	zfur_zc_recv_done(us, &rd.msg);
	PS_EQ(s, ps_mux_one(s, set, NULL), 0);
	zf_muxer_free(set);
}
