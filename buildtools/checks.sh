#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs every buildtools/check_*.py: first its self-test (planted faults must be found), then over the tree.
set -u
usage() {
	cat <<'TXT'
usage: checks.sh [--build DIR] [NAME...]

  --build DIR  the build folder with libonload_zf.so (default: build/test beside buildtools)
  NAME         only these checks, for example: deps exports

Without a build the checks that need one are skipped. Exit code 0 when nothing failed.
TXT
}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=$(dirname -- "$here")
build=$root/build/test
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?--build needs a folder}; shift ;;
	-h | --help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) names+=("$1") ;;
	esac
	shift
done
everything=0
if [ ${#names[@]} -eq 0 ]; then
	everything=1
	for f in "$here"/check_*.py; do
		f=${f##*/check_}
		names+=("${f%.py}")
	done
fi

passed=0 failed=0 skipped=0
# one LABEL COMMAND...: runs it, counts it, shows its findings.
one() {
	local label=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok      $label"
	else
		failed=$((failed + 1))
		echo "FAILED  $label"
	fi
}
export PYTHONDONTWRITEBYTECODE=1
if [ $everything -eq 1 ]; then
	one 'count_tests self-test' python3 "$here/count_tests.py" --self-test
	one 'demo_report self-test' python3 "$here/demo_report.py" --self-test
fi
for n in "${names[@]}"; do
	script=$here/check_$n.py
	if [ ! -f "$script" ]; then
		echo "no check named $n" >&2
		exit 2
	fi
	one "$n self-test" python3 "$script" --self-test
	if [ "$n" = exports ] && [ ! -e "$build/lib/libonload_zf.so" ]; then
		skipped=$((skipped + 1))
		echo "skipped $n: nothing built in $build"
		continue
	fi
	one "$n" python3 "$script" --build "$build"
done
echo "checks: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
