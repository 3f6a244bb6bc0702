/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives, by the guide's example: updates of A, of B or of both lie ready; one is sent, the others are cancelled; a
 * message is changed by queueing it anew on another alternative; space and overhead are asked for.
 */
#include "porting.h"

static int
queue(struct zft *ts, zf_althandle alt, const char *text)
{
	struct iovec iov;

	iov.iov_base = (void *)(uintptr_t)text;
	iov.iov_len = strlen(text);
	return zft_alternatives_queue(ts, alt, &iov, 1, 0);
}

/* The next bytes of the stream are @text. */
static void
arrives(struct zft *ts, const char *text)
{
	size_t want = strlen(text), got = 0;
	char buf[64];
	struct iovec iov;
	int rc = 0;

	while (got < want) {
		iov.iov_base = buf + got;
		iov.iov_len = want - got;
		POLL_UNTIL((rc = zft_recv(ts, &iov, 1, 0)) != -EAGAIN);
		if (rc <= 0)
			break;
		got += (size_t)rc;
	}
	CHECK(got == want && memcmp(buf, text, want) == 0);
}

int
main(void)
{
	zf_althandle queue_a, queue_b, queue_ab, queue_new_ab;
	struct ef_vi_transmit_alt_overhead overhead;
	struct zft *client, *server;
	unsigned space;

	MUST(setenv("ZF_ATTR", "alt_count=4", 1));
	open_both();
	connect_both(&client, &server);
	MUST(zf_alternatives_alloc(stack_a, attr_a, &queue_a));
	MUST(queue(client, queue_a, "update A"));
	MUST(zf_alternatives_alloc(stack_a, attr_a, &queue_b));
	MUST(queue(client, queue_b, "update B"));
	MUST(zf_alternatives_alloc(stack_a, attr_a, &queue_ab));
	MUST(queue(client, queue_ab, "update A"));
	MUST(queue(client, queue_ab, "update B"));

	/* Edited: on another one, and the first is given up. */
	MUST(zf_alternatives_alloc(stack_a, attr_a, &queue_new_ab));
	CHECK(zf_alternatives_alloc(stack_a, attr_a, &queue_ab) == -ENOMEM);
	MUST(queue(client, queue_new_ab, "edited A"));
	MUST(queue(client, queue_new_ab, "update B"));
	MUST(zf_alternatives_release(stack_a, queue_ab));

	MUST(zf_alternatives_send(stack_a, queue_new_ab));
	CHECK(zf_alternatives_send(stack_a, queue_a) == -EINVAL);
	MUST(zf_alternatives_cancel(stack_a, queue_a));
	MUST(zf_alternatives_cancel(stack_a, queue_b));
	CHECK(queue(client, queue_a, "too soon") == -EBUSY);
	arrives(server, "edited Aupdate B");
	POLL_UNTIL(queue(client, queue_a, "once more") == 0);
	MUST(zf_alternatives_send(stack_a, queue_a));
	arrives(server, "once more");

	POLL_UNTIL(queue(client, queue_b, "") == 0);
	space = zf_alternatives_free_space(stack_a, queue_b);
	MUST(zf_alternatives_query_overhead_tcp(client, &overhead));
	CHECK(space > zft_get_header_size(client));
	MUST(queue(client, queue_b, "update B"));
	CHECK(space - zf_alternatives_free_space(stack_a, queue_b) == ef_vi_transmit_alt_usage(&overhead, 8));
	CHECK(zf_alternatives_query_overhead_tcp(server, &overhead) == 0);

	MUST(zft_free(client)); /* with a message queued */
	MUST(zft_free(server));
	return close_all("alternatives");
}
