/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From a script's line to a frame: time, Ethernet and IP. What is inside of IP comes from ps_proto.c. The grammar is
 * in doc/testing.md. Everything the line does not state gets the value that an honest host would send; in expected
 * frames the bits that a host is free to choose are masked out.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"

struct eth_mods {
	bool has_src, has_dst, has_type, no_pad, no_tag;
	uint8_t src[6], dst[6];
	uint32_t type;
	uint32_t n_tags;
	uint32_t tags[2]; /* TPID << 16 | TCI */
	uint32_t pad, cut; /* bytes of the whole frame; 0 none */
};

struct ip_mods {
	bool has_src, has_dst, has_ttl, has_id, has_df, has_len, rel_len, has_ver, has_ihl, has_off, has_mf;
	bool has_proto, csum_bad, has_tos, no_ra;
	uint32_t src, dst, ttl, id, tos, ver, ihl, off, proto;
	bool df, mf;
	int64_t len;
	uint32_t opts_len;
	uint8_t opts[40];
};

struct frag_mods {
	bool is;
	uint32_t from, to;
};

#define FRONT_MAX  128  /* Ethernet header, two tags and IP header are shorter */
#define MASKED_MAX 4096 /* nothing of a protocol is masked out behind here */

#define BAD(...) (snprintf(err, 128, __VA_ARGS__), -1)

bool
ps_num(const char *text, uint64_t *v)
{
	char *end;

	if (text == NULL || (text[0] < '0' || text[0] > '9'))
		return false;
	*v = strtoull(text, &end, 0);
	return *end == '\0';
}

int
ps_split(char *line, char **words, int max)
{
	int n = 0;
	char *p = line;

	for (;;) {
		char *start;
		int depth = 0;

		while (*p == ' ' || *p == '\t' || *p == ',')
			p++;
		if (*p == '\0')
			return n;
		if (n == max)
			return -1;
		start = p;
		while (*p != '\0' && (depth > 0 || (*p != ' ' && *p != '\t' && *p != ','))) {
			/* Angle brackets only around TCP options: elsewhere they are arrows. */
			if (*p == '(' || *p == '[' || *p == '{' || (*p == '<' && p == start))
				depth++;
			else if (*p == ')' || *p == ']' || *p == '}' || (*p == '>' && depth > 0 && *start == '<'))
				depth--;
			p++;
		}
		if (*p != '\0')
			*p++ = '\0';
		words[n++] = start;
	}
}

static const struct {
	const char *name;
	uint32_t ip;
} hosts[] = {
	{"us", 0xc0000201},    {"us2", 0xc0000202},  {"peer", 0xc0000242}, {"other", 0xc0000243},
	{"gw", 0xc00002fe},    {"far", 0xc6336407},  {"far2", 0xc6336408}, {"bcast", 0xc00002ff},
	{"any", 0},            {"ones", 0xffffffff},
};

bool
ps_ip(const char *text, uint32_t *ip)
{
	struct in_addr a;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(hosts); i++) {
		if (strcmp(text, hosts[i].name) == 0) {
			*ip = hosts[i].ip;
			return true;
		}
	}
	if (inet_pton(AF_INET, text, &a) != 1)
		return false;
	*ip = ntohl(a.s_addr);
	return true;
}

/* The MAC through which an address is reached: its own on the subnet, else the gateway's. */
void
ps_mac_of(struct ps *s, uint32_t ip, uint8_t mac[6])
{
	if (ip >> 28 == 0xe) {
		uint8_t m[6] = {0x01, 0x00, 0x5e, (ip >> 16) & 0x7f, (uint8_t)(ip >> 8), (uint8_t)ip};

		memcpy(mac, m, 6);
	} else if (ip == 0xffffffff || ip == 0xc00002ff) {
		memset(mac, 0xff, 6);
	} else if (ip >> 8 == 0xc00002 && (ip & 0xff) <= 2) {
		memcpy(mac, s->us_mac, 6);
	} else {
		uint8_t m[6] = {0x02, 0x01, 0xc0, 0, 2, (uint8_t)ip};

		if (ip >> 8 != 0xc00002)
			m[5] = 0xfe;
		memcpy(mac, m, 6);
	}
}

/* "NAME-mac", "bcast-mac" or six hex bytes with colons. */
bool
ps_mac(struct ps *s, const char *text, uint8_t mac[6])
{
	size_t n = strlen(text);
	unsigned b[6];
	char name[32];
	uint32_t ip;

	if (n > 4 && n < sizeof(name) && strcmp(text + n - 4, "-mac") == 0) {
		memcpy(name, text, n - 4);
		name[n - 4] = '\0';
		if (!ps_ip(name, &ip))
			return false;
		ps_mac_of(s, ip, mac);
		return true;
	}
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool
seconds(const char **p, uint64_t *ns)
{
	char *end;
	double v = strtod(*p, &end);

	if (end == *p || v < 0)
		return false;
	*ns = (uint64_t)(v * 1e9 + 0.5);
	*p = end;
	return true;
}

/* "+1.5", "+1~+2" (between), "+*" (whenever). */
static int
parse_time(const char *w, struct ps_when *when, char err[128])
{
	const char *p = w + 1;

	if (strcmp(w, "+*") == 0) {
		when->any = true;
		when->to_ns = 10000ull * 1000000000u;
		return 0;
	}
	if (!seconds(&p, &when->from_ns))
		return BAD("bad time '%s'", w);
	when->to_ns = when->from_ns;
	if (p[0] == '~' && p[1] == '+') {
		p += 2;
		if (!seconds(&p, &when->to_ns))
			return BAD("bad time '%s'", w);
	}
	return *p == '\0' ? 0 : BAD("bad time '%s'", w);
}

static int
hex_bytes(const char *t, uint8_t *b, uint32_t max)
{
	uint32_t n = 0;
	unsigned v;

	while (t[0] != '\0' && t[1] != '\0' && n < max && sscanf(t, "%2x", &v) == 1) {
		b[n++] = (uint8_t)v;
		t += 2;
	}
	return *t == '\0' ? (int)n : -1;
}

static int
parse_eth(struct ps *s, char **w, int n, struct eth_mods *e, char err[128])
{
	for (int i = 0; i < n; i++) {
		const char *a = i + 1 < n ? w[i + 1] : "";
		uint64_t v = 0;

		if (strcmp(w[i], "nopad") == 0) {
			e->no_pad = true;
			continue;
		}
		if (strcmp(w[i], "notag") == 0) {
			e->no_tag = true;
			continue;
		}
		i++;
		if (strcmp(w[i - 1], "src") == 0 && ps_mac(s, a, e->src))
			e->has_src = true;
		else if (strcmp(w[i - 1], "dst") == 0 && ps_mac(s, a, e->dst))
			e->has_dst = true;
		else if (!ps_num(a, &v))
			return BAD("eth: '%s %s'?", w[i - 1], a);
		else if (strcmp(w[i - 1], "type") == 0)
			e->has_type = true, e->type = (uint32_t)v;
		else if (strcmp(w[i - 1], "vlan") == 0 && e->n_tags < 2)
			e->tags[e->n_tags++] = 0x81000000u | (uint32_t)v;
		else if (strcmp(w[i - 1], "qinq") == 0 && e->n_tags < 2)
			e->tags[e->n_tags++] = 0x88a80000u | (uint32_t)v;
		else if (strcmp(w[i - 1], "prio") == 0 && e->n_tags > 0)
			e->tags[e->n_tags - 1] |= (uint32_t)v << 13;
		else if (strcmp(w[i - 1], "pad") == 0)
			e->pad = (uint32_t)v;
		else if (strcmp(w[i - 1], "cut") == 0)
			e->cut = (uint32_t)v;
		else
			return BAD("eth: '%s'?", w[i - 1]);
	}
	return 0;
}

static int
parse_ip_num(const char *k, uint64_t v, struct ip_mods *m)
{
	if (strcmp(k, "ttl") == 0)
		m->has_ttl = true, m->ttl = (uint32_t)v;
	else if (strcmp(k, "id") == 0)
		m->has_id = true, m->id = (uint32_t)v;
	else if (strcmp(k, "tos") == 0)
		m->has_tos = true, m->tos = (uint32_t)v;
	else if (strcmp(k, "ver") == 0)
		m->has_ver = true, m->ver = (uint32_t)v;
	else if (strcmp(k, "ihl") == 0)
		m->has_ihl = true, m->ihl = (uint32_t)v;
	else if (strcmp(k, "off") == 0)
		m->has_off = true, m->off = (uint32_t)v;
	else if (strcmp(k, "proto") == 0)
		m->has_proto = true, m->proto = (uint32_t)v;
	else
		return -1;
	return 0;
}

static int
parse_ip(char **w, int n, struct ip_mods *m, char err[128])
{
	for (int i = 0; i < n; i++) {
		const char *k = w[i], *a = i + 1 < n ? w[i + 1] : "";
		uint64_t v = 0;
		int r;

		if (strcmp(k, "df") == 0 || strcmp(k, "nodf") == 0) {
			m->has_df = true;
			m->df = k[0] == 'd';
			continue;
		}
		if (strcmp(k, "mf") == 0 || strcmp(k, "nomf") == 0) {
			m->has_mf = true;
			m->mf = k[0] == 'm';
			continue;
		}
		i++;
		if (strcmp(k, "src") == 0 && ps_ip(a, &m->src)) {
			m->has_src = true;
		} else if (strcmp(k, "dst") == 0 && ps_ip(a, &m->dst)) {
			m->has_dst = true;
		} else if (strcmp(k, "csum") == 0 && strcmp(a, "bad") == 0) {
			m->csum_bad = true;
		} else if (strcmp(k, "len") == 0) { /* 40, or +4, -4 relative to the truth */
			m->has_len = true;
			m->rel_len = a[0] == '+' || a[0] == '-';
			m->len = strtol(a, NULL, 0);
		} else if (strcmp(k, "opts") == 0) {
			if (strcmp(a, "none") == 0) {
				m->no_ra = true;
				continue;
			}
			r = hex_bytes(a, m->opts, sizeof(m->opts));
			if (r < 0)
				return BAD("ip opts '%s'?", a);
			m->opts_len = ((uint32_t)r + 3) & ~3u;
		} else if (!ps_num(a, &v) || parse_ip_num(k, v, m) < 0) {
			return BAD("ip: '%s %s'?", k, a);
		}
	}
	return 0;
}

/* The inside of "[eth ...]" as words. */
static int
group(char *w, char **sub)
{
	size_t n = strlen(w);

	if (n > 0)
		w[n - 1] = '\0';
	return ps_split(w + 1, sub, 64);
}

/* Times and modifiers in front; *@i is the first word of the protocol. */
static int
parse_front(struct ps *s, char **w, int n, int *i, struct ps_when *when, struct eth_mods *e, struct ip_mods *m,
	    struct frag_mods *fr, char err[128])
{
	char *sub[64];
	uint64_t v;

	if (*i < n && w[*i][0] == '+') {
		if (parse_time(w[(*i)++], when, err) < 0)
			return -1;
	}
	for (; *i < n; (*i)++) {
		int k;

		if (strncmp(w[*i], "[eth", 4) == 0) {
			k = group(w[*i], sub);
			if (k < 1 || parse_eth(s, sub + 1, k - 1, e, err) < 0)
				return -1;
		} else if (strncmp(w[*i], "[ip", 3) == 0) {
			k = group(w[*i], sub);
			if (k < 1 || parse_ip(sub + 1, k - 1, m, err) < 0)
				return -1;
		} else if (strcmp(w[*i], "frag") == 0 && *i + 1 < n) {
			if (sscanf(w[++*i], "%u:%u", &fr->from, &fr->to) != 2 || fr->to < fr->from)
				return BAD("frag '%s'?", w[*i]);
			fr->is = true;
		} else if (strcmp(w[*i], "id") == 0 && *i + 1 < n && ps_num(w[*i + 1], &v)) {
			m->has_id = true;
			m->id = (uint32_t)v;
			++*i;
		} else {
			break;
		}
	}
	return *i < n ? 0 : BAD("no protocol in the line");
}

static uint32_t
put_eth(struct ps *s, const struct eth_mods *e, const uint8_t dst[6], const uint8_t src[6], uint32_t type,
	struct ps_frame *f)
{
	uint32_t off = 12;

	memcpy(f->b, e->has_dst ? e->dst : dst, 6);
	memcpy(f->b + 6, e->has_src ? e->src : src, 6);
	if (e->n_tags == 0 && s->opts.vlan != 0 && !e->no_tag) {
		ps_put32(f->b + off, 0x81000000u | s->opts.vlan);
		off += 4;
	}
	for (uint32_t i = 0; i < e->n_tags; i++, off += 4)
		ps_put32(f->b + off, e->tags[i]);
	ps_put16(f->b + off, e->has_type ? e->type : type);
	return off + 2;
}

/* The IP header at @off; returns its length. */
static uint32_t
put_ip(struct ps *s, const struct ip_mods *m, const struct frag_mods *fr, const struct ps_l4 *l4, bool in,
       uint32_t off, struct ps_frame *f)
{
	uint8_t *h = f->b + off, *k = f->m + off;
	uint32_t hlen = 20, frag = 0, data = l4->len;

	if (m->opts_len > 0) {
		memcpy(h + 20, m->opts, m->opts_len);
		hlen += m->opts_len;
	} else if (l4->router_alert && !m->no_ra) {
		ps_put32(h + 20, 0x94040000);
		hlen += 4;
	}
	if (fr->is) {
		frag = fr->from / 8 | (fr->to < l4->len ? 0x2000 : 0);
		data = fr->to - fr->from;
	}
	if (m->has_off)
		frag = (frag & 0xe000) | m->off / 8;
	if (m->has_mf)
		frag = (frag & ~0x2000u) | (m->mf ? 0x2000 : 0);
	if (m->has_df && m->df)
		frag |= 0x4000;
	h[0] = (uint8_t)((m->has_ver ? m->ver : 4) << 4 | (m->has_ihl ? m->ihl : hlen / 4));
	h[1] = (uint8_t)m->tos;
	ps_put16(h + 2, (uint32_t)((m->has_len && !m->rel_len ? 0 : (int64_t)hlen + data) + m->len));
	ps_put16(h + 4, m->has_id ? m->id : in ? ++s->ip_id : 0);
	ps_put16(h + 6, frag);
	h[8] = (uint8_t)(m->has_ttl ? m->ttl : l4->ttl != 0 ? l4->ttl : 64);
	h[9] = (uint8_t)(m->has_proto ? m->proto : l4->proto);
	ps_put32(h + 12, m->src);
	ps_put32(h + 16, m->dst);
	ps_put16(h + 10, 0);
	ps_put16(h + 10, ps_fold(ps_sum16(h, hlen, 0)) ^ (m->csum_bad ? 0x0100u : 0));
	if (!in) {
		memset(k + 10, 0, 2);
		if (!m->has_id)
			memset(k + 4, 0, 2);
		if (!m->has_df)
			k[6] = 0xbf;
		if (l4->total_any)
			memset(k + 2, 0, 2);
		if (l4->tos_any && !m->has_tos)
			k[1] = 0;
	}
	return hlen;
}

/* The checksum with the pseudo header, over the whole datagram. Expected ones count only if all of it is known. */
static void
finish_l4(struct ps_l4 *l4, bool in, uint32_t src, uint32_t dst)
{
	uint8_t pseudo[12];
	uint32_t sum;

	if (l4->csum_at < 0)
		return;
	ps_put32(pseudo, src);
	ps_put32(pseudo + 4, dst);
	ps_put16(pseudo + 8, l4->proto);
	ps_put16(pseudo + 10, l4->len);
	sum = ps_fold(ps_sum16(l4->b, l4->len, ps_sum16(pseudo, 12, 0)));
	if (sum == 0 && l4->proto == 17)
		sum = 0xffff;
	ps_put16(l4->b + l4->csum_at, sum ^ (l4->csum_bad ? 0x0100u : 0));
	for (uint32_t i = 0; i < l4->len; i++) {
		if (l4->m[i] != 0xff || (!in && ps_mode_now() == PS_TX_COPY)) {
			memset(l4->m + l4->csum_at, 0, 2);
			break;
		}
	}
}

static int
assemble(struct ps *s, bool in, struct eth_mods *e, struct ip_mods *m, const struct frag_mods *fr,
	 struct ps_l4 *l4, struct ps_frame *f, char err[128])
{
	uint8_t src[6], dst[6];
	uint32_t us = 0, peer = 0, off, from = 0, to = l4->len;

	ps_ip("us", &us);
	ps_ip("peer", &peer);
	if (!m->has_src)
		m->src = in ? peer : us;
	if (!m->has_dst)
		m->dst = l4->dst_ip != 0 ? l4->dst_ip : in ? us : peer;
	ps_mac_of(s, m->src, src);
	ps_mac_of(s, m->dst, dst);
	if (in && (memcmp(src, s->us_mac, 6) == 0 || (src[0] & 1) != 0 || m->src >> 24 == 127 || m->src == 0))
		ps_mac_of(s, peer, src); /* a lie about the address, not about the frame's sender */
	if (in && m->dst >> 28 != 0xe && dst[0] != 0xff)
		memcpy(dst, s->us_mac, 6);
	if (l4->dst_mac_set)
		memcpy(dst, l4->dst_mac, 6);
	if (l4->no_l3) {
		memcpy(src, in ? src : s->us_mac, 6);
		off = put_eth(s, e, dst, src, l4->ethertype, f);
	} else {
		finish_l4(l4, in, m->src, m->dst);
		off = put_eth(s, e, dst, src, 0x0800, f);
		off += put_ip(s, m, fr, l4, in, off, f);
	}
	if (fr->is) {
		from = fr->from;
		to = fr->to;
		if (to > l4->len || (from & 7) != 0)
			return BAD("frag %u:%u of %u bytes", from, to, l4->len);
	}
	if (off + to - from > PS_FRAME_MAX)
		return BAD("frame too long");
	memcpy(f->b + off, l4->b + from, to - from);
	memcpy(f->m + off, l4->m + from, to - from);
	f->len = off + to - from;
	f->open_end = l4->open_end;
	return 0;
}

int
ps_line(struct ps *s, const char *text, bool in, struct ps_when *when, struct ps_frame *f, char err[128])
{
	static struct ps_l4 l4s[4]; /* an ICMP error quotes a line */
	static int depth;
	struct ps_l4 *l4 = &l4s[depth & 3];
	char buf[PS_LINE_MAX];
	char *w[PS_WORDS_MAX];
	struct eth_mods e = {0};
	struct ip_mods m = {0};
	struct frag_mods fr = {0};
	int n, i = 0;

	snprintf(buf, sizeof(buf), "%s", text);
	*when = (struct ps_when){0};
	memset(f->b, 0, FRONT_MAX);
	memset(f->m, 0xff, FRONT_MAX);
	memset(l4, 0, offsetof(struct ps_l4, b));
	memset(l4->m, 0xff, MASKED_MAX);
	l4->csum_at = -1;
	n = ps_split(buf, w, PS_WORDS_MAX);
	if (n < 0)
		return BAD("too many words");
	if (parse_front(s, w, n, &i, when, &e, &m, &fr, err) < 0)
		return -1;
	ps_ip("us", &s->line_us_ip);
	ps_ip("peer", &s->line_peer_ip);
	if (in ? m.has_dst : m.has_src)
		s->line_us_ip = in ? m.dst : m.src;
	if (in ? m.has_src : m.has_dst)
		s->line_peer_ip = in ? m.src : m.dst;
	depth++;
	n = ps_proto(s, w + i, n - i, in, l4, err);
	depth--;
	if (n >= 0 && l4->len > MASKED_MAX)
		memset(l4->m + MASKED_MAX, 0xff, l4->len - MASKED_MAX);
	if (n < 0 || assemble(s, in, &e, &m, &fr, l4, f, err) < 0)
		return -1;
	if (in && !e.no_pad && f->len < 60) {
		memset(f->b + f->len, 0xee, 60 - f->len); /* padding that nobody may take for data */
		f->len = 60;
	}
	if (e.pad > f->len && e.pad <= PS_FRAME_MAX) {
		memset(f->b + f->len, 0xee, e.pad - f->len);
		f->len = e.pad;
	}
	if (e.cut != 0 && e.cut < f->len)
		f->len = e.cut;
	return 0;
}
