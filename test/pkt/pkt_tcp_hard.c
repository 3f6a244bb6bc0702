/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP against forgers and madmen: resets, SYNs and what they may provoke (RFC 5961), damaged headers, impossible flags,
 * urgent pointers, predictable numbers, connections to oneself (hostile-inputs 6, 13 to 18, 20, 26, 30). Every flag and
 * number in every state is in pkt_tcp_grid.c, options in pkt_tcp_opt.c, ICMP in pkt_tcp_icmp.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem.h"
#include "pkt/ps_zft.h"

#define L4 34 /* of a frame without tags and IP options */

/* ---- RFC 5961 ---- */

PKT_TEST(tcp_reset_of_three_kinds, "RFC 5961 3.2, 105")
{
	struct ps *s = ps_established(.rcv_wnd = 10000);

	ps_in(s, "+.01 R 0:0(0)"); /* outside */
	ps_in(s, "+.01 R 10001:10001(0)");
	ps_count(s, RX_DROP_TCP_SEQ, 2);
	ps_in(s, "+.01 R 2:2(0)"); /* inside */
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+.01 R. 10000:10000(0) ack 77");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_count(s, RX_DROP_TCP_RST, 2);
	ps_count(s, TCP_CHALLENGE_ACK, 2);
	ps_in(s, "+.01 R 1:1(0)"); /* exact */
	ps_error(s, ECONNRESET);
}

PKT_TEST(tcp_reset_with_data, "RFC 9293 SHLD-2")
{
	struct ps *s = ps_established();

	ps_in(s, "+.01 R 1:29(28)"); /* why it was: text for humans */
	ps_error(s, ECONNRESET);
	ps_tcp_end(s, -ECONNRESET);
}

PKT_TEST(tcp_reset_at_a_closed_window, "RFC 9293 MUST-66")
{
	struct ps *s = ps_established(.rcv_wnd = 2000, .attrs = "tcp_delayed_ack=0");

	ps_in(s, "+.01 . 1:1001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 1001 win 1000");
	ps_in(s, "+.01 P. 1001:2001(1000) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 2001 win 0");
	ps_in(s, "+.01 R 2002:2002(0)");
	ps_silence(s, .1);
	ps_state(s, TCP_ESTABLISHED);
	ps_in(s, "+.01 R 2001:2001(0)");
	ps_error(s, ECONNRESET);
	ps_tcp_recv(s, 2000);
}

/* A peer that crashed and comes back with the same ports: challenged, it resets what it does not know, and the next SYN
 * finds the place free.
 */
PKT_TEST(tcp_peer_that_has_restarted, "RFC 5961 4.2, RFC 9293 3.5.1, 106")
{
	struct ps *s = ps_established(.passive = true);

	ps_in(s, "+60 S 900000:900000(0) <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 R 1:1(0)");
	ps_state(s, TCP_CLOSE);
	ps_error(s, ECONNRESET);
	ps_in(s, "+1 S 900000:900000(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 900001 <mss 1460>");
	ps_in(s, "+0 . 900001:900001(0) ack 1");
	ps_accept(s, ps_zftl(s));
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_challenges_of_one_connection, "RFC 5961 7, 108")
{
	struct ps *s = ps_established();

	for (unsigned i = 0; i < 50; i++)
		ps_queue(s, "+0 R %u:%u(0)", 1000 + i, 1000 + i);
	ps_run(s);
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_count(s, TCP_CHALLENGE_ACK, 1);
	ps_count(s, TCP_CHALLENGE_LIMIT, 49);
	/* An honest one, a moment later, is answered. */
	ps_in(s, "+.02 R 1500:1500(0)");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_in(s, "+0 R 1:1(0)");
	ps_error(s, ECONNRESET);
}

/* CVE-2016-5696: the limit of all, if it were a number that a stranger knows, would tell him by how many of his own
 * challenges are missing whether he has hit somebody else's connection.
 */
PKT_TEST_IN(tcp_challenges_of_all_cannot_be_counted, "RFC 5961 7, hostile-inputs 17, 108", PS_TCP_NORMAL)
{
	struct ps *s = ps_open();
	uint64_t n[8], differ = 0;

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < 20; i++) {
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		ps_out(s, "+0 S. 0:0(0) ack 1 dport %u <*>", 2000 + i);
		ps_in(s, "+0 . 1:1(0) ack 1 sport %u", 2000 + i);
		ps_accept(s, ps_zftl(s));
	}
	ps_ignore(s, 1);
	for (unsigned sec = 0; sec < 8; sec++) {
		n[sec] = 0;
		for (unsigned k = 0; k < 70; k++) { /* 1400 of them, in less than a second */
			for (unsigned i = 0; i < 20; i++)
				ps_queue(s, "+0 R 100:100(0) sport %u", 2000 + i);
			n[sec] += ps_ignore(s, .011);
		}
		PS_OK(s, n[sec] >= 500 && n[sec] < 1000);
		ps_ignore(s, 1);
		differ += sec > 0 && n[sec] != n[sec - 1];
	}
	PS_OK(s, differ >= 5);
	ps_count_min(s, TCP_CHALLENGE_LIMIT, 8 * 400);
}

/* Who sweeps all of the number space with the largest step that cannot miss has hit the window once, and got one
 * challenge; the connection stays.
 */
static void
sweep(struct ps *s, const char *flags)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < 65537; i++) {
		uint32_t seq = 3000 + i * 65535u;

		ps_queue(s, "+0 %s %u:%u(0)", flags, seq, seq);
		if (i % 256 == 255)
			sent += ps_ignore(s, .001);
	}
	sent += ps_ignore(s, 0);
	ps_state(s, TCP_ESTABLISHED);
	PS_OK(s, sent <= 1000);
	ps_note(s, "%u answers", sent);
}

PKT_TEST_IN(tcp_reset_sweep, "RFC 5961 3, hostile-inputs 16", PS_MODE(PS_NORMAL) | PS_MODE(PS_WRAP))
{
	struct ps *s = ps_established(.rcv_wnd = 65535);

	sweep(s, "R");
	ps_count(s, TCP_CHALLENGE_ACK, 1);
	ps_count(s, RX_DROP_TCP_RST, 1);
	ps_count(s, RX_DROP_TCP_SEQ, 65536);
}

PKT_TEST_IN(tcp_syn_sweep, "RFC 5961 4, hostile-inputs 16", PS_MODE(PS_NORMAL) | PS_MODE(PS_WRAP))
{
	struct ps *s = ps_established(.rcv_wnd = 65535);

	sweep(s, "S");
	ps_count_min(s, TCP_CHALLENGE_LIMIT, 60000);
}

/* Data with guessed acknowledgements gets into no stream (RFC 5961 5). */
PKT_TEST(tcp_blind_data, "RFC 5961 5, 107, hostile-inputs 15")
{
	struct ps *s = ps_established(.peer_win = 1000);

	ps_in(s, "+.02 P. 1:11(10) ack 4294966297"); /* una - 1000: the oldest that could be honest */
	ps_out(s, "+0~+.05 . 1:1(0) ack 11");
	ps_in(s, "+.02 P. 11:21(10) ack 4294966296");
	ps_out(s, "+0 . 1:1(0) ack 11");
	ps_in(s, "+.02 P. 11:21(10) ack 2");
	ps_out(s, "+0 . 1:1(0) ack 11");
	ps_in(s, "+.02 P. 11:21(10) ack 2147483649");
	ps_out(s, "+0 . 1:1(0) ack 11");
	ps_count(s, RX_DROP_TCP_ACK, 3);
	ps_count(s, TCP_CHALLENGE_ACK, 3);
	ps_tcp_recv(s, 10);
	ps_tcp_recv_none(s);
}

/* Two sides that have lost each other would answer ACKs with ACKs for ever. */
PKT_TEST(tcp_acks_make_no_war, "RFC 5961 7, RFC 9293 3.10.7.4")
{
	struct ps *s = ps_established();
	uint32_t n = 0;

	for (unsigned i = 0; i < 100; i++) {
		ps_in(s, "+.0005 . 1000000:1000000(0) ack 1");
		n += ps_ignore(s, 0);
	}
	PS_OK(s, n >= 4 && n <= 6); /* in 50 ms */
	/* Data and FINs that came too often are never part of it: whoever sends them waits for the answer. */
	ps_in(s, "+0 P. 1:11(10) ack 1");
	ps_ignore(s, .05);
	for (unsigned i = 0; i < 10; i++) {
		ps_in(s, "+.0005 P. 1:11(10) ack 1");
		ps_out(s, "+0 . 1:1(0) ack 11");
	}
	ps_tcp_recv(s, 10);
}

/* ---- headers ---- */

PKT_TEST_IN(tcp_checksum, "RFC 9293 MUST-2, MUST-3, hostile-inputs 26", PS_VERIFYING)
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");
	uint8_t f[256];
	uint32_t n = 0;

	for (uint32_t at = L4; at < L4 + 20 + 7; at++) { /* a bit of each byte: header, checksum, payload */
		uint32_t len = ps_build(s, f, sizeof(f), "P. 1:8(7) ack 1");

		if (at == L4 + 12)
			continue; /* the header's length: below */
		f[at] ^= (uint8_t)(1u << (at % 8));
		ps_in_frame(s, f, len);
		n++;
	}
	ps_silence(s, 1);
	ps_count(s, RX_DROP_TCP_CSUM, n);
	ps_tcp_recv_none(s);
	ps_in(s, "+0 P. 1:8(7) ack 1");
	ps_out(s, "+0 . 1:1(0) ack 8");
	ps_tcp_recv(s, 7);
}

/* Sums that count as right although they look like none. */
PKT_TEST(tcp_checksum_zero_and_ones, "RFC 1071, hostile-inputs 26")
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");
	unsigned zero = 0;
	uint8_t f[256];

	for (uint32_t wnd = 0; wnd < 65536 && zero == 0; wnd++) {
		uint32_t len = ps_build(s, f, sizeof(f), "P. 1:9(8) ack 1 win %u", wnd);

		if (f[L4 + 16] != 0 || f[L4 + 17] != 0)
			continue;
		ps_in_frame(s, f, len);
		ps_out(s, "+0 . 1:1(0) ack 9");
		zero++;
		ps_build(s, f, sizeof(f), "P. 1:9(8) ack 1 win %u", wnd);
		f[L4 + 16] = f[L4 + 17] = 0xff; /* the same in ones' complement */
		ps_in_frame(s, f, len);
		ps_out(s, "+0 . 1:1(0) ack 9"); /* received before */
	}
	PS_EQ(s, zero, 1);
	ps_count(s, RX_DROP_TCP_CSUM, 0);
	ps_tcp_recv(s, 8);
}

/* The checksum over @f as it stands. */
static void
fix_sum(uint8_t *f, uint32_t l4_len)
{
	uint32_t sum = 6 + l4_len;

	f[L4 + 16] = f[L4 + 17] = 0;
	for (uint32_t i = 0; i < 8; i += 2)
		sum += (uint32_t)f[26 + i] << 8 | f[27 + i];
	for (uint32_t i = 0; i < l4_len; i++)
		sum += i & 1 ? f[L4 + i] : (uint32_t)f[L4 + i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	f[L4 + 16] = (uint8_t)(~sum >> 8);
	f[L4 + 17] = (uint8_t)~sum;
}

PKT_TEST(tcp_header_length_lies, "hostile-inputs 6")
{
	struct ps *s = ps_established();
	uint8_t f[256];
	uint32_t len = 0;
	unsigned n = 0;

	for (unsigned words = 0; words < 16; words++) {
		len = ps_build(s, f, sizeof(f), "P. 1:8(7) ack 1");
		if (words * 4 >= 20 && words * 4 <= 27)
			continue;
		f[L4 + 12] = (uint8_t)(words << 4);
		fix_sum(f, 27);
		ps_in_frame(s, f, len);
		n++;
	}
	ps_silence(s, .1);
	ps_count(s, RX_DROP_TCP_BAD, n);
	/* Four bytes more are options, of rubbish, and three are data. */
	f[L4 + 12] = 6 << 4;
	fix_sum(f, 27);
	ps_in_frame(s, f, len);
	ps_out(s, "+0~+.041 . 1:1(0) ack 4");
}

PKT_TEST(tcp_null_segments_mean_nothing, "RFC 9293 3.10.7.4, hostile-inputs 14")
{
	struct ps *s = ps_established(.rcv_wnd = 10000);
	uint8_t f[256];
	uint32_t len;

	ps_listen(s, "us:1001");
	for (unsigned i = 0; i < 4; i++) { /* with data or without; to the connection, a listener, nobody */
		len = ps_build(s, f, sizeof(f), i & 1 ? "P 1:8(7)" : "P 1:1(0)");
		if (i & 2)
			f[L4 + 2] = 1001 >> 8, f[L4 + 3] = 1001 & 0xff;
		f[L4 + 13] = 0;
		fix_sum(f, i & 1 ? 27 : 20);
		ps_in_frame(s, f, len);
	}
	ps_silence(s, .1);
	ps_tcp_recv_none(s);
	ps_count(s, RX_DROP_TCP_ACK, 2);
	ps_count(s, RX_DROP_TCP_STATE, 2);
	len = ps_build(s, f, sizeof(f), "P 20000:20000(0)");
	f[L4 + 13] = 0;
	fix_sum(f, 20);
	ps_in_frame(s, f, len);
	ps_out(s, "+0 . 1:1(0) ack 1");
}

/* Bits that had no meaning yet are nobody's business (RFC 9293 3.1: ignored), ECN's without ECN neither. */
PKT_TEST(tcp_reserved_bits, "RFC 9293 3.1, hostile-inputs 14")
{
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");
	unsigned at = 1;

	for (unsigned i = 0; i < 32; i++, at += 7) {
		uint8_t f[256];
		uint32_t len = ps_build(s, f, sizeof(f), "P. %u:%u(7) ack 1", at, at + 7);

		f[L4 + 12] |= (uint8_t)(i & 15);
		f[L4 + 13] |= i & 16 ? 0xc0 : 0;
		fix_sum(f, 27);
		ps_in_frame(s, f, len);
		ps_out(s, "+0 . 1:1(0) ack %u", at + 7);
	}
	ps_tcp_recv(s, 32 * 7);
}

PKT_TEST(tcp_flag_salads_to_a_listener, "hostile-inputs 14")
{
	static const char *const none[] = {"SF", "SFPU", "SR", "SFR", "FPU", "F", "FR", "R", "R.", "U", "P", "SFRPU.", "SR."};
	static const char *const rst[] = {".", "F.", "S.", "SF.", "FPU.", "SFPU.", "P.", "U."};
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=0");

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(none); i++)
		ps_in(s, "+.001 %s 5:15(10) sport %u ack 7", none[i], 2000 + i);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(rst); i++) {
		ps_in(s, "+.001 %s 5:15(10) sport %u ack 7", rst[i], 3000 + i);
		ps_out(s, "+0 R 7:7(0) dport %u", 3000 + i);
	}
	ps_in(s, "+.001 SPU 0:10(10) sport 4000 urg 3"); /* a SYN all the same; its data comes again */
	ps_out(s, "+0 S. 0:0(0) ack 1 dport 4000 <mss 1460>");
	ps_in(s, "+.001 P. 1:11(10) sport 4000 ack 1");
	ps_accept(s, ps_zftl(s));
	ps_out(s, "+0~+.041 . 1:1(0) ack 11");
	ps_tcp_recv(s, 10);
	ps_accept_none(s, ps_zftl(s));
}

PKT_TEST(tcp_urgent_data_is_data, "RFC 9293 MUST-30 to 33, 62, RFC 6093, hostile-inputs 13")
{
	static const unsigned urg[] = {0, 1, 5, 10, 11, 1000, 32768, 65535};
	struct ps *s = ps_established(.attrs = "tcp_delayed_ack=0");
	unsigned at = 1;

	for (unsigned i = 0; i < ZF_ARRAY_SIZE(urg); i++, at += 20) {
		ps_in(s, "+.01 PU. %u:%u(10) ack 1 urg %u", at, at + 10, urg[i]);
		ps_out(s, "+0 . 1:1(0) ack %u", at + 10);
		ps_in(s, "+.01 U. %u:%u(0) ack 1 urg %u", at + 10, at + 10, urg[i]); /* with nothing to be urgent */
		ps_in(s, "+.01 P. %u:%u(10) ack 1 urg %u", at + 10, at + 20, urg[i]); /* a pointer without its bit */
		ps_out(s, "+0 . 1:1(0) ack %u", at + 20);
		ps_tcp_recv(s, 20);
	}
	ps_in(s, "+.01 FU. %u:%u(0) ack 1 urg 65535", at, at);
	ps_out(s, "+0 . 1:1(0) ack %u", at + 1);
	ps_tcp_eof(s);
}

PKT_TEST(tcp_urgent_bit_of_a_syn, "hostile-inputs 13")
{
	struct ps *s = ps_open();

	ps_connect(s);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
	ps_in(s, "+.01 SU. 0:0(0) ack 1 urg 65535 <mss 1460>");
	ps_out(s, "+0 . 1:1(0) ack 1");
	ps_state(s, TCP_ESTABLISHED);
	ps_listen(s, "us:1001");
	ps_in(s, "+.01 SU 0:0(0) sport 2001 dport 1001 urg 1 <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 sport 1001 dport 2001 <mss 1460>");
}

/* ---- addresses ---- */

PKT_TEST(tcp_syn_of_nobody, "RFC 9293 MUST-46, MUST-57, MUST-63")
{
	static const char *const src[] = {"224.0.0.1", "239.1.1.1", "255.255.255.255", "0.0.0.0", "127.0.0.1", "192.0.2.255",
					  "240.0.0.1"};
	static const char *const dst[] = {"224.0.0.1", "255.255.255.255", "192.0.2.255", "192.0.2.99"};
	struct ps *s = ps_open();

	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(src); i++)
		ps_in(s, "+.001 [ip src %s] S 0:0(0) <mss 1460>", src[i]);
	for (unsigned i = 0; i < ZF_ARRAY_SIZE(dst); i++)
		ps_in(s, "+.001 [ip dst %s] S 0:0(0) <mss 1460>", dst[i]);
	ps_in(s, "+.001 [eth dst ff:ff:ff:ff:ff:ff] S 0:0(0) <mss 1460>");
	ps_in(s, "+.001 [eth dst 01:00:5e:00:00:01] S 0:0(0) <mss 1460>");
	ps_silence(s, 5);
	ps_accept_none(s, ps_zftl(s));
	ps_count(s, RX_TCP, 0);
}

PKT_TEST(tcp_land, "hostile-inputs 30")
{
	struct ps *s = ps_established(.passive = true);

	ps_count(s, RX_TCP, 2); /* the handshake */
	ps_in(s, "+.01 [ip src us] S 0:0(0) sport 1000 dport 1000 <mss 1460>");
	ps_in(s, "+.01 [ip src us] S 0:0(0) sport 2000 dport 1000 <mss 1460>");
	ps_in(s, "+.01 [ip src us] . 1:1(0) ack 1 sport 1000 dport 1000");
	ps_in(s, "+.01 [ip src us] S 0:0(0) sport 1000 dport 1001 <mss 1460>");
	ps_silence(s, 5);
	ps_accept_none(s, ps_zftl(s));
	ps_count(s, RX_TCP, 0);
	ps_state(s, TCP_ESTABLISHED);
}

PKT_TEST(tcp_connect_to_oneself, "hostile-inputs 30")
{
	struct ps *s = ps_open();
	struct zft_handle *h = ps_handle(s);

	ps_listen(s, "us:1001");
	PS_EQ(s, ps_tcp_bind(s, h, "us:1000"), 0);
	PS_OK(s, ps_connect_rc(s, h, "us:1000") < 0);
	PS_OK(s, ps_connect_rc(s, h, "us:1001") < 0);
	ps_silence(s, 5);
	ps_accept_none(s, ps_zftl(s));
	/* The handle is as it was. */
	PS_EQ(s, ps_connect_rc(s, h, "peer:2000"), 0);
	ps_out(s, "+0 S 0:0(0) <mss 1460,*>");
}

/* ---- numbers that must not be guessed ---- */

/* The sequence number of the next frame, our SYN-ACK. */
static uint32_t
take_isn(struct ps *s)
{
	uint8_t f[128];

	PS_OK(s, ps_take(s, f, sizeof(f)) >= 54);
	PS_EQ(s, f[L4 + 13], 0x12);
	return (uint32_t)f[L4 + 4] << 24 | (uint32_t)f[L4 + 5] << 16 | (uint32_t)f[L4 + 6] << 8 | f[L4 + 7];
}

#define ISNS 1024u

PKT_TEST_IN(tcp_isn_of_others_cannot_be_guessed, "RFC 9293 MUST-8, MUST-9, SHLD-1, RFC 6528, 111, hostile-inputs 18",
	    PS_TCP_NORMAL)
{
	struct ps *s = ps_open();
	uint32_t bucket[16] = {0}, step[16] = {0}, isn, last = 0, same = 0;
	double chi = 0, chi_step = 0;

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < ISNS; i++) { /* one port behind the other, in no time */
		ps_in(s, "+0 S 0:0(0) sport %u <mss 1460>", 2000 + i);
		isn = take_isn(s);
		ps_in(s, "+0 R 1:1(0) sport %u", 2000 + i);
		bucket[isn >> 28]++;
		step[(isn - last) >> 28]++;
		same += isn - last + 1000000 < 2000000;
		last = isn;
	}
	for (unsigned i = 0; i < 16; i++) {
		chi += (bucket[i] - ISNS / 16.0) * (bucket[i] - ISNS / 16.0) / (ISNS / 16.0);
		chi_step += (step[i] - ISNS / 16.0) * (step[i] - ISNS / 16.0) / (ISNS / 16.0);
	}
	PS_OK(s, chi < 60); /* 15 degrees of freedom: once in ten million */
	PS_OK(s, chi_step < 60);
	PS_OK(s, same <= 10);
}

/* The same four numbers: the clock of RFC 6528, so that an old segment is out of the new window. */
PKT_TEST(tcp_isn_of_the_same_grows, "RFC 9293 MUST-8, RFC 6528")
{
	struct ps *s = ps_open();
	uint32_t isn, last = 0;

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	for (unsigned i = 0; i < 20; i++) {
		ps_in(s, "+%u S 0:0(0) <mss 1460>", i == 0 ? 0 : 10);
		isn = take_isn(s);
		ps_in(s, "+0 R 1:1(0)");
		if (i > 0) /* 250 for each millisecond */
			PS_OK(s, isn - last - 2500000u + 100 < 200);
		last = isn;
	}
}

#define PORTS 400u

static int
by_value(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

PKT_TEST_IN(tcp_ephemeral_ports, "RFC 6056, 112, hostile-inputs 20", PS_TCP_NORMAL)
{
	struct ps *s = ps_open(.attrs = "max_tcp_endpoints=512");
	uint32_t eighth[8] = {0}, near = 0, twice = 0;
	uint16_t ports[PORTS];

	for (unsigned i = 0; i < PORTS; i++) {
		struct sockaddr_in l = {0}, r = {0};
		socklen_t ll = sizeof(l), rl = sizeof(r);

		ps_connect_to(s, NULL, "peer:2000");
		zft_getname(ps_zft(s), (struct sockaddr *)&l, &ll, (struct sockaddr *)&r, &rl);
		ports[i] = (uint16_t)(l.sin_port >> 8 | l.sin_port << 8);
		PS_EQ(s, ps_ignore(s, 0), 1);
		PS_OK(s, ports[i] >= 1024);
		near += i > 0 && abs(ports[i] - ports[i - 1]) < 64;
	}
	qsort(ports, PORTS, sizeof(ports[0]), by_value);
	for (unsigned i = 0; i < PORTS; i++) {
		twice += i > 0 && ports[i] == ports[i - 1];
		eighth[(ports[i] - ports[0]) * 7u / (uint32_t)(ports[PORTS - 1] - ports[0])]++;
	}
	PS_EQ(s, twice, 0);
	PS_OK(s, near < 20);
	PS_OK(s, ports[PORTS - 1] - ports[0] > 10000);
	for (unsigned i = 0; i < 7; i++)
		PS_OK(s, eighth[i] > 20); /* of 57 */
}

/* Both number spaces over every edge, 2^31 and 2^32, in the middle of data, of a window and of a handshake. */
PKT_TEST_IN(tcp_numbers_wrap, "RFC 9293 3.4, hostile-inputs 15", PS_TCP_NORMAL)
{
	static const uint32_t edges[] = {0, 0x7fffffff};
	struct ps *s = ps_open(.attrs = "tcp_delayed_ack=0");
	unsigned port = 2000;

	for (unsigned i = 0; i < 4 * 10; i++, port++) {
		uint32_t us = edges[i & 1] - i / 4 * 499u, peer = edges[i >> 1 & 1] - i / 4 * 331u;
		char remote[16];

		snprintf(remote, sizeof(remote), "peer:%u", port);
		ps_isn(s, us);
		ps_peer_isn(s, peer);
		ps_connect_to(s, "us:1000", remote);
		ps_handshake(s, .rtt = .01);
		PS_EQ(s, ps_tcp_send(s, 2920), 2920);
		ps_out(s, "+0 . 1:1461(1460) ack 1");
		ps_out(s, "+0 P. 1461:2921(1460) ack 1");
		ps_in(s, "+.01 . 1001:2001(1000) ack 1461");
		ps_out(s, "+0 . 2921:2921(0) ack 1");
		ps_in(s, "+.01 P. 1:1001(1000) ack 2921");
		ps_out(s, "+0 . 2921:2921(0) ack 2001");
		ps_tcp_recv(s, 2000);
		ps_in(s, "+.02 R 1:1(0)"); /* just left of the window */
		ps_in(s, "+.02 R 2002:2002(0)");
		ps_out(s, "+0 . 2921:2921(0) ack 2001");
		ps_in(s, "+.02 . 2001:2001(0) ack 2922");
		ps_out(s, "+0 . 2921:2921(0) ack 2001");
		ps_in(s, "+.02 F. 2001:2001(0) ack 2921");
		ps_out(s, "+0 . 2921:2921(0) ack 2002");
		ps_tcp_eof(s);
		ps_tcp_free(s);
		ps_out(s, "+0 F. 2921:2921(0) ack 2002");
		ps_in(s, "+.02 . 2002:2002(0) ack 2922");
		PS_EQ(s, zf_stack_is_quiescent(ps_stack(s)), 1);
	}
}

PKT_TEST_IN(tcp_wrong_cookies_are_limited, "RFC 4987 3.6, design: failures rate-limited", PS_TCP_NORMAL)
{
	struct ps *s = ps_open(.attrs = "tcp_syn_cookies=2");
	uint32_t n = 0;

	ps_isn_any(s);
	ps_listen(s, "us:1000");
	ps_in(s, "+0 S 0:0(0) <mss 1460>");
	ps_out(s, "+0 S. 0:0(0) ack 1 <*>");
	for (unsigned i = 0; i < 400; i++)
		ps_queue(s, "+0 . 1:1(0) ack %u sport %u", i * 1000, 3000 + i);
	n = ps_ignore(s, .0001);
	PS_OK(s, n >= 50 && n <= 150);
	ps_count(s, TCP_COOKIES_BAD, 400);
	ps_accept_none(s, ps_zftl(s));
	ps_in(s, "+1.5 . 1:1(0) ack 1"); /* a good one, when the second is over */
	ps_accept(s, ps_zftl(s));
}
