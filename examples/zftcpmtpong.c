/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A TCP server of two threads: one receives, the other sends as many bytes as were received (other ones), on up to 64
 * connections at once.
 *
 * A stack belongs to one thread at a time, so one lock guards it and everything in it, and the table of connections.
 * Two things keep the threads out of each other's way: the receiver asks zf_stack_has_pending_work(), which needs no
 * lock, and takes the lock only if there is work; and it stays away while the sender waits for the lock, which an
 * ordinary mutex would not promise.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp.h"

#define MAX_CONNS 64
#define N_IOV	  32
#define N_EVENTS  16
/* Bytes given to one send: it bounds how long the sender keeps the lock. */
#define PIECE 16384u
/* How long the connections may take to end in order when the program ends. */
#define LINGER_NS 2000000000ull

static struct {
	bool json;
	uint64_t conns; /* end after so many; 0: no limit */
	long wait_s;	/* 0: no limit */
	struct sockaddr_in local;
} cfg;

static const char usage[] =
	"usage: zftcpmtpong [options] LOCALADDR:PORT\n"
	"\n"
	"Accepts connections and sends on each as many bytes as it receives, from a second thread. Attributes come from\n"
	"ZF_ATTR, at least\n"
	"  export ZF_ATTR=\"interface=wire:/tmp/w;ipv4=10.0.0.2/24\"   (the other side: 10.0.0.1/24)\n"
	"  zftcpmtpong 10.0.0.2:8000\n"
	"  zfsend --tcp 10.0.0.2:8000     (over there)\n"
	"\n"
	"  -q          do not trace the calls\n"
	"  -n COUNT    end when so many connections have come and gone\n"
	"  -t SECONDS  end when nothing arrives for so long\n"
	"  --json      report as one JSON object\n"
	"  -h          this text\n"
	"\n"
	"64 connections at once; more wait until one has ended. Ends with its report by -n, -t, SIGINT or SIGTERM.\n"
	"Exit status: 0 done, 1 a call failed, 2 wrong command line, 3 nobody connected, or fewer than -n,\n"
	"4 a connection broke.\n";

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
	case 'q':
		ex_quiet = true;
		break;
	case 'n':
		cfg.conns = (uint64_t)ex_number("-n", optarg, 1, 1000000000);
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
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "qn:t:h", longs, NULL)) != -1)
		option(c);
	if (argc - optind != 1)
		wrong("");
	cfg.local = ex_addr(argv[optind]);
}

struct conn {
	struct zft *ts; /* NULL: the place is free */
	char name[32];
	uint64_t got, sent;
	bool full;    /* the last send found no room: EPOLLOUT will tell */
	bool starved; /* the last send found no buffer: it is tried after each round of the receiver, sooner than EPOLLOUT */
	bool ended;   /* all that the peer will ever send has been read */
	int err;      /* why it broke, 0 or a negative errno code */
};

static struct {
	/* Everything down to the blank line, and the stack with all that is in it. */
	pthread_mutex_t lock;
	pthread_cond_t owed; /* the sender has something to do, or is to end */
	struct zf_stack *stack;
	struct zf_muxer_set *set;
	struct zftl *tl;
	struct conn conns[MAX_CONNS];
	bool ending;
	uint64_t accepted, gone, broken, got, sent;
	int n_open, most_open;

	atomic_bool wants_lock; /* the sender waits for the lock, or was told to */
	atomic_bool look;	/* the sender has changed something that the receiver should look at */
} srv = {.lock = PTHREAD_MUTEX_INITIALIZER, .owed = PTHREAD_COND_INITIALIZER};

/* ---- the sender ---- */

/* A piece of what is owed on a connection; true when something left. */
static bool
send_on(struct conn *c)
{
	static const unsigned char answer[PIECE] = "pong";
	uint64_t owed = c->got - c->sent;
	ssize_t rc;

	if (c->ts == NULL || owed == 0 || c->full || c->starved || c->err != 0)
		return false;
	rc = ex_tcp_send(c->ts, answer, owed < PIECE ? (size_t)owed : PIECE);
	ex_trace("zft_send_single: %s: %zd of %llu bytes", c->name, rc, (unsigned long long)owed);
	if (rc > 0) {
		c->sent += (uint64_t)rc;
		srv.sent += (uint64_t)rc;
		if (c->sent == c->got && c->ended)
			atomic_store(&srv.look, true);
		return true;
	}
	c->full = rc == -EAGAIN;
	c->starved = rc == -ENOMEM;
	if (!c->full && !c->starved) {
		c->err = (int)rc;
		atomic_store(&srv.look, true);
	}
	return false;
}

static void *
sender(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&srv.lock);
	while (!srv.ending) {
		bool busy = false;

		atomic_store(&srv.wants_lock, false);
		for (int i = 0; i < MAX_CONNS; i++)
			busy |= send_on(&srv.conns[i]);
		if (!busy) {
			pthread_cond_wait(&srv.owed, &srv.lock);
			continue;
		}
		/* The receiver has waited for as long as this took. */
		pthread_mutex_unlock(&srv.lock);
		sched_yield();
		atomic_store(&srv.wants_lock, true);
		pthread_mutex_lock(&srv.lock);
	}
	pthread_mutex_unlock(&srv.lock);
	return NULL;
}

/* ---- the receiver; all of it with the lock held, but for receive() ---- */

static void
accept_all(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR};
	struct sockaddr_in peer;
	socklen_t len;

	for (int i = 0; i < MAX_CONNS; i++) {
		struct conn *c = &srv.conns[i];
		struct zft *ts;
		int rc;

		if (c->ts != NULL)
			continue;
		rc = zftl_accept(srv.tl, &ts);
		if (rc == -EAGAIN)
			return;
		ex_try("zftl_accept", rc);
		*c = (struct conn){.ts = ts};
		len = sizeof(peer);
		zft_getname(ts, NULL, NULL, (struct sockaddr *)&peer, &len);
		ex_host(&peer, c->name);
		ex_trace("zftl_accept: %s", c->name);
		ev.data.ptr = c;
		EX_TRY(zf_muxer_add(srv.set, zft_to_waitable(ts), &ev));
		srv.accepted++;
		if (++srv.n_open > srv.most_open)
			srv.most_open = srv.n_open;
	}
}

/* All that has arrived on a connection; the multiplexer tells of it once only. */
static void
receive_on(struct conn *c)
{
	struct {
		struct zft_msg msg;
		struct iovec iov[N_IOV];
	} rd;
	size_t bytes = 0;
	int rc = 1;

	while (rc > 0 && !c->ended) {
		rd.msg.iovcnt = N_IOV;
		zft_zc_recv(c->ts, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			break;
		for (int i = 0; i < rd.msg.iovcnt; i++)
			bytes += rd.iov[i].iov_len;
		rc = zft_zc_recv_done(c->ts, &rd.msg);
		if (rc <= 0) {
			c->ended = true;
			c->err = rc;
		}
	}
	c->got += bytes;
	srv.got += bytes;
	ex_trace("zft_zc_recv: %s: %zu bytes%s", c->name, bytes, !c->ended ? "" : rc == 0 ? ", the end" : ", broken");
}

/* True when a connection has a place no longer. */
static bool
release(struct conn *c)
{
	if (c->ts == NULL || (c->err == 0 && (!c->ended || c->sent != c->got)))
		return false;
	if (c->err != 0) {
		int err = zft_error(c->ts) != 0 ? zft_error(c->ts) : c->err;

		srv.broken++;
		fprintf(stderr, "%s: the connection broke after %llu bytes: %s: %s\n", c->name,
			(unsigned long long)c->got, ex_tcp_name(err), ex_tcp_advice(err));
	}
	/* It takes the zocket out of the set as well, and ends the connection in order behind what it still has to send. */
	EX_TRY(zft_free(c->ts));
	ex_trace("zft_free: %s: received %llu, sent %llu bytes", c->name, (unsigned long long)c->got,
		 (unsigned long long)c->sent);
	c->ts = NULL;
	srv.gone++;
	srv.n_open--;
	return true;
}

/* One poll and what follows from it; true when something happened. */
static bool
round_of_receiver(void)
{
	bool can_send = false, room = false;
	struct epoll_event ev[N_EVENTS];
	int n = zf_muxer_wait(srv.set, ev, N_EVENTS, 0);

	if (n > 0)
		ex_trace("zf_muxer_wait: %d ready", n);
	for (int i = 0; i < n; i++) {
		struct conn *c = ev[i].data.ptr;

		if (c == NULL) {
			room = true;
			continue;
		}
		/* A connection that failed never has room: the send will tell why. */
		if ((ev[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
			c->full = false;
		receive_on(c);
	}
	for (int i = 0; i < MAX_CONNS; i++) {
		struct conn *c = &srv.conns[i];

		room |= release(c);
		c->starved = false;
		can_send |= c->ts != NULL && c->got != c->sent && !c->full;
	}
	if (room)
		accept_all();
	/* What is ready already, or did not fit into @ev, is not announced by the port again. */
	if (room || n == N_EVENTS)
		atomic_store(&srv.look, true);
	if (can_send) {
		atomic_store(&srv.wants_lock, true);
		pthread_cond_signal(&srv.owed);
	}
	return n > 0;
}

static bool
enough(void)
{
	return cfg.conns != 0 && srv.gone >= cfg.conns;
}

static void
receive(void)
{
	uint64_t last = ex_now_ns();
	bool done = false;

	while (!done && !ex_stopped()) {
		/* Neither of the two takes the lock. */
		if (!atomic_exchange(&srv.look, false) && zf_stack_has_pending_work(srv.stack) == 0) {
			if (cfg.wait_s > 0 && ex_now_ns() - last > (uint64_t)cfg.wait_s * 1000000000u)
				return;
			sched_yield();
			continue;
		}
		while (atomic_load(&srv.wants_lock))
			sched_yield();
		pthread_mutex_lock(&srv.lock);
		if (round_of_receiver())
			last = ex_now_ns();
		done = enough();
		pthread_mutex_unlock(&srv.lock);
		if (cfg.wait_s > 0 && ex_now_ns() - last > (uint64_t)cfg.wait_s * 1000000000u)
			return;
	}
}

/* ---- beginning and end ---- */

static int
report(void)
{
	if (cfg.json) {
		printf("{\"connections\":%llu,\"at_once\":%d,\"broken\":%llu,\"bytes_received\":%llu,\"bytes_sent\":%llu}\n",
		       (unsigned long long)srv.accepted, srv.most_open, (unsigned long long)srv.broken,
		       (unsigned long long)srv.got, (unsigned long long)srv.sent);
	} else {
		puts("served over TCP");
		printf("  connections  %14llu  of which %llu broke, %d at once at most\n", (unsigned long long)srv.accepted,
		       (unsigned long long)srv.broken, srv.most_open);
		printf("  received     %14llu bytes\n", (unsigned long long)srv.got);
		printf("  sent         %14llu bytes\n", (unsigned long long)srv.sent);
	}
	if (srv.broken > 0)
		return EX_BROKEN;
	return srv.accepted == 0 || (cfg.conns != 0 && srv.gone < cfg.conns) ? EX_SILENCE : EX_OK;
}

/* With no other thread left: closes what is open, and polls until the peers have seen the ends. */
static void
finish(void)
{
	uint64_t until = ex_now_ns() + LINGER_NS;

	for (int i = 0; i < MAX_CONNS; i++)
		if (srv.conns[i].ts != NULL)
			EX_TRY(zft_free(srv.conns[i].ts));
	EX_TRY(zftl_free(srv.tl));
	zf_muxer_free(srv.set);
	while (!zf_stack_is_quiescent(srv.stack) && ex_now_ns() < until)
		zf_reactor_perform(srv.stack);
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = NULL}};
	struct zf_attr *attr;
	pthread_t thread;
	int rc;

	parse_args(argc, argv);
	EX_TRY(zf_init());
	EX_TRY(zf_attr_alloc(&attr));
	EX_TRY(zf_stack_alloc(attr, &srv.stack));
	ex_trace("zf_stack_alloc: %s", zf_version());
	srv.tl = ex_tcp_listen(srv.stack, attr, &cfg.local);
	ex_trace("zftl_listen: %s", ex_host(&cfg.local, srv.conns[0].name));
	EX_TRY(zf_muxer_alloc(srv.stack, &srv.set));
	EX_TRY(zf_muxer_add(srv.set, zftl_to_waitable(srv.tl), &ev));
	/* Now that all is set up: before, a signal may end the program. */
	ex_catch_signals();
	rc = pthread_create(&thread, NULL, sender, NULL);
	if (rc != 0)
		ex_try("pthread_create", -rc);
	receive();
	pthread_mutex_lock(&srv.lock);
	srv.ending = true;
	pthread_cond_signal(&srv.owed);
	pthread_mutex_unlock(&srv.lock);
	pthread_join(thread, NULL);
	rc = report();
	finish();
	EX_TRY(zf_stack_free(srv.stack));
	zf_attr_free(attr);
	EX_TRY(zf_deinit());
	return rc;
}
