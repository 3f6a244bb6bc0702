/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the other headers need of the compiler. Nothing here is for applications.
 */
#ifndef ZF_ZF_PLATFORM_H
#define ZF_ZF_PLATFORM_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#include <zf/x86.h>
#endif

/* Size of the iovec array at the end of a message structure. Applications embed such a structure and let
 * `struct iovec iov[N]` follow it. GCC takes a flexible array member for that in C; in C++, and with clang, the
 * compiler's arrays of length 0 do.
 */
#if defined(__cplusplus) || defined(__clang__)
#define ZF_FLEXIBLE_ARRAY_COUNT 0
#define ZF_FLEXIBLE_ARRAY       __extension__
#else
#define ZF_FLEXIBLE_ARRAY_COUNT
#define ZF_FLEXIBLE_ARRAY
#endif

#ifdef __cplusplus
#define ZF_EXTERN_C_BEGIN extern "C" {
#define ZF_EXTERN_C_END   }
#else
#define ZF_EXTERN_C_BEGIN
#define ZF_EXTERN_C_END
#endif

#endif
