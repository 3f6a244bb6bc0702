/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The timing wheel against an oracle that scans an array, over random operations and clocks that
 * crawl and leap.
 */
#include "unit.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "base/wheel.h"

#define TICK (1ull << WHEEL_TICK_SHIFT)
#define N    512

/* Wheel and timers in one piece, as in the arena. */
struct world {
	struct wheel w;
	struct wheel_timer t[N];
	uint64_t due[N]; /* the oracle: cycles, UINT64_MAX when not armed */
	uint64_t now;
};

static struct world world;

static void
world_init(uint64_t now)
{
	memset(&world, 0, sizeof(world));
	world.now = now;
	wheel_init(&world.w, now);
	for (int i = 0; i < N; i++)
		world.due[i] = UINT64_MAX;
}

static uint64_t
round_up(uint64_t deadline)
{
	return (deadline + TICK - 1) / TICK * TICK;
}

static uint64_t
oracle_next(void)
{
	uint64_t min = UINT64_MAX;

	for (int i = 0; i < N; i++)
		min = ZF_MIN(min, world.due[i]);
	return min;
}

static void
arm(int i, uint64_t deadline)
{
	uint64_t due = round_up(deadline);

	wheel_arm(&world.w, &world.t[i], deadline);
	/* What has passed is due at the tick the wheel stands at. */
	world.due[i] = ZF_MAX(due, world.w.cur * TICK);
}

static void
cancel(int i)
{
	wheel_cancel(&world.w, &world.t[i]);
	world.due[i] = UINT64_MAX;
}

/* Returns false, having failed the test, when wheel and oracle differ. */
static bool
check_state(void)
{
	uint64_t next = oracle_next();
	uint32_t armed = 0;

	for (int i = 0; i < N; i++) {
		if (wheel_is_armed(&world.t[i]) != (world.due[i] != UINT64_MAX)) {
			CU_FAIL("armed or not");
			return false;
		}
		armed += wheel_is_armed(&world.t[i]);
	}
	if (wheel_next_expiry(&world.w) != next || world.w.n_armed != armed ||
	    world.w.next_due > next || (next == UINT64_MAX && world.w.next_due != UINT64_MAX)) {
		CU_FAIL("next expiry");
		return false;
	}
	return true;
}

/* Pops at world.now until nothing is left; @rearm: chance in 256 of arming or cancelling another
 * one meanwhile. */
static bool
pop_all(struct rng *r, unsigned rearm)
{
	struct wheel_timer *t;
	uint64_t last = 0;

	while ((t = wheel_pop(&world.w, world.now)) != NULL) {
		int i = (int)(t - world.t);
		uint64_t due = world.due[i];

		if (i < 0 || i >= N || wheel_is_armed(t) || due > world.now || due < last ||
		    due != oracle_next() || wheel_expires(t) != due) {
			CU_FAIL("popped wrongly");
			return false;
		}
		last = due;
		world.due[i] = UINT64_MAX;
		if (world.w.next_due > oracle_next() ||
		    (world.w.n_armed == 0) != (world.w.next_due == UINT64_MAX)) {
			CU_FAIL("next_due while popping");
			return false;
		}
		if (rng_below(r, 256) < rearm)
			arm((int)rng_below(r, N), world.now + 1 + rng_below(r, 100 * TICK));
		if (rng_below(r, 256) < rearm)
			arm((int)rng_below(r, N), due + rng_below(r, 3) * TICK);
		if (rng_below(r, 256) < rearm)
			cancel((int)rng_below(r, N));
	}
	if (oracle_next() <= world.now) {
		CU_FAIL("left behind");
		return false;
	}
	/* It follows the clock, so that what is armed next lies at the level of its distance. */
	if (world.w.cur != world.now >> WHEEL_TICK_SHIFT) {
		CU_FAIL("stands still");
		return false;
	}
	return true;
}

/* From nothing to 2^62, all magnitudes equally likely. */
static uint64_t
any_distance(struct rng *r, unsigned max_bits)
{
	return rng_next64(r) >> (64 - 1 - rng_below(r, max_bits));
}

static void
random_operations_match_the_oracle(void)
{
	struct rng r;

	for (uint64_t seed = 1; seed <= 24; seed++) {
		rng_seed(&r, seed);
		world_init(seed & 1 ? 0 : any_distance(&r, 50));
		for (int step = 0; step < 4000; step++) {
			int i = (int)rng_below(&r, N);

			switch (rng_below(&r, 8)) {
			case 0:
			case 1:
			case 2:
				arm(i, world.now + any_distance(&r, seed % 3 == 0 ? 62 : 34));
				break;
			case 3:
				arm(i, world.now - ZF_MIN(world.now, any_distance(&r, 40)));
				break;
			case 4:
				cancel(i);
				break;
			default:
				world.now += any_distance(&r, step % 500 == 0 ? 55 : 27);
				if (!pop_all(&r, seed % 4 == 0 ? 0 : 40))
					return;
			}
			if (!check_state())
				return;
		}
	}
	CU_PASS("all seeds");
}

static void
zero_is_not_armed(void)
{
	world_init(123456789);
	CU_ASSERT_FALSE(wheel_is_armed(&world.t[0]));
	wheel_cancel(&world.w, &world.t[0]);
	CU_ASSERT_EQUAL(world.w.next_due, UINT64_MAX);
	CU_ASSERT_EQUAL(wheel_next_expiry(&world.w), UINT64_MAX);
	CU_ASSERT_PTR_NULL(wheel_pop(&world.w, UINT64_MAX));
}

static void
never_early_and_at_most_a_tick_late(void)
{
	for (uint64_t d = 0; d < 70; d++) {
		uint64_t deadline = 5 * TICK + d * (TICK / 7) + 1;
		uint64_t fires = round_up(deadline);

		world_init(5 * TICK);
		wheel_arm(&world.w, &world.t[0], deadline);
		CU_ASSERT_EQUAL(world.w.next_due, fires);
		CU_ASSERT_PTR_NULL(wheel_pop(&world.w, deadline - 1));
		CU_ASSERT_PTR_NULL(wheel_pop(&world.w, fires - 1));
		CU_ASSERT_PTR_EQUAL(wheel_pop(&world.w, fires), &world.t[0]);
		CU_ASSERT(fires - deadline < TICK);
	}
	world_init(0);
	wheel_arm(&world.w, &world.t[0], 3 * TICK);
	CU_ASSERT_PTR_EQUAL(wheel_pop(&world.w, 3 * TICK), &world.t[0]);
}

static void
past_deadline_fires_at_once(void)
{
	world_init(1000 * TICK);
	CU_ASSERT_PTR_NULL(wheel_pop(&world.w, 1000 * TICK + 5));
	wheel_arm(&world.w, &world.t[0], 0);
	wheel_arm(&world.w, &world.t[1], 999 * TICK);
	CU_ASSERT(world.w.next_due <= 1000 * TICK);
	CU_ASSERT_PTR_NOT_NULL(wheel_pop(&world.w, 1000 * TICK + 6));
	CU_ASSERT_PTR_NOT_NULL(wheel_pop(&world.w, 1000 * TICK + 6));
	CU_ASSERT_PTR_NULL(wheel_pop(&world.w, 1000 * TICK + 6));
}

static void
clock_may_go_back(void)
{
	world_init(0);
	wheel_arm(&world.w, &world.t[0], 500 * TICK);
	CU_ASSERT_PTR_NULL(wheel_pop(&world.w, 400 * TICK));
	CU_ASSERT_PTR_NULL(wheel_pop(&world.w, 3 * TICK));
	CU_ASSERT_EQUAL(wheel_next_expiry(&world.w), 500 * TICK);
	CU_ASSERT_PTR_EQUAL(wheel_pop(&world.w, 500 * TICK), &world.t[0]);
}

static void
farthest_deadlines(void)
{
	static const uint64_t far[] = {1ull << 62, (1ull << 63) - 1, 1ull << 63, UINT64_MAX - TICK,
				       UINT64_MAX};

	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		uint64_t due;

		world_init(TICK * 17);
		wheel_arm(&world.w, &world.t[0], far[i]);
		due = wheel_next_expiry(&world.w);
		CU_ASSERT(due != UINT64_MAX && due >= far[i] - TICK);
		CU_ASSERT_PTR_NULL(wheel_pop(&world.w, due - 1));
		CU_ASSERT_PTR_EQUAL(wheel_pop(&world.w, due), &world.t[0]);
		CU_ASSERT_PTR_NULL(wheel_pop(&world.w, UINT64_MAX));
	}
}

/* A century at 2.4 GHz in one step, with a timer in every slot of the way. */
static void
leap_of_years_keeps_the_order(void)
{
	struct rng r;

	rng_seed(&r, 7);
	world_init(1);
	for (int i = 0; i < N; i++)
		arm(i, 1ull << (i % 62));
	world.now = 1ull << 62;
	CU_ASSERT_TRUE(pop_all(&r, 0));
	CU_ASSERT_EQUAL(world.w.n_armed, 0);
	CU_ASSERT_EQUAL(world.w.next_due, UINT64_MAX);
}

/* The reactor's view: it calls wheel_pop() only when next_due says so. How often for nothing? */
static void
spurious_wakeups_are_bounded(void)
{
	struct rng r;
	uint64_t wakeups = 0;
	uint64_t fired = 0;

	rng_seed(&r, 3);
	world_init(0);
	for (int i = 0; i < N; i++)
		wheel_arm(&world.w, &world.t[i], any_distance(&r, 50));
	while (world.w.next_due != UINT64_MAX && wakeups < 100 * N) {
		uint64_t due = world.w.next_due;

		wakeups++;
		while (wheel_pop(&world.w, due) != NULL)
			fired++;
		if (world.w.next_due <= due) {
			CU_FAIL("no progress");
			return;
		}
	}
	CU_ASSERT_EQUAL(fired, N);
	CU_ASSERT(wakeups <= (uint64_t)N * WHEEL_LEVELS);
}

/* One timer moved ahead with every packet, as a retransmission timer is: no wake-up until it is
 * really due. */
static void
lone_timer_wakes_once(void)
{
	uint64_t now;

	world_init(0);
	for (now = 0; now < 1000000 * TICK; now += 10 * TICK) {
		wheel_arm(&world.w, &world.t[0], now + 14000 * TICK);
		if (now >= world.w.next_due) {
			CU_FAIL("woken");
			break;
		}
	}
	CU_ASSERT_EQUAL(world.w.next_due, now - 10 * TICK + 14000 * TICK);
	wheel_cancel(&world.w, &world.t[0]);
	CU_ASSERT_EQUAL(world.w.next_due, UINT64_MAX);
}

static void
owner_fields_are_untouched(void)
{
	struct wheel_timer *t = &world.t[5];

	world_init(0);
	t->kind = 0xa5;
	t->user = 0x5a;
	t->user_id = 0xdeadbeef;
	wheel_arm(&world.w, t, 77 * TICK);
	wheel_arm(&world.w, t, 5000000 * TICK);
	CU_ASSERT_PTR_EQUAL(wheel_pop(&world.w, UINT64_MAX / 2), t);
	CU_ASSERT(t->kind == 0xa5 && t->user == 0x5a && t->user_id == 0xdeadbeef);
}

/* The dump maps the arena at another address and may only read. */
static void
readable_at_another_address(void)
{
	struct world *copy = mmap(NULL, sizeof(world), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rng r;

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(copy, MAP_FAILED);
	rng_seed(&r, 11);
	world_init(0);
	for (int i = 0; i < N; i++)
		arm(i, TICK * 4096 + any_distance(&r, 60));
	memcpy(copy, &world, sizeof(world));
	CU_ASSERT_EQUAL(mprotect(copy, sizeof(world), PROT_READ), 0);
	memset(&world.w, 0xee, sizeof(world.w));
	memset(world.t, 0xee, sizeof(world.t));
	CU_ASSERT_EQUAL(wheel_next_expiry(&copy->w), oracle_next());
	munmap(copy, sizeof(world));
}

static void
million_timers(void)
{
	const uint32_t n = 1000000;
	struct {
		struct wheel w;
		struct wheel_timer t[];
	} *m = calloc(1, sizeof(*m) + n * sizeof(struct wheel_timer));
	struct wheel_timer *t;
	uint64_t last = 0;
	uint32_t fired = 0;
	uint32_t wrong = 0;
	struct rng r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	rng_seed(&r, 5);
	wheel_init(&m->w, 0);
	for (uint32_t i = 0; i < n; i++)
		wheel_arm(&m->w, &m->t[i], rng_below(&r, 1ull << 45));
	for (uint32_t i = 0; i < n; i += 2)
		wheel_arm(&m->w, &m->t[i], rng_below(&r, 1ull << 45));
	for (uint32_t i = 0; i < n; i += 4)
		wheel_cancel(&m->w, &m->t[i]);
	for (uint64_t now = 1ull << 40; now <= 1ull << 45; now += 1ull << 40) {
		while ((t = wheel_pop(&m->w, now)) != NULL) {
			wrong += wheel_expires(t) < last || wheel_expires(t) > now ||
				 (t - m->t) % 4 == 0;
			last = wheel_expires(t);
			fired++;
		}
	}
	CU_ASSERT_EQUAL(fired, n - n / 4);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(m->w.next_due, UINT64_MAX);
	free(m);
}

static const struct unit_test tests[] = {
	UNIT(zero_is_not_armed),
	UNIT(never_early_and_at_most_a_tick_late),
	UNIT(past_deadline_fires_at_once),
	UNIT(clock_may_go_back),
	UNIT(farthest_deadlines),
	UNIT(leap_of_years_keeps_the_order),
	UNIT(spurious_wakeups_are_bounded),
	UNIT(lone_timer_wakes_once),
	UNIT(owner_fields_are_untouched),
	UNIT(readable_at_another_address),
	UNIT(random_operations_match_the_oracle),
	UNIT(million_timers),
};

UNIT_MAIN("wheel", tests)
