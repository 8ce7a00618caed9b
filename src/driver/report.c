// SPDX-License-Identifier: Apache-2.0
// tetc plan --report: the kernel is run once, on the timing model or the RTL, and every cycle is given to the layer
// that ends with it. A layer is what stores a stage to the host's memory: what is loaded and computed before the store,
// as the text of the last phase has it.
#include "driver/report.h"

#include <string.h>

#include "backend_llvm/llvm.h"

typedef struct Maker {
  Ctx *cx;
  const Unit *unit;
  Report *report;
  VEC(const Stmt *) pending; // of VTA, before the store that they are for
  const Buffer *last;        // that the last row is of
  PtrMap row_of;             // a statement to its row
} Maker;

const char *report_bound_name(ReportBound b) {
  switch (b) {
  case BOUND_MULTIPLIERS: return "the multipliers";
  case BOUND_ALU: return "the ALU";
  case BOUND_READ: return "reading";
  case BOUND_WRITE: return "writing";
  case BOUND_COUNT: break;
  }
  return "";
}

// ---- layers of the text ---------------------------------------------------------------------------------------------

// The stage of the program that a stage was made for: `t1` of `t1.acc`, `t1_buf`. NULL: none.
static const TeTensor *tensor_for(const TeKernel *k, const char *name) {
  const TeTensor *best = NULL;
  for (int i = 0; i < k->ntensors; i++) {
    const char *t = k->tensors[i]->name;
    size_t n = strlen(t);
    if (strncmp(t, name, n) || strchr(t, '.') || (name[n] && name[n] != '.' && name[n] != '_')) continue;
    if (!best || n > strlen(best->name)) best = k->tensors[i];
  }
  return best;
}

static const char *loops_text(Arena *a, const Stage *s) {
  Text t = {.arena = a};
  for (size_t i = 0; i < s->leaf.len; i++)
    if (s->leaf.data[i]->extent > 1)
      text_add(&t, "%s%s %lld", t.len ? ", " : "", s->leaf.data[i]->name, (long long)s->leaf.data[i]->extent);
  return t.len ? t.data : "";
}

static const char *source_line(Arena *a, Loc at) {
  const char *p = at.src->text + at.src->line_start[at.line - 1];
  p += strspn(p, " \t");
  return arena_printf(a, "%.*s", (int)strcspn(p, "\r\n"), p);
}

static void describe(const Maker *m, ReportRow *r, const Buffer *b) {
  Arena *a = m->cx->arena;
  const Schedule *sch = m->unit->schedule;
  const char *name = b->stage ? b->stage : b->name;
  const TeTensor *t = tensor_for(m->unit->kernel, name);
  const Stage *s = schedule_stage_named(sch, name_of(m->cx->names, name));
  r->name = name;
  r->shape = array_type_text(a, b->type, b->ndim, b->shape);
  r->loops = s ? loops_text(a, s) : "";
  if (s && !strcmp(r->where, "CPU")) r->why = schedule_cpu_reason(m->cx, sch, s);
  if (!t || !loc_known(t->name_loc) || t->name_loc.src != m->unit->kernel->loc.src) return;
  r->line = t->name_loc.line;
  r->text = source_line(a, t->name_loc);
}

// The row for what is written next, to b; the last one, if that is of b, too: a stage may be stored by several nests.
static ReportRow *row_for(Maker *m, const char *where, const Buffer *b) {
  ReportRow r = {.where = where, .why = "", .text = ""};
  if (b != m->last) {
    describe(m, &r, b);
    VEC_PUSH(m->cx->arena, m->report->rows, r);
  }
  m->last = b;
  return &m->report->rows.data[m->report->rows.len - 1];
}

// What a statement of the outermost row does.
typedef struct Section {
  Maker *m;
  VEC(const Stmt *) vta;
  const Buffer *stored;  // to the host's memory, by VTA; NULL: nothing
  const Buffer *written; // by the CPU
} Section;

static bool see_stmt(void *self, const Stmt *s) {
  Section *x = self;
  if (s->kind == STMT_STORE && s->buffer->scope == &scope_host) x->written = s->buffer;
  if (s->kind != STMT_INTRIN || !vta_row_of(s->intrin)) return true;
  const VtaRow *row = vta_row_of(s->intrin);
  VEC_PUSH(x->m->cx->arena, x->vta, s);
  if (row->runs != RUNS_STORE) return true;
  for (int i = 0; i < row->noperands; i++) {
    const Expr *e = s->args[row->operands[i].arg];
    if (e->kind == EXPR_REF && e->buffer->scope == &scope_host) x->stored = e->buffer;
  }
  return true;
}

static void sections(Maker *m, const Stmt *s) {
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) sections(m, s->children[i]);
    return;
  }
  if (s->kind == STMT_ALLOC) {
    sections(m, s->body);
    return;
  }
  Section x = {.m = m};
  stmt_visit(s, see_stmt, NULL, &x);
  for (size_t i = 0; i < x.vta.len; i++) VEC_PUSH(m->cx->arena, m->pending, x.vta.data[i]);
  if (x.stored) {
    row_for(m, "VTA", x.stored);
    for (size_t i = 0; i < m->pending.len; i++)
      ptrmap_put(m->cx->arena, &m->row_of, m->pending.data[i], (int64_t)m->report->rows.len - 1);
    m->pending.len = 0;
  } else if (x.written && !x.vta.len) {
    ReportRow *r = row_for(m, "CPU", x.written);
    r->write = (uint64_t)(buffer_elems(x.written) * dtype_bytes(x.written->type));
  }
}

// ---- what was measured ----------------------------------------------------------------------------------------------

static void count_span(Report *r, ReportRow *row, const VtaConfig *c, const TetcSpan *p) {
  VtaInsn i;
  vta_decode(c, p->word, &i);
  row->read += sizeof(VtaWord); // the instruction itself
  if (i.opcode == OPC_LOAD || i.opcode == OPC_STORE) {
    uint64_t bytes = (uint64_t)i.x_size * i.y_size * (uint64_t)vta_elem_bytes(c, i.memory);
    *(i.opcode == OPC_LOAD ? &row->read : &row->write) += bytes;
    return;
  }
  if (i.opcode == OPC_FINISH || i.reset) return;
  uint64_t steps = (uint64_t)(i.uop_end - i.uop_begin) * i.iter_out * i.iter_in;
  if (i.opcode == OPC_GEMM) row->least[BOUND_MULTIPLIERS] += steps;
  // Consecutive ALU instructions may share a pass.
  else if (p->done != TETC_NEVER && p->work != TETC_NEVER) row->least[BOUND_ALU] += p->done - p->work + 1;
  if (i.opcode == OPC_GEMM) row->macs += steps * r->peak;
}

// Adds the share of the ticks that a time covers.
static void add_busy(const Report *r, float *ticks, uint64_t begin, uint64_t end) {
  double width = (double)r->cycles / REPORT_TICKS;
  if (end <= begin || width <= 0) return;
  for (int t = (int)((double)begin / width); t < REPORT_TICKS && (double)t * width < (double)end; t++) {
    double lo = (double)t * width, hi = lo + width;
    if (lo < (double)begin) lo = (double)begin;
    if (hi > (double)end) hi = (double)end;
    if (hi > lo) ticks[t] += (float)((hi - lo) / width);
  }
}

static void count_busy(Report *r, const TetcSpan *p, uint64_t launch) {
  float *ticks = p->unit == ROW_STORE    ? r->store
                 : p->unit == ROW_LOAD   ? r->load
                 : p->engine == ROW_GEMM ? r->gemm
                 : p->engine == ROW_ALU  ? r->alu
                 : p->engine == ROW_ACC  ? r->load
                                         : NULL;
  bool engine = p->engine != p->unit;
  uint32_t from = engine ? p->work : p->started, to = engine ? p->done : p->retired;
  if (ticks && from != TETC_NEVER && to != TETC_NEVER) add_busy(r, ticks, launch + from, launch + to + 1);
}

static void settle_row(const Report *r, ReportRow *row) {
  row->least[BOUND_READ] = (uint64_t)((double)row->read / r->bytes_per_cycle);
  row->least[BOUND_WRITE] = (uint64_t)((double)row->write / r->bytes_per_cycle);
  for (int b = 0; b < BOUND_COUNT; b++)
    if (row->least[b] > row->least[row->bound]) row->bound = (ReportBound)b;
}

// Gives the spans to the rows, and each row the cycles until its last instruction has retired. What is of no statement,
// such as the end of a launch, goes to the row before.
static void measure(Maker *m, const TetcTimeline *t, const LlvmMarks *marks, const VtaConfig *c) {
  Report *r = m->report;
  size_t n = r->rows.len, row = 0;
  uint64_t *end = NEW_ARRAY(m->cx->arena, uint64_t, n + 1), before = 0;
  while (row + 1 < n && strcmp(r->rows.data[row].where, "VTA") != 0) row++;
  for (size_t k = 0; k < t->nspans; k++) {
    const TetcSpan *p = &t->spans[k];
    int64_t found;
    if (p->mark && p->mark <= marks->stmts.len && ptrmap_get(&m->row_of, marks->stmts.data[p->mark - 1], &found))
      row = (size_t)found;
    bool last = k + 1 == t->nspans || t->spans[k + 1].launch != p->launch;
    uint64_t launch = t->launches[p->launch];
    uint64_t next = p->launch + 1 < t->nlaunches ? t->launches[p->launch + 1] : t->cycles;
    uint64_t done = last ? next : p->retired == TETC_NEVER ? launch : launch + p->retired + 1;
    if (done > end[row]) end[row] = done;
    r->rows.data[row].launches += last;
    count_span(r, &r->rows.data[row], c, p);
    count_busy(r, p, launch);
  }
  for (size_t i = 0; i < n; i++) {
    ReportRow *x = &r->rows.data[i];
    if (strcmp(x->where, "VTA") != 0) continue;
    x->begin = before;
    x->cycles = end[i] > before ? end[i] - before : 0;
    before = x->begin + x->cycles;
    settle_row(r, x);
    x->why = x->macs ? "vta.gemm" : "the ALU and DMA";
    r->macs += x->macs, r->read += x->read, r->write += x->write;
  }
}

// The arrays of the kernel's parameters, filled as --input has it.
static Array *make_arrays(Driver *d, const TeKernel *k) {
  Array *all = NEW_ARRAY(d->cx.arena, Array, k->ntensors + 1);
  for (int i = 0; i < k->ntensors; i++) {
    TeRole role = k->tensors[i]->role;
    if (role != TE_INPUT && role != TE_OUTPUT) continue;
    if (!array_alloc(&d->cx, &all[i], k->tensors[i]) || (role == TE_INPUT && !input_fill(d, &all[i]))) return NULL;
  }
  return all;
}

static Report *report_make(Session *s, const Unit *u) {
  Driver *d = s->d;
  Report *r = NEW(d->cx.arena, Report);
  Maker m = {.cx = &d->cx, .unit = u, .report = r};
  const VtaConfig *c = &s->c.vta->config;
  *r = (Report){
      .kernel = u->kernel->name, .device = d->opt.device == DEVICE_RTL ? "rtl" : "model", .board = d->opt.board};
  r->peak = (uint64_t)1 << (c->log_batch + c->log_block_in + c->log_block_out);
  r->bytes_per_cycle = d->board.core.bus / 8.0 * d->board.core.bandwidth / 100;
  r->mhz = d->board.mhz;
  sections(&m, u->func->body);
  if (!u->func->target) return r; // all of it is the CPU's
  Array *arrays = make_arrays(d, u->kernel);
  TetcTimeline *t = tetc_timeline_new(true);
  if (!t) diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the timeline");
  Run *run = arrays && t ? run_open(d, s->c.vta, u, arrays, t) : NULL;
  bool ok = run && run_again(run);
  if (ok && t->lost) diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the timeline");
  if (ok) {
    r->cycles = t->cycles;
    r->launches = t->nlaunches;
    measure(&m, t, run_marks(run), c);
  }
  if (run) run_close(run);
  tetc_timeline_free(t);
  for (int i = 0; arrays && i < u->kernel->ntensors; i++) array_free(&arrays[i]);
  return ok ? r : NULL;
}

// ---- files ----------------------------------------------------------------------------------------------------------

typedef struct Format {
  const char *suffix;
  void (*write)(const Report *r, Text *out);
} Format;

static const Format *format_of(const char *path) {
  static const Format formats[] = {{".html", report_page}, {".csv", report_csv}, {".json", report_json}};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    size_t n = strlen(formats[i].suffix), len = strlen(path);
    if (len > n && !strcmp(path + len - n, formats[i].suffix)) return &formats[i];
  }
  return NULL;
}

int report_check(const Driver *d) {
  const Options *o = &d->opt;
  if (!o->report) return 0;
  if (!format_of(o->report)) return usage_error(d, "`--report=%s`: the name ends in .html, .csv or .json", o->report);
  if (o->schedule_only) return usage_error(d, "--report and --schedule-only contradict each other");
  return 0;
}

bool report_write(Session *s, const Unit *u) {
  Driver *d = s->d;
  const Report *r = report_make(s, u);
  Text file = {.arena = d->cx.arena}, table = {.arena = d->cx.arena};
  if (!r) return false;
  format_of(d->opt.report)->write(r, &file);
  if (!outputs_write(&d->cx, &(OutputFile){.path = d->opt.report, .data = file.data, .len = file.len}, 1)) return false;
  report_table(r, &table);
  fputs(table.data, stdout);
  return true;
}
