// SPDX-License-Identifier: Apache-2.0
// The text form of TIR, as docs/tir.md specifies it. Names are made unique where they are bound: a name that is in
// scope already, or is a word of the language, gets a number.
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tir/internal.h"

// A set of texts that are taken; removing leaves the slot with a count of 0.
typedef struct Taken {
  size_t len, cap;
  const char **keys;
  int *counts;
} Taken;

typedef struct Printer {
  Text *out;
  TirPrintOptions opt;
  PtrMap names; // of variables and buffers: const char * as a number
  Taken taken;
} Printer;

static const char *const words[] = {
#define DTYPE(id, name, bits, cls) name,
#include "base/dtypes.def"
#define MATH(id, name, arity, takes) name,
#include "base/ops.def"
    "min",   "max",    "true",  "false", "func", "target", "for",      "in",      "if",         "else",     "alloc",
    "input", "output", "const", "of",    "by",   "base",   "parallel", "vthread", "vectorized", "unrolled",
};

static bool is_word(const char *name) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i], name)) return true;
  return false;
}

static void put(Printer *p, const char *s) { text_add_bytes(p->out, s, strlen(s)); }

static void put_int(Printer *p, int64_t v, bool is_unsigned) {
  char buf[24], *at = buf + sizeof buf;
  bool minus = v < 0 && !is_unsigned;
  uint64_t u = minus ? 0 - (uint64_t)v : (uint64_t)v;
  do *--at = (char)('0' + u % 10);
  while (u /= 10);
  if (minus) *--at = '-';
  text_add_bytes(p->out, at, (size_t)(buf + sizeof buf - at));
}

static void indent(Printer *p, int n) {
  static const char spaces[] = "                                                                ";
  for (n *= 2; n > 0; n -= 64) text_add_bytes(p->out, spaces, (size_t)(n < 64 ? n : 64));
}

// ---- names ----------------------------------------------------------------------------------------------------------

static size_t taken_slot(const Taken *t, const char *key) {
  uint64_t h = 1469598103934665603u;
  for (const char *c = key; *c; c++) h = (h ^ (unsigned char)*c) * 1099511628211u;
  size_t i = (size_t)(h ^ h >> 29) & (t->cap - 1);
  while (t->keys[i] && strcmp(t->keys[i], key)) i = (i + 1) & (t->cap - 1);
  return i;
}

static bool is_taken(const Taken *t, const char *key) { return t->cap && t->counts[taken_slot(t, key)] > 0; }

static void take(Arena *a, Taken *t, const char *key, int by) {
  if (t->len * 2 >= t->cap) {
    Taken grown = {.len = t->len, .cap = t->cap ? t->cap * 2 : 256};
    grown.keys = NEW_ARRAY(a, const char *, grown.cap);
    grown.counts = NEW_ARRAY(a, int, grown.cap);
    for (size_t i = 0; i < t->cap; i++) {
      if (!t->keys[i]) continue;
      size_t at = taken_slot(&grown, t->keys[i]);
      grown.keys[at] = t->keys[i];
      grown.counts[at] = t->counts[i];
    }
    *t = grown;
  }
  size_t i = taken_slot(t, key);
  t->len += !t->keys[i];
  t->keys[i] = key;
  t->counts[i] += by;
}

// Whether a name would be read as a number: inf_f32, nan_f64_7ff8.
static bool is_float(const char *name) {
  if (strncmp(name, "inf_f", 5) && strncmp(name, "nan_f", 5)) return false;
  const char *bits = name + 5 + strspn(name + 5, "0123456789");
  if (bits == name + 5 || !*bits) return bits != name + 5;
  return *bits == '_' && bits[1] && !bits[1 + strspn(bits + 1, "0123456789abcdef")];
}

// hint as an identifier: other characters become `_`.
static const char *identifier(Arena *a, const char *hint) {
  if (!hint || !*hint) return "v";
  bool good = !isdigit((unsigned char)*hint);
  for (const char *c = hint; *c; c++) good &= isalnum((unsigned char)*c) || *c == '_';
  if (good) return is_float(hint) ? arena_printf(a, "%s_", hint) : hint;
  char *s = arena_printf(a, "%s%s", isdigit((unsigned char)*hint) ? "_" : "", hint);
  for (char *c = s; *c; c++)
    if (!isalnum((unsigned char)*c)) *c = '_';
  return s;
}

// The same for what need not be unique: no word of the language.
static const char *word_free(Arena *a, const char *hint) {
  const char *name = identifier(a, hint);
  return is_word(name) ? arena_printf(a, "%s_", name) : name;
}

// Binds thing to a name that is free here.
static const char *bind(Printer *p, const void *thing, const char *hint) {
  Arena *a = p->out->arena;
  const char *base = identifier(a, hint), *name = base;
  for (int i = 1; is_taken(&p->taken, name); i++) name = arena_printf(a, "%s_%d", base, i);
  take(a, &p->taken, name, 1);
  ptrmap_put(a, &p->names, thing, (int64_t)(intptr_t)name);
  return name;
}

static void unbind(Printer *p, const char *name) { take(p->out->arena, &p->taken, name, -1); }

// The name of something bound, or (in messages about a part of a tree) its hint.
static const char *name_at(Printer *p, const void *thing, const char *hint) {
  int64_t name;
  if (ptrmap_get(&p->names, thing, &name)) return (const char *)(intptr_t)name;
  return identifier(p->out->arena, hint);
}

// ---- expressions ----------------------------------------------------------------------------------------------------

static const char *suffix(DType t) {
  switch (t) {
  case DT_I8: return "i8";
  case DT_I16: return "i16";
  case DT_I32: return "i32";
  case DT_U8: return "u8";
  case DT_U16: return "u16";
  case DT_U32: return "u32";
  case DT_U64: return "u64";
  case DT_F16: return "f16";
  case DT_F32: return "f32";
  case DT_F64: return "f64";
  case DT_BOOL:
  case DT_I64:
  case DT_COUNT: break;
  }
  return "";
}

static void put_integer(Printer *p, DType t, int64_t v) {
  if (t == DT_BOOL) {
    put(p, v ? "true" : "false");
    return;
  }
  put_int(p, v, t == DT_U64);
  put(p, suffix(t));
}

// The shortest decimal that reads back as v; NaNs that are not the usual one carry their bits.
static void put_float(Printer *p, DType t, double v) {
  const double usual = (double)NAN;
  char buf[48];
  if (signbit(v)) put(p, "-");
  v = fabs(v);
  if (isnan(v) && memcmp(&v, &usual, sizeof v)) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    snprintf(buf, sizeof buf, "nan_%s_%016" PRIx64, suffix(t), bits);
  } else if (!isfinite(v)) {
    snprintf(buf, sizeof buf, "%s_%s", isnan(v) ? "nan" : "inf", suffix(t));
  } else {
    bool whole = v < 1e15 && v == floor(v);
    if (whole) snprintf(buf, sizeof buf, "%.1f", v);
    for (int digits = 1; !whole && digits <= 17; digits++) {
      snprintf(buf, sizeof buf, "%.*g", digits, v);
      if (round_float(t, strtod(buf, NULL)) == v) break;
    }
    strcat(buf, suffix(t));
  }
  put(p, buf);
}

enum { PREC_SELECT = 0, PREC_UNARY = 11, PREC_PRIMARY = 12 };

static void put_expr(Printer *p, const Expr *e, int prec);

static void put_args(Printer *p, int n, const Expr **args) {
  for (int i = 0; i < n; i++) {
    if (i) put(p, ", ");
    put_expr(p, args[i], PREC_SELECT);
  }
}

static void put_access(Printer *p, const Buffer *b, int n, const Expr **args) {
  put(p, name_at(p, b, b->name));
  put(p, "[");
  put_args(p, n, args);
  put(p, "]");
}

static void put_binary(Printer *p, const Expr *e, int prec) {
  int own = binop_prec(e->binop);
  if (!own) {
    put(p, binop_text(e->binop));
    put(p, "(");
    put_expr(p, e->a, PREC_SELECT);
    put(p, ", ");
    put_expr(p, e->b, PREC_SELECT);
    put(p, ")");
    return;
  }
  if (own < prec) put(p, "(");
  put_expr(p, e->a, own);
  put(p, " ");
  put(p, binop_text(e->binop));
  put(p, " ");
  put_expr(p, e->b, own + 1);
  if (own < prec) put(p, ")");
}

// A literal under a unary operator stands in parentheses: `-(5)` negates 5, `-5` is a literal.
static void put_unary(Printer *p, const Expr *e, int prec) {
  bool bare = e->a->kind != EXPR_INT && e->a->kind != EXPR_FLOAT;
  if (prec > PREC_UNARY) put(p, "(");
  put(p, unop_text(e->unop));
  if (!bare) put(p, "(");
  put_expr(p, e->a, bare ? PREC_PRIMARY : PREC_SELECT);
  if (!bare) put(p, ")");
  if (prec > PREC_UNARY) put(p, ")");
}

static void put_select(Printer *p, const Expr *e, int prec) {
  if (prec > PREC_SELECT) put(p, "(");
  put_expr(p, e->a, PREC_SELECT + 1);
  put(p, " ? ");
  put_expr(p, e->b, PREC_SELECT + 1);
  put(p, " : ");
  put_expr(p, e->c, PREC_SELECT);
  if (prec > PREC_SELECT) put(p, ")");
}

// e where operators that bind less than prec need parentheses.
static void put_expr(Printer *p, const Expr *e, int prec) {
  switch (e->kind) {
  case EXPR_INT: put_integer(p, e->type, e->value.i); return;
  case EXPR_FLOAT: put_float(p, e->type, e->value.f); return;
  case EXPR_VAR: put(p, name_at(p, e->var, e->var->name)); return;
  case EXPR_CAST:
    put(p, dtype_name(e->type));
    put(p, "(");
    put_expr(p, e->a, PREC_SELECT);
    put(p, ")");
    return;
  case EXPR_UNARY: put_unary(p, e, prec); return;
  case EXPR_BINARY: put_binary(p, e, prec); return;
  case EXPR_SELECT: put_select(p, e, prec); return;
  case EXPR_REF:
    put(p, "&");
    put_access(p, e->buffer, e->nargs, e->args);
    return;
  case EXPR_LOAD: put_access(p, e->buffer, e->nargs, e->args); return;
  case EXPR_MATH:
    put(p, math_name(e->fn));
    put(p, "(");
    put_args(p, e->nargs, e->args);
    put(p, ")");
    return;
  }
}

// ---- statements -----------------------------------------------------------------------------------------------------

static void put_loc(Printer *p, Loc loc) {
  if (!loc_known(loc)) {
    put(p, "@?");
    return;
  }
  bool plain = *loc.src->path != '\0';
  for (const char *c = loc.src->path; *c; c++) plain &= isalnum((unsigned char)*c) || strchr("_./-+", *c);
  put(p, plain ? "@" : "@\"");
  for (const char *c = loc.src->path; *c; c++)
    if (plain) text_add_bytes(p->out, c, 1);
    else if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') text_add(p->out, "\\%02x", (unsigned char)*c);
    else text_add_bytes(p->out, c, 1);
  if (!plain) put(p, "\"");
  text_add(p->out, ":%" PRIu32 ":%" PRIu32, loc.line, loc.col);
}

// ` @k.te:3:5 by @k.te:20:3`, if places are asked for. s: the statement whose place it is; NULL where it is none's.
static void put_place(Printer *p, const Stmt *s, Loc loc, Loc why) {
  if (p->opt.placed) p->opt.placed(p->opt.self, p->out->len, s, loc, why);
  if (!p->opt.locations) return;
  put(p, " ");
  put_loc(p, loc);
  if (!loc_known(why)) return;
  put(p, " by ");
  put_loc(p, why);
}

static void put_buffer(Printer *p, const Buffer *b) {
  const char *name = bind(p, b, b->name);
  put(p, name);
  put(p, ": ");
  put(p, dtype_name(b->type));
  put(p, "[");
  for (int i = 0; i < b->ndim && !b->scalar; i++) {
    if (i) put(p, ", ");
    put_int(p, b->shape[i], false);
  }
  put(p, "]");
  if (b->scope != &scope_host) {
    put(p, " @");
    put(p, b->scope->name);
  }
  if (b->base >= 0) {
    put(p, " base=");
    put_int(p, b->base, false);
  }
  const char *stage = b->stage ? word_free(p->out->arena, b->stage) : name;
  if (!strcmp(stage, name)) return;
  put(p, " of ");
  put(p, stage);
}

static const char *const for_words[] = {"for", "parallel for", "vectorized for", "unrolled for", "vthread for"};

// min..end where both are literals or min is 0; else min..+extent.
static void put_range(Printer *p, const Expr *min, const Expr *extent) {
  int64_t lo, n, end;
  bool literal = expr_is_int(min, &lo) && min->type == DT_I64;
  if (literal && expr_is_int(extent, &n) && add_ok(lo, n, &end)) {
    put_int(p, lo, false);
    put(p, "..");
    put_int(p, end, false);
  } else if (literal && lo == 0 && !expr_is_int(extent, &n)) {
    put(p, "0..");
    put_expr(p, extent, PREC_SELECT + 1);
  } else {
    put_expr(p, min, PREC_SELECT + 1);
    put(p, "..+");
    put_expr(p, extent, PREC_SELECT + 1);
  }
}

static void put_stmt(Printer *p, const Stmt *s, int level, bool last);

// ` {` body `}` without the line's end.
static void put_block(Printer *p, const Stmt *body, int level) {
  put(p, " {\n");
  put_stmt(p, body, level + 1, true);
  indent(p, level);
  put(p, "}");
}

static void put_for(Printer *p, const Stmt *s, int level) {
  put(p, for_words[s->for_kind]);
  put(p, " ");
  // The bounds are outside the variable's scope, but a name that they use would read as the variable.
  const char *name = bind(p, s->var, s->var->name);
  put(p, name);
  put(p, " in ");
  put_range(p, s->min, s->extent);
  put_place(p, s, s->loc, s->why);
  put_block(p, s->body, level);
  put(p, "\n");
  unbind(p, name);
}

static void put_if(Printer *p, const Stmt *s, int level) {
  for (;;) {
    put(p, "if (");
    put_expr(p, s->cond, PREC_SELECT);
    put(p, ")");
    put_place(p, s, s->loc, s->why);
    put_block(p, s->body, level);
    if (!s->else_body) break;
    put(p, " else");
    if (s->else_body->kind != STMT_IF) {
      put_block(p, s->else_body, level);
      break;
    }
    put(p, " ");
    s = s->else_body;
  }
  put(p, "\n");
}

// An allocation lives until the end of its block: one that is not the block's last statement gets a block of its own.
static void put_alloc(Printer *p, const Stmt *s, int level, bool last) {
  if (!last) {
    put(p, "{\n");
    indent(p, ++level);
  }
  put(p, "alloc ");
  put_buffer(p, s->buffer);
  put_place(p, s, s->loc, s->why);
  put(p, ";\n");
  put_stmt(p, s->body, level, true);
  unbind(p, name_at(p, s->buffer, s->buffer->name));
  if (last) return;
  indent(p, level - 1);
  put(p, "}\n");
}

// Whether an operand's arguments are what is meant by leaving it out.
static bool left_out(const IntrinOperand *o, const Expr **args) {
  if (o->missing != OPERAND_ZERO && o->missing != OPERAND_ONE) return false;
  for (int i = 0; i < o->count; i++) {
    int64_t v;
    if (!expr_is_int(args[i], &v) || args[i]->type != DT_I64 || v != (o->missing == OPERAND_ONE)) return false;
  }
  return true;
}

static void put_operand(Printer *p, const IntrinOperand *o, const Expr **args) {
  const char *word = operand_word(o, args[0]);
  if (o->named) put(p, o->name), put(p, "=");
  if (o->count > 1) put(p, "(");
  if (word) put(p, word);
  else put_args(p, o->count, args);
  if (o->count > 1) put(p, ")");
}

static void put_operands(Printer *p, const Stmt *s) {
  const Intrin *op = s->intrin;
  if (!op->operands || s->nargs < op->min_args || s->nargs > op->max_args) { // the latter is malformed
    put_args(p, s->nargs, s->args);
    return;
  }
  bool any = false;
  for (int i = 0, arg = 0; i < op->noperands && arg < s->nargs; arg += op->operands[i++].count) {
    if (left_out(&op->operands[i], s->args + arg)) continue;
    if (any) put(p, ", ");
    any = true;
    put_operand(p, &op->operands[i], s->args + arg);
  }
}

static void put_intrin(Printer *p, const Stmt *s, int level) {
  put(p, s->intrin->name);
  put(p, "(");
  put_operands(p, s);
  put(p, ")");
  put_place(p, s, s->loc, s->why);
  if (s->body) put_block(p, s->body, level);
  put(p, s->body ? "\n" : ";\n");
}

// A statement on its lines; last: nothing follows it in its block.
static void put_stmt(Printer *p, const Stmt *s, int level, bool last) {
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) put_stmt(p, s->children[i], level, last && i + 1 == s->nchildren);
    return;
  }
  indent(p, level);
  switch (s->kind) {
  case STMT_FOR: put_for(p, s, level); return;
  case STMT_IF: put_if(p, s, level); return;
  case STMT_ALLOC: put_alloc(p, s, level, last); return;
  case STMT_INTRIN: put_intrin(p, s, level); return;
  case STMT_STORE:
    put_access(p, s->buffer, s->nargs, s->args);
    put(p, " = ");
    put_expr(p, s->value, PREC_SELECT);
    put_place(p, s, s->loc, s->why);
    put(p, ";\n");
    return;
  case STMT_SEQ: return;
  }
}

static Printer printer_new(Text *out) {
  Printer p = {.out = out};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) take(out->arena, &p.taken, words[i], 1);
  return p;
}

// The bytes of a constant, in quotes.
static void put_bytes(Printer *p, const unsigned char *data, size_t n) {
  static const char digits[] = "0123456789abcdef";
  char *text = arena_alloc(p->out->arena, 2 * n + 3);
  text[0] = text[2 * n + 1] = '"';
  for (size_t i = 0; i < n; i++) {
    text[2 * i + 1] = digits[data[i] >> 4];
    text[2 * i + 2] = digits[data[i] & 15];
  }
  put(p, text);
}

void tir_print(const Func *f, const TirPrintOptions *opt, Text *out) {
  Printer p = printer_new(out);
  if (opt) p.opt = *opt;
  put(&p, "func ");
  put(&p, word_free(out->arena, f->name));
  put(&p, "(");
  for (int i = 0; i < f->nparams; i++) {
    put(&p, i ? ",\n  " : "\n  ");
    put_buffer(&p, f->params[i]);
    put(&p, f->params[i]->role == BUF_OUTPUT ? " output" : " input");
    put_place(&p, NULL, f->params[i]->loc, (Loc){0});
  }
  for (int i = 0; i < f->nconsts; i++) {
    put(&p, i || f->nparams ? ",\n  " : "\n  ");
    put_buffer(&p, f->consts[i]);
    put(&p, " const ");
    put_bytes(&p, f->consts[i]->data, (size_t)buffer_elems(f->consts[i]) * (size_t)dtype_bytes(f->consts[i]->type));
    put_place(&p, NULL, f->consts[i]->loc, (Loc){0});
  }
  put(&p, f->nparams || f->nconsts ? "\n)" : ")");
  if (f->target) {
    put(&p, " target ");
    put(&p, f->target->name);
  }
  put_place(&p, NULL, f->loc, (Loc){0});
  put(&p, " {\n");
  put_stmt(&p, f->body, 1, true);
  put(&p, "}\n");
}

void tir_print_stmt(const Stmt *s, int level, Text *out) {
  Printer p = printer_new(out);
  put_stmt(&p, s, level, true);
}

void tir_print_expr(const Expr *e, Text *out) {
  Printer p = {.out = out};
  put_expr(&p, e, PREC_SELECT);
}
