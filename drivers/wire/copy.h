/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two copies for small frames, inlined into the burst functions: a call of memcpy costs more than the frame. Written
 * in blocks of 16 bytes, the width that every machine of the build's baseline has.
 */
#ifndef ZF_WIRE_COPY_H
#define ZF_WIRE_COPY_H

#include "base/compiler.h"

typedef long long copy_block __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t copy_u64 __attribute__((aligned(1), may_alias));
typedef uint32_t copy_u32 __attribute__((aligned(1), may_alias));
typedef uint16_t copy_u16 __attribute__((aligned(1), may_alias));

static ZF_ALWAYS_INLINE void
copy_16(uint8_t *dst, const uint8_t *src)
{
	*(copy_block *)dst = *(const copy_block *)src;
}

/* All loads before all stores: the compiler need not think of overlap, and the loads go out together. */
static ZF_ALWAYS_INLINE void
copy_64(uint8_t *dst, const uint8_t *src)
{
	copy_block a = *(const copy_block *)src, b = *(const copy_block *)(src + 16);
	copy_block c = *(const copy_block *)(src + 32), d = *(const copy_block *)(src + 48);

	*(copy_block *)dst = a;
	*(copy_block *)(dst + 16) = b;
	*(copy_block *)(dst + 32) = c;
	*(copy_block *)(dst + 48) = d;
}

/* At least @len bytes, and never beyond the next multiple of 64 (64 for none): both sides must have that much. */
static ZF_ALWAYS_INLINE void
copy_over(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	copy_64(dst, src);
	for (uint32_t at = 64; at < len; at += 64)
		copy_64(dst + at, src + at);
}

/* The same for at most 128, without a loop and its registers. */
static ZF_ALWAYS_INLINE void
copy_over_128(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	copy_64(dst, src);
	if (len > 64)
		copy_64(dst + 64, src + 64);
}

/* 0 to 15. */
static ZF_ALWAYS_INLINE void
copy_below_16(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len >= 8) {
		uint64_t a = *(const copy_u64 *)src, b = *(const copy_u64 *)(src + len - 8);

		*(copy_u64 *)dst = a;
		*(copy_u64 *)(dst + len - 8) = b;
	} else if (len >= 4) {
		uint32_t a = *(const copy_u32 *)src, b = *(const copy_u32 *)(src + len - 4);

		*(copy_u32 *)dst = a;
		*(copy_u32 *)(dst + len - 4) = b;
	} else if (len >= 2) {
		uint16_t a = *(const copy_u16 *)src, b = *(const copy_u16 *)(src + len - 2);

		*(copy_u16 *)dst = a;
		*(copy_u16 *)(dst + len - 2) = b;
	} else if (len == 1) {
		*dst = *src;
	}
}

/* The last @len bytes, 1 to 64, of at least 16: blocks that overlap, the last of which may reach back. */
static ZF_ALWAYS_INLINE void
copy_tail(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len > 16) {
		copy_16(dst, src);
		if (len > 32) {
			copy_16(dst + 16, src + 16);
			copy_16(dst + len - 32, src + len - 32);
		}
	}
	copy_16(dst + len - 16, src + len - 16);
}

/* Exactly @len bytes, at most 64. */
static ZF_ALWAYS_INLINE void
copy_exact_64(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len >= 16)
		copy_tail(dst, src, len);
	else
		copy_below_16(dst, src, len);
}

/* Exactly @len bytes. */
static ZF_ALWAYS_INLINE void
copy_exact(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (zf_unlikely(len < 16)) {
		copy_below_16(dst, src, len);
		return;
	}
	for (; len > 64; len -= 64, src += 64, dst += 64)
		copy_64(dst, src);
	copy_tail(dst, src, len);
}

#endif
