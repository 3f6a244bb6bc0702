/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Rings and copies of drivers/wire: order, content, flow control, laps, and what a hostile other side can do. The
 * ring lies between two pages that may not be touched.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"
#include "wire/copy.h"
#include "wire/shm.h"

#define PAGE 4096u
#define MANY 1000000u

static uint8_t *
ring_new(void)
{
	size_t len = zf_align_up(RING_BYTES, PAGE);
	uint8_t *m = mmap(NULL, len + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(m != MAP_FAILED);
	CU_ASSERT_FATAL(mprotect(m + PAGE, len, PROT_READ | PROT_WRITE) == 0);
	return m + PAGE;
}

static void
ring_free(uint8_t *ring)
{
	munmap(ring - PAGE, zf_align_up(RING_BYTES, PAGE) + 2 * PAGE);
}

static uint32_t
mix(uint32_t v)
{
	v ^= v >> 16;
	v *= 0x7feb352du;
	v ^= v >> 15;
	v *= 0x846ca68bu;
	return v ^ v >> 16;
}

/* Both threads may be on one core. */
static void
wait_a_bit(uint64_t *spins)
{
	if (++*spins % 256 == 0)
		sched_yield();
	zf_cpu_relax();
}

/* 0 or 1 frames, as the driver does it. */
static uint32_t
put(struct ring_tx *tx, const void *frame, uint32_t len)
{
	uint8_t *slot;

	if (tx->room == 0 && ring_tx_refill(tx) == 0)
		return 0;
	slot = ring_tx_slot(tx);
	copy_exact(slot + RING_DATA, frame, len);
	ring_tx_commit(tx, slot, len);
	return 1;
}

/* Length, or -1. */
static int
get(struct ring_rx *rx, uint8_t frame[RING_FRAME_MAX])
{
	uint8_t *slot = ring_rx_slot(rx);
	uint32_t len = ring_rx_len(rx, slot);

	if (len > RING_FRAME_MAX)
		return -1;
	copy_over(frame, slot + RING_DATA, len);
	ring_rx_next(rx, slot);
	return (int)len;
}

static void
copies_are_exact(void)
{
	static uint8_t src[2048], dst[2048];
	int bad = 0;

	for (uint32_t i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)(mix(i) | 1);
	for (uint32_t len = 0; len <= RING_FRAME_MAX; len++) {
		for (uint32_t off = 0; off < 3; off++) {
			memset(dst, 0, sizeof(dst));
			copy_exact(dst + 100 + off, src + 7, len);
			bad += memcmp(dst + 100 + off, src + 7, len) != 0;
			bad += dst[99 + off] != 0 || dst[100 + off + len] != 0;
			if (len <= 64) {
				memset(dst, 0, sizeof(dst));
				copy_exact_64(dst + 100 + off, src + 7, len);
				bad += memcmp(dst + 100 + off, src + 7, len) != 0;
				bad += dst[99 + off] != 0 || dst[100 + off + len] != 0;
			}
		}
		memset(dst, 0, sizeof(dst));
		copy_over(dst, src, len);
		bad += memcmp(dst, src, len) != 0;
		bad += dst[len == 0 ? 64 : zf_align_up(len, 64)] != 0;
	}
	CU_ASSERT(bad == 0);
}

static void
every_length_passes(void)
{
	static uint8_t out[RING_FRAME_MAX], in[RING_FRAME_MAX];
	uint8_t *ring = ring_new();
	struct ring_tx tx;
	struct ring_rx rx;
	int bad = 0;

	ring_tx_init(&tx, ring, 1);
	ring_rx_init(&rx, ring, 1);
	CU_ASSERT(!ring_rx_peek(&rx));
	CU_ASSERT(get(&rx, in) == -1);
	for (uint32_t len = 0; len <= RING_FRAME_MAX; len++) {
		for (uint32_t i = 0; i < len; i++)
			out[i] = (uint8_t)mix(len + i);
		bad += put(&tx, out, len) != 1;
		bad += !ring_rx_peek(&rx);
		bad += get(&rx, in) != (int)len || memcmp(in, out, len) != 0;
		bad += ring_rx_peek(&rx) || get(&rx, in) != -1;
	}
	CU_ASSERT(bad == 0);
	ring_free(ring);
}

static void
small_frame_is_one_line(void)
{
	CU_ASSERT(RING_DATA + 60 == ZF_CACHE_LINE);
	CU_ASSERT(RING_STRIDE % ZF_CACHE_LINE == 0);
	CU_ASSERT((SHM_HEAD + RING_BYTES) % ZF_CACHE_LINE == 0);
}

static void
full_ring_refuses_until_a_sheet_is_free(void)
{
	static uint8_t f[RING_FRAME_MAX];
	uint8_t *ring = ring_new();
	struct ring_tx tx;
	struct ring_rx rx;
	uint32_t n = 0;

	ring_tx_init(&tx, ring, 1);
	ring_rx_init(&rx, ring, 1);
	while (n < 2 * RING_SLOTS && put(&tx, &n, sizeof(n)) == 1)
		n++;
	CU_ASSERT(n == RING_SLOTS);
	CU_ASSERT(put(&tx, &n, sizeof(n)) == 0);
	for (uint32_t i = 0; i < RING_SHEET - 1; i++)
		CU_ASSERT(get(&rx, f) == sizeof(n));
	CU_ASSERT(put(&tx, &n, sizeof(n)) == 0);
	CU_ASSERT(get(&rx, f) == sizeof(n));
	while (n < 2 * RING_SLOTS && put(&tx, &n, sizeof(n)) == 1)
		n++;
	CU_ASSERT(n == RING_SLOTS + RING_SHEET);
	for (uint32_t i = RING_SHEET; i < n; i++) {
		uint32_t v = 0;

		CU_ASSERT(get(&rx, f) == sizeof(v));
		memcpy(&v, f, sizeof(v));
		CU_ASSERT(v == i);
	}
	CU_ASSERT(get(&rx, f) == -1);
	ring_free(ring);
}

/* Epochs whose tags wrap within the test, and every offset of a lap at which the ring runs empty. */
static void
laps_and_tags_wrap(void)
{
	static const uint32_t epochs[] = {0, 1, 0x7ffe, 0x7fff, 0x8000, 0xffffffff};
	static uint8_t f[RING_FRAME_MAX];
	uint8_t *ring = ring_new();
	int bad = 0;

	for (uint32_t e = 0; e < ZF_ARRAY_SIZE(epochs); e++) {
		struct ring_tx tx;
		struct ring_rx rx;
		uint32_t sent = 0, seen = 0;

		ring_clear(ring);
		ring_tx_init(&tx, ring, epochs[e]);
		ring_rx_init(&rx, ring, epochs[e]);
		for (uint32_t step = 0; step < 40000; step++) {
			uint32_t burst = mix(step + e) % 70;

			for (uint32_t i = 0; i < burst; i++)
				sent += put(&tx, &sent, sizeof(sent));
			bad += ring_rx_peek(&rx) != (sent != seen);
			while (seen != sent && (mix(step * 3 + seen) & 63) != 0) {
				uint32_t v;

				bad += get(&rx, f) != sizeof(v);
				memcpy(&v, f, sizeof(v));
				bad += v != seen++;
			}
			if (step % 16 == 0) {
				while (seen != sent) {
					bad += get(&rx, f) != sizeof(sent);
					seen++;
				}
				bad += get(&rx, f) != -1 || ring_rx_peek(&rx);
			}
		}
		CU_ASSERT(sent > 40 * RING_SLOTS);
	}
	CU_ASSERT(bad == 0);
	ring_free(ring);
}

/* Through all 2^15 tags of the laps, so that the first comes again. */
static void
all_tags_go_round(void)
{
	static uint8_t f[RING_FRAME_MAX];
	uint8_t *ring = ring_new();
	struct ring_tx tx;
	struct ring_rx rx;
	uint64_t bad = 0;
	const uint32_t n = 32770 * RING_SLOTS;

	ring_tx_init(&tx, ring, 5);
	ring_rx_init(&rx, ring, 5);
	for (uint32_t i = 0; i < n; i++) {
		bad += put(&tx, &i, sizeof(i)) != 1;
		bad += get(&rx, f) != sizeof(i);
	}
	CU_ASSERT(bad == 0);
	CU_ASSERT(get(&rx, f) == -1);
	ring_free(ring);
}

static void
leftovers_of_another_epoch_are_no_frames(void)
{
	static uint8_t f[RING_FRAME_MAX];
	uint8_t *ring = ring_new();
	struct ring_tx tx;
	struct ring_rx rx;

	ring_tx_init(&tx, ring, 7);
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		CU_ASSERT(put(&tx, &i, sizeof(i)) == 1);
	for (uint32_t e = 0; e < 100; e++) {
		if (e == 7)
			continue;
		ring_rx_init(&rx, ring, e);
		CU_ASSERT(get(&rx, f) == -1);
	}
	ring_rx_init(&rx, ring, 7);
	CU_ASSERT(get(&rx, f) == 4);
	ring_clear(ring);
	CU_ASSERT(get(&rx, f) == -1);
	ring_free(ring);
}

struct pump {
	uint8_t *ring;
	_Atomic uint32_t sent;
	_Atomic uint32_t taken; /* counted before a frame is touched */
	_Atomic bool stop;
	struct ring_rx rx;
};

static void *
pump_main(void *arg)
{
	struct pump *p = arg;
	uint8_t f[RING_FRAME_MAX];
	struct ring_tx tx;
	uint64_t idle = 0;

	ring_tx_init(&tx, p->ring, 3);
	for (uint32_t i = 0; i < MANY && !p->stop;) {
		uint32_t len = 4 + mix(i) % 120 + ((i & 1023) == 0 ? 1400 : 0);

		for (uint32_t at = 0; at + 4 <= len; at += 4) {
			uint32_t v = i + at * 0x01010101u;

			memcpy(f + at, &v, 4);
		}
		if (put(&tx, f, len) == 1)
			atomic_store(&p->sent, ++i);
		else
			wait_a_bit(&idle);
	}
	return NULL;
}

static void
a_million_frames_between_two_threads(void)
{
	static uint8_t f[RING_FRAME_MAX];
	struct pump p = {.ring = ring_new()};
	pthread_t t;
	uint32_t seen = 0, bad = 0;

	ring_rx_init(&p.rx, p.ring, 3);
	CU_ASSERT_FATAL(pthread_create(&t, NULL, pump_main, &p) == 0);
	for (uint64_t idle = 0; seen < MANY && idle < 2000000000ull && bad == 0;) {
		int len = get(&p.rx, f);

		if (len < 0) {
			wait_a_bit(&idle);
			continue;
		}
		bad += (uint32_t)len != 4 + mix(seen) % 120 + ((seen & 1023) == 0 ? 1400 : 0);
		for (uint32_t at = 0; at + 4 <= (uint32_t)len; at += 4) {
			uint32_t v;

			memcpy(&v, f + at, 4);
			bad += v != seen + at * 0x01010101u;
		}
		seen++;
	}
	p.stop = true;
	pthread_join(t, NULL);
	CU_ASSERT(bad == 0);
	CU_ASSERT(seen == MANY);
	ring_free(p.ring);
}

static void *
receive_main(void *arg)
{
	static uint8_t f[RING_FRAME_MAX];
	struct pump *p = arg;
	uint64_t idle = 0;

	while (!p->stop) {
		uint8_t *slot = ring_rx_slot(&p->rx);
		uint32_t len = ring_rx_len(&p->rx, slot);

		if (len > RING_FRAME_MAX) {
			wait_a_bit(&idle);
			continue;
		}
		atomic_fetch_add(&p->taken, 1);
		copy_over(f, slot + RING_DATA, len);
		ring_rx_next(&p->rx, slot);
	}
	return NULL;
}

/* A frame that was sent before the look and not yet touched after it was there all the time. The sender is this
 * thread, so that frames come when the peeker has something to see.
 */
static void
peek_is_never_wrongly_false(void)
{
	struct pump p = {.ring = ring_new()};
	struct ring_tx tx;
	pthread_t t;
	uint32_t wrong = 0, looks = 0;

	ring_tx_init(&tx, p.ring, 3);
	ring_rx_init(&p.rx, p.ring, 3);
	CU_ASSERT_FATAL(pthread_create(&t, NULL, receive_main, &p) == 0);
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t sent = atomic_load(&p.sent);
		bool yes;

		if (put(&tx, &i, sizeof(i)) == 1)
			atomic_store(&p.sent, ++sent);
		yes = ring_rx_peek(&p.rx);
		if (atomic_load(&p.taken) < sent) {
			looks++;
			wrong += !yes;
		}
	}
	p.stop = true;
	pthread_join(t, NULL);
	CU_ASSERT(wrong == 0);
	CU_ASSERT(looks > 0);
	ring_free(p.ring);
}

static void
lying_lengths(void)
{
	static uint8_t f[RING_FRAME_MAX + 64];
	uint8_t *ring = ring_new();
	struct ring_rx rx;
	int bad = 0;

	for (uint32_t word = 0; word < 1u << 18; word++) {
		/* The tag of this lap, the two next to it, and none. */
		uint32_t tag = ring_first_tag(8) + (word >> 16) * 0x10000u - 0x10000u;
		uint32_t len = word & 0xffff;
		bool good = word >> 16 == 1 && len <= RING_FRAME_MAX;

		ring_rx_init(&rx, ring, 8);
		memset(f + RING_FRAME_MAX, 0xa5, 64);
		atomic_store(ring_word(ring), tag | len);
		bad += get(&rx, f) != (good ? (int)len : -1);
		bad += f[RING_FRAME_MAX] != 0xa5;
		bad += ring_rx_slot(&rx) != ring + (good ? RING_STRIDE : 0);
	}
	CU_ASSERT(bad == 0);
	ring_free(ring);
}

struct scribbler {
	uint8_t *ring;
	_Atomic bool stop;
};

/* Every sort of word, in every slot, all the time. */
static void *
scribble_main(void *arg)
{
	struct scribbler *s = arg;

	for (uint32_t i = 0; !s->stop; i++) {
		uint32_t slot = mix(i) % RING_SLOTS;
		uint32_t tag = ring_first_tag(1) + (mix(i + 1) % 4) * 0x10000u;
		uint32_t len = mix(i + 2) % 3 == 0 ? mix(i + 3) & 0xffff : mix(i + 3) % (RING_FRAME_MAX + 2);

		memset(s->ring + slot * RING_STRIDE + 4, (int)i, mix(i + 4) % (RING_STRIDE - 4));
		atomic_store(ring_word(s->ring + slot * RING_STRIDE), mix(i + 5) % 5 == 0 ? 0 : tag | len);
	}
	return NULL;
}

static void
hostile_sender_rewrites_while_we_read(void)
{
	static struct {
		uint8_t f[RING_FRAME_MAX];
		uint8_t guard[64];
	} b;
	struct scribbler s = {.ring = ring_new()};
	struct ring_rx rx;
	pthread_t t;
	uint32_t got = 0, bad = 0;

	memset(b.guard, 0x5a, sizeof(b.guard));
	ring_rx_init(&rx, s.ring, 1);
	CU_ASSERT_FATAL(pthread_create(&t, NULL, scribble_main, &s) == 0);
	for (uint32_t i = 0; i < 400 * MANY && (i < 20 * MANY || got < 2000); i++) {
		int len = get(&rx, b.f);

		if (i % 65536 == 0)
			sched_yield();

		got += len >= 0;
		bad += len > (int)RING_FRAME_MAX;
		bad += ring_rx_slot(&rx) < s.ring || ring_rx_slot(&rx) >= s.ring + RING_BYTES;
		bad += rx.left == 0 || rx.left > RING_SHEET;
		(void)ring_rx_peek(&rx);
		/* The scribbler knows four tags; the laps must not run away from it. */
		if (i % 1024 == 0)
			ring_rx_init(&rx, s.ring, 1);
	}
	s.stop = true;
	pthread_join(t, NULL);
	for (uint32_t i = 0; i < sizeof(b.guard); i++)
		bad += b.guard[i] != 0x5a;
	CU_ASSERT(bad == 0);
	CU_ASSERT(got >= 2000);
	ring_free(s.ring);
}

static void
hostile_receiver_clears_what_it_likes(void)
{
	static uint8_t f[RING_FRAME_MAX];
	struct scribbler s = {.ring = ring_new()};
	struct ring_tx tx;
	pthread_t t;
	uint32_t sent = 0, bad = 0;

	ring_tx_init(&tx, s.ring, 1);
	CU_ASSERT_FATAL(pthread_create(&t, NULL, scribble_main, &s) == 0);
	for (uint32_t i = 0; i < 400 * MANY && (i < 5 * MANY || sent < 4 * RING_SLOTS); i++) {
		if (i % 65536 == 0)
			sched_yield();
		sent += put(&tx, f, mix(i) % 200);
		bad += tx.slot < s.ring || tx.slot > s.ring + RING_BYTES || tx.room > RING_SHEET;
	}
	s.stop = true;
	pthread_join(t, NULL);
	CU_ASSERT(bad == 0);
	CU_ASSERT(sent >= 4 * RING_SLOTS);
	ring_free(s.ring);
}

static const struct unit_test tests[] = {
	UNIT(copies_are_exact),
	UNIT(every_length_passes),
	UNIT(small_frame_is_one_line),
	UNIT(full_ring_refuses_until_a_sheet_is_free),
	UNIT(laps_and_tags_wrap),
	UNIT(all_tags_go_round),
	UNIT(leftovers_of_another_epoch_are_no_frames),
	UNIT(a_million_frames_between_two_threads),
	UNIT(peek_is_never_wrongly_false),
	UNIT(lying_lengths),
	UNIT(hostile_sender_rewrites_while_we_read),
	UNIT(hostile_receiver_clears_what_it_likes),
};

UNIT_MAIN("wire_ring", tests)
