/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A small network of this process's own: two namespaces and a veth pair between them. `ours` is where the stack runs,
 * on interface v0 without addresses; `peer` is a kernel with v1 and an address on it. Needs no root where user
 * namespaces are allowed. Talks netlink itself, so that no tool has to be installed.
 */
#ifndef ZF_TEST_NETNS_H
#define ZF_TEST_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#define NETNS_OURS "v0"
#define NETNS_PEER "v1"

/* Once, before any thread exists. 0, or -errno with the step that failed in @step. */
int netns_setup(const char **step);

/* Work in the kernel's namespace from here to netns_leave(): sockets made meanwhile stay there. */
void netns_enter_peer(void);
void netns_leave(void);

/* In the namespace where the caller is: 0 or -errno. @addr in network order. */
int netns_addr(bool add, const char *ifname, uint32_t addr, uint8_t prefix_len);
int netns_up(const char *ifname, bool up);
int netns_delete(const char *ifname);
/* A static route: @dst/@prefix_len by @ifname. */
int netns_route(const char *ifname, uint32_t dst, uint8_t prefix_len);
/* Switches off what makes a veth pass frames on unfinished: checksums to be filled in, super-frames. */
int netns_no_offloads(const char *ifname);
/* Makes the veth pair afresh after netns_delete(). */
int netns_make_veth(void);
/* Another veth pair: @name in our namespace, @other in the peer's or in ours too. */
int netns_make_pair(const char *name, const char *other, bool other_in_peer);
/* Writes a value to /proc/sys/net/PATH; ignores what is not there. */
void netns_sysctl(const char *path, const char *value);

#endif
