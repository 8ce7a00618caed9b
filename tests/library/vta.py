#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vta.py TETC [--cases N] [--seed S] DEVICE...: operators of lib/nn.te on VTA, by the parts of lib/vta.te, against operators.py.
Prints TAP. A file a kind, one kernel of N random cases in it; 20 make each kind, more in the long tests."""
import os
import sys
import tempfile
import zlib

import run  # first: it finds a python3 that has numpy
import numpy as np

import operators as ops
from tap import case, end


class Case:
    """Stages and schedule; `{i}` is the number of the case, o_{i} the output."""

    def __init__(self, stages, schedule, inputs, want):
        self.stages, self.schedule, self.inputs, self.want = stages, schedule, inputs, want


def image(rng, c, w):
    return ops.image(rng, np.int8, c, w)


def rescaling(rng, acc):
    """A random rescaling of `acc_{i}`: the stage narrow_{i}, the part that schedules it, inputs, and what it gives."""
    c = acc.shape[1]
    b, kind = rng.integers(-2**10, 2**10, c).astype(np.int32), int(rng.integers(3))
    x, low = acc + ops.channels(b, acc), int(ops.pick(rng, -128, 0))
    if kind == 0:
        k = int(rng.integers(0, 12))
        return (f'compute narrow_{{i}} = rescale(acc_{{i}}, b_{{i}}, {k}, low = {low});', 'rescaled(narrow_{i}, q_{i}, tile);', dict(b=b),
                np.clip(x >> k, low, 127))
    if kind == 1:
        k = rng.integers(0, 12, c).astype(np.int32)
        return (f'compute narrow_{{i}} = rescale_channels(acc_{{i}}, b_{{i}}, k_{{i}}, low = {low});',
                'rescaled(narrow_{i}, q_{i}, tile, channels = true);', dict(b=b, k=k), np.clip(x >> ops.channels(k, acc), low, 127))
    before, m, k = int(rng.integers(0, 5)), int(rng.integers(1, 200)), int(rng.integers(6, 14))
    return (f'compute narrow_{{i}} = rescale_multiply(acc_{{i}}, b_{{i}}, multiplier = {m}, shift = {k}, before = {before}, low = {low});',
            'rescaled(narrow_{i}, q_{i}, tile);', dict(b=b), np.clip(((x >> before) * m + 2**(k - 1)) >> k, low, 127))


def tiled(rng):
    return f'tile = tiles_of(q_{{i}}, rows = {int(rng.integers(1, 5))}, blocks = {int(rng.integers(1, 3))});\n'


def convolution(rng, groups, **fixed):
    w = ops.windows_of(rng)
    w |= fixed
    cg, og = (16, 16) if groups > 1 else (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    x, weight = image(rng, cg * groups, w), ops.data(rng, np.int8, og * groups, cg, *w['k'])
    stage, part, more, want = rescaling(rng, ops.convolved(x, weight, w, groups))
    stages = (f'compute t_{{i}} = x_{{i}}; compute taps_{{i}} = w_{{i}};\n'
              f'compute acc_{{i}} = conv2d(t_{{i}}, taps_{{i}}{ops.attributes(w)}{ops.named(groups=groups)});\n{stage}\n'
              'compute q_{i} = int8(narrow_{i}); output o_{i} = q_{i};')
    schedule = 'in_tiles(t_{i}); ' + tiled(rng) + 'on_gemm(acc_{i}, taps_{i}, q_{i}, tile); ' + part
    return Case(stages, schedule, dict(x=x, w=weight) | more, want.astype(np.int8))


def plain(rng):
    return convolution(rng, 1, strides=[1, 1], dilations=[1, 1])


def strided(rng):
    return convolution(rng, 1, dilations=[1, 1])


def dilated(rng):
    return convolution(rng, 1)


def grouped(rng):
    return convolution(rng, int(ops.pick(rng, 2, 3)))


def depthwise(rng):
    w, c = ops.windows_of(rng), int(rng.integers(1, 40))
    x, weight = image(rng, c, w), ops.data(rng, np.int8, c, *w['k'])
    stage, part, more, want = rescaling(rng, ops.convolved(x, weight[:, None], w, c))
    stages = ('compute t_{i} = x_{i}; compute large_{i} = int32(t_{i}); compute w32_{i} = int32(w_{i});\n'
              f'compute acc_{{i}} = depthwise(large_{{i}}, w32_{{i}}{ops.attributes(w)});\n{stage}\n'
              'compute q_{i} = int8(narrow_{i}); output o_{i} = q_{i};')
    schedule = ('in_tiles(t_{i}); large_{i}.compute_inline(); ' + tiled(rng) + 'depthwise_on_alu(acc_{i}, q_{i}, tile); ' + part)
    return Case(stages, schedule, dict(x=x, w=weight) | more, want.astype(np.int8))


def transposed(rng):
    w, c, o, s = ops.windows_of(rng, 4), int(rng.integers(1, 24)), int(rng.integers(1, 24)), int(rng.integers(1, 4))
    p = [min(p, w['k'][i % 2] - 1) for i, p in enumerate(w['pads'])]
    x = ops.data(rng, np.int8, int(rng.integers(1, 3)), c, int(rng.integers(2, 7)), int(rng.integers(2, 7)))
    weight, b = ops.data(rng, np.int8, c, o, *w['k']), rng.integers(-2**10, 2**10, o).astype(np.int32)
    p, k, more = ops.kept(p, x, w['k'], [s, s]), rng.integers(4, 12, o).astype(np.int32), [int(rng.integers(s)) for _ in range(2)]
    acc = ops.spread(x, weight, [s, s], p, [1, 1], more)
    stages = ('compute t_{i} = x_{i};\n'
              f'output o_{{i}} = quantised_conv_transpose(t_{{i}}, w_{{i}}, b_{{i}}, k_{{i}}{ops.named(stride=s, pads=p, more=more)});')
    want = np.clip((acc + ops.channels(b, acc)) >> ops.channels(k, acc), -128, 127).astype(np.int8)
    return Case(stages, f'in_tiles(t_{{i}}); quantised_transpose(o_{{i}}, rows = {int(rng.integers(1, 4))});', dict(x=x, w=weight, b=b, k=k),
                want)


def dense(rng):
    n, i, o = int(rng.integers(1, 8)), int(rng.integers(1, 60)), int(rng.integers(1, 40))
    x, weight = ops.data(rng, np.int8, n, i), ops.data(rng, np.int8, o, i)
    stage, part, more, want = rescaling(rng, x.astype(np.int32) @ weight.T.astype(np.int32))
    stages = ('compute t_{i}[n: %d, i: %d] : int8 = x_{i}[n, i]; compute taps_{i}[o: %d, i: %d] : int8 = w_{i}[o, i];\n' % (n, i, o, i) +
              f'compute acc_{{i}} = dense(t_{{i}}, taps_{{i}});\n{stage}\ncompute q_{{i}} = int8(narrow_{{i}}); output o_{{i}} = q_{{i}};')
    schedule = ('in_tiles(q_{i}); q_{i}.dma_copy(); dense_on_gemm(acc_{i}, t_{i}, taps_{i}, q_{i}, n0);\n' + part.replace('tile', 'n0'))
    return Case(stages, schedule, dict(x=x, w=weight) | more, want.astype(np.int8))


LARGE = 'compute t_{i} = x_{i}; compute large_{i} = int32(t_{i});\n'
LOADED = 'widened(large_{i}, q_{i}, tile);\n'


def max_pool(rng):
    x, args, size, places = ops.pooled(rng, np.int8, False)
    tops = [np.max(have, 0) if have else np.full(x.shape[:2], -128, np.int8) for have, _ in places]
    stages = LARGE + f'compute top_{{i}} = max_pool(large_{{i}}{args}); compute q_{{i}} = int8(top_{{i}}); output o_{{i}} = q_{{i}};'
    return Case(stages, 'in_tiles(t_{i}); ' + tiled(rng) + LOADED + 'on_alu(top_{i}, q_{i}, tile);', dict(x=x),
                np.stack(tops, -1).reshape(*x.shape[:2], *size))


def average_pool(rng):
    k, s = [int(2**rng.integers(0, 3)) for _ in range(2)], [int(rng.integers(1, 4)) for _ in range(2)]
    x = ops.data(rng, np.int8, int(rng.integers(1, 3)), int(rng.integers(1, 40)), *[n + int(rng.integers(0, 9)) for n in k])
    w = dict(k=k, strides=s, pads=[0] * 4, dilations=[1, 1])
    terms = [ops.at_tap(x, w, dy, dx).astype(np.int32) for dy in range(k[0]) for dx in range(k[1])]
    stages = LARGE + (f'compute mean_{{i}} = average_pool(large_{{i}}{ops.named(sizes=k, strides=s)});\n'
                      'compute q_{i} = int8(mean_{i}); output o_{i} = q_{i};')
    return Case(stages, 'in_tiles(t_{i}); ' + tiled(rng) + LOADED + 'on_alu(mean_{i}.total, q_{i}, tile); on_alu(mean_{i}, q_{i}, tile);',
                dict(x=x), (sum(terms) // (k[0] * k[1])).astype(np.int8))


def addition(rng):
    shape = [int(rng.integers(1, 3)), int(rng.integers(1, 40)), int(rng.integers(1, 9)), int(rng.integers(1, 9))]
    x, y, left = ops.data(rng, np.int8, *shape), ops.data(rng, np.int8, *shape), int(rng.integers(0, 4))
    stages = (LARGE + 'compute u_{i} = y_{i}; compute wide_{i} = int32(u_{i});\n' +
              f'compute sum_{{i}} = clamp((large_{{i}} + (wide_{{i}} << {left})) >> {left}, -128, 127);\n'
              'compute q_{i} = int8(sum_{i}); output o_{i} = q_{i};')
    schedule = 'in_tiles(t_{i}); in_tiles(u_{i}); ' + tiled(rng) + LOADED + LOADED.replace('large', 'wide') + 'on_alu(sum_{i}, q_{i}, tile);'
    want = np.clip((x.astype(np.int32) + (y.astype(np.int32) << left)) >> left, -128, 127)
    return Case(stages, schedule, dict(x=x, y=y), want.astype(np.int8))


KINDS = [plain, strided, dilated, grouped, depthwise, transposed, dense, max_pool, average_pool, addition]


def test(tetc, kind, count, seed, devices):
    rng = np.random.default_rng([seed, zlib.crc32(kind.__name__.encode())])
    cases = [kind(rng) for _ in range(count)]
    inputs, text, schedule = {}, '', ''
    for i, c in enumerate(cases):
        for k, v in c.inputs.items():
            inputs[f'{k}_{i}'] = v
            text += run.declared(f'{k}_{i}', v, 'ncyx' if k in 'xy' else ['o', 'c', 'dy', 'dx'] if v.ndim != 3 else ['o', 'dy', 'dx'])
        text += ''.join('  ' + line + '\n' for line in c.stages.replace('{i}', str(i)).split('\n'))
        schedule += ''.join('  ' + line.replace('tile', f'tile_{i}').replace(f'tile_{i}s', 'tiles') + '\n'
                            for line in c.schedule.replace('{i}', str(i)).split('\n'))
    text = f'target vta;\nimport "nn.te";\nimport "vta.te";\nkernel k {{\n{text}}}\nschedule k {{\n{schedule}}}\n'
    for device in devices:
        with tempfile.TemporaryDirectory() as folder:
            got, said = run.run(tetc, text, inputs, [f'o_{i}' for i in range(count)], folder, ['-O0', f'--device={device}'])
        if got is None:
            return f'{device}: {said}\n{text}'
        for i, c in enumerate(cases):
            why = run.differs(got[f'o_{i}'], c.want, 0)
            if why:
                return f'{device}, case {i}: {why}\n{text}'
    return None


def main():
    args, count, seed = run.options(sys.argv[1:])
    tetc, devices = os.path.abspath(args[0]), args[1:]
    for more in range(10 if os.environ.get('TETC_LONG_TESTS') else 1):
        for kind in KINDS:
            case(f'{kind.__name__}: {count} cases of seed {seed + more}', test(tetc, kind, count, seed + more, devices))
    end()


if __name__ == '__main__':
    main()
