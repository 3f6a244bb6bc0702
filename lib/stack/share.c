/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Several stacks on one queue. Whoever polls takes a trylock, receives a burst from the driver into the queue's own
 * buffers, and gives each frame to the stacks that want it: its own as a copy in a buffer of its own, another stack's
 * as bytes in that stack's inbox, a bounded ring that only its thread reads. So an mbuf never crosses from one stack to
 * another, and a stack whose thread sleeps loses frames only when its inbox is full, which is counted.
 *
 * A queue that one stack has to itself pays nothing for this but two plain stores a call (ctx->busy). To change over
 * while that stack runs, the newcomer sets CTX_EV_SHARE, makes every running thread pass a barrier by membarrier(2),
 * and waits until the stack is not inside a call: from then on its next call sees the event first.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ip/output.h"
#include "stack/port.h"

#define SHARE_BURST 32
#define SHARE_SLOTS 256u /* frames an inbox holds */

struct share_slot {
	uint32_t len;
	uint32_t ol_flags; /* RTE_MBUF_F_RX_*CKSUM*, which are the low bits */
	uint8_t data[];
};

/* Written by whoever holds the share's rx lock, read by one stack's thread. */
struct share_inbox {
	_Atomic uint32_t head ZF_CACHE_ALIGNED; /* next to write */
	_Atomic uint32_t tail ZF_CACHE_ALIGNED; /* next to read */
	uint32_t slot_bytes ZF_CACHE_ALIGNED;
	uint32_t room; /* bytes of data in a slot */
	char *slots;
	struct port_member *pm;
};

struct share {
	struct zf_port *port;
	struct port_queue q;
	atomic_flag rx_busy;
	atomic_flag tx_busy;
	/* By slot of the netif they are on; changed under rx_busy. */
	struct port_member *members[NETIF_MEMBERS];
};

static bool membarrier_ready;

int
share_init(const struct zf_log *log)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0) {
		membarrier_ready = true;
		return 0;
	}
	zf_info(log, LC_STACK, "membarrier(2) is not there: a port takes one stack only");
	return -ENOSYS;
}

static void
spin_lock(atomic_flag *f)
{
	while (atomic_flag_test_and_set_explicit(f, memory_order_acquire))
		zf_cpu_relax();
}

static bool
spin_trylock(atomic_flag *f)
{
	return !atomic_flag_test_and_set_explicit(f, memory_order_acquire);
}

static void
spin_unlock(atomic_flag *f)
{
	atomic_flag_clear_explicit(f, memory_order_release);
}

static struct share_slot *
slot_at(const struct share_inbox *in, uint32_t i)
{
	return (struct share_slot *)(in->slots + (size_t)(i & (SHARE_SLOTS - 1)) * in->slot_bytes);
}

static uint32_t
cksum_flags(const struct rte_mbuf *m)
{
	return (uint32_t)(m->ol_flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK));
}

static void
copy_flat(uint8_t *to, const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, const void *), m->data_len);
		to += m->data_len;
	}
}

static bool
inbox_put(struct share_inbox *in, const struct rte_mbuf *m)
{
	uint32_t head = atomic_load_explicit(&in->head, memory_order_relaxed);
	struct share_slot *s = slot_at(in, head);

	if (head - atomic_load_explicit(&in->tail, memory_order_acquire) == SHARE_SLOTS ||
	    m->pkt_len > in->room)
		return false;
	s->len = m->pkt_len;
	s->ol_flags = cksum_flags(m);
	copy_flat(s->data, m);
	atomic_store_explicit(&in->head, head + 1, memory_order_release);
	return true;
}

static uint16_t
inbox_get(struct share_inbox *in, struct rte_mbuf **pkts, uint16_t n)
{
	struct zf_ctx *ctx = in->pm->ctx;
	uint32_t tail = atomic_load_explicit(&in->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&in->head, memory_order_acquire);
	uint16_t got = 0;

	while (got < n && tail != head) {
		const struct share_slot *s = slot_at(in, tail);
		struct rte_mbuf *m = pkt_take(ctx->pool);

		if (m == NULL)
			break; /* it waits where it is */
		pkt_reset(m, s->len);
		m->ol_flags = s->ol_flags;
		memcpy(rte_pktmbuf_mtod(m, void *), s->data, s->len);
		pkts[got++] = m;
		tail++;
		atomic_store_explicit(&in->tail, tail, memory_order_release);
	}
	return got;
}

/* Members whose interface carries this frame's VLAN, as a mask; @net is that interface. */
static uint64_t
members_on(const struct share *sh, const uint8_t *frame, uint32_t len, struct netif **net)
{
	uint16_t tag = 0;
	uint64_t mask = 0;

	*net = NULL;
	if (len >= 18 && frame[12] == 0x81 && frame[13] == 0x00)
		tag = (uint16_t)((frame[14] << 8 | frame[15]) & VLAN_ID_MASK);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (sh->members[i] != NULL && sh->members[i]->netif->vlan == tag) {
			mask |= 1ull << i;
			*net = sh->members[i]->netif;
		}
	return mask;
}

/* Index in members[] of each of the netif's slots in @slots. */
static uint64_t
members_of_slots(const struct share *sh, const struct netif *net, uint64_t slots)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (sh->members[i] != NULL && sh->members[i]->netif == net &&
		    (slots >> sh->members[i]->ctx->slot & 1))
			mask |= 1ull << i;
	return mask;
}

/* Those whose address a packet was sent to; @on, all on the interface, where it is to many. */
static uint64_t
owners(const struct share *sh, struct netif *net, const struct seg *s, uint64_t on)
{
	return s->cast == CAST_UNICAST ? members_of_slots(sh, net, netif_addr_owners(net, s->dst)) : on;
}

/* One of @mask: @self if it is among them. */
static uint64_t
pick(uint64_t mask, uint64_t self)
{
	return mask & self ? self : mask & -mask;
}

/* Who gets this frame: a mask over members[]; 0 counts as the poller's own, which then drops it by its rules. */
static uint64_t
wanted_by(const struct share *sh, const uint8_t *frame, uint32_t len, uint64_t self)
{
	struct parse_env env;
	struct netif *net;
	uint64_t on = members_on(sh, frame, len, &net), who;
	struct seg s;
	int kind;

	if (net == NULL)
		return self;
	netif_parse_env(net, NETIF_ALL_SLOTS, &env);
	env.trust_csum = true; /* each owner verifies for itself */
	kind = parse_frame(frame, len, CSUM_IP_GOOD | CSUM_L4_GOOD, &env, &s);
	switch (kind) {
	case PARSE_TCP: /* a connection's own stack, else the listener's; passive ones are in the listener's */
	case PARSE_UDP:
		who = members_of_slots(sh, net,
				       netif_bind_owners(net, s.proto, s.dst, s.dport, s.src, s.sport,
							 s.cast != CAST_UNICAST));
		/* Nobody's: the owner of the address answers. */
		return who != 0 ? who : pick(owners(sh, net, &s, on), self);
	case PARSE_NO_PROTO:
		return pick(owners(sh, net, &s, on), self);
	case PARSE_FRAG:
		/* Only the first one has ports: all who have the address put it together. But an echo request is answered
		 * once, by the same stack whoever polls.
		 */
		who = owners(sh, net, &s, on);
		return s.proto == IP_PROTO_ICMP ? pick(who, 0) : who;
	case PARSE_ICMP:
		/* Errors go to all who have the address, since each knows its own zockets; the rest to one. */
		who = owners(sh, net, &s, on);
		return s.pay_len > 0 && frame[s.l4_off] == ICMP_MSG_ECHO ? pick(who, self) : who;
	case PARSE_ARP:
	case PARSE_IGMP:
		return pick(on, self); /* the tables are the interface's: one stack is enough */
	default:
		return pick(on, self);
	}
}

static struct rte_mbuf *
own_copy(struct zf_ctx *ctx, const struct rte_mbuf *raw)
{
	struct rte_mbuf *m = pkt_take(ctx->pool);

	if (m == NULL)
		return NULL;
	/* Asked of an empty buffer: lengths of an mbuf are 16 bits wide. */
	pkt_reset(m, 0);
	if (raw->pkt_len > rte_pktmbuf_tailroom(m)) {
		pkt_put(ctx->pool, m);
		return NULL;
	}
	pkt_reset(m, raw->pkt_len);
	copy_flat(rte_pktmbuf_mtod(m, uint8_t *), raw);
	m->ol_flags = cksum_flags(raw);
	return m;
}

static uint16_t
poll_driver(struct share *sh, struct port_member *self, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *raw[SHARE_BURST];
	uint16_t want = (uint16_t)ZF_MIN((uint32_t)n, (uint32_t)SHARE_BURST);
	uint16_t k = sh->q.rx(sh->q.rxq, raw, want), got = 0;
	uint64_t self_bit = 0;

	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (sh->members[i] == self)
			self_bit = 1ull << i;
	for (uint16_t i = 0; i < k; i++) {
		uint64_t who;

		pool_unpoison(raw[i]);
		/* Headers must lie in one piece to be read here. */
		who = rte_pktmbuf_data_len(raw[i]) == raw[i]->pkt_len || rte_pktmbuf_linearize(raw[i]) == 0
			      ? wanted_by(sh, rte_pktmbuf_mtod(raw[i], const uint8_t *), raw[i]->pkt_len, self_bit)
			      : self_bit;
		if (who & self_bit || who == 0) {
			struct rte_mbuf *m = own_copy(self->ctx, raw[i]);

			if (m != NULL)
				pkts[got++] = m;
			else
				ctx_count(self->ctx, CNT_RX_DROP_NOMEM);
		}
		for (uint64_t rest = who & ~self_bit; rest != 0; rest &= rest - 1) {
			struct port_member *other = sh->members[__builtin_ctzll(rest)];
			bool ok = inbox_put(other->inbox, raw[i]);

			stack_wake(other->ctx);
			ctx_count(self->ctx, ok ? CNT_RX_OTHER_STACK : CNT_RX_DROP_INBOX);
		}
		pkt_put_slow(raw[i]);
	}
	return got;
}

/* The common queue, of which each polls a part of the time. */
static uint16_t
rx_common(struct port_member *pm, struct rte_mbuf **pkts, uint16_t n)
{
	struct share *sh = pm->port->share;
	uint16_t got = inbox_get(pm->inbox, pkts, n);

	if (got < n && spin_trylock(&sh->rx_busy)) {
		/* What others put in meanwhile is older than what the driver has now. */
		got = (uint16_t)(got + inbox_get(pm->inbox, pkts + got, (uint16_t)(n - got)));
		if (got < n)
			got = (uint16_t)(got + poll_driver(sh, pm, pkts + got, (uint16_t)(n - got)));
		spin_unlock(&sh->rx_busy);
	}
	return got;
}

static uint16_t
share_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rx_common(queue, pkts, n);
}

/* Its own queue first, where its filters lead. */
static uint16_t
own_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_member *pm = queue;
	uint16_t got = pm->own_q.rx(pm->own_q.rxq, pkts, n);

	return got < n ? (uint16_t)(got + rx_common(pm, pkts + got, (uint16_t)(n - got))) : got;
}

static uint16_t
share_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_member *pm = queue;
	struct share *sh = pm->port->share;
	uint16_t sent;

	spin_lock(&sh->tx_busy);
	sent = sh->q.tx(sh->q.txq, pkts, n);
	spin_unlock(&sh->tx_busy);
	return sent;
}

bool
share_has_frames(const struct port_member *pm)
{
	const struct share_inbox *in = pm->inbox;

	return atomic_load_explicit(&in->head, memory_order_acquire) !=
	       atomic_load_explicit(&in->tail, memory_order_relaxed);
}

static bool
share_peek(const void *queue)
{
	const struct port_member *pm = queue;
	const struct share *sh = pm->port->share;

	return share_has_frames(pm) || sh->q.peek == NULL || sh->q.peek(sh->q.rxq);
}

static bool
own_peek(const void *queue)
{
	const struct port_member *pm = queue;

	return pm->own_q.peek == NULL || pm->own_q.peek(pm->own_q.rxq) || share_peek(queue);
}

/* Receiving needs the common queue too, sending does not. */
static void
attach_own(struct port_member *pm)
{
	struct port_queue q;

	memset(&pm->own_q, 0, sizeof(pm->own_q));
	pm->port->drv->queue_get(pm->port->priv, pm->own, &pm->own_q);
	q = pm->own_q;
	q.rx = own_rx;
	q.rxq = pm;
	q.peek = own_peek;
	ctx_set_queue(pm->ctx, &q);
}

void
share_attach(struct port_member *pm)
{
	struct zf_ctx *ctx = pm->ctx;
	const struct port_queue q = {.rx = share_rx, .tx = share_tx, .rxq = pm, .txq = pm, .peek = share_peek};

	if (pm->own != 0) {
		/* Not while the port is taken down. */
		atomic_store_explicit(&pm->parked, 1, memory_order_release);
		pthread_mutex_lock(&pm->port->hold_lock);
		attach_own(pm);
		pthread_mutex_unlock(&pm->port->hold_lock);
		atomic_store_explicit(&pm->parked, 0, memory_order_release);
	} else {
		ctx_set_queue(ctx, &q);
	}
	/* Headers were made for tx_copy's limits: have every zocket look again. */
	if (ctx->ip != NULL)
		netif_touch(ctx->netif);
}

int
share_join(struct zf_port *p, struct port_member *pm)
{
	struct share *sh = p->share;
	struct share_inbox *in = aligned_alloc(ZF_CACHE_LINE, sizeof(*in));

	if (in == NULL)
		return -ENOMEM;
	memset(in, 0, sizeof(*in));
	in->room = p->info.mtu + 22u;
	in->slot_bytes = (uint32_t)zf_align_up(sizeof(struct share_slot) + in->room, ZF_CACHE_LINE);
	in->slots = calloc(SHARE_SLOTS, in->slot_bytes);
	in->pm = pm;
	if (in->slots == NULL) {
		free(in);
		return -ENOMEM;
	}
	pm->inbox = in;
	spin_lock(&sh->rx_busy);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (sh->members[i] == NULL) {
			sh->members[i] = pm;
			break;
		}
	spin_unlock(&sh->rx_busy);
	return 0;
}

void
share_leave(struct zf_port *p, struct port_member *pm)
{
	struct share *sh = p->share;

	spin_lock(&sh->rx_busy);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (sh->members[i] == pm)
			sh->members[i] = NULL;
	spin_unlock(&sh->rx_busy);
	if (pm->inbox != NULL)
		free(pm->inbox->slots);
	free(pm->inbox);
	pm->inbox = NULL;
}

void
share_stop(struct zf_port *p)
{
	free(p->share);
	p->share = NULL;
}

void
share_hold(struct zf_port *p)
{
	spin_lock(&p->share->rx_busy);
	spin_lock(&p->share->tx_busy);
}

void
share_go_on(struct zf_port *p)
{
	p->drv->queue_get(p->priv, 0, &p->share->q);
	spin_unlock(&p->share->tx_busy);
	spin_unlock(&p->share->rx_busy);
}

/* From now on the member does not touch a queue before it has seen the event. */
static void
divert(struct port_member *pm)
{
	struct zf_ctx *ctx = pm->ctx;

	atomic_fetch_or(&ctx->events, CTX_EV_SHARE);
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	while (atomic_load_explicit(&ctx->busy, memory_order_acquire) != 0 &&
	       atomic_load_explicit(&pm->parked, memory_order_acquire) == 0)
		(void)sched_yield();
}

void
share_park(struct zf_port *p, const struct port_member *self)
{
	pthread_mutex_lock(&p->hold_lock);
	for (uint32_t i = 0; i < NETIF_MEMBERS; i++)
		if (p->share->members[i] != NULL && p->share->members[i] != self && p->share->members[i]->own != 0)
			divert(p->share->members[i]);
}

void
share_unpark(struct zf_port *p)
{
	pthread_mutex_unlock(&p->hold_lock);
}

int
share_start(struct zf_port *p)
{
	struct port_member *first = NULL;
	struct share *sh;
	int rc;

	if (!membarrier_ready) {
		zf_err(&p->log, LC_STACK,
		       "port %s has one queue and a stack already, and this kernel cannot let two share it "
		       "(membarrier is missing): use another port, or one stack",
		       p->id.name);
		return -EBUSY;
	}
	for (uint32_t i = 0; i < NETIF_MEMBERS && first == NULL; i++)
		if (p->members[i] != NULL && p->members[i]->ctx->rx != NULL)
			first = p->members[i];
	if (zf_bug(first == NULL))
		return -EBUSY;
	if (first->alt_buf_bytes != 0) {
		zf_err(&p->log, LC_STACK,
		       "port %s has one queue, and the stack on it has alternatives in the adapter (alt_count): use another "
		       "port for the second stack",
		       p->id.name);
		return -EBUSY;
	}
	sh = calloc(1, sizeof(*sh));
	if (sh == NULL)
		return -ENOMEM;
	sh->port = p;
	atomic_flag_clear(&sh->rx_busy);
	atomic_flag_clear(&sh->tx_busy);
	p->drv->queue_get(p->priv, 0, &sh->q);
	p->share = sh;
	rc = share_join(p, first);
	if (rc < 0) {
		share_stop(p);
		return rc;
	}
	divert(first);
	/* The first one is a member like the others by now, and may be in the driver with the cache. */
	share_hold(p);
	pool_unshare(p->pool);
	share_go_on(p);
	zf_info(&p->log, LC_STACK, "port %s: its one queue is shared by several stacks from now on", p->id.name);
	return 0;
}
