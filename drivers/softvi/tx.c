/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The transmit ring. A pushed send is fetched at once or some polls later, which is when its bytes go out or into an
 * alternative; it completes later still, several with one event. The bytes are compared again when the driver unbundles
 * the event: until then they are the adapter's.
 */
#include <errno.h>
#include <string.h>

#include "softvi/priv.h"

static struct softvi_desc *
at(struct softvi_tx *t, uint32_t i)
{
	return &t->ring[i & t->mask];
}

static uint32_t
space(const struct efvi_vi *vi)
{
	const struct mem_cfg *c = mem_cfg(vi->a->port);
	uint32_t n = vi->tx.mask - (vi->tx.added - vi->tx.removed);

	/* A stalled wire (struct mem_cfg) looks like a full ring. */
	return ZF_MIN(n, c->credit);
}

uint32_t
softvi_tx_space(const struct efvi_vi *vi)
{
	return space(vi);
}

static uint32_t
places_of(uint64_t addr, uint32_t len)
{
	return (uint32_t)((addr % EFVI_PAGE + ZF_MAX(len, 1u) + EFVI_PAGE - 1) / EFVI_PAGE);
}

static struct softvi_desc *
add(struct efvi_vi *vi, enum softvi_desc_kind kind, uint64_t addr, uint32_t len, uint32_t id, uint32_t places)
{
	struct softvi_tx *t = &vi->tx;
	struct softvi_desc *d = at(t, t->added);

	for (uint32_t i = 0; i < places; i++)
		at(t, t->added + i)->kind = DESC_REST;
	*d = (struct softvi_desc){.kind = kind, .addr = addr, .len = len, .id = id};
	t->added += places;
	return d;
}

static void
spend_credit(struct efvi_vi *vi)
{
	struct mem_cfg *c = mem_cfg(vi->a->port);

	if (c->credit != MEM_ALL)
		c->credit--;
}

int
softvi_tx_init(struct efvi_vi *vi, uint64_t addr, uint32_t len, uint32_t id)
{
	uint32_t places = places_of(addr, len);
	int rc = -EAGAIN;

	softvi_enter(vi);
	if (space(vi) >= places) {
		if (len < 14 || len > SOFTVI_FRAME_MAX)
			softvi_fault(vi->a, "send of a frame that is too short or too long");
		add(vi, DESC_DMA, addr, len, id, places);
		spend_credit(vi);
		rc = 0;
	} else {
		mem_stats(vi->a->port)->tx_refused++;
	}
	softvi_leave(vi);
	return rc;
}

/* Collects the frame at @addr and its hash. What is not registered is a fault and comes out as zeros. */
static uint64_t
read_dma(struct softvi *a, uint64_t addr, uint32_t len, uint8_t *to)
{
	uint64_t h = 0xcbf29ce484222325ull;

	memset(to, 0, len);
	for (uint32_t off = 0, n; off < len; off += n) {
		const uint8_t *p = softvi_dma(a, addr + off, len - off, &n);

		if (p == NULL)
			break;
		memcpy(to + off, p, n);
	}
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ to[i]) * 0x100000001b3ull;
	return h;
}

static void
emit(struct efvi_vi *vi, uint32_t id, uint8_t *frame, uint32_t len)
{
	softvi_csum_fill(frame, len);
	if (vi->tx.alt != SOFTVI_NO_ALT)
		softvi_alt_keep(vi, vi->tx.alt, id, frame, len);
	else
		mem_tap_send(vi->a->port, frame, len);
}

static void
fetch(struct efvi_vi *vi, struct softvi_desc *d)
{
	/* Of its own: who is told of the frame may push another. */
	uint8_t frame[SOFTVI_FRAME_MAX];

	switch (d->kind) {
	case DESC_SELECT:
		vi->tx.alt = (uint32_t)d->addr;
		break;
	case DESC_DMA:
		d->hash = read_dma(vi->a, d->addr, ZF_MIN(d->len, SOFTVI_FRAME_MAX), frame);
		vi->a->stats.tx_dma++;
		emit(vi, d->id, frame, ZF_MIN(d->len, SOFTVI_FRAME_MAX));
		break;
	case DESC_PIO:
		if (vi->pio == NULL) {
			softvi_fault(vi->a, "PIO buffer taken away while a frame in it is under way");
			break;
		}
		memcpy(frame, vi->pio->bytes + d->addr, d->len);
		vi->a->stats.tx_pio++;
		emit(vi, d->id, frame, d->len);
		break;
	default:
		break;
	}
	d->events = d->kind == DESC_SELECT || d->kind == DESC_REST ? 0 : vi->tx.alt == SOFTVI_NO_ALT ? 3 : 2;
	d->due = vi->polls + ZF_MAX(vi->a->cfg.done_polls, 1u);
}

static void
fetch_due(struct efvi_vi *vi)
{
	struct softvi_tx *t = &vi->tx;

	while (t->fetched != t->pushed && at(t, t->fetched)->due <= vi->polls)
		fetch(vi, at(t, t->fetched++));
}

static void
push(struct efvi_vi *vi)
{
	struct softvi_tx *t = &vi->tx;

	for (; t->pushed != t->added; t->pushed++)
		at(t, t->pushed)->due = vi->polls + vi->a->cfg.fetch_polls;
	fetch_due(vi);
}

void
softvi_tx_push(struct efvi_vi *vi)
{
	softvi_enter(vi);
	push(vi);
	softvi_leave(vi);
}

/* Is any of the region sent, or to be sent, by a send whose completion the driver has not seen? */
static bool
pio_in_flight(struct efvi_vi *vi, uint32_t offset, uint32_t len)
{
	for (uint32_t i = vi->tx.removed; i != vi->tx.added; i++) {
		const struct softvi_desc *d = at(&vi->tx, i);

		if (d->kind == DESC_PIO && d->addr < offset + len && offset < d->addr + d->len)
			return true;
	}
	return false;
}

int
softvi_tx_copy_pio(struct efvi_vi *vi, uint32_t offset, const void *src, uint32_t len, uint32_t id)
{
	int rc = -EINVAL;

	softvi_enter(vi);
	if (vi->pio == NULL) {
		softvi_fault(vi->a, "PIO without a buffer that is linked to the VI");
	} else if (offset % EFVI_PIO_ALIGN == 0 && (uint64_t)offset + len <= vi->pio->len && len >= 14) {
		if (pio_in_flight(vi, offset, len))
			softvi_fault(vi->a, "PIO buffer overwritten while a frame in it is under way");
		memcpy(vi->pio->bytes + offset, src, len); /* even if the ring is full */
		rc = -EAGAIN;
		if (space(vi) > 0) {
			add(vi, DESC_PIO, offset, len, id, 1);
			spend_credit(vi);
			push(vi);
			rc = 0;
		} else {
			mem_stats(vi->a->port)->tx_refused++;
		}
	}
	softvi_leave(vi);
	return rc;
}

static int
select_alt(struct efvi_vi *vi, uint32_t alt)
{
	int rc = -EAGAIN;

	softvi_enter(vi);
	if (alt != SOFTVI_NO_ALT && alt >= vi->n_alts) {
		softvi_fault(vi->a, "no such alternative on this VI");
		rc = -EINVAL;
	} else if (space(vi) > 0) {
		add(vi, DESC_SELECT, alt, 0, 0, 1);
		rc = 0;
	}
	softvi_leave(vi);
	return rc;
}

int
softvi_alt_select(struct efvi_vi *vi, uint32_t alt)
{
	return select_alt(vi, alt);
}

int
softvi_alt_select_normal(struct efvi_vi *vi)
{
	return select_alt(vi, SOFTVI_NO_ALT);
}

/* Sends that one event stands for. */
static uint32_t
batch(struct softvi *a)
{
	return a->cfg.batch != 0 ? ZF_MIN(a->cfg.batch, (uint32_t)EFVI_BATCH)
				 : 1 + (uint32_t)rng_below(&a->rng, EFVI_BATCH);
}

static void
complete(struct efvi_vi *vi, uint32_t end)
{
	struct efvi_event ev = {.type = EFVI_EV_TX, .raw = {vi->tx.done, end}};
	uint32_t places = 0;

	/* Where alternatives may be each send has three events, of which alt.c makes one if it went into an alternative. */
	for (; vi->tx.done != end; vi->tx.done++)
		places += at(&vi->tx, vi->tx.done)->events;
	softvi_post(vi, &ev, (vi->flags & EFVI_TX_ALT) ? places : 1);
}

/* Events for what the adapter is through with. One ends with a frame: options behind it wait for the next. */
static void
complete_due(struct efvi_vi *vi)
{
	struct softvi_tx *t = &vi->tx;
	uint32_t frames = 0, max = batch(vi->a), end = t->done;

	for (uint32_t i = t->done; i != t->fetched && at(t, i)->due <= vi->polls; i++) {
		bool frame_ends = i + 1 == t->fetched || at(t, i + 1)->kind != DESC_REST;

		if (at(t, i)->kind == DESC_SELECT || !frame_ends)
			continue;
		end = i + 1;
		if (++frames < max)
			continue;
		complete(vi, end);
		frames = 0;
		max = batch(vi->a);
	}
	if (frames > 0)
		complete(vi, end);
}

void
softvi_tx_progress(struct efvi_vi *vi)
{
	fetch_due(vi);
	complete_due(vi);
}

int
softvi_tx_unbundle(struct efvi_vi *vi, const struct efvi_event *ev, uint32_t *ids)
{
	uint8_t frame[SOFTVI_FRAME_MAX];
	struct softvi_tx *t = &vi->tx;
	int n = 0;

	softvi_enter(vi);
	if (ev->type != EFVI_EV_TX || ev->raw[0] != t->removed ||
	    (uint32_t)(ev->raw[1] - t->removed) > t->announced - t->removed) {
		softvi_fault(vi->a, "transmit events unbundled twice, out of order, or before they came");
		softvi_leave(vi);
		return 0;
	}
	for (; t->removed != (uint32_t)ev->raw[1]; t->removed++) {
		const struct softvi_desc *d = at(t, t->removed);

		if (d->kind == DESC_DMA &&
		    read_dma(vi->a, d->addr, ZF_MIN(d->len, SOFTVI_FRAME_MAX), frame) != d->hash)
			softvi_fault(vi->a, "a sent buffer was changed or given back before its completion");
		if (d->kind == DESC_DMA || d->kind == DESC_PIO)
			ids[n++] = d->id;
	}
	softvi_leave(vi);
	return n;
}

bool
softvi_tx_uses(const struct efvi_vi *vi, const struct efvi_memreg *mr)
{
	for (uint32_t i = vi->tx.removed; i != vi->tx.added; i++) {
		const struct softvi_desc *d = &vi->tx.ring[i & vi->tx.mask];

		for (uint32_t k = 0; d->kind == DESC_DMA && k < mr->n; k++)
			if ((softvi_memreg_dma_addr(mr, (size_t)k * EFVI_PAGE) ^ d->addr) < EFVI_PAGE)
				return true;
	}
	return false;
}
