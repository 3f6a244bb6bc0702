/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The model of an adapter catches a wrong driver: rings, memory, completions, PIO, receive, threads. One test for each
 * trap; alternatives, the event queue's size and what cards lack are in test_softvi_alt.c.
 */
#include <pthread.h>

#include "softvi_help.h"

static void
ring_takes_one_less_than_its_size(void)
{
	struct rig r;
	uint32_t n = 0;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(r.ops->tx_space(r.vi), 511);
	while (n < 1000 && rig_tx(&r, n % 64, 60) == 0)
		n++;
	CU_ASSERT_EQUAL(n, 511); /* who counts on 512 loses one */
	CU_ASSERT_EQUAL(rig_tx(&r, 0, 60), -EAGAIN);
	CU_ASSERT_EQUAL(r.ops->rx_space(r.vi), 511);
	rig_fault(&r, NULL);
	rig_close(&r);
}

static void
frame_across_a_page_takes_two_places_and_comes_out_wrong(void)
{
	struct rig r;
	uint8_t fill;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	/* In one piece from a buffer that crosses: the second half is somebody else's page, if it is anybody's. */
	rig_frame(r.mem + EFVI_PAGE - 100, 1000, 7);
	CU_ASSERT_EQUAL(r.ops->tx_init(r.vi, rig_addr(&r, EFVI_PAGE - 100), 1000, 0), 0);
	CU_ASSERT_EQUAL(r.ops->tx_space(r.vi), 509);
	r.ops->tx_push(r.vi);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 1000);
	CU_ASSERT_EQUAL(fill, 7);
	CU_ASSERT(softvi_stats(r.a)->faults > 0);
	CU_ASSERT_EQUAL(rig_poll(&r, 2), 1); /* one id for both */
	CU_ASSERT_EQUAL(r.ops->tx_space(r.vi), 511);
	rig_close(&r);
}

static void
unpushed_frames_do_nothing(void)
{
	struct rig r;
	uint8_t fill;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(rig_tx(&r, 1, 60), 0);
	CU_ASSERT_EQUAL(rig_poll(&r, 10), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), -EAGAIN);
	CU_ASSERT_EQUAL(rig_send(&r, 2, 60), 0); /* and goes with the next push, in order */
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 60);
	CU_ASSERT_EQUAL(fill, 1);
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 2);
	rig_close(&r);
}

static void
ids_come_in_batches_and_in_order(void)
{
	struct rig r;
	int n = 0, largest = 0, events = 0;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	softvi_cfg(r.a)->batch = 0;
	softvi_cfg(r.a)->done_polls = 3;
	for (int round = 0; round < 40; round++) {
		for (uint32_t i = 0; i < 100; i++)
			CU_ASSERT_EQUAL_FATAL(rig_send(&r, i % 64, 60), 0);
		for (int p = 0; p < 4; p++) {
			int k = r.ops->ev_poll(r.vi, r.ev, 512);

			for (int j = 0; j < k; j++, events++) {
				int got = r.ops->tx_unbundle(r.vi, &r.ev[j], r.ids);

				for (int i = 0; i < got; i++)
					CU_ASSERT_EQUAL(r.ids[i], (uint32_t)(n + i) % 100 % 64);
				n += got;
				largest = ZF_MAX(largest, got);
			}
		}
	}
	CU_ASSERT_EQUAL(n, 4000);
	CU_ASSERT(largest > 32 && largest <= EFVI_BATCH);
	CU_ASSERT(events < n / 8);
	rig_fault(&r, NULL);
	rig_close(&r);
}

static void
two_events(struct rig *r)
{
	softvi_cfg(r->a)->batch = 1;
	CU_ASSERT_EQUAL(rig_send(r, 1, 60), 0);
	CU_ASSERT_EQUAL(rig_send(r, 2, 60), 0);
	CU_ASSERT_EQUAL_FATAL(r->ops->ev_poll(r->vi, r->ev, 8), 2);
}

static void
events_are_unbundled_once_and_in_order(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	two_events(&r);
	CU_ASSERT_EQUAL(r.ops->tx_unbundle(r.vi, &r.ev[1], r.ids), 0); /* skips one */
	rig_fault(&r, "out of order");
	CU_ASSERT_EQUAL(r.ops->tx_unbundle(r.vi, &r.ev[0], r.ids), 1);
	CU_ASSERT_EQUAL(r.ops->tx_unbundle(r.vi, &r.ev[0], r.ids), 0); /* the same again */
	rig_fault(&r, "unbundled twice");
	CU_ASSERT_EQUAL(r.ops->tx_unbundle(r.vi, &r.ev[1], r.ids), 1);
	rig_close(&r);
}

static void
events_not_unbundled_fill_the_ring(void)
{
	struct rig r;
	uint32_t n = 0;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	for (; n < 2000 && rig_send(&r, n % 64, 60) == 0; n++)
		(void)r.ops->ev_poll(r.vi, r.ev, 512);
	CU_ASSERT_EQUAL(n, 511); /* polling is not enough */
	rig_close(&r);
}

static void
buffer_changed_before_its_completion(void)
{
	struct rig r;
	uint8_t fill;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 60); /* on the wire, and still not ours */
	r.mem[RIG_BUF + 30]++;
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 1);
	rig_fault(&r, "changed or given back");
	/* An adapter that is slow to read sends what is there by then. */
	softvi_cfg(r.a)->fetch_polls = 2;
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	r.mem[RIG_BUF + 20] = 0x77;
	CU_ASSERT_EQUAL(rig_poll(&r, 5), 1);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 60);
	CU_ASSERT_EQUAL(fill, 0x77);
	rig_close(&r);
}

static void
buffer_freed_before_its_completion(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	/* Given back on the doorbell, as if it were a copy: the next frame is written into it. */
	rig_frame(r.mem + RIG_BUF, 60, 0x55);
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 1);
	rig_fault(&r, "changed or given back");
	rig_close(&r);
}

static void
memory_unregistered_before_its_completion(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	r.ops->memreg_free(r.mr, r.dh);
	rig_fault(&r, "unregistered");
	CU_ASSERT_EQUAL(r.ops->memreg_alloc(r.dh, r.pd, r.mem, RIG_PAGES * EFVI_PAGE, &r.mr), 0);
	rig_close(&r);
}

static void
memory_is_scattered_and_page_aligned(void)
{
	struct rig r;
	struct efvi_memreg *mr;
	uint32_t neighbours = 0;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	for (uint32_t i = 1; i < RIG_PAGES; i++) {
		uint64_t before = rig_addr(&r, (size_t)(i - 1) * EFVI_PAGE), at = rig_addr(&r, (size_t)i * EFVI_PAGE);

		neighbours += at == before + EFVI_PAGE;
		CU_ASSERT_EQUAL(rig_addr(&r, (size_t)i * EFVI_PAGE + 5), at + 5);
	}
	CU_ASSERT_EQUAL(neighbours, 0);
	CU_ASSERT_EQUAL(r.ops->memreg_alloc(r.dh, r.pd, r.mem + 64, EFVI_PAGE, &mr), -EINVAL);
	rig_close(&r);
}

static void
unregistered_address_is_found(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	/* The first buffer's address and the offset from there, as if memory were contiguous. */
	rig_frame(r.mem + 3 * EFVI_PAGE, 60, 9);
	CU_ASSERT_EQUAL(r.ops->tx_init(r.vi, rig_addr(&r, 0) + 3 * EFVI_PAGE, 60, 0), 0);
	r.ops->tx_push(r.vi);
	rig_fault(&r, "not registered");
	/* A pointer in place of an address. */
	CU_ASSERT_EQUAL(r.ops->rx_init(r.vi, (uint64_t)(uintptr_t)r.mem % EFVI_PAGE, 0), 0);
	rig_fault(&r, "not registered");
	rig_close(&r);
}

static void
pio_wants_alignment_and_a_link(void)
{
	struct rig r;
	uint8_t b[128], fill;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	rig_frame(b, 100, 3);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 32, b, 100, 0), -EINVAL);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 4032, b, 100, 0), -EINVAL); /* beyond its end */
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 2048, b, 100, 0), 0);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 100);
	CU_ASSERT_EQUAL(fill, 3);
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 1);
	rig_fault(&r, NULL);
	r.ops->pio_unlink(r.pio, r.vi, r.dh);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 0, b, 100, 0), -EINVAL);
	rig_fault(&r, "linked");
	CU_ASSERT_EQUAL(r.ops->pio_link(r.pio, r.vi, r.dh), 0);
	rig_close(&r);
}

static void
pio_rewritten_in_flight_shows_on_the_wire(void)
{
	struct rig r;
	uint8_t b[100], fill;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	softvi_cfg(r.a)->fetch_polls = 1;
	rig_frame(b, 100, 1);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 0, b, 100, 0), 0);
	rig_frame(b, 100, 2);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 0, b, 100, 1), 0); /* the same half, no id came back yet */
	rig_fault(&r, "overwritten");
	CU_ASSERT_EQUAL(rig_poll(&r, 3), 2);
	CU_ASSERT_EQUAL(rig_wire(&r, &fill), 100);
	CU_ASSERT_EQUAL(fill, 2); /* the first frame is lost for good */
	rig_close(&r);
}

static void
pio_overwrites_even_when_the_ring_is_full(void)
{
	struct rig r;
	uint8_t b[100], fill = 0;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	softvi_cfg(r.a)->fetch_polls = 1;
	for (int i = 0; i < 510; i++)
		CU_ASSERT_EQUAL_FATAL(rig_send(&r, 1, 60), 0);
	rig_frame(b, 100, 1);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 0, b, 100, 2), 0);
	rig_frame(b, 100, 2);
	CU_ASSERT_EQUAL(r.ops->tx_copy_pio(r.vi, 0, b, 100, 3), -EAGAIN);
	rig_fault(&r, "overwritten");
	CU_ASSERT_EQUAL(rig_poll(&r, 2), 511);
	for (int i = 0; i < 511; i++)
		CU_ASSERT(rig_wire(&r, &fill) > 0);
	CU_ASSERT_EQUAL(fill, 2);
	rig_close(&r);
}

static void
post(struct rig *r, uint32_t id, bool push)
{
	CU_ASSERT_EQUAL(r->ops->rx_init(r->vi, rig_addr(r, (size_t)id * RIG_BUF), id), 0);
	if (push)
		r->ops->rx_push(r->vi);
}

static void
arrive(struct rig *r, uint32_t len, uint8_t fill)
{
	static uint8_t b[16384];

	rig_frame(b, len, fill);
	memcpy(b, mem_cfg(r->port)->mac, 6);
	CU_ASSERT_EQUAL(mem_push(r->port, 0, b, len, 0), 0);
}

static struct efvi_filter_id
all_for_us(struct rig *r)
{
	struct efvi_filter f = {.form = EFVI_FILTER_MAC};
	struct efvi_filter_id id = {0};

	memcpy(f.mac, mem_cfg(r->port)->mac, 6);
	CU_ASSERT_EQUAL_FATAL(r->ops->filter_add(r->vi, r->dh, &f, &id), 0);
	return id;
}

static void
receive_needs_a_filter_and_pushed_buffers(void)
{
	struct efvi_filter_id id;
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	post(&r, 1, true);
	arrive(&r, 60, 1);
	CU_ASSERT_EQUAL(r.ops->ev_poll(r.vi, r.ev, 8), 0);
	CU_ASSERT_EQUAL(softvi_stats(r.a)->rx_kernel, 1); /* nobody asked for it */
	id = all_for_us(&r);
	arrive(&r, 60, 2);
	CU_ASSERT_EQUAL_FATAL(r.ops->ev_poll(r.vi, r.ev, 8), 1);
	CU_ASSERT_EQUAL(r.ev[0].type, EFVI_EV_RX);
	CU_ASSERT_EQUAL(r.ev[0].id, 1);
	CU_ASSERT_EQUAL(r.ev[0].len, 74);
	CU_ASSERT(r.ev[0].sop && !r.ev[0].cont);
	CU_ASSERT_EQUAL(r.mem[RIG_BUF], 0xa5); /* the prefix is in front: who takes it for the frame reads rubbish */
	CU_ASSERT_EQUAL(r.mem[RIG_BUF + 14 + 20], 2);
	post(&r, 2, false);
	arrive(&r, 60, 3);
	CU_ASSERT_EQUAL(r.ops->ev_poll(r.vi, r.ev, 8), 0);
	CU_ASSERT_EQUAL(softvi_stats(r.a)->rx_lost_no_desc, 1);
	CU_ASSERT_EQUAL(r.ops->filter_del(r.vi, r.dh, &id), 0);
	CU_ASSERT_EQUAL(r.ops->filter_del(r.vi, r.dh, &id), -ENOENT);
	rig_fault(&r, "not there");
	rig_close(&r);
}

static void
long_frames_come_in_pieces(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	mem_cfg(r.port)->mtu = 9000;
	(void)all_for_us(&r);
	for (uint32_t i = 0; i < 4; i++)
		post(&r, i, true);
	arrive(&r, 4000, 5);
	CU_ASSERT_EQUAL_FATAL(r.ops->ev_poll(r.vi, r.ev, 8), 3);
	CU_ASSERT(r.ev[0].sop && r.ev[0].cont && !r.ev[1].sop && r.ev[1].cont && !r.ev[2].sop && !r.ev[2].cont);
	CU_ASSERT_EQUAL(r.ev[0].len, 1792);
	CU_ASSERT_EQUAL(r.ev[2].len, 4014); /* of all pieces: who takes it for the piece's runs over its buffer */
	CU_ASSERT_EQUAL(r.mem[2 * RIG_BUF + 4013 - 2 * 1792], 5);
	CU_ASSERT_EQUAL(r.mem[2 * RIG_BUF + 4014 - 2 * 1792], 0);
	rig_fault(&r, NULL);
	CU_ASSERT_EQUAL(r.ops->rx_init(r.vi, rig_addr(&r, EFVI_PAGE - 100), 9), 0);
	rig_fault(&r, "across a page");
	rig_close(&r);
}

/* 02..: IPv4 and UDP from 192.0.2.9:9 to 192.0.2.1:7, two bytes, sums left out. */
static const uint8_t udp_frame[] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
	0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 9, 192, 0, 2, 1,
	0, 9, 0, 7, 0, 10, 0, 0, 0xab, 0xcd};

static void
checksums_are_filled_in_and_judged(void)
{
	uint8_t sent[64];
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	(void)all_for_us(&r);
	memcpy(r.mem, udp_frame, sizeof(udp_frame));
	CU_ASSERT_EQUAL(r.ops->tx_init(r.vi, rig_addr(&r, 0), sizeof(udp_frame), 0), 0);
	r.ops->tx_push(r.vi);
	CU_ASSERT_EQUAL(mem_pop(r.port, sent, sizeof(sent), NULL), sizeof(udp_frame));
	CU_ASSERT_EQUAL(sent[24] << 8 | sent[25], 0xb6c4);
	CU_ASSERT_EQUAL(sent[40] << 8 | sent[41], 0xcff1);
	CU_ASSERT_EQUAL(rig_poll(&r, 1), 1);
	post(&r, 1, true);
	post(&r, 2, true);
	CU_ASSERT_EQUAL(mem_push(r.port, 0, sent, sizeof(udp_frame), 0), 0);
	sent[43] ^= 1;
	CU_ASSERT_EQUAL(mem_push(r.port, 0, sent, sizeof(udp_frame), 0), 0);
	CU_ASSERT_EQUAL_FATAL(r.ops->ev_poll(r.vi, r.ev, 8), 2);
	CU_ASSERT_EQUAL(r.ev[0].type, EFVI_EV_RX);
	CU_ASSERT_EQUAL(r.ev[1].type, EFVI_EV_RX_DISCARD); /* the buffer is used up all the same */
	CU_ASSERT_EQUAL(r.ev[1].id, 2);
	rig_close(&r);
}

static void
narrowest_filter_wins(void)
{
	struct efvi_filter local = {.form = EFVI_FILTER_LOCAL, .proto = 17, .lport = BE16_C(7), .lip = BE32_C(0xc0000201)};
	struct efvi_filter full = local;
	struct efvi_filter_id id;
	struct efvi_vi *other;
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 2048, 512, 512, 0, &other), 0);
	full.form = EFVI_FILTER_FULL;
	full.rip = BE32_C(0xc0000209);
	full.rport = BE16_C(9);
	CU_ASSERT_EQUAL(r.ops->filter_add(other, r.dh, &local, &id), 0);
	CU_ASSERT_EQUAL(r.ops->filter_add(r.vi, r.dh, &local, &id), -EEXIST);
	CU_ASSERT_EQUAL(r.ops->filter_add(r.vi, r.dh, &full, &id), 0);
	post(&r, 1, true);
	CU_ASSERT_EQUAL(mem_push(r.port, 0, udp_frame, sizeof(udp_frame), 0), 0);
	CU_ASSERT_EQUAL(r.ops->ev_poll(other, r.ev, 8), 0);
	CU_ASSERT_EQUAL(r.ops->ev_poll(r.vi, r.ev, 8), 1);
	full.vlan = 5;
	softvi_set_variant(r.a, SOFTVI_8000_LL);
	CU_ASSERT_EQUAL(r.ops->filter_add(r.vi, r.dh, &full, &id), -EOPNOTSUPP);
	softvi_cfg(r.a)->filters = 2;
	full.vlan = 0;
	full.rport = BE16_C(10);
	CU_ASSERT_EQUAL(r.ops->filter_add(r.vi, r.dh, &full, &id), -EBUSY);
	r.ops->vi_free(other, r.dh);
	rig_close(&r);
}

static void *
another_thread(void *arg)
{
	struct rig *r = arg;

	(void)r->ops->tx_space(r->vi);
	(void)r->ops->ev_poll(r->vi, r->ev, 8);
	return NULL;
}

static void
on_wire(void *arg, const uint8_t *frame, uint32_t len)
{
	pthread_t t;

	(void)frame;
	(void)len;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, another_thread, arg), 0);
	pthread_join(t, NULL);
}

static void
two_threads_in_one_vi(void)
{
	struct rig r;

	rig_open(&r, "sv", SOFTVI_8000_FF);
	CU_ASSERT_EQUAL(rig_send(&r, 1, 60), 0);
	another_thread(&r); /* one after the other is fine */
	rig_fault(&r, NULL);
	mem_on_tx(r.port, on_wire, &r); /* while the first is in tx_push() */
	CU_ASSERT_EQUAL(rig_send(&r, 2, 60), 0);
	rig_fault(&r, "two threads");
	mem_on_tx(r.port, NULL, NULL);
	rig_close(&r);
}

static void
resources_are_counted_and_missed(void)
{
	struct efvi_pio *pio[3];
	struct efvi_vi *vi;
	struct rig r;

	rig_adapter(&r, "sv", SOFTVI_7000);
	softvi_cfg(r.a)->pio_bufs = 2;
	softvi_cfg(r.a)->vis = 1;
	rig_vi(&r, 2048, 0);
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 2048, 512, 512, 0, &vi), -EBUSY);
	CU_ASSERT_EQUAL(r.ops->pio_alloc(r.dh, r.pd, &pio[0]), 0);
	CU_ASSERT_EQUAL(r.ops->pio_alloc(r.dh, r.pd, &pio[1]), -ENOSPC);
	CU_ASSERT_EQUAL(r.ops->pio_link(pio[0], r.vi, r.dh), -EBUSY);
	CU_ASSERT_EQUAL(softvi_forget(r.a), -EBUSY);
	r.ops->pio_free(pio[0], r.dh);
	r.ops->pio_free(r.pio, r.dh); /* linked still */
	rig_fault(&r, "linked");
	r.pio = NULL;
	softvi_cfg(r.a)->fail[SOFTVI_VI_ALLOC] = -ENOKEY;
	softvi_cfg(r.a)->vis = 2;
	CU_ASSERT_EQUAL(r.ops->vi_alloc(r.dh, r.pd, 2048, 512, 512, 0, &vi), -ENOKEY);
	rig_close(&r);
}

static const struct unit_test tests[] = {
	UNIT(ring_takes_one_less_than_its_size),
	UNIT(frame_across_a_page_takes_two_places_and_comes_out_wrong),
	UNIT(unpushed_frames_do_nothing),
	UNIT(ids_come_in_batches_and_in_order),
	UNIT(events_are_unbundled_once_and_in_order),
	UNIT(events_not_unbundled_fill_the_ring),
	UNIT(buffer_changed_before_its_completion),
	UNIT(buffer_freed_before_its_completion),
	UNIT(memory_unregistered_before_its_completion),
	UNIT(memory_is_scattered_and_page_aligned),
	UNIT(unregistered_address_is_found),
	UNIT(pio_wants_alignment_and_a_link),
	UNIT(pio_rewritten_in_flight_shows_on_the_wire),
	UNIT(pio_overwrites_even_when_the_ring_is_full),
	UNIT(receive_needs_a_filter_and_pushed_buffers),
	UNIT(long_frames_come_in_pieces),
	UNIT(checksums_are_filled_in_and_judged),
	UNIT(narrowest_filter_wins),
	UNIT(two_threads_in_one_vi),
	UNIT(resources_are_counted_and_missed),
};

UNIT_MAIN("softvi", tests)
