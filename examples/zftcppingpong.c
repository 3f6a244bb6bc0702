/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round-trip latency of TCP: pong listens and serves one connection, ping connects to it; what ping sends comes back.
 *
 * Either side may be started first. The two loops at the heart of it, round_trip() and pong(), are the figure that is
 * measured: send, poll, look at the bytes where they arrived, give them back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pingpong.h"
#include "tcp.h"

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

/* Entries of a message: a round trip of one segment needs one. */
#define N_IOV 64

struct conn {
	struct zf_stack *stack;
	struct zf_muxer_set *set; /* with -m */
	struct zft *ts;
	int left; /* packets that the last read left behind: the reactor does not announce them again */
	int rc;   /* what the last zft_zc_recv_done() returned: above 0 while the stream goes on */
};

struct message {
	struct zft_msg msg;
	struct iovec iov[N_IOV];
};

/* One poll; 0 when nothing happened. With -m by way of the multiplexer, which says that of the members of its set only:
 * where many connections are served that is what finds the ready ones.
 */
static inline int
poll_once(const struct conn *c)
{
	struct epoll_event ev;

	return c->set == NULL ? zf_reactor_perform(c->stack) : zf_muxer_wait(c->set, &ev, 1, 0);
}

/* Why the stream broke, once; @done below 0: when all was done. An exit code. */
static int
broken(const struct conn *c, ssize_t rc, long done)
{
	int err = zft_error(c->ts) != 0 ? zft_error(c->ts) : (int)-rc;

	if (done < 0)
		fprintf(stderr, "the connection broke while it was closed: ");
	else
		fprintf(stderr, "the connection broke after %ld round trips: ", done);
	fprintf(stderr, "%s: %s\n", ex_tcp_name(err), ex_tcp_advice(err));
	return EX_BROKEN;
}

static bool
too_long(uint64_t since, uint64_t now)
{
	if (now - since <= (uint64_t)cfg.wait_s * 1000000000u)
		return false;
	fprintf(stderr, "no answer for %ld s: is the other side still running, is the wire or network up?\n",
		cfg.wait_s);
	return true;
}

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
		return broken(c, rc, it);
	do {
		/* A message larger than the windows: both directions move, or neither would in the end. */
		if (put < cfg.size && !send_rest(c, data, cfg.size, &put))
			return broken(c, -ENOTCONN, it);
		while (c->left == 0 && poll_once(c) == 0) {
			*when = ex_now_ns();
			if (too_long(since, *when))
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
			return broken(c, c->rc, it);
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
			if (too_long(since, ex_now_ns()))
				return EX_SILENCE;
	}
	return broken(c, -ENOTCONN, served);
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
			if (too_long(last, now))
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
	return rc == EX_OK && c->rc < 0 ? broken(c, c->rc, served - 1) : rc;
}

/* The connection, made or taken; false when there was none in time. */
static bool
meet(struct conn *c, const struct zf_attr *attr)
{
	struct zftl *tl;

	if (cfg.ping) {
		c->ts = ex_tcp_connect(c->stack, attr, &cfg.host[0], cfg.wait_s);
	} else {
		tl = ex_tcp_listen(c->stack, attr, &cfg.host[0]);
		c->ts = ex_tcp_accept(c->stack, tl, cfg.wait_s);
		EX_TRY(zftl_free(tl));
	}
	if (c->ts != NULL)
		fprintf(stderr, "connected\n");
	if (c->ts != NULL && cfg.muxer) {
		struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR};

		EX_TRY(zf_muxer_alloc(c->stack, &c->set));
		EX_TRY(zf_muxer_add(c->set, zft_to_waitable(c->ts), &ev));
	}
	/* It may have received something already. */
	c->left = 1;
	c->rc = 1;
	return c->ts != NULL;
}

int
main(int argc, char **argv)
{
	struct zf_attr *attr;
	struct conn c = {0};
	uint64_t *ns = NULL;
	int rc = EX_SILENCE;

	pp_options(&cfg, argc, argv);
	if (cfg.ping && (ns = pp_values(&cfg)) == NULL)
		return EX_FAILED;
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &c.stack));
	if (meet(&c, attr)) {
		rc = cfg.ping ? ping(&c, ns) : pong(&c);
		if (rc == EX_OK) {
			uint64_t unasked = 0;
			int err = ex_tcp_finish(c.stack, c.ts, cfg.wait_s, &unasked);

			if (err < 0)
				rc = broken(&c, err, -1);
		}
		EX_TRY(zft_free(c.ts));
		zf_muxer_free(c.set);
	}
	if (rc == EX_OK && cfg.ping)
		rc = pp_report(&cfg, ns, -1);
	free(ns);
	EX_TRY(zf_stack_free(c.stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
