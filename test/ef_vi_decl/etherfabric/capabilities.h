/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: what an adapter can do. The values are made up.
 */
#ifndef ZF_TEST_DECL_CAPABILITIES_H
#define ZF_TEST_DECL_CAPABILITIES_H

#include "base.h"

enum ef_vi_capability {
	EF_VI_CAP_PIO,
	EF_VI_CAP_PIO_BUFFER_SIZE,
	EF_VI_CAP_CTPIO,
	EF_VI_CAP_TX_ALTERNATIVES,
	EF_VI_CAP_TX_ALTERNATIVES_VFIFOS,
	EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFERS,
	EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFER_SIZE,
};

int ef_vi_capabilities_get(ef_driver_handle dh, int ifindex, enum ef_vi_capability cap, unsigned long *value);

#endif
