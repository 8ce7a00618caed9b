// SPDX-License-Identifier: Apache-2.0
// The page of `tetc compile --emit=html`. Data are of the form that html.c writes:
//   { sources: [{path, text}], kernels: [{name, phases: [phase], memories: [memory], copies: [copy]}] }
//   phase: {name, what, text, tir: bool, places: [[line, source, first, last, source, first, last]]}: the place of a line
//     and the place that asked for it (source -1: none); lines count from 1, sources from 0
//   memory: {name, depth, bytes (of a tile), buffers: [{line, base, tiles, from, to}]}; lines are of the phase `at`
//   copy: {line, op, bytes (of a tile), times, args: [[lo, hi]], rows: [lo, hi], columns: [lo, hi]}: both with padding
// Texts reach the document as text nodes only.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = id => document.getElementById(id);
  const state = { kernel: 0, side: { left: 0, right: 0 }, chosen: null };
  const sides = ["left", "right"], mostLines = 20000;
  let views = []; // of the kernel: {name, what, lines, tir, source (index or -1), at: line -> places}

  // ---- elements

  function element(tag, className, ...children) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    e.append(...children);
    return e;
  }
  function drawing(tag, attributes, ...children) {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }
  const base = path => path.slice(path.lastIndexOf("/") + 1);
  const plural = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

  // ---- texts

  function linesOf(text) {
    const lines = text.split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    return lines;
  }

  // The place that ends a line of the instruction listing, `; gemm.te:14`.
  function listingPlaces(lines) {
    const found = [];
    lines.forEach((line, i) => {
      const m = /; ([^;]+):(\d+)$/.exec(line);
      const source = m ? data.sources.findIndex(s => base(s.path) === base(m[1])) : -1;
      if (source >= 0) found.push([i + 1, source, +m[2], +m[2], -1, 0, 0]);
    });
    return found;
  }

  function makeViews(kernel) {
    const list = data.sources.map((s, i) => ({
      name: i ? base(s.path) : "source", what: s.path, lines: linesOf(s.text), tir: false, source: i, at: new Map() }));
    for (const p of kernel.phases) {
      const lines = linesOf(p.text), at = new Map();
      for (const place of p.places.length || p.tir ? p.places : listingPlaces(lines)) {
        if (!at.has(place[0])) at.set(place[0], []);
        at.get(place[0]).push(place);
      }
      list.push({ name: p.name, what: p.what, lines, tir: p.tir, source: -1, at });
    }
    list.forEach((v, i) => v.before = v.tir && list[i - 1].tir ? list[i - 1] : null);
    for (const v of list)
      for (const [, places] of v.at)
        for (const p of places) {
          note(list, p[1], p[2], p[3]);
          note(list, p[4], p[5], p[6]);
        }
    return list;
  }
  // Marks source lines that something became of.
  function note(list, source, first, last) {
    for (let l = first; source >= 0 && l <= last; l++) list[source].at.set(l, []);
  }

  // Which lines differ, leading space aside: [Set of a's, Set of b's], both from 0. Long texts are compared as sets.
  function difference(a, b) {
    a = a.map(s => s.trim());
    b = b.map(s => s.trim());
    let head = 0, n = a.length, m = b.length;
    while (head < n && head < m && a[head] === b[head]) head++;
    while (n > head && m > head && a[n - 1] === b[m - 1]) n--, m--;
    const cut = new Set(), add = new Set(), rows = n - head, columns = m - head;
    if (rows * columns > 4e6) {
      const inA = new Set(a), inB = new Set(b);
      for (let i = head; i < n; i++) if (!inB.has(a[i])) cut.add(i);
      for (let j = head; j < m; j++) if (!inA.has(b[j])) add.add(j);
      return [cut, add];
    }
    const table = new Uint32Array((rows + 1) * (columns + 1)), at = (i, j) => i * (columns + 1) + j;
    for (let i = rows; i-- > 0;)
      for (let j = columns; j-- > 0;)
        table[at(i, j)] = a[head + i] === b[head + j] ? table[at(i + 1, j + 1)] + 1 :
          Math.max(table[at(i + 1, j)], table[at(i, j + 1)]);
    for (let i = 0, j = 0; i < rows || j < columns;) {
      if (i < rows && j < columns && a[head + i] === b[head + j]) i++, j++;
      else if (i < rows && (j === columns || table[at(i + 1, j)] >= table[at(i, j + 1)])) cut.add(head + i++);
      else add.add(head + j++);
    }
    return [cut, add];
  }

  // Comments, words, intrinsics, numbers.
  const teWords = "func target for in if else alloc input output of base parallel vthread vectorized unrolled kernel " +
    "schedule compute param const knob import sum max min prod";
  const listingWords = "load compute store define declare call ret br label";
  const tokens = (comment, words) => new RegExp(String.raw`(${comment}.*)|\b(${words.replaceAll(" ", "|")})\b(?!\.)|` +
    String.raw`(\bvta\.\w+)|\b(\d[\w.]*?)(?=\.\.|\b)`, "g");
  const teToken = tokens("//", teWords), listingToken = tokens(";", listingWords);
  // A line with its words coloured; only listings and LLVM IR have comments after `;`.
  function coloured(text, semicolon) {
    const out = [];
    let last = 0;
    for (const m of text.matchAll(semicolon ? listingToken : teToken)) {
      if (m.index > last) out.push(text.slice(last, m.index));
      out.push(element("span", m[1] ? "c" : m[2] ? "w" : m[3] ? "o" : "d", m[0]));
      last = m.index + m[0].length;
    }
    out.push(text.slice(last));
    return out;
  }

  // ---- panes

  function shown(side) { return views[state.side[side]]; }

  // What the marks of a side compare with: the other side if both are TIR, else the phase before.
  function marksOf(side) {
    const left = shown("left"), right = shown("right");
    if (left.tir && right.tir && left !== right) return difference(left.lines, right.lines)[side === "left" ? 0 : 1];
    const v = shown(side);
    return v.before ? difference(v.before.lines, v.lines)[1] : new Set();
  }

  // Two phases stand line by line beside each other: how many empty rows go before each line of that side.
  function gapsOf(side) {
    const gaps = new Map(), left = shown("left"), right = shown("right");
    if (!aligned()) return gaps;
    const [cut, add] = difference(left.lines, right.lines);
    for (let i = 0, j = 0; i < left.lines.length || j < right.lines.length; i++, j++) {
      const i0 = i, j0 = j;
      while (cut.has(i)) i++;
      while (add.has(j)) j++;
      const more = (i - i0) - (j - j0);
      if (side === "left" ? more < 0 : more > 0) gaps.set(side === "left" ? i : j, Math.abs(more));
    }
    return gaps;
  }
  const aligned = () => shown("left").tir && shown("right").tir && sides.every(s => shown(s).lines.length <= mostLines);
  const emptyRow = () => element("div", "line gap");
  const rowsOf = side => $(side + "-code").querySelectorAll("[data-n]");

  function fill(side) {
    const v = shown(side), box = $(side + "-code"), marks = marksOf(side), gaps = gapsOf(side);
    const removed = side === "left" && shown("right").tir && v.tir && shown("right") !== v;
    const rows = v.lines.slice(0, mostLines).flatMap((text, i) => {
      const row = element("div", "line", element("span", "mark", marks.has(i) ? removed ? "−" : "+" : ""),
        ...coloured(text, v.source < 0 && !v.tir && v.name !== "schedule"));
      row.dataset.n = i + 1;
      row.id = `${side}-${i + 1}`;
      row.setAttribute("role", "option");
      if (marks.has(i)) row.classList.add(removed ? "cut" : "add");
      if (v.at.has(i + 1)) row.classList.add("linked");
      return [...Array.from({ length: gaps.get(i) || 0 }, emptyRow), row];
    });
    rows.push(...Array.from({ length: gaps.get(v.lines.length) || 0 }, emptyRow));
    if (v.lines.length > mostLines) rows.push(element("div", "line c", `… ${plural(v.lines.length - mostLines, "line")} more`));
    box.replaceChildren(...rows);
    box.scrollTop = 0;
    $(side).value = state.side[side];
    $(side + "-what").textContent = v.what;
    setCursor(side, 1, false);
  }

  function setCursor(side, n, scroll) {
    const box = $(side + "-code"), row = $(`${side}-${n}`);
    box.querySelector(".cursor")?.classList.remove("cursor");
    if (!row) return;
    row.classList.add("cursor");
    box.setAttribute("aria-activedescendant", row.id);
    if (scroll) row.scrollIntoView({ block: "nearest" });
  }
  function cursorOf(side) {
    const row = $(side + "-code").querySelector(".cursor");
    return row ? +row.dataset.n : 1;
  }

  // ---- links

  const touches = (source, first, last, p) => source >= 0 && source === p.source && first <= p.last && p.first <= last;

  // How line n of a view belongs to what is chosen: "lit" (comes from it), "why" (asked for by it) or "".
  function relation(v, n, chosen) {
    const { of, why } = chosen;
    if (v.source >= 0) {
      if (of.some(p => touches(v.source, n, n, p))) return "lit";
      return why.some(p => touches(v.source, n, n, p)) ? "why" : "";
    }
    let best = "";
    for (const p of v.at.get(n) || []) {
      if (of.some(q => touches(p[1], p[2], p[3], q))) return "lit";
      if (chosen.line && of.some(q => touches(p[4], p[5], p[6], q))) best = "why";
    }
    return best;
  }

  // What a line means: a source line means itself; a line of TIR the places that it has.
  function chosenAt(v, n) {
    if (v.source >= 0) return { line: true, of: [{ source: v.source, first: n, last: n }], why: [] };
    const places = v.at.get(n) || [];
    return { line: false,
      of: places.filter(p => p[1] >= 0).map(p => ({ source: p[1], first: p[2], last: p[3] })),
      why: places.filter(p => p[4] >= 0).map(p => ({ source: p[4], first: p[5], last: p[6] })) };
  }

  function choose(side, n) {
    const v = shown(side);
    setCursor(side, n, false);
    if (!v.at.has(n)) return clear();
    state.chosen = { ...chosenAt(v, n), side, n };
    light();
    for (const s of sides) if (s !== side) $(s + "-code").querySelector(".lit, .why")?.scrollIntoView({ block: "center" });
    remember();
  }

  function clear() {
    state.chosen = null;
    light();
    remember();
  }

  function light() {
    const c = state.chosen;
    for (const side of sides) {
      const v = shown(side);
      rowsOf(side).forEach(row => {
        const how = c ? relation(v, +row.dataset.n, c) : "";
        row.classList.toggle("lit", how === "lit");
        row.classList.toggle("why", how === "why");
        row.setAttribute("aria-selected", how ? "true" : "false");
      });
    }
    for (const e of document.querySelectorAll("[data-at]")) {
      const v = views[mapView()];
      e.classList.toggle("lit", !!c && !!v && relation(v, +e.dataset.at, c) !== "");
    }
    describe(c);
  }

  const placeText = p => `${base(data.sources[p.source].path)}:${p.first}`;
  const sourceText = p => linesOf(data.sources[p.source].text).slice(p.first - 1, p.last).map(s => s.trim()).join(" ");

  function describe(c) {
    const box = $("detail");
    box.replaceChildren();
    if (!c) return;
    for (const [label, list] of [["", c.of], ["asked for by ", c.why]])
      for (const p of list) box.append(box.childNodes.length ? "\n" : "", label, element("b", "", placeText(p)), "  ", sourceText(p));
    const counts = views.filter(v => v.source < 0 && v.at.size).map(v => {
      let n = 0;
      for (const line of v.at.keys()) if (relation(v, line, c)) n++;
      return `${v.name} ${n}`;
    });
    if (c.line) box.append(`\nlines that it became:  ${counts.join("  ")}`);
  }

  // ---- memories and transfers

  const kernel = () => data.kernels[state.kernel];
  const mapView = () => views.findIndex(v => v.name === kernel().at);

  function nameAt(line) {
    const text = views[mapView()].lines[line - 1] || "";
    return /alloc (\w+)/.exec(text)?.[1] || text.trim();
  }

  // Shows a line of the phase that the maps are of.
  function goTo(line) {
    const at = mapView();
    if (state.side.right !== at) show("right", at);
    choose("right", line);
    $("right-" + line).scrollIntoView({ block: "center" });
    light();
  }

  function drawMemory(m) {
    const used = Math.max(...m.buffers.map(b => b.base + b.tiles));
    const ranks = [...new Set(m.buffers.flatMap(b => [b.from, b.to + 1]))].sort((a, b) => a - b);
    const row = Math.max(20, 24 - ranks.length / 4);
    const map = element("div", "map");
    map.style.height = `${(ranks.length - 1) * row + 2}px`;
    m.buffers.forEach((b, i) => {
      const box = element("button", "", nameAt(b.line));
      const top = ranks.indexOf(b.from) * row;
      box.type = "button";
      box.style.cssText = `left:${100 * b.base / used}%;width:max(7px, ${100 * b.tiles / used}%);top:${top + 1}px;` +
        `height:${ranks.indexOf(b.to + 1) * row - top - 1}px`;
      box.style.setProperty("--hue", (i * 137 + 205) % 360);
      box.title = `${views[mapView()].lines[b.line - 1].trim()}\n${plural(b.tiles, "tile")} from ${b.base}, ` +
        `${plural(b.tiles * m.bytes, "byte")}; lines ${b.from} to ${b.to}`;
      box.dataset.at = b.line;
      box.onclick = () => goTo(b.line);
      map.append(box);
    });
    const bar = element("i");
    bar.style.width = `${Math.min(100, 100 * used / m.depth)}%`;
    return element("div", "memory",
      element("h3", "", m.name, element("span", "", `  ${used.toLocaleString("en")} of ${plural(m.depth, "tile")} ` +
        `(${(100 * used / m.depth).toFixed(used < m.depth / 100 ? 1 : 0)} %), ${plural(used * m.bytes, "byte")}`)),
      element("div", "meter", bar), map,
      element("div", "ticks", element("span", "", "0"), element("span", "", Math.round(used / 2)), element("span", "", used)));
  }

  const rangeText = a => a === null ? "?" : a[0] === a[1] ? `${a[0]}` : `${a[0]}..${a[1]}`;
  const most = a => a === null ? 0 : Math.max(0, a[1]);

  // A rectangle of rows: solid, or each by itself where they are few.
  function rows(out, className, x, y, w, h, count) {
    if (count > 1 && h / count >= 5)
      for (let i = 0; i < count; i++) out.push(drawing("rect", { class: className, x, y: y + i * h / count + .5, width: w, height: h / count - 1 }));
    else out.push(drawing("rect", { class: className, x, y, width: w, height: h }));
  }

  function drawCopy(c, index) {
    const zero = c.op === "vta.zero", text = views[mapView()].lines[c.line - 1];
    const [y, x, stride] = zero ? [[1, 1], c.args[0], c.args[0]] : c.args;
    const pads = c.args.length >= 7 ? c.args.slice(3, 7) : [[0, 0], [0, 0], [0, 0], [0, 0]];
    const [p0, p1, q0, q1] = pads.map(most), down = Math.max(1, most(c.rows)), across = Math.max(1, most(c.columns));
    const yn = Math.max(0, Math.min(most(y), down - p0 - p1)), xn = Math.max(0, Math.min(most(x), across - q0 - q1));
    const sn = Math.max(xn, most(stride));
    const parts = [], W = 180, H = 110, store = c.op === "vta.store";
    const width = n => Math.max(n ? 3 : 0, n), top = 6;
    const hostW = Math.max(6, W * Math.min(1, xn / Math.max(1, sn))), hostH = Math.min(H, Math.max(14, yn * 14));
    if (!zero) {
      rows(parts, "host", 4, top, W, hostH, yn);
      rows(parts, "data", 4, top, hostW, hostH, yn);
    }
    const unit = W / across, step = Math.min(14, H / down);
    const chipX = 226, left = q0 ? width(q0 * unit) : 0, right = q1 ? width(q1 * unit) : 0;
    const up = p0 ? Math.max(4, p0 * step) : 0, under = p1 ? Math.max(4, p1 * step) : 0;
    const boxH = Math.max(14, yn * step);
    if (left || right || up || under)
      parts.push(drawing("rect", { class: "pad", x: chipX, y: top, width: W, height: up + boxH + under }));
    rows(parts, "data", chipX + left, top + up, W - left - right, boxH, yn);
    if (!zero) {
      const [from, to] = store ? [chipX - 6, 190] : [190, chipX - 6], head = store ? 5 : -5;
      parts.push(drawing("path", { class: "arrow", d: `M${from} 16 H${to} m${head} -4 l${-head} 4 l${head} 4` }));
    }
    const height = Math.max(zero ? 0 : hostH, up + boxH + under) + top + 18;
    if (!zero) parts.push(drawing("text", { x: 4, y: height - 4 }, `host: ${rangeText(y)} × ${rangeText(x)}, stride ${rangeText(stride)}`));
    parts.push(drawing("text", { x: chipX, y: height - 4 }, `on chip: ${rangeText(c.rows)} × ${rangeText(c.columns)} tiles`));
    const label = [...text.matchAll(/&(\w+)\[/g)].map(m => m[1]);
    const title = zero ? `${label[0]} = 0` : `${label[0]} ← ${label[1]}`;
    const facts = [plural(c.times, "time"), `${most(y) * most(x) === yn * xn ? "" : "up to "}${plural(most(y) * most(x) * c.bytes, "byte")} each`];
    if (pads.some(p => most(p))) facts.push(`padding ${pads.slice(0, 2).map(rangeText).join(" + ")} rows, ${pads.slice(2).map(rangeText).join(" + ")} columns`);
    const svg = drawing("svg", { viewBox: `0 0 412 ${height}`, role: "img", "aria-label": `${title}: ${facts.join(", ")}` }, ...parts);
    svg.style.setProperty("--hue", (index * 137 + 205) % 360);
    const card = element("button", "copy", element("h3", "", title, element("span", "", `  ${c.op}, line ${c.line}`)), svg,
      element("p", "", facts.join(", ")));
    card.type = "button";
    card.dataset.at = c.line;
    card.title = text.trim();
    card.onclick = () => goTo(c.line);
    return card;
  }

  function drawMaps() {
    const k = kernel();
    $("memories").hidden = !k.memories.length;
    $("copies").hidden = !k.copies.length;
    $("memories").querySelector(".body").replaceChildren(...k.memories.map(drawMemory));
    $("copies").querySelector(".body").replaceChildren(...k.copies.map(drawCopy));
  }

  // ---- choosing phases

  function drawStrip() {
    $("strip").replaceChildren(...views.map((v, i) => {
      const counts = element("small", "");
      if (v.before) {
        const [cut, add] = difference(v.before.lines, v.lines);
        counts.append(element("span", "plus", add.size ? `+${add.size} ` : ""), element("span", "minus", cut.size ? `−${cut.size}` : ""));
        if (!add.size && !cut.size) counts.textContent = "no change";
      } else counts.textContent = plural(v.lines.length, "line");
      const b = element("button", "", v.name, counts);
      b.type = "button";
      b.title = v.what;
      b.onclick = () => show("right", i);
      return b;
    }));
  }

  function show(side, index) {
    if (index < 0 || index >= views.length) return;
    const follow = side === "right" && shown("left") === shown("right").before && views[index].before;
    state.side[side] = index;
    if (follow) state.side.left = views.indexOf(follow);
    redraw();
  }

  function redraw() {
    for (const s of sides) fill(s);
    [...$("strip").children].forEach((b, i) => {
      b.className = i === state.side.right ? "right" : i === state.side.left ? "left" : "";
      b.setAttribute("aria-pressed", i === state.side.right);
    });
    light();
    const c = state.chosen;
    for (const s of sides) if (c) $(s + "-code").querySelector(".lit, .why")?.scrollIntoView({ block: "center" });
    remember();
  }

  function openKernel(index) {
    state.kernel = index;
    state.chosen = null;
    views = makeViews(kernel());
    const lower = views.findIndex(v => v.tir);
    state.side = { left: 0, right: lower < 0 ? views.length - 1 : lower };
    for (const s of sides)
      $(s).replaceChildren(...views.map((v, i) => {
        const o = element("option", "", v.name);
        o.value = i;
        return o;
      }));
    drawStrip();
    drawMaps();
    redraw();
  }

  // ---- the address: #kernel=NAME&left=PHASE&right=PHASE&click=SIDE:LINE; a reload or a link comes back to the same view

  function remember() {
    const c = state.chosen;
    const parts = [`kernel=${encodeURIComponent(kernel().name)}`, ...sides.map(s => `${s}=${encodeURIComponent(shown(s).name)}`)];
    if (c) parts.push(`click=${c.side}:${c.n}`);
    try { history.replaceState(null, "", "#" + parts.join("&")); } catch { /* a page in a frame may not */ }
  }

  function restore(hash) {
    const wanted = new Map(hash.slice(1).split("&").map(s => [s.slice(0, s.indexOf("=")), decodeURIComponent(s.slice(s.indexOf("=") + 1))]));
    openKernel(Math.max(0, data.kernels.findIndex(k => k.name === wanted.get("kernel"))));
    for (const s of sides) {
      const i = views.findIndex(v => v.name === wanted.get(s));
      if (i >= 0) state.side[s] = i;
    }
    redraw();
    const click = /^(left|right):(\d+)$/.exec(wanted.get("click") || "");
    const row = click && $(`${click[1]}-${click[2]}`);
    row?.click();
    row?.scrollIntoView({ block: "center" });
    scrollTo(0, 0);
  }

  // ---- input

  for (const s of sides) {
    $(s).onchange = e => show(s, +e.target.value);
    $(s + "-code").onclick = e => {
      const row = e.target.closest("[data-n]");
      if (row && getSelection().isCollapsed) choose(s, +row.dataset.n);
    };
    $(s + "-code").onscroll = e => {
      const other = $((s === "left" ? "right" : "left") + "-code");
      if (aligned() && other.scrollTop !== e.target.scrollTop) other.scrollTop = e.target.scrollTop;
    };
    $(s + "-code").onkeydown = e => {
      const n = cursorOf(s), last = Math.min(mostLines, shown(s).lines.length);
      const to = { ArrowDown: n + 1, ArrowUp: n - 1, PageDown: n + 20, PageUp: n - 20, Home: 1, End: last }[e.key];
      if (to !== undefined) setCursor(s, Math.max(1, Math.min(last, to)), true);
      else if (e.key === "Enter" || e.key === " ") choose(s, n);
      else return;
      e.preventDefault();
    };
  }
  $("kernel").onchange = e => openKernel(+e.target.value);

  // Moves to the next (by 1) or previous (by -1) line that is lit, in the pane that has the focus or the right one.
  function step(by) {
    const side = document.activeElement === $("left-code") ? "left" : "right";
    const found = [...rowsOf(side)].flatMap(row => row.matches(".lit, .why") ? [+row.dataset.n] : []);
    const n = cursorOf(side), next = by > 0 ? found.find(i => i > n) ?? found[0] : found.findLast(i => i < n) ?? found.at(-1);
    if (next) setCursor(side, next, true);
  }

  document.onkeydown = e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("select")) return;
    const right = state.side.right;
    if (e.key === "ArrowLeft") show("right", right - 1);
    else if (e.key === "ArrowRight") show("right", right + 1);
    else if (e.key === "s") show("left", shown("left").source >= 0 && shown("right").before ? views.indexOf(shown("right").before) : 0);
    else if (e.key === "n") step(1);
    else if (e.key === "p") step(-1);
    else if (e.key === "Escape") clear();
    else return;
    e.preventDefault();
  };

  data.kernels.forEach((k, i) => {
    const o = element("option", "", k.name);
    o.value = i;
    $("kernel").append(o);
  });
  $("kernel-label").hidden = data.kernels.length < 2;
  const hatch = drawing("svg", { width: 0, height: 0, "aria-hidden": "true" }, drawing("defs", {},
    drawing("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" }, drawing("path", { d: "M0 6 L6 0" }))));
  hatch.style.position = "absolute";
  document.body.append(hatch);
  restore(location.hash);
})();
