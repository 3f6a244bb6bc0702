/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Simulation of TCP: thousands of connections between two stacks over links that lose, double, reorder, delay and damage
 * frames, in virtual time. See sim.h; what a case is follows from --seed and its number alone.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim.h"

static struct sim_case the_case;
static char how_again[160];

static void
usage(FILE *f)
{
	fprintf(f, "usage: sim [options]\n"
		   "\n"
		   "Lets pairs of stacks talk over bad links in virtual time and checks every byte.\n"
		   "\n"
		   "  --connections N  stop after so many (default 20000)\n"
		   "  --seed N         another seed (default 1)\n"
		   "  --case N         this case only, with what it is like\n"
		   "  --from N         begin with this case\n"
		   "  --trace N        show the frames of a case's connection N\n"
		   "  --verbose        a line for each case\n"
		   "  --help           this text\n"
		   "\n"
		   "A failure stops the program and says how to see it again.\n");
}

/* On the way down: which case it was. */
static void
on_trap(int sig)
{
	ssize_t rc = write(STDERR_FILENO, how_again, strlen(how_again));

	(void)rc;
	signal(sig, SIG_DFL);
	raise(sig);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {{"connections", 1, NULL, 'n'}, {"seed", 1, NULL, 's'},
					      {"case", 1, NULL, 'c'},        {"from", 1, NULL, 'f'},
					      {"verbose", 0, NULL, 'v'},     {"help", 0, NULL, 'h'},
					      {"trace", 1, NULL, 't'},
					      {0}};
	uint64_t seed = 1, conns = 20000, done = 0, bytes = 0;
	uint32_t first = 0, number;
	bool one = false, verbose = false;
	double begun = seconds(), told = begun;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 'n': conns = strtoull(optarg, NULL, 0); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'c': one = true; /* fallthrough */
		case 'f': first = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 't': sim_trace = (uint16_t)(10000 + atoi(optarg)); break;
		case 'v': verbose = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	signal(SIGABRT, on_trap);
	signal(SIGILL, on_trap);
	signal(SIGTRAP, on_trap);
	printf("sim: seed %llu\n", (unsigned long long)seed);
	for (number = first; done < conns; number++) {
		double t = seconds();

		snprintf(how_again, sizeof(how_again), "sim: again with: --seed %llu --case %u\n",
			 (unsigned long long)seed, number);
		sim_case_draw(&the_case, seed, number, SIM_CONNS_MAX);
		sim_case_run(&the_case);
		done += the_case.n;
		bytes += the_case.bytes;
		if (verbose)
			printf("case %u: %u connections, %.3f MB, %llu turns, %.0f s virtual, %.0f ms\n", number,
			       the_case.n, (double)the_case.bytes / 1e6, (unsigned long long)the_case.turns,
			       (double)zt_clock() / 1e9, (seconds() - t) * 1e3);
		if (one) {
			sim_case_describe(&the_case);
			break;
		}
		if (seconds() - told >= 5) {
			told = seconds();
			printf("sim: %llu of %llu connections, %.0f s\n", (unsigned long long)done,
			       (unsigned long long)conns, told - begun);
			fflush(stdout);
		}
	}
	printf("sim: %llu connections, %.1f MB, %.0f s\n", (unsigned long long)done, (double)bytes / 1e6,
	       seconds() - begun);
	printf("sim: %llu passed, 0 failed, 0 skipped\n", (unsigned long long)done);
	return 0;
}
