/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sleeping in epoll on a stack's descriptor, beside one of the kernel's: prime, sleep, ask the multiplexer.
 */
#include "porting.h"

#include <unistd.h>

static void
watch(int ep, int fd)
{
	struct epoll_event ev;

	memset(&ev, 0, sizeof(ev));
	ev.events = EPOLLIN;
	ev.data.fd = fd;
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
}

/* Sleeps until the zocket has something; the number of datagrams that were there. */
static int
sleep_and_read(int ep, int fd, struct zf_muxer_set *set, struct zfur *ur)
{
	struct epoll_event ev;
	union udp_message rd;
	int rounds, n = 0;

	memset(&rd, 0, sizeof(rd));
	for (rounds = 0; rounds < 1000 && n == 0; rounds++) {
		MUST(zf_waitable_fd_prime(stack_b));
		/* What is sent here happens behind the priming: it must not be missed. */
		if (epoll_wait(ep, &ev, 1, 20000) != 1)
			return -1;
		CHECK(ev.data.fd == fd);
		while (zf_muxer_wait(set, &ev, 1, 0) > 0) {
			CHECK(ev.data.ptr == ur);
			do {
				rd.msg.iovcnt = N_BUFFERS;
				zfur_zc_recv(ur, &rd.msg, 0);
				if (rd.msg.iovcnt == 0)
					break;
				zfur_zc_recv_done(ur, &rd.msg);
				n++;
			} while (rd.msg.dgrams_left > 0);
		}
	}
	return n;
}

int
main(void)
{
	struct sockaddr_in there, from;
	struct zf_muxer_set *set;
	struct epoll_event ev, both[2];
	int ep, fd, again, i, n, pipe_fds[2];
	struct zfur *ur;
	struct zfut *ut;

	open_both();
	there = address("10.0.0.2", 2000);
	from = address("10.0.0.1", 2000);
	CHECK(zf_waitable_fd_prime(stack_b) == -EINVAL);
	MUST(zfur_alloc(&ur, stack_b, attr_b));
	MUST(zfur_addr_bind(ur, (struct sockaddr *)&there, sizeof(there), NULL, 0, 0));
	MUST(zfut_alloc(&ut, stack_a, (struct sockaddr *)&from, sizeof(from), (struct sockaddr *)&there, sizeof(there), 0,
			attr_a));
	MUST(zf_muxer_alloc(stack_b, &set));
	memset(&ev, 0, sizeof(ev));
	ev.events = EPOLLIN;
	ev.data.ptr = ur;
	MUST(zf_muxer_add(set, zfur_to_waitable(ur), &ev));
	MUST(zf_waitable_fd_get(stack_b, &fd));
	MUST(zf_waitable_fd_get(stack_b, &again));
	CHECK(fd >= 0 && again == fd);
	ep = epoll_create1(0);
	CHECK(ep >= 0);
	watch(ep, fd);
	MUST(pipe(pipe_fds));
	watch(ep, pipe_fds[0]);

	/* Both stacks have learnt each other's addresses first. */
	CHECK(zfut_send_single(ut, "1", 1) == 1);
	for (i = 0; i < 1000; i++)
		poll_all();
	CHECK(sleep_and_read(ep, fd, set, ur) == 1);
	for (i = 0; i < 20; i++) {
		CHECK(zfut_send_single(ut, "2", 1) == 1);
		CHECK(zfut_send_single(ut, "3", 1) == 1);
		CHECK(sleep_and_read(ep, fd, set, ur) == 2);
	}
	/* A descriptor of the kernel's wakes the same sleep. */
	for (i = 0; i < 1000 && zf_muxer_wait(set, &ev, 1, 0) > 0; i++)
		;
	MUST(zf_waitable_fd_prime(stack_b));
	CHECK(write(pipe_fds[1], "x", 1) == 1);
	n = epoll_wait(ep, both, 2, 20000);
	CHECK(n > 0 && (both[0].data.fd == pipe_fds[0] || (n == 2 && both[1].data.fd == pipe_fds[0])));
	MUST(close(ep));
	MUST(close(pipe_fds[0]));
	MUST(close(pipe_fds[1]));
	zf_muxer_free(set);
	MUST(zfut_free(ut));
	MUST(zfur_free(ur));
	return close_all("waitable_fd");
}
