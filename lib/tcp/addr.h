/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Addresses as applications give and get them. The order of the checks is the API's: NULL, length, family.
 */
#ifndef ZF_TCP_ADDR_H
#define ZF_TCP_ADDR_H

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/be.h"
#include "base/compiler.h"

struct tcp_addr {
	be32_t ip;
	be16_t port;
};

/* @sa may not be aligned. 0, -EFAULT, -EINVAL, -EAFNOSUPPORT. */
static inline int
tcp_addr_get(const struct sockaddr *sa, socklen_t len, struct tcp_addr *out)
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

/* As getsockname(2): cut to *@len, which then says how long it is. Nothing through a NULL. */
static inline void
tcp_addr_put(be32_t ip, be16_t port, struct sockaddr *out, socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port.raw, .sin_addr.s_addr = ip.raw};

	if (len == NULL)
		return;
	if (out != NULL)
		memcpy(out, &in, ZF_MIN((size_t)*len, sizeof(in)));
	*len = sizeof(in);
}

#endif
