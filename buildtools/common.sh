# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What demo.sh and test.sh share: where things are, installing what is missing, configuring and building.
# Sourced, never run. Sets ROOT (the tree) and BUILD (where build folders go: $ZF_BUILD, or ROOT/build).

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=${ZF_BUILD:-$ROOT/build}
export PYTHONDONTWRITEBYTECODE=1

PACKAGES_BUILD=(gcc g++ binutils meson ninja-build pkg-config python3 libdpdk-dev)
PACKAGES_TEST=(libcunit1-dev clang libclang-rt-14-dev valgrind iproute2 ethtool util-linux)
# Peers of TCP; tests that miss one of them are skipped. Where services are started when they are installed nginx stays
# away: nobody asked for a web server, and Python's takes its place.
PACKAGES_PEERS=(nftables curl libevent-dev)
[ -d /run/systemd/system ] || PACKAGES_PEERS+=(nginx-light)
PACKAGES_DEMO=(libcunit1-dev util-linux)

say() { printf '%s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

missing_packages() {
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
	done
}

# apt TRIES ARGUMENTS...: as root, through sudo only where we are not root. Mirrors have bad moments, hence the tries.
apt() {
	local try tries=$1 as_root=()
	shift
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	for ((try = 1; try <= tries; try++)); do
		"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
			-o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" >&2 </dev/null && return 0
		say "apt-get $1 failed (try $try of $tries)"
	done
	return 1
}
have_lists() {
	local p
	for p in "$@"; do apt-cache show "$p" >/dev/null 2>&1 || return 1; done
}

# need_packages NAME...: installs those that are missing and says which; touches neither apt nor sudo otherwise.
need_packages() {
	local missing
	if ! command -v dpkg-query >/dev/null; then
		say "not a Debian system: make sure that these are there: $*"
		return 0
	fi
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -eq 0 ] && return 0
	[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
		die "missing: ${missing[*]}; there is no sudo, so run as root: apt-get install ${missing[*]}"
	say "installing what is missing: ${missing[*]}"
	# The lists may be missing, or older than the mirror: then the first install fails, and an update cures it.
	have_lists "${missing[@]}" && apt 1 install --no-install-recommends "${missing[@]}" && return 0
	apt 3 update || die 'apt-get update failed: is there a network?'
	apt 3 install --no-install-recommends "${missing[@]}" || die "could not install: ${missing[*]}"
}

# want_packages NAME...: the same for what can be done without: says so and goes on.
want_packages() {
	(need_packages "$@") || say "going on without: $*"
}

# quietly LOG COMMAND...: its output goes to LOG; when it fails, what ninja marks as failed is shown, or the end.
quietly() {
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1 </dev/null; then
		if grep -q '^FAILED: ' "$log"; then
			sed -n '/^FAILED: /,$p' "$log" | grep -v '^\[[0-9]*/[0-9]*\] ' | head -n 60 >&2
		else
			tail -n 40 -- "$log" >&2
		fi
		say "failed: $* (all of it in $log)"
		return 1
	fi
}

# configure DIR OPTION...: meson setup, unless DIR was set up with these options from this place already.
configure() {
	local dir=$1 stamp
	shift
	stamp="$ROOT|${CC:-}|$*"
	mkdir -p -- "$dir" 2>/dev/null && [ -w "$dir" ] ||
		die "cannot write to $dir: set ZF_BUILD to a folder of your own"
	if [ -f "$dir/build.ninja" ] && [ "$(cat -- "$dir/.configured" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	# An older build folder goes; anything else stays, whatever ZF_BUILD was set to.
	[ -z "$(ls -A -- "$dir")" ] || [ -d "$dir/meson-private" ] || die "$dir is no build folder: set ZF_BUILD elsewhere"
	rm -rf -- "$dir"
	mkdir -p -- "$dir"
	quietly "$dir/../${dir##*/}-setup.log" meson setup "$@" -- "$dir" "$ROOT" || return 1
	printf '%s' "$stamp" >"$dir/.configured"
}

# build DIR [TARGET...]
build() {
	local dir=$1
	shift
	quietly "$dir/build.log" ninja -C "$dir" "$@"
}
