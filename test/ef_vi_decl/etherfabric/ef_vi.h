/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: rings and events.
 */
#ifndef ZF_TEST_DECL_EF_VI_H
#define ZF_TEST_DECL_EF_VI_H

#include "base.h"

typedef struct ef_vi {
	void *opaque[64];
} ef_vi;

enum {
	EF_EVENT_TYPE_RX,
	EF_EVENT_TYPE_TX,
	EF_EVENT_TYPE_RX_NO_DESC_TRUNC,
	EF_EVENT_TYPE_RX_DISCARD,
	EF_EVENT_TYPE_TX_ERROR,
	EF_EVENT_TYPE_OFLOW,
	EF_EVENT_TYPE_TX_ALT,
	EF_EVENT_TYPE_RESET,
};

enum {
	EF_EVENT_RX_DISCARD_CSUM_BAD,
	EF_EVENT_RX_DISCARD_CRC_BAD,
};

#define EF_VI_TRANSMIT_BATCH 64

typedef union {
	struct {
		unsigned type : 16, rq_id : 32, len : 16, sop : 1, cont : 1, subtype : 4;
	} rx;
	struct {
		unsigned type : 16, id : 16, alt_id : 16;
	} tx_alt;
	uint64_t words[2];
} ef_event;

#define EF_EVENT_TYPE(e)             ((e).rx.type)
#define EF_EVENT_RX_RQ_ID(e)         ((e).rx.rq_id)
#define EF_EVENT_RX_BYTES(e)         ((e).rx.len)
#define EF_EVENT_RX_SOP(e)           ((e).rx.sop)
#define EF_EVENT_RX_CONT(e)          ((e).rx.cont)
#define EF_EVENT_RX_DISCARD_RQ_ID(e) ((e).rx.rq_id)
#define EF_EVENT_RX_DISCARD_BYTES(e) ((e).rx.len)
#define EF_EVENT_RX_DISCARD_SOP(e)   ((e).rx.sop)
#define EF_EVENT_RX_DISCARD_CONT(e)  ((e).rx.cont)
#define EF_EVENT_RX_DISCARD_TYPE(e)  ((e).rx.subtype)

int ef_vi_receive_init(ef_vi *vi, ef_addr addr, ef_request_id id);
void ef_vi_receive_push(ef_vi *vi);
int ef_vi_receive_space(const ef_vi *vi);
int ef_vi_receive_prefix_len(const ef_vi *vi);
int ef_vi_receive_buffer_len(const ef_vi *vi);
int ef_vi_transmit_init(ef_vi *vi, ef_addr addr, int bytes, ef_request_id id);
void ef_vi_transmit_push(ef_vi *vi);
int ef_vi_transmit_space(const ef_vi *vi);
int ef_vi_transmit_copy_pio(ef_vi *vi, int offset, const void *src, int len, ef_request_id id);
int ef_vi_transmit_unbundle(ef_vi *vi, const ef_event *ev, ef_request_id *ids);
int ef_eventq_poll(ef_vi *vi, ef_event *evs, int n);
int ef_vi_transmit_alt_select(ef_vi *vi, unsigned alt);
int ef_vi_transmit_alt_select_normal(ef_vi *vi);
int ef_vi_transmit_alt_stop(ef_vi *vi, unsigned alt);
int ef_vi_transmit_alt_go(ef_vi *vi, unsigned alt);
int ef_vi_transmit_alt_discard(ef_vi *vi, unsigned alt);

#endif
