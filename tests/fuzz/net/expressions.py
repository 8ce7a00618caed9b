# SPDX-License-Identifier: Apache-2.0
"""Random expressions of a type, and indices that are known to stay inside."""
from . import values
from .semantics import CLOSE, COMPARISONS, DTYPES, EXACT, FLOATS, INTS, NUMBERS, OF_INTEGERS, is_float, limits
from .tree import axis, binary, call, cast, cond, is_constant, lit, read, unary, wide


def interval(e, axes):
    """The range of an index expression, or None: what docs/language.md says is known, less what would wrap."""
    k, of = e.kind, [interval(a, axes) for a in e.args] if e.kind in ('bin', 'un', 'fn') else []
    if k == 'lit':
        return e.info, e.info
    if k == 'axis':
        return 0, axes[e.info] - 1
    if k == 'cond':
        a, b = interval(e.args[1], axes), interval(e.args[2], axes)
        return a and b and (min(a[0], b[0]), max(a[1], b[1]))
    if k == 'fn' and e.info == 'clamp':
        low, high = of[1], of[2]
        return low and high and (min(low[0], high[0]), high[1])
    if None in of or not of:
        return bounded_by_constant(e, of)
    if e.info in OF_INTEGERS or e.info == 'wide':
        return None   # nothing is said of them: a guard stands before
    if k == 'un':
        return (-of[0][1], -of[0][0]) if e.info == '-' else None
    if e.info == 'abs':
        a = of[0]
        return 0 if a[0] <= 0 <= a[1] else min(map(abs, a)), max(map(abs, a))
    return combined(e.info, of[0], of[1])


def bounded_by_constant(e, of):
    """x % n and x & n are bounded whatever x is."""
    if e.kind == 'bin' and len(of) == 2 and of[1] and of[1][0] == of[1][1] and of[1][0] > 0 and e.info in '%&':
        return 0, of[1][0] - (e.info == '%')
    return None


def combined(op, a, b):
    if op in ('+', '-', '*'):
        ends = [x + y if op == '+' else x - y if op == '-' else x * y for x in a for y in b]
        return min(ends), max(ends)
    if op in ('min', 'max'):
        f = min if op == 'min' else max
        return f(a[0], b[0]), f(a[1], b[1])
    if b[0] != b[1] or b[0] <= 0 and op != '>>':
        return None
    if op == '/':
        return a[0] // b[0], a[1] // b[0]
    if op == '>>' and 0 <= b[0] < 63:
        return a[0] >> b[0], a[1] >> b[0]
    if op == '%':
        return (a[0] % b[0], a[1] % b[0]) if a[0] // b[0] == a[1] // b[0] else (0, b[0] - 1)
    if op == '&':
        return 0, b[0]
    return None


class Scope:
    """Where an expression stands: its axes, the tensors it may read, and whether those of `shape` may be read bare."""

    def __init__(self, r, axes, tensors, shape=None, reads=12):
        self.r, self.axes, self.tensors, self.shape = r, list(axes), list(tensors), shape
        self.extents = dict(axes)
        self.reads = reads   # how many more are made, so that expressions stay small

    # ---- indices

    def number(self):
        r = self.r
        return r.choice([1, 1, 2, 2, 3, 3, 4, 5, 7, 8, r.randrange(1, 20)])

    def linear(self):
        """A sum of axes, shifted and scaled."""
        r = self.r
        if not self.axes:
            return lit('int64', r.randrange(4))
        e = axis(r.choice(self.axes)[0])
        if r.random() < 0.35:
            e = binary('*', e, lit('int64', r.choice([2, 2, 3, -1, 5, 7])))
        if r.random() < 0.4:
            e = binary(r.choice('++-'), e, axis(r.choice(self.axes)[0]))
        if r.random() < 0.4:
            e = binary(r.choice('+-'), e, lit('int64', self.number()))
        return e

    def index_expression(self, depth=1):
        """Any int64 made of axes and now and then of data."""
        r, k = self.r, self.r.randrange(15 if depth else 4)
        n = lit('int64', self.number())
        if k < 4:
            return self.linear()
        if k < 7:
            return binary(r.choice(['/', '%', '%', '>>', '&', '*', '<<', '|', '^']), self.index_expression(depth - 1),
                          lit('int64', r.choice([1, 2, 3, 4, 5, 7, 8])))
        if k == 7:
            return call(r.choice(['min', 'max']), self.index_expression(depth - 1), n)
        if k == 8:
            return call('abs', self.index_expression(depth - 1))
        if k == 9:
            return cond(self.position(depth - 1), self.index_expression(depth - 1), self.index_expression(depth - 1))
        if k == 10:
            return call('clamp', self.index_expression(depth - 1), lit('int64', 0), n)
        if k == 11:
            return unary(r.choice('-~'), self.index_expression(depth - 1))
        if k == 12 and r.random() < 0.4:
            return call(r.choice(['div', 'rem', 'round_shr']), self.index_expression(depth - 1), lit('int64', r.choice([1, 2, 3, 4, 7])))
        if k == 12:
            return cast('int64', cast(r.choice(INTS), self.index_expression(depth - 1)))
        e = self.data(depth)
        return e if e else self.linear()

    def data(self, depth):
        """An index read from a tensor, or None."""
        number = [t for t in self.tensors if t.type != 'bool']
        if not number or self.reads <= 0:
            return None
        t = self.r.choice(number)
        e = self.access(t, depth - 1)
        return e if t.type == 'int64' else cast('int64', e)

    def position(self, depth=0):
        """A condition on where we are."""
        r = self.r
        a, b = self.index_expression(depth), lit('int64', r.randrange(-2, 12))
        c = binary(r.choice(COMPARISONS), *((a, b) if r.random() < 0.85 else (b, a)))
        if r.random() < 0.25:
            return binary(r.choice(['&&', '||']), c, self.position(0))
        return unary('!', c) if r.random() < 0.1 else c

    def inside(self, extent):
        """An index that is known to be in 0 .. extent - 1, or one that is not and its guard: (index, guard or None)."""
        r = self.r
        fits = [(n, e) for n, e in self.axes if e <= extent]
        if fits and r.random() < 0.55:
            return self.plain_index(r.choice(fits), extent), None
        if len(self.axes) > 1 and r.random() < 0.25:
            e = self.window(extent)
            if e:
                return e, None
        if self.axes and r.random() < 0.12:
            return self.wrapped(extent), None
        e = self.index_expression(r.choice([0, 1, 1, 2]))
        if is_constant(e):
            return lit('int64', r.randrange(extent)), None
        span = interval(e, self.extents)
        if span and 0 <= span[0] and span[1] < extent:
            return e, None
        return self.kept_inside(e, extent)

    def window(self, extent):
        """Two axes whose windows overlap or leave gaps, if they fit."""
        r = self.r
        (a, na), (b, nb) = r.sample(self.axes, 2)
        s, d = r.choice([1, 1, 2, 3]), r.choice([1, 1, 2])
        slack = extent - 1 - (na - 1) * s - (nb - 1) * d
        if slack < 0:
            return None
        left = axis(a) if s == 1 else binary('*', axis(a), lit('int64', s))
        e = binary('+', left, axis(b) if d == 1 else binary('*', axis(b), lit('int64', d)))
        return binary('+', e, lit('int64', slack)) if slack and r.random() < 0.5 else e

    def wrapped(self, extent):
        """A scaled axis that wraps at a power of two: what takes it for a stride reads outside."""
        r, power = self.r, 1 << extent.bit_length() - 1
        e = binary('*', axis(r.choice([self.axes[-1], r.choice(self.axes)])[0]), lit('int64', r.choice([2, 3, 3, 4, 5, 7])))
        if r.random() < 0.4:
            e = binary('+', e, lit('int64', self.number()))
        return binary('%', e, lit('int64', power)) if r.random() < 0.5 else binary('&', e, lit('int64', power - 1))

    def plain_index(self, fit, extent):
        r, (name, n) = self.r, fit
        slack, k = extent - n, r.random()
        if k < 0.6:
            return axis(name)
        if k < 0.8:
            return binary('-', lit('int64', n - 1 + r.randrange(slack + 1)), axis(name))
        if slack and k < 0.95:
            return binary('+', axis(name), lit('int64', r.randrange(1, slack + 1)))
        return binary('/', axis(name), lit('int64', r.randrange(1, 5)))

    def kept_inside(self, e, extent):
        r, zero, last, n = self.r, lit('int64', 0), lit('int64', extent - 1), lit('int64', extent)
        k = r.randrange(9)
        if k == 0:
            return call('clamp', e, zero, last), None
        if k == 1:
            return binary('%', e, n), None
        if k == 2:
            return binary('&', e, lit('int64', (1 << extent.bit_length() - 1) - 1)), None
        if k == 3:
            return call('max', call('min', e, last), zero), None
        if k == 4 and extent > 1:
            return cond(self.between(e, zero, n, last), e, lit('int64', r.randrange(extent))), None
        if k == 5 and extent >= 128:
            return cast('int64', cast('uint8' if extent >= 256 else 'int8', e)), None if extent >= 256 else binary('>=', cast('int8', e), lit('int8', 0))
        return e, self.between(e, zero, n, last)

    def between(self, e, zero, n, last):
        r = self.r
        low = r.choice([binary('>=', e, zero), binary('<=', zero, e), binary('>', e, lit('int64', -1))])
        high = r.choice([binary('<', e, n), binary('<=', e, last), binary('>', n, e)])
        if r.random() < 0.15:
            return unary('!', binary('||', binary('<', e, zero), binary('>=', e, n)))
        return binary('&&', low, high)

    # ---- reads

    def access(self, t, depth=1):
        """A read of t, guarded where it has to be."""
        r = self.r
        self.reads -= 1
        if self.shape == t.shape and r.random() < 0.8:
            return read(t, [axis(n) for n, _ in self.axes[:len(t.axes)]], bare=True)
        if t.shape == tuple(e for _, e in self.axes[:len(t.axes)]) and r.random() < 0.5:
            return read(t, [axis(n) for n, _ in self.axes[:len(t.axes)]])
        index, guard = [], None
        for n in t.shape:
            i, g = self.inside(n) if self.reads > 0 else (lit('int64', r.randrange(n)), None)
            index.append(i)
            guard = binary('&&', guard, g) if guard and g else guard or g
        e = read(t, index)
        if guard is None:
            return e
        other = self.literal(t.type) if r.random() < 0.7 else self.value(t.type, min(depth, 1))
        return cond(guard, e, other) if r.random() < 0.8 else cond(unary('!', guard), other, e)

    def literal(self, t):
        r = self.r
        if t == 'bool':
            return lit(t, r.random() < 0.5)
        if r.random() < 0.6:
            v = r.choice([0, 1, 2, 3, 5, 8, 10, 100] + ([] if t.startswith('u') else [-1, -2, -7]))
            return lit(t, v / r.choice([1, 1, 2, 4]) if is_float(t) else v)
        v = r.choice(values.edges(t).tolist())
        return lit(t, v)

    def anchored(self, e):
        """e, with a type that does not depend on what stands around it."""
        if not is_constant(e):
            return e
        narrow = e.kind == 'lit' and (e.info != e.info or abs(e.info) in (0, 0.5, 1, 2, 100, float('inf')))
        return cast(e.type, e if narrow else lit(e.type, 0 if not is_float(e.type) else 0.5))

    def leaf(self, t):
        r = self.r
        same = [x for x in self.tensors if x.type == t]
        if self.reads > 0 and same and r.random() < 0.75:
            return self.access(r.choice(same))
        if t == 'int64' and self.axes and r.random() < 0.3:
            return self.index_expression(1)
        if self.reads > 0 and self.tensors and r.random() < 0.7:
            return self.converted(t, 0)
        if self.axes and t != 'bool' and r.random() < 0.4:
            return cast(t, axis(r.choice(self.axes)[0])) if t != 'int64' else axis(r.choice(self.axes)[0])
        return self.literal(t)

    def converted(self, t, depth):
        """A value of another type, converted."""
        r = self.r
        of = r.choice([x.type for x in self.tensors]) if self.tensors and r.random() < 0.8 else r.choice(DTYPES)
        if t == 'bool':
            return self.comparison(depth, of)
        e = self.value(of, depth)
        return e if of == t else cast(t, self.anchored(e))

    # ---- values

    def pair(self, t, depth):
        a, b = self.value(t, depth), self.value(t, depth)
        return (self.anchored(a), b) if is_constant(b) else (a, b)

    def comparison(self, depth, t=None):
        r = self.r
        t = t or r.choice(DTYPES)
        if t == 'bool':
            a, b = self.pair('bool', depth)
            return binary(r.choice(['==', '!=', '&&', '||']), a, b)
        return binary(r.choice(COMPARISONS), *self.pair(t, depth))

    def value(self, t, depth):
        """An expression of type t."""
        r = self.r
        if depth <= 0 or r.random() < 0.1:
            return self.leaf(t)
        if r.random() < 0.12:
            return cond(self.comparison(depth - 1) if r.random() < 0.7 else self.position(1), *self.pair(t, depth - 1))
        if r.random() < 0.15:
            return self.converted(t, depth - 1)
        if t == 'bool':
            return self.boolean(depth)
        if r.random() < 0.2:
            return self.common_function(t, depth)
        return self.floating(t, depth) if is_float(t) else self.integer(t, depth)

    def boolean(self, depth):
        r, k = self.r, self.r.random()
        if k < 0.5:
            return self.comparison(depth - 1)
        if k < 0.6:
            return unary('!', self.anchored(self.value('bool', depth - 1)))
        if k < 0.7:
            return self.position(1)
        return binary(r.choice(['&&', '||', '==', '!=']), *self.pair('bool', depth - 1))

    def common_function(self, t, depth):
        r, name = self.r, self.r.choice(['min', 'max', 'clamp', 'abs', '-'])
        a = self.anchored(self.value(t, depth - 1))
        if name == '-':
            return unary('-', a)
        if name == 'abs':
            return call('abs', a)
        if name == 'clamp':
            low, high = sorted([self.literal(t), self.literal(t)], key=lambda e: (e.info != e.info, e.info))
            return call('clamp', a, low, high) if r.random() < 0.8 else call('clamp', a, self.leaf(t), self.leaf(t))
        return call(name, a, self.value(t, depth - 1))

    def integer(self, t, depth):
        r, k = self.r, self.r.random()
        if k < 0.1:
            return unary('~', self.anchored(self.value(t, depth - 1)))
        if k > 0.85:
            return self.function_of_integers(t, depth)
        if k < 0.3:
            a = self.anchored(self.value(t, depth - 1))
            b = lit(t, r.randrange(0, min(70, limits(t)[1]))) if r.random() < 0.7 else self.value(t, depth - 1)
            return binary(r.choice(['<<', '>>', '>>']), a, b)
        if k < 0.45:
            a = self.anchored(self.value(t, depth - 1))
            return binary(r.choice(['/', '%', '%', '&']), a, lit(t, r.choice([1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 100])))
        return binary(r.choice(['+', '-', '*', '+', '-', '*', '/', '%', '&', '|', '^']), *self.pair(t, depth - 1))

    def function_of_integers(self, t, depth):
        r, name, a = self.r, self.r.choice(OF_INTEGERS), self.anchored(self.value(t, depth - 1))
        if t == 'int32' and r.random() < 0.2:
            return wide(self.anchored(self.value(r.choice(['int8', 'int16', 'uint8', 'uint16']), depth - 1)))
        if name in ('popcount', 'clz'):
            return call(name, a)
        if name in ('sat_shl', 'round_shr') and r.random() < 0.7 or r.random() < 0.2:
            return call(name, a, lit(t, r.randrange(0, min(70, limits(t)[1]))))
        return call(name, a, self.anchored(self.value(t, depth - 1)))

    def floating(self, t, depth):
        r, k = self.r, self.r.random()
        if k < 0.3:
            return call(r.choice(EXACT), self.anchored(self.value(t, depth - 1)))
        return binary(r.choice(['+', '-', '*', '/']), *self.pair(t, depth - 1))

    def function(self, t, depth):
        """A function that is only right within some units, of an exact value."""
        name = self.r.choice(CLOSE)
        args = [self.anchored(self.value(t, depth)) for _ in range(2 if name == 'pow' else 1)]
        return call(name, *args)
