/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the kernel knows of interfaces, addresses and routes. Parsing is a pure function over a buffer, so that it is
 * tested on recorded answers; asking is a thin wrapper. Read-only: nothing here changes the kernel's state. It knows
 * nothing of attributes or drivers (see ifres.h).
 */
#ifndef ZF_STACK_NETLINK_H
#define ZF_STACK_NETLINK_H

#include <net/if.h>

#include "base/be.h"
#include "base/compiler.h"

struct netlink_link {
	int index;
	int lower;      /* IFLA_LINK: index of the device below, or 0 */
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint16_t vlan;  /* tag of a VLAN device, else 0 */
	uint8_t mac[6];
	char name[IF_NAMESIZE];
	char kind[16];  /* "vlan", "veth", "" ... */
};

struct netlink_addr {
	int index;
	be32_t addr;
	uint8_t prefix_len;
};

struct netlink_route {
	be32_t dst; /* 0 with prefix_len 0: default */
	uint8_t prefix_len;
	be32_t gateway; /* 0: on link */
	int out_index;
	uint32_t metric;
};

/* Where parsed messages go; a NULL callback skips its kind. */
struct netlink_sink {
	void *opaque;
	void (*link)(void *opaque, const struct netlink_link *l);
	void (*addr)(void *opaque, const struct netlink_addr *a);   /* IPv4 only */
	void (*route)(void *opaque, const struct netlink_route *r); /* unicast IPv4 of the main table only */
};

/**
 * Parses one datagram of a dump's answer. Messages of other sequence numbers are skipped, as are broken attributes:
 * no length in the buffer is trusted.
 *
 * Returns 1 when more is to come, 0 at the end of the dump, -EINTR when the kernel says that the table changed
 * meanwhile, another -errno when the kernel answered with that, -EBADMSG for a message that does not fit its buffer.
 */
int netlink_parse(const void *buf, size_t len, uint32_t seq, const struct netlink_sink *sink);

/* Asks the kernel for all of one kind (RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE). 0 or -errno. After a table that
 * changed meanwhile it asks again, so the sink may see an entry twice.
 */
int netlink_dump(int rtm_get, const struct netlink_sink *sink);

/* One interface by name (up to IF_NAMESIZE - 1 characters) or by index: 0, -ENODEV, or the -errno of asking. */
int netlink_link_by_name(const char *name, struct netlink_link *out);
int netlink_link_by_index(int index, struct netlink_link *out);

/* The kernel's IPv4 addresses, of all interfaces of this network namespace or (@index != 0) of one. Returns how many
 * there are, which may be more than @max, or -errno.
 */
int netlink_addrs(int index, struct netlink_addr *out, uint32_t max);

#endif
