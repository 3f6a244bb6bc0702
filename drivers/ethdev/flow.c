/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Steering by rte_flow: a filter of core/port.h as a rule of pattern, masks and one action. Adapters differ in the patterns
 * that they take, and say so only when asked, so there is a list of forms from the most exact to the plainest; the first
 * one that the port takes is kept for its later rules.
 *
 *   exact  eth (our address, or the group's) [/ vlan] / ipv4 / udp or tcp: full-feature firmware, most other adapters
 *   plain  eth (empty) / ipv4 / udp or tcp: the low-latency firmware of EF10, which compares neither MAC nor tag, so that
 *          an interface with a tag has no filters there
 *
 * Isolated mode is not used: fragments behind the first, echo requests and segments for closed ports, which a stack
 * answers, have no rule that all of these adapters could carry, ARP has none on the low-latency firmware, and multicast
 * lists fail in it.
 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_flow.h>

#include "ethdev/priv.h"

#define IP_PROTO_UDP 17

/* A rule under construction: items point into it. */
struct rule {
	struct rte_flow_attr attr;
	struct rte_flow_item_eth eth, eth_mask;
	struct rte_flow_item_vlan vlan, vlan_mask;
	struct rte_flow_item_ipv4 ip, ip_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_item_tcp tcp, tcp_mask;
	struct rte_flow_action_queue queue;
	struct rte_flow_item items[5];
	struct rte_flow_action actions[2];
	uint32_t n;
};

static void
item_add(struct rule *r, enum rte_flow_item_type type, const void *spec, const void *mask)
{
	r->items[r->n++] = (struct rte_flow_item){.type = type, .spec = spec, .mask = mask};
}

/* RFC 1112 6.4. */
static void
group_mac(be32_t group, uint8_t mac[6])
{
	uint32_t ip = be32_host(group);

	mac[0] = 0x01;
	mac[1] = 0x00;
	mac[2] = 0x5e;
	mac[3] = (uint8_t)(ip >> 16 & 0x7f);
	mac[4] = (uint8_t)(ip >> 8);
	mac[5] = (uint8_t)ip;
}

static void
link_items(struct rule *r, const struct ethdev_port *p, const struct port_filter *f, enum ethdev_form form)
{
	if (form == FORM_PLAIN) {
		item_add(r, RTE_FLOW_ITEM_TYPE_ETH, NULL, NULL);
		return;
	}
	if ((be32_host(f->lip) >> 28) == 0xe)
		group_mac(f->lip, r->eth.hdr.dst_addr.addr_bytes);
	else
		memcpy(r->eth.hdr.dst_addr.addr_bytes, p->mac, 6);
	memset(r->eth_mask.hdr.dst_addr.addr_bytes, 0xff, 6);
	item_add(r, RTE_FLOW_ITEM_TYPE_ETH, &r->eth, &r->eth_mask);
	if (f->vlan != 0) {
		r->vlan.hdr.vlan_tci = rte_cpu_to_be_16(f->vlan);
		r->vlan_mask.hdr.vlan_tci = RTE_BE16(0x0fff);
		item_add(r, RTE_FLOW_ITEM_TYPE_VLAN, &r->vlan, &r->vlan_mask);
	}
}

static void
net_items(struct rule *r, const struct port_filter *f)
{
	r->ip.hdr.dst_addr = f->lip.raw;
	r->ip_mask.hdr.dst_addr = UINT32_MAX;
	if (!be32_is_zero(f->rip)) {
		r->ip.hdr.src_addr = f->rip.raw;
		r->ip_mask.hdr.src_addr = UINT32_MAX;
	}
	item_add(r, RTE_FLOW_ITEM_TYPE_IPV4, &r->ip, &r->ip_mask);
	r->udp.hdr.dst_port = r->tcp.hdr.dst_port = f->lport.raw;
	r->udp_mask.hdr.dst_port = r->tcp_mask.hdr.dst_port = UINT16_MAX;
	if (!be16_is_zero(f->rport)) {
		r->udp.hdr.src_port = r->tcp.hdr.src_port = f->rport.raw;
		r->udp_mask.hdr.src_port = r->tcp_mask.hdr.src_port = UINT16_MAX;
	}
	if (f->proto == IP_PROTO_UDP)
		item_add(r, RTE_FLOW_ITEM_TYPE_UDP, &r->udp, &r->udp_mask);
	else
		item_add(r, RTE_FLOW_ITEM_TYPE_TCP, &r->tcp, &r->tcp_mask);
}

/* False: the form has no such rule. */
static bool
rule_make(struct rule *r, const struct ethdev_port *p, uint16_t qid, const struct port_filter *f, enum ethdev_form form)
{
	memset(r, 0, sizeof(*r));
	/* Without its tag it would match, if anything, frames that are another interface's. */
	if (form == FORM_PLAIN && f->vlan != 0)
		return false;
	r->attr.ingress = 1; /* group 0 and priority 0, which is all that EF10 has */
	link_items(r, p, f, form);
	net_items(r, f);
	item_add(r, RTE_FLOW_ITEM_TYPE_END, NULL, NULL);
	r->queue.index = qid;
	r->actions[0] = (struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &r->queue};
	r->actions[1] = (struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_END};
	return true;
}

/* PMDs have no common code for a full table. What is left is a form that the port does not know. */
static int
code_of(int err)
{
	err = err < 0 ? -err : err;
	switch (err) {
	case EBUSY:
	case ENOSPC:
	case ENOBUFS:
		return -EBUSY;
	case EEXIST:
	case ENOMEM:
	case ENODEV:
	case EIO:
	case EPERM:
	case EACCES:
		return -err;
	default:
		return -EOPNOTSUPP;
	}
}

int
ethdev_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id)
{
	struct ethdev_port *p = priv;
	char said[DPDKLOG_MAX];
	int rc = -EOPNOTSUPP;

	if (!p->started || qid >= p->queues)
		return !p->started ? -ENODEV : -EINVAL;
	dpdklog_begin();
	for (enum ethdev_form form = p->form; form < FORM__N && rc == -EOPNOTSUPP; form++) {
		struct rte_flow_error why = {0};
		struct rte_flow *flow;
		struct rule r;

		if (!rule_make(&r, p, qid, f, form))
			continue;
		rte_errno = 0;
		flow = rte_flow_create(p->port_id, &r.attr, r.items, r.actions, &why);
		rc = flow != NULL ? 0 : code_of(rte_errno);
		if (rc == 0) {
			p->form = form; /* an adapter that took this has refused those before */
			id->v[0] = (uintptr_t)flow;
			id->v[1] = p->flow_era;
		}
	}
	dpdklog_end(said);
	if (rc < 0)
		zf_trace(p->host->log, LC_FILTERS, "interface %s: no filter (error %d%s)", p->spec, rc, said);
	return rc;
}

void
ethdev_filter_del(void *priv, const struct port_filter_id *id)
{
	struct ethdev_port *p = priv;
	struct rte_flow_error why = {0};
	char said[DPDKLOG_MAX];

	if (id->v[1] != p->flow_era)
		return; /* a reset took it */
	dpdklog_begin();
	(void)rte_flow_destroy(p->port_id, (struct rte_flow *)(uintptr_t)id->v[0], &why);
	dpdklog_end(said);
}

void
ethdev_flow_forget(struct ethdev_port *p)
{
	struct rte_flow_error why = {0};
	char said[DPDKLOG_MAX];

	if ((p->caps & PORT_FLOW) == 0)
		return;
	dpdklog_begin();
	(void)rte_flow_flush(p->port_id, &why);
	dpdklog_end(said);
	p->flow_era++;
}

/* Asked with addresses that nobody has, without making a rule. */
bool
ethdev_flow_probe(struct ethdev_port *p)
{
	struct port_filter f = {.lip = BE32_C(0xc0000201), .lport = BE16_C(7), .proto = IP_PROTO_UDP};
	char said[DPDKLOG_MAX];
	bool can = false;

	dpdklog_begin();
	for (int narrow = 0; narrow < 2; narrow++) {
		for (enum ethdev_form form = FORM_EXACT; form < FORM__N && !can; form++) {
			struct rte_flow_error why = {0};
			struct rule r;

			(void)rule_make(&r, p, (uint16_t)(p->queues - 1), &f, form);
			can = rte_flow_validate(p->port_id, &r.attr, r.items, r.actions, &why) == 0;
			if (can)
				p->form = form;
		}
		f.rip = BE32_C(0xc0000202);
		f.rport = BE16_C(7);
	}
	dpdklog_end(said);
	return can;
}
