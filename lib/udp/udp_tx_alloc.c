/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit zockets from birth to release. Cold.
 */
#include "core/attr.h"
#include "ip/output.h"
#include "udp/udp_int.h"

static int
check_addrs(const struct sockaddr *laddr, socklen_t laddrlen, const struct sockaddr *raddr,
	    socklen_t raddrlen, int flags, struct udp_addr *l, struct udp_addr *r)
{
	int rc;

	/* All NULLs first, then lengths, then families. */
	if (laddr == NULL || raddr == NULL)
		return -EFAULT;
	if (laddrlen < sizeof(struct sockaddr_in) || raddrlen < sizeof(struct sockaddr_in))
		return -EINVAL;
	rc = udp_addr_get(laddr, laddrlen, l);
	if (rc == 0)
		rc = udp_addr_get(raddr, raddrlen, r);
	if (rc < 0)
		return rc;
	if (flags != 0 || be32_is_zero(r->ip) || be16_is_zero(r->port))
		return -EINVAL;
	if (be32_is_zero(l->ip) && be16_is_zero(l->port))
		return -EINVAL;
	return 0;
}

/* Poll until the neighbour has answered or arp_reply_timeout is over. Over a virtual clock, whose time stands still
 * while nothing happens, poll() itself moves it to the next timer.
 */
static void
wait_for_neighbour(struct zf_ctx *ctx, struct zfut *us)
{
	uint64_t end = ctx->now + ctx_us_to_cycles(ctx, (uint64_t)ctx->attr->arp_reply_timeout);

	while (!us->path.resolved && ctx->now < end) {
		ctx->wait_until = end;
		(void)ctx->poll(ctx);
		netif_path_refresh(ctx->netif, &us->path);
	}
	ctx->wait_until = 0;
}

static int
set_path(struct zf_ctx *ctx, struct zfut *us, const struct udp_addr *l, const struct udp_addr *r)
{
	int rc = netif_path_open(ctx->netif, ctx->slot, l->ip, r->ip, ctx->now, &us->path);

	if (rc < 0)
		return rc == -ENOMEM ? -ENOBUFS : rc;
	us->sport = l->port;
	us->dport = r->port;
	us->bound = be16_is_zero(l->port);
	if (!us->bound)
		return 0;
	rc = netif_bind(ctx->netif, ctx->slot, IP_PROTO_UDP | NETIF_TX_ONLY, us->path.src, &us->sport,
			r->ip, r->port, false);
	if (rc < 0)
		netif_path_close(ctx->netif, &us->path, ctx->now);
	return rc < 0 ? -ENOBUFS : 0;
}

ZF_EXPORT int
zfut_alloc(struct zfut **us_out, struct zf_stack *st, const struct sockaddr *laddr, socklen_t laddrlen,
	   const struct sockaddr *raddr, socklen_t raddrlen, int flags, const struct zf_attr *attr)
{
	struct zf_ctx *ctx = udp_stack_ctx(st);
	struct udp_room *room = ctx->udp;
	struct udp_addr l, r;
	struct zfut *us;
	int rc = check_addrs(laddr, laddrlen, raddr, raddrlen, flags, &l, &r);

	if (rc < 0)
		return rc;
	if (!room->can_tx)
		return -EINVAL;
	if (room->free_zfut == UDP_NONE)
		return -ENOBUFS;
	us = &room->zfuts[room->free_zfut];
	ctx->now = ctx_read_clock(ctx);
	rc = set_path(ctx, us, &l, &r);
	if (rc < 0)
		return rc;
	room->free_zfut = us->next_free;
	room->open_zfut++;
	us->w = (struct zf_waitable){.kind = WAITABLE_UDP_TX};
	us->generation++;
	us->tx_dgrams = us->icmp_errors = 0;
	us->mss = ctx->netif->mtu - (uint32_t)(sizeof(struct hdr_ip4) + sizeof(struct hdr_udp));
	if (attr == NULL)
		attr = ctx->attr;
	us->ttl = (uint8_t)ZF_MIN(ZF_MAX(attr->udp_ttl, 1), 255);
	us->tos = (uint8_t)((attr->udp_dscp & 0x3f) << 2);
	udp_enter(ctx);
	output_netif_run(ctx);
	output_flush(ctx);
	udp_leave(ctx);
	wait_for_neighbour(ctx, us);
	udp_tx_refresh(us);
	*us_out = us;
	return 0;
}

ZF_EXPORT int
zfut_free(struct zfut *us)
{
	struct zf_ctx *ctx = zfut_ctx(us);
	struct udp_room *r = ctx->udp;

	ctx->now = ctx_read_clock(ctx);
	if (us->bound)
		netif_unbind(ctx->netif, ctx->slot, IP_PROTO_UDP | NETIF_TX_ONLY, us->path.src, us->sport,
			     us->path.dst, us->dport);
	netif_path_close(ctx->netif, &us->path, ctx->now);
	mux_forget(ctx, &us->w);
	us->w.kind = WAITABLE_NONE;
	us->fast_bytes = 0;
	us->generation++;
	us->next_free = r->free_zfut;
	r->free_zfut = us->index;
	r->open_zfut--;
	return 0;
}
