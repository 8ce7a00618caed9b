#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""isa.py VERILATOR CC SOURCE_ROOT ISA_WORDS: one table of the instruction set, the same for C and for SystemVerilog.

What C decodes from random words is what the part selects of vta_isa.svh find in them; and when the table changes, both do.
"""
import os
import re
import subprocess
import sys
import tempfile

verilator, cc, root, words = sys.argv[1:]
table = os.path.join(root, 'src/isa/isa.def')
count = 0


def ok(good, name, why=''):
    global count
    count += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', count, name))
    if not good:
        for line in why.splitlines()[:10]:
            print('# ' + line)


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, errors='replace')


def generate(d, text):
    """A folder with a table and all that is made of it: the SystemVerilog, and C's view of random words."""
    os.makedirs(os.path.join(d, 'isa'))
    path = os.path.join(d, 'isa/isa.def')
    with open(path, 'w') as f:
        f.write(text)
    p = run(sys.executable, os.path.join(root, 'hw/isa.py'), path, d + '/vta_isa_codes.svh', d + '/vta_isa.svh')
    if p.returncode:
        return p.stderr
    p = run(*cc.split(), '-I', d, '-I', root + '/src', '-o', d + '/words', root + '/tests/hw/isa_words.c', root + '/src/isa/isa.c')
    if p.returncode:
        return p.stderr
    with open(d + '/all.sv', 'w') as f:
        f.write(run(d + '/words').stdout)
    return ''


def agree(rtl, c):
    """Whether the SystemVerilog of one folder agrees with the C of another, and what Verilator says."""
    p = run(verilator, '--lint-only', '-I' + rtl, '--top-module', 'all', root + '/hw/rtl/vta_pkg.sv', c + '/all.sv')
    return p.returncode == 0 and '%Warning' not in p.stderr, p.stderr


def swapped(text, a, b):
    """The table with the lines of two fields (or codes) exchanged."""
    lines = text.split('\n')
    i, j = [next(k for k, line in enumerate(lines) if re.search(r'^[A-Z_]+\((\w+, )?' + x + r'\b', line)) for x in (a, b)]
    lines[i], lines[j] = lines[j], lines[i]
    return '\n'.join(lines)


def main():
    with open(table) as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as d:
        ours = d + '/ours'
        why = generate(ours, text)
        ok(not why, 'the table makes C and SystemVerilog', why)
        good, why = agree(ours, ours)
        ok(good, 'C and SystemVerilog agree on every field and code', why)
        built = run(words).stdout
        with open(ours + '/all.sv') as f:
            ok(f.read() == built and len(built.splitlines()) > 1000, 'the build is made of the same table')
        changes = [('x_size', 'x_pad1'), ('sram_base', 'memory'), ('uop_begin', 'iter_in'), ('dst_out', 'dst_in'),
                   ('src_out', 'src_in'), ('wgt_out', 'wgt_in'), ('alu_op', 'imm'), ('dst', 'wgt'),
                   ('pop_prev', 'push_next'), ('STORE', 'FINISH'), ('INP', 'ACC'), ('MIN', 'SHR')]
        other = text
        for pair in changes:
            other = swapped(other, *pair)
        theirs = d + '/theirs'
        why = generate(theirs, other)
        good, said = agree(theirs, theirs)
        ok(not why and good, 'with lines of the table exchanged, both change', why or said)
        said = agree(ours, theirs)[1]
        for name in sum(changes, ()):
            ok(re.search(r'(: |\.)%s( of word|$)' % name, said, re.M), 'the new `%s` does not fit the old table' % name)
        for name, change in (('a width that is none', ('HI, W)', 'HI, Q)')), ('too many codes', ('ALU_OP(MUL, "mul")',
                             '\n'.join('ALU_OP(N%d, "n")' % n for n in range(5))))):
            ok('isa.py' in generate(d + '/' + change[0][:2], text.replace(*change)), name + ' is refused')
    print('1..%d' % count)


main()
