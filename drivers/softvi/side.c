/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the kernel got, as a port that only receives: the part that a packet socket plays beside a real VI. Owns the wire's
 * events, link and groups.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "softvi/drv.h"
#include "softvi/priv.h"

struct side {
	struct softvi *a;
	struct zf_pool *pool;
};

static int
side_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	struct softvi *a = softvi_adapter(args->name);
	struct side *s = calloc(1, sizeof(*s));
	int rc;

	(void)info;
	rc = a == NULL ? -ENODEV : s == NULL ? -ENOMEM : mem_tap_open(a->port, args->host);
	if (rc < 0) {
		zf_err(args->host->log, LC_CPLANE, "interface=softvi:%s: cannot open the port in memory: error %d",
		       args->name, -rc);
		free(s);
		return rc;
	}
	a->side_open = true;
	s->a = a;
	*priv = s;
	return 0;
}

static int
side_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct side *s = priv;

	s->pool = pool;
	return qid == 0 ? mem_cfg(s->a->port)->fail_setup : -EINVAL;
}

static int
side_start(void *priv)
{
	struct side *s = priv;

	return mem_cfg(s->a->port)->fail_start;
}

/* Long ones in a chain, like any driver. */
static struct rte_mbuf *
wrap(struct zf_pool *pool, const uint8_t *b, uint32_t len)
{
	struct rte_mbuf *head = NULL, *last = NULL, *m;
	uint32_t off = 0;

	do {
		if (pool_take_bulk(pool, &m, 1) == 0) {
			if (head != NULL)
				pkt_put_slow(head);
			return NULL;
		}
		pkt_reset(m, ZF_MIN(len - off, (uint32_t)m->buf_len - RTE_PKTMBUF_HEADROOM));
		memcpy(rte_pktmbuf_mtod(m, void *), b + off, m->data_len);
		off += m->data_len;
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
	} while (off < len);
	head->pkt_len = len;
	return head;
}

static uint16_t
side_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct side *s = queue;
	struct softvi *a = s->a;
	uint16_t k = 0;

	while (k < n && a->kernel != NULL) {
		struct softvi_kframe *f = a->kernel;
		struct rte_mbuf *m = wrap(s->pool, f->bytes, f->len);

		a->kernel = f->next;
		if (a->kernel == NULL)
			a->kernel_end = &a->kernel;
		if (m != NULL) {
			pkts[k++] = m;
			mem_stats(a->port)->rx_delivered++;
		} else {
			mem_stats(a->port)->rx_lost_nombuf++;
		}
		free(f);
	}
	return k;
}

static void
side_queue_get(void *priv, uint16_t qid, struct port_queue *out)
{
	(void)qid;
	*out = (struct port_queue){.rx = side_rx, .rxq = priv};
}

static void
side_close(void *priv)
{
	struct side *s = priv;
	struct softvi *a = s->a;

	while (a->kernel != NULL) {
		struct softvi_kframe *f = a->kernel;

		a->kernel = f->next;
		free(f);
	}
	a->kernel_end = &a->kernel;
	a->side_open = false;
	mem_tap_close(a->port);
	free(s);
}

static enum port_link
side_link(void *priv)
{
	const struct side *s = priv;

	return mem_tap_link(s->a->port);
}

static uint64_t
side_service(void *priv, uint64_t now_ns)
{
	const struct side *s = priv;

	return mem_tap_next_due(s->a->port, now_ns);
}

static int
side_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n)
{
	const struct side *s = priv;

	return mem_tap_mc_list(s->a->port, macs, n);
}

const struct port_driver softvi_side_driver = {
	.name = "softvi_side",
	.open = side_open,
	.queue_setup = side_setup,
	.start = side_start,
	.queue_get = side_queue_get,
	.close = side_close,
	.link = side_link,
	.service = side_service,
	.mc_list = side_mc_list,
};
