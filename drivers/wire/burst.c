/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See burst.h. Everything here that runs per frame is counted in instructions by test/bench.
 */
#include "wire/burst.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/copy.h"

/* Frames of a wire cannot be damaged on their way. */
#define RX_FLAGS (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)

/* In test builds any take may fail on purpose: then every frame goes the general way. */
#if defined(ZF_TEST) && ZF_TEST
#define POOL_TESTED (pool_fail_after != 0 || pool_fail_every != 0)
#else
#define POOL_TESTED false
#endif

/* The slot of a queue that is down: no tag is 0. */
static uint32_t no_frame;
/* Of a queue whose other end is not there. */
static _Atomic uint32_t nobody_sleeps;

void
wire_queue_init(struct wire_queue *q, struct zf_pool *pool)
{
	*q = (struct wire_queue){.pool = pool, .tx_pool = pool, .peer_sleeps = &nobody_sleeps, .peer_fd = -1};
	wire_queue_detach_rx(q);
}

/* ring_rx_peek() copes with every order of events within one ring. Between two rings it might see the old tag with
 * the new slot: so the exchange is bracketed by a count.
 */
static void
turn_rx(struct wire_queue *q, uint8_t *slot, uint32_t epoch)
{
	uint32_t turn = atomic_load_explicit(&q->turn, memory_order_relaxed);

	atomic_store_explicit(&q->turn, turn + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	ring_rx_init(&q->rx, slot, epoch);
	atomic_store_explicit(&q->turn, turn + 2, memory_order_release);
}

void
wire_queue_attach(struct wire_queue *q, uint8_t *tx_ring, uint8_t *rx_ring, uint32_t epoch)
{
	turn_rx(q, rx_ring, epoch);
	ring_tx_init(&q->tx, tx_ring, epoch);
	q->tx_up = true;
}

void
wire_queue_detach_tx(struct wire_queue *q)
{
	q->tx.room = 0;
	q->tx_up = false;
	q->peer_sleeps = &nobody_sleeps;
	q->peer_fd = -1;
}

void
wire_queue_detach_rx(struct wire_queue *q)
{
	turn_rx(q, (uint8_t *)&no_frame, 0);
	q->own = NULL;
}

void
wire_queue_sleep_by(struct wire_queue *q, struct shm_sleep *own, struct shm_sleep *peer, int peer_fd)
{
	q->own = own;
	q->peer_sleeps = peer_fd >= 0 ? &peer->sleeping : &nobody_sleeps;
	q->peer_fd = peer_fd;
	atomic_store_explicit(&own->looks, peer_fd >= 0 && wire_can_sleep(), memory_order_release);
}

bool
wire_can_sleep(void)
{
	static _Atomic int ready; /* 1 yes, -1 no */
	int now = atomic_load_explicit(&ready, memory_order_relaxed);

	if (now == 0) {
		now = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 ? 1 : -1;
		atomic_store_explicit(&ready, now, memory_order_relaxed);
	}
	return now > 0;
}

bool
wire_queue_arm(struct wire_queue *q, struct shm_sleep *peer)
{
	if (!wire_can_sleep() || atomic_load_explicit(&peer->looks, memory_order_acquire) == 0)
		return false;
	atomic_store_explicit(&q->own->sleeping, 1, memory_order_relaxed);
	/* Every sender is now either behind this point, and sees the word, or its frame can be seen from here. */
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

/* The other end sleeps, or is about to. One write for each time, whoever does it: of 0, which wakes whoever watches the
 * eventfd edge-triggered and, it being 1 from the beginning (see shm_eventfd()), finds it readable. Somebody hostile may
 * make the eventfd blocking and fill it up, at any moment: there is room for 0 all the same. Only the kernel itself can
 * count beyond that, which POLLERR tells.
 */
static ZF_COLD void
wake_peer(struct wire_queue *q)
{
	struct pollfd pfd = {.fd = q->peer_fd, .events = 0};
	const uint64_t nothing = 0;
	int saved = errno;

	if (atomic_exchange_explicit(q->peer_sleeps, 0, memory_order_acq_rel) != 0 &&
	    (poll(&pfd, 1, 0) != 0 || write(q->peer_fd, &nothing, sizeof(nothing)) < 0))
		q->wake_failed++;
	errno = saved;
}

/* Behind each frame. The sleeper's membarrier(2) is a fence for the processor, not for the compiler, who might load the word
 * before the store that publishes the frame.
 */
static ZF_ALWAYS_INLINE void
look_for_sleeper(struct wire_queue *q)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (zf_unlikely(atomic_load_explicit(q->peer_sleeps, memory_order_relaxed) != 0))
		wake_peer(q);
}

bool
wire_peek(const void *queue)
{
	const struct wire_queue *q = queue;
	uint32_t turn = atomic_load_explicit(&q->turn, memory_order_acquire);
	bool frame = ring_rx_peek(&q->rx);

	atomic_thread_fence(memory_order_acquire);
	return frame || (turn & 1) != 0 || turn != atomic_load_explicit(&q->turn, memory_order_relaxed);
}

/* The frame in @slot is @m from now on. wire's queue_setup made sure that a buffer has room for a rounded length. */
static ZF_ALWAYS_INLINE void
rx_frame(struct wire_queue *q, uint8_t *slot, uint32_t len, struct rte_mbuf *m, bool small)
{
	uint8_t *to = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;

	if (small)
		copy_over_128(to, slot + RING_DATA, len);
	else
		copy_over(to, slot + RING_DATA, len);
	ring_rx_next(&q->rx, slot);
	pkt_reset(m, len);
	m->ol_flags = RX_FLAGS;
}

/* All cases; @got frames are in @pkts already. */
static ZF_NOINLINE uint16_t
rx_many(struct wire_queue *q, struct rte_mbuf **pkts, uint16_t n, uint16_t got)
{
	for (; got < n; got++) {
		uint8_t *slot = ring_rx_slot(&q->rx);
		uint32_t len = ring_rx_len(&q->rx, slot);
		struct rte_mbuf *m;

		if (len > RING_FRAME_MAX)
			break;
		m = pkt_take(q->pool);
		if (zf_unlikely(m == NULL)) {
			q->rx_no_mbuf++;
			break;
		}
		rx_frame(q, slot, len, m, false);
		pkts[got] = m;
	}
	return got;
}

/* Nothing, and a single small frame: no loop and no call that returns here, so no registers are saved. */
uint16_t
wire_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct wire_queue *q = queue;
	uint8_t *slot = ring_rx_slot(&q->rx);
	uint32_t len = ring_rx_len(&q->rx, slot);
	struct rte_mbuf *m;

	if (len > RING_FRAME_MAX)
		return 0;
	if (zf_unlikely(len > 128 || n == 0 || q->pool->cache == NULL || q->pool->cache->len == 0 || POOL_TESTED))
		return rx_many(q, pkts, n, 0);
	m = pkt_take(q->pool);
	rx_frame(q, slot, len, m, true);
	pkts[0] = m;
	slot = ring_rx_slot(&q->rx);
	if (ring_rx_len(&q->rx, slot) <= RING_FRAME_MAX)
		return rx_many(q, pkts, n, 1);
	return 1;
}

/* Copy @m, which may be a chain, to @to. Its length was checked. */
static ZF_NOINLINE void
copy_chain(uint8_t *to, const struct rte_mbuf *m, uint32_t len)
{
	for (; m != NULL && len > 0; m = m->next) {
		uint32_t part = ZF_MIN((uint32_t)m->data_len, len);

		copy_exact(to, rte_pktmbuf_mtod(m, const uint8_t *), part);
		to += part;
		len -= part;
	}
}

/* The sheet is full: look for the next one. False as well while the link is down. */
static ZF_NOINLINE bool
find_room(struct wire_queue *q)
{
	if (!q->tx_up)
		return false;
	if (ring_tx_refill(&q->tx) != 0)
		return true;
	q->tx_full++;
	return false;
}

static ZF_COLD uint16_t
drop(struct wire_queue *q, struct rte_mbuf **pkts, uint16_t from, uint16_t n)
{
	q->tx_link_drops += (uint16_t)(n - from);
	for (uint16_t i = from; i < n; i++)
		pkt_put(q->tx_pool, pkts[i]);
	return n;
}

static ZF_NOINLINE uint16_t
tx_many(struct wire_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint32_t len = m->pkt_len;
		uint8_t *slot;

		if (zf_unlikely(q->tx.room == 0) && !find_room(q))
			return q->tx_up ? i : drop(q, pkts, i, n);
		slot = ring_tx_slot(&q->tx);
		if (zf_unlikely(len > RING_FRAME_MAX)) {
			q->tx_size_drops++;
		} else {
			ring_tx_claim(slot, len);
			if (zf_likely(m->data_len == len))
				copy_exact(slot + RING_DATA, rte_pktmbuf_mtod(m, const uint8_t *), len);
			else
				copy_chain(slot + RING_DATA, m, len);
			ring_tx_commit(&q->tx, slot, len);
		}
		pkt_put(q->tx_pool, m);
		look_for_sleeper(q);
	}
	return n;
}

/* A single small frame in one piece apart from the rest, for the same reason as in wire_rx(). */
uint16_t
wire_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct wire_queue *q = queue;
	struct rte_mbuf *m;
	const uint8_t *from;
	uint32_t len;
	uint8_t *slot;

	if (zf_unlikely(n != 1 || q->tx.room == 0))
		return tx_many(q, pkts, n);
	m = pkts[0];
	len = m->pkt_len;
	if (zf_unlikely(m->data_len != len || len > 128 || len < 16))
		return tx_many(q, pkts, n);
	slot = ring_tx_slot(&q->tx);
	ring_tx_claim_small(slot, len);
	from = rte_pktmbuf_mtod(m, const uint8_t *);
	if (len > 64) {
		copy_64(slot + RING_DATA, from);
		copy_tail(slot + RING_DATA + 64, from + 64, len - 64);
	} else {
		copy_tail(slot + RING_DATA, from, len);
	}
	ring_tx_commit(&q->tx, slot, len);
	look_for_sleeper(q);
	pkt_put(q->tx_pool, m);
	return 1;
}

/* All cases. */
static ZF_NOINLINE uint16_t
tx_copy_any(struct wire_queue *q, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	uint8_t *slot;

	if (q->tx.room == 0 && !find_room(q)) {
		if (q->tx_up)
			return 0;
		q->tx_link_drops++;
		return 1;
	}
	slot = ring_tx_slot(&q->tx);
	ring_tx_claim(slot, hdr_len + len);
	copy_exact(slot + RING_DATA, hdr, hdr_len);
	copy_exact(slot + RING_DATA + hdr_len, payload, len);
	ring_tx_commit(&q->tx, slot, hdr_len + len);
	look_for_sleeper(q);
	return 1;
}

uint16_t
wire_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	struct wire_queue *q = queue;
	uint8_t *slot;

	ZF_ASSERT(hdr_len + len <= RING_FRAME_MAX);
	/* Unsigned wrap: 16 to 64 bytes of header in one comparison. */
	if (zf_unlikely(q->tx.room == 0 || hdr_len - 16 > 48 || len > 64))
		return tx_copy_any(q, hdr, hdr_len, payload, len);
	slot = ring_tx_slot(&q->tx);
	ring_tx_claim_small(slot, hdr_len + len);
	copy_tail(slot + RING_DATA, hdr, hdr_len);
	copy_exact_64(slot + RING_DATA + hdr_len, payload, len);
	ring_tx_commit(&q->tx, slot, hdr_len + len);
	look_for_sleeper(q);
	return 1;
}

/* wire_tx_copy() into a ring of one slot that nobody reads. Nothing of @queue is touched: whoever waits for the next frame
 * would only take its line back.
 */
uint16_t
wire_tx_warm(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	static _Thread_local uint8_t slot[RING_STRIDE] ZF_CACHE_ALIGNED;
	struct wire_queue practice = {.tx = {.slot = slot, .room = 1, .start = slot},
				      .peer_sleeps = &nobody_sleeps,
				      .tx_up = true};

	(void)queue;
	(void)wire_tx_copy(&practice, hdr, hdr_len, payload, len);
	return 0;
}

uint32_t
wire_tx_room(void *queue)
{
	struct wire_queue *q = queue;

	if (!q->tx_up)
		return RING_SLOTS; /* they are dropped, but accepted */
	return q->tx.room != 0 ? q->tx.room : ring_tx_refill(&q->tx);
}
