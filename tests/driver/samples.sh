#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# samples.sh TETC SAMPLES: the samples run exactly as written, and with other sizes, tiles and configurations.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/tap.sh"
cd "$tmp" || exit 1

agree() {
  name=$1
  shift
  run "$tetc" run "$@" --check --verify-each
  expect "$name" 0 out "elements agree"
}
for k in vector_add gemm conv2d_relu conv_block_nchw; do
  agree "$k" "$samples/$k.te"
  agree "$k, memory that is not coherent" "$samples/$k.te" --incoherent
done
agree "a layer without a schedule" "$samples/layer.te"
run "$tetc" run "$samples/layer.te" --stats --remarks
expect "a layer without a schedule runs on VTA" 0 err "\`out.conv2d\` runs on VTA: tensorized to vta.gemm" out "bound by the multipliers"
run "$tetc" plan "$samples/layer.te" -o layer.te
run "$tetc" run layer.te --check
expect "its plan is a schedule" 0 out "elements agree"
agree "gemm, tiles that do not divide" "$samples/gemm.te" -D M=12 -D N=8 -D K=4 -K kt=2
agree "conv2d_relu, stride 2" "$samples/conv2d_relu.te" -D STRIDE=2 -K th=7 -K tw=14
for o in 0 1 2 3; do agree "no narrowing of mixed extensions, -O$o" "$samples/../tests/llvm/slp_narrowing.te" -O$o --seed 21450; done
for o in 0 1 2 3; do agree "indices that wrap, -O$o" "$samples/../tests/llvm/loop_vectorizer_wrap.te" -O$o; done
for k in access guards nests folds numbers edges; do
  for o in 0 1 2 3; do agree "lanes: $k, -O$o" "$samples/../tests/llvm/vectors.te" --kernel=$k -O$o; done
done
for o in 0 2; do agree "many nests, -O$o" "$samples/../tests/llvm/many_nests.te" -O$o; done
agree "vector_add, one row" "$samples/vector_add.te" -D M=1
agree "vector_add, more rows than acc holds at once" "$samples/vector_add.te" -D M=300
agree "conv2d_relu, small" "$samples/conv2d_relu.te" -D H=14 -D W=14 -D CI=32 -D CO=16 -K th=7 -K tw=14
run "$tetc" compile "$samples/conv2d_relu_unmatched.te"
expect "conv2d_relu_unmatched is refused" 1 err "error[E0301]" err "conv2d_relu_unmatched.te:19:" err "relu.dma_copy(y1)" err "help: "
cat >wide.json <<'END'
{"TARGET": "sim", "HW_VER": "0.0.2", "LOG_INP_WIDTH": 3, "LOG_WGT_WIDTH": 3, "LOG_ACC_WIDTH": 5, "LOG_BATCH": 1,
 "LOG_BLOCK": 5, "LOG_UOP_BUFF_SIZE": 15, "LOG_INP_BUFF_SIZE": 16, "LOG_WGT_BUFF_SIZE": 19, "LOG_ACC_BUFF_SIZE": 18}
END
agree "gemm, batch 2 and block 32" "$samples/gemm.te" --vta-config wide.json -D M=8 -D N=8 -D K=8
agree "conv2d_relu, batch 2 and block 32" "$samples/conv2d_relu.te" --vta-config wide.json -D H=14 -D W=14 -K th=7 -K tw=14
cat >past.te <<'END'
kernel past { input a[i: 100] : float32; input b[i: 100] : float32; output o[i: 100] : float32 = a[i] + b[i]; }
END
# The sanitizers take faults for themselves.
if [ -z "${ASAN_OPTIONS-}" ]; then
  run "$tetc" run past.te --check --plant-fault=lower:index
  expect "an access past an array is a fault, with its name" 4 err "used memory behind the end of \`o\`"
fi
cat >wraps.te <<'END'
kernel wraps {
  input a[i: 16] : int32;
  compute t = a + 1;
  output o[y: 4, x: 16] : int32 = t[(x * 4611686018427387905) % 16];
}
schedule wraps { t.compute_at(o, y); }
END
run "$tetc" verify wraps.te
expect "an index that wraps reads all of a stage" 0 out "llvm         agrees"
finish
