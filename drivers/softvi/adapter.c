/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Adapters by name, their limits, and the cold calls that hand parts of them out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softvi/priv.h"

static struct softvi *adapters;

void
softvi_fault(struct softvi *a, const char *what)
{
	a->stats.faults++;
	snprintf(a->fault, sizeof(a->fault), "%s", what);
	mem_tap_fault(a->port, what);
}

void
softvi_enter(struct efvi_vi *vi)
{
	if (atomic_exchange_explicit(&vi->busy, 1, memory_order_acquire) != 0)
		softvi_fault(vi->a, "two threads in one VI");
}

void
softvi_leave(struct efvi_vi *vi)
{
	atomic_store_explicit(&vi->busy, 0, memory_order_release);
}

static struct softvi *
find(const char *name)
{
	for (struct softvi *a = adapters; a != NULL; a = a->next)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

struct softvi *
softvi_adapter(const char *name)
{
	struct softvi *a = find(name);
	struct mem_port *port = mem_port(name);

	if (a != NULL || port == NULL || strlen(name) >= SOFTVI_NAME_MAX)
		return a;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->filters = calloc(SOFTVI_FILTERS, sizeof(*a->filters));
	if (a->filters == NULL) {
		free(a);
		return NULL;
	}
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->port = port;
	a->kernel_end = &a->kernel;
	a->cfg = (struct softvi_cfg){
		.vis = SOFTVI_VIS,
		.filters = SOFTVI_FILTERS,
		.rx_prefix = 14,
		.rx_buf_bytes = 1792,
		.done_polls = 1,
		.alt_polls = 1,
	};
	softvi_set_variant(a, SOFTVI_8000_LL);
	rng_seed(&a->rng, 1);
	a->next = adapters;
	adapters = a;
	return a;
}

int
softvi_forget(struct softvi *a)
{
	if (softvi_in_use(a) != 0 || a->side_open)
		return -EBUSY;
	for (struct softvi **pp = &adapters; *pp != NULL; pp = &(*pp)->next)
		if (*pp == a) {
			*pp = a->next;
			break;
		}
	free(a->pages);
	free(a->filters);
	free(a);
	return 0;
}

struct mem_port *
softvi_port(struct softvi *a)
{
	return a->port;
}

struct softvi_cfg *
softvi_cfg(struct softvi *a)
{
	return &a->cfg;
}

void
softvi_set_variant(struct softvi *a, enum softvi_variant v)
{
	a->cfg.pio_bytes = v == SOFTVI_7000 ? 2048 : 4096;
	a->cfg.pio_bufs = 14;
	a->cfg.alts = v == SOFTVI_8000_LL;
	a->cfg.vfifos = a->cfg.alts ? 19 : 0;
	a->cfg.alt_bufs = a->cfg.alts ? 256 : 0;
	a->cfg.alt_buf_bytes = 512;
	a->cfg.filter_vlan = v != SOFTVI_8000_LL;
}

struct softvi_stats *
softvi_stats(struct softvi *a)
{
	return &a->stats;
}

const char *
softvi_last_fault(const struct softvi *a)
{
	return a->fault;
}

uint32_t
softvi_rx_posted(const struct softvi *a)
{
	uint32_t n = 0;

	for (int i = 0; i < SOFTVI_VIS; i++)
		if (a->vis[i] != NULL)
			n += a->vis[i]->rx.added - a->vis[i]->rx.removed;
	return n;
}

uint32_t
softvi_tx_pending(const struct softvi *a)
{
	uint32_t n = 0;

	for (int i = 0; i < SOFTVI_VIS; i++)
		for (uint32_t k = a->vis[i] != NULL ? a->vis[i]->tx.removed : 0;
		     a->vis[i] != NULL && k != a->vis[i]->tx.added; k++) {
			uint8_t kind = a->vis[i]->tx.ring[k & a->vis[i]->tx.mask].kind;

			n += kind == DESC_DMA || kind == DESC_PIO;
		}
	return n;
}

uint32_t
softvi_in_use(const struct softvi *a)
{
	uint32_t n = a->n_memregs + a->n_pios + a->n_filters + a->n_pds + a->alt_bufs_used;

	for (int i = 0; i < SOFTVI_VIS; i++)
		n += a->vis[i] != NULL;
	return n;
}

void
softvi_overflow(struct softvi *a)
{
	for (int i = 0; i < SOFTVI_VIS; i++)
		if (a->vis[i] != NULL && !a->vis[i]->ev.overflow) {
			a->vis[i]->ev.overflow = true;
			a->stats.overflows++;
		}
}

/* What waits on the wire is lost with it. */
void
softvi_reset(struct softvi *a)
{
	while (mem_tap_take(a->port, a->frame, sizeof(a->frame)) >= 0)
		;
	for (int i = 0; i < SOFTVI_VIS; i++)
		if (a->vis[i] != NULL)
			a->vis[i]->reset = true;
}

static int
driver_open(void)
{
	for (const struct softvi *a = adapters; a != NULL; a = a->next)
		if (a->cfg.fail[SOFTVI_DRIVER_OPEN] != 0)
			return a->cfg.fail[SOFTVI_DRIVER_OPEN];
	return 3;
}

static void
driver_close(int dh)
{
	(void)dh;
}

static int
if_index(const char *name)
{
	const struct softvi *a = find(name);
	int i = 1;

	if (a == NULL)
		return -ENODEV;
	if (a->cfg.fail[SOFTVI_IF_INDEX] != 0)
		return a->cfg.fail[SOFTVI_IF_INDEX];
	for (const struct softvi *x = a->next; x != NULL; x = x->next)
		i++;
	return i;
}

static struct softvi *
by_index(int index)
{
	for (struct softvi *a = adapters; a != NULL; a = a->next) {
		int i = 1;

		for (const struct softvi *x = a->next; x != NULL; x = x->next)
			i++;
		if (i == index)
			return a;
	}
	return NULL;
}

static int
capability(int dh, int index, enum efvi_cap cap, unsigned long *v)
{
	const struct softvi *a = by_index(index);
	unsigned long values[EFVI_CAP__N] = {0};

	(void)dh;
	if (a == NULL)
		return -ENODEV;
	if (a->cfg.fail[SOFTVI_CAPABILITY] != 0)
		return a->cfg.fail[SOFTVI_CAPABILITY];
	values[EFVI_CAP_PIO] = a->cfg.pio_bytes != 0;
	values[EFVI_CAP_PIO_BYTES] = a->cfg.pio_bytes;
	values[EFVI_CAP_ALTS] = a->cfg.alts;
	values[EFVI_CAP_ALT_VFIFOS] = a->cfg.vfifos;
	values[EFVI_CAP_ALT_BUFS] = a->cfg.alt_bufs;
	values[EFVI_CAP_ALT_BUF_BYTES] = a->cfg.alts ? a->cfg.alt_buf_bytes : 0;
	if ((unsigned)cap >= EFVI_CAP__N || values[cap] == 0)
		return -EOPNOTSUPP;
	*v = values[cap];
	return 0;
}

static int
pd_alloc(int dh, const char *if_name, struct efvi_pd **pd)
{
	struct softvi *a = find(if_name);

	(void)dh;
	if (a == NULL)
		return -ENODEV;
	if (a->cfg.fail[SOFTVI_PD_ALLOC] != 0)
		return a->cfg.fail[SOFTVI_PD_ALLOC];
	*pd = calloc(1, sizeof(**pd));
	if (*pd == NULL)
		return -ENOMEM;
	(*pd)->a = a;
	a->n_pds++;
	return 0;
}

static void
pd_free(struct efvi_pd *pd, int dh)
{
	(void)dh;
	pd->a->n_pds--;
	free(pd);
}

static uint32_t
ring_size(uint32_t want)
{
	return want == 0 ? 1 : (uint32_t)zf_roundup_pow2(ZF_MAX(want, SOFTVI_RING_MIN));
}

static void
vi_release(struct efvi_vi *vi)
{
	free(vi->tx.ring);
	free(vi->rx.ring);
	free(vi->ev.ring);
	free(vi);
}

static struct efvi_vi *
vi_make(uint32_t evq, uint32_t rxq, uint32_t txq)
{
	struct efvi_vi *vi = calloc(1, sizeof(*vi));

	if (vi == NULL)
		return NULL;
	vi->ev.mask = (uint32_t)zf_roundup_pow2(evq) - 1;
	vi->rx.mask = ring_size(rxq) - 1;
	vi->tx.mask = ring_size(txq) - 1;
	vi->tx.alt = SOFTVI_NO_ALT;
	vi->ev.ring = calloc(vi->ev.mask + 1, sizeof(*vi->ev.ring));
	vi->rx.ring = calloc(vi->rx.mask + 1, sizeof(*vi->rx.ring));
	vi->tx.ring = calloc(vi->tx.mask + 1, sizeof(*vi->tx.ring));
	if (vi->ev.ring == NULL || vi->rx.ring == NULL || vi->tx.ring == NULL) {
		vi_release(vi);
		return NULL;
	}
	return vi;
}

static int
vi_alloc(int dh, struct efvi_pd *pd, uint32_t evq, uint32_t rxq, uint32_t txq, uint32_t flags, struct efvi_vi **out)
{
	struct softvi *a = pd->a;

	(void)dh;
	if (a->cfg.fail[SOFTVI_VI_ALLOC] != 0)
		return a->cfg.fail[SOFTVI_VI_ALLOC];
	if (evq == 0 || rxq > SOFTVI_RING_MAX || txq > SOFTVI_RING_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < ZF_MIN(a->cfg.vis, (uint32_t)SOFTVI_VIS); i++) {
		if (a->vis[i] != NULL)
			continue;
		*out = vi_make(evq, rxq, txq);
		if (*out == NULL)
			return -ENOMEM;
		(*out)->a = a;
		(*out)->flags = flags; /* alternatives too, where there are none: as the hardware's driver does */
		a->vis[i] = *out;
		return 0;
	}
	return -EBUSY;
}

static void
vi_free(struct efvi_vi *vi, int dh)
{
	struct softvi *a = vi->a;

	if (vi->pio != NULL)
		vi->pio->vi = NULL;
	if (vi->n_alts > 0)
		(void)softvi_alt_free(vi, dh);
	for (uint32_t i = 0; i < SOFTVI_FILTERS; i++)
		if (a->filters[i].vi == vi) {
			a->filters[i].vi = NULL;
			a->n_filters--;
		}
	for (int i = 0; i < SOFTVI_VIS; i++)
		if (a->vis[i] == vi)
			a->vis[i] = NULL;
	vi_release(vi);
}

static void
vi_mac(struct efvi_vi *vi, int dh, uint8_t mac[6])
{
	(void)dh;
	memcpy(mac, mem_cfg(vi->a->port)->mac, 6);
}

static int
vi_mtu(struct efvi_vi *vi, int dh)
{
	(void)dh;
	return mem_cfg(vi->a->port)->mtu;
}

static uint32_t
rx_prefix(const struct efvi_vi *vi)
{
	return vi->a->cfg.rx_prefix;
}

static uint32_t
rx_buf_bytes(const struct efvi_vi *vi)
{
	return vi->a->cfg.rx_buf_bytes;
}

static int
pio_alloc(int dh, struct efvi_pd *pd, struct efvi_pio **pio)
{
	struct softvi *a = pd->a;

	(void)dh;
	if (a->cfg.fail[SOFTVI_PIO_ALLOC] != 0)
		return a->cfg.fail[SOFTVI_PIO_ALLOC];
	if (a->cfg.pio_bytes == 0)
		return -EOPNOTSUPP;
	if (a->n_pios >= a->cfg.pio_bufs)
		return -ENOSPC;
	*pio = calloc(1, sizeof(**pio));
	if (*pio == NULL)
		return -ENOMEM;
	(*pio)->a = a;
	(*pio)->len = ZF_MIN(a->cfg.pio_bytes, (uint32_t)sizeof((*pio)->bytes));
	a->n_pios++;
	return 0;
}

static int
pio_link(struct efvi_pio *pio, struct efvi_vi *vi, int dh)
{
	(void)dh;
	if (pio->a->cfg.fail[SOFTVI_PIO_LINK] != 0)
		return pio->a->cfg.fail[SOFTVI_PIO_LINK];
	if (pio->vi != NULL || vi->pio != NULL)
		return -EBUSY;
	pio->vi = vi;
	vi->pio = pio;
	return 0;
}

static void
pio_unlink(struct efvi_pio *pio, struct efvi_vi *vi, int dh)
{
	(void)dh;
	pio->vi = NULL;
	vi->pio = NULL;
}

static void
pio_free(struct efvi_pio *pio, int dh)
{
	(void)dh;
	if (pio->vi != NULL) {
		softvi_fault(pio->a, "PIO buffer freed while it is linked to a VI");
		pio->vi->pio = NULL;
	}
	pio->a->n_pios--;
	free(pio);
}

#define HOT(result, name, args) .name = softvi_##name,
const struct efvi_ops softvi_ops = {
	.driver_open = driver_open,
	.driver_close = driver_close,
	.if_index = if_index,
	.capability = capability,
	.pd_alloc = pd_alloc,
	.pd_free = pd_free,
	.vi_alloc = vi_alloc,
	.vi_free = vi_free,
	.vi_mac = vi_mac,
	.vi_mtu = vi_mtu,
	.rx_prefix = rx_prefix,
	.rx_buf_bytes = rx_buf_bytes,
	.memreg_alloc = softvi_memreg_alloc,
	.memreg_free = softvi_memreg_free,
	.memreg_dma_addr = softvi_memreg_dma_addr,
	.filter_add = softvi_filter_add,
	.filter_del = softvi_filter_del,
	.pio_alloc = pio_alloc,
	.pio_link = pio_link,
	.pio_unlink = pio_unlink,
	.pio_free = pio_free,
	.alt_alloc = softvi_alt_alloc,
	.alt_free = softvi_alt_free,
	EFVI_HOT_OPS(HOT)};
