/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stacks and threads (doc/threads.md): several stacks in one process, each on a thread or an lcore of its own, on one
 * port and on several; one stack in the hands of several threads, one at a time; questions from other threads; births and
 * ends in any order. Meant to be run under ThreadSanitizer too.
 *
 * Size: one program, since all of it needs the one EAL with four lcores that main() starts.
 */
#include <dirent.h>
#include <pthread.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/rng.h"
#include "mem_help.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define PATIENCE 100000000L /* polls */

#if defined(__SANITIZE_THREAD__)
/* DPDK's locks are not compiled for it. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
	return "called_from_lib:librte_eal.so\ncalled_from_lib:librte_mempool.so\n";
}
#endif

static uint32_t
take(struct zfur *us, uint32_t *last)
{
	struct {
		struct zfur_msg msg;
		struct iovec iov[1];
	} rd;
	uint32_t n = 0;

	for (;;) {
		rd.msg.iovcnt = 1;
		zfur_zc_recv(us, &rd.msg, 0);
		if (rd.msg.iovcnt == 0)
			return n;
		memcpy(last, rd.iov[0].iov_base, sizeof(*last));
		zfur_zc_recv_done(us, &rd.msg);
		n++;
	}
}

/* ---- each stack a thread ---- */

#define SIDES 4
#define TURNS 20000u

/* Half of a ping-pong: a number goes back and forth, one larger each time. */
struct side {
	struct zf_stack *st;
	struct zfur *rx;
	struct zfut *tx;
	bool first;
	uint32_t cpu_seen;
	bool ok;
	_Atomic bool go, done; /* EAL's hand-over, as ThreadSanitizer sees it: EAL itself is not compiled for it */
};

static int
side_run(void *arg)
{
	struct side *s = arg;
	uint32_t v = 0, got = 0;
	long idle = 0;
	int rc;

	s->ok = atomic_load(&s->go);
	s->cpu_seen = rte_lcore_id();
	if (s->first)
		s->ok = s->ok && zfut_send_single(s->tx, &v, sizeof(v)) == sizeof(v);
	while (s->ok && v < TURNS && idle < PATIENCE) {
		if (zf_reactor_perform(s->st) == 0) {
			idle++;
			if (idle % 16 == 0)
				(void)sched_yield();
		}
		if (take(s->rx, &got) == 0)
			continue;
		s->ok = got == v + (s->first ? 1 : v == 0 ? 0 : 1);
		v = got + 1;
		s->ok = s->ok && zfut_send_single(s->tx, &v, sizeof(v)) == sizeof(v);
		idle = 0;
	}
	if (v < TURNS)
		s->ok = false;
	rc = s->ok ? 0 : -1;
	atomic_store(&s->done, true);
	return rc;
}

static void *
side_thread(void *arg)
{
	return side_run(arg) == 0 ? arg : NULL;
}

static void
side_open(struct side *s, const char *interface, int own, int other)
{
	char attrs[160], a[32], b[32];

	snprintf(a, sizeof(a), "10.1.0.%d", own);
	snprintf(b, sizeof(b), "10.1.0.%d", other);
	snprintf(attrs, sizeof(attrs), "interface=%s;ipv4=%s/24;n_bufs=512;arp_reply_timeout=0", interface, a);
	*s = (struct side){.st = help_stack(attrs)};
	s->rx = help_zfur(s->st, a, 1000);
	s->tx = help_zfut(s->st, a, b, 1000);
}

/* Neighbours are known from here on. */
static void
sides_meet(struct side *s, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++)
		CU_ASSERT_EQUAL(zfut_send_single(s[i].tx, &v, sizeof(v)), sizeof(v));
	for (int k = 0; k < 3000; k++)
		for (int i = 0; i < n; i++)
			(void)zf_reactor_perform(s[i].st);
	for (int i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(take(s[i].rx, &v), 1);
}

static void
sides_close(struct side *s, int n)
{
	for (int i = 0; i < n; i++)
		CU_ASSERT_EQUAL(zf_stack_free(s[i].st), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* Two wires, so four ports; or one wire with two stacks on each end. */
static void
open_four(struct side *s, const char *name, bool one_wire)
{
	char end[64];

	for (int i = 0; i < SIDES; i++) {
		snprintf(end, sizeof(end), "wire:%s%d/%c", name, one_wire ? 0 : i / 2, i % 2 ? 'b' : 'a');
		side_open(&s[i], end, 1 + i, 1 + (i ^ 1));
		s[i].first = i % 2 == 0;
	}
	sides_meet(s, SIDES);
	for (int i = 0; i < SIDES; i++)
		atomic_store(&s[i].go, true);
}

static void
each_on_a_plain_thread(void)
{
	for (int one_wire = 0; one_wire < 2; one_wire++) {
		struct side s[SIDES];
		pthread_t th[SIDES];
		void *ok;

		open_four(s, one_wire ? "plainone" : "plain", one_wire);
		for (int i = 0; i < SIDES; i++)
			CU_ASSERT_EQUAL_FATAL(pthread_create(&th[i], NULL, side_thread, &s[i]), 0);
		for (int i = 0; i < SIDES; i++) {
			CU_ASSERT_EQUAL(pthread_join(th[i], &ok), 0);
			CU_ASSERT_PTR_NOT_NULL(ok);
			CU_ASSERT_EQUAL(s[i].cpu_seen, LCORE_ID_ANY);
		}
		sides_close(s, SIDES);
	}
}

/* The main lcore is one of them. */
static void
each_on_an_lcore(void)
{
	for (int one_wire = 0; one_wire < 2; one_wire++) {
		struct side s[SIDES];
		unsigned lcore;
		int n = 1;

		open_four(s, one_wire ? "lcoreone" : "lcore", one_wire);
		RTE_LCORE_FOREACH_WORKER(lcore)
			if (n < SIDES)
				CU_ASSERT_EQUAL_FATAL(rte_eal_remote_launch(side_run, &s[n++], lcore), 0);
		CU_ASSERT_EQUAL_FATAL(n, SIDES);
		CU_ASSERT_EQUAL(side_run(&s[0]), 0);
		RTE_LCORE_FOREACH_WORKER(lcore)
			CU_ASSERT_EQUAL(rte_eal_wait_lcore(lcore), 0);
		for (int i = 0; i < SIDES; i++)
			CU_ASSERT(atomic_load(&s[i].done));
		for (int i = 0; i < SIDES; i++)
			for (int k = 0; k < i; k++)
				CU_ASSERT_NOT_EQUAL(s[i].cpu_seen, s[k].cpu_seen);
		sides_close(s, SIDES);
	}
}

/* ---- a stack that passes from hand to hand ---- */

#define LOCKED 20000u

struct locked {
	pthread_mutex_t lock;
	struct zf_stack *st, *from; /* that receives, and that sends: perhaps the same */
	struct zfur *rx;
	struct zfut *tx;
	uint32_t sent, received;
	bool ok;
};

static void *
lock_and_send(void *arg)
{
	struct locked *l = arg;

	for (long tries = 0; tries < PATIENCE; tries++) {
		int rc;

		pthread_mutex_lock(&l->lock);
		if (l->sent == LOCKED || !l->ok) {
			pthread_mutex_unlock(&l->lock);
			break;
		}
		rc = l->sent - l->received < 64 ? zfut_send_single(l->tx, &l->sent, sizeof(l->sent)) : -EAGAIN;
		l->sent += rc == sizeof(l->sent);
		l->ok = rc == sizeof(l->sent) || rc == -EAGAIN;
		pthread_mutex_unlock(&l->lock);
		if (rc == -EAGAIN)
			(void)sched_yield();
	}
	return NULL;
}

/* One thread sends, another polls and reads: of one stack, which hears itself. */
static void
two_threads_with_a_lock(void)
{
	struct locked l = {.lock = PTHREAD_MUTEX_INITIALIZER, .ok = true};
	pthread_t th;
	uint32_t v = 0, n;

	l.st = help_stack("interface=wire:loop;n_bufs=512");
	l.rx = help_zfur(l.st, "127.0.0.1", 1000);
	l.tx = help_zfut(l.st, "127.0.0.2", "127.0.0.1", 1000);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&th, NULL, lock_and_send, &l), 0);
	for (long tries = 0; l.received < LOCKED && tries < PATIENCE; tries++) {
		pthread_mutex_lock(&l.lock);
		(void)zf_reactor_perform(l.st);
		n = take(l.rx, &v);
		l.received += n;
		l.ok = l.ok && (n == 0 || v == l.received - 1);
		pthread_mutex_unlock(&l.lock);
		if (n == 0)
			(void)sched_yield();
	}
	CU_ASSERT_EQUAL(pthread_join(th, NULL), 0);
	CU_ASSERT(l.ok);
	CU_ASSERT_EQUAL(l.received, LOCKED);
	CU_ASSERT_EQUAL(zf_stack_free(l.st), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

static int
count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		(void)closedir(d);
	return n;
}

static void *
short_life(void *arg)
{
	struct locked *l = arg;
	uint32_t v = 0, n = 0;

	for (uint32_t i = 0; i < 10; i++) {
		l->ok = l->ok && zfut_send_single(l->tx, &l->sent, sizeof(l->sent)) == sizeof(l->sent);
		for (int k = 0; k < 1000 && (n = take(l->rx, &v)) == 0; k++) {
			(void)zf_reactor_perform(l->st);
			(void)zf_reactor_perform(l->from); /* its neighbour has to be known first */
		}
		l->ok = l->ok && n == 1 && v == l->sent;
		l->sent++;
	}
	return NULL;
}

/* One after the other with the same stack, and each with one that it made itself: nothing is kept of any of them. */
static void
two_hundred_threads(void)
{
	struct locked l = {.ok = true};
	int fds = 0, tasks = 0;

	l.st = l.from = help_stack("interface=wire:loop;n_bufs=512");
	l.rx = help_zfur(l.st, "127.0.0.1", 1000);
	l.tx = help_zfut(l.st, "127.0.0.2", "127.0.0.1", 1000);
	for (int i = 0; i < 200; i++) {
		pthread_t th;

		if (i == 10) {
			fds = count_dir("/proc/self/fd");
			tasks = count_dir("/proc/self/task");
		}
		CU_ASSERT_EQUAL_FATAL(pthread_create(&th, NULL, short_life, &l), 0);
		CU_ASSERT_EQUAL(pthread_join(th, NULL), 0);
	}
	CU_ASSERT(l.ok);
	CU_ASSERT_EQUAL(l.sent, 2000);
	CU_ASSERT_EQUAL(count_dir("/proc/self/fd"), fds);
	CU_ASSERT(count_dir("/proc/self/task") <= tasks);
	CU_ASSERT_EQUAL(zf_stack_free(l.st), 0);
}

struct own {
	int i;
	bool ok;
};

static void *
own_stack(void *arg)
{
	struct own *o = arg;
	struct locked l = {.ok = true};
	char attrs[128];

	snprintf(attrs, sizeof(attrs), "interface=wire:own%d/a;ipv4=10.3.0.1/24;n_bufs=256;arp_reply_timeout=0", o->i);
	o->ok = help_try(attrs, &l.from) == 0;
	snprintf(attrs, sizeof(attrs), "interface=wire:own%d/b;ipv4=10.3.0.2/24;n_bufs=256;arp_reply_timeout=0", o->i);
	o->ok = o->ok && help_try(attrs, &l.st) == 0;
	if (!o->ok)
		return NULL;
	l.rx = help_zfur(l.st, "10.3.0.2", 1000);
	l.tx = help_zfut(l.from, "10.3.0.1", "10.3.0.2", 1000);
	(void)short_life(&l);
	o->ok = l.ok && zf_stack_free(l.st) == 0 && zf_stack_free(l.from) == 0;
	return NULL;
}

/* Ten at a time. */
static void
two_hundred_threads_with_stacks(void)
{
	struct own o[10];
	pthread_t th[10];
	int fds = 0;

	for (int round = 0; round < 20; round++) {
		if (round == 1)
			fds = count_dir("/proc/self/fd");
		for (int i = 0; i < 10; i++) {
			o[i] = (struct own){.i = i};
			CU_ASSERT_EQUAL_FATAL(pthread_create(&th[i], NULL, own_stack, &o[i]), 0);
		}
		for (int i = 0; i < 10; i++) {
			CU_ASSERT_EQUAL(pthread_join(th[i], NULL), 0);
			CU_ASSERT(o[i].ok);
		}
	}
	CU_ASSERT_EQUAL(count_dir("/proc/self/fd"), fds);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* ---- questions from another thread ---- */

struct asker {
	struct zf_stack *st;
	_Atomic bool stop;
	_Atomic uint32_t work, events, rounds;
};

static void *
ask(void *arg)
{
	struct asker *a = arg;

	while (!atomic_load(&a->stop)) {
		if (zf_stack_has_pending_work(a->st))
			atomic_fetch_add(&a->work, 1);
		if (zf_stack_has_pending_events(a->st))
			atomic_fetch_add(&a->events, 1);
		atomic_fetch_add(&a->rounds, 1);
		(void)sched_yield();
	}
	return NULL;
}

/* Wait, bounded, until a whole round of questions lies between. */
static bool
asked_again(struct asker *a)
{
	uint32_t from = atomic_load(&a->rounds);

	for (long i = 0; i < PATIENCE; i++) {
		if (atomic_load(&a->rounds) - from >= 2)
			return true;
		(void)sched_yield();
	}
	return false;
}

static void
pending_is_asked_from_another_thread(void)
{
	struct side s[2];
	struct asker a = {.stop = false};
	struct zf_stack *late;
	pthread_t th;
	uint32_t v = 0, n = 0;

	side_open(&s[0], "wire:asked/a", 1, 2);
	side_open(&s[1], "wire:asked/b", 2, 1);
	sides_meet(s, 2);
	a.st = s[1].st;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&th, NULL, ask, &a), 0);
	late = NULL;
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t work, events;

		if (i == 1000) /* the queue becomes shared while it is asked about */
			late = help_stack("interface=wire:asked/b;ipv4=10.1.0.3/24;n_bufs=256;arp_reply_timeout=0");
		CU_ASSERT_EQUAL_FATAL(zfut_send_single(s[0].tx, &i, sizeof(i)), sizeof(i));
		if (i % 50 == 0) { /* what waits is never denied */
			work = atomic_load(&a.work);
			events = atomic_load(&a.events);
			CU_ASSERT_FATAL(asked_again(&a));
			CU_ASSERT(atomic_load(&a.work) != work);
			CU_ASSERT(atomic_load(&a.events) != events);
		}
		for (int k = 0; k < 100 && (n = take(s[1].rx, &v)) == 0; k++)
			(void)zf_reactor_perform(s[1].st);
		CU_ASSERT_EQUAL_FATAL(n, 1);
		CU_ASSERT_EQUAL_FATAL(v, i);
	}
	atomic_store(&a.stop, true);
	CU_ASSERT_EQUAL(pthread_join(th, NULL), 0);
	CU_ASSERT_EQUAL(zf_stack_free(late), 0);
	sides_close(s, 2);
}

/* ---- several stacks on the one queue of a port ---- */

static void
push_udp(struct mem_port *p, const char *dst, uint32_t number)
{
	uint8_t f[2048];

	CU_ASSERT_EQUAL(mem_push(p, 0, f, help_udp(f, "192.0.2.9", dst, 1000, &number, sizeof(number)), 0), 0);
}

/* The thread of one of them does nothing: the other one has all of its own, and the idle one finds the oldest, as many as
 * its inbox holds, when it comes back. What was lost is counted.
 */
static void
an_idle_stack_holds_nobody_up(void)
{
	struct mem_port *p = mem_port("idle");
	struct zf_stack *st[2];
	struct zfur *us[2];
	uint32_t v = 0, got = 0, n;

	st[0] = help_stack("interface=mem:idle;ipv4=192.0.2.1/24;n_bufs=2048;arp_reply_timeout=0");
	st[1] = help_stack("interface=mem:idle;ipv4=192.0.2.2/24;n_bufs=2048;arp_reply_timeout=0");
	us[0] = help_zfur(st[0], "192.0.2.1", 1000);
	us[1] = help_zfur(st[1], "192.0.2.2", 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		push_udp(p, "192.0.2.1", i);
		push_udp(p, "192.0.2.2", i);
		for (int k = 0; k < 4; k++)
			(void)zf_reactor_perform(st[1]);
		CU_ASSERT_EQUAL_FATAL(take(us[1], &v), 1);
		CU_ASSERT_EQUAL_FATAL(v, i);
	}
	CU_ASSERT(zf_stack_has_pending_work(st[0]) != 0);
	CU_ASSERT_EQUAL(st[1]->counters[CNT_RX_OTHER_STACK], 256);
	CU_ASSERT_EQUAL(st[1]->counters[CNT_RX_DROP_INBOX], 744);
	for (int k = 0; k < 100; k++) {
		(void)zf_reactor_perform(st[0]);
		n = take(us[0], &v);
		got += n;
		CU_ASSERT(n == 0 || v == got - 1);
	}
	CU_ASSERT_EQUAL(got, 256);
	push_udp(p, "192.0.2.1", 4711); /* and goes on as before */
	(void)zf_reactor_perform(st[1]);
	(void)zf_reactor_perform(st[0]);
	CU_ASSERT_EQUAL(take(us[0], &v), 1);
	CU_ASSERT_EQUAL(v, 4711);
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
	CU_ASSERT_EQUAL(mem_forget(p), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

static void
push_group(struct mem_port *p, uint32_t number)
{
	static const uint8_t mac[6] = {1, 0, 0x5e, 1, 2, 3};
	uint8_t f[2048];
	uint32_t len = help_udp(f, "192.0.2.9", "239.1.2.3", 1000, &number, sizeof(number));

	memcpy(f, mac, 6);
	CU_ASSERT_EQUAL(mem_push(p, 0, f, len, 0), 0);
}

/* Whoever polls, both hear each datagram once; the group is left when the last one leaves. */
static void
both_are_in_a_group(void)
{
	static const uint8_t mac[6] = {1, 0, 0x5e, 1, 2, 3};
	struct mem_port *p = mem_port("group");
	struct zf_stack *st[2];
	struct zfur *us[2];
	uint32_t v = 0;

	mem_cfg(p)->mc_filter = true;
	st[0] = help_stack("interface=mem:group;ipv4=192.0.2.1/24;n_bufs=256;arp_reply_timeout=0");
	st[1] = help_stack("interface=mem:group;ipv4=192.0.2.2/24;n_bufs=256;arp_reply_timeout=0");
	push_group(p, 0);
	(void)zf_reactor_perform(st[0]);
	CU_ASSERT_EQUAL(mem_stats(p)->rx_lost_filter, 1);
	for (int i = 0; i < 2; i++)
		us[i] = help_zfur(st[i], "239.1.2.3", 1000);
	for (uint32_t i = 0; i < 100; i++) {
		push_group(p, i);
		(void)zf_reactor_perform(st[i % 2]);
		(void)zf_reactor_perform(st[!(i % 2)]);
		for (int k = 0; k < 2; k++) {
			CU_ASSERT_EQUAL_FATAL(take(us[k], &v), 1);
			CU_ASSERT_EQUAL_FATAL(v, i);
		}
	}
	CU_ASSERT_EQUAL(zfur_free(us[0]), 0);
	CU_ASSERT(mem_mc_has(p, mac));
	push_group(p, 7);
	(void)zf_reactor_perform(st[0]);
	(void)zf_reactor_perform(st[1]);
	CU_ASSERT_EQUAL(take(us[1], &v), 1);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0); /* with the zocket in it */
	CU_ASSERT_FALSE(mem_mc_has(p, mac));
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(mem_forget(p), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* The same address and port on two VLANs of a port: each has its own datagrams, and its own tag on what it sends. */
static void
two_vlans_on_a_port(void)
{
	struct mem_port *p = mem_port("vlans");
	struct zf_stack *st[2];
	struct zfur *us[2];
	uint8_t f[2048], tagged[2048], arp[64];
	uint32_t v, len;

	for (int i = 0; i < 2; i++) {
		char attrs[128];

		snprintf(attrs, sizeof(attrs), "interface=mem:vlans;ipv4=192.0.2.1/24;vlan=%d;n_bufs=256;"
			 "arp_reply_timeout=0", 5 + i);
		st[i] = help_stack(attrs);
		us[i] = help_zfur(st[i], "192.0.2.1", 1000);
	}
	for (uint32_t i = 0; i < 100; i++) {
		len = help_udp(f, "192.0.2.9", "192.0.2.1", 1000, &i, sizeof(i));
		memcpy(tagged, f, 12);
		memcpy(tagged + 12, "\x81\x00\x00", 3);
		tagged[15] = (uint8_t)(5 + i % 3); /* the third VLAN is nobody's */
		memcpy(tagged + 16, f + 12, len - 12);
		CU_ASSERT_EQUAL(mem_push(p, 0, tagged, len + 4, 0), 0);
		(void)zf_reactor_perform(st[i / 3 % 2]);
		(void)zf_reactor_perform(st[!(i / 3 % 2)]);
		for (uint32_t k = 0; k < 2; k++) {
			CU_ASSERT_EQUAL(take(us[k], &v), i % 3 == k);
			CU_ASSERT(i % 3 != k || v == i);
		}
	}
	(void)mem_flush(p);
	for (int i = 0; i < 2; i++) {
		struct zfut *ut;
		bool sent = false;
		int n;

		len = help_arp_reply(f, "192.0.2.9", "192.0.2.1");
		memcpy(arp, f, 12);
		memcpy(arp + 12, "\x81\x00\x00", 3);
		arp[15] = (uint8_t)(5 + i);
		memcpy(arp + 16, f + 12, len - 12);
		ut = help_zfut(st[i], "192.0.2.1", "192.0.2.9", 1000);
		CU_ASSERT_EQUAL(mem_push(p, 0, arp, len + 4, 0), 0);
		(void)zf_reactor_perform(st[i]);
		CU_ASSERT_EQUAL(zfut_send_single(ut, &v, sizeof(v)), sizeof(v));
		(void)zf_reactor_perform(st[i]);
		while ((n = mem_pop(p, f, sizeof(f), NULL)) > 0) {
			CU_ASSERT(n >= 18 && f[12] == 0x81 && f[13] == 0 && (f[14] & 15) == 0 && f[15] == 5 + i);
			sent |= n >= 46 && f[16] == 8 && f[27] == IP_PROTO_UDP;
		}
		CU_ASSERT(sent);
	}
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
	CU_ASSERT_EQUAL(mem_forget(p), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* ---- births and ends ---- */

#define LIVES  6
#define ROUNDS 500

struct life {
	struct zf_stack *st;
	struct zfur *rx;
	struct zfut *tx;
	struct zftl *tl;
	struct zft *ts;
	struct zft_handle *h;
	struct zf_muxer_set *set;
	int fd;
};

static long
lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = 0;
	int c;

	while (f != NULL && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static long
rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long total, resident = 0;

	if (f != NULL && fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	if (f != NULL)
		(void)fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int
join(struct life *l, struct zf_waitable *w)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};

	return zf_muxer_add(l->set, w, &ev);
}

/* Three on one queue of a wire, one on its other end, two on a port that gives back what it was sent when it is closed. */
static void
life_begin(struct life *l, int i, struct rng *rng)
{
	static const char *const ports[LIVES] = {"wire:lives/a", "wire:lives/a", "wire:lives/a",
						 "wire:lives/b", "mem:lives", "mem:lives"};
	char attrs[192], own[32];
	struct zf_attr *attr;
	struct sockaddr_in to = help_addr(i == 3 ? "10.2.0.1" : "10.2.0.4", 2000);

	snprintf(own, sizeof(own), "10.2.0.%d", i + 1);
	snprintf(attrs, sizeof(attrs), "interface=%s;ipv4=%s/24;n_bufs=512;arp_reply_timeout=0;max_tcp_endpoints=8;"
		 "tx_ring_max=64;rx_ring_max=64", ports[i], own);
	*l = (struct life){.st = help_stack(attrs), .fd = -1};
	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&attr), 0);
	CU_ASSERT_EQUAL_FATAL(zf_muxer_alloc(l->st, &l->set), 0);
	if (rng_below(rng, 4) != 0)
		CU_ASSERT_EQUAL(zf_waitable_fd_get(l->st, &l->fd), 0);
	l->rx = help_zfur(l->st, own, 1000);
	l->tx = help_zfut(l->st, own, i == 3 ? "10.2.0.1" : "10.2.0.4", 1000);
	CU_ASSERT_EQUAL(join(l, zfur_to_waitable(l->rx)), 0);
	CU_ASSERT_EQUAL(join(l, zfut_to_waitable(l->tx)), 0);
	if (rng_below(rng, 2) == 0) {
		struct sockaddr_in at = help_addr(own, 2000);

		CU_ASSERT_EQUAL(zftl_listen(l->st, (struct sockaddr *)&at, sizeof(at), attr, &l->tl), 0);
		CU_ASSERT_EQUAL(join(l, zftl_to_waitable(l->tl)), 0);
	}
	CU_ASSERT_EQUAL(zft_alloc(l->st, attr, &l->h), 0);
	if (rng_below(rng, 3) != 0) {
		CU_ASSERT_EQUAL(zft_connect(l->h, (struct sockaddr *)&to, sizeof(to), &l->ts), 0);
		l->h = NULL;
		CU_ASSERT_EQUAL(join(l, zft_to_waitable(l->ts)), 0);
	}
	zf_attr_free(attr);
}

static void
life_go_on(struct life *l, struct rng *rng)
{
	static const char text[600];
	struct epoll_event ev[4];
	struct zft *ts;

	for (uint32_t n = (uint32_t)rng_below(rng, 8); n > 0; n--)
		(void)zfut_send_single(l->tx, text, 1 + (size_t)rng_below(rng, sizeof(text)));
	if (l->ts != NULL)
		(void)zft_send_single(l->ts, text, 1 + (size_t)rng_below(rng, sizeof(text)), 0);
	(void)zf_muxer_wait(l->set, ev, 4, 0);
	if (l->tl != NULL && zftl_accept(l->tl, &ts) == 0 && rng_below(rng, 2) == 0)
		CU_ASSERT_EQUAL(zft_free(ts), 0);
	if (l->ts != NULL && rng_below(rng, 16) == 0) {
		CU_ASSERT_EQUAL(zft_free(l->ts), 0);
		l->ts = NULL;
	}
	if (l->fd >= 0) {
		struct pollfd p = {.fd = l->fd, .events = POLLIN};

		CU_ASSERT_EQUAL(zf_waitable_fd_prime(l->st), 0);
		CU_ASSERT(poll(&p, 1, 0) >= 0);
	}
}

/* Some give up what they have, in some order; most leave it all to zf_stack_free(). */
static void
life_end(struct life *l, struct rng *rng)
{
	if (rng_below(rng, 4) == 0)
		zf_muxer_free(l->set);
	if (rng_below(rng, 4) == 0)
		CU_ASSERT_EQUAL(zfut_free(l->tx), 0);
	if (rng_below(rng, 4) == 0 && l->h != NULL)
		CU_ASSERT_EQUAL(zft_handle_free(l->h), 0);
	if (rng_below(rng, 4) == 0 && l->tl != NULL)
		CU_ASSERT_EQUAL(zftl_free(l->tl), 0);
	CU_ASSERT_EQUAL(zf_stack_free(l->st), 0);
	l->st = NULL;
}

static void
ends_in_any_order(void)
{
	struct mem_port *p = mem_port("lives");
	struct life l[LIVES] = {{0}};
	struct rng rng;
	int order[LIVES], fds = 0;
	long maps = 0, rss = 0;

	rng_seed(&rng, 43);
	mem_cfg(p)->hold = MEM_ALL;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < LIVES; i++)
			order[i] = i;
		for (int i = LIVES - 1; i > 0; i--) {
			int k = (int)rng_below(&rng, (uint64_t)i + 1), was = order[i];

			order[i] = order[k];
			order[k] = was;
		}
		for (int i = 0; i < LIVES; i++)
			life_begin(&l[order[i]], order[i], &rng);
		for (int turn = 0; turn < 6; turn++)
			for (int i = 0; i < LIVES; i++)
				life_go_on(&l[i], &rng);
		for (int i = 0; i < LIVES; i++)
			life_end(&l[order[(i * 5 + round) % LIVES]], &rng);
		(void)mem_flush(p);
		CU_ASSERT_EQUAL_FATAL(pool_reap(), 0);
		if (round == 50) {
			fds = count_dir("/proc/self/fd");
			maps = lines_of("/proc/self/maps");
			rss = rss_kib();
		}
	}
	CU_ASSERT_EQUAL(count_dir("/proc/self/fd"), fds);
	printf("  mappings %ld -> %ld, resident %ld -> %ld KiB\n", maps, lines_of("/proc/self/maps"), rss, rss_kib());
#if !SANITIZED /* which keep mappings and freed memory for a while */
	CU_ASSERT(lines_of("/proc/self/maps") <= maps + 8);
	CU_ASSERT(rss_kib() <= rss + 8192);
#endif
	CU_ASSERT_EQUAL(mem_forget(p), 0);
}

static const struct unit_test tests[] = {
	UNIT(each_on_a_plain_thread),
	UNIT(each_on_an_lcore),
	UNIT(two_threads_with_a_lock),
	UNIT(two_hundred_threads),
	UNIT(two_hundred_threads_with_stacks),
	UNIT(pending_is_asked_from_another_thread),
	UNIT(an_idle_stack_holds_nobody_up),
	UNIT(both_are_in_a_group),
	UNIT(two_vlans_on_a_port),
	UNIT(ends_in_any_order),
};

/* An application with an EAL of its own, whose four lcores may run on any CPU. */
int
main(int argc, char **argv)
{
	static char lcores[64], *eal[] = {"threads", "--no-huge", "--no-shconf", "-m", "512", "--no-telemetry",
					  "--log-level=error", "--no-pci", "--lcores", lcores, NULL};
	cpu_set_t cpus;
	int first = 0, last = 0;

	CPU_ZERO(&cpus);
	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &cpus))
		first++;
	last = first;
	while (last < CPU_SETSIZE - 1 && CPU_ISSET(last + 1, &cpus))
		last++;
	snprintf(lcores, sizeof(lcores), "(0-%d)@(%d-%d)", SIDES - 1, first, last);
	if (rte_eal_init(10, eal) < 0) {
		printf("threads: EAL does not start\n");
		return 1;
	}
	return unit_main("threads", tests, ZF_ARRAY_SIZE(tests), argc, argv);
}
