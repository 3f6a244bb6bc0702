/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The back end for hardware. There when the library was built with -Def_vi=enabled.
 */
#ifndef ZF_EF_VI_REAL_H
#define ZF_EF_VI_REAL_H

#include "ef_vi/ef_vi.h"

#ifndef EFVI_HAVE_REAL
#define EFVI_HAVE_REAL 0
#endif

extern const struct efvi_ops efvi_real_ops;
extern const struct efvi_hot efvi_real_hot;

#endif
