/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The application of fastslow: calls drawn from the seed, made on both stacks, which must return the same. See fs.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "pkt/fs.h"

#define IOVS 6

enum call {
	LOOK_STATE, LOOK_ERROR, LOOK_SPACE, LOOK_MSS, LOOK_QUIESCENT, LOOK_PENDING, LOOK_CALLS,
	SEND_SOME = LOOK_CALLS, SEND_SINGLE, SEND_PIECES, SEND_MORE, SEND_NOTHING, SEND_BAD, SEND_NOBUF, SEND_MANY,
	SEND_SHUTDOWN, SEND_CALLS,
	READ_PLACE = SEND_CALLS, READ_COPY, READ_LOOK, READ_CALLS,
};

static const char *const names[READ_CALLS] = {
	"state", "error", "send_space", "get_mss", "is_quiescent", "has_pending_work", "send", "send_single",
	"send pieces", "send MSG_MORE", "send nothing", "send badly", "send without a buffer", "send many", "shutdown_tx",
	"zc_recv and done", "recv", "zc_recv",
};

struct args {
	enum call call;
	uint32_t a, b, c;
};

struct result {
	long rc, extra[4];
};

static ssize_t
send_bytes(struct fs *f, struct fs_side *s, const struct args *g, uint32_t len)
{
	static uint8_t b[70000];
	uint32_t k = g->b % (len + 1);
	struct iovec whole = {b, len}, parts[3] = {{b, k}, {NULL, 0}, {b + k, len - k}};
	int more = g->call == SEND_MORE ? MSG_MORE : 0;
	ssize_t rc;

	for (uint32_t i = 0; i < len; i++)
		b[i] = fs_pattern(s->sent + i);
	if (g->call == SEND_PIECES)
		rc = zft_send(s->ts, parts, 3, 0);
	else if (g->call == SEND_SINGLE || (g->call == SEND_MORE && g->c % 2 == 0))
		rc = zft_send_single(s->ts, b, len, more);
	else if (g->call == SEND_BAD && g->c % 2 == 0)
		rc = zft_send(s->ts, &whole, (int)(g->c / 2 % 2) - 1, 0);
	else if (g->call == SEND_BAD)
		rc = g->c % 4 == 1 ? zft_send(s->ts, &whole, 1, 1) : zft_send_single(s->ts, b, len, 1);
	else
		rc = zft_send(s->ts, &whole, 1, more);
	memset(b, 0xee, len);
	if (rc > (ssize_t)len)
		fs_fail(f, "%zd bytes sent of %u", rc, len);
	if (rc > 0)
		s->sent += (uint32_t)rc;
	return rc;
}

static void
send_many(struct fs *f, struct fs_side *s, const struct args *g, struct result *r)
{
	uint32_t k = g->c % (f->c.big ? 2 : 8);
	uint32_t n = k == 0 ? 1200 : 60, len = k == 0 ? 1 : 1 + g->a % 1400;

	for (uint32_t i = 0; i < n; i++) {
		ssize_t rc = send_bytes(f, s, g, k == 1 && i < 17 ? 60000 : len);

		if (rc <= 0) {
			r->rc = rc;
			break;
		}
		r->extra[0] += rc;
		r->extra[1]++;
	}
}

static void
check(struct fs *f, struct fs_side *s, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != fs_pattern(s->rcvd + i))
			fs_fail(f, "byte %u of what was received is %02x, not %02x", s->rcvd + i, p[i],
				fs_pattern(s->rcvd + i));
}

/* With @keep bytes looked at only. */
static void
read_place(struct fs *f, struct fs_side *s, const struct args *g, struct result *r)
{
	union {
		struct zft_msg msg;
		uint8_t room[sizeof(struct zft_msg) + IOVS * sizeof(struct iovec)];
	} m;
	uint32_t all = 0, want, at = s->rcvd;

	memset(&m, 0, sizeof(m));
	m.msg.iovcnt = 1 + (int)(g->a % IOVS);
	zft_zc_recv(s->ts, &m.msg, 0);
	r->extra[0] = m.msg.iovcnt;
	r->extra[1] = m.msg.pkts_left;
	for (int i = 0; i < m.msg.iovcnt; i++) {
		uint32_t n = (uint32_t)m.msg.iov[i].iov_len;

		check(f, s, m.msg.iov[i].iov_base, n);
		s->rcvd += n;
		all += n;
		r->extra[2] = r->extra[2] * 31 + n;
	}
	s->rcvd = at;
	if (g->call == READ_LOOK || m.msg.iovcnt == 0)
		return;
	want = g->b % 3 == 0 ? g->c % (all + 1) : all;
	r->rc = want == all ? zft_zc_recv_done(s->ts, &m.msg) : zft_zc_recv_done_some(s->ts, &m.msg, want);
	s->rcvd += want;
}

static void
read_copy(struct fs *f, struct fs_side *s, const struct args *g, struct result *r)
{
	static uint8_t b[8192];
	uint32_t n = g->a % 5 == 0 ? sizeof(b) : 1 + g->b % 2000;
	struct iovec iov = {b, n};

	r->rc = zft_recv(s->ts, &iov, 1, 0);
	if (r->rc > 0) {
		check(f, s, b, (uint32_t)r->rc);
		s->rcvd += (uint32_t)r->rc;
	}
}

static void
do_call(struct fs *f, struct fs_side *s, const struct args *g, struct result *r)
{
	size_t space = 0;

	switch (g->call) {
	case LOOK_STATE:
		r->rc = zft_state(s->ts);
		break;
	case LOOK_ERROR:
		r->rc = zft_error(s->ts);
		break;
	case LOOK_SPACE:
		r->rc = zft_send_space(s->ts, &space);
		r->extra[0] = (long)space;
		break;
	case LOOK_MSS:
		r->rc = zft_get_mss(s->ts);
		r->extra[0] = (long)zft_get_header_size(s->ts);
		break;
	case LOOK_QUIESCENT:
		r->rc = zf_stack_is_quiescent(zt_stack(s->t));
		break;
	case LOOK_PENDING:
		r->rc = zf_stack_has_pending_work(zt_stack(s->t));
		break;
	case SEND_NOTHING:
		r->rc = g->a % 2 == 0 ? zft_send_single(s->ts, "", 0, 0)
				      : zft_send(s->ts, &(struct iovec){(void *)(uintptr_t)"", 0}, 1, 0);
		break;
	case SEND_NOBUF:
		(void)zft_state(s->ts); /* the send's own buffer, not one for what is owed */
		pool_fail_after = pool_fail_every = 1;
		r->rc = send_bytes(f, s, g, 1 + g->a % 200);
		pool_fail_after = pool_fail_every = 0;
		break;
	case SEND_MANY:
		send_many(f, s, g, r);
		break;
	case SEND_SHUTDOWN:
		r->rc = zft_shutdown_tx(s->ts);
		break;
	case READ_PLACE:
	case READ_LOOK:
		read_place(f, s, g, r);
		break;
	case READ_COPY:
		read_copy(f, s, g, r);
		break;
	default:
		r->rc = send_bytes(f, s, g, g->a % 16 == 0 ? 1 + g->b % 60000 : g->a % 4 == 0 ? 1 + g->b % 3000 :
				   1 + g->b % 200);
		break;
	}
}

static enum call
choose(struct fs *f, bool between)
{
	enum fs_level level = !between ? FS_READ : f->shrunk ? FS_LOOK : f->c.level;
	enum call c;

	do {
		uint32_t k = fs_below(f, 10);

		if (k < 3 || level == FS_LOOK)
			c = (enum call)fs_below(f, LOOK_CALLS);
		else if (k < 7 || level == FS_SEND)
			c = (enum call)(SEND_SOME + fs_below(f, SEND_CALLS - SEND_SOME));
		else
			c = (enum call)(READ_PLACE + fs_below(f, READ_CALLS - READ_PLACE));
	} while ((c >= READ_PLACE && f->c.lazy && !fs_one_in(f, 10)) || (c == SEND_SHUTDOWN && !fs_one_in(f, 12)) ||
		 (c == SEND_MANY && !fs_one_in(f, f->c.big ? 2 : 6)));
	return c;
}

static void
accept_both(struct fs *f)
{
	int rc[SIDES];

	for (int i = 0; i < SIDES; i++)
		rc[i] = zftl_accept(f->s[i].tl, &f->s[i].ts);
	fs_say(f, "accept = %d", rc[SLOW]);
	if (rc[FAST] != rc[SLOW])
		fs_fail(f, "accept: fast %d, slow %d", rc[FAST], rc[SLOW]);
}

void
fs_call(struct fs *f, bool between)
{
	struct args g = {.a = fs_below(f, 1u << 20), .b = fs_below(f, 1u << 20), .c = fs_below(f, 1u << 20)};
	struct result r[SIDES];

	if (f->s[SLOW].ts == NULL) {
		if (f->s[SLOW].tl != NULL)
			accept_both(f);
		return;
	}
	g.call = choose(f, between);
	if (between && g.call >= SEND_SOME)
		f->touched = true;
	memset(r, 0, sizeof(r));
	fs_say(f, "%s a %u b %u c %u", names[g.call], g.a, g.b, g.c);
	for (int i = 0; i < SIDES; i++)
		do_call(f, &f->s[i], &g, &r[i]);
	fs_say(f, "%s%s = %ld (%ld, %ld, %ld)", names[g.call], between ? " between" : "", r[SLOW].rc, r[SLOW].extra[0],
	       r[SLOW].extra[1], r[SLOW].extra[2]);
	/* Owed work is pending work; what the poll of the slow stack has set off (a neighbour that answers) is not there. */
	if (between && g.call == LOOK_PENDING) {
		if (r[FAST].rc == 0 && zt_ctx(f->s[FAST].t)->owed != 0)
			fs_fail(f, "owed work that nobody is told of");
		return;
	}
	if (between && g.call == LOOK_SPACE && f->refused)
		return; /* what has not left yet may take another run */
	if (memcmp(&r[FAST], &r[SLOW], sizeof(r[0])) != 0)
		fs_fail(f, "%s: fast %ld (%ld, %ld, %ld), slow %ld (%ld, %ld, %ld)", names[g.call], r[FAST].rc,
			r[FAST].extra[0], r[FAST].extra[1], r[FAST].extra[2], r[SLOW].rc, r[SLOW].extra[0],
			r[SLOW].extra[1], r[SLOW].extra[2]);
}

void
fs_free(struct fs *f)
{
	fs_say(f, "free");
	for (int i = 0; i < SIDES; i++) {
		if (f->s[i].ts != NULL)
			(void)zft_free(f->s[i].ts);
		f->s[i].ts = NULL;
	}
}
