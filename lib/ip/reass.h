/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv4 reassembly in bounded memory. Fragments are opaque handles with a place in their datagram;
 * whoever calls has checked the IP header and knows what a handle is. No packet is read here, none
 * is made.
 *
 * Every fragment ends once: as a result other than REASS_HELD, in a completed datagram, or through
 * the drop callback with the reason.
 */
#ifndef ZF_IP_REASS_H
#define ZF_IP_REASS_H

#include "base/be.h"
#include "base/compiler.h"

/* Per datagram: 64 KiB over an MTU of 576 is 119. It also bounds the walk that one fragment costs.
 */
#define REASS_FRAGS_MAX 128

enum reass_result {
	REASS_HELD,    /* taken */
	REASS_DONE,    /* taken, and the datagram is complete */
	REASS_DUP,     /* exactly what is held already: ignored */
	REASS_BAD,     /* impossible offset or length, or too short a start to hold the L4 header */
	REASS_OVERLAP, /* contradicts what is held: the whole datagram is discarded (RFC 5722's
			  rule) */
	REASS_LIMIT,   /* no room, or made room for a younger datagram */
	REASS_TIMEOUT, /* drop callback only: never completed */
	REASS_FLUSHED, /* drop callback only: reass_flush() */
};

struct reass_frag {
	be32_t src;
	be32_t dst;
	be16_t id;
	uint8_t proto;
	bool more;
	uint16_t hdr_len; /* of this fragment's IP header, bytes */
	uint16_t offset;  /* bytes, as the header's 13 bits times 8 */
	uint16_t len;     /* payload bytes */
	void *handle;
};

struct reass_datagram {
	uint16_t n;
	uint16_t len; /* payload bytes of the whole datagram; with the first header <= 65535 */
	void *frag[REASS_FRAGS_MAX]; /* in order of offset; the caller's again */
};

/* @why: OVERLAP, LIMIT, TIMEOUT, FLUSHED or BAD. @is_first: this fragment begins the datagram;
 * after a TIMEOUT (and only if there is one) a Time Exceeded that quotes it may be sent (RFC 792).
 * Must not call reass_*.
 */
typedef void (*reass_drop_fn)(void *arg, void *handle, enum reass_result why, bool is_first);

struct reass;

/* Bytes that reass_init() needs, 8-byte aligned. */
size_t reass_bytes(uint32_t max_datagrams, uint32_t max_frags);

/* @max_frags and @max_bytes (of payload) bound all held fragments together; @timeout in the unit of
 * every `now` here (cycles), 60 s in production (RFC 1122 3.3.2). All limits are at least 1.
 */
struct reass *reass_init(void *mem, uint32_t max_datagrams, uint32_t max_frags, uint32_t max_bytes,
			 uint64_t timeout, const uint64_t secret[2], reass_drop_fn drop, void *arg);

/* The handle is taken on HELD and DONE and stays the caller's on every other result. @out is
 * written on DONE. */
enum reass_result reass_input(struct reass *r, const struct reass_frag *f, uint64_t now,
			      struct reass_datagram *out);

/* Ends what has timed out. Returns when to call again, UINT64_MAX when nothing is held. */
uint64_t reass_run(struct reass *r, uint64_t now);

/* What the last reass_run() would return now: for the idle path. */
uint64_t reass_next_due(const struct reass *r);

/* Gives every held fragment back. */
void reass_flush(struct reass *r);

uint32_t reass_held_frags(const struct reass *r);
uint32_t reass_held_bytes(const struct reass *r);
uint32_t reass_held_datagrams(const struct reass *r);

#endif
