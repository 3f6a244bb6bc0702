/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A bad network: a thread that carries frames between two interfaces of this namespace and loses, doubles, delays,
 * reorders, marks and throttles them, all from one seed. Packet sockets at both ends; knows Ethernet and IPv4's ECN bits,
 * nothing of what is above.
 */
#ifndef ZF_TEST_BOX_H
#define ZF_TEST_BOX_H

#include <stdint.h>

/* One direction. Parts per million of the frames; ARP passes unharmed. */
struct box_way {
	uint32_t loss_ppm;
	uint32_t dup_ppm;
	uint32_t late_ppm; /* held back for late_us more: overtaken by those behind */
	uint32_t ce_ppm;   /* of frames with ECT: marked */
	uint32_t late_us;
	uint32_t delay_us;
	uint32_t rate_mbps; /* 0: no limit */
	uint32_t queue_bytes; /* before the limit; what comes on top is lost */
};

struct box_cfg {
	const char *a, *b; /* interfaces */
	struct box_way ab, ba;
	uint64_t seed;
};

struct box_stats {
	uint64_t frames, lost, doubled, late, marked, overflow, unsent;
};

/* 0 or -errno. One box at a time. */
int box_start(const struct box_cfg *cfg);
/* What became of the frames, by direction, if wanted. */
void box_stop(struct box_stats *ab, struct box_stats *ba);

#endif
