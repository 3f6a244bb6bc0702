/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The muxers of fastslow: each life has a set with its connection in it. What is asked for is drawn from the seed; what
 * the two sets tell once nothing is owed any more must be the same, whatever order it came in. See fs.h.
 */
#include <sys/epoll.h>

#include "pkt/fs.h"

#define ALL (EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR | EPOLLRDHUP)

/* Draws of the seed are taken before either side acts. */
static uint32_t
draw_wanted(struct fs *f)
{
	static const uint32_t some[] = {ALL, ALL, EPOLLIN, EPOLLOUT, EPOLLOUT | EPOLLHUP, EPOLLERR | EPOLLRDHUP, 0};

	return some[rng_below(&f->mux_rng, ZF_ARRAY_SIZE(some))];
}

static int
ask(struct fs_side *s, uint32_t wanted, bool again)
{
	struct zf_waitable *w = zft_to_waitable(s->ts);
	struct epoll_event ev = {.events = wanted, .data.ptr = s->ts};

	if (s->set == NULL && zf_muxer_alloc(zt_stack(s->t), &s->set) < 0)
		return -1;
	if (zf_waitable_event(w) == NULL)
		return zf_muxer_add(s->set, w, &ev);
	return again ? zf_muxer_mod(w, &ev) : 0;
}

static uint32_t
tell(struct fs *f, int i)
{
	struct fs_side *s = &f->s[i];
	struct epoll_event ev = {0};
	uint32_t wanted, got;
	int n = zf_muxer_wait(s->set, &ev, 1, 0);

	if (n == 0)
		return 0;
	wanted = zf_waitable_event(zft_to_waitable(s->ts))->events;
	got = ev.events;
	if (n != 1 || ev.data.ptr != s->ts || got == 0)
		fs_fail(f, "%s: zf_muxer_wait() told %d events, %#x", i == FAST ? "fast" : "slow", n, got);
	if (got != (tcp_events(s->ts) & wanted))
		fs_fail(f, "%s: zf_muxer_wait() told %#x, asked for %#x, true is %#x", i == FAST ? "fast" : "slow", got,
			wanted, tcp_events(s->ts));
	return got;
}

void
fs_mux(struct fs *f)
{
	bool again, look;
	uint32_t wanted, fast;

	if (f->s[SLOW].ts == NULL || f->s[FAST].ts == NULL)
		return;
	again = rng_below(&f->mux_rng, 6) == 0;
	wanted = draw_wanted(f);
	look = rng_below(&f->mux_rng, 4) != 0; /* else edges add up */
	for (int i = 0; i < SIDES; i++)
		if (ask(&f->s[i], wanted, again) < 0)
			fs_fail(f, "the muxer refuses a member");
	if (!look)
		return;
	fast = tell(f, FAST);
	if (tell(f, SLOW) != fast)
		fs_fail(f, "zf_muxer_wait(): fast tells %#x, slow does not", fast);
}
