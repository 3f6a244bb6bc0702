/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See peer.h.
 */
#include "peer.h"

#include "core/ctx.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

bool have_net;
bool long_run;
uint8_t out_buf[MAX_PAYLOAD], in_buf[MAX_PAYLOAD + 1];

/* Room for the parts of the largest datagram behind the array without a length. */
#define PARTS_MAX 64
union msg {
	struct zfur_msg m;
	uint8_t room[sizeof(struct zfur_msg) + PARTS_MAX * sizeof(struct iovec)];
};

uint64_t
peer_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Bytes that differ for every datagram and every position in it. */
void
peer_fill(uint8_t *buf, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + (uint32_t)len;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		buf[i] = (uint8_t)(x >> 24);
	}
}

uint16_t
peer_checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

struct sockaddr_in
peer_addr(const char *ip, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
				    .sin_addr.s_addr = inet_addr(ip)};
}

struct zf_stack *
stack_with(const char *text, int *rc)
{
	struct zf_stack *st = NULL;
	struct zf_attr *a;

	setenv("ZF_ATTR", text, 1);
	*rc = zf_attr_alloc(&a);
	unsetenv("ZF_ATTR");
	CU_ASSERT_EQUAL_FATAL(*rc, 0);
	*rc = zf_stack_alloc(a, &st);
	zf_attr_free(a);
	return st;
}

struct zf_stack *
stack_up(const char *text)
{
	int rc;
	struct zf_stack *st = stack_with(text, &rc);

	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(st);
	return st;
}

struct zf_attr *
plain_attr(void)
{
	static struct zf_attr *a;

	if (a == NULL)
		CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&a), 0);
	return a;
}

struct zfur *
ur_bound(struct zf_stack *st, const char *ip, uint16_t port)
{
	struct sockaddr_in l = peer_addr(ip, port);
	struct zfur *ur = NULL;

	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, plain_attr()), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	return ur;
}

struct zfut *
ut_to(struct zf_stack *st, const char *from, uint16_t from_port, const char *to, uint16_t to_port)
{
	struct sockaddr_in l = peer_addr(from, from_port), r = peer_addr(to, to_port);
	struct zfut *ut = NULL;

	CU_ASSERT_EQUAL_FATAL(zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0,
					 plain_attr()), 0);
	return ut;
}

/* A kernel socket in the peer's namespace, non-blocking. */
int
peer_socket(int type, int proto, uint16_t port)
{
	struct sockaddr_in l = peer_addr(PEER_ADDR, port);
	int size = 8 << 20;
	int fd;

	netns_enter_peer();
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	netns_leave();
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (port != 0)
		CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&l, sizeof(l)), 0);
	return fd;
}

/* Sends by the zf API, with the guide's loop where there is no room. */
bool
ut_send(struct zf_stack *st, struct zfut *ut, const void *buf, size_t len)
{
	const struct iovec iov = {(void *)(uintptr_t)buf, len};
	uint64_t end = peer_now_ms() + 10000;
	int rc;

	do {
		rc = zfut_send(ut, &iov, 1, 0);
		if (rc == -EAGAIN || rc == -ENOMEM)
			zf_reactor_perform(st);
	} while ((rc == -EAGAIN || rc == -ENOMEM) && peer_now_ms() < end);
	if (rc != (int)len)
		printf("  zfut_send of %zu: %d\n", len, rc);
	return rc == (int)len;
}

/* One datagram of the stack into in_buf: its length, or -1 when none comes for @ms. */
int
ur_recv(struct zf_stack *st, struct zfur *ur, unsigned int ms)
{
	uint64_t end = peer_now_ms() + ms;
	union msg msg;
	size_t len = 0;

	for (;;) {
		msg.m.iovcnt = PARTS_MAX;
		zfur_zc_recv(ur, &msg.m, 0);
		if (msg.m.iovcnt > 0)
			break;
		zf_reactor_perform(st);
		if (peer_now_ms() >= end)
			return -1;
	}
	for (int i = 0; i < msg.m.iovcnt; i++) {
		if (len + msg.m.iov[i].iov_len > sizeof(in_buf))
			return -2;
		memcpy(in_buf + len, msg.m.iov[i].iov_base, msg.m.iov[i].iov_len);
		len += msg.m.iov[i].iov_len;
	}
	zfur_zc_recv_done(ur, &msg.m);
	return (int)len;
}

/* One datagram of the kernel, the stack polled meanwhile (ARP, reassembly timers); -1 after @ms. */
int
fd_recv(struct zf_stack *st, int fd, unsigned int ms)
{
	uint64_t end = peer_now_ms() + ms;

	for (;;) {
		ssize_t n = recv(fd, in_buf, sizeof(in_buf), 0);

		if (n >= 0)
			return (int)n;
		zf_reactor_perform(st);
		if (peer_now_ms() >= end)
			return -1;
	}
}

bool
fd_send(struct zf_stack *st, int fd, const char *ip, uint16_t port, const void *buf, size_t len)
{
	struct sockaddr_in r = peer_addr(ip, port);
	uint64_t end = peer_now_ms() + 10000;
	ssize_t n;

	do {
		n = sendto(fd, buf, len, 0, (struct sockaddr *)&r, sizeof(r));
		if (n < 0)
			zf_reactor_perform(st);
	} while (n < 0 && (errno == EAGAIN || errno == ENOBUFS) && peer_now_ms() < end);
	return n == (ssize_t)len;
}

/* What became of every frame, beside a failure. */
void
show_counters(struct zf_stack *st)
{
	static const char *const names[] = {
#define COUNTER(id, text) #id,
#include "core/counter.def"
#undef COUNTER
	};
	const struct zf_ctx *ctx = (const struct zf_ctx *)st; /* a stack starts with its ctx */

	for (int i = 0; i < CNT__N; i++)
		if (ctx->counters[i] != 0)
			printf("    %-24s %llu\n", names[i], (unsigned long long)ctx->counters[i]);
}

int
peer_net_up(const char **step)
{
	int rc;

	*step = "interfaces";
	rc = netns_up(NETNS_OURS, true);
	netns_enter_peer();
	netns_sysctl("ipv4/conf/" NETNS_PEER "/rp_filter", "0");
	if (rc == 0)
		rc = netns_addr(true, NETNS_PEER, inet_addr(PEER_ADDR), 24);
	if (rc == 0)
		rc = netns_up(NETNS_PEER, true);
	if (rc == 0)
		rc = netns_route(NETNS_PEER, inet_addr("239.0.0.0"), 8);
	netns_leave();
	netns_sysctl("ipv4/conf/" NETNS_OURS "/forwarding", "0");
	return rc;
}

int
peer_main(const char *suite, const struct unit_test *tests, size_t n, int argc, char **argv)
{
	const char *step = "";
	int rc;

	if (argc > 1 && strcmp(argv[1], "--long") == 0) {
		long_run = true;
		argc--;
		argv++;
	}
	rc = netns_setup(&step);
	if (rc == 0)
		rc = peer_net_up(&step);
	have_net = rc == 0;
	if (rc < 0)
		printf("no network of our own: %s: %s\n", step, strerror(-rc));
	rc = zf_init();
	if (rc < 0) {
		printf("zf_init: %d\n", rc);
		return 2;
	}
	return unit_main(suite, tests, n, argc, argv);
}
