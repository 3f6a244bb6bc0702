/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SipHash-2-4: for what a peer sees and must not predict (initial sequence numbers, cookies, port
 * choice, timestamp offsets). Tables use hash.h, which is several times cheaper.
 */
#ifndef ZF_BASE_SIPHASH_H
#define ZF_BASE_SIPHASH_H

#include "base/compiler.h"

struct siphash_key {
	uint64_t k[2]; /* the 16 key bytes, each half read as a little-endian number */
};

uint64_t siphash(const void *data, size_t len, const struct siphash_key *key);
/* The same of 15 bytes, given as two little-endian numbers: the topmost byte of @second is 0. */
uint64_t siphash_15(uint64_t first, uint64_t second, const struct siphash_key *key);

#endif
