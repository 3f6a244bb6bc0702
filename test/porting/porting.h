/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the porting programs share. They are what a program written for the zf API looks like, reduced to one matter
 * each, and are compiled as C99, C11 and C++17 against the installed library: nothing here or there may need an
 * extension of the compiler or a header beyond <zf/zf.h> and POSIX.
 */
#ifndef PORTING_H
#define PORTING_H

/* The C library hides the states of TCP (and IP_DF) from a program that asks for a strict standard and nothing else. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif

#include <zf/zf.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int porting_passed, porting_failed;

/* One expectation, counted. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (condition) {                                                                   \
			porting_passed++;                                                          \
		} else {                                                                           \
			porting_failed++;                                                          \
			printf("  %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);           \
		}                                                                                  \
	} while (0)

/* A call without whose success there is no going on. */
#define MUST(call)                                                                                 \
	do {                                                                                       \
		long must_rc_ = (long)(call);                                                      \
		if (must_rc_ < 0) {                                                                \
			printf("  %s:%d: %s gives %ld\n", __FILE__, __LINE__, #call, must_rc_);    \
			exit(1);                                                                   \
		}                                                                                  \
		porting_passed++;                                                                  \
	} while (0)

/* Polls until @condition holds; the program fails after 20 s. */
#define POLL_UNTIL(condition)                                                                      \
	do {                                                                                       \
		time_t poll_end_ = time(NULL) + 20;                                                \
		while (!(condition)) {                                                             \
			poll_all();                                                                \
			if (time(NULL) > poll_end_) {                                              \
				printf("  %s:%d: never so: %s\n", __FILE__, __LINE__, #condition); \
				exit(1);                                                           \
			}                                                                          \
		}                                                                                  \
		porting_passed++;                                                                  \
	} while (0)

#define N_BUFFERS 8

/* A message and its buffers. The guide lets an array follow the message in a structure, which is an extension of C and of
 * C++ (embedded.c does it); a union with room behind the message is neither.
 */
union udp_message {
	struct zfur_msg msg;
	unsigned char room[sizeof(struct zfur_msg) + N_BUFFERS * sizeof(struct iovec)];
};
union tcp_message {
	struct zft_msg msg;
	unsigned char room[sizeof(struct zft_msg) + N_BUFFERS * sizeof(struct iovec)];
};

static inline struct iovec *
udp_buffer(union udp_message *rd, int i)
{
	return (struct iovec *)(void *)(rd->room + offsetof(struct zfur_msg, iov)) + i;
}

static inline struct iovec *
tcp_buffer(union tcp_message *rd, int i)
{
	return (struct iovec *)(void *)(rd->room + offsetof(struct zft_msg, iov)) + i;
}

/* Stacks on one wire; the second one only where a program asks for it. */
static struct zf_stack *stack_a, *stack_b;
static struct zf_attr *attr_a, *attr_b;

static inline void
poll_all(void)
{
	zf_reactor_perform(stack_a);
	if (stack_b != NULL)
		zf_reactor_perform(stack_b);
}

static inline struct zf_stack *
open_stack(const char *interface, const char *address, struct zf_attr **attr)
{
	struct zf_stack *stack = NULL;

	MUST(zf_attr_alloc(attr));
	MUST(zf_attr_set_str(*attr, "interface", interface));
	MUST(zf_attr_set_str(*attr, "ipv4", address));
	MUST(zf_stack_alloc(*attr, &stack));
	return stack;
}

/* One stack that hears itself, or two that hear each other. */
static inline void
open_alone(void)
{
	MUST(zf_init());
	stack_a = open_stack("wire:loop", "10.0.0.1/24", &attr_a);
}

static inline void
open_both(void)
{
	MUST(zf_init());
	stack_a = open_stack("wire:porting/a", "10.0.0.1/24", &attr_a);
	stack_b = open_stack("wire:porting/b", "10.0.0.2/24", &attr_b);
}

static inline struct sockaddr_in
address(const char *host, unsigned port)
{
	struct sockaddr_in in;

	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = inet_addr(host);
	in.sin_port = htons((uint16_t)port);
	return in;
}

/* Everything back, and the closing line. main()'s value. */
static inline int
close_all(const char *name)
{
	MUST(zf_stack_free(stack_a));
	zf_attr_free(attr_a);
	if (stack_b != NULL) {
		MUST(zf_stack_free(stack_b));
		zf_attr_free(attr_b);
	}
	MUST(zf_deinit());
	printf("%s: %d passed, %d failed, 0 skipped\n", name, porting_passed, porting_failed);
	return porting_failed != 0;
}

/* A connection between the two stacks, from port 2001 of a to port 2000 of b. */
static inline void
connect_both(struct zft **active, struct zft **passive)
{
	struct sockaddr_in here = address("10.0.0.1", 2001), there = address("10.0.0.2", 2000);
	struct zft_handle *handle;
	struct zftl *listener;

	MUST(zftl_listen(stack_b, (struct sockaddr *)&there, sizeof(there), attr_b, &listener));
	MUST(zft_alloc(stack_a, attr_a, &handle));
	MUST(zft_addr_bind(handle, (struct sockaddr *)&here, sizeof(here), 0));
	MUST(zft_connect(handle, (struct sockaddr *)&there, sizeof(there), active));
	POLL_UNTIL(zftl_accept(listener, passive) == 0);
	POLL_UNTIL(zft_state(*active) == TCP_ESTABLISHED);
	MUST(zftl_free(listener));
}

#endif
