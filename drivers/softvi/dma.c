/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory as the adapter sees it: each registered page of 4 KiB gets a DMA address of its own, and no two that are
 * neighbours in memory are neighbours there.
 */
#include <errno.h>
#include <stdlib.h>

#include "softvi/priv.h"

/* DMA page numbers are the slots' numbers, scrambled: odd multiples permute a power of two. */
#define PAGE_BITS  20
#define PAGE_MASK  ((1u << PAGE_BITS) - 1)
#define PAGE_MUL   0x9e3b1u
#define PAGE_XOR   0x5a5a5u
/* No address is small, so that an offset that was taken for one is found. */
#define PAGE_BASE  ((uint64_t)1 << 36)

/* The inverse of PAGE_MUL, by Newton's iteration: each step doubles the bits that are right. */
static uint32_t
inverse(void)
{
	uint32_t x = PAGE_MUL;

	for (int i = 0; i < 5; i++)
		x *= 2 - PAGE_MUL * x;
	return x & PAGE_MASK;
}

static uint64_t
page_addr(uint32_t slot)
{
	return PAGE_BASE + (uint64_t)((slot * PAGE_MUL & PAGE_MASK) ^ PAGE_XOR) * EFVI_PAGE;
}

static struct softvi_page *
page_find(struct softvi *a, uint64_t addr)
{
	uint64_t page = (addr - PAGE_BASE) / EFVI_PAGE;
	uint32_t slot;

	if (addr < PAGE_BASE || page > PAGE_MASK)
		return NULL;
	slot = ((uint32_t)page ^ PAGE_XOR) * inverse() & PAGE_MASK;
	return slot < a->n_pages && a->pages[slot].va != NULL ? &a->pages[slot] : NULL;
}

uint8_t *
softvi_dma(struct softvi *a, uint64_t addr, uint32_t len, uint32_t *n)
{
	const struct softvi_page *p = page_find(a, addr);

	if (p == NULL) {
		softvi_fault(a, "DMA to an address that is not registered");
		return NULL;
	}
	*n = ZF_MIN(len, EFVI_PAGE - (uint32_t)(addr % EFVI_PAGE));
	return p->va + addr % EFVI_PAGE;
}

/* A free slot, from @from on; the table grows. */
static int
take_slot(struct softvi *a, uint32_t from, uint32_t *slot)
{
	struct softvi_page *more;
	uint32_t n;

	for (*slot = from; *slot < a->n_pages; (*slot)++)
		if (a->pages[*slot].va == NULL)
			return 0;
	n = ZF_MAX(a->n_pages * 2, 1024u);
	more = n > PAGE_MASK ? NULL : realloc(a->pages, n * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	for (uint32_t i = a->n_pages; i < n; i++)
		more[i] = (struct softvi_page){0};
	a->pages = more;
	a->n_pages = n;
	return 0;
}

int
softvi_memreg_alloc(int dh, struct efvi_pd *pd, void *mem, size_t len, struct efvi_memreg **out)
{
	struct softvi *a = pd->a;
	struct efvi_memreg *mr;
	uint32_t slot = 0;

	(void)dh;
	if (a->cfg.fail[SOFTVI_MEMREG_ALLOC] != 0)
		return a->cfg.fail[SOFTVI_MEMREG_ALLOC];
	if ((uintptr_t)mem % EFVI_PAGE != 0 || len == 0)
		return -EINVAL;
	mr = calloc(1, sizeof(*mr));
	if (mr == NULL)
		return -ENOMEM;
	*mr = (struct efvi_memreg){.a = a, .mem = mem, .len = len, .n = (uint32_t)((len + EFVI_PAGE - 1) / EFVI_PAGE)};
	mr->slots = calloc(mr->n, sizeof(*mr->slots));
	for (uint32_t i = 0; i < mr->n && mr->slots != NULL; i++) {
		if (take_slot(a, slot, &slot) < 0) {
			mr->n = i;
			a->n_memregs++;
			softvi_memreg_free(mr, dh);
			return -ENOMEM;
		}
		a->pages[slot] = (struct softvi_page){mr->mem + (size_t)i * EFVI_PAGE, mr};
		mr->slots[i] = slot;
	}
	if (mr->slots == NULL) {
		free(mr);
		return -ENOMEM;
	}
	a->n_memregs++;
	*out = mr;
	return 0;
}

void
softvi_memreg_free(struct efvi_memreg *mr, int dh)
{
	struct softvi *a = mr->a;

	(void)dh;
	for (int i = 0; i < SOFTVI_VIS; i++)
		if (a->vis[i] != NULL && (softvi_tx_uses(a->vis[i], mr) || softvi_rx_uses(a->vis[i], mr)))
			softvi_fault(a, "memory unregistered that a ring still points to");
	for (uint32_t i = 0; i < mr->n; i++)
		a->pages[mr->slots[i]] = (struct softvi_page){0};
	a->n_memregs--;
	free(mr->slots);
	free(mr);
}

uint64_t
softvi_memreg_dma_addr(const struct efvi_memreg *mr, size_t offset)
{
	if (offset >= (size_t)mr->n * EFVI_PAGE) {
		softvi_fault(mr->a, "DMA address asked for beyond the registered memory");
		return 0;
	}
	return page_addr(mr->slots[offset / EFVI_PAGE]) + offset % EFVI_PAGE;
}
