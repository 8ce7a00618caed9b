// SPDX-License-Identifier: Apache-2.0
// What libtetc_rtl.so offers: the core of hw/rtl under Verilator as a device.
#ifndef TETC_HW_RTL_H
#define TETC_HW_RTL_H

#include "runtime/device.h"

// A device that runs `config`; NULL when the core was built for another one or memory is out (*why says).
TetcDevice *tetc_rtl_new(const VtaConfig *config, const TetcRtlOptions *options, const char **why);
// Copies the contents of an on-chip memory, as in DRAM: micro-ops as words. MEM_OUT gives the narrowed copies.
void tetc_rtl_sram(TetcDevice *device, VtaMemory m, void *to);

#endif
