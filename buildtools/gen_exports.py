#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the linker's version map and the list of API symbols from the prototypes in the public headers: the headers
are the one place that says what is exported."""
import argparse
import os

import checklib


def names_of(headers):
    names = set()
    for header in headers:
        with open(header, encoding='utf-8') as f:
            names.update(p.name for p in checklib.prototypes(f.read(), header) if not p.inline)
    return sorted(names)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--node', required=True, help='name of the version node, for example ZF_0')
    ap.add_argument('--map', required=True, help='version map to write')
    ap.add_argument('--list', required=True, help='list of symbols to write, one a line')
    ap.add_argument('headers', nargs='+')
    args = ap.parse_args()
    names = names_of(args.headers)
    os.makedirs(os.path.dirname(os.path.abspath(args.map)), exist_ok=True)
    with open(args.map, 'w', encoding='utf-8') as f:
        f.write(f'{args.node} {{\n')
        if names:
            f.write('global:\n' + ''.join(f'\t{n};\n' for n in names))
        f.write('local:\n\t*;\n};\n')
    with open(args.list, 'w', encoding='utf-8') as f:
        f.write(''.join(n + '\n' for n in names))


if __name__ == '__main__':
    main()
