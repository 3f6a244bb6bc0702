/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The register of bound ports of an interface, over all its stacks: who may bind what, which ephemeral port is free,
 * and, on a queue that stacks share, whose a frame is. Cold: a list for each hash of (protocol, local port).
 */
#include <errno.h>
#include <stdlib.h>

#include "ip/netif.h"

static struct netif_bind **
bucket(struct netif *n, be16_t lport)
{
	return &n->binds[(lport.raw * 0x9e3779b1u >> 16) % NETIF_BIND_HASH];
}

static bool
same_proto(const struct netif_bind *b, uint8_t proto)
{
	return ((b->proto ^ proto) & ~NETIF_TX_ONLY) == 0;
}

/* Would this pair get frames that @b gets? Only equal pairs clash: the more exact one of two always wins. */
static bool
clashes(const struct netif_bind *b, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport)
{
	return b->proto == proto && !b->many && be16_eq(b->lport, lport) && be32_eq(b->lip, lip) &&
	       be32_eq(b->rip, rip) && be16_eq(b->rport, rport);
}

static bool
port_taken(struct netif *n, uint8_t proto, be32_t lip, be16_t lport)
{
	for (const struct netif_bind *b = *bucket(n, lport); b != NULL; b = b->next)
		if (same_proto(b, proto) && be16_eq(b->lport, lport) && be32_eq(b->lip, lip))
			return true;
	return false;
}

/* RFC 6056 3.3.1: a random start, then the next free one. */
static bool
pick_port(struct netif *n, uint8_t proto, be32_t lip, be16_t *lport)
{
	uint32_t span = 65536u - NETIF_EPHEMERAL_MIN;
	uint32_t start = (uint32_t)rng_below(&n->rng, span);

	for (uint32_t i = 0; i < span; i++) {
		be16_t p = be16_from((uint16_t)(NETIF_EPHEMERAL_MIN + (start + i) % span));

		if (port_taken(n, proto, lip, p))
			continue;
		*lport = p;
		return true;
	}
	return false;
}

int
netif_bind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t *lport, be32_t rip,
	   be16_t rport, bool many)
{
	struct netif_bind *b = malloc(sizeof(*b));
	be16_t port = *lport;
	int rc = 0;

	if (b == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&n->lock);
	if (be16_is_zero(port)) {
		if (!pick_port(n, proto, lip, &port))
			rc = -EADDRINUSE;
	} else if (!many) {
		for (const struct netif_bind *o = *bucket(n, port); o != NULL; o = o->next)
			if (clashes(o, proto, lip, port, rip, rport))
				rc = -EADDRINUSE;
	}
	if (rc == 0) {
		struct netif_bind **head = bucket(n, port);

		*b = (struct netif_bind){*head, lip, rip, port, rport, proto, many, (uint8_t)slot};
		*head = b;
		*lport = port;
		b = NULL;
	}
	pthread_mutex_unlock(&n->lock);
	free(b);
	return rc;
}

void
netif_unbind(struct netif *n, unsigned slot, uint8_t proto, be32_t lip, be16_t lport, be32_t rip,
	     be16_t rport)
{
	struct netif_bind *gone = NULL;

	pthread_mutex_lock(&n->lock);
	for (struct netif_bind **pp = bucket(n, lport); *pp != NULL; pp = &(*pp)->next) {
		struct netif_bind *b = *pp;

		if (b->slot == slot && b->proto == proto && be16_eq(b->lport, lport) &&
		    be32_eq(b->lip, lip) && be32_eq(b->rip, rip) && be16_eq(b->rport, rport)) {
			*pp = b->next;
			gone = b;
			break;
		}
	}
	pthread_mutex_unlock(&n->lock);
	free(gone);
}

/* @slot < 0: all. */
static void
unbind_all(struct netif *n, int slot)
{
	pthread_mutex_lock(&n->lock);
	for (uint32_t i = 0; i < NETIF_BIND_HASH; i++) {
		struct netif_bind **pp = &n->binds[i];

		while (*pp != NULL) {
			struct netif_bind *b = *pp;

			if (slot >= 0 && b->slot != slot) {
				pp = &b->next;
				continue;
			}
			*pp = b->next;
			free(b);
		}
	}
	pthread_mutex_unlock(&n->lock);
}

void
netif_unbind_slot(struct netif *n, unsigned slot)
{
	unbind_all(n, (int)slot);
}

void
netif_bind_fini(struct netif *n)
{
	unbind_all(n, -1);
}

uint64_t
netif_bind_owners(struct netif *n, uint8_t proto, be32_t lip, be16_t lport, be32_t rip, be16_t rport,
		  bool many)
{
	uint64_t pair = 0, wild = 0;

	pthread_mutex_lock(&n->lock);
	for (const struct netif_bind *b = *bucket(n, lport); b != NULL; b = b->next) {
		bool any_ip = be32_is_zero(b->rip), any_port = be16_is_zero(b->rport);

		if (b->proto != proto || !be16_eq(b->lport, lport) || !be32_eq(b->lip, lip))
			continue;
		if ((!any_ip && !be32_eq(b->rip, rip)) || (!any_port && !be16_eq(b->rport, rport)))
			continue;
		if (any_ip && any_port)
			wild |= 1ull << b->slot;
		else
			pair |= 1ull << b->slot;
	}
	pthread_mutex_unlock(&n->lock);
	if (many)
		return pair | wild;
	return pair != 0 ? pair : wild;
}
