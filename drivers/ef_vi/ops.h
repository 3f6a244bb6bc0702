/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The entry points of the Onload data path that this driver uses, as a table over types of our own: real.c fills it with
 * the vendor's library, drivers/softvi with a model of the adapter. Nothing else of that library is known outside of
 * real.c.
 *
 * What holds for all of them: 0 or a positive value, else a negative errno; no locks, one thread at a time for each VI
 * and all that hangs on it. DMA addresses are contiguous within 4 KiB only. Request ids are the caller's, below the
 * size of the ring they go into.
 *
 * The second half (EFVI_HOT_OPS) is what a packet passes. The driver does not call those through the table: hot.inc is
 * compiled once for each back end, with direct calls; the table has them for start and end, and for tests.
 */
#ifndef ZF_EF_VI_OPS_H
#define ZF_EF_VI_OPS_H

#include <stddef.h>

#include "base/be.h"
#include "base/compiler.h"

/* Opaque; each back end has its own. */
struct efvi_pd;     /* protection domain: what memory and VIs belong together */
struct efvi_vi;     /* one event queue, receive ring and transmit ring of the adapter */
struct efvi_memreg; /* memory that the adapter may reach */
struct efvi_pio;    /* a buffer in the adapter that the CPU writes frames into */

#define EFVI_PAGE       4096u
#define EFVI_BATCH      64 /* ids that one transmit event may stand for */
#define EFVI_PIO_ALIGN  64u
#define EFVI_ALTS_MAX   17 /* per VI, whatever the adapter has */

/* Of vi_alloc(). */
enum efvi_vi_flag {
	EFVI_TX_ALT = 1u << 0, /* alternatives may be allocated; each send then takes three places of the event queue */
};

/* Of capability(). */
enum efvi_cap {
	EFVI_CAP_PIO,            /* 0 or 1 */
	EFVI_CAP_PIO_BYTES,      /* of one buffer */
	EFVI_CAP_CTPIO,          /* 0 or 1 */
	EFVI_CAP_ALTS,           /* 0 or 1 */
	EFVI_CAP_ALT_VFIFOS,     /* alternatives of the whole adapter */
	EFVI_CAP_ALT_BUFS,       /* memory for them, in buffers of */
	EFVI_CAP_ALT_BUF_BYTES,  /* so many bytes */
	EFVI_CAP__N
};

enum efvi_event_type {
	EFVI_EV_RX,         /* a buffer was filled; @len counts the prefix */
	EFVI_EV_RX_DISCARD, /* likewise, but the adapter found the frame wrong; see @reason */
	EFVI_EV_TX,         /* sends have completed: tx_unbundle() says which */
	EFVI_EV_TX_ALT,     /* a frame left alternative @alt: to the wire or into the void */
	EFVI_EV_OFLOW,      /* events were lost: the VI is of no use any more */
	EFVI_EV_RESET,      /* the adapter was reset: likewise */
	EFVI_EV_OTHER,      /* nothing to do */
};

enum efvi_discard {
	EFVI_BAD_CSUM, /* IP, UDP or TCP checksum: which, the adapter does not say */
	EFVI_BAD_FRAME, /* FCS, truncation, foreign buffer: of no use */
};

struct efvi_event {
	uint8_t type; /* enum efvi_event_type */
	uint8_t reason; /* enum efvi_discard */
	bool sop;     /* first buffer of a frame */
	bool cont;    /* more buffers of it follow */
	uint16_t len; /* bytes of the frame so far, prefix included */
	uint16_t alt;
	uint32_t id;  /* of the buffer (RX), of the send (TX_ALT) */
	uint64_t raw[2]; /* the back end's */
};

/* Which frames a filter lets into a VI. Fields of the caller's that a form does not compare are 0. */
enum efvi_filter_form {
	EFVI_FILTER_LOCAL, /* IPv4, protocol, destination address and port */
	EFVI_FILTER_FULL,  /* and the source's */
	EFVI_FILTER_MAC,   /* destination MAC */
};

struct efvi_filter {
	uint8_t form; /* enum efvi_filter_form */
	uint8_t proto;
	be16_t lport;
	be16_t rport;
	uint16_t vlan; /* 0: untagged */
	be32_t lip;
	be32_t rip;
	uint8_t mac[6];
};

struct efvi_filter_id {
	uint64_t v;
};

/* EFVI_HOT_OPS(X): X(result, name, (arguments)).
 *
 *  rx_init(vi, addr, id)   describe an empty buffer; -EAGAIN: ring full. rx_push() hands all described ones over.
 *  rx_space(vi)            buffers that rx_init() would take; a place is free again once its event was polled
 *  tx_init(vi, addr, len, id)  describe a frame; -EAGAIN: ring full. One place for each 4 KiB page it touches. Nothing is
 *                          sent before tx_push(). The adapter fills checksums in.
 *  tx_space(vi)            places free; unbundling frees them
 *  tx_copy_pio(vi, offset, src, len, id)  copy a frame to @offset of the PIO buffer (a multiple of 64, else -EINVAL) and
 *                          send it, with all that was described before. -EAGAIN: ring full, but the buffer is overwritten
 *                          all the same: look at tx_space() first. The region is in use until the id comes back.
 *  tx_unbundle(vi, ev, ids)  the up to EFVI_BATCH ids that @ev stands for, returns how many. For each transmit event, in
 *                          the order they were polled.
 *  ev_poll(vi, evs, n)     up to @n events
 *  alt_select(vi, alt)     sends described from now on go into @alt; alt_select_normal(): to the wire again. Each costs a
 *                          place in the ring (-EAGAIN), is not pushed by itself, and completes with a later send only.
 *  alt_stop, alt_go, alt_discard(vi, alt)  one register write: collect; send what was collected, and whatever follows;
 *                          drop it. Each frame makes one TX_ALT event, later: wait for all before another of the three.
 *                          A completed send into an alternative means "in the adapter's memory". More than fits is lost
 *                          or cut off silently.
 */
#define EFVI_HOT_OPS(X)                                                                            \
	X(int, rx_init, (struct efvi_vi * vi, uint64_t addr, uint32_t id))                         \
	X(void, rx_push, (struct efvi_vi * vi))                                                    \
	X(uint32_t, rx_space, (const struct efvi_vi *vi))                                          \
	X(int, tx_init, (struct efvi_vi * vi, uint64_t addr, uint32_t len, uint32_t id))           \
	X(void, tx_push, (struct efvi_vi * vi))                                                    \
	X(uint32_t, tx_space, (const struct efvi_vi *vi))                                          \
	X(int, tx_copy_pio,                                                                        \
	  (struct efvi_vi * vi, uint32_t offset, const void *src, uint32_t len, uint32_t id))      \
	X(int, tx_unbundle, (struct efvi_vi * vi, const struct efvi_event *ev, uint32_t *ids))     \
	X(int, ev_poll, (struct efvi_vi * vi, struct efvi_event * evs, int n))                     \
	X(int, alt_select, (struct efvi_vi * vi, uint32_t alt))                                    \
	X(int, alt_select_normal, (struct efvi_vi * vi))                                           \
	X(int, alt_stop, (struct efvi_vi * vi, uint32_t alt))                                      \
	X(int, alt_go, (struct efvi_vi * vi, uint32_t alt))                                        \
	X(int, alt_discard, (struct efvi_vi * vi, uint32_t alt))

struct efvi_ops {
	/* Handle of the kernel driver: >= 0. -ENOENT, -ENODEV: not loaded; -EPERM. */
	int (*driver_open)(void);
	void (*driver_close)(int dh);
	/* Index of a Linux interface: > 0, or -ENODEV. */
	int (*if_index)(const char *name);
	/* 0 and *@v; -EOPNOTSUPP: not on this adapter; -ENOSYS: this kernel driver cannot say. */
	int (*capability)(int dh, int if_index, enum efvi_cap cap, unsigned long *v);
	int (*pd_alloc)(int dh, const char *if_name, struct efvi_pd **pd);
	void (*pd_free)(struct efvi_pd *pd, int dh);
	/* Rings hold one less than their size, a power of two from 512 on that is at least what is asked for. -EBUSY: no VI
	 * left; -ENOKEY: no licence; -EPERM. A @flags that the firmware lacks is not always refused: ask capability() first.
	 * The event queue needs @rxq + @txq places, with EFVI_TX_ALT @rxq + 3 x @txq.
	 */
	int (*vi_alloc)(int dh, struct efvi_pd *pd, uint32_t evq, uint32_t rxq, uint32_t txq, uint32_t flags,
			struct efvi_vi **vi);
	void (*vi_free)(struct efvi_vi *vi, int dh);
	void (*vi_mac)(struct efvi_vi *vi, int dh, uint8_t mac[6]);
	int (*vi_mtu)(struct efvi_vi *vi, int dh);
	/* Bytes that the adapter puts in front of each received frame, and the longest piece that it writes to one buffer. */
	uint32_t (*rx_prefix)(const struct efvi_vi *vi);
	uint32_t (*rx_buf_bytes)(const struct efvi_vi *vi);
	/* @mem at 4 KiB, else -EINVAL. */
	int (*memreg_alloc)(int dh, struct efvi_pd *pd, void *mem, size_t len, struct efvi_memreg **mr);
	void (*memreg_free)(struct efvi_memreg *mr, int dh);
	uint64_t (*memreg_dma_addr)(const struct efvi_memreg *mr, size_t offset);
	/* -EBUSY, -ENOSPC: table full; -EEXIST; -EOPNOTSUPP, -EPROTONOSUPPORT: not this form. */
	int (*filter_add)(struct efvi_vi *vi, int dh, const struct efvi_filter *f, struct efvi_filter_id *id);
	int (*filter_del)(struct efvi_vi *vi, int dh, const struct efvi_filter_id *id);
	/* -ENOSPC: none left; -EOPNOTSUPP: none on the device; -EPERM. A buffer belongs to one VI. */
	int (*pio_alloc)(int dh, struct efvi_pd *pd, struct efvi_pio **pio);
	int (*pio_link)(struct efvi_pio *pio, struct efvi_vi *vi, int dh);
	void (*pio_unlink)(struct efvi_pio *pio, struct efvi_vi *vi, int dh);
	void (*pio_free)(struct efvi_pio *pio, int dh);
	/* @n alternatives, 0 to n - 1 for this VI, with @bytes for their frames. -EINVAL, -EALREADY, -EBUSY, -ENOMEM. */
	int (*alt_alloc)(struct efvi_vi *vi, int dh, uint32_t n, size_t bytes);
	int (*alt_free)(struct efvi_vi *vi, int dh);
#define EFVI_OP_FIELD(result, name, args) result(*name) args;
	EFVI_HOT_OPS(EFVI_OP_FIELD)
#undef EFVI_OP_FIELD
};

#endif
