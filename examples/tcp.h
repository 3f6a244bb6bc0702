/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the TCP examples share: coming to a connection whichever side starts first, ending it so that nothing is lost,
 * and saying what went wrong. The data path is each program's own.
 */
#ifndef EXAMPLES_TCP_H
#define EXAMPLES_TCP_H

#include <errno.h>

#include <zf/zf.h>

#include "common.h"

/* A listener on @laddr. A message with advice and exit(EX_FAILED) on failure. */
struct zftl *ex_tcp_listen(struct zf_stack *stack, const struct zf_attr *attr, const struct sockaddr_in *laddr);

/* The next connection of @tl; NULL after a message when none came within @wait_s. */
struct zft *ex_tcp_accept(struct zf_stack *stack, struct zftl *tl, long wait_s);

/* A connection to @raddr. Refused or unreachable, it is tried again until @wait_s is over: the other side may be
 * started later. NULL after a message then; exit(EX_FAILED) when trying again cannot help.
 */
struct zft *ex_tcp_connect(struct zf_stack *stack, const struct zf_attr *attr, const struct sockaddr_in *raddr,
			   long wait_s);

/* Reads and forgets what has arrived, and adds its bytes to *@bytes; false at the end of the stream, with the code of
 * zft_zc_recv_done() in *@rc.
 */
bool ex_tcp_discard(struct zft *ts, uint64_t *bytes, int *rc);

/* Ends the stream, reads and forgets what the other side still sends (its bytes are added to *@bytes), and waits until
 * it has ended its stream too and no segment of ours is missing. 0, or the negative errno code of the connection's
 * failure; -ETIMEDOUT after @wait_s.
 */
int ex_tcp_finish(struct zf_stack *stack, struct zft *ts, long wait_s, uint64_t *bytes);

/* "ECONNRESET", and what may have caused it and can be done; for negative or positive codes. */
const char *ex_tcp_name(int err);
const char *ex_tcp_advice(int err);

/* zft_send_single(), but when there are too few packet buffers for all of it, as much as there are some for: the call
 * itself takes nothing then, and a message that is larger than the pool would never leave.
 */
ssize_t ex_tcp_send(struct zft *ts, const void *data, size_t len);

/* True for what a send returns when it may succeed after polling. */
static inline bool
ex_tcp_full(ssize_t rc)
{
	return rc == -EAGAIN || rc == -ENOMEM;
}

#endif
