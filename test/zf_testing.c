/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See zf_testing.h. Knows the stack by its test hooks (stack_next_timer(), stack_seed(), stack_ctx()) and the port by
 * drivers/mem/mem.h; knows no packet format.
 */
#include "zf_testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zf/zf.h>

#include "core/attr.h"
#include "core/ctx.h"
#include "mem/mem.h"
#include "softvi/softvi.h"
#include "stack/stack.h"
#include "udp/udp.h"
#include "zf_testing_priv.h"

#define RUN_MAX   100000 /* rounds at one moment before we say that there is no end */
#define QUIET_MAX 8      /* rounds with something to report but nothing moved: an event nobody takes is none */

struct zt {
	struct zt *next;
	struct zf_stack *stack;
	struct mem_port *port;
	struct softvi *soft;  /* the adapter in front of it, or NULL */
	struct zf_pool *pool; /* the stack's handle */
	bool own_port;
};

static struct zt *open_stacks;
static unsigned int port_serial;

struct mem_port *
zt_next_port(void)
{
	char name[MEM_NAME_MAX];

	snprintf(name, sizeof(name), "zt%u", port_serial);
	return mem_port(name);
}

/* The port's name in attribute interface, behind "mem:" or "softvi:"; NULL: neither. */
static const char *
port_name(const char *interface)
{
	if (interface != NULL && strncmp(interface, "mem:", 4) == 0)
		return interface + 4;
	return interface != NULL && strncmp(interface, "softvi:", 7) == 0 ? interface + 7 : NULL;
}

static int
make_attr(const char *attrs, struct zf_attr **out, bool *own_port)
{
	struct zf_attr *a;
	char own[MEM_NAME_MAX + 4];
	int rc = zf_attr_alloc(&a);

	if (rc < 0)
		return rc;
	snprintf(own, sizeof(own), "mem:zt%u", port_serial);
	rc = zf_attr_set_str(a, "interface", own);
	if (rc == 0 && attrs != NULL)
		rc = attr_apply_text(a, attrs, NULL);
	if (rc == 0 && port_name(a->interface) == NULL)
		rc = -EINVAL;
	if (rc < 0) {
		zf_attr_free(a);
		return rc;
	}
	*own_port = strcmp(port_name(a->interface), own + 4) == 0;
	*out = a;
	return 0;
}

int
zt_open(struct zt **out, const char *attrs)
{
	static bool inited;
	struct zf_attr *a;
	struct zt *t;
	int rc;

	if (!inited) {
		rc = zf_init();
		if (rc < 0)
			return rc;
		inited = true;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	rc = make_attr(attrs, &a, &t->own_port);
	if (rc < 0) {
		free(t);
		return rc;
	}
	t->port = mem_port(port_name(a->interface));
	if (a->interface[0] == 's')
		t->soft = softvi_adapter(port_name(a->interface));
	rc = t->port == NULL ? -EINVAL : zf_stack_alloc(a, &t->stack);
	zf_attr_free(a);
	if (rc < 0) {
		free(t);
		return rc;
	}
	if (t->own_port)
		port_serial++;
	t->pool = stack_ctx(t->stack)->pool;
	t->next = open_stacks;
	open_stacks = t;
	*out = t;
	return 0;
}

/* Timers that belong to zockets and for which something is due. */
static uint32_t
zocket_timers(const struct wheel *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; w != NULL && i < ZF_ARRAY_SIZE(w->heads); i++) {
		const struct wheel_link *head = &w->heads[i];
		const struct wheel_link *l = (const void *)((const char *)w + (int64_t)head->next * 8);

		for (; l != head; l = (const void *)((const char *)w + (int64_t)l->next * 8))
			n += zt_tcp_timer_is_owed(zf_container_of(l, const struct wheel_timer, link));
	}
	return n;
}

bool
zt_leaks(struct zt *t, struct zt_leaks *leaks)
{
	struct zf_ctx *ctx = stack_ctx(t->stack);
	struct zt_leaks l = {0};

	mem_release(t->port, UINT32_MAX);
	l.bufs = t->pool->n_bufs - pool_free_count(t->pool);
	if (t->soft != NULL)
		l.bufs -= softvi_rx_posted(t->soft);
	l.rx_held = ctx->rx_held;
	l.timers = zocket_timers(ctx->wheel);
	l.zockets = ctx->udp->open_zfur + ctx->udp->open_zfut;
	l.other = ctx->backlog_n;
	zt_tcp_leaks(ctx, &l);
	if (leaks != NULL)
		*leaks = l;
	return (l.bufs | l.rx_held | l.timers | l.zockets | l.other) != 0;
}

int
zt_close(struct zt *t, struct zt_leaks *leaks)
{
	struct zt_leaks l = {0};
	bool leaked = zt_leaks(t, &l);
	struct zf_pool *pool = t->pool->of;
	uint32_t away;

	pool_hold(pool);
	zf_stack_free(t->stack);
	away = pool->n_bufs - pool_free_count(pool);
	if (away > 0 && !mem_is_open(t->port)) { /* a port that others still use may hold some */
		l.bufs = away;
		leaked = true;
	}
	pool_drop(pool);
	for (struct zt **pp = &open_stacks; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == t) {
			*pp = t->next;
			break;
		}
	}
	if (t->own_port && t->soft != NULL && softvi_forget(t->soft) < 0)
		leaked = true;
	if (t->own_port)
		mem_forget(t->port);
	free(t);
	if (leaks != NULL)
		*leaks = l;
	return leaked ? -ENOTEMPTY : 0;
}

struct zf_stack *
zt_stack(struct zt *t)
{
	return t->stack;
}

struct zf_ctx *
zt_ctx(struct zt *t)
{
	return stack_ctx(t->stack);
}

struct mem_port *
zt_port(struct zt *t)
{
	return t->port;
}

int
zt_push(struct zt *t, const void *frame, size_t len, bool run)
{
	int rc = len > MEM_FRAME_MAX ? -EINVAL : mem_push(t->port, 0, frame, (uint32_t)len, 0);

	if (rc < 0 || !run)
		return rc;
	rc = zt_run();
	return rc < 0 ? rc : 0;
}

int
zt_pop(struct zt *t, void *buf, size_t size, uint64_t *when_ns)
{
	return mem_pop(t->port, buf, (uint32_t)ZF_MIN(size, (size_t)MEM_FRAME_MAX), when_ns);
}

static uint64_t
frames_moved(void)
{
	uint64_t n = 0;

	for (const struct zt *t = open_stacks; t != NULL; t = t->next) {
		const struct mem_stats *st = mem_stats(t->port);

		n += st->rx_delivered + st->rx_lost_nombuf + st->tx_frames;
	}
	return n;
}

int
zt_run(void)
{
	int reports = 0, quiet = 0;

	for (int round = 0; round < RUN_MAX; round++) {
		uint64_t moved = frames_moved();
		bool work = false;

		for (struct zt *t = open_stacks; t != NULL; t = t->next) {
			if (zf_reactor_perform(t->stack) > 0) {
				work = true;
				reports++;
			}
		}
		quiet = frames_moved() != moved ? 0 : quiet + 1;
		if (quiet > 0 && (!work || quiet >= QUIET_MAX))
			return reports;
	}
	return -ELOOP;
}

uint64_t
zt_clock(void)
{
	return mem_clock_ns;
}

int
zt_set_clock(uint64_t ns)
{
	if (ns < mem_clock_ns)
		return -EINVAL;
	mem_clock_ns = ns;
	return 0;
}

uint64_t
zt_next_event(struct zt *t)
{
	uint64_t next = mem_next_due(t != NULL ? t->port : NULL);

	for (struct zt *x = t != NULL ? t : open_stacks; x != NULL; x = t != NULL ? NULL : x->next)
		next = ZF_MIN(next, stack_next_timer(x->stack));
	return next;
}

int
zt_advance(uint64_t ns)
{
	uint64_t target = mem_clock_ns + ns;
	int rc, sum = 0, stuck = 0;

	for (;;) {
		uint64_t next = zt_next_event(NULL);

		if (next > target)
			break;
		if (next > mem_clock_ns) {
			mem_clock_ns = next;
			stuck = 0;
		} else if (++stuck > RUN_MAX) {
			return -ELOOP;
		} else if (stuck > 1 && mem_clock_ns < target) {
			mem_clock_ns++; /* due already and not done: a timer waits for its tick */
		} else if (stuck > 1) {
			break;
		}
		rc = zt_run();
		if (rc < 0)
			return rc;
		sum += rc;
	}
	mem_clock_ns = target;
	rc = zt_run();
	return rc < 0 ? rc : sum + rc;
}

void
zt_seed(struct zt *t, uint64_t seed)
{
	stack_seed(t->stack, seed);
}

static const char *const counter_names[] = {
#define COUNTER(id, text) #id,
#include "core/counter.def"
#undef COUNTER
};

const char *
zt_counter_name(unsigned int index, bool *rx)
{
	if (index >= CNT__N)
		return NULL;
	if (rx != NULL)
		*rx = strncmp(counter_names[index], "RX_", 3) == 0;
	return counter_names[index];
}

uint64_t
zt_counter_at(struct zt *t, unsigned int index)
{
	return index < CNT__N ? stack_ctx(t->stack)->counters[index] : 0;
}

int
zt_counter(struct zt *t, const char *name, uint64_t *value)
{
	for (unsigned int i = 0; i < CNT__N; i++) {
		if (strcasecmp(name, counter_names[i]) == 0) {
			*value = zt_counter_at(t, i);
			return 0;
		}
	}
	return -ENOENT;
}
