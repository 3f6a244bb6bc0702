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
	/* TCP lines: ports, and what relative numbers count from. */
	uint16_t tcp_us, tcp_peer;
	uint32_t tcp_us_isn, tcp_peer_isn;
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

/* ps_show.c: one line as tcpdump would print it. */
void ps_show(char *out, size_t size, const uint8_t *b, uint32_t len);
void ps_dump(FILE *f, const uint8_t *b, uint32_t len);

/* ps_check.c: what holds for every frame that a stack sends. NULL, or what is wrong. */
const char *ps_check_sent(struct ps *s, const uint8_t *b, uint32_t len);

/* ps_mode.c */
extern const char *const ps_mode_names[PS_MODES];
void ps_mode_set(enum ps_mode m);
void ps_mode_apply(struct mem_cfg *c);

/* ps.c: runs a script; false if it failed. Counters that it raised are or-ed into @seen. */
enum ps_verbosity {
	PS_SAY_NOTHING,
	PS_SAY_FAILURES,
	PS_SAY_ALL,
};
bool ps_play(const struct ps_test *t, enum ps_mode mode, bool seen[CNT__N], enum ps_verbosity verbosity);

#endif
