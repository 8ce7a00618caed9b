#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_pages.py TETC PAGES: the programs of docs/diagnostics.md. Each page's `Wrong:` raises its code, and its `Right:` compiles.

    Wrong (`tetc check FILE -D N=8`):     the block that follows is FILE; without a command it is `tetc check FILE`
    Wrong (`tetc check nothing.te`).      a command alone
    Shown by (`tetc check FILE ...`):     a remark, which is no error
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'driver'))
from tap import case, end  # noqa: E402

tetc, pages = (os.path.abspath(a) for a in sys.argv[1:3])
ITEM = re.compile(r'^(Wrong|Right|Shown by)(?: \(`(.*?)`\))?(?:\.|:\n\n((?:    .*\n|\n(?=    ))+))', re.M)
# What is not shown, and why.
NO_WRONG = {'E0003': 'too long to be read', 'E0402': 'too long', 'E0404': 'too long', 'E0901': 'no input raises it',
            'R0003': 'of TIR that no pass makes', 'W0003': 'a picture is no text', 'W0004': 'a model is no text',
            'W0006': 'it takes MPI', 'R0007': 'a model is no text', 'R0008': 'samples are no text'}
NO_RIGHT = set(NO_WRONG) | {'E0110', 'E0503', 'E0505', 'E0601', 'E0603', 'E0604', 'E0902'}
# Files that commands name.
FILES = {'k.te': 'target vta;\nkernel k { input a[m: 4] : int32; output o = a + 1; }\n', 'odd.json': '{"LOG_BATCH": 1, "LOG_BLOCK": 4}'}


def run(command, text, folder):
    """Exit status, codes and output of a command on a text."""
    words = shlex.split(command or 'tetc check FILE')
    name = 'page.tir' if 'opt' in words else 'page.json' if (text or '').startswith('{') else 'page.te'
    if text:
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    env = dict(os.environ, **dict(w.split('=', 1) for w in words[:words.index('tetc')]))
    args = [w.replace('FILE', name) for w in words[words.index('tetc') + 1:]]
    p = subprocess.run([tetc] + args + ['--diagnostics=json'], cwd=folder, env=env, capture_output=True, text=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    messages = [json.loads(line) for line in p.stderr.splitlines() if line.startswith('{"code"')]
    return p.returncode, {m['code'] for m in messages}, p.stderr


def block(text):
    return text and ''.join(line[4:] if line.startswith('    ') else line for line in text.splitlines(True))


def page(code, text, folder):
    kinds = set()
    for number, (kind, command, body) in enumerate(ITEM.findall(text), 1):
        status, codes, output = run(command, block(body), folder)
        name = '%s %d, %s' % (code, number, kind)
        kinds.add(kind)
        if kind == 'Wrong':
            case(name, (code not in codes or (status == 0) != (code[0] == 'W')) and output or code not in codes)
        elif kind == 'Right':
            case(name, (status or code in codes) and (output or status))
        else:
            case(name, (status or code not in codes) and (output or status))
    case(code + ' shows what raises it', not kinds & {'Wrong', 'Shown by'} and code not in NO_WRONG)
    case(code + ' shows a remedy', 'Right' not in kinds and code not in NO_RIGHT and code[0] != 'R')
    outside = [line for line in ITEM.sub('', text).splitlines() if line.startswith('    ')]
    case(code + ' shows nothing that is not run', '\n'.join(outside))


with open(pages) as f:
    sections = re.findall(r'^## ([EWR]\d+) .*?\n(.*?)(?=^## |\Z)', f.read(), re.S | re.M)
with tempfile.TemporaryDirectory() as d:
    for name, text in FILES.items():
        with open(os.path.join(d, name), 'w') as f:
            f.write(text)
    for code, text in sections:
        page(code, text, d)
listed = subprocess.run([tetc, 'explain'], capture_output=True, text=True).stdout
case('every code has a page', set(re.findall(r'^([EWR]\d+)', listed, re.M)) ^ {c for c, _ in sections})
end()
