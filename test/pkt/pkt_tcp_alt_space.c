/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives: how much fits, and when it comes back. The numbers are those of an 8000 series adapter; the model alone
 * is tested in test/unit/test_alt_space.c.
 */
#include <errno.h>

#include "pkt/ps_alt.h"

/* All alternatives of a stack say the same at first, whether they are in use or not. */
static void
space_is(struct ps *s, uint32_t n, uint32_t bytes)
{
	zf_althandle a = 0;

	for (uint32_t i = 0; i < n; i++) {
		PS_EQ(s, ps_alt_space(s, i), 0); /* not allocated yet */
		a = ps_alt(s);
		PS_EQ(s, a, i);
		PS_EQ(s, ps_alt_space(s, a), bytes);
	}
	PS_EQ(s, ps_alt_space(s, a + 1), 0);
	PS_EQ(s, ps_alt_space(s, UINT64_MAX), 0);
}

PKT_TEST(alt_space_of_1, "doc/alternatives.md, space")
{
	space_is(ps_open(.attrs = "alt_count=1"), 1, 41952);
}

PKT_TEST(alt_space_of_2, "doc/alternatives.md, space")
{
	space_is(ps_open(.attrs = "alt_count=2"), 2, 42464);
}

PKT_TEST(alt_space_of_4, "doc/alternatives.md, space")
{
	space_is(ps_open(.attrs = "alt_count=4"), 4, 43488);
}

PKT_TEST(alt_space_of_8, "doc/alternatives.md, space")
{
	space_is(ps_open(.attrs = "alt_count=8"), 8, 45536);
}

PKT_TEST(alt_space_of_17, "doc/alternatives.md, space")
{
	space_is(ps_open(.attrs = "alt_count=17"), 17, 50144);
}

PKT_TEST(alt_space_of_little, "attribute alt_buf_size: less than a buffer is none")
{
	space_is(ps_open(.attrs = "alt_count=2;alt_buf_size=511"), 2, 512 * 3 - 32);
}

PKT_TEST(alt_space_goes_and_comes, "doc/alternatives.md, space")
{
	struct ps *s = ps_established(.attrs = "alt_count=2;alt_buf_size=4096");
	zf_althandle a = ps_alt(s), b = ps_alt(s);
	uint32_t all = 512 * (8 + 2 + 1) - 32;

	PS_EQ(s, ps_alt_space(s, a), all);
	/* 54 + 10 bytes are 2 words and one more; both share what is free, but for the buffer that each holds. */
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_space(s, a), all - 96);
	PS_EQ(s, ps_alt_space(s, b), all);
	PS_EQ(s, ps_alt_queue(s, a, 1), 0);
	PS_EQ(s, ps_alt_queue(s, a, 1), 0);
	PS_EQ(s, ps_alt_space(s, a), all - 3 * 96);
	PS_EQ(s, ps_alt_space(s, b), all);
	/* 4 words left of 16: one buffer more is taken. */
	PS_EQ(s, ps_alt_queue(s, a, 1), 0);
	PS_EQ(s, ps_alt_space(s, a), all - 4 * 96);
	PS_EQ(s, ps_alt_space(s, b), all - 512);
	/* What it holds comes back when it has drained, and not before. */
	PS_EQ(s, ps_alt_cancel(s, a), 0);
	PS_EQ(s, ps_alt_space(s, a), all - 4 * 96);
	PS_EQ(s, ps_alt_space(s, b), all - 512);
	PS_EQ(s, ps_alt_queue(s, a, 1), -EBUSY);
	ps_alt_run(s);
	PS_EQ(s, ps_alt_space(s, a), all);
	PS_EQ(s, ps_alt_space(s, b), all);
	PS_EQ(s, ps_alt_queue(s, a, 10), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	PS_EQ(s, ps_alt_space(s, a), all - 96);
	ps_out(s, "+0 P. 1:11(10) ack 1");
	ps_alt_run(s);
	PS_EQ(s, ps_alt_space(s, a), all);
	ps_in(s, "+.01 . 1:1(0) ack 11");
}

PKT_TEST(alt_space_of_the_largest, "guide 11.6.2.3: the largest packet that fits, headers included")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;alt_buf_size=512");
	zf_althandle a = ps_alt(s);
	uint32_t hdr = zft_get_header_size(ps_zft(s)), space = ps_alt_space(s, a);

	PS_EQ(s, space, 1504);
	PS_EQ(s, ps_alt_queue(s, a, space - hdr + 1), -ENOBUFS);
	PS_EQ(s, ps_alt_space(s, a), space); /* nothing of it stayed */
	PS_EQ(s, ps_alt_queue(s, a, space - hdr), 0);
	PS_EQ(s, ps_alt_space(s, a), 0);
	PS_EQ(s, ps_alt_queue(s, a, 1), -ENOBUFS);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:1451(1450) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1451");
}

PKT_TEST(alt_space_all_or_nothing, "guide 11.6.2.7: ENOBUFS; of two segments one would fit")
{
	struct ps *s = ps_established(.attrs = "alt_count=1;alt_buf_size=1024");
	zf_althandle a = ps_alt(s);
	uint32_t space = ps_alt_space(s, a);

	PS_EQ(s, ps_alt_queue(s, a, 2000), -ENOBUFS);
	PS_EQ(s, ps_alt_space(s, a), space);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_silence(s, 1);
	PS_EQ(s, ps_alt_queue(s, a, 1460), 0);
	PS_EQ(s, ps_alt_send(s, a), 0);
	ps_out(s, "+0 P. 1:1461(1460) ack 1");
	ps_in(s, "+.01 . 1:1(0) ack 1461");
}

PKT_TEST(alt_space_overhead, "guide 11.6.2.4: ef_vi_transmit_alt_usage()")
{
	struct ps *s = ps_established(.attrs = "alt_count=2");
	static const uint32_t lens[] = {1, 10, 11, 42, 43, 400, 1459, 1460};
	struct ef_vi_transmit_alt_overhead o;
	zf_althandle a = ps_alt(s);

	PS_EQ(s, zf_alternatives_query_overhead_tcp(ps_zft(s), &o), 0);
	for (size_t i = 0; i < ZF_ARRAY_SIZE(lens); i++) {
		uint32_t space = ps_alt_space(s, a);

		PS_EQ(s, ps_alt_queue(s, a, lens[i]), 0);
		PS_EQ(s, space - ps_alt_space(s, a), ef_vi_transmit_alt_usage(&o, lens[i]));
		PS_EQ(s, ef_vi_transmit_alt_usage(&o, lens[i]), (54 + lens[i] + 31) / 32 * 32 + 32);
	}
}

PKT_TEST(alt_space_overhead_of_options, "guide 11.6.2.4: headers, VLAN tags, options")
{
	struct ps *s = ps_established(.attrs = "alt_count=1", .peer_ts = true, .open.vlan = 7);
	struct ef_vi_transmit_alt_overhead o;
	zf_althandle a = ps_alt(s);
	uint32_t space = ps_alt_space(s, a);

	PS_EQ(s, zf_alternatives_query_overhead_tcp(ps_zft(s), &o), 0);
	PS_EQ(s, ps_alt_queue(s, a, 27), 0);
	PS_EQ(s, ef_vi_transmit_alt_usage(&o, 27), 160); /* 70 + 27 bytes: one more than 3 words */
	PS_EQ(s, space - ps_alt_space(s, a), 160);
}

PKT_TEST(alt_space_overhead_without, "guide 11.6.2.4: EINVAL")
{
	struct ps *s = ps_established();
	struct ef_vi_transmit_alt_overhead o = {1, 2, 3};

	PS_EQ(s, zf_alternatives_query_overhead_tcp(ps_zft(s), &o), -EINVAL);
	PS_EQ(s, o.pre_round + o.mask + o.post_round, 6);
}
