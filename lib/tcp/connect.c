/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The calls that make, name and free a connection. Cold.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/attr.h"
#include "tcp/addr.h"
#include "tcp/conn.h"
#include "tcp/isn.h"
#include "tcp/listen.h"
#include "tcp/loss.h"
#include "tcp/output.h"
#include "tcp/timer.h"

struct zft *
tcp_zft_take(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;
	struct zft *ts;
	int64_t off;
	uint32_t i;

	if (r->free_zft == TCP_NONE)
		return NULL;
	i = r->free_zft;
	ts = &r->zfts[i];
	r->free_zft = ts->next;
	r->open_zft++;
	off = ts->ctx_off;
	/* All but the header, which is made whole, and the timer, perhaps armed by the connection before. */
	memset(ts, 0, offsetof(struct zft, hdr));
	memset(ts->due, 0, sizeof(ts->due));
	memset(&ts->rtt, 0, sizeof(*ts) - offsetof(struct zft, rtt));
	ts->ctx_off = off;
	ts->index = i;
	ts->w.kind = WAITABLE_TCP;
	ts->state = TCP_CLOSE;
	ts->fast_recv = TCP_FAST_NONE;
	ts->sq_head = ts->sq_unsent = ts->sq_tail = TCP_NONE;
	ts->ooo_head = ts->listener = ts->next = ts->rec = ts->owed_next = ts->pend_next = TCP_NONE;
	ts->timer.kind = TIMER_TCP;
	ts->peer_mss = TCP_MSS_DEFAULT;
	ts->rcv_buf = r->conf.rx_window;
	ts->path.neigh = NETIF_NO_NEIGH;
	tcp_rtt_init(&ts->rtt, &r->conf.rtt);
	return ts;
}

void
tcp_zft_give_back(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	ts->w.kind = WAITABLE_NONE;
	ts->flags = 0;
	ts->state = TCP_CLOSE;
	ts->next = r->free_zft;
	r->free_zft = ts->index;
	r->open_zft--;
}

static struct zft *
handle_zft(struct zft_handle *h)
{
	return (struct zft *)h;
}

ZF_EXPORT int
zft_alloc(struct zf_stack *st, const struct zf_attr *attr, struct zft_handle **handle_out)
{
	struct zf_ctx *ctx = (struct zf_ctx *)st;
	struct zft *ts;

	(void)attr; /* every attribute of TCP is the stack's */
	if (!ctx->tcp->can_rx || !ctx->tcp->can_tx)
		return -EINVAL;
	ts = tcp_zft_take(ctx);
	if (ts == NULL)
		return -ENOBUFS;
	ts->flags = TF_HANDLE;
	*handle_out = (struct zft_handle *)ts;
	return 0;
}

ZF_EXPORT int
zft_handle_free(struct zft_handle *handle)
{
	struct zft *ts = handle_zft(handle);
	struct zf_ctx *ctx = zft_ctx(ts);

	if (ts->flags & TF_BOUND)
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, IP4_ANY, BE16_C(0));
	tcp_zft_give_back(ctx, ts);
	return 0;
}

ZF_EXPORT void
zft_handle_getname(struct zft_handle *handle, struct sockaddr *laddr_out, socklen_t *laddrlen)
{
	const struct zft *ts = handle_zft(handle);

	tcp_addr_put(ts->key.lip, ts->key.lport, laddr_out, laddrlen);
}

ZF_EXPORT int
zft_addr_bind(struct zft_handle *handle, const struct sockaddr *laddr, socklen_t laddrlen, int flags)
{
	struct zft *ts = handle_zft(handle);
	struct zf_ctx *ctx = zft_ctx(ts);
	struct tcp_addr l;
	int rc = tcp_addr_get(laddr, laddrlen, &l);

	if (rc < 0)
		return rc;
	if (flags != 0 || (ts->flags & TF_BOUND) || be32_is_zero(l.ip))
		return -EINVAL;
	if (!netif_addr_is_own(ctx->netif, ctx->slot, l.ip))
		return -EADDRNOTAVAIL;
	rc = netif_bind(ctx->netif, ctx->slot, IP_PROTO_TCP, l.ip, &l.port, IP4_ANY, BE16_C(0), false);
	if (rc < 0)
		return rc;
	ts->key.lip = l.ip;
	ts->key.lport = l.port;
	ts->flags |= TF_BOUND;
	return 0;
}

/* A TIME-WAIT entry of the same four numbers gives way: we begin above what it used (RFC 9293 3.6.1). */
static int
displace(struct zf_ctx *ctx, const struct tcp_key *k)
{
	struct tcp_room *r = ctx->tcp;
	uint32_t i = tcp_find(ctx, r, k);
	struct tcp_tw *e, was;

	if (i == TCP_NONE)
		return 0;
	if (i < r->max_zft || i >= r->max_zft + r->max_tw)
		return -EADDRINUSE;
	e = tw_at(r->tw, i - r->max_zft);
	was = *e;
	r->tw_iss_floor = tw_iss(e, e->snd_nxt);
	r->tw_iss_set = true;
	tcp_tw_forget(ctx, &was, i - r->max_zft);
	tw_put(r->tw, e);
	return 0;
}

/* The local end, and the name of the connection in the tables. */
static int
take_address(struct zf_ctx *ctx, struct zft *ts)
{
	bool bound = (ts->flags & TF_BOUND) != 0;
	int rc;

	if (bound) {
		rc = displace(ctx, &ts->key);
		if (rc < 0)
			return rc;
	}
	for (int i = 0; i < 64; i++) {
		if (!bound)
			ts->key.lport = BE16_C(0);
		rc = netif_bind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, &ts->key.lport, ts->key.rip,
				ts->key.rport, false);
		if (rc < 0)
			return rc;
		/* One that a stranger has used with a listener of ours on this port is in the table alone. */
		if (tcp_find(ctx, ctx->tcp, &ts->key) == TCP_NONE)
			break;
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, ts->key.rip,
			     ts->key.rport);
		if (bound || i == 63)
			return -EADDRINUSE;
	}
	if (!tcp_hash(ctx, &ts->key, ts->index)) {
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, ts->key.rip,
			     ts->key.rport);
		return -ENOMEM;
	}
	ts->flags |= TF_REGISTERED | TF_HASHED;
	return 0;
}

static void
wait_for_neighbour(struct zf_ctx *ctx, struct zft *ts)
{
	uint64_t end = ctx->now + ctx_us_to_cycles(ctx, (uint64_t)ctx->attr->arp_reply_timeout);

	while (!ts->path.resolved && ctx->now < end && ts->state == TCP_SYN_SENT) {
		ctx->wait_until = end;
		(void)ctx->poll(ctx);
		if (ts->path_gen != 0)
			netif_path_refresh(ctx->netif, &ts->path);
	}
	ctx->wait_until = 0;
}

static void
start(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	ts->iss = tcp_choose_isn(ctx, &ts->key);
	if (r->conf.timestamps != 0)
		ts->ts_offset = tcp_ts_offset(&r->key, ts->key.lip, ts->key.lport, ts->key.rip,
					      ts->key.rport);
	ts->last_rcvd = ctx->now; /* until something is: when the SYN left */
	ts->snd_una = ts->iss;
	ts->snd_nxt = ts->snd_end = seq_add(ts->iss, 1);
	ts->flags = (ts->flags & ~(uint32_t)TF_HANDLE) | TF_APP;
	r->app_zft++;
	tcp_template(ctx, ts);
	tcp_set_state(ctx, ts, TCP_SYN_SENT);
	tcp_send_syn(ctx, ts);
	ts->rtx_mode = RTX_RTO;
	tcp_timer_set(ctx, ts, TCP_DUE_RTX, ctx->now + ts->rtt.rto);
}

ZF_EXPORT int
zft_connect(struct zft_handle *handle, const struct sockaddr *raddr, socklen_t raddrlen, struct zft **ts_out)
{
	struct zft *ts = handle_zft(handle);
	struct zf_ctx *ctx = zft_ctx(ts);
	struct tcp_key was = ts->key;
	struct tcp_addr a;
	bool bound;
	int rc = tcp_addr_get(raddr, raddrlen, &a);

	if (rc < 0)
		return rc;
	if (be32_is_zero(a.ip) || be16_is_zero(a.port) || !ip_is_unicast(a.ip))
		return -EINVAL;
	tcp_enter(ctx);
	bound = (ts->flags & TF_BOUND) != 0;
	rc = ip_path_open(ctx, ts->key.lip, a.ip, &ts->path);
	if (rc < 0)
		goto out;
	if (ts->path.resolved && eth_addr_is_mcast(&ts->path.mac)) {
		/* A subnet's broadcast: nobody's address. It holds no neighbour. */
		tcp_leave(ctx);
		return -EINVAL;
	}
	ts->key.lip = ts->path.src;
	ts->key.rip = a.ip;
	ts->key.rport = a.port;
	rc = take_address(ctx, ts);
	if (rc < 0) {
		ip_path_close(ctx, &ts->path);
		ts->key = was;
		goto out;
	}
	if (bound) {
		/* From here on others may listen on the port (RFC 9293 MUST-42): the four numbers are ours. */
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_TCP, ts->key.lip, ts->key.lport, IP4_ANY, BE16_C(0));
		ts->flags &= ~(uint32_t)TF_BOUND;
	}
	if (!ts->path.resolved)
		output_netif_run(ctx);
	start(ctx, ts);
	*ts_out = ts;
	tcp_leave(ctx);
	if (!ts->path.resolved)
		wait_for_neighbour(ctx, ts);
	return 0;
out:
	tcp_leave(ctx);
	return rc == -EINVAL ? -EHOSTUNREACH : rc;
}

/* A connection that came by a listener is the application's from now on. */
ZF_EXPORT int
zftl_accept(struct zftl *tl, struct zft **ts_out)
{
	struct zf_ctx *ctx = zftl_ctx(tl);
	struct tcp_room *r = ctx->tcp;
	struct zft *ts;

	if (tl->q_head == TCP_NONE)
		return -EAGAIN;
	ts = &r->zfts[tl->q_head];
	tcp_listener_unqueue(ctx, tl, ts);
	ts->flags |= TF_APP;
	r->app_zft++;
	*ts_out = ts;
	return 0;
}

/* Data that nobody will read is lost: the peer must know (RFC 9293 3.6.1, RFC 2525 2.17). */
static bool
loses_data(const struct zft *ts)
{
	return ts->rxq_bytes > 0;
}

void
tcp_abort(struct zf_ctx *ctx, struct zft *ts)
{
	if (ts->state != TCP_CLOSE && ts->state != TCP_TIME_WAIT) {
		if (ts->state != TCP_SYN_SENT)
			tcp_send_rst(ctx, ts);
		tcp_end(ctx, ts, 0);
	} else {
		tcp_close(ctx, ts);
	}
}

/* CLOSE call of RFC 9293 3.10.4, by state; the zocket is nobody's already. */
void
tcp_close(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;

	switch (ts->state) {
	case TCP_CLOSE:
		tcp_release(ctx, ts);
		return;
	case TCP_TIME_WAIT:
		if (ts->tw != TCP_NONE)
			tw_at(r->tw, ts->tw)->zft1 = 0;
		ts->tw = TCP_NONE;
		tcp_set_state(ctx, ts, TCP_CLOSE);
		tcp_release(ctx, ts);
		return;
	case TCP_SYN_SENT:
		tcp_end(ctx, ts, 0);
		return;
	case TCP_SYN_RECV:
		return; /* the FIN follows the handshake, see synchronize() */
	default:
		break;
	}
	if (loses_data(ts)) {
		tcp_send_rst(ctx, ts);
		tcp_end(ctx, ts, 0);
		return;
	}
	if (!(ts->flags & TF_FIN_QUEUED))
		(void)tcp_queue_fin(ctx, ts);
	if (ts->state == TCP_FIN_WAIT2 && r->conf.finwait != 0)
		tcp_timer_set(ctx, ts, TCP_DUE_LONG, ctx->now + r->conf.finwait);
	tcp_output(ctx, ts);
}

ZF_EXPORT int
zft_free(struct zft *ts)
{
	struct zf_ctx *ctx = zft_ctx(ts);

	tcp_enter(ctx);
	if (ts->flags & (TF_OWED | TF_ALT)) {
		tcp_flush(ctx, ts);
		if (ts->flags & TF_ALT)
			ctx->zft_gone(ctx, ts->index);
	}
	ts->flags &= ~(uint32_t)TF_APP;
	ctx->tcp->app_zft--;
	mux_forget(ctx, &ts->w);
	tcp_close(ctx, ts);
	tcp_leave(ctx);
	return 0;
}

ZF_EXPORT int
zft_state(struct zft *ts)
{
	tcp_flush_call(ts);
	return ts->state;
}

ZF_EXPORT int
zft_error(struct zft *ts)
{
	tcp_flush_call(ts);
	return ts->error != 0 ? ts->error : ts->soft_error;
}

ZF_EXPORT void
zft_getname(struct zft *ts, struct sockaddr *laddr_out, socklen_t *laddrlen, struct sockaddr *raddr_out,
	    socklen_t *raddrlen)
{
	tcp_addr_put(ts->key.lip, ts->key.lport, laddr_out, laddrlen);
	tcp_addr_put(ts->key.rip, ts->key.rport, raddr_out, raddrlen);
}

ZF_EXPORT struct zf_waitable *
zft_to_waitable(struct zft *ts)
{
	return &ts->w;
}
