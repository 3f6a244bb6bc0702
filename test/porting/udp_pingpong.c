/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The guide's first example with both sides in one process: the loop polls, reads in place, answers, gives back.
 */
#include "porting.h"

#define ROUNDS 1000
#define SIZE   64

struct side {
	struct zfur *ur;
	struct zfut *ut;
};

static void
open_side(struct side *s, struct zf_stack *stack, const struct zf_attr *attr, const char *mine, const char *other)
{
	struct sockaddr_in laddr = address(mine, 2000), raddr = address(other, 2000);

	MUST(zfur_alloc(&s->ur, stack, attr));
	MUST(zfur_addr_bind(s->ur, (struct sockaddr *)&laddr, sizeof(laddr), (struct sockaddr *)&raddr, sizeof(raddr),
			    0));
	MUST(zfut_alloc(&s->ut, stack, (struct sockaddr *)&laddr, sizeof(laddr), (struct sockaddr *)&raddr,
			sizeof(raddr), 0, attr));
}

/* Answers with what came, if something did; its last 8 bytes go to *@last. The number of datagrams. */
static int
answer(struct side *s, uint64_t *last)
{
	union udp_message rd;
	int n = 0;

	memset(&rd, 0, sizeof(rd));
	do {
		rd.msg.iovcnt = N_BUFFERS;
		zfur_zc_recv(s->ur, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			break;
		CHECK(rd.msg.iovcnt == 1 && udp_buffer(&rd, 0)->iov_len == SIZE);
		memcpy(last, (const char *)udp_buffer(&rd, 0)->iov_base + SIZE - sizeof(*last), sizeof(*last));
		CHECK(zfut_send(s->ut, rd.msg.iov, rd.msg.iovcnt, 0) == SIZE);
		zfur_zc_recv_done(s->ur, &rd.msg);
		n++;
	} while (rd.msg.dgrams_left > 0);
	return n;
}

int
main(void)
{
	unsigned char data[SIZE];
	struct side ping, pong;
	uint64_t last = 0, wanted = 0x1122334455667788u;
	int pings = 0, pongs = 0;

	open_both();
	open_side(&ping, stack_a, attr_a, "10.0.0.1", "10.0.0.2");
	open_side(&pong, stack_b, attr_b, "10.0.0.2", "10.0.0.1");
	memset(data, 0, sizeof(data));
	memcpy(data + SIZE - sizeof(wanted), &wanted, sizeof(wanted));
	CHECK(zfut_send_single(ping.ut, data, SIZE) == SIZE);
	POLL_UNTIL((pongs += answer(&pong, &last), pings += answer(&ping, &last)) >= ROUNDS);
	CHECK(pongs >= ROUNDS);
	CHECK(last == wanted);
	MUST(zfut_free(ping.ut));
	MUST(zfur_free(ping.ur));
	MUST(zfut_free(pong.ut));
	MUST(zfur_free(pong.ur));
	return close_all("udp_pingpong");
}
