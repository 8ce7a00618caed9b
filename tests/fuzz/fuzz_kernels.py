#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random kernels with random schedules: what runs must agree with the reference, what does not must be refused with a
code. Usage: fuzz_kernels.py TETC FIRST_SEED COUNT [KEEP_DIR]. Prints TAP; a failing kernel is kept in KEEP_DIR."""
import json
import os
import random
import re
import subprocess
import sys
import tempfile


def expr_alu(r, names, depth):
    """An int32 expression that the ALU can compute."""
    if depth == 0 or r.random() < 0.2:
        return r.choice(names) if r.random() < 0.8 else str(r.choice([0, 1, 3, -5, 127, -128, 40000, 1 << 20, -70000]))
    k = r.randrange(11)
    a = expr_alu(r, names, depth - 1)
    if k == 0:
        return f"min({a}, {expr_alu(r, names, depth - 1)})"
    if k == 1:
        return f"max({a}, {expr_alu(r, names, depth - 1)})"
    if k == 2:
        return f"({a} + {expr_alu(r, names, depth - 1)})"
    if k == 3:
        return f"({a} - {expr_alu(r, names, depth - 1)})"
    if k == 4:
        return f"({a} * {expr_alu(r, names, depth - 1)})"
    if k == 5:
        return f"({a} >> {r.randrange(0, 32)})"
    if k == 6:
        return f"({a} << {r.randrange(0, 32)})"
    if k == 7:
        return f"clamp({a}, {r.randrange(-300, 0)}, {r.randrange(0, 300)})"
    if k == 8:
        return f"({a} {r.choice('/%')} {1 << r.randrange(0, 31)})"
    if k == 9:
        low = (1 << r.randrange(0, 32)) - 1
        return r.choice([f"({a} & {low})", f"({-1 - low} & {a})", f"(~{a})", f"int32(uint8({a}))"])
    return f"(-{names[0]})"


def epilogue(r):
    """Stages from conv to an int8 result: their text and names."""
    text, names, prev = "", [], "conv"
    for i in range(r.randrange(0, 4)):
        n = f"e{i}"
        extra = [prev] if r.random() < 0.8 or not names else [prev, r.choice(names)]
        text += f"  compute {n} = {expr_alu(r, extra, r.randrange(1, 3)) if r.random() < 0.6 else f'max({prev} >> {r.randrange(0, 9)}, {r.randrange(-9, 9)})'};\n"
        if prev not in text.split(f"compute {n} =")[1]:
            text = text.replace(f"compute {n} = ", f"compute {n} = {prev} + ")
        names.append(n)
        prev = n
    return text, names, prev


def conv(r):
    h, w, ci, co = r.randrange(1, 14), r.randrange(1, 14), r.randrange(1, 4), r.randrange(1, 4)
    kh, kw, st, di = r.choice([1, 2, 3, 5]), r.choice([1, 2, 3]), r.choice([1, 1, 2, 3]), r.choice([1, 1, 1, 2])
    p, q = r.randrange(0, 4), r.randrange(0, 4)
    ph, pw = h + p + q, w + p + q
    if (kh - 1) * di + 1 > ph or (kw - 1) * di + 1 > pw:
        kh = kw = 1
    oh, ow = (ph - (kh - 1) * di - 1) // st + 1, (pw - (kw - 1) * di - 1) // st + 1
    cond = r.choice([f"y >= {p} && y < {h + p} && x >= {p} && x < {w + p} ? data[n, c, y - {p}, x - {p}, b, r] : 0",
                     f"y < {p} || y >= {h + p} || x < {p} || {w + p} <= x ? 0 : data[n, c, y - {p}, x - {p}, b, r]",
                     f"y >= {p} && y <= {h + p - 1} ? (x >= {p} && x < {w + p} ? data[n, c, y - {p}, x - {p}, b, r] : 0) : 0"])
    ep, stages, last = epilogue(r)
    th, tw, to, tc = r.randrange(1, oh + 2), r.randrange(1, ow + 2), r.randrange(1, co + 2), r.randrange(1, ci + 2)
    bias = r.random() < 0.5
    src = f"""target vta;
kernel k {{
  input data[n: 1, c: {ci}, y: {h}, x: {w}, b: vta.batch, r: vta.block_in] : int8;
  input weight[o: {co}, c: {ci}, dy: {kh}, dx: {kw}, j: vta.block_out, r: vta.block_in] : int8;
  input bias[o: {co}, b: vta.batch, j: vta.block_out] : int32;
  compute pad[n: 1, c: {ci}, y: {ph}, x: {pw}, b: vta.batch, r: vta.block_in] : int8 =
      {cond};
  compute {'conv0' if bias else 'conv'}[n: 1, o: {co}, y: {oh}, x: {ow}, b: vta.batch, j: vta.block_out] : int32 =
      sum[c: {ci}, dy: {kh}, dx: {kw}, r: vta.block_in](
          int32(pad[n, c, y * {st} + dy * {di}, x * {st} + dx * {di}, b, r]) * int32(weight[o, c, dy, dx, j, r]));
"""
    acc = []
    if bias:
        src += f"  compute conv[n: 1, o: {co}, y: {oh}, x: {ow}, b: vta.batch, j: vta.block_out] : int32 = conv0[n, o, y, x, b, j] + bias[o, b, j];\n"
        acc = ["conv0"]
    acc += ["conv"] + stages
    g = acc[0]
    src += ep + f"  output out = int8({last});\n}}\nschedule k {{\n"
    lines = ["w_buf = weight.cache_read(vta.wgt);", "pad.set_scope(vta.inp);"]
    if bias:
        lines.append("bias_buf = bias.cache_read(vta.acc);")
    lines += [f"o0, o1 = out.split(o, factor = {to});", f"y0, y1 = out.split(y, factor = {th});",
              f"x0, x1 = out.split(x, factor = {tw});"]
    vt = r.choice([None, None, "y0", "o0", "x0"])
    order = ["n"] + r.sample(["y0", "o0", "x0"], 3)
    if vt:
        lines.append(f"{vt}, vt = out.split({vt}, factor = {r.choice([2, 2, 3])});")
        order.insert(r.randrange(len(order)), "vt")
    last_outer = order[-1] if order[-1] != "vt" else order[-2]
    inner = r.sample(["o1", "y1", "x1"], 3)
    lines.append(f"out.reorder({', '.join(order)}, {', '.join(inner)}, b, j);")
    if vt:
        lines.append("out.bind(vt, cthread);")
    at = order[-1]
    for s in acc:
        lines += [f"{s}.set_scope(vta.acc);", f"{s}.compute_at(out, {at});"]
    if bias:
        lines += [f"bias_buf.compute_at(out, {at});", "bias_buf.dma_copy();"]
    lines += [f"c0, c1 = {g}.split(c, factor = {tc});"]
    mid = r.sample(["c1", "dy", "dx", "o", "y", "x"], 6)
    lines += [f"{g}.reorder(n, c0, {', '.join(mid)}, b, j, r);"]
    if r.random() < 0.8:
        lines += [f"pad.compute_at({g}, c0);", f"w_buf.compute_at({g}, c0);"]
    else:
        deep = r.choice(mid[:2])
        lines += [f"pad.compute_at({g}, {deep});", f"w_buf.compute_at({g}, {deep});"]
    lines += ["pad.dma_copy();", "w_buf.dma_copy();", f"{g}.tensorize(b, vta.gemm);"]
    for s in acc[1:]:
        lines.append(f"{s}.alu();")
    lines.append(f"out.dma_copy({inner[0]});" if r.random() < 0.7 else "out.dma_copy();")
    return src + "".join("  " + x + "\n" for x in lines) + "}\n"


def gemm(r):
    m, n, k = r.randrange(1, 9), r.randrange(1, 9), r.randrange(1, 9)
    mt, nt, kt = r.randrange(1, m + 2), r.randrange(1, n + 2), r.randrange(1, k + 2)
    ep, stages, last = epilogue(r)
    acc = ["conv"] + stages
    order = r.sample(["m0", "n0"], 2)
    text = f"""target vta;
kernel k {{
  input a[m: {m}, k: {k}, b: vta.batch, r: vta.block_in] : int8;
  input w[n: {n}, k: {k}, j: vta.block_out, r: vta.block_in] : int8;
  compute conv[m: {m}, n: {n}, b: vta.batch, j: vta.block_out] : int32 =
      sum[k: {k}, r: vta.block_in]({r.choice(['int32(a[m, k, b, r]) * int32(w[n, k, j, r])', 'int32(w[n, k, j, r]) * int32(a[m, k, b, r])'])});
{ep}  output out = int8({last});
}}
schedule k {{
  a_buf = a.cache_read(vta.inp);
  w_buf = w.cache_read(vta.wgt);
  m0, m1 = out.split(m, factor = {mt});
  n0, n1 = out.split(n, {r.choice(['factor', 'nparts'])} = {nt});
"""
    vt = r.choice([None, "m0", "n0"])
    if vt:
        text += f"  {vt}, vt = out.split({vt}, factor = 2);\n"
        order.insert(r.randrange(len(order) + 1), "vt")
    inner = r.sample(["m1", "n1"], 2)
    text += f"  out.reorder({', '.join(order)}, {', '.join(inner)}, b, j);\n"
    if vt:
        text += "  out.bind(vt, cthread);\n"
    text += f"  for s in ({', '.join(acc)}) {{ s.set_scope(vta.acc); s.compute_at(out, {order[-1]}); }}\n"
    text += f"  k0, k1 = conv.split(k, factor = {kt});\n  conv.reorder(k0, {', '.join(r.sample(['k1', 'm', 'n'], 3))}, b, j, r);\n"
    at = r.choice(["conv, k0", "conv, k0", f"out, {order[-1]}"])
    text += f"  a_buf.compute_at({at});\n  w_buf.compute_at({at});\n"
    text += "  a_buf.dma_copy();\n  w_buf.dma_copy();\n  conv.tensorize(b, vta.gemm);\n"
    for s in stages:
        text += f"  {s}.alu();\n"
    return text + f"  out.dma_copy({inner[0]});\n}}\n"


def alu(r):
    m, n = r.randrange(1, 20), r.randrange(1, 6)
    narrow = r.random() < 0.3
    text = f"""target vta;
kernel k {{
  input a[m: {m}, n: {n}, i: vta.batch, j: vta.block_out] : int32;
  input b[n: {n}, i: vta.batch, j: vta.block_out] : {'int8' if narrow else 'int32'};
  compute wide[m: {m}, n: {n}, i: vta.batch, j: vta.block_out] : int32 = a[m, n, i, j] + {'bw' if narrow else 'b'}[n, i, j];
"""
    if narrow:
        text = text.replace("  compute wide", "  compute bw[n: %d, i: vta.batch, j: vta.block_out] : int32 = int32(b[n, i, j]);\n  compute wide" % n)
    names = ["wide"]
    for i in range(r.randrange(1, 5)):
        e = expr_alu(r, [r.choice(names), r.choice(names), "a" if r.random() < 0.2 else names[-1]], r.randrange(1, 4))
        if not any(x in e for x in names + ["a"]):
            e = names[-1] + " + " + e
        text += f"  compute s{i} = {e};\n"
        names.append(f"s{i}")
    text += f"  output out = int8({names[-1]});\n}}\nschedule k {{\n  a_buf = a.cache_read(vta.acc);\n"
    text += "  bw.set_scope(vta.acc);\n  bw.dma_copy();\n" if narrow else "  b_buf = b.cache_read(vta.acc);\n  b_buf.dma_copy();\n"
    text += "  a_buf.dma_copy();\n"
    tile = r.random() < 0.6
    if tile:
        text += f"  m0, m1 = out.split(m, factor = {r.randrange(1, m + 2)});\n"
    for s in names:
        text += f"  {s}.set_scope(vta.acc);\n  {s}.alu();\n"
        if tile:
            text += f"  {s}.compute_at(out, m0);\n"
    if tile:
        text += "  a_buf.compute_at(out, m0);\n"
        if r.random() < 0.5:
            text = text.replace("  m0, m1", "  m0, m1", 1)
    return text + "  out.dma_copy();\n}\n"


def legalized(r, text):
    """The kernel with a copy out that computes, and is repaired; now and then in a narrow type."""
    found = re.search(r"  output out = int8\((\w+)\);\n", text)
    if not found or r.random() < 0.75:
        return text, []
    x = found[1]
    e = r.choice([f"int8(max({x}, 0))", f"int8(clamp({x} >> {r.randrange(9)}, -100, 100))", f"int8({x} > 5 ? {x} : {x} >> 2)",
                  f"max(int8({x}), {r.randrange(-50, 50)})", f"int8({x}) + {r.randrange(100)}", f"int8({expr_alu(r, [x], 2)} + {x})",
                  f"int8({x}) < 3 ? 3 : int8({x})", f"int8(int16({x}) * 3)", f"-int8({x})"])
    text = text.replace(found[0], f"  output out = {e};\n")
    if r.random() < 0.5:
        return text, ["--legalize"]
    return text.rstrip()[:-1] + "  out.legalize_epilogue();\n}\n", []


def condition(r, depth):
    """A condition on the place (y, x)."""
    k = r.randrange(6) if depth else r.randrange(3)
    if k == 0:
        return f"{r.choice(['y', 'x', 'y + x', 'y - x', '2 * y + x'])} {r.choice(['<', '<=', '>', '>=', '==', '!='])} {r.randrange(-2, 14)}"
    if k == 1:
        return f"({r.choice(['y', 'x', 'x + 1', 'y + x'])}) {r.choice(['%', '/'])} {r.randrange(2, 5)} {r.choice(['==', '!=', '<'])} {r.randrange(0, 3)}"
    if k == 2:
        return f"{r.choice('yx')} >= {r.randrange(0, 4)} && {r.choice('yx')} < {r.randrange(3, 12)}"
    if k == 3:
        return f"!({condition(r, depth - 1)})"
    return f"({condition(r, depth - 1)}) {r.choice(['&&', '||'])} ({condition(r, depth - 1)})"


def place(r):
    """A copy and ALU stages that choose by the place in the tensor, in tiles."""
    h, w = r.randrange(1, 14), r.randrange(1, 12)
    iy, ny = r.choice([("y", h), (f"{h - 1} - y", h), ("y / 2", (h + 1) // 2), ("y * 2", 2 * h), ("y + 1", h + 1)])
    ix, nx = r.choice([("x", w), (f"{w - 1} - x", w), ("x / 3", (w + 2) // 3), ("x * 2 + 1", 2 * w)])
    wide = r.random() < 0.5
    load = f"a[{iy}, {ix}, b, j]" if wide else f"int32(a[{iy}, {ix}, b, j])"
    shape = f"y: {h}, x: {w}, b: vta.batch, j: vta.block_out"
    text = f"""target vta;
kernel k {{
  input a[y: {ny}, x: {nx}, b: vta.batch, j: vta.block_out] : {'int32' if wide else 'int8'};
  compute p[{shape}] : int32 = {condition(r, 2)} ? {load} : 0;
"""
    names = ["p"]
    for i in range(r.randrange(1, 4)):
        text += f"  compute q{i}[{shape}] : int32 = {condition(r, 2)} ? {names[-1]}[y, x, b, j] {r.choice(['* 3', '+ 70000', '>> 1'])} : {r.choice(['5', '-p[y, x, b, j]', names[-1] + '[y, x, b, j]'])};\n"
        names.append(f"q{i}")
    text += f"  output out = int8({names[-1]});\n}}\nschedule k {{\n"
    text += f"  y0, y1 = out.split(y, factor = {r.randrange(1, h + 3)});\n  x0, x1 = out.split(x, {r.choice(['factor', 'nparts'])} = {r.randrange(1, w + 3)});\n"
    order, thread = r.choice([["y0", "x0"], ["x0", "y0"]]), r.random() < 0.3
    if thread:
        text += f"  v, {order[0]} = out.split({order[0]}, nparts = 2);\n  out.bind(v, cthread);\n"
    text += f"  out.reorder({'v, ' if thread else ''}{', '.join(order)}, y1, x1, b, j);\n"
    at = r.choice([None, order[0], order[1], order[1]])
    for n in names:
        text += f"  {n}.set_scope(vta.acc);\n  {n}.{'dma_copy' if n == 'p' else 'alu'}();\n"
        text += f"  {n}.compute_at(out, {at});\n" if at else ""
    return text + "  out.dma_copy();\n}\n"


def pool(r):
    h, w, c = r.randrange(3, 10), r.randrange(3, 10), r.randrange(1, 4)
    k, st = r.choice([1, 2, 3]), r.choice([1, 2])
    oh, ow = (h - k) // st + 1, (w - k) // st + 1
    op = r.choice(["max", "min", "sum"])
    wide = r.random() < 0.5
    text = f"""target vta;
kernel k {{
  input data[c: {c}, y: {h}, x: {w}, b: vta.batch, j: vta.block_out] : {'int32' if wide else 'int8'};
  compute d[c: {c}, y: {h}, x: {w}, b: vta.batch, j: vta.block_out] : int32 = {'data[c, y, x, b, j]' if wide else 'int32(data[c, y, x, b, j])'};
  compute p[c: {c}, y: {oh}, x: {ow}, b: vta.batch, j: vta.block_out] : int32 =
      {op}[dy: {k}, dx: {k}](d[c, y * {st} + dy, x * {st} + dx, b, j]);
  output out = int8(p);
}}
schedule k {{
  d.set_scope(vta.acc);
  p.set_scope(vta.acc);
  y0, y1 = out.split(y, factor = {r.randrange(1, oh + 2)});
  out.reorder({r.choice(['c, y0', 'y0, c'])}, y1, x, b, j);
"""
    at = r.choice(["c", "y0"])
    text += f"  p.compute_at(out, {at});\n  d.compute_at(out, {at});\n" if r.random() < 0.7 else ""
    return text + "  d.dma_copy();\n  p.alu();\n  out.dma_copy();\n}\n"


def depthwise(r):
    """A channel-wise convolution on the ALU, padded, between CPU stages."""
    h, w, c, k, p = r.randrange(1, 9), r.randrange(1, 9), r.randrange(1, 4), r.choice([1, 2, 3]), r.randrange(0, 3)
    st = r.choice([1, 1, 2])
    if k > h + 2 * p or k > w + 2 * p:
        k = 1
    oh, ow = (h + 2 * p - k) // st + 1, (w + 2 * p - k) // st + 1
    ch = f"{c} * vta.block_out"
    text = f"""target vta;
kernel k {{
  input image[b: vta.batch, c: {ch}, y: {h}, x: {w}] : float32;
  input taps[c: {c}, dy: {k}, dx: {k}, b: vta.batch, j: vta.block_out] : int32;
  compute q[c: {c}, y: {h}, x: {w}, b: vta.batch, j: vta.block_out] : int8 =
      int8(clamp(round(image[b, c * vta.block_out + j, y, x] * 16.0), -128.0, 127.0));
  compute d[c: {c}, y: {h + 2 * p}, x: {w + 2 * p}, b: vta.batch, j: vta.block_out] : int32 =
      y >= {p} && y < {h + p} && x >= {p} && x < {w + p} ? int32(q[c, y - {p}, x - {p}, b, j]) : 0;
  compute conv[c: {c}, y: {oh}, x: {ow}, b: vta.batch, j: vta.block_out] : int32 =
      sum[dy: {k}, dx: {k}](d[c, y * {st} + dy, x * {st} + dx, b, j] * t_buf[c, dy, dx, b, j]);
  compute e = clamp(conv >> {r.randrange(0, 8)}, -128, {r.choice([127, 6, 100])});
  compute packed = int8(e);
  output out[b: vta.batch, c: {ch}, y: {oh}, x: {ow}] : float32 =
      float32(packed[c / vta.block_out, y, x, b, c % vta.block_out]) * 0.5;
}}
schedule k {{
""".replace("t_buf", "taps")
    lines = ["t_buf = taps.cache_read(vta.acc);", f"y0, y1 = packed.split(y, factor = {r.randrange(1, oh + 2)});"]
    order = r.sample(["c", "y0"], 2)
    lines.append(f"packed.reorder({', '.join(order)}, y1, x, b, j);")
    if r.random() < 0.5:
        lines += [f"{order[0]}, vt = packed.split({order[0]}, factor = 2);", "packed.bind(vt, cthread);"]
    for s in ["d", "conv", "e"]:
        lines += [f"{s}.set_scope(vta.acc);", f"{s}.compute_at(packed, {order[1]});"]
    lines += [f"t_buf.compute_at(packed, {r.choice(order)});", "t_buf.dma_copy();", "d.dma_copy();", "conv.alu();", "e.alu();",
              "packed.dma_copy();"]
    lines += r.choice([[], ["q.parallel(y);"], ["out.parallel(c);", "out.vectorize(x);"], ["y2, y3 = q.split(y, factor = 3);"]])
    return text + "".join("  " + x + "\n" for x in lines) + "}\n"


DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]


def expr_cpu(r, dtype, accesses, depth):
    """An expression of type dtype; accesses: (text, type)."""
    fl = dtype.startswith("float")
    if depth == 0:
        t, d = r.choice(accesses)
        return t if d == dtype else f"{dtype}({t})"
    a, b = expr_cpu(r, dtype, accesses, depth - 1), expr_cpu(r, dtype, accesses, depth - 1)
    k = r.randrange(12)
    if k < 3:
        return f"({a} {r.choice('+-*')} {b})"
    if k == 3:
        return f"min({a}, {b})" if r.random() < 0.5 else f"max({a}, {b})"
    if k == 4:
        return f"({a} / {b})" if not fl or r.random() < 0.5 else f"({a} * {b})"
    if k == 5:
        return f"({a} {r.choice(['<', '<=', '>', '==', '!='])} {b} ? {a} : {b})"
    if k == 6:
        t, d = r.choice(accesses)
        return f"{dtype}({t})"
    if fl:
        return r.choice([f"abs({a})", f"floor({a})", f"sqrt(abs({a}))", f"tanh({a})", f"round({a})", f"({a} * {b})", f"ceil({a})"])
    if k == 7:
        return f"({a} % {b})"
    if k == 8:
        return f"({a} {r.choice(['&', '|', '^'])} {b})"
    if k == 9:
        return f"({a} {r.choice(['<<', '>>'])} {b})"
    if k == 10:
        return f"(~{a})"
    return f"({a} / {r.choice([3, 7, 16, 100])})"


def cpu(r):
    m, n, k = r.randrange(1, 20), r.randrange(1, 40), r.randrange(1, 8)
    ta, tb, ts, tt = (r.choice(DTYPES) for _ in range(4))
    acc = [("a[y, x]", ta), ("b[x]", tb)]
    s1 = expr_cpu(r, ts, acc, r.randrange(1, 4))
    s2 = expr_cpu(r, tt, [("s[y, x]", ts), ("a[y, x]", ta)], r.randrange(0, 3))
    text = f"""kernel k {{
  input a[y: {m}, x: {n}] : {ta};
  input b[x: {n}] : {tb};
  compute s[y: {m}, x: {n}] : {ts} = {s1};
  compute t[y: {m}, x: {n}] : {tt} = {s2};
  output red[y: {m}] : {tt} = {r.choice(['sum', 'max', 'min'])}[x: {n}](t[y, x]);
  output out[y: {m}, x: {n}] : {tt} = t[y, {n - 1} - x];
}}
schedule k {{
"""
    lines = []
    if r.random() < 0.5:
        lines += [f"y0, y1 = out.split(y, factor = {r.randrange(1, m + 3)});"]
        if r.random() < 0.5:
            lines += [f"x0, x1 = out.split(x, nparts = {r.randrange(1, n + 3)});", "out.reorder(y0, x0, y1, x1);"]
            how = r.choice(["out.vectorize(x1);", "out.vectorize(x1, 4);", "out.unroll(y1);", "out.unroll(y1, 2);", "f = out.fuse(y0, x0); out.parallel(f);"])
            # blocks that overlap cannot run in parallel
            lines += r.choice([[], ["out.tail(x0, guard);"]] + ([] if "parallel" in how else [["out.tail(x1, shift);"], ["out.tail(y1, shift);", "out.tail(x0, shift);"]]))
            lines += [how]
        else:
            lines += [r.choice(["out.parallel(y0);", "out.vectorize(x);", "f = out.fuse(y1, x);"])]
    if r.random() < 0.3:
        lines += ["s.compute_inline();"]
    elif r.random() < 0.5:
        lines += [f"s.compute_at(t, {r.choice('yx')});"]
    if r.random() < 0.5:
        lines += [f"f = t.fuse(y, x); f0, f1 = t.split(f, factor = {r.randrange(1, 50)}); t.parallel(f0);"] if not lines or "s.compute_at" not in lines[-1] else []
    if r.random() < 0.4:  # the points of a float reduction keep their order
        orders = ['x0, y, x1', 'y, x0, x1', 'x0, x1, y'] if tt.startswith('float') else ['x0, y, x1', 'y, x1, x0', 'x1, x0, y']
        lines += [f"x0, x1 = red.split(x, factor = {r.randrange(1, n + 3)}); red.reorder({r.choice(orders)});"]
    if r.random() < 0.4 and not tt.startswith('float'):
        axis = r.choice(['x0', 'x1']) if lines and 'red.split' in lines[-1] else 'x'
        lines += [f"p = red.rfactor({axis});", r.choice(["", f"p.vectorize({axis});", f"p.parallel({axis});", "p.compute_at(red, y);"])]
    return text + "".join("  " + x + "\n" for x in lines) + "}\n"


CONFIGS = [None, None, None, {"LOG_BLOCK": 5}, {"LOG_BATCH": 1}, {"LOG_BLOCK": 5, "LOG_BATCH": 1},
           {"LOG_INP_BUFF_SIZE": 13, "LOG_WGT_BUFF_SIZE": 16, "LOG_ACC_BUFF_SIZE": 15, "LOG_UOP_BUFF_SIZE": 11}]


def config_file(r, folder):
    c = r.choice(CONFIGS)
    if c is None:
        return []
    base = {"TARGET": "sim", "HW_VER": "0.0.2", "LOG_INP_WIDTH": 3, "LOG_WGT_WIDTH": 3, "LOG_ACC_WIDTH": 5, "LOG_BATCH": 0,
            "LOG_BLOCK": 4, "LOG_UOP_BUFF_SIZE": 15, "LOG_INP_BUFF_SIZE": 15, "LOG_WGT_BUFF_SIZE": 18, "LOG_ACC_BUFF_SIZE": 17}
    base.update(c)
    path = os.path.join(folder, "config.json")
    with open(path, "w") as f:
        json.dump(base, f)
    return ["--vta-config", path]


def main():
    tetc, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if "TETC_LONG_TESTS" in os.environ:
        count *= 10
    keep = sys.argv[4] if len(sys.argv) > 4 else None
    kinds = [conv, conv, gemm, alu, place, pool, depthwise, cpu]
    only = os.environ.get("FUZZ_KIND")
    agreed = refused = failed = 0
    codes = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            r = random.Random(seed)
            kind = r.choice(kinds)
            if only and kind.__name__ != only:
                continue
            path = os.path.join(folder, "k.te")
            text, options = legalized(r, kind(r))
            with open(path, "w") as f:
                f.write(text)
            cmd = [tetc, "run", path, "--check", "--seed", str(seed), *(["--incoherent"] if seed % 2 else []), f"-O{r.choice([0, 1, 2, 2, 3])}"] + options + (config_file(r, folder) if kind is not cpu else [])
            try:
                p = subprocess.run(cmd, capture_output=True, text=True, timeout=120)
                status, err = p.returncode, p.stderr + p.stdout
            except subprocess.TimeoutExpired:
                status, err = -1, "no end after 120 s"
            code = next((w[6:11] for w in err.split("\n") if w.startswith("error[")), None)
            if status == 0:
                agreed += 1
            elif status == 1 and code and code not in ("E0503", "E0901", "E0902"):
                refused += 1
                codes[code] = codes.get(code, 0) + 1
            else:
                failed += 1
                print(f"# seed {seed} ({kind.__name__}): status {status}: {err.strip()[:600]}")
                if keep:
                    os.makedirs(keep, exist_ok=True)
                    with open(path) as f, open(os.path.join(keep, f"{seed}.te"), "w") as g:
                        g.write(f"// {' '.join(cmd[3:])}\n" + f.read())
    print(f"# {agreed} agreed, {refused} refused {codes}, {failed} failed")
    print("1..1")
    print(("not ok" if failed or not agreed else "ok") + " 1 - random kernels")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
