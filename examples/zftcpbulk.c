/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Moves a lot of data over TCP: recv listens, send connects, sends and closes; each says how fast it went.
 *
 * What is sent is a fixed pattern and nothing else, so that the other side may be any program that talks TCP. The
 * pattern repeats after a prime number of bytes: no part that TCP might lose, repeat or exchange leaves it intact.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"

#define PERIOD   65521u
#define MAX_SEND 1048576u
#define N_IOV    64

static struct {
	bool send;
	bool verify;
	bool copy;
	bool json;
	bool quiet;
	uint64_t bytes; /* 0: not said */
	long seconds;	/* 0: not said */
	size_t size;
	long streams;
	long wait_s;
	struct sockaddr_in host;
} cfg = {.size = 16384, .streams = 1, .wait_s = 30};

static const char usage[] =
	"usage: zftcpbulk [options] send|recv HOST:PORT\n"
	"\n"
	"Moves a stream of bytes from one process to another. Attributes come from ZF_ATTR, at least\n"
	"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
	"  zftcpbulk recv 10.0.0.1:8000      (listens there)\n"
	"  zftcpbulk send 10.0.0.1:8000      (connects to it)\n"
	"\n"
	"  -b BYTES    send this many, such as 64K, 20M, 1G (1G); recv: it is a failure if fewer or more arrive\n"
	"  -t SECONDS  send for this long instead\n"
	"  -s BYTES    bytes given to one call of zft_send, or taken by one of zft_recv, 1 to 1M (16K)\n"
	"  -V          recv: check every byte against what send sends\n"
	"  -c          recv: copy the data out (zft_recv) instead of looking at it where it arrived\n"
	"  -n N        so many streams one after another (1); one that fails is reported and the next begins\n"
	"  -w SECONDS  give up when nobody connects, or nothing moves, for so long (30)\n"
	"  -q          no progress on stderr\n"
	"  --json      one JSON object for each stream\n"
	"  -h          this text\n"
	"\n"
	"Exit status, of the last stream that failed: 0 done, 1 a call failed, 2 wrong command line, 3 no answer,\n"
	"4 the connection broke, 5 wrong data.\n";

static void
wrong(const char *why)
{
	fprintf(stderr, "%s%s%s", why, *why != '\0' ? "\n" : "", usage);
	exit(EX_USAGE);
}

static void
option(int c)
{
	switch (c) {
	case 'b':
		cfg.bytes = ex_bytes("-b", optarg, 1);
		break;
	case 't':
		cfg.seconds = ex_number("-t", optarg, 1, 86400);
		break;
	case 's':
		cfg.size = (size_t)ex_bytes("-s", optarg, 1);
		if (cfg.size > MAX_SEND)
			wrong("-s: at most 1M");
		break;
	case 'V':
		cfg.verify = true;
		break;
	case 'c':
		cfg.copy = true;
		break;
	case 'n':
		cfg.streams = ex_number("-n", optarg, 1, 1000000000);
		break;
	case 'w':
		cfg.wait_s = ex_number("-w", optarg, 1, 86400);
		break;
	case 'q':
		cfg.quiet = true;
		break;
	case 'j':
		cfg.json = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(EX_OK);
	default:
		wrong("");
	}
}

static void
parse_args(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
					      {"verify", no_argument, NULL, 'V'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "b:t:s:Vcn:w:qh", longs, NULL)) != -1)
		option(c);
	if (argc - optind != 2)
		wrong("");
	cfg.send = strcmp(argv[optind], "send") == 0;
	if (!cfg.send && strcmp(argv[optind], "recv") != 0)
		wrong("send or recv?");
	if (cfg.send && (cfg.verify || cfg.copy))
		wrong("-V and -c are for recv");
	if (!cfg.send && cfg.seconds > 0)
		wrong("-t is for send");
	if (cfg.bytes > 0 && cfg.seconds > 0)
		wrong("-b or -t, not both");
	if (cfg.send && cfg.bytes == 0 && cfg.seconds == 0)
		cfg.bytes = 1u << 30;
	cfg.host = ex_addr(argv[optind + 1]);
}

/* The pattern, long enough that any piece of it can be taken in one part. */
static unsigned char pattern[PERIOD + MAX_SEND];

static void
make_pattern(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < PERIOD; i++) {
		x = x * 1664525u + 1013904223u;
		pattern[i] = (unsigned char)(x >> 24);
	}
	for (size_t i = PERIOD; i < sizeof(pattern); i++)
		pattern[i] = pattern[i - PERIOD];
}

struct stream {
	struct zf_stack *stack;
	struct zft *ts;
	uint64_t bytes;
	uint64_t began, ended;	/* first and last byte moved */
	uint64_t shown, shown_bytes; /* the last line of progress */
	int err;		/* why it broke, a positive errno value; 0: it did not, or ended early */
};

static double
gbit_s(uint64_t bytes, uint64_t ns)
{
	return ns == 0 ? 0 : (double)bytes * 8 / (double)ns;
}

/* Once a second. */
static void
progress(struct stream *s, uint64_t now)
{
	if (now - s->shown < 1000000000u)
		return;
	if (!cfg.quiet)
		fprintf(stderr, "%6.0f s %14llu bytes %9.3f Gbit/s\n", (double)(now - s->began) / 1e9,
			(unsigned long long)s->bytes, gbit_s(s->bytes - s->shown_bytes, now - s->shown));
	s->shown = now;
	s->shown_bytes = s->bytes;
}

/* Something moved: the clock of the stream. */
static void
moved(struct stream *s, size_t bytes, uint64_t now)
{
	/* A receiver waits for the first byte, a sender works for it. */
	if (s->bytes == 0 && !cfg.send)
		s->began = s->shown = now;
	s->bytes += bytes;
	s->ended = now;
	progress(s, now);
}

static bool
stalled(const struct stream *s, uint64_t now)
{
	if (now <= s->ended || now - s->ended <= (uint64_t)cfg.wait_s * 1000000000u)
		return false;
	fprintf(stderr, "nothing moved for %ld s: is the other side still running and reading, is the wire or network up?\n",
		cfg.wait_s);
	return true;
}

static int
broken(struct stream *s, int rc)
{
	s->err = zft_error(s->ts) != 0 ? zft_error(s->ts) : -rc;
	fprintf(stderr, "the connection broke after %llu bytes: %s: %s\n", (unsigned long long)s->bytes,
		ex_tcp_name(s->err), ex_tcp_advice(s->err));
	return EX_BROKEN;
}

/* Sends until all is sent or the time is up; the stream is still open then. */
static int
send_stream(struct stream *s)
{
	uint64_t now = s->ended, until = cfg.seconds > 0 ? now + (uint64_t)cfg.seconds * 1000000000u : UINT64_MAX;
	uint64_t left = cfg.seconds > 0 ? UINT64_MAX : cfg.bytes;
	size_t at = 0;
	ssize_t rc;

	while (left > 0 && now < until) {
		rc = ex_tcp_send(s->ts, pattern + at, cfg.size < left ? cfg.size : (size_t)left);
		now = ex_now_ns();
		if (rc > 0) {
			left -= (uint64_t)rc;
			at = (at + (size_t)rc) % PERIOD;
			moved(s, (size_t)rc, now);
			/* A poll for each send: acknowledgements that wait make the queue long, and its buffers cold. */
			(void)zf_reactor_perform(s->stack);
			continue;
		}
		if (!ex_tcp_full(rc))
			return broken(s, (int)rc);
		/* Above 0 as soon as a send may succeed, or the connection has failed. */
		while (zf_reactor_perform(s->stack) == 0) {
			now = ex_now_ns();
			if (stalled(s, now))
				return EX_SILENCE;
			progress(s, now);
		}
	}
	return EX_OK;
}

/* Compares what arrived at @place of the stream; EX_WRONG after a message about the first byte that is wrong. */
static int
check(uint64_t place, const unsigned char *data, size_t n)
{
	while (n > 0) {
		const unsigned char *want = pattern + place % PERIOD;
		size_t part = n < MAX_SEND ? n : MAX_SEND, i = 0;

		if (memcmp(data, want, part) != 0) {
			while (data[i] == want[i])
				i++;
			fprintf(stderr, "byte %llu of the stream is 0x%02x, not 0x%02x\n",
				(unsigned long long)(place + i), data[i], want[i]);
			return EX_WRONG;
		}
		place += part;
		data += part;
		n -= part;
	}
	return EX_OK;
}

/* One read. The number of bytes, 0 when there are none now, -1 at the end of the stream with the reason of it in
 * *@end: 0 or a negative errno code.
 */
static ssize_t
read_some(struct stream *s, int *end, int *verdict)
{
	static unsigned char buf[MAX_SEND];
	struct {
		struct zft_msg msg;
		struct iovec iov[N_IOV];
	} rd;
	size_t got = 0;
	int rc;

	if (cfg.copy) {
		rd.iov[0] = (struct iovec){buf, cfg.size};
		rc = zft_recv(s->ts, rd.iov, 1, 0);
		if (rc > 0 && cfg.verify)
			*verdict = check(s->bytes, buf, (size_t)rc);
		*end = rc;
		return rc > 0 ? rc : rc == -EAGAIN ? 0 : -1;
	}
	rd.msg.iovcnt = N_IOV;
	zft_zc_recv(s->ts, &rd.msg, 0);
	if (rd.msg.iovcnt == 0)
		return 0;
	for (int i = 0; i < rd.msg.iovcnt; i++) {
		if (cfg.verify && *verdict == EX_OK)
			*verdict = check(s->bytes + got, rd.iov[i].iov_base, rd.iov[i].iov_len);
		got += rd.iov[i].iov_len;
	}
	*end = zft_zc_recv_done(s->ts, &rd.msg);
	/* The end comes with the last bytes; it is told again to whoever reads again. */
	return got > 0 ? (ssize_t)got : -1;
}

static int
recv_stream(struct stream *s)
{
	int end = 0, verdict = EX_OK;
	ssize_t got;

	for (;;) {
		uint64_t now;

		got = read_some(s, &end, &verdict);
		if (got < 0)
			break;
		now = ex_now_ns();
		if (got > 0) {
			moved(s, (size_t)got, now);
			if (verdict != EX_OK)
				return verdict;
			continue;
		}
		if (zf_reactor_perform(s->stack) == 0) {
			if (stalled(s, now))
				return EX_SILENCE;
			if (s->bytes > 0)
				progress(s, now);
		}
	}
	if (end < 0)
		return broken(s, end);
	if (cfg.bytes != 0 && s->bytes != cfg.bytes) {
		fprintf(stderr, "%llu bytes arrived, not the %llu of -b\n", (unsigned long long)s->bytes,
			(unsigned long long)cfg.bytes);
		return EX_WRONG;
	}
	return EX_OK;
}

static void
report(const struct stream *s, int rc)
{
	static const char *const results[] = {"ok", "failed", "usage", "silence", "broken", "wrong"};
	uint64_t ns = s->ended > s->began ? s->ended - s->began : 0;
	bool verified = cfg.verify && rc == EX_OK;

	if (cfg.json)
		printf("{\"proto\":\"tcp\",\"role\":\"%s\",\"bytes\":%llu,\"seconds\":%.6f,\"gbit_s\":%.6f,"
		       "\"verified\":%s,\"result\":\"%s\",\"error\":\"%s\"}\n",
		       cfg.send ? "send" : "recv", (unsigned long long)s->bytes, (double)ns / 1e9, gbit_s(s->bytes, ns),
		       verified ? "true" : "false", results[rc], s->err != 0 ? ex_tcp_name(s->err) : "");
	else
		printf("%s %llu bytes in %.3f s: %.3f Gbit/s%s%s\n", cfg.send ? "sent" : "received",
		       (unsigned long long)s->bytes, (double)ns / 1e9, gbit_s(s->bytes, ns),
		       verified ? ", every byte checked" : "", rc == EX_OK ? "" : " (not complete)");
	fflush(stdout);
}

/* From connection to report. An exit code. */
static int
one_stream(struct zf_stack *stack, const struct zf_attr *attr, struct zftl *tl)
{
	struct stream s = {.stack = stack};
	uint64_t unasked = 0;
	int rc, err;

	s.ts = tl == NULL ? ex_tcp_connect(stack, attr, &cfg.host, cfg.wait_s) : ex_tcp_accept(stack, tl, cfg.wait_s);
	if (s.ts == NULL)
		return EX_SILENCE;
	if (!cfg.quiet)
		fprintf(stderr, "connected\n");
	s.began = s.shown = s.ended = ex_now_ns();
	rc = cfg.send ? send_stream(&s) : recv_stream(&s);
	if (rc == EX_OK) {
		/* What was sent has arrived when the other side, having read all, closes too. */
		err = ex_tcp_finish(stack, s.ts, cfg.wait_s, &unasked);
		if (err < 0)
			rc = broken(&s, err);
		else if (cfg.send)
			s.ended = ex_now_ns();
	}
	report(&s, rc);
	EX_TRY(zft_free(s.ts));
	return rc;
}

int
main(int argc, char **argv)
{
	struct zf_stack *stack;
	struct zftl *tl = NULL;
	struct zf_attr *attr;
	int rc = EX_OK, last;

	parse_args(argc, argv);
	make_pattern();
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &stack));
	if (!cfg.send)
		tl = ex_tcp_listen(stack, attr, &cfg.host);
	for (long i = 0; i < cfg.streams; i++) {
		last = one_stream(stack, attr, tl);
		if (last != EX_OK)
			rc = last;
	}
	if (tl != NULL)
		EX_TRY(zftl_free(tl));
	EX_TRY(zf_stack_free(stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
