/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The loss engine over links that lose, repeat, delay and reorder: a stream must arrive, whatever happens, in bounded
 * time and without the engine's sums ever being wrong; over a good link nothing may be sent again. And under ACKs that
 * no peer would send.
 */
#include "base/rng.h"
#include "loss_help.h"

#define FLYING  2048u
#define RUNS    400u
#define STEPS   20000u

struct flight {
	uint64_t at;     /* when it arrives; of those that do together, */
	uint64_t order;  /* the first to leave */
	bool used, is_ack;
	tcpseq_t seq;    /* data: first and behind last; ACK: `end` is it */
	tcpseq_t end;
	struct tcp_opts o;
};

/* A link, in thousandths and cycles. */
struct link {
	uint32_t lose, lose_acks, repeat, late;
	uint64_t delay, lateness; /* `late` of the packets come up to @lateness later than they should */
	uint64_t gap;             /* between two frames: the bottleneck */
	bool sack, dsack, renege;
};

static struct {
	struct rng rng;
	const struct link *link;
	struct flight fly[FLYING];
	uint64_t busy_until, last_arrival;
	uint32_t n_run;
	uint32_t start[RUNS + 1]; /* of run i, relative to iss */
	bool got[RUNS];
	uint32_t done;            /* runs below have arrived, in order */
	uint32_t newest;          /* run received last */
	uint32_t dups, top;
	uint32_t patient;         /* sent again although reordering was known */
	uint64_t order;
} w;

static bool
chance(uint32_t thousandths)
{
	return rng_below(&w.rng, 1000) < thousandths;
}

static void
fly(struct flight f, uint32_t lose)
{
	uint32_t copies = chance(lose) ? 0 : chance(w.link->repeat) ? 2 : 1;

	for (uint32_t i = 0; i < FLYING && copies > 0; i++) {
		if (w.fly[i].used)
			continue;
		w.top = ZF_MAX(w.top, i + 1);
		w.fly[i] = f;
		w.fly[i].used = true;
		w.fly[i].order = w.order++;
		w.fly[i].at += chance(w.link->late) ? rng_below(&w.rng, w.link->lateness) : 0;
		copies--;
	}
	CU_ASSERT_EQUAL(copies, 0);
}

static void
fly_run(const struct tcp_txseg *g)
{
	w.busy_until = ZF_MAX(w.busy_until, b.ctx.now) + w.link->gap;
	fly((struct flight){.at = w.busy_until + w.link->delay, .seq = g->seq, .end = sq_end(g)}, w.link->lose);
}

/* The blocks of what waits behind the first hole: the one with the newest run first, then downwards from the top. */
static void
put_blocks(struct tcp_opts *o)
{
	uint32_t first[RUNS], last[RUNS], n = 0;

	for (uint32_t i = w.done; i < w.n_run; i++) {
		if (!w.got[i])
			continue;
		first[n] = i;
		while (i < w.n_run && w.got[i])
			i++;
		last[n++] = i;
	}
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t k = n; k-- > 0 && o->n_sack < TCP_SACK_MAX;) {
			if ((first[k] <= w.newest && w.newest < last[k]) == (pass == 0))
				o->sack[o->n_sack++] = (struct tcp_sack_block){seq_add(b.iss, w.start[first[k]]),
									       seq_add(b.iss, w.start[last[k]])};
		}
	}
}

static void
receive_data(const struct flight *f)
{
	struct flight a = {.at = b.ctx.now + w.link->delay, .is_ack = true, .o = {.have = TCP_OPT_SACK}};
	uint32_t lo = 0;
	bool dup;

	while (lo < w.n_run && w.start[lo] != seq_sub(f->seq, b.iss))
		lo++;
	/* A run trimmed by a late ACK begins inside of one. */
	if (lo == w.n_run)
		return;
	dup = w.got[lo];
	w.dups += dup;
	w.got[lo] = true;
	w.newest = lo;
	while (w.done < w.n_run && w.got[w.done])
		w.done++;
	if (w.link->renege && chance(5)) {
		for (uint32_t i = w.done; i < w.n_run; i++)
			w.got[i] = false;
	}
	a.end = seq_add(b.iss, w.start[w.done]);
	if (w.link->sack) {
		if (dup && w.link->dsack)
			a.o.sack[a.o.n_sack++] = (struct tcp_sack_block){f->seq, f->end};
		put_blocks(&a.o);
	}
	fly(a, w.link->lose_acks);
}

/* Output, with what leaves going onto the link. */
static void
step_output(void)
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
		/* A SACKed run is never sent again (RFC 6675 5). */
		CU_ASSERT(!(sq_seg(&b.room, i)->flags & TXSEG_SACKED));
		w.patient += sq_seg(&b.room, i)->n_sent != 0 && b.ts.loss.flags & LF_REORDERING;
		b.log[0] = '\0';
		bench_send(i);
		/* At times the port is full. */
		if (chance(5)) {
			bool was_new = sq_seg(&b.room, i)->n_sent == 1;

			if (was_new) {
				b.ts.snd_nxt = sq_seg(&b.room, i)->seq;
				b.ts.sq_unsent = i;
			}
			tcp_loss_taken_back(&b.ctx, &b.ts, i, was_new);
			continue;
		}
		fly_run(sq_seg(&b.room, i));
	}
	tcp_loss_limited(&b.ts, by_cwnd);
	tcp_loss_arm(&b.ctx, &b.ts);
	tcp_loss_check(&b.room, &b.ts);
}

static void
step_timer(void)
{
	uint32_t i;

	switch (tcp_loss_timer(&b.ctx, &b.ts)) {
	case LOSS_PROBE:
		i = b.ts.sq_unsent != TCP_NONE ? b.ts.sq_unsent : tcp_loss_probe_run(&b.ctx, &b.ts);
		b.log[0] = '\0';
		bench_send(i);
		fly_run(sq_seg(&b.room, i));
		break;
	case LOSS_GIVE_UP:
		CU_FAIL("gave up");
		break;
	default:
		break;
	}
	step_output();
}

/* The next thing that happens: an arrival, or the timer. False when there is none. */
static bool
step(void)
{
	struct flight f = {.at = UINT64_MAX};
	uint64_t due = b.ts.due[TCP_DUE_RTX];
	uint32_t k = FLYING;

	for (uint32_t i = 0; i < w.top; i++) {
		const struct flight *x = &w.fly[i];

		if (x->used && (k == FLYING || x->at < f.at || (x->at == f.at && x->order < f.order))) {
			f = w.fly[i];
			k = i;
		}
	}
	if (k == FLYING && due == 0)
		return false;
	if (k == FLYING || (due != 0 && due < f.at)) {
		b.ctx.now = ZF_MAX(b.ctx.now, due);
		b.ts.due[TCP_DUE_RTX] = 0;
		step_timer();
		return true;
	}
	w.fly[k].used = false;
	b.ctx.now = ZF_MAX(b.ctx.now, f.at);
	if (!f.is_ack) {
		receive_data(&f);
	} else if (seq_geq(f.end, b.ts.snd_una)) {
		bool dup = seq_eq(f.end, b.ts.snd_una) && !seq_eq(f.end, b.ts.snd_nxt);

		CU_ASSERT_FATAL(seq_leq(f.end, b.ts.snd_nxt));
		tcp_loss_ack(&b.ctx, &b.ts, f.end, &f.o, dup, &b.d);
		step_output();
	}
	return true;
}

/* A stream over @l, true if all of it arrived. */
static bool
stream(const struct link *l, uint64_t seed, uint32_t n_run)
{
	uint32_t steps = 0;

	memset(&w, 0, sizeof(w));
	rng_seed(&w.rng, seed);
	w.link = l;
	w.n_run = n_run;
	bench_init(l->sack ? TF_SACK : 0, (uint32_t)rng_next64(&w.rng));
	b.room.conf.retries = 200;
	b.ts.cc.kind = (uint8_t)(seed % 2);
	for (uint32_t i = 0; i < n_run; i++) {
		uint16_t len = (uint16_t)(chance(800) ? MSS : 1 + rng_below(&w.rng, MSS));

		bench_run(len, i + 1 == n_run ? TXSEG_FIN : 0);
		w.start[i + 1] = seq_sub(b.ts.snd_end, b.iss);
	}
	step_output();
	while (steps < STEPS && step())
		steps++;
	CU_ASSERT_EQUAL(w.done, n_run);
	CU_ASSERT(seq_eq(b.ts.snd_una, b.ts.snd_end));
	CU_ASSERT_EQUAL(b.ts.sq_head, TCP_NONE);
	CU_ASSERT_EQUAL(b.ts.loss.sacked | b.ts.loss.lost | b.ts.loss.retrans, 0);
	if (w.done != n_run || b.ts.sq_head != TCP_NONE) {
		printf("\n  seed %llu: %u of %u after %u steps\n", (unsigned long long)seed, w.done, n_run, steps);
		return false;
	}
	return true;
}

static void
good_link(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct link l = {.delay = 5 * MS, .gap = 10000 * (seed % 7), .sack = seed % 4 < 2, .dsack = true};

		CU_ASSERT_TRUE_FATAL(stream(&l, seed, RUNS));
		CU_ASSERT_EQUAL(w.dups, 0);
		/* Frames taken back by the full port were counted when they left, and no others. */
		CU_ASSERT_EQUAL(b.ts.cc.ssthresh, TCP_CWND_MAX);
	}
}

static void
lossy_links(void)
{
	static const uint32_t loss[] = {5, 20, 100, 300};

	for (uint64_t seed = 1; seed <= 120; seed++) {
		struct link l = {.lose = loss[seed % 4], .lose_acks = loss[seed / 4 % 4], .delay = 5 * MS, .gap = 50000,
				 .sack = seed % 3 != 0, .dsack = seed % 2};

		CU_ASSERT_TRUE_FATAL(stream(&l, seed, 200));
		/* Nearly every copy is there because one was lost. */
		if (l.sack && loss[seed % 4] <= 20 && loss[seed / 4 % 4] <= 20)
			CU_ASSERT(b.n_again < 60);
	}
}

static void
everything_at_once(void)
{
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct link l = {.lose = 50, .lose_acks = 50, .repeat = 30, .late = 200, .lateness = 15 * MS,
				 .delay = 1 + (seed % 5) * MS, .gap = seed % 2 * 30000, .sack = seed % 4 != 0,
				 .dsack = seed % 3 != 0, .renege = seed % 5 == 0};

		CU_ASSERT_TRUE_FATAL(stream(&l, seed, 150));
	}
}

/* Reordering by less than a quarter of a round trip: it costs a few runs until it is known, then hardly any. */
static void
reordering_link(void)
{
	struct link l = {.late = 300, .lateness = 2 * MS, .delay = 5 * MS, .gap = 100000, .sack = true, .dsack = true};
	uint32_t again = 0, patient = 0;

	for (uint64_t seed = 1; seed <= 30; seed++) {
		CU_ASSERT_TRUE_FATAL(stream(&l, seed, RUNS));
		CU_ASSERT(b.ts.loss.flags & LF_REORDERING);
		again += w.dups;
		patient += w.patient;
	}
	CU_ASSERT(again <= 30 * RUNS / 100);
	CU_ASSERT(patient <= 30 * RUNS / 1000);
	printf("(%u and %u of %u sent again) ", again, patient, 30 * RUNS);
}

static void
hostile_block(struct tcp_sack_block *s)
{
	uint32_t out = seq_sub(b.ts.snd_end, b.ts.snd_una) + 1;

	s->left = seq_add(b.ts.snd_una, (uint32_t)rng_below(&w.rng, out));
	s->right = seq_add(s->left, (uint32_t)rng_below(&w.rng, out));
	if (chance(200))
		s->left = seq_of((uint32_t)rng_next64(&w.rng));
	if (chance(200))
		s->left = seq_less(b.ts.snd_una, (uint32_t)rng_below(&w.rng, 5000));
	if (chance(200))
		s->right = seq_of((uint32_t)rng_next64(&w.rng));
}

/* Anything in any order: only the sums are looked at, and that the queue ends empty. */
static void
hostile_acks(void)
{
	static const struct link none;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		memset(&w, 0, sizeof(w));
		w.link = &none;
		rng_seed(&w.rng, seed);
		bench_init((seed % 3 ? TF_SACK : 0) | (seed % 2 ? TF_TS : 0), (uint32_t)rng_next64(&w.rng));
		b.room.conf.retries = 255;
		for (uint32_t n = 0; n < 3000; n++) {
			struct tcp_opts o = {.have = TCP_OPT_SACK | TCP_OPT_TS, .ts_ecr = (uint32_t)rng_next64(&w.rng)};
			uint32_t out = seq_sub(b.ts.snd_nxt, b.ts.snd_una);
			tcpseq_t ack = b.ts.snd_una;

			b.log[0] = '\0';
			b.ctx.now += rng_below(&w.rng, 10 * MS);
			if (b.ts.sq_segs < 100 && chance(500))
				bench_run((uint16_t)(1 + rng_below(&w.rng, b.ts.mss)), 0);
			if (chance(20) && b.ts.mss > 100) {
				b.ts.mss -= 50;
				tcp_loss_mtu(&b.ctx, &b.ts);
			}
			if (chance(100))
				tcp_loss_ecn(&b.ctx, &b.ts);
			if (b.ts.due[TCP_DUE_RTX] != 0 && chance(200)) {
				b.ctx.now = ZF_MAX(b.ctx.now, b.ts.due[TCP_DUE_RTX]);
				bench_fire();
				continue;
			}
			o.n_sack = (uint8_t)rng_below(&w.rng, 5);
			for (uint32_t k = 0; k < o.n_sack; k++)
				hostile_block(&o.sack[k]);
			if (chance(300))
				ack = seq_add(ack, (uint32_t)rng_below(&w.rng, ZF_MIN(out, 3000u) + 1));
			bench_ack_opts(ack, &o);
		}
		bench_output();
		for (uint32_t n = 0; n < 5000 && b.ts.sq_head != TCP_NONE; n++) {
			b.log[0] = '\0';
			bench_ack_opts(b.ts.snd_nxt, NULL);
		}
		CU_ASSERT_EQUAL_FATAL(b.ts.sq_head, TCP_NONE);
		CU_ASSERT_EQUAL(b.ts.loss.sacked | b.ts.loss.lost | b.ts.loss.retrans, 0);
	}
}

static const struct unit_test tests[] = {
	UNIT(good_link),
	UNIT(lossy_links),
	UNIT(everything_at_once),
	UNIT(reordering_link),
	UNIT(hostile_acks),
};
UNIT_MAIN("tcp_loss_link", tests)
