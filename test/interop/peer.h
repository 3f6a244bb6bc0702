/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Both ends of the veth pair, for the tests of this folder: stacks and zockets on ours, sockets on the kernel's. One
 * thread drives both sides, so nothing depends on timing; waits are bounded by a deadline far beyond what is needed.
 */
#ifndef ZF_TEST_PEER_H
#define ZF_TEST_PEER_H

#include <zf/zf.h>

#include "netns.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#define OUR_ADDR    "10.99.0.1"
#define SECOND_ADDR "10.99.0.3"
#define PEER_ADDR   "10.99.0.2"
#define OUR_PORT    5001
#define PEER_PORT   5002
#define MAX_PAYLOAD 65507

#define BASIC "interface=" NETNS_OURS ";ipv4=" OUR_ADDR "/24"

extern bool have_net; /* namespaces, veth pair and addresses are there */
extern bool long_run; /* --long */
extern uint8_t out_buf[MAX_PAYLOAD], in_buf[MAX_PAYLOAD + 1];

#define NEEDS_NET()                                                                                \
	do {                                                                                       \
		if (!have_net) {                                                                   \
			unit_skip("no network namespaces here");                                   \
			return;                                                                    \
		}                                                                                  \
	} while (0)

uint64_t peer_now_ms(void);
/* Bytes that differ for every datagram and every position in it. */
void peer_fill(uint8_t *buf, size_t len, uint32_t seed);
/* The Internet checksum, in network order. */
uint16_t peer_checksum(const void *data, size_t len);
struct sockaddr_in peer_addr(const char *ip, uint16_t port);
/* A stack with the attributes of @text; NULL with *rc on failure. stack_up() fails the test instead. */
struct zf_stack *stack_with(const char *text, int *rc);
struct zf_stack *stack_up(const char *text);
struct zf_attr *plain_attr(void);
struct zfur *ur_bound(struct zf_stack *st, const char *ip, uint16_t port);
struct zfut *ut_to(struct zf_stack *st, const char *from, uint16_t from_port, const char *to, uint16_t to_port);
/* A kernel socket in the peer's namespace, non-blocking. */
int peer_socket(int type, int proto, uint16_t port);
/* Sends by the zf API, with the guide's loop where there is no room. */
bool ut_send(struct zf_stack *st, struct zfut *ut, const void *buf, size_t len);
/* One datagram of the stack into in_buf: its length, or -1 when none comes for @ms. */
int ur_recv(struct zf_stack *st, struct zfur *ur, unsigned int ms);
/* One datagram of the kernel likewise, the stack polled meanwhile (ARP, reassembly timers). */
int fd_recv(struct zf_stack *st, int fd, unsigned int ms);
bool fd_send(struct zf_stack *st, int fd, const char *ip, uint16_t port, const void *buf, size_t len);
/* What became of every frame, beside a failure. */
void show_counters(struct zf_stack *st);

/* Addresses and routes of a fresh veth pair, both ends up. */
int peer_net_up(const char **step);
/* main() of a test program of this folder: `[--long] [PART OF A NAME]`. */
int peer_main(const char *suite, const struct unit_test *tests, size_t n, int argc, char **argv);

#endif
