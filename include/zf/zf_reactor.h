/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Driving a stack: nothing is received, retransmitted or timed out but inside these calls.
 */
#ifndef ZF_ZF_REACTOR_H
#define ZF_ZF_REACTOR_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <zf/attr.h>
#include <zf/types.h>

ZF_EXTERN_C_BEGIN

/**
 * Handle what the port has received, run the timers that are due, and send what the stack owes.
 *
 * While nothing happens the call looks at the port again, up to reactor_spin_count times (attribute, default 128),
 * before it returns: that saves the caller's loop a call a look. It returns at once when something happened.
 *
 * Received frames are handled before any timer, so an application that paused does not time out what an answer in
 * the receive ring already settles.
 *
 * After a send returned -EAGAIN or -ENOBUFS the call returns a positive value as soon as a send may succeed again,
 * even if no frame arrives.
 *
 * @param st  stack, used by the calling thread only
 *
 * @retval 0   nothing that an application can see happened
 * @retval >0  something may have: data on a zocket, room for a send. False alarms are possible.
 *
 * Cost: with reactor_spin_count=1 and nothing to do, below a hundred instructions.
 * Guide 5.12, 11.8.2.1.
 */
int zf_reactor_perform(struct zf_stack *st);

/**
 * zf_reactor_perform() with the patience of other attributes: reactor_spin_count of @p attr in place of the stack's.
 *
 * @param st    stack, used by the calling thread only
 * @param attr  attributes; a reactor_spin_count below 1 counts as 1
 *
 * @return as zf_reactor_perform(). API since 2018.
 */
int zf_reactor_perform_attr(struct zf_stack *st, const struct zf_attr *attr);

/**
 * Tell whether zf_reactor_perform() has something to do.
 *
 * May be called from any thread while another one uses the stack, for instance to find out whether a lock is worth
 * taking. The answer is never wrongly 0; it may be wrongly positive. On a port that cannot be looked at from
 * another thread it is always positive.
 *
 * @param st  stack that stays allocated during the call
 *
 * @retval 0   nothing to do now
 * @retval >0  call zf_reactor_perform()
 *
 * Cost: a few loads and a clock read. Guide 5.12, 11.8.2.2.
 */
int zf_stack_has_pending_work(const struct zf_stack *st);

/**
 * Tell whether frames have arrived that zf_reactor_perform() has not handled yet. Timers and work that the stack owes
 * do not count; otherwise the same rules as for zf_stack_has_pending_work() hold.
 *
 * @param st  stack that stays allocated during the call
 *
 * @retval 0   no frame waits
 * @retval >0  one may
 *
 * Any thread. Cost: a few loads. API since 2018.
 */
int zf_stack_has_pending_events(const struct zf_stack *st);

ZF_EXTERN_C_END

#endif
