/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ef_vi's frames over the model: the driver's template, with the model's calls.
 */
#include "softvi/drv.h"

#define EFVI_CALL(name) softvi_##name
#define EFVI_HOT_TABLE  softvi_hot
#include "ef_vi/hot.inc"
