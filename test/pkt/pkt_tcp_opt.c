/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP options: in any place, unknown, malformed, extreme, and what was agreed on by them; timestamps and PAWS (RFC 9293
 * 3.1, RFC 7323; hostile-inputs 7, 8, 12, 19). The parser alone is in test/unit/test_tcp_opt.c and fuzz_tcp_opt.
 */
#include <errno.h>

#include "pkt/ps_zft.h"

/* Of the peer's SYN to a listener, what our SYN-ACK says. */
static void
syn_gets(struct ps *s, unsigned port, const char *theirs, const char *ours)
{
	ps_in(s, "+0 S 0:0(0) sport %u %s", port, theirs);
	ps_out(s, "+0 S. 0:0(0) ack 1 dport %u %s", port, ours);
	ps_in(s, "+.01 R 1:1(0) sport %u", port);
}

PKT_TEST(tcp_options_at_any_place, "RFC 9293 MUST-4, MUST-5, MUST-64")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=1;tcp_delayed_ack=0");
	unsigned port = 2000;

	ps_listen(s, "us:1000");
	syn_gets(s, port++, "<nop,mss 1460>", "<mss 1460>");
	syn_gets(s, port++, "<nop,nop,nop,wscale 2,nop,mss 1000>", "<mss 1460,nop,wscale 3>");
	syn_gets(s, port++, "<wscale 2,TS val 7 ecr 0,sackOK,mss 1460,nop>", "<mss 1460,sackOK,TS val * ecr 7,nop,wscale 3>");
	syn_gets(s, port++, "<sackOK,eol>", "<mss 1460,nop,nop,sackOK>");
	syn_gets(s, port++, "<eol,mss 1460,nop,wscale 3>", "<mss 1460>"); /* the end is the end */
	syn_gets(s, port++, "<nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,"
			    "nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop>",
		 "<mss 1460>");
	/* In a segment with data, whatever it has to look for there. */
	ps_in(s, "+0 S 0:0(0) sport 3000 <mss 1000>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 3000 <mss 1460>");
	ps_in(s, "+0 . 1:1(0) ack 1 sport 3000");
	ps_accept(s, ps_zftl(s));
	ps_in(s, "+0 P. 1:11(10) ack 1 <nop>");
	ps_out(s, "+0 . 1:1(0) ack 11");
	ps_in(s, "+0 P. 11:21(10) ack 1 <mss 100,nop,wscale 7,sackOK,nop>");
	ps_out(s, "+0 . 1:1(0) ack 21");
	ps_in(s, "+0 P. 21:31(10) ack 1 <eol>");
	ps_out(s, "+0 . 1:1(0) ack 31");
	ps_tcp_recv(s, 30);
	PS_EQ(s, zft_get_mss(ps_zft(s)), 1000);
}

PKT_TEST(tcp_unknown_options_are_skipped, "RFC 9293 MUST-6, MUST-68")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=1;tcp_delayed_ack=0");

	ps_no_tcp_check(s); /* which stops at what it does not know */
	ps_listen(s, "us:1000");
	syn_gets(s, 2001, "<hex fd06aabbccdd,mss 1460,TS val 7 ecr 0>", "<mss 1460,nop,nop,TS val * ecr 7>");
	syn_gets(s, 2002, "<hex 0603aa,hex 0704aabb,hex fe02,mss 1460>", "<mss 1460>");
	syn_gets(s, 2003, "<mss 1460,hex 2216aabbccddeeff00112233445566778899aabbccdd>", "<mss 1460>"); /* fast open's */
	ps_in(s, "+0 S 0:0(0) sport 3000 <hex fd06aabbccdd,mss 1460,TS val 7 ecr 0>");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 3000 <mss 1460,nop,nop,TS val * ecr 7>");
	ps_in(s, "+0 . 1:1(0) ack 1 sport 3000 <hex fd06aabbccdd,TS val 8 ecr *>");
	ps_accept(s, ps_zftl(s));
	ps_in(s, "+0 P. 1:11(10) ack 1 <hex 1e0caabbccddaabbccddaabb,TS val 9 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 11 <nop,nop,TS val * ecr 9>");
	ps_tcp_recv(s, 10);
	ps_in(s, "+0 R 11:11(0)");
	ps_error(s, ECONNRESET);
}

PKT_TEST(tcp_malformed_options_end_the_list, "RFC 9293 MUST-7, hostile-inputs 7")
{
	static const char *const bad[] = {
		"fe00", "0200", "0201", "0203aa", "0205aabbcc", "02ff0000", "0300", "0301", "0302", "0304aabb", "03ff",
		"0400", "0401", "0403aa", "0500", "0501", "0502", "0509aabbccddeeff00", "050baabbccddeeff001122", "05ff",
		"0800", "0801", "0809aabbccddeeff00", "080baabbccddeeff001122", "08ff", "ff00", "ffff", "01010102", "01010103",
		"0101fefe",
	};
	struct ps *s = ps_open(.attrs = "tcp_timestamps=1;tcp_delayed_ack=0");

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(bad); i++) {
		char opts[96];

		snprintf(opts, sizeof(opts), "<mss 1000,hex %s>", bad[i]);
		ps_in(s, "+.01 S 0:0(0) sport %u %s", 2000 + i, opts);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <mss 1460>", 2000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u <hex %s>", 2000 + i, bad[i]);
		ps_accept(s, ps_zftl(s));
		PS_EQ(s, zft_get_mss(ps_zft(s)), 1000); /* as far as the list was good */
		ps_in(s, "+0 P. 1:11(10) ack 1 <hex %s>", bad[i]);
		ps_out(s, "+0 . 1:1(0) ack 11");
		ps_tcp_recv(s, 10);
		ps_in(s, "+0 R 11:11(0) <hex %s>", bad[i]);
		ps_error(s, ECONNRESET);
		ps_tcp_free(s);
	}
}

PKT_TEST(tcp_mss_is_536_unless_told, "RFC 9293 MUST-15")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0)");
	ps_out(s, "+0 S. 0:0(0) ack 1 <mss 1460>");
	ps_in(s, "+.01 . 1:1(0) ack 1");
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, zft_get_mss(ps_zft(s)), 536);
	PS_EQ(s, ps_tcp_send(s, 1000), 1000);
	ps_out(s, "+0 . 1:537(536) ack 1");
	ps_out(s, "+0 P. 537:1001(464) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1001");
}

/* @told: the option; @is: what a segment carries. */
static void
mss_case(struct ps *s, unsigned port, bool ts, unsigned told, unsigned is)
{
	unsigned at = 1, end = 1 + 3 * is;

	ps_in(s, "+.1 S 0:0(0) sport %u <mss %u,sackOK,%s>", port, told, ts ? "TS val * ecr 0" : "nop,nop");
	ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <mss 1460,*>", port);
	ps_in(s, "+.01 . 1:1(0) ack 1 sport %u", port);
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, zft_get_mss(ps_zft(s)), (int)is);
	PS_EQ(s, ps_tcp_send(s, 3 * is), (int)(3 * is));
	for (; at < end; at += is)
		ps_out(s, "+0 %s %u:%u(%u) ack 1", at + is < end ? "." : "P.", at, at + is, is);
	ps_in(s, "+.01 . 1:1(0) ack %u", end);
	ps_in(s, "+0 R 1:1(0)");
	ps_tcp_free(s);
}

PKT_TEST(tcp_mss_extremes, "RFC 9293 MUST-14, MUST-16, hostile-inputs 8")
{
	static const unsigned told[] = {0, 1, 7, 8, 47, 48, 49, 64, 87, 536, 1459, 1460, 1461, 65535};
	struct ps *s = ps_open(.attrs = "tcp_timestamps=1");
	unsigned port = 2000;

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(told); i++) {
		unsigned is = ZF_MIN(ZF_MAX(told[i], 48u), 1460u);

		mss_case(s, port++, false, told[i], is);
		mss_case(s, port++, true, told[i], is - 12); /* RFC 6691: the option is not less for it */
	}
}

/* SACKed byte by byte and with segments as small as they get: what CVE-2019-11477 to 11479 lived of. */
PKT_TEST_IN(tcp_sack_shredding, "hostile-inputs 8, 10", PS_TCP_NORMAL)
{
	struct ps *s = ps_established(.peer_mss = 1, .peer_sack = true, .attrs = "tcp_initial_cwnd=65535");

	PS_EQ(s, ps_tcp_send(s, 48 * 200), 48 * 200);
	PS_EQ(s, ps_ignore(s, 0), 200);
	for (unsigned round = 0; round < 5; round++)
		for (unsigned i = 49; i + 2 < 48 * 200; i += 2)
			ps_queue(s, "+0 . 1:1(0) ack 1 <nop,nop,sack %u:%u>", i, i + 1);
	ps_ignore(s, .001); /* it may believe parts, and send again */
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+0 . 1:1(0) ack %u", 48 * 200 + 1);
	PS_EQ(s, ps_probe(s)->flight, 0);
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 9601:9611(10) ack 1");
	ps_in(s, "+0 . 1:1(0) ack 9611");
}

PKT_TEST(tcp_sack_lies, "hostile-inputs 9, RFC 2018")
{
	static const char *const lies[] = {
		"3000:2000", "1461:1461", "1461:5000000", "4000000000:4000000001", "0:1461", "1:1461", "1461:2147485109",
		"14601:20000", "7301:5841 5841:4381 4381:2921", "4294967295:1461", "2921:1461 1:0",
	};
	struct ps *s = ps_established(.peer_sack = true, .rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 14600), 14600);
	PS_EQ(s, ps_ignore(s, 0), 10);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(lies); i++)
		ps_in(s, "+.001 . 1:1(0) ack 1 win %u <nop,nop,sack %s>", 60000 + i, lies[i]); /* no duplicates, these */
	PS_EQ(s, ps_probe(s)->sacked, 0);
	PS_EQ(s, ps_probe(s)->lost, 0);
	PS_EQ(s, ps_probe(s)->recovery, ZT_TCP_OPEN);
	ps_in(s, "+0 . 1:1(0) ack 14601");
	PS_EQ(s, ps_tcp_send(s, 10), 10);
	ps_out(s, "+0 P. 14601:14611(10) ack 1");
}

PKT_TEST(tcp_sack_that_was_not_agreed_on, "hostile-inputs 9, RFC 2018 2")
{
	struct ps *s = ps_established(.rtt = .1);

	PS_EQ(s, ps_tcp_send(s, 14600), 14600);
	PS_EQ(s, ps_ignore(s, 0), 10);
	for (unsigned i = 0; i < 8; i++)
		ps_in(s, "+.001 . 1:1(0) ack 1 win %u <nop,nop,sack 1461:14601>", 60000 + i);
	PS_EQ(s, ps_probe(s)->sacked, 0);
	ps_in(s, "+0 . 1:1(0) ack 14601");
}

/* ---- window scale ---- */

PKT_TEST(tcp_window_scale_above_14, "RFC 7323 2.3, hostile-inputs 12")
{
	static const unsigned told[] = {14, 15, 127, 255};
	struct ps *s = ps_open(.attrs = "tcp_initial_cwnd=100000");

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(told); i++) {
		ps_in(s, "+.01 S 0:0(0) win 100 sport %u <mss 1460,nop,wscale %u>", 2000 + i, told[i]);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <mss 1460,nop,wscale 3>", 2000 + i);
		ps_in(s, "+.01 . 1:1(0) ack 1 win 1 sport %u", 2000 + i);
		ps_accept(s, ps_zftl(s));
		PS_EQ(s, ps_tcp_send(s, 20000), 20000);
		PS_EQ(s, ps_ignore(s, 0), 11); /* 16384 bytes: eleven of 1460, the rest is too small to be sent alone */
		PS_EQ(s, ps_probe(s)->flight, 11 * 1460);
		ps_in(s, "+0 R 1:1(0)");
		ps_tcp_free(s);
	}
}

PKT_TEST(tcp_window_scale_twice, "hostile-inputs 12")
{
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) win 1000 <mss 1460,nop,wscale 2,nop,wscale 7>");
	ps_out(s, "+0 S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>");
	ps_in(s, "+.01 . 1:1(0) ack 1 win 100");
	ps_accept(s, ps_zftl(s));
	PS_EQ(s, ps_probe(s)->snd_wnd, 400);
	ps_in(s, "+.01 . 1:1(0) ack 1 win 200 <nop,wscale 9>"); /* too late */
	PS_EQ(s, ps_probe(s)->snd_wnd, 800);
}

PKT_TEST(tcp_window_scale_takes_two, "RFC 7323 2.2, 95, 96")
{
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0");

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_in(s, "+.01 S. 0:0(0) ack 1 win 20000 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 65535"); /* not scaled, then */
	PS_EQ(s, ps_probe(s)->snd_wnd, 20000);
	PS_EQ(s, ps_probe(s)->rcv_shift, 0);
	ps_in(s, "+.01 . 1:1(0) ack 1 win 500");
	PS_EQ(s, ps_probe(s)->snd_wnd, 500);
}

PKT_TEST(tcp_window_of_a_syn_is_not_scaled, "RFC 7323 2.2, 96")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 3>");
	ps_in(s, "+.01 S. 0:0(0) ack 1 win 20000 <mss 1460,nop,wscale 7>");
	ps_out(s, "+0 . 1:1(0) ack 1 win 32768");
	PS_EQ(s, ps_probe(s)->snd_wnd, 20000);
	ps_in(s, "+.01 . 1:1(0) ack 1 win 500");
	PS_EQ(s, ps_probe(s)->snd_wnd, 64000);
}

/* ---- timestamps ---- */

PKT_TEST(tcp_segments_without_the_timestamp, "RFC 7323 3.2, 98, 99")
{
	struct ps *s = ps_established(.peer_ts = true, .attrs = "tcp_delayed_ack=0");

	ps_in(s, "+.01 P. 1:101(100) ack 1 <>");
	ps_in(s, "+.01 F. 1:1(0) ack 1 <>");
	ps_silence(s, .1);
	ps_count(s, RX_DROP_TCP_PAWS, 2);
	ps_tcp_recv_none(s);
	ps_in(s, "+.01 P. 1:101(100) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 101 <nop,nop,TS val * ecr *>");
	ps_tcp_recv(s, 100);
	ps_in(s, "+.01 R 101:101(0) <>");
	ps_error(s, ECONNRESET);
}

PKT_TEST(tcp_timestamps_that_were_not_agreed_on, "RFC 7323 3.2")
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");

	ps_in(s, "+.01 P. 1:101(100) ack 1 <nop,nop,TS val 1000 ecr 1>");
	ps_out(s, "+0 . 1:1(0) ack 101");
	ps_in(s, "+.01 P. 101:201(100) ack 1 <nop,nop,TS val 1 ecr 1>"); /* which has not become older */
	ps_out(s, "+0 . 1:1(0) ack 201");
	ps_tcp_recv(s, 200);
}

PKT_TEST(tcp_timestamp_of_the_first_that_an_ack_is_for, "RFC 7323 4.3, 100")
{
	struct ps *s = ps_established(.peer_ts = true);

	ps_in(s, "+1 P. 1:101(100) ack 1 <nop,nop,TS val 2090001 ecr *>");
	ps_in(s, "+.01 P. 101:201(100) ack 1 <nop,nop,TS val 2090011 ecr *>");
	ps_out(s, "+0~+.041 . 1:1(0) ack 201 <nop,nop,TS val * ecr 2090001>");
	/* Beyond a hole: not the newest, but the last one in order. */
	ps_in(s, "+.1 P. 301:401(100) ack 1 <nop,nop,TS val 2090111 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 201 <nop,nop,TS val * ecr 2090001>");
	ps_in(s, "+.1 P. 201:301(100) ack 1 <nop,nop,TS val 2090211 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 401 <nop,nop,TS val * ecr 2090211>");
	ps_tcp_recv(s, 400);
}

PKT_TEST(tcp_old_timestamps_are_acknowledged_and_dropped, "RFC 7323 5.3, 101")
{
	struct ps *s = ps_established(.peer_ts = true, .attrs = "tcp_delayed_ack=0");

	ps_in(s, "+1 P. 1:101(100) ack 1 <nop,nop,TS val 4294967290 ecr *>"); /* behind, by half of all and more */
	ps_out(s, "+0 . 1:1(0) ack 1 <nop,nop,TS val * ecr *>");
	ps_count(s, RX_DROP_TCP_PAWS, 1);
	ps_in(s, "+0 P. 1:101(100) ack 1 <nop,nop,TS val 2000000000 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 101 <nop,nop,TS val * ecr 2000000000>");
	ps_in(s, "+0 P. 101:201(100) ack 1 <nop,nop,TS val 4000000000 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 201 <nop,nop,TS val * ecr 4000000000>");
	ps_in(s, "+0 P. 201:301(100) ack 1 <nop,nop,TS val 4294967295 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 301 <nop,nop,TS val * ecr 4294967295>");
	ps_in(s, "+0 P. 301:401(100) ack 1 <nop,nop,TS val 0 ecr *>"); /* it wraps */
	ps_out(s, "+0 . 1:1(0) ack 401 <nop,nop,TS val * ecr 0>");
	ps_in(s, "+.01 P. 401:501(100) ack 1 <nop,nop,TS val 4294967295 ecr *>"); /* and this is old now */
	ps_out(s, "+0 . 1:1(0) ack 401 <nop,nop,TS val * ecr 0>");
	ps_in(s, "+.01 R 401:401(0) <nop,nop,TS val 4294967295 ecr *>"); /* no reset is too old (5.2) */
	ps_error(s, ECONNRESET);
	ps_tcp_recv(s, 400);
}

PKT_TEST_IN(tcp_timestamp_of_24_days_ago, "RFC 7323 5.5, 102",
	    PS_ALL_MODES & ~PS_MODE(PS_TX_HOLD)) /* 24 days of ARP fill its ring */
{
	struct ps *s = ps_established(.peer_ts = true, .attrs = "tcp_delayed_ack=0");

	ps_in(s, "+1 P. 1:101(100) ack 1 <nop,nop,TS val 2090000 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 101 <nop,nop,TS val * ecr 2090000>");
	ps_silence(s, 23.9 * 86400);
	ps_in(s, "+0 P. 101:201(100) ack 1 <nop,nop,TS val 2089999 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 101 <nop,nop,TS val * ecr 2090000>");
	ps_silence(s, .2 * 86400);
	ps_in(s, "+0 P. 101:201(100) ack 1 <nop,nop,TS val 2089999 ecr *>");
	ps_out(s, "+0 . 1:1(0) ack 201 <nop,nop,TS val * ecr 2089999>");
	ps_tcp_recv(s, 200);
}

/* The next frame's TSval, of a SYN with all options or of an ACK. */
static uint32_t
take_tsval(struct ps *s, unsigned at)
{
	uint8_t f[128];

	PS_OK(s, ps_take(s, f, sizeof(f)) >= at + 4);
	return (uint32_t)f[at] << 24 | (uint32_t)f[at + 1] << 16 | (uint32_t)f[at + 2] << 8 | f[at + 3];
}

PKT_TEST(tcp_timestamp_clock, "RFC 7323 5.4, 103, hostile-inputs 19")
{
	struct ps *s = ps_open(.attrs = "tcp_timestamps=2;tcp_syn_retries=20;tcp_rto_initial_ms=1000;tcp_rto_max_ms=1000");
	uint32_t first[16], again, near = 0;

	/* A millisecond each; where it began is another for each connection, so that none tells of the other or of when
	 * the host was started.
	 */
	for (unsigned i = 0; i < 16; i++) {
		ps_connect_to(s, NULL, "peer:2000");
		first[i] = take_tsval(s, 54 + 8);
		for (unsigned k = 0; k < i; k++)
			near += first[i] - first[k] + 100000u < 200000u;
	}
	PS_OK(s, near <= 1);
	ps_silence(s, .9);
	again = 0;
	zt_advance(200 * 1000000u);
	for (unsigned i = 0; i < 16; i++)
		again += take_tsval(s, 54 + 8) - first[i] - 999u <= 2u;
	PS_EQ(s, again, 16);
}
