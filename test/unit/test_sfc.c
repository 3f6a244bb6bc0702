/* SPDX-License-Identifier: BSD-3-Clause
 *
 * drivers/ethdev over an adapter that is not there: net_null beneath, whose description is an sfc adapter's, and a
 * recording double of the flow API in place of DPDK's (by the linker's --wrap, see meson.build). What the double knows of
 * net_sfc it has from the facts that doc/adapters.md lists.
 */
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include "ethdev/priv.h"
#include "mem_help.h"

#define RULES_MAX 64

enum firmware {
	FW_NONE, /* no flow API at all */
	FW_FULL,
	FW_LOW_LATENCY,
};

static struct {
	/* How it behaves. */
	enum firmware fw;
	uint32_t room;        /* rules */
	int error;            /* of rte_flow_create(), != 0 */
	uint64_t rx_offloads, tx_offloads;
	uint16_t rx_min, rx_max, tx_min, tx_max, queues;
	bool refuses_intr;
	struct rte_devargs *devargs;
	/* What it was asked for. */
	struct rte_eth_conf conf;
	uint16_t nb_rx, nb_tx;
	uint32_t configured, flushed, resets, strange;
	struct recorded {
		bool used;
		struct rte_flow_attr attr;
		struct rte_flow_item_eth eth, eth_mask;
		struct rte_flow_item_vlan vlan, vlan_mask;
		struct rte_flow_item_ipv4 ip, ip_mask;
		struct rte_flow_item_udp l4, l4_mask; /* ports of TCP are at the same place */
		bool has_eth, has_vlan;
		enum rte_flow_item_type proto;
		uint16_t queue;
	} rules[RULES_MAX];
} nic;

int __real_rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_fw_version_get(uint16_t id, char *text, size_t size);
int __wrap_rte_flow_validate(uint16_t id, const struct rte_flow_attr *attr, const struct rte_flow_item pattern[],
			     const struct rte_flow_action actions[], struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t id, const struct rte_flow_attr *attr,
					const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
					struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t id, struct rte_flow *flow, struct rte_flow_error *error);
int __wrap_rte_eth_dev_reset(uint16_t id);
const struct rte_devargs *__wrap_rte_dev_devargs(const struct rte_device *dev);
int __wrap_rte_flow_flush(uint16_t id, struct rte_flow_error *error);

/* Of DPDK's driver side, whose headers are not installed: lets a port raise an event. */
struct rte_eth_dev *rte_eth_dev_allocated(const char *name);
int rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event, void *ret_param);

static uint32_t
rules(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < RULES_MAX; i++)
		n += nic.rules[i].used;
	return n;
}

int
__wrap_rte_eth_dev_info_get(uint16_t id, struct rte_eth_dev_info *info)
{
	int rc = __real_rte_eth_dev_info_get(id, info);

	info->driver_name = "net_sfc_efx";
	info->rx_offload_capa = nic.rx_offloads;
	info->tx_offload_capa = nic.tx_offloads;
	info->rx_desc_lim = (struct rte_eth_desc_lim){.nb_min = nic.rx_min, .nb_max = nic.rx_max, .nb_align = 512};
	info->tx_desc_lim = (struct rte_eth_desc_lim){.nb_min = nic.tx_min, .nb_max = nic.tx_max, .nb_align = 512};
	info->max_rx_queues = info->max_tx_queues = nic.queues;
	info->max_mtu = 9202;
	return rc;
}

int
__wrap_rte_eth_dev_configure(uint16_t id, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf)
{
	struct rte_eth_conf bare = {0};

	if (nic.refuses_intr && conf->intr_conf.rxq)
		return -ENOTSUP;
	nic.conf = *conf;
	nic.nb_rx = nb_rx;
	nic.nb_tx = nb_tx;
	nic.configured++;
	return __real_rte_eth_dev_configure(id, nb_rx, nb_tx, &bare);
}

int
__wrap_rte_eth_dev_fw_version_get(uint16_t id ZF_UNUSED, char *text, size_t size)
{
	snprintf(text, size, nic.fw == FW_FULL ? "7.6.0.1029 rx0 tx0 " : "7.6.0.1029 rx1 tx1 ");
	return 0;
}

/* It comes back with everything to be done again, and without its rules. */
int
__wrap_rte_eth_dev_reset(uint16_t id ZF_UNUSED)
{
	nic.strange += rules() != 0;
	nic.resets++;
	return 0;
}

const struct rte_devargs *
__wrap_rte_dev_devargs(const struct rte_device *dev ZF_UNUSED)
{
	return nic.devargs;
}

/* Takes a rule apart; false when anything is in it that net_sfc does not take at all. */
static bool
take_apart(const struct rte_flow_item *it, const struct rte_flow_action *act, struct recorded *r)
{
	if (it->type != RTE_FLOW_ITEM_TYPE_ETH || (it->spec == NULL) != (it->mask == NULL) || it->last != NULL)
		return false;
	r->has_eth = it->spec != NULL;
	if (r->has_eth) {
		memcpy(&r->eth, it->spec, sizeof(r->eth));
		memcpy(&r->eth_mask, it->mask, sizeof(r->eth_mask));
	}
	it++;
	r->has_vlan = it->type == RTE_FLOW_ITEM_TYPE_VLAN;
	if (r->has_vlan) {
		memcpy(&r->vlan, it->spec, sizeof(r->vlan));
		memcpy(&r->vlan_mask, it->mask, sizeof(r->vlan_mask));
		it++;
	}
	if (it->type != RTE_FLOW_ITEM_TYPE_IPV4 || it->spec == NULL || it->mask == NULL || it->last != NULL)
		return false;
	memcpy(&r->ip, it->spec, sizeof(r->ip));
	memcpy(&r->ip_mask, it->mask, sizeof(r->ip_mask));
	it++;
	r->proto = it->type;
	if ((r->proto != RTE_FLOW_ITEM_TYPE_UDP && r->proto != RTE_FLOW_ITEM_TYPE_TCP) || it->spec == NULL ||
	    it->mask == NULL || it->last != NULL)
		return false;
	memcpy(&r->l4, it->spec, 4);
	memcpy(&r->l4_mask, it->mask, 4);
	if (r->proto == RTE_FLOW_ITEM_TYPE_TCP) { /* nothing of the header behind the ports */
		static const struct rte_flow_item_tcp none;

		if (memcmp((const char *)it->spec + 4, (const char *)&none + 4, sizeof(none) - 4) != 0 ||
		    memcmp((const char *)it->mask + 4, (const char *)&none + 4, sizeof(none) - 4) != 0)
			return false;
	}
	it++;
	if (it->type != RTE_FLOW_ITEM_TYPE_END || act[0].type != RTE_FLOW_ACTION_TYPE_QUEUE ||
	    act[1].type != RTE_FLOW_ACTION_TYPE_END)
		return false;
	r->queue = ((const struct rte_flow_action_queue *)act[0].conf)->index;
	return r->queue < nic.nb_rx;
}

/* What this firmware would say. */
static int
judge(const struct rte_flow_attr *attr, const struct rte_flow_item *it, const struct rte_flow_action *act,
      struct recorded *r)
{
	memset(r, 0, sizeof(*r));
	r->attr = *attr;
	if (nic.fw == FW_NONE)
		return ENOSYS;
	if (!take_apart(it, act, r) || attr->group != 0 || attr->priority != 0 || !attr->ingress || attr->egress) {
		nic.strange++;
		return EINVAL;
	}
	if (nic.fw == FW_LOW_LATENCY && (r->has_eth || r->has_vlan))
		return ENOTSUP;
	/* Five or three of them, nothing between. */
	if (nic.fw == FW_LOW_LATENCY && (r->ip_mask.hdr.src_addr == 0) != (r->l4_mask.hdr.src_port == 0))
		return ENOTSUP;
	return 0;
}

int
__wrap_rte_flow_validate(uint16_t id ZF_UNUSED, const struct rte_flow_attr *attr, const struct rte_flow_item pattern[],
			 const struct rte_flow_action actions[], struct rte_flow_error *error ZF_UNUSED)
{
	struct recorded r;

	return -judge(attr, pattern, actions, &r);
}

struct rte_flow *
__wrap_rte_flow_create(uint16_t id ZF_UNUSED, const struct rte_flow_attr *attr, const struct rte_flow_item pattern[],
		       const struct rte_flow_action actions[], struct rte_flow_error *error ZF_UNUSED)
{
	struct recorded r;
	int err = judge(attr, pattern, actions, &r);

	if (err == 0 && nic.error != 0)
		err = nic.error;
	for (uint32_t i = 0; i < ZF_MIN(nic.room, (uint32_t)RULES_MAX) && err == 0; i++)
		if (!nic.rules[i].used) {
			nic.rules[i] = r;
			nic.rules[i].used = true;
			return (struct rte_flow *)&nic.rules[i];
		}
	rte_errno = err != 0 ? err : ENOSPC;
	return NULL;
}

int
__wrap_rte_flow_destroy(uint16_t id ZF_UNUSED, struct rte_flow *flow, struct rte_flow_error *error ZF_UNUSED)
{
	struct recorded *r = (struct recorded *)flow;

	nic.strange += !r->used;
	r->used = false;
	return 0;
}

int
__wrap_rte_flow_flush(uint16_t id ZF_UNUSED, struct rte_flow_error *error ZF_UNUSED)
{
	memset(nic.rules, 0, sizeof(nic.rules));
	nic.flushed++;
	return 0;
}

static void
nic_init(enum firmware fw)
{
	memset(&nic, 0, sizeof(nic));
	nic.fw = fw;
	nic.room = RULES_MAX;
	nic.rx_min = nic.tx_min = 512;
	nic.rx_max = 4096;
	nic.tx_max = 2048;
	nic.queues = 32;
	nic.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_RSS_HASH;
	nic.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
}

static int
stack_try(const char *ip, const char *more, struct zf_stack **st)
{
	char attrs[256];

	snprintf(attrs, sizeof(attrs),
		 "interface=net_null0,no-rx=1;ipv4=%s/24;arp_reply_timeout=0;%s%s", ip,
		 strstr(more, "n_bufs") != NULL ? "" : "n_bufs=2048;", more);
	return help_try(attrs, st);
}

static struct zf_stack *
stack(const char *ip, const char *more)
{
	struct zf_stack *st = NULL;

	CU_ASSERT_EQUAL_FATAL(stack_try(ip, more, &st), 0);
	return st;
}

static const struct port_info *
info_of(const struct zf_stack *st)
{
	return &st->port->port->info;
}

/* The only rule is this one, byte for byte. */
static void
rule_is(const uint8_t *dmac, uint16_t vlan, enum rte_flow_item_type proto, const char *lip, uint16_t lport,
	const char *rip, uint16_t rport, uint16_t queue)
{
	struct recorded want = {.used = true, .attr = {.ingress = 1}, .proto = proto, .queue = queue};
	const struct recorded *r = NULL;

	for (uint32_t i = 0; i < RULES_MAX; i++)
		if (nic.rules[i].used)
			r = &nic.rules[i];
	CU_ASSERT_EQUAL_FATAL(rules(), 1);
	want.has_eth = dmac != NULL;
	if (dmac != NULL) {
		memcpy(want.eth.hdr.dst_addr.addr_bytes, dmac, 6);
		memset(want.eth_mask.hdr.dst_addr.addr_bytes, 0xff, 6);
	}
	want.has_vlan = vlan != 0;
	want.vlan.hdr.vlan_tci = htons(vlan);
	want.vlan_mask.hdr.vlan_tci = vlan != 0 ? htons(0x0fff) : 0;
	want.ip.hdr.dst_addr = help_ip(lip).raw;
	want.ip_mask.hdr.dst_addr = 0xffffffff;
	want.ip.hdr.src_addr = help_ip(rip).raw;
	want.ip_mask.hdr.src_addr = want.ip.hdr.src_addr != 0 ? 0xffffffff : 0;
	want.l4.hdr.dst_port = htons(lport);
	want.l4_mask.hdr.dst_port = 0xffff;
	want.l4.hdr.src_port = htons(rport);
	want.l4_mask.hdr.src_port = rport != 0 ? 0xffff : 0;
	CU_ASSERT_EQUAL(memcmp(&r->attr, &want.attr, sizeof(want.attr)), 0);
	CU_ASSERT_EQUAL(r->has_eth, want.has_eth);
	CU_ASSERT_EQUAL(memcmp(&r->eth, &want.eth, sizeof(want.eth)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->eth_mask, &want.eth_mask, sizeof(want.eth)), 0);
	CU_ASSERT_EQUAL(r->has_vlan, want.has_vlan);
	CU_ASSERT_EQUAL(memcmp(&r->vlan, &want.vlan, sizeof(want.vlan)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->vlan_mask, &want.vlan_mask, sizeof(want.vlan)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->ip, &want.ip, sizeof(want.ip)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->ip_mask, &want.ip_mask, sizeof(want.ip)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->l4, &want.l4, sizeof(want.l4)), 0);
	CU_ASSERT_EQUAL(memcmp(&r->l4_mask, &want.l4_mask, sizeof(want.l4)), 0);
	CU_ASSERT_EQUAL(r->proto, want.proto);
	CU_ASSERT_EQUAL(r->queue, want.queue);
}

/* One binding of each kind after the other, @mac and @group_mac NULL where the firmware compares no address. */
static void
each_kind(struct zf_stack *st, const uint8_t *mac, const uint8_t *group_mac, uint16_t vlan)
{
	struct sockaddr_in l = help_addr("192.0.2.1", 1000), r = help_addr("192.0.2.9", 2000);
	struct zfur *ur = help_zfur(st, "192.0.2.1", 1000);
	struct zft_handle *h;
	struct zftl *tl;
	struct zft *ts;

	rule_is(mac, vlan, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.1", 1000, "0.0.0.0", 0, 0);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
	CU_ASSERT_EQUAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0), 0);
	rule_is(mac, vlan, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.1", 1000, "192.0.2.9", 2000, 0);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	ur = help_zfur(st, "239.129.2.3", 1000);
	rule_is(group_mac, vlan, RTE_FLOW_ITEM_TYPE_UDP, "239.129.2.3", 1000, "0.0.0.0", 0, 0);
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	CU_ASSERT_EQUAL(zftl_listen(st, (struct sockaddr *)&l, sizeof(l), NULL, &tl), 0);
	rule_is(mac, vlan, RTE_FLOW_ITEM_TYPE_TCP, "192.0.2.1", 1000, "0.0.0.0", 0, 0);
	CU_ASSERT_EQUAL(zftl_free(tl), 0);
	CU_ASSERT_EQUAL_FATAL(zft_alloc(st, NULL, &h), 0);
	CU_ASSERT_EQUAL(zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0), 0);
	CU_ASSERT_EQUAL(zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts), 0);
	rule_is(mac, vlan, RTE_FLOW_ITEM_TYPE_TCP, "192.0.2.1", 1000, "192.0.2.9", 2000, 0);
	CU_ASSERT_EQUAL(zft_free(ts), 0);
	CU_ASSERT_EQUAL(rules(), 0);
}

static const uint8_t group_mac[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}; /* of 239.129.2.3 */

static void
full_feature_patterns(void)
{
	struct zf_stack *st;

	nic_init(FW_FULL);
	st = stack("192.0.2.1", "port_queues=2");
	CU_ASSERT_EQUAL(nic.nb_rx, 3);
	CU_ASSERT_EQUAL(nic.nb_tx, 3);
	CU_ASSERT_TRUE(info_of(st)->caps & PORT_FLOW);
	CU_ASSERT_FALSE(info_of(st)->caps & PORT_FLOW_ISOLATE);
	each_kind(st, info_of(st)->mac, group_mac, 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	st = stack("192.0.2.1", "port_queues=2;vlan=77");
	each_kind(st, info_of(st)->mac, group_mac, 77);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
}

static void
low_latency_patterns(void)
{
	struct zf_stack *st;
	struct zfur *ur;

	nic_init(FW_LOW_LATENCY);
	st = stack("192.0.2.1", "port_queues=2");
	CU_ASSERT_TRUE(info_of(st)->caps & PORT_FLOW);
	each_kind(st, NULL, NULL, 0);
	/* A group's sender without its port is a form that it does not have: no rule, no error. */
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
	CU_ASSERT_EQUAL(help_bind(ur, "239.1.1.1", 1000, "192.0.2.9"), 0);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	/* Nor does it compare tags. */
	st = stack("192.0.2.1", "port_queues=2;vlan=77");
	ur = help_zfur(st, "192.0.2.1", 1000);
	CU_ASSERT_PTR_NOT_NULL(ur);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
}

/* The second stack has queue 2, and the first one's rules lead to queue 1 from then on. */
static void
rules_lead_to_the_stacks_queue(void)
{
	struct zf_stack *a, *b;
	struct zfur *ua, *ub;

	nic_init(FW_LOW_LATENCY);
	a = stack("192.0.2.1", "port_queues=2");
	ua = help_zfur(a, "192.0.2.1", 1000);
	rule_is(NULL, 0, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.1", 1000, "0.0.0.0", 0, 0);
	b = stack("192.0.2.2", "port_queues=2");
	rule_is(NULL, 0, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.1", 1000, "0.0.0.0", 0, 1);
	CU_ASSERT_EQUAL(zfur_free(ua), 0);
	ub = help_zfur(b, "192.0.2.2", 1000);
	rule_is(NULL, 0, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.2", 1000, "0.0.0.0", 0, 2);
	CU_ASSERT_EQUAL(zfur_free(ub), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
}

static void
codes_of_the_flow_api(void)
{
	static const struct {
		int err, rc;
	} t[] = {
		{ENOSPC, -EBUSY}, {EBUSY, -EBUSY}, {ENOBUFS, -EBUSY}, {EEXIST, -EEXIST}, {EPERM, -EPERM},
		{EINVAL, 0},      {ENOTSUP, 0},    {ENOSYS, 0},       {E2BIG, 0}, /* comes without a filter */
	};
	struct zf_stack *st;

	nic_init(FW_FULL);
	st = stack("192.0.2.1", "port_queues=2");
	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct zfur *ur;

		nic.error = t[i].err;
		CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
		CU_ASSERT_EQUAL(help_bind(ur, "192.0.2.1", 1000, NULL), t[i].rc);
		CU_ASSERT_EQUAL(zfur_free(ur), 0);
		CU_ASSERT_EQUAL(rules(), 0);
	}
	nic.error = 0;
	nic.room = 0;
	{
		struct zfur *ur;

		CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, NULL), 0);
		CU_ASSERT_EQUAL(help_bind(ur, "192.0.2.1", 1000, NULL), -EBUSY);
		nic.room = 1;
		CU_ASSERT_EQUAL(help_bind(ur, "192.0.2.1", 1000, NULL), 0);
		CU_ASSERT_EQUAL(rules(), 1);
	}
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
}

/* Without a flow API one queue is asked for, however many there are: its frames would be spread. */
static void
no_flow_api_is_one_queue(void)
{
	struct zf_stack *a, *b;

	nic_init(FW_NONE);
	a = stack("192.0.2.1", "port_queues=4");
	CU_ASSERT_EQUAL(nic.nb_rx, 1);
	CU_ASSERT_EQUAL(nic.nb_tx, 1);
	CU_ASSERT_EQUAL(info_of(a)->queues, 1);
	CU_ASSERT_FALSE(info_of(a)->caps & PORT_FLOW);
	b = stack("192.0.2.2", "port_queues=4");
	(void)help_zfur(a, "192.0.2.1", 1000);
	(void)help_zfur(b, "192.0.2.2", 1000);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
	/* And one asks for no rule where there is one. */
	nic_init(FW_FULL);
	a = stack("192.0.2.1", "port_queues=1");
	CU_ASSERT_EQUAL(nic.nb_rx, 1);
	(void)help_zfur(a, "192.0.2.1", 1000);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	/* More than the adapter has. */
	nic.queues = 2;
	a = stack("192.0.2.1", "port_queues=60");
	CU_ASSERT_EQUAL(nic.nb_rx, 2);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
}

static void
rings_within_the_limits(void)
{
	static const struct {
		int rx, tx, rc;
		uint32_t got_rx, got_tx;
	} t[] = {
		{512, 512, 0, 512, 512},    {1, 1, 0, 512, 512},       {513, 1025, 0, 1024, 1536},
		{4096, 2048, 0, 4096, 2048}, {4095, 2047, 0, 4096, 2048}, {4097, 512, -EINVAL, 0, 0},
		{512, 2049, -EINVAL, 0, 0}, {0, 512, 0, 512, 512},     {512, 0, 0, 512, 512},
	};

	nic_init(FW_FULL);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		struct zf_stack *st = NULL;
		char more[96];
		int rc;

		snprintf(more, sizeof(more), "n_bufs=8192;rx_ring_max=%d;tx_ring_max=%d", t[i].rx, t[i].tx);
		rc = stack_try("192.0.2.1", more, &st);
		CU_ASSERT_EQUAL(rc, t[i].rc);
		if (rc < 0)
			continue;
		CU_ASSERT_EQUAL(info_of(st)->rx_ring, t[i].got_rx);
		CU_ASSERT_EQUAL(info_of(st)->tx_ring, t[i].got_tx);
		CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	}
}

/* Each offload is asked for where it is offered and not where it is not; some never. */
static void
offloads_by_capability(void)
{
	const uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	const uint64_t tx[] = {RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
			       RTE_ETH_TX_OFFLOAD_TCP_CKSUM, RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
	const uint32_t caps[] = {PORT_CSUM_TX_IP, PORT_CSUM_TX_UDP, PORT_CSUM_TX_TCP, PORT_TX_MULTISEG};

	for (uint32_t set = 0; set < 16; set++) {
		uint64_t want = 0;
		struct zf_stack *st;

		nic_init(FW_FULL);
		nic.tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_TCP_TSO;
		nic.rx_offloads = set & 1 ? rx : rx & ~RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
		for (uint32_t i = 0; i < 4; i++)
			if (set >> i & 1)
				want |= tx[i];
		nic.tx_offloads |= want;
		st = stack("192.0.2.1", "");
		CU_ASSERT_EQUAL(nic.conf.txmode.offloads, want);
		CU_ASSERT_EQUAL(nic.conf.rxmode.offloads, set & 1 ? rx : 0);
		CU_ASSERT_EQUAL((info_of(st)->caps & PORT_CSUM_RX) != 0, (set & 1) != 0);
		for (uint32_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL((info_of(st)->caps & caps[i]) != 0, (set >> i & 1) != 0);
		CU_ASSERT_EQUAL(nic.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
		CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	}
}

/* What the PMD wants around a frame is in the buffers. */
static void
buffers_have_room_for_the_adapter(void)
{
	struct zf_stack *st;

	nic_init(FW_FULL);
	st = stack("192.0.2.1", "");
	CU_ASSERT_EQUAL(info_of(st)->mtu, 1500);
	CU_ASSERT_EQUAL(info_of(st)->rx_headroom, 269);
	CU_ASSERT_TRUE(rte_pktmbuf_data_room_size(st->port->port->pool->mp) >= RTE_PKTMBUF_HEADROOM + 1500 + 22 + 269);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* A PMD that refuses the wish for interrupts is configured without. */
static void
interrupts_are_a_wish(void)
{
	struct zf_stack *st;

	nic_init(FW_FULL);
	nic.refuses_intr = true;
	st = stack("192.0.2.1", "port_queues=2");
	CU_ASSERT_EQUAL(nic.conf.intr_conf.rxq, 0);
	CU_ASSERT_EQUAL(nic.nb_rx, 3);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* The queues are set up again and the rules made again; the ones from before are not taken away a second time. */
static void
rules_come_back_after_a_reset(void)
{
	struct zf_stack *st;
	struct zfur *ur;

	nic_init(FW_LOW_LATENCY);
	st = stack("192.0.2.1", "port_queues=2");
	ur = help_zfur(st, "192.0.2.1", 1000);
	for (uint32_t i = 1; i <= 3; i++) {
		rte_eth_dev_callback_process(rte_eth_dev_allocated("net_null0"), RTE_ETH_EVENT_INTR_RESET, NULL);
		(void)zf_reactor_perform(st);
		CU_ASSERT_EQUAL(nic.resets, i);
		CU_ASSERT_EQUAL(nic.nb_rx, 3);
		rule_is(NULL, 0, RTE_FLOW_ITEM_TYPE_UDP, "192.0.2.1", 1000, "0.0.0.0", 0, 0);
	}
	CU_ASSERT_EQUAL(zfur_free(ur), 0);
	CU_ASSERT_EQUAL(rules(), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(nic.strange, 0);
}

/* A port that the application brought along, with the datapath that TCP cannot have. */
static void
the_simple_datapath_is_refused(void)
{
	char text[] = "rx_datapath=ef10,tx_datapath=ef10_simple";
	struct rte_devargs args = {.args = text};
	struct zf_stack *st = NULL;

	nic_init(FW_FULL);
	CU_ASSERT_EQUAL_FATAL(rte_eal_hotplug_add("vdev", "net_null0", "no-rx=1"), 0);
	nic.devargs = &args;
	CU_ASSERT_EQUAL(stack_try("192.0.2.1", "", &st), -EINVAL);
	text[strlen(text) - strlen("_simple")] = '\0';
	CU_ASSERT_EQUAL(stack_try("192.0.2.1", "", &st), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(rte_eal_hotplug_remove("vdev", "net_null0"), 0);
}

static void
devargs_are_merged_key_by_key(void)
{
	static const struct {
		uint16_t vendor, device;
		const char *user, *out;
	} t[] = {
		{0x1924, 0x0a03, "",
		 "D,rx_datapath=ef10,tx_datapath=ef10,perf_profile=low-latency,stats_update_period_ms=0,"
		 "fw_variant=ultra-low-latency"},
		{0x1924, 0x0903, "fw_variant=full-feature",
		 "D,fw_variant=full-feature,rx_datapath=ef10,tx_datapath=ef10,perf_profile=low-latency,"
		 "stats_update_period_ms=0"},
		{0x1924, 0x0b03, "tx_datapath=efx,rx_datapath=efx,perf_profile=throughput,stats_update_period_ms=1000",
		 "D,tx_datapath=efx,rx_datapath=efx,perf_profile=throughput,stats_update_period_ms=1000,"
		 "fw_variant=ultra-low-latency"},
		{0x1924, 0x1a03, "",
		 "D,rx_datapath=ef10,tx_datapath=ef10,perf_profile=low-latency,stats_update_period_ms=0"},
		{0x10ee, 0x0100, "class=net", "D,class=net,rx_datapath=ef100,tx_datapath=ef100,stats_update_period_ms=0"},
		{0x1924, 0x0803, "", "D"}, /* older than what net_sfc drives */
		{0x8086, 0x1572, "", "D"},
		{0x8086, 0x1572, "x=1", "D,x=1"},
	};
	char out[512];

	for (size_t i = 0; i < ZF_ARRAY_SIZE(t); i++) {
		CU_ASSERT_EQUAL(ethdev_devargs("D", t[i].user, ethdev_profile(t[i].vendor, t[i].device), out,
					       sizeof(out)),
				0);
		CU_ASSERT_STRING_EQUAL(out, t[i].out);
	}
	CU_ASSERT_EQUAL(ethdev_devargs("D", "", ethdev_profile(0x1924, 0x0a03), out, 100), -EINVAL);
	CU_ASSERT_TRUE(ethdev_args_forbidden("tx_datapath=ef10_simple"));
	CU_ASSERT_TRUE(ethdev_args_forbidden("rx_datapath=ef10,tx_datapath=ef10_simple,x=1"));
	CU_ASSERT_FALSE(ethdev_args_forbidden("tx_datapath=ef10"));
	CU_ASSERT_FALSE(ethdev_args_forbidden("rx_datapath=ef10_simple"));
	CU_ASSERT_FALSE(ethdev_args_forbidden(""));
	CU_ASSERT_FALSE(ethdev_args_forbidden(NULL));
}

static const struct unit_test tests[] = {
	UNIT(full_feature_patterns),
	UNIT(low_latency_patterns),
	UNIT(rules_lead_to_the_stacks_queue),
	UNIT(codes_of_the_flow_api),
	UNIT(no_flow_api_is_one_queue),
	UNIT(rings_within_the_limits),
	UNIT(offloads_by_capability),
	UNIT(buffers_have_room_for_the_adapter),
	UNIT(interrupts_are_a_wish),
	UNIT(rules_come_back_after_a_reset),
	UNIT(the_simple_datapath_is_refused),
	UNIT(devargs_are_merged_key_by_key),
};

int
main(int argc, char **argv)
{
	return unit_main("test_sfc", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
