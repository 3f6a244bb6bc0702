/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of zf_testing.
 */
#ifndef ZF_TESTING_PRIV_H
#define ZF_TESTING_PRIV_H

struct zf_ctx;
struct zt_leaks;

/* Adds what TCP has not given back. */
void zt_tcp_leaks(const struct zf_ctx *ctx, struct zt_leaks *l);

#endif
