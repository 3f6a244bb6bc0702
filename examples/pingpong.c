/* SPDX-License-Identifier: BSD-3-Clause
 *
 * See pingpong.h.
 */
#include "pingpong.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
usage(const struct pp_cfg *cfg, FILE *to)
{
	fprintf(to,
		"%s\n"
		"  -s BYTES   payload, %zu to %zu (%zu)\n"
		"  -i N       measured round trips (%ld)\n"
		"  -r N       round trips before measuring begins (%ld)\n"
		"  -p PCT     report this percentile too\n"
		"  -w FILE    write every measured value to FILE, in ns, one a line\n"
		"  -f         report full round trips; default is half of each\n"
		"  -R         read every byte of the received data\n"
		"%s"
		"  -t SECONDS give up after this time without an answer (%ld)\n"
		"  --json     report as one JSON object\n"
		"  -h         this text\n"
		"\n"
		"Exit status: 0 done, 1 a call failed, 2 wrong command line, 3 no answer%s.\n",
		cfg->synopsis, cfg->min_size, cfg->max_size, cfg->size, cfg->iterations, cfg->warmup,
		cfg->tcp ? "  -m         poll through the multiplexer\n" : "", cfg->wait_s,
		cfg->tcp ? ", 4 the connection broke" : "");
}

static void
wrong(const struct pp_cfg *cfg)
{
	usage(cfg, stderr);
	exit(EX_USAGE);
}

static void
option(struct pp_cfg *cfg, int c)
{
	switch (c) {
	case 's':
		cfg->size = (size_t)ex_number("-s", optarg, (long)cfg->min_size, (long)cfg->max_size);
		break;
	case 'i':
		cfg->iterations = ex_number("-i", optarg, 1, 1000000000);
		break;
	case 'r':
		cfg->warmup = ex_number("-r", optarg, 0, 1000000000);
		break;
	case 'p':
		cfg->percentile = atof(optarg);
		if (cfg->percentile <= 0 || cfg->percentile > 100) {
			fprintf(stderr, "-p \"%s\" is not a percentile above 0, up to 100\n", optarg);
			exit(EX_USAGE);
		}
		break;
	case 'w':
		cfg->raw = optarg;
		break;
	case 'f':
		cfg->full = true;
		break;
	case 'R':
		cfg->read = true;
		break;
	case 't':
		cfg->wait_s = ex_number("-t", optarg, 1, 86400);
		break;
	case 'j':
		cfg->json = true;
		break;
	case 'm':
		cfg->muxer = true;
		break;
	case 'h':
		usage(cfg, stdout);
		exit(EX_OK);
	default:
		wrong(cfg);
	}
}

void
pp_options(struct pp_cfg *cfg, int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, cfg->tcp ? "s:i:r:p:w:fRt:mh" : "s:i:r:p:w:fRt:h", longs, NULL)) != -1)
		option(cfg, c);
	if (argc - optind != 1 + cfg->hosts)
		wrong(cfg);
	cfg->ping = strcmp(argv[optind], "ping") == 0;
	if (!cfg->ping && strcmp(argv[optind], "pong") != 0)
		wrong(cfg);
	for (int i = 0; i < cfg->hosts; i++)
		cfg->host[i] = ex_addr(argv[optind + 1 + i]);
}

uint64_t *
pp_values(const struct pp_cfg *cfg)
{
	uint64_t *ns = calloc((size_t)cfg->iterations, sizeof(*ns));

	if (ns == NULL)
		fprintf(stderr, "no memory for %ld values\n", cfg->iterations);
	return ns;
}

void
pp_read(const struct iovec *iov, int n)
{
	static volatile unsigned sink;
	unsigned sum = 0;

	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++)
			sum += ((const unsigned char *)iov[i].iov_base)[k];
	sink = sum;
	(void)sink;
}

static const double pcts[] = {50, 90, 99, 99.9};
#define N_PCTS (sizeof(pcts) / sizeof(pcts[0]))

static void
report_json(const struct pp_cfg *cfg, const uint64_t *ns, size_t n, long lost)
{
	printf("{\"proto\":\"%s\",\"size\":%zu,\"iterations\":%zu", cfg->tcp ? "tcp" : "udp",
	       cfg->size, n);
	if (lost >= 0)
		printf(",\"lost\":%ld", lost);
	printf(",\"round_trip\":\"%s\",\"rtt_ns\":{\"min\":%llu", cfg->full ? "full" : "half",
	       (unsigned long long)ns[0]);
	for (size_t i = 0; i < N_PCTS; i++)
		printf(",\"p%g\":%llu", pcts[i], (unsigned long long)ex_percentile(ns, n, pcts[i]));
	if (cfg->percentile > 0)
		printf(",\"p%g\":%llu", cfg->percentile,
		       (unsigned long long)ex_percentile(ns, n, cfg->percentile));
	printf(",\"max\":%llu}}\n", (unsigned long long)ns[n - 1]);
}

int
pp_report(const struct pp_cfg *cfg, uint64_t *ns, long lost)
{
	size_t n = (size_t)cfg->iterations;
	char a[32];

	if (cfg->raw != NULL && !ex_write_raw(cfg->raw, ns, n))
		return EX_FAILED;
	ex_sort(ns, n);
	if (cfg->json) {
		report_json(cfg, ns, n, lost);
		return EX_OK;
	}
	printf("%s %s round trip, %zu bytes, %zu times", cfg->tcp ? "TCP" : "UDP", cfg->full ? "full" : "half", cfg->size, n);
	if (lost >= 0)
		printf(", %ld lost", lost);
	printf("\n  %-8s %12s\n", "min", ex_time(ns[0], a));
	for (size_t i = 0; i < N_PCTS; i++)
		printf("  p%-7g %12s\n", pcts[i], ex_time(ex_percentile(ns, n, pcts[i]), a));
	if (cfg->percentile > 0)
		printf("  p%-7g %12s\n", cfg->percentile, ex_time(ex_percentile(ns, n, cfg->percentile), a));
	printf("  %-8s %12s\n\n", "max", ex_time(ns[n - 1], a));
	ex_histogram(ns, n, 16);
	return EX_OK;
}
