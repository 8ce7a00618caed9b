#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# trace.py TETC SAMPLES wave|no-wave [CONFIG BUS]...: timelines of the core, and of the models named, have the form that
# viewers want, hold every instruction of the listing at its line, and agree with the core's own counters; what cannot be
# traced is refused; no file is left half-written.
import collections
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

tetc, samples = map(os.path.abspath, sys.argv[1:3])
has_wave = sys.argv[3] == 'wave'
tmp = tempfile.TemporaryDirectory()
cases = []


def run(*args, **kw):
    return subprocess.run([tetc, *args], capture_output=True, text=True, **kw)


def case(name):
    def note(f):
        cases.append((name, f))
    return note


def check(condition, *what):
    if not condition:
        raise AssertionError(' '.join(map(str, what)))


class Trace:
    def __init__(self, kernel, *args):
        path = os.path.join(tmp.name, 't.json')
        p = run('run', kernel, '--device=rtl', '--stats', '--trace=' + path, *args)
        check(p.returncode == 0, p.stderr)
        with open(path, encoding='utf-8') as f:
            self.events = json.load(f)['traceEvents']
        self.stats = dict(re.findall(r'^stats: (.*?) +([0-9]+) cycles +[0-9.]+ %$', p.stdout, re.M))
        self.cycles = int(re.search(r'stats: ([0-9]+) cycles,', p.stdout)[1])
        self.rows = {e['tid']: e['args']['name'] for e in self.events if e['name'] == 'thread_name'}
        self.slices = [e for e in self.events if e['ph'] == 'X']

    def of(self, category, row=None):
        return [e for e in self.slices if e['cat'] == category and row in (None, self.rows[e['tid']])]


def kernels():
    for config, bus in zip(sys.argv[4::2], sys.argv[5::2]):
        fits = ('-K', 'mt=1') if config.endswith('least.json') else ()
        yield 'gemm.te', ('--vta-config', config, '--rtl-bus=' + bus, *fits)
    yield 'vector_add.te', ()
    yield 'gemm.te', ('--rtl-memory=dram',)
    yield 'conv2d_relu.te', ('-D', 'H=14', '-D', 'W=14', '-K', 'th=7', '-K', 'tw=14')
    yield 'conv2d_relu.te', ('-D', 'H=14', '-D', 'W=14', '-K', 'th=7', '-K', 'tw=14', '--rtl-stalls=30', '--rtl-reorder')


def disjoint(slices, what):
    end, last = 0, None
    for e in sorted(slices, key=lambda e: e['ts']):
        check(e['dur'] > 0, what, 'empty', e)
        check(e['ts'] >= end, what, 'overlap', last, e)
        end, last = e['ts'] + e['dur'], e


def rows_are_sound(t):
    check(len(t.rows) == 12, t.rows)
    for tid, name in t.rows.items():
        row = [e for e in t.slices if e['tid'] == tid]
        work = [e for e in row if e['cat'] != 'wait']
        waits = [e for e in row if e['cat'] == 'wait']
        disjoint(work, name)
        disjoint(waits, name + ' waits')
        for e in waits:  # beside the instructions, or inside one
            for o in work:
                apart = e['ts'] + e['dur'] <= o['ts'] or o['ts'] + o['dur'] <= e['ts']
                inside = o['ts'] <= e['ts'] and e['ts'] + e['dur'] <= o['ts'] + o['dur']
                check(apart or inside, name, e, o)
    check(max(e['ts'] + e['dur'] for e in t.slices) <= t.cycles, 'later than the end')


def flows_have_ends(t):
    ends = collections.defaultdict(dict)
    for e in t.events:
        if e['ph'] in 'sf':
            check(e['ph'] not in ends[e['id']], 'twice', e)
            ends[e['id']][e['ph']] = e
            check(any(s['tid'] == e['tid'] and s['cat'] != 'wait' and s['ts'] <= e['ts'] < s['ts'] + s['dur']
                      for s in t.slices), 'in no slice', e)
    check(ends, 'no tokens')
    for pair in ends.values():
        check(len(pair) == 2 and pair['s']['ts'] < pair['f']['ts'], pair)
    return len(ends)


def instructions_are_there(t, kernel, args):
    listing = run('compile', kernel, '--emit=vta', *[a for a in args if not a.startswith('--rtl')]).stdout
    want = re.findall(r'^ +([0-9]+)  (\w+) +([\w.]+)(.*)$', listing, re.M)
    pops = sum(len(re.findall(r'pop', w[3])) for w in want)
    for category in 'fetch', 'instruction':
        got = sorted(t.of(category), key=lambda e: e['args']['number'])
        check(len(got) == len(want), category, len(got), len(want))
        for e, (number, unit, name, rest) in zip(got, want):
            line = re.search(r'; ([\w.]+:[0-9]+)$', rest)
            check(e['args']['number'] == int(number) and e['name'] == name, e, number, name)
            check(e['args']['line'] == (line[1] if line else '-'), e, rest)
            check(category == 'fetch' or t.rows[e['tid']] == unit, e, unit)
    starts = [e['args']['number'] for e in t.of('start', 'compute: start')]
    check(sorted(starts) == [int(w[0]) for w in want if w[1] == 'compute'], 'starts', starts)
    return pops


def work_is_counted(t):
    for row in 'compute: GEMM', 'compute: ALU':
        for e in t.of('work', row):
            check(e['dur'] >= e['args']['micro-ops'] or 'shares the pass before' in e['args'], e)
    tiles = sum(e['args']['micro-ops'] for e in t.of('work') if 'multiply-accumulates' in e['args'])
    check(tiles == int(t.stats.get('gemm multiplies', 0)), 'tiles', tiles)


def waits_agree(t):
    same = {('load', 'a token of compute'): 'load waits for a token of compute',
            ('compute', 'a token of load'): 'compute waits for a token of load',
            ('compute', 'a token of store'): 'compute waits for a token of store',
            ('compute', 'an older instruction'): 'compute waits for an older instruction',
            ('compute', 'an instruction'): 'compute waits for an instruction',
            ('compute', 'a bank of ACC'): 'alu waits for a bank',
            ('store', 'compute'): 'store waits for compute',
            ('store', 'memory'): 'store waits for memory', ('store', 'the bus'): 'store waits for the bus'}
    for (row, what), counter in same.items():
        n = sum(e['args'].get('waits for ' + what, 0) for e in t.of('instruction', row))
        check(n == int(t.stats.get(counter, 0)), counter, n, t.stats.get(counter))
    slices = collections.Counter()
    for e in t.of('wait'):
        slices[t.rows[e['tid']].removesuffix(': start'), e['name']] += e['dur']
    for (row, name), n in slices.items():
        check(n == int(t.stats[same[row, name.removeprefix('waits for ')]]), row, name, n)


for name, args in kernels():
    @case(name + ' ' + ' '.join(args))
    def _(name=name, args=args):
        kernel = os.path.join(samples, name)
        t = Trace(kernel, *args)
        rows_are_sound(t)
        check(flows_have_ends(t) == instructions_are_there(t, kernel, args), 'tokens')
        work_is_counted(t)
        waits_agree(t)


GEMM = os.path.join(samples, 'gemm.te')


@case('stats name bound, share and lines')
def _():
    out = run('run', GEMM, '--device=rtl', '--stats').stdout
    check(re.search(r'^stats: roofline: bound by reading; [0-9.]+ % of it achieved$', out, re.M), out)
    check(re.search(r'^stats: gemm works in [0-9.]+ % of the cycles', out, re.M), out)
    check(re.search(r'^stats: +[0-9]+ +[0-9]+  load +the bus +gemm.te:[0-9]+  \S', out, re.M), out)
    lines = [int(n) for n in re.findall(r'^stats: +([0-9]+) +[0-9]+  (?:load|compute|store) ', out, re.M)]
    neither = float(re.search(r'neither in ([0-9.]+) %', out)[1]) / 100 * int(re.search(r'([0-9]+) cycles,', out)[1])
    check(lines == sorted(lines, reverse=True) and 0.8 * neither < sum(lines) < 1.01 * neither, lines, neither)


@case('half the bandwidth, twice the cycles')
def _():
    def cycles(*args):
        return int(re.search(r'stats: ([0-9]+) cycles,', run('run', GEMM, '--device=rtl', '--stats', *args).stdout)[1])
    full = cycles()
    check(1.9 * full < cycles('--rtl-bandwidth=50') < 2.1 * full, full)
    check(full < cycles('--rtl-latency=100') < cycles('--rtl-latency=400'))
    check(full < cycles('--rtl-outstanding=1', '--rtl-latency=100'))
    check(full + 1000 < cycles('--rtl-write-latency=2000'))


@case('refused where there are no cycles')
def _():
    for option in '--trace=x.json', '--wave=x.fst', '--rtl-latency=3', '--rtl-memory=dram':
        for device in [], ['--device=fsim']:
            p = run('run', GEMM, *device, option, cwd=tmp.name)
            check(p.returncode == 2 and 'needs `--device=rtl`' in p.stderr, p.stderr)
    p = run('run', GEMM, '--device=rtl', '--interpret', '--trace=x.json', cwd=tmp.name)
    check(p.returncode == 2 and 'exclude each other' in p.stderr, p.stderr)
    host = os.path.join(tmp.name, 'host.te')
    with open(host, 'w', encoding='utf-8') as f:
        f.write('kernel k {\n  input a[i: 16] : int8;\n  output o = a + a;\n}\n')
    p = run('run', host, '--device=rtl', '--trace=x.json', cwd=tmp.name)
    check(p.returncode == 1 and 'nothing for the accelerator' in p.stderr, p.returncode, p.stderr)
    check('x.json' not in os.listdir(tmp.name))


@case('files appear whole or not at all')
def _():
    d = os.path.join(tmp.name, 'full')
    os.mkdir(d)
    p = run('run', GEMM, '--device=rtl', '--trace=/dev/full')
    check(p.returncode == 3 and 'No space left' in p.stderr, p.stderr)
    p = run('run', GEMM, '--device=rtl', '--trace=' + d + '/none/t.json')
    check(p.returncode == 3, p.stderr)
    p = subprocess.run(['sh', '-c', 'trap "" XFSZ; ulimit -f 8; exec "$@"', 'sh', tetc, 'run', GEMM, '--device=rtl',
                        '--trace=' + d + '/t.json'], capture_output=True, text=True)
    check(p.returncode == 3 and 'cannot write' in p.stderr, p.returncode, p.stderr)
    check(os.listdir(d) == [], os.listdir(d))


def wave_blocks(path):
    with open(path, 'rb') as f:
        data = f.read()
    at, blocks = 0, []
    while at < len(data):
        kind, length = data[at], struct.unpack('>Q', data[at + 1:at + 9])[0]
        blocks.append((kind, data[at + 9:at + 1 + length]))
        at += 1 + length
    check(at == len(data), 'a block is cut')
    return blocks


@case('a waveform of all cycles, and its timeline')
def _():
    d = os.path.join(tmp.name, 'wave')
    os.mkdir(d)
    if not has_wave:
        p = run('run', GEMM, '--device=rtl', '--wave=' + d + '/w.fst')
        check(p.returncode == 1 and 'with waveforms' in p.stderr and os.listdir(d) == [], p.stderr)
        return
    p = run('run', GEMM, '--device=rtl', '--stats', '--trace=' + d + '/t.json', '--wave=' + d + '/w.fst', '--check')
    check(p.returncode == 0 and sorted(os.listdir(d)) == ['t.json', 'w.fst'], p.stderr, os.listdir(d))
    blocks = wave_blocks(d + '/w.fst')
    start, end, _, _, _, variables = struct.unpack('>QQdQQQ', blocks[0][1][:48])
    cycles = int(re.search(r'stats: ([0-9]+) cycles,', p.stdout)[1])
    check(blocks[0][0] == 0 and {3, 6} <= {kind for kind, _ in blocks}, [kind for kind, _ in blocks])
    check(struct.unpack('b', blocks[0][1][64:65])[0] == -9, 'the unit is no nanosecond')
    check(start == 0 and 10 * cycles < end < 10 * (cycles + 500) and variables > 1000, start, end, variables, cycles)
    check(os.path.getsize(d + '/w.fst') < 100 * cycles, 'large:', os.path.getsize(d + '/w.fst'))


@case('nothing changes while a clock stands still')
def _():
    # The model with waveforms has no gates: the same cycles and counters say that they hide no change.
    if not has_wave:
        return
    d = os.path.join(tmp.name, 'gates')
    os.mkdir(d)
    for name, args in kernels():
        if any(a.startswith('--vta-config') for a in args):
            continue
        args = ['run', os.path.join(samples, name), '--device=rtl', '--stats', *args]
        with_gates, without = run(*args).stdout, run(*args, '--wave=' + d + '/w.fst').stdout
        check('cycles,' in with_gates and with_gates == without, with_gates, without)


@case('no waveform that is not whole')
def _():
    d = os.path.join(tmp.name, 'cut')
    os.mkdir(d)
    if not has_wave:
        return
    for path in '/dev/full', '-':
        p = run('run', GEMM, '--device=rtl', '--wave=' + path)
        check(p.returncode == 3 and 'only a regular file will do' in p.stderr, p.stderr)
    with open(d + '/w.fst', 'w', encoding='utf-8') as f:
        f.write('before')
    for blocks in 200, 1000:  # of 512 bytes
        p = subprocess.run(['sh', '-c', 'trap "" XFSZ; ulimit -f %d; exec "$@"' % blocks, 'sh', tetc, 'run', GEMM,
                            '--device=rtl', '--wave=' + d + '/w.fst'], capture_output=True, text=True)
        check(p.returncode == 3 and 'cannot write' in p.stderr, p.returncode, p.stderr)
        check(os.listdir(d) == ['w.fst'] and os.path.getsize(d + '/w.fst') == 6, os.listdir(d))


print('1..%d' % len(cases))
for n, (name, f) in enumerate(cases, 1):
    try:
        f()
        print('ok %d - %s' % (n, name))
    except AssertionError as e:
        print('not ok %d - %s\n# %s' % (n, name, str(e).replace('\n', '\n# ')))
