#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""page.py docs/operators.md TETC [--bless]: the page holds the table that `tetc import --list-operators` prints. Prints TAP."""
import subprocess
import sys

page, tetc = sys.argv[1:3]
table = subprocess.run([tetc, 'import', '--list-operators'], capture_output=True, text=True, check=True).stdout
with open(page, encoding='utf-8') as f:
    text = f.read()
head = text[:text.index('| operator |')]
if '--bless' in sys.argv:
    with open(page, 'w', encoding='utf-8') as f:
        f.write(head + table)
    text = head + table
same = text == head + table
print('1..1')
print(('ok' if same else 'not ok') + ' 1 - the page is what the table says')
if not same:
    print(f'# `python3 tests/net/page.py {page} {tetc} --bless` makes it anew')
sys.exit(not same)
