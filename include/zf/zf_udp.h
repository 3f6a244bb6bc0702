/* SPDX-License-Identifier: BSD-3-Clause
 *
 * UDP: receive zockets (zfur) and transmit zockets (zfut).
 *
 * A zfur receives what is sent to the addresses it is bound to; a zfut sends to one destination that is fixed when
 * it is made, so that its headers can be prepared once.
 */
#ifndef ZF_ZF_UDP_H
#define ZF_ZF_UDP_H

#ifndef ZF_ZF_H
#error "include <zf/zf.h>, not its parts"
#endif

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <zf/types.h>

ZF_EXTERN_C_BEGIN

/** UDP receive zocket. */
struct zfur;

/** UDP transmit zocket. */
struct zfut;

/**
 * A received datagram, in place. Applications embed it and let an iovec array follow:
 *
 *     struct { struct zfur_msg msg; struct iovec iov[2]; } rd;
 */
struct zfur_msg {
	/** The library's; not to be touched between zfur_zc_recv() and zfur_zc_recv_done(). */
	int reserved[4];
	/** Out: datagrams that still wait behind this one. */
	int dgrams_left;
	/** Reserved. */
	int flags;
	/** In: entries of iov. Out: entries filled; 0 when there was no datagram. */
	int iovcnt;
	/** Out: the payload. One entry, but for datagrams that arrived in fragments. */
	ZF_FLEXIBLE_ARRAY struct iovec iov[ZF_FLEXIBLE_ARRAY_COUNT];
};

/**
 * Make a receive zocket. It receives nothing before zfur_addr_bind().
 *
 * @param us_out  the new zocket
 * @param st      stack to make it in
 * @param attr    attributes of object zf_socket; none has an effect on it at present
 *
 * @retval 0         success
 * @retval -ENOBUFS  max_udp_rx_endpoints zockets exist already
 * @retval -EINVAL   the stack does not receive (rx_ring_max=0)
 *
 * Cost: a few hundred cycles, no allocation. Guide 11.11.2.3.
 */
int zfur_alloc(struct zfur **us_out, struct zf_stack *st, const struct zf_attr *attr);

/**
 * Unbind and release a receive zocket. Datagrams that wait in it are dropped, one that zfur_zc_recv() handed out is
 * taken back.
 *
 * @return 0. Guide 11.11.2.4.
 */
int zfur_free(struct zfur *us);

/**
 * Receive what is sent to a local address, from anywhere or from one remote address. A zocket may be bound several
 * times.
 *
 * A multicast local address joins the group (IGMPv3) until it is unbound or the zocket is freed; with a remote
 * address of port 0 or any port only that source is joined. A multicast datagram goes to every zocket that wants
 * it; any other goes to one, where a binding with a remote address wins over one without.
 *
 * @param us        zocket
 * @param laddr     AF_INET; an address of the stack or a multicast group. If its port is 0 one is chosen and
 *                  written back here.
 * @param laddrlen  at least sizeof(struct sockaddr_in)
 * @param raddr     AF_INET, or NULL (or 0.0.0.0 port 0) for every sender. Port 0 with an address: any port of that
 *                  source, for multicast only.
 * @param raddrlen  at least sizeof(struct sockaddr_in) unless @p raddr is NULL
 * @param flags     must be 0
 *
 * @retval 0              success
 * @retval -EFAULT        @p laddr is NULL
 * @retval -EINVAL        bad length or flags; local 0.0.0.0; remote port 0 for a unicast binding
 * @retval -EAFNOSUPPORT  an address is not AF_INET
 * @retval -EADDRNOTAVAIL the local address is not the stack's
 * @retval -EADDRINUSE    the same unicast pair is bound already, in this stack or another one on the port; no
 *                        ephemeral port is free
 * @retval -EBUSY         the port has no filter left
 * @retval -ENOMEM        no room for another binding or multicast group
 *
 * Cost: a microsecond; joining a group sends a report. Guide 11.11.2.1.
 */
int zfur_addr_bind(struct zfur *us, struct sockaddr *laddr, socklen_t laddrlen,
		   const struct sockaddr *raddr, socklen_t raddrlen, int flags);

/**
 * Undo zfur_addr_bind(). Datagrams that wait already stay readable.
 *
 * @param laddr  as given to bind (with the port that bind chose), or NULL to match every binding
 * @param raddr  as given to bind, or NULL to match every remote address
 *
 * @retval 0        at least one binding matched and is gone
 * @retval -EINVAL  none matched; bad length or flags
 *
 * Guide 11.11.2.2.
 */
int zfur_addr_unbind(struct zfur *us, const struct sockaddr *laddr, socklen_t laddrlen,
		     const struct sockaddr *raddr, socklen_t raddrlen, int flags);

/**
 * Look at the oldest waiting datagram without copying it.
 *
 * On return msg->iovcnt is the number of buffers, 0 when nothing waits. The payload stays valid and unchanged until
 * zfur_zc_recv_done(), which must be called for a message with iovcnt > 0, and only then. A datagram of several
 * fragments needs as many entries; what does not fit is dropped and counted. The payload of an unfragmented datagram
 * begins 42 bytes (46 with a VLAN tag) behind the start of its frame; its alignment is that of the received frame.
 *
 * @param us     zocket
 * @param msg    message with msg->iovcnt entries; 1 or more
 * @param flags  0 or one of enum zf_zc_flags, which change nothing
 *
 * Cost: some tens of instructions, no copy. Guide 5.6, 11.11.2.7.
 */
void zfur_zc_recv(struct zfur *us, struct zfur_msg *msg, int flags);

/**
 * Give a datagram back.
 *
 * @param us   zocket
 * @param msg  as zfur_zc_recv() left it, with iovcnt > 0
 *
 * Guide 11.11.2.8.
 */
void zfur_zc_recv_done(struct zfur *us, struct zfur_msg *msg);

/**
 * Headers of a received datagram, for instance to learn who sent it.
 *
 * For a datagram that arrived in fragments these are the first fragment's headers with the lengths of the whole.
 *
 * @param us      zocket
 * @param msg     message filled by zfur_zc_recv() and not done yet
 * @param iphdr   out: valid until zfur_zc_recv_done()
 * @param udphdr  out: likewise
 * @param pktind  index into msg->iov
 *
 * The headers lie where they were received: aligned to 2 bytes, not to 4.
 *
 * @retval 0        success
 * @retval -EINVAL  @p pktind is not below msg->iovcnt
 *
 * Guide 11.11.2.5.
 */
int zfur_pkt_get_header(struct zfur *us, const struct zfur_msg *msg, const struct iphdr **iphdr,
			const struct udphdr **udphdr, int pktind);

/** The waitable of a receive zocket. Never fails; valid as long as the zocket. Guide 11.11.2.6. */
struct zf_waitable *zfur_to_waitable(struct zfur *us);

/** Flag of zfut_send(): one frame only, with the Don't Fragment bit. */
#define ZFUT_FLAG_DONT_FRAGMENT IP_DF /* 0x4000 */

/**
 * Make a transmit zocket for one destination.
 *
 * Waits up to arp_reply_timeout for the neighbour's MAC address (attribute, microseconds) and polls the stack while
 * it waits; without an answer the call succeeds all the same, resolution goes on, and the newest datagrams are held
 * meanwhile.
 *
 * @param us_out    the new zocket
 * @param st        stack to make it in
 * @param laddr     AF_INET source; 0.0.0.0 lets the route choose. The port must not be 0 then; with an address of
 *                  the stack port 0 chooses an ephemeral one.
 * @param laddrlen  at least sizeof(struct sockaddr_in)
 * @param raddr     AF_INET destination, neither 0.0.0.0 nor port 0
 * @param raddrlen  at least sizeof(struct sockaddr_in)
 * @param flags     must be 0
 * @param attr      attributes of object zf_socket (udp_ttl, udp_dscp)
 *
 * @retval 0              success
 * @retval -EFAULT        an address is NULL
 * @retval -EINVAL        bad length, flags or address; the stack does not send (tx_ring_max=0)
 * @retval -EAFNOSUPPORT  an address is not AF_INET
 * @retval -EADDRNOTAVAIL the local address is not the stack's
 * @retval -EHOSTUNREACH  no route to the destination
 * @retval -ENOBUFS       max_udp_tx_endpoints zockets exist already
 *
 * Several transmit zockets may share a local address and port, also with receive zockets. Guide 5.7, 11.11.2.9.
 */
int zfut_alloc(struct zfut **us_out, struct zf_stack *st, const struct sockaddr *laddr,
	       socklen_t laddrlen, const struct sockaddr *raddr, socklen_t raddrlen, int flags,
	       const struct zf_attr *attr);

/** Release a transmit zocket; what was sent is not called back. Returns 0. Guide 11.11.2.10. */
int zfut_free(struct zfut *us);

/**
 * The largest payload that fits one frame: the port's MTU less 28 bytes of IP and UDP headers. Constant for a
 * zocket, whatever path MTU is learnt later. Guide 11.11.2.12.
 */
int zfut_get_mss(struct zfut *us);

/**
 * Send one datagram in one frame, with the Don't Fragment bit. The bytes are copied.
 *
 * @param us      zocket
 * @param buf     payload; may be NULL if @p buflen is 0
 * @param buflen  bytes, at most zfut_get_mss()
 *
 * @return @p buflen on success
 * @retval -EAGAIN    the port is full: call zf_reactor_perform() until it returns non-zero and send again
 * @retval -EMSGSIZE  @p buflen above zfut_get_mss()
 * @retval -ENOBUFS   no packet buffer; as for -EAGAIN
 *
 * Cost: about 100 instructions with a small payload over a wire; more where a packet buffer and a checksum are needed.
 * Guide 11.11.2.14.
 */
int zfut_send_single(struct zfut *us, const void *buf, size_t buflen);

/**
 * Run zfut_send_single() up to the port without sending, so that its code and data are in the caches when it counts.
 * Nothing is sent, and nothing that anybody can see changes.
 *
 * @param us      zocket
 * @param buf     payload of the kind that will be sent; read, and forgotten
 * @param buflen  bytes, the same as in the send to come
 *
 * @return @p buflen
 * @retval -EMSGSIZE  @p buflen above zfut_get_mss()
 * @retval -EAGAIN    a send would not leave at once by the fast way: the port is full, the neighbour is not known, or
 *                    path or port take only smaller ones so
 * @retval -ENOBUFS   no packet buffer
 *
 * Cost: that of zfut_send_single(). API since 2018.
 */
int zfut_send_single_warm(struct zfut *us, const void *buf, size_t buflen);

/**
 * Send one datagram gathered from several buffers, in fragments if it does not fit the path's MTU. The bytes are
 * copied.
 *
 * All of it is sent or nothing: on failure no fragment has left.
 *
 * @param us       zocket
 * @param iov      buffers; empty ones are allowed
 * @param iov_cnt  number of buffers, 0 or more
 * @param flags    0 or ZFUT_FLAG_DONT_FRAGMENT
 *
 * @return payload bytes sent on success
 * @retval -EAGAIN    the port is full: call zf_reactor_perform() until it returns non-zero and send again
 * @retval -EMSGSIZE  more than 65,507 bytes, or with ZFUT_FLAG_DONT_FRAGMENT more than zfut_get_mss(); or more
 *                    fragments than 128 (on ports with an MTU below 532) or than n_bufs
 * @retval -ENOBUFS   not enough packet buffers; as for -EAGAIN
 * @retval -EINVAL    unknown flag or negative count
 *
 * Guide 5.7, 11.11.2.13.
 */
int zfut_send(struct zfut *us, const struct iovec *iov, int iov_cnt, int flags);

/** The waitable of a transmit zocket. Never fails; valid as long as the zocket. Guide 11.11.2.15. */
struct zf_waitable *zfut_to_waitable(struct zfut *us);

/** Bytes of all headers of a frame: frame length less payload. Constant for a zocket. Guide 11.11.2.11. */
unsigned zfut_get_header_size(struct zfut *us);

ZF_EXTERN_C_END

#endif
