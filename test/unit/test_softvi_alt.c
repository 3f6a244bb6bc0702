/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The model of an adapter catches a wrong driver: alternatives, the event queue, and what cards and firmware lack. The
 * rest is in test_softvi.c.
 */
#include "softvi_help.h"

static void
alts(struct rig *r, uint32_t n)
{
	rig_open(r, "sa", SOFTVI_8000_LL);
	CU_ASSERT_EQUAL_FATAL(r->ops->alt_alloc(r->vi, r->dh, n, 40960), 0);
}

/* As one has to: there, the frames, and back to normal. */
static void
queue(struct rig *r, uint32_t alt, uint32_t id, uint32_t frames, uint32_t len)
{
	CU_ASSERT_EQUAL_FATAL(r->ops->alt_select(r->vi, alt), 0);
	for (uint32_t i = 0; i < frames; i++)
		CU_ASSERT_EQUAL_FATAL(rig_tx(r, id + i, len), 0);
	CU_ASSERT_EQUAL_FATAL(r->ops->alt_select_normal(r->vi), 0);
	r->ops->tx_push(r->vi);
}

static int
count_events(struct rig *r, enum efvi_event_type type, int polls)
{
	int n = 0;

	for (int i = 0; i < polls; i++) {
		int k = r->ops->ev_poll(r->vi, r->ev, 512);

		for (int j = 0; j < k; j++) {
			n += r->ev[j].type == type;
			if (r->ev[j].type == EFVI_EV_TX)
				(void)r->ops->tx_unbundle(r->vi, &r->ev[j], r->ids);
		}
	}
	return n;
}

static void
frames_wait_for_go(void)
{
	struct rig r;
	uint8_t fill;

	alts(&r, 2);
	queue(&r, 1, 4, 2, 100);
	CU_ASSERT_EQUAL(rig_poll(&r, 3), 2); /* completed: in the adapter's memory, and no further */
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 1), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 100);
	CU_ASSERT_EQUAL(fill, 4);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 100);
	CU_ASSERT_EQUAL(count_events(&r, EFVI_EV_TX_ALT, 2), 2); /* one for each frame */
	CU_ASSERT_EQUAL(r.ops->alt_stop(r.vi, 1), 0);
	rig_fault(&r, NULL);
	rig_close(&r);
}

static void
select_is_not_pushed_and_costs_a_place(void)
{
	struct rig r;
	uint8_t fill;

	alts(&r, 1);
	CU_ASSERT_EQUAL(r.ops->alt_select(r.vi, 0), 0);
	CU_ASSERT_EQUAL(r.ops->tx_space(r.vi), 510);
	CU_ASSERT_EQUAL(rig_tx(&r, 1, 60), 0);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0); /* nothing was pushed: nothing goes */
	CU_ASSERT_EQUAL(rig_poll(&r, 5), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	rig_close(&r);
}

static void
options_alone_never_complete(void)
{
	struct rig r;

	alts(&r, 1);
	queue(&r, 0, 1, 1, 60);
	CU_ASSERT_EQUAL(rig_poll(&r, 3), 1);
	CU_ASSERT_EQUAL(r.ops->tx_space(r.vi), 510); /* the last select_normal is still there */
	for (int i = 0; i < 255; i++) {
		CU_ASSERT_EQUAL_FATAL(r.ops->alt_select(r.vi, 0), 0);
		CU_ASSERT_EQUAL_FATAL(r.ops->alt_select_normal(r.vi), 0);
	}
	r.ops->tx_push(r.vi);
	CU_ASSERT_EQUAL(rig_poll(&r, 10), 0);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), -EAGAIN); /* stuck for good */
	rig_close(&r);
}

static void
forgotten_select_normal(void)
{
	struct rig r;
	uint8_t fill;

	alts(&r, 1);
	CU_ASSERT_EQUAL(r.ops->alt_select(r.vi, 0), 0);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	CU_ASSERT_EQUAL(rig_send(&r, 2, 60), 0); /* meant for the wire */
	CU_ASSERT_EQUAL(rig_poll(&r, 3), 2);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	CU_ASSERT_EQUAL(softvi_stats(r.a)->tx_alt, 2);
	rig_close(&r);
}

static void
transition_before_the_late_events(void)
{
	struct rig r;

	alts(&r, 1);
	softvi_cfg(r.a)->alt_polls = 4;
	queue(&r, 0, 1, 3, 60);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0);
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 3); /* sent, says the ring: the alternative does not yet */
	CU_ASSERT_EQUAL(r.ops->alt_stop(r.vi, 0), 0);
	rig_fault(&r, "under way");
	CU_ASSERT_EQUAL(count_events(&r, EFVI_EV_TX_ALT, 4), 3);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0);
	CU_ASSERT_EQUAL(r.ops->alt_discard(r.vi, 0), 0); /* without a stop */
	rig_fault(&r, "without a stop");
	rig_close(&r);
}

static void
forgotten_stop_lets_frames_through(void)
{
	struct rig r;
	uint8_t fill;

	alts(&r, 1);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0);
	queue(&r, 0, 1, 1, 60); /* meant to wait */
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 60);
	rig_close(&r);
}

static void
discard_makes_events_too(void)
{
	struct rig r;
	uint8_t fill;

	alts(&r, 1);
	queue(&r, 0, 1, 3, 60);
	CU_ASSERT_EQUAL(r.ops->alt_discard(r.vi, 0), 0);
	CU_ASSERT_EQUAL(count_events(&r, EFVI_EV_TX_ALT, 3), 3);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	CU_ASSERT_EQUAL(softvi_stats(r.a)->alt_dropped, 3);
	rig_close(&r);
}

static void
numbers_are_the_vis_own(void)
{
	struct efvi_vi *second;
	struct rig r;
	uint8_t fill;

	alts(&r, 2);
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 4096, 512, 512, EFVI_TX_ALT, &second), 0);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(second, r.dh, 2, 4096), 0);
	queue(&r, 1, 1, 1, 60);
	/* The second VI's alternative 1 is another one; and the adapter's numbers are no VI's. */
	CU_ASSERT_EQUAL(r.ops->alt_go(second, 1), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	CU_ASSERT_EQUAL(r.ops->alt_go(second, 3), -EINVAL);
	rig_fault(&r, "no such alternative");
	CU_ASSERT_EQUAL(r.ops->alt_select(r.vi, 18), -EINVAL);
	rig_fault(&r, "no such alternative");
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 1), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 60);
	r.ops->vi_free(second, r.dh);
	rig_close(&r);
}

static void
limits_are_shared_by_vis(void)
{
	struct efvi_vi *second;
	struct rig r;

	alts(&r, 17);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(r.vi, r.dh, 1, 4096), -EALREADY);
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 4096, 512, 512, EFVI_TX_ALT, &second), 0);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(second, r.dh, 18, 4096), -EINVAL);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(second, r.dh, 3, 4096), -EBUSY); /* of 19 */
	CU_ASSERT_EQUAL(r.ops->alt_alloc(second, r.dh, 2, 512 * 200), -EBUSY); /* the memory of both */
	CU_ASSERT_EQUAL(r.ops->alt_alloc(second, r.dh, 2, 4096), 0);
	CU_ASSERT_EQUAL(r.ops->alt_free(r.vi, r.dh), 0);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(r.vi, r.dh, 17, 40960), 0);
	r.ops->vi_free(second, r.dh);
	rig_close(&r);
}

static void
overrun_is_silent(void)
{
	struct rig r;
	uint8_t fill;
	uint64_t n = 0;
	int len = 0, whole = 0;

	rig_open(&r, "sa", SOFTVI_8000_LL);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(r.vi, r.dh, 1, 4096), 0);
	/* 4096 / 512 + 1 buffers of 16 words; a frame of 1000 bytes takes 33: nobody refuses the fifth. */
	queue(&r, 0, 0, 6, 1000);
	CU_ASSERT_EQUAL(rig_poll(&r, 3), 6);
	CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0);
	while ((len = rig_wire(&r, &fill)) > 0) {
		whole += len == 1000;
		n++;
	}
	CU_ASSERT(whole == 4 && n < 6);
	CU_ASSERT_EQUAL(softvi_stats(r.a)->alt_cut + softvi_stats(r.a)->alt_lost, 2);
	rig_fault(&r, NULL); /* that is what silent means */
	rig_close(&r);
}

static void
memory_comes_back_with_the_events(void)
{
	struct rig r;

	rig_open(&r, "sa", SOFTVI_8000_LL);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(r.vi, r.dh, 1, 4096), 0);
	for (int i = 0; i < 20; i++) {
		queue(&r, 0, 0, 4, 1000);
		CU_ASSERT_EQUAL(r.ops->alt_go(r.vi, 0), 0);
		CU_ASSERT_EQUAL(count_events(&r, EFVI_EV_TX_ALT, 3), 4);
		CU_ASSERT_EQUAL(r.ops->alt_stop(r.vi, 0), 0);
	}
	CU_ASSERT_EQUAL(softvi_stats(r.a)->alt_cut + softvi_stats(r.a)->alt_lost, 0);
	rig_fault(&r, NULL);
	rig_close(&r);
}

/* The ring's worth of sends, with an event queue of @places. Does it overflow? */
static bool
overflows(uint32_t places, uint32_t flags)
{
	struct rig r;
	bool lost;

	rig_adapter(&r, "sa", SOFTVI_8000_LL);
	rig_vi(&r, places, flags);
	for (int i = 0; i < 511; i++)
		CU_ASSERT_EQUAL_FATAL(rig_send(&r, 1, 60), 0);
	softvi_cfg(r.a)->batch = 1;
	CU_ASSERT(r.ops->ev_poll(r.vi, r.ev, 512) > 0);
	lost = r.ev[0].type == EFVI_EV_OFLOW;
	if (lost) { /* said once, and nothing ever after */
		CU_ASSERT_EQUAL(rig_poll(&r, 5), 0);
		CU_ASSERT_EQUAL(r.ops->ev_poll(r.vi, r.ev, 512), 0);
	}
	CU_ASSERT_EQUAL(softvi_stats(r.a)->overflows, lost);
	rig_close(&r);
	return lost;
}

static void
event_queue_needs_three_places_a_send(void)
{
	CU_ASSERT(!overflows(1024, 0));
	CU_ASSERT(overflows(256, 0));
	CU_ASSERT(overflows(1024, EFVI_TX_ALT)); /* enough without alternatives */
	CU_ASSERT(!overflows(2048, EFVI_TX_ALT));
}

static void
reset_ends_a_vi(void)
{
	struct rig r;

	alts(&r, 1);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	softvi_reset(r.a);
	CU_ASSERT_EQUAL_FATAL(r.ops->ev_poll(r.vi, r.ev, 8), 1);
	CU_ASSERT_EQUAL(r.ev[0].type, EFVI_EV_RESET);
	CU_ASSERT_EQUAL(r.ops->ev_poll(r.vi, r.ev, 8), 0); /* its sends never complete */
	CU_ASSERT_EQUAL(softvi_tx_pending(r.a), 1);
	rig_close(&r);
}

static unsigned long
cap(struct rig *r, enum efvi_cap c)
{
	unsigned long v = 0;
	int rc = r->ops->capability(r->dh, r->ops->if_index("sa"), c, &v);

	CU_ASSERT(rc == 0 || rc == -EOPNOTSUPP);
	CU_ASSERT_EQUAL(rc == 0, v != 0);
	return v;
}

static void
cards_and_firmware_differ(void)
{
	struct rig r;

	rig_open(&r, "sa", SOFTVI_7000);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_PIO_BYTES), 2048);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_ALTS), 0);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_CTPIO), 0);
	softvi_set_variant(r.a, SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_PIO_BYTES), 4096);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_ALTS), 0);
	softvi_set_variant(r.a, SOFTVI_8000_LL);
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_ALTS), 1);
	CU_ASSERT(cap(&r, EFVI_CAP_ALT_VFIFOS) >= EFVI_ALTS_MAX); /* so the clamp is the driver's */
	CU_ASSERT_EQUAL(cap(&r, EFVI_CAP_ALT_BUF_BYTES), 512);
	softvi_cfg(r.a)->fail[SOFTVI_CAPABILITY] = -ENOSYS;
	CU_ASSERT_EQUAL(r.ops->capability(r.dh, r.ops->if_index("sa"), EFVI_CAP_PIO, &(unsigned long){0}), -ENOSYS);
	rig_close(&r);
}

static void
alternatives_are_not_refused_with_the_vi(void)
{
	struct efvi_vi *vi;
	struct rig r;

	rig_open(&r, "sa", SOFTVI_8000_FF);
	/* The flag is taken; what it asked for is not there. */
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 4096, 512, 512, EFVI_TX_ALT, &vi), 0);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(vi, r.dh, 1, 4096), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(r.ops->alt_alloc(r.vi, r.dh, 1, 4096), -EINVAL); /* without the flag */
	r.ops->vi_free(vi, r.dh);
	rig_close(&r);
}

static const struct unit_test tests[] = {
	UNIT(frames_wait_for_go),
	UNIT(select_is_not_pushed_and_costs_a_place),
	UNIT(options_alone_never_complete),
	UNIT(forgotten_select_normal),
	UNIT(transition_before_the_late_events),
	UNIT(forgotten_stop_lets_frames_through),
	UNIT(discard_makes_events_too),
	UNIT(numbers_are_the_vis_own),
	UNIT(limits_are_shared_by_vis),
	UNIT(overrun_is_silent),
	UNIT(memory_comes_back_with_the_events),
	UNIT(event_queue_needs_three_places_a_send),
	UNIT(reset_ends_a_vi),
	UNIT(cards_and_firmware_differ),
	UNIT(alternatives_are_not_refused_with_the_vi),
};

UNIT_MAIN("softvi_alt", tests)
