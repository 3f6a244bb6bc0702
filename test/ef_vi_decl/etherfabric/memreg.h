/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: registered memory.
 */
#ifndef ZF_TEST_DECL_MEMREG_H
#define ZF_TEST_DECL_MEMREG_H

#include "pd.h"

typedef struct ef_memreg {
	void *opaque[4];
} ef_memreg;

int ef_memreg_alloc(ef_memreg *mr, ef_driver_handle dh, ef_pd *pd, ef_driver_handle pd_dh, void *mem, size_t len);
int ef_memreg_free(ef_memreg *mr, ef_driver_handle dh);
ef_addr ef_memreg_dma_addr(ef_memreg *mr, size_t offset);

#endif
