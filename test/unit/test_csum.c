/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The checksum against the definition, at every length and alignment, beside the end of readable
 * memory.
 */
#include "unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "ip/csum.h"

/* RFC 1071 word for word: bytes in pairs, the first is the upper one. */
static uint16_t
by_definition(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint64_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t
host(uint64_t acc)
{
	return be16_host((be16_t){csum_fold(acc)});
}

static void
fill(uint8_t *p, size_t len, int kind)
{
	struct rng r;

	rng_seed(&r, kind);
	for (size_t i = 0; i < len; i++)
		p[i] = kind == 0   ? 0
		       : kind == 1 ? 0xff
		       : kind == 2 ? 0x80
				   : (uint8_t)rng_next64(&r);
}

static void
every_length_and_alignment(void)
{
	static uint8_t buf[2048 + 64] __attribute__((aligned(64)));
	static uint8_t out[2048 + 64 + 2];
	uint32_t wrong = 0;

	for (int kind = 0; kind < 5; kind++) {
		fill(buf, sizeof(buf), kind);
		for (size_t off = 0; off < 64; off++) {
			for (size_t len = 0; len <= 2048; len++) {
				if (kind != 4 && len > 300 && len % 61 != 0)
					continue;
				wrong += host(csum_partial(buf + off, len, 0)) !=
					 by_definition(buf + off, len);
			}
		}
		for (size_t len = 0; len <= 2048; len++) {
			size_t off = len % 64;

			memset(out, 0x5a, sizeof(out));
			wrong += host(csum_copy(out + 1, buf + off, len, 0)) !=
				 by_definition(buf + off, len);
			wrong += memcmp(out + 1, buf + off, len) != 0;
			wrong += out[0] != 0x5a || out[len + 1] != 0x5a;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* The bytes before and behind are not there at all. */
static void
reads_nothing_outside(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map =
		mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t wrong = 0;

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(map, MAP_FAILED);
	fill(map + page, page, 3);
	CU_ASSERT_EQUAL(mprotect(map, page, PROT_NONE), 0);
	CU_ASSERT_EQUAL(mprotect(map + 2 * page, page, PROT_NONE), 0);
	for (size_t len = 0; len <= 2048; len++) {
		const uint8_t *first = map + page;
		const uint8_t *last = map + 2 * page - len;

		wrong += host(csum_partial(first, len, 0)) != by_definition(first, len);
		wrong += host(csum_partial(last, len, 0)) != by_definition(last, len);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	munmap(map, 3 * page);
}

static void
large_pieces_do_not_overflow(void)
{
	static uint8_t buf[3 << 20];
	static const size_t sizes[] = {65535, 65536, 524288, 524289, 1 << 20, sizeof(buf)};

	for (int kind = 0; kind < 4; kind++) {
		fill(buf, sizeof(buf), kind);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			CU_ASSERT_EQUAL(host(csum_partial(buf, sizes[i], 0)),
					by_definition(buf, sizes[i]));
	}
}

/* However a message is cut, and in whatever order its pieces are summed. */
static void
pieces_join(void)
{
	uint8_t buf[1500];
	uint32_t wrong = 0;
	struct rng r;

	rng_seed(&r, 17);
	fill(buf, sizeof(buf), 4);
	for (int round = 0; round < 20000; round++) {
		size_t len = rng_below(&r, sizeof(buf) + 1);
		size_t at = 0;
		uint64_t acc = 0;

		while (at < len) {
			size_t part = 1 + rng_below(&r, len - at);
			uint64_t sum = csum_partial(buf + at, part, 0);

			if (at % 2 == 0 && rng_below(&r, 2) == 0)
				acc = csum_partial(buf + at, part, acc);
			else
				acc += at % 2 == 0 ? sum : csum_shift(sum);
			at += part;
		}
		wrong += host(acc) != by_definition(buf, len);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* A real header: the checksum field of this one is b861. */
static void
ip_header(void)
{
	uint8_t h[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
			 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	be16_t c = csum_finish(csum_ip4_hdr(h, 5));

	CU_ASSERT_EQUAL(be16_host(c), 0xb861);
	CU_ASSERT(be16_eq(csum_finish(csum_partial(h, 20, 0)), c));
	CU_ASSERT_FALSE(csum_ok(csum_ip4_hdr(h, 5)));
	memcpy(h + 10, &c, 2);
	CU_ASSERT_TRUE(csum_ok(csum_ip4_hdr(h, 5)));
	h[19] ^= 1;
	CU_ASSERT_FALSE(csum_ok(csum_ip4_hdr(h, 5)));
}

static void
pseudo_header(void)
{
	be32_t src = IP4_C(10, 1, 2, 3);
	be32_t dst = IP4_C(255, 254, 253, 252);

	for (uint32_t len = 0; len <= 0xffff; len += 257) {
		struct hdr_pseudo ph = {
			.src = src, .dst = dst, .proto = IP_PROTO_UDP, .len = be16_from(len)};

		CU_ASSERT_EQUAL(host(csum_pseudo(src, dst, IP_PROTO_UDP, len)),
				by_definition((const uint8_t *)&ph, sizeof(ph)));
	}
}

static void
udp_zero_is_sent_as_ones(void)
{
	CU_ASSERT_EQUAL(csum_finish(0xffff).raw, 0);
	CU_ASSERT_EQUAL(csum_finish_udp(0xffff).raw, 0xffff);
	CU_ASSERT_EQUAL(csum_finish_udp(0xfffe).raw, 1);
}

static void
incremental_update(void)
{
	uint8_t h[20] __attribute__((aligned(4)));
	uint32_t wrong = 0;
	struct rng r;

	rng_seed(&r, 23);
	for (int round = 0; round < 50000; round++) {
		be16_t *field = (be16_t *)(void *)(h + 10);
		be16_t c;
		be16_t was16, is16;
		be32_t was32, is32;
		size_t at = rng_below(&r, 2) == 0 ? 8 : 6;

		for (size_t i = 0; i < sizeof(h); i++)
			h[i] = rng_below(&r, 4) == 0 ? 0xff : (uint8_t)rng_next64(&r);
		h[0] |= 0x40; /* a real header is never all zero */
		field->raw = 0;
		c = csum_finish(csum_partial(h, sizeof(h), 0));
		is16.raw = (uint16_t)(rng_below(&r, 3) == 0 ? 0 : rng_next64(&r));
		is32.raw = (uint32_t)(rng_below(&r, 3) == 0 ? 0xffffffff : rng_next64(&r));
		memcpy(&was16, h + at, 2);
		memcpy(h + at, &is16, 2);
		c = csum_update16(c, was16, is16);
		memcpy(&was32, h + 12, 4);
		memcpy(h + 12, &is32, 4);
		c = csum_update32(c, was32, is32);
		memcpy(field, &c, 2);
		wrong += !csum_ok(csum_partial(h, sizeof(h), 0));
		field->raw = 0;
		wrong += !be16_eq(csum_finish(csum_partial(h, sizeof(h), 0)), c);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void
narrow_vectors_too(void)
{
	csum_allow_avx2(false);
	every_length_and_alignment();
	reads_nothing_outside();
	large_pieces_do_not_overflow();
	csum_allow_avx2(true);
}

static const struct unit_test tests[] = {
	UNIT(every_length_and_alignment),
	UNIT(reads_nothing_outside),
	UNIT(large_pieces_do_not_overflow),
	UNIT(pieces_join),
	UNIT(ip_header),
	UNIT(pseudo_header),
	UNIT(udp_zero_is_sent_as_ones),
	UNIT(incremental_update),
	UNIT(narrow_vectors_too),
};

UNIT_MAIN("csum", tests)
