/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a port has of its adapter: a VI, perhaps a PIO buffer, memory, alternatives. Made when the port is opened and again
 * after a reset; every refusal of the adapter is passed on with a line that says what to do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/attr.h"
#include "ef_vi/priv.h"

/* Polls that a port which is closed waits for its last sends: a ring's worth leaves in a fraction of that. */
#define DRAIN_POLLS 20000

unsigned long
efvi_cap(const struct efvi_port *p, enum efvi_cap cap)
{
	unsigned long v = 0;

	return p->ops->capability(p->dh, p->if_index, cap, &v) == 0 ? v : 0;
}

/* The adapter's word for it, and ours. */
static int
refused(const struct efvi_port *p, int rc, const char *what, const char *remedy)
{
	zf_err(p->host.log, LC_CPLANE, "interface %s: %s: %s (errno %d)%s%s", p->if_name, what, strerror(-rc), -rc,
	       remedy != NULL ? "; " : "", remedy != NULL ? remedy : "");
	return rc;
}

static const char *
vi_remedy(int rc)
{
	switch (rc) {
	case -EBUSY:
		return "all VIs of the adapter are in use: free stacks on it, or end other programs that bypass the kernel";
	case -ENOKEY:
		return "the adapter has no licence key for this: see `sfkey`; or leave ef_vi: out of the attribute interface";
	case -EPERM:
		return "run with the rights that Onload wants";
	default:
		return NULL;
	}
}

/* 0 and p->pio, or without; attribute pio says what is an error. */
static int
pio_make(struct efvi_port *p)
{
	int64_t want = p->attr->pio;
	int rc = 0;

	p->pio_bytes = 0;
	if (want == 0)
		return 0;
	rc = p->ops->pio_alloc(p->dh, p->pd, &p->pio);
	if (rc == 0) {
		rc = p->ops->pio_link(p->pio, p->vi, p->dh);
		if (rc == 0) {
			unsigned long bytes = efvi_cap(p, EFVI_CAP_PIO_BYTES);

			/* What cannot say has the least that any of them has. */
			p->pio_bytes = bytes != 0 ? (uint32_t)bytes : 2048;
			return 0;
		}
		p->ops->pio_free(p->pio, p->dh);
	}
	p->pio = NULL;
	if (want == 3 && rc == -ENOSPC)
		return refused(p, rc, "no PIO buffer is left", "free stacks on the adapter, or set pio=1 to send without");
	if (want >= 2)
		zf_warn(p->host.log, LC_CPLANE, "interface %s: no PIO: %s (errno %d); small frames go by DMA", p->if_name,
			strerror(-rc), -rc);
	return 0;
}

static void
queue_fill(struct efvi_port *p)
{
	struct efvi_queue *q = &p->q;

	q->vi = p->vi;
	q->dead = false;
	q->prefix = p->rx_ring != 0 ? p->ops->rx_prefix(p->vi) : 0;
	/* A half that begins at a multiple of what the adapter wants; both are "busy" when there is none. */
	q->pio_half = p->pio_bytes / EFVI_PIO_HALVES / EFVI_PIO_ALIGN * EFVI_PIO_ALIGN;
	q->pio_half = ZF_MIN(q->pio_half, EFVI_STAGE);
	q->pio_busy = p->pio != NULL ? 0 : 3;
	q->refill_turn = q->refill_every;
	q->side_turn = q->side_every;
	memset(q->alt_queued, 0, sizeof(q->alt_queued));
	memset(q->alt_busy, 0, sizeof(q->alt_busy));
}

/* The adapter may make its ring larger than it was asked to: what is sent must have a number of its own. */
static int
sent_fits(struct efvi_port *p)
{
	struct efvi_queue *q = &p->q;
	uint32_t n = (uint32_t)zf_roundup_pow2((uint64_t)p->ops->tx_space(p->vi) + 1);
	struct rte_mbuf **more;

	if (n <= q->sent_mask + 1)
		return 0;
	more = calloc(n, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	free(q->sent);
	q->sent = more;
	q->sent_mask = n - 1;
	return 0;
}

int
efvi_vi_make(struct efvi_port *p)
{
	/* Alternatives make three events of each send. */
	uint32_t events = p->rx_ring + p->tx_ring * ((p->vi_flags & EFVI_TX_ALT) ? 3 : 1);
	int rc = p->ops->vi_alloc(p->dh, p->pd, (uint32_t)zf_roundup_pow2(events), p->rx_ring, p->tx_ring,
				  p->vi_flags, &p->vi);

	if (rc < 0)
		return refused(p, rc, "the adapter gives no VI", vi_remedy(rc));
	p->vi_serial++;
	rc = sent_fits(p);
	if (rc == 0 && p->tx_ring != 0)
		rc = pio_make(p);
	if (rc < 0) {
		p->ops->vi_free(p->vi, p->dh);
		p->vi = NULL;
		return rc;
	}
	queue_fill(p);
	return 0;
}

void
efvi_vi_drop(struct efvi_port *p)
{
	if (p->vi == NULL)
		return;
	if (p->pio != NULL) {
		p->ops->pio_unlink(p->pio, p->vi, p->dh);
		p->ops->pio_free(p->pio, p->dh);
		p->pio = NULL;
	}
	p->ops->vi_free(p->vi, p->dh);
	p->vi = p->q.vi = NULL;
}

int
efvi_mem_register(struct efvi_port *p, struct zf_pool *pool)
{
	size_t pages = (pool->mem_len + EFVI_PAGE - 1) / EFVI_PAGE;
	int rc;

	if (zf_bug(pool->mem == NULL || pool->buf_bytes > EFVI_PAGE))
		return -EINVAL;
	p->dma = calloc(pages, sizeof(*p->dma));
	if (p->dma == NULL)
		return -ENOMEM;
	rc = p->ops->memreg_alloc(p->dh, p->pd, pool->mem, pool->mem_len, &p->mr);
	if (rc < 0)
		return refused(p, rc, "the adapter does not take the packet buffers",
			       rc == -ENOMEM || rc == -ENOSPC ? "use huge pages, or lower n_bufs" : NULL);
	for (size_t i = 0; i < pages; i++)
		p->dma[i] = p->ops->memreg_dma_addr(p->mr, i * EFVI_PAGE);
	p->q.pool = pool;
	p->q.mem = (uintptr_t)pool->mem;
	p->q.dma = p->dma;
	return 0;
}

int
efvi_alts_make(struct efvi_port *p)
{
	uint32_t max = ZF_MIN((uint32_t)EFVI_ALTS_MAX, (uint32_t)efvi_cap(p, EFVI_CAP_ALT_VFIFOS));
	int rc = -EOPNOTSUPP;

	if (!(p->vi_flags & EFVI_TX_ALT))
		return refused(p, rc, "the adapter has no alternatives",
			       "they need an 8000 series card or later with ultra-low-latency firmware (`sfboot "
			       "firmware-variant=ultra-low-latency`); or leave ef_vi: out, and they are done in software");
	rc = p->alts > max ? -EBUSY : p->ops->alt_alloc(p->vi, p->dh, p->alts, p->alt_bytes);
	if (rc < 0)
		return refused(p, rc, "the adapter does not give as many alternatives, or as much memory for them",
			       "lower alt_count or alt_buf_size; 17 alternatives at most for each stack, and all stacks "
			       "share the adapter's");
	return 0;
}

void
efvi_rx_first(struct efvi_port *p)
{
	struct efvi_queue *q = &p->q;
	struct rte_mbuf *m;

	while (q->post_next - q->post_done < q->post_max && pool_take_bulk(q->pool, &m, 1) == 1) {
		uint32_t id = q->post_next++ & q->post_mask;

		q->posted[id] = m;
		(void)p->ops->rx_init(p->vi,
				      p->dma[((uintptr_t)m->buf_addr + EFVI_RX_OFF - q->mem) / EFVI_PAGE] +
					      ((uintptr_t)m->buf_addr + EFVI_RX_OFF) % EFVI_PAGE,
				      id);
	}
	p->ops->rx_push(p->vi);
}

/* Nobody will tell any more of those from @done to @next. */
static void
give_back(struct rte_mbuf **ring, uint32_t mask, uint32_t done, uint32_t next)
{
	for (; done != next; done++)
		if (!efvi_sent_is_pio(ring[done & mask]))
			pkt_put_slow(ring[done & mask]);
}

void
efvi_queue_empty(struct efvi_port *p)
{
	struct efvi_queue *q = &p->q;
	struct rte_mbuf *pkts[32];

	for (int i = 0; i < DRAIN_POLLS && p->vi != NULL && !q->dead && q->sent_done != q->sent_next; i++) {
		uint16_t n = p->b->hot->rx(q, pkts, 32);

		while (n > 0)
			pkt_put_slow(pkts[--n]);
	}
	efvi_vi_drop(p);
	give_back(q->sent, q->sent_mask, q->sent_done, q->sent_next);
	give_back(q->posted, q->post_mask, q->post_done, q->post_next);
	if (q->head != NULL)
		pkt_put_slow(q->head);
	q->head = q->tail = NULL;
	q->sent_done = q->sent_next = q->post_done = q->post_next = 0;
}
