/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The wire of a port in memory without its driver: for the model of an adapter that stands between the two and has rings
 * of its own. One owner at a time, a stack (mem_driver) or a tap. What arrives waits in the port until it is taken;
 * struct mem_cfg's fields about mbufs mean nothing here.
 */
#ifndef ZF_MEM_TAP_H
#define ZF_MEM_TAP_H

#include "mem/mem.h"

/* 0, or -EBUSY, or the port's fail_open. @host is told of link and reset as a driver's would be. */
int mem_tap_open(struct mem_port *p, const struct port_host *host);
void mem_tap_close(struct mem_port *p);
/* The next frame that is due, copied into @buf (cut to @size): its length, or -EAGAIN. Says nothing of what became of it:
 * mem_stats() is the owner's to keep.
 */
int mem_tap_take(struct mem_port *p, void *buf, uint32_t size);
void mem_tap_send(struct mem_port *p, const void *frame, uint32_t len);
void mem_tap_fault(struct mem_port *p, const char *what);
enum port_link mem_tap_link(const struct mem_port *p);
/* When the first frame after @now_ns is due, UINT64_MAX none. */
uint64_t mem_tap_next_due(const struct mem_port *p, uint64_t now_ns);
/* Was a reset asked for since the last call? */
bool mem_tap_reset_asked(struct mem_port *p);
int mem_tap_mc_list(struct mem_port *p, const uint8_t (*macs)[6], uint32_t n);

#endif
