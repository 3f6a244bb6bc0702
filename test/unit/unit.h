/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The frame of every unit test program: a table of CUnit tests, one suite, one closing line that buildtools/test.sh
 * adds up. A program with a test of its own start-up may call unit_skip() instead of failing where the machine
 * cannot run it.
 */
#ifndef ZF_TEST_UNIT_H
#define ZF_TEST_UNIT_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

#define UNIT(fn)                                                                                   \
	{                                                                                          \
		#fn, fn                                                                            \
	}

extern int unit_skipped;

/* Runs the tests, or those whose names contain argv[1]; returns main()'s exit code. */
int unit_main(const char *suite, const struct unit_test *tests, size_t n, int argc, char **argv);

/* Counts the current test as skipped, with the reason on stdout. */
void unit_skip(const char *why);

#define UNIT_MAIN(suite, tests)                                                                    \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return unit_main(suite, tests, sizeof(tests) / sizeof((tests)[0]), argc, argv);    \
	}

#endif
