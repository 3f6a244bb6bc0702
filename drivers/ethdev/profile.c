/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a PCI device is probed with: a profile by its ids, in which the user's own arguments win key by key. Text only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ethdev/priv.h"

#define SFC "rx_datapath=ef10,tx_datapath=ef10,perf_profile=low-latency,stats_update_period_ms=0"

/* net_sfc by adapter: the datapath that honours reference counts, and the low-latency firmware. That is the whole
 * adapter's, and excludes virtual functions, so theirs goes without. EF100 has a datapath of its own. Writing "auto" for a
 * datapath is an error there, so what is not meant is left out.
 */
static const struct {
	uint16_t vendor, device;
	const char *args;
} profiles[] = {
	{0x1924, 0x0903, SFC ",fw_variant=ultra-low-latency"}, /* 7000 series */
	{0x1924, 0x0923, SFC ",fw_variant=ultra-low-latency"},
	{0x1924, 0x0a03, SFC ",fw_variant=ultra-low-latency"}, /* 8000 series */
	{0x1924, 0x0b03, SFC ",fw_variant=ultra-low-latency"}, /* X2 */
	{0x1924, 0x1903, SFC}, /* and their virtual functions */
	{0x1924, 0x1923, SFC},
	{0x1924, 0x1a03, SFC},
	{0x1924, 0x1b03, SFC},
	{0x10ee, 0x0100, "rx_datapath=ef100,tx_datapath=ef100,stats_update_period_ms=0"}, /* Riverhead */
};

const char *
ethdev_profile(uint16_t vendor, uint16_t device)
{
	for (size_t i = 0; i < ZF_ARRAY_SIZE(profiles); i++)
		if (profiles[i].vendor == vendor && profiles[i].device == device)
			return profiles[i].args;
	return "";
}

/* The value of @key in "k=v,k=v", or NULL; it ends with a comma or the text. */
static const char *
value_of(const char *args, const char *key, size_t key_len)
{
	while (args != NULL && *args != '\0') {
		if (strncmp(args, key, key_len) == 0 && args[key_len] == '=')
			return args + key_len + 1;
		args = strchr(args, ',');
		args = args != NULL ? args + 1 : NULL;
	}
	return NULL;
}

bool
ethdev_args_forbidden(const char *args)
{
	const char *v = value_of(args, "tx_datapath", strlen("tx_datapath"));

	return v != NULL && strncmp(v, "ef10_simple", strlen("ef10_simple")) == 0;
}

int
ethdev_devargs(const char *dev, const char *user, const char *profile, char *out, size_t size)
{
	int at = snprintf(out, size, "%s%s%s", dev, *user != '\0' ? "," : "", user);

	while (*profile != '\0' && at > 0 && (size_t)at < size) {
		size_t len = strcspn(profile, ","), key = strcspn(profile, "=");

		if (value_of(user, profile, key) == NULL)
			at += snprintf(out + at, size - (size_t)at, ",%.*s", (int)len, profile);
		profile += len;
		profile += *profile == ',';
	}
	return at > 0 && (size_t)at < size ? 0 : -EINVAL;
}
