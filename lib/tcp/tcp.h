/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The TCP room from the inside: connections (struct zft), listeners, the queue of sent and unsent bytes, and the tables
 * they live in. Everything is in the stack's arena and is linked by index.
 *
 * Who does what:
 *   input.c     the numbered steps of RFC 9293 3.10 for one received segment, and its cut-through (fast.h)
 *   ack.c       what an acknowledgement does: queue, window, congestion control
 *   loss.c      what was lost: scoreboard, RACK-TLP, PRR, undo; loss_rec.c: the records for it
 *   output.c    what is to be sent now, and how a segment is built
 *   timer.c     what is due
 *   prep.c      frames made ahead of time, for alternatives
 *   syn.c tw.c  connections before and after they are a struct zft
 *   conn.c recv.c send.c listen.c   the calls of the API
 *
 * Input computes, output sends. This room knows nothing of stacks, UDP, or who polls. Times are cycles of ctx->now.
 */
#ifndef ZF_TCP_TCP_H
#define ZF_TCP_TCP_H

#include <zf/zf.h>
#include <netinet/tcp.h> /* TCP_ESTABLISHED and its kin: what zft_state() returns */

#include "base/siphash.h"
#include "core/arena.h"
#include "core/ctx.h"
#include "core/htab.h"
#include "core/mux.h"
#include "ip/netif.h"
#include "ip/output.h"
#include "ip/parse.h"
#include "tcp/cc.h"
#include "tcp/key.h"
#include "tcp/loss_state.h"
#include "tcp/opt.h"
#include "tcp/rtt.h"
#include "tcp/seq.h"

#define TCP_NONE UINT32_MAX

/* Bytes of IP and TCP header without options. */
#define TCP_IP_BYTES 40u
/* TCP_MSS_DEFAULT, 536, what may be sent to a peer that says nothing (RFC 9293 3.7.1), is <netinet/tcp.h>'s. A peer's MSS below this would cost more headers than bytes: it is taken for this (hostile-inputs: 0, 1, 7, ...). */
#define TCP_MSS_MIN 48u
/* Bytes and segments a zocket may have queued for sending, acknowledged ones excluded. */
#define TCP_SNDQ_BYTES (1024u * 1024u)
#define TCP_SNDQ_SEGS  1024u

/* A run of bytes in the send queue: what one segment carries. */
struct tcp_txseg {
	struct rte_mbuf *m;
	uint64_t sent;  /* cycles of the last transmission */
	tcpseq_t seq;
	uint32_t next;  /* in the queue, or the free list */
	uint16_t len;   /* payload; 0 only of a FIN alone */
	uint16_t off;   /* of the payload in @m's buffer, from buf_addr */
	uint8_t flags;  /* enum tcp_txseg_flags */
	uint8_t n_sent; /* transmissions, saturating */
	uint16_t hole;
};
ZF_STATIC_ASSERT(sizeof(struct tcp_txseg) == 32, "two to a cache line");

enum tcp_txseg_flags {
	TXSEG_FIN = 1,      /* the FIN follows the payload */
	TXSEG_PSH = 2,
	TXSEG_SHARED = 4,   /* another segment's payload lies in the same buffer: never sent in place */
	TXSEG_SACKED = 8,   /* the peer has it (and may renege) */
	TXSEG_LOST = 16,    /* counted as lost: to be sent again, if it is not RETRANS */
	TXSEG_RETRANS = 32, /* sent again and on its way */
	TXSEG_EVER_RETRANS = 64, /* was sent more than once: no RTT sample (Karn) */
	TXSEG_PROBE = 128,  /* its last transmission was a tail-loss probe */
};

/* Which timer of a connection: index into zft.due. */
enum tcp_due {
	TCP_DUE_RTX,  /* retransmission, tail-loss probe, reordering or persist timer, see zft.rtx_mode */
	TCP_DUE_ACK,  /* delayed acknowledgement */
	TCP_DUE_LONG, /* keepalive, FIN-WAIT-2 */
	TCP_DUE__N
};

enum tcp_rtx_mode {
	RTX_RTO,
	RTX_TLP,
	RTX_REORDER,
	RTX_PERSIST,
	RTX_IDLE, /* nothing in flight: when it fires, the congestion window restarts (RFC 5681 4.1) */
};

/* What happens to a connection that is over: whatever was waited for will not come. */
#define TCP_OVER_EVENTS (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP)

/* zft.fast_recv of a zocket that may not cut through: no header has it, PSH being masked out. */
#define TCP_FAST_NONE 0xffffu

/* zft.flags */
enum tcp_flags {
	TF_ACK_NOW = 1u << 0,      /* an ACK must leave by the end of this poll */
	TF_ACK_DELAYED = 1u << 1,  /* an ACK is owed within tcp_delack_ms */
	TF_OWED = 1u << 2,         /* in the list of cut-through work */
	TF_PENDING = 1u << 3,      /* in the list of connections with something to send */
	TF_APP = 1u << 4,          /* the application holds the zocket */
	TF_HANDLE = 1u << 5,       /* a zft_handle: not connected yet */
	TF_BOUND = 1u << 6,        /* the port is registered with the netif as (lip, lport, any) */
	TF_REGISTERED = 1u << 7,   /* the 4-tuple is */
	TF_HASHED = 1u << 8,       /* in the demux table */
	TF_FIN_QUEUED = 1u << 9,   /* shut down: the FIN is in the queue or was sent */
	TF_FIN_RCVD = 1u << 10,    /* the peer's FIN was taken in order */
	TF_WANT_OUT = 1u << 11,    /* a send got -EAGAIN: EPOLLOUT is owed */
	TF_SACK = 1u << 12,        /* options that both sides agreed on */
	TF_TS = 1u << 13,
	TF_WSCALE = 1u << 14,
	TF_ECN = 1u << 15,
	TF_ECE = 1u << 16,         /* echo congestion until CWR comes */
	TF_CWR = 1u << 17,         /* CWR goes with the next new data */
	TF_MORE = 1u << 18,        /* the tail of the queue is held back (MSG_MORE) */
	TF_PASSIVE = 1u << 19,     /* came from a listener, or by simultaneous open from our SYN: not set */
	TF_ACCEPT = 1u << 20,      /* waits in an accept queue */
	TF_DSACK = 1u << 21,       /* the next ACK reports zft.dsack */
	TF_PEER_MORE = 1u << 22,   /* the peer's window kept data back: SWS, persist */
	TF_UNREACH = 1u << 23,     /* a soft ICMP error came; what ETIMEDOUT becomes */
	TF_BUSY = 1u << 24,        /* counts in tcp_room.busy_zft */
	TF_REPORTED = 1u << 25,    /* an end by error was handed to the reader */
	TF_ALT = 1u << 26,         /* frames wait in alternatives, see prep.h: no fast send, ctx->zft_gone() is told */
};

struct zft {
	/* R: every in-order segment. */
	struct zf_waitable w;
	struct tcp_key key;
	uint8_t state;        /* TCP_ESTABLISHED ...: <netinet/tcp.h> */
	uint8_t rcv_shift;    /* our window's scale */
	uint16_t fast_recv;   /* data offset and flags of a segment that may be cut through, as the wire has them and
			       * without PSH; 0: none may */
	tcpseq_t rcv_nxt;
	tcpseq_t rcv_adv;     /* right edge of the window as told, never moves left */
	tcpseq_t snd_una;
	tcpseq_t snd_nxt;
	uint32_t max_snd_wnd; /* the largest window the peer ever told */
	uint32_t rxq_pkts;    /* buffers queued, those in the application's hands included */
	struct rte_mbuf *rxq_head;
	struct rte_mbuf *rxq_tail;

	/* R2: cut-through's record, and what receiving calls write. */
	int64_t ctx_off;      /* from this zocket to its ctx */
	tcpseq_t owed_seq;    /* of the last segment cut through */
	tcpseq_t owed_ack;    /* its acknowledgement */
	uint16_t owed_wnd;    /* its window field, host order, not scaled */
	uint16_t owed_max;    /* the largest payload of them */
	uint32_t owed_next;   /* list of zockets with a record */
	uint32_t pend_next;   /* list of zockets with something to send */
	uint32_t rxq_bytes;   /* not yet consumed */
	uint32_t ack_bytes;   /* received since the last ACK was sent */
	uint32_t flags;       /* enum tcp_flags */
	uint32_t ts_recent;
	tcpseq_t last_ack_sent;
	uint32_t handed_pkts; /* buffers in the application's hands, from the head of the queue */
	uint32_t handed_off;  /* bytes of the head that are consumed already */
	uint32_t rcv_buf;     /* bytes the window may span */

	/* T: every send. */
	uint32_t fast_send_bytes ZF_CACHE_ALIGNED; /* a payload up to here may go the fast way, see tcp_fast_limit() */
	uint32_t path_gen;    /* ctx->path_gen that hdr was made for */
	uint32_t sq_head;     /* send queue: oldest not acknowledged, */
	uint32_t sq_unsent;   /* first never sent, */
	uint32_t sq_tail;
	uint32_t sq_segs;
	tcpseq_t snd_end;     /* behind the last byte queued (FIN included) */
	uint32_t snd_wnd;
	tcpseq_t snd_wl1;
	tcpseq_t snd_wl2;
	uint16_t mss;         /* payload of a full segment */
	uint8_t hdr_len;      /* of a data segment, Ethernet included */
	uint8_t l3_off;       /* of the IP header in hdr */
	uint8_t sum_mode;     /* enum tcp_sum_mode */
	uint8_t probes;       /* keepalive probes without an answer */
	uint8_t error;        /* what zft_error() says: positive errno */
	uint8_t soft_error;   /* while nothing worse has happened: what an ICMP error said (RFC 9293 3.9.2.2) */
	uint32_t ip_sum;      /* RFC 1071 sums of the template with the changing fields 0 */
	uint32_t l4_sum;
	uint32_t snd_room;    /* bytes that windows and queue still let leave; fast sends count it down */
	uint8_t snd_shift;    /* the peer's window scale */
	uint8_t rtx_mode;     /* enum tcp_rtx_mode */
	uint8_t backoff;      /* of RTO or persist timer */
	uint8_t retries;      /* unanswered retransmissions of what is at snd_una, or of SYN */
	/* 64 + 8: starts a cache line, so that Ethernet, IP and TCP header up to the checksum are in one. */
	uint8_t hdr[72] ZF_CACHE_ALIGNED;

	/* S: slower. */
	uint64_t due[TCP_DUE__N]; /* 0: off. The one wheel timer is armed for the earliest, or earlier */
	struct wheel_timer timer;
	struct tcp_rtt rtt;
	struct tcp_cc cc;
	struct tcp_loss loss;
	struct ip_path path;
	tcpseq_t iss;
	tcpseq_t irs;
	uint32_t ts_offset;   /* of our timestamps' clock */
	uint64_t last_rcvd;   /* when the peer was last heard of: keepalive, idle restart is by last_sent */
	uint32_t ts_recent_at; /* when ts_recent was new: tcp_paws_clock() */
	uint32_t ooo_head;    /* ranges beyond rcv_nxt, see ooo.h */
	uint32_t index;
	uint32_t listener;    /* index of the listener it came from, or TCP_NONE */
	union {
		uint32_t next;    /* free list, accept queue */
		tcpseq_t alt_due; /* TF_ALT, so it is the application's: rcv_nxt from which on a prepared header is too old */
	};
	union {
		uint32_t rec; /* in loss.c's table, or TCP_NONE */
		uint32_t tw;  /* state TIME-WAIT: the entry that carries on, or TCP_NONE */
	};
	uint16_t peer_mss;
	uint16_t rcv_mss;     /* the largest payload the peer sent, as an estimate of its MSS */
	uint32_t challenge_ms; /* when the last challenge ACK left (RFC 5961 7), of tcp_ts_now() */
	struct tcp_sack_block dsack;
} ZF_CACHE_ALIGNED;

ZF_STATIC_ASSERT(offsetof(struct zft, ctx_off) == 64, "R: what a segment is compared with is one line");
ZF_STATIC_ASSERT(offsetof(struct zft, fast_send_bytes) == 128, "R2: what it leaves behind is the next");
ZF_STATIC_ASSERT(offsetof(struct zft, hdr) == 192, "T: what a send reads and counts is one line");
ZF_STATIC_ASSERT(offsetof(struct zft, due) <= 264, "and its header and deadlines follow");
ZF_STATIC_ASSERT(sizeof(struct zft) <= 512, "see doc/performance.md, memory of a connection");

struct zftl {
	struct zf_waitable w;
	be32_t lip;
	be16_t lport;
	uint16_t hole;
	uint32_t q_head;      /* completed connections, in the order of completion */
	uint32_t q_tail;
	uint32_t q_len;
	uint32_t refs;        /* 1 while the application holds it, + connections and entries that came from it: the port
			       * stays registered until none is left */
	int64_t ctx_off;
	uint32_t index;
	uint32_t next_free;
	bool open;            /* the application's */
};

/* The attributes, in units of the data path. */
struct tcp_conf {
	struct tcp_rtt_limits rtt;
	uint64_t delack, timewait, finwait, keep_time, keep_intvl;
	uint64_t ms_mult;     /* cycles * ms_mult >> 64 are milliseconds */
	uint32_t rx_window, initial_cwnd;
	uint8_t delayed_ack, retries, syn_retries, synack_retries;
	uint8_t keepalive, keep_probes, timestamps, ecn;
	uint8_t cookies, cc, tos, fast_path, wait_for_tw;
	uint8_t rcv_shift; /* that rx_window needs */
};

#define TCP_OUT_BURST 32

/* Frames of this room on their way to the port: gathered, sent in one burst, and taken back if the port is full. */
struct tcp_out {
	struct rte_mbuf *m;
	uint32_t zft;  /* TCP_NONE: of no connection */
	uint32_t seg;  /* txseg sent by it, or TCP_NONE: an ACK */
	tcpseq_t seq;  /* where that began */
};

struct tcp_room {
	/* By 4-tuple. Indexes below max_zft are zfts, the next max_tw TIME-WAIT entries, then come those of the SYN cache. */
	struct htab conns;
	struct htab listens;    /* by (lip, lport) */
	struct zft *zfts;
	struct zftl *zftls;
	struct tcp_txseg *segs;
	struct tcp_rec *recs;   /* of connections that lost something */
	struct tcp_tw_table *tw;
	struct tcp_syn_table *syn;
	struct tcp_ooo_table *ooo;
	uint32_t max_zft, max_segs, max_tw, max_syn, max_rec;
	uint32_t n_zftl;        /* that may be open */
	uint32_t max_zftl;      /* records: those of freed listeners live as long as their connections */
	uint32_t free_zft, free_zftl, free_seg;
	uint32_t n_free_seg;
	uint32_t free_rec, n_free_rec;
	uint32_t rec_hand;      /* where the search for a record that can be spared goes on */
	uint32_t open_zft;      /* used: in the application's hands or still closing */
	uint32_t app_zft;       /* in the application's hands */
	uint32_t busy_zft;      /* connections in a synchronized or opening state: what quiescence waits for */
	uint32_t open_zftl;
	/* Buffers in send queues, and how many there may be before some are borrowed from what received data may hold
	 * (ctx->rx_hold_max): their sum is constant, so that frames are received and sent whatever is queued.
	 */
	uint32_t tx_held, tx_held_max;
	uint32_t tx_held_own;   /* not borrowed */
	uint32_t tx_held_top;   /* with all that may be */
	uint32_t prep_segs;     /* records of prepared frames, which are in no queue, */
	uint32_t prep_held;     /* and their part of tx_held */
	uint32_t owed_head;     /* cut-through work of the last poll */
	uint32_t pend_head, pend_tail; /* connections with something to send */
	uint32_t n_out;
	struct tcp_out out[TCP_OUT_BURST];
	struct rte_mbuf *burst[TCP_OUT_BURST];
	struct tcp_conf conf;
	struct siphash_key key; /* of initial sequence numbers, timestamps and cookies */
	struct output_limit rst_limit;       /* resets to strangers */
	struct output_limit challenge_limit; /* RFC 5961 7; each connection has its own too */
	struct wheel_timer tw_timer;
	struct wheel_timer syn_timer;
	tcpseq_t tw_iss_floor;  /* while a SYN takes the place of a TIME-WAIT entry: where the new one begins at least */
	bool tw_iss_set;
	uint16_t mss;           /* of the port: MTU - 40 */
	bool can_rx, can_tx;
};

enum tcp_sum_mode {
	TCP_SUM_NONE,    /* the port cannot damage frames, or sums every one up by itself */
	TCP_SUM_OFFLOAD, /* the port fills both checksums in */
	TCP_SUM_SOFT,
};

static ZF_ALWAYS_INLINE struct zf_ctx *
zft_ctx(const struct zft *ts)
{
	return (struct zf_ctx *)((char *)(uintptr_t)ts + ts->ctx_off);
}

/* A clock for the 24 days of PAWS: coarse (seconds), and good for 2^64 cycles. */
static ZF_ALWAYS_INLINE uint32_t
tcp_paws_clock(uint64_t cycles)
{
	return (uint32_t)(cycles >> 32);
}

static ZF_ALWAYS_INLINE struct zf_ctx *
zftl_ctx(const struct zftl *tl)
{
	return (struct zf_ctx *)((char *)(uintptr_t)tl + tl->ctx_off);
}

/* What is true of the connection now, of EPOLL*. As far as is known without working owed segments off. */
uint16_t tcp_events(const struct zft *ts);
uint16_t tcp_listen_events(const struct zftl *tl);

/* room.c. Room and tables from the arena; called twice, see arena.h. NULL in the dry run. */
struct tcp_room *tcp_room_take(struct arena *a, const struct zf_attr *attr, uint32_t n_bufs);
/* @tx_own: buffers that send queues may always hold, @tx_top: at most, see tx_held. */
void tcp_room_init(struct zf_ctx *ctx, uint32_t tx_own, uint32_t tx_top);
/* Everything ends at once: buffers go home, addresses are free, peers may find out by a reset. */
void tcp_room_fini(struct zf_ctx *ctx);
/* Nothing left to send or to close; see zf_stack_is_quiescent(). */
bool tcp_is_quiescent(struct zf_ctx *ctx);

/* The reactor's: */
/* A checked segment in @m; takes @m over and counts it. */
void tcp_input(struct zf_ctx *ctx, struct rte_mbuf *m, const struct seg *s);
/* The same of a frame that parse_fast_ip() found to carry an IP packet of @total bytes, 40 or more, whose index in the
 * demux table, or TCP_NONE, has just been looked up. Reads the clock.
 */
void tcp_input_plain(struct zf_ctx *ctx, struct rte_mbuf *m, uint32_t total, uint32_t index);
/* A TIMER_TCP* timer. */
void tcp_timer(struct zf_ctx *ctx, struct wheel_timer *t);
/* Work that cut-through put off, and connections that could not send. */
void tcp_run_owed(struct zf_ctx *ctx);
/* The end of a poll: ACKs and data gathered leave. */
void tcp_run_pending(struct zf_ctx *ctx);
/* A valid ICMP error that quotes a segment of ours, true if it found its connection (and may lower the path MTU). */
struct icmp_quote;
bool tcp_icmp_error(struct zf_ctx *ctx, const struct icmp_quote *q);
/* Is this segment for a zocket of this stack? For queues that several stacks share. */
bool tcp_wants(struct zf_ctx *ctx, const struct seg *s);

#if defined(ZF_TEST) && ZF_TEST
/* The next initial sequence numbers of every connection, for packet scripts. */
extern bool tcp_isn_forced;
extern uint32_t tcp_isn_value;
#endif

#endif
