// SPDX-License-Identifier: Apache-2.0
// tetc compile: all kernels of a file to an object with its header, or to another form.
#include "backend_llvm/llvm.h"
#include "driver/driver.h"
#include "html/html.h"

#include <string.h>
#include <stdlib.h>
#include <unistd.h>

// What the kernels become, before it is written.
typedef struct Product {
  Session *s;
  int nfuncs;
  const Func **funcs;
  HtmlPage *page; // EMIT_HTML: what was seen so far
} Product;

static LlvmOptions llvm_options(const Options *o) {
  return (LlvmOptions){.triple = o->target, .cpu = o->cpu, .features = o->features, .opt_level = (int)o->opt_level};
}

// The back end, loaded; NULL after a report.
static const LlvmBackend *backend(Driver *d) {
  const char *why;
  const LlvmBackend *b = llvm_backend_load(&why);
  if (!b) diag_report(d->cx.diags, E_BACKEND, (Loc){0}, "the LLVM back end is not available: %s", why);
  return b;
}

// Generates code in one of LLVM's forms.
static bool emit_llvm(Driver *d, const Product *p, LlvmKind kind, Text *out) {
  const LlvmBackend *b = backend(d);
  LlvmOptions opt = llvm_options(&d->opt);
  if (d->opt.verbose && b) fprintf(stderr, "tetc: LLVM %s, %d kernels\n", b->version, p->nfuncs);
  double start = now_seconds();
  bool ok = b && b->emit(&d->cx, p->funcs, p->nfuncs, &opt, kind, out);
  if (d->opt.time_passes) fprintf(stderr, "time of LLVM, in milliseconds: %.3f\n", (now_seconds() - start) * 1e3);
  return ok;
}

// Instruction listings of the kernels that use the accelerator.
static bool emit_vta(Driver *d, const Product *p, Text *out) {
  for (int i = 0; i < p->nfuncs; i++) {
    if (p->nfuncs > 1) text_add(out, "%s// kernel %s\n", i ? "\n" : "", p->funcs[i]->name);
    if (!p->funcs[i]->target) text_add(out, "// %s: runs on the CPU alone\n", p->funcs[i]->name);
    else if (!vta_listing(&d->cx, p->funcs[i], out)) return false;
  }
  return true;
}

// The text of one product.
static bool emit_text(Driver *d, const Product *p, Emit what, const char *guard, Text *out) {
  text_add(out, "%s", "");
  switch (what) {
  case EMIT_OBJ:
  case EMIT_SHARED: return emit_llvm(d, p, LLVM_OBJECT, out);
  case EMIT_ASM: return emit_llvm(d, p, LLVM_ASSEMBLY, out);
  case EMIT_LLVM: return emit_llvm(d, p, LLVM_TEXT, out);
  case EMIT_VTA: return emit_vta(d, p, out);
  case EMIT_HEADER: llvm_header(&d->cx, p->funcs, p->nfuncs, guard, out); return true;
  case EMIT_TIR:
    for (int i = 0; i < p->nfuncs; i++)
      tir_print(p->funcs[i], &(TirPrintOptions){.locations = d->opt.print_locations}, out);
    return true;
  case EMIT_HTML: html_write(p->page, out); return true;
  }
  return false;
}

// The phases after the last pass, for --dump-tir.
static bool dump_back_ends(Driver *d, Product *p) {
  for (int i = 0; i < p->nfuncs; i++) {
    Session *s = p->s;
    s->kernel = s->c.kernels.data[i];
    Product one = {.nfuncs = 1, .funcs = &p->funcs[i]};
    Text ll = {.arena = d->cx.arena}, vta = {.arena = d->cx.arena};
    if (d->opt.print_changed && !d->opt.dump_tir && !d->opt.dump_dir) continue;
    if (dump_wanted(s, "llvm")) {
      if (!emit_text(d, &one, EMIT_LLVM, "", &ll)) return false;
      dump_phase(s, PHASE_FIRST_PASS + pass_count, "llvm", "ll", ll.data);
    }
    if (p->funcs[i]->target && dump_wanted(s, "vta")) {
      if (!emit_text(d, &one, EMIT_VTA, "", &vta)) return false;
      dump_phase(s, PHASE_FIRST_PASS + pass_count + 1, "vta", "vta", vta.data);
    }
  }
  return true;
}

// The suffix of a product's file.
static const char *emit_suffix(Emit e) {
  switch (e) {
  case EMIT_OBJ: return "o";
  case EMIT_SHARED: return "so";
  case EMIT_ASM: return "s";
  case EMIT_LLVM: return "ll";
  case EMIT_TIR: return "tir";
  case EMIT_VTA: return "vta";
  case EMIT_HEADER: return "h";
  case EMIT_HTML: return "html";
  }
  return "";
}

// Links the object into a shared library, in a temporary directory, and takes that as the product.
static bool link_shared(Driver *d, Text *object) {
  const char *base = getenv("TMPDIR");
  char *dir = arena_printf(d->cx.arena, "%s/tetc-XXXXXX", base && *base ? base : "/tmp");
  if (!mkdtemp(dir)) return diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot make a directory in `%s`", dir), false;
  const char *o = arena_printf(d->cx.arena, "%s/k.o", dir), *so = arena_printf(d->cx.arena, "%s/k.so", dir);
  for (int i = 0; i < 3; i++) pending_add(&d->cx, (const char *[]){dir, o, so}[i]);
  OutputFile f = {.path = o, .data = object->data, .len = object->len};
  bool ok = outputs_write(&d->cx, &f, 1) && llvm_link_shared(&d->cx, d->opt.target, o, so, 0, NULL);
  FILE *in = ok ? fopen(so, "rb") : NULL;
  object->len = 0;
  char block[1 << 16];
  for (size_t n; in && (n = fread(block, 1, sizeof block, in)) > 0;) text_add_bytes(object, block, n);
  if (ok && (!in || ferror(in))) {
    ok = false;
    diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot read `%s`", so);
  }
  if (in) fclose(in);
  unlink(o);
  unlink(so);
  rmdir(dir);
  return ok;
}

// Where the product goes: -o, or FILE.o in the current directory; text without -o to standard output.
static const char *output_path(Driver *d, Emit what) {
  const char *in = d->opt.files.data[0];
  if (d->opt.output) return d->opt.output;
  if (what != EMIT_OBJ && what != EMIT_SHARED) return "-";
  return path_with_suffix(d->cx.arena, strcmp(in, "-") ? path_base(in) : "stdin", emit_suffix(what));
}

// Objects link with upstream's runtime, too, but a launch may be too much for its cache of micro-operations.
static void warn_of_uops(Driver *d, const Product *p) {
  for (int i = 0; i < p->nfuncs; i++) {
    const Func *f = p->funcs[i];
    if (!f->target) continue;
    int64_t most = vta_launch_uops(&d->cx, f), depth = vta_depth(&vta_of(f->target)->config, MEM_UOP);
    if (most <= depth) continue;
    Diag *g = diag_report(d->cx.diags, W_UPSTREAM_UOPS, f->loc,
                          "with upstream's runtime, `%s` may be wrong: a launch may have %s%lld micro-operations",
                          f->name, most == INT32_MAX ? "more than " : "", (long long)most);
    diag_note(g, "its memory holds %lld of them, and upstream's runtime is wrong about those that it evicts",
              (long long)depth);
    diag_note(g, "tetc's own runtime reloads them");
    diag_help(g, "link with tetc's runtime, or tile so that on-chip addresses repeat from tile to tile");
  }
}

// Makes the product and its header, and writes them.
static int write_product(Driver *d, Product *p) {
  Emit what = (Emit)d->opt.emit;
  const char *path = output_path(d, what), *header = path_with_suffix(d->cx.arena, path, "h");
  bool binary = what == EMIT_OBJ || what == EMIT_SHARED;
  bool with_header = binary && strcmp(path, "-") && strncmp(path, "/dev/", 5);
  Text text = {.arena = d->cx.arena}, head = {.arena = d->cx.arena};
  if (with_header && !strcmp(header, path))
    return usage_error(d, "`-o %s` is the name of the header; the object needs another one", path);
  if (binary || what == EMIT_ASM) warn_of_uops(d, p);
  if (!emit_text(d, p, what, path_base(path), &text) || (what == EMIT_SHARED && !link_shared(d, &text)))
    return driver_status(d);
  OutputFile files[2] = {
      {.path = path, .data = text.data, .len = text.len, .binary = binary, .executable = what == EMIT_SHARED}};
  if (with_header) {
    llvm_header(&d->cx, p->funcs, p->nfuncs, path_base(header), &head);
    files[1] = (OutputFile){.path = header, .data = head.data, .len = head.len};
  }
  if (outputs_write(&d->cx, files, with_header ? 2 : 1) && d->opt.verbose)
    fprintf(stderr, "tetc: wrote %s%s%s\n", path, with_header ? " and " : "", with_header ? header : "");
  return driver_status(d);
}

// ---- the page of --emit=html ----------------------------------------------------------------------------------------

// A phase of TIR goes to the page; before the first one, the schedule that it was made by.
static void show_func(void *self, const char *phase, const Func *f) {
  Product *p = self;
  int pass = pass_find(phase);
  Text schedule = {.arena = p->s->d->cx.arena};
  if (pass < 0) {
    schedule_print(p->s->c.units.data[p->s->c.units.len - 1]->schedule, &schedule);
    html_text(p->page, "schedule", "stages, axes, attachment", schedule.data);
  }
  html_func(p->page, phase, pass < 0 ? "the loop nest, with bounds" : pass_table[pass].what, f);
}

// Lowers a kernel, on the page if there is one.
static Unit *lower_kernel(Product *p, const TeKernel *k) {
  if (p->page) {
    html_kernel(p->page, k->name);
    p->s->observe = show_func;
    p->s->observer = p;
  }
  return session_lower(p->s, k);
}

// The listing, for the page: a stream may be too long for one, which is no error here.
static bool list_for_page(Driver *d, const Product *one, Text *out) {
  Diags *own = d->cx.diags;
  d->cx.diags = diags_new(d->cx.arena);
  bool ok = emit_vta(d, one, out), wrong = diags_have(d->cx.diags, E_VERIFY) || diags_have(d->cx.diags, E_INTERNAL);
  d->cx.diags = own;
  if (ok) return true;
  if (wrong) return emit_vta(d, one, out); // once more, for the messages
  *out = (Text){.arena = d->cx.arena};
  text_add(out, "; the instructions cannot be listed: `tetc compile --emit=vta` says why\n");
  return true;
}

// What the back ends make of a kernel that is lowered to the end.
static bool show_back_ends(Driver *d, Product *p, const Unit *u) {
  if (!p->page || !u->func || u->stopped) return true;
  Product one = {.nfuncs = 1, .funcs = (const Func **)&u->func};
  Text vta = {.arena = d->cx.arena}, ll = {.arena = d->cx.arena};
  if (u->func->target) {
    if (!list_for_page(d, &one, &vta)) return false;
    html_text(p->page, "vta", "the instruction listing", vta.data);
  }
  if (!emit_llvm(d, &one, LLVM_TEXT, &ll)) return false;
  html_text(p->page, "llvm", "LLVM IR of the host code", ll.data);
  return true;
}

int command_compile(Driver *d) {
  Product p = {.s = session_new(d)};
  bool stopped = false;
  if (!session_load(p.s, d->opt.files.data[0])) return driver_status(d);
  size_t n = p.s->c.kernels.len;
  p.funcs = NEW_ARRAY(d->cx.arena, const Func *, n);
  if (d->opt.emit == EMIT_HTML) p.page = html_new(&d->cx, p.s->c.module->src);
  for (size_t i = 0; i < n; i++) {
    const Unit *u = lower_kernel(&p, p.s->c.kernels.data[i]);
    if (u->func) p.funcs[p.nfuncs++] = u->func;
    stopped |= u->stopped;
    if (d->opt.stats && u->func) stats_print(&u->stats, p.s->c.vta, u->kernel->name);
    show_back_ends(d, &p, u);
  }
  if (diags_errors(d->cx.diags)) return driver_status(d);
  // A phase of TIR that compilation stops after is the product, unless it is shown or written as a dump.
  bool shown = d->opt.dump_tir || d->opt.dump_dir || d->opt.print_changed || d->opt.print_after;
  if (stopped && !d->opt.emit_given && (d->opt.output || !shown)) d->opt.emit = EMIT_TIR;
  if (stopped && !p.nfuncs && (d->opt.output || d->opt.emit_given))
    return usage_error(d, "after `%s` there is no program to write yet; --dump-tir=%s shows what there is",
                       d->opt.stop_after, d->opt.stop_after);
  if (stopped && !((d->opt.emit == EMIT_TIR || d->opt.emit == EMIT_HTML) && p.nfuncs)) return EXIT_DONE;
  if (!stopped && (d->opt.dump_tir || d->opt.dump_dir) && !dump_back_ends(d, &p)) return driver_status(d);
  return write_product(d, &p);
}
