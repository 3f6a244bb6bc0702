/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receive interrupts of the common queue, as a descriptor that a stack can sleep on. A port may exchange its own
 * descriptors (vhost does when a peer comes), and tells the epoll descriptor that it was given: so what the stack watches
 * is an epoll descriptor of ours, and the port's hang on that.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ethdev/priv.h"

/* rte_eth_dev_configure() accepts intr_conf.rxq from ports that have no interrupts: only this tells. */
static bool
hang_on(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];

	if (!p->intr_on && p->started && p->conf.intr_conf.rxq) {
		dpdklog_begin();
		p->intr_on = rte_eth_dev_rx_intr_ctl_q(p->port_id, 0, p->intr_ep, RTE_INTR_EVENT_ADD, NULL) == 0;
		dpdklog_end(said);
	}
	return p->intr_on;
}

int
ethdev_intr_fd(void *priv, uint16_t qid)
{
	struct ethdev_port *p = priv;

	if (qid != 0 || !p->conf.intr_conf.rxq)
		return -1;
	if (p->intr_ep < 0)
		p->intr_ep = epoll_create1(EPOLL_CLOEXEC);
	return p->intr_ep;
}

/* Asked at each sleep, since a port may have interrupts only while a peer is there. */
int
ethdev_intr_arm(void *priv, uint16_t qid, bool on)
{
	struct ethdev_port *p = priv;
	char said[DPDKLOG_MAX];
	int rc;

	if (qid != 0 || p->intr_ep < 0 || !hang_on(p))
		return -EOPNOTSUPP;
	dpdklog_begin();
	rc = on ? rte_eth_dev_rx_intr_enable(p->port_id, 0) : rte_eth_dev_rx_intr_disable(p->port_id, 0);
	dpdklog_end(said);
	return rc == 0 ? 0 : -EOPNOTSUPP;
}

/* The port stops: its descriptors go. */
void
ethdev_intr_stop(struct ethdev_port *p)
{
	char said[DPDKLOG_MAX];

	if (!p->intr_on)
		return;
	dpdklog_begin();
	(void)rte_eth_dev_rx_intr_disable(p->port_id, 0);
	(void)rte_eth_dev_rx_intr_ctl_q(p->port_id, 0, p->intr_ep, RTE_INTR_EVENT_DEL, NULL);
	dpdklog_end(said);
	p->intr_on = false;
}

void
ethdev_intr_fini(struct ethdev_port *p)
{
	ethdev_intr_stop(p);
	if (p->intr_ep >= 0)
		close(p->intr_ep);
	p->intr_ep = -1;
}
