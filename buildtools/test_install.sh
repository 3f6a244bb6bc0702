#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs a build into a folder of its own and uses it as a stranger would: a small program by pkg-config, shared,
# bundled static and unbundled static; a project outside the tree with this one as a subproject. In every flavour the
# sfc driver must be registered.
set -u
# shellcheck source=buildtools/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
case ${1:-} in
-h | --help | '')
	echo 'usage: test_install.sh BUILD-FOLDER (one that is built)'
	[ -n "${1:-}" ] && exit 0
	exit 2
	;;
esac
build=$(cd -- "$1" && pwd -P) || exit 2
work=$build/install-test
passed=0 failed=0 skipped=0

# check NAME COMMAND...: one test; its output is shown when it fails.
check() {
	local name=$1
	shift
	if "$@" >"$work/log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		echo "ok      $name"
	else
		failed=$((failed + 1))
		echo "FAILED  $name"
		tail -n 30 -- "$work/log"
	fi
}

rm -rf -- "$work"
mkdir -p -- "$work"
DESTDIR=$work/dest meson install -C "$build" --no-rebuild --quiet >"$work/install.log" 2>&1 </dev/null ||
	{ tail -n 20 -- "$work/install.log"; echo 'install: 0 passed, 1 failed, 0 skipped'; exit 1; }
pc=$(find "$work/dest" -name onload_zf.pc)
libdir=$(dirname -- "$(dirname -- "$pc")")
prefix=$(PKG_CONFIG_PATH=${pc%/*} pkg-config --variable=prefix onload_zf)
unset ZF_ATTR ZF_EAL_ARGS

# What the guide tells an application to do first and last, over a wire that needs no card and no privileges.
cat >"$work/app.c" <<'TXT'
#include <zf/zf.h>
#include <stdio.h>
int main(void)
{
	struct zf_attr *attr;
	struct zf_stack *stack;
	int rc = zf_init();

	if (rc == 0)
		rc = zf_attr_alloc(&attr);
	if (rc == 0)
		rc = zf_stack_alloc(attr, &stack);
	if (rc == 0) {
		zf_reactor_perform(stack);
		zf_stack_free(stack);
		zf_attr_free(attr);
	}
	printf("%s: %d\n", zf_version(), rc);
	return rc == 0 ? zf_deinit() : 1;
}
TXT

# flags OPTION...: pkg-config on the installed tree, as if it lay where it was made for. The path may have spaces, which
# pkg-config does not quote: it is put in afterwards.
flags() {
	PKG_CONFIG_PATH=${pc%/*} pkg-config --define-variable=prefix=/install-prefix "$@" |
		sed 's,/install-prefix,"$work/dest$prefix",g'
}
# compile OUTPUT FLAGS...: pkg-config's words, split as the shell of a Makefile would.
compile() { eval "gcc -Wall -Wextra -Werror \"\$work/app.c\" -o \"\$work/$1\" $2"; }
run_app() { ZF_ATTR='interface=wire:loop;ipv4=10.0.0.1/24' LD_LIBRARY_PATH=$libdir timeout 60 "$work/$1"; }
# EAL's own list of log types has an entry for each driver that registered itself.
has_sfc() { ZF_EAL_ARGS=--log-level=help LD_LIBRARY_PATH=$libdir timeout 60 "$work/$1" | grep -q 'pmd\.net\.sfc\.driver'; }
flavour() {
	check "$1: compiles and links" compile "$1" "$2"
	check "$1: runs" run_app "$1"
	check "$1: the sfc driver is registered" has_sfc "$1"
}
headers_are_the_public_ones() {
	diff <(cd "$ROOT/include" && ls zf/*.h) <(cd "$work/dest" && find . -path '*/include/zf/*.h' | sed 's,.*/include/,,' | sort)
}
needs_sfc() { readelf -d "$libdir/libonload_zf.so" | grep -q 'NEEDED.*librte_net_sfc'; }
soname() { readelf -d "$libdir/libonload_zf.so" | grep -q 'SONAME.*\[libonload_zf\.so\.0\]'; }
hides_dpdk() { [ -x "$work/bundled" ] && ! nm "$work/bundled" | grep -E ' [TDB] rte_'; }

check 'headers are the public ones' headers_are_the_public_ones
check 'versioned soname' soname
check 'the shared library loads the sfc driver' needs_sfc
flavour shared "$(flags --cflags --libs onload_zf)"
if [ -e "$libdir/libonload_zf_static.a" ]; then
	flavour bundled "$(flags --cflags --libs onload_zf_static)"
	check 'bundled: no symbol of DPDK is global' hides_dpdk
	flavour unbundled "$(flags --static --cflags --libs onload_zf | sed 's/-lonload_zf /-l:libonload_zf.a /')"
else
	skipped=$((skipped + 1))
	echo '  skipped: static flavours: built without static_bundle'
fi

# The examples from their installed sources, in a copy as a user makes one. make's shell splits what pkg-config says, so
# that spaces of the prefix have to be escaped in it; DPDK's prefix is where it was.
cat >"$work/pkg-config" <<TXT
#!/bin/sh
case "\$*" in *libdpdk*) exec pkg-config "\$@" ;; esac
pkg-config --define-variable=prefix=/install-prefix "\$@" | sed 's,/install-prefix,$(printf '%s' "$work/dest$prefix" | sed 's/ /\\\\ /g'),g'
TXT
chmod +x -- "$work/pkg-config"
make_examples() {
	cp -R -- "$work/dest$prefix/share/zf-dpdk/examples" "$work/examples" &&
		PKG_CONFIG_PATH=${pc%/*} make -C "$work/examples" -j2 PKG_CONFIG="'$work/pkg-config'" \
			CFLAGS='-O1 -Wall -Wextra -Werror -Wno-unused-parameter'
}
example_helps() { LD_LIBRARY_PATH=$libdir timeout 60 "$work/examples/$1" --help | grep -q "^usage: $1 "; }
check 'examples: make' make_examples
for example in "$ROOT"/examples/*.c; do
	example=$(basename -- "$example" .c)
	case $example in common | pingpong | pingtcp | tcp) continue ;; esac
	check "examples: $example --help" example_helps "$example"
done

# Programs as they are written for the zf API: as C99, C11 and C++17, each linked with both libraries. Compiled in one go,
# each run counted for itself: it ends with a closing line of expectations that were met.
porting=$work/porting
cp -R -- "$ROOT/test/porting" "$porting"
make_porting() {
	local static=
	[ -e "$libdir/libonload_zf_static.a" ] && static=$("$work/pkg-config" --libs onload_zf_static)
	make -C "$porting" -j2 ZF_CFLAGS="$("$work/pkg-config" --cflags onload_zf)" \
		SHARED_LIBS="$("$work/pkg-config" --libs onload_zf)" STATIC_LIBS="$static"
}
porting_passes() {
	local last
	last=$(LD_LIBRARY_PATH=$libdir timeout 60 "$1" | tee -- "$porting/said" | tail -n 1)
	cat -- "$porting/said"
	[[ $last =~ ^[a-z_]+:\ ([1-9][0-9]*)\ passed,\ 0\ failed,\ 0\ skipped$ ]]
}
PKG_CONFIG_PATH=${pc%/*} check 'porting: C99, C11, C++17' make_porting
programs=0
for program in "$porting"/*.shared "$porting"/*.static; do
	[ -x "$program" ] || continue
	programs=$((programs + 1))
	check "porting: $(basename -- "$program")" porting_passes "$program"
done
check "porting: there are programs" [ "$programs" -gt 0 ]

# A project outside of the tree; the copy has sources only, as a packaged release would.
sub=$work/outside
mkdir -p -- "$sub/subprojects/zf-dpdk"
for part in meson.build meson_options.txt README.md LICENSE include lib drivers app examples test doc buildtools; do
	cp -R -- "$ROOT/$part" "$sub/subprojects/zf-dpdk/"
done
cp -- "$work/app.c" "$sub/"
cat >"$sub/meson.build" <<'TXT'
project('outside', 'c', default_options: ['c_std=c99'])
zf = subproject('zf-dpdk', default_options: ['tests=false', 'examples=false', 'static_bundle=false'])
executable('outside', 'app.c', dependencies: zf.get_variable('zf_dep'))
TXT
subproject_builds() { meson setup "$sub/b" "$sub" && ninja -C "$sub/b"; }
subproject_runs() { ZF_ATTR='interface=wire:loop;ipv4=10.0.0.1/24' timeout 60 "$sub/b/outside"; }
check 'subproject: builds' subproject_builds
check 'subproject: runs' subproject_runs

echo "install: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
