/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of zf_testing.
 */
#ifndef ZF_TESTING_PRIV_H
#define ZF_TESTING_PRIV_H

#include <stdbool.h>

struct wheel_timer;
struct zf_ctx;
struct zt_leaks;

/* Adds what TCP has not given back. */
void zt_tcp_leaks(const struct zf_ctx *ctx, struct zt_leaks *l);
/* An armed timer of TCP's that has something to do: that of a connection outlives it, for nothing. */
bool zt_tcp_timer_is_owed(const struct wheel_timer *t);

#endif
