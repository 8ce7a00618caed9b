# SPDX-License-Identifier: Apache-2.0
"""Programs as trees, and their text."""
import math

PRECEDENCE = {'||': 1, '&&': 2, '|': 3, '^': 4, '&': 5, '==': 6, '!=': 6, '<': 7, '<=': 7, '>': 7, '>=': 7, '<<': 8,
              '>>': 8, '+': 9, '-': 9, '*': 10, '/': 10, '%': 10}
PREFIX, PRIMARY = 11, 12


class Expr:
    """An expression of one type. By kind:
    lit: info is the value; axis: info is the name; read: args are indices, info the tensor's name, bare if written without;
    reshape: info the name of the tensor whose elements the stage has, in their order;
    concat: info the axis and the names of the tensors that stand one after the other;
    bin: info the operator, args of type `of`; un, fn: info the operator or function; cast: args[0] of type `of`; cond."""
    __slots__ = ('kind', 'type', 'args', 'info', 'of', 'bare')

    def __init__(self, kind, type, args=(), info=None, of=None, bare=False):
        self.kind, self.type, self.args, self.info, self.of, self.bare = kind, type, tuple(args), info, of, bare

    def replaced(self, args):
        return Expr(self.kind, self.type, args, self.info, self.of, self.bare)


def lit(t, value):
    return Expr('lit', t, (), value)


def axis(name):
    return Expr('axis', 'int64', (), name)


def binary(op, a, b):
    t = 'bool' if op in ('<', '<=', '>', '>=', '==', '!=', '&&', '||') else a.type
    return Expr('bin', t, (a, b), op, a.type)


def unary(op, a):
    return Expr('un', a.type, (a,), op, a.type)


def call(name, *args):
    return Expr('fn', args[0].type, args, name, args[0].type)


def wide(a):
    return Expr('fn', 'int32' if a.type in ('int8', 'int16', 'uint8', 'uint16') else a.type, (a,), 'wide', a.type)


def reshape(tensor):
    return Expr('reshape', tensor.type, (), tensor.name)


def cast(t, a):
    return Expr('cast', t, (a,), None, a.type)


def cond(c, a, b):
    return Expr('cond', a.type, (c, a, b), None, a.type)


def read(tensor, indices, bare=False):
    return Expr('read', tensor.type, indices, tensor.name, None, bare)


def concat(name, tensors):
    """Tensors one after the other along an axis of the stage."""
    return Expr('concat', tensors[0].type, (), (name, tuple(t.name for t in tensors)))


def sources(e):
    """Tensors that the node itself reads."""
    return e.info[1] if e.kind == 'concat' else (e.info,) if e.kind in ('read', 'reshape') else ()


def walk(e):
    yield e
    for a in e.args:
        yield from walk(a)


def is_constant(e):
    """Whether the type of e is not told by anything in it."""
    if e.kind == 'lit':
        return True
    if e.kind == 'cond':
        return is_constant(e.args[1]) and is_constant(e.args[2])
    return e.kind in ('bin', 'un', 'fn') and e.type != 'bool' and all(is_constant(a) for a in e.args)


def number(t, v):
    if t == 'bool':
        return 'true' if v else 'false'
    if not t.startswith('float'):
        return str(v)
    if math.isnan(v):
        return 'nan'
    if math.isinf(v):
        return '-inf' if v < 0 else 'inf'
    return repr(float(v))


def text(e, outer=0):
    """The text of e, in parentheses only where it stands in an operator that binds tighter."""
    k = e.kind
    if k == 'lit':
        s = number(e.type, e.info)
        return '(%s)' % s if s[0] == '-' and outer > PREFIX else s
    if k == 'axis':
        return e.info
    if k == 'read':
        return e.info if e.bare else '%s[%s]' % (e.info, ', '.join(text(a) for a in e.args))
    if k == 'reshape':
        return 'reshape(%s)' % e.info
    if k == 'concat':
        return 'concat[%s](%s)' % (e.info[0], ', '.join(e.info[1]))
    if k == 'fn':
        return '%s(%s)' % (e.info, ', '.join(text(a) for a in e.args))
    if k == 'cast':
        return '%s(%s)' % (e.type, text(e.args[0]))
    if k == 'un':
        s, p = e.info + text(e.args[0], PREFIX), PREFIX
    elif k == 'cond':
        s, p = '%s ? %s : %s' % (text(e.args[0], 1), text(e.args[1]), text(e.args[2])), 0
    else:
        p = PRECEDENCE[e.info]
        s = '%s %s %s' % (text(e.args[0], p), e.info, text(e.args[1], p + 1))
    return '(%s)' % s if p < outer else s


class Tensor:
    """A tensor of a kernel. axes: (name, extent) pairs; reduce: None or (operation, axes); bare: no axis list is written;
    where: a condition on axes under which points are reduced; by: how many partial results the reduction has, 0 for one;
    approximate: its root is a function that is only right within some units; flavour and seed: the values of an input."""

    def __init__(self, name, role, axes, type, expr=None, reduce=None, bare=False, flavour=None, seed=0, where=None, by=0):
        self.where, self.by = where, by
        self.name, self.role, self.axes, self.type, self.expr = name, role, list(axes), type, expr
        self.reduce, self.bare, self.flavour, self.seed = reduce, bare, flavour, seed

    @property
    def shape(self):
        return tuple(n for _, n in self.axes)

    @property
    def approximate(self):
        from .semantics import CLOSE
        return self.expr is not None and self.expr.kind == 'fn' and self.expr.info in CLOSE

    def copy(self, **changes):
        t = Tensor(self.name, self.role, self.axes, self.type, self.expr, self.reduce, self.bare, self.flavour, self.seed, self.where, self.by)
        for k, v in changes.items():
            setattr(t, k, v)
        return t


class Statement:
    """A statement of a schedule: results = stage.primitive(args), args as text."""

    def __init__(self, stage, primitive, *args, results=()):
        self.stage, self.primitive, self.args, self.results = stage, primitive, tuple(str(a) for a in args), tuple(results)

    def text(self, stage=None):
        left = ', '.join(self.results) + ' = ' if self.results else ''
        return '%s%s.%s(%s);' % (left, stage or self.stage, self.primitive, ', '.join(self.args))


class Knob:
    """knob name = value in values; primitive is what tables call it."""
    primitive = 'knob'

    def __init__(self, name, value, values):
        self.name, self.value, self.values = name, value, values

    def text(self):
        return 'knob %s = %d%s;' % (self.name, self.value, ' in [%s]' % ', '.join(map(str, self.values)) if self.values else '')


class For:
    """for s in (stages) { statements }: written for each stage, with the stage's name for `s`."""
    primitive = 'for'

    def __init__(self, stages, statements):
        self.stages, self.statements = stages, statements

    def text(self):
        return 'for s in (%s) { %s }' % (', '.join(self.stages), ' '.join(x.text('s') for x in self.statements))


class Program:
    """A kernel and its schedule. constants: (keyword, name, value), which extents are written with; vta: None, or the
    target's names of extents by axis and extent; config: the name of its configuration; options: for tetc."""

    def __init__(self, tensors, schedule=(), vta=None, constants=(), options=()):
        self.tensors, self.schedule, self.vta = list(tensors), list(schedule), vta
        self.constants, self.options, self.config = list(constants), list(options), None

    def tensor(self, name):
        return next(t for t in self.tensors if t.name == name)

    def inputs(self):
        return [t for t in self.tensors if t.role == 'input']

    def outputs(self):
        return [t for t in self.tensors if t.role == 'output']

    def stages(self):
        return [t for t in self.tensors if t.role != 'input']

    def copy(self, **changes):
        p = Program(self.tensors, self.schedule, self.vta, self.constants, self.options)
        p.config = self.config
        for k, v in changes.items():
            setattr(p, k, v)
        return p

    def primitives(self):
        """Names of the primitives of the schedule, with those inside `for`."""
        found = []
        for s in self.schedule:
            found.append(s.primitive)
            if isinstance(s, For):
                found += [x.primitive for x in s.statements]
        return found

    def extent(self, axis, n):
        named = self.vta and self.vta.get((axis, n))
        return named or next((name for _, name, value in self.constants if value == n), str(n))

    def axes_text(self, axes):
        return ', '.join('%s: %s' % (name, self.extent(name, n)) for name, n in axes)

    def tensor_text(self, t):
        if t.role == 'input':
            return 'input %s[%s] : %s;' % (t.name, self.axes_text(t.axes), t.type)
        value = text(t.expr)
        if t.reduce:
            by, where = ' by %d' % t.by if t.by else '', ' where %s' % text(t.where) if t.where else ''
            value = '%s[%s%s%s](%s)' % (t.reduce[0], self.axes_text(t.reduce[1]), by, where, value)
        head = '' if t.bare else '[%s] : %s' % (self.axes_text(t.axes), t.type)
        return '%s %s%s = %s;' % (t.role, t.name, head, value)

    def text(self, scheduled=True):
        lines = ['target vta;'] if self.vta is not None else []
        lines += ['%s %s = %d;' % c for c in self.constants]
        lines += ['kernel k {'] + ['  ' + self.tensor_text(t) for t in self.tensors] + ['}']
        if scheduled and self.schedule:
            lines += ['schedule k {'] + ['  ' + s.text() for s in self.schedule] + ['}']
        return '\n'.join(lines) + '\n'
