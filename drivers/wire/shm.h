/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The memory of a wire: one head page and two rings, 2 MiB in all so that one huge page can hold it. It is always a
 * memfd, also between two stacks of one process: a memfd at an aligned address is what the kernel turns into a huge
 * page on request, and a forked child goes on sharing it with its parent.
 *
 * A memfd from another process is mapped only after shm_check(): kind, size and seals show that no access to the
 * mapping can ever raise SIGBUS, however hostile its maker.
 *
 * Mappings are made inside a reserved window of addresses that stays readable until shm_release(), because other
 * threads may be peeking at a ring while its memory is exchanged.
 */
#ifndef ZF_WIRE_SHM_H
#define ZF_WIRE_SHM_H

#include "wire/ring.h"

#define SHM_MAGIC   0x657269772d667aull /* "zf-wire" */
#define SHM_VERSION 3u
#define SHM_BYTES   (2u << 20)
#define SHM_HEAD    4096u

/* The layout in numbers. Two programs built from different releases refuse each other when any of them differ. */
struct shm_layout {
	uint32_t bytes;
	uint32_t head;
	uint32_t slots;
	uint32_t stride;
	uint32_t sheet;
	uint32_t frame_max;
};

/* What an end that is about to sleep says to the one that sends to it. A line each, so that reading it costs a sender
 * nothing while nobody sleeps. The sender does not fence between its frame and this word: the sleeper makes it, by
 * membarrier(2), for which the sender's process must have registered.
 */
struct shm_sleep {
	_Atomic uint32_t sleeping; /* 1: wake me; whoever takes it to 0 writes to the eventfd */
	_Atomic uint32_t looks;    /* this end registered, and looks at the other's word behind each frame */
	uint8_t pad[ZF_CACHE_LINE - 8];
};

/* First page. Filled by role 0 before role 1 sees it; a reader fetches each field once and believes none. */
struct shm_head {
	uint64_t magic;
	uint32_t version;
	uint32_t epoch;
	struct shm_layout layout;
	int32_t pid[2];          /* by role; for people who look */
	uint8_t pad[ZF_CACHE_LINE - 48];
	struct shm_sleep sleep[2]; /* by the role that receives */
};
ZF_STATIC_ASSERT(sizeof(struct shm_head) == 3 * ZF_CACHE_LINE, "sleeping words have lines of their own");
ZF_STATIC_ASSERT(SHM_HEAD + 2 * RING_BYTES <= SHM_BYTES, "head and two rings fit a huge page");

#define SHM_LAYOUT                                                                                 \
	((struct shm_layout){SHM_BYTES, SHM_HEAD, RING_SLOTS, RING_STRIDE, RING_SHEET, RING_FRAME_MAX})

/* The ring in which @role sends. */
static inline uint8_t *
shm_ring(struct shm_head *h, uint32_t role)
{
	return (uint8_t *)h + SHM_HEAD + (size_t)role * RING_BYTES;
}

bool shm_layout_same(const struct shm_layout *a, const struct shm_layout *b);

/* What an end that sleeps watches, edge-triggered, and the other writes to: always readable, read by nobody. -1: errno. */
int shm_eventfd(void);

/* A fresh memfd of SHM_BYTES zeros that can never change its size. The fd, or -errno. */
int shm_create(void);

/* 0 if @fd may be mapped without fear: a memfd of exactly SHM_BYTES, of small pages, sealed against another size.
 * Else -EINVAL.
 */
int shm_check(int fd);

/* Addresses for @n mappings, each aligned for a huge page. 0 or -ENOMEM. */
int shm_reserve(uint32_t n, uint8_t **out);
void shm_release(uint8_t *base, uint32_t n);

/* Replace what lies at @window (of shm_reserve) by @fd, prefaulted. 0 or -errno: then the window is reserved still. */
int shm_map(uint8_t *window, int fd);

#endif
