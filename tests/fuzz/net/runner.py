# SPDX-License-Identifier: Apache-2.0
"""Runs a program through tetc and compares what comes out with what should."""
import os
import re
import subprocess

import numpy as np

from . import evaluate

# Codes that may refuse a program of this generator: what cannot be proven or scheduled, not what cannot be read.
REFUSALS = re.compile(r'^error\[(E0106|E02\d\d|E03\d\d|E040[1245])\]', re.M)
FAULT = re.compile(r'^error\[(E\d{4})\]: .*', re.M)


class Outcome:
    """What became of a program: kind is 'right', 'refused' (what: the code), or 'wrong' (what: a sentence)."""

    def __init__(self, kind, what=''):
        self.kind, self.what = kind, what


def environment(threads):
    return dict(os.environ, OMP_NUM_THREADS=str(threads), LC_ALL='C')


class Runner:
    """Runs programs in a folder of its own."""

    def __init__(self, tetc, folder, timeout=120):
        self.tetc, self.folder, self.timeout = tetc, folder, timeout
        self.env = {n: environment(n) for n in (1, 2, 16)}
        self.runtime = self.beside('src', 'runtime', 'libtetc_runtime.a')   # what objects of VTA kernels are linked with

    def beside(self, *names):
        """The path of a file that was built beside tetc, or None."""
        path = os.path.join(os.path.dirname(self.tetc), *names)
        return path if os.path.exists(path) else None

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, program, given, scheduled=True):
        with open(self.path('k.te'), 'w') as f:
            f.write(program.text(scheduled))
        for name, v in given.items():
            np.save(self.path(name + '.npy'), v)

    def call(self, args, threads=2):
        """Status and messages of tetc."""
        try:
            p = subprocess.run([self.tetc] + args, cwd=self.folder, env=self.env[threads], close_fds=False, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            return -1, 'no end after %d s' % self.timeout
        return p.returncode, (p.stderr + p.stdout).decode('utf-8', 'replace')

    def outputs(self, program):
        return {t.name: np.load(self.path(t.name + '.out.npy')) for t in program.outputs()}

    def command(self, program, options):
        args = ['run', 'k.te'] + list(program.options) + list(options)
        for t in program.inputs():
            args += ['--input', '%s=%s.npy' % (t.name, t.name)]
        for t in program.outputs():
            args += ['--output', '%s=%s.out.npy' % (t.name, t.name)]
        return args

    def run(self, program, options=(), threads=2, scheduled=True):
        """Runs a program once and judges it."""
        given = evaluate.inputs(program)
        self.write(program, given, scheduled)
        status, said = self.call(self.command(program, options), threads)
        if status:
            return refusal(status, said)
        return self.judged(program, given)

    def judged(self, program, given):
        """What the outputs in the folder are."""
        try:
            wrong = evaluate.check(program, given, self.outputs(program))
        except evaluate.OutOfBounds as e:
            return Outcome('wrong', 'accepted, though it reads %s' % e)
        return Outcome('wrong', wrong) if wrong else Outcome('right')


def refusal(status, said):
    found = REFUSALS.search(said)
    if status == 1 and found and only_refusals(said):
        return Outcome('refused', found[1])
    line = FAULT.search(said)
    return Outcome('wrong', 'status %d: %s' % (status, line[0] if line else said.strip()[:300]))


def only_refusals(said):
    return all(REFUSALS.match(m[0]) for m in FAULT.finditer(said))
