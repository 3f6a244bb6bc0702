/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Port objects: one for each network port that the process uses, shared by the stacks on it. A port object owns the
 * driver's instance, the pools of its queues and the IP interfaces (one a VLAN).
 *
 * The first stack has the queue to itself: its ctx calls the driver directly. When a second one comes and the port has
 * no other queue for it, the queue becomes shared (share.c).
 */
#ifndef ZF_STACK_PORT_H
#define ZF_STACK_PORT_H

#include <pthread.h>

#include "core/port.h"
#include "ip/netif.h"
#include "stack/ifres.h"

#define PORT_NETIFS 16
/* Groups of one interface and all-hosts. */
#define PORT_MACS (IGMP_GROUPS_DEFAULT + 1)

/* Queue pairs of a port at most: one for each stack, and the common one. */
#define PORT_QUEUES (NETIF_MEMBERS + 1)

struct zf_stack;
struct share;
struct steer;

/* A stack on a port. */
struct port_member {
	struct zf_ctx *ctx;
	struct zf_port *port;
	struct netif *netif;
	struct share_inbox *inbox; /* once the queue is shared */
	uint32_t alt_buf_bytes;    /* the port has alternatives for this stack; 0: it has not */
	/* The queue that is its own, beside the common one; 0: none. While it is alone on the port it receives by the common
	 * one and sends by its own, so that nothing stays behind in a ring when others come.
	 */
	uint16_t own;
	struct port_queue own_q; /* once the common queue is shared; the stack's own thread */
	_Atomic uint32_t parked; /* its thread waits for the port's reset */
};

/* A pair of receive and transmit queue. */
struct port_pair {
	struct zf_pool *pool; /* NULL: that of queue 0 */
	struct port_member *owner;
	bool usable; /* a stack may have it */
};

/* The multicast MACs that one interface of a port wants. */
struct port_mc {
	struct zf_port *port;
	uint32_t n;
	uint8_t macs[PORT_MACS][6];
};

struct zf_port {
	struct zf_port *next;
	const struct port_driver *drv;
	void *priv;
	struct ifres id;
	struct port_info info;
	struct port_host host;
	struct zf_log log;
	/* Serialises open, close, service and membership. Never taken while a ctx of this port is waited for. */
	pthread_mutex_t lock;
	/* Around service() and mc_list(), which is called under an interface's lock. Order: lock, the share's rx_busy, an
	 * interface's lock, the share's tx_busy, drv_lock, a driver's own, the one for events (port.c).
	 */
	pthread_mutex_t drv_lock;
	struct port_member *members[NETIF_MEMBERS]; /* under the lock for events */
	uint32_t n_members;
	struct zf_pool *pool; /* of the common queue, and of queue 1: the first stack's */
	struct port_pair pairs[PORT_QUEUES]; /* [0] is the common one, and nobody's */
	struct steer *steer;  /* NULL: one queue, and all frames come to it */
	pthread_mutex_t hold_lock; /* while queues are being taken down: see share_park() */
	struct share *share;  /* NULL while one stack has the queue to itself */
	struct netif *netifs[PORT_NETIFS];
	uint32_t n_netifs;
	struct port_mc mc[PORT_NETIFS]; /* under drv_lock */
	uint64_t hz;
	enum port_link link;
};

/* Once a process, before any port is opened: drivers' handlers of fork() come on top of ours. */
void port_init(void);
/* Find or open the port of @id and put the stack @ctx on it: fills the hot pointers, pool, netif and slot of @ctx.
 * @n_bufs: buffers of the stack's pool. 0 or -errno with one logged line.
 */
int port_join(struct zf_ctx *ctx, const struct ifres *id, const struct zf_attr *attr, uint32_t n_bufs,
	      struct port_member **out);
/* The stack's zockets are gone, its buffers home but for those in a transmit ring. Releases ctx->pool. */
void port_leave(struct port_member *pm);

/* Act on ctx->events, on the stack's own thread. */
void port_take_events(struct port_member *pm);
/* The driver's own work; arms the stack's service timer. */
void port_service(struct port_member *pm);
/* The time of the driver line: CLOCK_MONOTONIC, or the virtual clock's @cycles. */
uint64_t port_now_ns(const struct zf_port *p, uint64_t cycles);

/* The queue's descriptor for sleeping, or -1; and its intr_arm(): 0, or -EOPNOTSUPP. The stack's own thread. */
int port_intr_fd(struct port_member *pm);
int port_intr_arm(struct port_member *pm, bool on);
/* From any thread: if the stack's thread sleeps, wake it. What it is to find was stored before. */
void stack_wake(struct zf_ctx *ctx);

/* share.c: several stacks on one queue. */
/* The port has one member, on the queue directly, and @pm is about to join: switch over. 0 or -errno. */
int share_start(struct zf_port *p);
int share_join(struct zf_port *p, struct port_member *pm);
void share_leave(struct zf_port *p, struct port_member *pm);
void share_stop(struct zf_port *p);
/* Nobody is in the driver's burst functions between the two; the second takes them from the driver again. */
void share_hold(struct zf_port *p);
void share_go_on(struct zf_port *p);
/* Has another stack received something for @pm, which is attached? Its own thread. */
bool share_has_frames(const struct port_member *pm);
/* Point the ctx's hot pointers at the shared queue; its own thread, or before it starts. */
void share_attach(struct port_member *pm);
/* Between the two nobody but the caller's stack is in a queue of its own: their next call waits. For a reset, which takes
 * all queues down and up again; afterwards each takes its burst functions anew.
 */
void share_park(struct zf_port *p, const struct port_member *self);
void share_unpark(struct zf_port *p);
/* 0 or -errno: membarrier(2) is there. Once a process. */
int share_init(const struct zf_log *log);

#endif
