/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attribute objects: the named settings that every allocating call of the API takes.
 */
#ifndef ZF_ATTR_H
#define ZF_ATTR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A complete set of attributes, each with a value.
 *
 * Opaque. A call that takes an attribute object reads the attributes that matter to it and ignores the rest, and
 * keeps no reference: the object may be changed or freed as soon as the call has returned.
 *
 * An object starts with the defaults, changed by the environment variable ZF_ATTR:
 * `ZF_ATTR="interface=wire:loop;n_bufs=4096;log_level=0xff"`. Names are case-insensitive, a value is everything between
 * the first `=` and the next `;`, empty definitions (`;;`, a `;` at the end) are skipped, of two definitions of one
 * attribute the last counts. Integers are written in decimal or with 0x in hexadecimal, optionally with a sign and a
 * suffix K, M or G (times 1024, 1024^2, 1024^3).
 *
 * Threads: one object must not be used by two threads at once; different objects may, copies included. All calls
 * below are cold: they allocate, and belong in set-up code. None of them touches errno's meaning: errors are negative
 * return values.
 *
 * Guide: chapter 7 (attributes), 10.1, 11.1.
 */
struct zf_attr;

/**
 * Make an attribute object.
 *
 * Reads ZF_ATTR, and the sysctls that some defaults come from.
 *
 * @param attr_out  the new object; untouched on failure
 *
 * @return 0
 * @retval -EINVAL  ZF_ATTR is malformed, names an unknown attribute or has a value that does not fit; a line in the
 *                  log says which
 * @retval -ENOMEM  out of memory
 * @retval -EFAULT  @p attr_out is NULL
 *
 * Guide 11.1.2.1. The caller owns the object: zf_attr_free().
 */
extern int zf_attr_alloc(struct zf_attr **attr_out);

/**
 * Free an attribute object and the strings in it.
 *
 * @param attr  the object, or NULL for nothing
 *
 * Guide 11.1.2.4.
 */
extern void zf_attr_free(struct zf_attr *attr);

/**
 * Give every attribute the value it had when the object was allocated.
 *
 * That is the default, or what ZF_ATTR said at that time: the environment is not read again. A copy goes back to
 * what its original was allocated with. Cannot fail.
 *
 * @param attr  the object
 *
 * Guide 11.1.2.7.
 */
extern void zf_attr_reset(struct zf_attr *attr);

/**
 * Set an attribute to an integer.
 *
 * On a string attribute the decimal digits of @p val become the value. Whether an integer makes sense is judged where
 * it is used: zf_stack_alloc() refuses what is out of the attribute's range.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param val   new value
 *
 * @return 0
 * @retval -ENOENT     no attribute of that name
 * @retval -EOVERFLOW  the attribute cannot hold @p val (integers hold 32 bits with sign, bitmasks 64)
 * @retval -ENOMEM     out of memory (string attributes)
 *
 * Guide 11.1.2.10. On failure the attribute keeps its value, as with all calls that set one.
 */
extern int zf_attr_set_int(struct zf_attr *attr, const char *name, int64_t val);

/**
 * Get the value of an integer or bitmask attribute.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param val   its value; untouched on failure
 *
 * @return 0
 * @retval -ENOENT  no attribute of that name
 * @retval -EINVAL  the attribute is a string
 *
 * Guide 11.1.2.5.
 */
extern int zf_attr_get_int(struct zf_attr *attr, const char *name, int64_t *val);

/**
 * Set a string attribute.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param val   copied; NULL clears the attribute
 *
 * @return 0
 * @retval -ENOENT  no attribute of that name
 * @retval -ENOMSG  the attribute is not a string
 * @retval -EINVAL  attribute `name` takes 20 characters at most
 * @retval -ENOMEM  out of memory
 *
 * Guide 11.1.2.11.
 */
extern int zf_attr_set_str(struct zf_attr *attr, const char *name, const char *val);

/**
 * Get the value of a string attribute.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param val   a copy for the caller to free(), or NULL where the attribute has no value; untouched on failure
 *
 * @return 0
 * @retval -ENOENT  no attribute of that name
 * @retval -EINVAL  the attribute is not a string
 * @retval -ENOMEM  out of memory
 *
 * Guide 11.1.2.6.
 */
extern int zf_attr_get_str(struct zf_attr *attr, const char *name, char **val);

/**
 * Set an attribute of any type from text, with the syntax of ZF_ATTR's values.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param val   text; NULL clears a string attribute
 *
 * @return 0
 * @retval -ENOENT     no attribute of that name
 * @retval -EINVAL     the text is no value of this attribute (NULL for an integer included)
 * @retval -EOVERFLOW  the number is more than the attribute can hold
 * @retval -ENOMEM     out of memory
 *
 * Guide 11.1.2.9.
 */
extern int zf_attr_set_from_str(struct zf_attr *attr, const char *name, const char *val);

/**
 * zf_attr_set_from_str() with text made by a printf() format.
 *
 * @param attr  the object
 * @param name  attribute, in any case
 * @param fmt   format of the text, followed by its arguments
 *
 * @return as zf_attr_set_from_str()
 *
 * Guide 11.1.2.8.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
extern int zf_attr_set_from_fmt(struct zf_attr *attr, const char *name, const char *fmt, ...);

/**
 * Copy an attribute object.
 *
 * @param attr  the object to copy; not changed
 *
 * @return a new object for the caller to free, or NULL when out of memory
 *
 * Guide 11.1.2.3.
 */
extern struct zf_attr *zf_attr_dup(const struct zf_attr *attr);

/**
 * Describe an attribute, or list them all.
 *
 * @param attr_name_opt  attribute, in any case; NULL or "" for the list
 * @param docs_out       an array of strings: name, type, status, default, objects it acts on, description; or the
 *                       names of all attributes (hidden ones left out)
 * @param docs_len_out   number of strings: 6, or the number of names
 *
 * @return 0
 * @retval -ENOENT  no attribute of that name
 * @retval -ENOMEM  out of memory
 * @retval -EFAULT  an out-parameter is NULL
 *
 * The caller frees the array with free(); the strings are constants. Nothing is written on failure. Guide 11.1.2.2.
 */
extern int zf_attr_doc(const char *attr_name_opt, const char ***docs_out, int *docs_len_out);

#ifdef __cplusplus
}
#endif

#endif /* ZF_ATTR_H */
