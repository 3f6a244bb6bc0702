/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is asked of a port: rings within its limits, offloads that it says it has and no others, its configuration, and a
 * report of what came of it. Nothing here knows of frames.
 */
#include <errno.h>
#include <string.h>

#include <rte_eal.h>

#include "ethdev/priv.h"

#define RX_CSUM (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

/* Rounds a wish up to what the port can do. 0 (a one-way stack) becomes the smallest: PMDs want both rings. */
static int
ring_size(const struct ethdev_port *p, const char *attr, uint32_t wish, const struct rte_eth_desc_lim *lim,
	  uint16_t *out)
{
	uint32_t max = lim->nb_max != 0 ? lim->nb_max : UINT16_MAX;
	uint32_t align = lim->nb_align != 0 ? lim->nb_align : 1;
	uint32_t n = ZF_MAX(ZF_MAX(wish, (uint32_t)lim->nb_min), 64u);

	if (wish > max) {
		zf_err(p->host->log, LC_CPLANE, "attribute %s=%u is refused: the port's maximum is %u", attr, wish, max);
		return -EINVAL;
	}
	n = (n + align - 1) / align * align;
	*out = (uint16_t)ZF_MIN(n, max);
	return 0;
}

static uint32_t
caps_of(const struct rte_eth_dev_info *info)
{
	uint32_t caps = ethdev_quirks(info->driver_name);

	if ((info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0)
		caps &= ~(uint32_t)PORT_TX_MULTISEG;
	if ((info->rx_offload_capa & RX_CSUM) == RX_CSUM)
		caps |= PORT_CSUM_RX;
	if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		caps |= PORT_CSUM_TX_IP;
	if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
		caps |= PORT_CSUM_TX_UDP;
	if (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
		caps |= PORT_CSUM_TX_TCP;
	return caps;
}

static void
conf_fill(struct ethdev_port *p, const struct rte_eth_dev_info *info)
{
	uint32_t flags = info->dev_flags != NULL ? *info->dev_flags : 0;
	struct rte_eth_conf *c = &p->conf;

	if (p->caps & PORT_CSUM_RX)
		c->rxmode.offloads |= RX_CSUM;
	if (p->caps & PORT_CSUM_TX_IP)
		c->txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	if (p->caps & PORT_CSUM_TX_UDP)
		c->txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if (p->caps & PORT_CSUM_TX_TCP)
		c->txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	if (p->caps & PORT_TX_MULTISEG)
		c->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	p->lsc = (flags & RTE_ETH_DEV_INTR_LSC) != 0;
	c->intr_conf.lsc = p->lsc;
	c->intr_conf.rxq = 1; /* for waitable descriptors; off until one is armed */
	c->intr_conf.rmv = (flags & RTE_ETH_DEV_INTR_RMV) != 0;
}

int
ethdev_conf_init(struct ethdev_port *p, const struct port_open_args *args, const struct rte_eth_dev_info *dev)
{
	uint16_t most = ZF_MIN(ZF_MIN(dev->max_rx_queues, dev->max_tx_queues), (uint16_t)ETHDEV_QUEUES);
	int rc;

	p->caps = caps_of(dev) | PORT_RX_INTR_STAYS;
	p->mac_of_peer = (p->caps & QUIRK_MAC_OF_PEER) != 0;
	if (p->caps & QUIRK_ONE_QUEUE)
		most = 1;
	p->caps &= ~(QUIRK_MAC_OF_PEER | QUIRK_ONE_QUEUE);
	p->queues = ZF_MAX(ZF_MIN(args->queues, most), (uint16_t)1);
	conf_fill(p, dev);
	rc = ring_size(p, "rx_ring_max", args->rx_ring, &dev->rx_desc_lim, &p->rx_desc);
	if (rc == 0)
		rc = ring_size(p, "tx_ring_max", args->tx_ring, &dev->tx_desc_lim, &p->tx_desc);
	return rc;
}

/* DPDK's own lines are folded into ours. */
int
ethdev_configure(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];
	int rc;

	dpdklog_begin();
	rc = rte_eth_dev_configure(p->port_id, p->queues, p->queues, &p->conf);
	if (rc < 0 && rc != -EBUSY && p->conf.intr_conf.rxq) { /* a port without them may refuse the wish */
		p->conf.intr_conf.rxq = 0;
		rc = rte_eth_dev_configure(p->port_id, p->queues, p->queues, &p->conf);
	}
	dpdklog_end(said);
	if (rc < 0)
		zf_err(p->host->log, LC_CPLANE, "interface %s: the port cannot be configured (error %d%s); %s",
		       p->spec, rc, said,
		       rc == -EBUSY ? "the application has started it: leave it stopped"
				    : "use another port or driver");
	return rc == 0 || rc == -EBUSY || rc == -ENOMEM ? rc : -ENODEV;
}

/* The firmware's own words end in its datapath ids for EF10: rx1 tx1 is the low-latency variant, rx0 tx0 the full-feature
 * one.
 */
static void
firmware_report(const struct ethdev_port *p)
{
	char fw[128] = "";

	if (rte_eth_dev_fw_version_get(p->port_id, fw, sizeof(fw)) != 0 || fw[0] == '\0')
		return;
	zf_info(p->host->log, LC_CPLANE, "interface %s: firmware %s", p->spec, fw);
	if (strncmp(p->driver, "net_sfc", 7) == 0 && strstr(fw, " rx0 ") != NULL)
		zf_info(p->host->log, LC_CPLANE,
			"interface %s: the adapter runs the full-feature firmware; the low-latency variant answers sooner: "
			"sfboot firmware-variant=ultra-low-latency, then a cold restart (no virtual functions with it)",
			p->spec);
}

void
ethdev_report(const struct ethdev_port *p, const struct rte_eth_dev_info *dev)
{
	const struct zf_log *log = p->host->log;
	uint32_t c = p->caps;

	zf_info(log, LC_CPLANE,
		"interface %s: %s, profile %s, %u queue pairs, rings of %u and %u, MTU limit %u; received checksums %s; sent "
		"ones: IP %s, UDP %s, TCP %s; chains %s; filters %s",
		p->spec, p->driver, p->profile[0] != '\0' ? p->profile : "none", p->queues, p->rx_desc, p->tx_desc,
		dev->max_mtu, c & PORT_CSUM_RX ? "by the port" : "by the stack", c & PORT_CSUM_TX_IP ? "port" : "stack",
		c & PORT_CSUM_TX_UDP ? "port" : "stack", c & PORT_CSUM_TX_TCP ? "port" : "stack",
		c & PORT_TX_MULTISEG ? "yes" : "no",
		(c & PORT_FLOW) == 0 ? "none: its stacks share a queue"
				     : p->form == FORM_EXACT ? "with address and tag" : "without address and tag");
	firmware_report(p);
	if (p->probed && p->profile[0] != '\0' && !rte_eal_has_hugepages())
		zf_info(log, LC_CPLANE,
			"interface %s: EAL runs without hugepages: reserve some (dpdk-hugepages.py --setup 1G) for an adapter, "
			"which needs an IOMMU without them",
			p->spec);
}
