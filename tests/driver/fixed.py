#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fixed.py TETC NEGATIVE: `tetc fix` of every kernel that must be refused. It never leaves more errors than there were, and
what it mends computes the right thing; a remedy that is called machine-applicable takes its error away."""
import json
import os
import subprocess
import sys
import tempfile

from tap import case, end

tetc, negative = (os.path.abspath(a) for a in sys.argv[1:3])
mended = 0


def run(args):
    return subprocess.run([tetc] + args, capture_output=True, text=True, errors='replace', timeout=120, stdin=subprocess.DEVNULL)


def errors_of(path, here):
    lines = [line for line in run(['check', path, '-I', here, '--diagnostics=json']).stderr.splitlines() if line.startswith('{')]
    return [m for m in map(json.loads, lines) if m['severity'] == 'error']


def applied(path, fix, out):
    with open(path, 'rb') as f:
        text = f.read()
    span = fix['span']
    with open(out, 'wb') as f:
        f.write(text[:span['byte_start']] + fix['replacement'].encode() + text[span['byte_end']:])


def broken_promises(path, errors, out, here):
    """Remedies that should take an error away, and do not."""
    bad = []
    for e in errors:
        for fix in e['fixes']:
            if fix['applicability'] != 'machine-applicable' or len(bad) > 3:
                continue
            applied(path, fix, out)
            left = errors_of(out, here)
            phase = lambda es: min((m['code'][:3] for m in es), default='~')  # noqa: E731
            further = phase(left) > phase(errors)
            cured = not [m for m in left if m['message'] == e['message']] and len(left) <= len(errors)
            if not further and not cured and len(left) >= len(errors):
                bad.append('%s: %s' % (e['message'], fix['message']))
    return bad


with tempfile.TemporaryDirectory() as d:
    out = os.path.join(d, 'fixed.te')
    worse, promises = [], []
    for here, dirs, names in os.walk(negative):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(here, name)
            if not name.endswith('.te') or name.endswith('.inc.te'):
                continue
            before = errors_of(path, here)
            if not any(e['fixes'] for e in before):
                continue
            p = run(['fix', path, '-o', out, '-I', here])
            after = errors_of(out, here)
            if len(after) > len(before) and min(e['code'][:3] for e in after) <= min(e['code'][:3] for e in before):
                worse.append(name)
            promises += broken_promises(path, before, os.path.join(d, 'tried.te'), here)
            if not after and ' 0 remedies' not in p.stderr:
                mended += 1
                p = run(['run', out, '--check', '-I', here])
                case('%s, mended, is right' % name, p.returncode and p.stdout + p.stderr)
    case('no kernel has more errors than before', worse)
    case('what is said to help does', promises)
    case('most of the mechanical remedies are used: %d kernels mended' % mended, mended < 40 and mended)
end()
