/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Drive a stack frame by frame, without a network, a thread or a second of real time: for harnesses outside of this
 * project as for its own tests. Link with the static test library. doc/testing.md has an example.
 *
 * A test stack is an ordinary zf_stack on a port in memory whose other side is the caller. Its clock is virtual, in
 * nanoseconds, shared by all test stacks of the process, and stands still unless it is moved (calls of the API that
 * wait move it too). Everything happens in the caller's thread.
 *
 * Unless said otherwise: 0 or a negative errno. Nothing here aborts.
 */
#ifndef ZF_TESTING_H
#define ZF_TESTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zf_ctx;
struct zf_stack;
struct zft;
struct mem_port;
struct zt;

#define ZT_NEVER UINT64_MAX

/* What zt_close() and zt_leaks() found: all zero is as it should be. */
struct zt_leaks {
	uint32_t bufs;       /* packet buffers that are neither free nor held by the port */
	uint32_t rx_held;    /* of them, what the stack counts as queued or in the application's hands */
	uint32_t timers;     /* armed timers of zockets */
	uint32_t zockets;    /* zockets not freed */
	uint32_t other;      /* frames that the stack still wants to send */
};

/* Open a stack. @attrs: definitions as in ZF_ATTR, e.g. "ipv4=192.0.2.1/24;n_bufs=512"; with no `interface` among them
 * the stack gets a port of its own, "mem:ztN". Calls zf_init() the first time. The stack may send at once (ARP).
 */
int zt_open(struct zt **out, const char *attrs);

/* Free the stack. Returns 0, or -ENOTEMPTY if something had leaked; @leaks may be NULL. The port, unless the caller
 * named it, is forgotten with it.
 */
int zt_close(struct zt *t, struct zt_leaks *leaks);

/* Look for leaks now: meant for a moment when every zocket was freed. True if there is any. */
bool zt_leaks(struct zt *t, struct zt_leaks *leaks);

struct zf_stack *zt_stack(struct zt *t);
/* The stack from the inside, for this project's own tests. */
struct zf_ctx *zt_ctx(struct zt *t);
/* For mtu, link, faults and harsh modes: drivers/mem/mem.h. */
struct mem_port *zt_port(struct zt *t);
/* The port of the next zt_open() without `interface`, to set it up before. */
struct mem_port *zt_next_port(void);

/* Give the stack an Ethernet frame (without FCS), and let it handle it if @run. */
int zt_push(struct zt *t, const void *frame, size_t len, bool run);
/* The oldest frame sent and not popped: its length (copied into @buf, cut to @size), or -EAGAIN. */
int zt_pop(struct zt *t, void *buf, size_t size, uint64_t *when_ns);

/* Let all test stacks handle what waits at this moment, until nothing does; the clock stands still.
 * Returns how many calls of zf_reactor_perform() had something to report, or -ELOOP after too many.
 */
int zt_run(void);

/* The clock. zt_set_clock() jumps without running anything, forwards only (-EINVAL); zt_advance() stops at each next
 * timer and each frame due on the way and runs the stacks there. Returns what the runs did, summed, as zt_run() does.
 */
uint64_t zt_clock(void);
int zt_set_clock(uint64_t ns);
int zt_advance(uint64_t ns);

/* When the stack (NULL: any test stack) wants to run next, or the next frame is due; ZT_NEVER if neither. */
uint64_t zt_next_event(struct zt *t);

/* Seed the stack's generator: from here on it does the same for the same input. */
void zt_seed(struct zt *t, uint64_t seed);

/* A counter by its name in counter.def, e.g. "RX_UDP". -ENOENT for an unknown name. */
int zt_counter(struct zt *t, const char *name, uint64_t *value);
/* Names by index, NULL at the end; *@rx says whether it is one in which a received frame ends. */
const char *zt_counter_name(unsigned int index, bool *rx);
uint64_t zt_counter_at(struct zt *t, unsigned int index);

/* A TCP zocket from the inside, to be read only. RFC 9293's names; sequence numbers are absolute, windows in bytes. */
struct zt_tcp {
	int state;             /* TCP_* of <netinet/tcp.h> */
	int error;             /* positive errno, 0 none */
	uint32_t iss, irs;
	uint32_t snd_una, snd_nxt, snd_wnd;
	uint32_t snd_end;      /* behind the last byte queued, FIN included */
	uint32_t rcv_nxt, rcv_wnd; /* the window as last told */
	uint32_t rcv_queued;   /* received bytes that the application has not taken */
	uint32_t mss;
	uint32_t cwnd, ssthresh; /* bytes; ssthresh is UINT32_MAX until something was lost */
	uint32_t flight;       /* snd_nxt - snd_una */
	uint32_t sacked, lost, retrans; /* bytes of it: the peer has them, are taken for lost, were sent again */
	uint32_t dup_acks;
	uint64_t srtt_ns, rttvar_ns, rto_ns; /* srtt 0: no sample yet; rto without backoff */
	uint32_t backoff;
	int recovery;          /* enum zt_tcp_recovery */
	uint32_t timers;       /* enum zt_tcp_timers: armed */
	bool sack, ts, wscale, ecn; /* agreed on */
	uint8_t snd_shift, rcv_shift;
	bool fast_send, fast_recv; /* the next small send, the next in-order segment may go the fast way */
};

enum zt_tcp_recovery {
	ZT_TCP_OPEN,
	ZT_TCP_DISORDER, /* duplicates came, nothing is taken for lost */
	ZT_TCP_RECOVERY, /* fast recovery */
	ZT_TCP_LOSS,     /* behind a retransmission timeout */
};

enum zt_tcp_timers {
	ZT_TCP_RTO = 1,
	ZT_TCP_TLP = 2,
	ZT_TCP_REORDER = 4,
	ZT_TCP_PERSIST = 8,
	ZT_TCP_DELACK = 16,
	ZT_TCP_LONG = 32, /* keepalive, FIN-WAIT-2 */
	ZT_TCP_IDLE = 64, /* nothing in flight: what follows restarts slowly */
};

/* 0, or -EINVAL for a NULL zocket. Cut-through work is flushed first. */
int zt_tcp_probe(struct zft *ts, struct zt_tcp *out);

#ifdef __cplusplus
}
#endif
#endif
