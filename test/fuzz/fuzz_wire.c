/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fuzzer of a wire's shared memory: an input is a list of steps of the hostile other side (bytes anywhere, words that
 * look right, frames that change while they are read) mixed with the driver's own calls. The rings and every buffer
 * are separate allocations of exactly their size, so a sanitizer sees each byte too far. Inputs that start with an odd
 * byte are messages of the rendezvous instead.
 *
 * The burst functions are the driver's own; the pool is made by hand, so that no EAL is needed.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "wire/burst.h"
#include "wire/rdv_int.h"

#define N_BUFS    128u
#define BURST     64u
#define STEPS_MAX 2000u
#define ROOM      (RTE_PKTMBUF_HEADROOM + RING_FRAME_MAX)

enum step {
	STEP_BYTES,   /* into either ring: where (3), how many, what */
	STEP_WORD,    /* a word that may be right: slot (2), which tag, length (2) */
	STEP_FRAME,   /* a whole frame where the receiver looks: length (2), content */
	STEP_CLEAR,   /* as a receiver that is in a hurry: slot (2), how many */
	STEP_RX,      /* how many */
	STEP_TX,      /* length (2), parts */
	STEP_TX_COPY, /* header, payload (2) */
	STEP_LOOK,    /* peek and room */
	STEP_STORM,   /* receive while another thread writes */
	STEP_LINK,    /* down and up again with what is there */
	STEPS
};

static struct {
	struct wire_queue q ZF_CACHE_ALIGNED;
	struct zf_pool pool;
	struct rte_mempool_cache *cache;
	uint8_t *ring[2]; /* ours to send, ours to receive */
	uint32_t epoch;
} f;

static struct {
	_Atomic uint32_t want; /* odd: a storm; the thread repeats each even number when it has calmed down */
	_Atomic uint32_t calm;
	_Atomic uint32_t seed;
} storm;

struct input {
	const uint8_t *p;
	size_t left;
};

static uint32_t
take(struct input *in, int bytes)
{
	uint32_t v = 0;

	for (; bytes > 0; bytes--) {
		v <<= 8;
		if (in->left > 0) {
			v |= *in->p++;
			in->left--;
		}
	}
	return v;
}

static void *
storm_main(void *arg)
{
	uint32_t s = 1;

	for (;;) {
		uint32_t want = atomic_load(&storm.want);

		if ((want & 1) == 0) {
			atomic_store(&storm.calm, want);
			s = atomic_load(&storm.seed) | 1;
			(void)sched_yield();
			continue;
		}
		for (int i = 0; i < 64; i++) {
			uint8_t *slot;

			s ^= s << 13;
			s ^= s >> 17;
			s ^= s << 5;
			slot = f.ring[1] + (s % RING_SLOTS) * RING_STRIDE;
			if (s & 1u << 20)
				memset(slot + RING_DATA, (int)s, (s >> 21) % (RING_STRIDE - RING_DATA));
			atomic_store_explicit(ring_word(slot),
					      (ring_first_tag(f.epoch) + (s & 0x30000)) | (s >> 16 & 0x7ff),
					      memory_order_release);
		}
	}
	return arg;
}

/* Once a process. */
static void
set_up(void)
{
	pthread_t t;

	/* No mempool: the cache holds all there is, and never runs out below BURST. */
	f.cache = calloc(1, sizeof(*f.cache));
	FUZZ_CHECK(f.cache != NULL);
	f.cache->size = f.cache->flushthresh = N_BUFS + 1;
	f.pool.cache = f.cache;
	f.pool.n_bufs = N_BUFS;
	for (uint32_t i = 0; i < N_BUFS; i++) {
		struct rte_mbuf *m = aligned_alloc(ZF_CACHE_LINE, sizeof(*m));

		FUZZ_CHECK(m != NULL);
		memset(m, 0, sizeof(*m));
		m->buf_addr = malloc(ROOM);
		m->buf_len = ROOM;
		rte_mbuf_refcnt_set(m, 1);
		m->nb_segs = 1;
		pkt_put(&f.pool, m);
	}
	for (int i = 0; i < 2; i++) {
		f.ring[i] = aligned_alloc(ZF_CACHE_LINE, RING_BYTES);
		FUZZ_CHECK(f.ring[i] != NULL);
		memset(f.ring[i], 0, RING_BYTES);
	}
	wire_queue_init(&f.q, &f.pool);
	FUZZ_CHECK(pthread_create(&t, NULL, storm_main, NULL) == 0 && pthread_detach(t) == 0);
}

static void
check_queue(void)
{
	uint8_t *rx = ring_rx_slot(&f.q.rx);

	FUZZ_CHECK(f.q.tx.slot >= f.ring[0] && f.q.tx.slot <= f.ring[0] + RING_BYTES);
	FUZZ_CHECK(f.q.tx.room <= RING_SHEET && (f.q.tx.tag & 0x8000ffff) == RING_TAG_ALWAYS);
	FUZZ_CHECK(rx >= f.ring[1] && rx < f.ring[1] + RING_BYTES && (size_t)(rx - f.ring[1]) % RING_STRIDE == 0);
	FUZZ_CHECK(f.q.rx.left >= 1 && f.q.rx.left <= RING_SHEET);
	FUZZ_CHECK((f.q.rx.left - 1 + (uint32_t)((rx - f.ring[1]) / RING_STRIDE)) % RING_SHEET == RING_SHEET - 1);
}

static void
receive(uint16_t n)
{
	struct rte_mbuf *m[BURST];
	uint16_t got = wire_rx(&f.q, m, n);

	FUZZ_CHECK(got <= n);
	for (uint16_t i = 0; i < got; i++) {
		FUZZ_CHECK(m[i]->pkt_len <= RING_FRAME_MAX && m[i]->data_len == m[i]->pkt_len);
		FUZZ_CHECK(m[i]->data_off == RTE_PKTMBUF_HEADROOM && m[i]->nb_segs == 1 && m[i]->next == NULL);
		pkt_put(&f.pool, m[i]);
	}
	check_queue();
}

static void
send_mbuf(uint32_t len, uint32_t parts)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	len = ZF_MIN(len, 4u * RING_FRAME_MAX);
	for (uint32_t i = 0; i <= parts; i++) {
		struct rte_mbuf *m = pkt_take(&f.pool);
		uint32_t part = i < parts ? len / (parts + 1) : len - parts * (len / (parts + 1));

		FUZZ_CHECK(m != NULL);
		/* At the very end of the buffer: nothing behind it may be read. */
		part = ZF_MIN(part, RING_FRAME_MAX);
		pkt_reset(m, part);
		m->data_off = (uint16_t)(ROOM - part);
		memset(rte_pktmbuf_mtod(m, void *), (int)i, part);
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += part;
		}
		last = m;
	}
	/* By hand what pkt_put would hand to a mempool: a chain goes to pieces before it is freed. */
	if (parts > 0) {
		for (struct rte_mbuf *m = head; m != NULL; m = m->next)
			rte_mbuf_refcnt_set(m, 2);
		(void)wire_tx(&f.q, &head, 1);
		while (head != NULL) {
			struct rte_mbuf *next = head->next;

			rte_mbuf_refcnt_set(head, 1);
			head->next = NULL;
			head->nb_segs = 1;
			pkt_put(&f.pool, head);
			head = next;
		}
	} else if (wire_tx(&f.q, &head, 1) == 0) {
		pkt_put(&f.pool, head);
	}
	check_queue();
}

static void
send_copy(uint32_t hdr_len, uint32_t len)
{
	uint8_t *hdr, *payload;

	len = ZF_MIN(len, RING_FRAME_MAX - hdr_len);
	hdr = malloc(hdr_len > 0 ? hdr_len : 1);
	payload = malloc(len > 0 ? len : 1);
	FUZZ_CHECK(hdr != NULL && payload != NULL);
	memset(hdr, 1, hdr_len);
	memset(payload, 2, len);
	FUZZ_CHECK(wire_tx_copy(&f.q, hdr, hdr_len, payload, len) <= 1);
	free(hdr);
	free(payload);
	check_queue();
}

static void
step_bytes(struct input *in)
{
	uint32_t at = take(in, 3), n = take(in, 1);
	uint8_t *ring = f.ring[at >> 23];

	at %= RING_BYTES;
	n = ZF_MIN(n, RING_BYTES - at);
	for (uint32_t i = 0; i < n; i++)
		ring[at + i] = (uint8_t)take(in, 1);
}

static void
step_word(struct input *in)
{
	uint32_t slot = take(in, 2), which = take(in, 1), len = take(in, 2);
	uint32_t tag = atomic_load(&f.q.rx.expect) + ((which & 3) - 1) * 0x10000u;

	/* Mostly where the receiver looks next. */
	slot = which & 4 ? slot % RING_SLOTS
			 : (uint32_t)(ring_rx_slot(&f.q.rx) - f.ring[1]) / RING_STRIDE + slot % 3;
	atomic_store(ring_word(f.ring[1] + slot % RING_SLOTS * RING_STRIDE), which & 8 ? len : tag + len);
}

static void
step_frame(struct input *in)
{
	uint32_t len = take(in, 2) % (RING_FRAME_MAX + 1);
	uint8_t *slot = ring_rx_slot(&f.q.rx);

	memset(slot + RING_DATA, (int)take(in, 1), len);
	atomic_store(ring_word(slot), atomic_load(&f.q.rx.expect) | len);
	FUZZ_CHECK(wire_peek(&f.q));
	receive(1);
}

static void
step_clear(struct input *in)
{
	uint32_t slot = take(in, 2), n = take(in, 1);

	for (uint32_t i = 0; i < n; i++)
		atomic_store(ring_word(f.ring[0] + (slot + i) % RING_SLOTS * RING_STRIDE), 0);
}

static void
step_storm(struct input *in)
{
	atomic_store(&storm.seed, take(in, 3));
	atomic_fetch_add(&storm.want, 1);
	for (int i = 0; i < 40; i++) {
		receive(BURST);
		(void)wire_peek(&f.q);
		if (i % 8 == 0)
			(void)sched_yield();
	}
	atomic_fetch_add(&storm.want, 1);
	while (atomic_load(&storm.calm) != atomic_load(&storm.want))
		(void)sched_yield();
}

static void
step_link(struct input *in)
{
	struct rte_mbuf *m;

	wire_queue_detach_tx(&f.q);
	m = pkt_take(&f.pool);
	FUZZ_CHECK(m != NULL);
	pkt_reset(m, 60);
	FUZZ_CHECK(wire_tx(&f.q, &m, 1) == 1 && wire_tx_room(&f.q) > 0);
	receive((uint16_t)(take(in, 1) % BURST));
	wire_queue_detach_rx(&f.q);
	FUZZ_CHECK(!wire_peek(&f.q) && wire_rx(&f.q, &m, 1) == 0);
	wire_queue_attach(&f.q, f.ring[0], f.ring[1], ++f.epoch);
	check_queue();
}

static void
one_step(struct input *in)
{
	uint32_t a, b;

	switch ((enum step)(take(in, 1) % STEPS)) {
	case STEP_BYTES:
		step_bytes(in);
		break;
	case STEP_WORD:
		step_word(in);
		break;
	case STEP_FRAME:
		step_frame(in);
		break;
	case STEP_CLEAR:
		step_clear(in);
		break;
	case STEP_RX:
		receive((uint16_t)(take(in, 1) % (BURST + 1)));
		break;
	case STEP_TX:
		a = take(in, 2);
		send_mbuf(a, take(in, 1) % 5);
		break;
	case STEP_TX_COPY:
		a = take(in, 1);
		b = take(in, 2);
		send_copy(a, b);
		break;
	case STEP_LOOK:
		(void)wire_peek(&f.q);
		FUZZ_CHECK(wire_tx_room(&f.q) <= RING_SHEET);
		check_queue();
		break;
	case STEP_STORM:
		step_storm(in);
		break;
	default:
		step_link(in);
		break;
	}
}

/* Whatever comes over the socket: a verdict, nothing else. */
static void
one_message(const uint8_t *data, size_t size)
{
	struct rdv_msg m;
	int sv[2], fds[RDV_FDS], rc;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
	if (send(sv[0], data, ZF_MIN(size, 4096), MSG_NOSIGNAL) >= 0) {
		rc = rdv_msg_recv(sv[1], &m, size & 1 ? fds : NULL);
		FUZZ_CHECK(rc == 1 || rc == -EPROTO || rc == -EPROTONOSUPPORT || (rc == -ECONNRESET && size == 0));
		FUZZ_CHECK(rc != 1 || (m.magic == SHM_MAGIC && m.version == SHM_VERSION && size == sizeof(m)));
		FUZZ_CHECK(rdv_msg_recv(sv[1], &m, NULL) == 0);
	}
	close(sv[0]);
	close(sv[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (size == 0 || size > 65536)
		return 0;
	if (f.cache == NULL)
		set_up();
	f.epoch = take(&in, 1);
	if (f.epoch & 1) {
		one_message(in.p, in.left);
		return 0;
	}
	ring_clear(f.ring[0]);
	ring_clear(f.ring[1]);
	wire_queue_attach(&f.q, f.ring[0], f.ring[1], f.epoch);
	for (uint32_t i = 0; i < STEPS_MAX && in.left > 0; i++)
		one_step(&in);
	FUZZ_CHECK(f.cache->len == N_BUFS);
	return 0;
}
