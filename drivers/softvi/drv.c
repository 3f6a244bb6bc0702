/* SPDX-License-Identifier: BSD-3-Clause
 *
 * `interface=softvi:NAME`: ef_vi's driver over the model, on the virtual clock.
 */
#include <errno.h>
#include <string.h>

#include "mem/mem.h"
#include "softvi/drv.h"

static const struct efvi_backend backend = {
	.ops = &softvi_ops,
	.hot = &softvi_hot,
	.side = &softvi_side_driver,
	.side_prefix = "",
	.side_every = 1,
};

static int
softvi_open(const struct port_open_args *args, struct port_info *info, void **priv)
{
	const char *name = strncmp(args->name, "softvi:", 7) == 0 ? args->name + 7 : args->name;
	int rc;

	if (softvi_adapter(name) == NULL) {
		zf_err(args->host->log, LC_CPLANE, "interface=%s: not an adapter in memory; softvi: and a port's name",
		       args->name);
		return -ENODEV;
	}
	rc = efvi_open(&backend, name, args, info, priv);
	if (rc < 0)
		return rc;
	/* No kernel knows the interface. */
	info->if_index = 0;
	info->caps |= PORT_SELF_ADDRESSED;
	info->vclock = &mem_clock_ns;
	return 0;
}

const struct port_driver softvi_driver = {
	.name = "softvi",
	.open = softvi_open,
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
