/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The guide's second example, corrected: reads in place, a message that is given back in part, and a stream that is
 * larger than any window, up to its end.
 */
#include "porting.h"

#define TOTAL 3000000u

static unsigned char
pattern(uint32_t at)
{
	return (unsigned char)(at * 31u + (at >> 8));
}

/* What fits now. */
static uint32_t
send_more(struct zft *ts, uint32_t at)
{
	unsigned char data[4096];
	uint32_t n = TOTAL - at < sizeof(data) ? TOTAL - at : (uint32_t)sizeof(data), i;
	ssize_t rc;

	if (n == 0)
		return 0;
	for (i = 0; i < n; i++)
		data[i] = pattern(at + i);
	rc = zft_send_single(ts, data, n, 0);
	CHECK(rc > 0 || rc == -EAGAIN || rc == -ENOMEM);
	return rc > 0 ? (uint32_t)rc : 0;
}

static uint32_t wrong;

/* What is there now. Of every other message only the first half is taken, and the rest comes again. */
static uint32_t
read_more(struct zft *ts, uint32_t at, int *rc)
{
	union tcp_message rd;
	uint32_t i, n = 0;
	size_t taken;
	int k;

	memset(&rd, 0, sizeof(rd));
	rd.msg.iovcnt = N_BUFFERS;
	zft_zc_recv(ts, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return 0;
	for (k = 0; k < rd.msg.iovcnt; k++) {
		const unsigned char *p = (const unsigned char *)tcp_buffer(&rd, k)->iov_base;

		for (i = 0; i < tcp_buffer(&rd, k)->iov_len; i++)
			wrong += p[i] != pattern(at + n + i);
		n += (uint32_t)tcp_buffer(&rd, k)->iov_len;
	}
	taken = (at & 1) != 0 && n > 1 ? n / 2 : n;
	if (taken < n) {
		*rc = zft_zc_recv_done_some(ts, &rd.msg, taken);
		CHECK(*rc > 0);
	} else {
		*rc = zft_zc_recv_done(ts, &rd.msg);
	}
	return (uint32_t)taken;
}

int
main(void)
{
	uint32_t sent = 0, got = 0;
	struct zft *client, *server;
	int rc = 1;

	open_both();
	connect_both(&client, &server);
	POLL_UNTIL((sent += send_more(client, sent), got += read_more(server, got, &rc)) == TOTAL);
	CHECK(sent == TOTAL);
	CHECK(wrong == 0);
	CHECK(rc > 0);
	MUST(zft_shutdown_tx(client));
	/* The end is a message of its own, which gives 0 when it is given back. */
	POLL_UNTIL(read_more(server, got, &rc) == 0 && rc == 0);
	CHECK(zft_state(server) == TCP_CLOSE_WAIT);
	MUST(zft_free(server));
	MUST(zft_free(client));
	return close_all("tcp_zero_copy");
}
