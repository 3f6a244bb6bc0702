/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between drv.c, side.c and burst.c: what makes a port driver of the model.
 */
#ifndef ZF_SOFTVI_DRV_H
#define ZF_SOFTVI_DRV_H

#include "ef_vi/ef_vi.h"
#include "softvi/softvi.h"

extern const struct efvi_hot softvi_hot;
extern const struct port_driver softvi_side_driver;

#endif
