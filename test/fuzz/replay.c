/* SPDX-License-Identifier: BSD-3-Clause
 *
 * main() of a fuzzer that is built without libFuzzer: plays files, and all files in folders, in the order of their
 * names. A crash is a failed test; the name of the file is on the last line then.
 *
 *	replay_NAME [-r ROUNDS] FILE|FOLDER...
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

static unsigned played;

static void
play_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	exact = malloc(n > 0 ? n : 1); /* of exactly its length, for the sanitizers */
	if (exact == NULL)
		exit(2);
	memcpy(exact, buf, n);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	played++;
}

static void
play(const char *path)
{
	struct dirent **names;
	struct stat st;
	char sub[4096];
	int n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		play_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			snprintf(sub, sizeof(sub), "%s/%s", path, names[i]->d_name);
			play(sub);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int
main(int argc, char **argv)
{
	int rounds = 1, first = 1;
	const char *name = strrchr(argv[0], '/');

	if (argc > 2 && strcmp(argv[1], "-r") == 0) {
		rounds = atoi(argv[2]);
		first = 3;
	}
	for (int r = 0; r < rounds; r++)
		for (int i = first; i < argc; i++)
			play(argv[i]);
	printf("%s: %u passed, %d failed, 0 skipped\n", name != NULL ? name + 1 : argv[0], played, played == 0);
	return played == 0;
}
