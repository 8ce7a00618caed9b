# SPDX-License-Identifier: Apache-2.0
"""Random programs for VTA: graphs of layers (convolutions and products on the matrix unit, pooling and arithmetic on the
ALU), with stages of the CPU between them, in several configurations; and their schedules."""
import json
import os

from .expressions import Scope
from .programs import drop_unread, more
from .schedules import of_stages
from .shrink import without_stages
from .tree import For, Program, Statement, Tensor, axis, binary, call, cast, cond, lit, read, unary, walk

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..', 'hw', 'configs')
CONFIGS = ['default'] * 6 + ['batch2', 'batch2', 'block32', 'uneven', 'small', 'small', 'least', 'tiny']
TIGHT = ['small', 'least', 'tiny']   # where little fits on chip


class Config:
    def __init__(self, name):
        self.name, self.path = name, os.path.realpath(os.path.join(FOLDER, name + '.json'))
        with open(self.path) as f:
            c = json.load(f)
        block = c.get('LOG_BLOCK', 4)
        self.batch = 1 << c.get('LOG_BATCH', 0)
        self.block_in, self.block_out = 1 << c.get('LOG_BLOCK_IN', block), 1 << c.get('LOG_BLOCK_OUT', block)
        self.tight = name in TIGHT


def number(v, t='int64'):
    return lit(t, v)


def total(parts):
    e = parts[0]
    for x in parts[1:]:
        e = binary('+', e, x)
    return e


def scaled(e, n):
    return e if n == 1 else binary('*', e, number(n))


def shifted(e, n):
    return e if n == 0 else binary('+' if n > 0 else '-', e, number(abs(n)))


class Graph:
    """A program as it grows: tensors, and the statements of their schedule."""

    def __init__(self, r):
        self.r = r
        self.config = Config(r.choice(CONFIGS))
        self.tensors, self.statements, self.layers, self.fresh = [], [], 0, 0
        self.host = []        # names of stages of the CPU

    def say(self, stage, primitive, *args, results=()):
        self.statements.append(Statement(stage, primitive, *args, results=results))

    def add(self, name, role, axes, type, expr=None, **more):
        t = Tensor(name, role, axes, type, expr, **more)
        self.tensors.append(t)
        return t

    def name(self, base):
        self.fresh += 1
        return '%s%d' % (base, self.fresh)

    def input(self, base, axes, type):
        r = self.r
        return self.add(self.name(base), 'input', axes, type, flavour=r.choice(['small', 'small', 'bits', 'mixed', 'edges']), seed=r.getrandbits(32))

    def image(self, lanes):
        """Packed int8 planes."""
        r, most = self.r, 5 if self.config.tight else 10
        return self.input('a', [('c', r.randrange(1, 4)), ('y', r.randrange(1, most)), ('x', r.randrange(1, most)),
                                ('b', self.config.batch), ('r', lanes)], 'int8')

    def stack(self):
        """The axes of a tile of the accumulator."""
        return [('b', self.config.batch), ('j', self.config.block_out)]

    # ---- arithmetic of the ALU

    def alu(self, values, depth):
        """An int32 expression that the ALU can compute, of values (functions that give a read)."""
        r = self.r
        if depth == 0 or r.random() < 0.15:
            return r.choice(values)()
        k, a = r.randrange(14), self.alu(values, depth - 1)
        if k < 5:
            b = self.alu(values, depth - 1) if r.random() < 0.5 else lit('int32', r.choice([0, 1, 3, -5, 127, -128, 40000, 1 << 20, -70000]))
            return [binary('+', a, b), binary('-', a, b), binary('*', a, b), call('min', a, b), call('max', a, b)][k]
        if k == 5:
            return binary('>>', a, lit('int32', r.randrange(0, 32)))
        if k == 6:
            return binary('<<', a, lit('int32', r.randrange(0, 32)))
        if k == 7:
            return call('clamp', a, lit('int32', r.randrange(-300, 0)), lit('int32', r.randrange(0, 300)))
        if k == 8:
            return binary(r.choice('/%'), a, lit('int32', 1 << r.randrange(0, 31)))
        if k == 9:
            return binary('&', a, lit('int32', (1 << r.randrange(0, 31)) - 1))
        if k == 10:
            return unary(r.choice('~-'), a)
        if k == 11:
            return cast('int32', cast(r.choice(['uint8', 'int8', 'int16']), a))
        if k == 12:
            return call('max', a, unary('-', a))
        return binary('-', lit('int32', r.randrange(-9, 99)), a)

    def epilogue(self, acc, most=3):
        """Stages of the ALU after acc: their tensors, acc first."""
        r, chain = self.r, [acc]
        for _ in range(r.choice([0, 1, 1, 2, most])):
            values = [lambda t=t: read(t, [axis(n) for n, _ in t.axes], bare=True) for t in [chain[-1], chain[-1], r.choice(chain)]]
            e = self.alu(values, r.randrange(1, 3))
            if r.random() < 0.15 and len(acc.axes) > 3:
                e = cond(self.place(acc), e, r.choice([lit('int32', r.randrange(-9, 9)), values[0]()]))
            first = next((x.info for x in walk(e) if x.kind == 'read'), None)
            if first is None or not any(x.kind == 'read' and x.info == chain[-1].name for x in walk(e)):
                e = binary('+', values[0](), e)
            chain.append(self.add(self.name('e'), 'compute', acc.axes, 'int32', e, bare=True))
        return chain

    def place(self, t):
        r, (name, n) = self.r, self.r.choice(t.axes[:-2])
        e = axis(name)
        if r.random() < 0.3:
            e = binary(r.choice('%/'), e, number(r.choice([2, 3])))
        return binary(r.choice(['<', '>=', '==', '!=']), e, number(r.randrange(0, n + 1)))

    # ---- layers: each gives an int8 tensor in host memory, computed tile by tile

    def padded(self, source, least):
        """A copy of source with a ring of zeros, flipped, stretched or transposed now and then: (tensor, (h, w), plain)."""
        r = self.r
        c, h, w = source.shape[:3]
        top, left, bottom, right = (r.choice([0, 0, 1, 1, 2, 3]) for _ in range(4))
        top, left = top + max(0, least[0] - h - top - bottom), left + max(0, least[1] - w - left - right)
        oh, ow = h + top + bottom, w + left + right
        y, x = shifted(axis('y'), -top), shifted(axis('x'), -left)
        tests = [binary('>=', axis('y'), number(top)), binary('<', axis('y'), number(top + h)),
                 binary('>=', axis('x'), number(left)), binary('<', axis('x'), number(left + w))]
        kept = [t for t, needed in zip(tests, (top, bottom, left, right)) if needed]
        if r.random() < 0.1:
            y = binary('-', number(h - 1 + top), axis('y'))
        if r.random() < 0.1:
            x = binary('-', number(w - 1 + left), axis('x'))
        e = read(source, [axis('c'), y, x, axis('b'), axis('r')])
        if kept:
            guard = kept[0]
            for t in kept[1:]:
                guard = binary('&&', guard, t)
            e = cond(guard, e, lit('int8', 0)) if r.random() < 0.8 else cond(unary('!', guard), lit('int8', 0), e)
        axes = [('c', c), ('y', oh), ('x', ow), ('b', self.config.batch), ('r', source.shape[4])]
        return axes, e

    def conv(self, source):
        """A convolution on the matrix unit."""
        r, cfg = self.r, self.config
        kh, kw, st, di = r.choice([1, 1, 2, 3]), r.choice([1, 1, 2, 3]), r.choice([1, 1, 1, 2, 3]), r.choice([1, 1, 1, 2])
        least = (kh - 1) * di + 1, (kw - 1) * di + 1
        c, h, w = source.shape[:3]
        plain = h >= least[0] and w >= least[1] and r.random() < 0.35
        if plain:
            pad, stage = source, None
        else:
            axes, e = self.padded(source, least)
            pad = stage = self.add(self.name('pad'), 'compute', axes, 'int8', e)
            self.say(stage.name, 'set_scope', 'vta.inp')
        oh, ow = (pad.shape[1] - least[0]) // st + 1, (pad.shape[2] - least[1]) // st + 1
        co = r.randrange(1, 4)
        weight = self.input('w', [('o', co), ('c', c), ('dy', kh), ('dx', kw), ('j', cfg.block_out), ('r', cfg.block_in)], 'int8')
        y = total([scaled(axis('y'), st), scaled(axis('dy'), di)])
        x = total([scaled(axis('x'), st), scaled(axis('dx'), di)])
        factors = [cast('int32', read(pad, [axis('c'), y, x, axis('b'), axis('r')])),
                   cast('int32', read(weight, [axis(n) for n in ('o', 'c', 'dy', 'dx', 'j', 'r')]))]
        acc = self.add(self.name('acc'), 'compute', [('o', co), ('y', oh), ('x', ow)] + self.stack(), 'int32',
                       binary('*', *(factors if r.random() < 0.8 else factors[::-1])),
                       reduce=('sum', [('c', c), ('dy', kh), ('dx', kw), ('r', cfg.block_in)]))
        buffers = [(weight, 'vta.wgt')] + ([(pad, 'vta.inp')] if plain else [])
        return self.finished(acc, stage, buffers, ['c', 'dy', 'dx'])

    def gemm(self, _):
        """A product of matrices."""
        r, cfg = self.r, self.config
        m, n, k = (r.randrange(1, 4 if cfg.tight else 8) for _ in range(3))
        a = self.input('a', [('m', m), ('k', k), ('b', cfg.batch), ('r', cfg.block_in)], 'int8')
        w = self.input('w', [('n', n), ('k', k), ('j', cfg.block_out), ('r', cfg.block_in)], 'int8')
        factors = [cast('int32', read(a, [axis(x) for x in 'mkbr'])), cast('int32', read(w, [axis(x) for x in 'nkjr']))]
        acc = self.add(self.name('acc'), 'compute', [('m', m), ('n', n)] + self.stack(), 'int32',
                       binary('*', *(factors if r.random() < 0.7 else factors[::-1])), reduce=('sum', [('k', k), ('r', cfg.block_in)]))
        return self.finished(acc, None, [(a, 'vta.inp'), (w, 'vta.wgt')], ['k'])

    def finished(self, acc, pad, buffers, outer):
        """The rest of a layer of the matrix unit: bias, epilogue, store, and its schedule."""
        r, first, extra = self.r, acc, []
        if r.random() < 0.4:
            names = [acc.axes[0][0] if len(acc.axes) > 4 else 'n', 'b', 'j']
            bias = self.input('bias', [x for x in acc.axes if x[0] in names], 'int32')
            extra.append((bias, 'vta.acc'))
            acc = self.add(self.name('sum'), 'compute', acc.axes, 'int32',
                           binary('+', read(acc, [axis(n) for n, _ in acc.axes], bare=True), read(bias, [axis(n) for n in names])), bare=True)
        chain = ([first] if acc is not first else []) + self.epilogue(acc)
        out, chain = self.store(chain)
        order = self.tiles(out)
        chain = self.placed(out, order, chain)
        copies = self.cached(extra, acc, out, order)
        k = outer[0]
        if r.random() < 0.7:
            k0, k1 = self.name(k + '_'), self.name(k + '_')
            self.say(first.name, 'split', k, 'factor = %d' % r.choice([1, 1, 2, 3]), results=[k0, k1])
            outer = [k0, k1] + outer[1:]
        free = [n for n, _ in first.axes[:-2]] + outer[1:]
        r.shuffle(free)
        self.say(first.name, 'reorder', outer[0], *free, *['b', 'j', 'r'])
        at = r.choice([(first.name, outer[0])] * 3 + [(out.name, order[-1])] + ([] if self.config.tight else [(first.name, free[0])]))
        copies += [self.cache(t, scope, first) for t, scope in buffers] + ([pad.name] if pad else [])
        for name in copies[len(extra):]:
            self.say(name, 'compute_at', *at)
        for name in copies:
            self.say(name, 'dma_copy')
        self.say(first.name, 'tensorize', 'b', 'vta.gemm')
        self.marked(chain[1:], out)
        return out

    def pool(self, source):
        """A reduction of windows on the ALU."""
        r = self.r
        k, st = r.choice([1, 2, 3]), r.choice([1, 2])
        axes, e = self.padded(source, (k, k))
        axes = axes[:3] + self.stack()
        wide = self.add(self.name('wide'), 'compute', axes, 'int32', widened(e))
        oh, ow = (axes[1][1] - k) // st + 1, (axes[2][1] - k) // st + 1
        y, x = total([scaled(axis('y'), st), axis('dy')]), total([scaled(axis('x'), st), axis('dx')])
        op = r.choice(['max', 'min', 'sum', 'max', 'sum'])
        pool = self.add(self.name('pool'), 'compute', [axes[0], ('y', oh), ('x', ow)] + axes[3:], 'int32',
                        read(wide, [axis('c'), y, x, axis('b'), axis('j')]), reduce=(op, [('dy', k), ('dx', k)]))
        return self.elementwise([wide, pool])

    def plain(self, source):
        """Arithmetic on the ALU."""
        axes, e = self.padded(source, (1, 1))
        wide = self.add(self.name('wide'), 'compute', axes[:3] + self.stack(), 'int32', widened(e))
        return self.elementwise([wide])

    def elementwise(self, before):
        chain = before + self.epilogue(before[-1])[1:]
        out, chain = self.store(chain)
        order = self.tiles(out)
        chain = self.placed(out, order, chain)
        self.say(chain[0].name, 'dma_copy')
        self.marked(chain[1:], out)
        return out

    # ---- parts of schedules

    def store(self, chain):
        """The copy out of the last of a chain: it, and the chain, which may end with its cache."""
        r, last = self.r, chain[-1]
        value = read(last, [axis(n) for n, _ in last.axes], bare=True)
        if len(chain) > 1 and last.name[0] == 'e' and r.random() < 0.2:
            self.tensors.remove(last)
            out = self.add(self.name('out'), 'compute', last.axes, 'int8', cast('int8', last.expr), bare=True)
            self.say(out.name, 'cache_write', 'vta.acc', results=[out.name + '_acc'])
            return out, chain[:-1] + [last.copy(name=out.name + '_acc')]
        return self.add(self.name('out'), 'compute', last.axes, 'int8', cast('int8', value), bare=True), chain

    def tiles(self, out):
        """Splits and orders the loops of out; those that tiles are computed in, from the outside."""
        r, outer, inner = self.r, [], []
        for name, n in out.axes[:-2]:
            if r.random() < 0.75:
                o, i = self.name(name + '_'), self.name(name + '_')
                f = r.randrange(1, 3 if self.config.tight else min(n, 5) + 2)
                way = 'nparts' if r.random() < 0.2 and not self.config.tight else 'factor'
                self.say(out.name, 'split', name, '%s = %d' % (way, f), results=[o, i])
                outer.append(o)
                inner.append(i)
            elif r.random() < 0.5 or self.config.tight:
                outer.append(name)
            else:
                inner.append(name)
        if not outer:
            outer.append(inner.pop(0))
        r.shuffle(outer)
        r.shuffle(inner)
        thread = None
        if r.random() < 0.35:
            thread, rest = self.name('vt_'), self.name('o_')
            k = r.randrange(len(outer))
            self.say(out.name, 'split', outer[k], 'nparts = 2', results=[thread, rest])
            outer[k] = rest
            outer.insert(r.randrange(k + 1), thread)
        self.say(out.name, 'reorder', *outer, *inner, *[n for n, _ in out.axes[-2:]])
        if thread:
            self.say(out.name, 'bind', thread, 'cthread')
        return outer

    def placed(self, out, order, chain):
        r = self.r
        inlined = [t for t in chain[1:-1] if t.name[0] == 'e' and r.random() < 0.1]
        for t in inlined:
            self.say(t.name, 'compute_inline')
        chain = [t for t in chain if t not in inlined]
        same = [Statement('', 'set_scope', 'vta.acc'), Statement('', 'compute_at', out.name, order[-1])]
        names = [t.name for t in chain]
        if r.random() < 0.5:
            self.statements.append(For(names, same))
        else:
            self.statements += [Statement(n, s.primitive, *s.args) for n in names for s in same]
        if r.random() < 0.1:
            self.say(out.name, 'compute_root')
        return chain

    def cache(self, t, scope, reader):
        name = t.name + '_buf'
        while any(name in s.results for s in self.statements if isinstance(s, Statement)):
            name += '_'
        self.say(t.name, 'cache_read', scope, reader.name, results=[name])
        return name

    def cached(self, tensors, reader, out, order):
        names = [self.cache(t, scope, reader) for t, scope in tensors]
        for n in names:
            self.say(n, 'compute_at', out.name, self.r.choice([order[-1], order[-1], self.r.choice(order)]))
        return names

    def marked(self, chain, out):
        r = self.r
        for t in chain:
            if r.random() < 0.15:
                self.say(t.name, 'pragma', t.axes[0][0], '"alu"')
            else:
                self.say(t.name, 'alu')
        self.say(out.name, 'dma_copy')
        if r.random() < 0.15 and not (chain and chain[-1].name.endswith('_acc')):
            out.expr = r.choice([call('max', out.expr, lit('int8', r.randrange(-50, 50))), binary('+', out.expr, lit('int8', r.randrange(100))),
                                 cast('int8', call('clamp', binary('>>', out.expr.args[0], lit('int32', r.randrange(9))), lit('int32', -100), lit('int32', 100)))])
            self.say(out.name, 'legalize_epilogue')

    # ---- the CPU between

    def on_cpu(self, sources):
        """A stage of the CPU: concatenation, transposition or arithmetic of earlier results, repacked."""
        r, cfg = self.r, self.config
        a = r.choice(sources)
        lanes = ('r', cfg.block_in)
        axes = [('c', 0), ('y', a.shape[1]), ('x', a.shape[2]), ('b', cfg.batch), lanes]
        k = r.random()
        others = [t for t in sources if t is not a and t.shape[1:] == a.shape[1:] and t.type == a.type]
        if k < 0.5 and others:
            b = r.choice(others)
            axes[0] = ('c', a.shape[0] + b.shape[0])
            e = cond(binary('<', axis('c'), number(a.shape[0])), read(a, [axis(n) for n in 'cyxbr']),
                     read(b, [shifted(axis('c'), -a.shape[0])] + [axis(n) for n in 'yxbr']))
            if a.shape[4] != cfg.block_in:
                axes[4] = ('r', a.shape[4])
        elif a.shape[4] != cfg.block_in:
            return self.repacked(a)
        elif k < 0.75:
            axes[0], axes[1], axes[2] = ('c', a.shape[0]), ('y', a.shape[2]), ('x', a.shape[1])
            e = read(a, [axis('c'), axis('x'), axis('y'), axis('b'), axis('r')])
        else:
            axes[0] = ('c', a.shape[0])
            e = Scope(r, axes, [t for t in sources if t.type == a.type], reads=4).value(a.type, r.choice([1, 2, 3]))
        if e.type != 'int8':
            e = cast('int8', e)
        t = self.add(self.name('cpu'), 'compute', axes, 'int8', e)
        self.host.append(t.name)
        return t if axes[4][1] == cfg.block_in else self.repacked(t)

    def repacked(self, a):
        """a with tiles of block_in lanes."""
        cfg, have = self.config, a.shape[4]
        channels = a.shape[0] * have
        flat = binary('+', binary('*', axis('c'), number(cfg.block_in)), axis('r'))
        e = read(a, [binary('/', flat, number(have)), axis('y'), axis('x'), axis('b'), binary('%', flat, number(have))])
        if channels % cfg.block_in:
            e = cond(binary('<', flat, number(channels)), e, lit(a.type, 0))
        axes = [('c', -(-channels // cfg.block_in))] + [(n, k) for n, k in zip('yxb', a.shape[1:4])] + [('r', cfg.block_in)]
        t = self.add(self.name('pack'), 'compute', axes, 'int8', e if a.type == 'int8' else cast('int8', e))
        self.host.append(t.name)
        return t

    def layer(self, sources):
        """One more result."""
        r, cfg = self.r, self.config
        a = r.choice(sources[-2:])
        if a.type != 'int8' or r.random() < 0.25:
            return self.on_cpu(sources)
        if a.shape[4] == cfg.block_in and r.random() < 0.65:
            return self.conv(a)
        if a.shape[4] == cfg.block_out:
            return r.choice([self.pool, self.plain])(a)
        return self.repacked(a)


def widened(e):
    """A padded copy of int8 as one of int32, with lanes of the accumulator."""
    if e.kind == 'cond':
        return cond(e.args[0], *(widened(a) for a in e.args[1:]))
    if e.kind == 'lit':
        return lit('int32', e.info)
    return cast('int32', with_lanes(e))


def with_lanes(e):
    return e.replaced([axis('j') if a.kind == 'axis' and a.info == 'r' else a for a in e.args])


def named_axes(config):
    """The names that the target has for the extents of tiles, by axis and extent."""
    return {('b', config.batch): 'vta.batch', ('j', config.block_out): 'vta.block_out', ('r', config.block_in): 'vta.block_in'}


def kernel(r):
    """A random program for VTA, with its schedule."""
    g = Graph(r)
    if r.random() < 0.2:
        out = g.gemm(None)
        results = [out]
    else:
        results = [g.image(g.config.block_in if r.random() < 0.7 else g.config.block_out)]
        for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
            results.append(g.layer(results))
    results[-1].role = 'output'
    for t in results[1:-1]:
        if r.random() < 0.15:
            t.role = 'output'
    if r.random() < 0.4:
        readable = [t for t in g.tensors if t.role == 'input' and t.type == 'int8' and len(t.axes) == 5] + [t for t in results if t.role != 'input']
        last = more(r, readable, r.choice([1, 1, 2]))
        g.tensors += last
        g.host += [t.name for t in last]
    tensors = drop_unread(g.tensors)
    gone = {t.name for t in g.tensors} - {t.name for t in tensors}
    p = Program(tensors, g.statements, vta=named_axes(g.config), options=['--vta-config', g.config.path])
    p.config = g.config.name
    p.schedule = without_stages(p.schedule, gone)
    mine = [t.name for t in tensors if t.name in g.host]
    if mine and r.random() < 0.9:
        p.schedule = p.schedule + of_stages(r, p, mine)
    return p
