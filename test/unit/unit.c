/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See unit.h. Knows CUnit and nothing of the code under test.
 */
#include "unit.h"

#include <stdlib.h>

int unit_skipped;

void
unit_skip(const char *why)
{
	unit_skipped++;
	printf("  skipped: %s\n", why);
}

int
unit_main(const char *suite, const struct unit_test *tests, size_t n, int argc, char **argv)
{
	CU_pSuite s;
	unsigned failed;
	unsigned run;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	s = CU_add_suite(suite, NULL, NULL);
	if (s == NULL)
		return 2;
	for (size_t i = 0; i < n; i++) {
		if (argc > 1 && strstr(tests[i].name, argv[1]) == NULL)
			continue;
		if (CU_add_test(s, tests[i].name, tests[i].run) == NULL)
			return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	printf("%s: %u passed, %u failed, %d skipped\n", suite, run - failed - unit_skipped, failed,
	       unit_skipped);
	return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
