/* SPDX-License-Identifier: BSD-3-Clause
 *
 * UDP zockets for packet scripts: the calls of zf_udp.h with addresses as text, payloads by the pattern, and every
 * answer checked.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/attr.h"
#include "pkt/ps_priv.h"

#define IOVS 64

/* A message with room for its buffers. */
union message {
	struct zfur_msg msg;
	uint8_t room[sizeof(struct zfur_msg) + IOVS * sizeof(struct iovec)];
};

struct sockaddr_in
ps_addr(struct ps *s, const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char host[64];
	const char *colon = strchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);
	uint32_t ip = 0;

	if (n >= sizeof(host))
		ps_fail(s, 0, "address '%s'?", text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (!ps_ip(host, &ip))
		ps_fail(s, 0, "address '%s'?", text);
	a.sin_addr.s_addr = htonl(ip);
	if (colon != NULL)
		a.sin_port = htons((uint16_t)atoi(colon + 1));
	return a;
}

struct zfur *
ps_zfur_new(struct ps *s)
{
	struct zf_attr *attr;
	int rc;

	for (int i = 0; i < PS_ZOCKETS; i++) {
		if (s->zfurs[i] != NULL)
			continue;
		PS_EQ(s, zf_attr_alloc(&attr), 0);
		rc = zfur_alloc(&s->zfurs[i], ps_stack(s), attr);
		zf_attr_free(attr);
		PS_EQ(s, rc, 0);
		return s->zfurs[i];
	}
	ps_fail(s, 0, "too many zockets in one script");
}

int
ps_bind(struct ps *s, struct zfur *us, const char *local, const char *remote)
{
	struct sockaddr_in l = ps_addr(s, local), r = {0};
	int rc;

	if (remote != NULL)
		r = ps_addr(s, remote);
	rc = zfur_addr_bind(us, (struct sockaddr *)&l, sizeof(l), remote != NULL ? (struct sockaddr *)&r : NULL,
			    remote != NULL ? sizeof(r) : 0, 0);
	ps_note(s, "zfur_addr_bind(%s, %s) = %d", local, remote != NULL ? remote : "NULL", rc);
	return rc;
}

int
ps_unbind(struct ps *s, struct zfur *us, const char *local, const char *remote)
{
	struct sockaddr_in l = {0}, r = {0};
	int rc;

	if (local != NULL)
		l = ps_addr(s, local);
	if (remote != NULL)
		r = ps_addr(s, remote);
	rc = zfur_addr_unbind(us, local != NULL ? (struct sockaddr *)&l : NULL, local != NULL ? sizeof(l) : 0,
			      remote != NULL ? (struct sockaddr *)&r : NULL, remote != NULL ? sizeof(r) : 0, 0);
	ps_note(s, "zfur_addr_unbind(%s, %s) = %d", local != NULL ? local : "NULL",
		remote != NULL ? remote : "NULL", rc);
	return rc;
}

struct zfur *
ps_zfur_at(struct ps *s, int line, const char *local, const char *remote)
{
	struct zfur *us = ps_zfur_new(s);

	if (ps_bind(s, us, local, remote) != 0)
		ps_fail(s, line, "zfur_addr_bind failed");
	return us;
}

struct zfut *
ps_zfut_at(struct ps *s, int line, const char *local, const char *remote)
{
	struct sockaddr_in l = ps_addr(s, local), r = ps_addr(s, remote);
	struct zf_attr *attr;
	int i, rc;

	for (i = 0; i < PS_ZOCKETS && s->zfuts[i] != NULL; i++)
		;
	if (i == PS_ZOCKETS)
		ps_fail(s, line, "too many zockets in one script");
	if (zf_attr_alloc(&attr) != 0)
		ps_fail(s, line, "no memory");
	if (s->opts.attrs != NULL) /* udp_ttl and the like */
		attr_apply_text(attr, s->opts.attrs, NULL);
	rc = zfut_alloc(&s->zfuts[i], ps_stack(s), (struct sockaddr *)&l, sizeof(l), (struct sockaddr *)&r,
			sizeof(r), 0, attr);
	zf_attr_free(attr);
	ps_note(s, "zfut_alloc(%s > %s) = %d", local, remote, rc);
	if (rc != 0)
		ps_fail(s, line, "zfut_alloc: %s", strerror(-rc));
	if (!s->opts.strangers)
		s->t_ns = zt_clock(); /* the call may have waited */
	return s->zfuts[i];
}

void
ps_zfur_free(struct ps *s, struct zfur *us)
{
	for (int i = 0; i < PS_ZOCKETS; i++)
		if (s->zfurs[i] == us)
			s->zfurs[i] = NULL;
	PS_EQ(s, zfur_free(us), 0);
}

void
ps_zfut_free(struct ps *s, struct zfut *us)
{
	for (int i = 0; i < PS_ZOCKETS; i++)
		if (s->zfuts[i] == us)
			s->zfuts[i] = NULL;
	PS_EQ(s, zfut_free(us), 0);
}

const uint8_t *
ps_payload(uint32_t len, uint32_t off)
{
	static uint8_t b[70000];

	for (uint32_t i = 0; i < len && i < sizeof(b); i++)
		b[i] = ps_pattern(off + i);
	return b;
}

int
ps_send_off(struct ps *s, struct zfut *us, uint32_t len, uint32_t off, int flags)
{
	const uint8_t *b = ps_payload(len, off);
	/* Three uneven pieces and an empty one. */
	uint32_t a = len / 3, c = len - a - len / 2;
	struct iovec iov[4] = {{(void *)(uintptr_t)b, a},
			       {NULL, 0},
			       {(void *)(uintptr_t)(b + a), len / 2},
			       {(void *)(uintptr_t)(b + a + len / 2), c}};
	int rc = zfut_send(us, iov, 4, flags);

	ps_note(s, "zfut_send(%u bytes, 0x%x) = %d", len, (unsigned)flags, rc);
	return rc;
}

int
ps_send(struct ps *s, struct zfut *us, uint32_t len)
{
	return ps_send_off(s, us, len, 0, 0);
}

int
ps_send_single(struct ps *s, struct zfut *us, uint32_t len)
{
	int rc = zfut_send_single(us, len > 0 ? ps_payload(len, 0) : NULL, len);

	ps_note(s, "zfut_send_single(%u bytes) = %d", len, rc);
	return rc;
}

/* The headers that zfur_pkt_get_header() gives for each packet of the message. */
static void
check_headers(struct ps *s, int line, struct zfur *us, const struct zfur_msg *msg, const char *from, uint32_t len)
{
	const struct iphdr *ipp = NULL;
	const struct udphdr *udpp = NULL;
	struct sockaddr_in a;
	struct udphdr udp;
	struct iphdr ip;

	if (zfur_pkt_get_header(us, msg, &ipp, &udpp, 0) != 0)
		ps_fail(s, line, "zfur_pkt_get_header failed");
	/* Headers lie as the frame did: not aligned. */
	memcpy(&ip, ipp, sizeof(ip));
	memcpy(&udp, udpp, sizeof(udp));
	if (zfur_pkt_get_header(us, msg, &ipp, &udpp, msg->iovcnt) != -EINVAL ||
	    zfur_pkt_get_header(us, msg, &ipp, &udpp, -1) != -EINVAL)
		ps_fail(s, line, "zfur_pkt_get_header took a bad index");
	if (ip.version != 4 || ip.protocol != 17 || ntohs(udp.len) != len + 8 ||
	    ntohs(ip.tot_len) < ip.ihl * 4 + len + 8)
		ps_fail(s, line, "headers: version %u, protocol %u, IP length %u, UDP length %u", ip.version,
			ip.protocol, ntohs(ip.tot_len), ntohs(udp.len));
	if (from == NULL)
		return;
	a = ps_addr(s, from);
	if (ip.saddr != a.sin_addr.s_addr || udp.source != a.sin_port)
		ps_fail(s, line, "datagram from %08x:%u, not from %s", ntohl(ip.saddr), ntohs(udp.source), from);
}

void
ps_recv_at(struct ps *s, int line, struct zfur *us, const char *from, uint32_t len, uint32_t off)
{
	union message rd;
	uint32_t at = 0;

	memset(&rd, 0x5a, sizeof(rd));
	rd.msg.iovcnt = IOVS;
	zfur_zc_recv(us, &rd.msg, 0);
	ps_note(s, "zfur_zc_recv: %d buffers, %d left", rd.msg.iovcnt, rd.msg.dgrams_left);
	if (rd.msg.iovcnt == 0)
		ps_fail(s, line, "no datagram waits");
	check_headers(s, line, us, &rd.msg, from, len);
	for (int i = 0; i < rd.msg.iovcnt; i++) {
		const uint8_t *b = rd.msg.iov[i].iov_base;

		for (size_t k = 0; k < rd.msg.iov[i].iov_len; k++, at++)
			if (at < len && b[k] != ps_pattern(off + at))
				ps_fail(s, line, "payload differs at byte %u: %02x, not %02x", at, b[k],
					ps_pattern(off + at));
	}
	if (at != len)
		ps_fail(s, line, "%u bytes received, not %u", at, len);
	zfur_zc_recv_done(us, &rd.msg);
}

void
ps_recv_none_at(struct ps *s, int line, struct zfur *us)
{
	union message rd;

	memset(&rd, 0x5a, sizeof(rd));
	rd.msg.iovcnt = 2;
	zfur_zc_recv(us, &rd.msg, 0);
	if (rd.msg.iovcnt != 0)
		ps_fail(s, line, "a datagram of %zu bytes or more waits", rd.msg.iov[0].iov_len);
}
