/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What calls.c counts, over ports of DPDK: each counted call in a function of its own named z_* (bench.py --ports). The
 * PMD's burst functions are part of every figure.
 *
 *	port_calls idle COUNT IF       polls of a port to which nothing comes
 *	port_calls send COUNT IF       datagrams to a group, which needs no neighbour
 *	port_calls pair COUNT IF IF    datagrams from the second to the first, sent and received
 *	port_calls back COUNT IF IF    and from the first to the second
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#define NOINLINE __attribute__((noinline))
#define PATIENCE 5000000L

static unsigned char payload[12];
static struct zf_attr *attr;

NOINLINE int z_idle(struct zf_stack *st);
NOINLINE int z_send(struct zfut *ut);
NOINLINE int z_recv(struct zf_stack *st, struct zfur *ur);

NOINLINE int
z_idle(struct zf_stack *st)
{
	return zf_reactor_perform(st);
}

NOINLINE int
z_send(struct zfut *ut)
{
	return zfut_send_single(ut, payload, sizeof(payload));
}

NOINLINE int
z_recv(struct zf_stack *st, struct zfur *ur)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[2];
	} m;

	zf_reactor_perform(st);
	m.msg.iovcnt = 2;
	zfur_zc_recv(ur, &m.msg, 0);
	if (m.msg.iovcnt == 0)
		return 0;
	zfur_zc_recv_done(ur, &m.msg);
	return 1;
}

static void
must(const char *what, int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "port_calls: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static struct sockaddr_in
addr(const char *ip)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(20000)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static struct zf_stack *
open_stack(const char *interface, const char *ipv4)
{
	struct zf_stack *st;

	must("interface", zf_attr_set_str(attr, "interface", interface));
	must("ipv4", zf_attr_set_str(attr, "ipv4", ipv4));
	must("n_bufs", zf_attr_set_int(attr, "n_bufs", 4096));
	must("reactor_spin_count", zf_attr_set_int(attr, "reactor_spin_count", 1));
	must("zf_stack_alloc", zf_stack_alloc(attr, &st));
	return st;
}

static struct zfut *
open_zfut(struct zf_stack *st, const char *from, const char *to)
{
	struct sockaddr_in l = addr(from), r = addr(to);
	struct zfut *ut;

	must("zfut_alloc",
	     zfut_alloc(&ut, st, (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r, sizeof(r), 0, attr));
	return ut;
}

/* From @b to @a, each datagram received by the poll that follows its send. */
static void
pair(struct zf_stack *a, const char *a_ip, struct zf_stack *b, const char *b_ip, long n)
{
	struct sockaddr_in l = addr(a_ip);
	struct zfut *ut = open_zfut(b, b_ip, a_ip);
	struct zfur *ur;

	must("zfur_alloc", zfur_alloc(&ur, a, attr));
	must("zfur_addr_bind", zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0));
	/* The peer has to come up, and ARP to be answered. */
	(void)zfut_send_single(ut, payload, sizeof(payload));
	for (long i = 0; i < PATIENCE; i++) {
		struct {
			struct zfur_msg msg;
			struct iovec iov[2];
		} m = {.msg.iovcnt = 2};

		zf_reactor_perform(b);
		zf_reactor_perform(a);
		zfur_zc_recv(ur, &m.msg, 0);
		if (m.msg.iovcnt == 0)
			continue;
		zfur_zc_recv_done(ur, &m.msg);
		break;
	}
	for (long i = 0; i < n; i++) {
		must("send", z_send(ut));
		if (z_recv(a, ur) == 0)
			must("receive", -ENODATA);
		zf_reactor_perform(b);
	}
}

int
main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[2]) : 0;
	struct zf_stack *a, *b = NULL;

	if (n <= 0 || argc < 4 || argc != 4 + (strcmp(argv[1], "pair") == 0 || strcmp(argv[1], "back") == 0)) {
		fprintf(stderr, "usage: port_calls idle|send COUNT INTERFACE, or pair|back COUNT INTERFACE INTERFACE\n");
		return 2;
	}
	must("zf_init", zf_init());
	must("zf_attr_alloc", zf_attr_alloc(&attr));
	a = open_stack(argv[3], "10.0.0.1/24");
	if (argc == 5)
		b = open_stack(argv[4], "10.0.0.2/24");
	for (int i = 0; i < 100; i++) /* announcements, timers of the start */
		zf_reactor_perform(a);
	if (b != NULL) {
		if (strcmp(argv[1], "pair") == 0)
			pair(a, "10.0.0.1", b, "10.0.0.2", n);
		else
			pair(b, "10.0.0.2", a, "10.0.0.1", n);
		/* Seen once under valgrind: net_virtio_user is closed while EAL's thread is in its handler, which crashes. What is
		 * measured needs no end.
		 */
		return 0;
	} else {
		struct zfut *ut = open_zfut(a, "10.0.0.1", "239.1.1.1");

		for (long i = 0; i < n; i++)
			if (strcmp(argv[1], "send") == 0)
				must("send", z_send(ut));
			else
				z_idle(a);
	}
	must("zf_stack_free", zf_stack_free(a));
	zf_attr_free(attr);
	return 0;
}
