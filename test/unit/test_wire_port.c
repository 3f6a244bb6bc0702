/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/wire as a port: all three kinds through the driver table, with real mbufs. Started with "--peer PATH" the
 * program is the other process of a wire: it sends back whatever comes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

static void
on_event(void *opaque, uint32_t events)
{
	struct port *p = opaque;

	atomic_fetch_or(&p->events, events);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int
port_try(struct port *p, const char *name)
{
	struct port_open_args args = {.name = name, .host = &p->host, .queues = 1};

	*p = (struct port){.host = {.opaque = p, .event = on_event, .log = &log_all}};
	return wire_driver.open(&args, &p->info, &p->priv);
}

static bool
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

static void
port_open_n(struct port *p, const char *name, uint32_t n_bufs)
{
	CU_ASSERT_TRUE_FATAL(port_set_up(p, name, n_bufs));
}

static void
port_open(struct port *p, const char *name)
{
	port_open_n(p, name, 1024);
}

/* Behind a fork: a child took buffers and gave them back, who knows where. */
static void
port_close_uncounted(struct port *p)
{
	wire_driver.close(p->priv);
	pool_release(p->own);
	pool_drop(p->pool);
	p->priv = NULL;
}

/* With the check that no buffer is missing. */
static void
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
static uint32_t
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

static uint32_t
port_turn(struct port *p)
{
	return port_turn_at(p, now_ns());
}

static bool
is_up(struct port *p)
{
	return wire_driver.link(p->priv) == PORT_LINK_UP;
}

/* Until both (b may be NULL) are as wanted. */
static bool
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

static void
fill(void *to, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static bool
filled(const void *from, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (((const uint8_t *)from)[i] != (uint8_t)(seed * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static struct rte_mbuf *
frame(struct port *p, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m = pkt_take(p->pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pkt_reset(m, len);
	fill(rte_pktmbuf_mtod(m, void *), len, seed);
	return m;
}

static bool
send_frame(struct port *p, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m = frame(p, len, seed);

	if (p->q.tx(p->q.txq, &m, 1) == 1)
		return true;
	pkt_put(p->pool, m);
	return false;
}

static bool
good(const struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	return m->pkt_len == len && m->data_len == len && m->nb_segs == 1 && m->next == NULL &&
	       rte_mbuf_refcnt_read(m) == 1 && m->data_off == RTE_PKTMBUF_HEADROOM &&
	       m->ol_flags == (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD) &&
	       filled(rte_pktmbuf_mtod(m, const void *), len, seed);
}

static bool
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

static bool
idle(struct port *p)
{
	struct rte_mbuf *m[4];

	return !p->q.peek(p->q.rxq) && p->q.rx(p->q.rxq, m, 4) == 0;
}

static int
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

static void
log_clear(void)
{
	CU_ASSERT(ftruncate(log_fd, 0) == 0);
}

/* ---- wire:loop ---- */

static void
loop_hears_itself(void)
{
	struct wire_stats st;
	struct port p;

	port_open(&p, "wire:loop");
	CU_ASSERT(is_up(&p));
	CU_ASSERT(port_turn(&p) & PORT_EV_LINK);
	CU_ASSERT_EQUAL(p.due, UINT64_MAX);
	CU_ASSERT(p.info.caps & PORT_LOOP);
	CU_ASSERT(p.info.mtu == 1500 && p.info.queues == 1 && p.info.socket_id == -1);
	CU_ASSERT_STRING_EQUAL(p.info.driver, "wire");
	CU_ASSERT((p.info.mac[0] & 3) == 2);
	CU_ASSERT(idle(&p));
	for (uint32_t len = 14; len <= RING_FRAME_MAX; len++) {
		CU_ASSERT(send_frame(&p, len, len));
		CU_ASSERT(p.q.peek(p.q.rxq));
		CU_ASSERT(recv_frame(&p, len, len));
	}
	CU_ASSERT(idle(&p));
	/* Longer than a slot: dropped and counted, not written. */
	CU_ASSERT(send_frame(&p, RING_FRAME_MAX + 1, 1));
	CU_ASSERT(idle(&p));
	wire_get_stats(p.priv, &st);
	CU_ASSERT_EQUAL(st.tx_size_drops, 1);
	port_close(&p);
}

static void
copying_send_takes_any_two_parts(void)
{
	uint8_t hdr[128], pay[RING_FRAME_MAX];
	struct port p;
	uint32_t bad = 0;

	port_open(&p, "wire:loop");
	for (uint32_t hlen = 1; hlen <= sizeof(hdr); hlen++) {
		for (uint32_t len = 0; len <= RING_FRAME_MAX - hlen; len += len < 140 ? 1 : 97) {
			uint8_t *h = malloc(hlen), *d = malloc(len == 0 ? 1 : len);
			struct rte_mbuf *m = NULL;

			/* Of exactly that size, so that a sanitizer sees a read beyond. */
			fill(h, hlen, 3);
			fill(d, len, 4);
			bad += p.q.tx_copy(p.q.txq, h, hlen, d, len) != 1;
			bad += p.q.rx(p.q.rxq, &m, 1) != 1;
			if (m != NULL) {
				bad += m->pkt_len != hlen + len;
				bad += memcmp(rte_pktmbuf_mtod(m, void *), h, hlen) != 0;
				bad += memcmp(rte_pktmbuf_mtod_offset(m, void *, hlen), d, len) != 0;
				pkt_put(p.pool, m);
			}
			free(h);
			free(d);
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(p.q.tx_copy_max, RING_FRAME_MAX);
	memset(hdr, 0, sizeof(hdr));
	memset(pay, 0, sizeof(pay));
	for (uint32_t i = 0; i < RING_SLOTS - RING_SHEET; i++)
		CU_ASSERT_EQUAL(p.q.tx_copy(p.q.txq, hdr, 42, pay, 64), 1);
	for (uint32_t i = 0; i < RING_SHEET; i++)
		(void)p.q.tx_copy(p.q.txq, hdr, 42, pay, 64);
	CU_ASSERT_EQUAL(p.q.tx_copy(p.q.txq, hdr, 42, pay, 64), 0);
	CU_ASSERT_EQUAL(p.q.tx_room(p.q.txq), 0);
	port_close(&p);
}

static void
bursts_and_a_full_ring(void)
{
	struct rte_mbuf *m[64];
	struct wire_stats st;
	struct port p;
	uint32_t sent = 0, seen = 0;

	port_open(&p, "wire:loop");
	for (uint16_t n = 0; n <= 64; n++) {
		for (uint16_t i = 0; i < n; i++)
			m[i] = frame(&p, 60 + i, i);
		CU_ASSERT_EQUAL(p.q.tx(p.q.txq, m, n), n);
		CU_ASSERT_EQUAL(p.q.rx(p.q.rxq, m, 0), 0);
		CU_ASSERT_EQUAL(p.q.rx(p.q.rxq, m, 64), n);
		for (uint16_t i = 0; i < n; i++) {
			CU_ASSERT(good(m[i], 60 + i, i));
			pkt_put(p.pool, m[i]);
		}
	}
	/* Until it refuses: the rest of a burst stays the caller's. */
	for (;;) {
		uint32_t room = p.q.tx_room(p.q.txq);
		uint16_t took;

		for (uint16_t i = 0; i < 50; i++)
			m[i] = frame(&p, 100, sent + i);
		took = p.q.tx(p.q.txq, m, 50);
		CU_ASSERT(took >= ZF_MIN(room, 50));
		for (uint16_t i = took; i < 50; i++)
			pkt_put(p.pool, m[i]);
		sent += took;
		if (took < 50)
			break;
	}
	CU_ASSERT(sent > RING_SLOTS - RING_SHEET && sent <= RING_SLOTS);
	CU_ASSERT_EQUAL(p.q.tx_room(p.q.txq), 0);
	wire_get_stats(p.priv, &st);
	CU_ASSERT_EQUAL(st.tx_full, 1);
	/* A sheet at a time comes back. */
	for (uint32_t i = 0; i < 2 * RING_SHEET; i++)
		CU_ASSERT(recv_frame(&p, 100, seen++));
	CU_ASSERT(p.q.tx_room(p.q.txq) >= RING_SHEET);
	CU_ASSERT(send_frame(&p, 100, sent++));
	while (seen < sent)
		CU_ASSERT(recv_frame(&p, 100, seen++));
	CU_ASSERT(idle(&p));
	port_close(&p);
}

static void
free_nothing(void *addr, void *opaque)
{
	(void)addr;
	++*(int *)opaque;
}

static void
chains_clones_and_foreign_buffers(void)
{
	static uint8_t outside[600];
	struct rte_mbuf_ext_shared_info sh = {.free_cb = free_nothing};
	struct rte_mbuf *m, *seg;
	struct port p;
	int freed = 0;

	port_open(&p, "wire:loop");
	/* Segments of awkward lengths, an empty one among them. */
	for (uint32_t a = 1; a < 90; a++) {
		uint8_t whole[400];
		uint32_t part[4] = {a, 0, 7, 200 - a}, at = a;

		fill(whole, sizeof(whole), a);
		m = frame(&p, part[0], a);
		for (int i = 1; i < 4; i++) {
			seg = frame(&p, part[i], 0);
			memcpy(rte_pktmbuf_mtod(seg, void *), whole + at, part[i]);
			at += part[i];
			CU_ASSERT(rte_pktmbuf_chain(m, seg) == 0);
		}
		CU_ASSERT_EQUAL(p.q.tx(p.q.txq, &m, 1), 1);
		CU_ASSERT(recv_frame(&p, 207, a));
	}
	/* Shared: our reference stays ours. */
	m = frame(&p, 80, 5);
	rte_mbuf_refcnt_update(m, 1);
	CU_ASSERT_EQUAL(p.q.tx(p.q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	CU_ASSERT(recv_frame(&p, 80, 5));
	/* Indirect. */
	seg = pkt_take(p.pool);
	pkt_reset(seg, 0);
	rte_pktmbuf_attach(seg, m);
	CU_ASSERT_EQUAL(p.q.tx(p.q.txq, &seg, 1), 1);
	CU_ASSERT(recv_frame(&p, 80, 5));
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	pkt_put(p.pool, m);
	/* External, read to its last byte and not beyond. */
	m = pkt_take(p.pool);
	pkt_reset(m, 0);
	sh.fcb_opaque = &freed;
	rte_mbuf_ext_refcnt_set(&sh, 1);
	fill(outside, sizeof(outside), 6);
	rte_pktmbuf_attach_extbuf(m, outside, 0, sizeof(outside), &sh);
	m->data_off = 0;
	m->data_len = sizeof(outside);
	m->pkt_len = sizeof(outside);
	CU_ASSERT_EQUAL(p.q.tx(p.q.txq, &m, 1), 1);
	CU_ASSERT_EQUAL(freed, 1);
	CU_ASSERT(recv_frame(&p, sizeof(outside), 6));
	port_close(&p);
}

static void
empty_pool_leaves_frames_in_the_ring(void)
{
	static uint8_t f[106];
	struct rte_mbuf *held[64], *m[64];
	struct wire_stats st;
	struct port p;
	uint16_t n = 0;

	port_open_n(&p, "wire:loop", 64);
	while (n < 64 && (held[n] = pkt_take(p.pool)) != NULL)
		n++;
	CU_ASSERT_EQUAL(n, 64);
	for (int i = 0; i < 10; i++) {
		fill(f, sizeof(f), (uint32_t)i);
		CU_ASSERT_EQUAL(p.q.tx_copy(p.q.txq, f, 42, f + 42, 64), 1);
	}
	CU_ASSERT_EQUAL(p.q.rx(p.q.rxq, m, 32), 0);
	CU_ASSERT(p.q.peek(p.q.rxq));
	pkt_put(p.pool, held[--n]);
	pkt_put(p.pool, held[--n]);
	CU_ASSERT_EQUAL(p.q.rx(p.q.rxq, m, 32), 2);
	CU_ASSERT(good(m[0], 106, 0) && good(m[1], 106, 1));
	wire_get_stats(p.priv, &st);
	CU_ASSERT_EQUAL(st.rx_no_mbuf, 2);
	while (n > 0)
		pkt_put(p.pool, held[--n]);
	CU_ASSERT_EQUAL(p.q.rx(p.q.rxq, m + 2, 32), 8);
	for (uint16_t i = 0; i < 10; i++) {
		CU_ASSERT(good(m[i], 106, i));
		pkt_put(p.pool, m[i]);
	}
	/* Any single take may fail. */
	for (uint64_t at = 1; at <= 8; at++) {
		uint32_t seen = 0;

		for (uint32_t i = 0; i < 5; i++) {
			fill(f, sizeof(f), i);
			CU_ASSERT_EQUAL(p.q.tx_copy(p.q.txq, f, 42, f + 42, 64), 1);
		}
		pool_fail_after = at;
		for (int turn = 0; turn < 3; turn++) {
			uint16_t got = p.q.rx(p.q.rxq, m, 32);

			for (uint16_t i = 0; i < got; i++) {
				CU_ASSERT(good(m[i], 106, seen++));
				pkt_put(p.pool, m[i]);
			}
		}
		pool_fail_after = 0;
		CU_ASSERT_EQUAL(seen, 5);
	}
	port_close(&p);
}

static void
small_buffers_are_refused(void)
{
	struct port p;

	CU_ASSERT_EQUAL_FATAL(port_try(&p, "wire:loop"), 0);
	CU_ASSERT_EQUAL_FATAL(pool_create(64, RTE_PKTMBUF_HEADROOM + 1024, -1, &log_all, &p.pool), 0);
	log_clear();
	CU_ASSERT_EQUAL(wire_driver.queue_setup(p.priv, 0, p.pool), -EINVAL);
	CU_ASSERT_EQUAL(logged("are too small"), 1);
	CU_ASSERT_EQUAL(wire_driver.queue_setup(p.priv, 1, p.pool), -EINVAL);
	CU_ASSERT_EQUAL(wire_driver.start(p.priv), -EINVAL);
	wire_driver.close(p.priv);
	pool_drop(p.pool);
}

/* ---- wire:NAME ---- */

static void
names_are_checked(void)
{
	static const char *const bad[] = {
		"wire:", "wire:x", "wire:x/", "wire:x/c", "wire:/", "wire:x/ab", "wire:x/a/b", "wire:loop/",
		"wire:0123456789012345678901234567890123456789012345678901234567890123/a", "wire:./", "wire:..",
		"wire:/nowhere/at/all",
	};
	struct port p;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(bad); i++) {
		int rc;

		log_clear();
		rc = port_try(&p, bad[i]);
		CU_ASSERT(rc == -EINVAL || (strstr(bad[i], "nowhere") != NULL && rc == -ENODEV));
		CU_ASSERT_EQUAL(logged("\n"), 1);
	}
	port_open(&p, "wire:012345678901234567890123456789012345678901234567890123456789012/a");
	port_close(&p);
}

static void
pair_meets_in_either_order(void)
{
	struct port p[2], again;
	struct wire_stats st;

	for (int first = 0; first < 2; first++) {
		port_open(&p[first], first ? "wire:t/b" : "wire:t/a");
		CU_ASSERT(!is_up(&p[first]));
		(void)port_turn(&p[first]);
		/* Alone: sends are taken and dropped, nothing is heard. */
		CU_ASSERT(send_frame(&p[first], 100, 1));
		CU_ASSERT_EQUAL(p[first].q.tx_copy(p[first].q.txq, "0123456789012345", 16, "", 0), 1);
		CU_ASSERT(p[first].q.tx_room(p[first].q.txq) > 0);
		wire_get_stats(p[first].priv, &st);
		CU_ASSERT_EQUAL(st.tx_link_drops, 2);
		CU_ASSERT(idle(&p[first]));
		log_clear();
		CU_ASSERT_EQUAL(port_try(&again, first ? "wire:t/b" : "wire:t/a"), -EBUSY);
		CU_ASSERT_EQUAL(logged("open already"), 1);

		port_open(&p[!first], first ? "wire:t/a" : "wire:t/b");
		CU_ASSERT(is_up(&p[!first]));
		CU_ASSERT(memcmp(p[0].info.mac, p[1].info.mac, 6) != 0);
		/* It may send at once; the other one enters when its thread comes by. */
		CU_ASSERT(send_frame(&p[!first], 100, 2));
		CU_ASSERT(!is_up(&p[first]));
		CU_ASSERT(port_turn(&p[first]) & PORT_EV_LINK);
		CU_ASSERT(is_up(&p[first]));
		CU_ASSERT(recv_frame(&p[first], 100, 2));
		for (uint32_t i = 0; i < 3 * RING_SLOTS; i++) {
			CU_ASSERT(send_frame(&p[0], 60 + i % 1400, i) && send_frame(&p[1], 60 + i % 1399, i + 1));
			CU_ASSERT(recv_frame(&p[1], 60 + i % 1400, i) && recv_frame(&p[0], 60 + i % 1399, i + 1));
		}
		CU_ASSERT(idle(&p[0]) && idle(&p[1]));
		port_close(&p[0]);
		port_close(&p[1]);
	}
}

/* What the other end sent before it left arrives; what it sends after it came back is not mixed with it. */
static void
pair_partner_leaves_and_returns(void)
{
	struct port a, b;

	port_open(&a, "wire:t/a");
	for (uint32_t round = 0; round < 20; round++) {
		port_open(&b, "wire:t/b");
		(void)port_turn(&a);
		(void)port_turn(&b);
		CU_ASSERT(is_up(&a) && is_up(&b));
		for (uint32_t i = 0; i < round; i++)
			CU_ASSERT(send_frame(&b, 100, i));
		CU_ASSERT(send_frame(&a, 100, 999));
		port_close(&b);
		if (round % 3 == 0) {
			/* Back before anybody looked. */
			port_open(&b, "wire:t/b");
			CU_ASSERT(!is_up(&b));
			CU_ASSERT(send_frame(&b, 100, 888));
		}
		(void)port_turn_at(&a, 1000 * MS);
		CU_ASSERT(round % 3 == 0 && round == 0 ? true : !is_up(&a));
		CU_ASSERT(round == 0 || a.due == 1001 * MS);
		for (uint32_t i = 0; i < round; i++)
			CU_ASSERT(recv_frame(&a, 100, i));
		CU_ASSERT(idle(&a));
		(void)port_turn_at(&a, 1002 * MS);
		if (round % 3 == 0) {
			(void)port_turn(&b);
			CU_ASSERT(is_up(&a) && is_up(&b));
			CU_ASSERT(idle(&a) && idle(&b));
			CU_ASSERT(send_frame(&a, 77, 1) && recv_frame(&b, 77, 1));
			port_close(&b);
			(void)port_turn(&a);
		}
		CU_ASSERT(!is_up(&a));
		CU_ASSERT_EQUAL(a.due, UINT64_MAX);
	}
	port_close(&a);
}

/* A stack that cannot receive does not block the other one for ever. */
static void
draining_has_an_end(void)
{
	struct port a, b;

	port_open(&a, "wire:t/a");
	port_open(&b, "wire:t/b");
	(void)port_turn(&a);
	CU_ASSERT(send_frame(&b, 100, 1));
	port_close(&b);
	port_open(&b, "wire:t/b");
	(void)port_turn_at(&a, 1000 * MS);
	CU_ASSERT(!is_up(&a) && a.q.peek(a.q.rxq));
	a.due = 0;
	(void)port_turn_at(&a, 1050 * MS);
	CU_ASSERT(!is_up(&a));
	a.due = 0;
	(void)port_turn_at(&a, 1101 * MS);
	CU_ASSERT(is_up(&a) && idle(&a));
	(void)port_turn(&b);
	CU_ASSERT(is_up(&b));
	port_close(&a);
	port_close(&b);
}

static void
many_pairs_at_once(void)
{
	static struct port p[40];
	char name[32];

	for (int i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "wire:n%d/%c", i / 2, i & 1 ? 'b' : 'a');
		port_open_n(&p[i], name, 64);
	}
	for (int i = 0; i < 40; i++)
		(void)port_turn(&p[i]);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT(send_frame(&p[i], 64, i));
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT(recv_frame(&p[i], 64, i ^ 1));
	for (int i = 0; i < 40; i++)
		port_close(&p[(i * 7) % 40]);
}

#define THREAD_FRAMES 100000u

static void *
echo_thread(void *arg)
{
	struct port *p = arg;
	uint32_t seen = 0;
	uint64_t spins = 0;

	while (seen < THREAD_FRAMES && spins < 4000000000ull) {
		struct rte_mbuf *m[32];
		uint16_t n = p->q.rx(p->q.rxq, m, 32), sent = 0;

		if (n == 0 && ++spins % 256 == 0)
			sched_yield();
		while (sent < n)
			sent += p->q.tx(p->q.txq, m + sent, n - sent);
		seen += n;
	}
	return NULL;
}

static void
pair_between_two_threads(void)
{
	struct port a, b;
	pthread_t t;
	uint32_t sent = 0, seen = 0, bad = 0;
	uint64_t spins = 0;

	port_open(&a, "wire:t/a");
	port_open(&b, "wire:t/b");
	(void)port_turn(&a);
	CU_ASSERT_FATAL(pthread_create(&t, NULL, echo_thread, &b) == 0);
	while (seen < THREAD_FRAMES && bad == 0 && spins < 4000000000ull) {
		struct rte_mbuf *m[32];
		uint16_t n;

		while (sent < THREAD_FRAMES && sent - seen < 200 && send_frame(&a, 60 + sent % 90, sent))
			sent++;
		n = a.q.rx(a.q.rxq, m, 32);
		if (n == 0 && ++spins % 256 == 0)
			sched_yield();
		for (uint16_t i = 0; i < n; i++, seen++) {
			bad += !good(m[i], 60 + seen % 90, seen);
			pkt_put(a.pool, m[i]);
		}
	}
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(seen, THREAD_FRAMES);
	port_close(&a);
	port_close(&b);
}

/* ---- wire:PATH ---- */

static char path_dir[100];
static char path_name[130];

static void
path_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(path_dir, sizeof(path_dir), "%.60s/zfwireXXXXXX", tmp != NULL ? tmp : "/tmp");
	CU_ASSERT_FATAL(mkdtemp(path_dir) != NULL);
	(void)snprintf(path_name, sizeof(path_name), "wire:%s/w", path_dir);
}

static void
path_end(void)
{
	CU_ASSERT(rmdir(path_dir) == 0);
}

static void
path_both_ends_here(void)
{
	struct port a, b, c;

	path_begin();
	port_open(&a, path_name);
	CU_ASSERT(!is_up(&a) && idle(&a));
	CU_ASSERT(send_frame(&a, 100, 1));
	port_open(&b, path_name);
	CU_ASSERT(turn_until(&a, &b, true));
	CU_ASSERT(idle(&a) && idle(&b));
	(void)port_turn(&a);
	(void)port_turn(&b);
	CU_ASSERT_EQUAL(a.due, UINT64_MAX);
	CU_ASSERT_EQUAL(b.due, UINT64_MAX);
	for (uint32_t i = 0; i < 3 * RING_SLOTS; i++) {
		CU_ASSERT(send_frame(&a, 60 + i % 1400, i) && send_frame(&b, 60 + i % 1399, i + 1));
		CU_ASSERT(recv_frame(&b, 60 + i % 1400, i) && recv_frame(&a, 60 + i % 1399, i + 1));
	}
	log_clear();
	CU_ASSERT_EQUAL(port_try(&c, path_name), -EBUSY);
	CU_ASSERT_EQUAL(logged("already has two ends"), 1);
	for (uint32_t round = 0; round < 10; round++) {
		struct port *stay = round & 1 ? &a : &b, *go = round & 1 ? &b : &a;

		CU_ASSERT(send_frame(go, 80, round));
		port_close(go);
		CU_ASSERT(turn_until(stay, NULL, false));
		CU_ASSERT(recv_frame(stay, 80, round));
		port_open(go, path_name);
		CU_ASSERT(turn_until(stay, go, true));
		CU_ASSERT(idle(stay) && idle(go));
		CU_ASSERT(send_frame(stay, 90, round) && recv_frame(go, 90, round));
	}
	port_close(&a);
	port_close(&b);
	path_end();
}

/* Clock ticks of EAL's interrupt thread so far. */
static long
interrupt_thread_ticks(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	long sum = -1;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char file[300], line[512] = {0};
		unsigned long u, s;
		char *paren;
		int fd;

		(void)snprintf(file, sizeof(file), "/proc/self/task/%s/stat", e->d_name);
		fd = open(file, O_RDONLY);
		if (fd >= 0 && read(fd, line, sizeof(line) - 1) > 0 && strstr(line, "(eal-intr") != NULL &&
		    (paren = strrchr(line, ')')) != NULL &&
		    sscanf(paren + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) == 2)
			sum = (long)(u + s);
		if (fd >= 0)
			close(fd);
	}
	if (d != NULL)
		closedir(d);
	return sum;
}

/* Nobody calls service() although there is something to do: the watcher says so once and rests. */
static void
watcher_does_not_spin(void)
{
	struct port a, b;
	long ticks;
	uint64_t end;

	path_begin();
	port_open(&a, path_name);
	(void)port_turn(&a);
	(void)port_turn(&a);
	port_open(&b, path_name);
	end = now_ns() + PATIENCE * MS;
	while ((atomic_load(&a.events) & PORT_EV_SERVICE) == 0 && now_ns() < end)
		sched_yield();
	CU_ASSERT(atomic_load(&a.events) & PORT_EV_SERVICE);
	ticks = interrupt_thread_ticks();
	CU_ASSERT(ticks >= 0);
	(void)poll(NULL, 0, 300);
	/* A spinning thread would have used some 30. */
	CU_ASSERT(interrupt_thread_ticks() <= ticks + 5);
	CU_ASSERT(turn_until(&a, &b, true));
	port_close(&a);
	port_close(&b);
	path_end();
}

/* Everything but write(2) and exit is deadly from here on. */
static void
forbid_system_calls(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = ZF_ARRAY_SIZE(f), .filter = f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(50);
}

/* In a forked child: both ends go on, and the data path makes no system call. */
static void
data_flows_after_fork_without_system_calls(void)
{
	struct port a, b;
	int status = -1;
	pid_t pid;

	path_begin();
	port_open(&a, path_name);
	port_open(&b, path_name);
	CU_ASSERT(turn_until(&a, &b, true));
	pid = fork();
	if (pid == 0) {
		bool ok = true;

		/* There is no watcher here: the port asks to be looked after by the clock. */
		ok &= (port_turn(&a) & PORT_EV_SERVICE) != 0 && a.due <= now_ns() + 10 * MS;
		forbid_system_calls();
		for (uint32_t i = 0; i < 2000 && ok; i++) {
			ok &= send_frame(&a, 106, i) && recv_frame(&b, 106, i);
			ok &= send_frame(&b, 60, i) && recv_frame(&a, 60, i);
			ok &= idle(&a) && idle(&b) && is_up(&a);
		}
		syscall(SYS_exit_group, ok ? 0 : 51); /* a sanitizer's own _exit() does more than exit */
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	CU_ASSERT_EQUAL(status, 0);
	/* Here nothing was touched meanwhile; a wire does not go down because a copy of its process ended. */
	(void)port_turn(&a);
	CU_ASSERT(is_up(&a) && is_up(&b));
	port_close_uncounted(&a);
	port_close_uncounted(&b);
	path_end();
}

static void
pair_goes_on_after_fork(void)
{
	struct port a, b;
	int status = -1;
	pid_t pid;
	uint64_t end;
	bool got = false;

	port_open(&a, "wire:t/a");
	port_open(&b, "wire:t/b");
	(void)port_turn(&a);
	pid = fork();
	if (pid == 0)
		_exit(send_frame(&a, 106, 42) ? 0 : 1);
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	/* One end there, one here. */
	end = now_ns() + PATIENCE * MS;
	while (!got && now_ns() < end)
		got = recv_frame(&b, 106, 42);
	CU_ASSERT(got);
	port_close_uncounted(&a);
	port_close_uncounted(&b);
}

/* ---- two whole processes ---- */

static int
eal_start(const char *name)
{
	char *args[] = {(char *)(uintptr_t)name, "--no-huge",      "--no-shconf", "--no-pci",
			"--no-telemetry",       "-m",             "64",          "--log-level=error",
			"--lcores",             "0@(0-1)"};

	return rte_eal_init(ZF_ARRAY_SIZE(args) - (sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 0 : 2), args);
}

static int
peer_main(const char *name)
{
	static struct port p;
	uint64_t end = now_ns() + 120000 * MS;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (eal_start("peer") < 0 || pool_init(&log_all) != 0 || !port_set_up(&p, name, 1024))
		return 2;
	while (now_ns() < end) {
		for (int i = 0; i < 1000; i++) {
			struct rte_mbuf *m[32];
			uint16_t n = p.q.rx(p.q.rxq, m, 32), sent = 0;

			if (n == 0 && i % 100 == 0)
				sched_yield();
			while (sent < n)
				sent += p.q.tx(p.q.txq, m + sent, n - sent);
			if (atomic_load(&p.events) != 0)
				(void)port_turn(&p);
		}
		(void)port_turn(&p);
	}
	return 3;
}

static pid_t
peer_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "test_wire_port", "--peer", path_name, (char *)NULL);
		_exit(127);
	}
	CU_ASSERT_FATAL(pid > 0);
	return pid;
}

/* @n frames there and back. */
static uint32_t
ping(struct port *p, uint32_t n)
{
	uint32_t back = 0;
	uint64_t end = now_ns() + PATIENCE * MS;

	for (uint32_t i = 0; i < n; i++) {
		bool got = false;

		if (!send_frame(p, 106, i))
			break;
		for (uint64_t spins = 0; !got && (spins % 1024 != 0 || now_ns() < end); spins++) {
			got = recv_frame(p, 106, i);
			if (!got && spins % 256 == 255)
				sched_yield();
		}
		if (!got)
			break;
		back++;
	}
	return back;
}

static void
two_processes(void)
{
	struct port p;
	pid_t pid;

	path_begin();
	port_open(&p, path_name);
	for (int round = 0; round < 3; round++) {
		pid = peer_start();
		CU_ASSERT_FATAL(turn_until(&p, NULL, true));
		CU_ASSERT_EQUAL(ping(&p, 20000), 20000);
		if (round == 1) {
			/* Stopped, it is not gone: the ring fills up and says so. */
			kill(pid, SIGSTOP);
			for (uint32_t i = 0; i < RING_SLOTS && send_frame(&p, 60, i); i++)
				;
			CU_ASSERT(!send_frame(&p, 60, 0));
			CU_ASSERT(is_up(&p));
		}
		kill(pid, SIGKILL);
		CU_ASSERT(waitpid(pid, NULL, 0) == pid);
		CU_ASSERT(turn_until(&p, NULL, false));
		while (!idle(&p)) {
			struct rte_mbuf *m;

			if (p.q.rx(p.q.rxq, &m, 1) == 1)
				pkt_put(p.pool, m);
		}
		CU_ASSERT(send_frame(&p, 106, 0)); /* dropped */
	}
	port_close(&p);
	path_end();
}

/* The child uses the wire, the parent leaves it alone; without a watcher the child sees a dead peer by itself. */
static void
forked_child_sees_the_peer_die(void)
{
	struct port p;
	int status = -1;
	pid_t peer, child;

	path_begin();
	port_open(&p, path_name);
	peer = peer_start();
	CU_ASSERT_FATAL(turn_until(&p, NULL, true));
	child = fork();
	if (child == 0) {
		if (ping(&p, 1000) != 1000)
			_exit(60);
		kill(peer, SIGKILL);
		if (!turn_until(&p, NULL, false))
			_exit(61);
		_exit(0);
	}
	CU_ASSERT(waitpid(child, &status, 0) == child);
	CU_ASSERT_EQUAL(status, 0);
	kill(peer, SIGKILL);
	CU_ASSERT(waitpid(peer, NULL, 0) == peer);
	port_close_uncounted(&p);
	path_end();
}

static const struct unit_test tests[] = {
	UNIT(loop_hears_itself),
	UNIT(copying_send_takes_any_two_parts),
	UNIT(bursts_and_a_full_ring),
	UNIT(chains_clones_and_foreign_buffers),
	UNIT(empty_pool_leaves_frames_in_the_ring),
	UNIT(small_buffers_are_refused),
	UNIT(names_are_checked),
	UNIT(pair_meets_in_either_order),
	UNIT(pair_partner_leaves_and_returns),
	UNIT(draining_has_an_end),
	UNIT(many_pairs_at_once),
	UNIT(pair_between_two_threads),
	UNIT(path_both_ends_here),
	UNIT(watcher_does_not_spin),
	UNIT(data_flows_after_fork_without_system_calls),
	UNIT(pair_goes_on_after_fork),
	UNIT(two_processes),
	UNIT(forked_child_sees_the_peer_die),
};

int
main(int argc, char **argv)
{
	log_fd = memfd_create("log", 0);
	(void)fcntl(log_fd, F_SETFL, O_APPEND);
	log_all = (struct zf_log){.level_mask = 0x7777777777777ull, .fd = log_fd};
	if (argc == 3 && strcmp(argv[1], "--peer") == 0)
		return peer_main(argv[2]);
	if (eal_start("test_wire_port") < 0 || pool_init(&log_all) != 0) {
		fprintf(stderr, "EAL does not start\n");
		return 2;
	}
	return unit_main("wire_port", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
