/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives of drivers/mem: what a port does that has some (struct port_alt_ops), with its completions late, one a
 * receive call. Each rule of that contract is checked, and how much an 8000 series adapter would hold; a breach is a fault.
 */
#include <errno.h>
#include <string.h>

#include "mem/mem_priv.h"

#define WORD      32u
#define BUF_BYTES 512u

int
mem_alt_setup(void *priv, uint16_t qid, uint32_t count, uint32_t bytes, struct port_alt_info *info)
{
	struct mem_port *p = priv;
	struct mem_queue *q = &p->q[qid];

	if (p->cfg.alts == 0)
		return 0; /* the stack does it */
	if (count > p->cfg.alts) {
		zf_err(p->host.log, LC_STACK, "port %s has %u alternatives left: alt_count=%u is refused", p->name,
		       p->cfg.alts, count);
		return -EBUSY;
	}
	memset(q->alts, 0, sizeof(q->alts));
	q->n_alts = count;
	q->alt_words = (bytes / BUF_BYTES + 2 * count) * (BUF_BYTES / WORD);
	info->buf_bytes = BUF_BYTES;
	return 0;
}

static struct mem_alt *
alt_of(struct mem_queue *q, uint32_t id, bool idle)
{
	struct mem_alt *a = &q->alts[ZF_MIN(id, MEM_ALTS_MAX - 1)];

	if (id >= q->n_alts)
		mem_fault(q->port, "alternatives: no such one");
	else if (idle && a->busy > 0)
		mem_fault(q->port, "alternatives: used before it had drained");
	return a;
}

/* Words that all of them hold. */
static uint32_t
words(const struct mem_queue *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->n_alts; i++)
		for (uint32_t k = 0; k < q->alts[i].n; k++)
			n += (q->alts[i].frames[k].m->pkt_len + WORD - 1) / WORD + 1;
	return n;
}

static uint16_t
alt_queue(void *txq, uint32_t id, struct rte_mbuf **pkts, uint16_t n)
{
	struct mem_queue *q = txq;
	struct mem_alt *a = alt_of(q, id, true);

	if (q->port->cfg.alt_refuses > 0) {
		q->port->cfg.alt_refuses--;
		return 0;
	}
	if (a->n + n > MEM_ALT_FRAMES) {
		mem_fault(q->port, "alternatives: too many frames in one");
		return 0;
	}
	for (uint16_t i = 0; i < n; i++) {
		(void)mem_tx_judge(q->port, pkts[i]);
		a->frames[a->n++] = (struct mem_sent){.m = pkts[i], .hash = mem_tx_hash(pkts[i]), .held = true};
	}
	if (words(q) > q->alt_words)
		mem_fault(q->port, "alternatives: more than the adapter holds");
	return n;
}

static void
alt_go(void *txq, uint32_t id)
{
	struct mem_queue *q = txq;
	struct mem_alt *a = alt_of(q, id, true);

	for (uint32_t i = 0; i < a->n; i++)
		mem_tx_depart(q, a->frames[i].m);
	a->busy = a->n;
}

static void
alt_discard(void *txq, uint32_t id)
{
	struct mem_alt *a = alt_of(txq, id, true);

	a->busy = a->n;
}

static uint32_t
alt_busy(void *txq, uint32_t id)
{
	return alt_of(txq, id, false)->busy;
}

/* One event; false if there is none to come. */
bool
mem_alt_event(struct mem_queue *q)
{
	for (uint32_t i = 0; i < q->n_alts; i++) {
		struct mem_alt *a = &q->alts[i];

		if (a->busy == 0)
			continue;
		mem_tx_release(q, &a->frames[a->n - a->busy]);
		if (--a->busy == 0)
			a->n = 0;
		return true;
	}
	return false;
}

void
mem_alt_clear(struct mem_queue *q)
{
	for (uint32_t i = 0; i < q->n_alts; i++) {
		struct mem_alt *a = &q->alts[i];

		for (uint32_t k = a->busy > 0 ? a->n - a->busy : 0; k < a->n; k++)
			mem_tx_release(q, &a->frames[k]);
		a->n = a->busy = 0;
	}
}

const struct port_alt_ops mem_alt_ops = {
	.queue = alt_queue,
	.go = alt_go,
	.discard = alt_discard,
	.busy = alt_busy,
};
