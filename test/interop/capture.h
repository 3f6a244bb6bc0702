/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The last frames of an interface, heads only, in a ring that the kernel fills; written to a pcap file when somebody
 * wants to know what went wrong. Costs no system call meanwhile. Knows nothing of tests.
 */
#ifndef ZF_TEST_CAPTURE_H
#define ZF_TEST_CAPTURE_H

#include <stdbool.h>

/* From now on what @ifname, in the caller's namespace, sends and receives. One capture at a time. 0 or -errno. */
int capture_begin(const char *ifname);
/* Now and then, so that the newest frames are kept and not the oldest. */
void capture_turn(void);
/* Ends it; NULL: forgets it, else it becomes that file. 0 or -errno. */
int capture_end(const char *file);

#endif
