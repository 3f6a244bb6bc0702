/* SPDX-License-Identifier: BSD-3-Clause
 *
 * For the tests of drivers/wire as a port: one port with its queue and pool as a stack would hold them, and frames that
 * can be told apart. Included by one program each.
 */
#ifndef ZF_TEST_WIRE_PORT_HELP_H
#define ZF_TEST_WIRE_PORT_HELP_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>

#include "unit.h"
#include "wire/burst.h"
#include "wire/wire.h"

#define MS       1000000ull
#define PATIENCE 10000 /* ms */

static struct zf_log log_all;
static int log_fd;

/* One port with its queue and pool, as the stack would hold them. */
struct port {
	_Atomic uint32_t events;
	struct port_host host;
	struct port_info info;
	struct port_queue q;
	struct zf_pool *pool;
	struct zf_pool *own;
	void *priv;
	uint64_t due;
};

static inline void
on_event(void *opaque, uint32_t events)
{
	struct port *p = opaque;

	atomic_fetch_or(&p->events, events);
}

static inline uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline int
port_try(struct port *p, const char *name)
{
	struct port_open_args args = {.name = name, .host = &p->host, .queues = 1};

	*p = (struct port){.host = {.opaque = p, .event = on_event, .log = &log_all}};
	return wire_driver.open(&args, &p->info, &p->priv);
}

static inline bool
port_set_up(struct port *p, const char *name, uint32_t n_bufs)
{
	if (port_try(p, name) != 0 ||
	    pool_create(n_bufs, p->info.buf_bytes, p->info.socket_id, &log_all, &p->pool) != 0 ||
	    pool_adopt(p->pool, &p->own) != 0 || wire_driver.queue_setup(p->priv, 0, p->pool) != 0 ||
	    wire_driver.start(p->priv) != 0)
		return false;
	wire_driver.queue_get(p->priv, 0, &p->q);
	return true;
}

static inline void
port_open_n(struct port *p, const char *name, uint32_t n_bufs)
{
	CU_ASSERT_TRUE_FATAL(port_set_up(p, name, n_bufs));
}

static inline void
port_open(struct port *p, const char *name)
{
	port_open_n(p, name, 1024);
}

/* Behind a fork: a child took buffers and gave them back, who knows where. */
static inline void
port_close_uncounted(struct port *p)
{
	wire_driver.close(p->priv);
	pool_release(p->own);
	pool_drop(p->pool);
	p->priv = NULL;
}

/* With the check that no buffer is missing. */
static inline void
port_close(struct port *p)
{
	wire_driver.close(p->priv);
	CU_ASSERT_EQUAL(pool_free_count(p->pool), p->pool->n_bufs);
	pool_release(p->own);
	pool_drop(p->pool);
	CU_ASSERT_EQUAL(pool_reap(), 0);
	p->priv = NULL;
}

/* What a reactor does about events and time; the events seen. */
static inline uint32_t
port_turn_at(struct port *p, uint64_t now)
{
	uint32_t ev = atomic_exchange(&p->events, 0);

	if ((ev & PORT_EV_SERVICE) != 0 || now >= p->due) {
		p->due = wire_driver.service(p->priv, now);
		/* What it reported; a new wish for service stays for the next turn. */
		ev |= atomic_fetch_and(&p->events, PORT_EV_SERVICE);
	}
	return ev;
}

static inline uint32_t
port_turn(struct port *p)
{
	return port_turn_at(p, now_ns());
}

static inline bool
is_up(struct port *p)
{
	return wire_driver.link(p->priv) == PORT_LINK_UP;
}

/* Until both (b may be NULL) are as wanted. */
static inline bool
turn_until(struct port *a, struct port *b, bool up)
{
	uint64_t end = now_ns() + PATIENCE * MS;

	for (;;) {
		(void)port_turn(a);
		if (b != NULL)
			(void)port_turn(b);
		if (is_up(a) == up && (b == NULL || is_up(b) == up))
			return true;
		if (now_ns() > end)
			return false;
		sched_yield();
	}
}

static inline void
fill(void *to, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline bool
filled(const void *from, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (((const uint8_t *)from)[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static inline struct rte_mbuf *
frame(struct port *p, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m = pkt_take(p->pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pkt_reset(m, len);
	fill(rte_pktmbuf_mtod(m, void *), len, seed);
	return m;
}

static inline bool
send_frame(struct port *p, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m = frame(p, len, seed);

	if (p->q.tx(p->q.txq, &m, 1) == 1)
		return true;
	pkt_put(p->pool, m);
	return false;
}

static inline bool
good(const struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	return m->pkt_len == len && m->data_len == len && m->nb_segs == 1 && m->next == NULL &&
	       rte_mbuf_refcnt_read(m) == 1 && m->data_off == RTE_PKTMBUF_HEADROOM &&
	       m->ol_flags == (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD) &&
	       filled(rte_pktmbuf_mtod(m, const void *), len, seed);
}

static inline bool
recv_frame(struct port *p, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m;
	bool ok;

	if (p->q.rx(p->q.rxq, &m, 1) != 1)
		return false;
	ok = good(m, len, seed);
	pkt_put(p->pool, m);
	return ok;
}

static inline bool
idle(struct port *p)
{
	struct rte_mbuf *m[4];

	return !p->q.peek(p->q.rxq) && p->q.rx(p->q.rxq, m, 4) == 0;
}

static inline int
logged(const char *text)
{
	static char buf[65536];
	ssize_t len = pread(log_fd, buf, sizeof(buf) - 1, 0);
	int n = 0;

	buf[len > 0 ? len : 0] = '\0';
	for (char *p = buf; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static inline void
log_clear(void)
{
	CU_ASSERT(ftruncate(log_fd, 0) == 0);
}

static inline int
eal_start(const char *name)
{
	char *args[] = {(char *)(uintptr_t)name, "--no-huge",      "--no-shconf", "--no-pci",
			"--no-telemetry",       "-m",             "64",          "--log-level=error",
			"--lcores",             "0@(0-1)"};

	return rte_eal_init(ZF_ARRAY_SIZE(args) - (sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 0 : 2), args);
}

/* EAL and the log. */
static inline bool
help_start(const char *name)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	(void)fcntl(log_fd, F_SETFL, O_APPEND);
	log_all = (struct zf_log){.level_mask = 0x7777777777777ull, .fd = log_fd};
	if (eal_start(name) >= 0 && pool_init(&log_all) == 0)
		return true;
	fprintf(stderr, "EAL does not start\n");
	return false;
}

#endif
