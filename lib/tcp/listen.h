/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Listeners, from the side of those who make connections for them.
 */
#ifndef ZF_TCP_LISTEN_H
#define ZF_TCP_LISTEN_H

#include "tcp/tcp_in.h"

/* The open listener of an address, or NULL. */
struct zftl *tcp_listener_find(const struct zf_ctx *ctx, be32_t lip, be16_t lport);
/* One connection or half-open entry less that came from it: the last one gives the port free. */
void tcp_listener_put(struct zf_ctx *ctx, struct zftl *tl);
/* A completed connection, behind those that completed before. */
void tcp_listener_queue(struct zf_ctx *ctx, struct zftl *tl, struct zft *ts);
/* It ended before it was accepted. */
void tcp_listener_unqueue(struct zf_ctx *ctx, struct zftl *tl, struct zft *ts);

#endif
