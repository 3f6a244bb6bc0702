/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Packet-script lines behind the IP header: UDP, ARP, ICMP, IGMP and bare bytes; TCP is in ps_tcp.c. Written from the
 * RFCs without looking at lib/ip, so that a mistake there cannot be made here too.
 */
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"

#define BAD(...) (snprintf(err, 128, __VA_ARGS__), -1)

uint32_t
ps_sum16(const uint8_t *b, uint32_t len, uint32_t sum)
{
	uint64_t s = sum;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		s += ps_get16(b + i);
	if (len & 1)
		s += (uint32_t)b[len - 1] << 8;
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s;
}

uint16_t
ps_fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

int
ps_payload_word(const char *word, uint8_t *b, uint32_t size)
{
	size_t n = strlen(word);
	unsigned len = 0, off = 0;
	char *end;

	if (n < 2 || word[0] != '(' || word[n - 1] != ')')
		return -1;
	if (word[1] == '"') {
		if (n < 4 || n - 4 > size)
			return -1;
		memcpy(b, word + 2, n - 4);
		return (int)n - 4;
	}
	if (word[1] == 'x') {
		unsigned v;

		for (size_t i = 2; i + 1 < n && word[i] != ')'; i += 2) {
			if (len == size || sscanf(word + i, "%2x", &v) != 1)
				return -1;
			b[len++] = (uint8_t)v;
		}
		return (int)len;
	}
	len = (unsigned)strtoul(word + 1, &end, 0);
	if (*end == '@')
		off = (unsigned)strtoul(end + 1, &end, 0);
	if (*end != ')' || len > size)
		return -1;
	for (unsigned i = 0; i < len; i++)
		b[i] = ps_pattern(off + i);
	return (int)len;
}

/* A port, "*" for any (expected frames). */
static int
port(const char *w, uint8_t *b, uint8_t *m)
{
	uint64_t v = 0;

	if (strcmp(w, "*") == 0)
		memset(m, 0, 2);
	else if (!ps_num(w, &v) || v > 65535)
		return -1;
	ps_put16(b, (uint32_t)v);
	return 0;
}

/* udp 1000 > 2000 (12) [len N] [csum bad|N] */
static int
udp(char **w, int n, struct ps_l4 *l4, char err[128])
{
	int len;
	uint64_t v;

	if (n < 5 || w[2][0] != '>' || port(w[1], l4->b, l4->m) < 0 || port(w[3], l4->b + 2, l4->m + 2) < 0)
		return BAD("udp SPORT > DPORT (PAYLOAD)");
	len = ps_payload_word(w[4], l4->b + 8, 65527);
	if (len < 0)
		return BAD("payload '%s'?", w[4]);
	l4->proto = 17;
	l4->len = (uint32_t)len + 8;
	ps_put16(l4->b + 4, l4->len);
	ps_put16(l4->b + 6, 0);
	l4->csum_at = 6;
	for (int i = 5; i + 1 < n; i += 2) {
		if (strcmp(w[i], "len") == 0 && ps_num(w[i + 1], &v)) {
			ps_put16(l4->b + 4, (uint32_t)v);
		} else if (strcmp(w[i], "csum") == 0 && strcmp(w[i + 1], "bad") == 0) {
			l4->csum_bad = true;
		} else if (strcmp(w[i], "csum") == 0 && ps_num(w[i + 1], &v)) {
			ps_put16(l4->b + 6, (uint32_t)v);
			l4->csum_at = -1;
		} else {
			return BAD("udp: '%s %s'?", w[i], w[i + 1]);
		}
	}
	return 0;
}

struct arp {
	uint32_t hrd, pro, hln, pln, op, spa, tpa;
	uint8_t sha[6], tha[6];
};

static int
arp_extra(struct ps *s, char **w, int n, struct arp *a, char err[128])
{
	for (int i = 0; i + 1 < n; i += 2) {
		uint64_t v = 0;

		if (strcmp(w[i], "sha") == 0 && ps_mac(s, w[i + 1], a->sha))
			continue;
		if (strcmp(w[i], "tha") == 0 && ps_mac(s, w[i + 1], a->tha))
			continue;
		if (strcmp(w[i], "to") == 0 && ps_ip(w[i + 1], &a->tpa)) {
			ps_mac_of(s, a->tpa, a->tha);
			continue;
		}
		if (!ps_num(w[i + 1], &v))
			return BAD("arp: '%s %s'?", w[i], w[i + 1]);
		if (strcmp(w[i], "op") == 0)
			a->op = (uint32_t)v;
		else if (strcmp(w[i], "hrd") == 0)
			a->hrd = (uint32_t)v;
		else if (strcmp(w[i], "pro") == 0)
			a->pro = (uint32_t)v;
		else if (strcmp(w[i], "hln") == 0)
			a->hln = (uint32_t)v;
		else if (strcmp(w[i], "pln") == 0)
			a->pln = (uint32_t)v;
		else
			return BAD("arp: '%s'?", w[i]);
	}
	return 0;
}

/* arp who-has X tell Y | arp probe X | arp announce X | arp reply X is-at MAC */
static int
arp(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128])
{
	struct arp a = {.hrd = 1, .pro = 0x800, .hln = 6, .pln = 4, .op = 1};
	const char *verb = n > 2 ? w[1] : "";
	uint8_t *b = l4->b;
	int used = 3;

	memset(l4->dst_mac, 0xff, 6);
	l4->dst_mac_set = true;
	if (strcmp(verb, "who-has") == 0 && n >= 5 && ps_ip(w[2], &a.tpa) && ps_ip(w[4], &a.spa)) {
		ps_mac_of(s, a.spa, a.sha);
		used = 5;
		if (n > 5 && strcmp(w[5], "unicast") == 0) { /* to whom we think has it */
			ps_mac_of(s, a.tpa, l4->dst_mac);
			used = 6;
		}
	} else if (strcmp(verb, "announce") == 0 && ps_ip(w[2], &a.spa)) {
		a.tpa = a.spa;
		ps_mac_of(s, a.spa, a.sha);
	} else if (strcmp(verb, "probe") == 0 && ps_ip(w[2], &a.tpa)) {
		ps_mac_of(s, in ? 0xc0000242 : a.tpa, a.sha);
	} else if (strcmp(verb, "reply") == 0 && n >= 5 && ps_ip(w[2], &a.spa) && ps_mac(s, w[4], a.sha)) {
		a.op = 2;
		used = 5;
		ps_ip(in ? "us" : "peer", &a.tpa);
		ps_mac_of(s, a.tpa, a.tha);
	} else {
		return BAD("arp who-has|probe|announce|reply ...");
	}
	if (arp_extra(s, w + used, n - used, &a, err) < 0)
		return -1;
	if (a.op == 2)
		memcpy(l4->dst_mac, a.tha, 6);
	ps_put16(b, a.hrd);
	ps_put16(b + 2, a.pro);
	b[4] = (uint8_t)a.hln;
	b[5] = (uint8_t)a.pln;
	ps_put16(b + 6, a.op);
	memcpy(b + 8, a.sha, 6);
	ps_put32(b + 14, a.spa);
	memcpy(b + 18, a.tha, 6);
	ps_put32(b + 24, a.tpa);
	if (!in && a.op == 1)
		memset(l4->m + 18, 0, 6); /* RFC 826 leaves it open in a request */
	l4->len = 28;
	l4->no_l3 = true;
	l4->ethertype = 0x0806;
	return 0;
}

static const struct {
	const char *words;
	uint8_t type, code;
} icmp_names[] = {
	{"echo reply", 0, 0},          {"echo request", 8, 0},        {"unreachable net", 3, 0},
	{"unreachable host", 3, 1},    {"unreachable proto", 3, 2},   {"unreachable port", 3, 3},
	{"unreachable frag", 3, 4},    {"unreachable srcroute", 3, 5}, {"unreachable admin", 3, 13},
	{"quench now", 4, 0},          {"redirect net", 5, 0},        {"redirect host", 5, 1},
	{"exceeded ttl", 11, 0},       {"exceeded reass", 11, 1},     {"param problem", 12, 0},
	{"timestamp request", 13, 0},  {"mask request", 17, 0},
};

/* The quoted packet: a line in brackets, travelling the other way. The first @max bytes behind its IP header. */
static int
quote(struct ps *s, char *word, bool in, uint32_t max, struct ps_l4 *l4, char err[128])
{
	static struct ps_frame f;
	struct ps_when when;
	uint32_t hlen, n;

	word[strlen(word) - 1] = '\0';
	if (ps_line(s, word + 1, !in, &when, &f, err) < 0)
		return -1;
	if (s->opts.vlan != 0 && f.len > 18)
		memmove(f.b + 14, f.b + 18, f.len - 18), memmove(f.m + 14, f.m + 18, f.len - 18);
	hlen = (f.b[14] & 15) * 4u;
	n = ZF_MIN(ps_get16(f.b + 16), hlen + max);
	memcpy(l4->b + 8, f.b + 14, n);
	if (!in) {
		memcpy(l4->m + 8, f.m + 14, n);
		memset(l4->m + 12, 0, 2); /* id and checksum of what we let in were the engine's choice */
		memset(l4->m + 18, 0, 2);
		l4->open_end = l4->total_any = l4->tos_any = true;
	}
	l4->len = 8 + n;
	return 0;
}

/* icmp echo request id 1 seq 1 (56) | icmp unreachable port [udp 1 > 2 (3)] | icmp type 40 code 0 (8) */
static int
icmp(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128])
{
	char two[64];
	uint32_t max = 8;
	bool bad = false;
	int i = 3, r, body = -1;
	uint64_t v;

	memset(l4->b, 0, 8);
	snprintf(two, sizeof(two), "%s %s", n > 1 ? w[1] : "", n > 2 ? w[2] : "");
	for (size_t k = 0; k < ZF_ARRAY_SIZE(icmp_names); k++) {
		if (strcmp(two, icmp_names[k].words) == 0) {
			l4->b[0] = icmp_names[k].type;
			l4->b[1] = icmp_names[k].code;
			body = 0;
		}
	}
	if (body < 0 && (n < 3 || strcmp(w[1], "type") != 0 || !ps_num(w[2], &v)))
		return BAD("icmp '%s'?", two);
	if (body < 0)
		l4->b[0] = (uint8_t)v;
	l4->proto = 1;
	l4->len = 8;
	for (; i < n; i++) {
		const char *a = i + 1 < n ? w[i + 1] : "";
		uint32_t ip;

		if (w[i][0] == '(' || w[i][0] == '[') {
			body = i;
			continue;
		}
		i++;
		if (strcmp(w[i - 1], "csum") == 0 && strcmp(a, "bad") == 0)
			bad = true;
		else if (strcmp(w[i - 1], "gw") == 0 && ps_ip(a, &ip))
			ps_put32(l4->b + 4, ip);
		else if (!ps_num(a, &v))
			return BAD("icmp: '%s %s'?", w[i - 1], a);
		else if (strcmp(w[i - 1], "id") == 0)
			ps_put16(l4->b + 4, (uint32_t)v);
		else if (strcmp(w[i - 1], "seq") == 0 || strcmp(w[i - 1], "mtu") == 0)
			ps_put16(l4->b + 6, (uint32_t)v);
		else if (strcmp(w[i - 1], "code") == 0)
			l4->b[1] = (uint8_t)v;
		else if (strcmp(w[i - 1], "ptr") == 0)
			l4->b[4] = (uint8_t)v;
		else if (strcmp(w[i - 1], "quote") == 0)
			max = (uint32_t)v;
		else
			return BAD("icmp: '%s'?", w[i - 1]);
	}
	if (body > 0 && w[body][0] == '(') {
		r = ps_payload_word(w[body], l4->b + 8, 65507);
		if (r < 0)
			return BAD("payload '%s'?", w[body]);
		l4->len = 8 + (uint32_t)r;
	} else if (body > 0 && quote(s, w[body], in, max, l4, err) < 0) {
		return -1;
	}
	ps_put16(l4->b + 2, ps_fold(ps_sum16(l4->b, l4->len, 0)) ^ (bad ? 0x0100u : 0));
	if (l4->open_end)
		memset(l4->m + 2, 0, 2);
	return 0;
}

static int
sources(char *word, uint8_t *b, char err[128])
{
	char *sub[64];
	uint32_t ip;
	int k;

	word[strlen(word) - 1] = '\0';
	k = ps_split(word + 1, sub, 64);
	for (int i = 0; i < k; i++) {
		if (!ps_ip(sub[i], &ip))
			return BAD("source '%s'?", sub[i]);
		ps_put32(b + 4 * i, ip);
	}
	return k;
}

/* igmp v3 report to_ex 239.1.1.1 () block 239.2.2.2 (10.0.0.1) */
static int
igmp_report3(char **w, int n, struct ps_l4 *l4, char err[128])
{
	static const char *const types[] = {"?", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"};
	uint32_t records = 0, g;
	int i = 3;

	memset(l4->b, 0, 8);
	l4->b[0] = 0x22;
	l4->len = 8;
	while (i + 2 < n && strcmp(w[i], "csum") != 0) {
		uint8_t *r = l4->b + l4->len;
		int k;

		memset(r, 0, 8);
		for (uint8_t t = 1; t < ZF_ARRAY_SIZE(types); t++)
			if (strcmp(w[i], types[t]) == 0)
				r[0] = t;
		if (r[0] == 0 || !ps_ip(w[i + 1], &g) || w[i + 2][0] != '(')
			return BAD("igmp report: '%s %s %s'?", w[i], w[i + 1], w[i + 2]);
		k = sources(w[i + 2], r + 8, err);
		if (k < 0)
			return -1;
		ps_put16(r + 2, (uint32_t)k);
		ps_put32(r + 4, g);
		l4->len += 8 + 4 * (uint32_t)k;
		records++;
		i += 3;
	}
	ps_put16(l4->b + 6, records);
	l4->dst_ip = 0xe0000016;
	return i;
}

/* igmp query v3 239.1.1.1 max 100 (SOURCES); the group "any" asks for all */
static int
igmp_query(char **w, int n, struct ps_l4 *l4, char err[128])
{
	uint32_t g;
	uint64_t v;
	int i = 4, k;
	bool v3 = strcmp(w[2], "v3") == 0;

	if (n < 4 || !ps_ip(w[3], &g))
		return BAD("igmp query v1|v2|v3 GROUP");
	memset(l4->b, 0, 12);
	l4->b[0] = 0x11;
	l4->b[1] = strcmp(w[2], "v1") == 0 ? 0 : 100;
	ps_put32(l4->b + 4, g);
	l4->len = v3 ? 12 : 8;
	l4->b[8] = 2;
	l4->b[9] = 125;
	l4->dst_ip = g != 0 ? g : 0xe0000001;
	for (; i < n && strcmp(w[i], "csum") != 0; i++) {
		if (w[i][0] == '(') {
			k = sources(w[i], l4->b + 12, err);
			if (k < 0)
				return -1;
			ps_put16(l4->b + 10, (uint32_t)k);
			l4->len += 4 * (uint32_t)k;
			continue;
		}
		if (i + 1 == n || !ps_num(w[++i], &v))
			return BAD("igmp query: '%s'?", w[i - 1]);
		if (strcmp(w[i - 1], "max") == 0)
			l4->b[1] = (uint8_t)v;
		else if (strcmp(w[i - 1], "qrv") == 0)
			l4->b[8] = (uint8_t)((l4->b[8] & 8) | v);
		else if (strcmp(w[i - 1], "supp") == 0)
			l4->b[8] |= (uint8_t)(v << 3);
		else if (strcmp(w[i - 1], "nsrc") == 0) /* a number that may lie */
			ps_put16(l4->b + 10, (uint32_t)v);
		else
			return BAD("igmp query: '%s'?", w[i - 1]);
	}
	return i;
}

/* igmp v3 report ... | igmp v2 report G | igmp v1 report G | igmp v2 leave G | igmp query ... | igmp type N (BODY) */
static int
igmp(char **w, int n, struct ps_l4 *l4, char err[128])
{
	uint32_t g = 0;
	uint64_t v;
	int i;

	l4->proto = 2;
	l4->ttl = 1;
	l4->router_alert = l4->tos_any = true;
	if (n >= 3 && strcmp(w[1], "v3") == 0 && strcmp(w[2], "report") == 0) {
		i = igmp_report3(w, n, l4, err);
	} else if (n >= 4 && strcmp(w[1], "query") == 0) {
		i = igmp_query(w, n, l4, err);
	} else if (n >= 4 && strcmp(w[1], "type") == 0 && ps_num(w[2], &v)) {
		i = ps_payload_word(w[3], l4->b + 1, 1000);
		if (i < 3)
			return BAD("igmp type N (3 bytes or more)");
		l4->b[0] = (uint8_t)v;
		l4->len = (uint32_t)i + 1;
		l4->dst_ip = 0xe0000001;
		i = 4;
	} else if (n >= 4 && ps_ip(w[3], &g)) {
		bool leave = strcmp(w[2], "leave") == 0;

		memset(l4->b, 0, 8);
		l4->b[0] = leave ? 0x17 : strcmp(w[1], "v1") == 0 ? 0x12 : 0x16;
		ps_put32(l4->b + 4, g);
		l4->len = 8;
		l4->dst_ip = leave ? 0xe0000002 : g;
		i = 4;
	} else {
		return BAD("igmp v1|v2|v3 report|leave, igmp query");
	}
	if (i < 0)
		return -1;
	ps_put16(l4->b + 2, 0);
	ps_put16(l4->b + 2, ps_fold(ps_sum16(l4->b, l4->len, 0)));
	if (i + 1 < n && strcmp(w[i], "csum") == 0)
		l4->b[2] ^= 1;
	return 0;
}

int
ps_proto(struct ps *s, char **w, int n, bool in, struct ps_l4 *l4, char err[128])
{
	uint64_t v;
	int r;

	if (strcmp(w[0], "udp") == 0)
		return udp(w, n, l4, err);
	if (strcmp(w[0], "arp") == 0)
		return arp(s, w, n, in, l4, err);
	if (strcmp(w[0], "icmp") == 0)
		return icmp(s, w, n, in, l4, err);
	if (strcmp(w[0], "igmp") == 0)
		return igmp(w, n, l4, err);
	if (ps_is_tcp(w[0]))
		return ps_tcp(s, w, n, in, l4, err);
	if (n < 3 || !ps_num(w[1], &v) || (strcmp(w[0], "raw") != 0 && strcmp(w[0], "other") != 0))
		return BAD("'%s': no protocol of mine", w[0]);
	r = ps_payload_word(w[2], l4->b, 65515);
	if (r < 0)
		return BAD("payload '%s'?", w[2]);
	l4->len = (uint32_t)r;
	l4->no_l3 = w[0][0] == 'o'; /* "other 0x88cc (46)": an Ethernet type, "raw 47 (8)": an IP protocol */
	l4->ethertype = (uint16_t)v;
	l4->proto = (uint8_t)v;
	return 0;
}
