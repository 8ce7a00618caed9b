#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# opt.sh TETC SAMPLES: tetc opt, tetc verify and tetc run --interpret.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/../driver/tap.sh"
cd "$tmp" || exit 1
conv="-D H=8 -D W=8 -D CI=32 -D CO=32 -K th=4 -K tw=8"

# ---- every dump is a text that is read and printed the same, and passes go on from it
for k in vector_add gemm conv2d_relu conv_block_nchw; do
  for o in "" --print-locations; do
    run "$tetc" compile "$samples/$k.te" $o --dump-tir --dump-dir "d$o" -o k.o
    expect "dumps of $k $o" 0
    for f in "d$o"/*.tir; do
      run "$tetc" opt $o "$f"
      expect "opt $o keeps $k $(basename "$f")" 0
      holds "byte by byte" cmp out "$f"
    done
  done
  run "$tetc" opt --from lower --to intrin --verify-each d/??-lower.tir
  expect "$k: from lower to intrin" 0
  holds "the same as compile makes" cmp out d/??-intrin.tir
  run "$tetc" opt --from lower --to intrin --print-locations d--print-locations/??-lower.tir
  holds "$k: and with the same places" cmp out d--print-locations/??-intrin.tir
  run "$tetc" opt --from inject_copy --to storage d/??-inject_copy.tir
  holds "$k: from inject_copy to storage" cmp out d/??-storage.tir
  run "$tetc" opt -p uop,intrin d/??-sync.tir
  holds "$k: -p uop,intrin" cmp out d/??-intrin.tir
done

# ---- what opt shows
run "$tetc" opt --from lower --to inject_alu --print-before tensorize --print-after inject_copy,inject_alu d/??-lower.tir -o x.tir
expect "printed around passes" 0 out "// ---- before tensorize" out "// ---- after inject_copy" out "// ---- after inject_alu" out '!after tensorize'
run "$tetc" compile "$samples/gemm.te" --stop-after=sync -o stopped.tir
expect "compile --stop-after writes the TIR of that phase" 0
"$tetc" compile "$samples/gemm.te" --dump-tir --dump-dir gemm -o k.o
holds "as the dump has it" cmp stopped.tir gemm/??-sync.tir
run "$tetc" compile "$samples/gemm.te" --stop-after=sync
holds "or prints it" cmp out gemm/??-sync.tir
run "$tetc" compile "$samples/gemm.te" --stop-after=lower --print-locations
expect "with places" 0 out "gemm.te:10:9," out " by @"
run "$tetc" compile "$samples/gemm.te" --stop-after=schedule -o stopped.txt
expect "before there is TIR" 2 err "after \`schedule\` there is no program" err "--dump-tir=schedule"
run "$tetc" compile "$samples/gemm.te" --print-before=storage --print-after=lower,sync -o k.o
expect "compile prints around passes, too" 0 out "// ---- after lower" out "// ---- before storage" out "// ---- after sync" out '!after storage'
run "$tetc" verify "$samples/gemm.te" --print-after=nothing
expect "but not around any" 2 err "there is no phase"
run "$tetc" opt --list-passes
expect "what -p, --from and --to may name" 0 out "lower" out "inject_copy" out "simplify" out '!schedule'
run "$tetc" opt --from lower gemm/??-intrin.tir
expect "a text of another phase" 1 err E0116 err "is used in form loops" err '`--from lower` says that the text is what `lower` leaves'
run "$tetc" opt --from lower --print-changed --time-passes --stats d/??-lower.tir -o x.tir
expect "changes, times, statistics" 0 out "// ---- tensorize" out "+" err "storage" err "transfers" err "vta.acc: " \
  err "  tensorize    2 nests in 1 GEMM call and 1 reset" err "  inject_alu   3 nests in 3 ALU calls"
run "$tetc" opt -p simplify - </dev/null
expect "nothing to read" 1 err E0001
cat >s.tir <<'END'
func f(
  a: int64[8] output
) {
  for i in 0..8 {
    if (i * 2 < 16) {
      a[i * 8 / 8] = i;
    }
  }
}
END
run "$tetc" opt -p simplify s.tir
expect "simplify" 0 out "a[i] = i;" out "!if"

# ---- wrong usage and wrong text
run "$tetc" opt s.tir -p simplfy
expect "misspelt pass" 2 err 'did you mean `simplify`?'
for list in '' , 'uop,' 'uop,,intrin'; do
  run "$tetc" opt s.tir -p "$list"
  expect "an empty name: -p '$list'" 2 err "\`-p ''\`: there is no such pass; --list-passes lists them"
  run "$tetc" opt s.tir --print-after="$list"
  expect "an empty name: --print-after='$list'" 2 err "there is no such pass"
done
run "$tetc" opt s.tir --to nothing
expect "unknown phase" 2 err "there is no such pass"
run "$tetc" opt s.tir --from storage --to tensorize
expect "phases the wrong way" 2 err 'phase `tensorize` comes before `storage`'
run "$tetc" opt s.tir -p uop --to storage
expect "-p with --to" 2 err "contradict"
run "$tetc" opt nothing.tir
expect "no such file" 3 err "nothing.tir"
echo 'func f(a: int64[8] output) { a[9] = 1; }' >w.tir
run "$tetc" opt w.tir
expect "text that does not hold together" 1 err E0116 err 'index 0 of `a` is in 9..9'
echo 'func f(a: int64[8] output) { a[0] = b[1]; a = 1; a[0] = 1i8; }' >w.tir
run "$tetc" opt w.tir
expect "several errors at once" 1 err E0101 err E0001 err E0103 err w.tir:1:37
echo 'func f(a: int8[8] output) { a[0] = 1i8 @nowhere.te:70:9; a[0] = 1 @nowhere.te:71:9; }' >w.tir
run "$tetc" opt w.tir
expect "places of files that are not there" 1 err E0103
run "$tetc" opt s.tir -o /nonexistent/x.tir
expect "output that cannot be written" 3 err "/nonexistent/x.tir"

# ---- passes on a text that is not what they are for
run "$tetc" opt -p intrin d/??-lower.tir
expect "intrin before storage" 1 err E0331 err "run the pass"
run "$tetc" opt -p storage,intrin d/??-lower.tir
expect "intrin before copies are transfers" 1 err E0331
run "$tetc" opt -p intrin d/??-storage.tir
expect "intrin before uop" 1 err E0331 err "is left for the CPU" err 'from `tensorize` to `uop`'
cat >w.tir <<'END'
func f(
  a: int64[8] input,
  b: int64[8] output
) {
  for i in 0..8 {
    b[i] = a[i + 1];
    if (i < 4) {
      b[i * 2] = a[7 - i];
    }
  }
}
END
run "$tetc" opt -p simplify --verify-each w.tir
expect "one index is not proved" 0 err "remark[R0003]: 1 of 4 indices are not proved to be in bounds, in the text" \
  err 'the first is `i + 1` of `a`' err "after simplify"
run "$tetc" opt -p simplify w.tir
expect "told with --verify-each" 0 err '!remark'
sed 's/0\.\.8/7..8/' w.tir >w2.tir
run "$tetc" opt -p simplify --verify-each w2.tir
expect "one that is always outside" 1 err E0116 err 'index 0 of `a` is in 8..8'

# ---- every phase executed
run "$tetc" verify $conv "$samples/conv2d_relu.te"
expect "verify" 0 out "lower        agrees" out "intrin       agrees" out "llvm, vta    agrees"
for p in lower tensorize inject_copy inject_alu vthread storage sync uop intrin; do
  run "$tetc" verify $conv "$samples/conv2d_relu.te" --plant-fault $p
  expect "a fault in $p is noticed" 4 err "\`conv2d_relu\` is wrong after $p" err E0902
  run "$tetc" run $conv "$samples/conv2d_relu.te" --interpret --at $p --check
  expect "run --interpret --at $p" 0 out "agree"
done
run "$tetc" verify "$samples/vector_add.te" --plant-fault nothing
expect "a fault nowhere" 2 err "there is no such phase"
run "$tetc" run "$samples/vector_add.te" --at lower
expect "--at without --interpret" 2 err "--at needs --interpret"
run "$tetc" run "$samples/vector_add.te" --interpret --at nothing
expect "--at nothing" 2 err "there is no such phase"
run "$tetc" run $conv "$samples/conv2d_relu.te"
mv out want
rm -rf conv
"$tetc" compile $conv "$samples/conv2d_relu.te" --dump-tir --dump-dir conv -o k.o
for f in conv/*.tir; do
  run "$tetc" run --interpret "$f"
  holds "run --interpret $f gives what the kernel gives" cmp out want
done
sed '0,/vta.push(load, compute);/s///' conv/??-sync.tir >edited.tir
run "$tetc" run --interpret edited.tir
expect "an edited text that never ends" 1 err "kernel \`conv2d_relu\` failed: deadlock: no unit can go on" \
  err "compute waits for a token from load, in \`vta.pop(load, compute)\` (edited.tir:"
holds "with a note a line" sh -c "! grep -qx '  = *' err"
# ---- a text that has been through sync keeps its units in order
sed '0,/vta.push(load, compute);/s///; 0,/vta.pop(load, compute);/s///' conv/??-sync.tir >edited.tir
run "$tetc" opt --from sync edited.tir
expect "a pair of tokens less" 1 err "no token orders this access after an earlier one" err "the earlier access" err "edited.tir:" \
  err '= hazard: ' err '`vta.push(load, compute)` after the earlier one and `vta.pop(load, compute)` before the other order them'
run "$tetc" run --interpret edited.tir
expect "is not executed either" 1 err "E0116" err "no token orders" '!out'
sed '/vta.sync();/d' conv/??-sync.tir >edited.tir
run "$tetc" opt --from sync edited.tir
expect "no sync at the end" 1 err "nothing waits here for the accelerator" err '`vta.sync()` before it waits'
run "$tetc" opt conv/??-sync.tir
expect "with all of them it is right" 0
# ---- what data decides: all of it counts as executed, but for tokens, of which nothing is known then
by_data() { # the middle of a program
  cat <<'END'
func f(n: int32[1] input, x: int8[64, 1, 16] input, y: int8[64, 1, 16] output) target vta {
  alloc c: int32[4, 1, 16] @vta.acc base=0;
END
  echo "$1"
  cat <<'END'
  vta.store(&y[0], &c[0], y=1, x=2, stride=2);
  vta.sync();
}
END
}
load='vta.load(&c[0], &x[0], y=1, x=2, stride=2);'
push='vta.push(compute, store);' pop='vta.pop(compute, store);'
for maybe in 'if (int64(n[0]) > 0)' 'for i in 0..int64(n[0])'; do
  by_data "$maybe { $load } $push $pop" >f.tir
  run "$tetc" opt --from sync f.tir
  expect "tokens outside: $maybe" 0 err '!not'
  by_data "$maybe { $load $push } $pop" >f.tir
  run "$tetc" opt --from sync f.tir
  expect "a push inside: $maybe" 1 err 'E0116' err 'not known whether the units of `f` are kept in order' err 'data'
  run "$tetc" run --interpret f.tir
  expect "nor executed: $maybe" 1 err 'not known whether' '!out'
  by_data "$load $maybe { $push $pop }" >f.tir
  run "$tetc" opt --from sync f.tir
  expect "order inside: $maybe" 1 err 'not known whether the units of `f` are kept in order'
  by_data "$maybe { $load vta.sync(); }" >f.tir
  run "$tetc" opt --from sync f.tir
  expect "a sync inside: $maybe" 1 err 'E0116'
  by_data "$push $pop $maybe { $load }" >f.tir
  run "$tetc" opt --from sync f.tir
  expect "too late: $maybe" 1 err 'E0116' err 'two accesses to the same tiles are not ordered'
done
by_data "if (int64(n[0]) > 0) { $load } for i in 0..2 { $push } $pop" >f.tir
run "$tetc" opt --from sync f.tir
expect "tokens in a loop of their own count" 1 err 'a token is left over'
by_data 'for i in 0..int64(n[0]) { for k in 0..1 { '"vta.load(&c[i % 2], &x[0], y=1, x=1, stride=1);"' } } '"$push $pop" >f.tir
run "$tetc" opt --from sync f.tir
expect "indices in loops of which nothing is known" 0
echo 'func f(a: int64[8] input, b: int64[8] output) { for i in 0..8 { b[i] = a[i] * a[i]; } }' >f.tir
run "$tetc" run --interpret f.tir --input a=iota --output b=b.npy
expect "a text with inputs and outputs" 0
holds "written" test -s b.npy
run "$tetc" run --interpret f.tir --input b=zero
expect "an input that is none" 2 err "no input of that name"
run "$tetc" run --interpret f.tir --check
expect "a text has no reference" 2 err 'TIR: `--check` is for kernels'
run "$tetc" run f.tir
expect "and is not compiled" 2 err "--interpret executes it"
echo 'func f(b: int64[8] output) { for i in 0..8 { b[i + 1] = i; } }' >f.tir
run "$tetc" run --interpret f.tir
expect "each access is checked" 1 err "index 8 is outside a dimension of 8" err "f.tir:1:"
echo 'func f(b: int64[8] output) { b[8] = 1; }' >f.tir
run "$tetc" run --interpret f.tir
expect "after the verifier" 1 err E0116
cat >f.tir <<'END'
func f(a: int8[16] input) target vta {
  alloc t: int32[1, 16] @vta.acc;
  vta.store(&a[0], &t[0], y=1, x=1, stride=1);
}
END
run "$tetc" run --interpret f.tir
expect "inputs are only read, by the accelerator, too" 1 err 'a store into `a`, which is an input'
sed 's/a: int8\[16\] input/a: int8[16] output/; s/&a\[0\]/\&a[5]/' f.tir >g.tir
run "$tetc" run --interpret g.tir
expect "a transfer outside" 1 err 'touches tiles 5 to 5 of `a`, which has 1'
run "$tetc" run "$samples/vector_add.te" --interpret --stats
expect "the interpreter counts nothing" 2 err "exclude each other"
run "$tetc" run "$samples/vector_add.te" --interpret --device=rtl
expect "nor has it a device" 2 err "exclude each other"
cat >two.te <<'END'
kernel one { input a[i: 4] : int8; output b = a + a; }
kernel two { input a[i: 4] : float32; output b = a * 0.5; }
END
for n in base of alloc nan_f32 inf_f8 nan_f64_ab; do
  sed "s/\\bshr\\b/$n/g; s/\\ba_buf\\b/inf_f16/g" "$samples/gemm.te" >words.te
  "$tetc" compile words.te --stop-after=sync --print-locations -o words.tir
  run "$tetc" opt --print-locations words.tir
  holds "a stage of the name $n" cmp out words.tir
done
"$tetc" compile two.te --emit=tir >two.tir
run "$tetc" opt two.tir
expect "two functions in a text" 1 err "a text holds one function"
run "$tetc" verify two.te
expect "verify two kernels" 0 out "kernel one" out "kernel two"
run "$tetc" verify two.te --input c=zero
expect "verify: unknown input" 2 err "no input of that name"
run "$tetc" verify two.te --kernel two --input a=const:3
expect "verify one of two" 0 out '!kernel' out "lower        agrees"
finish
