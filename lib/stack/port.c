/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See port.h. Cold: opening, joining, leaving, events.
 */
#include "stack/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "core/attr.h"
#include "ip/output.h"
#include "stack/alt.h"
#include "stack/drivers.h"
#include "stack/steer.h"

static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct zf_port *ports;

/* Guards members[] of all ports against event(), which comes from any thread, and from the handlers of fork() too: so it is
 * one lock, which fork() itself takes. A thread that holds it at that moment does not exist in the child.
 */
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;

static void
events_hold(void)
{
	pthread_mutex_lock(&events_lock);
}

static void
events_go_on(void)
{
	pthread_mutex_unlock(&events_lock);
}

static bool forked;

static void
in_child(void)
{
	forked = true;
	events_go_on();
}

static void
at_fork(void)
{
	(void)pthread_atfork(events_hold, events_go_on, in_child);
}

void
port_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, at_fork);
}

static void
on_event(void *opaque, uint32_t events)
{
	struct zf_port *p = opaque;

	pthread_mutex_lock(&events_lock);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (p->members[i] != NULL) {
			atomic_fetch_or_explicit(&p->members[i]->ctx->events, events, memory_order_release);
			stack_wake(p->members[i]->ctx);
		}
	pthread_mutex_unlock(&events_lock);
}

/* An interface's generation moved, under its lock: a stack that sleeps may have frames that waited for just that. */
static void
on_netif_moved(void *arg)
{
	struct zf_port *p = arg;

	pthread_mutex_lock(&events_lock);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (p->members[i] != NULL)
			stack_wake(p->members[i]->ctx);
	pthread_mutex_unlock(&events_lock);
}

int
port_intr_fd(struct port_member *pm)
{
	struct zf_port *p = pm->port;

	return p->drv->intr_fd != NULL ? p->drv->intr_fd(p->priv, 0) : -1;
}

int
port_intr_arm(struct port_member *pm, bool on)
{
	struct zf_port *p = pm->port;
	int rc;

	/* A descriptor is one queue's; with one of its own beside the common one there would have to be two. And an interrupt
	 * that stays until it is disarmed cannot be for two: the one that wakes would disarm it under the other. But what was
	 * armed by the first stack, before there were others, may be disarmed.
	 */
	if (p->drv->intr_arm == NULL)
		return -EOPNOTSUPP;
	if (on && p->share != NULL && (pm->own != 0 || (p->info.caps & PORT_RX_INTR_STAYS)))
		return -EOPNOTSUPP;
	/* Against another stack's service(), which may exchange the rings. */
	pthread_mutex_lock(&p->drv_lock);
	rc = p->drv->intr_arm(p->priv, 0, on);
	pthread_mutex_unlock(&p->drv_lock);
	return rc;
}

uint64_t
port_now_ns(const struct zf_port *p, uint64_t cycles)
{
	struct timespec ts;

	if (p->info.vclock != NULL)
		return cycles;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct zf_port *
port_find(const struct ifres *id)
{
	for (struct zf_port *p = ports; p != NULL; p = p->next)
		if (strcmp(p->id.driver, id->driver) == 0 && strcmp(p->id.name, id->name) == 0)
			return p;
	return NULL;
}

static void
port_free(struct zf_port *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->drv_lock);
	pthread_mutex_destroy(&p->hold_lock);
	log_fini(&p->log);
	free(p);
}

static void
port_close(struct zf_port *p)
{
	for (uint32_t i = 0; i < p->n_netifs; i++) {
		netif_fini(p->netifs[i]);
		free(p->netifs[i]);
	}
	share_stop(p);
	steer_stop(p);
	p->drv->close(p->priv);
	for (uint32_t i = 0; i < PORT_QUEUES; i++)
		pool_drop(p->pairs[i].pool);
	port_free(p);
}

/* A pool for a stack on the port. 0 or -errno. */
static int
make_pool(struct zf_port *p, uint32_t n_bufs, uint32_t bytes, struct zf_pool **out)
{
	if (p->info.pinned_bufs)
		return pool_create_pinned(n_bufs, bytes, p->info.socket_id, &p->log, out);
	return pool_create(n_bufs, bytes, p->info.socket_id, &p->log, out);
}

/* Queues beyond the common one: each has a pool, but for the first, which goes with the common queue's, since one stack
 * adopts both. Where memory ends the rest stays unused, filled from the common pool.
 */
static int
pairs_setup(struct zf_port *p, uint32_t n_bufs, uint32_t bytes)
{
	uint16_t usable = 0;
	int rc = 0;

	for (uint16_t i = 1; i < p->info.queues && rc == 0; i++) {
		struct port_pair *q = &p->pairs[i];

		q->usable = p->steer != NULL &&
			    (i == 1 || (p->pairs[i - 1].usable && make_pool(p, n_bufs, bytes, &q->pool) == 0));
		usable += q->usable;
		rc = p->drv->queue_setup(p->priv, i, q->pool != NULL ? q->pool : p->pool);
	}
	if (rc == 0 && usable > 0)
		zf_info(&p->log, LC_FILTERS, "port %s: %u stacks have a queue of their own, filters lead to it", p->id.name,
			usable);
	return rc;
}

/* Rings and buffers of the first stack decide. */
static int
port_start(struct zf_port *p, uint32_t n_bufs)
{
	uint32_t bytes = p->info.buf_bytes;
	uint32_t common = n_bufs + (p->info.queues > 1 ? p->info.rx_ring : 0);
	int rc = 0;

	if (bytes == 0)
		bytes = RTE_MBUF_DEFAULT_BUF_SIZE;
	/* A frame fits one buffer: what the driver needs around it comes on top. */
	bytes = ZF_MAX(bytes, RTE_PKTMBUF_HEADROOM + p->info.mtu + 22u + p->info.rx_headroom);
	if (p->drv->filter_add != NULL && (p->info.caps & PORT_FLOW))
		rc = steer_start(p);
	if (rc == 0)
		rc = make_pool(p, common, bytes, &p->pool);
	p->pairs[0].pool = p->pool;
	if (rc == 0)
		rc = p->drv->queue_setup(p->priv, 0, p->pool);
	if (rc == 0)
		rc = pairs_setup(p, n_bufs, bytes);
	if (rc == 0)
		rc = p->drv->start(p->priv);
	return rc;
}

/* Queue pairs to ask for: one for each stack, and the common one where they are several. */
static uint16_t
queues_wanted(const struct zf_attr *attr)
{
	long n = attr->port_queues != 0 ? (long)attr->port_queues : sysconf(_SC_NPROCESSORS_ONLN);

	return n > 1 ? (uint16_t)(ZF_MIN(n, (long)NETIF_MEMBERS) + 1) : 1;
}

static int
port_open(const struct ifres *id, const struct zf_attr *attr, uint32_t n_bufs, const struct zf_log *log,
	  struct zf_port **out)
{
	struct zf_port *p = calloc(1, sizeof(*p));
	struct port_open_args args = {.name = id->spec, .attr = attr, .queues = queues_wanted(attr)};
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->id = *id;
	p->drv = drivers_find(id->driver);
	if (p->drv == NULL) {
		zf_err(log, LC_STACK, "interface \"%s\": driver %s is not part of this library", attr->interface,
		       id->driver);
		free(p);
		return -ENODEV;
	}
	log_dup(&p->log, log); /* the port may outlive this stack */
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->drv_lock, NULL);
	pthread_mutex_init(&p->hold_lock, NULL);
	p->host = (struct port_host){p, on_event, &p->log, forked};
	args.host = &p->host;
	args.rx_ring = (uint32_t)attr->rx_ring_max;
	args.tx_ring = (uint32_t)attr->tx_ring_max;
	rc = p->drv->open(&args, &p->info, &p->priv);
	if (rc < 0) {
		port_free(p);
		return rc;
	}
	p->info.queues = ZF_MIN(p->info.queues, args.queues);
	p->hz = p->info.vclock != NULL ? 1000000000u : rte_get_tsc_hz();
	rc = port_start(p, n_bufs);
	if (rc == 0 && p->info.if_index != 0)
		rc = ifres_check_kernel(attr, p->info.if_index, log);
	if (rc < 0) {
		port_close(p);
		return rc;
	}
	p->link = p->drv->link(p->priv);
	if ((p->info.caps & PORT_TX_HOLDS) && n_bufs <= p->info.rx_ring + p->info.tx_ring)
		zf_warn(log, LC_POOL,
			"port %s: its rings of %u and %u may hold all of the %u buffers, and sends would fail for good: "
			"raise n_bufs",
			id->name, p->info.rx_ring, p->info.tx_ring, n_bufs);
	zf_info(log, LC_STACK,
		"port %s: driver %s, MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, capabilities 0x%x, %u buffers",
		id->name, p->info.driver, p->info.mac[0], p->info.mac[1], p->info.mac[2], p->info.mac[3],
		p->info.mac[4], p->info.mac[5], p->info.mtu, p->info.caps, n_bufs);
	p->next = ports;
	ports = p;
	*out = p;
	return 0;
}

static bool
mac_is_in(const uint8_t (*macs)[6], uint32_t n, const uint8_t mac[6])
{
	for (uint32_t i = 0; i < n; i++)
		if (memcmp(macs[i], mac, 6) == 0)
			return true;
	return false;
}

/* The port has one filter for all its interfaces. */
static int
mc_tell(struct zf_port *p)
{
	uint8_t(*all)[6];
	uint32_t n = 0, max = 1;
	int rc;

	for (uint32_t i = 0; i < PORT_NETIFS; i++)
		max += p->mc[i].n;
	all = malloc((size_t)max * 6);
	if (all == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < PORT_NETIFS; i++)
		for (uint32_t k = 0; k < p->mc[i].n; k++)
			if (!mac_is_in((const uint8_t(*)[6])all, n, p->mc[i].macs[k]))
				memcpy(all[n++], p->mc[i].macs[k], 6);
	rc = p->drv->mc_list(p->priv, (const uint8_t(*)[6])all, n);
	free(all);
	return rc;
}

static void
on_mc_changed(void *arg, const uint8_t (*macs)[6], uint32_t n)
{
	struct port_mc *mc = arg;
	struct zf_port *p = mc->port;
	int rc;

	if (p->drv->mc_list == NULL)
		return;
	pthread_mutex_lock(&p->drv_lock);
	mc->n = ZF_MIN(n, (uint32_t)PORT_MACS);
	memcpy(mc->macs, macs, mc->n * sizeof(mc->macs[0]));
	rc = mc_tell(p);
	pthread_mutex_unlock(&p->drv_lock);
	if (rc < 0)
		zf_warn(&p->log, LC_FILTERS, "port %s does not take a filter for %u multicast addresses", p->id.name,
			n);
}

/* The interface for this VLAN; made when the first stack asks for it. */
static int
port_netif(struct zf_port *p, uint16_t vlan, uint64_t now, struct netif **out)
{
	struct netif *n;
	struct eth_addr mac;
	int rc;

	for (uint32_t i = 0; i < p->n_netifs; i++)
		if (p->netifs[i]->vlan == vlan) {
			*out = p->netifs[i];
			return 0;
		}
	if (p->n_netifs == PORT_NETIFS) {
		zf_err(&p->log, LC_CPLANE, "port %s has stacks on %d VLANs already, which is the limit: vlan=%u is refused",
		       p->id.name, PORT_NETIFS, vlan);
		return -EBUSY;
	}
	n = aligned_alloc(ZF_CACHE_LINE, zf_align_up(sizeof(*n), ZF_CACHE_LINE));
	if (n == NULL)
		return -ENOMEM;
	memcpy(mac.b, p->info.mac, sizeof(mac.b));
	rc = netif_init(n, &mac, p->info.mtu, vlan, p->info.caps, p->hz, p->info.vclock != NULL ? 1 : 0, now);
	if (rc < 0) {
		free(n);
		return rc;
	}
	n->mc_changed = on_mc_changed;
	n->moved = on_netif_moved;
	n->moved_arg = p;
	steer_netif(p, n);
	p->mc[p->n_netifs].port = p;
	n->mc_arg = &p->mc[p->n_netifs];
	p->netifs[p->n_netifs++] = n;
	*out = n;
	return 0;
}

/* Alternatives of the port's own, for the stack that has the queue to itself. */
static int
set_up_alternatives(struct port_member *pm)
{
	const struct zf_port *p = pm->port;
	const struct zf_attr *attr = pm->ctx->attr;
	struct port_alt_info info = {0};
	int rc;

	if (attr == NULL || attr->alt_count == 0 || p->drv->alt_setup == NULL)
		return 0;
	/* Beside a queue of its own it polls the common one alone, until there are others: completions would never be seen. */
	if (pm->own != 0)
		return 0;
	rc = p->drv->alt_setup(p->priv, 0, (uint32_t)attr->alt_count, (uint32_t)attr->alt_buf_size, &info);
	if (rc == 0)
		pm->alt_buf_bytes = info.buf_bytes;
	return rc;
}

static void
attach_direct(struct port_member *pm)
{
	const struct zf_port *p = pm->port;
	struct port_queue q, own;

	memset(&q, 0, sizeof(q));
	p->drv->queue_get(p->priv, 0, &q);
	if (pm->own != 0) {
		/* Frames still come by the common queue. */
		memset(&own, 0, sizeof(own));
		p->drv->queue_get(p->priv, pm->own, &own);
		own.rx = q.rx;
		own.rxq = q.rxq;
		own.peek = q.peek;
		q = own;
	}
	ctx_set_queue(pm->ctx, &q);
}

/* A queue of its own, the lowest that is free. */
static void
pair_take(struct zf_port *p, struct port_member *pm)
{
	for (uint16_t i = 1; i < p->info.queues && pm->own == 0; i++)
		if (p->pairs[i].usable && p->pairs[i].owner == NULL) {
			p->pairs[i].owner = pm;
			pm->own = i;
		}
}

/* Where filters of a stack lead that shares the common queue. */
static uint16_t
steer_to(const struct port_member *pm)
{
	if (pm->own != 0)
		return pm->own;
	return pm->port->info.caps & PORT_RX_FILTERED ? 0 : STEER_NO_QUEUE;
}

/* Buffers of a stack that is not alone: those of its queue, or some for the copies that it gets. */
static int
buffers_take(struct zf_port *p, struct port_member *pm, uint32_t n_bufs)
{
	struct zf_pool *fresh;
	int rc;

	if (pm->own > 1)
		return pool_adopt(p->pairs[pm->own].pool, &pm->ctx->pool);
	if (pm->own == 1) {
		/* The common queue's as well, which is everybody's by now: the driver goes on without the cache. */
		if (zf_bug(p->share == NULL))
			return -EBUSY;
		share_hold(p);
		rc = pool_adopt(p->pool, &pm->ctx->pool);
		pool_unshare(p->pool);
		share_go_on(p);
		return rc;
	}
	rc = pool_create(n_bufs, p->pool->buf_bytes, p->info.socket_id, &p->log, &fresh);
	if (rc < 0)
		return rc;
	rc = pool_adopt(fresh, &pm->ctx->pool);
	pool_drop(fresh); /* the stack's handle holds it */
	return rc;
}

/* The first stack is no longer alone: its filters lead to its own queue from now on. */
static int
become_several(struct zf_port *p, const struct port_member *newcomer)
{
	int rc = share_start(p);

	for (uint32_t i = 0; i < NETIF_MEMBERS && rc == 0; i++)
		if (p->members[i] != NULL && p->members[i] != newcomer)
			steer_move(p, p->members[i], steer_to(p->members[i]));
	return rc;
}

/* The member's way to the port: alone, or with others. Called with the port's lock. */
static int
member_attach(struct zf_port *p, struct port_member *pm, uint32_t n_bufs)
{
	int rc;

	pair_take(p, pm);
	if (p->share == NULL && p->n_members == 1) {
		rc = pool_adopt(p->pool, &pm->ctx->pool);
		if (rc == 0)
			rc = set_up_alternatives(pm);
		if (rc == 0) {
			attach_direct(pm);
			steer_join(p, pm, 0);
		}
		return rc;
	}
	/* The common queue's buffers are for whoever is alone on it, as before it was shared. */
	rc = p->n_members == 1 && pm->own == 0 ? pool_adopt(p->pool, &pm->ctx->pool) : buffers_take(p, pm, n_bufs);
	if (rc == 0 && p->share == NULL)
		rc = become_several(p, pm);
	if (rc == 0)
		rc = share_join(p, pm);
	if (rc == 0) {
		share_attach(pm);
		steer_join(p, pm, steer_to(pm));
	}
	return rc;
}

static void
member_remove(struct port_member *pm)
{
	struct zf_port *p = pm->port;

	pthread_mutex_lock(&events_lock);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (p->members[i] == pm)
			p->members[i] = NULL;
	pthread_mutex_unlock(&events_lock);
	if (pm->own != 0)
		p->pairs[pm->own].owner = NULL;
	p->n_members--;
}

static int
member_add(struct port_member *pm)
{
	struct zf_port *p = pm->port;
	int rc = -EBUSY;

	pthread_mutex_lock(&events_lock);
	for (uint32_t i = 0; i < NETIF_MEMBERS && rc < 0; i++)
		if (p->members[i] == NULL) {
			p->members[i] = pm;
			rc = 0;
		}
	pthread_mutex_unlock(&events_lock);
	if (rc == 0)
		p->n_members++;
	return rc;
}

static int
port_join_locked(struct zf_port *p, struct zf_ctx *ctx, uint16_t vlan, uint32_t n_bufs, struct port_member *pm)
{
	int rc;

	pm->ctx = ctx;
	pm->port = p;
	ctx->vclock = p->info.vclock;
	ctx->hz = p->hz;
	ctx->caps = p->info.caps;
	ctx->socket_id = p->info.socket_id;
	ctx->now = ctx_read_clock(ctx);
	rc = port_netif(p, vlan, ctx->now, &pm->netif);
	if (rc < 0)
		return rc;
	rc = netif_join_stack(pm->netif);
	if (rc < 0) {
		zf_err(&p->log, LC_STACK, "port %s has %d stacks already, which is the limit: free one, or use another port",
		       p->id.name, NETIF_MEMBERS);
		return rc;
	}
	ctx->netif = pm->netif;
	ctx->slot = (uint32_t)rc;
	rc = member_add(pm);
	/* What happened since the port was opened, nobody was there to be told. */
	if (rc == 0 && p->drv->link(p->priv) != p->link)
		atomic_fetch_or_explicit(&ctx->events, PORT_EV_LINK, memory_order_relaxed);
	if (rc == 0) {
		rc = member_attach(p, pm, n_bufs);
		if (rc < 0)
			member_remove(pm);
	}
	if (rc < 0) {
		netif_leave_stack(pm->netif, ctx->slot, ctx->now);
		if (ctx->pool != NULL)
			pool_release(ctx->pool);
		ctx->pool = NULL;
	}
	return rc;
}

int
port_join(struct zf_ctx *ctx, const struct ifres *id, const struct zf_attr *attr, uint32_t n_bufs,
	  struct port_member **out)
{
	struct port_member *pm = calloc(1, sizeof(*pm));
	struct zf_port *p;
	int rc = 0;

	if (pm == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&ports_lock);
	p = port_find(id);
	if (p == NULL)
		rc = port_open(id, attr, n_bufs, &ctx->log, &p);
	if (rc == 0) {
		pthread_mutex_lock(&p->lock);
		rc = port_join_locked(p, ctx, id->vlan, n_bufs, pm);
		pthread_mutex_unlock(&p->lock);
		if (rc < 0 && p->n_members == 0) {
			ports = p->next; /* it was just put there */
			port_close(p);
		}
	}
	pthread_mutex_unlock(&ports_lock);
	if (rc < 0) {
		free(pm);
		return rc;
	}
	*out = pm;
	return 0;
}

void
port_leave(struct port_member *pm)
{
	struct zf_port *p = pm->port;
	struct zf_ctx *ctx = pm->ctx;
	bool last;

	pthread_mutex_lock(&ports_lock);
	pthread_mutex_lock(&p->lock);
	steer_leave(p, pm);
	if (p->share != NULL)
		share_leave(p, pm);
	member_remove(pm);
	netif_leave_stack(pm->netif, ctx->slot, ctx->now);
	last = p->n_members == 0;
	pthread_mutex_unlock(&p->lock);
	if (last) {
		for (struct zf_port **pp = &ports; *pp != NULL; pp = &(*pp)->next)
			if (*pp == p) {
				*pp = p->next;
				break;
			}
	}
	/* The last stack's cache serves the driver until it is closed. */
	if (last)
		port_close(p);
	pool_release(ctx->pool);
	ctx->pool = NULL;
	pthread_mutex_unlock(&ports_lock);
	free(pm);
	(void)pool_reap();
}

static void
link_changed(struct port_member *pm)
{
	struct zf_port *p = pm->port;
	enum port_link now = p->drv->link(p->priv);

	ctx_count(pm->ctx, CNT_LINK_CHANGES);
	if (now == p->link)
		return;
	p->link = now;
	zf_info(&p->log, LC_STACK, "port %s: link %s", p->id.name,
		now == PORT_LINK_UP ? "up" : now == PORT_LINK_GONE ? "gone" : "down");
	if (now != PORT_LINK_UP)
		return;
	for (uint32_t i = 0; i < p->n_netifs; i++)
		netif_link_up(p->netifs[i], pm->ctx->now);
}

/* Headers were made for the limit of tx_copy, which an adapter may have lost or found. */
static void
attach_again(struct port_member *pm)
{
	uint32_t was = pm->ctx->tx_copy_max;

	attach_direct(pm);
	if (pm->ctx->tx_copy_max != was && pm->ctx->ip != NULL)
		netif_touch(pm->netif);
}

static void
service_locked(struct port_member *pm, uint32_t ev)
{
	struct zf_port *p = pm->port;
	struct zf_ctx *ctx = pm->ctx;
	struct wheel_timer *t = &ctx->service_timer;
	uint64_t now_ns, next;
	bool park;

	if (p->drv->service == NULL)
		return;
	now_ns = port_now_ns(p, ctx->now);
	/* It may exchange rings under the burst functions, or reset the port: then they are others. */
	park = p->share != NULL && p->steer != NULL && (ev & PORT_EV_RESET);
	if (park)
		share_park(p, pm);
	if (p->share != NULL)
		share_hold(p);
	pthread_mutex_lock(&p->drv_lock);
	next = p->drv->service(p->priv, now_ns);
	pthread_mutex_unlock(&p->drv_lock);
	if (p->share != NULL)
		share_go_on(p);
	if (park)
		share_unpark(p);
	if (p->share == NULL)
		attach_again(pm);
	else if (park)
		share_attach(pm);
	if (next == UINT64_MAX)
		wheel_cancel(ctx->wheel, t);
	else
		wheel_arm(ctx->wheel, t,
			  ctx->now + ctx_ns_to_cycles(ctx, next > now_ns ? next - now_ns : 0));
}

void
port_service(struct port_member *pm)
{
	/* Another stack's thread is at it: look again soon. */
	if (pthread_mutex_trylock(&pm->port->lock) != 0) {
		wheel_arm(pm->ctx->wheel, &pm->ctx->service_timer,
			  pm->ctx->now + ctx_us_to_cycles(pm->ctx, 1000));
		return;
	}
	service_locked(pm, 0);
	pthread_mutex_unlock(&pm->port->lock);
}

void
port_take_events(struct port_member *pm)
{
	struct zf_ctx *ctx = pm->ctx;
	uint32_t ev = atomic_exchange_explicit(&ctx->events, 0, memory_order_acquire);

	if (ev & CTX_EV_SHARE) {
		share_attach(pm);
		ctx->visible = 1; /* this poll ends: somebody waits for that */
	}
	if (ev & CTX_EV_AWAKE)
		(void)port_intr_arm(pm, false);
	ev &= ~(uint32_t)(CTX_EV_SHARE | CTX_EV_AWAKE);
	if (ev == 0)
		return;
	if (pthread_mutex_trylock(&pm->port->lock) != 0) {
		atomic_fetch_or_explicit(&ctx->events, ev, memory_order_release);
		return;
	}
	if (ev & (PORT_EV_SERVICE | PORT_EV_RESET))
		service_locked(pm, ev);
	/* A reset may have emptied the port's filters. */
	if (ev & PORT_EV_RESET)
		steer_again(pm->port);
	for (uint32_t i = 0; (ev & PORT_EV_RESET) && i < pm->port->n_netifs; i++)
		netif_groups_tell(pm->port->netifs[i]);
	if ((ev & PORT_EV_RESET) && pm->alt_buf_bytes != 0)
		alt_port_reset(ctx);
	if (ev & (PORT_EV_LINK | PORT_EV_REMOVED))
		link_changed(pm);
	pthread_mutex_unlock(&pm->port->lock);
	output_netif_run(ctx);
	output_flush(ctx); /* not every call that comes here does */
	ctx->visible = 1;
}
