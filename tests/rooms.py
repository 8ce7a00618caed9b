#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rooms.py SOURCE_ROOT: the rooms' include arrows, and whether each goes down (TAP). The order of rooms is that of `subdir`
in meson.build; docs/architecture.md lists the same."""
import os
import re
import sys


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def rooms_of(root):
    """The folders of rooms as meson builds them, lowest first."""
    return [d for d in re.findall(r"^subdir\('([\w/]+)'\)", read(os.path.join(root, 'meson.build')), re.M)
            if d.startswith('src/') or d == 'hw']


def room_of(rooms, path):
    """The room that a path below the root is in; None if it is in none."""
    return next((r for r in rooms if path.startswith(r + '/')), None)


def arrows(root, rooms):
    """(from, to, file, line) of each include of another room's header."""
    for room in rooms:
        for folder, _, files in os.walk(os.path.join(root, room)):
            for name in sorted(f for f in files if re.search(r'\.(c|h|cpp|def)$', f)):
                path = os.path.relpath(os.path.join(folder, name), root)
                for number, line in enumerate(read(os.path.join(root, path)).split('\n'), 1):
                    m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                    to = m and room_of(rooms, os.path.normpath(os.path.join('src', m[1])))
                    if m and '..' in m[1]:
                        to = room_of(rooms, os.path.normpath(os.path.join(os.path.dirname(path), m[1])))
                    if to and to != room:
                        yield room, to, path, number


def main():
    root = sys.argv[1]
    rooms = rooms_of(root)
    found, up = {}, []
    for room, to, path, line in arrows(root, rooms):
        found.setdefault(room, set()).add(to)
        if rooms.index(to) > rooms.index(room):
            up.append(f'{path}:{line} includes a header of {to}, which stands above {room}')
    listed = re.findall(r'^\| ((?:src/\w+|hw)(?= ))', read(os.path.join(root, 'docs/architecture.md')), re.M)
    print('1..2')
    for room in rooms:
        print(f'# {room:16} -> ' + (', '.join(sorted(found.get(room, ()), key=rooms.index)) or 'nothing'))
    print('\n'.join([('not ok' if up else 'ok') + ' 1 - no include goes up', *('# ' + u for u in up)]))
    print(('ok' if listed == rooms else 'not ok') + ' 2 - docs/architecture.md lists the rooms in the order of meson.build')
    if listed != rooms:
        print(f'# {listed}\n# {rooms}')
    return 1 if up or listed != rooms else 0


if __name__ == '__main__':
    sys.exit(main())
