/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of drivers/ethdev: ethdev.c (the table's calls), conf.c (what is asked of a port), probe.c (from a name
 * to a port id), profile.c (arguments of a PCI device), flow.c (filters), intr.c (receive interrupts), quirk.c (what
 * drivers do not say of themselves), dpdklog.c (what DPDK says when it refuses).
 */
#ifndef ZF_ETHDEV_PRIV_H
#define ZF_ETHDEV_PRIV_H

#include <stdatomic.h>

#include <rte_ethdev.h>

#include "ethdev/ethdev.h"

/* Forms of a flow rule, from the most exact on; see flow.c. */
enum ethdev_form {
	FORM_EXACT,
	FORM_PLAIN,
	FORM__N
};

/* More than stacks on a port. */
#define ETHDEV_QUEUES 80

struct ethdev_port {
	uint16_t port_id;
	uint16_t queues;
	bool probed;  /* made by us: removed at close. Else it was there before and stays. */
	bool started; /* rx and tx may be called */
	bool lsc;     /* the PMD reports link changes; else service() looks */
	bool recovers; /* attribute tx_error_recovery */
	bool mac_of_peer; /* see QUIRK_MAC_OF_PEER */
	bool allmulti; /* switched on by us */
	_Atomic bool reset_due; /* set by the callback, taken by service() */
	_Atomic bool gone;      /* removed, or could not be restarted */
	enum port_link seen; /* by service() */
	uint64_t next_look_ns;
	uint16_t rx_desc, tx_desc;
	uint32_t caps;
	uint8_t mac[6];
	enum ethdev_form form; /* the first that the port has not refused */
	uint64_t flow_era;     /* one more with each reset, which takes all rules */
	int intr_ep;           /* epoll descriptor, -1 before somebody wants to sleep */
	bool intr_on;          /* the port's descriptor hangs on it */
	uint64_t owner;
	struct rte_eth_conf conf;
	struct rte_mempool *mp[ETHDEV_QUEUES]; /* by queue */
	const struct port_host *host;
	char driver[32];   /* the PMD's name */
	char profile[160]; /* arguments that we added, "" for none */
	char spec[64]; /* for log lines: the name, perhaps cut */
};

/* probe.c: fills port_id, probed, owner. @spec: "NAME[,devargs]". 0, or one logged line and a code of port.h. */
int ethdev_probe(struct ethdev_port *p, const char *spec);
/* Undoes it: the port is stopped, and closed if it was ours. */
void ethdev_unprobe(struct ethdev_port *p);

/* profile.c: arguments for a PCI device by its ids, "" for none. */
const char *ethdev_profile(uint16_t vendor, uint16_t device);
/* "DEV[,USER][,what of PROFILE the user does not say]". 0, or -EINVAL: longer than @size. */
int ethdev_devargs(const char *dev, const char *user, const char *profile, char *out, size_t size);
/* Do they ask for net_sfc's "simple" transmit datapath? It releases buffers whatever their reference count, so segments
 * that are kept for retransmission would be sent with other contents.
 */
bool ethdev_args_forbidden(const char *args);

/* conf.c: limits, capabilities and offloads of the port as it describes itself, and its configuration with them. */
int ethdev_conf_init(struct ethdev_port *p, const struct port_open_args *args, const struct rte_eth_dev_info *dev);
/* Also the way back from a reset. 0 or -errno with one logged line. */
int ethdev_configure(struct ethdev_port *p);
/* What the port got, and what is missing with its remedy; info level. */
void ethdev_report(const struct ethdev_port *p, const struct rte_eth_dev_info *dev);
/* Bytes that the PMD wants around a frame beyond what DPDK knows. */
uint32_t ethdev_rx_extra(const char *driver_name);

/* flow.c */
int ethdev_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id);
void ethdev_filter_del(void *priv, const struct port_filter_id *id);
/* All rules go. */
void ethdev_flow_forget(struct ethdev_port *p);
/* Can the port, configured as it is, steer to its queues? */
bool ethdev_flow_probe(struct ethdev_port *p);

/* intr.c */
int ethdev_intr_fd(void *priv, uint16_t qid);
int ethdev_intr_arm(void *priv, uint16_t qid, bool on);
void ethdev_intr_stop(struct ethdev_port *p);
void ethdev_intr_fini(struct ethdev_port *p);

/* quirk.c: the capabilities that DPDK does not report, by name of the PMD; and two for this folder alone: the MAC
 * address of the port is that of the other end too, and frames that no rule takes come by any queue, not by the first.
 */
#define QUIRK_MAC_OF_PEER (1u << 31)
#define QUIRK_ONE_QUEUE   (1u << 30)
uint32_t ethdev_quirks(const char *driver_name);

/* dpdklog.c: between the two DPDK's log lines are kept, not printed. end gives the first as "" or ": TEXT". A second
 * thread waits in begin.
 */
#define DPDKLOG_MAX 256
void dpdklog_begin(void);
void dpdklog_end(char said[DPDKLOG_MAX]);

#endif
