/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of an adapter behind ef_vi/ops.h, for tests: `interface=softvi:NAME` is ef_vi's driver over it, with the port in
 * memory NAME (drivers/mem) as its wire. Written from notes on the hardware and before the driver, to have every trap that
 * the hardware has: full rings, pages, unpushed descriptors, late and batched events, memory that moved under the
 * adapter, alternatives in the wrong state, lost events. A trap that a driver walks into is a fault of the port
 * (mem_on_fault), or is seen on the wire, or is a frame missing there, as it would be.
 *
 * An adapter has VIs, PIO buffers, filters and memory for alternatives, all shared by its VIs. What no VI's filter takes
 * goes to the kernel, from where softvi_side_driver gets it, as a packet socket on the interface would.
 *
 * Time is counted in polls of a VI's event queue. Single-threaded like drivers/mem; two threads in one VI are a fault.
 * Exists in test builds only.
 */
#ifndef ZF_SOFTVI_SOFTVI_H
#define ZF_SOFTVI_SOFTVI_H

#include "core/port.h"
#include "ef_vi/ops.h"

struct softvi;
struct mem_port;

extern const struct efvi_ops softvi_ops;

/* The hot calls, for hot.inc: without a pointer in between. */
#define SOFTVI_DECLARE(result, name, args) result softvi_##name args;
EFVI_HOT_OPS(SOFTVI_DECLARE)
#undef SOFTVI_DECLARE

/* Sets of capabilities that cards of this family come in. */
enum softvi_variant {
	SOFTVI_8000_LL, /* ultra-low-latency firmware: PIO of 4096 bytes, alternatives, no VLAN in filters */
	SOFTVI_8000_FF, /* full-feature firmware: PIO of 4096 bytes, no alternatives */
	SOFTVI_7000,    /* PIO of 2048 bytes, no alternatives whatever the firmware */
	SOFTVI_VARIANTS
};

/* Cold calls that can be made to fail. */
enum softvi_call {
	SOFTVI_DRIVER_OPEN,
	SOFTVI_IF_INDEX,
	SOFTVI_CAPABILITY,
	SOFTVI_PD_ALLOC,
	SOFTVI_VI_ALLOC,
	SOFTVI_MEMREG_ALLOC,
	SOFTVI_FILTER_ADD,
	SOFTVI_PIO_ALLOC,
	SOFTVI_PIO_LINK,
	SOFTVI_ALT_ALLOC,
	SOFTVI_CALLS
};

/* Edit in place through softvi_cfg(). */
struct softvi_cfg {
	/* What the adapter is; read when VIs and the like are made. softvi_set_variant() writes these. */
	uint32_t pio_bytes;  /* of one buffer; 0: no PIO */
	uint32_t pio_bufs;   /* left by the kernel's driver */
	bool alts;
	uint32_t vfifos;     /* alternatives, of all VIs together */
	uint32_t alt_bufs;   /* and their memory */
	uint32_t alt_buf_bytes;
	bool filter_vlan;    /* filters may name a tag */
	uint32_t vis;
	uint32_t filters;
	uint32_t rx_prefix;
	uint32_t rx_buf_bytes;
	/* How it behaves; any time. */
	uint32_t fetch_polls; /* a pushed send is read from memory that many polls later; 0: at once */
	uint32_t done_polls;  /* and its completion comes so many polls after that, 1 at least */
	uint32_t alt_polls;   /* TX_ALT events: so many polls after the frame left, 1 at least */
	uint32_t batch;       /* sends that one event stands for, up to 64; 0: at random */
	bool all_to_vi;       /* what no filter takes goes to the first VI: for a driver that adds no filters */
	/* Faults on demand: -errno for each of the calls from now on. */
	int fail[SOFTVI_CALLS];
};

struct softvi_stats {
	uint64_t faults;
	uint64_t rx_frames;       /* into VIs */
	uint64_t rx_kernel;       /* to the kernel */
	uint64_t rx_lost_no_desc; /* no buffer was posted */
	uint64_t tx_dma, tx_pio;  /* frames that left or went into an alternative */
	uint64_t tx_alt;          /* of them, into an alternative */
	uint64_t alt_lost, alt_cut; /* overrun: frames that are not there, and that are shorter */
	uint64_t alt_sent, alt_dropped;
	uint64_t overflows;
	uint64_t events;
};

/* The adapter of a port in memory, made if it is not there; NULL: bad name or no memory. */
struct softvi *softvi_adapter(const char *name);
/* 0, or -EBUSY while anything of it is in use. The port in memory stays. */
int softvi_forget(struct softvi *a);
struct mem_port *softvi_port(struct softvi *a);
struct softvi_cfg *softvi_cfg(struct softvi *a);
void softvi_set_variant(struct softvi *a, enum softvi_variant v);
struct softvi_stats *softvi_stats(struct softvi *a);
/* The last fault's text; "" if there was none. */
const char *softvi_last_fault(const struct softvi *a);

/* Buffers that lie in receive rings, filled or not, and sends whose completion was not unbundled. */
uint32_t softvi_rx_posted(const struct softvi *a);
uint32_t softvi_tx_pending(const struct softvi *a);
/* VIs, memory registrations, PIO buffers, filters in use: all 0 when everybody has left. */
uint32_t softvi_in_use(const struct softvi *a);
/* The event queues of all VIs lose an event at their next poll; the adapter is reset. */
void softvi_overflow(struct softvi *a);
void softvi_reset(struct softvi *a);

#endif
