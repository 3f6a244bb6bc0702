/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls whose instructions are counted. Each stands in a function of its own named z_*, which callgrind is told to
 * collect in (bench.py does so); what it needs has been prepared before, outside of it. Two stacks of this process,
 * joined by wire:NAME, with their attributes as a user would set them, spinning switched off.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#define NOINLINE __attribute__((noinline))

struct side {
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
};

struct message {
	struct zfur_msg msg;
	struct iovec iov[2];
};

static unsigned char payload[1472];

NOINLINE int z_idle(struct side *s);
NOINLINE int z_udp_send(struct side *s, size_t len);
NOINLINE int z_udp_send_iov(struct side *s, size_t len);
NOINLINE int z_udp_recv(struct side *s);

NOINLINE int
z_idle(struct side *s)
{
	return zf_reactor_perform(s->st);
}

NOINLINE int
z_udp_send(struct side *s, size_t len)
{
	return zfut_send_single(s->ut, payload, len);
}

NOINLINE int
z_udp_send_iov(struct side *s, size_t len)
{
	struct iovec iov = {payload, len};

	return zfut_send(s->ut, &iov, 1, 0);
}

NOINLINE int
z_udp_recv(struct side *s)
{
	struct message m;

	zf_reactor_perform(s->st);
	m.msg.iovcnt = 2;
	zfur_zc_recv(s->ur, &m.msg, 0);
	if (m.msg.iovcnt == 0)
		return -EAGAIN;
	zfur_zc_recv_done(s->ur, &m.msg);
	return 0;
}

static void
must(const char *what, long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "calls: %s: %s\n", what, strerror((int)-rc));
	exit(1);
}

static void
open_side(struct side *s, const char *wire, const char *ipv4)
{
	struct zf_attr *attr;

	must("zf_attr_alloc", zf_attr_alloc(&attr));
	must("interface", zf_attr_set_str(attr, "interface", wire));
	must("ipv4", zf_attr_set_str(attr, "ipv4", ipv4));
	must("reactor_spin_count", zf_attr_set_int(attr, "reactor_spin_count", 1));
	must("zf_stack_alloc", zf_stack_alloc(attr, &s->st));
	zf_attr_free(attr);
}

static void
open_udp(struct side *s, const char *own, const char *other)
{
	struct sockaddr_in l = {.sin_family = AF_INET, .sin_port = htons(20000)}, r = l;
	struct zf_attr *attr;

	must("zf_attr_alloc", zf_attr_alloc(&attr));
	inet_pton(AF_INET, own, &l.sin_addr);
	inet_pton(AF_INET, other, &r.sin_addr);
	must("zfur_alloc", zfur_alloc(&s->ur, s->st, attr));
	must("zfur_addr_bind", zfur_addr_bind(s->ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0));
	must("zfut_alloc", zfut_alloc(&s->ut, s->st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r,
				      sizeof(r), 0, attr));
	zf_attr_free(attr);
}

/* One datagram there and one back, each call a counted one. */
static void
round_trip(struct side *a, struct side *b, size_t len)
{
	must("send", z_udp_send(a, len));
	must("recv", z_udp_recv(b));
	must("send", z_udp_send(b, len));
	must("recv", z_udp_recv(a));
}

int
main(int argc, char **argv)
{
	const char *op = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;
	size_t len = argc > 3 ? (size_t)atol(argv[3]) : 12;
	struct side a, b;

	if (n <= 0 || len > sizeof(payload)) {
		fprintf(stderr, "usage: calls idle|udp_send|udp_send_iov|udp_recv|udp_rtt COUNT [PAYLOAD, up to 1472]\n");
		return 2;
	}
	must("zf_init", zf_init());
	open_side(&a, "wire:bench/a", "10.0.0.1/24");
	open_side(&b, "wire:bench/b", "10.0.0.2/24");
	open_udp(&a, "10.0.0.1", "10.0.0.2");
	open_udp(&b, "10.0.0.2", "10.0.0.1");
	for (int i = 0; i < 100; i++) { /* ARP, and timers of the start */
		zf_reactor_perform(a.st);
		zf_reactor_perform(b.st);
	}
	for (long i = 0; i < n; i++) {
		if (strcmp(op, "idle") == 0)
			z_idle(&a);
		else if (strcmp(op, "udp_send_iov") == 0)
			must("send", z_udp_send_iov(&a, len));
		else if (strcmp(op, "udp_rtt") == 0)
			round_trip(&a, &b, len);
		else
			must("send", z_udp_send(&a, len));
		if (strcmp(op, "idle") != 0 && strcmp(op, "udp_rtt") != 0)
			must("recv", z_udp_recv(&b));
	}
	must("zf_stack_free", zf_stack_free(a.st));
	must("zf_stack_free", zf_stack_free(b.st));
	return 0;
}
