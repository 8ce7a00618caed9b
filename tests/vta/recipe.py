#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""recipe.py SOURCE_ROOT: how to add an ALU operation, as docs/architecture.md tells it, against the tree (TAP).

Each file that the recipe names mentions every operation of isa.def, so that an operation which was forgotten there is told;
and what has a case for each is named. Six files at most."""
import os
import re
import sys

root = sys.argv[1]


def read(path):
    with open(os.path.join(root, path), encoding='utf-8') as f:
        return f.read()


def lacks(path, operations):
    """The operations that a file does not mention in the way of its language."""
    form = {'.def': 'ALU_OP\\({0},', '.sv': '\\bAlu{1}\\b', '.md': '`vta\\.{2}[`(]'}.get(os.path.splitext(path)[1],
                                                                                        '\\b(?:ALU|VTA)_{0}\\b')
    text = read(path)
    return [o for o in operations if not re.search(form.format(o, o.capitalize(), o.lower()), text)]


def has_cases(path):
    """Whether a file tells all operations apart."""
    text = read(path)
    return all(re.search(f'case (?:ALU|VTA)_{o}:|vta_pkg::Alu{o.capitalize()}\\b', text) for o in operations)


def sources():
    for top in ('src', 'hw/rtl'):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if name.endswith(('.c', '.h', '.def', '.sv')):
                    yield os.path.relpath(os.path.join(folder, name), root)


operations = re.findall(r'^ALU_OP\((\w+),', read('src/isa/isa.def'), re.M)
recipe = re.search(r'^\*\*An ALU operation\*\*:.*?\n\n', read('docs/architecture.md'), re.M | re.S)[0]
named = re.findall(r'`((?:\w+/)+\w+\.\w+)`', recipe)
forgotten = [f'{path} does not know {", ".join(lacks(path, operations))}' for path in named if lacks(path, operations)]
unnamed = [path for path in sources() if path not in named and has_cases(path)]

print('1..3')
print('\n'.join([('not ok' if forgotten else 'ok') + f' 1 - {len(operations)} operations in each of {len(named)} files',
                 *('# ' + f for f in forgotten)]))
print('\n'.join([('not ok' if unnamed else 'ok') + ' 2 - no other file tells them apart', *('# ' + f for f in unnamed)]))
print(('ok' if 0 < len(named) <= 6 else 'not ok') + ' 3 - no more than six files')
sys.exit(bool(forgotten or unnamed or not 0 < len(named) <= 6))
