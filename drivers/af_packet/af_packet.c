/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A Linux interface by a packet socket of our own. DPDK's net_af_packet would do the same, but puts its sockets in a
 * fanout group that reassembles IP fragments before the ring and cuts the result to 2 KiB, waits without limit for room,
 * and hides which frames have no checksum yet; see doc/af-packet.md.
 */
#include "af_packet/af_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "af_packet/priv.h"

/* A packet socket reports no link changes: look now and then. */
#define LINK_LOOK_NS 500000000u

#define RING_MIN   64u
#define RING_MAX   32768u
#define BLOCK_MIN  65536u
#define MTU_MAX    9216u
/* Ethernet header, and a tag that is put in front of the payload. */
#define L2_BYTES   18u

struct af_packet_port {
	struct af_packet_queue q; /* first: on its own cache lines */
	struct netdev nd;
	size_t ring_bytes;
	bool started;
	enum port_link seen; /* by service() */
	uint64_t next_look_ns;
	struct log_limit limit;
	const struct port_host *host;
};

static int
fail(const struct af_packet_port *p, const char *what)
{
	int rc = -errno;

	zf_err(p->host->log, LC_CPLANE, "interface %s: %s: %s (errno %d); free memory, or lower rx_ring_max",
	       p->nd.name, what, strerror(-rc), -rc);
	return rc == -EPERM || rc == -EACCES || rc == -EBUSY ? rc : -ENOMEM;
}

/* Frames of the ring: what was wished, rounded up to a power of two. */
static int
ring_frames(const struct af_packet_port *p, uint32_t wish, uint32_t *out)
{
	if (wish > RING_MAX) {
		zf_err(p->host->log, LC_CPLANE, "attribute rx_ring_max=%u is refused: the maximum of a Linux interface is %u",
		       wish, RING_MAX);
		return -EINVAL;
	}
	*out = (uint32_t)zf_roundup_pow2(ZF_MAX(wish, RING_MIN));
	return 0;
}

static int
ring_map(struct af_packet_port *p, uint32_t frames, uint32_t mtu)
{
	const int version = TPACKET_V2;
	uint32_t frame = (uint32_t)zf_roundup_pow2(TPACKET2_HDRLEN + 64u + mtu + L2_BYTES);
	uint32_t block = ZF_MAX(frame, BLOCK_MIN);
	struct tpacket_req req = {.tp_block_size = block, .tp_frame_size = frame, .tp_frame_nr = frames,
				  .tp_block_nr = (uint32_t)((uint64_t)frames * frame / block)};
	void *ring;

	if (setsockopt(p->nd.fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(p->nd.fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return fail(p, "no receive ring");
	p->ring_bytes = (size_t)frames * frame;
	ring = mmap(NULL, p->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, p->nd.fd, 0);
	if (ring == MAP_FAILED)
		return fail(p, "the receive ring cannot be mapped");
	p->q.ring = ring;
	p->q.mask = frames - 1;
	p->q.frame_shift = (uint32_t)__builtin_ctz(frame);
	return 0;
}

static void
af_packet_close(void *priv)
{
	struct af_packet_port *p = priv;

	if (p->q.ring != NULL)
		munmap(p->q.ring, p->ring_bytes);
	netdev_close(&p->nd);
	free(p);
}

static void
info_fill(const struct af_packet_port *p, struct port_info *info)
{
	*info = (struct port_info){
		.mtu = (uint16_t)ZF_MIN(p->nd.mtu, MTU_MAX),
		.queues = 1,
		.caps = PORT_TX_COPIES | PORT_TX_REF_OK | PORT_TX_MULTISEG | PORT_TX_INDIRECT_OK |
			PORT_TX_EXTBUF_OK | PORT_RX_PEEK | PORT_RX_INTR,
		.socket_id = -1,
		.if_index = p->nd.if_index,
	};
	snprintf(info->driver, sizeof(info->driver), "af_packet");
	snprintf(info->if_name, sizeof(info->if_name), "%s", p->nd.name);
	memcpy(info->mac, p->nd.mac, sizeof(info->mac));
}

static int
open_ring(struct af_packet_port *p, const struct port_open_args *args)
{
	const int on = 1;
	uint32_t frames;
	int rc = ring_frames(p, args->rx_ring, &frames);

	if (rc == 0)
		rc = ring_map(p, frames, ZF_MIN(p->nd.mtu, MTU_MAX));
	/* What the kernel sends on the interface is none of ours; older kernels leave that to af_packet_rx(). */
	if (rc == 0)
		setsockopt(p->nd.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	return rc;
}

static int
af_packet_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	struct af_packet_port *p = aligned_alloc(ZF_CACHE_LINE, zf_align_up(sizeof(*p), ZF_CACHE_LINE));
	const char *name = args->name;
	int rc;

	if (p == NULL) {
		zf_err(args->host->log, LC_CPLANE, "interface %s: out of memory", name);
		return -ENOMEM;
	}
	if (strncmp(name, AF_PACKET_PREFIX, sizeof(AF_PACKET_PREFIX) - 1) == 0)
		name += sizeof(AF_PACKET_PREFIX) - 1;
	memset(p, 0, sizeof(*p));
	p->host = args->host;
	log_limit_init(&p->limit, 1, 60000000000u);
	rc = netdev_open(&p->nd, name, args->host->log);
	if (rc < 0) {
		free(p);
		return rc;
	}
	rc = open_ring(p, args);
	if (rc < 0) {
		af_packet_close(p);
		return rc;
	}
	info_fill(p, info);
	*priv = p;
	return 0;
}

static int
af_packet_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool)
{
	struct af_packet_port *p = priv;

	if (qid != 0) {
		zf_err(p->host->log, LC_CPLANE, "interface %s has one queue, not %u", p->nd.name, qid + 1u);
		return -EINVAL;
	}
	p->q.fd = p->nd.fd;
	p->q.pool = pool;
	p->q.host = p->host;
	return 0;
}

static int
af_packet_start(void *priv)
{
	struct af_packet_port *p = priv;
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = p->nd.if_index};

	if (bind(p->nd.fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return fail(p, "the packet socket cannot be bound");
	p->started = true;
	p->seen = PORT_LINK_DOWN;
	p->host->event(p->host->opaque, PORT_EV_LINK | PORT_EV_SERVICE);
	return 0;
}

static void
af_packet_queue_get(void *priv, uint16_t qid ZF_UNUSED, struct port_queue *out)
{
	struct af_packet_port *p = priv;

	*out = (struct port_queue){
		.rx = af_packet_rx,
		.tx = af_packet_tx,
		.rxq = &p->q,
		.txq = &p->q,
		.tx_copy = af_packet_tx_copy,
		.tx_copy_max = ZF_MIN(p->nd.mtu, MTU_MAX) + L2_BYTES,
		.peek = af_packet_peek,
	};
}

static enum port_link
af_packet_link(void *priv)
{
	const struct af_packet_port *p = priv;

	return p->started ? netdev_link(&p->nd) : PORT_LINK_DOWN;
}

static uint64_t
af_packet_service(void *priv, uint64_t now_ns)
{
	struct af_packet_port *p = priv;
	enum port_link link;

	if (p->q.long_due) {
		p->q.long_due = false;
		log_limited(&p->limit, now_ns, p->host->log, LC_CPLANE, LOG_WARN,
			    "interface %s: frames longer than its MTU were dropped; on the sender, if it is on this machine: "
			    "`ethtool -K INTERFACE tso off gso off`",
			    p->nd.name);
	}
	if (now_ns < p->next_look_ns)
		return p->next_look_ns;
	p->next_look_ns = now_ns + LINK_LOOK_NS;
	link = netdev_link(&p->nd);
	if (link != p->seen)
		p->host->event(p->host->opaque,
			       link == PORT_LINK_GONE ? PORT_EV_LINK | PORT_EV_REMOVED : PORT_EV_LINK);
	p->seen = link;
	return p->next_look_ns;
}

static int
af_packet_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n)
{
	struct af_packet_port *p = priv;

	return netdev_mc_list(&p->nd, macs, n);
}

/* The socket itself becomes readable when there is a frame in the ring. */
static int
af_packet_intr_fd(void *priv, uint16_t qid ZF_UNUSED)
{
	const struct af_packet_port *p = priv;

	return p->nd.fd;
}

static int
af_packet_intr_arm(void *priv ZF_UNUSED, uint16_t qid ZF_UNUSED, bool on ZF_UNUSED)
{
	return 0;
}

const struct port_driver af_packet_driver = {
	.name = "af_packet",
	.open = af_packet_open,
	.queue_setup = af_packet_queue_setup,
	.start = af_packet_start,
	.queue_get = af_packet_queue_get,
	.close = af_packet_close,
	.link = af_packet_link,
	.service = af_packet_service,
	.mc_list = af_packet_mc_list,
	.intr_fd = af_packet_intr_fd,
	.intr_arm = af_packet_intr_arm,
};
