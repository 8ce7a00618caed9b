#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# refusals.sh TETC VTA_PARAMS ROOT: models that are not built or cannot be, kernels that stop the core; and the documented
# addresses of its counters.
tetc=$(realpath "$1") params=$(realpath "$2") root=$3 n=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
# expect NAME STATUS TEXT...: what ran last ended so, and said all of these.
expect() {
  name=$1 missing=
  [ "$status" = "$2" ] || missing="status $2, not $status"
  shift 2
  for text in "$@"; do grep -qF -- "$text" err || missing="$missing, \`$text\`"; done
  n=$((n + 1))
  if [ -z "$missing" ]; then echo "ok $n - $name"; else echo "not ok $n - $name: $missing"; sed 's/^/# /' err; fi
}
run() {
  status=0
  "$@" >out 2>err || status=$?
}

echo '{"LOG_BLOCK": 3, "LOG_ACC_BUFF_SIZE": 12}' >other.json
run "$tetc" run "$root/samples/vector_add.te" --device=rtl --vta-config=other.json --rtl-bus=256 -D M=4
expect "a model that is not built" 1 "not available for other.json and a bus of 256 bits" "default_64" \
  "./dev rtl other.json 256"
run "$tetc" run "$root/samples/vector_add.te" --device=rtl --rtl-bus=96
expect "a bus that cannot be" 2 "64|128|256|512"
run "$tetc" run "$root/samples/vector_add.te" --rtl-bus=128
expect "a bus without the core" 2 "--device=rtl"
run "$params" "$root/hw/configs/default.json" 96 Vvta x.f x.h
expect "parameters for a bus that cannot be" 1 "64, 128, 256 or 512 bits, not 96"
echo '{"LOG_ACC_BUFF_SIZE": 8}' >few.json
run "$params" few.json 64 Vvta x.f x.h
expect "too few accumulators" 1 "four banks"
echo '{"LOG_ACC_BUFF_SIZE": 30}' >many.json
run "$params" many.json 64 Vvta x.f x.h
expect "what does not encode" 1 "LOG_ACC_BUFF_SIZE is too large"
run "$params" nowhere.json 64 Vvta x.f x.h
expect "no configuration" 1 "nowhere.json"
run "$tetc" run "$root/samples/gemm.te" --device=rtl --plant-fault=sync:token
expect "a deadlock" 4 "the core stopped with error 5, deadlock" "load waits at #15; compute waits at #6; store waits at #40" \
  "gemm.te:18" "it stopped at an instruction of this"
run "$tetc" run "$root/samples/gemm.te" --device=rtl --plant-fault=sync:token --vta-config="$root/hw/configs/small.json" \
  --rtl-bus=128
expect "a deadlock of another model" 4 "the core stopped with error 5, deadlock" "it stopped at an instruction of this"
# The table of counters in docs/hardware.md has each at its address.
at=128 status=0
sed -n 's/^COUNTER([A-Z_]*, "\(.*\)").*/\1/p' "$root/src/runtime/counters.def" >counters
: >err
while read -r text; do
  line=$(printf '| 0x%x | %s |' "$at" "$text")
  grep -qF -- "$line" "$root/docs/hardware.md" || { status=1; echo "not in docs/hardware.md: $line" >>err; }
  at=$((at + 4))
done <counters
[ "$at" -gt 128 ] || status=1
expect "the counters' addresses are documented" 0
echo "1..$n"
