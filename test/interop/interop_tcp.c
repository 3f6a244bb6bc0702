/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The kernel as TCP peer over a link that does no harm: both ways of connecting, of sending and of ending, every
 * combination of options, windows that close, many connections. `--long` sends 1 GiB each way instead of 64 MiB.
 */
#include "tcp_peer.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define MIB (1024ull * 1024)

static uint64_t
bulk(void)
{
	return long_run ? 1024 * MIB : 64 * MIB;
}

static bool
begin(struct flow *f, struct zf_stack *st, bool passive)
{
	return passive ? flow_accept(f, st) : flow_connect(f, st);
}

static void
end(struct flow *f)
{
	struct zf_stack *st = f->st;

	flow_close(f);
	stack_down(st);
}

static void
rate(const char *what, const struct flow *f, uint64_t bytes)
{
	printf("\n  %s: %.2f Gbit/s, longest gap %.1f ms, %u recoveries, %u timeouts, %llu segments sent again",
	       what, (double)bytes * 8 / (double)f->ns, (double)f->gap_ns / 1e6, f->recoveries, f->timeouts,
	       (unsigned long long)counter_of(f->st, CNT_TCP_RETRANS));
}

/* A few bytes, both ways of connecting. */
TCP_TEST(connect_both_ways)
{
	if (!between(BETWEEN_NOTHING))
		return;
	for (int passive = 0; passive < 2; passive++) {
		struct flow f = {.us = {.plan = 1000, .fin = true}, .k = {.plan = 777, .fin = true}};

		if (!begin(&f, stack_up(TCP_STACK), passive))
			return;
		CU_ASSERT_TRUE(flow_run(&f, 5000));
		end(&f);
	}
}

static void
one_direction(bool passive, uint64_t us, uint64_t k, const char *what)
{
	struct flow f = {.threaded = true, .us = {.plan = us, .fin = true}, .k = {.plan = k, .fin = true}};

	if (!between(BETWEEN_NOTHING) || !begin(&f, stack_up(TCP_STACK), passive))
		return;
	CU_ASSERT_TRUE(flow_run(&f, long_run ? 120000 : 20000));
	rate(what, &f, us + k);
	CU_ASSERT_EQUAL(f.timeouts, 0);
	end(&f);
}

TCP_TEST(bulk_to_the_kernel)
{
	one_direction(false, bulk(), 0, "to the kernel");
}

TCP_TEST(bulk_from_the_kernel)
{
	one_direction(true, 0, bulk(), "from the kernel");
}

TCP_TEST(bulk_both_ways_at_once)
{
	one_direction(true, bulk() / 2, bulk() / 2, "both ways at once");
}

/* One byte, many bytes, in requests and answers: what is delayed must not be waited for. */
TCP_TEST(requests_and_answers)
{
	struct flow f = {0};
	uint64_t begun = now_ns();

	if (!between(BETWEEN_NOTHING) || !flow_connect(&f, stack_up(TCP_STACK)))
		return;
	for (uint32_t i = 0; i < 2000; i++) {
		f.us.plan += 1 + i % 3000;
		f.k.plan += 1 + i * 7 % 3000;
		if (!flow_run(&f, 2000))
			break;
	}
	CU_ASSERT_TRUE(flow_done(&f));
	printf("\n  2000 exchanges: %.1f us each", (double)(now_ns() - begun) / 2000e3);
	end(&f);
}

static const char *const option_sysctls[] = {"ipv4/tcp_sack", "ipv4/tcp_timestamps", "ipv4/tcp_window_scaling",
					     "ipv4/tcp_ecn"};
enum { OPT_SACK = 1, OPT_TS = 2, OPT_WS = 4, OPT_ECN = 8 };

static bool
kernel_options(unsigned int on)
{
	for (unsigned int i = 0; i < 4; i++)
		if (!peer_sysctl(option_sysctls[i], on >> i & 1 ? "1" : "0"))
			return false;
	return true;
}

/* What both sides must have agreed on. */
static void
check_options(const struct flow *f, unsigned int kernel, bool passive, int ts, int ecn)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);
	bool want_ts = (kernel & OPT_TS) && (passive ? ts >= 1 : ts == 2);
	bool want_ecn = (kernel & OPT_ECN) && ecn;

	CU_ASSERT_EQUAL_FATAL(getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &ti, &len), 0);
	CU_ASSERT_EQUAL((f->ts->flags & TF_SACK) != 0, (kernel & OPT_SACK) != 0);
	CU_ASSERT_EQUAL((f->ts->flags & TF_TS) != 0, want_ts);
	CU_ASSERT_EQUAL((f->ts->flags & TF_WSCALE) != 0, (kernel & OPT_WS) != 0);
	CU_ASSERT_EQUAL((f->ts->flags & TF_ECN) != 0, want_ecn);
	CU_ASSERT_EQUAL((ti.tcpi_options & TCPI_OPT_SACK) != 0, (kernel & OPT_SACK) != 0);
	CU_ASSERT_EQUAL((ti.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0, want_ts);
	CU_ASSERT_EQUAL((ti.tcpi_options & TCPI_OPT_WSCALE) != 0, (kernel & OPT_WS) != 0);
	CU_ASSERT_EQUAL((ti.tcpi_options & TCPI_OPT_ECN) != 0, want_ecn);
	CU_ASSERT_EQUAL(zft_get_mss(f->ts), want_ts ? 1448 : 1460);
}

TCP_TEST(every_set_of_options)
{
	static const int ours[][2] = {{0, 0}, {1, 1}, {2, 1}, {2, 0}}; /* tcp_timestamps, tcp_ecn */

	if (!between(BETWEEN_NOTHING))
		return;
	for (unsigned int i = 0; i < 16 * 4 * 2; i++) {
		unsigned int kernel = i / 8;
		const int *o = ours[i / 2 % 4];
		struct flow f = {.us = {.plan = 300000, .fin = true}, .k = {.plan = 300000, .fin = true}};
		char attrs[256];

		if (i % 8 == 0 && !kernel_options(kernel))
			break;
		snprintf(attrs, sizeof(attrs), TCP_STACK ";tcp_timestamps=%d;tcp_ecn=%d", o[0], o[1]);
		if (!begin(&f, stack_up(attrs), i % 2))
			break;
		check_options(&f, kernel, i % 2, o[0], o[1]);
		if (!flow_run(&f, 5000)) {
			CU_FAIL("");
			printf("  kernel's options %x, tcp_timestamps %d, tcp_ecn %d, %s\n", kernel, o[0], o[1],
			       i % 2 ? "accepted" : "connected");
		}
		end(&f);
	}
	(void)kernel_options(OPT_SACK | OPT_TS | OPT_WS);
	(void)peer_sysctl("ipv4/tcp_ecn", "2");
}

/* One side ends its stream first; the other goes on for long. Both orders, both sides. */
TCP_TEST(half_close)
{
	if (!between(BETWEEN_NOTHING))
		return;
	for (int i = 0; i < 4; i++) {
		bool we_first = i / 2;
		struct flow f = {0};
		struct half *first = we_first ? &f.us : &f.k, *second = we_first ? &f.k : &f.us;

		if (!begin(&f, stack_up(TCP_STACK), i % 2))
			return;
		first->plan = 5000;
		first->fin = true;
		CU_ASSERT_TRUE(flow_run(&f, 3000));
		CU_ASSERT_TRUE(second->eof);
		turn_for(f.st, 60); /* the ACK of the FIN may be delayed */
		CU_ASSERT_EQUAL(zft_state(f.ts), we_first ? TCP_FIN_WAIT2 : TCP_CLOSE_WAIT);
		second->plan = 3 * MIB;
		CU_ASSERT_TRUE(flow_run(&f, 3000));
		second->fin = true;
		CU_ASSERT_TRUE(flow_run(&f, 3000));
		turn_for(f.st, 20);
		CU_ASSERT_EQUAL(zft_state(f.ts), we_first ? TCP_TIME_WAIT : TCP_CLOSE);
		CU_ASSERT_EQUAL(zft_error(f.ts), 0);
		end(&f);
	}
}

/* Both FINs at once: CLOSING or not, both must end well. */
TCP_TEST(close_at_once)
{
	if (!between(BETWEEN_NOTHING))
		return;
	for (int i = 0; i < 20; i++) {
		struct flow f = {0};

		if (!begin(&f, stack_up(TCP_STACK), i % 2))
			return;
		CU_ASSERT_EQUAL(shutdown(f.fd, SHUT_WR), 0);
		CU_ASSERT_EQUAL(zft_shutdown_tx(f.ts), 0); /* the kernel's waits in the ring */
		f.us.shut = f.us.fin = f.k.shut = f.k.fin = true;
		CU_ASSERT_TRUE(flow_run(&f, 3000));
		turn_for(f.st, 5);
		CU_ASSERT_EQUAL(zft_state(f.ts), TCP_TIME_WAIT);
		end(&f);
	}
}

static void
kernel_resets(int fd)
{
	struct linger l = {1, 0};

	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	close(fd);
}

TCP_TEST(reset_by_the_kernel)
{
	if (!between(BETWEEN_NOTHING))
		return;
	for (int i = 0; i < 4; i++) {
		struct flow f = {.k = {.plan = i / 2 ? 5000 : 0}};
		char buf[8000];
		struct iovec iov = {buf, sizeof(buf)};

		if (!begin(&f, stack_up(TCP_STACK), i % 2))
			return;
		f.us.deaf = true;
		while (f.k.sent < f.k.plan)
			flow_turn(&f);
		turn_for(f.st, 5);
		kernel_resets(f.fd);
		f.fd = -1;
		turn_for(f.st, 20);
		CU_ASSERT_EQUAL(zft_state(f.ts), TCP_CLOSE);
		CU_ASSERT_EQUAL(zft_error(f.ts), ECONNRESET);
		if (f.k.plan != 0) /* what had arrived is read first */
			CU_ASSERT_EQUAL(zft_recv(f.ts, &iov, 1, 0), 5000);
		CU_ASSERT_EQUAL(zft_recv(f.ts, &iov, 1, 0), -ECONNRESET);
		CU_ASSERT_EQUAL(zft_send_single(f.ts, "x", 1, 0), -ENOTCONN);
		end(&f);
	}
}

/* Data that is never read: the kernel learns by a reset. */
TCP_TEST(reset_by_us)
{
	if (!between(BETWEEN_NOTHING))
		return;
	for (int i = 0; i < 2; i++) {
		struct flow f = {.k = {.plan = 5000}, .us = {.deaf = true}};
		char c;

		if (!begin(&f, stack_up(TCP_STACK), i % 2))
			return;
		while (f.k.sent < f.k.plan)
			flow_turn(&f);
		turn_for(f.st, 5);
		zft_free(f.ts);
		f.ts = NULL;
		turn_for(f.st, 5);
		CU_ASSERT_EQUAL(recv(f.fd, &c, 1, 0), -1);
		CU_ASSERT_EQUAL(errno, ECONNRESET);
		end(&f);
	}
}

TCP_TEST(nobody_listens)
{
	struct pollfd p = {.events = POLLOUT};
	struct zf_stack *st;
	struct zft *ts;
	int error = 0;
	socklen_t len = sizeof(error);

	if (!between(BETWEEN_NOTHING))
		return;
	st = stack_up(TCP_STACK);
	ts = our_connect(st, 9);
	CU_ASSERT_FALSE(our_established(st, ts));
	CU_ASSERT_EQUAL(zft_error(ts), ECONNREFUSED);
	zft_free(ts);
	p.fd = kernel_connect(9);
	for (int i = 0; i < 1000 && poll(&p, 1, 0) == 0; i++)
		turn_for(st, 1);
	CU_ASSERT_EQUAL(getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	CU_ASSERT_EQUAL(error, ECONNREFUSED);
	close(p.fd);
	stack_down(st);
}

/* Nothing is read until nothing moves any more: the window is closed; then all of it is, in sips and at once. */
static void
window_closes(bool ours, const char *attrs, uint32_t sip)
{
	struct flow f = {0};
	struct half *reader = ours ? &f.us : &f.k, *writer = ours ? &f.k : &f.us;
	uint64_t was;

	if (!flow_connect(&f, stack_up(attrs)))
		return;
	reader->deaf = true;
	writer->plan = 16 * MIB;
	do {
		was = writer->sent;
		for (uint64_t until = now_ns() + 60000000u; now_ns() < until;)
			flow_turn(&f);
	} while (writer->sent != was);
	CU_ASSERT_TRUE(writer->sent > 60000 && writer->sent < writer->plan);
	if (ours) /* what we told stays below our promise */
		CU_ASSERT_TRUE(f.ts->rxq_bytes <= f.ts->rcv_buf);
	for (uint64_t until = now_ns() + 700000000u; now_ns() < until;)
		flow_turn(&f); /* probes pass */
	CU_ASSERT_TRUE(writer->sent < writer->plan);
	CU_ASSERT_EQUAL(zft_state(f.ts), TCP_ESTABLISHED);
	reader->deaf = false;
	reader->sip = sip;
	for (uint64_t until = now_ns() + 300000000u; now_ns() < until;)
		flow_turn(&f);
	reader->sip = 0;
	writer->fin = true;
	CU_ASSERT_TRUE(flow_run(&f, 8000));
	printf("\n  window of %s, sip %u: rest in %.2f s, longest gap %.0f ms", ours ? "ours" : "the kernel", sip,
	       (double)f.ns / 1e9, (double)f.gap_ns / 1e6);
	CU_ASSERT_TRUE(f.gap_ns < 1000000000u);
	end(&f);
}

TCP_TEST(slow_reader_is_ours)
{
	if (!between(BETWEEN_NOTHING))
		return;
	window_closes(true, TCP_STACK, 0);
	window_closes(true, TCP_STACK, 10);
	window_closes(true, TCP_STACK ";tcp_rx_window=70000;n_bufs=2000", 100);
}

TCP_TEST(slow_reader_is_the_kernel)
{
	if (!between(BETWEEN_NOTHING))
		return;
	window_closes(false, TCP_STACK, 0);
	window_closes(false, TCP_STACK, 10);
	window_closes(false, TCP_STACK ";n_bufs=2000", 3000);
}

/* One after another, each with a byte both ways; we close first, then the kernel does. */
TCP_TEST(connections_one_after_another)
{
	const uint32_t n = 10000;
	struct zf_stack *st;
	struct zftl *tl;
	uint64_t begun = now_ns();
	uint32_t i;
	int l;

	if (!between(BETWEEN_NOTHING))
		return;
	st = stack_up(BASIC ";max_tcp_endpoints=8");
	tl = our_listen(st, OUR_PORT);
	l = kernel_listen(PEER_PORT, 16);
	for (i = 0; i < n; i++) {
		struct flow f = {.st = st, .fd = -1, .us = {.plan = 1}, .k = {.plan = 1}};

		if (i % 2 == 0) {
			f.fd = kernel_connect(OUR_PORT);
			f.ts = our_accept(st, tl);
		} else {
			f.ts = our_connect(st, PEER_PORT);
			f.fd = f.ts == NULL ? -1 : kernel_accept(st, l);
		}
		if (f.ts == NULL || f.fd < 0 || !flow_run(&f, 3000))
			break;
		f.us.fin = i / 2 % 2 == 0;
		f.k.fin = !f.us.fin;
		if (!flow_run(&f, 3000))
			break;
		f.us.fin = f.k.fin = true;
		if (!flow_run(&f, 3000))
			break;
		flow_close(&f);
	}
	CU_ASSERT_EQUAL(i, n);
	printf("\n  %u connections: %.1f us each", i, (double)(now_ns() - begun) / 1e3 / (i + 1));
	close(l);
	zftl_free(tl);
	stack_down(st);
}

#define AT_ONCE 64

TCP_TEST(connections_at_once)
{
	static struct flow f[AT_ONCE];
	uint64_t until = now_ns() + 15000000000u;
	struct zf_stack *st;
	struct zftl *tl;
	uint32_t done = 0, n_acc = 0;
	int l;

	if (!between(BETWEEN_NOTHING))
		return;
	memset(f, 0, sizeof(f));
	st = stack_up(TCP_STACK);
	tl = our_listen(st, OUR_PORT);
	l = kernel_listen(PEER_PORT, AT_ONCE);
	/* Half of them each way, all under way at the same time. */
	for (int i = 0; i < AT_ONCE; i++) {
		f[i] = (struct flow){.st = st, .fd = -1, .us = {.plan = MIB / 2, .fin = true},
				     .k = {.plan = MIB / 2, .fin = true}};
		if (i % 2 == 0)
			f[i].fd = kernel_connect(OUR_PORT);
		else
			f[i].ts = our_connect(st, PEER_PORT);
	}
	for (int i = 0; i < AT_ONCE; i++, n_acc++) {
		if (i % 2 == 0)
			f[i].ts = our_accept(st, tl);
		else
			f[i].fd = kernel_accept(st, l);
		if (f[i].ts == NULL || f[i].fd < 0)
			break;
	}
	CU_ASSERT_EQUAL(n_acc, AT_ONCE);
	while (n_acc == AT_ONCE && done < AT_ONCE && now_ns() < until) {
		done = 0;
		for (int i = 0; i < AT_ONCE; i++) {
			flow_turn(&f[i]);
			done += flow_done(&f[i]);
		}
	}
	CU_ASSERT_EQUAL(done, AT_ONCE);
	for (int i = 0; i < AT_ONCE; i++) {
		CU_ASSERT_FALSE(f[i].us.wrong || f[i].k.wrong);
		if (n_acc == AT_ONCE && !flow_done(&f[i]) && done + 3 > AT_ONCE)
			flow_show(&f[i]);
		flow_close(&f[i]);
	}
	close(l);
	zftl_free(tl);
	stack_down(st);
}

static const struct unit_test tests[] = {
	UNIT(connect_both_ways),
	UNIT(bulk_to_the_kernel),
	UNIT(bulk_from_the_kernel),
	UNIT(bulk_both_ways_at_once),
	UNIT(requests_and_answers),
	UNIT(every_set_of_options),
	UNIT(half_close),
	UNIT(close_at_once),
	UNIT(reset_by_the_kernel),
	UNIT(reset_by_us),
	UNIT(nobody_listens),
	UNIT(slow_reader_is_ours),
	UNIT(slow_reader_is_the_kernel),
	UNIT(connections_one_after_another),
	UNIT(connections_at_once),
};

int
main(int argc, char **argv)
{
	return peer_main("interop_tcp", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
