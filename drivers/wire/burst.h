/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The data path of a wire: one queue, whatever kind of wire it is. Copies frames between rings and mbufs. Knows
 * nothing of links: a queue that is down has a receive side that looks at a slot which is always empty and a transmit
 * side without room, so the questions cost nothing while it is up.
 */
#ifndef ZF_WIRE_BURST_H
#define ZF_WIRE_BURST_H

#include "core/pool.h"
#include "core/port.h"
#include "wire/shm.h"

/* Beside what each call touches there are counters of what went wrong; plain words, written by the queue's thread. */
struct wire_queue {
	/* R: every poll. */
	struct ring_rx rx;
	struct zf_pool *pool;
	uint64_t rx_no_mbuf;   /* polls that left frames in the ring for want of a buffer */
	_Atomic uint32_t turn; /* odd while the rings are being exchanged; see wire_queue_attach() */
	uint32_t wake_failed;  /* the other end's eventfd took nothing */
	uint64_t tx_size_drops;  /* frames longer than a slot: never, if the stack keeps to the MTU */
	struct shm_sleep *own;   /* where this end says that it sleeps; NULL: the link is down */

	/* T: every send. */
	struct ring_tx tx ZF_CACHE_ALIGNED;
	struct zf_pool *tx_pool; /* the same pool again, on this line */
	uint64_t tx_link_drops;  /* frames accepted while the link was down */
	uint64_t tx_full;        /* bursts that found the ring full */
	_Atomic uint32_t *peer_sleeps; /* never NULL, see shm.h */
	int peer_fd;             /* eventfd that wakes it */
	bool tx_up;
};
ZF_STATIC_ASSERT(offsetof(struct wire_queue, tx) == ZF_CACHE_LINE, "a line for each direction");
ZF_STATIC_ASSERT(sizeof(struct wire_queue) == 2 * ZF_CACHE_LINE, "two lines in all");

/* All three by the queue's own thread, not during a call of the functions below (peek excepted). */
void wire_queue_init(struct wire_queue *q, struct zf_pool *pool);
/* Send into @tx_ring, receive from @rx_ring, both fresh. */
void wire_queue_attach(struct wire_queue *q, uint8_t *tx_ring, uint8_t *rx_ring, uint32_t epoch);
/* Behind it: how the ends wake each other. @peer_fd: eventfd, or -1. Without this call nobody is woken. */
void wire_queue_sleep_by(struct wire_queue *q, struct shm_sleep *own, struct shm_sleep *peer, int peer_fd);
/* Can this process sleep on wires, and wake others? Registers it, once. */
bool wire_can_sleep(void);
/* From now on the other end wakes this one behind its next frame; look for one that came before. False: it cannot. */
bool wire_queue_arm(struct wire_queue *q, struct shm_sleep *peer);
/* Sends are dropped from now on; what the other side sent can still be received. */
void wire_queue_detach_tx(struct wire_queue *q);
void wire_queue_detach_rx(struct wire_queue *q);

/* Of port.h. */
uint16_t wire_rx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t wire_tx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t wire_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len);
uint32_t wire_tx_room(void *queue);
uint16_t wire_tx_warm(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len);
bool wire_peek(const void *queue);

#endif
