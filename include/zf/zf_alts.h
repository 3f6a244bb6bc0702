/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Transmit alternatives: messages that are prepared before it is known whether they will be needed.
 *
 * An alternative is a queue of TCP segments, complete with their headers, that lie ready in front of the wire.
 * zf_alternatives_send() lets one go, which costs less than a send that has yet to be made; zf_alternatives_cancel()
 * drops it. All segments of an alternative belong to one zocket, the one that something was first queued for, until it
 * is sent or cancelled.
 *
 * Prepared headers are those of the moment, so what is sent on the zocket in the meantime, by zft_send() or another
 * alternative, spoils them: the alternative can only be cancelled then. Data that arrives does not, see
 * tcp_alt_ack_rewind.
 *
 * The attribute alt_count says how many alternatives a stack has (0 by default, 17 at most), alt_buf_size how much they
 * hold together. Adapters with alternatives of their own keep them there; with every other port they are in memory, with
 * the same limits and results.
 *
 * All calls are for the thread that uses the stack at the time; none blocks. Guide: 5.10, 11.6.
 */
#ifndef ZF_ZF_ALTS_H
#define ZF_ZF_ALTS_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <sys/uio.h>

#include <zf/types.h>

ZF_EXTERN_C_BEGIN

struct zft;

/** An alternative of a stack, see zf_alternatives_alloc(). */
typedef uint64_t zf_althandle;

/* Where Onload's headers are installed <etherfabric/ef_vi.h> has this structure and function, and whoever wants them
 * includes it, as with any other implementation of this API.
 */
#if defined(__has_include)
#if __has_include(<etherfabric/ef_vi.h>) && !defined(ZF_ALTS_OWN_OVERHEAD)
#define ZF_ALTS_EF_VI 1
#endif
#endif
#ifdef ZF_ALTS_EF_VI
struct ef_vi_transmit_alt_overhead;
#else
/** What a packet takes beside its bytes: parameters of ef_vi_transmit_alt_usage(). */
struct ef_vi_transmit_alt_overhead {
	/** Bytes that come on top of the packet's, before rounding. */
	uint32_t pre_round;
	/** The bits that rounding leaves. */
	uint32_t mask;
	/** Bytes that come on top after rounding. */
	uint32_t post_round;
};

/**
 * Buffer space that one packet takes in an alternative.
 *
 * @param params   from zf_alternatives_query_overhead_tcp()
 * @param pkt_len  bytes of payload, of one packet
 *
 * @return bytes: to be compared with differences of zf_alternatives_free_space(), which may fall by up to one buffer
 *         more
 */
static inline uint32_t
ef_vi_transmit_alt_usage(const struct ef_vi_transmit_alt_overhead *params, uint32_t pkt_len)
{
	return ((pkt_len + params->pre_round) & params->mask) + params->post_round;
}
#endif

/**
 * Get an alternative.
 *
 * @param stack    stack
 * @param attr     attributes; none matters at present, may be NULL
 * @param alt_out  the alternative, good for this stack's zockets only
 *
 * @retval 0        success
 * @retval -ENOMEM  all that alt_count gave the stack are taken
 *
 * Cost: some tens of instructions. One that was released while it drained is handed out all the same and gives -EBUSY
 * until it has. Guide 5.10, 11.6.2.1.
 */
int zf_alternatives_alloc(struct zf_stack *stack, const struct zf_attr *attr, zf_althandle *alt_out);

/**
 * Give an alternative back. What is queued on it is dropped, as by zf_alternatives_cancel().
 *
 * @return 0, also for a handle that is none. Guide 5.10, 11.6.2.5.
 */
int zf_alternatives_release(struct zf_stack *stack, zf_althandle alt);

/**
 * Send what is queued on an alternative.
 *
 * The segments are sent data from here on, like those of zft_send(): the library acknowledges, retransmits and times
 * out by itself. The alternative is empty, and free for any zocket, once the port is done with it: zf_reactor_perform()
 * finds out. Other alternatives of the zocket are spoiled and have to be cancelled.
 *
 * If the windows have shrunk since, or the path changed, or the port has no room, the segments are made anew and leave as
 * soon as they may; that is success, too.
 *
 * @param stack  stack of the alternative
 * @param alt    alternative
 *
 * @retval 0        success, or nothing is queued
 * @retval -EBUSY   it is still draining after a send or cancel, or its headers are being made anew since data has arrived:
 *                  call zf_reactor_perform() and try again
 * @retval -EINVAL  not an alternative; or the zocket has sent or queued something else since, or was shut down: only
 *                  zf_alternatives_cancel() helps
 *
 * Cost: doc/performance.md. Guide 5.10, 11.6.2.6.
 */
int zf_alternatives_send(struct zf_stack *stack, zf_althandle alt);

/**
 * Drop what is queued on an alternative, and the tie to its zocket. What was sent stays sent.
 *
 * The alternative may be used at once, for the same or another zocket, but zft_alternatives_queue() gives -EBUSY until
 * zf_reactor_perform() has found the port done with it.
 *
 * @return 0, also for a handle that is none. Guide 5.10, 11.6.2.2.
 */
int zf_alternatives_cancel(struct zf_stack *stack, zf_althandle alt);

/**
 * Prepare a message.
 *
 * It becomes one segment, or several where it is longer than the MSS, behind what the alternative has already. The bytes
 * are copied: @p iov may be reused as soon as the call returns. All of it is queued, or nothing. A message of no bytes
 * only ties the alternative to the zocket.
 *
 * @param ts       connected zocket
 * @param alt      alternative of its stack
 * @param iov      one buffer
 * @param iov_cnt  1
 * @param flags    0
 *
 * @retval 0          success
 * @retval -EINVAL    not an alternative; @p iov_cnt is not 1, @p flags not 0; the alternative is tied to another zocket
 * @retval -EBUSY     it drains after a send or cancel, its headers are being made anew, or the port's ring is full: call
 *                    zf_reactor_perform() and try again
 * @retval -EAGAIN    an ordinary send left data that has not left yet; the zocket is still connecting; the peer's
 *                    window is too small. May last.
 * @retval -ENOTCONN  the zocket is not connected any more, or was shut down
 * @retval -ENOMEM    no packet buffers; try again after zf_reactor_perform()
 * @retval -ENOBUFS   64 segments are queued, or would be exceeded; or it does not fit the alternative, see
 *                    zf_alternatives_free_space()
 * @retval -EMSGSIZE  with what is queued it is more than the congestion window
 *
 * The checks are made in this order, -EINVAL first. Cost: some hundreds of instructions. Guide 5.10, 11.6.2.7.
 */
int zft_alternatives_queue(struct zft *ts, zf_althandle alt, const struct iovec *iov, int iov_cnt, int flags);

/**
 * The largest packet that fits an alternative now.
 *
 * @return bytes, headers included (zft_get_header_size()); 0 for a handle that is none. It falls by more than what is
 *         queued, and may fall by what is queued on others. Space comes back when the alternative has drained.
 *
 * Cost: some tens of instructions. Guide 5.10, 11.6.2.3.
 */
unsigned zf_alternatives_free_space(struct zf_stack *stack, zf_althandle alt);

/**
 * What a message of a zocket takes of the space of an alternative, headers included: see ef_vi_transmit_alt_usage().
 * It counts for messages that fit one segment.
 *
 * @param ts   connected zocket
 * @param out  the parameters
 *
 * @retval 0        success
 * @retval -EINVAL  the stack has no alternatives (alt_count=0)
 *
 * Guide 11.6.2.4.
 */
int zf_alternatives_query_overhead_tcp(struct zft *ts, struct ef_vi_transmit_alt_overhead *out);

ZF_EXTERN_C_END

#endif
