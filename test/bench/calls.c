/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls whose instructions are counted. Each stands in a function of its own named z_*, which callgrind is told to
 * collect in (bench.py does so); what it needs has been prepared before, outside of it. Two stacks of this process,
 * joined by wire:NAME, with their attributes as a user would set them, spinning switched off. Built with CALLS_SOFTVI, and a
 * library that has the model of an adapter, they are joined by that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#if CALLS_SOFTVI
#include "softvi/softvi.h"
#define PORT "softvi:bench"
#else
#define CALLS_SOFTVI 0
#define PORT "wire:bench"
#endif

#define NOINLINE __attribute__((noinline))

struct side {
	struct zf_stack *st;
	struct zfur *ur;
	struct zfut *ut;
	struct zft *t;
	struct zftl *tl;
	zf_althandle alt;
};

/* Members of the large set. */
#define MANY 10000

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

struct tcp_message {
	struct zft_msg msg;
	struct iovec iov[2];
};

NOINLINE int z_tcp_send(struct side *s, size_t len);
NOINLINE int z_tcp_recv(struct side *s);
NOINLINE int z_tcp_owed(struct side *s);
NOINLINE int z_tcp_open(struct side *s, const struct sockaddr_in *to, struct zf_attr *attr);
NOINLINE int z_tcp_poll(struct side *s);
NOINLINE int z_tcp_accept(struct side *s);
NOINLINE int z_tcp_free(struct side *s);

NOINLINE int
z_tcp_send(struct side *s, size_t len)
{
	return (int)zft_send_single(s->t, payload, len, 0);
}

/* Until the application has the data. */
NOINLINE int
z_tcp_recv(struct side *s)
{
	struct tcp_message m;

	zf_reactor_perform(s->st);
	m.msg.iovcnt = 2;
	zft_zc_recv(s->t, &m.msg, 0);
	if (m.msg.iovcnt == 0)
		return -EAGAIN;
	return zft_zc_recv_done(s->t, &m.msg);
}

/* The next poll, which finds nothing but what the last one put off. */
NOINLINE int
z_tcp_owed(struct side *s)
{
	return zf_reactor_perform(s->st);
}

NOINLINE int
z_tcp_poll(struct side *s)
{
	return zf_reactor_perform(s->st);
}

NOINLINE int
z_tcp_open(struct side *s, const struct sockaddr_in *to, struct zf_attr *attr)
{
	struct zft_handle *h;
	int rc = zft_alloc(s->st, attr, &h);

	return rc < 0 ? rc : zft_connect(h, (const struct sockaddr *)to, sizeof(*to), &s->t);
}

NOINLINE int
z_tcp_accept(struct side *s)
{
	return zftl_accept(s->tl, &s->t);
}

NOINLINE int
z_tcp_free(struct side *s)
{
	return zft_free(s->t);
}

NOINLINE int z_alt_queue(struct side *s, size_t len);
NOINLINE int z_alt_send(struct side *s);
NOINLINE int z_alt_poll(struct side *s);

NOINLINE int
z_alt_queue(struct side *s, size_t len)
{
	struct iovec iov = {payload, len};

	return zft_alternatives_queue(s->t, s->alt, &iov, 1, 0);
}

NOINLINE int
z_alt_send(struct side *s)
{
	return zf_alternatives_send(s->st, s->alt);
}

/* The next poll, in which it drains. */
NOINLINE int
z_alt_poll(struct side *s)
{
	return zf_reactor_perform(s->st);
}

NOINLINE int z_mux_wait(struct zf_muxer_set *set);

NOINLINE int
z_mux_wait(struct zf_muxer_set *set)
{
	struct epoll_event ev;

	return zf_muxer_wait(set, &ev, 1, 0);
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
open_side(struct side *s, const char *wire, const char *ipv4, long zfurs, long alts)
{
	struct zf_attr *attr;

	must("zf_attr_alloc", zf_attr_alloc(&attr));
	must("interface", zf_attr_set_str(attr, "interface", wire));
	must("ipv4", zf_attr_set_str(attr, "ipv4", ipv4));
	must("reactor_spin_count", zf_attr_set_int(attr, "reactor_spin_count", 1));
	must("max_udp_rx_endpoints", zf_attr_set_int(attr, "max_udp_rx_endpoints", zfurs));
	must("alt_count", zf_attr_set_int(attr, "alt_count", alts));
	must("zf_stack_alloc", zf_stack_alloc(attr, &s->st));
	if (alts > 0)
		must("zf_alternatives_alloc", zf_alternatives_alloc(s->st, attr, &s->alt));
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

/* A set of @n members, the one that is used in their midst. */
static struct zf_muxer_set *
open_set(struct side *s, long n)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct zf_muxer_set *set;
	struct zf_attr *attr;
	struct zfur *more;

	must("zf_attr_alloc", zf_attr_alloc(&attr));
	must("zf_muxer_alloc", zf_muxer_alloc(s->st, &set));
	for (long i = 0; i < n; i++) {
		if (i != n / 2)
			must("zfur_alloc", zfur_alloc(&more, s->st, attr));
		must("zf_muxer_add", zf_muxer_add(set, zfur_to_waitable(i == n / 2 ? s->ur : more), &ev));
	}
	zf_attr_free(attr);
	return set;
}

/* A datagram arrives, the set tells of it, and it is read, which is not counted. */
static void
mux_round(struct side *a, struct side *b, struct zf_muxer_set *set, size_t len)
{
	struct message m = {.msg.iovcnt = 2};

	must("send", z_udp_send(a, len));
	must("zf_muxer_wait", z_mux_wait(set) == 1 ? 0 : -EPROTO);
	zfur_zc_recv(b->ur, &m.msg, 0);
	must("zfur_zc_recv", m.msg.iovcnt == 1 ? 0 : -EPROTO);
	zfur_zc_recv_done(b->ur, &m.msg);
}

static struct sockaddr_in tcp_addr;
static struct zf_attr *tcp_attr;

static void
listen_tcp(struct side *b)
{
	tcp_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(20001)};
	inet_pton(AF_INET, "10.0.0.2", &tcp_addr.sin_addr);
	must("zf_attr_alloc", zf_attr_alloc(&tcp_attr));
	must("zftl_listen", zftl_listen(b->st, (struct sockaddr *)&tcp_addr, sizeof(tcp_addr), tcp_attr, &b->tl));
}

/* Handshake, each call a counted one. */
static void
connect_tcp(struct side *a, struct side *b)
{
	must("connect", z_tcp_open(a, &tcp_addr, tcp_attr));
	z_tcp_poll(b); /* SYN */
	z_tcp_poll(a); /* SYN-ACK */
	z_tcp_poll(b); /* ACK */
	must("accept", z_tcp_accept(b));
}

/* Both close at the end of a request: four segments in three polls. */
static void
close_tcp(struct side *a, struct side *b)
{
	must("free", z_tcp_free(a));
	z_tcp_poll(b); /* FIN */
	must("free", z_tcp_free(b));
	z_tcp_poll(a); /* ACK, FIN */
	z_tcp_poll(b); /* ACK */
}

/* Request and response, and all the work that comes of them. */
static void
tcp_round_trip(struct side *a, struct side *b, size_t len)
{
	must("send", z_tcp_send(a, len));
	must("recv", z_tcp_recv(b));
	must("send", z_tcp_send(b, len));
	z_tcp_owed(b);
	must("recv", z_tcp_recv(a));
	z_tcp_owed(a);
}

/* A prepared request, answered by the ordinary way. */
static void
alt_round_trip(struct side *a, struct side *b, size_t len)
{
	must("zft_alternatives_queue", z_alt_queue(a, len));
	must("zf_alternatives_send", z_alt_send(a));
	z_alt_poll(a);
	must("recv", z_tcp_recv(b));
	must("send", z_tcp_send(b, len));
	z_tcp_owed(b);
	must("recv", z_tcp_recv(a));
	z_tcp_owed(a);
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
	long members = strcmp(op, "mux_many") == 0 ? MANY : 1;
	struct zf_muxer_set *set;
	struct side a, b;

	if (n <= 0 || len > sizeof(payload)) {
		fprintf(stderr, "usage: calls idle|udp_send|udp_send_iov|udp_rtt|tcp_rtt|tcp_conn|alt|mux_idle|mux|mux_many COUNT "
				"[PAYLOAD, up to 1472]\n");
		return 2;
	}
	must("zf_init", zf_init());
#if CALLS_SOFTVI
	/* As if each zocket had its filter. */
	softvi_cfg(softvi_adapter("bench/a"))->all_to_vi = true;
	softvi_cfg(softvi_adapter("bench/b"))->all_to_vi = true;
#endif
	open_side(&a, PORT "/a", "10.0.0.1/24", 64, strcmp(op, "alt") == 0 ? 2 : 0);
	open_side(&b, PORT "/b", "10.0.0.2/24", members > 64 ? members : 64, 0);
	open_udp(&a, "10.0.0.1", "10.0.0.2");
	open_udp(&b, "10.0.0.2", "10.0.0.1");
	for (int i = 0; i < 100; i++) { /* ARP, and timers of the start */
		zf_reactor_perform(a.st);
		zf_reactor_perform(b.st);
	}
	set = open_set(&b, strncmp(op, "mux", 3) == 0 ? members : 0);
	listen_tcp(&b);
	if (strcmp(op, "tcp_conn") != 0)
		connect_tcp(&a, &b);
	for (long i = 0; i < n; i++) {
		if (strcmp(op, "idle") == 0) {
			z_idle(&a);
		} else if (strcmp(op, "mux_idle") == 0) {
			must("zf_muxer_wait", z_mux_wait(set) == 0 ? 0 : -EPROTO);
		} else if (strncmp(op, "mux", 3) == 0) {
			mux_round(&a, &b, set, len);
		} else if (strcmp(op, "udp_rtt") == 0) {
			round_trip(&a, &b, len);
		} else if (strcmp(op, "tcp_rtt") == 0) {
			tcp_round_trip(&a, &b, len);
		} else if (strcmp(op, "alt") == 0) {
			alt_round_trip(&a, &b, len);
		} else if (strcmp(op, "tcp_conn") == 0) {
			connect_tcp(&a, &b);
			close_tcp(&a, &b);
		} else {
			must("send", strcmp(op, "udp_send_iov") == 0 ? z_udp_send_iov(&a, len) : z_udp_send(&a, len));
			must("recv", z_udp_recv(&b));
		}
		if (CALLS_SOFTVI) /* an adapter's completions are learnt of by polls */
			zf_reactor_perform(a.st);
	}
	must("zf_stack_free", zf_stack_free(a.st));
	must("zf_stack_free", zf_stack_free(b.st));
	return 0;
}
