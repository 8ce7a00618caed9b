// SPDX-License-Identifier: Apache-2.0
// The report as a table, as lines of comma-separated values, and as JSON.
#include <string.h>

#include "driver/report.h"

typedef unsigned long long Count;

static double share(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static double peak_share(const Report *r, uint64_t macs, uint64_t cycles) {
  return share((double)macs, (double)cycles * (double)r->peak);
}

void report_table(const Report *r, Text *out) {
  int width = 8;
  for (size_t i = 0; i < r->rows.len; i++)
    if ((int)strlen(r->rows.data[i].name) > width) width = (int)strlen(r->rows.data[i].name);
  text_add(out, "%-*s  where  %10s %6s  %5s %6s  %s\n", width, r->kernel, "cycles", "share", "peak", "bound", "");
  for (size_t i = 0; i < r->rows.len; i++) {
    const ReportRow *x = &r->rows.data[i];
    if (strcmp(x->where, "VTA") != 0) {
      text_add(out, "%-*s  CPU    %10s %6s  %5s %6s  %s\n", width, x->name, "-", "", "", "", x->why);
      continue;
    }
    text_add(out, "%-*s  VTA    %10llu %4.1f %%  %3.0f %% %4.0f %%  %s\n", width, x->name, (Count)x->cycles,
             share((double)x->cycles, (double)r->cycles), peak_share(r, x->macs, x->cycles),
             share((double)report_bound(x), (double)x->cycles), report_bound_name(x->bound));
  }
  text_add(out, "%-*s  VTA    %10llu  100 %%  %3.0f %%         %zu launch%s, by the %s", width, "all", (Count)r->cycles,
           peak_share(r, r->macs, r->cycles), r->launches, r->launches == 1 ? "" : "es",
           !strcmp(r->device, "rtl") ? "RTL" : "timing model");
  if (r->mhz > 0) text_add(out, ": %.4g ms at %.6g MHz", (double)r->cycles / r->mhz / 1e3, r->mhz);
  text_add(out, "\n");
}

// In quotes where it has to be.
static void csv_field(Text *out, const char *s) {
  if (!strpbrk(s, ",\"\n")) {
    text_add(out, "%s", s);
    return;
  }
  text_add(out, "\"");
  for (; *s; s++) text_add(out, *s == '"' ? "\"\"" : "%c", *s);
  text_add(out, "\"");
}

void report_csv(const Report *r, Text *out) {
  text_add(out, "stage,where,why,line,shape,loops,launches,macs,bytes_read,bytes_written,begin,cycles,share_percent,"
                "peak_percent,bound_cycles,bound_percent,bound_by\n");
  for (size_t i = 0; i < r->rows.len; i++) {
    const ReportRow *x = &r->rows.data[i];
    bool vta = !strcmp(x->where, "VTA");
    csv_field(out, x->name);
    text_add(out, ",%s,", x->where);
    csv_field(out, x->why);
    text_add(out, ",%u,", x->line);
    csv_field(out, x->shape);
    text_add(out, ",");
    csv_field(out, x->loops);
    text_add(out, ",%d,%llu,%llu,%llu,%llu,%llu,%.2f,%.2f,%llu,%.2f,%s\n", x->launches, (Count)x->macs, (Count)x->read,
             (Count)x->write, (Count)x->begin, (Count)x->cycles, share((double)x->cycles, (double)r->cycles),
             peak_share(r, x->macs, x->cycles), (Count)report_bound(x),
             share((double)report_bound(x), (double)x->cycles), vta ? report_bound_name(x->bound) : "");
  }
}

static void json_text(Text *out, const char *name, const char *value) {
  text_add(out, "\"%s\": ", name);
  text_add_json(out, value);
  text_add(out, ", ");
}

static void json_row(const Report *r, const ReportRow *x, Text *out) {
  bool vta = !strcmp(x->where, "VTA");
  text_add(out, "    {");
  json_text(out, "stage", x->name);
  json_text(out, "where", x->where);
  json_text(out, "why", x->why);
  text_add(out, "\"line\": %u, ", x->line);
  json_text(out, "shape", x->shape);
  json_text(out, "loops", x->loops);
  if (!vta) {
    text_add(out, "\"bytes_written\": %llu}", (Count)x->write);
    return;
  }
  text_add(
      out,
      "\"launches\": %d, \"macs\": %llu, \"bytes_read\": %llu, \"bytes_written\": %llu, \"begin\": %llu, \"cycles\": "
      "%llu, \"peak_percent\": %.2f, \"bound_cycles\": %llu, ",
      x->launches, (Count)x->macs, (Count)x->read, (Count)x->write, (Count)x->begin, (Count)x->cycles,
      peak_share(r, x->macs, x->cycles), (Count)report_bound(x));
  text_add(out, "\"bound_by\": \"%s\"}", report_bound_name(x->bound));
}

void report_json(const Report *r, Text *out) {
  text_add(out, "{\n  \"schema\": \"tetc-report-1\",\n  ");
  json_text(out, "kernel", r->kernel);
  text_add(out, "\n  \"device\": \"%s\", ", r->device);
  if (r->board) json_text(out, "board", r->board);
  text_add(out, "\"macs_per_cycle\": %llu, \"bytes_per_cycle\": %.4g", (Count)r->peak, r->bytes_per_cycle);
  if (r->mhz > 0) text_add(out, ", \"mhz\": %.6g, \"ms\": %.6g", r->mhz, (double)r->cycles / r->mhz / 1e3);
  text_add(out,
           ",\n  \"cycles\": %llu, \"launches\": %zu, \"macs\": %llu, \"bytes_read\": %llu, \"bytes_written\": %llu,\n",
           (Count)r->cycles, r->launches, (Count)r->macs, (Count)r->read, (Count)r->write);
  text_add(out, "  \"layers\": [\n");
  for (size_t i = 0; i < r->rows.len; i++) {
    json_row(r, &r->rows.data[i], out);
    text_add(out, "%s\n", i + 1 < r->rows.len ? "," : "");
  }
  text_add(out, "  ]\n}\n");
}
