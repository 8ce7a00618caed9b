// SPDX-License-Identifier: Apache-2.0
// Whether a text that has been through `sync`, and may have been edited since, still keeps its units in order. What
// orders the accelerator and the CPU in the host's memory is what pass `sync` would place: it has nothing to add. What
// orders the units is found out on the instructions: the text goes through the passes that are left, and the stream
// that it becomes through the simulator with its hazard checker, which tells of every two accesses to a place that no
// token orders, of every token awaited or left over. Where the stream depends on data, the walk of sync_check.c has to
// do, which knows nothing where data decides about tokens: that is refused.
#include <string.h>

#include "passes/sync.h"

// What of pass `sync` and of the passes after it is in a function.
typedef struct Traces {
  bool order, kernels, calls;
} Traces;

static bool find_traces(void *self, const Stmt *s) {
  Traces *t = self;
  if (s->kind != STMT_INTRIN) return true;
  t->order |= is_vta(s->intrin, VTA_PUSH) || is_vta(s->intrin, VTA_POP) || is_vta(s->intrin, VTA_SYNC);
  t->kernels |= is_vta(s->intrin, VTA_KERNEL);
  t->calls |= is_vta(s->intrin, VTA_LOAD_CALL) || is_vta(s->intrin, VTA_ZERO_CALL) || is_vta(s->intrin, VTA_STORE_CALL);
  return true;
}

static Traces traces_of(const Func *f) {
  Traces t = {0};
  stmt_visit(f->body, find_traces, NULL, &t);
  return t;
}

bool sync_was_here(const Func *f) { return f->target && traces_of(f).order; }

// The text of a token operation.
static const char *token_text(PassCtx *pc, VtaOp op, VtaUnit from, VtaUnit to) {
  int c = vta_channel(from, to);
  if (c < 0) return NULL;
  Stmt nowhere = {0};
  Text t = {.arena = pc->cx->arena};
  tir_print_stmt(token_stmt(pc, op, (VtaChannel)c, &nowhere), 0, &t);
  return arena_printf(pc->cx->arena, "%.*s", (int)strcspn(t.data, ";"), t.data);
}

// What orders two accesses.
static void help_order(PassCtx *pc, Diag *g, const VtaStreamFault *fault) {
  const char *push = token_text(pc, VTA_PUSH, fault->earlier_unit, fault->unit);
  const char *pop = token_text(pc, VTA_POP, fault->earlier_unit, fault->unit);
  if (push) diag_help(g, "`%s` after the earlier one and `%s` before the other order them", push, pop);
  else diag_help(g, "`vta.sync()` between them orders them: there are no tokens between load and store");
}

static void report(PassCtx *pc, const Func *f, const VtaStreamFault *fault) {
  Loc at = loc_known(fault->at) ? fault->at : f->loc;
  if (fault->unit) {
    Diag *g =
        diag_report(pc->cx->diags, E_TIR, at, "no token orders this access after an earlier one to the same place");
    diag_also(g, fault->earlier, "the earlier access");
    diag_note(g, "%s", fault->text);
    help_order(pc, g, fault);
    return;
  }
  Diag *g = diag_report(pc->cx->diags, E_TIR, at, "the units of `%s` are not kept in order", f->name);
  diag_note(g, "%s", fault->text);
  diag_help(g, "each `vta.pop` takes what one `vta.push` of the same units gives; `tetc opt --from storage` places all "
               "tokens anew in a "
               "text that has none");
}

// Where data decides which tokens there are.
static void report_unknown(PassCtx *pc, const Func *f, const char *why) {
  Diag *g =
      diag_report(pc->cx->diags, E_TIR, f->loc, "it is not known whether the units of `%s` are kept in order", f->name);
  diag_note(g, "%s", why);
  diag_help(g, "take the tokens and syncs out of there: before it, or behind it");
}

// The stream of f: a fault, or that nothing is known of it, or neither (true).
static bool stream_is_right(const PassCtx *pc, const Func *f, Traces has, VtaStreamFault *fault) {
  Ctx own = {.arena = arena_new(), .names = pc->cx->names};
  if (!own.arena) {
    *fault = (VtaStreamFault){.code = E_MEMORY, .text = "memory is out"};
    return false;
  }
  own.diags = diags_new(own.arena);
  PassCtx rest = {.cx = &own, .vta = pc->vta};
  const Func *calls = f;
  if (!has.calls) {
    int first = pass_find(has.kernels ? "intrin" : "uop");
    calls = pipeline_run(&rest, f, first, pass_count - 1, NULL);
  }
  bool right = calls && !vta_find_fault(&own, calls, fault);
  if (!calls) *fault = (VtaStreamFault){.code = E_RUN, .text = "the passes after `sync` refuse it"};
  if (!right) fault->text = arena_printf(pc->cx->arena, "%s", fault->text);
  arena_free(own.arena);
  return right;
}

// The CPU and the accelerator meet only after syncs, and at the end all is done.
static bool host_is_ordered(PassCtx *pc, const Func *f) {
  Loc at = {0};
  PassCtx trial = *pc;
  sync_dram(&trial, f->body, &at);
  if (trial.stats.syncs == pc->stats.syncs) return true;
  Diag *g = diag_report(pc->cx->diags, E_TIR, loc_known(at) ? at : f->loc, "nothing waits here for the accelerator");
  diag_note(g, "what it was given before may still run, and meets this, or the end, in the host's memory");
  diag_help(g, "`vta.sync()` before it waits");
  return false;
}

// Nothing is known of the order.
static bool not_proved(PassCtx *pc, const Func *f, const char *why) {
  Diag *g = diag_report(pc->cx->diags, R_UNPROVED, f->loc,
                        "it is not proved that tokens keep the units of `%s` in order", f->name);
  diag_note(g, "%s", why);
  return true;
}

// Whether statements have the operands that the checks here rely on. Who executes them tells of those that have not.
static bool operands_are_right(const PassCtx *pc, const Func *f) {
  Ctx quiet = {.arena = pc->cx->arena, .names = pc->cx->names, .diags = diags_new(pc->cx->arena)};
  PassCtx look = {.cx = &quiet, .vta = pc->vta};
  return tiles_check(&look, "sync", f, false);
}

bool sync_text_check(PassCtx *pc, const Func *f) {
  if (!f->target) return true;
  VtaStreamFault fault;
  const char *why = NULL;
  Traces has = traces_of(f);
  if (!operands_are_right(pc, f)) return true;
  if (!host_is_ordered(pc, f)) return false;
  if (stream_is_right(pc, f, has, &fault)) return true;
  if (fault.code == E_VERIFY) {
    report(pc, f, &fault);
    return false;
  }
  bool placed = tiles_check(pc, "sync", f, true);
  SyncOrder order = placed ? sync_order(pc, f->body, &why) : SYNC_UNKNOWN;
  if (order == SYNC_BROKEN) report(pc, f, &(VtaStreamFault){.text = why});
  else if (why) report_unknown(pc, f, why);
  if (why) return false;
  bool seen = !has.kernels && !has.calls; // accesses, too; else tokens alone
  return (seen && order == SYNC_ORDERED) || not_proved(pc, f, fault.text);
}
