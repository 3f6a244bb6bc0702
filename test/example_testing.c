/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <zf/zf.h>

#include "zf_testing.h"

/* An ARP request from 192.0.2.66 for 192.0.2.1, byte by byte. */
static const unsigned char request[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   1, 1, 1, 1, 1,   8, 6, /* Ethernet */
	0,    1,    8,    0,    6,    4,    0,   1,                     /* who-has */
	2,    1,    1,    1,    1,    1,    192, 0, 2, 66,              /* tell */
	0,    0,    0,    0,    0,    0,    192, 0, 2, 1};

int
main(void)
{
	unsigned char frame[2048];
	uint64_t count, when, next;
	struct zt_leaks leaks;
	struct zt *t;
	int n;

	if (zt_open(&t, "ipv4=192.0.2.1/24;n_bufs=256") < 0)
		return 1;
	zt_seed(t, 42);
	while ((next = zt_next_event(t)) != ZT_NEVER) /* the announcements of the start, seconds apart */
		zt_advance(next > zt_clock() ? next - zt_clock() : 1);
	while ((n = zt_pop(t, frame, sizeof(frame), &when)) > 0)
		printf("%.6f s: sent %d bytes\n", (double)when / 1e9, n);

	zt_push(t, request, sizeof(request), true);
	n = zt_pop(t, frame, sizeof(frame), &when);
	if (n < 42 || frame[21] != 2 || memcmp(frame, request + 6, 6) != 0)
		return 1;
	printf("%.6f s: answered by %d bytes\n", (double)when / 1e9, n);
	zt_counter(t, "RX_ARP", &count);
	if (count != 1 || zt_pop(t, frame, sizeof(frame), NULL) >= 0)
		return 1;
	n = zt_close(t, &leaks);
	printf("testing_example: %d passed, %d failed, 0 skipped\n", n == 0, n != 0);
	return n != 0;
}
