/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An IP interface: a port and a VLAN on it, with addresses, router, neighbours, group memberships, path MTUs and the
 * register of bound ports. It belongs to the process and is shared by the stacks on the port; what a stack copied
 * from it into headers is valid while netif_gen() stands still.
 *
 * Every function takes the lock inside, but for those marked lock-free. Nothing is sent from here: output_netif_run()
 * (ip/output.h) emits what is due, on the thread and through the port queue of the stack that calls it.
 */
#ifndef ZF_IP_NETIF_H
#define ZF_IP_NETIF_H

#include <pthread.h>

#include "base/lock.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "ip/igmp.h"
#include "ip/neigh.h"
#include "ip/parse.h"

#define NETIF_MEMBERS    64 /* stacks: bits of an owner mask */
#define NETIF_PMTUS      64
#define NETIF_PMTU_MIN   552 /* a router that claims less is not believed (RFC 1191 allows 68) */
#define NETIF_PMTU_LIFE_S 600
#define NETIF_NO_NEIGH   (-1)

/* Ephemeral ports (RFC 6056): random within the upper half of the port space. */
#define NETIF_EPHEMERAL_MIN 32768u

/* Where packets to one destination go. */
struct ip_path {
	be32_t src;
	be32_t dst;
	be32_t next_hop;
	int32_t neigh;  /* entry held, or NETIF_NO_NEIGH: multicast, broadcast, own address on a loop */
	uint16_t mtu;   /* of the path: the port's, or less */
	bool resolved;  /* mac is valid */
	struct eth_addr mac;
};

struct netif_addr {
	be32_t ip;
	uint8_t prefix_len;
	uint64_t owners; /* stacks that were configured with it */
};

/* One place in the register of bindings. How the words are divided is netif_bind.c's affair: they are compared and hashed
 * as they are.
 */
struct netif_bind {
	uint64_t ips;
	uint64_t rest; /* 0: free */
};
/* A port reserved by a zocket that never receives. */
#define NETIF_TX_ONLY 0x80u

struct netif_binds {
	struct lock lock; /* of its own: a table that grows holds up nobody's ARP; n->lock may be taken inside */
	uint32_t n;       /* places in use */
	uint32_t limit;   /* of n, beyond which the table grows */
	uint32_t mask;    /* places - 1 */
	struct netif_bind *tab; /* NULL before the first binding */
	uint32_t n_half;  /* bindings that fix only one of remote address and port */
	uint32_t draws_left;
	uint64_t draws;  /* random bits for ephemeral ports, as many as draws_left says */
	uint64_t n_draws;
	uint64_t secret[2];
	struct siphash_key port_key;
};

struct netif_pmtu {
	be32_t dst;
	uint16_t mtu; /* 0: free */
	uint64_t expires;
};

struct netif;

/* See netif_bind() and netif_unbind(). */
typedef int (*netif_bind_fn)(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip,
			     be16_t rport, bool many);
typedef void (*netif_unbind_fn)(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport,
				be32_t rip, be16_t rport);

struct netif {
	_Atomic uint32_t gen; /* never 0 */
	uint32_t neigh_gen_seen;
	pthread_mutex_t lock;
	struct eth_addr mac;
	uint16_t vlan; /* 0: untagged */
	uint16_t mtu;
	uint32_t caps; /* enum port_cap */
	uint64_t hz;
	uint64_t members; /* stacks, by slot */
	uint32_t n_addrs;
	struct netif_addr addrs[PARSE_ADDRS];
	be32_t gateway;
	struct neigh_table *neigh;
	struct igmp *igmp;
	struct rng rng;
	uint64_t pmtu_due;
	struct netif_pmtu pmtus[NETIF_PMTUS];
	struct netif_binds binds;
	/* The register alone, or one that has frames steered as well (stack/steer.c). Behind pointers, since that costs a
	 * port without steering no instruction.
	 */
	netif_bind_fn bind;
	netif_unbind_fn unbind;
	void *bind_arg;
	/* Told the complete list of multicast MACs whenever it changes. */
	void (*mc_changed)(void *arg, const uint8_t (*macs)[6], uint32_t n);
	void *mc_arg;
	/* Told, under the lock, that the generation moved: stacks that sleep do not compare. */
	void (*moved)(void *arg);
	void *moved_arg;
	struct netif_group {
		be32_t group;
		uint32_t refs;
	} groups[IGMP_GROUPS_DEFAULT];
	uint32_t n_groups;
};

/* 0 or -ENOMEM. @seed: 0 takes one from the system. */
int netif_init(struct netif *n, const struct eth_addr *mac, uint16_t mtu, uint16_t vlan, uint32_t caps,
	       uint64_t hz, uint64_t seed, uint64_t now);
void netif_fini(struct netif *n);

/* Lock-free; never 0. */
static ZF_ALWAYS_INLINE uint32_t
netif_gen(const struct netif *n)
{
	return atomic_load_explicit(&n->gen, memory_order_acquire);
}

/* A slot for one more stack, or -EBUSY. */
int netif_join_stack(struct netif *n);
/* Frees the slot and whatever it still owned: addresses, bindings. */
void netif_leave_stack(struct netif *n, unsigned slot, uint64_t now);

/* 0, -EINVAL (not a host's address), -ENOSPC. The same address may be given by several stacks. */
int netif_addr_add(struct netif *n, unsigned slot, be32_t ip, unsigned prefix_len, uint64_t now);
/* 0 or -EINVAL: not on a subnet of ours, or another one is set already. */
int netif_gateway_set(struct netif *n, be32_t gateway);
bool netif_addr_is_own(struct netif *n, unsigned slot, be32_t ip);
/* Multicast and broadcast are not; a directed broadcast is recognised by the prefixes. */
bool netif_addr_is_bcast(struct netif *n, be32_t ip);
/* @slot NETIF_ALL_SLOTS: the addresses of all stacks. */
#define NETIF_ALL_SLOTS NETIF_MEMBERS
void netif_parse_env(struct netif *n, unsigned slot, struct parse_env *env);
/* Have every stack check its paths and headers again. */
void netif_touch(struct netif *n);

/* Route, source address (@src 0.0.0.0: chosen) and neighbour. 0, -EHOSTUNREACH, -EADDRNOTAVAIL, -EINVAL. */
int netif_path_open(struct netif *n, unsigned slot, be32_t src, be32_t dst, uint64_t now, struct ip_path *p);
void netif_path_close(struct netif *n, struct ip_path *p, uint64_t now);
/* After the generation moved. */
void netif_path_refresh(struct netif *n, struct ip_path *p);
/* A frame waits for the path's neighbour: see that it is asked for. Returns its state. */
enum neigh_state netif_path_want(struct netif *n, const struct ip_path *p, uint64_t now);

/* A reference to the neighbour @ip of its own; < 0 as neigh_hold(). */
int netif_neigh_hold(struct netif *n, be32_t ip, uint64_t now);
void netif_neigh_drop(struct netif *n, int neigh, uint64_t now);

/* A router says that @dst takes at most @mtu. True if that changed something. */
bool netif_pmtu_lower(struct netif *n, be32_t dst, uint16_t mtu, uint64_t now);

/* Register a binding; *@lport 0 picks an ephemeral port. 0, -EADDRINUSE, -ENOMEM (*@lport untouched); where a filter of
 * the port goes with it also -EBUSY (its table is full) and what else filter_add() gives (core/port.h). Only @many may fix
 * one of remote address and port and leave the other open (0).
 *
 * What conflicts (unless both are of @many): bindings that are equal in all that they fix. Any remote (0.0.0.0:0) and one
 * remote may therefore share a port: frames of that one are the pair's.
 * Ephemeral ports are random (RFC 6056). UDP: one that nobody has bound on @lip in any way. TCP: one that no binding to
 * any remote has and no connection to the same remote, so that each remote has all of the range.
 */
static ZF_ALWAYS_INLINE int
netif_bind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip, be16_t rport,
	   bool many)
{
	return n->bind(n, slot, proto, lip, lport, rip, rport, many);
}

/* Exactly one binding of this stack with exactly these addresses; no-op if there is none. */
static ZF_ALWAYS_INLINE void
netif_unbind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	n->unbind(n, slot, proto, lip, lport, rip, rport);
}

/* The register alone. */
int netif_bind_plain(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip,
		     be16_t rport, bool many);
void netif_unbind_plain(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport, be32_t rip,
			be16_t rport);
/* Have room for @more bindings (of UDP: half as many), so that they allocate nothing. 0 or -ENOMEM. */
int netif_bind_reserve(struct netif *n, uint32_t more);
#if defined(ZF_TEST) && ZF_TEST
extern bool netif_bind_no_memory; /* the table cannot grow */
#endif
/* Stacks that want a packet with these addresses: the pair's owner, else the wildcard's; all of @many. */
uint64_t netif_bind_owners(struct netif *n, uint8_t proto, be32_t lip, be16_t lport, be32_t rip,
			   be16_t rport, bool many);
/* Stacks that have this address. */
uint64_t netif_addr_owners(struct netif *n, be32_t ip);

/* @source 0.0.0.0: any. 0, -EINVAL, -ENOMEM. */
int netif_group_join(struct netif *n, be32_t group, be32_t source, uint64_t now);
void netif_group_leave(struct netif *n, be32_t group, be32_t source, uint64_t now);

void netif_link_up(struct netif *n, uint64_t now);
/* Calls mc_changed again, for a port that may have forgotten. */
void netif_groups_tell(struct netif *n);

/* Received packets, already through the parser. */
void netif_arp_input(struct netif *n, const struct hdr_arp *arp, uint64_t now, struct neigh_result *out);
enum igmp_result netif_igmp_input(struct netif *n, const struct seg *s, const void *p, uint64_t now);

/* Between netif.c and netif_bind.c. Under the lock: */
void netif_gen_bump(struct netif *n);
/* and without it: */
void netif_unbind_slot(struct netif *n, unsigned slot);
void netif_bind_fini(struct netif *n);

/* Emits what ARP and IGMP have due; returns when to call again. */
uint64_t netif_run(struct netif *n, uint64_t now, neigh_emit_fn arp, igmp_emit_fn igmp, void *arg);
/* Lock-free. */
uint64_t netif_next_due(const struct netif *n);

#endif
