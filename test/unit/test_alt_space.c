/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The space model of alternatives against one that keeps every buffer and every word, in random sequences.
 */
#include "unit.h"

#include "base/rng.h"
#include "stack/alt_space.h"

#define ALTS     17
#define BUFS_MAX 1024

/* Word by word: buffers are lists of words, taken when the next frame, or too little room, asks for one. */
struct ref_alt {
	uint32_t buf_left[BUFS_MAX]; /* words free in each buffer held; frames fill them in order */
	uint32_t n;
	uint32_t at;                 /* the one being filled */
};

struct ref {
	struct ref_alt alts[ALTS];
	uint32_t n, words, free_bufs;
};

static void
ref_init(struct ref *r, uint32_t n, uint32_t bytes, uint32_t buf_bytes)
{
	memset(r, 0, sizeof(*r));
	r->n = n;
	r->words = buf_bytes / 32;
	r->free_bufs = bytes / buf_bytes + 2 * n;
	for (uint32_t i = 0; i < n; i++) {
		r->alts[i].buf_left[r->alts[i].n++] = r->words;
		r->free_bufs--;
	}
}

static uint32_t
ref_room(const struct ref *r, const struct ref_alt *a)
{
	uint32_t words = r->free_bufs * r->words;

	for (uint32_t i = 0; i < a->n; i++)
		words += a->buf_left[i];
	return words;
}

static void
ref_more(struct ref *r, struct ref_alt *a)
{
	a->buf_left[a->n++] = r->words;
	r->free_bufs--;
}

static bool
ref_take(struct ref *r, uint32_t i, uint32_t bytes)
{
	struct ref_alt *a = &r->alts[i];
	uint32_t words = 1;

	for (uint32_t b = 0; b < bytes; b += 32)
		words++;
	if (words > ref_room(r, a))
		return false;
	for (; words > 0; words--) {
		while (a->at < a->n && a->buf_left[a->at] == 0)
			a->at++;
		if (a->at == a->n)
			ref_more(r, a);
		a->buf_left[a->at]--;
	}
	if (a->at + 1 == a->n && a->buf_left[a->at] < 7 && r->free_bufs > 0)
		ref_more(r, a);
	return true;
}

static void
ref_put(struct ref *r, uint32_t i)
{
	struct ref_alt *a = &r->alts[i];

	r->free_bufs += a->n - 1;
	memset(a, 0, sizeof(*a));
	a->buf_left[a->n++] = r->words;
}

static void
numbers_of_the_adapter(void)
{
	static const struct {
		uint32_t n, bytes, buf, free;
	} is[] = {
		{1, 40960, 512, 41952}, {2, 40960, 512, 42464}, {4, 40960, 512, 43488}, {8, 40960, 512, 45536},
		{17, 40960, 512, 50144}, {1, 0, 512, 992}, {1, 1, 512, 992}, {1, 1024, 1024, 3040},
		{17, INT32_MAX, 512, 2147492320u},
	};
	struct alt_space s;
	struct alt_held h;

	for (size_t i = 0; i < ZF_ARRAY_SIZE(is); i++) {
		space_init(&s, is[i].n, is[i].bytes, is[i].buf);
		space_hold(&s, &h);
		CU_ASSERT_EQUAL(space_free(&s, &h), is[i].free);
	}
}

static void
last_word_counts(void)
{
	struct alt_space s;
	struct alt_held h;

	space_init(&s, 1, 0, 512); /* 16 words held, 16 free */
	space_hold(&s, &h);
	CU_ASSERT_FALSE(space_take(&s, &h, 31 * 32 + 1));
	CU_ASSERT_EQUAL(space_free(&s, &h), 992);
	CU_ASSERT_TRUE(space_take(&s, &h, 8 * 32)); /* 7 left: enough */
	CU_ASSERT_EQUAL(h.bufs, 1);
	CU_ASSERT_TRUE(space_take(&s, &h, 0)); /* a frame of nothing takes its word: 6 are too few */
	CU_ASSERT_EQUAL(h.bufs, 2);
	CU_ASSERT_EQUAL(s.free_bufs, 0);
	CU_ASSERT_TRUE(space_take(&s, &h, 21 * 32));
	CU_ASSERT_EQUAL(space_free(&s, &h), 0);
	CU_ASSERT_FALSE(space_take(&s, &h, 0)); /* not even its word */
	CU_ASSERT_FALSE(space_take(&s, &h, UINT32_MAX));
	space_put(&s, &h);
	CU_ASSERT_EQUAL(space_free(&s, &h), 992);
	CU_ASSERT_EQUAL(s.free_bufs, 1);
}

static void
random_life(uint64_t seed)
{
	static struct ref r;
	struct alt_held h[ALTS];
	struct alt_space s;
	uint32_t n, buf, bytes;
	struct rng rng;

	rng_seed(&rng, seed);
	n = 1 + (uint32_t)rng_below(&rng, ALTS);
	buf = rng_below(&rng, 2) ? 512 : 1024;
	bytes = (uint32_t)rng_below(&rng, 65536);
	space_init(&s, n, bytes, buf);
	ref_init(&r, n, bytes, buf);
	for (uint32_t i = 0; i < n; i++)
		space_hold(&s, &h[i]);
	for (int step = 0; step < 400; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, n), what = (uint32_t)rng_below(&rng, 16);
		uint32_t len = (uint32_t)rng_below(&rng, what < 8 ? 200 : 1515);

		if (what == 0) {
			space_put(&s, &h[i]);
			ref_put(&r, i);
		} else {
			CU_ASSERT_EQUAL_FATAL(space_take(&s, &h[i], len), ref_take(&r, i, len));
		}
		CU_ASSERT_EQUAL_FATAL(s.free_bufs, r.free_bufs);
		for (uint32_t k = 0; k < n; k++) {
			uint32_t room = ref_room(&r, &r.alts[k]);

			CU_ASSERT_EQUAL_FATAL(h[k].bufs, r.alts[k].n);
			CU_ASSERT_EQUAL_FATAL(space_free(&s, &h[k]), room > 0 ? (room - 1) * 32 : 0);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		space_put(&s, &h[i]);
	CU_ASSERT_EQUAL(s.free_bufs, bytes / buf + n);
}

static void
random_sequences_agree(void)
{
	for (uint64_t seed = 1; seed <= 500; seed++)
		random_life(seed);
}

static const struct unit_test tests[] = {
	UNIT(numbers_of_the_adapter),
	UNIT(last_word_counts),
	UNIT(random_sequences_agree),
};

UNIT_MAIN("alt_space", tests)
