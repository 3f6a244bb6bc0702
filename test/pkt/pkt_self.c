/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The engine's own tests: each script is wrong in one way, and must fail for that reason.
 */
#include <string.h>

#include "core/pool.h"
#include "pkt/ps.h"

PKT_MUST_FAIL(self_other_frame, "another frame was sent: differs at byte 36")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56@1)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (56)");
}

PKT_MUST_FAIL(self_other_length, "another frame was sent: differs at byte 17")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (57)");
}

PKT_MUST_FAIL(self_nothing_sent, "nothing was sent")
{
	struct ps *s = ps_open();

	ps_out(s, "+5 icmp echo reply id 7 seq 1 (56)");
}

PKT_MUST_FAIL(self_frame_left_over, "what nobody expected")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
}

PKT_MUST_FAIL(self_frame_before_the_next_line, "what nobody expected")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
	ps_in(s, "+0 icmp echo request id 7 seq 2 (56)");
}

PKT_MUST_FAIL(self_too_late, "s after the line before")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
	ps_out(s, "+1 icmp echo reply id 7 seq 1 (56)");
}

PKT_MUST_FAIL(self_too_early, "nothing was sent")
{
	struct ps *s = ps_open(.noisy_start = true, .strangers = true);

	ps_out(s, "+0 arp announce us");
	ps_out(s, "+1.9 arp announce us"); /* comes after 2 s */
}

PKT_MUST_FAIL(self_counter, "counter RX_ICMP_ECHO grew by 1, not 2")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 icmp echo request id 7 seq 1 (56)");
	ps_out(s, "+0 icmp echo reply id 7 seq 1 (56)");
	ps_count(s, RX_ICMP_ECHO, 2);
}

PKT_MUST_FAIL(self_buffer_leak, "leaked: 1 buffers")
{
	struct ps *s = ps_open();

	(void)pkt_take(ps_ctx(s)->pool);
}

PKT_MUST_FAIL(self_zocket_leak, "1 zockets")
{
	struct ps *s = ps_open();
	struct zf_attr *attr;
	struct zfur *ur;

	PS_EQ(s, zf_attr_alloc(&attr), 0);
	PS_EQ(s, zfur_alloc(&ur, ps_stack(s), attr), 0);
	zf_attr_free(attr);
}

PKT_MUST_FAIL(self_frame_not_counted, "but the RX_ counters add up to")
{
	struct ps *s = ps_open();

	ps_zfur(s, "us:2000");
	ps_in(s, "+0 udp 1000 > 2000 (3)");
	ps_ctx(s)->counters[CNT_RX_UDP]--;
	ps_run(s);
}

PKT_MUST_FAIL(self_port_rule, "the stack broke a rule of its port")
{
	struct ps *s = ps_open();
	struct zf_ctx *ctx = ps_ctx(s);
	struct rte_mbuf *m = pkt_take(ctx->pool);

	pkt_reset(m, 60);
	m->nb_segs = 2;
	ctx->tx(ctx->txq, &m, 1);
	ps_run(s);
}

/* A frame past the stack, as if it had sent it. */
static void
send_line(struct ps *s, uint32_t at, uint8_t flip, const char *line)
{
	struct zf_ctx *ctx = ps_ctx(s);
	struct rte_mbuf *m = pkt_take(ctx->pool);
	uint8_t b[256];
	uint32_t n = ps_build(s, b, sizeof(b), "%s", line);

	memcpy(b + 6, "\x02\x00\x00\x00\x00\x01", 6);
	b[at] ^= flip;
	pkt_reset(m, n);
	memcpy(rte_pktmbuf_mtod(m, void *), b, n);
	ctx->tx(ctx->txq, &m, 1);
	ps_run(s);
}

PKT_MUST_FAIL(self_bad_ip_checksum, "IP: wrong checksum")
{
	send_line(ps_open(), 24, 1, "[ip src us dst peer] udp 1 > 2 (30)");
}

PKT_MUST_FAIL(self_bad_udp_checksum, "layer 4: wrong checksum")
{
	send_line(ps_open(), 45, 1, "[ip src us dst peer] udp 1 > 2 (30)");
}

PKT_MUST_FAIL(self_foreign_source, "source address is not ours")
{
	send_line(ps_open(), 0, 0, "[ip src other dst peer] udp 1 > 2 (30)");
}

PKT_MUST_FAIL(self_rubbish_behind_the_packet, "padding that is not zero")
{
	send_line(ps_open(), 0, 0, "[ip src us dst peer] udp 1 > 2 (3)");
}

PKT_MUST_FAIL(self_bad_line, "cannot read this line")
{
	struct ps *s = ps_open();

	ps_in(s, "+0 udp 1000 > (12)");
}

PKT_MUST_FAIL(self_wrong_payload, "payload differs at byte 0")
{
	struct ps *s = ps_open();
	struct zfur *ur = ps_zfur(s, "us:2000");

	ps_in(s, "+0 udp 1000 > 2000 (12@3)");
	ps_recv(s, ur, "peer:1000", 12);
}
