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

/** Flags of zfur_zc_recv() and zft_zc_recv() for overlapped receiving. They may be given and change nothing: this library
 * reports a message when it is complete, by EPOLLIN.
 */
enum zf_zc_flags {
	ZF_OVERLAPPED_WAIT = 0x10000,
	ZF_OVERLAPPED_COMPLETE = 0x20000
};

#endif
