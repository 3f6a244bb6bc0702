/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Linux interface beneath net_af_packet: may we, what is its MAC and MTU, is it up, which multicast groups shall its
 * filter pass. The PMD itself would answer by failing, by switching promiscuous mode on, or not at all.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ethdev/priv.h"

static int
ask(const struct netdev *nd, unsigned long request, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, nd->name, sizeof(nd->name));
	return ioctl(nd->fd, request, ifr) < 0 ? -errno : 0;
}

static int
packet_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
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

	snprintf(nd->name, sizeof(nd->name), "%s", name);
	nd->fd = packet_socket();
	if (nd->fd < 0) {
		rc = nd->fd;
		nd->fd = -1;
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

/* A fresh socket takes over from the old one: no group is lost between two lists, and nothing has to be compared. */
int
netdev_mc_list(struct netdev *nd, const uint8_t (*macs)[6], uint32_t n)
{
	int fd = packet_socket();

	if (fd < 0)
		return fd;
	for (uint32_t i = 0; i < n; i++) {
		struct packet_mreq m = {.mr_ifindex = nd->if_index, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6};

		memcpy(m.mr_address, macs[i], 6);
		if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0) {
			int rc = -errno;

			close(fd);
			return rc;
		}
	}
	close(nd->fd);
	nd->fd = fd;
	return 0;
}
