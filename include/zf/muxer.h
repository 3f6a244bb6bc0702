/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many zockets through one call, in the manner of epoll; and a descriptor that lets a thread sleep until a stack has
 * something to do.
 *
 * Which event a zocket raises when: doc/muxer.md has a table of every kind of zocket and every event.
 */
#ifndef ZF_MUXER_H
#define ZF_MUXER_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <stdint.h>
#include <sys/epoll.h>

#include <zf/types.h>

ZF_EXTERN_C_BEGIN

/** Waitables of one stack that are polled together. */
struct zf_muxer_set;

/** Event bit for overlapped receiving. It may be asked for; this library reports EPOLLIN in its place. */
#define ZF_EPOLLIN_OVERLAPPED 0x10000

/**
 * Create an empty set.
 *
 * @param stack      stack whose waitables the set will take
 * @param muxer_out  the new set
 *
 * @retval 0        success
 * @retval -ENOMEM  every set of the stack is in use: there are as many as it may have waitables, and 64 more
 *
 * The stack's thread. Cost: tens of instructions. Guide 11.2.2.2.
 */
int zf_muxer_alloc(struct zf_stack *stack, struct zf_muxer_set **muxer_out);

/**
 * Give a set up. The pointer must not be used any more. Waitables that are still in it stay members, of no use to
 * anybody, until zf_muxer_del() or the end of their zocket; only then can the set's memory be used again.
 *
 * @param muxer  set, or NULL
 *
 * The stack's thread. Cost: tens of instructions. Guide 11.2.2.4.
 */
void zf_muxer_free(struct zf_muxer_set *muxer);

/**
 * Put a waitable into a set. If it is ready for one of the events already, the next zf_muxer_wait() reports it.
 *
 * @param muxer  set
 * @param w      waitable of a zocket, or of the stack
 * @param event  @c events: any of EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP and, for a stack, EPOLLSTACKHUP.
 *               Unlike epoll's, EPOLLHUP and EPOLLERR are reported only if they are asked for, and everything is
 *               edge-triggered. Other bits are ignored. @c data: returned with each event
 *
 * @retval 0          success
 * @retval -EXDEV     the waitable belongs to another stack
 * @retval -EALREADY  it is in this set
 * @retval -EBUSY     it is in another set, possibly one that was freed
 * @retval -EINVAL    its zocket was freed
 *
 * A zocket leaves its set by itself when it is freed. The stack's thread. Cost: tens of instructions, whatever the set
 * holds. Guide 11.2.2.1.
 */
int zf_muxer_add(struct zf_muxer_set *muxer, struct zf_waitable *w, const struct epoll_event *event);

/**
 * Change what a waitable is polled for and what is returned with it, and arm it again: if it is ready for one of the
 * events now, the next zf_muxer_wait() reports it. zf_muxer_mod(w, zf_waitable_event(w)) behind each event gives what
 * is known as level-triggered.
 *
 * @param w      waitable in a set
 * @param event  as for zf_muxer_add()
 *
 * @retval 0        success
 * @retval -EINVAL  the waitable is in no set
 *
 * The stack's thread. Cost: tens of instructions. Guide 11.2.2.5.
 */
int zf_muxer_mod(struct zf_waitable *w, const struct epoll_event *event);

/**
 * Take a waitable out of its set.
 *
 * @param w  waitable
 *
 * @retval 0        success; no event of it is reported any more
 * @retval -EINVAL  the waitable is in no set
 *
 * The stack's thread. Cost: tens of instructions. Guide 11.2.2.3.
 */
int zf_muxer_del(struct zf_waitable *w);

/**
 * Poll the stack and tell which waitables of a set are ready.
 *
 * Calls zf_reactor_perform() at least once, and again until a waitable is ready or the time is over. What is reported is
 * true at that moment. Edge-triggered: a waitable that was reported is reported again only when something new happens to
 * it (data arrives, or it was not ready and becomes so), and never for what is not true any more.
 *
 * @param muxer       set
 * @param events      room for @p maxevents descriptors; all of a waitable's events come in one of them
 * @param maxevents   how many at most; the others come with the next calls, in the order in which they became ready.
 *                    0 or less: the stack is polled once, nothing is reported
 * @param timeout_ns  nanoseconds to wait at most; 0: do not wait; negative: for ever
 *
 * @return number of events, 0 if the time is over. Never negative.
 *
 * The stack's thread. Waiting is spinning: see zf_waitable_fd_get() for sleep. Cost: that of zf_reactor_perform(), some
 * ten instructions, and some tens for each waitable that is reported; the number of members has no part in it. With
 * timeout_ns = 0 and nothing to report the call looks at the port reactor_spin_count times (attribute).
 * Guide 11.2.2.6.
 */
int zf_muxer_wait(struct zf_muxer_set *muxer, struct epoll_event *events, int maxevents, int64_t timeout_ns);

/**
 * What zf_muxer_add() or zf_muxer_mod() were told of a waitable.
 *
 * @param w  waitable in a set
 *
 * @return its events and data; NULL if it is in no set. Valid while it is a member; a change takes effect with
 *         zf_muxer_mod(). Guide 11.2.2.7.
 */
struct epoll_event *zf_waitable_event(struct zf_waitable *w);

/**
 * Get a descriptor that becomes readable when the stack has something to do: a frame arrived, a timer is due, a send can
 * succeed again. It can be put into epoll, poll, select and the loops built upon them, beside descriptors of the
 * kernel's.
 *
 * The loop is: zf_waitable_fd_prime(); sleep; when the descriptor is readable, zf_muxer_wait() with timeout 0 until
 * it reports nothing more; again. To be readable does not mean that a zocket is ready. Which ports let the thread
 * really sleep, and which wake up now and then to look, is told in doc/muxer.md.
 *
 * @param stack  stack
 * @param fd     the descriptor, readable until it is primed. Another call for the same stack gives the same one.
 *               zf_stack_free() closes it: do not read, write or close it
 *
 * @retval 0        success
 * @retval -EMFILE  the process has no descriptor left; other codes of epoll_create1(2) and its kin pass through alike
 *
 * The stack's thread. Cost: some system calls, once. Guide 11.2.2.8.
 */
int zf_waitable_fd_get(struct zf_stack *stack, int *fd);

/**
 * Make the descriptor of zf_waitable_fd_get() ready for sleeping. It stops to be readable unless the stack has something
 * to do already; nothing that happens from this call on is missed. To be called each time before the thread sleeps.
 *
 * On a port that interrupts but that nobody can look into (those of DPDK: doc/muxer.md) the call handles what has arrived
 * before, as zf_reactor_perform() does.
 *
 * @param stack  stack
 *
 * @retval 0        success
 * @retval -EINVAL  zf_waitable_fd_get() was not called for this stack
 *
 * The stack's thread. Cost: up to three system calls. Guide 11.2.2.9.
 */
int zf_waitable_fd_prime(struct zf_stack *stack);

ZF_EXTERN_C_END

#endif
