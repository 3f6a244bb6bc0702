/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Muxers in packet scripts.
 */
#ifndef ZF_TEST_PS_MUX_H
#define ZF_TEST_PS_MUX_H

#include <zf/zf.h>

#include "pkt/ps_zft.h"

/* A set of the script's stack. */
struct zf_muxer_set *ps_mux(struct ps *s);
int ps_mux_add(struct zf_muxer_set *set, struct zf_waitable *w, uint32_t events, uint64_t data);
int ps_mux_mod(struct zf_waitable *w, uint32_t events, uint64_t data);
/* One zf_muxer_wait() without waiting: the events of the one waitable that is reported, 0 for none. */
uint32_t ps_mux_one(struct ps *s, struct zf_muxer_set *set, uint64_t *data);

#endif
