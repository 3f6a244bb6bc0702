/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The packet-script engine: plays one script over one stack, keeps its lines and the wire for the case that it fails,
 * and looks for everything that a script need not say (see ps.h). Lines become frames in ps_line.c.
 */
#include "pkt/ps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pkt/ps_priv.h"
#include "pkt/ps_zft.h"
#include "tcp/tcp.h"

#define NS 1000000000.0
/* A timer fires up to one tick of the wheel late (2^15 ns), and what it does may wait for another. */
#define TOLERANCE_NS 100000u
/* Longest that anything but a zocket may keep a buffer: reassembly's minute, with a margin. */
#define LINGER_S 130.0
/* Initial sequence numbers: plain ones, and such that both sides wrap within the first data. */
#define ISN_US        1u
#define ISN_PEER      7000u
#define ISN_US_WRAP   0xfffffff0u
#define ISN_PEER_WRAP 0xfffffe00u

struct ps ps_one;
FILE *ps_dump_f;

struct zf_stack *
ps_stack(struct ps *s)
{
	return zt_stack(s->zt);
}

struct mem_port *
ps_port(struct ps *s)
{
	return zt_port(s->zt);
}

static void
force_isn(bool forced, uint32_t isn)
{
	tcp_isn_forced = forced;
	tcp_isn_value = isn;
}

void
ps_isn(struct ps *s, uint32_t isn)
{
	s->tcp_us_isn = isn;
	force_isn(true, isn);
}

void
ps_isn_any(struct ps *s)
{
	(void)s;
	force_isn(false, 0);
}

void
ps_peer_isn(struct ps *s, uint32_t isn)
{
	s->tcp_peer_isn = isn;
}

void
ps_any_payload(struct ps *s)
{
	s->any_payload = true;
}

void
ps_no_tcp_check(struct ps *s)
{
	s->no_tcp_check = true;
}

static double
script_time(uint64_t ns)
{
	return (double)(int64_t)(ns - 1000 * 1000000000ull) / NS;
}

static void ZF_PRINTF(3, 4)
note_line(struct ps *s, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(s->log_f, "\n%5d %11.6f  ", line, script_time(zt_clock()));
	va_start(ap, fmt);
	vfprintf(s->log_f, fmt, ap);
	va_end(ap);
}

void
ps_note(struct ps *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note_line(s, 0, "-- %s", text);
}

void
ps_fail(struct ps *s, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(s->log_f, "\n  >>> line %d: ", line);
	va_start(ap, fmt);
	vfprintf(s->log_f, fmt, ap);
	va_end(ap);
	s->broken = true;
	longjmp(s->fail, 1);
}

static void
note_wire(struct ps *s, bool in, uint64_t when, const uint8_t *b, uint32_t len)
{
	char text[512];

	ps_show(text, sizeof(text), b, len);
	fprintf(s->wire_f, "      %11.6f %s %s\n", script_time(when), in ? "<" : ">", text);
}

/* Is this a request that the script's hosts answer by themselves? Fills in the answer. */
static bool
arp_for_host(struct ps *s, const uint8_t *b, uint32_t len, uint8_t reply[60])
{
	uint32_t off = s->opts.vlan != 0 ? 18 : 14, tpa, last;
	uint8_t mac[6];

	if (s->opts.strangers || len < off + 28 || ps_get16(b + off - 2) != 0x0806 || ps_get16(b + off + 6) != 1)
		return false;
	tpa = ps_get32(b + off + 24);
	last = tpa & 0xff;
	if (tpa >> 8 != 0xc00002 || (last != 0x42 && last != 0x43 && last != 0xfe))
		return false;
	ps_mac_of(s, tpa, mac);
	memset(reply, 0, 60);
	memcpy(reply, b, off + 28);
	memcpy(reply, b + 6, 6);
	memcpy(reply + 6, mac, 6);
	ps_put16(reply + off + 6, 2);
	memcpy(reply + off + 8, mac, 6);
	ps_put32(reply + off + 14, tpa);
	memcpy(reply + off + 18, b + off + 8, 10);
	return true;
}

static void
on_tx(void *arg, const uint8_t *b, uint32_t len)
{
	struct ps *s = arg;
	uint8_t reply[60];

	if (arp_for_host(s, b, len, reply))
		mem_push(s->zt != NULL ? ps_port(s) : zt_next_port(), 0, reply, 60, 0);
}

static void
on_fault(void *arg, const char *what)
{
	struct ps *s = arg;

	if (s->fault_n++ == 0)
		snprintf(s->fault, sizeof(s->fault), "%s", what);
}

/* The next frame that the stack sent and that is the script's business: its length, 0 if there is none. */
static uint32_t
next_sent(struct ps *s, int line, uint8_t *b, uint64_t *when)
{
	uint8_t reply[60];
	const char *wrong;
	int n;

	for (;;) {
		n = zt_pop(s->zt, b, PS_FRAME_MAX, when);
		if (n < 0)
			return 0;
		note_wire(s, false, *when, b, (uint32_t)n);
		wrong = ps_check_sent(s, b, (uint32_t)n);
		if (wrong != NULL) {
			ps_dump(s->wire_f, b, (uint32_t)n);
			ps_fail(s, line, "sent a bad frame: %s", wrong);
		}
		if (!arp_for_host(s, b, (uint32_t)n, reply))
			return (uint32_t)n;
	}
}

uint32_t
ps_take(struct ps *s, void *buf, uint32_t size)
{
	static uint8_t b[PS_FRAME_MAX];
	uint64_t when;
	uint32_t n;

	ps_run(s);
	n = next_sent(s, 0, b, &when);
	memcpy(buf, b, ZF_MIN(n, size));
	return n;
}

static void
nothing_sent(struct ps *s, int line)
{
	static uint8_t b[PS_FRAME_MAX];
	char text[512];
	uint64_t when;
	uint32_t n = next_sent(s, line, b, &when);

	if (n == 0)
		return;
	ps_show(text, sizeof(text), b, n);
	ps_fail(s, line, "at %.6f the stack sent what nobody expected: %s", script_time(when), text);
}

/* Frames that @zt has counted as ended, but for those that it handed to the other stack of its queue. */
static uint64_t
frames_ended(struct zt *zt)
{
	uint64_t ends = 0;
	bool rx;

	for (unsigned i = 0; zt_counter_name(i, &rx) != NULL; i++)
		if (rx && i != CNT_RX_OTHER_STACK)
			ends += zt_counter_at(zt, i);
	return ends;
}

/* Every received frame in exactly one RX_ counter, no rule of the driver line broken. */
static void
invariants(struct ps *s, int line)
{
	uint64_t ends = frames_ended(s->zt), got = mem_stats(ps_port(s))->rx_delivered;
	bool right = ends == got;

	if (s->fault_n > 0)
		ps_fail(s, line, "the stack broke a rule of its port: %s (%u times)", s->fault, s->fault_n);
	if (s->companion != NULL) { /* what is for all ends twice */
		ends += frames_ended(s->companion);
		right = ends >= got && ends <= 2 * got;
	}
	if (!right)
		ps_fail(s, line, "%llu frames received, but the RX_ counters add up to %llu", (unsigned long long)got,
			(unsigned long long)ends);
}

static void
advance_to(struct ps *s, int line, uint64_t ns)
{
	int rc = ns > zt_clock() ? zt_advance(ns - zt_clock()) : zt_run();

	if (rc < 0)
		ps_fail(s, line, "the stack wants to run for ever");
	invariants(s, line);
}

int
ps_run(struct ps *s)
{
	int rc = zt_run();

	if (rc < 0)
		ps_fail(s, 0, "the stack wants to run for ever");
	invariants(s, 0);
	return rc;
}

int
ps_poll(struct ps *s)
{
	return zf_reactor_perform(ps_stack(s));
}

static void
build_line(struct ps *s, int line, bool in, const char *text, struct ps_when *when, struct ps_frame *f)
{
	char err[128];

	if (ps_line(s, text, in, when, f, err) < 0)
		ps_fail(s, line, "cannot read this line: %s", err);
}

static void
push(struct ps *s, int line, const uint8_t *b, uint32_t len, uint64_t when)
{
	note_wire(s, true, when, b, len);
	ps_conn_in(s, b, len);
	if (ps_dump_f != NULL) { /* a step of test/fuzz/fuzz_frames.c */
		uint8_t step[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};

		fwrite(step, 1, sizeof(step), ps_dump_f);
		fwrite(b, 1, len, ps_dump_f);
	}
	if (mem_push(ps_port(s), 0, b, len, when) < 0)
		ps_fail(s, line, "cannot push a frame of %u bytes", len);
}

#define FORMAT(text, fmt)                                                                          \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, fmt);                                                                \
		vsnprintf(text, sizeof(text), fmt, ap_);                                           \
		va_end(ap_);                                                                       \
	} while (0)

static uint64_t
start_of(struct ps *s)
{
	return ZF_MAX(s->t_ns, zt_clock());
}

void
ps_in_frame_at(struct ps *s, int line, const void *frame, uint32_t len)
{
	note_line(s, line, "in   %u bytes", len);
	advance_to(s, line, start_of(s));
	nothing_sent(s, line);
	push(s, line, frame, len, zt_clock());
	s->t_ns = zt_clock();
	advance_to(s, line, s->t_ns);
}

void
ps_in_at(struct ps *s, int line, const char *fmt, ...)
{
	static struct ps_frame f;
	struct ps_when when;
	char text[PS_LINE_MAX];

	FORMAT(text, fmt);
	note_line(s, line, "in   %s", text);
	build_line(s, line, true, text, &when, &f);
	advance_to(s, line, start_of(s) + when.from_ns);
	nothing_sent(s, line);
	push(s, line, f.b, f.len, zt_clock());
	s->t_ns = zt_clock();
	advance_to(s, line, s->t_ns);
}

void
ps_queue_at(struct ps *s, int line, const char *fmt, ...)
{
	static struct ps_frame f;
	struct ps_when when;
	char text[PS_LINE_MAX];

	FORMAT(text, fmt);
	note_line(s, line, "queue %s", text);
	build_line(s, line, true, text, &when, &f);
	push(s, line, f.b, f.len, start_of(s) + when.from_ns);
}

uint32_t
ps_build(struct ps *s, void *buf, uint32_t size, const char *fmt, ...)
{
	static struct ps_frame f;
	struct ps_when when;
	char text[PS_LINE_MAX];

	FORMAT(text, fmt);
	build_line(s, 0, true, text, &when, &f);
	if (f.len > size)
		ps_fail(s, 0, "frame of %u bytes into a buffer of %u", f.len, size);
	memcpy(buf, f.b, f.len);
	return f.len;
}

void
ps_in_hex_at(struct ps *s, int line, const char *hex)
{
	static uint8_t b[4096];
	uint32_t n = 0;
	unsigned v;

	for (const char *p = hex; *p != '\0' && n < sizeof(b);) {
		if (*p == ' ' || *p == '\n' || *p == ':') {
			p++;
			continue;
		}
		if (sscanf(p, "%2x", &v) != 1)
			ps_fail(s, line, "bad hex at '%s'", p);
		b[n++] = (uint8_t)v;
		p += p[1] != '\0' ? 2 : 1;
	}
	ps_in_frame_at(s, line, b, n);
}

static bool
matches(const struct ps_frame *want, const uint8_t *b, uint32_t len, uint32_t *at)
{
	for (uint32_t i = 0; i < ZF_MIN(want->len, len); i++) {
		if (((want->b[i] ^ b[i]) & want->m[i]) != 0) {
			*at = i;
			return false;
		}
	}
	*at = want->len;
	if (want->open_end || len == want->len)
		return len >= want->len;
	return want->len < 60 && len == 60; /* padded; that it is with zeros was checked */
}

static void
mismatch(struct ps *s, int line, const struct ps_frame *want, const uint8_t *b, uint32_t len, uint32_t at)
{
	char text[512];

	ps_show(text, sizeof(text), want->b, want->len);
	fprintf(s->wire_f, "      expected: %s\n", text);
	ps_dump(s->wire_f, want->b, want->len);
	ps_show(text, sizeof(text), b, len);
	fprintf(s->wire_f, "      sent: %s\n", text);
	ps_dump(s->wire_f, b, len);
	ps_fail(s, line, "another frame was sent: differs at byte %u (length %u, expected %u)", at, len, want->len);
}

/* The line once more, now that it is known what it is held against: initial sequence numbers, options. */
static void
build_against(struct ps *s, int line, const char *text, const uint8_t *b, uint32_t len, struct ps_frame *want)
{
	uint32_t off = s->opts.vlan != 0 ? 18 : 14, l4;
	struct ps_when when;

	if (len < off + 40 || ps_get16(b + off - 2) != 0x0800 || b[off + 9] != 6)
		return;
	l4 = off + (b[off] & 15) * 4u;
	s->seen_opts = b + l4 + 20;
	s->seen_opts_len = (b[l4 + 12] >> 4) * 4u - 20; /* was checked */
	build_line(s, line, false, text, &when, want);
	s->seen_opts = NULL;
}

void
ps_out_at(struct ps *s, int line, const char *fmt, ...)
{
	static struct ps_frame want;
	static uint8_t b[PS_FRAME_MAX];
	struct ps_when when;
	char text[PS_LINE_MAX];
	uint64_t sent = 0, last;
	uint32_t n, at;

	FORMAT(text, fmt);
	note_line(s, line, "out  %s", text);
	build_line(s, line, false, text, &when, &want);
	last = s->t_ns + when.to_ns + TOLERANCE_NS;
	if (zt_run() < 0)
		ps_fail(s, line, "the stack wants to run for ever");
	while ((n = next_sent(s, line, b, &sent)) == 0) {
		uint64_t next = zt_next_event(NULL);

		if (next > last)
			ps_fail(s, line, "nothing was sent");
		if (zt_advance(next > zt_clock() ? next - zt_clock() : 1) < 0)
			ps_fail(s, line, "the stack wants to run for ever");
	}
	build_against(s, line, text, b, n, &want);
	if (!matches(&want, b, n, &at))
		mismatch(s, line, &want, b, n, at);
	if (!when.any && (sent + TOLERANCE_NS < s->t_ns + when.from_ns || sent > last))
		ps_fail(s, line, "sent %.6f s after the line before, not %.6f to %.6f",
			(double)(int64_t)(sent - s->t_ns) / NS, (double)when.from_ns / NS, (double)when.to_ns / NS);
	s->t_ns = ZF_MAX(s->t_ns, sent);
	invariants(s, line);
}

void
ps_silence_at(struct ps *s, int line, double seconds)
{
	note_line(s, line, "silence for %.6f s", seconds);
	advance_to(s, line, start_of(s) + (uint64_t)(seconds * NS));
	nothing_sent(s, line);
	s->t_ns = zt_clock();
}

uint32_t
ps_ignore(struct ps *s, double seconds)
{
	static uint8_t b[PS_FRAME_MAX];
	uint64_t when;
	uint32_t n = 0;

	advance_to(s, 0, start_of(s) + (uint64_t)(seconds * NS));
	while (next_sent(s, 0, b, &when) != 0)
		n++;
	s->t_ns = zt_clock();
	return n;
}

void
ps_count_at(struct ps *s, int line, enum counter c, const char *name, uint64_t n)
{
	uint64_t got = zt_counter_at(s->zt, c) - s->base[c];

	note_line(s, line, "count %s %llu", name, (unsigned long long)n);
	if (got != n)
		ps_fail(s, line, "counter %s grew by %llu, not %llu", name, (unsigned long long)got,
			(unsigned long long)n);
	s->base[c] += got;
}

void
ps_count_min_at(struct ps *s, int line, enum counter c, const char *name, uint64_t n)
{
	uint64_t got = zt_counter_at(s->zt, c) - s->base[c];

	note_line(s, line, "count %s >= %llu", name, (unsigned long long)n);
	if (got < n)
		ps_fail(s, line, "counter %s grew by %llu only, not %llu", name, (unsigned long long)got,
			(unsigned long long)n);
	s->base[c] += got;
}

void
ps_eq(struct ps *s, int line, const char *expr, long long got, const char *wtext, long long want)
{
	note_line(s, line, "%s == %s", expr, wtext);
	if (got != want)
		ps_fail(s, line, "%s is %lld, not %s (%lld)", expr, got, wtext, want);
}

void
ps_ok(struct ps *s, int line, const char *text, bool cond)
{
	note_line(s, line, "%s", text);
	if (!cond)
		ps_fail(s, line, "not so: %s", text);
}

struct zf_ctx *
ps_ctx(struct ps *s)
{
	return zt_ctx(s->zt);
}

uint32_t
ps_bufs_free(struct ps *s)
{
	uint32_t n = pool_free_count(ps_ctx(s)->pool);

	return ps_mode_is_vi() ? n + softvi_rx_posted(softvi_adapter(mem_name(ps_port(s)))) : n;
}

/* The other stack of a shared queue. It is opened first, so that it is polled last: the script's stack sees all. */
static void
open_companion(struct ps *s, const char *port)
{
	char attrs[256];
	int rc;

	snprintf(attrs, sizeof(attrs), "interface=mem:%s;ipv4=192.0.2.9/24;vlan=%u;n_bufs=1024;reactor_spin_count=1;%s",
		 port, s->opts.vlan, s->opts.attrs != NULL ? s->opts.attrs : "");
	rc = zt_open(&s->companion, attrs);
	if (rc < 0)
		ps_fail(s, 0, "the companion's zf_stack_alloc: %s", strerror(-rc));
}

/* The port is behind an adapter. */
static void
open_vi(struct mem_port *p, char *attrs, size_t size)
{
	struct softvi *a = softvi_adapter(mem_name(p));
	size_t n = strlen(attrs);

	if (a != NULL)
		ps_mode_apply_vi(softvi_cfg(a));
	snprintf(attrs + n, size - n, ";interface=softvi:%s;pio=%d", mem_name(p), ps_mode_now() == PS_VI_PIO);
}

struct ps *
ps_open_opts(const struct ps_opts *o)
{
	struct ps *s = &ps_one;
	struct mem_port *p = zt_next_port();
	struct mem_cfg *c;
	const char *gw = o->gateway != NULL ? o->gateway : "192.0.2.254";
	/* An adapter keeps buffers in its ring: on top, so that the stack has what the script gives it. */
	uint32_t ring = ps_mode_is_vi() ? 512 : 0;
	char attrs[1024];
	int rc;

	if (p == NULL)
		ps_fail(s, 0, "no port");
	c = mem_cfg(p);
	s->opts = *o;
	memcpy(s->us_mac, c->mac, 6);
	c->mtu = o->mtu != 0 ? o->mtu : c->mtu;
	ps_mode_apply(c);
	if (o->port != NULL)
		o->port(c);
	mem_on_tx(p, on_tx, s);
	mem_on_fault(p, on_fault, s);
	snprintf(attrs, sizeof(attrs), "ipv4=%s%s%s;vlan=%u;n_bufs=%u;reactor_spin_count=1;%s%s",
		 o->ipv4 != NULL ? o->ipv4 : "192.0.2.1/24", gw[0] != '\0' ? ";gateway=" : "", gw, o->vlan,
		 (o->n_bufs != 0 ? o->n_bufs : 2048) + ring, ps_mode_is_slow() ? "tcp_fast_path=0;" : "", o->attrs != NULL ? o->attrs : "");
	if (ps_mode_now() == PS_SHARED) {
		size_t n = strlen(attrs);

		snprintf(attrs + n, sizeof(attrs) - n, ";interface=mem:%s", mem_name(p));
		open_companion(s, mem_name(p));
	}
	if (ps_mode_is_vi())
		open_vi(p, attrs, sizeof(attrs));
	note_line(s, 0, "open %s", attrs);
	rc = zt_open(&s->zt, attrs);
	if (rc < 0)
		ps_fail(s, 0, "zf_stack_alloc: %s", strerror(-rc));
	zt_seed(s->zt, 1);
	s->t_ns = zt_clock();
	if (!o->noisy_start)
		ps_ignore(s, 10);
	for (unsigned i = 0; i < CNT__N; i++)
		s->base[i] = zt_counter_at(s->zt, i);
	return s;
}

static void
free_zockets(struct ps *s)
{
	for (int i = 0; i < PS_ZOCKETS; i++) {
		if (s->zfurs[i] != NULL)
			zfur_free(s->zfurs[i]);
		if (s->zfuts[i] != NULL)
			zfut_free(s->zfuts[i]);
	}
	memset(s->zfurs, 0, sizeof(s->zfurs));
	memset(s->zfuts, 0, sizeof(s->zfuts));
	if (s->free_tcp != NULL)
		s->free_tcp(s);
}

/* The peer gives every connection up that is left: a reset right behind what we acknowledged. */
static void
reset_connections(struct ps *s)
{
	static struct ps_frame f;
	char text[128], err[128];
	struct ps_when when;

	for (struct ps_conn *c = ps_conn_next(s, NULL); c != NULL; c = ps_conn_next(s, c)) {
		if (!c->us_syn.seen || !c->us_acked)
			continue;
		snprintf(text, sizeof(text), "[ip src %u.%u.%u.%u dst %u.%u.%u.%u] R %u:%u(0) sport %u dport %u",
			 c->peer_ip >> 24, c->peer_ip >> 16 & 255, c->peer_ip >> 8 & 255, c->peer_ip & 255,
			 c->us_ip >> 24, c->us_ip >> 16 & 255, c->us_ip >> 8 & 255, c->us_ip & 255, c->us_ack,
			 c->us_ack, c->peer, c->us);
		if (ps_line(s, text, true, &when, &f, err) == 0)
			push(s, 0, f.b, f.len, zt_clock());
	}
	ps_ignore(s, 0);
}

/* What every script ends with. */
static void
finish(struct ps *s)
{
	struct zt_leaks l;

	ps_run(s);
	nothing_sent(s, 0);
	s->trace_closed = true;
	free_zockets(s);
	ps_ignore(s, 0);
	/* An ACK may still be on its way, delayed: a reset that misses it is challenged, and the next one hits. */
	for (int i = 0; i < 3 && zt_leaks(s->zt, &l) && l.zockets > 0; i++)
		reset_connections(s);
	if (zt_leaks(s->zt, &l))
		ps_ignore(s, LINGER_S); /* fragments, held frames and TIME-WAIT have a time of their own */
	if (zt_leaks(s->zt, &l) || (s->companion != NULL && zt_leaks(s->companion, &l)))
		ps_fail(s, 0, "leaked: %u buffers, %u held, %u timers, %u zockets, %u frames", l.bufs, l.rx_held,
			l.timers, l.zockets, l.other);
}

static void
close_stack(struct ps *s, bool seen[CNT__N])
{
	struct zt_leaks l;
	int rc;

	for (unsigned i = 0; i < CNT__N; i++)
		seen[i] |= zt_counter_at(s->zt, i) != 0;
	rc = zt_close(s->zt, &l);
	s->zt = NULL;
	if (s->companion != NULL && rc >= 0)
		rc = zt_close(s->companion, &l);
	else if (s->companion != NULL)
		(void)zt_close(s->companion, NULL);
	s->companion = NULL;
	if (rc < 0 && !s->broken) {
		fprintf(s->log_f, "\n  >>> at close: leaked %u buffers", l.bufs);
		s->broken = true;
	}
}

/* The last lines of a text: a script of a thousand frames is about the last ones when it fails. */
static const char *
tail_of(const char *text, int lines)
{
	const char *p = text + strlen(text);

	while (p > text && (*p != '\n' || lines-- > 0))
		p--;
	return p;
}

static void
report(const struct ps_test *t, enum ps_mode mode, struct ps *s)
{
	printf("FAILED: %s [%s] (%s)\n    script:%s\n    wire (< to the stack, > from it):\n%s\n", t->name,
	       ps_mode_names[mode], t->rfc, tail_of(s->log, 60), tail_of(s->wire, 60));
}

bool
ps_play(const struct ps_test *t, enum ps_mode mode, bool seen[CNT__N], enum ps_verbosity verbosity)
{
	static uint64_t played;
	struct ps *s = &ps_one;
	bool ok;

	memset(s, 0, sizeof(*s));
	s->log_f = open_memstream(&s->log, &s->log_len);
	s->wire_f = open_memstream(&s->wire, &s->wire_len);
	if (s->log_f == NULL || s->wire_f == NULL)
		return false;
	mem_clock_ns = 1000 * 1000000000ull;
	pool_fail_after = pool_fail_every = 0;
	s->script = ++played;
	s->tcp_us = 1000;
	s->tcp_peer = 2000;
	s->tcp_win = 65535;
	ps_mode_set(mode);
	s->tcp_peer_isn = ps_mode_wraps() ? ISN_PEER_WRAP : ISN_PEER;
	ps_isn(s, ps_mode_wraps() ? ISN_US_WRAP : ISN_US);
	if (setjmp(s->fail) == 0) {
		t->run();
		if (s->zt == NULL)
			ps_fail(s, 0, "the script opened no stack");
		pool_fail_after = pool_fail_every = 0;
		finish(s);
	}
	pool_fail_after = pool_fail_every = 0;
	if (s->zt != NULL) {
		free_zockets(s);
		close_stack(s, seen);
	} else if (s->companion != NULL) {
		(void)zt_close(s->companion, NULL);
	}
	fclose(s->log_f);
	fclose(s->wire_f);
	ok = t->must_fail == NULL ? !s->broken : s->broken && strstr(s->log, t->must_fail) != NULL;
	if (verbosity == PS_SAY_ALL || (!ok && verbosity == PS_SAY_FAILURES))
		report(t, mode, s);
	ps_trace_keep(s, mode, ok);
	free(s->log);
	free(s->wire);
	return ok;
}
