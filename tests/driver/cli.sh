#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cli.sh TETC SAMPLES: the command line, right and wrong.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/tap.sh"
cat >"$tmp/k.te" <<'END'
kernel k {
  input a[i: 6] : int32;
  output b = a * 2 + 1;
}
END
cat >"$tmp/two.te" <<'END'
kernel one { input a[i: 4] : int8; output b = a + a; }
kernel two { input a[i: 4] : float32; output b = a * 0.5; }
END
cat >"$tmp/bad.te" <<'END'
kernel k {
  input a[i: 6] : int32;
  output b = nothing + 1;
  output c = a + 1.5;
}
END
cd "$tmp" || exit 1

# ---- information
run "$tetc" --help
expect "help" 0 out compile out check out explain
run "$tetc" compile --help
expect "help of a command" 0 out --emit=obj out --dump-tir out "exit status"
run "$tetc" run -h
expect "-h" 0 out --device=fsim out '!--emit'
run "$tetc" --version
expect "version" 0 out "tetc 0."
run "$tetc" --list-passes
expect "passes are listed" 0 out inject_copy out storage out lower
run "$tetc" explain E0301
expect "explain" 0 out E0301
run "$tetc" explain
expect "explain lists" 0 out E0001 out E0902

holds "every code has a page under its title" sh -c 'while read -r code title; do
  [ "$("$1" explain "$code" | head -1)" = "## $code $title" ] || { echo "# $code"; exit 1; }; done <out' - "$tetc"

# ---- wrong usage: 2
run "$tetc"
expect "no command" 2 err "a command is missing"
run "$tetc" complie k.te
expect "misspelt command" 2 err 'did you mean `compile`?'
run "$tetc" k.te
expect "a file for a command" 2 err 'tetc compile k.te'
run "$tetc" compile
expect "no file" 2 err "FILE.te is missing"
run "$tetc" compile k.te two.te
expect "two files" 2 err "two.te"
run "$tetc" compile k.te --emti=obj
expect "misspelt option" 2 err 'did you mean `--emit`?'
run "$tetc" compile k.te --emit=elf
expect "unknown choice" 2 err "obj|shared|asm"
run "$tetc" compile k.te -o
expect "value missing" 2 err "needs a value"
run "$tetc" run k.te --output c=x.npy --output=d=./x.npy
expect "two outputs to one file" 2 err "is the file of two outputs"
run "$tetc" compile k.te --remarks=yes
expect "value of a flag" 2 err "takes no value"
run "$tetc" compile k.te -D M
expect "-D without value" 2 err "NAME=NUMBER"
run "$tetc" compile k.te -D M=x
expect "-D with a bad value" 2 err "NAME=NUMBER"
run "$tetc" compile k.te -K M=99999999999999999999
expect "-K with a large value" 2 err "NAME=INTEGER"
run "$tetc" compile k.te -O7
expect "-O7" 2 err '`-O` takes'
run "$tetc" check k.te -o x
expect "option of another command" 2 err 'not an option of `tetc check`'
run "$tetc" compile k.te --dump-tir=nowhere
expect "unknown phase" 2 err 'no phase `nowhere`'
run "$tetc" compile k.te --stop-after=nowhere
expect "unknown phase to stop" 2 err 'no phase `nowhere`'
run "$tetc" explain E9999
expect "unknown code" 2 err E9999
run "$tetc" run k.te --input x=zero
expect "unknown input" 2 err 'it has `a`'
run "$tetc" run k.te --input a=zero --input a=iota
expect "input given twice" 2 err twice
run "$tetc" run k.te --output a=x.npy
expect "an input is no output" 2 err 'it has `b`'
run "$tetc" run two.te
expect "several kernels" 2 err "--kernel"
run "$tetc" compile k.te -o k.h
expect "object over its header" 2 err header

# ---- files: 3
run "$tetc" compile nothing.te
expect "no such file" 3 err 'cannot read `nothing.te`: No such file'
run "$tetc" compile .
expect "a directory" 3 err "it is a directory"
printf 'kernel\000' >nul.te
run "$tetc" check nul.te
expect "NUL in the source" 3 err "not text"
run "$tetc" compile k.te -o /nonexistent/k.o
expect "unwritable output" 3 err "cannot write"
run "$tetc" compile k.te -o /dev/full
expect "full disk" 3 err "No space left"
run "$tetc" compile k.te --vta-config nothing.json
expect "no configuration" 3 err "nothing.json"
run "$tetc" run k.te --input a=nothing.npy
expect "no tensor" 3 err "nothing.npy"
run "$tetc" run k.te --output b=/nonexistent/b.npy
expect "unwritable tensor" 3 err "cannot write"
run "$tetc" compile k.te --dump-dir /nonexistent/d
expect "unwritable dumps" 3 err "cannot make the directory"
holds "nothing is left behind" sh -c '[ -z "$(ls -A | grep tetc-)" ]'
holds "no half-written object" sh -c '! ls k.o k.h 2>/dev/null'

# ---- errors in the input: 1
run "$tetc" check bad.te
expect "several errors" 1 err "nothing" err "bad.te:3" err "bad.te:4"
run "$tetc" compile bad.te
expect "no object of an erroneous file" 1
holds "none was written" sh -c '! ls bad.o bad.h 2>/dev/null'
run "$tetc" check --diagnostics=json bad.te
expect "JSON" 1 err '"severity":"error"' err '"line_start":3'
holds "every line is JSON" python3 -c 'import json,sys
for l in open("err"): json.loads(l)'
run "$tetc" check --diagnostics=sarif bad.te
holds "SARIF" python3 -c 'import json
r = json.load(open("err"))["runs"][0]
assert r["results"][0]["level"] == "error" and r["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 3'
run "$tetc" check --color=always bad.te
holds "colours when asked for" grep -q "$(printf '\033')" err
run "$tetc" check bad.te
holds "no colours elsewhere" sh -c '! grep -q "$(printf "\033")" err'
run "$tetc" check k.te -D M=3
expect "unknown param" 1 err M
run "$tetc" check k.te -K t=3
expect "unknown knob" 1 err t
run "$tetc" check k.te --kernel other
expect "unknown kernel" 1 err 'choose one that it has: `k`'
run "$tetc" check k.te --schedule other
expect "unknown schedule" 1 err other
echo '{"LOG_BATCH": "x"}' >bad.json
run "$tetc" check k.te --vta-config bad.json
expect "bad configuration" 1 err bad.json
awk 'BEGIN { print "kernel k { input s0[i: 8] : int32;"; for (i = 1; i < 3000; i++) printf "compute s%d = s%d + 1;\n", i, i - 1
  print "output o = s2999; }" }' >long.te
run "$tetc" check long.te --memory-limit=1
expect "memory limit" 3 err E0404

awk 'BEGIN { print "kernel k { input s0[i: 4] : int32;"; for (i = 1; i < 30000; i++) printf "compute s%d = s%d + 1;\n", i, i - 1
  print "output o = s29999; }" }' >stages.te
run "$tetc" check stages.te
expect "thirty thousand stages" 0
for open in '(' '-' '!' 'abs(' 'a + ' 'true ? a : '; do
  awk -v o="$open" 'BEGIN { printf "kernel k { input a[i: 4] : int32; output b = "; for (i = 0; i < 1000000; i++) printf "%s", o; print "a; }" }' >deep.te
  run "$tetc" check deep.te
  expect "a million times \`$open\`" 1 err "error[E00"
done
echo 'import "b.te"; const A = 1;' >a.te
echo 'import "a.te"; const B = 1;' >b.te
run "$tetc" check a.te
expect "imports in a circle" 1 err "E0109" err "imports itself"
run "$tetc" check /dev/null
expect "nothing" 1 err E0111
tr -d '\000' <"$tetc" | head -c 100000 >noise.te
run "$tetc" check noise.te
expect "noise" 1 err "error[E0"

# ---- products: 0
run "$tetc" compile k.te
expect "compile" 0
holds "writes k.o and k.h" sh -c '[ -s k.o ] && [ -s k.h ]'
rm -f k.o k.h
mkdir sub && cp k.te sub/in.te
run "$tetc" compile sub/in.te -o sub/x.o
expect "-o" 0
holds "header beside it" sh -c '[ -s sub/x.o ] && [ -s sub/x.h ] && [ ! -e in.o ]'
run "$tetc" compile k.te -o -
holds "-o - gives the same object" sh -c '"$1" compile k.te -o a.o && cmp out a.o' - "$tetc"
run sh -c '"$1" compile - -o b.o <k.te' - "$tetc"
expect "source from standard input" 0
holds "it compiles" sh -c '[ -s b.o ] && [ -s b.h ]'
run "$tetc" compile two.te -o two.o
expect "two kernels in one object" 0
holds "both are in the header" sh -c 'grep -q "one" two.h && grep -q "two" two.h'
cat >main.c <<'END'
#include <stdio.h>
#include "k.h"
int main(void) {
  int32_t a[6] = {0, 1, 2, 3, 4, 5}, b[6];
  int status = k(a, b);
  for (int i = 0; i < 6; i++) printf("%d ", (int)b[i]);
  return status;
}
END
run sh -c '"$1" compile k.te && ${CC:-cc} -Wall -Werror main.c k.o -lm -o main && ./main' - "$tetc"
expect "the object is a plain C function" 0 out "1 3 5 7 9 11"
run sh -c '"$1" compile k.te --emit=shared && ${CC:-cc} main.c ./k.so -o main && ./main' - "$tetc"
expect "--emit=shared" 0 out "1 3 5 7 9 11"
for e in asm llvm tir header vta; do
  run "$tetc" compile "$samples/vector_add.te" --emit=$e
  expect "--emit=$e to standard output" 0 out vector_add
done
run "$tetc" compile "$samples/vector_add.te" --emit=vta
expect "instructions" 0 out load out store out alu
cat > mirrored.te << 'END'
target vta;
kernel k {
  input a[y: 4, b: vta.batch, j: vta.block_out] : int32;
  compute p[y: 6, b: vta.batch, j: vta.block_out] : int32 = sqrt(float32(y)) > 1.0 ? a[abs(y - 3), b, j] : 0;
  output o = int8(p);
}
schedule k { yo, yi = o.split(y, 1); p.set_scope(vta.acc); p.compute_at(o, yo); p.dma_copy(); o.dma_copy(yi); }
END
run "$tetc" compile mirrored.te --emit=vta
expect "instructions whose places are computed with functions" 0 out "a tile 2" out "a tile 1" out "a tile 0"
run "$tetc" compile -- k.te
expect "-- ends options" 0
ln -s a.o link.o
run "$tetc" compile k.te -o link.o
holds "links are followed" test -L link.o
run "$tetc" compile k.te -o /dev/null
expect "/dev/null" 0
holds "/dev/null is still there" test -c /dev/null
run "$tetc" compile "$samples/conv2d_relu.te" --dump-tir --dump-dir d -o c.o
expect "dumps" 0
holds "the dumps are files" sh -c '[ -s d/00-te.te ] && [ -s d/01-schedule.txt ] && [ -s d/02-lower.tir ] && ls d/*-llvm.ll d/*-vta.vta >/dev/null'
run "$tetc" compile "$samples/conv2d_relu.te" --dump-tir -o c.o
expect "dumps on standard output" 0 out "02-lower" out "vta.gemm"
run "$tetc" compile "$samples/conv2d_relu.te" --dump-tir=lower -o c.o
holds "one phase alone is the dump itself" cmp out d/02-lower.tir
run "$tetc" check d/00-te.te
expect "the dump of te is a kernel" 0
run "$tetc" check "$samples/conv2d_relu.te" --print-changed
expect "changes" 0 out "@@"
run "$tetc" check "$samples/conv2d_relu.te" --stop-after=lower --dump-tir
expect "--stop-after" 0 out "02-lower" out '!inject_copy'
run "$tetc" check "$samples/conv2d_relu.te" --time-passes
expect "times" 0 err lower err total
run "$tetc" check "$samples/conv_block_nchw.te" --remarks
expect "remarks" 0 err qdata err conv err R0001
run "$tetc" check "$samples/conv_block_nchw.te" --verify-each
expect "verified passes" 0
holds "the same bytes again" sh -c '"$1" compile "$2/conv2d_relu.te" -o e.o && cmp c.o e.o' - "$tetc" "$samples"
if command -v strace >/dev/null; then
  strace -f -e trace=openat -o trace "$tetc" check k.te
  holds "check does not load LLVM" sh -c '! grep -q "libLLVM\|libtetc_llvm_backend" trace'
fi

# ---- run
run "$tetc" run k.te --check
expect "run" 0 out "check: b: 6 elements agree"
run sh -c '"$1" run k.te --check >/dev/full' - "$tetc"
expect "a full disk under standard output" 3 err "cannot write to standard output"
run "$tetc" run k.te --input a=iota --output b=b.npy
expect "output to a file" 0
holds "its contents" python3 -c 'import struct
d = open("b.npy", "rb").read()
assert d[:8] == b"\x93NUMPY\x01\x00" and len(d) == 128 + 24, len(d)
assert struct.unpack("<6i", d[128:]) == (1, 3, 5, 7, 9, 11)'
run "$tetc" run k.te --input a=b.npy --output b=-
holds "to standard output" python3 -c 'import struct
assert struct.unpack("<6i", open("out", "rb").read()[128:]) == (3, 7, 11, 15, 19, 23)'
printf 'kernel k { input a[i: 2, j: 3] : int32; output b = a; }' >k23.te
run "$tetc" run k23.te --input a=b.npy
expect "a tensor of the wrong shape" 1 err "E0602" err "its shape is int32[6]" err 'int32[2, 3] for `a`'
printf 'kernel k { input a[i: 6] : float32; output b = a; }' >kf.te
run "$tetc" run kf.te --input a=b.npy
expect "a tensor of another type that has the values" 0 out "from 1 to 11"
run "$tetc" run kf.te --input a=const:0.5 --output b=half.npy
run "$tetc" run k.te --input a=half.npy
expect "a tensor of another type that has not" 1 err "E0602" err '0.5 at [0] is no value of int32' err 'int32[6] for `a`'
head -c 140 b.npy >short.npy
run "$tetc" run k.te --input a=short.npy --output b=never.npy
expect "a tensor cut short" 1 err "cut short: 12 of 24 bytes"
run "$tetc" run k.te --input a=k.te
expect "no tensor at all" 1 err "it is no .npy file"
holds "nothing was written" test ! -e never.npy
run "$tetc" run k.te --output b=/dev/full
expect "a full disk" 3 err "No space left"
run "$tetc" run k.te --input a=const:-3
expect "constants" 0 out "from -5 to -5"
run "$tetc" run k.te --input a=const:x
expect "bad constant" 1 err const:x
run "$tetc" run k.te --input a=random:x
expect "bad seed" 1 err random:x
run "$tetc" run two.te --kernel two --check
expect "kernel by name" 0 out "elements agree"
run "$tetc" run k.te --seed 1
cp out seed1
run "$tetc" run k.te --seed 1
holds "a seed repeats" cmp out seed1
run "$tetc" run k.te --seed 2
holds "another seed differs" sh -c '! cmp -s out seed1'
run "$tetc" run "$samples/vector_add.te" --check --stats
expect "counters" 0 out "instructions" out "bytes stored"
run "$tetc" run k.te --device=rtl
case $status in 0 | 1) ok "--device=rtl runs, or says that it is not there" ;; *) not_ok "--device=rtl" ;; esac
finish
