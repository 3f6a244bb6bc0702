/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Birth and end of a stack.
 */
#include "stack/stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>

#include "core/attr.h"
#include "stack/alt.h"
#include "stack/drivers.h"
#include "stack/ifres.h"
#include "stack/init.h"

static atomic_uint stack_ids;

/* Buffers when n_bufs=0: full rings, and some datagrams for each zocket that may be opened. */
#define STACK_BUFS_PER_ZOCKET 128u
#define STACK_BUFS_MAX        32768u
#define STACK_BUFS_MIN        64u

static uint32_t
default_bufs(const struct zf_attr *a)
{
	uint64_t n = (uint64_t)a->rx_ring_max + (uint64_t)a->tx_ring_max +
		     STACK_BUFS_PER_ZOCKET * ((uint64_t)a->max_udp_rx_endpoints + (uint64_t)a->max_tcp_endpoints);

	return (uint32_t)ZF_MAX(ZF_MIN(n, (uint64_t)STACK_BUFS_MAX), (uint64_t)STACK_BUFS_MIN);
}

/* One for each zocket that may be open, and the stack's own. */
static uint32_t
waitables(const struct zf_attr *a)
{
	return (uint32_t)a->max_udp_rx_endpoints + (uint32_t)a->max_udp_tx_endpoints + (uint32_t)a->max_tcp_endpoints +
	       (uint32_t)a->max_tcp_listen_endpoints + 1;
}

/* The same twice: dry, to learn the size, then for real. NULL in the dry run. */
static struct zf_stack *
lay_out(struct arena *a, const struct zf_attr *attr, uint32_t n_bufs)
{
	struct arena_head *head = arena_take(a, sizeof(*head), ZF_CACHE_LINE);
	struct zf_stack *st = arena_take(a, sizeof(*st), ZF_CACHE_LINE);
	struct ip_room *ip = ip_room_take(a, n_bufs);
	struct udp_room *udp = udp_room_take(a, (uint32_t)attr->max_udp_rx_endpoints,
					     (uint32_t)attr->max_udp_tx_endpoints);
	struct tcp_room *tcp = tcp_room_take(a, attr, n_bufs);
	struct mux_room *mux = mux_room_take(a, waitables(attr));
	struct alt_room *alt = alt_room_take(a, attr);

	if (st == NULL)
		return NULL;
	head->magic = ARENA_MAGIC;
	head->version = ARENA_VERSION;
	head->bytes = a->bytes;
	head->pid = (int32_t)getpid();
	head->stack_off = (uint64_t)((char *)st - a->base);
	if (attr->interface != NULL)
		snprintf(head->interface, sizeof(head->interface), "%s", attr->interface);
	st->ctx.ip = ip;
	st->ctx.udp = udp;
	st->ctx.tcp = tcp;
	st->ctx.mux = mux;
	st->alt = alt;
	return st;
}

static int
parse_ipv4(const char *text, be32_t *ip, unsigned *prefix_len)
{
	char buf[INET_ADDRSTRLEN + 4];
	struct in_addr in;
	char *slash, *end;
	unsigned long len = 32;

	if ((size_t)snprintf(buf, sizeof(buf), "%s", text) >= sizeof(buf))
		return -EINVAL;
	slash = strchr(buf, '/');
	if (slash != NULL) {
		*slash = '\0';
		len = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || len > 32)
			return -EINVAL;
	}
	if (inet_pton(AF_INET, buf, &in) != 1)
		return -EINVAL;
	ip->raw = in.s_addr;
	*prefix_len = (unsigned)len;
	return 0;
}

/* Attributes ipv4 and gateway. */
static int
configure_addrs(struct zf_ctx *ctx, const struct zf_attr *attr)
{
	const struct zf_log *log = &ctx->log;
	char one[64];
	const char *p = attr->ipv4;
	unsigned len;
	be32_t ip;
	int rc;

	if ((p == NULL || *p == '\0') && !(ctx->caps & PORT_LOOP)) {
		zf_err(log, LC_CPLANE,
		       "interface \"%s\": the stack has no address; set attribute ipv4=ADDRESS/PREFIX, for instance "
		       "ZF_ATTR=\"interface=%s;ipv4=10.0.0.1/24\"",
		       attr->interface, attr->interface);
		return -EINVAL;
	}
	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, ",");

		snprintf(one, sizeof(one), "%.*s", (int)ZF_MIN(n, sizeof(one) - 1), p);
		rc = parse_ipv4(one, &ip, &len);
		if (rc == 0)
			rc = netif_addr_add(ctx->netif, ctx->slot, ip, len, ctx->now);
		if (rc < 0) {
			zf_err(log, LC_CPLANE,
			       "attribute ipv4: \"%s\" %s; expected ADDRESS/PREFIX[,ADDRESS/PREFIX...] of hosts, as in "
			       "10.0.0.1/24",
			       one,
			       rc == -ENOSPC ? "is one address too many"
					     : "is not usable (syntax, not a host's address, or another stack on the "
					       "port has it with another prefix)");
			return -EINVAL;
		}
		p += n + (p[n] == ',');
	}
	if (attr->gateway == NULL)
		return 0;
	rc = parse_ipv4(attr->gateway, &ip, &len);
	if (rc == 0 && len == 32)
		rc = netif_gateway_set(ctx->netif, ip);
	if (rc < 0 || len != 32) {
		zf_err(log, LC_CPLANE,
		       "attribute gateway: \"%s\" is not an address on a subnet of ipv4=%s, or another stack on the port "
		       "has another gateway",
		       attr->gateway, attr->ipv4 != NULL ? attr->ipv4 : "");
		return -EINVAL;
	}
	return 0;
}

/* Buffers that sends always find: half of them for frames under way, half for what TCP may have to send again. */
static uint32_t
send_budget(const struct port_info *info, uint32_t n_bufs)
{
	return ZF_MIN(ZF_MAX(info->tx_ring, 64u), n_bufs / 4);
}

/* What received buffers may take: the receive ring and some sends always find theirs. */
static uint32_t
hold_budget(const struct port_info *info, uint32_t n_bufs)
{
	uint32_t ring = ZF_MIN(info->rx_ring, n_bufs / 2);
	uint32_t send = send_budget(info, n_bufs);

	/* What such a port has in its ring may be acknowledged long since, and is not free yet. */
	if (info->caps & PORT_TX_HOLDS)
		send += send / 2;
	return ZF_MAX(n_bufs - ZF_MIN(ring + send, n_bufs), 1u);
}

static void
take_events(struct zf_ctx *ctx)
{
	port_take_events(stack_of(ctx)->port);
}

static bool
port_exists(const char *name)
{
	return drivers_port_exists(name);
}

static void
init_ctx(struct zf_stack *st, const struct zf_attr *attr)
{
	struct zf_ctx *ctx = &st->ctx;

	ctx->attr = st->attr;
	ctx->counters = st->counters;
	ctx->wheel = &st->wheel;
	ctx->spin_count = (uint32_t)attr->reactor_spin_count;
	ctx->poll = stack_poll;
	ctx->take_events = take_events;
	ctx->zft_gone = alt_zft_gone;
	ctx->service_timer.kind = TIMER_SERVICE;
	st->w.kind = WAITABLE_STACK;
	stack_waitfd_init(st);
	rng_seed_random(&ctx->rng);
	ctx->secret[0] = rng_next64(&ctx->rng);
	ctx->secret[1] = rng_next64(&ctx->rng);
}

/* The stack is on its port: bring the rooms up. */
static int
start(struct zf_stack *st, const struct zf_attr *attr, uint32_t n_bufs)
{
	struct zf_ctx *ctx = &st->ctx;
	const struct port_info *info = &st->port->port->info;
	int rc;

	wheel_init(&st->wheel, ctx->now);
	mux_room_init(ctx);
	ctx->rx_hold_max = hold_budget(info, n_bufs);
	rc = configure_addrs(ctx, attr);
	if (rc < 0)
		return rc;
	ip_room_init(ctx, n_bufs);
	udp_room_init(ctx->udp, ctx);
	ctx->udp->queue_limit = ctx->rx_hold_max;
	ctx->udp->can_rx = attr->rx_ring_max > 0;
	ctx->udp->can_tx = attr->tx_ring_max > 0;
	tcp_room_init(ctx, send_budget(info, n_bufs) / 2, n_bufs / 2);
	if (st->alt != NULL)
		alt_room_init(st->alt, attr, st->port->alt_buf_bytes);
	ctx_enter(ctx);
	port_service(st->port);
	output_netif_run(ctx);
	output_flush(ctx);
	ctx_publish(ctx);
	ctx_leave(ctx);
	return 0;
}

static void
release(struct zf_stack *st)
{
	struct arena arena = st->arena;

	zf_attr_free(st->attr);
	log_fini(&st->ctx.log);
	arena_close(&arena);
}

static int
make(const struct zf_attr *attr, const struct ifres *id, uint32_t n_bufs, struct zf_stack **out)
{
	uint32_t stack_id = atomic_fetch_add(&stack_ids, 1);
	struct arena arena;
	struct zf_stack *st;
	int rc;

	arena_dry(&arena);
	(void)lay_out(&arena, attr, n_bufs);
	rc = arena_open(&arena, stack_id, NULL);
	if (rc < 0)
		return rc;
	st = lay_out(&arena, attr, n_bufs);
	st->arena = arena;
	st->ctx.stack_id = stack_id;
	(void)log_init(&st->ctx.log, attr->name, (uint64_t)attr->log_level, (uint32_t)attr->log_format,
		       attr->log_file);
	st->attr = zf_attr_dup(attr);
	if (st->attr == NULL) {
		release(st);
		return -ENOMEM;
	}
	init_ctx(st, attr);
	rc = port_join(&st->ctx, id, attr, n_bufs, &st->port);
	if (rc < 0) {
		release(st);
		return rc;
	}
	rc = start(st, attr, n_bufs);
	if (rc < 0) {
		port_leave(st->port);
		release(st);
		return rc;
	}
	((struct arena_head *)arena.base)->stack_id = stack_id;
	((struct arena_head *)arena.base)->state = 1;
	*out = st;
	return 0;
}

ZF_EXPORT int
zf_stack_alloc(struct zf_attr *attr, struct zf_stack **stack_out)
{
	uint32_t n_bufs;
	struct ifres id;
	int rc;

	if (!init_done()) {
		zf_err(NULL, LC_STACK, "zf_stack_alloc() before zf_init(): call zf_init() first");
		return -ENOENT;
	}
	rc = attr_check_stack(attr, NULL);
	if (rc < 0)
		return rc;
	rc = ifres_resolve(attr, port_exists, NULL, &id);
	if (rc < 0)
		return rc;
	if (attr->alt_count > (int)ALT_MAX) {
		zf_err(NULL, LC_STACK, "attribute alt_count=%d: a stack can have %u alternatives; ask for fewer",
		       (int)attr->alt_count, ALT_MAX);
		return -EBUSY;
	}
	n_bufs = attr->n_bufs > 0 ? (uint32_t)attr->n_bufs : default_bufs(attr);
	if (attr->n_bufs == 0)
		zf_info(NULL, LC_POOL, "n_bufs=0: the stack gets %u packet buffers", n_bufs);
	return make(attr, &id, n_bufs, stack_out);
}

ZF_EXPORT int
zf_stack_free(struct zf_stack *stack)
{
	struct zf_ctx *ctx = &stack->ctx;

	((struct arena_head *)stack->arena.base)->state = 2;
	ctx_enter(ctx);
	ctx->now = ctx_read_clock(ctx);
	if (ctx_has_events(ctx))
		ctx->take_events(ctx);
	ctx_leave(ctx);
	udp_room_fini(ctx);
	tcp_room_fini(ctx);
	ctx_enter(ctx);
	output_flush(ctx);
	ip_room_fini(ctx);
	ctx_leave(ctx);
	port_leave(stack->port);
	stack_waitfd_fini(stack);
	release(stack);
	return 0;
}

ZF_EXPORT int
zf_stack_is_quiescent(struct zf_stack *stack)
{
	struct zf_ctx *ctx = &stack->ctx;

	/* What cut-through put off is done first; a poll would do the same. */
	if (ctx->owed & CTX_OWED_TCP) {
		ctx_enter(ctx);
		ctx->now = ctx_read_clock(ctx);
		if (ctx_has_events(ctx))
			ctx->take_events(ctx);
		tcp_run_owed(ctx);
		tcp_run_pending(ctx);
		ctx_publish(ctx);
		ctx_leave(ctx);
	}
	return ctx->backlog_n == 0 && ctx->ip->n_gather == 0 && alt_is_quiet(ctx) && tcp_is_quiescent(ctx);
}

ZF_EXPORT struct zf_waitable *
zf_stack_to_waitable(struct zf_stack *stack)
{
	return &stack->w;
}

ZF_EXPORT int
zf_stack_query_feature(struct zf_stack *stack, enum zf_stack_feature feature)
{
	const struct zf_ctx *ctx = &stack->ctx;

	switch (feature) {
	case PIO: /* a port may lose its buffer in a reset */
		return (ctx->caps & PORT_PIO) != 0 && ctx->tx_copy != NULL;
	case CTPIO:
		return 0;
	default:
		return -ENOENT;
	}
}

#if defined(ZF_TEST) && ZF_TEST
void
stack_seed(struct zf_stack *st, uint64_t seed)
{
	rng_seed(&st->ctx.rng, seed);
	rng_seed(&st->ctx.netif->rng, seed ^ 0x6e6574); /* "net" */
	st->ctx.ip->ip_id = (uint16_t)seed;
	st->ctx.tcp->key.k[0] = rng_next64(&st->ctx.rng);
	st->ctx.tcp->key.k[1] = rng_next64(&st->ctx.rng);
}

struct zf_ctx *
stack_ctx(struct zf_stack *st)
{
	return &st->ctx;
}
#endif
