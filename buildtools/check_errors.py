#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""doc/errors.md against the documentation: every (call, code) that the guide (guide_facts.txt, lines err) or our own
headers (@retval -CODE) state has a row, and each row names a test function that exists, or says why never."""
import os
import re

import checklib
import factlib

PAGE = 'doc/errors.md'
PENDING = 'buildtools/errors_pending.txt'
ROW = re.compile(r'^\| `(\w+)` \| `(E\w+)` \| (.+?) \|$')


def documented(root, facts, api):
    """{(call, code): (path, line)}, for the calls that include/zf declares."""
    pairs = {}
    for f in facts:
        if f.kind == 'err' and f.name in api:
            for code in f.rest.split()[1:]:
                pairs[f.name, code] = (factlib.FACTS, f.line)
    for name, proto in api.items():
        for m in re.finditer(r'@retval\s+((?:-E\w+\s*,?\s*)+)', proto.doc):
            for code in re.findall(r'E\w+', m[1]):
                pairs.setdefault((name, code), (proto.path, proto.line))
    return pairs


def pending_pairs(root):
    pairs = {}
    path = os.path.join(root, PENDING)
    if os.path.exists(path):
        for n, line in enumerate(checklib.read(root, PENDING).splitlines(), 1):
            words = line.split('#')[0].split()
            if len(words) == 2:
                pairs[tuple(words)] = n
    return pairs


def check_test(root, line, call, what, findings):
    """what: one or more `file:function`."""
    tests = re.findall(r'`([\w./-]+):(\w+)`', what)
    if not tests:
        findings.add(PAGE, line, f'{call}: {what}', 'a row names a test, or never: and why, or pending',
                     'write `test/unit/test_x.c:function`')
    for path, function in tests:
        if not os.path.isfile(os.path.join(root, path)):
            findings.add(PAGE, line, f'{call}: no file {path}', 'a row names a test that exists', 'correct the row')
        elif not re.search(rf'\b{function}\b', checklib.strip_comments(checklib.read(root, path))):
            findings.add(PAGE, line, f'{call}: no {function} in {path}', 'a row names a test that exists',
                         'correct the row')


def check(root, findings, args):
    api = checklib.api(root)
    pairs = documented(root, factlib.load(root, findings), api)
    pending = pending_pairs(root)
    seen = {}
    for n, text in enumerate(checklib.read(root, PAGE).splitlines(), 1):
        m = ROW.match(text)
        if not m:
            if text.startswith('|') and not re.match(r'^\|( call|[-| ]+$)', text):
                findings.add(PAGE, n, 'row cannot be read', 'rows are | `call` | `CODE` | test |', 'correct the row')
            continue
        pair, what = (m[1], m[2]), m[3]
        if pair in seen:
            findings.add(PAGE, n, f'{m[1]} {m[2]} stands here twice', 'one row for each', 'delete one')
        seen[pair] = what
        if pair not in pairs:
            findings.add(PAGE, n, f'{m[1]} is not documented to return {m[2]}', 'rows are of documented codes',
                         'document it in the header, or delete the row')
        if what == 'pending':
            if pair not in pending:
                findings.add(PAGE, n, f'{m[1]} {m[2]} is pending', f'only what {PENDING} lists may be', 'name its test')
        elif what.startswith('never: '):
            if len(what.split()) < 4:
                findings.add(PAGE, n, f'{m[1]} {m[2]}: {what}', 'never needs a reason', 'say why')
        else:
            check_test(root, n, f'{m[1]} {m[2]}', what, findings)
    for (call, code), (path, line) in sorted(pairs.items()):
        if (call, code) not in seen:
            findings.add(path, line, f'{call} {code} has no row in {PAGE}', 'every documented code has one',
                         'add a row with the test that provokes it')
    for pair, n in pending.items():
        if seen.get(pair) != 'pending':
            findings.add(PENDING, n, f'{" ".join(pair)} is pending no more', 'the list only shrinks', 'take it off')


HEADER = '/**\n * X.\n * @retval -EINVAL  bad\n */\nint zf_f(int a);\n'


def case(name, rows, wanted, pending='', facts='[zf.h]\nerr zf_f ENOMEM\nerr zf_gone EPERM\n'):
    return (name, {'include/zf/zf.h': HEADER, factlib.FACTS: facts, PENDING: pending,
                   'test/unit/test_f.c': 'void bad_a(void) { } /* gone_b */\n',
                   PAGE: '| call | code | provoked by |\n| --- | --- | --- |\n' + rows}, wanted)


GOOD = '| `zf_f` | `EINVAL` | `test/unit/test_f.c:bad_a` |\n| `zf_f` | `ENOMEM` | never: it does not allocate |\n'
CASES = [
    case('complete', GOOD, None),
    case('a documented code without row', GOOD.splitlines()[1] + '\n', 'zf_f EINVAL has no row'),
    case('a fact without row', GOOD.splitlines()[0] + '\n', 'zf_f ENOMEM has no row'),
    case('no such file', GOOD.replace('test_f.c', 'test_g.c'), 'no file test/unit/test_g.c'),
    case('no such function', GOOD.replace('bad_a', 'bad_b'), 'no bad_b in'),
    case('a function in a comment', GOOD.replace('bad_a', 'gone_b'), 'no gone_b in'),
    case('never without a reason', GOOD.replace('it does not allocate', 'no'), 'never needs a reason'),
    case('pending, not listed', GOOD.replace('never: it does not allocate', 'pending'), 'only what'),
    case('pending, listed', GOOD.replace('never: it does not allocate', 'pending'), None, 'zf_f ENOMEM\n'),
    case('listed, not pending', GOOD, 'pending no more', 'zf_f ENOMEM\n'),
    case('twice', GOOD + GOOD, 'stands here twice'),
    case('not documented', GOOD + GOOD.splitlines()[0].replace('EINVAL', 'EIO') + '\n', 'not documented to return EIO'),
    case('unreadable', GOOD + '| zf_f | EINVAL | x |\n', 'row cannot be read'),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
