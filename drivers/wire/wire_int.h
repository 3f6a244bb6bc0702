/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A port of this driver from the inside: what wire.c (the driver table) shares with the kinds of wires: pair.c (loop
 * and two ends in one process) and path.c (two processes).
 *
 * The life of the rings at one end, always on the stack's own thread:
 *   idle      no rings; sends are dropped
 *   up        both rings in use
 *   draining  the other end is gone, sends are dropped; what it sent before can still be received
 * A new epoch begins only from idle, so nothing that arrived is lost to a peer that comes back quickly. Draining ends
 * when the ring is empty, or when DRAIN_NS are over.
 */
#ifndef ZF_WIRE_WIRE_INT_H
#define ZF_WIRE_WIRE_INT_H

#include <pthread.h>

#include "wire/burst.h"
#include "wire/shm.h"
#include "wire/wire.h"

#define WIRE_DRAIN_NS   100000000ull /* a stack that is polled takes microseconds; one without buffers takes for ever */
#define WIRE_RECHECK_NS 1000000ull   /* while draining */
#define WIRE_POLL_NS    10000000ull  /* rendezvous without a watcher */

enum wire_state {
	WIRE_IDLE,
	WIRE_UP,
	WIRE_DRAINING,
};

struct wire;

/* A kind of wire. */
struct wire_kind {
	int (*open)(struct wire *w); /* 0 or -errno after one line; *w as wire.c filled it */
	int (*start)(struct wire *w);
	uint64_t (*service)(struct wire *w, uint64_t now_ns);
	void (*close)(struct wire *w);
};
extern const struct wire_kind wire_pair_kind;
extern const struct wire_kind wire_path_kind;

struct pair;
struct path_end;

struct wire {
	struct wire_queue q;
	const struct wire_kind *kind;
	const struct port_host *host;
	const struct zf_log *log;
	const char *name;        /* behind "wire:" */
	_Atomic uint32_t state;  /* enum wire_state; link() reads it from any thread */
	bool started;
	uint64_t drain_end;      /* time, 0: not known yet */
	struct shm_sleep *peer;  /* while up: the other end's word */
	int own_fd;              /* eventfd that the other end writes to, or -1 */
	int sleep_fd;            /* readable when it did: what intr_fd() gives, or -1 */
	struct pair *pair;
	uint32_t side;           /* of the pair: 0 is a */
	struct path_end *end;
	char text[];             /* name */
};

/* Changes of state by the kinds. They report PORT_EV_LINK: with wire_lock held. */
struct wire_epoch {
	struct shm_head *mem;
	uint32_t role;    /* sends in shm_ring(mem, role), */
	uint32_t hears;   /* and receives from that of this role */
	uint32_t number;
	int own_fd, peer_fd; /* eventfds that stay open while the wire is up, or -1 */
};
void wire_go_up(struct wire *w, const struct wire_epoch *e);
void wire_go_drain(struct wire *w);
/* While draining: is it over? Then the wire is idle. */
bool wire_drained(struct wire *w, uint64_t now_ns);

static inline enum wire_state
wire_state(const struct wire *w)
{
	return (enum wire_state)atomic_load_explicit(&w->state, memory_order_relaxed);
}

/* One lock for what several ports of the process share: the table of pairs and the list of path wires. Held for
 * microseconds, and across fork(). Every host->event() is called with it, so that no thread is inside one when the
 * process is copied: the child calls them itself (path.c).
 */
extern pthread_mutex_t wire_lock;

#endif
