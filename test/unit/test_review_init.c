/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An EAL that does not start is not taken for one that runs. A program of its own, as EAL starts once a process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <zf/zf.h>

#include "unit.h"

#if defined(__SANITIZE_ADDRESS__)
/* EAL keeps a copy of its arguments. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:librte_eal";
}
#endif

static int
lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void
eal_that_does_not_start(void)
{
	int fd;

	setenv("ZF_EAL_ARGS", "--no-such-argument", 1);
	setenv("ZF_ATTR", "log_file=/dev/null", 1);
	CU_ASSERT_EQUAL(zf_init(), -ENOENT);
	fd = lowest_free_fd();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(zf_init(), -ENOENT);
	CU_ASSERT_EQUAL(lowest_free_fd(), fd);
	unsetenv("ZF_ATTR");
	unsetenv("ZF_EAL_ARGS");
	/* EAL remembers the arguments that it refused: the process has to be started again. */
	CU_ASSERT_EQUAL(zf_init(), -ENOENT);
	CU_ASSERT_EQUAL(zf_deinit(), 0);
}

static const struct unit_test tests[] = {
	UNIT(eal_that_does_not_start),
};

UNIT_MAIN("review_init", tests)
