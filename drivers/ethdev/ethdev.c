/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Any DPDK port behind the driver line. The burst functions are the PMD's own, taken from rte_eth_fp_ops after each
 * start, so nothing of this file is on the path of a packet.
 *
 * Not here, and so not claimed among the capabilities: hardware time stamps, segmentation offload.
 */
#include "ethdev/ethdev.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/attr.h"
#include "core/pool.h"
#include "ethdev/priv.h"

/* How often to look at the link of a port that does not report changes. */
#define LINK_LOOK_NS 500000000u

/* Frames beyond this are not sent or asked for: one segment of a default mbuf holds them with VLAN tag. */
#define MTU_MAX 1500u

static uint16_t
no_burst(void *queue ZF_UNUSED, struct rte_mbuf **pkts ZF_UNUSED, uint16_t n ZF_UNUSED)
{
	return 0;
}

static int
fail(const struct ethdev_port *p, int rc, const char *what, const char *remedy)
{
	zf_err(p->host->log, LC_CPLANE, "interface %s: %s (error %d: %s); %s", p->spec, what, rc, strerror(-rc),
	       remedy);
	return rc == -EBUSY || rc == -ENOMEM || rc == -EPERM || rc == -EACCES || rc == -EINVAL ? rc : -ENODEV;
}

/* On a thread of EAL's, any time while registered: one word, and out. */
static int
on_event(uint16_t port_id ZF_UNUSED, enum rte_eth_event_type type, void *arg, void *ret ZF_UNUSED)
{
	struct ethdev_port *p = arg;
	uint32_t events = PORT_EV_LINK;

	if (type == RTE_ETH_EVENT_INTR_RESET) {
		atomic_store(&p->reset_due, true);
		events = PORT_EV_RESET;
	} else if (type == RTE_ETH_EVENT_INTR_RMV) {
		atomic_store(&p->gone, true);
		events = PORT_EV_REMOVED;
	}
	p->host->event(p->host->opaque, events);
	return 0;
}

static const enum rte_eth_event_type event_types[] = {RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_INTR_RESET,
						      RTE_ETH_EVENT_INTR_RMV};

static int
events_register(struct ethdev_port *p)
{
	int rc = 0;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(event_types) && rc == 0; i++)
		rc = rte_eth_dev_callback_register(p->port_id, event_types[i], on_event, p);
	return rc;
}

static void
events_unregister(struct ethdev_port *p)
{
	for (size_t i = 0; i < ZF_ARRAY_SIZE(event_types); i++) {
		int tries = 1000000;

		/* -EAGAIN: it is being called just now. It does next to nothing, so it is soon over. */
		while (rte_eth_dev_callback_unregister(p->port_id, event_types[i], on_event, p) == -EAGAIN &&
		       --tries > 0)
			sched_yield();
	}
}

/* A port without an address of its own (net_ring, net_tap) gets one: random, locally administered. */
static int
mac_get(const struct ethdev_port *p, uint8_t mac[6])
{
	struct rte_ether_addr a;

	if (!p->mac_of_peer && rte_eth_macaddr_get(p->port_id, &a) == 0 && !rte_is_zero_ether_addr(&a)) {
		memcpy(mac, a.addr_bytes, 6);
		return 0;
	}
	if (getrandom(mac, 6, 0) != 6)
		return -ENODEV;
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
	return 0;
}

static uint16_t
mtu_get(const struct ethdev_port *p)
{
	uint16_t mtu = MTU_MAX;

	if (rte_eth_dev_get_mtu(p->port_id, &mtu) < 0 || mtu > MTU_MAX)
		mtu = MTU_MAX;
	return mtu;
}

static int
info_fill(struct ethdev_port *p, const struct rte_eth_dev_info *dev, struct port_info *info)
{
	int rc = mac_get(p, info->mac);

	if (rc < 0)
		return fail(p, rc, "the port has no MAC address", "use another port");
	memcpy(info->driver, p->driver, sizeof(info->driver));
	memcpy(p->mac, info->mac, 6);
	info->mtu = mtu_get(p);
	info->queues = p->queues;
	info->rx_headroom = ethdev_rx_extra(dev->driver_name);
	if (dev->min_rx_bufsize > RTE_MBUF_DEFAULT_DATAROOM && dev->min_rx_bufsize < UINT16_MAX - RTE_PKTMBUF_HEADROOM)
		info->buf_bytes = RTE_PKTMBUF_HEADROOM + dev->min_rx_bufsize;
	info->caps = p->caps;
	info->rx_ring = p->rx_desc;
	info->tx_ring = p->tx_desc;
	info->tx_offloads = p->caps & PORT_CSUM_TX_IP ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : 0;
	info->socket_id = rte_eth_dev_socket_id(p->port_id);
	info->if_index = (int)dev->if_index;
	if (info->if_index != 0)
		if_indextoname((unsigned int)info->if_index, info->if_name);
	return 0;
}

/* The port exists and is ours. */
static int
open_port(struct ethdev_port *p, const struct port_open_args *args, struct port_info *info)
{
	struct rte_eth_dev_info dev;
	int rc = rte_eth_dev_info_get(p->port_id, &dev);

	if (rc < 0)
		return fail(p, rc, "the port does not describe itself", "use another port");
	snprintf(p->driver, sizeof(p->driver), "%s", dev.driver_name != NULL ? dev.driver_name : "?");
	rc = ethdev_conf_init(p, args, &dev);
	if (rc == 0)
		rc = ethdev_configure(p);
	/* Only a configured port can be asked. One that does not steer would spread its frames over the queues. */
	if (rc == 0 && p->queues > 1) {
		if (ethdev_flow_probe(p)) {
			p->caps |= PORT_FLOW;
		} else {
			p->queues = 1;
			rc = ethdev_configure(p);
		}
	}
	if (rc == 0)
		rc = info_fill(p, &dev, info);
	if (rc == 0)
		ethdev_report(p, &dev);
	return rc;
}

static int
ethdev_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	struct port_info filled = {0};
	struct ethdev_port *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL) {
		zf_err(args->host->log, LC_CPLANE, "interface %s: out of memory", args->name);
		return -ENOMEM;
	}
	p->host = args->host;
	p->intr_ep = -1;
	p->recovers = args->attr->tx_error_recovery != 0;
	snprintf(p->spec, sizeof(p->spec), "%s", args->name);
	rc = ethdev_probe(p, args->name);
	if (rc == 0) {
		rc = open_port(p, args, &filled);
		if (rc < 0)
			ethdev_unprobe(p);
	}
	if (rc < 0) {
		free(p);
		return rc;
	}
	*info = filled;
	*priv = p;
	return 0;
}

static int
queue_setup(struct ethdev_port *p, uint16_t qid)
{
	const char *what = "receive queue";
	char said[DPDKLOG_MAX];
	int socket = rte_eth_dev_socket_id(p->port_id);
	int rc;

	dpdklog_begin();
	rc = rte_eth_rx_queue_setup(p->port_id, qid, p->rx_desc, (unsigned int)socket, NULL, p->mp[qid]);
	if (rc == 0) {
		what = "transmit queue";
		rc = rte_eth_tx_queue_setup(p->port_id, qid, p->tx_desc, (unsigned int)socket, NULL);
	}
	dpdklog_end(said);
	if (rc < 0)
		zf_err(p->host->log, LC_CPLANE,
		       "interface %s: no %s %u (error %d%s); try other rx_ring_max and tx_ring_max, or fewer port_queues",
		       p->spec, what, qid, rc, said);
	return rc == 0 || rc == -ENOMEM || rc == -EINVAL ? rc : -ENODEV;
}

static int
ethdev_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct ethdev_port *p = priv;

	if (qid >= p->queues)
		return fail(p, -EINVAL, "there are fewer queues", "open another port for the next stack");
	p->mp[qid] = pool->mp;
	return queue_setup(p, qid);
}

static int
port_start(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];
	int rc;

	dpdklog_begin();
	rc = rte_eth_dev_start(p->port_id);
	dpdklog_end(said);
	if (rc < 0)
		zf_err(p->host->log, LC_CPLANE,
		       "interface %s: the port does not start (error %d%s); is its cable, peer or interface there?",
		       p->spec, rc, said);
	p->started = rc == 0;
	return rc == 0 || rc == -ENOMEM || rc == -EBUSY || rc == -EACCES ? rc : -ENODEV;
}

static int
ethdev_start(void *priv)
{
	struct ethdev_port *p = priv;
	int rc = port_start(p);

	if (rc < 0)
		return rc;
	rc = events_register(p);
	if (rc < 0)
		return fail(p, rc, "its events cannot be listened to", "use another port");
	/* The first look comes by itself, to set the clock of the others going. */
	p->seen = PORT_LINK_DOWN;
	p->host->event(p->host->opaque, PORT_EV_LINK | (p->lsc ? 0 : PORT_EV_SERVICE));
	return 0;
}

static void
ethdev_queue_get(void *priv, uint16_t qid, struct port_queue *out)
{
	const struct ethdev_port *p = priv;
	const struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[p->port_id];

	*out = (struct port_queue){.rx = no_burst, .tx = no_burst};
	if (!p->started || qid >= p->queues)
		return;
	out->rx = ops->rx_pkt_burst;
	out->tx = ops->tx_pkt_burst;
	out->rxq = ops->rxq.data[qid];
	out->txq = ops->txq.data[qid];
}

/* Frames that are still on their way back to us hold buffers of our pool (net_ring with itself). */
static void
drain(struct ethdev_port *p)
{
	struct rte_mbuf *pkts[32];
	uint16_t n = 1;

	if (!p->started || (p->caps & PORT_TX_PASSES_MBUF) == 0)
		return;
	for (int i = 0; i < 4096 && n > 0; i++) {
		n = rte_eth_rx_burst(p->port_id, 0, pkts, ZF_ARRAY_SIZE(pkts));
		rte_pktmbuf_free_bulk(pkts, n);
	}
}

static void
port_stop(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];

	ethdev_intr_stop(p);
	drain(p);
	dpdklog_begin();
	rte_eth_dev_stop(p->port_id);
	dpdklog_end(said);
	p->started = false;
}

static void
ethdev_close(void *priv)
{
	struct ethdev_port *p = priv;

	events_unregister(p);
	ethdev_flow_forget(p);
	port_stop(p);
	ethdev_intr_fini(p);
	ethdev_unprobe(p);
	free(p);
}

static enum port_link
ethdev_link(void *priv)
{
	struct ethdev_port *p = priv;
	struct rte_eth_link link = {0};

	if (atomic_load(&p->gone))
		return PORT_LINK_GONE;
	if (!p->started)
		return PORT_LINK_DOWN;
	if (rte_eth_link_get_nowait(p->port_id, &link) < 0)
		return PORT_LINK_DOWN;
	return link.link_status == RTE_ETH_LINK_UP ? PORT_LINK_UP : PORT_LINK_DOWN;
}

/* What the PMD asked for: everything from the start, on the same pool. */
static void
port_reset(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];
	int rc;

	ethdev_flow_forget(p);
	port_stop(p);
	if (!p->recovers) {
		zf_err(p->host->log, LC_CPLANE,
		       "interface %s: the port asks for a reset and tx_error_recovery is 0: it stays down", p->spec);
		return;
	}
	dpdklog_begin();
	rc = rte_eth_dev_reset(p->port_id);
	dpdklog_end(said);
	if (rc < 0)
		zf_err(p->host->log, LC_CPLANE,
		       "interface %s: the port asked for a reset, which fails (error %d%s); make a new stack", p->spec, rc,
		       said);
	if (rc == 0)
		rc = ethdev_configure(p);
	for (uint16_t i = 0; i < p->queues && rc == 0; i++)
		rc = queue_setup(p, i);
	if (rc == 0)
		rc = port_start(p);
	if (rc < 0)
		atomic_store(&p->gone, true);
}

static uint64_t
ethdev_service(void *priv, uint64_t now_ns)
{
	struct ethdev_port *p = priv;
	enum port_link link;

	if (atomic_exchange(&p->reset_due, false)) {
		port_reset(p);
		p->host->event(p->host->opaque, PORT_EV_LINK);
	}
	if (p->lsc)
		return UINT64_MAX;
	if (now_ns >= p->next_look_ns) {
		p->next_look_ns = now_ns + LINK_LOOK_NS;
		link = ethdev_link(p);
		if (link != p->seen)
			p->host->event(p->host->opaque,
				       link == PORT_LINK_GONE ? PORT_EV_LINK | PORT_EV_REMOVED : PORT_EV_LINK);
		p->seen = link;
	}
	return p->next_look_ns;
}

/* From the narrowest filter that the port has to none at all; a port without any receives everything. */
static int
ethdev_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n)
{
	struct ethdev_port *p = priv;
	char said[DPDKLOG_MAX];
	int rc;

	dpdklog_begin();
	rc = rte_eth_dev_set_mc_addr_list(p->port_id, (struct rte_ether_addr *)(uintptr_t)macs, n);
	if (rc == 0 && p->allmulti)
		p->allmulti = rte_eth_allmulticast_disable(p->port_id) < 0;
	if (rc < 0 && n > 0) {
		p->allmulti = rte_eth_allmulticast_enable(p->port_id) == 0;
		if (!p->allmulti)
			rte_eth_promiscuous_enable(p->port_id);
	}
	dpdklog_end(said);
	return 0;
}

const struct port_driver ethdev_driver = {
	.name = "ethdev",
	.open = ethdev_open,
	.queue_setup = ethdev_queue_setup,
	.start = ethdev_start,
	.queue_get = ethdev_queue_get,
	.close = ethdev_close,
	.link = ethdev_link,
	.service = ethdev_service,
	.mc_list = ethdev_mc_list,
	.filter_add = ethdev_filter_add,
	.filter_del = ethdev_filter_del,
	.intr_fd = ethdev_intr_fd,
	.intr_arm = ethdev_intr_arm,
};
