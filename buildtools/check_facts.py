#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The guide's facts (guide_facts.txt) against the headers in include/zf: prototypes, values, offsets, by compiling
redeclarations and static assertions. What is not there yet is listed in guide_missing.txt; that list only shrinks."""
import os
import re
import subprocess

import checklib
import factlib

MISSING = 'buildtools/guide_missing.txt'


def missing_names(root):
    names = {}
    for n, line in enumerate(checklib.read(root, MISSING).splitlines(), 1):
        line = line.split('#')[0].strip()
        if line:
            names[line] = n
    return names


def what_exists(root):
    """Every identifier of the public headers, the functions they declare, and the names of the headers."""
    words, headers = set(), set()
    for rel in checklib.public_headers(root):
        headers.add(os.path.basename(rel))
        words |= set(re.findall(r'\w+', checklib.strip_c(checklib.read(root, 'include/' + rel))))
    return words, checklib.api(root), headers


def is_there(fact, words, api, headers):
    if fact.kind == 'header':
        return fact.name in headers
    if fact.kind in ('fn', 'inline'):
        return fact.name in api
    return fact.name in words


def assertion(fact):
    if fact.kind == 'fn':
        return f'extern {fact.rest};'
    if fact.kind == 'inline':
        return f'static inline {fact.rest};'
    if fact.kind == 'type':
        return f'_Static_assert(_Generic(({fact.name} *)0, {fact.rest.split()[1]} *: 1), "type");'
    if fact.kind == 'val':
        return f'_Static_assert(({fact.name}) == ({fact.rest.split(maxsplit=1)[1]}), "another value");'
    if fact.kind == 'off':
        struct, field, offset = fact.rest.split()
        return f'_Static_assert(__builtin_offsetof(struct {struct}, {field}) == {offset}, "another offset");'
    return ''


def compile_facts(root, facts, findings):
    lines = ['#include <zf/zf.h>', '#include <sys/epoll.h>', '#include <time.h>']
    for fact in facts:
        code = assertion(fact)
        if code:
            lines += [f'#line {fact.line} "{factlib.FACTS}"', code]
    cc = os.environ.get('CC', 'gcc').split()
    run = subprocess.run([*cc, '-std=gnu11', '-Wall', '-Werror', '-Wno-unused-function', '-fsyntax-only', '-x', 'c',
                          '-I', os.path.join(root, 'include'), '-'],
                         input='\n'.join(lines) + '\n', text=True, capture_output=True, check=False)
    if run.returncode == 0:
        return
    known = {f.line: f for f in facts}
    found = False
    for m in re.finditer(r'^([^\n:]+):(\d+):\d+: (?:fatal )?error: ([^\n]*)', run.stderr, re.M):
        found = True
        fact = known.get(int(m[2])) if m[1] == factlib.FACTS else None
        what = f'{fact.kind} {fact.rest}: {m[3]}' if fact else m[3]
        findings.add(m[1], m[2], what, 'the headers state the guide\'s facts', 'correct the header')
    if not found:
        findings.add(factlib.FACTS, 1, 'does not compile: ' + run.stderr.strip()[:300], 'the headers compile',
                     'correct the header')


def check(root, findings, args):
    facts = factlib.load(root, findings)
    missing = missing_names(root)
    words, api, headers = what_exists(root)
    there = [f for f in facts if is_there(f, words, api, headers)]
    names_there = {f.name for f in there if f.kind != 'err'}
    names_all = {f.name for f in facts if f.kind != 'err'}
    for f in facts:
        if f.name not in names_there and f.name not in missing and f.kind != 'err':
            findings.add(factlib.FACTS, f.line, f'{f.name} is not in include/zf', 'the API is complete but for the list',
                         f'write it, or add it to {MISSING}')
    for name, line in missing.items():
        if name in names_there:
            findings.add(MISSING, line, f'{name} exists now', 'the list only shrinks', 'take it off the list')
        elif name not in names_all:
            findings.add(MISSING, line, f'{name} is no fact of the guide', 'the list names facts', 'correct the name')
    facts_fn = {f.name for f in facts if f.kind in ('fn', 'inline')}
    for name, proto in api.items():
        if name not in facts_fn and not proto.inline and os.path.basename(proto.path) not in checklib.OWN_HEADERS:
            findings.add(proto.path, proto.line, f'{name} is not in the guide', 'calls of our own live in zf_dpdk.h',
                         f'correct the name, or add the fact to {factlib.FACTS}')
    for f in facts:
        if f.kind == 'fn' and f.name in api and api[f.name].path != f'include/zf/{f.header}':
            findings.add(api[f.name].path, api[f.name].line, f'{f.name} belongs to {f.header}',
                         'each call is in the guide\'s header', 'move it')
    compile_facts(root, [f for f in there if f.kind == 'fn' or f.name in names_there], findings)


HEADER = ('#define V 3\nstruct s { int a; long b; };\ntypedef unsigned t_h;\nint zf_f(int a);\n'
          'static inline int zf_i(int a) { return a; }\n')


def case(name, facts, missing, wanted, header=HEADER):
    return (name, {'include/zf/zf.h': header, factlib.FACTS: '[zf.h]\nfn int zf_f(int x)\n' + facts, MISSING: missing},
            wanted)


CASES = [
    case('all true', 'struct s\nval V 3\noff s b 8\ntype t_h unsigned\ninline int zf_i(int a)\n', '', None),
    case('listed', 'fn int zf_g(void)\n', 'zf_g\n', None),
    case('wrong value', 'val V 4\n', '', 'another value'),
    case('wrong offset', 'off s b 4\n', '', 'another offset'),
    case('wrong type', 'type t_h long\n', '', 'type t_h'),
    case('wrong prototype', '', '', 'conflicting types', HEADER.replace('int zf_f(int a)', 'long zf_f(int a)')),
    case('not there', 'fn int zf_g(void)\n', '', 'zf_g is not in include/zf'),
    case('listed though there', '', 'zf_f\n', 'zf_f exists now'),
    case('listed, unknown', '', 'zf_odd\n', 'zf_odd is no fact'),
    case('unknown function', '', '', 'zf_more is not in the guide', HEADER + 'int zf_more(void);\n'),
    case('unreadable', 'what is this\n', '', 'cannot be read'),
    case('value not there', 'val W 4\n', '', 'W is not in include/zf'),
    case('wrong header', '[o.h]\nfn int zf_g(void)\n', 'o.h\n', 'zf_g belongs to o.h', HEADER + 'int zf_g(void);\n'),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
