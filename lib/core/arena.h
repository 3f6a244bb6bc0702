/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The arena: one shared mapping that holds all state of a stack that anyone may want to look at. It is a memfd named
 * `zf:stack:ID`, so that zf_stackdump can map it read-only through /proc/PID/fd without help from the process, and
 * a dead process leaves nothing behind. Huge pages if there are free ones, else advised; prefaulted at allocation, so
 * that the data path meets no page fault.
 *
 * Sizes are found by a dry run: the same sequence of arena_take() calls on an arena that is not mapped yet returns
 * NULL and adds up. Nothing is ever given back before arena_close().
 */
#ifndef ZF_CORE_ARENA_H
#define ZF_CORE_ARENA_H

#include "base/compiler.h"
#include "base/log.h"

#define ARENA_MAGIC   0x7a662d6470646b31ull /* "zf-dpdk1" */
#define ARENA_VERSION 1u

/* At offset 0 of the mapping; what a reader in another process checks first. */
struct arena_head {
	uint64_t magic;
	uint32_t version;
	uint32_t stack_id;
	uint64_t bytes;
	uint64_t layout_hash; /* of the .def files and this build: a reader of another build keeps away */
	int32_t pid;
	uint32_t state; /* 0 being made, 1 in use, 2 being freed */
	char name[24];
	char interface[64];
	uint64_t stack_off; /* of struct zf_stack */
};

struct arena {
	char *base; /* NULL: dry run */
	uint64_t bytes;
	uint64_t used;
	int fd;
	bool huge;
};

void arena_dry(struct arena *a);
/* @len bytes aligned to @align (a power of two), zeroed. NULL in a dry run. */
void *arena_take(struct arena *a, uint64_t len, uint64_t align);
/* Map an arena for what the dry run @a added up. 0 or -errno, with one logged line. */
int arena_open(struct arena *a, uint32_t stack_id, const struct zf_log *log);
void arena_close(struct arena *a);

#endif
