/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round-trip latency of TCP: pong listens and serves one connection, ping connects to it; what ping sends comes back.
 *
 * Either side may be started first. The two loops at the heart of it, round_trip() and pong(), are the figure that is
 * measured: send, poll, look at the bytes where they arrived, give them back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pingtcp.h"

static struct pp_cfg cfg = {
	.tcp = true,
	.synopsis =
		"usage: zftcppingpong [options] ping|pong SERVERHOST:PORT\n"
		"\n"
		"Measures TCP round trips between two processes. Attributes come from ZF_ATTR, at least\n"
		"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
		"  zftcppingpong pong 10.0.0.1:8000    (listens, serves one connection, ends with it)\n"
		"  zftcppingpong ping 10.0.0.1:8000\n"
		"pong sends back what it gets: -s, -i, -r and -f count on ping's side only.\n",
	.min_size = 1,
	.max_size = 16777216,
	.hosts = 1,
	.size = 12,
	.iterations = 1000000,
	.warmup = 10000,
	.wait_s = 60,
};

/* As much of the rest as fits now; false when the connection has failed. Until -EAGAIN: only behind that the reactor
 * promises to say when there is room.
 */
static bool
send_rest(const struct conn *c, const unsigned char *data, size_t size, size_t *put)
{
	ssize_t rc = 0;

	while (*put < size && (rc = ex_tcp_send(c->ts, data + *put, size - *put)) > 0)
		*put += (size_t)rc;
	return rc >= 0 || ex_tcp_full(rc);
}

/* Sends @data and waits until as much has come back. EX_OK with the time of it in *@when, or an exit code. */
static int
round_trip(struct conn *c, const unsigned char *data, uint64_t since, long it, uint64_t *when)
{
	ssize_t rc = zft_send_single(c->ts, data, cfg.size, 0);
	size_t put = rc > 0 ? (size_t)rc : 0, got = 0;
	struct message rd;

	if (rc < 0 && !ex_tcp_full(rc))
		return pp_broken(c, rc, it);
	do {
		/* A message larger than the windows: both directions move, or neither would in the end. */
		if (put < cfg.size && !send_rest(c, data, cfg.size, &put))
			return pp_broken(c, -ENOTCONN, it);
		while (c->left == 0 && poll_once(c) == 0) {
			*when = ex_now_ns();
			if (pp_too_long(&cfg, since, *when))
				return EX_SILENCE;
		}
		rd.msg.iovcnt = N_IOV;
		zft_zc_recv(c->ts, &rd.msg, 0);
		c->left = rd.msg.pkts_left;
		if (rd.msg.iovcnt == 0)
			continue;
		*when = ex_now_ns();
		if (cfg.read)
			pp_read(rd.iov, rd.msg.iovcnt);
		for (int i = 0; i < rd.msg.iovcnt; i++)
			got += rd.iov[i].iov_len;
		c->rc = zft_zc_recv_done(c->ts, &rd.msg);
		if (c->rc <= 0)
			return pp_broken(c, c->rc, it);
	} while (got < cfg.size);
	return EX_OK;
}

static int
ping(struct conn *c, uint64_t *ns)
{
	unsigned char *data = calloc(1, cfg.size);
	uint64_t sent, when = 0;
	int rc = EX_OK;

	if (data == NULL) {
		fprintf(stderr, "no memory for %zu bytes\n", cfg.size);
		return EX_FAILED;
	}
	for (long it = -cfg.warmup; it < cfg.iterations && rc == EX_OK; it++) {
		sent = ex_now_ns();
		rc = round_trip(c, data, sent, it + cfg.warmup, &when);
		if (it >= 0)
			ns[it] = pp_value(&cfg, sent, when);
	}
	free(data);
	return rc;
}

/* The part of @iov behind @put that a send did not take, as room comes. An exit code. What arrives during these polls is
 * not reported by the next one: the caller looks for itself.
 */
static int
echo_slow(struct conn *c, const struct iovec *iov, size_t put, long served)
{
	uint64_t since = ex_now_ns();

	c->left = 1;
	while (send_rest(c, iov->iov_base, iov->iov_len, &put)) {
		if (put == iov->iov_len)
			return EX_OK;
		while (poll_once(c) == 0)
			if (pp_too_long(&cfg, since, ex_now_ns()))
				return EX_SILENCE;
	}
	return pp_broken(c, -ENOTCONN, served);
}

/* Back with the bytes, straight from where they arrived. */
static inline int
echo(struct conn *c, const struct message *m, long served)
{
	int rc = EX_OK;

	for (int i = 0; i < m->msg.iovcnt && rc == EX_OK; i++) {
		const struct iovec *iov = &m->iov[i];
		ssize_t put = zft_send_single(c->ts, iov->iov_base, iov->iov_len, 0);

		if (put != (ssize_t)iov->iov_len)
			rc = echo_slow(c, iov, put > 0 ? (size_t)put : 0, served);
	}
	return rc;
}

/* Sends everything back until the stream ends. */
static int
pong(struct conn *c)
{
	uint64_t last = ex_now_ns(), now;
	bool heard = false; /* since last: the clock is read while there is nothing to do */
	struct message rd;
	long served = 0;
	int rc = EX_OK;

	do {
		if (c->left == 0 && poll_once(c) == 0) {
			now = ex_now_ns();
			if (heard)
				last = now;
			heard = false;
			if (pp_too_long(&cfg, last, now))
				return EX_SILENCE;
			continue;
		}
		rd.msg.iovcnt = N_IOV;
		zft_zc_recv(c->ts, &rd.msg, 0);
		c->left = rd.msg.pkts_left;
		if (rd.msg.iovcnt == 0)
			continue;
		if (cfg.read)
			pp_read(rd.iov, rd.msg.iovcnt);
		rc = echo(c, &rd, served);
		c->rc = zft_zc_recv_done(c->ts, &rd.msg);
		served++;
		heard = true;
	} while (rc == EX_OK && c->rc > 0);
	return rc == EX_OK && c->rc < 0 ? pp_broken(c, c->rc, served - 1) : rc;
}

int
main(int argc, char **argv)
{
	return pp_tcp_main(&cfg, argc, argv, 0, ping, pong);
}
