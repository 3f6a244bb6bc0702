/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The segments that a script made the stack send, of one mode against another: with the fast path and without, what
 * leaves must be the same, in the same order. When it left is the business of the script's lines.
 */
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"

static const struct {
	enum ps_mode fast, slow;
} pairs[] = {{PS_NORMAL, PS_SLOW}, {PS_RX_JUDGED, PS_SLOW}, {PS_WRAP, PS_SLOW_WRAP}};

static struct {
	struct ps_sent *t;
	uint32_t n;
	bool there; /* the script was played, and passed */
} kept[PS_MODES];

static bool
is_in_files(const struct ps_test *t, const char *prefix)
{
	const char *name = strrchr(t->file, '/');

	return strncmp(name != NULL ? name + 1 : t->file, prefix, strlen(prefix)) == 0;
}

bool
ps_is_tcp_script(const struct ps_test *t)
{
	return is_in_files(t, "pkt_tcp");
}

bool
ps_is_alt_script(const struct ps_test *t)
{
	return is_in_files(t, "pkt_tcp_alt");
}

void
ps_trace_keep(struct ps *s, enum ps_mode mode, bool ok)
{
	free(kept[mode].t);
	kept[mode].t = s->trace;
	kept[mode].n = s->n_trace;
	kept[mode].there = ok;
	s->trace = NULL;
}

static void
show(const char *what, const struct ps_sent *t)
{
	static const char names[] = "FSRP.UEW";

	printf("      %-9s ", what);
	for (int i = 0; i < 8; i++)
		if (t->flags & 1 << i)
			printf("%c", names[i]);
	printf(" %u:%u(%u) ack %u win %u sport %u dport %u, options %u, hash %08x\n", t->seq, t->seq + t->len, t->len,
	       t->ack, t->win, t->us, t->peer, t->opt_len, t->hash);
}

static bool
same(const struct ps_test *t, enum ps_mode a, enum ps_mode b)
{
	uint32_t i = 0, n = ZF_MIN(kept[a].n, kept[b].n);

	if (!kept[a].there || !kept[b].there)
		return true; /* not played, or failed: told already */
	while (i < n && memcmp(&kept[a].t[i], &kept[b].t[i], sizeof(kept[a].t[i])) == 0)
		i++;
	if (i == kept[a].n && i == kept[b].n)
		return true;
	printf("FAILED: %s: sends other segments in mode %s than in %s; segment %u of %u and %u:\n", t->name,
	       ps_mode_names[a], ps_mode_names[b], i + 1, kept[a].n, kept[b].n);
	if (i < kept[a].n)
		show(ps_mode_names[a], &kept[a].t[i]);
	if (i < kept[b].n)
		show(ps_mode_names[b], &kept[b].t[i]);
	return false;
}

unsigned
ps_trace_compare(const struct ps_test *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(pairs); i++)
		n += !same(t, pairs[i].fast, pairs[i].slow);
	for (int m = 0; m < PS_MODES; m++) {
		free(kept[m].t);
		memset(&kept[m], 0, sizeof(kept[m]));
	}
	return n;
}
