/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: handles.
 */
#ifndef ZF_TEST_DECL_BASE_H
#define ZF_TEST_DECL_BASE_H

#include <stddef.h>
#include <stdint.h>

typedef int ef_driver_handle;
typedef uint64_t ef_addr;
typedef int ef_request_id;

int ef_driver_open(ef_driver_handle *dh);
int ef_driver_close(ef_driver_handle dh);

#endif
