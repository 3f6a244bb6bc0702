/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Start and end of the library and of stacks.
 */
#ifndef ZF_ZF_STACK_H
#define ZF_ZF_STACK_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <sys/epoll.h>

#include <zf/types.h>

ZF_EXTERN_C_BEGIN

/** Event of a stack's waitable: the stack is quiescent. */
#define EPOLLSTACKHUP EPOLLRDHUP

/**
 * Make the library ready. Call it before anything else; a second call does nothing and returns 0.
 *
 * Unless the application has called rte_eal_init() already, DPDK's EAL is started here: quietly, without huge pages
 * where there are none, without probing any adapter, and so that the caller's CPU affinity, signal mask, working
 * directory and descriptors stay as they were. The environment variable ZF_EAL_ARGS appends EAL arguments. EAL starts
 * once in a process: rte_eal_init() after zf_init() returns -1 with rte_errno EALREADY, and a logged line says what to
 * do.
 *
 * @retval 0        ready
 * @retval -EINVAL  the environment variable ZF_ATTR is malformed; one logged line says where
 * @retval -ENOMEM  out of memory
 * @retval -ENOENT  EAL could not be started; one logged line says why and what to do
 *
 * Any thread, but not two at once. Cost: some hundred milliseconds, once. Guide 11.9.3.2.
 */
int zf_init(void);

/**
 * End the use of the library. Stacks should have been freed before. EAL goes on running, since it cannot be started
 * twice in a process; zf_init() may be called again.
 *
 * @return 0. Guide 11.9.3.1.
 */
int zf_deinit(void);

/**
 * Create a stack on the network port that attribute `interface` names.
 *
 * @param attr       attributes of objects zf_stack, zf_pool and zf_vi; only read
 * @param stack_out  the new stack
 *
 * @retval 0              success
 * @retval -EINVAL        an attribute is out of range, or the addresses cannot be used on this port
 * @retval -ENODEV        `interface` is missing, unknown, or names no usable port
 * @retval -EBUSY         the port is in use and cannot be shared, or has no queue or alternative left
 * @retval -ENOMEM        out of memory, for packet buffers or the stack itself
 * @retval -ENOENT        zf_init() was not called, or ef_vi is asked for and Onload's drivers are not loaded
 * @retval -ENOKEY        ef_vi: the adapter is not licensed for it
 * @retval -ENOSPC        ef_vi: attribute pio=3 and no PIO buffer is left
 * @retval -EOPNOTSUPP    ef_vi: attribute alt_count or ctpio=3 asks for what the adapter does not have
 * @retval -EPERM,-EACCES not allowed to use the port
 *
 * Each failure logs one line that says what was wrong, with which value, and what to do. Any thread; calls are
 * serialised inside. Cost: milliseconds; memory is touched here, so that later calls meet no page fault.
 * Guide 5.4, 11.9.3.3.
 */
int zf_stack_alloc(struct zf_attr *attr, struct zf_stack **stack_out);

/**
 * Destroy a stack, with every zocket that is still open in it. Frames that the port has accepted are still sent.
 *
 * @param stack  stack that no thread uses any more
 *
 * @return 0. Guide 11.9.3.4.
 */
int zf_stack_free(struct zf_stack *stack);

/**
 * Tell whether the stack has nothing left to say: without a frame from outside or a call it will send nothing more, and
 * to free its zockets would send nothing either. That is so when no TCP connection is open, freed ones included; those
 * in TIME-WAIT count with attribute tcp_wait_for_time_wait=1 only.
 *
 * Poll the stack until this is so before zf_stack_free() or the end of the process, if peers are to see connections end
 * in order.
 *
 * @param stack  stack, used by the calling thread only
 *
 * @return 1 quiescent, 0 not. Cost: some tens of instructions. Guide 11.9.3.5.
 */
int zf_stack_is_quiescent(struct zf_stack *stack);

/**
 * The waitable of a stack, ready for EPOLLSTACKHUP while the stack is quiescent. Never fails; valid as long as the
 * stack. Guide 11.9.3.6.
 */
struct zf_waitable *zf_stack_to_waitable(struct zf_stack *stack);

/** What zf_stack_query_feature() can be asked about. */
enum zf_stack_feature {
	CTPIO, /**< cut-through sends */
	PIO,   /**< small frames are written into the adapter by the CPU */
};

/**
 * Tell whether a stack sends by means that only some adapters have. Attributes pio and ctpio ask for them.
 *
 * @param stack    stack, used by the calling thread only
 * @param feature  what to ask for
 *
 * @retval 1        in use
 * @retval 0        not in use: not on this port, not asked for, or none was free
 * @retval -ENOENT  no such feature
 *
 * PIO needs ef_vi; CTPIO is never in use. Cost: some instructions.
 */
int zf_stack_query_feature(struct zf_stack *stack, enum zf_stack_feature feature);

/** Name and version of the library, e.g. "zf-dpdk 0.1.0 (DPDK 22.11.11)". Static storage; any thread. */
const char *zf_version(void);

/** The version alone, e.g. "0.1.0". Static storage; any thread. */
const char *zf_version_short(void);

/** Same as zf_version_short(): there is no Onload here whose version could differ. */
const char *onload_version_short(void);

/** Print zf_version() to stderr and exit the process with status 0: the one call of the library that exits. */
void zf_print_version(void);

ZF_EXTERN_C_END

#endif
