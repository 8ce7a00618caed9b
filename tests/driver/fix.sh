#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fix.sh TETC SAMPLES: what `tetc fix` writes compiles, or is no worse than what it read.
set -u
tetc=$1
samples=$(cd "$2" && pwd)
. "$(dirname "$0")/tap.sh"
cd "$tmp" || exit 1

run "$tetc" fix "$samples/conv2d_relu_unmatched.te" -o fixed.te
expect "a computing copy is repaired" 0 err "1 remedy applied, 0 errors left"
run "$tetc" run fixed.te --check
expect "and then right" 0 out "401408 elements agree"
run "$tetc" run "$samples/conv2d_relu_unmatched.te" --legalize --check
expect "as with --legalize" 0 out "401408 elements agree"

cat >bad.te <<'END'
kernel k {
  input a[m: 8] : int32;
  compute s = a + 1
  compute t = s * nothing;
  output f[m: 8] : float32 = a[m] + 1;
}
END
cp bad.te before.te
run "$tetc" fix bad.te --check
expect "--check" 1 err "1 remedy applied, 2 errors left"
holds "changes nothing" cmp bad.te before.te
run "$tetc" fix bad.te
expect "what cannot be repaired is told" 1 err "unknown name \`nothing\`"
holds "the rest is written" grep -q 'a + 1;' bad.te
no_cast() { ! grep -q 'float32(a' bad.te; }
holds "a cast of a sum is a guess" no_cast
run "$tetc" fix bad.te
expect "a second time nothing is left to do" 1 err "0 remedies applied"
run "$tetc" fix nothing.te
expect "no file" 3 err nothing.te
run "$tetc" fix "$samples/conv2d_relu_unmatched.te" -o /nonexistent/x.te
expect "unwritable output" 3 err "cannot write"

# One missing statement each of a whole kernel: the remedy of the message puts it back, and the result is right.
cat >whole.te <<'END'
target vta;
kernel g {
  input a[m: 4, k: 4, b: vta.batch, r: vta.block_in] : int8;
  input w[n: 4, k: 4, j: vta.block_out, r: vta.block_in] : int8;
  input bias[n: 4, b: vta.batch, j: vta.block_out] : int32;
  compute acc[m: 4, n: 4, b: vta.batch, j: vta.block_out] : int32 =
      sum[k: 4, r: vta.block_in](int32(a[m, k, b, r]) * int32(w[n, k, j, r]));
  compute biased[m: 4, n: 4, b: vta.batch, j: vta.block_out] : int32 = acc[m, n, b, j] + bias[n, b, j];
  output out = int8(biased);
}
schedule g {
  a_buf = a.cache_read(vta.inp);
  w_buf = w.cache_read(vta.wgt);
  bias_buf = bias.cache_read(vta.acc);
  a_buf.dma_copy();
  w_buf.dma_copy();
  bias_buf.dma_copy();
  acc.set_scope(vta.acc);
  acc.tensorize(b, vta.gemm);
  biased.set_scope(vta.acc);
  biased.alu();
  out.dma_copy();
}
END
run "$tetc" run whole.te --check
expect "the kernel as it should be" 0 out "256 elements agree"
for line in "  a_buf.dma_copy();" "  w_buf.dma_copy();" "  bias_buf.dma_copy();" "  acc.set_scope(vta.acc);" \
  "  acc.tensorize(b, vta.gemm);" "  biased.set_scope(vta.acc);" "  biased.alu();" \
  "  out.dma_copy();"; do
  grep -vxF "$line" whole.te >lacks.te
  run "$tetc" fix lacks.te -o mended.te
  expect "without$line" 0 err "1 remedy applied, 0 errors left"
  run "$tetc" run mended.te --check
  expect "mended" 0 out "256 elements agree"
done
grep -v 'a_buf' whole.te | grep -v 'w_buf' >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "without loads" 0 err "2 remedies applied, 0 errors left"
grep -v 'bias_buf' whole.te >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "without the bias" 0 err "1 remedy applied, 0 errors left"
run "$tetc" run mended.te --check
expect "mended" 0 out "256 elements agree"
sed 's/biased.set_scope(vta.acc)/biased.set_scope(vta.ac)/' whole.te >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "a scope spelt wrong is a guess" 1 err "may be meant: a similar name exists: \`vta.acc\`"
# A statement that stands for several stages: what is missing goes behind it, once.
sed 's/  biased.set_scope.*/  for s in (acc, biased) {\n    s.set_scope(vta.acc);\n  }/; /  acc.set_scope/d; /acc.tensorize/d; /biased.alu/d' whole.te >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "in a loop of the schedule" 0 err "2 remedies applied, 0 errors left"
lacks_warning() { ! grep -q warning "$tmp/err"; }
holds "without a warning" lacks_warning
run "$tetc" run mended.te --check
expect "mended" 0 out "256 elements agree"
# One remedy leads to another error, which has a remedy too.
grep -v 'biased.set_scope' whole.te | grep -v 'out.dma_copy' >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "two remedies that help together" 0 err "2 remedies applied, 0 errors left"
# A name that is suggested is free.
sed 's/bias_buf/bias_buffer/; /bias_buffer/d; s/^kernel g {/const bias_buf = 1; kernel g {/' whole.te | grep -v bias_buf.dma >lacks.te
run "$tetc" fix lacks.te -o mended.te
expect "a name that is taken" 0 err "1 remedy applied, 0 errors left"
holds "is not taken again" grep -q 'bias_buf_2 = bias.cache_read' mended.te
cat >cast.te <<'END'
kernel k { input a[m: 8] : int8; input c[m: 8] : int32; output o[m: 8] : int32 = a[m] + c[m]; }
END
run "$tetc" fix cast.te
expect "operands are widened" 0 err "1 remedy applied, 0 errors left"
holds "by a cast" grep -q 'int32(a\[m\]) + c' cast.te
# What may mean something else is told, and not applied.
guesses() { # WHAT MESSAGE: guess.te is refused with the message, and stays as it is
  cp guess.te guess_before.te
  run "$tetc" fix guess.te
  expect "$1" 1 err "$2"
  holds "it is not applied" cmp guess.te guess_before.te
}
schedule_of() { printf 'kernel k { input a[x: 16, k: 8] : int32; compute s[x: 16] : int32 = sum[k: 8](a[x, k]); output o = s + 1; }\nschedule k { %s }\n' "$1"; }
schedule_of 's.double_buffer();' >guess.te
guesses "a primitive of another compiler" "elsewhere it lets a buffer be filled while it is read"
schedule_of 's.compute_att(o, x);' >guess.te
guesses "a primitive spelt wrong" 'may be meant: a similar one exists: `compute_at`'
schedule_of 'k0, k1 = s.split(k, factr = 2);' >guess.te
guesses "a keyword spelt wrong" "may be meant"
schedule_of 's.unroll(kk);' >guess.te
guesses "an axis that does not exist" "may be meant"
schedule_of 'k0, k1 = s.split(k, factor = 2); s.unroll(k);' >guess.te
guesses "an axis that was split" "may be meant: the outer loop of it"
schedule_of 's.unroll(k); s.vectorize(k);' >guess.te
guesses "two annotations" "may be meant: drop one of the two"
schedule_of 'ss.unroll(k);' >guess.te
guesses "a stage that does not exist" "may be meant"
echo 'kernel k { input aa[x: 4] : int32; output o[x: 4] : int32 = ab[x]; }' >guess.te
guesses "a tensor that does not exist" "may be meant"
echo 'kernel k { input a[x: 4] : float32; output o[x: 4] : float32 = sinh(a[x]); }' >guess.te
guesses "a function that does not exist" "may be meant"
echo 'kernel k { input a[x: 4] : int32; output o[x: 4] : int32 = min(a[x], 3 + 1; }' >guess.te
guesses "a parenthesis is missing somewhere" "may be meant"
echo 'kernel k { input a[x: 4] : int8; input b[x: 4] : int32; output o[x: 4] : int32 = a[x] * a[x] + b[x]; }' >guess.te
guesses "operands that may have been meant to be widened" "may be meant"
schedule_of 's.Unroll(k);' >capitals.te
run "$tetc" fix capitals.te
expect "capitals alone are no guess" 0 err "1 remedy applied, 0 errors left"
# Stages that nothing said where to compute, too large as a whole: they go to a loop of their reader.
cat >whole_loads.te <<'END'
target vta; param C = 1024; const K = C / vta.block_in;
kernel d {
  input a[m: 196, k: K, b: vta.batch, r: vta.block_in] : int8;
  input w[n: K, k: K, j: vta.block_out, r: vta.block_in] : int8;
  compute acc[m: 196, n: K, b: vta.batch, j: vta.block_out] : int32 = sum[k: K, r: vta.block_in](int32(a[m, k, b, r]) * int32(w[n, k, j, r]));
  compute q = clamp(acc >> 7, -128, 127);
  output out = int8(q);
}
schedule d {
  ab = a.cache_read(vta.inp); wb = w.cache_read(vta.wgt);
  for s in (acc, q) { s.set_scope(vta.acc); s.compute_at(out, m); }
  for s in (ab, wb, out) { s.dma_copy(); }
  acc.reorder(m, n, k, b, j, r);
  acc.tensorize(b, vta.gemm);
  q.alu();
}
END
run "$tetc" fix whole_loads.te
expect "loads that do not fit" 0 err "2 remedies applied, 0 errors left"
holds "are computed at a loop" grep -q 'wb.compute_at(acc, n)' whole_loads.te
run "$tetc" run whole_loads.te --check
expect "mended" 0 out "200704 elements agree"
# Warnings have remedies, too: what has no effect goes, once no error is left.
cat >idle.te <<'END'
target vta;
kernel k {
  input a[m: 8, b: vta.batch, j: vta.block_out] : int32;
  compute s = a + 1;
  compute dead = a * 2;
  compute c = a * 2;
  output o = int8(s);
  output p = c + 1;
}
schedule k {
  knob q = 3;
  a_buf = a.cache_read(vta.acc, s);
  a_buf.dma_copy();
  dead.dma_copy();
  s.set_scope(vta.acc);
  s.alu(m);
  s.alu();
  o.dma_copy();
  o.legalize_epilogue();
  c.compute_root();
  c.compute_inline();
  p0, p1 = p.split(m, nparts = 2);
  p.bind(p0, cthread);
}
END
cp idle.te idle_before.te
run "$tetc" check idle.te --diagnostics=json
expect "what has no effect" 0 err "W0001"
each_can_go() {
  [ "$(grep -c '"severity":"warning"' "$tmp/err")" = 6 ] && [ "$(grep -c machine-applicable "$tmp/err")" = 6 ]
}
holds "can be dropped, each" each_can_go
run "$tetc" fix idle.te
expect "and is" 0 err "6 remedies applied, 0 errors left"
holds "without a warning" lacks_warning
idle_lines() { [ "$(diff idle_before.te idle.te | grep -c '^<')" = 6 ] && ! diff idle_before.te idle.te | grep -q '^>'; }
holds "and nothing else" idle_lines
run "$tetc" run idle.te --check
expect "and the result is right" 0 out "elements agree"
sed 's/int8(s)/int8(s + nothing)/' idle_before.te >both.te
run "$tetc" fix both.te --check
expect "with an error left warnings stay" 1 err "0 remedies applied, 1 error left"
# What a loop of the schedule repeats may count another time.
cat >twice.te <<'END'
kernel k {
  input a[m: 8] : int32;
  compute s = a + 1;
  compute t = s * 2;
  output o = t + 3;
}
schedule k {
  for x in (s, t) {
    x.compute_root();
  }
  t.compute_at(o, m);
}
END
run "$tetc" check twice.te
expect "a statement in a loop" 0 err "= help: drop the earlier one"
cp twice.te twice_before.te
run "$tetc" fix twice.te
expect "is told" 0 err "0 remedies applied"
holds "and stays" cmp twice.te twice_before.te
finish
