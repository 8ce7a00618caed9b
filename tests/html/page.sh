#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# page.sh TETC SAMPLES: the page of --emit=html. With TETC_LONG_TESTS, in a headless Chromium too.
set -u
tetc=$1
samples=$2
. "$(dirname "$0")/../driver/tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
cd "$tmp" || exit 1

# data_of PAGE PYTHON: an assertion about `d`, the data of the page.
data_of() {
  python3 -c 'import json, re, sys
d = json.loads(re.search(r"<script type=.application/json. id=.data.>(.*?)</script>", open(sys.argv[1]).read(), re.S)[1])
assert eval(sys.argv[2]), sys.argv[2]' "$1" "$2"
}

passes=$("$tetc" opt --list-passes | sed '1d; $d; s/ .*//' | tr '\n' ' ')
for k in vector_add gemm conv2d_relu conv_block_nchw; do
  run "$tetc" compile --emit=html "$samples/$k.te" -o $k.html
  expect "$k" 0
  run "$tetc" compile --emit=html "$samples/$k.te"
  holds "$k: the same page twice" cmp out $k.html
  holds "$k: nothing from elsewhere" sh -c "! grep -iE '<(script|link|img|iframe)[^>]* (src|href)=|@import|https?:' $k.html | grep -qv www.w3.org/2000/svg"
  phases="schedule lower $passes vta llvm"
  holds "$k: its phases" data_of $k.html "[p['name'] for p in d['kernels'][0]['phases']] == '$phases'.split()"
done
"$tetc" compile "$samples/gemm.te" --dump-tir=storage --emit=obj -o k.o >storage.tir
holds "the text of a phase is the dump" data_of gemm.html "[p['text'] for p in d['kernels'][0]['phases'] if p['name'] == 'storage'] == [open('storage.tir').read()]"
holds "memories" data_of gemm.html "[m['name'] for m in d['kernels'][0]['memories']] == ['vta.inp', 'vta.wgt', 'vta.acc']"
holds "transfers" data_of gemm.html "[c['op'] for c in d['kernels'][0]['copies']] == ['vta.load'] * 4 + ['vta.store'] * 2"
holds "sizes of a transfer" data_of gemm.html "d['kernels'][0]['copies'][0]['args'][:3] == [[8, 8], [4, 4], [16, 16]]"
holds "varying padding" data_of conv2d_relu.html \
  "[c['args'][3:5] for c in d['kernels'][0]['copies'] if c['rows'] == [16, 16]] == [[[0, 1], [0, 0]], [[0, 0], [0, 1]]]"

# ---- nothing that a user writes becomes a part of the page
cat >'<b>&"'"'.te" <<'END'
// </script><script>document.title = "broken"</script> <!-- @SCRIPT@ @DATA@
kernel one { input a[i: 4] : int8; output b = a + a; }
kernel two { input a[i: 4] : float32; output b = a * 0.5; }
END
run "$tetc" compile --emit=html '<b>&"'"'.te" -o odd.html
expect "odd names" 0
holds "stay data" data_of odd.html '"// </script>" in d["sources"][0]["text"] and "<b>" in d["sources"][0]["path"]'
holds "the title is escaped" grep -qF '<title>&#60;b&#62;&#38;&#34;&#39;.te</title>' odd.html
holds "two scripts, as ever" sh -c '[ "$(grep -c "</script>" odd.html)" = 2 ]'
holds "two kernels, no memories" data_of odd.html \
  "[(k['name'], len(k['memories']), len(k['copies'])) for k in d['kernels']] == [('one', 0, 0), ('two', 0, 0)]"
run "$tetc" compile --emit=html --stop-after inject_copy "$samples/gemm.te" -o stopped.html
expect "up to a phase" 0
holds "ends there" data_of stopped.html "d['kernels'][0]['phases'][-1]['name'] == 'inject_copy'"
run "$tetc" compile --emit=html "$samples/conv2d_relu_unmatched.te" -o refused.html
expect "a kernel that is refused has no page" 1 err E0301
holds "no file" test ! -e refused.html

run "$tetc" compile --emit=html "$samples/conv2d_relu.te" -D H=448 -D W=448 -D CI=256 -D CO=256 -o long.html
expect "a stream that is too long to list" 0
holds "has a page without the listing" data_of long.html "'cannot be listed' in d['kernels'][0]['phases'][-2]['text']"

# ---- in a browser: the address makes the page click; what is lit then is in the document
browse() {
  run timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$tmp/profile" --dump-dom "file://$tmp/$1"
}
# lit SIDE: the numbers of the lines that are lit on that side of the document in out.
lit() {
  grep -o '<div class="line[^>]*>' out | grep -E 'class="[^"]*\blit\b' | sed -n "s/.*id=\"$1-\([0-9]*\)\".*/\1/p" | tr '\n' ' '
}
if [ -n "${TETC_LONG_TESTS-}" ]; then
  browse "gemm.html#left=source&right=storage&click=left:26"
  expect "a source line is clicked" 0 out "gemm.te:26"
  want=$("$tetc" compile "$samples/gemm.te" --dump-tir=storage --print-locations --emit=obj -o k.o |
    grep -nE '@[^ ]*gemm.te:26:[0-9]+' | cut -d: -f1 | tr '\n' ' ')
  holds "its TIR is lit: $want" test "$(lit right)" = "${want:-none}"
  holds "the source line is lit" test "$(lit left)" = "26 "
  browse "gemm.html#left=source&right=storage&click=right:${want%% *}"
  holds "a line of TIR is clicked: its source is lit" test "$(lit left)" = "26 "
  browse "gemm.html#left=tensorize&right=inject_copy"
  expect "two phases" 0 out 'class="line add linked"' out 'class="line cut linked"' out 'class="line cut"'
  browse "conv2d_relu.html"
  expect "maps are drawn" 0 out ">bias_buf_1</button>" out 'pad ← data' out 'class="pad"' out 'vta.acc'
  run python3 "$here/keyboard.py" "$tetc" "$samples"
  expect "keys and mouse" 0 out "1..16"
  browse "odd.html#kernel=two"
  expect "odd names are shown" 0 out '&lt;/script&gt;&lt;script&gt;document.title' out '>two<' out '!<title>broken'
fi
finish
