/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See csum.h. Short pieces: a chain of additions with carry, 8 bytes per instruction. From
 * VECTOR_MIN on: AVX2 or SSE2, chosen once. A vector sums 16-bit words as signed numbers, two at a
 * time: flipping the sign bit of an unsigned word and adding 0x8000 back (for all words at the end)
 * makes that exact.
 */
#include "ip/csum.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define PLAIN_C 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define PLAIN_C 1
#endif
#endif

#if defined(__x86_64__)
#define HAVE_VECTOR 1
#include <immintrin.h>
#else
#define HAVE_VECTOR 0
#endif

/* Below it the chain of additions wins: its 64 bytes take 9 instructions and no set-up. */
#define VECTOR_MIN 256
/* A 32-bit lane takes up to 2^16 per round in absolute value: emptied long before it could
 * overflow. */
#define VECTOR_ROUNDS 8192

static ZF_ALWAYS_INLINE uint64_t
load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static ZF_ALWAYS_INLINE uint64_t
add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* 64 bytes. */
static ZF_ALWAYS_INLINE uint64_t
sum_block(const uint8_t *p, uint64_t acc)
{
#if defined(__x86_64__) && !defined(PLAIN_C)
	__asm__("addq 0(%1), %0\n\t"
		"adcq 8(%1), %0\n\t"
		"adcq 16(%1), %0\n\t"
		"adcq 24(%1), %0\n\t"
		"adcq 32(%1), %0\n\t"
		"adcq 40(%1), %0\n\t"
		"adcq 48(%1), %0\n\t"
		"adcq 56(%1), %0\n\t"
		"adcq $0, %0"
		: "+r"(acc)
		: "r"(p), "m"(*(const uint8_t(*)[64])p)
		: "cc");
#else
	for (int i = 0; i < 64; i += 8)
		acc = add_carry(acc, load64(p + i));
#endif
	return acc;
}

static ZF_ALWAYS_INLINE uint64_t
sum_half_block(const uint8_t *p, uint64_t acc)
{
#if defined(__x86_64__) && !defined(PLAIN_C)
	__asm__("addq 0(%1), %0\n\t"
		"adcq 8(%1), %0\n\t"
		"adcq 16(%1), %0\n\t"
		"adcq 24(%1), %0\n\t"
		"adcq $0, %0"
		: "+r"(acc)
		: "r"(p), "m"(*(const uint8_t(*)[32])p)
		: "cc");
#else
	for (int i = 0; i < 32; i += 8)
		acc = add_carry(acc, load64(p + i));
#endif
	return acc;
}

/* 1 to 7 bytes, each counting for its place from an even address on. */
static ZF_ALWAYS_INLINE uint64_t
load_tail(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t v32;
	uint16_t v16;

	if (len & 4) {
		memcpy(&v32, p, 4);
		sum = v32;
		p += 4;
	}
	if (len & 2) {
		memcpy(&v16, p, 2);
		sum += v16;
		p += 2;
	}
	if (len & 1)
		sum += __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? *p : *p << 8;
	return sum;
}

static ZF_ALWAYS_INLINE uint64_t
sum_short(const uint8_t *p, size_t len)
{
	const uint8_t *begin = p;
	uint64_t acc = 0;

	for (; len >= 64; len -= 64, p += 64)
		acc = sum_block(p, acc);
	if (len & 32) {
		acc = sum_half_block(p, acc);
		p += 32;
	}
	for (len &= 31; len >= 8; len -= 8, p += 8)
		acc = add_carry(acc, load64(p));
	if (len == 0)
		return acc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	/* The last whole word again, without the bytes already summed: one load instead of three
	 * tests. */
	if (p != begin)
		return add_carry(acc, load64(p + len - 8) >> (64 - 8 * len));
#endif
	(void)begin;
	return add_carry(acc, load_tail(p, len));
}

#if HAVE_VECTOR

/* Each takes a multiple of 64 bytes, copies them when @dst is set, and returns their plain sum. */
typedef uint64_t (*sum_vector_fn)(uint8_t *dst, const uint8_t *p, size_t len);

static ZF_ALWAYS_INLINE uint64_t
sum_sse2(uint8_t *dst, const uint8_t *p, size_t len)
{
	const __m128i flip = _mm_set1_epi16((short)0x8000);
	const __m128i one = _mm_set1_epi16(1);
	uint64_t words = len / 2;
	int64_t total = 0;

	while (len != 0) {
		size_t part = ZF_MIN(len, (size_t)VECTOR_ROUNDS * 64);
		__m128i a = _mm_setzero_si128();
		__m128i b = _mm_setzero_si128();
		int32_t lane[4];

		len -= part;
		for (; part != 0; part -= 64, p += 64) {
			__m128i v0 = _mm_loadu_si128((const void *)p);
			__m128i v1 = _mm_loadu_si128((const void *)(p + 16));
			__m128i v2 = _mm_loadu_si128((const void *)(p + 32));
			__m128i v3 = _mm_loadu_si128((const void *)(p + 48));

			if (dst != NULL) {
				_mm_storeu_si128((void *)dst, v0);
				_mm_storeu_si128((void *)(dst + 16), v1);
				_mm_storeu_si128((void *)(dst + 32), v2);
				_mm_storeu_si128((void *)(dst + 48), v3);
				dst += 64;
			}
			a = _mm_add_epi32(a, _mm_madd_epi16(_mm_xor_si128(v0, flip), one));
			b = _mm_add_epi32(b, _mm_madd_epi16(_mm_xor_si128(v1, flip), one));
			a = _mm_add_epi32(a, _mm_madd_epi16(_mm_xor_si128(v2, flip), one));
			b = _mm_add_epi32(b, _mm_madd_epi16(_mm_xor_si128(v3, flip), one));
		}
		_mm_storeu_si128((void *)lane, a);
		total += (int64_t)lane[0] + lane[1] + lane[2] + lane[3];
		_mm_storeu_si128((void *)lane, b);
		total += (int64_t)lane[0] + lane[1] + lane[2] + lane[3];
	}
	return (uint64_t)(total + (int64_t)(words * 0x8000));
}

__attribute__((target("avx2"))) static ZF_ALWAYS_INLINE uint64_t
sum_avx2(uint8_t *dst, const uint8_t *p, size_t len)
{
	const __m256i flip = _mm256_set1_epi16((short)0x8000);
	const __m256i one = _mm256_set1_epi16(1);
	uint64_t words = len / 2;
	int64_t total = 0;

	while (len != 0) {
		size_t part = ZF_MIN(len, (size_t)VECTOR_ROUNDS * 64);
		__m256i a = _mm256_setzero_si256();
		__m256i b = _mm256_setzero_si256();
		int32_t lane[8];

		len -= part;
		for (; part != 0; part -= 64, p += 64) {
			__m256i v0 = _mm256_loadu_si256((const void *)p);
			__m256i v1 = _mm256_loadu_si256((const void *)(p + 32));

			if (dst != NULL) {
				_mm256_storeu_si256((void *)dst, v0);
				_mm256_storeu_si256((void *)(dst + 32), v1);
				dst += 64;
			}
			a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_xor_si256(v0, flip), one));
			b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_xor_si256(v1, flip), one));
		}
		_mm256_storeu_si256((void *)lane, a);
		for (int i = 0; i < 8; i++)
			total += lane[i];
		_mm256_storeu_si256((void *)lane, b);
		for (int i = 0; i < 8; i++)
			total += lane[i];
	}
	return (uint64_t)(total + (int64_t)(words * 0x8000));
}

/* Four bodies of two sources, so that the loop that only sums tests no pointer. */
static uint64_t
sum_only_sse2(uint8_t *dst ZF_UNUSED, const uint8_t *p, size_t len)
{
	return sum_sse2(NULL, p, len);
}

static uint64_t
sum_copy_sse2(uint8_t *dst, const uint8_t *p, size_t len)
{
	return sum_sse2(dst, p, len);
}

__attribute__((target("avx2"))) static uint64_t
sum_only_avx2(uint8_t *dst ZF_UNUSED, const uint8_t *p, size_t len)
{
	return sum_avx2(NULL, p, len);
}

__attribute__((target("avx2"))) static uint64_t
sum_copy_avx2(uint8_t *dst, const uint8_t *p, size_t len)
{
	return sum_avx2(dst, p, len);
}

static uint64_t choose_only(uint8_t *dst, const uint8_t *p, size_t len);
static uint64_t choose_copy(uint8_t *dst, const uint8_t *p, size_t len);

/* Each begins as its chooser, which replaces itself at the first call. Threads may race: they write
 * the same. */
static sum_vector_fn vector_only = choose_only;
static sum_vector_fn vector_copy = choose_copy;

static void
choose(bool avx2)
{
	__atomic_store_n(&vector_only, avx2 ? sum_only_avx2 : sum_only_sse2, __ATOMIC_RELAXED);
	__atomic_store_n(&vector_copy, avx2 ? sum_copy_avx2 : sum_copy_sse2, __ATOMIC_RELAXED);
}

static ZF_COLD uint64_t
choose_only(uint8_t *dst, const uint8_t *p, size_t len)
{
	choose(__builtin_cpu_supports("avx2") != 0);
	return vector_only(dst, p, len);
}

static ZF_COLD uint64_t
choose_copy(uint8_t *dst, const uint8_t *p, size_t len)
{
	choose(__builtin_cpu_supports("avx2") != 0);
	return vector_copy(dst, p, len);
}

void
csum_allow_avx2(bool allowed)
{
	choose(allowed && __builtin_cpu_supports("avx2") != 0);
}

#else

void
csum_allow_avx2(bool allowed ZF_UNUSED)
{
}

#endif /* HAVE_VECTOR */

/* Small enough that @acc stays far from 2^64 whatever is added next. */
static ZF_ALWAYS_INLINE uint64_t
reduce(uint64_t sum, uint64_t acc)
{
	return acc + (sum & 0xffffffff) + (sum >> 32);
}

#if HAVE_VECTOR
/* Apart, so that the short path needs no stack frame. */
static ZF_NOINLINE uint64_t
sum_long(const uint8_t *p, size_t len, uint64_t acc)
{
	sum_vector_fn fn = __atomic_load_n(&vector_only, __ATOMIC_RELAXED);
	size_t body = len & ~(size_t)63;

	acc = reduce(fn(NULL, p, body), acc);
	return reduce(sum_short(p + body, len - body), acc);
}
#endif

uint64_t
csum_partial(const void *p, size_t len, uint64_t acc)
{
#if HAVE_VECTOR
	if (len >= VECTOR_MIN)
		return sum_long(p, len, acc);
#endif
	return reduce(sum_short(p, len), acc);
}

uint64_t
csum_copy(void *to, const void *from, size_t len, uint64_t acc)
{
	const uint8_t *p = from;
	uint8_t *dst = to;

#if HAVE_VECTOR
	if (len >= VECTOR_MIN) {
		size_t body = len & ~(size_t)63;
		sum_vector_fn fn = __atomic_load_n(&vector_copy, __ATOMIC_RELAXED);

		acc = reduce(fn(dst, p, body), acc);
		p += body;
		dst += body;
		len -= body;
	}
#endif
	if (len == 0)
		return acc;
	memcpy(dst, p, len);
	return reduce(sum_short(p, len), acc);
}
