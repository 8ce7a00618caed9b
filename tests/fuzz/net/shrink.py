# SPDX-License-Identifier: Apache-2.0
"""Makes a failing program smaller while it fails in the same way."""
import time

from .tree import For, lit, sources, walk


def rebuilt(e, change):
    """e with every node that change(node) gives another for."""
    args = [rebuilt(a, change) for a in e.args]
    return change(e if all(x is y for x, y in zip(args, e.args)) else e.replaced(args))


def without_unread(tensors):
    kept = []
    for t in reversed(tensors):
        if t.role == 'output' or any(t.name in sources(x) for k in kept if k.expr for x in walk(k.expr)):
            kept.append(t)
    return kept[::-1]


def mentions(s, name):
    stages = s.stages if isinstance(s, For) else [getattr(s, 'stage', None)]
    return name in stages or name in getattr(s, 'args', ()) or any(mentions(x, name) for x in getattr(s, 'statements', ()))


def without_stages(schedule, gone):
    """The statements that name none of some stages, nor a cache of one."""
    gone, kept = set(gone), []
    for s in schedule:
        if not any(mentions(s, n) for n in gone):
            kept.append(s)
        elif s.primitive.startswith('cache'):
            gone.update(s.results)
    return kept


def with_tensors(p, tensors):
    """p with other tensors, and without what its schedule says of those that are gone or became inputs."""
    tensors = without_unread(tensors)
    stages = {t.name for t in tensors if t.role != 'input'}
    gone = [t.name for t in p.tensors if t.role != 'input' and t.name not in stages]
    return p.copy(tensors=tensors, schedule=without_stages(p.schedule, gone))


def fewer_statements(p):
    if p.schedule:
        yield p.copy(schedule=[])
    half = len(p.schedule) // 2
    if half > 1:
        yield p.copy(schedule=p.schedule[:half])
    for i in range(len(p.schedule) - 1, -1, -1):
        s = p.schedule[i]
        rest = without_stages(p.schedule[i + 1:], s.results) if s.primitive.startswith('cache') else p.schedule[i + 1:]
        yield p.copy(schedule=p.schedule[:i] + rest)
    for i, s in enumerate(p.schedule):
        for n in s.stages if isinstance(s, For) and len(s.stages) > 1 else ():
            yield p.copy(schedule=p.schedule[:i] + [For([x for x in s.stages if x != n], s.statements)] + p.schedule[i + 1:])


def fewer_tensors(p):
    outputs = p.outputs()
    for t in outputs if len(outputs) > 1 else ():
        yield with_tensors(p, [x for x in p.tensors if x is not t])
        yield with_tensors(p, [x.copy(role='compute') if x is t else x for x in p.tensors])
    for t in p.stages():
        if t.role == 'compute':   # an earlier stage becomes an output, or an input
            if not t.bare:
                yield with_tensors(p, [x if x.role == 'input' else x.copy(role='output' if x is t else 'compute') for x in p.tensors])
            yield with_tensors(p, [t.copy(role='input', expr=None, reduce=None, where=None, by=0, bare=False, flavour='mixed', seed=1) if x is t else x for x in p.tensors])


def simpler(e, node):
    """What may stand in place of a node."""
    for a in node.args:
        if a.type == node.type:
            yield a
    if node.kind == 'read' and node.info and not node.bare:
        for i, a in enumerate(node.args):
            if a.kind not in ('lit', 'axis'):
                yield node.replaced(node.args[:i] + (lit('int64', 0),) + node.args[i + 1:])
    if node.kind not in ('lit', 'axis'):
        yield lit(node.type, False if node.type == 'bool' else 1.0 if node.type.startswith('float') else 1)


def simpler_expressions(p):
    for i, t in enumerate(p.tensors):
        if t.expr is None:
            continue
        nodes = list(walk(t.expr))
        for node in nodes:
            for other in simpler(t.expr, node):
                if node is t.expr and other.kind == 'lit':
                    continue
                e = rebuilt(t.expr, lambda x, node=node, other=other: other if x is node else x)
                tensors = list(p.tensors)
                tensors[i] = t.copy(expr=e, bare=t.bare and e.kind != 'lit')
                yield with_tensors(p, tensors)
        for change in [dict(where=None)] * bool(t.where) + [dict(by=0)] * bool(t.by):
            yield p.copy(tensors=p.tensors[:i] + [t.copy(**change)] + p.tensors[i + 1:])
        if t.reduce and len(t.reduce[1]) > 1 and not t.where:
            for k in range(len(t.reduce[1])):
                gone = t.reduce[1][k][0]
                e = rebuilt(t.expr, lambda x: lit('int64', 0) if x.kind == 'axis' and x.info == gone else x)
                yield p.copy(tensors=p.tensors[:i] + [t.copy(expr=e, reduce=(t.reduce[0], t.reduce[1][:k] + t.reduce[1][k + 1:]))] + p.tensors[i + 1:])


def with_extent(t, old, new):
    axes = [(n, new if e == old else e) for n, e in t.axes]
    reduce = t.reduce and (t.reduce[0], [(n, new if e == old else e) for n, e in t.reduce[1]])
    return t.copy(axes=axes, reduce=reduce)


def smaller_extents(p):
    found = sorted({e for t in p.tensors for _, e in t.axes + (t.reduce[1] if t.reduce else []) if e > 1}, reverse=True)
    for old in found:
        for new in sorted({1, 2, old // 2, old - 1}):
            if not 0 < new < old:
                continue
            yield p.copy(tensors=[with_extent(t, old, new) for t in p.tensors], constants=[])
            for i, t in enumerate(p.tensors):
                yield p.copy(tensors=p.tensors[:i] + [with_extent(t, old, new)] + p.tensors[i + 1:], constants=[])


def plainer(p):
    if p.constants:
        yield p.copy(constants=[])
    for i, t in enumerate(p.tensors):
        if t.role == 'input' and t.flavour != 'small':
            yield p.copy(tensors=p.tensors[:i] + [t.copy(flavour='small')] + p.tensors[i + 1:])


WAYS = [fewer_statements, fewer_tensors, simpler_expressions, smaller_extents, plainer]


def shrunk(program, fails, seconds=60):
    """The smallest program found within some seconds that `fails` is true of."""
    end, again = time.time() + seconds, True
    while again and time.time() < end:
        again = False
        for way in WAYS:
            tried = True
            while tried and time.time() < end:
                tried = next((q for q in way(program) if time.time() < end and fails(q)), None)
                program, again = tried or program, again or bool(tried)
    return program
