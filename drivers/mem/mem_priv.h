/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Inside of drivers/mem: the port object that mem.c (driver calls), mem_port.c (what tests call) and mem_link.c
 * (joined ports) share. Nobody else includes this.
 */
#ifndef ZF_MEM_PRIV_H
#define ZF_MEM_PRIV_H

#include <rte_mbuf.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "core/pool.h"
#include "mem/mem.h"

#define MEM_QUEUES_MAX  8
#define MEM_UNREAD_MAX  (1u << 17)
#define MEM_MC_MAX      256
#define MEM_FCS_AND_GAP 24u /* preamble, FCS and gap: bytes of wire time beside the frame */

/* A frame on its way, owned by the list it is on. */
struct mem_frame {
	struct mem_frame *next;
	uint64_t when_ns; /* received from then on; or sent at */
	uint32_t len;
	uint8_t bytes[];
};

struct mem_list {
	struct mem_frame *head;
	struct mem_frame *tail;
	uint32_t n;
};

/* An mbuf that was sent and not released yet. */
struct mem_sent {
	struct rte_mbuf *m;
	uint64_t hash;   /* of the frame as it was sent: it may not change while we hold it */
	uint64_t serial; /* of the queue's frames */
	bool held;       /* or released at once: nothing to compare */
};

#define MEM_ALTS_MAX   17u
#define MEM_ALT_FRAMES 64u

/* An alternative. Its frames leave, by an event each, from the front: the last @busy of them have not yet. */
struct mem_alt {
	struct mem_sent frames[MEM_ALT_FRAMES];
	uint32_t n, busy;
};

struct mem_queue {
	struct mem_port *port;
	struct zf_pool *pool;
	struct mem_list rx; /* in order of when_ns */
	_Atomic uint64_t rx_due; /* when_ns of the first, UINT64_MAX none: what peek looks at */
	struct mem_sent *sent; /* ring of tx_ring entries */
	uint32_t sent_head, sent_n;
	uint64_t serial;
	struct mem_alt alts[MEM_ALTS_MAX];
	uint32_t n_alts;
	uint32_t alt_words; /* of memory for all of them */
};

struct mem_port {
	struct mem_port *next;
	struct mem_port *peer; /* other side of the link, or NULL: the test is */
	char name[MEM_NAME_MAX];
	bool open, started, recording;
	enum port_link link;
	_Atomic bool reset_asked; /* by any thread */
	struct mem_cfg cfg;
	struct mem_stats stats;
	struct port_host host; /* copy; opaque stays valid until close */
	uint32_t caps;         /* as told at open */
	uint64_t tx_offloads;  /* likewise */
	uint32_t rx_ring, tx_ring;
	uint16_t n_queues;
	struct mem_queue q[MEM_QUEUES_MAX];
	struct mem_list unread; /* frames sent, for the test */
	void (*on_tx)(void *arg, const uint8_t *frame, uint32_t len);
	void *on_tx_arg;
	void (*on_fault)(void *arg, const char *what);
	void *on_fault_arg;
	uint32_t mc_n;
	uint8_t mc[MEM_MC_MAX][6];
	uint32_t n_filters;
	struct mem_filter {
		struct port_filter f;
		uint16_t qid;
		uint64_t serial;
	} filters[MEM_FILTERS_MAX];
	uint64_t filter_serial, forgotten; /* of the last filter; of the last one before a reset */
	/* The direction from this port to its peer. */
	struct mem_link_cfg lk;
	struct rng rng;
	uint64_t lk_free_ns; /* when the last frame will have left: bandwidth */
	uint64_t lk_last_ns; /* when the last frame arrives: jitter keeps order */
};

/* mem_filter.c */
int mem_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id);
void mem_filter_del(void *priv, const struct port_filter_id *id);
/* Where the filters lead a frame: 0 where none matches. */
uint16_t mem_filter_queue(const struct mem_port *p, const uint8_t *frame, uint32_t len);

/* mem_port.c */
struct mem_frame *mem_frame_new(const void *bytes, uint32_t len, uint64_t when_ns);
void mem_list_append(struct mem_list *l, struct mem_frame *f);
struct mem_frame *mem_list_shift(struct mem_list *l);
void mem_list_clear(struct mem_list *l);
/* The frame reaches the port's receive side; takes @f over. */
void mem_arrive(struct mem_port *p, uint16_t qid, struct mem_frame *f);
void mem_publish_due(struct mem_queue *q);
/* Sent bytes go to the test, and over the link. */
void mem_depart(struct mem_port *p, const uint8_t *frame, uint32_t len);
void mem_fault(struct mem_port *p, const char *what);
void mem_event(struct mem_port *p, uint32_t events);

/* mem_link.c */
void mem_link_send(struct mem_port *p, const uint8_t *frame, uint32_t len);

/* mem_csum.c: RTE_MBUF_F_RX_* bits that tell the truth about a frame's checksums. */
uint64_t mem_judge(const uint8_t *frame, uint32_t len);
/* Fill in the checksums that @m asks for; false if it asks for nonsense. */
bool mem_fill(uint8_t *frame, uint32_t len, const struct rte_mbuf *m);

/* mem_tx.c */
uint16_t mem_tx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t mem_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len);
uint32_t mem_tx_room(void *queue);
void mem_let_go(struct mem_queue *q, uint32_t n);
void mem_scribble(struct rte_mbuf *m);
/* The rules for sent mbufs; a sum over one; its bytes leave; it is given back, unchanged. */
bool mem_tx_judge(struct mem_port *p, const struct rte_mbuf *m);
uint64_t mem_tx_hash(const struct rte_mbuf *m);
void mem_tx_depart(struct mem_queue *q, const struct rte_mbuf *m);
void mem_tx_release(struct mem_queue *q, const struct mem_sent *s);

/* mem_alt.c */
extern const struct port_alt_ops mem_alt_ops;
int mem_alt_setup(void *priv, uint16_t qid, uint32_t count, uint32_t bytes, struct port_alt_info *info);
bool mem_alt_event(struct mem_queue *q);
void mem_alt_clear(struct mem_queue *q);

#endif
