/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See tcp.h.
 */
#include "tcp.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pause before a refused connection is tried again. */
#define RETRY_NS 10000000ull
/* A piece that one packet buffer holds. */
#define SMALL 1024u
/* How long an ended connection may wait for the acknowledgement of its last segment. */
#define LINGER_NS 2000000000ull

static const struct {
	int err;
	const char *name, *advice;
} errors[] = {
	{ECONNREFUSED, "ECONNREFUSED", "the host answers, but nothing listens on that port: is the other side running?"},
	{ECONNRESET, "ECONNRESET", "the other side has ended or was restarted in the middle of the stream"},
	{EPIPE, "EPIPE", "the other side has closed and does not take data any more"},
	{ETIMEDOUT, "ETIMEDOUT",
	 "the other side does not answer any more: is it still running, is the network or the wire up? (How long TCP "
	 "tries: attributes tcp_retries, tcp_rto_max_ms)"},
	{EHOSTUNREACH, "EHOSTUNREACH",
	 "nothing answers at that address: is the other side running, on the same wire or network? Has this side a "
	 "prefix that contains it (ipv4=ADDRESS/PREFIX), or a gateway=?"},
	{EADDRNOTAVAIL, "EADDRNOTAVAIL", "the address is not this stack's: see ipv4= in ZF_ATTR"},
	{EADDRINUSE, "EADDRINUSE", "something else has this port: choose another one"},
	{EOPNOTSUPP, "EOPNOTSUPP", "name one address of the stack, not 0.0.0.0"},
	{ENOBUFS, "ENOBUFS", "the stack has no zocket left: see max_tcp_endpoints and max_tcp_listen_endpoints"},
	{ENOMEM, "ENOMEM", "out of memory"},
	{EBUSY, "EBUSY", "the port has no filter left"},
	{EINVAL, "EINVAL", "the address cannot be used, or the stack is one-way (rx_ring_max=0, tx_ring_max=0)"},
	{ENOTCONN, "ENOTCONN", "there is no connection any more"},
	{0, "0", "the other side closed the connection too early"},
};

const char *
ex_tcp_name(int err)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].err == abs(err))
			return errors[i].name;
	return strerror(abs(err));
}

const char *
ex_tcp_advice(int err)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].err == abs(err))
			return errors[i].advice;
	return "no advice";
}

static void
complain(const char *call, const struct sockaddr_in *host, int err)
{
	char name[32];

	fprintf(stderr, "%s %s: %s (%s): %s\n", call, ex_host(host, name), ex_tcp_name(err), strerror(abs(err)),
		ex_tcp_advice(err));
}

struct zftl *
ex_tcp_listen(struct zf_stack *stack, const struct zf_attr *attr, const struct sockaddr_in *laddr)
{
	struct zftl *tl;
	int rc = zftl_listen(stack, (const struct sockaddr *)laddr, sizeof(*laddr), attr, &tl);

	if (rc >= 0)
		return tl;
	complain("zftl_listen", laddr, rc);
	exit(EX_FAILED);
}

struct zft *
ex_tcp_accept(struct zf_stack *stack, struct zftl *tl, long wait_s)
{
	uint64_t until = ex_now_ns() + (uint64_t)wait_s * 1000000000u;
	struct zft *ts;
	int rc;

	while ((rc = zftl_accept(tl, &ts)) == -EAGAIN) {
		zf_reactor_perform(stack);
		if (ex_now_ns() > until) {
			fprintf(stderr,
				"nobody connected within %ld s: is the other side running, with the same wire or network "
				"and this side's address?\n",
				wait_s);
			return NULL;
		}
	}
	ex_try("zftl_accept", rc);
	return ts;
}

/* A zocket that tries to connect. */
static struct zft *
start(struct zf_stack *stack, const struct zf_attr *attr, const struct sockaddr_in *raddr)
{
	struct zft_handle *handle;
	struct zft *ts;
	int rc;

	EX_TRY(zft_alloc(stack, attr, &handle));
	rc = zft_connect(handle, (const struct sockaddr *)raddr, sizeof(*raddr), &ts);
	if (rc >= 0)
		return ts;
	zft_handle_free(handle);
	complain("zft_connect", raddr, rc);
	exit(EX_FAILED);
}

static bool
connecting(struct zft *ts)
{
	int state = zft_state(ts);

	return state == TCP_SYN_SENT || state == TCP_SYN_RECV;
}

struct zft *
ex_tcp_connect(struct zf_stack *stack, const struct zf_attr *attr, const struct sockaddr_in *raddr, long wait_s)
{
	uint64_t now, again = 0, until = ex_now_ns() + (uint64_t)wait_s * 1000000000u;
	struct zft *ts = NULL;
	int err = ETIMEDOUT;

	while ((now = ex_now_ns()) < until) {
		if (ts == NULL && now >= again)
			ts = start(stack, attr, raddr);
		zf_reactor_perform(stack);
		if (ts == NULL || connecting(ts))
			continue;
		err = zft_error(ts);
		if (err == 0)
			return ts;
		zft_free(ts);
		ts = NULL;
		again = now + RETRY_NS;
	}
	if (ts != NULL)
		zft_free(ts);
	fprintf(stderr, "no connection within %ld s\n", wait_s);
	complain("zft_connect", raddr, err);
	return NULL;
}

ssize_t
ex_tcp_send(struct zft *ts, const void *data, size_t len)
{
	ssize_t rc;

	while ((rc = zft_send_single(ts, data, len, 0)) == -ENOMEM && len > SMALL)
		len /= 2;
	return rc;
}

bool
ex_tcp_discard(struct zft *ts, uint64_t *bytes, int *rc)
{
	struct {
		struct zft_msg msg;
		struct iovec iov[16];
	} rd;

	do {
		rd.msg.iovcnt = 16;
		zft_zc_recv(ts, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			return true;
		for (int i = 0; i < rd.msg.iovcnt; i++)
			*bytes += rd.iov[i].iov_len;
		*rc = zft_zc_recv_done(ts, &rd.msg);
	} while (*rc > 0);
	return false;
}

int
ex_tcp_finish(struct zf_stack *stack, struct zft *ts, long wait_s, uint64_t *bytes)
{
	uint64_t now = ex_now_ns(), until = now + (uint64_t)wait_s * 1000000000u;
	bool sent = false, ended = false;
	int rc;

	for (;; now = ex_now_ns()) {
		if (!sent) {
			rc = zft_shutdown_tx(ts);
			if (rc < 0 && !ex_tcp_full(rc))
				return zft_error(ts) != 0 ? -zft_error(ts) : rc;
			sent = rc == 0;
		}
		zf_reactor_perform(stack);
		if (!ended && !ex_tcp_discard(ts, bytes, &rc)) {
			if (rc < 0)
				return rc;
			ended = true;
			until = now + LINGER_NS;
		}
		if (ended && sent && (zft_state(ts) == TCP_CLOSE || zft_state(ts) == TCP_TIME_WAIT))
			return 0;
		/* All that the other side had to say is here; its last acknowledgement is not worth more. */
		if (now > until)
			return ended ? 0 : -ETIMEDOUT;
	}
}
