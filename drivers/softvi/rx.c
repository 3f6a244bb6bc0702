/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The receive ring and the filters in front of it. Frames that are due go where the narrowest filter says, into buffers
 * posted there, or are lost; what no filter takes is the kernel's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softvi/priv.h"

static uint32_t
space(const struct efvi_vi *vi)
{
	return vi->rx.mask - (vi->rx.added - vi->rx.removed);
}

uint32_t
softvi_rx_space(const struct efvi_vi *vi)
{
	return space(vi);
}

int
softvi_rx_init(struct efvi_vi *vi, uint64_t addr, uint32_t id)
{
	int rc = -EAGAIN;
	uint32_t n;

	softvi_enter(vi);
	if (space(vi) > 0) {
		if (addr % EFVI_PAGE + vi->a->cfg.rx_buf_bytes > EFVI_PAGE)
			softvi_fault(vi->a, "receive buffer across a page");
		(void)softvi_dma(vi->a, addr, 1, &n);
		vi->rx.ring[vi->rx.added++ & vi->rx.mask] = (struct softvi_rxdesc){addr, id};
		rc = 0;
	}
	softvi_leave(vi);
	return rc;
}

void
softvi_rx_push(struct efvi_vi *vi)
{
	softvi_enter(vi);
	vi->rx.pushed = vi->rx.added;
	softvi_leave(vi);
}

bool
softvi_rx_uses(const struct efvi_vi *vi, const struct efvi_memreg *mr)
{
	for (uint32_t i = vi->rx.filled; i != vi->rx.added; i++)
		for (uint32_t k = 0; k < mr->n; k++)
			if ((softvi_memreg_dma_addr(mr, (size_t)k * EFVI_PAGE) ^ vi->rx.ring[i & vi->rx.mask].addr) <
			    EFVI_PAGE)
				return true;
	return false;
}

/* One piece of a frame into the next buffer, behind the prefix if it is the first. */
static void
fill(struct efvi_vi *vi, const uint8_t *b, uint32_t len, uint32_t before, bool last, bool csum_ok)
{
	const struct softvi_rxdesc *d = &vi->rx.ring[vi->rx.filled++ & vi->rx.mask];
	uint32_t prefix = before == 0 ? vi->a->cfg.rx_prefix : 0, n;
	uint8_t *to = softvi_dma(vi->a, d->addr, prefix + len, &n);
	struct efvi_event ev = {
		.type = csum_ok ? EFVI_EV_RX : EFVI_EV_RX_DISCARD,
		.reason = EFVI_BAD_CSUM,
		.sop = before == 0,
		.cont = !last,
		.len = (uint16_t)(vi->a->cfg.rx_prefix + before + len),
		.id = d->id,
	};

	if (to != NULL && n == prefix + len) {
		memset(to, 0xa5, prefix);
		memcpy(to + prefix, b, len);
	}
	softvi_post(vi, &ev, 1);
}

static void
receive(struct efvi_vi *vi, const uint8_t *b, uint32_t len)
{
	struct softvi *a = vi->a;
	uint32_t room = a->cfg.rx_buf_bytes, n = (a->cfg.rx_prefix + len + room - 1) / room, off = 0;
	bool ok = softvi_csum_ok(b, len);

	if (vi->reset || vi->ev.overflow)
		return;
	if (vi->rx.pushed - vi->rx.filled < n) {
		a->stats.rx_lost_no_desc++;
		mem_stats(a->port)->rx_lost_full++;
		return;
	}
	do {
		uint32_t part = ZF_MIN(len - off, off == 0 ? room - a->cfg.rx_prefix : room);

		fill(vi, b + off, part, off, off + part == len, ok);
		off += part;
	} while (off < len);
	a->stats.rx_frames++;
}

/* What filters look at. */
struct key {
	uint16_t vlan;
	uint8_t proto;
	bool eth, ports;
	be32_t lip, rip;
	be16_t lport, rport;
};

static void
key_of(const uint8_t *b, uint32_t len, struct key *k)
{
	uint32_t l3 = 14, hlen;

	memset(k, 0, sizeof(*k));
	k->eth = len >= 14;
	if (len >= 18 && b[12] == 0x81 && b[13] == 0) {
		k->vlan = (uint16_t)((b[14] & 15) << 8 | b[15]);
		l3 = 18;
	}
	if (len < l3 + 20 || b[l3 - 2] != 8 || b[l3 - 1] != 0 || b[l3] >> 4 != 4)
		return;
	hlen = (b[l3] & 15) * 4u;
	k->proto = b[l3 + 9];
	memcpy(&k->rip, b + l3 + 12, 4);
	memcpy(&k->lip, b + l3 + 16, 4);
	/* Fragments have no ports that hardware would look at, the first one neither. */
	if (hlen < 20 || len < l3 + hlen + 4 || ((b[l3 + 6] & 0x3f) | b[l3 + 7]) != 0)
		return;
	k->ports = k->proto == 6 || k->proto == 17;
	memcpy(&k->rport, b + l3 + hlen, 2);
	memcpy(&k->lport, b + l3 + hlen + 2, 2);
}

static bool
matches(const struct efvi_filter *f, const uint8_t *b, const struct key *k)
{
	if (f->vlan != k->vlan)
		return false;
	if (f->form == EFVI_FILTER_MAC)
		return k->eth && memcmp(f->mac, b, 6) == 0;
	return k->ports && f->proto == k->proto && be32_eq(f->lip, k->lip) && be16_eq(f->lport, k->lport) &&
	       (f->form == EFVI_FILTER_LOCAL || (be32_eq(f->rip, k->rip) && be16_eq(f->rport, k->rport)));
}

static void
to_kernel(struct softvi *a, const uint8_t *b, uint32_t len)
{
	struct softvi_kframe *f;

	a->stats.rx_kernel++;
	if (!a->side_open)
		return;
	f = malloc(sizeof(*f) + len);
	if (f == NULL)
		return;
	f->next = NULL;
	f->len = len;
	memcpy(f->bytes, b, len);
	*a->kernel_end = f;
	a->kernel_end = &f->next;
}

/* To all VIs with a filter of the narrowest form that matches: several of them with multicast only. */
static void
dispatch(struct softvi *a, const uint8_t *b, uint32_t len)
{
	static const uint8_t narrow_first[] = {EFVI_FILTER_FULL, EFVI_FILTER_LOCAL, EFVI_FILTER_MAC};
	struct key k;
	bool taken = false, many = len > 0 && (b[0] & 1) != 0;

	key_of(b, len, &k);
	for (size_t form = 0; form < ZF_ARRAY_SIZE(narrow_first) && !taken; form++)
		for (uint32_t i = 0; i < a->cfg.filters && !(taken && !many); i++) {
			const struct softvi_filter *f = &a->filters[i];

			if (f->vi == NULL || f->f.form != narrow_first[form] || !matches(&f->f, b, &k))
				continue;
			receive(f->vi, b, len);
			taken = true;
		}
	if (!taken && a->cfg.all_to_vi && a->vis[0] != NULL)
		receive(a->vis[0], b, len);
	else if (!taken)
		to_kernel(a, b, len);
}

void
softvi_rx_pull(struct softvi *a)
{
	int len;

	while ((len = mem_tap_take(a->port, a->frame, sizeof(a->frame))) >= 0)
		if (len <= (int)sizeof(a->frame))
			dispatch(a, a->frame, (uint32_t)len);
}

static bool
same(const struct efvi_filter *x, const struct efvi_filter *y)
{
	return x->form == y->form && x->vlan == y->vlan && memcmp(x->mac, y->mac, 6) == 0 && x->proto == y->proto &&
	       be32_eq(x->lip, y->lip) && be32_eq(x->rip, y->rip) && be16_eq(x->lport, y->lport) &&
	       be16_eq(x->rport, y->rport);
}

int
softvi_filter_add(struct efvi_vi *vi, int dh, const struct efvi_filter *f, struct efvi_filter_id *id)
{
	struct softvi *a = vi->a;
	bool many = f->form == EFVI_FILTER_MAC ? (f->mac[0] & 1) != 0 : be32_host(f->lip) >> 28 == 14;
	uint32_t place = UINT32_MAX;

	(void)dh;
	if (a->cfg.fail[SOFTVI_FILTER_ADD] != 0)
		return a->cfg.fail[SOFTVI_FILTER_ADD];
	if (f->vlan != 0 && !a->cfg.filter_vlan)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < ZF_MIN(a->cfg.filters, SOFTVI_FILTERS); i++) {
		if (a->filters[i].vi == NULL)
			place = ZF_MIN(place, i);
		else if (same(&a->filters[i].f, f) && (!many || a->filters[i].vi == vi))
			return -EEXIST;
	}
	if (place == UINT32_MAX)
		return -EBUSY;
	a->filters[place] = (struct softvi_filter){vi, *f};
	a->n_filters++;
	id->v = place + 1;
	return 0;
}

int
softvi_filter_del(struct efvi_vi *vi, int dh, const struct efvi_filter_id *id)
{
	struct softvi *a = vi->a;

	(void)dh;
	if (id->v == 0 || id->v > SOFTVI_FILTERS || a->filters[id->v - 1].vi != vi) {
		softvi_fault(a, "a filter removed that is not there");
		return -ENOENT;
	}
	a->filters[id->v - 1].vi = NULL;
	a->n_filters--;
	return 0;
}
