/* SPDX-License-Identifier: BSD-3-Clause
 *
 * DPDK explains a refusal on its own log, in several lines, to stderr. While we probe a device its lines go into a
 * buffer here, and the first one, nearest to the cause, becomes part of our one line. The stream is made once and never
 * closed: another thread may be about to write to it.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "ethdev/priv.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *keep;
static FILE *before;
static char first[DPDKLOG_MAX - 2];
static size_t at;
static bool complete;

/* A line may come in pieces; all up to the first newline counts. */
static ssize_t
keep_write(void *cookie ZF_UNUSED, const char *text, size_t len)
{
	for (size_t i = 0; i < len && !complete; i++) {
		complete = text[i] == '\n';
		if (!complete && at + 1 < sizeof(first))
			first[at++] = text[i];
	}
	first[at] = '\0';
	return (ssize_t)len;
}

void
dpdklog_begin(void)
{
	static const cookie_io_functions_t io = {.write = keep_write};

	pthread_mutex_lock(&lock);
	first[0] = '\0';
	at = 0;
	complete = false;
	if (keep == NULL) {
		keep = fopencookie(NULL, "w", io);
		if (keep == NULL)
			return; /* then it talks to stderr */
		setvbuf(keep, NULL, _IOLBF, sizeof(first));
	}
	before = rte_log_get_stream();
	rte_openlog_stream(keep);
}

void
dpdklog_end(char said[DPDKLOG_MAX])
{
	if (before != NULL)
		rte_openlog_stream(before);
	before = NULL;
	snprintf(said, DPDKLOG_MAX, "%s%s", first[0] != '\0' ? ": " : "", first);
	pthread_mutex_unlock(&lock);
}
