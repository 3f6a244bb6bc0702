/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The runner of packet scripts: every script in every harsh mode, a line for each, and the closing line that
 * buildtools/test.sh adds up. Over a whole run it also wants every counter that a frame can reach provoked once.
 *
 *	pkt [--list] [-v] [-m MODE] [-d FOLDER] [NAME...]
 *
 *	-v prints lines and wire of passing scripts too; -d writes each script's frames as an input of fuzz_frames; a
 *	script is played if its name contains a NAME
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pkt/ps_priv.h"

#define SCRIPT_SECONDS 60 /* of real time: a script that takes longer hangs */

static struct ps_test *tests, *last;
static char now_playing[128];

void
ps_register(struct ps_test *t)
{
	if (last != NULL)
		last->next = t;
	else
		tests = t;
	last = t;
}

static void
on_alarm(int sig)
{
	ssize_t n;

	n = write(STDOUT_FILENO, now_playing, strlen(now_playing));
	(void)n;
	(void)sig;
	_exit(3);
}

/* Counters that no single frame and no call on a stack of its own can raise. */
static bool
out_of_reach(const char *name)
{
	static const char *const names[] = {
		"RX_OTHER_STACK", "RX_DROP_INBOX", "RX_DROP_NOMEM", /* queues shared by stacks */
	};

	for (size_t i = 0; i < ZF_ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* How many counters no script has raised. */
static unsigned
never_seen(const bool seen[CNT__N])
{
	unsigned n = 0;
	const char *name;

	for (unsigned i = 0; (name = zt_counter_name(i, NULL)) != NULL; i++) {
		if (seen[i] || out_of_reach(name))
			continue;
		printf("counter %s was never provoked\n", name);
		n++;
	}
	return n;
}

static bool
wanted(const char *name, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strstr(name, names[i]) != NULL)
			return true;
	return n == 0;
}

static int
mode_by_name(const char *name)
{
	for (int m = 0; m < PS_MODES; m++)
		if (strcmp(ps_mode_names[m], name) == 0)
			return m;
	return -1;
}

static void
list(void)
{
	for (const struct ps_test *t = tests; t != NULL; t = t->next)
		printf("%-50s %s%s\n", t->name, t->rfc, t->modes == PS_ALL_MODES ? "" : " (not in all modes)");
	printf("modes:");
	for (int m = 0; m < PS_MODES; m++)
		printf(" %s", ps_mode_names[m]);
	printf("\n");
}

static void
dump_open(const char *folder, const struct ps_test *t)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", folder, t->name);
	ps_dump_f = fopen(path, "wb");
}

static void
dump_close(void)
{
	if (ps_dump_f != NULL)
		fclose(ps_dump_f);
	ps_dump_f = NULL;
}

struct totals {
	unsigned passed, failed;
	bool seen[CNT__N];
};

static void
play(const struct ps_test *t, int only_mode, bool verbose, struct totals *sum)
{
	unsigned played = 0, bad = 0, differ;
	char failed[256] = "";

	for (int m = 0; m < PS_MODES; m++) {
		if ((t->modes & PS_MODE(m)) == 0 || (only_mode >= 0 && m != only_mode))
			continue;
		if ((m >= PS_SLOW && !ps_is_tcp_script(t)) || (m == PS_ALT_PORT && !ps_is_alt_script(t)))
			continue;
		snprintf(now_playing, sizeof(now_playing), "HANGS: %s [%s]\n", t->name, ps_mode_names[m]);
		alarm(SCRIPT_SECONDS);
		played++;
		/* The first mode that fails tells the story; the others mostly tell the same. */
		if (ps_play(t, (enum ps_mode)m, sum->seen, verbose ? PS_SAY_ALL : bad == 0 ? PS_SAY_FAILURES : PS_SAY_NOTHING))
			continue;
		bad++;
		strncat(failed, " ", sizeof(failed) - strlen(failed) - 1);
		strncat(failed, ps_mode_names[m], sizeof(failed) - strlen(failed) - 1);
	}
	alarm(0);
	if (played == 0)
		return;
	differ = ps_trace_compare(t);
	if (differ > 0)
		strncat(failed, " the comparison", sizeof(failed) - strlen(failed) - 1);
	bad += differ;
	played += differ;
	printf("%s %-50s %u modes%s%s\n", bad == 0 ? "ok    " : "FAILED", t->name, played,
	       bad == 0 ? "" : ", failed in", failed);
	sum->passed += played - bad;
	sum->failed += bad;
}

int
main(int argc, char **argv)
{
	static struct totals sum;
	int opt, mode = -1;
	bool verbose = false;
	const char *folder = NULL;

	while ((opt = getopt(argc, argv, "lvm:d:-:")) != -1) {
		if (opt == 'l' || (opt == '-' && strcmp(optarg, "list") == 0)) {
			list();
			return 0;
		}
		if (opt == 'v')
			verbose = true;
		else if (opt == 'd')
			folder = optarg;
		else if (opt == 'm' && (mode = mode_by_name(optarg)) >= 0)
			continue;
		else
			return fprintf(stderr, "usage: %s [--list] [-v] [-m MODE] [-d FOLDER] [NAME...]\n", argv[0]), 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	unsetenv("ZF_ATTR");
	signal(SIGALRM, on_alarm);
	for (const struct ps_test *t = tests; t != NULL; t = t->next) {
		if (!wanted(t->name, argv + optind, argc - optind))
			continue;
		if (folder != NULL)
			dump_open(folder, t);
		play(t, mode, verbose, &sum);
		dump_close();
	}
	if (mode < 0 && optind == argc)
		sum.failed += never_seen(sum.seen);
	printf("pkt: %u passed, %u failed, 0 skipped\n", sum.passed, sum.failed);
	return sum.failed == 0 && sum.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
