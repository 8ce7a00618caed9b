# SPDX-License-Identifier: Apache-2.0
"""Random tensors: extremes of the type, small numbers, any bits. The generator of numpy used has a frozen stream."""
import numpy as np

from .semantics import is_float, limits

FLAVOURS = ['edges', 'small', 'bits', 'mixed', 'plain']


def edges(t):
    """The values at which operations of type t go wrong, if they do."""
    if t == 'bool':
        return np.array([False, True])
    if is_float(t):
        f = np.finfo(t)
        tiny = float(f.smallest_subnormal)
        v = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, np.inf, -np.inf, np.nan, tiny, -tiny, float(f.tiny), -float(f.tiny),
             float(f.max), -float(f.max), 127.5, -128.5, 255.0, 256.0, 32767.0, -32768.0, 65504.0, 2048.0, 2049.0, 0.49999997,
             2147483648.0, -2147483648.0, 4294967296.0, 9.223372036854775807e18, -9.3e18, 1.8446744073709552e19]
        with np.errstate(over='ignore'):
            return np.array(v).astype(t)
    low, high = limits(t)
    v = [0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, low, low + 1, high, high - 1, high // 2, high // 2 + 1]
    v += [-1, -2, -3, -7, -100] if low < 0 else [128, 200]
    return np.array(v, dtype=t)


def small(rs, t, shape):
    if t == 'bool':
        return rs.randint(0, 2, shape).astype(bool)
    low = 0 if t.startswith('u') else -20
    v = rs.randint(low, 21, shape)
    return (v / 4.0).astype(t) if is_float(t) else v.astype(t)


def plain(rs, t, shape):
    """Floats of one magnitude with all their digits; integers of all magnitudes."""
    if is_float(t):
        return ((rs.random_sample(shape) - 0.5) * 8).astype(t)
    return (any_bits(rs, t, shape) >> rs.randint(0, 8 * np.dtype(t).itemsize, shape).astype(t)) if t != 'bool' else small(rs, t, shape)


def any_bits(rs, t, shape):
    if t == 'bool':
        return small(rs, t, shape)
    raw = rs.randint(0, 256, tuple(shape) + (np.dtype(t).itemsize,)).astype('uint8')
    return raw.view(t).reshape(shape)


def tensor(seed, t, shape, flavour):
    """A tensor of type t: the same for the same seed, everywhere."""
    rs = np.random.RandomState(seed & 0xffffffff)
    if flavour == 'small':
        return small(rs, t, shape)
    if flavour == 'plain':
        return plain(rs, t, shape)
    if flavour == 'bits':
        return any_bits(rs, t, shape)
    e = edges(t)
    v = e[rs.randint(0, len(e), shape)]
    if flavour == 'edges':
        return v
    return np.where(rs.random_sample(shape) < 0.4, v, np.where(rs.random_sample(shape) < 0.5, small(rs, t, shape), any_bits(rs, t, shape)))
