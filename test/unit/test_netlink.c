/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lib/stack/netlink: recorded answers, every truncation and many corruptions of them, and one question to the kernel
 * that the test runs on.
 */
#include "stack/netlink.h"
#include "netlink_answers.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#define SEQ 77

struct seen {
	struct netlink_link links[16];
	struct netlink_addr addrs[16];
	struct netlink_route routes[16];
	uint32_t n_links, n_addrs, n_routes;
};

static void
see_link(void *opaque, const struct netlink_link *l)
{
	struct seen *s = opaque;

	s->links[s->n_links++ % 16] = *l;
}

static void
see_addr(void *opaque, const struct netlink_addr *a)
{
	struct seen *s = opaque;

	s->addrs[s->n_addrs++ % 16] = *a;
}

static void
see_route(void *opaque, const struct netlink_route *r)
{
	struct seen *s = opaque;

	s->routes[s->n_routes++ % 16] = *r;
}

static int
parse(struct seen *s, const void *buf, size_t len, uint32_t seq)
{
	const struct netlink_sink sink = {s, see_link, see_addr, see_route};

	return netlink_parse(buf, len, seq, &sink);
}

static bool
addr_is(be32_t a, const char *text)
{
	return a.raw == inet_addr(text);
}

static void
links_of_a_recorded_answer(void)
{
	static const uint8_t v0_mac[6] = {0x1a, 0x46, 0x9e, 0xf0, 0xad, 0xf7};
	struct seen s = {0};

	CU_ASSERT_EQUAL(parse(&s, answer_links_1, sizeof(answer_links_1), SEQ), 1);
	CU_ASSERT_EQUAL(s.n_links, 3);
	CU_ASSERT_STRING_EQUAL(s.links[0].name, "lo");
	CU_ASSERT_EQUAL(s.links[0].index, 1);
	CU_ASSERT_EQUAL(s.links[0].mtu, 65536);
	CU_ASSERT_TRUE(s.links[0].flags & IFF_LOOPBACK);
	CU_ASSERT_STRING_EQUAL(s.links[0].kind, "");
	CU_ASSERT_STRING_EQUAL(s.links[2].name, "v0");
	CU_ASSERT_EQUAL(s.links[2].index, 3);
	CU_ASSERT_EQUAL(s.links[2].lower, 2); /* a veth's peer */
	CU_ASSERT_EQUAL(s.links[2].mtu, 1500);
	CU_ASSERT_EQUAL(s.links[2].vlan, 0);
	CU_ASSERT_TRUE((s.links[2].flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING));
	CU_ASSERT_STRING_EQUAL(s.links[2].kind, "veth");
	CU_ASSERT_EQUAL(memcmp(s.links[2].mac, v0_mac, 6), 0);
}

static void
vlan_devices_have_tag_and_lower_port(void)
{
	struct seen s = {0};

	CU_ASSERT_EQUAL(parse(&s, answer_links_2, sizeof(answer_links_2), SEQ), 0);
	CU_ASSERT_EQUAL(s.n_links, 3);
	CU_ASSERT_STRING_EQUAL(s.links[0].name, "v0.100");
	CU_ASSERT_STRING_EQUAL(s.links[0].kind, "vlan");
	CU_ASSERT_EQUAL(s.links[0].vlan, 100);
	CU_ASSERT_EQUAL(s.links[0].lower, 3);
	CU_ASSERT_EQUAL(s.links[1].vlan, 7);
	CU_ASSERT_EQUAL(s.links[1].lower, 7);
	CU_ASSERT_EQUAL(s.links[2].vlan, 9);
	CU_ASSERT_EQUAL(s.links[2].lower, 0); /* the index is another namespace's */
}

static void
addresses_of_a_recorded_answer(void)
{
	struct seen s = {0};

	CU_ASSERT_EQUAL(parse(&s, answer_addrs, sizeof(answer_addrs), SEQ), 0);
	CU_ASSERT_EQUAL(s.n_addrs, 3);
	CU_ASSERT_TRUE(addr_is(s.addrs[0].addr, "127.0.0.1"));
	CU_ASSERT_EQUAL(s.addrs[0].prefix_len, 8);
	CU_ASSERT_EQUAL(s.addrs[0].index, 1);
	bool plain = false, peer = false;
	for (uint32_t i = 1; i < 3; i++) {
		CU_ASSERT_EQUAL(s.addrs[i].index, 3);
		plain |= addr_is(s.addrs[i].addr, "10.9.0.1") && s.addrs[i].prefix_len == 24;
		peer |= addr_is(s.addrs[i].addr, "10.9.1.1"); /* ours, not the other end's */
	}
	CU_ASSERT_TRUE(plain);
	CU_ASSERT_TRUE(peer);
}

static void
routes_of_the_main_table_only(void)
{
	struct seen s = {0};
	bool dflt = false, net = false, link = false;

	CU_ASSERT_EQUAL(parse(&s, answer_routes, sizeof(answer_routes), SEQ), 0);
	CU_ASSERT_EQUAL(s.n_routes, 4);
	for (uint32_t i = 0; i < s.n_routes && i < 16; i++) {
		const struct netlink_route *r = &s.routes[i];

		CU_ASSERT_EQUAL(r->out_index, 3);
		CU_ASSERT_FALSE(addr_is(r->dst, "10.60.0.0")); /* table 100 */
		CU_ASSERT_FALSE(addr_is(r->dst, "10.70.0.0")); /* blackhole */
		dflt |= r->prefix_len == 0 && r->dst.raw == 0 && addr_is(r->gateway, "10.9.0.254") &&
			r->metric == 7;
		net |= r->prefix_len == 16 && addr_is(r->dst, "10.50.0.0") && addr_is(r->gateway, "10.9.0.253");
		link |= r->prefix_len == 24 && addr_is(r->dst, "10.9.0.0") && r->gateway.raw == 0;
	}
	CU_ASSERT_TRUE(dflt && net && link);
}

static void
answers_to_others_are_skipped(void)
{
	struct seen s = {0};

	CU_ASSERT_EQUAL(parse(&s, answer_links_2, sizeof(answer_links_2), SEQ + 1), 1);
	CU_ASSERT_EQUAL(s.n_links, 0);
	CU_ASSERT_EQUAL(netlink_parse(answer_links_1, sizeof(answer_links_1), SEQ, &(struct netlink_sink){0}), 1);
}

static void
errors_and_changed_tables_are_reported(void)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} err = {.h = {.nlmsg_len = sizeof(err), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = SEQ},
		 .e = {.error = -EPERM}};
	struct {
		struct nlmsghdr h;
		int result;
	} done = {.h = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE, .nlmsg_seq = SEQ,
			.nlmsg_flags = NLM_F_DUMP_INTR}};
	struct seen s = {0};

	CU_ASSERT_EQUAL(parse(&s, &err, sizeof(err), SEQ), -EPERM);
	err.e.error = INT32_MIN; /* no errno */
	CU_ASSERT_EQUAL(parse(&s, &err, sizeof(err), SEQ), 0);
	CU_ASSERT_EQUAL(parse(&s, &done, sizeof(done), SEQ), -EINTR);
	done.h.nlmsg_flags = 0;
	CU_ASSERT_EQUAL(parse(&s, &done, sizeof(done), SEQ), 0);
	done.result = -ENOBUFS;
	CU_ASSERT_EQUAL(parse(&s, &done, sizeof(done), SEQ), -ENOBUFS);
}

/* In a buffer of exactly that size, so that a sanitizer sees a step too far. */
static int
parse_copy(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);
	struct seen s = {0};
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, data, len);
	rc = parse(&s, copy, len, SEQ);
	free(copy);
	return rc;
}

static void
no_truncation_is_read_past(void)
{
	for (size_t n = 0; n <= sizeof(answer_links_1); n++) {
		int rc = parse_copy(answer_links_1, n);

		CU_ASSERT_TRUE(rc == 1 || rc == -EBADMSG);
	}
	for (size_t n = 0; n < sizeof(answer_addrs); n++)
		CU_ASSERT_TRUE(parse_copy(answer_addrs, n) != 0);
	for (size_t n = 0; n < sizeof(answer_routes); n++)
		CU_ASSERT_TRUE(parse_copy(answer_routes, n) != 0);
}

static void
no_corruption_is_read_past_or_hangs(void)
{
	static const uint8_t values[] = {0, 1, 3, 4, 5, 0x7f, 0x80, 0xff};
	uint8_t copy[sizeof(answer_links_2)];
	int results = 0;

	for (size_t i = 0; i < sizeof(copy); i++) {
		for (size_t v = 0; v < ZF_ARRAY_SIZE(values); v++) {
			memcpy(copy, answer_links_2, sizeof(copy));
			copy[i] = values[v];
			results += parse_copy(copy, sizeof(copy)) <= 1;
		}
	}
	CU_ASSERT_EQUAL(results, (int)(sizeof(copy) * ZF_ARRAY_SIZE(values)));
}

static void
this_kernel_has_a_loopback_interface(void)
{
	struct netlink_addr addrs[64];
	struct netlink_link by_name, by_index;
	int n;

	if (netlink_link_by_name("lo", &by_name) == -EPERM) {
		unit_skip("no netlink here");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(netlink_link_by_name("lo", &by_name), 0);
	CU_ASSERT_TRUE(by_name.flags & IFF_LOOPBACK);
	CU_ASSERT_EQUAL(by_name.index, (int)if_nametoindex("lo"));
	CU_ASSERT_EQUAL(netlink_link_by_index(by_name.index, &by_index), 0);
	CU_ASSERT_STRING_EQUAL(by_index.name, "lo");
	CU_ASSERT_EQUAL(netlink_link_by_name("no_such_if", &by_index), -ENODEV);
	CU_ASSERT_EQUAL(netlink_link_by_name("a_name_that_is_too_long", &by_index), -ENODEV);
	CU_ASSERT_EQUAL(netlink_link_by_index(0, &by_index), -ENODEV);
	CU_ASSERT_EQUAL(netlink_link_by_index(INT32_MAX, &by_index), -ENODEV);
	n = netlink_addrs(by_name.index, addrs, 64);
	CU_ASSERT_TRUE(n >= 0);
	for (int i = 0; i < n && i < 64; i++)
		CU_ASSERT_EQUAL(addrs[i].index, by_name.index);
	CU_ASSERT_TRUE(netlink_addrs(0, NULL, 0) >= n);
}

static const struct unit_test tests[] = {
	UNIT(links_of_a_recorded_answer),
	UNIT(vlan_devices_have_tag_and_lower_port),
	UNIT(addresses_of_a_recorded_answer),
	UNIT(routes_of_the_main_table_only),
	UNIT(answers_to_others_are_skipped),
	UNIT(errors_and_changed_tables_are_reported),
	UNIT(no_truncation_is_read_past),
	UNIT(no_corruption_is_read_past_or_hangs),
	UNIT(this_kernel_has_a_loopback_interface),
};

UNIT_MAIN("test_netlink", tests)
