/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Driving a stack: nothing is received, retransmitted or timed out but inside these calls.
 */
#ifndef ZF_ZF_REACTOR_H
#define ZF_ZF_REACTOR_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

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

ZF_EXTERN_C_END

#endif
