/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Alternatives. The adapter has a number of them, handed out to VIs in an order of its own, and memory for their frames:
 * in buffers, of which each alternative always holds one; a frame takes its length in words of 32 bytes and one word
 * more, and a new buffer is begun when fewer than 7 words are left in the current one. Nothing tells when it is too much.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softvi/priv.h"

#define WORD      32u
#define WORDS_MIN 7u

static uint32_t
buf_words(const struct softvi *a)
{
	return a->cfg.alt_buf_bytes / WORD;
}

static void
empty(struct efvi_vi *vi, struct softvi_alt *x)
{
	if (x->bufs > 1)
		vi->alt_bufs_free += x->bufs - 1;
	x->bufs = 1;
	x->words = buf_words(vi->a);
}

static void
drop_list(struct softvi_kept *k)
{
	while (k != NULL) {
		struct softvi_kept *next = k->next;

		free(k);
		k = next;
	}
}

/* A free one; not the first: whoever takes the adapter's number for the VI's shall be wrong from the start. */
static uint32_t
take_one(struct softvi *a)
{
	uint32_t n = ZF_MIN(a->cfg.vfifos, SOFTVI_VFIFOS), i;

	for (i = n; i > 0 && a->alts[i - 1].vi != NULL; i--)
		;
	return i - 1;
}

int
softvi_alt_alloc(struct efvi_vi *vi, int dh, uint32_t n, size_t bytes)
{
	struct softvi *a = vi->a;
	uint32_t free_alts = 0, bufs = (uint32_t)(bytes / ZF_MAX(a->cfg.alt_buf_bytes, 1u)) + 2 * n;

	(void)dh;
	if (a->cfg.fail[SOFTVI_ALT_ALLOC] != 0)
		return a->cfg.fail[SOFTVI_ALT_ALLOC];
	if (!(vi->flags & EFVI_TX_ALT) || n == 0 || n > EFVI_ALTS_MAX)
		return -EINVAL;
	if (!a->cfg.alts)
		return -EOPNOTSUPP;
	if (vi->n_alts > 0)
		return -EALREADY;
	for (uint32_t i = 0; i < ZF_MIN(a->cfg.vfifos, SOFTVI_VFIFOS); i++)
		free_alts += a->alts[i].vi == NULL;
	if (n > free_alts || bufs > a->cfg.alt_bufs - a->alt_bufs_used)
		return -EBUSY;
	for (uint32_t i = 0; i < n; i++) {
		struct softvi_alt *x = &a->alts[vi->alt_hw[i] = take_one(a)];

		*x = (struct softvi_alt){.vi = vi, .id = i, .bufs = 1, .words = buf_words(a)};
		x->kept_end = &x->kept;
		x->left_end = &x->left;
	}
	vi->n_alts = n;
	vi->alt_bufs = bufs;
	vi->alt_bufs_free = bufs - n;
	a->alt_bufs_used += bufs;
	return 0;
}

int
softvi_alt_free(struct efvi_vi *vi, int dh)
{
	(void)dh;
	for (uint32_t i = 0; i < vi->n_alts; i++) {
		struct softvi_alt *x = &vi->a->alts[vi->alt_hw[i]];

		drop_list(x->kept);
		drop_list(x->left);
		*x = (struct softvi_alt){0};
	}
	vi->a->alt_bufs_used -= vi->alt_bufs;
	vi->n_alts = vi->alt_bufs = 0;
	return 0;
}

/* Bytes of a frame of @len that there is memory for. */
static uint32_t
take_words(struct efvi_vi *vi, struct softvi_alt *x, uint32_t len)
{
	uint32_t want = (len + WORD - 1) / WORD + 1, got = 0;

	while (got < want) {
		uint32_t n;

		if (got == 0 ? x->words < WORDS_MIN : x->words == 0) {
			if (vi->alt_bufs_free == 0)
				break;
			vi->alt_bufs_free--;
			x->bufs++;
			x->words += buf_words(vi->a);
		}
		n = ZF_MIN(want - got, x->words);
		x->words -= n;
		got += n;
	}
	return got == want ? len : got <= 1 ? 0 : ZF_MIN(len, (got - 1) * WORD);
}

static void
leave(struct efvi_vi *vi, struct softvi_alt *x, struct softvi_kept *k)
{
	k->next = NULL;
	k->due = vi->polls + ZF_MAX(vi->a->cfg.alt_polls, 1u);
	*x->left_end = k;
	x->left_end = &k->next;
	if (x->state == ALT_GO) {
		vi->a->stats.alt_sent++;
		mem_tap_send(vi->a->port, k->bytes, k->len);
	} else {
		vi->a->stats.alt_dropped++;
	}
}

void
softvi_alt_keep(struct efvi_vi *vi, uint32_t alt, uint32_t id, const uint8_t *bytes, uint32_t len)
{
	struct softvi *a = vi->a;
	struct softvi_alt *x = &a->alts[vi->alt_hw[alt]];
	uint32_t fits = take_words(vi, x, len);
	struct softvi_kept *k = malloc(sizeof(*k) + len);

	a->stats.tx_alt++;
	a->stats.alt_lost += fits == 0;
	a->stats.alt_cut += fits > 0 && fits < len;
	if (k == NULL || fits == 0) { /* no event either */
		free(k);
		return;
	}
	*k = (struct softvi_kept){.id = id, .len = fits};
	memcpy(k->bytes, bytes, fits);
	if (x->state != ALT_STOP) {
		leave(vi, x, k);
		return;
	}
	*x->kept_end = k;
	x->kept_end = &k->next;
}

static int
turn(struct efvi_vi *vi, uint32_t alt, enum softvi_alt_state state)
{
	struct softvi_alt *x;
	struct softvi_kept *k;

	if (alt >= vi->n_alts) {
		softvi_fault(vi->a, "no such alternative on this VI");
		return -EINVAL;
	}
	x = &vi->a->alts[vi->alt_hw[alt]];
	if (x->left != NULL)
		softvi_fault(vi->a, "alternative told to change while frames of the last change are under way");
	if (state != ALT_STOP && x->state != ALT_STOP && x->state != state)
		softvi_fault(vi->a, "alternative told to go or discard without a stop in between");
	x->state = state;
	if (state == ALT_STOP)
		return 0;
	k = x->kept;
	x->kept = NULL;
	x->kept_end = &x->kept;
	while (k != NULL) {
		struct softvi_kept *next = k->next;

		leave(vi, x, k);
		k = next;
	}
	return 0;
}

static int
turn_locked(struct efvi_vi *vi, uint32_t alt, enum softvi_alt_state state)
{
	int rc;

	softvi_enter(vi);
	rc = turn(vi, alt, state);
	softvi_leave(vi);
	return rc;
}

int
softvi_alt_stop(struct efvi_vi *vi, uint32_t alt)
{
	return turn_locked(vi, alt, ALT_STOP);
}

int
softvi_alt_go(struct efvi_vi *vi, uint32_t alt)
{
	return turn_locked(vi, alt, ALT_GO);
}

int
softvi_alt_discard(struct efvi_vi *vi, uint32_t alt)
{
	return turn_locked(vi, alt, ALT_DISCARD);
}

/* One event for each frame that has left; memory is free with the last. */
void
softvi_alt_progress(struct efvi_vi *vi)
{
	for (uint32_t i = 0; i < vi->n_alts; i++) {
		struct softvi_alt *x = &vi->a->alts[vi->alt_hw[i]];

		while (x->left != NULL && x->left->due <= vi->polls) {
			struct softvi_kept *k = x->left;

			softvi_post(vi, &(struct efvi_event){.type = EFVI_EV_TX_ALT, .alt = (uint16_t)i, .id = k->id}, 1);
			x->left = k->next;
			free(k);
			if (x->left == NULL) {
				x->left_end = &x->left;
				if (x->kept == NULL)
					empty(vi, x);
			}
		}
	}
}
