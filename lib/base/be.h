/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Big-endian integers as types of their own, so that the compiler refuses to mix wire order and host order.
 */
#ifndef ZF_BASE_BE_H
#define ZF_BASE_BE_H

#include "compiler.h"

typedef struct {
	uint16_t raw;
} be16_t;

typedef struct {
	uint32_t raw;
} be32_t;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BE16_C(v) ((be16_t){__builtin_bswap16(v)})
#define BE32_C(v) ((be32_t){__builtin_bswap32(v)})
#else
#define BE16_C(v) ((be16_t){(v)})
#define BE32_C(v) ((be32_t){(v)})
#endif

static inline be16_t
be16_from(uint16_t v)
{
	return BE16_C(v);
}

static inline be32_t
be32_from(uint32_t v)
{
	return BE32_C(v);
}

static inline uint16_t
be16_host(be16_t v)
{
	return BE16_C(v.raw).raw;
}

static inline uint32_t
be32_host(be32_t v)
{
	return BE32_C(v.raw).raw;
}

static inline bool
be16_eq(be16_t a, be16_t b)
{
	return a.raw == b.raw;
}

static inline bool
be32_eq(be32_t a, be32_t b)
{
	return a.raw == b.raw;
}

static inline bool
be16_is_zero(be16_t a)
{
	return a.raw == 0;
}

static inline bool
be32_is_zero(be32_t a)
{
	return a.raw == 0;
}

#endif
