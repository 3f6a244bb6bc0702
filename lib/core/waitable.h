/* SPDX-License-Identifier: BSD-3-Clause
 *
 * First member of every zocket: what the reactor raises and a muxer will read.
 */
#ifndef ZF_CORE_WAITABLE_H
#define ZF_CORE_WAITABLE_H

#include "base/compiler.h"

enum waitable_kind {
	WAITABLE_NONE,
	WAITABLE_UDP_RX,
	WAITABLE_UDP_TX,
	WAITABLE_TCP,
	WAITABLE_TCP_LISTEN,
	WAITABLE_STACK,
};

struct zf_waitable {
	uint32_t kind; /* enum waitable_kind */
	uint32_t ready; /* EPOLL* bits raised since they were last looked at */
};

#endif
