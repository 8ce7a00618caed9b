// SPDX-License-Identifier: Apache-2.0
// A mistake of ours ends the process with status 4, after the last words.
#include "base/base.h"

#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

static void last_words(void *self) {
  int fd = *(int *)self;
  if (write(fd, "x", 1) != 1) _exit(9);
  bug("once more"); // must not come back here
}

static void bug_calls_once_and_exits(void **state) {
  (void)state;
  int ends[2], status;
  char text[4];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(9);
    bug_then(last_words, &ends[1]);
    bug("a mistake");
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], text, sizeof text), 1);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(bug_calls_once_and_exits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
