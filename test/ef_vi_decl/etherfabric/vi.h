/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Declarations for a compile-only check, see README.md beside this folder: VIs and filters.
 */
#ifndef ZF_TEST_DECL_VI_H
#define ZF_TEST_DECL_VI_H

#include "ef_vi.h"
#include "pd.h"

enum ef_vi_flags {
	EF_VI_FLAGS_DEFAULT = 0,
	EF_VI_TX_ALT = 0x400000,
};

int ef_vi_alloc_from_pd(ef_vi *vi, ef_driver_handle dh, ef_pd *pd, ef_driver_handle pd_dh, int evq, int rxq, int txq,
			ef_vi *evq_opt, ef_driver_handle evq_dh, enum ef_vi_flags flags);
int ef_vi_free(ef_vi *vi, ef_driver_handle dh);
int ef_vi_get_mac(ef_vi *vi, ef_driver_handle dh, void *mac);
int ef_vi_mtu(ef_vi *vi, ef_driver_handle dh);
int ef_vi_transmit_alt_alloc(ef_vi *vi, ef_driver_handle dh, int n, size_t bytes);
int ef_vi_transmit_alt_free(ef_vi *vi, ef_driver_handle dh);

typedef struct {
	unsigned opaque[16];
} ef_filter_spec;
typedef struct {
	int filter_id;
	int filter_type;
} ef_filter_cookie;
enum ef_filter_flags {
	EF_FILTER_FLAG_NONE = 0,
};
#define EF_FILTER_VLAN_ID_ANY (-1)

void ef_filter_spec_init(ef_filter_spec *fs, enum ef_filter_flags flags);
int ef_filter_spec_set_ip4_local(ef_filter_spec *fs, int proto, unsigned host_be32, int port_be16);
int ef_filter_spec_set_ip4_full(ef_filter_spec *fs, int proto, unsigned host_be32, int port_be16, unsigned rhost_be32,
				int rport_be16);
int ef_filter_spec_set_vlan(ef_filter_spec *fs, int vlan);
int ef_filter_spec_set_eth_local(ef_filter_spec *fs, int vlan, const void *mac);
int ef_vi_filter_add(ef_vi *vi, ef_driver_handle dh, const ef_filter_spec *fs, ef_filter_cookie *out);
int ef_vi_filter_del(ef_vi *vi, ef_driver_handle dh, ef_filter_cookie *cookie);

#endif
