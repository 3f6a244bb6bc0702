# SPDX-License-Identifier: BSD-3-Clause
"""What the check_*.py scripts share: walking the tree, reading C just well enough, findings, self-tests.

A check is a function check(root, findings, args). It never looks outside of root, so that a self-test can hand it a
small tree of its own with one fault in it and want exactly that fault reported.
"""
import argparse
import os
import re
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED_DIRS = {'.git', '__pycache__', 'corpus', 'subprojects'}


class Findings:
    """One line each: file:line: what, rule, what to do."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, what, rule, remedy):
        self.lines.append(f'{path}:{line}: {what}; {rule}; {remedy}')

    def __len__(self):
        return len(self.lines)


def tree_files(root, suffixes, tops=None):
    """Paths below root (relative, '/'), build folders left out; tops limits the walk to these top folders."""
    found = []
    for folder, dirs, names in os.walk(root):
        at_top = os.path.samefile(folder, root)
        dirs[:] = sorted(d for d in dirs if d not in SKIPPED_DIRS and not (at_top and d.startswith('build')
                                                                           and d != 'buildtools'))
        if at_top and tops is not None:
            dirs[:] = [d for d in dirs if d in tops]
        for name in sorted(names):
            rel = os.path.relpath(os.path.join(folder, name), root)
            if name.endswith(tuple(suffixes)) and (tops is None or not at_top):
                found.append(rel)
    return found


def read(root, rel):
    with open(os.path.join(root, rel), encoding='utf-8', errors='replace') as f:
        return f.read()


_LEXEME = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def _blank(text):
    return re.sub(r'[^\n]', ' ', text)


def strip_comments(text):
    """Comments become spaces, line numbers stay."""
    return _LEXEME.sub(lambda m: _blank(m[0]) if m[0].startswith('/') else m[0], text)


def strip_c(text):
    """Comments and the insides of strings become spaces, line numbers stay."""
    def sub(m):
        s = m[0]
        return _blank(s) if s.startswith('/') else s[0] + _blank(s[1:-1]) + s[-1]
    return _LEXEME.sub(sub, text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


def includes(text):
    """(line, '<' or '"', name) of each include."""
    for m in _INCLUDE.finditer(strip_comments(text)):
        yield text.count('\n', 0, m.start()) + 1, m[1], m[2]


class Proto:
    """A function declared in a header."""

    def __init__(self, name, path, line, text, inline, doc):
        self.name, self.path, self.line, self.text, self.inline, self.doc = name, path, line, text, inline, doc


_NOT_NAMES = {'if', 'for', 'while', 'switch', 'return', 'sizeof', '__attribute__', '_Static_assert', 'static_assert',
              'defined', '__asm__', 'asm'}


def _declared_name(statement):
    """The identifier before the first parenthesis at depth 0 that is no attribute and no ALL_CAPS macro."""
    depth, i = 0, 0
    for m in re.finditer(r'(\w+)\s*\(|[()]', statement):
        if m[0] == ')':
            depth -= 1
        elif m[0] == '(':
            depth += 1
        else:
            if depth == 0 and m[1] not in _NOT_NAMES and not re.fullmatch(r'[A-Z0-9_]+', m[1]):
                return m[1]
            depth += 1
    return None


def prototypes(text, path):
    """Functions that a header declares (or defines inline), by reading it: preprocessor lines are ignored, bodies and
    struct contents are skipped, extern "C" blocks are entered."""
    code = strip_comments(text)
    code = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', lambda m: _blank(m[0]), code, flags=re.M)
    out, start, i, n = [], 0, 0, len(code)
    while i < n:
        c = code[i]
        if c == '"':
            m = _LEXEME.match(code, i)
            i = m.end() if m else i + 1
            continue
        if c == '{':
            head = code[start:i]
            if re.search(r'extern\s+"C"\s*$', head):
                start = i = i + 1
                continue
            depth, j = 1, i + 1
            while j < n and depth:
                depth += {'{': 1, '}': -1}.get(code[j], 0)
                j += 1
            if not re.match(r'\s*(typedef|struct|union|enum)\b[^(]*$', head):
                _keep(out, text, code, path, head, start)
                start = j
            i = j
            continue
        if c == '}':
            start = i + 1
        elif c == ';':
            head = code[start:i]
            if '{' not in head:
                _keep(out, text, code, path, head, start)
            start = i + 1
        i += 1
    return out


def _keep(out, text, code, path, head, start):
    if '(' not in head or re.match(r'\s*typedef\b', head):
        return
    name = _declared_name(head)
    if name is None or re.search(r'\(\s*\*\s*\w*\s*\)\s*\(', head.split(name)[0]):
        return
    macros = re.match(r'\s*(?:[A-Z][A-Z0-9_]+\s+)*', head).end()    # ZF_EXTERN_C_BEGIN and the like
    head = head[macros:]
    line = text.count('\n', 0, start + macros) + 1
    before = text[:start + macros]
    doc = re.search(r'/\*\*(?:(?!\*/).)*\*/\s*(?:#[^\n]*\s*)*$', before, re.S)
    inline = bool(re.search(r'\b(static|inline|__inline__?)\b', head))
    out.append(Proto(name, path, line, ' '.join(head.split()), inline, doc[0] if doc else ''))


def public_headers(root):
    return tree_files(os.path.join(root, 'include'), ['.h'])


def api(root, with_own=True):
    """{name: Proto} of everything that include/zf declares; zf_dpdk.h and zf_testing.h are ours, not the guide's."""
    out = {}
    for rel in public_headers(root):
        path = 'include/' + rel
        if not with_own and os.path.basename(rel) in OWN_HEADERS:
            continue
        for p in prototypes(read(root, path), path):
            out.setdefault(p.name, p)
    return out


OWN_HEADERS = {'zf_dpdk.h'}


def write_tree(root, files):
    for rel, text in files.items():
        path = os.path.join(root, rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)


def main(description, check, cases, more_args=None):
    """Runs check over the tree, or with --self-test over cases: a list of (name, files, wanted), where wanted is a
    piece of text that some finding must hold, or None when there must be none."""
    ap = argparse.ArgumentParser(description=description)
    ap.add_argument('--root', default=ROOT, help='the tree to look at (default: the one this script is in)')
    ap.add_argument('--build', default=None, help='build folder, for what is compiled and cached (default: ROOT/build/test)')
    ap.add_argument('--self-test', action='store_true', help='show that faults planted in a small tree are found')
    if more_args:
        more_args(ap)
    args = ap.parse_args()
    if args.self_test:
        sys.exit(self_test(check, cases, args))
    if args.build is None:
        args.build = os.path.join(args.root, 'build', 'test')
    findings = Findings()
    check(args.root, findings, args)
    for line in findings.lines:
        print(line)
    sys.exit(1 if findings else 0)


def self_test(check, cases, args):
    failed = 0
    for name, files, wanted in cases:
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, files)
            args.root, args.build = root, os.path.join(root, 'build')
            findings = Findings()
            check(root, findings, args)
        if wanted is None:
            ok = not findings
        else:
            ok = any(wanted in line for line in findings.lines)
        if not ok:
            failed += 1
            print(f'self-test {name}: wanted {wanted!r}, found {findings.lines}')
    if not cases:
        print('self-test: no cases')
        return 1
    return 1 if failed else 0
