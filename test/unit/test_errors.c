/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Documented errors that need a process of their own, another user, or a limit reached: each provoked once. doc/errors.md
 * names the tests of the others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <zf/zf.h>

#include "unit.h"

/* Runs @fn in a child, whose EAL is its own; returns what it returned (0..-255), or 1 when it did not. */
static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(-fn() & 0xff);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return -WEXITSTATUS(status);
}

static int
init_with_bad_eal_args(void)
{
	setenv("ZF_EAL_ARGS", "--no-such-argument", 1);
	return zf_init();
}

static int
init_with_too_much_memory(void)
{
	setenv("ZF_EAL_ARGS", "-m 1000000000", 1);
	return zf_init();
}

static int
init_with_too_many_args(void)
{
	static char many[512];

	for (int i = 0; i < 100; i++)
		strcat(many, "-v ");
	setenv("ZF_EAL_ARGS", many, 1);
	return zf_init();
}

/* An application that starts EAL by itself, but too late. The line is ours, in our log; EAL's own is on stderr. */
static int
eal_after_zf(const char *log)
{
	char attrs[64], line[1024], *argv[] = {"late", NULL};
	int named = 0, rc;
	FILE *f;

	snprintf(attrs, sizeof(attrs), "log_file=%s", log);
	setenv("ZF_ATTR", attrs, 1);
	if (zf_init() != 0)
		return 2;
	rc = rte_eal_init(1, argv);
	if (rc != -1 || rte_errno != EALREADY)
		return 3;
	f = fopen(log, "r");
	if (f == NULL)
		return 4;
	while (fgets(line, sizeof(line), f) != NULL)
		named += strstr(line, "rte_eal_init() before zf_init()") != NULL && strstr(line, "ZF_EAL_ARGS") != NULL;
	fclose(f);
	return named == 1 ? 0 : 5;
}

static void
eal_after_zf_init_is_told_what_to_do(void)
{
	char log[] = "/tmp/zf_eal_late.XXXXXX";
	int fd = mkstemp(log), status = 0;
	pid_t pid;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	pid = fork();
	if (pid == 0)
		_exit(eal_after_zf(log));
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	unlink(log);
}

static void
init_tells_why_eal_did_not_start(void)
{
	CU_ASSERT_EQUAL(in_child(init_with_bad_eal_args), -ENOENT);
	CU_ASSERT_EQUAL(in_child(init_with_too_many_args), -ENOENT);
	CU_ASSERT_EQUAL(in_child(init_with_too_much_memory), -ENOMEM);
}

static struct zf_attr *
attrs(const char *interface, const char *ipv4)
{
	struct zf_attr *a = NULL;

	if (zf_attr_alloc(&a) < 0)
		return NULL;
	if (zf_attr_set_str(a, "interface", interface) < 0 || zf_attr_set_str(a, "ipv4", ipv4) < 0 ||
	    zf_attr_set_int(a, "n_bufs", 64) < 0) {
		zf_attr_free(a);
		return NULL;
	}
	return a;
}

static int
alloc_on(const char *interface)
{
	struct zf_attr *a = NULL;
	struct zf_stack *st = NULL;
	int rc;

	/* Whoever runs the tests: as nobody, if that takes rights away. */
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
		return -1;
	if (zf_init() < 0)
		return -2;
	a = attrs(interface, "192.0.2.1/24");
	if (a == NULL)
		return -3;
	rc = zf_stack_alloc(a, &st);
	zf_attr_free(a);
	return rc;
}

static char locked_wire[64];

static int
alloc_in_locked_folder(void)
{
	return alloc_on(locked_wire);
}

static void
stack_without_access(void)
{
	char dir[] = "/tmp/zf.errors.XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL(chmod(dir, geteuid() == 0 ? 0700 : 0), 0);
	snprintf(locked_wire, sizeof(locked_wire), "wire:%s/w", dir);
	CU_ASSERT_EQUAL(in_child(alloc_in_locked_folder), -EACCES);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* A queue has room for 64 stacks. */
static void
stack_beyond_what_a_port_takes(void)
{
	struct zf_stack *st[65] = {NULL};
	struct zf_attr *a;
	int n, rc = 0;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	a = attrs("wire:many/a", "10.0.0.1/24");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	for (n = 0; n < 65 && rc == 0; n++)
		rc = zf_stack_alloc(a, &st[n]);
	CU_ASSERT_EQUAL(n, 65);
	CU_ASSERT_EQUAL(rc, -EBUSY);
	for (n = 0; n < 64; n++)
		CU_ASSERT_EQUAL(zf_stack_free(st[n]), 0);
	zf_attr_free(a);
}

static void
bindings_beyond_the_table(void)
{
	struct sockaddr_in l = {.sin_family = AF_INET};
	struct zf_stack *st;
	struct zfur *ur;
	struct zf_attr *a;
	int n, rc = 0;

	CU_ASSERT_EQUAL_FATAL(zf_init(), 0);
	a = attrs("wire:binds/a", "10.0.0.1/24");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL(zf_attr_set_int(a, "max_udp_rx_endpoints", 1), 0);
	CU_ASSERT_EQUAL_FATAL(zf_stack_alloc(a, &st), 0);
	CU_ASSERT_EQUAL_FATAL(zfur_alloc(&ur, st, a), 0);
	inet_pton(AF_INET, "10.0.0.1", &l.sin_addr);
	for (n = 0; n < 1000 && rc == 0; n++) {
		l.sin_port = 0;
		rc = zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0);
	}
	CU_ASSERT_EQUAL(rc, -ENOMEM);
	CU_ASSERT_EQUAL(n, 17);
	/* It recovers. */
	CU_ASSERT_EQUAL(zfur_addr_unbind(ur, NULL, 0, NULL, 0, 0), 0);
	l.sin_port = 0;
	CU_ASSERT_EQUAL(zfur_addr_bind(ur, (struct sockaddr *)&l, sizeof(l), NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(zf_stack_free(st), 0);
	zf_attr_free(a);
}

static void
formatted_attribute_beyond_its_range(void)
{
	struct zf_attr *a;

	CU_ASSERT_EQUAL_FATAL(zf_attr_alloc(&a), 0);
	CU_ASSERT_EQUAL(zf_attr_set_from_fmt(a, "n_bufs", "%lld", 1ll << 40), -EOVERFLOW);
	zf_attr_free(a);
}

/* The children first: this process must not have an EAL yet. */
static const struct unit_test tests[] = {
	UNIT(eal_after_zf_init_is_told_what_to_do),
	UNIT(init_tells_why_eal_did_not_start),
	UNIT(stack_without_access),
	UNIT(stack_beyond_what_a_port_takes),
	UNIT(bindings_beyond_the_table),
	UNIT(formatted_attribute_beyond_its_range),
};

UNIT_MAIN("errors", tests)
