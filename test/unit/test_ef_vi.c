/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ef_vi's driver over the model of an adapter: what it refuses and with which code, PIO, filters, refill, alternatives,
 * lost events. Frames in general are the packet scripts' affair (modes vi-dma and vi-pio).
 */
#include "mem_help.h"

#include <unistd.h>

#include "ef_vi/ef_vi.h"
#include "softvi/softvi.h"
#include "stack/drivers.h"

#define ATTRS "interface=softvi:ef;ipv4=192.0.2.1/24;"

static struct softvi *
adapter(enum softvi_variant v)
{
	struct softvi *a = softvi_adapter("ef");

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	softvi_set_variant(a, v);
	return a;
}

static void
forget(struct softvi *a)
{
	struct mem_port *port = softvi_port(a);

	CU_ASSERT_EQUAL(softvi_stats(a)->faults, 0);
	if (softvi_stats(a)->faults != 0)
		printf("fault: %s\n", softvi_last_fault(a));
	CU_ASSERT_EQUAL(softvi_forget(a), 0);
	mem_flush(port);
	CU_ASSERT_EQUAL(mem_forget(port), 0);
}

/* zf_stack_alloc() with @more attributes, its log into a file: *@lines of it, and does one of them have @says? */
static int
try_it(const char *more, const char *says, int *lines)
{
	char path[] = "/tmp/zf_ef_vi.XXXXXX", attrs[512], line[1024];
	struct zf_stack *st = NULL;
	int fd = mkstemp(path), rc;
	bool said = says == NULL;
	FILE *f;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	snprintf(attrs, sizeof(attrs), ATTRS "log_file=%s;log_level=0x3333333333333;%s", path, more);
	rc = help_try(attrs, &st);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (*lines = 0; fgets(line, sizeof(line), f) != NULL; (*lines)++)
		said |= says != NULL && strstr(line, says) != NULL;
	fclose(f);
	unlink(path);
	CU_ASSERT(said);
	if (!said)
		printf("no line says \"%s\", rc %d\n", says, rc);
	if (rc == 0)
		zf_stack_free(st);
	return rc;
}

static void
refusals_of_the_adapter_reach_the_caller(void)
{
	static const struct {
		const char *attrs;
		enum softvi_call call; /* that fails with @gives; SOFTVI_CALLS: none */
		int gives;
		int want;
		const char *says;
	} t[] = {
		{"", SOFTVI_DRIVER_OPEN, -ENOENT, -ENOENT, "Onload's drivers"},
		{"", SOFTVI_DRIVER_OPEN, -ENODEV, -ENOENT, "Onload's drivers"},
		{"", SOFTVI_DRIVER_OPEN, -EPERM, -EPERM, "Onload's drivers"},
		{"", SOFTVI_IF_INDEX, -ENODEV, -ENODEV, "not a port of an adapter"},
		{"", SOFTVI_PD_ALLOC, -EOPNOTSUPP, -ENODEV, "not a port of an adapter"},
		{"", SOFTVI_PD_ALLOC, -ENOKEY, -ENOKEY, "not a port of an adapter"},
		{"", SOFTVI_VI_ALLOC, -EBUSY, -EBUSY, "all VIs"},
		{"", SOFTVI_VI_ALLOC, -ENOKEY, -ENOKEY, "licence"},
		{"", SOFTVI_VI_ALLOC, -EPERM, -EPERM, "rights"},
		{"", SOFTVI_MEMREG_ALLOC, -ENOMEM, -ENOMEM, "huge pages"},
		{"", SOFTVI_PIO_ALLOC, -ENOSPC, -ENOSPC, "pio=1"},
		{"pio=3", SOFTVI_PIO_ALLOC, -ENOSPC, -ENOSPC, "pio=1"},
		{"pio=2", SOFTVI_PIO_ALLOC, -ENOSPC, 0, "small frames go by DMA"},
		{"pio=3", SOFTVI_PIO_ALLOC, -EOPNOTSUPP, 0, "small frames go by DMA"},
		{"pio=2", SOFTVI_PIO_LINK, -EPERM, 0, "small frames go by DMA"},
		{"pio=1", SOFTVI_PIO_ALLOC, -ENOSPC, 0, NULL},
		{"pio=0", SOFTVI_PIO_ALLOC, -ENOSPC, 0, NULL},
		{"ctpio=3", SOFTVI_CALLS, 0, -EOPNOTSUPP, "ctpio=1"},
		{"ctpio=2", SOFTVI_CALLS, 0, 0, "ctpio=2"},
		{"rx_ring_max=4097", SOFTVI_CALLS, 0, -EINVAL, "rx_ring_max=4097"},
		{"tx_ring_max=10000", SOFTVI_CALLS, 0, -EINVAL, "tx_ring_max=10000"},
		{"rx_ring_max=4096;tx_ring_max=4096;n_bufs=10000", SOFTVI_CALLS, 0, 0, NULL},
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct softvi *a = adapter(SOFTVI_8000_LL);
		int lines, rc;

		if (t[i].call != SOFTVI_CALLS)
			softvi_cfg(a)->fail[t[i].call] = t[i].gives;
		rc = try_it(t[i].attrs, t[i].says, &lines);
		CU_ASSERT_EQUAL(rc, t[i].want);
		CU_ASSERT_EQUAL(lines, t[i].says != NULL); /* exactly one line, and none without a reason */
		if (rc != t[i].want || lines != (t[i].says != NULL))
			printf("row %zu: %d, %d lines\n", i, rc, lines);
		forget(a);
	}
}

static void
without_ef_vi_the_library_says_what_to_do(void)
{
	char path[] = "/tmp/zf_ef_vi.XXXXXX", line[1024] = "";
	struct zf_log log = {0};
	const struct port_host host = {.log = &log};
	struct port_open_args args = {.name = "ef_vi:eth0", .host = &host};
	struct port_info info;
	void *priv;
	int fd = mkstemp(path);
	FILE *f;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(log_init(&log, NULL, 0x1111111111111u, 0, path), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(drivers_find("ef_vi"));
	CU_ASSERT_EQUAL(drivers_find("ef_vi")->open(&args, &info, &priv), -ENODEV);
	log_fini(&log);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), f));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "ef_vi:eth0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "-Def_vi=enabled"));
	fclose(f);
	close(fd);
	unlink(path);
}

static void
features_are_told(void)
{
	struct softvi *a = adapter(SOFTVI_8000_FF);
	struct zf_stack *st = help_stack(ATTRS);

	CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 1);
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, CTPIO), 0);
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, (enum zf_stack_feature)2), -ENOENT);
	zf_stack_free(st);
	st = help_stack(ATTRS "pio=0");
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 0);
	zf_stack_free(st);
	softvi_cfg(a)->pio_bufs = 0;
	st = help_stack(ATTRS "pio=1");
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 0);
	zf_stack_free(st);
	forget(a);
	st = help_stack("interface=wire:feature/a;ipv4=192.0.2.1/24"); /* copies, but not into an adapter */
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 0);
	zf_stack_free(st);
}

static void
help_run(struct zf_stack *st)
{
	for (int i = 0; i < 4; i++)
		(void)zf_reactor_perform(st);
}

/* The driver beneath a stack. */
struct under {
	const struct port_driver *drv;
	void *priv;
	struct port_queue q;
	struct zf_pool *pool;
};

static struct under
under(struct zf_stack *st)
{
	struct under u = {.drv = st->port->port->drv, .priv = st->port->port->priv, .pool = st->port->port->pool};

	u.drv->queue_get(u.priv, 0, &u.q);
	return u;
}

static int
unread(struct softvi *a)
{
	return (int)mem_flush(softvi_port(a));
}

/* A frame of @len bytes of an experimental type in a buffer of the port's. */
static struct rte_mbuf *
frame(const struct under *u, uint32_t len)
{
	struct rte_mbuf *m = pkt_take(u->pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pkt_reset(m, len);
	memset(rte_pktmbuf_mtod(m, void *), 0x88, len);
	return m;
}

static void
pio_takes_turns_between_two_halves(void)
{
	struct softvi *a = adapter(SOFTVI_7000);
	struct zf_stack *st = help_stack(ATTRS);
	struct under u = under(st);
	uint8_t b[1024];

	memset(b, 0x88, sizeof(b));
	(void)unread(a);
	CU_ASSERT_EQUAL(u.q.tx_copy_max, 1024); /* half of 2048 */
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(u.q.tx_copy(u.q.txq, b, 14, b, 1010), 1);
	CU_ASSERT_EQUAL(softvi_stats(a)->tx_pio, 2); /* the others went by DMA rather than into a half that is busy */
	CU_ASSERT_EQUAL(unread(a), 4);
	(void)zf_reactor_perform(st);
	CU_ASSERT_EQUAL(u.q.tx_copy(u.q.txq, b, 14, b, 46), 1);
	CU_ASSERT_EQUAL(softvi_stats(a)->tx_pio, 3);
	/* Practice: nothing leaves. */
	CU_ASSERT_EQUAL(u.q.tx_warm(u.q.txq, b, 14, b, 46), 0);
	CU_ASSERT_EQUAL(unread(a), 1);
	/* A full ring is no reason to overwrite a half. */
	mem_cfg(softvi_port(a))->credit = 0;
	CU_ASSERT_EQUAL(u.q.tx_copy(u.q.txq, b, 14, b, 46), 0);
	CU_ASSERT_EQUAL(u.q.tx_room(u.q.txq), 0);
	mem_cfg(softvi_port(a))->credit = MEM_ALL;
	zf_stack_free(st);
	forget(a);
}

/* 192.0.2.9:9 to 192.0.2.1:7 */
static const uint8_t udp_frame[] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
	0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0xb6, 0xc4, 192, 0, 2, 9, 192, 0, 2, 1,
	0, 9, 0, 7, 0, 10, 0xcf, 0xf1, 0xab, 0xcd};

static void
filters_bring_frames_to_the_vi(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS);
	struct under u = under(st);
	struct port_filter f = {.lip = help_ip("192.0.2.1"), .lport = BE16_C(7), .proto = 17};
	struct port_filter_id id, full_id;

	help_run(st);
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
	help_run(st);
	CU_ASSERT_EQUAL(softvi_stats(a)->rx_kernel, 1);
	CU_ASSERT_EQUAL(mem_stats(softvi_port(a))->rx_delivered, 1); /* it comes all the same, the slow way */
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &id), 0);
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &full_id), -EEXIST);
	f.rip = help_ip("192.0.2.9");
	f.rport = BE16_C(9);
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &full_id), 0);
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
	help_run(st);
	CU_ASSERT_EQUAL(softvi_stats(a)->rx_frames, 1);
	f.vlan = 5;
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &full_id), -EOPNOTSUPP);
	f.vlan = 0;
	f.rport = BE16_C(0);
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &full_id), -EOPNOTSUPP);
	f.rport = BE16_C(9);
	softvi_cfg(a)->fail[SOFTVI_FILTER_ADD] = -ENOSPC;
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &id), -EBUSY);
	u.drv->filter_del(u.priv, &id);
	/* One of a VI that is gone is nobody's, whatever has its number now. */
	softvi_cfg(a)->fail[SOFTVI_FILTER_ADD] = 0;
	softvi_overflow(a);
	help_run(st);
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &id), 0);
	u.drv->filter_del(u.priv, &full_id);
	CU_ASSERT_EQUAL(u.drv->filter_add(u.priv, 0, &f, &full_id), -EEXIST);
	zf_stack_free(st); /* the other one goes with the VI */
	CU_ASSERT_EQUAL(softvi_in_use(a), 0);
	forget(a);
}

static void
ring_is_refilled_as_the_attributes_say(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS "rx_ring_refill_batch_size=64;rx_ring_refill_interval=1;"
					       "reactor_spin_count=1");
	uint32_t lowest = UINT32_MAX;

	softvi_cfg(a)->all_to_vi = true;
	CU_ASSERT_EQUAL(softvi_rx_posted(a), 511);
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
		(void)zf_reactor_perform(st);
		lowest = ZF_MIN(lowest, softvi_rx_posted(a));
		(void)unread(a);
	}
	CU_ASSERT_EQUAL(lowest, 511 - 63); /* the 64th makes a batch */
	zf_stack_free(st);
	/* At every 100th turn: a longer wait, and more at a time. */
	st = help_stack(ATTRS "rx_ring_refill_batch_size=8;rx_ring_refill_interval=100;reactor_spin_count=1");
	for (int i = 0; i < 99; i++) {
		CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
		(void)zf_reactor_perform(st);
		(void)unread(a);
	}
	CU_ASSERT_EQUAL(softvi_rx_posted(a), 511 - 99);
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
	(void)zf_reactor_perform(st);
	CU_ASSERT(softvi_rx_posted(a) > 511 - 8);
	zf_stack_free(st);
	forget(a);
}

static void
alternatives_are_the_adapters(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS "alt_count=0");
	struct under u = under(st);
	struct port_alt_info info;
	struct rte_mbuf *m[2];
	uint32_t free_bufs;

	CU_ASSERT_EQUAL(u.drv->alt_setup(u.priv, 0, 2, 4096, &info), -EOPNOTSUPP); /* the VI was made without */
	zf_stack_free(st);
	st = help_stack(ATTRS "alt_count=2");
	u = under(st);
	if (u.q.alt == NULL) { /* the stack does not ask by itself yet */
		CU_ASSERT_EQUAL(u.drv->alt_setup(u.priv, 0, 18, 4096, &info), -EBUSY); /* of 19 that there are */
		CU_ASSERT_EQUAL_FATAL(u.drv->alt_setup(u.priv, 0, 2, 4096, &info), 0);
		CU_ASSERT_EQUAL(info.buf_bytes, 512);
		u.drv->queue_get(u.priv, 0, &u.q);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(u.q.alt);
	help_run(st);
	(void)unread(a);
	free_bufs = pool_free_count(u.pool);
	for (int round = 0; round < 600; round++) {
		m[0] = frame(&u, 100);
		m[1] = frame(&u, 200);
		CU_ASSERT_EQUAL_FATAL(u.q.alt->queue(u.q.txq, 1, m, 2), 2);
		m[0] = frame(&u, 60);
		CU_ASSERT_EQUAL_FATAL(u.q.tx(u.q.txq, m, 1), 1); /* to the wire, not there */
		CU_ASSERT_EQUAL_FATAL(unread(a), 1);
		(void)zf_reactor_perform(st);
		if (round & 1) {
			u.q.alt->go(u.q.txq, 1);
			CU_ASSERT_EQUAL_FATAL(unread(a), 2);
		} else {
			u.q.alt->discard(u.q.txq, 1);
			CU_ASSERT_EQUAL_FATAL(unread(a), 0);
		}
		CU_ASSERT_EQUAL_FATAL(u.q.alt->busy(u.q.txq, 1), 2); /* until a later poll */
		(void)zf_reactor_perform(st);
		CU_ASSERT_EQUAL_FATAL(u.q.alt->busy(u.q.txq, 1), 0);
	}
	u.q.alt->go(u.q.txq, 0); /* nothing in it */
	CU_ASSERT_EQUAL(u.q.alt->busy(u.q.txq, 0), 0);
	help_run(st);
	CU_ASSERT_EQUAL(pool_free_count(u.pool), free_bufs);
	zf_stack_free(st);
	forget(a);
}

static void
lost_events_cost_the_frames_under_way(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS);
	struct under u = under(st);
	uint32_t free_bufs;
	struct rte_mbuf *m;

	help_run(st);
	(void)unread(a);
	free_bufs = pool_free_count(u.pool);
	for (int i = 0; i < 20; i++) {
		m = frame(&u, 60);
		CU_ASSERT_EQUAL(u.q.tx(u.q.txq, &m, 1), 1);
		if (i & 1)
			softvi_overflow(a);
		else
			softvi_reset(a);
		help_run(st);
		CU_ASSERT_EQUAL(softvi_rx_posted(a), 511);
		CU_ASSERT_EQUAL(pool_free_count(u.pool), free_bufs);
		u = under(st);
		CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 1);
	}
	(void)unread(a);
	softvi_cfg(a)->fail[SOFTVI_VI_ALLOC] = -EBUSY;
	softvi_overflow(a);
	help_run(st);
	m = frame(&u, 60);
	CU_ASSERT_EQUAL(u.q.tx(u.q.txq, &m, 1), 0); /* dead, and the frame is still ours */
	CU_ASSERT_EQUAL(unread(a), 0);
	softvi_cfg(a)->fail[SOFTVI_VI_ALLOC] = 0;
	mem_clock_ns += 200000000u;
	help_run(st);
	u = under(st);
	CU_ASSERT_EQUAL(u.q.tx(u.q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(unread(a), 1);
	zf_stack_free(st);
	/* Not if it is not wished for. */
	st = help_stack(ATTRS "tx_error_recovery=0");
	u = under(st);
	softvi_overflow(a);
	help_run(st);
	m = frame(&u, 60);
	CU_ASSERT_EQUAL(u.q.tx(u.q.txq, &m, 1), 0);
	pkt_put_slow(m);
	zf_stack_free(st);
	forget(a);
}

/* The try at once finds no VI, a later one does: filters lead to that as they did to the first. */
static void
filters_are_back_when_a_later_try_works(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS);
	struct zfur *ur = help_zfur(st, "192.0.2.1", 7), *ur2;

	help_run(st);
	softvi_cfg(a)->fail[SOFTVI_VI_ALLOC] = -EBUSY;
	softvi_reset(a);
	help_run(st);
	ur2 = help_zfur(st, "192.0.2.1", 8); /* whoever binds meanwhile may */
	softvi_cfg(a)->fail[SOFTVI_VI_ALLOC] = 0;
	mem_clock_ns += 200000000u;
	help_run(st);
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
	help_run(st);
	CU_ASSERT_EQUAL(softvi_stats(a)->rx_frames, 1);
	CU_ASSERT_EQUAL(softvi_stats(a)->rx_kernel, 0);
	CU_ASSERT_EQUAL(zfur_free(ur2), 0);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	zf_stack_free(st);
	forget(a);
}

/* PIO that was not to be had at first, and is after a reset: headers made before know no limit of it. */
static void
pio_found_late_has_its_limit(void)
{
	static const char big[1400];
	uint8_t f[128];
	struct softvi *a = adapter(SOFTVI_7000);
	struct zf_stack *st;
	struct zfut *ut;

	softvi_cfg(a)->fail[SOFTVI_PIO_ALLOC] = -ENOSPC;
	st = help_stack(ATTRS "pio=1");
	ut = help_zfut(st, "192.0.2.1", "192.0.2.9", 7);
	CU_ASSERT_EQUAL(zfut_send_single(ut, big, sizeof(big)), (int)sizeof(big)); /* asks where the peer is */
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, f, help_arp_reply(f, "192.0.2.9", "192.0.2.1"), 0), 0);
	for (int i = 0; i < 100; i++) /* the side port's turn */
		help_run(st);
	CU_ASSERT_EQUAL(zfut_send_single(ut, big, sizeof(big)), (int)sizeof(big));
	help_run(st);
	CU_ASSERT_EQUAL(help_count_sent(softvi_port(a), IP_PROTO_UDP, NULL), 2);
	CU_ASSERT_EQUAL(softvi_stats(a)->tx_pio, 0);
	softvi_cfg(a)->fail[SOFTVI_PIO_ALLOC] = 0;
	softvi_reset(a);
	help_run(st);
	CU_ASSERT_EQUAL(zf_stack_query_feature(st, PIO), 1);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(zfut_send_single(ut, big, sizeof(big)), (int)sizeof(big));
	help_run(st);
	CU_ASSERT_EQUAL(help_count_sent(softvi_port(a), IP_PROTO_UDP, NULL), 4);
	CU_ASSERT_EQUAL(zfut_free(ut), 0);
	zf_stack_free(st);
	forget(a);
}

static void
buffers_of_another_pool_are_copied(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st = help_stack(ATTRS);
	struct under u = under(st), other;
	struct rte_mbuf *m;

	help_run(st);
	(void)unread(a);
	other = u;
	CU_ASSERT_EQUAL_FATAL(pool_create(8, 0, -1, NULL, &other.pool), 0);
	m = frame(&other, 300);
	CU_ASSERT_EQUAL(u.q.tx(u.q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(unread(a), 1);
	CU_ASSERT_EQUAL(pool_free_count(other.pool), 8); /* given back at once */
	help_run(st);
	zf_stack_free(st);
	pool_drop(other.pool);
	forget(a);
}

/* The second stack's buffers are none that the adapter knows; the first, whose they are, may go before. */
static void
a_second_stack_sends_and_outlives_the_first(void)
{
	struct softvi *a = adapter(SOFTVI_8000_LL);
	struct zf_stack *st[2] = {help_stack(ATTRS), NULL};
	struct zfut *ut;
	struct zfur *ur;
	uint8_t f[128];

	st[1] = help_stack("interface=softvi:ef;ipv4=192.0.2.2/24");
	ut = help_zfut(st[1], "192.0.2.2", "192.0.2.9", 7);
	ur = help_zfur(st[0], "192.0.2.1", 7);
	CU_ASSERT_EQUAL(zfut_send_single(ut, "a", 1), 1);
	CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, f, help_arp_reply(f, "192.0.2.9", "192.0.2.2"), 0), 0);
	for (int i = 0; i < 100; i++) {
		help_run(st[0]);
		help_run(st[1]);
	}
	CU_ASSERT_EQUAL(help_count_sent(softvi_port(a), IP_PROTO_UDP, NULL), 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 600; i++) {
			CU_ASSERT_EQUAL_FATAL(zfut_send_single(ut, "b", 1), 1);
			help_run(st[1]);
		}
		CU_ASSERT_EQUAL(help_count_sent(softvi_port(a), IP_PROTO_UDP, NULL), 600);
		if (round == 0) {
			softvi_reset(a);
			help_run(st[1]);
			help_run(st[0]);
			CU_ASSERT_EQUAL(mem_push(softvi_port(a), 0, udp_frame, sizeof(udp_frame), 0), 0);
			help_run(st[1]);
			CU_ASSERT_EQUAL(softvi_stats(a)->rx_frames, 1); /* by a filter of the new VI */
		} else if (round == 1) {
			CU_ASSERT_EQUAL(zfur_free(ur), 0);
			CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
		}
	}
	CU_ASSERT_EQUAL(zfut_free(ut), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
	forget(a);
}

static const struct unit_test tests[] = {
	UNIT(refusals_of_the_adapter_reach_the_caller),
	UNIT(without_ef_vi_the_library_says_what_to_do),
	UNIT(features_are_told),
	UNIT(pio_takes_turns_between_two_halves),
	UNIT(filters_bring_frames_to_the_vi),
	UNIT(ring_is_refilled_as_the_attributes_say),
	UNIT(alternatives_are_the_adapters),
	UNIT(lost_events_cost_the_frames_under_way),
	UNIT(filters_are_back_when_a_later_try_works),
	UNIT(pio_found_late_has_its_limit),
	UNIT(a_second_stack_sends_and_outlives_the_first),
	UNIT(buffers_of_another_pool_are_copied),
};

UNIT_MAIN("ef_vi", tests)
