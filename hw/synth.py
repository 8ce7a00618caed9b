#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""synth.py test|report BUILD/hw: the core in Yosys. BUILD/hw has what is made of the instruction set.

test    the default configuration elaborates, with nothing undriven, driven twice or looping; with TETC_LONG_TESTS it is
        also synthesised for Xilinx 7 series, and must fit an XC7Z020
report  what the synthesised core takes, by unit, against an XC7Z020
Yosys keeps the hierarchy, so that each module is synthesised once; asserts are left out of what is synthesised.
"""
import glob
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUDGET = {'LUT': 53200, 'FF': 106400, 'DSP48E1': 220, 'RAMB36': 140}  # of an XC7Z020
# LUTs of an XC7 that a cell takes, where it is not one.
MEMORY_LUTS = {'RAM32M': 4, 'RAM64M': 4, 'RAM32X1D': 2, 'RAM64X1D': 2, 'RAM128X1D': 4}


def read(build, options):
    files = sorted(glob.glob(HERE + '/rtl/*.sv'), key=lambda f: (not f.endswith('_pkg.sv'), f))
    return 'read_verilog -sv %s -I%s %s; hierarchy -check -top vta_top' % (options, build, ' '.join(files))


def yosys(script):
    return subprocess.run(['yosys', '-q', '-p', script], capture_output=True, text=True)


def complaints(build):
    """What Yosys finds wrong with the elaborated core."""
    p = yosys(read(build, '') + '; proc; check -assert')
    # The counters have many readers, so they become registers, and are meant to.
    said = [line for line in p.stderr.splitlines() if line and 'with list of registers' not in line]
    return said or (['Yosys failed'] if p.returncode else [])


def resources(cells):
    """What cells of a kind take, by the names of BUDGET."""
    n = dict.fromkeys(BUDGET, 0)
    for kind, count in cells.items():
        if re.fullmatch(r'LUT[1-6]|INV|SRL16E|SRLC32E', kind):
            n['LUT'] += count
        elif kind in MEMORY_LUTS:
            n['LUT'] += MEMORY_LUTS[kind] * count
        elif re.fullmatch(r'FD[RSCP]E(_1)?', kind):
            n['FF'] += count
        elif kind == 'DSP48E1':
            n['DSP48E1'] += count
        elif kind in ('RAMB36E1', 'RAMB18E1'):
            n['RAMB36'] += count if kind == 'RAMB36E1' else count / 2
        elif kind not in ('CARRY4', 'MUXF7', 'MUXF8', 'BUFG'):
            sys.exit('synth.py: what does a %s take?' % kind)
    return n


def total(stat, module):
    """What a module takes with all that it has inside."""
    inside = stat['modules'][module]['num_cells_by_type']
    flat = resources({k: c for k, c in inside.items() if '\\' + k not in stat['modules'] and k not in stat['modules']})
    for kind, count in inside.items():
        name = kind if kind in stat['modules'] else '\\' + kind
        if name in stat['modules']:
            for what, n in total(stat, name).items():
                flat[what] += count * n
    return flat


def plain(name):
    """vta_ram of $paramod$0f7e...\\vta_ram."""
    return name.split('\\')[-1] if not name.startswith('$paramod\\') else name.split('\\')[1]


def parts(stat):
    """The instances in vta_top and what they take, largest first."""
    rows = {}
    top = stat['modules']['\\vta_top']['num_cells_by_type']
    for kind, count in top.items():
        name = kind if kind in stat['modules'] else '\\' + kind
        if name in stat['modules']:
            for what, n in total(stat, name).items():
                row = rows.setdefault(plain(name), dict.fromkeys(BUDGET, 0))
                row[what] += count * n
    return sorted(rows.items(), key=lambda row: -row[1]['LUT'])


def line(name, n):
    return '%-46s' % name + ''.join(' %6g %-7s' % (n[k], k) for k in BUDGET).rstrip()


def synthesise(build, d):
    """Synthesis; (statistics, the longest path in ps or None)."""
    p = yosys(read(build, '-noassert') + '; synth_xilinx -family xc7 -nowidelut -noiopad -noclkbuf -top vta_top; '
              'tee -q -o %s/stat stat -json; flatten; tee -q -o %s/sta sta' % (d, d))
    if p.returncode:
        sys.exit('synth.py: ' + p.stderr.strip()[-400:])
    with open(d + '/stat') as f:
        # 0.23 prints the tree of instances in between: lines without a quote, a number behind a name.
        stat = json.loads(''.join(row for row in f if not re.match(r'\s+[^"\s]+\s+\d+$', row)))
    with open(d + '/sta') as f:
        path = re.search(r"Latest arrival time in '[^']*' is (\d+)", f.read())
    return stat, int(path[1]) if path else None


def report(build):
    """Lines that tell what the core takes, and the resources of which it takes too much."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as d:
        stat, path = synthesise(build, d)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    core = total(stat, '\\vta_top')
    lines = [line('the core, synthesised for an XC7Z020', core), line('  which has', BUDGET)]
    lines += [line('  ' + name, n) for name, n in parts(stat)]
    if path:
        lines.append('%-46s %8.1f ns (cells alone: no wires, no carry chains)' % ('  longest path', path / 1000))
    lines.append('%-46s %8.0f s of processor time, %.0f s, %.1f GB' % ('  time and memory of Yosys', used.ru_utime + used.ru_stime,
                                                                     time.perf_counter() - start, used.ru_maxrss / 1e6))
    return lines, [k for k in BUDGET if core[k] > BUDGET[k]]


def test(build):
    """The checks as TAP; whether all passed."""
    results = [('the core elaborates in Yosys', complaints(build), [])]
    if 'TETC_LONG_TESTS' in os.environ:
        lines, over = report(build)
        results.append(('the core fits an XC7Z020', over, lines))
    for n, (name, wrong, notes) in enumerate(results):
        print('%s %d - %s' % ('not ok' if wrong else 'ok', n + 1, name))
        for note in wrong[:20] + notes:
            print('# ' + note)
    print('1..%d' % len(results))
    return not any(wrong for _, wrong, _ in results)


def main():
    what, build = sys.argv[1:]
    if not shutil.which('yosys'):
        print('1..0 # SKIP there is no Yosys' if what == 'test' else 'the core is not synthesised (that needs Yosys)')
    elif what == 'test':
        sys.exit(not test(build))
    else:
        print('\n'.join(report(build)[0]))


main()
