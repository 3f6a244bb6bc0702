/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The link between two joined ports: for each direction one generator and one set of faults, so that a run with the
 * same seed and the same frames does the same. Knows frames and times, not mbufs.
 */
#include <string.h>

#include "mem/mem_priv.h"

static bool
chance(struct mem_port *p, uint32_t ppm)
{
	return ppm != 0 && rng_below(&p->rng, 1000000) < ppm;
}

/* One bit behind the Ethernet header: on a real link the FCS would have caught it, a switch that rewrites it would
 * not. ARP has no checksum of its own, and one lie in a cache would be a different test.
 */
static void
corrupt(struct mem_port *p, struct mem_frame *f)
{
	uint64_t bit;

	if (f->len <= 14 || (f->bytes[12] == 0x08 && f->bytes[13] == 0x06))
		return;
	bit = rng_below(&p->rng, (uint64_t)(f->len - 14) * 8);
	f->bytes[14 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
	p->stats.link_corrupted++;
}

/* When a frame of @len bytes has left the sender; UINT64_MAX if the queue before a slow link is full. */
static uint64_t
departure(struct mem_port *p, uint32_t len)
{
	uint64_t bits = ((uint64_t)ZF_MAX(len, 60u) + MEM_FCS_AND_GAP) * 8;
	uint64_t wire_ns;

	if (p->lk.bits_per_s == 0)
		return mem_clock_ns;
	wire_ns = (uint64_t)((unsigned __int128)bits * 1000000000u / p->lk.bits_per_s);
	if (p->lk_free_ns < mem_clock_ns)
		p->lk_free_ns = mem_clock_ns;
	/* The queue's length is judged by time in units of this frame: exact for equal frames, close for others. */
	if (p->lk.queue_frames != 0 && wire_ns != 0 &&
	    (p->lk_free_ns - mem_clock_ns) / wire_ns >= p->lk.queue_frames)
		return UINT64_MAX;
	p->lk_free_ns += wire_ns;
	return p->lk_free_ns;
}

static void
forward(struct mem_port *p, const uint8_t *frame, uint32_t len, uint64_t when)
{
	struct mem_frame *f = mem_frame_new(frame, len, when);

	if (f == NULL) {
		p->stats.link_lost++;
		return;
	}
	if (chance(p, p->lk.corrupt_ppm))
		corrupt(p, f);
	mem_arrive(p->peer, 0, f);
}

void
mem_link_send(struct mem_port *p, const uint8_t *frame, uint32_t len)
{
	uint64_t when;

	if (p->peer->link != PORT_LINK_UP) {
		p->stats.tx_lost_link++;
		return;
	}
	when = departure(p, len);
	if (when == UINT64_MAX || (p->lk.drop != NULL && p->lk.drop(p->lk.drop_arg, frame, len)) ||
	    chance(p, p->lk.loss_ppm)) {
		p->stats.link_lost++;
		return;
	}
	when += p->lk.delay_ns;
	if (p->lk.jitter_ns != 0)
		when += rng_below(&p->rng, p->lk.jitter_ns + 1);
	if (chance(p, p->lk.reorder_ppm)) {
		when += p->lk.reorder_ns;
		p->stats.link_reordered++;
	} else {
		if (when < p->lk_last_ns)
			when = p->lk_last_ns;
		p->lk_last_ns = when;
	}
	forward(p, frame, len, when);
	if (chance(p, p->lk.dup_ppm)) {
		p->stats.link_doubled++;
		forward(p, frame, len, when);
	}
}
