#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""orders.py TETC [SEED COUNT]: which schedules of float reductions are refused, against their sequences of points.

Random small nests get random splits, fuses, tiles and reorders. A model of loops, independent of tetc, writes down in
which order each output element meets its reduction points; E0213 must be told exactly where that is not the
lexicographic order of the reduction axes, and nowhere for integers. What is accepted gives the same bits as no schedule.
"""
import itertools
import json
import random
import subprocess
import sys
import tempfile

BATCH = 50  # kernels a file


class Nest:
    """Loops of one stage. A loop is (name, extent, is_reduction); `made` maps an axis to how its value comes of others."""

    def __init__(self, out, red):
        self.out, self.red = out, red
        self.loops = [(n, e, False) for n, e in out] + [(n, e, True) for n, e in red]
        self.value = {}   # name -> function of the values of loops
        self.limit = {}   # name -> extent that the value must stay below
        self.text = []
        self.fresh = 0

    def name(self):
        self.fresh += 1
        return f"l{self.fresh}"

    def split(self, loop, factor, nparts):
        n, e, red = loop
        size = min(factor if factor else -(-e // nparts), e)
        o, i = self.name(), self.name()
        at = self.loops.index(loop)
        self.loops[at:at + 1] = [(o, -(-e // size), red), (i, size, red)]
        self.value[n] = lambda v: v[o] * size + v[i]
        self.limit[n] = e
        return o, i

    def step(self, r):
        what = r.choice(['split', 'split', 'fuse', 'fuse', 'reorder', 'reorder', 'reorder', 'tile'])
        if what == 'split':
            loop = r.choice(self.loops)
            n = loop[0]
            k = r.randrange(1, loop[1] + 2)
            by = r.choice(['factor', 'nparts'])
            o, i = self.split(loop, k if by == 'factor' else 0, k)
            self.text.append(f"{o}, {i} = s.split({n}, {by} = {k});")
        elif what == 'fuse':
            at = r.randrange(len(self.loops))
            if at + 1 == len(self.loops) or self.loops[at][2] != self.loops[at + 1][2]:
                return
            (a, ea, red), (b, eb, _) = self.loops[at:at + 2]
            f = self.name()
            self.loops[at:at + 2] = [(f, ea * eb, red)]
            self.value[a] = lambda v: v[f] // eb
            self.value[b] = lambda v: v[f] % eb
            self.text.append(f"{f} = s.fuse({a}, {b});")
        elif what == 'reorder':
            some = r.sample(range(len(self.loops)), r.randrange(1, len(self.loops) + 1))
            new = [self.loops[i] for i in some]
            for at, loop in zip(sorted(some), new):
                self.loops[at] = loop
            self.text.append(f"s.reorder({', '.join(l[0] for l in new)});")
        else:
            if len(self.loops) < 2 or len(self.loops) > 6:
                return
            a, b = r.sample(self.loops, 2)
            first = min(self.loops.index(a), self.loops.index(b))
            fa, fb = r.randrange(1, a[1] + 2), r.randrange(1, b[1] + 2)
            others = [l for l in self.loops if l not in (a, b)]
            ao, ai = self.split(a, fa, 0)
            bo, bi = self.split(b, fb, 0)
            by_name = {l[0]: l for l in self.loops}
            before = sum(1 for l in others if self.loops.index(l) < self.loops.index(by_name[ao if first_is(a, b, self, ao, bo) else bo]))
            self.loops = others[:before] + [by_name[x] for x in (ao, bo, ai, bi)] + others[before:]
            self.text.append(f"{ao}, {bo}, {ai}, {bi} = s.tile({a[0]}, {b[0]}, {fa}, {fb});")

    def sequences(self):
        """The reduction points of each output element, in the order of the loops."""
        made = list(self.value)[::-1]  # the latest first: what an axis is made of comes before it
        met = {}
        for point in itertools.product(*(range(l[1]) for l in self.loops)):
            v = dict(zip((l[0] for l in self.loops), point))
            ok = True
            for n in made:
                v[n] = self.value[n](v)
                ok = ok and v[n] < self.limit.get(n, v[n] + 1)
            if ok:
                met.setdefault(tuple(v[n] for n, _ in self.out), []).append(tuple(v[n] for n, _ in self.red))
        return met

    def in_order(self):
        right = list(itertools.product(*(range(e) for _, e in self.red)))
        met = self.sequences()
        for s in met.values():
            assert sorted(s) == right, 'the model loses points'
        assert len(met) == len(list(itertools.product(*(range(e) for _, e in self.out))))
        return all(s == right for s in met.values())


def first_is(a, b, nest, ao, bo):
    names = [l[0] for l in nest.loops]
    return names.index(ao) < names.index(bo)


def kernel(r, k):
    while True:
        out = [(f"o{i}", r.randrange(1, 4)) for i in range(r.randrange(1, 3))]
        red = [(f"r{i}", r.choice([1, 2, 2, 3, 4, 5, 6, 7])) for i in range(r.randrange(1, 4))]
        nest = Nest(out, red)
        for _ in range(r.randrange(1, 8)):
            nest.step(r)
        size = 1
        for l in nest.loops:
            size *= l[1]
        if size <= 3000:
            break
    kind = r.choice(['float16', 'float32', 'float64', 'float32', 'int32'])
    op = r.choice(['sum', 'prod', 'min', 'max'])
    axes = ', '.join(f"{n}: {e}" for n, e in out + red)
    text = f"kernel k{k} {{ input a[{axes}] : {kind};\n" \
           f"  output s[{', '.join(f'{n}: {e}' for n, e in out)}] : {kind} = " \
           f"{op}[{', '.join(f'{n}: {e}' for n, e in red)}](a[{', '.join(n for n, _ in out + red)}]); }}\n" \
           f"schedule k{k} {{ {' '.join(nest.text)} }}\n"
    return text, kind.startswith('float') and not nest.in_order()


def told(tetc, text):
    """The lines with E0213, and every other error."""
    with tempfile.NamedTemporaryFile('w', suffix='.te') as f:
        f.write(text)
        f.flush()
        p = subprocess.run([tetc, 'check', '--diagnostics=json', f.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    lines, other = set(), []
    for l in p.stderr.decode().splitlines():
        m = json.loads(l)
        if m['code'] == 'E0213':
            lines.add(m['spans'][0]['line_start'])
        elif m['severity'] == 'error':
            other.append(m['message'])
    return lines, other, p.returncode


# Blocked in all three loops, a tile of sums in registers: the order of k is kept, and so is every bit.
MATMUL = """kernel mm {
  input a[i: 37, k: 53] : float32;
  input b[k: 53, j: 41] : float32;
  output s[i: 37, j: 41] : float32 = sum[k: 53](a[i, k] * b[k, j]);
}
schedule mm {
  io, jo, ii, ji = s.tile(i, j, 4, 16);
  ko, ki = s.split(k, factor = 8);
  s.reorder(io, jo, ko, ki, ii, ji);
  s.unroll(ii);  s.vectorize(ji);
}
"""


def hashes(tetc, text):
    """What `tetc run` prints of the outputs: their bits, as a hash. (Statements without effect are warned of.)"""
    with tempfile.NamedTemporaryFile('w', suffix='.te') as f:
        f.write(text)
        f.flush()
        p = subprocess.run([tetc, 'run', f.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode(), [l for l in p.stderr.decode().splitlines() if l.startswith('error')]


def other_bits(tetc, text):
    """What differs between a kernel with its schedule and without; None: nothing."""
    with_it, without = hashes(tetc, text), hashes(tetc, text[:text.index('schedule')])
    return None if with_it == without and with_it[0] == 0 and 'hash' in with_it[1] else text + str(with_it) + str(without)


def main():
    tetc = sys.argv[1]
    seed, count = (int(a) for a in sys.argv[2:4]) if len(sys.argv) > 2 else (1, 1000)
    r = random.Random(seed)
    accepted, needless, refused, bad, cases = [], [], 0, [], []
    for start in range(0, count, BATCH):
        cases = [kernel(r, k) for k in range(BATCH)]
        lines, other, status = told(tetc, ''.join(c[0] for c in cases))
        bad += other
        if status not in (0, 1):
            bad.append(f'status {status}')
        for k, (text, wrong) in enumerate(cases):
            refused += wrong
            if wrong and 3 * k + 3 not in lines:
                accepted.append(text)
            if not wrong and 3 * k + 3 in lines:
                needless.append(text)
    kept = [MATMUL] + [text for text, wrong in cases if not wrong and 'float' in text][:20]
    bits = [x for x in (other_bits(tetc, text) for text in kept) if x]
    print('TAP version 13\n1..5')
    for i, (name, faults) in enumerate([('nothing else is refused', bad), ('no changed order is accepted', accepted),
                                        ('no kept order is refused', needless),
                                        ('what is accepted has the same bits', bits)], 1):
        for f in faults[:3]:
            print('# ' + f.replace('\n', '\n# '))
        print(f"{'not ok' if faults else 'ok'} {i} - {name}: {len(faults)} of {count}")
    enough = count // 10 < refused < count - count // 10
    print(f"{'ok' if enough else 'not ok'} 5 - both kinds are there: {refused} of {count} change the order")


main()
