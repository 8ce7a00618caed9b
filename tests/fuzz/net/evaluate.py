# SPDX-License-Identifier: Apache-2.0
"""The values of a program's tensors, by numpy, all points of a stage at once."""
import numpy as np

from . import semantics, values


class OutOfBounds(Exception):
    """An access that is evaluated leaves its tensor: a checked program never does that."""


def inputs(program):
    return {t.name: values.tensor(t.seed, t.type, t.shape, t.flavour) for t in program.inputs()}


class Points:
    """The points at which an expression is evaluated: a vector for each axis, and which points are asked for."""

    def __init__(self, axes, tensors):
        n = len(axes)
        self.shape = tuple(extent for _, extent in axes)
        self.tensors = tensors
        self.axes = {name: np.arange(extent, dtype='int64').reshape([-1 if i == k else 1 for i in range(n)])
                     for k, (name, extent) in enumerate(axes)}
        self.one = (1,) * max(n, 1)

    def value(self, e, mask):
        return getattr(self, e.kind)(e, mask)

    def lit(self, e, mask):
        return np.full(self.one, e.info, dtype=e.type)

    def axis(self, e, mask):
        return self.axes[e.info]

    def read(self, e, mask):
        t = self.tensors[e.info]
        index = [self.value(a, mask) for a in e.args]
        kept = []
        for i, n in zip(index, t.shape):
            outside = (i < 0) | (i >= n)
            if outside.any() and (outside & mask).any():
                raise OutOfBounds('%s: index %d of an axis of extent %d' % (e.info, i[outside][0], n))
            kept.append(np.clip(i, 0, n - 1))
        return t[tuple(kept)]

    def reshape(self, e, mask):
        t = self.tensors[e.info]
        return t.reshape(self.shape)

    def concat(self, e, mask):
        return np.concatenate([self.tensors[n] for n in e.info[1]], list(self.axes).index(e.info[0]))

    def bin(self, e, mask):
        a = self.value(e.args[0], mask)
        if e.info == '&&':
            return a & self.value(e.args[1], mask & a)
        if e.info == '||':
            return a | self.value(e.args[1], mask & ~a)
        return semantics.BINARY[e.info](e.of, a, self.value(e.args[1], mask))

    def un(self, e, mask):
        return semantics.UNARY[e.info](e.of, self.value(e.args[0], mask))

    def fn(self, e, mask):
        v = [self.value(a, mask) for a in e.args]
        if e.info == 'clamp':
            return semantics.BINARY['min'](e.of, semantics.BINARY['max'](e.of, v[0], v[1]), v[2])
        if e.info == 'wide':
            return v[0].astype(e.type)
        if e.info in semantics.CLOSE:
            return semantics.close(e.info, e.of, *v)
        table = semantics.BINARY if len(v) == 2 else semantics.UNARY
        return table[e.info](e.of, *v)

    def cast(self, e, mask):
        return semantics.cast(e.type, e.of, self.value(e.args[0], mask))

    def cond(self, e, mask):
        c = self.value(e.args[0], mask)
        return np.where(c, self.value(e.args[1], mask & c), self.value(e.args[2], mask & ~c))


def reduced(op, v, shape, points, t, taken, by):
    """Accumulates over the last axes of v, one point after the other, the first axis the slowest: those of `taken`; of `by`
    partial results each has the points that are as many modulo `by`, and halves are put together."""
    v, taken = (np.broadcast_to(x, shape + points).reshape(shape + (-1,)) for x in (v, taken))
    step = semantics.BINARY[{'sum': '+', 'prod': '*'}.get(op, op)]
    lanes = [np.broadcast_to(semantics.initial(op, t), shape) for _ in range(by or 1)]
    for k in range(v.shape[-1]):
        lane = k % points[-1] % by if by else 0
        lanes[lane] = np.where(taken[..., k], step(t, lanes[lane], v[..., k]), lanes[lane])
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [step(t, a, b) for a, b in zip(lanes[:half], lanes[half:])]
    return lanes[0]


def stage(t, tensors):
    """The value of a stage, from those of the tensors that it reads."""
    axes = t.axes + (t.reduce[1] if t.reduce else [])
    points = Points(axes, tensors)
    with np.errstate(all='ignore'):
        all_points = np.full(points.one, True)
        taken = points.value(t.where, all_points) if t.where else all_points
        v = points.value(t.expr, taken)
        if t.reduce:
            v = reduced(t.reduce[0], v, t.shape, tuple(n for _, n in t.reduce[1]), t.type, taken, t.by)
    assert v.dtype == t.type, (t.name, v.dtype, t.type)
    return np.ascontiguousarray(np.broadcast_to(v, t.shape))


def check(program, given, got):
    """Compares the outputs that a run gave with their values. Where a function is right within some units only, the values
    that follow are computed from those given. Returns a sentence about the first difference, or None."""
    tensors = dict(given)
    for t in program.stages():
        want = tensors[t.name] = stage(t, tensors)
        if t.role != 'output':
            continue
        have = got[t.name]
        if have.dtype != want.dtype or have.shape != want.shape:
            return '%s is %s %s' % (t.name, have.dtype, have.shape)
        same = semantics.agree(have, want, semantics.ULPS if t.approximate else 0)
        if not same.all():
            at = tuple(int(i) for i in np.argwhere(~same)[0])
            return '%s%s is %r, not %r (%d of %d differ)' % (t.name, list(at), have[at], want[at], (~same).sum(), same.size)
        tensors[t.name] = have
    return None
