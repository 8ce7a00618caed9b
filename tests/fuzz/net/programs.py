# SPDX-License-Identifier: Apache-2.0
"""Random kernels for the CPU: chains and diamonds of stages, windows, gathers, reductions, of all types."""
from .expressions import Scope
from .semantics import DTYPES, FLOATS, INTS, NUMBERS, REDUCTIONS, is_float
from .tree import Program, Tensor, axis, binary, cast, is_constant, concat, lit, reshape, sources, walk
from .values import FLAVOURS

NAMES = ['i', 'j', 'k', 'm']


class Kernel:
    """A kernel as it grows."""

    def __init__(self, r):
        self.r = r
        self.tensors = []
        self.types = [r.choice(DTYPES) for _ in range(r.choice([1, 2, 2, 3, 4]))]   # few, so that stages fit each other
        if r.random() < 0.6:
            self.types = [t for t in self.types if t != 'bool'] or [r.choice(NUMBERS)]
        self.powers = r.random() < 0.3          # all extents are powers of two, where compilers take short ways
        self.extents = [self.extent() for _ in range(1 if self.powers else 3)]

    def extent(self):
        r = self.r
        if self.powers:
            return r.choice([4, 8, 16, 32, 32, 64, 128])
        return r.choice([1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 31, 32, 32, 33, 40, 64, 64, 100, 128,
                         r.randrange(1, 50)])

    def shape(self, most=3, points=3000):
        r = self.r
        n = []
        for _ in range(r.choice([1, 1, 2, 2, 2, 3][:2 * most])):
            e = r.choice(self.extents) if r.random() < 0.7 else self.extent()
            size = 1
            for x in n:
                size *= x
            n.append(max(1, min(e, points // size)))
        return n

    def named(self, shape, names=NAMES):
        if self.r.random() < 0.1:
            names = ['y', 'x', 'z', 'w']
        return list(zip(names, shape))

    def add(self, t):
        self.tensors.append(t)
        return t

    def type(self):
        return self.r.choice(self.types) if self.r.random() < 0.9 else self.r.choice(DTYPES)

    def input(self, k):
        r = self.r
        self.add(Tensor('a%d' % k, 'input', self.named(self.shape()), self.type(),
                        flavour=r.choice(FLAVOURS), seed=r.getrandbits(32)))

    def readable(self):
        """Tensors to read, the latest the likeliest."""
        r = self.r
        return [t for i, t in enumerate(reversed(self.tensors)) if r.random() < (0.9 if i < 2 else 0.5)] or self.tensors[-1:]

    def depth(self):
        return self.r.choice([0, 1, 1, 2, 2, 3, 4])

    def pointwise(self, name, role):
        """A stage without an axis list; its type is that of the expression."""
        first = self.r.choice(self.tensors)
        t = first.type if self.r.random() < 0.6 else self.type()
        scope = Scope(self.r, first.axes, self.readable() + [first], shape=first.shape)
        e = scope.anchored(scope.value(t, self.depth()))
        bare = [x.info for x in walk(e) if x.kind == 'read' and x.bare]
        names = {t.name for t in self.tensors}
        if not bare or [t.axes for t in self.tensors if t.name == bare[0]] != [first.axes] or names & {n for n, _ in first.axes}:
            return self.plain(name, role)
        return Tensor(name, role, first.axes, t, e, bare=True)

    def plain(self, name, role):
        t, axes = self.type(), self.named(self.shape())
        scope = Scope(self.r, axes, self.readable())
        if is_float(t) and role == 'output' and self.r.random() < 0.4:
            return Tensor(name, role, axes, t, scope.function(t, self.r.choice([0, 0, 1, 2])))
        return Tensor(name, role, axes, t, scope.value(t, self.depth()))

    def reduction(self, name, role):
        r = self.r
        t = r.choice([t for t in self.types if t != 'bool'] or NUMBERS)
        axes = self.named(self.shape(2, 600))
        inner = [(n, max(1, min(e, 40))) for n, e in zip(['u', 'v', 'w'], self.shape(3, 60))]
        scope = Scope(r, axes + inner, self.readable())
        e = scope.value(t, r.choice([0, 1, 1, 2, 3]))
        if is_constant(e):
            e = cast(t, axis(inner[0][0])) if t != 'int64' else axis(inner[0][0])
        return Tensor(name, role, axes, t, e, reduce=(r.choice(REDUCTIONS), inner), where=self.condition(axes, inner),
                      by=r.choice([2, 4, 8, 16, 16, 64]) if r.random() < 0.15 else 0)

    def condition(self, axes, inner):
        """Affine, of the axes around and of those that are reduced; or None."""
        r = self.r
        if r.random() < 0.7:
            return None
        a, b = axis(r.choice(inner)[0]), axis(r.choice(axes)[0])
        if r.random() < 0.3:
            b = binary('*', b, lit('int64', r.choice([2, 3, -1])))
        if r.random() < 0.5:
            b = binary(r.choice('+-'), b, lit('int64', r.randrange(1, 6)))
        return binary(r.choice(['<', '<=', '>', '>=', '==']), a, b)

    def concatenated(self, name, role):
        """Tensors that differ along one axis at most, one after the other."""
        r, t = self.r, self.r.choice(self.tensors)
        if not 0 < len(t.axes) <= len(NAMES):
            return self.plain(name, role)
        at = r.randrange(len(t.axes))
        fits = [x for x in self.tensors if x.type == t.type and len(x.shape) == len(t.shape) and x.shape[:at] + x.shape[at + 1:] == t.shape[:at] + t.shape[at + 1:]]
        parts = [t] + [r.choice(fits) for _ in range(r.choice([0, 1, 1, 2, 4]))]
        shape = list(t.shape)
        shape[at] = sum(x.shape[at] for x in parts)
        axes = self.named(shape)
        return Tensor(name, role, axes, t.type, concat(axes[at][0], parts))

    def reshaped(self, name, role):
        """The elements of a tensor in another shape."""
        r, t = self.r, self.r.choice(self.tensors)
        left, shape = 1, []
        for n in t.shape:
            left *= n
        while left > 1 and len(shape) < 3:
            shape.append(r.choice([n for n in range(1, left + 1) if left % n == 0]))
            left //= shape[-1]
        shape.append(left)
        return Tensor(name, role, self.named(shape), t.type, reshape(t))

    def stage(self, k, last):
        r = self.r
        role = 'output' if last or r.random() < 0.2 else 'compute'
        make = r.choice([self.pointwise, self.pointwise, self.plain, self.plain, self.reduction, self.reduction, self.reshaped, self.concatenated])
        return self.add(make('s%d' % k, role))


def more(r, tensors, n):
    """n more stages, which read tensors in host memory."""
    k = Kernel(r)
    k.tensors = list(tensors)
    return [k.stage(i, i == n - 1) for i in range(n)]


def constants(r, tensors):
    """A few of the extents as params and consts."""
    found = sorted({n for t in tensors for _, n in t.axes if n > 1})
    return [(r.choice(['param', 'const']), 'N%d' % n, n) for n in found if r.random() < 0.15]


def drop_unread(tensors):
    """Without the stages and inputs that no output needs, which tetc warns of; an input stays where there is no other."""
    kept = []
    for t in reversed(tensors):
        if t.role == 'output' or any(t.name in sources(x) for k in kept if k.expr for x in walk(k.expr)):
            kept.append(t)
    return kept[::-1]


def kernel(r):
    """A random program without a schedule."""
    k = Kernel(r)
    for i in range(r.choice([1, 2, 2, 3])):
        k.input(i)
    n = r.choice([1, 1, 2, 2, 3, 3, 4, 5, 6])
    for i in range(n):
        k.stage(i, i == n - 1)
    tensors = drop_unread(k.tensors)
    return Program(tensors, constants=constants(r, tensors))
