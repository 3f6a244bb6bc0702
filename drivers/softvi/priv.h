/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Inside of the model: adapter.c (what exists), dma.c (memory), tx.c, rx.c, event.c, alt.c, csum.c share this.
 */
#ifndef ZF_SOFTVI_PRIV_H
#define ZF_SOFTVI_PRIV_H

#include <stdatomic.h>

#include "base/rng.h"
#include "mem/mem_tap.h"
#include "softvi/softvi.h"

#define SOFTVI_NAME_MAX  32
#define SOFTVI_FRAME_MAX 16384u
#define SOFTVI_VFIFOS    32
#define SOFTVI_VIS       16
#define SOFTVI_FILTERS   8192
#define SOFTVI_RING_MIN  512u
#define SOFTVI_RING_MAX  4096u
#define SOFTVI_NO_ALT    UINT32_MAX

/* A page that the adapter may reach: DMA page number -> memory. */
struct softvi_page {
	uint8_t *va; /* NULL: free */
	const struct efvi_memreg *mr;
};

struct efvi_memreg {
	struct softvi *a;
	uint8_t *mem;
	size_t len;
	uint32_t n;
	uint32_t *slots; /* places of adapter->pages, one for each page */
};

struct efvi_pd {
	struct softvi *a;
};

struct efvi_pio {
	struct softvi *a;
	struct efvi_vi *vi; /* linked to, or NULL */
	uint32_t len;
	uint8_t bytes[4096];
};

enum softvi_desc_kind {
	DESC_DMA,
	DESC_PIO,
	DESC_SELECT, /* an option: where the following frames go */
	DESC_REST,   /* further place of the frame before */
};

/* A place of the transmit ring. */
struct softvi_desc {
	uint8_t kind;
	uint8_t events;  /* that it takes places for, on a VI with alternatives */
	uint32_t id;
	uint32_t len;
	uint64_t addr;   /* DMA address, offset in the PIO buffer, alternative */
	uint64_t hash;   /* of the bytes when they were fetched */
	uint64_t due;    /* poll at which the adapter is through with it */
};

/* Free-running numbers, removed <= done <= fetched <= pushed <= added. */
struct softvi_tx {
	uint32_t mask;
	struct softvi_desc *ring;
	uint32_t added, pushed, fetched, done, removed;
	uint32_t alt;       /* where frames go as the adapter sees it, SOFTVI_NO_ALT: to the wire */
	uint32_t announced; /* end of the last event that was polled: unbundling may not go beyond */
};

struct softvi_rxdesc {
	uint64_t addr;
	uint32_t id;
};

struct softvi_rx {
	uint32_t mask;
	struct softvi_rxdesc *ring;
	uint32_t added, pushed, filled, removed;
};

struct softvi_evq {
	uint32_t mask;
	struct efvi_event *ring;
	uint32_t head, tail;
	uint32_t fillers; /* places that events beyond those in the ring take */
	bool overflow, told;
};

enum softvi_alt_state {
	ALT_STOP,
	ALT_GO,
	ALT_DISCARD,
};

/* A frame in an alternative, and the event that it will make. */
struct softvi_kept {
	struct softvi_kept *next;
	uint64_t due; /* once it has left */
	uint32_t id;
	uint32_t len;
	uint8_t bytes[];
};

/* An alternative of the adapter. */
struct softvi_alt {
	struct efvi_vi *vi; /* NULL: free */
	uint32_t id;        /* the VI's number of it */
	enum softvi_alt_state state;
	struct softvi_kept *kept, **kept_end; /* collected */
	struct softvi_kept *left, **left_end; /* gone, their events are due */
	uint32_t bufs;      /* held, one at least */
	uint32_t words;     /* left in the last one */
};

struct efvi_vi {
	struct softvi *a;
	uint32_t flags;
	_Atomic uint32_t busy;
	bool reset, reset_told;
	uint64_t polls;
	struct efvi_pio *pio;
	struct softvi_tx tx;
	struct softvi_rx rx;
	struct softvi_evq ev;
	uint32_t n_alts;
	uint32_t alt_hw[EFVI_ALTS_MAX]; /* the adapter's number of each */
	uint32_t alt_bufs, alt_bufs_free; /* memory of all of them; and what none holds */
};

struct softvi_filter {
	struct efvi_vi *vi; /* NULL: free */
	struct efvi_filter f;
};

struct softvi_kframe {
	struct softvi_kframe *next;
	uint32_t len;
	uint8_t bytes[];
};

struct softvi {
	struct softvi *next;
	char name[SOFTVI_NAME_MAX];
	struct mem_port *port;
	struct softvi_cfg cfg;
	struct softvi_stats stats;
	char fault[128];
	struct rng rng;
	uint32_t n_memregs, n_pios, n_filters, n_pds;
	struct efvi_vi *vis[SOFTVI_VIS];
	struct softvi_alt alts[SOFTVI_VFIFOS];
	uint32_t alt_bufs_used;
	struct softvi_page *pages;
	uint32_t n_pages;
	struct softvi_filter *filters;
	/* What the kernel got; kept only while somebody listens. */
	bool side_open;
	struct softvi_kframe *kernel, **kernel_end;
	uint8_t frame[SOFTVI_FRAME_MAX];
};

void softvi_fault(struct softvi *a, const char *what);
/* Brackets of each call on a VI. */
void softvi_enter(struct efvi_vi *vi);
void softvi_leave(struct efvi_vi *vi);

/* dma.c: up to @len bytes of memory at @addr, as much as the page has: *@n. NULL, and a fault: not registered. */
uint8_t *softvi_dma(struct softvi *a, uint64_t addr, uint32_t len, uint32_t *n);
int softvi_memreg_alloc(int dh, struct efvi_pd *pd, void *mem, size_t len, struct efvi_memreg **mr);
void softvi_memreg_free(struct efvi_memreg *mr, int dh);
uint64_t softvi_memreg_dma_addr(const struct efvi_memreg *mr, size_t offset);

/* tx.c */
void softvi_tx_progress(struct efvi_vi *vi);
/* Does a send that was not unbundled read from this registration? */
bool softvi_tx_uses(const struct efvi_vi *vi, const struct efvi_memreg *mr);

/* rx.c */
void softvi_rx_pull(struct softvi *a);
int softvi_filter_add(struct efvi_vi *vi, int dh, const struct efvi_filter *f, struct efvi_filter_id *id);
int softvi_filter_del(struct efvi_vi *vi, int dh, const struct efvi_filter_id *id);
bool softvi_rx_uses(const struct efvi_vi *vi, const struct efvi_memreg *mr);

/* event.c: an event that takes @places of the queue. */
void softvi_post(struct efvi_vi *vi, const struct efvi_event *ev, uint32_t places);

/* alt.c */
int softvi_alt_alloc(struct efvi_vi *vi, int dh, uint32_t n, size_t bytes);
int softvi_alt_free(struct efvi_vi *vi, int dh);
/* A fetched frame goes into the VI's alternative @alt. */
void softvi_alt_keep(struct efvi_vi *vi, uint32_t alt, uint32_t id, const uint8_t *bytes, uint32_t len);
void softvi_alt_progress(struct efvi_vi *vi);

/* csum.c: fill in IPv4, UDP and TCP checksums, whatever is there; and are they right? */
void softvi_csum_fill(uint8_t *frame, uint32_t len);
bool softvi_csum_ok(const uint8_t *frame, uint32_t len);

#endif
