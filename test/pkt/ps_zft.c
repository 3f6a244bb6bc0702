/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP zockets for packet scripts: the calls of zf_tcp.h with addresses as text, payloads by the pattern, and every
 * answer checked; and the handshake that most scripts begin with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/attr.h"
#include "pkt/ps_priv.h"
#include "pkt/ps_zft.h"

#define IOVS 64
#define CHUNK 65536u

static void
free_all(struct ps *s)
{
	for (int i = 0; i < PS_ZOCKETS; i++) {
		if (s->zocks[i].ts != NULL)
			zft_free(s->zocks[i].ts);
		if (s->zocks[i].handle != NULL)
			zft_handle_free(s->zocks[i].handle);
	}
	for (int i = 0; i < PS_LISTENERS; i++)
		if (s->zftls[i] != NULL)
			zftl_free(s->zftls[i]);
	memset(s->zocks, 0, sizeof(s->zocks));
	memset(s->zftls, 0, sizeof(s->zftls));
	s->zock = NULL;
	s->zftl = NULL;
	for (struct ps_conn *c = ps_conn_next(s, NULL); c != NULL; c = ps_conn_next(s, c))
		c->ts = NULL;
}

static struct ps_zocket *
new_zocket(struct ps *s)
{
	s->free_tcp = free_all;
	s->header_size = zft_get_header_size;
	for (int i = 0; i < PS_ZOCKETS; i++)
		if (s->zocks[i].ts == NULL && s->zocks[i].handle == NULL)
			return &s->zocks[i];
	ps_fail(s, 0, "too many zockets in one script");
}

static struct ps_zocket *
zocket_of(struct ps *s, const struct zft *ts)
{
	for (int i = 0; i < PS_ZOCKETS; i++)
		if (ts != NULL && s->zocks[i].ts == ts)
			return &s->zocks[i];
	ps_fail(s, 0, "a zocket that the script does not know");
}

static struct ps_zocket *
current(struct ps *s)
{
	if (s->zock == NULL || s->zock->ts == NULL)
		ps_fail(s, 0, "the script has no TCP zocket");
	return s->zock;
}

struct zft *
ps_zft(struct ps *s)
{
	return current(s)->ts;
}

struct zftl *
ps_zftl(struct ps *s)
{
	return s->zftl;
}

void
ps_use(struct ps *s, struct zft *ts)
{
	s->zock = zocket_of(s, ts);
	s->tcp_us = s->zock->us;
	s->tcp_peer = s->zock->peer;
}

/* @ts is a zocket of the script's from now on, and the current one. */
static void
adopt(struct ps *s, struct ps_zocket *z, struct zft *ts)
{
	struct sockaddr_in l = {0}, r = {0};
	socklen_t ll = sizeof(l), rl = sizeof(r);
	struct ps_conn *c;

	zft_getname(ts, (struct sockaddr *)&l, &ll, (struct sockaddr *)&r, &rl);
	if (ll != sizeof(l) || rl != sizeof(r) || l.sin_family != AF_INET || r.sin_family != AF_INET)
		ps_fail(s, 0, "zft_getname: lengths %u, %u", ll, rl);
	memset(z, 0, sizeof(*z));
	z->ts = ts;
	z->us = ntohs(l.sin_port);
	z->peer = ntohs(r.sin_port);
	c = ps_conn_of(s, ntohl(l.sin_addr.s_addr), ntohl(r.sin_addr.s_addr), z->us, z->peer);
	if (c != NULL)
		c->ts = ts;
	ps_use(s, ts);
}

static void
forget(struct ps *s, struct ps_zocket *z)
{
	for (struct ps_conn *c = ps_conn_next(s, NULL); c != NULL; c = ps_conn_next(s, c))
		if (c->ts == z->ts)
			c->ts = NULL;
	memset(z, 0, sizeof(*z));
}

static struct zf_attr *
attrs_of(struct ps *s)
{
	struct zf_attr *attr;

	if (zf_attr_alloc(&attr) != 0)
		ps_fail(s, 0, "no memory");
	if (s->opts.attrs != NULL)
		attr_apply_text(attr, s->opts.attrs, NULL);
	return attr;
}

struct zft_handle *
ps_handle(struct ps *s)
{
	struct ps_zocket *z = new_zocket(s);
	struct zf_attr *attr = attrs_of(s);
	int rc = zft_alloc(ps_stack(s), attr, &z->handle);

	zf_attr_free(attr);
	PS_EQ(s, rc, 0);
	return z->handle;
}

int
ps_tcp_bind(struct ps *s, struct zft_handle *h, const char *local)
{
	struct sockaddr_in l = ps_addr(s, local);
	int rc = zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0);

	ps_note(s, "zft_addr_bind(%s) = %d", local, rc);
	return rc;
}

int
ps_connect_rc(struct ps *s, struct zft_handle *h, const char *remote)
{
	struct sockaddr_in r = ps_addr(s, remote);
	struct ps_zocket *z = NULL;
	struct zft *ts = NULL;
	int rc;

	for (int i = 0; i < PS_ZOCKETS; i++)
		if (s->zocks[i].handle == h)
			z = &s->zocks[i];
	rc = zft_connect(h, (struct sockaddr *)&r, sizeof(r), &ts);
	ps_note(s, "zft_connect(%s) = %d", remote, rc);
	if (rc != 0 || z == NULL)
		return rc;
	adopt(s, z, ts);
	if (!s->opts.strangers)
		s->t_ns = zt_clock(); /* the call may have waited */
	return 0;
}

struct zft *
ps_connect_at(struct ps *s, int line, const char *local, const char *remote)
{
	struct zft_handle *h = ps_handle(s);

	if (local != NULL && ps_tcp_bind(s, h, local) != 0)
		ps_fail(s, line, "zft_addr_bind failed");
	if (ps_connect_rc(s, h, remote) != 0)
		ps_fail(s, line, "zft_connect failed");
	return ps_zft(s);
}

int
ps_listen_rc(struct ps *s, const char *local, struct zftl **tl)
{
	struct sockaddr_in l = ps_addr(s, local);
	struct zf_attr *attr = attrs_of(s);
	int i, rc;

	s->free_tcp = free_all;
	s->header_size = zft_get_header_size;
	for (i = 0; i < PS_LISTENERS && s->zftls[i] != NULL; i++)
		;
	if (i == PS_LISTENERS)
		ps_fail(s, 0, "too many listeners in one script");
	rc = zftl_listen(ps_stack(s), (struct sockaddr *)&l, sizeof(l), attr, &s->zftls[i]);
	zf_attr_free(attr);
	ps_note(s, "zftl_listen(%s) = %d", local, rc);
	if (rc != 0)
		return rc;
	s->zftl = s->zftls[i];
	if (tl != NULL)
		*tl = s->zftl;
	return 0;
}

struct zftl *
ps_listen_at(struct ps *s, int line, const char *local)
{
	struct zftl *tl = NULL;

	if (ps_listen_rc(s, local, &tl) != 0)
		ps_fail(s, line, "zftl_listen failed");
	return tl;
}

struct zft *
ps_accept_at(struct ps *s, int line, struct zftl *tl)
{
	struct ps_zocket *z = new_zocket(s);
	struct zft *ts = NULL;
	int rc = zftl_accept(tl, &ts);

	ps_note(s, "zftl_accept = %d", rc);
	if (rc != 0)
		ps_fail(s, line, "no connection to accept: %d", rc);
	adopt(s, z, ts);
	return ts;
}

void
ps_accept_none_at(struct ps *s, int line, struct zftl *tl)
{
	struct zft *ts = NULL;
	int rc = zftl_accept(tl, &ts);

	if (rc != -EAGAIN || ts != NULL)
		ps_fail(s, line, "zftl_accept = %d, not -EAGAIN", rc);
}

void
ps_handle_free(struct ps *s, struct zft_handle *h)
{
	for (int i = 0; i < PS_ZOCKETS; i++)
		if (s->zocks[i].handle == h)
			s->zocks[i].handle = NULL;
	PS_EQ(s, zft_handle_free(h), 0);
}

void
ps_listen_free(struct ps *s, struct zftl *tl)
{
	for (int i = 0; i < PS_LISTENERS; i++)
		if (s->zftls[i] == tl)
			s->zftls[i] = NULL;
	if (s->zftl == tl)
		s->zftl = NULL;
	PS_EQ(s, zftl_free(tl), 0);
}

long
ps_tcp_send_args(struct ps *s, struct ps_send_args a, bool single)
{
	static uint8_t b[CHUNK * 32];
	struct ps_zocket *z = current(s);
	uint32_t k = a.len / 3, n = a.len / 2;
	struct iovec iov[5] = {{b, k}, {NULL, 0}, {b + k, n}, {b + k + n, a.len - k - n}, {NULL, 0}};
	struct iovec whole = {b, a.len};
	ssize_t rc;

	if (a.len > sizeof(b))
		ps_fail(s, 0, "ps_tcp_send of %u bytes", a.len);
	for (uint32_t i = 0; i < a.len; i++)
		b[i] = ps_pattern(1 + z->sent + i); /* as the peer's lines see it: by sequence number */
	if (single)
		rc = zft_send_single(z->ts, b, a.len, a.flags);
	else if ((z->sends++ & 1) == 0)
		rc = zft_send(z->ts, &whole, 1, a.flags);
	else
		rc = zft_send(z->ts, iov, 5, a.flags);
	ps_note(s, "zft_send%s(%u bytes, 0x%x) = %zd", single ? "_single" : "", a.len, (unsigned)a.flags, rc);
	if (rc > (ssize_t)a.len)
		ps_fail(s, 0, "zft_send took %zd bytes of %u", rc, a.len);
	memset(b, 0x5a, a.len); /* they were copied */
	if (rc > 0)
		z->sent += (uint32_t)rc;
	return rc;
}

union message {
	struct zft_msg msg;
	uint8_t room[sizeof(struct zft_msg) + IOVS * sizeof(struct iovec)];
};

static void
check_bytes(struct ps *s, int line, struct ps_zocket *z, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, z->rcvd++)
		if (b[i] != ps_pattern(1 + z->rcvd))
			ps_fail(s, line, "the stream differs at byte %u: %02x, not %02x", z->rcvd, b[i],
				ps_pattern(1 + z->rcvd));
}

/* In place, @max bytes at most: how many. */
static uint32_t
recv_zc(struct ps *s, int line, struct ps_zocket *z, uint32_t max)
{
	union message rd;
	uint32_t n = 0, all = 0;
	int rc;

	memset(&rd, 0x5a, sizeof(rd));
	rd.msg.iovcnt = IOVS;
	zft_zc_recv(z->ts, &rd.msg, 0);
	if (rd.msg.iovcnt < 0 || rd.msg.iovcnt > IOVS || rd.msg.pkts_left < 0)
		ps_fail(s, line, "zft_zc_recv: iovcnt %d, pkts_left %d", rd.msg.iovcnt, rd.msg.pkts_left);
	if (rd.msg.iovcnt == 0)
		return 0;
	for (int i = 0; i < rd.msg.iovcnt; i++) {
		uint32_t part = ZF_MIN((uint32_t)rd.msg.iov[i].iov_len, max - n);

		if (rd.msg.iov[i].iov_len == 0 && i + 1 < rd.msg.iovcnt)
			ps_fail(s, line, "zft_zc_recv: a buffer behind the end of the stream");
		check_bytes(s, line, z, rd.msg.iov[i].iov_base, part);
		n += part;
		all += (uint32_t)rd.msg.iov[i].iov_len;
	}
	rc = n == all ? zft_zc_recv_done(z->ts, &rd.msg) : zft_zc_recv_done_some(z->ts, &rd.msg, n);
	ps_note(s, "zft_zc_recv: %d buffers, %u bytes, %d left; done(%u) = %d", rd.msg.iovcnt, all, rd.msg.pkts_left, n,
		rc);
	if (n < all && rc < 1)
		ps_fail(s, line, "the stream has ended, with bytes not read: %d", rc);
	return n;
}

static uint32_t
recv_copy(struct ps *s, int line, struct ps_zocket *z, uint32_t max)
{
	static uint8_t b[CHUNK];
	uint32_t n = ZF_MIN(max, CHUNK), k = n / 2;
	struct iovec iov[2] = {{b, k}, {b + k, n - k}};
	int rc;

	memset(b, 0xa5, n);
	rc = zft_recv(z->ts, iov, 2, 0);
	ps_note(s, "zft_recv(%u) = %d", n, rc);
	if (rc <= 0)
		return 0;
	if ((uint32_t)rc > n)
		ps_fail(s, line, "zft_recv gave %d bytes of %u", rc, n);
	check_bytes(s, line, z, b, (uint32_t)rc);
	return (uint32_t)rc;
}

void
ps_tcp_recv_at(struct ps *s, int line, uint32_t len)
{
	struct ps_zocket *z = current(s);
	uint32_t n = 0, got;

	while (n < len) {
		got = (z->reads++ & 1) == 0 ? recv_zc(s, line, z, len - n) : recv_copy(s, line, z, len - n);
		if (got == 0)
			ps_fail(s, line, "%u bytes received, not %u", n, len);
		n += got;
	}
}

/* What both ways of reading say when there is nothing to read. */
void
ps_tcp_recv_none_at(struct ps *s, int line)
{
	struct ps_zocket *z = current(s);
	uint8_t b[16];
	struct iovec iov = {b, sizeof(b)};
	union message rd;
	int rc = zft_recv(z->ts, &iov, 1, 0), state = zft_state(z->ts);
	bool opening = state == TCP_SYN_SENT || (state == TCP_SYN_RECV);

	if (rc != (opening ? -ENOTCONN : -EAGAIN))
		ps_fail(s, line, "zft_recv = %d, but nothing should wait", rc);
	rd.msg.iovcnt = 2;
	zft_zc_recv(z->ts, &rd.msg, 0);
	if (rd.msg.iovcnt != 0)
		ps_fail(s, line, "zft_zc_recv: %d buffers, but nothing should wait", rd.msg.iovcnt);
}

void
ps_tcp_end_at(struct ps *s, int line, int want)
{
	struct ps_zocket *z = current(s);
	uint8_t b[16];
	struct iovec iov = {b, sizeof(b)};
	union message rd;
	int rc;

	for (int i = 0; i < 2; i++) { /* it is told as often as one asks */
		rd.msg.iovcnt = 2;
		zft_zc_recv(z->ts, &rd.msg, 0);
		if (rd.msg.iovcnt != 1 || rd.msg.iov[0].iov_len != 0)
			ps_fail(s, line, "zft_zc_recv: %d buffers, not one of length 0", rd.msg.iovcnt);
		rc = zft_zc_recv_done(z->ts, &rd.msg);
		if (rc != want)
			ps_fail(s, line, "zft_zc_recv_done = %d, not %d", rc, want);
		rc = zft_recv(z->ts, &iov, 1, 0);
		if (rc != want)
			ps_fail(s, line, "zft_recv = %d, not %d", rc, want);
	}
}

int
ps_shutdown_rc(struct ps *s)
{
	int rc = zft_shutdown_tx(ps_zft(s));

	ps_note(s, "zft_shutdown_tx = %d", rc);
	return rc;
}

void
ps_tcp_free(struct ps *s)
{
	struct zft *ts = ps_zft(s);

	forget(s, s->zock);
	s->zock = NULL;
	PS_EQ(s, zft_free(ts), 0);
}

const struct zt_tcp *
ps_probe(struct ps *s)
{
	static struct zt_tcp t;
	struct ps_zocket *z = current(s);

	if (zt_tcp_probe(z->ts, &t) != 0)
		ps_fail(s, 0, "zt_tcp_probe failed");
	t.snd_una -= t.iss;
	t.snd_nxt -= t.iss;
	t.snd_end -= t.iss;
	t.rcv_nxt -= t.irs;
	return &t;
}

/* Options of the peer's SYN; what the stack did not offer it must not answer with, and does not by default. */
static void
peer_options(const struct ps_tcp_opts *o, char *text, size_t size)
{
	char ws[32] = "";

	if (o->peer_wscale != 0)
		snprintf(ws, sizeof(ws), ",nop,wscale %d", o->peer_wscale == PS_WSCALE_0 ? 0 : o->peer_wscale);
	snprintf(text, size, "<mss %u%s%s%s>", o->peer_mss != 0 ? o->peer_mss : 1460,
		 o->peer_sack ? o->peer_ts ? ",sackOK" : ",nop,nop,sackOK" : o->peer_ts ? ",nop,nop" : "",
		 o->peer_ts ? ",TS val * ecr *" : "", ws);
}

void
ps_handshake_at(struct ps *s, int line, const struct ps_tcp_opts *o)
{
	char opts[128];

	peer_options(o, opts, sizeof(opts));
	s->tcp_win = (uint16_t)(o->peer_win == 0 ? 65535 : o->peer_win == PS_WIN_0 ? 0 : ZF_MIN(o->peer_win, 65535u));
	if (o->passive) {
		ps_in_at(s, line, "+0 S 0:0(0) %s", opts);
		ps_out_at(s, line, "+0 S. 0:0(0) ack 1 <mss 1460,*>");
		ps_in_at(s, line, "+%.6f . 1:1(0) ack 1", o->rtt);
		(void)ps_accept_at(s, line, s->zftl);
	} else {
		ps_out_at(s, line, "+0 S 0:0(0) <mss 1460,*>");
		ps_in_at(s, line, "+%.6f S. 0:0(0) ack 1 %s", o->rtt, opts);
		ps_out_at(s, line, "+0 . 1:1(0) ack 1");
	}
	PS_EQ(s, zft_state(ps_zft(s)), TCP_ESTABLISHED);
}

struct ps *
ps_established_at(int line, const struct ps_tcp_opts *o)
{
	static char attrs[512];
	struct ps_opts open = o->open;
	struct ps *s;
	size_t n;

	n = (size_t)snprintf(attrs, sizeof(attrs), "tcp_timestamps=%d;", !o->peer_ts ? 0 : o->passive ? 1 : 2);
	if (o->rcv_wnd != 0)
		n += (size_t)snprintf(attrs + n, sizeof(attrs) - n, "tcp_rx_window=%u;", o->rcv_wnd);
	snprintf(attrs + n, sizeof(attrs) - n, "%s", o->attrs != NULL ? o->attrs : open.attrs != NULL ? open.attrs : "");
	open.attrs = attrs;
	s = ps_open_opts(&open);
	if (o->passive)
		ps_listen_at(s, line, "us:1000");
	else
		ps_connect_at(s, line, "us:1000", "peer:2000");
	ps_handshake_at(s, line, o);
	return s;
}
