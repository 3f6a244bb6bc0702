/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Steering over drivers/mem: a filter for each binding of a stack that has a queue of its own, what it says, where frames
 * go with it and without it, and what the calls return when the port has no room for it.
 */
#include <pthread.h>

#include "mem/mem_priv.h"
#include "mem_help.h"

static uint32_t faults;

static void
on_fault(void *arg ZF_UNUSED, const char *what)
{
	printf("  fault: %s\n", what);
	faults++;
}

/* A port of @queues pairs that steers. */
static struct mem_port *
port(const char *name, uint16_t queues)
{
	struct mem_port *p = mem_port(name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	mem_cfg(p)->queues_max = queues;
	mem_cfg(p)->caps |= PORT_FLOW;
	mem_on_fault(p, on_fault, NULL);
	return p;
}

static struct zf_stack *
stack(const char *name, const char *ip, const char *more)
{
	char attrs[256];

	snprintf(attrs, sizeof(attrs), "interface=mem:%s;ipv4=%s/24;n_bufs=256;arp_reply_timeout=0;%s", name, ip,
		 more[0] != '\0' ? more : "port_queues=4");
	return help_stack(attrs);
}

/* Does the port have exactly one such filter, and where does it lead? -1: none. */
static int
filter_to(const struct mem_port *p, uint8_t proto, const char *lip, int lport, const char *rip, int rport)
{
	struct port_filter f;
	int found = -1, q;

	for (uint32_t i = 0; (q = mem_filter_at(p, i, &f)) >= 0; i++)
		if (f.proto == proto && be32_eq(f.lip, help_ip(lip)) && be32_eq(f.rip, help_ip(rip)) &&
		    be16_host(f.lport) == lport && be16_host(f.rport) == rport) {
			CU_ASSERT_EQUAL(found, -1);
			found = q;
		}
	return found;
}

static struct zftl *
listener(struct zf_stack *st, const char *ip, int lport, int rc)
{
	struct sockaddr_in a = help_addr(ip, lport);
	struct zftl *tl = NULL;

	CU_ASSERT_EQUAL(zftl_listen(st, (struct sockaddr *)&a, sizeof(a), NULL, &tl), rc);
	return tl;
}

/* Bound to @lport when that is not 0. */
static struct zft *
connection(struct zf_stack *st, const char *lip, int lport, const char *rip, int rport, int rc)
{
	struct sockaddr_in l = help_addr(lip, lport), r = help_addr(rip, rport);
	struct zft_handle *h;
	struct zft *ts = NULL;

	CU_ASSERT_EQUAL_FATAL(zft_alloc(st, NULL, &h), 0);
	if (lport != 0)
		CU_ASSERT_EQUAL(zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0), 0);
	CU_ASSERT_EQUAL(zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts), rc);
	if (rc < 0)
		CU_ASSERT_EQUAL(zft_handle_free(h), 0);
	return ts;
}

/* The first byte of the next datagram of @ur, -1: none. Its stack alone polls. */
static int
got(struct zf_stack *st, struct zfur *ur)
{
	struct {
		struct zfur_msg m;
		struct iovec iov[2];
	} rd = {.m.iovcnt = 2};
	int byte = -1;

	for (int i = 0; i < 4; i++)
		(void)zf_reactor_perform(st);
	zfur_zc_recv(ur, &rd.m, 0);
	if (rd.m.iovcnt > 0) {
		byte = *(const uint8_t *)rd.m.iov[0].iov_base;
		zfur_zc_recv_done(ur, &rd.m);
	}
	return byte;
}

static void
push_udp(struct mem_port *p, const char *src, const char *dst, uint16_t dport, char what)
{
	uint8_t f[128];
	uint32_t n = help_udp(f, src, dst, dport, &what, 1);

	if ((help_ip(dst).raw & 0xff) >= 224)
		memcpy(f, "\x01\x00\x5e\x01\x01\x01", 6);
	CU_ASSERT_EQUAL(mem_push(p, 0, f, n, 0), 0);
}

static void
end(struct mem_port *p, struct zf_stack **st, int n)
{
	for (int i = 0; i < n; i++)
		CU_ASSERT_EQUAL(zf_stack_free(st[i]), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	CU_ASSERT_EQUAL(faults, 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
	faults = 0;
}

/* One queue, or one stack that asks for one: all frames come to it, and nothing is asked of the port. */
static void
one_queue_needs_no_filter(void)
{
	struct mem_port *p = port("st1", 1);
	struct zf_stack *st = stack("st1", "192.0.2.1", "");
	struct zfur *ur = help_zfur(st, "192.0.2.1", 1000);

	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'a');
	CU_ASSERT_EQUAL(got(st, ur), 'a');
	end(p, &st, 1);
	p = port("st1b", 8);
	st = stack("st1b", "192.0.2.1", "port_queues=1");
	(void)help_zfur(st, "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	end(p, &st, 1);
}

static void
a_filter_for_each_binding(void)
{
	struct mem_port *p = port("stbind", 5);
	struct zf_stack *st = stack("stbind", "192.0.2.1", "");
	struct zfur *ur = help_zfur(st, "192.0.2.1", 1000), *group = help_zfur(st, "239.1.1.1", 2000), *twin;
	struct sockaddr_in l = help_addr("192.0.2.1", 1001), r = help_addr("192.0.2.9", 3000);
	struct zftl *tl = listener(st, "192.0.2.1", 80, 0);
	struct zft *ts = connection(st, "192.0.2.1", 4000, "192.0.2.9", 5000, 0);
	struct zfut *ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 6000);

	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "239.1.1.1", 2000, "0.0.0.0", 0), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_TCP, "192.0.2.1", 80, "0.0.0.0", 0), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_TCP, "192.0.2.1", 4000, "192.0.2.9", 5000), 0);
	/* Once connected the port is not kept as a whole; and who only sends needs nothing. */
	CU_ASSERT_EQUAL(mem_filter_count(p), 4);
	/* A second binding of a zocket, to one sender; a second zocket in the group; and one sender of a group. */
	CU_ASSERT_EQUAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1001, "192.0.2.9", 3000), 0);
	twin = help_zfur(st, "239.1.1.1", 2000);
	CU_ASSERT_EQUAL(help_bind(twin, "239.1.1.2", 2000, "192.0.2.9"), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "239.1.1.2", 2000, "192.0.2.9", 0), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 6);
	CU_ASSERT_EQUAL(zfur_free(group), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "239.1.1.1", 2000, "0.0.0.0", 0), 0);
	CU_ASSERT_EQUAL(zfur_free(twin), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "239.1.1.1", 2000, "0.0.0.0", 0), -1);
	CU_ASSERT_EQUAL(zfur_addr_unbind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1001, "192.0.2.9", 3000), -1);
	CU_ASSERT_EQUAL(zftl_free(tl), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_TCP, "192.0.2.1", 80, "0.0.0.0", 0), -1);
	CU_ASSERT_EQUAL(zft_free(ts), 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_TCP, "192.0.2.1", 4000, "192.0.2.9", 5000), -1);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	CU_ASSERT_EQUAL(zfut_free(ut), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	end(p, &st, 1);
}

/* Filters carry the interface's tag. */
static void
filters_know_the_vlan(void)
{
	struct mem_port *p = port("stvlan", 5);
	struct zf_stack *st = stack("stvlan", "192.0.2.1", "vlan=7;port_queues=4");
	struct port_filter f;

	(void)help_zfur(st, "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(mem_filter_at(p, 0, &f), 0);
	CU_ASSERT_EQUAL(f.vlan, 7);
	end(p, &st, 1);
}

/* Each of two stacks receives by its own queue, whether the other polls or not; what has no filter comes to both. */
static void
each_stack_has_its_queue(void)
{
	struct mem_port *p = port("sttwo", 4);
	struct zf_stack *st[3];
	struct zfur *ur[3];
	uint8_t f[128];
	uint32_t n;

	st[0] = stack("sttwo", "192.0.2.1", "");
	ur[0] = help_zfur(st[0], "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 0);
	st[1] = stack("sttwo", "192.0.2.2", "");
	ur[1] = help_zfur(st[1], "192.0.2.2", 1000);
	st[2] = stack("sttwo", "192.0.2.3", "");
	ur[2] = help_zfur(st[2], "192.0.2.3", 1000);
	/* The first one's was led elsewhere when it was no longer alone. */
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 1);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.2", 1000, "0.0.0.0", 0), 2);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.3", 1000, "0.0.0.0", 0), 3);
	for (int i = 0; i < 3; i++) {
		char ip[16];

		snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
		push_udp(p, "192.0.2.9", ip, 1000, (char)('a' + i));
	}
	for (int i = 2; i >= 0; i--) {
		CU_ASSERT_EQUAL(got(st[i], ur[i]), 'a' + i);
		CU_ASSERT_EQUAL(st[i]->counters[CNT_RX_OTHER_STACK], 0);
	}
	/* ARP comes to the common queue: any of them answers, for all. */
	n = help_arp_reply(f, "192.0.2.9", "192.0.2.3");
	f[14 + 7] = 1; /* a request */
	CU_ASSERT_EQUAL(mem_push(p, 0, f, n, 0), 0);
	(void)mem_flush(p);
	(void)zf_reactor_perform(st[1]);
	CU_ASSERT_EQUAL(mem_unread(p), 1);
	end(p, st, 3);
}

/* A queue is free again when its stack goes, for the next one that comes; the last one keeps the common one too. */
static void
queues_are_given_on(void)
{
	struct mem_port *p = port("stnext", 3);
	struct zf_stack *st[2], *third;
	struct zfur *ur[2], *u3;

	for (int round = 0; round < 3; round++) {
		st[0] = stack("stnext", "192.0.2.1", "");
		st[1] = stack("stnext", "192.0.2.2", "");
		ur[1] = help_zfur(st[1], "192.0.2.2", 1000);
		/* No queue is left: it shares the common one, and asks for nothing. */
		third = stack("stnext", "192.0.2.3", "");
		u3 = help_zfur(third, "192.0.2.3", 1000);
		CU_ASSERT_EQUAL(mem_filter_count(p), 1);
		push_udp(p, "192.0.2.9", "192.0.2.3", 1000, 'c');
		push_udp(p, "192.0.2.9", "192.0.2.2", 1000, 'b');
		CU_ASSERT_EQUAL(got(st[1], ur[1]), 'b');
		CU_ASSERT_EQUAL(got(third, u3), 'c');
		CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
		st[0] = stack("stnext", "192.0.2.1", "");
		ur[0] = help_zfur(st[0], "192.0.2.1", 1000);
		CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 1);
		push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'a');
		CU_ASSERT_EQUAL(got(st[0], ur[0]), 'a');
		CU_ASSERT_EQUAL(zf_stack_free(third), 0);
		CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
		push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'd');
		CU_ASSERT_EQUAL(got(st[0], ur[0]), 'd');
		end(p, st, 1);
	}
}

/* A full table is EBUSY from every call that binds, leaves nothing behind, and is over when a zocket goes. */
static void
a_full_port_is_ebusy(void)
{
	struct mem_port *p = port("stfull", 3);
	struct zf_stack *st = stack("stfull", "192.0.2.1", "");
	struct zfur *ur = help_zfur(st, "192.0.2.1", 1000), *more;
	struct sockaddr_in l = help_addr("192.0.2.1", 4000);
	struct zft_handle *h;
	struct zftl *tl;
	struct zft *ts;

	mem_cfg(p)->filters_max = 1;
	for (int i = 0; i < 3; i++) { /* no place is lost by a failure */
		CU_ASSERT_EQUAL_FATAL(zfur_alloc(&more, st, NULL), 0);
		CU_ASSERT_EQUAL(help_bind(more, "192.0.2.1", 1001, NULL), -EBUSY);
		CU_ASSERT_EQUAL(help_bind(more, "239.1.1.1", 1001, NULL), -EBUSY);
		CU_ASSERT_EQUAL(zfur_free(more), 0);
		CU_ASSERT_PTR_NULL(listener(st, "192.0.2.1", 80, -EBUSY));
		CU_ASSERT_PTR_NULL(connection(st, "192.0.2.1", 0, "192.0.2.9", 5000, -EBUSY));
		CU_ASSERT_EQUAL_FATAL(zft_alloc(st, NULL, &h), 0);
		CU_ASSERT_EQUAL(zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0), -EBUSY);
		CU_ASSERT_EQUAL(zft_handle_free(h), 0);
	}
	CU_ASSERT_EQUAL(mem_filter_count(p), 1);
	CU_ASSERT_EQUAL(help_count_sent(p, IP_PROTO_TCP, NULL), 0);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	tl = listener(st, "192.0.2.1", 80, 0);
	CU_ASSERT_EQUAL(zftl_free(tl), 0);
	ts = connection(st, "192.0.2.1", 0, "192.0.2.9", 5000, 0);
	CU_ASSERT_EQUAL(zft_free(ts), 0);
	ur = help_zfur(st, "192.0.2.1", 1001);
	CU_ASSERT_PTR_NOT_NULL(ur);
	end(p, &st, 1);
}

/* A SYN from 192.0.2.9:5000 to 192.0.2.1:80. */
static uint32_t
syn_frame(uint8_t *f)
{
	struct hdr_tcp syn = {.src = be16_from(5000), .dst = be16_from(80), .data_off = 5 << 4, .flags = TCP_FLAG_SYN};

	syn.csum = csum_finish(csum_partial(&syn, sizeof(syn), csum_pseudo(help_ip("192.0.2.9"), help_ip("192.0.2.1"),
									   IP_PROTO_TCP, sizeof(syn))));
	return help_ip4(f, "192.0.2.9", "192.0.2.1", IP_PROTO_TCP, 0, &syn, sizeof(syn));
}

/* Push to queue 1, and its stack polls; the frames of @proto that it sends for that. */
static uint32_t
answers(struct mem_port *p, struct zf_stack *st, const uint8_t *f, uint32_t n, uint8_t proto)
{
	CU_ASSERT_EQUAL(mem_push(p, 1, f, n, 0), 0);
	for (int i = 0; i < 4; i++)
		(void)zf_reactor_perform(st);
	CU_ASSERT_EQUAL(mem_rx_waiting(p), 0);
	return help_count_sent(p, proto, NULL);
}

/* What is for another stack may come by a stack's own queue where the port hashes or a filter is late: it is lost there
 * (doc/design.md, RSS), but never answered, which would end the other's connection. What is nobody's is answered.
 */
static void
strangers_in_a_stacks_queue(void)
{
	struct mem_port *p = port("ststray", 4);
	struct zf_stack *st[2];
	struct zfur *ur;
	struct zftl *tl;
	uint8_t f[128], udp[128], syn[128];
	uint32_t n_udp = help_udp(udp, "192.0.2.9", "192.0.2.1", 1000, "a", 1), n_syn = syn_frame(syn);

	st[0] = stack("ststray", "192.0.2.1", "");
	st[1] = stack("ststray", "192.0.2.1", "");
	ur = help_zfur(st[1], "192.0.2.1", 1000);
	tl = listener(st[1], "192.0.2.1", 80, 0);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_TCP, "192.0.2.1", 80, "0.0.0.0", 0), 2);
	CU_ASSERT_EQUAL(mem_push(p, 0, f, help_arp_reply(f, "192.0.2.9", "192.0.2.1"), 0), 0);
	(void)zf_reactor_perform(st[0]);
	CU_ASSERT_EQUAL(answers(p, st[0], udp, n_udp, IP_PROTO_ICMP), 0);
	CU_ASSERT_EQUAL(answers(p, st[0], syn, n_syn, IP_PROTO_TCP), 0);
	CU_ASSERT_EQUAL(st[0]->counters[CNT_RX_DROP_UDP_NO_PORT], 1);
	CU_ASSERT_EQUAL(st[0]->counters[CNT_RX_DROP_TCP_NO_PORT], 1);
	CU_ASSERT_EQUAL(got(st[1], ur), -1);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	CU_ASSERT_EQUAL(zftl_free(tl), 0);
	CU_ASSERT_EQUAL(answers(p, st[0], udp, n_udp, IP_PROTO_ICMP), 1);
	CU_ASSERT_EQUAL(answers(p, st[0], syn, n_syn, IP_PROTO_TCP), 1);
	end(p, st, 2);
}

/* A form that the port refuses: the call succeeds, and the frames come by the common queue. */
static void
a_refused_filter_falls_back(void)
{
	struct mem_port *p = port("strefuse", 3);
	struct zf_stack *st[2];
	struct zfur *ur[2];

	mem_cfg(p)->filters_narrow = true;
	st[0] = stack("strefuse", "192.0.2.1", "");
	st[1] = stack("strefuse", "192.0.2.2", "");
	ur[0] = help_zfur(st[0], "192.0.2.1", 1000);
	ur[1] = help_zfur(st[1], "192.0.2.2", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'a');
	push_udp(p, "192.0.2.9", "192.0.2.2", 1000, 'b');
	CU_ASSERT_EQUAL(got(st[1], ur[1]), 'b'); /* who polls hands the other's on */
	CU_ASSERT_EQUAL(st[1]->counters[CNT_RX_OTHER_STACK], 1);
	CU_ASSERT_EQUAL(got(st[0], ur[0]), 'a');
	end(p, st, 2);
}

/* One stack has the port from any sender, another from one sender, for which the port has no filter: that frame must not
 * vanish in the first one's queue.
 */
static void
the_wider_filter_gives_way(void)
{
	struct mem_port *p = port("stwide", 4);
	struct sockaddr_in l = help_addr("192.0.2.1", 1000), r = help_addr("192.0.2.9", 1000);
	struct zf_stack *st[2];
	struct zfur *any, *one;

	mem_cfg(p)->filters_wide = true;
	st[0] = stack("stwide", "192.0.2.1", "");
	st[1] = stack("stwide", "192.0.2.1", "");
	any = help_zfur(st[0], "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 1);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&one, st[1], NULL), 0);
	CU_ASSERT_EQUAL(zfur_addr_bind(one, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'o');
	push_udp(p, "192.0.2.8", "192.0.2.1", 1000, 'a');
	CU_ASSERT_EQUAL(got(st[0], any), 'a');
	CU_ASSERT_EQUAL(got(st[1], one), 'o');
	/* Nor does the wider one come back while the narrower is there. */
	CU_ASSERT_EQUAL(zfur_free(any), 0);
	any = help_zfur(st[0], "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	CU_ASSERT_EQUAL(zfur_free(one), 0);
	CU_ASSERT_EQUAL(zfur_free(any), 0);
	any = help_zfur(st[0], "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 1);
	end(p, st, 2);
}

/* A filter leads to one queue: a group of several stacks has none, and all of them receive. */
static void
a_group_of_several_stacks(void)
{
	struct mem_port *p = port("stgroup", 4);
	struct zf_stack *st[2];
	struct zfur *ur[2];

	for (int i = 0; i < 2; i++)
		st[i] = stack("stgroup", i == 0 ? "192.0.2.1" : "192.0.2.2", "");
	ur[0] = help_zfur(st[0], "239.1.1.1", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 1);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur[1], st[1], NULL), 0);
	CU_ASSERT_EQUAL(help_bind(ur[1], "239.1.1.1", 1000, "192.0.2.9"), 0); /* of one sender */
	CU_ASSERT_EQUAL(mem_filter_count(p), 0);
	push_udp(p, "192.0.2.9", "239.1.1.1", 1000, 'm');
	CU_ASSERT_EQUAL(got(st[1], ur[1]), 'm');
	CU_ASSERT_EQUAL(got(st[0], ur[0]), 'm');
	end(p, st, 2);
}

/* The port forgets its filters in a reset, and its queues are others: both stacks go on. */
static void
filters_come_back_after_a_reset(void)
{
	struct mem_port *p = port("streset", 4);
	struct zf_stack *st[2];
	struct zfur *ur[2];

	for (int i = 0; i < 2; i++) {
		st[i] = stack("streset", i == 0 ? "192.0.2.1" : "192.0.2.2", "");
		ur[i] = help_zfur(st[i], i == 0 ? "192.0.2.1" : "192.0.2.2", 1000);
	}
	for (int round = 0; round < 3; round++) {
		mem_ask_reset(p);
		(void)zf_reactor_perform(st[round & 1]);
		CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 1);
		CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.2", 1000, "0.0.0.0", 0), 2);
		push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'a');
		push_udp(p, "192.0.2.9", "192.0.2.2", 1000, 'b');
		CU_ASSERT_EQUAL(got(st[0], ur[0]), 'a');
		CU_ASSERT_EQUAL(got(st[1], ur[1]), 'b');
	}
	end(p, st, 2);
}

static _Atomic bool over;

static void *
poller(void *arg)
{
	struct zf_stack *st = arg;
	uint64_t polls = 0;

	while (!atomic_load(&over)) {
		(void)zf_reactor_perform(st);
		polls++;
	}
	CU_ASSERT(polls > 0);
	return NULL;
}

/* Resets while two stacks poll queues of their own on two threads, and a third one comes and goes: whoever handles it holds
 * the others up, and nobody waits for ever.
 */
static void
resets_under_load(void)
{
	struct mem_port *p = port("stload", 4);
	struct zf_stack *st[2], *guest;
	struct zfur *ur[2];
	pthread_t t;

	for (int i = 0; i < 2; i++) {
		st[i] = stack("stload", i == 0 ? "192.0.2.1" : "192.0.2.2", "");
		ur[i] = help_zfur(st[i], i == 0 ? "192.0.2.1" : "192.0.2.2", 1000);
	}
	atomic_store(&over, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, poller, st[1]), 0);
	for (int i = 0; i < 300; i++) {
		mem_ask_reset(p);
		(void)zf_reactor_perform(st[0]);
		if (i % 10 == 0) {
			guest = stack("stload", "192.0.2.3", "");
			(void)help_zfur(guest, "192.0.2.3", 1000);
			mem_ask_reset(p);
			(void)zf_reactor_perform(guest);
			CU_ASSERT_EQUAL(zf_stack_free(guest), 0);
		}
	}
	atomic_store(&over, true);
	CU_ASSERT_EQUAL(pthread_join(t, NULL), 0);
	for (int i = 0; i < 2; i++)
		(void)zf_reactor_perform(st[i]);
	push_udp(p, "192.0.2.9", "192.0.2.1", 1000, 'a');
	push_udp(p, "192.0.2.9", "192.0.2.2", 1000, 'b');
	CU_ASSERT_EQUAL(got(st[0], ur[0]), 'a');
	CU_ASSERT_EQUAL(got(st[1], ur[1]), 'b');
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.2", 1000, "0.0.0.0", 0), 2);
	end(p, st, 2);
}

/* Where nothing comes without a filter, a single stack with one queue has them too, and a refusal is the call's. */
static void
a_port_that_receives_by_filter_alone(void)
{
	struct mem_port *p = port("stonly", 1);
	struct zf_stack *st;
	struct zfur *ur;

	mem_cfg(p)->caps |= PORT_RX_FILTERED;
	st = stack("stonly", "192.0.2.1", "");
	ur = help_zfur(st, "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000, "0.0.0.0", 0), 0);
	mem_cfg(p)->filters_narrow = true;
	CU_ASSERT_EQUAL(help_bind(ur, "192.0.2.1", 1001, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(mem_filter_count(p), 1);
	end(p, &st, 1);
}

/* One queue, and a port that is faster by filter: two stacks have one filter for what both want. */
static void
one_queue_with_filters(void)
{
	struct mem_port *p = port("stone", 1);
	struct zf_stack *st[2];
	struct zfur *ur[2], *own;

	mem_cfg(p)->filters_always = true;
	for (int i = 0; i < 2; i++) {
		st[i] = stack("stone", i == 0 ? "192.0.2.1" : "192.0.2.2", "");
		ur[i] = help_zfur(st[i], "239.1.1.1", 1000);
	}
	own = help_zfur(st[1], "192.0.2.2", 1000);
	CU_ASSERT_EQUAL(mem_filter_count(p), 2);
	push_udp(p, "192.0.2.9", "239.1.1.1", 1000, 'm');
	CU_ASSERT_EQUAL(got(st[1], ur[1]), 'm');
	CU_ASSERT_EQUAL(got(st[0], ur[0]), 'm');
	CU_ASSERT_EQUAL(zfur_free(ur[0]), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 2);
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 2);
	CU_ASSERT_EQUAL(zfur_free(own), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 1);
	end(p, st + 1, 1); /* with a zocket still open */
}

/* Many connections: the table grows, each filter is there and goes. */
static void
many_filters(void)
{
	struct mem_port *p = port("stmany", 3);
	struct zf_stack *st = stack("stmany", "192.0.2.1", "max_udp_rx_endpoints=250;port_queues=4");
	struct zfur *ur[200];

	for (int i = 0; i < 200; i++)
		ur[i] = help_zfur(st, "192.0.2.1", 1000 + i);
	CU_ASSERT_EQUAL(mem_filter_count(p), 200);
	for (int i = 0; i < 200; i += 2)
		CU_ASSERT_EQUAL(zfur_free(ur[i]), 0);
	CU_ASSERT_EQUAL(mem_filter_count(p), 100);
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(filter_to(p, IP_PROTO_UDP, "192.0.2.1", 1000 + i, "0.0.0.0", 0), i % 2 == 0 ? -1 : 0);
	end(p, &st, 1);
}

/* The port's own alternatives tell by the queue that they are on, and one beside the common queue polls that alone. */
static void
with_a_queue_of_its_own_alternatives_are_the_stacks(void)
{
	struct mem_port *p = port("stalt", 4);
	struct zf_stack *st[2];

	mem_cfg(p)->alts = 4;
	st[0] = stack("stalt", "192.0.2.1", "port_queues=4;alt_count=2");
	CU_ASSERT_PTR_NULL(st[0]->ctx.alt);
	CU_ASSERT_EQUAL(st[0]->port->alt_buf_bytes, 0);
	st[1] = stack("stalt", "192.0.2.2", ""); /* nor do they keep others away */
	end(p, st, 2);
}

static const struct unit_test tests[] = {
	UNIT(one_queue_needs_no_filter),
	UNIT(a_filter_for_each_binding),
	UNIT(filters_know_the_vlan),
	UNIT(each_stack_has_its_queue),
	UNIT(queues_are_given_on),
	UNIT(a_full_port_is_ebusy),
	UNIT(strangers_in_a_stacks_queue),
	UNIT(a_refused_filter_falls_back),
	UNIT(the_wider_filter_gives_way),
	UNIT(a_group_of_several_stacks),
	UNIT(filters_come_back_after_a_reset),
	UNIT(resets_under_load),
	UNIT(a_port_that_receives_by_filter_alone),
	UNIT(one_queue_with_filters),
	UNIT(many_filters),
	UNIT(with_a_queue_of_its_own_alternatives_are_the_stacks),
};

int
main(int argc, char **argv)
{
	return unit_main("test_steer", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
