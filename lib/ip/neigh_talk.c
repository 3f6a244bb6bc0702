/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ARP packets, in by neigh_input(), out by neigh_run(). See neigh.h; the table itself is neigh.c.
 * What an entry's timer means follows from its state; an entry without holders is only remembered,
 * and its timer forgets it.
 */
#include "base/check.h"
#include "ip/neigh.h"
#include "ip/neigh_state.h"

/* Timers that one neigh_run() serves. */
#define RUN_MAX 32

/* ---- packets ---- */

static void
arp_fill(const struct neigh_table *t, struct hdr_arp *arp, uint16_t op, be32_t sender,
	 be32_t target, struct eth_addr target_mac)
{
	*arp = (struct hdr_arp){
		.hw_type = BE16_C(ARP_HW_ETHER),
		.proto_type = BE16_C(ETH_TYPE_IPV4),
		.hw_len = sizeof(struct eth_addr),
		.proto_len = sizeof(be32_t),
		.op = be16_from(op),
		.sender_mac = t->mac,
		.sender_ip = sender,
		.target_mac = target_mac,
		.target_ip = target,
	};
}

/* RFC 5227 2.3: a request for the address itself. */
static void
arp_announce(const struct neigh_table *t, struct hdr_arp *arp, be32_t ip)
{
	arp_fill(t, arp, ARP_OP_REQUEST, ip, ip, ETH_ADDR_ZERO);
}

static void
entry_ask(struct neigh_table *t, struct neigh_entry *e, bool unicast, uint64_t now,
	  neigh_emit_fn emit, void *arg)
{
	struct eth_addr dst = unicast ? neigh_entry_mac(e) : ETH_ADDR_BCAST;
	const struct neigh_addr *from;
	struct hdr_arp arp;
	bool on_link;

	e->tries++;
	e->next_ask = now + neigh_cycles(t, NEIGH_PAUSE_MS);
	wheel_arm(&t->wheel, &e->timer, e->next_ask);
	from = neigh_addr_towards(t, e->ip, &on_link);
	/* Nothing to ask with: a request from 0.0.0.0 would be a probe for the address. */
	if (from == NULL)
		return;
	arp_fill(t, &arp, ARP_OP_REQUEST, from->ip, e->ip, ETH_ADDR_ZERO);
	t->requests++;
	emit(arg, &dst, &arp);
}

/* ---- time ---- */

static void
entry_timer(struct neigh_table *t, struct neigh_entry *e, uint64_t now, neigh_emit_fn emit,
	    void *arg)
{
	uint64_t stale = e->confirmed + neigh_cycles(t, NEIGH_FRESH_MS);

	if (e->refs == 0) {
		if (now < e->next_ask || (neigh_entry_state(e) >= NEIGH_RESOLVED && now < stale))
			neigh_entry_arm_forget(t, e);
		else
			neigh_entry_free(t, e);
		return;
	}
	switch (neigh_entry_state(e)) {
	case NEIGH_INCOMPLETE:
		if (e->tries < NEIGH_TRIES)
			entry_ask(t, e, false, now, emit, arg);
		else
			neigh_entry_publish(t, e, NEIGH_FAILED, NULL);
		break;
	case NEIGH_RESOLVED:
		if (now < stale) {
			wheel_arm(&t->wheel, &e->timer, stale);
			break;
		}
		e->tries = 0;
		e->disputed = false;
		neigh_entry_publish(t, e, NEIGH_PROBING, NULL);
		/* fall through */
	case NEIGH_PROBING:
		/* Who it was first, then whoever has the address now. */
		if (now < e->next_ask)
			neigh_entry_arm_ask(t, e, now);
		else if (e->tries < 2 * NEIGH_TRIES)
			entry_ask(t, e, e->tries < NEIGH_TRIES, now, emit, arg);
		else
			neigh_entry_publish(t, e, NEIGH_FAILED, NULL);
		break;
	case NEIGH_FREE:
	case NEIGH_FAILED:
		break;
	}
}

static void
addr_timer(struct neigh_table *t, struct neigh_addr *a, uint64_t now, neigh_emit_fn emit, void *arg)
{
	struct eth_addr dst = ETH_ADDR_BCAST;
	struct hdr_arp arp;

	if (a->announces_left == 0)
		return;
	a->announces_left--;
	if (a->announces_left != 0)
		wheel_arm(&t->wheel, &a->timer, now + neigh_cycles(t, NEIGH_ANNOUNCE_MS));
	arp_announce(t, &arp, a->ip);
	emit(arg, &dst, &arp);
}

uint64_t
neigh_run(struct neigh_table *t, uint64_t now, neigh_emit_fn emit, void *arg)
{
	struct wheel_timer *timer;

	for (int i = 0; i < RUN_MAX && (timer = wheel_pop(&t->wheel, now)) != NULL; i++) {
		if (timer->kind == NEIGH_TIMER_ENTRY)
			entry_timer(t, zf_container_of(timer, struct neigh_entry, timer), now, emit,
				    arg);
		else
			addr_timer(t, zf_container_of(timer, struct neigh_addr, timer), now, emit,
				   arg);
	}
	return t->wheel.next_due;
}

/* ---- input ---- */

static bool
arp_is_sane(const struct neigh_table *t, const struct hdr_arp *arp)
{
	uint16_t op = be16_host(arp->op);

	if (be16_host(arp->hw_type) != ARP_HW_ETHER ||
	    be16_host(arp->proto_type) != ETH_TYPE_IPV4 || arp->hw_len != sizeof(struct eth_addr) ||
	    arp->proto_len != sizeof(be32_t))
		return false;
	if (op != ARP_OP_REQUEST && op != ARP_OP_REPLY)
		return false;
	if (eth_addr_is_mcast(&arp->sender_mac) || eth_addr_is_zero(&arp->sender_mac))
		return false;
	if (be32_is_zero(arp->sender_ip))
		return op == ARP_OP_REQUEST; /* a probe, RFC 5227 2.1.1 */
	return ip_is_unicast(arp->sender_ip) && !ip_is_loopback(arp->sender_ip) &&
	       !neigh_addr_is_edge(t, arp->sender_ip);
}

/* The sender says that it is at @mac. RFC 826 has us believe that at any time, and a router that
 * took over needs it; but only one MAC per second, so that two claimants cannot make every zocket
 * rebuild its header per packet. Of claims within that second the last is forgotten, and the
 * question put again. Returns whether holders must know.
 */
static bool
entry_learn(struct neigh_table *t, struct neigh_entry *e, const struct eth_addr *mac, uint64_t now)
{
	enum neigh_state was = neigh_entry_state(e);
	struct eth_addr old = neigh_entry_mac(e);
	bool same = was >= NEIGH_RESOLVED && eth_addr_eq(&old, mac);
	bool news;

	if (was >= NEIGH_RESOLVED && !same && now < e->lock_until) {
		if (!e->disputed && e->refs != 0) {
			e->disputed = true;
			e->tries = NEIGH_TRIES; /* all of them are asked, not the one we know */
			neigh_entry_publish(t, e, NEIGH_PROBING, NULL);
			wheel_arm(&t->wheel, &e->timer, ZF_MAX(e->lock_until, e->next_ask));
		}
		return false;
	}
	e->confirmed = now;
	if (e->refs == 0) {
		neigh_lru_remove(t, e);
		neigh_lru_append(t, e);
	}
	if (same && was == NEIGH_RESOLVED)
		return false; /* its timer looks at `confirmed` when it fires */
	e->lock_until = now + neigh_cycles(t, NEIGH_LOCK_MS);
	e->tries = 0;
	news = neigh_entry_publish(t, e, NEIGH_RESOLVED, mac);
	wheel_arm(&t->wheel, &e->timer, now + neigh_cycles(t, NEIGH_FRESH_MS));
	return news;
}

static void
input_conflict(struct neigh_table *t, struct neigh_addr *a, uint64_t now, struct neigh_result *out)
{
	t->conflicts++;
	out->conflict = true;
	out->verdict = NEIGH_IN_HANDLED;
	if (now < a->next_defence)
		return;
	a->next_defence = now + neigh_cycles(t, NEIGH_DEFEND_MS);
	out->send = true;
	out->dst = ETH_ADDR_BCAST;
	arp_announce(t, &out->arp, a->ip);
}

static void
input_request(struct neigh_table *t, const struct hdr_arp *arp, struct neigh_entry *known,
	      uint64_t now, struct neigh_result *out)
{
	struct neigh_entry *e;
	bool on_link;

	out->verdict = NEIGH_IN_HANDLED;
	out->send = true;
	out->dst = arp->sender_mac;
	arp_fill(t, &out->arp, ARP_OP_REPLY, arp->target_ip, arp->sender_ip, arp->sender_mac);
	if (known != NULL || be32_is_zero(arp->sender_ip))
		return;
	/* It will hear from us soon. But who is not of our subnets is not talked to directly. */
	(void)neigh_addr_towards(t, arp->sender_ip, &on_link);
	e = on_link ? neigh_entry_new(t, arp->sender_ip) : NULL;
	if (e != NULL)
		(void)entry_learn(t, e, &arp->sender_mac, now);
}

void
neigh_input(struct neigh_table *t, const struct hdr_arp *arp, uint64_t now,
	    struct neigh_result *out)
{
	struct neigh_entry *e;
	struct neigh_addr *ours;

	*out = (struct neigh_result){.verdict = NEIGH_IN_BAD, .changed = -1};
	if (!arp_is_sane(t, arp))
		return;
	if (eth_addr_eq(&arp->sender_mac, &t->mac)) {
		out->verdict = NEIGH_IN_OWN;
		return;
	}
	out->verdict = NEIGH_IN_OTHER;
	ours = neigh_addr_find(t, arp->sender_ip);
	if (ours != NULL) {
		if (!ours->silent)
			input_conflict(t, ours, now, out);
		return;
	}
	e = neigh_entry_find(t, arp->sender_ip);
	if (e != NULL) {
		out->verdict = NEIGH_IN_HANDLED;
		if (entry_learn(t, e, &arp->sender_mac, now))
			out->changed = neigh_index(t, e);
	}
	ours = neigh_addr_find(t, arp->target_ip);
	if (ours != NULL && !ours->silent && be16_host(arp->op) == ARP_OP_REQUEST)
		input_request(t, arp, e, now, out);
}
