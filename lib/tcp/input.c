/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A received segment: whose it is, and the numbered steps of RFC 9293 3.10.7.4 up to the acknowledgement. Text and FIN
 * are in input_data.c, SYN-SENT in input_syn.c, what an acknowledgement does in ack.c. Nothing is sent from here but what
 * belongs to no connection; the connection's own answer is output()'s, at the end of the poll.
 */
#include "tcp/input.h"

#include <errno.h>
#include <sys/epoll.h>

#include "tcp/conn.h"
#include "tcp/listen.h"
#include "tcp/output.h"
#include "tcp/timer.h"

/* RFC 7323 5.5: a timestamp older than this says nothing. */
#define PAWS_LIFE_S (24ull * 24 * 3600)

/* All that is known of the segment with its IP header at @l3_off of @m, its own one of @hdr_len bytes at @l4_off. */
static ZF_ALWAYS_INLINE void
describe(struct tcp_in *in, struct rte_mbuf *m, uint32_t l3_off, uint32_t l4_off, uint32_t hdr_len, uint32_t pay_len)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(frame + l3_off);
	const struct hdr_tcp *tcp = (const struct hdr_tcp *)(frame + l4_off);

	in->m = m;
	in->key = (struct tcp_key){.lip = ip->dst, .rip = ip->src, .lport = tcp->dst, .rport = tcp->src};
	in->seq = seq_of(be32_host(tcp->seq));
	in->ack = seq_of(be32_host(tcp->ack));
	in->len = pay_len;
	in->off = (uint16_t)(l4_off + hdr_len);
	in->wnd = be16_host(tcp->wnd);
	in->flags = tcp->flags;
	in->ecn = ip->tos & IP4_ECN_MASK;
	in->mac = ((const struct hdr_eth *)frame)->src;
	in->o.have = in->o.n_sack = 0;
	/* Malformed options end the list of options, not the segment. */
	if (hdr_len > sizeof(*tcp))
		(void)tcp_opts_parse((const uint8_t *)(tcp + 1), hdr_len - (uint32_t)sizeof(*tcp),
				     (tcp->flags & TCP_FLAG_SYN) != 0, &in->o);
}

/* 3.10.7.2: LISTEN. */
static enum counter
input_listen(struct zf_ctx *ctx, struct zftl *tl, struct tcp_in *in)
{
	struct zft *ts = NULL;

	if (in->flags & TCP_FLAG_RST)
		return CNT_RX_DROP_TCP_STATE;
	if (in->flags & TCP_FLAG_ACK) {
		tcp_syn_cookie_ack(ctx, tl, in, &ts);
		return ts != NULL ? tcp_input_conn(ctx, ts, in) : CNT_RX_DROP_TCP_ACK;
	}
	/* SYN with FIN asks for nothing that anybody needs (hostile-inputs 14). */
	if ((in->flags & (TCP_FLAG_SYN | TCP_FLAG_FIN)) != TCP_FLAG_SYN)
		return CNT_RX_DROP_TCP_STATE;
	tcp_syn_listen(ctx, tl, in);
	return CNT_RX_TCP;
}

/* 3.10.7.1: no connection, as far as is known here. */
static enum counter
input_unknown(struct zf_ctx *ctx, struct tcp_in *in)
{
	struct zftl *tl = tcp_listener_find(ctx, in->key.lip, in->key.lport);

	if (tl != NULL)
		return input_listen(ctx, tl, in);
	ctx->tcp->tw_iss_set = false;
	/* On a shared queue the zocket may be another stack's. */
	if (netif_bind_owners(ctx->netif, IP_PROTO_TCP, in->key.lip, in->key.lport, in->key.rip, in->key.rport, false) ==
	    0)
		tcp_reply_reset(ctx, in);
	return CNT_RX_DROP_TCP_NO_PORT;
}

/* The usual end of a handshake, an ACK alone: tcp_conn_accept() has done all that the numbered steps would do with it, but
 * for timestamps. Nothing is queued nor to be answered, so that what would be the first round of output follows at once.
 */
static ZF_ALWAYS_INLINE bool
accept_bare_ack(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	if ((in->flags & ~TCP_FLAG_PSH) != TCP_FLAG_ACK || in->len != 0 || (in->o.have & TCP_OPT_SACK) != 0 ||
	    !ctx->tcp->conf.fast_path || !ts->path.resolved || ts->path_gen != ctx->ip->env_gen)
		return false;
	if ((ts->flags & TF_TS) && seq_leq(in->seq, ts->last_ack_sent)) {
		ts->ts_recent = in->o.ts_val;
		ts->ts_recent_at = ctx->now;
	}
	tcp_arm_idle(ctx, ts);
	tcp_fast_reset(ctx, ts);
	return true;
}

/* @i: of in->key in the demux table, or TCP_NONE. */
static ZF_ALWAYS_INLINE enum counter
dispatch(struct zf_ctx *ctx, struct tcp_in *in, uint32_t i)
{
	struct tcp_room *r = ctx->tcp;
	struct zft *ts = NULL;
	bool again;

	if (zf_likely(i < r->max_zft)) {
		ts = &r->zfts[i];
		return ts->state == TCP_SYN_SENT ? tcp_input_syn_sent(ctx, ts, in) : tcp_input_conn(ctx, ts, in);
	}
	if (i == TCP_NONE)
		return input_unknown(ctx, in);
	i -= r->max_zft;
	if (i < r->max_tw) {
		tcp_tw_segment(ctx, i, in, &again);
		return again ? input_unknown(ctx, in) : CNT_RX_TCP;
	}
	tcp_syn_segment(ctx, i - r->max_tw, in, &ts);
	return ts != NULL && !accept_bare_ack(ctx, ts, in) ? tcp_input_conn(ctx, ts, in) : CNT_RX_TCP;
}

void
tcp_input(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s)
{
	struct tcp_in in;
	enum counter end;

	describe(&in, m, s->l3_off, s->l4_off, s->pay_off - s->l4_off, s->pay_len);
	/* RFC 9293 MUST-57: nothing that was sent to many. The parser has seen to the source. */
	if (s->cast != CAST_UNICAST || s->mac_cast != CAST_UNICAST)
		end = CNT_RX_DROP_TCP_BAD;
	else
		end = dispatch(ctx, &in, tcp_find(ctx, ctx->tcp, &in.key));
	ctx_count(ctx, end);
	if (in.m != NULL)
		pkt_put(ctx->pool, in.m);
}

void
tcp_input_plain(struct zf_ctx *ctx, struct rte_mbuf *m, uint32_t total, uint32_t index)
{
	const uint32_t l3_off = sizeof(struct hdr_eth), l4_off = l3_off + sizeof(struct hdr_ip4);
	uint32_t l4_len = total - (uint32_t)sizeof(struct hdr_ip4);
	uint32_t hdr_len = tcp_hdr_len(rte_pktmbuf_mtod_offset(m, const struct hdr_tcp *, l4_off));
	struct tcp_in in;

	ctx->now = ctx_read_clock(ctx);
	if (zf_unlikely(hdr_len < sizeof(struct hdr_tcp) || hdr_len > l4_len)) {
		ctx_count(ctx, CNT_RX_DROP_TCP_BAD);
		pkt_put(ctx->pool, m);
		return;
	}
	describe(&in, m, l3_off, l4_off, hdr_len, l4_len - hdr_len);
	ctx_count(ctx, dispatch(ctx, &in, index));
	if (in.m != NULL)
		pkt_put(ctx->pool, in.m);
}

static void
ack_now(struct zf_ctx *ctx, struct zft *ts)
{
	ts->flags |= TF_ACK_NOW;
	tcp_pend(ctx, ts);
}

/* The answer to what cannot be used. Where it carries nothing it is limited as a challenge ACK: two ends that disagree
 * about sequence numbers would otherwise answer each other's answers for ever.
 */
static void
ack_unacceptable(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	if (in->len == 0 && !(in->flags & TCP_FLAG_FIN))
		tcp_challenge_ack(ctx, ts);
	else
		ack_now(ctx, ts);
}

/* RFC 7323 5.3. True: the segment is old. */
static bool
paws_refuses(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	if (!(ts->flags & TF_TS) || (in->flags & TCP_FLAG_RST))
		return false;
	if (!(in->o.have & TCP_OPT_TS))
		return true; /* 3.2: silently */
	if ((int32_t)(in->o.ts_val - ts->ts_recent) >= 0 ||
	    tcp_paws_clock(ctx->now) - ts->ts_recent_at > tcp_paws_clock(PAWS_LIFE_S * ctx->hz))
		return false;
	ack_unacceptable(ctx, ts, in);
	return true;
}

/* Table 6 of RFC 9293. */
static bool
acceptable(const struct zft *ts, const struct tcp_in *in)
{
	uint32_t wnd = seq_sub(ts->rcv_adv, ts->rcv_nxt), span = in_span(in);
	uint32_t first = seq_sub(in->seq, ts->rcv_nxt);

	if (span == 0)
		return first < wnd || first == 0;
	if (wnd == 0)
		return false;
	return first < wnd || seq_sub(seq_add(in->seq, span - 1), ts->rcv_nxt) < wnd;
}

/* Received before: a D-SACK tells the sender (RFC 2883). */
static void
note_duplicate(struct zft *ts, const struct tcp_in *in)
{
	tcpseq_t end = seq_add(in->seq, in->len);

	if (!(ts->flags & TF_SACK) || in->len == 0 || !seq_lt(in->seq, ts->rcv_nxt) || seq_lt(end, in->seq))
		return;
	if (seq_sub(ts->rcv_nxt, in->seq) > TCP_SNDQ_BYTES)
		return;
	ts->dsack = (struct tcp_sack_block){in->seq, seq_min(end, ts->rcv_nxt)};
	ts->flags |= TF_DSACK;
}

/* First step. True: go on. */
static bool
check_sequence(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	if (acceptable(ts, in))
		return true;
	/* Both sides opened at once, and this is the other one's SYN-ACK: its ACK counts (figure 8). */
	if (ts->state == TCP_SYN_RECV && (in->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)) ==
						 (TCP_FLAG_SYN | TCP_FLAG_ACK) && seq_eq(in->seq, ts->irs)) {
		in->flags &= (uint8_t)~TCP_FLAG_SYN;
		in->seq = seq_add(in->seq, 1);
		return acceptable(ts, in);
	}
	if (in->flags & TCP_FLAG_RST)
		return false;
	if (seq_eq(in->seq, ts->rcv_nxt) && seq_eq(ts->rcv_adv, ts->rcv_nxt) && !(in->flags & TCP_FLAG_SYN)) {
		/* The window is closed: text is refused, the ACK is not. */
		in->len = 0;
		in->flags &= (uint8_t)~TCP_FLAG_FIN;
		ack_now(ctx, ts);
		return true;
	}
	note_duplicate(ts, in);
	ack_unacceptable(ctx, ts, in);
	return false;
}

/* Second step: RFC 9293, RFC 5961 3. The error an application sees is that of the guide. */
static enum counter
input_rst(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	int error;

	if (!seq_eq(in->seq, ts->rcv_nxt)) {
		tcp_challenge_ack(ctx, ts);
		return CNT_RX_DROP_TCP_RST;
	}
	switch (ts->state) {
	case TCP_SYN_RECV:
		error = ECONNREFUSED;
		break;
	case TCP_CLOSE_WAIT:
		error = EPIPE;
		break;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		/* More than our FIN is not acknowledged: it was refused. */
		error = seq_sub(ts->snd_end, ts->snd_una) > 1 ? EPIPE : 0;
		break;
	default:
		error = ECONNRESET;
		break;
	}
	tcp_end(ctx, ts, error);
	return CNT_RX_TCP;
}

/* Fifth step, as far as it decides whether the segment is used. */
static bool
check_ack(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	/* RFC 5961 5.2 */
	uint32_t from_floor = seq_sub(in->ack, seq_less(ts->snd_una, ts->max_snd_wnd));

	if (from_floor <= seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd)
		return true;
	tcp_challenge_ack(ctx, ts);
	return false;
}

static bool
synchronize(struct zf_ctx *ctx, struct zft *ts, const struct tcp_in *in)
{
	if (!seq_eq(in->ack, ts->snd_nxt)) {
		tcp_reply_reset(ctx, in);
		return false;
	}
	if (ts->retries == 0 && ts->last_rcvd != 0)
		tcp_rtt_sample(&ts->rtt, ctx->now - ts->last_rcvd, &ctx->tcp->conf.rtt);
	ts->snd_una = in->ack;
	ts->snd_wnd = (uint32_t)in->wnd << ts->snd_shift;
	ts->max_snd_wnd = ZF_MAX(ts->max_snd_wnd, ts->snd_wnd);
	ts->snd_wl1 = in->seq;
	ts->snd_wl2 = in->ack;
	tcp_established(ctx, ts);
	if (!(ts->flags & TF_APP)) /* freed meanwhile */
		(void)tcp_queue_fin(ctx, ts);
	return true;
}

/* The next segment of a synchronized connection without timestamps, whatever it carries: the steps up to the fourth have
 * nothing to say.
 */
static ZF_ALWAYS_INLINE bool
is_next(const struct zft *ts, const struct tcp_in *in)
{
	return (in->flags & (TCP_FLAG_RST | TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_ACK &&
	       seq_eq(in->seq, ts->rcv_nxt) && (ts->flags & TF_TS) == 0 && !seq_eq(ts->rcv_adv, ts->rcv_nxt) &&
	       ts->state != TCP_SYN_RECV;
}

/* Does a round of output follow? Not for what has ended, nor when our FIN was all there was and nothing is to be answered. */
static ZF_ALWAYS_INLINE bool
wants_output(const struct zft *ts)
{
	return (ts->flags & TF_HASHED) != 0 &&
	       (ts->state != TCP_FIN_WAIT2 || (ts->flags & TF_ACK_NOW) != 0 || ts->sq_head != TCP_NONE ||
		ts->due[TCP_DUE_RTX] != 0 || (ts->loss.flags & LF_PENDING) != 0);
}

enum counter
tcp_input_conn(struct zf_ctx *ctx, struct zft *ts, struct tcp_in *in)
{
	enum counter end;

	tcp_flush(ctx, ts);
	if (is_next(ts, in))
		goto fifth;
	if (paws_refuses(ctx, ts, in))
		return CNT_RX_DROP_TCP_PAWS;
	if (!check_sequence(ctx, ts, in))
		return CNT_RX_DROP_TCP_SEQ;
	if (in->flags & TCP_FLAG_RST)
		return input_rst(ctx, ts, in);
	/* Third step, security: there is none. Fourth: RFC 5961 4. */
	if (in->flags & TCP_FLAG_SYN) {
		tcp_challenge_ack(ctx, ts);
		return CNT_RX_DROP_TCP_RST;
	}
	if (!(in->flags & TCP_FLAG_ACK))
		return CNT_RX_DROP_TCP_ACK;
	if (ts->state == TCP_SYN_RECV && !synchronize(ctx, ts, in))
		return CNT_RX_DROP_TCP_ACK;
fifth:
	if (!check_ack(ctx, ts, in))
		return CNT_RX_DROP_TCP_ACK;
	ts->last_rcvd = ctx->now;
	ts->probes = 0;
	/* RFC 7323 4.3 (2): the one that the next ACK acknowledges first. */
	if ((ts->flags & TF_TS) && seq_leq(in->seq, ts->last_ack_sent)) {
		ts->ts_recent = in->o.ts_val;
		ts->ts_recent_at = tcp_paws_clock(ctx->now);
	}
	if (zf_unlikely(ts->soft_error != 0) && seq_lt(ts->snd_una, in->ack)) {
		ts->soft_error = 0; /* the network has recovered */
		tcp_fast_recv_update(ctx, ts);
	}
	if (!tcp_input_ack(ctx, ts, in))
		return CNT_RX_TCP;
	/* Sixth step, the URG bit: urgent data is data (RFC 6093). */
	end = tcp_input_data(ctx, ts, in);
	if (ts->state == TCP_CLOSE_WAIT && (in->flags & TCP_FLAG_FIN) != 0 && ts->sq_head == TCP_NONE)
		tcp_output(ctx, ts); /* nothing to wait for: what it is going to answer is the last */
	else if (wants_output(ts))
		tcp_pend(ctx, ts);
	return end;
}

bool
tcp_wants(struct zf_ctx *ctx, const struct seg *s)
{
	struct tcp_key k = {.lip = s->dst, .rip = s->src, .lport = s->dport, .rport = s->sport};

	return tcp_find(ctx, ctx->tcp, &k) != TCP_NONE || tcp_listener_find(ctx, s->dst, s->dport) != NULL;
}
