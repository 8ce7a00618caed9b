// SPDX-License-Identifier: Apache-2.0
// Included before Verilator's library: where it prints, which is only when an assertion fails.
#ifndef TETC_HW_PRINT_H
#define TETC_HW_PRINT_H

#include <string>

int tetc_verilated_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF tetc_verilated_print

// What this thread's models print is added to *said from now on, for Verilator does not tell which model speaks. NULL:
// it goes to stderr.
void tetc_verilated_listen(std::string *said);

#endif
