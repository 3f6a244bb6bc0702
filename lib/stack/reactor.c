/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The whole story of a poll, on one page. Start reading here.
 *
 *   zf_reactor_perform   look at the port, up to reactor_spin_count times
 *     input_burst        parse each frame and hand it to whom it is for; upcalls are return values
 *     slow_work          owed TCP work, timers that are due, events from other threads, changed addresses, sends to retry
 *     output_flush       what the stack itself owes (ARP, ICMP, IGMP) leaves in one burst
 *
 * Input computes, output sends; only this file knows them all.
 */
#include "core/attr.h"
#include "ip/frag.h"
#include "ip/icmp.h"
#include "stack/alt.h"
#include "stack/stack.h"
#include "tcp/fast.h"
#include "tcp/sendq.h"
#include "udp/udp_fast.h"

/* Checksum verdict of the port, from mbuf flags to the parser's. */
static inline uint32_t
csum_verdict(uint64_t ol_flags)
{
	uint32_t v = 0;

	if ((ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		v |= CSUM_IP_GOOD;
	if ((ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		v |= CSUM_L4_GOOD;
	return v;
}

static ZF_ALWAYS_INLINE bool
csums_are_good(uint64_t ol_flags)
{
	return (ol_flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK)) ==
	       (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
}

static void
input_arp(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	static const enum counter ends[] = {
		[NEIGH_IN_HANDLED] = CNT_RX_ARP,
		[NEIGH_IN_OTHER] = CNT_RX_DROP_ARP_OTHER,
		[NEIGH_IN_OWN] = CNT_RX_DROP_OWN,
		[NEIGH_IN_BAD] = CNT_RX_DROP_ARP_BAD,
	};
	struct neigh_result r;
	struct rte_mbuf *reply;
	void *l3;

	netif_arp_input(ctx->netif, rte_pktmbuf_mtod_offset(m, const struct hdr_arp *, s->pay_off), ctx->now, &r);
	ctx_count(ctx, ends[r.verdict]);
	if (r.conflict)
		ctx_count(ctx, CNT_ARP_CONFLICT);
	pkt_put(ctx->pool, m);
	if (r.send) {
		reply = output_frame(ctx, &r.dst, ETH_TYPE_ARP, sizeof(r.arp), &l3);
		if (reply != NULL) {
			memcpy(l3, &r.arp, sizeof(r.arp));
			output_gather(ctx, reply);
		}
	}
	output_netif_run(ctx); /* timers of the table may have moved */
}

static void
input_icmp(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	struct icmp_quote q;
	bool found = false;

	if (icmp_input(ctx, m, s, &q) == ICMP_TAKEN)
		return;
	if (!output_limit_take(ctx, &ctx->ip->icmp_heard)) {
		ctx_count(ctx, CNT_RX_DROP_ICMP_LIMIT);
		pkt_put(ctx->pool, m);
		return;
	}
	if (q.proto == IP_PROTO_UDP)
		found = udp_icmp_error(ctx, q.src, q.sport, q.dst, q.dport, q.type, q.code);
	else if (q.proto == IP_PROTO_TCP)
		found = tcp_icmp_error(ctx, &q);
	/* Only who we really talk to may lower a path MTU (RFC 5927). */
	if (found && q.mtu != 0 && netif_pmtu_lower(ctx->netif, q.dst, q.mtu, ctx->now)) {
		ctx_count(ctx, CNT_PMTU_LOWERED);
		output_netif_run(ctx);
		ip_room_refresh(ctx); /* what was too long goes again at the end of this poll, shorter */
	}
	ctx_count(ctx, found ? CNT_RX_ICMP_ERROR : CNT_RX_DROP_ICMP_OTHER);
	pkt_put(ctx->pool, m);
}

static void
input_igmp(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	static const enum counter ends[] = {
		[IGMP_IN_HANDLED] = CNT_RX_IGMP,
		[IGMP_IN_OTHER] = CNT_RX_DROP_IGMP_OTHER,
		[IGMP_IN_BAD] = CNT_RX_DROP_IGMP_BAD,
	};
	const void *p = rte_pktmbuf_mtod_offset(m, const void *, s->pay_off);

	ctx_count(ctx, ends[netif_igmp_input(ctx->netif, s, p, ctx->now)]);
	pkt_put(ctx->pool, m);
	output_netif_run(ctx);
}

/* A datagram that its last fragment completed. */
static void
input_whole(struct zf_ctx *ctx, struct rte_mbuf *m, struct seg *s, const struct eth_addr *from)
{
	const struct hdr_udp *udp;
	int kind;

	if (s->proto == IP_PROTO_ICMP) {
		icmp_echo_chain(ctx, m, s, from);
		return;
	}
	if (s->proto != IP_PROTO_UDP) {
		/* TCP in fragments is not put together: no sane peer sends it, since segments fit the path. */
		ctx_count(ctx, s->proto == IP_PROTO_TCP ? CNT_RX_DROP_TCP_BAD : CNT_RX_DROP_IP_PROTO);
		pkt_put(ctx->pool, m);
		return;
	}
	udp = rte_pktmbuf_mtod(m, const struct hdr_udp *);
	if (m->data_len < sizeof(*udp)) {
		ctx_count(ctx, CNT_RX_DROP_UDP_BAD);
		pkt_put(ctx->pool, m);
		return;
	}
	kind = parse_reassembled_udp(udp, s->pay_len, frag_sum(m), &ctx->ip->env, s);
	if (kind != PARSE_UDP) {
		ctx_count(ctx, PARSE_COUNTER(kind));
		pkt_put(ctx->pool, m);
		return;
	}
	m->data_off = (uint16_t)(m->data_off + sizeof(*udp));
	m->data_len = (uint16_t)(m->data_len - sizeof(*udp));
	m->pkt_len -= (uint32_t)sizeof(*udp);
	udp_input(ctx, m, s);
}

static ZF_NOINLINE void
input_other(struct zf_ctx *ctx, struct rte_mbuf *m, int kind, struct seg *s)
{
	struct eth_addr from;

	switch (kind) {
	case PARSE_ARP:
		input_arp(ctx, m, s);
		return;
	case PARSE_ICMP:
		input_icmp(ctx, m, s);
		return;
	case PARSE_IGMP:
		input_igmp(ctx, m, s);
		return;
	case PARSE_FRAG:
		m = frag_input(ctx, m, s, &from);
		if (m != NULL)
			input_whole(ctx, m, s, &from);
		return;
	case PARSE_NO_PROTO:
		icmp_send_error(ctx, m, s, ICMP_MSG_UNREACH, ICMP_UNREACH_CODE_PROTO);
		ctx_count(ctx, CNT_RX_DROP_IP_PROTO);
		break;
	case PARSE_TCP:
		tcp_input(ctx, m, s);
		return;
	default:
		ctx_count(ctx, PARSE_COUNTER(kind));
		break;
	}
	pkt_put(ctx->pool, m);
}

/* A frame in several buffers becomes one piece: parsing and zero copy both want that. NULL: dropped and counted. */
static ZF_NOINLINE struct rte_mbuf *
flatten(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	struct rte_mbuf *flat;
	uint32_t off = 0;

	flat = pkt_take(ctx->pool);
	if (flat != NULL) {
		pkt_reset(flat, 0);
		if (m->pkt_len > rte_pktmbuf_tailroom(flat)) {
			pkt_put(ctx->pool, flat);
			flat = NULL;
		}
	}
	if (flat != NULL) {
		pkt_reset(flat, m->pkt_len);
		flat->ol_flags = m->ol_flags;
		for (const struct rte_mbuf *p = m; p != NULL; p = p->next) {
			memcpy(rte_pktmbuf_mtod_offset(flat, void *, off), rte_pktmbuf_mtod(p, const void *),
			       p->data_len);
			off += p->data_len;
		}
	} else {
		ctx_count(ctx, CNT_RX_DROP_SEGMENTED);
	}
	pkt_put(ctx->pool, m);
	return flat;
}

/* Any frame. */
static ZF_NOINLINE void
input_general(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	struct seg s;
	int kind;

	ctx->now = ctx_read_clock(ctx);
	if (m->nb_segs > 1) {
		m = flatten(ctx, m);
		if (m == NULL)
			return;
	}
	kind = parse_frame(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, csum_verdict(m->ol_flags),
			   &ctx->ip->env, &s);
	if (kind == PARSE_UDP)
		udp_input(ctx, m, &s);
	else
		input_other(ctx, m, kind, &s);
}

static ZF_ALWAYS_INLINE bool
input_udp_fast(struct zf_ctx *ctx, struct rte_mbuf *m, const uint8_t *frame, uint32_t total)
{
	struct udp_room *r = ctx->udp;
	struct seg s;
	uint32_t i;

	if (zf_unlikely(!parse_fast_udp(frame, total, &s)))
		return false;
	i = udp_find(ctx, r, &s);
	if (zf_unlikely(i == UDP_NONE))
		return false;
	udp_note(m, &s);
	udp_deliver(ctx, &r->zfurs[r->binds[i].zfur], m);
	return true;
}

static ZF_ALWAYS_INLINE bool
input_tcp_fast(struct zf_ctx *ctx, struct rte_mbuf *m, const uint8_t *frame, uint32_t total)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(frame + sizeof(struct hdr_eth));
	const struct hdr_tcp *tcp = (const struct hdr_tcp *)(ip + 1);
	struct tcp_key k;
	uint32_t i;

	if (zf_unlikely(total < sizeof(*ip) + sizeof(*tcp)))
		return false; /* the parser names it */
	k = (struct tcp_key){.lip = ip->dst, .rip = ip->src, .lport = tcp->dst, .rport = tcp->src};
	if (zf_unlikely(!tcp_cut_through(ctx, m, &k, sizeof(struct hdr_eth) + sizeof(*ip),
					 total - (uint32_t)sizeof(*ip), &i)))
		tcp_input_plain(ctx, m, total, i);
	return true;
}

/* The frequent frames: a plain datagram for a zocket of ours, the next bytes of a connection. What is known of them
 * never leaves this function, so it stays in registers; whatever is not frequent is parsed once more.
 */
static ZF_ALWAYS_INLINE void
input_frame(struct zf_ctx *ctx, struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t total;
	uint8_t proto;

	pool_unpoison(m);
	if (zf_unlikely(m->nb_segs != 1))
		goto general;
	total = parse_fast_ip(frame, m->data_len, csums_are_good(m->ol_flags), &ctx->ip->env);
	if (zf_unlikely(total == 0))
		goto general;
	proto = ((const struct hdr_ip4 *)(frame + sizeof(struct hdr_eth)))->proto;
	if (proto == IP_PROTO_UDP) {
		if (zf_likely(input_udp_fast(ctx, m, frame, total)))
			return;
	} else if (proto == IP_PROTO_TCP) {
		if (zf_likely(input_tcp_fast(ctx, m, frame, total)))
			return;
	}
general:
	input_general(ctx, m);
}

static ZF_NOINLINE void
run_timers(struct zf_ctx *ctx)
{
	struct zf_stack *st = stack_of(ctx);
	struct wheel_timer *t;

	while ((t = wheel_pop(ctx->wheel, ctx->now)) != NULL) {
		switch (t->kind) {
		case TIMER_NETIF:
			output_netif_run(ctx);
			break;
		case TIMER_REASS: {
			uint64_t next = reass_run(ctx->ip->reass, ctx->now);

			if (next != UINT64_MAX)
				wheel_arm(ctx->wheel, t, next);
			break;
		}
		case TIMER_HELD:
			output_held_run(ctx);
			break;
		case TIMER_SERVICE:
			port_service(st->port);
			break;
		case TIMER_TCP:
		case TIMER_TCP_TW:
		case TIMER_TCP_SYN:
			tcp_timer(ctx, t);
			break;
		default:
			(void)zf_bug(t->kind != TIMER_NONE);
			break;
		}
	}
}

/* Alternatives that drain; sends that failed for want of room or buffers: say so as soon as one can succeed. */
static void
run_owed(struct zf_ctx *ctx)
{
	if (ctx->owed & CTX_OWED_ALT)
		alt_run(ctx);
	if (!output_backlog(ctx))
		return;
	if ((ctx->owed & CTX_OWED_TX_RETRY) && (ctx->tx_room == NULL || ctx->tx_room(ctx->txq) > 0)) {
		ctx->owed &= ~(uint32_t)CTX_OWED_TX_RETRY;
		ctx->visible = 1;
		mux_wake(ctx, WAITABLE_WANT_TX);
	}
	if ((ctx->owed & CTX_OWED_BUF_RETRY) && pool_free_count(ctx->pool) > 0 &&
	    sq_bufs_left(ctx) > 0) {
		ctx->owed &= ~(uint32_t)CTX_OWED_BUF_RETRY;
		ctx->visible = 1;
		mux_wake(ctx, WAITABLE_WANT_BUF);
	}
}

/* Anything but frames to do? One comparison each; all four lines are read by every poll anyway. */
static ZF_ALWAYS_INLINE bool
has_slow_work(const struct zf_ctx *ctx)
{
	return ctx_has_events(ctx) || ctx->owed != 0 || ctx->now >= ctx->wheel->next_due ||
	       netif_gen(ctx->netif) != ctx->ip->env_gen;
}

static ZF_NOINLINE void
slow_work(struct zf_ctx *ctx, bool drained)
{
	if (ctx_has_events(ctx))
		ctx->take_events(ctx);
	/* A paused application must not time out what a frame still in the ring settles: frames first. */
	if (drained && ctx->now >= ctx->wheel->next_due)
		run_timers(ctx);
	if (netif_gen(ctx->netif) != ctx->ip->env_gen)
		ip_room_refresh(ctx);
	if (ctx->owed & CTX_OWED_TCP)
		tcp_run_owed(ctx);
	/* Now, not when the looking ends: what waits is what peers wait for, and the next frame may acknowledge it. */
	if (ctx->owed & CTX_OWED_TCP_OUT)
		tcp_run_pending(ctx);
	if (ctx->owed != 0)
		run_owed(ctx);
}

/* Over a virtual clock nothing happens by waiting: an idle poll of a waiting call moves the time to whatever is next. */
static void
jump_clock(struct zf_ctx *ctx)
{
	uint64_t next = wheel_next_expiry(ctx->wheel);

	next = ZF_MIN(next, ctx->wait_until);
	if (next != UINT64_MAX && next > *ctx->vclock)
		*stack_of(ctx)->port->port->info.vclock = next;
}

/* The end of a poll that left something to send. */
static ZF_NOINLINE void
send_unsent(struct zf_ctx *ctx)
{
	if (ctx->owed & CTX_OWED_TCP_OUT)
		tcp_run_pending(ctx);
	output_flush(ctx);
	ctx->unsent = 0; /* what the port refused is in ctx->owed */
}

static ZF_ALWAYS_INLINE int
perform(struct zf_ctx *ctx, uint32_t spin)
{
	struct rte_mbuf *pkts[STACK_BURST];
	struct zf_stack *st = stack_of(ctx);
	uint16_t n;

	ctx_enter(ctx);
	ctx->visible = 0;
	if (zf_unlikely(ctx_has_events(ctx)))
		ctx->take_events(ctx); /* before the port is touched: the queue may be shared from now on */
	for (;;) {
		n = ctx->rx(ctx->rxq, pkts, STACK_BURST);
		spin--;
		if (zf_likely(n == 0)) {
			if (spin % STACK_LOOKS != 0)
				continue;
			st->undrained = 0;
		} else {
			for (uint16_t i = 0; i < n; i++)
				input_frame(ctx, pkts[i]);
			st->undrained += n;
			/* Data for the application: the clock can wait until it polls again, but not for ever. */
			if (zf_likely(ctx->visible != 0 && ++st->eager < STACK_EAGER))
				break;
			st->eager = 0;
		}
		ctx->now = ctx_read_clock(ctx);
		if (zf_unlikely(has_slow_work(ctx))) {
			slow_work(ctx, n < STACK_BURST || st->undrained >= STACK_DRAIN_MAX);
			if (st->undrained >= STACK_DRAIN_MAX)
				st->undrained = 0;
		}
		if (ctx->visible != 0 || spin == 0)
			break;
	}
	if (zf_unlikely(ctx->unsent != 0))
		send_unsent(ctx);
	ctx_publish(ctx);
	ctx_leave(ctx);
	return (int)ctx->visible;
}

int
stack_perform(struct zf_ctx *ctx, uint32_t spin)
{
	return perform(ctx, spin);
}

ZF_EXPORT int
zf_reactor_perform(struct zf_stack *st)
{
	return perform(&st->ctx, st->ctx.spin_count);
}

ZF_EXPORT int
zf_reactor_perform_attr(struct zf_stack *st, const struct zf_attr *attr)
{
	/* Nobody has checked these attributes. */
	return perform(&st->ctx, (uint32_t)ZF_MAX(attr->reactor_spin_count, 1));
}

/* Every received frame ends in one of the counters in front of the sent ones. */
static uint64_t
frames_ended(const struct zf_ctx *ctx)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < CNT_TX_FRAMES; i++)
		n += ctx->counters[i];
	return n;
}

bool
stack_look(struct zf_ctx *ctx)
{
	for (int i = 0; i < STACK_LOOK_BURSTS; i++) {
		uint64_t before = frames_ended(ctx);

		if (perform(ctx, 1) != 0)
			return true;
		if (frames_ended(ctx) == before)
			return false;
	}
	return true;
}

int
stack_poll(struct zf_ctx *ctx)
{
	uint64_t before = ctx->vclock != NULL ? frames_ended(ctx) : 0;
	int seen = perform(ctx, 1);

	/* A frame may be what the caller waits for: time stands still until it has looked. Anything else may be seen for
	 * ever, such as room on a port that does not tell whether it has any.
	 */
	if (ctx->vclock != NULL && ctx->wait_until != 0 && frames_ended(ctx) == before)
		jump_clock(ctx);
	return seen;
}

bool
stack_wait(struct zf_ctx *ctx, bool (*found)(void *arg), void *arg)
{
	uint64_t before;
	bool yes;

	do {
		before = ctx->vclock != NULL ? frames_ended(ctx) : 0;
		(void)stack_perform(ctx, STACK_LOOKS);
		yes = found(arg);
		/* What a timer did has been looked at, too: the time may go on. */
		if (!yes && ctx->vclock != NULL && frames_ended(ctx) == before)
			jump_clock(ctx);
	} while (!yes && ctx_read_clock(ctx) < ctx->wait_until);
	return yes;
}

ZF_EXPORT int
zf_stack_has_pending_work(const struct zf_stack *st)
{
	const struct zf_ctx *ctx = &st->ctx;

	if (atomic_load_explicit(&ctx->pub_work, memory_order_relaxed) != 0 || ctx_has_work_events(ctx))
		return 1;
	/* On a port with several stacks another one may have learnt what frames of ours wait for. */
	if (netif_gen(ctx->netif) != __atomic_load_n(&ctx->ip->env_gen, __ATOMIC_RELAXED))
		return 1;
	if (ctx_read_clock(ctx) >= atomic_load_explicit(&ctx->pub_due, memory_order_relaxed))
		return 1;
	return ctx_peek(ctx);
}

ZF_EXPORT int
zf_stack_has_pending_events(const struct zf_stack *st)
{
	return ctx_peek(&st->ctx);
}

#if defined(ZF_TEST) && ZF_TEST
uint64_t
stack_next_timer(struct zf_stack *st)
{
	return wheel_next_expiry(&st->wheel);
}
#endif
