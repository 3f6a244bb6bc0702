#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sizes: .c 800 lines, .h and .inc 400, a function 80. Beyond that a comment with "Size:" and a reason stands beside it: at the
top of the file, or directly above the function (or in its first lines)."""
import re

import checklib

LIMITS = {'.c': 800, '.h': 400, '.inc': 400}
FUNCTION = 80
TOP_LINES = 30
ABOVE_LINES = 12
REASON = re.compile(r'Size:\s*[A-Za-z]\w*\s+\w+')


def check_functions(path, lines, code, findings):
    """A function body starts with a brace in the first column, as the style has it, and ends with one."""
    start = None
    for n, line in enumerate(code, 1):
        if line.startswith('{'):
            start = n
        elif line.startswith('}') and start is not None:
            length = n - start + 1
            beside = '\n'.join(lines[max(0, start - ABOVE_LINES):start + 3])
            if length > FUNCTION and not REASON.search(beside):
                findings.add(path, start, f'function of {length} lines', f'at most {FUNCTION}',
                             'split it by step, or write the reason above it: "Size: why"')
            start = None


def check(root, findings, args):
    for path in checklib.tree_files(root, list(LIMITS), ['include', 'lib', 'drivers', 'examples', 'app', 'test']):
        text = checklib.read(root, path)
        lines = text.splitlines()
        limit = LIMITS[path[path.rindex('.'):]]
        if len(lines) > limit and not REASON.search('\n'.join(lines[:TOP_LINES])):
            findings.add(path, len(lines), f'{len(lines)} lines', f'at most {limit}',
                         'split it by job, or write the reason at its top: "Size: why"')
        check_functions(path, lines, checklib.strip_c(text).splitlines(), findings)


def body(n, above='', inside=''):
    return above + 'int\nf(void)\n{\n' + inside + '\tx();\n' * (n - 2) + '}\n'


CASES = [
    ('small', {'lib/base/a.c': body(80)}, None),
    ('long function', {'lib/base/a.c': body(81)}, 'function of 81 lines'),
    ('with a reason', {'lib/base/a.c': body(81, '/* Size: one case a line, nothing to split */\n')}, None),
    ('a reason without words', {'lib/base/a.c': body(81, '/* Size: */\n')}, 'function of 81 lines'),
    ('brace in a comment', {'lib/base/a.c': body(70, inside='/*\n{\n*/\n')}, None),
    ('long file', {'lib/base/a.c': 'int x;\n' * 801}, '801 lines; at most 800'),
    ('long header', {'lib/base/a.h': 'int x;\n' * 401}, '401 lines; at most 400'),
    ('long header with a reason', {'lib/base/a.h': '/* Size: public and documented */\n' + 'int x;\n' * 401}, None),
    ('test files too', {'test/unit/a.c': 'int x;\n' * 801}, '801 lines'),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
