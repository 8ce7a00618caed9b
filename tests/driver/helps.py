#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""helps.py TETC NEGATIVE: schedule text that a message about a schedule (E02xx) offers, pasted where it belongs.

Every statement that a help or a remedy quotes is put in the place of the refused one, before it or behind it. One of these
must end the message, and bring no other of the same statement: a help that leads to a second refusal is none. What is
worded as a guess (`may help`, `may be meant`) is held to it too, where it is a statement."""
import json
import os
import re
import subprocess
import sys
import tempfile

from tap import case, end

tetc, negative = (os.path.abspath(a) for a in sys.argv[1:3])
STATEMENT = re.compile(r'`((?:[\w, ]+ = )?(\w+)\.\w+\([^`]*\);)`')
# More schedules that are refused, each with one fault, beside those of NEGATIVE.
HEAD = '''kernel k {
  input a[x: 16, y: 4, k: 8, l: 5, m: 3] : float32;
  input b[x: 16, y: 4] : int32;
  compute p = b + 1;
  compute q = p * 2;
  output s[x: 16, y: 4] : float32 = sum[k: 8, l: 5, m: 3](a[x, y, k, l, m]);
  output t[x: 16, y: 4] : int32 = sum[k: 2, l: 3](q[x, y] * int32(k + l));
  output u = q - p;
}
schedule k { %s }
'''
FAULTS = ['s.fuse(k, x);', 's.fuse(y, x);', 's.fuse(k, m);', 's.fuse(l, k);', 's.fuse(x, k);', 's.reorder(k, x, l, y, m); s.fuse(k, l);',
          't.fuse(l, k);', 't.fuse(x, l);', 't.reorder(k, x, l, y); t.fuse(k, l);', 't.fuse(k, l, k);', 't.fuse(k, k);', 's.reorder(m, k);',
          's.reorder(k, m, x, l, y);', 's.tile(k, l, 2, 2);', 's.split(k, factor = 3); s.reorder(k_inner, k_outer);', 't.parallel(k);',
          's.bind(x, cthread);', 't.bind(k, cthread);', 't.bind(x, cthread);', 'q.bind(x, cthread);', 'u.bind(x, cthread);', 'p.compute_at(t, y);', 'q.compute_at(u, x);', 'p.compute_at(q, x);',
          'u.compute_at(t, x);', 's.compute_inline();', 'u.compute_inline();', 't.compute_at(t, x);', 'p.compute_at(u, x); p.compute_at(q, x);', 's.unroll(z);',
          's.split(x, factor = 0);', 't.split(x, 4, 5);', 'x0, x1 = t.split(x, factor = 4); t.reorder(x, y);', 't.unroll(x); t.split(x, factor = 2);',
          't.unroll(x); t.fuse(x, y);', 'p.cache_read(host, s);', 'h = q.cache_read(host, u); h.compute_at(u, x); q.compute_at(t, x);']


def errors_of(path, here):
    p = subprocess.run([tetc, 'check', path, '-I', here, '--diagnostics=json'], capture_output=True, text=True, errors='replace',
                       timeout=60, stdin=subprocess.DEVNULL)
    lines = [json.loads(line) for line in p.stderr.splitlines() if line.startswith('{')]
    return [m for m in lines if m['severity'] == 'error']


def primary(message):
    return next((s for s in message['spans'] if s['primary']), None)


def offers(message, text):
    """The statements that helps quote, of stages that the text has."""
    helps = [c['message'] for c in message['children'] if c['kind'] == 'help'] + [f['message'] for f in message['fixes']]
    for h in helps:
        if '`compute ' in h:  # a stage has to be written first
            continue
        for statement, stage in STATEMENT.findall(h):
            if re.search(r'\b%s\b' % stage, text.split('schedule', 1)[-1]) and 'consumer' not in statement:
                yield statement


def leads_on(message, statement, text, here, out):
    """None if the statement helps in some place; else what comes of it."""
    span = primary(message)
    raw = text.encode()
    end_of = raw.find(b';', span['byte_end']) + 1 or span['byte_end']
    start = max(raw.rfind(c, 0, span['byte_start']) for c in (b';', b'{', b'\n')) + 1
    new, old = statement.encode(), raw[start:end_of]
    worst = []
    for middle in (new, new + b' ' + old, old + b' ' + new):
        with open(out, 'wb') as f:
            f.write(raw[:start] + b' ' + middle + raw[end_of:])
        left = errors_of(out, here)
        if message['message'] not in [m['message'] for m in left]:
            lines = range(span['line_start'], span['line_start'] + 1 + middle.count(b'\n'))
            new_ones = [m for m in left if m['code'].startswith(('E00', 'E01', 'E02')) and primary(m) and primary(m)['line_start'] in lines and
                        m['message'] not in [o['message'] for o in errors_of_text[text]]]
            if not new_ones:
                return None
            worst = [m['message'] for m in new_ones]
    return '%s\n  offered: %s\n  then: %s' % (message['message'], statement, worst or 'the same')


errors_of_text = {}


def check(name, path, text, here, out):
    before = errors_of(path, here)
    errors_of_text[text] = before
    bad, count = [], 0
    for m in before:
        if m['code'].startswith('E02') and primary(m) and os.path.realpath(primary(m)['file']) == os.path.realpath(path):
            for statement in offers(m, text):
                count += 1
                bad.append(leads_on(m, statement, text, here, out))
    bad = [b for b in bad if b]
    if count or bad:
        case(name, '\n'.join(bad))
    return count


with tempfile.TemporaryDirectory() as d:
    out, total = os.path.join(d, 'tried.te'), 0
    for here, dirs, names in os.walk(negative):
        dirs.sort()
        for name in sorted(names):
            if name.endswith('.te') and not name.endswith('.inc.te'):
                path = os.path.join(here, name)
                total += check(name, path, open(path, errors='replace').read(), here, out)
    path = os.path.join(d, 'fault.te')
    for fault in FAULTS:
        text = HEAD % fault
        with open(path, 'w') as f:
            f.write(text)
        if not errors_of(path, d):
            case(fault, 'it is not refused')
        total += check(fault, path, text, d, out)
    case('helps were there to be tried: %d' % total, total < 30 and total)
end()
