/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The event queue: what happened, in order, and what becomes of a VI whose queue ran over. Each poll is one step of the
 * VI's time.
 */
#include "softvi/priv.h"

void
softvi_post(struct efvi_vi *vi, const struct efvi_event *ev, uint32_t places)
{
	struct softvi_evq *q = &vi->ev;
	uint32_t used = q->tail - q->head + q->fillers;

	if (q->overflow)
		return;
	if (used + places > q->mask) {
		q->overflow = true;
		vi->a->stats.overflows++;
		return;
	}
	q->ring[q->tail & q->mask] = *ev;
	q->tail++;
	q->fillers += places - 1;
	vi->a->stats.events++;
}

/* The one event that a VI still has which is of no use any more. */
static int
last_words(bool *told, enum efvi_event_type type, struct efvi_event *evs, int n)
{
	if (*told || n == 0)
		return 0;
	*told = true;
	evs[0] = (struct efvi_event){.type = type};
	return 1;
}

static int
deliver(struct efvi_vi *vi, struct efvi_event *evs, int n)
{
	struct softvi_evq *q = &vi->ev;
	int k = 0;

	while (k < n && q->head != q->tail) {
		struct efvi_event *ev = &evs[k++];

		*ev = q->ring[q->head++ & q->mask];
		if (ev->type == EFVI_EV_TX)
			vi->tx.announced = (uint32_t)ev->raw[1];
		if (ev->type != EFVI_EV_RX && ev->type != EFVI_EV_RX_DISCARD)
			continue;
		vi->rx.removed++;
		mem_stats(vi->a->port)->rx_delivered += !ev->cont;
	}
	if (q->head == q->tail)
		q->fillers = 0;
	return k;
}

int
softvi_ev_poll(struct efvi_vi *vi, struct efvi_event *evs, int n)
{
	int k;

	softvi_enter(vi);
	vi->polls++;
	if (mem_tap_reset_asked(vi->a->port))
		softvi_reset(vi->a);
	if (vi->reset) {
		k = last_words(&vi->reset_told, EFVI_EV_RESET, evs, n);
		softvi_leave(vi);
		return k;
	}
	softvi_rx_pull(vi->a);
	softvi_tx_progress(vi);
	softvi_alt_progress(vi);
	k = vi->ev.overflow ? last_words(&vi->ev.told, EFVI_EV_OFLOW, evs, n) : deliver(vi, evs, n);
	softvi_leave(vi);
	return k;
}
