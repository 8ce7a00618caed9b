// SPDX-License-Identifier: Apache-2.0
// driver: the command line. main.c picks a sub-command from its table; each is a file of its own. session.c is what the
// command line wants of a compilation, and sees of it.
#ifndef TETC_DRIVER_H
#define TETC_DRIVER_H

#include "backend_llvm/llvm.h"
#include "compile/compile.h"
#include "runtime/runtime.h"
#include "runtime/timeline.h"

// Exit statuses, the same for every sub-command.
enum { EXIT_DONE, EXIT_INPUT, EXIT_USAGE, EXIT_FILES, EXIT_OURS };

// stack.c: calls f(arg) on a stack that deep programs do not exhaust; returns its result.
int stack_run(int (*f)(void *), void *arg);
// What to do at a signal that ends the process by our own fault: full(self) in a child, which may fail or take too
// long; then brief(self), which may only do what a signal handler may.
void stack_then(void (*full)(void *self), void (*brief)(void *self), void *self);

// ---- options: options.c, options.def ---------------------------------------------------------------------------

// The sub-commands, as bits of the sets in options.def. A new one: a bit, an entry in main.c's table, a file.
typedef enum CommandId {
  CMD_COMPILE = 1,
  CMD_RUN = 2,
  CMD_CHECK = 4,
  CMD_EXPLAIN = 8,
  CMD_VERIFY = 16,
  CMD_OPT = 32,
  CMD_FIX = 128,
  CMD_PLAN = 512,
  CMD_TUNE = 1024,
  CMD_IMPORT = 8192,
  CMD_QUANTISE = 16384,
  NEEDS_RTL = 256 // of an option of `run`: only with --device=rtl
} CommandId;

typedef enum Emit { EMIT_OBJ, EMIT_SHARED, EMIT_ASM, EMIT_LLVM, EMIT_TIR, EMIT_VTA, EMIT_HEADER, EMIT_HTML } Emit;
typedef enum ColorMode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } ColorMode;
typedef enum DeviceKind { DEVICE_FSIM, DEVICE_RTL, DEVICE_MODEL, DEVICE_HOST } DeviceKind; // the last: of `tune`

typedef struct NamePair { // NAME=TEXT
  const char *name, *text;
} NamePair;

// (x - mean) / std, one number for all channels or one for each: --mean, --std.
typedef struct Scale {
  bool given;
  int nmean, nstd;
  const double *mean, *std;
} Scale;

typedef struct Options {
  bool help, version, verbose, list_passes, print_targets;
  int emit, diagnostics, color, device; // Emit, DiagFormat, ColorMode, DeviceKind (-1: not named)
  int rtl_memory, rtl_bus;              // TetcRtlMemory; 64 bits, or how often twice that. -1: not given
  bool rtl_reorder, incoherent;
  const char *trace, *wave; // files
  const char *needs_rtl;    // an option that was given and needs --device=rtl; NULL: none
  bool emit_given;
  int64_t jobs, time_limit, plan_effort; // -1: not given; time_limit: seconds
  int64_t opt_level, seed, memory;       // memory: MiB that a compilation may use
  int64_t rtl_latency, rtl_write_latency, rtl_bandwidth, rtl_outstanding, rtl_stalls; // -1: as rtl_memory has it
  const char *output, *target, *cpu, *features, *schedule, *kernel, *vta_config, *board, *log, *replay;
  const char *bench;               // NULL: not asked for; "" or seconds
  double bench_seconds;            // of it
  const char *dump_tir, *dump_dir; // dump_tir: NULL not asked for, "" all phases, else "P,Q"
  const char *stop_after, *from, *to;
  const char *mean, *std, *labels; // mean and std as written
  const char *against, *samples;   // files
  const char *min_agreement, *min_accuracy, *min_sqnr;
  double bars[3]; // the same as numbers
  Scale scale;    // the same as numbers
  const char *passes, *print_before, *print_after, *at, *plant_fault, *reproducer;
  bool print_locations, interpret, shrink;
  const char *report; // where to
  bool print_changed, time_passes, verify_each, remarks, legalize, check, stats, schedule_only, list_operators,
      requantise;
  VEC(TeDefine) defines, knobs;
  VEC(const char *) include_dirs;
  VEC(NamePair) inputs, outputs, dims;
  const char *calibrate;
  int scheme;              // QuantiseScheme
  VEC(const char *) kept;  // --keep-float
  VEC(const char *) files; // what is not an option
} Options;

// Where the compilation is, until the first error: then it stays, and is where it went wrong.
typedef struct Trail {
  const char *phase; // NULL: before `lower`
  const Func *given; // what it works on; NULL: no TIR
} Trail;

// One invocation.
typedef struct Driver {
  const char *command; // "compile"; NULL before it is known
  CommandId id;
  Options opt;
  Ctx cx;
  jmp_buf exhausted; // where main takes over when memory is out
  int argc;
  char **argv;
  VtaBoard board; // what the core stands in, by --board and the options beside it; session_config sets it
  Trail trail;
  const Compilation *compilation; // of the .te file at hand, for trials of remedies; NULL before it is read
  bool quiet;                     // a trial: says nothing
} Driver;

typedef struct Command {
  const char *name;
  CommandId id;
  const char *operands; // "FILE.te"
  int min_files, max_files;
  const char *summary;
  int (*run)(Driver *d); // returns an exit status; messages in d->cx.diags are printed by main
} Command;

void options_init(Options *o);
// Parses argv[first..argc) for d->id. False after a message on stderr: the status is EXIT_USAGE.
bool options_parse(Driver *d, int argc, char **argv, int first);
void options_help(const Command *c, Text *out);
bool parse_int64(const char *text, int64_t *out);   // decimal or 0x; all of the text
const char *list_next(Arena *a, const char **rest); // the next name of "P,Q", empty ones too; NULL after the last
const char *nearest_name(const char *name, const char *const *names, size_t n); // NULL: none is near
int scale_parse(Driver *d, Scale *out); // values.c: of --mean and --std; 0 or EXIT_USAGE
// "tetc compile: error: ..." on stderr; returns EXIT_USAGE.
int usage_error(const Driver *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

// The commands.
int command_compile(Driver *d);  // compile.c
int command_run(Driver *d);      // run.c
int command_check(Driver *d);    // check.c
int command_fix(Driver *d);      // fix.c
int command_plan(Driver *d);     // plan.c
int command_import(Driver *d);   // import.c
int command_quantise(Driver *d); // quantise.c
int command_tune(Driver *d);     // tune.c
int command_explain(Driver *d);  // explain.c
int command_opt(Driver *d);      // opt.c
int command_verify(Driver *d);   // verify.c

// The function in the file at hand, a text of TIR, and its target; NULL after reported errors: opt.c.
const Func *tir_load(Driver *d, VtaTarget **vta);
// An error if it is not what the form allows, else NULL.
Diag *tir_refuse(Driver *d, const Func *f, TirForm form, TirVerdict *v);

// ---- a compilation, as the command line sees it: session.c, dump.c --------------------------------------------------

typedef struct PhaseClock {
  const char *phase;
  double seconds;
} PhaseClock;

// A file on its way, with the dumps, times and checks that the options ask for.
typedef struct Session {
  Driver *d;
  CompileOptions options;
  CompileHooks hooks;
  Compilation c;
  VEC(const char *) measured;                                    // CompileOptions.measured
  void (*observe)(void *self, const char *phase, const Func *f); // sees `lower` and every pass's result; may be NULL
  void *observer;
  // Of the kernel on its way:
  const TeKernel *kernel;
  const char *last; // text of the phase before, for --print-changed
  VEC(PhaseClock) clocks;
} Session;

// The hardware that the options name, or the default: the configuration, and d->board. False after a report.
bool session_config(Driver *d, VtaConfig *config);
bool session_compile_options(Driver *d, CompileOptions *out); // what the command line asks of compilations; the same
const Source *session_read(Driver *d, const char *path);      // NULL after a report
Session *session_new(Driver *d); // it lives as long as d: remedies are tried with it at the end
// Reads and checks the file; picks the kernels. False after reported errors.
bool session_load(Session *s, const char *path);
bool session_load_source(Session *s, const Source *src); // the same for a text
// planlog.c: the text with the plans that --log has for what would be planned; NULL after a report.
const Source *plans_of_log(Session *s, const Source *src);
// Takes one kernel through all phases, or to where --stop-after says; see unit_whole.
Unit *session_lower(Session *s, const TeKernel *k);
// Compiles a text with the options, for its messages alone, which replace those of the driver.
void session_check(Session *s, const Source *src);
// EXIT_DONE, or by the worst of the errors reported so far.
int driver_status(const Driver *d);

bool phase_known(const char *name); // to --dump-tir and --stop-after
// Is the text of this phase wanted at all?
bool dump_wanted(const Session *s, const char *phase);
// Shows or writes a phase's text as the options ask; `suffix` is "tir", "te", ....
void dump_phase(Session *s, int number, const char *phase, const char *suffix, const char *text);
// CompileHooks.made: what the options want to see of a phase.
void dump_made(Session *s, const Compilation *c, const Unit *u, const char *phase, const Func *f);
void dump_around(Session *s, const char *when, const char *pass, const char *list, const Func *f);
void dump_times(const Session *s);
void stats_print(const PassStats *s, const VtaTarget *vta, const char *kernel); // --stats, a line a pass
void text_diff(Arena *a, const char *before, const char *after, Text *out);     // diff.c: changed lines with context

// verify.c: the phase after which a text is wrong; NULL: none is, or it does not compile. Says what d->quiet does not
// forbid. Without `compiled`, only phases of TIR.
const char *verify_source(Driver *d, const Source *src, bool compiled);
int verify_against(Driver *d); // against.c: with --against; an exit status
// shrink.c: the smallest text that is wrong in the same way, with the definitions of the options in it as far as
// possible; NULL if it is not wrong.
const Source *shrink(Driver *d, const Source *src);

// meter.c: a line on a terminal while something takes longer than a second.
typedef struct Meter {
  const char *what; // "samples compared"
  int64_t total;
  double next; // when it is written again
  bool seen, shown;
} Meter;
Meter meter_start(const Options *o, const char *what, int64_t total);
void meter_step(Meter *p, int64_t done);
void meter_end(Meter *p);

// ---- when something goes wrong: reproducer.c, fault.c ---------------------------------------------------------------

// From now on, bug() and faults leave a reproducer; after disarming no longer.
void reproducer_arm(Driver *d, int argc, char **argv);
void reproducer_disarm(void);
void trail_note(Driver *d, const char *phase, const Func *given); // a phase starts
void reproducer_write(Driver *d);                                 // to --reproducer's file, or tetc-reproducer.tir
// --plant-fault, for tests: `text` is PHASE[:KIND].
bool fault_known(Arena *a, const char *text);
const Func *fault_plant(const Driver *d, Ctx *cx, const char *phase, const Func *f); // f itself at other phases

// ---- executing TIR: interpret.c -------------------------------------------------------------------------------------

// Executes f on its parameters, VTA intrinsics included. *error: what went wrong, a line a fact, from an arena.
bool interpret_func(Ctx *cx, const VtaTarget *vta, const Func *f, void **params, VtaOrder order, const char **error);
void diag_note_lines(Diag *g, const char *text);

// ---- files: output.c ------------------------------------------------------------------------------------------------

typedef struct OutputFile {
  const char *path; // "-": standard output
  const void *data;
  size_t len;
  bool binary; // never to a terminal
  bool executable;
} OutputFile;
// Writes all files, or none: each to a temporary file beside it first. Reports E0601 and returns false.
bool outputs_write(Ctx *cx, const OutputFile *files, size_t n);

// A file that somebody else writes: to `temp`, which then takes its place.
typedef struct PendingFile {
  const char *path, *target, *temp; // as the user names it; where it goes; NULL: nothing is pending
} PendingFile;
// pending.c: temporary files, which go when a signal ends the process, or when memory is out.
const char *pending_name(Ctx *cx, const char *path); // a new name beside `path`, for a file that is made exclusively
void pending_add(Ctx *cx, const char *path);         // a file or directory; what is in one is added after it
void pending_abandon(void);                          // takes all away that are there; a signal handler may
void pending_hold(void);                             // from here to pending_release() no signal ends the process
void pending_release(void);
void pending_catch_ends(void);                                    // from now on
bool output_reserve(Ctx *cx, const char *path, PendingFile *out); // regular files only; reports E0601
void output_discard(PendingFile *f);                              // nothing happens where nothing is pending
bool output_commit(Ctx *cx, PendingFile *f, const char *why); // why: it is not whole, which is reported, and it goes
const char *path_with_suffix(Arena *a, const char *path, const char *suffix); // dir/k.te, "o" -> dir/k.o
const char *path_base(const char *path);                                      // after the last slash

// ---- how long something takes on this machine: bench.c --------------------------------------------------------------

typedef struct Bench {
  int threads, cpu;                         // at most so many; the processor it was kept on, -1: none
  int64_t samples, calls, outliers;         // calls in a sample; samples far above the others
  double least, low, median, high, seconds; // of a call, in seconds: quartiles; of all
} Bench;
typedef bool BenchCall(void *self); // false: it failed
int bench_threads(const Func *f);   // that its parallel loops start, here and now; 1: it has none
// Times a call: for that many seconds, or until there are enough samples; at least once, after one to warm up. False:
// a call failed.
bool bench_run(Ctx *cx, double seconds, int threads, BenchCall *call, void *self, Bench *b);
// The medians of n calls that take turns for so many seconds, so that what changes meanwhile changes them all.
bool bench_turns(Ctx *cx, double seconds, int threads, int n, BenchCall *const *call, void *const *context,
                 double *median);
void bench_sum(double *samples, size_t n, Bench *b); // sorts n > 0 samples; quartiles and outliers
void bench_text(const Bench *b, const char *kernel, Text *out);

// ---- tensors: npy.c, inputs.c, compare.c ----------------------------------------------------------------------------

// A dense row-major array with its type.
typedef struct Array {
  const char *name;
  DType type;
  int ndim;
  const int64_t *shape;
  int64_t elems;
  void *data; // from pages_alloc
} Array;

// What a file holds, before it is made what a tensor wants: values.c.
typedef struct Values {
  const char *from; // for messages: "set.npz:images[3]"
  DType type;
  int ndim;
  const int64_t *shape;
  int64_t elems;
  const void *data; // dense, row-major, perhaps not aligned
} Values;

// Reads what is described: FILE.npy, FILE.npz:ARRAY, FILE.png, with `[3]` or `[0:8]` for parts of its first axis.
// `want`: what it is for, in messages, and the size of pictures; NULL: it is not known yet. Reports E0601 or E0602.
bool values_read(Ctx *cx, const char *what, const Array *want, Values *out);
// `count` of the parts along the first axis; 0: one, without that axis.
Values values_part(Arena *a, const Values *v, int64_t first, int64_t count);
// Makes them the values of an array: its type, its shape but for leading extents of 1, (x - mean) / std.
bool values_fill(Ctx *cx, const Values *v, const Scale *s, Array *into);
Diag *values_diag(Ctx *cx, const char *from, const Array *want, const char *fmt, ...) PRINTF_LIKE(4, 5); // E0602
const unsigned char *file_bytes(Ctx *cx, const char *path, size_t *len); // "-": standard input; NULL after E0601
// npy.c, picture.c: the same for the bytes of such a file.
bool npy_values(Ctx *cx, const char *from, const Array *want, const unsigned char *data, size_t len, Values *out);
bool picture_values(Ctx *cx, const char *from, const Array *want, const unsigned char *data, size_t len, Values *out);

bool array_alloc(Ctx *cx, Array *a, const TeTensor *t); // zeros; reports E0404
// pages.c: zeroed memory between pages that cannot be read; its end is at one. NULL when memory is out. `name` must
// stay.
void *pages_alloc(size_t bytes, const char *name);
void pages_free(void *data);
// Whether such a page is at an address: of which memory, and whether behind it or before. For handlers of signals.
bool pages_fault(uintptr_t at, const char **name, bool *behind);
void array_free(Array *a);
const char *array_type_text(Arena *a, DType t, int ndim, const int64_t *shape); // "int8[1, 4, 56]"
void npy_format(const Array *a, Text *out);                                     // version 1.0, C order
const char *value_text(Arena *a, DType t, Scalar v);
const char *index_text(Arena *arena, int ndim, const int64_t *shape, int64_t n); // of element n: "[0, 3, 7]"
int input_files(const Options *o);                                               // how many inputs are given as files
bool input_fill(Driver *d, Array *a); // as --input has it, or random values; false after a report
void array_random(Array *a, uint64_t seed);
void array_summary(const Array *a, Text *out); // type, smallest, largest, a hash of the contents
// Compares, floats bit by bit if `exact` (te_is_exact); appends one line that says how much agrees, and where the first
// difference is. True if all does.
bool array_compare(const Array *got, const Array *want, bool exact, Text *out);

// classes.c: with --labels, the likeliest classes by the one of the outputs that has them.
bool classes_tell(Driver *d, const Array *const *outputs, int noutputs, Text *out);

// run.c: a kernel in this process, to be called any number of times with what the arrays hold then. NULL after a
// report; run_again is false after one.
typedef struct Run Run;
Run *run_open(Driver *d, VtaTarget *vta, const Unit *u, Array *arrays,
              TetcTimeline *seen); // seen: or NULL; the caller's
bool run_again(Run *r);
const LlvmMarks *run_marks(const Run *run); // of what was seen
bool run_call(void *run);                   // a BenchCall: the same without words
double run_cycles(const Run *run); // of all its calls; 0: on a device without, or there is nothing for the accelerator
void run_close(Run *r);

// plain.c: a kernel of a text compiled anew, without its schedule, for the CPU, with some of its stages as outputs.
typedef struct Plain Plain;
Plain *plain_open(Driver *d, const Source *src, const TeGiven *given, const char *kernel, const char **stages,
                  int nstages); // NULL: reported
const TeKernel *plain_kernel(const Plain *p);
Array *plain_array(const Plain *p, const char *name); // of an input or output; NULL: there is none
bool plain_run(Plain *p);
void plain_close(Plain *p);

// run.c: compiles a kernel that is lowered to the end, and runs it on the device. One array a tensor of the kernel,
// data NULL where it is no parameter. False after a report.
bool run_compiled(Session *s, const Unit *u, Array *arrays);

// ---- devices: device.c ----------------------------------------------------------------------------------------------

TetcRtlOptions device_core(const Options *o, const TetcRtlOptions *board); // the bus and memory that --rtl-* make of it
// The device that --device names, for this configuration; NULL after a report. `timeline` sees what it does, the
// waveform goes to the file `wave`; both may be NULL.
bool device_timed(const Options *o); // whether the device that it opens tells cycles
TetcDevice *device_open(Driver *d, const VtaConfig *config, TetcTimeline *timeline, const char *wave);
bool device_has_rtl(const Driver *d,
                    const VtaConfig *config); // the core under Verilator is built, for this configuration
void device_stats(const Driver *d, const TetcStats *s, const VtaConfig *c, Text *out);

// report.c: tetc plan --report
int report_check(const Driver *d); // 0 or EXIT_USAGE
bool report_write(Session *s, const Unit *u);

// ---- what a device with cycles saw: timeline.c ----------------------------------------------------------------------

// The lines at which units waited longest.
void timeline_stalls(const TetcTimeline *t, const LlvmMarks *marks, Text *out);
// The whole of it, of a timeline that keeps spans, as Chrome trace events.
void timeline_json(const TetcTimeline *t, const VtaConfig *config, const LlvmMarks *marks, const char *kernel,
                   Text *out);

#endif
