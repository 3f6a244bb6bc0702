/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit alternatives: sets of frames that lie ready, of which the application lets one go by one cheap call. What is
 * decided here, when and with which result, is the same for alternatives in an adapter (struct port_alt_ops) and for those
 * of this file's own, whose frames are kept by the stack. doc/alternatives.md tells the story.
 *
 *	          queue                    send, cancel, end of the zocket
 *	EMPTY ------------> READY --------------------------------------------> DRAINING
 *	  ^                 |   ^                                                 |
 *	  |    header too old|   | a later poll, the port being done              | a later poll, the port being done
 *	  |                 v   |                                                 |
 *	  |                REBUILD (send, cancel, end of the zocket as well) -----+
 *	  +-----------------------------------------------------------------------+
 */
#ifndef ZF_STACK_ALT_H
#define ZF_STACK_ALT_H

#include "core/arena.h"
#include "stack/alt_space.h"
#include "tcp/prep.h"

/* As many as a virtual interface of an 8000 series adapter can have; no port has more. */
#define ALT_MAX 17u

enum alt_state {
	ALT_EMPTY,
	ALT_READY,    /* frames queued */
	ALT_REBUILD,  /* its frames leave the port; then their headers are made anew */
	ALT_DRAINING, /* its frames leave the port, and that is all */
};

struct alt {
	uint8_t state;    /* enum alt_state */
	bool taken;       /* the application has it */
	uint32_t zft;     /* index of the zocket it is tied to, or TCP_NONE */
	struct alt_held space;
	struct tcp_prep prep;
};

struct alt_room {
	uint32_t n;
	uint32_t rewind;  /* tcp_alt_ack_rewind, 1 or more */
	struct alt_space space;
	struct alt alts[];
};

/* From the arena, twice, see arena.h. NULL in the dry run, and if alt_count is 0. */
struct alt_room *alt_room_take(struct arena *a, const struct zf_attr *attr);
/* @buf_bytes: of the memory of the port's alternatives; 0: it has none. */
void alt_room_init(struct alt_room *r, const struct zf_attr *attr, uint32_t buf_bytes);
/* What CTX_OWED_ALT asks for: once a poll. */
void alt_run(struct zf_ctx *ctx);
/* A zocket with TF_ALT is over: ctx->zft_gone. */
void alt_zft_gone(struct zf_ctx *ctx, uint32_t zft);
/* Nothing drains, nothing is due. */
bool alt_is_quiet(const struct zf_ctx *ctx);
/* The port was reset: what was in its alternatives is gone from it. */
void alt_port_reset(struct zf_ctx *ctx);

#endif
