/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls that receive. What arrived in order waits in a list of buffers; the application looks at it in place or has
 * it copied, and what it has done with opens the window again.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "tcp/conn.h"
#include "tcp/output.h"

/* Nothing will ever come behind what is queued. */
static ZF_ALWAYS_INLINE bool
at_end(const struct zft *ts)
{
	return (ts->flags & TF_FIN_RCVD) != 0 || ts->state == TCP_CLOSE || ts->state == TCP_TIME_WAIT;
}

static int
end_code(const struct zft *ts)
{
	/* A stream that was closed in order is complete, whatever happened to the other direction then, unless data of ours
	 * was refused: the guide's EPIPE.
	 */
	return ts->error == 0 ? 0 : -ts->error;
}

uint16_t
tcp_events(const struct zft *ts)
{
	uint16_t ev = 0;

	if (ts->state == TCP_CLOSE || ts->state == TCP_TIME_WAIT)
		return EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP | (ts->error != 0 ? EPOLLERR : 0);
	if (ts->rxq_head != NULL)
		ev |= EPOLLIN;
	if (ts->flags & TF_FIN_RCVD)
		ev |= EPOLLIN | EPOLLRDHUP;
	/* Of a connection shut down for sending nothing can be sent, and nothing is waited for either. */
	if ((ts->state == TCP_ESTABLISHED || ts->state == TCP_CLOSE_WAIT) &&
	    !(ts->flags & (TF_FIN_QUEUED | TF_WANT_OUT)) && !(ts->w.flags & WAITABLE_WANT_BUF))
		ev |= EPOLLOUT;
	return ev;
}

/* msg->reserved: [0] bytes handed out, [1] buffers, [2] the end is among them. */
enum { MSG_BYTES, MSG_BUFS, MSG_END };

static ZF_NOINLINE void
recv_many(struct zft *ts, struct zft_msg *msg)
{
	struct rte_mbuf *m = ts->rxq_head;
	int room = msg->iovcnt, n = 0;
	uint32_t bytes = 0, off = ts->handed_off;

	for (; m != NULL && n < room; n++) {
		struct pkt_meta *meta = pkt_meta(m);

		msg->iov[n].iov_base = rte_pktmbuf_mtod_offset(m, void *, meta->off + off);
		msg->iov[n].iov_len = meta->len - off;
		bytes += meta->len - off;
		off = 0;
		m = meta->next;
	}
	msg->reserved[MSG_BYTES] = (int)bytes;
	msg->reserved[MSG_BUFS] = n;
	msg->reserved[MSG_END] = 0;
	msg->pkts_left = (int)ts->rxq_pkts - n;
	ts->handed_pkts = (uint32_t)n;
	if (m == NULL && n < room && at_end(ts)) {
		msg->iov[n].iov_base = NULL;
		msg->iov[n].iov_len = 0;
		msg->reserved[MSG_END] = 1;
		n++;
	}
	msg->iovcnt = n;
}

ZF_EXPORT void
zft_zc_recv(struct zft *ts, struct zft_msg *msg, int flags)
{
	struct rte_mbuf *m = ts->rxq_head;
	uint32_t off = ts->handed_off;
	struct pkt_meta *meta;

	(void)flags; /* enum zf_zc_flags: a message is complete when it is reported, there is nothing to wait for */
	/* One buffer, and no end behind it: request and response. */
	if (zf_unlikely(m == NULL || m != ts->rxq_tail || msg->iovcnt <= 0 || ts->state != TCP_ESTABLISHED)) {
		recv_many(ts, msg);
		return;
	}
	meta = pkt_meta(m);
	msg->iov[0].iov_base = rte_pktmbuf_mtod_offset(m, void *, meta->off + off);
	msg->iov[0].iov_len = meta->len - off;
	msg->reserved[MSG_BYTES] = (int)(meta->len - off);
	msg->reserved[MSG_BUFS] = 1;
	msg->reserved[MSG_END] = 0;
	msg->pkts_left = 0;
	msg->iovcnt = 1;
	ts->handed_pkts = 1;
}

/* The first @bytes of the queue are done with. */
static ZF_NOINLINE void
consume_many(struct zf_ctx *ctx, struct zft *ts, uint32_t bytes)
{
	struct rte_mbuf *m = ts->rxq_head;

	ts->rxq_bytes -= bytes;
	bytes += ts->handed_off;
	ts->handed_off = 0;
	while (m != NULL) {
		struct pkt_meta *meta = pkt_meta(m);
		struct rte_mbuf *next = meta->next;

		if (bytes < meta->len) {
			ts->handed_off = bytes;
			break;
		}
		bytes -= meta->len;
		ts->rxq_pkts--;
		ctx->rx_held--;
		pkt_put(ctx->pool, m);
		m = next;
	}
	ts->rxq_head = m;
	ts->handed_pkts = 0;
}

static ZF_ALWAYS_INLINE void
consume(struct zf_ctx *ctx, struct zft *ts, uint32_t bytes)
{
	struct rte_mbuf *m = ts->rxq_head;

	if (zf_unlikely(m == NULL || m != ts->rxq_tail || bytes != ts->rxq_bytes)) {
		consume_many(ctx, ts, bytes);
		return;
	}
	ts->rxq_head = ts->rxq_tail = NULL;
	ts->rxq_pkts = ts->rxq_bytes = ts->handed_pkts = ts->handed_off = 0;
	ctx->rx_held--;
	pkt_put(ctx->pool, m);
}

static ZF_NOINLINE void
window_opened(struct zf_ctx *ctx, struct zft *ts)
{
	tcp_enter(ctx);
	tcp_window_opened(ctx, ts);
	tcp_leave(ctx);
}

/* Does the peer see less than half of the window? Then it may wait for the news. */
static ZF_ALWAYS_INLINE void
after_read(struct zf_ctx *ctx, struct zft *ts)
{
	if (zf_unlikely(seq_sub(ts->rcv_adv, ts->rcv_nxt) < ts->rcv_buf / 2) && !at_end(ts))
		window_opened(ctx, ts);
}

static ZF_ALWAYS_INLINE int
done(struct zft *ts, struct zft_msg *msg, uint32_t bytes)
{
	struct zf_ctx *ctx = zft_ctx(ts);
	bool end = msg->reserved[MSG_END] != 0;

	msg->reserved[MSG_BUFS] = -1; /* not twice */
	consume(ctx, ts, bytes);
	after_read(ctx, ts);
	if (zf_unlikely(end && ts->rxq_bytes == 0))
		return end_code(ts);
	/* An end that is still to be read is news, for whoever reads a message an event. */
	if (zf_unlikely(at_end(ts)))
		waitable_raise(ctx, &ts->w, EPOLLIN);
	return 1;
}

ZF_EXPORT int
zft_zc_recv_done(struct zft *ts, struct zft_msg *msg)
{
	/* Done before, or another zocket's message: nothing may be given back twice. */
	if (zf_unlikely((uint32_t)msg->reserved[MSG_BUFS] != ts->handed_pkts))
		return 1;
	return done(ts, msg, (uint32_t)msg->reserved[MSG_BYTES]);
}

ZF_EXPORT int
zft_zc_recv_done_some(struct zft *ts, struct zft_msg *msg, size_t len)
{
	if (zf_unlikely((uint32_t)msg->reserved[MSG_BUFS] != ts->handed_pkts))
		return 1;
	return done(ts, msg, (uint32_t)ZF_MIN(len, (size_t)(uint32_t)msg->reserved[MSG_BYTES]));
}

static uint32_t
copy_out(const struct zft *ts, const struct iovec *iov, int iovcnt)
{
	const struct rte_mbuf *m = ts->rxq_head;
	uint32_t off = ts->handed_off, total = 0;

	for (int i = 0; i < iovcnt && m != NULL; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len && m != NULL) {
			const struct pkt_meta *meta = pkt_meta((struct rte_mbuf *)(uintptr_t)m);
			size_t part = ZF_MIN(iov[i].iov_len - at, (size_t)(meta->len - off));

			memcpy((char *)iov[i].iov_base + at,
			       rte_pktmbuf_mtod_offset(m, const char *, meta->off + off), part);
			at += part;
			off += (uint32_t)part;
			if (off == meta->len) {
				m = meta->next;
				off = 0;
			}
		}
		total += (uint32_t)at;
	}
	return total;
}

ZF_EXPORT int
zft_recv(struct zft *ts, const struct iovec *iov, int iovcnt, int flags)
{
	struct zf_ctx *ctx = zft_ctx(ts);
	uint32_t n;

	if (iovcnt <= 0 || flags != 0)
		return -EINVAL;
	if (ts->rxq_head == NULL) {
		if (at_end(ts))
			return end_code(ts);
		return ts->state == TCP_SYN_SENT || ts->state == TCP_SYN_RECV ? -ENOTCONN : -EAGAIN;
	}
	n = copy_out(ts, iov, iovcnt);
	if (n == 0)
		return -EINVAL; /* no room in any of them: 0 would read as the end */
	consume(ctx, ts, n);
	if (at_end(ts))
		waitable_raise(ctx, &ts->w, EPOLLIN);
	after_read(ctx, ts);
	return (int)n;
}
