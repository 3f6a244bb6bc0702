/* SPDX-License-Identifier: BSD-3-Clause
 *
 * struct zf_stack from the inside. It lies in its own arena and starts with its ctx, which is all that udp and tcp see.
 */
#ifndef ZF_STACK_STACK_H
#define ZF_STACK_STACK_H

#include "core/arena.h"
#include "core/ctx.h"
#include "ip/output.h"
#include "stack/port.h"
#include "tcp/tcp.h"
#include "udp/udp.h"

#define STACK_BURST 32
/* Frames that may be handled before timers run although the port still has more: a ring's worth. */
#define STACK_DRAIN_MAX 512u
/* Looks at an empty port between two looks at the clock: a frame is noticed sooner than a clock read takes. */
#define STACK_LOOKS 8u
/* Bursts that stack_look() handles at most. */
#define STACK_LOOK_BURSTS 16
/* Polls in a row that may return with data before timers and owed work are looked at. */
#define STACK_EAGER 16u

/* waitfd.c: the descriptor that a thread sleeps on. All -1 before zf_waitable_fd_get(). */
struct stack_waitfd {
	int ep;        /* what the application has: an epoll set of the others */
	int timer;     /* the next timer of the stack */
	int intr;      /* the port's, or -1 */
	bool periodic; /* the timer is set to look every fd_poll_interval_us */
	uint64_t due;  /* cycles that the timer is set for; UINT64_MAX: off */
	uint64_t fires_ns; /* the same by the kernel's clock */
};

struct zf_stack {
	struct zf_ctx ctx;
	struct wheel wheel;
	uint64_t counters[CNT__N];
	struct arena arena;
	struct port_member *port;
	struct zf_waitable w; /* quiescence */
	struct zf_attr *attr; /* a copy */
	struct alt_room *alt; /* NULL: alt_count=0 */
	struct stack_waitfd waitfd;
	uint32_t undrained;   /* frames handled since the port was last found empty */
	uint32_t eager;       /* polls since the clock was last read */
};
ZF_STATIC_ASSERT(offsetof(struct zf_stack, ctx) == 0, "a ctx is cast to its stack");

static inline struct zf_stack *
stack_of(struct zf_ctx *ctx)
{
	return (struct zf_stack *)ctx;
}

/* reactor.c: what zf_reactor_perform() does, with @spin looks at the port. */
int stack_perform(struct zf_ctx *ctx, uint32_t spin);
/* One look at the port and all that follows from it. */
int stack_poll(struct zf_ctx *ctx);
/* Handle what has arrived, on a port that nobody can look into. True: something is to be seen, or there is no end to it. */
bool stack_look(struct zf_ctx *ctx);
/* Until @found says so, or ctx->wait_until: what it said last. */
bool stack_wait(struct zf_ctx *ctx, bool (*found)(void *arg), void *arg);

/* waitfd.c. */
void stack_waitfd_init(struct zf_stack *st);
/* No thread writes to it any more: the stack has left its port. */
void stack_waitfd_fini(struct zf_stack *st);

/* eal.c. 0, or -ENOENT / -ENOMEM with one logged line. */
int eal_start(void);

#if defined(ZF_TEST) && ZF_TEST
/* For test/zf_testing: the clock value (cycles) at which the stack next has something to do, UINT64_MAX never. */
uint64_t stack_next_timer(struct zf_stack *st);
/* Make everything random from now on follow from @seed. */
void stack_seed(struct zf_stack *st, uint64_t seed);
struct zf_ctx *stack_ctx(struct zf_stack *st);
#endif

#endif
