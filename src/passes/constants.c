// SPDX-License-Identifier: Apache-2.0
// constants: what depends on constants alone is computed now, and becomes a constant itself.
//
//     w: int8[3] const "010203",                           taps: int8[4] const "01020300"
//     alloc taps: int8[4];
//     for i in 0..4 {                                =>
//       taps[i] = i < 3 ? w[i] : 0i8;
//     }
//
// Requires: FORM_LOOPS. Ensures: the same results; constants that nobody reads any more are gone.
//
// The body is a row of statements, inside allocations. One is known if it reads constants and known buffers alone, and
// writes known buffers alone; a buffer of the host's memory is known if all that write to it are known, and stand
// before the others that read it. The largest such sets are found by taking away what is not so, and what follows from
// it. What is known is executed by the interpreter, in its order, so that an operation means here what it means
// everywhere. The work, the elements of a buffer, and how much larger an object may become are bounded; a remark says
// what stays.
#include <inttypes.h>

#include "passes/passes.h"

enum {
  MOST_WORK = 1 << 29,     // operations and accesses, of a function
  MOST_ELEMENTS = 1 << 24, // of a buffer
  SMALL = 1 << 20          // bytes: a larger buffer may be twice as large as the constants that it is made of
};

typedef VEC(const Buffer *) Buffers;

// A statement of the row.
typedef struct Part {
  const Stmt *s;
  Buffers reads, writes; // of buffers that are not its own
  int64_t work;          // at most; -1: it cannot be told
  bool known;
} Part;

// A buffer that may become a constant.
typedef struct Made {
  const Buffer *buffer;
  VEC(size_t) users; // indices of the parts that read or write it, in order
  size_t written;    // behind the last part that writes it; 0: none does
  const char *why;   // why it is not, although it depends on constants alone; NULL: it may be
  void *data;
  int64_t bytes;
  bool known;
} Made;

typedef struct Constants {
  PassCtx *pc;
  Ctx *cx;
  const Func *f;
  VEC(Part) parts;
  VEC(Made) made;
  PtrMap of_buffer; // to the index in made
  PtrMap own;       // buffers allocated inside the part that is looked at
  VEC(size_t) lost; // parts that turned out not to be known, and are still to be followed
  size_t next;      // part that the rewriting walk meets
} Constants;

static Made *made_of(const Constants *c, const Buffer *b) {
  int64_t i;
  return ptrmap_get(&c->of_buffer, b, &i) ? &c->made.data[i] : NULL;
}

static void add_buffer(Constants *c, Buffers *list, const Buffer *b) {
  int64_t ignored;
  if (ptrmap_get(&c->own, b, &ignored)) return;
  for (size_t i = 0; i < list->len; i++)
    if (list->data[i] == b) return;
  VEC_PUSH(c->cx->arena, *list, b);
}

// ---- what a statement does ------------------------------------------------------------------------------------------

typedef struct Look {
  Constants *c;
  Part *part;
} Look;

static bool look_expr(void *self, const Expr *e) {
  Look *l = self;
  if (e->kind == EXPR_LOAD) add_buffer(l->c, &l->part->reads, e->buffer);
  if (e->kind == EXPR_REF) l->part->known = false;
  return true;
}

static bool look_stmt(void *self, const Stmt *s) {
  Look *l = self;
  if (s->kind == STMT_STORE) add_buffer(l->c, &l->part->writes, s->buffer);
  if (s->kind == STMT_ALLOC) ptrmap_put(l->c->cx->arena, &l->c->own, s->buffer, 0);
  if (s->kind == STMT_INTRIN || (s->kind == STMT_ALLOC && s->buffer->scope->id >= 0)) l->part->known = false;
  return true;
}

static bool count_node(void *self, const Expr *e) {
  (void)e;
  ++*(int64_t *)self;
  return true;
}

// Operations and accesses of s at most; -1: more than the limit, or unknown.
static int64_t work_of(const Stmt *s) {
  int64_t n = 0, m, turns;
  switch (s->kind) {
  case STMT_FOR:
    if (!expr_is_int(s->extent, &turns) || turns < 0 || (m = work_of(s->body)) < 0) return -1;
    return mul_ok(m + 1, turns, &n) && n <= MOST_WORK ? n : -1;
  case STMT_STORE:
    n = 1;
    expr_visit(s->value, count_node, &n);
    for (int i = 0; i < s->nargs; i++) expr_visit(s->args[i], count_node, &n);
    return n;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) {
      if ((m = work_of(s->children[i])) < 0 || n > MOST_WORK) return -1;
      n += m;
    }
    return n;
  case STMT_IF:
    expr_visit(s->cond, count_node, &n);
    m = work_of(s->body);
    turns = s->else_body ? work_of(s->else_body) : 0;
    return m < 0 || turns < 0 ? -1 : n + m + turns;
  case STMT_ALLOC: return work_of(s->body);
  case STMT_INTRIN: return -1;
  }
  return -1;
}

static void add_made(Constants *c, const Buffer *b) {
  Made m = {.buffer = b, .known = b->scope->id < 0 && mul_ok(buffer_elems(b), dtype_bytes(b->type), &m.bytes)};
  ptrmap_put(c->cx->arena, &c->of_buffer, b, (int64_t)c->made.len);
  VEC_PUSH(c->cx->arena, c->made, m);
}

// The row of statements, and the allocations around them.
static void collect(Constants *c, const Stmt *s) {
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) collect(c, s->children[i]);
    return;
  }
  if (s->kind == STMT_ALLOC) {
    add_made(c, s->buffer);
    collect(c, s->body);
    return;
  }
  Part p = {.s = s, .known = true};
  Look l = {c, &p};
  c->own = (PtrMap){0};
  stmt_visit(s, look_stmt, look_expr, &l);
  p.work = work_of(s);
  VEC_PUSH(c->cx->arena, c->parts, p);
}

// ---- what is known --------------------------------------------------------------------------------------------------

static void lose(Constants *c, size_t part) {
  if (!c->parts.data[part].known) return;
  c->parts.data[part].known = false;
  VEC_PUSH(c->cx->arena, c->lost, part);
}

static void lose_buffer(Constants *c, Made *m) {
  if (!m->known) return;
  m->known = false;
  for (size_t i = 0; i < m->users.len; i++) lose(c, m->users.data[i]);
}

// Takes away what the lost parts make unknown: what they write, and what is written after they have read it.
static void settle(Constants *c) {
  while (c->lost.len) {
    size_t at = c->lost.data[--c->lost.len];
    const Part *p = &c->parts.data[at];
    for (size_t i = 0; i < p->writes.len; i++) {
      Made *m = made_of(c, p->writes.data[i]);
      if (m) lose_buffer(c, m);
    }
    for (size_t i = 0; i < p->reads.len; i++) {
      Made *m = made_of(c, p->reads.data[i]);
      if (m && m->written > at) lose_buffer(c, m);
    }
  }
}

// Whether all in the list are known, or may become so. written: the part writes them.
static bool may_be_known(Constants *c, const Buffers *list, bool written) {
  for (size_t i = 0; i < list->len; i++) {
    const Made *m = made_of(c, list->data[i]);
    if (m ? !m->known : written || list->data[i]->role != BUF_CONST) return false;
  }
  return true;
}

static void add_user(Constants *c, const Buffer *b, size_t part, bool writes) {
  Made *m = made_of(c, b);
  if (!m) return;
  VEC_PUSH(c->cx->arena, m->users, part);
  if (writes) m->written = part + 1;
}

// What is not known for its own sake, and all that follows from it.
static void find_known(Constants *c) {
  for (size_t i = 0; i < c->parts.len; i++) {
    const Part *p = &c->parts.data[i];
    for (size_t k = 0; k < p->reads.len; k++) add_user(c, p->reads.data[k], i, false);
    for (size_t k = 0; k < p->writes.len; k++) add_user(c, p->writes.data[k], i, true);
    if (!p->known) VEC_PUSH(c->cx->arena, c->lost, i);
  }
  for (size_t i = 0; i < c->parts.len; i++) {
    const Part *p = &c->parts.data[i];
    if (!may_be_known(c, &p->reads, false) || !may_be_known(c, &p->writes, true)) lose(c, i);
  }
  for (size_t i = 0; i < c->made.len; i++)
    if (!c->made.data[i].written) lose_buffer(c, &c->made.data[i]);
  settle(c);
}

static bool has(const Buffers *list, const Buffer *b) {
  for (size_t i = 0; i < list->len; i++)
    if (list->data[i] == b) return true;
  return false;
}

// ---- what is worth it -----------------------------------------------------------------------------------------------

// Bytes of the constants and known buffers that a part reads.
static int64_t bytes_read(const Part *p) {
  int64_t n = 0;
  for (size_t i = 0; i < p->reads.len; i++) {
    const Buffer *b = p->reads.data[i];
    if (!has(&p->writes, b)) n += buffer_elems(b) * dtype_bytes(b->type);
  }
  return n;
}

// Why what part p writes stays as it is; NULL: it need not. *left is the work that may still be done.
static const char *too_much(const Constants *c, const Part *p, int64_t *left) {
  int64_t most = 2 * bytes_read(p);
  for (size_t i = 0; i < p->writes.len; i++) {
    const Made *m = made_of(c, p->writes.data[i]);
    if (buffer_elems(m->buffer) > MOST_ELEMENTS)
      return arena_printf(c->cx->arena, "it has %" PRId64 " elements, more than %d", buffer_elems(m->buffer),
                          MOST_ELEMENTS);
    if (m->bytes > SMALL && m->bytes > most)
      return arena_printf(c->cx->arena, "it has %" PRId64 " bytes, and what it is made of %" PRId64, m->bytes,
                          most / 2);
  }
  if (p->work < 0 || p->work > *left)
    return arena_printf(c->cx->arena, "it takes more than the %d operations that may be done when compiling",
                        MOST_WORK);
  *left -= p->work;
  return NULL;
}

// Leaves alone what would take too much, and all that depends on it.
static void bound(Constants *c) {
  int64_t left = MOST_WORK;
  for (size_t i = 0; i < c->parts.len; i++) {
    Part *p = &c->parts.data[i];
    const char *why = p->known ? too_much(c, p, &left) : NULL;
    if (!why) continue;
    for (size_t k = 0; k < p->writes.len; k++) made_of(c, p->writes.data[k])->why = why;
    lose(c, i);
    settle(c);
  }
}

// ---- making it ------------------------------------------------------------------------------------------------------

// Executes the known parts. False: something went wrong, and will when the kernel is called.
static bool execute(Constants *c) {
  Ctx *cx = c->cx;
  VEC(const Stmt *) row = {0};
  Buffers params = {0};
  VEC(void *) data = {0};
  for (size_t i = 0; i < c->parts.len; i++)
    if (c->parts.data[i].known) VEC_PUSH(cx->arena, row, c->parts.data[i].s);
  for (size_t i = 0; i < c->made.len; i++) {
    Made *m = &c->made.data[i];
    if (!m->known) continue;
    m->data = NEW_ARRAY(cx->arena, char, m->bytes + 1);
    VEC_PUSH(cx->arena, params, m->buffer);
    VEC_PUSH(cx->arena, data, m->data);
  }
  if (!row.len) return false;
  Func f = *c->f;
  f.params = params.data;
  f.nparams = (int)params.len;
  f.body = stmt_seq(cx, (int)row.len, row.data);
  const char *error = NULL;
  return tir_interpret(cx, &f, data.data, NULL, &error);
}

// The body without the known parts, and without the allocations of what they made.
static const Stmt *rest(void *self, const Stmt *s) {
  Constants *c = self;
  if (s->kind == STMT_SEQ) return stmt_rebuild(c->cx, s, rest, NULL, c);
  if (s->kind != STMT_ALLOC) return c->parts.data[c->next++].known ? stmt_nop(c->cx) : s;
  if (!made_of(c, s->buffer)->known) return stmt_rebuild(c->cx, s, rest, NULL, c);
  return rest(c, s->body);
}

static bool note_read(void *self, const Expr *e) {
  Constants *c = self;
  if (e->kind == EXPR_LOAD || e->kind == EXPR_REF) ptrmap_put(c->cx->arena, &c->own, e->buffer, 0);
  return true;
}

static bool every(void *self, const Stmt *s) {
  (void)self, (void)s;
  return true;
}

// f with what was made: body reads constants of these values, and those that it does not read are gone.
static Func *finish(Constants *c, const Stmt *body) {
  Ctx *cx = c->cx;
  size_t n = c->made.len;
  const Buffer **from = NEW_ARRAY(cx->arena, const Buffer *, n + 1), **to = NEW_ARRAY(cx->arena, const Buffer *, n + 1);
  TirSubst subst = {.from = from, .to = to};
  Buffers all = {0}, read = {0};
  for (int i = 0; i < c->f->nconsts; i++) VEC_PUSH(cx->arena, all, c->f->consts[i]);
  for (size_t i = 0; i < n; i++) {
    const Made *m = &c->made.data[i];
    if (!m->known) continue;
    Buffer *b = arena_copy(cx->arena, m->buffer, sizeof *b);
    b->role = BUF_CONST;
    b->data = m->data;
    from[subst.nbuffers] = m->buffer;
    to[subst.nbuffers++] = b;
    VEC_PUSH(cx->arena, all, b);
  }
  body = stmt_subst(cx, body, &subst);
  c->own = (PtrMap){0};
  stmt_visit(body, every, note_read, c);
  for (size_t i = 0; i < all.len; i++) {
    int64_t ignored;
    if (ptrmap_get(&c->own, all.data[i], &ignored)) VEC_PUSH(cx->arena, read, all.data[i]);
  }
  Func *f = func_with_body(cx, c->f, body);
  f->consts = read.data;
  f->nconsts = (int)read.len;
  return f;
}

static const char *user_name(const Buffer *b) { return b->stage ? b->stage : b->name; }

static void remark(const Constants *c) {
  for (size_t i = 0; i < c->made.len; i++) {
    const Made *m = &c->made.data[i];
    const Buffer *b = m->buffer;
    if (m->known)
      diag_report(c->cx->diags, R_CONSTANT, b->loc, "`%s` is computed when compiling: it depends on constants alone",
                  user_name(b));
    else if (m->why) {
      Diag *d = diag_report(c->cx->diags, R_CONSTANT, b->loc,
                            "`%s` depends on constants alone, but is computed in each call", user_name(b));
      diag_note(d, "%s", m->why);
    }
  }
}

Func *pass_constants(PassCtx *pc, const Func *f) {
  Constants c = {.pc = pc, .cx = pc->cx, .f = f};
  collect(&c, f->body);
  find_known(&c);
  bound(&c);
  bool any = execute(&c);
  for (size_t i = 0; i < c.made.len && !any; i++) c.made.data[i].known = false;
  remark(&c);
  if (!any) return func_with_body(pc->cx, f, f->body);
  for (size_t i = 0; i < c.made.len; i++)
    if (c.made.data[i].known) pc->stats.constants++, pc->stats.constant_bytes += c.made.data[i].bytes;
  return finish(&c, rest(&c, f->body));
}
