// SPDX-License-Identifier: Apache-2.0
// base: what every room stands on. Arenas, vectors, interned names, source places, diagnostics, scalar types.
#ifndef TETC_BASE_H
#define TETC_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN __attribute__((noreturn))
#else
#define PRINTF_LIKE(f, a)
#define NORETURN
#endif

// ---- memory: arena.c -------------------------------------------------------------------------------------------

// A bump allocator. Everything of a compilation lives in one; nothing in it is freed alone.
typedef struct Arena Arena;

Arena *arena_new(void); // NULL when memory is out
void arena_free(Arena *a);
// When memory runs out (or `limit` bytes, 0 = none, are used), allocation does not return: it longjmps to `out`.
// Without a jump buffer the process ends with a message and status 4.
void arena_on_exhaustion(Arena *a, jmp_buf *out, size_t limit);
size_t arena_used(const Arena *a);
void *arena_alloc(Arena *a, size_t bytes);              // zeroed, aligned for any type, never NULL
void *arena_array(Arena *a, size_t count, size_t size); // as arena_alloc, with an overflow check
void *arena_copy(Arena *a, const void *from, size_t bytes);
char *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
// Grows `data` (len elements in use, *cap allocated) to hold at least one more; returns the new block.
void *arena_grow(Arena *a, void *data, size_t len, size_t *cap, size_t size);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_array((arena), (size_t)(n), sizeof(T)))

// A growing array in an arena: `VEC(int) v = {0}; VEC_PUSH(arena, v, 3); v.data[0]; v.len`.
#define VEC(T) \
  struct { \
    T *data; \
    size_t len; \
    size_t cap; \
  }
#define VEC_PUSH(arena, v, x) \
  ((v).len == (v).cap ? (void)((v).data = arena_grow((arena), (v).data, (v).len, &(v).cap, sizeof *(v).data)) \
                      : (void)0, \
   (v).data[(v).len++] = (x))

// A growing text, always NUL-terminated.
typedef struct Text {
  Arena *arena;
  char *data;
  size_t len, cap;
} Text;
void text_add(Text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add_bytes(Text *t, const char *bytes, size_t n);

// ---- names: intern.c -------------------------------------------------------------------------------------------

// An interned string: equal names are the same pointer.
typedef const char *Name;
typedef struct Names Names;
Names *names_new(Arena *a);
Name name_of(Names *n, const char *text);
Name name_of_bytes(Names *n, const char *text, size_t len);

// Collects candidates and tells in `best` the one nearest to `wanted`; NULL: none is near. suggest.c
typedef struct Nearest {
  const char *wanted;
  const char *best;
  int distance;
} Nearest;
void nearest_try(Nearest *n, const char *candidate);

// ---- source places: source.c -----------------------------------------------------------------------------------

// One input file, whole, with its line starts. `path` is as the user wrote it.
/* sha256.c */
void sha256_text(const void *data, size_t len, char out[65]); // 64 digits, as sha256sum prints them

typedef struct Source {
  const char *path;
  const char *text; // NUL-terminated
  size_t len;
  uint32_t *line_start; // byte offset of each line; nlines of them
  uint32_t nlines;
} Source;

// A span of source text; lines and columns count from 1, columns in bytes; the end is exclusive. src NULL: no place.
typedef struct Loc {
  const Source *src;
  uint32_t line, col, end_line, end_col;
} Loc;

const Source *source_new(Arena *a, const char *path, const char *text, size_t len);
// Reads a file whole ("-" is standard input). NULL with *error (from strerror or our own words) on failure.
const Source *source_read(Arena *a, const char *path, const char **error);
// The source with the text of `at` (of that source) replaced.
const Source *source_edit(Arena *a, Loc at, const char *replacement);
// The same of several spans, none of which overlaps another; of empty ones at one place, in the order given.
typedef struct SourceEdit {
  Loc at;
  const char *replacement;
} SourceEdit;
const Source *source_edits(Arena *a, const Source *src, size_t n, const SourceEdit *edits);
// `base`, or `base_2` and so on if that is a word of the source: a name that nothing there has.
const char *source_fresh_name(Arena *a, const Source *src, const char *base);
bool loc_before(Loc a, Loc b);     // of one source: a starts before b
Loc loc_join(Loc first, Loc last); // from the start of one to the end of the other
static inline bool loc_known(Loc l) { return l.src != NULL; }

// ---- maps: ptrmap.c ---------------------------------------------------------------------------------------------

// Pointer (a node, an interned name) -> number or pointer; {0} is empty. Only looked up, never walked: its order is
// that of addresses.
typedef struct PtrMap {
  const void **keys; // NULL: free
  int64_t *values;
  size_t cap, len;
} PtrMap;
void ptrmap_put(Arena *a, PtrMap *m, const void *key, int64_t value); // replaces
bool ptrmap_get(const PtrMap *m, const void *key, int64_t *value);    // false: there is none
// The same with pointers as values.
static inline void ptrmap_set(Arena *a, PtrMap *m, const void *key, const void *value) {
  ptrmap_put(a, m, key, (intptr_t)value);
}
void *ptrmap_find(const PtrMap *m, const void *key); // NULL: there is none

// ---- diagnostics: diag.c ---------------------------------------------------------------------------------------

// Codes are E0301 and so on; their list, with titles, is diag_codes.def. Numbers are never reused.
typedef enum DiagCode {
#define DIAG(code, number, severity, name, title, help) code,
#include "base/diag_codes.def"
  DIAG_CODE_COUNT
} DiagCode;

typedef enum Severity { SEV_ERROR, SEV_WARNING, SEV_REMARK } Severity;

typedef struct Diag Diag;
typedef struct Diags Diags; // the messages of one compilation, in order

typedef enum DiagFormat { DIAG_TEXT, DIAG_JSON, DIAG_SARIF } DiagFormat;

Diags *diags_new(Arena *a);
// Adds a message of the code's severity. The headline is lower case, without full stop. `at` may be unknown.
// Messages with the same code and place as an earlier one are dropped (NULL is never returned).
Diag *diag_report(Diags *d, DiagCode code, Loc at, const char *fmt, ...) PRINTF_LIKE(4, 5);
// Text printed beside the caret of the primary place.
void diag_here(Diag *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
// A second place (the schedule line that asked for it, the first declaration).
void diag_also(Diag *g, Loc at, const char *fmt, ...) PRINTF_LIKE(3, 4);
// A cause or explanation; may have several lines. Printed as `= text`.
void diag_note(Diag *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
// Two notes that programs can tell from others: the loop nest at fault, and the rule that it breaks.
void diag_nest(Diag *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
void diag_rule(Diag *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
// A remedy. Printed as `= help: text`.
void diag_help(Diag *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
// A mechanical remedy: replace the text of `at` (empty span: insert) by `replacement`. Printed as a help; the
// replacement is shown after the text, unless the text quotes code itself.
void diag_fix(Diag *g, Loc at, const char *replacement, const char *fmt, ...) PRINTF_LIKE(4, 5);
// The same for what is only a guess: the program with it may mean something else than what was meant. It is shown, and
// never applied without being asked for.
void diag_guess(Diag *g, Loc at, const char *replacement, const char *fmt, ...) PRINTF_LIKE(4, 5);
// The nearest word of the language in the place of a mistyped one: a guess, unless only capitals differ.
void diag_nearest(Diag *g, Loc at, const Nearest *n, const char *text);
// The same for a statement that is missing: `insert` goes behind the statement at `after`, or behind the block around
// it (diags_keep_whole); without a known place it is a plain help.
void diag_fix_after(Diag *g, Loc after, const char *insert, const char *fmt, ...) PRINTF_LIKE(4, 5);
// The edit that it makes: what replaces the empty span that *after becomes.
const char *diags_insertion(const Diags *d, Loc *after, const char *insert);
// The same for a line that is missing at the head of a source, behind its leading comments.
void diag_fix_head(Diag *g, const Source *src, const char *line, const char *fmt, ...) PRINTF_LIKE(4, 5);
// The same for a statement that is in the way: it goes, with its `;`. A warning only says so where the statement stands
// inside a block (diags_keep_whole).
void diag_fix_drop(Diag *g, Loc statement, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_guess_drop(Diag *g, Loc statement, const char *fmt, ...) PRINTF_LIKE(3, 4); // where another could go instead
// `block`, a statement with its braces, stands for several: no statement is inserted inside.
void diags_keep_whole(Diags *d, Loc block);
// Until diags_leave, messages tell that they are about what stands at `at`: a call that is being expanded.
void diags_enter(Diags *d, Loc at, const char *text);
void diags_leave(Diags *d);
// What stands in `block` is executed for the call at `at`: messages about it that come later, when no call is being
// expanded, tell that.
void diags_called(Diags *d, Loc block, Loc at, const char *name);
int diags_errors(const Diags *d);   // how many errors there are
int diags_warnings(const Diags *d); // the same
Severity diag_severity(DiagCode code);
// The phase of the earliest error, by its code: 0 lexing and syntax (E00xx), 1 names and types, ...; INT_MAX: none.
int diags_phase(const Diags *d);
// One mechanical remedy of an error or a warning, for programs that apply it.
typedef struct DiagFix {
  Loc at;
  const char *replacement, *text;
  DiagCode code;        // of the message that it is for
  const char *headline; // too
  bool guess;           // it may mean something else
  bool helps;           // it was tried: the message is gone, and there are not more than before
} DiagFix;
// The remedies of all errors and warnings in order: how many, and the i-th.
size_t diags_fix_count(const Diags *d);
DiagFix *diags_fix(const Diags *d, size_t i);
int diags_count(const Diags *d);
bool diags_have(const Diags *d, DiagCode code);
bool diags_told(const Diags *d, DiagCode code, const char *headline); // wherever
Diag *diags_find(const Diags *d, DiagCode code, int i); // the i-th message with this code; NULL: there are not as many
// What a message speaks of, for programs: a name from the program or the target ("vta.acc"). NULL: nothing.
void diag_about(Diag *g, const char *subject);
const char *diag_subject(const Diag *g);
const char *diag_headline(const Diag *g);
void diags_show_remarks(Diags *d, bool on); // remarks are collected always, but printed only if asked for
// How text is shown. The source's own characters come as they are, except on a terminal that has only ASCII.
typedef enum DiagChars { CHARS_AS_IS, CHARS_ASCII, CHARS_UNICODE } DiagChars; // UNICODE: lines are drawn with it, too
typedef struct DiagLook {
  bool color; // ANSI colours
  DiagChars chars;
  int width; // columns of the terminal: what is wider is wrapped or cut; 0: nothing is
} DiagLook;
// Prints all messages, each error with a remedy; `look` (NULL: as in a file) is for text.
void diags_print(const Diags *d, FILE *out, DiagFormat format, const DiagLook *look);
void text_add_json(Text *out, const char *s); // diag_json.c: appends s as JSON; bytes that are not UTF-8 become U+FFFD
const char *diag_code_text(DiagCode code);    // "E0301"
const char *diag_code_title(DiagCode code);
bool diag_code_of(const char *text, DiagCode *out);

// Our own fault: prints the place and a plea to report it, then exits with status 4. User input must never get here.
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
// What bug() calls before it exits, once; NULL: nothing.
void bug_then(void (*f)(void *self), void *self);
NORETURN void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

// The system has no more memory: calls what memory_out_then() was given, which does not return; returns where it was
// given none (at first, and in programs that go on: there, arenas go to their jump buffer). arena.c.
void memory_out(void);
void memory_out_then(void (*leave)(void));

// ---- scalar types and arithmetic: scalar.c ----------------------------------------------------------------------

typedef enum DType {
#define DTYPE(id, name, bits, cls) DT_##id,
#include "base/dtypes.def"
  DT_COUNT
} DType;

const char *dtype_name(DType t);
bool dtype_of_name(const char *name, DType *out);
int dtype_bits(DType t);
static inline int dtype_bytes(DType t) { return dtype_bits(t) / 8; }
bool dtype_is_int(DType t);    // signed or unsigned, not bool
bool dtype_is_signed(DType t); // signed integer
bool dtype_is_float(DType t);

typedef enum BinOp {
#define BINARY(id, text, prec, boolean) OP_##id,
#include "base/ops.def"
  OP_COUNT
} BinOp;
typedef enum UnOp {
#define UNARY(id, text) UN_##id,
#include "base/ops.def"
  UN_COUNT
} UnOp;
typedef enum MathFn {
#define MATH(id, name, arity, takes) FN_##id,
#include "base/ops.def"
  FN_COUNT
} MathFn;

const char *binop_text(BinOp op);
int binop_prec(BinOp op); // 0: printed as a call
bool binop_is_bool(BinOp op);
// The labels of a switch over comparisons for all other operations.
#define CASE_NO_COMPARISON \
  case OP_ADD: \
  case OP_SUB: \
  case OP_MUL: \
  case OP_DIV: \
  case OP_MOD: \
  case OP_MIN: \
  case OP_MAX: \
  case OP_SHL: \
  case OP_SHR: \
  case OP_AND: \
  case OP_XOR: \
  case OP_OR: \
  case OP_LAND: \
  case OP_LOR: \
  case OP_COUNT
const char *unop_text(UnOp op);
const char *math_name(MathFn f);
int math_arity(MathFn f);
bool math_takes(MathFn f, DType t);    // arguments of type t
const char *math_takes_what(MathFn f); // in words
// Functions whose result is the same on every machine; the others are left to the machine that runs the code.
bool math_is_exact(MathFn f);
// For switches: the functions that take integers alone, and those that take floats alone.
#define CASE_INTEGER_FUNCTION \
  case FN_QUOTIENT: \
  case FN_REMAINDER: \
  case FN_MULHI: \
  case FN_SAT_ADD: \
  case FN_SAT_SUB: \
  case FN_SAT_SHL: \
  case FN_ROUND_SHR: \
  case FN_POPCOUNT: \
  case FN_CLZ
#define CASE_FLOAT_FUNCTION \
  case FN_ROUND: \
  case FN_RINT: \
  case FN_FLOOR: \
  case FN_CEIL: \
  case FN_TRUNC: \
  case FN_EXP: \
  case FN_LOG: \
  case FN_LOG2: \
  case FN_SQRT: \
  case FN_RSQRT: \
  case FN_SIN: \
  case FN_COS: \
  case FN_TAN: \
  case FN_ATAN: \
  case FN_TANH: \
  case FN_SIGMOID: \
  case FN_ERF: \
  case FN_POW: \
  case FN_FMA
bool math_of_name(const char *name, MathFn *out);

// A value of some DType: integers and bool in i (sign- or zero-extended from their width), floats in f (already
// rounded to their width).
typedef union Scalar {
  int64_t i;
  double f;
} Scalar;

// The operators' meaning. `t` is the operands' type; the result is bool for comparisons and && ||, else t.
Scalar scalar_binary(BinOp op, DType t, Scalar a, Scalar b);
Scalar scalar_unary(UnOp op, DType t, Scalar a);
Scalar scalar_math(MathFn f, DType t, Scalar a, Scalar b); // of one or two arguments
Scalar scalar_call(MathFn f, DType t, const Scalar *args);
// int to int truncates; float to int rounds towards zero and saturates, NaN gives 0; int or bool to float rounds.
Scalar scalar_cast(DType to, DType from, Scalar a);
int64_t wrap_int(DType t, int64_t v);  // reduces to the width of t and extends again
double round_float(DType t, double v); // to float16 or float32 precision
uint16_t half_of_float(float f);       // IEEE binary16, ties to even
float float_of_half(uint16_t h);
Scalar scalar_load(DType t, const void *at); // from memory, little-endian host order
void scalar_store(DType t, void *at, Scalar v);

int64_t floor_div(int64_t a, int64_t b); // b != 0; wraps for INT64_MIN / -1
int64_t floor_mod(int64_t a, int64_t b);
int64_t common_divisor(int64_t a, int64_t b); // the greatest, positive; 0 for 0, 0. The result must not be 2^63
// Checked arithmetic on sizes: false on overflow.
bool mul_ok(int64_t a, int64_t b, int64_t *out);
bool add_ok(int64_t a, int64_t b, int64_t *out);

// ---- modules: module.c ------------------------------------------------------------------------------------------

typedef struct ModuleFile {
  const char *file, *folder; // libtetc_x.so; where the build makes it: src/x
  const char *variable;      // of the environment: names another file
  const char *symbol;        // what is wanted of it
} ModuleFile;
// NULL with *error.
void *module_symbol(const ModuleFile *m, const char **error);

double now_seconds(void); // clock.c: of a clock that never goes back

// ---- a compilation ---------------------------------------------------------------------------------------------

// What a compilation carries everywhere: memory, names, messages. No other state is shared.
typedef struct Ctx {
  Arena *arena;
  Names *names;
  Diags *diags;
} Ctx;

#endif
