/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The attribute calls of the API: objects, copies, reset, set and get by name, documentation. Everything about a
 * single attribute is in attr.def; values and text are attr_table.c's.
 */
#include "core/attr_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
	[TYPE_INT] = "int",
	[TYPE_BITMASK] = "bitmask",
	[TYPE_STR] = "str",
};

static const struct attr_desc *
desc_find(const char *name)
{
	return name != NULL ? attr_find_n(name, strlen(name)) : NULL;
}

static char *
copy_str(const char *s)
{
	return attr_alloc_fails() ? NULL : strdup(s);
}

/* Frees @a's own strings and @a; not what it shares. */
static void
object_free(struct zf_attr *a)
{
	for (size_t i = 0; i < attr_table_len; i++)
		if (attr_table[i].type == TYPE_STR)
			free(attr_str_own(a, &attr_table[i]));
	free(a);
}

static int
initial_make(struct zf_attr **out)
{
	struct zf_attr *a = attr_calloc(1, sizeof(*a));
	int rc = a != NULL ? 0 : -ENOMEM;

	if (a == NULL)
		return rc;
	atomic_init(&a->refs, 0);
	for (size_t i = 0; i < attr_table_len && rc == 0; i++)
		rc = attr_set_default(a, &attr_table[i]);
	/* Not from a less privileged caller's environment: log_file and capture_file would write anywhere. */
	if (rc == 0)
		rc = attr_apply_text(a, secure_getenv("ZF_ATTR"), NULL);
	if (rc < 0) {
		object_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

static void
initial_drop(struct zf_attr *initial)
{
	if (atomic_fetch_sub_explicit(&initial->refs, 1, memory_order_acq_rel) == 1)
		object_free(initial);
}

/* An object that equals @initial and counts as a reference to it. */
static struct zf_attr *
object_make(struct zf_attr *initial)
{
	struct zf_attr *a = attr_calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->initial = initial;
	atomic_fetch_add_explicit(&initial->refs, 1, memory_order_relaxed);
	zf_attr_reset(a);
	return a;
}

ZF_EXPORT int
zf_attr_alloc(struct zf_attr **attr_out)
{
	struct zf_attr *initial;
	struct zf_attr *a;
	int rc;

	if (attr_out == NULL)
		return -EFAULT;
	rc = initial_make(&initial);
	if (rc < 0)
		return rc;
	a = object_make(initial);
	if (a == NULL) {
		object_free(initial);
		return -ENOMEM;
	}
	*attr_out = a;
	return 0;
}

ZF_EXPORT void
zf_attr_free(struct zf_attr *attr)
{
	struct zf_attr *initial;

	if (attr == NULL)
		return;
	initial = attr->initial;
	object_free(attr);
	initial_drop(initial);
}

ZF_EXPORT void
zf_attr_reset(struct zf_attr *attr)
{
	for (size_t i = 0; i < attr_table_len; i++) {
		const struct attr_desc *d = &attr_table[i];

		if (d->type == TYPE_STR)
			attr_put_str(attr, d, *attr_str_field(attr->initial, d));
		else
			*attr_int_field(attr, d) = *attr_int_field(attr->initial, d);
	}
}

ZF_EXPORT struct zf_attr *
zf_attr_dup(const struct zf_attr *attr)
{
	struct zf_attr *a = object_make(attr->initial);

	if (a == NULL)
		return NULL;
	for (size_t i = 0; i < attr_table_len; i++) {
		const struct attr_desc *d = &attr_table[i];
		char *own = d->type == TYPE_STR ? attr_str_own(attr, d) : NULL;

		if (d->type != TYPE_STR) {
			*attr_int_field(a, d) = *attr_int_field(attr, d);
		} else if (own == NULL) {
			*attr_str_field(a, d) = *attr_str_field(attr, d);
		} else if (attr_set_str_n(a, d, own, strlen(own)) < 0) {
			zf_attr_free(a);
			return NULL;
		}
	}
	return a;
}

ZF_EXPORT int
zf_attr_set_int(struct zf_attr *attr, const char *name, int64_t val)
{
	const struct attr_desc *d = desc_find(name);
	char digits[24];
	int n;

	if (d == NULL)
		return -ENOENT;
	if (d->type != TYPE_STR)
		return attr_set_int(attr, d, val);
	n = snprintf(digits, sizeof(digits), "%lld", (long long)val);
	return attr_set_str_n(attr, d, digits, (size_t)n);
}

ZF_EXPORT int
zf_attr_get_int(struct zf_attr *attr, const char *name, int64_t *val)
{
	const struct attr_desc *d = desc_find(name);

	if (d == NULL)
		return -ENOENT;
	if (d->type == TYPE_STR)
		return -EINVAL;
	*val = *attr_int_field(attr, d);
	return 0;
}

ZF_EXPORT int
zf_attr_set_str(struct zf_attr *attr, const char *name, const char *val)
{
	const struct attr_desc *d = desc_find(name);

	if (d == NULL)
		return -ENOENT;
	if (d->type != TYPE_STR)
		return -ENOMSG;
	if (val != NULL)
		return attr_set_str_n(attr, d, val, strlen(val));
	attr_put_str(attr, d, NULL);
	return 0;
}

ZF_EXPORT int
zf_attr_get_str(struct zf_attr *attr, const char *name, char **val)
{
	const struct attr_desc *d = desc_find(name);
	char *s = NULL;

	if (d == NULL)
		return -ENOENT;
	if (d->type != TYPE_STR)
		return -EINVAL;
	if (*attr_str_field(attr, d) != NULL) {
		s = copy_str(*attr_str_field(attr, d));
		if (s == NULL)
			return -ENOMEM;
	}
	*val = s;
	return 0;
}

ZF_EXPORT int
zf_attr_set_from_str(struct zf_attr *attr, const char *name, const char *val)
{
	const struct attr_desc *d = desc_find(name);

	if (d == NULL)
		return -ENOENT;
	if (val != NULL)
		return attr_set_text_n(attr, d, val, strlen(val));
	return d->type == TYPE_STR ? zf_attr_set_str(attr, name, NULL) : -EINVAL;
}

ZF_EXPORT int
zf_attr_set_from_fmt(struct zf_attr *attr, const char *name, const char *fmt, ...)
{
	char *val = NULL;
	va_list ap;
	int rc;

	if (desc_find(name) == NULL)
		return -ENOENT;
	va_start(ap, fmt);
	rc = attr_alloc_fails() ? -1 : vasprintf(&val, fmt, ap);
	va_end(ap);
	if (rc < 0)
		return -ENOMEM;
	rc = zf_attr_set_from_str(attr, name, val);
	free(val);
	return rc;
}

/* Names of all that are not hidden. */
static int
doc_names(const char ***docs_out, int *docs_len_out)
{
	const char **docs = attr_calloc(attr_table_len, sizeof(*docs));
	int n = 0;

	if (docs == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < attr_table_len; i++)
		if (strcmp(attr_table[i].status, "hidden") != 0)
			docs[n++] = attr_table[i].name;
	*docs_out = docs;
	*docs_len_out = n;
	return 0;
}

ZF_EXPORT int
zf_attr_doc(const char *attr_name_opt, const char ***docs_out, int *docs_len_out)
{
	const struct attr_desc *d;
	const char **docs;

	if (docs_out == NULL || docs_len_out == NULL)
		return -EFAULT;
	if (attr_name_opt == NULL || attr_name_opt[0] == '\0')
		return doc_names(docs_out, docs_len_out);
	d = desc_find(attr_name_opt);
	if (d == NULL)
		return -ENOENT;
	docs = attr_calloc(6, sizeof(*docs));
	if (docs == NULL)
		return -ENOMEM;
	docs[0] = d->name;
	docs[1] = type_names[d->type];
	docs[2] = d->status;
	docs[3] = d->type != TYPE_STR ? d->dflt_text : d->dflt_str != NULL ? d->dflt_str : "(none)";
	docs[4] = d->objects;
	docs[5] = d->doc;
	*docs_out = docs;
	*docs_len_out = 6;
	return 0;
}
