// SPDX-License-Identifier: Apache-2.0
// The report as a page that needs no other file: the sums, when which unit works, and a table of the layers.
#include <string.h>

#include "driver/report.h"

typedef unsigned long long Count;

extern const char report_css[]; // report.css

static void escaped(Text *out, const char *s) {
  for (; *s; s++) {
    if (*s == '<') text_add(out, "&lt;");
    else if (*s == '>') text_add(out, "&gt;");
    else if (*s == '&') text_add(out, "&amp;");
    else if (*s == '"') text_add(out, "&quot;");
    else text_add_bytes(out, s, 1);
  }
}

static double share(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

// 79804 as 79,804.
static const char *count_text(Arena *a, Count n) {
  const char *digits = arena_printf(a, "%llu", n);
  size_t len = strlen(digits);
  Text t = {.arena = a};
  for (size_t i = 0; i < len; i++) text_add(&t, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
  return t.data;
}

static void fact(Text *out, const char *value, const char *what) {
  text_add(out, "<div><b>");
  escaped(out, value);
  text_add(out, "</b><span>");
  escaped(out, what);
  text_add(out, "</span></div>\n");
}

static void facts(const Report *r, Text *out) {
  Arena *a = out->arena;
  text_add(out, "<div class=\"facts\">\n");
  fact(out, count_text(a, (Count)r->cycles),
       !strcmp(r->device, "rtl") ? "cycles, measured on the RTL" : "cycles, by the timing model");
  if (r->mhz > 0) {
    fact(out, arena_printf(a, "%.4g ms", (double)r->cycles / r->mhz / 1e3), arena_printf(a, "at %.6g MHz", r->mhz));
    fact(out, arena_printf(a, "%.4g", r->mhz * 1e6 / (double)(r->cycles ? r->cycles : 1)),
         "calls a second, as far as VTA goes");
  }
  fact(out, arena_printf(a, "%.1f %%", share((double)r->macs, (double)r->cycles * (double)r->peak)),
       "of the peak of multiplications");
  fact(out, count_text(a, (Count)r->macs), "multiply-accumulates on VTA");
  fact(out, count_text(a, (Count)r->read), "bytes read");
  fact(out, count_text(a, (Count)r->write), "bytes written");
  fact(out, arena_printf(a, "%zu", r->launches), r->launches == 1 ? "launch" : "launches");
  text_add(out, "</div>\n");
}

// A row of the timeline: a bar for each tick, as high as the unit works in it.
static void busy(Text *out, const char *name, const char *cls, const float *ticks, int y) {
  enum { LEFT = 60, HEIGHT = 26 };
  text_add(out, "<text x=\"0\" y=\"%d\">%s</text>\n", y + HEIGHT - 8, name);
  for (int t = 0; t < REPORT_TICKS; t++) {
    double h = (ticks[t] > 1 ? 1 : (double)ticks[t]) * HEIGHT;
    if (h >= 0.5)
      text_add(out, "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"4\" height=\"%.1f\"/>\n", cls, LEFT + 4 * t,
               y + HEIGHT - h, h);
  }
}

static void timeline(const Report *r, Text *out) {
  enum { LEFT = 60, WIDTH = 4 * REPORT_TICKS };
  text_add(out,
           "<h2>Timeline</h2>\n<p>Which layer is computed when, and the share of each %llu cycles in which a unit "
           "works. Point at a layer for its name.</p>\n"
           "<div class=\"panel\"><svg viewBox=\"0 0 %d 150\" role=\"img\" aria-label=\"timeline\">\n",
           (Count)(r->cycles / REPORT_TICKS + 1), LEFT + WIDTH);
  text_add(out, "<text x=\"0\" y=\"16\">layer</text>\n");
  int n = 0;
  for (size_t i = 0; i < r->rows.len; i++) {
    const ReportRow *x = &r->rows.data[i];
    if (!x->cycles) continue;
    double at = (double)x->begin / (double)r->cycles, width = (double)x->cycles / (double)r->cycles;
    text_add(out, "<rect class=\"%s\" x=\"%.2f\" y=\"4\" width=\"%.2f\" height=\"16\"><title>",
             n++ % 2 ? "odd" : "even", LEFT + at * WIDTH, width * WIDTH);
    escaped(out, x->name);
    text_add(out, ": %s cycles</title></rect>\n", count_text(out->arena, (Count)x->cycles));
  }
  busy(out, "loads", "load", r->load, 28);
  busy(out, "GEMM", "gemm", r->gemm, 58);
  busy(out, "ALU", "alu", r->alu, 88);
  busy(out, "stores", "store", r->store, 118);
  text_add(out, "</svg></div>\n");
}

// A line that may be cut off; all of it shows when it is pointed at.
static void small(Text *out, const char *before, const char *text) {
  text_add(out, "<small title=\"");
  escaped(out, text);
  text_add(out, "\">%s", before);
  escaped(out, text);
  text_add(out, "</small>");
}

static void stage_cell(const ReportRow *x, Text *out) {
  text_add(out, "<td>");
  escaped(out, x->name);
  small(out, "", x->shape);
  if (x->line) small(out, arena_printf(out->arena, "line %u: ", x->line), x->text);
  text_add(out, "</td><td>%s", x->where);
  small(out, "", x->why);
  if (*x->loops && !strcmp(x->where, "VTA")) small(out, "", x->loops);
  text_add(out, "</td>");
}

static void row(const Report *r, const ReportRow *x, double most, Text *out) {
  Arena *a = out->arena;
  bool vta = !strcmp(x->where, "VTA");
  text_add(out, vta ? "<tr>" : "<tr class=\"cpu\">");
  stage_cell(x, out);
  if (!vta) {
    text_add(out,
             "<td class=\"n\">-</td><td></td><td class=\"n\"></td><td class=\"n\"></td><td class=\"n\">%s</td>"
             "<td></td><td></td></tr>\n",
             count_text(a, (Count)x->write));
    return;
  }
  text_add(out,
           "<td class=\"n\">%s</td><td style=\"width:14%%\"><span class=\"bar\" style=\"width:%.1f%%\"></span>"
           "<small>%.1f %%</small></td>",
           count_text(a, (Count)x->cycles), share((double)x->cycles, most),
           share((double)x->cycles, (double)r->cycles));
  text_add(out, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>", count_text(a, (Count)x->macs),
           count_text(a, (Count)x->read), count_text(a, (Count)x->write));
  text_add(out, "<td class=\"n\">%.0f %%</td><td>%.0f %%<small>%s</small></td></tr>\n",
           share((double)x->macs, (double)x->cycles * (double)r->peak),
           share((double)report_bound(x), (double)x->cycles), report_bound_name(x->bound));
}

static void table(const Report *r, Text *out) {
  double most = 0;
  for (size_t i = 0; i < r->rows.len; i++)
    if ((double)r->rows.data[i].cycles > most) most = (double)r->rows.data[i].cycles;
  text_add(out,
           "<h2>Layers</h2>\n<p>In the order in which they are computed. A layer's cycles end when it is stored, and "
           "begin when all before it are: they add up to the whole. The bound is what the layer's own multiplications, "
           "ALU steps and bytes take at the least. Stages of the CPU have no cycles of VTA.</p>\n"
           "<div class=\"panel\"><table>\n<thead><tr><th>stage</th><th>where</th><th class=\"n\">cycles</th><th></th>"
           "<th class=\"n\">MACs</th><th class=\"n\">bytes in</th><th class=\"n\">bytes out</th><th class=\"n\">of peak"
           "</th><th>of bound</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < r->rows.len; i++) row(r, &r->rows.data[i], most, out);
  text_add(out, "</tbody>\n<tfoot><tr><td>all</td><td></td><td class=\"n\">%s</td><td></td>",
           count_text(out->arena, (Count)r->cycles));
  text_add(out,
           "<td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%.0f %%</td><td></td>"
           "</tr></tfoot>\n</table></div>\n",
           count_text(out->arena, (Count)r->macs), count_text(out->arena, (Count)r->read),
           count_text(out->arena, (Count)r->write), share((double)r->macs, (double)r->cycles * (double)r->peak));
}

void report_page(const Report *r, Text *out) {
  text_add(out,
           "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
           "<!-- SPDX-License-Identifier: Apache-2.0 -->\n<title>");
  escaped(out, r->kernel);
  text_add(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", report_css);
  escaped(out, r->kernel);
  text_add(out, "</h1>\n");
  facts(r, out);
  if (r->cycles) timeline(r, out);
  table(r, out);
  text_add(out, "</body>\n</html>\n");
}
