/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round-trip latency of UDP: one process sends (ping), the other sends everything back (pong).
 *
 * Either side may be started first, and a side that was restarted is taken back: ping repeats a datagram that is not
 * answered in time and counts it as lost; the number in its first 8 bytes tells a late answer from the right one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zf/zf.h>

#include "pingpong.h"

static struct pp_cfg cfg = {
	.synopsis =
		"usage: zfudppingpong [options] ping|pong LOCALHOST:PORT REMOTEHOST:PORT\n"
		"\n"
		"Measures UDP round trips between two processes. Attributes come from ZF_ATTR, at least\n"
		"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
		"  zfudppingpong pong 10.0.0.1:8000 10.0.0.2:8000\n"
		"  zfudppingpong ping 10.0.0.2:8000 10.0.0.1:8000\n",
	.max_size = 65507,
	.hosts = 2,
	.size = 12,
	.iterations = 1000000,
	.warmup = 10000,
	.wait_s = 60,
};

/* How long ping waits before it repeats a datagram. */
#define RESEND_NS 100000000ull
/* How long pong goes on after it has answered as many as it was told to. */
#define LINGER_NS 500000000ull

struct message {
	struct zfur_msg msg;
	struct iovec iov[64];
};

/* The number that ping put into the datagram, or what it expects where there is no room for one. */
static uint64_t
serial_of(const struct message *m, uint64_t expected)
{
	uint64_t serial;

	if (m->msg.iovcnt == 0 || m->iov[0].iov_len < sizeof(serial))
		return expected;
	memcpy(&serial, m->iov[0].iov_base, sizeof(serial));
	return serial;
}

/* A full port or an empty pool: poll until a send can succeed, and send again, as the guide says. */
static void
send_all(struct zf_stack *stack, struct zfut *ut, const struct iovec *iov, int n)
{
	int rc;

	while ((rc = zfut_send(ut, iov, n, 0)) == -EAGAIN || rc == -ENOBUFS)
		while (zf_reactor_perform(stack) == 0)
			;
	ex_try("zfut_send", rc);
}

/* Datagrams that the last receive left in the queue. One poll may bring several, so the reactor's return value alone
 * does not say that there is nothing to read.
 */
static int left;

/* One datagram answered with its number: true; false after RESEND_NS. */
static bool
await(struct zf_stack *stack, struct zfur *ur, uint64_t serial, uint64_t since, uint64_t *when)
{
	struct message rd;

	for (;;) {
		while (left == 0 && zf_reactor_perform(stack) == 0) {
			*when = ex_now_ns();
			if (*when - since > RESEND_NS)
				return false;
		}
		rd.msg.iovcnt = 64;
		zfur_zc_recv(ur, &rd.msg, 0);
		left = rd.msg.dgrams_left;
		if (rd.msg.iovcnt == 0)
			continue;
		*when = ex_now_ns();
		if (cfg.read)
			pp_read(rd.iov, rd.msg.iovcnt);
		bool mine = serial_of(&rd, serial) == serial;

		zfur_zc_recv_done(ur, &rd.msg);
		if (mine)
			return true;
	}
}

static int
ping(struct zf_stack *stack, struct zfut *ut, struct zfur *ur, uint64_t *ns, long *lost)
{
	unsigned char *data = calloc(1, cfg.size + 1);
	struct iovec iov = {data, cfg.size};
	uint64_t last_answer = ex_now_ns(), sent, when = 0;
	/* Numbers of another run of ping must not be taken for ours. */
	uint64_t serial = last_answer << 20;

	if (data == NULL)
		return EX_FAILED;
	for (long it = -cfg.warmup; it < cfg.iterations;) {
		serial++;
		if (cfg.size >= sizeof(serial))
			memcpy(data, &serial, sizeof(serial));
		sent = ex_now_ns();
		send_all(stack, ut, &iov, 1);
		if (await(stack, ur, serial, sent, &when)) {
			if (it >= 0)
				ns[it] = pp_value(&cfg, sent, when);
			it++;
			last_answer = when;
			continue;
		}
		if (it > -cfg.warmup)
			(*lost)++;
		if (when - last_answer > (uint64_t)cfg.wait_s * 1000000000u) {
			fprintf(stderr,
				"no answer for %ld s: is the other side running, with the same wire or network and the "
				"addresses swapped?\n",
				cfg.wait_s);
			free(data);
			return EX_SILENCE;
		}
	}
	free(data);
	return EX_OK;
}

static int
pong(struct zf_stack *stack, struct zfut *ut, struct zfur *ur)
{
	uint64_t last = ex_now_ns(), now;
	long served = 0, enough = cfg.warmup + cfg.iterations;
	bool heard = false; /* since last: the clock is read while there is nothing to do */
	struct message rd;

	for (;;) {
		if (left == 0 && zf_reactor_perform(stack) == 0) {
			now = ex_now_ns();
			if (heard)
				last = now;
			heard = false;
			if (now - last > (served >= enough ? LINGER_NS : (uint64_t)cfg.wait_s * 1000000000u))
				break;
			continue;
		}
		rd.msg.iovcnt = 64;
		zfur_zc_recv(ur, &rd.msg, 0);
		left = rd.msg.dgrams_left;
		if (rd.msg.iovcnt == 0)
			continue;
		if (cfg.read)
			pp_read(rd.iov, rd.msg.iovcnt);
		send_all(stack, ut, rd.iov, rd.msg.iovcnt);
		zfur_zc_recv_done(ur, &rd.msg);
		served++;
		heard = true;
	}
	if (served == 0) {
		fprintf(stderr, "nothing arrived within %ld s\n", cfg.wait_s);
		return EX_SILENCE;
	}
	return EX_OK;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in *laddr = &cfg.host[0], *raddr = &cfg.host[1];
	struct zf_attr *attr;
	struct zf_stack *stack;
	struct zfur *ur;
	struct zfut *ut;
	uint64_t *ns;
	long lost = 0;
	int rc;

	pp_options(&cfg, argc, argv);
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &stack));
	EX_TRY(zfur_alloc(&ur, stack, attr));
	EX_TRY(zfur_addr_bind(ur, (struct sockaddr *)laddr, sizeof(*laddr),
			      (struct sockaddr *)raddr, sizeof(*raddr), 0));
	EX_TRY(zfut_alloc(&ut, stack, (struct sockaddr *)laddr, sizeof(*laddr), (struct sockaddr *)raddr,
			  sizeof(*raddr), 0, attr));
	if (cfg.ping) {
		ns = pp_values(&cfg);
		if (ns == NULL)
			return EX_FAILED;
		rc = ping(stack, ut, ur, ns, &lost);
		if (rc == EX_OK)
			rc = pp_report(&cfg, ns, lost);
		free(ns);
	} else {
		rc = pong(stack, ut, ur);
	}
	EX_TRY(zfut_free(ut));
	EX_TRY(zfur_free(ur));
	EX_TRY(zf_stack_free(stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
