# SPDX-License-Identifier: Apache-2.0
# Sourced by the shell tests, after they set $tetc: TAP on standard output. A test says what it does, runs a command, and looks at
# $status, $tmp/out and $tmp/err.
number=0
fails=0
case $tetc in /*) ;; *) tetc=$PWD/$tetc ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ok() {
  number=$((number + 1))
  echo "ok $number - $1"
}
not_ok() {
  number=$((number + 1))
  fails=$((fails + 1))
  echo "not ok $number - $1"
  shift
  printf '%s\n' "$@" | sed 's/^/# /'
  echo "# status $status"
  head -30 "$tmp/out" "$tmp/err" 2>/dev/null | sed 's/^/# /'
}

# run COMMAND...: sets $status, $tmp/out, $tmp/err.
run() {
  status=0
  "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

# expect NAME STATUS [FILE PATTERN]...: the last run ended so, and its out or err has these (fixed) texts;
# a pattern that starts with ! must be absent.
expect() {
  name=$1
  want=$2
  shift 2
  if [ "$status" != "$want" ]; then
    not_ok "$name" "expected status $want"
    return
  fi
  while [ $# -ge 2 ]; do
    case $2 in
      !*)
        if grep -qF -e "${2#!}" "$tmp/$1"; then
          not_ok "$name" "std$1 has: ${2#!}"
          return
        fi
        ;;
      *)
        if ! grep -qF -e "$2" "$tmp/$1"; then
          not_ok "$name" "std$1 lacks: $2"
          return
        fi
        ;;
    esac
    shift 2
  done
  ok "$name"
}

# holds NAME COMMAND...: the command succeeds.
holds() {
  name=$1
  shift
  if "$@"; then ok "$name"; else not_ok "$name" "false: $*"; fi
}

finish() {
  echo "1..$number"
  [ "$fails" = 0 ]
}
