/* SPDX-License-Identifier: BSD-3-Clause
 *
 * fastslow [--seed N] [--seeds FROM:TO] [-v]: see fs.h. Without arguments, the seeds of CI.
 *
 * A step: time passes, frames arrive, one poll, calls, the flush; both stacks are held against each other; more calls.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkt/fs.h"

#define SEEDS 6000u
#define STEPS 60u

static void
draw_cfg(struct fs *f)
{
	static const uint16_t mss[] = {1460, 1460, 1460, 536, 100};
	static const uint32_t window[] = {262144, 262144, 65535, 8000, 2000, 536};
	struct fs_cfg *c = &f->c;

	c->level = (enum fs_level)(f->seed % FS_LEVELS);
	c->passive = fs_one_in(f, 3);
	c->ts = fs_one_in(f, 2) && c->level != FS_READ;
	c->sack = fs_one_in(f, 2);
	c->ecn = fs_one_in(f, 4);
	c->copy = fs_one_in(f, 3);
	c->copy_max = f->seed / FS_LEVELS % 2 ? 2048 : 256;
	c->unjudged = fs_one_in(f, 16);
	c->delack = !fs_one_in(f, 6);
	c->wscale = fs_one_in(f, 2) ? -1 : (int)fs_below(f, 8);
	c->mss = mss[fs_below(f, ZF_ARRAY_SIZE(mss))];
	c->rx_window = window[fs_below(f, ZF_ARRAY_SIZE(window))];
	/* A window that follows the stack's buffers moves with what waits to be sent, so it differs by moments. */
	c->n_bufs = c->level != FS_READ ? (c->rx_window > 65535 ? 4096 : 1024) : fs_one_in(f, 3) ? 64 : 512;
	c->tx_ring = 64;
	c->lazy = fs_one_in(f, 10);
	c->calm = fs_one_in(f, 4);
	if (c->calm && fs_one_in(f, 2))
		c->mss = 100; /* two of them are what a reduction leaves at least */
	c->big = c->level != FS_READ && fs_one_in(f, 16);
	if (c->big) {
		c->n_bufs = 16384;
		c->tx_ring = 4096;
		c->wscale = 7;
	}
	c->initial_cwnd = c->big ? 4000000 : fs_one_in(f, 4) ? 2000 : fs_one_in(f, 6) ? 200000 : 0;
	c->iss = fs_one_in(f, 3) ? 0xfffffff0u - fs_below(f, 3000) : fs_below(f, 1u << 30);
	c->irs = fs_one_in(f, 3) ? 0xfffffff0u - fs_below(f, 3000) : fs_below(f, 1u << 30);
	c->cc = fs_one_in(f, 2) ? "cubic" : "newreno";
	if (f->verbose)
		printf("seed %llu: level %d, passive %d, ts %d, sack %d, ecn %d, copy %d, unjudged %d, delack %d, "
		       "wscale %d, mss %u, window %u, bufs %u, cwnd %u\n",
		       (unsigned long long)f->seed, c->level, c->passive, c->ts, c->sack, c->ecn, c->copy, c->unjudged,
		       c->delack, c->wscale, c->mss, c->rx_window, c->n_bufs, c->initial_cwnd);
}

static void
pass_time(struct fs *f)
{
	uint32_t k = fs_below(f, 30);
	uint64_t ns = k < 15 ? 0 : k < 22 ? fs_below(f, 1000000) : k < 28 ? fs_below(f, 60000000) :
		      k < 29 ? 200000000ull + fs_below(f, 3000000000u) : 1000000000ull * fs_below(f, fs_one_in(f, 4) ? 120 : 5);

	if (f->c.calm && fs_one_in(f, 4))
		ns = 20000000ull + fs_below(f, fs_one_in(f, 2) ? 100000000 : 250000000);
	if (fs_one_in(f, 80))
		ns = 700000000000ull; /* a path MTU is forgotten */
	if (ns == 0)
		return;
	fs_say(f, "%.6f s pass", (double)ns / 1e9);
	if (zt_advance(ns) < 0)
		fs_fail(f, "time does not pass");
	fs_collect(f);
	fs_compare(f);
}

static void
set_room(struct fs *f, uint32_t frames)
{
	for (int i = 0; i < SIDES; i++)
		mem_cfg(zt_port(f->s[i].t))->credit = frames;
}

/* Frames that wait for the neighbour's address come from earlier steps. */
static bool
has_late(const struct fs *f)
{
	return f->s[SLOW].ts != NULL && !f->s[SLOW].ts->path.resolved;
}

static void
step(struct fs *f)
{
	bool full = fs_one_in(f, 12), after = fs_one_in(f, 20);

	f->touched = f->touched && has_late(f);
	f->shrunk = f->refused = false;
	f->late = has_late(f);
	pass_time(f);
	if (f->s[SLOW].ts == NULL && f->s[SLOW].tl == NULL)
		return;
	if (fs_one_in(f, 25))
		fs_surround(f);
	else if (f->s[SLOW].ts != NULL && !fs_one_in(f, 10))
		fs_arrive(f);
	full = full && f->s[SLOW].ts != NULL && !has_late(f); /* a lost question to the neighbour is asked again later */
	f->refused |= full;
	if (full) {
		fs_say(f, "the port is full");
		set_room(f, 0);
	}
	if (f->s[SLOW].ts != NULL && !has_late(f) && fs_one_in(f, 15)) {
		fs_say(f, "no buffers to send with");
		f->refused = true;
		pool_fail_after = pool_fail_every = 1;
	}
	fs_poll(f);
	pool_fail_after = pool_fail_every = 0;
	if (after && f->s[SLOW].ts != NULL && !has_late(f)) {
		fs_collect(f); /* a reset empties the rings */
		fs_say(f, "the port asks for a reset");
		for (int i = 0; i < SIDES; i++)
			mem_ask_reset(zt_port(f->s[i].t));
	}
	for (uint32_t n = fs_below(f, 4); n > 0; n--)
		fs_call(f, true);
	if (full && fs_one_in(f, 2))
		fs_poll(f);
	set_room(f, MEM_ALL);
	fs_flush(f);
	fs_mux(f);
	fs_collect(f);
	fs_compare(f);
	f->touched = f->touched && has_late(f);
	for (uint32_t n = fs_below(f, 4); n > 0; n--)
		fs_call(f, false);
	fs_flush(f);
	fs_mux(f);
	fs_collect(f);
	fs_compare(f);
}

static struct fs life;

/* An assertion of the library's. */
static void
on_abort(int sig)
{
	(void)sig;
	fs_fail(&life, "the library gave up");
}

static void
play(uint64_t seed, bool verbose)
{
	struct fs *f = &life;

	memset(f, 0, sizeof(*f));
	f->seed = seed;
	f->verbose = verbose;
	rng_seed(&f->rng, seed);
	rng_seed(&f->mux_rng, seed);
	draw_cfg(f);
	fs_open(f);
	fs_handshake(f);
	fs_collect(f);
	fs_compare(f);
	for (f->step = 1; f->step <= STEPS; f->step++) {
		step(f);
		if (f->step > STEPS / 2 && fs_one_in(f, 40))
			break;
	}
	fs_free(f);
	fs_flush(f);
	fs_collect(f);
	fs_compare(f);
	fs_close(f);
}

int
main(int argc, char **argv)
{
	unsigned long long from = 0, to = SEEDS;
	static const int deaths[] = {SIGABRT, SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE};
	bool verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 0);
			to = from + 1;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc &&
			   sscanf(argv[i + 1], "%llu:%llu", &from, &to) == 2) {
			i++;
		} else {
			fprintf(stderr, "usage: fastslow [--seed N] [--seeds FROM:TO] [-v]\n");
			return 2;
		}
	}
	for (size_t i = 0; i < ZF_ARRAY_SIZE(deaths); i++)
		(void)signal(deaths[i], on_abort);
	for (unsigned long long s = from; s < to; s++)
		play(s, verbose);
	printf("fastslow: %llu passed, 0 failed, 0 skipped\n", to - from);
	return 0;
}
