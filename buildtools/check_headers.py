#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each header compiles alone: private ones as gnu11, public ones as C99, C11 and C++17 with the umbrella's guard
defined, the umbrella itself in all three, and a small program that embeds the message structures as applications do.
Results are kept in BUILD/headers.json by a hash of all that went in, so that a second run compiles nothing."""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess

import checklib

HAVE_CLANG = shutil.which('clang') is not None
WARN = ['-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter']
UMBRELLA = 'include/zf/zf.h'
LANGUAGES = {'C99': ['-x', 'c', '-std=c99'], 'C11': ['-x', 'c', '-std=c11'], 'C++17': ['-x', 'c++', '-std=c++17']}
GNU11 = ['-x', 'c', '-std=gnu11', '-D_GNU_SOURCE']

# What applications do with the message structures; their flexible array is legal here, not in pedantic mode.
EMBED = '''#include <zf/zf.h>
#ifdef {marker}
struct rd {{ struct {message} msg; struct iovec iov[2]; }};
int use(struct rd *r); int use(struct rd *r) {{ r->msg.iovcnt = 2; return (r->msg.iov[0].iov_len > 0) + r->msg.iovcnt; }}
#endif
int nothing;
'''


class Job:
    def __init__(self, path, what, flags, source, clang=False):
        self.path, self.what, self.flags, self.source = path, what, flags, source
        self.compiler = compiler('c++' in flags, clang)


def dpdk_flags():
    run = subprocess.run(['pkg-config', '--cflags', 'libdpdk'], text=True, capture_output=True, check=False)
    flags = shlex.split(run.stdout) if run.returncode == 0 else []
    # Somebody else's headers: no warnings from them.
    return [f.replace('-I', '-isystem', 1) if f.startswith('-I') else f for f in flags]


def umbrella_guard(root):
    m = re.search(r'^#ifndef (\w+)\n#define \1\b', checklib.read(root, UMBRELLA), re.M)
    return m[1] if m else None


def jobs_of(root, findings):
    inc = ['-I', os.path.join(root, 'include')]
    private = inc + ['-I', os.path.join(root, 'lib'), '-I', os.path.join(root, 'drivers'),
                     '-I', os.path.join(root, 'test'), '-msse4.2', '-DZF_LOG_CEILING=7', '-DZF_TEST=1', '-DZF_CHECKS=1'] + dpdk_flags()
    guard = umbrella_guard(root)
    if guard is None:
        findings.add(UMBRELLA, 1, 'no include guard', 'the umbrella has one', 'add it')
    jobs = []
    for path in checklib.tree_files(root, ['.h'], ['include', 'lib', 'drivers', 'examples', 'app', 'test']):
        here = ['-I', os.path.join(root, os.path.dirname(path))]
        if path.startswith('include/') and os.path.basename(path) not in checklib.OWN_HEADERS:
            name = path[len('include/'):]
            alone = [] if path == UMBRELLA else [f'-D{guard}']
            for language, flags in LANGUAGES.items():
                jobs.append(Job(path, language, [*flags, '-pedantic', *WARN, *inc, *alone],
                                f'#include <{name}>\nint nothing;\n'))
        elif path.startswith('include/'):
            for language, flags in (('gnu11', GNU11), ('gnu++17', ['-x', 'c++', '-std=gnu++17'])):
                jobs.append(Job(path, language, [*flags, *WARN, *inc, *dpdk_flags()], f'#include "{path[8:]}"\nint nothing;\n'))
        else:
            jobs.append(Job(path, 'gnu11', [*GNU11, *WARN, *private, *here],
                            f'#include "{os.path.basename(path)}"\nint nothing;\n'))
    for message, marker in (('zfur_msg', 'ZFUT_FLAG_DONT_FRAGMENT'), ('zft_msg', 'ZF_TCP_H')):
        for language, flags in LANGUAGES.items():
            for clang in (False, True) if HAVE_CLANG else (False,):
                jobs.append(Job(UMBRELLA, f'{message} embedded, {language}, {"clang" if clang else "gcc"}',
                                [*flags, *WARN, *inc], EMBED.format(message=message, marker=marker), clang))
    if HAVE_CLANG:
        for language, flags in LANGUAGES.items():
            jobs.append(Job(UMBRELLA, f'{language}, clang', [*flags, '-pedantic', *WARN, *inc],
                            '#include <zf/zf.h>\nint nothing;\n', True))
    return jobs


def state_of(root):
    """A hash of everything that the jobs have in common: all headers, the compilers, DPDK."""
    h = hashlib.sha256()
    for path in checklib.tree_files(root, ['.h', '.def'], ['include', 'lib', 'drivers', 'examples', 'app', 'test']):
        h.update(path.encode() + b'\0' + checklib.read(root, path).encode() + b'\0')
    commands = [[*compiler(False), '--version'], [*compiler(True), '--version'], ['pkg-config', '--modversion', 'libdpdk']]
    if HAVE_CLANG:
        commands.append(['clang', '--version'])
    for command in commands:
        h.update(subprocess.run(command, capture_output=True, check=False).stdout)
    return h.hexdigest()


def compiler(cxx, clang=False):
    if clang:
        return ['clang++' if cxx else 'clang']
    return (os.environ.get('CXX', 'g++') if cxx else os.environ.get('CC', 'gcc')).split()


def compile_one(root, job):
    command = [*job.compiler, '-fsyntax-only', *job.flags, '-']
    run = subprocess.run(command, input=job.source, text=True, capture_output=True, check=False, cwd=root)
    if run.returncode == 0:
        return None
    m = re.search(r'^(?:In file included from )?([^\n:]+):(\d+)(?::\d+)?: (?:fatal )?error: ([^\n]*)', run.stderr, re.M)
    return (os.path.relpath(os.path.join(root, m[1]), root), int(m[2]), m[3]) if m and m[1] != '<stdin>' else \
           (job.path, 1, run.stderr.strip()[:300].replace('\n', ' '))


def check(root, findings, args):
    jobs = jobs_of(root, findings)
    cache_path = os.path.join(args.build, 'headers.json')
    state = state_of(root)
    try:
        with open(cache_path, encoding='utf-8') as f:
            cached = json.load(f)
    except (OSError, ValueError):
        cached = {}
    with open(__file__, 'rb') as f:
        state += hashlib.sha256(f.read()).hexdigest()
    if cached.get('state') == state and cached.get('clean') == len(jobs):
        return
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for job, error in zip(jobs, pool.map(lambda j: compile_one(root, j), jobs)):
            if error:
                bad += 1
                findings.add(error[0], error[1], f'{job.path} alone as {job.what}: {error[2]}',
                             'each header compiles alone', 'include what it needs')
    if not bad:
        os.makedirs(args.build, exist_ok=True)
        with open(cache_path, 'w', encoding='utf-8') as f:
            json.dump({'state': state, 'clean': len(jobs)}, f)


ZF_H = ('#ifndef ZF_ZF_H\n#define ZF_ZF_H\n#include <sys/uio.h>\n#define ZFUT_FLAG_DONT_FRAGMENT 1\n'
        '#if defined(__cplusplus) || defined(__clang__)\n#define N 0\n#else\n#define N\n#endif\n'
        'struct zfur_msg {\n\tint iovcnt;\n#ifndef __STRICT\n\t__extension__\n#endif\n\tstruct iovec iov[N];\n};\n'
        '#include <zf/part.h>\n#endif\n')
PART = '#ifndef ZF_PART_H\n#define ZF_PART_H\n#ifndef ZF_ZF_H\n#error "zf.h"\n#endif\nstruct part { int a; };\n#endif\n'


def case(name, wanted, **files):
    tree = {UMBRELLA: ZF_H, 'include/zf/part.h': PART}
    tree.update({k.replace('__', '/') + '.h': v for k, v in files.items()})
    return (name, tree, wanted)


CASES = [
    case('clean', None, lib__base__a='#include <stdint.h>\nstatic inline int a_f(uint8_t x) { return x; }\n'),
    case('leans on another include', 'lib/base/a.h alone as gnu11', lib__base__a='uint8_t a_v;\n'),
    case('not C++', 'as C++17', include__zf__part='struct part { int class; };\n'),
    case('not C99', 'as C99', include__zf__part='_Static_assert(1, "x");\n'),
    case('not C11', 'as C11', include__zf__part='typeof(1) part_v;\n'),
    case('a warning', 'lib/base/a.h alone', lib__base__a='static int a_f(void) { }\n'),
    ('no guard', {UMBRELLA: 'int x;\n'}, 'no include guard'),
    ('cannot be embedded', {UMBRELLA: ZF_H.replace('iovcnt', 'count'), 'include/zf/part.h': PART}, 'zfur_msg embedded'),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
