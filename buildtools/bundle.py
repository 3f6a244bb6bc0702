#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes libonload_zf_static.a: our objects and the DPDK archives they need become one relocatable object, in which
only the API stays global, and that object becomes an archive. One object, because drivers register themselves by
constructors, which a linker drops from an archive of many members; local symbols, so that an application may carry
symbols of the same names."""
import argparse
import os
import subprocess
import sys


def run(command):
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        sys.exit(f'bundle.py: failed: {" ".join(command)}')


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--ld', default='ld')
    ap.add_argument('--objcopy', default='objcopy')
    ap.add_argument('--ar', default='ar')
    ap.add_argument('--keep', required=True, help='file with the symbols that stay global')
    ap.add_argument('--out', required=True)
    ap.add_argument('--whole', action='append', default=[], help='an archive taken whole (repeatable)')
    args = ap.parse_args()
    obj = args.out + '.o'
    run([args.ld, '-r', '-o', obj, '--whole-archive', *args.whole])
    run([args.objcopy, f'--keep-global-symbols={args.keep}', obj])
    if os.path.exists(args.out):
        os.unlink(args.out)
    run([args.ar, 'rcsD', args.out, obj])
    os.unlink(obj)


if __name__ == '__main__':
    main()
