// SPDX-License-Identifier: Apache-2.0
// What the page shows, as JSON; page.js says of what form. Everything is recorded as text when it is seen.
#include "html/html.h"

#include <string.h>

extern const char html_page_html[], html_page_css[], html_page_js[]; // made by the build from page.*

struct HtmlPage {
  Ctx *cx;
  VEC(const Source *) sources;
  Text kernels; // JSON of the kernels that are complete
  bool in_kernel;
  Text phases; // of the kernel that is open
  Text memories, copies;
  const char *maps_are; // the phase that memories and copies are of; NULL: none yet
};

HtmlPage *html_new(Ctx *cx, const Source *src) {
  HtmlPage *p = NEW(cx->arena, HtmlPage);
  p->cx = cx;
  p->kernels.arena = cx->arena;
  VEC_PUSH(cx->arena, p->sources, src);
  return p;
}

// The number of the source that a place is in; -1 for no place.
static int source_number(HtmlPage *p, Loc at) {
  if (!loc_known(at)) return -1;
  for (size_t i = 0; i < p->sources.len; i++)
    if (p->sources.data[i] == at.src) return (int)i;
  VEC_PUSH(p->cx->arena, p->sources, at.src);
  return (int)p->sources.len - 1;
}

// Text so far, as an element of a list: with a comma before all but the first.
static void start_element(Text *out) {
  if (out->len) text_add(out, ",\n");
}

// ---- lines and places -----------------------------------------------------------------------------------------------

// Something printed: the line it stands on, and where it comes from.
typedef struct Placed {
  size_t offset, line; // of the text; lines from 1
  const Stmt *stmt;    // NULL: a parameter or the function
  Loc loc, why;
} Placed;

typedef struct Record {
  Arena *arena;
  VEC(Placed) placed;
} Record;

static void note_place(void *self, size_t offset, const Stmt *s, Loc loc, Loc why) {
  Record *r = self;
  Placed x = {.offset = offset, .stmt = s, .loc = loc, .why = why};
  VEC_PUSH(r->arena, r->placed, x);
}

static void number_lines(Record *r, const char *text) {
  size_t at = 0, line = 1;
  for (size_t i = 0; i < r->placed.len; i++) {
    for (; at < r->placed.data[i].offset; at++) line += text[at] == '\n';
    r->placed.data[i].line = line;
  }
}

static uint32_t last_line(Loc at) {
  // A span that ends before the first column of a line ends with the line before.
  uint32_t end = at.end_line - (at.end_line > at.line && at.end_col <= 1);
  return end > at.line ? end : at.line;
}

static void put_places(HtmlPage *p, const Record *r, Text *out) {
  bool any = false;
  for (size_t i = 0; i < r->placed.len; i++) {
    const Placed *x = &r->placed.data[i];
    int of = source_number(p, x->loc), why = source_number(p, x->why);
    if (of < 0 && why < 0) continue;
    text_add(out, "%s[%zu,%d,%u,%u,%d,%u,%u]", any ? "," : "", x->line, of, x->loc.line, last_line(x->loc), why,
             x->why.line, last_line(x->why));
    any = true;
  }
}

// ---- what is where on chip, and what is moved -----------------------------------------------------------------------

typedef struct Resident {
  const Buffer *buffer;
  size_t line, from, to; // its allocation; its first and last mention
} Resident;

// A walk over the statements in the order of the text.
typedef struct Maps {
  Ctx *cx;
  const Record *record;
  size_t next; // of record->placed
  Ranges ranges;
  int64_t times; // how often the statement is executed
  VEC(Resident) residents;
  Text *copies;
} Maps;

// The place of the next statement of the walk.
static size_t next_line(Maps *m, const Stmt *s) {
  while (m->next < m->record->placed.len && m->record->placed.data[m->next].stmt != s) m->next++;
  return m->next < m->record->placed.len ? m->record->placed.data[m->next++].line : 0;
}

// A buffer is mentioned on a line.
static void mention(Maps *m, const Buffer *b, size_t line) {
  for (size_t i = m->residents.len; i-- > 0;) {
    Resident *r = &m->residents.data[i];
    if (r->buffer != b) continue;
    if (!r->from) r->from = line;
    r->to = line;
    return;
  }
}

typedef struct Mention {
  Maps *maps;
  size_t line;
} Mention;

static bool mention_expr(void *self, const Expr *e) {
  Mention *x = self;
  if (e->kind == EXPR_LOAD || e->kind == EXPR_REF) mention(x->maps, e->buffer, x->line);
  return true;
}

static void mention_all(Maps *m, const Expr *e, size_t line) {
  if (e) expr_visit(e, mention_expr, &(Mention){m, line});
}

// [lo,hi] of an argument.
static void put_range(Maps *m, const Expr *e, Text *out) {
  int64_t lo, hi;
  if (expr_bounds(&m->ranges, e, &lo, &hi)) text_add(out, "[%lld,%lld]", (long long)lo, (long long)hi);
  else text_add(out, "null");
}

// [lo,hi] of a size with the padding before and after it (NULL: none), which may vary against each other.
static void put_padded(Maps *m, const Expr *size, const Expr *before, const Expr *after, Text *out) {
  if (before) size = expr_binary(m->cx, OP_ADD, size, expr_binary(m->cx, OP_ADD, before, after));
  put_range(m, expr_simplify(m->cx, &m->ranges, size), out);
}

// A transfer: what its row says of its operands.
static void put_copy(Maps *m, const Stmt *s, size_t line) {
  const VtaRow *row = vta_row_of(s->intrin);
  const Expr *rows = expr_index(m->cx, 1), *tiles = rows, *pads[4] = {NULL};
  const Buffer *chip = NULL, *host = NULL;
  for (int i = 0; i < row->noperands; i++) {
    const Expr **a = s->args + row->operands[i].arg;
    if (a[0]->kind == EXPR_REF) *(a[0]->buffer->scope == &scope_host ? &host : &chip) = a[0]->buffer;
    if (row->operands[i].kind == KIND_ROWS) rows = a[0];
    if (row->operands[i].kind == KIND_TILES) tiles = a[0];
    if (row->operands[i].kind == KIND_PADS) memcpy(pads, a, sizeof pads);
  }
  start_element(m->copies);
  text_add(m->copies, "{\"line\":%zu,\"op\":\"%s\",\"bytes\":%lld,\"times\":%lld,\"args\":[", line, s->intrin->name,
           (long long)chip->scope->tile * dtype_bytes(host ? host->type : chip->type), (long long)m->times);
  const char *sep = "";
  for (int i = 0; i < s->nargs; i++) {
    if (s->args[i]->kind == EXPR_REF) continue;
    text_add(m->copies, "%s", sep);
    sep = ",";
    put_range(m, s->args[i], m->copies);
  }
  text_add(m->copies, "],\"rows\":");
  put_padded(m, rows, pads[0], pads[1], m->copies);
  text_add(m->copies, ",\"columns\":");
  put_padded(m, tiles, pads[2], pads[3], m->copies);
  text_add(m->copies, "}");
}

static void map_stmt(Maps *m, const Stmt *s);

static void map_for(Maps *m, const Stmt *s) {
  int64_t lo = 0, hi = 0, extent = 0, ignored, times = m->times;
  bool known = expr_bounds(&m->ranges, s->min, &lo, &hi) && expr_bounds(&m->ranges, s->extent, &ignored, &extent) &&
               extent > 0 && add_ok(hi, extent - 1, &hi);
  if (known) ranges_push(m->cx, &m->ranges, s->var, lo, hi);
  if (!known || !mul_ok(times, extent, &m->times)) m->times = 0;
  map_stmt(m, s->body);
  m->times = times;
  if (known) ranges_pop(&m->ranges);
}

static void map_alloc(Maps *m, const Stmt *s, size_t line) {
  Resident r = {.buffer = s->buffer, .line = line};
  if (s->buffer->base >= 0 && s->buffer->scope->depth > 0) VEC_PUSH(m->cx->arena, m->residents, r);
  map_stmt(m, s->body);
}

static void map_stmt(Maps *m, const Stmt *s) {
  size_t line = s->kind == STMT_SEQ ? 0 : next_line(m, s);
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) map_stmt(m, s->children[i]);
    return;
  case STMT_FOR: map_for(m, s); return;
  case STMT_ALLOC: map_alloc(m, s, line); return;
  case STMT_IF:
    mention_all(m, s->cond, line);
    map_stmt(m, s->body);
    if (s->else_body) map_stmt(m, s->else_body);
    return;
  case STMT_STORE:
    mention(m, s->buffer, line);
    mention_all(m, s->value, line);
    for (int i = 0; i < s->nargs; i++) mention_all(m, s->args[i], line);
    return;
  case STMT_INTRIN:
    for (int i = 0; i < s->nargs; i++) mention_all(m, s->args[i], line);
    if (is_vta(s->intrin, VTA_LOAD) || is_vta(s->intrin, VTA_STORE) || is_vta(s->intrin, VTA_ZERO))
      put_copy(m, s, line);
    if (s->body) map_stmt(m, s->body);
    return;
  }
}

// The buffers of one memory, if there are any.
static void put_memory(const Maps *m, const Scope *scope, Text *out) {
  bool any = false;
  for (size_t i = 0; i < m->residents.len; i++) {
    const Resident *r = &m->residents.data[i];
    if (r->buffer->scope != scope || !r->from) continue;
    if (!any) {
      start_element(out);
      text_add(out, "{\"name\":");
      text_add_json(out, scope->name);
      text_add(out, ",\"depth\":%lld,\"bytes\":%lld,\"buffers\":[", (long long)scope->depth,
               (long long)scope->tile * dtype_bytes(scope->type));
    }
    text_add(out, "%s{\"line\":%zu,\"base\":%lld,\"tiles\":%lld,\"from\":%zu,\"to\":%zu}", any ? "," : "", r->line,
             (long long)r->buffer->base, (long long)buffer_tiles(r->buffer), r->from, r->to);
    any = true;
  }
  if (any) text_add(out, "]}");
}

// Draws the maps of this phase, if it is the first that has places on chip.
static void put_maps(HtmlPage *p, const char *phase, const Func *f, const Record *r) {
  if (p->maps_are || !f->target) return;
  Text copies = {.arena = p->cx->arena}, memories = {.arena = p->cx->arena};
  Maps m = {.cx = p->cx, .record = r, .times = 1, .copies = &copies};
  map_stmt(&m, f->body);
  for (int i = 0; i < f->target->nscopes; i++) put_memory(&m, f->target->scopes[i], &memories);
  if (!memories.len) return;
  p->memories = memories;
  p->copies = copies;
  p->maps_are = phase;
}

// ---- phases and kernels ---------------------------------------------------------------------------------------------

static void put_phase(HtmlPage *p, const char *name, const char *what, const char *text, const Record *r) {
  Text *out = &p->phases;
  start_element(out);
  text_add(out, "{\"name\":");
  text_add_json(out, name);
  text_add(out, ",\"what\":");
  text_add_json(out, what);
  text_add(out, ",\"tir\":%s,\"text\":", r ? "true" : "false");
  text_add_json(out, text);
  text_add(out, ",\"places\":[");
  if (r) put_places(p, r, out);
  text_add(out, "]}");
}

void html_text(HtmlPage *p, const char *phase, const char *what, const char *text) {
  put_phase(p, phase, what, text, NULL);
}

void html_func(HtmlPage *p, const char *phase, const char *what, const Func *f) {
  Record r = {.arena = p->cx->arena};
  Text t = {.arena = p->cx->arena};
  tir_print(f, &(TirPrintOptions){.placed = note_place, .self = &r}, &t);
  number_lines(&r, t.data);
  put_phase(p, phase, what, t.data, &r);
  put_maps(p, phase, f, &r);
}

// Ends the kernel that is open.
static void end_kernel(const HtmlPage *p, Text *out) {
  if (!p->in_kernel) return;
  text_add(out, ",\"phases\":[\n%s],\"at\":", p->phases.len ? p->phases.data : "");
  text_add_json(out, p->maps_are ? p->maps_are : "");
  text_add(out, ",\"memories\":[%s],\"copies\":[%s]}", p->memories.len ? p->memories.data : "",
           p->copies.len ? p->copies.data : "");
}

void html_kernel(HtmlPage *p, const char *name) {
  end_kernel(p, &p->kernels);
  start_element(&p->kernels);
  text_add(&p->kernels, "{\"name\":");
  text_add_json(&p->kernels, name);
  p->in_kernel = true;
  p->phases = p->memories = p->copies = (Text){.arena = p->cx->arena};
  p->maps_are = NULL;
}

// ---- the page -------------------------------------------------------------------------------------------------------

static const char *title_of(const HtmlPage *p) {
  const char *path = p->sources.data[0]->path, *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void put_escaped(Text *out, const char *s) {
  for (; *s; s++)
    if (strchr("<>&\"'", *s)) text_add(out, "&#%d;", *s);
    else text_add_bytes(out, s, 1);
}

// JSON where HTML cannot see an element: `<` stands only in strings, and there it may be written as an escape.
static void put_data(const HtmlPage *p, Text *out) {
  Text t = {.arena = p->cx->arena};
  text_add(&t, "{\"sources\":[");
  for (size_t i = 0; i < p->sources.len; i++) {
    text_add(&t, "%s{\"path\":", i ? ",\n" : "");
    text_add_json(&t, p->sources.data[i]->path);
    text_add(&t, ",\"text\":");
    text_add_json(&t, p->sources.data[i]->text);
    text_add(&t, "}");
  }
  text_add(&t, "],\n\"kernels\":[%s", p->kernels.len ? p->kernels.data : "");
  end_kernel(p, &t);
  text_add(&t, "]}");
  for (size_t i = 0; i < t.len; i++)
    if (t.data[i] == '<') text_add(out, "\\u003c");
    else text_add_bytes(out, t.data + i, 1);
}

// The page with its parts in place of their marks, each of which stands once or (the title) more often.
void html_write(const HtmlPage *p, Text *out) {
  for (const char *s = html_page_html + 1; *s;) { // after the empty line that embedding puts first
    const char *mark = strchr(s, '@');
    if (!mark) mark = s + strlen(s);
    text_add_bytes(out, s, (size_t)(mark - s));
    s = mark;
    if (!strncmp(s, "@TITLE@", 7)) put_escaped(out, title_of(p)), s += 7;
    else if (!strncmp(s, "@STYLE@", 7)) text_add_bytes(out, html_page_css + 1, strlen(html_page_css + 1)), s += 7;
    else if (!strncmp(s, "@SCRIPT@", 8)) text_add_bytes(out, html_page_js + 1, strlen(html_page_js + 1)), s += 8;
    else if (!strncmp(s, "@DATA@", 6)) put_data(p, out), s += 6;
    else if (*s) text_add_bytes(out, s++, 1);
  }
}
