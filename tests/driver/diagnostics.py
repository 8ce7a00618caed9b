#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""diagnostics.py TETC SAMPLES NEGATIVE: how messages look, in every format; that each code which input can raise is raised."""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile

import terminal
from tap import case, end

tetc, samples, negative = (os.path.abspath(a) for a in sys.argv[1:4])
sample = 'conv2d_relu_unmatched.te'

# What the contract shows (DESIGN, "The refusal that matters"), line for line.
GOLDEN = """\
error[E0301]: `relu` is copied out, but it computes: a DMA transfer can only move data
  --> conv2d_relu_unmatched.te:19:12
   |
18 |   output relu[n: 1, o: 2, y: OH, x: OW, b: vta.batch, j: vta.block_out] : int8 =
19 |       int8(max(res[n, o, y, x, b, j], 0));
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this `max` would have to run inside the transfer
...
38 |   relu.dma_copy(y1);                // <- not a copy: max(res, 0)
   |   ----------------- the copy is asked for here
   = the loop nest, at phase inject_copy:
         for y1 in 0..7  for x1 in 0..16  for j in 0..16
           relu[...] = int8(max(res[...], 0))
   = a copy is `dst[affine] = src[affine]`, a cast of it, or `cond ? src : 0`
   = help: give the activation a stage of its own on the VTA ALU, and copy that:
         compute act = max(res, 0);      output relu = int8(act);
         act.set_scope(vta.acc);  act.compute_at(relu, x0);  act.alu();
   = help: or let tetc do it: `relu.legalize_epilogue();`, or `tetc compile --legalize`

"""

# Codes that no kernel alone raises: the files and arguments that do.
RAISED_BY = {
    'E0115': ['check', '@S/gemm.te', '-D', 'Q=1'],
    'E0116': ['opt', 'outside.tir'],
    'E0332': ['opt', '-p', 'inject_alu', 'guard.tir'],
    'E0402': ['compile', '@N/limits/windows.te', '--emit=llvm', '-o', '-'],
    'E0405': ['opt', '-p', 'uop', 'immediate.tir'],
    'E0403': ['check', '@S/gemm.te', '--vta-config', 'bad.json'],
    'E0404': ['check', 'long.te', '--memory-limit=1'],
    'E0502': ['compile', '@S/gemm.te', '-o', 'x.o', 'TETC_LLVM_BACKEND=nowhere.so'],
    'E0503': ['run', '@S/gemm.te', '--device=rtl', '--vta-config', 'odd.json'],
    'E0902': ['compile', '@S/gemm.te', '--verify-each', '--plant-fault=uop:form', '-o', 'x.o'],
    'E0501': ['compile', '@S/gemm.te', '--target=nope', '-o', 'x.o'],
    'E0504': ['compile', 'main.te', '-o', 'x.o'],
    'E0505': ['verify', '@S/gemm.te', '--against=picture.te', '--samples=bad.npy'],
    'E0506': ['tune', '@S/gemm.te', '--schedule=none'],
    'E0601': ['check', 'nothing.te'],
    'E0602': ['run', '@S/vector_add.te', '--input', 'a=bad.npy'],
    'W0001': ['check', 'unused.te'],
    'E0603': ['import', 'bad.npy', '-o', 'x.te'],
    'E0604': ['quantise', 'bytes.te', '--calibrate=bad.npy', '-o', 'x.te'],
    'W0004': ['import', 'nan.onnx', '-o', 'x.te'],
    'W0003': ['run', 'picture.te', '--input', 'a=pixel.png'],
    'W0005': ['check', '@S/gemm.te', '--schedule=auto', '--log=bad.npy'],
    'E0003': ['check', 'deep.te'],
}
FILES = {
    'outside.tir': 'func f(\n  a: int32[4] input,\n  o: int32[4] output\n) {\n  o[9] = a[0];\n}\n',
    'guard.tir': 'func k(\n  c: int8[4, 1, 16] output\n) target vta {\n  alloc t: int32[4, 1, 16] @vta.acc;\n  vta.alu() {\n'
                 '    for m in 0..4 {\n      for j in 0..16 {\n        if (m < 3) {\n          t[m, 0, j] = 1i32;\n        }\n      }\n    }\n'
                 '  }\n}\n',
    'immediate.tir': 'func k(\n  c: int8[4, 1, 16] output\n) target vta {\n  alloc t: int32[4, 1, 16] @vta.acc base=0;\n'
                     '  for m in 0..4 {\n    vta.add(&t[m], 100000);\n  }\n}\n',
    'odd.json': '{"LOG_BATCH": 1, "LOG_BLOCK": 4, "LOG_UOP_BUFF_SIZE": 15, "LOG_INP_BUFF_SIZE": 16, "LOG_WGT_BUFF_SIZE": 18, "LOG_ACC_BUFF_SIZE": 18}',
    'bad.json': '{"LOG_BLOCK": 99}',
    'long.te': 'kernel k { input s0[i: 8] : int32;' + ''.join('compute s%d = s%d + 1;' % (i, i - 1) for i in range(1, 3000)) +
               'output o = s2999; }',
    'main.te': 'kernel main { input a[m: 4] : int32; output o = a + 1; }',
    'bad.npy': 'no',
    'picture.te': 'kernel k { input a[y: 2, x: 2] : uint8; output o = a; }',
    # a + [nan, 1]
    'nan.onnx': base64.b64decode('CAcSADpICg4KAWEKAWISAW8iA0FkZBIBZyoRCAIQASIIAADAfwAAgD9CAWJaDwoBYRIKCggIARIECgIIAmIPCgFvEgoKCAgBEgQKAggCQgQKABAN'),
    'bytes.te': 'kernel k { input a[m: 4] : int8; output o = a; }',
    'pixel.png': base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='),
    'unused.te': 'kernel k { input a[m: 4] : int32; output o = a + 1; } schedule k { knob t = 2 in [2, 4]; }',
    'deep.te': 'kernel k { input a[m: 4] : int32; output o[m: 4] : int32 = ' + '(' * 30000 + 'a[m]' + ')' * 30000 + '; }',
}
# What no input raises.
NOT_BY_INPUT = {'E0901': 'our mistake'}


def run(args, cwd, **env):
    e = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'TERM')}
    p = subprocess.run([tetc] + args, cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=dict(e, **env))
    return p.stderr


def looks():
    text = run(['compile', sample], samples)
    case('E0301, line for line', text != GOLDEN and text)
    lines = [json.loads(line) for line in run(['compile', sample, '--diagnostics=json'], samples).splitlines()]
    case('JSON carries the same text', ''.join(m['rendered'] for m in lines) != GOLDEN)
    color = terminal.on_terminal([tetc, 'compile', sample], 100, samples, LC_ALL='C', TERM='xterm')
    case('colours on a terminal', '\033[' not in color)
    bare = re.sub(r'\033\[[0-9;]*m', '', color)
    case('which change nothing else', bare != GOLDEN and bare)
    case('none with NO_COLOR', '\033' in terminal.on_terminal([tetc, 'compile', sample], 100, samples, LC_ALL='C', TERM='xterm', NO_COLOR='1'))
    case('none on a dumb terminal', '\033' in terminal.on_terminal([tetc, 'compile', sample], 100, samples, LC_ALL='C', TERM='dumb'))
    case('none in a file', '\033' in text)
    narrow = terminal.on_terminal([tetc, 'compile', sample], 60, samples, LC_ALL='C', TERM='dumb')
    notes = [line for line in narrow.splitlines() if line.startswith('   = a copy') or line.startswith('     ') or line.startswith('   = help')]
    notes = [line for line in notes if not line.startswith('         ')]  # code is not wrapped
    case('notes are wrapped to the width', [line for line in notes if len(line) > 60] and narrow)
    case('a narrow terminal loses no word', [w for w in ('DMA', 'legalize_epilogue', 'transfer') if w not in narrow])


# The part of SARIF 2.1.0's schema that tetc uses: what each object must have, and what else it may have. A list has items of a kind.
SARIF = {
    'log': ({'version': str, 'runs': ['run']}, {'$schema': str}),
    'run': ({'tool': 'tool'}, {'results': ['result'], 'columnKind': str, 'properties': dict}),
    'tool': ({'driver': 'component'}, {}),
    'component': ({'name': str}, {'version': str, 'rules': ['rule']}),
    'rule': ({'id': str}, {'shortDescription': 'text'}),
    'text': ({'text': str}, {}),
    'result': ({'message': 'text'}, {'ruleId': str, 'ruleIndex': int, 'level': str, 'locations': ['location'],
                                     'relatedLocations': ['location'], 'fixes': ['fix']}),
    'location': ({}, {'id': int, 'physicalLocation': 'place', 'message': 'text'}),
    'place': ({'artifactLocation': 'artifact'}, {'region': 'region'}),
    'artifact': ({'uri': str}, {}),
    'region': ({}, {'startLine': int, 'startColumn': int, 'endLine': int, 'endColumn': int, 'byteOffset': int, 'byteLength': int}),
    'fix': ({'artifactChanges': ['change']}, {'description': 'text'}),
    'change': ({'artifactLocation': 'artifact', 'replacements': ['replacement']}, {}),
    'replacement': ({'deletedRegion': 'region'}, {'insertedContent': 'text'}),
}


def sarif_problem(value, kind, where='log'):
    """What breaks the schema; '' if nothing does."""
    if isinstance(kind, list):
        if not isinstance(value, list):
            return where + ' is no list'
        return next(filter(None, (sarif_problem(v, kind[0], '%s[%d]' % (where, i)) for i, v in enumerate(value))), '')
    if not isinstance(kind, str):
        return '' if isinstance(value, kind) else '%s is no %s' % (where, kind)
    must, may = SARIF[kind]
    if not isinstance(value, dict) or set(must) - set(value) or set(value) - set(must) - set(may):
        return '%s is no %s: %s' % (where, kind, value)
    if kind == 'region' and [k for k, v in value.items() if v < (0 if k.startswith('byte') else 1)]:
        return '%s: %s' % (where, value)
    for key, inner in {**must, **may}.items():
        if key in value:
            bad = sarif_problem(value[key], inner, '%s.%s' % (where, key))
            if bad:
                return bad
    return ''


def sarif_everywhere():
    bad, seen = [], 0
    for here, name in kernels(negative):
        text = run(['check', name, '--diagnostics=sarif', '--remarks'], here)
        if text:
            seen += 1
            bad.append(sarif_problem(json.loads(text), 'log', name))
    case('SARIF has the form of its schema (%d logs)' % seen, '\n'.join(filter(None, bad)) or seen < 120 and seen)


def sarif():
    log = json.loads(run(['compile', sample, '--diagnostics=sarif'], samples))
    driver = log['runs'][0]['tool']['driver']
    version = subprocess.run([tetc, '--version'], capture_output=True, text=True).stdout.split('\n')[0]
    case('SARIF names the tool and its version', version != '%s %s' % (driver['name'], driver['version']) and version)
    results = log['runs'][0]['results']
    case('each result has a rule', [r for r in results if driver['rules'][r['ruleIndex']]['id'] != r['ruleId']])
    fix = results[0]['fixes'][0]['artifactChanges'][0]['replacements'][0]
    case('and its remedy', fix['insertedContent']['text'] != '; relu.legalize_epilogue()' and fix)


def has_remedy(message):
    return bool(message['fixes']) or any(c['kind'] == 'help' for c in message['children'])


def raised(args, cwd, **env):
    lines = run(args + ['--diagnostics=json'], cwd, **env).splitlines()
    found = [json.loads(line) for line in lines if line.startswith('{"code"')]
    for m in found:
        if m['severity'] == 'error' and not has_remedy(m):
            case(m['code'] + ' has a remedy', m['message'])
    return {m['code'] for m in found}


def kernels(root):
    for here, dirs, names in os.walk(root):
        dirs.sort()
        for name in sorted(names):
            if name.endswith('.te') and not name.endswith('.inc.te'):
                yield here, name


told = {}


def messages_of(here, name):
    """What `check` tells of a kernel; each is run once."""
    path = os.path.join(here, name)
    if path not in told:
        told[path] = [json.loads(line) for line in run(['check', name, '--diagnostics=json'], here).splitlines()
                      if line.startswith('{"code"')]
    return told[path]


def schedule_lines(path):
    """The numbers of the lines that stand inside a `schedule` block."""
    inside, depth, lines = False, 0, set()
    for number, line in enumerate(open(path, encoding='utf-8', errors='replace'), 1):
        inside = inside or bool(re.match(r'\s*(?:kernel .*\} *)?schedule\b', line)) or ' schedule ' in line
        if inside:
            lines.add(number)
            depth += line.count('{') - line.count('}')
            inside = depth > 0
    return lines


def lacking(message, path):
    """What a pass's refusal does not tell; nothing: it tells all."""
    kinds = {c['kind'] for c in message['children']}
    lack = [k for k in ('nest', 'rule') if k not in kinds]
    if not [s for s in message['spans'] if s['primary'] and s['byte_end'] > s['byte_start']]:
        lack.append('span')
    if not has_remedy(message):
        lack.append('help')
    if not [s for s in message['spans'] if s['label'] and not s['primary'] and s['line_start'] in schedule_lines(path)]:
        lack.append('schedule statement')
    return lack


# Codes that only passes give; E0405 too, but it needs no schedule in TIR written by hand.
OF_PASSES = re.compile(r'E03\d\d|E040[15]')


def schedules():
    """Every refusal of a schedule tells its statement and a remedy."""
    bad, seen = [], 0
    for here, name in kernels(negative):
        for m in messages_of(here, name):
            if not re.match(r'E02', m['code'] or ''):
                continue
            seen += 1
            if not has_remedy(m):
                bad.append('%s: %s: no help' % (name, m['message']))
            if not [s for s in m['spans'] if s['line_start'] in schedule_lines(os.path.join(here, name))]:
                bad.append('%s: %s: no schedule statement' % (name, m['message']))
    case('refusals of schedules tell the statement and a remedy (%d)' % seen, '\n'.join(bad) or seen < 30 and seen)


def refusals():
    """Every refusal of every pass tells its place, who asked, the nest, the rule and a remedy."""
    found = {}
    for here, name in kernels(negative):
        for m in messages_of(here, name):
            if OF_PASSES.match(m['code'] or ''):
                bad = ['%s: %s: no %s' % (name, m['message'], x) for x in lacking(m, os.path.join(here, name))]
                found.setdefault(m['code'], []).extend(bad)
    for code, bad in sorted(found.items()):
        case(code + ' tells span, schedule statement, nest, rule and remedy', '\n'.join(bad))


def remedies():
    """Every error has a remedy; those of schedules and passes one of their own, which the two tests above see."""
    bad, seen = [], 0
    for here, name in kernels(negative):
        for m in messages_of(here, name):
            seen += m['severity'] == 'error'
            if m['severity'] == 'error' and not has_remedy(m):
                bad.append('%s: %s' % (name, m['message']))
    case('every error has a remedy (%d)' % seen, '\n'.join(bad) or seen < 200 and seen)
    table = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../src/base/diag_codes.def')).read()
    rows = re.findall(r'DIAG\(\w+, "(E\d+)", .*,\s*"(.*)"\)', table)
    own = re.compile(r'E02|E03|E040[125]')
    case('where a code has no remedy in general, each of its errors is tested for its own',
         [code for code, general in rows if bool(own.match(code)) == bool(general)] or len(rows) < 50 and len(rows))


def names():
    """No message speaks of a loop that the program does not have, as a pass may number those that it makes. (The nest is TIR.)"""
    bad, seen = [], 0
    for here, name in kernels(negative):
        source = open(os.path.join(here, name), encoding='utf-8', errors='replace').read()
        for m in messages_of(here, name):
            texts = [m['message']] + [s['label'] or '' for s in m['spans']] + [c['message'] for c in m['children']
                                                                               if c['kind'] in ('note', 'rule')]
            for word in re.findall(r'\w+', ' '.join(re.findall(r'`[^`]*`', ' '.join(texts)))):
                seen += 1
                if re.search(r'_\d+$', word) and not re.search(r'\b%s\b' % word, source):
                    bad.append('%s: %s: `%s`' % (name, m['message'], word))
    case('messages name what the source has', '\n'.join(bad) or seen < 500 and seen)


def codes():
    have = set()
    for here, name in kernels(negative):
        have |= {m['code'] for m in messages_of(here, name)}
    with tempfile.TemporaryDirectory() as d:
        for name, text in FILES.items():
            with open(os.path.join(d, name), 'wb') as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        for code, args in sorted(RAISED_BY.items()):
            env = dict(a.split('=', 1) for a in args if a.startswith('TETC_'))
            got = raised([a.replace('@S', samples).replace('@N', negative) for a in args if not a.startswith('TETC_')], d, **env)
            case(code + ' is raised by ' + ' '.join(args), code not in got and 'it raised %s' % sorted(got))
            have |= got
    listed = subprocess.run([tetc, 'explain'], capture_output=True, text=True).stdout
    known = {line.split()[0] for line in listed.splitlines()}
    lacking = {c for c in known if c[0] == 'E'} - have - set(NOT_BY_INPUT)
    case('every code that input raises has a test', sorted(lacking))
    case('none that is excused is raised', sorted(have & set(NOT_BY_INPUT)))
    for code in sorted(known):
        page = subprocess.run([tetc, 'explain', code], capture_output=True, text=True).stdout
        case(code + ' is explained', len(page.split('\n', 1)[1].strip()) < 60 and page)


looks()
sarif()
sarif_everywhere()
refusals()
schedules()
remedies()
names()
codes()
end()
