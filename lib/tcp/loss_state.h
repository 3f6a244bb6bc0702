/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What loss.c remembers of a connection: the state of recovery, the sums over the send queue, RACK's and the probe's
 * notes; and the record that a connection takes when more is to be remembered. The marks themselves are flags of the
 * runs (tcp.h). Nobody else writes here; reading is for output, tests and the dump.
 */
#ifndef ZF_TCP_LOSS_STATE_H
#define ZF_TCP_LOSS_STATE_H

#include "tcp/cc.h"
#include "tcp/seq.h"

enum tcp_loss_phase {
	LOSS_OPEN,
	LOSS_DISORDER, /* duplicate ACKs or SACKed runs, nothing given up for lost yet */
	LOSS_RECOVERY, /* fast recovery up to `recover`: cwnd is PRR's */
	LOSS_RTO,      /* after a timeout, up to `recover`: cwnd grows by slow start */
};

/* tcp_loss.flags */
enum tcp_loss_flags {
	LF_TROUBLE = 1,      /* anything below or a mark in the queue needs a look at every ACK */
	LF_LIMITED = 2,      /* cwnd stopped output in its last round */
	LF_PENDING = 4,      /* there may be a run to send again, at `hint` or behind it */
	LF_UNDO = 8,         /* `saved`, undo_from, undo_bytes count */
	LF_REORDERING = 16,  /* the path was seen to reorder (RFC 8985 RACK.reordering_seen) */
	LF_DSACK_ROUND = 32, /* dsack_round counts */
	LF_TLP = 64,         /* a probe is out: `recover` says up to where */
	LF_TLP_AGAIN = 128,  /* it was a retransmission */
	LF_TLP_DUE = 256,    /* what is sent next is the probe */
	LF_RESCUED = 512,    /* this recovery had its rescue retransmission */
	LF_ECN_ROUND = 1024, /* ecn_end counts */
	LF_EIFEL = 2048,     /* first_ts counts, and no ACK for a retransmission came yet */
	LF_REORDER = 4096,   /* RACK wants to look again at due[TCP_DUE_RTX] */
	LF_REENTRY = 8192,   /* without SACK: `recover` has to be passed before duplicate ACKs mean a loss again */
};

struct tcp_loss {
	/* Written by every ACK, read by every round of output. */
	uint64_t rack_xmit;  /* RFC 8985: when the newest delivered run was sent, */
	uint64_t rack_rtt;   /* how long it took, */
	tcpseq_t rack_end;   /* and where it ends */
	tcpseq_t fack;       /* behind the highest byte delivered */
	uint64_t rto_base;   /* snd_una moved, or one of the timers fired */
	uint64_t sent_at;    /* when data left for the first time, the latest */
	uint16_t flags;      /* enum tcp_loss_flags */
	uint8_t phase;       /* enum tcp_loss_phase */
	uint8_t reo_mult;    /* of min_rtt / 4: how much reordering is waited for */
	/* Sums over the sent part of the queue, in sequence numbers. A run may be lost and retransmitted, SACKed alone. */
	uint32_t sacked;
	uint32_t lost;
	uint32_t retrans;
	uint16_t n_sacked;   /* runs */
	uint16_t dupacks;    /* without SACK: segments known to have left the network */
	/* snd_nxt when recovery began (RFC 6582; RFC 6675's RecoveryPoint). While LF_TLP is set there is none: then
	 * it is snd_nxt when the probe was sent.
	 */
	tcpseq_t recover;
};
ZF_STATIC_ASSERT(sizeof(struct tcp_loss) == 64, "part of every connection");

/* What a connection needs beyond that when something is lost, and CUBIC from the first loss on: taken then, and given
 * back when nothing in it counts any more (loss_rec.c). Without one (see tcp_rec_take()) recovery paces itself by
 * ssthresh alone instead of PRR, nothing is undone, reordering is waited for no longer than at first, marks of
 * congestion count each by itself, and congestion avoidance is NewReno's.
 */
struct tcp_rec {
	struct tcp_cubic cubic;
	struct tcp_cc_saved saved;
	uint32_t owner;      /* index of the connection, or TCP_NONE */
	uint32_t next;       /* free list */
	uint32_t hint;       /* LF_PENDING: no run before this one waits to be sent again */
	uint32_t prr_delivered, prr_out, prr_flight; /* RFC 9937: bytes; prr_flight is its RecoverFS */
	tcpseq_t dsack_round;
	tcpseq_t ecn_end;    /* no second reduction for marks before it was reached */
	/* What proves a recovery wrong: D-SACKs for all that was sent again, or an answer older than that. */
	tcpseq_t undo_from;  /* snd_una when it began */
	tcpseq_t undo_end;   /* after it ended: proof that comes when this was passed is too late */
	uint32_t undo_bytes; /* sent again and not reported as a duplicate */
	uint32_t first_ts;   /* our timestamp of the first retransmission */
	uint8_t reo_persist; /* recoveries until reo_mult falls back to 1 */
};
ZF_STATIC_ASSERT(sizeof(struct tcp_rec) <= 144, "many connections may need one at once");

#endif
