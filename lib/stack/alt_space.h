/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How much of an adapter's memory alternatives take, counted as an 8000 series adapter does. The adapter does not tell,
 * and loses what does not fit without a word, so it is counted here, in front of it; and on every other port too, so that
 * a program meets the same limits wherever it runs.
 *
 * Memory is words of 32 bytes in buffers. Each alternative always holds one buffer, and takes another one when fewer than
 * SPACE_SPARE words are left in its last. A frame takes its bytes, rounded up to words, and one word more. What an
 * alternative took comes back when it is empty again.
 *
 * Pure: numbers only.
 */
#ifndef ZF_STACK_ALT_SPACE_H
#define ZF_STACK_ALT_SPACE_H

#include "base/check.h"
#include "base/compiler.h"

#define SPACE_WORD  32u
#define SPACE_SPARE 7u
/* Of the 8000 series, and of ports without alternatives of their own. */
#define SPACE_BUF_BYTES 512u

/* What all alternatives of a stack share. */
struct alt_space {
	uint32_t buf_words;
	uint32_t free_bufs;
};

/* One alternative's part. */
struct alt_held {
	uint32_t bufs;
	uint32_t left; /* words free in them */
};

/* @count alternatives with @bytes between them, beside two buffers for each: one that it holds, one to share. */
static inline void
space_init(struct alt_space *s, uint32_t count, uint32_t bytes, uint32_t buf_bytes)
{
	s->buf_words = buf_bytes / SPACE_WORD;
	s->free_bufs = bytes / buf_bytes + count;
}

/* An alternative with nothing in it. */
static inline void
space_hold(const struct alt_space *s, struct alt_held *h)
{
	h->bufs = 1;
	h->left = s->buf_words;
}

static inline uint64_t
space_words(const struct alt_space *s, const struct alt_held *h)
{
	return h->left + (uint64_t)s->free_bufs * s->buf_words;
}

/* The longest frame that fits, in bytes. */
static inline uint32_t
space_free(const struct alt_space *s, const struct alt_held *h)
{
	uint64_t words = space_words(s, h);
	uint64_t bytes = words > 0 ? (words - 1) * SPACE_WORD : 0;

	return (uint32_t)ZF_MIN(bytes, (uint64_t)UINT32_MAX & ~(uint64_t)(SPACE_WORD - 1));
}

/* A frame of @bytes goes in: false if it does not fit. */
static inline bool
space_take(struct alt_space *s, struct alt_held *h, uint32_t bytes)
{
	uint64_t need = (uint64_t)bytes / SPACE_WORD + (bytes % SPACE_WORD != 0) + 1;

	if (need > space_words(s, h))
		return false;
	while (h->left < need || (h->left < need + SPACE_SPARE && s->free_bufs > 0)) {
		s->free_bufs--;
		h->bufs++;
		h->left += s->buf_words;
	}
	h->left -= (uint32_t)need;
	return true;
}

/* It is empty again. */
static inline void
space_put(struct alt_space *s, struct alt_held *h)
{
	ZF_ASSERT(h->bufs > 0);
	s->free_bufs += h->bufs - 1;
	space_hold(s, h);
}

#endif
