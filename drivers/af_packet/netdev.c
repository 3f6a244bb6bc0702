/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Linux interface beneath a packet socket: may we, what is its MAC and MTU, is it up, which multicast groups shall
 * its filter pass. Knows nothing of frames.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "af_packet/priv.h"

static int
ask(const struct netdev *nd, unsigned long request, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, nd->name, sizeof(nd->name));
	return ioctl(nd->fd, request, ifr) < 0 ? -errno : 0;
}

static int
ask_all(struct netdev *nd, const struct zf_log *log)
{
	struct ifreq ifr;
	int rc = ask(nd, SIOCGIFINDEX, &ifr);

	if (rc == 0) {
		nd->if_index = ifr.ifr_ifindex;
		rc = ask(nd, SIOCGIFMTU, &ifr);
	}
	if (rc == 0) {
		nd->mtu = (uint32_t)ifr.ifr_mtu;
		rc = ask(nd, SIOCGIFHWADDR, &ifr);
	}
	if (rc < 0) {
		zf_err(log, LC_CPLANE, "interface %s: the kernel refuses to describe it: %s (errno %d); see `ip link`",
		       nd->name, strerror(-rc), -rc);
		return rc;
	}
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		zf_err(log, LC_CPLANE, "interface %s carries no Ethernet (type %u); name one that does", nd->name,
		       ifr.ifr_hwaddr.sa_family);
		return -ENODEV;
	}
	memcpy(nd->mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

/* A forwarding kernel answers for addresses that are not its own: it sends back ICMP errors, or the frame. */
static void
warn_if_forwarding(const struct netdev *nd, const struct zf_log *log)
{
	char path[64 + IF_NAMESIZE];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", nd->name);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	c = fgetc(f);
	fclose(f);
	if (c == '1')
		zf_warn(log, LC_CPLANE,
			"interface %s: the kernel forwards what is for the stack and may answer with ICMP errors; "
			"`sysctl net.ipv4.conf.%s.forwarding=0` stops that",
			nd->name, nd->name);
}

int
netdev_open(struct netdev *nd, const char *name, const struct zf_log *log)
{
	int rc;

	*nd = (struct netdev){.fd = -1};
	if (strlen(name) >= sizeof(nd->name)) {
		zf_err(log, LC_CPLANE, "interface %s: no Linux interface has so long a name", name);
		return -ENODEV;
	}
	snprintf(nd->name, sizeof(nd->name), "%s", name);
	/* Protocol 0: nothing is received before it is bound. */
	nd->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (nd->fd < 0) {
		rc = -errno;
		zf_err(log, LC_CPLANE,
		       "interface %s: no packet socket: %s (errno %d); run as root, or give the program CAP_NET_RAW "
		       "(setcap cap_net_raw+ep FILE), or use a wire",
		       name, strerror(-rc), -rc);
		return rc == -EACCES ? -EPERM : rc;
	}
	rc = ask_all(nd, log);
	if (rc < 0) {
		netdev_close(nd);
		return rc;
	}
	warn_if_forwarding(nd, log);
	return 0;
}

void
netdev_close(struct netdev *nd)
{
	if (nd->fd >= 0)
		close(nd->fd);
	nd->fd = -1;
	free(nd->groups);
	nd->groups = NULL;
	nd->n_groups = 0;
}

enum port_link
netdev_link(const struct netdev *nd)
{
	const short up = IFF_UP | IFF_RUNNING;
	struct ifreq ifr;

	/* Another interface may have got the name meanwhile; ours does not come back. */
	if (ask(nd, SIOCGIFINDEX, &ifr) < 0 || ifr.ifr_ifindex != nd->if_index)
		return PORT_LINK_GONE;
	if (ask(nd, SIOCGIFFLAGS, &ifr) < 0)
		return PORT_LINK_GONE;
	return (ifr.ifr_flags & up) == up ? PORT_LINK_UP : PORT_LINK_DOWN;
}

static int
membership(const struct netdev *nd, int option, const uint8_t (*macs)[6], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct packet_mreq m = {.mr_ifindex = nd->if_index, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6};

		memcpy(m.mr_address, macs[i], 6);
		if (setsockopt(nd->fd, SOL_PACKET, option, &m, sizeof(m)) < 0)
			return -errno;
	}
	return 0;
}

/* The kernel counts memberships: joining all of the new list before leaving all of the old one loses nothing between.
 * Needs no privilege, so a process may have given them up by now.
 */
int
netdev_mc_list(struct netdev *nd, const uint8_t (*macs)[6], uint32_t n)
{
	uint8_t(*copy)[6] = malloc((size_t)n * 6 + 1);
	int rc;

	if (copy == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, macs, (size_t)n * 6);
	rc = membership(nd, PACKET_ADD_MEMBERSHIP, macs, n);
	if (rc < 0) {
		free(copy);
		return rc;
	}
	membership(nd, PACKET_DROP_MEMBERSHIP, (const uint8_t(*)[6])nd->groups, nd->n_groups);
	free(nd->groups);
	nd->groups = copy;
	nd->n_groups = n;
	return 0;
}
