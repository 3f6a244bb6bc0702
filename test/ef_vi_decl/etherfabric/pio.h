/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: PIO buffers.
 */
#ifndef ZF_TEST_DECL_PIO_H
#define ZF_TEST_DECL_PIO_H

#include "ef_vi.h"
#include "pd.h"

typedef struct ef_pio {
	void *opaque[8];
} ef_pio;

int ef_pio_alloc(ef_pio *pio, ef_driver_handle dh, ef_pd *pd, unsigned len_hint, ef_driver_handle pd_dh);
int ef_pio_free(ef_pio *pio, ef_driver_handle dh);
int ef_pio_link_vi(ef_pio *pio, ef_driver_handle dh, ef_vi *vi, ef_driver_handle vi_dh);
int ef_pio_unlink_vi(ef_pio *pio, ef_driver_handle dh, ef_vi *vi, ef_driver_handle vi_dh);

#endif
