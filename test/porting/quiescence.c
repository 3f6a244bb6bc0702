/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Ending in order: a stack with an open connection is not quiescent, one whose connections have ended is, and its waitable
 * says so.
 */
#include "porting.h"

int
main(void)
{
	struct zf_muxer_set *set;
	struct zft *client, *server;
	struct epoll_event ev;

	open_both();
	POLL_UNTIL(zf_stack_is_quiescent(stack_a) && zf_stack_is_quiescent(stack_b));
	connect_both(&client, &server);
	MUST(zf_muxer_alloc(stack_b, &set));
	memset(&ev, 0, sizeof(ev));
	ev.events = EPOLLSTACKHUP;
	ev.data.ptr = stack_b;
	MUST(zf_muxer_add(set, zf_stack_to_waitable(stack_b), &ev));
	CHECK(zf_muxer_wait(set, &ev, 1, 0) == 0);
	CHECK(!zf_stack_is_quiescent(stack_a) && !zf_stack_is_quiescent(stack_b));

	/* The zocket goes, the connection lives on until the peer has ended its side. */
	MUST(zft_free(server));
	CHECK(!zf_stack_is_quiescent(stack_b));
	POLL_UNTIL(zft_state(client) == TCP_CLOSE_WAIT);
	MUST(zft_free(client));
	memset(&ev, 0, sizeof(ev));
	POLL_UNTIL(zf_muxer_wait(set, &ev, 1, 0) == 1);
	CHECK((ev.events & EPOLLSTACKHUP) != 0 && ev.data.ptr == stack_b);
	POLL_UNTIL(zf_stack_is_quiescent(stack_a));
	CHECK(zf_stack_is_quiescent(stack_b));
	/* It may be wrong in saying that there is work, but with none it ends soon. */
	POLL_UNTIL(zf_stack_has_pending_events(stack_b) == 0);
	zf_muxer_free(set);
	return close_all("quiescence");
}
