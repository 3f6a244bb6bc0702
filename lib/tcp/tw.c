/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See tw.h.
 */
#include "tcp/tw.h"

#include "base/check.h"
#include "ip/wire.h"

void
tw_init(struct tcp_tw_table *t, struct tcp_tw *entries, uint32_t max, uint64_t life)
{
	*t = (struct tcp_tw_table){
		.entries_off = (char *)entries - (char *)t,
		.max = max,
		.oldest = TW_NONE,
		.youngest = TW_NONE,
		.free = max > 0 ? 0 : TW_NONE,
		.life = life,
	};
	for (uint32_t i = 0; i < max; i++)
		entries[i].next = i + 1 < max ? i + 1 : TW_NONE;
}

static void
unlink_entry(struct tcp_tw_table *t, struct tcp_tw *e)
{
	if (e->prev != TW_NONE)
		tw_at(t, e->prev)->next = e->next;
	else
		t->oldest = e->next;
	if (e->next != TW_NONE)
		tw_at(t, e->next)->prev = e->prev;
	else
		t->youngest = e->prev;
}

static void
append_entry(struct tcp_tw_table *t, struct tcp_tw *e, uint64_t now)
{
	uint32_t i = tw_index(t, e);

	e->expires = now > UINT64_MAX - t->life ? UINT64_MAX : now + t->life;
	e->prev = t->youngest;
	e->next = TW_NONE;
	if (t->youngest == TW_NONE) {
		t->oldest = i;
	} else {
		struct tcp_tw *last = tw_at(t, t->youngest);

		/* The clock does not go back; if it did, the list would still be sorted. */
		ZF_ASSERT(last->expires <= e->expires);
		e->expires = ZF_MAX(e->expires, last->expires);
		last->next = i;
	}
	t->youngest = i;
}

struct tcp_tw *
tw_take(struct tcp_tw_table *t, uint64_t now, struct tcp_tw *was)
{
	struct tcp_tw *e;
	uint16_t generation;

	was->flags = 0;
	if (t->max == 0)
		return NULL;
	if (t->free != TW_NONE) {
		e = tw_at(t, t->free);
		t->free = e->next;
		t->n++;
	} else {
		e = tw_at(t, t->oldest);
		*was = *e;
		unlink_entry(t, e);
		t->recycled++;
	}
	generation = (uint16_t)(e->generation + 1);
	*e = (struct tcp_tw){.flags = TW_USED, .generation = generation};
	append_entry(t, e, now);
	return e;
}

void
tw_put(struct tcp_tw_table *t, struct tcp_tw *e)
{
	if (zf_bug((e->flags & TW_USED) == 0))
		return;
	unlink_entry(t, e);
	e->flags = 0;
	e->next = t->free;
	t->free = tw_index(t, e);
	t->n--;
}

struct tcp_tw *
tw_expire(struct tcp_tw_table *t, uint64_t now)
{
	return tw_next_due(t) <= now && t->oldest != TW_NONE ? tw_at(t, t->oldest) : NULL;
}

void
tw_restart(struct tcp_tw_table *t, struct tcp_tw *e, uint64_t now)
{
	if (zf_bug((e->flags & TW_USED) == 0))
		return;
	unlink_entry(t, e);
	append_entry(t, e, now);
}

/* A SYN that asks for a new connection (RFC 6191 2; RFC 9293 3.6.1): by timestamps where both or only the new one have
 * them, since old segments can then be told apart by theirs; else by sequence number alone.
 */
static enum tw_action
input_syn(const struct tcp_tw *e, const struct tw_seg *s)
{
	if (s->ts) {
		int32_t newer = (int32_t)(s->tsval - e->ts_recent);

		if ((e->flags & TW_TS) == 0 || newer > 0)
			return TW_NEW_SYN;
		if (newer < 0)
			return TW_ACK;
	}
	/* RFC 6191 would drop the others without a word; RFC 9293 3.10.7.4 answers, and so frees a peer that crashed and
	 * reuses its port: its reset, which we ignore, ends its attempt, and the next one has another sequence number.
	 */
	return seq_gt(s->seq, e->rcv_nxt) ? TW_NEW_SYN : TW_ACK;
}

/* SEG.LEN of a segment without SYN. */
static uint32_t
seg_span(const struct tw_seg *s)
{
	return s->len + (s->flags & TCP_FLAG_FIN ? 1 : 0);
}

static bool
in_window(const struct tcp_tw *e, tcpseq_t seq)
{
	return seq_sub(seq, e->rcv_nxt) < e->rcv_wnd;
}

/* RFC 9293 3.10.7.4, first. */
static bool
acceptable(const struct tcp_tw *e, const struct tw_seg *s)
{
	uint32_t span = seg_span(s);

	if (span > 0)
		return in_window(e, s->seq) || in_window(e, seq_add(s->seq, span - 1));
	return seq_eq(s->seq, e->rcv_nxt) || in_window(e, s->seq);
}

enum tw_action
tw_input(const struct tcp_tw *e, const struct tw_seg *s)
{
	/* RFC 1337 3: a reset, perhaps an old one, must not end the wait. */
	if (s->flags & TCP_FLAG_RST)
		return TW_DROP;
	if ((s->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_FIN)) == TCP_FLAG_SYN)
		return input_syn(e, s);
	/* A SYN with ACK or FIN asks for no connection; it is answered whatever its numbers are (RFC 5961 4). */
	if (s->flags & TCP_FLAG_SYN)
		return TW_ACK;
	if (e->flags & TW_TS) {
		/* RFC 7323 3.2: none where they were agreed on: not of this connection. */
		if (!s->ts)
			return TW_DROP;
		/* RFC 7323 5.3 R1: an old duplicate. */
		if ((int32_t)(s->tsval - e->ts_recent) < 0)
			return TW_ACK;
	}
	/* The peer's FIN once more: it has not got our ACK. FIN and end must be the very ones, or any forged segment could
	 * keep the entry for ever.
	 */
	if ((s->flags & TCP_FLAG_FIN) != 0 && (s->flags & TCP_FLAG_ACK) != 0 && seq_leq(s->ack, e->snd_nxt) &&
	    seq_eq(seq_add(s->seq, s->len + 1), e->rcv_nxt))
		return TW_ACK_RESTART;
	if (!acceptable(e, s))
		return TW_ACK;
	if ((s->flags & TCP_FLAG_ACK) == 0)
		return TW_DROP;
	/* Something behind the peer's own FIN, or an ACK of what we never sent. An ACK that is as it should be is not
	 * answered, so that two sides in TIME-WAIT fall silent.
	 */
	return seg_span(s) > 0 || seq_gt(s->ack, e->snd_nxt) ? TW_ACK : TW_DROP;
}

/* Old segments of ours end at snd_nxt. The distance leaves room for a window probe or a FIN that the peer still holds. */
#define TW_ISS_GAP 65538u

tcpseq_t
tw_iss(const struct tcp_tw *e, tcpseq_t iss)
{
	tcpseq_t least = seq_add(e->snd_nxt, TW_ISS_GAP);

	return seq_gt(iss, least) ? iss : least;
}
