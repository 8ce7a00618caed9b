#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fit.py TETC SAMPLES: the factors that an overflow (E0401) offers are the largest that fit: each is tried, and the next one."""
import json
import os
import re
import subprocess
import sys
import tempfile

from tap import case, end

tetc, samples = (os.path.abspath(a) for a in sys.argv[1:3])


def told(text, *args):
    p = subprocess.run([tetc, 'check', '-', '--diagnostics=json', *args], input=text, capture_output=True, text=True, timeout=60)
    return [m for m in (json.loads(line) for line in p.stderr.splitlines() if line.startswith('{"code"')) if m['severity'] == 'error']


def overflows(messages):
    """The memories that overflow."""
    return sorted(m['message'].split()[0] for m in messages if m['code'] == 'E0401')


def with_number(text, fix, number):
    span = fix['span']
    return text[:span['byte_start']] + str(number) + text[span['byte_end']:]


def check(name, text, offers, steps=None):
    """`offers`: how many numbers are offered, in all. `steps`: a function from an offered number to the next larger tile."""
    before, bad, seen = told(text), [], 0
    for m in before:
        memory = m['message'].split()[0]
        for fix in m['fixes']:
            seen += 1
            v = int(fix['replacement'])
            beyond = v - 1 if re.search(' parts|smallest', fix['message']) else (steps or {}).get(v, v + 1)
            if overflows(told(with_number(text, fix, v))).count(memory) >= overflows(before).count(memory):
                bad.append('%s: it does not fit' % fix['message'])
            if overflows(told(with_number(text, fix, beyond))).count(memory) < overflows(before).count(memory):
                bad.append('%s: %d fits, too' % (fix['message'], beyond))
    if not overflows(before):
        bad.append('nothing overflows')
    case(name, '\n'.join(bad) or seen != offers and 'offered: %d\n%s' % (seen, [m['fixes'] for m in before]))


ROWS = """target vta;
kernel k {
  input a[m: 5000, b: vta.batch, j: vta.block_out] : int32;
  compute t = a + 1;
  output o = int8(t);
}
schedule k {
  KNOB
  m0, m1 = o.split(m, SPLIT);
  a_buf = a.cache_read(vta.acc);
  for s in (a_buf, t) { s.compute_at(o, m0); }
  a_buf.dma_copy();
  t.set_scope(vta.acc);
  t.alu();
  o.dma_copy(m1);
}
"""
IMAGE = """target vta;
kernel k {
  input a[y: 100, x: 90, b: vta.batch, j: vta.block_out] : int32;
  compute t[y: 98, x: 88, b: vta.batch, j: vta.block_out] : int32 = max(a[y, x, b, j], a[y + 2, x + 2, b, j]);
  output o = int8(t);
}
schedule k {
  SPLITS
  a_buf = a.cache_read(vta.acc);
  a_buf.compute_at(o, x0);
  a_buf.dma_copy();
  t.set_scope(vta.acc);
  t.compute_at(o, x0);
  t.alu();
  o.dma_copy(y1);
}
"""


def rows(split, knob=''):
    return ROWS.replace('SPLIT', split).replace('KNOB', knob)


check('a factor', rows('factor = 4000'), 1)
check('a factor just beyond', rows('factor = 2049'), 1)
check('a factor larger than the axis', rows('factor = 70000'), 1)
check('an expression', rows('factor = 50 * 50'), 1)
check('parts', rows('nparts = 2'), 1)
check('one part', rows('nparts = 1'), 1)
check('a knob', rows('factor = t', 'knob t = 3000;'), 1)
check('a knob with a set', rows('factor = t', 'knob t = 4096 in [4096, 17, 512, 2500, 2048, 3000];'), 1, {2048: 2500})
check('a knob of parts', rows('nparts = t', 'knob t = 2;'), 1)
check('a knob whose set has nothing that fits', rows('factor = t', 'knob t = 4096 in [4096, 2500];'), 0)
two = 'y0, y1 = o.split(y, factor = 40);  x0, x1 = o.split(x, factor = 88);  o.reorder(y0, x0, y1, x1);'
check('two axes', IMAGE.replace('SPLITS', two), 2)
check('two axes, far too large', IMAGE.replace('SPLITS', two.replace('40', '98')), 2)
check('tile', IMAGE.replace('SPLITS', 'y0, x0, y1, x1 = o.tile(y, x, 60, 60);'), 2)
threads = 'y0, y1 = o.split(y, factor = 40);  x0, x1 = o.split(x, factor = 40);  x0, v = o.split(x0, factor = 2);\n' \
          '  o.reorder(y0, x0, v, y1, x1);  o.bind(v, cthread);'
check('virtual threads', IMAGE.replace('SPLITS', threads), 2)
with open(os.path.join(samples, 'conv2d_relu.te')) as f:
    conv = f.read()
for knobs, offers in (({'th': 28}, 6), ({'to': 4}, 3), ({'tc': 4, 'th': 28}, 5), ({'th': 56, 'to': 4}, 4)):
    text = conv
    for knob, value in knobs.items():
        text = re.sub(r'knob %s = \d+' % knob, 'knob %s = %d' % (knob, value), text)
    check('the sample with %s' % knobs, text, offers)
with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, 'k.te')
    with open(path, 'w') as f:
        f.write(rows('factor = 4000'))
    p = subprocess.run([tetc, 'fix', path], capture_output=True, text=True, timeout=60)
    case('tetc fix writes it', 'factor = 2048' not in open(path).read() and p.stderr)
    p = subprocess.run([tetc, 'run', path, '--check'], capture_output=True, text=True, timeout=60)
    case('and the result is right', p.returncode and p.stderr)
end()
