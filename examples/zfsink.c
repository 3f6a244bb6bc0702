/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Receives datagrams, and shows the three ways to wait for them: polling the stack, the multiplexer, and sleeping in
 * epoll on the stack's descriptor, where descriptors of the kernel's could be as well.
 *
 * Every call that did something is traced to stderr unless -q is given. Senders: zfsend, or anything that speaks UDP.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <zf/zf.h>

#include "common.h"

#define MAX_ADDRS 64
#define N_IOV	  64 /* fragments of a datagram */
#define N_EVENTS  8
/* How often a loop that waits looks whether it should end. */
#define LOOK_MS 100

static struct {
	bool muxer;
	bool fd;
	bool json;
	bool serial;
	uint64_t count; /* 0: no limit */
	long wait_s;	/* 0: no limit */
	bool from;
	struct sockaddr_in remote;
	int n_addrs;
	struct sockaddr_in local[MAX_ADDRS];
} cfg;

static const char usage[] =
	"usage: zfsink [options] LOCALADDR:PORT [LOCALADDR:PORT...]\n"
	"\n"
	"Receives datagrams to addresses of the stack or to multicast groups. Attributes come from ZF_ATTR, at least\n"
	"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.2/24\"   (the other side: 10.0.0.1/24)\n"
	"  zfsink 10.0.0.2:8000 239.1.2.3:8000\n"
	"  zfsend 10.0.0.2:8000                 (over there)\n"
	"\n"
	"  -m          wait in the multiplexer (zf_muxer_wait)\n"
	"  -w          sleep in epoll on the stack's descriptor (zf_waitable_fd_get), then as -m\n"
	"  -q          do not trace the calls\n"
	"  -f HOST:PORT  only what this sender sends; port 0: any port of it, for groups\n"
	"  -s          the datagrams are zfsend's: count numbers that are missing when the next one comes, and those that\n"
	"              come late or twice\n"
	"  -n COUNT    end after so many datagrams\n"
	"  -t SECONDS  end when nothing arrives for so long\n"
	"  --json      report as one JSON object\n"
	"  -h          this text\n"
	"\n"
	"Ends with its report by -n, -t, SIGINT or SIGTERM. Exit status: 0 done, 1 a call failed, 2 wrong command line,\n"
	"3 nothing arrived, or fewer than -n.\n";

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
	case 'm':
		cfg.muxer = true;
		break;
	case 'w':
		cfg.muxer = cfg.fd = true;
		break;
	case 'q':
		ex_quiet = true;
		break;
	case 'f':
		cfg.remote = ex_addr(optarg);
		cfg.from = true;
		break;
	case 's':
		cfg.serial = true;
		break;
	case 'n':
		cfg.count = (uint64_t)ex_number("-n", optarg, 1, 1000000000000000);
		break;
	case 't':
		cfg.wait_s = ex_number("-t", optarg, 1, 86400);
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
	static const struct option longs[] = {{"muxer", no_argument, NULL, 'm'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "mwqf:sn:t:h", longs, NULL)) != -1)
		option(c);
	cfg.n_addrs = argc - optind;
	if (cfg.n_addrs < 1)
		wrong("");
	if (cfg.n_addrs > MAX_ADDRS)
		wrong("at most 64 addresses");
	for (int i = 0; i < cfg.n_addrs; i++)
		cfg.local[i] = ex_addr(argv[optind + i]);
}

/* One address. */
struct source {
	struct zfur *ur;
	uint64_t next; /* the number that the next datagram should have */
};

struct sink {
	struct zf_stack *stack;
	struct zf_muxer_set *set;
	int ep; /* epoll's descriptor */
	struct source sources[MAX_ADDRS];
	uint64_t datagrams, bytes, missing, late, sleeps;
	uint64_t began, last; /* first and newest datagram; @last is the start of waiting until then */
};

struct message {
	struct zfur_msg msg;
	struct iovec iov[N_IOV];
};

/* Whose number it is does not matter as long as there is one sender an address. */
static void
look_at_serial(struct sink *s, struct source *src, const struct message *m)
{
	uint64_t serial;

	if (m->iov[0].iov_len < sizeof(serial))
		return;
	memcpy(&serial, m->iov[0].iov_base, sizeof(serial));
	serial = be64toh(serial);
	if (serial < src->next) {
		s->late++;
		return;
	}
	s->missing += serial - src->next;
	src->next = serial + 1;
}

static void
trace_datagram(struct zfur *ur, const struct message *m, size_t len)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	const struct udphdr *udp;
	const struct iphdr *ip;
	char name[32];

	if (ex_quiet)
		return;
	EX_TRY(zfur_pkt_get_header(ur, &m->msg, &ip, &udp, 0));
	/* The headers are aligned to 2 bytes only. */
	memcpy(&from.sin_addr, (const char *)ip + offsetof(struct iphdr, saddr), sizeof(from.sin_addr));
	memcpy(&from.sin_port, (const char *)udp + offsetof(struct udphdr, source), sizeof(from.sin_port));
	ex_trace("zfur_zc_recv: %zu bytes in %d buffers from %s, %d more wait", len, m->msg.iovcnt, ex_host(&from, name),
		 m->msg.dgrams_left);
}

static bool
enough(const struct sink *s)
{
	return cfg.count != 0 && s->datagrams >= cfg.count;
}

/* All that waits. The multiplexer tells of it once only, and one poll may bring many. */
static void
drain(struct sink *s, struct source *src)
{
	struct message m;

	do {
		size_t len = 0;

		m.msg.iovcnt = N_IOV;
		zfur_zc_recv(src->ur, &m.msg, 0);
		if (m.msg.iovcnt == 0)
			return;
		for (int i = 0; i < m.msg.iovcnt; i++)
			len += m.iov[i].iov_len;
		s->last = ex_now_ns();
		if (s->datagrams++ == 0)
			s->began = s->last;
		s->bytes += len;
		if (cfg.serial)
			look_at_serial(s, src, &m);
		trace_datagram(src->ur, &m, len);
		zfur_zc_recv_done(src->ur, &m.msg);
	} while (m.msg.dgrams_left > 0 && !enough(s));
}

static bool
time_is_up(const struct sink *s)
{
	return ex_stopped() || (cfg.wait_s > 0 && ex_now_ns() - s->last > (uint64_t)cfg.wait_s * 1000000000u);
}

static void
poll_stack(struct sink *s)
{
	while (!enough(s)) {
		if (zf_reactor_perform(s->stack) == 0) {
			if (time_is_up(s))
				return;
			continue;
		}
		ex_trace("zf_reactor_perform: something happened");
		for (int i = 0; i < cfg.n_addrs; i++)
			drain(s, &s->sources[i]);
	}
}

/* The events of one call; false when there were none. */
static bool
poll_muxer(struct sink *s, int64_t timeout_ns)
{
	struct epoll_event ev[N_EVENTS];
	int n = zf_muxer_wait(s->set, ev, N_EVENTS, timeout_ns);

	if (n > 0)
		ex_trace("zf_muxer_wait: %d ready", n);
	for (int i = 0; i < n; i++)
		drain(s, ev[i].data.ptr);
	return n > 0;
}

/* Edge-triggered: what arrives while the events are looked at makes the descriptor readable again, or is seen here. */
static void
sleep_in_epoll(struct sink *s)
{
	struct epoll_event ev;
	int n;

	while (!enough(s) && !time_is_up(s)) {
		EX_TRY(zf_waitable_fd_prime(s->stack));
		n = epoll_wait(s->ep, &ev, 1, LOOK_MS);
		if (n < 0 && errno != EINTR)
			ex_try("epoll_wait", -errno);
		if (n > 0) {
			s->sleeps++;
			ex_trace("epoll_wait: the stack has something to do");
		}
		while (!enough(s) && poll_muxer(s, 0))
			;
	}
}

static void
report(const struct sink *s)
{
	uint64_t ns = s->datagrams == 0 ? 0 : s->last - s->began;
	char a[48], b[48];

	if (cfg.json) {
		printf("{\"datagrams\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"mode\":\"%s\",\"wakeups\":%llu",
		       (unsigned long long)s->datagrams, (unsigned long long)s->bytes, (double)ns / 1e9,
		       cfg.fd ? "fd" : cfg.muxer ? "muxer" : "poll", (unsigned long long)s->sleeps);
		if (cfg.serial)
			printf(",\"missing\":%llu,\"late\":%llu", (unsigned long long)s->missing,
			       (unsigned long long)s->late);
		puts("}");
		return;
	}
	puts("received over UDP");
	printf("  datagrams  %14llu\n", (unsigned long long)s->datagrams);
	printf("  bytes      %14llu\n", (unsigned long long)s->bytes);
	printf("  time       %14.3f s\n", (double)ns / 1e9);
	printf("  rate       %s\n", ex_rate(s->datagrams, ns, "pkt", 14, a));
	printf("             %s\n", ex_rate(s->bytes * 8, ns, "bit", 14, b));
	if (cfg.fd)
		printf("  woken up   %14llu times\n", (unsigned long long)s->sleeps);
	if (cfg.serial)
		printf("  missing    %14llu\n  late       %14llu\n", (unsigned long long)s->missing,
		       (unsigned long long)s->late);
}

static void
open_source(struct sink *s, int i, const struct zf_attr *attr)
{
	struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = &s->sources[i]}};
	struct sockaddr_in *local = &cfg.local[i];
	char name[32];

	EX_TRY(zfur_alloc(&s->sources[i].ur, s->stack, attr));
	EX_TRY(zfur_addr_bind(s->sources[i].ur, (struct sockaddr *)local, sizeof(*local),
			      cfg.from ? (struct sockaddr *)&cfg.remote : NULL, cfg.from ? sizeof(cfg.remote) : 0, 0));
	ex_trace("zfur_addr_bind: %s", ex_host(local, name));
	if (s->set == NULL)
		return;
	EX_TRY(zf_muxer_add(s->set, zfur_to_waitable(s->sources[i].ur), &ev));
	ex_trace("zf_muxer_add: %s", name);
}

static void
open_epoll(struct sink *s)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd;

	EX_TRY(zf_waitable_fd_get(s->stack, &fd));
	ex_trace("zf_waitable_fd_get: descriptor %d", fd);
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	if (s->ep < 0 || epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		ex_try("epoll", -errno);
}

int
main(int argc, char **argv)
{
	struct sink s = {.ep = -1};
	struct zf_attr *attr;

	parse_args(argc, argv);
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &s.stack));
	ex_trace("zf_stack_alloc: %s", zf_version());
	/* Now that all is set up: before, a signal may end the program. */
	ex_catch_signals();
	if (cfg.muxer)
		EX_TRY(zf_muxer_alloc(s.stack, &s.set));
	for (int i = 0; i < cfg.n_addrs; i++)
		open_source(&s, i, attr);
	if (cfg.fd)
		open_epoll(&s);
	s.last = ex_now_ns();
	if (cfg.fd)
		sleep_in_epoll(&s);
	else if (!cfg.muxer)
		poll_stack(&s);
	else
		while (!enough(&s) && !time_is_up(&s))
			poll_muxer(&s, LOOK_MS * 1000000);
	report(&s);
	for (int i = 0; i < cfg.n_addrs; i++)
		EX_TRY(zfur_free(s.sources[i].ur));
	zf_muxer_free(s.set);
	if (s.ep >= 0)
		close(s.ep);
	EX_TRY(zf_stack_free(s.stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return s.datagrams == 0 || (cfg.count != 0 && s.datagrams < cfg.count) ? EX_SILENCE : EX_OK;
}
