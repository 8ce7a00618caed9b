// SPDX-License-Identifier: Apache-2.0
// The report of a planned kernel: a row for each layer, in the order in which they are computed, that add up to the
// whole; report.c makes it, report_text.c and report_page.c write it.
#ifndef TETC_DRIVER_REPORT_H
#define TETC_DRIVER_REPORT_H

#include "driver/driver.h"

// What can bind a layer.
typedef enum ReportBound { BOUND_MULTIPLIERS, BOUND_ALU, BOUND_READ, BOUND_WRITE, BOUND_COUNT } ReportBound;

typedef struct ReportRow {
  const char *name;     // the stage that is stored
  const char *where;    // "VTA" or "CPU"
  const char *why;      // of a stage of the CPU: the rule; of VTA: what computes it
  const char *shape;    // "int8[1, 16, 32, 32]"
  const char *loops;    // of the stage that is stored, outermost first: "y_outer 8, x 32"
  const char *text;     // the line of the source
  unsigned line;        // 0: none
  int launches;         // that end in it
  uint64_t macs;        // of VTA
  uint64_t read, write; // bytes over VTA's bus; of a stage of the CPU: of what it writes
  uint64_t begin;       // cycles, from the first launch on
  uint64_t cycles;      // until it is stored, from when all before it were; 0: of the CPU
  uint64_t least[BOUND_COUNT];
  ReportBound bound; // the greatest of least
} ReportRow;

enum { REPORT_TICKS = 240 }; // columns of the timeline
typedef struct Report {
  const char *kernel, *device, *board; // board: NULL where none was named
  VEC(ReportRow) rows;
  uint64_t cycles, macs, read, write; // of VTA, all rows
  size_t launches;
  uint64_t peak;          // multiply-accumulates a cycle
  double bytes_per_cycle; // of the bus, each way
  double mhz;             // 0: not known
  // The share of each tick's cycles in which these work, 0 to 1.
  float load[REPORT_TICKS], gemm[REPORT_TICKS], alu[REPORT_TICKS], store[REPORT_TICKS];
} Report;

static inline uint64_t report_bound(const ReportRow *r) { return r->least[r->bound]; }
const char *report_bound_name(ReportBound b);

// report_text.c: a table for people; a line a row with the names of columns first; the schema `tetc-report-1`.
void report_table(const Report *r, Text *out);
void report_csv(const Report *r, Text *out);
void report_json(const Report *r, Text *out);
void report_page(const Report *r, Text *out); // report_page.c: one page, without links to others

#endif
