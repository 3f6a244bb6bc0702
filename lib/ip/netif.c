/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See netif.h. Addresses, routes, neighbours, groups and path MTUs; the register of bound ports is netif_bind.c.
 */
#include "ip/netif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
netif_lock(struct netif *n)
{
	pthread_mutex_lock(&n->lock);
}

/* Publishes what changed under the lock: whoever compares generations sees it afterwards. */
static void
netif_unlock(struct netif *n)
{
	uint32_t g = neigh_gen(n->neigh);

	if (g != n->neigh_gen_seen) {
		n->neigh_gen_seen = g;
		netif_gen_bump(n);
	}
	pthread_mutex_unlock(&n->lock);
}

void
netif_gen_bump(struct netif *n)
{
	uint32_t g = atomic_load_explicit(&n->gen, memory_order_relaxed) + 1;

	atomic_store_explicit(&n->gen, g != 0 ? g : 1, memory_order_release);
	if (n->moved != NULL)
		n->moved(n->moved_arg);
}

void
netif_touch(struct netif *n)
{
	netif_lock(n);
	netif_gen_bump(n);
	netif_unlock(n);
}

int
netif_init(struct netif *n, const struct eth_addr *mac, uint16_t mtu, uint16_t vlan, uint32_t caps,
	   uint64_t hz, uint64_t seed, uint64_t now)
{
	uint64_t secret[2];
	void *mem;

	memset(n, 0, sizeof(*n));
	pthread_mutex_init(&n->lock, NULL);
	atomic_store(&n->gen, 1);
	n->mac = *mac;
	n->mtu = mtu;
	n->vlan = vlan;
	n->caps = caps;
	n->hz = hz;
	n->pmtu_due = UINT64_MAX;
	n->bind = netif_bind_plain;
	n->unbind = netif_unbind_plain;
	if (seed != 0)
		rng_seed(&n->rng, seed);
	else
		rng_seed_random(&n->rng);
	secret[0] = rng_next64(&n->rng);
	secret[1] = rng_next64(&n->rng);
	n->neigh = calloc(1, neigh_bytes(NEIGH_ENTRIES_DEFAULT));
	mem = calloc(1, igmp_bytes(IGMP_GROUPS_DEFAULT, IGMP_SOURCES_DEFAULT));
	if (n->neigh == NULL || mem == NULL) {
		free(n->neigh);
		free(mem);
		pthread_mutex_destroy(&n->lock);
		return -ENOMEM;
	}
	neigh_init(n->neigh, NEIGH_ENTRIES_DEFAULT, mac, hz, secret, now);
	n->igmp = igmp_init(mem, IGMP_GROUPS_DEFAULT, IGMP_SOURCES_DEFAULT, mtu - 24u, hz, &n->rng, now);
	return 0;
}

void
netif_fini(struct netif *n)
{
	netif_bind_fini(n);
	free(n->neigh);
	free(n->igmp);
	pthread_mutex_destroy(&n->lock);
}

int
netif_join_stack(struct netif *n)
{
	int slot = -EBUSY;

	netif_lock(n);
	if (~n->members != 0) {
		slot = __builtin_ctzll(~n->members);
		n->members |= 1ull << slot;
	}
	netif_unlock(n);
	return slot;
}

void
netif_leave_stack(struct netif *n, unsigned slot, uint64_t now)
{
	uint64_t bit = 1ull << slot;

	netif_unbind_slot(n, slot);
	netif_lock(n);
	n->members &= ~bit;
	for (uint32_t i = 0; i < n->n_addrs;) {
		n->addrs[i].owners &= ~bit;
		if (n->addrs[i].owners != 0) {
			i++;
			continue;
		}
		(void)neigh_addr_del(n->neigh, n->addrs[i].ip);
		n->addrs[i] = n->addrs[--n->n_addrs];
	}
	if (n->n_addrs == 0)
		n->gateway = IP4_ANY;
	(void)now;
	netif_unlock(n);
}

static be32_t
mask_of(unsigned prefix_len)
{
	return be32_from(prefix_len == 0 ? 0 : UINT32_MAX << (32 - prefix_len));
}

static bool
on_subnet(const struct netif_addr *a, be32_t ip)
{
	return ((a->ip.raw ^ ip.raw) & mask_of(a->prefix_len).raw) == 0;
}

/* 0 for prefixes too long to have one (RFC 3021). */
static be32_t
directed_bcast(const struct netif_addr *a)
{
	if (a->prefix_len > 30)
		return IP4_ANY;
	return (be32_t){a->ip.raw | ~mask_of(a->prefix_len).raw};
}

int
netif_addr_add(struct netif *n, unsigned slot, be32_t ip, unsigned prefix_len, uint64_t now)
{
	struct netif_addr *a = NULL;
	int rc = 0;

	if (!ip_is_unicast(ip) || prefix_len > 32 || (ip_is_loopback(ip) && !(n->caps & PORT_LOOP)))
		return -EINVAL;
	netif_lock(n);
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (be32_eq(n->addrs[i].ip, ip))
			a = &n->addrs[i];
	if (a == NULL) {
		struct netif_addr one = {.ip = ip, .prefix_len = (uint8_t)prefix_len};

		/* Neither the subnet's broadcast nor its own number is a host's. */
		if (be32_eq(directed_bcast(&one), ip) ||
		    (prefix_len <= 30 && (ip.raw & ~mask_of(prefix_len).raw) == 0))
			rc = -EINVAL;
		else if (n->n_addrs == PARSE_ADDRS)
			rc = -ENOSPC;
		else
			rc = neigh_addr_add(n->neigh, ip, prefix_len, (n->caps & PORT_LOOP) != 0, now);
		if (rc == 0) {
			a = &n->addrs[n->n_addrs++];
			*a = one;
		}
	} else if (a->prefix_len != prefix_len) {
		rc = -EINVAL; /* two stacks disagree about the subnet */
	}
	if (rc == 0)
		a->owners |= 1ull << slot;
	netif_gen_bump(n);
	netif_unlock(n);
	return rc;
}

int
netif_gateway_set(struct netif *n, be32_t gateway)
{
	int rc = -EINVAL;

	netif_lock(n);
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (on_subnet(&n->addrs[i], gateway) && !be32_eq(n->addrs[i].ip, gateway))
			rc = 0;
	if (!be32_is_zero(n->gateway) && !be32_eq(n->gateway, gateway))
		rc = -EINVAL;
	if (rc == 0)
		n->gateway = gateway;
	netif_gen_bump(n);
	netif_unlock(n);
	return rc;
}

static struct netif_addr *
find_own(struct netif *n, uint64_t slots, be32_t ip)
{
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (be32_eq(n->addrs[i].ip, ip) && (n->addrs[i].owners & slots) != 0)
			return &n->addrs[i];
	return NULL;
}

bool
netif_addr_is_own(struct netif *n, unsigned slot, be32_t ip)
{
	bool own;

	if ((n->caps & PORT_LOOP) && ip_is_loopback(ip))
		return true;
	netif_lock(n);
	own = find_own(n, 1ull << slot, ip) != NULL;
	netif_unlock(n);
	return own;
}

static bool
is_bcast_locked(const struct netif *n, be32_t ip)
{
	if (ip_is_bcast(ip))
		return true;
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (!be32_is_zero(ip) && be32_eq(directed_bcast(&n->addrs[i]), ip))
			return true;
	return false;
}

bool
netif_addr_is_bcast(struct netif *n, be32_t ip)
{
	bool b;

	netif_lock(n);
	b = is_bcast_locked(n, ip);
	netif_unlock(n);
	return b;
}

uint64_t
netif_addr_owners(struct netif *n, be32_t ip)
{
	uint64_t owners = 0;

	netif_lock(n);
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (be32_eq(n->addrs[i].ip, ip))
			owners = n->addrs[i].owners;
	netif_unlock(n);
	return owners;
}

void
netif_parse_env(struct netif *n, unsigned slot, struct parse_env *env)
{
	uint64_t slots = slot == NETIF_ALL_SLOTS ? UINT64_MAX : 1ull << slot;
	uint64_t key = 0;

	memset(env, 0, sizeof(*env));
	memcpy(&key, n->mac.b, sizeof(n->mac.b));
	netif_lock(n);
	env->mac_key = key << 16;
	env->mac = n->mac;
	env->vlan = n->vlan;
	env->loop = (n->caps & PORT_LOOP) != 0;
	env->trust_csum = (n->caps & PORT_CSUM_NONE) != 0;
	for (uint32_t i = 0; i < n->n_addrs; i++) {
		if ((n->addrs[i].owners & slots) == 0)
			continue;
		env->ips[env->n_addrs] = n->addrs[i].ip;
		env->bcasts[env->n_addrs] = directed_bcast(&n->addrs[i]);
		env->n_addrs++;
	}
	env->ip = env->ips[0];
	if (env->n_addrs == 1 && env->vlan == 0 && !env->loop)
		env->fast_ip = env->ip;
	netif_unlock(n);
}

/* Our address for packets to @dst: one on its subnet, else one on the gateway's. */
static struct netif_addr *
choose_src(struct netif *n, uint64_t slot_bit, be32_t dst)
{
	struct netif_addr *first = NULL;

	for (uint32_t i = 0; i < n->n_addrs; i++) {
		struct netif_addr *a = &n->addrs[i];

		if ((a->owners & slot_bit) == 0)
			continue;
		if (on_subnet(a, dst))
			return a;
		if (first == NULL || (!be32_is_zero(n->gateway) && on_subnet(a, n->gateway) &&
				      !on_subnet(first, n->gateway)))
			first = a;
	}
	return first;
}

static int
path_route(struct netif *n, uint64_t slot_bit, be32_t dst, const struct netif_addr *src, struct ip_path *p,
	   uint64_t now)
{
	bool direct = false;

	p->neigh = NETIF_NO_NEIGH;
	p->next_hop = dst;
	if (ip_is_mcast(dst)) {
		p->mac = eth_addr_of_group(dst);
		p->resolved = true;
		return 0;
	}
	if (is_bcast_locked(n, dst)) {
		p->mac = ETH_ADDR_BCAST;
		p->resolved = true;
		return 0;
	}
	if (n->caps & PORT_LOOP) {
		/* The only host on a loop is this one. */
		if (!ip_is_loopback(dst) && find_own(n, slot_bit, dst) == NULL)
			return -EHOSTUNREACH;
		p->mac = n->mac;
		p->resolved = true;
		return 0;
	}
	for (uint32_t i = 0; i < n->n_addrs; i++)
		direct |= (n->addrs[i].owners & slot_bit) != 0 && on_subnet(&n->addrs[i], dst);
	(void)src;
	if (!direct) {
		if (be32_is_zero(n->gateway))
			return -EHOSTUNREACH;
		p->next_hop = n->gateway;
	}
	p->neigh = neigh_hold(n->neigh, p->next_hop, now);
	if (p->neigh == -EINVAL)
		return -EHOSTUNREACH; /* our own address: nobody out there would answer */
	return p->neigh < 0 ? -ENOMEM : 0;
}

int
netif_path_open(struct netif *n, unsigned slot, be32_t src, be32_t dst, uint64_t now, struct ip_path *p)
{
	uint64_t bit = 1ull << slot;
	const struct netif_addr *a = NULL;
	int rc = 0;

	memset(p, 0, sizeof(*p));
	if (be32_is_zero(dst) || ip_is_zeronet(dst) || (ip_is_loopback(dst) && !(n->caps & PORT_LOOP)))
		return -EHOSTUNREACH;
	netif_lock(n);
	if (be32_is_zero(src)) {
		a = choose_src(n, bit, dst);
		if (a != NULL)
			src = a->ip;
		else if ((n->caps & PORT_LOOP) && ip_is_loopback(dst))
			src = dst;
		else
			rc = -EHOSTUNREACH;
	} else if (!((n->caps & PORT_LOOP) && ip_is_loopback(src))) {
		a = find_own(n, bit, src);
		if (a == NULL)
			rc = -EADDRNOTAVAIL;
	}
	p->src = src;
	p->dst = dst;
	if (rc == 0)
		rc = path_route(n, bit, dst, a, p, now);
	netif_unlock(n);
	if (rc == 0)
		netif_path_refresh(n, p);
	else
		p->neigh = NETIF_NO_NEIGH;
	return rc;
}

void
netif_path_close(struct netif *n, struct ip_path *p, uint64_t now)
{
	if (p->neigh == NETIF_NO_NEIGH)
		return;
	netif_lock(n);
	neigh_drop(n->neigh, p->neigh, now);
	netif_unlock(n);
	p->neigh = NETIF_NO_NEIGH;
}

void
netif_path_refresh(struct netif *n, struct ip_path *p)
{
	netif_lock(n);
	p->mtu = n->mtu;
	for (uint32_t i = 0; n->pmtu_due != UINT64_MAX && i < NETIF_PMTUS; i++)
		if (n->pmtus[i].mtu != 0 && be32_eq(n->pmtus[i].dst, p->dst))
			p->mtu = ZF_MIN(p->mtu, n->pmtus[i].mtu);
	if (p->neigh != NETIF_NO_NEIGH)
		p->resolved = neigh_get(n->neigh, p->neigh, &p->mac) >= NEIGH_RESOLVED;
	netif_unlock(n);
}

enum neigh_state
netif_path_want(struct netif *n, const struct ip_path *p, uint64_t now)
{
	struct eth_addr mac;
	enum neigh_state st;

	if (p->neigh == NETIF_NO_NEIGH)
		return NEIGH_RESOLVED;
	netif_lock(n);
	neigh_want(n->neigh, p->neigh, now);
	st = neigh_get(n->neigh, p->neigh, &mac);
	netif_unlock(n);
	return st;
}

int
netif_neigh_hold(struct netif *n, be32_t ip, uint64_t now)
{
	int i;

	netif_lock(n);
	i = neigh_hold(n->neigh, ip, now);
	netif_unlock(n);
	return i;
}

void
netif_neigh_drop(struct netif *n, int neigh, uint64_t now)
{
	netif_lock(n);
	neigh_drop(n->neigh, neigh, now);
	netif_unlock(n);
}

bool
netif_pmtu_lower(struct netif *n, be32_t dst, uint16_t mtu, uint64_t now)
{
	struct netif_pmtu *slot = &n->pmtus[0];
	bool lowered = false;

	mtu = ZF_MAX(mtu, (uint16_t)NETIF_PMTU_MIN);
	if (mtu >= n->mtu)
		return false;
	netif_lock(n);
	for (uint32_t i = 0; i < NETIF_PMTUS; i++) {
		struct netif_pmtu *e = &n->pmtus[i];

		if (e->mtu != 0 && be32_eq(e->dst, dst)) {
			slot = e;
			break;
		}
		/* Else a free one, else the one that ends first. */
		if (slot->mtu != 0 && (e->mtu == 0 || e->expires < slot->expires))
			slot = e;
	}
	if (slot->mtu == 0 || !be32_eq(slot->dst, dst) || mtu < slot->mtu) {
		*slot = (struct netif_pmtu){dst, mtu, now + NETIF_PMTU_LIFE_S * n->hz};
		n->pmtu_due = ZF_MIN(n->pmtu_due, slot->expires);
		netif_gen_bump(n);
		lowered = true;
	}
	netif_unlock(n);
	return lowered;
}

/* RFC 1191 6.3: an old entry is forgotten, the path is tried in full again. */
static void
pmtu_expire(struct netif *n, uint64_t now)
{
	if (now < n->pmtu_due)
		return;
	n->pmtu_due = UINT64_MAX;
	for (uint32_t i = 0; i < NETIF_PMTUS; i++) {
		struct netif_pmtu *e = &n->pmtus[i];

		if (e->mtu == 0)
			continue;
		if (e->expires <= now) {
			e->mtu = 0;
			netif_gen_bump(n);
		} else {
			n->pmtu_due = ZF_MIN(n->pmtu_due, e->expires);
		}
	}
}

/* The list of multicast MACs that the port must receive: one for each group, and all-hosts. */
static void
tell_groups(struct netif *n)
{
	uint8_t macs[IGMP_GROUPS_DEFAULT + 1][6];
	struct eth_addr m = eth_addr_of_group(IP4_ALL_HOSTS);
	uint32_t k = 0;

	if (n->mc_changed == NULL)
		return;
	memcpy(macs[k++], m.b, 6);
	for (uint32_t i = 0; i < n->n_groups; i++) {
		m = eth_addr_of_group(n->groups[i].group);
		memcpy(macs[k++], m.b, 6);
	}
	n->mc_changed(n->mc_arg, (const uint8_t(*)[6])macs, k);
}

int
netif_group_join(struct netif *n, be32_t group, be32_t source, uint64_t now)
{
	bool one = !be32_is_zero(source);
	uint32_t i;
	int rc = 0;

	netif_lock(n);
	for (i = 0; i < n->n_groups && !be32_eq(n->groups[i].group, group); i++)
		;
	if (i == IGMP_GROUPS_DEFAULT)
		rc = -ENOMEM;
	/* 224.0.0.1 is never reported (RFC 3376 6); everyone is a member. */
	else if (!be32_eq(group, IP4_ALL_HOSTS))
		rc = igmp_join(n->igmp, group, one ? IGMP_INCLUDE : IGMP_EXCLUDE, &source, one, now);
	if (rc == 0) {
		if (i == n->n_groups)
			n->groups[n->n_groups++] = (struct netif_group){group, 0};
		if (n->groups[i].refs++ == 0)
			tell_groups(n);
	}
	netif_unlock(n);
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

void
netif_group_leave(struct netif *n, be32_t group, be32_t source, uint64_t now)
{
	bool one = !be32_is_zero(source);
	uint32_t i;

	netif_lock(n);
	if (!be32_eq(group, IP4_ALL_HOSTS))
		(void)igmp_leave(n->igmp, group, one ? IGMP_INCLUDE : IGMP_EXCLUDE, &source, one, now);
	for (i = 0; i < n->n_groups && !be32_eq(n->groups[i].group, group); i++)
		;
	if (i < n->n_groups && --n->groups[i].refs == 0) {
		n->groups[i] = n->groups[--n->n_groups];
		tell_groups(n);
	}
	netif_unlock(n);
}

void
netif_link_up(struct netif *n, uint64_t now)
{
	netif_lock(n);
	neigh_link_up(n->neigh, now);
	igmp_link_up(n->igmp, now);
	tell_groups(n);
	netif_unlock(n);
}

void
netif_groups_tell(struct netif *n)
{
	netif_lock(n);
	tell_groups(n);
	netif_unlock(n);
}

void
netif_arp_input(struct netif *n, const struct hdr_arp *arp, uint64_t now, struct neigh_result *out)
{
	netif_lock(n);
	neigh_input(n->neigh, arp, now, out);
	netif_unlock(n);
}

enum igmp_result
netif_igmp_input(struct netif *n, const struct seg *s, const void *p, uint64_t now)
{
	struct igmp_ip ip = {.src = s->src, .dst = s->dst, .ttl = s->ttl, .router_alert = s->router_alert != 0};
	enum igmp_result r;

	netif_lock(n);
	for (uint32_t i = 0; i < n->n_addrs; i++) {
		ip.src_on_link |= on_subnet(&n->addrs[i], s->src);
		ip.dst_is_ours |= be32_eq(n->addrs[i].ip, s->dst);
	}
	r = igmp_input(n->igmp, &ip, p, s->pay_len, now);
	netif_unlock(n);
	return r;
}

uint64_t
netif_run(struct netif *n, uint64_t now, neigh_emit_fn arp, igmp_emit_fn igmp, void *arg)
{
	uint64_t next, due;

	netif_lock(n);
	next = neigh_run(n->neigh, now, arp, arg);
	due = igmp_run(n->igmp, now, igmp, arg);
	next = ZF_MIN(next, due);
	pmtu_expire(n, now);
	next = ZF_MIN(next, n->pmtu_due);
	netif_unlock(n);
	return next;
}

uint64_t
netif_next_due(const struct netif *n)
{
	uint64_t a = neigh_next_due(n->neigh), b = igmp_next_due(n->igmp);

	a = ZF_MIN(a, b);
	return ZF_MIN(a, __atomic_load_n(&n->pmtu_due, __ATOMIC_RELAXED));
}
