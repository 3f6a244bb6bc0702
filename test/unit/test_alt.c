/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives at the beginning and the end of a stack: attributes, and what a stack leaves behind that is freed with
 * messages queued. Everything in between is in test/pkt/pkt_tcp_alt*.c.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>

#include "core/pool.h"
#include "mem/mem.h"
#include "zf/zf.h"

static struct zf_attr *
attrs(const char *interface, int alt_count)
{
	struct zf_attr *a = NULL;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&a), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_set_str(a, "interface", interface), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_set_str(a, "ipv4", "10.0.0.1/24"), 0);
	CU_ASSERT_EQUAL_FATAL(zf_attr_set_int(a, "alt_count", alt_count), 0);
	return a;
}

static void
stack_with_too_many(void)
{
	static const struct {
		int count, rc;
	} is[] = {{-1, -EINVAL}, {0, 0}, {1, 0}, {17, 0}, {18, -EBUSY}, {INT32_MAX, -EBUSY}};

	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		struct zf_attr *a = attrs("wire:alt/a", is[i].count);
		struct zf_stack *st = NULL;

		CU_ASSERT_EQUAL(zf_stack_alloc(a, &st), is[i].rc);
		CU_ASSERT_EQUAL(st != NULL, is[i].rc == 0);
		if (st != NULL)
			CU_ASSERT_EQUAL(zf_stack_free(st), 0);
		zf_attr_free(a);
	}
}

static void
stack_without_room_for_them(void)
{
	static const char *const names[] = {"alt_buf_size", "tx_ring_max"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zf_attr *a = attrs("wire:alt/a", 1);
		struct zf_stack *st;

		CU_ASSERT_EQUAL(zf_attr_set_int(a, names[i], 0), 0);
		CU_ASSERT_EQUAL(zf_stack_alloc(a, &st), -EINVAL);
		zf_attr_free(a);
	}
}

/* A port with alternatives of its own: fewer than asked for, and a queue that is not shared. */
static void
stack_on_a_port_that_has_some(void)
{
	struct zf_attr *a = attrs("mem:altport", 3), *other = attrs("mem:altport", 0);
	struct zf_stack *st, *second;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mem_port("altport"));
	mem_cfg(mem_port("altport"))->alts = 2;
	CU_ASSERT_EQUAL(zf_stack_alloc(a, &st), -EBUSY);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "alt_count", 2), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(a, &st), 0);
	CU_ASSERT_EQUAL(zf_attr_set_str(other, "ipv4", "10.0.0.2/24"), 0);
	CU_ASSERT_EQUAL(zf_stack_alloc(other, &second), -EBUSY);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	/* One without alternatives shares; who comes later has them in software. */
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(other, &second), 0);
	CU_ASSERT_EQUAL(zf_stack_alloc(a, &st), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(zf_stack_free(second), 0);
	CU_ASSERT_EQUAL(mem_forget(mem_port("altport")), 0);
	zf_attr_free(a);
	zf_attr_free(other);
}

static struct zft *
connect_to_itself(struct zf_stack *st, struct zf_attr *a, struct zftl **tl, struct zft **peer)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(2000)};
	struct zft_handle *h;
	struct zft *ts;

	inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
	CU_ASSERT_EQUAL_FATAL(zftl_listen(st, (struct sockaddr *)&addr, sizeof(addr), a, tl), 0);
	CU_ASSERT_EQUAL_FATAL(zft_alloc(st, a, &h), 0);
	CU_ASSERT_EQUAL_FATAL(zft_connect(h, (struct sockaddr *)&addr, sizeof(addr), &ts), 0);
	for (int i = 0; i < 100 && zftl_accept(*tl, peer) == -EAGAIN; i++)
		(void)zf_reactor_perform(st);
	CU_ASSERT_EQUAL_FATAL(zft_state(ts), TCP_ESTABLISHED);
	return ts;
}

/* In each state that an alternative can be in. */
static void
stack_freed_with_messages_queued(void)
{
	static char bytes[4000];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct zf_attr *a = attrs("wire:loop", 4);
	struct zft *ts, *peer = NULL;
	zf_althandle alt[4];
	struct zf_stack *st;
	struct zftl *tl;

	CU_ASSERT_EQUAL(pool_reap(), 0);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "tcp_alt_ack_rewind", 1), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(a, &st), 0);
	ts = connect_to_itself(st, a, &tl, &peer);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL_FATAL(zf_alternatives_alloc(st, a, &alt[i]), 0);
		CU_ASSERT_EQUAL(zft_alternatives_queue(ts, alt[i], &iov, 1, 0), 0);
	}
	CU_ASSERT_EQUAL(zf_alternatives_cancel(st, alt[1]), 0); /* drains */
	CU_ASSERT_EQUAL(zft_send_single(peer, bytes, 100, 0), 100);
	for (int i = 0; i < 4; i++)
		(void)zf_reactor_perform(st);
	CU_ASSERT_EQUAL(zf_alternatives_send(st, alt[0]), 0);
	CU_ASSERT_EQUAL(zf_alternatives_send(st, alt[2]), -EINVAL);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0); /* every buffer is home */
	zf_attr_free(a);
}

/* The whole way, long frames too, over a port that copies. */
static void
payload_arrives(void)
{
	static char out[5000], in[sizeof(out) + 1];
	struct zf_attr *a = attrs("wire:loop", 2);
	struct zft *ts, *peer = NULL;
	struct zf_stack *st;
	struct zftl *tl;
	zf_althandle alt;
	size_t got = 0;

	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(a, &st), 0);
	ts = connect_to_itself(st, a, &tl, &peer);
	CU_ASSERT_EQUAL_FATAL(zf_alternatives_alloc(st, a, &alt), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 256);
	for (size_t off = 0; off < sizeof(out); off += 1000)
		CU_ASSERT_EQUAL(zft_alternatives_queue(ts, alt, &(struct iovec){out + off, 1000}, 1, 0), 0);
	CU_ASSERT_EQUAL(zf_alternatives_send(st, alt), 0);
	for (int i = 0; i < 100 && got < sizeof(out); i++) {
		struct iovec iov = {in + got, sizeof(in) - got};
		ssize_t n;

		(void)zf_reactor_perform(st);
		n = zft_recv(peer, &iov, 1, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	CU_ASSERT_EQUAL(got, sizeof(out));
	CU_ASSERT_EQUAL(memcmp(in, out, sizeof(out)), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	zf_attr_free(a);
}

static const struct unit_test tests[] = {
	UNIT(stack_with_too_many),
	UNIT(stack_without_room_for_them),
	UNIT(stack_on_a_port_that_has_some),
	UNIT(stack_freed_with_messages_queued),
	UNIT(payload_arrives),
};

UNIT_MAIN("alt", tests)
