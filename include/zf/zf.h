/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The one header that an application includes.
 *
 * Rules that hold for every call unless its own description says otherwise:
 *
 *   errors   0 or a positive value is success, a negative value is a negated errno code; errno is not touched.
 *            On failure output parameters keep their values.
 *   threads  a stack, and everything that was allocated in it, belongs to one thread at a time; the application
 *            serialises. Different stacks may be used by different threads without any lock.
 *   blocking no call blocks, but for those that say so.
 */
#ifndef ZF_ZF_H
#define ZF_ZF_H

#include <zf/zf_platform.h>
#include <zf/types.h>
#include <zf/attr.h>
#include <zf/zf_stack.h>
#include <zf/zf_reactor.h>
#include <zf/muxer.h>
#include <zf/zf_tcp.h>
#include <zf/zf_udp.h>
#include <zf/zf_alts.h>

#endif
