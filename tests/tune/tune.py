#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tune.py TETC ROOT: what `tetc tune` finds is what a run of each candidate finds; logs go on where they end, whatever was written to them;
candidates that are wrong, crash or hang cost themselves; a plan of a log is used, or ignored with a word."""
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../driver'))
from tap import case, end  # noqa: E402

tetc, root = (os.path.abspath(a) for a in sys.argv[1:3])
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)


def write(name, text):
    with open(name, 'w') as f:
        f.write(text)
    return name


def read(name):
    with open(name) as f:
        return f.read()


def run(*args):
    p = subprocess.run([tetc, *args], capture_output=True, text=True, timeout=100)
    return p.returncode, p.stdout, p.stderr


def has(what, status, *texts):
    """What is wrong with the result of a run, if anything."""
    all_of = what[1] + what[2]
    lacks = [t for t in texts if not re.search(t, all_of)]
    return (what[0] != status or lacks) and f'status {what[0]}, lacks {lacks}:\n{all_of}'


def lines(name):
    return [json.loads(line) for line in read(name).splitlines()]


def log(name, entries):
    return write(name, ''.join(json.dumps(e) + '\n' for e in entries))


ADD = write('add.te', '''target vta;
kernel add {
  input a[m: 64, b: vta.batch, j: vta.block_out] : int32;
  compute s = a + 1;
  output o = int8(s);
}
schedule add {
  knob mt = 4 in [4, 16, 64, 0];
  knob vt = 1 in [1, 2];
  m0, m1 = o.split(m, factor = mt);
  t0, t1 = o.split(m0, nparts = vt);
  o.bind(t0, cthread);
  s.set_scope(vta.acc);
  s.compute_at(o, t1);
  s.alu();
  o.dma_copy();
  abuf = a.cache_read(vta.acc, s);
  abuf.compute_at(o, t1);
  abuf.dma_copy();
}
''')


def cycles(file, *args):
    p = run('run', file, '--device=model', '--stats', *args)
    found = re.search(r'stats: (\d+) cycles', p[1])
    return int(found[1]) if p[0] == 0 and found else None


# ---- values of knobs: each of the product, as single runs have it
wanted = {}
for mt, vt in itertools.product((4, 16, 64, 0), (1, 2)):
    wanted[f'mt={mt} vt={vt}'] = cycles(ADD, '-K', f'mt={mt}', '-K', f'vt={vt}')
good = {k: v for k, v in wanted.items() if v}
case('some values can be run, some cannot', not 2 < len(good) < len(wanted) and wanted)
first = run('tune', ADD, '--device=model', '--log=add.jsonl')
results = {e['plan']: e.get('cycles') for e in lines('add.jsonl')}
case('every candidate has the cycles of a run', results != wanted and (results, wanted))
best = min(good, key=good.get)
name = '-K ' + best.replace(' ', ' -K ')
case('the best is told', has(first, 0, f'8 values of knobs, on model: {len(good)} measured, {len(wanted) - len(good)} failed\n',
                             f'tune: best: {name}: {good[best]} cycles; with the values it has {good["mt=4 vt=1"]} cycles',
                             f'measured again: {good[best]} cycles', r'tune: failed, \d of them: '))
fields = {'schema', 'tetc', 'kernel', 'hash', 'hardware', 'flags', 'device', 'plan'}
case('a line says of what it is', [e for e in lines('add.jsonl') if not fields < set(e) or len(set(e) - fields) != 1 or e['kernel'] != 'add'])
case('a failure has its reason', [e for e in lines('add.jsonl') if 'cycles' not in e and len(e['failed']) < 10])


def told(p):
    """Without what a log changes."""
    return re.sub(r'; \d+ of these are from `.*?`', '', p[1])


# ---- the log
again = run('tune', ADD, '--device=model', '--log=add.jsonl')
case('a second time all is from the log', has(again, 0, '; 8 of these are from `add.jsonl`') or len(lines('add.jsonl')) != 8 or told(again) != told(first))
for jobs in ('1', '5'):
    p = run('tune', ADD, '--device=model', '--jobs=' + jobs, '--log=jobs.jsonl')
    case(f'{jobs} at a time: the same', p[1] != first[1] or sorted(read('jobs.jsonl').splitlines()) != sorted(read('add.jsonl').splitlines()))
    os.remove('jobs.jsonl')
half = lines('add.jsonl')[:4]
log('half.jsonl', half)
case('it goes on from there', has(run('tune', ADD, '--device=model', '--log=half.jsonl'), 0, '; 4 of these') or
     sorted(read('half.jsonl').splitlines()) != sorted(json.dumps(e, separators=(',', ':')) if e not in half else json.dumps(e) for e in lines('add.jsonl')))
write('cut.jsonl', read('add.jsonl')[:-25])
cut = run('tune', ADD, '--device=model', '--log=cut.jsonl')
case('a last line that is not whole', has(cut, 0, r'W0005\]: lines of `cut.jsonl` are ignored, as they are no results: 1, the first is line 8', '; 7 of these') or
     told(cut) != told(first))
case('what is added stands behind it', json.loads(read('cut.jsonl').splitlines()[-1]) not in lines('add.jsonl') or len(read('cut.jsonl').splitlines()) != 9)
garbage = ['', 'x', '[]', '{}', '{"schema": 1}', '{"schema": "1"}', '\x00', '[' * 5000, '{"a":1,"a":2}', 'é', '1e999']
for key, value in (('cycles', -5), ('cycles', 0), ('cycles', '7'), ('cycles', 1e300), ('cycles', 7.5), ('device', 'fsim'), ('plan', 3), ('hash', None), ('seconds', 1.0)):
    garbage.append(json.dumps(dict(half[0], **{key: value})))
write('bad.jsonl', '\n'.join(garbage) + '\n' + ''.join(json.dumps(e) + '\n' for e in half))
case('lines that are none', has(run('tune', ADD, '--device=model', '--log=bad.jsonl'), 0, f'no results: {len(garbage) - 1}, the first is line 2', '; 4 of these'))
for name, change, word in (('another version', {'tetc': '0.0.9 00'}, 'were written by another version of tetc: 8'),
                           ('another schema', {'schema': 2}, 'were written by another version of tetc: 8'),
                           ('other hardware', {'hardware': 'VTA 1x32x32'}, 'for other hardware, or other options: 8'),
                           ('other options', {'flags': '-K q=1'}, 'for other hardware, or other options: 8')):
    log('other.jsonl', [dict(e, **change) for e in lines('add.jsonl')])
    p = run('tune', ADD, '--device=model', '--log=other.jsonl')
    case(f'a log of {name}', has(p, 0, 'W0005', word) or 'of these' in p[1] or p[1] != first[1])
p = run('tune', ADD, '--device=model', '--rtl-bus=128', '--log=add.jsonl')
case('of another bus', has(p, 0, 'for other hardware, or other options: 8') or 'of these' in p[1] or len(lines('add.jsonl')) != 16)
log('another.jsonl', [dict(e, hash='0' * 64) for e in half])
case('of another kernel: no word', (lambda p: p[2] or p[1] != first[1])(run('tune', ADD, '--device=model', '--log=another.jsonl')))
case('a comment changes nothing', has(run('tune', write('more.te', '// A comment.\n' + read(ADD)), '--device=model', '--log=add.jsonl'), 0, '; 8 of these'))
case('another schedule does', (lambda p: p[0] or 'of these' in p[1])(
    run('tune', write('less.te', read(ADD).replace('  abuf.dma_copy();\n', '  abuf.dma_copy(); s.no_op();\n').replace(' s.no_op();', '').replace('in [1, 2]', 'in [1, 2, 4]')),
        '--device=model', '--log=add.jsonl')))
wrong = [dict(e) for e in lines('add.jsonl') if 'rtl' not in e['hardware']][:8]
for e in wrong:
    if e.get('cycles') and e['plan'] == 'mt=4 vt=1':
        e['cycles'] = 1
log('wrong.jsonl', wrong)
case('a log that is wrong about the best', has(run('tune', ADD, '--device=model', '--log=wrong.jsonl'), 0, 'the log is wrong about 1 of the best',
                                               f'best: -K {best.replace(" ", " -K ")}: {good[best]} cycles'))
case('a log that is no file', has(run('tune', ADD, '--device=model', '--log=.'), 3, 'cannot read `.`'))

# ---- replay
p = run('tune', ADD, '--device=model', '--replay=wrong.jsonl')
case('a replay measures nothing', has(p, 0, 'best: -K mt=4 -K vt=1: 1 cycles') or 'again' in p[1])
log('rest.jsonl', [e for e in lines('add.jsonl')[:8] if e['plan'] != best])
p = run('tune', ADD, '--device=model', '--replay=rest.jsonl')
second = min(v for k, v in good.items() if k != best)
case('what it has not is not known', has(p, 0, 'tune: the log has nothing of 1\n', f'{second} cycles', 'the best of the log takes'))
log('other.jsonl', [dict(e, tetc='0.0.9 00') for e in lines('add.jsonl')[:8]])
case('another version is replayed, with a word', has(run('tune', ADD, '--device=model', '--replay=other.jsonl'), 0, 'W0005',
                                                     'are used that were written by another version of tetc: 8', f'{good[best]} cycles'))
case('nothing to replay', has(run('tune', ADD, '--device=model', '--replay=' + write('empty.jsonl', '')), 1, 'E0506', 'that the log has', '--log=FILE'))
case('no log to replay', has(run('tune', ADD, '--device=model', '--replay=nowhere.jsonl'), 3, 'cannot read `nowhere.jsonl`'))

# ---- the best as a program
case('-o writes the values', has(run('tune', ADD, '--device=model', '--log=add.jsonl', '-o', 'best.te'), 0) or cycles('best.te') != good[best] or
     re.sub(r'(knob \w+ =) \d+', r'\1', read('best.te')) != re.sub(r'(knob \w+ =) \d+', r'\1', read(ADD)))

# ---- plans
CONV = write('conv.te', '''target vta;
import "nn.te";
kernel conv {
  input data[n: 1, c: 32, y: 14, x: 14] : int8;
  input weights[o: 32, c: 32, r: 3, s: 3] : int8;
  output result[n: 1, o: 32, y: 14, x: 14] : int8 =
    int8(clamp(conv2d(data, weights, pad = 1)[n, o, y, x] >> 8, -128, 127));
}
''')
p = run('tune', CONV, '--plan-effort=5', '--device=model', '--log=conv.jsonl')
plans = lines('conv.jsonl')
planned = run('plan', CONV, '--schedule-only')[1]
case('plans are measured', has(p, 0, 'conv: 5 plans, on model: 5 measured, 0 failed') or len({e['plan'] for e in plans}) != 5)
case('the first is what `plan` prints', planned not in [e['plan'] for e in plans])
for e in plans:
    write('one.te', read(CONV) + e['plan'])
    case('as a text: the same cycles', cycles('one.te') != e['cycles'] and (cycles('one.te'), e))
best_plan = min(e['cycles'] for e in plans)
case('the best is printed', has(p, 0, f'best: .*: {best_plan} cycles') or p[1][p[1].index('schedule conv {'):] not in [e['plan'] for e in plans if e['cycles'] == best_plan])
run('tune', CONV, '--plan-effort=5', '--device=model', '--log=conv.jsonl', '-o', 'out.te')
case('-o has it in place', cycles('out.te') != best_plan)
case('the kernel without VTA has no cycles', has(run('tune', write('host.te', 'kernel k { input a[i: 64] : float32; output o = exp(a); }'), '--device=model'),
                                                 1, 'E0506', 'nothing for VTA to do', '--device=host'))
case('and no plans', has(run('tune', 'host.te'), 1, 'E0506', 'no part of `k` is planned for VTA', 'write a schedule with knobs'))

# ---- plans of a log
favourite = next(e for e in plans if e['plan'] != planned)


def uses(name, entries, plan, *texts):
    log('use.jsonl', entries)
    p = run('plan', CONV, '--schedule-only', '--log=use.jsonl', '--remarks')
    case(name, has(p, 0, *texts) or p[1] != plan and p[1])


uses('the best of a log is used', [dict(e, cycles=10 + (e is not favourite)) for e in plans], favourite['plan'], 'has the plan of line')
uses('the core goes before the model', [dict(e, cycles=10 + (e is not favourite), device='rtl' if e is favourite else 'model') for e in plans] +
     [dict(plans[-1], cycles=1)], favourite['plan'], 'cycles, on rtl')
uses('a log without it', [dict(e, hash='0' * 64) for e in plans], planned)
uses('of another version', [dict(e, tetc='1') for e in plans], planned, 'another version')
uses('of other hardware', [dict(e, hardware='VTA') for e in plans], planned, 'other hardware')
for name, text in (('no schedule', 'x'), ('an empty plan', ''), ('of another kernel', 'schedule other { }'), ('that does not compile', 'schedule conv { nothing.alu(); }'),
                   ('with a kernel', favourite['plan'] + 'kernel more { input a[i: 4] : int32; output o = a; }'),
                   ('that changes the kernel', 'schedule conv { } param n = 3;'), ('with an import', favourite['plan'] + 'import "vta.te";'),
                   ('two schedules', favourite['plan'] + 'schedule conv : other { }'), ('a comment that is open', favourite['plan'] + '/*')):
    uses('a plan: ' + name, [dict(favourite, plan=text, cycles=3)], planned, 'W0005', 'line 1 of `use.jsonl` is ignored: its plan does not fit `conv`')
log('use.jsonl', [dict(e, cycles=10 + (e is not favourite)) for e in plans])
case('run plans by it, too', cycles(CONV, '--log=use.jsonl', '--check') != favourite['cycles'])
case('a schedule of the text stays', has(run('check', 'out.te', '--log=use.jsonl', '--remarks'), 0) or
     'has the plan of line' in run('check', 'out.te', '--log=use.jsonl', '--remarks')[2])
case('a log that is not there', has(run('plan', CONV, '--log=nowhere.jsonl'), 3, 'cannot read `nowhere.jsonl`'))

# ---- candidates that fail
for fault, word in (('inject_copy:index', 'its output is wrong: o: '), ('uop:crash', 'it crashed: '), ('uop:hang', 'it took longer than 1 s')):
    p = run('tune', write('few.te', read(ADD).replace('[4, 16, 64, 0]', '[4, 16]')), '--device=model', f'--plant-fault={fault}', '--time-limit=1', '--jobs=4')
    case(f'{fault}', has(p, 1, r'0 measured, 4 failed', r'tune: failed, \d of them: ' + word, 'E0506', 'all candidates failed'))


def interrupted(*args):
    with subprocess.Popen([tetc, 'tune', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        time.sleep(1)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        return p.returncode, out, err


log('some.jsonl', [dict(e, flags=' --plant-fault=uop:hang') for e in lines('add.jsonl')[:8] if e['plan'] != best])
p = interrupted(ADD, '--device=model', '--plant-fault=uop:hang', '--log=some.jsonl', '-o', 'far.te')
case('Ctrl-C keeps the best so far', has(p, 0, r'tune: ended early: 1 are not measured, and this is the best so far\n', f'{second} cycles') or cycles('far.te') != second)
p = interrupted(ADD, '--device=model', '--plant-fault=uop:hang')
case('Ctrl-C before there is one', has(p, 1, 'before it ended', '--log=FILE'))

# ---- the host
HOST = write('host.te', '''kernel k { input a[i: 64, j: 64] : float32; output o = exp(a) + 1.0; }
schedule k { knob t = 8 in [8, 16]; j0, j1 = o.split(j, factor = t); }
''')
p = run('tune', HOST, '--bench=0.01', '--log=host.jsonl')
case('the host is timed', has(p, 0, '2 values of knobs, on host: 2 measured, 0 failed', r'tune: measured again, in turns: [\d.]+ us, the next best [\d.]+ us\n',
                              r'tune: the same against itself differs by [\d.]+ %'))
case('in seconds', [e for e in lines('host.jsonl') if not (0 < e['low'] <= e['seconds'] <= e['high'] < 1 and e['samples'] > 0 and e['device'] == 'host')])
case('the log is of this machine', has(run('tune', HOST, '--bench=0.01', '--log=' + log('away.jsonl', [dict(e, hardware='PDP-11') for e in lines('host.jsonl')])), 0,
                                       'for other hardware, or other options: 2'))
case('a kernel with VTA is not', has(run('tune', ADD, '--device=host', '--bench=0.01'), 1, 'it has instructions for VTA'))

# ---- what it is told
write('two.te', 'kernel a { input x[i: 4] : int32; output o = x; }\nkernel b { input x[i: 4] : int32; output o = x; }\n')
write('plain.te', 'kernel k { input a[i: 64] : float32; output o = exp(a); }\nschedule k { }\n')
case('several kernels', has(run('tune', 'two.te'), 1, 'E0506', '`two.te` has 2 kernels', '--kernel=NAME'))
case('a schedule without knobs', has(run('tune', 'plain.te'), 1, 'E0506', 'the schedule of `k` has no knobs\n', '--schedule=auto'))
case('the default order', has(run('tune', ADD, '--schedule=none'), 1, 'E0506', 'the default order of `add` has nothing to choose', 'without `--schedule=none`'))
case('all knobs are set', has(run('tune', HOST, '-K', 't=8'), 1, 'E0506', 'no knobs but those that -K sets', 'leave out a -K'))
write('away.te', f'import "{folder.name}/out.te";\n')
case('scheduled in an imported file', has(run('tune', 'away.te', '--kernel=conv', '--schedule=auto'), 1, 'scheduled in an imported file|no kernel'))
for args, word in ((['--device=fsim'], 'has no cycles'), (['--jobs=0'], '1 to 256'), (['--jobs=2', '--device=host'], 'slow each other down'),
                   (['--time-limit=0'], '1 to 86400 seconds'), (['--replay=a', '--log=b'], 'exclude each other'), (['--replay=a', '--jobs=2'], 'exclude each other'),
                   (['--bench=1', '--device=rtl'], 'times this machine')):
    case(' '.join(args), has(run('tune', ADD, *args), 2, word))
case('run has no host', has(run('run', ADD, '--device=host'), 2, 'tetc run --bench'))
end()
