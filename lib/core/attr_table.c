/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The attributes by descriptor: the table, values from text, defaults from sysctls, the grammar of ZF_ATTR. Knows
 * nothing of single attributes beyond attr.def, except that `name` is short.
 */
#include "core/attr_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COMMON(n, s, o, d)                                                                         \
	.name = #n, .status = s, .objects = o, .doc = d, .offset = offsetof(struct zf_attr, n)
#define ATTR_INT(n, s, v, lo, hi, o, t, d)                                                         \
	{COMMON(n, s, o, d), .type = TYPE_INT, .dflt = v, .dflt_text = #v, .min = lo, .max = hi},
#define ATTR_SYSCTL(n, s, v, f, k, lo, hi, o, t, d)                                                \
	{COMMON(n, s, o, d), .type = TYPE_INT, .dflt = v, .sysctl = f, .scale = k, .min = lo, .max = hi, \
	 .dflt_text = "net.ipv4." f " * " #k ", or " #v},
#define ATTR_BITMASK(n, s, v, o, t, d)                                                             \
	{COMMON(n, s, o, d), .type = TYPE_BITMASK, .dflt = v, .dflt_text = #v, .min = INT64_MIN,   \
	 .max = INT64_MAX},
#define ATTR_STR(n, s, v, o, t, d)                                                                 \
	{COMMON(n, s, o, d), .type = TYPE_STR, .dflt_str = v, .dflt_text = #v},

const struct attr_desc attr_table[] = {
#include "core/attr.def"
};

#undef ATTR_INT
#undef ATTR_SYSCTL
#undef ATTR_BITMASK
#undef ATTR_STR

const size_t attr_table_len = ZF_ARRAY_SIZE(attr_table);

#if defined(ZF_TEST) && ZF_TEST
const char *attr_sysctl_dir = "/proc/sys/net/ipv4";
int attr_fail_alloc = -1;

bool
attr_alloc_fails(void)
{
	if (attr_fail_alloc < 0)
		return false;
	return attr_fail_alloc-- == 0;
}
#else
static const char attr_sysctl_dir[] = "/proc/sys/net/ipv4";

bool
attr_alloc_fails(void)
{
	return false;
}
#endif

void *
attr_calloc(size_t n, size_t size)
{
	return attr_alloc_fails() ? NULL : calloc(n, size);
}

static char *
dup_str(const char *s)
{
	return attr_alloc_fails() ? NULL : strdup(s);
}

const struct attr_desc *
attr_find_n(const char *name, size_t len)
{
	for (size_t i = 0; i < ZF_ARRAY_SIZE(attr_table); i++)
		if (strlen(attr_table[i].name) == len && strncasecmp(attr_table[i].name, name, len) == 0)
			return &attr_table[i];
	return NULL;
}

/* The string of @a if it is its own, else NULL: what initial shares is not @a's to free. */
char *
attr_str_own(const struct zf_attr *a, const struct attr_desc *d)
{
	char *s = *attr_str_field(a, d);

	return a->initial != NULL && s == *attr_str_field(a->initial, d) ? NULL : s;
}

void
attr_put_str(struct zf_attr *a, const struct attr_desc *d, char *s)
{
	free(attr_str_own(a, d));
	*attr_str_field(a, d) = s;
}

int
attr_set_str_n(struct zf_attr *a, const struct attr_desc *d, const char *val, size_t len)
{
	char *s;

	if (d->offset == offsetof(struct zf_attr, name) && len > ATTR_NAME_MAX)
		return -EINVAL;
	s = attr_calloc(1, len + 1);
	if (s == NULL)
		return -ENOMEM;
	memcpy(s, val, len);
	attr_put_str(a, d, s);
	return 0;
}

static bool
int_fits(const struct attr_desc *d, int64_t val)
{
	return d->type == TYPE_BITMASK || (val >= INT32_MIN && val <= INT32_MAX);
}

int
attr_set_int(struct zf_attr *a, const struct attr_desc *d, int64_t val)
{
	if (!int_fits(d, val))
		return -EOVERFLOW;
	*attr_int_field(a, d) = val;
	return 0;
}

/* Shift of a size suffix, or -1. */
static int
suffix_shift(const char *s)
{
	static const char letters[] = "kmg";

	if (*s == '\0')
		return 0;
	for (int i = 0; i < 3; i++)
		if ((*s | 0x20) == letters[i] && s[1] == '\0')
			return 10 * (i + 1);
	return -1;
}

/* @p: digits of @base and perhaps a suffix. */
static int
parse_magnitude(const char *p, int base, unsigned long long *out)
{
	char *end;
	int shift;

	/* strtoull would take blanks and a sign of its own. */
	if (base == 10 ? !(*p >= '0' && *p <= '9') : memchr("0123456789abcdefABCDEF", *p, 22) == NULL)
		return -EINVAL;
	errno = 0;
	*out = strtoull(p, &end, base);
	shift = suffix_shift(end);
	if (shift < 0)
		return -EINVAL;
	if (errno != 0 || (*out << shift) >> shift != *out)
		return -EOVERFLOW;
	*out <<= shift;
	return 0;
}

int
attr_parse_int(const char *text, int64_t *val)
{
	unsigned long long mag;
	bool neg = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');
	bool hex = p[0] == '0' && (p[1] | 0x20) == 'x';
	int saved = errno;
	int rc = parse_magnitude(hex ? p + 2 : p, hex ? 16 : 10, &mag);

	errno = saved;
	if (rc < 0)
		return rc;
	/* All 64 bits only where the user thinks in bits. */
	if (neg ? mag > (unsigned long long)INT64_MAX + 1 : !hex && mag > INT64_MAX)
		return -EOVERFLOW;
	*val = (int64_t)(neg ? 0 - mag : mag);
	return 0;
}

int
attr_set_text_n(struct zf_attr *a, const struct attr_desc *d, const char *val, size_t len)
{
	char digits[32];
	int64_t v;
	int rc;

	if (d->type == TYPE_STR)
		return attr_set_str_n(a, d, val, len);
	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, val, len);
	digits[len] = '\0';
	rc = attr_parse_int(digits, &v);
	return rc < 0 ? rc : attr_set_int(a, d, v);
}

/* The number in a sysctl's file if it is one and within the attribute's range, else the fallback. */
static int64_t
sysctl_default(const struct attr_desc *d)
{
	char path[256];
	char text[32];
	int64_t v;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", attr_sysctl_dir, d->sysctl);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return d->dflt;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return d->dflt;
	text[n] = '\0';
	text[strcspn(text, " \t\n")] = '\0';
	if (attr_parse_int(text, &v) < 0 || v < d->min / d->scale || v > d->max / d->scale)
		return d->dflt;
	return v * d->scale;
}

int
attr_set_default(struct zf_attr *a, const struct attr_desc *d)
{
	if (d->type != TYPE_STR) {
		*attr_int_field(a, d) = d->sysctl != NULL ? sysctl_default(d) : d->dflt;
		return 0;
	}
	if (d->dflt_str == NULL)
		return 0;
	*attr_str_field(a, d) = dup_str(d->dflt_str);
	return *attr_str_field(a, d) != NULL ? 0 : -ENOMEM;
}

static int
text_fault(const struct zf_log *l, const char *def, size_t len, const char *why)
{
	log_write(l, LC_STACK, LOG_ERR,
		  "ZF_ATTR: \"%.*s\" %s; expected name=value;name=value (doc/attributes.md lists the names)",
		  (int)ZF_MIN(len, (size_t)256), def, why);
	return -EINVAL;
}

/* One definition, not empty. @seen: a flag for each attribute. */
static int
text_apply_one(struct zf_attr *a, const char *def, size_t len, bool *seen, const struct zf_log *l)
{
	const char *eq = memchr(def, '=', len);
	const struct attr_desc *d;
	int rc;

	if (eq == NULL)
		return text_fault(l, def, len, "has no '='");
	if (eq == def)
		return text_fault(l, def, len, "has no name");
	d = attr_find_n(def, (size_t)(eq - def));
	if (d == NULL)
		return text_fault(l, def, len, "names no attribute");
	rc = attr_set_text_n(a, d, eq + 1, len - (size_t)(eq + 1 - def));
	if (rc == -EINVAL)
		return text_fault(l, def, len,
				  d->type == TYPE_STR ? "is longer than 20 characters" : "is no integer");
	if (rc == -EOVERFLOW)
		return text_fault(l, def, len, "is a number too large for the attribute");
	if (rc == 0 && seen[d - attr_table])
		log_write(l, LC_STACK, LOG_WARN, "ZF_ATTR: %s is defined more than once; \"%.*s\" counts",
			  d->name, (int)ZF_MIN(len, (size_t)256), def);
	seen[d - attr_table] = true;
	return rc;
}

int
attr_apply_text(struct zf_attr *a, const char *text, const struct zf_log *l)
{
	bool seen[ZF_ARRAY_SIZE(attr_table)] = {false};
	size_t len;

	for (const char *p = text; p != NULL && *p != '\0'; p += len + (p[len] == ';')) {
		int rc;

		len = strcspn(p, ";");
		if (len == 0)
			continue;
		rc = text_apply_one(a, p, len, seen, l);
		if (rc < 0)
			return rc;
	}
	return 0;
}
