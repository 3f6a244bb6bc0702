/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See netlink.h. The first half parses, the second asks.
 */
#include "stack/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A position in a buffer that is not trusted: every step is checked against what is left. */
struct span {
	const uint8_t *p;
	size_t len;
};

/* Takes a header of @hdr bytes whose first field says the whole length (@size bytes wide). False: no more. */
static bool
span_next(struct span *s, size_t hdr, size_t claimed, struct span *body)
{
	if (claimed < hdr || claimed > s->len)
		return false;
	*body = (struct span){s->p + hdr, claimed - hdr};
	claimed = ZF_MIN(zf_align_up(claimed, 4), s->len);
	s->p += claimed;
	s->len -= claimed;
	return true;
}

static bool
attr_next(struct span *s, uint16_t *type, struct span *value)
{
	struct rtattr rta;

	if (s->len < sizeof(rta))
		return false;
	memcpy(&rta, s->p, sizeof(rta));
	*type = rta.rta_type & NLA_TYPE_MASK;
	return span_next(s, sizeof(rta), rta.rta_len, value);
}

/* Copies a fixed part; false if the value is shorter. */
static bool
span_copy(const struct span *s, void *out, size_t len)
{
	if (s->len < len)
		return false;
	memcpy(out, s->p, len);
	return true;
}

/* Text with or without its 0, cut to what fits. */
static void
span_text(const struct span *s, char *out, size_t room)
{
	size_t n = strnlen((const char *)s->p, ZF_MIN(s->len, room - 1));

	memcpy(out, s->p, n);
	out[n] = '\0';
}

static void
parse_vlan(struct span s, struct netlink_link *l)
{
	struct span v;
	uint16_t type;

	while (attr_next(&s, &type, &v))
		if (type == IFLA_VLAN_ID)
			span_copy(&v, &l->vlan, sizeof(l->vlan));
}

static void
parse_linkinfo(struct span s, struct netlink_link *l)
{
	struct span data = {NULL, 0};
	struct span v;
	uint16_t type;

	while (attr_next(&s, &type, &v)) {
		if (type == IFLA_INFO_KIND)
			span_text(&v, l->kind, sizeof(l->kind));
		else if (type == IFLA_INFO_DATA)
			data = v;
	}
	/* The numbers in the data mean something else for every kind. */
	if (strcmp(l->kind, "vlan") == 0)
		parse_vlan(data, l);
}

static void
parse_link(struct span s, const struct netlink_sink *sink)
{
	struct netlink_link l = {0};
	struct ifinfomsg ifi;
	bool foreign = false; /* the lower device is in another network namespace: its index says nothing here */
	struct span v;
	uint16_t type;

	if (sink->link == NULL || !span_copy(&s, &ifi, sizeof(ifi)))
		return;
	s.p += sizeof(ifi);
	s.len -= sizeof(ifi);
	l.index = ifi.ifi_index;
	l.flags = ifi.ifi_flags;
	while (attr_next(&s, &type, &v)) {
		switch (type) {
		case IFLA_IFNAME:
			span_text(&v, l.name, sizeof(l.name));
			break;
		case IFLA_ADDRESS:
			span_copy(&v, l.mac, sizeof(l.mac));
			break;
		case IFLA_MTU:
			span_copy(&v, &l.mtu, sizeof(l.mtu));
			break;
		case IFLA_LINK:
			span_copy(&v, &l.lower, sizeof(l.lower));
			break;
		case IFLA_LINK_NETNSID:
			foreign = true;
			break;
		case IFLA_LINKINFO:
			parse_linkinfo(v, &l);
			break;
		default:
			break;
		}
	}
	if (foreign)
		l.lower = 0;
	sink->link(sink->opaque, &l);
}

static void
parse_addr(struct span s, const struct netlink_sink *sink)
{
	struct netlink_addr a = {0};
	struct ifaddrmsg ifa;
	bool have = false;
	struct span v;
	uint16_t type;

	if (sink->addr == NULL || !span_copy(&s, &ifa, sizeof(ifa)) || ifa.ifa_family != AF_INET)
		return;
	s.p += sizeof(ifa);
	s.len -= sizeof(ifa);
	a.index = (int)ifa.ifa_index;
	a.prefix_len = ifa.ifa_prefixlen;
	while (attr_next(&s, &type, &v)) {
		/* On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, if there, is always ours. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && !have))
			have |= span_copy(&v, &a.addr, sizeof(a.addr)) && type == IFA_LOCAL;
	}
	if (a.addr.raw != 0)
		sink->addr(sink->opaque, &a);
}

static void
parse_route(struct span s, const struct netlink_sink *sink)
{
	struct netlink_route r = {0};
	struct rtmsg rtm;
	uint32_t table;
	struct span v;
	uint16_t type;

	if (sink->route == NULL || !span_copy(&s, &rtm, sizeof(rtm)) || rtm.rtm_family != AF_INET ||
	    rtm.rtm_type != RTN_UNICAST || rtm.rtm_dst_len > 32)
		return;
	s.p += sizeof(rtm);
	s.len -= sizeof(rtm);
	table = rtm.rtm_table;
	r.prefix_len = rtm.rtm_dst_len;
	while (attr_next(&s, &type, &v)) {
		if (type == RTA_DST)
			span_copy(&v, &r.dst, sizeof(r.dst));
		else if (type == RTA_GATEWAY)
			span_copy(&v, &r.gateway, sizeof(r.gateway));
		else if (type == RTA_OIF)
			span_copy(&v, &r.out_index, sizeof(r.out_index));
		else if (type == RTA_PRIORITY)
			span_copy(&v, &r.metric, sizeof(r.metric));
		else if (type == RTA_TABLE)
			span_copy(&v, &table, sizeof(table));
	}
	if (table == RT_TABLE_MAIN)
		sink->route(sink->opaque, &r);
}

/* The end of a dump or a refusal: both carry 0 or a negative errno. */
static int
parse_result(const struct span *s)
{
	int32_t err;

	if (!span_copy(s, &err, sizeof(err)))
		return 0;
	return err < 0 && err > -4096 ? err : 0;
}

int
netlink_parse(const void *buf, size_t len, uint32_t seq, const struct netlink_sink *sink)
{
	struct span s = {buf, len};
	bool changed = false;

	while (s.len >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr h;
		struct span body;

		memcpy(&h, s.p, sizeof(h));
		if (!span_next(&s, sizeof(h), h.nlmsg_len, &body))
			return -EBADMSG;
		if (h.nlmsg_seq != seq)
			continue;
		changed |= (h.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR) {
			int rc = parse_result(&body);

			return rc < 0 ? rc : changed ? -EINTR : 0;
		}
		if (h.nlmsg_type == RTM_NEWLINK)
			parse_link(body, sink);
		else if (h.nlmsg_type == RTM_NEWADDR)
			parse_addr(body, sink);
		else if (h.nlmsg_type == RTM_NEWROUTE)
			parse_route(body, sink);
	}
	return s.len != 0 ? -EBADMSG : changed ? -EINTR : 1;
}

/* A netlink socket that gives up on a kernel that does not answer, or -errno. */
static int
nl_open(void)
{
	const struct timeval patience = {.tv_sec = 2};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		rc = -errno;
		close(fd);
	}
	return rc < 0 ? rc : fd;
}

static int
nl_send(int fd, int rtm_get, uint32_t seq)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} req = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)), .nlmsg_type = (uint16_t)rtm_get,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = seq},
		.g = {.rtgen_family = rtm_get == RTM_GETLINK ? AF_UNSPEC : AF_INET},
	};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n = sendto(fd, &req, req.h.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel));

	return n < 0 ? -errno : 0;
}

/* The kernel fills at most 32 KiB, and less where the reader's buffer is smaller. */
#define NL_BUF_BYTES 32768

static int
nl_receive(int fd, uint32_t seq, const struct netlink_sink *sink, void *buf)
{
	int rc = 1;

	/* Bounded, so that nobody who floods the socket keeps us here. */
	for (int i = 0; i < 100000 && rc == 1; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, NL_BUF_BYTES, MSG_TRUNC, (struct sockaddr *)&from,
				     &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (from.nl_pid != 0) /* not from the kernel */
			continue;
		if ((size_t)n > NL_BUF_BYTES)
			return -EMSGSIZE;
		rc = netlink_parse(buf, (size_t)n, seq, sink);
	}
	return rc == 1 ? -ETIMEDOUT : rc;
}

int
netlink_dump(int rtm_get, const struct netlink_sink *sink)
{
	void *buf = malloc(NL_BUF_BYTES);
	int rc = -EINTR;

	if (buf == NULL)
		return -ENOMEM;
	for (uint32_t attempt = 1; attempt <= 4 && rc == -EINTR; attempt++) {
		int fd = nl_open(); /* a fresh socket: the rest of an interrupted dump goes away with the old */

		rc = fd < 0 ? fd : nl_send(fd, rtm_get, attempt);
		if (rc == 0)
			rc = nl_receive(fd, attempt, sink, buf);
		if (fd >= 0)
			close(fd);
	}
	free(buf);
	return rc;
}

struct link_wanted {
	const char *name; /* NULL: by index */
	int index;
	struct netlink_link found;
};

static void
link_match(void *opaque, const struct netlink_link *l)
{
	struct link_wanted *w = opaque;

	if (w->name != NULL ? strcmp(w->name, l->name) == 0 : w->index == l->index)
		w->found = *l;
}

static int
link_find(struct link_wanted *w, struct netlink_link *out)
{
	const struct netlink_sink sink = {.opaque = w, .link = link_match};
	int rc = netlink_dump(RTM_GETLINK, &sink);

	if (rc < 0)
		return rc;
	if (w->found.index == 0)
		return -ENODEV;
	*out = w->found;
	return 0;
}

int
netlink_link_by_name(const char *name, struct netlink_link *out)
{
	struct link_wanted w = {.name = name};

	return strlen(name) < IF_NAMESIZE ? link_find(&w, out) : -ENODEV;
}

int
netlink_link_by_index(int index, struct netlink_link *out)
{
	struct link_wanted w = {.index = index};

	return index != 0 ? link_find(&w, out) : -ENODEV;
}

struct addr_list {
	struct netlink_addr *out;
	uint32_t max;
	uint32_t n;
	int index;
};

static void
addr_append(void *opaque, const struct netlink_addr *a)
{
	struct addr_list *list = opaque;

	if (list->index != 0 && list->index != a->index)
		return;
	if (list->n < list->max)
		list->out[list->n] = *a;
	list->n++;
}

int
netlink_addrs(int index, struct netlink_addr *out, uint32_t max)
{
	struct addr_list list = {.out = out, .max = max, .index = index};
	const struct netlink_sink sink = {.opaque = &list, .addr = addr_append};
	int rc = netlink_dump(RTM_GETADDR, &sink);

	return rc < 0 ? rc : (int)list.n;
}
