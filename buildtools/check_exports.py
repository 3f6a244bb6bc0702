#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What libonload_zf.so exports = what the public headers declare = the version map; the bundled static library leaves
the same names global."""
import os
import re
import subprocess

import checklib

SHARED = 'lib/libonload_zf.so'
STATIC = 'lib/libonload_zf_static.a'
MAP = 'lib/zf.map'


def nm(options, path):
    run = subprocess.run(['nm', *options, path], text=True, capture_output=True, check=False)
    names = set()
    for line in run.stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in 'TDBRWVi':
            names.add(words[2].split('@')[0])
    return names


def map_names(path):
    with open(path, encoding='utf-8') as f:
        text = f.read()
    m = re.search(r'global:(.*?)local:\s*\*;', text, re.S)
    return set(re.findall(r'(\w+);', m[1])) if m else set()


def compare(where, names, api, findings):
    for name in sorted(api.keys() - names):
        p = api[name]
        findings.add(p.path, p.line, f'{name} is not in {where}', 'what a header declares is exported',
                     'define it (with ZF_EXPORT), or take the prototype out')
    for name in sorted(names - api.keys()):
        findings.add(where, 0, f'{name} is exported', 'exports are what include/zf declares',
                     'make it hidden, or declare it in a public header')


def check(root, findings, args):
    api = {n: p for n, p in checklib.api(root).items() if not p.inline}
    if not api:
        findings.add('include/zf', 0, 'declares no function', 'the headers are the list', 'correct the parser')
    for rel, how in ((SHARED, ['-D', '--defined-only']), (STATIC, ['-g', '--defined-only'])):
        path = os.path.join(args.build, rel)
        if os.path.exists(path):
            names = {n for n in nm(how, path) if not n.startswith('ZF_')}    # the version node itself
            compare(rel, names, api, findings)
        elif rel == SHARED:
            findings.add(rel, 0, 'is not built', 'the check needs a build', 'build first, or pass --build')
    path = os.path.join(args.build, MAP)
    if os.path.exists(path):
        compare(MAP, map_names(path), api, findings)


def build_case(name, header, source, version_map, wanted):
    """The self-test builds its own little library."""
    return (name, {'include/zf/zf.h': header, 'x.c': source, 'build/lib/zf.map': version_map}, wanted)


def check_built(root, findings, args):
    """check(), after compiling x.c of a self-test's tree the way the library is linked."""
    source = os.path.join(root, 'x.c')
    if os.path.exists(source):
        subprocess.run(['gcc', '-shared', '-fPIC', '-fvisibility=hidden', source,
                        '-Wl,--version-script=' + os.path.join(root, 'build', MAP),
                        '-o', os.path.join(root, 'build', SHARED)], check=True)
    check(root, findings, args)


E = '__attribute__((visibility("default"))) '
CASES = [
    build_case('equal', 'int zf_a(void);\n', E + 'int zf_a(void) { return 0; } int b(void) { return 0; }',
               'ZF_0 {\nglobal:\n zf_a;\nlocal:\n *;\n};\n', None),
    build_case('declared, not defined', 'int zf_a(void);\nint zf_b(void);\n', E + 'int zf_a(void) { return 0; }',
               'ZF_0 {\nglobal:\n zf_a; zf_b;\nlocal:\n *;\n};\n', 'zf_b is not in lib/libonload_zf.so'),
    build_case('defined, hidden', 'int zf_a(void);\n', 'int zf_a(void) { return 0; }',
               'ZF_0 {\nglobal:\n zf_a;\nlocal:\n *;\n};\n', 'zf_a is not in lib/libonload_zf.so'),
    build_case('exported, not declared', 'int zf_a(void);\n',
               E + 'int zf_a(void) { return 0; }' + E + 'int zf_b(void) { return 0; }',
               'ZF_0 {\nglobal:\n zf_a; zf_b;\nlocal:\n *;\n};\n', 'zf_b is exported'),
    build_case('not in the map', 'int zf_a(void);\n', E + 'int zf_a(void) { return 0; }',
               'ZF_0 {\nglobal:\n zf_q;\nlocal:\n *;\n};\n', 'zf_a is not in lib/zf.map'),
    ('not built', {'include/zf/zf.h': 'int zf_a(void);\n'}, 'is not built'),
]

if __name__ == '__main__':
    checklib.main(__doc__, check_built, CASES)
