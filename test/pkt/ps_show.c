/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A frame in one line, as tcpdump prints it: for people who read why a script failed. Any bytes may come.
 */
#include <stdarg.h>
#include <string.h>

#include "pkt/ps_priv.h"

struct text {
	char *p;
	size_t left;
};

static void ZF_PRINTF(2, 3)
put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->left == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->p, t->left, fmt, ap);
	va_end(ap);
	n = (int)ZF_MIN((size_t)ZF_MAX(n, 0), t->left - 1);
	t->p += n;
	t->left -= (size_t)n;
}

static void
put_ip(struct text *t, const uint8_t *a)
{
	put(t, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
}

static void
put_mac(struct text *t, const uint8_t *a)
{
	put(t, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void
show_arp(struct text *t, const uint8_t *b, uint32_t len)
{
	uint32_t op;

	if (len < 28) {
		put(t, "ARP, truncated");
		return;
	}
	op = ps_get16(b + 6);
	if (op == 1) {
		put(t, "ARP, Request who-has ");
		put_ip(t, b + 24);
		put(t, " tell ");
		put_ip(t, b + 14);
		put(t, " (");
		put_mac(t, b + 8);
		put(t, ")");
	} else {
		put(t, "ARP, %s ", op == 2 ? "Reply" : "op ?");
		put_ip(t, b + 14);
		put(t, " is-at ");
		put_mac(t, b + 8);
	}
}

static void
show_tcp_opts(struct text *t, const uint8_t *o, uint32_t len, uint32_t isn)
{
	uint32_t i = 0;

	while (i < len) {
		uint32_t n = o[i] < 2 ? 1 : i + 1 < len ? o[i + 1] : 0;

		if (n == 0 || i + n > len || (n == 1 && o[i] > 1)) {
			put(t, " bad");
			return;
		}
		if (o[i] == 2 && n == 4)
			put(t, " mss %u", ps_get16(o + i + 2));
		else if (o[i] == 3 && n == 3)
			put(t, " wscale %u", o[i + 2]);
		else if (o[i] == 4)
			put(t, " sackOK");
		else if (o[i] == 8 && n == 10)
			put(t, " TS val %u ecr %u", ps_get32(o + i + 2), ps_get32(o + i + 6));
		else if (o[i] != 5)
			put(t, o[i] == 1 ? " nop" : o[i] == 0 ? " eol" : " opt-%u", o[i]);
		for (uint32_t k = 2; o[i] == 5 && k + 8 <= n; k += 8)
			put(t, " sack %u:%u", ps_get32(o + i + k) - isn, ps_get32(o + i + k + 4) - isn);
		i += n;
	}
}

/* As in the lines of scripts: numbers are relative if the connection is known. */
static void
show_tcp(struct text *t, const uint8_t *ip, const uint8_t *b, uint32_t len)
{
	static const char names[] = "FSRP.UEW";
	uint32_t hlen, src = ps_get32(ip + 12), dst = ps_get32(ip + 16), isn = 0, isn_dst = 0;
	struct ps_conn *c;

	if (len < 20) {
		put(t, ": tcp truncated");
		return;
	}
	c = ps_conn_find(&ps_one, src, dst, (uint16_t)ps_get16(b), (uint16_t)ps_get16(b + 2));
	if (c != NULL)
		isn = c->us_isn, isn_dst = c->peer_isn;
	else if ((c = ps_conn_find(&ps_one, dst, src, (uint16_t)ps_get16(b + 2), (uint16_t)ps_get16(b))) != NULL)
		isn = c->peer_isn, isn_dst = c->us_isn;
	hlen = (b[12] >> 4) * 4u;
	put(t, ": ");
	for (int i = 0; i < 8; i++)
		if (b[13] & 1 << i)
			put(t, "%c", names[i]);
	put(t, " %u:%u(%d)", ps_get32(b + 4) - isn, ps_get32(b + 4) - isn + (len - hlen), (int)(len - hlen));
	if (b[13] & 16)
		put(t, " ack %u", ps_get32(b + 8) - isn_dst);
	put(t, " win %u", ps_get16(b + 14));
	if (hlen > 20 && hlen <= len) {
		put(t, " <");
		show_tcp_opts(t, b + 20, hlen - 20, isn_dst);
		put(t, " >");
	}
}

static void
show_igmp(struct text *t, const uint8_t *b, uint32_t len)
{
	uint32_t off = 8;

	if (len < 8) {
		put(t, ": igmp truncated");
	} else if (b[0] == 0x22) {
		put(t, ": igmp v3 report");
		for (uint32_t r = ps_get16(b + 6); r > 0 && off + 8 <= len; r--) {
			uint32_t n = ps_get16(b + off + 2);

			put(t, " [type %u ", b[off]);
			put_ip(t, b + off + 4);
			put(t, " {");
			off += 8;
			for (; n > 0 && off + 4 <= len; n--, off += 4) {
				put(t, " ");
				put_ip(t, b + off);
			}
			put(t, " }]");
		}
	} else {
		put(t, ": igmp type 0x%02x max %u group ", b[0], b[1]);
		put_ip(t, b + 4);
	}
}

static void show_ip(struct text *t, const uint8_t *b, uint32_t len, bool quoted);

static void
show_icmp(struct text *t, const uint8_t *b, uint32_t len, bool quoted)
{
	if (len < 8) {
		put(t, ": ICMP truncated");
		return;
	}
	if (b[0] == 8 || b[0] == 0)
		put(t, ": ICMP echo %s, id %u, seq %u, length %u", b[0] == 8 ? "request" : "reply", ps_get16(b + 4),
		    ps_get16(b + 6), len);
	else
		put(t, ": ICMP type %u code %u, rest %08x, length %u", b[0], b[1], ps_get32(b + 4), len);
	if (!quoted && (b[0] == 3 || b[0] == 11 || b[0] == 12 || b[0] == 5)) {
		put(t, " [");
		show_ip(t, b + 8, len - 8, true);
		put(t, "]");
	}
}

static void
show_ip(struct text *t, const uint8_t *b, uint32_t len, bool quoted)
{
	uint32_t hlen, total, frag, l4;
	const uint8_t *p;
	bool ports;

	if (len < 20 || b[0] >> 4 != 4) {
		put(t, "IP, truncated or version %u", len > 0 ? b[0] >> 4 : 0);
		return;
	}
	hlen = (b[0] & 15) * 4u;
	total = ps_get16(b + 2);
	frag = ps_get16(b + 6);
	put(t, "IP (ttl %u, id %u%s%s, len %u%s) ", b[8], ps_get16(b + 4), frag & 0x4000 ? ", DF" : "",
	    hlen > 20 ? ", options" : "", total, total > len ? " beyond the frame" : "");
	if (hlen < 20 || total < hlen || (total > len && !quoted)) {
		put_ip(t, b + 12);
		put(t, " > ");
		put_ip(t, b + 16);
		put(t, ": bad header");
		return;
	}
	l4 = ZF_MIN(total, len) - ZF_MIN(hlen, ZF_MIN(total, len));
	p = b + hlen;
	ports = (b[9] == 17 || b[9] == 6) && (frag & 0x1fff) == 0 && l4 >= 8;
	put_ip(t, b + 12);
	if (ports)
		put(t, ".%u", ps_get16(p));
	put(t, " > ");
	put_ip(t, b + 16);
	if (ports)
		put(t, ".%u", ps_get16(p + 2));
	if ((frag & 0x3fff) != 0)
		put(t, ": frag %u:%u@%u%s", ps_get16(b + 4), l4, (frag & 0x1fff) * 8, frag & 0x2000 ? "+" : "");
	if ((frag & 0x1fff) != 0)
		return;
	if (b[9] == 17 && ports)
		put(t, ": UDP, length %d, csum %04x", (int)ps_get16(p + 4) - 8, ps_get16(p + 6));
	else if (b[9] == 6)
		show_tcp(t, b, p, l4);
	else if (b[9] == 1)
		show_icmp(t, p, l4, quoted);
	else if (b[9] == 2)
		show_igmp(t, p, l4);
	else
		put(t, ": ip-proto-%u, length %u", b[9], l4);
}

void
ps_show(char *out, size_t size, const uint8_t *b, uint32_t len)
{
	struct text t = {.p = out, .left = size};
	uint32_t off = 12, type;

	out[0] = '\0';
	if (len < 14) {
		put(&t, "runt of %u bytes", len);
		return;
	}
	put_mac(&t, b + 6);
	put(&t, " > ");
	put_mac(&t, b);
	put(&t, ", ");
	type = ps_get16(b + off);
	while ((type == 0x8100 || type == 0x88a8) && off + 6 <= len) {
		put(&t, "vlan %u, ", ps_get16(b + off + 2) & 0xfff);
		off += 4;
		type = ps_get16(b + off);
	}
	off += 2;
	if (type == 0x0806)
		show_arp(&t, b + off, len - off);
	else if (type == 0x0800)
		show_ip(&t, b + off, len - off, false);
	else
		put(&t, "ethertype 0x%04x, length %u", type, len);
}

void
ps_dump(FILE *f, const uint8_t *b, uint32_t len)
{
	for (uint32_t i = 0; i < len && i < 256; i++)
		fprintf(f, "%s%02x%s", i % 16 == 0 ? "      " : "", b[i], i % 16 == 15 ? "\n" : " ");
	fprintf(f, "%s%s", len % 16 == 0 && len <= 256 ? "" : "\n", len > 256 ? "      ...\n" : "");
}
