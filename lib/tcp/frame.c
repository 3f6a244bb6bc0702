/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How a segment is made and given to the port: header from the template, checksum, the three ways of a payload (copied by
 * the port, sent in place, sent as a copy), and the burst that gathers frames until the end of a poll. What is to be
 * sent is output.c's business.
 */
#include <string.h>

#include "ip/csum.h"
#include "tcp/conn.h"
#include "tcp/frame.h"
#include "tcp/loss.h"
#include "tcp/prep.h"

void
tcp_path_refresh(struct zf_ctx *ctx, struct zft *ts)
{
	netif_path_refresh(ctx->netif, &ts->path);
	tcp_template(ctx, ts);
}

/* What depends on the options and on the path's MTU, in a template whose addresses are there. */
static void
template_rest(struct zf_ctx *ctx, struct zft *ts)
{
	uint16_t opts = ts->flags & TF_TS ? 12 : 0;
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(ts->hdr + ts->l3_off);
	struct hdr_tcp *tcp = (struct hdr_tcp *)(ip + 1);
	uint32_t ip_mtu, mss;

	if ((ts->flags & TF_ECN) && !(ip->tos & IP4_ECN_ECT0)) {
		ts->ip_sum = csum_fold((uint64_t)ts->ip_sum + be16_from(IP4_ECN_ECT0).raw);
		ip->tos |= IP4_ECN_ECT0;
	}
	tcp->data_off = (uint8_t)((sizeof(*tcp) + opts) / 4 << 4);
	if (opts != 0)
		(void)tcp_opts_put_ts((uint8_t *)(tcp + 1), 0, 0);
	ts->hdr_len = (uint8_t)(ts->l3_off + TCP_IP_BYTES + opts);
	ip_mtu = ts->path.mtu != 0 ? ts->path.mtu : ctx->netif->mtu;
	mss = ZF_MIN((uint32_t)ts->peer_mss, ip_mtu - TCP_IP_BYTES) - opts;
	if (mss < ts->mss && ts->sq_head != TCP_NONE) {
		ts->mss = (uint16_t)mss;
		tcp_loss_mtu(ctx, ts);
		tcp_fast_recv_update(ctx, ts);
	}
	ts->mss = (uint16_t)mss;
}

static bool
sums_in_port(const struct zf_ctx *ctx)
{
	const uint32_t both = PORT_CSUM_TX_IP | PORT_CSUM_TX_TCP;

	return (ctx->caps & both) == both;
}

void
tcp_template(struct zf_ctx *ctx, struct zft *ts)
{
	struct hdr_ip4 *ip;
	struct hdr_tcp *tcp;

	ts->l3_off = (uint8_t)output_eth_header(ctx->netif, ts->hdr, &ts->path.mac, ETH_TYPE_IPV4);
	ip = (struct hdr_ip4 *)(ts->hdr + ts->l3_off);
	tcp = (struct hdr_tcp *)(ip + 1);
	*ip = (struct hdr_ip4){
		.ver_ihl = IP4_VER_IHL,
		.tos = ctx->tcp->conf.tos,
		.frag = BE16_C(IP4_FLAG_DF),
		.ttl = TCP_TTL,
		.proto = IP_PROTO_TCP,
		.src = ts->key.lip,
		.dst = ts->key.rip,
	};
	ts->ip_sum = csum_fold(csum_ip4_hdr(ip, 5));
	*tcp = (struct hdr_tcp){.src = ts->key.lport, .dst = ts->key.rport};
	if (ctx->caps & (PORT_CSUM_NONE | PORT_CSUM_TX_ALL)) {
		ts->sum_mode = TCP_SUM_NONE;
	} else {
		ts->sum_mode = sums_in_port(ctx) ? TCP_SUM_OFFLOAD : TCP_SUM_SOFT;
		ts->l4_sum = csum_fold(csum_pseudo(ts->key.lip, ts->key.rip, IP_PROTO_TCP, 0));
	}
	ts->path_gen = ctx->ip->env_gen;
	template_rest(ctx, ts);
}

void
tcp_template_options(struct zf_ctx *ctx, struct zft *ts)
{
	if (ts->path_gen == ctx->ip->env_gen)
		template_rest(ctx, ts);
	else
		tcp_template(ctx, ts);
}

/* The template with everything that changes, at @p, which has room for all of hdr; @opts more bytes of options are the caller's. */
static struct hdr_tcp *
put_header(struct zf_ctx *ctx, struct zft *ts, uint8_t *p, const struct tcp_frame *f, uint32_t opts, uint32_t len)
{
	struct hdr_ip4 *ip = (struct hdr_ip4 *)(p + ts->l3_off);
	struct hdr_tcp *tcp = (struct hdr_tcp *)(ip + 1);

	/* All of it: a length that the compiler knows is worth more than a few bytes. */
	memcpy(p, ts->hdr, sizeof(ts->hdr));
	ip->total_len = be16_from((uint16_t)(ts->hdr_len - ts->l3_off + opts + len));
	if (zf_unlikely(!f->ect && (ip->tos & IP4_ECN_MASK) != 0)) {
		ip->tos &= (uint8_t)~IP4_ECN_MASK;
		ip->csum = BE16_C(0); /* the template's is that of the last fast send */
		if (ts->sum_mode != TCP_SUM_OFFLOAD)
			ip->csum = csum_finish(csum_ip4_hdr(ip, 5));
	} else if (ts->sum_mode != TCP_SUM_OFFLOAD) {
		ip->csum = tcp_ip_csum(ts, ip->total_len);
	}
	tcp->seq = be32_from(f->seq.n);
	if (f->flags & TCP_FLAG_ACK) {
		tcp->ack = be32_from(ts->rcv_nxt.n);
		tcp->wnd = be16_from(tcp_window_field(ctx, ts));
	}
	tcp->flags = f->flags;
	tcp->data_off = (uint8_t)(tcp->data_off + (opts / 4 << 4));
	if (ts->flags & TF_TS) {
		(void)tcp_opts_put_ts((uint8_t *)(tcp + 1), tcp_ts_now(ctx, ts->ts_offset), ts->ts_recent);
		tcp_prep_stamped(ctx, ts);
	}
	return tcp;
}

/* Checksums of the segment whose IP header is at @l3_off of @m; all of it lies in @m. */
static void
sum_frame(struct rte_mbuf *m, uint32_t l3_off, uint8_t mode, uint64_t pseudo)
{
	struct hdr_tcp *tcp = rte_pktmbuf_mtod_offset(m, struct hdr_tcp *, l3_off + sizeof(struct hdr_ip4));
	uint32_t l4_len = m->data_len - l3_off - (uint32_t)sizeof(struct hdr_ip4);
	uint64_t sum = pseudo + be16_from((uint16_t)l4_len).raw;

	tcp->csum = BE16_C(0);
	if (mode == TCP_SUM_OFFLOAD) {
		m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
		m->l2_len = l3_off;
		m->l3_len = sizeof(struct hdr_ip4);
		m->l4_len = tcp_hdr_len(tcp);
		tcp->csum.raw = csum_fold(sum);
	} else if (mode == TCP_SUM_SOFT) {
		tcp->csum = csum_finish(csum_partial(tcp, l4_len, sum));
	}
}

/* A new buffer with @hdr and @len bytes of payload, or NULL and counted. */
static struct rte_mbuf *
copy_frame(struct zf_ctx *ctx, const uint8_t *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	struct rte_mbuf *m = pkt_take(ctx->pool);

	if (m == NULL) {
		ctx_count(ctx, CNT_TX_DROP_NOMEM);
		return NULL;
	}
	pkt_reset(m, hdr_len + len);
	memcpy(rte_pktmbuf_mtod(m, void *), hdr, hdr_len);
	if (len > 0)
		memcpy(rte_pktmbuf_mtod_offset(m, void *, hdr_len), payload, len);
	return m;
}

static void
out_add(struct zf_ctx *ctx, struct rte_mbuf *m, uint32_t zft, uint32_t seg)
{
	struct tcp_room *r = ctx->tcp;

	if (r->n_out == TCP_OUT_BURST)
		(void)tcp_out_flush(ctx);
	r->burst[r->n_out] = m;
	r->out[r->n_out] = (struct tcp_out){.zft = zft, .seg = seg};
	if (seg != TCP_NONE)
		r->out[r->n_out].seq = sq_seg(r, seg)->seq;
	r->n_out++;
	ctx->owed |= CTX_OWED_TCP_OUT;
	ctx->unsent = 1;
}

static void
hold(struct zf_ctx *ctx, struct zft *ts, struct rte_mbuf *m)
{
	(void)netif_path_want(ctx->netif, &ts->path, ctx->now);
	output_hold(ctx, &ts->path, &m, 1);
	output_netif_run(ctx);
}

static bool
may_copy(const struct zf_ctx *ctx, const struct zft *ts, uint32_t len)
{
	return ctx->tx_copy != NULL && ts->sum_mode == TCP_SUM_NONE && ts->path.resolved && len <= ctx->tx_copy_max;
}

/* By the port's own copy: at once, so behind all that was gathered. */
static bool
send_copy(struct zf_ctx *ctx, const uint8_t *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	(void)tcp_out_flush(ctx);
	if (!output_backlog(ctx) || ctx->tx_copy(ctx->txq, hdr, hdr_len, payload, len) == 0)
		return false;
	ctx_count(ctx, CNT_TX_TCP);
	return true;
}

/* A header alone. Ports expect two pieces: its last bytes are the other one. */
static bool
send_copy_hdr(struct zf_ctx *ctx, const uint8_t *hdr, uint32_t hdr_len)
{
	return send_copy(ctx, hdr, hdr_len - 16, hdr + hdr_len - 16, 16);
}

bool
tcp_frame_bare(struct zf_ctx *ctx, struct zft *ts, uint8_t flags)
{
	ZF_ASSERT(tcp_may_go_bare(ctx, ts));
	tcp_header_here(ctx, ts, 0, flags);
	return send_copy_hdr(ctx, ts->hdr, ts->hdr_len);
}

bool
tcp_frame_ctl(struct zf_ctx *ctx, struct zft *ts, const struct tcp_frame *f, const uint8_t *opts, uint32_t opts_len)
{
	uint8_t hdr[sizeof(ts->hdr) + 40];
	struct hdr_tcp *tcp = put_header(ctx, ts, hdr, f, opts_len, 0);
	uint32_t hdr_len = ts->hdr_len + opts_len;
	struct rte_mbuf *m;

	if (f->wnd >= 0)
		tcp->wnd = be16_from((uint16_t)f->wnd);
	if (opts_len > 0)
		memcpy(hdr + ts->hdr_len, opts, opts_len);
	if (f->bare_opts && (ts->flags & TF_TS)) { /* a SYN has its own timestamps among @opts */
		uint32_t at = ts->l3_off + TCP_IP_BYTES;

		memmove(hdr + at, hdr + ts->hdr_len, opts_len);
		hdr_len = at + opts_len;
		tcp->data_off = (uint8_t)((sizeof(*tcp) + opts_len) / 4 << 4);
		((struct hdr_ip4 *)(hdr + ts->l3_off))->total_len = be16_from((uint16_t)(hdr_len - ts->l3_off));
		((struct hdr_ip4 *)(hdr + ts->l3_off))->csum = BE16_C(0);
		if (ts->sum_mode != TCP_SUM_OFFLOAD)
			((struct hdr_ip4 *)(hdr + ts->l3_off))->csum =
				csum_finish(csum_ip4_hdr(hdr + ts->l3_off, 5));
	}
	if (may_copy(ctx, ts, hdr_len))
		return send_copy_hdr(ctx, hdr, hdr_len);
	m = copy_frame(ctx, hdr, hdr_len, NULL, 0);
	if (m == NULL)
		return false;
	sum_frame(m, ts->l3_off, ts->sum_mode, ts->l4_sum);
	if (ts->path.resolved)
		out_add(ctx, m, f->owner ? ts->index : TCP_NONE, TCP_NONE);
	else
		hold(ctx, ts, m);
	return true;
}

/* May the buffer itself be given to the port, the queue keeping its reference? */
static bool
may_lend(const struct zf_ctx *ctx, const struct tcp_txseg *g)
{
	return (ctx->caps & PORT_TX_REF_OK) != 0 && (ctx->caps & PORT_TX_PASSES_MBUF) == 0 &&
	       (g->flags & TXSEG_SHARED) == 0 && rte_mbuf_refcnt_read(g->m) == 1;
}

/* @hdr and the payload of @g in one buffer: its own, with a second reference, or a copy. */
static struct rte_mbuf *
frame_run(struct zf_ctx *ctx, struct zft *ts, const uint8_t *hdr, struct tcp_txseg *g)
{
	struct rte_mbuf *m = g->m;

	if (m == NULL || !ts->path.resolved || !may_lend(ctx, g))
		return copy_frame(ctx, hdr, ts->hdr_len, m != NULL ? (uint8_t *)m->buf_addr + g->off : NULL, g->len);
	/* The driver let go of it, or never had it: the room before the payload is ours. */
	m->data_off = (uint16_t)(g->off - ts->hdr_len);
	m->data_len = (uint16_t)(ts->hdr_len + g->len);
	m->pkt_len = m->data_len;
	m->ol_flags = 0;
	memcpy(rte_pktmbuf_mtod(m, void *), hdr, ts->hdr_len);
	rte_mbuf_refcnt_set(m, 2);
	return m;
}

bool
tcp_frame_data(struct zf_ctx *ctx, struct zft *ts, const struct tcp_frame *f, uint32_t i)
{
	struct tcp_txseg *g = sq_seg(ctx->tcp, i);
	const uint8_t *payload = g->m != NULL ? (const uint8_t *)g->m->buf_addr + g->off : NULL;
	uint8_t hdr[sizeof(ts->hdr)];
	struct rte_mbuf *m;

	(void)put_header(ctx, ts, hdr, f, 0, g->len);
	if (may_copy(ctx, ts, ts->hdr_len + (uint32_t)g->len))
		return payload != NULL ? send_copy(ctx, hdr, ts->hdr_len, payload, g->len)
				       : send_copy_hdr(ctx, hdr, ts->hdr_len);
	m = frame_run(ctx, ts, hdr, g);
	if (m == NULL)
		return false;
	sum_frame(m, ts->l3_off, ts->sum_mode, ts->l4_sum);
	if (ts->path.resolved)
		out_add(ctx, m, ts->index, i);
	else
		hold(ctx, ts, m);
	return true;
}

bool
tcp_frame_now(struct zf_ctx *ctx, struct zft *ts, const uint8_t *hdr, struct tcp_txseg *g)
{
	struct rte_mbuf *m = frame_run(ctx, ts, hdr, g);

	if (m == NULL)
		return false;
	sum_frame(m, ts->l3_off, ts->sum_mode, ts->l4_sum);
	if (ctx->tx(ctx->txq, &m, 1) == 1)
		return true;
	pkt_put(ctx->pool, m);
	return false;
}

bool
tcp_frame_may_copy(const struct zf_ctx *ctx, const struct zft *ts, uint32_t len)
{
	return may_copy(ctx, ts, len);
}

void
tcp_frame_prepare(struct zf_ctx *ctx, struct zft *ts, struct tcp_txseg *g, tcpseq_t *edge)
{
	struct tcp_frame f = {.seq = g->seq, .flags = TCP_FLAG_ACK, .wnd = -1, .ect = true};
	uint8_t hdr[sizeof(ts->hdr)];
	tcpseq_t adv = ts->rcv_adv, due = ts->alt_due;
	struct rte_mbuf *m = g->m;
	const struct hdr_tcp *tcp;

	if (g->flags & TXSEG_PSH)
		f.flags |= TCP_FLAG_PSH;
	tcp = put_header(ctx, ts, hdr, &f, 0, g->len);
	ts->rcv_adv = adv;
	ts->alt_due = due;
	*edge = seq_add(ts->rcv_nxt, (uint32_t)be16_host(tcp->wnd) << ts->rcv_shift);
	m->data_off = (uint16_t)(g->off - ts->hdr_len);
	m->data_len = (uint16_t)(ts->hdr_len + g->len);
	m->pkt_len = m->data_len;
	m->ol_flags = 0;
	memcpy(rte_pktmbuf_mtod(m, void *), hdr, ts->hdr_len);
	sum_frame(m, ts->l3_off, ts->sum_mode, ts->l4_sum);
}

/* Is the run still there? A frame waits until the end of the poll, and an ACK may have come meanwhile. */
static bool
still_queued(const struct tcp_room *r, const struct zft *ts, const struct tcp_out *o)
{
	for (uint32_t i = ts->sq_head; i != ts->sq_unsent; i = sq_seg(r, i)->next)
		if (i == o->seg)
			return seq_eq(sq_seg(r, i)->seq, o->seq);
	return false;
}

/* The port was full: as if it had never been tried. Called from the last frame to the first. */
static void
take_back(struct zf_ctx *ctx, const struct tcp_out *o)
{
	struct tcp_room *r = ctx->tcp;
	struct zft *ts;

	if (o->zft == TCP_NONE) {
		ctx_count(ctx, CNT_TX_DROP_FULL);
		return;
	}
	ts = &r->zfts[o->zft];
	if (!(ts->flags & TF_HASHED)) /* ended in the same poll */
		return;
	if (o->seg != TCP_NONE && !still_queued(r, ts, o))
		return;
	if (o->seg == TCP_NONE) {
		ts->flags |= TF_ACK_NOW;
	} else {
		struct tcp_txseg *g = sq_seg(r, o->seg);
		bool was_new = g->n_sent == 1 && seq_eq(sq_end(g), ts->snd_nxt);

		tcp_loss_taken_back(ctx, ts, o->seg, was_new);
		if (was_new) {
			ts->snd_nxt = g->seq;
			ts->sq_unsent = o->seg;
		}
	}
	ts->fast_send_bytes = 0;
	tcp_pend(ctx, ts);
}

bool
tcp_out_flush_some(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t n = r->n_out, sent = 0;

	r->n_out = 0;
	for (uint32_t k = output_backlog(ctx) ? n : 0; k > 0 && sent < n; sent += k)
		k = ctx->tx(ctx->txq, r->burst + sent, (uint16_t)(n - sent));
	ctx->counters[CNT_TX_TCP] += sent;
	for (uint32_t i = n; i > sent; i--) {
		pkt_put(ctx->pool, r->burst[i - 1]);
		take_back(ctx, &r->out[i - 1]);
	}
	return sent == n;
}

bool
tcp_reply_send(struct zf_ctx *ctx, const struct tcp_reply *rp)
{
	uint32_t l4_len = (uint32_t)sizeof(struct hdr_tcp) + rp->opts_len;
	uint32_t l3_len = (uint32_t)sizeof(struct hdr_ip4) + l4_len;
	struct rte_mbuf *m;
	struct hdr_ip4 *ip;
	struct hdr_tcp *tcp;
	void *l3;

	m = output_frame(ctx, &rp->mac, ETH_TYPE_IPV4, l3_len, &l3);
	if (m == NULL)
		return false;
	ip = l3;
	tcp = (struct hdr_tcp *)(ip + 1);
	output_ip_header(ip, rp->key.lip, rp->key.rip, IP_PROTO_TCP, TCP_TTL, ctx->tcp->conf.tos, (uint16_t)l3_len, 0,
			 IP4_FLAG_DF);
	*tcp = (struct hdr_tcp){
		.src = rp->key.lport,
		.dst = rp->key.rport,
		.seq = be32_from(rp->seq.n),
		.ack = be32_from(rp->ack.n),
		.data_off = (uint8_t)(l4_len / 4 << 4),
		.flags = rp->flags,
		.wnd = be16_from(rp->wnd),
	};
	memcpy(tcp + 1, rp->opts, rp->opts_len);
	if (!(ctx->caps & (PORT_CSUM_NONE | PORT_CSUM_TX_ALL)))
		tcp->csum = csum_finish(csum_partial(tcp, l4_len,
						     csum_pseudo(ip->src, ip->dst, IP_PROTO_TCP, (uint16_t)l4_len)));
	out_add(ctx, m, TCP_NONE, TCP_NONE);
	return true;
}

void
tcp_reply_reset(struct zf_ctx *ctx, const struct tcp_in *in)
{
	struct tcp_reply rp = {.key = in->key, .mac = in->mac};

	if (in->flags & TCP_FLAG_RST)
		return;
	if (!output_limit_take(ctx, &ctx->tcp->rst_limit)) {
		ctx_count(ctx, CNT_TCP_RST_LIMIT);
		return;
	}
	if (in->flags & TCP_FLAG_ACK) {
		rp.seq = in->ack;
		rp.flags = TCP_FLAG_RST;
	} else {
		rp.ack = seq_add(in->seq, in_span(in));
		rp.flags = TCP_FLAG_RST | TCP_FLAG_ACK;
	}
	if (tcp_reply_send(ctx, &rp))
		ctx_count(ctx, CNT_TCP_RST_SENT);
}
