/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver line: all that the stack knows of a network port, and all that a driver may know of the stack.
 *
 * A driver is a table (struct port_driver). It is chosen by the kind of the `interface` attribute, never by a
 * constructor. Calls of a driver are of two sorts:
 *
 *   hot    rx, tx, tx_copy, peek, those of port_alt_ops: called through pointers that the stack keeps in its ctx. One
 *          thread at a time per queue, peek excepted (any thread).
 *   cold   open .. close: one thread at a time per port; the port object (lib/stack) sees to that.
 *
 * What happens elsewhere (link, reset, removal, a peer on a wire) reaches the stack by host->event() from any
 * thread; the stack's own thread then calls service().
 */
#ifndef ZF_CORE_PORT_H
#define ZF_CORE_PORT_H

#include <net/if.h>

#include "base/be.h"
#include "base/compiler.h"
#include "base/log.h"

struct rte_mbuf;
struct zf_attr;
struct zf_pool;

/* The prototype of ethdev's own burst functions, so that there is one indirect call and no wrapper.
 * tx takes over the mbufs that it accepts, from the front; the rest stay the caller's.
 */
typedef uint16_t (*port_burst_fn)(void *queue, struct rte_mbuf **pkts, uint16_t n);

/* Send one frame of two parts by copying it: 1, or 0 when there is no room now. hdr_len + len never exceeds the
 * queue's tx_copy_max.
 */
typedef uint16_t (*port_copy_fn)(void *queue, const void *hdr, uint32_t hdr_len, const void *payload,
				 uint32_t len);

/* What a port can do. DPDK does not report the first group: drivers/ethdev has a table by driver name. */
enum port_cap {
	PORT_TX_COPIES = 1u << 0,       /* the frame is copied before tx returns: the buffer is free again */
	PORT_TX_HOLDS = 1u << 1,        /* sent mbufs may be held for long, until later sends push them out */
	PORT_TX_PASSES_MBUF = 1u << 2,  /* the peer receives the very same mbuf: the stack must send a copy */
	PORT_TX_REF_OK = 1u << 3,       /* mbufs with a reference count above 1 may be sent */
	PORT_TX_MULTISEG = 1u << 4,     /* chains may be sent */
	PORT_TX_INDIRECT_OK = 1u << 5,  /* indirect (cloned) mbufs may be sent */
	PORT_TX_EXTBUF_OK = 1u << 6,    /* mbufs with external buffers may be sent */
	PORT_RX_PEEK = 1u << 7,         /* peek is there and safe from any thread */
	PORT_RX_INTR = 1u << 8,         /* receive interrupts work */
	PORT_FLOW = 1u << 9,            /* frames can be steered to queues by rule; of a port with one queue: it wants rules,
					 * since what comes without one comes more slowly */
	PORT_FLOW_ISOLATE = 1u << 10,   /* and unmatched ones kept away */
	PORT_CSUM_RX = 1u << 11,        /* received IPv4, UDP and TCP checksums are verified, see mbuf flags */
	PORT_CSUM_TX_IP = 1u << 12,     /* IPv4 header checksum is filled in when asked for */
	PORT_CSUM_TX_UDP = 1u << 13,
	PORT_CSUM_TX_TCP = 1u << 14,
	PORT_TSO = 1u << 15,
	PORT_TS_RX = 1u << 16,
	PORT_TS_TX = 1u << 17,
	PORT_LOOP = 1u << 18,           /* hears its own frames: every 127/8 address is its own (wire:loop) */
	PORT_CSUM_NONE = 1u << 19,      /* frames cannot be damaged between sender and receiver (shared memory):
					 * checksums are neither computed nor checked; a capture fills them in */
	PORT_SELF_ADDRESSED = 1u << 20, /* the kernel knows nothing of this port: no kernel address can clash */
	PORT_RX_FILTERED = 1u << 21,    /* nothing is received but what filter_add() asked for; the kernel has the rest,
					 * ARP, ICMP and IGMP among it */
	PORT_CSUM_TX_ALL = 1u << 22,    /* IPv4, UDP and TCP checksums are filled in in every frame that is no fragment, by
					 * tx and tx_copy, asked for or not, whatever is in the fields */
	PORT_PIO = 1u << 23,            /* tx_copy writes the frame into the adapter */
	PORT_RX_INTR_STAYS = 1u << 24,  /* an armed interrupt stays armed: the stack disarms it when it is awake */
};

/* What host->event() and service() may report; a bit mask. */
enum port_event {
	PORT_EV_LINK = 1u << 0,    /* link state changed: ask link() */
	PORT_EV_RESET = 1u << 1,   /* the port wants a reset: service() does it */
	PORT_EV_REMOVED = 1u << 2, /* the port is gone for good */
	PORT_EV_SERVICE = 1u << 3, /* service() has something to do */
};

enum port_link {
	PORT_LINK_DOWN = 0,
	PORT_LINK_UP = 1,
	PORT_LINK_GONE = 2, /* removed; never comes back */
};

/* Given to a driver at open; stays valid until close. */
struct port_host {
	void *opaque;
	/* Any thread but no signal handler: ors @events into the atomic word of each stack on the port, under a lock
	 * that is only ever held for that and for a stack's coming and going. The caller holds no lock that a stack's
	 * thread could wait for.
	 */
	void (*event)(void *opaque, uint32_t events);
	const struct zf_log *log;
	bool forked; /* since zf_init(), so EAL's interrupt thread is not there: nobody calls back, the driver has to look */
};

struct port_open_args {
	const char *name;           /* the `interface` attribute after classification, e.g. "wire:/tmp/w" */
	const struct zf_attr *attr; /* of the first stack on the port */
	const struct port_host *host;
	uint16_t queues;   /* rx/tx queue pairs wanted; the driver may lower it in port_info */
	uint32_t rx_ring;  /* wanted sizes; rounded up to the port's next in port_info */
	uint32_t tx_ring;
};

/* Filled by open(), constant while the port is open. */
struct port_info {
	char driver[32];       /* e.g. "wire", "net_af_packet" */
	uint8_t mac[6];
	uint16_t mtu;          /* IP MTU: frame without Ethernet header, tag and FCS */
	uint16_t queues;
	uint32_t caps;         /* enum port_cap */
	uint32_t rx_ring;      /* 0: the driver has no ring of mbufs of its own */
	uint32_t tx_ring;
	uint32_t rx_headroom;  /* bytes the driver wants free before and behind a frame in each buffer, */
	uint32_t buf_bytes;    /* and the least data room of an mbuf (0: RTE_MBUF_DEFAULT_BUF_SIZE) */
	bool pinned_bufs;      /* buffers of exactly buf_bytes in one block: see pool_create_pinned() */
	uint64_t tx_offloads;  /* RTE_MBUF_F_TX_* bits to set on frames whose checksums the port fills in */
	int socket_id;         /* NUMA node, or -1 */
	int if_index;          /* of the Linux interface beneath, or 0 */
	char if_name[IF_NAMESIZE];
	uint64_t *vclock;      /* virtual clock in nanoseconds (drivers/mem), else NULL */
};

/* What an adapter says of its alternatives: the unit that its memory is given out in, which the stack's space model counts. */
struct port_alt_info {
	uint32_t buf_bytes; /* 512 (8000 series) or 1024 (X2); left 0: this queue has none, and port_queue.alt is NULL */
};

/* Transmit alternatives in an adapter: frames that lie ready in it until they are let go or dropped, @id by @id, from 0 to
 * the count that alt_setup() was given less 1. Policy is the stack's (lib/stack/alt.c): states, limits, when headers are
 * made anew. It never asks for more than fits, by the model of doc/alternatives.md, and keeps to this order for each @id:
 *
 *	queue*  then  go or discard  then  busy until it says 0  then  queue* again
 *
 * All are the stack's thread's, with tx's queue. Completions are learnt of by rx, which polls whatever the port has.
 */
struct port_alt_ops {
	/* Append @n frames: all of them (@n, taken over as by tx; nobody changes them until busy() says 0), or none (0) when
	 * the ring has no room now. They may have a second reference and are single segments. Later frames of tx and tx_copy
	 * go to the wire, not here.
	 */
	uint16_t (*queue)(void *txq, uint32_t id, struct rte_mbuf **pkts, uint16_t n);
	/* To the wire with all that is queued: the doorbell, and nothing before it that could be behind it. */
	void (*go)(void *txq, uint32_t id);
	/* Drop it. */
	void (*discard)(void *txq, uint32_t id);
	/* Frames that go() or discard() concerned and that have not left the adapter yet. 0: the mbufs are given back, the
	 * memory is free, and queue() may be called.
	 */
	uint32_t (*busy)(void *txq, uint32_t id);
};

/* One rx/tx queue pair, filled by queue_get(). The stack copies it into its ctx. */
struct port_queue {
	port_burst_fn rx;
	port_burst_fn tx;
	void *rxq;
	void *txq;
	port_copy_fn tx_copy; /* or NULL */
	uint32_t tx_copy_max; /* bytes of a whole frame */
	/* From any thread; consumes nothing; may wrongly say true, never wrongly false. NULL: unknown. */
	bool (*peek)(const void *rxq);
	/* Frames that tx would accept now, at least; NULL: unknown. The stack's thread only. */
	uint32_t (*tx_room)(void *txq);
	/* tx_copy's code run on nothing, so that it is in the caches: sends nothing, changes nothing, returns 0. Or NULL. */
	port_copy_fn tx_warm;
	/* After a successful alt_setup(), else NULL: the stack holds the frames itself and sends them by tx. Asked for again
	 * after a reset, everything that was queued is gone from the port and its mbufs are given back.
	 */
	const struct port_alt_ops *alt;
};

/* Which frames a filter takes: IPv4 packets to @lip and @lport, of one sender (5-tuple) or of any (3-tuple). A group's
 * filter is the same with a multicast @lip, and may fix the sender's address alone. What is 0 is not compared: lip, lport
 * and proto never are, and rport is only together with rip.
 */
struct port_filter {
	be32_t lip;   /* destination of the frame */
	be32_t rip;   /* its source, or 0.0.0.0: any */
	be16_t lport;
	be16_t rport;
	uint16_t vlan; /* tag of the frames, 0: untagged */
	uint8_t proto; /* IPPROTO_UDP or IPPROTO_TCP */
};

/* A driver's name for a filter: whatever it needs to take it away again. */
struct port_filter_id {
	uint64_t v[2];
};

struct port_driver {
	const char *name;

	/* Open a port by name: resources, MAC, limits. Nothing received yet.
	 * 0, or -ENODEV, -EBUSY, -EPERM, -EACCES, -ENOMEM, -EINVAL with exactly one logged line.
	 */
	int (*open)(const struct port_open_args *args, struct port_info *info, void **priv);

	/* Give queue @qid its pool: received frames are mbufs of @pool. Before start(). 0 or -errno. */
	int (*queue_setup)(void *priv, uint16_t qid, struct zf_pool *pool);

	/* Have @count alternatives on queue @qid, which one stack uses alone, with @bytes of memory for what they hold beside
	 * what each always has; once, before the queue_get() whose port_queue.alt it decides. 0, or with one logged line
	 * -EBUSY: fewer are left; or what the adapter says where it lacks the feature or its licence. NULL: none, the stack
	 * does it in software. (open() sees alt_count in its attributes too.)
	 */
	int (*alt_setup)(void *priv, uint16_t qid, uint32_t count, uint32_t bytes, struct port_alt_info *info);

	/* Let frames flow. 0 or -errno. */
	int (*start)(void *priv);

	/* Burst functions of a started port; asked again after each PORT_EV_RESET that service() handled. */
	void (*queue_get)(void *priv, uint16_t qid, struct port_queue *out);

	/* Stop and release all. mbufs that a tx ring still holds are freed to their pools as far as they can be. */
	void (*close)(void *priv);

	enum port_link (*link)(void *priv);

	/* Work of the driver's own that needs a thread and time: a wire's rendezvous, a reset. Called after
	 * PORT_EV_SERVICE or PORT_EV_RESET, and when the returned time has come.
	 * @now in nanoseconds of CLOCK_MONOTONIC (of the virtual clock over drivers/mem).
	 * Returns when to call again, UINT64_MAX for not before the next event. May be NULL.
	 */
	uint64_t (*service)(void *priv, uint64_t now_ns);

	/* The complete list of multicast MACs to receive. 0 or -errno; may be NULL (all are received). */
	int (*mc_list)(void *priv, const uint8_t (*macs)[6], uint32_t n);

	/* Steer the frames of @f to queue @qid, of a started port. Both may be NULL: PORT_FLOW is not claimed then. The port
	 * forgets all filters in a reset (PORT_EV_RESET): the stack adds them again, and filter_del() of an older one does
	 * nothing.
	 * A frame that two filters match goes where the narrower one says. One thread at a time per port.
	 * Of filter_add():
	 *   0            *@id names it until filter_del()
	 *   -EBUSY       the port's table is full: the zocket's call fails with that, and works again when others are freed
	 *   -EEXIST      somebody has exactly this filter already
	 *   -EOPNOTSUPP  no filter of this form on this port (firmware, VLAN): the frames come as if there were none, unless
	 *                PORT_RX_FILTERED, where the call fails
	 *   others       pass through to the call
	 * It logs nothing but what it alone knows, as debug: the stack logs, once for each kind of failure.
	 */
	int (*filter_add)(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id);
	void (*filter_del)(void *priv, const struct port_filter_id *id);

	/* A descriptor, the same for the life of the port, on which something happens when a frame arrives after intr_arm():
	 * the stack watches it edge-triggered, so nobody needs to drain it. -1: none. May be NULL.
	 */
	int (*intr_fd)(void *priv, uint16_t qid);
	/* A frame that arrives from now on (or, with @on false, none) makes itself known. One that came before does not:
	 * the caller looks by peek. 0, or -EOPNOTSUPP: just now it cannot, ask again at the next sleep.
	 */
	int (*intr_arm)(void *priv, uint16_t qid, bool on);
};

#endif
