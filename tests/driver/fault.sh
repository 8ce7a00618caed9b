#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fault.sh TETC SAMPLES: wrong rewrites planted in each pass in turn are noticed, and that pass is named; reproducers.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/tap.sh"
cd "$tmp" || exit 1
small="-D H=8 -D W=8 -D CI=32 -D CO=32 -K th=4 -K tw=8"
phases=$("$tetc" --list-passes | cut -d' ' -f1 | grep -vxE 'te|schedule|llvm|vta')

before=
for p in $phases; do
  for kind in drop index extent form; do
    rm -f tetc-reproducer.tir
    run "$tetc" verify $small "$samples/conv2d_relu.te" --plant-fault $p:$kind
    expect "$p: $kind" 4 err "\`conv2d_relu\` is wrong after $p" err "${before:+after $before it was right}" err E0902
    holds "$p: $kind: the reproducer names it" grep -q "a failure of $p\\." tetc-reproducer.tir
  done
  # What the pass was given is the dump of the phase before it.
  if [ -n "$before" ]; then
    "$tetc" compile $small "$samples/conv2d_relu.te" --dump-tir=$before --print-locations -o k.o >dump
    run "$tetc" opt --print-locations tetc-reproducer.tir
    holds "$p: its reproducer is what it was given" cmp out dump
  fi
  before=$p
done
for p in sync uop intrin; do
  run "$tetc" verify "$samples/gemm.te" --plant-fault $p:token
  expect "$p: a token is forgotten" 4 err "\`gemm\` is wrong after $p"
done
# Without a token nothing waits, but the program's own order is right all the same: another order shows it.
for p in sync uop intrin; do
  for k in gemm vector_add; do
    run "$tetc" verify "$samples/$k.te" --plant-fault $p:race
    expect "$p: $k without a dependence" 4 err "\`$k\` is wrong after $p" err "elements differ" \
      err "run as far ahead of load as tokens let them"
  done
done
run "$tetc" verify "$samples/gemm.te" --plant-fault sync:token
expect "a deadlock is told with what each unit waits for" 4 err "deadlock: no unit can go on" \
  err "load waits for a token from compute, in \`vta.pop(compute, load)\` ($samples/gemm.te:" err "compute waits for a token from store" \
  err "store waits for a token from compute" err "more operations behind it"
run "$tetc" verify "$samples/gemm.te" --plant-fault sync:nothing
expect "no such kind" 2 err "--plant-fault sync:nothing"

# ---- reproducers
run "$tetc" compile "$samples/gemm.te" --plant-fault uop:form --verify-each --reproducer=r.tir -o k.o
expect "a pass that breaks the program" 4 err "pass uop broke the program" err 'tetc: `r.tir` has what is needed'
run "$tetc" opt -p uop --verify-each r.tir
expect "the reproducer is read" 0 out "vta.kernel("
run "$tetc" check "$samples/conv2d_relu_unmatched.te" --reproducer=r.tir
expect "a refusal, with a reproducer" 1 err "error[E0301]" err 'tetc: `r.tir` has what is needed'
holds "it has the command" grep -qF "// tetc check $samples/conv2d_relu_unmatched.te --reproducer=r.tir" r.tir
run "$tetc" opt -p inject_copy r.tir
expect "and shows the same again" 1 err "error[E0301]"
rm -f tetc-reproducer.tir
run "$tetc" check "$samples/conv2d_relu_unmatched.te"
holds "a refusal without the option leaves none" test ! -e tetc-reproducer.tir
echo 'kernel k { input a[i: 4] : int8; output b = a + c; }' >"it's.te"
run "$tetc" compile "it's.te" --reproducer r.tir
expect "an error before there is TIR" 1 err 'tetc: `r.tir`'
holds "the command is quoted" grep -qF "// tetc compile 'it'\\''s.te' --reproducer r.tir" r.tir
run "$tetc" compile "$samples/gemm.te" --reproducer=r2.tir -o k.o
holds "none when all is well" test ! -e r2.tir
run "$tetc" compile "it's.te" --reproducer=/nonexistent/r.tir
expect "one that cannot be written" 1 err 'cannot be written to `/nonexistent/r.tir`'

# ---- mistakes in a pass that end the process, at each phase
crash=crash # the sanitizers end a crash in their own way
! grep -q __asan_init "$tetc" || crash=
for p in $phases; do
  for kind in bug $crash; do
    rm -f r.tir
    run "$tetc" compile $small "$samples/conv2d_relu.te" --plant-fault $p:$kind --reproducer=r.tir -o k.o
    expect "$p: $kind" 4 err "tetc: internal error" err "this is a mistake of tetc" err 'tetc: `r.tir` has what is needed'
    holds "$p: $kind: the reproducer names it" grep -q "a failure of $p\." r.tir
    [ $p = lower ] || holds "$p: $kind: it goes through $p" "$tetc" opt -p $p --verify-each r.tir -o x.tir
  done
done
run "$tetc" opt -p uop --plant-fault uop:crash r.tir
expect "opt has no faults to plant" 2
if [ -n "$crash" ]; then
rm -f r.tir
run "$tetc" compile "$samples/gemm.te" --plant-fault storage:mute --reproducer=r.tir -o k.o
expect "when not even the program can be printed" 4 err "tetc: internal error"
holds "there is the command" grep -q "^// tetc compile .*gemm.te --plant-fault storage:mute" r.tir
holds "and the pass" grep -q "a failure of storage, of which nothing more could be written" r.tir
holds "and it is a text" sh -c "! grep -v '^//' r.tir"
rm -f tetc-reproducer.tir
run "$tetc" verify "$samples/gemm.te" --plant-fault sync:crash
expect "without being asked for" 4 err 'tetc: `tetc-reproducer.tir` has what is needed'
rm -f tetc-reproducer.tir
fi

# ---- the smallest program that is wrong in the same way
cat >big.te <<'END'
// a comment
target vta;
param M = 64;
kernel sums {
  input a[m: M, i: vta.batch, j: vta.block_out] : int32;
  input b[m: M, i: vta.batch, j: vta.block_out] : int32;
  compute total = a + b; /* another */
  output c = int8(total);
}
schedule sums {
  knob t = 4 in [4, 8];
  a_buf = a.cache_read(vta.acc);
  b_buf = b.cache_read(vta.acc);
  m0, m1 = c.split(m, factor = t);
  for s in (a_buf, b_buf, total) { s.compute_at(c, m0); }
  a_buf.dma_copy();
  b_buf.dma_copy();
  total.set_scope(vta.acc);
  total.alu();
  c.dma_copy();
}
END
run "$tetc" verify --shrink big.te -D M=32 -K t=8 --plant-fault storage
expect "shrink" 4 out "param M = 1;" out '!comment' out '!another' out '!knob' out '!dma_copy' out 'schedule sums {}' out '!agrees' \
  err "wrong after storage, with " err "\`sums\` is wrong after storage"
cp out small.te
run "$tetc" verify small.te --plant-fault storage
expect "what is left is wrong by itself" 4 err "\`sums\` is wrong after storage"
# A fault that depends on the schedule: what makes it wrong stays, and not much else.
run "$tetc" verify --shrink $small "$samples/conv2d_relu.te" --plant-fault lower:threads
expect "shrink: only with virtual threads" 4 out "bind(vt, cthread)" out "factor = 2" out "param CI = 16;" out '!dma_copy' \
  out '!bias' err "wrong after lower, with "
holds "it is small" test "$(wc -c <out)" -lt 500
cp out small.te
run "$tetc" verify small.te --plant-fault lower:threads
expect "it is wrong by itself" 4 err "is wrong after lower"
sed 's/.*cthread.*//' small.te >serial.te
run "$tetc" verify serial.te --plant-fault lower:threads
expect "without threads it is not" 0 err "nothing of that kind"
run "$tetc" verify --shrink -D H=16 -D W=16 -D CI=32 -D CO=32 -K th=8 -K tw=8 "$samples/conv2d_relu.te" --plant-fault inject_copy:rows
expect "shrink: only with transfers of several rows" 4 out "dma_copy" err "wrong after inject_copy, with "
holds "it is small, too" test "$(wc -c <out)" -lt 600
run "$tetc" verify --shrink big.te
expect "nothing to shrink" 0 out "intrin       agrees"
run "$tetc" verify --shrink big.te --plant-fault storage:nothing
expect "shrink: wrong usage" 2 err "--plant-fault"
finish
