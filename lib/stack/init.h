/* SPDX-License-Identifier: BSD-3-Clause
 *
 * State of the library in this process.
 */
#ifndef ZF_STACK_INIT_H
#define ZF_STACK_INIT_H

#include <stdbool.h>

bool init_done(void);

#endif
