/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The test's side of drivers/mem: ports by name, frames pushed and popped, link state. See mem.h. Ports are made
 * before a stack opens them, so that they can be set up, and outlive it, so that they can be looked at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem_priv.h"

uint64_t mem_clock_ns = 1000000000u;

static struct mem_port *ports;

struct mem_frame *
mem_frame_new(const void *bytes, uint32_t len, uint64_t when_ns)
{
	struct mem_frame *f = malloc(sizeof(*f) + len);

	if (f == NULL)
		return NULL;
	f->next = NULL;
	f->when_ns = when_ns;
	f->len = len;
	if (len > 0)
		memcpy(f->bytes, bytes, len);
	return f;
}

void
mem_list_append(struct mem_list *l, struct mem_frame *f)
{
	f->next = NULL;
	if (l->tail != NULL)
		l->tail->next = f;
	else
		l->head = f;
	l->tail = f;
	l->n++;
}

struct mem_frame *
mem_list_shift(struct mem_list *l)
{
	struct mem_frame *f = l->head;

	if (f == NULL)
		return NULL;
	l->head = f->next;
	if (l->head == NULL)
		l->tail = NULL;
	l->n--;
	return f;
}

void
mem_list_clear(struct mem_list *l)
{
	while (l->head != NULL)
		free(mem_list_shift(l));
}

void
mem_fault(struct mem_port *p, const char *what)
{
	p->stats.faults++;
	if (p->on_fault != NULL)
		p->on_fault(p->on_fault_arg, what);
}

void
mem_event(struct mem_port *p, uint32_t events)
{
	if (p->open && p->host.event != NULL)
		p->host.event(p->host.opaque, events);
}

void
mem_publish_due(struct mem_queue *q)
{
	atomic_store_explicit(&q->rx_due, q->rx.head != NULL ? q->rx.head->when_ns : UINT64_MAX,
			      memory_order_release);
}

/* Insert by time; equal times keep the order of arrival. */
static void
insert(struct mem_list *l, struct mem_frame *f)
{
	struct mem_frame **pp = &l->head;

	if (l->tail == NULL || l->tail->when_ns <= f->when_ns) {
		mem_list_append(l, f);
		return;
	}
	while ((*pp)->when_ns <= f->when_ns)
		pp = &(*pp)->next;
	f->next = *pp;
	*pp = f;
	l->n++;
}

static bool
mc_passes(const struct mem_port *p, const uint8_t *b)
{
	if (!p->cfg.mc_filter || (b[0] & 1) == 0 || memcmp(b, "\xff\xff\xff\xff\xff\xff", 6) == 0)
		return true;
	return mem_mc_has(p, b);
}

void
mem_arrive(struct mem_port *p, uint16_t qid, struct mem_frame *f)
{
	struct mem_queue *q = &p->q[qid == 0 ? mem_filter_queue(p, f->bytes, f->len) : qid];
	uint32_t max = p->cfg.rx_max != 0 ? p->cfg.rx_max : p->cfg.mtu + 18u;
	uint64_t *lost = NULL;

	p->stats.rx_pushed++;
	if (p->link != PORT_LINK_UP || !p->started)
		lost = &p->stats.rx_lost_link;
	else if (f->len > max)
		lost = &p->stats.rx_lost_size;
	else if (f->len >= 6 && !mc_passes(p, f->bytes))
		lost = &p->stats.rx_lost_filter;
	else if (q->rx.n >= p->rx_ring && f->when_ns <= mem_clock_ns)
		lost = &p->stats.rx_lost_full;
	if (lost != NULL) {
		(*lost)++;
		free(f);
		return;
	}
	insert(&q->rx, f);
	mem_publish_due(q);
	if (f->when_ns > mem_clock_ns)
		mem_event(p, PORT_EV_SERVICE);
}

void
mem_depart(struct mem_port *p, const uint8_t *frame, uint32_t len)
{
	if (p->link != PORT_LINK_UP) {
		p->stats.tx_lost_link++;
		return;
	}
	if (p->peer == NULL || p->recording) {
		struct mem_frame *f = mem_frame_new(frame, len, mem_clock_ns);

		if (f == NULL || p->unread.n >= MEM_UNREAD_MAX) {
			p->stats.tx_lost_unread++;
			free(f);
		} else {
			mem_list_append(&p->unread, f);
		}
	}
	if (p->on_tx != NULL)
		p->on_tx(p->on_tx_arg, frame, len);
	if (p->peer != NULL)
		mem_link_send(p, frame, len);
}

/* Letters, digits, dot, dash and underscore, perhaps followed by /a or /b: *@base is the length without that. */
static bool
name_ok(const char *name, size_t *base)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	*base = n;
	if (n == 0 || n + 3 > MEM_NAME_MAX)
		return false;
	if (name[n] == '\0')
		return true;
	return strcmp(name + n, "/a") == 0 || strcmp(name + n, "/b") == 0;
}

static struct mem_port *
find(const char *name)
{
	for (struct mem_port *p = ports; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static struct mem_port *
make(const char *base, size_t base_len, char side)
{
	struct mem_port *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	memcpy(p->name, base, base_len);
	if (side != '\0') {
		p->name[base_len] = '/';
		p->name[base_len + 1] = side;
	}
	p->link = PORT_LINK_UP;
	for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++) {
		p->q[i].port = p;
		atomic_init(&p->q[i].rx_due, UINT64_MAX);
	}
	mem_cfg_default(p);
	rng_seed(&p->rng, 0);
	p->next = ports;
	ports = p;
	return p;
}

struct mem_port *
mem_port(const char *name)
{
	struct mem_port *a, *b;
	size_t base;

	if (name == NULL || !name_ok(name, &base))
		return NULL;
	a = find(name);
	if (a != NULL)
		return a;
	if (name[base] == '\0')
		return make(name, base, '\0');
	a = make(name, base, 'a');
	if (a == NULL)
		return NULL;
	b = make(name, base, 'b');
	if (b == NULL) {
		mem_forget(a);
		return NULL;
	}
	a->peer = b;
	b->peer = a;
	return name[base + 1] == 'a' ? a : b;
}

const char *
mem_name(const struct mem_port *p)
{
	return p->name;
}

static void
unlink_port(struct mem_port *p)
{
	for (struct mem_port **pp = &ports; *pp != NULL; pp = &(*pp)->next) {
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	}
	for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++)
		mem_list_clear(&p->q[i].rx);
	mem_list_clear(&p->unread);
	free(p);
}

int
mem_forget(struct mem_port *p)
{
	struct mem_port *peer = p->peer;

	if (p->open || (peer != NULL && peer->open))
		return -EBUSY;
	if (peer != NULL)
		unlink_port(peer);
	unlink_port(p);
	return 0;
}

struct mem_cfg *
mem_cfg(struct mem_port *p)
{
	return &p->cfg;
}

void
mem_cfg_default(struct mem_port *p)
{
	size_t n = strlen(p->name);

	p->cfg = (struct mem_cfg){
		.mac = {0x02, 0, 0, 0, 0, 0x01},
		.mtu = 1500,
		.queues_max = 1,
		.caps = MEM_CAPS_DEFAULT,
		.rx_ring_max = 32768,
		.tx_ring_max = 32768,
		.tells_room = true,
		.filters_max = MEM_FILTERS_MAX,
		.accept = MEM_ALL,
		.credit = MEM_ALL,
	};
	if (n > 2 && strcmp(p->name + n - 2, "/b") == 0)
		p->cfg.mac[5] = 0x02;
}

struct mem_link_cfg *
mem_link_cfg(struct mem_port *p)
{
	return &p->lk;
}

void
mem_link_seed(struct mem_port *p, uint64_t seed)
{
	p->lk.seed = seed;
	rng_seed(&p->rng, seed);
}

struct mem_stats *
mem_stats(struct mem_port *p)
{
	return &p->stats;
}

void
mem_on_tx(struct mem_port *p, void (*fn)(void *arg, const uint8_t *frame, uint32_t len), void *arg)
{
	p->on_tx = fn;
	p->on_tx_arg = arg;
}

void
mem_on_fault(struct mem_port *p, void (*fn)(void *arg, const char *what), void *arg)
{
	p->on_fault = fn;
	p->on_fault_arg = arg;
}

int
mem_push(struct mem_port *p, uint16_t qid, const void *frame, uint32_t len, uint64_t due_ns)
{
	struct mem_frame *f;

	if (len > MEM_FRAME_MAX || qid >= MEM_QUEUES_MAX || (p->open && qid >= p->n_queues))
		return -EINVAL;
	f = mem_frame_new(frame, len, ZF_MAX(due_ns, mem_clock_ns));
	if (f == NULL)
		return -ENOMEM;
	mem_arrive(p, qid, f);
	return 0;
}

int
mem_pop(struct mem_port *p, void *buf, uint32_t size, uint64_t *when_ns)
{
	struct mem_frame *f = mem_list_shift(&p->unread);
	uint32_t len;

	if (f == NULL)
		return -EAGAIN;
	len = f->len;
	if (ZF_MIN(len, size) > 0)
		memcpy(buf, f->bytes, ZF_MIN(len, size));
	if (when_ns != NULL)
		*when_ns = f->when_ns;
	free(f);
	return (int)len;
}

uint32_t
mem_flush(struct mem_port *p)
{
	uint32_t n = p->unread.n;

	mem_list_clear(&p->unread);
	return n;
}

void
mem_record(struct mem_port *p, bool on)
{
	p->recording = on;
}

uint32_t
mem_unread(const struct mem_port *p)
{
	return p->unread.n;
}

uint32_t
mem_rx_waiting(const struct mem_port *p)
{
	uint32_t n = 0;

	for (const struct mem_port *x = p != NULL ? p : ports; x != NULL; x = p != NULL ? NULL : x->next)
		for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++)
			n += x->q[i].rx.n;
	return n;
}

uint64_t
mem_next_due(const struct mem_port *p)
{
	uint64_t due = UINT64_MAX;

	for (const struct mem_port *x = p != NULL ? p : ports; x != NULL; x = p != NULL ? NULL : x->next)
		for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++)
			if (x->q[i].rx.head != NULL)
				due = ZF_MIN(due, x->q[i].rx.head->when_ns);
	return due;
}

uint32_t
mem_held(const struct mem_port *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++) {
		n += p->q[i].sent_n;
		for (uint32_t k = 0; k < p->q[i].n_alts; k++)
			n += p->q[i].alts[k].busy > 0 ? p->q[i].alts[k].busy : p->q[i].alts[k].n;
	}
	return n;
}

uint32_t
mem_release(struct mem_port *p, uint32_t n)
{
	uint32_t had = mem_held(p);

	for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++)
		mem_let_go(&p->q[i], n);
	for (uint32_t i = 0; i < MEM_QUEUES_MAX; i++)
		for (uint32_t k = 0; k < n && mem_alt_event(&p->q[i]); k++)
			;
	return had;
}

static void
set_link(struct mem_port *p, enum port_link link)
{
	if (p->link == link || p->link == PORT_LINK_GONE)
		return;
	p->link = link;
	mem_event(p, link == PORT_LINK_GONE ? PORT_EV_REMOVED | PORT_EV_LINK : PORT_EV_LINK);
}

void
mem_set_link(struct mem_port *p, enum port_link link)
{
	set_link(p, link);
	if (p->peer != NULL)
		set_link(p->peer, link == PORT_LINK_GONE ? PORT_LINK_DOWN : link);
}

void
mem_ask_reset(struct mem_port *p)
{
	p->reset_asked = true;
	mem_event(p, PORT_EV_RESET);
}

bool
mem_is_open(const struct mem_port *p)
{
	return p->open;
}

bool
mem_mc_has(const struct mem_port *p, const uint8_t mac[6])
{
	for (uint32_t i = 0; i < p->mc_n; i++)
		if (memcmp(p->mc[i], mac, 6) == 0)
			return true;
	return false;
}

uint32_t
mem_mc_count(const struct mem_port *p)
{
	return p->mc_n;
}
