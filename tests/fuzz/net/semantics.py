# SPDX-License-Identifier: Apache-2.0
"""What the operations of the language mean, from docs/language.md alone: on numpy arrays, a function each."""
import math

import numpy as np

INTS = ['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64']
FLOATS = ['float16', 'float32', 'float64']
NUMBERS = INTS + FLOATS
DTYPES = ['bool'] + NUMBERS

COMPARISONS = ['<', '<=', '>', '>=', '==', '!=']
ARITHMETIC = ['+', '-', '*', '/', 'min', 'max']       # of two numbers
INTEGER = ['%', '&', '|', '^', '<<', '>>']            # of two integers
OF_INTEGERS = ['div', 'rem', 'mulhi', 'sat_add', 'sat_sub', 'sat_shl', 'round_shr', 'popcount', 'clz']
EXACT = ['floor', 'ceil', 'trunc', 'round', 'rint', 'sqrt']   # of a float, to the bit
CLOSE = ['exp', 'log', 'log2', 'rsqrt', 'sin', 'cos', 'tan', 'atan', 'tanh', 'sigmoid', 'erf', 'pow']  # within ULPS
REDUCTIONS = ['sum', 'prod', 'min', 'max']
ULPS = 4


def is_float(t):
    return t.startswith('float')


def bits(t):
    return 8 if t == 'bool' else int(t.lstrip('uintfloat'))


def limits(t):
    """The least and the greatest value of an integer type."""
    info = np.iinfo(t)
    return int(info.min), int(info.max)


def wide(f, t, *args):
    """f on float16 values: computed in float32, then rounded."""
    return f(*(a.astype('float32') for a in args)).astype(t) if t == 'float16' else f(*args)


def divide(t, a, b):
    """Integers: towards minus infinity, 0 by zero; the least value by -1 wraps."""
    if is_float(t):
        return wide(np.divide, t, a, b)
    minus = b == -1 if t.startswith('int') else b < 0
    q = np.floor_divide(a, np.where((b == 0) | minus, np.array(1, t), b))
    return np.where(b == 0, np.array(0, t), np.where(minus, np.subtract(np.array(0, t), a), q))


def modulo(t, a, b):
    """With the sign of the divisor; 0 by zero."""
    minus = b == -1 if t.startswith('int') else b < 0
    m = np.remainder(a, np.where((b == 0) | minus, np.array(1, t), b))
    return np.where((b == 0) | minus, np.array(0, t), m)


def amount(t, b):
    """A shift's amount, modulo the width."""
    return np.bitwise_and(b, np.array(bits(t) - 1, t))


BINARY = {
    '+': lambda t, a, b: wide(np.add, t, a, b),
    '-': lambda t, a, b: wide(np.subtract, t, a, b),
    '*': lambda t, a, b: wide(np.multiply, t, a, b),
    '/': divide,
    '%': modulo,
    'min': lambda t, a, b: np.where(b < a, b, a),
    'max': lambda t, a, b: np.where(b > a, b, a),
    '&': lambda t, a, b: np.bitwise_and(a, b),
    '|': lambda t, a, b: np.bitwise_or(a, b),
    '^': lambda t, a, b: np.bitwise_xor(a, b),
    '<<': lambda t, a, b: np.left_shift(a, amount(t, b)),
    '>>': lambda t, a, b: np.right_shift(a, amount(t, b)),
    '<': lambda t, a, b: a < b,
    '<=': lambda t, a, b: a <= b,
    '>': lambda t, a, b: a > b,
    '>=': lambda t, a, b: a >= b,
    '==': lambda t, a, b: a == b,
    '!=': lambda t, a, b: a != b,
}


def negate(t, a):
    return np.negative(a) if is_float(t) else np.subtract(np.array(0, t), a)


def absolute(t, a):
    return np.abs(a) if is_float(t) else np.where(a < 0, negate(t, a), a)


def half_away(a):
    whole = np.trunc(a)
    return np.where(np.abs(a - whole) >= 0.5, whole + np.copysign(np.array(1, a.dtype), a), whole)


def of_integers(f):
    """A function on Python's integers, of type t."""
    def call(t, *args):
        low, high = limits(t)
        one = np.frompyfunc(lambda *v: f(low, high, bits(t), *(int(x) for x in v)), len(args), 1)
        return one(*args).astype(t)
    return call


def quotient(a, b):
    """Towards zero; by zero 0."""
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


BINARY.update({name: of_integers(f) for name, f in {
    'div': lambda low, high, n, a, b: (quotient(a, b) - low) % (1 << n) + low,
    'rem': lambda low, high, n, a, b: a - quotient(a, b) * b if b else 0,
    'mulhi': lambda low, high, n, a, b: a * b >> n,
    'sat_add': lambda low, high, n, a, b: min(max(a + b, low), high),
    'sat_sub': lambda low, high, n, a, b: min(max(a - b, low), high),
    'sat_shl': lambda low, high, n, a, b: min(max(a << b % n, low), high),
    'round_shr': lambda low, high, n, a, b: (2 * a + (1 << b % n)) >> b % n + 1}.items()})

UNARY = {
    'popcount': of_integers(lambda low, high, n, a: bin(a % (1 << n)).count('1')),
    'clz': of_integers(lambda low, high, n, a: n - (a % (1 << n)).bit_length()),
    'rint': lambda t, a: wide(np.rint, t, a),
    '-': negate,
    '~': lambda t, a: np.bitwise_xor(a, np.array(limits(t)[1] if t.startswith('u') else -1, t)),
    '!': lambda t, a: np.logical_not(a),
    'abs': absolute,
    'floor': lambda t, a: wide(np.floor, t, a),
    'ceil': lambda t, a: wide(np.ceil, t, a),
    'trunc': lambda t, a: wide(np.trunc, t, a),
    'round': lambda t, a: wide(half_away, t, a),
    'sqrt': lambda t, a: wide(np.sqrt, t, a),
}


def to_integer(t, a):
    """Of floats: towards zero, stopping at the ends of the type; NaN gives 0."""
    low, high = limits(t)
    v = np.trunc(a.astype('float64'))
    above, below = v >= 2.0 ** (bits(t) - t.startswith('int')), v <= float(low)
    inside = np.where(np.isnan(v) | above | below, 0.0, v).astype(t)
    return np.where(above, np.array(high, t), np.where(below, np.array(low, t), inside))


def cast(to, of, a):
    if is_float(of) and not is_float(to):
        return to_integer(to, a)
    if to == 'float16' and not is_float(of):
        return a.astype('float32').astype(to)   # what float32 cannot hold exactly is an infinity of float16
    return a.astype(to)


def sigmoid(x, most):
    """1 / (1 + exp(-x)), where exp is infinite above the greatest float."""
    e = guarded(math.exp)(-x)
    return 1 / (1 + (math.inf if e > most else e))


def guarded(f):
    """A function of math, with infinities and NaN where C's has them."""
    def call(*x):
        try:
            return float(f(*x))
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan
    return call


def logarithm(f):
    return lambda x: -math.inf if x == 0 else f(x)


def power(x, y):
    with np.errstate(all='ignore'):
        return np.power(np.float64(x), np.float64(y))


MATH = {name: np.frompyfunc(guarded(f), 2 if name == 'pow' else 1, 1) for name, f in {
    'exp': math.exp, 'log': logarithm(math.log), 'log2': logarithm(math.log2), 'sin': math.sin, 'cos': math.cos,
    'tan': math.tan, 'atan': math.atan, 'tanh': math.tanh, 'erf': math.erf, 'pow': power,
    'rsqrt': lambda x: math.copysign(math.inf, x) if x == 0 else 1 / math.sqrt(x)}.items()}


def close(name, t, *args):
    """A value within ULPS of what the function gives."""
    f = MATH.get(name)
    if name == 'sigmoid':
        most = float(np.finfo('float64' if t == 'float64' else 'float32').max)
        f = np.frompyfunc(lambda x: sigmoid(x, most), 1, 1)
    return f(*(a.astype('float64') for a in args)).astype('float64').astype(t)


def initial(op, t):
    """Where a reduction starts."""
    if op in ('sum', 'prod'):
        return np.array(op == 'prod', t)
    if is_float(t):
        return np.array(np.inf if op == 'min' else -np.inf, t)
    return np.array(limits(t)[op == 'min'], t)


def order_of_floats(a):
    """Numbers of a float array such that neighbours differ by one; both zeros are 0."""
    u = a.view('int%d' % (a.dtype.itemsize * 8)).astype(object)
    least = -(1 << (a.dtype.itemsize * 8 - 1))
    return np.where(u < 0, least - u, u)


def agree(got, want, ulps):
    """Where two arrays of one type agree: bit for bit, any NaN with any; or within some units in the last place."""
    if got.dtype.kind != 'f':
        return got == want
    n = 'u%d' % got.dtype.itemsize
    same = (got.view(n) == want.view(n)) | (np.isnan(got) & np.isnan(want))
    if ulps and not same.all():
        near = np.abs(order_of_floats(got) - order_of_floats(want)) <= ulps
        same |= near.astype(bool) & ~np.isnan(got) & ~np.isnan(want)
    return same
