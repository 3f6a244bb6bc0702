/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One connection's send queue and loss engine on a bench: no buffers, no port, a clock that tests move. Data is made of
 * runs of MSS bytes, numbered from 0; what leaves is written down as text, "3" for run 3 and "r3" when it is sent again.
 */
#ifndef ZF_TEST_LOSS_HELP_H
#define ZF_TEST_LOSS_HELP_H

#include "tcp/loss.h"
#include "tcp/timer.h"
#include "unit.h"

#define MSS  1000u
#define SEGS 512u
#define MS   1000000ull /* the bench's clock counts nanoseconds */
#define RTT  (10 * MS)

static struct {
	struct zf_ctx ctx;
	struct tcp_room room;
	struct wheel wheel;
	struct zft ts;
	struct tcp_rec rec; /* there is one; none if room.max_rec is 0 */
	struct tcp_txseg segs[SEGS];
	uint64_t counters[CNT__N];
	struct tcp_delivery d;
	enum tcp_loss_verdict verdict;
	tcpseq_t iss;
	uint32_t queued, n_again, room_left; /* room_left: frames that the port takes yet */
	char log[1024];
} b;

static inline void
bench_init(uint32_t flags, uint32_t iss)
{
	struct tcp_rtt_limits lim = {1000 * MS, 200 * MS, 120000 * MS, MS};

	memset(&b, 0, sizeof(b));
	b.ctx.tcp = &b.room;
	b.ctx.wheel = &b.wheel;
	b.ctx.counters = b.counters;
	b.ctx.hz = 1000 * MS;
	b.ctx.now = 5000 * MS;
	wheel_init(&b.wheel, b.ctx.now);
	b.room.segs = b.segs;
	b.room.max_segs = b.room.n_free_seg = SEGS;
	for (uint32_t i = 0; i < SEGS; i++)
		b.segs[i].next = i + 1 < SEGS ? i + 1 : TCP_NONE;
	b.room.zfts = &b.ts;
	b.room.max_zft = 1;
	b.room.recs = &b.rec;
	b.room.max_rec = b.room.n_free_rec = 1;
	b.rec.owner = b.rec.next = TCP_NONE;
	b.ts.rec = TCP_NONE;
	b.room.conf.rtt = lim;
	b.room.conf.retries = 3;
	b.room.conf.ms_mult = UINT64_MAX / MS;
	b.iss = seq_of(iss);
	b.ts.flags = flags;
	b.ts.snd_una = b.iss;
	b.ts.snd_nxt = b.iss;
	b.ts.snd_end = b.iss;
	b.ts.mss = MSS;
	b.ts.snd_wnd = 1u << 30;
	b.ts.sq_head = TCP_NONE;
	b.ts.sq_unsent = TCP_NONE;
	b.ts.sq_tail = TCP_NONE;
	b.room_left = UINT32_MAX;
	tcp_rtt_init(&b.ts.rtt, &lim);
	tcp_cc_init(&b.ts.cc, TCP_CC_NEWRENO, 10 * MSS);
	tcp_loss_init(&b.ts);
}

static inline void
bench_run(uint16_t len, uint8_t flags)
{
	uint32_t i = sq_take(&b.room);
	struct tcp_txseg *g = sq_seg(&b.room, i);

	*g = (struct tcp_txseg){.seq = b.ts.snd_end, .len = len, .flags = flags};
	b.ts.snd_end = sq_end(g);
	sq_append(&b.room, &b.ts, i);
	b.queued++;
}

static inline void
bench_send(uint32_t i)
{
	const struct tcp_txseg *g = sq_seg(&b.room, i);
	bool again = g->n_sent != 0;
	size_t at = strlen(b.log);

	snprintf(b.log + at, sizeof(b.log) - at, "%s%s%u", at == 0 ? "" : " ", again ? "r" : "",
		 seq_sub(g->seq, b.iss) / MSS);
	b.n_again += again;
	tcp_loss_sent(&b.ctx, &b.ts, i);
	if (!again) {
		b.ts.snd_nxt = sq_end(g);
		b.ts.sq_unsent = g->next;
	}
}

/* What output does. */
static inline void
bench_output(void)
{
	bool by_cwnd = false;

	tcp_loss_check(&b.room, &b.ts);
	for (uint32_t n = 0; n < SEGS; n++) {
		uint32_t quota = tcp_loss_quota(&b.ctx, &b.ts), i = tcp_loss_next(&b.ctx, &b.ts);

		if (i == TCP_NONE)
			i = b.ts.sq_unsent;
		if (i == TCP_NONE)
			break;
		by_cwnd = sq_span(sq_seg(&b.room, i)) > quota;
		if (by_cwnd)
			break;
		bench_send(i);
	}
	tcp_loss_limited(&b.ts, by_cwnd);
	tcp_loss_arm(&b.ctx, &b.ts);
	tcp_loss_check(&b.room, &b.ts);
}

/* @n more runs of MSS bytes. */
static inline void
bench_queue(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		bench_run(MSS, 0);
	bench_output();
}

static inline tcpseq_t
bench_seq(uint32_t run)
{
	return seq_add(b.iss, run * MSS);
}

static inline void
bench_ack_opts(tcpseq_t ack, const struct tcp_opts *o)
{
	bool dup = seq_eq(ack, b.ts.snd_una) && !seq_eq(b.ts.snd_una, b.ts.snd_nxt);

	tcp_loss_ack(&b.ctx, &b.ts, ack, o, dup, &b.d);
	bench_output();
}

/* Everything below run @una has arrived, and the runs of @blocks, pairs of first and behind last. */
static inline void
bench_ack(uint32_t una, const uint32_t *blocks, uint32_t n)
{
	struct tcp_opts o = {.have = TCP_OPT_SACK};

	for (uint32_t i = 0; i + 1 < n; i += 2)
		o.sack[o.n_sack++] = (struct tcp_sack_block){bench_seq(blocks[i]), bench_seq(blocks[i + 1])};
	bench_ack_opts(bench_seq(una), o.n_sack != 0 ? &o : NULL);
}
#define ACK(una, ...)                                                                              \
	bench_ack(una, (const uint32_t[]){0, ##__VA_ARGS__} + 1,                                   \
		  (uint32_t)ZF_ARRAY_SIZE(((const uint32_t[]){0, ##__VA_ARGS__})) - 1)

/* What has left since the last look. */
#define SENT(text)                                                                                 \
	do {                                                                                       \
		if (strcmp(b.log, text) != 0)                                                      \
			printf("\n  line %d: sent \"%s\", not \"%s\"\n", __LINE__, b.log, text);       \
		CU_ASSERT_STRING_EQUAL(b.log, text);                                               \
		b.log[0] = '\0';                                                                   \
	} while (0)

static inline void
bench_fire(void)
{
	b.verdict = tcp_loss_timer(&b.ctx, &b.ts);
	if (b.verdict == LOSS_PROBE) {
		uint32_t i = b.ts.sq_unsent != TCP_NONE ? b.ts.sq_unsent : tcp_loss_probe_run(&b.ctx, &b.ts);

		bench_send(i);
	}
	bench_output();
}

/* The clock goes to the timer, which must run in @mode. */
static inline void
bench_timer(enum tcp_rtx_mode mode)
{
	CU_ASSERT_FATAL(b.ts.due[TCP_DUE_RTX] != 0);
	CU_ASSERT_EQUAL(b.ts.rtx_mode, mode);
	b.ctx.now = ZF_MAX(b.ctx.now, b.ts.due[TCP_DUE_RTX]);
	bench_fire();
}

static inline void
bench_wait(uint64_t cycles)
{
	b.ctx.now += cycles;
}

/* One round trip known, nothing in flight; cwnd is untouched. Runs go on with @queued. */
static inline void
bench_start(uint32_t flags)
{
	bench_init(flags, 0u - 5 * MSS);
	bench_queue(1);
	bench_wait(RTT);
	ACK(1);
	b.log[0] = '\0';
}

#endif
