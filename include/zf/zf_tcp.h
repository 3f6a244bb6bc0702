/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP: listening zockets (zftl), zockets on their way to a connection (zft_handle), and connections (zft).
 *
 * A connection is made by zft_alloc() and zft_connect(), or arrives through zftl_listen() and zftl_accept(). Data is
 * received, acknowledged, retransmitted and timed out inside zf_reactor_perform() only; a send puts its segments on the
 * wire by itself as far as the windows allow.
 *
 * All calls are for the thread that uses the stack at the time; none blocks but zft_connect(). RFC 9293.
 *
 * Size: the guide has all of TCP in this one header.
 */
#ifndef ZF_ZF_TCP_H
#define ZF_ZF_TCP_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <zf/types.h>

ZF_EXTERN_C_BEGIN

/** TCP listener. */
struct zftl;

/** TCP zocket that connects, is connected or was. */
struct zft;

/** TCP zocket before zft_connect(). */
struct zft_handle;

/**
 * Received bytes, in place. Applications embed it and let an iovec array follow:
 *
 *     struct { struct zft_msg msg; struct iovec iov[8]; } rd;
 */
struct zft_msg {
	/** The library's; not to be touched between zft_zc_recv() and its done call. */
	int reserved[4];
	/** Out: received packets that still wait behind these. */
	int pkts_left;
	/** Reserved. */
	int flags;
	/** In: entries of iov. Out: entries filled; 0 when there was nothing. */
	int iovcnt;
	/** Out: the stream's next bytes, in order; an entry of length 0, always the last one, is its end. */
	ZF_FLEXIBLE_ARRAY struct iovec iov[ZF_FLEXIBLE_ARRAY_COUNT];
};

/**
 * Listen on a local address.
 *
 * Handshakes are answered by the reactor from now on; up to max_tcp_syn_backlog unfinished ones are remembered exactly,
 * more of them are met by SYN cookies (attribute tcp_syn_cookies).
 *
 * @param st        stack
 * @param laddr     AF_INET; an address of the stack, not 0.0.0.0. With port 0 an ephemeral port is chosen, see
 *                  zftl_getname().
 * @param laddrlen  at least sizeof(struct sockaddr_in)
 * @param attr      attributes of object zf_socket, for the listener and what it accepts
 * @param tl_out    the new listener
 *
 * @retval 0              success
 * @retval -EFAULT        @p laddr is NULL
 * @retval -EINVAL        bad length; the stack does not receive or does not send (rx_ring_max=0, tx_ring_max=0)
 * @retval -EAFNOSUPPORT  @p laddr is not AF_INET
 * @retval -EOPNOTSUPP    @p laddr is 0.0.0.0
 * @retval -EADDRNOTAVAIL @p laddr is not the stack's
 * @retval -EADDRINUSE    something listens there already, or has bound it; no ephemeral port is free
 * @retval -EBUSY         the port has no filter left
 * @retval -ENOBUFS       max_tcp_listen_endpoints listeners exist already
 * @retval -ENOMEM        out of memory
 *
 * Cost: about a microsecond. Guide 5.8, 11.10.2.24; RFC 9293 3.10.1.
 */
int zftl_listen(struct zf_stack *st, const struct sockaddr *laddr, socklen_t laddrlen,
		const struct zf_attr *attr, struct zftl **tl_out);

/**
 * Take the connection that has been established for longest.
 *
 * It may have received data, or ended, already. It keeps the listener's address and outlives the listener.
 *
 * @param tl      listener
 * @param ts_out  the connection
 *
 * @retval 0        success
 * @retval -EAGAIN  no connection waits
 *
 * Cost: some tens of instructions. Guide 5.8, 11.10.2.21.
 */
int zftl_accept(struct zftl *tl, struct zft **ts_out);

/** The waitable of a listener. Never fails; valid as long as the listener. Guide 11.10.2.25. */
struct zf_waitable *zftl_to_waitable(struct zftl *tl);

/**
 * The address a listener listens on, with the port that was chosen for it.
 *
 * @param tl         listener
 * @param laddr_out  out: a struct sockaddr_in, cut to *@p laddrlen bytes if that is less
 * @param laddrlen   in: bytes at @p laddr_out; out: sizeof(struct sockaddr_in)
 *
 * Nothing is written through a pointer that is NULL. Guide 11.10.2.23.
 */
void zftl_getname(struct zftl *tl, struct sockaddr *laddr_out, socklen_t *laddrlen);

/**
 * Stop listening. Handshakes under way and connections not accepted yet are reset; accepted ones are untouched. The
 * address may be listened on again at once.
 *
 * @return 0. Guide 5.8, 11.10.2.22.
 */
int zftl_free(struct zftl *tl);

/** The waitable of a TCP zocket. Never fails; valid as long as the zocket. Guide 11.10.2.17. */
struct zf_waitable *zft_to_waitable(struct zft *ts);

/**
 * Make a TCP zocket to connect with. Release it by zft_connect() or zft_handle_free().
 *
 * @param st          stack
 * @param attr        attributes of object zf_socket
 * @param handle_out  the new handle
 *
 * @retval 0         success
 * @retval -ENOBUFS  max_tcp_endpoints zockets exist already; handles and accepted ones count
 * @retval -EINVAL   the stack does not receive or does not send (rx_ring_max=0, tx_ring_max=0)
 *
 * Cost: a few hundred cycles. Guide 5.9, 11.10.2.2.
 */
int zft_alloc(struct zf_stack *st, const struct zf_attr *attr, struct zft_handle **handle_out);

/** Release a handle that was not connected, and the port it was bound to. Returns 0. Guide 11.10.2.9. */
int zft_handle_free(struct zft_handle *handle);

/**
 * The local address that zft_addr_bind() gave a handle; 0.0.0.0 port 0 before that. Arguments as for zftl_getname().
 * Guide 11.10.2.10.
 */
void zft_handle_getname(struct zft_handle *handle, struct sockaddr *laddr_out, socklen_t *laddrlen);

/**
 * Choose the local address of a connection to be. Without this call zft_connect() chooses by the route, with an
 * ephemeral port.
 *
 * @param handle    zocket that is not bound
 * @param laddr     AF_INET; an address of the stack, not 0.0.0.0. With port 0 an ephemeral port is chosen.
 * @param laddrlen  at least sizeof(struct sockaddr_in)
 * @param flags     must be 0
 *
 * @retval 0              success
 * @retval -EFAULT        @p laddr is NULL
 * @retval -EINVAL        bad length or flags; 0.0.0.0; bound already
 * @retval -EAFNOSUPPORT  @p laddr is not AF_INET
 * @retval -EADDRNOTAVAIL @p laddr is not the stack's
 * @retval -EADDRINUSE    taken by a listener, another bound zocket or another stack; no ephemeral port is free
 * @retval -EBUSY         the port has no filter left
 * @retval -ENOMEM        out of memory
 *
 * Guide 5.9, 11.10.2.1.
 */
int zft_addr_bind(struct zft_handle *handle, const struct sockaddr *laddr, socklen_t laddrlen, int flags);

/**
 * Start to connect. On success the handle is gone and *@p ts_out replaces it; on failure the handle is as it was and
 * must still be freed.
 *
 * The call does not wait for the peer's answer, only, up to arp_reply_timeout (attribute, microseconds), for the
 * neighbour's MAC address, polling the stack meanwhile. Without an answer it succeeds all the same and resolution goes
 * on. Until the connection is established reads find nothing and sends give -ENOTCONN; whether it was refused or timed
 * out is told by reads and by zft_error().
 *
 * @param handle    zocket, bound or not
 * @param raddr     AF_INET destination: unicast, not 0.0.0.0, port not 0
 * @param raddrlen  at least sizeof(struct sockaddr_in)
 * @param ts_out    the zocket
 *
 * @retval 0              success
 * @retval -EFAULT        @p raddr is NULL
 * @retval -EINVAL        bad length; 0.0.0.0, a multicast or broadcast address, or port 0
 * @retval -EAFNOSUPPORT  @p raddr is not AF_INET
 * @retval -EADDRINUSE    this very connection exists; no ephemeral port is free
 * @retval -EBUSY         the port has no filter left
 * @retval -EHOSTUNREACH  no route to the destination
 * @retval -ENOMEM        out of memory
 *
 * Cost: some microseconds and, if the neighbour is unknown, the wait. Guide 5.9, 11.10.2.3; RFC 9293 3.10.1.
 */
int zft_connect(struct zft_handle *handle, const struct sockaddr *raddr, socklen_t raddrlen, struct zft **ts_out);

/**
 * End the outgoing half of the stream: what was queued is still sent, then a FIN. Receiving goes on.
 *
 * A FIN that cannot leave at once, for want of window, buffer or room in the port, follows by itself.
 *
 * @retval 0          success
 * @retval -ENOTCONN  not ESTABLISHED or CLOSE-WAIT, or shut down already
 * @retval -EAGAIN    no room in the send queue: nothing changed, try again after zf_reactor_perform()
 * @retval -ENOMEM    no packet buffer; likewise
 *
 * Guide 11.10.2.15; RFC 9293 3.10.4.
 */
int zft_shutdown_tx(struct zft *ts);

/**
 * Release a zocket; @p ts must not be used any more.
 *
 * If the connection is open it is closed as by zft_shutdown_tx() and lives on in the background, for which the stack
 * must be polled; see zf_stack_is_quiescent(). If received bytes were not read, or more of them arrive, the peer gets a
 * reset (RFC 1122 4.2.2.13). A zocket that still connects is dropped. A message that zft_zc_recv() handed out is taken
 * back.
 *
 * @return 0. Guide 11.10.2.5.
 */
int zft_free(struct zft *ts);

/**
 * State of the connection, as a TCP_* constant of <netinet/tcp.h>, e.g. TCP_ESTABLISHED. TCP_CLOSE when it has ended.
 * Guide 11.10.2.16.
 */
int zft_state(struct zft *ts);

/**
 * Why a connection failed, as a positive errno value; it is not cleared by reading it.
 *
 * @retval 0             it did not
 * @retval ECONNREFUSED  the peer answered the SYN with a reset
 * @retval ECONNRESET    the peer reset the established connection
 * @retval ETIMEDOUT     the peer does not answer (attributes tcp_syn_retries, tcp_retries, tcp_keepalive)
 * @retval EHOSTUNREACH  nothing answers to the next hop's address, or a router said so until the retries ran out
 * @retval EPIPE         the peer ended its stream, all of which was received, but refused data of ours
 *
 * Guide 11.10.2.4.
 */
int zft_error(struct zft *ts);

/**
 * Local and remote address of a zocket. Each pair of arguments as for zftl_getname(); either may be NULL.
 * Guide 11.10.2.8.
 */
void zft_getname(struct zft *ts, struct sockaddr *laddr_out, socklen_t *laddrlen, struct sockaddr *raddr_out,
		 socklen_t *raddrlen);

/**
 * Look at the next received bytes without copying them.
 *
 * On return msg->iovcnt is the number of buffers, 0 when nothing waits, which includes a zocket that still connects.
 * Fewer buffers than there are entries means that there is no more at present. Behind the last byte of a stream that
 * ended, gracefully or not, comes one buffer of length 0.
 *
 * The bytes stay valid and unchanged until zft_zc_recv_done() or zft_zc_recv_done_some(), one of which must be called
 * for a message with iovcnt > 0 before the next read, and only then. Until then they occupy packet buffers and shrink
 * the window offered to the peer. A buffer's alignment is that of the received frame behind its headers; nothing is
 * promised.
 *
 * @param ts     zocket
 * @param msg    message with msg->iovcnt entries; 1 or more
 * @param flags  0 or one of enum zf_zc_flags, which change nothing
 *
 * Cost: some tens of instructions, no copy. Guide 5.9, 11.10.2.18.
 */
void zft_zc_recv(struct zft *ts, struct zft_msg *msg, int flags);

/**
 * Give a message back; all its bytes have been read.
 *
 * @param ts   zocket
 * @param msg  as zft_zc_recv() left it, with iovcnt > 0
 *
 * @retval >=1            the stream goes on
 * @retval 0              its end has been read: the peer sent a FIN
 * @retval -ECONNREFUSED  its end has been read: the connection never came to be
 * @retval -ECONNRESET    ... was reset
 * @retval -EPIPE         ... the peer ended its stream and refused data of ours
 * @retval -ETIMEDOUT     ... timed out
 *
 * As often as the end is read it is told again. Guide 11.10.2.19.
 */
int zft_zc_recv_done(struct zft *ts, struct zft_msg *msg);

/**
 * Give a message back of which only the first @p len bytes have been read; the next read begins behind them.
 *
 * @param ts   zocket
 * @param msg  as zft_zc_recv() left it, with iovcnt > 0
 * @param len  bytes, at most those of the message
 *
 * @retval >=1            the stream goes on
 * @retval 0              its end has been read, as for zft_zc_recv_done()
 * @retval -ECONNREFUSED  likewise
 * @retval -ECONNRESET    likewise
 * @retval -EPIPE         likewise
 * @retval -ETIMEDOUT     likewise
 *
 * Guide 11.10.2.20.
 */
int zft_zc_recv_done_some(struct zft *ts, struct zft_msg *msg, size_t len);

/**
 * Copy received bytes out, as many as there are room and bytes for.
 *
 * @param ts      zocket without an outstanding zft_zc_recv() message
 * @param iov     buffers to fill, in order
 * @param iovcnt  number of buffers, 1 or more
 * @param flags   must be 0
 *
 * @return bytes copied; 0 at the end of the stream. Fewer than there is room for: no more waits at present.
 * @retval -EAGAIN        nothing waits, the connection is open
 * @retval -ENOTCONN      it still connects
 * @retval -EINVAL        bad @p iovcnt or flags
 * @retval -ECONNREFUSED  the connection never came to be
 * @retval -ECONNRESET    it was reset, and all that had arrived in order has been read
 * @retval -EPIPE         the peer ended its stream, all of which has been read, and refused data of ours
 * @retval -ETIMEDOUT     it timed out
 *
 * Cost: that of zft_zc_recv(), and the copy. Guide 5.9, 11.10.2.11; RFC 9293 3.10.3.
 */
int zft_recv(struct zft *ts, const struct iovec *iov, int iovcnt, int flags);

/**
 * Queue bytes for the peer and send what the windows allow.
 *
 * The bytes are copied: the buffers may be used again as soon as the call returns. Received segments are not handled
 * here, so a loop of sends without zf_reactor_perform() ends in -EAGAIN; once a send can succeed again the reactor
 * returns > 0.
 *
 * Of a partial send the tail below one MSS is held back as if MSG_MORE had been given, since the rest is expected to
 * follow. A held tail leaves when a later send completes a segment or comes without MSG_MORE; an acknowledgement that
 * has to be sent may take it along.
 *
 * @param ts       zocket
 * @param iov      buffers; empty ones are skipped
 * @param iov_cnt  number of buffers, 1 or more
 * @param flags    0, or MSG_MORE to hold back a tail shorter than the MSS
 *
 * @return bytes taken: the sum of @p iov or less; 0 only if that sum is 0, and nothing is sent then.
 * @retval -EINVAL    @p iov_cnt below 1 or an unknown flag
 * @retval -ENOTCONN  neither ESTABLISHED nor CLOSE-WAIT, or shut down already
 * @retval -EAGAIN    no room in the send queue for a single byte
 * @retval -ENOMEM    not enough packet buffers; nothing was taken
 *
 * There is no Nagle algorithm. Cost: copy and header, one doorbell a segment. Guide 5.9, 11.10.2.12; RFC 9293 3.10.2.
 */
ssize_t zft_send(struct zft *ts, const struct iovec *iov, int iov_cnt, int flags);

/**
 * zft_send() of one buffer.
 *
 * @param ts      zocket
 * @param buf     bytes; may be NULL if @p buflen is 0
 * @param buflen  their number
 * @param flags   0 or MSG_MORE
 *
 * @return bytes taken, as for zft_send()
 * @retval -EINVAL    unknown flag
 * @retval -ENOTCONN  as for zft_send()
 * @retval -EAGAIN    as for zft_send()
 * @retval -ENOMEM    as for zft_send()
 *
 * Guide 11.10.2.13.
 */
ssize_t zft_send_single(struct zft *ts, const void *buf, size_t buflen, int flags);

/**
 * Run zft_send_single() up to the port without sending, so that its code and data are in the caches when it counts.
 * Nothing is sent or queued, and nothing that the application or the peer can see changes.
 *
 * @param ts      zocket
 * @param buf     bytes of the kind that will be sent; read, and forgotten
 * @param buflen  their number, the same as that of the send to come
 *
 * @return @p buflen
 * @retval -ENOTCONN  neither ESTABLISHED nor CLOSE-WAIT, or shut down already
 * @retval -EMSGSIZE  more than zft_get_mss(): such a send takes another way
 * @retval -EAGAIN    a send would not leave at once: data waits before it, a window or the port is full, something is
 *                    being sent again, or the neighbour is not known
 * @retval -ENOMEM    no packet buffer
 *
 * Cost: that of zft_send_single(). API since 2018.
 */
int zft_send_single_warm(struct zft *ts, const void *buf, size_t buflen);

/**
 * How many bytes the send queue would take now. It counts queued segments as well as bytes, so many small sends use up
 * more of it than one large send.
 *
 * @param ts     zocket
 * @param space  out: bytes
 *
 * @retval 0          success
 * @retval -ENOTCONN  as for zft_send()
 *
 * Guide 11.10.2.14.
 */
int zft_send_space(struct zft *ts, size_t *space);

/**
 * Payload bytes of a full segment.
 *
 * @return bytes, above 0
 * @retval -ENOTCONN  as for zft_send()
 *
 * Guide 11.10.2.7.
 */
int zft_get_mss(struct zft *ts);

/**
 * Bytes of all headers of a data segment, VLAN tag and TCP options included: its frame is exactly so much longer than
 * its payload. Constant once the connection is established. Guide 11.10.2.6.
 */
unsigned zft_get_header_size(struct zft *ts);

ZF_EXTERN_C_END

#endif
