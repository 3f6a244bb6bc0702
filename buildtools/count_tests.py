#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up what the test programs of one `meson test` run said. A program closes with a line
`NAME: N passed, N failed, N skipped`; one without it counts as a single test by its exit code. Failures are shown with
the end of their output. Prints one closing line for the whole run."""
import argparse
import json
import re
import sys

CLOSING = re.compile(r'^[\w./ +-]+: (\d+) passed, (\d+) failed, (\d+) skipped\s*$', re.M)


def count(entry):
    """(passed, failed, skipped) of one line of testlog.json."""
    ok = entry['result'] in ('OK', 'EXPECTEDFAIL')
    lines = CLOSING.findall(entry.get('stdout') or '')
    if entry['result'] == 'SKIP' and not lines:
        return 0, 0, 1
    if not lines:
        return (1, 0, 0) if ok else (0, 1, 0)
    passed, failed, skipped = (int(n) for n in lines[-1])
    if not ok and failed == 0 and entry['result'] != 'SKIP':
        failed = 1      # it closed well and died after that, or ran into its time limit
    return passed, failed, skipped


def show(entry, tail):
    print(f'---- {entry["name"]}: {entry["result"]}, exit code {entry.get("returncode")} ----')
    for stream in ('stdout', 'stderr'):
        lines = (entry.get(stream) or '').rstrip().splitlines()
        if lines:
            print(f'-- {stream}, last {min(tail, len(lines))} of {len(lines)} lines')
            print('\n'.join(lines[-tail:]))


def reasons(entry):
    """Why something was skipped, as the program said it."""
    for line in (entry.get('stdout') or '').splitlines():
        m = re.search(r'\bskipped: (.+)', line)
        if m:
            yield f'skipped in {entry["name"]}: {m[1]}'


SELF_TEST = [
    ({'result': 'OK', 'stdout': 'x\nwheel: 7 passed, 0 failed, 2 skipped\n'}, (7, 0, 2)),
    ({'result': 'FAIL', 'stdout': 'wheel: 6 passed, 1 failed, 0 skipped\n'}, (6, 1, 0)),
    ({'result': 'FAIL', 'stdout': 'wheel: 7 passed, 0 failed, 0 skipped\n'}, (7, 1, 0)),       # died afterwards
    ({'result': 'TIMEOUT', 'stdout': 'a: 1 passed, 0 failed, 0 skipped\n'}, (1, 1, 0)),
    ({'result': 'OK', 'stdout': 'no such line\n'}, (1, 0, 0)),
    ({'result': 'FAIL', 'stdout': ''}, (0, 1, 0)),
    ({'result': 'ERROR', 'stdout': None}, (0, 1, 0)),
    ({'result': 'SKIP', 'stdout': ''}, (0, 0, 1)),
    ({'result': 'SKIP', 'stdout': 'a: 0 passed, 0 failed, 3 skipped\n'}, (0, 0, 3)),
    ({'result': 'OK', 'stdout': 'a: 1 passed, 0 failed, 0 skipped\nb: 2 passed, 0 failed, 0 skipped\n'}, (2, 0, 0)),
]


def self_test():
    wrong = [(entry, count(entry), wanted) for entry, wanted in SELF_TEST if count(entry) != wanted]
    for entry, got, wanted in wrong:
        print(f'self-test: {entry} counted as {got}, wanted {wanted}')
    sys.exit(1 if wrong else 0)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--self-test', action='store_true', help='count a few made-up results')
    ap.add_argument('--name', default='tests', help='name in the closing line')
    ap.add_argument('--tail', type=int, default=60, help='lines shown of a failed program')
    ap.add_argument('log', nargs='?', help='testlog.json of meson test')
    args = ap.parse_args()
    if args.self_test:
        self_test()
    if args.log is None:
        ap.error('which log?')
    total = [0, 0, 0]
    try:
        with open(args.log, encoding='utf-8') as f:
            entries = [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as e:
        print(f'{args.log}: {e}')
        entries, total = [], [0, 1, 0]
    for entry in entries:
        counts = count(entry)
        total = [a + b for a, b in zip(total, counts)]
        if counts[1]:
            show(entry, args.tail)
        for line in sorted(set(reasons(entry))):
            print(line)
    print(f'{args.name}: {total[0]} passed, {total[1]} failed, {total[2]} skipped')
    sys.exit(1 if total[1] else 0)


if __name__ == '__main__':
    main()
