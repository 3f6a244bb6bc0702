/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Ports in memory, for tests: what a test sees of them. Two sorts:
 *
 *   mem:NAME             one port; its other side is the test, which pushes frames to be received and pops sent ones
 *   mem:NAME/a, NAME/b   two ports joined by a link that can lose, double, reorder, delay, damage and slow frames
 *
 * All mem ports of the process share one virtual clock in nanoseconds: a stack on one tells the time by it, and
 * nothing moves it but the test and calls that wait. A frame is received when the clock has reached its time.
 *
 * Single-threaded, by design: one test thread drives stacks and ports (the driver's peek alone may come from
 * another). No checksum offload, unless a test asks for it. Exists in test builds only.
 */
#ifndef ZF_MEM_MEM_H
#define ZF_MEM_MEM_H

#include "base/compiler.h"
#include "core/port.h"

#define MEM_NAME_MAX   32
#define MEM_FRAME_MAX  65600u      /* bytes of the longest frame that can be pushed */
#define MEM_ALL        UINT32_MAX  /* struct mem_cfg: no limit, or for ever */
#define MEM_SPLITS_MAX 4
#define MEM_FILTERS_MAX 256

struct mem_port;

extern const struct port_driver mem_driver;

/* The virtual clock. It starts at one second and must not run backwards while a stack is open. */
extern uint64_t mem_clock_ns;

/* What a port is like and how badly it behaves. Edit in place through mem_cfg(); a port made by mem_port() has the
 * defaults that mem_cfg_default() writes.
 */
struct mem_cfg {
	/* Read when a stack opens the port. */
	uint8_t mac[6];       /* default 02:00:00:00:00:01; .../b ends in 02 */
	uint16_t mtu;         /* 1500 */
	uint16_t queues_max;  /* 1 */
	uint32_t caps;        /* enum port_cap; default MEM_CAPS_DEFAULT. PORT_CSUM_TX_* are carried out */
	uint32_t rx_ring_max; /* frames waiting; rounded up to a power of two; 32768 */
	uint32_t tx_ring_max;
	uint32_t rx_headroom;
	uint32_t buf_bytes;
	uint32_t tx_copy_max; /* 0: no tx_copy */
	bool tells_room;      /* tx_room is there; true */
	uint32_t filters_max; /* filter_add() beyond it: -EBUSY; with PORT_FLOW in caps. MEM_FILTERS_MAX. At any time */
	bool filters_always;  /* PORT_FLOW with one queue too, as a port has it that is faster by filter. Read at open */
	bool filters_narrow;  /* no filter without a remote address: -EOPNOTSUPP. At any time */
	bool filters_wide;    /* no filter with one */
	uint32_t alts;        /* alternatives of its own, up to 17; 0: none, the stack does it */
	int fail_open;        /* -errno for the next open, queue_setup, start; 0 none. Not cleared */
	int fail_setup;
	int fail_start;

	/* Sending; may be changed at any time. */
	uint32_t hold;        /* an mbuf is released once this many more were sent; 0 at once, MEM_ALL at close */
	uint32_t accept;      /* frames taken of one burst; MEM_ALL */
	uint32_t credit;      /* frames taken in all, counted down unless MEM_ALL; 0 is a full ring. MEM_ALL */
	uint32_t alt_refuses; /* times that an alternative takes no frames, the ring being full; counted down */
	bool refuse_shared;   /* a reference count above 1 is a fault (see on_fault); the cap goes too, at open */
	bool refuse_indirect;
	bool refuse_chained;
	bool refuse_extbuf;
	bool scribble;        /* garbage into buffers that were released, and into fresh ones before a frame */

	/* Receiving; may be changed at any time. */
	uint16_t split_at[MEM_SPLITS_MAX]; /* frames arrive as chains cut at these bytes, ascending; 0 ends the list */
	bool rx_judges;       /* RTE_MBUF_F_RX_* say truly whether the checksums are right */
	uint64_t rx_flags;    /* or-ed into ol_flags of each received frame, true or not */
	bool rx_alloc_fails;  /* pool_fail_* of core/pool.h hits the buffers of received frames too */
	bool mc_filter;       /* multicast frames that mc_list() did not name are lost, as hardware does it */
	uint32_t rx_max;      /* longest frame received, bytes; 0: Ethernet header + tag + MTU */
};

#define MEM_CAPS_DEFAULT                                                                           \
	(PORT_TX_COPIES | PORT_TX_REF_OK | PORT_TX_MULTISEG | PORT_TX_INDIRECT_OK |                \
	 PORT_TX_EXTBUF_OK | PORT_RX_PEEK | PORT_SELF_ADDRESSED)

/* The link of a pair, from one side to the other; seeded, so that a run repeats. Chances in parts per million. */
struct mem_link_cfg {
	uint64_t seed;
	uint32_t loss_ppm;
	uint32_t dup_ppm;
	uint32_t reorder_ppm;   /* frames that are held back by reorder_ns, so that later ones overtake */
	uint32_t corrupt_ppm;   /* one bit behind the Ethernet header is flipped; never in ARP */
	uint64_t delay_ns;
	uint64_t jitter_ns;     /* 0 to this is added, without reordering */
	uint64_t reorder_ns;
	uint64_t bits_per_s;    /* 0: infinite; preamble, FCS and gap are counted */
	uint32_t queue_frames;  /* waiting for bandwidth; 0: no limit. More are lost */
	/* Frames that are lost whatever chance says: the test decides. NULL: none. */
	bool (*drop)(void *arg, const uint8_t *frame, uint32_t len);
	void *drop_arg;
};

struct mem_stats {
	uint64_t rx_pushed;       /* frames given to the port: by the test or by the link */
	uint64_t rx_delivered;    /* frames given to the stack */
	uint64_t rx_lost_full;    /* ring full */
	uint64_t rx_lost_nombuf;  /* no buffer */
	uint64_t rx_lost_size;    /* longer than rx_max */
	uint64_t rx_lost_link;    /* link down */
	uint64_t rx_lost_filter;  /* mc_filter */
	uint64_t tx_frames;       /* taken from the stack */
	uint64_t tx_refused;      /* left to the stack */
	uint64_t tx_lost_link;    /* taken while the link was down */
	uint64_t tx_lost_unread;  /* the test left more than 2^17 frames unread */
	uint64_t tx_by_copy;      /* of tx_frames, by tx_copy */
	uint64_t link_lost, link_doubled, link_reordered, link_corrupted;
	uint64_t faults;          /* rules that the stack broke; see on_fault */
};

/* A port by its name without "mem:"; made if it is not there. NULL: bad name or no memory. "x/a" makes "x/b" too. */
struct mem_port *mem_port(const char *name);
const char *mem_name(const struct mem_port *p);
/* Forget a port (and its peer). -EBUSY while a stack has either open. */
int mem_forget(struct mem_port *p);

struct mem_cfg *mem_cfg(struct mem_port *p);
void mem_cfg_default(struct mem_port *p);
/* What the link does to frames sent by @p. Of a pair only. */
struct mem_link_cfg *mem_link_cfg(struct mem_port *p);
/* Start the generator of @p's direction again at @seed. */
void mem_link_seed(struct mem_port *p, uint64_t seed);
struct mem_stats *mem_stats(struct mem_port *p);

/* Called for each frame that the port takes, before tx returns; may push. */
void mem_on_tx(struct mem_port *p, void (*fn)(void *arg, const uint8_t *frame, uint32_t len), void *arg);
/* Called when the stack breaks a rule of the driver line; @what lives as long as the call. */
void mem_on_fault(struct mem_port *p, void (*fn)(void *arg, const char *what), void *arg);

/* A frame for queue @qid (0: or wherever a filter leads it), received once the clock reaches @due_ns (0: now). 0, or -EINVAL (longer than
 * MEM_FRAME_MAX), -ENOMEM. What the port itself loses is counted, not told.
 */
int mem_push(struct mem_port *p, uint16_t qid, const void *frame, uint32_t len, uint64_t due_ns);
/* The oldest unread frame that the stack sent: copied into @buf (cut to @size), its time into *@when_ns if not NULL.
 * Returns its length, or -EAGAIN. On a pair this is a copy of what went onto the link.
 */
int mem_pop(struct mem_port *p, void *buf, uint32_t size, uint64_t *when_ns);
/* Forget unread frames; how many there were. Pairs record only after mem_record(p, true); the others always. */
uint32_t mem_flush(struct mem_port *p);
void mem_record(struct mem_port *p, bool on);
uint32_t mem_unread(const struct mem_port *p);

/* Frames not yet received, and when the first is due (UINT64_MAX none). NULL: of all ports. */
uint32_t mem_rx_waiting(const struct mem_port *p);
uint64_t mem_next_due(const struct mem_port *p);

/* Mbufs that the port holds now; mem_release() lets @n of them go, oldest first, and returns how many it had. Of
 * alternatives, those that were sent or dropped.
 */
uint32_t mem_held(const struct mem_port *p);
uint32_t mem_release(struct mem_port *p, uint32_t n);

/* Link state of the port (both of a pair), with the event. PORT_LINK_GONE removes the device. */
void mem_set_link(struct mem_port *p, enum port_link link);
/* The port asks for a reset; the stack's service() then does it, which empties its rings. */
void mem_ask_reset(struct mem_port *p);
bool mem_is_open(const struct mem_port *p);
/* The filters that the stack has on the port now: the @i-th and its queue, or -1. */
int mem_filter_at(const struct mem_port *p, uint32_t i, struct port_filter *f);
uint32_t mem_filter_count(const struct mem_port *p);
/* Is @mac in the multicast list that the stack gave last? */
bool mem_mc_has(const struct mem_port *p, const uint8_t mac[6]);
uint32_t mem_mc_count(const struct mem_port *p);

#endif
