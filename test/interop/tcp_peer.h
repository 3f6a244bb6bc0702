/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP between a stack and the kernel, for interop_tcp*.c: the three ways in which the two may be joined, connections with
 * both ends in one place, streams that are compared byte by byte, a capture that is kept when a test fails.
 *
 * Either one thread turns both ends, or the kernel's end has a thread of its own (struct flow.threaded).
 */
#ifndef ZF_TEST_TCP_PEER_H
#define ZF_TEST_TCP_PEER_H

#include "box.h"
#include "peer.h"

#include "tcp/tcp.h"

#define TCP_STACK BASIC ";max_tcp_endpoints=256;log_level=0"

/* What lies between the stack's interface and the kernel's. */
enum between {
	BETWEEN_NOTHING, /* one veth pair */
	BETWEEN_BOX,     /* our box: start it with between_box() */
	BETWEEN_NFT,     /* the kernel carries frames, nft drops some */
};
bool between(enum between what);
/* Starts the box, or starts it again with other manners. NULL: none. */
void between_box(const struct box_way *to_peer, const struct box_way *to_us);
void between_box_report(void);
/* Drops percent of the frames in each direction; false: no nft, or not in this kernel. */
bool between_nft(unsigned int to_peer_percent, unsigned int to_us_percent);

/* In the kernel's namespace. Skips the test and gives false where it may not be set. */
bool peer_sysctl(const char *path, const char *value);
/* A command there: exit code, or -1. */
int peer_command(const char *command);
/* The same without waiting: the process, to be ended by peer_end(). */
int peer_spawn(const char *const argv[]);
int peer_end(int pid);

/* One end of a connection: what it is to do, and how far it is. */
struct half {
	uint64_t plan;   /* bytes to send */
	bool fin;        /* and then end the stream */
	bool deaf;       /* reads nothing for now */
	uint32_t sip;    /* at most so many bytes at a time; 0: no limit */
	uint64_t sent, rcvd;
	bool shut, eof, wrong;
	int error;       /* positive errno that ended it */
};

struct flow {
	struct zf_stack *st;
	struct zft *ts;
	int fd;
	bool threaded;
	struct half us, k;
	/* Of the last flow_run(): */
	uint64_t ns;       /* how long it took */
	uint64_t gap_ns;   /* the longest time without a byte received on either side */
	uint32_t timeouts; /* retransmission timeouts of ours */
	uint32_t recoveries;
};

/* Ours connects to the kernel's listener; the kernel connects to ours. False: it failed, and the test with it. */
bool flow_connect(struct flow *f, struct zf_stack *st);
bool flow_accept(struct flow *f, struct zf_stack *st);
/* Turns both ends until both have done what they were told; false after @ms, or when an end failed (says what). */
bool flow_run(struct flow *f, unsigned int ms);
/* One turn of each end. */
void flow_turn(struct flow *f);
bool flow_done(const struct flow *f);
void flow_show(const struct flow *f);
void flow_close(struct flow *f);

/* Polls the stack until @ms have passed. */
void turn_for(struct zf_stack *st, unsigned int ms);
/* Until it is quiescent; frees it; nothing may be left of it. */
void stack_down(struct zf_stack *st);
uint64_t counter_of(const struct zf_stack *st, int counter);

/* A connection of ours under way. */
struct zft *our_connect(struct zf_stack *st, uint16_t port);
struct zftl *our_listen(struct zf_stack *st, uint16_t port);
int kernel_listen(uint16_t port, int backlog);
/* Non-blocking, to a port of ours; @from 0: any. */
int kernel_connect(uint16_t port);
/* The stack is polled until one is there; NULL or -1 when none comes. */
struct zft *our_accept(struct zf_stack *st, struct zftl *tl);
int kernel_accept(struct zf_stack *st, int fd);
/* Waits for ESTABLISHED; false: it ended or takes too long. */
bool our_established(struct zf_stack *st, struct zft *ts);

/* Bytes @at to @at + @len of the stream. */
const uint8_t *stream_at(uint64_t at);
#define STREAM_RUN 65536u /* so many bytes may be read behind stream_at() */

uint64_t now_ns(void);

/* A test with its network, its capture and its time. */
void tcp_test(const char *name, void (*body)(void));
#define TCP_TEST(name)                                                                             \
	static void name##_body(void);                                                             \
	static void name(void)                                                                     \
	{                                                                                          \
		tcp_test(#name, name##_body);                                                      \
	}                                                                                          \
	static void name##_body(void)

#endif
