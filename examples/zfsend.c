/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sends messages at a steady rate: datagrams, or the pieces of a TCP stream. The other side may be anything: zfsink and
 * zftcpmtpong of these examples, or any program on any host.
 *
 * Each message begins with its number, 8 bytes in network order, as far as it has room: zfsink -s looks at that.
 */
#include <endian.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"

#define MAX_DATAGRAM 65507u
#define MAX_PIECE    1048576u

static struct {
	bool tcp;
	bool json;
	uint64_t count; /* 0: until the time is up */
	uint64_t rate;	/* messages a second; 0: as fast as it goes */
	long seconds;	/* 0: until all are sent */
	size_t size;
	long wait_s;
	struct sockaddr_in local, host;
} cfg = {.count = 1000, .rate = 1000, .size = 64, .wait_s = 30, .local = {.sin_family = AF_INET}};

static const char usage[] =
	"usage: zfsend [options] HOST:PORT\n"
	"\n"
	"Sends datagrams to HOST:PORT (also a multicast group), or with --tcp a stream of bytes. Attributes come from\n"
	"ZF_ATTR, at least\n"
	"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.1/24\"   (the other side: 10.0.0.2/24)\n"
	"  zfsink -q -s 10.0.0.2:8000           (over there)\n"
	"  zfsend -r 10000 -n 100000 10.0.0.2:8000\n"
	"\n"
	"  --tcp       connect and send a stream; what comes back is counted\n"
	"  -n COUNT    so many messages (1000; with -t: no limit)\n"
	"  -t SECONDS  for so long\n"
	"  -r RATE     messages a second; 0: as fast as it goes (1000)\n"
	"  -s BYTES    of each message, 0 to 65507; with --tcp 1 to 1M (64)\n"
	"  -l HOST:PORT  send datagrams from this address (0.0.0.0, which lets the route choose, and the port sent to)\n"
	"  -w SECONDS  give up when nothing can be sent, or nobody is there to connect to, for so long (30); datagrams leave\n"
	"              after so long also if nobody has answered ARP\n"
	"  -q          no progress on stderr\n"
	"  --json      report as one JSON object\n"
	"  -h          this text\n"
	"\n"
	"Exit status: 0 done, 1 a call failed, 2 wrong command line, 3 no answer, 4 the connection broke.\n";

static void
wrong(const char *why)
{
	fprintf(stderr, "%s%s%s", why, *why != '\0' ? "\n" : "", usage);
	exit(EX_USAGE);
}

static void
option(int c, bool *counted)
{
	switch (c) {
	case 'T':
		cfg.tcp = true;
		break;
	case 'n':
		cfg.count = (uint64_t)ex_number("-n", optarg, 1, 1000000000000000);
		*counted = true;
		break;
	case 't':
		cfg.seconds = ex_number("-t", optarg, 1, 86400);
		break;
	case 'r':
		cfg.rate = (uint64_t)ex_number("-r", optarg, 0, 1000000000);
		break;
	case 's':
		cfg.size = (size_t)ex_bytes("-s", optarg, 0);
		break;
	case 'l':
		cfg.local = ex_addr(optarg);
		break;
	case 'w':
		cfg.wait_s = ex_number("-w", optarg, 1, 86400);
		break;
	case 'q':
		ex_quiet = true;
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
	static const struct option longs[] = {{"tcp", no_argument, NULL, 'T'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	bool counted = false;
	int c;

	while ((c = getopt_long(argc, argv, "n:t:r:s:l:w:qh", longs, NULL)) != -1)
		option(c, &counted);
	if (argc - optind != 1)
		wrong("");
	if (cfg.tcp && (cfg.size < 1 || cfg.size > MAX_PIECE))
		wrong("-s: 1 to 1M bytes with --tcp");
	if (!cfg.tcp && cfg.size > MAX_DATAGRAM)
		wrong("-s: a datagram has at most 65507 bytes");
	if (cfg.tcp && cfg.local.sin_port != 0)
		wrong("-l is for datagrams");
	if (cfg.seconds > 0 && !counted)
		cfg.count = 0;
	cfg.host = ex_addr(argv[optind]);
	if (!cfg.tcp && cfg.local.sin_port == 0)
		cfg.local.sin_port = cfg.host.sin_port;
}

struct sender {
	struct zf_stack *stack;
	struct zfut *ut; /* one of the two */
	struct zft *ts;
	unsigned char *data;
	uint64_t messages, bytes, back; /* back: bytes that a TCP peer has sent */
	uint64_t began, now, shown;
	uint64_t shown_messages;
};

static void
progress(struct sender *s)
{
	char a[48], b[48];

	if (s->now - s->shown < 1000000000u)
		return;
	ex_trace("%6.0f s %14llu messages %s %s", (double)(s->now - s->began) / 1e9, (unsigned long long)s->messages,
		 ex_rate(s->messages - s->shown_messages, s->now - s->shown, "msg", 9, a),
		 ex_rate((s->messages - s->shown_messages) * cfg.size * 8, s->now - s->shown, "bit", 9, b));
	s->shown = s->now;
	s->shown_messages = s->messages;
}

static int
broken(const struct sender *s, int rc)
{
	int err = zft_error(s->ts) != 0 ? zft_error(s->ts) : -rc;

	fprintf(stderr, "the connection broke after %llu messages: %s: %s\n", (unsigned long long)s->messages,
		ex_tcp_name(err), ex_tcp_advice(err));
	return EX_BROKEN;
}

/* A look at the network, and at what came back. EX_OK, or that the peer ended the connection. */
static int
poll_once(struct sender *s)
{
	int rc = 0;

	s->now = ex_now_ns();
	progress(s);
	if (zf_reactor_perform(s->stack) > 0 && s->ts != NULL && !ex_tcp_discard(s->ts, &s->back, &rc))
		return broken(s, rc);
	return EX_OK;
}

/* A piece of a message, or a whole datagram: bytes taken, or a negative errno code. */
static ssize_t
send_some(struct sender *s, const unsigned char *data, size_t len, bool one_frame)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};

	if (s->ts != NULL)
		return ex_tcp_send(s->ts, data, len);
	return one_frame ? zfut_send_single(s->ut, data, len) : zfut_send(s->ut, &iov, 1, 0);
}

static int
send_message(struct sender *s)
{
	bool one_frame = s->ut != NULL && cfg.size <= (size_t)zfut_get_mss(s->ut);
	uint64_t serial = htobe64(s->messages), since = s->now;
	size_t put = 0;

	memcpy(s->data, &serial, cfg.size < sizeof(serial) ? cfg.size : sizeof(serial));
	for (;;) {
		ssize_t rc = send_some(s, s->data + put, cfg.size - put, one_frame);

		if (rc >= 0) {
			put += (size_t)rc;
			s->bytes += (size_t)rc;
			if (put == cfg.size)
				break;
			continue;
		}
		if (rc != -EAGAIN && rc != -ENOMEM && rc != -ENOBUFS) {
			if (s->ts != NULL)
				return broken(s, (int)rc);
			ex_try("zfut_send", rc);
		}
		if (s->now - since > (uint64_t)cfg.wait_s * 1000000000u) {
			fprintf(stderr, "nothing could be sent for %ld s: is the other side reading, is the wire or "
					"network up?\n", cfg.wait_s);
			return EX_SILENCE;
		}
		if (poll_once(s) != EX_OK)
			return EX_BROKEN;
	}
	s->messages++;
	return EX_OK;
}

/* Message n is due n / rate after the beginning: lateness of one is made up by the next ones. */
static uint64_t
due(const struct sender *s)
{
	if (cfg.rate == 0)
		return s->began;
	return s->began + s->messages / cfg.rate * 1000000000u + s->messages % cfg.rate * 1000000000u / cfg.rate;
}

static int
send_all(struct sender *s)
{
	uint64_t until, polled = 0;
	int rc = EX_OK;

	s->began = s->shown = s->now = ex_now_ns();
	until = cfg.seconds > 0 ? s->began + (uint64_t)cfg.seconds * 1000000000u : UINT64_MAX;
	while (rc == EX_OK && !ex_stopped() && s->now < until && (cfg.count == 0 || s->messages < cfg.count)) {
		/* However fast: the stack has more to do than to send. */
		if (s->now < due(s) || s->messages - polled >= 16) {
			polled = s->messages;
			rc = poll_once(s);
			continue;
		}
		rc = send_message(s);
	}
	return rc;
}

static void
report(const struct sender *s, int rc)
{
	double seconds = (double)(s->now - s->began) / 1e9;
	char a[48], b[48], c[48];

	if (cfg.json) {
		printf("{\"proto\":\"%s\",\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"rate_wanted_per_s\":%llu,"
		       "\"bytes_back\":%llu,\"result\":\"%s\"}\n", cfg.tcp ? "tcp" : "udp",
		       (unsigned long long)s->messages, (unsigned long long)s->bytes, seconds, (unsigned long long)cfg.rate,
		       (unsigned long long)s->back, rc == EX_OK ? "ok" : rc == EX_SILENCE ? "silence" : "broken");
		return;
	}
	printf("sent to %s over %s%s\n", ex_host(&cfg.host, a), cfg.tcp ? "TCP" : "UDP", rc == EX_OK ? "" : " (not complete)");
	printf("  messages   %14llu  of %zu bytes\n", (unsigned long long)s->messages, cfg.size);
	printf("  bytes      %14llu\n", (unsigned long long)s->bytes);
	printf("  time       %14.3f s\n", seconds);
	printf("  rate       %s%s%s\n", ex_rate(s->messages, s->now - s->began, "msg", 14, a),
	       cfg.rate == 0 ? ", as fast as it went" : ", wanted: ",
	       cfg.rate == 0 ? "" : ex_rate(cfg.rate, 1000000000u, "msg", 0, c));
	printf("             %s\n", ex_rate(s->bytes * 8, s->now - s->began, "bit", 14, b));
	if (cfg.tcp)
		printf("  came back  %14llu bytes\n", (unsigned long long)s->back);
}

/* A zocket for datagrams. It comes when the other side has answered ARP: that may be started later. */
static void
open_udp(struct sender *s, const struct zf_attr *attr)
{
	uint64_t since = ex_now_ns();

	EX_TRY(zfut_alloc(&s->ut, s->stack, (struct sockaddr *)&cfg.local, sizeof(cfg.local),
			  (struct sockaddr *)&cfg.host, sizeof(cfg.host), 0, attr));
	if (ex_now_ns() - since >= (uint64_t)cfg.wait_s * 1000000000u)
		fprintf(stderr, "nobody has answered for %ld s; sending all the same\n", cfg.wait_s);
}

static int
run(struct sender *s, const struct zf_attr *attr)
{
	int rc, err;

	if (cfg.tcp) {
		s->ts = ex_tcp_connect(s->stack, attr, &cfg.host, cfg.wait_s);
		if (s->ts == NULL)
			return EX_SILENCE;
	} else {
		open_udp(s, attr);
	}
	/* Not before: while those calls wait a signal ends the program. */
	ex_catch_signals();
	rc = send_all(s);
	if (rc == EX_OK && cfg.tcp) {
		/* What was sent has arrived when the other side, having read all, closes too. */
		err = ex_tcp_finish(s->stack, s->ts, cfg.wait_s, &s->back);
		if (err < 0)
			rc = broken(s, err);
		s->now = ex_now_ns();
	}
	report(s, rc);
	if (cfg.tcp)
		EX_TRY(zft_free(s->ts));
	else
		EX_TRY(zfut_free(s->ut));
	return rc;
}

int
main(int argc, char **argv)
{
	struct sender s = {0};
	struct zf_attr *attr;
	int rc;

	parse_args(argc, argv);
	s.data = calloc(1, cfg.size + 1);
	if (s.data == NULL) {
		fprintf(stderr, "no memory for %zu bytes\n", cfg.size);
		return EX_FAILED;
	}
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	if (!cfg.tcp)
		EX_TRY(zf_attr_set_int(attr, "arp_reply_timeout",
				       cfg.wait_s < 2000 ? cfg.wait_s * 1000000 : 2000000000));
	EX_TRY(zf_stack_alloc(attr, &s.stack));
	rc = run(&s, attr);
	EX_TRY(zf_stack_free(s.stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	free(s.data);
	return rc;
}
