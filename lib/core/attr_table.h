/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of the attribute system (attr.c, attr_table.c, attr_check.c) only: the table made of attr.def and
 * the setters by descriptor. Others include core/attr.h.
 */
#ifndef ZF_CORE_ATTR_TABLE_H
#define ZF_CORE_ATTR_TABLE_H

#include "core/attr.h"

enum attr_type {
	TYPE_INT,
	TYPE_BITMASK,
	TYPE_STR,
};

struct attr_desc {
	const char *name;
	const char *status;
	const char *dflt_text;
	const char *objects;
	const char *doc;
	const char *dflt_str;
	const char *sysctl; /* file that the default comes from, or NULL */
	int64_t dflt;       /* or where the sysctl cannot be read */
	int64_t scale;      /* of the sysctl's number */
	int64_t min, max;   /* accepted by zf_stack_alloc() */
	size_t offset;
	enum attr_type type;
};

extern const struct attr_desc attr_table[];
extern const size_t attr_table_len;

/* By name of @len characters in any case, or NULL. */
const struct attr_desc *attr_find_n(const char *name, size_t len);

/* The same allocation calls for all, so that a test can fail any of them. */
bool attr_alloc_fails(void);
void *attr_calloc(size_t n, size_t size);

static inline int64_t *
attr_int_field(const struct zf_attr *a, const struct attr_desc *d)
{
	return (int64_t *)((char *)(uintptr_t)a + d->offset);
}

static inline char **
attr_str_field(const struct zf_attr *a, const struct attr_desc *d)
{
	return (char **)((char *)(uintptr_t)a + d->offset);
}

/* The string of @a if it is its own, else NULL: what it shares with initial is not @a's to free. */
char *attr_str_own(const struct zf_attr *a, const struct attr_desc *d);

/* Replaces a string; @s becomes @a's (or is initial's own). */
void attr_put_str(struct zf_attr *a, const struct attr_desc *d, char *s);

/* 0, -EINVAL (attribute `name` only), -ENOMEM. */
int attr_set_str_n(struct zf_attr *a, const struct attr_desc *d, const char *val, size_t len);

/* 0 or -EOVERFLOW. */
int attr_set_int(struct zf_attr *a, const struct attr_desc *d, int64_t val);

/* From text of @len characters: 0, -EINVAL, -EOVERFLOW, -ENOMEM. */
int attr_set_text_n(struct zf_attr *a, const struct attr_desc *d, const char *val, size_t len);

/* The default, or the sysctl it comes from. @a's field must be empty. 0 or -ENOMEM. */
int attr_set_default(struct zf_attr *a, const struct attr_desc *d);

#endif
