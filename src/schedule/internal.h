// SPDX-License-Identifier: Apache-2.0
// Inside the schedule room: what operations share, and the state of the interpreter of statements.
#ifndef TETC_SCHEDULE_INTERNAL_H
#define TETC_SCHEDULE_INTERNAL_H

#include "schedule/schedule.h"

typedef struct Binding { // what a name of the text stands for
  Name name;
  const AstExpr *value; // AST_NAME (of a stage, in full, or of an axis, a scope), AST_INT, AST_STRING
  const TePart *free;   // as SchedArg.free
} Binding;

// The names of a schedule, or of one call of a part.
typedef struct Frame {
  const TePart *part; // NULL: the schedule
  VEC(Binding) names; // parameters, results, `for` variables; the last one counts; in a schedule, they hide stages
  Name first;         // the first stage that was given
  bool done;          // it returned, or cannot go on
  const SchedStmt *returned;
  int nreturned;
  Binding *results;
} Frame;

// An operation on its way.
typedef struct Op {
  Schedule *s;
  Stage *stage;
  const char *name;     // of the primitive
  const SchedStmt *why; // or NULL
  bool failed;
} Op;

typedef struct Applier {
  Ctx *cx;
  Schedule *s;
  const ScheduleOptions *opt;
  Frame *frame;     // of what is being run
  int fors, nstmts; // `for` around it; how many statements were run
  bool *knob_used;  // one an entry of opt->knobs
  VEC(Name) failed; // results of statements that were refused: what uses them is not told again
} Applier;

// One call statement being applied.
typedef struct Call {
  Applier *ap;
  const SchedStmt *stmt;
  Stage *stage; // the receiver
  bool failed;  // an argument was reported
} Call;

typedef struct Primitive {
  const char *name;
  int min_args, max_args; // positional and keyword together; -1: any
  const char *keys;       // space-separated keyword names it takes
  int max_results;        // how many results it gives
  const char *usage;      // for messages: `split(axis, factor = n)`
  void (*apply)(Call *c); // reads the arguments, calls the operation
} Primitive;

extern const Primitive primitive_table[];
extern const int primitive_count;

// stage.c
Stage *stage_new(Ctx *cx, const TeTensor *t);
Axis *stage_add_axis(Ctx *cx, Stage *s, Name name, bool reduce, int64_t extent, Loc loc);
void stage_insert(Schedule *s, Stage *st, int at);             // and renumbers
Name schedule_fresh_name(const Schedule *s, const char *base); // `base`, or `base_2` and so on if a stage has that name
TeTensor *tensor_like(Ctx *cx, const TeTensor *t, Name name, Loc loc); // own copies of its spatial axes; no body
const TeExpr *expr_replace_axes(Ctx *cx, const TeExpr *e, int n, const TeAxis *const *from, const TeExpr *const *to);
const TeExpr *expr_replace_tensor(Ctx *cx, const TeExpr *e, const TeTensor *from, const TeTensor *to);
const TeExpr *expr_read(const TeExpr *e, const TeTensor *t); // an access of t in e; NULL: there is none
bool expr_reads(const TeExpr *e, const TeTensor *t);
void schedule_index(Ctx *cx, Schedule *s); // when no stage comes any more: makes schedule_stage_of a look-up
const TeExpr **axis_exprs(Ctx *cx, const TeTensor *t); // one TE_AXIS an axis

bool check_tails(Ctx *cx, const Stage *s); // tail.c: of the complete schedule; reports
// depend.c: what points of a stage need of each other
typedef enum ConflictKind {
  CONFLICT_NONE,
  CONFLICT_READ,   // a recurrence: a point reads what another makes
  CONFLICT_ORDER,  // points of one element of a float reduction, in the kernel's order
  CONFLICT_ELEMENT // points of one element
} ConflictKind;

// A dependence that loops break, or are not known to keep.
typedef struct Conflict {
  ConflictKind kind;
  const TeExpr *read;            // CONFLICT_READ
  const Axis *loop;              // whose iterations run at the same time; NULL: the order of the loops
  const int64_t *first, *second; // an example, by Axis.index: the second needs the first; NULL: none is known
} Conflict;
bool stage_conflict(Ctx *cx, const Stage *s, Conflict *c); // of any kind but CONFLICT_ORDER
// Whether iterations of loop a, should they run at the same time, would conflict in this way.
bool loop_conflict(Ctx *cx, const Stage *s, const Axis *a, ConflictKind kind, Conflict *c);
bool sequence_proved(Ctx *cx, const Stage *s); // no CONFLICT_ORDER
// Whether what reader reads of `read` conflicts in the outer nloops loops of s, where they take turns (compute_with):
// not all of it is known to be made in the same turn, or in an earlier one.
bool shared_conflict(Ctx *cx, const Stage *s, size_t nloops, const Stage *reader, const Stage *read, Conflict *c);
bool runs_at_once(const Axis *a, ConflictKind kind); // iterations of its loop do, as far as such conflicts go

// points.c: one by one. A point has the values of all axes, by Axis.index.
bool point_from_loops(const Stage *s, int64_t *v); // those of the loops are set; false: beyond an axis
void point_from_roots(const Stage *s, int64_t *v); // those of the kernel's axes are set
const Axis *points_differ(const Stage *s, const int64_t *p, const int64_t *q); // the outermost loop; NULL: none
// Whether no point conflicts with what it reads. Sets *c, with an example, if one is found to do so.
bool points_keep_reads(Ctx *cx, const Stage *s, Conflict *c);

// order.c: the order in which a reduction takes its points
typedef VEC(Axis *) AxisList;
typedef enum SequenceKept { SEQUENCE_KEPT, SEQUENCE_CHANGED, SEQUENCE_UNKNOWN } SequenceKept;
bool stage_keeps_order_of_floats(const Stage *s); // it reduces floats
// Whether the loops take the points of each element in the kernel's order. CHANGED: p and q, by Axis.index, are two
// points of which the kernel takes p first, the loops q. UNKNOWN: it would take too long to find out.
SequenceKept stage_sequence(Ctx *cx, const Stage *s, int64_t *p, int64_t *q);
// Whether reduction loop b may come directly after a: no other stands between them in the kernel's order.
bool stage_order_allows(Ctx *cx, const Stage *s, const Axis *a, const Axis *b);
void stage_note_order(const Op *o, const ScheduleStep *step); // after a step that changed loops
bool check_sequence(Ctx *cx, const Stage *s);                 // of the complete schedule; reports
// conflict.c: of the complete schedule, but for the order of floats; reports
bool check_conflicts(Ctx *cx, const Stage *s);
void explain_read(Ctx *cx, Diag *g, const Stage *read, const Conflict *c); // names the two accesses
bool op_conflicts(Op *o, const Axis *a, ConflictKind kind); // of loop a, should its iterations run at the same time

// with.c: of a stage that is computed with another, in the complete schedule; reports
bool check_with(const Schedule *s, const Stage *st);
const Stage *stage_around(const Stage *s); // the stage at root in whose loops it is computed, or itself

// foreign.c: says what a primitive of other compilers means, and what to write instead; false: it is none
bool foreign_primitive(Diag *g, Name primitive);

// apply.c
void apply_statements(Applier *ap, int n, const SchedStmt *const *stmts);
bool applier_failed(const Applier *ap, Name name); // a refused statement would have made it
TeLookup knob_lookup;                              // self: the Schedule; notes that the knob is used
void report_no_stage(Applier *ap, Loc at, Name name);

// parts.c
Name applier_full_name(Applier *ap,
                       Name name); // of the stage that a name of the text stands for; NULL: it stands for none
Stage *applier_stage(Applier *ap, Name name);
void frame_bind(Applier *ap, Name name, const AstExpr *value, const TePart *free);
void frame_bind_stage(Applier *ap, Name name, Name stage, Loc at); // or an axis
SchedStmt *applier_rewrite(Applier *ap,
                           const SchedStmt *st); // with what the names in its arguments stand for; NULL after a report
bool applier_number(Applier *ap, const AstExpr *e, const TePart *free, int64_t *value); // e is rewritten
bool applier_condition(Applier *ap, const AstExpr *e, bool *holds);
bool apply_part(Applier *ap, const SchedStmt *st); // false: its results are no names
void apply_return(Applier *ap, const SchedStmt *st);

// steps.c
Loc op_at(const Op *o);            // the statement's place, or unknown
Loc op_arg_at(const Op *o, int i); // of the i-th argument by position
Name op_receiver(const Op *o);     // what the statement calls the stage
Diag *op_fail(Op *o, DiagCode code, Loc at, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool op_is_loop(Op *o, const Stage *of, const Axis *a); // reports if it is none now
bool op_is_computed(Op *o);                             // reports inputs and constants
bool op_is_recurrent(Op *o);                            // reports stages that read themselves, or others that read them
bool op_is_shared(Op *o); // of these, only the others: they take turns in loops that they share
// Warns that an earlier statement has no effect, by what is said again: before `stage`, and behind it.
void op_replaces(const Op *o, Loc earlier, const char *before, const char *behind);
ScheduleStep *op_done(const Op *o); // notes the operation; what follows adds to it
void step_axis(const Schedule *s, ScheduleStep *step, const Axis *a);
void step_stage(const Schedule *s, ScheduleStep *step, const Stage *st);
void step_scope(const Schedule *s, ScheduleStep *step, const Scope *scope);
void step_number(const Schedule *s, ScheduleStep *step, const char *key, int64_t n);
void step_word(const Schedule *s, ScheduleStep *step, const char *word);
void step_result(const Schedule *s, ScheduleStep *step, Name name);

// args.c: arguments by position (keyword arguments do not count) or key; each reports and sets c->failed
const SchedArg *call_arg(const Call *c, int position);
const SchedArg *call_key(const Call *c, const char *key);
Axis *call_axis(Call *c, int position, Stage *of);
Axis *call_root(Call *c, int position); // an axis of the receiver's tensor, whether or not it is a loop now
Stage *call_stage(Call *c, int position);
const Scope *call_scope(Call *c, int position);
int64_t call_int(Call *c, const SchedArg *a); // > 0
Diag *call_fail(Call *c, DiagCode code, Loc at, const char *fmt, ...) PRINTF_LIKE(4, 5);
Diag *report_argument(Ctx *cx, const char *primitive, DiagCode code, Loc at, const char *text); // and how it is written
void report_no_axis(Ctx *cx, Loc at, const Stage *of, Name name);

// loops.c
void call_annotate(Call *c, Axis *a, ForKind kind);
// epilogue.c: asked: says why, if there is nothing to do
void epilogue_apart(Schedule *s, Stage *st, Loc why, bool asked);
void place_epilogue(Schedule *s, Stage *act);
// fold.c: how much of a recurrence that is folded is kept; false after a report
bool check_fold(const Schedule *s, Stage *st);
// place.c: the name of a new stage; NULL after a report that there is one
Name new_stage_name(Op *o, Name given, const char *suffix);
// pack.c
void packs_copy(Ctx *cx, const Stage *from, Stage *to); // to has a tensor like from's
bool complete_packs(Schedule *s); // what fills the last blocks; which reductions take whole blocks
// loops.c
void leaf_splice(Ctx *cx, Stage *s, int at, int removed, int n, Axis *const *with);
Name loop_name(const Op *o, const Name *names, int i, const char *base);
void check_loop_name(Op *o, Name name, const Axis *skip, const Axis *skip2);
bool axis_is_free(Op *o, const Axis *a);
Name result_name(Call *c, int i, const char *base, const char *suffix);
// inline.c: substitutes inlined stages into their readers; false after a report
bool inline_stages(Schedule *s);

#define PRIMITIVE(name, least, most, keys, results, usage, apply) void apply(Call *c);
#include "schedule/primitives.def"
#undef PRIMITIVE

#endif
