/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel as TCP peer over a network that loses, doubles, delays, reorders, marks and throttles: our box, and nft in
 * the kernel. ZF_SEED chooses the box's chances; `--long` sends more.
 */
#include "tcp_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define KIB 1024ull
#define MIB (1024 * KIB)

static uint64_t
scaled(uint64_t bytes)
{
	return long_run ? bytes * 16 : bytes;
}

static void
show(const char *what, const struct flow *f)
{
	printf("\n  %-34s %7.1f Mbit/s, longest gap %4.0f ms, %3u recoveries, %2u timeouts, %llu sent again", what,
	       (double)(f->us.plan + f->k.plan) * 8e3 / (double)f->ns, (double)f->gap_ns / 1e6, f->recoveries,
	       f->timeouts, (unsigned long long)counter_of(f->st, CNT_TCP_RETRANS));
}

/* One transfer over what is set up; false: it failed. Timeouts of ours are returned in @timeouts if wanted. */
static bool
transfer(const char *what, const char *attrs, uint64_t us, uint64_t k, uint32_t *timeouts)
{
	struct flow f = {.threaded = true, .us = {.plan = us, .fin = true}, .k = {.plan = k, .fin = true}};
	bool good;

	if (!flow_connect(&f, stack_up(attrs)))
		return false;
	good = flow_run(&f, 20000);
	CU_ASSERT_TRUE(good);
	show(what, &f);
	if (timeouts != NULL)
		*timeouts = f.timeouts;
	flow_close(&f);
	stack_down(f.st);
	return good;
}

TCP_TEST(box_that_does_no_harm)
{
	struct box_way w = {.delay_us = 0};

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("to the kernel", TCP_STACK, scaled(16 * MIB), 0, NULL);
	transfer("from the kernel", TCP_STACK, 0, scaled(16 * MIB), NULL);
}

TCP_TEST(delay)
{
	struct box_way w = {.delay_us = 5000};
	uint32_t timeouts;

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("10 ms, to the kernel", TCP_STACK, scaled(8 * MIB), 0, &timeouts);
	CU_ASSERT_EQUAL(timeouts, 0);
	transfer("10 ms, from the kernel", TCP_STACK, 0, scaled(8 * MIB), NULL);
}

static void
losses(uint32_t ppm, const char *attrs, uint64_t bytes)
{
	struct box_way bad = {.loss_ppm = ppm, .delay_us = 200}, good = {.delay_us = 200};
	char what[64];

	for (int way = 0; way < 2; way++) {
		between_box(way == 0 ? &bad : &good, way == 0 ? &good : &bad);
		snprintf(what, sizeof(what), "%u %% of ours lost, we send", ppm / 10000);
		if (way == 1)
			snprintf(what, sizeof(what), "%u %% of the kernel's lost, we send", ppm / 10000);
		if (!transfer(what, attrs, bytes, 0, NULL))
			return;
		between_box(way == 0 ? &bad : &good, way == 0 ? &good : &bad);
		snprintf(what, sizeof(what), "%u %% of %s lost, it sends", ppm / 10000, way == 0 ? "ours" : "the kernel's");
		if (!transfer(what, attrs, 0, bytes, NULL))
			return;
	}
}

TCP_TEST(loss_of_1_percent)
{
	if (!between(BETWEEN_BOX))
		return;
	losses(10000, TCP_STACK, scaled(8 * MIB));
}

TCP_TEST(loss_of_5_percent)
{
	if (!between(BETWEEN_BOX))
		return;
	losses(50000, TCP_STACK, scaled(3 * MIB));
}

TCP_TEST(loss_with_timestamps)
{
	if (!between(BETWEEN_BOX))
		return;
	losses(20000, TCP_STACK ";tcp_timestamps=2", scaled(3 * MIB));
}

TCP_TEST(loss_with_newreno)
{
	if (!between(BETWEEN_BOX))
		return;
	losses(20000, TCP_STACK ";tcp_cc=newreno", scaled(3 * MIB));
}

TCP_TEST(loss_without_sack)
{
	if (!between(BETWEEN_BOX) || !peer_sysctl("ipv4/tcp_sack", "0"))
		return;
	losses(10000, TCP_STACK, scaled(2 * MIB));
	(void)peer_sysctl("ipv4/tcp_sack", "1");
}

TCP_TEST(loss_without_window_scaling)
{
	if (!between(BETWEEN_BOX) || !peer_sysctl("ipv4/tcp_window_scaling", "0"))
		return;
	losses(10000, TCP_STACK, scaled(3 * MIB));
	(void)peer_sysctl("ipv4/tcp_window_scaling", "1");
}

/* Nothing is lost: what is sent again is sent for nothing, and the stack should learn not to. */
TCP_TEST(reordering)
{
	struct box_way w = {.late_ppm = 10000, .late_us = 300, .delay_us = 500};

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("reordered, to the kernel", TCP_STACK, scaled(8 * MIB), 0, NULL);
	transfer("reordered, from the kernel", TCP_STACK, 0, scaled(8 * MIB), NULL);
	transfer("reordered, both, timestamps", TCP_STACK ";tcp_timestamps=2", scaled(4 * MIB), scaled(4 * MIB), NULL);
}

TCP_TEST(duplication)
{
	struct box_way w = {.dup_ppm = 50000, .delay_us = 500};

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("doubled, to the kernel", TCP_STACK, scaled(8 * MIB), 0, NULL);
	transfer("doubled, from the kernel", TCP_STACK, 0, scaled(8 * MIB), NULL);
}

TCP_TEST(everything_at_once)
{
	struct box_way w = {.loss_ppm = 10000, .dup_ppm = 10000, .late_ppm = 20000, .late_us = 2000, .delay_us = 500};

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("everything, to the kernel", TCP_STACK, scaled(3 * MIB), 0, NULL);
	transfer("everything, from the kernel", TCP_STACK, 0, scaled(3 * MIB), NULL);
	transfer("everything, both", TCP_STACK ";tcp_timestamps=2", scaled(2 * MIB), scaled(2 * MIB), NULL);
}

/* A line of 100 Mbit/s and a queue before it: congestion control has something to control. */
TCP_TEST(bottleneck)
{
	struct box_way w = {.rate_mbps = 100, .queue_bytes = 100000, .delay_us = 2000};

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	transfer("100 Mbit/s, cubic", TCP_STACK, scaled(8 * MIB), 0, NULL);
	between_box(&w, &w);
	transfer("100 Mbit/s, newreno", TCP_STACK ";tcp_cc=newreno", scaled(8 * MIB), 0, NULL);
	between_box(&w, &w);
	transfer("100 Mbit/s, from the kernel", TCP_STACK, 0, scaled(8 * MIB), NULL);
}

TCP_TEST(congestion_marks)
{
	struct box_way w = {.ce_ppm = 20000, .delay_us = 500};

	if (!between(BETWEEN_BOX) || !peer_sysctl("ipv4/tcp_ecn", "1"))
		return;
	between_box(&w, &w);
	transfer("marked, to the kernel", TCP_STACK ";tcp_ecn=1", scaled(4 * MIB), 0, NULL);
	transfer("marked, from the kernel", TCP_STACK ";tcp_ecn=1", 0, scaled(4 * MIB), NULL);
	transfer("marked, both", TCP_STACK ";tcp_ecn=1;tcp_timestamps=2", scaled(2 * MIB), scaled(2 * MIB), NULL);
	(void)peer_sysctl("ipv4/tcp_ecn", "2");
}

#define SHORT 32

/* Half of them each way, all at once. How many there are. */
static int
open_many(struct zf_stack *st, struct flow *f, struct zftl *tl, int l)
{
	uint64_t until = now_ns() + 15000000000u;
	int n_ts = 0, n_fd = 0;

	for (int i = 0; i < SHORT; i++) {
		f[i] = (struct flow){.st = st, .fd = -1, .us = {.plan = 3000, .fin = true}, .k = {.plan = 3000, .fin = true}};
		if (i % 2 == 0)
			f[i].fd = kernel_connect(OUR_PORT);
		else
			f[i].ts = our_connect(st, PEER_PORT);
	}
	while (n_ts + n_fd < SHORT && now_ns() < until) {
		zf_reactor_perform(st);
		if (n_ts < SHORT / 2 && zftl_accept(tl, &f[2 * n_ts].ts) == 0)
			n_ts++;
		if (n_fd < SHORT / 2)
			f[2 * n_fd + 1].fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		n_fd += n_fd < SHORT / 2 && f[2 * n_fd + 1].fd >= 0;
	}
	return n_ts + n_fd;
}

/* Short connections on a bad network: what is lost are SYNs, FINs and the last ACKs. */
TCP_TEST(handshakes_and_ends_under_loss)
{
	struct box_way w = {.loss_ppm = 100000, .dup_ppm = 50000, .late_ppm = 100000, .late_us = 3000, .delay_us = 200};
	static struct flow f[SHORT];
	uint64_t until = now_ns() + 30000000000u;
	struct zf_stack *st;
	struct zftl *tl;
	int l, n, done = 0;

	if (!between(BETWEEN_BOX))
		return;
	between_box(&w, &w);
	st = stack_up(TCP_STACK ";tcp_rto_initial_ms=200;tcp_rto_min_ms=50");
	tl = our_listen(st, OUR_PORT);
	l = kernel_listen(PEER_PORT, SHORT);
	n = open_many(st, f, tl, l);
	CU_ASSERT_EQUAL(n, SHORT);
	while (n == SHORT && done < SHORT && now_ns() < until) {
		done = 0;
		for (int i = 0; i < SHORT; i++) {
			flow_turn(&f[i]);
			done += flow_done(&f[i]);
		}
	}
	CU_ASSERT_EQUAL(done, SHORT);
	for (int i = 0; i < SHORT; i++) {
		CU_ASSERT_FALSE(f[i].us.wrong || f[i].k.wrong);
		if (n == SHORT && !flow_done(&f[i]))
			flow_show(&f[i]);
		flow_close(&f[i]);
	}
	close(l);
	zftl_free(tl);
	stack_down(st);
}

/* The kernel drops, in its own words. */
TCP_TEST(nft_drops)
{
	static const struct {
		unsigned int up, down;
		const char *what;
	} cases[] = {{1, 0, "1 % of ours"}, {0, 1, "1 % of the kernel's"}, {5, 0, "5 % of ours"}, {0, 5, "5 % of the kernel's"}};

	if (!between(BETWEEN_NFT))
		return;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = scaled(cases[i].up + cases[i].down > 1 ? 2 * MIB : 8 * MIB);
		char what[64];

		if (!between_nft(cases[i].up, cases[i].down)) {
			unit_skip("no nft, or this kernel does not forward by it");
			return;
		}
		snprintf(what, sizeof(what), "nft, %s, to the kernel", cases[i].what);
		transfer(what, TCP_STACK, bytes, 0, NULL);
		snprintf(what, sizeof(what), "nft, %s, from the kernel", cases[i].what);
		transfer(what, TCP_STACK, 0, bytes, NULL);
	}
}

static const struct unit_test tests[] = {
	UNIT(box_that_does_no_harm),
	UNIT(delay),
	UNIT(loss_of_1_percent),
	UNIT(loss_of_5_percent),
	UNIT(loss_with_timestamps),
	UNIT(loss_with_newreno),
	UNIT(loss_without_sack),
	UNIT(loss_without_window_scaling),
	UNIT(reordering),
	UNIT(duplication),
	UNIT(everything_at_once),
	UNIT(bottleneck),
	UNIT(congestion_marks),
	UNIT(handshakes_and_ends_under_loss),
	UNIT(nft_drops),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_tcp_loss", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
