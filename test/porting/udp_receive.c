/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receiving datagrams: several bindings, the zero-copy read, headers, leaving.
 */
#include "porting.h"

static void
send_to(const struct sockaddr_in *to, const char *text)
{
	struct sockaddr_in from = address("10.0.0.1", 3000);
	struct zfut *ut;

	MUST(zfut_alloc(&ut, stack_a, (struct sockaddr *)&from, sizeof(from), (const struct sockaddr *)to, sizeof(*to), 0,
			attr_a));
	CHECK(zfut_send_single(ut, text, strlen(text)) == (int)strlen(text));
	MUST(zfut_free(ut));
}

/* The next datagram is @text, from port 3000 to @port. */
static void
expect(struct zfur *ur, const char *text, unsigned port)
{
	const struct udphdr *udp;
	const struct iphdr *ip;
	union udp_message rd;
	uint16_t source, dest;
	uint32_t sender;

	memset(&rd, 0, sizeof(rd));
	POLL_UNTIL((rd.msg.iovcnt = N_BUFFERS, zfur_zc_recv(ur, &rd.msg, 0), rd.msg.iovcnt) != 0);
	CHECK(rd.msg.iovcnt == 1);
	CHECK(udp_buffer(&rd, 0)->iov_len == strlen(text));
	CHECK(memcmp(udp_buffer(&rd, 0)->iov_base, text, strlen(text)) == 0);
	MUST(zfur_pkt_get_header(ur, &rd.msg, &ip, &udp, 0));
	/* The headers lie where they were received: copied, not read in place. */
	memcpy(&sender, (const char *)ip + 12, sizeof(sender));
	memcpy(&source, (const char *)udp, sizeof(source));
	memcpy(&dest, (const char *)udp + 2, sizeof(dest));
	CHECK(sender == inet_addr("10.0.0.1"));
	CHECK(ntohs(source) == 3000 && ntohs(dest) == port);
	CHECK(zfur_pkt_get_header(ur, &rd.msg, &ip, &udp, 1) == -EINVAL);
	zfur_zc_recv_done(ur, &rd.msg);
}

static void
expect_nothing(struct zfur *ur)
{
	union udp_message rd;
	int i;

	memset(&rd, 0, sizeof(rd));
	for (i = 0; i < 100; i++) {
		poll_all();
		rd.msg.iovcnt = N_BUFFERS;
		zfur_zc_recv(ur, &rd.msg, 0);
		if (rd.msg.iovcnt != 0)
			break;
	}
	CHECK(i == 100);
}

int
main(void)
{
	struct sockaddr_in one, two, group, remote;
	struct zfur *ur;

	open_alone();
	one = address("10.0.0.1", 2000);
	two = address("10.0.0.1", 0);
	group = address("239.1.2.3", 2002);
	remote = address("10.0.0.1", 3000);
	MUST(zfur_alloc(&ur, stack_a, attr_a));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&one, sizeof(one), NULL, 0, 0));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&two, sizeof(two), (struct sockaddr *)&remote, sizeof(remote), 0));
	CHECK(two.sin_port != 0);
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&group, sizeof(group), NULL, 0, 0));
	CHECK(zfur_addr_bind(ur, (struct sockaddr *)&one, sizeof(one), NULL, 0, 0) == -EADDRINUSE);

	send_to(&one, "one");
	expect(ur, "one", 2000);
	send_to(&two, "two");
	expect(ur, "two", ntohs(two.sin_port));
	send_to(&group, "group");
	expect(ur, "group", 2002);
	expect_nothing(ur);

	MUST(zfur_addr_unbind(ur, (struct sockaddr *)&one, sizeof(one), NULL, 0, 0));
	send_to(&one, "late");
	expect_nothing(ur);
	CHECK(zfur_addr_unbind(ur, (struct sockaddr *)&one, sizeof(one), NULL, 0, 0) == -EINVAL);
	MUST(zfur_free(ur));
	return close_all("udp_receive");
}
