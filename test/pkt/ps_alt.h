/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives in packet scripts. Stacks need attribute alt_count. The zocket is the script's current one.
 *
 * What is queued is the pattern, from behind what was sent and what the alternative holds already, so that expected lines
 * need not say what is in them.
 */
#ifndef ZF_TEST_PS_ALT_H
#define ZF_TEST_PS_ALT_H

#include <zf/zf.h>

#include "pkt/ps_zft.h"

zf_althandle ps_alt_at(struct ps *s, int line);
#define ps_alt(s) ps_alt_at(s, __LINE__)
/* What the calls return. */
int ps_alt_queue(struct ps *s, zf_althandle alt, uint32_t len);
int ps_alt_send(struct ps *s, zf_althandle alt);
int ps_alt_cancel(struct ps *s, zf_althandle alt);
bool ps_mode_is_slow(void);
/* The next poll; where the port has alternatives of its own, enough of them for its events. */
void ps_alt_run(struct ps *s);
#define ps_alt_space(s, alt) zf_alternatives_free_space(ps_stack(s), alt)

#endif
