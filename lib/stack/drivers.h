/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The drivers of this library, in one generated table: constructors would be dropped from a static archive.
 */
#ifndef ZF_STACK_DRIVERS_H
#define ZF_STACK_DRIVERS_H

#include "core/port.h"

/* By name ("wire", "ethdev" ...); NULL when it was not built. */
const struct port_driver *drivers_find(const char *name);

/* Is there an ethdev port of this name? */
bool drivers_port_exists(const char *name);

#endif
