# SPDX-License-Identifier: Apache-2.0
"""A campaign: programs with numbers, run by several processes, counted, shrunk and kept where they fail."""
import collections
import multiprocessing
import os
import random
import shutil
import tempfile
import time

import numpy as np

from . import accelerator, evaluate, programs, schedules, shrink, variants
from .runner import Runner
from .tables import Tables


def program(seed, number):
    """Program `number` of a campaign, the same everywhere, and what else was drawn for it."""
    r = random.Random('%d:%d' % (seed, number))
    if r.random() < 0.35:
        return accelerator.kernel(r), r
    p = programs.kernel(r)
    p.schedule = schedules.schedule(r, p)
    return p, r


class Failure:
    def __init__(self, number, program, what, options):
        self.number, self.program, self.what, self.options = number, program, what, options


class Share:
    """What one process found."""

    def __init__(self):
        self.kinds, self.refusals, self.compared = collections.Counter(), collections.Counter(), collections.Counter()
        self.tables, self.failures = Tables(), []

    def merge(self, other):
        for mine, theirs in ((self.kinds, other.kinds), (self.refusals, other.refusals), (self.compared, other.compared)):
            mine.update(theirs)
        self.tables.merge(other.tables)
        self.failures += other.failures


class Worker:
    def __init__(self, tetc, seed, every):
        self.folder = tempfile.mkdtemp(prefix='tetc-net-')
        self.runner, self.seed, self.every = Runner(tetc, self.folder), seed, every
        self.share = Share()

    def one(self, number):
        p, r = program(self.seed, number)
        options, threads = variants.primary(r)
        outcome = self.runner.run(p, options, threads)
        self.share.kinds[outcome.kind] += 1
        if outcome.kind == 'refused':
            self.share.refusals[outcome.what] += 1
        if outcome.kind == 'right':
            self.share.tables.add(p)
            if number % self.every == 0:
                outcome = self.others(p)
                options = outcome.options if outcome else options
        if outcome and outcome.kind == 'wrong':
            self.share.failures.append(Failure(number, p, outcome.what, options))

    def others(self, p):
        """Runs p in all other ways; the first that is not right, or None."""
        for way in variants.ways(self.runner, p):
            self.share.compared[way.name] += 1
            outcome = way.run(self.runner, p)
            if outcome.kind != 'right':
                self.share.kinds.update(right=-1, wrong=1)
                outcome.kind, outcome.options = 'wrong', way
                outcome.what = '%s: %s' % (way.name, outcome.what)
                return outcome
        return None

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.share


def work(tetc, seed, every, numbers, end):
    """What a process does: numbers of programs, until the end if there is one."""
    np.seterr(all='ignore')
    w = Worker(tetc, seed, every)
    for n in numbers:
        if end and time.time() > end or len(w.share.failures) >= 20:
            break
        w.one(n)
    return w.close()


def run(tetc, seed, first, count, seconds, jobs, every):
    """Runs programs first .. first + count - 1, or as many as the seconds allow. Returns a Share."""
    end = time.time() + seconds if seconds else None
    total = Share()
    count = count or 1 << 40
    args = [(tetc, seed, every, range(first + k, first + count, jobs), end) for k in range(jobs)]
    if jobs == 1:
        return work(*args[0])
    with multiprocessing.get_context('fork').Pool(jobs) as pool:
        for share in pool.starmap(work, args, chunksize=1):
            total.merge(share)
    total.failures.sort(key=lambda f: f.number)
    return total


# ---- failures

def alike(a, b):
    """Whether two sentences tell of the same kind of failure."""
    def key(s):
        return s.split(':')[:2] if s.startswith('status') else 'reads' if s.startswith('accepted') else 'differs'
    return key(a) == key(b)


def expected(program):
    """The values of all tensors, or of those before one that reads outside another."""
    tensors = evaluate.inputs(program)
    try:
        for t in program.stages():
            tensors[t.name] = evaluate.stage(t, tensors)
    except evaluate.OutOfBounds:
        pass
    return tensors


def small(tetc, failure, seconds):
    """The failure, shrunk: (program, what is wrong)."""
    folder = tempfile.mkdtemp(prefix='tetc-net-')
    runner, said = Runner(tetc, folder, 20), {}

    def fails(p):
        try:
            way = failure.options
            o = way.run(runner, p) if isinstance(way, variants.Way) else runner.run(p, way, 2)
        except (ValueError, IndexError, KeyError, AssertionError, OverflowError):
            return False
        said[p] = o.what
        return o.kind == 'wrong' and alike(o.what, failure.what.split(': ', 1)[-1] if isinstance(way, variants.Way) else failure.what)
    try:
        p = shrink.shrunk(failure.program, fails, seconds)
        return p, said.get(p, failure.what)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(folder, seed, failure, tetc, seconds):
    """Writes a failure to a folder: the program as drawn and shrunk, inputs and expected outputs. Returns the small text."""
    p, what = small(tetc, failure, seconds)
    where = os.path.join(folder, '%d-%d' % (seed, failure.number))
    os.makedirs(where, exist_ok=True)
    ways = failure.options.name if isinstance(failure.options, variants.Way) else ' '.join(failure.options)
    with open(os.path.join(where, 'drawn.te'), 'w') as f:
        f.write('// %s; %s\n' % (ways, failure.what) + failure.program.text())
    with open(os.path.join(where, 'small.te'), 'w') as f:
        f.write('// %s; %s\n' % (ways, what) + p.text())
    for name, v in expected(p).items():
        np.save(os.path.join(where, name + '.npy'), v)
    return 'program %d:%d (%s): %s\n%s' % (seed, failure.number, ways, what, p.text())


def report(share, seconds, tables=True):
    """The counts, and the tables, as text."""
    n = sum(share.kinds.values())
    codes = ', '.join('%s %d' % c for c in sorted(share.refusals.items()))
    compared = ', '.join('%s %d' % c for c in sorted(share.compared.items()))
    lines = ['%d programs in %.0f s: %d right, %d refused (%.1f %%: %s), %d wrong' % (
        n, seconds, share.kinds['right'], share.kinds['refused'], 100 * share.kinds['refused'] / max(n, 1), codes or 'none', share.kinds['wrong']),
        'run in other ways too: %s' % (compared or 'none')]
    if tables:
        lines.append(share.tables.text())
    empty = share.tables.empty()
    lines += ['', '%d cells are empty%s' % (len(empty), ': ' + ', '.join(empty) if empty else '')]
    return '\n'.join(lines)
