/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A descriptor to sleep on: zf_waitable_fd_get() and _prime().
 *
 * What the application has is an epoll descriptor over three others, all edge-triggered, so that one epoll_wait(2) at the
 * next prime makes it quiet again and nobody needs to read any of them:
 *   the port's     a frame arrived (driver's intr_fd), where the port has such a thing
 *   an eventfd     another thread has something for this stack: an event of the port, a frame in the inbox of a shared
 *                  queue, a neighbour that another stack learnt; or there was work already when the stack was primed
 *   a timerfd      the stack's next timer; on ports that cannot say that a frame arrived, every fd_poll_interval_us
 *
 * Nothing is missed by the order of things. The sleeper says that it sleeps (ctx->asleep, and to the driver), then looks
 * whether there is work. Everybody else first stores what there is to find, then looks whether somebody sleeps. Between
 * the two halves of either there is a full barrier.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/attr.h"
#include "stack/stack.h"

/* A timer that is due at once: 0 would switch it off. */
#define AT_ONCE_NS 1u

void
stack_waitfd_init(struct zf_stack *st)
{
	st->waitfd = (struct stack_waitfd){.ep = -1, .timer = -1, .intr = -1, .due = UINT64_MAX};
	st->ctx.wake_fd = -1;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
stack_waitfd_fini(struct zf_stack *st)
{
	close_fd(&st->waitfd.ep);
	close_fd(&st->waitfd.timer);
	close_fd(&st->ctx.wake_fd);
}

/* The eventfd cannot fill up: it is written to once a prime. */
static void
ring(struct zf_ctx *ctx)
{
	const uint64_t one = 1;
	int saved = errno;

	(void)zf_bug(write(ctx->wake_fd, &one, sizeof(one)) < 0);
	errno = saved;
}

void
stack_wake(struct zf_ctx *ctx)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&ctx->asleep, memory_order_relaxed) != 0 &&
	    atomic_exchange_explicit(&ctx->asleep, 0, memory_order_acq_rel) != 0)
		ring(ctx);
}

static int
watch(int ep, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int
open_all(struct zf_stack *st)
{
	struct stack_waitfd *f = &st->waitfd;
	int rc;

	f->ep = epoll_create1(EPOLL_CLOEXEC);
	if (f->ep < 0)
		return -errno;
	f->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (f->timer < 0)
		return -errno;
	st->ctx.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (st->ctx.wake_fd < 0)
		return -errno;
	f->intr = port_intr_fd(st->port);
	rc = watch(f->ep, f->timer);
	if (rc == 0)
		rc = watch(f->ep, st->ctx.wake_fd);
	if (rc == 0 && f->intr >= 0)
		rc = watch(f->ep, f->intr);
	return rc;
}

ZF_EXPORT int
zf_waitable_fd_get(struct zf_stack *stack, int *fd)
{
	struct stack_waitfd *f = &stack->waitfd;
	int saved = errno, rc = 0;

	if (f->ep < 0) {
		rc = open_all(stack);
		if (rc == 0)
			ring(&stack->ctx); /* readable until it is primed */
		else
			stack_waitfd_fini(stack);
	}
	if (rc == 0)
		*fd = f->ep;
	errno = saved;
	return rc;
}

static uint64_t
kernel_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int
timer_set(struct stack_waitfd *f, uint64_t first_ns, uint64_t every_ns)
{
	const struct itimerspec its = {
		.it_value = {(time_t)(first_ns / 1000000000u), (long)(first_ns % 1000000000u)},
		.it_interval = {(time_t)(every_ns / 1000000000u), (long)(every_ns % 1000000000u)},
	};

	return timerfd_settime(f->timer, 0, &its, NULL) < 0 ? -errno : 0;
}

/* The stack's next timer; what is set for it already stays set. But the kernel's clock may be a little ahead of the cycles:
 * then it has gone off, is not due yet, and has to be set again.
 */
static int
timer_for(struct zf_stack *st, bool sleeps)
{
	struct stack_waitfd *f = &st->waitfd;
	struct zf_ctx *ctx = &st->ctx;
	uint64_t due = ctx->wheel->next_due, now, ns = 0, every = 0;
	int rc;

	if (sleeps && !f->periodic && due == f->due && (due == UINT64_MAX || kernel_ns() < f->fires_ns))
		return 0;
	if (due != UINT64_MAX) {
		now = ctx_read_clock(ctx);
		ns = due > now ? ctx_cycles_to_ns(ctx, due - now) + AT_ONCE_NS : AT_ONCE_NS;
	}
	if (!sleeps) {
		every = (uint64_t)ctx->attr->fd_poll_interval_us * 1000u;
		ns = ns != 0 ? ZF_MIN(ns, every) : every;
	}
	f->fires_ns = kernel_ns() + ns;
	rc = timer_set(f, ns, every);
	f->due = due;
	f->periodic = !sleeps;
	return rc;
}

/* Anything that no descriptor will tell of, because it is there already. */
static bool
has_work(struct zf_stack *st, bool sleeps)
{
	struct zf_ctx *ctx = &st->ctx;

	/* Nobody can look into the port, but it will interrupt for what comes from now on: handle what came before. */
	if (sleeps && (ctx->caps & PORT_RX_PEEK) == 0 && stack_look(ctx))
		return true;
	if (ctx->owed != 0 || ctx->unsent != 0 || ctx_has_work_events(ctx) ||
	    netif_gen(ctx->netif) != ctx->ip->env_gen || ctx_read_clock(ctx) >= ctx->wheel->next_due)
		return true;
	if (ctx->caps & PORT_RX_PEEK)
		return ctx_peek(ctx);
	/* Else the timer has somebody look soon. A shared queue always has a peek, which says yes there. */
	return ctx->peek != NULL && share_has_frames(st->port);
}

/* Not readable any more, until something new happens. An application that waits on the descriptor itself, by
 * epoll_wait(2), has done the same: nothing is to be concluded from what is found.
 */
static void
become_quiet(const struct stack_waitfd *f)
{
	struct epoll_event ev[4];

	(void)epoll_wait(f->ep, ev, 4, 0);
}

ZF_EXPORT int
zf_waitable_fd_prime(struct zf_stack *stack)
{
	struct stack_waitfd *f = &stack->waitfd;
	struct zf_ctx *ctx = &stack->ctx;
	int saved = errno, rc;
	bool sleeps, work;

	if (f->ep < 0)
		return -EINVAL;
	become_quiet(f);
	/* Release: whoever sees the mark may write to wake_fd, which zf_waitable_fd_get() has just made. */
	atomic_store_explicit(&ctx->asleep, 1, memory_order_release);
	atomic_fetch_and_explicit(&ctx->events, ~(uint32_t)CTX_EV_AWAKE, memory_order_relaxed); /* or it disarms below */
	sleeps = f->intr >= 0 && port_intr_arm(stack->port, true) == 0;
	atomic_thread_fence(memory_order_seq_cst);
	work = has_work(stack, sleeps);
	rc = timer_for(stack, sleeps);
	if (sleeps && (ctx->caps & PORT_RX_INTR_STAYS))
		atomic_fetch_or_explicit(&ctx->events, CTX_EV_AWAKE, memory_order_relaxed);
	if (work)
		stack_wake(ctx);
	errno = saved;
	return rc;
}
