/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The harsh modes: for each, what the port does. Every script is played in every mode that it does not exclude, and
 * must look the same on the wire.
 */
#include <rte_mbuf.h>

#include "pkt/ps_priv.h"

const char *const ps_mode_names[PS_MODES] = {
	[PS_NORMAL] = "normal",
	[PS_TX_HOLD] = "tx-hold",
	[PS_TX_LATE] = "tx-late",
	[PS_TX_ONE] = "tx-one",
	[PS_TX_PLAIN] = "tx-plain",
	[PS_TX_COPY] = "tx-copy",
	[PS_TX_OFFLOAD] = "tx-offload",
	[PS_BLIND] = "blind",
	[PS_SCRIBBLE] = "scribble",
	[PS_RX_SPLIT_1] = "rx-split-1",
	[PS_RX_SPLIT_L3] = "rx-split-l3",
	[PS_RX_SPLIT_L4] = "rx-split-l4",
	[PS_RX_JUDGED] = "rx-judged",
	[PS_RX_UNKNOWN] = "rx-unknown",
	[PS_SHARED] = "shared",
	[PS_ALT_PORT] = "alt-port",
	[PS_VI_DMA] = "vi-dma",
	[PS_VI_PIO] = "vi-pio",
	[PS_SLOW] = "slow",
	[PS_WRAP] = "wrap",
	[PS_SLOW_WRAP] = "slow-wrap",
};

static enum ps_mode now;

void
ps_mode_set(enum ps_mode m)
{
	now = m;
}

enum ps_mode
ps_mode_now(void)
{
	return now;
}

bool
ps_mode_is_slow(void)
{
	return now == PS_SLOW || now == PS_SLOW_WRAP;
}

bool
ps_mode_wraps(void)
{
	return now == PS_WRAP || now == PS_SLOW_WRAP;
}

bool
ps_mode_is_vi(void)
{
	return now == PS_VI_DMA || now == PS_VI_PIO;
}

bool
ps_mode_is_blind(void)
{
	return now == PS_BLIND || ps_mode_is_vi();
}

void
ps_mode_apply_vi(struct softvi_cfg *c)
{
	c->all_to_vi = now == PS_VI_DMA;
}

void
ps_mode_apply(struct mem_cfg *c)
{
	switch (now) {
	case PS_TX_HOLD:
		c->hold = MEM_ALL;
		break;
	case PS_TX_LATE:
		c->hold = 7;
		c->scribble = true;
		break;
	case PS_TX_ONE:
		c->accept = 1;
		break;
	case PS_TX_PLAIN:
		c->refuse_shared = c->refuse_indirect = c->refuse_chained = c->refuse_extbuf = true;
		break;
	case PS_TX_COPY:
		c->tx_copy_max = 256;
		c->caps |= PORT_CSUM_NONE;
		break;
	case PS_TX_OFFLOAD:
		c->caps |= PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP | PORT_CSUM_TX_TCP;
		c->scribble = true;
		break;
	case PS_BLIND:
		c->tells_room = false;
		c->caps &= ~(uint32_t)PORT_RX_PEEK;
		break;
	case PS_SCRIBBLE:
		c->scribble = true;
		break;
	case PS_RX_SPLIT_1:
		c->split_at[0] = 1;
		break;
	case PS_RX_SPLIT_L3:
		c->split_at[0] = 13;
		c->split_at[1] = 20;
		break;
	case PS_RX_SPLIT_L4:
		c->split_at[0] = 37;
		c->split_at[1] = 50;
		c->split_at[2] = 700;
		break;
	case PS_RX_JUDGED:
	case PS_WRAP: /* nothing that the stack has to sum up itself is cut through */
		c->caps |= PORT_CSUM_RX;
		c->rx_judges = true;
		break;
	case PS_ALT_PORT:
		c->alts = 17;
		c->caps |= PORT_CSUM_TX_IP | PORT_CSUM_TX_UDP | PORT_CSUM_TX_TCP;
		c->scribble = true;
		break;
	case PS_RX_UNKNOWN:
		c->caps |= PORT_CSUM_RX;
		c->rx_flags = RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN | RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN;
		break;
	default:
		break;
	}
}
