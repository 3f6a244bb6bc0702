/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Writes doc/attributes.md from lib/core/attr.def to stdout, or with --check FILE compares it with FILE and ends with a
 * line like those of the test programs. Knows nothing of the library but that one file.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char intro[] =
	"# Attributes\n"
	"\n"
	"<!-- Made from lib/core/attr.def by buildtools/gen_attr_doc.c (`ninja attributes-doc`); a test compares. -->\n"
	"\n"
	"An attribute object (`zf_attr_alloc()`, header `zf/attr.h`) holds a value for each attribute below. The calls\n"
	"that allocate something read what concerns them. Defaults are overridden by the environment variable `ZF_ATTR`\n"
	"when the object is allocated:\n"
	"\n"
	"    ZF_ATTR=\"interface=wire:./market;ipv4=10.0.0.1/24;log_level=0x3\"\n"
	"\n"
	"Definitions are separated by `;` (empty ones are skipped). Names are case-insensitive, the value is all that\n"
	"follows the first `=`. Of two definitions of one attribute the last counts, and a warning says so. Integers are\n"
	"decimal or `0x` hexadecimal, with an optional sign and an optional suffix K, M or G (powers of 1024). Whatever\n"
	"cannot be understood makes `zf_attr_alloc()` and `zf_init()` fail with `-EINVAL`, with one line that names it.\n"
	"\n"
	"Integers hold 32 bits with sign, bitmasks 64 bits: more gives `-EOVERFLOW` when set. The range given here is what\n"
	"`zf_stack_alloc()` accepts; it answers anything else with `-EINVAL` and one line. A default written\n"
	"`net.ipv4.x * k, or n` is the sysctl's number times k, or n where it cannot be read.\n"
	"\n"
	"Status: *stable* attributes come with the API, *beta* ones are this library's own, *hidden* ones serve tests and\n"
	"are not listed by `zf_attr_doc()`.\n"
	"\n"
	"| attribute | type | status | default | range | objects | effect | shown by |\n"
	"|---|---|---|---|---|---|---|---|\n";

static void
row(FILE *f, const char *name, const char *type, const char *status, const char *dflt, const char *range,
    const char *objects, const char *test, const char *doc)
{
	fprintf(f, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", name, type, status,
		strcmp(dflt, "NULL") == 0 ? "none" : dflt, range, objects, doc,
		test[0] != '\0' ? test : "not yet");
}

static const char *
range_text(int64_t min, int64_t max)
{
	static char text[64];

	if (max == INT32_MAX)
		snprintf(text, sizeof(text), "%" PRId64 " and up", min);
	else
		snprintf(text, sizeof(text), "%" PRId64 " to %" PRId64, min, max);
	return text;
}

#define ATTR_INT(n, s, v, lo, hi, o, t, d) row(f, #n, "int", s, #v, range_text(lo, hi), o, t, d);
#define ATTR_SYSCTL(n, s, v, file, k, lo, hi, o, t, d)                                             \
	row(f, #n, "int", s, "net.ipv4." file " * " #k ", or " #v, range_text(lo, hi), o, t, d);
#define ATTR_BITMASK(n, s, v, o, t, d) row(f, #n, "bitmask", s, #v, "any", o, t, d);
#define ATTR_STR(n, s, v, o, t, d)     row(f, #n, "str", s, #v, "", o, t, d);

static void
page(FILE *f)
{
	fputs(intro, f);
#include "core/attr.def"
}

static int
check(const char *path)
{
	char *want = NULL;
	size_t want_len = 0;
	FILE *mem = open_memstream(&want, &want_len);
	FILE *f = fopen(path, "r");
	char *have;
	size_t n;
	int same;

	if (mem == NULL || f == NULL) {
		perror(path);
		return EXIT_FAILURE;
	}
	page(mem);
	fclose(mem);
	have = malloc(want_len + 1);
	n = have != NULL ? fread(have, 1, want_len + 1, f) : 0;
	fclose(f);
	same = n == want_len && memcmp(have, want, n) == 0;
	free(have);
	free(want);
	if (!same)
		printf("%s is not what lib/core/attr.def says: run `ninja attributes-doc`\n", path);
	printf("attributes_doc: %d passed, %d failed, 0 skipped\n", same, !same);
	return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check(argv[2]);
	if (argc == 2 && argv[1][0] != '-' && freopen(argv[1], "w", stdout) == NULL) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: gen_attr_doc [FILE | --check FILE]\n");
		return EXIT_FAILURE;
	}
	page(stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
