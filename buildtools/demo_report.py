#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns what demo.sh measured (DIR/wire-N.out with wire_raw's JSON, DIR/udp-N.ns and tcp-N.ns with one round trip in
ns a line) into a table and a histogram, or into JSON. Percentiles are medians over the rounds; min is the smallest."""
import argparse
import glob
import json
import math
import os
import statistics
import sys

COLUMNS = ['min', 'p50', 'p90', 'p99', 'p99.9']
NAMES = {'wire': 'bare wire', 'udp': 'UDP', 'tcp': 'TCP'}


def percentile(values, p):
    """Nearest rank of sorted values."""
    return values[max(0, math.ceil(len(values) * p / 100) - 1)]


def of_values(values):
    values = sorted(values)
    return {c: values[0] if c == 'min' else percentile(values, float(c[1:])) for c in COLUMNS}


def over_rounds(rounds):
    return {c: (min if c == 'min' else statistics.median)(r[c] for r in rounds) for c in COLUMNS}


def load(folder):
    """{name: {'rtt_ns': {...}}}, and all values of udp and tcp."""
    figures, values = {}, {}
    rounds = []
    for path in glob.glob(os.path.join(folder, 'wire-*.out')):
        with open(path, encoding='utf-8') as f:
            rounds.append(json.load(f)['rtt_ns'])
    if rounds:
        figures['wire'] = over_rounds(rounds)
    for name in ('udp', 'tcp'):
        rounds, everything = [], []
        for path in glob.glob(os.path.join(folder, f'{name}-*.ns')):
            with open(path, encoding='utf-8') as f:
                ns = [float(line) for line in f if line.strip() and not line.startswith('#')]
            if ns:
                rounds.append(of_values(ns))
                everything += ns
        if rounds:
            figures[name], values[name] = over_rounds(rounds), everything
    return figures, values


def time_text(ns):
    return f'{ns:.0f} ns' if abs(ns) < 10000 else f'{ns / 1000:.1f} us' if abs(ns) < 1e7 else f'{ns / 1e6:.1f} ms'


def table(figures):
    rows = [['round trip', *COLUMNS]] + [[NAMES[n], *(time_text(f[c]) for c in COLUMNS)] for n, f in figures.items()]
    for name in ('udp', 'tcp'):
        if name in figures and 'wire' in figures:
            rows.append([f'{NAMES[name]} - wire', *(time_text(figures[name][c] - figures['wire'][c]) for c in COLUMNS)])
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths)))
                     for r in rows)


def histogram(values, width=50, bins=16):
    """Between min and p99; what lies beyond is one last bar."""
    values = sorted(values)
    low, high = values[0], max(percentile(values, 99), values[0] + 1)
    step = max(1, math.ceil((high - low) / bins))
    counts = {}
    for v in values:
        counts[min(int((v - low) // step), bins)] = counts.get(min(int((v - low) // step), bins), 0) + 1
    most = max(counts.values())
    lines = []
    for b in range(bins + 1):
        n = counts.get(b, 0)
        label = f'{time_text(low + b * step):>9}' if b < bins else f'   beyond'
        lines.append(f'{label}  {"#" * math.ceil(n * width / most):<{width}}  {100 * n / len(values):5.1f} %')
    return '\n'.join(lines)


def self_test():
    ns = of_values(range(1, 1001))
    wanted = {'min': 1, 'p50': 500, 'p90': 900, 'p99': 990, 'p99.9': 999}
    both = over_rounds([wanted, {c: v + 2 for c, v in wanted.items()}])
    bars = histogram(list(range(1000)) + [10 ** 6] * 20).splitlines()
    ok = (ns == wanted and both['min'] == 1 and both['p50'] == 501 and time_text(9999) == '9999 ns'
          and time_text(12345) == '12.3 us' and abs(sum(float(b.split()[-2]) for b in bars) - 100) < 1)
    if not ok:
        print(f'self-test: {ns} {both} {bars}')
    sys.exit(0 if ok else 1)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument('--self-test', action='store_true', help='report on made-up values')
    ap.add_argument('--json', action='store_true')
    ap.add_argument('--size', type=int, default=64)
    ap.add_argument('--pin', default='none')
    ap.add_argument('folder', nargs='?')
    args = ap.parse_args()
    if args.self_test:
        self_test()
    if args.folder is None:
        ap.error('which folder?')
    figures, values = load(args.folder)
    if not values:
        sys.exit('demo_report.py: nothing was measured')
    if args.json:
        print(json.dumps({n: {'rtt_ns': f} for n, f in figures.items()}))
        return
    where = f'CPUs {args.pin}' if args.pin != 'none' else 'not pinned'
    print(f'{args.size} bytes of payload, two processes, {where}\n')
    print(table(figures))
    for name, all_values in values.items():
        print(f'\n{NAMES[name]}, {len(all_values)} round trips\n{histogram(all_values)}')


if __name__ == '__main__':
    main()
