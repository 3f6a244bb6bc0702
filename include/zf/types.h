/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The types that the API hands out. All are opaque: an application holds pointers to them and nothing else.
 */
#ifndef ZF_TYPES_H
#define ZF_TYPES_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <zf/zf_platform.h>

/** Set of configuration values, see attr.h. */
struct zf_attr;

/** A network stack: one port queue, its buffers, timers and zockets. One thread at a time. */
struct zf_stack;

/** What all zockets have in common: something that can become ready. */
struct zf_waitable;

#endif
