#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""regions.py TETC [SEED COUNT]: stages computed at a loop of their reader, through indices of all kinds.

Random indices of clamp, min, max, abs, ?:, / % >> & and of data are read under compute_at; the results must be those of
the reference evaluator, which knows no regions. Then, for indices whose regions are known, how large their buffers are."""
import random
import re
import subprocess
import sys
import tempfile

tetc = sys.argv[1]
seed, count = (int(a) for a in sys.argv[2:4]) if len(sys.argv) > 2 else (1, 40)
PAIRS = 5  # readers a kernel


def run(args, text):
    with tempfile.NamedTemporaryFile('w', suffix='.te') as f:
        f.write(text)
        f.flush()
        p = subprocess.run([tetc] + args + [f.name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout, p.stderr


def linear(r, axes):
    """A sum of axes with small coefficients, and its bounds."""
    k = r.randrange(-6, 7)
    text, lo, hi = str(k), k, k
    for n, e in axes:
        c = r.choice([0, 0, 1, 1, 1, 2, 3, -1, -2])
        if c:
            text += f' + {c} * {n}' if c > 0 else f' - {-c} * {n}'
            lo, hi = lo + min(c * (e - 1), 0), hi + max(c * (e - 1), 0)
    return f'({text})', lo, hi


def inner(r, axes, depth):
    """Any index expression, with bounds of its values."""
    kind = r.choice(['linear', 'linear', 'min', 'max', 'abs', 'select', 'div', 'mod', 'shr', 'and', 'add', 'scale', 'both'])
    if depth == 0 or kind == 'linear':
        return linear(r, axes)
    a, lo, hi = inner(r, axes, depth - 1)
    k = r.randrange(-9, 30)
    if kind == 'min':
        return f'min({a}, {k})', min(lo, k), min(hi, k)
    if kind == 'max':
        return f'max({k}, {a})', max(lo, k), max(hi, k)
    if kind == 'abs':
        return f'abs({a})', 0 if lo <= 0 <= hi else min(abs(lo), abs(hi)), max(abs(lo), abs(hi))
    d = r.choice([1, 2, 3, 4, 5, 8])
    if kind == 'div':
        return f'({a} / {d})', lo // d, hi // d
    if kind == 'mod':
        return f'({a} % {d * 3})', 0, d * 3 - 1
    if kind == 'shr':
        s = r.randrange(0, 4)
        return f'({a} >> {s})', lo >> s, hi >> s
    if kind == 'and':
        m = r.choice([1, 3, 7, 15, 31, 5, 12])
        return f'({a} & {m})', 0, m
    if kind == 'scale':
        c = r.choice([2, -1, 3])
        return f'({c} * {a})', min(c * lo, c * hi), max(c * lo, c * hi)
    b, lo2, hi2 = inner(r, axes, depth - 1)
    if kind == 'add':
        return f'({a} + {b})', lo + lo2, hi + hi2
    if kind == 'both':
        f = r.choice(['min', 'max'])
        return f'{f}({a}, {b})', min(lo, lo2), max(hi, hi2)
    cond = f"{linear(r, axes)[0]} {r.choice(['<', '>=', '=='])} {r.randrange(0, 20)}"
    return f'({cond} ? {a} : {b})', min(lo, lo2), max(hi, hi2)


def index(r, axes, n):
    """An index that stays in an axis of extent n."""
    a, lo, hi = inner(r, axes, r.randrange(0, 3))
    if r.random() < 0.08:
        a, lo, hi = f"(int64(d[{axes[0][0]}]){r.choice(['', ' / 3', ' + ' + axes[0][0]])})", -2**40, 2**40
    if lo >= 0 and hi < n and r.random() < 0.8:
        return a
    how = r.choice(['clamp', 'clamp', 'clamp', 'mod', 'minmax', 'shift'])
    if how == 'mod':
        return f'{a} % {n}'
    if how == 'minmax':
        return f'min(max({a}, 0), {n - 1})'
    if how == 'shift' and n > 2:
        return f'clamp({a} + 1, 1, {n}) - 1'
    low = r.choice([0, 0, 0, min(2, n - 1)])
    return f'clamp({a}, {low}, {r.choice([n - 1, n - 1, max(low, n - 3)])})'


def kernel(r):
    rows = ['  input d[y: 64] : int64;\n  input a[y: 40, x: 24] : int32;\n']
    sched = []
    for i in range(PAIRS):
        h, w, oh, ow = r.randrange(3, 41), r.randrange(2, 25), r.randrange(2, 40), r.randrange(1, 20)
        rows.append(f'  compute p{i}[y: {h}, x: {w}] : int32 = a[y, x] * 3 + int32(y - x);\n')
        axes, red = [('y', oh), ('x', ow)], r.random() < 0.3
        last = f'p{i}'
        if r.random() < 0.3:  # a stage between, computed at the same loop
            mh = r.randrange(2, 30)
            rows.append(f'  compute q{i}[y: {mh}, x: {ow}] : int32 = p{i}[{index(r, [("y", mh), ("x", ow)], h)}, {index(r, [("y", mh), ("x", ow)], w)}] - p{i}[0, 0];\n')
            last, h, w = f'q{i}', mh, ow
        inside = axes + ([('u', 3), ('v', 2)] if red else [])
        body = ' + '.join(f'{last}[{index(r, inside, h)}, {index(r, inside, w)}]' for _ in range(r.randrange(1, 4)))
        rows.append(f"  output o{i}[y: {oh}, x: {ow}] : int32 = {f'sum[u: 3, v: 2]({body})' if red else body};\n")
        loops = []
        for n, e in axes:
            if r.random() < 0.6:
                sched.append(f'{n}0, {n}1 = o{i}.split({n}, factor = {r.randrange(1, e + 2)});')
                loops += [n + '0', n + '1']
            else:
                loops.append(n)
        if red and r.random() < 0.5:
            loops.append('u')
        at = r.choice(loops)
        for s in [f'p{i}'] + ([f'q{i}'] if last[0] == 'q' else []):
            sched.append(f'{s}.compute_at(o{i}, {at});')
            if r.random() < 0.5:  # stored further out
                around = r.choice([None] + loops[:loops.index(at)])
                sched.append(f'{s}.store_at(o{i}, {around});' if around else f'{s}.store_root();')
                if r.random() < 0.7:
                    sched.append(f"{s}.fold({r.choice('yyx')});")
    return 'kernel k {\n' + ''.join(rows) + '}\nschedule k {\n  ' + '\n  '.join(sched) + '\n}\n'


BLUR = '''kernel blur {
  input im[y: 256, x: 64] : uint8;
  compute bx[y: 256, x: 64] : uint16 = uint16(im[y, clamp(x - 1, 0, 63)]) + uint16(im[y, x]);
  output by[y: 256, x: 64] : uint16 = %s;
}
schedule blur { y0, y1 = by.split(y, factor = 32); bx.compute_at(by, y0); }
'''
SIZES = [('bx[clamp(y - 1, 0, 255), x] + bx[y, x] + bx[clamp(y + 1, 0, 255), x]', 34), ('bx[max(y - 2, 0), x] + bx[min(y + 2, 255), x]', 36),
         ('bx[clamp(y - 1, 7, 200), x]', 32), ('bx[abs(y - 100), x]', 32), ('bx[y >> 2, x]', 8), ('bx[(y / 2) * 2 + y % 2, x]', 32),
         ('bx[x % 2 == 0 ? 255 - y : 250 - min(y, 250), x]', 37), ('bx[(255 - y) >> 1, x]', 16), ('bx[min(y, 255 - y), x]', 256), ('bx[y & 127, x]', 128),
         ('bx[clamp(y + 3, 3, 258) - 3, x]', 32)]


def size_of(body):
    _, out, err = run(['check', '--dump-tir=lower'], BLUR % body)
    m = re.search(r'alloc bx: uint16\[(\d+), (\d+)\]', out + err)
    return int(m[1]) if m else out + err


def main():
    r = random.Random(seed)
    bad, refused = [], []
    for _ in range(count):
        text = kernel(r)
        status, out, err = run(['run', '--check'], text)
        if status == 1 and 'error[' in err:
            refused.append(text + err)
        elif status or out.count('agree') != PAIRS:
            bad.append(text + out + err)
    sizes = [(body, want, size_of(body)) for body, want in SIZES]
    wrong = [s for s in sizes if s[1] != s[2]]
    print('TAP version 13\n1..3')
    for i, (name, faults) in enumerate([(f'{count} kernels are right', bad), ('none is refused', refused),
                                        ('buffers are as large as what is needed', [str(w) for w in wrong])], 1):
        for f in faults[:2]:
            print('# ' + f.replace('\n', '\n# '))
        print(f"{'not ok' if faults else 'ok'} {i} - {name}" + (f': {len(faults)} are not' if faults else ''))


main()
