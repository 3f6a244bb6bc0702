#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Command two of the README: installs what is missing, builds, runs the whole suite.
set -u
# shellcheck source=buildtools/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'TXT'
usage: test.sh [options]

Installs what is missing (Debian), builds with warnings as errors and runs the suite: the checks of buildtools, unit
tests, packet scripts, fuzz corpora, the kernel as peer, instruction gates, the installed tree; then the same tests
under the address and undefined-behaviour sanitizers, the examples under the thread sanitizer and with the argument
checks on, and a build with clang.

  --only PART       only this part (repeatable): checks, install, clang, sanitizers, threads, or a suite: unit, pkt,
                    fuzz, interop, examples, bench, ...
  --long            the tests of suite "long" too (minutes to hours)
  --no-sanitizers   leave the sanitizer runs out
  --no-clang        leave the clang build out
  --no-install      never install packages
  --help            this text

Environment: ZF_BUILD  where build folders go (default: build in the tree)

The last line is "N passed, N failed, N skipped". Exit code 0: nothing failed and something ran; 1: otherwise; 2: usage.
TXT
}

only=() long=0 sanitizers=1 clang=1 install=1
while [ $# -gt 0 ]; do
	case $1 in
	--only) only+=("${2:?--only needs a part}"); shift ;;
	--long) long=1 ;;
	--no-sanitizers) sanitizers=0 ;;
	--no-clang) clang=0 ;;
	--no-install) install=0 ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

passed=0 failed=0 skipped=0
begun=$SECONDS

# wanted PART: was it asked for?
wanted() {
	local p
	[ ${#only[@]} -eq 0 ] && return 0
	for p in "${only[@]}"; do [ "$p" = "$1" ] && return 0; done
	return 1
}

# add LINE: takes the numbers of a closing line into the sum.
add() {
	if [[ $1 =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + BASH_REMATCH[3]))
	else
		say "no closing line: '$1'"
		failed=$((failed + 1))
	fi
}

# part NAME COMMAND...: runs one part, shows its output as it comes, adds its closing line, says how long it took.
part() {
	local name=$1 start=$SECONDS out
	shift
	printf '== %s\n' "$name"
	out=$BUILD/part.log
	"$@" </dev/null 2>&1 | tee -- "$out"
	add "$(grep -E '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$out" | tail -n 1)"
	printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# a build is one test of its own: it passed or it failed.
built() {
	if "${@:2}"; then
		printf '%s: 1 passed, 0 failed, 0 skipped\n' "$1"
	else
		printf '%s: 0 passed, 1 failed, 0 skipped\n' "$1"
		return 1
	fi
}
build_gcc() { configure "$BUILD/test" -Dwerror=true && build "$BUILD/test"; }
# Warnings are no errors here: instrumented code makes gcc warn of what cannot happen. The plain build has judged them.
build_asan() {
	configure "$BUILD/asan" -Dbuildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false \
		-Dstatic_bundle=false && build "$BUILD/asan"
}
# With the argument checks on, and only what is run: it builds in half a minute. DPDK itself is not instrumented; what our
# threads share is.
THREADED=(zfsend zfsink zftcpmtpong)
build_tsan() {
	configure "$BUILD/tsan" -Dbuildtype=debug -Doptimization=1 -Db_sanitize=thread -Db_lundef=false -Dtests=false \
		-Dstatic_bundle=false -Ddebug_library=true && build "$BUILD/tsan" "${THREADED[@]/#/examples/}"
}
build_clang() {
	CC=clang configure "$BUILD/clang" -Dwerror=true -Dfuzzers=true -Db_lundef=false && build "$BUILD/clang"
}

# suites DIR: the suites that have something to run, in order; long is no suite by itself.
suites() {
	meson introspect --tests "$1" | python3 -c '
import json, sys
tests = [{s.split(":")[-1] for s in t["suite"]} for t in json.load(sys.stdin)]
have = set().union(*(t for t in tests if sys.argv[1] == "1" or "long" not in t)) - {"long"}
first = ["unit", "pkt", "fuzz", "interop", "sim"]
last = ["bench"]
print("\n".join([s for s in first if s in have] + sorted(have - set(first + last)) + [s for s in last if s in have]))' "$long"
}

# run_suite NAME DIR SUITE [meson test option...]
run_suite() {
	local name=$1 dir=$2 suite=$3 skip_long=(--no-suite long)
	shift 3
	[ $long -eq 1 ] && skip_long=()
	rm -f -- "$dir/meson-logs/$name.json"
	# One bench at a time: they measure.
	[ "$suite" = bench ] && set -- --num-processes 1 "$@"
	meson test -C "$dir" --no-rebuild --suite "$suite" "${skip_long[@]}" --logbase "$name" "$@" |
		grep --line-buffered -E '^ *[0-9]+/[0-9]+ |^ERROR'
	python3 "$ROOT/buildtools/count_tests.py" --name "$name" "$dir/meson-logs/$name.json"
}

mkdir -p -- "$BUILD" 2>/dev/null && [ -w "$BUILD" ] || die "cannot write to $BUILD: set ZF_BUILD to a folder of your own"
[ $install -eq 1 ] && need_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_TEST[@]}" && want_packages "${PACKAGES_PEERS[@]}"

part build built build build_gcc
if [ $failed -eq 0 ]; then
	wanted checks && part checks "$ROOT/buildtools/checks.sh" --build "$BUILD/test"
	for suite in $(suites "$BUILD/test"); do
		wanted "$suite" && part "$suite" run_suite "$suite" "$BUILD/test" "$suite"
	done
	wanted install && part install "$ROOT/buildtools/test_install.sh" "$BUILD/test"
fi
if [ $sanitizers -eq 1 ] && wanted sanitizers; then
	before=$failed
	part build-asan built build-asan build_asan
	if [ $failed -eq $before ]; then
		export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
		export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
		for suite in $(suites "$BUILD/asan"); do
			[ "$suite" = bench ] && continue	# figures of a sanitized build say nothing
			part "$suite-asan" run_suite "$suite-asan" "$BUILD/asan" "$suite" --timeout-multiplier 4
		done
	fi
	unset ASAN_OPTIONS UBSAN_OPTIONS
fi
if [ $sanitizers -eq 1 ] && wanted threads; then
	before=$failed
	part build-tsan built build-tsan build_tsan
	# A report makes the program's exit status 66, which no test expects.
	[ $failed -eq $before ] && TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1} part threads \
		python3 "$ROOT/test/examples/examples.py" --only mtpong --only sleeps "${THREADED[@]/#/$BUILD/tsan/examples/}"
fi
if [ $clang -eq 1 ] && wanted clang; then
	part build-clang built build-clang build_clang
fi

printf '== all: %d s\n' $((SECONDS - begun))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
