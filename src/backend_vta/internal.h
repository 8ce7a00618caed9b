// SPDX-License-Identifier: Apache-2.0
// Inside backend_vta: what the interpreter's machine is made of.
#ifndef TETC_VTA_INTERNAL_H
#define TETC_VTA_INTERNAL_H

#include "backend_vta/vta.h"

/* units.c: load, compute and store as three instruction streams with blocking token queues between them */
typedef struct Units Units;
// Executes an operation. `extra` is what was issued with it.
typedef bool UnitExec(void *self, const Stmt *s, const TirArg *args, const void *extra, const char **error);

Units *units_new(Ctx *cx, VtaOrder order, UnitExec *exec, void *self);
// Gives an operation to a unit. The arguments' values and `extra` are copied; what else is in args must stay. As the
// order has it, the unit executes it now or later. False: some operation failed.
bool units_issue(Units *u, int unit, const Stmt *s, const TirArg *args, const void *extra, size_t extra_bytes,
                 TirFault *fault);
// vta.push (by the unit `from`) and vta.pop (by the unit `to`).
bool units_token(Units *u, bool push, int64_t from, int64_t to, const Stmt *s, TirFault *fault);
// vta.sync: the host waits. False: a deadlock, or tokens that nobody took.
bool units_drain(Units *u, TirFault *fault);
// The end of the program: nothing may be left that nobody waited for.
bool units_finish(Units *u, TirFault *fault);

#endif
