#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""model.py BUILD [KERNELS [SEED]]: the accuracy of the timing model, a table. Random kernels run on the model and on the core:
convolutions with the schedule of published tuned tiles (bench/conv.te) at any tile that fits, ALU nests, matrix products; near and
far memories. Prints, for each kind, how many, how many exact, the mean and the largest error, and the pairs put in the wrong order."""
import collections
import itertools
import os
import random
import re
import subprocess
import sys

build = sys.argv[1]
kernels = int(sys.argv[2]) if len(sys.argv) > 2 else 100
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
here = os.path.dirname(os.path.abspath(__file__))
conv = os.path.join(here, 'conv.te')
samples = os.path.join(here, '..', 'samples')


def divisor(n, most):
    return rng.choice([d for d in range(1, n + 1) if n % d == 0 and d <= most])


def convolution():
    k = rng.choice([1, 3, 3, 5])
    stride, pad = rng.choice([1, 1, 2]), k // 2
    side, ci, co = rng.choice([4, 7, 8, 12, 14, 28]), rng.choice([1, 2, 3, 4, 8]), rng.choice([2, 4, 6, 8])
    out = (side + 2 * pad - k) // stride + 1
    threads = rng.choice(['oc', 'h'])
    defines = dict(H=side, W=side, CI=ci, CO=co, K=k, STRIDE=stride, PAD=pad)
    knobs = dict(th=divisor(out, out), tw=divisor(out, out), to=divisor(co, co), tc=divisor(ci, ci), nt=rng.choice([1, 2]))
    return 'convolution', [conv, '--schedule=' + threads] + define(defines, knobs)


def define(defines, knobs):
    args = []
    for flag, values in (('-D', defines), ('-K', knobs)):
        for name, value in values.items():
            args += [flag, '%s=%d' % (name, value)]
    return args


def product():
    m = rng.choice([1, 2, 4, 8, 16, 32])
    mt = divisor(m, m)
    return 'matrix product', [os.path.join(samples, 'gemm.te')] + define({'M': m}, {'mt': mt})


def memory():
    args = rng.choice([[], ['--rtl-memory=dram']])
    if rng.random() < .5:
        args = args + ['--rtl-latency=%d' % rng.choice([1, 7, 40, 200]), '--rtl-bandwidth=%d' % rng.choice([33, 50, 77, 100]),
                       '--rtl-outstanding=%d' % rng.choice([1, 2, 8, 64])]
    return args


def cycles(args, device):
    p = subprocess.run([os.path.join(build, 'tetc'), 'run'] + args + ['--stats', '--device=' + device], capture_output=True, text=True)
    m = re.search(r'^stats: (\d+) cycles', p.stdout, re.M)
    return (int(m[1]) if m else None), p.stdout


def main():
    found = collections.defaultdict(list)
    counters = tried = 0
    while sum(len(v) for v in found.values()) < kernels and tried < 20 * kernels:
        tried += 1
        kind, args = rng.choice([convolution, convolution, convolution, product])()
        args = args + memory()
        got, text = cycles(args, 'model')
        if not got or got > 400000:
            continue  # a tile that does not fit, or too long for a table
        want, core = cycles(args, 'rtl')
        found[kind].append((got, want))
        counters += text == core
        if got != want:
            print('%s: %d, of the core %s' % (' '.join(args), got, want), flush=True)
    print('%-16s %7s %7s %10s %10s' % ('kernels', 'number', 'exact', 'mean error', 'largest'))
    every = [x for v in found.values() for x in v]
    for kind, rows in list(found.items()) + [('all', every)]:
        errors = [abs(g - w) / w for g, w in rows]
        print('%-16s %7d %7d %9.3f%% %9.3f%%' % (kind, len(rows), sum(g == w for g, w in rows), 100 * sum(errors) / len(errors),
                                                100 * max(errors)))
    pairs = wrong = 0
    for (g, w), (h, x) in itertools.combinations(every, 2):
        if abs(w - x) > .005 * min(w, x):
            pairs += 1
            wrong += (g < h) != (w < x)
    print('pairs that differ by more than 0.5 %%: %d, in the wrong order: %d' % (pairs, wrong))
    print('every counter and every idle line the same: %d of %d' % (counters, len(every)))


main()
