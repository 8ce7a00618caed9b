// SPDX-License-Identifier: Apache-2.0
// Finds the module. Knows nothing of protobuf.
#include "net/net.h"

#include <string.h>

const NetModule *net_module_load(const char **error) {
  static const ModuleFile module = {"libtetc_net.so", "src/net", "TETC_NET_MODULE", "tetc_net_module"};
  void *at = module_symbol(&module, error);
  if (!at) return NULL;
  const NetModule *(*table)(void);
  memcpy(&table, &at, sizeof at);
  return table();
}
