/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP at its limits: zockets and listeners that run out, floods of SYNs and of strangers, peers that hold windows closed;
 * and zockets and listeners freed at any moment (guide 11.10; hostile-inputs 30; RFC 4987). Everything must be as before
 * when it is over.
 */
#include <errno.h>
#include <string.h>

#include "core/attr.h"
#include "mem/mem.h"
#include "pkt/ps_zft.h"

/* ---- limits of the API ---- */

static int
alloc_rc(struct ps *s)
{
	struct zft_handle *h = NULL;
	struct zf_attr *attr;
	int rc;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	rc = zft_alloc(ps_stack(s), attr, &h);
	zf_attr_free(attr);
	if (rc == 0)
		PS_EQ(s, zft_handle_free(h), 0);
	else
		PS_OK(s, h == NULL);
	return rc;
}

PKT_TEST(tcp_zockets_run_out, "guide 11.10.2, attribute max_tcp_endpoints")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=3;tcp_finwait_ms=1000");
	struct zft_handle *h;

	ps_connect_to(s, "us:1000", "peer:2000");
	ps_handshake(s, .rtt = .01);
	ps_connect_to(s, "us:1001", "peer:2000");
	ps_handshake(s, .rtt = .01);
	h = ps_handle(s);
	PS_EQ(s, alloc_rc(s), -ENOBUFS);
	ps_handle_free(s, h);
	PS_EQ(s, alloc_rc(s), 0);
	h = ps_handle(s);
	/* A zocket counts until its background is done with it: FIN-WAIT-2 ends by its timer. */
	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1 sport 1001");
	PS_EQ(s, alloc_rc(s), -ENOBUFS);
	ps_in(s, "+.01 . 1:1(0) ack 2 dport 1001");
	PS_EQ(s, alloc_rc(s), -ENOBUFS);
	ps_silence(s, 1.1);
	PS_EQ(s, alloc_rc(s), 0);
	ps_handle_free(s, h);
}

PKT_TEST(tcp_listeners_run_out, "guide 11.10.2.24, attribute max_tcp_listen_endpoints")
{
	struct ps *s = ps_open(.attrs = "max_tcp_listen_endpoints=2");
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_listen(s, "us:1001");
	PS_EQ(s, ps_listen_rc(s, "us:1002", NULL), -ENOBUFS);
	/* One with connections that live on: their port is taken, the place is free. */
	ps_in(s, "+0 S 0:0(0) dport 1000 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 sport 1000 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_accept(s, tl);
	ps_listen_free(s, tl);
	PS_EQ(s, ps_listen_rc(s, "us:1002", &tl), 0);
	PS_EQ(s, ps_listen_rc(s, "us:1003", NULL), -ENOBUFS);
	ps_listen_free(s, tl);
	PS_EQ(s, ps_listen_rc(s, "us:1000", NULL), 0);
	ps_state(s, TCP_ESTABLISHED);
}

/* Listeners that come and go, each leaving a connection behind: no record is lost. */
PKT_TEST_IN(tcp_listeners_come_and_go, "guide 11.10.2.22", PS_TCP_NORMAL)
{
	struct ps *s = ps_open(.attrs = "max_tcp_listen_endpoints=1;max_tcp_endpoints=8");

	for (unsigned i = 0; i < 100; i++) {
		struct zftl *tl = ps_listen(s, "us:1000");

		ps_in(s, "+.01 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", 2000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u", 2000 + i);
		ps_accept(s, tl);
		ps_listen_free(s, tl);
		ps_in(s, "+0 P. 1:11(10) ack 1");
		ps_out(s, "+0~+.041 . 1:1(0) ack 11");
		ps_tcp_recv(s, 10);
		ps_in(s, "+0 R 11:11(0)");
		ps_tcp_free(s);
	}
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_listeners_each_on_a_port_that_lives_on, "guide 11.10.2.24")
{
	struct ps *s = ps_open(.attrs = "max_tcp_listen_endpoints=1");
	unsigned ok = 0;

	for (unsigned i = 0; i < 8; i++) {
		struct zftl *tl = NULL;
		char local[16];
		int rc;

		snprintf(local, sizeof(local), "us:%u", 1000 + i);
		rc = ps_listen_rc(s, local, &tl);
		PS_OK(s, rc == 0 || rc == -ENOBUFS);
		if (rc != 0)
			continue;
		ok++;
		ps_in(s, "+.01 S 0:0(0) dport %u <mss 1460>", 1000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 sport %u <*>", 1000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 dport %u", 1000 + i);
		ps_accept(s, tl);
		ps_listen_free(s, tl);
	}
	PS_EQ(s, ok, 8); /* one listener at a time: the limit is kept */
}

PKT_TEST(tcp_no_zocket_for_a_cookie, "issue 3.1: limits recover, TCP_ACCEPT_FULL")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=1;tcp_syn_cookies=2");
	struct zft_handle *h = ps_handle(s);

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_in(s, "+.01 P. 1:11(10) ack 1"); /* which it will say again */
	ps_accept_none(s, ps_zftl(s));
	ps_count(s, TCP_ACCEPT_FULL, 2);
	ps_handle_free(s, h);
	ps_in(s, "+.2 P. 1:11(10) ack 1");
	ps_accept(s, ps_zftl(s));
	ps_out(s, "+0~+.041 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
}

/* All zockets wait in the accept queue, some of them over already. */
PKT_TEST(tcp_accept_queue_is_full, "hostile-inputs 30, TCP_ACCEPT_FULL")
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=3");
	struct zftl *tl = ps_listen(s, "us:1000");

	for (unsigned i = 0; i < 4; i++) {
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", 2000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u", 2000 + i);
	}
	ps_count(s, TCP_ACCEPT_FULL, 1);
	ps_in(s, "+0 FP. 1:101(100) ack 1 sport 2000"); /* one says all it has, and ends */
	ps_out(s, "+0 . 1:1(0) ack 102 dport 2000");
	ps_in(s, "+0 R 1:1(0) sport 2001"); /* one has thought better of it: its place is free */
	ps_out(s, "+1 S. 0:0(0) ack 1 dport 2003 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1 sport 2003");
	ps_accept(s, tl);
	ps_state(s, TCP_CLOSE_WAIT);
	ps_tcp_recv(s, 100);
	ps_tcp_eof(s);
	ps_accept(s, tl);
	ps_in(s, "+0 P. 1:11(10) ack 1 sport 2002");
	ps_out(s, "+0~+.041 . 1:1(0) ack 11 dport 2002");
	ps_tcp_recv(s, 10);
	ps_accept(s, tl);
	ps_state(s, TCP_ESTABLISHED);
	ps_accept_none(s, tl);
}

/* What was said before a reset is not lost by it, even before accept. */
PKT_TEST(tcp_reset_in_the_accept_queue, "hostile-inputs 30")
{
	struct ps *s = ps_open();
	struct zftl *tl = ps_listen(s, "us:1000");

	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	ps_in(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 P. 1:101(100) ack 1");
	ps_out(s, "+0~+.041 . 1:1(0) ack 101");
	ps_in(s, "+0 R 101:101(0)");
	ps_accept(s, tl);
	ps_state(s, TCP_CLOSE);
	ps_tcp_recv(s, 100);
	ps_tcp_end(s, -ECONNRESET);
	ps_accept_none(s, tl);
}

PKT_TEST(tcp_listener_freed_under_all_kinds, "hostile-inputs 30, RFC 9293 3.10.4")
{
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0");
	struct zftl *tl = ps_listen(s, "us:1000");

	for (unsigned i = 0; i < 5; i++) {
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", 2000 + i);
		if (i < 4)
			ps_in(s, "+0 . 1:1(0) ack 1 sport %u", 2000 + i);
	}
	ps_in(s, "+0 P. 1:101(100) ack 1 sport 2000"); /* data waits */
	ps_out(s, "+0 . 1:1(0) ack 101 dport 2000");
	ps_in(s, "+0 P. 101:201(100) ack 1 sport 2001"); /* beyond a hole */
	ps_out(s, "+0 . 1:1(0) ack 1 dport 2001");
	ps_in(s, "+0 F. 1:1(0) ack 1 sport 2002"); /* over, from the peer's side */
	ps_out(s, "+0 . 1:1(0) ack 2 dport 2002");
	ps_in(s, "+0 P. 1:101(100) ack 1 sport 2003"); /* reset, with data */
	ps_out(s, "+0 . 1:1(0) ack 101 dport 2003");
	ps_in(s, "+0 R 101:101(0) sport 2003");
	ps_listen_free(s, tl);
	ps_out(s, "+0 R. 1:1(0) ack 1 dport 2004");
	ps_out(s, "+0 R. 1:1(0) ack 101 dport 2000");
	ps_out(s, "+0 R. 1:1(0) ack 1 dport 2001");
	ps_out(s, "+0 R. 1:1(0) ack 2 dport 2002");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

/* ---- zft_free in any state ---- */

PKT_TEST(tcp_free_while_connecting, "RFC 9293 3.10.4, guide 11.10.2.5")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_tcp_free(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_in(s, "+.01 S. 0:0(0) ack 1 <mss 1460>");
	ps_out(s, "+0 R 1:1(0)");
	/* The numbers are free. */
	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
}

PKT_TEST(tcp_free_in_simultaneous_open, "RFC 9293 3.10.4")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460,*>");
	ps_tcp_free(s);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_out(s, "+.99 S. 0:0(0) ack 1 <mss 1460,*>"); /* first the handshake */
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_in(s, "+.01 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_free_in_each_state, "RFC 9293 3.10.4, guide 11.10.2.5")
{
	struct ps *s = ps_open(.attrs = "tcp_timewait_ms=1000;tcp_finwait_ms=0");
	static const struct {
		bool shut;          /* before, by us */
		const char *in[3];  /* then */
		const char *out[3];
		const char *freed;  /* what zft_free() sends */
		const char *after[2];
		const char *last;   /* and what is sent then */
	} c[] = {
		/* ESTABLISHED, FIN-WAIT-1, -2, CLOSE-WAIT, CLOSING, LAST-ACK, TIME-WAIT */
		{false, {0}, {0}, "F. 1:1(0) ack 1", {". 1:1(0) ack 2", "F. 1:1(0) ack 2"}, ". 2:2(0) ack 2"},
		{true, {0}, {0}, NULL, {". 1:1(0) ack 2", "F. 1:1(0) ack 2"}, ". 2:2(0) ack 2"},
		{true, {". 1:1(0) ack 2"}, {0}, NULL, {"F. 1:1(0) ack 2"}, ". 2:2(0) ack 2"},
		{false, {"F. 1:1(0) ack 1"}, {". 1:1(0) ack 2"}, "F. 1:1(0) ack 2", {". 2:2(0) ack 2"}, NULL},
		{true, {"F. 1:1(0) ack 1"}, {". 2:2(0) ack 2"}, NULL, {". 2:2(0) ack 2"}, NULL},
		{true, {"F. 1:1(0) ack 2"}, {". 2:2(0) ack 2"}, NULL, {0}, NULL},
	};

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(c); i++) {
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 1100 + i);
		ps_connect_to(s, local, "peer:2000");
		ps_handshake(s, .rtt = .05);
		if (c[i].shut) {
			ps_shutdown(s);
			ps_out(s, "+0 F. 1:1(0) ack 1");
		}
		for (unsigned k = 0; k < 3 && c[i].in[k] != NULL; k++) {
			ps_in(s, "+.001 %s", c[i].in[k]);
			if (c[i].out[k] != NULL)
				ps_out(s, "+0 %s", c[i].out[k]);
		}
		ps_tcp_free(s);
		if (c[i].freed != NULL)
			ps_out(s, "+0 %s", c[i].freed);
		for (unsigned k = 0; k < 2 && c[i].after[k] != NULL; k++)
			ps_in(s, "+.001 %s", c[i].after[k]);
		if (c[i].last != NULL)
			ps_out(s, "+0 %s", c[i].last);
		PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
		ps_silence(s, 3);
	}
}

/* Bytes that nobody will read: the peer must know, whatever else has been (RFC 2525 2.17). */
PKT_TEST(tcp_free_with_bytes_not_read, "RFC 9293 SHLD-3, RFC 1122 4.2.2.13, 116")
{
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0");

	for (unsigned i = 0; i < 4; i++) {
		bool shut = i & 1, fin = i & 2;
		char local[16];

		snprintf(local, sizeof(local), "us:%u", 1100 + i);
		ps_connect_to(s, local, "peer:2000");
		ps_handshake(s, .rtt = .05);
		if (shut) {
			ps_shutdown(s);
			ps_out(s, "+0 F. 1:1(0) ack 1");
		}
		ps_in(s, "+.001 %s 1:101(100) ack 1", fin ? "FP." : "P.");
		ps_out(s, "+0 . %u:%u(0) ack %u", 1 + shut, 1 + shut, 101 + fin);
		ps_tcp_recv(s, 50);
		ps_tcp_free(s);
		ps_out(s, "+0 R. %u:%u(0) ack %u", 1 + shut, 1 + shut, 101 + fin);
		PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	}
}

PKT_TEST(tcp_finwait2_of_a_freed_zocket_may_last, "attribute tcp_finwait_ms=0")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=0");

	ps_tcp_free(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 200);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_in(s, "+0 F. 1:1(0) ack 2");
	ps_out(s, "+0 . 2:2(0) ack 2");
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
}

PKT_TEST(tcp_finwait2_is_timed_from_zft_free_on, "guide-decisions, attribute tcp_finwait_ms")
{
	struct ps *s = ps_established(.attrs = "tcp_finwait_ms=3000");

	ps_shutdown(s);
	ps_out(s, "+0 F. 1:1(0) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 2");
	ps_silence(s, 10);
	ps_state(s, TCP_FIN_WAIT2);
	ps_tcp_free(s);
	ps_silence(s, 2.9);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 0);
	ps_silence(s, .2);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	ps_in(s, "+0 F. 1:1(0) ack 2");
	ps_out(s, "+0 R 2:2(0)");
}

/* ---- floods ---- */

PKT_TEST(tcp_resets_to_strangers_are_limited, "TCP_RST_LIMIT, RFC 5961 7")
{
	struct ps *s = ps_established();
	uint32_t n;

	for (unsigned i = 0; i < 500; i++)
		ps_queue(s, "+0 . 1:1(0) ack 1 sport %u dport 4000", 2001 + i);
	n = ps_ignore(s, .0001);
	PS_OK(s, n >= 100 && n <= 250);
	ps_count_min(s, TCP_RST_LIMIT, 250);
	/* It recovers, and the connection did not notice. */
	ps_in(s, "+1 S 0:0(0) sport 5000 dport 4000 <mss 1460>");
	ps_out(s, "+0 R. =0:0(0) ack 1 sport 4000 dport 5000");
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 11");
}

static void
put_sum(uint8_t *at, const uint8_t *b, uint32_t len, uint32_t sum)
{
	at[0] = at[1] = 0;
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* The SYN @f, with 4 bytes of options, as if from another host and port. */
static void
forge(uint8_t *f, uint32_t i)
{
	f[28] = (uint8_t)(i >> 8);
	f[29] = (uint8_t)(1 + i % 200);
	f[34] = (uint8_t)(8 + i % 60);
	f[35] = (uint8_t)(i * 7);
	put_sum(f + 24, f + 14, 20, 0);
	put_sum(f + 50, f + 26, 8 + 24, 6 + 24);
}

/* An honest client in the middle of it: his connection comes about at once. */
static void
serve(struct ps *s, unsigned port)
{
	ps_ignore(s, 0);
	ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", port);
	ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", port);
	ps_in(s, "+.001 P. 1:101(100) sport %u ack 1", port);
	ps_ignore(s, 0);
	ps_accept(s, ps_zftl(s));
	ps_tcp_recv(s, 100);
	ps_ignore(s, .05);
	ps_in(s, "+0 R 101:101(0)");
	ps_state(s, TCP_CLOSE);
	ps_tcp_free(s);
}

#define FLOOD     100000u
#define STRANGERS 6000u

static struct ps *
flood(const char *attrs)
{
	struct ps *s = ps_open(.attrs = attrs);
	uint32_t sent = 0, bufs, len;
	uint8_t f[128];

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	serve(s, 20000);
	bufs = pool_free_count(ps_ctx(s)->pool);
	len = ps_build(s, f, sizeof(f), "[ip src far] S 0:0(0) <mss 1460>");
	for (uint32_t i = 0; i < FLOOD; i++) {
		forge(f, i % STRANGERS);
		if (mem_push(ps_port(s), 0, f, len, zt_clock()) < 0)
			ps_fail(s, 0, "cannot push");
		if (i % 200 == 199)
			sent += ps_ignore(s, .001);
		if (i % 10000 == 9999)
			serve(s, 20001 + i / 10000);
	}
	ps_ignore(s, .1);
	/* Frames of the flood that wait for the gateway's MAC, or lie in the ring: no more than at its beginning. */
	PS_OK(s, pool_free_count(ps_ctx(s)->pool) + 64 >= bufs);
	PS_OK(s, sent > FLOOD / 10 * 9 && sent <= FLOOD + FLOOD / 50); /* a frame for a frame, and some again */
	ps_ignore(s, 300);
	PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	serve(s, 30000);
	return s;
}

PKT_TEST_IN(tcp_syn_flood_without_cookies, "RFC 4987, 113, hostile-inputs 30", PS_MODE(PS_NORMAL) | PS_MODE(PS_WRAP))
{
	struct ps *s = flood("tcp_syn_cookies=0;max_tcp_syn_backlog=256");

	ps_count_min(s, TCP_SYN_EVICTED, FLOOD / 2);
	ps_count(s, TCP_COOKIES_SENT, 0);
}

PKT_TEST_IN(tcp_syn_flood_and_cookies, "RFC 4987, 113, hostile-inputs 30", PS_MODE(PS_NORMAL) | PS_MODE(PS_WRAP))
{
	struct ps *s = flood("tcp_syn_cookies=1;max_tcp_syn_backlog=256");

	ps_count_min(s, TCP_COOKIES_SENT, FLOOD / 2);
	ps_count_min(s, TCP_COOKIES_OK, 5);
	ps_count(s, TCP_SYN_EVICTED, 0);
}

PKT_TEST_IN(tcp_syn_flood_with_nothing_but_cookies, "RFC 4987, 113, hostile-inputs 30",
	    PS_MODE(PS_NORMAL) | PS_MODE(PS_WRAP))
{
	struct ps *s = flood("tcp_syn_cookies=2");

	ps_count_min(s, TCP_COOKIES_SENT, FLOOD);
	ps_count_min(s, TCP_COOKIES_OK, 12);
	ps_count(s, TCP_SYN_CACHE_FULL, 0);
}

/* Peers that take what they get and never open their windows hold what is theirs, and nothing of the others'. */
PKT_TEST_IN(tcp_windows_held_closed, "RFC 9293 MUST-37, hostile-inputs 30", PS_TCP_NORMAL)
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=64;tcp_rto_max_ms=600000");
	struct zft *held[50];
	uint32_t bufs;

	ps_connect_to(s, "us:999", "peer:1999");
	ps_handshake(s, .rtt = .01);
	bufs = pool_free_count(ps_ctx(s)->pool);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(held); i++) {
		char remote[16];

		snprintf(remote, sizeof(remote), "peer:%u", 2000 + i);
		held[i] = ps_connect_to(s, "us:1000", remote);
		ps_handshake(s, .peer_win = PS_WIN_0);
		PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	}
	for (unsigned i = 0; i < 60; i++) { /* ten hours: probed and answered, for ever */
		for (unsigned k = 0; k < ZF_ARRAY_SIZE(held); k++) {
			ps_use(s, held[k]);
			ps_in(s, "+0 . 1:1(0) ack 1 win 0");
		}
		ps_ignore(s, 600);
	}
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(held); i++) {
		ps_use(s, held[i]);
		ps_state(s, TCP_ESTABLISHED);
	}
	ps_in(s, "+0 P. 1:101(100) ack 1 win 65535 sport 1999 dport 999");
	ps_ignore(s, .1);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(held); i++) {
		ps_use(s, held[i]);
		ps_in(s, "+0 R 1:1(0)");
		ps_error(s, ECONNRESET);
		ps_tcp_free(s);
	}
	ps_ignore(s, 1);
	PS_OK(s, pool_free_count(ps_ctx(s)->pool) + 8 >= bufs);
}

/* Data for which the window was open, and no buffer is left: dropped and counted, and taken when it comes again. */
PKT_TEST_IN(tcp_no_buffer_for_received_data, "design: order of sacrifice, issue 3.2", PS_TCP_NORMAL)
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=64;rx_ring_max=128;tx_ring_max=64;tcp_delayed_ack=0",
			       .n_bufs = 768);
	struct zft *ts[32];
	uint32_t taken[32] = {0};

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(ts); i++) {
		char remote[16];

		snprintf(remote, sizeof(remote), "peer:%u", 2000 + i);
		ts[i] = ps_connect_to(s, "us:1000", remote);
		ps_handshake(s, .rtt = 0);
	}
	for (unsigned k = 0; k < 40; k++) { /* all of them at once, within their windows, and nobody reads */
		for (unsigned i = 0; i < ZF_ARRAY_SIZE(ts); i++) {
			ps_use(s, ts[i]);
			ps_in(s, "+0 . %u:%u(1460) ack 1", 1 + k * 1460, 1 + (k + 1) * 1460);
			ps_ignore(s, 0);
		}
	}
	ps_count_min(s, RX_DROP_TCP_QUEUE, 1);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(ts); i++) {
		ps_use(s, ts[i]);
		taken[i] = ps_probe(s)->rcv_nxt - 1;
		ps_state(s, TCP_ESTABLISHED);
		ps_tcp_recv(s, taken[i]);
		ps_tcp_recv_none(s);
	}
	ps_ignore(s, 1);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(ts); i++) { /* once more, from the first that was dropped */
		ps_use(s, ts[i]);
		ps_in(s, "+.01 P. %u:%u(1460) ack 1", 1 + taken[i], 1 + taken[i] + 1460);
		ps_out(s, "+0 . 1:1(0) ack %u", 1 + taken[i] + 1460);
		ps_tcp_recv(s, 1460);
	}
	ps_count(s, RX_DROP_TCP_QUEUE, 0);
}
