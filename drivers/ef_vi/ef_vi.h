/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The driver for one VI of an adapter: what a back end needs to make a port driver of it. A back end is a table of entry
 * points (ops.h) and hot.inc compiled over them; real.c is the one for hardware, drivers/softvi the one for tests.
 */
#ifndef ZF_EF_VI_EF_VI_H
#define ZF_EF_VI_EF_VI_H

#include "core/port.h"
#include "ef_vi/ops.h"

/* What hot.inc makes. */
struct efvi_hot {
	port_burst_fn rx;
	port_burst_fn tx;
	port_copy_fn tx_copy;
	port_copy_fn tx_warm;
	uint32_t (*tx_room)(void *txq);
	struct port_alt_ops alt;
};

struct efvi_backend {
	const struct efvi_ops *ops;
	const struct efvi_hot *hot;
	/* Brings what no filter of ours takes, ARP before all: a port that only receives here, opened by @side_prefix and the
	 * interface's name. Looked at once in @side_every idle polls.
	 */
	const struct port_driver *side;
	const char *side_prefix;
	uint32_t side_every;
};

extern const struct port_driver ef_vi_driver;

/* The calls of a struct port_driver; @if_name without prefix. */
int efvi_open(const struct efvi_backend *b, const char *if_name, const struct port_open_args *args,
	      struct port_info *info, void **priv);
int efvi_queue_setup(void *priv, uint16_t qid, struct zf_pool *pool);
int efvi_alt_setup(void *priv, uint16_t qid, uint32_t count, uint32_t bytes, struct port_alt_info *info);
int efvi_start(void *priv);
void efvi_queue_get(void *priv, uint16_t qid, struct port_queue *out);
void efvi_close(void *priv);
enum port_link efvi_link(void *priv);
uint64_t efvi_service(void *priv, uint64_t now_ns);
int efvi_mc_list(void *priv, const uint8_t (*macs)[6], uint32_t n);
int efvi_filter_add(void *priv, uint16_t qid, const struct port_filter *f, struct port_filter_id *id);
void efvi_filter_del(void *priv, const struct port_filter_id *id);

#endif
