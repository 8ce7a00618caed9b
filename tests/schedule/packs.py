#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packs.py TETC [SEED COUNT]: convolutions in the layout of their users, packed by their schedules for VTA.

Shapes are random and mostly odd; the results must be those of the reference evaluator, which knows no layouts, on the
simulator, in several configurations. What fills the last blocks must not reach a result: weights and data are packed, or
not, apart from each other, and an epilogue makes other values of the zeros there."""
import json
import os
import random
import subprocess
import sys
import tempfile

tetc = sys.argv[1]
seed, count = (int(a) for a in sys.argv[2:4]) if len(sys.argv) > 2 else (1, 30)
CONFIGS = [None, {'LOG_BATCH': 1, 'LOG_BLOCK_IN': 3, 'LOG_BLOCK_OUT': 4}, {'LOG_BLOCK_IN': 5, 'LOG_BLOCK_OUT': 5},
           {'LOG_BATCH': 2, 'LOG_BLOCK': 3}]


def shape(r):
    s = {'n': r.choice([1, 1, 2, 3]), 'c': r.choice([1, 3, 5, 16, 17, 32, r.randrange(1, 40)]),
         'o': r.choice([1, 3, 16, 20, 33, r.randrange(1, 40)]), 'k': r.choice([1, 1, 2, 3, 5]), 's': r.choice([1, 1, 2, 3]),
         'p': r.choice([0, 1, 2]), 'y': r.randrange(3, 14), 'x': r.randrange(3, 14), 'shift': r.randrange(0, 9), 'add': r.randrange(-50, 50)}
    s['p'] = min(s['p'], s['k'])
    s['oy'], s['ox'] = ((s[a] + 2 * s['p'] - s['k']) // s['s'] + 1 for a in 'yx')
    return s if s['oy'] > 0 and s['ox'] > 0 else shape(r)


def kernel(r, s):
    """A convolution with padding and an epilogue, and its schedule."""
    text = '''target vta;
kernel k {
  input data[n: %(n)d, c: %(c)d, y: %(y)d, x: %(x)d] : int8;
  input weight[o: %(o)d, c: %(c)d, dy: %(k)d, dx: %(k)d] : int8;
  compute d = data;
  compute w = weight;
  compute pad[n: %(n)d, c: %(c)d, y: %(y)d + 2 * %(p)d, x: %(x)d + 2 * %(p)d] : int8 =
      y >= %(p)d && y < %(y)d + %(p)d && x >= %(p)d && x < %(x)d + %(p)d ? d[n, c, y - %(p)d, x - %(p)d] : 0;
  compute conv[n: %(n)d, o: %(o)d, y: %(oy)d, x: %(ox)d] : int32 =
      sum[c: %(c)d, dy: %(k)d, dx: %(k)d](int32(pad[n, c, y * %(s)d + dy, x * %(s)d + dx]) * int32(w[o, c, dy, dx]));
  compute moved = (conv >> %(shift)d) + %(add)d;
  compute act = clamp(moved, -128, 127);
  compute q = int8(act);
  output out = q;
  output least[y: %(oy)d, x: %(ox)d] : int8 = min[n: %(n)d, o: %(o)d](q[n, o, y, x]);
}
''' % s
    rows, cols = r.randrange(1, s['oy'] + 2), r.randrange(1, s['ox'] + 2)
    lines = ['for s in (d, pad) { n0, n1 = s.pack(n, vta.batch); c0, c1 = s.pack(c, vta.block_in); }',
             'o0, o1 = w.pack(o, vta.block_out);', 'c0, c1 = w.pack(c, vta.block_in);',
             'for s in (conv, moved, act, q) { n0, n1 = s.pack(n, vta.batch); o0, o1 = s.pack(o, vta.block_out); }',
             'w_buf = w.cache_read(vta.wgt);', 'pad.set_scope(vta.inp);', 'for s in (conv, moved, act) { s.set_scope(vta.acc); }',
             f'y0, y1 = q.split(y, factor = {rows});', f'x0, x1 = q.split(x, factor = {cols});',
             'q.reorder(n0, o0, y0, x0, y1, x1, n1, o1);', 'for s in (conv, moved, act) { s.compute_at(q, x0); }',
             'k0, k1 = conv.split(c, factor = vta.block_in);', 'conv.reorder(k0, dy, dx, n0, o0, y, x, n1, o1, k1);',
             f"for s in (pad, w_buf) {{ s.compute_at(conv, {r.choice(['k0', 'k0', 'dy', 'dx'])}); s.dma_copy(); }}",
             'conv.tensorize(n1, vta.gemm);', 'moved.alu();', 'act.alu();', 'q.dma_copy(y1);']
    return text + 'schedule k {\n  ' + '\n  '.join(lines) + '\n}\n'


def run(text, config):
    with tempfile.TemporaryDirectory() as d:
        path, args = os.path.join(d, 'k.te'), []
        with open(path, 'w') as f:
            f.write(text)
        if config:
            with open(os.path.join(d, 'vta.json'), 'w') as f:
                json.dump(config, f)
            args = ['--vta-config', os.path.join(d, 'vta.json')]
        p = subprocess.run([tetc, 'run', path, '--check', '--stats', *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout + p.stderr


def main():
    r = random.Random(seed)
    bad, refused, on_vta = [], [], 0
    for i in range(count):
        text = kernel(r, shape(r))
        status, out = run(text, CONFIGS[i % len(CONFIGS)])
        if status == 1 and 'error[E04' in out:
            refused.append(text + out)
        elif status or out.count('agree') != 2 or ' 0 multiply-accumulates' in out.split('gemm')[1]:
            bad.append(text + str(CONFIGS[i % len(CONFIGS)]) + out)
    print('TAP version 13\n1..2')
    for f in bad[:2]:
        print('# ' + f.replace('\n', '\n# '))
    print(f"{'not ok' if bad else 'ok'} 1 - {count} convolutions are right, and on VTA" + (f': {len(bad)} are not' if bad else ''))
    many = len(refused) > count // 3
    for f in refused[:1 if many else 0]:
        print('# ' + f.replace('\n', '\n# '))
    print(f"{'not ok' if many else 'ok'} 2 - most fit on chip ({len(refused)} do not)")


main()
