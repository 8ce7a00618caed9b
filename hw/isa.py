#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""isa.py ISA.DEF CODES.SVH FIELDS.SVH: the table of the instruction set as SystemVerilog.

CODES.SVH goes into package vta_pkg: OpLoad, MemUop, AluMin and the like. FIELDS.SVH defines the place of every field as a
part select, VTA_format_FIELD (`insn_i[`VTA_MOVE_X_SIZE]`); where widths follow the configuration they name the parameters
LOG_UOP, LOG_INP, LOG_WGT and LOG_ACC of the module that uses them. A source factor of the format LOOP has two places: it
is given as VTA_GEMM_ and VTA_ALU_.
"""
import re
import sys

PARAMETERS = {'U': 'LOG_UOP', 'I': 'LOG_INP', 'W': 'LOG_WGT', 'A': 'LOG_ACC',
              'S': '(LOG_ACC > LOG_INP ? LOG_ACC : LOG_INP)'}
WORD = {'LO': 0, 'HI': 64}
# Formats in the order in which they share an instruction's words, and what F is in them.
STACKS = [(['INSN', 'MOVE'], None), (['INSN', 'LOOP', 'GEMM'], 'I'), (['INSN', 'LOOP', 'ALU'], 'A'), (['UOP'], None)]
NOTE = '// SPDX-License-Identifier: Apache-2.0\n// Made by hw/isa.py of src/isa/isa.def.\n'


def read(path):
    """The table's lines, as (macro, [argument...])."""
    rows = []
    with open(path) as f:
        for line in f:
            m = re.match(r'([A-Z_]+)\(([^()]*)\)\s*(//.*)?$', line)
            if m:
                rows.append((m[1], [a.strip() for a in m[2].split(',')]))
    return rows


def width(bits, f):
    """An expression of the table as {letter: factor}, the constant under ''."""
    total = {}
    for term in bits.split('+'):
        term = term.strip()
        if term == 'F':
            term = f
        if term.isdigit():
            total[''] = total.get('', 0) + int(term)
        elif term in PARAMETERS:
            total[term] = total.get(term, 0) + 1
        else:
            sys.exit('isa.py: `%s` is no width' % bits)
    return total


def plus(a, b):
    return {k: a.get(k, 0) + b.get(k, 0) for k in list(a) + [k for k in b if k not in a]}


def text(terms):
    """`2*LOG_ACC+64` for {'A': 2, '': 64}."""
    parts = [('%d*' % n if n > 1 else '') + PARAMETERS[k] for k, n in terms.items() if k and n]
    if terms.get('') or not parts:
        parts.append('%d' % terms.get('', 0))
    return '+'.join(parts)


def fields(rows):
    """Every field as (name of its macro, place, width); one of two formats at the same place in both once."""
    found = {}
    for formats, f in STACKS:
        at = {word: {'': start} for word, start in WORD.items()}
        for fmt in formats:
            for macro, args in rows:
                if macro != 'FIELD_' + fmt:
                    continue
                _, name, word, bits = args
                macro_name = 'VTA_%s_%s' % (formats[-1] if 'F' in bits else fmt, name.upper())
                w = width(bits, f)
                if found.setdefault(macro_name, (at[word], w)) != (at[word], w):
                    sys.exit('isa.py: %s has two places' % macro_name)
                at[word] = plus(at[word], w)
    return [(name, place, bits) for name, (place, bits) in found.items()]


def codes(rows):
    """Lines of the package: OPCODE(LOAD) is OpLoad. As wide as the field that holds them."""
    wide = {args[0]: args[3] for macro, args in rows if macro.startswith('FIELD_')}
    out = []
    for macro, prefix, holder in (('OPCODE', 'Op', 'VtaOpcode'), ('MEMORY', 'Mem', 'VtaMemory'), ('ALU_OP', 'Alu', 'VtaAluOp')):
        names = [args[0] for m, args in rows if m == macro]
        bits = int(wide[holder])
        if len(names) > 1 << bits:
            sys.exit('isa.py: %d of %s do not fit %d bits' % (len(names), macro, bits))
        for n, name in enumerate(names):
            out.append("localparam logic [%d:0] %s%s = %d'd%d;" % (bits - 1, prefix, name.capitalize(), bits, n))
        if prefix == 'Alu':
            out.append("localparam logic [%d:0] AluLast = %d'd%d;" % (bits - 1, bits, len(names) - 1))
    return out


def main():
    table, codes_out, fields_out = sys.argv[1:]
    rows = read(table)
    with open(codes_out, 'w') as f:
        f.write(NOTE + '\n'.join(codes(rows)) + '\n')
    with open(fields_out, 'w') as f:
        f.write(NOTE + '`ifndef VTA_ISA_SVH\n`define VTA_ISA_SVH\n')
        for name, place, bits in fields(rows):
            f.write('`define %s %s +: %s\n' % (name, text(place), text(bits)))
        f.write('`endif\n')


main()
