/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See siphash.h. Aumasson and Bernstein's SipHash with 2 rounds per word and 4 at the end.
 */
#include "base/siphash.h"

#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static ZF_ALWAYS_INLINE uint64_t
rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static ZF_ALWAYS_INLINE void
sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static ZF_ALWAYS_INLINE void
sip_word(struct state *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static ZF_ALWAYS_INLINE uint64_t
load_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static ZF_ALWAYS_INLINE struct state
sip_begin(const struct siphash_key *key)
{
	return (struct state){
		.v0 = key->k[0] ^ 0x736f6d6570736575,
		.v1 = key->k[1] ^ 0x646f72616e646f6d,
		.v2 = key->k[0] ^ 0x6c7967656e657261,
		.v3 = key->k[1] ^ 0x7465646279746573,
	};
}

static ZF_ALWAYS_INLINE uint64_t
sip_end(struct state *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t
siphash_15(uint64_t first, uint64_t second, const struct siphash_key *key)
{
	struct state s = sip_begin(key);

	sip_word(&s, first);
	sip_word(&s, second | 15ull << 56);
	return sip_end(&s);
}

uint64_t
siphash(const void *data, size_t len, const struct siphash_key *key)
{
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;
	struct state s = sip_begin(key);

	for (; len >= 8; len -= 8, p += 8)
		sip_word(&s, load_le64(p));
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	sip_word(&s, last);
	return sip_end(&s);
}
