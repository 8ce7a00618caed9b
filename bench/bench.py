#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py BUILD_DIR: how long whole processes take (medians), how cost grows, how fast the simulator is."""
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

build = sys.argv[1]
tetc = os.path.join(build, 'tetc')
conv = 'samples/conv2d_relu.te'


def once(args):
    """Wall time and processor time (of all its threads) of one process, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    p = subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, p


def process(name, args, limit=None, runs=15):
    """Median and least wall time of a whole process, and the median of its processor time, in ms."""
    times, work = [], []
    for _ in range(runs):
        seconds, cpu, p = once(args)
        if p.returncode:
            print('%-46s FAILED: %s' % (name, p.stderr.decode('utf-8', 'replace').strip()[:200]))
            return None
        times.append(seconds * 1e3)
        work.append(cpu * 1e3)
    median = statistics.median(times)
    goal = '   (at most %d)' % limit if limit else ''
    print('%-46s %7.1f ms median %7.1f least %7.1f processor%s' % (name, median, min(times), statistics.median(work), goal))
    return median


def chain(stages):
    """A kernel of so many pointwise stages."""
    text = 'kernel chain {\n  input x[i: 64] : int32;\n'
    last = 'x'
    for n in range(stages):
        text += '  compute s%d = %s + %d;\n' % (n, last, n)
        last = 's%d' % n
    return text + '  output y = %s * 2;\n}\n' % last


def compiler(d):
    process('/bin/true', ['/bin/true'])
    process('tetc compile conv2d_relu.te -o k.o', [tetc, 'compile', conv, '-o', d + '/k.o'], 40)
    process('tetc check conv2d_relu.te', [tetc, 'check', conv])
    p = subprocess.run([tetc, 'check', conv, '--time-passes'], capture_output=True, text=True)
    total = re.search(r'total\s+([0-9.]+)', p.stderr)
    print('%-46s %8s ms   (at most 5)' % ('lowering conv2d_relu.te without LLVM', total[1] if total else '?'))


def growth(d):
    for stages in (10, 100, 1000):
        path = '%s/chain%d.te' % (d, stages)
        with open(path, 'w') as f:
            f.write(chain(stages))
        process('tetc check, %d pointwise stages' % stages, [tetc, 'check', path], runs=7)
        process('tetc compile -O0, %d pointwise stages' % stages, [tetc, 'compile', '-O0', path, '-o', d + '/k.o'], runs=5)
    for size in (8, 16, 32):
        # Cost must follow the number of instructions: the listing plays every one.
        args = [tetc, 'compile', 'samples/gemm.te', '--emit=vta', '-D', 'M=%d' % size, '-D', 'N=%d' % size, '-D', 'K=%d' % size,
                '-K', 'mt=1', '-K', 'nt=1', '-o', d + '/k.vta']
        process('tetc compile --emit=vta, gemm %dx%dx%d tiles' % (size, size, size), args, runs=5)


def fewest(name, room, env):
    """How many random cases are minimal, by a test that compares them with a search over all ways."""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT='TAP', **env)
    p = subprocess.run([os.path.join(build, 'tests', room, 'test_%s_minimum' % room)], capture_output=True, text=True, env=env)
    m = re.search(r'# (\d+) cases: (\d+) minimal; (.*)', p.stdout + p.stderr)
    if p.returncode or not m:
        print('%-46s FAILED' % name)
        return
    print('%-46s %7.1f %% of %s; %s' % (name, 100 * int(m[2]) / int(m[1]), m[1], m[3]))


def simulator():
    for name in ('bench_fsim', 'fsim_bench'):
        for here, _, files in os.walk(build):
            if name in files:
                subprocess.run([os.path.join(here, name)])
                return
    print('the simulator benchmark is not built')


def tir(d):
    """Reading, printing and executing TIR; verify."""
    host = d + '/host.te'
    with open(host, 'w') as f:
        f.write('param K = 16;\n' + chain(40))
    subprocess.run([tetc, 'compile', host, '--dump-tir', '--dump-dir', d + '/d', '-o', d + '/k.o'], check=True)
    bench = os.path.join(build, 'tests/tir/bench_tir')
    if os.path.exists(bench):
        subprocess.run([bench, d + '/d/02-lower.tir'])
    process('tetc verify gemm.te', [tetc, 'verify', 'samples/gemm.te'], 2000, 5)


def hardware():
    """Cycles of the core for conv2d_relu.te, and how fast Verilator gets through them (no --check: only the run)."""
    args = [tetc, 'run', conv, '--device=rtl', '--stats']
    p = subprocess.run(args, capture_output=True, text=True)
    cycles = re.search(r'stats: ([0-9]+) cycles', p.stdout)
    if p.returncode or not cycles:
        print('the hardware is not built (it needs Verilator)')
        return
    n = int(cycles[1])
    compiling = statistics.median(once([tetc, 'run', conv])[1] for _ in range(9))
    work = [once(args)[1] for _ in range(9)]
    print('%-46s %9d cycles   (at most 480000)' % ('conv2d_relu.te on the core, 64-bit bus', n))
    print('%-46s %9.2f M cycles/s of processor time, median; %.2f at best   (at least 1)' %
          ('its simulation, beyond a run with --device=fsim', n / (statistics.median(work) - compiling) / 1e6,
           n / (min(work) - compiling) / 1e6))
    print('%-46s %9.2f M cycles/s' % ('the whole process', n / statistics.median(work) / 1e6))


def synthesis():
    """What the core takes of an XC7Z020, where there is Yosys."""
    subprocess.run([sys.executable, 'hw/synth.py', 'report', os.path.join(build, 'hw')])


def main():
    with tempfile.TemporaryDirectory() as d:
        compiler(d)
        growth(d)
        sys.stdout.flush()
        tir(d)
    fewest('random copies with the fewest transfers', 'copy', {'TETC_COPY_CASES': '20000'})
    fewest('random ALU values with the fewest instructions', 'alu', {'TETC_ALU_CASES': '6000'})
    sys.stdout.flush()
    simulator()
    sys.stdout.flush()
    hardware()
    sys.stdout.flush()
    synthesis()


main()
