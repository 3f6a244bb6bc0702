/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Goodput of one connection over a link of 1 Gbit/s and 10 ms of round trip, by congestion control, receive window and
 * loss, held against goodput.txt beside this file. Virtual time makes it the same everywhere: a figure that moves is a
 * change of behaviour, for better or worse, and has to be meant.
 *
 *	goodput FILE          compare; 3 % are let pass
 *	goodput --write FILE  write it anew
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zf/zf.h>

#include "base/compiler.h"
#include "core/ctx.h"
#include "mem/mem.h"
#include "tcp/tcp.h"
#include "zf_testing.h"

#define SECOND     1000000000ull
#define MEASURED   (5 * SECOND)
#define TOLERANCE  0.03
#define LOSSES     4
#define WINDOWS    4

static const char *const ccs[] = {"cubic", "newreno"};
static const uint32_t loss_ppm[LOSSES] = {0, 1000, 10000, 30000};
static const uint32_t windows[WINDOWS] = {65536, 262144, 1048576, 4194304};

struct path {
	struct zt *zt[2];
	struct zftl *tl;
	struct zft *from, *to;
	uint64_t read;
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "goodput: %s\n", what);
	exit(1);
}

static void
set_link(struct mem_port *p, uint64_t seed, uint32_t loss)
{
	struct mem_link_cfg *l = mem_link_cfg(p);

	memset(l, 0, sizeof(*l));
	mem_link_seed(p, seed);
	l->bits_per_s = 1000000000;
	l->delay_ns = 5000000;
	l->queue_frames = 1000;
	l->loss_ppm = loss;
}

static void
open_path(struct path *p, const char *cc, uint32_t window)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7000)};
	struct zft_handle *h;
	char attrs[300];

	memset(p, 0, sizeof(*p));
	mem_clock_ns = SECOND;
	for (uint32_t i = 0; i < 2; i++) {
		set_link(mem_port(i == 0 ? "goodput/a" : "goodput/b"), 7 + i, 0);
		snprintf(attrs, sizeof(attrs),
			 "interface=mem:goodput/%c;ipv4=192.0.2.%u/24;n_bufs=8192;reactor_spin_count=1;log_level=0;"
			 "tcp_cc=%s;tcp_rx_window=%u;tcp_syn_cookies=0",
			 i == 0 ? 'a' : 'b', i + 1, cc, window);
		must(zt_open(&p->zt[i], attrs) == 0, "cannot open a stack");
		zt_seed(p->zt[i], 11 + i);
		zt_ctx(p->zt[i])->tcp->key.k[0] = zt_ctx(p->zt[i])->tcp->key.k[1] = i;
	}
	zt_advance(3 * SECOND);
	a.sin_addr.s_addr = htonl(0xc0000202);
	must(zftl_listen(zt_stack(p->zt[1]), (struct sockaddr *)&a, sizeof(a), NULL, &p->tl) == 0, "cannot listen");
	must(zft_alloc(zt_stack(p->zt[0]), NULL, &h) == 0, "no zocket");
	must(zft_connect(h, (struct sockaddr *)&a, sizeof(a), &p->from) == 0, "cannot connect");
	zt_advance(SECOND / 10);
	must(zftl_accept(p->tl, &p->to) == 0, "nothing to accept");
}

static void
read_all(struct path *p)
{
	struct {
		struct zft_msg msg;
		struct iovec iov[32];
	} rd;

	for (;;) {
		rd.msg.iovcnt = 32;
		zft_zc_recv(p->to, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			return;
		for (int i = 0; i < rd.msg.iovcnt; i++)
			p->read += rd.iov[i].iov_len;
		must(zft_zc_recv_done(p->to, &rd.msg) >= 1, "the connection ended");
	}
}

static double
measure(const char *cc, uint32_t window, uint32_t loss)
{
	static const uint8_t block[32768];
	struct path p;
	uint64_t end;

	open_path(&p, cc, window);
	mem_link_cfg(zt_port(p.zt[0]))->loss_ppm = loss;
	end = zt_clock() + MEASURED;
	while (zt_clock() < end) {
		uint64_t next;

		while (zft_send_single(p.from, block, sizeof(block), 0) > 0)
			;
		zf_reactor_perform(zt_stack(p.zt[1]));
		read_all(&p);
		zf_reactor_perform(zt_stack(p.zt[0]));
		next = zt_next_event(NULL);
		mem_clock_ns = next > zt_clock() ? ZF_MIN(next, end) : zt_clock() + 1000;
	}
	zft_free(p.from);
	zft_free(p.to);
	zftl_free(p.tl);
	zt_close(p.zt[0], NULL);
	zt_close(p.zt[1], NULL);
	mem_forget(mem_port("goodput/a"));
	return (double)p.read * 8 / ((double)MEASURED / 1e9) / 1e6;
}

static void
header(FILE *f)
{
	fprintf(f, "# Mbit/s read in 5 s of virtual time, 1 Gbit/s, 10 ms round trip, 1000 frames of queue. By loss in %%:\n"
		   "# cc       tcp_rx_window       0     0.1       1       3\n");
}

static void
row(FILE *f, const char *cc, uint32_t window, const double *got)
{
	fprintf(f, "%-10s %13u", cc, window);
	for (int i = 0; i < LOSSES; i++)
		fprintf(f, " %7.1f", got[i]);
	fprintf(f, "\n");
}

/* How many figures of a row differ from the file's. */
static int
compare(FILE *f, const char *cc, uint32_t window, const double *got)
{
	char line[200], name[20];
	double want[LOSSES];
	uint32_t w;
	int bad = 0;

	do {
		must(fgets(line, sizeof(line), f) != NULL, "the file is too short");
	} while (line[0] == '#');
	must(sscanf(line, "%19s %u %lf %lf %lf %lf", name, &w, &want[0], &want[1], &want[2], &want[3]) == 6 &&
		     strcmp(name, cc) == 0 && w == window,
	     "the file has other rows");
	for (int i = 0; i < LOSSES; i++) {
		if (got[i] >= want[i] * (1 - TOLERANCE) && got[i] <= want[i] * (1 + TOLERANCE))
			continue;
		printf("%s, window %u, loss %.1f %%: %.1f Mbit/s, expected %.1f\n", cc, window, loss_ppm[i] / 1e4, got[i],
		       want[i]);
		bad++;
	}
	return bad;
}

int
main(int argc, char **argv)
{
	bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
	int bad = 0, n = 0;
	FILE *f;

	if (argc != 2 && !write) {
		fprintf(stderr, "usage: goodput [--write] FILE\n");
		return 2;
	}
	f = fopen(argv[argc - 1], write ? "w" : "r");
	must(f != NULL, "cannot open the file");
	if (write)
		header(f);
	header(stdout);
	for (uint32_t c = 0; c < ZF_ARRAY_SIZE(ccs); c++) {
		for (uint32_t w = 0; w < WINDOWS; w++) {
			double got[LOSSES];

			for (uint32_t l = 0; l < LOSSES; l++, n++)
				got[l] = measure(ccs[c], windows[w], loss_ppm[l]);
			row(stdout, ccs[c], windows[w], got);
			fflush(stdout);
			if (write)
				row(f, ccs[c], windows[w], got);
			else
				bad += compare(f, ccs[c], windows[w], got);
		}
	}
	fclose(f);
	printf("goodput: %d passed, %d failed, 0 skipped\n", n - bad, bad);
	return bad != 0;
}
