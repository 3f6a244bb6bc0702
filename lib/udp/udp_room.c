/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tables of the UDP room: made in the arena, zockets and bindings taken from free lists.
 */
#include <string.h>

#include "udp/udp_int.h"

/* Bindings a zocket may have on average: more than a market-data receiver joins groups. */
#define UDP_BINDS_PER_ZFUR 16u

struct udp_room *
udp_room_take(struct arena *a, uint32_t max_zfur, uint32_t max_zfut)
{
	uint32_t max_binds = max_zfur * UDP_BINDS_PER_ZFUR;
	struct udp_room *r = arena_take(a, sizeof(*r), ZF_CACHE_LINE);
	struct zfur *zfurs = arena_take(a, sizeof(*zfurs) * max_zfur, ZF_CACHE_LINE);
	struct zfut *zfuts = arena_take(a, sizeof(*zfuts) * max_zfut, ZF_CACHE_LINE);
	struct udp_bind *binds = arena_take(a, sizeof(*binds) * max_binds, ZF_CACHE_LINE);
	struct htab_entry *entries =
		arena_take(a, sizeof(*entries) * htab_slots(max_binds), ZF_CACHE_LINE);

	if (r == NULL)
		return NULL;
	r->zfurs = zfurs;
	r->zfuts = zfuts;
	r->binds = binds;
	r->max_zfur = max_zfur;
	r->max_zfut = max_zfut;
	r->max_binds = max_binds;
	htab_init(&r->binds_tab, entries, htab_slots(max_binds));
	return r;
}

void
udp_room_init(struct udp_room *r, struct zf_ctx *ctx)
{
	r->free_zfur = r->max_zfur > 0 ? 0 : UDP_NONE;
	for (uint32_t i = 0; i < r->max_zfur; i++) {
		r->zfurs[i].index = i;
		r->zfurs[i].ctx_off = (char *)ctx - (char *)&r->zfurs[i];
		r->zfurs[i].first_bind = UDP_NONE;
		r->zfurs[i].next_free = i + 1 < r->max_zfur ? i + 1 : UDP_NONE;
	}
	r->free_zfut = r->max_zfut > 0 ? 0 : UDP_NONE;
	for (uint32_t i = 0; i < r->max_zfut; i++) {
		r->zfuts[i].index = i;
		r->zfuts[i].ctx_off = (char *)ctx - (char *)&r->zfuts[i];
		r->zfuts[i].next_free = i + 1 < r->max_zfut ? i + 1 : UDP_NONE;
	}
	r->free_bind = r->max_binds > 0 ? 0 : UDP_NONE;
	for (uint32_t i = 0; i < r->max_binds; i++)
		r->binds[i].next_of_zfur = i + 1 < r->max_binds ? i + 1 : UDP_NONE;
}

void
udp_room_fini(struct zf_ctx *ctx)
{
	struct udp_room *r = ctx->udp;

	for (uint32_t i = 0; i < r->max_zfur; i++)
		if (r->zfurs[i].generation & 1)
			(void)zfur_free(&r->zfurs[i]);
	for (uint32_t i = 0; i < r->max_zfut; i++)
		if (r->zfuts[i].generation & 1)
			(void)zfut_free(&r->zfuts[i]);
}

bool
udp_icmp_error(struct zf_ctx *ctx, be32_t src, be16_t sport, be32_t dst, be16_t dport, uint8_t type,
	       uint8_t code)
{
	struct udp_room *r = ctx->udp;
	uint32_t left = r->open_zfut;
	bool found = false;

	/* The reactor lets at most a thousand errors a second come here: a walk does. */
	for (uint32_t i = 0; i < r->max_zfut && left > 0; i++) {
		struct zfut *us = &r->zfuts[i];

		if (!(us->generation & 1))
			continue;
		left--;
		if (be32_eq(us->path.src, src) && be16_eq(us->sport, sport) && be32_eq(us->path.dst, dst) &&
		    be16_eq(us->dport, dport)) {
			us->icmp_errors++;
			zf_trace(&ctx->log, LC_UDP_TX, "zfut %u: ICMP error type %u code %u", i, type, code);
			found = true;
		}
	}
	(void)type;
	(void)code;
	return found;
}
