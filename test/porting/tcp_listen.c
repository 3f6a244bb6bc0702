/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The passive side: one listener, several connections, which outlive it.
 */
#include "porting.h"

#define CONNECTIONS 10

int
main(void)
{
	struct zft *client[CONNECTIONS], *server[CONNECTIONS];
	struct sockaddr_in there, name;
	socklen_t len = sizeof(name);
	struct zftl *listener, *second;
	struct iovec iov;
	char text[16];
	int i;

	open_both();
	there = address("10.0.0.2", 0);
	MUST(zftl_listen(stack_b, (struct sockaddr *)&there, sizeof(there), attr_b, &listener));
	zftl_getname(listener, (struct sockaddr *)&name, &len);
	CHECK(name.sin_port != 0 && name.sin_addr.s_addr == there.sin_addr.s_addr);
	CHECK(zftl_listen(stack_b, (struct sockaddr *)&name, sizeof(name), attr_b, &second) == -EADDRINUSE);
	CHECK(zftl_accept(listener, &server[0]) == -EAGAIN);
	for (i = 0; i < CONNECTIONS; i++) {
		struct zft_handle *handle;

		MUST(zft_alloc(stack_a, attr_a, &handle));
		MUST(zft_connect(handle, (struct sockaddr *)&name, sizeof(name), &client[i]));
		POLL_UNTIL(zftl_accept(listener, &server[i]) == 0);
	}
	MUST(zftl_free(listener));
	for (i = 0; i < CONNECTIONS; i++) {
		int n = snprintf(text, sizeof(text), "number %d", i), rc;

		CHECK(zft_send_single(server[i], text, (size_t)n, 0) == n);
		iov.iov_base = text;
		iov.iov_len = sizeof(text);
		memset(text, 0, sizeof(text));
		POLL_UNTIL((rc = zft_recv(client[i], &iov, 1, 0)) != -EAGAIN);
		CHECK(rc == n && atoi(text + 7) == i);
	}
	for (i = 0; i < CONNECTIONS; i++) {
		MUST(zft_free(client[i]));
		MUST(zft_free(server[i]));
	}
	return close_all("tcp_listen");
}
