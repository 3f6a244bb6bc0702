/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See ifres.h. The order of the questions is that of the table in the design: prefixes first, then what exists as an
 * ethdev port, then PCI addresses and net_..., then Linux interfaces.
 */
#include "stack/ifres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attr.h"
#include "stack/netlink.h"

static ZF_PRINTF(4, 5) int
refuse(int rc, char *why, size_t why_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return rc;
}

/* Fills in the names: @dev of @len characters, then ",args" if @args is not empty. False: too long. */
static bool
set_names(struct ifres *r, const char *dev, size_t len, const char *args)
{
	int n = snprintf(r->name, sizeof(r->name), "%.*s", (int)len, dev);
	int m = snprintf(r->spec, sizeof(r->spec), "%.*s%s%s", (int)len, dev, args[0] != '\0' ? "," : "", args);

	return n > 0 && (size_t)n < sizeof(r->name) && m > 0 && (size_t)m < sizeof(r->spec);
}

/* wire:loop, wire:NAME/a, wire:NAME/b, wire:/path, wire:./path */
static bool
wire_is_valid(const char *w)
{
	const char *slash = strchr(w, '/');

	if (strcmp(w, "loop") == 0)
		return true;
	if (w[0] == '/')
		return w[1] != '\0';
	if (strncmp(w, "./", 2) == 0)
		return w[2] != '\0';
	return slash != NULL && slash != w && (strcmp(slash, "/a") == 0 || strcmp(slash, "/b") == 0);
}

static size_t
hex_digits(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)s[n]))
		n++;
	return n;
}

/* [DDDD:]BB:DD.F up to the end or a comma: writes it out in full, returns the length read; 0: no PCI address. */
static size_t
pci_parse(const char *text, char out[32])
{
	unsigned long part[4] = {0};
	const char *p = text;
	size_t n = hex_digits(p, 8);
	bool domain = n > 0 && p[n] == ':' && hex_digits(p + n + 1, 2) > 0 &&
		      p[n + 1 + hex_digits(p + n + 1, 2)] == ':';

	for (int i = domain ? 0 : 1; i < 4; i++) {
		static const size_t digits[4] = {8, 2, 2, 1};
		static const char after[4] = {':', ':', '.', '\0'};

		n = hex_digits(p, digits[i]);
		if (n == 0 || (i < 3 && p[n] != after[i]))
			return 0;
		part[i] = strtoul(p, NULL, 16);
		p += n + (i < 3);
	}
	if ((*p != '\0' && *p != ',') || part[2] > 31 || part[3] > 7)
		return 0;
	snprintf(out, 32, "%04lx:%02lx:%02lx.%lx", part[0], part[1], part[2], part[3]);
	return (size_t)(p - text);
}

static int
classify_prefixed(const char *text, struct ifres *r, char *why, size_t why_len)
{
	if (strncmp(text, "wire:", 5) == 0 && !wire_is_valid(text + 5))
		return refuse(-ENODEV, why, why_len,
			      "a wire is wire:loop, wire:NAME/a or wire:NAME/b, or wire: and a path that starts "
			      "with / or ./");
	r->kind = text[0] == 'w' ? IFRES_WIRE : text[0] == 's' ? IFRES_SOFTVI : IFRES_MEM;
	r->driver = text[0] == 'w' ? "wire" : text[0] == 's' ? "softvi" : "mem";
	return set_names(r, text, strlen(text), "") ? 0 : refuse(-ENODEV, why, why_len, "the name is too long");
}

static bool
is_prefixed(const char *text)
{
	static const char *const prefixes[] = {"wire:", "mem:", "softvi:"};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(prefixes); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* A Linux interface, for @kind's driver; a VLAN device stands for its lower port and the tag. */
static int
classify_netdev(const char *text, enum ifres_kind kind, const struct ifres_env *env, struct ifres *r, char *why,
		size_t why_len)
{
	struct netlink_link l;
	char dev[16 + IF_NAMESIZE];
	int rc = strlen(text) < IF_NAMESIZE ? env->link(env->opaque, text, 0, &l) : -ENODEV;

	if (rc == -ENODEV)
		return refuse(rc, why, why_len,
			      "there is no Linux interface (see `ip link`), DPDK port, PCI address or wire of that name");
	if (rc < 0)
		return refuse(rc, why, why_len, "the kernel cannot be asked about interfaces: %s (errno %d)",
			      strerror(-rc), -rc);
	if (l.vlan != 0) {
		r->vlan = l.vlan;
		rc = env->link(env->opaque, NULL, l.lower, &l);
		if (rc < 0)
			return refuse(-ENODEV, why, why_len,
				      "the port below this VLAN device is not in this network namespace");
		if (l.vlan != 0)
			return refuse(-ENODEV, why, why_len,
				      "one VLAN device on another is not supported; name the lower one");
	}
	if (l.flags & IFF_LOOPBACK)
		return refuse(-ENODEV, why, why_len,
			      "the loopback interface carries no Ethernet; use wire:loop or wire:NAME/a");
	r->kind = kind;
	r->driver = kind == IFRES_EF_VI ? "ef_vi" : "af_packet";
	r->if_index = l.index;
	snprintf(dev, sizeof(dev), "%s:%s", r->driver, l.name);
	set_names(r, dev, strlen(dev), "");
	return 0;
}

static int
classify(const char *text, const struct ifres_env *env, struct ifres *r, char *why, size_t why_len)
{
	size_t dev_len = strcspn(text, ",");
	const char *args = text[dev_len] == ',' ? text + dev_len + 1 : "";
	char dev[IFRES_NAME_MAX];
	char pci[32];

	if (text[0] == '\0')
		return refuse(-ENODEV, why, why_len,
			      "it is not set; set ZF_ATTR=interface=... or call zf_attr_set_str()");
	if (is_prefixed(text))
		return classify_prefixed(text, r, why, why_len);
	if (strncmp(text, "ef_vi:", 6) == 0)
		return classify_netdev(text + 6, IFRES_EF_VI, env, r, why, why_len);
	if (dev_len == 0 || dev_len >= sizeof(dev))
		return refuse(-ENODEV, why, why_len, dev_len == 0 ? "there is no name before the comma"
								  : "the name is too long");
	r->driver = "ethdev";
	snprintf(dev, sizeof(dev), "%.*s", (int)dev_len, text);
	if (pci_parse(text, pci) != 0) {
		r->kind = IFRES_PCI;
		snprintf(dev, sizeof(dev), "%s", pci);
	} else {
		r->kind = IFRES_VDEV;
	}
	if (env->port_exists(env->opaque, dev))
		r->kind = IFRES_PORT; /* its devargs were given when it was made: ours are idle */
	else if (r->kind == IFRES_VDEV && strncmp(dev, "net_", 4) != 0)
		return classify_netdev(text, IFRES_NETDEV, env, r, why, why_len);
	if (!set_names(r, dev, strlen(dev), r->kind == IFRES_PORT ? "" : args))
		return refuse(-ENODEV, why, why_len, "the name is too long");
	return 0;
}

int
ifres_classify(const char *text, const struct ifres_env *env, struct ifres *out, char *why, size_t why_len)
{
	struct ifres r = {0};
	int rc = classify(text != NULL ? text : "", env, &r, why, why_len);

	if (rc == 0)
		*out = r;
	return rc;
}

/* Is @addr among those that the kernel owns? */
static bool
is_owned(be32_t addr, const struct netlink_addr *owned, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (owned[i].addr.raw == addr.raw)
			return true;
	return false;
}

int
ifres_check_ipv4(const char *ipv4, const char *if_name, int if_index, const struct netlink_addr *owned,
		 uint32_t n, char *why, size_t why_len)
{
	if (ipv4 == NULL || ipv4[0] == '\0') {
		for (uint32_t i = 0; i < n; i++)
			if (owned[i].index == if_index)
				return refuse(-EINVAL, why, why_len,
					      "the kernel owns the addresses of %s and would reset the connections "
					      "of a stack that shared them; give the stack one of its own with "
					      "ipv4=ADDRESS/PREFIX",
					      if_name);
		return 0;
	}
	/* What does not parse here is refused by whoever reads the list in earnest. */
	for (const char *p = ipv4; *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
		char text[INET_ADDRSTRLEN];
		size_t len = strcspn(p, "/,");
		be32_t addr;

		if (len >= sizeof(text))
			continue;
		memcpy(text, p, len);
		text[len] = '\0';
		if (inet_pton(AF_INET, text, &addr) == 1 && is_owned(addr, owned, n))
			return refuse(-EINVAL, why, why_len,
				      "the kernel owns %s too and would reset the stack's connections; choose an "
				      "address in ipv4= that no interface of this machine has",
				      text);
	}
	return 0;
}

static int
live_link(void *opaque ZF_UNUSED, const char *name, int index, struct netlink_link *out)
{
	return index != 0 ? netlink_link_by_index(index, out) : netlink_link_by_name(name, out);
}

struct live_ports {
	bool (*exists)(const char *name);
};

static bool
live_port_exists(void *opaque, const char *name)
{
	const struct live_ports *p = opaque;

	return p->exists != NULL && p->exists(name);
}

/* The kernel's answer to the question of ifres_check_ipv4(). */
static int
check_kernel(const struct zf_attr *a, int if_index, const char *if_name, char *why, size_t why_len)
{
	uint32_t max = 64;
	int rc;

	for (;;) {
		struct netlink_addr *owned = calloc(max, sizeof(*owned));

		if (owned == NULL)
			return refuse(-ENOMEM, why, why_len, "out of memory");
		rc = netlink_addrs(0, owned, max);
		if (rc < 0)
			rc = refuse(rc, why, why_len, "the kernel cannot be asked for its addresses: %s (errno %d)",
				    strerror(-rc), -rc);
		else if ((uint32_t)rc <= max)
			rc = ifres_check_ipv4(a->ipv4, if_name, if_index, owned, (uint32_t)rc, why, why_len);
		free(owned);
		if (rc <= (int)max)
			return rc;
		max = (uint32_t)rc + 64; /* more than there was room for */
	}
}

int
ifres_check_kernel(const struct zf_attr *a, int if_index, const struct zf_log *log)
{
	char name[IF_NAMESIZE] = "?";
	char why[256];
	int rc;

	if_indextoname((unsigned int)if_index, name);
	rc = check_kernel(a, if_index, name, why, sizeof(why));
	if (rc < 0)
		zf_err(log, LC_CPLANE, "attribute interface=%s: %s", a->interface != NULL ? a->interface : "", why);
	return rc;
}

static int
resolve(const struct zf_attr *a, bool (*port_exists)(const char *name), struct ifres *r, char *why, size_t why_len)
{
	struct live_ports ports = {port_exists};
	const struct ifres_env env = {.opaque = &ports, .port_exists = live_port_exists, .link = live_link};
	int rc = ifres_classify(a->interface, &env, r, why, why_len);

	if (rc < 0)
		return rc;
	if (r->vlan != 0 && a->vlan != 0 && r->vlan != a->vlan)
		return refuse(-EINVAL, why, why_len,
			      "the VLAN device has tag %u but vlan=%lld is asked for; leave one of the two away",
			      r->vlan, (long long)a->vlan);
	if (r->vlan == 0)
		r->vlan = (uint16_t)a->vlan;
	if (r->if_index != 0)
		return check_kernel(a, r->if_index, a->interface, why, why_len);
	return 0;
}

int
ifres_resolve(const struct zf_attr *a, bool (*port_exists)(const char *name), const struct zf_log *log,
	      struct ifres *out)
{
	char why[256];
	struct ifres r;
	int rc = resolve(a, port_exists, &r, why, sizeof(why));

	if (rc < 0) {
		zf_err(log, LC_CPLANE, "attribute interface=%s: %s", a->interface != NULL ? a->interface : "", why);
		return rc;
	}
	*out = r;
	return 0;
}
