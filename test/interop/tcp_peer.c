/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See tcp_peer.h: connections and their two ends. The network between them is tcp_net.c's.
 */
#include "tcp_peer.h"

#include "capture.h"
#include "core/pool.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 1048573u /* a prime: no segment size divides it */
#define PARTS  16

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

const uint8_t *
stream_at(uint64_t at)
{
	static uint8_t *bytes;

	if (bytes == NULL) {
		bytes = malloc(PERIOD + STREAM_RUN);
		if (bytes == NULL)
			exit(2);
		peer_fill(bytes, PERIOD, 1);
		memcpy(bytes + PERIOD, bytes, STREAM_RUN);
	}
	return bytes + at % PERIOD;
}

/* The two directions differ. */
#define FROM_KERNEL 500000u

uint64_t
counter_of(const struct zf_stack *st, int counter)
{
	return ((const struct zf_ctx *)st)->counters[counter]; /* a stack starts with its ctx */
}

void
turn_for(struct zf_stack *st, unsigned int ms)
{
	uint64_t end = peer_now_ms() + ms;

	do
		zf_reactor_perform(st);
	while (peer_now_ms() < end);
}

void
stack_down(struct zf_stack *st)
{
	uint64_t end = peer_now_ms() + 5000;

	while (!zf_stack_is_quiescent(st) && peer_now_ms() < end)
		zf_reactor_perform(st);
	CU_ASSERT_TRUE(zf_stack_is_quiescent(st));
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

int
kernel_listen(uint16_t port, int backlog)
{
	struct sockaddr_in l = peer_addr(PEER_ADDR, port);
	int fd, on = 1;

	netns_enter_peer();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	netns_leave();
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&l, sizeof(l)) < 0 || listen(fd, backlog) < 0)
		CU_FAIL("the kernel does not listen");
	return fd;
}

int
kernel_connect(uint16_t port)
{
	struct sockaddr_in r = peer_addr(OUR_ADDR, port);
	int fd;

	netns_enter_peer();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	netns_leave();
	if (fd < 0 || (connect(fd, (struct sockaddr *)&r, sizeof(r)) < 0 && errno != EINPROGRESS))
		CU_FAIL("the kernel does not connect");
	return fd;
}

struct zft *
our_connect(struct zf_stack *st, uint16_t port)
{
	struct sockaddr_in r = peer_addr(PEER_ADDR, port);
	struct zft_handle *h;
	struct zft *ts = NULL;
	int rc = zft_alloc(st, plain_attr(), &h);

	CU_ASSERT_EQUAL(rc, 0);
	if (rc < 0)
		return NULL;
	rc = zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts);
	CU_ASSERT_EQUAL(rc, 0);
	if (rc < 0) {
		printf("  zft_connect: %d\n", rc);
		zft_handle_free(h);
	}
	return ts;
}

struct zftl *
our_listen(struct zf_stack *st, uint16_t port)
{
	struct sockaddr_in l = peer_addr(OUR_ADDR, port);
	struct zftl *tl = NULL;

	CU_ASSERT_EQUAL_FATAL(zftl_listen(st, (struct sockaddr *)&l, sizeof(l), plain_attr(), &tl), 0);
	return tl;
}

struct zft *
our_accept(struct zf_stack *st, struct zftl *tl)
{
	uint64_t end = peer_now_ms() + 5000;
	struct zft *ts = NULL;

	while (zftl_accept(tl, &ts) < 0 && peer_now_ms() < end)
		zf_reactor_perform(st);
	return ts;
}

int
kernel_accept(struct zf_stack *st, int fd)
{
	uint64_t end = peer_now_ms() + 5000;
	int c;

	while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0 && peer_now_ms() < end)
		zf_reactor_perform(st);
	return c;
}

bool
our_established(struct zf_stack *st, struct zft *ts)
{
	uint64_t end = peer_now_ms() + 10000;

	while ((zft_state(ts) == TCP_SYN_SENT || zft_state(ts) == TCP_SYN_RECV) && peer_now_ms() < end)
		zf_reactor_perform(st);
	return zft_state(ts) == TCP_ESTABLISHED;
}

bool
flow_connect(struct flow *f, struct zf_stack *st)
{
	int l = kernel_listen(PEER_PORT, 16);

	f->st = st;
	f->fd = -1;
	f->ts = our_connect(st, PEER_PORT);
	if (f->ts != NULL && our_established(st, f->ts))
		f->fd = kernel_accept(st, l);
	close(l);
	CU_ASSERT_TRUE(f->fd >= 0);
	if (f->fd < 0 && f->ts != NULL)
		printf("  not connected: state %d, error %d\n", zft_state(f->ts), zft_error(f->ts));
	return f->fd >= 0;
}

bool
flow_accept(struct flow *f, struct zf_stack *st)
{
	struct zftl *tl = our_listen(st, OUR_PORT);

	f->st = st;
	f->fd = kernel_connect(OUR_PORT);
	f->ts = our_accept(st, tl);
	zftl_free(tl);
	CU_ASSERT_PTR_NOT_NULL(f->ts);
	return f->ts != NULL;
}

void
flow_close(struct flow *f)
{
	if (f->ts != NULL)
		zft_free(f->ts);
	if (f->fd >= 0)
		close(f->fd);
	f->ts = NULL;
	f->fd = -1;
}

static size_t
sip_of(const struct half *h, uint64_t left)
{
	uint64_t most = h->sip != 0 ? h->sip : STREAM_RUN;

	return (size_t)(left < most ? left : most);
}

/* @len bytes came from the other end, whose stream begins at @base. */
static void
take(struct half *h, uint32_t base, const void *bytes, size_t len)
{
	if (len > 0 && memcmp(bytes, stream_at(base + h->rcvd), len) != 0)
		h->wrong = true;
	h->rcvd += len;
}

/* The kernel's end. True: something happened. */
static bool
kernel_turn(struct flow *f)
{
	static uint8_t buf[STREAM_RUN];
	struct half *h = &f->k;
	bool moved = false;
	ssize_t n;

	if (h->sent < h->plan) {
		n = send(f->fd, stream_at(FROM_KERNEL + h->sent), sip_of(h, h->plan - h->sent),
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			h->sent += (uint64_t)n;
			moved = true;
		} else if (errno != EAGAIN && errno != EINPROGRESS && errno != ENOTCONN && h->error == 0) {
			h->error = errno;
		}
	}
	if (h->sent == h->plan && h->fin && !h->shut) {
		shutdown(f->fd, SHUT_WR);
		h->shut = true;
	}
	if (h->deaf || h->eof || h->error != 0)
		return moved;
	n = recv(f->fd, buf, sip_of(h, sizeof(buf)), MSG_DONTWAIT);
	if (n > 0)
		take(h, 0, buf, (size_t)n);
	else if (n == 0)
		h->eof = true;
	else if (errno != EAGAIN && errno != ENOTCONN)
		h->error = errno;
	return moved || n >= 0;
}

static void
our_read(struct flow *f)
{
	struct {
		struct zft_msg m;
		struct iovec iov[PARTS];
	} msg = {.m = {.iovcnt = PARTS}};
	struct half *h = &f->us;
	size_t len = 0, most = sip_of(h, STREAM_RUN);
	int rc;

	zft_zc_recv(f->ts, &msg.m, 0);
	if (msg.m.iovcnt == 0)
		return;
	for (int i = 0; i < msg.m.iovcnt && len < most; i++) {
		size_t part = msg.iov[i].iov_len < most - len ? msg.iov[i].iov_len : most - len;

		take(h, FROM_KERNEL, msg.iov[i].iov_base, part);
		len += part;
	}
	rc = h->sip != 0 ? zft_zc_recv_done_some(f->ts, &msg.m, len) : zft_zc_recv_done(f->ts, &msg.m);
	if (rc == 0)
		h->eof = true;
	else if (rc < 0)
		h->error = -rc;
}

/* Our end; reads by copying calls and without in turn. */
static void
our_turn(struct flow *f)
{
	static uint8_t buf[16384];
	struct iovec iov = {buf, sizeof(buf)};
	struct half *h = &f->us;
	ssize_t n;

	for (int i = 0; i < 8 && h->sent < h->plan && h->error == 0; i++) {
		n = zft_send_single(f->ts, stream_at(h->sent), sip_of(h, h->plan - h->sent), 0);
		if (n < 0 && n != -EAGAIN && n != -ENOMEM)
			h->error = (int)-n;
		if (n <= 0)
			break;
		h->sent += (uint64_t)n;
	}
	if (h->sent == h->plan && h->fin && !h->shut)
		h->shut = zft_shutdown_tx(f->ts) == 0;
	for (int i = 0; i < 8 && !h->deaf && !h->eof && h->error == 0; i++) {
		uint64_t was = h->rcvd;

		if (h->sip != 0 || i % 2 == 0) {
			our_read(f);
		} else {
			n = zft_recv(f->ts, &iov, 1, 0);
			if (n > 0)
				take(h, FROM_KERNEL, buf, (size_t)n);
			else if (n == 0)
				h->eof = true;
			else if (n != -EAGAIN)
				h->error = (int)-n;
		}
		if (h->rcvd == was)
			break;
	}
}

void
flow_turn(struct flow *f)
{
	capture_turn();
	zf_reactor_perform(f->st);
	our_turn(f);
	if (!f->threaded)
		(void)kernel_turn(f);
}

static bool
half_done(const struct half *h, const struct half *from)
{
	return h->sent == h->plan && h->shut == h->fin && h->rcvd == from->plan && h->eof == from->fin;
}

bool
flow_done(const struct flow *f)
{
	return half_done(&f->us, &f->k) && half_done(&f->k, &f->us);
}

static bool
flow_bad(const struct flow *f)
{
	return f->us.error != 0 || f->k.error != 0 || f->us.wrong || f->k.wrong;
}

struct worker {
	struct flow *f;
	atomic_bool stop;
	atomic_bool done;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct flow *f = w->f;

	while (!atomic_load(&w->stop) && !flow_bad(f)) {
		struct pollfd p = {.fd = f->fd, .events = f->k.eof || f->k.deaf ? 0 : POLLIN};

		if (f->k.sent < f->k.plan)
			p.events |= POLLOUT;
		while (kernel_turn(f))
			if (atomic_load(&w->stop))
				return NULL;
		if (half_done(&f->k, &f->us)) {
			atomic_store(&w->done, true);
			return NULL;
		}
		(void)poll(&p, 1, 5);
	}
	return NULL;
}

static void
note_phase(struct flow *f, uint8_t *was)
{
	uint8_t is = f->ts->loss.phase;

	if (is == *was)
		return;
	f->timeouts += is == LOSS_RTO;
	f->recoveries += is == LOSS_RECOVERY;
	*was = is;
}

static void
flow_loop(struct flow *f, struct worker *w, uint64_t end)
{
	uint64_t last = now_ns(), now = last;
	uint8_t phase = f->ts->loss.phase;
	uint64_t got = f->us.rcvd + f->k.rcvd, is;

	while (now < end && !flow_bad(f)) {
		flow_turn(f);
		note_phase(f, &phase);
		now = now_ns();
		is = f->us.rcvd + f->k.rcvd;
		if (is != got) {
			got = is;
			last = now;
		} else if (now - last > f->gap_ns) {
			f->gap_ns = now - last;
		}
		if (half_done(&f->us, &f->k) &&
		    (f->threaded ? atomic_load(&w->done) : half_done(&f->k, &f->us)))
			break;
	}
}

bool
flow_run(struct flow *f, unsigned int ms)
{
	struct worker w = {.f = f};
	uint64_t begin = now_ns();
	pthread_t t;
	bool good;

	f->gap_ns = f->timeouts = f->recoveries = 0;
	if (f->threaded && pthread_create(&t, NULL, work, &w) != 0)
		return false;
	flow_loop(f, &w, begin + (uint64_t)ms * 1000000u);
	if (f->threaded) {
		atomic_store(&w.stop, true);
		pthread_join(t, NULL);
	}
	f->ns = now_ns() - begin;
	good = flow_done(f) && !flow_bad(f);
	if (!good)
		flow_show(f);
	return good;
}

static void
show_half(const char *who, const struct half *h)
{
	printf("    %-6s sent %llu of %llu%s, received %llu%s%s, error %d\n", who, (unsigned long long)h->sent,
	       (unsigned long long)h->plan, h->shut ? " and FIN" : "", (unsigned long long)h->rcvd, h->eof ? " and FIN" : "",
	       h->wrong ? " WRONG" : "", h->error);
}

void
flow_show(const struct flow *f)
{
	const struct zft *ts = f->ts;
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	printf("  after %.3f s, longest gap %.3f s, %u timeouts, %u recoveries:\n", (double)f->ns / 1e9,
	       (double)f->gap_ns / 1e9, f->timeouts, f->recoveries);
	show_half("ours", &f->us);
	show_half("kernel", &f->k);
	printf("    ours: state %d, error %d, una %u nxt %u end %u wnd %u, rcv_nxt %u adv %u, rxq %u bytes %u bufs, "
	       "cwnd %u ssthresh %u phase %u lost %u sacked %u retrans %u, mode %u due %lld ms, backoff %u, flags %x\n",
	       ts->state, ts->error, ts->snd_una.n, ts->snd_nxt.n, ts->snd_end.n, ts->snd_wnd, ts->rcv_nxt.n,
	       ts->rcv_adv.n, ts->rxq_bytes, ts->rxq_pkts, ts->cc.cwnd, ts->cc.ssthresh, ts->loss.phase,
	       ts->loss.lost, ts->loss.sacked, ts->loss.retrans, ts->rtx_mode,
	       (long long)((int64_t)(ts->due[TCP_DUE_RTX] - zft_ctx(ts)->now) * 1000 / (int64_t)zft_ctx(ts)->hz),
	       ts->backoff, ts->flags);
	if (getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0)
		printf("    kernel: state %u, unacked %u, sacked %u, lost %u, retrans %u of %u, cwnd %u, rto %u ms, "
		       "backoff %u, reordering %u\n", ti.tcpi_state, ti.tcpi_unacked, ti.tcpi_sacked, ti.tcpi_lost,
		       ti.tcpi_retrans, ti.tcpi_total_retrans, ti.tcpi_snd_cwnd, ti.tcpi_rto / 1000, ti.tcpi_backoff,
		       ti.tcpi_reordering);
	show_counters(f->st);
}
