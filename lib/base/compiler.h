/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the compiler can be told: branch weight, placement, compile-time facts. Nothing here allocates, logs or
 * knows of packets.
 */
#ifndef ZF_BASE_COMPILER_H
#define ZF_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define zf_likely(x)   __builtin_expect(!!(x), 1)
#define zf_unlikely(x) __builtin_expect(!!(x), 0)

#define ZF_CACHE_LINE    64
#define ZF_CACHE_ALIGNED __attribute__((aligned(ZF_CACHE_LINE)))
#define ZF_COLD          __attribute__((cold, noinline))
#define ZF_NOINLINE      __attribute__((noinline))
#define ZF_ALWAYS_INLINE inline __attribute__((always_inline))
#define ZF_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define ZF_UNUSED        __attribute__((unused))
#define ZF_PACKED        __attribute__((packed))
/* The symbol is part of the API; everything else is hidden (-fvisibility=hidden and the version map). */
#define ZF_EXPORT __attribute__((visibility("default")))

#define ZF_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ZF_STATIC_ASSERT(c, why) _Static_assert(c, why)

#define zf_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define ZF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define ZF_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Orders the compiler only: enough between one thread and its own signal handler, or beside membarrier(2). */
#define zf_compiler_barrier() __asm__ volatile("" ::: "memory")

static inline void
zf_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	zf_compiler_barrier();
#endif
}

static inline bool
zf_is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* The next power of two that is not below @v; 1 for 0. */
static inline uint64_t
zf_roundup_pow2(uint64_t v)
{
	return v <= 1 ? 1 : 1ull << (64 - __builtin_clzll(v - 1));
}

static inline uint64_t
zf_align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

#endif
