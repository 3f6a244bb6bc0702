/* SPDX-License-Identifier: BSD-3-Clause
 *
 * x86 facts that the other headers may use. Nothing here is for applications.
 */
#ifndef ZF_X86_H
#define ZF_X86_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

/* Bytes of a cache line: the unit in which objects of a stack are laid out. */
#define ZF_CACHE_LINE_SIZE 64

#endif
