/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See ps_alt.h.
 */
#include "pkt/ps_alt.h"

#include <string.h>

#include "pkt/ps_priv.h"

zf_althandle
ps_alt_at(struct ps *s, int line)
{
	zf_althandle alt;
	int rc = zf_alternatives_alloc(ps_stack(s), NULL, &alt);

	if (rc < 0)
		ps_fail(s, line, "zf_alternatives_alloc: %d", rc);
	if (alt >= PS_ALTS)
		ps_fail(s, line, "handle %llu", (unsigned long long)alt);
	return alt;
}

void
ps_alt_run(struct ps *s)
{
	(void)ps_run(s);
	for (int i = 0; i < 70 && ps_mode_now() == PS_ALT_PORT; i++)
		(void)ps_poll(s);
}

int
ps_alt_queue(struct ps *s, zf_althandle alt, uint32_t len)
{
	static uint8_t b[128 * 1024];
	struct zft *ts = ps_zft(s); /* fails if there is none */
	struct iovec iov = {b, len};
	uint32_t from = 1 + s->zock->sent + s->alt_bytes[alt];
	int rc;

	if (len > sizeof(b))
		ps_fail(s, 0, "ps_alt_queue of %u bytes", len);
	for (uint32_t i = 0; i < len; i++)
		b[i] = ps_pattern(from + i);
	rc = zft_alternatives_queue(ts, alt, &iov, 1, 0);
	ps_note(s, "zft_alternatives_queue(%llu, %u bytes) = %d", (unsigned long long)alt, len, rc);
	if (rc > 0)
		ps_fail(s, 0, "zft_alternatives_queue returned %d", rc);
	memset(b, 0x5a, len); /* they were copied */
	if (rc == 0)
		s->alt_bytes[alt] += len;
	return rc;
}

int
ps_alt_send(struct ps *s, zf_althandle alt)
{
	int rc = zf_alternatives_send(ps_stack(s), alt);

	ps_note(s, "zf_alternatives_send(%llu) = %d", (unsigned long long)alt, rc);
	if (rc == 0) {
		s->zock->sent += s->alt_bytes[alt];
		s->alt_bytes[alt] = 0;
	}
	return rc;
}

int
ps_alt_cancel(struct ps *s, zf_althandle alt)
{
	int rc = zf_alternatives_cancel(ps_stack(s), alt);

	ps_note(s, "zf_alternatives_cancel(%llu) = %d", (unsigned long long)alt, rc);
	s->alt_bytes[alt] = 0;
	return rc;
}
