/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver for any DPDK port, as the table of drivers sees it. rte_ethdev.h stays in this folder.
 *
 * Names that open() takes: the name of an existing ethdev port; a PCI address or net_... device, with devargs after a
 * comma.
 */
#ifndef ZF_ETHDEV_ETHDEV_H
#define ZF_ETHDEV_ETHDEV_H

#include "core/port.h"

extern const struct port_driver ethdev_driver;

/* Is there an ethdev port of that name? EAL must be up. */
bool ethdev_port_exists(const char *name);

#endif
