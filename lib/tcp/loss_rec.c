/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The records that connections take when something is lost (struct tcp_rec): who has one, and whose can be spared. See
 * loss.h.
 */
#include "tcp/loss_mark.h"

/* Owners that are looked at for one that can do without: what a loss may cost when records are short. */
#define REC_LOOKS 16u

/* Nothing under way: what its record says is of the past, and there is no recovery. */
static bool
can_spare(const struct zft *ts)
{
	return ts->sq_head == ts->sq_unsent && ts->loss.phase < LOSS_RECOVERY;
}

void
tcp_rec_put(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_rec *p = tcp_rec_of(r, ts);

	if (p == NULL)
		return;
	ts->loss.flags &= (uint16_t)~(LF_UNDO | LF_EIFEL | LF_DSACK_ROUND | LF_ECN_ROUND);
	ts->loss.reo_mult = 1;
	tcp_cc_forget(&ts->cc);
	p->owner = TCP_NONE;
	p->next = r->free_rec;
	r->free_rec = ts->rec;
	r->n_free_rec++;
	ts->rec = TCP_NONE;
}

static bool
make_free(struct zf_ctx *ctx)
{
	struct tcp_room *r = ctx->tcp;

	for (uint32_t n = ZF_MIN(REC_LOOKS, r->max_rec); n > 0; n--) {
		struct zft *ts = &r->zfts[r->recs[r->rec_hand].owner];

		r->rec_hand = r->rec_hand + 1 < r->max_rec ? r->rec_hand + 1 : 0;
		if (can_spare(ts)) {
			tcp_rec_put(ctx, ts);
			return true;
		}
	}
	ctx_count(ctx, CNT_TCP_LOSS_NO_RECORD);
	return false;
}

struct tcp_rec *
tcp_rec_take(struct zf_ctx *ctx, struct zft *ts)
{
	struct tcp_room *r = ctx->tcp;
	struct tcp_rec *p = tcp_rec_of(r, ts);

	if (p != NULL)
		return p;
	if (r->free_rec == TCP_NONE && !make_free(ctx))
		return NULL;
	ts->rec = r->free_rec;
	p = &r->recs[ts->rec];
	r->free_rec = p->next;
	r->n_free_rec--;
	*p = (struct tcp_rec){.owner = ts->index, .next = TCP_NONE, .hint = ts->sq_head};
	return p;
}
