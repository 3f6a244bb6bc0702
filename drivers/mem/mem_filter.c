/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Steering by a port in memory: a table of filters, consulted when a frame arrives, the narrowest match first. Parses for
 * itself, so that a mistake of the stack's parser does not hide itself.
 */
#include <errno.h>
#include <string.h>

#include "mem/mem_priv.h"

static bool
same(const struct port_filter *a, const struct port_filter *b)
{
	return be32_eq(a->lip, b->lip) && be32_eq(a->rip, b->rip) && be16_eq(a->lport, b->lport) &&
	       be16_eq(a->rport, b->rport) && a->vlan == b->vlan && a->proto == b->proto;
}

int
mem_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id)
{
	struct mem_port *p = priv;

	if (qid >= p->n_queues) {
		mem_fault(p, "a filter to a queue that is not there");
		return -EINVAL;
	}
	if (be32_is_zero(f->rip) ? p->cfg.filters_narrow : p->cfg.filters_wide)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < p->n_filters; i++)
		if (same(&p->filters[i].f, f))
			return -EEXIST;
	if (p->n_filters >= ZF_MIN(p->cfg.filters_max, (uint32_t)MEM_FILTERS_MAX))
		return -EBUSY;
	p->filters[p->n_filters++] = (struct mem_filter){*f, qid, ++p->filter_serial};
	id->v[0] = p->filter_serial;
	return 0;
}

void
mem_filter_del(void *priv, const struct port_filter_id *id)
{
	struct mem_port *p = priv;

	for (uint32_t i = 0; i < p->n_filters; i++)
		if (p->filters[i].serial == id->v[0]) {
			p->filters[i] = p->filters[--p->n_filters];
			return;
		}
	if (id->v[0] > p->forgotten)
		mem_fault(p, "a filter is taken away that is not there");
}

int
mem_filter_at(const struct mem_port *p, uint32_t i, struct port_filter *f)
{
	if (i >= p->n_filters)
		return -1;
	*f = p->filters[i].f;
	return p->filters[i].qid;
}

uint32_t
mem_filter_count(const struct mem_port *p)
{
	return p->n_filters;
}

/* What a frame would have to be asked for by; false: no IPv4 UDP or TCP, or a later fragment. */
static bool
frame_key(const uint8_t *b, uint32_t len, struct port_filter *k)
{
	uint32_t at = 14, ihl;

	memset(k, 0, sizeof(*k));
	if (len >= 18 && b[12] == 0x81 && b[13] == 0) {
		k->vlan = (uint16_t)((b[14] << 8 | b[15]) & 0xfff);
		at = 18;
	}
	if (len < at + 20 || b[at - 2] != 8 || b[at - 1] != 0)
		return false;
	ihl = (b[at] & 15u) * 4u;
	k->proto = b[at + 9];
	if (len < at + ihl + 4 || (k->proto != 17 && k->proto != 6) || ((b[at + 6] << 8 | b[at + 7]) & 0x3fff) != 0)
		return false;
	memcpy(&k->rip, b + at + 12, 4);
	memcpy(&k->lip, b + at + 16, 4);
	memcpy(&k->rport, b + at + ihl, 2);
	memcpy(&k->lport, b + at + ihl + 2, 2);
	return true;
}

static bool
matches(const struct port_filter *f, const struct port_filter *k)
{
	return f->proto == k->proto && f->vlan == k->vlan && be32_eq(f->lip, k->lip) && be16_eq(f->lport, k->lport) &&
	       (be32_is_zero(f->rip) || be32_eq(f->rip, k->rip)) &&
	       (be16_is_zero(f->rport) || be16_eq(f->rport, k->rport));
}

uint16_t
mem_filter_queue(const struct mem_port *p, const uint8_t *frame, uint32_t len)
{
	struct port_filter k;
	uint16_t qid = 0;
	int best = -1;

	if (p->n_filters == 0 || !frame_key(frame, len, &k))
		return 0;
	for (uint32_t i = 0; i < p->n_filters; i++) {
		const struct port_filter *f = &p->filters[i].f;
		int narrow = !be32_is_zero(f->rip) + !be16_is_zero(f->rport);

		if (narrow > best && matches(f, &k)) {
			best = narrow;
			qid = p->filters[i].qid;
		}
	}
	return qid;
}
