/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the ping-pong programs over TCP share: the connection, and everything around the loops that are measured, which are
 * each program's own.
 */
#ifndef EXAMPLES_PINGTCP_H
#define EXAMPLES_PINGTCP_H

#include "pingpong.h"
#include "tcp.h"

/* Entries of a message: a round trip of one segment needs one. */
#define N_IOV 64

struct conn {
	const struct pp_cfg *cfg;
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
int pp_broken(const struct conn *c, ssize_t rc, long done);

/* True, after a message, when -t seconds have passed. */
bool pp_too_long(const struct pp_cfg *cfg, uint64_t since, uint64_t now);

/* All of a program: options, stack, connection, one of the two loops (which return exit codes; ping writes a value for
 * each round trip to @ns), the end of the stream, report. @alt_count: alternatives of the stack, unless ZF_ATTR names
 * more.
 */
int pp_tcp_main(struct pp_cfg *cfg, int argc, char **argv, long alt_count, int (*ping)(struct conn *c, uint64_t *ns),
		int (*pong)(struct conn *c));

#endif
