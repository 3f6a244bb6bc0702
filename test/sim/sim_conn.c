/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two ends of a simulated connection: what they send, how they read, how they end it. Each byte of a stream is a
 * function of its connection, direction and offset, so whatever is read proves itself.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sim/sim.h"

#define STREAM_MAX  (64u * 1024u)
#define PATIENCE_NS (600 * SIM_S)

static uint8_t scratch[STREAM_MAX];

/* Eight bytes of a stream, those at @at * 8. */
static inline uint64_t
word(uint64_t key, uint64_t at)
{
	uint64_t x = (key ^ at) * 0x9e3779b97f4a7c15u;

	return x ^ x >> 29;
}

static void
fill(uint8_t *to, uint64_t key, uint64_t off, uint32_t len)
{
	while (len > 0) {
		uint64_t w = word(key, off / 8);
		uint32_t from = (uint32_t)(off % 8), part = ZF_MIN(8 - from, len);

		memcpy(to, (const uint8_t *)&w + from, part);
		to += part;
		off += part;
		len -= part;
	}
}

static bool
is_stream(const uint8_t *b, uint64_t key, uint64_t off, uint32_t len)
{
	while (len > 0) {
		uint64_t w = word(key, off / 8);
		uint32_t from = (uint32_t)(off % 8), part = ZF_MIN(8 - from, len);

		if (memcmp(b, (const uint8_t *)&w + from, part) != 0)
			return false;
		b += part;
		off += part;
		len -= part;
	}
	return true;
}

static struct sim_side *
other(struct sim_side *s)
{
	return &s->conn->side[s == &s->conn->side[0]];
}

static bool
may_be_cut(const struct sim_conn *c)
{
	return c->lenient || c->k->lossy_open;
}

static void
take_bytes(struct sim_side *s, const void *p, uint32_t len)
{
	const struct sim_side *from = other(s);

	SIM_CHECK(s->conn->k, s->rx_off + len <= from->tx_off);
	SIM_CHECK(s->conn->k, is_stream(p, from->tx_key, s->rx_off, len));
	s->rx_off += len;
	s->conn->k->bytes += len;
}

static bool
is_end_code(int rc)
{
	return rc == 0 || rc == -ECONNRESET || rc == -EPIPE || rc == -ETIMEDOUT || rc == -ECONNREFUSED ||
	       rc == -EHOSTUNREACH;
}

static void
take_end(struct sim_side *s, int rc)
{
	struct sim_case *k = s->conn->k;
	const struct sim_side *from = other(s);

	SIM_CHECK(k, is_end_code(rc));
	if (!may_be_cut(s->conn)) {
		SIM_CHECK(k, rc == 0 || (k->short_tw && s->shut));
		SIM_CHECK(k, s->rx_off == from->tx_total && from->shut);
	}
	s->eof = true;
}

static void
free_side(struct sim_side *s)
{
	SIM_CHECK(s->conn->k, zft_free(s->ts) == 0);
	s->ts = NULL;
	s->freed = true;
	s->holding = false;
	s->shut = true;
}

static void
give_back(struct sim_side *s)
{
	struct sim_case *k = s->conn->k;
	uint32_t bytes = 0, take = 0;
	bool end = false;
	int rc;

	for (int i = 0; i < s->held.msg.iovcnt; i++) {
		bytes += (uint32_t)s->held.iov[i].iov_len;
		end |= s->held.iov[i].iov_len == 0;
	}
	s->holding = false;
	if (bytes > 0 && !end && sim_chance(k, 300000)) {
		uint32_t left = take = (uint32_t)sim_pick(k, 0, bytes);

		for (int i = 0; left > 0; i++) {
			uint32_t part = (uint32_t)ZF_MIN((size_t)left, s->held.iov[i].iov_len);

			take_bytes(s, s->held.iov[i].iov_base, part);
			left -= part;
		}
		SIM_CHECK(k, zft_zc_recv_done_some(s->ts, &s->held.msg, take) >= 1);
		return;
	}
	for (int i = 0; i < s->held.msg.iovcnt; i++)
		take_bytes(s, s->held.iov[i].iov_base, (uint32_t)s->held.iov[i].iov_len);
	rc = zft_zc_recv_done(s->ts, &s->held.msg);
	if (end)
		take_end(s, rc);
	else
		SIM_CHECK(k, rc >= 1);
}

/* False: nothing waits. */
static bool
receive(struct sim_side *s)
{
	struct sim_case *k = s->conn->k;
	uint32_t max = (uint32_t)sim_pick(k, 1, s->h.recv_max);

	if (sim_chance(k, 500000)) {
		s->held.msg.iovcnt = (int)sim_pick(k, 1, 8);
		zft_zc_recv(s->ts, &s->held.msg, 0);
		if (s->held.msg.iovcnt == 0)
			return false;
		s->holding = true;
		if (!sim_chance(k, s->h.hold_ppm))
			give_back(s);
	} else {
		struct iovec iov[2] = {{scratch, max / 3}, {scratch + max / 3, max - max / 3}};
		int rc = zft_recv(s->ts, iov, 2, 0);

		if (rc == -EAGAIN || rc == -ENOTCONN)
			return false;
		if (rc > 0)
			take_bytes(s, scratch, (uint32_t)rc);
		else
			take_end(s, rc);
	}
	return true;
}

/* False: no more now. */
static bool
send_some(struct sim_side *s)
{
	struct sim_case *k = s->conn->k;
	uint64_t wish = sim_pick(k, 1, s->h.send_max);
	uint32_t len = (uint32_t)ZF_MIN(wish, s->tx_total - s->tx_off);
	int flags = sim_chance(k, s->h.more_ppm) ? MSG_MORE : 0;
	ssize_t rc;

	fill(scratch, s->tx_key, s->tx_off, len);
	s->tx_off += len; /* what may be read from here on */
	if (sim_chance(k, 600000)) {
		rc = zft_send_single(s->ts, scratch, len, flags);
	} else {
		struct iovec iov[3] = {{scratch, len / 2}, {NULL, 0}, {scratch + len / 2, len - len / 2}};

		rc = zft_send(s->ts, iov, 3, flags);
	}
	s->tx_off -= rc > 0 ? len - (uint32_t)rc : len;
	if (rc == -ENOMEM) {
		s->h.send_max = ZF_MIN(s->h.send_max, ZF_MAX(s->h.send_max / 2, 4000u)); /* the pool may be smaller */
		return false;
	}
	if (rc == -EAGAIN)
		return false;
	if (rc == -ENOTCONN) {
		if (zft_state(s->ts) == TCP_SYN_SENT || zft_state(s->ts) == TCP_SYN_RECV)
			return false;
		SIM_CHECK(k, may_be_cut(s->conn));
		s->tx_total = s->tx_off;
		s->shut = true;
		return false;
	}
	SIM_CHECK(k, rc > 0 && (uint32_t)rc <= len);
	return true;
}

static void
finish_sending(struct sim_side *s)
{
	struct sim_case *k = s->conn->k;
	int rc;

	if (s->h.frees_early && other(s)->tx_total == 0 && s->rx_off == 0) {
		if (zft_state(s->ts) != TCP_SYN_SENT && zft_state(s->ts) != TCP_SYN_RECV) {
			s->eof = true;
			free_side(s);
		}
		return;
	}
	if (s->h.waits_eof && !s->eof)
		return;
	s->shut = true; /* the peer may read our end during the call already */
	rc = zft_shutdown_tx(s->ts);
	if (rc == 0)
		return;
	s->shut = false;
	if (rc == -ENOTCONN) {
		if (zft_state(s->ts) == TCP_SYN_SENT || zft_state(s->ts) == TCP_SYN_RECV)
			return;
		SIM_CHECK(k, may_be_cut(s->conn));
		s->shut = true;
		return;
	}
	SIM_CHECK(k, rc == -EAGAIN || rc == -ENOMEM);
}

static void
finish(struct sim_side *s)
{
	struct sim_case *k = s->conn->k;
	int state = zft_state(s->ts);

	if (!may_be_cut(s->conn) && !k->short_tw) {
		SIM_CHECK(k, zft_error(s->ts) == 0);
		SIM_CHECK(k, state == TCP_CLOSING || state == TCP_TIME_WAIT || state == TCP_LAST_ACK ||
				     state == TCP_CLOSE);
	}
	free_side(s);
}

static void
next_wake(struct sim_side *s, bool idle, bool moved)
{
	struct sim_case *k = s->conn->k;

	s->bored = idle ? (uint32_t)ZF_MIN(s->bored + 1, 16u) : 0;
	if (s->freed)
		s->wake = SIM_NEVER;
	else if (sim_chance(k, 2000))
		s->wake = zt_clock() + sim_pick_log(k, 1000, s->h.sleep_ns);
	else if (s->holding)
		s->wake = zt_clock() + sim_pick_log(k, 1000, ZF_MIN(s->h.sleep_ns, 50 * SIM_MS));
	else if (s->h.pause_ns != 0)
		s->wake = zt_clock() + sim_pick(k, 0, ZF_MIN(s->h.pause_ns << s->bored, 100 * SIM_MS));
	else
		s->wake = idle ? SIM_NEVER : zt_clock();
	s->waiting = s->wake == SIM_NEVER && !s->freed;
	/* A reset may be lost: who only waits then learns nothing without keepalive, and loses patience. */
	if (may_be_cut(s->conn) && !s->freed) {
		if (s->wake == SIM_NEVER)
			s->wake = zt_clock() + PATIENCE_NS / 2;
		if (moved)
			s->moved_at = zt_clock();
		else if (zt_clock() - s->moved_at > PATIENCE_NS)
			s->h.abort_at = 0;
	}
}

void
sim_side_act(struct sim_side *s)
{
	uint64_t moved = s->tx_off + s->rx_off;
	bool idle = true;

	if (s->ts == NULL)
		return;
	sim_culprit = s->conn;
	if (s->tx_off + s->rx_off >= s->h.abort_at) {
		free_side(s);
		next_wake(s, true, true);
		return;
	}
	if (s->holding)
		give_back(s);
	for (uint32_t i = 0; i < s->h.recvs_max && !s->eof; i++) {
		if (!receive(s))
			break;
		if (i + 1 == s->h.recvs_max || s->holding)
			idle = false;
		if (s->holding)
			break;
	}
	for (uint32_t i = 0; i < s->h.sends_max && s->tx_off < s->tx_total; i++) {
		if (!send_some(s))
			break;
		if (i + 1 == s->h.sends_max)
			idle = false;
	}
	if (s->tx_off == s->tx_total && !s->shut)
		finish_sending(s);
	if (s->ts != NULL && s->eof && s->shut && !s->holding)
		finish(s);
	idle = idle && (s->h.pause_ns == 0 || moved == s->tx_off + s->rx_off);
	next_wake(s, idle, moved != s->tx_off + s->rx_off);
	sim_culprit = NULL;
}

static void
draw_habits(struct sim_case *k, struct sim_side *s)
{
	struct sim_habits *h = &s->h;

	h->send_max = (uint32_t)sim_pick_log(k, 1, STREAM_MAX);
	h->sends_max = (uint32_t)sim_pick_log(k, 1, 500);
	h->more_ppm = sim_chance(k, 300000) ? (uint32_t)sim_pick(k, 0, 1000000) : 0;
	h->recv_max = (uint32_t)sim_pick_log(k, 2, STREAM_MAX);
	h->recvs_max = (uint32_t)sim_pick_log(k, 1, 200);
	h->hold_ppm = sim_chance(k, 300000) ? (uint32_t)sim_pick_log(k, 100, 500000) : 0;
	h->pause_ns = sim_chance(k, 500000) ? 0 : sim_pick_log(k, 1000, 20 * SIM_MS);
	h->sleep_ns = sim_pick_log(k, SIM_MS, 20 * SIM_S);
	h->waits_eof = s == &s->conn->side[1] && sim_chance(k, 300000);
	h->frees_early = sim_chance(k, 200000);
	h->abort_at = SIM_NEVER;
	s->tx_total = sim_chance(k, 150000) ? 0 : sim_pick_log(k, 1, 400000);
	/* Tiny pieces of a long stream say nothing new and take for ever. */
	s->tx_total = ZF_MIN(s->tx_total, (uint64_t)h->send_max * 400);
	other(s)->h.recv_max = (uint32_t)ZF_MAX((uint64_t)other(s)->h.recv_max, s->tx_total / 400);
	s->tx_key = rng_next64(&k->rng);
}

void
sim_conn_draw(struct sim_case *k, uint32_t index)
{
	struct sim_conn *c = &k->conns[index];
	uint32_t a = (uint32_t)sim_pick(k, 0, 1);

	memset(c, 0, sizeof(*c));
	c->k = k;
	c->index = index;
	c->port = (uint16_t)(10000 + index);
	c->start = sim_chance(k, 300000) ? 0 : sim_pick_log(k, 1000, 500 * SIM_MS);
	c->both = sim_chance(k, 30000);
	for (uint32_t i = 0; i < 2; i++) {
		c->side[i].conn = c;
		c->side[i].stack = i == 0 ? a : 1 - a;
		c->side[i].wake = SIM_NEVER;
		draw_habits(k, &c->side[i]);
	}
	for (uint32_t i = 0; i < 2; i++)
		c->side[i].h.recv_max = ZF_MAX(c->side[i].h.recv_max, (uint32_t)c->side[1 - i].tx_total / 400);
	if (sim_chance(k, 150000)) {
		struct sim_side *s = &c->side[sim_pick(k, 0, 1)];

		c->lenient = true;
		s->h.abort_at = sim_pick(k, 0, c->side[0].tx_total + c->side[1].tx_total);
	}
}

static struct sockaddr_in
address(uint32_t stack, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(0xc0000201u + stack),
				    .sin_port = htons(port)};
}

static void
connect_side(struct sim_side *s, uint16_t lport, uint16_t rport)
{
	struct sim_case *k = s->conn->k;
	struct sockaddr_in l = address(s->stack, lport), r = address(1 - s->stack, rport);
	struct zft_handle *h;
	int rc = zft_alloc(zt_stack(k->zt[s->stack]), NULL, &h);

	if (rc == -ENOBUFS && k->scarce) {
		s->conn->start = zt_clock() + 100 * SIM_MS;
		return;
	}
	SIM_CHECK(k, rc == 0);
	SIM_CHECK(k, zft_addr_bind(h, (struct sockaddr *)&l, sizeof(l), 0) == 0);
	SIM_CHECK(k, zft_connect(h, (struct sockaddr *)&r, sizeof(r), &s->ts) == 0);
	s->started = true;
	s->wake = s->moved_at = zt_clock();
	s->conn->start = SIM_NEVER;
}

void
sim_conn_start(struct sim_conn *c)
{
	struct sim_case *k = c->k;

	if (c->both && !k->scarce) {
		connect_side(&c->side[0], c->port, (uint16_t)(c->port + 1000));
		connect_side(&c->side[1], (uint16_t)(c->port + 1000), c->port);
		return;
	}
	c->both = false;
	k->by_port[c->side[0].stack][c->port] = (uint16_t)(c->index + 1);
	connect_side(&c->side[0], c->port, SIM_PORT);
}

void
sim_side_accepted(struct sim_side *s, struct zft *ts)
{
	if (s->started && s->conn->k->cookies > 0) { /* an old ACK with its cookie, once more */
		SIM_CHECK(s->conn->k, zft_free(ts) == 0);
		return;
	}
	SIM_CHECK(s->conn->k, !s->started);
	s->ts = ts;
	s->started = true;
	s->wake = s->moved_at = zt_clock();
}

bool
sim_conn_is_over(const struct sim_conn *c)
{
	const struct sim_side *a = &c->side[0], *p = &c->side[1];

	if (c->start != SIM_NEVER || !a->freed)
		return false;
	return p->freed || (may_be_cut(c) && !p->started);
}
