/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sending datagrams: gathered and single, the largest one, one that is cut into fragments, one that must not be.
 */
#include "porting.h"

/* The bytes of the next datagram, or -1 when none came. */
static int
received(struct zfur *ur, unsigned char *to)
{
	union udp_message rd;
	int i, k, len = 0;

	memset(&rd, 0, sizeof(rd));
	for (i = 0; i < 1000; i++) {
		poll_all();
		rd.msg.iovcnt = N_BUFFERS;
		zfur_zc_recv(ur, &rd.msg, 0);
		if (rd.msg.iovcnt != 0)
			break;
	}
	if (i == 1000)
		return -1;
	for (k = 0; k < rd.msg.iovcnt; k++) {
		memcpy(to + len, udp_buffer(&rd, k)->iov_base, udp_buffer(&rd, k)->iov_len);
		len += (int)udp_buffer(&rd, k)->iov_len;
	}
	zfur_zc_recv_done(ur, &rd.msg);
	return len;
}

int
main(void)
{
	static unsigned char data[70000], got[70000];
	struct sockaddr_in here, from;
	struct zfur *ur;
	struct zfut *ut;
	struct iovec iov[3];
	int mss, i;

	open_alone();
	here = address("10.0.0.1", 2000);
	from = address("10.0.0.1", 2000);
	MUST(zfur_alloc(&ur, stack_a, attr_a));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&here, sizeof(here), NULL, 0, 0));
	MUST(zfut_alloc(&ut, stack_a, (struct sockaddr *)&from, sizeof(from), (struct sockaddr *)&here, sizeof(here), 0,
			attr_a));
	for (i = 0; i < (int)sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 256);

	iov[0].iov_base = data;
	iov[0].iov_len = 10;
	iov[1].iov_base = NULL;
	iov[1].iov_len = 0;
	iov[2].iov_base = data + 10;
	iov[2].iov_len = 20;
	CHECK(zfut_send(ut, iov, 3, 0) == 30);
	CHECK(received(ur, got) == 30 && memcmp(got, data, 30) == 0);

	mss = zfut_get_mss(ut);
	CHECK(mss >= 1000);
	CHECK(zfut_get_header_size(ut) == 42);
	CHECK(zfut_send_single(ut, data, (size_t)mss) == mss);
	CHECK(received(ur, got) == mss && memcmp(got, data, (size_t)mss) == 0);
	CHECK(zfut_send_single(ut, data, (size_t)mss + 1) == -EMSGSIZE);

	iov[0].iov_len = 5000;
	CHECK(zfut_send(ut, iov, 1, ZFUT_FLAG_DONT_FRAGMENT) == (mss < 5000 ? -EMSGSIZE : 5000));
	CHECK(zfut_send(ut, iov, 1, 0) == 5000);
	CHECK(received(ur, got) == 5000 && memcmp(got, data, 5000) == 0);
	iov[0].iov_len = 65508;
	CHECK(zfut_send(ut, iov, 1, 0) == -EMSGSIZE);
	CHECK(received(ur, got) == -1);

	/* To practise a send changes nothing, and sends nothing. */
	CHECK(zfut_send_single_warm(ut, data, 10) == 10);
	CHECK(received(ur, got) == -1);
	MUST(zfut_free(ut));
	MUST(zfur_free(ur));
	return close_all("udp_send");
}
