/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The guide's way to make room for a message: a structure in which an array follows it. This is compiled without -pedantic,
 * since it has never been standard C or C++; the buffers are read through the array's own name.
 */
#include "porting.h"

int
main(void)
{
	struct {
		struct zfur_msg zcr;
		struct iovec iov[2];
	} rd;
	struct {
		struct zft_msg zcr;
		struct iovec iov[1];
	} rt;
	struct sockaddr_in here, from;
	struct zft *client, *server;
	struct zfur *ur;
	struct zfut *ut;

	open_both();
	here = address("10.0.0.2", 2000);
	from = address("10.0.0.1", 2000);
	memset(&rd, 0, sizeof(rd));
	memset(&rt, 0, sizeof(rt));
	MUST(zfur_alloc(&ur, stack_b, attr_b));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&here, sizeof(here), (struct sockaddr *)&from, sizeof(from), 0));
	MUST(zfut_alloc(&ut, stack_a, (struct sockaddr *)&from, sizeof(from), (struct sockaddr *)&here, sizeof(here), 0,
			attr_a));
	CHECK(zfut_send_single(ut, "datagram", 8) == 8);
	POLL_UNTIL((rd.zcr.iovcnt = 2, zfur_zc_recv(ur, &rd.zcr, 0), rd.zcr.iovcnt) != 0);
	CHECK(rd.zcr.iovcnt == 1 && rd.iov[0].iov_len == 8 && memcmp(rd.iov[0].iov_base, "datagram", 8) == 0);
	zfur_zc_recv_done(ur, &rd.zcr);

	connect_both(&client, &server);
	CHECK(zft_send_single(client, "stream", 6, 0) == 6);
	POLL_UNTIL((rt.zcr.iovcnt = 1, zft_zc_recv(server, &rt.zcr, 0), rt.zcr.iovcnt) != 0);
	CHECK(rt.iov[0].iov_len == 6 && memcmp(rt.iov[0].iov_base, "stream", 6) == 0);
	CHECK(zft_zc_recv_done(server, &rt.zcr) > 0);
	MUST(zft_free(client));
	MUST(zft_free(server));
	MUST(zfut_free(ut));
	MUST(zfur_free(ur));
	return close_all("embedded");
}
