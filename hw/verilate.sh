#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verilate.sh VERILATOR OUTDIR DEPFILE PREFIX args...: SystemVerilog to OUTDIR/PREFIX__ALL.cpp and OUTDIR/PREFIX*.h.
# Touches only outputs whose content changed, so that ninja compiles no more than it must.
set -eu
V=$1 O=$2 D=$3 P=$4
shift 4
M=$O/$P.obj_dir N=$O/$P.obj_dir.new
rm -rf "$N"
mkdir -p "$M" "$N"
"$V" --Mdir "$N" --MMD "$@"
# Waveforms without rows of the datapath, of 200 bits or more: they are most of the bytes, and --trace-max-width leaves no
# packed vector out.
for f in "$N"/*__Trace__*.cpp; do
  [ ! -e "$f" ] || sed -i -E -z -e 's/tracep->declArray\([^;]*, *([2-9][0-9]{2}|[0-9]{4,}),0\);//g' \
    -e 's/bufp->(full|chg)WData\([^;]*, *([2-9][0-9]{2}|[0-9]{4,})\);//g' "$f"
done
changed=0
for f in "$N"/*.cpp "$N"/*.h; do
  b=${f##*/}
  cmp -s "$f" "$M/$b" || { cp "$f" "$M/$b"; changed=1; }
done
for f in "$M"/*.cpp "$M"/*.h; do
  [ -e "$N/${f##*/}" ] || { rm -f "$f"; changed=1; }
done
for f in "$N"/*.h; do
  cmp -s "$f" "$O/${f##*/}" || cp "$f" "$O/${f##*/}"
done
if [ $changed = 1 ] || [ ! -e "$O/${P}__ALL.cpp" ]; then
  for f in "$M"/*.cpp; do echo "#include \"$P.obj_dir/${f##*/}\""; done >"$O/${P}__ALL.cpp"
fi
{ printf '%s: ' "$O/${P}__ALL.cpp"; sed -n '1s#^[^:]*:##p' "$N/${P}__ver.d"; } >"$D"
rm -rf "$N"
