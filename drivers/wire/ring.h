/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One direction of a wire: a ring of byte slots between exactly one sender and one receiver, who may be two
 * processes that do not trust each other. Shared memory holds slots and nothing else: no head, no tail. Each side
 * keeps its own position in private memory.
 *
 * A slot is a header word followed at once by the frame, so a frame of up to 60 bytes and its word are one cache
 * line. The word is written last: tag in the upper half, length in the lower. The tag says in which epoch and in
 * which lap the frame was sent, so whatever an earlier one left in a slot is never taken for a frame.
 *
 * Flow control goes by sheets of 32 slots. The receiver clears the last word of a sheet when it has copied the frame
 * out; the sender looks at that word once a sheet, before it starts to fill it. All other words stay as they are: a
 * store for each frame would pull its line back from the other core just before the answer is written (measured,
 * medians of 100 interleaved runs of a round trip: 731 ns with a word cleared for each frame, 531 so, between two
 * cores; 160 and 120 between two threads of one). Prefetching lines of the next slot gained nothing at either side.
 *
 * What the other side writes is never trusted. A receiver fetches the word once; a length beyond RING_FRAME_MAX is no
 * frame (the sender has then stalled its own ring). The frame may be rewritten while it is being copied: parse the
 * copy, never the slot. A receiver that clears words at random only overwrites frames that were meant for it.
 *
 * This file knows nothing of mbufs, of who maps the memory, or of links.
 */
#ifndef ZF_WIRE_RING_H
#define ZF_WIRE_RING_H

#include <stdatomic.h>

#include "base/check.h"
#include "base/compiler.h"

/* The stride is an odd number of cache lines: slots spread over all sets of a cache, where 2048 would use 1/32 of
 * them; and two rings and the head page are still less than one huge page (see shm.h).
 */
#define RING_SLOTS      512u
#define RING_SHEET      32u
#define RING_STRIDE     1984u
#define RING_BYTES      (RING_SLOTS * RING_STRIDE)
#define RING_DATA       4u    /* of the frame in its slot */
#define RING_FRAME_MAX  1536u /* a multiple of 64: a copy in blocks of that size stays inside the slot */
#define RING_TAG_SHIFT  16
#define RING_TAG_ALWAYS 0x80000000u /* so that a word with a frame is never 0 */

ZF_STATIC_ASSERT(RING_SLOTS % RING_SHEET == 0, "laps end with a sheet");
ZF_STATIC_ASSERT(RING_STRIDE % (2 * ZF_CACHE_LINE) == ZF_CACHE_LINE, "odd number of lines");
ZF_STATIC_ASSERT(RING_DATA + RING_FRAME_MAX <= RING_STRIDE, "frame fits");
ZF_STATIC_ASSERT(RING_FRAME_MAX % 64 == 0 && RING_FRAME_MAX >= 1518, "block copies, tagged frames");
ZF_STATIC_ASSERT(RING_FRAME_MAX < 1u << RING_TAG_SHIFT, "length and tag share a word");

/* Sender's side. One thread. */
struct ring_tx {
	uint8_t *slot; /* the next one to fill; after the last of a lap: one stride beyond, until the next refill */
	uint32_t tag;  /* of this lap, in place */
	uint32_t room; /* slots of this sheet known to be free */
	uint8_t *start;
};

/* Receiver's side. Written by one thread; ring_rx_peek() reads slot and expect from any. */
struct ring_rx {
	_Atomic(uint8_t *) slot; /* the next one to look at */
	_Atomic uint32_t expect; /* tag of this lap, in place */
	uint32_t left;           /* slots of this sheet from `slot` to its end */
	uint8_t *start;
};

static inline uint32_t
ring_first_tag(uint32_t epoch)
{
	return RING_TAG_ALWAYS | epoch << RING_TAG_SHIFT;
}

static inline uint32_t
ring_next_tag(uint32_t tag)
{
	return RING_TAG_ALWAYS | (tag + (1u << RING_TAG_SHIFT));
}

static ZF_ALWAYS_INLINE _Atomic uint32_t *
ring_word(uint8_t *slot)
{
	return (_Atomic uint32_t *)(void *)slot;
}

/* Both sides start an epoch with memory whose words are all 0. */
static inline void
ring_tx_init(struct ring_tx *tx, uint8_t *start, uint32_t epoch)
{
	tx->slot = start;
	tx->tag = ring_first_tag(epoch);
	tx->room = 0;
	tx->start = start;
}

static inline void
ring_rx_init(struct ring_rx *rx, uint8_t *start, uint32_t epoch)
{
	rx->start = start;
	rx->left = RING_SHEET;
	atomic_store_explicit(&rx->slot, start, memory_order_release);
	atomic_store_explicit(&rx->expect, ring_first_tag(epoch), memory_order_release);
}

/* For memory that is used again: no frame anywhere, all slots free. Both sides must be out of the ring. */
static inline void
ring_clear(uint8_t *start)
{
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		atomic_store_explicit(ring_word(start + i * RING_STRIDE), 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

/* With room == 0: look whether the receiver is done with the next sheet. Returns the new room, 0 or RING_SHEET. */
static inline uint32_t
ring_tx_refill(struct ring_tx *tx)
{
	ZF_ASSERT(tx->room == 0);
	if (tx->slot == tx->start + RING_BYTES) {
		tx->slot = tx->start;
		tx->tag = ring_next_tag(tx->tag);
	}
	if (atomic_load_explicit(ring_word(tx->slot + (RING_SHEET - 1) * RING_STRIDE), memory_order_acquire) == 0)
		tx->room = RING_SHEET;
	return tx->room;
}

/* Where to write the next frame, with room > 0. */
static ZF_ALWAYS_INLINE uint8_t *
ring_tx_slot(const struct ring_tx *tx)
{
	return tx->slot;
}

/* Ask for the lines of a frame of @len bytes all at once, to own them: stores wait for one line after the other. The
 * first line needs no request, the frame's own first stores come at once. (Medians of 122 interleaved runs between two
 * cores: 64-byte datagrams one way 11.3 -> 15.7 million a second, 1472-byte ones 3.1 -> 3.6, their round trip 1422 ->
 * 1162 ns; small round trips the same.)
 */
static ZF_ALWAYS_INLINE void
ring_tx_claim_line(uint8_t *line)
{
#if defined(__x86_64__)
	/* Part of every x86-64 processor, at least as a hint without effect; the builtin would only ask to read. */
	__asm__ volatile("prefetchw %0" : : "m"(*line));
#else
	__builtin_prefetch(line, 1);
#endif
}

static ZF_ALWAYS_INLINE void
ring_tx_claim(uint8_t *slot, uint32_t len)
{
	for (uint32_t at = ZF_CACHE_LINE; at < RING_DATA + len; at += ZF_CACHE_LINE)
		ring_tx_claim_line(slot + at);
}

/* The same for up to 124 bytes. */
static ZF_ALWAYS_INLINE void
ring_tx_claim_small(uint8_t *slot, uint32_t len)
{
	if (len > ZF_CACHE_LINE - RING_DATA)
		ring_tx_claim_line(slot + ZF_CACHE_LINE);
}

/* The frame is in @slot, which ring_tx_slot() gave: publish it and go on. */
static ZF_ALWAYS_INLINE void
ring_tx_commit(struct ring_tx *tx, uint8_t *slot, uint32_t len)
{
	ZF_ASSERT(len <= RING_FRAME_MAX && tx->room > 0);
	atomic_store_explicit(ring_word(slot), tx->tag | len, memory_order_release);
	tx->slot = slot + RING_STRIDE;
	tx->room--;
}

static ZF_ALWAYS_INLINE uint8_t *
ring_rx_slot(const struct ring_rx *rx)
{
	return atomic_load_explicit(&rx->slot, memory_order_relaxed);
}

/* Length of the frame that waits in @slot, which ring_rx_slot() gave, or a number above RING_FRAME_MAX if there is
 * none. The one and only fetch of the word: whatever this returned is the frame's length.
 */
static ZF_ALWAYS_INLINE uint32_t
ring_rx_len(const struct ring_rx *rx, uint8_t *slot)
{
	return atomic_load_explicit(ring_word(slot), memory_order_acquire) -
	       atomic_load_explicit(&rx->expect, memory_order_relaxed);
}

/* End of a sheet: give it back, and start the next lap after the last one. The order of slot and expect matters to
 * ring_rx_peek().
 */
static inline void
ring_rx_end_sheet(struct ring_rx *rx, uint8_t *slot)
{
	uint8_t *next = slot + RING_STRIDE;
	uint32_t expect = atomic_load_explicit(&rx->expect, memory_order_relaxed);

	rx->left = RING_SHEET;
	if (next == rx->start + RING_BYTES) {
		next = rx->start;
		expect = ring_next_tag(expect);
	}
	atomic_store_explicit(&rx->slot, next, memory_order_relaxed);
	atomic_store_explicit(&rx->expect, expect, memory_order_release);
	atomic_store_explicit(ring_word(slot), 0, memory_order_release);
}

/* The frame was copied out of @slot: it may be used again. */
static ZF_ALWAYS_INLINE void
ring_rx_next(struct ring_rx *rx, uint8_t *slot)
{
	if (zf_unlikely(--rx->left == 0)) {
		ring_rx_end_sheet(rx, slot);
		return;
	}
	atomic_store_explicit(&rx->slot, slot + RING_STRIDE, memory_order_relaxed);
}

/* Does a frame wait? From any thread; consumes nothing; never false while one waits, whatever the receiving thread
 * is doing meanwhile: a slot that moved on counts as yes, and between the two stores of ring_rx_end_sheet() the
 * frame at the new slot carries the tag that follows the old `expect`.
 */
static inline bool
ring_rx_peek(const struct ring_rx *rx)
{
	uint8_t *slot = atomic_load_explicit(&rx->slot, memory_order_acquire);
	uint32_t word = atomic_load_explicit(ring_word(slot), memory_order_acquire);
	uint32_t expect = atomic_load_explicit(&rx->expect, memory_order_acquire);

	return word - expect <= RING_FRAME_MAX || word - ring_next_tag(expect) <= RING_FRAME_MAX ||
	       slot != atomic_load_explicit(&rx->slot, memory_order_relaxed);
}

#endif
