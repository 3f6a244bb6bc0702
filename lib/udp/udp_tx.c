/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sending. The fast send is one predicate, a header patched for its length, and one call of the driver. Everything
 * else (unresolved neighbour, fragments, several buffers, a full port) is in the slow one, which the fast one is a
 * subset of. Allocation is in udp_tx_alloc.c.
 */
#include <stdlib.h>

#include "ip/csum.h"
#include "ip/output.h"
#include "udp/udp_int.h"

#define UDP_IP_BYTES (sizeof(struct hdr_ip4) + sizeof(struct hdr_udp))

static ZF_ALWAYS_INLINE struct hdr_ip4 *
tmpl_ip(struct zfut *us)
{
	return (struct hdr_ip4 *)(us->hdr + us->hdr_len - UDP_IP_BYTES);
}

static ZF_ALWAYS_INLINE struct hdr_udp *
tmpl_udp(struct zfut *us)
{
	return (struct hdr_udp *)(us->hdr + us->hdr_len - sizeof(struct hdr_udp));
}

/* Make the template that of a datagram of @len bytes in one frame. A datagram that may be fragmented on its way needs
 * an id of its own (RFC 6864); an atomic one does not, so that equal lengths need no work at all.
 */
static ZF_ALWAYS_INLINE void
tmpl_set(struct zf_ctx *ctx, struct zfut *us, uint32_t len, bool df)
{
	struct hdr_ip4 *ip = tmpl_ip(us);
	struct hdr_udp *udp = tmpl_udp(us);

	if (df && us->last_len == len && us->last_df)
		return;
	ip->total_len = be16_from((uint16_t)(len + UDP_IP_BYTES));
	ip->id = df ? BE16_C(0) : be16_from(output_next_id(ctx));
	ip->frag = df ? BE16_C(IP4_FLAG_DF) : BE16_C(0);
	udp->len = be16_from((uint16_t)(len + sizeof(*udp)));
	if (us->sum_mode != UDP_SUM_OFFLOAD)
		ip->csum = csum_finish((uint64_t)us->ip_sum + ip->total_len.raw + ip->id.raw + ip->frag.raw);
	us->last_len = len;
	us->last_df = df;
}

/* Checksum field for the payload that follows the template in @m; the length is set. */
static ZF_ALWAYS_INLINE void
sum_frame(struct zfut *us, struct rte_mbuf *m, uint32_t len)
{
	struct hdr_udp *udp = rte_pktmbuf_mtod_offset(m, struct hdr_udp *, us->hdr_len - sizeof(*udp));
	uint64_t pseudo = us->l4_sum + be16_from((uint16_t)(len + sizeof(*udp))).raw;

	if (us->sum_mode == UDP_SUM_OFFLOAD) {
		/* The port wants the pseudo header's sum, not inverted, in the field. */
		m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;
		m->l2_len = us->hdr_len - UDP_IP_BYTES;
		m->l3_len = sizeof(struct hdr_ip4);
		m->l4_len = sizeof(struct hdr_udp);
		udp->csum.raw = csum_fold(csum_pseudo(us->path.src, us->path.dst, IP_PROTO_UDP,
						      (uint16_t)(len + sizeof(*udp))));
		return;
	}
	/* Ports and length count twice in l4_sum + pseudo header, as RFC 768 wants. */
	udp->csum = csum_finish_udp(csum_partial(udp + 1, len, pseudo + udp->len.raw));
}

static ZF_COLD int
send_full(struct zf_ctx *ctx, struct zfut *us)
{
	if (ctx->warming)
		return -EAGAIN;
	ctx->owed |= CTX_OWED_TX_RETRY;
	mux_want(ctx, &us->w, WAITABLE_WANT_TX);
	ctx_publish(ctx);
	ctx_count(ctx, CNT_TX_EAGAIN);
	return -EAGAIN;
}

static ZF_COLD int
send_nobufs(struct zf_ctx *ctx, struct zfut *us)
{
	ctx->owed |= CTX_OWED_BUF_RETRY;
	mux_want(ctx, &us->w, WAITABLE_WANT_BUF);
	ctx_publish(ctx);
	ctx_count(ctx, CNT_TX_NOBUFS);
	return -ENOBUFS;
}

static ZF_ALWAYS_INLINE int
send_fast(struct zf_ctx *ctx, struct zfut *us, const void *buf, uint32_t len, bool df)
{
	struct rte_mbuf *m;
	uint32_t sent;

	tmpl_set(ctx, us, len, df);
	if (zf_likely(ctx->tx_copy != NULL && us->sum_mode == UDP_SUM_NONE)) {
		sent = ctx->tx_copy(ctx->txq, us->hdr, us->hdr_len, buf, len);
	} else {
		m = pkt_take(ctx->pool);
		if (zf_unlikely(m == NULL)) {
			ctx_leave(ctx);
			return send_nobufs(ctx, us);
		}
		pkt_reset(m, us->hdr_len + len);
		memcpy(rte_pktmbuf_mtod(m, void *), us->hdr, sizeof(us->hdr));
		memcpy(rte_pktmbuf_mtod_offset(m, void *, us->hdr_len), buf, len);
		if (us->sum_mode != UDP_SUM_NONE)
			sum_frame(us, m, len);
		sent = ctx->tx(ctx->txq, &m, 1);
		if (zf_unlikely(sent == 0))
			pkt_put(ctx->pool, m);
	}
	ctx_leave(ctx);
	if (zf_unlikely(sent == 0))
		return send_full(ctx, us);
	us->tx_dgrams++;
	ctx_count(ctx, CNT_TX_UDP);
	return (int)len;
}

/* One clause a line:
 *   not empty, short enough for one frame of this port, and the path is resolved (fast_bytes is 0 otherwise)
 *   nothing changed on the path since the header was made, and nothing waits to be sent before us (path_gen)
 *   nothing happened to the port that must be acted on before it is used
 */
static ZF_ALWAYS_INLINE bool
send_is_fast(const struct zf_ctx *ctx, const struct zfut *us, size_t len)
{
	return len - 1 < us->fast_bytes && us->path_gen == ctx->path_gen && !ctx_has_events(ctx);
}

void
udp_tx_refresh(struct zfut *us)
{
	struct zf_ctx *ctx = zfut_ctx(us);
	struct hdr_ip4 *ip;
	struct hdr_udp *udp;
	uint32_t copy_max = us->mss;

	netif_path_refresh(ctx->netif, &us->path);
	memset(us->hdr, 0, sizeof(us->hdr));
	us->hdr_len = (uint16_t)(output_eth_header(ctx->netif, us->hdr, &us->path.mac, ETH_TYPE_IPV4) +
				 UDP_IP_BYTES);
	ip = tmpl_ip(us);
	udp = tmpl_udp(us);
	output_ip_header(ip, us->path.src, us->path.dst, IP_PROTO_UDP, us->ttl, us->tos, 0, 0, 0);
	ip->csum = BE16_C(0);
	us->ip_sum = csum_fold(csum_ip4_hdr(ip, 5));
	udp->src = us->sport;
	udp->dst = us->dport;
	us->l4_sum = csum_fold(csum_pseudo(us->path.src, us->path.dst, IP_PROTO_UDP, 0) + us->sport.raw +
			       us->dport.raw);
	us->last_len = UINT32_MAX;
	if (ctx->caps & (PORT_CSUM_NONE | PORT_CSUM_TX_ALL))
		us->sum_mode = UDP_SUM_NONE;
	else if ((ctx->caps & (PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP)) == (PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP))
		us->sum_mode = UDP_SUM_OFFLOAD;
	else
		us->sum_mode = UDP_SUM_SOFT;
	/* A lowered path MTU sends larger datagrams the slow way, in fragments. */
	copy_max = ZF_MIN(copy_max, us->path.mtu - (uint32_t)UDP_IP_BYTES);
	if (us->sum_mode == UDP_SUM_NONE && ctx->tx_copy != NULL)
		copy_max = ZF_MIN(copy_max, ctx->tx_copy_max - us->hdr_len);
	us->fast_bytes = us->path.resolved ? copy_max : 0;
	us->path_gen = ctx->ip->env_gen;
}

/* The whole UDP checksum by software, for datagrams that leave in fragments. */
static void
sum_soft(const struct zf_ctx *ctx, struct zfut *us, struct hdr_udp *udp, const struct iovec *iov, int iov_cnt)
{
	uint64_t sum = us->l4_sum + 2u * (uint64_t)udp->len.raw;
	size_t at = 0;

	udp->csum = BE16_C(0);
	if (ctx->caps & PORT_CSUM_NONE)
		return;
	for (int i = 0; i < iov_cnt; i++) {
		uint64_t piece = csum_partial(iov[i].iov_base, iov[i].iov_len, 0);

		sum += at & 1 ? csum_shift(piece) : csum_fold(piece);
		at += iov[i].iov_len;
	}
	udp->csum = csum_finish_udp(sum);
}

/* Any datagram: frames are built in full, with all checksums, and sent or held together. */
static ZF_NOINLINE int
send_frames(struct zf_ctx *ctx, struct zfut *us, const struct iovec *iov, int iov_cnt, uint32_t len, bool df)
{
	struct rte_mbuf *out[OUTPUT_FRAGS_MAX];
	struct iovec parts[1 + UDP_IOV_MAX];
	struct hdr_udp udp = *tmpl_udp(us);
	uint32_t mtu = df ? ctx->netif->mtu : us->path.mtu;
	uint16_t id = df ? 0 : output_next_id(ctx);
	int n;

	udp.len = be16_from((uint16_t)(len + sizeof(udp)));
	sum_soft(ctx, us, &udp, iov, iov_cnt);
	parts[0] = (struct iovec){&udp, sizeof(udp)};
	if (iov_cnt > 0)
		memcpy(parts + 1, iov, sizeof(*iov) * (size_t)iov_cnt);
	n = output_fragments(ctx, us->hdr, (uint32_t)(us->hdr_len - sizeof(udp)), parts, 1 + iov_cnt,
			     len + (uint32_t)sizeof(udp), mtu, id, out);
	if (n < 0)
		return n == -EMSGSIZE ? n : send_nobufs(ctx, us);
	if (df) {
		struct hdr_ip4 *ip = rte_pktmbuf_mtod_offset(out[0], struct hdr_ip4 *,
							     us->hdr_len - UDP_IP_BYTES);

		output_ip_header(ip, ip->src, ip->dst, ip->proto, ip->ttl, ip->tos,
				 be16_host(ip->total_len), 0, IP4_FLAG_DF);
	}
	if (!us->path.resolved) {
		(void)netif_path_want(ctx->netif, &us->path, ctx->now);
		output_hold(ctx, &us->path, out, (uint32_t)n);
		output_netif_run(ctx);
		output_flush(ctx);
	} else if (!output_burst(ctx, out, (uint32_t)n)) {
		for (int i = 0; i < n; i++)
			pkt_put(ctx->pool, out[i]);
		return send_full(ctx, us);
	}
	us->tx_dgrams++;
	ctx_count(ctx, CNT_TX_UDP);
	if (n > 1)
		ctx->counters[CNT_TX_UDP_FRAGMENTS] += (uint32_t)n;
	return (int)len;
}

/* What the fast send refused. The caller has entered. */
static ZF_NOINLINE int
send_slow(struct zf_ctx *ctx, struct zfut *us, const struct iovec *iov, int iov_cnt, size_t len, bool df)
{
	int rc;

	/* Another thread may have changed what zfut_send_single_warm() saw: events that are taken here give the ports back. */
	if (zf_unlikely(ctx->warming)) {
		ctx_leave(ctx);
		return -EAGAIN;
	}
	if ((df && len > us->mss) || len > UDP_PAYLOAD_MAX) {
		ctx_leave(ctx);
		return -EMSGSIZE;
	}
	ctx->now = ctx_read_clock(ctx);
	if (ctx_has_events(ctx))
		ctx->take_events(ctx);
	if (netif_gen(ctx->netif) != ctx->ip->env_gen)
		ip_room_refresh(ctx);
	if (us->path_gen != ctx->ip->env_gen)
		udp_tx_refresh(us);
	if (!output_backlog(ctx))
		rc = send_full(ctx, us);
	else
		rc = send_frames(ctx, us, iov, iov_cnt, (uint32_t)len, df);
	ctx_publish(ctx);
	ctx_leave(ctx);
	return rc;
}

ZF_EXPORT int
zfut_send_single(struct zfut *us, const void *buf, size_t buflen)
{
	struct zf_ctx *ctx = zfut_ctx(us);
	struct iovec iov = {(void *)(uintptr_t)buf, buflen};

	ctx_enter(ctx);
	if (zf_likely(send_is_fast(ctx, us, buflen)))
		return send_fast(ctx, us, buf, (uint32_t)buflen, true);
	return send_slow(ctx, us, &iov, 1, buflen, true);
}

/* A send for practice. The header is made for its length, which the next real one of this length finds done. */
ZF_EXPORT int
zfut_send_single_warm(struct zfut *us, const void *buf, size_t buflen)
{
	struct zf_ctx *ctx = zfut_ctx(us);
	struct ctx_warm was;
	bool fast;

	if (buflen > us->mss)
		return -EMSGSIZE;
	if (buflen == 0)
		return 0; /* goes the slow way always */
	if (us->path_gen != ctx->ip->env_gen)
		udp_tx_refresh(us);
	ctx_enter(ctx); /* tx_room() belongs to the port, too */
	fast = send_is_fast(ctx, us, buflen) && (ctx->tx_room == NULL || ctx->tx_room(ctx->txq) > 0);
	ctx_leave(ctx);
	if (!fast)
		return -EAGAIN;
	if (!(ctx->tx_copy != NULL && us->sum_mode == UDP_SUM_NONE) && pool_free_count(ctx->pool) == 0)
		return -ENOBUFS;
	ctx_warm_begin(ctx, &was);
	(void)zfut_send_single(us, buf, buflen);
	ctx_warm_end(ctx, &was);
	return (int)buflen;
}

/* More buffers than UDP_IOV_MAX: the tail is joined in one piece of memory, which only a caller that does so pays. */
static ZF_NOINLINE int
send_many_iov(struct zf_ctx *ctx, struct zfut *us, const struct iovec *iov, int iov_cnt, size_t len, bool df)
{
	struct iovec all = {malloc(len > 0 ? len : 1), len};
	size_t off = 0;
	int rc;

	if (all.iov_base == NULL)
		return send_nobufs(ctx, us);
	for (int i = 0; i < iov_cnt; i++) {
		if (iov[i].iov_len > 0)
			memcpy((char *)all.iov_base + off, iov[i].iov_base, iov[i].iov_len);
		off += iov[i].iov_len;
	}
	ctx_enter(ctx);
	rc = send_slow(ctx, us, &all, 1, len, df);
	free(all.iov_base);
	return rc;
}

ZF_EXPORT int
zfut_send(struct zfut *us, const struct iovec *iov, int iov_cnt, int flags)
{
	struct zf_ctx *ctx = zfut_ctx(us);
	bool df = (flags & ZFUT_FLAG_DONT_FRAGMENT) != 0;
	size_t len = 0;

	if (zf_likely(iov_cnt == 1 && (flags & ~ZFUT_FLAG_DONT_FRAGMENT) == 0)) {
		ctx_enter(ctx);
		if (zf_likely(send_is_fast(ctx, us, iov->iov_len)))
			return send_fast(ctx, us, iov->iov_base, (uint32_t)iov->iov_len, df);
		return send_slow(ctx, us, iov, 1, iov->iov_len, df);
	}
	if (iov_cnt < 0 || (flags & ~ZFUT_FLAG_DONT_FRAGMENT) != 0)
		return -EINVAL;
	for (int i = 0; i < iov_cnt; i++) {
		if (iov[i].iov_len > UDP_PAYLOAD_MAX - len)
			return -EMSGSIZE;
		len += iov[i].iov_len;
	}
	if (zf_unlikely(iov_cnt > UDP_IOV_MAX))
		return send_many_iov(ctx, us, iov, iov_cnt, len, df);
	ctx_enter(ctx);
	return send_slow(ctx, us, iov, iov_cnt, len, df);
}

ZF_EXPORT int
zfut_get_mss(struct zfut *us)
{
	return (int)us->mss;
}

ZF_EXPORT unsigned
zfut_get_header_size(struct zfut *us)
{
	return us->hdr_len;
}

ZF_EXPORT struct zf_waitable *
zfut_to_waitable(struct zfut *us)
{
	return &us->w;
}
