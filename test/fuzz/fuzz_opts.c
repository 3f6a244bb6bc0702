/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fuzzer of the TCP option parser. An input is a byte, of which bit 0 says SYN, and the options, in memory of exactly
 * their length. What was found must survive being written again.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "tcp/opt.h"

static bool
same(const struct tcp_opts *a, const struct tcp_opts *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
check_shape(const struct tcp_opts *o, bool syn)
{
	FUZZ_CHECK(syn || (o->have & (TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_OK)) == 0);
	FUZZ_CHECK(o->wscale <= TCP_WSCALE_MAX && o->n_sack <= TCP_SACK_MAX);
	FUZZ_CHECK((o->n_sack > 0) == ((o->have & TCP_OPT_SACK) != 0));
	FUZZ_CHECK((o->have & TCP_OPT_MSS) || o->mss == 0);
	FUZZ_CHECK((o->have & TCP_OPT_WSCALE) || o->wscale == 0);
	FUZZ_CHECK((o->have & TCP_OPT_TS) || (o->ts_val == 0 && o->ts_ecr == 0));
}

/* Our own writers, read back. */
static void
check_writers(const struct tcp_opts *o)
{
	uint8_t p[TCP_OPTS_SYN_MAX + TCP_OPTS_MAX];
	struct tcp_opts again, want = *o;
	uint32_t len;

	len = tcp_opts_put_syn(p, o->mss, o->have & TCP_OPT_SACK_OK, o->have & TCP_OPT_TS, o->ts_val, o->ts_ecr,
			       o->have & TCP_OPT_WSCALE ? o->wscale : -1);
	FUZZ_CHECK(len <= TCP_OPTS_SYN_MAX && len % 4 == 0);
	len += tcp_opts_put_sack(p + len, o->sack, o->n_sack);
	FUZZ_CHECK(len <= sizeof(p) && tcp_opts_parse(p, len, true, &again));
	want.have |= TCP_OPT_MSS;
	FUZZ_CHECK(same(&again, &want));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_opts o, again;
	uint32_t len, val, ecr;
	uint8_t *p, *shifted;
	bool syn, ok;

	if (size == 0 || size > 1024)
		return 0;
	syn = data[0] & 1;
	len = (uint32_t)size - 1;
	p = malloc(len > 0 ? len : 1);
	shifted = malloc(len + 1);
	FUZZ_CHECK(p != NULL && shifted != NULL);
	memcpy(p, data + 1, len);
	memcpy(shifted + 1, data + 1, len);
	shifted[0] = 1;
	memset(&o, 0x5a, sizeof(o));
	ok = tcp_opts_parse(p, len, syn, &o);
	check_shape(&o, syn);
	check_writers(&o);
	/* A NOP more changes nothing. */
	FUZZ_CHECK(tcp_opts_parse(shifted, len + 1, syn, &again) == ok && same(&again, &o));
	if (tcp_opts_is_plain_ts(p, len, &val, &ecr))
		FUZZ_CHECK(ok && o.have == TCP_OPT_TS && o.ts_val == val && o.ts_ecr == ecr);
	free(p);
	free(shifted);
	return 0;
}
