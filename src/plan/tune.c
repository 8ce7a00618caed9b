// SPDX-License-Identifier: Apache-2.0
// A kernel's best plans as texts: what tetc tune measures. A plan is a choice for each part, and equal parts get equal
// choices, so that a network of many layers has few parts.
#include "plan/internal.h"

#include <string.h>

typedef struct Part {
  const char *key; // of its groups
  Choices choices;
} Part;

struct PlanSpace {
  Problem problem;
  Plans plans;
  size_t found; // of them
  VEC(Part) parts;
};

static int part_of(const PlanSpace *s, const Planned *b) {
  for (size_t i = 0; i < s->parts.len; i++)
    if (!strcmp(s->parts.data[i].key, b->key)) return (int)i;
  return -1;
}

// The choice that the planner made, and then the best of the others.
static void add_part(PlanSpace *s, const Planned *b, int most) {
  Arena *a = s->problem.cx->arena;
  Part part = {.key = b->key};
  VEC_PUSH(a, part.choices, b->choice);
  for (int i = 0; i < b->ranking->n && part.choices.len < (size_t)most; i++)
    if (memcmp(&b->ranking->choice[i], &b->choice, sizeof b->choice)) VEC_PUSH(a, part.choices, b->ranking->choice[i]);
  VEC_PUSH(a, s->parts, part);
}

PlanSpace *plan_space(Ctx *cx, const TeModule *m, const TeKernel *k, const PlanOptions *o, int most) {
  PlanSpace *s = NEW(cx->arena, PlanSpace);
  s->problem = (Problem){.cx = cx, .module = m, .kernel = k, .options = o};
  s->found = plan_groups(&s->problem, most, &s->plans);
  for (size_t i = s->plans.len; i-- > 0;) { // as the text has them
    const Planned *b = &s->plans.data[i];
    if (b->found && part_of(s, b) < 0) add_part(s, b, most);
  }
  return s;
}

int plan_space_parts(const PlanSpace *s) { return (int)s->parts.len; }
int plan_space_choices(const PlanSpace *s, int part) { return (int)s->parts.data[part].choices.len; }

const char *plan_space_name(const PlanSpace *s, int part) {
  for (size_t i = s->plans.len; i-- > 0;) {
    const Group *g = s->plans.data[i].group;
    if (s->plans.data[i].found && part_of(s, &s->plans.data[i]) == part) return g->gemm ? g->gemm->name : g->root->name;
  }
  return "";
}

const char *plan_space_text(const PlanSpace *s, const int *choices) {
  Ctx *cx = s->problem.cx;
  Ctx own = {.arena = cx->arena, .names = cx->names, .diags = diags_new(cx->arena)}; // refusals are told to nobody
  Plans plans = {0};
  for (size_t i = 0; i < s->plans.len; i++) {
    Planned b = s->plans.data[i];
    int part = b.found ? part_of(s, &b) : -1;
    if (part >= 0) b.choice = s->parts.data[part].choices.data[choices[part]];
    VEC_PUSH(cx->arena, plans, b);
  }
  const Schedule *made = plan_schedule(&s->problem, &own, s->found, &plans);
  if (!made) return NULL;
  Text t = {.arena = cx->arena};
  schedule_text(made, &t);
  return t.data;
}
