// SPDX-License-Identifier: Apache-2.0
// Messages between the processes of an MPI job: a module, which only `tetc tune` under MPI loads. Messages to one
// process at a time, no collectives; waiting is by asking, as MPI's own takes a whole processor from what is measured.
#include "tune/internal.h"

#include <mpi.h>
#include <stdlib.h>

static char *held; // the message taken last
static int room;

static bool give(int to, const void *data, size_t len) {
  if (len > INT32_MAX) return false;
  return MPI_Send(data, (int)len, MPI_BYTE, to, 0, MPI_COMM_WORLD) == MPI_SUCCESS;
}

static const void *take(int *from, size_t *len) {
  MPI_Status status;
  int there = 0, n = 0;
  if (MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &there, &status) != MPI_SUCCESS || !there) return NULL;
  MPI_Get_count(&status, MPI_BYTE, &n);
  if (n >= room) {
    free(held);
    room = n + 1;
    held = malloc((size_t)room);
    if (!held) memory_out();
  }
  *from = status.MPI_SOURCE;
  *len = (size_t)n;
  return MPI_Recv(held, n, MPI_BYTE, *from, 0, MPI_COMM_WORLD, &status) == MPI_SUCCESS ? held : NULL;
}

static void end(void) {
  free(held);
  MPI_Finalize();
}

static Messages messages = {.give = give, .take = take, .end = end};

__attribute__((visibility("default"))) const Messages *tetc_tune_messages(const char **why);
const Messages *tetc_tune_messages(const char **why) {
  *why = "MPI does not start";
  if (MPI_Init(NULL, NULL) != MPI_SUCCESS) return NULL;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); // the loss of a process is not the end
  MPI_Comm_rank(MPI_COMM_WORLD, &messages.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &messages.size);
  return &messages;
}
