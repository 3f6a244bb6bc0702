/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Packet scripts: a test that plays the other side of the wire, line by line. See doc/testing.md for the grammar.
 *
 *	PKT_TEST(echo_is_answered, "RFC 792")
 *	{
 *		struct ps *s = ps_open();
 *
 *		ps_in (s, "+0 icmp echo request id 7 seq 1 (56)");
 *		ps_out(s, "+0 icmp echo reply id 7 seq 1 (56)");
 *		ps_count(s, RX_ICMP_ECHO, 1);
 *	}
 *
 * What every script checks without saying so: exactly the frames it states and no more, each with valid checksums and
 * lengths and from our address; each received frame in exactly one RX_ counter; no rule of the driver line broken; at
 * the end no buffer, timer or zocket left. The runner plays each script once for each harsh mode of the port.
 *
 * A check that fails ends the script (longjmp), prints its lines with a marker and what was on the wire.
 */
#ifndef ZF_TEST_PS_H
#define ZF_TEST_PS_H

#include <zf/zf.h>

#include "core/ctx.h"
#include "mem/mem.h"
#include "zf_testing.h"

struct ps;

/* Harsh modes of the port, see ps_mode.c. A script may leave some out. */
enum ps_mode {
	PS_NORMAL,
	PS_TX_HOLD,    /* sent buffers are never given back */
	PS_TX_LATE,    /* ... after 7 more */
	PS_TX_ONE,     /* one frame taken of each burst */
	PS_TX_PLAIN,   /* no shared, indirect, chained or external buffers */
	PS_TX_COPY,    /* small frames go by tx_copy, and nobody computes checksums */
	PS_TX_OFFLOAD, /* the port fills checksums in */
	PS_BLIND,      /* the port tells neither room nor whether frames wait */
	PS_SCRIBBLE,   /* garbage in fresh and in released buffers */
	PS_RX_SPLIT_1, /* frames arrive as chains, cut behind byte 1, */
	PS_RX_SPLIT_L3, /* within the IP header, */
	PS_RX_SPLIT_L4, /* within the UDP header and in the payload */
	PS_RX_JUDGED,  /* the port verifies received checksums and says so */
	PS_RX_UNKNOWN, /* it says that it could, and does not know */
	PS_SHARED,     /* another stack, with an address of its own, shares the queue */
	PS_ALT_PORT,   /* it has alternatives of its own, whose events are late (of the scripts in files pkt_tcp_alt*.c) */
	PS_VI_DMA,     /* ef_vi's driver over the model of an adapter, which sends by DMA; all is received by the VI, */
	PS_VI_PIO,     /* and with PIO; what has no filter comes by way of the kernel */
	/* The port is well-behaved; of the scripts of TCP (files pkt_tcp*.c) only. Modes other than these have the fast
	 * path on and initial sequence numbers far from the wrap.
	 */
	PS_SLOW,       /* tcp_fast_path=0: must send what PS_NORMAL does */
	PS_WRAP,       /* both sides' sequence numbers wrap within the first data; the port verifies checksums, as it
			* must for segments to be cut through
			*/
	PS_SLOW_WRAP,  /* both: must send what PS_WRAP does */
	PS_MODES
};
#define PS_MODE(m)      (1u << (m))
#define PS_ALL_MODES    ((1u << PS_MODES) - 1)
#define PS_ALONE       (PS_ALL_MODES & ~PS_MODE(PS_SHARED)) /* it matters whose address ARP says, whose buffer fails */
#define PS_COPYING     (PS_MODE(PS_TX_COPY) | PS_MODE(PS_VI_PIO)) /* small sends need no buffer */
#define PS_NO_VI       (PS_ALL_MODES & ~(PS_MODE(PS_VI_DMA) | PS_MODE(PS_VI_PIO))) /* what the port does is drivers/mem's */
#define PS_NORMAL_ONLY  PS_MODE(PS_NORMAL)
#define PS_TCP_NORMAL  (PS_MODE(PS_NORMAL) | PS_MODE(PS_SLOW) | PS_MODE(PS_WRAP) | PS_MODE(PS_SLOW_WRAP))
#define PS_VERIFYING   (PS_ALL_MODES & ~PS_MODE(PS_TX_COPY)) /* modes in which checksums are looked at */
#define PS_NO_TX_MODES  (PS_ALL_MODES & ~(PS_MODE(PS_TX_HOLD) | PS_MODE(PS_TX_ONE) | PS_MODE(PS_BLIND)))

struct ps_test {
	const char *name;
	const char *rfc;
	uint32_t modes;
	void (*run)(void);
	const char *must_fail; /* NULL, or what the failure must say: the engine's own tests */
	const char *file;
	struct ps_test *next;
};
void ps_register(struct ps_test *t);

#define PKT_TEST_IN(name_, rfc_, modes_)                                                           \
	static void name_(void);                                                                   \
	static struct ps_test ps_test_##name_ = {                                                  \
		.name = #name_, .rfc = rfc_, .modes = modes_, .run = name_, .file = __FILE__};     \
	__attribute__((constructor)) static void ps_register_##name_(void)                         \
	{                                                                                          \
		ps_register(&ps_test_##name_);                                                     \
	}                                                                                          \
	static void name_(void)
/* A script that must fail, saying @says_. */
#define PKT_MUST_FAIL(name_, says_)                                                                \
	static void name_(void);                                                                   \
	static struct ps_test ps_test_##name_ = {                                                  \
		.name = #name_, .rfc = "self-test", .modes = PS_NORMAL_ONLY, .run = name_,         \
		.must_fail = says_, .file = __FILE__};                                             \
	__attribute__((constructor)) static void ps_register_##name_(void)                         \
	{                                                                                          \
		ps_register(&ps_test_##name_);                                                     \
	}                                                                                          \
	static void name_(void)
#define PKT_TEST(name_, rfc_) PKT_TEST_IN(name_, rfc_, PS_ALL_MODES)

struct ps_opts {
	const char *attrs;  /* more attributes, e.g. "udp_ttl=3;max_udp_rx_endpoints=2" */
	const char *ipv4;   /* default "192.0.2.1/24" */
	const char *gateway; /* default "192.0.2.254"; "" for none */
	uint16_t vlan;
	uint16_t mtu;
	uint32_t n_bufs;    /* default 2048 */
	bool noisy_start;   /* leave the announcements of the start to the script, at their times */
	bool strangers;     /* the peer's MAC is not made known to the stack first */
	void (*port)(struct mem_cfg *cfg); /* last word on the port */
};

/* A stack for this script; it is closed, and checked, when the script ends. */
#define ps_open(...) ps_open_opts(&(struct ps_opts){__VA_ARGS__})
struct ps *ps_open_opts(const struct ps_opts *o);
struct zf_stack *ps_stack(struct ps *s);
struct mem_port *ps_port(struct ps *s);
struct zf_ctx *ps_ctx(struct ps *s);
enum ps_mode ps_mode_now(void);
/* Buffers that are neither in use nor on their way: those in an adapter's receive ring are free. */
uint32_t ps_bufs_free(struct ps *s);
/* The port does not tell whether frames wait: a stack on it always has pending work. */
bool ps_mode_is_blind(void);

/* Lines. ps_in() waits until the line's time, during which nothing may be sent, and lets the stack handle the frame;
 * ps_out() waits for the frame that must be sent at the line's time.
 */
void ps_in_at(struct ps *s, int line, const char *fmt, ...) ZF_PRINTF(3, 4);
void ps_out_at(struct ps *s, int line, const char *fmt, ...) ZF_PRINTF(3, 4);
#define ps_in(s, ...)  ps_in_at(s, __LINE__, __VA_ARGS__)
#define ps_out(s, ...) ps_out_at(s, __LINE__, __VA_ARGS__)
/* Like ps_in(), but the frame only arrives: the stack has not run yet. */
void ps_queue_at(struct ps *s, int line, const char *fmt, ...) ZF_PRINTF(3, 4);
#define ps_queue(s, ...) ps_queue_at(s, __LINE__, __VA_ARGS__)
/* Bytes instead of a line. */
void ps_in_frame_at(struct ps *s, int line, const void *frame, uint32_t len);
#define ps_in_frame(s, frame, len) ps_in_frame_at(s, __LINE__, frame, len)
void ps_in_hex_at(struct ps *s, int line, const char *hex);
#define ps_in_hex(s, hex) ps_in_hex_at(s, __LINE__, hex)
/* The frame of an incoming line into @buf, for a script that spoils it: its length. */
uint32_t ps_build(struct ps *s, void *buf, uint32_t size, const char *fmt, ...) ZF_PRINTF(4, 5);

/* The next frame that was sent, for a script that looks at its bytes: its length, 0 if there is none. */
uint32_t ps_take(struct ps *s, void *buf, uint32_t size);

/* Time passes, and nothing is sent meanwhile. */
void ps_silence_at(struct ps *s, int line, double seconds);
#define ps_silence(s, seconds) ps_silence_at(s, __LINE__, seconds)
/* Time passes, whatever is sent. Returns how many frames were. */
uint32_t ps_ignore(struct ps *s, double seconds);
/* The stack runs now. What the last zf_reactor_perform() returned. */
int ps_run(struct ps *s);
/* One call, checked: PS_EQ(s, ps_poll(s), 0). */
int ps_poll(struct ps *s);

/* The counter grew by @n since the script, or the last ps_count() of it, began. */
void ps_count_at(struct ps *s, int line, enum counter c, const char *name, uint64_t n);
#define ps_count(s, id, n) ps_count_at(s, __LINE__, CNT_##id, #id, n)
/* At least so much; for limits by rate. */
void ps_count_min_at(struct ps *s, int line, enum counter c, const char *name, uint64_t n);
#define ps_count_min(s, id, n) ps_count_min_at(s, __LINE__, CNT_##id, #id, n)

#define PS_EQ(s, expr, want) ps_eq(s, __LINE__, #expr, (long long)(expr), #want, (long long)(want))
#define PS_OK(s, cond)       ps_ok(s, __LINE__, #cond, cond)
void ps_eq(struct ps *s, int line, const char *expr, long long got, const char *wtext, long long want);
void ps_ok(struct ps *s, int line, const char *text, bool cond);
void ps_fail(struct ps *s, int line, const char *fmt, ...) ZF_PRINTF(3, 4) __attribute__((noreturn));
/* A remark among the script's lines, e.g. the step of a loop. */
void ps_note(struct ps *s, const char *fmt, ...) ZF_PRINTF(2, 3);

/* Addresses by name ("us", "peer", "other", "gw", "far", "bcast", "any") or number, with or without a port. */
struct sockaddr_in ps_addr(struct ps *s, const char *text);
/* Zockets, freed at the end if the script does not. */
struct zfur *ps_zfur_at(struct ps *s, int line, const char *local, const char *remote);
#define ps_zfur(s, local)              ps_zfur_at(s, __LINE__, local, NULL)
#define ps_zfur_from(s, local, remote) ps_zfur_at(s, __LINE__, local, remote)
/* A zfur without binding; then one more binding, which must give @want. */
struct zfur *ps_zfur_new(struct ps *s);
int ps_bind(struct ps *s, struct zfur *us, const char *local, const char *remote);
int ps_unbind(struct ps *s, struct zfur *us, const char *local, const char *remote);
struct zfut *ps_zfut_at(struct ps *s, int line, const char *local, const char *remote);
#define ps_zfut(s, local, remote) ps_zfut_at(s, __LINE__, local, remote)
void ps_zfur_free(struct ps *s, struct zfur *us);
void ps_zfut_free(struct ps *s, struct zfut *us);

/* Send @len bytes of the pattern from @off on: what the call returns. */
int ps_send(struct ps *s, struct zfut *us, uint32_t len);
int ps_send_off(struct ps *s, struct zfut *us, uint32_t len, uint32_t off, int flags);
int ps_send_single(struct ps *s, struct zfut *us, uint32_t len);
/* The next datagram is from @from (NULL: do not look) with @len bytes of the pattern from @off; it is done with. */
void ps_recv_at(struct ps *s, int line, struct zfur *us, const char *from, uint32_t len, uint32_t off);
#define ps_recv(s, us, from, len)          ps_recv_at(s, __LINE__, us, from, len, 0)
#define ps_recv_off(s, us, from, len, off) ps_recv_at(s, __LINE__, us, from, len, off)
/* Nothing waits. */
void ps_recv_none_at(struct ps *s, int line, struct zfur *us);
#define ps_recv_none(s, us) ps_recv_none_at(s, __LINE__, us)

/* The byte of every pattern payload at offset @i. */
static inline uint8_t
ps_pattern(uint32_t i)
{
	return (uint8_t)(i * 31u + (i >> 8) * 7u + (i >> 16) * 3u + 1u);
}
/* @len bytes of it from @off on; static storage, until the next call. */
const uint8_t *ps_payload(uint32_t len, uint32_t off);

#endif
