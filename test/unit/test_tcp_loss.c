/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The loss engine of TCP, pattern by pattern. Runs go on with number 1 after bench_start(), whose run 0 gave the first
 * round trip; cwnd is 10 runs then.
 *
 * Size: one frame (a queue, its marks, a clock) serves every case; half of it would have to be written again elsewhere.
 */
#include "loss_help.h"
#include "tcp/output.h"

static void
good_times(void)
{
	bench_start(TF_SACK);
	CU_ASSERT_EQUAL(b.ts.rtt.srtt, RTT);
	bench_queue(12);
	SENT("1 2 3 4 5 6 7 8 9 10");
	CU_ASSERT_EQUAL(tcp_loss_pipe(&b.ts), 10 * MSS);
	bench_wait(RTT);
	ACK(3);
	CU_ASSERT_EQUAL(b.d.acked, 2 * MSS);
	CU_ASSERT_EQUAL(b.d.acked_segs, 2);
	CU_ASSERT_EQUAL(b.d.rtt, RTT);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 12 * MSS);
	CU_ASSERT(tcp_loss_can_fast(&b.ts));
	SENT("11 12");
	bench_wait(1);
	/* Not limited by cwnd any more: it stays. */
	ACK(13);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 12 * MSS);
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], 0);
	CU_ASSERT_EQUAL(b.ts.sq_tail, TCP_NONE);
	CU_ASSERT_EQUAL(b.room.free_seg == TCP_NONE, false);
}

static void
partly_acknowledged_run_is_trimmed(void)
{
	for (int flags = 0; flags < 2; flags++) {
		bench_start(TF_SACK);
		bench_run(MSS, flags ? TXSEG_FIN : 0);
		bench_output();
		b.segs[b.ts.sq_head].off = 100;
		bench_wait(RTT);
		bench_ack_opts(seq_add(bench_seq(1), 400), NULL);
		CU_ASSERT_EQUAL(b.d.rtt, 0);
		CU_ASSERT_EQUAL(b.d.acked_segs, 0);
		CU_ASSERT_EQUAL(b.segs[b.ts.sq_head].off, 500);
		CU_ASSERT_EQUAL(b.segs[b.ts.sq_head].len, 600);
		bench_ack_opts(bench_seq(2), NULL);
		CU_ASSERT_EQUAL(b.ts.sq_segs, (uint32_t)flags);
		CU_ASSERT(!b.d.fin_acked);
		if (flags) {
			bench_ack_opts(seq_add(bench_seq(2), 1), NULL);
			CU_ASSERT(b.d.fin_acked);
		}
		CU_ASSERT_EQUAL(b.ts.sq_head, TCP_NONE);
	}
}

static void
three_sacks_are_a_loss(void)
{
	bench_start(TF_SACK);
	bench_queue(20);
	SENT("1 2 3 4 5 6 7 8 9 10");
	bench_wait(RTT);
	ACK(1, 2, 3);
	SENT("11"); /* RFC 3042 */
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_DISORDER);
	CU_ASSERT(!tcp_loss_can_fast(&b.ts));
	ACK(1, 2, 4);
	SENT("12");
	ACK(1, 2, 5);
	CU_ASSERT(b.d.entered);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS);
	SENT("r1");
	/* PRR: one for two. */
	for (uint32_t i = 6; i <= 11; i++)
		ACK(1, 2, i);
	SENT("13 14");
	bench_wait(RTT);
	ACK(11);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
	ACK(13);
	CU_ASSERT(b.d.recovered);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 5 * MSS);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	CU_ASSERT_EQUAL(b.counters[CNT_TCP_RETRANS], 1);
}

static void
many_holes(void)
{
	bench_start(TF_SACK);
	bench_queue(10);
	SENT("1 2 3 4 5 6 7 8 9 10");
	bench_wait(RTT);
	ACK(1, 2, 3);
	ACK(1, 4, 5, 2, 3);
	/* 1 and 3 are lost, 5 and 7 not yet known to be: a run left later must have arrived. */
	ACK(1, 6, 7, 4, 5, 2, 3);
	CU_ASSERT_EQUAL(b.ts.loss.lost, 3 * MSS);
	ACK(1, 6, 9, 4, 5, 2, 3);
	ACK(1, 6, 11, 4, 5, 2, 3);
	bench_wait(RTT);
	ACK(3, 6, 11, 4, 5);
	ACK(5, 6, 11);
	ACK(11);
	SENT("r1 r3 r5");
	CU_ASSERT(b.d.recovered);
}

/* A hole found while the retransmission of one before it is on its way. */
static void
second_hole(void)
{
	bench_start(TF_SACK);
	bench_queue(10);
	bench_wait(RTT);
	ACK(1, 2, 5);
	CU_ASSERT_EQUAL(b.ts.loss.lost, MSS);
	bench_wait(RTT / 8);
	ACK(1, 6, 9, 2, 5);
	CU_ASSERT_EQUAL(b.ts.loss.lost, 2 * MSS);
	SENT("1 2 3 4 5 6 7 8 9 10 r1 r5");
}

static void
without_sack(void)
{
	bench_start(0);
	bench_queue(20);
	b.log[0] = '\0';
	bench_wait(RTT);
	ACK(1);
	SENT("11");
	ACK(1);
	SENT("12");
	ACK(1);
	SENT("r1");
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS);
	ACK(1);
	ACK(1);
	SENT("");
	bench_wait(RTT);
	/* A partial one: 5 was lost too (RFC 6582). */
	ACK(5);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
	SENT("r5");
	bench_wait(RTT);
	ACK(13);
	CU_ASSERT(b.d.recovered);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 5 * MSS);
	b.log[0] = '\0';
	/* Duplicates at the point of recovery may come from what was sent again: no new recovery. */
	for (int i = 0; i < 5; i++)
		ACK(13);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_DISORDER);
	CU_ASSERT_EQUAL(b.n_again, 2);
	ACK(14);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	for (int i = 0; i < 3; i++)
		ACK(14);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
}

static void
no_reentry_ends_with_the_round(void)
{
	/* The point of recovery must not stand in the way 2^31 bytes later. */
	bench_start(0);
	bench_queue(4);
	bench_wait(RTT);
	ACK(1), ACK(1), ACK(1);
	ACK(5);
	CU_ASSERT(b.ts.loss.flags & LF_REENTRY);
	bench_queue(1);
	ACK(6);
	CU_ASSERT(!(b.ts.loss.flags & LF_REENTRY));
}

/* A lone run is lost: the probe repairs it, and the window pays once. */
static void
tail_loss(void)
{
	bench_start(TF_SACK);
	bench_queue(4);
	bench_wait(RTT);
	ACK(4);
	b.ts.cc.cwnd = 10 * MSS;
	SENT("1 2 3 4");
	CU_ASSERT(b.ts.due[TCP_DUE_RTX] - b.ctx.now <= 200 * MS);
	bench_timer(RTX_TLP);
	SENT("r4");
	CU_ASSERT_EQUAL(b.verdict, LOSS_PROBE);
	CU_ASSERT_EQUAL(b.ts.rtx_mode, RTX_RTO);
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], b.ctx.now + 200 * MS);
	bench_wait(RTT);
	ACK(5);
	CU_ASSERT_EQUAL(b.d.rtt, 0);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 10 * MSS);
	bench_queue(1);
	bench_wait(RTT);
	ACK(6);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 2 * MSS); /* half of one run, two at least */
	bench_queue(1);
	bench_wait(RTT);
	ACK(7);
	CU_ASSERT(b.ts.cc.cwnd >= 2 * MSS);
	CU_ASSERT(!(b.ts.loss.flags & LF_TROUBLE));
}

static void
probe_that_was_not_needed(void)
{
	bench_start(TF_SACK);
	bench_queue(2);
	bench_timer(RTX_TLP);
	SENT("1 2 r2");
	CU_ASSERT_EQUAL(b.ctx.now - b.ts.loss.sent_at, 2 * RTT);
	ACK(3);
	ACK(3, 2, 3); /* D-SACK */
	CU_ASSERT(b.d.dsack);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 1);
	bench_queue(1);
	bench_wait(RTT);
	ACK(4);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 10 * MSS);
}

/* Fast sends do not arm the timer again: one that fires early does nothing, and is armed for later. */
static void
timer_that_fires_early(void)
{
	uint64_t due;

	bench_start(TF_SACK);
	bench_queue(2);
	due = b.ts.due[TCP_DUE_RTX];
	b.ctx.now = due - 1;
	b.ts.loss.sent_at = b.ctx.now;
	b.ctx.now = due;
	bench_fire();
	CU_ASSERT_EQUAL(b.verdict, LOSS_NOTHING);
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], due - 1 + 2 * RTT);
	bench_timer(RTX_TLP);
	CU_ASSERT_EQUAL(b.verdict, LOSS_PROBE);
	/* But never later than the timeout would be. */
	bench_start(TF_SACK);
	bench_queue(1);
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], b.ctx.now + 200 * MS);
	bench_timer(RTX_TLP);
	CU_ASSERT_EQUAL(b.verdict, LOSS_PROBE);
}

static void
probe_with_new_data(void)
{
	bench_start(TF_SACK);
	b.ts.cc.cwnd = 2 * MSS;
	bench_queue(3);
	SENT("1 2");
	bench_timer(RTX_TLP);
	SENT("3");
	bench_wait(RTT);
	/* 1 and 2 are long overdue. */
	ACK(1, 3, 4);
	SENT("r1");
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
	CU_ASSERT(!(b.ts.loss.flags & LF_TLP));
	bench_wait(RTT);
	ACK(2, 3, 4);
	SENT("r2");
	ACK(4);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 2 * MSS);
}

static void
lost_retransmission(void)
{
	bench_start(TF_SACK);
	bench_queue(20);
	bench_wait(RTT);
	ACK(1, 2, 5);
	CU_ASSERT_EQUAL(b.n_again, 1);
	b.log[0] = '\0';
	for (uint32_t i = 6; i <= 11; i++)
		ACK(1, 2, i);
	SENT("11 12 13 14");
	bench_wait(RTT);
	/* What left behind r1 arrives, r1 did not. */
	ACK(1, 2, 12);
	SENT("r1 15");
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS);
	bench_wait(RTT);
	ACK(16);
	CU_ASSERT(b.d.recovered);
	CU_ASSERT_EQUAL(b.counters[CNT_TCP_RETRANS], 2);
}

static void
reordering_is_waited_for(void)
{
	bench_start(TF_SACK);
	bench_queue(3);
	bench_wait(RTT);
	/* Two behind a hole, and the hole comes a little later. */
	ACK(1, 2, 4);
	CU_ASSERT_EQUAL(b.ts.rtx_mode, RTX_REORDER);
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], b.ctx.now + RTT / 4);
	bench_wait(RTT / 4 - 1);
	ACK(4);
	CU_ASSERT(b.ts.loss.flags & LF_REORDERING);
	SENT("1 2 3");
	CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], 0);
	/* From now on many behind it are no proof either. */
	bench_queue(8);
	bench_wait(RTT);
	ACK(4, 5, 12);
	bench_wait(RTT / 4 - 1);
	ACK(12);
	SENT("4 5 6 7 8 9 10 11");
	CU_ASSERT_EQUAL(b.n_again, 0);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	/* Time is. */
	bench_queue(8);
	bench_wait(RTT);
	ACK(12, 13, 20);
	bench_timer(RTX_REORDER);
	SENT("12 13 14 15 16 17 18 19 r12");
}

static void
dsack_undoes(void)
{
	bench_start(TF_SACK);
	bench_queue(10);
	bench_wait(RTT);
	ACK(1, 3, 6);
	CU_ASSERT_EQUAL(b.n_again, 1);
	ACK(1, 3, 8);
	CU_ASSERT_EQUAL(b.n_again, 2);
	ACK(11); /* all were only late */
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 5 * MSS);
	bench_wait(RTT);
	ACK(11, 1, 2);
	CU_ASSERT(b.d.dsack);
	CU_ASSERT(!b.d.undone);
	ACK(11, 2, 3);
	CU_ASSERT(b.d.undone);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 10 * MSS);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, TCP_CWND_MAX);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 2); /* once a round trip */
}

static void
dsack_of_something_older(void)
{
	bench_start(TF_SACK);
	bench_queue(10);
	bench_wait(RTT);
	ACK(4);
	ACK(4, 5, 8);
	CU_ASSERT_EQUAL(b.n_again, 1);
	ACK(4, 2, 3, 5, 8); /* a copy that the network made */
	CU_ASSERT(b.d.dsack);
	CU_ASSERT(!b.d.undone);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 2);
	ACK(8, 2, 3); /* the round trip is not over */
	CU_ASSERT(b.d.dsack);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 2);
	ACK(11);
	ACK(11, 2, 3);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 3);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 7 * MSS / 2);
}

static void
dsack_that_comes_too_late(void)
{
	bench_start(TF_SACK);
	bench_queue(10);
	bench_wait(RTT);
	ACK(1, 2, 6);
	ACK(11);
	bench_queue(1);
	ACK(12);
	CU_ASSERT(!(b.ts.loss.flags & LF_UNDO));
	ACK(12, 1, 2);
	CU_ASSERT(b.d.dsack);
	CU_ASSERT(!b.d.undone);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS);
}

/* RFC 8985 6.2 step 4: more patience for each round trip with D-SACKs, gone after 16 recoveries without. */
static void
patience_grows_and_ends(void)
{
	uint32_t run = 11;

	bench_start(TF_SACK);
	bench_queue(10);
	bench_wait(RTT);
	ACK(1, 2, 6);
	ACK(11, 1, 2);
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 2);
	for (int i = 0; i < 16; i++, run += 4) {
		CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 2);
		b.ts.cc.cwnd = 10 * MSS;
		bench_queue(4);
		bench_wait(RTT);
		ACK(run, run + 1, run + 4);
		if (b.ts.loss.phase != LOSS_RECOVERY)
			bench_timer(RTX_REORDER);
		CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
		bench_wait(RTT);
		ACK(run + 4);
	}
	CU_ASSERT_EQUAL(b.ts.loss.reo_mult, 1);
}

static void
reneging(void)
{
	bench_start(TF_SACK);
	bench_queue(4);
	bench_wait(RTT);
	ACK(1, 2, 5);
	SENT("1 2 3 4 r1");
	bench_timer(RTX_RTO);
	CU_ASSERT_EQUAL(b.ts.loss.sacked, 0);
	SENT("r1");
	bench_wait(RTT);
	/* The peer threw 2 and 3 away. */
	ACK(2, 4, 5);
	SENT("r2 r3");
	bench_wait(RTT);
	ACK(5);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
}

static void
timeouts(void)
{
	uint64_t rto = 200 * MS;

	bench_start(0);
	bench_queue(10);
	b.log[0] = '\0';
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(b.ts.due[TCP_DUE_RTX], b.ctx.now + rto);
		bench_timer(RTX_RTO);
		CU_ASSERT_EQUAL(b.verdict, LOSS_SEND);
		SENT("r1");
		CU_ASSERT_EQUAL(b.ts.cc.cwnd, MSS);
		CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS); /* held (RFC 5681 3.1) */
		CU_ASSERT_EQUAL(b.ts.retries, i + 1);
		rto *= 2;
	}
	bench_timer(RTX_RTO);
	CU_ASSERT_EQUAL(b.verdict, LOSS_GIVE_UP);
	/* It came back in the last moment: slow start through what was lost. */
	ACK(2);
	CU_ASSERT_EQUAL(b.d.rtt, 0);
	CU_ASSERT_EQUAL(b.ts.backoff, 0);
	CU_ASSERT_EQUAL(b.ts.retries, 0);
	SENT("r2 r3");
	ACK(4);
	SENT("r4 r5 r6");
	ACK(11);
	CU_ASSERT(b.d.recovered);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
}

static void
needless_timeout_is_undone(void)
{
	struct tcp_opts o = {.have = TCP_OPT_TS};

	bench_start(0);
	b.ts.flags |= TF_TS;
	b.ts.ts_offset = UINT32_MAX - 5000;
	bench_queue(10);
	o.ts_ecr = (uint32_t)(b.ctx.now / MS) + b.ts.ts_offset;
	bench_timer(RTX_RTO);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, MSS);
	b.log[0] = '\0';
	bench_wait(MS);
	bench_ack_opts(bench_seq(2), &o);
	CU_ASSERT(b.d.undone);
	CU_ASSERT(b.ts.cc.cwnd >= 10 * MSS);
	CU_ASSERT_EQUAL(b.ts.loss.lost, 0);
	SENT("");
}

static void
needed_timeout_is_not_undone(void)
{
	struct tcp_opts o = {.have = TCP_OPT_TS};

	bench_start(0);
	b.ts.flags |= TF_TS;
	bench_queue(10);
	bench_timer(RTX_RTO);
	o.ts_ecr = tcp_ts_now(&b.ctx, 0);
	bench_wait(RTT);
	bench_ack_opts(bench_seq(2), &o);
	CU_ASSERT(!b.d.undone);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 2 * MSS);
}

/* RFC 6675 NextSeg (4): nothing lost is left to send and nothing new, and the tail is overdue. */
static void
rescue(void)
{
	bench_start(TF_SACK);
	bench_queue(8);
	bench_wait(RTT);
	ACK(1, 2, 7);
	SENT("1 2 3 4 5 6 7 8 r1");
	/* A later copy of an ACK, no news of 7 and 8. */
	bench_wait(RTT);
	ACK(1, 2, 7);
	SENT("r8");
	ACK(1, 2, 7);
	SENT("");
	CU_ASSERT_EQUAL(b.ts.loss.lost, MSS);
	/* Once in a recovery. */
	b.ts.cc.cwnd = 20 * MSS;
	bench_queue(1);
	bench_wait(2 * RTT);
	ACK(1, 2, 7);
	SENT("9");
}

static void
smaller_path(void)
{
	bench_start(TF_SACK);
	bench_queue(2);
	bench_run(600, TXSEG_PSH);
	bench_run(900, TXSEG_PSH | TXSEG_FIN);
	bench_output();
	bench_run(900, 0);
	b.log[0] = '\0';
	b.ts.mss = 400;
	tcp_loss_mtu(&b.ctx, &b.ts);
	tcp_loss_check(&b.room, &b.ts);
	CU_ASSERT_EQUAL(b.ts.sq_segs, 3 + 3 + 2 + 3 + 3);
	CU_ASSERT_EQUAL(b.ts.loss.lost, 2 * MSS + 600 + 901);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	bench_output();
	CU_ASSERT_EQUAL(b.n_again, 11);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 10 * MSS);
	bench_wait(RTT);
	bench_ack_opts(seq_less(b.ts.snd_end, 900), NULL);
	CU_ASSERT(b.d.fin_acked);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, TCP_CWND_MAX);
	CU_ASSERT(tcp_loss_can_fast(&b.ts));
}

static void
smaller_path_without_records(void)
{
	bench_start(TF_SACK);
	bench_queue(2);
	b.room.free_seg = TCP_NONE;
	b.room.n_free_seg = 0;
	b.ts.mss = 400;
	tcp_loss_mtu(&b.ctx, &b.ts);
	tcp_loss_check(&b.room, &b.ts);
	CU_ASSERT_EQUAL(b.ts.loss.lost, 2 * MSS);
	CU_ASSERT(tcp_loss_quota(&b.ctx, &b.ts) >= MSS);
}

static void
full_port(void)
{
	struct tcp_loss before;
	struct tcp_rec rec;
	uint32_t i;

	bench_start(TF_SACK);
	bench_queue(8);
	i = b.ts.sq_tail;
	b.ts.snd_nxt = b.segs[i].seq;
	b.ts.sq_unsent = i;
	tcp_loss_taken_back(&b.ctx, &b.ts, i, true);
	tcp_loss_check(&b.room, &b.ts);
	bench_output();
	b.log[0] = '\0';
	bench_wait(RTT);
	b.ts.cc.cwnd = 4 * MSS;
	ACK(1, 3, 6);
	SENT("r1");
	before = b.ts.loss;
	rec = b.rec;
	i = tcp_loss_next(&b.ctx, &b.ts);
	CU_ASSERT_EQUAL_FATAL(b.segs[i].seq.n, bench_seq(2).n);
	tcp_loss_sent(&b.ctx, &b.ts, i);
	CU_ASSERT_NOT_EQUAL(tcp_loss_next(&b.ctx, &b.ts), i);
	tcp_loss_taken_back(&b.ctx, &b.ts, i, false);
	CU_ASSERT_EQUAL(tcp_loss_next(&b.ctx, &b.ts), i);
	CU_ASSERT_EQUAL(before.retrans, b.ts.loss.retrans);
	CU_ASSERT_EQUAL(rec.prr_out, b.rec.prr_out);
	CU_ASSERT_EQUAL(rec.undo_bytes, b.rec.undo_bytes);
	tcp_loss_check(&b.room, &b.ts);
}

static void
probe_of_a_full_port(void)
{
	uint32_t i;

	bench_start(TF_SACK);
	bench_queue(2);
	b.ctx.now = b.ts.due[TCP_DUE_RTX];
	CU_ASSERT_EQUAL(tcp_loss_timer(&b.ctx, &b.ts), LOSS_PROBE);
	i = tcp_loss_probe_run(&b.ctx, &b.ts);
	CU_ASSERT_EQUAL_FATAL(i, b.ts.sq_tail);
	tcp_loss_sent(&b.ctx, &b.ts, i);
	tcp_loss_taken_back(&b.ctx, &b.ts, i, false);
	tcp_loss_arm(&b.ctx, &b.ts);
	CU_ASSERT(!(b.ts.loss.flags & LF_TLP));
	CU_ASSERT(b.ts.due[TCP_DUE_RTX] > b.ctx.now);
	tcp_loss_check(&b.room, &b.ts);
}

static void
marks_of_congestion(void)
{
	bench_start(TF_SACK);
	bench_queue(20);
	ACK(2);
	CU_ASSERT(tcp_loss_ecn(&b.ctx, &b.ts));
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 11 * MSS / 2);
	CU_ASSERT(!tcp_loss_ecn(&b.ctx, &b.ts));
	ACK(11);
	CU_ASSERT(!tcp_loss_ecn(&b.ctx, &b.ts));
	ACK(13); /* CWR left behind it */
	CU_ASSERT(!tcp_loss_ecn(&b.ctx, &b.ts));
	ACK(14);
	CU_ASSERT(tcp_loss_ecn(&b.ctx, &b.ts));
	ACK(14, 16, 19);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
	CU_ASSERT(!tcp_loss_ecn(&b.ctx, &b.ts));
}

/* hostile-inputs 9 */
static void
bad_blocks(void)
{
	static const uint32_t bad[][2] = {
		{3, 2}, {2, 2}, {1, 3}, {0, 3}, {9, 13}, {12, 14}, {2, 2 + (1u << 21)}, {1u << 21, 3}, {3, 1u << 31},
	};

	for (int sack = 0; sack < 2; sack++) {
		bench_start(sack ? TF_SACK : 0);
		bench_queue(10);
		for (size_t i = 0; i < ZF_ARRAY_SIZE(bad); i++) {
			struct tcp_opts o = {.have = TCP_OPT_SACK, .n_sack = 2};

			o.sack[1] = (struct tcp_sack_block){bench_seq(bad[i][0]), bench_seq(bad[i][1])};
			o.sack[0] = o.sack[1];
			tcp_loss_ack(&b.ctx, &b.ts, b.ts.snd_una, &o, false, &b.d);
			tcp_loss_check(&b.room, &b.ts);
			CU_ASSERT_EQUAL(b.d.sacked, 0);
		}
		CU_ASSERT_EQUAL(b.ts.loss.sacked, 0);
		/* Swapped, overlapping, one inside another. */
		ACK(1, 8, 10, 4, 7, 3, 6, 4, 5);
		CU_ASSERT_EQUAL(b.ts.loss.sacked, sack ? 6 * MSS : 0);
	}
}

/* hostile-inputs 10: blocks of single bytes mark nothing and cut nothing. */
static void
shredding(void)
{
	bench_start(TF_SACK);
	b.ts.cc.cwnd = 400 * MSS;
	bench_queue(400);
	for (uint32_t n = 0; n < 100000; n++) {
		struct tcp_opts o = {.have = TCP_OPT_SACK, .n_sack = 4};

		for (uint32_t k = 0; k < 4; k++) {
			tcpseq_t at = seq_add(b.ts.snd_una, 1 + 2 * ((n * 4 + k) % 199000));

			o.sack[k] = (struct tcp_sack_block){at, seq_add(at, 1)};
		}
		tcp_loss_ack(&b.ctx, &b.ts, b.ts.snd_una, &o, true, &b.d);
	}
	/* All but the last byte of a run, all but the first of the next. */
	for (uint32_t n = 0; n < 2; n++) {
		struct tcp_opts o = {.have = TCP_OPT_SACK, .n_sack = 1};

		o.sack[0] = (struct tcp_sack_block){seq_add(bench_seq(5), n), seq_add(bench_seq(6), n - 1)};
		tcp_loss_ack(&b.ctx, &b.ts, b.ts.snd_una, &o, true, &b.d);
	}
	tcp_loss_check(&b.room, &b.ts);
	CU_ASSERT_EQUAL(b.ts.sq_segs, 400);
	CU_ASSERT_EQUAL(b.ts.loss.sacked, 0);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
}

static void
queue_is_cleared(void)
{
	uint32_t n = 0;

	bench_start(TF_SACK);
	bench_queue(20);
	ACK(1, 3, 6);
	sq_clear(&b.ctx, &b.ts);
	for (uint32_t i = b.room.free_seg; i != TCP_NONE && n <= SEGS; i = b.segs[i].next)
		n++;
	CU_ASSERT_EQUAL(n, SEGS);
	CU_ASSERT_EQUAL(tcp_loss_next(&b.ctx, &b.ts), TCP_NONE);
}

/* A timeout, duplicates and probes where there is no record at all: everything arrives, cwnd is what RFC 5681 says. */
static void
losses_without_a_record(void)
{
	bench_start(TF_SACK);
	b.room.max_rec = b.room.n_free_rec = 0;
	b.room.free_rec = TCP_NONE;
	b.ts.cc.cwnd = 10 * MSS;
	bench_queue(10);
	SENT("1 2 3 4 5 6 7 8 9 10");
	bench_wait(RTT);
	ACK(1, 4, 7);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RECOVERY);
	CU_ASSERT_EQUAL(b.ts.cc.ssthresh, 5 * MSS);
	CU_ASSERT_EQUAL(b.counters[CNT_TCP_LOSS_NO_RECORD], 1);
	SENT("r1"); /* of three that are lost; four more are on their way */
	ACK(1, 4, 11);
	SENT("r2 r3");
	bench_wait(RTT);
	ACK(11);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 5 * MSS);
	bench_queue(5);
	SENT("11 12 13 14 15");
	bench_timer(RTX_TLP);
	SENT("r15");
	bench_timer(RTX_RTO);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_RTO);
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, MSS);
	CU_ASSERT(!(b.ts.loss.flags & LF_UNDO));
	SENT("r11");
	bench_wait(RTT);
	ACK(16);
	CU_ASSERT_EQUAL(b.ts.loss.phase, LOSS_OPEN);
	CU_ASSERT_EQUAL(b.ts.rec, TCP_NONE);
	/* Each mark of congestion by itself, since its round cannot be noted. */
	bench_queue(2);
	b.ts.cc.cwnd = 20 * MSS;
	CU_ASSERT(tcp_loss_ecn(&b.ctx, &b.ts) && tcp_loss_ecn(&b.ctx, &b.ts));
	CU_ASSERT_EQUAL(b.ts.cc.cwnd, 2 * MSS);
}

/* Two records and three connections: one with nothing under way gives its up, one in recovery does not. */
static void
records_are_spared_by_the_idle(void)
{
	struct zft ts[3];
	struct tcp_rec recs[2];

	bench_init(TF_SACK, 0);
	memset(ts, 0, sizeof(ts));
	for (uint32_t i = 0; i < 3; i++) {
		ts[i].index = i;
		ts[i].rec = TCP_NONE;
		ts[i].sq_head = i; /* something under way */
		ts[i].sq_unsent = TCP_NONE;
	}
	recs[0].next = 1;
	recs[1].next = TCP_NONE;
	b.room.zfts = ts;
	b.room.recs = recs;
	b.room.max_rec = b.room.n_free_rec = 2;
	b.room.free_rec = 0;
	CU_ASSERT_PTR_EQUAL(tcp_rec_take(&b.ctx, &ts[0]), &recs[0]);
	CU_ASSERT_PTR_EQUAL(tcp_rec_take(&b.ctx, &ts[0]), &recs[0]);
	CU_ASSERT_PTR_EQUAL(tcp_rec_take(&b.ctx, &ts[1]), &recs[1]);
	CU_ASSERT(recs[0].owner == 0 && recs[1].owner == 1 && b.room.n_free_rec == 0);
	CU_ASSERT_PTR_NULL(tcp_rec_take(&b.ctx, &ts[2]));
	CU_ASSERT_EQUAL(b.counters[CNT_TCP_LOSS_NO_RECORD], 1);
	/* All of the second one's is acknowledged; what the record said of it goes. */
	ts[1].sq_head = TCP_NONE;
	ts[1].loss.flags = LF_UNDO | LF_EIFEL | LF_DSACK_ROUND | LF_ECN_ROUND | LF_REORDERING;
	ts[1].loss.reo_mult = 3;
	ts[1].cc.epoch_on = ts[1].cc.clock_on = true;
	CU_ASSERT_PTR_EQUAL(tcp_rec_take(&b.ctx, &ts[2]), &recs[1]);
	CU_ASSERT(recs[1].owner == 2 && ts[1].rec == TCP_NONE && ts[2].rec == 1);
	CU_ASSERT(ts[1].loss.flags == LF_REORDERING && ts[1].loss.reo_mult == 1);
	CU_ASSERT(!ts[1].cc.epoch_on && !ts[1].cc.clock_on);
	CU_ASSERT_PTR_NULL(tcp_rec_take(&b.ctx, &ts[1]));
	tcp_rec_put(&b.ctx, &ts[0]);
	CU_ASSERT_PTR_EQUAL(tcp_rec_take(&b.ctx, &ts[1]), &recs[0]);
	CU_ASSERT_EQUAL(b.counters[CNT_TCP_LOSS_NO_RECORD], 2);
}

static const struct unit_test tests[] = {
	UNIT(good_times),
	UNIT(partly_acknowledged_run_is_trimmed),
	UNIT(three_sacks_are_a_loss),
	UNIT(many_holes),
	UNIT(second_hole),
	UNIT(without_sack),
	UNIT(no_reentry_ends_with_the_round),
	UNIT(tail_loss),
	UNIT(probe_that_was_not_needed),
	UNIT(timer_that_fires_early),
	UNIT(probe_with_new_data),
	UNIT(lost_retransmission),
	UNIT(reordering_is_waited_for),
	UNIT(dsack_undoes),
	UNIT(dsack_of_something_older),
	UNIT(dsack_that_comes_too_late),
	UNIT(patience_grows_and_ends),
	UNIT(reneging),
	UNIT(timeouts),
	UNIT(needless_timeout_is_undone),
	UNIT(needed_timeout_is_not_undone),
	UNIT(rescue),
	UNIT(smaller_path),
	UNIT(smaller_path_without_records),
	UNIT(full_port),
	UNIT(probe_of_a_full_port),
	UNIT(marks_of_congestion),
	UNIT(bad_blocks),
	UNIT(shredding),
	UNIT(queue_is_cleared),
	UNIT(losses_without_a_record),
	UNIT(records_are_spared_by_the_idle),
};
UNIT_MAIN("tcp_loss", tests)
