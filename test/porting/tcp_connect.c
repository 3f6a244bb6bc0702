/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The active side: a connection, names, sends of every kind, copying reads, the end of both streams; a refusal.
 */
#include "porting.h"

/* @wanted bytes; or what ended the stream before. */
static int
read_exactly(struct zft *ts, unsigned char *to, int wanted)
{
	int got = 0, rc = 0;
	struct iovec iov;

	while (got < wanted) {
		iov.iov_base = to + got;
		iov.iov_len = (size_t)(wanted - got);
		POLL_UNTIL((rc = zft_recv(ts, &iov, 1, 0)) != -EAGAIN);
		if (rc <= 0)
			return rc;
		got += rc;
	}
	return got;
}

static void
is_refused(void)
{
	struct sockaddr_in nobody = address("10.0.0.2", 9);
	struct zft_handle *handle;
	struct zft *ts;

	MUST(zft_alloc(stack_a, attr_a, &handle));
	MUST(zft_connect(handle, (struct sockaddr *)&nobody, sizeof(nobody), &ts));
	POLL_UNTIL(zft_state(ts) == TCP_CLOSE);
	CHECK(zft_error(ts) == ECONNREFUSED);
	CHECK(zft_send_single(ts, "x", 1, 0) == -ENOTCONN);
	MUST(zft_free(ts));
}

int
main(void)
{
	struct zft *client, *server;
	struct sockaddr_in local, remote;
	socklen_t llen = sizeof(local), rlen = sizeof(remote);
	unsigned char got[64];
	struct iovec iov[2];
	char hello[] = "hello, ", world[] = "world";
	size_t space = 0;

	open_both();
	is_refused();
	connect_both(&client, &server);
	zft_getname(client, (struct sockaddr *)&local, &llen, (struct sockaddr *)&remote, &rlen);
	CHECK(local.sin_addr.s_addr == inet_addr("10.0.0.1") && ntohs(local.sin_port) == 2001);
	CHECK(remote.sin_addr.s_addr == inet_addr("10.0.0.2") && ntohs(remote.sin_port) == 2000);
	CHECK(zft_get_mss(client) >= 536);
	CHECK(zft_get_header_size(client) >= 54);
	CHECK(zft_send_space(client, &space) == 0 && space > 0);

	iov[0].iov_base = hello;
	iov[0].iov_len = strlen(hello);
	iov[1].iov_base = world;
	iov[1].iov_len = strlen(world);
	CHECK(zft_send(client, iov, 2, 0) == 12);
	CHECK(read_exactly(server, got, 12) == 12 && memcmp(got, "hello, world", 12) == 0);
	/* The first half waits for the second. */
	CHECK(zft_send_single(server, hello, 7, MSG_MORE) == 7);
	CHECK(zft_send_single(server, world, 5, 0) == 5);
	CHECK(read_exactly(client, got, 12) == 12 && memcmp(got, "hello, world", 12) == 0);
	CHECK(zft_send_single_warm(client, hello, 7) == 7);

	iov[0].iov_base = got;
	iov[0].iov_len = sizeof(got);
	CHECK(zft_recv(client, iov, 1, 0) == -EAGAIN);
	MUST(zft_shutdown_tx(client));
	CHECK(zft_send_single(client, world, 5, 0) == -ENOTCONN);
	CHECK(read_exactly(server, got, 1) == 0);
	CHECK(zft_send_single(server, world, 5, 0) == 5);
	MUST(zft_shutdown_tx(server));
	CHECK(read_exactly(client, got, 5) == 5 && memcmp(got, world, 5) == 0);
	CHECK(read_exactly(client, got, 1) == 0);
	CHECK(zft_error(client) == 0);
	MUST(zft_free(client));
	MUST(zft_free(server));
	return close_all("tcp_connect");
}
