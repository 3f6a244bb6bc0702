/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One case of the simulation: how its stacks and its link are, the turns of its time, and what must be true at the end.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/ctx.h"
#include "core/pool.h"
#include "mem/mem.h"
#include "sim/room_check.h"
#include "sim/sim.h"
#include "tcp/conn.h"

#define TURNS_MAX   5000000u
#define TIME_MAX    (6 * 3600 * SIM_S)
#define CHECK_EVERY 64

const struct sim_conn *sim_culprit;
uint16_t sim_trace;
static struct mem_port *ports[2];
static char attrs[2][800];

uint64_t
sim_pick_log(struct sim_case *k, uint64_t low, uint64_t high)
{
	double f = (double)rng_below(&k->rng, 1u << 20) / (1u << 20);
	uint64_t v = (uint64_t)((double)low * pow((double)high / (double)low, f));

	return ZF_MIN(ZF_MAX(v, low), high);
}

void
sim_failed(const struct sim_case *k, const char *what, const char *file, int line)
{
	fprintf(stderr, "sim: %.6f s: %s\n", (double)zt_clock() / 1e9, what);
	for (uint32_t i = 0, shown = 0; k != NULL && i < k->n; i++) {
		const struct sim_conn *c = &k->conns[i];

		if (sim_conn_is_over(c) || (c != sim_culprit && ++shown > 3))
			continue;
		fprintf(stderr, "  %sconnection %u%s%s from stack %u", c == sim_culprit ? "==> " : "", i, c->lenient ? ", cut off" : "",
			c->both ? ", both" : "", c->side[0].stack);
		for (int j = 0; j < 2; j++) {
			const struct sim_side *s = &c->side[j];
			struct zt_tcp t = {0};

			if (s->ts != NULL)
				zt_tcp_probe(s->ts, &t);
			fprintf(stderr,
				"\n    %s sent %" PRIu64 "/%" PRIu64 ", read %" PRIu64 "%s%s%s%s; state %d error %d "
				"flight %u queued %u wnd %u rcv_wnd %u unread %u cwnd %u sacked %u lost %u retrans %u "
				"recovery %d backoff %u timers %#x flags %#x rto %.3f",
				j == 0 ? "active" : "passive", s->tx_off, s->tx_total, s->rx_off,
				s->started ? ", started" : "", s->shut ? ", shut" : "", s->eof ? ", eof" : "",
				s->freed ? ", freed" : "", t.state, t.error, t.flight, t.snd_end - t.snd_una, t.snd_wnd,
				t.rcv_wnd, t.rcv_queued, t.cwnd, t.sacked, t.lost, t.retrans, t.recovery, t.backoff,
				t.timers, s->ts != NULL ? s->ts->flags : 0, (double)t.rto_ns / 1e9);
		}
		fprintf(stderr, "\n");
	}
	for (int i = 0; k != NULL && i < 2; i++) {
		const struct zf_ctx *ctx = zt_ctx(k->zt[i]);

		fprintf(stderr, "  stack %d: %u of %u buffers free, %u sent, %u of %u received, %u runs free, %u in the port, %u wait for it\n",
			i, pool_free_count(ctx->pool), ctx->pool->n_bufs, ctx->tcp->tx_held, ctx->rx_held,
			ctx->rx_hold_max, ctx->tcp->n_free_seg, mem_held(ports[i]), ctx->backlog_n);
		for (uint32_t j = 0; j < CNT__N; j++)
			if (ctx->counters[j] != 0)
				fprintf(stderr, "    %s %" PRIu64, zt_counter_name(j, NULL), ctx->counters[j]);
		fprintf(stderr, "\n");
		room_show(ctx);
	}
	if (k != NULL)
		sim_case_describe(k);
	check_failed(what, file, line);
}

/* A line for each frame of the connection asked for, as it leaves. */
static void
trace(const uint8_t *f, uint32_t len, const char *fate)
{
	uint16_t sport = (uint16_t)(f[34] << 8 | f[35]), dport = (uint16_t)(f[36] << 8 | f[37]);
	uint32_t seq, ack, hdr = (f[46] >> 4) * 4u, total = (uint32_t)f[16] << 8 | f[17];
	char flags[9] = "", *p = flags;

	if (len < 54 || f[23] != 6 || (sport != sim_trace && dport != sim_trace))
		return;
	memcpy(&seq, f + 38, 4);
	memcpy(&ack, f + 42, 4);
	for (int i = 0; i < 8; i++)
		if (f[47] & 1 << i)
			*p++ = "FSRPAUEC"[i];
	*p = 0;
	fprintf(stderr, "%.6f %u > %u %s seq %u (%u) ack %u win %u", (double)zt_clock() / 1e9, sport, dport, flags,
		ntohl(seq), total - 20 - hdr, ntohl(ack), f[48] << 8 | f[49]);
	for (uint32_t i = 54; i < 34 + hdr && i < len; i++)
		fprintf(stderr, "%s%02x", i == 54 ? " opts " : "", f[i]);
	fprintf(stderr, "%s\n", fate);
}

static bool
drop(void *arg, const uint8_t *frame, uint32_t len)
{
	struct sim_case *k = *(struct sim_case **)((void **)arg + 0);
	uint32_t from = frame[11] == 1 ? 0 : 1; /* the MAC of drivers/mem's sides */
	bool lost = false;

	if (len < 34 || (frame[12] == 8 && frame[13] == 6)) {
		if (sim_trace != 0)
			fprintf(stderr, "%.6f ARP %u from .%u for .%u\n", (double)zt_clock() / 1e9, frame[21], frame[31],
				frame[41]);
		return false;
	}
	if (k->burst_left[from] > 0) {
		k->burst_left[from]--;
		lost = true;
	} else if (k->loss_ppm[from] != 0 && rng_below(&k->loss_rng[from], 1000000) < k->loss_ppm[from]) {
		k->burst_left[from] = (uint32_t)rng_below(&k->loss_rng[from], (uint64_t)k->burst[from] + 1);
		lost = true;
	}
	if (sim_trace != 0)
		trace(frame, len, lost ? " LOST" : "");
	return lost;
}

static void
draw_link(struct sim_case *k, uint32_t i)
{
	struct mem_link_cfg *l = mem_link_cfg(ports[i]);
	bool clean = sim_chance(k, 250000), alike = i == 1 && sim_chance(k, 600000);

	memset(l, 0, sizeof(*l));
	mem_link_seed(ports[i], rng_next64(&k->rng));
	rng_seed(&k->loss_rng[i], rng_next64(&k->rng));
	l->delay_ns = sim_pick_log(k, 500, 100 * SIM_MS);
	k->loss_ppm[i] = k->burst[i] = k->burst_left[i] = 0;
	if (alike) {
		struct mem_link_cfg *o = mem_link_cfg(ports[0]);

		l->delay_ns = o->delay_ns;
		l->bits_per_s = o->bits_per_s;
		l->queue_frames = o->queue_frames;
	} else if (sim_chance(k, 400000)) {
		l->bits_per_s = sim_pick_log(k, 1000000, 10000000000u);
		l->queue_frames = (uint32_t)sim_pick_log(k, 10, 2000);
	}
	l->drop = drop;
	l->drop_arg = &k->seed; /* set by the caller to something that leads back to @k */
	if (clean)
		return;
	k->loss_ppm[i] = sim_chance(k, 600000) ? (uint32_t)sim_pick_log(k, 100, 100000) : 0;
	k->burst[i] = sim_chance(k, 300000) ? (uint32_t)sim_pick(k, 1, 8) : 0;
	if (k->burst[i] > 0)
		k->loss_ppm[i] /= 3;
	l->dup_ppm = sim_chance(k, 300000) ? (uint32_t)sim_pick_log(k, 100, 100000) : 0;
	l->reorder_ppm = sim_chance(k, 400000) ? (uint32_t)sim_pick_log(k, 100, 300000) : 0;
	l->reorder_ns = sim_pick_log(k, 1000, 50 * SIM_MS);
	l->jitter_ns = sim_chance(k, 300000) ? sim_pick_log(k, 100, 50 * SIM_MS) : 0;
	l->corrupt_ppm = sim_chance(k, 200000) ? (uint32_t)sim_pick_log(k, 100, 30000) : 0;
}

static const char *
draw_attrs(struct sim_case *k, uint32_t i, uint32_t zockets)
{
	static const char *const ccs[] = {"cubic", "newreno"};
	/* Without cookies a full cache forgets somebody: it never is. */
	uint32_t backlog = k->cookies > 0 ? (uint32_t)sim_pick_log(k, 1, 64) : 2 * SIM_CONNS_MAX;

	snprintf(attrs[i], sizeof(attrs[i]),
		 "interface=mem:sim/%c;ipv4=192.0.2.%u/24;n_bufs=%u;rx_ring_max=%u;tx_ring_max=%u;reactor_spin_count=%u;"
		 "log_level=0;max_tcp_endpoints=%u;max_tcp_listen_endpoints=2;max_tcp_syn_backlog=%u;"
		 "max_udp_rx_endpoints=1;max_udp_tx_endpoints=1;"
		 "tcp_rx_window=%u;tcp_delayed_ack=%u;tcp_delack_ms=%u;tcp_timestamps=%u;tcp_ecn=%u;tcp_cc=%s;"
		 "tcp_initial_cwnd=%u;tcp_fast_path=%u;tcp_syn_cookies=%u;tcp_rto_min_ms=%u;tcp_retries=%u;"
		 "tcp_syn_retries=15;tcp_synack_retries=15;tcp_timewait_ms=%u;tcp_finwait_ms=60000;"
		 "tcp_keepalive=%u;tcp_keepalive_time_ms=5000;tcp_keepalive_intvl_ms=1000;tcp_keepalive_probes=100;"
		 "tcp_loss_records=%d",
		 i == 0 ? 'a' : 'b', i + 1, (uint32_t)(sim_chance(k, 300000) ? sim_pick_log(k, 128, 600) : 4096),
		 1u << sim_pick(k, 6, 9), 1u << sim_pick(k, 6, 9), (uint32_t)sim_pick(k, 1, 9), zockets,
		 backlog, (uint32_t)sim_pick_log(k, 2000, 4000000), sim_chance(k, 800000),
		 (uint32_t)sim_pick(k, 1, 500), (uint32_t)sim_pick(k, 0, 2), sim_chance(k, 300000),
		 ccs[sim_pick(k, 0, 1)], sim_chance(k, 300000) ? (uint32_t)sim_pick_log(k, 1, 200000) : 0,
		 sim_chance(k, 800000), k->cookies,
		 sim_chance(k, 500000) ? 200 : (uint32_t)sim_pick(k, 5, 1000), 60u, k->short_tw ? 100 : 60000,
		 sim_chance(k, 200000), sim_chance(k, 250000) ? (int)sim_pick(k, 0, 1) : -1);
	return attrs[i];
}

static void
draw_port(struct sim_case *k, uint32_t i)
{
	struct mem_cfg *c = mem_cfg(ports[i]);

	mem_cfg_default(ports[i]);
	c->scribble = sim_chance(k, 200000);
	c->rx_judges = sim_chance(k, 300000);
	if (sim_chance(k, 150000)) {
		c->mtu = (uint16_t)sim_pick(k, 576, 1500);
		c->rx_max = 1518;
	}
	if (k->wire) {
		c->caps |= PORT_CSUM_NONE;
		c->tx_copy_max = sim_chance(k, 800000) ? 2048 : 300;
	} else if (sim_chance(k, 300000)) {
		c->caps |= PORT_CSUM_TX_IP | PORT_CSUM_TX_TCP;
	}
	c->hold = sim_chance(k, 200000) ? (uint32_t)sim_pick(k, 1, 30) : 0;
	if (c->hold > 0)
		c->caps |= PORT_TX_HOLDS;
	c->refuse_indirect = sim_chance(k, 100000);
}

void
sim_case_draw(struct sim_case *k, uint64_t seed, uint32_t number, uint32_t conns)
{
	memset(k, 0, sizeof(*k));
	k->seed = seed;
	k->number = number;
	rng_seed(&k->rng, seed * 0x9e3779b97f4a7c15u + number);
	k->n = (uint32_t)sim_pick(k, 1, ZF_MIN(conns, SIM_CONNS_MAX));
	k->scarce = sim_chance(k, 50000);
	/* A cookie is found in the first segment behind it only: whose ACK is lost, if just in a full ring, is reset. */
	k->cookies = sim_chance(k, 300000) ? (uint32_t)sim_pick(k, 1, 2) : 0;
	k->lossy_open = k->scarce || k->cookies > 0;
	k->short_tw = sim_chance(k, 100000);
	k->trouble_ppm = sim_chance(k, 300000) ? (uint32_t)sim_pick_log(k, 10, 3000) : 0;
	for (uint32_t i = 0; i < k->n; i++)
		sim_conn_draw(k, i);
}

void
sim_case_describe(const struct sim_case *k)
{
	for (int i = 0; i < 2; i++) {
		const struct mem_link_cfg *l = ports[i] != NULL ? mem_link_cfg(ports[i]) : NULL;

		if (l == NULL)
			continue;
		fprintf(stderr,
			"  stack %d: %s\n    link: delay %.3f ms, loss %u ppm (bursts %u), dup %u, reorder %u by %.3f ms, "
			"jitter %.3f ms, corrupt %u, %.1f Mbit/s, queue %u; port: mtu %u caps %#x hold %u\n",
			i, attrs[i], (double)l->delay_ns / 1e6, k->loss_ppm[i], k->burst[i], l->dup_ppm, l->reorder_ppm,
			(double)l->reorder_ns / 1e6, (double)l->jitter_ns / 1e6, l->corrupt_ppm,
			(double)l->bits_per_s / 1e6, l->queue_frames, mem_cfg(ports[i])->mtu, mem_cfg(ports[i])->caps,
			mem_cfg(ports[i])->hold);
	}
	fprintf(stderr, "  %u connections%s%s%s, trouble %u ppm\n", k->n, k->scarce ? ", scarce" : "",
		k->lossy_open ? ", may be reset early" : "",
		k->short_tw ? ", short TIME-WAIT" : "", k->trouble_ppm);
}

static struct sim_case *current;

static void
open_case(struct sim_case *k)
{
	uint32_t few = (uint32_t)sim_pick(k, 4, 4 + k->n / 2);

	current = k;
	mem_clock_ns = SIM_S;
	pool_fail_after = pool_fail_every = 0;
	ports[0] = mem_port("sim/a");
	ports[1] = mem_port("sim/b");
	for (uint32_t i = 0; i < 2; i++) {
		mem_link_cfg(ports[i])->corrupt_ppm = 0;
		draw_link(k, i);
	}
	for (uint32_t i = 0; i < 2; i++)
		mem_link_cfg(ports[i])->drop_arg = &current;
	k->wire = mem_link_cfg(ports[0])->corrupt_ppm + mem_link_cfg(ports[1])->corrupt_ppm == 0 && sim_chance(k, 200000);
	tcp_isn_forced = sim_chance(k, 100000);
	tcp_isn_value = (uint32_t)-sim_pick_log(k, 1, 400000);
	for (uint32_t i = 0; i < 2; i++) {
		struct sockaddr_in l = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(0xc0000201u + i),
					.sin_port = htons(SIM_PORT)};
		struct tcp_room *r;

		draw_port(k, i);
		SIM_CHECK(k, zt_open(&k->zt[i], draw_attrs(k, i, k->scarce && i == 0 ? few : 2 * k->n + 2)) == 0);
		zt_seed(k->zt[i], rng_next64(&k->rng));
		r = zt_ctx(k->zt[i])->tcp;
		r->key.k[0] = rng_next64(&k->rng); /* sequence numbers repeat with the seed, too */
		r->key.k[1] = rng_next64(&k->rng);
		if (sim_chance(k, 100000)) {
			zt_ctx(k->zt[i])->secret[0] = rng_next64(&k->rng);
		}
		SIM_CHECK(k, zftl_listen(zt_stack(k->zt[i]), (struct sockaddr *)&l, sizeof(l), NULL, &k->tl[i]) == 0);
	}
	SIM_CHECK(k, zt_advance(3 * SIM_S) >= 0);
	for (uint32_t i = 0; i < k->n; i++)
		k->conns[i].start += zt_clock();
}

static void
accept_all(struct sim_case *k, uint32_t i)
{
	struct zft *ts;

	while (k->tl[i] != NULL && zftl_accept(k->tl[i], &ts) == 0) {
		struct sockaddr_in r;
		socklen_t len = sizeof(r);
		uint32_t at;

		zft_getname(ts, NULL, NULL, (struct sockaddr *)&r, &len);
		at = k->by_port[1 - i][ntohs(r.sin_port)];
		SIM_CHECK(k, at != 0);
		sim_side_accepted(&k->conns[at - 1].side[1], ts);
	}
}

static void
news(struct sim_case *k, uint32_t stack)
{
	accept_all(k, stack);
	for (uint32_t i = 0; i < k->n; i++)
		for (uint32_t j = 0; j < 2; j++) {
			struct sim_side *s = &k->conns[i].side[j];

			if (s->stack == stack && s->ts != NULL && s->waiting) {
				s->waiting = false;
				s->wake = zt_clock();
			}
		}
}

/* Bad times of a stack: nobody polls it, its pool is empty at times, its port takes nothing. */
static void
trouble(struct sim_case *k)
{
	uint32_t i = (uint32_t)sim_pick(k, 0, 1);
	struct mem_cfg *c = mem_cfg(ports[i]);

	if (zt_clock() >= k->trouble_until && k->trouble_until != 0) {
		for (int j = 0; j < 2; j++)
			mem_cfg(ports[j])->credit = mem_cfg(ports[j])->accept = MEM_ALL;
		pool_fail_after = pool_fail_every = 0;
		mem_cfg(ports[0])->rx_alloc_fails = mem_cfg(ports[1])->rx_alloc_fails = false;
		k->trouble_until = 0;
	}
	if (!sim_chance(k, k->trouble_ppm))
		return;
	k->trouble_until = zt_clock() + sim_pick_log(k, 10000, 2 * SIM_S);
	switch (sim_pick(k, 0, 4)) {
	case 0:
		k->paused[i] = k->trouble_until + (sim_chance(k, 200000) ? 10 * SIM_S : 0);
		break;
	case 1:
		c->credit = (uint32_t)sim_pick(k, 0, 20);
		break;
	case 2:
		c->accept = (uint32_t)sim_pick(k, 1, 3);
		break;
	case 3:
		pool_fail_after = sim_pick(k, 1, 10);
		pool_fail_every = sim_pick_log(k, 1, 100);
		c->rx_alloc_fails = sim_chance(k, 500000);
		break;
	default:
		break;
	}
}

/* True: something happened at this moment. */
static bool
turn(struct sim_case *k)
{
	uint64_t now = zt_clock();
	bool any = false;

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t before = mem_stats(ports[i])->rx_delivered + mem_stats(ports[i])->tx_frames;

		if (now < k->paused[i])
			continue;
		if (zf_reactor_perform(zt_stack(k->zt[i])) > 0)
			news(k, i);
		any |= before != mem_stats(ports[i])->rx_delivered + mem_stats(ports[i])->tx_frames;
	}
	for (uint32_t i = 0; i < k->n; i++) {
		struct sim_conn *c = &k->conns[i];

		if (c->start <= now) {
			sim_conn_start(c);
			news(k, 0);
			news(k, 1);
			any = true;
		}
		for (uint32_t j = 0; j < 2; j++) {
			if (c->side[j].wake <= now && c->side[j].ts != NULL) {
				sim_side_act(&c->side[j]);
				any = true;
			}
		}
	}
	return any;
}

static void
next_moment(struct sim_case *k, bool any)
{
	uint64_t next = k->trouble_until != 0 ? k->trouble_until : SIM_NEVER;

	for (uint32_t i = 0; i < 2; i++)
		next = ZF_MIN(next, k->paused[i] > zt_clock() ? k->paused[i] : zt_next_event(k->zt[i]));
	for (uint32_t i = 0; i < k->n; i++) {
		next = ZF_MIN(next, k->conns[i].start);
		for (uint32_t j = 0; j < 2; j++)
			next = ZF_MIN(next, k->conns[i].side[j].wake);
	}
	SIM_CHECK(k, next != SIM_NEVER);
	if (next > zt_clock())
		mem_clock_ns = next;
	else if (!any)
		mem_clock_ns += 2000; /* a timer waits for its tick */
}

static bool
is_over(const struct sim_case *k)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (!sim_conn_is_over(&k->conns[i]))
			return false;
	return true;
}

/* All zockets are freed: what goes on in the background ends, and nothing is left. */
static void
settle(struct sim_case *k)
{
	uint64_t until = zt_clock() + 3600 * SIM_S;
	bool quiet = false;

	k->trouble_ppm = 0;
	pool_fail_after = pool_fail_every = 0;
	for (int i = 0; i < 2; i++) {
		mem_cfg(ports[i])->credit = mem_cfg(ports[i])->accept = MEM_ALL;
		mem_cfg(ports[i])->rx_alloc_fails = false;
		k->loss_ppm[i] = k->burst_left[i] = 0;
		k->paused[i] = 0;
	}
	while (zt_clock() < until && !quiet) {
		SIM_CHECK(k, zt_advance(10 * SIM_S) >= 0);
		quiet = true;
		for (uint32_t i = 0; i < 2; i++) {
			const struct tcp_room *r = zt_ctx(k->zt[i])->tcp;

			accept_all(k, i);
			quiet = quiet && zf_stack_is_quiescent(zt_stack(k->zt[i])) == 1 && r->tw->n == 0;
		}
		for (uint32_t i = 0; i < k->n; i++) /* cut off before it was accepted */
			if (k->conns[i].side[1].ts != NULL) {
				SIM_CHECK(k, zft_free(k->conns[i].side[1].ts) == 0);
				k->conns[i].side[1].ts = NULL;
			}
	}
	for (uint32_t i = 0; i < 2; i++) {
		struct zt_leaks l;

		SIM_CHECK(k, zftl_free(k->tl[i]) == 0);
		SIM_CHECK(k, zt_run() >= 0);
		room_check(zt_ctx(k->zt[i]));
		SIM_CHECK(k, room_is_empty(zt_ctx(k->zt[i])));
		if (zt_leaks(k->zt[i], &l)) {
			fprintf(stderr, "left: %u buffers, %u received, %u timers, %u zockets, %u other\n", l.bufs,
				l.rx_held, l.timers, l.zockets, l.other);
			SIM_CHECK(k, !"nothing leaked");
		}
	}
}

int
sim_case_run(struct sim_case *k)
{
	open_case(k);
	for (k->turns = 0; !is_over(k); k->turns++) {
		bool any;

		SIM_CHECK(k, k->turns < TURNS_MAX);
		SIM_CHECK(k, zt_clock() < TIME_MAX);
		trouble(k);
		any = turn(k);
		if (k->turns % CHECK_EVERY == 0) {
			room_check(zt_ctx(k->zt[0]));
			room_check(zt_ctx(k->zt[1]));
		}
		if (!is_over(k))
			next_moment(k, any);
	}
	settle(k);
	for (uint32_t i = 0; i < 2; i++)
		SIM_CHECK(k, zt_close(k->zt[i], NULL) == 0);
	SIM_CHECK(k, mem_forget(ports[0]) == 0);
	return 0;
}
