#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rows.py SOURCE_ROOT: what the tables of the source have, against docs/ and tests/negative/ (TAP), both ways: each primitive,
intrinsic, option, function of the language, diagnostic and foreign word has its heading, row, mention or negative kernel, and the
docs head no section and fill no row with what does not exist."""
import os
import re
import sys

root = sys.argv[1]


def read(path):
    with open(os.path.join(root, path), encoding='utf-8') as f:
        return f.read()


def rows(path, macro, before=''):
    """The text of each row of a table: quoted, or a word, behind the columns that `before` matches."""
    return set(re.findall(r'^' + macro + r'\(' + before + r'"?([^",]+)', read(path), re.M))


def part(path, start, end):
    text = read(path)
    a = text.index(start)
    return text[a:text.index(end, a + len(start))]


cases = []


def compare(name, table, docs, back=None):
    """Every member of the table is in docs; every member of `back` (docs) is in the table."""
    lacks = sorted(table - docs)
    strange = sorted((docs if back is None else back) - table)
    cases.append((f'{len(table)} {name}', [f'no place in the docs: {x}' for x in lacks] + [f'does not exist: {x}' for x in strange]))


# Primitives: a heading each, below `## ` chapters of primitives.
schedule = read('docs/schedule.md')
headings = {n for h in re.findall(r'^### (.*)$', schedule, re.M) for n in h.split(', ')}
compare('primitives have a heading', rows('src/schedule/primitives.def', 'PRIMITIVE'), headings,
        headings - {'knob', 'for', 'if', 'Parts'})

# Diagnostics: a page each.
pages = set(re.findall(r'^## ([EWR]\d{4})\b', read('docs/diagnostics.md'), re.M))
compare('diagnostics have a page', rows('src/base/diag_codes.def', 'DIAG', r'\w+, '), pages)

# Intrinsics: a row of docs/tir.md, by their text.
tir = read('docs/tir.md')
intrins = rows('src/backend_vta/intrins.def', 'INTRIN', r'\w+, ') | {'vta.' + t for t in rows('src/isa/isa.def', 'ALU_OP', r'\w+, ')}
scopes = {'vta.inp', 'vta.wgt', 'vta.acc', 'vta.uop', 'vta.batch', 'vta.block_in', 'vta.block_out'}
compare('intrinsics are in docs/tir.md', intrins, set(re.findall(r'vta\.\w+', tir)), set(re.findall(r'`(vta\.\w+)\(', tir)) - scopes)

# Options: mentioned somewhere; what the docs give to tetc is an option.
options = rows('src/driver/options.def', 'OPTION', r'\w+, \w+, ')
docs = ''.join(read('docs/' + f) for f in sorted(os.listdir(os.path.join(root, 'docs'))) if f.endswith('.md')) + read('README.md')
said = {o for o in options if re.search(r'(?<![\w-])' + re.escape(o) + r'(?![\w-]*\w)' if len(o) > 2 else re.escape(o), docs)}
given = set()
for command in re.findall(r'^\s*(?:build/)?tetc ((?:check|compile|run|verify|fix|opt)\b[^\n#]*)', docs, re.M):
    given |= {re.match(r'-(?:-[\w-]+|mcpu|mattr|\w)', w)[0] for w in command.split() if re.match(r'-(?:-\w|\w)', w)}
compare('options are mentioned', options, said, given)

# Functions of the language: the table of docs/language.md.
table = part('docs/language.md', 'Functions:\n', '```te')
words = set(re.findall(r'\w+', ' '.join(re.findall(r'^\| (.*?) \|', table, re.M))))
functions = rows('src/base/ops.def', 'MATH', r'\w+, ') | rows('src/te/builtins.def', 'OPERATORS') | rows('src/te/builtins.def', 'SPECIAL', r'\w+, ')
called = set(re.findall(r'`(\w+)\(', ' '.join(re.findall(r'^\| (.*?) \|', table, re.M))))
types = rows('src/base/dtypes.def', 'DTYPE', r'\w+, ')
compare('functions have a row', functions, words | set(re.findall(r'`(\w+)\(', read('docs/language.md'))), called - types)

# Types: the list of docs/language.md.
compare('types are listed', types, set(re.findall(r'\w+', part('docs/language.md', 'The types are', 'An extent'))), set())

# Foreign words: a negative kernel each.
negatives = ''.join(read('tests/negative/user/' + f) for f in sorted(os.listdir(os.path.join(root, 'tests/negative/user'))))
answers = {a.replace('\\"', '"') for a in re.findall(r'^FOREIGN\(\w+, "[^"]+", "((?:[^"\\]|\\.)*)"', read('src/te/foreign.def'), re.M)}
compare('answers to foreign words are in negative kernels', answers, {a for a in answers if 'error: ' + a in negatives})

print(f'1..{len(cases)}')
for i, (name, faults) in enumerate(cases, 1):
    print(('not ok' if faults else 'ok') + f' {i} - {name}')
    for f in faults:
        print('# ' + f)
sys.exit(any(f for _, f in cases))
