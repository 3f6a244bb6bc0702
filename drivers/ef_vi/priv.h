/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of drivers/ef_vi: port.c (a port's life), vi.c (the VI and what hangs on it), hot.inc (frames).
 */
#ifndef ZF_EF_VI_PRIV_H
#define ZF_EF_VI_PRIV_H

#include "core/pool.h"
#include "ef_vi/ef_vi.h"

#define EFVI_RING_MIN  512u
#define EFVI_RING_MAX  4096u
#define EFVI_BUF_BYTES 2048u /* two to a page: a frame never crosses one */
#define EFVI_PIO_HALVES 2u
#define EFVI_STAGE     2048u
/* Received frames begin behind the adapter's prefix, which is put at a cache line so that their IP header is aligned. */
#define EFVI_RX_OFF    64u
#define EFVI_RX_CHUNK  8u

/* In place of an mbuf: half @h of the PIO buffer is on its way. */
#define EFVI_SENT_PIO(h) ((struct rte_mbuf *)(uintptr_t)((h) + 1u))
static inline bool
efvi_sent_is_pio(const struct rte_mbuf *m)
{
	return (uintptr_t)m <= EFVI_PIO_HALVES;
}

/* One thread's, by the rules of the driver line. */
struct efvi_queue {
	/* R, T: every poll, every send. */
	struct efvi_vi *vi;
	struct zf_pool *pool;
	uintptr_t mem;       /* the pool's buffers, */
	const uint64_t *dma; /* and the DMA address of each of their pages */
	bool dead;           /* events were lost, or the adapter reset: service() makes a new VI */
	uint8_t pio_busy;    /* bit h: half h is on its way. All set: there is no PIO */
	bool rx_short;       /* the last refill found the pool empty */
	/* T: sends by request id, which is their number modulo the ring. */
	struct rte_mbuf **sent;
	uint32_t sent_next, sent_done, sent_mask; /* those between the two are under way */
	uint32_t pio_half;   /* bytes */
	/* R: buffers by request id, likewise. */
	struct rte_mbuf **posted;
	uint32_t post_next, post_done, post_mask;
	uint32_t post_max;   /* so many at a time */
	uint32_t prefix;
	uint32_t refill_batch, refill_every, refill_turn;
	/* A frame of which more is to come. */
	struct rte_mbuf *head, *tail;
	/* Side port, see struct efvi_backend. */
	port_burst_fn side_rx;
	void *side_q;
	uint32_t side_every, side_turn;
	/* S */
	const struct port_host *host;
	uint64_t rx_dropped; /* the adapter found them of no use */
	uint64_t tx_foreign; /* mbufs of other pools, copied */
	/* Frames in each alternative, and those that go or discard is at work on. */
	uint32_t alt_queued[EFVI_ALTS_MAX];
	uint32_t alt_busy[EFVI_ALTS_MAX];
	uint8_t stage[EFVI_STAGE] __attribute__((aligned(64))); /* a frame's two parts, for PIO */
};

struct efvi_port {
	struct efvi_queue q;
	const struct efvi_backend *b;
	const struct efvi_ops *ops;
	struct zf_attr *attr; /* a copy */
	struct port_host host;
	char if_name[64];
	int dh, if_index;
	struct efvi_pd *pd;
	struct efvi_vi *vi;
	uint64_t vi_serial; /* of this VI, from 1 on */
	struct efvi_pio *pio;
	struct efvi_memreg *mr;
	uint64_t *dma;
	uint32_t rx_ring, tx_ring, vi_flags, pio_bytes;
	uint32_t alts, alt_bytes; /* as given to alt_setup() */
	bool started;
	uint64_t retry_ns;        /* when a reset is tried again, 0: none is due */
	void *side;
};

/* vi.c: VI, PIO; 0 or -errno with one line. */
int efvi_vi_make(struct efvi_port *p);
void efvi_vi_drop(struct efvi_port *p);
/* The pool's memory for the adapter. */
int efvi_mem_register(struct efvi_port *p, struct zf_pool *pool);
int efvi_alts_make(struct efvi_port *p);
/* Wait a moment for sends to leave, if the VI lives; then drop it and give all buffers back. */
void efvi_queue_empty(struct efvi_port *p);
/* First buffers into the receive ring. */
void efvi_rx_first(struct efvi_port *p);
/* A capability's value; 0 if it is not there or cannot be asked for. */
unsigned long efvi_cap(const struct efvi_port *p, enum efvi_cap cap);

#endif
