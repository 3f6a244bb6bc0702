#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Command one of the README: two processes, one virtual wire, the round trips of UDP and TCP beside that of the bare wire.
set -u
# shellcheck source=buildtools/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
	cat <<'TXT'
usage: demo.sh [options]

Installs what is missing (Debian), builds in release mode, and measures round trips between two processes of this
machine over a wire in shared memory: no network card, no huge pages, no privileges. The bare wire, UDP and TCP are
measured in turn, so that a busy moment of the machine hits all of them.

  --size N      payload bytes (default 64)
  --iter N      round trips a round (default 20000)
  --rounds N    rounds (default 5); the figures are medians over the rounds, min is the smallest
  --pin A,B     pin the two processes to these CPUs (default: the first two that this shell may use)
  --no-pin      let the kernel place them
  --json        one JSON object instead of the table: {"wire":{"rtt_ns":{...}},"udp":{...},"tcp":{...}}
  --timeout S   seconds until a round is given up (default 60)
  --no-install  never install packages
  --help        this text

Environment: ZF_BUILD  where build folders go (default: build in the tree)

Exit codes: 0 measured; 1 something could not be installed, built or measured; 2 usage.
TXT
}
usage_error() {
	say "demo.sh: $1"
	usage >&2
	exit 2
}

size=64 iter=20000 rounds=5 pin=auto json=0 limit=60 install=1
while [ $# -gt 0 ]; do
	case $1 in
	--size | --iter | --rounds | --timeout)
		[[ ${2:-} =~ ^[0-9]{1,9}$ ]] || usage_error "$1 needs a number"
		case $1 in
		--size) size=$2 ;;
		--iter) iter=$2 ;;
		--rounds) rounds=$2 ;;
		--timeout) limit=$2 ;;
		esac
		shift
		;;
	--pin)
		[[ ${2:-} =~ ^[0-9]+,[0-9]+$ ]] || usage_error '--pin needs two CPUs, for example 0,1'
		pin=$2
		shift
		;;
	--no-pin) pin=none ;;
	--json) json=1 ;;
	--no-install) install=0 ;;
	-h | --help) usage; exit 0 ;;
	*) usage_error "unknown option $1" ;;
	esac
	shift
done
[ "$size" -ge 1 ] && [ "$size" -le 1460 ] || usage_error '--size: 1 to 1460, what fits one frame'
[ "$iter" -ge 1 ] && [ "$rounds" -ge 1 ] || usage_error '--iter and --rounds: at least 1'

[ $install -eq 1 ] && need_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_DEMO[@]}"
release=$BUILD/release
configure "$release" -Dbuildtype=release || exit 1
# Only what is run here; the rest of the tree is test.sh's.
mapfile -t targets < <(ninja -C "$release" -t targets all |
	sed -nE 's/^((examples\/zf(udp|tcp)pingpong|test\/bench\/wire_raw)): .*/\1/p')
[ ${#targets[@]} -gt 0 ] || die 'demo.sh: this build has no example to run'
build "$release" "${targets[@]}" || exit 1

if [ "$pin" = auto ]; then
	pin=$(python3 -c 'import os; c = sorted(os.sched_getaffinity(0)); print(f"{c[0]},{c[1]}" if len(c) > 1 else "none")')
	[ "$pin" = none ] && say 'one CPU only: both processes share it, the figures will be those of the scheduler'
fi
# on A|B COMMAND...: on its CPU, given up after the limit.
on() {
	local place=()
	case $pin:$1 in
	none:*) ;;
	*:a) place=(taskset -c "${pin%,*}") ;;
	*:b) place=(taskset -c "${pin#*,}") ;;
	esac
	shift
	timeout -k 2 "$limit" "${place[@]}" "$@"
}

# A socket's path has at most 107 bytes, and ZF_ATTR has its own use for semicolons.
work=$(mktemp -d) || exit 1
if [ ${#work} -gt 80 ] || [[ $work == *';'* ]]; then
	rmdir -- "$work"
	work=$(mktemp -d /tmp/zf.XXXXXX) || exit 1
fi
children=()
cleanup() {
	trap - EXIT INT TERM
	[ ${#children[@]} -gt 0 ] && kill "${children[@]}" 2>/dev/null && wait "${children[@]}" 2>/dev/null
	rm -rf -- "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

failed() {
	local f
	say "demo.sh: $1 (round $2) failed or took longer than $limit s; what it said:"
	for f in "$work"/*.err; do [ -s "$f" ] && tail -n 5 -- "$f" >&2; done
	exit 1
}

# both NAME ROUND -- COMMAND-A... -- COMMAND-B...: at once; A's output is the result, either's failure ends the demo.
both() {
	local name=$1 round=$2 a=() b=()
	shift 3
	while [ "$1" != -- ]; do a+=("$1"); shift; done
	shift
	b=("$@")
	on b "${b[@]}" >"$work/b.out" 2>"$work/b.err" </dev/null &
	children=($!)
	on a "${a[@]}" >"$work/$name-$round.out" 2>"$work/a.err" </dev/null &
	children+=($!)
	wait -n "${children[@]}" || failed "$name" "$round"
	wait "${children[0]}" && wait "${children[1]}" || failed "$name" "$round"
	children=()
}
attr() { printf 'interface=wire:%s;ipv4=10.0.0.%s/24' "$work/$1" "$2"; }
# pingpong NAME PROGRAM ROUND: UDP's sides name both addresses, TCP's the one that pong listens on.
pingpong() {
	local name=$1 program=$2 round=$3 here=10.0.0.1:20000 there=10.0.0.2:20000
	local pings=("$here" "$there") pongs=("$there" "$here")
	[ "$name" = tcp ] && pings=("$there") pongs=("$there")
	both "$name" "$round" -- \
		env ZF_ATTR="$(attr "$name$round" 1)" "$program" -s "$size" -i "$iter" -f -w "$work/$name-$round.ns" \
		ping "${pings[@]}" -- \
		env ZF_ATTR="$(attr "$name$round" 2)" "$program" -s "$size" -i "$iter" \
		pong "${pongs[@]}"
}

wire=$release/test/bench/wire_raw
udp=$release/examples/zfudppingpong
tcp=$release/examples/zftcppingpong
[ -x "$udp" ] || die "demo.sh: $udp was not built"
for ((round = 1; round <= rounds; round++)); do
	# wire_raw adds the 42 bytes of headers itself: frames of one size in both.
	[ -x "$wire" ] && both wire "$round" -- "$wire" --path "$work/w$round" --role a --iter "$iter" --size "$size" --json \
		-- "$wire" --path "$work/w$round" --role b --iter "$iter" --size "$size" --json
	pingpong udp "$udp" "$round"
	[ -x "$tcp" ] && pingpong tcp "$tcp" "$round"
	say "round $round of $rounds"
done
as_json=()
[ $json -eq 1 ] && as_json=(--json)
python3 "$ROOT/buildtools/demo_report.py" "${as_json[@]}" --size "$size" --pin "$pin" "$work"
