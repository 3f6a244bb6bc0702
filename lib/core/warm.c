/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends for practice: ports that take nothing.
 */
#include "core/ctx.h"

static uint16_t
refuse(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint16_t
refuse_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	(void)queue;
	(void)hdr;
	(void)hdr_len;
	(void)payload;
	(void)len;
	return 0;
}

void
ctx_warm_begin(struct zf_ctx *ctx, struct ctx_warm *was)
{
	*was = (struct ctx_warm){ctx->tx, ctx->tx_copy};
	ctx->tx = refuse;
	if (ctx->tx_copy != NULL)
		ctx->tx_copy = ctx->tx_warm != NULL ? ctx->tx_warm : refuse_copy;
	ctx->warming = true;
}

void
ctx_warm_end(struct zf_ctx *ctx, const struct ctx_warm *was)
{
	ctx->tx = was->tx;
	ctx->tx_copy = was->tx_copy;
	ctx->warming = false;
}
