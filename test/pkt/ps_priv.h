/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Inside of the packet-script engine: the script's state, and the line of frames with "do not care" bits between the
 * builder (ps_line.c, ps_proto.c), the matcher (ps.c) and the printer (ps_show.c).
 */
#ifndef ZF_TEST_PS_PRIV_H
#define ZF_TEST_PS_PRIV_H

#include <setjmp.h>
#include <stdio.h>

#include "pkt/ps.h"
#include "softvi/softvi.h"

#define PS_FRAME_MAX  66000
#define PS_WORDS_MAX  128
#define PS_LINE_MAX   4096
#define PS_ZOCKETS    512

/* A frame and, for expected ones, which of its bits count. */
struct ps_frame {
	uint32_t len;
	bool open_end; /* expected: more may follow (ICMP errors quote as much as they like) */
	uint8_t b[PS_FRAME_MAX];
	uint8_t m[PS_FRAME_MAX];
};

/* Time of a line, relative to the one before. */
struct ps_when {
	uint64_t from_ns;
	uint64_t to_ns;
	bool any;
};

/* What one side offered in its SYN. */
struct ps_syn {
	bool seen;
	uint32_t seq; /* relative */
	bool sack, ts;
	int wscale;   /* -1: not offered */
	uint32_t mss; /* 0: not stated */
};

struct ps_range {
	uint32_t from, to;
};
#define PS_RANGES 64

/* A TCP connection as the wire shows it; ps_conn.c. Numbers are relative to the initial ones of their side. */
struct ps_conn {
	uint64_t script;      /* whose it is: others are free entries */
	uint32_t us_ip, peer_ip;
	uint16_t us, peer;    /* ports */
	uint32_t us_isn, peer_isn;
	struct ps_syn us_syn, peer_syn, peer_syn2; /* the second: of another sequence number than the first */
	uint32_t us_max;      /* behind the highest number sent */
	uint32_t us_fin;      /* that of the FIN; 0: none */
	uint32_t us_ack, us_edge; /* the last ACK; the highest right edge of the window told */
	bool us_acked, peer_opened; /* us_ack and us_edge; peer_edge are there */
	uint32_t us_tsval;
	uint32_t peer_max, peer_edge, peer_fin;
	uint32_t peer_ts_min, peer_ts_max;
	bool peer_ts_seen;
	bool lost_track;      /* more pieces than we can remember */
	uint32_t n_got;
	struct ps_range got[PS_RANGES]; /* what the peer sent, sorted */
	struct zft *ts;       /* the script's zocket, if it is known */
};

/* A sent TCP segment, for the comparison of runs. */
struct ps_sent {
	uint16_t us, peer;
	uint16_t win, len;
	uint8_t flags, opt_len;
	uint16_t hole;
	uint32_t seq, ack; /* relative */
	uint32_t hash;     /* of options (without timestamps) and payload */
};

/* A zocket of the script: ps_zft.c. */
struct ps_zocket {
	struct zft *ts;
	struct zft_handle *handle;
	uint16_t us, peer;    /* ports */
	uint32_t sent, rcvd;  /* offsets in the streams */
	uint32_t reads, sends;
};
#define PS_LISTENERS 64
#define PS_ALTS      17

struct ps {
	struct zt *zt;
	struct zt *companion; /* shares the queue with it, in mode PS_SHARED */
	struct ps_opts opts;
	jmp_buf fail;
	uint64_t t_ns; /* time of the last line */
	uint8_t us_mac[6];
	uint16_t ip_id; /* of the next frame in */
	struct zfur *zfurs[PS_ZOCKETS];
	struct zfut *zfuts[PS_ZOCKETS];
	uint64_t base[CNT__N]; /* counters as of the last ps_count() */
	char *log;  /* the lines so far */
	size_t log_len;
	FILE *log_f;
	char *wire; /* the frames so far */
	size_t wire_len;
	FILE *wire_f;
	uint32_t fault_n;
	char fault[128];
	bool broken; /* the script has failed: no further checks */
	/* TCP lines: ports and window that they need not state, and the initial numbers of new connections. */
	uint16_t tcp_us, tcp_peer;
	uint16_t tcp_win;
	uint32_t tcp_us_isn, tcp_peer_isn;
	uint32_t line_us_ip, line_peer_ip; /* of the line being read */
	bool any_payload;  /* sent bytes need not be the pattern */
	bool no_tcp_check; /* segments arrive in ways that ps_conn.c cannot follow */
	const uint8_t *seen_opts; /* TCP options of the frame that an expected line is held against; "*" is the rest */
	uint32_t seen_opts_len;
	struct ps_zocket zocks[PS_ZOCKETS];
	struct ps_zocket *zock; /* the one that ps_tcp_... calls are about */
	uint32_t alt_bytes[PS_ALTS]; /* queued on each alternative */
	struct zftl *zftls[PS_LISTENERS];
	struct zftl *zftl;
	/* Set with the first TCP zocket: calls of zf_tcp.h that the engine's other files need. */
	void (*free_tcp)(struct ps *s);
	unsigned (*header_size)(struct zft *ts);
	uint64_t script;   /* number of this playing */
	struct ps_sent *trace;
	uint32_t n_trace, max_trace;
	bool trace_closed;
};

extern struct ps ps_one; /* one script at a time */
/* Where frames to the stack go too, as inputs of fuzz_frames; or NULL. */
extern FILE *ps_dump_f;

/* ps_line.c */
/* The words of a line: groups in (), [], {} and <> are one word with their brackets. Returns how many, -1: too many. */
int ps_split(char *line, char **words, int max);
/* Parses and builds. 0, or -1 with a reason in @err. @in: from the peer to us. Eats a leading time into @when. */
int ps_line(struct ps *s, const char *text, bool in, struct ps_when *when, struct ps_frame *f, char err[128]);
bool ps_ip(const char *text, uint32_t *ip);
bool ps_mac(struct ps *s, const char *text, uint8_t mac[6]);
void ps_mac_of(struct ps *s, uint32_t ip, uint8_t mac[6]);
bool ps_num(const char *text, uint64_t *v);

/* ps_proto.c: what follows the IP header (or the Ethernet header, for ARP). */
struct ps_l4 {
	uint8_t proto;
	uint32_t len;
	bool no_l3;      /* ARP and the like: @ethertype says what */
	uint16_t ethertype;
	bool open_end;
	bool total_any;  /* expected: the IP length is free */
	bool tos_any;    /* and the precedence */
	/* What the protocol wants of IP, if the line does not say otherwise. */
	uint32_t dst_ip; /* 0: no wish */
	uint8_t dst_mac[6];
	bool dst_mac_set;
	uint8_t ttl;
	bool router_alert;
	/* Where the checksum over the pseudo header goes, computed last; -1 none. */
	int csum_at;
	bool csum_bad;
	uint8_t b[PS_FRAME_MAX];
	uint8_t m[PS_FRAME_MAX];
};
int ps_proto(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128]);
/* "(12)", "(12@5)", "(x0102)", "(\"text\")" into @b: its length, -1: bad. */
int ps_payload_word(const char *word, uint8_t *b, uint32_t size);
uint32_t ps_sum16(const uint8_t *b, uint32_t len, uint32_t sum);
uint16_t ps_fold(uint32_t sum);

static inline void
ps_put16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void
ps_put32(uint8_t *b, uint32_t v)
{
	ps_put16(b, v >> 16);
	ps_put16(b + 2, v & 0xffff);
}

static inline uint32_t
ps_get16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static inline uint32_t
ps_get32(const uint8_t *b)
{
	return ps_get16(b) << 16 | ps_get16(b + 2);
}

/* ps_tcp.c: TCP lines, "S 0:0(0) win 1000 <mss 1460>". */
bool ps_is_tcp(const char *word);
int ps_tcp(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128]);

/* ps_conn.c */
/* The connection between two ends; a new one if there is none. NULL: the table is full, nobody watches it. */
struct ps_conn *ps_conn_of(struct ps *s, uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer);
/* The same, but only if it is there. */
struct ps_conn *ps_conn_find(struct ps *s, uint32_t us_ip, uint32_t peer_ip, uint16_t us, uint16_t peer);
struct ps_conn *ps_conn_next(struct ps *s, struct ps_conn *c);
bool ps_conn_has_ts(const struct ps_conn *c);
/* A frame arrives. */
void ps_conn_in(struct ps *s, const uint8_t *frame, uint32_t len);
/* ps_conn_check.c: a segment @p of @len bytes was sent under the IP header @ip. NULL, or what is wrong. */
const char *ps_conn_sent(struct ps *s, const uint8_t *ip, const uint8_t *p, uint32_t len);
/* What an option list of @len bytes says, into @o and @ts. NULL, or what is wrong with it. */
struct ps_opts_seen {
	struct ps_syn syn;
	bool has_mss, has_ts;
	uint32_t tsval, tsecr;
	uint32_t sacks;
	uint32_t sack[8];
};
const char *ps_tcp_opts(const uint8_t *b, uint32_t len, struct ps_opts_seen *o);

/* ps_show.c: one line as tcpdump would print it. */
void ps_show(char *out, size_t size, const uint8_t *b, uint32_t len);
void ps_dump(FILE *f, const uint8_t *b, uint32_t len);

/* ps_check.c: what holds for every frame that a stack sends. NULL, or what is wrong. */
const char *ps_check_sent(struct ps *s, const uint8_t *b, uint32_t len);

/* ps_mode.c */
extern const char *const ps_mode_names[PS_MODES];
void ps_mode_set(enum ps_mode m);
bool ps_mode_is_slow(void);
bool ps_mode_wraps(void);
void ps_mode_apply(struct mem_cfg *c);
bool ps_mode_is_vi(void);
void ps_mode_apply_vi(struct softvi_cfg *c);

/* ps.c: runs a script; false if it failed. Counters that it raised are or-ed into @seen. */
enum ps_verbosity {
	PS_SAY_NOTHING,
	PS_SAY_FAILURES,
	PS_SAY_ALL,
};
bool ps_play(const struct ps_test *t, enum ps_mode mode, bool seen[CNT__N], enum ps_verbosity verbosity);
/* ps_trace.c: the segments that scripts sent in different modes must be the same with and without fast path. */
bool ps_is_tcp_script(const struct ps_test *t);
bool ps_is_alt_script(const struct ps_test *t);
void ps_trace_keep(struct ps *s, enum ps_mode mode, bool ok);
/* Compares what was kept, prints a difference, and forgets all. How many pairs of modes differ. */
unsigned ps_trace_compare(const struct ps_test *t);

#endif
