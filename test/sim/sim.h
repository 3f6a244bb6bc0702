/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The simulation, between its files. A case is two stacks, a link that does its worst, and some connections whose two
 * ends do whatever an application may do; everything in it follows from its seed.
 *
 *   sim.c        options, progress, the numbers of cases
 *   sim_case.c   one case: stacks, link, time, and what must be true at its end
 *   sim_conn.c   the two ends of a connection, and what their bytes must be
 */
#ifndef ZF_TEST_SIM_H
#define ZF_TEST_SIM_H

#include <zf/zf.h>

#include "base/rng.h"
#include "zf_testing.h"

#define SIM_CONNS_MAX 64
#define SIM_PORT      7000
#define SIM_MS        1000000ull
#define SIM_S         1000000000ull
#define SIM_NEVER     UINT64_MAX

struct sim_case;
struct sim_conn;

/* How an end behaves, drawn when the connection is. */
struct sim_habits {
	uint32_t send_max;   /* bytes of one call, at most */
	uint32_t sends_max;  /* calls in a row without a poll */
	uint32_t more_ppm;   /* MSG_MORE */
	uint32_t recv_max;   /* bytes of one call */
	uint32_t recvs_max;  /* calls in a row */
	uint32_t hold_ppm;   /* a zero-copy message is kept for a while */
	uint64_t pause_ns;   /* between actions, 0 to this; 0: acts when the reactor says that something happened */
	uint64_t sleep_ns;   /* longest of pauses that are rare */
	bool waits_eof;      /* sends its FIN after the peer's only */
	bool frees_early;    /* by zft_free() behind its last byte, without reading to the end */
	uint64_t abort_at;   /* zft_free() when so many bytes were sent and received in all; SIM_NEVER */
};

struct sim_side {
	struct sim_conn *conn;
	uint32_t stack;
	struct zft *ts;
	struct sim_habits h;
	uint64_t tx_total, tx_off, rx_off;
	uint64_t tx_key;     /* what its stream is a function of */
	uint64_t wake;       /* when it acts next */
	uint64_t moved_at;   /* bytes went either way */
	uint32_t bored;      /* turns in a row in which it could do nothing */
	bool waiting;        /* for the reactor to say that something happened */
	bool started, shut, eof, freed;
	bool holding;
	struct {
		struct zft_msg msg;
		struct iovec iov[8];
	} held;
};

struct sim_conn {
	struct sim_case *k;
	uint32_t index;
	uint16_t port;       /* of the active end */
	uint64_t start;
	bool both;           /* opened from both sides at once */
	bool lenient;        /* somebody cuts it off: what arrives is a prefix, and errors are in order */
	struct sim_side side[2]; /* [0] connects */
};

struct sim_case {
	uint64_t seed;
	uint32_t number;
	bool verbose;
	struct rng rng;
	struct zt *zt[2];
	struct zftl *tl[2];
	uint64_t paused[2];  /* a stack is not polled until then */
	uint32_t n;
	struct sim_conn conns[SIM_CONNS_MAX];
	uint16_t by_port[2][65536]; /* index + 1 */
	/* The link, per sender. */
	uint32_t loss_ppm[2];
	uint32_t burst[2];   /* further frames of a burst of losses */
	uint32_t burst_left[2];
	struct rng loss_rng[2];
	uint32_t drop_ctl_ppm;
	uint32_t trouble_ppm;   /* of a turn: ports, pools and polls have a bad time */
	uint64_t trouble_until;
	uint32_t cookies;    /* tcp_syn_cookies */
	bool wire;           /* ports that copy, and need no checksums */
	bool scarce;         /* fewer zockets than connections */
	bool lossy_open;     /* a connection may be reset at its beginning: scarce, or cookies */
	bool short_tw;       /* TIME-WAIT may be over before the peer knows that all arrived */
	uint64_t bytes, turns;
};

/* 0: all was well; else a line on stderr says what was not. */
int sim_case_run(struct sim_case *k);
/* What a case is like, for people. */
void sim_case_describe(const struct sim_case *k);
void sim_case_draw(struct sim_case *k, uint64_t seed, uint32_t number, uint32_t conns);

void sim_conn_draw(struct sim_case *k, uint32_t index);
void sim_conn_start(struct sim_conn *c);
void sim_side_accepted(struct sim_side *s, struct zft *ts);
/* One turn of an end whose time has come. */
void sim_side_act(struct sim_side *s);
bool sim_conn_is_over(const struct sim_conn *c);

/* Port of the connection whose frames are shown, or 0. */
extern uint16_t sim_trace;
/* Whose turn it is, or NULL: for the print. */
extern const struct sim_conn *sim_culprit;

/* Prints what is wrong with the case, and stops. */
#define SIM_CHECK(k, c)                                                                            \
	do {                                                                                       \
		if (!(c))                                                                          \
			sim_failed((k), #c, __FILE__, __LINE__);                                   \
	} while (0)
void sim_failed(const struct sim_case *k, const char *what, const char *file, int line) __attribute__((noreturn));

static inline bool
sim_chance(struct sim_case *k, uint32_t ppm)
{
	return ppm != 0 && rng_below(&k->rng, 1000000) < ppm;
}

static inline uint64_t
sim_pick(struct sim_case *k, uint64_t low, uint64_t high)
{
	return low + rng_below(&k->rng, high - low + 1);
}

/* Low numbers as likely as high ones, by order of magnitude. */
uint64_t sim_pick_log(struct sim_case *k, uint64_t low, uint64_t high);

#endif
