/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What DPDK does not report about a driver, and a stack must know before it sends: whether buffers are free again,
 * shared ones are safe, the peer gets the very same mbuf. Found by experiment for the virtual drivers, by reading for
 * those of adapters. A driver that is not listed gets the treatment that is right for all of them: a direct,
 * single-segment mbuf of its own for each frame, with the stack's copy kept elsewhere.
 */
#include <string.h>

#include "ethdev/priv.h"

#define COPIES PORT_TX_COPIES
#define HOLDS  PORT_TX_HOLDS
#define SHARED (PORT_TX_REF_OK | PORT_TX_INDIRECT_OK | PORT_TX_EXTBUF_OK)
#define CHAINS PORT_TX_MULTISEG

static const struct {
	const char *driver;
	uint32_t caps;
} quirks[] = {
	/* Into a ring of the kernel, a guest, a peer: copied at once, then freed. */
	{"net_af_packet", COPIES | SHARED | CHAINS},
	/* The kernel's interface has its address, and the kernel spreads frames over its queues. */
	{"net_tap", COPIES | SHARED | CHAINS | QUIRK_MAC_OF_PEER | QUIRK_ONE_QUEUE},
	{"net_pcap", COPIES | SHARED | CHAINS},
	{"net_vhost", COPIES | SHARED | CHAINS},
	{"net_memif", COPIES | SHARED | CHAINS},
	{"net_null", COPIES | SHARED | CHAINS},

	/* The receiver gets the pointer, and may write to the frame or keep it. */
	{"net_ring", PORT_TX_PASSES_MBUF | CHAINS},

	/* The peer reads the buffer when it likes; a shared one costs a descriptor more, as its header cannot be
	 * pushed in front.
	 */
	{"net_virtio_user", HOLDS | SHARED | CHAINS},
	{"net_virtio", HOLDS | SHARED | CHAINS},

	/* Clones, external buffers and chains are lost or damaged in silence. */
	{"net_af_xdp", HOLDS},

	/* Rings of adapters, cleaned when later sends need the room; they free by reference count. */
	{"net_sfc_efx", HOLDS | SHARED | CHAINS},
	{"net_sfc_ef100", HOLDS | SHARED | CHAINS},
	{"net_ixgbe", HOLDS | SHARED | CHAINS},
	{"net_i40e", HOLDS | SHARED | CHAINS},
	{"net_ice", HOLDS | SHARED | CHAINS},
	{"net_e1000_igb", HOLDS | SHARED | CHAINS},
	{"net_e1000_em", HOLDS | SHARED | CHAINS},
	{"mlx5_pci", HOLDS | SHARED | CHAINS},
};

uint32_t
ethdev_quirks(const char *driver_name)
{
	for (size_t i = 0; driver_name != NULL && i < ZF_ARRAY_SIZE(quirks); i++)
		if (strcmp(quirks[i].driver, driver_name) == 0)
			return quirks[i].caps;
	return HOLDS;
}

/* A prefix in front of each frame, the alignment of its end, and the checksum: with it a frame fits one buffer. */
uint32_t
ethdev_rx_extra(const char *driver_name)
{
	return driver_name != NULL && strncmp(driver_name, "net_sfc", 7) == 0 ? 269 : 0;
}
