/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the fuzzers share. Each is one LLVMFuzzerTestOneInput(); libFuzzer drives it where clang builds it with
 * -Dfuzzers=true, replay.c feeds it the corpus everywhere else.
 */
#ifndef ZF_TEST_FUZZ_H
#define ZF_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops where it hurts: the fuzzer keeps the input. */
#define FUZZ_CHECK(c)                                                                              \
	do {                                                                                       \
		if (!(c))                                                                          \
			check_failed(#c, __FILE__, __LINE__);                                      \
	} while (0)

#endif
