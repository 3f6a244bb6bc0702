/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The table of the wire driver: names, limits, MAC, states. How the two ends come together is the business of the
 * kinds (pair.c, path.c), moving frames that of burst.c.
 */
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "wire/wire_int.h"

#define WIRE_MTU 1500

#define WIRE_CAPS                                                                                  \
	(PORT_CSUM_RX | PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP | PORT_CSUM_TX_TCP | PORT_CSUM_NONE |   \
	 PORT_TX_COPIES | PORT_TX_REF_OK | PORT_TX_MULTISEG | PORT_TX_INDIRECT_OK |                \
	 PORT_TX_EXTBUF_OK | PORT_RX_PEEK | PORT_SELF_ADDRESSED)

pthread_mutex_t wire_lock = PTHREAD_MUTEX_INITIALIZER;

void
wire_go_up(struct wire *w, const struct wire_epoch *e)
{
	wire_queue_attach(&w->q, shm_ring(e->mem, e->role), shm_ring(e->mem, e->hears), e->number);
	w->own_fd = e->own_fd;
	w->peer = &e->mem->sleep[e->hears];
	wire_queue_sleep_by(&w->q, &e->mem->sleep[e->role], w->peer, e->peer_fd);
	atomic_store_explicit(&w->state, WIRE_UP, memory_order_relaxed);
	w->host->event(w->host->opaque, PORT_EV_LINK);
}

void
wire_go_drain(struct wire *w)
{
	wire_queue_detach_tx(&w->q);
	w->own_fd = -1;
	w->drain_end = 0;
	atomic_store_explicit(&w->state, WIRE_DRAINING, memory_order_relaxed);
	w->host->event(w->host->opaque, PORT_EV_LINK);
}

bool
wire_drained(struct wire *w, uint64_t now_ns)
{
	if (w->drain_end == 0)
		w->drain_end = now_ns + WIRE_DRAIN_NS;
	if (wire_peek(&w->q) && now_ns < w->drain_end)
		return false;
	wire_queue_detach_rx(&w->q);
	atomic_store_explicit(&w->state, WIRE_IDLE, memory_order_relaxed);
	return true;
}

static void
random_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, GRND_NONBLOCK) != 6) {
		/* Before the kernel's pool is ready: two wires of one machine must differ, no more. */
		struct timespec ts;

		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		for (int i = 0; i < 6; i++)
			mac[i] = (uint8_t)((uint64_t)ts.tv_nsec * 0x9e3779b97f4a7c15ull >> (8 * i + 8));
	}
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

static void
fill_info(struct port_info *info, bool loop)
{
	*info = (struct port_info){
		.mtu = WIRE_MTU,
		.queues = 1,
		.caps = WIRE_CAPS | (loop ? PORT_LOOP : 0),
		.buf_bytes = RTE_PKTMBUF_HEADROOM + RING_FRAME_MAX,
		.socket_id = -1,
	};
	(void)snprintf(info->driver, sizeof(info->driver), "wire");
	random_mac(info->mac);
}

static int
wire_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	const char *name = strncmp(args->name, "wire:", 5) == 0 ? args->name + 5 : args->name;
	size_t len = strlen(name) + 1;
	struct wire *w;
	int rc;

	w = aligned_alloc(ZF_CACHE_LINE, zf_align_up(sizeof(*w) + len, ZF_CACHE_LINE));
	if (w == NULL) {
		zf_err(args->host->log, LC_CPLANE, "wire:%s: out of memory", name);
		return -ENOMEM;
	}
	memset(w, 0, sizeof(*w));
	memcpy(w->text, name, len);
	w->name = w->text;
	w->host = args->host;
	w->log = args->host->log;
	w->own_fd = w->sleep_fd = -1;
	w->kind = name[0] == '/' || name[0] == '.' ? &wire_path_kind : &wire_pair_kind;
	wire_queue_init(&w->q, NULL);
	rc = w->kind->open(w);
	if (rc != 0) {
		free(w);
		return rc;
	}
	fill_info(info, strcmp(name, "loop") == 0);
	*priv = w;
	return 0;
}

static int
wire_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct wire *w = priv;

	if (qid != 0)
		return -EINVAL;
	/* The receive copy rounds up to whole blocks, never beyond RING_FRAME_MAX. */
	if (rte_pktmbuf_data_room_size(pool->mp) < RTE_PKTMBUF_HEADROOM + RING_FRAME_MAX) {
		zf_err(w->log, LC_CPLANE, "wire:%s: buffers of %u bytes are too small, %u are needed", w->name,
		       rte_pktmbuf_data_room_size(pool->mp), RTE_PKTMBUF_HEADROOM + RING_FRAME_MAX);
		return -EINVAL;
	}
	w->q.pool = w->q.tx_pool = pool;
	return 0;
}

static int
wire_start(void *priv)
{
	struct wire *w = priv;

	if (w->q.pool == NULL)
		return -EINVAL;
	w->started = true;
	return w->kind->start(w);
}

static void
wire_queue_get(void *priv, uint16_t qid, struct port_queue *out)
{
	struct wire *w = priv;

	*out = (struct port_queue){
		.rx = wire_rx,
		.tx = wire_tx,
		.rxq = &w->q,
		.txq = &w->q,
		.tx_copy = wire_tx_copy,
		.tx_copy_max = RING_FRAME_MAX,
		.peek = wire_peek,
		.tx_room = wire_tx_room,
		.tx_warm = wire_tx_warm,
	};
}

static void
wire_close(void *priv)
{
	struct wire *w = priv;

	w->kind->close(w);
	free(w);
}

static enum port_link
wire_link(void *priv)
{
	return wire_state(priv) == WIRE_UP ? PORT_LINK_UP : PORT_LINK_DOWN;
}

static uint64_t
wire_service(void *priv, uint64_t now_ns)
{
	struct wire *w = priv;

	return w->started ? w->kind->service(w, now_ns) : UINT64_MAX;
}

static int
wire_intr_fd(void *priv, uint16_t qid)
{
	const struct wire *w = priv;

	(void)qid;
	return w->sleep_fd;
}

/* Nothing arrives while the link is down, and that it goes up is an event of its own. */
static int
wire_intr_arm(void *priv, uint16_t qid, bool on)
{
	struct wire *w = priv;

	(void)qid;
	if (wire_state(w) != WIRE_UP)
		return 0;
	if (!on) {
		atomic_store_explicit(&w->q.own->sleeping, 0, memory_order_relaxed);
		return 0;
	}
	if (w->own_fd < 0)
		return -EOPNOTSUPP;
	return wire_queue_arm(&w->q, w->peer) ? 0 : -EOPNOTSUPP;
}

void
wire_get_stats(const void *priv, struct wire_stats *out)
{
	const struct wire_queue *q = &((const struct wire *)priv)->q;

	*out = (struct wire_stats){
		.rx_no_mbuf = q->rx_no_mbuf,
		.tx_link_drops = q->tx_link_drops,
		.tx_size_drops = q->tx_size_drops,
		.tx_full = q->tx_full,
	};
}

const struct port_driver wire_driver = {
	.name = "wire",
	.open = wire_open,
	.queue_setup = wire_queue_setup,
	.start = wire_start,
	.queue_get = wire_queue_get,
	.close = wire_close,
	.link = wire_link,
	.service = wire_service,
	.intr_fd = wire_intr_fd,
	.intr_arm = wire_intr_arm,
};
