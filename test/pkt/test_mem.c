/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/mem itself: joined ports and their faults, ring limits, faults noticed; and two stacks that talk over a bad
 * link, twice the same for the same seed. The single port is tested by every packet script.
 */
#include <errno.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <zf/zf.h>

#include "core/ctx.h"
#include "mem/mem.h"
#include "unit/unit.h"
#include "zf_testing.h"

static struct sockaddr_in
addr(uint32_t ip, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
}

#define A 0xc0000201u
#define B 0xc0000202u

/* Two stacks on a link: the receiver's zocket and the sender's. */
struct pair {
	struct zt *a, *b;
	struct mem_port *pa, *pb;
	struct zfut *ut;
	struct zfur *ur;
};

static void
pair_open(struct pair *p, const char *name)
{
	struct sockaddr_in l = addr(A, 1000), r = addr(B, 2000);
	struct zf_attr *attr;
	char attrs[128];

	snprintf(attrs, sizeof(attrs), "interface=mem:%s/a;ipv4=192.0.2.1/24;n_bufs=1024;log_level=0", name);
	CU_ASSERT_EQUAL_FATAL(zt_open(&p->a, attrs), 0);
	snprintf(attrs, sizeof(attrs), "interface=mem:%s/b;ipv4=192.0.2.2/24;n_bufs=1024;log_level=0", name);
	CU_ASSERT_EQUAL_FATAL(zt_open(&p->b, attrs), 0);
	p->pa = zt_port(p->a);
	p->pb = zt_port(p->b);
	zt_seed(p->a, 1);
	zt_seed(p->b, 2);
	zt_advance(5000000000u);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&p->ur, zt_stack(p->b), attr), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(p->ur, (struct sockaddr *)&r, sizeof(r), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL_FATAL(zfut_alloc(&p->ut, zt_stack(p->a), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r,
					 sizeof(r), 0, attr),
			      0);
	zf_attr_free(attr);
	zt_advance(1000000000u); /* the neighbour answers */
}

static void
pair_close(struct pair *p)
{
	struct mem_port *port = p->pa;

	zfut_free(p->ut);
	zfur_free(p->ur);
	zt_advance(1000000000u);
	CU_ASSERT_EQUAL(zt_close(p->a, NULL), 0);
	CU_ASSERT_EQUAL(mem_forget(port), -EBUSY);
	CU_ASSERT_EQUAL(zt_close(p->b, NULL), 0);
	CU_ASSERT_EQUAL(mem_forget(port), 0);
}

/* First four payload bytes of the next datagram, or -1. */
static int64_t
next_number(struct pair *p)
{
	union {
		struct zfur_msg msg;
		uint8_t room[sizeof(struct zfur_msg) + sizeof(struct iovec)];
	} rd;
	uint32_t v;

	rd.msg.iovcnt = 1;
	zfur_zc_recv(p->ur, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return -1;
	CU_ASSERT_EQUAL_FATAL(rd.msg.iov[0].iov_len, 500);
	memcpy(&v, rd.msg.iov[0].iov_base, sizeof(v));
	zfur_zc_recv_done(p->ur, &rd.msg);
	return v;
}

static void
send_number(struct pair *p, uint32_t v)
{
	uint8_t b[500] = {0};

	memcpy(b, &v, sizeof(v));
	CU_ASSERT_EQUAL_FATAL(zfut_send_single(p->ut, b, sizeof(b)), 500);
}

static void
pair_passes_frames(void)
{
	struct pair p;

	pair_open(&p, "plain");
	for (uint32_t i = 0; i < 100; i++)
		send_number(&p, i);
	zt_run();
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(next_number(&p), i);
	CU_ASSERT_EQUAL(next_number(&p), -1);
	pair_close(&p);
}

/* What a lossy link does to 2,000 datagrams, as one number. */
static uint64_t
lossy_run(uint64_t seed, uint32_t *got, uint32_t *disorder, struct mem_stats *st)
{
	struct pair p;
	struct mem_link_cfg *l;
	uint64_t hash = 0;
	int64_t v, last = -1;

	pair_open(&p, "lossy");
	l = mem_link_cfg(p.pa);
	*l = (struct mem_link_cfg){
		.loss_ppm = 50000,
		.dup_ppm = 20000,
		.reorder_ppm = 30000,
		.corrupt_ppm = 10000,
		.delay_ns = 1000000,
		.jitter_ns = 5000,
		.reorder_ns = 300000,
	};
	mem_link_seed(p.pa, seed);
	*got = *disorder = 0;
	for (uint32_t i = 0; i < 2000; i++) {
		send_number(&p, i);
		zt_advance(20000);
		while ((v = next_number(&p)) >= 0) {
			(*got)++;
			*disorder += v < last;
			last = v;
			hash = (hash ^ (uint64_t)v) * 0x100000001b3ull;
		}
	}
	zt_advance(2000000);
	while ((v = next_number(&p)) >= 0)
		(*got)++;
	*st = *mem_stats(p.pa);
	pair_close(&p);
	return hash;
}

static void
link_faults_repeat(void)
{
	struct mem_stats s1, s2, s3;
	uint32_t got1, got2, got3, dis;
	uint64_t h1 = lossy_run(7, &got1, &dis, &s1), h2, h3;

	CU_ASSERT(s1.link_lost > 50 && s1.link_lost < 150);
	CU_ASSERT(s1.link_doubled > 15 && s1.link_doubled < 80);
	CU_ASSERT(s1.link_reordered > 30 && s1.link_reordered < 100);
	CU_ASSERT(s1.link_corrupted > 5 && s1.link_corrupted < 50);
	CU_ASSERT(dis > 10);
	/* Damaged datagrams do not arrive; nothing else is missing. One flipped bit may hit what no checksum covers
	 * only in the padding, which 500 bytes do not have.
	 */
	CU_ASSERT_EQUAL(got1, 2000 - s1.link_lost + s1.link_doubled - s1.link_corrupted);
	h2 = lossy_run(7, &got2, &dis, &s2);
	CU_ASSERT(h1 == h2 && got1 == got2);
	h3 = lossy_run(8, &got3, &dis, &s3);
	CU_ASSERT(h1 != h3);
}

static void
link_delay_and_bandwidth(void)
{
	struct pair p;
	uint64_t t0;
	uint32_t n = 0;

	pair_open(&p, "slow");
	mem_link_cfg(p.pa)->delay_ns = 3000000;
	t0 = zt_clock();
	send_number(&p, 1);
	zt_run();
	CU_ASSERT_EQUAL(mem_next_due(p.pb), t0 + 3000000);
	zt_advance(2999999);
	CU_ASSERT_EQUAL(next_number(&p), -1);
	zt_advance(1);
	CU_ASSERT_EQUAL(next_number(&p), 1);
	/* 542 bytes, 24 of preamble, FCS and gap: 4,528 bits are 452,800 ns at 10 Mbit/s. */
	mem_link_cfg(p.pa)->delay_ns = 0;
	mem_link_cfg(p.pa)->bits_per_s = 10000000;
	mem_link_cfg(p.pa)->queue_frames = 50;
	for (uint32_t i = 0; i < 100; i++)
		send_number(&p, i);
	for (int i = 0; i < 100; i++) {
		zt_advance(452800);
		while (next_number(&p) >= 0)
			n++;
		CU_ASSERT(n <= (uint32_t)i + 1);
	}
	CU_ASSERT(n >= 50 && n <= 51);
	pair_close(&p);
}

static bool
drop_third(void *arg, const uint8_t *frame, uint32_t len)
{
	uint32_t *count = arg;

	(void)frame;
	(void)len;
	return ++*count % 3 == 0;
}

static void
link_drops_what_the_test_says(void)
{
	struct pair p;
	uint32_t count = 0, n = 0;

	pair_open(&p, "choosy");
	mem_link_cfg(p.pa)->drop = drop_third;
	mem_link_cfg(p.pa)->drop_arg = &count;
	for (uint32_t i = 0; i < 30; i++)
		send_number(&p, i);
	zt_run();
	while (next_number(&p) >= 0)
		n++;
	CU_ASSERT_EQUAL(n, 20);
	pair_close(&p);
}

static void
link_of_a_pair_flaps(void)
{
	struct pair p;

	pair_open(&p, "flap");
	mem_set_link(p.pb, PORT_LINK_DOWN);
	send_number(&p, 1);
	zt_advance(1000000);
	CU_ASSERT_EQUAL(next_number(&p), -1);
	mem_set_link(p.pa, PORT_LINK_UP);
	zt_advance(1000000);
	send_number(&p, 2);
	zt_run();
	CU_ASSERT_EQUAL(next_number(&p), 2);
	pair_close(&p);
}

static void
ring_is_bounded(void)
{
	struct mem_port *p = zt_next_port();
	uint8_t frame[60] = {0};
	struct zt *t;

	CU_ASSERT_EQUAL_FATAL(zt_open(&t, "ipv4=192.0.2.1/24;rx_ring_max=50;n_bufs=256;log_level=0"), 0);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(mem_push(p, 0, frame, sizeof(frame), 0), 0);
	CU_ASSERT_EQUAL(mem_stats(p)->rx_lost_full, 36); /* 50 rounds up to 64 */
	zt_run();
	CU_ASSERT_EQUAL(mem_stats(p)->rx_delivered, 64);
	/* Frames on their way fill the ring only when they are there. */
	for (int i = 0; i < 100; i++)
		mem_push(p, 0, frame, sizeof(frame), zt_clock() + 1000);
	zt_set_clock(zt_clock() + 1000);
	zt_run();
	CU_ASSERT_EQUAL(mem_stats(p)->rx_delivered, 128);
	CU_ASSERT_EQUAL(mem_stats(p)->rx_lost_full, 72);
	CU_ASSERT_EQUAL(mem_push(p, 0, frame, MEM_FRAME_MAX + 1, 0), -EINVAL);
	CU_ASSERT_EQUAL(mem_push(p, 1, frame, sizeof(frame), 0), -EINVAL);
	CU_ASSERT_EQUAL(zt_close(t, NULL), 0);
}

static void
names_and_errors(void)
{
	struct zt *t;

	CU_ASSERT_PTR_NULL(mem_port(""));
	CU_ASSERT_PTR_NULL(mem_port("x/c"));
	CU_ASSERT_PTR_NULL(mem_port("a b"));
	CU_ASSERT_PTR_NULL(mem_port("0123456789012345678901234567890123456789"));
	CU_ASSERT_PTR_EQUAL(mem_port("n/a"), mem_port("n/a"));
	CU_ASSERT_PTR_NOT_EQUAL(mem_port("n/a"), mem_port("n/b"));
	CU_ASSERT_EQUAL(mem_forget(mem_port("n/b")), 0);
	CU_ASSERT(zt_open(&t, "interface=wire:loop;log_level=0") < 0);
	CU_ASSERT(zt_open(&t, "no_such_attribute=1") < 0);
	mem_cfg(zt_next_port())->fail_open = -EPERM;
	CU_ASSERT_EQUAL(zt_open(&t, "ipv4=192.0.2.1/24;log_level=0"), -EPERM);
	mem_cfg_default(zt_next_port());
	mem_cfg(zt_next_port())->fail_setup = -ENOMEM;
	CU_ASSERT_EQUAL(zt_open(&t, "ipv4=192.0.2.1/24;log_level=0"), -ENOMEM);
	mem_cfg_default(zt_next_port());
	mem_cfg(zt_next_port())->fail_start = -EIO;
	CU_ASSERT_EQUAL(zt_open(&t, "ipv4=192.0.2.1/24;log_level=0"), -EIO);
	mem_cfg_default(zt_next_port());
	mem_cfg(zt_next_port())->rx_ring_max = 256;
	CU_ASSERT_EQUAL(zt_open(&t, "ipv4=192.0.2.1/24;rx_ring_max=512;log_level=0"), -EINVAL);
	CU_ASSERT_EQUAL(zt_open(&t, "ipv4=192.0.2.1/24;rx_ring_max=256;log_level=0"), 0);
	CU_ASSERT_EQUAL(zt_set_clock(zt_clock() - 1), -EINVAL);
	CU_ASSERT_EQUAL(zt_close(t, NULL), 0);
}

static unsigned faults;

static void
on_fault(void *arg, const char *what)
{
	(void)arg;
	(void)what;
	faults++;
}

/* The driver finds what a stack must not do: sent by hand past the stack. */
static void
faults_are_noticed(void)
{
	struct mem_port *p = zt_next_port();
	struct port_queue q;
	struct rte_mbuf *m;
	struct zf_ctx *ctx;
	struct zt *t;

	mem_cfg(p)->refuse_shared = mem_cfg(p)->refuse_chained = mem_cfg(p)->refuse_indirect = true;
	mem_on_fault(p, on_fault, NULL);
	CU_ASSERT_EQUAL_FATAL(zt_open(&t, "ipv4=192.0.2.1/24;n_bufs=256;log_level=0"), 0);
	ctx = zt_ctx(t);
	q = (struct port_queue){.tx = ctx->tx, .txq = ctx->txq};
	m = pkt_take(ctx->pool);
	pkt_reset(m, 60);
	rte_mbuf_refcnt_set(m, 2);
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(faults, 1);
	pkt_reset(m, 60);
	m->ol_flags = RTE_MBUF_F_TX_IP_CKSUM;
	rte_mbuf_refcnt_set(m, 1);
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(faults, 2);
	m = pkt_take(ctx->pool);
	pkt_reset(m, 60);
	m->pkt_len = 61;
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(faults, 3);
	m = pkt_take(ctx->pool);
	pkt_reset(m, 13);
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(faults, 4);
	mem_cfg(p)->hold = MEM_ALL;
	m = pkt_take(ctx->pool);
	pkt_reset(m, 60);
	CU_ASSERT_EQUAL(q.tx(q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(mem_held(p), 1);
	rte_pktmbuf_mtod(m, uint8_t *)[20] ^= 1;
	CU_ASSERT_EQUAL(mem_release(p, 1), 1);
	CU_ASSERT_EQUAL(faults, 5);
	CU_ASSERT_EQUAL(mem_stats(p)->faults, 5);
	CU_ASSERT_EQUAL(zt_close(t, NULL), 0);
}

/* A leak is found: a buffer that nobody gave back. */
static void
leaks_are_found(void)
{
	struct zt_leaks leaks;
	struct rte_mbuf *m;
	struct zf_ctx *ctx;
	struct zfur *ur;
	struct zf_attr *attr;
	struct zt *t;

	CU_ASSERT_EQUAL_FATAL(zt_open(&t, "ipv4=192.0.2.1/24;n_bufs=256;log_level=0"), 0);
	zt_advance(5000000000u);
	CU_ASSERT(!zt_leaks(t, &leaks));
	ctx = zt_ctx(t);
	m = pkt_take(ctx->pool);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zfur_alloc(&ur, zt_stack(t), attr), 0);
	zf_attr_free(attr);
	CU_ASSERT(zt_leaks(t, &leaks));
	CU_ASSERT_EQUAL(leaks.bufs, 1);
	CU_ASSERT_EQUAL(leaks.zockets, 1);
	pkt_put(ctx->pool, m);
	CU_ASSERT_EQUAL(zt_close(t, &leaks), -ENOTEMPTY);
	CU_ASSERT_EQUAL(leaks.zockets, 1);
}

/* zf_stack_free() at any time: zockets, queued datagrams, a held frame, an incomplete datagram. */
static void
stack_freed_with_everything_open(void)
{
	static const uint8_t frag[60] = {0x02, 0,    0,    0,    0,    0x01, 0x02, 1,    1,    1, 1, 1, 8,   0, 0x45,
					 0,    0,    28,   0,    7,    0x20, 0,    64,   17,   0, 0, 192, 0, 2, 66,
					 192,  0,    2,    1,    3,    0xe8, 7,    0xd0, 0,    8};
	struct sockaddr_in l = addr(A, 2000), r = addr(B, 1000);
	struct zt_leaks leaks;
	struct zf_pool *pool;
	struct zf_attr *attr;
	uint8_t b[60];
	struct zfut *ut;
	struct zfur *ur;
	uint32_t sum = 0;
	struct zt *t;

	CU_ASSERT_EQUAL_FATAL(zt_open(&t, "ipv4=192.0.2.1/24;n_bufs=256;log_level=0"), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL(zfur_alloc(&ur, zt_stack(t), attr), 0);
	CU_ASSERT_EQUAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(zfut_alloc(&ut, zt_stack(t), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r),
				   0, attr),
			0);
	zf_attr_free(attr);
	CU_ASSERT_EQUAL(zfut_send_single(ut, "x", 1), 1); /* nobody answers ARP: held */
	memcpy(b, frag, sizeof(b));
	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	b[24] = (uint8_t)(sum >> 8);
	b[25] = (uint8_t)sum;
	CU_ASSERT_EQUAL(zt_push(t, b, sizeof(b), true), 0);
	b[20] = 0; /* the same, whole: the sum changes by the flag */
	b[24] = (uint8_t)(b[24] + 0x20);
	CU_ASSERT_EQUAL(zt_push(t, b, sizeof(b), true), 0);
	CU_ASSERT_EQUAL(zt_counter_at(t, CNT_RX_FRAGMENT), 1);
	CU_ASSERT_EQUAL(zt_counter_at(t, CNT_RX_UDP), 1);
	pool = zt_ctx(t)->pool->of;
	pool_hold(pool);
	CU_ASSERT_EQUAL(zt_close(t, &leaks), -ENOTEMPTY);
	CU_ASSERT_EQUAL(leaks.zockets, 2);
	CU_ASSERT_EQUAL(leaks.bufs, 3);
	CU_ASSERT_EQUAL(pool_free_count(pool), pool->n_bufs); /* all home after all */
	pool_drop(pool);
}

static const struct unit_test tests[] = {
	UNIT(stack_freed_with_everything_open),
	UNIT(pair_passes_frames), UNIT(link_faults_repeat),   UNIT(link_delay_and_bandwidth),
	UNIT(link_drops_what_the_test_says), UNIT(link_of_a_pair_flaps), UNIT(ring_is_bounded),
	UNIT(names_and_errors),   UNIT(faults_are_noticed),   UNIT(leaks_are_found),
};
UNIT_MAIN("test_mem", tests)
