/* SPDX-License-Identifier: BSD-3-Clause
 *
 * fastslow: two stacks live the same life, one with TCP's fast paths and one without. The same frames arrive, the same
 * calls are made, at the same virtual time; calls that fall between cut-through and the flush of what it owes are the
 * point. What calls return, what is sent and what the connections look like must be the same. Everything is drawn from
 * one seed.
 *
 *   fs_main.c   seeds, options, the order of a step
 *   fs_peer.c   what arrives
 *   fs_call.c   what the application does
 *   fs_mux.c    what their muxers tell
 *   fs_pair.c   the two stacks, what they send, and what must be equal
 *
 * Knows struct zft from the inside and only reads it. How much may differ is said at enum fs_level.
 */
#ifndef ZF_TEST_FS_H
#define ZF_TEST_FS_H

#include <zf/zf.h>

#include "base/rng.h"
#include "mem/mem.h"
#include "tcp/tcp.h"
#include "zf_testing.h"

/* What may happen between the poll that takes frames and the flush; all of it may happen behind the flush. */
enum fs_level {
	/* Calls that look. Then all is equal: every frame with every field, every variable. */
	FS_LOOK,
	/* Calls that send too. Where the stack without fast paths has acknowledged by a segment of its own at the end of
	 * the poll, the other one's data may carry the acknowledgement: a pure ACK without SACK blocks may be missing if
	 * something sent later in the step acknowledges as much. All else is equal.
	 */
	FS_SEND,
	/* Calls that read too. An ACK that was sent before the reading and one sent behind it tell different windows,
	 * and so may the next ones; which arrival completes a pair of segments that are due an ACK moves along. So windows
	 * and pure ACKs (news of a window repeats SACK blocks) are not compared, but by their bounds: no window shrinks,
	 * and no more is owed an ACK than may be. No timestamps here: they echo what was acknowledged.
	 */
	FS_READ,
	FS_LEVELS
};

enum { FAST, SLOW, SIDES };

#define FS_OUT_MAX 65536

/* A frame that a stack sent. */
struct fs_out {
	uint64_t when;
	bool tcp;
	uint8_t flags;
	uint8_t tos;
	uint8_t mac;       /* the last byte of where it went */
	uint16_t wnd;
	uint16_t len;      /* payload */
	uint16_t opt_len;
	uint16_t sport;
	uint32_t seq, ack;
	uint32_t hash;     /* of payload and options, or of the whole frame if it is not TCP */
};

struct fs;

struct fs_side {
	struct fs *f;
	struct zt *t;
	struct zft *ts;    /* NULL before the connection and behind zft_free() */
	struct zftl *tl;
	struct zf_muxer_set *set;
	uint32_t sent, rcvd; /* bytes of the two streams that went through the calls */
	uint32_t acked;      /* what its last segment acknowledged, */
	uint32_t right;      /* right edge of the window as told in it, */
	uint8_t shift;       /* and its scale */
	bool mute;           /* nobody answers ARP */
	struct fs_out out[FS_OUT_MAX];
	uint32_t n_out;
};

struct fs_cfg {
	enum fs_level level;
	bool passive, ts, sack, ecn, copy, unjudged, delack;
	bool lazy;           /* the application hardly reads, and many small segments arrive */
	bool calm;           /* the peer says nothing odd, and there are pauses that end in probes */
	uint16_t copy_max;   /* with copy: bytes of a frame that the port copies, some or all */
	bool big;            /* queues become full before buffers or congestion windows end it */
	int wscale;          /* of the peer, -1 none */
	uint16_t mss;        /* of the peer */
	uint32_t rx_window, n_bufs, tx_ring, initial_cwnd;
	uint32_t iss, irs;
	const char *cc;
};

struct fs {
	struct fs_side s[SIDES];
	struct fs_cfg c;
	struct rng rng, mux_rng; /* the muxers' draws do not change a seed's life */
	uint64_t seed;
	uint32_t step;
	bool verbose;
	bool touched;       /* this step had calls between that send or read */
	bool late;          /* frames of earlier steps wait for the neighbour's address */
	bool refused;       /* port or pool had no room in it: what was not said then goes with something later, or alone */
	bool shrunk;        /* it had a segment that takes back some of the peer's window: see fs_arrive() */
	/* The peer. */
	uint8_t mac;        /* the last byte of its MAC */
	uint32_t tsval;
	uint32_t ack;       /* the highest it has acknowledged */
	uint32_t wnd;       /* header field of its last segment */
	bool fin;           /* it has sent its FIN, at: */
	uint32_t fin_seq;
	char last[256];     /* what was done last, for the report */
};

/* Stack `us` is 192.0.2.1, port 1000; the peer is .66, port 2000. */
#define FS_US    0xc0000201u
#define FS_PEER  0xc0000242u
#define FS_SPORT 2000
#define FS_DPORT 1000

/* A segment of the peer's. Numbers are absolute. */
struct fs_seg {
	uint32_t seq, ack;
	uint16_t wnd, len;
	uint8_t flags, tos;
	uint8_t opt[40], opt_len;
	uint8_t cut;        /* bytes of the header that the IP packet lacks: the data offset lies */
	uint16_t dport;
};

/* Ends the program with what the seed did: a test that has failed has nothing more to say. */
void fs_fail(struct fs *f, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void fs_say(struct fs *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline uint32_t
fs_below(struct fs *f, uint32_t n)
{
	return (uint32_t)rng_below(&f->rng, n);
}

static inline bool
fs_one_in(struct fs *f, uint32_t n)
{
	return fs_below(f, n) == 0;
}

/* The byte at @off of the stream in either direction. */
static inline uint8_t
fs_pattern(uint32_t off)
{
	return (uint8_t)(off ^ off >> 8 ^ off >> 16 ^ 0x5a);
}

/* fs_pair.c */
void fs_open(struct fs *f);
void fs_close(struct fs *f);
void fs_push(struct fs *f, const uint8_t *frame, uint32_t len);
/* Take up what was sent since; @at_end of a step also compare it, and the connections. */
void fs_collect(struct fs *f);
void fs_compare(struct fs *f);
/* One poll of each, and polls until nothing is left to do. */
void fs_poll(struct fs *f);
void fs_flush(struct fs *f);

/* fs_peer.c */
void fs_seg_push(struct fs *f, const struct fs_seg *g);
void fs_arp_push(struct fs *f);
void fs_handshake(struct fs *f);
/* Some frames of any kind, for one poll. */
void fs_arrive(struct fs *f);
/* Something that is not a segment: ICMP, ARP, the link, the port's room. */
void fs_surround(struct fs *f);

/* fs_mux.c: behind a flush. */
void fs_mux(struct fs *f);

/* fs_call.c */
void fs_call(struct fs *f, bool between);
void fs_free(struct fs *f);

#endif
