/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See log.h. The line is put together in a buffer on the stack and leaves in one write(2), so lines of several
 * threads and processes stay whole. What cannot be written is lost: a log must never hold up its program.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct zf_log log_default = {
	.level_mask = LOG_MASK_DEFAULT,
	.format = ZF_LF_DEFAULT,
	.fd = -1,
};

static const char *const component_names[LC_COUNT] = {
	[LC_STACK] = "stack",     [LC_TCP_RX] = "tcp_rx",     [LC_TCP_TX] = "tcp_tx",
	[LC_TCP_CONN] = "tcp_conn", [LC_UDP_RX] = "udp_rx",   [LC_UDP_TX] = "udp_tx",
	[LC_UDP_CONN] = "udp_conn", [LC_MUXER] = "muxer",     [LC_POOL] = "pool",
	[LC_FAST_PATH] = "fast_path", [LC_TIMERS] = "timers", [LC_FILTERS] = "filters",
	[LC_CPLANE] = "cplane",
};

const char *
log_component_name(enum log_component comp)
{
	return (unsigned int)comp < LC_COUNT ? component_names[comp] : "?";
}

static const char *
level_name(unsigned int level)
{
	switch (level) {
	case LOG_ERR:
		return "error";
	case LOG_WARN:
		return "warning";
	case LOG_INFO:
		return "info";
	default:
		return "trace";
	}
}

static uint64_t
frc_read(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* Milliseconds since the first call in this process. */
static uint64_t
process_ms(void)
{
	static _Atomic uint64_t first;
	uint64_t expect = 0;
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u + 1; /* never 0 */
	if (atomic_compare_exchange_strong(&first, &expect, now))
		return 0;
	return now - expect;
}

/* Appends to a line of @room bytes of which @at are used; returns the new length, at most room - 1. */
static ZF_PRINTF(4, 5) size_t
line_add(char *line, size_t room, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + at, room - at, fmt, ap);
	va_end(ap);
	return n < 0 ? at : ZF_MIN(at + (size_t)n, room - 1);
}

static size_t
line_prefix(const struct zf_log *l, enum log_component comp, unsigned int level, char *line, size_t room)
{
	size_t at = line_add(line, room, 0, "zf");

	if (l->format & ZF_LF_PROCESS)
		at = line_add(line, room, at, "[%ld]", (long)getpid());
	if ((l->format & ZF_LF_STACK_NAME) && l->stack_name[0] != '\0')
		at = line_add(line, room, at, " %.*s", LOG_NAME_MAX, l->stack_name);
	if (l->format & ZF_LF_FRC)
		at = line_add(line, room, at, " %llu", (unsigned long long)frc_read());
	if (l->format & ZF_LF_TCP_TIME) {
		uint64_t t = l->tick != NULL ? *l->tick : process_ms();

		at = line_add(line, room, at, " %llu", (unsigned long long)t);
	}
	return line_add(line, room, at, " %s %s: ", log_component_name(comp), level_name(level));
}

/* One line, whatever is in the text: a value that came from elsewhere must not forge a second one. */
static size_t
line_finish(char *line, size_t from, size_t len, bool cut)
{
	while (!cut && len > from && line[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c < 0x20 || c == 0x7f)
			line[i] = '?';
	}
	if (cut && len >= 3)
		memset(line + len - 3, '.', 3);
	line[len++] = '\n';
	return len;
}

static void
line_write(int fd, const char *line, size_t len)
{
	ssize_t n;
	int tries = 4;

	do {
		n = write(fd >= 0 ? fd : STDERR_FILENO, line, len);
	} while (n < 0 && errno == EINTR && --tries > 0);
}

/* @tail: appended to the text, or "". */
static void
log_vwrite(const struct zf_log *l, enum log_component comp, unsigned int level, const char *tail,
	   const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX + 1]; /* the text may use all but the byte of the newline, and vsnprintf's 0 */
	const size_t room = LOG_LINE_MAX;
	int saved = errno;
	size_t from;
	size_t at;
	bool cut;
	int n;

	if (l == NULL)
		l = &log_default;
	from = line_prefix(l, comp, level, line, room);
	n = vsnprintf(line + from, room - from, fmt, ap);
	if (n < 0)
		n = 0;
	cut = (size_t)n >= room - from;
	at = ZF_MIN(from + (size_t)n, room - 1);
	if (tail[0] != '\0' && !cut) {
		cut = strlen(tail) >= room - at;
		at = line_add(line, room, at, "%s", tail);
	}
	line_write(l->fd, line, line_finish(line, from, at, cut));
	errno = saved;
}

void
log_write(const struct zf_log *l, enum log_component comp, unsigned int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(l, comp, level, "", fmt, ap);
	va_end(ap);
}

void
log_limit_init(struct log_limit *lim, uint32_t lines, uint64_t second)
{
	*lim = (struct log_limit){.second = second, .lines = lines};
}

bool
log_limited(struct log_limit *lim, uint64_t now, const struct zf_log *l, enum log_component comp,
	    unsigned int level, const char *fmt, ...)
{
	char tail[64] = "";
	va_list ap;

	if ((level & ZF_LOG_CEILING) == 0 || !log_wants(l, comp, level))
		return false;
	if (now - lim->start >= lim->second) {
		lim->start = now;
		lim->written = 0;
	}
	if (lim->written >= lim->lines) {
		lim->suppressed++;
		return false;
	}
	lim->written++;
	if (lim->suppressed != 0)
		snprintf(tail, sizeof(tail), " (%llu like it suppressed)",
			 (unsigned long long)lim->suppressed);
	lim->suppressed = 0;
	va_start(ap, fmt);
	log_vwrite(l, comp, level, tail, fmt, ap);
	va_end(ap);
	return true;
}

/* A descriptor above the standard three: an application that closed one of them must not find our file there. */
static int
file_open(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	int high;

	if (fd < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (high < 0)
		high = -errno;
	close(fd);
	return high;
}

int
log_init(struct zf_log *l, const char *stack_name, uint64_t level_mask, uint32_t format, const char *file)
{
	int fd;

	*l = (struct zf_log){.level_mask = level_mask, .format = format, .fd = -1};
	if (stack_name != NULL)
		snprintf(l->stack_name, sizeof(l->stack_name), "%s", stack_name);
	if (file == NULL || file[0] == '\0')
		return 0;
	fd = file_open(file);
	if (fd < 0) {
		log_write(l, LC_STACK, LOG_ERR,
			  "log_file=%s cannot be opened: %s (errno %d); logging to stderr. Name a file in a folder "
			  "that this user may write to",
			  file, strerror(-fd), -fd);
		return fd;
	}
	l->fd = fd;
	return 0;
}

void
log_dup(struct zf_log *l, const struct zf_log *from)
{
	*l = *from;
	if (from->fd >= 0)
		l->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	l->tick = NULL;
}

void
log_fini(struct zf_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
