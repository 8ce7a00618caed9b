# SPDX-License-Identifier: Apache-2.0
"""What the operators of lib/nn.te mean, a second time, in numpy: random cases of each, with what they give.

Integers and floats are computed as the library says: sums in the order of their axes, each step rounded to its type. A case whose
`close` is set has functions like exp in it, which differ by a rounding from library to library.
"""
import math

import numpy as np

ALL = {}


class Case:
    """A call of an operator: `{x}` in the text stands for the input x."""

    def __init__(self, call, inputs, wants, close=0.0):
        self.call, self.inputs, self.wants, self.close = call, inputs, wants if isinstance(wants, tuple) else (wants,), close


def operator(f):
    ALL[f.__name__] = f
    return f


# ---- helps ---------------------------------------------------------------------------------------------------------


def data(rng, dtype, *shape):
    if np.dtype(dtype).kind == 'f':
        return rng.normal(0, 1, shape).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -1000), min(info.max, 1000)
    return rng.integers(low, high + 1, shape).astype(dtype)


def wide(x):
    return x.astype(np.int32) if x.dtype.itemsize < 4 and x.dtype.kind in 'iu' else x


def kind(rng):
    return [np.int8, np.float32, np.int8, np.float32, np.uint8, np.int16, np.int32, np.float64][rng.integers(8)]


def pick(rng, *of):
    return of[rng.integers(len(of))]


def pads4(rng, most):
    return [int(rng.integers(most + 1)) for _ in range(4)]


def zero_padded(x, pads, value=0):
    return np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=np.array(value, x.dtype))


def added(terms, like):
    """Terms in order, from 0."""
    total = np.zeros(like.shape, like.dtype)
    with np.errstate(over='ignore'):
        for t in terms:
            total = total + t
    return total


def by16(terms, like):
    """Sixteen sums of every sixteenth term, then their halves."""
    parts = [np.zeros(like.shape, like.dtype) for _ in range(16)]
    for i, t in enumerate(terms):
        parts[i % 16] = parts[i % 16] + t
    for half in (8, 4, 2, 1):
        parts = [parts[i] + parts[i + half] for i in range(half)]
    return parts[0]


def out_size(n, before, after, k, d, s):
    return (n + before + after - d * (k - 1) - 1) // s + 1


def named(**values):
    return ''.join(f', {k} = {str(v).lower() if isinstance(v, bool) else v}' for k, v in values.items())


def last_terms(x):
    return [x[..., i] for i in range(x.shape[-1])]


# ---- convolutions and products -------------------------------------------------------------------------------------


def windows_of(rng, most=3, pad=2):
    """Random sizes, strides, pads and dilations, as a dictionary and as arguments."""
    return dict(k=[int(rng.integers(1, most + 1)) for _ in range(2)], strides=[int(rng.integers(1, 4)) for _ in range(2)],
                pads=pads4(rng, pad), dilations=[int(rng.integers(1, 3)) for _ in range(2)])


def image(rng, dtype, c, w):
    """An image that is at least as large as a window."""
    return data(rng, dtype, int(rng.integers(1, 3)), c, *[(w['k'][i] - 1) * w['dilations'][i] + 1 + int(rng.integers(0, 8))
                                                         for i in range(2)])


def at_tap(x, w, dy, dx):
    """What the windows have at a tap, of a padded image."""
    p, s, d, k = w['pads'], w['strides'], w['dilations'], w['k']
    oh, ow = [out_size(x.shape[2 + i] - p[i] - p[i + 2], p[i], p[i + 2], k[i], d[i], s[i]) for i in range(2)]
    return x[:, :, dy * d[0]:dy * d[0] + (oh - 1) * s[0] + 1:s[0], dx * d[1]:dx * d[1] + (ow - 1) * s[1] + 1:s[1]]


def convolved(x, weight, w, groups):
    """weight [o, c / groups, dy, dx]"""
    x, weight = wide(zero_padded(x, w['pads'])), wide(weight)
    o, cg = weight.shape[:2]
    maps = []
    for i in range(o):
        first = i // (o // groups) * cg
        taps = [(c, dy, dx) for c in range(cg) for dy in range(w['k'][0]) for dx in range(w['k'][1])]
        terms = [at_tap(x, w, dy, dx)[:, first + c] * weight[i, c, dy, dx] for c, dy, dx in taps]
        maps.append(added(terms, terms[0]))
    return np.stack(maps, 1)


def attributes(w):
    return named(strides=w['strides'], pads=w['pads'], dilations=w['dilations'])


@operator
def conv2d(rng):
    w, groups, dtype = windows_of(rng), pick(rng, 1, 1, 2, 3), kind(rng)
    cg, og = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    x, weight = image(rng, dtype, cg * groups, w), data(rng, dtype, og * groups, cg, *w['k'])
    return Case(f'conv2d({{x}}, {{w}}{attributes(w)}{named(groups=groups)})', dict(x=x, w=weight), convolved(x, weight, w, groups))


@operator
def depthwise(rng):
    w, each, dtype, c = windows_of(rng), pick(rng, 1, 1, 2, 3), kind(rng), int(rng.integers(1, 5))
    x, weight = image(rng, dtype, c, w), data(rng, dtype, c * each, *w['k'])
    return Case(f'depthwise({{x}}, {{w}}{attributes(w)})', dict(x=x, w=weight), convolved(x, weight[:, None], w, c))


def spread(x, weight, s, p, d, more):
    """Spreads elements, in the order c, dy, dx for each place of the result; weight [c, o, dy, dx]."""
    x, weight = wide(x), wide(weight)
    n, _, h, wd = x.shape
    o, kh, kw = weight.shape[1:]
    whole = np.zeros((n, o, (h - 1) * s[0] + d[0] * (kh - 1) + 1 + more[0], (wd - 1) * s[1] + d[1] * (kw - 1) + 1 + more[1]), x.dtype)
    with np.errstate(over='ignore'):
        for c in range(x.shape[1]):
            for dy in range(kh):
                for dx in range(kw):
                    part = whole[:, :, dy * d[0]:dy * d[0] + (h - 1) * s[0] + 1:s[0], dx * d[1]:dx * d[1] + (wd - 1) * s[1] + 1:s[1]]
                    part += x[:, c][:, None] * weight[c, :, dy, dx][None, :, None, None]
    return whole[:, :, p[0]:whole.shape[2] - p[2], p[1]:whole.shape[3] - p[3]]


def kept(p, x, k, s, d=(1, 1)):
    """Pads that leave something of a transposed convolution's result."""
    whole = [(x.shape[2 + i] - 1) * s[i] + d[i] * (k[i] - 1) + 1 for i in range(2)]
    return p[:2] + [min(p[2 + i], max(whole[i] - p[i] - 1, 0)) for i in range(2)]


@operator
def conv_transpose(rng):
    w, dtype, c = windows_of(rng), kind(rng), int(rng.integers(1, 4))
    w['pads'] = [min(p, w['dilations'][i % 2] * (w['k'][i % 2] - 1)) for i, p in enumerate(w['pads'])]
    x = data(rng, dtype, int(rng.integers(1, 3)), c, int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    weight = data(rng, dtype, c, int(rng.integers(1, 4)), *w['k'])
    w['pads'] = kept(w['pads'], x, w['k'], w['strides'], w['dilations'])
    more = [int(rng.integers(w['strides'][i])) for i in range(2)]
    return Case(f'conv_transpose({{x}}, {{w}}{attributes(w)}{named(more=more)})', dict(x=x, w=weight),
                spread(x, weight, w['strides'], w['pads'], w['dilations'], more))


@operator
def conv_transpose_phases(rng):
    w, dtype, c, s = windows_of(rng, 4), pick(rng, np.int8, np.uint8, np.int16, np.int32), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    p = [min(p, w['k'][i % 2] - 1) for i, p in enumerate(w['pads'])]
    x = data(rng, dtype, int(rng.integers(1, 3)), c, int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    weight = data(rng, dtype, c, int(rng.integers(1, 4)), *w['k'])
    p, more = kept(p, x, w['k'], [s, s]), [int(rng.integers(s)) for _ in range(2)]
    return Case(f'conv_transpose_phases({{x}}, {{w}}{named(stride=s, pads=p, more=more)})', dict(x=x, w=weight),
                spread(x, weight, [s, s], p, [1, 1], more))


def rows_before(rng):
    return [int(rng.integers(1, 4)) for _ in range(int(rng.integers(0, 3)))]


@operator
def dense(rng):
    dtype, i, o = kind(rng), int(rng.integers(1, 40)), int(rng.integers(1, 8))
    x, w = data(rng, dtype, *rows_before(rng), i), data(rng, dtype, o, i)
    terms = [wide(x)[..., k, None] * wide(w)[:, k] for k in range(i)]
    return Case('dense({x}, {w})', dict(x=x, w=w), added(terms, terms[0]))


@operator
def matmul(rng):
    dtype, before, i, k, j = kind(rng), rows_before(rng), *[int(rng.integers(1, 12)) for _ in range(3)]
    a, b = data(rng, dtype, *before, i, k), data(rng, dtype, *before, k, j)
    terms = [wide(a)[..., :, n, None] * wide(b)[..., None, n, :] for n in range(k)]
    return Case('matmul({a}, {b})', dict(a=a, b=b), added(terms, terms[0]))


# ---- pools ---------------------------------------------------------------------------------------------------------


def pooled(rng, dtype, include):
    """A random pool: image, attributes, and for each place of the result what its window has and how many it counts."""
    w, ceil = windows_of(rng), bool(rng.integers(2))
    k, s, d = w['k'], w['strides'], w['dilations']
    p = w['pads'] = [min(x, (k[i % 2] - 1) * d[i % 2] // 2) for i, x in enumerate(w['pads'])]
    x = image(rng, dtype, int(rng.integers(1, 4)), w)
    size = []
    for i in range(2):
        n, before, after = x.shape[2 + i], p[i], p[i + 2]
        room = n + before + after - (d[i] * (k[i] - 1) + 1)
        count = (math.ceil(room / s[i]) if ceil else room // s[i]) + 1
        while (count - 1) * s[i] >= n + before:
            count -= 1
        size.append(count)
    places = []
    for y in range(size[0]):
        for z in range(size[1]):
            ys = [y * s[0] + t * d[0] - p[0] for t in range(k[0])]
            zs = [z * s[1] + t * d[1] - p[1] for t in range(k[1])]
            have = [x[:, :, a, b] for a in ys for b in zs if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]]
            counted = sum(1 for a in ys for b in zs
                          if (a < x.shape[2] + p[2] and b < x.shape[3] + p[3] if include else 0 <= a < x.shape[2] and 0 <= b < x.shape[3]))
            places.append((have, counted))
    args = named(sizes=k, strides=s, pads=p, dilations=d, ceil_mode=ceil)
    return x, args, size, places


@operator
def max_pool(rng):
    x, args, size, places = pooled(rng, kind(rng), False)
    lowest = -np.inf if x.dtype.kind == 'f' else np.iinfo(x.dtype).min
    tops = [np.max(have, 0) if have else np.full(x.shape[:2], lowest, x.dtype) for have, _ in places]
    return Case(f'max_pool({{x}}{args})', dict(x=x), np.stack(tops, -1).reshape(*x.shape[:2], *size).astype(x.dtype))


def average(total, count):
    if total.dtype.kind == 'f':
        with np.errstate(invalid='ignore', divide='ignore'):
            return total / total.dtype.type(count)
    return total // total.dtype.type(count) if count else total * 0


@operator
def average_pool(rng):
    include = bool(rng.integers(2))
    x, args, size, places = pooled(rng, kind(rng), include)
    like = wide(x)[:, :, 0, 0]
    means = [average(added([wide(h) for h in have], like), count) for have, count in places]
    want = np.stack(means, -1).reshape(*x.shape[:2], *size)
    return Case(f'average_pool({{x}}{args}{named(count_include_pad=include)})', dict(x=x), want)


def any_image(rng, dtype):
    return data(rng, dtype, *[int(rng.integers(1, 4)) for _ in range(2)], *[int(rng.integers(1, 9)) for _ in range(2)])


@operator
def global_average_pool(rng):
    x = any_image(rng, kind(rng))
    flat = wide(x).reshape(*x.shape[:2], -1)
    return Case('global_average_pool({x})', dict(x=x), average(added(last_terms(flat), flat[..., 0]), flat.shape[-1]))


@operator
def global_max_pool(rng):
    x = any_image(rng, kind(rng))
    return Case('global_max_pool({x})', dict(x=x), x.max((2, 3)))


# ---- normalisation and attention -----------------------------------------------------------------------------------


def real(rng):
    return pick(rng, np.float32, np.float32, np.float64)


def some(rng, dtype):
    return data(rng, dtype, *rows_before(rng), int(rng.integers(1, 40)))


def channels(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


@operator
def batch_norm(rng):
    f, c = real(rng), int(rng.integers(1, 5))
    x = data(rng, f, int(rng.integers(1, 3)), c, *rows_before(rng))
    s, b, m, v = [data(rng, f, c) for _ in range(4)]
    v, eps = np.abs(v), f(1e-3)
    want = (x - channels(m, x)) / np.sqrt(channels(v, x) + eps) * channels(s, x) + channels(b, x)
    return Case('batch_norm({x}, {s}, {b}, {m}, {v}, epsilon = 0.001)', dict(x=x, s=s, b=b, m=m, v=v), want)


@operator
def layer_norm(rng):
    f = real(rng)
    x = some(rng, f)
    s, b, n = data(rng, f, x.shape[-1]), data(rng, f, x.shape[-1]), f(x.shape[-1])
    mean = by16(last_terms(x), x[..., 0]) / n
    off = x - mean[..., None]
    var = by16(last_terms(off * off), x[..., 0]) / n
    return Case('layer_norm({x}, {s}, {b})', dict(x=x, s=s, b=b), off / np.sqrt(var + f(1e-5))[..., None] * s + b)


@operator
def rms_norm(rng):
    f = real(rng)
    x = some(rng, f)
    s = data(rng, f, x.shape[-1])
    square = by16(last_terms(x * x), x[..., 0]) / f(x.shape[-1])
    return Case('rms_norm({x}, {s})', dict(x=x, s=s), x / np.sqrt(square + f(1e-5))[..., None] * s)


def softmax_of(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / by16(last_terms(e), x[..., 0])[..., None]


@operator
def softmax(rng):
    x = some(rng, real(rng)) * 3
    return Case('softmax({x})', dict(x=x), softmax_of(x), close=1e-6)


@operator
def log_softmax(rng):
    x = some(rng, real(rng)) * 3
    top = x.max(-1, keepdims=True)
    total = by16(last_terms(np.exp(x - top)), x[..., 0])
    return Case('log_softmax({x})', dict(x=x), x - top - np.log(total)[..., None], close=1e-6)


@operator
def attention(rng):
    f, before, (i, j, d, e) = real(rng), rows_before(rng), [int(rng.integers(1, 8)) for _ in range(4)]
    causal = bool(rng.integers(2))
    q, k, v = data(rng, f, *before, i, d), data(rng, f, *before, j, d), data(rng, f, *before, j, e)
    terms = [q[..., :, None, n] * k[..., None, :, n] for n in range(d)]
    scores = added(terms, terms[0]) * f(1 / math.sqrt(d))
    if causal:
        scores = np.where(np.arange(j) > np.arange(i)[:, None], f(-np.inf), scores)
    p = softmax_of(scores)
    terms = [p[..., n, None] * v[..., None, n, :] for n in range(j)]
    return Case(f'attention({{q}}, {{k}}, {{v}}{named(causal=causal)})', dict(q=q, k=k, v=v), added(terms, terms[0]), close=1e-6)


# ---- activations ---------------------------------------------------------------------------------------------------


def pointwise(name, f, close=0.0, types=(np.float32, np.float64), **more):
    def make(rng):
        x = data(rng, pick(rng, *types), *rows_before(rng), int(rng.integers(1, 30)))
        x = (x * 3).astype(x.dtype) if x.dtype.kind == 'f' else x
        values = {k: v(rng) for k, v in more.items()}
        return Case(f'{name}({{x}}{named(**values)})', dict(x=x), f(x, **{k: x.dtype.type(v) for k, v in values.items()}), close)
    ALL[name] = make


def erf(x):
    return np.array([math.erf(v) for v in x.ravel()]).reshape(x.shape).astype(x.dtype)


def softplus_of(x):
    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))


def const(x, v):
    return x.dtype.type(v)


ANY = (np.int8, np.int32, np.float32, np.float64)
pointwise('relu', lambda x: np.maximum(x, 0), types=ANY)
pointwise('relu6', lambda x: np.minimum(np.maximum(x, 0), 6), types=ANY)
pointwise('leaky_relu', lambda x, alpha: np.where(x < 0, x * alpha, x), alpha=lambda rng: round(rng.uniform(0, 1), 2))
pointwise('elu', lambda x, alpha: np.where(x < 0, (np.exp(x) - 1) * alpha, x), close=1e-6, alpha=lambda rng: round(rng.uniform(0, 2), 2))
pointwise('selu', lambda x: np.where(x < 0, (np.exp(x) - 1) * const(x, 1.6732632423543772), x) * const(x, 1.0507009873554805), close=1e-6)
pointwise('hard_sigmoid', lambda x: np.clip(x / const(x, 6) + const(x, 0.5), 0, 1))
pointwise('hard_swish', lambda x: x * np.clip(x / const(x, 6) + const(x, 0.5), 0, 1))
pointwise('silu', lambda x: x * (1 / (1 + np.exp(-x))), close=1e-6)
pointwise('gelu', lambda x: x * const(x, 0.5) * (1 + erf(x * const(x, math.sqrt(0.5)))), close=1e-6)
pointwise('gelu_tanh', lambda x: x * const(x, 0.5) * (1 + np.tanh((x + x * x * x * const(x, 0.044715)) * const(x, math.sqrt(2 / math.pi)))),
          close=1e-6)
pointwise('softplus', softplus_of, close=1e-6)
pointwise('softsign', lambda x: x / (1 + np.abs(x)))
pointwise('mish', lambda x: x * np.tanh(softplus_of(x)), close=1e-6)


@operator
def prelu(rng):
    f, c = real(rng), int(rng.integers(1, 5))
    x, s = data(rng, f, int(rng.integers(1, 3)), c, *rows_before(rng)), data(rng, f, c)
    return Case('prelu({x}, {s})', dict(x=x, s=s), np.where(x < 0, x * channels(s, x), x))


def broadcast(name, f):
    def make(rng):
        dtype, shape = kind(rng), [int(rng.integers(1, 5)) for _ in range(4)]
        a, b = [data(rng, dtype, *[1 if rng.integers(3) == 0 else n for n in shape]) for _ in range(2)]
        with np.errstate(over='ignore'):
            return Case(f'{name}({{a}}, {{b}})', dict(a=a, b=b), f(a, b))
    ALL[name] = make


broadcast('add', lambda a, b: a + b)
broadcast('mul', lambda a, b: a * b)


# ---- quantisation --------------------------------------------------------------------------------------------------


def sums(rng):
    c = int(rng.integers(1, 6))
    x = rng.integers(-2**20, 2**20, (int(rng.integers(1, 3)), c, *rows_before(rng))).astype(np.int32)
    return x, rng.integers(-2**12, 2**12, c).astype(np.int32)


def rescaled(name, channel, narrow):
    def make(rng):
        x, b = sums(rng)
        low, high = int(pick(rng, -128, 0)), int(pick(rng, 127, 6))
        k = rng.integers(0, 20, x.shape[1] if channel else 1).astype(np.int32)
        want = np.clip((x + channels(b, x)) >> channels(k, x), low, high)
        inputs = dict(x=x, b=b, k=k) if channel else dict(x=x, b=b)
        return Case(f'{name}({{x}}, {{b}}, {"{k}" if channel else int(k[0])}{named(low=low, high=high)})', inputs,
                    want.astype(np.int8) if narrow else want)
    ALL[name] = make


rescaled('rescale', False, False)
rescaled('rescale_channels', True, False)
rescaled('requantise', False, True)
rescaled('requantise_channels', True, True)


@operator
def requantise_multiply(rng):
    x, b = sums(rng)
    k, m = int(rng.integers(38, 44)), rng.integers(2**30, 2**31, x.shape[1]).astype(np.int32)
    acc = (x + channels(b, x)).astype(np.int64)
    return Case(f'requantise_multiply({{x}}, {{b}}, {{m}}, shift = {k})', dict(x=x, b=b, m=m),
                np.clip((acc * channels(m, x).astype(np.int64) + 2**(k - 1)) >> k, -128, 127).astype(np.int8))


@operator
def rescale_multiply(rng):
    x, b = sums(rng)
    before, k, m = int(rng.integers(4, 8)), int(rng.integers(8, 14)), int(rng.integers(1, 2**7))
    acc = (x + channels(b, x)) >> before
    return Case(f'rescale_multiply({{x}}, {{b}}{named(multiplier=m, shift=k, before=before)})', dict(x=x, b=b),
                np.clip((acc * m + 2**(k - 1)) >> k, -128, 127))


def multiplied(acc, m, before, k):
    return ((acc >> before) * channels(m, acc) + 2**(k - 1)) >> k


def multipliers(rng, c):
    """Of c channels, and the numbers beside them."""
    return rng.integers(1, 2**7, c).astype(np.int32), dict(before=int(rng.integers(4, 8)), shift=int(rng.integers(8, 14)))


@operator
def rescale_multiply_channels(rng):
    x, b = sums(rng)
    m, by = multipliers(rng, x.shape[1])
    return Case(f'rescale_multiply_channels({{x}}, {{b}}, {{m}}{named(**by)})', dict(x=x, b=b, m=m),
                np.clip(multiplied(x + channels(b, x), m, by['before'], by['shift']), -128, 127))


def narrowed(rng, multiply, acc):
    """The text of a call's third and further arguments, the inputs in it, and the sums rescaled by them."""
    b = rng.integers(-2**12, 2**12, acc.shape[1]).astype(np.int32)
    acc = acc + channels(b, acc)
    if multiply:
        m, by = multipliers(rng, acc.shape[1])
        return '{b}, {m}', named(**by), dict(b=b, m=m), multiplied(acc, m, by['before'], by['shift'])
    k = rng.integers(5, 12, acc.shape[1]).astype(np.int32)
    return '{b}, {k}', '', dict(b=b, k=k), acc >> channels(k, acc)


def in_windows(rng, groups=1):
    """The data, weights, attributes and sums of a convolution of integers."""
    w, cg, og = windows_of(rng), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    x, weight = image(rng, np.int8, cg * groups, w), data(rng, np.int8, og * groups, cg, *w['k'])
    return dict(x=x, w=weight), attributes(w), convolved(x, weight, w, groups)


def ends(rng):
    low, high = int(pick(rng, -128, 0)), int(pick(rng, 127, 6))
    return named(low=low, high=high), low, high


def layers(multiply):
    end = '_multiply' if multiply else ''

    def conv2d(rng):
        inputs, args, acc = in_windows(rng, pick(rng, 1, 2))
        tensors, by, more, narrow = narrowed(rng, multiply, acc)
        stops, low, high = ends(rng)
        return Case(f'quantised_conv2d{end}({{x}}, {{w}}, {tensors}{by}{args}{stops})', inputs | more, np.clip(narrow, low, high).astype(np.int8))

    def residual(rng):
        inputs, args, acc = in_windows(rng, pick(rng, 1, 2))
        tensors, by, more, narrow = narrowed(rng, multiply, acc)
        stops, low, high = ends(rng)
        skip, left, right, limit = data(rng, np.int8, *acc.shape), *[int(rng.integers(0, 4)) for _ in range(2)], int(pick(rng, 128, 512))
        total = np.clip(narrow, -limit, limit - 1) + (skip.astype(np.int32) << left) + (1 << right) // 2
        return Case(f'quantised_residual{end}({{x}}, {{w}}, {tensors}, {{s}}{by}{args}{named(left=left, right=right, limit=limit)}{stops})',
                    inputs | more | dict(s=skip), np.clip(total >> right, low, high).astype(np.int8))

    def depthwise(rng):
        w, c, each = windows_of(rng), int(rng.integers(1, 5)), pick(rng, 1, 2)
        x, weight = image(rng, np.int8, c, w), data(rng, np.int8, c * each, *w['k'])
        tensors, by, more, narrow = narrowed(rng, multiply, convolved(x, weight[:, None], w, c))
        stops, low, high = ends(rng)
        return Case(f'quantised_depthwise{end}({{x}}, {{w}}, {tensors}{by}{attributes(w)}{stops})', dict(x=x, w=weight) | more,
                    np.clip(narrow, low, high).astype(np.int8))

    def dense(rng):
        x, w = data(rng, np.int8, int(rng.integers(1, 4)), int(rng.integers(1, 40))), None
        w = data(rng, np.int8, int(rng.integers(1, 8)), x.shape[1])
        tensors, by, more, narrow = narrowed(rng, multiply, wide(x) @ wide(w).T)
        stops, low, high = ends(rng)
        return Case(f'quantised_dense{end}({{x}}, {{w}}, {tensors}{by}{stops})', dict(x=x, w=w) | more,
                    np.clip(narrow, low, high).astype(np.int8))

    for f in (conv2d, residual, depthwise, dense):
        ALL[f'quantised_{f.__name__}{end}'] = f


layers(False)
layers(True)


@operator
def quantised_add(rng):
    a = some(rng, np.int8)
    b = data(rng, np.int8, *a.shape)
    a_left, b_left, right = [int(rng.integers(0, 4)) for _ in range(3)]
    stops, low, high = ends(rng)
    total = (wide(a) << a_left) + (wide(b) << b_left) + (1 << right) // 2
    return Case(f'quantised_add({{a}}, {{b}}{named(a_left=a_left, b_left=b_left, right=right)}{stops})', dict(a=a, b=b),
                np.clip(total >> right, low, high).astype(np.int8))


def scaled_down(total, m, k):
    return np.clip((total * m + 2**(k - 1)) >> k, -128, 127).astype(np.int8)


@operator
def quantised_mean(rng):
    x, m, k = any_image(rng, np.int8), int(rng.integers(1, 2000)), int(rng.integers(8, 16))
    return Case(f'quantised_mean({{x}}{named(multiplier=m, shift=k)})', dict(x=x), scaled_down(wide(x).sum((2, 3), dtype=np.int32), m, k))


@operator
def quantised_mean_wide(rng):
    x, m, k, limit = any_image(rng, np.int8), int(rng.integers(1, 20000)), int(rng.integers(8, 16)), int(pick(rng, 512, 8192))
    total = (wide(x).sum((2, 3), dtype=np.int32) * m + 2**(k - 1)) >> k
    return Case(f'quantised_mean_wide({{x}}{named(multiplier=m, shift=k, limit=limit)})', dict(x=x),
                np.clip(total, -limit, limit - 1).astype(np.int16))


@operator
def quantised_average_pool(rng):
    w, m, k = windows_of(rng), int(rng.integers(1, 2000)), int(rng.integers(8, 16))
    x, sizes = image(rng, np.int8, int(rng.integers(1, 4)), w), w['k']
    padded = wide(zero_padded(x, w['pads']))
    taps = [at_tap(padded, w, dy, dx) for dy in range(sizes[0]) for dx in range(sizes[1])]
    return Case(f'quantised_average_pool({{x}}{named(multiplier=m, shift=k, sizes=sizes)}{attributes(w)})', dict(x=x),
                scaled_down(added(taps, taps[0]), m, k))


@operator
def dequantise_sums(rng):
    x, b = sums(rng)
    f = rng.uniform(0.001, 0.1, x.shape[1]).astype(np.float32)
    return Case('dequantise_sums({x}, {b}, {f})', dict(x=x, b=b, f=f), (x + channels(b, x)).astype(np.float32) * channels(f, x))


@operator
def quantised_conv_transpose(rng):
    c, o, s = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    x = data(rng, np.int8, int(rng.integers(1, 3)), c, int(rng.integers(2, 6)), int(rng.integers(2, 6)))
    weight = data(rng, np.int8, c, o, int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    p = kept([int(rng.integers(weight.shape[2 + i % 2])) for i in range(4)], x, weight.shape[2:], [s, s])
    more = [int(rng.integers(s)) for _ in range(2)]
    b, k = rng.integers(-2**12, 2**12, o).astype(np.int32), rng.integers(5, 12, o).astype(np.int32)
    acc = spread(x, weight, [s, s], p, [1, 1], more)
    return Case(f'quantised_conv_transpose({{x}}, {{w}}, {{b}}, {{k}}{named(stride=s, pads=p, more=more)})', dict(x=x, w=weight, b=b, k=k),
                np.clip((acc + channels(b, acc)) >> channels(k, acc), -128, 127).astype(np.int8))


def to_bytes(name, low, high, out):
    def make(rng):
        x, scale, zero = some(rng, np.float32), round(rng.uniform(0.005, 0.1), 4), int(rng.integers(low // 2, high // 2))
        q = np.clip(np.rint(x / np.float32(scale)) + np.float32(zero), low, high).astype(out)
        return Case(f'{name}({{x}}{named(scale=scale, zero=zero)})', dict(x=x), q)
    ALL[name] = make


to_bytes('quantise', -128, 127, np.int8)
to_bytes('quantise_unsigned', 0, 255, np.uint8)


@operator
def dequantise(rng):
    q = some(rng, pick(rng, np.int8, np.uint8, np.int16, np.int32))
    scale, zero = round(rng.uniform(0.005, 0.1), 4), int(rng.integers(-50, 50))
    want = (q.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
    return Case(f'dequantise({{q}}{named(scale=scale, zero=zero)})', dict(q=q), want)


# ---- sizes and places ----------------------------------------------------------------------------------------------


def place(rule, y, h, oh):
    """As a fraction: numerator and denominator."""
    if rule == 0:
        return (2 * y + 1) * h - oh, 2 * oh
    return (y * (h - 1), max(oh - 1, 1)) if rule == 1 else (y * h, oh)


@operator
def resize_nearest(rng):
    x, rule, down = any_image(rng, kind(rng)), int(rng.integers(3)), bool(rng.integers(2))
    size = [int(rng.integers(1, 14)) for _ in range(2)]
    at = []
    for i in range(2):
        h = x.shape[2 + i]
        places = [place(rule, y, h, size[i]) for y in range(size[i])]
        # down: floor(a / b); else ceil(a / b - 1 / 2)
        at.append([min(max(a // b if down else -((b - 2 * a) // (2 * b)), 0), h - 1) for a, b in places])
    want = x[:, :, at[0]][:, :, :, at[1]]
    return Case(f'resize_nearest({{x}}{named(height=size[0], width=size[1], rule=rule, down=down)})', dict(x=x), want)


@operator
def resize_bilinear(rng):
    f, rule = real(rng), int(rng.integers(3))
    x, size = any_image(rng, f), [int(rng.integers(1, 14)) for _ in range(2)]
    want = x
    for i in (1, 0):
        h = x.shape[2 + i]
        lines = []
        for y in range(size[i]):
            a, b = place(rule, y, h, size[i])
            a = min(max(a, 0), (h - 1) * b)
            part = f(a % b) / f(b)
            p, q = want.take(a // b, 2 + i), want.take(min(a // b + 1, h - 1), 2 + i)
            lines.append(p * (f(1) - part) + q * part)
        want = np.stack(lines, 2 + i)
    return Case(f'resize_bilinear({{x}}{named(height=size[0], width=size[1], rule=rule)})', dict(x=x), want)


def padding(name, mode):
    def make(rng):
        x = any_image(rng, kind(rng))
        p = pads4(rng, 3)
        if mode == 'reflect':
            p = [min(v, x.shape[2 + i % 2] - 1) for i, v in enumerate(p)]
        more = dict(value=int(rng.integers(0, 100))) if name == 'pad_constant' else {}
        if mode == 'wrap':  # np.pad's own is wrong for pads larger than the image
            want = x.take(range(-p[0], x.shape[2] + p[2]), 2, mode='wrap').take(range(-p[1], x.shape[3] + p[3]), 3, mode='wrap')
        else:
            how = dict(constant_values=more.get('value', 0)) if mode == 'constant' else {}
            want = np.pad(x, ((0, 0), (0, 0), (p[0], p[2]), (p[1], p[3])), mode, **how)
        return Case(f'{name}({{x}}{named(pads=p, **more)})', dict(x=x), want)
    ALL[name] = make


for pad_name, pad_mode in (('zero', 'constant'), ('constant', 'constant'), ('edge', 'edge'), ('reflect', 'reflect'), ('wrap', 'wrap')):
    padding('pad_' + pad_name, pad_mode)


@operator
def space_to_depth(rng):
    s, (n, c, h, w) = int(rng.integers(1, 4)), [int(rng.integers(1, 5)) for _ in range(4)]
    x = data(rng, kind(rng), n, c, h * s, w * s)
    want = x.reshape(n, c, h, s, w, s).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * s * s, h, w)
    return Case(f'space_to_depth({{x}}, size = {s})', dict(x=x), want)


@operator
def depth_to_space(rng):
    s, (n, c, h, w), first = int(rng.integers(1, 4)), [int(rng.integers(1, 5)) for _ in range(4)], bool(rng.integers(2))
    x = data(rng, kind(rng), n, c * s * s, h, w)
    split = x.reshape(n, c, s, s, h, w).transpose(0, 1, 4, 2, 5, 3) if first else x.reshape(n, s, s, c, h, w).transpose(0, 3, 4, 1, 5, 2)
    return Case(f'depth_to_space({{x}}{named(size=s, channel_first=first)})', dict(x=x), split.reshape(n, c, h * s, w * s))


@operator
def im2col(rng):
    w, c = windows_of(rng), int(rng.integers(1, 4))
    x = image(rng, kind(rng), c, w)
    padded = zero_padded(x, w['pads'])
    taps = [at_tap(padded, w, dy, dx) for dy in range(w['k'][0]) for dx in range(w['k'][1])]
    rows = np.stack(taps, 2)  # n, c, tap, y, x
    want = rows.reshape(x.shape[0], c * len(taps), -1).transpose(0, 2, 1)
    return Case(f'im2col({{x}}{named(sizes=w["k"])}{attributes(w)})', dict(x=x), want)


# ---- indices -------------------------------------------------------------------------------------------------------


def indices(rng, v, *shape):
    return rng.integers(-v, v, shape).astype(pick(rng, np.int32, np.int64, np.int8))


@operator
def one_hot(rng):
    depth = int(rng.integers(1, 8))
    index = rng.integers(-depth - 2, depth + 2, (*rows_before(rng), int(rng.integers(1, 6)))).astype(pick(rng, np.int32, np.int8))
    hot = (index[..., None] == np.arange(depth)) | (index[..., None] + depth == np.arange(depth))
    if rng.integers(2):
        return Case(f'one_hot({{i}}, depth = {depth})', dict(i=index), hot.astype(np.int32))
    return Case(f'one_hot({{i}}, depth = {depth}, on = 2.5, off = -1.0)', dict(i=index),
                np.where(hot, np.float32(2.5), np.float32(-1)))


@operator
def bias_add(rng):
    t = kind(rng)
    x = data(rng, t, *(int(rng.integers(1, 5)) for _ in range(rng.integers(2, 5))))
    b = data(rng, t, x.shape[1])
    return Case('bias_add({x}, {b})', dict(x=x, b=b), x + b.reshape(-1, *[1] * (x.ndim - 2)))


def of_rank(rng, rank):
    return data(rng, kind(rng), *(int(rng.integers(1, 6)) for _ in range(rank)))


@operator
def flatten(rng):
    x = of_rank(rng, 4)
    return Case('flatten({x})', dict(x=x), x.reshape(len(x), -1))


@operator
def spatial(rng):
    x = of_rank(rng, 2)
    return Case('spatial({x})', dict(x=x), x[:, :, None, None])


@operator
def transposed(rng):
    x = of_rank(rng, 2)
    return Case('transposed({x})', dict(x=x), x.T.copy())


@operator
def gather(rng):
    v = int(rng.integers(1, 9))
    x, i = data(rng, kind(rng), v, *rows_before(rng)), indices(rng, v, int(rng.integers(1, 6)))
    return Case('gather({x}, {i})', dict(x=x, i=i), x[i.astype(int) % v])


@operator
def gather_elements(rng):
    v, before = int(rng.integers(1, 9)), rows_before(rng)
    x, i = data(rng, kind(rng), *before, v), indices(rng, v, *before, int(rng.integers(1, 6)))
    return Case('gather_elements({x}, {i})', dict(x=x, i=i), np.take_along_axis(x, i.astype(int) % v, -1))


@operator
def embedding(rng):
    v = int(rng.integers(1, 20))
    x, i = data(rng, kind(rng), v, int(rng.integers(1, 6))), indices(rng, v, *rows_before(rng), int(rng.integers(1, 5)))
    return Case('embedding({x}, {i})', dict(x=x, i=i), x[i.astype(int) % v])


# ---- recurrences ---------------------------------------------------------------------------------------------------


@operator
def cumulative_sum(rng):
    x, exclusive, reverse = some(rng, kind(rng)), bool(rng.integers(2)), bool(rng.integers(2))
    terms = last_terms(x)[::-1] if reverse else last_terms(x)
    total, all_sums = np.zeros_like(terms[0]), []
    with np.errstate(over='ignore'):
        for n, t in enumerate(terms):
            if exclusive:
                all_sums.append(total)
            total = t if n == 0 and not exclusive else total + t
            if not exclusive:
                all_sums.append(total)
    want = np.stack(all_sums[::-1] if reverse else all_sums, -1).astype(x.dtype)
    return Case(f'cumulative_sum({{x}}{named(exclusive=exclusive, reverse=reverse)})', dict(x=x), want)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def product(w, x):
    """w [g, i] * x [n, i] -> [n, g], in order"""
    terms = [x[:, i, None] * w[None, :, i] for i in range(x.shape[1])]
    return added(terms, terms[0])


def cell_inputs(rng, gates):
    s, n, i, h = [int(rng.integers(1, 6)) for _ in range(4)]
    f = np.float32
    return s, h, dict(x=data(rng, f, s, n, i), w=data(rng, f, gates * h, i), r=data(rng, f, gates * h, h), bw=data(rng, f, gates * h),
                      br=data(rng, f, gates * h), h0=data(rng, f, n, h))


@operator
def lstm(rng):
    steps, size, a = cell_inputs(rng, 4)
    a['c0'] = data(rng, np.float32, *a['h0'].shape)
    h, c, hs, cs = a['h0'], a['c0'], [], []
    for t in range(steps):
        g = product(a['w'], a['x'][t]) + product(a['r'], h) + a['bw'] + a['br']
        i, o, f, u = [g[:, k * size:(k + 1) * size] for k in range(4)]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
        cs.append(c)
    return Case('lstm({x}, {w}, {r}, {bw}, {br}, {h0}, {c0})', a, (np.stack(hs), np.stack(cs)), close=1e-6)


def gated(name, after):
    def make(rng):
        steps, size, a = cell_inputs(rng, 3)
        h, hs = a['h0'], []
        rh, bh = a['r'][2 * size:], a['br'][2 * size:]
        for t in range(steps):
            gx = product(a['w'], a['x'][t]) + a['bw']
            gz = [gx[:, k * size:(k + 1) * size] for k in range(3)]
            zr = product(a['r'][:2 * size], h) + a['br'][:2 * size]
            z, r = sigmoid(gz[0] + zr[:, :size]), sigmoid(gz[1] + zr[:, size:])
            u = np.tanh(gz[2] + (r * (product(rh, h) + bh) if after else product(rh, r * h) + bh))
            h = (1 - z) * u + z * h
            hs.append(h)
        return Case(f'{name}({{x}}, {{w}}, {{r}}, {{bw}}, {{br}}, {{h0}})', a, np.stack(hs), close=1e-6)
    ALL[name] = make


gated('gru', False)
gated('gru_reset_after', True)
