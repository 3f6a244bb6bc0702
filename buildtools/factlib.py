# SPDX-License-Identifier: BSD-3-Clause
"""Reads guide_facts.txt (its own comments say what a line means)."""
import re

import checklib

FACTS = 'buildtools/guide_facts.txt'
KINDS = {'fn', 'inline', 'struct', 'type', 'val', 'off', 'err'}


class Fact:
    def __init__(self, kind, header, name, rest, line):
        self.kind, self.header, self.name, self.rest, self.line = kind, header, name, rest, line


def load(root, findings):
    facts, header = [], None
    for n, line in enumerate(checklib.read(root, FACTS).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        if line.startswith('['):
            header = line.strip('[]')
            facts.append(Fact('header', header, header, '', n))
            continue
        kind, _, rest = line.partition(' ')
        name = rest.split()[0] if rest else ''
        if kind in ('fn', 'inline'):
            m = re.search(r'(\w+)\(', rest)
            name = m[1] if m else ''
        if kind not in KINDS or not name or header is None:
            findings.add(FACTS, n, f'cannot be read: {line}', 'a fact has a kind and a name', 'see the top of the file')
            continue
        facts.append(Fact(kind, header, name, rest, n))
    return facts
