/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See netns.h. Each request is one message with an acknowledgement.
 */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ours_fd = -1, peer_fd = -1;

struct request {
	struct nlmsghdr h;
	uint8_t body[1024];
};

static void
put(struct request *r, const void *data, size_t len)
{
	memcpy((uint8_t *)r + NLMSG_ALIGN(r->h.nlmsg_len), data, len);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + (uint32_t)len;
}

static struct rtattr *
put_attr(struct request *r, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((uint8_t *)r + NLMSG_ALIGN(r->h.nlmsg_len));
	struct rtattr head = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(len)};

	put(r, &head, sizeof(head));
	if (len > 0)
		put(r, data, len);
	return a;
}

static void
end_attr(struct request *r, struct rtattr *a)
{
	a->rta_len = (uint16_t)((uint8_t *)r + NLMSG_ALIGN(r->h.nlmsg_len) - (uint8_t *)a);
}

static int
transact(struct request *r)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		uint8_t rest[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int rc = 0;

	if (fd < 0)
		return -errno;
	r->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, r, r->h.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		rc = -errno;
	else if (answer.h.nlmsg_type == NLMSG_ERROR)
		rc = answer.e.error;
	close(fd);
	return rc;
}

static struct request
request(uint16_t type, uint16_t flags)
{
	return (struct request){.h = {.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = type, .nlmsg_flags = flags}};
}

int
netns_make_pair(const char *name, const char *other, bool other_in_peer)
{
	struct request r = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg ifi = {0};
	struct rtattr *info, *data, *peer;

	put(&r, &ifi, sizeof(ifi));
	put_attr(&r, IFLA_IFNAME, name, strlen(name) + 1);
	info = put_attr(&r, IFLA_LINKINFO, NULL, 0);
	put_attr(&r, IFLA_INFO_KIND, "veth", 4);
	data = put_attr(&r, IFLA_INFO_DATA, NULL, 0);
	peer = put_attr(&r, VETH_INFO_PEER, NULL, 0);
	put(&r, &ifi, sizeof(ifi));
	put_attr(&r, IFLA_IFNAME, other, strlen(other) + 1);
	put_attr(&r, IFLA_NET_NS_FD, other_in_peer ? &peer_fd : &ours_fd, sizeof(peer_fd));
	end_attr(&r, peer);
	end_attr(&r, data);
	end_attr(&r, info);
	return transact(&r);
}

int
netns_make_veth(void)
{
	return netns_make_pair(NETNS_OURS, NETNS_PEER, true);
}

int
netns_delete(const char *ifname)
{
	struct request r = request(RTM_DELLINK, 0);
	struct ifinfomsg ifi = {.ifi_index = (int)if_nametoindex(ifname)};

	put(&r, &ifi, sizeof(ifi));
	return transact(&r);
}

int
netns_up(const char *ifname, bool up)
{
	struct request r = request(RTM_NEWLINK, 0);
	struct ifinfomsg ifi = {.ifi_index = (int)if_nametoindex(ifname), .ifi_change = IFF_UP,
				.ifi_flags = up ? IFF_UP : 0};

	put(&r, &ifi, sizeof(ifi));
	return transact(&r);
}

int
netns_addr(bool add, const char *ifname, uint32_t addr, uint8_t prefix_len)
{
	struct request r = request(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct ifaddrmsg ifa = {.ifa_family = AF_INET, .ifa_prefixlen = prefix_len,
				.ifa_index = if_nametoindex(ifname)};

	put(&r, &ifa, sizeof(ifa));
	put_attr(&r, IFA_LOCAL, &addr, sizeof(addr));
	put_attr(&r, IFA_ADDRESS, &addr, sizeof(addr));
	return transact(&r);
}

int
netns_route(const char *ifname, uint32_t dst, uint8_t prefix_len)
{
	struct request r = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg rtm = {.rtm_family = AF_INET, .rtm_dst_len = prefix_len, .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_LINK, .rtm_type = RTN_UNICAST};
	uint32_t oif = if_nametoindex(ifname);

	put(&r, &rtm, sizeof(rtm));
	put_attr(&r, RTA_DST, &dst, sizeof(dst));
	put_attr(&r, RTA_OIF, &oif, sizeof(oif));
	return transact(&r);
}

int
netns_no_offloads(const char *ifname)
{
	static const uint32_t commands[] = {ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct ethtool_value v = {.cmd = commands[i], .data = 0};
		struct ifreq ifr = {0};

		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
		ifr.ifr_data = (void *)&v;
		if (ioctl(fd, SIOCETHTOOL, &ifr) < 0 && errno != EOPNOTSUPP && rc == 0)
			rc = -errno;
	}
	close(fd);
	return rc;
}

void
netns_sysctl(const char *path, const char *value)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "%s: %s\n", full, strerror(errno));
	close(fd);
}

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Root of a user namespace of our own, or the root that we are. */
static int
become_root(void)
{
	char uid_map[64], gid_map[64];

	snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
	snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	write_file("/proc/self/setgroups", "deny");
	if (write_file("/proc/self/gid_map", gid_map) < 0)
		return -EPERM;
	return write_file("/proc/self/uid_map", uid_map);
}

static int
open_ns(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A machine that runs containers forwards by default; our two kernels are end systems. */
static void
be_an_end_system(void)
{
	netns_sysctl("ipv4/ip_forward", "0");
	netns_sysctl("ipv4/conf/all/rp_filter", "0");
	netns_sysctl("ipv4/conf/default/rp_filter", "0");
	netns_sysctl("ipv4/conf/default/forwarding", "0");
	netns_up("lo", true);
}

int
netns_setup(const char **step)
{
	int rc;

	*step = "a network namespace";
	rc = become_root();
	if (rc < 0)
		return rc;
	ours_fd = open_ns();
	be_an_end_system();
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	peer_fd = open_ns();
	be_an_end_system();
	netns_leave();
	*step = "a veth pair";
	return ours_fd < 0 ? ours_fd : peer_fd < 0 ? peer_fd : netns_make_veth();
}

void
netns_enter_peer(void)
{
	if (setns(peer_fd, CLONE_NEWNET) < 0)
		perror("setns");
}

void
netns_leave(void)
{
	if (setns(ours_fd, CLONE_NEWNET) < 0)
		perror("setns");
}
