/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The back end for hardware: ops.h over the vendor's library, and hot.inc over its macros. The one file that includes its
 * headers. Linked statically with the library that belongs to those headers, since neither the structures nor the macros
 * are the same from one release to the next.
 *
 * Right by study: no adapter was there when it was written. Everything above it runs over the model.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <etherfabric/base.h>
#include <etherfabric/capabilities.h>
#include <etherfabric/ef_vi.h>
#include <etherfabric/memreg.h>
#include <etherfabric/pd.h>
#include <etherfabric/pio.h>
#include <etherfabric/vi.h>

#include "ef_vi/real.h"

struct efvi_pd {
	ef_pd pd;
};

struct efvi_vi {
	ef_vi vi;
};

struct efvi_memreg {
	ef_memreg mr;
};

struct efvi_pio {
	ef_pio pio;
};

/* Its rings are looked at through macros that are not const. */
#define VI(v) ((ef_vi *)(uintptr_t) & (v)->vi)

ZF_STATIC_ASSERT(sizeof(ef_event) <= sizeof(((struct efvi_event *)0)->raw), "an event is carried to unbundling whole");
ZF_STATIC_ASSERT(EF_VI_TRANSMIT_BATCH <= EFVI_BATCH, "and its ids fit");

static ZF_ALWAYS_INLINE int
real_rx_init(struct efvi_vi *vi, uint64_t addr, uint32_t id)
{
	return ef_vi_receive_init(VI(vi), addr, (ef_request_id)id);
}

static ZF_ALWAYS_INLINE void
real_rx_push(struct efvi_vi *vi)
{
	ef_vi_receive_push(VI(vi));
}

static ZF_ALWAYS_INLINE uint32_t
real_rx_space(const struct efvi_vi *vi)
{
	return (uint32_t)ef_vi_receive_space(VI(vi));
}

static ZF_ALWAYS_INLINE int
real_tx_init(struct efvi_vi *vi, uint64_t addr, uint32_t len, uint32_t id)
{
	return ef_vi_transmit_init(VI(vi), addr, (int)len, (ef_request_id)id);
}

static ZF_ALWAYS_INLINE void
real_tx_push(struct efvi_vi *vi)
{
	ef_vi_transmit_push(VI(vi));
}

static ZF_ALWAYS_INLINE uint32_t
real_tx_space(const struct efvi_vi *vi)
{
	return (uint32_t)ef_vi_transmit_space(VI(vi));
}

static ZF_ALWAYS_INLINE int
real_tx_copy_pio(struct efvi_vi *vi, uint32_t offset, const void *src, uint32_t len, uint32_t id)
{
	return ef_vi_transmit_copy_pio(VI(vi), (int)offset, src, (int)len, (ef_request_id)id);
}

static ZF_ALWAYS_INLINE int
real_tx_unbundle(struct efvi_vi *vi, const struct efvi_event *ev, uint32_t *ids)
{
	ef_event e;

	ZF_STATIC_ASSERT(sizeof(ef_request_id) == sizeof(*ids), "the same array");
	memcpy(&e, ev->raw, sizeof(e));
	return ef_vi_transmit_unbundle(VI(vi), &e, (ef_request_id *)ids);
}

static ZF_ALWAYS_INLINE void
translate(const ef_event *e, struct efvi_event *ev)
{
	switch (EF_EVENT_TYPE(*e)) {
	case EF_EVENT_TYPE_RX:
		ev->type = EFVI_EV_RX;
		ev->id = (uint32_t)EF_EVENT_RX_RQ_ID(*e);
		ev->len = (uint16_t)EF_EVENT_RX_BYTES(*e);
		ev->sop = EF_EVENT_RX_SOP(*e);
		ev->cont = EF_EVENT_RX_CONT(*e);
		break;
	case EF_EVENT_TYPE_TX:
		ev->type = EFVI_EV_TX;
		memcpy(ev->raw, e, sizeof(*e));
		break;
	case EF_EVENT_TYPE_RX_DISCARD:
		ev->type = EFVI_EV_RX_DISCARD;
		ev->id = (uint32_t)EF_EVENT_RX_DISCARD_RQ_ID(*e);
		ev->len = (uint16_t)EF_EVENT_RX_DISCARD_BYTES(*e);
		ev->sop = EF_EVENT_RX_DISCARD_SOP(*e);
		ev->cont = EF_EVENT_RX_DISCARD_CONT(*e);
		ev->reason = EF_EVENT_RX_DISCARD_TYPE(*e) == EF_EVENT_RX_DISCARD_CSUM_BAD ? EFVI_BAD_CSUM
											  : EFVI_BAD_FRAME;
		break;
	case EF_EVENT_TYPE_TX_ALT:
		ev->type = EFVI_EV_TX_ALT;
		ev->id = e->tx_alt.id;
		ev->alt = (uint16_t)e->tx_alt.alt_id;
		break;
	case EF_EVENT_TYPE_OFLOW:
		ev->type = EFVI_EV_OFLOW;
		break;
	case EF_EVENT_TYPE_RESET:
		ev->type = EFVI_EV_RESET;
		break;
	default:
		ev->type = EFVI_EV_OTHER;
		break;
	}
}

static ZF_ALWAYS_INLINE int
real_ev_poll(struct efvi_vi *vi, struct efvi_event *evs, int n)
{
	ef_event es[32];
	int k = ef_eventq_poll(VI(vi), es, ZF_MIN(n, (int)ZF_ARRAY_SIZE(es)));

	for (int i = 0; i < k; i++)
		translate(&es[i], &evs[i]);
	return k;
}

static ZF_ALWAYS_INLINE int
real_alt_select(struct efvi_vi *vi, uint32_t alt)
{
	return ef_vi_transmit_alt_select(VI(vi), alt);
}

static ZF_ALWAYS_INLINE int
real_alt_select_normal(struct efvi_vi *vi)
{
	return ef_vi_transmit_alt_select_normal(VI(vi));
}

static ZF_ALWAYS_INLINE int
real_alt_stop(struct efvi_vi *vi, uint32_t alt)
{
	return ef_vi_transmit_alt_stop(VI(vi), alt);
}

static ZF_ALWAYS_INLINE int
real_alt_go(struct efvi_vi *vi, uint32_t alt)
{
	return ef_vi_transmit_alt_go(VI(vi), alt);
}

static ZF_ALWAYS_INLINE int
real_alt_discard(struct efvi_vi *vi, uint32_t alt)
{
	return ef_vi_transmit_alt_discard(VI(vi), alt);
}

#define EFVI_CALL(name) real_##name
#define EFVI_HOT_TABLE  efvi_real_hot
#include "ef_vi/hot.inc"

static int
driver_open(void)
{
	ef_driver_handle dh;
	int rc = ef_driver_open(&dh);

	return rc < 0 ? rc : dh;
}

static void
driver_close(int dh)
{
	(void)ef_driver_close(dh);
}

static int
if_index(const char *name)
{
	unsigned i = if_nametoindex(name);

	return i != 0 ? (int)i : -ENODEV;
}

static int
capability(int dh, int index, enum efvi_cap cap, unsigned long *v)
{
	static const enum ef_vi_capability theirs[EFVI_CAP__N] = {
		[EFVI_CAP_PIO] = EF_VI_CAP_PIO,
		[EFVI_CAP_PIO_BYTES] = EF_VI_CAP_PIO_BUFFER_SIZE,
		[EFVI_CAP_CTPIO] = EF_VI_CAP_CTPIO,
		[EFVI_CAP_ALTS] = EF_VI_CAP_TX_ALTERNATIVES,
		[EFVI_CAP_ALT_VFIFOS] = EF_VI_CAP_TX_ALTERNATIVES_VFIFOS,
		[EFVI_CAP_ALT_BUFS] = EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFERS,
		[EFVI_CAP_ALT_BUF_BYTES] = EF_VI_CAP_TX_ALTERNATIVES_CP_BUFFER_SIZE,
	};

	return ef_vi_capabilities_get(dh, index, theirs[cap], v);
}

static int
pd_alloc(int dh, const char *if_name, struct efvi_pd **out)
{
	struct efvi_pd *pd = calloc(1, sizeof(*pd));
	int rc;

	if (pd == NULL)
		return -ENOMEM;
	rc = ef_pd_alloc_by_name(&pd->pd, dh, if_name, EF_PD_DEFAULT);
	if (rc < 0) {
		free(pd);
		return rc;
	}
	*out = pd;
	return 0;
}

static void
pd_free(struct efvi_pd *pd, int dh)
{
	(void)ef_pd_free(&pd->pd, dh);
	free(pd);
}

static int
vi_alloc(int dh, struct efvi_pd *pd, uint32_t evq, uint32_t rxq, uint32_t txq, uint32_t flags, struct efvi_vi **out)
{
	struct efvi_vi *vi = aligned_alloc(ZF_CACHE_LINE, zf_align_up(sizeof(*vi), ZF_CACHE_LINE));
	int rc;

	if (vi == NULL)
		return -ENOMEM;
	memset(vi, 0, sizeof(*vi));
	rc = ef_vi_alloc_from_pd(&vi->vi, dh, &pd->pd, dh, (int)evq, (int)rxq, (int)txq, NULL, -1,
				 flags & EFVI_TX_ALT ? EF_VI_TX_ALT : EF_VI_FLAGS_DEFAULT);
	if (rc < 0) {
		free(vi);
		return rc;
	}
	*out = vi;
	return 0;
}

static void
vi_free(struct efvi_vi *vi, int dh)
{
	(void)ef_vi_free(&vi->vi, dh);
	free(vi);
}

static void
vi_mac(struct efvi_vi *vi, int dh, uint8_t mac[6])
{
	(void)ef_vi_get_mac(&vi->vi, dh, mac);
}

static int
vi_mtu(struct efvi_vi *vi, int dh)
{
	return ef_vi_mtu(&vi->vi, dh);
}

static uint32_t
rx_prefix(const struct efvi_vi *vi)
{
	return (uint32_t)ef_vi_receive_prefix_len(VI(vi));
}

static uint32_t
rx_buf_bytes(const struct efvi_vi *vi)
{
	return (uint32_t)ef_vi_receive_buffer_len(VI(vi));
}

static int
memreg_alloc(int dh, struct efvi_pd *pd, void *mem, size_t len, struct efvi_memreg **out)
{
	struct efvi_memreg *mr = calloc(1, sizeof(*mr));
	int rc;

	if (mr == NULL)
		return -ENOMEM;
	rc = ef_memreg_alloc(&mr->mr, dh, &pd->pd, dh, mem, len);
	if (rc < 0) {
		free(mr);
		return rc;
	}
	*out = mr;
	return 0;
}

static void
memreg_free(struct efvi_memreg *mr, int dh)
{
	(void)ef_memreg_free(&mr->mr, dh);
	free(mr);
}

static uint64_t
memreg_dma_addr(const struct efvi_memreg *mr, size_t offset)
{
	return ef_memreg_dma_addr((ef_memreg *)(uintptr_t)&mr->mr, offset);
}

static int
filter_add(struct efvi_vi *vi, int dh, const struct efvi_filter *f, struct efvi_filter_id *id)
{
	ef_filter_cookie cookie;
	ef_filter_spec fs;
	int rc;

	ef_filter_spec_init(&fs, EF_FILTER_FLAG_NONE);
	if (f->form == EFVI_FILTER_MAC)
		rc = ef_filter_spec_set_eth_local(&fs, f->vlan != 0 ? f->vlan : EF_FILTER_VLAN_ID_ANY, f->mac);
	else if (f->form == EFVI_FILTER_FULL)
		rc = ef_filter_spec_set_ip4_full(&fs, f->proto, f->lip.raw, f->lport.raw, f->rip.raw, f->rport.raw);
	else
		rc = ef_filter_spec_set_ip4_local(&fs, f->proto, f->lip.raw, f->lport.raw);
	if (rc == 0 && f->form != EFVI_FILTER_MAC && f->vlan != 0)
		rc = ef_filter_spec_set_vlan(&fs, f->vlan);
	if (rc == 0)
		rc = ef_vi_filter_add(&vi->vi, dh, &fs, &cookie);
	if (rc < 0)
		return rc;
	id->v = (uint64_t)(uint32_t)cookie.filter_type << 32 | (uint32_t)cookie.filter_id;
	return 0;
}

static int
filter_del(struct efvi_vi *vi, int dh, const struct efvi_filter_id *id)
{
	ef_filter_cookie cookie = {.filter_id = (int)(uint32_t)id->v, .filter_type = (int)(id->v >> 32)};

	return ef_vi_filter_del(&vi->vi, dh, &cookie);
}

static int
pio_alloc(int dh, struct efvi_pd *pd, struct efvi_pio **out)
{
	struct efvi_pio *pio = calloc(1, sizeof(*pio));
	int rc;

	if (pio == NULL)
		return -ENOMEM;
	rc = ef_pio_alloc(&pio->pio, dh, &pd->pd, 0, dh);
	if (rc < 0) {
		free(pio);
		return rc;
	}
	*out = pio;
	return 0;
}

static int
pio_link(struct efvi_pio *pio, struct efvi_vi *vi, int dh)
{
	return ef_pio_link_vi(&pio->pio, dh, &vi->vi, dh);
}

static void
pio_unlink(struct efvi_pio *pio, struct efvi_vi *vi, int dh)
{
	(void)ef_pio_unlink_vi(&pio->pio, dh, &vi->vi, dh);
}

static void
pio_free(struct efvi_pio *pio, int dh)
{
	(void)ef_pio_free(&pio->pio, dh);
	free(pio);
}

static int
alt_alloc(struct efvi_vi *vi, int dh, uint32_t n, size_t bytes)
{
	return ef_vi_transmit_alt_alloc(&vi->vi, dh, (int)n, bytes);
}

static int
alt_free(struct efvi_vi *vi, int dh)
{
	return ef_vi_transmit_alt_free(&vi->vi, dh);
}

#define HOT(result, name, args) .name = real_##name,
const struct efvi_ops efvi_real_ops = {
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
	.memreg_alloc = memreg_alloc,
	.memreg_free = memreg_free,
	.memreg_dma_addr = memreg_dma_addr,
	.filter_add = filter_add,
	.filter_del = filter_del,
	.pio_alloc = pio_alloc,
	.pio_link = pio_link,
	.pio_unlink = pio_unlink,
	.pio_free = pio_free,
	.alt_alloc = alt_alloc,
	.alt_free = alt_free,
	EFVI_HOT_OPS(HOT)};
