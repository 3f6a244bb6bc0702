/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From attribute `interface` to a driver and a port name. The grammar is a pure function that asks its questions
 * through struct ifres_env; ifres_resolve() adds the questions of the live system, the log line of a refusal, and the
 * rule that a stack does not share an address with a kernel that would answer for it.
 *
 * Knows the names of drivers, not the drivers: the caller looks the table up.
 */
#ifndef ZF_STACK_IFRES_H
#define ZF_STACK_IFRES_H

#include <net/if.h>

#include "base/log.h"

struct netlink_addr;
struct netlink_link;
struct zf_attr;

enum ifres_kind {
	IFRES_WIRE,   /* wire:... */
	IFRES_MEM,    /* mem:... (test builds) */
	IFRES_PORT,   /* an ethdev port that exists already */
	IFRES_PCI,    /* a PCI address */
	IFRES_VDEV,   /* net_... */
	IFRES_NETDEV, /* a Linux interface */
	IFRES_EF_VI,  /* ef_vi: and a Linux interface */
	IFRES_SOFTVI, /* softvi:... (test builds) */
};

#define IFRES_NAME_MAX 128
#define IFRES_SPEC_MAX 1024

struct ifres {
	enum ifres_kind kind;
	const char *driver;        /* name of the struct port_driver: "wire", "mem", "ethdev", "af_packet", "ef_vi", "softvi" */
	char name[IFRES_NAME_MAX]; /* identity: two stacks with the same driver and name are on one port */
	char spec[IFRES_SPEC_MAX]; /* for struct port_open_args: the name, "," and the devargs if there are any */
	uint16_t vlan;             /* of a Linux VLAN device, else 0; the attribute is the caller's to merge */
	int if_index;              /* of the Linux interface (the lower one of a VLAN device), else 0 */
};

/* The questions that classification asks. */
struct ifres_env {
	void *opaque;
	bool (*port_exists)(void *opaque, const char *name);
	/* 0, -ENODEV, or another -errno; index 0: by name */
	int (*link)(void *opaque, const char *name, int index, struct netlink_link *out);
};

/**
 * Classifies @text. Returns 0, or -ENODEV / -EINVAL with the reason in @why, a whole sentence part such as
 * "there is no Linux interface ..., see `ip link`". @out is untouched on failure.
 */
int ifres_classify(const char *text, const struct ifres_env *env, struct ifres *out, char *why, size_t why_len);

/**
 * Resolves a->interface on the live system. @port_exists: is there an ethdev port of that name (asked after EAL is up).
 * Merges the tag of a VLAN device with a->vlan into out->vlan.
 *
 * 0, or exactly one line on @log and -ENODEV (missing, unknown, not there) or -EINVAL (two different tags, an address
 * that the kernel owns), or the -errno of asking the kernel.
 */
int ifres_resolve(const struct zf_attr *a, bool (*port_exists)(const char *name), const struct zf_log *log,
		  struct ifres *out);

/**
 * May a stack with @ipv4 (attribute, may be NULL) run beside a kernel that owns @n addresses @owned, of which those of
 * the interface itself have index @if_index? Without @ipv4 it may not if the interface has any: the kernel would reset
 * what the stack accepts. 0, or -EINVAL with the reason in @why.
 */
int ifres_check_ipv4(const char *ipv4, const char *if_name, int if_index, const struct netlink_addr *owned,
		     uint32_t n, char *why, size_t why_len);

/* The same with the kernel's answer, for a port that turned out to sit on Linux interface @if_index (struct port_info).
 * 0, or one line on @log and -EINVAL or the -errno of asking.
 */
int ifres_check_kernel(const struct zf_attr *a, int if_index, const struct zf_log *log);

#endif
