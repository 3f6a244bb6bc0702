/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The two stacks: opened alike, driven alike, and held against each other. See fs.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ip/csum.h"
#include "pkt/fs.h"
#include "tcp/conn.h"
#include "tcp/sendq.h"
#include "tcp/loss.h"

static const char *const side_names[SIDES] = {"fast", "slow"};

static void
show_out(const struct fs *f, int side)
{
	for (uint32_t i = 0; i < ZF_MIN(f->s[side].n_out, 60u); i++) {
		const struct fs_out *o = &f->s[side].out[i];

		if (o->tcp)
			printf("    %s: %u:%u(%u) ack %u win %u flags %02x opt %u tos %u to %02x hash %08x\n",
			       side_names[side], o->seq - f->c.iss, o->seq - f->c.iss + o->len, o->len,
			       o->ack - f->c.irs, o->wnd, o->flags, o->opt_len, o->tos, o->mac, o->hash);
		else
			printf("    %s: another frame, %u bytes, hash %08x\n", side_names[side], o->len, o->hash);
	}
}

static void
show_zft(const struct fs *f, int side)
{
	const struct zft *ts = f->s[side].ts;
	const struct tcp_room *r;

	if (ts == NULL)
		return;
	r = zt_ctx(f->s[side].t)->tcp;
	printf("    %s: state %u flags %07x snd %u..%u..%u wnd %u cwnd %u rcv %u +%u rxq %u queue", side_names[side],
	       ts->state, ts->flags, ts->snd_una.n - f->c.iss, ts->snd_nxt.n - f->c.iss, ts->snd_end.n - f->c.iss,
	       ts->snd_wnd, ts->cc.cwnd, ts->rcv_nxt.n - f->c.irs, ts->rcv_adv.n - ts->rcv_nxt.n, ts->rxq_bytes);
	for (uint32_t i = ts->sq_head, n = 0; i != TCP_NONE && n < 20; i = r->segs[i].next, n++)
		printf("%s %u(%u)%x", i == ts->sq_unsent ? " |" : "", r->segs[i].seq.n - f->c.iss, r->segs[i].len,
		       r->segs[i].flags);
	printf("\n");
}

void
fs_fail(struct fs *f, const char *fmt, ...)
{
	va_list ap;

	printf("FAILED: seed %llu, step %u, behind \"%s\": ", (unsigned long long)f->seed, f->step, f->last);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	for (int i = 0; i < SIDES; i++) {
		show_out(f, i);
		show_zft(f, i);
	}
	printf("fastslow: 0 passed, 1 failed, 0 skipped; again with --seed %llu -v\n", (unsigned long long)f->seed);
	fflush(stdout);
	_Exit(1);
}

void
fs_say(struct fs *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->last, sizeof(f->last), fmt, ap);
	va_end(ap);
	if (f->verbose)
		printf("  %u: %.6f %s\n", f->step, (double)zt_clock() / 1e9, f->last);
}

static uint32_t
hash(const uint8_t *p, uint32_t len, uint32_t h)
{
	for (uint32_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

static void
note(struct fs *f, struct fs_side *s, const uint8_t *b, uint32_t len, uint64_t when)
{
	const struct hdr_ip4 *ip = (const struct hdr_ip4 *)(b + 14);
	const struct hdr_tcp *tcp = (const struct hdr_tcp *)(ip + 1);
	struct fs_out *o;
	uint32_t hl;

	if (s->n_out == FS_OUT_MAX)
		fs_fail(f, "too many frames in one step");
	o = &s->out[s->n_out++];
	*o = (struct fs_out){.when = when, .len = (uint16_t)len, .hash = 2166136261u};
	if (len < 54 || b[12] != 8 || b[13] != 0 || ip->proto != IP_PROTO_TCP) {
		o->hash = hash(b, len, o->hash);
		return;
	}
	hl = tcp_hdr_len(tcp);
	if (be16_host(ip->total_len) != len - 14)
		fs_fail(f, "a frame of %u bytes has an IP packet of %u", len, be16_host(ip->total_len));
	o->tcp = true;
	o->flags = tcp->flags;
	o->tos = ip->tos;
	o->mac = b[5];
	o->wnd = be16_host(tcp->wnd);
	o->len = (uint16_t)(len - 34 - hl);
	o->opt_len = (uint16_t)(hl - 20);
	o->sport = be16_host(tcp->src);
	o->seq = be32_host(tcp->seq);
	o->ack = be32_host(tcp->ack);
	o->hash = hash((const uint8_t *)(tcp + 1), len - 54, o->hash);
	if (!f->c.copy && (!csum_ok(csum_ip4_hdr(ip, 5)) ||
			   !csum_ok(csum_partial(tcp, len - 34, csum_pseudo(ip->src, ip->dst, IP_PROTO_TCP,
									    (uint16_t)(len - 34))))))
		fs_fail(f, "a wrong checksum");
	for (uint32_t i = 0; i < o->len; i++)
		if (b[34 + hl + i] != fs_pattern(o->seq - f->c.iss - 1 + i))
			fs_fail(f, "byte %u of what is sent is wrong", o->seq - f->c.iss - 1 + i);
}

/* The neighbour answers at once: calls that wait for it do not move the clock. */
static void
on_tx(void *arg, const uint8_t *b, uint32_t len)
{
	struct fs_side *s = arg;
	uint8_t r[60] = {0};

	if (ctx_has_events(zt_ctx(s->t)))
		fs_fail(s->f, "a frame is sent before the port's events are looked at");
	if (s->mute || len < 42 || b[12] != 8 || b[13] != 6 || b[21] != 1 || b[41] != (FS_PEER & 0xff))
		return;
	memcpy(r, b + 6, 6);
	memcpy(r + 6, "\x02\x01\x01\x01\x01\x01", 6);
	memcpy(r + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02\x02\x01\x01\x01\x01\x01", 16);
	memcpy(r + 28, b + 38, 4);
	memcpy(r + 32, b + 6, 6);
	memcpy(r + 38, b + 28, 4);
	(void)mem_push(zt_port(s->t), 0, r, sizeof(r), 0);
}

static void
on_fault(void *arg, const char *what)
{
	fs_fail(arg, "the driver line: %s", what);
}

static void
open_side(struct fs *f, int side)
{
	const struct fs_cfg *c = &f->c;
	struct fs_side *s = &f->s[side];
	struct mem_port *p = zt_next_port();
	struct mem_cfg *m = mem_cfg(p);
	char attrs[512];
	int rc;

	if (!c->unjudged) {
		m->caps |= PORT_CSUM_RX;
		m->rx_judges = true;
	}
	if (c->copy) {
		m->tx_copy_max = c->copy_max;
		m->caps |= PORT_CSUM_NONE;
	}
	snprintf(attrs, sizeof(attrs),
		 "ipv4=192.0.2.1/24;n_bufs=%u;max_tcp_endpoints=4;max_tcp_listen_endpoints=2;rx_ring_max=64;"
		 "tx_ring_max=%u;reactor_spin_count=1;log_level=0;tcp_fast_path=%d;tcp_timestamps=%d;tcp_ecn=%d;"
		 "tcp_rx_window=%u;tcp_delayed_ack=%d;tcp_initial_cwnd=%u;tcp_cc=%s;max_udp_rx_endpoints=1;"
		 "max_udp_tx_endpoints=1",
		 c->n_bufs, c->tx_ring, side == FAST, c->ts ? 2 : 0, c->ecn, c->rx_window, c->delack, c->initial_cwnd, c->cc);
	rc = zt_open(&s->t, attrs);
	if (rc < 0)
		fs_fail(f, "zt_open: %d", rc);
	s->f = f;
	mem_on_tx(zt_port(s->t), on_tx, s);
	mem_on_fault(zt_port(s->t), on_fault, f);
	zt_seed(s->t, f->seed);
}

void
fs_open(struct fs *f)
{
	for (int i = 0; i < SIDES; i++)
		open_side(f, i);
	zt_ctx(f->s[FAST].t)->tcp->key = zt_ctx(f->s[SLOW].t)->tcp->key; /* timestamps begin alike */
	(void)zt_advance(10ull * 1000000000); /* the announcements of the start */
	for (int i = 0; i < SIDES; i++)
		(void)mem_flush(zt_port(f->s[i].t));
	tcp_isn_forced = true;
	tcp_isn_value = f->c.iss;
}

void
fs_close(struct fs *f)
{
	for (int i = 0; i < SIDES; i++) {
		struct fs_side *s = &f->s[i];

		if (s->ts != NULL)
			(void)zft_free(s->ts);
		if (s->tl != NULL)
			(void)zftl_free(s->tl);
		(void)mem_flush(zt_port(s->t));
	}
	for (int i = 0; i < SIDES; i++) {
		struct tcp_room *r = zt_ctx(f->s[i].t)->tcp;

		for (uint32_t k = 0; k < r->max_zft; k++)
			if (r->zfts[k].w.kind != WAITABLE_NONE)
				tcp_abort(zt_ctx(f->s[i].t), &r->zfts[k]);
		tcp_leave(zt_ctx(f->s[i].t));
	}
	(void)zt_advance(200ull * 1000000000); /* TIME-WAIT ends, frames that wait for the neighbour give up */
	for (int i = 0; i < SIDES; i++) {
		struct zt_leaks l;

		if (zt_close(f->s[i].t, &l) < 0)
			fs_fail(f, "%s: leaked %u buffers, %u held, %u timers, %u zockets, %u others", side_names[i],
				l.bufs, l.rx_held, l.timers, l.zockets, l.other);
	}
}

void
fs_push(struct fs *f, const uint8_t *frame, uint32_t len)
{
	for (int i = 0; i < SIDES; i++)
		if (mem_push(zt_port(f->s[i].t), 0, frame, len, 0) < 0)
			fs_fail(f, "mem_push");
}

void
fs_poll(struct fs *f)
{
	for (int i = 0; i < SIDES; i++)
		(void)zf_reactor_perform(zt_stack(f->s[i].t));
}

void
fs_flush(struct fs *f)
{
	if (zt_run() < 0)
		fs_fail(f, "the stacks do not come to rest");
}

void
fs_collect(struct fs *f)
{
	uint8_t b[2048];
	uint64_t when;

	for (int i = 0; i < SIDES; i++) {
		int n;

		while ((n = zt_pop(f->s[i].t, b, sizeof(b), &when)) > 0)
			note(f, &f->s[i], b, (uint32_t)n, when);
	}
}

/* A pure ACK with nothing in it that another segment would not say as well. */
static bool
is_plain_ack(const struct fs *f, const struct fs_out *o)
{
	return o->tcp && o->len == 0 && (o->flags & ~TCP_FLAG_ECE) == TCP_FLAG_ACK &&
	       (o->opt_len == (f->c.ts ? 12 : 0) || f->c.level == FS_READ) && o->sport == FS_DPORT;
}

static bool
same_frame(const struct fs *f, const struct fs_out *a, const struct fs_out *b)
{
	struct fs_out x = *a, y = *b;

	if (f->c.level == FS_READ)
		x.wnd = y.wnd = 0;
	return x.when == y.when && x.tcp == y.tcp && x.flags == y.flags && x.tos == y.tos && x.mac == y.mac &&
	       x.wnd == y.wnd && x.len == y.len && x.opt_len == y.opt_len && x.sport == y.sport && x.seq == y.seq &&
	       x.ack == y.ack && x.hash == y.hash;
}

/* May pure ACK @o of the slow side be missing where the fast one goes on with frame @at? */
static bool
may_be_carried(const struct fs *f, const struct fs_out *o, uint32_t at)
{
	const struct fs_side *s = &f->s[FAST];

	if (!f->touched || !is_plain_ack(f, o))
		return false;
	for (uint32_t i = at; i < s->n_out; i++)
		if (s->out[i].tcp && (int32_t)(s->out[i].ack - o->ack) >= 0)
			return true;
	return false;
}

static void
compare_frames(struct fs *f)
{
	const struct fs_side *a = &f->s[FAST], *b = &f->s[SLOW];
	bool acks_differ = f->c.level == FS_READ || f->refused;
	uint32_t i = 0, k = 0;

	if (f->late && ZF_MAX(a->n_out, b->n_out) >= 128)
		return; /* no more can wait, so it depends on the number of ACKs which do */
	while (i < a->n_out || k < b->n_out) {
		if (acks_differ && i < a->n_out && is_plain_ack(f, &a->out[i]))
			i++;
		else if (acks_differ && k < b->n_out && is_plain_ack(f, &b->out[k]))
			k++;
		else if (i < a->n_out && k < b->n_out && same_frame(f, &a->out[i], &b->out[k]))
			i++, k++;
		else if (f->c.level == FS_SEND && k < b->n_out && may_be_carried(f, &b->out[k], i))
			k++;
		else
			fs_fail(f, "other frames: fast %u of %u, slow %u of %u", i + 1, a->n_out, k + 1, b->n_out);
	}
}

/* Of each side alone: windows as told move to the right only. */
static void
check_windows(struct fs *f, int side)
{
	struct fs_side *s = &f->s[side];

	if (s->ts != NULL)
		s->shift = s->ts->rcv_shift;
	for (uint32_t i = 0; i < s->n_out; i++) {
		const struct fs_out *o = &s->out[i];
		uint32_t shift = o->flags & TCP_FLAG_SYN ? 0 : s->shift;
		uint32_t right = o->ack + ((uint32_t)o->wnd << shift);

		if (!o->tcp || o->sport != FS_DPORT || (o->flags & (TCP_FLAG_ACK | TCP_FLAG_RST)) != TCP_FLAG_ACK)
			continue;
		if ((int32_t)(o->ack - s->acked) < 0)
			continue; /* it had waited for the neighbour's address */
		s->acked = o->ack;
		if ((int32_t)(right - s->right) < -(int32_t)((1u << shift) - 1))
			fs_fail(f, "%s: the window shrinks by %u", side_names[side], s->right - right);
		if ((int32_t)(right - s->right) > 0)
			s->right = right;
	}
}

#define EQ(what)                                                                                   \
	do {                                                                                       \
		if (a->what != b->what)                                                            \
			fs_fail(f, #what ": fast %llu, slow %llu", (unsigned long long)a->what,   \
				(unsigned long long)b->what);                                      \
	} while (0)
#define EQS(what)                                                                                  \
	do {                                                                                       \
		if (a->what.n != b->what.n)                                                        \
			fs_fail(f, #what ": fast %u, slow %u", a->what.n, b->what.n);              \
	} while (0)

static void
compare_acking(struct fs *f, const struct zft *a, const struct zft *b)
{
	if (f->c.level == FS_READ) {
		for (int i = 0; i < SIDES; i++) {
			const struct zft *ts = i == FAST ? a : b;

			if (ts->state == TCP_ESTABLISHED && !(ts->flags & TF_PENDING) &&
			    ts->ack_bytes >= 2u * ts->rcv_mss)
				fs_fail(f, "%s: %u bytes without an ACK", side_names[i], ts->ack_bytes);
		}
		return;
	}
	EQS(rcv_adv);
	EQ(ack_bytes);
	EQS(last_ack_sent);
	EQ(ts_recent);
	EQ(due[TCP_DUE_ACK]);
	/* What is held back, if anything is: a fast send has no use for the flag. */
	if (a->sq_unsent == TCP_NONE && ((a->flags ^ b->flags) & ~(uint32_t)TF_MORE) == 0)
		return;
	EQ(flags);
}

static void
compare_rec(struct fs *f, const struct tcp_rec *a, const struct tcp_rec *b)
{
	if ((a == NULL) != (b == NULL))
		fs_fail(f, "one has a record of its losses");
	if (a == NULL || b == NULL)
		return;
	EQ(cubic.w_max);
	EQ(cubic.w_est);
	EQ(cubic.elapsed);
}

static void
compare_loss(struct fs *f, const struct zft *a, const struct zft *b)
{
	EQ(rtt.srtt);
	EQ(rtt.rttvar);
	EQ(rtt.rto);
	EQ(cc.cwnd);
	EQ(cc.ssthresh);
	EQ(cc.acked);
	EQ(cc.after_rto);
	EQ(cc.epoch_on);
	compare_rec(f, tcp_rec_of(zt_ctx(f->s[FAST].t)->tcp, a), tcp_rec_of(zt_ctx(f->s[SLOW].t)->tcp, b));
	EQ(loss.flags);
	EQ(loss.phase);
	EQ(loss.rack_xmit);
	EQ(loss.rack_rtt);
	EQS(loss.rack_end);
	EQS(loss.fack);
	EQ(loss.sent_at);
	EQ(loss.sacked);
	EQ(loss.lost);
	EQ(loss.retrans);
	EQ(loss.dupacks);
	EQ(loss.reo_mult);
	if (a->loss.phase >= LOSS_RECOVERY)
		EQS(loss.recover);
}

static void
compare_zft(struct fs *f, const struct zft *a, const struct zft *b)
{
	EQ(state);
	EQ(error);
	EQ(soft_error);
	if (tcp_events(a) != tcp_events(b))
		fs_fail(f, "events: fast %#x, slow %#x", tcp_events(a), tcp_events(b));
	EQS(rcv_nxt);
	EQ(rxq_pkts);
	EQ(rxq_bytes);
	EQ(handed_pkts);
	EQ(handed_off);
	if (a->state == TCP_CLOSE || a->state == TCP_TIME_WAIT)
		return; /* the rest is history */
	EQS(snd_una);
	EQS(snd_nxt);
	EQS(snd_end);
	EQ(snd_wnd);
	EQS(snd_wl1);
	EQS(snd_wl2);
	EQ(max_snd_wnd);
	EQ(sq_segs);
	EQ(mss);
	EQ(rcv_mss);
	EQ(rtx_mode);
	EQ(backoff);
	EQ(retries);
	EQ(probes);
	EQ(last_rcvd);
	/* Fast sends do not move the timer: it looks again when it fires. */
	if (a->due[TCP_DUE_RTX] > b->due[TCP_DUE_RTX] || a->due[TCP_DUE_RTX] == 0 || a->rtx_mode > RTX_TLP)
		EQ(due[TCP_DUE_RTX]);
	EQ(due[TCP_DUE_LONG]);
	if ((a->ooo_head == TCP_NONE) != (b->ooo_head == TCP_NONE))
		fs_fail(f, "one has a hole");
	if (a->flags & TF_OWED)
		fs_fail(f, "owed work is left behind the flush");
	if (b->fast_send_bytes != 0 || b->fast_recv != TCP_FAST_NONE)
		fs_fail(f, "the attribute is not obeyed");
	compare_loss(f, a, b);
	compare_acking(f, a, b);
}

void
fs_compare(struct fs *f)
{
	const struct zf_ctx *a = zt_ctx(f->s[FAST].t), *b = zt_ctx(f->s[SLOW].t);

	compare_frames(f);
	for (int i = 0; i < SIDES; i++)
		check_windows(f, i);
	if (f->s[FAST].ts != NULL)
		compare_zft(f, f->s[FAST].ts, f->s[SLOW].ts);
	EQ(rx_held);
	EQ(tcp->tx_held);
	EQ(tcp->n_free_seg);
	EQ(tcp->busy_zft);
	f->s[FAST].n_out = f->s[SLOW].n_out = 0;
}
