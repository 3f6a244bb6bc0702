/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What this library is. zf_print_version() is the one call that ends the process: its users expect that.
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_version.h>
#include <zf/zf.h>

#include "base/compiler.h"

ZF_EXPORT const char *
zf_version(void)
{
	static char text[96];

	/* The same bytes whoever writes them first. */
	snprintf(text, sizeof(text), "zf-dpdk " ZF_VERSION " (%s)", rte_version());
	return text;
}

ZF_EXPORT const char *
zf_version_short(void)
{
	return ZF_VERSION;
}

ZF_EXPORT const char *
onload_version_short(void)
{
	return ZF_VERSION;
}

ZF_EXPORT void
zf_print_version(void)
{
	fprintf(stderr, "%s\n", zf_version());
	exit(0);
}
