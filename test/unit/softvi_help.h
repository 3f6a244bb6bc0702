/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A small driver over the model's entry points, for tests that do each thing wrong once: what a right one does is here,
 * and each test departs from it in the one way it is about.
 */
#ifndef ZF_TEST_SOFTVI_HELP_H
#define ZF_TEST_SOFTVI_HELP_H

#include <errno.h>
#include <stdlib.h>

#include "mem/mem_tap.h"
#include "softvi/softvi.h"
#include "unit.h"

#define RIG_PAGES 64u
#define RIG_BUF   2048u

struct rig {
	struct softvi *a;
	struct mem_port *port;
	const struct efvi_ops *ops;
	int dh;
	struct efvi_pd *pd;
	struct efvi_vi *vi;
	struct efvi_memreg *mr;
	struct efvi_pio *pio;
	uint8_t *mem; /* RIG_PAGES pages, registered */
	struct efvi_event ev[512];
	uint32_t ids[512];
};

/* A frame of an experimental type: no checksums in it. */
static inline void
rig_frame(uint8_t *b, uint32_t len, uint8_t fill)
{
	memset(b, fill, len);
	memset(b, 0x02, 12);
	b[12] = 0x88;
	b[13] = 0xb5;
}

static inline void
rig_adapter(struct rig *r, const char *name, enum softvi_variant v)
{
	static const struct port_host nobody;

	memset(r, 0, sizeof(*r));
	r->a = softvi_adapter(name);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->a);
	softvi_set_variant(r->a, v);
	softvi_cfg(r->a)->batch = EFVI_BATCH;
	r->port = softvi_port(r->a);
	r->ops = &softvi_ops;
	CU_ASSERT_EQUAL_FATAL(mem_tap_open(r->port, &nobody), 0);
	r->dh = r->ops->driver_open();
	CU_ASSERT_EQUAL_FATAL(r->ops->pd_alloc(r->dh, name, &r->pd), 0);
	r->mem = aligned_alloc(EFVI_PAGE, RIG_PAGES * EFVI_PAGE);
	memset(r->mem, 0, RIG_PAGES * EFVI_PAGE);
	CU_ASSERT_EQUAL_FATAL(r->ops->memreg_alloc(r->dh, r->pd, r->mem, RIG_PAGES * EFVI_PAGE, &r->mr), 0);
}

/* With PIO where the adapter has it. */
static inline void
rig_vi(struct rig *r, uint32_t evq, uint32_t flags)
{
	CU_ASSERT_EQUAL_FATAL(r->ops->vi_alloc(r->dh, r->pd, evq, 512, 512, flags, &r->vi), 0);
	if (r->ops->pio_alloc(r->dh, r->pd, &r->pio) == 0)
		CU_ASSERT_EQUAL_FATAL(r->ops->pio_link(r->pio, r->vi, r->dh), 0);
}

static inline void
rig_open(struct rig *r, const char *name, enum softvi_variant v)
{
	rig_adapter(r, name, v);
	rig_vi(r, 2048, v == SOFTVI_8000_LL ? EFVI_TX_ALT : 0);
}

static inline void
rig_close(struct rig *r)
{
	if (r->pio != NULL) {
		r->ops->pio_unlink(r->pio, r->vi, r->dh);
		r->ops->pio_free(r->pio, r->dh);
	}
	r->ops->vi_free(r->vi, r->dh);
	r->ops->memreg_free(r->mr, r->dh);
	r->ops->pd_free(r->pd, r->dh);
	r->ops->driver_close(r->dh);
	mem_tap_close(r->port);
	mem_flush(r->port);
	free(r->mem);
	CU_ASSERT_EQUAL(softvi_forget(r->a), 0);
	CU_ASSERT_EQUAL(mem_forget(r->port), 0);
}

static inline uint64_t
rig_addr(struct rig *r, size_t offset)
{
	return r->ops->memreg_dma_addr(r->mr, offset);
}

/* Describes the frame of @len bytes that lies in buffer @id. */
static inline int
rig_tx(struct rig *r, uint32_t id, uint32_t len)
{
	rig_frame(r->mem + (size_t)id * RIG_BUF, len, (uint8_t)id);
	return r->ops->tx_init(r->vi, rig_addr(r, (size_t)id * RIG_BUF), len, id);
}

static inline int
rig_send(struct rig *r, uint32_t id, uint32_t len)
{
	int rc = rig_tx(r, id, len);

	if (rc == 0)
		r->ops->tx_push(r->vi);
	return rc;
}

/* Polls @polls times and does with events as one has to: how many ids came back, into r->ids. */
static inline int
rig_poll(struct rig *r, int polls)
{
	int n = 0;

	for (int i = 0; i < polls; i++) {
		int k = r->ops->ev_poll(r->vi, r->ev, (int)ZF_ARRAY_SIZE(r->ev));

		for (int j = 0; j < k; j++)
			if (r->ev[j].type == EFVI_EV_TX)
				n += r->ops->tx_unbundle(r->vi, &r->ev[j], r->ids + n);
	}
	return n;
}

/* The next frame on the wire: its length, and byte 20 of it. -EAGAIN: none. */
static inline int
rig_wire(struct rig *r, uint8_t *fill)
{
	static uint8_t b[16384];
	int n = mem_pop(r->port, b, sizeof(b), NULL);

	*fill = b[20];
	return n;
}

/* Exactly one more fault, which says @what; or none (NULL). */
static inline void
rig_fault(struct rig *r, const char *what)
{
	if (what == NULL) {
		CU_ASSERT_EQUAL(softvi_stats(r->a)->faults, 0);
		if (softvi_stats(r->a)->faults != 0)
			printf("unexpected: %s\n", softvi_last_fault(r->a));
		return;
	}
	CU_ASSERT_EQUAL(softvi_stats(r->a)->faults, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(softvi_last_fault(r->a), what));
	if (strstr(softvi_last_fault(r->a), what) == NULL)
		printf("wanted \"%s\", got \"%s\"\n", what, softvi_last_fault(r->a));
	softvi_stats(r->a)->faults = 0;
}

#endif
