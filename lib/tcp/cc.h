/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Congestion control: how many bytes may be in flight. NewReno (RFC 5681, counting bytes as RFC 3465 does) and CUBIC
 * (RFC 9438) behind one table; slow start and everything around it is shared. Input and timers tell it what happened,
 * output reads cwnd. It neither detects losses nor counts what is in flight, and during fast recovery cwnd belongs
 * to the caller (proportional rate reduction).
 */
#ifndef ZF_TCP_CC_H
#define ZF_TCP_CC_H

#include "base/compiler.h"

#define TCP_CWND_MAX (1u << 30) /* bytes: the largest window there is (RFC 7323 2.3) */

enum tcp_cc_kind {
	TCP_CC_CUBIC,
	TCP_CC_NEWRENO,
};

/* What the algorithms need to know of their surroundings, at the moment of the call. */
struct tcp_cc_env {
	uint64_t now, hz; /* cycles, cycles per second */
	uint64_t srtt;    /* cycles; 0: not known yet */
	uint32_t mss;     /* bytes of payload in a full segment, 1..65535 */
	struct tcp_cubic *cubic; /* NULL: there is none, and CUBIC does as NewReno would */
};

/* What every connection has. Callers write cwnd during fast recovery only, and nothing else ever. */
struct tcp_cc {
	uint32_t cwnd;     /* bytes, 1..TCP_CWND_MAX */
	uint32_t ssthresh; /* bytes; TCP_CWND_MAX until something was lost */
	uint32_t acked;    /* bytes acknowledged since cwnd last grew, in congestion avoidance */
	uint8_t kind;      /* enum tcp_cc_kind */
	bool after_rto;    /* this slow start follows a timeout: RFC 3465 2.3 allows it one segment per ACK */
	bool epoch_on;     /* CUBIC: its record describes a running epoch */
	bool clock_on;     /* CUBIC: and `last` counts */
};
ZF_STATIC_ASSERT(sizeof(struct tcp_cc) == 16, "part of every connection");

/* CUBIC's own, which nobody needs before something was lost: all 0 to begin with. Windows in bytes, times in cycles
 * unless said otherwise.
 */
struct tcp_cubic {
	uint32_t w_max;     /* where the last reduction happened: the plateau; 0: none */
	uint32_t w_prior;   /* cwnd before the last reduction */
	uint32_t w_est;     /* what Reno would have by now */
	uint32_t est_acked; /* bytes acknowledged since w_est last grew */
	uint32_t k;         /* from the start of the epoch to the plateau, in 1/1024 s */
	uint32_t per_mss;   /* bytes to be acknowledged for one more segment; 0: to be computed */
	uint64_t elapsed;   /* of this epoch, as far as cwnd was the limit */
	uint64_t last;      /* clock up to which elapsed counts */
	uint64_t aimed;     /* elapsed when per_mss was computed */
};

/* What a reduction destroys, kept by the caller until it is known to have been called for. */
struct tcp_cc_saved {
	uint32_t cwnd, ssthresh;
	uint32_t w_max, w_prior, w_est, k;
	uint64_t elapsed;
	bool epoch_on;
};

/* @iw_bytes: the initial window. */
void tcp_cc_init(struct tcp_cc *cc, enum tcp_cc_kind kind, uint32_t iw_bytes);

/* Its record is taken away: congestion avoidance goes on from the window there is. */
static inline void
tcp_cc_forget(struct tcp_cc *cc)
{
	cc->epoch_on = false;
	cc->clock_on = false;
}

/* Outside of recovery, for each ACK that moved SND.UNA: by @acked_bytes. @cwnd_limited: cwnd, and not the application
 * or the peer's window, kept us from sending more since the last one. If not, cwnd is not tested and does not grow
 * (RFC 7661).
 */
void tcp_cc_on_ack(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t acked_bytes, bool cwnd_limited);

/* Entering fast recovery with @flight bytes outstanding: lowers ssthresh, leaves cwnd to the caller. */
void tcp_cc_on_loss(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight);

/* Leaving fast recovery: cwnd is ssthresh. */
void tcp_cc_on_recovered(struct tcp_cc *cc, const struct tcp_cc_env *e);

/* The retransmission timer fired: cwnd is one segment. @first: for the first time since SND.UNA moved; ssthresh is held
 * otherwise (RFC 5681 3.1).
 */
void tcp_cc_on_rto(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight, bool first);

/* Before sending with nothing in flight: @idle cycles after the last send, @iw bytes of restart window. cwnd falls
 * to it if that is more than @rto ago (RFC 5681 4.1); ssthresh keeps three quarters of what cwnd was (RFC 7661 4.4).
 */
void tcp_cc_on_idle(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t iw, uint64_t idle, uint64_t rto);

/* The peer echoes a mark of congestion (RFC 3168 6.1.2), once per round trip: as a loss, but nothing was lost. */
void tcp_cc_on_ecn(struct tcp_cc *cc, const struct tcp_cc_env *e, uint32_t flight);

/* Save before on_loss, or before the first on_rto; undo when the reduction turns out to have been wrong (D-SACK,
 * timestamps). cwnd is not lowered by an undo.
 */
void tcp_cc_save(const struct tcp_cc *cc, const struct tcp_cc_env *e, struct tcp_cc_saved *s);
void tcp_cc_undo(struct tcp_cc *cc, const struct tcp_cc_env *e, const struct tcp_cc_saved *s);

static inline bool
tcp_cc_in_slow_start(const struct tcp_cc *cc)
{
	return cc->cwnd < cc->ssthresh;
}

#endif
