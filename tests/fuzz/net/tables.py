# SPDX-License-Identifier: Apache-2.0
"""What the accepted programs of a campaign had in them."""
from collections import Counter

from .semantics import ARITHMETIC, CLOSE, COMPARISONS, DTYPES, EXACT, FLOATS, INTEGER, INTS, NUMBERS, OF_INTEGERS, REDUCTIONS
from .tree import walk

HOST = ['split', 'tile', 'fuse', 'reorder', 'compute_at', 'compute_with', 'compute_root', 'compute_inline', 'store_at', 'store_root', 'fold', 'storage_align', 'pack', 'cache_read', 'cache_write', 'rfactor', 'tail',
        'unroll', 'vectorize', 'parallel', 'pragma', 'knob', 'for']
VTA = ['set_scope', 'bind', 'dma_copy', 'alu', 'tensorize', 'legalize_epilogue']
PRIMITIVES = HOST + VTA


def documented():
    """The pairs of operation and type that docs/language.md has."""
    cells = [(op, t) for op in ARITHMETIC + COMPARISONS + ['neg', 'abs', 'clamp', '?:', 'read'] for t in NUMBERS]
    cells += [(op, t) for op in INTEGER + OF_INTEGERS + ['~'] for t in INTS]
    cells += [('wide', t) for t in ('int8', 'int16', 'uint8', 'uint16')]
    cells += [(op, t) for op in ('reshape', 'concat') for t in DTYPES] + [(form, op) for form in ('where', 'by') for op in REDUCTIONS]
    cells += [(op, t) for op in EXACT + CLOSE for t in FLOATS]
    cells += [(op, 'bool') for op in ['&&', '||', '!', '==', '!=', '?:', 'read']]
    cells += [('to ' + to, t) for t in DTYPES for to in NUMBERS if to != t]
    return cells + [(op + '[]', t) for op in REDUCTIONS for t in NUMBERS]


def operations(program):
    """The pairs of operation and type in a program."""
    for t in program.stages():
        if t.reduce:
            yield t.reduce[0] + '[]', t.type
            if t.where:
                yield 'where', t.reduce[0]
            if t.by:
                yield 'by', t.reduce[0]
        for e in walk(t.expr):
            if e.kind == 'cast':
                yield 'to ' + e.type, e.of
            elif e.kind in ('cond', 'read', 'reshape', 'concat'):
                yield {'cond': '?:'}.get(e.kind, e.kind), e.type
            elif e.kind in ('bin', 'un', 'fn'):
                yield 'neg' if e.kind == 'un' and e.info == '-' else e.info, 'bool' if e.info in ('&&', '||', '!') else e.of


class Tables:
    def __init__(self):
        self.pairs, self.operations, self.reductions = Counter(), Counter(), Counter()

    def add(self, program):
        found = sorted(set(program.primitives()), key=PRIMITIVES.index)
        self.pairs.update((a, b) for i, a in enumerate(found) for b in found[i:])
        self.operations.update(set(operations(program)))
        self.reductions.update({(t.reduce[0], x) for t in program.stages() if t.reduce for x in found})

    def merge(self, other):
        self.pairs.update(other.pairs)
        self.operations.update(other.operations)
        self.reductions.update(other.reductions)

    def empty(self):
        """The cells of what is documented that no program was in."""
        cells = [(self.pairs, (a, b)) for i, a in enumerate(PRIMITIVES) for b in PRIMITIVES[i + 1:]]
        cells += [(self.operations, c) for c in documented()]
        cells += [(self.reductions, (op, p)) for op in REDUCTIONS for p in PRIMITIVES]
        return [' x '.join(cell) for counter, cell in cells if not counter[cell]]

    def text(self):
        ops = []
        for op, _ in documented():
            ops += [op] if op not in ops else []
        return '\n'.join(grid('primitive x primitive', PRIMITIVES, PRIMITIVES, self.pairs, True) +
                         grid('operation x type', ops, DTYPES, self.operations) +
                         grid('reduction x primitive', REDUCTIONS, PRIMITIVES, self.reductions))


def grid(title, rows, columns, counter, half=False):
    """A table with a row a line; the lower half of one that is symmetric is left out."""
    width = [max(len(c), 6) for c in columns]
    lines = ['', title, ' ' * 18 + ' '.join(c.rjust(w) for c, w in zip(columns, width))]
    for i, row in enumerate(rows):
        cells = [('' if half and k < i else str(counter[row, c] or '.')).rjust(w) for k, (c, w) in enumerate(zip(columns, width))]
        lines.append('%-18s%s' % (row, ' '.join(cells)))
    return lines
