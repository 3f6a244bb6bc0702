/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP lines of the packetdrill grammar: flags, SEQ:END(LEN), ack, win, urg, options in <>. Numbers are relative to the
 * initial sequence number of their side (struct ps), as packetdrill has it; `sport` and `dport` override the ports.
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

/* One option at @o; how many words it took, 0 for an unknown one. */
static int
option(char **w, int n, uint32_t isn, uint8_t *o, uint32_t *len)
{
	uint64_t a = 0, b = 0;
	unsigned l, r;

	if (strcmp(w[0], "nop") == 0) {
		o[(*len)++] = 1;
		return 1;
	}
	if (strcmp(w[0], "eol") == 0) {
		o[(*len)++] = 0;
		return 1;
	}
	if (strcmp(w[0], "sackOK") == 0) {
		memcpy(o + *len, "\x04\x02", 2);
		*len += 2;
		return 1;
	}
	if (strcmp(w[0], "mss") == 0 && n > 1 && ps_num(w[1], &a)) {
		memcpy(o + *len, "\x02\x04", 2);
		ps_put16(o + *len + 2, (uint32_t)a);
		*len += 4;
		return 2;
	}
	if (strcmp(w[0], "wscale") == 0 && n > 1 && ps_num(w[1], &a)) {
		memcpy(o + *len, "\x03\x03", 2);
		o[*len + 2] = (uint8_t)a;
		*len += 3;
		return 2;
	}
	if (strcmp(w[0], "TS") == 0 && n > 4 - 1 && ps_num(w[2], &a) && n > 4 && ps_num(w[4], &b)) {
		memcpy(o + *len, "\x08\x0a", 2);
		ps_put32(o + *len + 2, (uint32_t)a);
		ps_put32(o + *len + 6, (uint32_t)b);
		*len += 10;
		return 5;
	}
	if (strcmp(w[0], "sack") == 0) {
		uint32_t start = *len;
		int k = 1;

		*len += 2;
		for (; k < n && k < 5 && sscanf(w[k], "%u:%u", &l, &r) == 2; k++, *len += 8) {
			ps_put32(o + *len, isn + l);
			ps_put32(o + *len + 4, isn + r);
		}
		o[start] = 5;
		o[start + 1] = (uint8_t)(*len - start);
		return k;
	}
	if (strcmp(w[0], "hex") == 0 && n > 1) { /* an option that no honest host would send */
		for (const char *t = w[1]; t[0] != '\0' && t[1] != '\0' && *len < 40; t += 2)
			if (sscanf(t, "%2x", &l) == 1)
				o[(*len)++] = (uint8_t)l;
		return 2;
	}
	return 0;
}

static int
options(char *word, uint32_t isn, uint8_t *o, uint32_t *len, char err[128])
{
	char *w[64];
	int n;

	word[strlen(word) - 1] = '\0';
	n = ps_split(word + 1, w, 64);
	for (int i = 0; i < n;) {
		int k = *len <= 40 ? option(w + i, n - i, isn, o, len) : 0;

		if (k == 0)
			return BAD("tcp option '%s'?", w[i]);
		i += k;
	}
	while (*len % 4 != 0 && *len < 40)
		o[(*len)++] = 0;
	return *len <= 40 ? 0 : BAD("tcp options too long");
}

int
ps_tcp(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128])
{
	uint8_t *b = l4->b, opts[64];
	uint32_t isn_src = in ? s->tcp_peer_isn : s->tcp_us_isn;
	uint32_t isn_dst = in ? s->tcp_us_isn : s->tcp_peer_isn;
	uint32_t olen = 0;
	unsigned seq, end, len = 0;
	bool has_win = false;
	uint64_t v;

	memset(b, 0, 20);
	if (n < 2 || sscanf(w[1], "%u:%u(%u)", &seq, &end, &len) != 3 || end - seq != len || len > 65000)
		return BAD("tcp FLAGS SEQ:END(LEN)");
	ps_put16(b, in ? s->tcp_peer : s->tcp_us);
	ps_put16(b + 2, in ? s->tcp_us : s->tcp_peer);
	ps_put32(b + 4, isn_src + seq);
	b[13] = flags_of(w[0]);
	for (int i = 2; i < n; i++) {
		if (w[i][0] == '<') {
			if (options(w[i], isn_dst, opts, &olen, err) < 0)
				return -1;
			continue;
		}
		if (i + 1 == n || !ps_num(w[i + 1], &v))
			return BAD("tcp: '%s'?", w[i]);
		i++;
		if (strcmp(w[i - 1], "ack") == 0)
			ps_put32(b + 8, isn_dst + (uint32_t)v);
		else if (strcmp(w[i - 1], "win") == 0)
			has_win = true, ps_put16(b + 14, (uint32_t)v);
		else if (strcmp(w[i - 1], "urg") == 0)
			ps_put16(b + 18, (uint32_t)v);
		else if (strcmp(w[i - 1], "sport") == 0)
			ps_put16(b, (uint32_t)v);
		else if (strcmp(w[i - 1], "dport") == 0)
			ps_put16(b + 2, (uint32_t)v);
		else
			return BAD("tcp: '%s'?", w[i - 1]);
	}
	if (!in && !has_win)
		memset(l4->m + 14, 0, 2);
	memcpy(b + 20, opts, olen);
	b[12] = (uint8_t)((20 + olen) / 4 << 4);
	for (unsigned i = 0; i < len; i++)
		b[20 + olen + i] = ps_pattern(seq + i);
	l4->proto = 6;
	l4->len = 20 + olen + len;
	l4->csum_at = 16;
	return 0;
}
