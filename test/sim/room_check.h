/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What must hold in TCP's tables between any two calls of the API, for simulation and fuzzer. Stops where it does not.
 */
#ifndef ZF_TEST_SIM_ROOM_CHECK_H
#define ZF_TEST_SIM_ROOM_CHECK_H

#include <stdbool.h>

struct zf_ctx;

/* Lists, sums, timers, every connection. Walks everything: meant for small tables. */
void room_check(struct zf_ctx *ctx);

/* Is TCP as empty as after zf_stack_alloc()? Says what is left on stderr if not. Listeners are the caller's. */
bool room_is_empty(const struct zf_ctx *ctx);

/* Connections that hold anything, on stderr. */
void room_show(const struct zf_ctx *ctx);

#endif
