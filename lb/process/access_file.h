// SPDX-License-Identifier: MIT
// The file of the access log: opened by the supervisor, written by the logger.
#ifndef EVLB_ACCESS_FILE_H
#define EVLB_ACCESS_FILE_H

#include "process/tree.h"

// Opens what the configuration names. *fd -1: access lines go to standard error, or there are none.
// 0 or -errno.
int access_file_open(const struct config *c, int *fd) MUST_CHECK;
// Whether both have access lines in the same place.
bool access_file_same(const struct config *a, const struct config *b);
// From now on the logger writes to `fd`, which belongs to the tree then.
void access_file_change(struct tree *t, int fd);
// Opens the file anew (it was renamed: a rotation). NULL, or why not; the old one is written on
// then.
const char *access_file_reopen(struct tree *t);

#endif
