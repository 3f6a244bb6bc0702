/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The multiplexer: events of UDP zockets, sets and their members while things happen to them, and how long
 * zf_muxer_wait() waits, to the nanosecond (guide 11.2.2). The cells of doc/muxer.md that are about TCP: pkt_tcp_mux.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "pkt/ps_mux.h"

#define ALL (EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR | EPOLLRDHUP)
#define MS  1000000ull
/* A waiting call comes to the next frame by a timer of the wheel, whose tick is 2^15 ns. */
#define TICK 32768ull
#define NO_SPLIT (PS_ALL_MODES & ~(PS_MODE(PS_RX_SPLIT_1) | PS_MODE(PS_RX_SPLIT_L3) | PS_MODE(PS_RX_SPLIT_L4)))

/* @events once, and not again. */
static void
edge(struct ps *s, struct zf_muxer_set *set, uint32_t events)
{
	PS_EQ(s, ps_mux_one(s, set, NULL), events);
	PS_EQ(s, ps_mux_one(s, set, NULL), 0);
}

/* What is true now: asked for together, then alone, then not at all. */
static void
level(struct ps *s, struct zf_muxer_set *set, struct zf_waitable *w, uint32_t events)
{
	PS_EQ(s, ps_mux_mod(w, ALL, 1), 0);
	edge(s, set, events);
	for (uint32_t bit = 1; bit <= EPOLLRDHUP; bit <<= 1) {
		PS_EQ(s, ps_mux_mod(w, bit & ALL, 1), 0);
		edge(s, set, events & bit);
	}
	PS_EQ(s, ps_mux_mod(w, ~(uint32_t)ALL & ~(uint32_t)ZF_EPOLLIN_OVERLAPPED, 1), 0);
	edge(s, set, 0);
	PS_EQ(s, ps_mux_mod(w, ALL, 1), 0);
	edge(s, set, events);
}

static struct zf_muxer_set *
set_of(struct ps *s, struct zf_waitable *w, uint32_t events, uint64_t data)
{
	struct zf_muxer_set *set = ps_mux(s);

	PS_EQ(s, ps_mux_add(set, w, events, data), 0);
	return set;
}

PKT_TEST(mux_zfur, "doc/muxer.md, zfur")
{
	struct ps *s = ps_open();
	struct zfur *us = ps_zfur(s, "us:1000");
	struct zf_waitable *w = zfur_to_waitable(us);
	struct zf_muxer_set *set = set_of(s, w, ALL, 1);

	level(s, set, w, 0);
	ps_in(s, "+0 udp 2000 > 1001 (12)"); /* somebody else's */
	ps_ignore(s, 0);
	edge(s, set, 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	edge(s, set, EPOLLIN);
	level(s, set, w, EPOLLIN);
	PS_EQ(s, ps_mux_mod(w, EPOLLOUT | EPOLLHUP, 1), 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	edge(s, set, 0);
	PS_EQ(s, ps_mux_mod(w, ZF_EPOLLIN_OVERLAPPED, 1), 0);
	edge(s, set, EPOLLIN); /* which stands for it */
	ps_recv(s, us, "peer:2000", 12);
	level(s, set, w, EPOLLIN);
	ps_recv(s, us, "peer:2000", 12);
	level(s, set, w, 0);
	PS_EQ(s, zf_muxer_del(w), 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	edge(s, set, 0);
	PS_EQ(s, ps_mux_add(set, w, EPOLLIN, 2), 0); /* true already when it joins */
	edge(s, set, EPOLLIN);
	ps_recv(s, us, "peer:2000", 12);
	ps_zfur_free(s, us);
	edge(s, set, 0);
	zf_muxer_free(set);
}

PKT_TEST(mux_zfur_for_two, "doc/muxer.md, zfur")
{
	struct ps *s = ps_open();
	struct zfur *a = ps_zfur(s, "239.1.2.3:1000"), *b = ps_zfur(s, "239.1.2.3:1000");
	struct zf_muxer_set *set = ps_mux(s), *other = ps_mux(s);
	uint64_t data = 0;

	ps_ignore(s, 30); /* IGMP */
	PS_EQ(s, ps_mux_add(set, zfur_to_waitable(a), EPOLLIN, 1), 0);
	PS_EQ(s, ps_mux_add(other, zfur_to_waitable(b), EPOLLIN, 2), 0);
	ps_in(s, "+0 [ip dst 239.1.2.3] udp 2000 > 1000 (12)");
	PS_EQ(s, ps_mux_one(s, other, &data), EPOLLIN); /* sets of a stack do not take from each other */
	PS_EQ(s, data, 2);
	PS_EQ(s, ps_mux_one(s, set, &data), EPOLLIN);
	PS_EQ(s, data, 1);
	edge(s, set, 0);
	edge(s, other, 0);
	ps_recv(s, a, "peer:2000", 12);
	ps_recv(s, b, "peer:2000", 12);
	ps_zfur_free(s, a);
	ps_zfur_free(s, b);
	ps_ignore(s, 30);
	zf_muxer_free(set);
	zf_muxer_free(other);
}

/* A full port: not writable from the -EAGAIN on until the reactor sees room. */
PKT_TEST_IN(mux_zfut_full_port, "doc/muxer.md, zfut; guide 11.11.2.14", PS_ALONE & ~PS_MODE(PS_BLIND))
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct zf_waitable *w = zfut_to_waitable(ut);
	struct zf_muxer_set *set = set_of(s, w, ALL, 1);
	struct mem_cfg *c = mem_cfg(ps_port(s));

	edge(s, set, EPOLLOUT); /* by joining */
	level(s, set, w, EPOLLOUT);
	PS_EQ(s, ps_send(s, ut, 12), 12); /* sending is no event */
	ps_out(s, "+0 udp 2000 > 1000 (12)");
	edge(s, set, 0);
	c->credit = 0;
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	level(s, set, w, 0);
	PS_EQ(s, zf_muxer_del(w), 0); /* in and out meanwhile, which forgets nothing */
	edge(s, set, 0);
	PS_EQ(s, ps_mux_add(set, w, EPOLLOUT, 1), 0);
	edge(s, set, 0);
	c->credit = MEM_ALL;
	edge(s, set, EPOLLOUT);
	level(s, set, w, EPOLLOUT);
	c->credit = 0;
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	PS_EQ(s, ps_mux_mod(w, EPOLLIN | EPOLLERR, 1), 0);
	c->credit = MEM_ALL;
	edge(s, set, 0); /* not asked for */
	level(s, set, w, EPOLLOUT);
	zf_muxer_free(set);
	PS_EQ(s, zf_muxer_del(w), 0);
}

/* The last room was taken, and nobody was told: what is said of the port is what the next send finds. */
PKT_TEST_IN(mux_zfut_port_full_to_the_brim, "doc/muxer.md, zfut", PS_ALONE & ~PS_MODE(PS_BLIND))
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct zf_waitable *w = zfut_to_waitable(ut);
	struct zf_muxer_set *set = set_of(s, w, EPOLLOUT, 1);
	struct mem_cfg *c = mem_cfg(ps_port(s));

	edge(s, set, EPOLLOUT);
	c->credit = 1;
	PS_EQ(s, ps_send_single(s, ut, 12), 12);
	ps_out(s, "+0 udp 2000 > 1000 (12)");
	PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
	edge(s, set, EPOLLOUT); /* as far as is known */
	PS_EQ(s, ps_send_single(s, ut, 12), -EAGAIN);
	PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
	edge(s, set, 0);
	c->credit = MEM_ALL;
	edge(s, set, EPOLLOUT);
	zf_muxer_free(set);
	PS_EQ(s, zf_muxer_del(w), 0);
}

/* A port that does not tell its room: an edge a poll, and the loop of sends and waits ends. */
PKT_TEST(mux_zfut_loop_ends, "doc/muxer.md, zfut; guide 11.11.2.14")
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000");
	struct zf_muxer_set *set = set_of(s, zfut_to_waitable(ut), EPOLLOUT, 1);
	struct mem_cfg *c = mem_cfg(ps_port(s));
	int rc, tries = 0;

	edge(s, set, EPOLLOUT);
	c->credit = 0;
	while ((rc = ps_send(s, ut, 12)) == -EAGAIN && tries < 100) {
		struct epoll_event ev;

		if (++tries == 5)
			c->credit = 1;
		if (zf_muxer_wait(set, &ev, 1, (int64_t)MS) == 0)
			c->credit = 1;
	}
	PS_EQ(s, rc, 12);
	c->credit = MEM_ALL;
	ps_out(s, "+* udp 2000 > 1000 (12)");
}

PKT_TEST_IN(mux_zfut_no_buffer, "doc/muxer.md, zfut; guide 11.11.2.14", NO_SPLIT & PS_ALONE & ~PS_COPYING)
{
	struct ps *s = ps_open();
	struct zfut *ut = ps_zfut(s, "us:2000", "peer:1000"), *more = ps_zfut(s, "us:2001", "peer:1000");
	struct zf_waitable *w = zfut_to_waitable(ut);
	struct zf_muxer_set *set = set_of(s, w, EPOLLOUT, 1);

	edge(s, set, EPOLLOUT);
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_send_single(s, ut, 12), -ENOBUFS);
	PS_EQ(s, ps_send_single(s, more, 12), -ENOBUFS);
	pool_fail_after = pool_fail_every = 0;
	ps_zfut_free(s, more); /* among those that wait, and gone */
	edge(s, set, EPOLLOUT);
	PS_EQ(s, ps_mux_mod(w, 0, 1), 0);
	pool_fail_after = pool_fail_every = 1;
	PS_EQ(s, ps_send_single(s, ut, 12), -ENOBUFS);
	pool_fail_after = pool_fail_every = 0;
	edge(s, set, 0);
	zf_muxer_free(set);
	PS_EQ(s, zf_muxer_del(w), 0);
}

/* Many that wait for room, some of which leave, are freed or come back before there is any. */
PKT_TEST_IN(mux_zfut_many_wait, "doc/muxer.md, zfut", PS_ALONE & ~PS_MODE(PS_BLIND))
{
	struct ps *s = ps_open();
	struct zf_muxer_set *set = ps_mux(s);
	struct epoll_event ev[8];
	struct zfut *ut[6];
	uint32_t seen = 0;
	int n;

	for (unsigned i = 0; i < 6; i++) {
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 2000 + i);
		ut[i] = ps_zfut(s, local, "peer:1000");
		PS_EQ(s, ps_mux_add(set, zfut_to_waitable(ut[i]), EPOLLOUT, i), 0);
	}
	PS_EQ(s, zf_muxer_wait(set, ev, 8, 0), 6);
	mem_cfg(ps_port(s))->credit = 0;
	for (unsigned i = 0; i < 5; i++) /* the last one does not care */
		PS_EQ(s, ps_send_single(s, ut[i], 12), -EAGAIN);
	PS_EQ(s, zf_muxer_del(zfut_to_waitable(ut[0])), 0); /* oldest */
	ps_zfut_free(s, ut[4]);                              /* newest */
	ps_zfut_free(s, ut[2]);                              /* between */
	ut[2] = ps_zfut(s, "us:2002", "peer:1000");
	PS_EQ(s, ps_mux_add(set, zfut_to_waitable(ut[2]), EPOLLOUT, 2), 0);
	PS_EQ(s, zf_muxer_wait(set, ev, 8, 0), 1); /* has not found out yet */
	PS_EQ(s, ev[0].data.u64, 2);
	mem_cfg(ps_port(s))->credit = MEM_ALL;
	n = zf_muxer_wait(set, ev, 8, 0);
	for (int i = 0; i < n; i++) {
		PS_EQ(s, ev[i].events, EPOLLOUT);
		seen |= 1u << ev[i].data.u64;
	}
	PS_EQ(s, n, 2);
	PS_EQ(s, seen, 1u << 1 | 1u << 3);
	PS_EQ(s, ps_mux_add(set, zfut_to_waitable(ut[0]), EPOLLOUT, 0), 0); /* its shortage is over, too */
	edge(s, set, EPOLLOUT);
}

/* What happened to whom first is told first, however few are asked for; who is armed again goes to the end. */
PKT_TEST(mux_few_at_a_time, "guide 11.2.2.6: maxevents")
{
	struct ps *s = ps_open();
	struct zf_muxer_set *set = ps_mux(s);
	struct epoll_event ev[8];
	struct zfur *us[4];

	for (unsigned i = 0; i < 4; i++) {
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 1000 + i);
		us[i] = ps_zfur(s, local);
		PS_EQ(s, ps_mux_add(set, zfur_to_waitable(us[i]), EPOLLIN, i), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		ps_in(s, "+0 udp 2000 > %u (12)", 1003 - i);
	PS_EQ(s, zf_muxer_wait(set, ev, 0, -1), 0); /* room for none: one poll, whatever the timeout */
	PS_EQ(s, zf_muxer_wait(set, NULL, -1, -1), 0);
	for (unsigned i = 0; i < 12; i++) { /* one in turn */
		PS_EQ(s, zf_muxer_wait(set, ev, 1, 0), 1);
		PS_EQ(s, ev[0].data.u64, 3 - i % 4);
		PS_EQ(s, zf_muxer_mod(zfur_to_waitable(us[ev[0].data.u64]),
				      zf_waitable_event(zfur_to_waitable(us[ev[0].data.u64]))), 0);
	}
	PS_EQ(s, zf_muxer_wait(set, ev, 3, 0), 3);
	PS_EQ(s, zf_muxer_wait(set, ev + 3, 3, 0), 1);
	PS_EQ(s, zf_muxer_wait(set, ev, 8, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		ps_recv(s, us[i], "peer:2000", 12);
}

/* Between two waits members leave, are changed and freed while they wait to be told of. */
PKT_TEST(mux_members_change_while_listed, "guide 11.2.2; issue 4.1")
{
	struct ps *s = ps_open();
	struct zf_muxer_set *set = ps_mux(s), *other = ps_mux(s);
	struct epoll_event ev[8];
	struct zfur *us[6];
	struct zf_waitable *w[6];

	for (unsigned i = 0; i < 6; i++) {
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 1000 + i);
		us[i] = ps_zfur(s, local);
		w[i] = zfur_to_waitable(us[i]);
		PS_EQ(s, ps_mux_add(set, w[i], EPOLLIN, i), 0);
		ps_in(s, "+0 udp 2000 > %u (12)", 1000 + i);
	}
	PS_EQ(s, zf_muxer_del(w[0]), 0); /* the first of the list, */
	PS_EQ(s, ps_mux_add(other, w[0], EPOLLIN, 10), 0);
	ps_recv(s, us[5], "peer:2000", 12);
	ps_zfur_free(s, us[5]); /* the last, */
	ps_recv(s, us[2], "peer:2000", 12);
	ps_zfur_free(s, us[2]); /* one between, */
	PS_EQ(s, ps_mux_mod(w[3], EPOLLOUT, 13), 0); /* one that wants something else, */
	PS_EQ(s, ps_mux_mod(w[4], EPOLLIN, 14), 0); /* and one that is called something else */
	us[2] = ps_zfur(s, "us:1002"); /* in the same place */
	PS_OK(s, zfur_to_waitable(us[2]) == w[2] || zfur_to_waitable(us[2]) == w[5]);
	PS_EQ(s, zf_muxer_wait(set, ev, 8, 0), 2);
	PS_EQ(s, ev[0].data.u64, 1);
	PS_EQ(s, ev[1].data.u64, 14);
	edge(s, set, 0);
	edge(s, other, EPOLLIN);
	w[2] = zfur_to_waitable(us[2]);
	PS_EQ(s, zf_muxer_del(w[2]), -EINVAL); /* it inherits nothing */
	ps_in(s, "+0 udp 2000 > 1002 (12)");
	edge(s, set, 0);
	PS_EQ(s, ps_mux_add(set, w[2], EPOLLIN, 12), 0);
	edge(s, set, EPOLLIN);
	for (unsigned i = 0; i < 5; i++)
		ps_recv(s, us[i], "peer:2000", 12);
	zf_muxer_free(set);
	zf_muxer_free(other);
}

/* A set that was freed keeps its members until they leave; then, and not before, its memory is used again. */
PKT_TEST(mux_freed_with_members, "guide 11.2.2.4")
{
	struct ps *s = ps_open(.attrs = "max_udp_rx_endpoints=2;max_udp_tx_endpoints=1;max_tcp_endpoints=1;"
					"max_tcp_listen_endpoints=1");
	struct zfur *a = ps_zfur(s, "us:1000"), *b = ps_zfur(s, "us:1001");
	struct zf_waitable *wa = zfur_to_waitable(a), *wb = zfur_to_waitable(b);
	struct zf_muxer_set *gone = ps_mux(s), *set = ps_mux(s), *rest[128], *none = NULL;
	int n = 0;

	PS_EQ(s, ps_mux_add(gone, wa, EPOLLIN, 1), 0);
	PS_EQ(s, ps_mux_add(gone, wb, EPOLLIN, 2), 0);
	ps_in(s, "+0 udp 2000 > 1000 (12)");
	zf_muxer_free(gone);
	while (n < 128 && zf_muxer_alloc(ps_stack(s), &rest[n]) == 0)
		PS_OK(s, rest[n++] != gone);
	ps_in(s, "+0 udp 2000 > 1001 (12)"); /* an event of nobody */
	PS_EQ(s, ps_mux_add(set, wa, EPOLLIN, 1), -EBUSY);
	PS_EQ(s, ps_mux_mod(wa, EPOLLIN, 3), 0);
	PS_EQ(s, zf_waitable_event(wa)->data.u64, 3);
	PS_EQ(s, zf_muxer_del(wa), 0);
	PS_EQ(s, ps_mux_add(set, wa, EPOLLIN, 4), 0);
	edge(s, set, EPOLLIN);
	PS_EQ(s, zf_muxer_alloc(ps_stack(s), &none), -ENOMEM); /* b is still in it */
	ps_recv(s, b, "peer:2000", 12);
	ps_zfur_free(s, b);
	PS_EQ(s, zf_muxer_alloc(ps_stack(s), &none), 0);
	PS_OK(s, none == gone);
	edge(s, none, 0);
	ps_recv(s, a, "peer:2000", 12);
	PS_EQ(s, zf_muxer_del(wa), 0);
	zf_muxer_free(none);
	zf_muxer_free(set);
	while (n > 0)
		zf_muxer_free(rest[--n]);
}

/* Members come and go in any order; what the sets say is what a plain list says. */
enum { LIVES = 12, LIFE_SETS = 3 };

struct lives {
	struct ps *s;
	struct rng rng;
	struct zf_muxer_set *set[LIFE_SETS];
	struct zfur *us[LIVES];
	int member[LIVES]; /* of which set, -1 of none */
	int waits[LIVES];  /* datagrams */
	bool news[LIVES];
};

static void
life_read(struct lives *l, int i)
{
	for (; l->waits[i] > 0; l->waits[i]--)
		ps_recv(l->s, l->us[i], NULL, 12);
}

static void
life_open_or_free(struct lives *l, int i)
{
	char local[16];

	if (l->us[i] == NULL) {
		snprintf(local, sizeof(local), "us:%u", 1000u + (unsigned)i);
		l->us[i] = ps_zfur(l->s, local);
		return;
	}
	life_read(l, i);
	ps_zfur_free(l->s, l->us[i]);
	l->us[i] = NULL;
	l->member[i] = -1;
	l->news[i] = false;
}

static void
life_join(struct lives *l, int i, int k)
{
	PS_EQ(l->s, ps_mux_add(l->set[k], zfur_to_waitable(l->us[i]), EPOLLIN, (uint64_t)i),
	      l->member[i] < 0 ? 0 : l->member[i] == k ? -EALREADY : -EBUSY);
	if (l->member[i] >= 0)
		return;
	l->member[i] = k;
	l->news[i] = l->waits[i] > 0;
}

static void
life_change(struct lives *l, int i, bool leave)
{
	struct zf_waitable *w = zfur_to_waitable(l->us[i]);

	if (leave) {
		PS_EQ(l->s, zf_muxer_del(w), l->member[i] < 0 ? -EINVAL : 0);
		l->member[i] = -1;
		l->news[i] = false;
	} else if (l->member[i] >= 0) {
		PS_EQ(l->s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
		l->news[i] = l->news[i] || l->waits[i] > 0;
	}
}

static void
life_arrive(struct lives *l, int i)
{
	ps_in(l->s, "+0 udp 2000 > %d (12)", 1000 + i);
	l->news[i] = l->member[i] >= 0;
	if (++l->waits[i] > 2)
		life_read(l, i);
}

static void
life_wait(struct lives *l, int k, int max)
{
	struct epoll_event ev[LIVES];
	int n = zf_muxer_wait(l->set[k], ev, max, 0);

	PS_OK(l->s, n <= max);
	for (int j = 0; j < n; j++) {
		int who = (int)ev[j].data.u64;

		PS_OK(l->s, ev[j].events == EPOLLIN && who < LIVES && l->member[who] == k);
		PS_OK(l->s, l->news[who] && l->waits[who] > 0);
		l->news[who] = false;
	}
	if (n == max)
		return;
	for (int j = 0; j < LIVES; j++) {
		if (l->member[j] != k)
			continue;
		PS_OK(l->s, !l->news[j] || l->waits[j] == 0); /* nobody is forgotten */
		l->news[j] = false;
	}
}

PKT_TEST_IN(mux_random_lives, "issue 4.1", PS_NORMAL_ONLY)
{
	struct lives l = {.s = ps_open()};

	rng_seed(&l.rng, 4);
	for (int i = 0; i < LIFE_SETS; i++)
		l.set[i] = ps_mux(l.s);
	for (int i = 0; i < LIVES; i++)
		l.member[i] = -1;
	for (int step = 0; step < 4000; step++) {
		int i = (int)rng_below(&l.rng, LIVES), k = (int)rng_below(&l.rng, LIFE_SETS);
		uint32_t what = (uint32_t)rng_below(&l.rng, 8);

		if (what == 0)
			life_open_or_free(&l, i);
		else if (what <= 2)
			life_wait(&l, k, 1 + (int)rng_below(&l.rng, LIVES));
		else if (l.us[i] == NULL)
			continue;
		else if (what == 3)
			life_join(&l, i, k);
		else if (what <= 5)
			life_change(&l, i, what == 4);
		else
			life_arrive(&l, i);
	}
	for (int i = 0; i < LIVES; i++)
		life_read(&l, i);
}

/* ---- how long ---- */

static uint64_t
waited(struct ps *s, struct zf_muxer_set *set, int64_t timeout_ns, int want, struct epoll_event *ev)
{
	uint64_t before = zt_clock();

	PS_EQ(s, zf_muxer_wait(set, ev, 1, timeout_ns), want);
	return zt_clock() - before;
}

/* Within a tick after. */
static void
about(struct ps *s, uint64_t ns, uint64_t want)
{
	PS_OK(s, ns >= want && ns <= want + TICK);
}

PKT_TEST(mux_waits_exactly, "guide 11.2.2.6: timeout")
{
	struct ps *s = ps_open();
	struct zfur *us = ps_zfur(s, "us:1000");
	struct zf_muxer_set *set = set_of(s, zfur_to_waitable(us), EPOLLIN, 1), *empty = ps_mux(s);
	static const int64_t ns[] = {1, 999, 1000, 12345678, 1000000000, 3600000000000};
	struct epoll_event ev;

	PS_EQ(s, waited(s, set, 0, 0, &ev), 0);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(ns); i++) {
		PS_EQ(s, waited(s, set, ns[i], 0, &ev), ns[i]);
		PS_EQ(s, waited(s, empty, ns[i], 0, &ev), ns[i]);
	}
	(void)ps_ignore(s, 0);
}

PKT_TEST(mux_wait_ends_by_a_frame, "guide 11.2.2.6: timeout")
{
	struct ps *s = ps_open();
	struct zfur *us = ps_zfur(s, "us:1000"), *other = ps_zfur(s, "us:1001");
	struct zf_muxer_set *set = set_of(s, zfur_to_waitable(us), EPOLLIN, 1);
	static const int64_t timeouts[] = {-1, INT64_MIN, 1000000000, INT64_MAX, INT64_MAX / 2, 6000000};
	struct epoll_event ev;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(timeouts); i++) {
		ps_queue(s, "+.004 udp 2000 > 1001 (12)"); /* does not end it */
		ps_queue(s, "+.005 udp 2000 > 1000 (12)");
		about(s, waited(s, set, timeouts[i], 1, &ev), 5 * MS);
		PS_EQ(s, ev.events, EPOLLIN);
		ps_recv(s, us, "peer:2000", 12);
		ps_recv(s, other, "peer:2000", 12);
		(void)ps_ignore(s, .01);
	}
	ps_queue(s, "+.005 udp 2000 > 1000 (12)");
	PS_EQ(s, waited(s, set, 5 * (int64_t)MS - 1, 0, &ev), 5 * MS - 1); /* just missed */
	about(s, waited(s, set, -1, 1, &ev), 1);
	ps_recv(s, us, "peer:2000", 12);
}

/* Whoever is ready already is told at once, in no time, and for ever waits nobody. */
PKT_TEST(mux_no_wait_for_what_is_ready, "guide 11.2.2.6")
{
	struct ps *s = ps_open();
	struct zfur *us = ps_zfur(s, "us:1000");
	struct zf_waitable *w = zfur_to_waitable(us);
	struct zf_muxer_set *set = set_of(s, w, EPOLLIN, 1);
	struct epoll_event ev;

	ps_in(s, "+0 udp 2000 > 1000 (12)");
	PS_EQ(s, waited(s, set, -1, 1, &ev), 0);
	for (int i = 0; i < 3; i++) {
		PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
		PS_EQ(s, waited(s, set, -1, 1, &ev), 0);
	}
	ps_recv(s, us, "peer:2000", 12);
	PS_EQ(s, zf_muxer_mod(w, zf_waitable_event(w)), 0);
	PS_EQ(s, waited(s, set, 7, 0, &ev), 7);
}

/* The stack's own work is done on time while somebody waits. */
PKT_TEST_IN(mux_wait_runs_timers, "guide 11.2.2.6", PS_ALONE)
{
	struct ps *s = ps_open(.noisy_start = true);
	struct zf_muxer_set *set = ps_mux(s);
	struct epoll_event ev;

	PS_EQ(s, waited(s, set, 10000000000, 0, &ev), 10000000000);
	PS_OK(s, ps_ignore(s, 0) >= 2); /* announcements of its address, seconds apart */
}

PKT_TEST(mux_members_of_many_sets, "guide 11.2.2: several sets of a stack")
{
	struct ps *s = ps_open();
	struct zfur *us = ps_zfur(s, "us:1000"), *other = ps_zfur(s, "us:1001");
	struct zf_muxer_set *a = set_of(s, zfur_to_waitable(us), EPOLLIN, 1);
	struct zf_muxer_set *b = set_of(s, zfur_to_waitable(other), EPOLLIN, 2);
	struct epoll_event ev;

	ps_queue(s, "+.001 udp 2000 > 1001 (12)");
	ps_queue(s, "+.002 udp 2000 > 1000 (12)");
	about(s, waited(s, a, -1, 1, &ev), 2 * MS);
	PS_EQ(s, ev.data.u64, 1);
	PS_EQ(s, waited(s, b, -1, 1, &ev), 0); /* came meanwhile */
	PS_EQ(s, ev.data.u64, 2);
	edge(s, a, 0);
	edge(s, b, 0);
	ps_recv(s, us, "peer:2000", 12);
	ps_recv(s, other, "peer:2000", 12);
}
