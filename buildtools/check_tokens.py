#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Words that do not belong: calls that end or stall the application's process or that overrun buffers (lib and
drivers), unfinished marks, dead code and paths of somebody's machine (everywhere), a missing SPDX line."""
import re

import checklib

CALLS = {
    'abort': 'return an error, or zf_bug()', 'exit': 'return an error', '_exit': 'return an error',
    '_Exit': 'return an error', 'quick_exit': 'return an error',
    'printf': 'use the log', 'vprintf': 'use the log', 'puts': 'use the log', 'putchar': 'use the log',
    'sleep': 'use a deadline and the reactor', 'usleep': 'use a deadline and the reactor',
    'nanosleep': 'use a deadline and the reactor', 'clock_nanosleep': 'use a deadline and the reactor',
    'rte_delay_us_sleep': 'use a deadline and the reactor', 'rte_exit': 'return an error',
    'rte_panic': 'return an error',
    'rand': 'use the generator of the ctx', 'srand': 'use the generator of the ctx',
    'random': 'use the generator of the ctx', 'srandom': 'use the generator of the ctx',
    'drand48': 'use the generator of the ctx',
    'strcpy': 'use snprintf or memcpy with the length checked', 'strcat': 'use snprintf',
    'stpcpy': 'use snprintf', 'strncpy': 'use snprintf', 'sprintf': 'use snprintf', 'vsprintf': 'use vsnprintf',
    'alloca': 'use a bounded array', 'gets': 'use fgets',
}
CALL = re.compile(r'(?<![\w.>])(' + '|'.join(CALLS) + r')\s*\(')
TO_STDOUT = re.compile(r'\bstdout\b')
# zf_print_version is the one call of the API that prints and ends the process.
ALLOWED = {('lib/stack/version.c', 'exit')}

# Written in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r'\b(' + 'TO' + 'DO|FIX' + 'ME|X' + 'XX)\\b')
DEAD_CODE = re.compile(r'^[ \t]*#[ \t]*if[ \t]+0\b', re.M)
MACHINE_PATH = re.compile(r'(?<![\w$}.])/(?:' + 'wo' + r'rk|ro' + r'ot|ho' + r'me/[a-z]\w*)(?=/|\b)')
SPDX = 'SPDX-License-Identifier: BSD-3-Clause'
CODE = ('.c', '.h', '.inc', '.def', '.cc')
LICENSED = CODE + ('.py', '.sh', '.map', '.in', 'meson.build', 'meson_options.txt', '.pkt', '.ci/run',
                   'guide_facts.txt', 'guide_missing.txt')
LOOKED_AT = LICENSED + ('.md', '.txt', '.yml', '.supp')


def line_of(text, pos):
    return text.count('\n', 0, pos) + 1


def check_calls(path, text, findings):
    code = checklib.strip_c(text)
    for m in CALL.finditer(code):
        if (path, m[1]) not in ALLOWED:
            findings.add(path, line_of(code, m.start()), f'{m[1]}()', 'not in lib and drivers', CALLS[m[1]])
    for m in TO_STDOUT.finditer(code):
        findings.add(path, line_of(code, m.start()), 'stdout', 'standard output belongs to the application',
                     'use the log')


def check(root, findings, args):
    for path in checklib.tree_files(root, LOOKED_AT):
        if path.startswith('build/'):
            continue
        text = checklib.read(root, path)
        if path.endswith(CODE) and path.split('/')[0] in ('lib', 'drivers'):
            check_calls(path, text, findings)
        if path.endswith(LICENSED) and SPDX not in '\n'.join(text.splitlines()[:3]):
            findings.add(path, 1, 'no SPDX line', 'each source names its licence', f'begin it with {SPDX}')
        for m in UNFINISHED.finditer(text):
            findings.add(path, line_of(text, m.start()), m[1], 'nothing unfinished in the tree',
                         'finish it, or file an issue')
        if path.endswith(CODE):
            for m in DEAD_CODE.finditer(text):
                findings.add(path, line_of(text, m.start()), 'switched-off code', 'no dead code', 'delete it')
        for m in MACHINE_PATH.finditer(text):
            findings.add(path, line_of(text, m.start()), f'path {m[0]}', 'no paths of one machine',
                         'make it relative, or an option')


def case(name, path, code, wanted, spdx=True):
    return (name, {path: (f'/* {SPDX} */\n' if spdx else '') + code + '\n'}, wanted)


CASES = [case(f'{call} in lib', 'lib/ip/a.c', f'x = {call}(1);', f'{call}()') for call in CALLS] + [
    case('in a driver', 'drivers/wire/a.c', 'abort();', 'abort()'),
    case('in a test', 'test/unit/a.c', 'abort();', None),
    case('in a comment', 'lib/ip/a.c', '/* never abort() */', None),
    case('in a string', 'lib/ip/a.c', 'log("abort()");', None),
    case('snprintf', 'lib/ip/a.c', 'snprintf(b, n, "x");', None),
    case('a field of that name', 'lib/ip/a.c', 'p->exit(1); s.random(2); rng_random(3);', None),
    case('stdout', 'lib/ip/a.c', 'fprintf(stdout, "x");', 'stdout'),
    case('version may exit', 'lib/stack/version.c', 'exit(0);', None),
    case('version may not abort', 'lib/stack/version.c', 'abort();', 'abort()'),
    case('no licence', 'lib/ip/a.c', 'int x;', 'no SPDX line', spdx=False),
    case('no licence, script', 'buildtools/a.sh', 'true', 'no SPDX line', spdx=False),
    case('unfinished', 'test/unit/a.c', '/* TO' + 'DO more */', 'nothing unfinished'),
    case('dead', 'lib/ip/a.c', '#if ' + '0', 'no dead code'),
    case('path', 'doc/a.md', 'see /ro' + 'ot/x', 'no paths of one machine'),
    case('path of somebody', 'doc/a.md', 'see /ho' + 'me/ann/x', 'no paths of one machine'),
    case('no path', 'doc/a.md', 'a frame/work/x and $D/wo' + 'rk', None),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
