/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP in packet scripts: zockets and connections.
 *
 *	PKT_TEST(rst_in_window_is_challenged, "RFC 5961 3.2")
 *	{
 *		struct ps *s = ps_established(.rcv_wnd = 65535);
 *
 *		ps_in (s, "+0   R  1001:1001(0)");
 *		ps_out(s, "+0   .  1:1(0) ack 1");
 *		ps_state(s, TCP_ESTABLISHED);
 *		ps_in (s, "+.01 R  1:1(0)");
 *		ps_error(s, ECONNRESET);
 *	}
 *
 * Scripts in files pkt_tcp*.c are also played without the fast path and with sequence numbers that wrap, see ps.h.
 *
 * The calls without a zocket among their arguments are about the script's current one: the last one connected or
 * accepted, or chosen by ps_use(). Lines without ports are about its connection too.
 */
#ifndef ZF_TEST_PS_ZFT_H
#define ZF_TEST_PS_ZFT_H

#include <netinet/tcp.h>

#include <zf/zf.h>
#include <zf/zf_tcp.h>

#include "pkt/ps.h"

struct ps_tcp_opts {
	struct ps_opts open;  /* of the stack: .open.attrs, .open.n_bufs, ... */
	const char *attrs;    /* the same as .open.attrs */
	uint32_t rcv_wnd;     /* tcp_rx_window; 0: the default */
	bool passive;         /* the peer connects */
	double rtt;           /* of the handshake, seconds */
	/* The peer's SYN or SYN-ACK. Without any of these it is that of a host of 1981 but for its MSS. */
	uint16_t peer_mss;    /* 0: 1460 */
	int peer_wscale;      /* 0: none; PS_WSCALE_0: offered as 0 */
	bool peer_sack;
	bool peer_ts;         /* with what it takes in our attributes */
	uint32_t peer_win;    /* window field of all the peer's lines that state none; 0: 65535, PS_WIN_0: 0 */
};
#define PS_WSCALE_0 (-1)
#define PS_WIN_0    UINT32_MAX

/* A stack with an established connection, us:1000 to peer:2000, made by a handshake. */
#define ps_established(...) ps_established_at(__LINE__, &(struct ps_tcp_opts){__VA_ARGS__})
struct ps *ps_established_at(int line, const struct ps_tcp_opts *o);
/* The handshake alone, of the current zocket (active) or of the current listener. */
void ps_handshake_at(struct ps *s, int line, const struct ps_tcp_opts *o);
#define ps_handshake(s, ...) ps_handshake_at(s, __LINE__, &(struct ps_tcp_opts){__VA_ARGS__})

/* What the stack takes for its next initial sequence numbers, and what lines of new connections count from. */
void ps_isn(struct ps *s, uint32_t isn);
/* Our initial sequence numbers are the stack's own choice; lines count from what it sends. */
void ps_isn_any(struct ps *s);
/* The peer's, of connections that have not been mentioned yet. */
void ps_peer_isn(struct ps *s, uint32_t isn);
/* Sent bytes are not of the pattern; or segments come in ways that defy the checks of what is sent. */
void ps_any_payload(struct ps *s);
void ps_no_tcp_check(struct ps *s);

/* Zockets; all are freed at the end if the script does not. The plain ones must succeed; ..._rc() give the answer. */
struct zft_handle *ps_handle(struct ps *s);
int ps_tcp_bind(struct ps *s, struct zft_handle *h, const char *local);
/* On success the zocket is the current one, and the handle forgotten. */
int ps_connect_rc(struct ps *s, struct zft_handle *h, const char *remote);
/* @local NULL: an ephemeral port, which lines take without saying so. */
struct zft *ps_connect_at(struct ps *s, int line, const char *local, const char *remote);
#define ps_connect(s)                   ps_connect_at(s, __LINE__, "us:1000", "peer:2000")
#define ps_connect_to(s, local, remote) ps_connect_at(s, __LINE__, local, remote)
int ps_listen_rc(struct ps *s, const char *local, struct zftl **tl);
struct zftl *ps_listen_at(struct ps *s, int line, const char *local);
#define ps_listen(s, local) ps_listen_at(s, __LINE__, local)
struct zft *ps_accept_at(struct ps *s, int line, struct zftl *tl);
#define ps_accept(s, tl)      ps_accept_at(s, __LINE__, tl)
#define ps_accept_none(s, tl) ps_accept_none_at(s, __LINE__, tl)
void ps_accept_none_at(struct ps *s, int line, struct zftl *tl);
void ps_handle_free(struct ps *s, struct zft_handle *h);
void ps_listen_free(struct ps *s, struct zftl *tl);
/* Another script's zocket becomes the current one. */
void ps_use(struct ps *s, struct zft *ts);
struct zft *ps_zft(struct ps *s);
struct zftl *ps_zftl(struct ps *s);

/* Send @len bytes, the next ones of the stream, by zft_send(), in turns of one piece and of five: what it
 * returned. Flags may follow.
 */
#define ps_tcp_send(s, ...) ps_tcp_send_args(s, (struct ps_send_args){__VA_ARGS__}, false)
/* By zft_send_single(). */
#define ps_tcp_send_single(s, ...) ps_tcp_send_args(s, (struct ps_send_args){__VA_ARGS__}, true)
struct ps_send_args {
	uint32_t len;
	int flags;
};
long ps_tcp_send_args(struct ps *s, struct ps_send_args a, bool single);
/* The next @len bytes wait, in order, and are read, in turns by copy and in place. */
void ps_tcp_recv_at(struct ps *s, int line, uint32_t len);
#define ps_tcp_recv(s, len) ps_tcp_recv_at(s, __LINE__, len)
/* Nothing waits, and the stream is open. */
void ps_tcp_recv_none_at(struct ps *s, int line);
#define ps_tcp_recv_none(s) ps_tcp_recv_none_at(s, __LINE__)
/* All was read, and the stream has ended: 0 by a FIN, else -ECONNRESET and the like. */
void ps_tcp_end_at(struct ps *s, int line, int rc);
#define ps_tcp_end(s, rc) ps_tcp_end_at(s, __LINE__, rc)
#define ps_tcp_eof(s)     ps_tcp_end_at(s, __LINE__, 0)
int ps_shutdown_rc(struct ps *s);
#define ps_shutdown(s) PS_EQ(s, ps_shutdown_rc(s), 0)
/* Frees the current zocket. */
void ps_tcp_free(struct ps *s);

#define ps_error(s, want) PS_EQ(s, zft_error(ps_zft(s)), want)
#define ps_state(s, want) PS_EQ(s, zft_state(ps_zft(s)), want)
/* The probe, sequence numbers relative to the initial ones; valid until the next call. */
const struct zt_tcp *ps_probe(struct ps *s);

#endif
