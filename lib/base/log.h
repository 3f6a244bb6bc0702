/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Log lines by component and level. One struct zf_log for each stack, one for the process (log_default) where there
 * is no stack yet. Every line is one write(2) of bounded length to stderr or a file, never to stdout.
 *
 * This file knows the bit layout that users see (guide 7.5, 7.6), and nothing of attributes, stacks or clocks.
 */
#ifndef ZF_BASE_LOG_H
#define ZF_BASE_LOG_H

#include "base/compiler.h"

/* In the order of the nibbles of attribute log_level. */
enum log_component {
	LC_STACK,
	LC_TCP_RX,
	LC_TCP_TX,
	LC_TCP_CONN,
	LC_UDP_RX,
	LC_UDP_TX,
	LC_UDP_CONN,
	LC_MUXER,
	LC_POOL,
	LC_FAST_PATH,
	LC_TIMERS,
	LC_FILTERS,
	LC_CPLANE,
	LC_COUNT
};

/* The bits of one nibble. */
#define LOG_ERR   0x1u
#define LOG_WARN  0x2u
#define LOG_INFO  0x4u
#define LOG_TRACE 0x8u

/* Errors of all components: 13 nibbles. */
#define LOG_MASK_DEFAULT 0x1111111111111ull

/* Attribute log_format. The first four are the guide's. */
#define ZF_LF_STACK_NAME 0x1u
#define ZF_LF_FRC        0x2u /* time stamp counter */
#define ZF_LF_TCP_TIME   0x4u /* *tick if the stack gave one, else ms since the first line of the process */
#define ZF_LF_PROCESS    0x8u
#define ZF_LF_DEFAULT    (ZF_LF_STACK_NAME | ZF_LF_TCP_TIME)

/* Levels that are compiled in; a mask of LOG_*. Trace bits above it are accepted and silent. */
#ifndef ZF_LOG_CEILING
#define ZF_LOG_CEILING (LOG_ERR | LOG_WARN | LOG_INFO)
#endif

/* Longest line with its newline; longer text ends in "...". Below PIPE_BUF, so a pipe keeps lines whole too. */
#define LOG_LINE_MAX 1024

#define LOG_NAME_MAX 32

struct zf_log {
	uint64_t level_mask;  /* four bits for each component */
	uint32_t format;      /* ZF_LF_* */
	int fd;               /* -1: stderr, looked up as descriptor 2 at each line */
	const uint64_t *tick; /* NULL, or the time that ZF_LF_TCP_TIME prints; written by the stack alone */
	char stack_name[LOG_NAME_MAX];
};

/* Used where a caller passes NULL. zf_init() fills it from ZF_ATTR; until then errors go to stderr. */
extern struct zf_log log_default;

/**
 * Fills @l; opens @file for appending (created 0644, close-on-exec).
 *
 * @stack_name: copied, cut to LOG_NAME_MAX - 1; NULL for none
 * @file: NULL or "": stderr
 *
 * Returns 0, or the negative errno of opening @file after one line on stderr that says so: @l is usable all the
 * same and writes to stderr.
 */
int log_init(struct zf_log *l, const char *stack_name, uint64_t level_mask, uint32_t format, const char *file);

/* A copy that lives on when @from is closed. Without a descriptor left it writes to stderr. */
void log_dup(struct zf_log *l, const struct zf_log *from);

/* Closes the file; @l writes to stderr from now on. */
void log_fini(struct zf_log *l);

/**
 * Writes one line whatever the mask says: the macros below test it. Control characters in the text become '?', a
 * newline at its end is dropped. errno is preserved. Safe from any thread; @l may be NULL (log_default).
 */
void log_write(const struct zf_log *l, enum log_component comp, unsigned int level, const char *fmt, ...)
	ZF_PRINTF(4, 5) ZF_COLD;

static inline bool
log_wants(const struct zf_log *l, enum log_component comp, unsigned int level)
{
	return (((l != NULL ? l : &log_default)->level_mask >> (4 * (unsigned int)comp)) & level) != 0;
}

/* Arguments are evaluated only when the line is written. */
#define zf_log_at(level, l, comp, ...)                                                             \
	do {                                                                                       \
		if (((level) & ZF_LOG_CEILING) != 0 && zf_unlikely(log_wants((l), (comp), (level)))) \
			log_write((l), (comp), (level), __VA_ARGS__);                              \
	} while (0)

#define zf_err(l, comp, ...)   zf_log_at(LOG_ERR, l, comp, __VA_ARGS__)
#define zf_warn(l, comp, ...)  zf_log_at(LOG_WARN, l, comp, __VA_ARGS__)
#define zf_info(l, comp, ...)  zf_log_at(LOG_INFO, l, comp, __VA_ARGS__)
#define zf_trace(l, comp, ...) zf_log_at(LOG_TRACE, l, comp, __VA_ARGS__)

/* For what a remote peer can repeat: at most @lines in each @second of the caller's clock. One thread. */
struct log_limit {
	uint64_t second; /* units of `now` in a second */
	uint64_t start;  /* of the current second */
	uint32_t lines;  /* allowed in a second */
	uint32_t written;
	uint64_t suppressed; /* since the last line */
};

void log_limit_init(struct log_limit *lim, uint32_t lines, uint64_t second);

/**
 * Like the macros above (mask and ceiling tested), but writes at most lim->lines lines a second; the first line after a
 * silence says how many were suppressed. @now: monotonic, unit as given to log_limit_init(). True if it wrote.
 */
bool log_limited(struct log_limit *lim, uint64_t now, const struct zf_log *l, enum log_component comp,
		 unsigned int level, const char *fmt, ...) ZF_PRINTF(6, 7) ZF_COLD;

/* "stack", "tcp_rx" ...; "?" for a number that is none. */
const char *log_component_name(enum log_component comp);

#endif
