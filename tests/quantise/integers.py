# SPDX-License-Identifier: Apache-2.0
"""What the text of a quantised network means, a second time: its lines are evaluated by numpy, in integers of 64 bits that are held
to 32 where the text has int32. A line's expression is read as Python, of the functions below."""
import re

import numpy as np


def held(x):
    """As int32 has it, where nothing may overflow."""
    assert np.abs(x).max(initial=0) < 2**31, 'an int32 overflows'
    return x


def pairs(stride, strides, dilation, dilations, pad, pads):
    return strides or [stride, stride], dilations or [dilation, dilation], pads or [pad] * 4


def windows(x, size, strides, dilations, pads, fill=0):
    """[n, c, y, x, dy, dx]"""
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations)]
    w = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    return w[:, :, ::strides[0], ::strides[1], ::dilations[0], ::dilations[1]]


def conv2d(data, weight, stride=1, strides=None, pad=0, pads=None, dilation=1, dilations=None, groups=None):
    s, d, p = pairs(stride, strides, dilation, dilations, pad, pads)
    w, weight = windows(data.astype(np.int64), weight.shape[2:], s, d, p), weight.astype(np.int64)
    each, groups = weight.shape[1], data.shape[1] // weight.shape[1]
    per = weight.shape[0] // groups
    parts = [np.einsum('ncyxij,ocij->noyx', w[:, g * each:(g + 1) * each], weight[g * per:(g + 1) * per]) for g in range(groups)]
    return held(np.concatenate(parts, 1))


def depthwise(data, weight, stride=1, strides=None, pad=0, pads=None, dilation=1, dilations=None):
    s, d, p = pairs(stride, strides, dilation, dilations, pad, pads)
    w = np.repeat(windows(data.astype(np.int64), weight.shape[1:], s, d, p), weight.shape[0] // data.shape[1], 1)
    return held(np.einsum('noyxij,oij->noyx', w, weight.astype(np.int64)))


def dense(data, weight):
    return held(data.astype(np.int64) @ weight.astype(np.int64).T)


def channels(v, like):
    return v.astype(np.int64).reshape(-1, *[1] * (like.ndim - 2))


def int8(x):
    assert np.abs(x + 0.5).max(initial=0) < 128, 'an int8 overflows'
    return x.astype(np.int8)


def half(shift):
    return 1 << (shift - 1) if shift else 0


def shifted(acc, bias, shift):
    assert 0 <= shift.min() and shift.max() < 32, 'a shift is out of range'
    return held(acc + channels(bias, acc)) >> channels(shift, acc)


def multiplied(acc, bias, multiplier, before, shift):
    assert 0 <= before < 32 and 0 < shift < 32, 'a shift is out of range'
    return held(held((held(acc + channels(bias, acc)) >> before) * channels(multiplier, acc)) + half(shift)) >> shift


def layer(linear, multiply):
    def run(data, weight, bias, by, *, low=-128, high=127, before=0, shift=0, **window):
        acc = linear(data, weight, **window)
        return int8(np.clip(multiplied(acc, bias, by, before, shift) if multiply else shifted(acc, bias, by), low, high))
    return run


def residual(multiply):
    def run(data, weight, bias, by, skip, *, left=0, right=None, low=0, high=127, limit=128, before=0, shift=0, **window):
        right = left if right is None else right
        acc = conv2d(data, weight, **window)
        acc = np.clip(multiplied(acc, bias, by, before, shift) if multiply else shifted(acc, bias, by), -limit, limit - 1)
        return int8(np.clip(held(acc + held(skip.astype(np.int64) << left) + half(right)) >> right, low, high))
    return run


def quantised_add(a, b, a_left=0, b_left=0, right=0, low=-128, high=127):
    total = held(held(a.astype(np.int64) << a_left) + held(b.astype(np.int64) << b_left) + half(right))
    return int8(np.clip(total >> right, low, high))


def scaled(total, multiplier, shift):
    return int8(np.clip(held(held(total * multiplier) + half(shift)) >> shift, -128, 127))


def quantised_mean(data, multiplier, shift):
    return scaled(data.astype(np.int64).sum((2, 3)), multiplier, shift)


def quantised_mean_wide(data, multiplier, shift, limit=8192):
    total = held(held(data.astype(np.int64).sum((2, 3)) * multiplier) + half(shift)) >> shift
    return np.clip(total, -limit, limit - 1).astype(np.int16)


def pool(size, sizes, stride, strides, pad, pads, dilation, dilations):
    sizes = sizes or [size, size]
    return sizes, strides or ([stride, stride] if stride else sizes), dilations or [dilation, dilation], pads or [pad] * 4


def quantised_average_pool(data, multiplier, shift, size=2, sizes=None, stride=None, strides=None, pad=0, pads=None, dilation=1,
                           dilations=None):
    w = windows(data.astype(np.int64), *pool(size, sizes, stride, strides, pad, pads, dilation, dilations))
    return scaled(w.sum((4, 5)), multiplier, shift)


def max_pool(data, size=2, sizes=None, stride=None, strides=None, pad=0, pads=None, dilation=1, dilations=None):
    return windows(data, *pool(size, sizes, stride, strides, pad, pads, dilation, dilations), fill=-128).max((4, 5))


def quantise(x, scale):
    return np.clip(np.rint(x / np.float32(scale)), -128, 127).astype(np.int8)


def dequantise(q, scale):
    return q.astype(np.float32) * np.float32(scale)


def dequantise_sums(acc, bias, scale):
    return held(acc + channels(bias, acc)).astype(np.float32) * scale.reshape(-1, *[1] * (acc.ndim - 2))


FUNCTIONS = {f.__name__: f for f in (conv2d, depthwise, dense, quantised_add, quantised_mean, quantised_mean_wide,
                                     quantised_average_pool, max_pool, quantise,
                                     dequantise, dequantise_sums)}
for name, linear in (('conv2d', conv2d), ('depthwise', depthwise), ('dense', dense)):
    FUNCTIONS['quantised_' + name], FUNCTIONS[f'quantised_{name}_multiply'] = layer(linear, False), layer(linear, True)
FUNCTIONS['quantised_residual'], FUNCTIONS['quantised_residual_multiply'] = residual(False), residual(True)
FUNCTIONS |= {'flatten': lambda x: x.reshape(len(x), -1), 'spatial': lambda x: x[:, :, None, None], 'relu': lambda x: np.maximum(x, 0),
              'add': lambda a, b: a + b, 'relu6': lambda x: np.clip(x, 0, 6),
              'global_max_pool': lambda x: x.max((2, 3)), 'clamp': np.clip,
              'bias_add': lambda x, b: x + b.reshape(-1, *[1] * (x.ndim - 2))}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def average_pool(data, size=2, sizes=None, stride=None, strides=None, pad=0, pads=None):
    return windows(data, *pool(size, sizes, stride, strides, pad, pads, 1, None)).mean((4, 5))


FLOATS = {'exp': np.exp, 'softmax': softmax, 'average_pool': average_pool, 'global_average_pool': lambda x: x.mean((2, 3))}


class Named:
    """q.NAME"""

    def __init__(self, arrays):
        self.__dict__.update(arrays)


STAGE = re.compile(r'^  (?:compute|output) (\w+)(\[[^\]]*\] : \w+)? = (.*?);(?: // (.*))?$', re.M)


def stages(text):
    """Of each line: its name, its axes or None, its expression, its comment or None."""
    return [m.groups() for m in STAGE.finditer(text)]


def evaluate(text, arrays, inputs, given):
    """The values of all stages, by their names. Stages with exp, which differs by a rounding from library to library, or sums of floats, are
    only near what is given for them, and the others go on with that."""
    known = dict(inputs)
    for name, axes, expression, _ in stages(text):
        if re.search(r'\b(exp|softmax|average_pool|global_average_pool)\(', expression):
            near = eval(expression.replace('nn.', ''), {'__builtins__': {}}, FUNCTIONS | known | FLOATS)
            assert np.allclose(near, given[name], rtol=1e-6, atol=1e-6), f'{name} is not even near'
            known[name] = given[name]
            continue
        scope = FUNCTIONS | known | {k: Named(v) for k, v in arrays.items()} | {'nn': Named(FUNCTIONS)}
        if 'reshape(' in expression:
            shape = [1 if n == 'n' else int(n) for n in re.findall(r': (\d+|n)\b', axes)]
            known[name] = known[re.match(r'reshape\((\w+)\)', expression)[1]].reshape(shape)
        elif expression.startswith('concat['):
            axis, parts = re.match(r'concat\[(\w+)\]\((.*)\)$', expression).groups()
            known[name] = np.concatenate([known[p] for p in parts.split(', ')], {'n': 0, 'c': 1, 'o': 1, 'wide': 1, 'y': 2, 'x': 3}[axis])
        else:
            known[name] = eval(expression, {'__builtins__': {}}, scope)  # our own text
    return known
