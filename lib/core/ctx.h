/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What protocol code sees of a stack: clock, port, pool, timers, counters, addresses. udp and tcp receive a
 * `struct zf_ctx *`, never a `struct zf_stack *` (which starts with its ctx, asserted there).
 *
 * One thread at a time uses a ctx. The exceptions are `events`, which anyone may or into, and `busy`, see below.
 */
#ifndef ZF_CORE_CTX_H
#define ZF_CORE_CTX_H

#include <stdatomic.h>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "core/pool.h"
#include "core/port.h"

struct zf_attr;
struct netif;
struct udp_room;
struct tcp_room;
struct ip_room;
struct mux_room;

/* Bits of ctx->events beside those of enum port_event. */
enum ctx_event {
	CTX_EV_SHARE = 1u << 16, /* the queue is shared from now on: take the pointers from the port again */
	CTX_EV_AWAKE = 1u << 17, /* an interrupt is armed, and to be disarmed when the stack polls: no work by itself */
};

/* Every received frame ends in exactly one of the RX_ counters; the others count what the stack did. */
enum counter {
#define COUNTER(id, text) CNT_##id,
#include "core/counter.def"
#undef COUNTER
	CNT__N
};

struct zf_ctx {
	/* R: read by every poll and every send. */
	port_burst_fn rx;
	void *rxq;
	port_burst_fn tx;
	void *txq;
	port_copy_fn tx_copy; /* or NULL */
	struct zf_pool *pool;
	uint64_t now;          /* clock of this poll, in cycles */
	const uint64_t *vclock; /* virtual clock in place of the TSC, or NULL */

	/* W: written by every poll. */
	/* 1 while a call that may touch the port is under way. Plain stores by the owner; whoever wants to change
	 * the port beneath it sets an event, calls membarrier(2) and waits for 0 (see lib/stack/portobj.c).
	 */
	_Atomic uint32_t busy;
	_Atomic uint32_t events;
	/* 1 while the stack's thread sleeps on its descriptor, or may be about to: whoever takes it to 0 writes to
	 * wake_fd. See lib/stack/waitfd.c.
	 */
	_Atomic uint32_t asleep;
	uint32_t path_gen;     /* the netif's generation that the headers of zockets were checked against */
	uint32_t owed;         /* work that the end of this poll or the next one must do; enum ctx_owed */
	uint32_t visible;      /* something an application can see happened in this poll */
	uint32_t unsent;       /* frames or connections wait for the end of this poll */
	/* What zf_stack_has_pending_work() reads from other threads; see ctx_publish(). */
	_Atomic uint32_t pub_work;
	_Atomic uint64_t pub_due;
	uint32_t caps;         /* of the port */
	uint32_t tx_copy_max;
	uint32_t rx_held;      /* mbufs queued in zockets or in the hands of the application */
	uint32_t rx_hold_max;  /* hold budget: beyond it arrivals are sacrificed, not the receive ring */
	uint32_t spin_count;
	uint64_t *counters;    /* CNT__N of them */
	struct netif *netif;

	/* S: slow or constant. */
	struct udp_room *udp;
	struct tcp_room *tcp;
	struct ip_room *ip;
	struct mux_room *mux;
	uint64_t hz;           /* cycles per second */
	uint64_t secret[2];    /* of the demux hash */
	uint32_t stack_id;
	bool restless;         /* the stack was not quiescent, or became so, since a muxer last looked */
	uint32_t slot;         /* bit of this stack in the netif's owner masks */
	int socket_id;
	int wake_fd;           /* eventfd, -1 before zf_waitable_fd_get() */
	const struct zf_attr *attr;
	/* Odd while rxq and peek are being changed, for the threads that call peek; see ctx_set_queue(). */
	_Atomic uint32_t peek_turn;
	bool (*peek)(const void *rxq);
	uint32_t (*tx_room)(void *txq);
	port_copy_fn tx_warm;  /* or NULL */
	const struct port_alt_ops *alt; /* the port's alternatives, or NULL: lib/stack/alt.c holds their frames */
	uint32_t alt_queued;   /* alternatives with frames in them: new paths concern them */
	bool warming;          /* a send runs for practice: it ends in front of the port */
	/* Frames that a full port left over, in order; while there are any every other send gets -EAGAIN. */
	struct rte_mbuf **backlog;
	uint32_t backlog_n, backlog_max;
	uint64_t mono_offset_ns; /* clock of the driver line minus that of the cycles */
	uint64_t wait_until;     /* a call waits until then at most (0: none does): an idle poll over a virtual
				  * clock moves it there, or to the next timer */
	/* Something happened to the port (events): called by whoever entered and found it, before using the port. */
	void (*take_events)(struct zf_ctx *ctx);
	/* A connection with TF_ALT has ended: what was prepared for it goes. Set by the stack. */
	void (*zft_gone)(struct zf_ctx *ctx, uint32_t index);
	/* One poll for calls that wait (ARP at zfut_alloc); set by the stack so that rooms below it can. */
	int (*poll)(struct zf_ctx *ctx);
	struct wheel *wheel;
	struct wheel_timer service_timer;
	struct rng rng;
	struct zf_log log;
};

/* Bits of ctx->owed. */
enum ctx_owed {
	CTX_OWED_TX_RETRY = 1u << 0,  /* a send got -EAGAIN: the reactor reports when the port has room again */
	CTX_OWED_BUF_RETRY = 1u << 1, /* a send found no buffer: likewise */
	CTX_OWED_BACKLOG = 1u << 2,   /* backlog_n > 0 */
	CTX_OWED_TCP = 1u << 3,       /* TCP: segments were cut through, their acknowledgements are not handled yet */
	CTX_OWED_TCP_OUT = 1u << 4,   /* TCP: connections have something to send */
	CTX_OWED_ALT = 1u << 5,       /* alternatives: one drains, or has headers to be made anew */
};

/* Timers of the wheel, by owner. */
enum timer_kind {
	TIMER_NONE = 0,
	TIMER_NETIF,   /* ARP, IGMP, PMTU ageing: netif_run() */
	TIMER_REASS,   /* reassembly timeouts */
	TIMER_HELD,    /* frames that wait for a neighbour for too long */
	TIMER_SERVICE, /* the driver's service() */
	TIMER_TCP,     /* of a connection */
	TIMER_TCP_TW,  /* TIME-WAIT entries */
	TIMER_TCP_SYN, /* SYN cache entries */
};

uint64_t ctx_tsc(void);

/* The clock now. Costs a TSC read: once a poll, and once behind the doorbell of a send. */
static ZF_ALWAYS_INLINE uint64_t
ctx_read_clock(const struct zf_ctx *ctx)
{
	if (zf_unlikely(ctx->vclock != NULL))
		return *ctx->vclock;
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return ctx_tsc();
#endif
}

static inline uint64_t
ctx_us_to_cycles(const struct zf_ctx *ctx, uint64_t us)
{
	return (uint64_t)((unsigned __int128)us * ctx->hz / 1000000u);
}

static inline uint64_t
ctx_cycles_to_ns(const struct zf_ctx *ctx, uint64_t cycles)
{
	return (uint64_t)((unsigned __int128)cycles * 1000000000u / ctx->hz);
}

static inline uint64_t
ctx_ns_to_cycles(const struct zf_ctx *ctx, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * ctx->hz / 1000000000u);
}

static ZF_ALWAYS_INLINE void
ctx_count(struct zf_ctx *ctx, enum counter c)
{
	ctx->counters[c]++;
}

static ZF_ALWAYS_INLINE bool
ctx_has_events(const struct zf_ctx *ctx)
{
	return atomic_load_explicit(&ctx->events, memory_order_relaxed) != 0;
}

/* Events that are work. */
static inline bool
ctx_has_work_events(const struct zf_ctx *ctx)
{
	return (atomic_load_explicit(&ctx->events, memory_order_relaxed) & ~(uint32_t)CTX_EV_AWAKE) != 0;
}

/* Other functions or queues, on the ctx's own thread. Nobody else may ever see the old peek with the new queue. */
static inline void
ctx_set_queue(struct zf_ctx *ctx, const struct port_queue *q)
{
	uint32_t turn = atomic_load_explicit(&ctx->peek_turn, memory_order_relaxed);

	atomic_store_explicit(&ctx->peek_turn, turn + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	__atomic_store_n(&ctx->rxq, q->rxq, __ATOMIC_RELAXED);
	__atomic_store_n(&ctx->peek, q->peek, __ATOMIC_RELAXED);
	atomic_store_explicit(&ctx->peek_turn, turn + 2, memory_order_release);
	ctx->rx = q->rx;
	ctx->tx = q->tx;
	ctx->txq = q->txq;
	ctx->tx_copy = q->tx_copy;
	ctx->tx_copy_max = q->tx_copy_max;
	ctx->tx_room = q->tx_room;
	ctx->tx_warm = q->tx_warm;
	ctx->alt = q->alt;
}

/* From any thread: may a frame wait? Wrongly true at times, never wrongly false. */
static inline bool
ctx_peek(const struct zf_ctx *ctx)
{
	uint32_t turn = atomic_load_explicit(&ctx->peek_turn, memory_order_acquire);
	bool (*peek)(const void *) = __atomic_load_n(&ctx->peek, __ATOMIC_RELAXED);
	const void *rxq = __atomic_load_n(&ctx->rxq, __ATOMIC_RELAXED);

	atomic_thread_fence(memory_order_acquire);
	if ((turn & 1) != 0 || turn != atomic_load_explicit(&ctx->peek_turn, memory_order_relaxed))
		return true;
	return peek == NULL || peek(rxq);
}

/* Tell other threads what is left to do: at the end of every poll, and after calls that leave work or timers. */
static ZF_ALWAYS_INLINE void
ctx_publish(struct zf_ctx *ctx)
{
	atomic_store_explicit(&ctx->pub_work, ctx->owed, memory_order_relaxed);
	atomic_store_explicit(&ctx->pub_due, ctx->wheel->next_due, memory_order_relaxed);
}

/* Between the two the port takes no frame: a send goes all the way to it and back, having run the code that a real one
 * runs. Its slow way ends at once (ctx->warming).
 */
struct ctx_warm {
	port_burst_fn tx;
	port_copy_fn tx_copy;
};
void ctx_warm_begin(struct zf_ctx *ctx, struct ctx_warm *was);
void ctx_warm_end(struct zf_ctx *ctx, const struct ctx_warm *was);

/* Mark the port as in use by this thread; see busy. Whoever goes on to use the port looks at ctx_has_events() next. */
static ZF_ALWAYS_INLINE void
ctx_enter(struct zf_ctx *ctx)
{
	atomic_store_explicit(&ctx->busy, 1, memory_order_relaxed);
	zf_compiler_barrier();
}

static ZF_ALWAYS_INLINE void
ctx_leave(struct zf_ctx *ctx)
{
	zf_compiler_barrier();
	atomic_store_explicit(&ctx->busy, 0, memory_order_release);
}

#endif
