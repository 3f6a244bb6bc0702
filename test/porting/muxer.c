/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many zockets through one call: a listener, connections and a UDP zocket in one set.
 */
#include "porting.h"

static struct epoll_event
wanted(uint32_t events, void *who)
{
	struct epoll_event ev;

	memset(&ev, 0, sizeof(ev));
	ev.events = events;
	ev.data.ptr = who;
	return ev;
}

/* The one event that comes within 20 s; the other stack is polled meanwhile. */
static struct epoll_event
next_event(struct zf_muxer_set *set)
{
	struct epoll_event ev;
	int n = 0;

	memset(&ev, 0, sizeof(ev));
	POLL_UNTIL((n = zf_muxer_wait(set, &ev, 1, 0)) > 0);
	CHECK(n == 1);
	return ev;
}

int
main(void)
{
	struct sockaddr_in there, from;
	struct zf_muxer_set *set, *other;
	struct zft_handle *handle;
	struct zft *client, *server;
	struct epoll_event ev;
	struct zftl *listener;
	union tcp_message rd;
	struct zfur *ur;
	struct zfut *ut;

	open_both();
	there = address("10.0.0.2", 2000);
	from = address("10.0.0.1", 2000);
	MUST(zf_muxer_alloc(stack_b, &set));
	MUST(zf_muxer_alloc(stack_a, &other));
	MUST(zftl_listen(stack_b, (struct sockaddr *)&there, sizeof(there), attr_b, &listener));
	MUST(zfur_alloc(&ur, stack_b, attr_b));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&there, sizeof(there), NULL, 0, 0));
	ev = wanted(EPOLLIN, listener);
	MUST(zf_muxer_add(set, zftl_to_waitable(listener), &ev));
	CHECK(zf_muxer_add(set, zftl_to_waitable(listener), &ev) == -EALREADY);
	CHECK(zf_muxer_add(other, zftl_to_waitable(listener), &ev) < 0);
	ev = wanted(EPOLLIN, ur);
	MUST(zf_muxer_add(set, zfur_to_waitable(ur), &ev));
	CHECK(zf_muxer_wait(set, &ev, 1, 0) == 0);
	CHECK(zf_muxer_wait(set, &ev, 1, 1000000) == 0);

	MUST(zft_alloc(stack_a, attr_a, &handle));
	MUST(zft_connect(handle, (struct sockaddr *)&there, sizeof(there), &client));
	CHECK(next_event(set).data.ptr == listener);
	MUST(zftl_accept(listener, &server));
	/* Ready for sending from the beginning. */
	ev = wanted(EPOLLIN | EPOLLOUT, server);
	MUST(zf_muxer_add(set, zft_to_waitable(server), &ev));
	ev = next_event(set);
	CHECK(ev.data.ptr == server && ev.events == EPOLLOUT);
	ev = wanted(EPOLLIN, server);
	MUST(zf_muxer_mod(zft_to_waitable(server), &ev));
	CHECK(zf_waitable_event(zft_to_waitable(server))->events == EPOLLIN);

	MUST(zfut_alloc(&ut, stack_a, (struct sockaddr *)&from, sizeof(from), (struct sockaddr *)&there, sizeof(there), 0,
			attr_a));
	CHECK(zfut_send_single(ut, "datagram", 8) == 8);
	ev = next_event(set);
	CHECK(ev.data.ptr == ur && ev.events == EPOLLIN);

	POLL_UNTIL(zft_state(client) == TCP_ESTABLISHED);
	CHECK(zft_send_single(client, "stream", 6, 0) == 6);
	ev = next_event(set);
	CHECK(ev.data.ptr == server && ev.events == EPOLLIN);
	/* Told once; again when it is armed again and still true. */
	CHECK(zf_muxer_wait(set, &ev, 1, 0) == 0);
	MUST(zf_muxer_mod(zft_to_waitable(server), zf_waitable_event(zft_to_waitable(server))));
	CHECK(next_event(set).data.ptr == server);
	memset(&rd, 0, sizeof(rd));
	rd.msg.iovcnt = N_BUFFERS;
	zft_zc_recv(server, &rd.msg, 0);
	CHECK(rd.msg.iovcnt == 1 && tcp_buffer(&rd, 0)->iov_len == 6);
	CHECK(zft_zc_recv_done(server, &rd.msg) > 0);

	MUST(zf_muxer_del(zfur_to_waitable(ur)));
	CHECK(zf_muxer_del(zfur_to_waitable(ur)) == -EINVAL);
	CHECK(zf_waitable_event(zfur_to_waitable(ur)) == NULL);
	MUST(zft_free(server));
	MUST(zft_free(client));
	MUST(zfut_free(ut));
	MUST(zfur_free(ur));
	MUST(zftl_free(listener));
	zf_muxer_free(set);
	zf_muxer_free(other);
	return close_all("muxer");
}
