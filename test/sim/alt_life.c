/* SPDX-License-Identifier: BSD-3-Clause
 *
 * alt_life [--seed N] [--cases N]: a connection lives with alternatives. One side queues, sends and cancels them in any
 * order, in between ordinary sends, data from the other side and polls, over a link that loses and doubles; ports have
 * alternatives of their own in half of the cases. Every byte is a function of its place in the stream, so the other side
 * knows whether what was sent is what it reads; after each step the tables are looked through, at the end everything must
 * be home.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#include "base/rng.h"
#include "mem/mem.h"
#include "sim/room_check.h"
#include "zf_testing.h"

#define ALTS  4
#define STEPS 400

/* What the application knows of an alternative. */
struct mine {
	zf_althandle h;
	uint32_t first; /* place in the stream of what is queued, */
	uint32_t len;   /* and how much */
	bool tied;
};

struct life {
	struct rng rng;
	struct zt *a, *b;
	struct zft *ts, *peer;
	struct mine alts[ALTS];
	uint32_t sent;  /* bytes of the stream given away so far */
	uint32_t read;  /* and read on the other side */
	uint64_t sends, spoiled, busy;
	const char *why;
};

static uint8_t
byte_at(uint32_t i)
{
	return (uint8_t)(i * 13u + (i >> 8) * 5u + 3u);
}

static void
fail(struct life *l, const char *why)
{
	if (l->why == NULL)
		l->why = why;
}

static uint32_t
draw(struct life *l, uint32_t below)
{
	return (uint32_t)rng_below(&l->rng, below);
}

static void *
bytes(uint32_t from, uint32_t len)
{
	static uint8_t b[8192];

	for (uint32_t i = 0; i < len; i++)
		b[i] = byte_at(from + i);
	return b;
}

/* It can be sent as long as the stream has not moved on. */
static bool
is_fresh(const struct life *l, const struct mine *m)
{
	return m->len == 0 || m->first == l->sent;
}

static void
queue(struct life *l, struct mine *m)
{
	uint32_t first = m->len > 0 ? m->first : l->sent, len = draw(l, 3) == 0 ? draw(l, 6000) : draw(l, 200);
	struct iovec iov = {bytes(first + m->len, len), len};
	int rc = zft_alternatives_queue(l->ts, m->h, &iov, 1, 0);

	if (rc == -EINVAL || rc == -ENOTCONN || rc > 0)
		fail(l, "zft_alternatives_queue");
	if (rc != 0)
		return;
	m->tied = true;
	m->first = first;
	m->len += len;
}

static void
send_one(struct life *l, struct mine *m)
{
	int rc = zf_alternatives_send(zt_stack(l->a), m->h);

	if (rc == 0 && m->len > 0) {
		if (!is_fresh(l, m))
			fail(l, "a spoiled alternative was sent");
		l->sent += m->len;
		l->sends++;
		m->len = 0;
		m->tied = false;
	} else if (rc == -EINVAL) {
		if (is_fresh(l, m))
			fail(l, "a fresh alternative was refused");
		l->spoiled++;
	} else if (rc == -EBUSY) {
		l->busy++;
	} else if (rc != 0) {
		fail(l, "zf_alternatives_send");
	}
}

static void
cancel(struct life *l, struct mine *m)
{
	if (zf_alternatives_cancel(zt_stack(l->a), m->h) != 0)
		fail(l, "zf_alternatives_cancel");
	m->len = 0;
	m->tied = false;
}

static void
send_normally(struct life *l)
{
	uint32_t len = 1 + draw(l, 3000);
	struct iovec iov = {bytes(l->sent, len), len};
	ssize_t rc = zft_send(l->ts, &iov, 1, draw(l, 4) == 0 ? MSG_MORE : 0);

	if (rc > 0)
		l->sent += (uint32_t)rc;
	else if (rc != -EAGAIN && rc != -ENOMEM)
		fail(l, "zft_send");
}

static void
read_all(struct life *l)
{
	uint8_t b[4096];
	struct iovec iov = {b, sizeof(b)};
	int n;

	while ((n = zft_recv(l->peer, &iov, 1, 0)) > 0)
		for (int i = 0; i < n; i++, l->read++)
			if (b[i] != byte_at(l->read))
				fail(l, "the stream differs");
	if (n != -EAGAIN)
		fail(l, "zft_recv");
	while (zft_recv(l->ts, &iov, 1, 0) > 0)
		;
}

static void
step(struct life *l)
{
	struct mine *m = &l->alts[draw(l, ALTS)];

	switch (draw(l, 10)) {
	case 0:
	case 1:
	case 2:
		queue(l, m);
		break;
	case 3:
	case 4:
		send_one(l, m);
		break;
	case 5:
		cancel(l, m);
		break;
	case 6:
		if (draw(l, 4) == 0)
			send_normally(l);
		break;
	case 7:
		(void)zft_send_single(l->peer, bytes(0, 2000), 1 + draw(l, 2000), 0);
		break;
	case 8:
		(void)zf_reactor_perform(zt_stack(draw(l, 2) ? l->a : l->b));
		break;
	default:
		(void)zt_advance(draw(l, 4) == 0 ? 50000000 : 100000);
		read_all(l);
		break;
	}
	room_check(zt_ctx(l->a));
	room_check(zt_ctx(l->b));
}

static bool
meet(struct life *l)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(2000)};
	struct zft_handle *h;
	struct zf_attr *attr;
	struct zftl *tl;
	bool ok;

	if (zf_attr_alloc(&attr) < 0)
		return false;
	inet_pton(AF_INET, "192.0.2.2", &to.sin_addr);
	ok = zftl_listen(zt_stack(l->b), (struct sockaddr *)&to, sizeof(to), attr, &tl) == 0 &&
	     zft_alloc(zt_stack(l->a), attr, &h) == 0 &&
	     zft_connect(h, (struct sockaddr *)&to, sizeof(to), &l->ts) == 0;
	for (int i = 0; ok && i < 10000 && zftl_accept(tl, &l->peer) < 0; i++)
		(void)zt_advance(1000000);
	ok = ok && l->peer != NULL;
	for (uint32_t i = 0; ok && i < ALTS; i++)
		ok = zf_alternatives_alloc(zt_stack(l->a), attr, &l->alts[i].h) == 0;
	if (ok)
		(void)zftl_free(tl);
	zf_attr_free(attr);
	return ok;
}

/* All that was sent arrives, with whatever is still queued in the way; then both ends go. */
static void
end(struct life *l)
{
	struct zt_leaks leaks;

	for (uint32_t i = 0; i < 2000 && l->read < l->sent; i++) {
		struct iovec none = {bytes(l->sent, 1), 1};

		if (i == 0 && zft_send(l->ts, &none, 1, 0) == 1) /* what MSG_MORE held back follows */
			l->sent++;
		(void)zt_advance(100000000);
		read_all(l);
	}
	if (l->read != l->sent)
		fail(l, "the stream did not arrive");
	(void)zft_free(l->ts);
	(void)zft_free(l->peer);
	for (int i = 0; i < 200; i++)
		(void)zt_advance(1000000000);
	if (zt_leaks(l->a, &leaks) || zt_leaks(l->b, &leaks))
		fail(l, "something leaked");
}

static const char *
live(uint64_t seed, uint64_t n, struct life *l)
{
	struct mem_link_cfg *link;
	char attrs[256];

	memset(l, 0, sizeof(*l));
	rng_seed(&l->rng, seed * 1000003 + n);
	mem_cfg(mem_port("altlife/a"))->alts = draw(l, 2) ? 17 : 0;
	mem_cfg(mem_port("altlife/a"))->tx_copy_max = draw(l, 3) == 0 ? 300 : 0;
	mem_cfg(mem_port("altlife/a"))->refuse_shared = draw(l, 4) == 0 && mem_cfg(mem_port("altlife/a"))->alts == 0;
	snprintf(attrs, sizeof(attrs),
		 "interface=mem:altlife/a;ipv4=192.0.2.1/24;n_bufs=1024;alt_count=%u;tcp_alt_ack_rewind=%u;"
		 "tcp_timestamps=%u;tcp_fast_path=%u;tcp_finwait_ms=1000;tcp_timewait_ms=1000",
		 ALTS, draw(l, 2) ? 1000 : 65536, draw(l, 4) == 0 ? 2 : 0, draw(l, 4) != 0);
	if (zt_open(&l->a, attrs) < 0 ||
	    zt_open(&l->b, "interface=mem:altlife/b;ipv4=192.0.2.2/24;n_bufs=1024;tcp_timestamps=1;"
			   "tcp_finwait_ms=1000;tcp_timewait_ms=1000") < 0)
		return "zt_open";
	zt_seed(l->a, seed + n);
	zt_seed(l->b, seed + n + 1);
	link = mem_link_cfg(mem_port("altlife/a"));
	link->delay_ns = 1000 * draw(l, 1000);
	mem_link_seed(mem_port("altlife/a"), seed + n);
	if (meet(l)) {
		link->loss_ppm = draw(l, 2) ? 0 : draw(l, 50000);
		link->dup_ppm = draw(l, 2) ? 0 : draw(l, 50000);
		for (int i = 0; i < STEPS && l->why == NULL; i++)
			step(l);
		link->loss_ppm = link->dup_ppm = 0;
		if (l->why == NULL)
			end(l);
	} else {
		fail(l, "no connection");
	}
	(void)zt_close(l->a, NULL);
	(void)zt_close(l->b, NULL);
	(void)mem_forget(mem_port("altlife/a"));
	return l->why;
}

int
main(int argc, char **argv)
{
	uint64_t seed = 1, cases = 1500, passed = 0, failed = 0, sends = 0, spoiled = 0, busy = 0;
	static struct life l;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--cases") == 0)
			cases = strtoull(argv[i + 1], NULL, 10);
	}
	for (uint64_t n = 0; n < cases; n++) {
		const char *why = live(seed, n, &l);

		sends += l.sends;
		spoiled += l.spoiled;
		busy += l.busy;
		passed += why == NULL;
		failed += why != NULL;
		if (why != NULL)
			printf("  case %llu: %s (sent %u, read %u)\n", (unsigned long long)n, why, l.sent, l.read);
	}
	/* A life in which none of it happens tests nothing. */
	if (sends < cases || spoiled < cases || busy < cases / 4) {
		printf("  too little happened: %llu sent, %llu spoiled, %llu busy\n", (unsigned long long)sends,
		       (unsigned long long)spoiled, (unsigned long long)busy);
		failed++;
	}
	printf("alt_life: %llu passed, %llu failed, 0 skipped\n", (unsigned long long)passed, (unsigned long long)failed);
	return failed != 0;
}
