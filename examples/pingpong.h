/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the ping-pong programs share: their options and their report. Neither knows what is sent in between.
 */
#ifndef EXAMPLES_PINGPONG_H
#define EXAMPLES_PINGPONG_H

#include <sys/uio.h>

#include "common.h"

struct pp_cfg {
	/* Filled by the program before pp_options(). */
	bool tcp;             /* else UDP */
	const char *synopsis; /* the help text above the options */
	size_t min_size, max_size;
	int hosts; /* HOST:PORT arguments: 1, or 2 for a local and a remote one */

	/* Filled by pp_options(); the values of size, iterations, warmup and wait_s are the defaults until then. */
	bool ping; /* else pong */
	bool full;
	bool json;
	bool muxer; /* -m, of TCP */
	bool read;
	size_t size;
	long iterations;
	long warmup;
	long wait_s;
	double percentile; /* 0: the usual ones only */
	const char *raw;
	struct sockaddr_in host[2];
};

/* Reads the command line; help and mistakes end the program. */
void pp_options(struct pp_cfg *cfg, int argc, char **argv);

/* Room for the measured values; a message and NULL when there is none. */
uint64_t *pp_values(const struct pp_cfg *cfg);

/* What was measured, as -f, -p, -w and --json want it. @ns is sorted by it. @lost below 0 is not reported.
 * An exit code.
 */
int pp_report(const struct pp_cfg *cfg, uint64_t *ns, long lost);

/* The value to keep of one round trip. */
static inline uint64_t
pp_value(const struct pp_cfg *cfg, uint64_t sent, uint64_t when)
{
	return cfg->full ? when - sent : (when - sent) / 2;
}

/* What -R asks for: every byte passes through a register. */
void pp_read(const struct iovec *iov, int n);

#endif
