/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bringing EAL up for applications that know nothing of it, so that they cannot tell: affinity, signal mask, getopt
 * state and descriptors of the caller stay as they were. An EAL that runs already is used as it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "stack/stack.h"

#define EAL_ARGS_MAX  64
#define EAL_TEXT_MAX  4096
#define EAL_FD_MAX    1024
#define EAL_MEMORY_MB "1024" /* mapped, touched only as it is used */
/* Free huge pages from which on they are used: several default stacks fit. */
#define EAL_HUGE_PAGES_MIN 256

static bool eal_ours;
/* Our own attempt failed: EAL has counted its lcores all the same. */
static bool eal_failed;

static bool
eal_is_up(void)
{
	/* EAL counts its lcores as it starts; before that there are none. */
	return rte_lcore_count() > 0 && !eal_failed;
}

static long
free_huge_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	long n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* "0@(0,2,5)": the one lcore may run wherever the caller may, and EAL starts no worker. */
static void
lcores_arg(const cpu_set_t *set, char *out, size_t len)
{
	int n = snprintf(out, len, "0@(");
	const char *sep = "";

	for (int cpu = 0; cpu < CPU_SETSIZE && n > 0 && (size_t)n + 8 < len; cpu++) {
		if (!CPU_ISSET(cpu, set))
			continue;
		n += snprintf(out + n, len - (size_t)n, "%s%d", sep, cpu);
		sep = ",";
	}
	snprintf(out + n, len - (size_t)n, ")");
}

/* Words of ZF_EAL_ARGS, split in place in @text. */
static int
extra_args(char *text, char **argv, int argc)
{
	char *save = NULL;

	for (char *w = strtok_r(text, " \t\n", &save); w != NULL; w = strtok_r(NULL, " \t\n", &save)) {
		if (argc == EAL_ARGS_MAX - 1)
			return -1;
		argv[argc++] = w;
	}
	return argc;
}

/* Descriptors that are open now, as a bitmap of the low ones. */
static void
list_fds(uint8_t open_fds[EAL_FD_MAX / 8])
{
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");

	memset(open_fds, 0, EAL_FD_MAX / 8);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		long fd = strtol(e->d_name, NULL, 10);

		if (e->d_name[0] != '.' && fd >= 0 && fd < EAL_FD_MAX && fd != dirfd(d))
			open_fds[fd / 8] |= (uint8_t)(1u << (fd % 8));
	}
	closedir(d);
}

/* EAL leaves some of its descriptors open across exec: no child of the application should see them. */
static void
close_new_fds_on_exec(const uint8_t before[EAL_FD_MAX / 8])
{
	uint8_t after[EAL_FD_MAX / 8];

	list_fds(after);
	for (int fd = 0; fd < EAL_FD_MAX; fd++)
		if ((after[fd / 8] & ~before[fd / 8]) >> (fd % 8) & 1)
			(void)fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC);
}

/* What EAL says goes on to where it went, @cookie. An application that calls rte_eal_init() after zf_init() learns from EAL
 * only that there was an initialization: which one, and what to do, is known here.
 */
static ssize_t
log_from_eal(void *cookie, const char *buf, size_t size)
{
	static const char again[] = "already called initialization";

	if (memmem(buf, size, again, sizeof(again) - 1) != NULL)
		zf_err(NULL, LC_STACK,
		       "rte_eal_init() fails because zf_init() has started EAL: call rte_eal_init() before zf_init(), or "
		       "leave it out and put its arguments into ZF_EAL_ARGS");
	return (ssize_t)fwrite(buf, 1, size, cookie);
}

/* Only where EAL is ours, and has not been told by the application where to log to. */
static void
listen_to_eal(void)
{
	cookie_io_functions_t io = {.write = log_from_eal};
	FILE *was = rte_log_get_stream(), *f;

	f = was != NULL ? fopencookie(was, "w", io) : NULL;
	if (f != NULL)
		(void)rte_openlog_stream(f);
}

static int
start_quietly(int argc, char **argv, const cpu_set_t *affinity)
{
	uint8_t fds[EAL_FD_MAX / 8];
	int opt = optind, err = opterr, pos = optopt;
	char *arg = optarg;
	sigset_t all, old;
	bool own_dir;
	int rc;

	/* Where root may not write to /var/run, as in a user namespace, EAL would complain on stderr. */
	own_dir = geteuid() == 0 && getenv("RUNTIME_DIRECTORY") == NULL && access("/var/run", W_OK) < 0;
	if (own_dir)
		(void)setenv("RUNTIME_DIRECTORY", "/tmp", 1);
	list_fds(fds);
	sigfillset(&all);
	/* EAL's threads inherit this mask: the application's signals stay with its own threads. */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	optind = 1;
	rc = rte_eal_init(argc, argv);
	optind = opt;
	opterr = err;
	optopt = pos;
	optarg = arg;
	if (own_dir)
		(void)unsetenv("RUNTIME_DIRECTORY");
	(void)sched_setaffinity(0, sizeof(*affinity), affinity);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close_new_fds_on_exec(fds);
	return rc;
}

int
eal_start(void)
{
	static char lcores[EAL_TEXT_MAX], extra[EAL_TEXT_MAX];
	char *argv[EAL_ARGS_MAX] = {"zf"};
	const char *env = getenv("ZF_EAL_ARGS");
	cpu_set_t affinity;
	int argc = 1, rc;

	if (eal_ours || eal_is_up())
		return 0;
	if (sched_getaffinity(0, sizeof(affinity), &affinity) < 0)
		CPU_ZERO(&affinity);
	lcores_arg(&affinity, lcores, sizeof(lcores));
	argv[argc++] = (char *)"--lcores";
	argv[argc++] = lcores;
	argv[argc++] = (char *)"--log-level=error";
	argv[argc++] = (char *)"--no-telemetry";
	/* Allows an adapter that is not there: the bus is scanned, nothing is probed, and one that a stack names can be
	 * probed later (--no-pci would forbid that).
	 */
	argv[argc++] = (char *)"-a";
	argv[argc++] = (char *)"ffff:ff:1f.7";
	if (free_huge_pages() >= EAL_HUGE_PAGES_MIN) {
		argv[argc++] = (char *)"--in-memory";
	} else {
		argv[argc++] = (char *)"--no-huge";
		argv[argc++] = (char *)"--no-shconf";
		argv[argc++] = (char *)"-m";
		argv[argc++] = (char *)EAL_MEMORY_MB;
	}
	if (env != NULL) {
		if (strlen(env) >= sizeof(extra)) {
			zf_err(NULL, LC_STACK, "ZF_EAL_ARGS is longer than %d characters", EAL_TEXT_MAX - 1);
			return -ENOENT;
		}
		memcpy(extra, env, strlen(env) + 1);
		argc = extra_args(extra, argv, argc);
		if (argc < 0) {
			zf_err(NULL, LC_STACK, "ZF_EAL_ARGS has more than %d words", EAL_ARGS_MAX);
			return -ENOENT;
		}
	}
	rc = start_quietly(argc, argv, &affinity);
	if (rc < 0 && rte_errno == EALREADY) /* the application has started it after we failed */
		return 0;
	eal_failed = rc < 0;
	if (rc < 0) {
		zf_err(NULL, LC_STACK,
		       "DPDK's EAL did not start (%s): run with ZF_EAL_ARGS=\"--log-level=debug\" to see why%s%s",
		       rte_strerror(rte_errno), env != NULL ? "; ZF_EAL_ARGS is now " : "", env != NULL ? env : "");
		return rte_errno == ENOMEM ? -ENOMEM : -ENOENT;
	}
	listen_to_eal();
	eal_ours = true;
	return 0;
}
