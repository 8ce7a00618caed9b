#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fuzz_tir.py TETC DIRECTORY SEED COUNT FILE.te ...: dumps of kernels, a word or a line of them changed, then read, lowered and
executed.

Whatever the text: no crash, no hang, no message that blames tetc. What comes out reads back and prints the same."""
import glob
import os
import random
import re
import resource
import shutil
import subprocess
import sys

NUMBERS = [-1, 0, 1, 2, 3, 7, 15, 16, 17, 255, 256, 4096, 65535, 65536, 2**31, -2**31, 2**40, 2**62, 2**63 - 1, -2**63, -16]
OPERATORS = ['+', '-', '*', '/', '%', '<', '<=', '>', '>=', '==', '!=', '<<', '>>', '&', '|', '^', '&&', '||']
WORDS = ['int8', 'int16', 'int32', 'int64', 'uint8', 'bool', 'float32', '@vta.acc', '@vta.inp', '@vta.wgt', 'vthread',
         'parallel', 'base=0', 'base=3', 'input', 'output', '']
PHASES = ['lower', 'tensorize', 'inject_copy', 'inject_alu', 'vthread', 'storage', 'sync', 'uop']


def replaced(rnd, text, pattern, make):
    """The text with one match of the pattern replaced."""
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    m = rnd.choice(found)
    return text[:m.start()] + make(m.group(), found) + text[m.end():]


def mutated(rnd, text):
    number = r'(?<![A-Za-z_0-9])-?\d+'
    for _ in range(rnd.choice([1, 1, 1, 2, 3])):
        lines = text.split('\n')
        i, j = rnd.randrange(len(lines)), rnd.randrange(len(lines))
        kind = rnd.randrange(8)
        if kind == 0:
            del lines[i]
        elif kind == 1:
            lines.insert(i, lines[j])
        elif kind == 2:
            lines[i], lines[j] = lines[j], lines[i]
        text = '\n'.join(lines)
        if kind == 3:
            text = replaced(rnd, text, number, lambda *_: str(rnd.choice(NUMBERS)))
        elif kind == 4:
            text = replaced(rnd, text, number, lambda old, _: str(int(old) + rnd.choice([-16, -1, 1, 16])))
        elif kind == 5:
            text = replaced(rnd, text, r'[A-Za-z_][A-Za-z_0-9.]*', lambda _, all: rnd.choice(all).group())
        elif kind == 6:
            text = replaced(rnd, text, r'(?<= )(\+|-|\*|/|%|<|<=|>|>=|==|!=|<<|>>|&&|\|\|)(?= )', lambda *_: rnd.choice(OPERATORS))
        elif kind == 7:
            text = replaced(rnd, text, r'\bu?int\d+\b|bool|float\d+|@vta\.\w+|parallel|vthread|unrolled|base=\d+|input|output',
                            lambda *_: rnd.choice(WORDS))
    return text


def problem(tetc, rnd, phase, text):
    """What is wrong with how a text is taken; None: nothing."""
    with open('m.tir', 'w', encoding='utf-8') as f:
        f.write(text)
    start = rnd.choice([phase, phase, rnd.choice(PHASES)])
    args = ['-p', 'simplify'] if start == 'intrin' or rnd.randrange(5) == 0 else ['--from', start]
    args += ['--verify-each'] * rnd.randrange(2)
    what = 'tetc opt ' + ' '.join(args) + ': '
    try:
        got = subprocess.run([tetc, 'opt', 'm.tir', '-o', 'o.tir'] + args, capture_output=True, timeout=60)
        if got.returncode not in (0, 1):
            return f'{what}status {got.returncode}\n{got.stderr.decode(errors="replace")}'
        if got.returncode == 0:
            again = subprocess.run([tetc, 'opt', 'o.tir'], capture_output=True, timeout=60)
            with open('o.tir', 'rb') as f:
                if again.stdout != f.read():
                    return f'{what}what is printed does not read back\n{again.stderr.decode(errors="replace")}'
    except subprocess.TimeoutExpired:
        return what + 'no end'
    return executed(tetc, 'm.tir') or (executed(tetc, 'o.tir') if got.returncode == 0 else None)


def executed(tetc, path):
    """What is wrong with how a text is executed. One that takes long may be right: a loop may be as long as it likes."""
    small = (2 << 30, 2 << 30)  # a changed extent must not take the machine's memory
    try:
        got = subprocess.run([tetc, 'run', '--interpret', path], capture_output=True, timeout=4,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, small))
    except subprocess.TimeoutExpired:
        return None
    return None if got.returncode in (0, 1) else f'tetc run --interpret: status {got.returncode}\n{got.stderr.decode(errors="replace")}'


def main():
    tetc, directory, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if 'TETC_LONG_TESTS' in os.environ:
        count *= 50
    tetc = os.path.abspath(tetc)
    kernels = [os.path.abspath(f) for f in sys.argv[5:]]
    os.makedirs(directory, exist_ok=True)
    os.chdir(directory)
    dumps = []
    for i, kernel in enumerate(kernels):
        shutil.rmtree(f'd{i}', ignore_errors=True)  # of an older compiler
        subprocess.run([tetc, 'compile', kernel, '--dump-tir', '--dump-dir', f'd{i}', '-o', 'k.o'], capture_output=True, check=True)
        for path in sorted(glob.glob(f'd{i}/**/*.tir', recursive=True)):
            with open(path, encoding='utf-8') as f:
                dumps.append((os.path.basename(path)[3:-4], f.read()))
    rnd = random.Random(seed)
    print('1..1')
    for n in range(count):
        phase, text = rnd.choice(dumps)
        wrong = problem(tetc, rnd, phase, mutated(rnd, text))
        if wrong:
            print(f'not ok 1 - mutated dumps\n# number {n} of seed {seed}, {os.path.abspath("m.tir")}')
            print('\n'.join('# ' + line for line in wrong.split('\n')))
            return 1
    print(f'ok 1 - {count} mutated dumps')
    return 0


if __name__ == '__main__':
    sys.exit(main())
