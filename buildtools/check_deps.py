#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who may look into which room: the table of doc/design.md, held against every #include in the tree."""
import os
import re

import checklib

# room -> rooms whose headers it may include (its own always). A room is the first two folders, or the first one.
ROOMS = {
    'include/zf': [],
    'lib/base': [],
    'lib/core': ['include/zf', 'lib/base'],
    'lib/ip': ['include/zf', 'lib/base', 'lib/core'],
    'lib/udp': ['include/zf', 'lib/base', 'lib/core', 'lib/ip'],
    'lib/tcp': ['include/zf', 'lib/base', 'lib/core', 'lib/ip'],
    'lib/stack': ['include/zf', 'lib/base', 'lib/core', 'lib/ip', 'lib/udp', 'lib/tcp'],
    'drivers/wire': ['lib/base', 'lib/core'],
    'drivers/af_packet': ['lib/base', 'lib/core'],
    'drivers/ethdev': ['lib/base', 'lib/core'],
    'drivers/ef_vi': ['lib/base', 'lib/core', 'drivers/af_packet'], # what stays with the kernel comes from there
    'drivers/mem': ['lib/base', 'lib/core'],
    'drivers/softvi': ['lib/base', 'lib/core', 'drivers/mem', 'drivers/ef_vi'], # a model for tests, no driver of the library
    'examples': ['include/zf'],
    'app': ['include/zf', 'lib/base', 'lib/core', 'lib/stack'],
    'test': None,       # anything
}
# The one list of drivers, and so the one file of lib that names them; it is generated from the build's options.
DRIVER_TABLE = re.compile(r'lib/stack/(driver_table|drivers)\.(c|h|def|c\.in|h\.in)$')

ETHDEV = re.compile(r'rte_(ethdev|eth_|flow)')
ETHDEV_ROOMS = ('drivers/ethdev', 'app', 'test')
EF_VI = re.compile(r'(etherfabric|ci|cplane|onload)/')
EF_VI_ROOMS = ('drivers/ef_vi', 'test')
DPDK = re.compile(r'rte_|cmdline')
NO_DPDK_ROOMS = ('lib/base', 'examples', 'include/zf')
# Shows how an application that starts EAL by itself uses the library: it needs EAL's headers, and is the one that may.
DPDK_EXAMPLE = 'examples/eal_echo.c'
DPDK_EXAMPLE_MAY = re.compile(r'rte_(eal|errno|launch|lcore)\.h$')
LIBC = re.compile(r'(sys|netinet|arpa|net|linux|asm|bits)/|[a-z0-9_]+\.h$')
LIBC_ROOMS = ('lib/base', 'examples', 'include/zf')
SOURCES = ['.c', '.h', '.inc', '.def', '.cc']


def room_of(path):
    parts = path.split('/')
    two = '/'.join(parts[:2])
    return two if two in ROOMS else parts[0]


def resolve(root, path, name):
    """The file of the tree that an include means, or None."""
    for base in (os.path.dirname(path), 'lib', 'drivers', 'include', 'test', ''):
        rel = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, rel)):
            return rel.replace(os.sep, '/')
    return None


def check_outside(path, line, room, name, findings):
    """An include of something that is not ours."""
    if ETHDEV.match(name) and room not in ETHDEV_ROOMS:
        findings.add(path, line, f'includes <{name}>', 'ethdev and flow headers live in drivers/ethdev and app',
                     'ask for it through core/port.h')
    elif EF_VI.match(name) and room not in EF_VI_ROOMS:
        findings.add(path, line, f'includes <{name}>', 'ef_vi headers live in drivers/ef_vi',
                     'ask for it through core/port.h')
    elif path == DPDK_EXAMPLE and DPDK_EXAMPLE_MAY.match(name):
        pass
    elif DPDK.match(name) and room in NO_DPDK_ROOMS and os.path.basename(path) != 'zf_dpdk.h':
        findings.add(path, line, f'includes <{name}>', f'{room} knows no DPDK', 'move the code that needs it up a room')
    elif room in LIBC_ROOMS and not DPDK.match(name) and not LIBC.match(name):
        findings.add(path, line, f'includes <{name}>', f'{room} includes libc only', 'do without that library')


def check_include(root, path, line, kind, name, findings):
    room = room_of(path)
    seen = resolve(root, path, name)
    if kind == '<' and (seen is None or not seen.startswith('include/')):
        return check_outside(path, line, room, name, findings)
    if seen is None:
        if name not in GENERATED:
            findings.add(path, line, f'includes "{name}", which is nowhere', 'an include names a file of the tree',
                         'write it as "room/file.h", or list it in GENERATED of check_deps.py')
        return None
    if room == 'examples' and seen != 'include/zf/zf.h' and room_of(seen) != 'examples':
        findings.add(path, line, f'includes {seen}', 'an example sees <zf/zf.h> and libc', 'use the public API')
        return None
    allowed = ROOMS[room]
    target = room_of(seen)
    if allowed is None or target == room or target in allowed:
        return None
    if target.startswith('drivers/') and DRIVER_TABLE.match(path):
        return None
    findings.add(path, line, f'{room} includes {seen}', f'{room} may see: {", ".join(allowed) or "libc"}',
                 'pass what it needs through a struct or a callback of a room it may see')
    return None


# Headers that exist in a build folder only.
GENERATED = {'zf_version_gen.h'}


def check(root, findings, args):
    for path in checklib.tree_files(root, SOURCES, ['include', 'lib', 'drivers', 'examples', 'app', 'test']):
        if room_of(path) not in ROOMS:
            findings.add(path, 1, 'lies in no room', 'every source belongs to a room of the table',
                         'move it, or add the room to check_deps.py and doc/design.md')
            continue
        for line, kind, name in checklib.includes(checklib.read(root, path)):
            check_include(root, path, line, kind, name, findings)


BASE = {'lib/base/a.h': '', 'lib/core/port.h': '', 'lib/udp/u.h': '', 'lib/tcp/t.h': '', 'drivers/wire/w.h': '',
        'lib/stack/s.h': '', 'lib/ip/i.h': '', 'include/zf/zf.h': ''}


def case(name, path, include, wanted):
    return (name, {**BASE, path: f'/* x */\n#include {include}\n'}, wanted)


CASES = [
    case('base sees libc', 'lib/base/x.c', '<stdint.h>', None),
    case('base sees rte', 'lib/base/x.c', '<rte_mbuf.h>', 'lib/base knows no DPDK'),
    case('base sees core', 'lib/base/x.c', '"core/port.h"', 'lib/base includes lib/core/port.h'),
    case('base sees a library', 'lib/base/x.c', '<CUnit/Basic.h>', 'libc only'),
    case('base sees zf', 'lib/base/x.c', '<zf/zf.h>', 'lib/base includes include/zf/zf.h'),
    case('core sees ip', 'lib/core/x.h', '"ip/i.h"', 'lib/core includes lib/ip/i.h'),
    case('udp sees tcp', 'lib/udp/x.c', '"tcp/t.h"', 'lib/udp includes lib/tcp/t.h'),
    case('tcp sees udp', 'lib/tcp/x.c', '"udp/u.h"', 'lib/tcp includes lib/udp/u.h'),
    case('stack sees udp', 'lib/stack/x.c', '"udp/u.h"', None),
    case('stack sees a driver', 'lib/stack/x.c', '"wire/w.h"', 'lib/stack includes drivers/wire/w.h'),
    case('the table sees a driver', 'lib/stack/driver_table.c', '"wire/w.h"', None),
    case('driver sees ip', 'drivers/wire/x.c', '"ip/i.h"', 'drivers/wire includes lib/ip/i.h'),
    case('driver sees its own', 'drivers/wire/x.c', '"wire/w.h"', None),
    case('driver sees another', 'drivers/mem/x.c', '"wire/w.h"', 'drivers/mem includes drivers/wire/w.h'),
    case('stack sees ethdev', 'lib/stack/x.c', '<rte_ethdev.h>', 'drivers/ethdev and app'),
    case('wire sees flow', 'drivers/wire/x.c', '<rte_flow.h>', 'drivers/ethdev and app'),
    case('rte_ether is fine', 'lib/ip/x.c', '<rte_ether.h>', None),
    case('ethdev sees ethdev', 'drivers/ethdev/x.c', '<rte_ethdev.h>', None),
    case('stack sees ef_vi', 'lib/stack/x.c', '<etherfabric/vi.h>', 'drivers/ef_vi'),
    case('example sees zf', 'examples/x.c', '<zf/zf.h>', None),
    case('example sees lib', 'examples/x.c', '"base/a.h"', 'an example sees'),
    case('example sees rte', 'examples/x.c', '<rte_eal.h>', 'examples knows no DPDK'),
    case('the EAL example sees EAL', 'examples/eal_echo.c', '<rte_eal.h>', None),
    case('the EAL example sees mbufs', 'examples/eal_echo.c', '<rte_mbuf.h>', 'examples knows no DPDK'),
    case('the EAL example sees lib', 'examples/eal_echo.c', '"base/a.h"', 'an example sees'),
    case('app sees udp', 'app/x.c', '"udp/u.h"', 'app includes lib/udp/u.h'),
    case('app sees stack', 'app/x.c', '"stack/s.h"', None),
    case('test sees anything', 'test/unit/x.c', '"tcp/t.h"', None),
    case('nowhere', 'lib/ip/x.c', '"ip/none.h"', 'which is nowhere'),
    case('public header sees rte', 'include/zf/x.h', '<rte_mbuf.h>', 'include/zf knows no DPDK'),
    ('no room', {'lib/odd/x.c': ''}, 'lies in no room'),
    ('a comment is no include', {'lib/base/x.c': '/*\n#include "core/port.h"\n*/\n', 'lib/core/port.h': ''}, None),
]

if __name__ == '__main__':
    checklib.main(__doc__, check, CASES)
