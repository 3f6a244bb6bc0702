/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls of zf_tcp.h by themselves: every documented code with its condition (doc/errors.md names the script), and
 * what calls promise besides (guide 5.8, 5.9, 11.10; guide-decisions). Address errors are in pkt_tcp_conn.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ip/netif.h"
#include "pkt/ps_zft.h"

struct reading {
	struct zft_msg msg;
	struct iovec iov[8];
};

/* zft_zc_recv() into @r, @max buffers: how many came. */
static int
look(struct ps *s, struct reading *r, int max)
{
	memset(r, 0x5a, sizeof(*r));
	r->msg.iovcnt = max;
	zft_zc_recv(ps_zft(s), &r->msg, 0);
	return r->msg.iovcnt;
}

/* Every way to read says that the stream has ended, and how. */
static void
expect_end(struct ps *s, int rc)
{
	struct reading r;

	ps_tcp_end(s, rc);
	PS_EQ(s, look(s, &r, 8), 1);
	PS_EQ(s, zft_zc_recv_done_some(ps_zft(s), &r.msg, 0), rc);
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	PS_EQ(s, ps_tcp_send_single(s, 1), -ENOTCONN);
}

PKT_TEST(tcp_codes_of_a_refused_connection, "guide 11.10.2.9: ECONNREFUSED")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 R. 0:0(0) ack 1");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ECONNREFUSED);
	expect_end(s, -ECONNREFUSED);
}

PKT_TEST(tcp_codes_of_a_reset_connection, "guide 11.10.2.9: ECONNRESET")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_in(s, "+.01 R 101:101(0)");
	ps_error(s, ECONNRESET);
	ps_tcp_recv(s, 100); /* what had come before it */
	expect_end(s, -ECONNRESET);
}

PKT_TEST(tcp_codes_of_a_connection_that_timed_out, "guide 11.10.2.9: ETIMEDOUT")
{
	struct ps *s = ps_established(.attrs = "tcp_retries=1", .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 1), 1);
	ps_ignore(s, 2);
	ps_error(s, ETIMEDOUT);
	expect_end(s, -ETIMEDOUT);
}

PKT_TEST(tcp_codes_of_a_broken_pipe, "guide 11.10.2.9: EPIPE")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 F. 1:1(0) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2");
	PS_EQ(s, ps_tcp_send(s, 10), 10); /* nobody reads there any more */
	ps_out(s, "+0 P. 1:11(10) ack 2");
	ps_in(s, "+.01 R 2:2(0)");
	ps_error(s, EPIPE);
	expect_end(s, -EPIPE);
}

PKT_TEST(tcp_codes_of_an_ended_stream, "guide 11.10.2.9")
{
	struct ps *s = ps_established();
	struct reading r;

	ps_in(s, "+.01 FP. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 102");
	PS_EQ(s, look(s, &r, 8), 2); /* the bytes and the end, together */
	PS_EQ(s, r.msg.iov[0].iov_len, 100);
	PS_EQ(s, r.msg.iov[1].iov_len, 0);
	PS_EQ(s, zft_zc_recv_done_some(ps_zft(s), &r.msg, 40), 1); /* not all is read: it goes on */
	PS_EQ(s, look(s, &r, 1), 1); /* room for the bytes alone */
	PS_EQ(s, r.msg.iov[0].iov_len, 60);
	PS_EQ(s, zft_zc_recv_done(ps_zft(s), &r.msg), 1);
	PS_EQ(s, look(s, &r, 1), 1);
	PS_EQ(s, r.msg.iov[0].iov_len, 0);
	PS_EQ(s, zft_zc_recv_done_some(ps_zft(s), &r.msg, 0), 0);
	ps_tcp_eof(s);
	PS_EQ(s, ps_tcp_send(s, 1), 1); /* our half is open */
	ps_out(s, "+0 P. 1:2(1) ack 102");
	ps_in(s, "+0 . 102:102(0) ack 2");
}

PKT_TEST(tcp_codes_before_the_connection, "guide 11.10.2.11..17: ENOTCONN")
{
	struct ps *s = ps_open();
	struct reading r;
	size_t space = 77;
	uint8_t b[4];
	struct iovec iov = {b, sizeof(b)};

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	PS_EQ(s, zft_recv(ps_zft(s), &iov, 1, 0), -ENOTCONN);
	PS_EQ(s, look(s, &r, 8), 0);
	PS_EQ(s, zft_send(ps_zft(s), &iov, 1, 0), -ENOTCONN);
	PS_EQ(s, zft_send_single(ps_zft(s), b, 1, 0), -ENOTCONN);
	PS_EQ(s, zft_send_space(ps_zft(s), &space), -ENOTCONN);
	PS_EQ(s, space, 77);
	PS_EQ(s, zft_get_mss(ps_zft(s)), -ENOTCONN);
	PS_EQ(s, zft_shutdown_tx(ps_zft(s)), -ENOTCONN);
	ps_error(s, 0);
}

PKT_TEST(tcp_codes_after_a_shutdown, "guide 11.10.2.4, 11.10.2.12")
{
	struct ps *s = ps_established();
	size_t space;

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	PS_EQ(s, ps_tcp_send(s, 1), -ENOTCONN);
	PS_EQ(s, ps_tcp_send_single(s, 1), -ENOTCONN);
	PS_EQ(s, zft_send_space(ps_zft(s), &space), -ENOTCONN);
	PS_EQ(s, zft_get_mss(ps_zft(s)), -ENOTCONN);
	PS_EQ(s, ps_shutdown_rc(s), -ENOTCONN);
	PS_EQ(s, zft_get_header_size(ps_zft(s)), 54);
}

PKT_TEST(tcp_receive_arguments, "guide 11.10.2.11")
{
	struct ps *s = ps_established();
	uint8_t b[200];
	struct iovec iov[3] = {{b, 0}, {b, 10}, {b + 10, 150}};

	PS_EQ(s, zft_recv(ps_zft(s), iov, 1, 0), -EAGAIN);
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	PS_EQ(s, zft_recv(ps_zft(s), iov, 0, 0), -EINVAL);
	PS_EQ(s, zft_recv(ps_zft(s), iov, -1, 0), -EINVAL);
	PS_EQ(s, zft_recv(ps_zft(s), iov, 3, MSG_PEEK), -EINVAL);
	PS_EQ(s, zft_recv(ps_zft(s), iov, 1, 0), -EINVAL); /* no room: 0 would mean the end */
	PS_EQ(s, zft_recv(ps_zft(s), iov, 3, 0), 100);
	for (unsigned i = 0; i < 100; i++)
		PS_EQ(s, b[i], ps_pattern(1 + i));
	PS_EQ(s, zft_recv(ps_zft(s), iov, 3, 0), -EAGAIN);
	ps_ignore(s, .1);
}

PKT_TEST(tcp_send_arguments, "guide 11.10.2.12: EINVAL")
{
	struct ps *s = ps_established();
	uint8_t b[4] = {0};
	struct iovec iov = {b, sizeof(b)};

	PS_EQ(s, zft_send(ps_zft(s), &iov, 0, 0), -EINVAL);
	PS_EQ(s, zft_send(ps_zft(s), &iov, -5, 0), -EINVAL);
	PS_EQ(s, zft_send(ps_zft(s), &iov, 1, MSG_MORE | MSG_OOB), -EINVAL);
	PS_EQ(s, zft_send_single(ps_zft(s), b, sizeof(b), MSG_DONTWAIT), -EINVAL);
	ps_silence(s, .1);
}

/* In place: where the bytes are does not change until they are given back, and nothing is given back twice. */
PKT_TEST(tcp_received_in_place, "guide 11.10.2.8..10")
{
	struct ps *s = ps_established();
	struct reading r, again;

	for (unsigned i = 0; i < 4; i++)
		ps_in(s, "+.01 P. %u:%u(100) ack 1", 1 + 100 * i, 101 + 100 * i), ps_ignore(s, .05);
	PS_EQ(s, look(s, &r, 3), 3);
	PS_EQ(s, r.msg.pkts_left, 1);
	PS_EQ(s, look(s, &again, 3), 3);
	PS_OK(s, again.msg.iov[0].iov_base == r.msg.iov[0].iov_base);
	ps_in(s, "+.01 P. 401:501(100) ack 1");
	ps_ignore(s, .05);
	for (unsigned i = 0; i < 100; i++)
		PS_EQ(s, ((uint8_t *)r.msg.iov[2].iov_base)[i], ps_pattern(201 + i));
	PS_EQ(s, zft_zc_recv_done_some(ps_zft(s), &r.msg, 150), 1);
	PS_EQ(s, zft_zc_recv_done(ps_zft(s), &r.msg), 1); /* nothing is left of it */
	PS_EQ(s, ps_probe(s)->rcv_queued, 350);
	PS_EQ(s, look(s, &r, 8), 4);
	PS_EQ(s, r.msg.iov[0].iov_len, 50);
	PS_EQ(s, ((uint8_t *)r.msg.iov[0].iov_base)[0], ps_pattern(151));
	PS_EQ(s, zft_zc_recv_done_some(ps_zft(s), &r.msg, 0), 1);
	PS_EQ(s, ps_probe(s)->rcv_queued, 350);
	PS_EQ(s, look(s, &r, 8), 4);
	PS_EQ(s, zft_zc_recv_done(ps_zft(s), &r.msg), 1);
	PS_EQ(s, ps_probe(s)->rcv_queued, 0);
	PS_EQ(s, look(s, &r, 8), 0);
	PS_EQ(s, r.msg.pkts_left, 0);
}

PKT_TEST(tcp_names, "guide 11.10.2.2, 11.10.2.14")
{
	struct ps *s = ps_open();
	struct zft_handle *h = ps_handle(s);
	struct sockaddr_in l = {0}, r = {0};
	socklen_t n = sizeof(l), m = 4;

	zft_handle_getname(h, (struct sockaddr *)&l, &n);
	PS_EQ(s, n, sizeof(l));
	PS_EQ(s, l.sin_port, 0);
	PS_EQ(s, l.sin_addr.s_addr, 0);
	PS_EQ(s, ps_tcp_bind(s, h, "us:0"), 0);
	zft_handle_getname(h, (struct sockaddr *)&l, &n);
	PS_OK(s, ntohs(l.sin_port) >= 1024);
	PS_EQ(s, ps_connect_rc(s, h, "peer:2000"), 0);
	ps_ignore(s, 0);
	zft_getname(ps_zft(s), (struct sockaddr *)&l, &n, (struct sockaddr *)&r, &m);
	PS_EQ(s, ntohl(l.sin_addr.s_addr), 0xc0000201);
	PS_EQ(s, m, sizeof(r)); /* the family and port fit, and what it takes is told */
	PS_EQ(s, ntohs(r.sin_port), 2000);
	zft_getname(ps_zft(s), NULL, NULL, NULL, NULL);
	n = 0;
	zft_getname(ps_zft(s), (struct sockaddr *)&l, &n, NULL, NULL);
	PS_EQ(s, n, sizeof(l));
	PS_OK(s, zft_to_waitable(ps_zft(s)) != NULL);
	PS_OK(s, zftl_to_waitable(ps_listen(s, "us:1000")) != NULL);
}

PKT_TEST(tcp_connection_exists_already, "guide 11.10.2.3: EADDRINUSE")
{
	struct ps *s = ps_established();
	struct zft_handle *h = ps_handle(s);
	struct zft *first = ps_zft(s);

	PS_EQ(s, ps_tcp_bind(s, h, "us:1000"), 0); /* the numbers differ, as long as the peer's does */
	PS_EQ(s, ps_connect_rc(s, h, "peer:2000"), -EADDRINUSE);
	PS_EQ(s, ps_connect_rc(s, h, "peer:2001"), 0); /* the handle is as it was */
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_use(s, first);
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_listen_beside_a_connection, "RFC 9293 MUST-41, MUST-42")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	PS_EQ(s, ps_listen_rc(s, "us:1000", NULL), 0); /* same port, while it connects */
	ps_in(s, "+0 S 0:0(0) sport 2001 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 2001 <*>");
	ps_in(s, "+0 S. 0:0(0) ack 1 sport 2000 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1 dport 2000");
	ps_state(s, TCP_ESTABLISHED);
}

/* No memory for one more bound port: nothing changed, and it goes on when there is some. */
PKT_TEST_IN(tcp_no_memory_for_ports, "guide 11.10.2: ENOMEM", PS_ALONE)
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=2;max_tcp_listen_endpoints=8192");
	struct zft_handle *h = ps_handle(s);
	struct sockaddr_in a = ps_addr(s, "us:0"), p = ps_addr(s, "peer:2000");
	struct zf_attr *attr;
	static struct zftl *tl[8192];
	struct zft *ts = NULL;
	int rc, n = 0;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	netif_bind_no_memory = true;
	while (n < 8000 && (rc = zftl_listen(ps_stack(s), (struct sockaddr *)&a, sizeof(a), attr, &tl[n])) == 0)
		n++;
	PS_EQ(s, rc, -ENOMEM);
	PS_EQ(s, zft_addr_bind(h, (struct sockaddr *)&a, sizeof(a), 0), -ENOMEM);
	PS_EQ(s, zft_connect(h, (struct sockaddr *)&p, sizeof(p), &ts), -ENOMEM);
	PS_OK(s, ts == NULL);
	netif_bind_no_memory = false;
	PS_EQ(s, zftl_listen(ps_stack(s), (struct sockaddr *)&a, sizeof(a), attr, &tl[n]), 0);
	for (; n >= 0; n--)
		if (zftl_free(tl[n]) != 0)
			ps_fail(s, __LINE__, "zftl_free");
	PS_EQ(s, ps_tcp_bind(s, h, "us:1000"), 0);
	PS_EQ(s, ps_connect_rc(s, h, "peer:2000"), 0);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	zf_attr_free(attr);
}

static void
one_way(const char *attrs)
{
	struct ps *s = ps_open();
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct zft_handle *h = NULL;
	struct zf_attr *attr;
	struct zftl *tl = NULL;
	struct zt_leaks leaks;
	struct zt *t = NULL;
	char text[128];

	snprintf(text, sizeof(text), "interface=mem:oneway/a;ipv4=198.51.100.1/24;n_bufs=128;%s", attrs);
	PS_EQ(s, zt_open(&t, text), 0);
	a.sin_addr.s_addr = htonl(0xc6336401);
	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zft_alloc(zt_stack(t), attr, &h), -EINVAL);
	PS_EQ(s, zftl_listen(zt_stack(t), (struct sockaddr *)&a, sizeof(a), attr, &tl), -EINVAL);
	PS_OK(s, h == NULL && tl == NULL);
	zf_attr_free(attr);
	zt_close(t, &leaks);
}

PKT_TEST_IN(tcp_needs_a_receive_ring, "guide-decisions: one-way stacks", PS_NORMAL_ONLY)
{
	one_way("rx_ring_max=0");
}

PKT_TEST_IN(tcp_needs_a_transmit_ring, "guide-decisions: one-way stacks", PS_NORMAL_ONLY)
{
	one_way("tx_ring_max=0");
}

PKT_TEST(tcp_freed_while_it_connects, "RFC 9293 3.10.4")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_tcp_free(s);
	ps_silence(s, 10);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_in(s, "+0 S. 0:0(0) ack 1 <mss 1460>"); /* a stranger now */
	ps_out(s, "+0 R 1:1(0)");
}

PKT_TEST(tcp_freed_with_a_message_in_hand, "guide 11.10.2.5")
{
	struct ps *s = ps_established();
	struct reading r;

	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_ignore(s, .05);
	PS_EQ(s, look(s, &r, 8), 1);
	ps_tcp_free(s); /* taken back: it was not read */
	ps_out(s, "+0 R. 1:1(0) ack 101");
}
