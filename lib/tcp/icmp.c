/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP errors about segments of ours. Anybody can send one: it counts only if it quotes a sequence number that is in
 * flight (RFC 5927 4), and it ends a connection only before that is one.
 */
#include "ip/icmp.h"

#include <errno.h>

#include "tcp/conn.h"
#include "tcp/output.h"

static int
soft_error(const struct icmp_quote *q)
{
	if (q->type == ICMP_MSG_UNREACH && q->code == ICMP_UNREACH_CODE_NET)
		return ENETUNREACH;
	if (q->type == ICMP_MSG_UNREACH && (q->code == ICMP_UNREACH_CODE_PORT || q->code == ICMP_UNREACH_CODE_PROTO))
		return ECONNREFUSED;
	return EHOSTUNREACH;
}

static bool
is_hard(const struct icmp_quote *q)
{
	return q->type == ICMP_MSG_UNREACH &&
	       (q->code == ICMP_UNREACH_CODE_PORT || q->code == ICMP_UNREACH_CODE_PROTO);
}

static bool
in_flight(const struct zft *ts, uint32_t seq)
{
	return seq_sub(seq_of(seq), ts->snd_una) < seq_sub(ts->snd_nxt, ts->snd_una);
}

bool
tcp_icmp_error(struct zf_ctx *ctx, const struct icmp_quote *q)
{
	struct tcp_key k = {.lip = q->src, .rip = q->dst, .lport = q->sport, .rport = q->dport};
	struct tcp_room *r = ctx->tcp;
	uint32_t i = tcp_find(ctx, r, &k);
	struct zft *ts;

	if (i == TCP_NONE)
		return false;
	if (i >= r->max_zft) {
		i -= r->max_zft + r->max_tw;
		if (i >= r->max_syn || !is_hard(q) || q->seq != tcp_syn_iss(r->syn, i).n)
			return false;
		ctx_count(ctx, CNT_TCP_ICMP);
		tcp_syn_icmp(ctx, i);
		return true;
	}
	ts = &r->zfts[i];
	tcp_flush(ctx, ts);
	if (!in_flight(ts, q->seq))
		return false;
	ctx_count(ctx, CNT_TCP_ICMP);
	if (q->type == ICMP_MSG_UNREACH && q->code == ICMP_UNREACH_CODE_FRAG) {
		/* The path learns its MTU from the caller; what was too long goes again at the end of this poll. */
		if (q->mtu != 0)
			tcp_pend(ctx, ts);
		return true;
	}
	if (is_hard(q) && (ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV)) {
		tcp_end(ctx, ts, ECONNREFUSED);
		return true;
	}
	ts->soft_error = (uint8_t)soft_error(q); /* RFC 9293 3.9.2.2: told until the peer answers, and nothing else */
	tcp_fast_recv_update(ctx, ts);
	return true;
}
