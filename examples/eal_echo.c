/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An application of DPDK that wants UDP and TCP: it starts EAL by itself, runs a stack on each worker lcore, and sends
 * back what arrives there. It includes headers of DPDK, as the one example that does.
 *
 * The order is what matters: rte_eal_init() first, then zf_init(), which uses the EAL that runs; then a stack made by the
 * lcore that polls it, so that its memory lies on that lcore's node.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "tcp.h"

#define MAX_CONNS 64
#define N_IOV	  64

static struct {
	bool json;
	long port;
	long seconds; /* 0: until a signal */
	int n_attrs;
	char **attrs;
} cfg = {.port = 8000};

static const char usage[] =
	"usage: eal_echo [EAL options] -- [options] [ATTRIBUTES...]\n"
	"\n"
	"Runs a stack on each worker lcore that sends back what it gets: datagrams, and streams of up to 64 connections.\n"
	"Worker 0 takes the first ATTRIBUTES, worker 1 the second and so on, in the syntax of ZF_ATTR and on top of it; when\n"
	"there are fewer than workers the last ones hold for the rest. Worker n answers at port PORT + n of its first address.\n"
	"  eal_echo --no-huge --no-shconf --no-pci -m 512 --lcores 0@0,1@0,2@1 -- \\\n"
	"      'interface=wire:/tmp/w1;ipv4=10.0.0.2/24' 'interface=wire:/tmp/w2;ipv4=10.0.0.2/24'\n"
	"  ZF_ATTR='interface=wire:/tmp/w1;ipv4=10.0.0.1/24' zftcppingpong ping 10.0.0.2:8000\n"
	"  ZF_ATTR='interface=wire:/tmp/w2;ipv4=10.0.0.1/24' zfudppingpong ping 10.0.0.1:8001 10.0.0.2:8001\n"
	"\n"
	"  -p PORT     port of the first worker (8000)\n"
	"  -t SECONDS  end after so long\n"
	"  --json      report as one JSON object\n"
	"  -h          this text\n"
	"\n"
	"Ends with its report by -t, SIGINT or SIGTERM. Exit status: 0 done, 1 a call failed or a worker did not stay on its\n"
	"CPU, 2 wrong command line, 4 a connection broke.\n";

static void
wrong(const char *why)
{
	fprintf(stderr, "%s%s%s", why, *why != '\0' ? "\n" : "", usage);
	exit(EX_USAGE);
}

static void
parse_args(int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int c;

	/* EAL has used getopt for its own part. */
	optind = 1;
	while ((c = getopt_long(argc, argv, "p:t:h", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			cfg.port = ex_number("-p", optarg, 1, 65535 - RTE_MAX_LCORE);
			break;
		case 't':
			cfg.seconds = ex_number("-t", optarg, 1, 86400);
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
	cfg.n_attrs = argc - optind;
	cfg.attrs = argv + optind;
}

/* A byte stream on its way back: a message is given back as soon as all of it was taken. */
struct conn {
	struct zft *ts; /* NULL: the place is free */
	struct {
		struct zft_msg msg;
		struct iovec iov[N_IOV];
	} rd;
	bool held;  /* rd holds a message */
	int at;	    /* entry of it that is sent next, */
	size_t put; /* and how much of that was sent */
};

/* What a worker did. Written by it until it has ended, read by the main lcore afterwards. */
struct worker {
	int index;
	unsigned int lcore;
	int cpu;	/* where it ran at first, */
	bool stayed;	/* and whether it was on a CPU of its lcore at the beginning and at the end */
	bool ran;
	uint64_t datagrams, dgram_bytes, dropped; /* dropped: no room for the answer, or no way to whom it is for */
	uint64_t conns, broken, stream_bytes;

	struct zf_stack *stack;
	struct zf_muxer_set *set;
	struct zfur *ur;
	struct zftl *tl;
	struct sockaddr_in local;
	struct zf_attr *attr;
	struct conn *table;
	bool starved; /* a connection found no packet buffer: tried again before EPOLLOUT says that there is one */
};

static struct worker workers[RTE_MAX_LCORE];

/* "a=1;b=2" on top of what ZF_ATTR says. The address is taken from `ipv4`, without its prefix and what follows. */
static void
set_attributes(struct worker *w, const char *text)
{
	char *copy = strdup(text), *save = NULL, *ipv4 = NULL, host[300];

	EX_TRY(zf_attr_alloc(&w->attr));
	if (copy == NULL)
		ex_try("strdup", -ENOMEM);
	for (char *one = strtok_r(copy, ";", &save); one != NULL; one = strtok_r(NULL, ";", &save)) {
		char *value = strchr(one, '=');

		if (value == NULL) {
			fprintf(stderr, "\"%s\" is not NAME=VALUE\n", one);
			exit(EX_USAGE);
		}
		*value++ = '\0';
		ex_try(one, zf_attr_set_from_str(w->attr, one, value));
	}
	free(copy);
	EX_TRY(zf_attr_get_str(w->attr, "ipv4", &ipv4));
	if (ipv4 == NULL) {
		fprintf(stderr, "worker %d has no address: ipv4=ADDRESS/PREFIX is missing\n", w->index);
		exit(EX_USAGE);
	}
	ipv4[strcspn(ipv4, "/,")] = '\0';
	snprintf(host, sizeof(host), "%s:%ld", ipv4, cfg.port + w->index);
	free(ipv4);
	w->local = ex_addr(host);
}

/* True while the thread is where EAL put it: the lcore's CPUs are all it may use, and it is on one of them. */
static bool
on_its_cpu(struct worker *w)
{
	rte_cpuset_t wanted = rte_lcore_cpuset(w->lcore), have;
	int cpu = sched_getcpu();

	if (w->cpu < 0)
		w->cpu = cpu;
	return sched_getaffinity(0, sizeof(have), &have) == 0 && CPU_EQUAL(&have, &wanted) && cpu >= 0 &&
	       CPU_ISSET(cpu, &wanted);
}

static void
add(struct worker *w, struct zf_waitable *waitable, void *what)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR, .data = {.ptr = what}};

	EX_TRY(zf_muxer_add(w->set, waitable, &ev));
}

static void
open_stack(struct worker *w)
{
	set_attributes(w, cfg.n_attrs == 0 ? "" : cfg.attrs[w->index < cfg.n_attrs ? w->index : cfg.n_attrs - 1]);
	w->table = calloc(MAX_CONNS, sizeof(*w->table));
	if (w->table == NULL)
		ex_try("calloc", -ENOMEM);
	EX_TRY(zf_stack_alloc(w->attr, &w->stack));
	EX_TRY(zf_muxer_alloc(w->stack, &w->set));
	EX_TRY(zfur_alloc(&w->ur, w->stack, w->attr));
	EX_TRY(zfur_addr_bind(w->ur, (struct sockaddr *)&w->local, sizeof(w->local), NULL, 0, 0));
	w->tl = ex_tcp_listen(w->stack, w->attr, &w->local);
	add(w, zfur_to_waitable(w->ur), w->ur);
	add(w, zftl_to_waitable(w->tl), w->tl);
}

/* ---- UDP: a transmit zocket has one destination, and is kept as long as the same one asks ---- */

static void
answer(struct worker *w, struct zfut **ut, struct sockaddr_in *to, const struct sockaddr_in *from,
       const struct iovec *iov, int n)
{
	if (*ut == NULL || to->sin_addr.s_addr != from->sin_addr.s_addr || to->sin_port != from->sin_port) {
		if (*ut != NULL)
			EX_TRY(zfut_free(*ut));
		*to = *from;
		/* Whoever asks from where no answer gets to is no reason to end. */
		if (zfut_alloc(ut, w->stack, (struct sockaddr *)&w->local, sizeof(w->local), (struct sockaddr *)to,
			       sizeof(*to), 0, w->attr) < 0) {
			*ut = NULL;
			w->dropped++;
			return;
		}
	}
	if (zfut_send(*ut, iov, n, 0) < 0)
		w->dropped++;
}

static void
echo_datagrams(struct worker *w, struct zfut **ut, struct sockaddr_in *to)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct {
		struct zfur_msg msg;
		struct iovec iov[N_IOV];
	} rd;
	const struct udphdr *udp;
	const struct iphdr *ip;

	do {
		rd.msg.iovcnt = N_IOV;
		zfur_zc_recv(w->ur, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			return;
		EX_TRY(zfur_pkt_get_header(w->ur, &rd.msg, &ip, &udp, 0));
		/* The headers are aligned to 2 bytes only. */
		memcpy(&from.sin_addr, (const char *)ip + offsetof(struct iphdr, saddr), sizeof(from.sin_addr));
		memcpy(&from.sin_port, (const char *)udp + offsetof(struct udphdr, source), sizeof(from.sin_port));
		w->datagrams++;
		for (int i = 0; i < rd.msg.iovcnt; i++)
			w->dgram_bytes += rd.iov[i].iov_len;
		answer(w, ut, to, &from, rd.iov, rd.msg.iovcnt);
		zfur_zc_recv_done(w->ur, &rd.msg);
	} while (rd.msg.dgrams_left > 0);
}

/* ---- TCP ---- */

static void
accept_all(struct worker *w)
{
	struct zft *ts;
	int rc;

	for (int i = 0; i < MAX_CONNS; i++) {
		if (w->table[i].ts != NULL)
			continue;
		rc = zftl_accept(w->tl, &ts);
		if (rc == -EAGAIN)
			return;
		ex_try("zftl_accept", rc);
		memset(&w->table[i], 0, sizeof(w->table[i]));
		w->table[i].ts = ts;
		add(w, zft_to_waitable(ts), &w->table[i]);
		w->conns++;
	}
}

static void
release(struct worker *w, struct conn *c, bool broken)
{
	w->broken += broken;
	EX_TRY(zft_free(c->ts));
	c->ts = NULL;
	accept_all(w);
}

/* Sends the held message; 1 when all of it was taken, 0 when room is awaited, negative when the connection is over. */
static int
send_held(struct worker *w, struct conn *c)
{
	for (; c->at < c->rd.msg.iovcnt; c->at++, c->put = 0) {
		const struct iovec *iov = &c->rd.iov[c->at];

		while (c->put < iov->iov_len) {
			ssize_t rc = ex_tcp_send(c->ts, (char *)iov->iov_base + c->put, iov->iov_len - c->put);

			w->starved |= rc == -ENOMEM;
			if (rc < 0)
				return ex_tcp_full(rc) ? 0 : (int)rc;
			c->put += (size_t)rc;
			w->stream_bytes += (uint64_t)rc;
		}
	}
	return 1;
}

static void
echo_stream(struct worker *w, struct conn *c)
{
	int rc = 1;

	while (rc > 0) {
		if (!c->held) {
			c->rd.msg.iovcnt = N_IOV;
			zft_zc_recv(c->ts, &c->rd.msg, 0);
			if (c->rd.msg.iovcnt == 0)
				return;
			c->held = true;
			c->at = 0;
			c->put = 0;
		}
		rc = send_held(w, c);
		if (rc == 0)
			return;
		c->held = false;
		if (rc < 0)
			zft_zc_recv_done(c->ts, &c->rd.msg);
		else
			rc = zft_zc_recv_done(c->ts, &c->rd.msg);
	}
	release(w, c, rc < 0);
}

/* ---- the loop of a worker ---- */

static void
serve(struct worker *w, uint64_t until)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct zfut *ut = NULL;
	struct epoll_event ev[16];

	while (!ex_stopped() && ex_now_ns() < until) {
		int n = zf_muxer_wait(w->set, ev, 16, 1000000);

		for (int i = 0; i < n; i++) {
			void *what = ev[i].data.ptr;

			if (what == w->ur)
				echo_datagrams(w, &ut, &to);
			else if (what == w->tl)
				accept_all(w);
			else if (((struct conn *)what)->ts != NULL)
				echo_stream(w, what);
		}
		if (!w->starved)
			continue;
		w->starved = false;
		for (int i = 0; i < MAX_CONNS; i++)
			if (w->table[i].ts != NULL && w->table[i].held)
				echo_stream(w, &w->table[i]);
	}
	if (ut != NULL)
		EX_TRY(zfut_free(ut));
}

static void
close_stack(struct worker *w)
{
	uint64_t until = ex_now_ns() + 2000000000ull;

	for (int i = 0; i < MAX_CONNS; i++)
		if (w->table[i].ts != NULL)
			EX_TRY(zft_free(w->table[i].ts));
	EX_TRY(zftl_free(w->tl));
	EX_TRY(zfur_free(w->ur));
	zf_muxer_free(w->set);
	/* Peers see connections end in order. */
	while (!zf_stack_is_quiescent(w->stack) && ex_now_ns() < until)
		zf_reactor_perform(w->stack);
	EX_TRY(zf_stack_free(w->stack));
	zf_attr_free(w->attr);
	free(w->table);
}

static int
work(void *arg)
{
	struct worker *w = arg;

	w->lcore = rte_lcore_id();
	w->cpu = -1;
	w->stayed = on_its_cpu(w);
	open_stack(w);
	serve(w, cfg.seconds > 0 ? ex_now_ns() + (uint64_t)cfg.seconds * 1000000000u : UINT64_MAX);
	close_stack(w);
	w->stayed &= on_its_cpu(w);
	w->ran = true;
	return 0;
}

static int
report(int n)
{
	int rc = EX_OK;

	if (cfg.json)
		printf("{\"workers\":[");
	else
		printf("%-6s %4s %6s %12s %14s %10s %12s %8s %14s\n", "lcore", "CPU", "stayed", "datagrams", "bytes",
		       "dropped", "connections", "broken", "bytes");
	for (int i = 0; i < n; i++) {
		const struct worker *w = &workers[i];

		printf(cfg.json ? "%s{\"lcore\":%u,\"cpu\":%d,\"on_its_cpu\":%s,\"datagrams\":%llu,\"datagram_bytes\":%llu,"
				  "\"dropped\":%llu,\"connections\":%llu,\"broken\":%llu,\"stream_bytes\":%llu}"
				: "%s%-6u %4d %6s %12llu %14llu %10llu %12llu %8llu %14llu\n",
		       cfg.json && i > 0 ? "," : "", w->lcore, w->cpu,
		       cfg.json ? (w->stayed ? "true" : "false") : (w->stayed ? "yes" : "NO"),
		       (unsigned long long)w->datagrams, (unsigned long long)w->dgram_bytes,
		       (unsigned long long)w->dropped, (unsigned long long)w->conns, (unsigned long long)w->broken,
		       (unsigned long long)w->stream_bytes);
		if (w->broken > 0)
			rc = EX_BROKEN;
		if (!w->stayed || !w->ran)
			rc = EX_FAILED;
	}
	if (cfg.json)
		puts("]}");
	return rc;
}

int
main(int argc, char **argv)
{
	unsigned int lcore;
	int used, n = 0, rc;

	/* EAL's own --help says nothing of ours. */
	if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
		fputs(usage, stdout);
		return EX_OK;
	}
	used = rte_eal_init(argc, argv);
	if (used < 0) {
		fprintf(stderr, "rte_eal_init: %s\n", rte_strerror(rte_errno));
		return EX_FAILED;
	}
	parse_args(argc - used, argv + used);
	EX_TRY(zf_init());
	if (rte_lcore_count() < 2)
		wrong("there is no worker lcore: give EAL two or more, such as --lcores 0@0,1@1");
	ex_catch_signals();
	RTE_LCORE_FOREACH_WORKER(lcore) {
		workers[n].index = n;
		ex_try("rte_eal_remote_launch", rte_eal_remote_launch(work, &workers[n], lcore));
		n++;
	}
	rte_eal_mp_wait_lcore();
	rc = report(n);
	EX_TRY(zf_deinit());
	rte_eal_cleanup();
	return rc;
}
