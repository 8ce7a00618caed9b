#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels that must be refused, and how. run.py TETC DIR [FILE.te...] prints TAP, a case a file.

A file says beside each fault what is to be reported there:

    output o = nothing;   //~ error: unknown name
    //~^ error[E0101]: text     the same, for the line above (more ^: further up)
    //~? error: text            for a message without a place
    //~ warning: text           warnings too, if there are any; and remarks, with `// args: --remarks`

The text must occur in a message reported for that line (headline, label, notes or helps). Both ways: each message has
its comment, each comment its message. `// args: -K th=7` adds arguments, `// command: run` takes another command
than `check`. Files that are only imported end in .inc.te; comments in them count too.
"""
import json
import os
import re
import subprocess
import sys

COMMENT = re.compile(r'//~(\^*|\?)\s*(error|warning|remark)(?:\[([EWR]\d+)\])?:\s*(.*?)\s*$')


def expected(path):
    found = []
    for number, line in enumerate(open(path, encoding='utf-8', errors='replace'), 1):
        for part in re.split(r'(?=//~)', line):
            m = COMMENT.match(part.rstrip())
            if m:
                at = None if m[1] == '?' else number - len(m[1])
                found.append((path, at, m[2], m[3], m[4]))
    return found


def setting(path, key):
    m = re.search(r'^//\s*' + key + r':\s*(.*?)\s*$', open(path, encoding='utf-8', errors='replace').read(), re.M)
    return m[1].split() if m else []


def run(tetc, path):
    command = setting(path, 'command') or ['check']
    # Paths in the arguments are relative to the file.
    here = os.path.dirname(path)
    args = [a.replace('@DIR@', here) for a in setting(path, 'args')]
    if command[0] in ('check', 'compile', 'run'):
        args.append('--verify-each')
    p = subprocess.run([tetc] + command + [path, '--diagnostics=json'] + args, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=60)
    messages, other = [], []
    for line in p.stderr.decode('utf-8', 'replace').splitlines():
        try:
            messages.append(json.loads(line))
        except ValueError:
            other.append(line)
    return p.returncode, messages, other


def place(message):
    for s in message['spans']:
        if s['primary']:
            return s['file'], s['line_start']
    return None, None


def matches(want, message):
    path, line = place(message)
    if want[2] != message['severity'] or (want[3] and want[3] != message['code']):
        return False
    if line != want[1] or (line is not None and os.path.realpath(path) != os.path.realpath(want[0])):
        return False
    # Source lines that the message quotes hold the comment itself: they do not count.
    quoted = re.compile(r'^ *\d+ \|')
    text = '\n'.join(line for line in message['rendered'].split('\n') if not quoted.match(line))
    return want[4] in text or want[4] in message['message']


def check(tetc, path):
    """The complaints about one file; none: it passes."""
    try:
        status, messages, other = run(tetc, path)
    except subprocess.TimeoutExpired:
        return ['it ran for more than a minute']
    bad = []
    files = [path] + sorted({place(m)[0] for m in messages if place(m)[0]} - {path})
    wanted = [w for f in files if os.path.exists(f) for w in expected(f)]
    errors = any(w[2] == 'error' for w in wanted)
    want_status = int((setting(path, 'status') or ['1' if errors else '0'])[0])
    if not wanted:
        bad.append('it has no //~ comment')
    if status != want_status:
        bad.append('exit status %d, expected %d' % (status, want_status))
    left = list(messages)
    for w in wanted:
        hit = next((m for m in left if matches(w, m)), None)
        if hit:
            left.remove(hit)
        else:
            bad.append('not reported: line %s: %s%s: %s' % (w[1], w[2], '[%s]' % w[3] if w[3] else '', w[4]))
    for m in left:
        bad.append('not expected: line %s: %s[%s]: %s' % (place(m)[1], m['severity'], m['code'], m['message']))
    return bad + ['unexpected output: ' + o for o in other]


def main():
    tetc, root = sys.argv[1], sys.argv[2]
    files = sys.argv[3:]
    if not files:
        for here, dirs, names in sorted(os.walk(root)):
            dirs.sort()
            files += [os.path.join(here, n) for n in sorted(names) if n.endswith('.te') and not n.endswith('.inc.te')]
    print('1..%d' % len(files))
    failed = 0
    for number, path in enumerate(files, 1):
        bad = check(tetc, path)
        failed += bool(bad)
        print('%s %d - %s' % ('not ok' if bad else 'ok', number, os.path.relpath(path, root)))
        for b in bad:
            print('# ' + b)
        sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
