// SPDX-License-Identifier: Apache-2.0
// Primitives of Halide's and TVM's schedules that are not here: what they mean there, and what to write instead. Their
// names may be near to one of ours that means something else (`align_bounds`), which is not offered.
#include "schedule/internal.h"

#include <string.h>

static const char *const foreign[][3] = {
    // Halide
    {"fold_storage", "it makes a buffer circular", "`stage.fold(axis);`"},
    {"hoist_storage", "it moves an allocation outwards", "allocations are where the stage is computed: leave it out"},
    {"bound", "it states the extent of an axis", "extents stand in the kernel: leave it out"},
    {"align_bounds", "it rounds the extent of an axis up", "extents stand in the kernel: pad there"},
    {"align_storage", "it pads the rows of a buffer", "`stage.storage_align(axis, n);`"},
    {"specialize", "it makes a copy of the loops for a condition", "make kernels with other params instead"},
    {"serial", "it runs a loop one iteration after the other", "loops are serial unless told otherwise: leave it out"},
    {"in", "it makes a copy of a stage for some readers", "`copy = stage.cache_read(scope, reader, ...);`"},
    {"clone_in", "it computes a stage once more for some readers", "write a second stage in the kernel"},
    {"prefetch", "it loads data ahead of its use", "leave it out"},
    {"memoize", "it keeps results from one call to the next", "leave it out"},
    {"async", "it computes a stage in a thread of its own",
     "bind an axis to virtual threads: `stage.bind(axis, cthread);`"},
    {"atomic", "it lets threads update one element", "run an axis of the result in parallel"},
    {"gpu_tile", "it maps loops to a GPU", "there is no GPU here: leave it out"},
    {"gpu_blocks", "it maps loops to a GPU", "there is no GPU here: leave it out"},
    {"gpu_threads", "it maps loops to a GPU", "there is no GPU here: leave it out"},
    {"hexagon", "it runs a stage on a DSP", "leave it out"},
    {"update", "it names a later definition of a stage", "a stage has one definition here"},
    {"reorder_storage", "it permutes the axes of a buffer", "declare the axes of the stage in the order wanted"},
    // TVM
    {"reverse_compute_at", "it moves a reader into the loops of what it reads",
     "move the other way: `stage.compute_at(reader, axis);`"},
    {"reverse_compute_inline", "it puts a reader into the stage that it reads",
     "write both as one stage in the kernel"},
    {"decompose_reduction", "it separates a reduction's start from its steps",
     "the start is separate already: leave it out"},
    {"cache_index", "it computes indices ahead", "leave it out"},
    {"reindex", "it makes a copy in the order of the accesses", "`copy = stage.cache_read(scope, reader, ...);`"},
    {"double_buffer", "it lets a buffer be filled while it is read",
     "bind an axis to virtual threads: `stage.bind(axis, cthread);`"},
    {"rolling_buffer", "it makes a buffer circular", "`stage.fold(axis);`"},
    {"transform_layout", "it changes how a buffer is laid out", "declare a stage with that layout in the kernel"},
    {"blockize", "it makes a block of loops",
     "`stage.tensorize(axis, vta.gemm);` names the loops that become an operation"},
    {"annotate", "it attaches a remark to a loop",
     "`stage.pragma(axis, name);` knows unroll, vectorize, parallel, dma_copy and alu"},
    {"env_threads", "it makes several stages run in the same threads",
     "bind an axis of the consumer, and compute the others at it"},
    {"set_store_predicate", "it guards a store", "write the condition in the kernel"},
    {"loop_partition", "it cuts loops at their tails", "tails are cut off already: leave it out"},
    {"merge", "it makes one loop of two", "`fused = stage.fuse(outer, inner);`"},
};

bool foreign_primitive(Diag *g, Name primitive) {
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
    if (strcmp(primitive, foreign[i][0]) != 0) continue;
    diag_note(g, "elsewhere %s", foreign[i][1]);
    diag_help(g, "%s", foreign[i][2]);
    return true;
  }
  return false;
}
