# SPDX-License-Identifier: Apache-2.0
"""Random schedules of CPU stages, legal as far as the rules of docs/schedule.md tell."""
from .semantics import is_float
from .tree import For, Knob, Statement, sources, walk


class Loop:
    def __init__(self, name, extent, reduce=False, place=0):
        self.name, self.extent, self.reduce = name, extent, reduce
        self.place = place        # of reductions: (order of the axis, level), as they have to follow for floats
        self.kind = None
        self.serial = False      # its iterations find what those before them left

    def __repr__(self):
        return self.name


class Stage:
    """What a schedule knows of a stage: its loops, who reads it, where it is computed."""

    def __init__(self, name, axes, reduce=(), ordered=False, output=False, reads=(), fresh=0):
        self.name, self.ordered, self.output = name, ordered, output
        self.loops = [Loop(n, e) for n, e in axes] + [Loop(n, e, True, (k,)) for k, (n, e) in enumerate(reduce)]
        self.axes, self.reduce, self.reads = list(axes), list(reduce), list(reads)
        self.at = None            # (stage, loop), 'inline', or None for root
        self.fresh = fresh
        self.packed = False
        self.host = False         # another takes turns in its loops
        self.overlaps = False    # blocks of its loops do: they run one after the other
        self.touched = False      # a loop was changed, so that cache_write comes too late

    def name_of(self, base):
        self.fresh += 1
        return '%s_%d' % (base.split('_')[0], self.fresh)


def reads(t):
    found = []
    for x in walk(t.expr):
        found += [name for name in sources(x) if name not in found]
    return found


class Schedule:
    """A schedule as it grows."""

    def __init__(self, r, program, mine=None):
        self.r, self.program = r, program
        self.mine = [t.name for t in program.stages()] if mine is None else mine   # the others are scheduled already
        self.stages = [Stage(t.name, t.axes, t.reduce[1] if t.reduce and not t.by else (), bool(t.reduce) and is_float(t.type),
                             t.role == 'output', reads(t)) for t in program.stages()]
        self.shapes = {t.name: t.axes for t in program.tensors}
        self.statements, self.knobs, self.last = [], [], []

    def stage(self, name):
        return next((s for s in self.stages if s.name == name), None)

    def readers(self, s):
        """Stages that read s as it now is: those that an inlined reader is copied into count for it."""
        found = []
        for x in self.stages:
            if s.name in x.reads:
                found += self.readers(x) if x.at == 'inline' else [x]
        return [x for i, x in enumerate(found) if x not in found[:i]]

    def emit(self, stage, primitive, *args, results=()):
        self.statements.append(Statement(stage, primitive, *args, results=results))

    def number(self, n):
        """The number as text, or a knob's name."""
        if self.r.random() > 0.12:
            return str(n)
        values = sorted({n, n + 1, max(1, n - 1), 2 * n}) if self.r.random() < 0.7 else []
        name = 'knob%d' % len(self.knobs)
        self.knobs.append(Knob(name, n, values))
        return name

    # ---- caches and inlining: which stages there are

    def cache_read(self):
        r = self.r
        t = r.choice(self.program.tensors)
        all_readers = [x for x in self.stages if t.name in x.reads]
        readers = [x for x in all_readers if x.name in self.mine]
        if not readers or any(x.at == 'inline' for x in readers) or self.stage(t.name + '_rd'):
            return
        some = readers if r.random() < 0.7 else r.sample(readers, 1)
        name = t.name + '_rd'
        self.emit(t.name, 'cache_read', 'host', *([] if some == all_readers and r.random() < 0.7 else [x.name for x in some]), results=[name])
        of = self.stage(t.name)
        at = self.stages.index(of) + 1 if of else 0
        self.stages.insert(at, Stage(name, of.axes if of else t.axes, reads=[t.name], fresh=of.fresh if of else 0))
        self.mine.append(name)
        for x in some:
            x.reads = [name if n == t.name else n for n in x.reads]

    def cache_write(self):
        r = self.r
        s = r.choice([x for x in self.stages if x.name in self.mine])
        if s.touched or s.at or s.name.endswith(('_rd', '_wr')) or self.stage(s.name + '_wr'):
            return
        name = s.name + '_wr'
        self.emit(s.name, 'cache_write', 'host', results=[name])
        self.stages.insert(self.stages.index(s), Stage(name, s.axes, s.reduce, s.ordered, reads=s.reads, fresh=s.fresh))
        self.mine.append(name)
        s.loops = [x for x in s.loops if not x.reduce]
        s.reads, s.reduce, s.ordered = [name], [], False

    def rfactor(self):
        """Partial results of an integer reduction, of one of its axes."""
        r = self.r
        s = r.choice([x for x in self.stages if x.name in self.mine])
        name = s.name + '_rf'
        if s.touched or s.at or s.packed or s.ordered or not s.reduce or s.name.endswith('_rf') or self.stage(name):
            return
        axis = r.choice(s.reduce)
        self.emit(s.name, 'rfactor', axis[0], results=[name])
        rest = [x for x in s.reduce if x is not axis]
        self.stages.insert(self.stages.index(s), Stage(name, s.axes + [axis], rest, reads=s.reads, fresh=s.fresh))
        self.mine.append(name)
        s.loops = [x for x in s.loops if not x.reduce] + [Loop(*axis, True, (0,))]
        s.reads, s.reduce = [name], [axis]

    def inline(self):
        s = self.r.choice([x for x in self.stages if x.name in self.mine])
        if not s.output and not s.reduce and not s.at and not s.touched and self.readers(s) and self.alone(s):
            self.emit(s.name, 'compute_inline')
            s.at = 'inline'

    def pack(self):
        """Stores a stage in blocks along one of its axes."""
        r = self.r
        s = r.choice([x for x in self.stages if x.name in self.mine])
        if s.output or s.at or not s.axes:
            return
        k = r.randrange(len(s.axes))
        (axis, extent), n = s.axes[k], r.choice([1, 2, 3, 4, 5, 8, 16, r.randrange(1, s.axes[k][1] + 3)])
        x = next(x for x in s.loops if x.name == axis)
        outer, inner = s.name_of(axis), s.name_of(axis)
        self.emit(s.name, 'pack', axis, ('factor = ' if r.random() < 0.3 else '') + self.number(n), results=[outer, inner])
        s.packed = True
        s.axes = s.axes[:k] + [(outer, -(-extent // n))] + s.axes[k + 1:] + [(inner, n)]
        s.loops[s.loops.index(x)] = Loop(outer, -(-extent // n))
        last = max(i for i, x in enumerate(s.loops) if not x.reduce)
        s.loops.insert(last + 1, Loop(inner, n))

    def alone(self, s):
        """Whether only stages that are ours read s."""
        return all(x.name in self.mine for x in self.stages if s.name in x.reads)

    # ---- loops

    def free(self, s):
        return [x for x in s.loops if x.kind is None]

    def split(self, s):
        r = self.r
        x = r.choice(self.free(s))
        n = r.choice([1, 2, 3, 4, 5, 8, 16, r.randrange(1, x.extent + 2)])
        outer, inner = s.name_of(x.name), s.name_of(x.name)
        if r.random() < 0.3:
            size, args = -(-x.extent // n), ['nparts = ' + self.number(n)]
            parts = min(n, x.extent)
        else:
            size, args = min(n, x.extent), [('factor = ' if r.random() < 0.8 else '') + self.number(n)]
            parts = -(-x.extent // size)
        self.emit(s.name, 'split', x.name, *args, results=[outer, inner])
        if r.random() < 0.2:   # blocks may overlap if the stage does nothing but compute its elements
            overlap = not (s.reduce or s.packed or s.ordered) and r.random() < 0.5
            self.emit(s.name, 'tail', r.choice([outer, inner]), 'shift' if overlap else r.choice(['guard', 'guard', 'peel']))
            s.overlaps = s.overlaps or overlap
        at = s.loops.index(x)
        s.loops[at:at + 1] = [Loop(outer, parts, x.reduce, x.place and x.place + (0,)), Loop(inner, size, x.reduce, x.place and x.place + (1,))]

    def tile(self, s):
        r, free = self.r, [x for x in self.free(s) if not (s.ordered and x.reduce)]
        if len(free) < 2:
            return
        a, b = r.sample(free, 2)
        if a.reduce != b.reduce and r.random() < 0.8:
            return
        n = [r.choice([1, 2, 4, 8, r.randrange(1, x.extent + 2)]) for x in (a, b)]
        names = [s.name_of(x.name) for x in (a, b, a, b)]
        self.emit(s.name, 'tile', a.name, b.name, *map(self.number, n), results=names)
        size = [min(k, x.extent) for k, x in zip(n, (a, b))]
        four = [Loop(names[0], -(-a.extent // size[0]), a.reduce, a.place and a.place + (0,)),
                Loop(names[1], -(-b.extent // size[1]), b.reduce, b.place and b.place + (0,)),
                Loop(names[2], size[0], a.reduce, a.place and a.place + (1,)), Loop(names[3], size[1], b.reduce, b.place and b.place + (1,))]
        first = min(s.loops.index(a), s.loops.index(b))
        rest = [x for x in s.loops if x not in (a, b)]
        s.loops = rest[:first] + four + rest[first:]

    def fuse(self, s):
        near = [(a, b) for a, b in zip(s.loops, s.loops[1:]) if a.reduce == b.reduce and a.kind is None and b.kind is None]
        if not near:
            return
        a, b = self.r.choice(near)
        if s.ordered and a.reduce and a.place > b.place:
            return
        name = s.name_of(a.name)
        self.emit(s.name, 'fuse', a.name, b.name, results=[name])
        at = s.loops.index(a)
        s.loops[at:at + 2] = [Loop(name, a.extent * b.extent, a.reduce, a.place)]

    def reorder(self, s):
        r = self.r
        if len(s.loops) < 2:
            return
        some = r.sample(s.loops, r.randrange(2, len(s.loops) + 1))
        if s.ordered:   # the points of a float's sum keep their order
            sorted_ones = iter(sorted((x for x in some if x.reduce), key=lambda x: x.place))
            some = [next(sorted_ones) if x.reduce else x for x in some]
        self.emit(s.name, 'reorder', *[x.name for x in some])
        places = sorted(s.loops.index(x) for x in some)
        for at, x in zip(places, some):
            s.loops[at] = x

    def transform(self, s):
        for _ in range(self.r.choice([0, 0, 1, 1, 2, 3, 4])):
            if self.free(s):
                self.r.choice([self.split, self.split, self.tile, self.fuse, self.reorder, self.reorder])(s)
                s.touched = True

    # ---- where stages are computed

    def chain(self, s):
        """The loops that s is computed in, of other stages: (stage, loop) pairs, the nearest first."""
        found = []
        while isinstance(s.at, tuple):
            found.append(s.at)
            s = s.at[0]
        return found

    def places(self, s):
        """The loops that enclose every reader of s."""
        readers = self.readers(s)
        ways = []
        for x in readers:
            way = [(x, loop) for loop in reversed(x.loops)]
            for stage, at in self.chain(x):
                way += [(stage, loop) for loop in reversed(stage.loops[:stage.loops.index(at) + 1])]
            ways.append(way)
        if not ways:
            return []
        return [p for p in ways[0] if all(p in w for w in ways[1:])]

    def outermost(self, s):
        chain = self.chain(s)
        return chain[-1][0] if chain else s

    def turns_in(self, s, o):
        """Whether s may take turns in the loops of o, as far as the order of stages tells."""
        if o is s or o.at or o.overlaps or o.name not in self.mine or not s.axes or not o.axes or s.axes[0][1] != o.axes[0][1]:
            return False
        at = self.stages.index(o)
        made = [self.outermost(x) for x in self.stages if x.name in s.reads]
        later = [self.outermost(x) for x in self.readers(s)]
        return all(self.stages.index(x) < at for x in made) and all(self.stages.index(x) >= at for x in later)

    def turn(self, s):
        """Lets s take turns in the loops of another stage."""
        found = [o for o in self.stages if self.turns_in(s, o)]
        loops = [(o, x) for o in found for i, x in enumerate(o.loops) if not any(y.reduce for y in o.loops[:i + 1])]
        if not loops or not self.alone(s):
            return False
        s.at = self.r.choice(loops)
        s.at[0].host = True
        self.emit(s.name, 'compute_with', s.at[0].name, s.at[1].name)
        return True

    def place(self, s):
        if s.host or (not s.at and self.r.random() < 0.15 and self.turn(s)):
            return
        if s.output or s.at or self.r.random() < 0.4:
            if s.at is None and self.r.random() < 0.1:
                self.emit(s.name, 'compute_root')
            return
        found = self.places(s)
        if found and self.alone(s):
            s.at = self.r.choice(found)
            self.emit(s.name, 'compute_at', s.at[0].name, s.at[1].name)
            if self.r.random() < 0.35:
                self.store(s)

    def store(self, s):
        """Stores s around more loops of its consumer; those between run serially."""
        consumer, at = s.at
        if consumer.overlaps:
            return
        loops = consumer.loops[:consumer.loops.index(at) + 1]
        first = self.r.randrange(len(loops))
        for x in loops[first:]:
            x.serial = True
        if first:
            self.emit(s.name, 'store_at', consumer.name, loops[first - 1].name)
        else:
            self.emit(s.name, 'store_root')
        if s.axes and self.r.random() < 0.6:
            self.emit(s.name, 'fold', self.r.choice(s.axes)[0])

    def storage_align(self, s):
        """Moves the positions of an axis apart in memory."""
        r = self.r
        if s.output or len(s.axes) < 2:
            return
        k, n = r.randrange(len(s.axes) - 1), r.choice([1, 2, 3, 7, 8, 16, 32, 64])
        offset = ['offset = %d' % r.randrange(n)] if k == len(s.axes) - 2 and r.random() < 0.4 else []
        self.emit(s.name, 'storage_align', s.axes[k][0], str(n) if offset else self.number(n), *offset)

    # ---- how loops run

    def annotate(self, s):
        r = self.r
        x = r.choice(s.loops)
        if x.kind or x.serial:
            return
        inner = x is s.loops[-1]
        kind = r.choice(['vectorize', 'unroll', 'vectorize'] if inner else ['parallel', 'parallel', 'unroll', 'vectorize'])
        if s.overlaps and kind != 'unroll':
            return
        if kind == 'parallel' and (x.reduce or isinstance(s.at, tuple)):
            kind = 'unroll'
        if kind == 'unroll' and x.extent > 64 or kind == 'vectorize' and not inner and r.random() < 0.7:
            return
        if kind != 'parallel' and r.random() < 0.25 and all(t.at != (s, x) for t in self.stages):
            n, at = r.choice([1, 2, 4, 5, 8]), s.loops.index(x)
            outer, inner = (s.name_of(x.name), s.name_of(x.name)) if r.random() < 0.5 else (x.name, '%s_%s' % (x.name, 'lanes' if kind == 'vectorize' else 'copies'))
            self.emit(s.name, kind, x.name, str(n), results=[outer, inner] if outer != x.name else [])
            s.loops[at:at + 1] = [Loop(outer, -(-x.extent // n), x.reduce, x.place), Loop(inner, n, x.reduce, x.place)]
            s.loops[at + 1].kind = kind
            return
        x.kind = kind
        if r.random() < 0.25:
            self.emit(s.name, 'pragma', x.name, r.choice(['"%s"', '%s']) % kind)
        else:
            self.emit(s.name, kind, x.name)

    def joined(self):
        """Statements that stages have in common, one after the other, as one `for`."""
        out = []
        for x in self.statements:
            y = out[-1] if out else None
            same = isinstance(x, Statement) and not x.results and (x.primitive, x.args) == getattr(y, 'key', None)
            if same and x.stage not in y.stages:
                y.stages.append(x.stage)
                continue
            if isinstance(x, Statement) and not x.results and self.r.random() < 0.5:
                f = For([x.stage], [x])
                f.key = (x.primitive, x.args)
                out.append(f)
            else:
                out.append(x)
        return [x.statements[0] if isinstance(x, For) and len(x.stages) == 1 and self.r.random() < 0.9 else x for x in out]

    def finished(self):
        return self.knobs + self.joined()


def schedule(r, program):
    """A schedule for a program of CPU stages."""
    if r.random() < 0.1:
        return []
    return of_stages(r, program, None)


def of_stages(r, program, mine):
    """Statements for the stages named, or for all."""
    s = Schedule(r, program, mine)
    for _ in range(r.choice([0, 0, 1, 1, 2, 3, 4])):
        r.choice([s.cache_read, s.cache_write, s.inline, s.pack, s.pack, s.rfactor])()
    ours = [x for x in s.stages if x.name in s.mine]
    for x in reversed(ours):
        if x.at == 'inline':
            continue
        if r.random() < 0.8:
            s.transform(x)
        s.place(x)
    for x in ours:
        if x.at != 'inline':
            for _ in range(r.choice([0, 0, 1, 1, 2])):
                s.annotate(x)
            if mine is None and r.random() < 0.2:   # tiles of the accelerator must not be torn
                s.storage_align(x)
    return s.finished()
