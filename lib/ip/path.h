/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Paths of one stack's zockets to their neighbours. A stack that has a connection to a host usually opens more: the last
 * path to each is remembered, and the stack holds a neighbour once for all of its paths, so that opening another one
 * takes no lock and looks nothing up.
 *
 * A neighbour that nobody needs any more stays held until ARP has something to do (ip_paths_sweep()), so a server whose
 * clients come one after the other does not hold and drop it each time; at most IP_PATHS_IDLE of them do, and only such
 * as answered. Who opens paths one at a time and keeps them (UDP) asks the interface itself.
 */
#ifndef ZF_IP_PATH_H
#define ZF_IP_PATH_H

#include "ip/netif.h"

#define IP_PATHS      16 /* remembered, by destination */
#define IP_PATHS_IDLE 16

struct zf_ctx;

struct ip_paths {
	struct ip_path_slot {
		uint32_t gen; /* netif_gen() that @path is of; 0: none */
		bool any_src; /* what a caller gets who names no source address */
		struct ip_path path;
	} slots[IP_PATHS];
	uint32_t n_idle; /* neighbours held, refs 0 */
	uint32_t refs[NEIGH_ENTRIES_DEFAULT];      /* paths, by neighbour */
	uint64_t held[NEIGH_ENTRIES_DEFAULT / 64]; /* a bit for each neighbour that the stack holds */
};

/* As netif_path_open() and netif_path_close(), for this stack. */
int ip_path_open(struct zf_ctx *ctx, be32_t src, be32_t dst, struct ip_path *p);
void ip_path_close(struct zf_ctx *ctx, struct ip_path *p);

/* Let go of the neighbours that no path needs. */
void ip_paths_sweep(struct zf_ctx *ctx);

#endif
