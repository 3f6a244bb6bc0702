/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See mem_tap.h.
 */
#include "mem/mem_tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem_priv.h"

int
mem_tap_open(struct mem_port *p, const struct port_host *host)
{
	if (p->open)
		return -EBUSY;
	if (p->cfg.fail_open != 0)
		return p->cfg.fail_open;
	if (p->link == PORT_LINK_GONE)
		return -ENODEV;
	p->host = *host;
	p->n_queues = 1;
	p->rx_ring = p->cfg.rx_ring_max;
	p->open = p->started = true;
	p->mc_n = 0;
	p->lk_free_ns = p->lk_last_ns = 0;
	return 0;
}

void
mem_tap_close(struct mem_port *p)
{
	mem_list_clear(&p->q[0].rx);
	mem_publish_due(&p->q[0]);
	p->open = p->started = false;
	p->reset_asked = false;
	p->mc_n = 0;
}

int
mem_tap_take(struct mem_port *p, void *buf, uint32_t size)
{
	struct mem_queue *q = &p->q[0];
	struct mem_frame *f = q->rx.head;
	uint32_t len;

	if (f == NULL || f->when_ns > mem_clock_ns)
		return -EAGAIN;
	f = mem_list_shift(&q->rx);
	mem_publish_due(q);
	len = f->len;
	if (ZF_MIN(len, size) > 0)
		memcpy(buf, f->bytes, ZF_MIN(len, size));
	free(f);
	return (int)len;
}

void
mem_tap_send(struct mem_port *p, const void *frame, uint32_t len)
{
	p->stats.tx_frames++;
	mem_depart(p, frame, len);
}

void
mem_tap_fault(struct mem_port *p, const char *what)
{
	mem_fault(p, what);
}

enum port_link
mem_tap_link(const struct mem_port *p)
{
	return p->link;
}

uint64_t
mem_tap_next_due(const struct mem_port *p, uint64_t now_ns)
{
	const struct mem_frame *f = p->q[0].rx.head;

	while (f != NULL && f->when_ns <= now_ns)
		f = f->next;
	return f != NULL ? f->when_ns : UINT64_MAX;
}

bool
mem_tap_reset_asked(struct mem_port *p)
{
	bool asked = p->reset_asked;

	p->reset_asked = false;
	return asked;
}

int
mem_tap_mc_list(struct mem_port *p, const uint8_t (*macs)[6], uint32_t n)
{
	return mem_driver.mc_list(p, macs, n);
}
