/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The register of bound ports: against a plain list, with a million entries, with none left, from several threads; and
 * what ephemeral ports look like. Times are printed, never asserted.
 */
#include "ip/netif.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

#define TCP    ((uint8_t)IP_PROTO_TCP)
#define UDP    ((uint8_t)IP_PROTO_UDP)
#define UDP_TX ((uint8_t)(IP_PROTO_UDP | NETIF_TX_ONLY))
#define SPAN   (65536u - NETIF_EPHEMERAL_MIN)

static struct netif net;
static const be32_t lip = IP4_C(10, 0, 0, 1);
static const be16_t no_port = {0};

static void
set_up(uint64_t seed)
{
	static const struct eth_addr mac = {{2, 0, 0, 0, 0, 1}};

	CU_ASSERT_EQUAL_FATAL(netif_init(&net, &mac, 1500, 0, 0, 1000000000u, seed, 0), 0);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static be32_t
remote(uint32_t i)
{
	return be32_from(0x0b000000u + i);
}

/* Bind for @slot with port @lport or an ephemeral one; the port, or < 0. */
static int
bind_port(unsigned slot, uint8_t proto, uint16_t lport, be32_t rip, uint16_t rport)
{
	be16_t p = be16_from(lport);
	int rc = netif_bind(&net, slot, proto, lip, &p, rip, be16_from(rport), false);

	if (rc < 0)
		CU_ASSERT_EQUAL(be16_host(p), lport);
	return rc < 0 ? rc : be16_host(p);
}

static void
unbind_port(unsigned slot, uint8_t proto, int lport, be32_t rip, uint16_t rport)
{
	netif_unbind(&net, slot, proto, lip, be16_from((uint16_t)lport), rip, be16_from(rport));
}

static uint64_t
owners(uint8_t proto, uint16_t lport, be32_t rip, uint16_t rport)
{
	return netif_bind_owners(&net, proto, lip, be16_from(lport), rip, be16_from(rport), false);
}

/* The model: a list, and the rules spelled out. */

struct one {
	be32_t lip, rip;
	be16_t lport, rport;
	uint8_t proto;
	uint8_t slot;
	bool many;
};

#define LIST_MAX 4000
static struct one list[LIST_MAX];
static uint32_t n_list;

static bool
same(const struct one *a, const struct one *b)
{
	return a->proto == b->proto && be32_eq(a->lip, b->lip) && be32_eq(a->rip, b->rip) &&
	       be16_eq(a->lport, b->lport) && be16_eq(a->rport, b->rport);
}

static bool
list_clash(const struct one *k)
{
	for (uint32_t i = 0; i < n_list; i++)
		if (same(&list[i], k) && !list[i].many && !k->many)
			return true;
	return false;
}

/* May an ephemeral binding @k have its port? */
static bool
list_port_free(const struct one *k)
{
	for (uint32_t i = 0; i < n_list; i++) {
		const struct one *o = &list[i];

		if (((o->proto ^ k->proto) & ~NETIF_TX_ONLY) != 0 || !be32_eq(o->lip, k->lip) ||
		    !be16_eq(o->lport, k->lport))
			continue;
		if (k->proto != TCP || be32_is_zero(o->rip) || same(o, k))
			return false;
	}
	return true;
}

static uint64_t
list_owners(const struct one *k)
{
	uint64_t pair = 0, wild = 0;

	for (uint32_t i = 0; i < n_list; i++) {
		const struct one *o = &list[i];
		bool any_ip = be32_is_zero(o->rip), any_port = be16_is_zero(o->rport);

		if (o->proto != k->proto || !be16_eq(o->lport, k->lport) || !be32_eq(o->lip, k->lip))
			continue;
		if ((!any_ip && !be32_eq(o->rip, k->rip)) || (!any_port && !be16_eq(o->rport, k->rport)))
			continue;
		if (any_ip && any_port)
			wild |= 1ull << o->slot;
		else
			pair |= 1ull << o->slot;
	}
	return k->many ? pair | wild : pair != 0 ? pair : wild;
}

static uint8_t
any_proto(struct rng *r)
{
	static const uint8_t protos[] = {TCP, UDP, UDP_TX};

	return protos[rng_below(r, 3)];
}

static struct one
some_binding(struct rng *r)
{
	static const uint8_t slots[] = {0, 1, 2, 7, 63};
	struct one k = {.proto = any_proto(r), .slot = slots[rng_below(r, 5)]};
	uint32_t what = (uint32_t)rng_below(r, 10);

	k.many = k.proto == UDP && what < 3;
	k.lip = k.many ? IP4_C(239, 0, 0, 1) : be32_from(0x0a000001u + (uint32_t)rng_below(r, 2));
	k.lport = be16_from((uint16_t)(rng_below(r, 8) == 0 ? 0 : 32768 + rng_below(r, 12)));
	if (rng_below(r, 4) != 0) {
		k.rip = remote((uint32_t)rng_below(r, 4));
		k.rport = be16_from((uint16_t)(80 + rng_below(r, 2)));
		if (k.many && what == 0)
			k.rport = no_port;
	}
	return k;
}

static void
try_bind(struct one *k)
{
	be16_t p = k->lport;
	int rc = netif_bind(&net, k->slot, k->proto, k->lip, &p, k->rip, k->rport, k->many);

	if (be16_is_zero(k->lport)) {
		k->lport = p;
		CU_ASSERT_EQUAL(rc, 0);
		CU_ASSERT_TRUE(be16_host(p) >= NETIF_EPHEMERAL_MIN);
		CU_ASSERT_TRUE(list_port_free(k));
	} else {
		CU_ASSERT_EQUAL(rc, list_clash(k) ? -EADDRINUSE : 0);
		CU_ASSERT_TRUE(be16_eq(p, k->lport));
	}
	if (rc == 0)
		list[n_list++] = *k;
}

/* Remove @k for its slot: from the list, if it is there. */
static void
try_unbind(const struct one *k)
{
	netif_unbind(&net, k->slot, k->proto, k->lip, k->lport, k->rip, k->rport);
	for (uint32_t i = 0; i < n_list; i++) {
		if (same(&list[i], k) && list[i].slot == k->slot) {
			list[i] = list[--n_list];
			return;
		}
	}
}

static void
leave_all(unsigned slot)
{
	netif_unbind_slot(&net, slot);
	for (uint32_t i = 0; i < n_list;) {
		if (list[i].slot == slot)
			list[i] = list[--n_list];
		else
			i++;
	}
}

static void
it_does_what_a_list_does(void)
{
	static const unsigned slots[] = {0, 1, 2, 7, 63};
	uint32_t highest = 0;
	struct rng r;

	set_up(1);
	rng_seed(&r, 1);
	n_list = 0;
	for (uint32_t step = 0; step < 150000; step++) {
		struct one k = some_binding(&r);
		uint32_t what = (uint32_t)rng_below(&r, 1000);

		if (n_list > 0 && what < 190)
			k = list[rng_below(&r, n_list)];
		if (what < 190)
			try_unbind(&k);
		else if (what < 690 && n_list < LIST_MAX)
			try_bind(&k);
		else if (what < 790)
			try_unbind(&k); /* mostly not there */
		else if (what == 800)
			leave_all(k.slot);
		else
			CU_ASSERT_EQUAL(netif_bind_owners(&net, k.proto, k.lip, k.lport, k.rip, k.rport, k.many),
					list_owners(&k));
		highest = ZF_MAX(highest, n_list);
	}
	CU_ASSERT_TRUE(highest > 100);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(slots); i++)
		leave_all(slots[i]);
	CU_ASSERT_EQUAL(n_list, 0);
	CU_ASSERT_EQUAL(net.binds.n, 0);
	CU_ASSERT_EQUAL(net.binds.n_half, 0);
	CU_ASSERT_PTR_NULL(net.binds.tab);
	netif_fini(&net);
}

/* TCP's rules one by one. */
static void
tcp_listeners_and_connections(void)
{
	set_up(2);
	CU_ASSERT_EQUAL(bind_port(0, TCP, 80, IP4_ANY, 0), 80);
	/* Two of any remote: no, nor from another stack. */
	CU_ASSERT_EQUAL(bind_port(0, TCP, 80, IP4_ANY, 0), -EADDRINUSE);
	CU_ASSERT_EQUAL(bind_port(1, TCP, 80, IP4_ANY, 0), -EADDRINUSE);
	/* A connection from the listener's port, and the frames of that remote are its own. */
	CU_ASSERT_EQUAL(bind_port(1, TCP, 80, remote(1), 1000), 80);
	CU_ASSERT_EQUAL(bind_port(0, TCP, 80, remote(1), 1000), -EADDRINUSE);
	CU_ASSERT_EQUAL(bind_port(0, TCP, 80, remote(1), 1001), 80);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(1), 1000), 1u << 1);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(1), 1001), 1u << 0);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(2), 1000), 1u << 0);
	CU_ASSERT_EQUAL(owners(UDP, 80, remote(2), 1000), 0);
	/* UDP has ports of its own. */
	CU_ASSERT_EQUAL(bind_port(2, UDP, 80, IP4_ANY, 0), 80);
	CU_ASSERT_EQUAL(owners(UDP, 80, remote(2), 1000), 1u << 2);
	/* The wrong stack, the wrong remote: nothing happens. */
	unbind_port(1, TCP, 80, IP4_ANY, 0);
	unbind_port(0, TCP, 80, remote(1), 1000);
	CU_ASSERT_EQUAL(bind_port(1, TCP, 80, IP4_ANY, 0), -EADDRINUSE);
	unbind_port(0, TCP, 80, IP4_ANY, 0);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(2), 1000), 0);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(1), 1000), 1u << 1);
	CU_ASSERT_EQUAL(bind_port(1, TCP, 80, IP4_ANY, 0), 80);
	netif_fini(&net);
}

/* Connections to different remotes share ports, but none takes a port that is open to all. */
static void
all_ports_to_one_remote(void)
{
	static bool seen[65536];
	int p;

	set_up(3);
	memset(seen, 0, sizeof(seen));
	for (uint16_t l = 40000; l < 40100; l++)
		CU_ASSERT_EQUAL(bind_port(1, TCP, l, IP4_ANY, 0), l);
	CU_ASSERT_EQUAL(bind_port(1, TCP, 50000, remote(1), 80), 50000);
	for (uint32_t i = 0; i < SPAN - 101; i++) {
		p = bind_port(0, TCP, 0, remote(1), 80);
		CU_ASSERT_FATAL(p >= (int)NETIF_EPHEMERAL_MIN && !seen[p]);
		CU_ASSERT_TRUE(p != 50000 && (p < 40000 || p >= 40100));
		seen[p] = true;
	}
	CU_ASSERT_EQUAL(bind_port(0, TCP, 0, remote(1), 80), -EADDRINUSE);
	CU_ASSERT_EQUAL(bind_port(2, TCP, 0, remote(1), 80), -EADDRINUSE);
	/* Another port, another host: all the range again. */
	for (uint32_t i = 0; i < SPAN - 100; i++)
		CU_ASSERT_TRUE(bind_port(0, TCP, 0, remote(1), 81) > 0);
	CU_ASSERT_EQUAL(bind_port(0, TCP, 0, remote(1), 81), -EADDRINUSE);
	CU_ASSERT_TRUE(bind_port(0, TCP, 0, remote(2), 80) > 0);
	/* What becomes free is found. */
	unbind_port(0, TCP, 34567, remote(1), 80);
	CU_ASSERT_EQUAL(bind_port(2, TCP, 0, remote(1), 80), 34567);
	unbind_port(1, TCP, 40050, IP4_ANY, 0);
	CU_ASSERT_EQUAL(bind_port(2, TCP, 0, remote(1), 80), 40050);
	CU_ASSERT_EQUAL(bind_port(2, TCP, 0, remote(1), 80), -EADDRINUSE);
	/* A listener may have an ephemeral port too: one that no other is open to all on. */
	p = bind_port(3, TCP, 0, IP4_ANY, 0);
	CU_ASSERT_TRUE(p >= (int)NETIF_EPHEMERAL_MIN && (p < 40000 || p >= 40100 || p == 40050));
	netif_fini(&net);
}

static void
all_udp_ports(void)
{
	set_up(4);
	CU_ASSERT_EQUAL(bind_port(0, UDP, 45000, remote(9), 53), 45000);
	for (uint32_t i = 0; i < SPAN - 1; i++)
		CU_ASSERT_TRUE(bind_port(i & 31, i & 32 ? UDP : UDP_TX, 0, remote(i), 80) > 0);
	CU_ASSERT_EQUAL(bind_port(0, UDP, 0, remote(7), 80), -EADDRINUSE);
	CU_ASSERT_EQUAL(bind_port(0, UDP_TX, 0, IP4_ANY, 0), -EADDRINUSE);
	CU_ASSERT_TRUE(bind_port(0, TCP, 0, remote(7), 80) > 0);
	/* A whole stack leaves: its ports are free, and only they. */
	netif_unbind_slot(&net, 5);
	for (uint32_t i = 0; i < SPAN / 32; i++)
		CU_ASSERT_TRUE(bind_port(6, UDP, 0, IP4_ANY, 0) > 0);
	CU_ASSERT_EQUAL(bind_port(6, UDP, 0, IP4_ANY, 0), -EADDRINUSE);
	netif_fini(&net);
}

/* Goodness of fit of 10,000 ports in 64 classes: 63 degrees of freedom, so mean 63 and deviation 11. */
static double
chi_square(const uint16_t *v, uint32_t n)
{
	uint32_t bins[64] = {0};
	double x = 0, want = n / 64.0;

	for (uint32_t i = 0; i < n; i++)
		bins[v[i] / (SPAN / 64)]++;
	for (int i = 0; i < 64; i++)
		x += (bins[i] - want) * (bins[i] - want) / want;
	return x;
}

#define PORTS 10000

static void
ephemeral_ports_are_even(void)
{
	static uint16_t port[PORTS], step[PORTS - 1], low[PORTS];

	/* To as many remotes; to one and given back at once; to one and kept, without replacement. */
	for (int how = 0; how < 3; how++) {
		double x, y, z;

		set_up(5 + (uint64_t)how);
		for (uint32_t i = 0; i < PORTS; i++) {
			be32_t to = remote(how == 0 ? i : 0);
			int p = bind_port(0, TCP, 0, to, 80);

			CU_ASSERT_FATAL(p >= (int)NETIF_EPHEMERAL_MIN);
			port[i] = (uint16_t)((uint32_t)p - NETIF_EPHEMERAL_MIN);
			low[i] = (uint16_t)((port[i] & 63) * (SPAN / 64));
			if (i > 0)
				step[i - 1] = (uint16_t)((uint32_t)(port[i] - port[i - 1]) & (SPAN - 1));
			if (how == 1)
				unbind_port(0, TCP, p, to, 80);
		}
		x = chi_square(port, PORTS);
		y = chi_square(step, PORTS - 1);
		z = chi_square(low, PORTS);
		printf("chi-square: ports %.1f, steps %.1f, low bits %.1f ", x, y, z);
		/* Beyond 5.5 deviations: less than once in a million. Suspiciously even is wrong as well. */
		CU_ASSERT_TRUE(x < 125 && y < 125 && z < 125);
		CU_ASSERT_TRUE(x > 20 && y > 20 && z > 20);
		netif_fini(&net);
	}
}

/* Two interfaces, or two runs, do not choose alike. */
static void
other_keys_choose_other_ports(void)
{
	int first[8], alike = 0, repeats = 0;

	for (uint64_t run = 0; run < 3; run++) {
		set_up(run < 2 ? 77 : 78);
		for (int i = 0; i < 8; i++) {
			int p = bind_port(0, TCP, 0, remote(1), 80);

			if (run == 0)
				first[i] = p;
			else if (run == 1)
				repeats += p == first[i];
			else
				alike += p == first[i];
		}
		netif_fini(&net);
	}
	CU_ASSERT_EQUAL(repeats, 8); /* as a seed should */
	CU_ASSERT_TRUE(alike < 2);
}

#define MILLION 1000000u

static void
a_million_connections(void)
{
	uint16_t *port = calloc(MILLION, sizeof(*port));
	uint32_t mask, wrong = 0;
	double t0, t1;
	struct rng r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	set_up(9);
	CU_ASSERT_EQUAL(netif_bind_reserve(&net, MILLION + 2), 0);
	mask = net.binds.mask;
	t0 = seconds();
	for (uint32_t i = 0; i < MILLION; i++)
		port[i] = (uint16_t)bind_port(i & 7, TCP, 0, remote(i % 100), 80);
	t1 = seconds();
	printf("bind %.0f ns, ", (t1 - t0) * 1e9 / MILLION);
	CU_ASSERT_EQUAL(net.binds.n, MILLION);
	CU_ASSERT_EQUAL(net.binds.mask, mask); /* reserved: did not grow */
	t0 = seconds();
	for (uint32_t i = 0; i < MILLION; i++)
		wrong += owners(TCP, port[i], remote(i % 100), 80) != 1u << (i & 7);
	t1 = seconds();
	printf("owners %.0f ns, ", (t1 - t0) * 1e9 / MILLION);
	CU_ASSERT_EQUAL(wrong, 0);
	/* One more and away again. */
	rng_seed(&r, 9);
	t0 = seconds();
	for (uint32_t i = 0; i < 100000; i++) {
		be32_t to = remote(1000 + (uint32_t)rng_below(&r, 100000));
		int p = bind_port(9, TCP, 0, to, 443);

		wrong += p < 0;
		unbind_port(9, TCP, p, to, 443);
	}
	t1 = seconds();
	printf("both %.0f ns, ", (t1 - t0) * 1e9 / 100000);
	CU_ASSERT_EQUAL(net.binds.n, MILLION);
	t0 = seconds();
	netif_unbind_slot(&net, 0);
	t1 = seconds();
	printf("a stack leaves %.1f ms, ", (t1 - t0) * 1e3);
	CU_ASSERT_EQUAL(net.binds.n, MILLION - MILLION / 8);
	for (uint32_t i = 0; i < MILLION; i++)
		wrong += owners(TCP, port[i], remote(i % 100), 80) != (i & 7 ? 1u << (i & 7) : 0);
	t0 = seconds();
	for (uint32_t i = 0; i < MILLION; i++)
		unbind_port(i & 7, TCP, port[i], remote(i % 100), 80);
	t1 = seconds();
	printf("unbind %.0f ns ", (t1 - t0) * 1e9 / MILLION);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(net.binds.n, 0);
	netif_fini(&net);
	free(port);
}

/* The table grows by itself, and its counts do not end at 2^16: one port, many senders; one group, many members. */
static void
many_bindings_of_one_port(void)
{
	const be32_t group = IP4_C(239, 1, 2, 3);
	be16_t p = be16_from(40000);
	uint32_t n = 150000, wrong = 0;

	set_up(10);
	for (uint32_t i = 0; i < n; i++)
		wrong += bind_port(i & 3, UDP, 40000, remote(i), 80) != 40000;
	CU_ASSERT_TRUE(net.binds.n >= n && net.binds.n < n + 10);
	for (uint32_t i = 0; i < n; i++)
		wrong += netif_bind(&net, 4, UDP, group, &p, IP4_ANY, no_port, true) != 0;
	CU_ASSERT_TRUE(net.binds.n < n + 20);
	CU_ASSERT_EQUAL(netif_bind_owners(&net, UDP, group, p, remote(3), p, true), 1u << 4);
	for (uint32_t i = 0; i < n; i += 2)
		wrong += owners(UDP, 40000, remote(i), 80) != 1u << (i & 3);
	netif_unbind_slot(&net, 1);
	netif_unbind_slot(&net, 2);
	for (uint32_t i = 0; i < n; i++) {
		unbind_port(i & 3, UDP, 40000, remote(i), 80);
		netif_unbind(&net, 4, UDP, group, p, IP4_ANY, no_port);
		if (i + 1 < n)
			wrong += netif_bind_owners(&net, UDP, group, p, remote(3), p, true) != 1u << 4;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(net.binds.n, 0);
	netif_fini(&net);
}

static void
no_memory_is_an_error_and_no_end(void)
{
	set_up(11);
	CU_ASSERT_EQUAL(netif_bind_reserve(&net, UINT32_MAX), -ENOMEM);
	CU_ASSERT_EQUAL(bind_port(0, TCP, 80, IP4_ANY, 0), 80);
	CU_ASSERT_EQUAL(netif_bind_reserve(&net, UINT32_MAX), -ENOMEM);
	CU_ASSERT_EQUAL(owners(TCP, 80, remote(1), 1), 1);
	CU_ASSERT_TRUE(bind_port(0, TCP, 0, remote(1), 1) > 0);
	netif_fini(&net);
}

#define THREADS 4

static _Atomic uint8_t held[SPAN];
static _Atomic uint32_t twice;

static void *
churn(void *arg)
{
	unsigned slot = (unsigned)(uintptr_t)arg;
	int kept[64] = {0};

	for (uint32_t i = 0; i < 30000; i++) {
		be16_t p = no_port;
		int *k = &kept[i % 64];

		if (*k != 0) {
			atomic_store(&held[*k - (int)NETIF_EPHEMERAL_MIN], 0);
			netif_unbind(&net, slot, TCP, lip, be16_from((uint16_t)*k), remote(1), be16_from(80));
		}
		if (netif_bind(&net, slot, TCP, lip, &p, remote(1), be16_from(80), false) != 0)
			twice++;
		*k = be16_host(p);
		if (atomic_exchange(&held[*k - (int)NETIF_EPHEMERAL_MIN], 1) != 0)
			twice++;
	}
	return NULL;
}

static void
stacks_of_several_threads(void)
{
	pthread_t t[THREADS];

	set_up(12);
	for (uintptr_t i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, churn, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT_EQUAL(net.binds.n, THREADS * 64);
	for (unsigned i = 0; i < THREADS; i++)
		netif_unbind_slot(&net, i);
	CU_ASSERT_EQUAL(net.binds.n, 0);
	netif_fini(&net);
}

static const struct unit_test tests[] = {
	UNIT(it_does_what_a_list_does),
	UNIT(tcp_listeners_and_connections),
	UNIT(all_ports_to_one_remote),
	UNIT(all_udp_ports),
	UNIT(ephemeral_ports_are_even),
	UNIT(other_keys_choose_other_ports),
	UNIT(a_million_connections),
	UNIT(many_bindings_of_one_port),
	UNIT(no_memory_is_an_error_and_no_end),
	UNIT(stacks_of_several_threads),
};

UNIT_MAIN("netif_bind", tests)
