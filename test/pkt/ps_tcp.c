/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP lines of the packetdrill grammar: flags, SEQ:END(LEN), ack, win, urg, options in <>. Numbers are relative to the
 * initial sequence number of their side (struct ps_conn), as packetdrill has it; `sport` and `dport` override the ports.
 */
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"

#define BAD(...) (snprintf(err, 128, __VA_ARGS__), -1)

bool
ps_is_tcp(const char *word)
{
	return word[0] != '\0' && strspn(word, "SFRP.UEWC") == strlen(word);
}

static uint8_t
flags_of(const char *w)
{
	static const struct {
		char c;
		uint8_t bit;
	} map[] = {{'F', 1}, {'S', 2}, {'R', 4}, {'P', 8}, {'.', 16}, {'U', 32}, {'E', 64}, {'C', 128}, {'W', 128}};
	uint8_t f = 0;

	for (; *w != '\0'; w++)
		for (size_t i = 0; i < ZF_ARRAY_SIZE(map); i++)
			if (map[i].c == *w)
				f |= map[i].bit;
	return f;
}

/* A TCP line on its way to bytes. */
struct tcp_line {
	struct ps *s;
	struct ps_conn *c; /* or NULL */
	bool in;
	uint32_t isn_src, isn_dst;
	uint32_t olen;
	uint8_t opts[64], mask[64];
	bool has_opts, has_ack, has_win;
};

/* The clock of the peer's timestamps: milliseconds. */
static uint32_t
peer_tsval(void)
{
	return (uint32_t)(zt_clock() / 1000000u) + 5000u;
}

/* "TS val N ecr N"; "*" is what an honest peer would say, or whatever comes. */
static bool
ts_option(struct tcp_line *t, char **w)
{
	uint64_t a = 0, b = 0;
	uint8_t *o = t->opts + t->olen;

	if (strcmp(w[1], "val") != 0 || strcmp(w[3], "ecr") != 0)
		return false;
	if (strcmp(w[2], "*") == 0) {
		a = peer_tsval();
		memset(t->mask + t->olen + 2, t->in ? 0xff : 0, 4);
	} else if (!ps_num(w[2], &a)) {
		return false;
	}
	if (strcmp(w[4], "*") == 0) {
		b = t->c == NULL ? 0 : t->in ? t->c->us_tsval : t->c->peer_ts_max;
		memset(t->mask + t->olen + 6, t->in ? 0xff : 0, 4);
	} else if (!ps_num(w[4], &b)) {
		return false;
	}
	memcpy(o, "\x08\x0a", 2);
	ps_put32(o + 2, (uint32_t)a);
	ps_put32(o + 6, (uint32_t)b);
	t->olen += 10;
	return true;
}

/* "*": what the frame that is looked at has from here on. */
static void
rest_of_options(struct tcp_line *t)
{
	const struct ps *s = t->s;

	if (t->in || s->seen_opts == NULL || s->seen_opts_len <= t->olen)
		return;
	memcpy(t->opts + t->olen, s->seen_opts + t->olen, s->seen_opts_len - t->olen);
	t->olen = s->seen_opts_len;
}

static int
sack_option(struct tcp_line *t, char **w, int n)
{
	uint32_t start = t->olen;
	unsigned l, r;
	int k = 1;

	t->olen += 2;
	for (; k < n && k < 5 && sscanf(w[k], "%u:%u", &l, &r) == 2; k++, t->olen += 8) {
		ps_put32(t->opts + t->olen, t->isn_dst + l);
		ps_put32(t->opts + t->olen + 4, t->isn_dst + r);
	}
	t->opts[start] = 5;
	t->opts[start + 1] = (uint8_t)(t->olen - start);
	return k;
}

/* One option; how many words it took, 0 for an unknown one. */
static int
option(struct tcp_line *t, char **w, int n)
{
	uint8_t *o = t->opts + t->olen;
	uint64_t a = 0;
	unsigned l;

	if (strcmp(w[0], "*") == 0) {
		rest_of_options(t);
		return 1;
	}
	if (strcmp(w[0], "nop") == 0 || strcmp(w[0], "eol") == 0) {
		*o = w[0][0] == 'n';
		t->olen++;
		return 1;
	}
	if (strcmp(w[0], "sackOK") == 0) {
		memcpy(o, "\x04\x02", 2);
		t->olen += 2;
		return 1;
	}
	if (strcmp(w[0], "mss") == 0 && n > 1 && ps_num(w[1], &a)) {
		memcpy(o, "\x02\x04", 2);
		ps_put16(o + 2, (uint32_t)a);
		t->olen += 4;
		return 2;
	}
	if (strcmp(w[0], "wscale") == 0 && n > 1 && ps_num(w[1], &a)) {
		memcpy(o, "\x03\x03", 2);
		o[2] = (uint8_t)a;
		t->olen += 3;
		return 2;
	}
	if (strcmp(w[0], "TS") == 0 && n > 4)
		return ts_option(t, w) ? 5 : 0;
	if (strcmp(w[0], "sack") == 0)
		return sack_option(t, w, n);
	if (strcmp(w[0], "hex") == 0 && n > 1) { /* an option that no honest host would send */
		for (const char *h = w[1]; h[0] != '\0' && h[1] != '\0' && t->olen < 40; h += 2)
			if (sscanf(h, "%2x", &l) == 1)
				t->opts[t->olen++] = (uint8_t)l;
		return 2;
	}
	return 0;
}

static int
options(struct tcp_line *t, char *word, char err[128])
{
	char *w[64];
	int n;

	word[strlen(word) - 1] = '\0';
	n = ps_split(word + 1, w, 64);
	for (int i = 0; i < n;) {
		int k = t->olen <= 40 ? option(t, w + i, n - i) : 0;

		if (k == 0)
			return BAD("tcp option '%s'?", w[i]);
		i += k;
	}
	while (t->olen % 4 != 0 && t->olen < 40)
		t->opts[t->olen++] = 0;
	t->has_opts = true;
	return t->olen <= 40 ? 0 : BAD("tcp options too long");
}

/* Which connection a line is about: ports are looked up before the rest is read. */
static void
find_conn(struct tcp_line *t, char **w, int n, uint8_t *b)
{
	struct ps *s = t->s;
	uint16_t us, peer;
	uint64_t v;

	ps_put16(b, t->in ? s->tcp_peer : s->tcp_us);
	ps_put16(b + 2, t->in ? s->tcp_us : s->tcp_peer);
	for (int i = 2; i + 1 < n; i++) {
		if (strcmp(w[i], "sport") == 0 && ps_num(w[i + 1], &v))
			ps_put16(b, (uint32_t)v);
		else if (strcmp(w[i], "dport") == 0 && ps_num(w[i + 1], &v))
			ps_put16(b + 2, (uint32_t)v);
	}
	us = (uint16_t)ps_get16(t->in ? b + 2 : b);
	peer = (uint16_t)ps_get16(t->in ? b : b + 2);
	t->c = ps_conn_find(s, s->line_us_ip, s->line_peer_ip, us, peer);
	t->isn_src = t->in ? s->tcp_peer_isn : s->tcp_us_isn;
	t->isn_dst = t->in ? s->tcp_us_isn : s->tcp_peer_isn;
	if (t->c != NULL) {
		t->isn_src = t->in ? t->c->peer_isn : t->c->us_isn;
		t->isn_dst = t->in ? t->c->us_isn : t->c->peer_isn;
	}
}

/* "1:1001(1000)"; with "=" in front it counts from 0; of the peer also "(1000)", behind all that it sent. */
static bool
seq_word(struct tcp_line *t, const char *w, unsigned *seq, unsigned *len)
{
	unsigned end;

	if (w[0] == '=') {
		t->isn_src = 0;
		w++;
	}
	if (sscanf(w, "%u:%u(%u)", seq, &end, len) == 3)
		return end - *seq == *len && *len <= 65000;
	*seq = t->c != NULL ? t->c->peer_max : 0;
	return t->in && sscanf(w, "(%u)", len) == 1 && *len <= 65000;
}

static int
words(struct tcp_line *t, char **w, int n, uint8_t *b, char err[128])
{
	uint64_t v;

	for (int i = 2; i < n; i++) {
		if (w[i][0] == '<') {
			if (options(t, w[i], err) < 0)
				return -1;
			continue;
		}
		if (i + 1 == n || !ps_num(w[i + 1], &v))
			return BAD("tcp: '%s'?", w[i]);
		i++;
		if (strcmp(w[i - 1], "ack") == 0)
			t->has_ack = true, ps_put32(b + 8, t->isn_dst + (uint32_t)v);
		else if (strcmp(w[i - 1], "win") == 0)
			t->has_win = true, ps_put16(b + 14, (uint32_t)v);
		else if (strcmp(w[i - 1], "urg") == 0)
			ps_put16(b + 18, (uint32_t)v);
		else if (strcmp(w[i - 1], "sport") != 0 && strcmp(w[i - 1], "dport") != 0)
			return BAD("tcp: '%s'?", w[i - 1]);
	}
	return 0;
}

/* What the line left open. */
static int
defaults(struct tcp_line *t, uint8_t *b, uint8_t *m, char err[128])
{
	static char ts[] = "nop nop TS val * ecr *";
	char text[sizeof(ts) + 2];
	bool rst = b[13] & 4, syn = b[13] & 2;

	if ((b[13] & 16) && !t->has_ack) {
		if (!t->in)
			return BAD("tcp: an expected ACK says what it acknowledges");
		ps_put32(b + 8, t->isn_dst + (t->c != NULL ? t->c->us_max : 0));
	}
	if (!t->has_win && t->in)
		ps_put16(b + 14, rst ? 0 : t->s->tcp_win);
	else if (!t->has_win)
		memset(m + 14, 0, 2);
	if (t->has_opts || syn || t->c == NULL || !ps_conn_has_ts(t->c) || (t->in && rst))
		return 0;
	snprintf(text, sizeof(text), "<%s>", rst ? "*" : ts); /* RFC 7323 3.2: in a reset they may be missing */
	return options(t, text, err);
}

int
ps_tcp(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128])
{
	struct tcp_line t = {.s = s, .in = in};
	uint8_t *b = l4->b;
	unsigned seq, len = 0;

	memset(b, 0, 20);
	memset(t.mask, 0xff, sizeof(t.mask));
	find_conn(&t, w, n, b);
	if (n < 2 || !seq_word(&t, w[1], &seq, &len))
		return BAD("tcp FLAGS SEQ:END(LEN)");
	ps_put32(b + 4, t.isn_src + seq);
	b[13] = flags_of(w[0]);
	if (words(&t, w, n, b, err) < 0 || defaults(&t, b, l4->m, err) < 0)
		return -1;
	memcpy(b + 20, t.opts, t.olen);
	memcpy(l4->m + 20, t.mask, t.olen);
	b[12] = (uint8_t)((20 + t.olen) / 4 << 4);
	for (unsigned i = 0; i < len; i++)
		b[20 + t.olen + i] = ps_pattern(seq + i);
	l4->proto = 6;
	l4->len = 20 + t.olen + len;
	l4->csum_at = 16;
	return 0;
}
