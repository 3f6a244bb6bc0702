/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared-memory wires, a driver of core/port.h:
 *   wire:loop             a stack that hears itself
 *   wire:NAME/a  …/b      two stacks of one process
 *   wire:PATH             two processes; PATH starts with / or .
 */
#ifndef ZF_WIRE_WIRE_H
#define ZF_WIRE_WIRE_H

#include "core/port.h"

extern const struct port_driver wire_driver;

/* What went wrong on a port since it was opened. By the thread of its queue. */
struct wire_stats {
	uint64_t rx_no_mbuf;    /* polls that left frames in the ring because the pool was empty */
	uint64_t tx_link_drops; /* frames accepted and dropped because the link was down */
	uint64_t tx_size_drops; /* frames longer than a slot */
	uint64_t tx_full;       /* bursts that the full ring cut short */
};
void wire_get_stats(const void *priv, struct wire_stats *out);

#endif
