/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver's own share of what calls.c counts: bare calls of drivers/wire over wire:loop, each in a function named
 * z_* for callgrind:
 *
 *	valgrind --tool=callgrind --collect-atstart=no --toggle-collect='z_rx' wire_calls rx 2000
 *
 * less the same with half the count. Frames have 106 bytes, or 42 plus the third argument.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include "wire/wire.h"

#include "core/pool.h"

#define NOINLINE __attribute__((noinline))
#define HEADERS  42u

struct port {
	struct port_queue q;
	struct zf_pool *pool;
	uint8_t hdr[64];
	uint8_t payload[1472];
};

NOINLINE uint16_t z_rx(struct port *p, struct rte_mbuf **m);
NOINLINE uint16_t z_tx_copy(struct port *p, uint32_t len);
NOINLINE uint16_t z_tx(struct port *p, struct rte_mbuf **m);
NOINLINE bool z_peek(struct port *p);

/* The frame of these functions is part of each count: three or four instructions. */
NOINLINE uint16_t
z_rx(struct port *p, struct rte_mbuf **m)
{
	return p->q.rx(p->q.rxq, m, 32);
}

NOINLINE uint16_t
z_tx_copy(struct port *p, uint32_t len)
{
	return p->q.tx_copy(p->q.txq, p->hdr, HEADERS, p->payload, len);
}

NOINLINE uint16_t
z_tx(struct port *p, struct rte_mbuf **m)
{
	return p->q.tx(p->q.txq, m, 1);
}

NOINLINE bool
z_peek(struct port *p)
{
	return p->q.peek(p->q.rxq);
}

static void
no_event(void *opaque, uint32_t events)
{
	(void)opaque;
	(void)events;
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "wire_calls: %s failed\n", what);
	exit(1);
}

/* One frame there and back; the callgrind toggle picks the call that counts. */
static void
one(struct port *p, const char *op, uint32_t len)
{
	struct rte_mbuf *m[32];

	if (strcmp(op, "idle") == 0) {
		must(z_rx(p, m) == 0, "idle rx");
		return;
	}
	if (strcmp(op, "peek") == 0) {
		must(!z_peek(p), "peek");
		return;
	}
	if (strcmp(op, "tx") == 0) {
		m[0] = pkt_take(p->pool);
		must(m[0] != NULL, "take");
		pkt_reset(m[0], HEADERS + len);
		must(z_tx(p, m) == 1, "tx");
	} else {
		must(z_tx_copy(p, len) == 1, "tx_copy");
	}
	must(z_rx(p, m) == 1, "rx");
	pkt_put(p->pool, m[0]);
}

int
main(int argc, char **argv)
{
	static char *eal[] = {"wire_calls", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			      "-m",         "32",        "--log-level=error"};
	static struct port p;
	struct port_host host = {.event = no_event};
	struct port_open_args args = {.name = "wire:loop", .host = &host};
	struct port_info info;
	struct zf_pool *own;
	const char *op = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;
	uint32_t len = argc > 3 ? (uint32_t)atol(argv[3]) : 64;
	void *priv = NULL;

	if (n <= 0 || len > sizeof(p.payload) || strstr("idle peek rx tx tx_copy", op) == NULL || *op == '\0') {
		fprintf(stderr, "usage: wire_calls idle|peek|rx|tx|tx_copy COUNT [PAYLOAD, up to 1472]\n");
		return 2;
	}
	must(rte_eal_init((int)ZF_ARRAY_SIZE(eal), eal) >= 0, "EAL");
	must(pool_init(NULL) == 0 && wire_driver.open(&args, &info, &priv) == 0, "open");
	must(pool_create(1024, info.buf_bytes, -1, NULL, &p.pool) == 0, "pool");
	must(pool_adopt(p.pool, &own) == 0 && wire_driver.queue_setup(priv, 0, p.pool) == 0 &&
		     wire_driver.start(priv) == 0,
	     "start");
	wire_driver.queue_get(priv, 0, &p.q);
	for (int i = 0; i < 100; i++) /* the cache of the pool */
		one(&p, "rx", len);
	for (long i = 0; i < n; i++)
		one(&p, op, len);
	wire_driver.close(priv);
	return 0;
}
