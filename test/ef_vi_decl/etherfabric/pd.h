/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: protection domains.
 */
#ifndef ZF_TEST_DECL_PD_H
#define ZF_TEST_DECL_PD_H

#include "base.h"

typedef struct ef_pd {
	void *opaque[8];
} ef_pd;

enum ef_pd_flags {
	EF_PD_DEFAULT = 0,
};

int ef_pd_alloc_by_name(ef_pd *pd, ef_driver_handle dh, const char *name, enum ef_pd_flags flags);
int ef_pd_free(ef_pd *pd, ef_driver_handle dh);

#endif
