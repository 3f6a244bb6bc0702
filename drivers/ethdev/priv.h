/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of drivers/ethdev: ethdev.c (the table's calls), probe.c (from a name to a port id), quirk.c (what
 * drivers do not say of themselves), dpdklog.c (what DPDK says when it refuses).
 */
#ifndef ZF_ETHDEV_PRIV_H
#define ZF_ETHDEV_PRIV_H

#include <stdatomic.h>

#include <rte_ethdev.h>

#include "ethdev/ethdev.h"

struct ethdev_port {
	uint16_t port_id;
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
	uint64_t owner;
	struct rte_eth_conf conf;
	struct rte_mempool *mp; /* of queue 0 */
	const struct port_host *host;
	char spec[64]; /* for log lines: the name, perhaps cut */
};

/* probe.c: fills port_id, probed, owner. @spec: "NAME[,devargs]". 0, or one logged line and a code of port.h. */
int ethdev_probe(struct ethdev_port *p, const char *spec);
/* Undoes it: the port is stopped, and closed if it was ours. */
void ethdev_unprobe(struct ethdev_port *p);
/* Devargs for a PCI device given without: by its ids, "" for none. */
const char *ethdev_profile(uint16_t vendor, uint16_t device);

/* quirk.c: the capabilities that DPDK does not report, by name of the PMD; and one for this folder alone: the MAC
 * address of the port is that of the other end too.
 */
#define QUIRK_MAC_OF_PEER (1u << 31)
uint32_t ethdev_quirks(const char *driver_name);

/* dpdklog.c: between the two DPDK's log lines are kept, not printed. end gives the first as "" or ": TEXT". A second
 * thread waits in begin.
 */
#define DPDKLOG_MAX 256
void dpdklog_begin(void);
void dpdklog_end(char said[DPDKLOG_MAX]);

#endif
