// SPDX-License-Identifier: Apache-2.0
// Linear forms: sums of multiples of atoms.
#include "lin/lin.h"

LinForm form_const(int64_t c) { return (LinForm){.c = c, .ok = true}; }

LinForm form_add(Arena *arena, LinForm x, LinForm y, int64_t k) {
  LinForm out = {.ok = x.ok && y.ok};
  int64_t c;
  if (!out.ok || !mul_ok(y.c, k, &c) || !add_ok(x.c, c, &out.c)) return (LinForm){0};
  if (y.n == 0) return out.n = x.n, out.terms = x.terms, out;
  if (x.n == 0 && k == 1) return out.n = y.n, out.terms = y.terms, out;
  out.terms = NEW_ARRAY(arena, LinTerm, x.n + y.n + 1);
  for (int i = 0, j = 0; i < x.n || j < y.n;) {
    LinTerm t;
    if (j >= y.n || (i < x.n && x.terms[i].atom < y.terms[j].atom)) {
      t = x.terms[i++];
    } else {
      t = y.terms[j];
      if (!mul_ok(t.coef, k, &t.coef)) return (LinForm){0};
      if (i < x.n && x.terms[i].atom == t.atom && !add_ok(t.coef, x.terms[i++].coef, &t.coef)) return (LinForm){0};
      j++;
    }
    if (t.coef) out.terms[out.n++] = t;
  }
  return out;
}

LinForm form_scale(Arena *arena, LinForm x, int64_t k) { return form_add(arena, form_const(0), x, k); }

LinForm form_tightened(Arena *arena, LinForm f) {
  int64_t common = 0;
  for (int i = 0; i < f.n; i++) {
    if (f.terms[i].coef == INT64_MIN) return f;
    common = common_divisor(common, f.terms[i].coef);
  }
  if (common < 2) return f;
  f.terms = arena_copy(arena, f.terms, (size_t)f.n * sizeof *f.terms);
  for (int i = 0; i < f.n; i++) f.terms[i].coef /= common;
  f.c = floor_div(f.c, common);
  return f;
}

int form_ratios(LinForm f, LinForm g, Ratio *out) {
  const int64_t far = (int64_t)1 << 31; // what is multiplied with coefficients and constants
  int n = 0;
  for (int i = 0, j = 0; i < f.n && j < g.n && n < RATIOS_MAX;) {
    LinTerm s = f.terms[i], t = g.terms[j];
    i += s.atom <= t.atom;
    j += t.atom <= s.atom;
    if (s.atom != t.atom || s.coef == INT64_MIN || t.coef == INT64_MIN) continue;
    int64_t common = common_divisor(s.coef, t.coef);
    if (t.coef < 0) common = -common;
    Ratio r = {s.coef / common, t.coef / common};
    bool known = r.p <= -far || r.p >= far || r.q >= far;
    for (int k = 0; k < n; k++) known |= out[k].p == r.p && out[k].q == r.q;
    if (!known) out[n++] = r;
  }
  return n;
}
