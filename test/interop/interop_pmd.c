/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stacks over DPDK's own virtual ports: net_tap with the kernel behind it, and net_vhost with net_virtio_user at the
 * other end. Datagrams of all sizes both ways, byte for byte.
 */
#include "peer.h"

#include "core/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define STEP 997u /* bytes between two sizes */

static bool
device_is_there(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The PMD gives both ends one MAC address; the stack must take another. */
static void
a_tap_with_the_kernel_behind_it(void)
{
	struct sockaddr_in l = peer_addr("10.98.0.2", PEER_PORT);
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	int fd, bad = 0;

	NEEDS_NET();
	if (!device_is_there("/dev/net/tun")) {
		unit_skip("/dev/net/tun cannot be opened");
		return;
	}
	st = stack_up("interface=net_tap0,iface=t0;ipv4=10.98.0.1/24");
	CU_ASSERT_EQUAL(netns_addr(true, "t0", inet_addr("10.98.0.2"), 24), 0);
	CU_ASSERT_EQUAL(netns_up("t0", true), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&l, sizeof(l)), 0);
	ur = ur_bound(st, "10.98.0.1", OUR_PORT);
	ut = ut_to(st, "10.98.0.1", OUR_PORT, "10.98.0.2", PEER_PORT);
	for (size_t n = 1; n <= MAX_PAYLOAD && bad < 5; n += STEP) {
		peer_fill(out_buf, n, (uint32_t)n);
		bad += !ut_send(st, ut, out_buf, n) || fd_recv(st, fd, 3000) != (int)n ||
		       memcmp(in_buf, out_buf, n) != 0;
		bad += !fd_send(st, fd, "10.98.0.1", OUR_PORT, out_buf, n) || ur_recv(st, ur, 3000) != (int)n ||
		       memcmp(in_buf, out_buf, n) != 0;
	}
	CU_ASSERT_EQUAL(bad, 0);
	if (bad != 0)
		show_counters(st);
	zfut_free(ut);
	zfur_free(ur);
	close(fd);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* Both reactors turn; a fragmented datagram is more than either ring takes at a time. */
static void
turn_both(struct zf_stack *a, struct zf_stack *b, int n)
{
	for (int i = 0; i < n; i++) {
		zf_reactor_perform(a);
		zf_reactor_perform(b);
	}
}

/* One datagram of each size from @from to @to; returns how many did not arrive whole. */
static int
one_way(struct zf_stack *from, struct zfut *ut, struct zf_stack *to, struct zfur *ur)
{
	int bad = 0;

	for (size_t n = 1; n <= MAX_PAYLOAD && bad < 5; n += STEP) {
		peer_fill(out_buf, n, (uint32_t)n);
		bad += !ut_send(from, ut, out_buf, n);
		turn_both(from, to, 20);
		bad += ur_recv(to, ur, 3000) != (int)n || memcmp(in_buf, out_buf, n) != 0;
	}
	if (bad != 0) {
		show_counters(from);
		show_counters(to);
	}
	return bad;
}

static bool
meet(struct zf_stack *a, struct zfut *ut, struct zf_stack *b, struct zfur *ur)
{
	uint64_t end = peer_now_ms() + 10000;

	do {
		struct iovec iov = {out_buf, 1};

		(void)zfut_send(ut, &iov, 1, 0); /* lost, or refused, until the link is up */
		turn_both(a, b, 100);
		if (ur_recv(b, ur, 10) == 1)
			return true;
	} while (peer_now_ms() < end);
	return false;
}

static void
vhost_and_virtio_user(void)
{
	char dir[] = P_tmpdir "/zf_interop_XXXXXX";
	char text[256];
	struct zf_stack *a, *b;
	struct zfur *ur_a, *ur_b;
	struct zfut *ut_a, *ut_b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(text, sizeof(text), "interface=net_vhost0,iface=%s/s;ipv4=10.97.0.1/24", dir);
	a = stack_up(text);
	snprintf(text, sizeof(text), "interface=net_virtio_user0,path=%s/s;ipv4=10.97.0.2/24", dir);
	b = stack_up(text);
	ur_a = ur_bound(a, "10.97.0.1", OUR_PORT);
	ur_b = ur_bound(b, "10.97.0.2", OUR_PORT);
	ut_a = ut_to(a, "10.97.0.1", OUR_PORT, "10.97.0.2", OUR_PORT);
	ut_b = ut_to(b, "10.97.0.2", OUR_PORT, "10.97.0.1", OUR_PORT);
	CU_ASSERT_TRUE(meet(a, ut_a, b, ur_b));
	while (ur_recv(b, ur_b, 20) >= 0) /* more of the first ones */
		;
	CU_ASSERT_EQUAL(one_way(a, ut_a, b, ur_b), 0);
	CU_ASSERT_EQUAL(one_way(b, ut_b, a, ur_a), 0);
	zfut_free(ut_a);
	zfut_free(ut_b);
	zfur_free(ur_a);
	zfur_free(ur_b);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
	snprintf(text, sizeof(text), "%s/s", dir);
	unlink(text);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static const struct unit_test tests[] = {
	UNIT(a_tap_with_the_kernel_behind_it),
	UNIT(vhost_and_virtio_user),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_pmd", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
