#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# prove.sh [--mutants]: the properties of hw/formal/*.sv, each for the module vta_NAME at small widths: all
# states within some steps of a reset, then by induction all states. With --mutants: each fault listed in `mutants` is found.
# A proof's head says how many `steps`, and how many states the induction takes.
set -eu
mutants=
[ "${1-}" != --mutants ] || mutants=1
n=0
for tool in yosys yosys-smtbmc z3; do
  command -v $tool >/dev/null || { echo "1..0 # skip $tool is not installed"; exit 0; }
done
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# NAME FILE: the proof of NAME about the module in FILE, as a formula.
formula() {
  yosys -q -p "read_verilog -sv -formal $2 $1.sv; hierarchy -check -top proof; proc; memory -nomap; memory_map; flatten;
    opt_clean; check -assert; write_smt2 -wires $tmp/$1.smt2" >"$tmp/log" 2>&1
}

# NAME args...: whether the solver finds no counterexample.
solve() {
  name=$1
  shift
  timeout 300 yosys-smtbmc --noprogress --unroll -s z3 "$@" "$tmp/$name.smt2" >"$tmp/log" 2>&1
}

# TEXT command...: a test.
try() {
  n=$((n + 1)) text=$1
  shift
  if "$@"; then echo "ok $n - $text"; else
    echo "not ok $n - $text"
    sed 's/^/# /' "$tmp/log"
  fi
}

# NAME PROPERTY: the property, and no other before it, fails.
refuted() {
  formula "$1" "$tmp/vta_$1.sv" || return 1
  ! solve "$1" -t "$(steps "$1")" && grep -q "Assert failed in proof: $2" "$tmp/log"
}

steps() { sed -n 's,^// .*steps \([0-9]*\)\, induction [0-9]*$,\1,p' "$1.sv"; }
states() { sed -n 's,^// .*steps [0-9]*\, induction \([0-9]*\)$,\1,p' "$1.sv"; }

if [ -n "$mutants" ]; then
  while IFS='|' read -r name property change; do
    case $name in '#'*) continue ;; esac
    name=${name% } property=${property# } property=${property% }
    sed "$change" "../rtl/vta_$name.sv" >"$tmp/vta_$name.sv"
    if cmp -s "$tmp/vta_$name.sv" "../rtl/vta_$name.sv"; then
      echo "the change changes nothing: $change" >"$tmp/log"
      try "$name: $property fails" false
    else
      try "$name: $property fails" refuted "$name" "$property"
    fi
  done <mutants
else
  for f in *.sv; do
    name=${f%.sv}
    try "$name reads in Yosys" formula "$name" "../rtl/vta_$name.sv"
    try "$name: no counterexample within $(steps "$name") steps" solve "$name" -t "$(steps "$name")"
    try "$name: by induction, never" solve "$name" -i -t "$(states "$name")"
  done
fi
echo "1..$n"
