/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What zf_stack_alloc() refuses: values out of range, by the table; unknown choices; and the few pairs where one value
 * makes no sense without the other. The only file here that knows attributes by name.
 */
#include "core/attr_table.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

static int
check_refuse(const struct zf_log *l, const char *name, int64_t val, const char *range)
{
	zf_err(l, LC_STACK, "attribute %s=%lld is refused: allowed is %s", name, (long long)val,
		  range);
	return -EINVAL;
}

static int
check_choice(const struct zf_log *l, const char *name, const char *val, const char *a, const char *b)
{
	if (val != NULL && (strcasecmp(val, a) == 0 || strcasecmp(val, b) == 0))
		return 0;
	zf_err(l, LC_STACK, "attribute %s=%s is refused: allowed is %s or %s", name,
		  val != NULL ? val : "(none)", a, b);
	return -EINVAL;
}

static int
check_ranges(const struct zf_attr *a, const struct zf_log *l)
{
	char range[64];

	for (size_t i = 0; i < attr_table_len; i++) {
		const struct attr_desc *d = &attr_table[i];
		int64_t v = d->type == TYPE_INT ? *attr_int_field(a, d) : 0;

		if (d->type != TYPE_INT || (v >= d->min && v <= d->max))
			continue;
		snprintf(range, sizeof(range), "%lld to %lld", (long long)d->min, (long long)d->max);
		return check_refuse(l, d->name, v, range);
	}
	return 0;
}

int
attr_check_stack(const struct zf_attr *a, const struct zf_log *l)
{
	int rc = check_ranges(a, l);

	if (rc == 0)
		rc = check_choice(l, "tcp_cc", a->tcp_cc, "cubic", "newreno");
	if (rc == 0)
		rc = check_choice(l, "netdev_driver", a->netdev_driver, "auto", "af_packet");
	if (rc < 0)
		return rc;
	if (a->rx_ring_refill_batch_size % 8 != 0)
		return check_refuse(l, "rx_ring_refill_batch_size", a->rx_ring_refill_batch_size,
				    "a multiple of 8");
	if (a->alt_count > 0 && a->alt_buf_size == 0)
		return check_refuse(l, "alt_buf_size", 0, "1 or more with alt_count above 0");
	if (a->alt_count > 0 && a->tx_ring_max == 0)
		return check_refuse(l, "tx_ring_max", 0, "1 or more with alt_count above 0");
	if (a->tcp_rto_min_ms > a->tcp_rto_max_ms)
		return check_refuse(l, "tcp_rto_min_ms", a->tcp_rto_min_ms, "at most tcp_rto_max_ms");
	return 0;
}
