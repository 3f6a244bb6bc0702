/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The host side of IGMP version 3 (RFC 3376) for one interface, with versions 2 and 1 when their
 * queriers are about. Memberships of zockets, each with its source filter, are merged into what the
 * interface tells the routers. Pure: input and joins set timers, run emits payloads; the caller
 * puts them behind an IP header with TTL 1 and router alert. Shared by stacks: under the caller's
 * lock, except igmp_wants().
 */
#ifndef ZF_IP_IGMP_H
#define ZF_IP_IGMP_H

#include "base/be.h"
#include "base/compiler.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "ip/wire.h"

#define IGMP_GROUPS_DEFAULT  256
#define IGMP_SOURCES_DEFAULT 1024
/* Per group, so that every record fits one packet. */
#define IGMP_GROUP_SOURCES_MAX 64
/* A group-and-source query about more than these is answered as if about the group. */
#define IGMP_ASKED_SOURCES_MAX 16
/* Bytes of payload that fit any link: 576 less IP header and router alert. */
#define IGMP_PAYLOAD_MIN 552
#define IGMP_PAYLOAD_MAX 1476

enum igmp_mode {
	IGMP_INCLUDE, /* from these sources only */
	IGMP_EXCLUDE, /* from all but these */
};

enum igmp_result {
	IGMP_IN_HANDLED, /* a query that we answer, or a report that spares us ours */
	IGMP_IN_OTHER,   /* concerns no group of ours */
	IGMP_IN_BAD,     /* malformed, or not from this link */
};

/* What the caller knows from the IP header. */
struct igmp_ip {
	be32_t src;
	be32_t dst;
	uint8_t ttl;
	bool router_alert;
	bool src_on_link; /* on one of the interface's subnets; 0.0.0.0 is accepted anyway */
	bool dst_is_ours; /* a unicast address of the interface */
};

struct igmp;

/* @dst: where the payload goes. Must not call igmp_*. */
typedef void (*igmp_emit_fn)(void *arg, be32_t dst, const void *payload, size_t len);

/* Bytes that igmp_init() needs, 8-byte aligned. */
size_t igmp_bytes(uint32_t max_groups, uint32_t max_sources);

/* @hz: cycles per second of every `now`; @max_payload: what fits the MTU after 24 bytes of IP
 * header (clamped to IGMP_PAYLOAD_MIN..MAX); @rng is kept, not owned.
 */
struct igmp *igmp_init(void *mem, uint32_t max_groups, uint32_t max_sources, uint32_t max_payload,
		       uint64_t hz, struct rng *rng, uint64_t now);

/* One zocket's membership. Joins are counted: each needs its igmp_leave() with the same mode and
 * sources, whose order does not matter. IGMP_EXCLUDE with no source is the plain join.
 *
 * @retval -EINVAL  not a multicast group, a source that is no unicast address or given twice,
 * INCLUDE of nothing
 * @retval -ENOBUFS tables or the group's source list full; nothing changed
 */
int igmp_join(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n,
	      uint64_t now);
/* -ENOENT: no such membership */
int igmp_leave(struct igmp *g, be32_t group, enum igmp_mode mode, const be32_t *sources, unsigned n,
	       uint64_t now);

/* Does any membership want this? Lock-free; while a writer is at work it may say yes wrongly, for
 * each zocket applies its own filter anyway. 224.0.0.1 is always wanted.
 */
bool igmp_wants(const struct igmp *g, be32_t group, be32_t source);

/* Is the group joined at all (whatever the sources)? Lock-free, as above. */
bool igmp_has_group(const struct igmp *g, be32_t group);

/* The IP payload @p of @len bytes, any content; whole datagrams only, never a fragment. */
enum igmp_result igmp_input(struct igmp *g, const struct igmp_ip *ip, const void *p, size_t len,
			    uint64_t now);

/* The link came back: tell everything again. */
void igmp_link_up(struct igmp *g, uint64_t now);

/* Emits what is due. Returns when to call again, UINT64_MAX: nothing to do. */
uint64_t igmp_run(struct igmp *g, uint64_t now, igmp_emit_fn emit, void *arg);

/* Lock-free. */
uint64_t igmp_next_due(const struct igmp *g);

/* 1, 2 or 3: the version spoken now. */
unsigned igmp_version(const struct igmp *g, uint64_t now);

#endif
