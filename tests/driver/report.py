#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py TETC [rtl]: `tetc plan --report` in its three forms says what `tetc run --stats` counts, layer by layer."""
import csv
import html.parser
import io
import json
import os
import re
import subprocess
import sys
import tempfile

from tap import case, end

tetc = os.path.abspath(sys.argv[1])
rtl = 'rtl' in sys.argv[2:]
TWO = '''target vta;
import "nn.te";
kernel two {
  input d[n: 1, c: 16, y: 12, x: 14] : int8;
  input w[o: 32, c: 16, dy: 3, dx: 3] : int8;
  input v[o: 16, c: 32, dy: 1, dx: 1] : int8;
  compute a = int8(clamp(conv2d(d, w, pad = 1) >> 8, 0, 127));
  compute b = int8(clamp(conv2d(a, v) >> 7, 0, 127));
  output mean[n: 1, c: 16] : float32 = sum[y: 12, x: 14](float32(b[n, c, y, x])) / 168.0;
}
'''
HOST = 'kernel host { input a[x: 8] : float32; compute b = a * 2.0; output c[x: 8] : float32 = b[7 - x]; }\n'


def run(text, *args):
    with open('k.te', 'w') as f:
        f.write(text)
    return subprocess.run([tetc, *args, 'k.te'] if args[0] != 'plan' else [tetc, 'plan', 'k.te', *args[1:]],
                          capture_output=True, text=True, timeout=120)


def stats(*device):
    p = run(TWO, 'run', '--stats', *device)
    said = re.search(r'stats: (\d+) cycles', p.stdout)
    return int(said.group(1)) if said else p.stderr


def read(name):
    with open(name) as f:
        return f.read()


class Page(html.parser.HTMLParser):
    """The rows of the table, the addresses that the page has, and its open elements."""
    def __init__(self):
        super().__init__()
        self.rows, self.links, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ('href', 'src')]
        if tag not in ('meta', 'rect', 'br'):
            self.open.append(tag)
        if tag == 'tr':
            self.rows.append('')

    def handle_endtag(self, tag):
        if tag not in ('rect',) and self.open.pop() != tag:
            self.links.append('broken: ' + tag)

    def handle_data(self, data):
        if 'tr' in self.open:
            self.rows[-1] += data + '|'


def forms(*device):
    what = ' '.join(device) or 'model'
    for suffix in ('html', 'csv', 'json'):
        p = run(TWO, 'plan', '--report=r.' + suffix, *device)
        case(f'{what}: {suffix}', p.returncode and p.stderr)
    total = stats(*(device or ['--device=model']))
    report = json.loads(read('r.json'))
    layers = report['layers']
    vta = [x for x in layers if x['where'] == 'VTA']
    rows = list(csv.DictReader(io.StringIO(read('r.csv'))))
    case(f'{what}: the schema has a version', report['schema'] != 'tetc-report-1')
    case(f'{what}: the cycles are those of --stats', report['cycles'] != total and (report['cycles'], total))
    case(f'{what}: the layers add up', sum(x['cycles'] for x in vta) != total and vta)
    case(f'{what}: each begins where the one before ends', [x['begin'] for x in vta] != [0, vta[0]['cycles']])
    case(f'{what}: layers are those of the program', [x['stage'] for x in vta] != ['a', 'b'] and layers)
    # 12 * 14 points, 32 results of 16 * 9 and 16 of 32 terms
    case(f'{what}: multiplications', [x['macs'] for x in vta] != [168 * 32 * 144, 168 * 16 * 32] and vta)
    case(f'{what}: bytes written', [x['bytes_written'] for x in vta] != [168 * 32, 168 * 16] and vta)
    # the text may put loads and stores of a layer in more than one way: not less than once each
    case(f'{what}: bytes read', not all(x['bytes_read'] >= n for x, n in zip(vta, (168 * 16 + 32 * 144, 168 * 32 + 16 * 32))) and vta)
    case(f'{what}: no layer is faster than its bound', [x for x in vta if x['bound_cycles'] > x['cycles']])
    case(f'{what}: what stays with the CPU is there, and why', not [x for x in layers if x['where'] == 'CPU' and x['stage'] == 'mean' and x['why']])
    case(f'{what}: .csv says the same', [(r['stage'], r['where'], r['why'], int(r['line']), r['shape'], int(r['cycles'])) for r in rows] !=
         [(x['stage'], x['where'], x['why'], x['line'], x['shape'], x.get('cycles', 0)) for x in layers] and rows)
    case(f'{what}: the line is the stage\'s', [TWO.split('\n')[x['line'] - 1].split()[1] for x in vta] != ['a', 'b'])
    page = Page()
    page.feed(read('r.html'))
    case(f'{what}: the page is whole, and needs nothing', page.links or page.open)
    case(f'{what}: with a row for each layer', len(page.rows) != len(layers) + 2 and page.rows)
    case(f'{what}: and its cycles', [x for x in vta if not any(r.startswith(x['stage'] + '|') and f"|{x['cycles']:,}|" in r for r in page.rows)])
    again = read('r.html')
    run(TWO, 'plan', '--report=r.html', *device)
    case(f'{what}: the same again', again != read('r.html'))


def corners():
    p = run(TWO, 'plan', '--report=r.json', '-o', 'planned.te')
    case('-o writes the program, too', 'schedule two {' not in read('planned.te') or 'mean' not in p.stdout)
    case('a program with a schedule is reported as it is', run(read('planned.te'), 'plan', '--report=s.json').returncode)
    case('to the same effect', json.loads(read('r.json'))['cycles'] != json.loads(read('s.json'))['cycles'])
    p = run(HOST, 'plan', '--report=h.json')
    h = json.loads(read('h.json'))
    case('a program of the CPU alone', p.returncode or h['cycles'] or [x['stage'] for x in h['layers']] != ['b', 'c'])
    case('has a page', run(HOST, 'plan', '--report=h.html').returncode)
    for text, args, said in ((TWO, ['--report=r.txt'], '.html, .csv or .json'), (TWO, ['--report=r.csv', '--schedule-only'], 'contradict'),
                             (TWO, ['--device=model'], 'is for `--report`'), (TWO, ['--report=r.csv', '--device=fsim'], '`model` or `rtl`'),
                             (TWO + HOST, ['--report=r.csv'], '2 kernels')):
        p = run(text, 'plan', *args)
        case(' '.join(args) + ' is refused', (p.returncode != 2 or said not in p.stderr) and p.stderr)
    p = run(TWO, 'plan', '--report=nowhere/r.csv')
    case('a place that cannot be written to', p.returncode != 3 and p.stderr)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    forms()
    if rtl:
        forms('--device=rtl')
    corners()
end()
