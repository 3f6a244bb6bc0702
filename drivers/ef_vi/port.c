/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The life of a port over one VI, as lib/stack drives it: see ef_vi.h. What concerns the adapter is in vi.c.
 *
 * Two sources of frames: the VI, for what filters ask for, and a side port, for what stays with the kernel (ARP, ICMP, IGMP,
 * fragments, and whatever has no filter). The link and the list of groups are the side port's affair too.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attr.h"
#include "ef_vi/priv.h"

#define RETRY_NS 100000000u /* between tries to get a VI again after a reset */
/* Longest frame of one buffer, less Ethernet header and tag. */
#define MTU_MAX  (EFVI_BUF_BYTES - RTE_PKTMBUF_HEADROOM - 22u)

static int
no_memory(const struct efvi_port *p)
{
	zf_err(p->host.log, LC_CPLANE, "interface %s: out of memory", p->if_name);
	return -ENOMEM;
}

/* Size of a ring for @want descriptors; 0 stays 0. */
static int
ring_size(const struct efvi_port *p, const char *attr, uint32_t want, uint32_t *out)
{
	*out = want == 0 ? 0 : (uint32_t)zf_roundup_pow2(ZF_MAX(want, EFVI_RING_MIN));
	if (*out <= EFVI_RING_MAX)
		return 0;
	zf_err(p->host.log, LC_CPLANE, "interface %s: attribute %s=%u is above the adapter's %u", p->if_name, attr, want,
	       EFVI_RING_MAX);
	return -EINVAL;
}

static int
rings_make(struct efvi_port *p, const struct port_open_args *args)
{
	struct efvi_queue *q = &p->q;
	int rc = ring_size(p, "rx_ring_max", args->rx_ring, &p->rx_ring);

	if (rc == 0)
		rc = ring_size(p, "tx_ring_max", args->tx_ring, &p->tx_ring);
	if (rc < 0)
		return rc;
	q->post_mask = ZF_MAX(p->rx_ring, 1u) - 1;
	q->sent_mask = ZF_MAX(p->tx_ring, 1u) - 1;
	q->posted = calloc(q->post_mask + 1, sizeof(*q->posted));
	q->sent = calloc(q->sent_mask + 1, sizeof(*q->sent));
	q->refill_batch = (uint32_t)p->attr->rx_ring_refill_batch_size;
	q->refill_every = (uint32_t)p->attr->rx_ring_refill_interval;
	return q->posted == NULL || q->sent == NULL ? no_memory(p) : 0;
}

static int
adapter_open(struct efvi_port *p)
{
	int rc = p->ops->driver_open();

	if (rc < 0) {
		zf_err(p->host.log, LC_CPLANE,
		       "interface %s: ef_vi cannot be started: %s (errno %d); load Onload's drivers (`onload_tool reload`), or "
		       "leave ef_vi: out of the attribute interface",
		       p->if_name, strerror(-rc), -rc);
		return rc == -EPERM || rc == -EACCES || rc == -ENOMEM ? rc : -ENOENT;
	}
	p->dh = rc;
	p->if_index = p->ops->if_index(p->if_name);
	rc = p->if_index > 0 ? p->ops->pd_alloc(p->dh, p->if_name, &p->pd) : -ENODEV;
	if (rc == 0)
		return 0;
	zf_err(p->host.log, LC_CPLANE, "interface %s: not a port of an adapter that ef_vi drives: %s (errno %d)", p->if_name,
	       strerror(-rc), -rc);
	return rc == -ENOKEY || rc == -EPERM || rc == -ENOMEM ? rc : -ENODEV;
}

/* What the attributes ask of the hardware. */
static int
wishes(struct efvi_port *p)
{
	if (p->attr->ctpio == 3 && efvi_cap(p, EFVI_CAP_CTPIO) == 0) {
		zf_err(p->host.log, LC_CPLANE,
		       "interface %s: attribute ctpio=3: this library sends by cut-through on no adapter; set ctpio=1 for the "
		       "next best, PIO",
		       p->if_name);
		return -EOPNOTSUPP;
	}
	if (p->attr->ctpio == 2)
		zf_warn(p->host.log, LC_CPLANE, "interface %s: attribute ctpio=2: no cut-through; small frames go by PIO if the "
			"adapter has it", p->if_name);
	/* A VI is given with the flag where alternatives are missing: so they are asked for first. */
	if (p->attr->alt_count > 0 && efvi_cap(p, EFVI_CAP_ALTS) != 0)
		p->vi_flags |= EFVI_TX_ALT;
	return 0;
}

static int
side_open(struct efvi_port *p, const struct port_open_args *args)
{
	struct port_open_args a = *args;
	struct port_info info;
	char name[96];
	int rc;

	snprintf(name, sizeof(name), "%s%s", p->b->side_prefix, p->if_name);
	a.name = name;
	a.host = &p->host;
	a.rx_ring = ZF_MAX(args->rx_ring, EFVI_RING_MIN);
	rc = p->b->side->open(&a, &info, &p->side);
	if (rc < 0)
		p->side = NULL;
	return rc;
}

static void
info_fill(struct efvi_port *p, struct port_info *info)
{
	int mtu = p->ops->vi_mtu(p->vi, p->dh);

	*info = (struct port_info){
		.mtu = (uint16_t)ZF_MIN(ZF_MAX(mtu, 0), (int)MTU_MAX),
		.queues = 1,
		.caps = PORT_TX_REF_OK | PORT_TX_EXTBUF_OK | PORT_CSUM_RX | PORT_CSUM_TX_ALL | PORT_FLOW |
			PORT_PIO, /* where tx_copy is there, which a reset may change */
		.rx_ring = p->rx_ring,
		.tx_ring = p->tx_ring,
		.buf_bytes = EFVI_BUF_BYTES,
		.pinned_bufs = true,
		.socket_id = -1,
		.if_index = p->if_index,
	};
	snprintf(info->driver, sizeof(info->driver), "ef_vi");
	snprintf(info->if_name, sizeof(info->if_name), "%.*s", IF_NAMESIZE - 1, p->if_name);
	p->ops->vi_mac(p->vi, p->dh, info->mac);
	if (mtu > (int)MTU_MAX)
		zf_warn(p->host.log, LC_CPLANE, "interface %s has an MTU of %d; the stack uses %u, what fits one buffer",
			p->if_name, mtu, info->mtu);
}

int
efvi_open(const struct efvi_backend *b, const char *if_name, const struct port_open_args *args,
	  struct port_info *info, void **priv)
{
	struct efvi_port *p = aligned_alloc(ZF_CACHE_LINE, zf_align_up(sizeof(*p), ZF_CACHE_LINE));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->b = b;
	p->ops = b->ops;
	p->dh = -1;
	p->host = *args->host;
	p->q.host = &p->host;
	p->q.side_every = b->side_every;
	snprintf(p->if_name, sizeof(p->if_name), "%s", if_name);
	p->attr = zf_attr_dup(args->attr);
	rc = p->attr == NULL ? no_memory(p) : rings_make(p, args);
	if (rc == 0)
		rc = adapter_open(p);
	if (rc == 0)
		rc = wishes(p);
	if (rc == 0)
		rc = side_open(p, args);
	if (rc == 0)
		rc = efvi_vi_make(p);
	if (rc < 0) {
		efvi_close(p);
		return rc;
	}
	info_fill(p, info);
	*priv = p;
	return 0;
}

/* The ring's worth, but half of a small pool; and batches that are whole chunks, of which one fits at least. */
static void
refill_limits(struct efvi_port *p, uint32_t n_bufs)
{
	struct efvi_queue *q = &p->q;
	uint32_t most = ZF_MIN(p->rx_ring, n_bufs / 2);

	q->post_max = p->rx_ring == 0 ? 0 : ZF_MAX(ZF_MIN(most, p->rx_ring - 1), EFVI_RX_CHUNK);
	/* More than half at a time would leave the ring empty. */
	q->refill_batch = ZF_MIN(q->refill_batch, q->post_max / 2) / EFVI_RX_CHUNK * EFVI_RX_CHUNK;
	q->refill_batch = ZF_MAX(q->refill_batch, EFVI_RX_CHUNK);
}

int
efvi_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct efvi_port *p = priv;
	struct port_queue side;
	int rc;

	if (qid != 0)
		return -EINVAL;
	rc = efvi_mem_register(p, pool);
	refill_limits(p, pool->n_bufs);
	if (rc == 0)
		rc = p->b->side->queue_setup(p->side, 0, pool);
	if (rc < 0)
		return rc;
	p->b->side->queue_get(p->side, 0, &side);
	p->q.side_rx = side.rx;
	p->q.side_q = side.rxq;
	return 0;
}

int
efvi_alt_setup(void *priv, uint16_t qid, uint32_t count, uint32_t bytes, struct port_alt_info *info)
{
	struct efvi_port *p = priv;
	int rc;

	(void)qid;
	p->alts = count;
	p->alt_bytes = bytes;
	rc = efvi_alts_make(p);
	if (rc < 0) {
		p->alts = 0;
		return rc;
	}
	info->buf_bytes = (uint32_t)efvi_cap(p, EFVI_CAP_ALT_BUF_BYTES);
	return 0;
}

int
efvi_start(void *priv)
{
	struct efvi_port *p = priv;
	int rc = p->b->side->start(p->side);

	if (rc < 0)
		return rc;
	p->started = true;
	efvi_rx_first(p);
	return 0;
}

/* What is left of a queue whose VI could not be made anew yet. */
static uint16_t
vi_less_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct efvi_queue *q = queue;

	return q->side_rx(q->side_q, pkts, n);
}

static uint16_t
vi_less_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint32_t
vi_less_room(void *queue)
{
	(void)queue;
	return 0;
}

void
efvi_queue_get(void *priv, uint16_t qid, struct port_queue *out)
{
	struct efvi_port *p = priv;
	const struct efvi_hot *h = p->b->hot;
	bool pio = p->pio != NULL;

	(void)qid;
	if (p->vi == NULL) {
		*out = (struct port_queue){
			.rx = vi_less_rx, .tx = vi_less_tx, .rxq = &p->q, .txq = &p->q, .tx_room = vi_less_room};
		return;
	}
	/* No peek: it would be a second thread in the VI. */
	*out = (struct port_queue){
		.rx = h->rx,
		.tx = h->tx,
		.rxq = &p->q,
		.txq = &p->q,
		.tx_copy = pio ? h->tx_copy : NULL,
		.tx_copy_max = pio ? p->q.pio_half : 0,
		.tx_room = h->tx_room,
		.tx_warm = pio ? h->tx_warm : NULL,
		.alt = p->alts != 0 ? &h->alt : NULL,
	};
}

void
efvi_close(void *priv)
{
	struct efvi_port *p = priv;

	if (p->started)
		efvi_queue_empty(p);
	efvi_vi_drop(p);
	if (p->mr != NULL)
		p->ops->memreg_free(p->mr, p->dh);
	if (p->side != NULL)
		p->b->side->close(p->side);
	if (p->pd != NULL)
		p->ops->pd_free(p->pd, p->dh);
	if (p->dh >= 0)
		p->ops->driver_close(p->dh);
	free(p->dma);
	free(p->q.sent);
	free(p->q.posted);
	if (p->attr != NULL)
		zf_attr_free(p->attr);
	free(p);
}

enum port_link
efvi_link(void *priv)
{
	const struct efvi_port *p = priv;

	return p->b->side->link(p->side);
}

/* A new VI in place of the dead one: its sends are lost, its filters are added by the stack. */
static void
revive(struct efvi_port *p, uint64_t now_ns)
{
	bool late = p->retry_ns != 0;
	int rc;

	p->retry_ns = 0;
	if (p->attr->tx_error_recovery == 0)
		return;
	efvi_queue_empty(p);
	p->q.dead = true;
	rc = efvi_vi_make(p);
	if (rc == 0 && p->alts != 0)
		rc = efvi_alts_make(p);
	if (rc < 0) {
		efvi_vi_drop(p);
		p->q.dead = true;
		p->retry_ns = now_ns + RETRY_NS;
		return;
	}
	efvi_rx_first(p);
	zf_info(p->host.log, LC_CPLANE, "interface %s: events were lost or the adapter was reset; it is in use again",
		p->if_name);
	/* The stack was told of the reset when there was no VI to take its filters: once more. */
	if (late)
		p->host.event(p->host.opaque, PORT_EV_RESET);
}

uint64_t
efvi_service(void *priv, uint64_t now_ns)
{
	struct efvi_port *p = priv;
	uint64_t next = UINT64_MAX;

	if (p->q.dead && now_ns >= p->retry_ns)
		revive(p, now_ns);
	if (p->retry_ns != 0)
		next = p->retry_ns;
	return ZF_MIN(next, p->b->side->service != NULL ? p->b->side->service(p->side, now_ns) : UINT64_MAX);
}

int
efvi_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n)
{
	struct efvi_port *p = priv;

	return p->b->side->mc_list != NULL ? p->b->side->mc_list(p->side, macs, n) : 0;
}

int
efvi_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id)
{
	struct efvi_port *p = priv;
	struct efvi_filter ef = {.form = EFVI_FILTER_LOCAL, .proto = f->proto, .lport = f->lport, .vlan = f->vlan,
				 .lip = f->lip};
	struct efvi_filter_id got;
	int rc;

	(void)qid;
	/* Between the tries after a reset: the side port brings what it would take, and the stack asks again after it. */
	if (p->vi == NULL)
		return -EOPNOTSUPP;
	/* A sender without its port (a group with one source) is no form of this adapter's: such frames come by the side port,
	 * unless a wider filter takes them. Widening it here would collide with just that filter.
	 */
	if (f->rip.raw != 0 && f->rport.raw == 0)
		return -EOPNOTSUPP;
	if (f->rip.raw != 0) {
		ef.form = EFVI_FILTER_FULL;
		ef.rip = f->rip;
		ef.rport = f->rport;
	}
	rc = p->ops->filter_add(p->vi, p->dh, &ef, &got);
	/* Which VI it was: one of a dead VI is gone with it, and its number may mean another by now. */
	if (rc == 0)
		*id = (struct port_filter_id){{got.v, p->vi_serial}};
	return rc == -ENOSPC ? -EBUSY : rc == -EPROTONOSUPPORT ? -EOPNOTSUPP : rc;
}

void
efvi_filter_del(void *priv, const struct port_filter_id *id)
{
	struct efvi_port *p = priv;
	struct efvi_filter_id ef = {id->v[0]};

	if (p->vi != NULL && id->v[1] == p->vi_serial)
		(void)p->ops->filter_del(p->vi, p->dh, &ef);
}
