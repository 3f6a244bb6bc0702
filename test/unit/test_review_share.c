/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Several stacks on one port, over drivers/mem: what one of them does must not be lost on, or harm, the other.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/mem_priv.h"
#include "mem_help.h"

/* Two stacks on one queue of port "mem:@name". */
static void
pair_open(const char *name, const char *more, struct zf_stack *st[2])
{
	char attrs[512];

	for (int i = 0; i < 2; i++) {
		snprintf(attrs, sizeof(attrs), "interface=mem:%s;ipv4=192.0.2.%d/24;n_bufs=256;arp_reply_timeout=0;%s",
			 name, i + 1, more);
		st[i] = help_stack(attrs);
	}
}

static void
pair_close(struct zf_stack *st[2])
{
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(zf_stack_free(st[i]), 0);
	CU_ASSERT_EQUAL(pool_reap(), 0);
}

/* A frame in a chain of buffers that is longer than one buffer: dropped, and nothing is written beyond a buffer. */
static void
long_chain_is_dropped(void)
{
	static uint8_t f[6000];
	struct mem_port *p = mem_port("rvlong");
	struct zf_stack *st[2];
	uint64_t was;

	mem_cfg(p)->rx_max = 8000;
	pair_open("rvlong", "", st);
	was = st[0]->counters[CNT_RX_DROP_NOMEM] + st[0]->counters[CNT_RX_DROP_SEGMENTED];
	memcpy(f, help_us, 6);
	memcpy(f + 6, help_peer, 6);
	CU_ASSERT_EQUAL(mem_push(p, 0, f, sizeof(f), 0), 0);
	(void)zf_reactor_perform(st[0]);
	CU_ASSERT_EQUAL(st[0]->counters[CNT_RX_DROP_NOMEM] + st[0]->counters[CNT_RX_DROP_SEGMENTED], was + 1);
	pair_close(st);
}

/* Groups of two VLANs on one port: its filter lets both in. */
static void
vlans_share_the_multicast_filter(void)
{
	static const uint8_t one[6] = {1, 0, 0x5e, 1, 1, 1}, two[6] = {1, 0, 0x5e, 1, 1, 2};
	struct mem_port *p = mem_port("rvvlan");
	struct zf_stack *a = help_stack("interface=mem:rvvlan;ipv4=192.0.2.1/24;vlan=5;n_bufs=256");
	struct zf_stack *b = help_stack("interface=mem:rvvlan;ipv4=192.0.2.1/24;vlan=6;n_bufs=256");
	struct zfur *ua = help_zfur(a, "239.1.1.1", 1000), *ub = help_zfur(b, "239.1.1.2", 1000);

	CU_ASSERT(mem_mc_has(p, one));
	CU_ASSERT(mem_mc_has(p, two));
	CU_ASSERT_EQUAL(zfur_free(ua), 0);
	CU_ASSERT_FALSE(mem_mc_has(p, one));
	CU_ASSERT(mem_mc_has(p, two));
	CU_ASSERT_EQUAL(zfur_free(ub), 0);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
}

/* The answer that a stack's held datagram waits for is handled by the other one: the stack knows that it has work. */
static void
held_frames_are_pending_work(void)
{
	struct mem_port *p = mem_port("rvheld");
	struct zf_stack *st[2];
	struct zfut *ut;
	uint8_t f[128];
	uint32_t n;

	pair_open("rvheld", "", st);
	ut = help_zfut(st[0], "192.0.2.1", "192.0.2.9", 1000);
	CU_ASSERT_EQUAL(zfut_send_single(ut, "A", 1), 1);
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < 2; k++)
			(void)zf_reactor_perform(st[k]);
	n = help_arp_reply(f, "192.0.2.9", "192.0.2.1");
	CU_ASSERT_EQUAL(mem_push(p, 0, f, n, 0), 0);
	(void)zf_reactor_perform(st[1]);
	CU_ASSERT(zf_stack_has_pending_work(st[0]) > 0);
	/* A send is an occasion too; what was held goes first, and nothing stays behind. */
	CU_ASSERT_EQUAL(zfut_send_single(ut, "B", 1), 1);
	CU_ASSERT_EQUAL(help_pop_udp(p), 'A');
	CU_ASSERT_EQUAL(help_pop_udp(p), 'B');
	pair_close(st);
}

/* The port's log goes on when the stack that opened it is gone, and never into a descriptor that is not its own. */
static void
log_outlives_the_first_stack(void)
{
	char log[] = "/tmp/zf-log-XXXXXX", other[] = "/tmp/zf-other-XXXXXX", more[128];
	struct mem_port *p = mem_port("rvlog");
	struct zf_stack *st[2];
	struct stat s;
	int fd = mkstemp(log), fds[32];

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	snprintf(more, sizeof(more), "log_level=0x7777777777777;log_file=%s", log);
	pair_open("rvlog", more, st);
	CU_ASSERT_EQUAL(zf_stack_free(st[0]), 0);
	fds[0] = mkstemp(other);
	CU_ASSERT_FATAL(fds[0] >= 0);
	for (int i = 1; i < 32; i++)
		fds[i] = dup(fds[0]);
	CU_ASSERT_EQUAL(truncate(log, 0), 0);
	mem_set_link(p, PORT_LINK_DOWN);
	(void)zf_reactor_perform(st[1]);
	CU_ASSERT_EQUAL(fstat(fds[0], &s), 0);
	CU_ASSERT_EQUAL(s.st_size, 0);
	CU_ASSERT_EQUAL(stat(log, &s), 0);
	CU_ASSERT(s.st_size > 0);
	mem_set_link(p, PORT_LINK_UP);
	for (int i = 0; i < 32; i++)
		close(fds[i]);
	unlink(log);
	unlink(other);
	CU_ASSERT_EQUAL(zf_stack_free(st[1]), 0);
}

/* Every zocket that max_udp_rx_endpoints allows may have the same group and port. */
static void
many_zockets_in_one_group(void)
{
	struct mem_port *p = mem_port("rvmany");
	struct zf_stack *st =
		help_stack("interface=mem:rvmany;ipv4=192.0.2.1/24;n_bufs=2048;max_udp_rx_endpoints=200");
	struct zfur *ur[200];
	uint8_t f[128];
	uint32_t n, got = 0;

	for (int i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur[i], st, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(help_bind(ur[i], "239.1.1.1", 1000, NULL), 0);
	}
	/* Holes in the middle and at the ends. */
	for (int i = 0; i < 200; i += i % 3 + 1) {
		CU_ASSERT_EQUAL(zfur_free(ur[i]), 0);
		ur[i] = NULL;
	}
	n = help_udp(f, "192.0.2.9", "239.1.1.1", 1000, "M", 1);
	memcpy(f, "\x01\x00\x5e\x01\x01\x01", 6);
	CU_ASSERT_EQUAL(mem_push(p, 0, f, n, 0), 0);
	CU_ASSERT(zf_reactor_perform(st) > 0);
	for (int i = 0; i < 200; i++) {
		struct {
			struct zfur_msg msg;
			struct iovec iov[1];
		} rd = {.msg.iovcnt = 1};

		if (ur[i] == NULL)
			continue;
		zfur_zc_recv(ur[i], &rd.msg, 0);
		CU_ASSERT_EQUAL(rd.msg.iovcnt, 1);
		if (rd.msg.iovcnt == 1)
			zfur_zc_recv_done(ur[i], &rd.msg);
		got++;
		CU_ASSERT_EQUAL(zfur_free(ur[i]), 0);
	}
	CU_ASSERT(got > 60);
	CU_ASSERT_EQUAL(st->ctx.rx_held, 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
}

/* One request, one reply, though two stacks put its fragments together. */
static void
echo_in_fragments_is_answered_once(void)
{
	struct mem_port *p = mem_port("rvecho");
	struct zf_stack *a = help_stack("interface=mem:rvecho;ipv4=192.0.2.1/24;n_bufs=256");
	struct zf_stack *b = help_stack("interface=mem:rvecho;ipv4=192.0.2.1/24;n_bufs=256");
	uint8_t f[256], msg[32] = {ICMP_MSG_ECHO};
	be16_t sum = csum_finish(csum_partial(msg, sizeof(msg), 0));

	memcpy(msg + 2, &sum, 2);
	(void)zf_reactor_perform(a);
	(void)zf_reactor_perform(b);
	mem_flush(p);
	mem_push(p, 0, f, help_ip4(f, "192.0.2.9", "192.0.2.1", IP_PROTO_ICMP, IP4_FLAG_MF, msg, 16), 0);
	(void)zf_reactor_perform(a);
	mem_push(p, 0, f, help_ip4(f, "192.0.2.9", "192.0.2.1", IP_PROTO_ICMP, 2, msg + 16, 16), 0);
	(void)zf_reactor_perform(b);
	(void)zf_reactor_perform(a);
	CU_ASSERT_EQUAL(help_count_sent(p, IP_PROTO_ICMP, NULL), 1);
	CU_ASSERT_EQUAL(zf_stack_free(a), 0);
	CU_ASSERT_EQUAL(zf_stack_free(b), 0);
}

/* The stack whose address it is says so, whoever polls. */
static void
unknown_protocol_is_answered_by_its_owner(void)
{
	struct mem_port *p = mem_port("rvproto");
	struct zf_stack *st[2];
	uint8_t f[128];

	pair_open("rvproto", "", st);
	for (int k = 0; k < 2; k++)
		(void)zf_reactor_perform(st[k]);
	mem_flush(p);
	for (int k = 0; k < 2; k++) {
		char dst[16];

		snprintf(dst, sizeof(dst), "192.0.2.%d", 2 - k);
		mem_push(p, 0, f, help_ip4(f, "192.0.2.9", dst, 200, 0, "12345678", 8), 0);
		(void)zf_reactor_perform(st[k]);
		(void)zf_reactor_perform(st[!k]);
		CU_ASSERT_EQUAL(help_count_sent(p, IP_PROTO_ICMP, NULL), 1);
	}
	pair_close(st);
}

/* A port that lost its state in a reset is told its groups again. */
static void
reset_restores_the_groups(void)
{
	static const uint8_t one[6] = {1, 0, 0x5e, 1, 1, 1};
	struct mem_port *p = mem_port("rvreset");
	struct zf_stack *st[2];

	pair_open("rvreset", "", st);
	(void)help_zfur(st[1], "239.1.1.1", 1000);
	CU_ASSERT(mem_mc_has(p, one));
	mem_ask_reset(p);
	p->mc_n = 0;
	CU_ASSERT_FALSE(mem_mc_has(p, one));
	(void)zf_reactor_perform(st[0]);
	(void)zf_reactor_perform(st[1]);
	CU_ASSERT(mem_mc_has(p, one));
	pair_close(st);
}

static const struct unit_test tests[] = {
	UNIT(long_chain_is_dropped),
	UNIT(vlans_share_the_multicast_filter),
	UNIT(held_frames_are_pending_work),
	UNIT(log_outlives_the_first_stack),
	UNIT(many_zockets_in_one_group),
	UNIT(echo_in_fragments_is_answered_once),
	UNIT(unknown_protocol_is_answered_by_its_owner),
	UNIT(reset_restores_the_groups),
};

UNIT_MAIN("review_share", tests)
