/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round-trip latency of TCP by alternatives: both sides have their next message lie ready before they know when it will be
 * wanted, and let it go by one call.
 *
 * Two alternatives are used in turns: while one is on its way, or drains, the next message is prepared in the other. A
 * program that has to choose between answers would have one alternative for each, send one and cancel the others.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pingtcp.h"

static struct pp_cfg cfg = {
	.tcp = true,
	.synopsis =
		"usage: zfaltpingpong [options] ping|pong SERVERHOST:PORT\n"
		"\n"
		"Measures TCP round trips of messages that both sides have prepared as alternatives. Attributes come from\n"
		"ZF_ATTR (alt_count is raised to 2), at least\n"
		"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
		"  zfaltpingpong pong 10.0.0.1:8000    (listens, serves one connection, ends with it)\n"
		"  zfaltpingpong ping 10.0.0.1:8000\n"
		"pong answers each message of -s bytes by one of as many: give both sides the same -s.\n",
	.min_size = 1,
	.max_size = 8192,
	.hosts = 1,
	.size = 12,
	.iterations = 1000000,
	.warmup = 10000,
	.wait_s = 60,
};

#define N_ALTS 2

struct alts {
	zf_althandle h[N_ALTS];
	unsigned next;       /* the one whose turn it is to be sent */
	unsigned char *data; /* of every message */
};

static void
alts_take(const struct conn *c, struct alts *a)
{
	for (int i = 0; i < N_ALTS; i++)
		EX_TRY(zf_alternatives_alloc(c->stack, NULL, &a->h[i]));
	a->next = 0;
	a->data = calloc(1, cfg.size);
	if (a->data == NULL) {
		fprintf(stderr, "no memory for %zu bytes\n", cfg.size);
		exit(EX_FAILED);
	}
}

/* What still lies ready is not sent. */
static void
alts_give_back(const struct conn *c, struct alts *a)
{
	for (int i = 0; i < N_ALTS; i++)
		EX_TRY(zf_alternatives_release(c->stack, a->h[i]));
	free(a->data);
}

/* Calls that a poll will help. Whatever it receives, the caller looks for itself. */
static bool
poll_helps(struct conn *c, int rc)
{
	if (rc != -EBUSY && rc != -EAGAIN && rc != -ENOMEM && rc != -EMSGSIZE)
		return false;
	poll_once(c);
	c->left = 1;
	return true;
}

/* The message whose turn is next lies ready. An exit code. */
static int
prepare(struct conn *c, const struct alts *a, long done)
{
	struct iovec iov = {a->data, cfg.size};
	uint64_t since = ex_now_ns();
	int rc;

	while ((rc = zft_alternatives_queue(c->ts, a->h[a->next], &iov, 1, 0)) < 0) {
		if (!poll_helps(c, rc))
			return pp_broken(c, rc, done);
		if (pp_too_long(&cfg, since, ex_now_ns()))
			return EX_SILENCE;
	}
	return EX_OK;
}

/* It goes. What has arrived meanwhile may have made its headers too old: then they are made anew first. */
static int
let_go(struct conn *c, struct alts *a, long done)
{
	int rc;

	while ((rc = zf_alternatives_send(c->stack, a->h[a->next])) < 0)
		if (!poll_helps(c, rc))
			return pp_broken(c, rc, done);
	a->next = (a->next + 1) % N_ALTS;
	return EX_OK;
}

/* Reads what has arrived, and adds its bytes to *@got; false at the end of the stream (c->rc says why). */
static inline bool
read_some(struct conn *c, size_t *got)
{
	struct message rd;

	rd.msg.iovcnt = N_IOV;
	zft_zc_recv(c->ts, &rd.msg, 0);
	c->left = rd.msg.pkts_left;
	if (rd.msg.iovcnt == 0)
		return true;
	if (cfg.read)
		pp_read(rd.iov, rd.msg.iovcnt);
	for (int i = 0; i < rd.msg.iovcnt; i++)
		*got += rd.iov[i].iov_len;
	c->rc = zft_zc_recv_done(c->ts, &rd.msg);
	return c->rc > 0;
}

/* Until a whole message is here, whose time is *@when; EX_OK, or an exit code. @more: false where a stream may end. */
static int
await(struct conn *c, bool more, long done, uint64_t *when)
{
	uint64_t since = ex_now_ns();
	size_t got = 0;

	do {
		while (c->left == 0 && poll_once(c) == 0)
			if (pp_too_long(&cfg, since, ex_now_ns()))
				return EX_SILENCE;
		if (!read_some(c, &got))
			return !more && got == 0 && c->rc == 0 ? EX_OK : pp_broken(c, c->rc, done);
	} while (got < cfg.size);
	*when = ex_now_ns();
	return EX_OK;
}

static int
ping(struct conn *c, uint64_t *ns)
{
	struct alts a;
	uint64_t sent, when = 0;
	int rc;

	alts_take(c, &a);
	rc = prepare(c, &a, 0);
	for (long it = -cfg.warmup; it < cfg.iterations && rc == EX_OK; it++) {
		long done = it + cfg.warmup;

		sent = ex_now_ns();
		rc = let_go(c, &a, done);
		/* While the message is on its way: the next one. */
		if (rc == EX_OK)
			rc = prepare(c, &a, done);
		if (rc == EX_OK)
			rc = await(c, true, done, &when);
		if (it >= 0)
			ns[it] = pp_value(&cfg, sent, when);
	}
	alts_give_back(c, &a);
	return rc;
}

/* Answers each message until the stream ends. */
static int
pong(struct conn *c)
{
	struct alts a;
	uint64_t when;
	long served = 0;
	int rc;

	alts_take(c, &a);
	rc = prepare(c, &a, 0);
	while (rc == EX_OK) {
		rc = await(c, false, served, &when);
		if (rc != EX_OK || c->rc <= 0)
			break;
		rc = let_go(c, &a, served);
		if (rc == EX_OK)
			rc = prepare(c, &a, served);
		served++;
	}
	alts_give_back(c, &a);
	return rc;
}

int
main(int argc, char **argv)
{
	return pp_tcp_main(&cfg, argc, argv, N_ALTS, ping, pong);
}
