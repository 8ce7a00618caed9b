// SPDX-License-Identifier: Apache-2.0
// tetc. A command is an entry of this table and a file; what compiling is stands in src/compile.
#include "backend_llvm/llvm.h"
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const Command commands[] = {
    {"compile", CMD_COMPILE, "FILE.te", 1, 1, "compile kernels to an object and a header (FILE.o, FILE.h)",
     command_compile},
    {"run", CMD_RUN, "FILE.te", 1, 1, "compile a kernel in memory and run it", command_run},
    {"check", CMD_CHECK, "FILE.te", 1, 1, "report errors; makes nothing", command_check},
    {"fix", CMD_FIX, "FILE.te", 1, 1, "apply the remedies that errors and warnings offer, to the file or to -o",
     command_fix},
    {"plan", CMD_PLAN, "FILE.te", 1, 1, "print the program with the schedules that the compiler makes", command_plan},
    {"import", CMD_IMPORT, "MODEL.onnx", 0, 1, "turn an ONNX model into a program and its weights (FILE.te, FILE.npz)",
     command_import},
    {"quantise", CMD_QUANTISE, "FILE.te", 1, 1, "turn a float network into one of int8 stages, by samples of its input",
     command_quantise},
    {"tune", CMD_TUNE, "FILE.te", 1, 1, "measure a kernel's best plans, or values of its schedule's knobs",
     command_tune},
    {"opt", CMD_OPT, "FILE.tir", 1, 1, "run passes on the text of a phase", command_opt},
    {"verify", CMD_VERIFY, "FILE.te", 1, 1, "execute every phase and compare it with the reference evaluator",
     command_verify},
    {"explain", CMD_EXPLAIN, "CODE", 0, 1, "explain a diagnostic, or list them all", command_explain},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

// True if messages on stderr get colours.
static bool want_color(const Options *o) {
  const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
  if (o->color == COLOR_ALWAYS) return true;
  if (o->color == COLOR_NEVER || (no_color && *no_color)) return false;
  return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

// Columns of the terminal, or what COLUMNS says of it; 0 (no wrapping) elsewhere.
static int terminal_width(void) {
  struct winsize w;
  int64_t columns;
  const char *said = getenv("COLUMNS");
  if (!isatty(STDERR_FILENO)) return 0;
  if (said && parse_int64(said, &columns) && columns > 0 && columns < 10000) return (int)columns;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) ? 0 : w.ws_col;
}

// What a terminal on stderr can show: lines drawn in Unicode where the locale has it, only ASCII where it has not.
static DiagChars terminal_chars(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  const char *locale = NULL, *term = getenv("TERM");
  for (int i = 0; i < 3 && (!locale || !*locale); i++) locale = getenv(names[i]);
  if (!isatty(STDERR_FILENO)) return CHARS_AS_IS;
  if (!locale || (!strcasestr(locale, "utf-8") && !strcasestr(locale, "utf8"))) return CHARS_ASCII;
  return term && strcmp(term, "dumb") ? CHARS_UNICODE : CHARS_AS_IS;
}

// Text that the user asked for; main sees whether it could be written.
static int print_product(const Text *t) {
  fwrite(t->data, 1, t->len, stdout);
  return EXIT_DONE;
}

// The phases and passes, as --dump-tir and --stop-after name them; for `tetc opt`, those of TIR.
static void list_passes(CommandId id, Text *out) {
  if (id == CMD_OPT) {
    text_add(out, "%-12s %s\n", "lower", "(for --from: the loop nest, before all passes)");
    for (int i = 0; i < pass_count; i++) text_add(out, "%-12s %s\n", pass_table[i].name, pass_table[i].what);
    text_add(out, "%-12s %s\n", "simplify", "(for -p) fold constants, indices and conditions; drop what never runs");
    return;
  }
  text_add(out, "%-12s %s\n%-12s %s\n%-12s %s\n", "te", "the kernel after checking", "schedule",
           "stages, axes, attachment", "lower", "the loop nest, with bounds");
  for (int i = 0; i < pass_count; i++) text_add(out, "%-12s %s\n", pass_table[i].name, pass_table[i].what);
  text_add(out, "%-12s %s\n%-12s %s\n", "llvm", "LLVM IR of the host code", "vta", "the instruction listing");
}

// The help of the whole program.
static void program_help(Text *out) {
  text_add(out, "usage: tetc COMMAND [options] FILE...\n"
                "A compiler for tensor expressions with schedules: VTA and host code.\n\ncommands:\n");
  for (int i = 0; i < COMMAND_COUNT; i++) text_add(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
  text_add(out, "\n`tetc COMMAND --help` lists the options of a command.\n");
}

static const char exit_help[] = "\nexit status: 0 done, 1 errors in the input, 2 wrong usage, 3 a file cannot be read "
                                "or written,\nor memory is out, 4 our own fault\n";

// --help, --version and the lists. Returns -1 if none was asked for.
static int print_information(Driver *d, const Command *c) {
  Text t = {.arena = d->cx.arena};
  const char *why = NULL;
  if (d->opt.help) {
    if (c) options_help(c, &t);
    else program_help(&t);
    text_add(&t, "%s", exit_help);
  } else if (d->opt.version) {
    text_add(&t, "tetc %s\n", TETC_VERSION);
    const LlvmBackend *b = d->opt.verbose ? llvm_backend_load(&why) : NULL;
    if (b) text_add(&t, "LLVM %s\n", b->version);
  } else if (d->opt.list_passes) list_passes(d->id, &t);
  else if (d->opt.print_targets) {
    const LlvmBackend *b = llvm_backend_load(&why);
    if (b) b->targets(&t);
    else
      return diag_report(d->cx.diags, E_BACKEND, (Loc){0}, "the LLVM back end is not available: %s", why), EXIT_INPUT;
  } else return -1;
  return print_product(&t);
}

static const Command *command_find(const char *name) {
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (!strcmp(commands[i].name, name)) return &commands[i];
  return NULL;
}

// Says that there is no such command.
static int unknown_command(const Driver *d, const char *word) {
  const char *names[COMMAND_COUNT];
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
  const char *near = nearest_name(word, names, COMMAND_COUNT);
  size_t n = strlen(word);
  if (near) return usage_error(d, "unknown command `%s`; did you mean `%s`?", word, near);
  if (n > 3 && !strcmp(word + n - 3, ".te"))
    return usage_error(d, "`%s` is not a command; did you mean `tetc compile %s`?", word, word);
  return usage_error(d, "unknown command `%s`", word);
}

// Parses the command line and runs the command.
static int dispatch(Driver *d, int argc, char **argv) {
  const Command *c = NULL;
  int first = 1;
  d->id = (CommandId)~0u;
  if (argc > 1 && (argv[1][0] != '-' || !argv[1][1])) {
    c = command_find(argv[1]);
    if (!c) return unknown_command(d, argv[1]);
    d->command = c->name;
    d->id = c->id;
    first = 2;
  }
  if (!options_parse(d, argc, argv, first)) return EXIT_USAGE;
  arena_on_exhaustion(d->cx.arena, &d->exhausted, (size_t)d->opt.memory << 20);
  int status = print_information(d, c);
  if (status >= 0) return status;
  if (!c) return usage_error(d, "a command is missing: compile, run, check, explain, ...");
  int nfiles = (int)d->opt.files.len;
  if (nfiles < c->min_files) return usage_error(d, "%s is missing", c->operands);
  if (nfiles > c->max_files) return usage_error(d, "`%s` is one file too many", d->opt.files.data[c->max_files]);
  return c->run(d);
}

// A driver with an arena that longjmps to `out` when memory is exhausted.
static bool driver_init(Driver *d) {
  *d = (Driver){0};
  options_init(&d->opt);
  d->cx.arena = arena_new();
  if (!d->cx.arena) return false;
  d->cx.names = names_new(d->cx.arena);
  d->cx.diags = diags_new(d->cx.arena);
  return true;
}

// Memory ran out: room for one message more, and that message.
static int report_exhaustion(Driver *d) {
  arena_on_exhaustion(d->cx.arena, NULL, 0);
  Diag *g = diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "the compilation needs more memory than it may use");
  diag_note(g, "%zu MiB are used, of %lld MiB allowed", arena_used(d->cx.arena) >> 20, (long long)d->opt.memory);
  diag_help(g, "`--memory-limit=MIB` sets the limit");
  return EXIT_FILES;
}

// The system has no more memory, somewhere: there is none to tell it with, or to go on.
static void leave_without_memory(void) {
  static const char text[] = "error[E0404]: out of memory: the system has no more\n\n";
  pending_abandon();
  ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
  (void)n; // there is nobody to tell
  _exit(EXIT_FILES);
}

typedef struct Arguments {
  int argc;
  char **argv;
} Arguments;

// A command line, a command, its messages.
static int tetc(void *arguments) {
  static Driver d; // static: its contents are defined after a longjmp
  Arguments *a = arguments;
  memory_out_then(leave_without_memory);
  if (!driver_init(&d)) leave_without_memory();
  reproducer_arm(&d, a->argc, a->argv);
  int status;
  if (setjmp(d.exhausted)) status = report_exhaustion(&d);
  else {
    arena_on_exhaustion(d.cx.arena, &d.exhausted, (size_t)d.opt.memory << 20);
    status = dispatch(&d, a->argc, a->argv);
  }
  arena_on_exhaustion(d.cx.arena, NULL, 0);
  if (d.compilation) {
    trial_cuts(d.compilation);
    trial_fixes(d.compilation);
  }
  reproducer_disarm();
  DiagLook look = {.color = want_color(&d.opt), .chars = terminal_chars(), .width = terminal_width()};
  if (status != EXIT_USAGE) diags_print(d.cx.diags, stderr, (DiagFormat)d.opt.diagnostics, &look);
  if (status == EXIT_OURS || (d.opt.reproducer && (status == EXIT_INPUT || status == EXIT_FILES))) reproducer_write(&d);
  bool lost = fflush(stdout) || ferror(stdout);
  if (lost && status == EXIT_DONE) {
    fputs("tetc: error: cannot write to standard output\n", stderr);
    status = EXIT_FILES;
  }
  return status;
}

int main(int argc, char **argv) {
  Arguments a = {argc, argv};
  pending_catch_ends();
  return stack_run(tetc, &a);
}
