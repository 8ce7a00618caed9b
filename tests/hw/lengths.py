#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lengths.py TIMING.DEF RTL-FOLDER: the lengths that the timing model knows are those of the core's SystemVerilog."""
import os
import re
import sys

table, rtl = sys.argv[1:]
have = {m[1]: int(m[2]) for m in re.finditer(r'^LENGTH\((\w+), (\d+)\)', open(table).read(), re.M)}
# Where each stands: the module, and a pattern whose group is the number; log2: the pattern has a logarithm.
PLACES = {
    'LOG_QUEUE': ('vta_top', r'LogQueue = (\d+)'), 'LOG_AHEAD': ('vta_top', r'LogAhead = (\d+)'),
    'LOG_SLOTS': ('vta_top', r'LogSlots = (\d+)'), 'LOG_FETCH': ('vta_fetch', r'LOG_BUFFER = (\d+)'),
    'FETCH_BURST': ('vta_fetch', r'MaxBeats = (\d+)'), 'MAX_BURST': ('vta_burst', r'MAX_BEATS = (\d+)'),
    'LOG_BURSTS': ('vta_load_engine', r'LOG_OUTSTANDING = (\d+)'),
    'MOST_BEATS': ('vta_load_engine', r"MostBeats = 8'd(\d+)"), 'LOG_BEATS': ('vta_load_engine', r'LOG_BEATS = (\d+)'),
    'SCAN_LIMIT': ('vta_compute', r'ScanLimit = (\d+)'), 'ALU_CHAIN': ('vta_alu', r"c_count_q != 2'd(\d+)"),
}
FIFOS = {
    'PENDING': ('vta_load_engine', 'u_pend'), 'LOAD_ORDER': ('vta_load', 'u_order'), 'STORE_LENS': ('vta_store', 'u_lens'),
    'STORE_ELEMS': ('vta_store', 'u_elems'), 'ENGINE_QUEUE': ('vta_top', 'u_gemm_queue'),
}


def text(module):
    with open(os.path.join(rtl, module + '.sv')) as f:
        return f.read()


found = {}
for name, (module, pattern) in PLACES.items():
    m = re.search(pattern, text(module))
    found[name] = int(m[1]) if m else None
for name, (module, instance) in FIFOS.items():
    m = re.search(r'LOG_DEPTH\((\d+)\)\s*\) %s ' % instance, text(module))
    found[name] = 1 << int(m[1]) if m else None
# GEMM's stages: the registers that a step passes until ACC is read, and until it is written.
gemm = text('vta_gemm')
for name, signal in (('GEMM_READ', 'acc_re_o'), ('GEMM_WRITE', 'acc_we_o')):
    m = re.search(r'assign %s = v(\d)_q' % signal, gemm)
    found[name] = int(m[1]) if m else None

print('TAP version 13\n1..%d' % len(have))
bad = 0
for n, name in enumerate(sorted(have), 1):
    same = have[name] == found.get(name)
    bad += not same
    print('%sok %d - %s: %d, of the core %s' % ('' if same else 'not ', n, name, have[name], found.get(name)))
sys.exit(bad != 0)
