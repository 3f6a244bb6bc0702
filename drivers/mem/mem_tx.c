/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The sending half of drivers/mem. Bytes are copied at once; the mbuf itself is released now, late or at close, as
 * struct mem_cfg says. Each rule of the driver line that a stack could break is checked here; a breach is a fault
 * (mem_on_fault), and the frame goes out all the same.
 */
#include <string.h>

#include "mem/mem_priv.h"

/* One buffer for the bytes of a chain, since everything here runs in one thread. */
static uint8_t flat[MEM_FRAME_MAX];

/* In the manner of FNV-1a, eight bytes at a time: no secret needed, any changed byte shows. */
uint64_t
mem_tx_hash(const struct rte_mbuf *m)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; m != NULL; m = m->next) {
		const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);

		for (uint32_t i = 0; i < m->data_len; i += 8) {
			uint64_t word = 0;

			memcpy(&word, b + i, ZF_MIN(m->data_len - i, 8u));
			h = (h ^ word) * 0x100000001b3ull;
			h ^= h >> 32;
		}
	}
	return h;
}

void
mem_scribble(struct rte_mbuf *m)
{
	memset(m->buf_addr, 0xa5, m->buf_len);
}

void
mem_tx_release(struct mem_queue *q, const struct mem_sent *s)
{
	struct rte_mbuf *m = s->m;

	if (s->held && mem_tx_hash(m) != s->hash)
		mem_fault(q->port, "a sent buffer was changed while the port held it");
	if (q->port->cfg.scribble)
		for (struct rte_mbuf *x = m; x != NULL; x = x->next)
			if (rte_mbuf_refcnt_read(x) == 1 && RTE_MBUF_DIRECT(x))
				mem_scribble(x);
	if (m->pool == q->pool->mp)
		pkt_put(q->pool, m);
	else
		pkt_put_slow(m);
}

void
mem_let_go(struct mem_queue *q, uint32_t n)
{
	while (n-- > 0 && q->sent_n > 0) {
		struct mem_sent s = q->sent[q->sent_head];

		q->sent_head = (q->sent_head + 1) % q->port->tx_ring;
		q->sent_n--;
		mem_tx_release(q, &s);
	}
}

/* An adapter would crash, hang or send rubbish on these. */
bool
mem_tx_judge(struct mem_port *p, const struct rte_mbuf *m)
{
	uint32_t sum = 0;
	uint16_t segs = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		if (++segs > m->nb_segs || (uint32_t)s->data_off + s->data_len > s->buf_len) {
			mem_fault(p, "sent mbuf: impossible chain");
			return false;
		}
		if (rte_mbuf_refcnt_read(s) == 0)
			mem_fault(p, "sent mbuf: free already");
		if (rte_mbuf_refcnt_read(s) > 1 && p->cfg.refuse_shared)
			mem_fault(p, "sent mbuf: shared");
		if (RTE_MBUF_CLONED(s) && p->cfg.refuse_indirect)
			mem_fault(p, "sent mbuf: indirect");
		if (RTE_MBUF_HAS_EXTBUF(s) && p->cfg.refuse_extbuf)
			mem_fault(p, "sent mbuf: external buffer");
		sum += s->data_len;
	}
	if (segs != m->nb_segs || sum != m->pkt_len) {
		mem_fault(p, "sent mbuf: lengths or segments do not add up");
		return false;
	}
	if (segs > 1 && p->cfg.refuse_chained)
		mem_fault(p, "sent mbuf: chained");
	if (sum < 14 || sum > (uint32_t)p->cfg.mtu + 18) {
		mem_fault(p, "sent mbuf: frame too short or too long");
		return sum <= MEM_FRAME_MAX;
	}
	if ((m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~p->tx_offloads) != 0)
		mem_fault(p, "sent mbuf: asks for offloads that the port does not have");
	return true;
}

/* Frames that may be taken now, of @n. */
static uint32_t
room(const struct mem_queue *q, uint32_t n)
{
	const struct mem_cfg *c = &q->port->cfg;

	n = ZF_MIN(n, c->accept);
	n = ZF_MIN(n, c->credit);
	if (c->hold == MEM_ALL)
		n = ZF_MIN(n, q->port->tx_ring - q->sent_n);
	return n;
}

void
mem_tx_depart(struct mem_queue *q, const struct rte_mbuf *m)
{
	struct mem_port *p = q->port;
	uint32_t len = 0;

	p->stats.tx_frames++;
	if (!mem_tx_judge(p, m))
		return;
	for (const struct rte_mbuf *x = m; x != NULL; x = x->next) {
		memcpy(flat + len, rte_pktmbuf_mtod(x, const uint8_t *), x->data_len);
		len += x->data_len;
	}
	if ((m->ol_flags & p->tx_offloads) != 0 && !mem_fill(flat, len, m))
		mem_fault(p, "sent mbuf: offload fields that make no sense");
	mem_depart(p, flat, len);
}

static void
take_one(struct mem_queue *q, struct rte_mbuf *m)
{
	struct mem_port *p = q->port;
	struct mem_sent s = {.m = m, .serial = ++q->serial, .held = p->cfg.hold != 0};
	uint32_t hold = p->cfg.hold;

	mem_tx_depart(q, m);
	if (s.held)
		s.hash = mem_tx_hash(m);
	if (hold != MEM_ALL) { /* a ring's worth at most */
		hold = ZF_MIN(hold, p->tx_ring);
		while (q->sent_n > 0 && q->sent[q->sent_head].serial + hold <= s.serial)
			mem_let_go(q, 1);
	}
	if (hold == 0) {
		mem_tx_release(q, &s);
		return;
	}
	q->sent[(q->sent_head + q->sent_n) % p->tx_ring] = s;
	q->sent_n++;
}

uint16_t
mem_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct mem_queue *q = queue;
	struct mem_port *p = q->port;
	uint16_t k = (uint16_t)room(q, n);

	p->stats.tx_refused += (uint64_t)n - k;
	if (p->cfg.credit != MEM_ALL)
		p->cfg.credit -= k;
	for (uint16_t i = 0; i < k; i++)
		take_one(q, pkts[i]);
	return k;
}

uint16_t
mem_tx_copy(void *queue, const void *hdr, uint32_t hdr_len, const void *payload, uint32_t len)
{
	struct mem_queue *q = queue;
	struct mem_port *p = q->port;

	if (hdr_len + len > p->cfg.tx_copy_max) {
		mem_fault(p, "tx_copy: longer than tx_copy_max");
		return 0;
	}
	if (room(q, 1) == 0) {
		p->stats.tx_refused++;
		return 0;
	}
	if (p->cfg.credit != MEM_ALL)
		p->cfg.credit--;
	memcpy(flat, hdr, hdr_len);
	if (len > 0)
		memcpy(flat + hdr_len, payload, len);
	p->stats.tx_frames++;
	p->stats.tx_by_copy++;
	mem_depart(p, flat, hdr_len + len);
	return 1;
}

uint32_t
mem_tx_room(void *queue)
{
	const struct mem_queue *q = queue;

	return room(q, q->port->tx_ring);
}
