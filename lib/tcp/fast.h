/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cut-through: the frequent segment, in-order data on an established connection, goes straight into the zocket's queue,
 * and the application is told; what its acknowledgement means is owed to the next poll (tcp_run_owed). Inline for the
 * reactor.
 *
 * The predicate selects a subset of what input.c does with the same effect, no more: whatever that would refuse, answer
 * or treat in any other way fails a clause here.
 */
#ifndef ZF_TCP_FAST_H
#define ZF_TCP_FAST_H

#include <sys/epoll.h>

#include "tcp/conn.h"
#include "tcp/input.h"

/* With the timestamps that were agreed on: there, not old (PAWS). */
static ZF_ALWAYS_INLINE bool
tcp_cut_ts(struct zft *ts, const struct hdr_tcp *tcp, tcpseq_t seq)
{
	uint32_t val, ecr;

	if (!tcp_opts_is_plain_ts((const uint8_t *)(tcp + 1), 12, &val, &ecr) || (int32_t)(val - ts->ts_recent) < 0)
		return false;
	if (seq_leq(seq, ts->last_ack_sent))
		ts->ts_recent = val;
	return true;
}

/* @m: a frame that parse_fast() found to be whole, for us, TCP, with good checksums: TCP header at @l4_off, @l4_len bytes
 * of header and payload. True: taken over and counted. False: *@found is its index in the demux table, or TCP_NONE.
 */
static ZF_ALWAYS_INLINE bool
tcp_cut_through(struct zf_ctx *ctx, struct rte_mbuf *m, const struct tcp_key *k, uint32_t l4_off, uint32_t l4_len,
		uint32_t *found)
{
	const struct hdr_tcp *tcp = rte_pktmbuf_mtod_offset(m, const struct hdr_tcp *, l4_off);
	struct tcp_room *r = ctx->tcp;
	tcpseq_t seq, ack;
	struct pkt_meta *meta;
	uint32_t i, len, hdr_len;
	uint16_t head;
	struct zft *ts;

	*found = i = tcp_find(ctx, r, k);
	if (zf_unlikely(i >= r->max_zft)) /* nobody's, or no connection yet or any more */
		return false;
	ZF_ASSERT(i < r->max_zft);
	ts = &r->zfts[i];
	memcpy(&head, &tcp->data_off, sizeof(head));
	head &= (uint16_t)~be16_from(TCP_FLAG_PSH).raw;
	if (zf_unlikely(head != ts->fast_recv)) /* see tcp_fast_recv_update(); ACK and the agreed options alone */
		return false;
	hdr_len = (uint32_t)(tcp->data_off >> 4) * 4u;
	seq = seq_of(be32_host(tcp->seq));
	if (zf_unlikely(!seq_eq(seq, ts->rcv_nxt))) /* the next byte */
		return false;
	len = l4_len - hdr_len;
	/* Some text (a pure ACK wraps, and a header that was cut short), all of it inside the window. */
	if (zf_unlikely(len - 1 >= seq_sub(ts->rcv_adv, seq)))
		return false;
	/* RFC 5961 5.2: not older than the largest window, not beyond what was sent. */
	ack = seq_of(be32_host(tcp->ack));
	if (zf_unlikely(seq_sub(ack, seq_less(ts->snd_una, ts->max_snd_wnd)) >
			seq_sub(ts->snd_nxt, ts->snd_una) + ts->max_snd_wnd))
		return false;
	/* A record of an earlier one is owed: this one's acknowledgement takes its place if it is no older. */
	if (zf_unlikely((ts->flags & TF_OWED) && seq_lt(ack, ts->owed_ack)))
		return false;
	/* Buffers: within the stack's budget, and not so many that they should be shared. */
	if (zf_unlikely(ts->rxq_pkts >= TCP_COALESCE_FROM || ctx->rx_held >= ctx->rx_hold_max))
		return false;
	if (hdr_len != sizeof(*tcp) && zf_unlikely(!tcp_cut_ts(ts, tcp, seq)))
		return false;

	meta = pkt_meta(m);
	meta->next = NULL;
	meta->off = (uint16_t)(l4_off + hdr_len);
	meta->len = (uint16_t)len;
	if (ts->rxq_head == NULL)
		ts->rxq_head = m;
	else
		pkt_meta(ts->rxq_tail)->next = m;
	ts->rxq_tail = m;
	ts->rxq_pkts++;
	ts->rxq_bytes += len;
	ts->ack_bytes += len;
	ts->rcv_nxt = seq_add(seq, len);
	ts->owed_seq = seq;
	ts->owed_ack = ack;
	ts->owed_wnd = be16_host(tcp->wnd);
	if (len > ts->owed_max)
		ts->owed_max = (uint16_t)len;
	if (!(ts->flags & TF_OWED)) {
		ts->flags |= TF_OWED;
		ts->owed_next = r->owed_head;
		r->owed_head = i;
		ctx->owed |= CTX_OWED_TCP;
	}
	ctx->rx_held++;
	waitable_raise(ctx, &ts->w, EPOLLIN);
	ctx_count(ctx, CNT_RX_TCP);
	ctx_count(ctx, CNT_TCP_CUT_THROUGH);
	return true;
}

#endif
