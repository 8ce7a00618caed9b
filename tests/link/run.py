#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects of tetc linked into programs: run.py TETC RUNTIME.a SOURCE_ROOT -- CC... prints TAP, a case a program."""
import os
import subprocess
import sys
import tempfile


class Failed(Exception):
    pass


def call(*words, cwd, env=None):
    p = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    out = p.stdout.decode(errors='replace') + p.stderr.decode(errors='replace')
    if p.returncode:
        raise Failed('%s\nexit status %d\n%s' % (' '.join(words), p.returncode, out))
    return out


class Place:
    """The tools, and a directory to work in."""

    def __init__(self, tetc, runtime, root, cc, tmp):
        self.tetc, self.runtime, self.root, self.cc, self.tmp = tetc, runtime, root, cc, tmp
        self.here = os.path.join(root, 'tests/link')

    def compile(self, source, *options):
        name = os.path.splitext(os.path.basename(source))[0]
        call(self.tetc, 'compile', os.path.join(self.root, source), '-o', name + '.o', *options, cwd=self.tmp)
        return name + '.o'

    def build(self, program, objects, *words):
        call(*self.cc, '-I' + self.tmp, os.path.join(self.here, program + '.c'), *objects, '-o', program, *words, '-pthread', '-ldl', '-lm',
             cwd=self.tmp)
        return os.path.join(self.tmp, program)


def cpu_only(p):
    call(p.build('cpu_only', [p.compile('tests/link/cpu_only.te')]), cwd=p.tmp)


def errors(p):
    wraps = ['-Wl,--wrap=' + f for f in ('malloc', 'calloc', 'realloc', 'mprotect')]
    call(p.build('errors', [p.compile('samples/vector_add.te'), p.runtime], *wraps), cwd=p.tmp)


CASES = [('a kernel of the CPU alone, without a runtime', cpu_only),
         ('arrays, devices, configurations and memory that are wrong', errors)]


def main():
    tetc, runtime, root, _, *cc = sys.argv[1:]
    failed = 0
    print('1..%d' % len(CASES))
    for number, (what, case) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory() as tmp:
            try:
                case(Place(os.path.abspath(tetc), os.path.abspath(runtime), os.path.abspath(root), cc, tmp))
                print('ok %d - %s' % (number, what))
            except Failed as why:
                failed += 1
                print('not ok %d - %s' % (number, what))
                for line in str(why).splitlines()[:60]:
                    print('# ' + line)
        sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
