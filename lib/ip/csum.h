/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The Internet checksum (RFC 1071, incremental: RFC 1624). Sums are of 16-bit words in memory
 * order, so results are stored as they are, without a swap. Knows no packet but the pseudo header.
 *
 * An accumulator is any uint64_t below 2^63: pieces are added in any order, and csum_fold() at the
 * end. A piece that begins at an odd offset of the summed message goes through csum_shift().
 */
#ifndef ZF_IP_CSUM_H
#define ZF_IP_CSUM_H

#include "base/be.h"
#include "base/compiler.h"
#include "ip/wire.h"

/* @acc plus the bytes at @p; an odd last byte counts as if a zero followed. Any alignment; reads
 * nothing beyond. */
uint64_t csum_partial(const void *p, size_t len, uint64_t acc);

/* The same while copying to @dst, which must not overlap @src. */
uint64_t csum_copy(void *dst, const void *src, size_t len, uint64_t acc);

/* The processor decides by itself which vectors are used; tests want to see the narrow ones
 * everywhere. */
void csum_allow_avx2(bool allowed);

/* The 16-bit one's complement sum, not inverted: 0xffff over a received message whose checksum is
 * right. */
static ZF_ALWAYS_INLINE uint16_t
csum_fold(uint64_t acc)
{
	acc = (acc & 0xffffffff) + (acc >> 32);
	acc = (acc & 0xffff) + (acc >> 16 & 0xffff) + (acc >> 32);
	acc = (acc & 0xffff) + (acc >> 16);
	return (uint16_t)(acc + (acc >> 16));
}

/* What a checksum field must hold for the sum @acc, that field having been 0. */
static ZF_ALWAYS_INLINE be16_t
csum_finish(uint64_t acc)
{
	return (be16_t){(uint16_t)~csum_fold(acc)};
}

/* The same for UDP, where 0 means "none" and is sent as its other form (RFC 768). */
static ZF_ALWAYS_INLINE be16_t
csum_finish_udp(uint64_t acc)
{
	be16_t c = csum_finish(acc);

	return c.raw != 0 ? c : (be16_t){0xffff};
}

/* Sum over a message including its checksum field: is it right? */
static ZF_ALWAYS_INLINE bool
csum_ok(uint64_t acc)
{
	return csum_fold(acc) == 0xffff;
}

/* The sum of a piece as it counts when the piece begins at an odd offset. */
static ZF_ALWAYS_INLINE uint64_t
csum_shift(uint64_t piece)
{
	return __builtin_bswap16(csum_fold(piece));
}

/* Pseudo header of UDP and TCP; @len is that of the L4 header and payload. */
static ZF_ALWAYS_INLINE uint64_t
csum_pseudo(be32_t src, be32_t dst, uint8_t proto, uint16_t len)
{
	return (uint64_t)src.raw + dst.raw + be16_from(proto).raw + be16_from(len).raw;
}

/* An IPv4 header of @words 32-bit words; csum_finish() of it with the field 0, csum_ok() of it when
 * received. */
static ZF_ALWAYS_INLINE uint64_t
csum_ip4_hdr(const void *hdr, unsigned words)
{
	const uint8_t *p = hdr;
	uint64_t acc = 0;

	for (unsigned i = 0; i < words; i++) {
		uint32_t w;

		memcpy(&w, p + 4 * i, sizeof(w));
		acc += w;
	}
	return acc;
}

/* The checksum @csum after one covered 16-bit word changed (RFC 1624, equation 3). */
static inline be16_t
csum_update16(be16_t csum, be16_t was, be16_t is)
{
	return csum_finish((uint64_t)(uint16_t)~csum.raw + (uint16_t)~was.raw + is.raw);
}

/* The same for a 32-bit word at an even offset. */
static inline be16_t
csum_update32(be16_t csum, be32_t was, be32_t is)
{
	return csum_finish((uint64_t)(uint16_t)~csum.raw + (uint32_t)~was.raw + is.raw);
}

#endif
