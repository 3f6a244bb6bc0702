/* SPDX-License-Identifier: BSD-3-Clause
 *
 * `interface=ef_vi:NAME`: the driver over real.c, or the answer of a library that was built without it.
 */
#include <errno.h>
#include <string.h>

#include "ef_vi/real.h"

#if EFVI_HAVE_REAL
#include "af_packet/af_packet.h"

static const struct efvi_backend backend = {
	.ops = &efvi_real_ops,
	.hot = &efvi_real_hot,
	.side = &af_packet_driver,
	.side_prefix = "af_packet:",
	.side_every = 8,
};
#endif

static int
ef_vi_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	const char *name = strncmp(args->name, "ef_vi:", 6) == 0 ? args->name + 6 : args->name;

#if EFVI_HAVE_REAL
	return efvi_open(&backend, name, args, info, priv);
#else
	(void)info;
	(void)priv;
	zf_err(args->host->log, LC_CPLANE,
	       "interface=ef_vi:%s: this library was built without ef_vi; build it with -Def_vi=enabled where the Onload "
	       "headers and libciul.a are, or name the interface without ef_vi:",
	       name);
	return -ENODEV;
#endif
}

const struct port_driver ef_vi_driver = {
	.name = "ef_vi",
	.open = ef_vi_open,
	.queue_setup = efvi_queue_setup,
	.alt_setup = efvi_alt_setup,
	.start = efvi_start,
	.queue_get = efvi_queue_get,
	.close = efvi_close,
	.link = efvi_link,
	.service = efvi_service,
	.mc_list = efvi_mc_list,
	.filter_add = efvi_filter_add,
	.filter_del = efvi_filter_del,
};
