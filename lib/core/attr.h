/* SPDX-License-Identifier: BSD-3-Clause
 *
 * struct zf_attr from the inside: one field for each line of attr.def, read directly (`a->n_bufs`). Written only by
 * attr.c. This file does not know what an attribute is good for, except for the range that zf_stack_alloc() accepts.
 */
#ifndef ZF_CORE_ATTR_H
#define ZF_CORE_ATTR_H

#include <stdatomic.h>
#include <zf/attr.h>

#include "base/compiler.h"
#include "base/log.h"

#define ATTR_NAME_MAX 20 /* characters of attribute `name` */

struct zf_attr {
	/* Integers are within 32 bits with sign, bitmasks use all 64; strings are NULL for "no value". */
#define ATTR_INT(name, status, dflt, min, max, objects, test, doc)                 int64_t name;
#define ATTR_SYSCTL(name, status, dflt, file, scale, min, max, objects, test, doc) int64_t name;
#define ATTR_BITMASK(name, status, dflt, objects, test, doc)                       int64_t name;
#define ATTR_STR(name, status, dflt, objects, test, doc)                           char *name;
#include "core/attr.def"
#undef ATTR_INT
#undef ATTR_SYSCTL
#undef ATTR_BITMASK
#undef ATTR_STR

	/* What zf_attr_alloc() gave, shared by an object and its copies and never changed: zf_attr_reset() needs no
	 * memory. NULL in that object itself. A string field equal to initial's own pointer belongs to initial.
	 */
	struct zf_attr *initial;
	atomic_uint refs; /* in the shared object only */
};

/**
 * Is every attribute within the range that zf_stack_alloc() accepts? 0, or -EINVAL after one line on @l with name,
 * value and range. Judges single values, and pairs where one makes no sense without the other.
 */
int attr_check_stack(const struct zf_attr *a, const struct zf_log *l);

/**
 * Applies a text with the grammar of ZF_ATTR to @a. 0, or -EINVAL after one line on @l, or -ENOMEM; after a failure
 * @a holds some of the definitions. A repeated attribute is warned of. NULL is an empty text.
 */
int attr_apply_text(struct zf_attr *a, const char *text, const struct zf_log *l);

/* Text to integer with ZF_ATTR's syntax: 0, -EINVAL, or -EOVERFLOW beyond 64 bits (0x... may use the sign bit). */
int attr_parse_int(const char *text, int64_t *val);

#if defined(ZF_TEST) && ZF_TEST
/* Tests: the folder of the sysctl files, and the allocation that is to fail (counted down, 0 = the next; -1 none). */
extern const char *attr_sysctl_dir;
extern int attr_fail_alloc;
#endif

#endif
