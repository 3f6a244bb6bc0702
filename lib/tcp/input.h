/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Received segments, between the files that handle them.
 */
#ifndef ZF_TCP_INPUT_H
#define ZF_TCP_INPUT_H

#include "tcp/tcp_in.h"

/* Buffers queued on one zocket from which small segments are copied into the tail's. */
#define TCP_COALESCE_FROM 64u

/* input.c: a segment of connection @ts (not in SYN-SENT): where it ends. in->m is NULL afterwards if it was kept. */
enum counter tcp_input_conn(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in);
/* input_syn.c: the same in SYN-SENT (RFC 9293 3.10.7.3). */
enum counter tcp_input_syn_sent(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in);
/* input_data.c: steps seven and eight, text and FIN, of a segment that passed the others. */
enum counter tcp_input_data(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in);

/* ack.c: step five for a segment whose ACK is in snd_una..snd_nxt, or older. False: the connection is over. */
bool tcp_input_ack(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in);
/* What follows from bytes taken in order: an ACK now, or within the delay. */
void tcp_ack_due(struct zf_ctx *ctx, struct zft *ts);
/* A sender that had been refused may go on. */
void tcp_wake_writer(struct zf_ctx *ctx, struct zft *ts);

#endif
