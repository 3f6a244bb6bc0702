/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Between the files of drivers/af_packet: af_packet.c (the table's calls), burst.c (frames), netdev.c (questions to the
 * kernel about the interface).
 */
#ifndef ZF_AF_PACKET_PRIV_H
#define ZF_AF_PACKET_PRIV_H

#include <stdatomic.h>

#include "af_packet/af_packet.h"
#include "core/pool.h"

struct af_packet_queue {
	/* R: every poll. A ring of frames that the kernel fills, shared with nobody else; `at` is the next one, written
	 * by the stack's thread before it gives a frame back, read by peek from any.
	 */
	uint8_t *ring;
	uint32_t mask;
	uint32_t frame_shift;
	_Atomic uint32_t at;
	int fd;
	struct zf_pool *pool;

	/* S: what went wrong; read by service(). */
	bool long_due;       /* rx_long has grown and service() was asked to say so */
	uint64_t rx_long;    /* longer than the ring's frames: super-frames of a sender with segmentation offload */
	uint64_t rx_no_mbuf; /* left in the ring for the time being */
	uint64_t tx_full;
	uint64_t tx_lost;    /* refused for good: interface down, gone, frame too long */
	const struct port_host *host;
};

uint16_t af_packet_rx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t af_packet_tx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t af_packet_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len);
bool af_packet_peek(const void *queue);

/* A Linux interface, and a packet socket on it that is not bound yet. */
struct netdev {
	int fd;
	int if_index;
	char name[IF_NAMESIZE];
	uint8_t mac[6];
	uint32_t mtu;
	/* Groups that the socket is a member of; the kernel forgets them with the socket, however the process ends. */
	uint8_t (*groups)[6];
	uint32_t n_groups;
};

/* 0, or -ENODEV, -EPERM or another errno with one logged line. */
int netdev_open(struct netdev *nd, const char *name, const struct zf_log *log);
void netdev_close(struct netdev *nd);
enum port_link netdev_link(const struct netdev *nd);
/* 0 or -errno: then the old groups and some of the new are in force. */
int netdev_mc_list(struct netdev *nd, const uint8_t (*macs)[6], uint32_t n);

#endif
