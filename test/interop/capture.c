/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See capture.h. TPACKET_V3: the kernel fills blocks in turn and stops where one was not given back; the oldest is given
 * back only when room is short.
 */
#include "capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK  (1u << 20)
#define BLOCKS 24u
#define KEPT   16u
#define SNAP   128

static int fd = -1;
static uint8_t *ring;
static uint32_t first, n_full; /* full blocks that are kept: first, first + 1, ... */

static struct tpacket_block_desc *
block(uint32_t i)
{
	return (struct tpacket_block_desc *)(void *)(ring + (size_t)(i % BLOCKS) * BLOCK);
}

int
capture_begin(const char *ifname)
{
	struct sock_filter snap = BPF_STMT(BPF_RET | BPF_K, SNAP);
	struct sock_fprog prog = {1, &snap};
	struct tpacket_req3 req = {.tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = 2048,
				   .tp_frame_nr = BLOCK / 2048 * BLOCKS, .tp_retire_blk_tov = 60000};
	struct sockaddr_ll l = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				.sll_ifindex = (int)if_nametoindex(ifname)};
	int version = TPACKET_V3, rc;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	first = n_full = 0;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) == 0 &&
	    bind(fd, (struct sockaddr *)&l, sizeof(l)) == 0) {
		ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (ring != MAP_FAILED)
			return 0;
	}
	rc = -errno;
	close(fd);
	fd = -1;
	return rc;
}

void
capture_turn(void)
{
	if (fd < 0)
		return;
	while (n_full < BLOCKS && block(first + n_full)->hdr.bh1.block_status & TP_STATUS_USER)
		n_full++;
	for (; n_full > KEPT; n_full--, first++) {
		atomic_thread_fence(memory_order_release);
		block(first)->hdr.bh1.block_status = TP_STATUS_KERNEL;
	}
}

static void
write_block(FILE *f, const struct tpacket_block_desc *b)
{
	const uint8_t *p = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;

	for (uint32_t i = 0; i < b->hdr.bh1.num_pkts; i++) {
		const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)(const void *)p;
		uint32_t rec[4] = {h->tp_sec, h->tp_nsec, h->tp_snaplen, h->tp_len};

		fwrite(rec, sizeof(rec), 1, f);
		fwrite(p + h->tp_mac, h->tp_snaplen, 1, f);
		p += h->tp_next_offset;
	}
}

static int
write_file(const char *file)
{
	/* pcap with nanoseconds, Ethernet. */
	const uint32_t head[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, SNAP, 1};
	FILE *f = fopen(file, "we");

	if (f == NULL)
		return -errno;
	capture_turn();
	fwrite(head, sizeof(head), 1, f);
	/* The last one is not full yet; nothing is under way that would change it. */
	for (uint32_t i = 0; i <= n_full && i < BLOCKS; i++)
		write_block(f, block(first + i));
	return fclose(f) == 0 ? 0 : -errno;
}

int
capture_end(const char *file)
{
	int rc = 0;

	if (fd < 0)
		return 0;
	if (file != NULL)
		rc = write_file(file);
	munmap(ring, (size_t)BLOCK * BLOCKS);
	close(fd);
	fd = -1;
	return rc;
}
