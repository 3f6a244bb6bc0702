/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the example programs share: addresses from the command line, a clock, and what to make of many measured times.
 * Plain C and libc; nothing of the library but its errors.
 */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of all examples. */
#define EX_OK      0
#define EX_FAILED  1 /* a call of the library failed */
#define EX_USAGE   2 /* the command line is wrong */
#define EX_SILENCE 3 /* the other side never answered */
#define EX_BROKEN  4 /* the connection ended before its work was done */
#define EX_WRONG   5 /* what arrived is not what was sent */

/* "call: value (text)" to stderr, then exit(EX_FAILED); for calls that return a negative errno code. */
void ex_try(const char *call, long rc);
#define EX_TRY(call) ex_try(#call, (long)(call))

/* HOST:PORT to an address; a message and exit(EX_USAGE) when there is no such host or port. */
struct sockaddr_in ex_addr(const char *text);

/* A whole number within [min, max]; a message that names @what and exit(EX_USAGE) otherwise. */
long ex_number(const char *what, const char *text, long min, long max);

/* A number of bytes, at least @min; K, M and G behind it count in 1024s. Otherwise as ex_number(). */
uint64_t ex_bytes(const char *what, const char *text, uint64_t min);

/* "10.0.0.1:2000". */
const char *ex_host(const struct sockaddr_in *in, char buf[32]);

/* SIGINT and SIGTERM do not end the program any more: ex_stopped() is true from then on. Any thread may ask. */
void ex_catch_signals(void);
bool ex_stopped(void);

/* One line about a call to stderr, but not when ex_quiet is set: what -q of the programs that trace asks for. */
extern bool ex_quiet;
__attribute__((format(printf, 1, 2))) void ex_trace(const char *fmt, ...);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t ex_now_ns(void);

/* Sorts @ns in place. */
void ex_sort(uint64_t *ns, size_t n);

/* The value below which @percent of the sorted values lie. */
uint64_t ex_percentile(const uint64_t *sorted, size_t n, double percent);

/* "734 ns" or "12.3 us". */
const char *ex_time(uint64_t ns, char buf[32]);

/* @n in @ns nanoseconds as "12.300 kpkt/s", where @unit is "pkt"; the number is at least @width wide. */
const char *ex_rate(uint64_t n, uint64_t ns, const char *unit, int width, char buf[48]);

/* A text histogram of the sorted values up to their 99.9th percentile, @lines long. */
void ex_histogram(const uint64_t *sorted, size_t n, int lines);

/* One value a line. False after a message. */
bool ex_write_raw(const char *file, const uint64_t *ns, size_t n);

#endif
