/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Shared by the files of the UDP room alone: how addresses given by an application are checked. The order of the
 * checks is that of guide-decisions: NULL, length, family.
 */
#ifndef ZF_UDP_UDP_INT_H
#define ZF_UDP_UDP_INT_H

#include <errno.h>
#include <string.h>

#include "udp/udp.h"

struct udp_addr {
	be32_t ip;
	be16_t port;
};

/* @sa may not be aligned. 0, -EFAULT, -EINVAL, -EAFNOSUPPORT. */
static inline int
udp_addr_get(const struct sockaddr *sa, socklen_t len, struct udp_addr *out)
{
	struct sockaddr_in in;

	if (sa == NULL)
		return -EFAULT;
	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, sa, sizeof(in));
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	out->ip.raw = in.sin_addr.s_addr;
	out->port.raw = in.sin_port;
	return 0;
}

/* The stack behind an API pointer: struct zf_stack starts with its ctx. */
static inline struct zf_ctx *
udp_stack_ctx(struct zf_stack *st)
{
	return (struct zf_ctx *)st;
}

/* Around cold calls that may use the port. */
static inline void
udp_enter(struct zf_ctx *ctx)
{
	ctx_enter(ctx);
	ctx->now = ctx_read_clock(ctx);
	if (ctx_has_events(ctx))
		ctx->take_events(ctx);
}

static inline void
udp_leave(struct zf_ctx *ctx)
{
	ctx_publish(ctx);
	ctx_leave(ctx);
}

#endif
