// SPDX-License-Identifier: Apache-2.0
// Pass inject_copy: DMA transfers in place of the copy nests that the schedule marked.
//
//   before                                              after
//     vta.dma_copy() {                                    vta.load(&pad_l[0], &data[y0*784 + ...], y=15, x=56,
//       for y in 0..16 { for x in 0..58 { for r in ..              stride=56, pad=(max(0, 1 - 14*y0), ..., 1, 1))
//         pad_l[0, 0, y, x, 0, r] =
//           14*y0 + y >= 1 && ... ? data[...] : 0
//     }}}}
//
// Requires FORM_LOOPS. Ensures that no vta.dma_copy is left; other statements are untouched. A region that is no copy
// is refused with its reason, and the walk goes on, so that all refusals of a kernel come at once.
#include "passes/inject_copy/internal.h"

void copy_enter_loop(CopyCx *c, const Var *v, const Expr *min, const Expr *extent) {
  int64_t lo, hi, least, most;
  VEC_PUSH(c->cx->arena, c->around, v);
  if (!expr_bounds(&c->ranges, min, &lo, &hi) || !expr_bounds(&c->ranges, extent, &least, &most) ||
      !add_ok(hi, most, &hi)) {
    lo = INT64_MIN;
    hi = INT64_MAX;
  }
  ranges_push(c->cx, &c->ranges, v, lo, hi == INT64_MAX || hi <= lo ? hi : hi - 1);
}

void copy_leave_loop(CopyCx *c) {
  ranges_pop(&c->ranges);
  c->around.len--;
}

// Replaces the regions in s, keeping track of the loops around.
static const Stmt *copy_walk(void *self, const Stmt *s) {
  CopyCx *c = self;
  if (s->kind == STMT_FOR) {
    copy_enter_loop(c, s->var, s->min, s->extent);
    const Stmt *out = stmt_rebuild(c->cx, s, copy_walk, NULL, c);
    copy_leave_loop(c);
    return out;
  }
  if (s->kind != STMT_INTRIN || !is_vta(s->intrin, VTA_DMA_COPY)) return stmt_rebuild(c->cx, s, copy_walk, NULL, c);
  c->region = s;
  c->pc->stats.copies++;
  const Stmt *out = copy_lower_region(c, s->body);
  c->region = NULL;
  return out;
}

Func *pass_inject_copy(PassCtx *pc, const Func *f) {
  CopyCx c = {.pc = pc, .cx = pc->cx, .vta = vta_of(f->target), .f = f};
  const Stmt *body = c.vta ? copy_walk(&c, f->body) : f->body;
  return c.failed ? NULL : func_with_body(pc->cx, f, body);
}
