/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/mem as the stack sees it: struct port_driver over the port objects of mem_port.c. Received frames are
 * copied into mbufs of the queue's pool; what is nasty about them is decided by struct mem_cfg.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/attr.h"
#include "mem/mem_priv.h"

static int
mem_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	const struct zf_log *log = args->host->log;
	const char *name = strncmp(args->name, "mem:", 4) == 0 ? args->name + 4 : args->name;
	struct mem_port *p = mem_port(name);
	const struct mem_cfg *c;

	if (p == NULL) {
		zf_err(log, LC_CPLANE, "interface=%s: not a port in memory; mem:NAME, mem:NAME/a or mem:NAME/b",
		       args->name);
		return -ENODEV;
	}
	c = &p->cfg;
	if (p->open || c->fail_open != 0 || p->link == PORT_LINK_GONE) {
		int rc = p->open ? -EBUSY : c->fail_open != 0 ? c->fail_open : -ENODEV;

		zf_err(log, LC_CPLANE, "interface=%s: cannot open the port in memory: error %d", args->name, -rc);
		return rc;
	}
	if (args->rx_ring > c->rx_ring_max || args->tx_ring > c->tx_ring_max) {
		zf_err(log, LC_CPLANE, "interface=%s: rings of %u and %u are above the port's %u and %u",
		       args->name, args->rx_ring, args->tx_ring, c->rx_ring_max, c->tx_ring_max);
		return -EINVAL;
	}
	memset(info, 0, sizeof(*info));
	memcpy(info->driver, "mem", 4);
	memcpy(info->mac, c->mac, 6);
	info->mtu = c->mtu;
	p->n_queues = ZF_MIN(ZF_MIN(args->queues, c->queues_max), (uint16_t)MEM_QUEUES_MAX);
	p->n_queues = ZF_MAX(p->n_queues, (uint16_t)1);
	info->queues = p->n_queues;
	p->rx_ring = (uint32_t)zf_roundup_pow2(args->rx_ring);
	p->tx_ring = (uint32_t)zf_roundup_pow2(args->tx_ring);
	/* Frames wait as copies, not in mbufs; sent ones are held in mbufs, up to a ring's worth. */
	info->tx_ring = p->tx_ring;
	info->caps = c->caps;
	if (p->n_queues == 1 && !c->filters_always && (c->caps & PORT_RX_FILTERED) == 0)
		info->caps &= ~(uint32_t)PORT_FLOW;
	if (c->refuse_shared)
		info->caps &= ~(uint32_t)PORT_TX_REF_OK;
	if (c->refuse_indirect)
		info->caps &= ~(uint32_t)PORT_TX_INDIRECT_OK;
	if (c->refuse_chained)
		info->caps &= ~(uint32_t)PORT_TX_MULTISEG;
	if (c->refuse_extbuf)
		info->caps &= ~(uint32_t)PORT_TX_EXTBUF_OK;
	if (c->hold != 0)
		info->caps = (info->caps & ~(uint32_t)PORT_TX_COPIES) | PORT_TX_HOLDS;
	p->caps = info->caps;
	if ((p->caps & (PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP | PORT_CSUM_TX_TCP)) != 0)
		info->tx_offloads |= RTE_MBUF_F_TX_IPV4;
	if (p->caps & PORT_CSUM_TX_IP)
		info->tx_offloads |= RTE_MBUF_F_TX_IP_CKSUM;
	if (p->caps & PORT_CSUM_TX_UDP)
		info->tx_offloads |= RTE_MBUF_F_TX_UDP_CKSUM;
	if (p->caps & PORT_CSUM_TX_TCP)
		info->tx_offloads |= RTE_MBUF_F_TX_TCP_CKSUM;
	p->tx_offloads = info->tx_offloads;
	info->rx_headroom = c->rx_headroom;
	info->buf_bytes = c->buf_bytes;
	info->socket_id = -1;
	info->vclock = &mem_clock_ns;
	p->host = *args->host;
	p->open = true;
	p->started = false;
	p->mc_n = 0;
	p->n_filters = 0;
	p->lk_free_ns = p->lk_last_ns = 0;
	*priv = p;
	return 0;
}

static int
mem_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct mem_port *p = priv;
	struct mem_queue *q = &p->q[qid];

	if (p->cfg.fail_setup != 0 || qid >= p->n_queues)
		return p->cfg.fail_setup != 0 ? p->cfg.fail_setup : -EINVAL;
	q->pool = pool;
	q->sent_head = q->sent_n = 0;
	free(q->sent);
	q->sent = calloc(p->tx_ring, sizeof(*q->sent));
	return q->sent == NULL ? -ENOMEM : 0;
}

static int
mem_start(void *priv)
{
	struct mem_port *p = priv;

	if (p->cfg.fail_start != 0)
		return p->cfg.fail_start;
	p->started = true;
	return 0;
}

/* A buffer for a received frame; allocation failures are for the stack alone unless the test says otherwise. */
static struct rte_mbuf *
take(struct mem_queue *q)
{
	uint64_t after = pool_fail_after;
	struct rte_mbuf *m;

	if (!q->port->cfg.rx_alloc_fails)
		pool_fail_after = 0;
	m = pkt_take(q->pool);
	if (!q->port->cfg.rx_alloc_fails)
		pool_fail_after = after;
	if (m == NULL)
		return NULL;
	if (q->port->cfg.scribble) { /* what a driver does not promise, it may leave dirty */
		mem_scribble(m);
		m->hash.rss = 0xa5a5a5a5;
		m->vlan_tci = m->vlan_tci_outer = 0xa5a5;
		m->tx_offload = 0xa5a5a5a5a5a5a5a5ull;
		m->timesync = 0xa5a5;
	}
	m->data_off = (uint16_t)ZF_MIN(m->buf_len, (uint32_t)RTE_PKTMBUF_HEADROOM);
	m->ol_flags = 0;
	m->packet_type = 0;
	m->port = 0;
	m->data_len = 0;
	m->pkt_len = 0;
	return m;
}

/* Bytes of the frame that go into the segment which starts at @off. */
static uint32_t
segment_len(const struct mem_cfg *c, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint32_t end = len;

	for (uint32_t i = 0; i < MEM_SPLITS_MAX && c->split_at[i] != 0; i++) {
		if (c->split_at[i] > off) {
			end = ZF_MIN(end, (uint32_t)c->split_at[i]);
			break;
		}
	}
	return ZF_MIN(end - off, rte_pktmbuf_tailroom(m));
}

/* The frame as an mbuf, or a chain of them; NULL without buffers. */
static struct rte_mbuf *
wrap(struct mem_queue *q, const struct mem_frame *f)
{
	struct rte_mbuf *head = take(q);
	struct rte_mbuf *m = head;
	uint32_t off = 0;

	if (head == NULL)
		return NULL;
	for (;;) {
		uint32_t n = segment_len(&q->port->cfg, m, off, f->len);

		memcpy(rte_pktmbuf_mtod(m, void *), f->bytes + off, n);
		m->data_len = (uint16_t)n;
		off += n;
		if (off >= f->len)
			break;
		m->next = n > 0 ? take(q) : NULL; /* a buffer without room will not do */
		if (m->next == NULL) {
			pkt_put_slow(head);
			return NULL;
		}
		head->nb_segs++;
		m = m->next;
	}
	head->pkt_len = f->len;
	head->ol_flags = q->port->cfg.rx_flags;
	if (q->port->cfg.rx_judges)
		head->ol_flags |= mem_judge(f->bytes, f->len);
	return head;
}

/* Frames that arrived while the ring was full never got in: with delays this shows only now. */
static void
prune(struct mem_queue *q)
{
	struct mem_frame *f = q->rx.head;
	uint32_t n = 1;

	while (f != NULL && n < q->port->rx_ring && f->when_ns <= mem_clock_ns) {
		f = f->next;
		n++;
	}
	while (f != NULL && f->next != NULL && f->next->when_ns <= mem_clock_ns) {
		struct mem_frame *lost = f->next;

		f->next = lost->next;
		if (q->rx.tail == lost)
			q->rx.tail = f;
		q->rx.n--;
		q->port->stats.rx_lost_full++;
		free(lost);
	}
}

static uint16_t
mem_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct mem_queue *q = queue;
	struct mem_port *p = q->port;
	uint16_t k = 0;

	(void)mem_alt_event(q);
	if (q->rx.head == NULL || q->rx.head->when_ns > mem_clock_ns)
		return 0;
	if (q->rx.n > p->rx_ring)
		prune(q);
	while (k < n && q->rx.head != NULL && q->rx.head->when_ns <= mem_clock_ns) {
		struct mem_frame *f = mem_list_shift(&q->rx);
		struct rte_mbuf *m = wrap(q, f);

		free(f);
		if (m == NULL) {
			p->stats.rx_lost_nombuf++;
			continue;
		}
		p->stats.rx_delivered++;
		pkts[k++] = m;
	}
	mem_publish_due(q);
	return k;
}

static bool
mem_peek(const void *rxq)
{
	const struct mem_queue *q = rxq;

	return atomic_load_explicit(&q->rx_due, memory_order_acquire) <=
	       __atomic_load_n(&mem_clock_ns, __ATOMIC_RELAXED);
}

static void
mem_queue_get(void *priv, uint16_t qid, struct port_queue *out)
{
	struct mem_port *p = priv;

	*out = (struct port_queue){
		.rx = mem_rx,
		.tx = mem_tx,
		.rxq = &p->q[qid],
		.txq = &p->q[qid],
		.tx_copy = p->cfg.tx_copy_max != 0 ? mem_tx_copy : NULL,
		.tx_copy_max = p->cfg.tx_copy_max,
		.peek = (p->caps & PORT_RX_PEEK) != 0 ? mem_peek : NULL,
		.tx_room = p->cfg.tells_room ? mem_tx_room : NULL,
		.alt = p->q[qid].n_alts > 0 ? &mem_alt_ops : NULL,
	};
}

static void
empty_rings(struct mem_port *p)
{
	for (uint16_t i = 0; i < p->n_queues; i++) {
		mem_list_clear(&p->q[i].rx);
		mem_publish_due(&p->q[i]);
		mem_let_go(&p->q[i], p->q[i].sent_n);
		mem_alt_clear(&p->q[i]);
	}
}

static void
mem_close(void *priv)
{
	struct mem_port *p = priv;

	empty_rings(p);
	for (uint16_t i = 0; i < p->n_queues; i++) {
		free(p->q[i].sent);
		p->q[i].sent = NULL;
		p->q[i].n_alts = 0;
		p->q[i].pool = NULL;
	}
	p->open = p->started = false;
	p->reset_asked = false;
	p->mc_n = 0;
}

static enum port_link
mem_link(void *priv)
{
	const struct mem_port *p = priv;

	return p->link;
}

/* A frame that is still on its way is what the stack waits for: calls that wait jump to it. */
static uint64_t
mem_service(void *priv, uint64_t now_ns)
{
	struct mem_port *p = priv;
	uint64_t next = UINT64_MAX;

	if (atomic_exchange(&p->reset_asked, false)) {
		p->n_filters = 0;
		p->forgotten = p->filter_serial;
		empty_rings(p);
	}
	for (uint16_t i = 0; i < p->n_queues; i++) {
		const struct mem_frame *f = p->q[i].rx.head;

		while (f != NULL && f->when_ns <= now_ns)
			f = f->next;
		if (f != NULL)
			next = ZF_MIN(next, f->when_ns);
	}
	return next;
}

static int
mem_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n)
{
	struct mem_port *p = priv;

	if (n > MEM_MC_MAX)
		return -ENOSPC;
	if (n > 0)
		memcpy(p->mc, macs, (size_t)n * 6);
	p->mc_n = n;
	return 0;
}

const struct port_driver mem_driver = {
	.name = "mem",
	.open = mem_open,
	.queue_setup = mem_queue_setup,
	.alt_setup = mem_alt_setup,
	.start = mem_start,
	.queue_get = mem_queue_get,
	.close = mem_close,
	.link = mem_link,
	.service = mem_service,
	.mc_list = mem_mc_list,
	.filter_add = mem_filter_add,
	.filter_del = mem_filter_del,
};
