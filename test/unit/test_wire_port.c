/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/wire as a port inside one process, through the driver table and with real mbufs: wire:loop and wire:NAME.
 */
#include <pthread.h>

#include "wire_port_help.h"

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
};

int
main(int argc, char **argv)
{
	if (!help_start("test_wire_port"))
		return 2;
	return unit_main("wire_port", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
